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
	assert.Contains(t, string(out), "a task has not given back the thread for 300ms")
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
