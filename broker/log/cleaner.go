package log

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim/env"
)

// CleanerConfig is what a broker tells its log cleaner, by Kafka's names.
type CleanerConfig struct {
	Enable           bool          `kafka:"log.cleaner.enable"`
	Threads          int32         `kafka:"log.cleaner.threads"`
	DedupeBufferSize int64         `kafka:"log.cleaner.dedupe.buffer.size"`
	LoadFactor       float64       `kafka:"log.cleaner.io.buffer.load.factor"` // of the map of keys, despite its name
	IOBufferSize     int32         `kafka:"log.cleaner.io.buffer.size"`
	IOMaxBytesPerSec float64       `kafka:"log.cleaner.io.max.bytes.per.second"`
	Backoff          time.Duration `kafka:"log.cleaner.backoff.ms"`
}

// ConfigKind says that these are brokers' settings.
func (CleanerConfig) ConfigKind() config.Kind { return config.Broker }

// keys is how many keys one pass may map. Kafka's buffer for them is no larger than
// an array of Java.
func (c *CleanerConfig) keys() int {
	buffer := min(c.DedupeBufferSize/int64(max(1, c.Threads)), math.MaxInt32)
	return max(1, int(float64(buffer/keyMapEntry)*c.LoadFactor)) // or a pass would get nowhere
}

// Compacted is a log for the cleaner. HW is the high watermark of its replica.
type Compacted struct {
	*Log
	HW func() kafka.Offset
}

// Cleaner compacts logs of a directory, one after the other, as one thread of
// Kafka's log cleaner does. Several may share a directory.
type Cleaner struct {
	dir  *Dir
	host env.Host
	cfg  CleanerConfig

	keys      keyMap
	compactor compactor
	throttle  throttle
}

// NewCleaner makes a cleaner for the logs of d.
func (d *Dir) NewCleaner(cfg CleanerConfig) *Cleaner {
	return &Cleaner{dir: d, host: d.host, cfg: cfg}
}

// SetConfig takes a changed configuration, from the next log on.
func (c *Cleaner) SetConfig(cfg CleanerConfig) { c.cfg = cfg }

// CleanFilthiest compacts the log in which the largest part is not compacted yet.
// It reports false if none needs it. A log whose records cannot be read is left
// out from then on, as in Kafka; an error is the disk's. It blocks.
func (c *Cleaner) CleanFilthiest(logs []Compacted) (cleaned bool, err error) {
	x, err := c.filthiest(logs)
	if err != nil || x == nil {
		return false, err
	}
	l := x.log.Log
	l.cleaning = true
	err = c.clean(x)
	l.cleaning = false
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, errCleaningAborted):
		l.host.Reached(ProbeCleaningAborted)
		return true, nil
	case isDamage(err):
		l.uncleanable = true
		l.host.Tell(&witness.LogUncleanable{Log: l.named(), Error: witness.ErrorOf(err)})
		return true, nil
	}
	return true, fmt.Errorf("log: clean %v: %w", l.tp, err)
}

// isDamage distinguishes what is wrong with a log and what is wrong with the disk.
func isDamage(err error) bool {
	return errors.Is(err, errDamaged) || errors.Is(err, kerr.CorruptMessage)
}

// errCleaningAborted: the log changed under the cleaner, which begins anew.
var errCleaningAborted = errors.New("cleaning aborted")

// toClean is what a pass over a log would find.
type toClean struct {
	log Compacted
	// What lies in [firstDirty, firstUncleanable) can be mapped now.
	firstDirty, firstUncleanable kafka.Offset
	cleanBytes, cleanableBytes   int64
	// overdue: a record has not been compacted for max.compaction.lag.ms (KIP-354).
	overdue bool
}

func (x *toClean) ratio() float64 {
	return float64(x.cleanableBytes) / float64(x.cleanBytes+x.cleanableBytes)
}

func (x *toClean) due() bool {
	switch {
	case x.cleanBytes+x.cleanableBytes == 0:
		return false
	case x.overdue && x.cleanableBytes > 0:
		return true
	}
	return x.ratio() > x.log.cfg.MinDirtyRatio
}

// filthiest is the log to clean next, or nil.
func (c *Cleaner) filthiest(logs []Compacted) (*toClean, error) {
	var all []*toClean
	for _, l := range logs {
		if l.cleaning || l.uncleanable || l.usable("clean") != nil {
			continue
		}
		x, err := c.look(l)
		switch {
		case isDamage(err):
			l.uncleanable = true
			l.host.Tell(&witness.LogUncleanable{Log: l.named(), Error: witness.ErrorOf(err)})
		case err != nil:
			return nil, err
		case x.due():
			all = append(all, x)
		}
	}
	// To look may take time, in which another cleaner may have begun.
	all = slices.DeleteFunc(all, func(x *toClean) bool { return x.log.cleaning || x.log.usable("clean") != nil })
	if len(all) == 0 {
		return nil, nil
	}
	return slices.MaxFunc(all, func(a, b *toClean) int { return cmp.Compare(a.ratio(), b.ratio()) }), nil
}

// look finds what can be cleaned of a log: not the active segment, nothing at or
// above the last stable offset, nothing younger than min.compaction.lag.ms.
func (c *Cleaner) look(l Compacted) (*toClean, error) {
	x := &toClean{log: l}
	var err error
	if x.firstDirty, err = c.dir.firstDirty(l.Log); err != nil {
		return nil, err
	}
	now := l.now()
	end := min(l.LastStableOffset(l.HW()), l.active().base)
	if lag := millis(l.cfg.MinCompactionLag); lag > 0 {
		for _, s := range l.between(x.firstDirty, l.active().base) {
			if s.newest() > now-lag {
				end = min(end, s.base)
				break
			}
		}
	}
	// A segment is cleaned as a whole or not at all.
	x.firstUncleanable = l.segments[l.segmentAt(max(end, x.firstDirty))].base
	for _, s := range l.between(l.segments[0].base, x.firstDirty) {
		x.cleanBytes += s.size
	}
	for _, s := range l.between(x.firstDirty, x.firstUncleanable) {
		x.cleanableBytes += s.size
	}
	x.overdue, err = l.overdue(x.firstDirty, now)
	return x, err
}

// overdue reports whether a record that is not in the active segment, and was
// never cleaned, is older than max.compaction.lag.ms. As in Kafka a segment is as old
// as its first batch.
func (l *Log) overdue(firstDirty kafka.Offset, now int64) (bool, error) {
	lag := millis(l.cfg.MaxCompactionLag)
	if lag == math.MaxInt64 {
		return false, nil
	}
	for _, s := range l.between(firstDirty, l.active().base) {
		if s.firstTime < 0 && s.size > 0 {
			if err := s.findFirstTime(); err != nil {
				return false, err
			}
		}
		if s.firstTime > 0 && s.firstTime < now-lag {
			return true, nil
		}
	}
	return false, nil
}

// between is the segments from the one that holds from up to, but excluding, the
// one that begins at to.
func (l *Log) between(from, to kafka.Offset) []*segment {
	if from >= to {
		return nil
	}
	i := l.segmentAt(from)
	j := i
	for j < len(l.segments) && l.segments[j].base < to {
		j++
	}
	return l.segments[i:j]
}

// throttle keeps the cleaner below log.cleaner.io.max.bytes.per.second.
type throttle struct {
	since time.Duration
	bytes float64
}

// throttleEvery is after how long what was not used of the rate is forgotten.
const throttleEvery = 300 * time.Millisecond

// pause is how long to wait after n more bytes.
func (t *throttle) pause(now time.Duration, n int64, perSecond float64) time.Duration {
	if now-t.since > throttleEvery {
		t.since, t.bytes = now, 0
	}
	t.bytes += float64(n)
	need := time.Duration(min(t.bytes/perSecond, math.MaxInt32) * float64(time.Second))
	return max(0, t.since+need-now)
}
