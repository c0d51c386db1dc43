// Package live runs a world on the wall clock. Its hosts keep their files in a
// directory and open their ports to TCP; what runs on them does not notice.
//
// The world still has one thread, the one that calls Run. Other goroutines
// exist only at the edge: one that waits for a signal from outside, two for
// each TCP connection, and one for each file that is being synced. They reach
// the world through Do and nothing else.
package live

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/sim/network"
)

// Config is what a live world is made from.
type Config struct {
	// Dir holds the files of each host in a directory of the host's name.
	Dir string
	// Seed of the little luck that is left: what processes draw themselves.
	Seed uint64
	// Read is called with each event as it happens; nil: it is not.
	Read func(*ledger.Entry)
	// MaxConns is how many TCP connections are served at a time, on each door:
	// more are closed, unless another one ends soon. Zero: 512. All doors together
	// never take more than half of the descriptors that the program may have.
	MaxConns int
	// Refused is called, from any goroutine, when a door at addr has closed a
	// connection because so many are served already. May be nil.
	Refused func(addr string, served int)
	// Connected, if set, is called in the world when a client has been connected to a host,
	// and may return what is to see the bytes of the connection.
	Connected func(host, remote string) Observer
	// Descriptors is how many files and connections may be open. Zero: what the
	// operating system allows.
	Descriptors int
	// Grace is how long the processes have to shut down once Run was asked to
	// end. Zero: 30 s.
	Grace time.Duration
}

// Observer sees what passes between a client and a host. It is called in the world.
type Observer interface {
	// Sent and Received are bytes of the client, in order. They are the caller's again
	// when it returns.
	Sent(p []byte)
	Received(p []byte)
	Closed()
}

// World is a sim.World on the wall clock.
type World struct {
	*sim.World
	cfg   Config
	root  *os.Root
	lock  *os.File
	start time.Time
	inbox chan func()
	done  chan struct{} // closed by Close
	once  sync.Once
	doors []*door
	gate  env.Host // of the gateway process
	// slots has one for each connection of any door, syncs one for each sync: each
	// takes a thread of the operating system.
	slots, syncs chan struct{}
	descriptors  *descriptors
}

// New makes a live world over a directory, which is made if need be. Only one
// program at a time may use a directory.
func New(cfg Config) (*World, error) {
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 512
	}
	if cfg.Descriptors == 0 {
		cfg.Descriptors = descriptorLimit()
	}
	if cfg.Grace == 0 {
		cfg.Grace = 30 * time.Second
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("live: data directory: %w", err)
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(cfg.Dir)
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("live: data directory: %w", err)
	}
	files, conns := shares(cfg.Descriptors)
	w := &World{
		cfg: cfg, root: root, lock: lock, descriptors: newDescriptors(files),
		slots: make(chan struct{}, conns), syncs: make(chan struct{}, maxSyncs),
		start: time.Now(), inbox: make(chan func(), 256), done: make(chan struct{}),
	}
	w.World = sim.NewWorld(sim.Config{
		Seed: cfg.Seed, Read: cfg.Read, Steady: true, Lucky: true, Unhashed: true, Keep: ledger.KeepNothing,
		Birth: env.Time(w.start.UnixNano()),
		// Not zero, so that time passes while hosts talk to each other and what
		// comes from outside has its turn.
		Network:    network.Config{Default: wire, Loopback: wire, Window: window},
		FileSystem: w.fileSystem,
	})
	w.Host(gateway).Start(func(h env.Host) {
		w.gate = h
		h.NewSignal("the end").Wait(env.Forever)
	})
	return w, w.RunDue(0)
}

// window is how much may be under way from one host to another that has not read it.
const window = 128 << 10

// wire is how hosts inside the world are connected.
var wire = network.Profile{Latency: 2 * time.Microsecond}

// gateway is the host on which TCP connections enter the world.
const gateway = "gateway"

// Do has f called in the world: outside of any task, so it must not block. It
// may be called from any goroutine; after Close it does nothing.
func (w *World) Do(f func()) {
	select {
	case w.inbox <- f:
	case <-w.done:
	}
}

// maxSyncs is how many syncs are under way at a time.
const maxSyncs = 64

// await runs work on a goroutine of its own while the calling task, and only
// that, waits for it.
func (w *World) await(h env.Host, what string, work func() error) error {
	var result error
	finished := false
	s := h.NewSignal(what)
	go func() {
		w.syncs <- struct{}{}
		err := work()
		<-w.syncs
		w.Do(func() {
			result, finished = err, true
			s.Broadcast()
		})
	}()
	for !finished {
		s.Wait(env.Forever)
	}
	return result
}

// Run drives the world until Stop, until it fails, or until ctx ends; then
// shutdown is called, which starts what the processes do to end in good order
// and has Stop called when that is done.
func (w *World) Run(ctx context.Context, shutdown func()) error {
	ending := ctx.Done()
	var grace <-chan time.Time
	stopped := false
	w.World.OnStop(func() { stopped = true })
	for {
		if err := w.RunDue(time.Since(w.start)); err != nil || stopped {
			return err
		}
		timer := time.NewTimer(w.untilNext())
		select {
		case f := <-w.inbox:
			w.receive(f)
		case <-timer.C:
		case <-ending:
			ending = nil
			grace = time.After(w.cfg.Grace)
			w.catchUp()
			shutdown()
		case <-grace:
			return fmt.Errorf("live: the processes have not shut down within %v", w.cfg.Grace)
		}
		timer.Stop()
	}
}

// untilNext is how long nothing will happen of its own accord.
func (w *World) untilNext() time.Duration {
	at, ok := w.NextAt()
	if !ok {
		return time.Hour
	}
	return max(0, at-time.Since(w.start))
}

// receive calls what came from outside: f and what has gathered meanwhile.
func (w *World) receive(f func()) {
	w.catchUp()
	for n := len(w.inbox); ; n-- {
		f()
		if n == 0 {
			return
		}
		f = <-w.inbox
	}
}

// catchUp moves virtual time to the present.
func (w *World) catchUp() { w.RunDue(time.Since(w.start)) }

// Close ends all processes and closes all doors. What was not synced is left
// to the operating system.
func (w *World) Close() {
	w.once.Do(func() {
		close(w.done)
		for _, d := range w.doors {
			d.close()
		}
		w.World.Close()
		w.root.Close()
		w.lock.Close()
	})
}
