package trial

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/checkers/laws"
	"github.com/ktrial/ktrial/checkers/permit"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios/inspector"
)

// The names of the checks.
const (
	replicationLaws = "laws of replication"
	quorumLaws      = "laws of the quorum"
)

// errBroken ends a run in which a law broke: the violation is recorded already.
var errBroken = errors.New("a law is broken")

// failed is called with a law that broke, of a partition or (nil) of the quorum.
// forgiven: what is left of the partition is the truth from now on.
func (w *lawWatch) failed(p *inspector.Partition, f laws.Failure) (forgiven bool) {
	if w.broken {
		return false
	}
	law := fmt.Sprintf("law %d: %s", f.Law.Number, f.Law.About)
	expect := w.expect()
	beyond := w.beyond[p]
	if p == nil && f.Law.Group != laws.OfQuorum {
		beyond = w.anywhere() // of the coordinators' topic it is not known by itself
	}
	if reason, ok := expect.Law(f.Law, beyond); ok {
		w.allow(law, reason, f)
		return beyond.Any()
	}
	if w.IsDamaged(kafka.NodeID(f.Node)) {
		if reason, ok := expect.Law(f.Law, permit.Faults(0).With(history.DamagedDisk)); ok {
			w.allow(law, reason, f)
			return false
		}
	}
	if w.outside {
		return false
	}
	w.broken, w.ofQuorum = true, p == nil
	w.broke(law, f)
	return false
}

// anywhere are the faults that happened to some partition. Of crashes that lose data
// two at once are too many for the coordinators' topic.
func (w *lawWatch) anywhere() (all permit.Faults) {
	for _, kind := range history.Faults() {
		if n := w.happened[kind]; n > 1 || n > 0 && kind != history.LossyCrashes {
			all = all.With(kind)
		}
	}
	return all
}

// uncleanElection is called before the laws say what the election cost.
func (w *lawWatch) uncleanElection(p *inspector.Partition) {
	w.happens(history.UncleanElection, p)
	if w.unclean[p.Partition.Topic] {
		w.beyond[p] = w.beyond[p].With(history.UncleanElection)
	}
}

func (w *lawWatch) replaced(p *inspector.Partition, unaware bool) {
	if unaware {
		w.happens(history.ReplacedLeader, p)
	} else {
		w.happens(history.ReplacedLeaderHeard, p)
	}
}

// allow counts a law that need not hold; the first breach is the example.
func (w *lawWatch) allow(law, reason string, f laws.Failure) {
	i := slices.IndexFunc(w.allowed, func(a reports.Permitted) bool { return a.Anomaly == law && a.Reason == reason })
	if i < 0 {
		i = len(w.allowed)
		w.allowed = append(w.allowed, reports.Permitted{Anomaly: law, Reason: reason, Message: f.Text()})
	}
	w.allowed[i].Count++
}

// strikes is called when a fault is about to happen.
func (w *lawWatch) strikes(f faults.Fault) {
	if crash, ok := f.(faults.Crash); ok {
		if hosts, loses := crash.Crashes(); loses {
			w.losing(hosts.Hosts())
		}
	}
	if f, ok := f.(faults.Deceiver); ok {
		w.each(f.Deceives(), w.Damaged)
	}
	if f, ok := f.(faults.Wiper); ok {
		w.each(f.Wipes(), w.Wiped)
	}
	if f, ok := f.(faults.Damager); ok {
		w.each(f.Damages(), w.Damaged)
	}
}

func (w *lawWatch) each(t faults.Target, do func(kafka.NodeID)) {
	for _, name := range t.Hosts() {
		if s := w.c.Server(name); s != nil {
			do(s.ID())
		}
	}
}

// losing: hosts are about to lose what they have not synced. Where no other is
// counted to have it, the configuration promises nothing more.
func (w *lawWatch) losing(hosts []string) {
	if !w.mayLose {
		return
	}
	for _, p := range w.Partitions() {
		lost, kept := w.losers(p.Partition, hosts)
		if kept || lost == 0 {
			continue
		}
		if p.MinISR <= 1 {
			w.beyond[p] = w.beyond[p].With(history.LastISRLost)
			w.happens(history.LastISRLost, p)
		} else {
			w.beyond[p] = w.beyond[p].With(history.LossyCrashes)
		}
		before := w.happened[history.LossyCrashes]
		w.happens(history.LossyCrashes, p)
		w.happened[history.LossyCrashes] = max(before, lost)
	}
}

// happens counts a fault that lets the configuration off a promise, and tells the
// history when and where it was.
func (w *lawWatch) happens(what history.FaultKind, p *inspector.Partition) {
	w.happensTo(what, p.Partition)
}

func (w *lawWatch) happensTo(what history.FaultKind, partitions ...kafka.TopicPartition) {
	e := history.Event{Fault: what}
	for _, tp := range partitions {
		e.Keys = append(e.Keys, history.Partition(tp.Topic, tp.Partition))
	}
	w.tellFault(e)
}

// endedLate: an EndTxn that was meant for an earlier transaction ended the one of a producer.
func (w *lawWatch) endedLate(transactionalID string) {
	w.tellFault(history.Event{Fault: history.DelayedEndTxn, Transaction: transactionalID})
}

func (w *lawWatch) tellFault(e history.Event) {
	w.happened[e.Fault]++
	e.Type, e.Actor, e.F, e.Time = history.OK, "cluster", history.Fault, w.w.Now()
	w.history.Note(e)
	w.permitted()
}

// note adds a fault to the history, for its readers.
func (w *lawWatch) note(text string) {
	w.history.Note(history.Event{
		Type: history.Unknown, Actor: "nemesis", F: history.Fault, Name: "injected", Text: text, Time: w.w.Now(),
	})
}

// report adds what was found to the report.
func (w *lawWatch) report(report *reports.Run, strict bool) {
	if w.outside {
		return
	}
	replication := reports.Check{Name: replicationLaws, Verdict: reports.Holds}
	for _, p := range w.Partitions() {
		replication.Checked += p.Laws.Events()
	}
	quorum := reports.Check{Name: quorumLaws, Verdict: reports.Holds, Checked: w.Quorum.Events()}
	if len(w.allowed) > 0 {
		replication.Verdict = reports.Allowed
		if strict {
			replication.Verdict = reports.Violated
		}
	}
	switch {
	case w.broken && w.ofQuorum:
		quorum.Verdict = reports.Violated
	case w.broken:
		replication.Verdict = reports.Violated
	}
	if len(w.Partitions()) > 0 { // else the scenario has no topic
		report.Checks = append(report.Checks, conclude(replication))
	}
	report.Checks = append(report.Checks, conclude(quorum))
	report.Allowed = append(report.Allowed, w.allowed...)
}

// losers counts the replicas of a partition that went down uncleanly, or are about to
// with hosts, and have not registered since; 0 if hosts have none. For all of them the
// controllers count on nothing once they register, because a process that was killed
// looks like one that lost power (KIP-966). kept: one of the others is counted to have
// all that was acknowledged.
func (w *lawWatch) losers(tp kafka.TopicPartition, hosts []string) (lost int, kept bool) {
	im := w.c.Image()
	if im == nil || im.Partition(tp) == nil {
		return 0, false
	}
	p := im.Partition(tp)
	touched := false
	for _, id := range p.Replicas {
		s := w.c.ByID(id)
		hit := slices.Contains(hosts, s.Name())
		touched = touched || hit
		switch {
		case hit || s.Unclean(im):
			lost++
		case slices.Contains(p.ISR, id) || slices.Contains(p.ELR, id):
			kept = true
		}
	}
	if !touched {
		return 0, true
	}
	return lost, kept
}
