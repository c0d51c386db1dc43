package wasi

import (
	"encoding/binary"
	"time"

	"github.com/ktrial/ktrial/sim/env"
)

// Sizes and kinds of preview 1.
const (
	subscriptionSize = 48
	eventSize        = 32

	clockEvent byte = 0
	readEvent  byte = 1
	writeEvent byte = 2

	absolute = 1
)

// subscription is one thing that a program waits for.
type subscription struct {
	userdata uint64
	kind     byte
	fd       int32
	clock    uint32
	timeout  uint64
	flags    uint16
}

func parse(b []byte) subscription {
	le := binary.LittleEndian
	s := subscription{userdata: le.Uint64(b), kind: b[8]}
	if s.kind == clockEvent {
		s.clock, s.timeout, s.flags = le.Uint32(b[16:]), le.Uint64(b[24:]), le.Uint16(b[40:])
	} else {
		s.fd = int32(le.Uint32(b[16:]))
	}
	return s
}

// poll: subscriptions, where events go, how many subscriptions, where the number of
// events goes. Here a program waits that has nothing to do.
func poll(c caller, a []uint64) errno {
	count := a[2]
	if count == 0 || count > 1<<16 {
		return invalid
	}
	in, out := c.bytes(a[0], count*subscriptionSize), c.bytes(a[1], count*eventSize)
	if in == nil || out == nil {
		return invalid
	}
	subs := make([]subscription, count)
	for i := range subs {
		subs[i] = parse(in[i*subscriptionSize:])
	}
	c.in.pace.read = 0
	c.in.pace.spend(polling)
	n := c.in.await(subs, out)
	return c.put32(a[3], uint32(n))
}

// await blocks until something that is waited for has come, and writes what has.
func (in *instance) await(subs []subscription, out []byte) int {
	timeout := in.timeout(subs)
	if n := in.occurred(subs, out, false); n > 0 || timeout == 0 {
		if n == 0 {
			n = in.occurred(subs, out, true)
		}
		return n
	}
	until := in.pace.monotonic() + timeout
	for {
		if n := in.occurred(subs, out, false); n > 0 {
			return n
		}
		rest := env.Forever
		if timeout != env.Forever {
			if rest = until - in.h.Uptime(); rest <= 0 {
				return in.occurred(subs, out, true)
			}
		}
		in.ready.Wait(rest)
		in.obeySignals()
	}
}

// timeout is the shortest of the clocks that are waited for; Forever: none is.
func (in *instance) timeout(subs []subscription) time.Duration {
	least := env.Forever
	for _, s := range subs {
		if s.kind != clockEvent {
			continue
		}
		d := time.Duration(min(s.timeout, 1<<62))
		if s.flags&absolute != 0 {
			now := int64(in.pace.monotonic())
			if s.clock == 0 {
				now = int64(in.pace.wall())
			}
			d = max(0, d-time.Duration(now))
		}
		if least == env.Forever || d < least {
			least = d
		}
	}
	return least
}

// occurred writes the events of what is ready, or of the clocks when time is up.
func (in *instance) occurred(subs []subscription, out []byte, timeIsUp bool) int {
	n := 0
	for _, s := range subs {
		e, is := success, false
		switch d := in.open[s.fd]; {
		case s.kind == clockEvent:
			is = timeIsUp
		case d == nil:
			e, is = badDescriptor, true
		case s.kind == readEvent:
			is = d.readable()
		case s.kind == writeEvent:
			is = d.writable()
		}
		if !is {
			continue
		}
		event := out[n*eventSize:][:eventSize]
		clear(event)
		binary.LittleEndian.PutUint64(event, s.userdata)
		binary.LittleEndian.PutUint16(event[8:], uint16(e))
		event[10] = s.kind
		n++
	}
	return n
}
