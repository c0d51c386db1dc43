// Package trial plays a scenario with one seed in a world of its own, and
// reports what was seen.
//
// A run has four phases. The cluster is brought up and topics are created. In
// the safety phase clients work and faults strike; nothing wrong may be seen. In
// the liveness phase all faults heal but those that keep a broker and a
// controller cut off: the rest must converge within a bound of virtual time. At
// last everything is healed, and all replicas must be the same. The laws watch
// the events of the ledger meanwhile; the history of the clients is judged at
// the end.
package trial

import (
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/cluster"
	"github.com/ktrial/ktrial/scenarios/nemesis"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/workloads"
)

// Options are what one run may change in a scenario.
type Options struct {
	Seed  uint64
	Set   map[string]string // by Kafka's names, or a parameter of the workload
	Shape Shape             // of the cluster and its topics, where not as the scenario says
	Plan  faults.Plan       // instead of the scenario's faults, if not nil
	Plant []planted.Bug
	// Apps are users' programs that play instead of the scenario's clients.
	Apps []App
	// PlanFile is where Plan was read from: the report names it.
	PlanFile string
	// NoFaults: nothing strikes, and in the liveness phase no host stays cut off.
	NoFaults bool
	// Strict: what a setting or a fault permits is a violation, too.
	Strict bool
	// Outside: laws that break are not told and do not end the run. What is left to
	// judge is what clients saw, and that all makes progress.
	Outside bool
	// Program is what a person types for the command line that knows the
	// scenario; empty: ktrial. Again, if set, is the whole command that plays
	// the run again.
	Program, Again string
	// Read is called with each event as it happens; nil: it is not.
	Read func(*ledger.Entry)
	// Keep says which events the result's ledger has.
	Keep ledger.Keep
	// Require are demands on the numbers of the run.
	Require []reports.Requirement
	// Record keeps what luck decides, by name: Result.Decisions.
	Record bool
	// Follow decides as another run did, where luck is asked by the same name; nil: the seed
	// decides all.
	Follow *sim.Recorded
	// Limits end a run that makes no progress.
	Limits Limits
	// Tracing is what FirstDifference records with; nil: only the hash is kept.
	Tracing *sim.Tracing
}

func (o *Options) program() string {
	if o.Program == "" {
		return "ktrial"
	}
	return o.Program
}

// Result is one run: its report, and what the report was made from.
type Result struct {
	Report  reports.Run
	History *history.History
	// Judgement is what the checkers say of the history.
	Judgement *checkers.Judgement
	Ledger    *ledger.Ledger
	// Decisions are those of luck; nil: they were not kept.
	Decisions *sim.Recorded
	// Followed says how far the run went the way of the one that it follows; nil: it follows none.
	Followed *Followed
	about    string // the scenario, in a line
}

// run is a scenario being played.
type run struct {
	s       scenarios.Scenario
	bare    scenarios.Scenario // without the settings of this run
	o       Options
	config  configuration
	w       *sim.World
	c       *cluster.Cluster
	n       *nemesis.Nemesis
	stage   *workloads.Stage
	clients []workloads.Client
	bugs    *planted.Set

	partitions []kafka.TopicPartition
	grown      bool                // topics have more partitions than when the work began
	made       map[kafka.UUID]bool // topics that there are or were
	health     health
	core       core
	plan       faults.Plan // that is played
	workBegan  time.Duration
	violations []reports.Violation
	allowed    []reports.Permitted // beside what laws and checkers allow
	waits      groupWaits
	laws       *lawWatch
	ownLaws    []*ownLaw
	seen       *checkers.Live // judges the history while it is recorded
	counter    *counter
	// short: the run ended before its time, so what was to come is not missing.
	short bool
	// unworkable says why it came to nothing, if that is the fault of its settings, which
	// Kafka takes all the same; empty: it is not.
	unworkable string
}

// Run plays a scenario in a world of its own. An error is a bad option, or a
// bug of ktrial itself; what the cluster did wrong is in the report.
func Run(s scenarios.Scenario, o Options) (result *Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			result, err = nil, fmt.Errorf("scenario %s, seed %d: panic: %v\n%s", s.Name, o.Seed, p, debug.Stack())
		}
	}()
	r, err := prepare(s, o)
	if err != nil {
		return nil, err
	}
	defer r.w.Close()
	if err := r.play(); err != nil {
		if err := r.failed(err); err != nil {
			return nil, err
		}
	}
	return r.result(), nil
}

// prepare applies the options and makes the world, with the cluster and the
// clients in it.
func prepare(s scenarios.Scenario, o Options) (*run, error) {
	name, about, drawn := s.Name, s.About, s.Draw != nil
	var draw string
	if drawn {
		again := o.Command(name)
		var err error
		if s, o, draw, err = resolve(s, o); err != nil {
			return nil, err
		}
		o.Again = again
	}
	config, err := configure(withApps(s, o.Apps), o.Shape, o.Set)
	if err != nil {
		return nil, err
	}
	if drawn {
		config.scenario.Name, config.scenario.About = name, about
	}
	if w, ok := config.scenario.Workload.(workloads.PerRun); ok {
		config.scenario.Workload = w.ForRun()
	}
	r := &run{s: config.scenario, bare: s, o: o, config: config, bugs: planted.Plant(o.Plant...)}
	r.partitions = cluster.Parts(r.s.Topics)
	r.made = map[kafka.UUID]bool{}
	limits := o.Limits.orDefault(r.s)
	r.w = sim.NewWorld(sim.Config{
		Seed: o.Seed, Read: o.Read, Keep: o.Keep, Tracing: o.Tracing, Record: o.Record, Follow: o.Follow,
		MaxEvents: limits.Events, MaxPerInstant: limits.PerInstant, Watchdog: limits.Watchdog, Stuck: limits.Stuck,
	})
	if drawn {
		r.w.Decisions().Text(drawnText, draw)
	}
	r.c = cluster.New(r.w, cluster.Config{Shape: r.s.Cluster, Settings: config.settings, Bugs: r.bugs, Dir: "data"})
	r.c.AddTopics(r.s.Topics...)
	r.health = health{c: r.c, partitions: r.allPartitions}
	r.core = core{c: r.c}
	r.stage = workloads.NewStage(r.c.Bootstrap(), r.w.Now)
	r.stage.Bugs = r.bugs
	for _, t := range r.s.Topics {
		r.stage.Topics[t.Name] = t.Partitions
	}
	r.n = nemesis.New(r.c, r.w.Source("nemesis"), r.s.Lesson != "" || r.s.Exact && o.Plan == nil)
	r.waits = newGroupWaits()
	r.w.Ledger().Read(r.waits.read)
	r.w.Ledger().Read(r.grows)
	r.clients = r.s.Workload.Clients(r.stage)
	r.laws = r.watchLaws()
	r.countNumbers(r.laws.minISR)
	if !o.Outside {
		r.watchOwnLaws()
	}
	r.watchHistory()
	if r.w.Ledger().Traced() {
		r.tellOperations()
	}
	r.watchFindings()
	if err := r.checkClients(); err != nil {
		r.w.Close()
		return nil, optionError{err}
	}
	for _, c := range r.clients {
		r.c.AddClients(c.Host)
		if c.Group != "" {
			r.c.AddMember(c.Group, c.Host)
		}
		if c.TransactionalID != "" {
			r.c.AddTransactionalID(c.TransactionalID)
		}
		if c.Stops {
			r.c.StopsBy(c.Host, func(done func()) { r.stage.Stop(c.Host, done) })
		}
	}
	if err := r.checkPlans(); err != nil {
		return nil, optionError{err}
	}
	return r, nil
}

// Resolve is what is played of a scenario that draws it from the seed: the drawn one,
// and options that make it the same run. What the options say themselves goes before
// what was drawn, and what was drawn in the run that is followed before the seed. Any
// other scenario is played as it is. An error says that this program does not know what
// was drawn there.
func Resolve(s scenarios.Scenario, o Options) (scenarios.Scenario, Options, error) {
	if s.Draw == nil {
		return s, o, nil
	}
	s, o, _, err := resolve(s, o)
	return s, o, err
}

// playing is what is played of a scenario that was drawn.
func (o Options) playing(d scenarios.Drawn) (scenarios.Scenario, Options) {
	o.Shape = o.Shape.over(drawnShape(d))
	set := maps.Clone(d.Set)
	maps.Copy(set, o.Set)
	o.Set = set
	return d.Scenario, o
}

// checkClients says what is missing in the clients of a workload.
func (r *run) checkClients() error {
	hosts := map[string]bool{}
	for _, c := range r.clients {
		switch {
		case c.Host == "" || c.Main == nil:
			return fmt.Errorf("scenario %s: Workload: client %q: expected a Host and a Main", r.s.Name, c.Host)
		case hosts[c.Host]:
			return fmt.Errorf("scenario %s: Workload: found two clients on host %s, expected one on each", r.s.Name, c.Host)
		}
		hosts[c.Host] = true
	}
	return nil
}

// checkPlans says what cannot be played in this cluster: of the plan given for
// this run, or of the scenario's own.
func (r *run) checkPlans() error {
	if err := r.o.Plan.Check(r.c); err != nil {
		if r.o.PlanFile != "" {
			err = fmt.Errorf("%s: %w", r.o.PlanFile, err)
		}
		return err
	}
	if own, ok := r.s.Faults.(faults.Plan); ok && r.o.Plan == nil {
		if err := own.Check(r.c); err != nil {
			return fmt.Errorf("scenario %s: Faults: %w", r.s.Name, err)
		}
	}
	return nil
}

// until runs the world until done, looking now and then, at most for limit.
func (r *run) until(limit time.Duration, done func() bool) error {
	deadline := r.w.Now() + limit
	return r.untilDue(func() time.Duration { return deadline }, done)
}

// untilDue is until, for a deadline that may move.
func (r *run) untilDue(deadline func() time.Duration, done func() bool) error {
	for r.w.Now() < deadline() {
		if done() {
			return nil
		}
		if err := r.w.Run(min(r.w.Now()+look, deadline())); err != nil {
			return err
		}
	}
	return nil
}

// look is how often a condition is looked at.
const look = 250 * time.Millisecond

// stuck is the violation of a liveness promise.
type stuck struct{ phase, what string }

func (s stuck) Error() string { return s.phase + ": " + s.what }

// failed turns what ended a run early into a violation, where it is one. A
// panic of the stack under a planted bug is one more way to find the bug: its
// own assertions did.
func (r *run) failed(err error) error {
	var s stuck
	var p *sim.PanicError
	r.short = true
	switch {
	case errors.Is(err, errBroken):
	case errors.As(err, &s) && s.phase == bringingUp && r.altered():
		if !r.config.setsServers() {
			return optionError{fmt.Errorf("in this shape the cluster does not come up within %v of virtual time: %s", bringUp, s.what)}
		}
		r.unworkable = fmt.Sprintf("with these settings the cluster does not come up within %v of virtual time: %s", bringUp, s.what)
	case errors.As(err, &s) && r.config.unworkable() != "":
		r.unworkable = r.config.unworkable() + "; " + s.Error()
	case errors.As(err, &s):
		r.violate(progress, s.Error())
	case r.makesNoProgress(err):
	case errors.As(err, &p) && len(r.o.Plant) > 0:
		r.violate(OwnAssertions, fmt.Sprintf("%s: task %s panics: %v", p.Process, p.Task, p.Value))
	default:
		return fmt.Errorf("scenario %s, seed %d: %w", r.s.Name, r.o.Seed, err)
	}
	return nil
}

// OwnAssertions is the promise that breaks when the stack panics under a planted bug.
const OwnAssertions = "the stack's own assertions hold"

// altered reports whether the options made another cluster of the scenario's: then
// that is why it does not come up, before any fault has struck. With a planted bug
// it may be the bug. Kafka takes settings with which no cluster comes up, and so does a
// run: the stack has broken no promise, and nothing was tried.
func (r *run) altered() bool {
	return len(r.o.Plant) == 0 && (r.o.Shape != Shape{} || r.config.setsServers())
}

// Check says what of a scenario and of options cannot be played, without playing.
func Check(s scenarios.Scenario, o Options) error {
	r, err := prepare(s, o)
	if err != nil {
		return err
	}
	r.w.Close()
	return nil
}

func (r *run) violate(check, message string) {
	r.violations = append(r.violations, reports.Violation{Check: check, Message: message, At: reports.Seconds(r.w.Now()), Ops: []int{}})
}
