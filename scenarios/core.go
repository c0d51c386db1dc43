package scenarios

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
)

// core is the part of the cluster that is healthy in the liveness phase. The
// rest stays cut off: a cluster must go on without whom it can do without, not
// only when all is well again.
type core struct {
	left []string // hosts that stay cut off
	heal func()
}

// chooseCore heals all but, at times, one broker and one controller.
func (r *run) chooseCore(luck *rand.Rand) core {
	var k core
	if brokers := r.dispensable(); len(brokers) > 0 && luck.IntN(2) == 0 {
		k.left = append(k.left, brokers[luck.IntN(len(brokers))])
	}
	if n := len(r.c.controllers); n >= 3 && r.s.Cluster.Combined == 0 && luck.IntN(2) == 0 {
		k.left = append(k.left, r.c.controllers[luck.IntN(n)])
	}
	if len(k.left) == 0 {
		return k
	}
	r.w.Say("without %s", strings.Join(k.left, " and "))
	var mends []func()
	for _, a := range k.left {
		for _, h := range r.w.Hosts() {
			if b := h.Name(); a != b {
				there, back := r.w.Network().Link(a, b), r.w.Network().Link(b, a)
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
	return k
}

// dispensable lists the brokers without which every partition has enough
// replicas for min.insync.replicas, one of them alive with all that was
// acknowledged.
func (r *run) dispensable() []string {
	im := r.c.image()
	if im == nil || r.s.Lesson != "" {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(r.c.brokers), func(host string) bool {
		without := r.c.byHost[host].cfg.NodeID
		for _, t := range r.s.Topics {
			for p := range t.Partitions {
				reg := im.Partition(kafka.TopicPartition{Topic: t.Name, Partition: p})
				if reg == nil || !r.c.leads(im, reg, without) || len(reg.Replicas)-1 < max(1, t.MinInsync) {
					return true
				}
			}
		}
		return false
	})
}

// leads reports whether a replica of p other than one may lead.
func (c *cluster) leads(im *metadata.Image, p *metadata.Partition, without kafka.NodeID) bool {
	return slices.ContainsFunc(slices.Concat(p.ISR, p.ELR), func(id kafka.NodeID) bool {
		s := c.byID[id]
		return id != without && s.alive() != nil && !s.unclean(im)
	})
}

// hopeless names the partitions that cannot go on without those left out,
// because only they hold what was acknowledged. The choice was made on what
// the controllers knew then; a request on its way may have changed it.
func (r *run) hopeless() (stranded []string) {
	im := r.c.image()
	if im == nil || len(r.core.left) == 0 {
		return nil
	}
	for _, t := range r.s.Topics {
		for p := range t.Partitions {
			reg := im.Partition(kafka.TopicPartition{Topic: t.Name, Partition: p})
			if reg == nil || reg.Leader != kafka.NoNode {
				continue
			}
			inside := slices.ContainsFunc(slices.Concat(reg.ISR, reg.ELR), func(id kafka.NodeID) bool { return !r.isLeft(id) })
			if !inside {
				stranded = append(stranded, fmt.Sprintf("%s/%d", t.Name, p))
			}
		}
	}
	return stranded
}

// isLeft reports whether a node stays cut off.
func (r *run) isLeft(id kafka.NodeID) bool { return slices.Contains(r.core.left, r.c.hostOf(id)) }

// rejoin heals those that were left out.
func (r *run) rejoin(why string) {
	if r.core.heal != nil {
		r.w.Say("%s heal, too: %s", strings.Join(r.core.left, " and "), why)
		r.core.heal()
	}
	r.core = core{}
}
