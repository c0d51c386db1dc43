package why

import (
	"fmt"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/reports"
)

// A record of a transaction that did not commit, and a consumer that was given it.

// delivery is a record of a transaction and how a consumer came to it.
type delivery struct {
	tale
	offset int64
	value  string
	batch  *txnBatch
	sender *txnOp
	reader *txnOp
	serve  *answeredRead
	marker *txnMarker // the first of its producer behind the record; nil: there is none
	ended  *txnMove   // the decision of its transaction; nil: there is none
}

// explainAborted explains that a consumer was given what was not committed.
func explainAborted(t *transactions, v *reports.Violation) *reports.Why {
	if len(v.Offsets) == 0 {
		return nil
	}
	d := &delivery{tale: tale{transactions: t, partition: v.Subject}, offset: v.Offsets[0]}
	if d.batch = t.batchAt(v.Subject, d.offset, t.last); d.batch == nil || d.batch.Control {
		return nil // it is of no transaction
	}
	d.id = t.idOf(d.batch.ProducerID)
	var s sentRecord
	if d.sender, s = t.senderOf(v.Values); d.sender == nil {
		return nil
	}
	d.value = s.value
	if d.reader = t.readerOf(v.Subject, d.offset, d.batch.moment, v.Ops); d.reader == nil {
		return nil
	}
	d.serve = t.answered(v.Subject, d.offset, d.reader.to)
	d.marker = t.marked(v.Subject, d.batch.ProducerID, d.batch.moment)
	if d.ended = t.moveAfter(d.id, d.batch.moment, func(m *txnMove) bool { return m.ends() }); d.marker != nil && d.marker.commit {
		if m := t.decidedBy(d.marker); m != nil {
			d.ended = m
		}
	}
	d.record = &reports.RecordAt{Partition: v.Subject, Epoch: int32(d.batch.Batch.Epoch), First: d.offset, Last: d.offset}
	d.begins(d.batch)
	d.sent(d.sender, s)
	d.appended(d.batch, d.offset)
	d.answers(d.serve, d.reader, d.offset)
	if d.marker != nil {
		d.add(d.tale.marker(d.marker))
	}
	if d.ended != nil {
		d.add(d.moved(d.ended))
	}
	return d.conclude(reports.AbortedDelivered, d.what(), d.cause())
}

func (d *delivery) what() string {
	told := "did not commit"
	switch {
	case d.sender.to.seq == 0:
		told = "never ended for its producer"
	case d.sender.outcome == "failed":
		told = "was aborted"
	}
	return fmt.Sprintf("%s was given %s (offset %d of %s), of a transaction of %s that %s", d.reader.client, d.value, d.offset, d.partition, d.id, told)
}

// cause is by the first rule that fits.
func (d *delivery) cause() string {
	for _, rule := range []func() string{d.uncommittedAsked, d.committedByOther, d.committedAfterAll, d.beforeTheEnd, d.afterTheAbort} {
		if because := rule(); because != "" {
			return because
		}
	}
	return ""
}

// uncommittedAsked: the consumer does not ask for what is committed.
func (d *delivery) uncommittedAsked() string {
	if d.serve == nil || d.serve.committed {
		return ""
	}
	d.remark(d.serve.moment, d.serve.host, "for read_uncommitted")
	return fmt.Sprintf("%s reads with isolation.level=read_uncommitted, the default: it is given records of open transactions, and of those that were aborted.", d.reader.client)
}

// committedByOther: the record's transaction was not ended in the partition, and the
// marker of a later one made its records count.
func (d *delivery) committedByOther() string {
	w := d.marker
	if w == nil || !w.commit || d.ended == nil || d.serve != nil && d.serve.before(w.moment) {
		return ""
	}
	own := d.moveAfter(d.id, d.batch.moment, func(m *txnMove) bool { return m.ends() })
	took := d.takeovers(d.id, d.batch.moment, d.ended.moment)
	later := fmt.Sprintf("The commit marker of a later transaction (epoch %d, offset %d) made the record committed.", w.epoch, w.at)
	lost := ""
	if own != nil && own.before(d.ended.moment) && own.To == "PrepareAbort" && own.has(d.partition) {
		lost = d.lostMarker(own)
	}
	switch {
	case own != nil && own.before(d.ended.moment) && own.To == "PrepareAbort" && !own.has(d.partition):
		d.add(d.moved(own))
		d.remark(own.moment, own.host, "without %s", d.partition)
		return fmt.Sprintf("%s decided to abort the transaction without knowing that %s belonged to it, so it sent no abort marker there.%s %s", own.host, d.partition, d.readBefore(own, took), later)
	case lost != "":
		return lost + " " + later
	case w.epoch > d.batch.ProducerEpoch+1 && len(took) > 0:
		l := took[0]
		d.add(takesOver(l))
		d.remark(l.moment, l.host, "does not know of the transaction")
		return fmt.Sprintf("No end was decided for the transaction, of epoch %d: %s took over %s from its log, and the transaction was not in it with all its partitions. %s", d.batch.ProducerEpoch, l.host, l.name, later)
	}
	return ""
}

// lostMarker: the marker of a decision was appended, and its leader cut it off again when another one led, but its
// coordinator had been told before that the partition has it.
func (d *delivery) lostMarker(own *txnMove) string {
	w := d.markerOf(d.partition, own.ProducerID, own.Epoch, d.last)
	if w == nil {
		return ""
	}
	cut := d.cutOf(w)
	if cut == nil {
		return ""
	}
	var told *txnMarker
	for i := range d.heard {
		if x := &d.heard[i]; x.partition == d.partition && x.producer == own.ProducerID && x.epoch == own.Epoch && w.before(x.moment) && x.before(cut.moment) {
			told = x
			break
		}
	}
	if told == nil {
		return ""
	}
	d.add(d.moved(own))
	d.add(d.tale.marker(w))
	d.add(told.step(told.host, reports.Broke, onTransaction, fmt.Sprintf("is told that %s has the marker", d.partition)).in(d.partition))
	d.add(cut.step(cut.host, reports.Cut, onReplica, fmt.Sprintf("truncates %s to %d, and the marker with it", d.partition, cut.to)).on(cut.to).in(d.partition))
	d.remark(told.moment, told.host, "told too early")
	return fmt.Sprintf("%s had appended the abort marker at offset %d of %s, and cut it off again: the leader after it did not have it. %s had been told at %s that the marker is there, so it sent none again: WriteTxnMarkers must be answered when all in-sync replicas have the markers (KAFKA-9777).",
		w.host, w.at, d.partition, told.host, reports.Seconds(told.moment.at))
}

// readBefore says that the coordinator had read what it knows from a log, if it took over.
func (d *delivery) readBefore(m *txnMove, took []shard) string {
	for _, l := range took {
		if l.host == m.host && l.before(m.moment) {
			d.add(takesOver(l))
			return fmt.Sprintf(" It had read the transaction from %s before: what is not in that log is not known to the next coordinator.", l.name)
		}
	}
	return ""
}

// committedAfterAll: the transaction was committed, and its producer was told otherwise.
func (d *delivery) committedAfterAll() string {
	w := d.marker
	if w == nil || !w.commit || d.serve != nil && d.serve.before(w.moment) {
		return ""
	}
	d.remark(w.moment, w.host, "a commit marker")
	if d.ended != nil && d.ended.Version < 2 {
		return fmt.Sprintf("It was committed: %s has a commit marker at offset %d, by a decision in epoch %d. Before transaction.version=2 all transactions of a producer have one epoch, so an EndTxn that is late ends the transaction that came after its own (KAFKA-17754, KIP-890).",
			d.partition, w.at, w.epoch)
	}
	return fmt.Sprintf("It was committed: %s has a commit marker at offset %d, of epoch %d, though the producer was told that its transaction, in epoch %d, was not.", d.partition, w.at, w.epoch, d.batch.ProducerEpoch)
}

// beforeTheEnd: the record was given away while its transaction was open.
func (d *delivery) beforeTheEnd() string {
	if d.serve == nil || d.marker != nil && !d.serve.before(d.marker.moment) {
		return ""
	}
	first := d.firstOpen(d.serve)
	d.remark(d.serve.moment, d.serve.host, "open since offset %d", first)
	return fmt.Sprintf("%s answered a read_committed fetch up to offset %d while the transaction was open, since offset %d. What lies at and above the last stable offset (%d) may still be aborted, and must not be given.",
		d.serve.host, d.serve.end-1, first, first)
}

// firstOpen is the first offset of the transaction that a record belongs to.
func (d *delivery) firstOpen(s *answeredRead) kafka.Offset {
	first := d.batch.From
	for _, b := range d.batches {
		if b.partition == d.partition && b.ProducerID == d.batch.ProducerID && b.From < first && !d.markedBetween(b.moment, s.moment) {
			first = b.From
		}
	}
	return first
}

func (d *delivery) markedBetween(since, until moment) bool {
	w := d.marked(d.partition, d.batch.ProducerID, since)
	return w != nil && w.before(until)
}

// afterTheAbort: the record was given away when it was known to be aborted.
func (d *delivery) afterTheAbort() string {
	if d.serve == nil || d.marker == nil || d.marker.commit {
		return ""
	}
	d.remark(d.serve.moment, d.serve.host, "aborted at offset %d", d.marker.at)
	return fmt.Sprintf("The transaction was aborted by then: its abort marker is at offset %d. An answer to a read_committed fetch must name the aborted transactions among its records, or the consumer cannot leave them out (KIP-98); %s was given this one as if it were committed.",
		d.marker.at, d.reader.client)
}

// explainUnstableRead explains law 67: a read_committed consumer was given what lies above
// the first open transaction.
func (t *transactions) explainUnstableRead(e *witness.ReadServed, partition string) *reports.Why {
	end := t.last
	end.seq++
	a := &tale{transactions: t, partition: partition}
	var open *txnBatch
	for i, b := range t.batches {
		if b.partition != partition || b.Control || t.marked(partition, b.ProducerID, b.moment) != nil || b.From >= e.End {
			continue
		}
		if open == nil || b.From < open.From {
			open = &t.batches[i]
		}
	}
	if open == nil {
		return nil
	}
	a.id = t.idOf(open.ProducerID)
	a.record = &reports.RecordAt{Partition: partition, Epoch: int32(open.Batch.Epoch), First: int64(open.From), Last: int64(open.End) - 1}
	a.begins(open)
	for _, op := range t.ops {
		if op.touches(partition) && op.from.before(open.moment) && (op.to.seq == 0 || open.before(op.to)) && op.f == "txn" {
			for _, s := range op.sends {
				if s.partition == partition {
					a.sent(op, s)
					break
				}
			}
			break
		}
	}
	a.appended(open, int64(open.From))
	host := t.broke.Host
	stable := t.stableAt(host, partition, end)
	what := fmt.Sprintf("%s gave a read_committed consumer offsets %d to %d of %s, though %s has a transaction open there since offset %d", host, e.From, e.End-1, partition, a.id, open.From)
	because := fmt.Sprintf("The last stable offset of %s is %d, where the first open transaction begins: a read_committed fetch ends there.", partition, open.From)
	if stable != nil {
		a.add(stable.step(host, reports.Committed, onReplica, fmt.Sprintf("holds %s stable up to offset %d; high watermark %d", partition, stable.to, stable.hw)).on(stable.to))
		switch {
		case stable.to > open.From:
			because += fmt.Sprintf(" %s took it for %d, the high watermark, when the transaction was in its log already.", host, stable.to)
		case e.End > stable.to && e.End <= stable.hw:
			because += fmt.Sprintf(" %s knew that (it had told %d), and answered up to the high watermark all the same, as if the consumer read uncommitted records.", host, stable.to)
		}
	}
	a.add(t.last.step(host, reports.Broke, onReplica, fmt.Sprintf("answers a read_committed fetch with offsets %d to %d", e.From, e.End-1)).on(e.From).in(partition))
	a.remark(t.last, host, "open since offset %d", open.From)
	return a.conclude(reports.ReadUnstable, what, because)
}
