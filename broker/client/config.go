package client

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/assignor"
	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
)

// Common is the configuration that all three clients have.
type Common struct {
	RequestTimeout      time.Duration `kafka:"request.timeout.ms"`
	ReconnectBackoff    time.Duration `kafka:"reconnect.backoff.ms"`
	ReconnectBackoffMax time.Duration `kafka:"reconnect.backoff.max.ms"`
	RetryBackoff        time.Duration `kafka:"retry.backoff.ms"`
	RetryBackoffMax     time.Duration `kafka:"retry.backoff.max.ms"`
	MetadataMaxAge      time.Duration `kafka:"metadata.max.age.ms"`
	ConnectionSetup     time.Duration `kafka:"socket.connection.setup.timeout.ms"`
	ConnectionSetupMax  time.Duration `kafka:"socket.connection.setup.timeout.max.ms"`
	ConnectionsMaxIdle  time.Duration `kafka:"connections.max.idle.ms"`
	SendBuffer          int32         `kafka:"send.buffer.bytes"`
	ReceiveBuffer       int32         `kafka:"receive.buffer.bytes"`
	// Rebootstrap asks the bootstrap servers again when no known broker has
	// answered for RebootstrapTrigger (KIP-899, KIP-1102).
	Recovery           Recovery      `kafka:"metadata.recovery.strategy"`
	RebootstrapTrigger time.Duration `kafka:"metadata.recovery.rebootstrap.trigger.ms"`
}

// ProducerConfig is Kafka's producer configuration.
type ProducerConfig struct {
	Common
	Acks             Acks             `kafka:"acks"`
	Idempotence      bool             `kafka:"enable.idempotence"`
	Linger           time.Duration    `kafka:"linger.ms"`
	BatchSize        int32            `kafka:"batch.size"`
	BufferMemory     int64            `kafka:"buffer.memory"`
	MaxBlock         time.Duration    `kafka:"max.block.ms"`
	Compression      record.Codec     `kafka:"compression.type"`
	GzipLevel        record.Level     `kafka:"compression.gzip.level"`
	LZ4Level         record.Level     `kafka:"compression.lz4.level"`
	ZstdLevel        record.Level     `kafka:"compression.zstd.level"`
	MaxRequestSize   int32            `kafka:"max.request.size"`
	MaxInFlight      int32            `kafka:"max.in.flight.requests.per.connection"`
	DeliveryTimeout  time.Duration    `kafka:"delivery.timeout.ms"`
	Retries          int32            `kafka:"retries"`
	MetadataMaxIdle  time.Duration    `kafka:"metadata.max.idle.ms"`
	IgnoreKeys       bool             `kafka:"partitioner.ignore.keys"`
	PartitionerClass PartitionerClass `kafka:"partitioner.class"`
	Adaptive         bool             `kafka:"partitioner.adaptive.partitioning.enable"`
	// TransactionalID names the producer over all its lives; empty: it has no
	// transactions.
	TransactionalID    string        `kafka:"transactional.id"`
	TransactionTimeout time.Duration `kafka:"transaction.timeout.ms"`
	// TransactionVersion is the newest transaction.version that the producer knows: with
	// less than 2 it is a client from before KIP-890.
	TransactionVersion int16 `kafka:"ktrial.transaction.version"`
	// Partitioner chooses partitions instead of PartitionerClass, if set.
	Partitioner Partitioner
	// StickyForABatch has UniformSticky choose another partition for each new batch, as
	// clients from 2.4 to 3.2 did (KIP-480), and not after batch.size bytes (KIP-794).
	StickyForABatch bool
	// FirstSequence is where a new producer id begins to number each partition;
	// 0 in Kafka. Near 2^31 it brings about what a wrap does.
	FirstSequence kafka.Sequence
	// Bugs are those that are planted in the producer; nil: none.
	Bugs *planted.Set
}

// Level is how hard a codec tries (KIP-390).
func (cfg *ProducerConfig) Level(codec record.Codec) record.Level {
	return record.Levels{Gzip: cfg.GzipLevel, LZ4: cfg.LZ4Level, Zstd: cfg.ZstdLevel}.Of(codec)
}

// ConfigKind says that these are producers' settings.
func (ProducerConfig) ConfigKind() config.Kind { return config.Producer }

// Check refuses what Kafka would refuse, as if each setting had been given.
func (cfg *ProducerConfig) Check() error {
	if err := config.Check(config.Producer, config.Texts(cfg)); err != nil {
		return fmt.Errorf("client: producer configuration: %w: %w", err, kerr.InvalidConfig)
	}
	return nil
}

// ConsumerConfig is Kafka's consumer configuration.
type ConsumerConfig struct {
	Common
	FetchMinBytes          int32          `kafka:"fetch.min.bytes"`
	FetchMaxWait           time.Duration  `kafka:"fetch.max.wait.ms"`
	FetchMaxBytes          int32          `kafka:"fetch.max.bytes"`
	MaxPartitionFetchBytes int32          `kafka:"max.partition.fetch.bytes"`
	MaxPollRecords         int32          `kafka:"max.poll.records"`
	AutoOffsetReset        OffsetReset    `kafka:"auto.offset.reset"`
	IsolationLevel         IsolationLevel `kafka:"isolation.level"`
	CheckCRCs              bool           `kafka:"check.crcs"`
	ClientRack             string         `kafka:"client.rack"`
	DefaultAPITimeout      time.Duration  `kafka:"default.api.timeout.ms"`

	// Of a member of a group. Without GroupID there is no group: partitions can
	// only be assigned, and nothing can be committed.
	GroupID            string        `kafka:"group.id"`
	GroupInstanceID    string        `kafka:"group.instance.id"`
	GroupProtocol      GroupProtocol `kafka:"group.protocol"`
	AssignmentStrategy AssignorList  `kafka:"partition.assignment.strategy"`
	RemoteAssignor     string        `kafka:"group.remote.assignor"`
	SessionTimeout     time.Duration `kafka:"session.timeout.ms"`
	HeartbeatInterval  time.Duration `kafka:"heartbeat.interval.ms"`
	MaxPollInterval    time.Duration `kafka:"max.poll.interval.ms"`
	EnableAutoCommit   bool          `kafka:"enable.auto.commit"`
	AutoCommitInterval time.Duration `kafka:"auto.commit.interval.ms"`
	// Assignors are used instead of AssignmentStrategy, if set: a guest's own.
	Assignors []assignor.Assignor
	// Bugs are those that are planted in the consumer; nil: none.
	Bugs *planted.Set
}

// ConfigKind says that these are consumers' settings.
func (ConsumerConfig) ConfigKind() config.Kind { return config.Consumer }

// AdminConfig is Kafka's admin configuration.
type AdminConfig struct {
	Common
	DefaultAPITimeout time.Duration `kafka:"default.api.timeout.ms"`
}

// ConfigKind says that these are admin clients' settings.
func (AdminConfig) ConfigKind() config.Kind { return config.Admin }

// ProducerDefaults is a producer as Kafka ships it.
func ProducerDefaults() (cfg ProducerConfig) { config.Default(&cfg); return }

// ConsumerDefaults is a consumer as Kafka ships it.
func ConsumerDefaults() (cfg ConsumerConfig) { config.Default(&cfg); return }

// AdminDefaults is an admin as Kafka ships it.
func AdminDefaults() (cfg AdminConfig) { config.Default(&cfg); return }

// ReadProducer reads a producer's configuration as Kafka's producer does: given
// is what is set, by Kafka's names. What Kafka would refuse is refused, in Kafka's
// words; idempotence and delivery.timeout.ms that are not given yield to what is.
func ReadProducer(given map[string]string) (ProducerConfig, error) {
	cfg := ProducerDefaults()
	if err := read(&cfg, config.Producer, given); err != nil {
		return cfg, err
	}
	v := config.Values{Kind: config.Producer, Given: given}
	cfg.Idempotence = v.Idempotent()
	cfg.DeliveryTimeout = time.Duration(v.DeliveryTimeout()) * time.Millisecond
	return cfg, nil
}

// ReadConsumer reads a consumer's configuration as Kafka's consumer does.
func ReadConsumer(given map[string]string) (ConsumerConfig, error) {
	cfg := ConsumerDefaults()
	err := read(&cfg, config.Consumer, given)
	return cfg, err
}

// read checks what is given, and sets what has an effect here.
func read(cfg any, kind config.Kind, given map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if config.Find(kind, name) == nil {
			return config.Unknown(name, kind)
		}
	}
	if err := config.Check(kind, given); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if config.Has(cfg, name) {
			if err := config.Set(cfg, name, given[name]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Effective are the settings of producers, consumers and admins that have an
// effect here.
func Effective() []*config.Definition {
	return slices.Concat(config.Fields(&ProducerConfig{}), config.Fields(&ConsumerConfig{}), config.Fields(&AdminConfig{}))
}

// Acks is how many replicas must hold a record before its producer is answered.
type Acks int16

// The three values that Kafka knows.
const (
	AcksAll    Acks = -1 // the whole in-sync replica set
	AcksNone   Acks = 0  // the broker does not even answer
	AcksLeader Acks = 1
)

// Set parses Kafka's form.
func (a *Acks) Set(s string) error {
	switch s {
	case "all", "-1":
		*a = AcksAll
	case "0":
		*a = AcksNone
	case "1":
		*a = AcksLeader
	default:
		return fmt.Errorf("found %q, expected all, -1, 0 or 1", s)
	}
	return nil
}

func (a Acks) String() string {
	if a == AcksAll {
		return "all"
	}
	return fmt.Sprint(int16(a))
}

// IsolationLevel says whether a consumer sees what is not committed.
type IsolationLevel int8

// The numbers are those of the wire.
const (
	ReadUncommitted IsolationLevel = iota
	ReadCommitted
)

var isolationLevels = []string{"read_uncommitted", "read_committed"}

// Set parses Kafka's form.
func (l *IsolationLevel) Set(s string) error { return pick(l, s, isolationLevels) }

func (l IsolationLevel) String() string { return isolationLevels[l] }

// Recovery is what a client does that can reach no broker it knows.
type Recovery int8

// Rebootstrap begins again at the bootstrap servers.
const (
	Rebootstrap Recovery = iota
	NoRecovery
)

var recoveries = []string{"rebootstrap", "none"}

// Set parses Kafka's form.
func (r *Recovery) Set(s string) error { return pick(r, strings.ToLower(s), recoveries) }

func (r Recovery) String() string { return recoveries[r] }

func pick[T ~int8](to *T, s string, names []string) error {
	for i, name := range names {
		if s == name {
			*to = T(i)
			return nil
		}
	}
	return fmt.Errorf("found %q, expected one of %s", s, strings.Join(names, ", "))
}
