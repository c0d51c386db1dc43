// Package replica holds a broker's copies of partitions: the log of each, its
// role as leader or follower, and the tasks that keep copies alike. A leader
// decides what is committed (the high watermark) and asks the controller who
// may count for it (the ISR); nobody here decides who leads.
//
// The rules are arithmetic without a host (rules.go, isr.go). Partition applies
// them to one replica. Manager has all replicas of the broker and the tasks:
// fetchers, one to each leader broker; the one that talks to the controller;
// checkpoints, retention, the search for followers that lag.
package replica

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim/env"
)

// Controller asks the active controller, wherever it is. It blocks. An error
// means that no answer came within timeout.
type Controller interface {
	Call(req kmsg.Request, timeout time.Duration) (kmsg.Response, error)
}

// Manager has all replicas of one broker.
type Manager struct{}

// NewManager takes over the logs in dir. Nothing leads or follows until Apply.
// It starts its tasks and does not block.
func NewManager(host env.Host, cfg Config, dir *log.Dir, ctl Controller, bugs *planted.Set, w witness.Witness) *Manager {
	panic("later")
}

// SetBrokerEpoch tells under which epoch the broker is registered.
func (m *Manager) SetBrokerEpoch(e kafka.BrokerEpoch) { panic("later") }

// OnRole has f called whenever this broker begins or ends to lead tp, before
// anything can be appended in the new epoch. f must not block.
func (m *Manager) OnRole(f func(tp kafka.TopicPartition, epoch kafka.LeaderEpoch, leads bool)) {
	panic("later")
}

// Apply brings the replicas to the state of im, of which ch changed since the
// last call. im is kept until the next call and must not change meanwhile,
// except by becoming the next one's state. It blocks, as logs are made.
func (m *Manager) Apply(im *metadata.Image, ch *metadata.Changes) { panic("later") }

// ApplyImage brings the replicas to the state of im, whatever was before: at
// the start, or after a snapshot was loaded. Logs that no partition of im
// belongs to are deleted. It blocks.
func (m *Manager) ApplyImage(im *metadata.Image) { panic("later") }

// Shutdown stops the tasks and closes the logs with the mark of a clean
// shutdown. It blocks.
func (m *Manager) Shutdown() error { panic("later") }

// Produce appends a producer's batches. With acks=all it blocks until they are
// committed. With acks=0 the answer is nil.
func (m *Manager) Produce(req *kmsg.ProduceRequest) *kmsg.ProduceResponse { panic("later") }

// Fetch serves consumers and followers. It blocks for min.bytes, at most for
// max.wait.
func (m *Manager) Fetch(req *kmsg.FetchRequest) *kmsg.FetchResponse { panic("later") }

// ListOffsets answers where logs begin and end, and by timestamp.
func (m *Manager) ListOffsets(req *kmsg.ListOffsetsRequest) *kmsg.ListOffsetsResponse {
	panic("later")
}

// OffsetForLeaderEpoch answers where leader epochs end.
func (m *Manager) OffsetForLeaderEpoch(req *kmsg.OffsetForLeaderEpochRequest) *kmsg.OffsetForLeaderEpochResponse {
	panic("later")
}

// DeleteRecords raises log start offsets. It blocks until the followers have
// done so too.
func (m *Manager) DeleteRecords(req *kmsg.DeleteRecordsRequest) *kmsg.DeleteRecordsResponse {
	panic("later")
}

// AppendLocal appends batches of the broker's own (coordinators, transaction
// markers) to a partition it leads. It does not wait for replication: see
// WaitCommitted. An epoch other than NoEpoch must be the current one.
func (m *Manager) AppendLocal(tp kafka.TopicPartition, epoch kafka.LeaderEpoch, batches []byte, acks int16) (log.AppendInfo, error) {
	panic("later")
}

// WaitCommitted blocks until the high watermark has reached end in that leader
// epoch, and judges as acks=all does.
func (m *Manager) WaitCommitted(tp kafka.TopicPartition, epoch kafka.LeaderEpoch, end kafka.Offset, timeout time.Duration) error {
	panic("later")
}

// ReadCommitted reads batches below the high watermark of a partition that
// this broker leads in that epoch, as coordinators do to load their state.
func (m *Manager) ReadCommitted(tp kafka.TopicPartition, epoch kafka.LeaderEpoch, from kafka.Offset, maxBytes int32) ([]byte, error) {
	panic("later")
}

// Partition is the replica of tp on this broker, or nil.
func (m *Manager) Partition(tp kafka.TopicPartition) *Partition { panic("later") }

// Partitions lists the replicas of this broker in the order of their names.
func (m *Manager) Partitions() []*Partition { panic("later") }

// Partition is one replica.
type Partition struct{}

// View is the state of the replica.
func (p *Partition) View() View { panic("later") }
