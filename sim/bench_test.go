package sim_test

import (
	"testing"
	"time"

	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

// BenchmarkMessage is one frame of 1 KB there and back: two writes, two
// deliveries, two tasks resumed.
func BenchmarkMessage(b *testing.B) {
	w := sim.NewWorld(sim.Config{Seed: 1})
	defer w.Close()
	w.Host("server").Start(func(h env.Host) {
		l, _ := h.Listen(1)
		c, _ := l.Accept()
		buf := make([]byte, 1024)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			c.Write(buf[:n])
		}
	})
	b.ReportAllocs()
	w.Host("client").Start(func(h env.Host) {
		c, _ := h.Dial("server:1", time.Second)
		buf := make([]byte, 1024)
		b.ResetTimer()
		for range b.N {
			c.Write(buf)
			c.Read(buf)
		}
		w.Stop()
	})
	if err := w.Run(1 << 60); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(w.Events()), "ns/event")
}

// BenchmarkSleep is the price of one event and one switch, with 1000 tasks.
func BenchmarkSleep(b *testing.B) {
	w := sim.NewWorld(sim.Config{Seed: 1, Steady: true})
	defer w.Close()
	b.ReportAllocs()
	left := b.N
	w.Host("host").Start(func(h env.Host) {
		for range 1000 {
			h.Go("sleeper", func() {
				r := h.Rand()
				for left > 0 {
					left--
					h.Sleep(time.Duration(r.Int64N(int64(time.Second))))
				}
				w.Stop()
			})
		}
	})
	if err := w.Run(1 << 60); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkWaitWithTimeout is a wait that is signalled long before its limit.
func BenchmarkWaitWithTimeout(b *testing.B) {
	w := sim.NewWorld(sim.Config{Seed: 1})
	defer w.Close()
	b.ReportAllocs()
	w.Host("host").Start(func(h env.Host) {
		s, t := h.NewSignal("s"), h.NewSignal("t")
		h.Go("other", func() {
			for s.Wait(time.Minute) {
				t.Notify()
			}
		})
		h.Sleep(1)
		for range b.N {
			s.Notify()
			t.Wait(time.Minute)
		}
		w.Stop()
	})
	if err := w.Run(1 << 60); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkKill is one incarnation of ten tasks, started and killed.
func BenchmarkKill(b *testing.B) {
	w := sim.NewWorld(sim.Config{Seed: 1})
	defer w.Close()
	h := w.Host("host")
	main := func(e env.Host) {
		for range 9 {
			e.Go("waiter", func() { e.NewSignal("never").Wait(env.Forever) })
		}
		e.Sleep(time.Hour)
	}
	b.ReportAllocs()
	for range b.N {
		h.Start(main)
		if err := w.Run(w.Now() + time.Millisecond); err != nil {
			b.Fatal(err)
		}
		h.Kill()
	}
}
