package history

import "time"

// Added is the event that was added last, as a check reads it that judges a
// history while it grows: with its records and partitions numbered. It is
// valid until the next event is added.
type Added struct {
	*History
	Number    int64
	Time      time.Duration
	ProcessNo int32 // -1: not a client's
	Type      Type
	F         F
	Seek      bool

	Sends      []Sent
	Polled     []Polled // all its polls, in the order of delivery
	Keys       []Key
	Rebalanced []Key
}

// Added tells of the event that was added last.
func (h *History) Added() *Added {
	r, a := &h.raw, &h.added
	*a = Added{
		History: h, Number: int64(h.events) - 1, Time: time.Duration(r.time), ProcessNo: r.processNo,
		Type: r.typ, F: r.f, Seek: r.seek,
		Sends: a.Sends[:0], Polled: r.polled, Keys: r.keys, Rebalanced: r.moved,
	}
	for i := range r.mops {
		if m := &r.mops[i]; m.kind == MopSend {
			a.Sends = append(a.Sends, Sent{m.rec, m.offset, m.silent})
		}
	}
	return a
}
