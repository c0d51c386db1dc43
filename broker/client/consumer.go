package client

import (
	"fmt"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
)

// ConsumerRecord is a record as a consumer gets it.
type ConsumerRecord struct {
	Partition   kafka.TopicPartition
	Offset      kafka.Offset
	LeaderEpoch kafka.LeaderEpoch
	Timestamp   int64
	Key         []byte
	Value       []byte
	Headers     []record.Header
}

// Position is where a consumer is in a partition: the offset of the next
// record, and the leader epoch of the last one, NoEpoch if it is not known.
type Position struct {
	Offset kafka.Offset
	Epoch  kafka.LeaderEpoch
}

// LogTruncationError is returned by Poll when records that the consumer has
// already passed are gone from the log and auto.offset.reset is none (KIP-320).
type LogTruncationError struct {
	Partition kafka.TopicPartition
	Position  Position // where the consumer stood
	Diverged  Position // where the logs part; NoOffset if the leader cannot say
}

// Consumer reads assigned partitions. One task uses it at a time.
type Consumer struct{}

// NewConsumer makes a consumer.
func (c *Client) NewConsumer(cfg ConsumerConfig) (*Consumer, error) { panic("later") }

// Assign replaces the assignment. Partitions that stay keep their positions;
// new ones begin where auto.offset.reset says.
func (c *Consumer) Assign(partitions []kafka.TopicPartition) { panic("later") }

// Assignment lists the assigned partitions in order.
func (c *Consumer) Assignment() []kafka.TopicPartition { panic("later") }

// Seek moves to an offset of an assigned partition.
func (c *Consumer) Seek(tp kafka.TopicPartition, o kafka.Offset) error { panic("later") }

// SeekToBeginning moves to the start of the logs, of all assigned partitions
// if none is named, when they are next polled.
func (c *Consumer) SeekToBeginning(partitions ...kafka.TopicPartition) error { panic("later") }

// SeekToEnd moves to the ends of the logs: with read_committed, to the last
// stable offsets.
func (c *Consumer) SeekToEnd(partitions ...kafka.TopicPartition) error { panic("later") }

// Poll blocks until there are records, at most timeout, and returns up to
// max.poll.records of them. An error concerns one partition and is returned
// alone: what other partitions have comes with the next call.
func (c *Consumer) Poll(timeout time.Duration) ([]ConsumerRecord, error) { panic("later") }

// Position is where the consumer is in tp. It blocks, at most
// default.api.timeout.ms, until that is known.
func (c *Consumer) Position(tp kafka.TopicPartition) (Position, error) { panic("later") }

// Pause keeps the partitions from being returned by Poll.
func (c *Consumer) Pause(partitions ...kafka.TopicPartition) { panic("later") }

// Resume takes Pause back.
func (c *Consumer) Resume(partitions ...kafka.TopicPartition) { panic("later") }

// Close ends the consumer's tasks and connections.
func (c *Consumer) Close() { panic("later") }

func (e *LogTruncationError) Error() string {
	return fmt.Sprintf("%v: position %d was truncated: the logs part at offset %d, epoch %d",
		e.Partition, e.Position.Offset, e.Diverged.Offset, e.Diverged.Epoch)
}
