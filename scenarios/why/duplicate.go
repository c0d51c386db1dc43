package why

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/reports"
)

// explainDuplicate explains that a record is in the log at two offsets.
func (a *account) explainDuplicate(v *reports.Violation) *reports.Why {
	if len(v.Offsets) < 2 {
		return nil
	}
	offsets := slices.Clone(v.Offsets)
	slices.Sort(offsets)
	first, second := a.leaderAppend(offsets[0], moment{}), (*appended)(nil)
	if first != nil {
		second = a.leaderAppend(offsets[1], first.moment)
	}
	if first != nil && second == nil {
		return a.explainOtherOffset(v, first, offsets)
	}
	if second == nil {
		return nil
	}
	w := a.follow(first.epoch, kafka.Offset(offsets[0]), kafka.Offset(offsets[0]))
	w.sent = a.sendOfValue(v.Values)
	w.spread()
	for _, gone := range w.lost {
		if w.sent != nil && gone.client == w.sent.client && w.sent.from.before(gone.moment) && gone.before(second.moment) {
			w.add(gone.step(gone.client, reports.Answered, onClient, "waits for the answer to a Produce request no longer: "+gone.why))
			break
		}
	}
	if r := w.refusedRetry(first, second); r != nil {
		w.add(r.step(r.host, reports.Broke, onReplica, fmt.Sprintf("answers a retry of %s: %s", r.client, kerr.TypedErrorForCode(r.code).Message)).on(first.from))
	}
	w.trouble(second.moment)
	w.add(second.step(a.name(second.node), reports.Appended, onReplica, fmt.Sprintf("appends it again, at offset %d, as leader in epoch %d", offsets[1], second.epoch)).on(kafka.Offset(offsets[1])))
	for _, p := range a.polls {
		if p.epoch == int32(second.epoch) && p.first <= offsets[1] && offsets[1] <= p.last {
			w.add(p.step(p.client, reports.Read, onClient, fmt.Sprintf("reads it a second time, at offset %d", offsets[1])).of(p.op))
			break
		}
	}
	client := "its producer"
	if w.sent != nil {
		client = w.sent.client
	}
	value := "a record"
	if len(v.Values) > 0 {
		value = v.Values[0]
	}
	what := fmt.Sprintf("%s, which %s sent once, is in %s at offsets %d and %d", value, client, a.partition, offsets[0], offsets[1])
	return w.conclude(reports.Duplicated, what, a.whyTwice(w, first, second))
}

// explainOtherOffset: a record is in the log once, and its producer was told another offset.
func (a *account) explainOtherOffset(v *reports.Violation, first *appended, offsets []int64) *reports.Why {
	told := a.sendOfValue(v.Values)
	if told == nil || told.offset != offsets[1] || told.to.seq == 0 || !first.before(told.to) {
		return nil
	}
	w := a.follow(first.epoch, kafka.Offset(offsets[0]), kafka.Offset(offsets[0]))
	if w == nil {
		return nil
	}
	w.sent = told
	w.spread()
	for _, gone := range w.lost {
		if gone.client == told.client && told.from.before(gone.moment) && gone.before(told.to) {
			w.add(gone.step(gone.client, reports.Answered, onClient, "waits for the answer to a Produce request no longer: "+gone.why))
			break
		}
	}
	w.remark(told.to, first.node, "it is at offset %d", offsets[0])
	what := fmt.Sprintf("%s is in %s at offset %d, once, and its producer %s was told that it is at offset %d", told.value, a.partition, offsets[0], told.client, told.offset)
	return w.conclude(reports.Duplicated, what, fmt.Sprintf("%s had the batch (producer %d, sequence %d) at offset %d since %s. A leader that is sent a batch once more must answer with the offset at which it has it, not with one of its own (KIP-98).",
		a.name(first.node), first.batch.ProducerID, first.batch.FirstSequence, first.from, reports.Seconds(first.at)))
}

// refusedRetry is the last error with which a leader answered a request of the
// producer between the two appends; nil: there was none.
func (w *way) refusedRetry(first, second *appended) (last *refused) {
	for i, r := range w.refused {
		if w.sent != nil && r.client == w.sent.client && r.host == w.name(second.node) && first.before(r.moment) && r.before(second.moment) {
			last = &w.refused[i]
		}
	}
	return last
}

// leaderAppend is the append by a leader that covers an offset, after a moment.
func (a *account) leaderAppend(offset int64, after moment) (found *appended) {
	for i, b := range a.appends {
		if b.leads && after.before(b.moment) && int64(b.from) <= offset && offset < int64(b.end) {
			found = &a.appends[i] // the last one: what was there before is gone
		}
	}
	return found
}

func (a *account) sendOfValue(values []string) *send {
	for i := range a.sends {
		if slices.Contains(values, a.sends[i].value) {
			return &a.sends[i]
		}
	}
	return nil
}

// whyTwice is why a leader took the record twice.
func (a *account) whyTwice(w *way, first, second *appended) string {
	x, y := first.batch, second.batch
	const noProducer = kafka.NoProducer
	switch {
	case x.ProducerID == noProducer || y.ProducerID == noProducer:
		return fmt.Sprintf("The producer is not idempotent: its batches have no producer id and no sequence. %s cannot know that it is the same record, sent again.", a.name(second.node))
	case x.ProducerID == y.ProducerID && x.ProducerEpoch != y.ProducerEpoch && w.refusedRetry(first, second) != nil:
		r := w.refusedRetry(first, second)
		w.remark(r.moment, second.node, "has sequence %d at offset %d", x.FirstSequence, first.from)
		return fmt.Sprintf("%s answered a retry with %s, although its log has the batch (sequence %d) at offset %d: a duplicate is answered with its offset.%s The producer took epoch %d, in which no sequence is known, and sent it again.",
			r.host, kerr.TypedErrorForCode(r.code).Message, x.FirstSequence, first.from, w.reopened(first, second), y.ProducerEpoch)
	case x.ProducerID != y.ProducerID || x.ProducerEpoch != y.ProducerEpoch:
		return fmt.Sprintf("It was sent again with another identity: producer id %d, epoch %d, and then %d, epoch %d. A leader knows a repeated sequence only within one.",
			x.ProducerID, x.ProducerEpoch, y.ProducerID, y.ProducerEpoch)
	case x.FirstSequence != y.FirstSequence:
		return fmt.Sprintf("It was sent again with sequence %d instead of %d.", y.FirstSequence, x.FirstSequence)
	}
	text := fmt.Sprintf("%s appended sequence %d of producer %d a second time, although its log had it at offset %d.", a.name(second.node), y.FirstSequence, y.ProducerID, first.from)
	w.remark(second.moment, second.node, "sequence %d again", y.FirstSequence)
	if reopened := w.reopened(first, second); reopened != "" {
		return text + reopened
	}
	if between := a.between(first, second); between > 0 {
		return text + fmt.Sprintf(" %d batches of the producer stood between: a leader must know the last 5 (KIP-98).", between)
	}
	return text + " A leader must know the last 5 batches of a producer (KIP-98)."
}

// reopened says that the leader opened its log between the two appends, if it did.
func (w *way) reopened(first, second *appended) string {
	for _, e := range w.ends {
		if e.how == byOpening && e.node == second.node && first.before(e.moment) && e.before(second.moment) {
			return " It had opened its log in between, and no longer knew all of the last batches of the producer."
		}
	}
	return ""
}

// between is how many batches of the producer the leader appended between the two.
func (a *account) between(first, second *appended) (n int) {
	for _, b := range a.appends {
		if b.leads && b.batch.ProducerID == first.batch.ProducerID && first.before(b.moment) && b.before(second.moment) {
			n++
		}
	}
	return n
}
