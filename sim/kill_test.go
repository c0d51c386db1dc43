package sim_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

func newWorld(t *testing.T, seed uint64) *sim.World {
	w := sim.NewWorld(sim.Config{Seed: seed})
	t.Cleanup(w.Close)
	return w
}

func TestKillEndsTasksWhereTheyWait(t *testing.T) {
	w := newWorld(t, 1)
	var after, deferred, recovered int
	host := w.Host("broker-1")
	host.Start(func(h env.Host) {
		for range 10 {
			h.Go("stubborn", func() {
				defer func() { deferred++ }()
				for {
					func() {
						defer func() {
							if recover() != nil {
								recovered++
							}
						}()
						h.Sleep(time.Second)
					}()
					after++
				}
			})
		}
	})
	require.NoError(t, w.Run(500*time.Millisecond))
	host.Kill()
	assert.False(t, host.IsRunning())
	require.NoError(t, w.Run(10*time.Second))
	assert.Equal(t, 10, deferred)
	assert.Zero(t, after, "code after the blocking call ran")
	assert.Zero(t, recovered, "a recover saw the kill")
}

func TestDefersOfADeadProcessTouchNothing(t *testing.T) {
	w := newWorld(t, 1)
	received := ""
	w.Host("peer").Start(func(h env.Host) {
		l, _ := h.Listen(1)
		c, err := l.Accept()
		require.NoError(t, err)
		b := make([]byte, 100)
		for {
			n, err := c.Read(b)
			received += string(b[:n])
			if err != nil {
				return
			}
		}
	})
	reachedEnd := false
	victim := w.Host("victim")
	victim.Start(func(h env.Host) {
		c, err := h.Dial("peer:1", time.Second)
		require.NoError(t, err)
		f, err := h.Disk().Create("file")
		require.NoError(t, err)
		defer func() { reachedEnd = true }()
		defer h.Sleep(time.Second) // a blocking call inside a defer dies again
		defer func() {
			_, err := c.Write([]byte("last words"))
			assert.ErrorIs(t, err, env.ErrClosed)
			_, err = f.WriteAt([]byte("last words"), 0)
			assert.ErrorIs(t, err, env.ErrClosed)
			h.Tell(ledger.Say("last words"))
			h.Reached(aProbe)
			h.Go("child", func() { t.Error("a dead process started a task") })
			h.After(0, "timer", func() { t.Error("a dead process started a timer") })
		}()
		c.Write([]byte("hello"))
		h.Sleep(time.Hour)
	})
	require.NoError(t, w.Run(time.Second))
	victim.Kill()
	assert.True(t, reachedEnd)
	require.NoError(t, w.Run(2*time.Second))
	assert.Equal(t, "hello", received)
	assert.NotContains(t, w.Ledger().Story(ledger.Filter{}), "last words")
	assert.Empty(t, w.Probes())
	data, err := victim.Disk().Contents("file")
	require.NoError(t, err)
	assert.Empty(t, data)
}

func TestTenThousandKillsLeaveNothing(t *testing.T) {
	w := newWorld(t, 1)
	w.Host("server").Start(func(h env.Host) {
		h.Go("ticker", func() {
			for {
				h.Sleep(time.Second)
			}
		})
		l, _ := h.Listen(1)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.Go("connection", func() {
				defer c.Close()
				for b := make([]byte, 100); ; {
					if _, err := c.Read(b); err != nil {
						return
					}
				}
			})
		}
	})
	victim := w.Host("victim")
	main := func(h env.Host) {
		s := h.NewSignal("never")
		for range 8 {
			h.Go("waiter", func() { s.Wait(time.Hour) })
		}
		h.After(time.Hour, "timer", func() {})
		c, err := h.Dial("server:1", time.Second)
		if err == nil {
			c.Write([]byte("hello"))
			c.Read(make([]byte, 1))
		}
	}
	cycle := func(n int) {
		for range n {
			victim.Start(main)
			require.NoError(t, w.Run(w.Now()+2*time.Millisecond))
			victim.Kill()
		}
		require.NoError(t, w.Run(w.Now()+time.Second))
	}
	heap := func() (goroutines int, bytes uint64) {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return runtime.NumGoroutine(), m.HeapAlloc
	}
	cycle(100)
	goroutines, bytes := heap()
	cycle(10_000)
	goroutinesNow, bytesNow := heap()
	assert.LessOrEqual(t, goroutinesNow, goroutines, "after a hundred times as many kills; those of earlier tests may have ended meanwhile")
	assert.Less(t, bytesNow, bytes+bytes/2+1<<20)
}

func TestCloseLeavesNoGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	for seed := range uint64(100) {
		w := sim.NewWorld(sim.Config{Seed: seed})
		for _, name := range []string{"a", "b", "c"} {
			w.Host(name).Start(func(h env.Host) {
				for range 10 {
					h.Go("task", func() { h.Sleep(time.Hour) })
				}
				h.Sleep(time.Second)
			})
		}
		require.NoError(t, w.Run(2*time.Second))
		w.Close()
	}
	// Goroutines of earlier tests may end meanwhile, but not one for each of the worlds; the
	// watchdog of the last world may be about to end.
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	assert.LessOrEqual(t, runtime.NumGoroutine(), before)
}

func TestKillOneself(t *testing.T) {
	w := newWorld(t, 1)
	host := w.Host("broker-1")
	after := false
	host.Start(func(h env.Host) {
		h.Go("bystander", func() { h.Sleep(time.Hour); after = true })
		h.Sleep(time.Second)
		host.Kill()
		after = true
	})
	require.NoError(t, w.Run(2*time.Hour))
	assert.False(t, host.IsRunning())
	assert.False(t, after)
}

func TestExit(t *testing.T) {
	w := newWorld(t, 1)
	host := w.Host("broker-1")
	host.Start(func(h env.Host) {
		h.Go("bystander", func() { h.Sleep(time.Hour); t.Error("bystander survived") })
		h.Go("log dir", func() { h.Exit(errors.New("bad log directory")); t.Error("exit returned") })
		h.Sleep(time.Hour)
	})
	require.NoError(t, w.Run(2*time.Hour))
	assert.False(t, host.IsRunning())
	assert.EqualError(t, host.ExitError(), "bad log directory")
	assert.Contains(t, w.Ledger().Story(ledger.Filter{}), "exits: bad log directory\n")
	host.Start(func(h env.Host) { h.Sleep(time.Second) })
	require.NoError(t, w.Run(3*time.Hour))
	assert.NoError(t, host.ExitError())
}

func TestExitFromATimer(t *testing.T) {
	w := newWorld(t, 1)
	host := w.Host("broker-1")
	host.Start(func(h env.Host) {
		h.After(time.Second, "doom", func() { h.Exit(errors.New("too late")) })
		h.Sleep(time.Hour)
		t.Error("survived")
	})
	require.NoError(t, w.Run(2*time.Hour))
	assert.EqualError(t, host.ExitError(), "too late")
}

func TestPauseAndResume(t *testing.T) {
	w := newWorld(t, 1)
	host := w.Host("broker-1")
	var ticks, timers []time.Duration
	host.Start(func(h env.Host) {
		h.After(3*time.Second, "timer", func() { timers = append(timers, w.Now()) })
		for range 5 {
			h.Sleep(time.Second)
			ticks = append(ticks, w.Now().Round(time.Millisecond))
		}
	})
	w.At(1500*time.Millisecond, "pause", host.Pause)
	w.At(4500*time.Millisecond, "resume", host.Resume)
	require.NoError(t, w.Run(time.Minute))
	s := time.Second
	assert.Equal(t, []time.Duration{1 * s, 4500 * time.Millisecond, 5500 * time.Millisecond, 6500 * time.Millisecond, 7500 * time.Millisecond}, ticks)
	assert.Equal(t, []time.Duration{4500 * time.Millisecond}, timers)
}

func TestKillWhilePaused(t *testing.T) {
	w := newWorld(t, 1)
	host := w.Host("broker-1")
	host.Start(func(h env.Host) {
		h.Sleep(time.Second)
		t.Error("ran after the kill")
	})
	w.At(500*time.Millisecond, "pause", host.Pause)
	w.At(2*time.Second, "kill", host.Kill)
	w.At(3*time.Second, "resume", host.Resume)
	require.NoError(t, w.Run(time.Minute))
}

func TestPanicNamesWhereAndWhen(t *testing.T) {
	w := newWorld(t, 1)
	w.Host("broker-1").Start(func(h env.Host) { h.Sleep(time.Second) })
	require.NoError(t, w.Run(10*time.Second))
	w.Host("broker-1").Start(func(h env.Host) {
		h.Go("isr", func() {
			h.Sleep(2 * time.Second)
			explode()
		})
		h.Sleep(time.Hour)
	})
	err := w.Run(time.Hour)
	var p *sim.PanicError
	require.ErrorAs(t, err, &p)
	assert.Equal(t, "broker-1", p.Process)
	assert.Equal(t, 2, p.Incarnation)
	assert.Equal(t, "isr", p.Task)
	assert.InDelta(t, 12*time.Second, p.At, float64(time.Millisecond))
	assert.Contains(t, err.Error(), "high watermark 41 passed log end offset 40")
	assert.Contains(t, err.Error(), "sim_test.explode kill_test.go:")
	assert.NotContains(t, err.Error(), "0x", "an address is in the report")
	assert.ErrorIs(t, w.Run(2*time.Hour), err, "a failed world does not go on")
}

func explode() { panic("high watermark 41 passed log end offset 40") }

func TestDeadlockNamesTheWaitingTasks(t *testing.T) {
	w := newWorld(t, 1)
	w.Host("broker-1").Start(func(h env.Host) {
		s := h.NewSignal("isr-shrink")
		h.Go("isr", func() {
			h.Sleep(time.Second)
			s.Wait(env.Forever)
		})
		l, _ := h.Listen(9092)
		l.Accept()
	})
	err := w.Run(time.Hour)
	var d *sim.DeadlockError
	require.ErrorAs(t, err, &d)
	require.Len(t, d.Waiters, 2)
	text := err.Error()
	assert.Contains(t, text, "broker-1/main: accept on broker-1:9092 since 0s")
	assert.Contains(t, text, "broker-1/isr: wait for isr-shrink since ")
	assert.Contains(t, text, "TestDeadlockNamesTheWaitingTasks.func1.1 kill_test.go:")
	assert.NotContains(t, text, "0x")
	assert.False(t, strings.Contains(text, "kernel."), "machinery in the report:\n%s", text)
}

func TestStopIsNoDeadlock(t *testing.T) {
	w := newWorld(t, 1)
	w.Host("a").Start(func(h env.Host) { h.NewSignal("never").Wait(env.Forever) })
	w.At(time.Second, "stop", w.Stop)
	require.NoError(t, w.Run(time.Hour))
	assert.Equal(t, time.Second, w.Now())
}

// A world that gets nowhere names the tasks that keep it busy, and where they
// stand: the same for the same seed.
func TestLivelock(t *testing.T) {
	for _, c := range []struct {
		name string
		main func(env.Host)
		says string
	}{
		{"sleeps for no time", sleepy, `livelock at \d\S+s: time does not pass after 50001 steps: broker-1/main took \d{4,5} of the last \d{4,5} turns, at sim_test.sleepy kill_test.go:\d+`},
		{"asks for the time", impatient, `livelock at \d\S+s: a task never waits in 1000001 calls to its host: broker-1/main, at sim_test.impatient kill_test.go:\d+$`},
		{"asks for luck", hopeful, `a task never waits in 1000001 calls to its host: broker-1/main, at sim_test.hopeful kill_test.go:\d+$`},
	} {
		t.Run(c.name, func(t *testing.T) {
			says := func() string {
				w := sim.NewWorld(sim.Config{Seed: 1, MaxPerInstant: 50_000})
				defer w.Close()
				w.Host("broker-1").Start(func(h env.Host) {
					h.Go("honest", func() {
						for {
							h.Sleep(time.Duration(h.Rand().IntN(10)) * time.Millisecond)
						}
					})
					h.Sleep(time.Second)
					c.main(h)
				})
				var l *sim.LivelockError
				require.ErrorAs(t, w.Run(time.Hour), &l)
				return l.Error()
			}
			assert.Regexp(t, c.says, says())
			assert.Equal(t, says(), says())
		})
	}
}

func sleepy(h env.Host) {
	for {
		h.Sleep(0)
	}
}

func impatient(h env.Host) {
	for end := h.Uptime() + time.Second; h.Uptime() < end; {
	}
}

func hopeful(h env.Host) {
	for !h.Unlucky("never") || true {
	}
}

func TestMaxEvents(t *testing.T) {
	w := sim.NewWorld(sim.Config{Seed: 1, MaxEvents: 1000})
	defer w.Close()
	w.Host("broker-1").Start(func(h env.Host) {
		for {
			h.Sleep(time.Millisecond)
		}
	})
	var l *sim.LivelockError
	require.ErrorAs(t, w.Run(time.Hour), &l)
	assert.EqualValues(t, 1001, w.Events())
}

func TestBlockingOutsideOfATaskIsOurBug(t *testing.T) {
	w := newWorld(t, 1)
	w.Host("broker-1").Start(func(h env.Host) {
		h.After(time.Second, "timer", func() { h.Sleep(time.Second) })
		h.Sleep(time.Hour)
	})
	err := w.Run(time.Hour)
	require.Error(t, err)
	assert.Contains(t, err.Error(), `panic in broker-1 (incarnation 1), task timer timer, at `)
	assert.Contains(t, err.Error(), `kernel: "sleep" blocks, but was called outside of a task`)
}

func TestFailNowInsideATaskEndsTheTest(t *testing.T) {
	done := make(chan bool)
	go func() { // stands for the goroutine of a test
		defer close(done)
		w := sim.NewWorld(sim.Config{Seed: 1})
		defer w.Close()
		w.Host("a").Start(func(h env.Host) {
			h.Sleep(time.Second)
			runtime.Goexit() // what t.FailNow does
		})
		w.Run(time.Hour)
		t.Error("the test went on")
	}()
	<-done
}

func TestMainMayReturn(t *testing.T) {
	w := newWorld(t, 1)
	host := w.Host("a")
	ticks := 0
	host.Start(func(h env.Host) {
		h.Go("ticker", func() {
			for range 3 {
				h.Sleep(time.Second)
				ticks++
			}
		})
		h.After(5*time.Second, "last", func() { ticks++ })
	})
	require.NoError(t, w.Run(4500*time.Millisecond))
	assert.True(t, host.IsRunning(), "a timer is left")
	require.NoError(t, w.Run(time.Minute))
	assert.False(t, host.IsRunning())
	assert.Equal(t, 4, ticks)
}
