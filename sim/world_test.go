package sim_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

func TestSignal(t *testing.T) {
	sim.RunHost(t, 1, func(h env.Host) {
		s := h.NewSignal("s")
		var woken []int
		for i := range 4 {
			h.Go("waiter", func() {
				h.Sleep(time.Duration(i) * time.Millisecond)
				if s.Wait(time.Second) {
					woken = append(woken, i)
				}
			})
		}
		h.Sleep(10 * time.Millisecond)
		s.Notify()
		h.Sleep(time.Millisecond)
		assert.Equal(t, []int{0}, woken, "the longest waiting first")
		s.Notify()
		h.Sleep(time.Millisecond)
		assert.Equal(t, []int{0, 1}, woken)
		s.Broadcast()
		h.Sleep(time.Millisecond)
		assert.Len(t, woken, 4)
		s.Notify() // no task waits: it is not kept
		start := h.Uptime()
		assert.False(t, s.Wait(time.Second))
		assert.Equal(t, time.Second, h.Uptime()-start)
		assert.False(t, s.Wait(0))
		assert.False(t, s.Wait(-5))
	})
}

// An early alarm is kept for later waits: the limits must hold all the same.
func TestWaitsOfAllLengthsEndInTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := rapid.SliceOfN(rapid.Int64Range(0, 1000), 1, 30).Draw(t, "limits")
		notify := rapid.SliceOfN(rapid.Int64Range(0, 1000), len(limits), len(limits)).Draw(t, "notify")
		sim.RunHost(t, 1, func(h env.Host) {
			s := h.NewSignal("s")
			for i, limit := range limits {
				timer := h.After(time.Duration(notify[i])*time.Second+1, "notify", s.Broadcast)
				start := h.Uptime()
				got := s.Wait(time.Duration(limit) * time.Second)
				took := h.Uptime() - start
				if want := notify[i] < limit; got != want {
					t.Fatalf("wait %d: signalled %v, expected %v", i, got, want)
				}
				if want := time.Duration(min(notify[i], limit)) * time.Second; took < want || took > want+2 {
					t.Fatalf("wait %d took %v, expected %v", i, took, want)
				}
				timer.Stop()
			}
		})
	})
}

func TestTimers(t *testing.T) {
	sim.RunHost(t, 1, func(h env.Host) {
		fired := 0
		a := h.After(time.Second, "a", func() { fired++ })
		b := h.After(time.Second, "b", func() { fired++ })
		assert.True(t, a.Stop())
		assert.False(t, a.Stop())
		h.Sleep(2 * time.Second)
		assert.Equal(t, 1, fired)
		assert.False(t, b.Stop())
	})
}

func TestClocksOfHostsDiffer(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.Host("a"), w.Host("b")
	assert.NotEqual(t, a.Now(), b.Now())
	assert.Less(t, time.Duration(a.Now()-b.Now()).Abs(), 10*time.Millisecond)
	require.NoError(t, w.Run(time.Hour))
	assert.Less(t, time.Duration(a.Now()-b.Now()).Abs(), time.Second)
	assert.Equal(t, 2026, time.Unix(0, int64(a.Now())).UTC().Year())
}

func TestClockStepsAndDrifts(t *testing.T) {
	w := sim.NewWorld(sim.Config{Seed: 1, Steady: true})
	defer w.Close()
	host := w.Host("a")
	require.NoError(t, w.RunMain("a", func(h env.Host) {
		now, up := h.Now(), h.Uptime()
		host.StepClock(-time.Hour)
		assert.Equal(t, now-env.Time(time.Hour), h.Now())
		assert.Equal(t, up, h.Uptime(), "a step does not touch the monotonic clock")

		host.DriftClock(100_000) // a tenth faster
		up, real := h.Uptime(), w.Now()
		h.Sleep(11 * time.Second)
		assert.Equal(t, 11*time.Second, h.Uptime()-up)
		assert.InDelta(t, 10*time.Second, w.Now()-real, 2)
		host.DriftClock(0)
		up, real = h.Uptime(), w.Now()
		h.Sleep(time.Second)
		assert.Equal(t, time.Second, h.Uptime()-up)
		assert.Equal(t, time.Second, w.Now()-real)
	}))
}

// However a clock runs, a sleep is never short and at most a nanosecond long,
// and the clock never goes back.
func TestSleepOnAnyClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := sim.NewWorld(sim.Config{Seed: rapid.Uint64().Draw(t, "seed")})
		defer w.Close()
		ppm := rapid.SliceOfN(rapid.Int64Range(-500_000, 500_000), 1, 10).Draw(t, "ppm")
		naps := rapid.SliceOfN(rapid.Int64Range(1, int64(time.Hour)), len(ppm), len(ppm)).Draw(t, "naps")
		err := w.RunMain("a", func(h env.Host) {
			for i, nap := range naps {
				w.Host("a").DriftClock(ppm[i])
				up := h.Uptime()
				h.Sleep(time.Duration(nap))
				if slept := h.Uptime() - up; slept < time.Duration(nap) || slept > time.Duration(nap)+2 {
					t.Errorf("slept %d ns, expected %d", slept, nap)
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestPowerOffRestartsTheMonotonicClock(t *testing.T) {
	w := newWorld(t, 1)
	host := w.Host("a")
	now := host.Now()
	host.PowerOff()
	assert.Equal(t, now, host.Now(), "the wall clock has a battery")
	require.NoError(t, w.RunMain("a", func(h env.Host) {
		assert.Equal(t, 10*time.Second, h.Uptime())
	}))
}

func TestStreamsAreIndependent(t *testing.T) {
	w := newWorld(t, 7)
	first := w.Rand("a").Uint64()
	w.Rand("b").Uint64()
	assert.Equal(t, first, w.Rand("a").Uint64())
	assert.NotEqual(t, first, w.Rand("b").Uint64())
	assert.NotEqual(t, first, newWorld(t, 8).Rand("a").Uint64())
}

func TestEachIncarnationHasItsOwnLuck(t *testing.T) {
	w := newWorld(t, 1)
	seen := map[uint64]bool{}
	for range 5 {
		require.NoError(t, w.RunMain("a", func(h env.Host) { seen[h.Rand().Uint64()] = true }))
	}
	assert.Len(t, seen, 5)
}

func TestUnluckySitesAreOnInSomeRunsAndRareThen(t *testing.T) {
	on, struck := 0, 0
	const runs, asked = 200, 1000
	for seed := range uint64(runs) {
		n := 0
		sim.RunHost(t, seed, func(h env.Host) {
			for range asked {
				if h.Unlucky("short fetch") {
					n++
				}
			}
		})
		if n > 0 {
			on++
		}
		struck += n
	}
	assert.InDelta(t, runs/4, on, 25)
	assert.Less(t, struck, runs*asked/20)
}

func TestYieldDiffersBetweenRuns(t *testing.T) {
	kinds := map[string]int{}
	for seed := range uint64(100) {
		sim.RunHost(t, seed, func(h env.Host) {
			var other, slept bool
			h.Go("other", func() { other = true })
			start := h.Uptime()
			for range 200 {
				h.Yield("metadata publish")
			}
			slept = h.Uptime() > start
			switch {
			case slept:
				kinds["takes a while"]++
			case other:
				kinds["lets others go first"]++
			default:
				kinds["does nothing"]++
			}
		})
	}
	for _, kind := range []string{"takes a while", "lets others go first", "does nothing"} {
		assert.Greater(t, kinds[kind], 5, kind)
	}
}

func TestCalm(t *testing.T) {
	for seed := range uint64(20) {
		w := newWorld(t, seed)
		w.Calm()
		require.NoError(t, w.RunMain("a", func(h env.Host) {
			start := h.Uptime()
			for range 100 {
				assert.False(t, h.Unlucky("site"))
				h.Yield("site")
			}
			assert.Equal(t, start, h.Uptime())
		}))
	}
}

var aProbe = ledger.NewProbe("a probe", "a test reached its probe")

func TestStoryAndProbes(t *testing.T) {
	w := newWorld(t, 1)
	require.NoError(t, w.RunMain("broker-1", func(h env.Host) {
		h.Sleep(time.Second)
		h.Tell(ledger.Say("becomes leader of %s, epoch %d", "orders/0", 7))
		h.Tell(ledger.Say("100% done"))
		h.Reached(aProbe)
		h.Reached(aProbe)
	}))
	w.Say("cut %s", "broker-1")
	story := slices.Collect(w.Ledger().All())
	require.Len(t, story, 4)
	assert.Equal(t, &sim.Started{}, story[0].Event)
	assert.Equal(t, "becomes leader of orders/0, epoch 7", story[1].Event.Sentence())
	assert.Equal(t, "broker-1", story[1].Host)
	assert.Equal(t, 1, story[1].Life)
	assert.Equal(t, ledger.ByWait, story[1].Cause.By, "the process had slept")
	assert.InDelta(t, time.Second, story[1].At, float64(time.Millisecond))
	assert.Equal(t, &ledger.Said{Text: "100% done"}, story[2].Event)
	assert.Equal(t, ledger.Entry{At: w.Now(), Cause: story[3].Cause, Event: &ledger.Said{Text: "cut broker-1"}}, *story[3])
	assert.Equal(t, map[string]int64{"a probe": 2}, w.Probes())
}

// What a process says of itself is part of what happened.
func TestTheStoryIsHashed(t *testing.T) {
	say := func(text string) uint64 {
		return sim.RunHost(t, 1, func(h env.Host) { h.Tell(ledger.Say("%s", text)) }).Hash()
	}
	assert.Equal(t, say("a"), say("a"))
	assert.NotEqual(t, say("a"), say("b"))
}

func TestOnEventSeesEveryStepAtRest(t *testing.T) {
	w := newWorld(t, 1)
	busy, seen := false, 0
	w.OnEvent(func() {
		seen++
		assert.False(t, busy, "looked while a task was in the middle")
	})
	require.NoError(t, w.RunMain("a", func(h env.Host) {
		for range 10 {
			busy = true
			busy = false
			h.Sleep(time.Second)
		}
	}))
	assert.EqualValues(t, w.Events(), seen)
}

func TestAtRunsInOrder(t *testing.T) {
	w := newWorld(t, 1)
	var order []string
	w.At(2*time.Second, "c", func() { order = append(order, "c") })
	w.At(time.Second, "a", func() {
		order = append(order, "a")
		w.After(0, "b", func() { order = append(order, "b") })
	})
	w.At(2*time.Second, "d", func() { order = append(order, "d") })
	require.NoError(t, w.Run(time.Minute))
	assert.Equal(t, []string{"a", "b", "c", "d"}, order)
	assert.Equal(t, time.Minute, w.Now())
}

// Tasks that become ready together run in an order that depends on the seed,
// unless the world is told otherwise.
func TestOrderOfReadyTasks(t *testing.T) {
	order := func(cfg sim.Config) string {
		w := sim.NewWorld(cfg)
		defer w.Close()
		s := ""
		w.Host("a").Start(func(h env.Host) {
			for _, name := range []string{"1", "2", "3", "4", "5"} {
				h.Go(name, func() { s += name })
			}
		})
		require.NoError(t, w.Run(time.Second))
		return s
	}
	seen := map[string]bool{}
	for seed := range uint64(50) {
		seen[order(sim.Config{Seed: seed})] = true
		assert.Equal(t, "12345", order(sim.Config{Seed: seed, InOrder: true}))
	}
	assert.Greater(t, len(seen), 30)
}

func TestRunMainTellsOfExit(t *testing.T) {
	w := newWorld(t, 1)
	err := w.RunMain("a", func(h env.Host) { h.Exit(env.ErrIO) })
	assert.ErrorIs(t, err, env.ErrIO)
}
