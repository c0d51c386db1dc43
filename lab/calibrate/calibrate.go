// Package calibrate measures a real cluster and makes a profile of it: what a
// round trip, a request, a batch, a byte, a sync cost there. It sends a bounded
// load to topics of its own, which it deletes at the end, whatever that end is.
//
// What a client cannot see from outside (network cards, cores) it takes from the
// caller, or leaves out; results that would need it say so. Where the brokers run
// on this machine it reads what their threads used of the CPU, which is better than
// what can be told from waits.
package calibrate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ktrial/ktrial/lab/profile"
)

// Config says what to measure and how much of it.
type Config struct {
	// Bootstrap is "host:port" of a broker.
	Bootstrap string
	// Name is that of the profile.
	Name string
	// Rounds is how often each load is repeated after WarmUp; the loads take turns.
	Rounds, WarmUp int
	// For ends the rounds early when it has passed, but not before there are three.
	For time.Duration
	// Brokers is how many of the cluster are measured, Replicas how many each
	// partition has; both at most as many as there are.
	Brokers, Replicas int
	// Fsync permits a topic with flush.messages=1, each append to which is synced.
	Fsync bool
	// MostBytes is what may be sent before Confirm is asked.
	MostBytes int64
	// Confirm is asked a question that yes or no answers; nil is no.
	Confirm func(question string) bool
	// Progress is called as it goes on; may be nil.
	Progress func(Progress)
	// Producer is the user's own client, to be measured too; nil: none is.
	Producer *Command
	// Disk is a directory on a disk like those of the brokers, in which a file is written;
	// "": none is.
	Disk string
	// Given are figures that are known already: they count, and not what is measured.
	Given map[string]profile.Figure

	today time.Time
	// topic names the topics; tests have it name one that exists.
	topic func() string
}

// Defaults measure for about two minutes on three brokers.
func Defaults() Config {
	return Config{
		Name: "this-cluster", Rounds: 12, WarmUp: 2, For: 5 * time.Minute, Brokers: 3, Replicas: 3, MostBytes: 300e6,
		today: time.Now(), topic: unguessable,
	}
}

// Progress is how far a calibration is.
type Progress struct {
	Step    string
	Part    float64 // of the rounds, 0 to 1
	Elapsed time.Duration
	SentMB  float64
	OfMB    float64
	Cleanup bool
}

// Result is what was measured.
type Result struct {
	Profile *profile.Profile `json:"profile"`
	// Brokers are those that were measured, and Of how many there are.
	Brokers  []string `json:"brokers"`
	Of       int      `json:"brokers_in_all"`
	Replicas int      `json:"replicas"`
	Rounds   int      `json:"rounds"`
	// Waits are distributions that are no figures of a profile, but that a prediction can
	// be held against.
	Waits []Wait `json:"waits"`
	// Threads says that CPU time was read from the brokers' threads.
	Threads   bool     `json:"threads"`
	SentBytes int64    `json:"sent_bytes"`
	Seconds   float64  `json:"seconds"`
	Missing   []string `json:"missing_figures"`
	Notices   []string `json:"notices,omitempty"`
}

// Wait is a distribution of times in microseconds.
type Wait struct {
	Name  string  `json:"name"`
	Count int     `json:"count"`
	Min   float64 `json:"min_us"`
	P50   float64 `json:"p50_us"`
	P90   float64 `json:"p90_us"`
	P99   float64 `json:"p99_us"`
	Max   float64 `json:"max_us"`
	// CPU time of the threads of all brokers for a request, in microseconds, if it was read.
	NetworkCPU  float64 `json:"network_threads_us,omitempty"`
	IOCPU       float64 `json:"request_handlers_us,omitempty"`
	FollowerCPU float64 `json:"replica_fetchers_us,omitempty"`
}

// LeftError says that topics of ours could not be deleted.
type LeftError struct {
	Topics []string
	cause  error
}

func (e *LeftError) Error() string {
	return fmt.Sprintf("calibrate: delete topics: %v are left, delete them by hand: %v", e.Topics, e.cause)
}

func (e *LeftError) Unwrap() error { return e.cause }

// ErrRefused says that the caller did not permit the load.
var ErrRefused = errors.New("not permitted")

const fewestRounds = 3

// Run measures. It deletes its topics before it returns, also when ctx ends; an error
// about that names the topic that is left.
func Run(ctx context.Context, cfg Config) (res *Result, err error) {
	began := time.Now()
	c, err := connect(ctx, cfg.Bootstrap)
	if err != nil {
		return nil, err
	}
	r := &run{cfg: &cfg, cluster: c, began: began, res: &Result{Of: len(c.brokers)}, taken: map[takeKey][]take{}, waits: map[string][]float64{}}
	r.choose()
	if err := r.ask(); err != nil {
		return nil, err
	}
	// A topic may be there although creating it was answered with an error: what was
	// asked for is deleted.
	defer func() {
		if ctx.Err() != nil {
			err = ctx.Err() // and not what came of it
		}
		r.closeTargets()
		r.progress("deleting the topics of the measurement", true)
		if left := c.deleteTopics(); left != nil {
			err = errors.Join(err, left)
		}
	}()
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	if err := r.measure(ctx); err != nil {
		return nil, err
	}
	return r.result()
}

// run is one calibration.
type run struct {
	cfg     *Config
	cluster *cluster
	began   time.Time
	res     *Result

	measured []*target
	loads    []load
	sent     int64
	part     float64
	threads  *brokerThreads // nil: the brokers are elsewhere

	taken map[takeKey][]take
	waits map[string][]float64
	extra map[string]profile.Figure
}

// takeKey names what was repeated: a load on a broker.
type takeKey struct {
	load   string
	broker int32
}

// choose says which brokers are measured, with what loads.
func (r *run) choose() {
	for _, b := range r.cluster.brokers[:min(len(r.cluster.brokers), max(1, r.cfg.Brokers))] {
		r.measured = append(r.measured, &target{broker: b})
		r.res.Brokers = append(r.res.Brokers, b.addr)
	}
	r.res.Replicas = min(len(r.cluster.brokers), max(1, r.cfg.Replicas))
	r.loads = loads(r.res.Replicas > 1, r.cfg.Fsync)
}

// planned is how many bytes will be sent at most.
func (r *run) planned() (bytes int64) {
	for _, l := range r.loads {
		bytes += l.bytes()
	}
	return bytes*int64(len(r.measured)*(r.cfg.Rounds+r.cfg.WarmUp)) + r.cfg.Producer.bytes()
}

// ask asks before more is sent than is permitted.
func (r *run) ask() error {
	planned := r.planned()
	if planned <= r.cfg.MostBytes {
		return nil
	}
	question := fmt.Sprintf("about %d MB will be sent to %s, and written by %d brokers; at most %d MB are permitted. Send them?",
		planned/1e6, r.cfg.Bootstrap, r.res.Replicas, r.cfg.MostBytes/1e6)
	if r.cfg.Confirm == nil || !r.cfg.Confirm(question) {
		return fmt.Errorf("calibrate: %w: %d MB would be sent, permitted are %d MB", ErrRefused, planned/1e6, r.cfg.MostBytes/1e6)
	}
	return nil
}

// prepare makes the topics and reads which threads there are.
func (r *run) prepare(ctx context.Context) error {
	r.progress("creating topics", false)
	name := r.cfg.topic()
	if err := r.cluster.createTopic(ctx, name, r.measured, r.res.Replicas, false); err != nil {
		return err
	}
	if r.cfg.Fsync {
		if err := r.cluster.createTopic(ctx, name+"-synced", r.measured, r.res.Replicas, true); err != nil {
			return err
		}
	}
	for i, t := range r.measured {
		for p := range spread {
			t.parts = append(t.parts, int32(p*len(r.measured)+i))
		}
		if err := t.connect(ctx, name); err != nil {
			return err
		}
		if err := t.seed(ctx); err != nil {
			return err
		}
	}
	r.threads = findThreads(r.res.Brokers)
	r.res.Threads = r.threads != nil
	return nil
}

func (r *run) closeTargets() {
	for _, t := range r.measured {
		t.close()
	}
}

// measure plays the loads in turns: what changes on a busy machine meets all alike.
func (r *run) measure(ctx context.Context) error {
	rounds := r.cfg.WarmUp + r.cfg.Rounds
	for round := range rounds {
		warm := round < r.cfg.WarmUp
		if r.res.Rounds >= fewestRounds && time.Since(r.began) > r.cfg.For {
			r.notice("the time was over after %d of %d rounds", r.res.Rounds, r.cfg.Rounds)
			break
		}
		for i, t := range r.measured {
			r.part = (float64(round) + float64(i)/float64(len(r.measured))) / float64(rounds)
			if err := r.round(ctx, t, warm); err != nil {
				return err
			}
		}
		if !warm {
			r.res.Rounds++
		}
	}
	if err := r.measureDisk(ctx); err != nil {
		return err
	}
	return r.measureProducer(ctx)
}

// round plays each load once on a broker.
func (r *run) round(ctx context.Context, t *target, warm bool) error {
	step := fmt.Sprintf("broker %d", t.broker.id)
	if warm {
		step += ", warming up"
	}
	for _, l := range r.loads {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.progress(step+": "+l.name, false)
		took, err := r.play(ctx, t, l)
		if err != nil {
			return fmt.Errorf("calibrate: broker %d at %s: %s: %w", t.broker.id, t.broker.addr, l.name, err)
		}
		r.sent += l.bytes()
		if !warm {
			r.keep(t, l, took)
		}
	}
	return nil
}

// keep remembers what a load took.
func (r *run) keep(t *target, l load, took take) {
	key := takeKey{l.name, t.broker.id}
	r.taken[key] = append(r.taken[key], took)
	if !l.together {
		r.waits[l.name] = append(r.waits[l.name], took.micros...)
	}
}

func (r *run) notice(format string, args ...any) {
	r.res.Notices = append(r.res.Notices, fmt.Sprintf(format, args...))
}

func (r *run) progress(step string, cleanup bool) {
	if r.cfg.Progress != nil {
		r.cfg.Progress(Progress{Step: step, Part: r.part, Elapsed: time.Since(r.began), SentMB: float64(r.sent) / 1e6, OfMB: float64(r.planned()) / 1e6, Cleanup: cleanup})
	}
}
