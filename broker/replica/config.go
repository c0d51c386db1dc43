package replica

import (
	"time"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
)

// Config is what a broker gives its replicas, by Kafka's names.
type Config struct {
	NodeID kafka.NodeID
	// TopicDefaults are the broker's defaults for topics that set nothing
	// themselves. Nil: Kafka's.
	TopicDefaults *log.Config

	LagTimeMax        time.Duration `kafka:"replica.lag.time.max.ms"`
	Fetchers          int32         `kafka:"num.replica.fetchers"`
	FetchMinBytes     int32         `kafka:"replica.fetch.min.bytes"`
	FetchMaxBytes     int32         `kafka:"replica.fetch.max.bytes"`
	FetchResponseMax  int32         `kafka:"replica.fetch.response.max.bytes"`
	FetchWaitMax      time.Duration `kafka:"replica.fetch.wait.max.ms"`
	FetchBackoff      time.Duration `kafka:"replica.fetch.backoff.ms"`
	SocketTimeout     time.Duration `kafka:"replica.socket.timeout.ms"`
	ReceiveBuffer     int32         `kafka:"replica.socket.receive.buffer.bytes"`
	HWCheckpoint      time.Duration `kafka:"replica.high.watermark.checkpoint.interval.ms"`
	FlushCheckpoint   time.Duration `kafka:"log.flush.offset.checkpoint.interval.ms"`
	RetentionCheck    time.Duration `kafka:"log.retention.check.interval.ms"`
	ProducerExpiry    time.Duration `kafka:"producer.id.expiration.check.interval.ms"`
	ConsumerMaxBytes  int32         `kafka:"fetch.max.bytes"`
	FetchSessionSlots int32         `kafka:"max.incremental.fetch.session.cache.slots"`

	Cleaner log.CleanerConfig
}

// ConfigKind says that these are brokers' settings.
func (Config) ConfigKind() config.Kind { return config.Broker }

// Two numbers that Kafka has in its code rather than in its configuration.
const (
	// alterPartitionRetry is the pause after the controller could not be asked.
	alterPartitionRetry = 50 * time.Millisecond
	// sessionEviction is how long a fetch session lies unused before any other
	// may replace it (min.incremental.fetch.session.eviction.ms).
	sessionEviction = 120 * time.Second
)
