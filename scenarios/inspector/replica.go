package inspector

import (
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/checkers/laws"
	"github.com/ktrial/ktrial/ledger"
)

// readReplica: a replica of p tells. Of a topic that is deleted nothing is promised.
func (in *Inspector) readReplica(p *Partition, id kafka.NodeID, event ledger.Event) {
	if p.deleted {
		switch event.(type) {
		case *witness.Stopped, *witness.Deleted:
			in.learned(p, id)
		}
		return
	}
	l, node := p.Laws, laws.Node(id)
	if p.deleted {
		in.afterTheEnd(p, id, event)
		return
	}
	switch e := event.(type) {
	case *witness.Opened:
		in.opened(p, id, e)
	case *witness.Appending:
		l.Appending(node, e.AcksAll)
	case *witness.Truncating:
		l.Truncating(node, int64(e.To))
	case *witness.Appended:
		l.Appended(node, int64(e.From), int64(e.End), laws.Epoch(e.Epoch), e.Digest)
		in.appended(p, node, &e.Batch)
	case *witness.Truncated:
		l.Truncated(node, int64(e.To), int64(e.HW))
	case *witness.Restarted:
		l.Restarted(node, int64(e.At))
	case *witness.EpochsCached:
		in.epochs, in.starts = in.epochs[:0], in.starts[:0]
		for i := range e.Epochs {
			in.epochs, in.starts = append(in.epochs, laws.Epoch(e.Epochs[i])), append(in.starts, int64(e.Starts[i]))
		}
		l.EpochCache(node, in.epochs, in.starts)
	case *witness.LogStartMoved:
		l.LogStartMoved(node, int64(e.Start))
	case *witness.HighWatermarkMoved:
		l.HighWatermark(node, int64(e.To), laws.Epoch(e.Epoch))
	case *witness.LastStableOffsetMoved:
		l.StableOffset(node, int64(e.To), int64(e.Start), laws.Epoch(e.Epoch))
	case *witness.BecameLeader:
		in.learned(p, id)
		l.BecameLeader(node, laws.Epoch(e.Epoch), int64(e.End), int64(e.HW), in.list(0, e.ISR))
	case *witness.BecameFollower:
		in.learned(p, id)
		l.BecameFollower(node, laws.Epoch(e.Epoch), laws.Node(e.Leader), int64(e.End))
	case *witness.MaximalISR:
		l.MaximalISR(node, in.list(0, e.Nodes))
	case *witness.ShrinkProposed:
		l.ShrinkProposed(node, in.list(0, e.Late))
	case *witness.LagsChecked:
		l.LagsChecked(node, laws.Epoch(e.Epoch), in.list(0, e.Kept))
	case *witness.ExpandProposed:
		l.Proposed(node, laws.Node(e.Joins), int64(in.committed))
	case *witness.FollowerFetched:
		l.FollowerFetched(node, laws.Node(e.Follower), int64(e.From), laws.Epoch(e.Epoch))
	case *witness.ProduceAcked:
		l.Acked(node, int64(e.From), int64(e.End))
	case *witness.EndServed:
		l.EndServed(node, int64(e.End))
	case *witness.ReadServed:
		l.Read(node, int64(e.From), int64(e.End), laws.Epoch(e.Epoch), e.Digest)
		if e.Committed {
			l.ReadCommitted(node, int64(e.End))
		}
	case *witness.Stopped:
		in.learned(p, id)
		l.Closed(node)
	case *witness.Deleted:
		in.learned(p, id)
		l.Wiped(node)
	}
}

// afterTheEnd: the topic is deleted, and nothing is asked of what its replicas still do. A
// leader that was replaced hears of that all the same.
func (in *Inspector) afterTheEnd(p *Partition, id kafka.NodeID, event ledger.Event) {
	switch event.(type) {
	case *witness.BecameLeader, *witness.BecameFollower, *witness.Stopped, *witness.Deleted:
		in.learned(p, id)
	}
}

// appended: a batch of a producer, or a marker of one of its transactions.
func (in *Inspector) appended(p *Partition, node laws.Node, b *witness.Batch) {
	l := p.Laws
	producer, epoch := int64(b.ProducerID), int16(b.ProducerEpoch)
	switch {
	case b.Idempotent():
		l.Produced(node, int64(b.End), laws.Batch{Producer: producer, Epoch: epoch, First: int32(b.FirstSequence), Last: int32(b.LastSequence)})
		if b.Transactional {
			l.InTransaction(node, int64(b.From), producer, epoch)
		}
	case b.ProducerID > kafka.NoProducer:
		l.Marked(node, int64(b.End), producer, epoch)
		in.txns.Appended(p.Partition.String(), producer, epoch)
	}
}

// cleaned: the cleaner of a host has replaced segments.
func (in *Inspector) cleaned(host string, e *witness.SegmentsReplaced) {
	for _, p := range in.partitions {
		if p.Partition != e.Partition || p.deleted {
			continue
		}
		for _, id := range p.Replicas {
			if in.cfg.Name != nil && in.cfg.Name(id) == host {
				p.Laws.Cleaned(laws.Node(id), int64(e.To))
			}
		}
		p.Laws.Compacted(int64(e.To))
	}
}

// strayKept: a host has put a log aside that it finds and is no replica of any longer. If it
// becomes one again, it begins anew.
func (in *Inspector) strayKept(host string, e *witness.StrayKept) {
	for id := range in.nodes { //det:allow one has the name
		if in.cfg.Name == nil || in.cfg.Name(id) != host {
			continue
		}
		for _, p := range in.partitions {
			if p.Partition == e.Partition && !p.deleted && !slices.Contains(p.Replicas, id) {
				p.Laws.Wiped(laws.Node(id))
				in.settle(p)
			}
		}
	}
}

// opened: what a process finds that was only killed is all that its predecessor
// wrote. After a loss of power it is at least what was synced.
func (in *Inspector) opened(p *Partition, id kafka.NodeID, e *witness.Opened) {
	node := laws.Node(id)
	at := slices.Index(p.lost, id)
	switch {
	case in.of(id).damaged:
		p.Laws.Damaged(node)
	case at < 0:
		p.Laws.Kept(node)
	}
	in.of(id).clean = e.Clean
	if e.Clean && !in.of(id).damaged {
		p.Laws.Clean(node)
	}
	if at >= 0 {
		p.lost = slices.Delete(p.lost, at, at+1)
	}
	p.Laws.Recovered(node, int64(e.Start), int64(e.End), int64(e.HW))
}

// readController: a controller tells, or a broker of the metadata.
func (in *Inspector) readController(event ledger.Event) (known bool) {
	switch e := event.(type) {
	case *witness.PartitionCommitted:
		in.partitionCommitted(e)
	case *witness.BrokerCommitted:
		in.brokerCommitted(e)
	case *witness.Applied:
		if e.Offset >= 0 {
			in.brokers.Applied(laws.Node(e.Node), int64(e.Offset))
			in.Quorum.Applied(laws.Node(e.Node), int64(e.Offset), e.Hash)
		}
	case *witness.BrokerUnfenced:
		in.brokers.Going(laws.Node(e.Broker), false)
		in.Quorum.Unfenced(laws.Node(e.Broker), int64(e.BrokerEpoch))
	case *witness.LifecycleChanged:
		in.Quorum.Lives(laws.Node(e.Node), e.State)
	case *witness.BrokerRegistering: // as one that is fenced
		in.brokers.Going(laws.Node(e.Broker), true)
	case *witness.BrokerLeaving:
		in.brokers.Going(laws.Node(e.Broker), true)
	case *witness.ShutdownGranted:
		in.Quorum.ShutdownGranted(laws.Node(e.Broker))
	case *witness.BrokerFenced:
		in.brokers.Going(laws.Node(e.Broker), true)
	case *witness.SessionExpired:
		in.Quorum.SessionExpired(laws.Node(e.Broker), e.Silent, e.Timeout)
	case *witness.TopicDeleted:
		in.txns.TopicDeleted(e.Topic)
		for _, p := range in.partitions {
			p.deleted = p.deleted || p.Topic == e.ID
		}
	case *witness.ControllerAnswered:
		in.Quorum.Answered(laws.Node(e.Node), int64(e.Offset))
	case *witness.ControllerActive:
		in.Quorum.ControllerActive(laws.Node(e.Node), laws.Epoch(e.Epoch))
	default:
		return false
	}
	return true
}

// isNews reports whether the record at an offset of the metadata log is told for
// the first time.
func (in *Inspector) isNews(at kafka.Offset) bool {
	if at < in.committed {
		return false
	}
	in.committed = at + 1
	return true
}

func (in *Inspector) partitionCommitted(e *witness.PartitionCommitted) {
	p := in.partition(e.PartitionID)
	if p == nil || !in.isNews(e.At) {
		return
	}
	was := p.Laws.TrueHighWatermark()
	unclean := p.known && e.Leader != kafka.NoNode && e.Leader != p.leader && !slices.Contains(p.members, e.Leader)
	in.replaced(p, e.Leader)
	p.known, p.leader = true, e.Leader
	p.Replicas = append(p.Replicas[:0], e.Replicas...)
	p.members = append(append(p.members[:0], e.ISR...), e.ELR...)
	p.Laws.ControllerState(laws.PartitionState{
		At:     int64(e.At),
		Leader: laws.Node(e.Leader), LeaderEpoch: laws.Epoch(e.LeaderEpoch), PartitionEpoch: int32(e.PartitionEpoch),
		Replicas: in.list(0, e.Replicas), ISR: in.list(1, e.ISR), ELR: in.list(2, e.ELR), Unclean: unclean,
	})
	if unclean {
		in.uncleanElection(p, laws.Node(e.Leader), was)
	}
	in.settle(p)
}

// uncleanElection: a replica leads that was neither in the ISR nor in the ELR.
// Kafka elects so unasked the last leader known, when all that might lead came
// back from unclean shutdowns (KIP-966).
func (in *Inspector) uncleanElection(p *Partition, leader laws.Node, was int64) {
	if in.cfg.Unclean != nil {
		in.cfg.Unclean(p)
	}
	if now := p.Laws.TrueHighWatermark(); now < was {
		p.Laws.Fail(laws.LeaderComplete, leader, "%v was elected from outside of ISR and ELR and has %d of %d records that were shown as committed", leader, now, was)
	}
}

// brokerCommitted: an incarnation that registers again keeps its epoch. What a
// fenced broker was a member of has been changed just before.
func (in *Inspector) brokerCommitted(e *witness.BrokerCommitted) {
	if !in.isNews(e.At) {
		return
	}
	n := in.of(e.Broker)
	if e.Incarnation != n.incarnation || e.BrokerEpoch != n.epoch {
		n.incarnation, n.epoch = e.Incarnation, e.BrokerEpoch
		in.Quorum.BrokerRegistered(laws.Node(e.Broker), int64(e.BrokerEpoch))
		n.unfenced = false
	}
	in.brokers.Changed(int64(e.At), laws.Node(e.Broker), int64(e.BrokerEpoch), e.Fenced, e.Leaving)
	was := n.unfenced
	n.unfenced = !e.Fenced
	switch {
	case was && e.Fenced:
		in.each(func(l *laws.Replication) { l.Fenced(laws.Node(e.Broker)) })
	case !was && n.unfenced:
		in.each(func(l *laws.Replication) { l.Unfenced(laws.Node(e.Broker), int64(e.BrokerEpoch), n.clean) })
	}
}

// each does something to the laws of every partition that there is.
func (in *Inspector) each(do func(*laws.Replication)) {
	for _, p := range in.partitions {
		if !p.deleted {
			do(p.Laws)
			in.settle(p)
		}
	}
}

// replaced: another node leads p now. The one before does not know it yet, if
// it is up.
func (in *Inspector) replaced(p *Partition, by kafka.NodeID) {
	if !p.known || p.leader == by || p.leader == kafka.NoNode || !in.of(p.leader).up || slices.Contains(p.unaware, p.leader) {
		return
	}
	if p.unaware = append(p.unaware, p.leader); len(p.unaware) == 1 && in.cfg.Replaced != nil {
		in.cfg.Replaced(p, true)
	}
}

// learned: a node knows that it leads p no longer, or is gone.
func (in *Inspector) learned(p *Partition, id kafka.NodeID) {
	i := slices.Index(p.unaware, id)
	if i < 0 {
		return
	}
	if p.unaware = slices.Delete(p.unaware, i, i+1); len(p.unaware) == 0 && in.cfg.Replaced != nil {
		in.cfg.Replaced(p, false)
	}
}
