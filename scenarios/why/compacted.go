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
	upTo := int64(0)
	for _, p := range reader.polls {
		if p.partition == w.partition {
			upTo = p.last
		}
	}
	a.add(reader.to.step(reader.client, reports.Read, onClient, fmt.Sprintf("has read %s up to offset %d, without it", w.partition, upTo)).of(reader.done))
	what := fmt.Sprintf("%s read %s up to offset %d and was not given %s at offset %d, the last that was written under its key", reader.client, w.partition, upTo, name, w.offset)
	return a.conclude(reports.ValueLost, what, t.whyCleaned(a, write, reader, w))
}

// whyCleaned: the cleaner took away what was to stay.
func (t *tables) whyCleaned(a *tale, write, reader *txnOp, w sentRecord) string {
	serves := ""
	if s := t.answered(w.partition, w.offset+1, reader.to); s != nil {
		serves = s.host
	}
	var by *cleaned
	for i := range t.cleanings {
		c := &t.cleanings[i]
		if c.partition == w.partition && int64(c.End) > w.offset && write.to.before(c.moment) && c.before(reader.to) && (by == nil || by.host != serves && c.host == serves) {
			by = c
		}
	}
	if by == nil {
		return ""
	}
	a.add(by.step(by.host, reports.Broke, onReplica, fmt.Sprintf("has cleaned %s from %d up to %d: %d records kept (%d of them tombstones), %d removed", by.partition, by.FirstDirty, by.End, by.Kept, by.Tombstones, by.Removed)).on(kafka.Offset(w.offset)).in(by.partition))
	a.remark(by.moment, by.host, "cleaned up to %d", by.End)
	text := fmt.Sprintf("%s cleaned its log over offset %d, %s after it was acknowledged, and %s read it afterwards.", by.host, w.offset, reports.Lasting(by.at-write.to.at), reader.client)
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
