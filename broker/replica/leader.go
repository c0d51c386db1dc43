package replica

import (
	"math"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/witness"
)

// acksAll waits for the whole ISR.
const acksAll = -1

// append appends batches as the leader, in the epoch that how names unless that is
// NoEpoch. It blocks while the disk is slow.
func (p *Partition) append(batches []byte, how log.Append, acks int16) (log.AppendInfo, error) {
	p.gate.enter()
	defer p.gate.leave()
	p.turn.lock()
	defer p.turn.unlock()
	if err := p.checkLeader(how.Epoch); err != nil {
		return log.AppendInfo{}, err
	}
	// Refused before the append, so that the producer knows it did not happen.
	if acks == acksAll && len(p.isr.committed) < p.minISR() {
		if p.m.bugs.On(planted.UpdateBeforeAppend) {
			p.m.bugs.Infected(planted.UpdateBeforeAppend, p.log.RememberRefused(batches))
		}
		return log.AppendInfo{}, kerr.NotEnoughReplicas
	}
	p.m.host.Tell(p.m.told.appending.Put(witness.Appending{Replica: p.self, Epoch: p.epoch, At: p.end, AcksAll: acks == acksAll}))
	how.Epoch = p.epoch
	info, err := p.log.Append(batches, how)
	p.m.mustWork(p, p.log.Failed())
	if err != nil {
		return log.AppendInfo{}, err
	}
	if info.Duplicate {
		p.m.host.Reached(ProbeDuplicateAcked)
		return info, nil
	}
	p.end = info.LastOffset + 1
	p.tellAppended(batches, info)
	p.grown.check()
	p.advance() // the ISR may be down to this replica
	return info, nil
}

// tellAppended tells what was appended in this epoch. The log rewrites batches
// in place, unless the topic has a codec of its own.
func (p *Partition) tellAppended(batches []byte, info log.AppendInfo) {
	if p.cfg.CompressionType.Fixed {
		var err error
		if batches, err = p.log.Read(info.FirstOffset, info.LastOffset+1, 1<<30, true); err != nil {
			return
		}
	}
	p.tellBatches(batches)
}

// tellBatches tells of each batch that was appended.
func (p *Partition) tellBatches(batches []byte) {
	for {
		b, rest, err := record.Next(batches)
		if err != nil {
			return
		}
		p.m.host.Tell(p.m.told.appended.Put(witness.Appended{Replica: p.self, Batch: witness.BatchOf(b)}))
		batches = rest
	}
}

// count takes in a follower's fetch: its log ends at from, in the leader
// epoch that it named. leaderEnd is where ours ended when the fetch came.
func (p *Partition) count(f *follower, from, start, leaderEnd kafka.Offset, named kafka.LeaderEpoch, epoch kafka.BrokerEpoch) error {
	// A fetch of an incarnation that is gone says nothing about its successor.
	if b := p.m.broker(f.id); epoch != kafka.NoEpoch && b != nil && b.Epoch > epoch {
		return kerr.NotLeaderForPartition
	}
	before := f.progress
	f.progress = before.after(from, start, leaderEnd, epoch, p.uptime())
	p.m.host.Tell(p.m.told.followerFetched.Put(witness.FollowerFetched{Replica: p.self, Follower: f.id, From: from, Epoch: named, HW: p.hw}))
	p.maybeExpandISR(f)
	if !before.fetched || before.end != from {
		p.advance()
	}
	if before.start != start {
		p.trimmed.check()
	}
	return nil
}

// advance moves the high watermark as far as all that count allow. It never
// falls within an epoch of leadership. The maximal ISR counts (KIP-497), and
// the follower that is about to join it, because a leader that runs ahead of a
// follower with each append would keep it out for ever.
func (p *Partition) advance() {
	if p.role != Leader {
		return
	}
	hw := p.nextHW()
	if hw <= p.hw {
		return
	}
	// Below min.insync.replicas nothing is committed: a leader elected from the
	// eligible leader replicas then has all that was shown (KIP-966).
	if len(p.isr.committed) < p.minISR() {
		p.m.host.Reached(ProbeHwHeldBack)
		if !p.m.bugs.On(planted.HWUnderMinISR) {
			return
		}
		p.m.bugs.Infected(planted.HWUnderMinISR, true)
	}
	p.setHW(hw)
}

// nextHW is the high watermark that the replicas allow.
func (p *Partition) nextHW() kafka.Offset {
	end, now := p.end, p.uptime()
	p.marks = p.marks[:0]
	for i := range p.followers {
		f := &p.followers[i]
		counts := f.end < end && (p.isr.maximalHas(f.id) || f.isCaughtUp(end, now, p.m.cfg.LagTimeMax) && p.eligible(f))
		p.marks = append(p.marks, mark{f.end, counts})
	}
	hw := highWatermark(p.hw, end, p.marks)
	if p.m.bugs.On(planted.HWCommittedISR) {
		for i := range p.marks {
			p.marks[i].counts = p.isr.has(p.followers[i].id)
		}
		wrong := highWatermark(p.hw, end, p.marks)
		p.m.bugs.Infected(planted.HWCommittedISR, wrong != hw)
		return wrong
	}
	return hw
}

// eligible reports whether the controller would take f into the ISR: its
// broker is registered in the incarnation that fetches, neither fenced nor
// shutting down (KIP-841, KIP-903).
func (p *Partition) eligible(f *follower) bool {
	b := p.m.broker(f.id)
	leaving := b != nil && (b.Fenced || b.InControlledShutdown)
	if p.m.bugs.On(planted.ProposeFenced) {
		p.m.bugs.Infected(planted.ProposeFenced, leaving)
		leaving = false
	}
	return f.fetched && b != nil && !leaving &&
		(f.progress.epoch == kafka.NoEpoch || f.progress.epoch == b.Epoch)
}

// verdict judges a produce with acks=all that waits for the high watermark to
// reach end: done, and with which error.
func (p *Partition) verdict(end kafka.Offset) (done bool, err error) {
	if p.role != Leader {
		return true, kerr.NotLeaderForPartition
	}
	if p.hw < end {
		return false, nil
	}
	// The records are committed. But the topic promised more copies than there
	// may now be, so the producer learns that its append is in doubt.
	if len(p.isr.maximal()) < p.minISR() {
		return true, kerr.NotEnoughReplicasAfterAppend
	}
	return true, nil
}

// lowWatermark is the offset below which no live replica has records any more.
func (p *Partition) lowWatermark() kafka.Offset {
	return min(p.log.StartOffset(), p.followersStart())
}

// followersStart is the lowest log start offset of the followers that are not fenced.
func (p *Partition) followersStart() kafka.Offset {
	low := kafka.Offset(math.MaxInt64)
	for i := range p.followers {
		f := &p.followers[i]
		if b := p.m.broker(f.id); b != nil && !b.Fenced {
			low = min(low, f.start)
		}
	}
	return low
}
