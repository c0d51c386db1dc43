package trial

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/internal/samples"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/workloads"
)

// spinning is a workload whose second producer does something else after its
// first second.
type spinning struct {
	workloads.Workload
	instead func(*workloads.Stage, env.Host)
}

func (w spinning) Clients(s *workloads.Stage) []workloads.Client {
	clients := w.Workload.Clients(s)
	clients[1].Main = func(h env.Host) {
		s.AwaitWork(h)
		h.Sleep(time.Second)
		w.instead(s, h)
	}
	return clients
}

func yields(_ *workloads.Stage, h env.Host) {
	for {
		h.Sleep(0)
	}
}

func asksItsClock(_ *workloads.Stage, h env.Host) {
	for end := h.Uptime() + time.Second; h.Uptime() < end; {
	}
}

func asksTheTrueTime(s *workloads.Stage, _ env.Host) {
	for end := s.Now() + time.Second; s.Now() < end; {
	}
}

func crawls(_ *workloads.Stage, h env.Host) {
	for {
		h.Sleep(1)
	}
}

// A client that makes no progress is a violation that names its host, its task
// and where it stands: the same bytes each time.
func TestATaskThatSpinsIsNamed(t *testing.T) {
	for _, c := range []struct {
		name    string
		instead func(*workloads.Stage, env.Host)
		says    string
	}{
		{"yields", yields, `time does not pass after 20001 steps: producer-2/main took \d+ of the last \d+ turns, at trial\.yields progress_test\.go:\d+`},
		{"asks its clock", asksItsClock, `a task never waits in 1000001 calls to its host: producer-2/main, at trial\.asksItsClock progress_test\.go:\d+`},
		{"asks for the true time", asksTheTrueTime, `a task never waits in 1000001 calls to its host: producer-2/main, at .*trial\.asksTheTrueTime progress_test\.go:\d+`},
		{"crawls", crawls, `the run does not end after 100001 events: producer-2/main took \d+ of the last \d+ turns, at trial\.crawls progress_test\.go:\d+`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := samples.Short()
			s.Workload = spinning{s.Workload, c.instead}
			o := Options{Seed: 3, Limits: Limits{Events: 100_000, PerInstant: 20_000}}
			tell := func() string {
				r, err := Run(s, o)
				require.NoError(t, err)
				require.Equal(t, reports.Violated, r.Report.Verdict)
				v := r.Report.Violations[0]
				assert.Equal(t, goesOn, v.Check)
				assert.Regexp(t, `^no progress with seed 3: livelock at 3\.\d+s: `+c.says, v.Message)
				var text strings.Builder
				r.Report.WriteText(&text, reports.Style{})
				return text.String()
			}
			once := tell()
			assert.Contains(t, once, "FAIL standard seed 3")
			assert.Equal(t, once, tell())
		})
	}
}

// A loop that no limit of the world sees is found by the watchdog, which ends the
// program: it decides no verdict.
func TestTheWatchdogEndsARun(t *testing.T) {
	if os.Getenv("TRIAL_TEST_LOOP") != "" {
		s := samples.Short()
		s.Workload = spinning{s.Workload, func(*workloads.Stage, env.Host) { loop(make([]byte, 1)) }}
		_, err := Run(s, Options{Seed: 3, Limits: Limits{Watchdog: 300 * time.Millisecond}})
		t.Fatalf("the run ended: %v", err)
	}
	c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	c.Env = append(os.Environ(), "TRIAL_TEST_LOOP=1")
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 70, exit.ExitCode())
	assert.Regexp(t, `ktrial: our own bug: scenario standard, seed 3: task producer-2/main has not given back the thread for 300ms of wall time, at 3\.\d+s of virtual time`, string(out))
	assert.Contains(t, string(out), "trial.loop")
}

func loop(b []byte) {
	for b[0] < 1 {
		b[0] &= 0
	}
}

// The usual budget lets long work be.
func TestTheBudgetGrowsWithTheWork(t *testing.T) {
	s := samples.Short()
	brief := Limits{}.orDefault(s).Events
	w, err := workloads.Set(s.Workload, "duration", "1h")
	require.NoError(t, err)
	s.Workload = w
	assert.Greater(t, Limits{}.orDefault(s).Events, brief+1_000_000_000)
	assert.EqualValues(t, 7, Limits{Events: 7}.orDefault(s).Events)
}

// A world in which nothing can happen any more lists which task waits for what,
// and where.
func TestADeadlockListsItsTasks(t *testing.T) {
	r, err := prepare(samples.Short(), Options{Seed: 3})
	require.NoError(t, err)
	defer r.w.Close()
	w := sim.NewWorld(sim.Config{Seed: 3})
	defer w.Close()
	w.Host("broker-1").Start(func(h env.Host) { h.NewSignal("isr-shrink").Wait(env.Forever) })
	w.Host("broker-2").Start(func(h env.Host) { h.NewSignal("an answer").Wait(env.Forever) })
	require.NoError(t, r.failed(w.Run(time.Hour)))
	require.Len(t, r.violations, 1)
	v := r.violations[0]
	assert.Regexp(t, `^no progress with seed 3: deadlock at \S+: no task can run and no event is due; 2 tasks wait$`, v.Message)
	proof := strings.Join(v.Proof, "\n")
	assert.Contains(t, proof, "broker-1/main: wait for isr-shrink since 0s")
	assert.Contains(t, proof, "broker-2/main: wait for an answer since 0s")
	assert.Contains(t, proof, "at trial.TestADeadlockListsItsTasks.func")
}

// A run without faults has none, also when it ends.
func TestNoFaults(t *testing.T) {
	empty := plan(t, "# nothing\n")
	if empty == nil {
		empty = faults.Plan{}
	}
	cutOff := 0
	for seed := uint64(1); seed <= 6; seed++ {
		for name, o := range map[string]Options{"no faults": {NoFaults: true}, "empty plan": {Plan: empty}, "own faults": {}} {
			o.Seed, o.Keep = seed, ledger.KeepAll
			r, err := Run(samples.Short(), o)
			require.NoError(t, err)
			for e := range r.Ledger.All() {
				switch e.Event.(type) {
				case *CoreChosen, *faults.Struck:
					if o.NoFaults || o.Plan != nil {
						t.Errorf("%s, seed %d: %s", name, seed, e.Event.Sentence())
					}
					cutOff++
				}
			}
		}
	}
	assert.NotZero(t, cutOff, "nothing struck in any run, so this proves little")
}

// What a run was played with is recorded, and an empty plan is one.
func TestARecordHasItsOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"usual":      {Seed: 3},
		"empty plan": {Seed: 3, Plan: faults.Plan{}},
		"a plan":     {Seed: 3, Plan: plan(t, "at 1s for 1s: kill broker-1")},
		"no faults":  {Seed: 3, NoFaults: true, Strict: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := samples.Short()
			set := map[string]string{"duration": "2s"}
			o.Set = set
			first, err := Run(s, o)
			require.NoError(t, err)
			require.NoError(t, first.WriteTo(dir, o))
			rec, err := ReadRecord(dir + "/run.json")
			require.NoError(t, err)
			assert.True(t, rec.IsOf("standard", o))
			for _, other := range []Options{
				{Seed: 4, Set: set, Plan: o.Plan, NoFaults: o.NoFaults, Strict: o.Strict},
				{Seed: 3, Plan: o.Plan, NoFaults: o.NoFaults, Strict: o.Strict},
				{Seed: 3, Set: set, Plan: plan(t, "at 1s: kill broker-2"), NoFaults: o.NoFaults, Strict: o.Strict},
				{Seed: 3, Set: set, Plan: o.Plan, NoFaults: !o.NoFaults, Strict: o.Strict},
			} {
				assert.False(t, rec.IsOf("standard", other), "%+v", other)
			}
			again, err := rec.Options()
			require.NoError(t, err)
			assert.Equal(t, o.Plan == nil, again.Plan == nil)
			second, err := Run(s, again)
			require.NoError(t, err)
			assert.Equal(t, first.Report.TraceHash, second.Report.TraceHash)
		})
	}
}

// Clocks of a report: a plan counts from the beginning of the work, all else
// from that of the run.
func TestBothClocksAreTold(t *testing.T) {
	r, err := Run(samples.Short(), Options{Seed: 1, Plan: plan(t, "at 1s for 1s: kill broker-1\nat 9s: kill broker-2")})
	require.NoError(t, err)
	began := time.Duration(r.Report.WorkBegan)
	assert.Greater(t, began, time.Second)
	require.Len(t, r.Report.Faults, 1)
	assert.Equal(t, began+time.Second, time.Duration(r.Report.Faults[0].At))
	var text strings.Builder
	r.Report.WriteText(&text, reports.Style{})
	assert.Contains(t, text.String(), fmt.Sprintf("skipped  at 0s of the work (%v) kill broker-2: ", r.Report.WorkBegan))
}

// The command that plays a run again has all that makes it the run that it is.
func TestCommand(t *testing.T) {
	o := Options{Seed: 7, NoFaults: true, Strict: true, Set: map[string]string{"acks": "1"}}
	assert.Equal(t, "ktrial run standard --seed 7 --set acks=1 --no-faults --strict", o.Command(scenarios.Standard.Name))
}
