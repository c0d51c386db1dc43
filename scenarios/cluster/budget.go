package cluster

import (
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/ledger"
)

// The budget: how much may be destroyed before something acknowledged can be
// lost. Kafka takes every process that comes back without the mark of a clean
// shutdown for one that lost power, and no longer counts its replicas as having
// what was acknowledged (KIP-966). As long as no server has really lost
// anything that does no harm: the last leader, which has everything, is then
// elected.

// loss is what a server may have lost.
type loss struct {
	// crashed: the process ended without a clean shutdown, when it was
	// registered with this broker epoch.
	crashed bool
	epoch   kafka.BrokerEpoch
	lossy   bool // and writes that were not synced are gone
	// doubtful: the disk has reported as synced what it may not have.
	doubtful bool
}

// Crash records that processes are about to end without a clean shutdown, and
// whether they lose the writes that they have not synced.
func (c *Cluster) Crash(hosts []string, loses bool) {
	im := c.Image()
	for _, name := range hosts {
		if s := c.byHost[name]; s != nil {
			lacks := s.hasLost(im)
			if lacks && !s.Unclean(im) {
				c.world.Ledger().Reach(ProbeLacksStill)
			}
			c.crashed(s, im, loses || lacks)
		}
	}
}

func (c *Cluster) crashed(s *Server, im *metadata.Image, lossy bool) {
	s.loss.crashed, s.loss.lossy = true, lossy
	if im == nil {
		return
	}
	if b := im.Broker(s.ID()); b != nil {
		s.loss.epoch = b.Epoch
	}
}

// Doubt records that the disks of hosts may report as synced what they do not
// have. It shows when the power goes.
func (c *Cluster) Doubt(hosts []string) {
	for _, name := range hosts {
		if s := c.byHost[name]; s != nil {
			s.loss.doubtful = true
		}
	}
}

// Unclean reports whether the server's process ended without a clean shutdown
// and no later one has registered since. The controllers still count it for
// what its former process had.
func (s *Server) Unclean(im *metadata.Image) bool {
	if !s.loss.crashed || im == nil {
		return s.loss.crashed
	}
	b := im.Broker(s.ID())
	return b == nil || b.Epoch <= s.loss.epoch
}

// hasLost reports whether the server has lost writes that were not synced, and some
// replica of it has not caught up since: another crash does not bring them back.
func (s *Server) hasLost(im *metadata.Image) bool {
	if im == nil {
		return s.loss.lossy
	}
	return slices.ContainsFunc(im.Topics(), func(t *metadata.Topic) bool {
		return slices.ContainsFunc(t.Partitions, func(p *metadata.Partition) bool {
			return slices.Contains(p.Replicas, s.ID()) && s.lacks(im, p)
		})
	})
}

// lacks reports whether the server lost writes and its replica of p has not
// caught up since.
func (s *Server) lacks(im *metadata.Image, p *metadata.Partition) bool {
	return s.loss.lossy && (s.Unclean(im) || !slices.Contains(p.ISR, s.ID()))
}

// Survives reports whether a crash of hosts leaves each of their partitions
// with a replica that is counted as having all that was acknowledged (in ISR or
// ELR) and did not go down uncleanly since.
func (c *Cluster) Survives(hosts []string, loses bool) bool {
	// A process that has just started may have an old image, and no other
	// server a newer one.
	im := c.Image()
	if im == nil || c.Committed != nil && im.Offset+1 < c.Committed() {
		return false
	}
	for _, topic := range im.Topics() {
		for _, p := range topic.Partitions {
			if c.touches(p, hosts) && !c.keeps(im, p, hosts, loses) {
				return false
			}
		}
	}
	return true
}

// keeps is Survives for one partition: fewer than min.insync.replicas of its
// replicas are down uncleanly, or came back so and are not in sync again. More
// may not be, even if others live: a replica that is merely slow can be taken
// out of the ISR before them, and then none is left that counts.
func (c *Cluster) keeps(im *metadata.Image, p *metadata.Partition, hosts []string, loses bool) bool {
	down, lost := 0, false
	var because []*ledger.Probe
	for _, id := range p.Replicas {
		s := c.byID[id]
		switch {
		case slices.Contains(hosts, s.Name()):
			down++
		case s.loss.crashed && s.Unclean(im):
			down++
			because = append(because, ProbeStillCounted)
		case s.loss.crashed && !slices.Contains(p.ISR, id):
			down++
			because = append(because, ProbeNotBackInSync)
		}
		lost = lost || s.lacks(im, p)
	}
	if down < max(1, c.MinInsync(p.Topic)) || !loses && !lost {
		return true
	}
	for _, probe := range because {
		c.world.Ledger().Reach(probe)
	}
	return false
}

func (c *Cluster) touches(p *metadata.Partition, hosts []string) bool {
	return slices.ContainsFunc(p.Replicas, func(id kafka.NodeID) bool { return slices.Contains(hosts, c.HostOf(id)) })
}

// VoterForgets reports whether a loss of power would take from a controller
// what it said it had: the whole disk (wiped), or what a failed fsync left
// unwritten and the next one reported as done. One such voter is one too many:
// with another that lagged it makes a majority that knows nothing of what was
// committed.
func (c *Cluster) VoterForgets(hosts []string, wiped bool) bool {
	return slices.ContainsFunc(hosts, func(name string) bool {
		if !slices.Contains(c.controllers, name) {
			return false
		}
		doubtful := c.byHost[name].loss.doubtful
		if doubtful {
			c.world.Ledger().Reach(ProbeVoterForgets)
		}
		return wiped || doubtful
	})
}
