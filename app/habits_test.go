package app

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/sim/wasi"
)

// trial is a world with an echo server, a host that is cut off, and a program.
type trial struct {
	w *sim.World
	wasi.Signals
	ended bool
	err   error
}

func put(p *wasi.Program, seed uint64, proc wasi.Process) *trial {
	x := &trial{w: sim.NewWorld(sim.Config{Seed: seed})}
	proc.Started = func(s wasi.Signals) { x.Signals = s }
	x.w.Host("server").Start(func(h env.Host) {
		l, err := h.Listen(7)
		if err != nil {
			panic(err)
		}
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.Go("echo", func() { echo(c) })
		}
	})
	x.w.Host("dark")
	x.w.Host("program")
	x.w.Network().Link("program", "dark").Cut()
	x.w.Host("program").Start(func(h env.Host) {
		x.err = p.Run(h, proc)
		x.ended = true
	})
	return x
}

func echo(c env.Conn) {
	b := make([]byte, 1000)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		if _, err := c.Write(b[:n]); err != nil {
			return
		}
	}
}

// lines are what the program wrote.
func (x *trial) lines() []string {
	var out []string
	for e := range x.w.Ledger().All() {
		if line, is := e.Event.(*wasi.Line); is {
			out = append(out, line.Stream+": "+line.Text)
		}
	}
	return out
}

func TestHabits(t *testing.T) {
	p, err := Load(habits(t))
	require.NoError(t, err)
	for _, x := range []struct {
		args   []string
		stopAt time.Duration
		wrote  []string
		ends   string // nil: in order
		after  time.Duration
	}{
		{[]string{"talk", "server:7"}, 0, []string{
			"stdout: connected to 10.0.0.1:7", "stdout: read 300000 bytes back", "stdout: read tcp 127.0.0.1:32769->10.0.0.1:7: i/o timeout",
		}, "", 2 * time.Second},
		{[]string{"give-up", "dark:7"}, 0, []string{"stdout: dial tcp 10.0.0.1:7: i/o timeout 3s"}, "", 4 * time.Second},
		{[]string{"refused", "server:8"}, 0, []string{"stdout: dial tcp 10.0.0.1:8: connect: Connection refused"}, "", time.Second},
		{[]string{"listen-for-signals"}, 10 * time.Second, []string{"stdout: asked to end after 10s"}, "", 11 * time.Second},
		{[]string{"listen-and-go-on"}, 0, []string{"stdout: goes on"}, "", time.Second},
		{[]string{"deaf"}, 10 * time.Second, nil, "habits exited with status 143", 11 * time.Second},
		{[]string{"impatient", "server:7"}, 0, []string{"stdout: it has come"}, "", 2 * time.Second},
		{[]string{"files"}, 0, []string{
			"stdout: mkdir a/b: No such file or directory", "stdout: mkdir /a: File exists",
			"stdout: os: invalid use of WriteAt on file opened with O_APPEND", "stdout: second", "stdout: 5 true",
			"stdout: open a/b/one: File exists", "stdout: open a/b/one: No such file or directory true", "stdout: first <nil>",
			"stdout: 100 a-rather-long-name-of-a-file-099 <nil>", "stdout: [d b/ - two]", "stdout: remove a: Directory not empty",
			"stdout: open no/such/place: No such file or directory", "stdout: stat a: No such file or directory", "stdout: /",
		}, "", time.Second},
		{[]string{"since"}, 0, []string{"stdout: 10ms are over"}, "", 20 * time.Millisecond},
		{[]string{"panic"}, 0, []string{"stderr: panic: something was wrong", "stderr: ", "stderr: goroutine 1 [running]:"}, "habits exited with status 2: panic: something was wrong", time.Second},
		{[]string{"exit"}, 0, nil, "habits exited with status 3", time.Second},
	} {
		t.Run(x.args[0], func(t *testing.T) {
			trial := put(p, 1, wasi.Process{Args: x.args})
			defer trial.w.Close()
			if x.stopAt > 0 {
				trial.w.After(x.stopAt, "SIGTERM", func() { trial.Stop() })
			}
			trial.w.Run(x.after) //nolint:errcheck // the server waits for ever: a deadlock is fine
			require.True(t, trial.ended, "it has not ended after %v: %v", x.after, trial.lines())
			assert.Equal(t, x.wrote, trial.lines())
			if x.ends == "" {
				assert.NoError(t, trial.err)
			} else if assert.Error(t, trial.err) {
				assert.Equal(t, x.ends, trial.err.Error())
			}
		})
	}
}

// A store that does not sync loses what it did not sync, when the power goes.
func TestHabits_WhatIsNotSyncedIsLostWithThePower(t *testing.T) {
	p, err := Load(habits(t))
	require.NoError(t, err)
	lost := 0
	for seed := range uint64(6) {
		trial := put(p, seed, wasi.Process{Args: []string{"store"}})
		trial.w.Run(time.Second) //nolint:errcheck // as above
		require.Equal(t, []string{"stdout: stored"}, trial.lines())
		h := trial.w.Host("program")
		h.PowerOff()
		h.Start(func(process env.Host) {
			trial.err = p.Run(process, wasi.Process{Args: []string{"look"}})
		})
		trial.w.Run(2 * time.Second) //nolint:errcheck // as above
		require.NoError(t, trial.err)
		lines := trial.lines()
		assert.Equal(t, "stdout: what synced <nil>", lines[1])
		if lines[2] != "stdout: what not-synced <nil>" {
			lost++
		}
		trial.w.Close()
	}
	assert.NotZero(t, lost)
}

// A program is asked over TCP by another one, and by itself.
func TestHabits_AProgramListens(t *testing.T) {
	p, err := Load(habits(t))
	require.NoError(t, err)
	for _, asks := range []string{"asker", "program"} {
		trial := put(p, 1, wasi.Process{Args: []string{"serve"}})
		trial.w.Run(time.Second) //nolint:errcheck // as above
		require.Equal(t, []string{
			"stdout: listening at 8080", "stdout: listen tcp :8080: listen: Address already in use", "stdout: and at 127.0.0.1:32768",
		}, trial.lines())
		h := trial.w.Host(asks)
		ask := func(h env.Host) { trial.err = p.Run(h, wasi.Process{Args: []string{"ask", "program:8080"}}) }
		if asks == "program" {
			h.Process().Go("ask", func() { ask(h.Process()) })
		} else {
			h.Start(ask)
		}
		trial.w.Run(2 * time.Second) //nolint:errcheck // as above
		require.NoError(t, trial.err)
		assert.Equal(t, []string{
			"stdout: 200 /orders of 0 bytes", "stdout: 200 /orders of 100000 bytes", "stdout: 200 /orders of 200000 bytes",
		}, trial.lines()[3:], asks)
		trial.w.Close()
	}
}

// One that listens and goes on all the same is killed.
func TestHabits_AProgramThatDoesNotEndIsKilled(t *testing.T) {
	p, err := Load(habits(t))
	require.NoError(t, err)
	trial := put(p, 1, wasi.Process{Args: []string{"stubborn"}})
	defer trial.w.Close()
	trial.w.After(time.Second, "SIGTERM", func() { trial.Stop() })
	trial.w.After(3*time.Second, "SIGKILL", func() { trial.Kill() })
	trial.w.Run(2 * time.Second) //nolint:errcheck // as above
	require.False(t, trial.ended)
	trial.w.Run(4 * time.Second) //nolint:errcheck // as above
	require.EqualError(t, trial.err, "habits exited with status 137")
	assert.Equal(t, []string{"stdout: not now"}, trial.lines())
}

// A program that computes without end is named; nothing else of the process hangs.
func TestHabits_AProgramThatSpinsIsStopped(t *testing.T) {
	p, err := Load(habits(t))
	require.NoError(t, err)
	trial := put(p, 1, wasi.Process{Args: []string{"spin"}, Wall: time.Second})
	defer trial.w.Close()
	trial.w.Run(time.Second) //nolint:errcheck // as above
	require.ErrorIs(t, trial.err, wasi.ErrSpins)
	assert.Contains(t, trial.err.Error(), "habits")
}

func TestHabits_LuckIsTheSeeds(t *testing.T) {
	p, err := Load(habits(t))
	require.NoError(t, err)
	drawn := map[string]int{}
	for seed := range uint64(8) {
		var once []string
		for range 2 {
			trial := put(p, seed, wasi.Process{Args: []string{"luck"}})
			trial.w.Run(time.Second) //nolint:errcheck // as above
			once = append(once, strings.Join(trial.lines(), "\n"))
			trial.w.Close()
		}
		assert.Equal(t, once[0], once[1])
		drawn[once[0]]++
	}
	assert.Len(t, drawn, 8, "each seed draws otherwise")
}

// A program that the go command has built alone, without the overlay, has a dialer instead.
func TestInside_AProgramWithoutTheOverlayDialsByAnOption(t *testing.T) {
	if testing.Short() {
		t.Skip("building a program takes the go command some seconds")
	}
	file := filepath.Join(t.TempDir(), "plain.wasm")
	_, err := run(Target{Go: "go", Dir: "testdata/inside", Package: "."}, "build", "-o", file, ".")
	require.NoError(t, err)
	p, err := Load(file)
	require.NoError(t, err)
	trial := put(p, 1, wasi.Process{Args: []string{"server:7", "server:8", "dark:7"}})
	defer trial.w.Close()
	trial.w.After(20*time.Second, "SIGTERM", func() { trial.Stop() })
	trial.w.Run(30 * time.Second) //nolint:errcheck // the server waits for ever: a deadlock is fine
	require.True(t, trial.ended, "%v", trial.lines())
	require.NoError(t, trial.err)
	assert.Equal(t, []string{
		"stdout: connected to server:7 read 200000 bytes back <nil>", "stdout: read tcp :0->:0: i/o timeout",
		"stdout: dial tcp server:8: connect: Connection refused", "stdout: dial tcp dark:7: context deadline exceeded", "stdout: asked to end after 17s",
	}, trial.lines())
}

// Compiled code and the interpreter play the same.
func TestHabits_TheInterpreterPlaysTheSame(t *testing.T) {
	file := habits(t)
	module, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, args := range [][]string{{"talk", "server:7"}, {"luck"}, {"files"}} {
		hashes := map[uint64]bool{}
		for _, interpreter := range []bool{false, true} {
			p, err := wasi.Load("habits", module, wasi.Options{Cache: cacheDir(), Interpreter: interpreter})
			require.NoError(t, err)
			trial := put(p, 3, wasi.Process{Args: args})
			trial.w.Run(5 * time.Second) //nolint:errcheck // the server waits for ever: a deadlock is fine
			require.True(t, trial.ended)
			hashes[trial.w.Hash()] = true
			trial.w.Close()
			p.Close()
		}
		assert.Len(t, hashes, 1, args[0])
	}
}

// BenchmarkStart is what a program costs before its first step: it is loaded from the cache
// of compiled modules, and its runtime starts.
func BenchmarkStart(b *testing.B) {
	file := filepath.Join(b.TempDir(), "habits.wasm")
	require.NoError(b, Build(Target{Dir: "testdata/habits", Package: ".", Output: file}))
	module, err := os.ReadFile(file)
	require.NoError(b, err)
	cache := b.TempDir()
	for i := -1; i < b.N; i++ { // the first compiles it
		if i == 0 {
			b.ResetTimer()
		}
		p, err := wasi.Load("habits", module, wasi.Options{Cache: cache})
		require.NoError(b, err)
		trial := put(p, 1, wasi.Process{Args: []string{"exit"}})
		trial.w.Run(time.Second) //nolint:errcheck // the server waits for ever: a deadlock is fine
		require.True(b, trial.ended)
		trial.w.Close()
		p.Close()
	}
}

// A killed program never writes another byte, and leaves nothing behind.
func TestHabits_KillsLeaveNothingBehind(t *testing.T) {
	p, err := Load(habits(t))
	require.NoError(t, err)
	kill := func(times int) {
		w := sim.NewWorld(sim.Config{Seed: 1})
		defer w.Close()
		h := w.Host("program")
		h.Start(func(process env.Host) {
			err := p.Run(process, wasi.Process{Args: []string{"tell"}})
			panic(errors.Join(errors.New("it returned"), err))
		})
		for range times {
			require.NoError(t, w.Run(w.Now()+105*time.Millisecond))
			h.Kill()
			told := count(w)
			require.NoError(t, w.Run(w.Now()+50*time.Millisecond))
			require.Equal(t, told, count(w))
			h.Restart()
		}
	}
	kill(3)
	runtime.GC()
	before := runtime.NumGoroutine()
	var heap, now runtime.MemStats
	runtime.ReadMemStats(&heap)
	kills := 100
	if *long {
		kills = 1000
	}
	kill(kills)
	runtime.GC()
	runtime.ReadMemStats(&now)
	assert.LessOrEqual(t, runtime.NumGoroutine(), before+2)
	assert.Less(t, int64(now.HeapAlloc)-int64(heap.HeapAlloc), int64(8<<20))
}

func count(w *sim.World) (n int) {
	for e := range w.Ledger().All() {
		if _, is := e.Event.(*wasi.Line); is {
			n++
		}
	}
	return n
}
