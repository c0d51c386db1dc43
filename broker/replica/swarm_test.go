package replica

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
)

var long = flag.Bool("long", false, "run the long tests too")

// swarm hurts three brokers at random, while a controller that keeps to the
// rules elects a broker that it may and two clients append. In the end all is
// healed.
type swarm struct {
	*stage
	luck  *rand.Rand
	clean bool // no more trouble
	cuts  [][2]kafka.NodeID
	acked []string
	sent  int
}

// TestSwarm: whatever happens, what was acknowledged stays, and once all is
// well again all replicas hold the same.
func TestSwarm(t *testing.T) {
	seeds := 12
	if *long {
		seeds = 400
	}
	acked, probes := 0, map[string]int64{}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			playSeed(t, uint64(seed), 3, nil, func(s *stage) {
				x := &swarm{stage: s, luck: s.w.Rand("swarm")}
				s.delay = func() time.Duration { return time.Duration(x.luck.IntN(int(50 * time.Millisecond))) }
				x.run()
				acked += len(x.acked)
				for probe, n := range s.w.Probes() {
					probes[probe] += n
				}
			}, func(cfg *Config) { cfg.LagTimeMax = 5 * time.Second })
		})
	}
	assert.Positive(t, acked, "acknowledged")
	for _, probe := range []string{
		"fetch diverged", "follower truncated after epoch change", "ISR shrank", "ISR expanded", "HW held back below min ISR",
	} {
		assert.Positive(t, probes[probe], probe)
	}
}

func (x *swarm) run() {
	x.topic(2, 1, 2, 3)
	done := 0
	for i := range 2 {
		x.h.Go(fmt.Sprint("producer ", i), func() {
			for !x.clean {
				x.appendOne()
			}
			done++
		})
	}
	for range 20 {
		x.trouble()
		x.wait(time.Duration(x.luck.IntN(3000)) * time.Millisecond)
	}
	x.clean = true
	x.heal()
	x.until("the producers end", func() bool { return done == 2 })
	x.inSync(1, 2, 3)
	held := x.values(1)
	next := 0
	for _, v := range held {
		if next < len(x.acked) && v == x.acked[next] {
			next++
		}
	}
	for _, v := range x.acked {
		assert.Contains(x.t, held, v, "acknowledged")
	}
	probes := x.w.Probes()
	x.t.Logf("%d sent, %d acknowledged, diverged %d, truncated %d, shrank %d, expanded %d, refused %d, held back %d", x.sent, len(x.acked),
		probes["fetch diverged"], probes["follower truncated after epoch change"], probes["ISR shrank"], probes["ISR expanded"],
		probes["ISR change refused"], probes["HW held back below min ISR"])
}

func (x *swarm) appendOne() {
	to := x.partition().Leader
	if to == kafka.NoNode || x.luck.IntN(5) == 0 {
		to = x.ids[x.luck.IntN(len(x.ids))] // a client whose metadata is old
	}
	x.sent++
	v := fmt.Sprint(x.sent)
	acks := int16(acksAll)
	if x.luck.IntN(3) == 0 {
		acks = 1
	}
	_, err := x.produceWithin(to, acks, time.Second, v)
	if err == nil && acks == acksAll {
		x.acked = append(x.acked, v)
	}
	x.wait(time.Duration(x.luck.IntN(30)) * time.Millisecond)
}

func (x *swarm) trouble() {
	id := x.ids[x.luck.IntN(len(x.ids))]
	other := x.ids[x.luck.IntN(len(x.ids))]
	host := x.w.Host(name(id))
	switch x.luck.IntN(10) {
	case 0, 1:
		if host.IsRunning() {
			x.w.Say("kill %d", id)
			x.kill(id)
			x.lose(id)
		}
	case 2, 3:
		if !host.IsRunning() {
			x.w.Say("start %d", id)
			x.start(id)
			x.recover()
		}
	case 4:
		if id != other {
			x.w.Say("cut %d from %d", id, other)
			x.w.Network().Link(name(id), name(other)).Cut()
			x.cuts = append(x.cuts, [2]kafka.NodeID{id, other})
		}
	case 5:
		x.mendAll()
	case 6:
		x.w.Say("mute %d", id)
		x.mute[id] = true
	case 7:
		x.unmute(id)
	case 8:
		x.w.Say("fence %d", id)
		x.lose(id)
	case 9:
		if p := x.partition(); slices.Contains(p.ISR, id) && x.alive(id) {
			x.w.Say("move leadership to %d", id)
			rec := metadata.NewPartitionChange(x.partition().TopicID, 0)
			rec.Leader = id
			x.publish(rec)
		}
	}
	x.recover()
}

func (x *swarm) alive(id kafka.NodeID) bool {
	b := x.image.Broker(id)
	return b != nil && !b.Fenced
}

// lose fences a broker, takes it out of the ISR unless it is the last, and
// elects another member of the ISR, if there is one.
func (x *swarm) lose(id kafka.NodeID) {
	recs := []metadata.Record{&metadata.BrokerRegistrationChangeRecord{BrokerID: id, BrokerEpoch: x.nodes[id].epoch, Fenced: 1}}
	p := x.partition()
	isr := without(p.ISR, []kafka.NodeID{id})
	rec := metadata.NewPartitionChange(x.partition().TopicID, 0)
	if len(isr) > 0 && len(isr) < len(p.ISR) {
		rec.ISR = isr
	}
	if p.Leader == id {
		rec.Leader = kafka.NoNode
		if len(isr) > 0 {
			rec.Leader = isr[0]
		}
	}
	if rec.ISR != nil || rec.Leader != metadata.NoLeaderChange {
		recs = append(recs, rec)
	}
	x.publish(recs...)
}

// recover unfences a broker that runs, sometimes, and elects a leader if there
// is none.
func (x *swarm) recover() {
	for _, id := range x.ids {
		if x.w.Host(name(id)).IsRunning() && !x.alive(id) && (x.clean || x.luck.IntN(2) == 0) {
			x.publish(&metadata.BrokerRegistrationChangeRecord{BrokerID: id, BrokerEpoch: x.nodes[id].epoch, Fenced: -1})
		}
	}
	p := x.partition()
	if p.Leader != kafka.NoNode {
		return
	}
	for _, id := range p.ISR {
		if x.alive(id) {
			rec := metadata.NewPartitionChange(x.partition().TopicID, 0)
			rec.Leader = id
			x.publish(rec)
			return
		}
	}
}

func (x *swarm) mendAll() {
	for _, c := range x.cuts {
		x.w.Network().Link(name(c[0]), name(c[1])).Mend()
	}
	x.cuts = nil
}

func (x *swarm) heal() {
	x.mendAll()
	for _, id := range x.ids {
		x.unmute(id)
		if !x.w.Host(name(id)).IsRunning() {
			x.start(id)
		}
	}
	x.recover()
	require.NotEqual(x.t, kafka.NoNode, x.partition().Leader)
	x.wait(time.Second)
	x.recover()
}
