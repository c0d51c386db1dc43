package trial

import (
	"fmt"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/raft"
	"github.com/ktrial/ktrial/checkers/laws"
	"github.com/ktrial/ktrial/scenarios/inspector"
)

// quiet asks the questions that can be asked only when all is well: are all
// replicas the same, do all follow one quorum leader, and is what each node has
// in memory what its disk would give after a restart.
func (w *watch) quiet(bound time.Duration) error {
	if err := w.r.converge(bound, w.unsettled); err != nil {
		return err
	}
	w.Quiet(func(p *inspector.Partition) bool { return w.beyond[p].Any() })
	for _, p := range w.Partitions() {
		w.caches(p)
	}
	if w.broken {
		return errBroken
	}
	return w.replay(bound)
}

// caches compares what logs keep beside their records with the records: the
// epoch cache with what was appended, and what is known of producers with what
// the other replicas know, which came to it by another way.
func (w *watch) caches(p *inspector.Partition) {
	var first []log.ProducerState
	var known kafka.NodeID
	for _, id := range p.Replicas {
		n := w.r.c.ByID(id).Node()
		if n == nil || w.IsDamaged(id) || n.Replicas.Partition(p.Partition) == nil {
			continue
		}
		node, l := laws.Node(id), n.Replicas.Partition(p.Partition).Log()
		for o := l.StartOffset(); o < l.EndOffset(); o++ {
			p.Laws.EpochAt(node, int64(o), laws.Epoch(l.EpochAt(o)))
		}
		producers := l.Producers()
		if first == nil {
			first, known = producers, id
		} else if !slices.Equal(first, producers) {
			p.Laws.Fail(laws.ProducersKnown, node, "%v knows of its producers %+v, %v %+v", node, producers, laws.Node(known), first)
		}
	}
}

// unsettled says which node has not all of the metadata that another has.
func (w *watch) unsettled(bool) (amiss []string) {
	end := kafka.Offset(0)
	for _, s := range w.r.c.Servers {
		if n := s.Node(); n != nil {
			end = max(end, n.Raft.EndOffset())
		}
	}
	for _, s := range w.r.c.Servers {
		n := s.Node()
		switch {
		case n == nil:
			amiss = append(amiss, s.Name()+" is not up")
		case n.Raft.HighWatermark() != end:
			amiss = append(amiss, fmt.Sprintf("%s has the metadata log up to %d of %d", s.Name(), n.Raft.HighWatermark(), end))
		}
	}
	return amiss
}

// replay has every node fold its metadata log anew, and compares the images
// with those that the nodes came to while they ran.
func (w *watch) replay(bound time.Duration) error {
	waiting, known := 0, raft.Folds{}
	for _, s := range w.r.c.Servers {
		n, node := s.Node(), laws.Node(s.ID())
		waiting++
		s.Host.Process().Go("replay", func() {
			w.replayed(node, n, known)
			waiting--
		})
	}
	return w.r.converge(bound, func(bool) (amiss []string) {
		if waiting > 0 {
			amiss = append(amiss, fmt.Sprintf("%d nodes still replay their metadata log", waiting))
		}
		return amiss
	})
}

func (w *watch) replayed(node laws.Node, n *broker.Node, known raft.Folds) {
	f, err := n.Raft.Replay(known)
	switch {
	case err != nil:
		w.Quorum.Fail(laws.SameImage, node, "%v cannot replay its log: %v", node, err)
	case f.End > 0:
		w.Quorum.Applied(node, int64(f.End)-1, f.Hash)
	}
}
