package ktrial

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/workloads"
)

// heard is a test that listens. Its subtests are heard by it, too.
type heard struct {
	name         string
	out          string
	ran          []string
	errors, logs []string
	fatal        []string
}

func (h *heard) Helper()      {}
func (h *heard) Name() string { return h.name }
func (h *heard) Parallel()    {}
func (h *heard) Logf(format string, args ...any) {
	h.logs = append(h.logs, fmt.Sprintf(format, args...))
}
func (h *heard) Errorf(format string, args ...any) {
	h.errors = append(h.errors, fmt.Sprintf(format, args...))
}
func (h *heard) Fatalf(format string, args ...any) {
	h.fatal = append(h.fatal, fmt.Sprintf(format, args...))
}
func (h *heard) ArtifactDir() string { return h.out }
func (h *heard) Run(name string, f func(*heard)) bool {
	outer := h.name
	h.name += "/" + name
	h.ran = append(h.ran, h.name)
	f(h)
	h.name = outer
	return true
}

func try(t *testing.T, s scenarios.Scenario, options ...Option) *heard {
	h := &heard{name: "TestX", out: t.TempDir()}
	Try(h, s, options...)
	return h
}

func TestTry_HoldsWhatIsPromised(t *testing.T) {
	Try(t, scenarios.SplitNetwork, Seeds(1, 2), Parallel())
}

func TestTry_PlaysEachSeedInASubtest(t *testing.T) {
	h := try(t, quick(), Seeds(3, 4), Seeds(9, 9))
	assert.Equal(t, []string{"TestX/seed=3", "TestX/seed=4", "TestX/seed=9"}, h.ran)
	assert.Empty(t, h.errors)
	assert.Empty(t, h.fatal)
}

// quick is the standard scenario with three seconds of work and no faults.
func quick() scenarios.Scenario {
	s := scenarios.Standard
	w := scenarios.Idempotent
	w.Duration = 3 * time.Second
	s.Workload, s.Faults = w, nil
	return s
}

func TestTry_FailsWithTheReportAndKeepsTheRun(t *testing.T) {
	hopeless := quick()
	hopeless.Name = "hopeless"
	hopeless.Faults = faults.Plan{{At: time.Second, Fault: faults.Pause{Host: faults.AllClients}}}
	hopeless.Liveness = time.Second // no cluster converges that fast
	h := try(t, hopeless, Seeds(1, 1))
	require.Len(t, h.errors, 1)
	assert.Contains(t, h.errors[0], "FAIL hopeless seed 1")
	assert.Contains(t, h.errors[0], "go test -run '^TestX$/^seed=1$'")
	for _, file := range []string{"run.json", "history.jsonl", "trace.jsonl.gz"} {
		assert.FileExists(t, filepath.Join(h.out, file))
	}
	out := t.TempDir()
	t.Setenv("KTRIAL_OUT", out)
	try(t, hopeless, Seeds(1, 1))
	assert.FileExists(t, filepath.Join(out, "TestX", "seed=1", "run.json"))
}

func TestTry_PlantsSetsAndPlans(t *testing.T) {
	h := try(t, scenarios.LeadershipPingPong, Seeds(1, 1), Plant(planted.TruncateToHW))
	require.Len(t, h.errors, 1)
	assert.Contains(t, h.errors[0], "law 23")

	h = try(t, quick(), Seeds(1, 1), Plan("at 1s for 1s: kill broker-1"), Set("acks", "1"), Set("enable.idempotence", "false"))
	assert.Empty(t, h.errors)
	assert.Empty(t, h.fatal)
}

// What a setting permits to be lost is logged, and fails a strict trial.
func TestTry_SaysWhatIsPermitted(t *testing.T) {
	s := scenarios.AcksOne
	w, err := workloads.Set(s.Workload, "rate", "30") // enough, and faster
	require.NoError(t, err)
	s.Workload = w
	h := try(t, s, Seeds(2, 2))
	assert.Empty(t, h.errors)
	require.Len(t, h.logs, 1)
	assert.Contains(t, h.logs[0], "acks=1")
	assert.Len(t, try(t, s, Seeds(2, 2), Strict()).errors, 1)
}

// crowd is a workload with a mistake in each of its clients.
type crowd struct {
	workloads.Workload
	mistake func(*workloads.Client)
}

func (w crowd) Clients(s *workloads.Stage) []workloads.Client {
	clients := w.Workload.Clients(s)
	for i := range clients {
		w.mistake(&clients[i])
	}
	return clients
}

// hush is a fault that its author forgot to declare.
type hush struct{ hosts []string }

func (hush) String() string                                  { return "hush" }
func (hush) Inject(faults.Cluster, *rand.Rand) (heal func()) { return func() {} }

// What the command line refuses is refused here, too.
func TestTry_RefusesMistakes(t *testing.T) {
	with := func(change func(*scenarios.Scenario)) scenarios.Scenario {
		s := quick()
		change(&s)
		return s
	}
	work := func(change func(*workloads.ProduceConsume)) scenarios.Scenario {
		return with(func(s *scenarios.Scenario) {
			w := s.Workload.(workloads.ProduceConsume)
			change(&w)
			s.Workload = w
		})
	}
	for name, c := range map[string]struct {
		scenario scenarios.Scenario
		options  []Option
		says     string
	}{
		"no seeds":       {quick(), nil, "found no seeds"},
		"seeds":          {quick(), []Option{Seeds(20, 1)}, "found a last seed below the first"},
		"too many seeds": {quick(), []Option{Seeds(0, math.MaxUint64)}, "found more than 1000000 seeds"},
		"no fault":       {with(func(s *scenarios.Scenario) { s.Faults = faults.Plan{{At: time.Second}} }), []Option{Seeds(1, 1)}, "found no Fault"},
		"a fault that no plan can name": {with(func(s *scenarios.Scenario) {
			s.Faults = faults.Plan{{Fault: hush{}}}
		}), []Option{Seeds(1, 1)}, "plan: line 1: ktrial.hush is not declared: call faults.Declare("},
		"a fault that is no struct": {with(func(s *scenarios.Scenario) {
			s.Faults = faults.Plan{{Fault: &hush{}}}
		}), []Option{Seeds(1, 1)}, "found a fault of type *ktrial.hush, expected a struct"},
		"a time before the start": {with(func(s *scenarios.Scenario) {
			s.Faults = faults.Plan{{At: -time.Second, Fault: faults.Pause{Host: faults.AnyBroker}}}
		}), []Option{Seeds(1, 1)}, "found -1s for 0s, expected no time below 0"},
		"a check that panics": {with(func(s *scenarios.Scenario) {
			s.OwnChecks = []checkers.Check{{Name: "my check", Run: func(*history.History) checkers.Checked { panic("an index") }}}
		}), []Option{Seeds(1, 1)}, `check "my check" panics: an index`},
		"a law that panics": {with(func(s *scenarios.Scenario) {
			s.Laws = []scenarios.Law{{Name: "my law", Watch: func() func(*ledger.Entry) (bool, string) {
				return func(*ledger.Entry) (bool, string) { panic("a map") }
			}}}
		}), []Option{Seeds(1, 1)}, `law "my law" panics: a map`},
		"a plan": {quick(), []Option{Seeds(1, 1), Plan("at 1s: kil broker-1")}, `did you mean "kill {Host}"`},
		"a host": {with(func(s *scenarios.Scenario) {
			s.Faults = faults.Plan{{Fault: faults.Kill{Host: faults.Host("brokr-9")}}}
		}), []Option{Seeds(1, 1)}, `host "brokr-9" is unknown`},
		"a topic":   {work(func(w *workloads.ProduceConsume) { w.Topic = "odrers" }), []Option{Seeds(1, 1)}, `topic "odrers" is unknown; did you mean orders?`},
		"a setting": {work(func(w *workloads.ProduceConsume) { w.Client = map[string]string{"linger": "5"} }), []Option{Seeds(1, 1)}, `"linger" is unknown`},
		"a value":   {quick(), []Option{Seeds(1, 1), Set("linger.ms", "soon")}, "linger.ms"},
		"a config":  {with(func(s *scenarios.Scenario) { s.Cluster.Config = map[string]string{"num.partitons": "3"} }), []Option{Seeds(1, 1)}, "num.partitons"},
		"two clients on a host": {with(func(s *scenarios.Scenario) {
			s.Workload = crowd{s.Workload, func(c *workloads.Client) { c.Host = "producer-1" }}
		}), []Option{Seeds(1, 1)}, "found two clients on host producer-1"},
		"a client that does nothing": {with(func(s *scenarios.Scenario) {
			s.Workload = crowd{s.Workload, func(c *workloads.Client) { c.Main = nil }}
		}), []Option{Seeds(1, 1)}, `client "producer-1": expected a Host and a Main`},
		"no checks":   {with(func(s *scenarios.Scenario) { s.Checks = nil }), []Option{Seeds(1, 1)}, "found no Checks and no Laws"},
		"no workload": {with(func(s *scenarios.Scenario) { s.Workload = nil }), []Option{Seeds(1, 1)}, "found no Workload"},
		"no brokers":  {with(func(s *scenarios.Scenario) { s.Cluster.Brokers = 0 }), []Option{Seeds(1, 1)}, "found 0 brokers"},
		"too few": {with(func(s *scenarios.Scenario) {
			s.Topics = []scenarios.Topic{{Name: "orders", Partitions: 1, Replicas: 5}}
		}), []Option{Seeds(1, 1)}, "found 5 Replicas"},
		"a bad target": {with(func(s *scenarios.Scenario) {
			s.Faults = faults.Plan{{Fault: faults.Kill{Host: faults.Leader("orders", 7)}}}
		}), []Option{Seeds(1, 1)}, "found partition 7 of orders"},
	} {
		t.Run(name, func(t *testing.T) {
			h := try(t, c.scenario, c.options...)
			require.Len(t, h.fatal, 1, "%v", h.errors)
			assert.Contains(t, h.fatal[0], c.says)
		})
	}
}
