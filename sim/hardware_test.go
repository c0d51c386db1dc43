package sim_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/disk"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/sim/machine"
)

const milli env.Kind = 1 // a kind of work that takes a millisecond

// hardware is a world in which work costs. Every host is on the machine that names says.
func hardware(t *testing.T, change func(*sim.Hardware)) *sim.World {
	hw := &sim.Hardware{Config: machine.Config{Name: "m", Cores: 2}, Files: disk.Costs{Cache: &disk.Cache{}}}
	hw.Prices[milli] = int64(time.Millisecond) * 1000
	if change != nil {
		change(hw)
	}
	w := sim.NewWorld(sim.Config{Seed: 1, Steady: true, Lucky: true, InOrder: true, Hardware: func(host string) *sim.Hardware {
		own := *hw
		if own.Name == "" {
			own.Name = host
		}
		return &own
	}})
	t.Cleanup(w.Close)
	return w
}

// ends runs tasks on a host and says when each was done, in milliseconds.
func ends(t *testing.T, w *sim.World, tasks ...func(h env.Host)) []float64 {
	at := make([]float64, len(tasks))
	w.Host("a").Start(func(h env.Host) {
		for i, f := range tasks {
			h.Go("task", func() {
				f(h)
				at[i] = float64(w.Now()) / float64(time.Millisecond)
			})
		}
	})
	require.NoError(t, w.Run(10*time.Second))
	return at
}

func spend(n int64) func(env.Host) {
	return func(h env.Host) { h.Machine().Spend(env.Work{Kind: milli, N: n}) }
}

func TestCores_ServeBurstsInTheOrderInWhichTheyCome(t *testing.T) {
	assert.Equal(t, []float64{3, 1, 2, 4}, ends(t, hardware(t, nil), spend(3), spend(1), spend(1), spend(2)))
}

func TestPool_AThreadIsGivenBackByWaitingAndNotByWorkOrADisk(t *testing.T) {
	w := hardware(t, func(hw *sim.Hardware) {
		hw.Files.Sync = disk.Distribution{{Millionths: 1_000_000, At: 5 * time.Millisecond}}
	})
	var pool env.Threads
	in := func(f func(env.Host)) func(env.Host) {
		return func(h env.Host) {
			if pool == nil {
				pool = h.Machine().Threads("io", 1, 0)
			}
			pool.Enter()
			defer pool.Leave()
			f(h)
		}
	}
	syncs := func(h env.Host) {
		f, err := h.Disk().Create("f")
		require.NoError(t, err)
		_, _ = f.WriteAt([]byte("x"), 0)
		require.NoError(t, f.Sync())
	}
	waits := func(h env.Host) { h.NewSignal("never").Wait(20 * time.Millisecond) }
	// The first syncs for 5 ms and keeps the one thread; the second waits for 20 ms, but not
	// with the thread; the third works for 1 ms.
	assert.Equal(t, []float64{5, 25, 6}, ends(t, w, in(syncs), in(waits), in(spend(1))))
}

func TestPool_AFullQueueHoldsUpWhatComesWithTheThreadItHas(t *testing.T) {
	w := hardware(t, func(hw *sim.Hardware) { hw.Cores = 8 })
	var network, io env.Threads
	request := func(h env.Host) {
		if io == nil {
			network, io = h.Machine().Threads("network", 1, 0), h.Machine().Threads("io", 1, 1)
		}
		network.Enter()
		h.Machine().Spend(env.Work{Kind: milli, N: 1})
		io.Queue()
		network.Leave()
		io.Enter()
		h.Machine().Spend(env.Work{Kind: milli, N: 10})
		io.Leave()
	}
	other := func(h env.Host) {
		network.Enter()
		h.Machine().Spend(env.Work{Kind: milli, N: 1})
		network.Leave()
	}
	// The third finds one request at work and one that waits, and stands in the network thread
	// until the first is done: the other connection waits for that.
	assert.Equal(t, []float64{11, 21, 31, 12}, ends(t, w, request, request, request, other))
}

func TestCard_CarriesOnePacketAfterTheOther(t *testing.T) {
	w := hardware(t, func(hw *sim.Hardware) { hw.Name, hw.Out, hw.In = "", 1_000_000, 500_000 })
	var first, second time.Duration
	w.Host("b").Start(func(h env.Host) {
		l, err := h.Listen(1)
		require.NoError(t, err)
		c, err := l.Accept()
		require.NoError(t, err)
		buf := make([]byte, 50_000)
		for n := 0; n < len(buf); {
			m, err := c.Read(buf[n:])
			require.NoError(t, err)
			n += m
		}
		second = w.Now()
	})
	w.Host("a").Start(func(h env.Host) {
		c, err := h.Dial("b:1", time.Second)
		require.NoError(t, err)
		first = w.Now()
		_, _ = c.Write(make([]byte, 25_000))
		_, _ = c.Write(make([]byte, 25_000))
		h.Sleep(time.Second)
	})
	require.NoError(t, w.Run(time.Second))
	assert.InDelta(t, 100, (second-first).Seconds()*1000, 5, "50,000 bytes at the 500,000 a second that b takes in")
}

// What was written beside a file before its sync began goes with that sync: it does not
// wait behind the syncs of others that came meanwhile.
func TestSync_TheIndexOfALogTakesNoTurnOfItsOwn(t *testing.T) {
	w := hardware(t, func(hw *sim.Hardware) {
		hw.Files = disk.Costs{Disks: 1, Write: 1_000_000, Cache: &disk.Cache{}, Sync: disk.Distribution{{Millionths: 1_000_000, At: 5 * time.Millisecond}}}
	})
	appends := func(dir string) func(h env.Host) {
		return func(h env.Host) {
			require.NoError(t, h.Disk().MkdirAll(dir))
			var files []env.File
			for _, name := range []string{"log", "index"} {
				f, err := h.Disk().Create(dir + "/" + name)
				require.NoError(t, err)
				_, err = f.WriteAt(make([]byte, 1000), 0)
				require.NoError(t, err)
				files = append(files, f)
			}
			for _, f := range files {
				require.NoError(t, f.Sync())
			}
		}
	}
	// Each takes 6 ms of the disk for its log, and a millisecond for the bytes of its index.
	assert.Equal(t, []float64{7, 13}, ends(t, w, appends("a"), appends("b")))
}

func TestCache_WritersComeToThePaceOfTheDisks(t *testing.T) {
	w := hardware(t, func(hw *sim.Hardware) {
		hw.Files.Cache = &disk.Cache{Rate: 1_000_000, Background: 100_000, Limit: 300_000}
	})
	got := ends(t, w, func(h env.Host) {
		f, err := h.Disk().Create("f")
		require.NoError(t, err)
		for i := range 10 {
			_, _ = f.WriteAt(make([]byte, 100_000), int64(i)*100_000)
		}
	})
	// 200,000 bytes fit; the other 800,000 wait for the disk.
	assert.InDelta(t, 800, got[0], 1)
}

func TestPause_NoCoreWorksForAProcessThatIsPaused(t *testing.T) {
	w := hardware(t, func(hw *sim.Hardware) {
		hw.Pauses = []machine.Pause{{Least: 50 * time.Millisecond, Most: 50 * time.Millisecond, Every: 100 * time.Millisecond}}
	})
	got := ends(t, w, func(h env.Host) {
		for range 1000 {
			h.Machine().Spend(env.Work{Kind: milli, N: 1})
		}
	})
	assert.Greater(t, got[0], 1300.0, "a second of work, and a third of the time paused")
	assert.Less(t, got[0], 2200.0)
}

// A process that does nothing makes no garbage: it is never stopped for it. Of two on one
// machine each is stopped for its own.
func TestCollections_ComeWithTheWorkOfTheProcess(t *testing.T) {
	w := hardware(t, func(hw *sim.Hardware) {
		hw.Collections = []machine.Pause{{Least: 20 * time.Millisecond, Most: 20 * time.Millisecond, Every: 100 * time.Millisecond}}
	})
	var idle time.Duration
	w.Host("b").Start(func(h env.Host) {
		h.Sleep(3 * time.Second)
		spend(1)(h)
		idle = w.Now() - 3*time.Second
	})
	got := ends(t, w, func(h env.Host) {
		for range 1000 {
			spend(1)(h)
			h.Sleep(time.Millisecond)
		}
	})
	assert.Greater(t, got[0], 2100.0, "a second of work, a second of sleep, and about ten stops of 20 ms")
	assert.Less(t, got[0], 2350.0)
	assert.Equal(t, time.Millisecond, idle)
}

// Work of which there is little is paid for in parts of ten microseconds.
func TestOwe_IsPaidOnceItIsEnough(t *testing.T) {
	w := hardware(t, func(hw *sim.Hardware) { hw.Prices[milli] = int64(3*time.Microsecond) * 1000 })
	var at []time.Duration
	w.Host("a").Start(func(h env.Host) {
		for range 8 {
			h.Machine().Owe(milli, 1)
			at = append(at, w.Now()/time.Microsecond)
		}
		h.Machine().Spend(env.Work{Kind: milli, N: 1})
		at = append(at, w.Now()/time.Microsecond)
	})
	require.NoError(t, w.Run(time.Second))
	assert.Equal(t, []time.Duration{0, 0, 0, 12, 12, 12, 12, 24, 27}, at)
	assert.Equal(t, 27*time.Microsecond, w.Machines()[0].Used())
}

// While others have all cores it is a slice that is paid for at once: a thread that computes
// gets its share of a core, and not one small part for each large one of the others. Before
// each slice it lets the threads go first that wait, so that those that sleep now and then get
// what they want.
func TestOwe_AThreadThatComputesKeepsItsCoreForASlice(t *testing.T) {
	const small env.Kind = 2
	for _, c := range []struct {
		threads int           // others
		sleeps  time.Duration // each, after a millisecond of work
		others  int           // milliseconds of a second that they have the core together
	}{
		{1, 0, 500},
		{2, 0, 750},
		{1, 9 * time.Millisecond, 95},
		{8, 9 * time.Millisecond, 740}, // of 800
	} {
		w := hardware(t, func(hw *sim.Hardware) {
			hw.Cores = 1
			hw.Prices[small] = int64(10*time.Microsecond) * 1000
		})
		var mine, others int
		w.Host("broker").Start(func(h env.Host) {
			for i := range c.threads {
				h.Go("thread", func() {
					h.Sleep(time.Duration(i) * time.Millisecond)
					for ; ; others++ {
						spend(1)(h)
						h.Sleep(c.sleeps)
					}
				})
			}
		})
		w.Host("client").Start(func(h env.Host) {
			for ; ; mine++ {
				h.Machine().Owe(small, 1)
			}
		})
		require.NoError(t, w.Run(time.Second))
		assert.InDelta(t, c.others, others, 20, "%+v", c)
		assert.InDelta(t, 100*(1000-c.others), mine, 2000, "%+v", c)
	}
}

func TestMachine_HostsThatShareOneShareItsCores(t *testing.T) {
	w := hardware(t, func(hw *sim.Hardware) { hw.Cores = 1 })
	var a, b time.Duration
	w.Host("a").Start(func(h env.Host) { spend(5)(h); a = w.Now() })
	w.Host("b").Start(func(h env.Host) { spend(5)(h); b = w.Now() })
	require.NoError(t, w.Run(time.Second))
	assert.Equal(t, []time.Duration{5 * time.Millisecond, 10 * time.Millisecond}, []time.Duration{a, b})
	require.Len(t, w.Machines(), 1)
	assert.Equal(t, 10*time.Millisecond, w.Machines()[0].Used())
}

func TestMachine_WithoutHardwareThereIsNone(t *testing.T) {
	w := sim.NewWorld(sim.Config{Seed: 1})
	defer w.Close()
	w.Host("a").Start(func(h env.Host) { assert.Nil(t, h.Machine()) })
	require.NoError(t, w.Run(time.Second))
}
