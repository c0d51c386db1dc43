package log

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/record"
)

// Config is a topic's configuration, by Kafka's names. A broker's own log.*
// settings are the defaults of its topics. The replica layer reads some of it.
type Config struct {
	CleanupPolicy       CleanupPolicy   `kafka:"cleanup.policy"`
	CompressionType     CompressionType `kafka:"compression.type"`
	GzipLevel           record.Level    `kafka:"compression.gzip.level"`
	LZ4Level            record.Level    `kafka:"compression.lz4.level"`
	ZstdLevel           record.Level    `kafka:"compression.zstd.level"`
	DeleteRetention     time.Duration   `kafka:"delete.retention.ms"`
	FileDeleteDelay     time.Duration   `kafka:"file.delete.delay.ms"`
	FlushMessages       int64           `kafka:"flush.messages"`
	FlushInterval       time.Duration   `kafka:"flush.ms"`
	IndexIntervalBytes  int32           `kafka:"index.interval.bytes"`
	MaxCompactionLag    time.Duration   `kafka:"max.compaction.lag.ms"`
	MaxMessageBytes     int32           `kafka:"max.message.bytes"`
	TimestampType       TimestampType   `kafka:"message.timestamp.type"`
	TimestampBeforeMax  time.Duration   `kafka:"message.timestamp.before.max.ms"`
	TimestampAfterMax   time.Duration   `kafka:"message.timestamp.after.max.ms"`
	MinDirtyRatio       float64         `kafka:"min.cleanable.dirty.ratio"`
	MinCompactionLag    time.Duration   `kafka:"min.compaction.lag.ms"`
	MinInsyncReplicas   int32           `kafka:"min.insync.replicas"`
	RetentionBytes      int64           `kafka:"retention.bytes"`
	RetentionTime       time.Duration   `kafka:"retention.ms"`
	SegmentBytes        int32           `kafka:"segment.bytes"`
	SegmentIndexBytes   int32           `kafka:"segment.index.bytes"`
	SegmentJitter       time.Duration   `kafka:"segment.jitter.ms"`
	SegmentTime         time.Duration   `kafka:"segment.ms"`
	UncleanLeaderChoice bool            `kafka:"unclean.leader.election.enable"`
}

// ConfigKind says that these are topics' settings.
func (Config) ConfigKind() config.Kind { return config.Topic }

// CleanupPolicy says how old records leave the log: with their segment when that
// is old (delete), or when a later record has their key (compact).
type CleanupPolicy struct{ Delete, Compact bool }

// Set parses a list such as "compact,delete".
func (p *CleanupPolicy) Set(s string) error {
	var out CleanupPolicy
	for name := range strings.SplitSeq(s, ",") {
		switch strings.TrimSpace(name) {
		case "delete":
			out.Delete = true
		case "compact":
			out.Compact = true
		case "":
		default:
			return fmt.Errorf("found %q, expected delete, compact or both", name)
		}
	}
	*p = out
	return nil
}

// Items are the policies' names.
func (p CleanupPolicy) Items() (names []string) {
	if p.Compact {
		names = append(names, "compact")
	}
	if p.Delete {
		names = append(names, "delete")
	}
	return names
}

func (p CleanupPolicy) String() string { return strings.Join(p.Items(), ",") }

// CompressionType is what the log makes of the batches it is given: the
// producer's own codec, or always the same.
type CompressionType struct {
	Fixed bool // recompress to Codec
	Codec record.Codec
}

// Set parses producer, uncompressed or the name of a codec.
func (c *CompressionType) Set(s string) error {
	switch s {
	case "producer":
		*c = CompressionType{}
		return nil
	case "uncompressed":
		*c = CompressionType{Fixed: true}
		return nil
	}
	var codec record.Codec
	if err := codec.Set(s); err != nil || codec == record.None {
		return fmt.Errorf("found %q, expected producer, uncompressed, gzip, snappy, lz4 or zstd", s)
	}
	*c = CompressionType{Fixed: true, Codec: codec}
	return nil
}

// Level is how hard a codec tries (KIP-390).
func (cfg *Config) Level(codec record.Codec) record.Level {
	return record.Levels{Gzip: cfg.GzipLevel, LZ4: cfg.LZ4Level, Zstd: cfg.ZstdLevel}.Of(codec)
}

func (c CompressionType) String() string {
	switch {
	case !c.Fixed:
		return "producer"
	case c.Codec == record.None:
		return "uncompressed"
	}
	return c.Codec.String()
}

// TimestampType is the clock that a record's timestamp comes from (KIP-32).
type TimestampType bool

// The types of timestamps.
const (
	CreateTime    TimestampType = false
	LogAppendTime TimestampType = true
)

// Set parses the type's name.
func (t *TimestampType) Set(s string) error {
	switch s {
	case "CreateTime":
		*t = CreateTime
	case "LogAppendTime":
		*t = LogAppendTime
	default:
		return fmt.Errorf("found %q, expected CreateTime or LogAppendTime", s)
	}
	return nil
}

func (t TimestampType) String() string {
	if t == LogAppendTime {
		return "LogAppendTime"
	}
	return "CreateTime"
}

// segmentTime is when a segment is full whatever its size. A record that must be
// compacted within a time must leave the active segment within it (KIP-354).
func (c *Config) segmentTime() time.Duration {
	if c.CleanupPolicy.Compact && c.MaxCompactionLag > 0 {
		return min(c.SegmentTime, c.MaxCompactionLag)
	}
	return c.SegmentTime
}

// drawJitter is how much sooner than segment.ms a segment rolls, so that those
// of many partitions do not all roll at once.
func (c *Config) drawJitter(rng *rand.Rand) time.Duration {
	limit := min(c.SegmentJitter, c.SegmentTime)
	if limit <= 0 {
		return 0
	}
	return time.Duration(rng.Int64N(int64(limit)))
}
