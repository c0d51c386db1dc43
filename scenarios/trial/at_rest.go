package trial

import (
	"fmt"
	"time"

	"github.com/ktrial/ktrial/broker"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/raft"
	"github.com/ktrial/ktrial/checkers/laws"
	"github.com/ktrial/ktrial/scenarios/inspector"
)

// quiet asks the questions that can be asked only when all is well: are all
// replicas the same, do all follow one quorum leader, and is what each node has
// in memory what its disk would give after a restart.
func (r *run) quiet(bound time.Duration) error {
	if err := r.converge(bound, r.unsettled); err != nil {
		return err
	}
	// A marker that a cut swallowed is sent again when its request has timed out.
	if err := r.until(bound, func() bool { return !r.laws.TransactionsEnding() }); err != nil {
		return err
	}
	r.laws.Quiet(func(p *inspector.Partition) bool { return r.laws.beyond[p].Any() })
	for _, p := range r.laws.Partitions() {
		if !p.IsDeleted() {
			r.caches(p)
		}
	}
	if r.laws.broken {
		return errBroken
	}
	return r.replay(bound)
}

// caches puts before the laws what logs keep beside their records: the epoch cache,
// and what is known of producers.
func (r *run) caches(p *inspector.Partition) {
	for _, id := range p.Replicas {
		n := r.c.ByID(id).Node()
		if n == nil || r.laws.IsDamaged(id) || n.Replicas.Partition(p.Partition) == nil {
			continue
		}
		node, l := laws.Node(id), n.Replicas.Partition(p.Partition).Log()
		for o := l.StartOffset(); o < l.EndOffset(); o++ {
			p.Laws.EpochAt(node, int64(o), laws.Epoch(l.EpochAt(o)))
		}
		known := []laws.Known{}
		for _, s := range l.Producers() {
			known = append(known, laws.Known{Producer: int64(s.ID), Epoch: int16(s.Epoch), Last: int32(s.LastSequence), End: int64(s.LastOffset) + 1})
		}
		p.Laws.Producers(node, known)
	}
}

// unsettled says which node has not all of the metadata that another has.
func (r *run) unsettled(bool) (problems []string) {
	end := kafka.Offset(0)
	for _, s := range r.c.Servers {
		if n := s.Node(); n != nil {
			end = max(end, n.Raft.EndOffset())
		}
	}
	for _, s := range r.c.Servers {
		n := s.Node()
		switch {
		case n == nil:
			problems = append(problems, s.Name()+" is not up")
		case n.Raft.HighWatermark() != end:
			problems = append(problems, fmt.Sprintf("%s has the metadata log up to %d of %d", s.Name(), n.Raft.HighWatermark(), end))
		}
	}
	return problems
}

// replay has every node fold its metadata log anew, and compares the images
// with those that the nodes came to while they ran.
func (r *run) replay(bound time.Duration) error {
	waiting, known := 0, raft.Folds{}
	for _, s := range r.c.Servers {
		n, node := s.Node(), laws.Node(s.ID())
		waiting++
		s.Host.Process().Go("replay", func() {
			r.replayed(node, n, known)
			waiting--
		})
	}
	return r.converge(bound, func(bool) (problems []string) {
		if waiting > 0 {
			problems = append(problems, fmt.Sprintf("%d nodes still replay their metadata log", waiting))
		}
		return problems
	})
}

func (r *run) replayed(node laws.Node, n *broker.Node, known raft.Folds) {
	f, err := n.Raft.Replay(known)
	switch {
	case err != nil:
		r.laws.Quorum.Fail(laws.SameImage, node, "%v cannot replay its log: %v", node, err)
	case f.End > 0:
		r.laws.Quorum.Applied(node, int64(f.End)-1, f.Hash)
	}
}
