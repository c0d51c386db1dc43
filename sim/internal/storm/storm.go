// Package storm is a small world in which everything happens at once: echo
// servers that write journals, clients that give up and dial again, and kills,
// power cuts, pauses, cuts and disk faults all along. It has no meaning; its
// hash must be the same wherever it is run.
package storm

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/disk"
	"github.com/ktrial/ktrial/sim/env"
)

const (
	servers = 3
	clients = 4
)

// Prepare makes the world of a seed, ready to run.
func Prepare(cfg sim.Config) *sim.World {
	w := sim.NewWorld(cfg)
	for i := range servers {
		w.Host(server(i)).Start(serve)
	}
	for i := range clients {
		w.Host(fmt.Sprint("client-", i)).Start(drive)
	}
	trouble(w)
	return w
}

// Run lets a seed's world live for some virtual seconds and returns its hash.
func Run(seed uint64) (uint64, error) {
	w := Prepare(sim.Config{Seed: seed})
	defer w.Close()
	err := w.Run(4 * time.Second)
	return w.Hash(), err
}

func server(i int) string { return fmt.Sprint("server-", i) }

// serve answers each frame with its sum, after it went to the journal.
func serve(h env.Host) {
	d := h.Disk()
	f, err := d.Open("journal")
	if err != nil {
		f, err = d.Create("journal")
	}
	if err == nil {
		err = d.SyncDir("")
	}
	if err != nil {
		h.Exit(err)
	}
	size, _ := f.Size()
	h.Tell(ledger.Say("finds %d bytes in its journal", size))
	l, err := h.Listen(9092)
	if err != nil {
		h.Exit(err)
	}
	dirty := h.NewSignal("dirty")
	h.Go("syncer", func() {
		for {
			dirty.Wait(time.Second)
			if err := f.Sync(); err != nil {
				h.Reached(probeSyncFails)
			}
		}
	})
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		h.Go("connection from "+c.RemoteAddr(), func() {
			defer c.Close()
			for {
				p, err := readFrame(c)
				if err != nil {
					h.Tell(ledger.Say("stops serving: %v", err))
					return
				}
				if h.Unlucky("forget a frame") {
					h.Reached(probeFrameForgotten)
					continue
				}
				n, _ := f.WriteAt(p, size)
				size += int64(n)
				dirty.Notify()
				h.Yield("between write and answer")
				h.Work(20 * time.Microsecond)
				writeFrame(c, p[:8])
			}
		})
	}
}

// drive sends frames to a random server and changes it when none answers.
func drive(h env.Host) {
	r := h.Rand()
	for {
		addr := server(r.IntN(servers)) + ":9092"
		c, err := h.Dial(addr, 300*time.Millisecond)
		if err != nil {
			h.Reached(probeDialFails)
			h.Sleep(50 * time.Millisecond)
			continue
		}
		for {
			p := make([]byte, 16+r.IntN(3000))
			binary.BigEndian.PutUint64(p, r.Uint64())
			if err := writeFrame(c, p); err != nil {
				break
			}
			c.SetReadDeadline(h.Uptime() + 500*time.Millisecond)
			if _, err := readFrame(c); err != nil {
				h.Tell(ledger.Say("gives up: %v", err))
				break
			}
			h.Sleep(time.Duration(r.Int64N(int64(4 * time.Millisecond))))
		}
		c.Close()
	}
}

// trouble hurts one server after the other.
func trouble(w *sim.World) {
	r := w.Rand("trouble")
	var strike func()
	strike = func() {
		i := r.IntN(servers)
		h := w.Host(server(i))
		pause := time.Duration(r.Int64N(int64(300 * time.Millisecond)))
		back := func(f func()) { w.After(pause, "cure", f) }
		switch r.IntN(9) {
		case 0:
			h.Kill()
		case 1:
			for _, l := range h.PowerOff() {
				w.Say("%s: %v", h.Name(), l)
			}
		case 2:
			h.Pause()
			back(h.Resume)
		case 3:
			l := w.Network().Link(h.Name(), fmt.Sprint("client-", r.IntN(clients)))
			l.Cut()
			back(l.Mend)
		case 4:
			w.Network().Stall(fmt.Sprint("client-", r.IntN(clients)), h.Name(), pause)
		case 5:
			h.StepClock(pause - 100*time.Millisecond)
			h.DriftClock(int64(r.IntN(2000) - 1000))
		case 6:
			rule := &disk.Rule{Op: disk.OpSync, Err: env.ErrIO, Delay: time.Millisecond, In: 2}
			h.Disk().Add(rule)
			back(func() { h.Disk().Remove(rule) })
		case 7:
			l := w.Network().Link(fmt.Sprint("client-", r.IntN(clients)), h.Name())
			l.Profile.LossIn, l.Profile.Bandwidth = 10, 1<<20
			back(l.Default)
		case 8:
			w.Network().Reset(h.Name(), fmt.Sprint("client-", r.IntN(clients)))
		}
		if !h.IsRunning() {
			back(func() {
				if !h.IsRunning() {
					h.Restart()
				}
			})
		}
		w.After(time.Duration(r.Int64N(int64(200*time.Millisecond))), "strike", strike)
	}
	w.After(time.Second, "strike", strike)
}

func writeFrame(c env.Conn, p []byte) error {
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(p)), uint32(len(p)))
	_, err := c.Write(append(frame, p...))
	return err
}

func readFrame(c env.Conn) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return nil, err
	}
	p := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err := io.ReadFull(c, p)
	return p, err
}
