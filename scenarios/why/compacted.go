package why

import (
	"fmt"
	"iter"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
)

// A table in a compacted topic: a reader lacks the last value of a key, or the tombstone
// that deletes it.

// cleaned: a pass of the cleaner over a log is over.
type cleaned struct {
	moment
	host, partition string
	witness.LogCleaned
}

// tables is what the events say of the operations of a violation, and of compaction.
type tables struct {
	*transactions
	cleanings []cleaned
	appends   []txnBatch // by leaders
}

// tombstone is how a history writes a value that is none.
const tombstone = "nil"

// explainTable explains that a reader of a compacted topic has not what was written last.
func explainTable(events iter.Seq[*ledger.Entry], v *reports.Violation) *reports.Why {
	if v.Inside || v.Anomaly != "" || len(v.Ops) < 2 {
		return nil
	}
	t := &tables{transactions: transactionsOf(events, false)}
	write, w := t.writeOf(v.Ops)
	if write == nil {
		write, w = t.polledWrite(v.Ops)
	}
	reader := t.opOf(v.Ops[len(v.Ops)-1])
	if write == nil || reader == nil {
		return nil
	}
	t.last = moment{} // the events are numbered as they were the first time
	for e := range events {
		t.last = moment{e.At, t.last.seq + 1}
		if t.readLog(e, w.partition); reader.to.before(t.last) {
			break
		}
	}
	a := &tale{transactions: t.transactions, partition: w.partition}
	a.record = &reports.RecordAt{Partition: w.partition, Epoch: w.epoch, First: w.offset, Last: w.offset}
	name, writes := w.value, "puts "+w.value
	if w.value == tombstone {
		name, writes = "the tombstone", "deletes a key, by a tombstone"
	}
	a.add(write.from.step(write.client, reports.Sent, onClient, writes).of(write.op))
	if b := t.appendOf(w); b != nil {
		a.add(b.step(b.host, reports.Appended, onReplica, fmt.Sprintf("appends it to %s at offset %d", b.partition, w.offset)).on(kafka.Offset(w.offset)).in(b.partition))
	}
	a.add(write.to.step(write.client, reports.Acknowledged, onClient, fmt.Sprintf("is told: success, offset %d", w.offset)).of(write.done))
	passed := t.passing(reader, w)
	what := fmt.Sprintf("%s read %s up to offset %d and was not given %s at offset %d, the last that was written under its key",
		reader.client, w.partition, reader.lastOf(w.partition), name, w.offset)
	t.stillHas(a, v.Ops, w)
	return a.conclude(reports.ValueLost, what, t.whyCleaned(a, write, passed, w))
}

// polledWrite is what was written last under the key, where the evidence has it from a poll: what that
// poll was given, and the reader never was. None, if there are several.
func (t *tables) polledWrite(ops []int) (write *txnOp, w sentRecord) {
	seen, reader := t.opOf(ops[0]), t.opOf(ops[len(ops)-1])
	if seen == nil || reader == nil {
		return nil, w
	}
	for _, op := range t.ops {
		for _, s := range op.sends {
			if s.offset < 0 || op.to.seq == 0 || !seen.given(s.partition, s.offset) || t.hasSeen(reader, s) {
				continue
			}
			if write != nil {
				return nil, w
			}
			write, w = op, s
		}
	}
	return write, w
}

// hasSeen reports whether the process of an operation was given a record by then, or has not come past it.
func (t *tables) hasSeen(reader *txnOp, w sentRecord) bool {
	past := false
	for op := range t.upTo(reader) {
		if op.given(w.partition, w.offset) {
			return true
		}
		past = past || op.lastOf(w.partition) > w.offset
	}
	return !past
}

// passing is the poll that brought a reader past a record, without it; the last one that is known, if that
// is not shown.
func (t *tables) passing(reader *txnOp, w sentRecord) *txnOp {
	for op := range t.upTo(reader) {
		if op.lastOf(w.partition) > w.offset {
			return op
		}
	}
	return reader
}

// upTo are the operations of a process that ended up to one of them, that one included.
func (t *tables) upTo(last *txnOp) iter.Seq[*txnOp] {
	return func(yield func(*txnOp) bool) {
		for _, op := range t.ops {
			if op.process == last.process && op.to.seq != 0 && !last.to.before(op.to) && !yield(op) {
				return
			}
		}
	}
}

// lastOf is the last offset of a partition that an operation was given; -1: none.
func (o *txnOp) lastOf(partition string) int64 {
	last := int64(-1)
	for _, p := range o.runsOf(partition) {
		last = p.last
	}
	return last
}

// runsOf is what an operation was given of a partition.
func (o *txnOp) runsOf(partition string) (runs []polledRun) {
	if o == nil {
		return nil
	}
	for _, p := range o.polls {
		if p.partition == partition {
			runs = append(runs, p)
		}
	}
	return runs
}

// stillHas adds that the reader was given what it has under the key.
func (t *tables) stillHas(a *tale, ops []int, w sentRecord) {
	if len(ops) < 3 {
		return
	}
	had := t.opOf(ops[1])
	for _, p := range had.runsOf(w.partition) {
		text := fmt.Sprintf("is given %s from offset %d to %d, with the value that it still has under the key", w.partition, p.first, p.last)
		if p.first == p.last {
			text = fmt.Sprintf("is given offset %d of %s, the value that it still has under the key", p.first, w.partition)
		}
		a.add(had.to.step(had.client, reports.Read, onClient, text).of(had.done))
		return
	}
}

// whyCleaned: the cleaner took away what was to stay, before the reader had come past it.
func (t *tables) whyCleaned(a *tale, write, passed *txnOp, w sentRecord) string {
	serves, next := "", w.offset
	for _, p := range passed.runsOf(w.partition) {
		if next = p.first; next > w.offset {
			break
		}
	}
	if s := t.answered(w.partition, next, passed.to); s != nil {
		serves = s.host
	}
	a.add(passed.to.step(passed.client, reports.Read, onClient, fmt.Sprintf("is given %s from offset %d on, and so comes past offset %d without it", w.partition, next, w.offset)).of(passed.done))
	var by *cleaned
	for i := range t.cleanings {
		c := &t.cleanings[i]
		if c.partition == w.partition && int64(c.End) > w.offset && write.to.before(c.moment) && c.before(passed.to) && (by == nil || by.host != serves && c.host == serves) {
			by = c
		}
	}
	if by == nil {
		return ""
	}
	a.add(by.step(by.host, reports.Broke, onReplica, fmt.Sprintf("has cleaned %s from %d up to %d: %d records kept (%d of them tombstones), %d removed", by.partition, by.FirstDirty, by.End, by.Kept, by.Tombstones, by.Removed)).on(kafka.Offset(w.offset)).in(by.partition))
	a.remark(by.moment, by.host, "cleaned up to %d", by.End)
	text := fmt.Sprintf("%s cleaned its log over offset %d, %s after it was acknowledged, and %s came past it %s after that.", by.host, w.offset, reports.Lasting(by.at-write.to.at), passed.client, reports.Lasting(passed.to.at-by.at))
	if w.value == tombstone {
		return text + " A tombstone must stay for delete.retention.ms after it was cleaned first, so that a reader which is behind is told of the deletion (KIP-534, KAFKA-8522)."
	}
	return text + " The last value of a key must stay for ever."
}

// readLog reads what becomes of the logs of a partition.
func (t *tables) readLog(e *ledger.Entry, partition string) {
	switch x := e.Event.(type) {
	case *witness.LogCleaned:
		t.cleanings = append(t.cleanings, cleaned{t.last, e.Host, x.Subject(), *x})
	case *witness.Appended:
		if x.Subject() == partition {
			t.appends = append(t.appends, txnBatch{t.last, e.Host, partition, x.Batch})
		}
	}
}

// appendOf is the first append of what was written.
func (t *tables) appendOf(w sentRecord) *txnBatch {
	for i := range t.appends {
		if b := &t.appends[i]; int64(b.From) <= w.offset && w.offset < int64(b.End) && int32(b.Batch.Epoch) == w.epoch {
			return b
		}
	}
	return nil
}

// opOf is the operation with an event of the history.
func (t *transactions) opOf(index int) *txnOp {
	for _, op := range t.ops {
		if op.to.seq > 0 && (int(op.op) == index || int(op.done) == index) {
			return op
		}
	}
	return nil
}

// writeOf is the first of some operations that wrote something, and what.
func (t *transactions) writeOf(ops []int) (*txnOp, sentRecord) {
	for _, index := range ops {
		if op := t.opOf(index); op != nil {
			if i := slices.IndexFunc(op.sends, func(s sentRecord) bool { return s.offset >= 0 }); i >= 0 {
				return op, op.sends[i]
			}
		}
	}
	return nil, sentRecord{}
}
