package replica

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
)

// What the broker's own parts do with partitions that it leads: coordinators keep
// their state in them.

// AppendLocal appends batches of the broker's own (coordinators, transaction
// markers) to a partition that it leads. It does not wait for replication: see
// WaitCommitted. The epoch, unless NoEpoch, must be the current one.
func (m *Manager) AppendLocal(tp kafka.TopicPartition, batches []byte, how log.Append, acks int16) (log.AppendInfo, error) {
	p, err := m.lookupName(tp)
	if err != nil {
		return log.AppendInfo{}, err
	}
	return p.append(batches, how, acks)
}

// WaitCommitted blocks until the high watermark has reached end in that leader
// epoch, and judges as acks=all does. The offsets [first, end) are then
// promised.
func (m *Manager) WaitCommitted(tp kafka.TopicPartition, epoch kafka.LeaderEpoch, first, end kafka.Offset, timeout time.Duration) error {
	p, err := m.lookupName(tp)
	if err != nil {
		return err
	}
	if err := p.checkLeader(epoch); err != nil {
		return kerr.NotLeaderForPartition
	}
	ps := &pendings{all: []pending{{p: p, epoch: epoch, first: first, end: end}}}
	m.wait(ps, timeout)
	return ps.all[0].err
}

// ReadLocal reads batches of a partition that this broker leads in that epoch,
// committed or not, as coordinators do to load their state.
func (m *Manager) ReadLocal(tp kafka.TopicPartition, epoch kafka.LeaderEpoch, from kafka.Offset, maxBytes int32) ([]byte, error) {
	p, err := m.lookupName(tp)
	if err != nil {
		return nil, err
	}
	p.gate.enter()
	defer p.gate.leave()
	if err := p.checkLeader(epoch); err != nil {
		return nil, err
	}
	return p.log.Read(from, p.end, maxBytes, true)
}

// Ends are where a partition's log begins, is committed to, and ends.
type Ends struct{ LogStart, HW, LEO kafka.Offset }

// LocalEnds are the marks of a partition that this broker leads in that epoch.
func (m *Manager) LocalEnds(tp kafka.TopicPartition, epoch kafka.LeaderEpoch) (Ends, error) {
	p, err := m.lookupName(tp)
	if err != nil {
		return Ends{}, err
	}
	if err := p.checkLeader(epoch); err != nil {
		return Ends{}, err
	}
	return Ends{LogStart: p.log.StartOffset(), HW: p.hw, LEO: p.end}, nil
}

// MaxBatch is max.message.bytes of the partition's topic; 0 if it is not here.
func (m *Manager) MaxBatch(tp kafka.TopicPartition) int32 {
	if p := m.byName[tp]; p != nil {
		return p.cfg.MaxMessageBytes
	}
	return 0
}

// OnHighWatermark has f called whenever the high watermark of the partition moves
// while this broker has it, instead of what was to be called before; nil: nothing.
// f must not block.
func (m *Manager) OnHighWatermark(tp kafka.TopicPartition, f func(kafka.Offset)) {
	if p := m.byName[tp]; p != nil {
		p.onHW = f
	}
}
