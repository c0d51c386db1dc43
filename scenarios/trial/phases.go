package trial

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/workloads"
)

// Bounds of virtual time.
const (
	bringUp         = 2 * time.Minute // until the cluster must stand
	defaultLiveness = 2 * time.Minute // from the last cure until all must be well
	mostHeldUp      = 5 * time.Minute // by half-open connections
	// patience is how long a core may be stuck before it is looked at whether
	// it can do without the hosts left out.
	patience = 20 * time.Second
)

// bringingUp is the phase before the work begins.
const bringingUp = "bring-up"

// play is the run from its first to its last event.
func (r *run) play() error {
	if err := r.setUp(); err != nil {
		return err
	}
	if err := r.safety(); err != nil {
		return err
	}
	return r.liveness()
}

// setUp brings the cluster up and creates the topics.
func (r *run) setUp() error {
	r.c.StartAll()
	r.c.Supervise()
	missing := ""
	err := r.until(bringUp, func() bool { missing = r.c.Unready(nil); return missing == "" })
	if err != nil {
		return err
	}
	if missing != "" {
		return stuck{bringingUp, missing}
	}
	created := false
	var trouble error
	r.w.Host("admin").Start(func(h env.Host) {
		trouble = r.c.CreateTopics(h, r.s.Topics)
		created = true
	})
	if err := r.until(bringUp, func() bool { return created && r.led() }); err != nil {
		return err
	}
	switch {
	case trouble != nil:
		return stuck{bringingUp, trouble.Error()}
	case !created || !r.led():
		return stuck{bringingUp, "topics have no leaders"}
	}
	return nil
}

// led reports whether every partition of the scenario has a leader.
func (r *run) led() bool {
	for _, tp := range r.partitions {
		if r.c.Leader(tp.Topic, tp.Partition) == "" {
			return false
		}
	}
	return true
}

// safety is the phase in which clients work and faults strike. No progress is
// demanded; nothing wrong may be seen.
func (r *run) safety() error {
	for _, c := range r.clients {
		r.w.Host(c.Host).Start(r.stage.Main(c))
	}
	switch {
	case r.o.NoFaults:
	case r.o.Plan != nil:
		r.plan = r.o.Plan
	case r.s.Faults != nil:
		var err error
		if r.plan, err = r.decidedPlan(r.s.Faults.Draw(r.w.Rand("plan"), r.c, r.s.Workload.Lasts())); err != nil {
			return err
		}
	}
	r.w.Tell(&WorkBegan{})
	r.workBegan = r.w.Now()
	r.stage.Begin()
	r.n.Play(r.plan, r.s.Workload.Lasts())
	return r.w.Run(r.w.Now() + r.s.Workload.Lasts())
}

// liveness is the phase in which a healthy core of the cluster must become well
// within a bound: every client done, every replica of the core alike. Then the
// rest is healed too, and all must be.
func (r *run) liveness() error {
	r.w.Tell(&HealingBegan{})
	r.n.HealAll()
	r.w.Network().Mend()
	r.w.Calm()
	if len(r.plan) > 0 { // a run without faults has none
		r.core.choose(r.w.Rand("core"), r.s.Lesson == "", r.allPartitions())
	}
	r.startCore()
	bound := r.s.Liveness
	if bound == 0 {
		bound = defaultLiveness
	}
	r.health.begin(false)
	heldUp := r.core.heldUp()
	if err := r.converge(bound+heldUp, r.settled); err != nil {
		// Workers of a group that waits read and write for as long as the others drain.
		if s := (stuck{}); !errors.As(err, &s) || len(r.settledBut(false, r.mayWait)) > 0 {
			return err
		}
	}
	moving := r.health.moving
	ends := r.c.Ends(r.partitions)
	r.stage.Drain(ends)
	idle := true // the clients are done, so that nothing is written any more
	if err := r.converge(bound+heldUp+r.discovery(), r.drained); err != nil {
		if s := (stuck{}); !errors.As(err, &s) || !r.excusesWaits() {
			return err
		}
		idle = false
	}
	if len(r.core.without) > 0 {
		r.core.rejoin("the core has done without")
		r.c.StartAll()
		moving = true
	}
	if moving {
		r.health.begin(idle)
		if err := r.converge(bound, r.settled); err != nil {
			return err
		}
	}
	r.noteLogs(ends)
	return r.quiet(bound)
}

// allPartitions are those of the scenario's topics, and of the topics that there are
// beside them by now.
func (r *run) allPartitions() []kafka.TopicPartition {
	return append(slices.Clip(r.partitions), r.c.OtherPartitions()...)
}

// startCore starts every process that is down, but for those left out.
func (r *run) startCore() {
	for _, s := range r.c.Servers {
		if !r.core.isWithout(s.Name()) {
			r.c.Start(s.Name())
		}
	}
	for _, c := range r.clients {
		if h := r.w.Host(c.Host); !h.IsRunning() && !r.stage.Done(c.Host) {
			h.Restart()
		}
	}
}

// converge runs until well finds no problem, at most for bound. Unless all is
// asked for, one problem is enough of an answer.
func (r *run) converge(bound time.Duration, well func(all bool) (problems []string)) error {
	begun := r.w.Now()
	done := func() bool {
		problems := well(false)
		if r.w.Now() > begun+patience {
			if stranded := r.core.stranded(r.allPartitions()); len(stranded) > 0 {
				r.core.rejoin("what was acknowledged in " + strings.Join(stranded, ", ") + " is nowhere else")
				r.c.StartAll()
			}
		}
		return len(problems) == 0
	}
	// What is sent over a half-open connection holds up what it is about until it has timed out,
	// and the connections between two hosts may do so one after another.
	due := func() time.Duration { return max(begun, min(r.laws.givenUp, begun+mostHeldUp)) + bound }
	if err := r.untilDue(due, done); err != nil {
		return err
	}
	if problems := well(true); len(problems) > 0 {
		return stuck{"convergence", strings.Join(problems, "; ")}
	}
	return nil
}

// settled says what is not well in a cluster that no fault troubles any more, with
// writers that should have written all they had.
func (r *run) settled(all bool) (problems []string) {
	return r.settledBut(all, func(workloads.Client) bool { return false })
}

// settledBut is settled that does not ask for what some writers have to write.
func (r *run) settledBut(all bool, excused func(workloads.Client) bool) (problems []string) {
	if missing := r.c.Unready(r.core.without); missing != "" {
		return []string{missing}
	}
	if waits := r.c.Operating(); waits != "" {
		return []string{waits}
	}
	for _, c := range r.clients {
		if c.Role == workloads.Writes && !r.stage.Done(c.Host) && !excused(c) {
			problems = append(problems, c.Host+" has not finished")
		}
	}
	if len(problems) == 0 || all {
		problems = append(problems, r.health.problems(r.core.isWithout, all)...)
	}
	return problems
}

// drained says which clients are not done.
func (r *run) drained(bool) (problems []string) {
	for _, c := range r.clients {
		if !r.stage.Done(c.Host) {
			problems = append(problems, c.Host+" has not read to the end")
		}
	}
	return problems
}
