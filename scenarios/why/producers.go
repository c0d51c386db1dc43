package why

import (
	"fmt"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/reports"
)

// rewritten: the cleaner put one segment instead of those that held some offsets of a
// replica's log.
type rewritten struct {
	moment
	host string
	witness.SegmentsReplaced
}

// over reports whether an offset was in them.
func (r *rewritten) over(offset kafka.Offset) bool { return r.Base <= offset && offset < r.To }

// explainProducer explains that what replicas know of a producer is not what their logs
// say, or not the same: it follows the last batch that the producer has in any of them.
func (a *account) explainProducer(producer kafka.ProducerID, host string) *reports.Why {
	last := a.lastBatchOf(producer)
	if last == nil {
		return nil
	}
	w := a.follow(last.epoch, last.from, last.end-1)
	w.spread()
	forgets := w.forgetful(host)
	if forgets == nil {
		return nil
	}
	w.trouble(w.account.last)
	w.add(forgets.step(a.name(forgets.node), reports.Lost, onReplica, fmt.Sprintf("opens its log again: it ends at %d", forgets.to)))
	because := fmt.Sprintf("%s opened its log again afterwards: what it knows of producers is what was in its snapshot of them and in the batches behind (KIP-98).", a.name(forgets.node))
	if c := w.cleanedFor(forgets); c != nil {
		w.add(c.step(c.host, reports.Broke, onReplica, fmt.Sprintf("cleans its log: %d segments with offsets %d to %d become one", c.Segments, c.Base, c.To-1)).on(w.first))
		w.remarks = append(w.remarks, reports.Remark{At: reports.Seconds(c.at), Host: c.host, Text: fmt.Sprintf("cleaned over offset %d", w.first)})
		how := "opened the log again afterwards: what a broker knows of producers it then reads from the batches that are there."
		if forgets.to <= w.first {
			how = fmt.Sprintf("%s, which had lost its log, copied what was left.", a.name(forgets.node))
		}
		because = fmt.Sprintf("%s cleaned its log over that batch, and %s The cleaner must keep the last batch of each producer, if need be without a record (KAFKA-5490).", c.host, how)
	}
	what := fmt.Sprintf("The last batch of producer %d, sequence %d in epoch %d, is at %s: not all replicas know of it as their logs have it",
		producer, last.batch.LastSequence, last.batch.ProducerEpoch, w.record())
	return w.conclude(reports.ForgottenProducer, what, because)
}

// lastBatchOf is the append by a leader of the last batch of a producer.
func (a *account) lastBatchOf(producer kafka.ProducerID) (last *appended) {
	for i, b := range a.appends {
		if b.leads && b.batch.ProducerID == producer && !b.batch.Control {
			last = &a.appends[i]
		}
	}
	return last
}

// forgetful is how a replica that had the batch opened its log afterwards: the one on the
// host where the law broke, else the last whose log was cleaned before.
func (w *way) forgetful(host string) (found *ended) {
	for i := range w.ends {
		e := &w.ends[i]
		if e.how == byTruncation || !w.had(e.node, e.moment) {
			continue
		}
		if w.name(e.node) == host || w.cleanedFor(e) != nil && (found == nil || w.name(found.node) != host) {
			found = e
		}
	}
	return found
}

// had reports whether the batch came into a replica's log before a moment.
func (w *way) had(node kafka.NodeID, until moment) bool {
	for _, h := range w.holders {
		if h.node == node && h.from.before(until) {
			return true
		}
	}
	return false
}

// cleanedFor is how the cleaner rewrote the batch on a replica that was opened later, or,
// if that had lost its log, on one that it may have copied it from; nil: it did not.
func (w *way) cleanedFor(opened *ended) (last *rewritten) {
	for i := range w.rewrites {
		r := &w.rewrites[i]
		own := r.host == w.name(opened.node)
		if !r.over(w.first) || !w.holders[0].from.before(r.moment) || own != (opened.to > w.first) || own && !r.before(opened.moment) {
			continue
		}
		last = r
	}
	return last
}
