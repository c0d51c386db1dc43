package sim_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

// The watchdog ends the program, so the test runs itself as another one.
func TestWatchdogTellsWhereATaskIsStuck(t *testing.T) {
	if os.Getenv("SIM_TEST_SPIN") != "" {
		w := sim.NewWorld(sim.Config{Seed: 1, Watchdog: 300 * time.Millisecond})
		w.Host("a").Start(func(h env.Host) { spin(make([]byte, 1)) })
		w.Run(time.Second)
		return
	}
	c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	c.Env = append(os.Environ(), "SIM_TEST_SPIN=1")
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 70, exit.ExitCode())
	assert.Contains(t, string(out), "seed 1: task a/main has not given back the thread for 300ms of wall time, at 0s of virtual time")
	assert.Contains(t, string(out), "sim_test.spin")
}

func spin(b []byte) {
	for b[0] < 1 {
		b[0] &= 0
	}
}

func TestWatchdogLetsABusyWorldRun(t *testing.T) {
	w := sim.NewWorld(sim.Config{Seed: 1, Watchdog: 200 * time.Millisecond})
	defer w.Close()
	w.Host("a").Start(func(h env.Host) {
		for range 20 {
			time.Sleep(20 * time.Millisecond) // stands for long computation
			h.Sleep(time.Second)
		}
	})
	require.NoError(t, w.Run(time.Minute))
}

// A program that plays many worlds is told, and goes on.
func TestWatchdogTellsTheProgram(t *testing.T) {
	stuck := make(chan sim.Stuck)
	w := sim.NewWorld(sim.Config{Seed: 7, Watchdog: 200 * time.Millisecond, Stuck: func(s sim.Stuck) { stuck <- s }})
	again := make([]byte, 1)
	ended := make(chan error)
	w.Host("a").Start(func(h env.Host) {
		h.Sleep(3 * time.Second)
		h.Go("worker", func() {
			for end := time.Now().Add(2 * time.Second); time.Now().Before(end); { // stands for a loop without end
				again[0]++
			}
		})
	})
	go func() { ended <- w.Run(time.Minute) }()
	s := <-stuck
	assert.Equal(t, "a/worker", s.Task)
	assert.Contains(t, s.Error(), "seed 7: task a/worker has not given back the thread for 200ms of wall time, at 3.0")
	assert.Contains(t, s.Stacks, "TestWatchdogTellsTheProgram")
	require.NoError(t, <-ended)
	w.Close()
}
