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
	op.Row, op.Invoked, op.Completed = r.row, int64(at.began()), int64(at.done)
	op.Process, op.ProcessNo, op.F, op.Type = r.process, r.processNo, r.f, r.typ
	op.Start, op.End = 0, time.Duration(r.time)
	op.Polled, op.Keys, op.Rebalanced, op.Seek = r.polled, r.keys, r.moved, r.seek
	op.Group, op.Generation, op.Member, op.Instance = r.group, r.gen, r.member, r.instance
	op.Txn, op.Session, op.Producer, op.ProducerEpoch, op.Name, op.Error = r.txn, r.session, r.producer, r.epoch, r.name, r.err
	op.rest = true
	op.Sends, op.Offsets, op.Shape = op.Sends[:0], op.Offsets[:0], op.Shape[:0]
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
