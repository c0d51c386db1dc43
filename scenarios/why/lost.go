package why

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/reports"
)

// lostBy explains that a replica's log ends earlier than what was committed: at to,
// where it had ended at from.
func (a *account) lostBy(node kafka.NodeID, to, from kafka.Offset) *reports.Why {
	committed := a.committedBelow()
	at := a.last
	at.seq++ // what broke the law is seen
	if committed <= to {
		return nil
	}
	last := committed - 1
	if from > to {
		last = min(last, from-1)
	}
	for _, n := range append([]kafka.NodeID{node}, a.nodes()...) {
		if epoch, known := a.epochAt(n, to, at); known {
			if w := a.follow(epoch, to, last); w != nil {
				w.spread()
				w.trouble(at)
				return w.concludeLost()
			}
		}
	}
	return nil
}

func (a *account) nodes() (out []kafka.NodeID) {
	for n := range a.hosts { //det:allow sorted below
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// explainLost explains that clients miss a record that was acknowledged.
func (a *account) explainLost(v *reports.Violation) *reports.Why {
	s := a.sendOf(v)
	if s == nil {
		return nil
	}
	w := a.follow(kafka.LeaderEpoch(s.epoch), kafka.Offset(s.offset), kafka.Offset(s.offset))
	if w == nil {
		return nil
	}
	w.sent = s
	w.spread()
	w.trouble(a.last)
	if len(w.losses()) == 0 && !w.ledWithout() {
		return nil // no replica lost it: it is not of this kind
	}
	return w.concludeLost()
}

// sendOf is the send that a violation is about: of its records the first that was
// acknowledged, at the offset at which something is wrong.
func (a *account) sendOf(v *reports.Violation) *send {
	for _, value := range v.Values {
		for i := range a.sends {
			if s := &a.sends[i]; s.value == value && s.outcome == "ok" && s.offset >= 0 && s.epoch >= 0 {
				return s
			}
		}
	}
	for _, offset := range v.Offsets {
		for i := range a.sends {
			if s := &a.sends[i]; s.offset == offset && s.outcome == "ok" && s.epoch >= 0 {
				return s
			}
		}
	}
	return nil
}

func (w *way) losses() (out []holder) {
	for _, h := range w.holders {
		if h.gone != nil {
			out = append(out, h)
		}
	}
	slices.SortFunc(out, func(x, y holder) int { return x.gone.seq - y.gone.seq })
	return out
}

// firstWithout is the first replica that began to lead without the record.
func (w *way) firstWithout() (role, bool) {
	for _, r := range w.roles {
		if r.leads && r.epoch > w.epoch && w.holders[0].from.before(r.moment) && !w.holding(r.node, r.moment) {
			return r, true
		}
	}
	return role{}, false
}

func (w *way) ledWithout() bool {
	_, found := w.firstWithout()
	return found
}

// concludeLost is about a record that was lost, with the cause that the first rule finds.
func (w *way) concludeLost() *reports.Why {
	rules := []func() string{w.cutAtOwnMark, w.cutByLeader, w.onlyLeaderHadIt, w.fewHadIt, w.electedOutside, w.electedWithout, w.allLostIt}
	because := ""
	for _, rule := range rules {
		if because = rule(); because != "" {
			break
		}
	}
	return w.conclude(reports.LostRecord, w.whatWasLost(), because)
}

// whatWasLost is such as: Offset 264 of orders/0 was acknowledged and read; 7ms later
// broker-1 cut it off.
func (w *way) whatWasLost() string {
	var facts []string
	since := w.holders[0].from
	if w.commit != nil {
		since = w.commit.moment
	}
	switch {
	case w.acked():
		facts = append(facts, "acknowledged")
		if since.before(w.sent.to) {
			since = w.sent.to
		}
	case w.commit != nil:
		facts = append(facts, "committed")
	}
	if len(w.reads) > 0 {
		facts = append(facts, "read")
	}
	was, it := "was", "it"
	if w.record().Many() {
		was, it = "were", "them"
	}
	text := w.record().String()
	text = strings.ToUpper(text[:1]) + text[1:]
	if len(facts) == 0 {
		facts = []string{"appended"}
	}
	text += fmt.Sprintf(" %s %s; ", was, strings.Join(facts, " and "))
	later := func(m moment) string {
		if !since.before(m) {
			return ""
		}
		return reports.Lasting(m.at-since.at) + " later "
	}
	losses := w.losses()
	r, without := w.firstWithout()
	switch {
	case len(losses) > 0 && losses[0].gone.how == byTruncation && (!without || losses[0].gone.before(r.moment)):
		return text + fmt.Sprintf("%s%s cut %s off", later(losses[0].gone.moment), w.name(losses[0].node), it)
	case without:
		return text + fmt.Sprintf("%s%s became leader without %s", later(r.moment), w.name(r.node), it)
	case len(losses) > 0:
		last := losses[len(losses)-1]
		return text + fmt.Sprintf("%s%s opened its log without %s", later(last.gone.moment), w.name(last.node), it)
	}
	return text + "no leader has " + it + " any more"
}

// cutAtOwnMark: a follower cut its log at the high watermark that it knew (KIP-101).
func (w *way) cutAtOwnMark() string {
	for _, h := range w.losses() {
		g := h.gone
		r, known := w.roleBefore(h.node, g.moment)
		if g.how != byTruncation || !known || r.leads || g.to != r.hw || w.commit == nil || !w.commit.before(g.moment) {
			continue
		}
		hw := w.highest(g.moment)
		if g.to >= hw || !w.holding(g.leader, g.moment) {
			continue // it could not have asked a leader that has the record
		}
		w.remark(r.moment, h.node, "knows high watermark %d; true: %d", r.hw, hw)
		return fmt.Sprintf("%s cut at its own high watermark (%d) instead of asking the new leader where epoch %d ended. A follower's high watermark lags behind the leader's (%d) by one fetch.",
			w.name(h.node), g.to, w.epoch, hw)
	}
	return ""
}

// cutByLeader: a committed record was cut off although the leader has it.
func (w *way) cutByLeader() string {
	for _, h := range w.losses() {
		g := h.gone
		if g.how != byTruncation || w.commit == nil || !w.commit.before(g.moment) || !w.holding(g.leader, g.moment) {
			continue
		}
		w.remark(g.moment, h.node, "cut at %d; committed up to %d", g.to, w.highest(g.moment))
		return fmt.Sprintf("%s cut at %d, though its leader %s has the record and the high watermark was %d.", w.name(h.node), g.to, w.name(g.leader), w.highest(g.moment))
	}
	return ""
}

// onlyLeaderHadIt: acknowledged before any other replica had it, as acks=1 does.
func (w *way) onlyLeaderHadIt() string {
	if !w.acked() || w.commit != nil && w.commit.before(w.sent.to) {
		return ""
	}
	had := w.holds(w.sent.to)
	r, without := w.firstWithout()
	if len(had) != 1 || !without {
		return ""
	}
	w.remark(r.moment, r.node, "log ends at %d; offset %d was acknowledged", r.end, w.first)
	return fmt.Sprintf("It was acknowledged when only its leader, %s, had it, and was not committed yet. %s became leader in epoch %d with a log that ends at %d.",
		w.name(had[0]), w.name(r.node), r.epoch, r.end)
}

// fewHadIt: committed when a single replica had it.
func (w *way) fewHadIt() string {
	if w.commit == nil {
		return ""
	}
	had := w.holds(w.commit.moment)
	r, without := w.firstWithout()
	if len(had) != 1 || !without {
		return ""
	}
	isr := w.inSync(w.commit.moment)
	w.remark(w.commit.moment, w.commit.node, "the ISR is %s", w.names(isr))
	return fmt.Sprintf("It was committed when %s alone had it: the ISR was %s. %s became leader in epoch %d with a log that ends at %d.",
		w.name(had[0]), w.names(isr), w.name(r.node), r.epoch, r.end)
}

// inSync is the ISR as the controllers had it at a moment.
func (a *account) inSync(at moment) (isr []kafka.NodeID) {
	for _, d := range a.decisions {
		if d.before(at) {
			isr = d.ISR
		}
	}
	return isr
}

// electedOutside: the new leader was neither in the ISR nor in the ELR.
func (w *way) electedOutside() string {
	r, without := w.firstWithout()
	if !without {
		return ""
	}
	for i := 1; i < len(w.decisions); i++ {
		d, before := w.decisions[i], w.decisions[i-1]
		if d.LeaderEpoch != r.epoch || d.Leader != r.node || slices.Contains(before.ISR, r.node) || slices.Contains(before.ELR, r.node) {
			continue
		}
		w.remark(r.moment, r.node, "was not in sync; its log ends at %d", r.end)
		return fmt.Sprintf("%s was not in sync when it was elected: the ISR was %s, the ELR %s. Its log ends at %d.", w.name(r.node), w.names(before.ISR), w.names(before.ELR), r.end)
	}
	return ""
}

// electedWithout: the new leader counted as in sync, and did not have the record.
func (w *way) electedWithout() string {
	r, without := w.firstWithout()
	if !without || w.commit == nil {
		return ""
	}
	for _, h := range w.holders {
		if h.node == r.node && h.gone != nil && h.gone.before(r.moment) {
			w.remark(h.gone.moment, h.node, "lost %d to %d, and counts as in sync", h.gone.to, h.gone.from-1)
			return fmt.Sprintf("%s had the record and lost it when its log was opened again at %d. It was counted as in sync all the same, and elected.", w.name(r.node), h.gone.to)
		}
	}
	w.remark(r.moment, r.node, "in sync, but its log ends at %d", r.end)
	return fmt.Sprintf("%s counted as in sync without having the record: its log ended at %d when it was elected.", w.name(r.node), r.end)
}

// allLostIt: every replica that had the record opened its log without it.
func (w *way) allLostIt() string {
	for _, h := range w.holders {
		if h.gone == nil || h.gone.how != byOpening {
			return ""
		}
	}
	var names []string
	for _, h := range w.losses() {
		names = append(names, w.name(h.node))
	}
	return fmt.Sprintf("No replica had synced it to disk: %s lost it with the power.", and(names))
}
