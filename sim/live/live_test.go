package live_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/sim/live"
)

// run drives a live world until the test is over, and tells how it ended.
func run(t *testing.T, w *live.World, shutdown func()) (end func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- w.Run(ctx, shutdown) }()
	var once sync.Once
	var err error
	end = func() error {
		once.Do(func() {
			cancel()
			err = <-result
			w.Close()
		})
		return err
	}
	t.Cleanup(func() { end() })
	return end
}

func newWorld(t *testing.T, cfg live.Config) *live.World {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	w, err := live.New(cfg)
	require.NoError(t, err)
	return w
}

func serve(h env.Host, f func(env.Conn)) {
	l, err := h.Listen(9092)
	if err != nil {
		h.Exit(err)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		h.Go("serve", func() { f(c) })
	}
}

func echo(c env.Conn) {
	io.Copy(c, c)
	c.Close()
}

func TestTCPReachesTheWorld(t *testing.T) {
	w := newWorld(t, live.Config{})
	w.Host("broker-1").Start(func(h env.Host) { serve(h, echo) })
	addr, err := w.Expose("broker-1", 9092, "127.0.0.1:0")
	require.NoError(t, err)
	inside := make(chan string, 1)
	w.Host("broker-2").Start(func(h env.Host) {
		h.Sleep(10 * time.Millisecond)
		c, err := h.Dial(addr, time.Second) // the advertised address works inside too
		if err != nil {
			inside <- err.Error()
			return
		}
		c.Write([]byte("inside"))
		b := make([]byte, 6)
		io.ReadFull(c, b)
		inside <- string(b)
	})
	end := run(t, w, w.Stop)
	var clients sync.WaitGroup
	for range 10 {
		clients.Go(func() {
			c, err := net.Dial("tcp", addr)
			if !assert.NoError(t, err) {
				return
			}
			defer c.Close()
			want := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
			go c.Write(want)
			got := make([]byte, len(want))
			_, err = io.ReadFull(c, got)
			assert.NoError(t, err)
			assert.True(t, bytes.Equal(want, got))
		})
	}
	clients.Wait()
	assert.Equal(t, "inside", <-inside)
	assert.NoError(t, end())
}

func TestRoundTripIsQuick(t *testing.T) {
	w := newWorld(t, live.Config{})
	w.Host("broker-1").Start(func(h env.Host) { serve(h, echo) })
	addr, err := w.Expose("broker-1", 9092, "127.0.0.1:0")
	require.NoError(t, err)
	run(t, w, w.Stop)
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer c.Close()
	b := make([]byte, 100)
	start := time.Now()
	for range 100 {
		c.Write(b)
		io.ReadFull(c, b)
	}
	assert.Less(t, time.Since(start)/100, 20*time.Millisecond)
}

func TestNoServerListens(t *testing.T) {
	w := newWorld(t, live.Config{})
	w.Host("broker-1")
	addr, err := w.Expose("broker-1", 9092, "127.0.0.1:0")
	require.NoError(t, err)
	run(t, w, w.Stop)
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	_, err = c.Read(make([]byte, 1))
	assert.Error(t, err)
}

// A client that sends and never reads, against a server that does the same,
// fills the windows and then waits; so does a client that just connects.
func TestHostileClientsAreBounded(t *testing.T) {
	w := newWorld(t, live.Config{MaxConns: 20})
	w.Host("broker-1").Start(func(h env.Host) {
		serve(h, func(c env.Conn) { h.Sleep(time.Hour) })
	})
	addr, err := w.Expose("broker-1", 9092, "127.0.0.1:0")
	require.NoError(t, err)
	end := run(t, w, w.Stop)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before := m.HeapAlloc
	p := make([]byte, 1<<20)
	for range 30 {
		c, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		defer c.Close()
		c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		for err == nil {
			_, err = c.Write(p)
		}
	}
	runtime.ReadMemStats(&m)
	assert.Less(t, m.HeapAlloc, before+20<<20)
	assert.NoError(t, end())
}

func TestConnectionsComeAndGo(t *testing.T) {
	w := newWorld(t, live.Config{MaxConns: 5})
	w.Host("broker-1").Start(func(h env.Host) { serve(h, echo) })
	addr, err := w.Expose("broker-1", 9092, "127.0.0.1:0")
	require.NoError(t, err)
	end := run(t, w, w.Stop)
	ask := func() {
		c, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		defer c.Close()
		c.Write([]byte("hello"))
		_, err = io.ReadFull(c, make([]byte, 5))
		require.NoError(t, err)
	}
	ask()
	before := runtime.NumGoroutine()
	for range 100 { // far more than may be open at a time
		ask()
	}
	// Idle coroutines are kept for the next task: at most those of 5 connections.
	assert.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+20 }, 5*time.Second, 10*time.Millisecond)
	assert.NoError(t, end())
}

func TestShutdownInGoodOrder(t *testing.T) {
	w := newWorld(t, live.Config{})
	orderly := false
	w.Host("broker-1").Start(func(h env.Host) { h.NewSignal("never").Wait(env.Forever) })
	end := run(t, w, func() {
		w.Host("broker-1").Process().Go("shutdown", func() {
			w.Host("broker-1").Process().Sleep(20 * time.Millisecond)
			orderly = true
			w.Stop()
		})
	})
	time.Sleep(20 * time.Millisecond)
	assert.NoError(t, end())
	assert.True(t, orderly)
}

func TestShutdownThatHangs(t *testing.T) {
	w := newWorld(t, live.Config{Grace: 50 * time.Millisecond})
	end := run(t, w, func() {})
	assert.ErrorContains(t, end(), "not shut down within 50ms")
}

func TestFailureEndsRun(t *testing.T) {
	w := newWorld(t, live.Config{})
	w.Host("broker-1").Start(func(h env.Host) {
		h.Sleep(10 * time.Millisecond)
		panic("our bug")
	})
	err := w.Run(context.Background(), w.Stop)
	w.Close()
	assert.ErrorContains(t, err, "panic in broker-1")
}

func TestFilesOutliveTheWorld(t *testing.T) {
	dir := t.TempDir()
	for round := range 2 {
		w := newWorld(t, live.Config{Dir: dir})
		var got string
		w.Host("broker-1").Start(func(h env.Host) {
			defer w.Stop()
			d := h.Disk()
			if round == 0 {
				f, err := d.Create("f")
				assert.NoError(t, err)
				f.WriteAt([]byte("kept"), 0)
				assert.NoError(t, f.Sync())
				assert.NoError(t, d.SyncDir(""))
				return
			}
			f, err := d.Open("f")
			assert.NoError(t, err)
			b := make([]byte, 4)
			f.ReadAt(b, 0)
			got = string(b)
		})
		assert.NoError(t, w.Run(context.Background(), w.Stop))
		w.Close()
		if round == 1 {
			assert.Equal(t, "kept", got)
		}
	}
}

func TestOneProgramPerDirectory(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, live.Config{Dir: dir})
	_, err := live.New(live.Config{Dir: dir})
	assert.ErrorContains(t, err, "in use by another program")
	w.Close()
	w = newWorld(t, live.Config{Dir: dir})
	w.Close()
}

// The directory and the simulated disk must look the same to their callers.
func TestDisksAgree(t *testing.T) {
	var simulated, real []string
	s := sim.NewWorld(sim.Config{Seed: 1})
	defer s.Close()
	require.NoError(t, s.RunMain("host", func(h env.Host) { simulated = exercise(h.Disk()) }))
	w := newWorld(t, live.Config{})
	defer w.Close()
	w.Host("host").Start(func(h env.Host) {
		real = exercise(h.Disk())
		w.Stop()
	})
	require.NoError(t, w.Run(context.Background(), w.Stop))
	assert.Equal(t, simulated, real)
}
