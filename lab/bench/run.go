package bench

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/scenarios/cluster"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

// topic is what all clients produce to and consume from.
const topic = "bench"

// run is one measurement on its way.
type run struct {
	o   Options
	cfg configuration
	f   figures
	l   layout
	w   *sim.World
	c   *cluster.Cluster

	begin, end time.Duration // of what is measured, in virtual time
	meter      meter
	producers  []*producer
	consumers  []*consumer
	shrinks    int64
	expands    int64
}

// Run plays the load and measures. The error is that of the options, or says that
// the cluster did not come up.
func Run(o Options) (Result, error) {
	began := time.Now()
	o = o.withDefaults()
	cfg, err := configure(o)
	if err != nil {
		return Result{}, err
	}
	r := &run{o: o, cfg: cfg, f: figures{o.Profile}, meter: newMeter()}
	r.arrange()
	r.w = sim.NewWorld(sim.Config{
		Seed: o.Seed, Network: r.f.network(), Disk: r.f.disk(), Steady: true, InOrder: true, Lucky: true,
		Hardware: r.f.hardware(&r.l, r.f.prices(&cfg, o.Payload)), Keep: ledger.KeepNothing, Read: r.read,
	})
	defer r.w.Close()
	if err := r.setUp(); err != nil {
		return Result{}, err
	}
	from, to, err := r.play()
	if err != nil {
		return Result{}, err
	}
	res := r.result(from, to)
	res.WallSeconds = time.Since(began).Seconds()
	return res, nil
}

// arrange says which hosts there are. Producers and consumers of the same number share a
// machine; with machine.shared all hosts do.
func (r *run) arrange() {
	r.l.machines = map[string]string{}
	put := func(list *[]string, host, machine string) {
		*list = append(*list, host)
		r.l.machines[host] = machine
		if r.f.value("machine.shared") > 0 {
			r.l.machines[host] = "machine"
		}
	}
	for i := range r.o.Brokers {
		name := fmt.Sprintf("broker-%d", i+1)
		put(&r.l.brokers, name, name)
	}
	machine := func(i int) string { return fmt.Sprintf("client-%d", i%r.o.ClientMachines+1) }
	for i := range r.o.Producers {
		put(&r.l.producers, fmt.Sprintf("producer-%d", i+1), machine(i))
	}
	for i := range r.o.Consumers * r.o.Groups {
		put(&r.l.consumers, fmt.Sprintf("consumer-%d", i+1), machine(i))
	}
}

// read counts what happens to the ISR while it is measured.
func (r *run) read(e *ledger.Entry) {
	if r.begin == 0 || e.At < r.begin {
		return
	}
	switch e.Event.(type) {
	case *witness.ShrinkProposed:
		r.shrinks++
	case *witness.ExpandProposed:
		r.expands++
	}
}

// bringUp is how long a cluster may take to come up, in virtual time.
const bringUp = 2 * time.Minute

// setUp brings the cluster up, creates the topic, and makes page caches as they are
// after a long time of this load.
func (r *run) setUp() error {
	r.c = cluster.New(r.w, cluster.Config{
		Shape:    cluster.Shape{Controllers: r.o.Controllers, Brokers: r.o.Brokers},
		Settings: r.cfg.settings, Dir: "data",
	})
	t := cluster.Topic{Name: topic, Partitions: int32(r.o.Partitions), Replicas: int16(r.o.Replicas), Config: r.cfg.topic}
	r.c.AddTopics(t)
	r.c.StartAll()
	if err := r.until(func() bool { return r.c.Unready(nil) == "" }); err != nil {
		return fmt.Errorf("bench: bring up the cluster: %w", err)
	}
	created := false
	var trouble error
	r.w.Host("admin").Start(func(h env.Host) {
		trouble = r.c.CreateTopics(h, []cluster.Topic{t})
		created = true
	})
	led := func() bool {
		for p := range r.o.Partitions {
			if r.c.Leader(topic, int32(p)) == "" {
				return false
			}
		}
		return true
	}
	if err := r.until(func() bool { return created && (trouble != nil || led()) }); err != nil {
		return fmt.Errorf("bench: create the topic: %w", err)
	}
	for _, m := range r.w.Machines() {
		if !r.o.FreshCache {
			m.Disks.Cache.Steady()
		}
	}
	return trouble
}

// until runs the world until done, looking now and then.
func (r *run) until(done func() bool) error {
	const look = 100 * time.Millisecond
	for deadline := r.w.Now() + bringUp; !done(); {
		if r.w.Now() >= deadline {
			return fmt.Errorf("not done after %v of virtual time: %s", bringUp, r.c.Unready(nil))
		}
		if err := r.w.Run(r.w.Now() + look); err != nil {
			return err
		}
	}
	return nil
}

// play lets clients work, and returns what was used when the measuring began and when it
// ended.
func (r *run) play() (from, to totals, err error) {
	for i, host := range r.l.producers {
		p := &producer{r: r, index: i, cfg: r.cfg.producer}
		r.producers = append(r.producers, p)
		r.w.Host(host).Start(p.main)
	}
	if r.o.Backlog > 0 {
		if err := r.w.Run(r.w.Now() + r.o.Backlog); err != nil {
			return from, to, err
		}
		for _, host := range r.l.producers {
			r.w.Host(host).Kill()
		}
	}
	start := r.w.Now()
	r.begin = start + r.o.Warmup
	r.end = r.begin + r.o.Measure
	for i, host := range r.l.consumers {
		c := &consumer{r: r, index: i, cfg: r.cfg.consumer}
		r.consumers = append(r.consumers, c)
		r.w.Host(host).Start(c.main)
	}
	if err := r.run(start, r.begin); err != nil {
		return from, to, err
	}
	from = r.totals()
	if err := r.run(start, r.end); err != nil {
		return from, to, err
	}
	to = r.totals()
	return from, to, r.drain()
}

// run lets time pass, and tells how far it is.
func (r *run) run(start, until time.Duration) error {
	const step = 100 * time.Millisecond
	for r.w.Now() < until {
		if err := r.w.Run(min(until, r.w.Now()+step)); err != nil {
			return err
		}
		if r.o.Progress != nil {
			r.o.Progress(r.w.Now()-start, r.end-start)
		}
	}
	return nil
}

// longestDrain is for how long records that were sent while it was measured are waited
// for: those that are slow count as well. The load goes on meanwhile.
const longestDrain = 2 * time.Second

func (r *run) drain() error {
	for until := r.w.Now() + longestDrain; r.w.Now() < until && r.meter.open > 0; {
		if err := r.w.Run(r.w.Now() + 10*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// measured reports whether something at a time counts.
func (r *run) measured(at time.Duration) bool { return at >= r.begin && at < r.end }

// configured are all settings that were given, by their names.
func (o *Options) configured() map[string]string { return maps.Clone(o.Settings) }

func (o Options) withDefaults() Options {
	defaulted := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	defaulted(&o.Brokers, 3)
	defaulted(&o.Controllers, 1)
	defaulted(&o.Partitions, 6)
	defaulted(&o.Replicas, min(3, o.Brokers))
	defaulted(&o.Producers, 1)
	defaulted(&o.Groups, 1)
	defaulted(&o.RecordBytes, 1024)
	defaulted(&o.ClientMachines, max(o.Producers, o.Consumers*o.Groups))
	if o.Payload == "" {
		o.Payload = Zeros
	}
	if o.Load == "" {
		o.Load = Full
		if o.Rate > 0 {
			o.Load = Open
		}
	}
	if o.Warmup == 0 {
		o.Warmup = 2 * time.Second
	}
	if o.Measure == 0 {
		o.Measure = 10 * time.Second
	}
	return o
}

// Check says what of the options cannot be played.
func (o Options) Check() error {
	o = o.withDefaults()
	switch {
	case o.Profile == nil:
		return fmt.Errorf("bench: profile: found none, expected one")
	case (o.Load == Open || o.Load == Bunches) && o.Rate <= 0:
		return fmt.Errorf("bench: rate: found %v, expected records per second for load %s", o.Rate, o.Load)
	case !slices.Contains([]Load{Open, Bunches, Closed, Full}, o.Load):
		return fmt.Errorf("bench: load: found %q, expected open, bunches, closed or full", o.Load)
	case !slices.Contains([]Payload{Zeros, Text, JSON, Random}, o.Payload):
		return fmt.Errorf("bench: payload: found %q, expected zeros, text, json or random", o.Payload)
	case o.RecordBytes < stampBytes:
		return fmt.Errorf("bench: record size: found %d bytes, expected at least %d for the time of sending", o.RecordBytes, stampBytes)
	case o.Replicas > o.Brokers:
		return fmt.Errorf("bench: replicas: found %d, expected at most one on each of %d brokers", o.Replicas, o.Brokers)
	case o.Brokers < 1 || o.Partitions < 1 || o.Replicas < 1 || o.Producers < 0 || o.Consumers < 0 || o.Warmup < 0 || o.Measure <= 0:
		return fmt.Errorf("bench: shape: found a number below its least: %d brokers, %d partitions, %d replicas, %d producers, %d consumers", o.Brokers, o.Partitions, o.Replicas, o.Producers, o.Consumers)
	}
	return nil
}
