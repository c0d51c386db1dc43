// Package witness is what a node tells of itself: typed events of its state
// changes, for whoever watches. A node works the same when nobody does.
//
// The events name what invariants speak of (what a replica holds, what it
// shows, what it promised), so that a watcher can keep its own account of the
// truth and compare.
package witness

import "github.com/ktrial/ktrial/broker/kafka"

// Kind says what happened.
type Kind uint8

// What a replica of a partition does. Partition is set in all of them.
const (
	_ Kind = iota
	// Opened: the replica's log was recovered: it spans [Offset, End), with
	// high watermark HW as read from its checkpoint.
	Opened
	// Appended: Batch, spanning [Offset, End), was written in leader epoch Epoch.
	Appended
	// Truncated: the log now ends at Offset. Peer is the leader it follows.
	Truncated
	// Restarted: the log was dropped and begins anew at Offset (out of range).
	Restarted
	// LogStartMoved: the log now starts at Offset.
	LogStartMoved
	// HighWatermarkMoved: the high watermark is now Offset, in Epoch.
	HighWatermarkMoved
	// BecameLeader in Epoch: the log ends at Offset. Nodes is the ISR.
	BecameLeader
	// BecameFollower of Peer in Epoch: the log ends at Offset.
	BecameFollower
	// MaximalISR: the leader now counts Nodes for the high watermark (KIP-497).
	MaximalISR
	// FollowerFetched: Peer fetched from Offset in Epoch and was counted.
	FollowerFetched
	// ProduceAcked: acks=all success was answered for [Offset, End).
	ProduceAcked
	// Stopped: the replica was closed, or deleted if End is 1.
	Stopped
	// EndServed: a client was told that the log ends at Offset.
	EndServed
	// Appending: an append begins; Appended follows, unless it fails. It may be
	// in the log of a process that dies in between, or not.
	Appending
	// Truncating: the log is about to be cut at Offset; Truncated follows.
	Truncating
	// ReadServed: a consumer was given Batch, spanning [Offset, End), of Epoch.
	ReadServed
)

// What a member of the KRaft quorum does.
const (
	// QuorumVoted: in Epoch for Peer; durable already.
	QuorumVoted Kind = iota + 64
	// QuorumLeader: became quorum leader in Epoch; its log ends at Offset.
	QuorumLeader
	// QuorumFollower: in Epoch it does not lead; Peer does, or nobody that it knows.
	QuorumFollower
	// QuorumAppended: Batch spanning [Offset, End) in Epoch.
	QuorumAppended
	// QuorumAppending: as Appending.
	QuorumAppending
	// QuorumTruncating: as Truncating.
	QuorumTruncating
	// QuorumFlushed: the log is durable below Offset.
	QuorumFlushed
	// QuorumTruncated: the log now ends at Offset.
	QuorumTruncated
	// QuorumCommitted: the high watermark is now Offset.
	QuorumCommitted
	// QuorumSnapshot: a snapshot ending at Offset, Epoch was written or loaded.
	QuorumSnapshot
	// ControllerActive: this controller acts, in Epoch.
	ControllerActive
	// ControllerResigned: it acts no more.
	ControllerResigned
	// Applied: committed metadata up to Offset is applied; Hash is of the image.
	Applied
	// PartitionCommitted: the record at Offset of the metadata log is committed;
	// it made of the partition what State says.
	PartitionCommitted
	// BrokerCommitted: the record at Offset of the metadata log is committed; it
	// registered Incarnation of broker Peer with broker epoch End.
	BrokerCommitted
	// QuorumPreVoted: it would vote for Peer, who asked in Epoch. End is the leader
	// of which it has heard within its fetch timeout, or NoNode.
	QuorumPreVoted
)

// PartitionState is what the controllers have committed of a partition.
type PartitionState struct {
	Leader         kafka.NodeID
	LeaderEpoch    kafka.LeaderEpoch
	PartitionEpoch kafka.PartitionEpoch
	Replicas       []kafka.NodeID
	ISR, ELR       []kafka.NodeID
}

// Event is one state change of a node. Which fields count depends on Kind.
type Event struct {
	Kind      Kind
	Node      kafka.NodeID
	Partition kafka.TopicPartition
	Topic     kafka.UUID
	Epoch     kafka.LeaderEpoch
	Offset    kafka.Offset
	End       kafka.Offset
	HW        kafka.Offset
	Peer      kafka.NodeID
	Nodes     []kafka.NodeID
	Batch     []byte // valid during the call only
	Hash      uint64
	State     *PartitionState
	// Memo is where the witness may keep what it knows of the replica. It lives
	// as long as the replica; nil in events that are of none.
	Memo *any

	Incarnation kafka.UUID
}

// Witness is told of each event as it happens. It must not call back. Nil:
// nobody watches.
type Witness func(*Event)

// Tell passes e on, if anybody watches.
func (w Witness) Tell(e Event) {
	if w != nil {
		w(&e)
	}
}
