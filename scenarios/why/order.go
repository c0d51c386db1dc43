package why

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/reports"
)

// explainOrder explains that a record lies behind one that its producer sent later. Values and
// offsets are of the record that was sent first, and of the other.
func (a *account) explainOrder(v *reports.Violation) *reports.Why {
	if len(v.Values) < 2 || len(v.Offsets) < 2 || v.Offsets[1] >= v.Offsets[0] {
		return nil
	}
	sent, overtook := a.sendOfValue(v.Values[:1]), a.sendOfValue(v.Values[1:2])
	early := a.leaderAppend(v.Offsets[1], moment{})
	if sent == nil || overtook == nil || early == nil {
		return nil
	}
	late := a.leaderAppend(v.Offsets[0], early.moment)
	if late == nil {
		return nil
	}
	w := a.follow(early.epoch, kafka.Offset(v.Offsets[1]), kafka.Offset(v.Offsets[1]))
	if w == nil {
		return nil
	}
	w.add(sent.from.step(sent.client, reports.Sent, onClient, "sends "+sent.value).of(sent.op))
	w.add(overtook.from.step(overtook.client, reports.Sent, onClient, "sends "+overtook.value).of(overtook.op))
	because := w.firstWithGap(early, late, sent.client)
	kind := reports.Appended
	if because != "" {
		kind = reports.Broke
		w.remark(early.moment, early.node, "sequence %d first", early.batch.FirstSequence)
	}
	w.add(early.step(a.name(early.node), kind, onReplica, fmt.Sprintf("appends %s at offset %d, as leader in epoch %d: %s", overtook.value, v.Offsets[1], early.epoch, numbersOf(early))).on(kafka.Offset(v.Offsets[1])))
	w.add(late.step(a.name(late.node), reports.Appended, onReplica, fmt.Sprintf("appends %s at offset %d, as leader in epoch %d: %s", sent.value, v.Offsets[0], late.epoch, numbersOf(late))).on(kafka.Offset(v.Offsets[0])))
	what := fmt.Sprintf("%s, which %s sent before %s, lies behind it in %s: at offset %d, and the other at %d", sent.value, sent.client, overtook.value, a.partition, v.Offsets[0], v.Offsets[1])
	return w.conclude(reports.OutOfOrder, what, because)
}

// numbersOf says by what a leader knows a batch.
func numbersOf(b *appended) string {
	if b.batch.ProducerID == kafka.NoProducer {
		return "no producer id"
	}
	return fmt.Sprintf("producer %d, epoch %d, sequence %d", b.batch.ProducerID, b.batch.ProducerEpoch, b.batch.FirstSequence)
}

// firstWithGap: the first batch of a producer that a leader has in its log does not begin the producer's
// sequence, and no leader had acknowledged one before.
func (w *way) firstWithGap(early, late *appended, client string) string {
	x := early.batch
	if x.ProducerID == kafka.NoProducer || x.FirstSequence <= 0 || late.batch.ProducerID != x.ProducerID || w.hadBefore(early) || w.acknowledgedBefore(early) {
		return ""
	}
	outOfSequence := w.refusals(early, late, client)
	text := fmt.Sprintf("To %s it was the first batch of producer %d, epoch %d: it began with sequence %d, and what came before that was not in its log. A leader takes whichever sequence comes first of a producer that it does not know.",
		w.name(early.node), x.ProducerID, x.ProducerEpoch, x.FirstSequence)
	if late.batch.ProducerEpoch != x.ProducerEpoch {
		text += " What should have come before"
		if outOfSequence {
			text += " was out of sequence then, and"
		}
		text += fmt.Sprintf(" came in epoch %d.", late.batch.ProducerEpoch)
	}
	return text + fmt.Sprintf(" %s had sent that batch before it was told that any of this producer id is in %s: the first must go alone until it is answered (KAFKA-14359, KAFKA-15591).", client, w.partition)
}

// hadBefore reports whether a leader's log has, or had, a batch of the same producer id below another one.
func (w *way) hadBefore(of *appended) bool {
	for _, b := range w.appends {
		if b.node == of.node && b.batch.ProducerID == of.batch.ProducerID && b.before(of.moment) && b.from < of.from {
			return true
		}
	}
	return false
}

// acknowledgedBefore reports whether a client knew, before a batch was appended, that one of its producer id is
// in the log.
func (w *way) acknowledgedBefore(of *appended) bool {
	for _, s := range w.sends {
		if s.outcome != "ok" || s.offset < 0 || !s.to.before(of.moment) {
			continue
		}
		for _, b := range w.appends {
			if b.batch.ProducerID == of.batch.ProducerID && int32(b.epoch) == s.epoch && int64(b.from) <= s.offset && s.offset < int64(b.end) {
				return true
			}
		}
	}
	return false
}

// refusals adds the last answer by which a leader refused what the producer sent before a batch was appended, and
// the first by which one found it out of sequence after that, if there is such an answer.
func (w *way) refusals(early, late *appended, client string) (outOfSequence bool) {
	var before, after *refused
	for i := range w.refused {
		r := &w.refused[i]
		switch {
		case r.client != client:
		case r.before(early.moment) && r.code == kerr.NotLeaderForPartition.Code:
			before = r
		case early.before(r.moment) && r.before(late.moment) && after == nil && r.code == kerr.OutOfOrderSequenceNumber.Code:
			after = r
		}
	}
	for _, r := range []*refused{before, after} {
		if r != nil {
			w.add(r.step(r.host, reports.Answered, onReplica, fmt.Sprintf("answers a Produce request of %s: %s", r.client, kerr.TypedErrorForCode(r.code).Message)))
		}
	}
	return after != nil
}
