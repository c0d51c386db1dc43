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
)

// quiet asks the questions that can be asked only when all is well: are all
// replicas the same, do all follow one quorum leader, and is what each node has
// in memory what its disk would give after a restart.
func (w *watch) quiet(bound time.Duration) error {
	if err := w.r.converge(bound, w.unsettled); err != nil {
		return err
	}
	for _, x := range w.partitions {
		if x.excuse == "" {
			x.ghost.Quiet()
		}
		w.caches(x)
	}
	w.quorum.Quiet()
	if w.broken {
		return errBroken
	}
	return w.replay(bound)
}

// caches compares what logs keep beside their records with the records: the
// epoch cache with what was appended, and what is known of producers with what
// the other replicas know, which came to it by another way.
func (w *watch) caches(x *watched) {
	var first []log.ProducerState
	var known kafka.NodeID
	for _, id := range x.replicas {
		n := w.r.c.ByID(id).Node()
		if n == nil || w.machines[id].damaged || n.Replicas.Partition(x.tp) == nil {
			continue
		}
		node, l := laws.Node(id), n.Replicas.Partition(x.tp).Log()
		for o := l.StartOffset(); o < l.EndOffset(); o++ {
			x.ghost.EpochAt(node, int64(o), laws.Epoch(l.EpochAt(o)))
		}
		producers := l.Producers()
		if first == nil {
			first, known = producers, id
		} else if !slices.Equal(first, producers) {
			w.failed(x, laws.Failure{Law: laws.ProducersKnown, Node: node, Message: fmt.Sprintf(
				"%v: node %d knows of its producers %+v, node %d %+v", x.tp, node, producers, known, first)})
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
		w.failed(nil, laws.Failure{Law: laws.SameImage, Node: node, Message: fmt.Sprintf("metadata: node %d cannot replay its log: %v", node, err)})
	case f.End > 0:
		w.quorum.Applied(node, int64(f.End)-1, f.Hash)
	}
}
