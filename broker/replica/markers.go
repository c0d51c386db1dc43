package replica

import (
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/witness"
)

// EndTxn is what the marker of a transaction says.
type EndTxn struct {
	ProducerID       kafka.ProducerID
	Epoch            kafka.ProducerEpoch
	CoordinatorEpoch int32
	Kind             record.ControlType // Commit or Abort
	Version          int8               // transaction.version of the transaction
}

// Marker is one that was appended, or refused.
type Marker struct {
	pending pending
	err     error
}

// AppendMarker appends the marker of a transaction to a partition that this broker leads,
// whether one is open there or not: see WaitMarkers. It blocks while the disk is slow.
func (m *Manager) AppendMarker(tp kafka.TopicPartition, end EndTxn) Marker {
	p, err := m.lookupName(tp)
	if err != nil {
		return Marker{err: err}
	}
	batch := record.NewEndTxnMarker(end.Kind, m.host.Now().Millis(), end.ProducerID, end.Epoch, end.CoordinatorEpoch)
	info, err := p.append(batch, log.Append{Epoch: kafka.NoEpoch, Origin: log.Internal, TxnVersion: end.Version}, acksAll)
	if err != nil {
		return Marker{err: err}
	}
	m.host.Tell(&witness.MarkerWritten{
		Partition: tp, ProducerID: end.ProducerID, Epoch: end.Epoch, CoordinatorEpoch: end.CoordinatorEpoch,
		Commit: end.Kind == record.Commit, At: info.FirstOffset,
	})
	return Marker{pending: pending{p: p, epoch: p.epoch, first: info.FirstOffset, end: info.LastOffset + 1}}
}

// WaitMarkers waits until the markers are committed, and is what became of each. It
// blocks.
func (m *Manager) WaitMarkers(markers []Marker, timeout time.Duration) []error {
	ps := &pendings{}
	errs := make([]error, len(markers))
	for i, mk := range markers {
		if errs[i] = mk.err; mk.err == nil {
			mk.pending.at = i
			ps.all = append(ps.all, mk.pending)
		}
	}
	m.wait(ps, timeout)
	for i := range ps.all {
		errs[ps.all[i].at] = ps.all[i].err
	}
	return errs
}

// BeginVerification is log.Log's, of a partition that this broker leads.
func (m *Manager) BeginVerification(tp kafka.TopicPartition, id kafka.ProducerID, epoch kafka.ProducerEpoch, sequence kafka.Sequence, bumpsEpoch bool) (log.Guard, error) {
	p, err := m.lookupName(tp)
	if err != nil {
		return 0, err
	}
	if err := p.checkLeader(kafka.NoEpoch); err != nil {
		return 0, err
	}
	return p.log.BeginVerification(id, epoch, sequence, bumpsEpoch)
}
