package wasi

import (
	"context" //det:allow see wasi.go
	"strings"
	"sync/atomic" //det:allow the watchdog looks from a goroutine of its own, and decides no run
	"time"

	"github.com/ktrial/ktrial/sim/env"
	"github.com/tetratelabs/wazero/sys"
)

type instanceKey struct{}

// of is the instance that called its host.
func of(ctx context.Context) *instance { return ctx.Value(instanceKey{}).(*instance) }

// instance is one start of a program.
type instance struct {
	program *Program
	h       env.Host
	proc    Process
	pace    pace
	// ready is where poll_oneoff waits: something has happened to a descriptor.
	ready     env.Signal
	open      map[int32]descriptor
	next      int32
	names     map[string]string // host names by the addresses that resolve answered
	addresses map[string]string // and the other way round
	lastWords string

	stopped bool // it was asked to end
	listens bool // it hears of that
	killed  bool

	inside atomic.Bool  // compiled code runs, not a call of its host
	calls  atomic.Int64 // to its host
}

// firstDescriptor is above those that Go's runtime asks for directories.
const firstDescriptor = 8

func newInstance(p *Program, h env.Host, proc Process) *instance {
	in := &instance{program: p, h: h, proc: proc, next: firstDescriptor, names: map[string]string{}, addresses: map[string]string{}}
	in.pace.h = h
	in.ready = h.NewSignal("program")
	in.open = map[int32]descriptor{0: empty{}, 1: &lines{in: in, stream: Stdout}, 2: &lines{in: in, stream: Stderr}, root: directory{}}
	return in
}

// add gives a descriptor its number. The lowest that is free is not taken, as a
// Unix would: a number that means another connection soon after hides mistakes.
func (in *instance) add(d descriptor) int32 {
	n := in.next
	in.next++
	in.open[n] = d
	return n
}

// close ends what the program has left open, when it ends or is killed.
func (in *instance) close() {
	for n := range in.next { // in order: what closes first is seen by peers
		if d := in.open[n]; d != nil {
			d.close()
		}
	}
}

// stop asks the program to end.
func (in *instance) stop() {
	in.stopped = true
	in.ready.Broadcast()
}

// kill ends the program.
func (in *instance) kill() {
	in.killed = true
	in.ready.Broadcast()
}

// Statuses of a program that a signal has ended.
const (
	terminated = 128 + sigterm
	killed     = 128 + sigkill
)

// obeySignals ends a program that was killed, or asked to end and does not listen.
func (in *instance) obeySignals() {
	switch {
	case in.killed:
		panic(sys.NewExitError(killed))
	case in.stopped && !in.listens:
		panic(sys.NewExitError(terminated))
	}
}

// spins is how long a program may compute on end, of real time.
const spins = 20 * time.Second

// guard stops a program that computes without end. A program that waits is not
// inside, and one that calls its host is stopped by what guards the world.
func (in *instance) guard(stop func()) (end func()) {
	limit := spins
	if in.proc.Wall > 0 {
		limit = in.proc.Wall
	}
	in.inside.Store(true)
	over := make(chan struct{}) //det:allow the watchdog's own goroutine
	go func() {                 //det:allow the watchdog decides no run: what it ends has no verdict
		tick := time.NewTicker(limit / 10) //det:allow real time, on purpose
		defer tick.Stop()
		calls, idle := int64(-1), 0
		for {
			select { //det:allow the watchdog's own goroutine
			case <-over:
				return
			case <-tick.C:
			}
			if now := in.calls.Load(); now != calls || !in.inside.Load() {
				calls, idle = now, 0
				continue
			}
			if idle++; idle >= 10 {
				stop()
				return
			}
		}
	}()
	return func() { close(over) }
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
