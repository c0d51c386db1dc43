package raft

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim/env"
)

// Node is one member of the quorum: a Core with tasks, connections and a disk.
//
// Kafka runs its raft in one thread, and waits in it for the disk. Here each
// task takes its turn: it enters, gives the core what happened, settles (makes
// durable, appends, flushes, delivers), and leaves. So no task ever sees the
// core ahead of the disk.
type Node struct {
	host     env.Host
	cfg      Config
	listener Listener
	dir      string
	self     *witness.Replica // in all of its events

	core *Core
	log  *log.Log

	// The turn.
	busy bool
	free env.Signal

	saved QuorumState // as it is on disk

	// Appends that wait for the driver, which writes and flushes them together.
	// epoch is that of the leadership that takes them, or NoEpoch.
	epoch    kafka.LeaderEpoch
	pending  []held
	next     kafka.Offset // of the next record appended
	drainAt  time.Duration
	resign   kafka.LeaderEpoch
	stopping bool

	// tail is the end of the log, in memory, as far as it is not delivered:
	// batches with consecutive offsets up to the end of the log.
	tail        []held
	delivered   kafka.Offset // all below was given to the listener
	namedLeader kafka.NodeID
	namedEpoch  kafka.LeaderEpoch

	// The driver sleeps until armed, unless it is woken.
	wake  env.Signal
	armed time.Duration
	// news is broadcast when there may be something for a waiting Fetch,
	// committed when there may be for WaitCommitted. Each remembers what it
	// last announced.
	news, committed         env.Signal
	newsEnd, newsHW         kafka.Offset
	newsRole, committedRole Role
	newsState               QuorumState
	committedHW             kafka.Offset

	peers []*peer // the other voters
	fetch fetcher

	snapshots snapshotter
}

func (n *Node) voterIDs() []kafka.NodeID {
	ids := make([]kafka.NodeID, len(n.cfg.Voters))
	for i, v := range n.cfg.Voters {
		ids[i] = v.ID
	}
	return ids
}

func (n *Node) isVoter() bool { return n.addr(n.cfg.ID) != "" }

// addr is where the voter id is, or "".
func (n *Node) addr(id kafka.NodeID) string {
	for _, v := range n.cfg.Voters {
		if v.ID == id {
			return v.Addr
		}
	}
	return ""
}

// enter waits for the turn. It blocks.
func (n *Node) enter() {
	for n.busy {
		n.free.Wait(env.Forever)
	}
	n.busy = true
}

// leave settles what was done in the turn and ends it. It blocks.
func (n *Node) leave() {
	n.settle()
	n.busy = false
	n.free.Notify()
}

// settle makes the world agree with the core, safety first: what must not be
// forgotten, then the log, then what others are answered.
func (n *Node) settle() {
	n.saveState()
	n.applyEffect()
	n.followRole()
	if err := n.core.Fault(); err != nil {
		n.host.Exit(err)
	}
	n.deliver()
	n.announceLeader()
	n.wakeOthers()
}

// saveState makes the quorum state durable. A vote that is forgotten is given
// twice: that is how an epoch gets two leaders (KIP-595).
func (n *Node) saveState() {
	state := n.core.State()
	if state == n.saved {
		return
	}
	votedNow := state.Voted != kafka.NoNode && (state.Voted != n.saved.Voted || state.Epoch != n.saved.Epoch)
	if votedNow && state.Voted != n.cfg.ID && n.cfg.Bugs.On(planted.RaftForgetVote) {
		n.cfg.Bugs.Infected(planted.RaftForgetVote, true)
	} else {
		n.must(writeQuorumState(n.host.Disk(), n.dir, state, n.voterIDs()))
	}
	n.saved = state
	if votedNow {
		n.host.Tell(&witness.QuorumVoted{Replica: n.self, Epoch: state.Epoch, Candidate: state.Voted})
	}
	if n.core.Role() != Leader {
		n.host.Tell(&witness.QuorumFollows{Replica: n.self, Epoch: state.Epoch, Leader: state.Leader})
	}
}

// applyEffect does to the log what a fetch demands.
func (n *Node) applyEffect() {
	e := n.core.TakeEffect()
	switch {
	case e.Truncate != kafka.NoOffset:
		epoch := n.core.State().Epoch
		n.host.Tell(&witness.QuorumTruncating{Replica: n.self, From: n.log.EndOffset(), To: e.Truncate, Epoch: epoch})
		n.must(n.log.TruncateTo(e.Truncate))
		n.dropTail(e.Truncate)
		n.host.Tell(&witness.QuorumTruncated{Replica: n.self, To: e.Truncate, Epoch: epoch})
	case e.Append != nil:
		n.host.Tell(&witness.QuorumAppending{Replica: n.self})
		n.must(n.log.AppendAsFollower(e.Append))
		n.tellBatches(e.Append)
		if n.isVoter() {
			n.flush()
		}
	}
	if end, want := n.log.EndOffset(), n.core.Log().End; end != want {
		panic(fmt.Sprintf("raft: node %d: the log ends at %d, the core has %d", n.cfg.ID, end, want))
	}
}

// followRole begins an epoch that this node was elected for, and ends one.
func (n *Node) followRole() {
	leads := n.core.Role() == Leader
	epoch := n.core.State().Epoch
	if n.epoch != kafka.NoEpoch && (!leads || epoch != n.epoch) {
		n.host.Tell(&witness.QuorumDeposed{Replica: n.self, Epoch: n.epoch})
		n.epoch, n.pending = kafka.NoEpoch, nil
	}
	if leads && n.epoch == kafka.NoEpoch {
		n.beginEpoch(epoch)
	}
}

// flush makes the log durable, and only then lets it count.
func (n *Node) flush() {
	n.must(n.syncLog())
	n.core.Flushed()
	n.tellFlushed()
}

// tellFlushed tells what the disk holds, which is not what the core was given
// when a bug is planted.
func (n *Node) tellFlushed() {
	n.host.Tell(&witness.QuorumFlushed{Replica: n.self, End: n.log.RecoveryPoint()})
}

func (n *Node) syncLog() error {
	if n.cfg.Bugs.On(planted.RaftNoFlush) {
		n.cfg.Bugs.Infected(planted.RaftNoFlush, n.log.RecoveryPoint() < n.log.EndOffset())
		return nil
	}
	return n.log.Flush()
}

// must ends the process when the disk fails it, as Kafka does: a member that
// cannot keep its promises must not make any.
func (n *Node) must(err error) {
	if err != nil {
		n.host.Exit(err)
	}
}

// wakeOthers wakes the tasks that have something to do now.
func (n *Node) wakeOthers() {
	now := n.host.Uptime()
	if n.deadline() < n.armed {
		n.wake.Notify()
	}
	for _, p := range n.peers {
		if p.idle && n.core.HasNext(now, p.id) {
			p.idle = false
			p.wake.Notify()
		}
	}
	n.redirectFetch()
	role, end, hw := n.core.Role(), n.core.Log().Flushed, n.core.HighWatermark()
	if state := n.core.State(); role != n.newsRole || state != n.newsState {
		n.newsState = state
		n.hurryPeers(now)
	}
	if role != n.newsRole || end != n.newsEnd || hw != n.newsHW {
		n.newsRole, n.newsEnd, n.newsHW = role, end, hw
		n.news.Broadcast()
	}
}

// deadline is when the driver has something to do: its own, or to wake the
// tasks that have a request to send. A task with a request in flight is woken
// by its answer.
func (n *Node) deadline() time.Duration {
	deadline := n.core.Deadline()
	for _, p := range n.peers {
		if p.idle {
			deadline = min(deadline, n.core.BeginDue(p.id))
		}
	}
	if len(n.pending) > 0 {
		deadline = min(deadline, n.drainAt)
	}
	return deadline
}

// drive is the task that time moves: elections, resignations, appends.
func (n *Node) drive() {
	n.loadLatest()
	n.leave()
	for {
		n.enter()
		now := n.host.Uptime()
		switch {
		case n.stopping:
			n.core.Leave(now)
		case n.resign == n.core.State().Epoch:
			n.core.Resign(now)
		}
		if now >= n.core.Deadline() {
			n.core.Tick(now)
		}
		if n.core.Role() == Leader {
			n.saveState() // a voter that is alone has just elected itself, maybe
		}
		n.followRole()
		n.drain(now)
		n.leave()
		n.sleep()
	}
}

// sleep waits until there is something to do.
func (n *Node) sleep() {
	n.armed = n.deadline()
	now := n.host.Uptime()
	switch {
	case n.armed == never:
		n.wake.Wait(env.Forever)
	case n.armed > now:
		n.wake.Wait(n.armed - now)
	}
	n.armed = 0
}

// HighWatermark is the offset below which all is known to be committed.
func (n *Node) HighWatermark() kafka.Offset { return n.core.HighWatermark() }

// HighWatermarkKnown reports whether this member has caught up with a leader
// since it started. Until then HighWatermark may be that of an old snapshot.
func (n *Node) HighWatermarkKnown() bool { return n.core.HighWatermarkKnown() }

// EndOffset is where this member's log ends.
func (n *Node) EndOffset() kafka.Offset { return n.log.EndOffset() }

// Leader is the quorum's leader as far as this node knows, or kafka.NoNode.
func (n *Node) Leader() (kafka.NodeID, kafka.LeaderEpoch) { return n.core.Leader() }

// LeaderAddr is where the controller listener of the leader is, or "".
func (n *Node) LeaderAddr() string {
	leader, _ := n.core.Leader()
	return n.addr(leader)
}

// Role is what this member is at the moment.
func (n *Node) Role() Role { return n.core.Role() }

// IsLeader reports whether this node leads the quorum in epoch.
func (n *Node) IsLeader(epoch kafka.LeaderEpoch) bool {
	return n.epoch == epoch && epoch != kafka.NoEpoch
}

// Resign gives the leadership in epoch up. It does not block.
func (n *Node) Resign(epoch kafka.LeaderEpoch) {
	n.resign = epoch
	n.wake.Notify()
}

// Shutdown leaves the quorum in order: a leader resigns, and stays until
// another leads or timeout has passed. It does not wait for what cannot be: of
// the others a majority must be there to elect one. It blocks.
func (n *Node) Shutdown(timeout time.Duration) {
	until := n.host.Uptime() + timeout
	n.stopping = true
	n.wake.Notify()
	for n.isVoter() && !n.replaced() && n.majorityWithoutUs() {
		left := until - n.host.Uptime()
		if left <= 0 {
			break
		}
		n.committed.Wait(left)
	}
	n.enter()
	n.fetch.close()
	for _, p := range n.peers {
		p.close()
	}
	n.must(n.log.Close())
	// The turn is never given back: a task that waits for it waits for a node
	// that is gone.
}

// replaced reports whether another member leads.
func (n *Node) replaced() bool {
	leader, _ := n.core.Leader()
	return leader != kafka.NoNode && leader != n.cfg.ID
}

// majorityWithoutUs reports whether the other voters could elect a leader,
// as far as their answers to this node say.
func (n *Node) majorityWithoutUs() bool {
	there := 0
	for _, p := range n.peers {
		if !p.silent {
			there++
		}
	}
	return there >= n.core.majority()
}

// WaitCommitted blocks until the record at offset, appended in epoch, is
// committed, or cannot become so here any more (NOT_CONTROLLER: its fate is
// then unknown), or timeout has passed (REQUEST_TIMED_OUT).
func (n *Node) WaitCommitted(offset kafka.Offset, epoch kafka.LeaderEpoch, timeout time.Duration) error {
	until := n.host.Uptime() + timeout
	for {
		if n.epoch != epoch {
			return kerr.NotController
		}
		if n.core.HighWatermark() > offset {
			return nil
		}
		left := until - n.host.Uptime()
		if timeout >= 0 && left <= 0 {
			return kerr.RequestTimedOut
		}
		if timeout < 0 {
			left = env.Forever
		}
		n.committed.Wait(left)
	}
}
