package replica

import (
	"errors"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/witness"
)

// mayTruncateToHW is how followers began before KIP-101. The right thing is to
// cut nothing until the leader has said where the logs part: the high
// watermark may lag behind records that the new leader already has.
func (p *Partition) mayTruncateToHW() {
	if !p.m.bugs.On(planted.TruncateToHW) {
		return
	}
	p.m.bugs.Infected(planted.TruncateToHW, p.hw < p.end)
	if p.hw < p.end {
		p.cut(p.hw)
	}
}

// cut removes what lies at or after end; the high watermark goes with it. Even
// if there is no record to remove there may be an epoch: a leader that never
// appended has recorded where its epoch began, and the next leader does not know
// that epoch.
func (p *Partition) cut(end kafka.Offset) {
	if end < p.log.StartOffset() {
		p.restart(end)
		return
	}
	before := p.end
	if end < before {
		p.m.host.Tell(&witness.Truncating{Replica: p.self, To: end})
	}
	p.m.mustWork(p, p.log.TruncateTo(min(end, before)))
	p.end = p.log.EndOffset() // less than asked for, if that was inside of a batch
	defer p.tellEpochs()
	if p.end == before {
		return
	}
	p.hw = min(p.hw, p.end)
	p.m.host.Tell(&witness.Truncated{Replica: p.self, From: before, To: p.end, Epoch: p.epoch, Leader: p.leader, HW: p.hw})
}

// restart drops the log, which then begins at start: the leader has nothing
// older, and what is here ends before that.
func (p *Partition) restart(start kafka.Offset) {
	p.m.host.Tell(&witness.Restarting{Replica: p.self, Start: p.log.StartOffset(), End: p.end, At: start})
	p.m.mustWork(p, p.log.TruncateFullyAndStartAt(start))
	p.end, p.hw = start, start
	p.m.host.Tell(&witness.Restarted{Replica: p.self, At: start, Epoch: p.epoch, Leader: p.leader})
	p.tellEpochs()
}

// tellEpochs tells what the log knows of leader epochs.
func (p *Partition) tellEpochs() {
	e := &witness.EpochsCached{Replica: p.self}
	for _, entry := range p.log.EpochEntries() {
		e.Epochs, e.Starts = append(e.Epochs, entry.Epoch), append(e.Starts, entry.Start)
	}
	p.m.host.Tell(e)
}

// diverged cuts the log where the leader says it parts from its own. It
// reports false if this is no longer the follower that asked.
func (p *Partition) diverged(f *fetching, epoch kafka.LeaderEpoch, end kafka.Offset) bool {
	p.gate.enter()
	defer p.gate.leave()
	if p.fetching != f {
		return false
	}
	ownEpoch, ownEnd := p.log.EndOffsetFor(epoch)
	cut := truncationPoint(epoch, end, ownEpoch, ownEnd, p.end)
	if ownEpoch != epoch {
		p.m.host.Reached(ProbeEpochUnknown)
	}
	p.cut(cut)
	return true
}

// dropsImpossibleEpoch cuts off records of an epoch later than that of the
// leader, which no leader can have written: no checksum covers a batch's epoch,
// and this one rotted. Kafka's follower asks for ever, and is answered every time
// that the leader does not know the epoch.
func (p *Partition) dropsImpossibleEpoch(f *fetching) (cut bool) {
	p.locked(f, func() {
		if cut = p.log.LatestEpoch() > p.epoch; cut {
			_, end := p.log.EndOffsetFor(p.epoch)
			p.m.host.Tell(&witness.EpochImpossible{Replica: p.self, Latest: p.log.LatestEpoch(), Leader: p.leader, Epoch: p.epoch})
			p.cut(end)
		}
	})
	return cut
}

// errNotFollowing: the replica no longer follows as it did when it asked.
var errNotFollowing = errors.New("no longer following")

// appendFetched appends what the leader sent for offset from, and takes over
// its high watermark and log start offset.
func (p *Partition) appendFetched(f *fetching, from kafka.Offset, batches []byte, hw, logStart kafka.Offset) error {
	p.gate.enter()
	defer p.gate.leave()
	if p.fetching != f || p.end != from {
		return errNotFollowing
	}
	batches = notAfter(batches, p.epoch)
	if len(batches) > 0 {
		p.startWithin(batches)
		p.m.host.Tell(p.m.told.appending.Put(witness.Appending{Replica: p.self, Epoch: p.epoch, At: p.end}))
		err := p.log.AppendAsFollower(batches)
		p.m.mustWork(p, p.log.Failed())
		if err != nil {
			return err
		}
		p.end = p.log.EndOffset()
		p.tellBatches(batches)
		p.grown.check()
	}
	if hw = min(hw, p.end); hw > p.hw {
		p.setHW(hw)
	}
	return p.raiseStart(logStart)
}

// startWithin moves the start of an empty log back to that of the batch that
// holds it: the leader's log may start in the middle of one, after DeleteRecords.
func (p *Partition) startWithin(batches []byte) {
	b, _, err := record.Next(batches)
	if err == nil && p.log.StartOffset() == p.end && b.BaseOffset() < p.end && b.LastOffset() >= p.end {
		p.restart(b.BaseOffset())
	}
}

// notAfter leaves out batches of a later leader epoch than the one the fetch
// was made in. A leader that was elected anew while the fetch waited may send
// them; that this log agrees with the start of that epoch has not been checked
// (KAFKA-19522).
func notAfter(batches []byte, epoch kafka.LeaderEpoch) []byte {
	rest := batches
	for {
		b, next, err := record.Next(rest)
		if err != nil {
			return batches
		}
		if b.LeaderEpoch() > epoch {
			return batches[:len(batches)-len(rest)]
		}
		rest = next
	}
}

// raiseStart raises the log start offset. It cannot pass the high watermark:
// what is not known to be committed is not known to be deleted either.
func (p *Partition) raiseStart(start kafka.Offset) error {
	start = min(start, p.hw)
	if start <= p.log.StartOffset() {
		return nil
	}
	if err := p.log.SetStartOffset(start); err != nil {
		p.m.mustWork(p, p.log.Failed())
		return err
	}
	p.tellStart()
	return nil
}

// tellStart says that the log start offset has moved.
func (p *Partition) tellStart() {
	p.m.host.Tell(&witness.LogStartMoved{Replica: p.self, Start: p.log.StartOffset(), Epoch: p.epoch})
	p.trimmed.check()
}

// stopFetching takes the replica out of its fetcher.
func (p *Partition) stopFetching() {
	if p.fetching != nil {
		p.fetching.fetcher.remove(p.fetching)
		p.fetching = nil
	}
}
