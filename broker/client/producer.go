package client

import (
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
)

// ProducerRecord is a record to be sent.
type ProducerRecord struct {
	Topic     string
	Partition Choice // zero: the partitioner chooses
	Timestamp int64  // milliseconds; zero: now
	Key       []byte
	Value     []byte
	Headers   []record.Header
}

// Choice is a partition, or the wish that the partitioner choose one.
type Choice int32

// To chooses partition p.
func To(p int32) Choice { return Choice(p + 1) }

// Outcome is what a producer knows about a record it was asked to send.
type Outcome uint8

const (
	// Acknowledged: as many replicas as acks asked for hold the record (with
	// acks=0: it was handed to the network).
	Acknowledged Outcome = iota
	// Failed: the record is not in the log, and never will be.
	Failed
	// Unknown: the record was sent, no answer settled whether it was written,
	// and it may even be written later, by a request that is still on its way.
	Unknown
)

var outcomes = [...]string{"ok", "failed", "unknown"}

func (o Outcome) String() string { return outcomes[o] }

// Delivery is what became of one record.
type Delivery struct {
	Partition kafka.TopicPartition
	Outcome   Outcome
	Err       error        // nil exactly if Acknowledged
	Offset    kafka.Offset // NoOffset if not acknowledged, or the broker did not say
	Timestamp int64        // of the record as the log has it

	// The identity under which it was last sent; NoProducer without idempotence
	// or if it was never sent.
	ProducerID kafka.ProducerID
	Epoch      kafka.ProducerEpoch
	Sequence   kafka.Sequence
}

// Callback is told of a delivery, exactly once for each record that Send took,
// and in the order of the sends for each partition. It runs in the producer's
// sender task and holds it up for as long as it takes.
type Callback func(Delivery)

// Producer sends records. Its tasks may be many.
type Producer struct{}

// NewProducer makes a producer. A configuration that contradicts itself is
// refused as in Kafka.
func (c *Client) NewProducer(cfg ProducerConfig) (*Producer, error) { panic("later") }

// Send takes r into a batch and returns; done (which may be nil) is called
// later. It blocks, at most max.block.ms, while the topic is unknown or the
// buffer is full. If it returns an error then r was not taken and done is not
// called: the record is not and will not be written. Key, Value and Headers
// are copied.
func (p *Producer) Send(r ProducerRecord, done Callback) error { panic("later") }

// SendSync sends r and blocks until its delivery is known.
func (p *Producer) SendSync(r ProducerRecord) Delivery { panic("later") }

// Flush sends what waits without lingering, and blocks until every record
// taken before the call has been delivered or has failed.
func (p *Producer) Flush() { panic("later") }

// PartitionsFor blocks until the number of partitions of topic is known, at
// most max.block.ms.
func (p *Producer) PartitionsFor(topic string) (int32, error) { panic("later") }

// Close waits up to timeout (env.Forever: without limit) for what was sent,
// fails what is left, and ends the producer's tasks and connections.
func (p *Producer) Close(timeout time.Duration) { panic("later") }
