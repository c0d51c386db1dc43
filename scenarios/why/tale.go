package why

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/reports"
)

// tale is the steps of a transaction that something is the matter with.
type tale struct {
	*transactions
	id        string // transactional id
	partition string // of the record or the marker that it is about; empty: none
	record    *reports.RecordAt
	group     string
	steps     []step
	remarks   []reports.Remark
}

func (a *tale) add(s step) { a.steps = append(a.steps, s) }

// in says to which partition of a transaction a step belongs.
func (s step) in(partition string) step {
	s.Partition = partition
	return s
}

func (a *tale) remark(at moment, host, format string, args ...any) {
	a.remarks = append(a.remarks, reports.Remark{At: reports.Seconds(at.at), Host: host, Text: fmt.Sprintf(format, args...)})
}

// conclude puts the steps in order and makes an explanation of them.
func (a *tale) conclude(kind reports.WhyKind, what, because string) *reports.Why {
	steps, left := chosenSteps(a.steps)
	return &reports.Why{Kind: kind, What: what, Because: because, Partition: a.partition, Group: a.group, Transaction: a.id, Record: a.record, Steps: steps, Left: left, Remarks: a.remarks}
}

// begins adds that a partition became one of the transaction that a batch belongs to.
func (a *tale) begins(b *txnBatch) {
	began := a.moveBefore(a.id, b.moment, func(m *txnMove) bool {
		return m.To == "Ongoing" && m.ProducerID == b.ProducerID && m.has(b.partition)
	})
	if began != nil {
		a.add(a.moved(began))
		return
	}
	for i := len(a.begun) - 1; i >= 0; i-- { // its coordinator told of none
		if x := a.begun[i]; x.producer == b.ProducerID && x.epoch == b.ProducerEpoch && x.before(b.moment) {
			a.add(x.step(x.host, reports.Began, onClient, x.text))
			return
		}
	}
}

// moved is a state of a transactional id as a step.
func (a *tale) moved(m *txnMove) step {
	kind, text := reports.Began, ""
	switch {
	case m.To == "Ongoing" && m.From == "Ongoing":
		text = fmt.Sprintf("adds to the transaction of %s, epoch %d: %s", m.TxnID, m.Epoch, with(m))
	case m.To == "Ongoing":
		text = fmt.Sprintf("begins a transaction of %s, epoch %d, with %s", m.TxnID, m.Epoch, with(m))
	case m.ends():
		kind, text = reports.Decided, fmt.Sprintf("decides to %s the transaction of %s: %s, epoch %d, with %s", end(m.To == "PrepareCommit"), m.TxnID, m.To, m.Epoch, with(m))
	case m.To == "CompleteCommit" || m.To == "CompleteAbort":
		kind, text = reports.Completed, fmt.Sprintf("has all markers of %s: %s, epoch %d", m.TxnID, m.To, m.Epoch)
	default:
		kind, text = reports.Decided, fmt.Sprintf("takes %s from %s to %s, epoch %d", m.TxnID, cmp.Or(m.From, "nothing"), m.To, m.Epoch)
	}
	return m.step(m.host, kind, onTransaction, text)
}

// with names the partitions of a transaction.
func with(m *txnMove) string {
	if len(m.Partitions) == 0 {
		return "no partitions"
	}
	return list(m.Partitions)
}

// list names partitions, a few at most.
func list(partitions []kafka.TopicPartition) string {
	names := make([]string, 0, len(partitions))
	for _, tp := range partitions {
		names = append(names, tp.String())
	}
	slices.Sort(names)
	const most = 4
	if n := len(names); n > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", n-most)
	}
	return and(names)
}

// sent adds what a producer sends, and what it is told at the end.
func (a *tale) sent(op *txnOp, s sentRecord) {
	a.add(op.from.step(op.client, reports.Sent, onClient, fmt.Sprintf("sends %s to %s%s", s.value, s.partition, others(len(op.sends)-1))).of(op.op))
	if op.to.seq == 0 {
		return
	}
	text := "is told: committed"
	if op.outcome != "ok" {
		text = "is told: " + short(cmp.Or(op.err, op.outcome))
	}
	a.add(op.to.step(op.client, reports.Answered, onClient, text).of(op.done))
}

// others says how many more records there are beside one.
func others(n int) string {
	switch {
	case n < 1:
		return ""
	case n == 1:
		return ", and one more record"
	}
	return fmt.Sprintf(", and %s more records", reports.Count(int64(n)))
}

// short is an error without its further sentences.
func short(text string) string {
	const most = 160
	if len(text) <= most {
		return text
	}
	return text[:most] + "…"
}

// appended adds the batch that has a record.
func (a *tale) appended(b *txnBatch, offset int64) {
	text := fmt.Sprintf("appends it to %s at offset %d, producer %d, epoch %d", b.partition, offset, b.ProducerID, b.ProducerEpoch)
	a.add(b.step(b.host, reports.Appended, onReplica, text).on(kafka.Offset(offset)).in(b.partition))
}

// marker is a marker that a leader has appended, as a step.
func (a *tale) marker(w *txnMarker) step {
	text := fmt.Sprintf("appends the %s marker of producer %d, epoch %d, to %s at offset %d", end(w.commit), w.producer, w.epoch, w.partition, w.at)
	if w.partition == a.partition {
		return w.step(w.host, reports.Marked, onReplica, text).on(w.at).in(w.partition)
	}
	return w.step(w.host, reports.Marked, onTransaction, text).in(w.partition)
}

// senderOf is the operation that sent a value, and the record in it.
func (t *transactions) senderOf(values []string) (*txnOp, sentRecord) {
	for _, op := range t.ops {
		for _, s := range op.sends {
			if slices.Contains(values, s.value) {
				return op, s
			}
		}
	}
	return nil, sentRecord{}
}

// readerOf is the first operation after a moment that was given what is at an offset.
func (t *transactions) readerOf(partition string, offset int64, since moment, ops []int) *txnOp {
	var first *txnOp
	for _, op := range t.ops {
		if !op.given(partition, offset) || op.to.seq == 0 || !since.before(op.to) {
			continue
		}
		if slices.Contains(ops, int(op.op)) || slices.Contains(ops, int(op.done)) {
			return op
		}
		if first == nil || op.to.before(first.to) {
			first = op
		}
	}
	return first
}

// answers adds the answer by which a reader was given a record, and that it has it.
func (a *tale) answers(s *answeredRead, reader *txnOp, offset int64) {
	if s != nil {
		text := fmt.Sprintf("answers a fetch with offsets %d to %d of %s", s.from, s.end-1, s.partition)
		if !s.committed {
			text += ", for read_uncommitted"
		} else if m := a.stableAt(s.host, s.partition, s.moment); m != nil && m.to < m.hw {
			text += fmt.Sprintf("; last stable offset %d, high watermark %d", m.to, m.hw)
		}
		a.add(s.step(s.host, reports.Served, onReplica, text).on(kafka.Offset(offset)).in(s.partition))
	}
	if reader != nil {
		a.add(reader.to.step(reader.client, reports.Read, onClient, "reads it").of(reader.done))
	}
}

// takeovers are the brokers that began to coordinate a transactional id between two moments.
func (t *transactions) takeovers(id string, since, until moment) (out []shard) {
	name := t.shardOf(id)
	for _, l := range t.loads {
		if l.name == name && since.before(l.moment) && l.before(until) {
			out = append(out, l)
		}
	}
	return out
}

// shardOf is the partition of __transaction_state that a transactional id belongs to. Each has been
// loaded by the time that there are transactions.
func (t *transactions) shardOf(id string) string {
	partitions := int32(0)
	for _, l := range t.loads {
		if tp, err := kafka.ParseTopicPartition(l.name); err == nil {
			partitions = max(partitions, tp.Partition+1)
		}
	}
	if partitions == 0 {
		return ""
	}
	return kafka.TopicPartition{Topic: kafka.TransactionsTopic, Partition: kafka.CoordinatorPartition(id, partitions)}.String()
}

// takesOver is such a beginning as a step.
func takesOver(l shard) step {
	return l.step(l.host, reports.Led, onTransaction, fmt.Sprintf("coordinates %s in epoch %d, after reading %d records", l.name, l.epoch, l.records))
}
