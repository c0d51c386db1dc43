package log

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim/env"
)

// segmented is a log with a segment for each of the ages: a record of that age
// and one a second older, 200 bytes and more.
func segmented(t *testing.T, h env.Host, cfg Config, ages ...time.Duration) *Log {
	l, err := Open(h, "orders-0", orders, cfg, Options{})
	require.NoError(t, err)
	for i, age := range ages {
		if i > 0 {
			require.NoError(t, l.roll())
		}
		at := h.Now().Millis() - age.Milliseconds()
		for _, ts := range []int64{at, at - 1000} {
			_, err := l.AppendAsLeader(batch(ts, record.Options{}, 1, 200), 0)
			require.NoError(t, err)
		}
	}
	require.Len(t, l.segments, len(ages))
	return l
}

// What retention takes: whole segments from the front, as long as each is too
// old, or too much, or below the log start offset.
func TestRetention(t *testing.T) {
	const hour = time.Hour
	size := func(l *Log) int64 { return l.segments[0].size }
	for _, tc := range []struct {
		name  string
		ages  []time.Duration
		set   func(*Config)
		hw    kafka.Offset // 0: the end
		start kafka.Offset // of the log, when retention comes
		want  kafka.Offset // the first offset that is left
		left  int          // segments
	}{
		{"nothing is too old", []time.Duration{hour, hour, 0}, nil, 0, 0, 0, 3},
		{"the youngest record counts", []time.Duration{2*hour + time.Second, 2*hour - time.Second, 0}, nil, 0, 0, 2, 2},
		{"one that is young keeps what follows", []time.Duration{3 * hour, hour, 3 * hour, 0}, nil, 0, 0, 2, 3},
		{"all are too old: a new one is begun", []time.Duration{3 * hour, 3 * hour}, nil, 0, 0, 4, 1},
		{"what is not committed stays", []time.Duration{3 * hour, 3 * hour, 0}, nil, 3, 0, 2, 2},
		{"a future timestamp keeps its segment", []time.Duration{-30 * time.Minute, 3 * hour, 0}, nil, 0, 0, 0, 3},
		{"for ever", []time.Duration{1000 * hour, 0}, func(c *Config) { c.RetentionTime = -time.Millisecond }, 0, 0, 0, 2},
		{"a compacted topic keeps everything", []time.Duration{3 * hour, 0}, func(c *Config) { c.CleanupPolicy = CleanupPolicy{Compact: true} }, 0, 0, 0, 2},
		{"one that is also deleted does not", []time.Duration{3 * hour, 0}, func(c *Config) { c.CleanupPolicy = CleanupPolicy{Compact: true, Delete: true} }, 0, 0, 2, 1},
		{"compacted, but below the log start offset", []time.Duration{0, 0, 0}, func(c *Config) { c.CleanupPolicy = CleanupPolicy{Compact: true} }, 0, 5, 5, 1},
		{"the log start offset is inside of a segment", []time.Duration{0, 0, 0}, nil, 0, 3, 3, 2},
		{"too many bytes", []time.Duration{0, 0, 0, 0}, func(c *Config) { c.RetentionBytes = 2 }, 0, 0, 4, 2},
		{"not one segment too many", []time.Duration{0, 0, 0, 0}, func(c *Config) { c.RetentionBytes = 3 }, 0, 0, 2, 3},
		{"room for none", []time.Duration{0, 0}, func(c *Config) { c.RetentionBytes = 0 }, 0, 0, 4, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onDisk(t, func(h env.Host) {
				cfg := tiny()
				cfg.RetentionTime = 2 * time.Hour
				cfg.TimestampBeforeMax, cfg.TimestampAfterMax = 10000*hour, 10000*hour
				l := segmented(t, h, cfg, tc.ages...)
				if tc.set != nil {
					tc.set(&cfg)
					if cfg.RetentionBytes > 0 {
						cfg.RetentionBytes *= size(l) // counted in segments
					}
					l.SetConfig(cfg)
				}
				if tc.start > 0 {
					require.NoError(t, l.SetStartOffset(tc.start))
				}
				hw := tc.hw
				if hw == 0 {
					hw = l.EndOffset()
				}
				_, err := l.ApplyRetention(hw)
				require.NoError(t, err)
				assert.Equal(t, tc.want, l.StartOffset())
				assert.Len(t, l.segments, tc.left)
				again, err := l.ApplyRetention(hw)
				require.NoError(t, err)
				assert.Zero(t, again, "there is nothing left to do")
			})
		})
	}
}

// When a segment is full: too many bytes, too old a first record, no room in an
// index.
func TestRoll(t *testing.T) {
	for _, tc := range []struct {
		name  string
		set   func(*Config)
		times []time.Duration // of a batch of 100 bytes and more each
		want  []kafka.Offset  // where segments begin
	}{
		{"by size", func(c *Config) { c.SegmentBytes = 400 }, []time.Duration{0, 0, 0, 0, 0}, []kafka.Offset{0, 2, 4}},
		{"by the time since the first record", func(c *Config) { c.SegmentTime = time.Minute }, []time.Duration{0, time.Minute, time.Minute + time.Second, time.Minute + 2*time.Second}, []kafka.Offset{0, 2}},
		{"by records that come late", func(c *Config) { c.SegmentTime = time.Minute }, []time.Duration{time.Hour, 0, 0}, []kafka.Offset{0}},
		{"by a time index with room for one entry and the last", func(c *Config) { c.IndexIntervalBytes, c.SegmentIndexBytes = 1, 24 }, []time.Duration{0, 0, 0, 0, 0}, []kafka.Offset{0, 2, 4}},
		{"by an offset index with room for four", func(c *Config) { c.IndexIntervalBytes, c.SegmentIndexBytes = 1, 36 }, []time.Duration{0, 0, 0, 0, 0, 0}, []kafka.Offset{0, 5}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onDisk(t, func(h env.Host) {
				cfg := tiny()
				cfg.SegmentBytes, cfg.SegmentIndexBytes, cfg.IndexIntervalBytes = 1<<20, 1<<20, 1<<20
				cfg.TimestampAfterMax = 1000 * time.Hour
				tc.set(&cfg)
				l, err := Open(h, "orders-0", orders, cfg, Options{})
				require.NoError(t, err)
				began := h.Now().Millis()
				for _, at := range tc.times {
					_, err := l.AppendAsLeader(batch(began+at.Milliseconds(), record.Options{}, 1, 100), 0)
					require.NoError(t, err)
				}
				var bases []kafka.Offset
				for _, s := range l.segments {
					bases = append(bases, s.base)
				}
				assert.Equal(t, tc.want, bases)
			})
		})
	}
}
