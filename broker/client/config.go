package client

import (
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
)

// Common is the configuration that all three clients have.
type Common struct {
	RequestTimeout      time.Duration `kafka:"request.timeout.ms" default:"30000" min:"1"`
	ReconnectBackoff    time.Duration `kafka:"reconnect.backoff.ms" default:"50"`
	ReconnectBackoffMax time.Duration `kafka:"reconnect.backoff.max.ms" default:"1000"`
	RetryBackoff        time.Duration `kafka:"retry.backoff.ms" default:"100"`
	RetryBackoffMax     time.Duration `kafka:"retry.backoff.max.ms" default:"1000"`
	MetadataMaxAge      time.Duration `kafka:"metadata.max.age.ms" default:"300000"`
	ConnectionSetup     time.Duration `kafka:"socket.connection.setup.timeout.ms" default:"10000"`
	ConnectionSetupMax  time.Duration `kafka:"socket.connection.setup.timeout.max.ms" default:"30000"`
	ConnectionsMaxIdle  time.Duration `kafka:"connections.max.idle.ms" default:"540000"`
	// Rebootstrap asks the bootstrap servers again when no known broker has
	// answered for RebootstrapTrigger (KIP-899, KIP-1102).
	Recovery           Recovery      `kafka:"metadata.recovery.strategy" default:"rebootstrap"`
	RebootstrapTrigger time.Duration `kafka:"metadata.recovery.rebootstrap.trigger.ms" default:"300000"`
}

// ProducerConfig is Kafka's producer configuration.
type ProducerConfig struct {
	Common
	Acks             Acks             `kafka:"acks" default:"all"`
	Idempotence      bool             `kafka:"enable.idempotence" default:"true"`
	Linger           time.Duration    `kafka:"linger.ms" default:"5"`
	BatchSize        int32            `kafka:"batch.size" default:"16384" min:"0"`
	BufferMemory     int64            `kafka:"buffer.memory" default:"33554432"`
	MaxBlock         time.Duration    `kafka:"max.block.ms" default:"60000"`
	Compression      record.Codec     `kafka:"compression.type" default:"none"`
	MaxRequestSize   int32            `kafka:"max.request.size" default:"1048576"`
	MaxInFlight      int32            `kafka:"max.in.flight.requests.per.connection" default:"5" min:"1"`
	DeliveryTimeout  time.Duration    `kafka:"delivery.timeout.ms" default:"120000"`
	Retries          int32            `kafka:"retries" default:"2147483647"`
	MetadataMaxIdle  time.Duration    `kafka:"metadata.max.idle.ms" default:"300000"`
	IgnoreKeys       bool             `kafka:"partitioner.ignore.keys" default:"false"`
	PartitionerClass PartitionerClass `kafka:"partitioner.class" default:""`
	Adaptive         bool             `kafka:"partitioner.adaptive.partitioning.enable" default:"true"`
	// Partitioner chooses partitions instead of PartitionerClass, if set.
	Partitioner Partitioner
	// FirstSequence is where a new producer id begins to number each partition;
	// 0 in Kafka. Near 2^31 it brings about what a wrap does.
	FirstSequence kafka.Sequence
}

// Check refuses what contradicts itself, as Kafka does.
func (cfg *ProducerConfig) Check() error {
	for _, rule := range []struct {
		broken bool
		says   string
	}{
		{cfg.Idempotence && cfg.Acks != AcksAll, "enable.idempotence needs acks=all"},
		{cfg.Idempotence && cfg.Retries == 0, "enable.idempotence needs retries above 0"},
		{cfg.Idempotence && cfg.MaxInFlight > 5, "enable.idempotence needs max.in.flight.requests.per.connection of at most 5"},
		{cfg.MaxInFlight < 1, "max.in.flight.requests.per.connection must be at least 1"},
		{cfg.DeliveryTimeout < cfg.Linger+cfg.RequestTimeout, "delivery.timeout.ms must be at least linger.ms + request.timeout.ms"},
		{cfg.BatchSize < 0, "batch.size must be at least 0"},
	} {
		if rule.broken {
			return fmt.Errorf("client: producer configuration: %s: %w", rule.says, kerr.InvalidConfig)
		}
	}
	return nil
}

// ConsumerConfig is Kafka's consumer configuration.
type ConsumerConfig struct {
	Common
	FetchMinBytes          int32          `kafka:"fetch.min.bytes" default:"1"`
	FetchMaxWait           time.Duration  `kafka:"fetch.max.wait.ms" default:"500"`
	FetchMaxBytes          int32          `kafka:"fetch.max.bytes" default:"52428800" min:"0"`
	MaxPartitionFetchBytes int32          `kafka:"max.partition.fetch.bytes" default:"1048576" min:"0"`
	MaxPollRecords         int32          `kafka:"max.poll.records" default:"500" min:"1"`
	AutoOffsetReset        OffsetReset    `kafka:"auto.offset.reset" default:"latest"`
	IsolationLevel         IsolationLevel `kafka:"isolation.level" default:"read_uncommitted"`
	CheckCRCs              bool           `kafka:"check.crcs" default:"true"`
	ClientRack             string         `kafka:"client.rack" default:""`
	DefaultAPITimeout      time.Duration  `kafka:"default.api.timeout.ms" default:"60000"`
}

// AdminConfig is Kafka's admin configuration.
type AdminConfig struct {
	Common
	DefaultAPITimeout time.Duration `kafka:"default.api.timeout.ms" default:"60000"`
}

// ProducerDefaults is a producer as Kafka ships it.
func ProducerDefaults() (cfg ProducerConfig) { config.Default(&cfg); return }

// ConsumerDefaults is a consumer as Kafka ships it.
func ConsumerDefaults() (cfg ConsumerConfig) { config.Default(&cfg); return }

// AdminDefaults is an admin as Kafka ships it.
func AdminDefaults() (cfg AdminConfig) { config.Default(&cfg); return }

// Acks is how many replicas must hold a record before its producer is told.
type Acks int16

// The three values that Kafka knows.
const (
	AcksAll    Acks = -1 // the whole in-sync replica set
	AcksNone   Acks = 0  // nobody is asked: the broker does not even answer
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

// OffsetReset is where a consumer goes that has no valid position.
type OffsetReset int8

// Earliest and Latest go to an end of the log, NoReset returns an error.
const (
	Latest OffsetReset = iota
	Earliest
	NoReset
)

var offsetResets = []string{"latest", "earliest", "none"}

// Set parses Kafka's form.
func (r *OffsetReset) Set(s string) error { return pick(r, s, offsetResets) }

func (r OffsetReset) String() string { return offsetResets[r] }

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
func (r *Recovery) Set(s string) error { return pick(r, s, recoveries) }

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
