package trial

import (
	"fmt"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/checkers/laws"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios/cluster"
	"github.com/ktrial/ktrial/sim"
)

// watch looks inside while a run is played: it translates what nodes tell of
// themselves into the words of the laws, which keep their own account of
// each partition and of the metadata log. The first law that breaks ends the
// run on the spot, so that its report begins where the trouble did.
type watch struct {
	r          *run
	partitions []*watched // by name
	byName     map[kafka.TopicPartition]*watched
	last       *watched // that was asked for
	quorum     *laws.Quorum

	// committed is the offset of the metadata log below which all was told:
	// every controller tells of every record.
	committed kafka.Offset
	machines  map[kafka.NodeID]*machine
	nodes     [3][]laws.Node // scratch
	broken    bool           // a law; ofQuorum: one of the quorum's
	ofQuorum  bool
	allowed   []reports.Allowed
	happened  map[string]int
}

// watched is a partition and what it lost by permission.
type watched struct {
	tp      kafka.TopicPartition
	ghost   *laws.Replication
	minISR  int
	unclean bool // unclean elections are configured
	// What the controllers committed last.
	known            bool
	leader           kafka.NodeID
	replicas, member []kafka.NodeID // member: of ISR or ELR
	// lost: machines that lost power since they last opened their log. A process
	// may come and go several times before it does.
	lost map[kafka.NodeID]bool
	// stale are the brokers that were replaced as leaders and have not heard of
	// it: they serve on as if nothing had happened.
	stale []kafka.NodeID
	// excuse: more was destroyed than its configuration promises to survive, by
	// this; empty: not so.
	excuse string
	resync bool
}

// machine is a server's hardware, and whether a process of it is up.
type machine struct {
	s  *cluster.Server
	up bool
	// damaged: its disk lied or rots, so what was synced may be gone.
	damaged bool
	// incarnation was registered last, with this broker epoch.
	incarnation kafka.UUID
	epoch       int64
}

// newWatch watches the partitions of the scenario's topics and the quorum.
func newWatch(r *run) *watch {
	w := &watch{
		r: r, byName: map[kafka.TopicPartition]*watched{}, machines: map[kafka.NodeID]*machine{},
		happened: map[string]int{},
	}
	for _, t := range r.s.Topics {
		minISR, unclean := r.config.promises(t)
		for p := range t.Partitions {
			x := &watched{lost: map[kafka.NodeID]bool{}, tp: kafka.TopicPartition{Topic: t.Name, Partition: p}, minISR: min(minISR, int(t.Replicas)), unclean: unclean}
			x.ghost = laws.NewReplication(laws.ReplicationConfig{Name: x.tp.String(), MinISR: x.minISR, HWNeedsMinISR: true})
			x.ghost.Report = func(f laws.Failure) { w.failed(x, f) }
			w.partitions = append(w.partitions, x)
			w.byName[x.tp] = x
		}
	}
	w.meet(r.c)
	r.w.Ledger().Read(w.read)
	return w
}

// read follows what the nemesis does.
func (w *watch) read(e *ledger.Entry) {
	switch f := e.Event.(type) {
	case *faults.Struck:
		w.strikes(f.Fault)
		w.note(f.Text)
	case *faults.Healed:
		w.note(f.Sentence())
	}
}

// meet is told of the servers.
func (w *watch) meet(c *cluster.Cluster) {
	var voters []laws.Node
	for _, s := range c.Servers {
		s.Config.Witness = w.tell
		w.machines[s.ID()] = &machine{s: s}
		if slices.Contains(c.Controllers(), s.Name()) {
			voters = append(voters, laws.Node(s.ID()))
		}
	}
	w.quorum = laws.NewQuorum("metadata", voters)
	w.quorum.Report = func(f laws.Failure) { w.failed(nil, f) }
	c.Committed = func() kafka.Offset { return w.committed }
	c.OnStart = func(*cluster.Server) { w.reap() }
	w.r.w.OnPowerOff(func(h *sim.Host) {
		if s := c.Server(h.Name()); s != nil {
			w.darkens(w.machines[s.ID()])
		}
	})
}

// tell is told what a node does. It runs inside the node's step and allocates
// nothing but what the ghosts grow by.
func (w *watch) tell(e *witness.Event) {
	if w.broken {
		return
	}
	if e.Partition == kafka.MetadataPartition || e.Kind >= witness.QuorumVoted && e.Kind != witness.PartitionCommitted {
		w.tellQuorum(e)
		return
	}
	x := w.about(e)
	if x == nil {
		return
	}
	w.tellReplica(x, e)
	if x.resync {
		x.resync = false
		x.ghost.LostTooMuch()
	}
}

// about is the partition that e is of, or nil if it is not watched.
func (w *watch) about(e *witness.Event) *watched {
	if e.Memo == nil {
		return w.partition(e.Partition)
	}
	x, known := (*e.Memo).(*watched)
	if !known {
		x = w.partition(e.Partition)
		*e.Memo = x
	}
	return x
}

func (w *watch) partition(tp kafka.TopicPartition) *watched {
	if w.last == nil || w.last.tp != tp {
		w.last = w.byName[tp]
	}
	return w.last
}

func (w *watch) tellReplica(x *watched, e *witness.Event) {
	g, node, epoch := x.ghost, laws.Node(e.Node), laws.Epoch(e.Epoch)
	switch e.Kind {
	case witness.Opened:
		w.opened(x, e)
	case witness.Appending:
		g.Appending(node)
	case witness.Truncating:
		g.Truncating(node, int64(e.Offset))
	case witness.Appended:
		g.Appended(node, int64(e.Offset), int64(e.End), epoch, digest(e.Batch))
		produced(g, node, e.Batch)
	case witness.Truncated:
		g.Truncated(node, int64(e.Offset))
	case witness.Restarted:
		g.Restarted(node, int64(e.Offset))
	case witness.LogStartMoved:
		g.LogStartMoved(node, int64(e.Offset))
	case witness.HighWatermarkMoved:
		g.HighWatermark(node, int64(e.Offset), epoch)
	case witness.BecameLeader:
		w.hears(x, e.Node)
		g.BecameLeader(node, epoch, int64(e.Offset), w.list(0, e.Nodes))
	case witness.BecameFollower:
		w.hears(x, e.Node)
		g.BecameFollower(node, epoch, laws.Node(e.Peer), int64(e.Offset))
	case witness.MaximalISR:
		g.MaximalISR(node, w.list(0, e.Nodes))
	case witness.FollowerFetched:
		g.FollowerFetched(node, laws.Node(e.Peer), int64(e.Offset), epoch)
	case witness.ProduceAcked:
		g.Acked(node, int64(e.Offset), int64(e.End))
	case witness.EndServed:
		g.EndServed(node, int64(e.Offset))
	case witness.ReadServed:
		g.Read(node, int64(e.Offset), int64(e.End), epoch, digest(e.Batch))
	case witness.Stopped:
		w.hears(x, e.Node)
		if e.End == 1 {
			g.Wiped(node)
		} else {
			g.Stopped(node)
		}
	case witness.PartitionCommitted:
		w.committedPartition(x, e)
	}
}

// produced tells the ghost whose batch was appended, if a producer counts them.
func produced(g *laws.Replication, node laws.Node, b record.Batch) {
	if b.HasProducer() && !b.IsControl() {
		g.Produced(node, int64(b.NextOffset()), laws.Batch{
			Producer: int64(b.ProducerID()), Epoch: int16(b.ProducerEpoch()), First: int32(b.BaseSequence()), Last: int32(b.LastSequence()),
		})
	}
}

// opened: what a process finds that was only killed is all that its
// predecessor wrote. After a loss of power it is at least what was synced.
func (w *watch) opened(x *watched, e *witness.Event) {
	m := w.machines[e.Node]
	m.up = true
	node := laws.Node(e.Node)
	switch {
	case m.damaged:
		x.ghost.Damaged(node)
	case !x.lost[e.Node]:
		x.ghost.Kept(node)
	}
	delete(x.lost, e.Node)
	x.ghost.Recovered(node, int64(e.Offset), int64(e.End), int64(e.HW))
}

// committedPartition: every controller tells, the first counts.
func (w *watch) committedPartition(x *watched, e *witness.Event) {
	if e.Offset < w.committed {
		return
	}
	w.committed = e.Offset + 1
	w.reap()
	s := e.State
	was := x.ghost.TrueHighWatermark()
	unclean := x.known && s.Leader != kafka.NoNode && s.Leader != x.leader && !slices.Contains(x.member, s.Leader)
	w.replaced(x, s.Leader)
	x.known, x.leader = true, s.Leader
	x.replicas = append(x.replicas[:0], s.Replicas...)
	x.member = append(append(x.member[:0], s.ISR...), s.ELR...)
	x.ghost.ControllerState(laws.PartitionState{
		Leader: laws.Node(s.Leader), LeaderEpoch: laws.Epoch(s.LeaderEpoch), PartitionEpoch: int32(s.PartitionEpoch),
		Replicas: w.list(0, s.Replicas), ISR: w.list(1, s.ISR), ELR: w.list(2, s.ELR), Unclean: unclean,
	})
	if unclean {
		w.uncleanElection(x, laws.Node(s.Leader), was)
	}
}

// uncleanElection: somebody leads who was neither in the ISR nor in the ELR.
// Kafka does so unasked with the last leader known, when all who might lead
// came back from unclean shutdowns (KIP-966).
func (w *watch) uncleanElection(x *watched, leader laws.Node, was int64) {
	w.befell("unclean-election", x)
	if x.unclean && x.excuse == "" {
		x.excuse = "unclean.leader.election.enable=true, and a replica out of sync was elected"
	}
	if now := x.ghost.TrueHighWatermark(); now < was {
		w.failed(x, laws.Failure{
			Law: laws.LeaderComplete, Node: leader,
			Message: fmt.Sprintf("%v: node %d was elected from outside of ISR and ELR and has %d of %d records that were shown as committed", x.tp, leader, now, was),
		})
	}
}

func (w *watch) tellQuorum(e *witness.Event) {
	q, node, epoch := w.quorum, laws.Node(e.Node), laws.Epoch(e.Epoch)
	switch e.Kind {
	case witness.Opened:
		m := w.machines[e.Node]
		m.up = true
		q.Recovered(node, int64(e.End), epoch)
	case witness.QuorumVoted:
		q.Voted(node, epoch, laws.Node(e.Peer))
	case witness.QuorumPreVoted:
		q.PreVoted(node, epoch, laws.Node(e.Peer), laws.Node(e.End))
	case witness.QuorumLeader:
		q.BecameLeader(node, epoch, int64(e.Offset))
	case witness.QuorumFollower:
		q.BecameFollower(node, epoch, laws.Node(e.Peer))
	case witness.QuorumAppending:
		q.Appending(node)
	case witness.QuorumTruncating:
		q.Truncating(node, int64(e.Offset))
	case witness.QuorumAppended:
		q.Appended(node, int64(e.Offset), int64(e.End), epoch, digest(e.Batch))
	case witness.QuorumFlushed:
		q.Flushed(node, int64(e.Offset))
	case witness.QuorumTruncated:
		q.Truncated(node, int64(e.Offset))
	case witness.QuorumCommitted:
		q.Committed(node, int64(e.Offset))
	case witness.QuorumSnapshot:
		q.Snapshot(node, int64(e.Offset), epoch)
	case witness.ControllerActive:
		q.ControllerActive(node, epoch)
	case witness.ControllerResigned:
		q.ControllerResigned(node)
	case witness.Applied:
		if e.Offset >= 0 {
			q.Applied(node, int64(e.Offset), e.Hash)
		}
	case witness.BrokerCommitted:
		w.registered(e)
	}
}

// registered: an incarnation that registers again keeps its epoch.
func (w *watch) registered(e *witness.Event) {
	if e.Offset < w.committed {
		return
	}
	w.committed = e.Offset + 1
	m := w.machines[e.Peer]
	if e.Incarnation != m.incarnation || int64(e.End) != m.epoch {
		m.incarnation, m.epoch = e.Incarnation, int64(e.End)
		w.quorum.BrokerRegistered(laws.Node(e.Peer), int64(e.End))
	}
}

// list translates nodes into scratch memory.
func (w *watch) list(i int, ids []kafka.NodeID) []laws.Node {
	out := w.nodes[i][:0]
	for _, id := range ids {
		out = append(out, laws.Node(id))
	}
	w.nodes[i] = out
	return out
}

// digest tells batches apart, at the cost of two loads: the checksum covers
// what follows it, and offset and epoch are compared by themselves.
func digest(b record.Batch) uint64 {
	return uint64(b.CRC())<<32 ^ uint64(len(b))
}

// reap tells the ghosts which processes are gone: nobody tells of his own death.
func (w *watch) reap() {
	for _, s := range w.r.c.Servers {
		m := w.machines[s.ID()]
		if !m.up || s.Host.IsRunning() {
			continue
		}
		m.up = false
		for _, x := range w.partitions {
			w.hears(x, s.ID())
			x.ghost.Stopped(laws.Node(s.ID()))
		}
	}
}

// replaced: the leader of x was, if another leads now and it is still up.
func (w *watch) replaced(x *watched, by kafka.NodeID) {
	was := w.machines[x.leader]
	if !x.known || x.leader == by || was == nil || !was.up || slices.Contains(x.stale, x.leader) {
		return
	}
	if x.stale = append(x.stale, x.leader); len(x.stale) == 1 {
		w.befell("replaced-leader", x)
	}
}

// hears: the node knows that it leads x no longer, or is gone.
func (w *watch) hears(x *watched, node kafka.NodeID) {
	i := slices.Index(x.stale, node)
	if i < 0 {
		return
	}
	if x.stale = slices.Delete(x.stale, i, i+1); len(x.stale) == 0 {
		w.befell("replaced-leader-heard", x)
	}
}
