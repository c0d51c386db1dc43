package record

import (
	"encoding/binary"
	"fmt"

	"github.com/ktrial/ktrial/broker/kafka"
)

// ControlType is what a control batch says; it is in its record's key.
//
// kmsg gives the name ControlRecordKeyTypeLeaderChange to 3; Kafka's
// LEADER_CHANGE is 2.
type ControlType int16

// The types of control records.
const (
	Abort          ControlType = 0
	Commit         ControlType = 1
	LeaderChange   ControlType = 2
	SnapshotHeader ControlType = 3
	SnapshotFooter ControlType = 4
	KRaftVersion   ControlType = 5
	KRaftVoters    ControlType = 6
)

var controlNames = [...]string{
	"ABORT", "COMMIT", "LEADER_CHANGE", "SNAPSHOT_HEADER", "SNAPSHOT_FOOTER", "KRAFT_VERSION", "KRAFT_VOTERS",
}

// String is Kafka's name of the type.
func (t ControlType) String() string {
	if t < 0 || int(t) >= len(controlNames) {
		return fmt.Sprintf("control type %d", int16(t))
	}
	return controlNames[t]
}

// NewControl makes a control batch of one record. value is the encoded message
// of the type, as ParseControl gives it back.
func NewControl(opts Options, ts int64, t ControlType, value []byte) Batch {
	opts.Control = true
	b := NewBuilder(opts)
	key := binary.BigEndian.AppendUint16(make([]byte, 2, 4), uint16(t)) // version 0
	b.Append(ts, key, value)
	return b.Build()
}

// ParseControl is the type and the value of a control record.
func ParseControl(r Record) (t ControlType, value []byte, err error) {
	if len(r.Key) < 4 {
		return 0, nil, corrupt("control record at offset %d: key of %d bytes, expected 4", r.Offset, len(r.Key))
	}
	if version := int16(binary.BigEndian.Uint16(r.Key)); version < 0 {
		return 0, nil, corrupt("control record at offset %d: version %d, expected none below 0", r.Offset, version)
	}
	return ControlType(binary.BigEndian.Uint16(r.Key[2:])), r.Value, nil
}

// NewEndTxnMarker makes the batch that ends a transaction in one partition.
func NewEndTxnMarker(t ControlType, ts int64, id kafka.ProducerID, epoch kafka.ProducerEpoch, coordinatorEpoch int32) Batch {
	value := binary.BigEndian.AppendUint32(make([]byte, 2, 6), uint32(coordinatorEpoch)) // version 0
	return NewControl(Options{
		Idempotent: true, ProducerID: id, ProducerEpoch: epoch, BaseSequence: NoSequence,
		Transactional: true,
	}, ts, t, value)
}

// EndTxnMarker is what the marker in b says; ok is false when b is no such marker.
func (b Batch) EndTxnMarker() (t ControlType, coordinatorEpoch int32, ok bool) {
	if !b.IsControl() || !b.HasProducer() || b.Codec() != None {
		return 0, 0, false
	}
	f, _, ok := parseFrame(b[HeaderSize:])
	if !ok || len(f.value) < 6 {
		return 0, 0, false
	}
	t, _, err := ParseControl(Record{Key: f.key})
	if err != nil || t != Abort && t != Commit {
		return 0, 0, false
	}
	return t, int32(binary.BigEndian.Uint32(f.value[2:])), true
}
