package log

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/disk"
	"github.com/ktrial/ktrial/sim/env"
)

var compactions = []string{
	"put", "put", "put", "put", "put", "put", "txn", "txn", "txn", "abort", "commit", "gap",
	"roll", "roll", "clean", "clean", "clean", "wait", "flush", "truncate", "hw", "hw", "checkpoint", "delete",
}

// tableLog is a compacted log under test with the model beside it: the batches as
// they were before any compaction.
type tableLog struct {
	*subject
	cleaner *Cleaner
	hw      kafka.Offset
}

func attachTable(h env.Host, m *model, c *tableCasualty) (*tableLog, error) {
	opts := dirOptions()
	opts.Bugs = c.bugs
	d, err := OpenDir(h, "data", opts)
	if err != nil {
		return nil, err
	}
	cfg := compacting()
	cfg.SegmentBytes, cfg.DeleteRetention = c.size, 20*time.Millisecond
	s := &subject{host: h, dir: d, log: d.Get(orders), m: m}
	if s.log == nil {
		s.log, err = d.Create(orders, kafka.UUID{1}, cfg)
	}
	s.log.SetConfig(cfg)
	clean := cleaning()
	clean.DedupeBufferSize, clean.LoadFactor = 3*keyMapEntry, 1
	return &tableLog{subject: s, cleaner: d.NewCleaner(clean), hw: min(c.hw, s.log.end)}, err
}

func (x *tableLog) take(st step) error {
	x.before = x.m.clone()
	l, m, now := x.log, x.m, x.host.Now().Millis()
	switch st.do {
	case "put":
		return x.produce(keyed(now, x.nextOf(st.a%3, false), st.a, st.b))
	case "txn":
		return x.produce(keyed(now, x.nextOf(10+st.a%2, true), st.a, st.b))
	case "gap": // a batch from a leader that has compacted
		b := keyed(now, record.Options{BaseOffset: m.end + kafka.Offset(1+st.a%3), LeaderEpoch: x.epoch}, st.a, st.b)
		m.append(b)
		return l.AppendAsFollower(b)
	case "roll":
		return l.roll()
	case "commit", "abort":
		st.a %= 2
		return x.subject.take(st)
	case "clean":
		if st.b%3 > 0 {
			if err := cmp.Or(l.roll(), l.Flush()); err != nil {
				return err
			}
			m.synced = m.lastEnd(m.end)
			x.hw = max(x.hw, m.synced)
		}
		x.cleaner.cfg.DedupeBufferSize = int64(1+st.a%8) * keyMapEntry
		_, err := x.cleaner.CleanFilthiest([]Compacted{{l, func() kafka.Offset { return x.hw }}})
		m.synced = max(m.synced, m.lastEnd(l.recoveryPoint))
		return err
	case "flush":
		err := l.Flush()
		m.synced = m.lastEnd(m.end)
		return err
	case "wait":
		x.host.Sleep(time.Duration(st.a) * 400 * time.Microsecond)
		return nil
	case "truncate":
		o := max(x.hw, l.end-kafka.Offset(st.a%6))
		m.truncate(o)
		m.synced = min(m.synced, m.lastEnd(m.end))
		x.before.synced = min(x.before.synced, m.synced)
		return l.TruncateTo(o)
	case "hw":
		// What is committed is not lost with the power of one host: to this one alone it
		// would look as if compaction had gone beyond what was stable.
		x.hw = max(x.hw, m.lastEnd(m.synced-kafka.Offset(st.a%3)))
		return nil
	case "delete":
		if st.a > 10 {
			return nil
		}
		m.start = max(m.start, min(x.hw, l.start+kafka.Offset(st.b%5)))
		return l.SetStartOffset(m.start)
	}
	return x.subject.take(st)
}

// lastEnd is the end of the last batch that ends by o. Where a truncation has left
// nothing behind it, the log may end there when it is opened again.
func (m *model) lastEnd(o kafka.Offset) kafka.Offset {
	for _, b := range slices.Backward(m.batches) {
		if b.NextOffset() <= o {
			return b.NextOffset()
		}
	}
	return m.begin
}

// keyed is a batch of records of a few keys, some of them tombstones.
func keyed(ts int64, opts record.Options, a, b int) record.Batch {
	batch := record.NewBuilder(opts)
	for i := range 1 + a%3 {
		key := fmt.Appendf(nil, "k%d", (a/3+i*b)%5)
		value := fmt.Appendf(nil, "%d-%d-%d", ts, a, b)
		if (b+i)%4 == 0 {
			value = nil
		}
		batch.Append(ts, key, value)
	}
	return batch.Build()
}

// readBack is what a read_committed consumer makes of batches: the last value of
// each key. Keys that were deleted are left out.
func readBack(batches []record.Batch, aborted []AbortedTxn, from, upTo kafka.Offset) map[string]string {
	table := map[string]string{}
	aborting := map[kafka.ProducerID]bool{}
	aborted = slices.DeleteFunc(slices.Clone(aborted), func(t AbortedTxn) bool { return t.Last < from })
	slices.SortFunc(aborted, func(a, b AbortedTxn) int { return cmp.Compare(a.First, b.First) })
	for _, b := range batches {
		if b.LastOffset() < from || b.LastOffset() >= upTo {
			continue
		}
		for len(aborted) > 0 && aborted[0].First <= b.LastOffset() {
			aborting[aborted[0].ProducerID] = true
			aborted = aborted[1:]
		}
		if b.IsControl() {
			if typ, _, ok := b.EndTxnMarker(); ok && typ == record.Abort {
				delete(aborting, b.ProducerID())
			}
			continue
		}
		if b.IsTransactional() && aborting[b.ProducerID()] {
			continue
		}
		_ = b.Records(func(r record.Record) error {
			switch {
			case r.Offset < from:
			case r.Value == nil:
				delete(table, string(r.Key))
			default:
				table[string(r.Key)] = string(r.Value)
			}
			return nil
		})
	}
	return table
}

// compacts says how the log differs from what compaction may make of the model.
func (m *model) compacts(l *Log) error {
	if l.end != m.end || l.start != m.start {
		return fmt.Errorf("log spans %d to %d, expected %d to %d", l.start, l.end, m.start, m.end)
	}
	got, err := l.contents()
	if err != nil {
		return err
	}
	written := map[kafka.Offset]record.Batch{}
	for _, b := range m.batches {
		written[b.BaseOffset()] = b
	}
	next := kafka.Offset(0)
	for _, b := range got {
		if b.BaseOffset() < next {
			return fmt.Errorf("batch at offset %d follows one that ends at %d", b.BaseOffset(), next)
		}
		next = b.NextOffset()
		if err := partOf(b, written[b.BaseOffset()]); err != nil {
			return fmt.Errorf("batch at offset %d: %w", b.BaseOffset(), err)
		}
	}
	stable := max(l.start, l.producers.lastStable(l.end)) // LastStableOffset would forget what ended above the high watermark
	have := readBack(got, l.AbortedTxns(l.start, l.end), l.start, stable)
	var full producersOf
	want := readBack(m.batches, full.aborted(m), l.start, stable)
	if !maps.Equal(have, want) {
		return fmt.Errorf("table is %v, expected %v", have, want)
	}
	if err := segmentsAgree(l); err != nil {
		return err
	}
	return full.agree(l, m.cut)
}

// partOf: b is what compaction may leave of whole.
func partOf(b, whole record.Batch) error {
	if whole == nil || b.LastOffset() != whole.LastOffset() || b.ProducerID() != whole.ProducerID() ||
		b.LastSequence() != whole.LastSequence() || b.IsControl() != whole.IsControl() {
		return fmt.Errorf("it is no batch that was written")
	}
	var all []record.Record
	_ = whole.Records(func(r record.Record) error { all = append(all, r); return nil })
	return b.Records(func(r record.Record) error {
		same := func(o record.Record) bool {
			return o.Offset == r.Offset && o.Timestamp == r.Timestamp && bytes.Equal(o.Key, r.Key) && bytes.Equal(o.Value, r.Value)
		}
		if !slices.ContainsFunc(all, same) {
			return fmt.Errorf("record %d was not written so", r.Offset)
		}
		return nil
	})
}

// producersOf is the state of the producers as all that was written makes it.
type producersOf struct{ producers }

func (p *producersOf) aborted(m *model) (out []AbortedTxn) {
	p.producers = newProducers(m.begin)
	for _, b := range m.batches {
		if t, ok := p.fold(b); ok {
			out = append(out, t)
		}
	}
	return out
}

// agree: what a producer is to be judged by survives compaction and recovery. Only
// if its last batch was cut off after a pass, the one before may be gone: for Kafka
// too, which keeps the last batch that it knows of.
func (p *producersOf) agree(l *Log, cut map[kafka.ProducerID]bool) error {
	for id, want := range p.byID {
		got := l.producers.byID[id]
		if cut[id] && (got == nil || got.count == 0) {
			continue
		}
		if got == nil {
			return fmt.Errorf("producer %d is not known any more", id)
		}
		if got.epoch != want.epoch || got.lastSequence() != want.lastSequence() || got.txnStart == kafka.NoOffset != (want.txnStart == kafka.NoOffset) {
			return fmt.Errorf("producer %d is %+v, expected %+v", id, got, want)
		}
	}
	return nil
}

// survivedCompaction is survived for a log that is compacted.
func (x *tableLog) survivedCompaction(models ...model) error {
	var errs []error
	for _, m := range models {
		err := x.isCompactedPrefixOf(&m)
		if err == nil {
			*x.m = m
			return nil
		}
		errs = append(errs, err)
	}
	return fmt.Errorf("recovered log is none of those expected: %v", errs)
}

func (x *tableLog) isCompactedPrefixOf(m *model) error {
	l := x.log
	if l.end < m.synced || l.end > m.end {
		return fmt.Errorf("log ends at %d, %d were synced, %d written", l.end, m.synced, m.end)
	}
	m.truncate(l.end)
	m.end, m.start, m.synced = l.end, l.start, max(m.synced, m.lastEnd(l.recoveryPoint))
	return m.compacts(l)
}

// Whatever is written, compacted and lost with the power, reading the log back gives
// the last value of each key, and the producers are known as before.
func TestCompactedLogIsTheTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if err := tableLives.Draw(t, "lives").play(planted.Plant()); err != nil {
			t.Fatal(err)
		}
	})
}

// Each bug of the cleaner makes the table another one, or has a producer forgotten.
func TestPlantedBugsOfTheCleanerAreFound(t *testing.T) {
	for bug, from := range map[planted.Bug]int{ // from is where to begin to look: it saves time
		planted.CleanIndexCleanedOnly: 1600, planted.CleanDropLastBatch: 0,
	} {
		t.Run(string(bug), func(t *testing.T) {
			infected := int64(0)
			for seed := from; seed < from+4000; seed++ {
				bugs := planted.Plant(bug)
				if err := tableLives.Example(seed).play(bugs); err != nil {
					t.Logf("story %d: %v", seed, err)
					assert.Positive(t, bugs.Count(bug).Infected)
					return
				}
				infected += bugs.Count(bug).Infected
			}
			t.Errorf("not found; infected: %d", infected)
		})
	}
}

// lives is some lives of a process with a compacted log, each of which a kill or a
// loss of power ends.
type lives struct {
	seed uint64
	size int32 // of segments
	slow bool  // every operation of the disk takes time, so that a crash comes between any two
	all  []oneLife
}

type oneLife struct {
	steps []step
	ends  time.Duration
	kill  bool // else a loss of power
	// forgetful: the snapshots of the producers are lost, and the log must tell.
	forgetful bool
}

var tableLives = rapid.Custom(func(t *rapid.T) lives {
	return lives{
		seed: rapid.Uint64().Draw(t, "seed"),
		size: rapid.SampledFrom([]int32{500, 800, 3000}).Draw(t, "segment.bytes"),
		slow: rapid.Bool().Draw(t, "slow disk"),
		all: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) oneLife {
			return oneLife{
				steps: steps(compactions, 20, 80).Draw(t, "steps"),
				ends:  time.Duration(rapid.IntRange(1, 200_000).Draw(t, "at")) * time.Microsecond,
				kill:  rapid.IntRange(0, 3).Draw(t, "kill") == 0,

				forgetful: rapid.Bool().Draw(t, "forgetful"),
			}
		}), 1, 4).Draw(t, "lives"),
	}
})

func (ls lives) play(bugs *planted.Set) error {
	w := sim.NewWorld(sim.Config{Seed: ls.seed})
	defer w.Close()
	host := w.Host("host")
	if ls.slow {
		host.Disk().Add(&disk.Rule{Delay: 100 * time.Microsecond})
	}
	c := &tableCasualty{possible: []model{{}}, bugs: bugs, size: ls.size}
	for _, one := range append(ls.all, oneLife{}) {
		if one.ends > 0 {
			w.After(one.ends, "the end", func() {
				if one.kill {
					host.Kill()
				} else {
					host.PowerOff()
				}
			})
		}
		err := w.RunMain("host", func(h env.Host) {
			c.live(h, one.steps)
			if c.failed == nil && one.forgetful {
				c.failed = c.log.dropSnapshots(func(kafka.Offset) bool { return true })
			}
			if one.ends > 0 {
				h.Sleep(time.Hour)
			}
		})
		if c.died(); err != nil || c.failed != nil {
			return cmp.Or(err, c.failed)
		}
	}
	return nil
}

// tableCasualty is a compacted log whose process ends again and again.
type tableCasualty struct {
	*tableLog
	bugs     *planted.Set
	size     int32
	hw       kafka.Offset
	possible []model
	failed   error
}

func (c *tableCasualty) live(h env.Host, all []step) {
	c.tableLog = nil
	x, err := attachTable(h, &model{}, c)
	if err == nil {
		err = x.survivedCompaction(c.possible...)
	}
	if err == nil {
		c.tableLog, x.before = x, x.m.clone()
	}
	for _, st := range all {
		if err != nil {
			break
		}
		if err = x.take(st); err == nil {
			err = x.m.compacts(x.log)
		}
		if err != nil {
			err = fmt.Errorf("%v: %w", st, err)
		}
		x.before = x.m.clone()
	}
	c.failed = err
}

// died notes what the log may be now.
func (c *tableCasualty) died() {
	if c.tableLog != nil {
		c.possible, c.hw = []model{c.before, c.m.clone()}, c.tableLog.hw
	}
}
