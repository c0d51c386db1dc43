// Package raft replicates the metadata log: KRaft (KIP-595), Raft over Kafka's
// Fetch. Voters elect a leader, the leader appends, all others fetch.
//
// Core is the protocol: it decides, and knows no host. Node is its limbs: the
// tasks, connections and files of one member of the quorum.
//
// The voters are fixed by configuration: dynamic reconfiguration (KIP-853) is
// not here.
package raft

import (
	"time"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
)

// Voter is a member of the quorum and where its controller listener is.
type Voter struct {
	ID   kafka.NodeID
	Addr string // "host:port"
}

// Config is one member of the quorum: a voter if ID is among Voters, else an
// observer, which replicates but neither votes nor counts.
type Config struct {
	ID        kafka.NodeID
	ClusterID string
	Voters    []Voter
	Dir       string // the metadata log directory; the log is in Dir/__cluster_metadata-0
	Settings  Settings
	Decoder   *Decoder // may be shared with other nodes; nil: none
	Bugs      *planted.Set
}

// Settings are Kafka's, by name. Set the defaults with config.Default.
type Settings struct {
	ElectionTimeout    time.Duration `kafka:"controller.quorum.election.timeout.ms"`
	FetchTimeout       time.Duration `kafka:"controller.quorum.fetch.timeout.ms"`
	ElectionBackoffMax time.Duration `kafka:"controller.quorum.election.backoff.max.ms"`
	RequestTimeout     time.Duration `kafka:"controller.quorum.request.timeout.ms"`
	AppendLinger       time.Duration `kafka:"controller.quorum.append.linger.ms"`
	RetryBackoff       time.Duration `kafka:"controller.quorum.retry.backoff.ms"`

	// MaxIdleInterval is how often the controller appends a NoOp record.
	MaxIdleInterval time.Duration `kafka:"metadata.max.idle.interval.ms"`

	MaxBytesBetweenSnapshots int64         `kafka:"metadata.log.max.record.bytes.between.snapshots"`
	MaxSnapshotInterval      time.Duration `kafka:"metadata.log.max.snapshot.interval.ms"`
	RetentionBytes           int64         `kafka:"metadata.max.retention.bytes"`
	SegmentBytes             int32         `kafka:"metadata.log.segment.bytes"`
}

// ConfigKind says that these are brokers' settings.
func (Settings) ConfigKind() config.Kind { return config.Broker }

// Batch is a run of committed metadata records with consecutive offsets. A
// control batch shows up with no records.
type Batch struct {
	BaseOffset, LastOffset kafka.Offset
	Epoch                  kafka.LeaderEpoch
	Timestamp              int64 // when the leader appended it, in milliseconds
	Records                []metadata.Record
}

// Listener hears what the quorum decides, in the order of the log. It is
// called from raft's tasks and must not block.
type Listener interface {
	// Committed delivers the next batch. Each offset is delivered once per
	// incarnation, unless LoadSnapshot jumps over it.
	Committed(b Batch)
	// LoadSnapshot replaces everything delivered so far by im, which the
	// listener may keep.
	LoadSnapshot(im *metadata.Image)
	// LeaderChanged names the leader, or kafka.NoNode while none is known. This
	// node itself is named only after everything before the start of its epoch
	// was delivered, so that it never acts on a stale state (KAFKA-15345).
	LeaderChanged(leader kafka.NodeID, epoch kafka.LeaderEpoch)
}
