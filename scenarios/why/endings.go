package why

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/reports"
)

// What a coordinator does with a transactional id, and must not.

// explainState explains that a transactional id went to a state that it must not go to.
func (t *transactions) explainState(e *witness.TxnState) *reports.Why {
	now := t.moveBefore(e.TxnID, after(t.last), func(*txnMove) bool { return true })
	if now == nil {
		return nil
	}
	before := t.moveBefore(e.TxnID, now.moment, func(*txnMove) bool { return true })
	a := &tale{transactions: t, id: e.TxnID}
	a.recent(now)
	var what, because string
	for _, rule := range []func(now, before *txnMove) (what, because string){a.decidedTwice, a.noNewEpoch, a.completeUndecided, a.completeUnmarked, a.epochFell} {
		if what, because = rule(now, before); what != "" {
			break
		}
	}
	if what == "" {
		what = fmt.Sprintf("%s takes %s to %s, producer %d, epoch %d", now.host, e.TxnID, e.To, e.ProducerID, e.Epoch)
	}
	s := a.moved(now)
	s.Kind = reports.Broke
	a.add(s)
	return a.conclude(reports.WrongEnd, what, because)
}

// after is the moment after another: what is before it has happened by then.
func after(m moment) moment {
	m.seq++
	return m
}

// recent adds what led to the last state: the beginning of the transaction before, its
// markers and ends, time-outs, and coordinators that took over.
func (a *tale) recent(now *txnMove) {
	const most = 4 // states of the id before the last
	var states []*txnMove
	for i := range a.moves {
		if m := &a.moves[i]; m.TxnID == a.id && m.before(now.moment) {
			states = append(states, m)
		}
	}
	states = states[max(0, len(states)-most):]
	since := now.moment
	for _, m := range states {
		a.add(a.moved(m))
		if m.before(since) {
			since = m.moment
		}
	}
	for i := range a.written {
		if w := &a.written[i]; w.producer == now.ProducerID && since.before(w.moment) && w.before(after(now.moment)) {
			a.add(a.marker(w))
		}
	}
	for _, x := range a.timeouts {
		if x.id == a.id && since.before(x.moment) && x.before(after(now.moment)) {
			a.add(x.step(x.host, reports.Fenced, onTransaction, fmt.Sprintf("finds that the transaction of %s, epoch %d, is open for too long", x.id, x.epoch)))
		}
	}
	for _, x := range a.fenced {
		if x.id == a.id && since.before(x.moment) && x.before(now.moment) {
			a.add(x.step(x.host, reports.Fenced, onTransaction, fmt.Sprintf("refuses producer %d, epoch %d: it is fenced", x.producer, x.epoch)))
		}
	}
	for _, l := range a.takeovers(a.id, since, now.moment) {
		if l.host == now.host {
			a.add(takesOver(l))
		}
	}
}

// decidedTwice: what was decided is decided otherwise.
func (a *tale) decidedTwice(now, _ *txnMove) (what, because string) {
	if !now.ends() {
		return "", ""
	}
	was := a.moveBefore(a.id, now.moment, func(m *txnMove) bool {
		return m.ends() && m.ProducerID == now.ProducerID && m.Epoch == now.Epoch && m.To != now.To
	})
	if was == nil {
		return "", ""
	}
	a.add(a.moved(was))
	a.remark(now.moment, now.host, "%s in epoch %d before", was.To, was.Epoch)
	what = fmt.Sprintf("%s decided to %s in epoch %d of producer %d, which it had decided to %s %s before: %s", now.host, end(now.To == "PrepareCommit"), now.Epoch, now.ProducerID,
		end(was.To == "PrepareCommit"), reports.Lasting(now.at-was.at), a.id)
	return what, a.epochsOf(now, fmt.Sprintf("The epoch of the end before was used once more, so a leader cannot tell the markers of the two apart. %s", newEpochs))
}

const newEpochs = "With transaction.version=2 each end takes an epoch of its own (KIP-890)."

// epochsOf adds to an explanation that a time-out took no new epoch, if that is so.
func (a *tale) epochsOf(now *txnMove, text string) string {
	for _, x := range a.timeouts {
		if x.id == a.id && x.epoch == now.Epoch && x.before(after(now.moment)) && now.at-x.at < stillOpen {
			return fmt.Sprintf("The transaction was open for longer than transaction.timeout.ms, and the coordinator aborts it, but without a new epoch: its producer is not fenced, and goes on with a transaction that is over (KAFKA-6119, KIP-588). %s", text)
		}
	}
	return text
}

// noNewEpoch: an end in the epoch of the transaction.
func (a *tale) noNewEpoch(now, before *txnMove) (what, because string) {
	if before == nil || before.To != "Ongoing" || !now.ends() || before.ProducerID != now.ProducerID || before.Epoch != now.Epoch {
		return "", ""
	}
	a.remark(now.moment, now.host, "epoch %d, as before", now.Epoch)
	what = fmt.Sprintf("%s ends the transaction of %s in epoch %d, which the transaction had: its producer is not fenced", now.host, a.id, now.Epoch)
	return what, a.epochsOf(now, "An end must take a new epoch, so that nothing which is still on its way in the old one counts. "+newEpochs)
}

// completeUndecided: a transaction is complete, and no end of it was decided.
func (a *tale) completeUndecided(now, before *txnMove) (what, because string) {
	if before == nil || before.ends() || now.To != "CompleteCommit" && now.To != "CompleteAbort" {
		return "", ""
	}
	a.remark(now.moment, now.host, "%s before", before.To)
	what = fmt.Sprintf("%s completes the transaction of %s (%s, epoch %d) that is %s: its end was never decided", now.host, a.id, now.To, now.Epoch, before.To)
	because = "A transaction is complete when all markers of its decision are written, and this one has none."
	if was := a.moveBefore(a.id, now.moment, func(m *txnMove) bool { return m.To == now.To }); was != nil && was.ProducerID == now.ProducerID {
		a.add(a.moved(was))
		because += fmt.Sprintf(" The one before was complete at %s (%s, epoch %d): that completion was carried out a second time, over the transaction that had begun since (KAFKA-10080).", reports.Seconds(was.at), was.To, was.Epoch)
	}
	return what, because
}

// completeUnmarked: a transaction is complete, and a partition has no marker of it.
func (a *tale) completeUnmarked(now, before *txnMove) (what, because string) {
	if before == nil || !before.ends() || now.To != "CompleteCommit" && now.To != "CompleteAbort" {
		return "", ""
	}
	var lacks []string
	for _, tp := range before.Partitions {
		if a.markerOf(tp.String(), before.ProducerID, before.Epoch, after(now.moment)) == nil {
			lacks = append(lacks, tp.String())
		}
	}
	if len(lacks) == 0 {
		return "", ""
	}
	slices.Sort(lacks)
	a.partition = lacks[0]
	a.remark(now.moment, now.host, "no marker in %s", and(lacks))
	what = fmt.Sprintf("%s completes the transaction of %s (epoch %d), and %s has no marker of it", now.host, a.id, now.Epoch, and(lacks))
	return what, fmt.Sprintf("All partitions of the decision must have its marker first. %s counted an answer that was not for this marker.", now.host)
}

// epochFell: the epoch of a producer is below the one it had.
func (a *tale) epochFell(now, before *txnMove) (what, because string) {
	if before == nil || before.ProducerID != now.ProducerID || now.Epoch >= before.Epoch {
		return "", ""
	}
	a.remark(now.moment, now.host, "epoch %d; it had %d", now.Epoch, before.Epoch)
	what = fmt.Sprintf("%s takes %s from epoch %d back to epoch %d of producer %d", now.host, a.id, before.Epoch, now.Epoch, now.ProducerID)
	because = "An epoch that falls lets in what was fenced."
	if before.Epoch >= lastEpoch-1 {
		because = fmt.Sprintf("Epoch %d is the last in which a producer may write: then its transactional id goes on with a new producer id, from epoch 0 (KIP-360, KIP-890). ", lastEpoch) + because
	}
	if before.To == "Ongoing" && now.ends() && now.Version >= 2 && uint16(now.Epoch)-uint16(before.Epoch) == 2 {
		because = "An end takes one epoch, and this one took two: it passed over the one that is only for markers (KAFKA-19367). " + because
	}
	if kept := a.keptUsedUp(now.ProducerID, now.moment); kept != "" {
		because = kept + " An epoch that falls lets in what was fenced."
	}
	return what, because
}

// lastEpoch is the last in which a producer may write. The one above it is only for markers.
const lastEpoch = 32766

// keptUsedUp: a transaction was complete in the epoch that is only for markers, and its id has the same
// producer id still: the decision that a coordinator had from its log named no other. Below version 2 an id gets
// another one with the next InitProducerId only.
func (a *tale) keptUsedUp(producer kafka.ProducerID, until moment) string {
	complete := a.moveBefore(a.id, until, func(m *txnMove) bool {
		return (m.To == "CompleteCommit" || m.To == "CompleteAbort") && m.ProducerID == producer && m.Epoch > lastEpoch && m.Version >= 2
	})
	if complete == nil {
		return ""
	}
	var sent *txnMarker
	for i := range a.queued {
		if q := &a.queued[i]; q.id == a.id && q.host == complete.host && q.producer == producer && q.epoch == complete.Epoch && q.before(complete.moment) {
			sent = q
		}
	}
	if sent == nil || sent.next != kafka.NoProducer {
		return ""
	}
	open := a.moveBefore(a.id, sent.moment, func(m *txnMove) bool { return m.To == "Ongoing" && m.ProducerID == producer })
	if open == nil || open.Epoch != lastEpoch {
		return "" // another step than to the next epoch
	}
	took := a.takeovers(a.id, open.moment, sent.moment)
	if len(took) == 0 || took[len(took)-1].host != sent.host {
		return ""
	}
	l := took[len(took)-1]
	a.add(a.moved(open))
	a.add(takesOver(l))
	a.add(a.moved(complete))
	a.add(sent.step(sent.host, reports.Broke, onTransaction, fmt.Sprintf("has the decision to %s the transaction of %s, producer %d, epoch %d, without a next producer id, and sends its markers", end(sent.commit), a.id, producer, sent.epoch)))
	a.remark(sent.moment, sent.host, "no next producer id")
	a.begunWith(producer, complete.Epoch, until)
	return fmt.Sprintf("%s had taken over %s from its log, and had from it the decision of epoch %d without the producer id that comes next. So %s kept producer %d, in an epoch that is only for markers. A decision that uses up the epochs must have the next producer id in its record: a coordinator that takes over knows nothing else (KIP-890, KAFKA-20310).",
		sent.host, l.name, sent.epoch, a.id, producer)
}

// begunWith adds that a client began a transaction with a producer id and epoch.
func (a *tale) begunWith(producer kafka.ProducerID, epoch kafka.ProducerEpoch, until moment) (found *txnEvent) {
	for i := range a.begun {
		if b := &a.begun[i]; b.id == a.id && b.producer == producer && b.epoch == epoch && b.before(until) {
			found = b
		}
	}
	if found != nil {
		a.add(found.step(found.host, reports.Began, onClient, found.text))
	}
	return found
}

// explainUsedUp explains that a client goes on with an epoch that is only for markers.
func explainUsedUp(t *transactions, v *reports.Violation) *reports.Why {
	var op *txnOp
	for _, o := range t.ops {
		if o.isOf(v) {
			op = o
		}
	}
	if op == nil {
		return nil
	}
	var with *txnEvent
	for i := range t.begun {
		if b := &t.begun[i]; b.host == op.client && !b.before(op.from) && (op.to.seq == 0 || b.before(op.to)) && b.epoch > lastEpoch {
			with = b
		}
	}
	if with == nil {
		return nil
	}
	a := &tale{transactions: t, id: with.id}
	what := fmt.Sprintf("%s began a transaction of %s with producer %d, epoch %d, which is only for markers", op.client, a.id, with.producer, with.epoch)
	if op.to.seq > 0 && op.outcome != "ok" {
		a.add(op.to.step(op.client, reports.Answered, onClient, "is told: "+short(cmp.Or(op.err, op.outcome))).of(op.done))
	}
	if because := a.keptUsedUp(with.producer, with.moment); because != "" {
		return a.conclude(reports.WrongEnd, what, because)
	}
	a.begunWith(with.producer, with.epoch, after(with.moment))
	because := a.toldUsedUp(with)
	if because == "" {
		return nil
	}
	return a.conclude(reports.WrongEnd, what, because)
}

// toldUsedUp: the answer to an EndTxn named a producer id whose epochs it had used up.
func (a *tale) toldUsedUp(with *txnEvent) string {
	var told *txnEvent
	for i := range a.ended {
		if e := &a.ended[i]; e.id == a.id && e.producer == with.producer && e.epoch == with.epoch && e.before(with.moment) {
			told = e
		}
	}
	decided := a.moveBefore(a.id, with.moment, func(m *txnMove) bool { return m.ends() && m.ProducerID == with.producer && m.Epoch == with.epoch })
	if told == nil || decided == nil {
		return ""
	}
	a.add(a.moved(decided))
	a.add(told.step(told.host, reports.Broke, onTransaction, fmt.Sprintf("answers that the transaction of %s ends, with producer %d, epoch %d, for the next one", a.id, told.producer, told.epoch)))
	a.remark(told.moment, told.host, "producer %d, epoch %d", told.producer, told.epoch)
	because := fmt.Sprintf("The end that %s decided used up the epochs of producer %d: epoch %d is only for its markers. ", decided.host, with.producer, with.epoch)
	if next := a.moveAfter(a.id, decided.moment, func(m *txnMove) bool { return m.ProducerID != with.producer }); next != nil {
		s := a.moved(next)
		s.Text += fmt.Sprintf(", with producer %d from now on", next.ProducerID)
		a.add(s)
		because += fmt.Sprintf("%s goes on with producer %d, epoch %d. ", a.id, next.ProducerID, next.Epoch)
	}
	return because + fmt.Sprintf("The answer to EndTxn must name the producer id that comes next, and epoch 0, but %s answered with the one that is used up (KAFKA-18660, KIP-890).", told.host)
}

// explainMarker explains that a leader appended a marker that it must not.
func (t *transactions) explainMarker(e *witness.MarkerWritten) *reports.Why {
	if len(t.written) == 0 {
		return nil
	}
	w := &t.written[len(t.written)-1]
	a := &tale{transactions: t, id: t.idOf(w.producer), partition: w.partition}
	now := t.moveBefore(a.id, after(t.last), func(*txnMove) bool { return true })
	if now == nil {
		return nil
	}
	a.recent(now)
	a.add(a.moved(now))
	s := a.marker(w)
	s.Kind = reports.Broke
	a.add(s)
	decided := t.decidedBy(w)
	what := fmt.Sprintf("%s appended a marker to %s that says %s, of %s, epoch %d", w.host, w.partition, end(w.commit), a.id, w.epoch)
	because := ""
	if decided == nil {
		because = fmt.Sprintf("It was not decided yet: %s has %s in %s, epoch %d.", now.host, a.id, now.To, now.Epoch)
		a.remark(w.moment, w.host, "not decided yet")
	} else if (decided.To == "PrepareCommit") != w.commit {
		because = fmt.Sprintf("It was decided to %s: %s, at %s by %s.", end(!w.commit), decided.To, reports.Seconds(decided.at), decided.host)
		a.remark(w.moment, w.host, "decided: %s", end(!w.commit))
	}
	return a.conclude(reports.WrongEnd, what, because)
}
