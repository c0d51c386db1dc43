package replica

import (
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
)

// Partition is one replica: a log and the role it plays.
type Partition struct {
	m     *Manager
	tp    kafka.TopicPartition
	topic kafka.UUID
	cfg   log.Config
	log   *log.Log
	// stopped: this broker no longer has the replica.
	stopped bool

	role     Role
	leader   kafka.NodeID
	epoch    kafka.LeaderEpoch
	registry kafka.PartitionEpoch // of the registration that all this comes from
	replicas []kafka.NodeID

	// end is the log end offset as others may know it: an append that is not
	// over, because the disk is slow, is not there yet.
	// Invariant: end <= end of log.
	end kafka.Offset
	// hw is the high watermark: all below is committed. It never falls, but for
	// a truncation of this log.
	// Invariant: hw <= end.
	hw kafka.Offset
	// stableTold is the last stable offset that the ledger knows; NoOffset: it was hw so far.
	stableTold kafka.Offset
	// checkpointed is what the checkpoint on disk says of hw.
	checkpointed kafka.Offset

	// gate is between uses of the role and changes of it, turn between appends.
	gate, turn gate
	// Requests that wait for the log to grow, for the high watermark or the
	// role to change, for log start offsets to rise.
	grown, moved, trimmed watchers
	onHW                  func(kafka.Offset) // is told when hw moves; may be nil

	// Of a leader only.
	followers  []follower   // in the order of their ids
	epochStart kafka.Offset // where the log ended when the epoch began
	isr        isrState
	marks      []mark // scratch

	// Of a follower only: its index in a fetcher.
	fetching *fetching

	self *witness.Replica // in all of its events
}

// follower is another replica as the leader sees it.
type follower struct {
	id kafka.NodeID
	progress
}

func newPartition(m *Manager, tp kafka.TopicPartition, topic kafka.UUID, l *log.Log) *Partition {
	p := &Partition{m: m, tp: tp, topic: topic, log: l, leader: kafka.NoNode, epoch: kafka.NoEpoch, registry: kafka.NoEpoch, stableTold: kafka.NoOffset}
	p.self = &witness.Replica{Node: m.cfg.NodeID, Partition: tp, Topic: topic}
	p.gate.host, p.turn.host = m.host, m.host
	p.end = l.EndOffset()
	p.checkpointed = m.dir.HighWatermark(tp)
	p.hw = min(max(p.checkpointed, l.StartOffset()), p.end)
	_, clean := m.dir.CleanShutdown()
	m.host.Tell(&witness.Opened{Replica: p.self, Start: l.StartOffset(), End: p.end, HW: p.hw, Clean: clean})
	p.tellEpochs()
	return p
}

// Name is the partition's name.
func (p *Partition) Name() kafka.TopicPartition { return p.tp }

// TopicID is the id of its topic.
func (p *Partition) TopicID() kafka.UUID { return p.topic }

// LogEnd is the log end offset.
func (p *Partition) LogEnd() kafka.Offset { return p.end }

// Log is the replica's log.
func (p *Partition) Log() *log.Log { return p.log }

// LeaderAndEpoch is the leader that this replica knows, and its epoch.
func (p *Partition) LeaderAndEpoch() (kafka.NodeID, kafka.LeaderEpoch) { return p.leader, p.epoch }

// IsLeader reports whether this replica leads.
func (p *Partition) IsLeader() bool { return p.role == Leader }

// HighWatermark is the end of what is committed, as far as this replica knows.
func (p *Partition) HighWatermark() kafka.Offset { return p.hw }

// checkEpoch refuses a request that was made for another leader epoch: older,
// or newer than what this broker has heard of. NoEpoch: the client cannot say.
func (p *Partition) checkEpoch(epoch kafka.LeaderEpoch) error {
	var refusal error = kerr.UnknownLeaderEpoch
	switch {
	case epoch == kafka.NoEpoch || epoch == p.epoch:
		return nil
	case epoch < p.epoch:
		refusal = kerr.FencedLeaderEpoch
	}
	p.m.host.Tell(&witness.EpochRefused{Replica: p.self, Asked: epoch, Epoch: p.epoch, Error: witness.ErrorOf(refusal)})
	return refusal
}

// checkReadable refuses a consumer's fetch that this replica cannot serve. From
// version 11 on any replica serves up to its high watermark (KIP-392).
func (p *Partition) checkReadable(epoch kafka.LeaderEpoch, onlyLeader bool) error {
	if p.m.bugs.On(planted.FetchNoCurrentEpoch) {
		p.m.bugs.Infected(planted.FetchNoCurrentEpoch, epoch != kafka.NoEpoch && epoch != p.epoch)
		epoch = kafka.NoEpoch
	}
	if onlyLeader || p.stopped {
		return p.checkLeader(epoch)
	}
	return p.checkEpoch(epoch)
}

// checkLeader refuses what only the leader may answer.
func (p *Partition) checkLeader(epoch kafka.LeaderEpoch) error {
	if p.stopped {
		return kerr.NotLeaderForPartition
	}
	if err := p.checkEpoch(epoch); err != nil {
		return err
	}
	if p.role != Leader {
		return kerr.NotLeaderForPartition
	}
	return nil
}

// adopt takes over what a registration says of the partition, except roles. It
// reports false if the registration is older than what is known already: the
// answer to an AlterPartition may overtake the metadata log.
func (p *Partition) adopt(reg *metadata.Partition) bool {
	if reg.PartitionEpoch < p.registry {
		return false
	}
	p.registry = reg.PartitionEpoch
	p.leader, p.replicas = reg.Leader, reg.Replicas
	return true
}

// becomeLeader makes the replica the leader in the registration's epoch, or
// takes over another assignment or ISR within that epoch. It blocks.
func (p *Partition) becomeLeader(reg *metadata.Partition) {
	p.gate.lock()
	defer p.gate.unlock()
	known := p.registry
	if p.stopped || !p.adopt(reg) {
		return
	}
	if p.role == Leader && p.epoch == reg.LeaderEpoch {
		// What the answer to our own AlterPartition said already must not undo a
		// proposal that was made since: the next ISR may be in force already.
		if reg.PartitionEpoch > known {
			p.assign(false)
			p.commitISR(reg.ISR)
		}
	} else {
		p.lead(reg)
	}
	p.advance()
	p.checkAll()
}

// lead begins an epoch of leadership.
func (p *Partition) lead(reg *metadata.Partition) {
	p.stopFetching()
	p.role, p.epoch = Leader, reg.LeaderEpoch
	p.epochStart = p.end
	p.isr.commit(reg.ISR)
	p.assign(true)
	// The epoch must be in the cache before any follower asks, even if this
	// leader never appends: a follower with records of an epoch in between
	// could not be answered where to cut (KIP-101).
	p.m.mustWork(p, p.log.AssignEpochStart(p.epoch, p.epochStart))
	p.m.host.Tell(&witness.BecameLeader{Replica: p.self, Epoch: p.epoch, End: p.epochStart, HW: p.hw, ISR: reg.ISR})
	p.tellEpochs()
	p.tellMaximalISR()
	p.m.roleChanged(p.tp, p.epoch, true)
}

// assign makes followers of the other replicas. In a new epoch nothing of
// what they fetched before counts: the log may have been cut since.
func (p *Partition) assign(newEpoch bool) {
	now := p.m.host.Uptime()
	old := p.followers
	p.followers = make([]follower, 0, len(p.replicas))
	for _, id := range p.replicas {
		if id == p.m.cfg.NodeID {
			continue
		}
		f := follower{id, newProgress(p.isr.has(id), now)}
		if before := find(old, id); before != nil && !newEpoch {
			f = *before
		}
		p.followers = append(p.followers, f)
	}
	slices.SortFunc(p.followers, func(a, b follower) int { return int(a.id - b.id) })
}

func find(followers []follower, id kafka.NodeID) *follower {
	for i := range followers {
		if followers[i].id == id {
			return &followers[i]
		}
	}
	return nil
}

// becomeFollower makes the replica follow the registration's leader, or none.
// It blocks.
func (p *Partition) becomeFollower(reg *metadata.Partition) {
	p.gate.lock()
	defer p.gate.unlock()
	if p.stopped || !p.adopt(reg) {
		return
	}
	led := p.role == Leader
	newEpoch := reg.LeaderEpoch > p.epoch
	p.role, p.epoch = Follower, reg.LeaderEpoch
	if reg.Leader == kafka.NoNode {
		p.role = Idle
	}
	p.isr.commit(nil)
	p.followers = nil
	if newEpoch {
		p.stopFetching()
		p.m.host.Tell(&witness.BecameFollower{Replica: p.self, Epoch: p.epoch, Leader: p.leader, End: p.end, HW: p.hw})
		p.mayTruncateToHW()
	}
	if led {
		p.m.roleChanged(p.tp, p.epoch, false)
	}
	p.checkAll()
}

// stop takes the replica out of service. It blocks.
func (p *Partition) stop(deleted bool) {
	p.gate.lock()
	defer p.gate.unlock()
	if p.stopped {
		return
	}
	led := p.role == Leader
	p.stopFetching()
	p.stopped, p.role, p.leader = true, Idle, kafka.NoNode
	p.isr.commit(nil)
	p.followers = nil
	if !deleted {
		p.m.host.Tell(&witness.Stopped{Replica: p.self, Epoch: p.epoch})
	}
	if led {
		p.m.roleChanged(p.tp, p.epoch, false)
	}
	p.checkAll()
}

func (p *Partition) checkAll() {
	p.grown.check()
	p.moved.check()
	p.trimmed.check()
}

// setHW moves the high watermark and wakes the requests that waited for it.
func (p *Partition) setHW(hw kafka.Offset) {
	if hw > p.end {
		panic(fmt.Sprintf("broker %d: high watermark %d passed log end offset %d on %v", p.m.cfg.NodeID, hw, p.end, p.tp))
	}
	p.hw = hw
	p.m.host.Tell(p.m.told.hwMoved.Put(witness.HighWatermarkMoved{Replica: p.self, To: hw, Epoch: p.epoch}))
	p.tellStable()
	p.moved.check()
	if p.onHW != nil {
		p.onHW(hw)
	}
}

// tellStable tells of the last stable offset, of a log that has had transactions: of others it
// is the high watermark.
func (p *Partition) tellStable() {
	stable := p.lastStable()
	if stable == p.stableTold || stable == p.hw && p.stableTold == kafka.NoOffset {
		return
	}
	p.stableTold = stable
	p.m.host.Tell(&witness.LastStableOffsetMoved{Replica: p.self, To: stable, Epoch: p.epoch, HW: p.hw, Start: p.log.StartOffset()})
}

// lastStable is the last stable offset (KIP-98).
func (p *Partition) lastStable() kafka.Offset { return p.log.LastStableOffset(p.hw) }

// betweenReads is how long the planted bug takes from one reading to the next.
const betweenReads = time.Millisecond

// stableOfTwoReads is what the planted bug takes for the last stable offset: nothing is
// open below the high watermark, and that moves while it is read again.
func (p *Partition) stableOfTwoReads() kafka.Offset {
	hw := p.hw
	if stable := p.log.LastStableOffset(hw); stable < hw {
		return stable
	}
	p.m.host.Sleep(betweenReads)
	p.m.bugs.Infected(planted.DoubleReadLSO, p.lastStable() < p.hw)
	return p.hw
}

// View is the state of the replica.
func (p *Partition) View() View {
	v := View{
		Partition: p.tp, Topic: p.topic, Role: p.role, Leader: p.leader, Epoch: p.epoch, PartitionEpoch: p.registry,
		LogStart: p.log.StartOffset(), LastStable: p.lastStable(), HW: p.hw, LEO: p.end,
		EpochStart: kafka.NoOffset,
	}
	if p.role != Leader {
		return v
	}
	v.EpochStart = p.epochStart
	v.ISR = slices.Clone(p.isr.committed)
	v.MaximalISR = slices.Clone(p.isr.maximal())
	v.MinInsync = int32(p.minISR())
	v.Altering = p.isr.proposal != nil
	now := p.m.host.Uptime()
	for _, f := range p.followers {
		v.Followers = append(v.Followers, FollowerView{
			ID: f.id, Fetched: f.fetched, LEO: f.end, BrokerEpoch: f.progress.epoch,
			CaughtUp: f.isCaughtUp(v.LEO, now, p.m.cfg.LagTimeMax),
		})
	}
	return v
}

// minISR is how many must be in sync before acks=all is worth its name.
func (p *Partition) minISR() int {
	return effectiveMinISR(p.cfg.MinInsyncReplicas, len(p.followers)+1)
}

// uptime is the clock by which lags are measured.
func (p *Partition) uptime() time.Duration { return p.m.host.Uptime() }
