// Package raft replicates the metadata log: KRaft (KIP-595), Raft over Kafka's
// Fetch. Voters elect a leader, the leader appends, everyone else fetches.
//
// Core is the protocol: it decides, and knows no host. Node is its limbs: the
// tasks, connections and files of one member of the quorum.
//
// The voters are fixed by configuration: dynamic reconfiguration (KIP-853) is
// not here.
package raft

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim/env"
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
	Bugs      *planted.Set
	Witness   witness.Witness
}

// Settings are Kafka's, by name. Set the defaults with config.Default.
type Settings struct {
	ElectionTimeout    time.Duration `kafka:"controller.quorum.election.timeout.ms" default:"1000"`
	FetchTimeout       time.Duration `kafka:"controller.quorum.fetch.timeout.ms" default:"2000"`
	ElectionBackoffMax time.Duration `kafka:"controller.quorum.election.backoff.max.ms" default:"1000"`
	RequestTimeout     time.Duration `kafka:"controller.quorum.request.timeout.ms" default:"2000"`
	AppendLinger       time.Duration `kafka:"controller.quorum.append.linger.ms" default:"25"`
	RetryBackoff       time.Duration `kafka:"controller.quorum.retry.backoff.ms" default:"20"`

	// MaxIdleInterval is how often the controller appends a NoOp record.
	MaxIdleInterval time.Duration `kafka:"metadata.max.idle.interval.ms" default:"500"`

	MaxBytesBetweenSnapshots int64         `kafka:"metadata.log.max.record.bytes.between.snapshots" default:"20971520"`
	MaxSnapshotInterval      time.Duration `kafka:"metadata.log.max.snapshot.interval.ms" default:"3600000"`
}

// Batch is a run of committed metadata records with consecutive offsets. A
// control batch shows up with no records.
type Batch struct {
	BaseOffset, LastOffset kafka.Offset
	Epoch                  kafka.LeaderEpoch
	Timestamp              int64 // when the leader appended it, in milliseconds
	Records                []metadata.Record
}

// Listener is told what the quorum decides, in the order of the log. It is
// called from raft's tasks and must not block.
type Listener interface {
	// Committed delivers the next batch. Each offset is delivered once per
	// incarnation, unless LoadSnapshot jumps over it.
	Committed(b Batch)
	// LoadSnapshot replaces everything delivered so far by im, which the
	// listener may keep.
	LoadSnapshot(im *metadata.Image)
	// LeaderChanged tells who leads, or kafka.NoNode while nobody is known to.
	// This node itself is named only after everything before the start of its
	// epoch was delivered, so that it never acts on a stale state (KAFKA-15345).
	LeaderChanged(leader kafka.NodeID, epoch kafka.LeaderEpoch)
}

// Node is one member of the quorum: a Core with tasks, connections and a disk.
type Node struct {
	host     env.Host
	cfg      Config
	listener Listener
}

// Start opens the log, replays what is known to be committed to l from its own
// task, and joins the quorum. It blocks while it reads the disk.
func Start(host env.Host, cfg Config, l Listener) (*Node, error) { panic("later") }

// Append writes recs as one batch, which is committed whole or not at all, and
// returns the offset of the last one. It returns before they are committed:
// see WaitCommitted. A node that does not lead in epoch answers NOT_CONTROLLER.
func (n *Node) Append(epoch kafka.LeaderEpoch, recs []metadata.Record) (last kafka.Offset, err error) {
	panic("later")
}

// WaitCommitted blocks until the record at offset, appended in epoch, is
// committed, or cannot become so here any more (NOT_CONTROLLER: its fate is
// then unknown), or timeout has passed (REQUEST_TIMED_OUT).
func (n *Node) WaitCommitted(offset kafka.Offset, epoch kafka.LeaderEpoch, timeout time.Duration) error {
	panic("later")
}

// HighWatermark is the offset below which all is known to be committed.
func (n *Node) HighWatermark() kafka.Offset { panic("later") }

// EndOffset is where this member's log ends.
func (n *Node) EndOffset() kafka.Offset { panic("later") }

// Leader is the quorum's leader as far as this node knows, or kafka.NoNode.
func (n *Node) Leader() (kafka.NodeID, kafka.LeaderEpoch) { panic("later") }

// LeaderAddr is where the controller listener of the leader is, or "".
func (n *Node) LeaderAddr() string { panic("later") }

// IsLeader reports whether this node leads the quorum in epoch.
func (n *Node) IsLeader(epoch kafka.LeaderEpoch) bool { panic("later") }

// Resign gives the leadership in epoch up.
func (n *Node) Resign(epoch kafka.LeaderEpoch) { panic("later") }

// MaybeSnapshot writes im, the fold of what was delivered so far, as a snapshot
// if the log has grown enough since the last one. It does not block and keeps
// no hold on im.
func (n *Node) MaybeSnapshot(im *metadata.Image) { panic("later") }

// Shutdown leaves the quorum in order: a leader resigns and says so to the
// others. It blocks, at most timeout.
func (n *Node) Shutdown(timeout time.Duration) { panic("later") }

// The requests of the controller listener. Fetch blocks for up to MaxWait, and
// all may block on the disk.

func (n *Node) Vote(req *kmsg.VoteRequest) *kmsg.VoteResponse { panic("later") }
func (n *Node) BeginQuorumEpoch(req *kmsg.BeginQuorumEpochRequest) *kmsg.BeginQuorumEpochResponse {
	panic("later")
}
func (n *Node) EndQuorumEpoch(req *kmsg.EndQuorumEpochRequest) *kmsg.EndQuorumEpochResponse {
	panic("later")
}
func (n *Node) Fetch(req *kmsg.FetchRequest) *kmsg.FetchResponse { panic("later") }
func (n *Node) FetchSnapshot(req *kmsg.FetchSnapshotRequest) *kmsg.FetchSnapshotResponse {
	panic("later")
}
func (n *Node) DescribeQuorum(req *kmsg.DescribeQuorumRequest) *kmsg.DescribeQuorumResponse {
	panic("later")
}
