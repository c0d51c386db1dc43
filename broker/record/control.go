package record

import "github.com/ktrial/ktrial/broker/kafka"

// ControlType is what a control batch says; it is in its record's key.
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

// String is Kafka's name of the type.
func (t ControlType) String() string { panic("later") }

// NewControl makes a control batch of one record. value is the encoded message
// of the type, as ParseControl gives it back.
func NewControl(opts Options, ts int64, t ControlType, value []byte) Batch { panic("later") }

// ParseControl is the type and the value of a control record.
func ParseControl(r Record) (t ControlType, value []byte, err error) { panic("later") }

// NewEndTxnMarker makes the batch that ends a transaction in one partition.
func NewEndTxnMarker(t ControlType, ts int64, id kafka.ProducerID, epoch kafka.ProducerEpoch, coordinatorEpoch int32) Batch {
	panic("later")
}

// EndTxnMarker is what the marker in b says; ok is false when b is no such marker.
func (b Batch) EndTxnMarker() (t ControlType, coordinatorEpoch int32, ok bool) { panic("later") }
