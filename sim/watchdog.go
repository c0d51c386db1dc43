package sim

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"
)

// watch starts the watchdog, if the world has one, and returns what ends it. A
// task that never parks cannot be stopped from inside one thread; all that is
// left is to say where it is and give up.
func (w *World) watch() (end func()) {
	if w.cfg.Watchdog == 0 {
		return func() {}
	}
	var ended atomic.Bool
	beat := w.heartbeat()
	go func() {
		last, idle := beat.Load(), time.Duration(0)
		const tick = 100 * time.Millisecond
		for !ended.Load() {
			time.Sleep(tick)
			now := beat.Load()
			idle += tick
			if now != last {
				last, idle = now, 0
			}
			if idle >= w.cfg.Watchdog && !ended.Load() {
				bark(w.cfg.Watchdog)
			}
		}
	}()
	return func() { ended.Store(true) }
}

// heartbeat counts the events where another goroutine may see them.
func (w *World) heartbeat() *atomic.Uint64 {
	if w.beat == nil {
		w.beat = &atomic.Uint64{}
		w.OnEvent(func() { w.beat.Add(1) })
	}
	return w.beat
}

// bark tells where every goroutine is, and aborts.
func bark(after time.Duration) {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	fmt.Fprintf(os.Stderr, "sim: a task has not given back the thread for %v of real time\n%s\n", after, stacks)
	os.Exit(70)
}
