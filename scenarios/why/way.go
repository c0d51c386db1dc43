package why

import (
	"fmt"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/reports"
)

// way is the way of a record through the cluster.
type way struct {
	*account
	epoch   kafka.LeaderEpoch
	first   kafka.Offset // that is followed
	last    kafka.Offset // of those that share its fate
	steps   []step
	remarks []reports.Remark

	holders   []holder
	commit    *mark  // the first leader's high watermark above it
	sent      *send  // by which it came
	reads     []poll // that were given it
	successor *appended
}

// holder is a replica that had the record.
type holder struct {
	node     kafka.NodeID
	from     moment
	appended appended
	gone     *ended // nil: it has it still
}

// has reports whether the replica has the record at a moment.
func (h holder) has(at moment) bool {
	return h.from.before(at) && (h.gone == nil || at.before(h.gone.moment))
}

// follow finds out what became of a record. Nil: no replica ever had it.
func (a *account) follow(epoch kafka.LeaderEpoch, first, last kafka.Offset) *way {
	w := &way{account: a, epoch: epoch, first: first, last: max(first, last)}
	for _, b := range a.appends {
		if b.epoch == epoch && b.from <= first && first < b.end && !w.holding(b.node, b.moment) {
			w.holders = append(w.holders, holder{node: b.node, from: b.moment, appended: b, gone: a.goneAfter(b.node, first, b.moment)})
		}
	}
	if len(w.holders) == 0 {
		return nil
	}
	for i, m := range a.marks {
		if m.leads && m.to > first && w.holding(m.node, m.moment) {
			w.commit = &a.marks[i]
			break
		}
	}
	for i, s := range a.sends {
		if s.offset == int64(first) && s.epoch == int32(epoch) {
			w.sent = &a.sends[i]
		}
	}
	for _, p := range a.polls {
		if p.epoch == int32(epoch) && p.first <= int64(first) && int64(first) <= p.last {
			w.reads = append(w.reads, p)
		}
	}
	for i, b := range a.appends {
		if b.leads && b.epoch > epoch && b.from <= first && first < b.end {
			w.successor = &a.appends[i]
			break
		}
	}
	return w
}

func (w *way) holding(node kafka.NodeID, at moment) bool {
	return slices.ContainsFunc(w.holders, func(h holder) bool { return h.node == node && h.has(at) })
}

// holds are the replicas that have the record at a moment.
func (w *way) holds(at moment) (nodes []kafka.NodeID) {
	for _, h := range w.holders {
		if h.has(at) {
			nodes = append(nodes, h.node)
		}
	}
	return nodes
}

// goneAfter is how a replica lost what it has at an offset; nil: it did not.
func (a *account) goneAfter(node kafka.NodeID, offset kafka.Offset, since moment) *ended {
	for i, e := range a.ends {
		if e.node == node && since.before(e.moment) && e.to <= offset && e.from > offset {
			return &a.ends[i]
		}
	}
	return nil
}

// acked reports whether the record was acknowledged to its producer.
func (w *way) acked() bool { return w.sent != nil && w.sent.outcome == "ok" }

// record names it.
func (w *way) record() *reports.RecordAt {
	return &reports.RecordAt{Partition: w.partition, Epoch: int32(w.epoch), First: int64(w.first), Last: int64(w.last)}
}

func (w *way) add(s step) { w.steps = append(w.steps, s) }

func (w *way) remark(at moment, node kafka.NodeID, format string, args ...any) {
	w.remarks = append(w.remarks, reports.Remark{At: reports.Seconds(at.at), Host: w.name(node), Text: fmt.Sprintf(format, args...)})
}

// spread adds the steps from the producer to where the record was read.
func (w *way) spread() {
	if w.sent != nil {
		w.add(w.sent.from.step(w.sent.client, reports.Sent, onClient, fmt.Sprintf("sends %s to %s", w.sent.value, w.partition)).of(w.sent.op))
	}
	for _, h := range w.holders {
		b := h.appended
		kind, text := reports.Copied, fmt.Sprintf("fetches it and appends it, leader epoch %d", w.epoch)
		if b.leads {
			kind, text = reports.Appended, fmt.Sprintf("appends it at offset %d, as leader in epoch %d", w.first, w.epoch)
		}
		w.add(b.step(w.name(b.node), kind, onReplica, text).on(w.first))
	}
	if w.commit != nil {
		holds := w.holds(w.commit.moment)
		w.add(w.commit.step(w.name(w.commit.node), reports.Committed, onReplica,
			fmt.Sprintf("moves its high watermark to %d: the record is committed; %s have it", w.commit.to, w.names(holds))).on(w.first))
	}
	if s := w.sent; s != nil {
		switch s.outcome {
		case "ok":
			w.add(s.to.step(s.client, reports.Acknowledged, onClient, fmt.Sprintf("is told: success, offset %d", s.offset)).of(s.op))
		case "failed", "unknown":
			w.add(s.to.step(s.client, reports.Answered, onClient, "is told: "+s.err).of(s.op))
		}
	}
	for _, p := range w.reads[:min(1, len(w.reads))] {
		w.add(p.step(p.client, reports.Read, onClient, "reads it").of(p.op))
	}
}

// trouble adds what happened to the record afterwards: decisions of controllers,
// the ends of processes, leaders that have it or not, and how replicas lost it.
func (w *way) trouble(until moment) {
	from := w.holders[0].from
	inside := func(m moment) bool { return from.before(m) && !until.before(m) }
	w.shrinks(inside)
	for _, l := range w.lives {
		if l.down && inside(l.moment) && w.isHolder(l.host) {
			w.add(l.step(l.host, reports.Died, onReplica, l.text))
		}
	}
	w.elections(inside)
	w.leaders(inside)
	for _, h := range w.holders {
		if h.gone == nil || !inside(h.gone.moment) {
			continue
		}
		w.add(w.loss(h))
		if r, known := w.roleBefore(h.node, h.gone.moment); known && !r.leads && inside(r.moment) && h.gone.how == byTruncation {
			w.add(w.following(r))
		}
	}
	if s := w.successor; s != nil && inside(s.moment) {
		w.add(s.step(w.name(s.node), reports.Replaced, onReplica, fmt.Sprintf("appends another record at offset %d, as leader in epoch %d", w.first, s.epoch)).on(w.first))
	}
}

// elections adds the leaders that the controllers committed.
func (w *way) elections(inside func(moment) bool) {
	for i := 1; i < len(w.decisions); i++ {
		d := w.decisions[i]
		if !inside(d.moment) || d.LeaderEpoch == w.decisions[i-1].LeaderEpoch {
			continue
		}
		if d.Leader == kafka.NoNode {
			w.add(d.step(d.host, reports.Elected, onControllers, fmt.Sprintf("commits that no replica may lead, epoch %d", d.LeaderEpoch)))
			continue
		}
		text := fmt.Sprintf("commits that %s leads, epoch %d, ISR %s", w.name(d.Leader), d.LeaderEpoch, w.names(d.ISR))
		if from := w.choice(d.LeaderEpoch, d.moment); from != "" && from != witness.FromISR {
			text += fmt.Sprintf("; chosen from: %s", from)
		}
		w.add(d.step(d.host, reports.Elected, onControllers, text))
	}
}

// choice says from where the leader of an epoch was chosen whose election was committed then; empty: it
// is not known. A controller that was replaced may have chosen another for that epoch before.
func (a *account) choice(epoch kafka.LeaderEpoch, committed moment) witness.Choice {
	for _, c := range slices.Backward(a.chosen) {
		if c.Epoch == epoch && c.before(committed) {
			return c.From
		}
	}
	return ""
}

// following is how a replica became follower.
func (w *way) following(r role) step {
	text := fmt.Sprintf("follows %s in epoch %d; its high watermark is %d", w.name(r.leader), r.epoch, r.hw)
	if w.commit != nil && r.hw <= w.first {
		text += fmt.Sprintf(", the leader's was %d", w.highest(r.moment))
	}
	return r.step(w.name(r.node), reports.Followed, onReplica, text).on(r.hw)
}

// highest is the highest high watermark that a leader has had, up to a moment.
func (a *account) highest(until moment) (hw kafka.Offset) {
	for _, m := range a.marks {
		if m.leads && m.before(until) {
			hw = max(hw, m.to)
		}
	}
	return hw
}

// loss is how a replica lost the record.
func (w *way) loss(h holder) step {
	g := h.gone
	switch g.how {
	case byTruncation:
		return g.step(w.name(h.node), reports.Cut, onReplica, fmt.Sprintf("truncates its log from %d to %d: the record is gone from it", g.from, g.to)).on(w.first)
	case byRestart:
		return g.step(w.name(h.node), reports.Cut, onReplica, fmt.Sprintf("drops its log and begins anew at %d: the record is gone from it", g.to)).on(w.first)
	default:
		return g.step(w.name(h.node), reports.Lost, onReplica, fmt.Sprintf("opens its log again: it ends at %d, it had ended at %d", g.to, g.from)).on(w.first)
	}
}

// leaders adds the replicas that began to lead.
func (w *way) leaders(inside func(moment) bool) {
	for _, r := range w.roles {
		if !r.leads || r.epoch <= w.epoch || !inside(r.moment) {
			continue
		}
		text := fmt.Sprintf("leads in epoch %d; its log ends at %d", r.epoch, r.end)
		if !w.holding(r.node, r.moment) {
			text += ": it does not have the record"
		}
		w.add(r.step(w.name(r.node), reports.Led, onReplica, text).on(min(w.first, r.end)))
	}
}

// apart is how far apart two changes of the ISR are told each.
const apart = 10 * time.Millisecond

// shrinks adds the changes of the ISR by which replicas left it: of several within a
// few milliseconds the last.
func (w *way) shrinks(inside func(moment) bool) {
	var out []step
	for i := 1; i < len(w.decisions); i++ {
		d, before := w.decisions[i], w.decisions[i-1]
		var left []kafka.NodeID
		for _, n := range before.ISR {
			if !slices.Contains(d.ISR, n) {
				left = append(left, n)
			}
		}
		if len(left) == 0 || !inside(d.moment) || d.LeaderEpoch != before.LeaderEpoch {
			continue // with another leader it is told as an election
		}
		s := d.step(d.host, reports.ISRChanged, onControllers, fmt.Sprintf("commits that the ISR is %s, without %s", w.names(d.ISR), w.names(left)))
		if n := len(out); n > 0 && s.at-out[n-1].at < apart {
			out[n-1] = s
		} else {
			out = append(out, s)
		}
	}
	for _, s := range out {
		w.add(s)
	}
}

func (w *way) isHolder(host string) bool {
	return slices.ContainsFunc(w.holders, func(h holder) bool { return w.name(h.node) == host })
}

// mostSteps is how many steps are told; the rest is counted.
const mostSteps = 12

// conclude puts the steps in order and makes an explanation of them.
func (w *way) conclude(kind reports.WhyKind, what, because string) *reports.Why {
	steps, left := chosenSteps(w.steps)
	return &reports.Why{Kind: kind, What: what, Because: because, Partition: w.partition, Record: w.record(), Steps: steps, Left: left, Remarks: w.remarks}
}

// weight says which steps are left out first, if there are too many: the smaller.
var weight = map[reports.StepKind]int{
	reports.ISRChanged: 1, reports.Replaced: 2, reports.Struck: 2, reports.Died: 3, reports.Led: 4, reports.Copied: 4, reports.Followed: 5, reports.Elected: 5,
}

// chosenSteps are the steps in order, at most so many. Of equal weight the ones in the
// middle go first: the beginning and the end make the story.
func chosenSteps(all []step) (out []reports.Step, left int) {
	slices.SortStableFunc(all, func(x, y step) int { return x.seq - y.seq })
	all = slices.CompactFunc(all, func(x, y step) bool { return x.seq == y.seq && x.Kind == y.Kind })
	for len(all) > mostSteps {
		least, at := 100, -1
		for i, s := range all[:len(all)-1] {
			v := weight[s.Kind]
			if v == 0 {
				v = 9
			}
			if v < least || v == least && i <= len(all)/2 {
				least, at = v, i
			}
		}
		all = slices.Delete(all, at, at+1)
		left++
	}
	out = []reports.Step{}
	for _, s := range all {
		out = append(out, s.Step)
	}
	return out, left
}
