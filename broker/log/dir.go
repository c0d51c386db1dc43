package log

import (
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/sim/env"
)

// DirOptions is what a node knows when it opens its log directory.
type DirOptions struct {
	ClusterID string
	NodeID    kafka.NodeID
	// Config is the configuration of the logs found, until SetConfig.
	Config         Config
	ProducerExpiry time.Duration // producer.id.expiration.ms; zero: a day
	Bugs           *planted.Set
}

// Dir is the log directory of a node: its identity (meta.properties), the
// checkpoints, the mark of a clean shutdown, and the logs. The quorum's own
// log may lie in it, but belongs to package raft.
type Dir struct{}

// OpenDir opens the directory, making it when it is empty, and recovers its
// logs. When its meta.properties belongs to another cluster or node, or is
// damaged, it says so and changes nothing. It blocks.
func OpenDir(host env.Host, path string, opts DirOptions) (*Dir, error) { panic("later") }

// ID is the directory's id (KIP-858).
func (d *Dir) ID() kafka.UUID { panic("later") }

// CleanShutdown reports whether the last process shut down in order, and the
// broker epoch it then had (KIP-966).
func (d *Dir) CleanShutdown() (epoch kafka.BrokerEpoch, ok bool) { panic("later") }

// Partitions lists the logs, in order.
func (d *Dir) Partitions() []kafka.TopicPartition { panic("later") }

// Get is the log of tp, or nil.
func (d *Dir) Get(tp kafka.TopicPartition) *Log { panic("later") }

// TopicID is the topic's id as partition.metadata tells.
func (d *Dir) TopicID(tp kafka.TopicPartition) kafka.UUID { panic("later") }

// Create makes a new log. It blocks.
func (d *Dir) Create(tp kafka.TopicPartition, topic kafka.UUID, cfg Config) (*Log, error) {
	panic("later")
}

// Delete takes the log out of use at once; its files go after
// file.delete.delay.ms. It blocks.
func (d *Dir) Delete(tp kafka.TopicPartition) error { panic("later") }

// HighWatermark is tp's high watermark as last checkpointed.
func (d *Dir) HighWatermark(tp kafka.TopicPartition) kafka.Offset { panic("later") }

// Checkpoint writes the high watermarks (every 5 s in Kafka). It blocks.
func (d *Dir) Checkpoint(hws map[kafka.TopicPartition]kafka.Offset) error { panic("later") }

// CheckpointRecovery writes the logs' recovery points and start offsets (every
// 60 s in Kafka). It blocks.
func (d *Dir) CheckpointRecovery() error { panic("later") }

// CloseClean closes the logs, writes the checkpoints and the mark of a clean
// shutdown. It blocks.
func (d *Dir) CloseClean(epoch kafka.BrokerEpoch, hws map[kafka.TopicPartition]kafka.Offset) error {
	panic("later")
}
