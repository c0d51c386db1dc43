package server

import (
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/replica"
	"github.com/ktrial/ktrial/broker/txn"
	"github.com/ktrial/ktrial/sim/env"
)

// TransactionSettings are what a broker is told of transactions, by Kafka's names.
type TransactionSettings struct {
	LoadBuffer int32         `kafka:"transaction.state.log.load.buffer.size"`
	LoadDelay  time.Duration `kafka:"ktrial.coordinator.load.delay.ms"`
	Check      bool          `kafka:"ktrial.coordinator.check"`

	Partitions        int32 `kafka:"transaction.state.log.num.partitions"`
	ReplicationFactor int16 `kafka:"transaction.state.log.replication.factor"`
	MinISR            int32 `kafka:"transaction.state.log.min.isr"`
	SegmentBytes      int32 `kafka:"transaction.state.log.segment.bytes"`

	MaxTimeout   time.Duration `kafka:"transaction.max.timeout.ms"`
	TimeoutCheck time.Duration `kafka:"transaction.abort.timed.out.transaction.cleanup.interval.ms"`
	Expiration   time.Duration `kafka:"transactional.id.expiration.ms"`
	ExpiryCheck  time.Duration `kafka:"transaction.remove.expired.transaction.cleanup.interval.ms"`

	FirstEpoch int16 `kafka:"ktrial.transaction.first.epoch"`

	// Verify: leaders ask the coordinator before the first record of a transaction
	// whose client has added the partition itself (KIP-890), unless that is changed while they run.
	Verify         bool          `kafka:"transaction.partition.verification.enable"`
	AddBackoff     time.Duration `kafka:"add.partitions.to.txn.retry.backoff.ms"`
	AddBackoffMax  time.Duration `kafka:"add.partitions.to.txn.retry.backoff.max.ms"`
	RequestTimeout time.Duration `kafka:"request.timeout.ms"`
}

// ConfigKind says that these are brokers' settings.
func (TransactionSettings) ConfigKind() config.Kind { return config.Broker }

// runtime is what they say of the coordinator. Each change of a transactional id is a
// batch of its own, which is refused while too few replicas are in sync.
func (s *TransactionSettings) runtime(node kafka.NodeID) coordinator.Config {
	return coordinator.Config{
		Node: node, Topic: kafka.TransactionsTopic, LoadBuffer: s.LoadBuffer, LoadDelay: s.LoadDelay,
		Timeout: s.MaxTimeout, Acks: -1, Check: s.Check,
	}
}

// Transactions is the coordinator of transactions, as the APIs ask it: the runtime of
// __transaction_state, the markers on their way, and what leaders of partitions ask the
// coordinators.
type Transactions struct {
	host     env.Host
	settings TransactionSettings
	runtime  *coordinator.Runtime
	markers  *markerSender
	verifier verifier
	// partitions of __transaction_state, as they were when the broker learned of the
	// cluster: Kafka asks once.
	partitions int32

	// NewProducerID gives a producer id without blocking. The broker sets it before it
	// listens.
	NewProducerID func() (kafka.ProducerID, error)
}

// NewTransactions makes a coordinator that coordinates nothing yet: see Publisher.
func NewTransactions(host env.Host, node kafka.NodeID, s TransactionSettings, replicas *replica.Manager, image func() *metadata.Image, bugs *planted.Set) *Transactions {
	x := &Transactions{host: host, settings: s, partitions: s.Partitions}
	x.markers = newMarkerSender(host, node, image, s.RequestTimeout, x.markersWritten, bugs)
	x.verifier = verifier{host: host, node: node, image: image, partitionOf: x.partitionFor, timeout: s.RequestTimeout, asking: map[kafka.NodeID]*asking{}}
	x.runtime = coordinator.New(host, s.runtime(node), replicas, image, bugs, func(e coordinator.Env) coordinator.Machine {
		return txn.New(e, x.machine())
	})
	replicas.OnRole(x.runtime.RoleChanged)
	return x
}

// machine is what the settings say of transactions.
func (x *Transactions) machine() txn.Config {
	return txn.Config{
		MaxTimeout: x.settings.MaxTimeout, TimeoutCheck: x.settings.TimeoutCheck,
		Expiration: x.settings.Expiration, ExpiryCheck: x.settings.ExpiryCheck,
		RetryInterval: markerRetry, FirstEpoch: kafka.ProducerEpoch(x.settings.FirstEpoch),
		NewProducerID: func() (kafka.ProducerID, error) {
			if x.NewProducerID == nil {
				return 0, kerr.CoordinatorLoadInProgress
			}
			return x.NewProducerID()
		},
		Outbox: x.markers,
	}
}

// topic is __transaction_state as it is to be created (TransactionStateManager.transactionTopicConfigs).
func (x *Transactions) topic() kmsg.CreateTopicsRequestTopic {
	return internalTopicOf(kafka.TransactionsTopic, x.settings.Partitions, x.settings.ReplicationFactor, [][2]string{
		{"cleanup.policy", "compact"},
		{"compression.type", "uncompressed"},
		{"min.insync.replicas", strconv.Itoa(int(x.settings.MinISR))},
		{"segment.bytes", strconv.Itoa(int(x.settings.SegmentBytes))},
		{"unclean.leader.election.enable", "false"},
	})
}

// internalTopicOf is a coordinators' topic as it is to be created.
func internalTopicOf(name string, partitions int32, replicas int16, configs [][2]string) kmsg.CreateTopicsRequestTopic {
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, replicas
	for _, c := range configs {
		cfg := kmsg.NewCreateTopicsRequestTopicConfig()
		cfg.Name, cfg.Value = c[0], &c[1]
		topic.Configs = append(topic.Configs, cfg)
	}
	return topic
}

// ImageChanged tells of a new image that the replicas follow. The first one says how
// many partitions there are; ch is nil then.
func (x *Transactions) ImageChanged(im *metadata.Image, ch *metadata.Changes) {
	if ch == nil {
		if t := im.Topic(kafka.TransactionsTopic); t != nil {
			x.partitions = int32(len(t.Partitions))
		}
		return
	}
	x.markers.routeAgain()
}

// Close ends the coordinator.
func (x *Transactions) Close() {
	x.runtime.Close()
	x.markers.close()
}

// partitionFor is the partition that a transactional id belongs to.
func (x *Transactions) partitionFor(id string) int32 { return txn.PartitionFor(id, x.partitions) }

// write has an id's machine decide, and waits until that is committed. It blocks.
func (x *Transactions) write(id, name string, decide func(m *txn.Machine) (coordinator.Decision, error)) error {
	return x.runtime.Write(x.partitionFor(id), name, x.settings.MaxTimeout, func(m coordinator.Machine) (coordinator.Decision, error) {
		return decide(m.(*txn.Machine))
	})
}

// read looks at a machine. It blocks until the events before it are over.
func (x *Transactions) read(partition int32, f func(m *txn.Machine) error) error {
	return x.runtime.Read(partition, func(m coordinator.Machine) error { return f(m.(*txn.Machine)) })
}

// markersWritten has the coordinator write that a transaction is over. It does not block.
func (x *Transactions) markersWritten(m txn.Marker) {
	x.runtime.Start(m.Shard, "markers written", x.settings.MaxTimeout, func(c coordinator.Machine) (coordinator.Decision, error) {
		return c.(*txn.Machine).MarkersWritten(m)
	}, func(error) {})
}

// byTopic are partitions in their order, those of a topic that stand together as one.
func byTopic(partitions []kafka.TopicPartition) (topics [][]kafka.TopicPartition) {
	for start := 0; start < len(partitions); {
		end := start + 1
		for end < len(partitions) && partitions[end].Topic == partitions[start].Topic {
			end++
		}
		topics = append(topics, partitions[start:end])
		start = end
	}
	return topics
}
