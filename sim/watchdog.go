package sim

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
)

// Stuck says where a world stands whose running task does not give back the
// thread. Such a task cannot be stopped from outside.
type Stuck struct {
	Seed   uint64
	Task   string        // "broker-1/fetcher"; empty: a callback of the world
	At     time.Duration // of virtual time
	After  time.Duration // of real time
	Stacks string        // of the goroutines that run
}

// Error says it in a line.
func (s Stuck) Error() string {
	task := "task " + s.Task
	if s.Task == "" {
		task = "a callback of the world"
	}
	return fmt.Sprintf("seed %d: %s has not given back the thread for %v of wall time, at %v of virtual time", s.Seed, task, s.After, s.At)
}

// watchdog looks from a goroutine of its own whether a world goes on.
type watchdog struct {
	begun   bool
	running atomic.Bool // Run is under way
	ended   atomic.Bool
}

// look is how often the watchdog looks.
const look = 100 * time.Millisecond

// watch informs the watchdog, if there is one, that Run is under way; what it
// returns, that it is over.
func (w *World) startWatchdog() (end func()) {
	if w.cfg.Watchdog == 0 {
		return func() {}
	}
	w.dog.running.Store(true)
	if !w.dog.begun {
		w.dog.begun = true
		go w.dog.guard(w)
	}
	return func() { w.dog.running.Store(false) }
}

// end lets the watchdog go.
func (d *watchdog) end() { d.ended.Store(true) }

// guard counts its own looks and not the time of the clock: a process that was
// stopped for a while is not stuck.
func (d *watchdog) guard(w *World) {
	last, idle := w.k.Beats(), time.Duration(0)
	for !d.ended.Load() {
		time.Sleep(look)
		now := w.k.Beats()
		idle += look
		if now != last || !d.running.Load() {
			last, idle = now, 0
		}
		if idle >= w.cfg.Watchdog && !d.ended.Load() {
			task, at := w.k.Standing()
			w.reportStuck(Stuck{Seed: w.cfg.Seed, Task: task, At: at, After: w.cfg.Watchdog, Stacks: running()})
			return
		}
	}
}

func (w *World) reportStuck(s Stuck) {
	if w.cfg.Stuck != nil {
		w.cfg.Stuck(s)
		return
	}
	fmt.Fprintf(os.Stderr, "sim: %v\n%s\n", s, s.Stacks)
	os.Exit(70)
}

// running are the stacks of the goroutines that run, but for this one.
func running() string {
	all := make([]byte, 1<<20)
	all = all[:runtime.Stack(all, true)]
	var out []string
	for i, stack := range strings.Split(string(all), "\n\n") {
		head, _, _ := strings.Cut(stack, "\n")
		if i > 0 && (strings.Contains(head, "[running") || strings.Contains(head, "[runnable")) {
			out = append(out, stack)
		}
	}
	return strings.Join(out, "\n\n")
}
