package trial

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/scenarios/cluster"
)

// core is the part of the cluster that is healthy in the liveness phase. The
// rest stays cut off: a cluster must go on without the servers it can do
// without, not only when all is well again.
type core struct {
	c       *cluster.Cluster
	without []string // hosts that stay cut off
	heal    func()
}

// choose leaves out, at times, one broker (if brokers may be left out at all)
// and one controller.
func (k *core) choose(luck *rand.Rand, brokersToo bool, partitions []kafka.TopicPartition) {
	var dispensable []string
	if brokersToo {
		dispensable = k.dispensable(partitions)
	}
	if len(dispensable) > 0 && luck.IntN(2) == 0 {
		k.without = append(k.without, dispensable[luck.IntN(len(dispensable))])
	}
	controllers := k.c.Controllers()
	combined := slices.ContainsFunc(controllers, func(name string) bool { return slices.Contains(k.c.Brokers(), name) })
	if n := len(controllers); n >= 3 && !combined && luck.IntN(2) == 0 {
		k.without = append(k.without, controllers[luck.IntN(n)])
	}
	if len(k.without) > 0 {
		k.cutOff()
	}
}

// heldUp is how long the connections that a client has to a broker that is left out may hold it up: the one
// to the bootstrap server, the one to the broker, and the one to the coordinator, as in Java. It finds them
// broken one after another, each after request.timeout.ms, and may try to connect in between.
func (k *core) heldUp() time.Duration {
	const connections, timesOut = 4, 30 * time.Second
	if slices.ContainsFunc(k.without, func(host string) bool { return slices.Contains(k.c.Brokers(), host) }) {
		return connections * timesOut
	}
	return 0
}

func (k *core) cutOff() {
	w := k.c.World()
	w.Tell(&CoreChosen{Without: k.without})
	var mends []func()
	for _, a := range k.without {
		for _, h := range w.Hosts() {
			if b := h.Name(); a != b {
				there, back := w.Network().Link(a, b), w.Network().Link(b, a)
				there.Cut()
				back.Cut()
				mends = append(mends, there.Mend, back.Mend)
			}
		}
	}
	k.heal = func() {
		for _, mend := range mends {
			mend()
		}
	}
}

// dispensable lists the brokers without which every partition has enough
// replicas for min.insync.replicas, one of them alive with all that was
// acknowledged.
func (k *core) dispensable(partitions []kafka.TopicPartition) []string {
	im := k.c.Image()
	if im == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(k.c.Brokers()), func(host string) bool {
		id := k.c.Server(host).ID()
		return slices.ContainsFunc(partitions, func(tp kafka.TopicPartition) bool {
			p := im.Partition(tp)
			return p == nil || !k.c.MayLead(im, p, id) || len(p.Replicas)-1 < max(1, k.c.MinInsync(tp.Topic))
		})
	})
}

// stranded names the partitions that cannot go on without the hosts left out,
// because only they hold what was acknowledged. The choice was made on what the
// controllers knew then; a request on its way may have changed it.
func (k *core) stranded(partitions []kafka.TopicPartition) (out []string) {
	im := k.c.Image()
	if im == nil || len(k.without) == 0 {
		return nil
	}
	inside := func(id kafka.NodeID) bool { return !k.isWithout(k.c.HostOf(id)) }
	for _, tp := range partitions {
		p := im.Partition(tp)
		if p != nil && p.Leader == kafka.NoNode && !slices.ContainsFunc(slices.Concat(p.ISR, p.ELR), inside) {
			out = append(out, tp.String())
		}
	}
	return out
}

// isWithout reports whether a host stays cut off.
func (k *core) isWithout(host string) bool { return slices.Contains(k.without, host) }

// rejoin heals the hosts that were left out.
func (k *core) rejoin(why string) {
	if k.heal != nil {
		k.c.World().Tell(&CoreRejoined{Hosts: k.without, Why: why})
		k.heal()
	}
	*k = core{c: k.c}
}
