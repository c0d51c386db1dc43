package why

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/reports"
)

// A transaction that took effect in a part of its partitions, and one that never ends.

// half is what became of a transaction in one of its partitions.
type half struct {
	partition string
	batch     *txnBatch
	marker    *txnMarker // that ended it there; nil: none did
}

// end is how the transaction ended in the partition, in a word.
func (h *half) end() string {
	switch {
	case h.marker == nil:
		return "open"
	case h.marker.commit:
		return "committed"
	}
	return "aborted"
}

// explainTorn explains that of a transaction some records count and others do not.
func explainTorn(t *transactions, v *reports.Violation) *reports.Why {
	op, s := t.senderOf(v.Values)
	if op == nil || s.partition != v.Subject || len(v.Offsets) == 0 {
		return nil
	}
	lost := &half{partition: v.Subject, batch: t.batchAt(v.Subject, v.Offsets[0], t.last)}
	if lost.batch == nil || lost.batch.Control {
		return nil
	}
	lost.marker = t.marked(lost.partition, lost.batch.ProducerID, lost.batch.moment)
	if lost.marker != nil && lost.marker.commit {
		return nil // it counts: that it is missing has another cause
	}
	a := &tale{transactions: t, id: t.idOf(lost.batch.ProducerID), partition: v.Subject}
	a.record = &reports.RecordAt{Partition: v.Subject, Epoch: int32(lost.batch.Batch.Epoch), First: v.Offsets[0], Last: v.Offsets[0]}
	a.begins(lost.batch)
	a.sent(op, s)
	a.appended(lost.batch, v.Offsets[0])
	halves := append([]*half{lost}, t.otherHalves(op, lost)...)
	for _, h := range halves {
		if h.marker != nil {
			a.add(a.marker(h.marker))
			a.decision(h.marker)
		}
		if h != lost {
			a.readBy(h)
		}
	}
	what := fmt.Sprintf("Of one transaction of %s, %s", a.id, endsOf(halves))
	if op.outcome == "ok" {
		what += "; its producer was told that it is committed"
	}
	return a.conclude(reports.TornTransaction, what, a.whyTorn(halves))
}

// otherHalves are the other partitions to which an operation sent records.
func (t *transactions) otherHalves(op *txnOp, lost *half) (out []*half) {
	seen := map[string]bool{lost.partition: true}
	for _, s := range op.sends {
		if seen[s.partition] {
			continue
		}
		seen[s.partition] = true
		for i := range t.batches {
			b := &t.batches[i]
			if b.partition != s.partition || b.Control || b.ProducerID != lost.batch.ProducerID || b.ProducerEpoch != lost.batch.ProducerEpoch ||
				!op.from.before(b.moment) || op.to.seq > 0 && op.to.before(b.moment) {
				continue
			}
			out = append(out, &half{s.partition, b, t.marked(s.partition, b.ProducerID, b.moment)})
			break
		}
	}
	return out
}

// endsOf is such as: orders/1 is aborted, and orders/0 and orders/2 are committed.
func endsOf(halves []*half) string {
	var order []string
	by := map[string][]string{}
	for _, h := range halves {
		if by[h.end()] == nil {
			order = append(order, h.end())
		}
		by[h.end()] = append(by[h.end()], h.partition)
	}
	var parts []string
	for _, end := range order {
		is := "is"
		if len(by[end]) > 1 {
			is = "are"
		}
		parts = append(parts, fmt.Sprintf("what is in %s %s %s", and(by[end]), is, end))
	}
	return strings.Join(parts, "; ")
}

// decision adds the decision by which a marker was sent.
func (a *tale) decision(w *txnMarker) {
	if m := a.decidedBy(w); m != nil {
		a.add(a.moved(m))
	}
}

// decidedBy is the decision of a marker; nil: there was none.
func (t *transactions) decidedBy(w *txnMarker) *txnMove {
	return t.moveBefore(t.idOf(w.producer), w.moment, func(m *txnMove) bool {
		return m.ends() && m.ProducerID == w.producer && m.Epoch == w.epoch
	})
}

// readBy adds that a record of a half was read.
func (a *tale) readBy(h *half) {
	if h.marker == nil || !h.marker.commit {
		return
	}
	if r := a.readerOf(h.partition, int64(h.batch.From), h.batch.moment, nil); r != nil {
		a.add(r.to.step(r.client, reports.Read, onClient, fmt.Sprintf("reads what the transaction has in %s", h.partition)).of(r.done))
	}
}

// whyTorn is by the first rule that fits.
func (a *tale) whyTorn(halves []*half) string {
	lost := halves[0]
	epochs := map[kafka.ProducerEpoch]bool{}
	for _, h := range halves {
		if h.marker != nil {
			epochs[h.marker.epoch] = true
		}
	}
	if text := a.undecided(halves); text != "" {
		return text
	}
	if text := a.forgotten(halves); text != "" {
		return text
	}
	if lost.marker == nil {
		a.remark(lost.batch.moment, lost.batch.host, "no marker follows")
		return a.unmarked(lost.batch)
	}
	if text := a.markerOfBefore(lost); text != "" {
		return text
	}
	if len(epochs) == 1 {
		a.remark(lost.marker.moment, lost.marker.host, "an abort marker")
		return fmt.Sprintf("The partitions have markers of one epoch (%d) that say different things: an end has one decision, and all its markers say the same.", lost.marker.epoch)
	}
	return ""
}

// markerOfBefore: the marker of a transaction before ended one that had begun since.
func (a *tale) markerOfBefore(lost *half) string {
	w := lost.marker
	if w == nil || w.epoch > lost.batch.ProducerEpoch {
		return ""
	}
	m := a.decidedBy(w)
	if m == nil || !m.before(lost.batch.moment) {
		return ""
	}
	a.remark(w.moment, w.host, "decided before the transaction began")
	return fmt.Sprintf("That %s marker was decided at %s, of epoch %d, for the transaction before; it came %s later, when the next transaction of the producer, of epoch %d, was open in %s, and ended that. A leader must refuse a marker whose epoch is not above that of the open transaction (KIP-890).",
		end(w.commit), reports.Seconds(m.at), w.epoch, reports.Lasting(w.moment.at-m.at), lost.batch.ProducerEpoch, lost.partition)
}

// undecided: a marker was sent of a decision that was not committed, and a coordinator after decided otherwise.
func (a *tale) undecided(halves []*half) string {
	lost := halves[0].marker
	if lost == nil || a.decidedBy(lost) == nil {
		return ""
	}
	for _, h := range halves[1:] {
		w := h.marker
		if w == nil || w.commit == lost.commit || w.epoch != lost.epoch || a.decidedBy(w) != nil {
			continue
		}
		took := a.takeovers(a.id, moment{}, w.moment)
		later := a.takeovers(a.id, w.moment, lost.moment)
		if len(took) == 0 || len(later) == 0 {
			return ""
		}
		by, next := took[len(took)-1], later[len(later)-1]
		a.add(takesOver(by))
		a.add(takesOver(next))
		a.remark(w.moment, w.host, "no decision is committed yet")
		return fmt.Sprintf("The %s marker of %s was appended at %s, when no decision was committed to %s: %s, which coordinated it then, had it in its own log at most. %s took over, did not find it, and decided to %s. Markers may be sent only when the decision is committed (KIP-98).",
			end(w.commit), h.partition, reports.Seconds(w.moment.at), by.name, by.host, next.host, end(lost.commit))
	}
	return ""
}

// forgotten: a coordinator that took over did not know of the transaction, and the markers
// of later ones ended it.
func (a *tale) forgotten(halves []*half) string {
	lost := halves[0]
	until := a.last
	for _, h := range halves {
		if h.marker != nil && h.marker.before(until) {
			until = h.marker.moment
		}
	}
	own := a.moveAfter(a.id, lost.batch.moment, func(m *txnMove) bool { return m.ends() && m.before(until) && m.has(lost.partition) })
	if own != nil && own.before(until) && lost.marker != nil && own.Epoch == lost.marker.epoch && len(a.takeovers(a.id, lost.batch.moment, own.moment)) == 0 {
		return ""
	}
	var by []string
	for _, h := range halves {
		if h.marker == nil || h.marker.epoch == lost.batch.ProducerEpoch {
			continue
		}
		by = append(by, fmt.Sprintf("the %s marker of epoch %d in %s", end(h.marker.commit), h.marker.epoch, h.partition))
	}
	took := a.takeovers(a.id, lost.batch.moment, until)
	if len(by) < 2 || len(took) == 0 {
		return ""
	}
	l := took[len(took)-1]
	if a.moveBefore(a.id, l.moment, func(m *txnMove) bool {
		return m.To == "Ongoing" && m.Epoch == lost.batch.ProducerEpoch && m.ProducerID == lost.batch.ProducerID && !slices.ContainsFunc(halves, func(h *half) bool { return !m.has(h.partition) })
	}) != nil {
		return "" // it was committed there
	}
	a.add(takesOver(l))
	a.remark(l.moment, l.host, "does not know of the transaction")
	return fmt.Sprintf("%s took over %s from its log, and the transaction (epoch %d) was not in it with all its partitions. So it was not ended as one: %s ended it, each for a transaction of its own.",
		l.host, l.name, lost.batch.ProducerEpoch, and(by))
}

// unmarked says why a partition has no marker behind a batch of a transaction.
func (a *tale) unmarked(b *txnBatch) string {
	for _, r := range a.refused {
		if r.producer == b.ProducerID && r.partition == b.partition && b.before(r.moment) {
			return a.markerGivenUp(b, r)
		}
	}
	if w := a.lateAppend(b); w != nil {
		a.add(a.marker(w))
		a.remark(b.moment, b.host, "behind the marker at %d", w.at)
		return fmt.Sprintf("%s appended it behind the marker that ended its transaction (offset %d, epoch %d). A leader must ask the coordinator whether the transaction is open before it takes the first record, and look again when it appends (KIP-890): else no marker will ever follow.",
			b.host, w.at, w.epoch)
	}
	decided := a.moveAfter(a.id, b.moment, func(m *txnMove) bool { return m.ends() })
	switch {
	case decided != nil && !decided.has(b.partition):
		a.add(a.moved(decided))
		a.remark(decided.moment, decided.host, "without %s", b.partition)
		text := fmt.Sprintf("%s decided to %s the transaction with %s: without %s, so it sent no marker there.", decided.host, end(decided.To == "PrepareCommit"), with(decided), b.partition)
		if took := a.takeovers(a.id, b.moment, decided.moment); len(took) > 0 {
			a.add(takesOver(took[len(took)-1]))
			text += fmt.Sprintf(" It had read the transaction from %s before: what is not in that log, the next coordinator does not know.", took[len(took)-1].name)
			text += a.neverWritten(b)
		}
		return text
	case decided != nil:
		a.add(a.moved(decided))
		text := fmt.Sprintf("It was decided to %s the transaction at %s, and the marker for %s was never appended", end(decided.To == "PrepareCommit"), reports.Seconds(decided.at), b.partition)
		complete := a.moveAfter(a.id, decided.moment, func(m *txnMove) bool { return m.Epoch == decided.Epoch && !m.ends() })
		if complete == nil {
			return text + "."
		}
		a.add(a.moved(complete))
		a.remark(complete.moment, complete.host, "no marker in %s", b.partition)
		return text + fmt.Sprintf(": %s took it for written, and has the transaction as %s.%s", complete.host, complete.To, a.earlyAnswer(b.partition))
	}
	if took := a.takeovers(a.id, b.moment, a.last); len(took) > 0 {
		l := took[len(took)-1]
		a.add(takesOver(l))
		a.remark(l.moment, l.host, "does not know of the transaction")
		return fmt.Sprintf("%s took over %s from its log, and the transaction was not in it: no coordinator knows that it is open, and none ends it.%s", l.host, l.name, a.neverWritten(b))
	}
	return ""
}

// neverWritten says that the coordinator let a partition into a transaction, and that its log never said so.
func (a *tale) neverWritten(b *txnBatch) string {
	written := a.moveBefore(a.id, a.last, func(m *txnMove) bool {
		return m.To == "Ongoing" && m.ProducerID == b.ProducerID && m.Epoch == b.ProducerEpoch && m.has(b.partition)
	})
	first := a.takeovers(a.id, moment{}, b.moment)
	if written != nil || len(first) == 0 {
		return ""
	}
	l := first[len(first)-1]
	return fmt.Sprintf(" %s, which coordinated it before, had never committed to %s that %s is in the transaction: that must be there before the first record is let in (KIP-98).", l.host, l.name, b.partition)
}

// earlyAnswer says how a marker of a group's offsets comes to be taken for written.
func (a *tale) earlyAnswer(partition string) string {
	if tp, err := kafka.ParseTopicPartition(partition); err != nil || tp.Topic != kafka.OffsetsTopic {
		return ""
	}
	return " The group coordinator must append the marker before it is answered (KAFKA-17507)."
}

// markerGivenUp: the coordinator was told that its marker is not taken.
func (a *tale) markerGivenUp(b *txnBatch, r txnMarker) string {
	a.add(r.step(r.host, reports.Broke, onTransaction, fmt.Sprintf("gives up the marker for %s, epoch %d: %s", r.partition, r.epoch, short(r.err))).in(r.partition))
	a.remark(r.moment, r.host, "marker refused")
	text := fmt.Sprintf("The marker for %s was refused: %s. The coordinator does not send it again, and the transaction stays as it is.", r.partition, short(r.err))
	if w := a.markerOf(r.partition, r.producer, r.epoch, r.moment); w != nil {
		a.add(a.marker(w))
		text += fmt.Sprintf(" %s has this very marker already, at offset %d: one that is sent again must be answered with success (KAFKA-19999).", r.partition, w.at)
	}
	return text
}

// markerOf is the marker of a producer and an epoch in a partition, before a moment.
func (t *transactions) markerOf(partition string, producer kafka.ProducerID, epoch kafka.ProducerEpoch, until moment) *txnMarker {
	for i := range t.written {
		if w := &t.written[i]; w.partition == partition && w.producer == producer && w.epoch == epoch && w.before(until) {
			return w
		}
	}
	return nil
}

// lateAppend is the marker that had ended the transaction of a batch before it was appended.
func (t *transactions) lateAppend(b *txnBatch) (found *txnMarker) {
	for i := range t.written {
		w := &t.written[i]
		if w.partition == b.partition && w.producer == b.ProducerID && w.before(b.moment) && w.epoch > b.ProducerEpoch {
			found = w
		}
	}
	return found
}

// stillOpen is for how long a transaction must be open at the end to be hanging.
const stillOpen = 20 * time.Second

// stuck is a last stable offset that stands still to the end, below the high watermark.
type stuck struct {
	since stability // when it was first below the high watermark
	hw    kafka.Offset
	open  *txnBatch // that it stands at
}

// explainHanging explains that the last stable offset of a partition stands still; of any
// partition, if none is named.
func explainHanging(t *transactions, partition string) *reports.Why {
	all := t.stuckAt(partition)
	if len(all) == 0 {
		return nil
	}
	s, b := all[0].since, all[0].open
	a := &tale{transactions: t, id: t.idOf(b.ProducerID), partition: s.partition}
	a.record = &reports.RecordAt{Partition: s.partition, Epoch: int32(b.Batch.Epoch), First: int64(b.From), Last: int64(b.End) - 1}
	a.begins(b)
	a.appended(b, int64(b.From))
	a.add(s.step(s.host, reports.Committed, onReplica, fmt.Sprintf("holds %s stable up to offset %d; high watermark %d", s.partition, s.to, s.hw)).on(s.to))
	what := fmt.Sprintf("%s is stable up to offset %d only, from %s to the end of the run: a transaction of %s is open there, and hides %d offsets from read_committed consumers",
		s.partition, s.to, reports.Seconds(b.at), a.id, all[0].hw-s.to)
	because := a.unmarked(b)
	if because != "" && len(a.remarks) == 0 {
		a.remark(b.moment, b.host, "open to the end")
	}
	if because != "" {
		because += a.unstableOffsets(all)
	}
	return a.conclude(reports.Hanging, what, because)
}

// unstableOffsets says what an open transaction means to the groups whose offsets it was to commit.
func (a *tale) unstableOffsets(all []stuck) string {
	for _, s := range all {
		tp, err := kafka.ParseTopicPartition(s.since.partition)
		if err != nil || tp.Topic != kafka.OffsetsTopic || a.idOf(s.open.ProducerID) != a.id {
			continue
		}
		for _, p := range a.pending {
			if p.producer == s.open.ProducerID && p.epoch == s.open.ProducerEpoch && s.open.before(p.moment) {
				a.add(p.step(p.host, reports.Staged, onGroup, fmt.Sprintf("has offset %d of %s pending for group %s, until the transaction ends", p.offset, p.partition, p.group)).in(s.since.partition))
				a.waits(p)
				break
			}
		}
		return fmt.Sprintf(" %s holds offsets of a group that the transaction was to commit: as long as it is open, members that ask where to go on are answered UNSTABLE_OFFSET_COMMIT, and read nothing (KIP-447).", s.since.partition)
	}
	return ""
}

// waits adds the last member that owns a partition whose offset is pending, and reads nothing of it.
func (a *tale) waits(p pendingOffset) {
	for i := len(a.owners) - 1; i >= 0; i-- {
		o := a.owners[i]
		if o.group != p.group || o.partition != p.partition || !o.owns {
			continue
		}
		reads := slices.ContainsFunc(a.ops, func(op *txnOp) bool {
			return op.client == o.host && o.before(op.to) && slices.ContainsFunc(op.polls, func(r polledRun) bool { return r.partition == p.partition })
		})
		if p.before(o.moment) && !reads {
			a.add(o.step(o.host, reports.Assigned, onClient, fmt.Sprintf("owns %s of group %s from now on, and reads nothing of it to the end", p.partition, p.group)))
		}
		return
	}
}

// stuckAt is where a leader's last stable offset stands still to the end, with a transaction open there,
// what was appended first at the head.
func (t *transactions) stuckAt(partition string) (all []stuck) {
	now := map[string]*stuck{} // where each stands
	for _, s := range t.stable {
		was := now[s.partition]
		switch {
		case partition != "" && s.partition != partition || t.led[s.partition] != s.host:
		case was != nil && was.since.to == s.to && s.to < s.hw:
			if was.since.to == was.since.hw {
				was.since = s // now it is below
			}
			was.hw = s.hw
		default:
			now[s.partition] = &stuck{s, s.hw, nil}
		}
	}
	for _, s := range now { //det:allow they are sorted
		s.open = t.batchAt(s.since.partition, int64(s.since.to), t.last)
		if s.since.to < s.hw && s.open != nil && !s.open.Control && t.marked(s.since.partition, s.open.ProducerID, s.open.moment) == nil &&
			(partition != "" || t.last.at-s.open.at >= stillOpen) {
			all = append(all, *s)
		}
	}
	slices.SortFunc(all, func(x, y stuck) int { return cmp.Compare(x.open.seq, y.open.seq) })
	return all
}

// explainUnfinished is about a transactional id that is decided, and never complete.
func explainUnfinished(t *transactions) *reports.Why {
	var ids []string
	for _, m := range t.moves {
		if !slices.Contains(ids, m.TxnID) {
			ids = append(ids, m.TxnID)
		}
	}
	for _, id := range ids {
		m := t.moveBefore(id, t.last, func(*txnMove) bool { return true })
		if m == nil || !m.ends() || t.last.at-m.at < stillOpen {
			continue
		}
		if why := t.unfinished(m); why != nil {
			return why
		}
	}
	return nil
}

func (t *transactions) unfinished(m *txnMove) *reports.Why {
	a := &tale{transactions: t, id: m.TxnID}
	a.add(a.moved(m))
	var lacks, refused []string
	for _, r := range t.refused {
		if r.id == m.TxnID && m.before(r.moment) && !slices.Contains(refused, r.partition) {
			refused = append(refused, r.partition)
			if a.partition == "" {
				a.partition = r.partition
				a.markerGivenUp(&txnBatch{}, r)
			} else {
				a.add(r.step(r.host, reports.Broke, onTransaction, fmt.Sprintf("gives up the marker for %s, epoch %d: %s", r.partition, r.epoch, short(r.err))).in(r.partition))
			}
		}
	}
	for _, tp := range m.Partitions {
		if t.markerOf(tp.String(), m.ProducerID, m.Epoch, t.last) == nil {
			lacks = append(lacks, tp.String())
		}
	}
	what := fmt.Sprintf("The transaction of %s was decided at %s (%s, epoch %d), and is not complete at the end of the run", m.TxnID, reports.Seconds(m.at), m.To, m.Epoch)
	switch {
	case len(refused) > 0:
		again := ""
		if w := t.markerOf(refused[0], m.ProducerID, m.Epoch, t.last); w != nil {
			again = fmt.Sprintf(" They have this very marker already (%s at offset %d): one that is sent again, by a coordinator that took over, must be answered with success (KAFKA-19999).", w.partition, w.at)
		}
		return a.conclude(reports.Hanging, what, fmt.Sprintf("Its markers for %s were refused, so the coordinator waits for them for ever.%s", and(refused), again))
	case len(lacks) > 0:
		a.partition = lacks[0]
		return a.conclude(reports.Hanging, what, fmt.Sprintf("Its marker for %s was never appended.", and(lacks)))
	}
	if because := a.neverSentAgain(m); because != "" {
		return a.conclude(reports.Hanging, what, because)
	}
	return nil
}

// neverSentAgain: all partitions have markers of the decision, but not of the coordinator that took over last. It
// was told meanwhile of markers that it had sent in an earlier epoch.
func (a *tale) neverSentAgain(m *txnMove) string {
	took := a.takeovers(a.id, m.moment, a.last)
	if len(took) == 0 {
		return ""
	}
	l := took[len(took)-1]
	of := func(w *txnMarker) bool { return w.producer == m.ProducerID && w.epoch == m.Epoch }
	present := func(w *txnMarker) bool { return of(w) && w.coordinator == int32(l.epoch) }
	var lacks []string
	for i := range a.queued {
		q := &a.queued[i]
		has := func(w txnMarker) bool { return w.partition == q.partition && present(&w) }
		if q.host == l.host && present(q) && !slices.ContainsFunc(a.written, has) && !slices.ContainsFunc(a.heard, has) {
			lacks = append(lacks, q.partition)
		}
	}
	var old *txnMarker
	for i := range a.heard {
		if x := &a.heard[i]; x.host == l.host && of(x) && x.coordinator < int32(l.epoch) && l.before(x.moment) && slices.Contains(lacks, x.partition) {
			old = x
		}
	}
	if old == nil {
		return ""
	}
	a.partition = old.partition
	for i := range a.written {
		if w := &a.written[i]; w.partition == a.partition && of(w) {
			s := a.marker(w)
			s.Text += fmt.Sprintf(", of coordinator epoch %d", w.coordinator)
			a.add(s)
		}
	}
	for _, x := range took {
		a.add(takesOver(x))
	}
	a.add(old.step(old.host, reports.Broke, onTransaction, fmt.Sprintf("is told that %s has the marker of %s, epoch %d, which it had sent in coordinator epoch %d", old.partition, a.id, old.epoch, old.coordinator)).in(old.partition))
	a.remark(old.moment, old.host, "an answer of epoch %d", old.coordinator)
	a.asksOn(m)
	return fmt.Sprintf("%s coordinates it in epoch %d, and had to send the markers once more: %s has none of that epoch to the end. All that it was told of %s since was that it has the marker of epoch %d, in which %s had coordinated before: an answer to a marker of another epoch must not end the delivery of the present one (KAFKA-17877, KAFKA-16352).",
		l.host, l.epoch, and(lacks), old.partition, old.coordinator, l.host)
}

// asksOn adds that the producer asks for the end of its transaction, to the end of the run.
func (a *tale) asksOn(m *txnMove) {
	var first *txnEvent
	times := 0
	for i := range a.asked {
		if x := &a.asked[i]; x.id == a.id && x.producer == m.ProducerID && m.before(x.moment) {
			if times++; first == nil {
				first = x
			}
		}
	}
	if first != nil {
		a.add(first.step(first.host, reports.Answered, onClient, fmt.Sprintf("asks for the end of the transaction, %d times from now on", times)))
	}
}
