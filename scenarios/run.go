package scenarios

import (
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker"
	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/internal/nearest"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/workloads"
)

// Options are what one run may change in a scenario.
type Options struct {
	Seed  uint64
	Set   map[string]string // by Kafka's names, or a parameter of the workload
	Plan  faults.Plan       // instead of the scenario's trouble, if not nil
	Plant []planted.Bug
	// PlanFile is where Plan was read from: the report names it.
	PlanFile string
	// Read is called with each event as it happens; nil: it is not.
	Read func(*ledger.Entry)
	// Tracing is what FirstDifference records with; nil: only the hash is kept.
	Tracing *sim.Tracing
}

// Result is one run: its report, and what the report was made from.
type Result struct {
	Report  reports.Run
	History *history.History
	// Judgement is what the checkers say of the history.
	Judgement *checkers.Judgement
	Ledger    *ledger.Ledger
	about     string // the scenario, in a line
}

// limits of virtual time.
const (
	bringUp         = 2 * time.Minute // until the cluster must stand
	defaultLiveness = 2 * time.Minute // from the last cure until all must be well
	look            = 250 * time.Millisecond
)

// What the story says when a phase begins.
const (
	workBegins = "work begins"
	faultsHeal = "all faults heal"
)

// run is a scenario being played.
type run struct {
	s        Scenario
	o        Options
	w        *sim.World
	c        *cluster
	n        *nemesis
	stage    *workloads.Stage
	bugs     *planted.Set
	settings broker.Settings
	clients  []workloads.Client

	core       core
	ailing     kafka.TopicPartition // was not well at the last look
	violations []reports.Violation
	watch      *watch
	seen       *checkers.Watch // judges the history while it is recorded
	// short: the run ended before its time, so what was to come is not missing.
	short bool
}

// Run plays a scenario in a world of its own. An error is a bad option, or a
// bug of ktrial itself; what the cluster did wrong is in the report.
func Run(s Scenario, o Options) (result *Result, err error) {
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

// prepare applies the options and puts the cast on the stage.
func prepare(s Scenario, o Options) (*run, error) {
	r := &run{s: s, o: o, bugs: planted.Plant(o.Plant...), settings: broker.DefaultSettings()}
	if err := r.settings.SetAll(s.Cluster.Config); err != nil {
		panic(fmt.Sprintf("scenario %s: %v", s.Name, err))
	}
	for _, name := range slices.Sorted(maps.Keys(o.Set)) {
		if err := r.set(name, o.Set[name]); err != nil {
			return nil, err
		}
	}
	if err := r.s.Workload.Check(); err != nil {
		return nil, optionError{err}
	}
	r.w = sim.NewWorld(sim.Config{Seed: o.Seed, Read: o.Read, Tracing: o.Tracing, MaxEvents: 200_000_000})
	r.watch = newWatch(r)
	r.c = newCluster(r.w, r.s.Cluster, r.settings, r.bugs, r.witness)
	r.watch.meet(r.c)
	r.n = &nemesis{c: r.c, luck: r.w.Rand("nemesis"), reckless: r.s.Lesson != "" || r.s.Exact && o.Plan == nil, watch: r.watch}
	r.stage = &workloads.Stage{
		Bootstrap: r.c.bootstrap(), Recorder: history.NewRecorder(), Now: r.w.Now,
		Topics: map[string]int32{},
	}
	for _, t := range r.s.Topics {
		r.stage.Topics[t.Name] = t.Partitions
		r.c.minISR[t.Name], r.c.partitions[t.Name] = t.MinInsync, t.Partitions
	}
	r.watchHistory()
	r.clients = r.s.Workload.Clients(r.stage)
	for _, c := range r.clients {
		r.c.clients = append(r.c.clients, c.Host)
	}
	if err := o.Plan.Check(r.c); err != nil {
		if o.PlanFile != "" {
			err = fmt.Errorf("%s: %w", o.PlanFile, err)
		}
		return nil, optionError{err}
	}
	return r, nil
}

// set changes one thing by its name: configuration of the cluster, of the
// clients, or a parameter of the workload.
func (r *run) set(name, value string) error {
	serverErr := r.settings.Set(name, value)
	w, clientErr := r.s.Workload.Set(name, value)
	if clientErr == nil {
		r.s.Workload = w
	}
	isUnknown := func(err error) bool { return strings.Contains(err.Error(), "unknown") }
	switch {
	case serverErr == nil || clientErr == nil:
		r.setTopics(name, value)
		return nil
	case !isUnknown(serverErr):
		return optionError{serverErr}
	case !isUnknown(clientErr):
		return optionError{clientErr}
	}
	return optionError{nearest.Unknown("parameter", name, append(r.s.Workload.Names(), r.settings.Names()...))}
}

// setTopics changes what the scenario's topics set themselves, which would go
// before the configuration of the brokers.
func (r *run) setTopics(name, value string) {
	r.s.Topics = slices.Clone(r.s.Topics)
	for i := range r.s.Topics {
		t := &r.s.Topics[i]
		if _, ok := t.Config[name]; ok {
			t.Config = maps.Clone(t.Config)
			t.Config[name] = value
		}
		if name == "min.insync.replicas" && t.MinInsync > 0 {
			t.MinInsync, _ = strconv.Atoi(value) // the settings took it, so it is a number
		}
	}
}

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
	r.c.startAll()
	r.c.supervise()
	var missing error
	err := r.until(bringUp, func() bool { missing = r.c.ready(nil); return missing == nil })
	if err != nil {
		return err
	}
	if missing != nil {
		return stuck{"bring-up", missing.Error()}
	}
	created := false
	var trouble error
	r.w.Host("admin").Start(func(h env.Host) {
		trouble = r.createTopics(h)
		created = true
	})
	if err := r.until(bringUp, func() bool { return created && r.led() }); err != nil {
		return err
	}
	if trouble != nil {
		return stuck{"bring-up", trouble.Error()}
	}
	if !created || !r.led() {
		return stuck{"bring-up", "topics have no leaders"}
	}
	return nil
}

func (r *run) createTopics(h env.Host) error {
	admin := client.New(h, r.stage.Bootstrap, "admin").NewAdmin(client.AdminDefaults())
	defer admin.Close()
	for _, t := range r.s.Topics {
		configs := maps.Clone(t.Config)
		if configs == nil {
			configs = map[string]string{}
		}
		if t.MinInsync > 0 {
			configs["min.insync.replicas"] = fmt.Sprint(t.MinInsync)
		}
		topic := client.NewTopic{Name: t.Name, Partitions: t.Partitions, Replicas: t.Replicas, Configs: configs}
		err := admin.CreateTopics(topic)
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) { // it may be tried again
			return fmt.Errorf("create topic %s: %w", t.Name, err)
		}
	}
	return nil
}

// led reports whether every partition of the scenario has a leader.
func (r *run) led() bool {
	for _, t := range r.s.Topics {
		for p := range t.Partitions {
			if r.c.Leader(t.Name, p) == "" {
				return false
			}
		}
	}
	return true
}

// safety is the phase in which clients work and faults strike. No progress is
// demanded; nothing wrong may be seen.
func (r *run) safety() error {
	for _, c := range r.clients {
		r.w.Host(c.Host).Start(c.Main)
	}
	plan := r.o.Plan
	if plan == nil && r.s.Faults != nil {
		plan = r.s.Faults.Draw(r.w.Rand("plan"), r.c, r.s.Workload.Lasts())
	}
	r.w.Say(workBegins)
	r.stage.Begin()
	r.n.play(plan, r.s.Workload.Lasts())
	return r.w.Run(r.w.Now() + r.s.Workload.Lasts())
}

// liveness is the phase in which a healthy core of the cluster must become well
// within a bound: every client done, every replica of the core alike. Then the
// rest is healed too, and all must be.
func (r *run) liveness() error {
	r.w.Say(faultsHeal)
	r.n.healAll()
	r.w.Network().Mend()
	r.w.Calm()
	r.core = r.chooseCore(r.w.Rand("core"))
	r.startCore()
	bound := r.s.Liveness
	if bound == 0 {
		bound = defaultLiveness
	}
	if err := r.converge(bound, r.settled); err != nil {
		return err
	}
	ends := r.ends()
	r.stage.Drain(ends)
	if err := r.converge(bound, r.drained); err != nil {
		return err
	}
	if len(r.core.left) > 0 {
		r.rejoin("the core has done without")
		r.c.startAll()
		if err := r.converge(bound, r.settled); err != nil {
			return err
		}
	}
	r.noteLogs(ends)
	return r.watch.quiet(bound)
}

// startCore starts whoever is down, but for those left out.
func (r *run) startCore() {
	for _, m := range r.c.servers {
		if host := m.host.Name(); !slices.Contains(r.core.left, host) {
			r.c.Start(host)
		}
	}
	for _, c := range r.clients {
		if h := r.w.Host(c.Host); !h.IsRunning() && !r.stage.Done(c.Host) {
			h.Restart()
		}
	}
}

// patience is how long a core may be stuck before it is looked at whether it
// can do without those left out.
const patience = 20 * time.Second

// converge runs until well finds nothing amiss, at most for bound. Unless all
// is asked for, one thing that is amiss is enough of an answer.
func (r *run) converge(bound time.Duration, well func(all bool) (amiss []string)) error {
	begun := r.w.Now()
	done := func() bool {
		amiss := well(false)
		if r.w.Now() > begun+patience {
			if stranded := r.hopeless(); len(stranded) > 0 {
				r.rejoin("what was acknowledged in " + strings.Join(stranded, ", ") + " is nowhere else")
				r.c.startAll()
			}
		}
		return len(amiss) == 0
	}
	if err := r.until(bound, done); err != nil {
		return err
	}
	if amiss := well(true); len(amiss) > 0 {
		return stuck{"convergence", strings.Join(amiss, "; ")}
	}
	return nil
}

// until runs the world until done, looking now and then, at most for limit.
func (r *run) until(limit time.Duration, done func() bool) error {
	deadline := r.w.Now() + limit
	for r.w.Now() < deadline {
		if done() {
			return nil
		}
		if err := r.w.Run(min(r.w.Now()+look, deadline)); err != nil {
			return err
		}
	}
	return nil
}

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
	case errors.As(err, &s):
		r.violate(progress, s.Error())
	case errors.As(err, &p) && len(r.o.Plant) > 0:
		r.violate("the stack's own assertions hold", firstLine(err.Error()))
	default:
		return fmt.Errorf("scenario %s, seed %d: %w", r.s.Name, r.o.Seed, err)
	}
	return nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func (r *run) violate(check, message string) {
	r.violations = append(r.violations, reports.Violation{Check: check, Message: message, At: reports.Seconds(r.w.Now()), Ops: []int{}})
}

// ends is where the logs end for readers: the high watermarks of the leaders.
func (r *run) ends() map[kafka.TopicPartition]kafka.Offset {
	out := map[kafka.TopicPartition]kafka.Offset{}
	for _, t := range r.s.Topics {
		for p := range t.Partitions {
			tp := kafka.TopicPartition{Topic: t.Name, Partition: p}
			if v, ok := r.leaderView(tp); ok {
				out[tp] = v.HW
			}
		}
	}
	return out
}
