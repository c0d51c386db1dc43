package coordinator

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim"
)

// What is acknowledged is never lost, what is refused may be there, and nothing else
// is; a counter that clients see never falls; each event ends once, unless its broker
// dies; and the state is always the fold of the committed log.
func TestRuntime_UnderFailOver(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newStage(t, sim.Config{Seed: rapid.Uint64().Draw(rt, "seed")}, nil)
		if rapid.Bool().Draw(rt, "lingers") {
			s.cfg.Linger = time.Duration(rapid.IntRange(0, 5).Draw(rt, "linger")) * time.Millisecond
		}
		s.cfg.Timeout = 50 * time.Millisecond
		err := s.run(func() { (&swarm{stage: s, rt: rt, open: map[*Runtime]int{}}).play() })
		require.NoError(rt, err)
		assert.Zero(rt, s.diverged, "the state was not the fold of the log")
	})
}

const brokers = 3

type swarm struct {
	*stage
	rt *rapid.T

	acked, doubtful int64            // adds
	seen            int64            // the largest value that a client was told
	open            map[*Runtime]int // events that have not ended
}

func (x *swarm) play() {
	for id := range kafka.NodeID(brokers) {
		x.start(id + 1)
	}
	x.lead(1)
	for range rapid.IntRange(5, 60).Draw(x.rt, "steps") {
		x.step()
		x.h.Sleep(time.Duration(rapid.IntRange(0, 8).Draw(x.rt, "pause")) * time.Millisecond)
	}
	x.settle()
}

func (x *swarm) step() {
	p := x.p
	switch rapid.IntRange(0, 13).Draw(x.rt, "what") {
	case 0, 1, 2, 3:
		x.add()
	case 4, 5:
		x.see()
	case 6, 7, 8:
		p.commit(x.boundary("hw"))
	case 9:
		x.failOver()
	case 10:
		x.kill(kafka.NodeID(rapid.IntRange(1, brokers).Draw(x.rt, "dies")))
		x.revive()
	case 11:
		p.refuse = kerr.NotEnoughReplicas
	case 12:
		p.foreign = true
	case 13:
		p.slow = time.Duration(rapid.IntRange(0, 4).Draw(x.rt, "slow")) * time.Millisecond
	}
}

// failOver elects a broker. Another one's log has what is committed, and perhaps more.
func (x *swarm) failOver() {
	x.elect(kafka.NodeID(rapid.IntRange(1, brokers).Draw(x.rt, "leader")), false)
}

func (x *swarm) elect(id kafka.NodeID, restarted bool) {
	if restarted || id != x.p.leader {
		x.p.truncate(x.boundary("cut"))
	}
	x.lead(id)
}

// boundary is where a batch ends that is not committed, or the high watermark.
func (x *swarm) boundary(label string) kafka.Offset {
	ends := []kafka.Offset{x.p.hw}
	for _, b := range x.p.batches {
		if b.NextOffset() > x.p.hw {
			ends = append(ends, b.NextOffset())
		}
	}
	return rapid.SampledFrom(ends).Draw(x.rt, label)
}

// revive starts the brokers that are down; the leader may have been one.
func (x *swarm) revive() {
	for id := range kafka.NodeID(brokers) {
		if x.runtimes[id+1] == nil {
			x.start(id + 1)
			if x.p.leader == id+1 {
				x.elect(id+1, true)
			}
		}
	}
}

// add adds 1, and takes note of what it is told.
func (x *swarm) add() {
	x.doubtful++
	x.leader().Start(0, "add", 50*time.Millisecond, func(m Machine) (Decision, error) {
		d, _ := m.(*counter).add("a", 1)
		return d, nil
	}, x.once(func(err error) {
		if err == nil {
			x.acked++
			x.doubtful--
		}
	}))
}

// once is an end that comes once.
func (x *swarm) once(f func(error)) func(error) {
	over, r := false, x.leader()
	x.open[r]++
	return func(err error) {
		assert.False(x.rt, over, "an event ended twice")
		over = true
		x.open[r]--
		f(err)
	}
}

// see reads the newest, and is answered when that is committed: it has what was
// acknowledged before it was asked.
func (x *swarm) see() {
	acked := x.acked
	value := int64(0)
	x.leader().Start(0, "see", 50*time.Millisecond, func(m Machine) (Decision, error) {
		value = m.(*counter).value(timeline.Written, "a")
		return Decision{}, nil
	}, x.once(func(err error) {
		if err == nil {
			assert.GreaterOrEqual(x.rt, value, acked, "an acknowledged add is not seen")
			assert.LessOrEqual(x.rt, value, x.acked+x.doubtful)
			x.seen = max(x.seen, value)
		}
	}))
}

// settle lets all calm down and looks at the outcome.
func (x *swarm) settle() {
	p := x.p
	p.refuse, p.foreign, p.slow = nil, false, 0
	x.revive()
	x.failOver()
	for range 100 {
		x.h.Sleep(10 * time.Millisecond)
		p.commit(p.end)
	}
	value, err := int64(-1), fmt.Errorf("not read")
	x.onLeader(func(r *Runtime) {
		err = r.Read(0, func(m Machine) error {
			value = m.(*counter).value(timeline.Committed, "a")
			return nil
		})
	})
	x.h.Sleep(time.Second)
	require.NoError(x.rt, err)
	assert.GreaterOrEqual(x.rt, value, x.acked)
	assert.LessOrEqual(x.rt, value, x.acked+x.doubtful)
	assert.GreaterOrEqual(x.rt, value, x.seen, "what a client was told is gone")
	for _, r := range x.runtimes {
		assert.Zero(x.rt, x.open[r], "events that never end")
	}
	for _, s := range x.leader().shards {
		assert.False(x.rt, s.busy)
		assert.Empty(x.rt, s.waiting)
		assert.Nil(x.rt, s.open)
	}
}
