package history

import "time"

// Added is the operation that the event added last began or ended, as it was
// told; nil if the event is not a client's. Of one that began, Type is Invoke and
// Completed is Never. It is valid until the next event is added.
func (h *History) Added() *Op {
	r, op := &h.raw, &h.added
	if !r.client {
		return nil
	}
	at := h.rows.at(r.row)
	*op = Op{
		Row: r.row, Invoked: int64(at.began()), Completed: int64(at.done), Process: r.process, ProcessNo: r.processNo,
		F: r.f, Type: r.typ, End: time.Duration(r.time),
		Sends: op.Sends[:0], Polled: r.polled, Offsets: op.Offsets[:0], Shape: op.Shape[:0],
		Keys: r.keys, Rebalanced: r.moved, Seek: r.seek, Group: r.group, Generation: r.gen, Member: r.member, Instance: r.instance,
		Txn: r.txn, Session: r.session, Producer: r.producer, ProducerEpoch: r.epoch, Name: r.name, Error: r.err, rest: true,
	}
	for i := range r.mops {
		m := &r.mops[i]
		step := Step{m.kind, 1}
		switch m.kind {
		case MopSend:
			op.Sends = append(op.Sends, Sent{m.rec, m.offset, m.silent, m.epoch, m.details})
		case MopPoll:
			step.N = int(m.n)
		default:
			op.Offsets = append(op.Offsets, OffsetMop{m.kind, m.key, m.offset, m.silent})
		}
		op.Shape = append(op.Shape, step)
	}
	return op
}
