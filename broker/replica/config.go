package replica

import (
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
)

// Config is what a broker tells its replicas, by Kafka's names.
type Config struct {
	NodeID kafka.NodeID
	// TopicDefaults are the broker's defaults for topics that set nothing
	// themselves. Nil: Kafka's.
	TopicDefaults *log.Config

	LagTimeMax        time.Duration `kafka:"replica.lag.time.max.ms" default:"30000"`
	FetchMinBytes     int32         `kafka:"replica.fetch.min.bytes" default:"1"`
	FetchMaxBytes     int32         `kafka:"replica.fetch.max.bytes" default:"1048576"`
	FetchResponseMax  int32         `kafka:"replica.fetch.response.max.bytes" default:"10485760"`
	FetchWaitMax      time.Duration `kafka:"replica.fetch.wait.max.ms" default:"500"`
	FetchBackoff      time.Duration `kafka:"replica.fetch.backoff.ms" default:"1000"`
	SocketTimeout     time.Duration `kafka:"replica.socket.timeout.ms" default:"30000"`
	HWCheckpoint      time.Duration `kafka:"replica.high.watermark.checkpoint.interval.ms" default:"5000"`
	FlushCheckpoint   time.Duration `kafka:"log.flush.offset.checkpoint.interval.ms" default:"60000"`
	RetentionCheck    time.Duration `kafka:"log.retention.check.interval.ms" default:"300000"`
	ProducerExpiry    time.Duration `kafka:"producer.id.expiration.check.interval.ms" default:"600000"`
	ConsumerMaxBytes  int32         `kafka:"fetch.max.bytes" default:"57671680"`
	FetchSessionSlots int32         `kafka:"max.incremental.fetch.session.cache.slots" default:"1000"`
}

// Two numbers that Kafka has in its code rather than in its configuration.
const (
	// alterPartitionRetry is the pause after the controller could not be asked.
	alterPartitionRetry = 50 * time.Millisecond
	// sessionEviction is how long a fetch session lies unused before any other
	// may take its place (min.incremental.fetch.session.eviction.ms).
	sessionEviction = 120 * time.Second
)
