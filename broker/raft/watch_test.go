package raft_test

import (
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/witness"
)

// watcher keeps its own account of a quorum and compares it with what the
// members do, after each of their events.
type watcher struct {
	voters  []kafka.NodeID
	members map[kafka.NodeID]*account

	leaders   map[kafka.LeaderEpoch]kafka.NodeID
	votes     map[ballot]kafka.NodeID
	records   map[position]uint64 // what stands at an offset of an epoch
	committed []entry             // by offset: the truth, once anybody has shown it as committed
	images    map[kafka.Offset]uint64

	violations []string
	checked    map[string]int
}

// account is what a member's log holds.
type account struct {
	start   kafka.Offset
	log     []entry // from start on
	flushed kafka.Offset
	hw      kafka.Offset
	epoch   kafka.LeaderEpoch
	leads   kafka.LeaderEpoch // the epoch in which it leads, or NoEpoch
}

type ballot struct {
	voter kafka.NodeID
	epoch kafka.LeaderEpoch
}

type position struct {
	offset kafka.Offset
	epoch  kafka.LeaderEpoch
}

// entry is one offset: of which epoch, and a fingerprint of its batch.
type entry struct {
	epoch kafka.LeaderEpoch
	what  uint64
}

func newWatcher(voters []kafka.NodeID) *watcher {
	return &watcher{
		voters: voters, members: map[kafka.NodeID]*account{},
		leaders: map[kafka.LeaderEpoch]kafka.NodeID{}, votes: map[ballot]kafka.NodeID{},
		records: map[position]uint64{}, images: map[kafka.Offset]uint64{}, checked: map[string]int{},
	}
}

// The invariants.
const (
	oneLeader     = "one leader per epoch"
	oneVote       = "one vote per epoch, restarts included"
	epochGrows    = "the epoch of a member never falls"
	logMatching   = "equal offset and epoch, equal record"
	leaderHasAll  = "a leader holds all that was committed"
	commitStays   = "what is committed never changes"
	commitDurable = "what is committed is flushed by a majority"
	hwGrows       = "the high watermark never falls"
	ownLogStays   = "a leader never cuts its own log"
	sameImage     = "equal offset, equal image"
	snapshotFold  = "a snapshot is the fold of what it replaces, all committed"
)

func (w *watcher) check(invariant string, ok bool, format string, args ...any) {
	w.checked[invariant]++
	if !ok {
		w.violations = append(w.violations, invariant+": "+fmt.Sprintf(format, args...))
	}
}

func (w *watcher) violated(invariant string) bool {
	return slices.ContainsFunc(w.violations, func(v string) bool {
		return len(v) > len(invariant) && v[:len(invariant)] == invariant
	})
}

func (a *account) end() kafka.Offset { return a.start + kafka.Offset(len(a.log)) }

func (a *account) cutTo(end kafka.Offset) {
	if end < a.start {
		a.start, a.log = end, nil
	}
	a.log = a.log[:min(int64(len(a.log)), int64(end-a.start))]
	a.flushed = min(a.flushed, end)
}

func (a *account) dropBelow(start kafka.Offset) {
	if n := start - a.start; n > 0 {
		a.start, a.log = start, a.log[min(int64(n), int64(len(a.log))):]
	}
}

func (w *watcher) member(id kafka.NodeID) *account {
	if w.members[id] == nil {
		w.members[id] = &account{leads: kafka.NoEpoch}
	}
	return w.members[id]
}

// see takes note of an event.
func (w *watcher) see(e *witness.Event) {
	a := w.member(e.Node)
	switch e.Kind {
	case witness.Opened:
		a.cutTo(e.End)
		a.dropBelow(e.Offset)
		a.hw, a.leads = e.HW, kafka.NoEpoch
		w.sawEpoch(e, a)
	case witness.QuorumVoted:
		w.sawEpoch(e, a)
		b := ballot{e.Node, e.Epoch}
		before, voted := w.votes[b]
		w.check(oneVote, !voted || before == e.Peer, "%d voted for %d in epoch %d, and now for %d", e.Node, before, e.Epoch, e.Peer)
		w.votes[b] = e.Peer
	case witness.QuorumLeader:
		w.sawLeader(e, a)
	case witness.QuorumAppended:
		w.sawBatch(e, a)
	case witness.QuorumTruncated:
		w.check(ownLogStays, a.leads != e.Epoch, "%d leads epoch %d and cuts its log to %d", e.Node, a.leads, e.Offset)
		a.cutTo(e.Offset)
	case witness.Restarted:
		a.start, a.log, a.flushed = e.Offset, nil, e.Offset
	case witness.QuorumFlushed:
		a.flushed = max(a.flushed, e.Offset)
	case witness.QuorumCommitted:
		w.sawCommit(e, a)
	case witness.QuorumSnapshot:
		w.sawSnapshot(e, a)
	case witness.Applied:
		image, known := w.images[e.Offset]
		w.check(sameImage, !known || image == e.Hash, "at offset %d, %d has %x, another had %x", e.Offset, e.Node, e.Hash, image)
		w.images[e.Offset] = e.Hash
	}
}

func (w *watcher) sawEpoch(e *witness.Event, a *account) {
	w.check(epochGrows, e.Epoch >= a.epoch, "%d was in epoch %d and is in %d", e.Node, a.epoch, e.Epoch)
	a.epoch = e.Epoch
}

func (w *watcher) sawLeader(e *witness.Event, a *account) {
	w.sawEpoch(e, a)
	before, led := w.leaders[e.Epoch]
	w.check(oneLeader, !led || before == e.Node, "epoch %d is led by %d and by %d", e.Epoch, before, e.Node)
	w.leaders[e.Epoch], a.leads = e.Node, e.Epoch
	w.check(leaderHasAll, int64(a.end()) >= int64(len(w.committed)), "leader %d of epoch %d ends at %d, committed is %d", e.Node, e.Epoch, a.end(), len(w.committed))
	w.compare(leaderHasAll, e.Node, a, a.end())
}

// compare holds a log below end against the truth.
func (w *watcher) compare(invariant string, id kafka.NodeID, a *account, end kafka.Offset) {
	for o := a.start; o < min(end, a.end()) && int64(o) < int64(len(w.committed)); o++ {
		mine, truth := a.log[o-a.start], w.committed[o]
		if mine.what != 0 && mine != truth {
			w.check(invariant, false, "offset %d is %v on %d, %v was committed", o, mine, id, truth)
			return
		}
	}
	w.check(invariant, true, "")
}

func (w *watcher) sawBatch(e *witness.Event, a *account) {
	sum := fnv.New64a()
	sum.Write(record.Batch(e.Batch)[12+5:]) // what the leader epoch and the offset do not touch
	entry := entry{e.Epoch, sum.Sum64()}
	if e.Offset != a.end() {
		w.check(logMatching, false, "%d appends at %d, its log ends at %d", e.Node, e.Offset, a.end())
	}
	for o := e.Offset; o < e.End; o++ {
		at := position{o, e.Epoch}
		before, known := w.records[at]
		w.check(logMatching, !known || before == entry.what, "offset %d of epoch %d is one batch on %d and another elsewhere", o, e.Epoch, e.Node)
		w.records[at] = entry.what
		a.log = append(a.log, entry)
	}
}

func (w *watcher) sawCommit(e *witness.Event, a *account) {
	w.check(hwGrows, e.Offset >= a.hw, "%d had high watermark %d and has %d", e.Node, a.hw, e.Offset)
	a.hw = e.Offset
	w.compare(commitStays, e.Node, a, e.Offset)
	for o := kafka.Offset(len(w.committed)); o < e.Offset && o >= a.start && o < a.end(); o++ {
		w.committed = append(w.committed, a.log[o-a.start])
	}
	if a.leads != a.epoch {
		return
	}
	durable := 0
	for _, id := range w.voters {
		if m := w.member(id); m.flushed >= e.Offset {
			durable++
		}
	}
	w.check(commitDurable, durable > len(w.voters)/2, "%d committed %d, which %d of %d voters have flushed", e.Node, e.Offset, durable, len(w.voters))
}

func (w *watcher) sawSnapshot(e *witness.Event, a *account) {
	image, known := w.images[e.Offset-1]
	w.check(snapshotFold, !known || image == e.Hash, "the snapshot of %d at %d has %x, the image was %x", e.Node, e.Offset, e.Hash, image)
	w.check(snapshotFold, int64(e.Offset) <= int64(len(w.committed)), "%d has a snapshot of %d, committed is %d", e.Node, e.Offset, len(w.committed))
}
