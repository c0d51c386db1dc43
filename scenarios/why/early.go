package why

import (
	"fmt"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/reports"
)

// What is not lost yet, but could be: replicas that differ, a high watermark that is
// too high, a member of the ISR that lacks records.

// wayOf follows what a replica has at an offset up to the end of the account.
func (a *account) wayOf(node kafka.NodeID, offset, last kafka.Offset) *way {
	end := a.last
	end.seq++
	epoch, known := a.epochAt(node, offset, end)
	if !known {
		return nil
	}
	return a.follow(epoch, offset, last)
}

// explainDivergence: a leader counts a follower whose log has other records.
func (a *account) explainDivergence(e *witness.FollowerFetched) *reports.Why {
	leader, follower := e.Node, e.Follower
	if role, known := a.roleBefore(leader, after(a.last)); known && role.leads && role.epoch != e.Epoch {
		return a.explainOtherEpoch(e, role)
	}
	end := a.last
	end.seq++
	for offset := kafka.Offset(0); offset < e.From; offset++ {
		ours, known1 := a.epochAt(leader, offset, end)
		theirs, known2 := a.epochAt(follower, offset, end)
		if !known1 || !known2 || ours == theirs {
			continue
		}
		w := a.follow(theirs, offset, e.From-1)
		if w == nil {
			return nil
		}
		w.spread()
		w.trouble(end)
		w.add(a.last.step(a.name(leader), reports.Broke, onReplica, fmt.Sprintf("counts %s as having everything below %d", a.name(follower), e.From)).on(e.From))
		w.remark(a.last, follower, "offset %d is of epoch %d; the leader's of %d", offset, theirs, ours)
		return w.conclude(reports.Diverged,
			fmt.Sprintf("%s and its leader %s have different records at offset %d of %s, and the leader counts it as in sync up to %d", a.name(follower), a.name(leader), offset, a.partition, e.From),
			fmt.Sprintf("%s kept what it had appended in epoch %d instead of truncating it to where that epoch ended for the leader of epoch %d. A fetch offset alone does not say that the logs are the same.",
				a.name(follower), theirs, ours))
	}
	return nil
}

// explainOtherEpoch: a leader counts a fetch that was not meant for its epoch.
func (a *account) explainOtherEpoch(e *witness.FollowerFetched, leads role) *reports.Why {
	w := &way{account: a, epoch: leads.epoch, first: e.From, last: e.From}
	w.add(leads.step(a.name(leads.node), reports.Led, onReplica, fmt.Sprintf("leads in epoch %d; its log ends at %d", leads.epoch, leads.end)).on(leads.end))
	for _, l := range a.lives {
		if l.host == a.name(leads.node) && leads.before(l.moment) {
			w.add(l.step(l.host, reports.Died, onReplica, l.text))
		}
	}
	for _, d := range a.decisions {
		if d.LeaderEpoch == e.Epoch {
			w.add(d.step(d.host, reports.Elected, onControllers, fmt.Sprintf("commits that %s leads, epoch %d", a.name(d.Leader), d.LeaderEpoch)))
			break
		}
	}
	if f, known := a.roleBefore(e.Follower, after(a.last)); known {
		w.add(w.following(f))
	}
	w.add(a.last.step(a.name(leads.node), reports.Broke, onReplica, fmt.Sprintf("counts a fetch of %s from offset %d, which names epoch %d", a.name(e.Follower), e.From, e.Epoch)).on(e.From))
	w.remark(a.last, leads.node, "epoch %d; the fetch names %d", leads.epoch, e.Epoch)
	answer := "UNKNOWN_LEADER_EPOCH"
	if e.Epoch < leads.epoch {
		answer = "FENCED_LEADER_EPOCH"
	}
	why := w.conclude(reports.OtherEpoch,
		fmt.Sprintf("%s leads %s in epoch %d, and counted a fetch of %s that was meant for the leader of epoch %d", a.name(leads.node), a.partition, leads.epoch, a.name(e.Follower), e.Epoch),
		fmt.Sprintf("A leader must answer a fetch that names another epoch than its own with %s, and not count it (KIP-320): what %s has of epoch %d need not be what %s has.", answer, a.name(e.Follower), e.Epoch, a.name(leads.node)))
	why.Record = nil
	return why
}

// explainEnd: a leader tells where its log ends for consumers before it can know that.
func (a *account) explainEnd(e *witness.EndServed) *reports.Why {
	leads, known := a.roleBefore(e.Node, after(a.last))
	if !known || !leads.leads || e.End >= leads.end {
		return nil
	}
	w := &way{account: a, epoch: leads.epoch, first: e.End, last: leads.end - 1}
	w.leadsHow(leads)
	w.add(leads.step(a.name(e.Node), reports.Led, onReplica, fmt.Sprintf("leads in epoch %d; its log ends at %d, its high watermark is %d", leads.epoch, leads.end, leads.hw)).on(leads.end))
	w.add(a.last.step(a.name(e.Node), reports.Broke, onReplica, fmt.Sprintf("tells a client that the log ends at %d", e.End)).on(e.End))
	w.remark(a.last, e.Node, "epoch %d began at %d", leads.epoch, leads.end)
	because := fmt.Sprintf("Its high watermark is that of a follower: it lags behind what the leader before had shown as committed, which may be all of its log up to offset %d. Until its own high watermark has come there, a leader must answer OFFSET_NOT_AVAILABLE (KIP-207): else the end seems to go back.", leads.end)
	if before := a.highest(leads.moment); before > e.End {
		because += fmt.Sprintf(" The high watermark had been %d.", before)
	}
	return w.conclude(reports.EndTooEarly, fmt.Sprintf("%s told that %s ends at %d, though its epoch %d began at offset %d", a.name(e.Node), a.partition, e.End, leads.epoch, leads.end), because)
}

// leadsHow adds the decision by which a leader leads.
func (w *way) leadsHow(leads role) {
	for _, d := range w.decisions {
		if d.LeaderEpoch == leads.epoch && d.Leader == leads.node {
			w.add(d.step(d.host, reports.Elected, onControllers, fmt.Sprintf("commits that %s leads, epoch %d, ISR %s", w.name(d.Leader), d.LeaderEpoch, w.names(d.ISR))))
			return
		}
	}
}

// explainHighWatermark: a leader's high watermark passed records that replicas which
// count lack.
func (a *account) explainHighWatermark(leader kafka.NodeID, to kafka.Offset) *reports.Why {
	w := a.wayOf(leader, to-1, to-1)
	if w == nil {
		return nil
	}
	end := a.last
	end.seq++
	w.spread()
	w.trouble(end)
	isr, had := a.inSync(end), w.holds(end)
	var lack []kafka.NodeID
	for _, n := range isr {
		if !slices.Contains(had, n) {
			lack = append(lack, n)
		}
	}
	what := fmt.Sprintf("%s moved its high watermark of %s to %d", a.name(leader), a.partition, to)
	because := ""
	behind, asked := a.asksFor(leader, to)
	switch {
	case len(lack) > 0:
		what += fmt.Sprintf("; %s, in the ISR, ends before", a.names(lack))
		because = fmt.Sprintf("The high watermark may only pass what every replica of the ISR (%s) has. %s does not have offset %d.", a.names(isr), a.names(lack), to-1)
		for _, n := range lack {
			w.remark(a.last, n, "log ends at %d; high watermark %d", a.logs[n], to)
		}
	case len(isr) == 1:
		what += fmt.Sprintf(" when %s alone was in sync", a.names(isr))
		because = fmt.Sprintf("The ISR was %s: fewer than min.insync.replicas, and the high watermark must stand still then (KIP-966).", a.names(isr))
		w.remark(a.last, leader, "the ISR is %s", a.names(isr))
	case behind != kafka.NoNode:
		what += fmt.Sprintf("; %s, in the ISR by which it counts, had asked for offset %d last", a.name(behind), asked.from)
		w.add(asked.step(a.name(behind), reports.Copied, onReplica, fmt.Sprintf("asks for what begins at offset %d", asked.from)).on(asked.from))
		because = fmt.Sprintf("The high watermark may only pass what every replica that counts has asked for more after: only that tells the leader that it is on the follower. %s counts from the moment at which the leader asks for it to join (KIP-497), and has told of nothing from offset %d on.", a.name(behind), asked.from)
		w.remark(a.last, behind, "known to have all below %d; high watermark %d", asked.from, to)
	default:
		joining := a.joining(end, isr)
		if len(joining) > 0 {
			because = fmt.Sprintf("%s is joining the ISR and counts from the moment at which the leader has asked for it (KIP-497). It does not have offset %d.", a.names(joining), to-1)
			for _, n := range joining {
				w.remark(a.last, n, "log ends at %d; high watermark %d", a.logs[n], to)
			}
		}
	}
	return w.conclude(reports.ShownTooHigh, what, because)
}

// asksFor is a follower that counts for a leader's high watermark, and whose last fetch was for less, with that fetch.
func (a *account) asksFor(leader kafka.NodeID, to kafka.Offset) (kafka.NodeID, fetched) {
	for _, n := range a.counted[leader] {
		if f, known := a.fetches[fetchOf{leader, n}]; known && n != leader && f.from < to {
			return n, f
		}
	}
	return kafka.NoNode, fetched{}
}

// joining are replicas outside of the ISR whose log ends below the last mark.
func (a *account) joining(at moment, isr []kafka.NodeID) (out []kafka.NodeID) {
	if len(a.marks) == 0 {
		return nil
	}
	to := a.marks[len(a.marks)-1].to
	for _, n := range a.nodes() {
		if !slices.Contains(isr, n) && a.logs[n] < to && a.logs[n] > 0 {
			out = append(out, n)
		}
	}
	return out
}

// explainRead: a consumer was given what is not committed.
func (a *account) explainRead(e *witness.ReadServed) *reports.Why {
	w := a.wayOf(e.Node, e.From, e.End-1)
	if w == nil {
		return nil
	}
	end := a.last
	end.seq++
	w.spread()
	w.trouble(end)
	hw := kafka.Offset(0)
	for _, m := range a.marks {
		if m.node == e.Node {
			hw = m.to
		}
	}
	w.add(a.last.step(a.name(e.Node), reports.Read, onReplica, fmt.Sprintf("gives it to a consumer; its high watermark is %d", hw)).on(e.From))
	what := fmt.Sprintf("%s gave a consumer offset %d of %s", a.name(e.Node), e.From, a.partition)
	because := ""
	switch committed := a.highest(end); {
	case hw <= e.From:
		because = fmt.Sprintf("It was above the high watermark of %s, which was %d.", a.name(e.Node), hw)
	case w.successor != nil:
		because = fmt.Sprintf("%s has another record there since epoch %d.", a.name(w.successor.node), w.successor.epoch)
	case committed <= e.From:
		because = fmt.Sprintf("No leader's high watermark was above %d.", committed)
	}
	w.remark(a.last, e.Node, "high watermark %d", hw)
	return w.conclude(reports.ReadTooHigh, what, because)
}

// explainCommitted: the controllers committed a change that breaks a law: a member of
// the ISR that lacks records, or a leader.
func (a *account) explainCommitted(e *witness.PartitionCommitted) *reports.Why {
	if e.Leader != kafka.NoNode && !slices.Contains(e.ISR, e.Leader) {
		return a.explainLeaderOut(e)
	}
	committed := a.committedBelow()
	for _, n := range append(slices.Clone(e.ISR), e.ELR...) {
		if a.logs[n] < committed && a.hosts[n] != "" {
			return a.explainJoin(n)
		}
	}
	return nil
}

// explainCounted: a leader counts a replica as in sync that the controllers do not yet.
func (a *account) explainCounted(e *witness.MaximalISR) *reports.Why {
	isr := a.inSync(a.last)
	for _, n := range e.Nodes {
		if !slices.Contains(isr, n) {
			return a.explainJoin(n)
		}
	}
	return nil
}

// explainJoin: a replica counts as in sync, or is asked into the ISR, without having
// what is committed.
func (a *account) explainJoin(node kafka.NodeID) *reports.Why {
	end := a.last
	end.seq++
	has, committed := a.logs[node], a.committedBelow()
	var w *way
	for _, n := range a.nodes() {
		if n != node && a.logs[n] > has {
			if w = a.wayOf(n, has, max(has, committed-1)); w != nil {
				break
			}
		}
	}
	if w == nil {
		return nil
	}
	w.spread()
	w.trouble(end)
	if f := a.fencings[node]; has >= committed && f.fenced {
		w.add(f.step(a.name(node), reports.Died, onReplica, "is fenced, as the controllers commit"))
	}
	w.add(a.last.step(a.name(node), reports.Broke, onReplica, fmt.Sprintf("counts as in sync; its log ends at %d", has)).on(has))
	w.remark(a.last, node, "log ends at %d", has)
	what := fmt.Sprintf("%s counts as in sync for %s with a log that ends at %d", a.name(node), a.partition, has)
	if has < committed {
		what += fmt.Sprintf("; %d records are committed", committed)
	} else if leader := a.leader(); leader != nil && has < leader.end {
		what += fmt.Sprintf("; its leader %s began epoch %d at offset %d", a.name(leader.node), leader.epoch, leader.end)
	}
	return w.conclude(reports.JoinedTooEarly, what, a.whyJoined(node, has, committed))
}

func (a *account) whyJoined(node kafka.NodeID, has, committed kafka.Offset) string {
	for _, e := range slices.Backward(a.ends) {
		if e.node == node && e.how == byOpening && e.from > e.to && has < e.from {
			return fmt.Sprintf("%s came back without what it had not synced: its log had ended at %d and was opened at %d. Only a fetch up to the leader's log end makes it in sync again.", a.name(node), e.from, e.to)
		}
	}
	if leader := a.leader(); leader != nil && has >= committed && has < leader.end {
		return fmt.Sprintf("Its leader began epoch %d at offset %d. A replica that has not come so far may lack records that an earlier leader had shown as committed (KAFKA-7128).", leader.epoch, leader.end)
	}
	if f := a.fencings[node]; has >= committed && (f.fenced || f.leaving) {
		is := "is fenced: it sends no heartbeats"
		if !f.fenced {
			is = "is in controlled shutdown"
		}
		return fmt.Sprintf("%s %s, as the controllers committed at %s. Such a broker must not be asked into the ISR (KIP-841): it may be gone at any moment, and with it what only the ISR has.", a.name(node), is, reports.Seconds(f.at))
	}
	if has >= committed {
		return ""
	}
	return fmt.Sprintf("It lacks %d committed records; as leader it would lose them.", committed-has)
}

// leader is the last replica that began to lead; nil: none did.
func (a *account) leader() *role {
	for i, r := range slices.Backward(a.roles) {
		if r.leads {
			return &a.roles[i]
		}
	}
	return nil
}
