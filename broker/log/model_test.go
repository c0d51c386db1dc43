package log

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/files"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

var orders = kafka.TopicPartition{Topic: "orders"}

// tiny is a configuration in which everything happens soon.
func tiny() Config {
	var cfg Config
	config.Default(&cfg)
	cfg.SegmentBytes = 1500
	cfg.IndexIntervalBytes = 200
	cfg.SegmentIndexBytes = 400
	cfg.FileDeleteDelay = time.Second
	cfg.RetentionTime = -time.Millisecond
	return cfg
}

// model is what a log must hold: every batch since it last began anew, deleted
// or not, and the marks.
type model struct {
	batches []record.Batch
	begin   kafka.Offset // of the first batch, if there were none deleted
	start   kafka.Offset
	end     kafka.Offset
	synced  kafka.Offset // what no loss of power may take
	// cut are the producers that lost a batch to a truncation or a crash.
	cut map[kafka.ProducerID]bool
}

func (m *model) clone() model {
	c := *m
	c.batches, c.cut = slices.Clone(m.batches), maps.Clone(m.cut)
	return c
}

func (m *model) append(batches []byte) {
	for rest := slices.Clone(batches); len(rest) > 0; {
		var b record.Batch
		b, rest, _ = record.Next(rest)
		m.batches = append(m.batches, b)
		m.end = b.NextOffset()
	}
}

func (m *model) truncate(o kafka.Offset) {
	if o >= m.end {
		return
	}
	for len(m.batches) > 0 && m.batches[len(m.batches)-1].LastOffset() >= o {
		lost := m.batches[len(m.batches)-1]
		o = min(o, lost.BaseOffset())
		if m.cut == nil {
			m.cut = map[kafka.ProducerID]bool{}
		}
		m.cut[lost.ProducerID()] = true
		m.batches = m.batches[:len(m.batches)-1]
	}
	m.end, m.start, m.synced = o, min(m.start, o), min(m.synced, o)
}

func (m *model) restart(o kafka.Offset) {
	*m = model{begin: o, start: o, end: o, synced: o}
}

// from is the batches that begin at or after o.
func (m *model) from(o kafka.Offset) []record.Batch {
	i := slices.IndexFunc(m.batches, func(b record.Batch) bool { return b.BaseOffset() >= o })
	if i < 0 {
		return nil
	}
	return m.batches[i:]
}

// contents reads all batches that the files hold.
func (l *Log) contents() (out []record.Batch, err error) {
	for _, s := range l.segments {
		err := s.scan(0, s.size, func(b record.Batch, _ int64) error {
			out = append(out, slices.Clone(b))
			return b.Check()
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// agrees says how the log differs from what m says it must be: its batches, and
// everything that can be computed from them.
func (m *model) agrees(l *Log) error {
	if l.end != m.end || l.start != m.start {
		return fmt.Errorf("log spans %d to %d, expected %d to %d", l.start, l.end, m.start, m.end)
	}
	got, err := l.contents()
	if err != nil {
		return err
	}
	want := m.from(l.segments[0].base)
	if !slices.EqualFunc(got, want, func(a, b record.Batch) bool { return bytes.Equal(a, b) }) {
		return fmt.Errorf("log has %d batches, expected %d, or others", len(got), len(want))
	}
	for _, check := range []func(*Log) error{segmentsAgree, m.epochsAgree, m.producersAgree} {
		if err := check(l); err != nil {
			return err
		}
	}
	return nil
}

// segmentsAgree: the segments follow each other, and their offset indexes are
// what a rebuild would make of the batches.
func segmentsAgree(l *Log) error {
	if l.recoveryPoint > l.end || l.active().end != l.end {
		return fmt.Errorf("recovery point %d, last segment ends at %d, log end %d", l.recoveryPoint, l.active().end, l.end)
	}
	for i, s := range l.segments {
		if i > 0 && s.base != l.segments[i-1].end {
			return fmt.Errorf("segment %d follows one that ends at %d", s.base, l.segments[i-1].end)
		}
		if size, err := s.file.Size(); err != nil || size != s.size {
			return fmt.Errorf("segment %d: %d bytes (%v), expected %d", s.base, size, err, s.size)
		}
		fresh := newSegment(l.disk, l.dir, s.base, 0)
		err := s.scan(0, s.size, func(b record.Batch, at int64) error {
			fresh.account(b, at, l.cfg.IndexIntervalBytes)
			return nil
		})
		if err != nil {
			return err
		}
		if !bytes.Equal(fresh.offsets.data, s.offsets.data) || fresh.indexed != s.indexed {
			return fmt.Errorf("segment %d: offset index %x, expected %x", s.base, s.offsets.data, fresh.offsets.data)
		}
		if fresh.maxTime != s.maxTime || fresh.maxAt != s.maxAt {
			return fmt.Errorf("segment %d: greatest timestamp %d at %d, expected %d at %d",
				s.base, s.maxTime, s.maxAt, fresh.maxTime, fresh.maxAt)
		}
		if err := s.times.check(); err != nil {
			return err
		}
		if err := indexesStored(s); err != nil {
			return err
		}
	}
	return nil
}

// indexesStored: the files hold what memory holds.
func indexesStored(s *segment) error {
	for _, t := range []*table{&s.offsets.table, &s.times.table, &s.txns.table} {
		if t.file == nil {
			continue
		}
		b := make([]byte, len(t.data))
		if err := files.ReadFull(t.file, b, 0); err != nil || !bytes.Equal(b, t.data) {
			return fmt.Errorf("%s holds %x (%v), expected %x", t.name, b, err, t.data)
		}
	}
	return nil
}

// epochsAgree is wEPOCH: the epochs are those of the batches. One more may
// have been assigned, for batches to come.
func (m *model) epochsAgree(l *Log) error {
	var want epochs
	for _, b := range m.from(l.segments[0].base) {
		want.assign(b.LeaderEpoch(), b.BaseOffset())
	}
	want.truncateStart(l.start)
	want.truncateEnd(l.end)
	got := slices.Clone(l.epochs)
	got.truncateEnd(l.end)
	if !slices.Equal(got, want) {
		return fmt.Errorf("epochs %v, expected %v", got, want)
	}
	return nil
}

// producersAgree is wPROD and wTXIDX: the producers' state, the last stable
// offset and the aborted transactions are the fold of all batches, also of
// those that were deleted.
func (m *model) producersAgree(l *Log) error {
	want := newProducers(m.begin)
	var aborted []AbortedTxn
	for _, b := range m.batches {
		if t, ok := want.fold(b); ok {
			aborted = append(aborted, t)
		}
	}
	want.unfreeze()
	fresh := &Log{producers: want}
	if got, want := l.Producers(), fresh.Producers(); !slices.Equal(got, want) {
		return fmt.Errorf("producers %+v, expected %+v", got, want)
	}
	for _, p := range l.producers.sorted() {
		w := want.byID[p.id]
		// A snapshot keeps one timestamp per producer: that of its last marker, if
		// that came after the batch.
		same := func(a, b batchMeta) bool { b.timestamp, b.recalled = a.timestamp, a.recalled; return a == b }
		if p.count > w.count || !slices.EqualFunc(p.batches[:p.count], w.batches[w.count-p.count:w.count], same) {
			return fmt.Errorf("producer %d remembers %v, expected the last of %v", p.id, p.batches[:p.count], w.batches[:w.count])
		}
	}
	if got, want := l.producers.lastStable(l.end+1), want.lastStable(l.end+1); got != want {
		return fmt.Errorf("last stable offset %d, expected %d", got, want)
	}
	var got []AbortedTxn
	for _, s := range l.segments {
		for i := range s.txns.len() {
			got = append(got, s.txns.get(i))
		}
	}
	aborted = slices.DeleteFunc(aborted, func(t AbortedTxn) bool { return t.Last < l.segments[0].base })
	if !slices.Equal(got, aborted) {
		return fmt.Errorf("aborted transactions %+v, expected %+v", got, aborted)
	}
	return nil
}

// onDisk runs main on a host of its own.
func onDisk(t *testing.T, main func(h env.Host)) *sim.World {
	t.Helper()
	return sim.RunHost(t, 1, main)
}

// batch makes a batch of n records.
func batch(ts int64, opts record.Options, n, size int) record.Batch {
	b := record.NewBuilder(opts)
	for i := range n {
		b.Append(ts+int64(i), fmt.Appendf(nil, "k%d", i), bytes.Repeat([]byte{'v'}, size))
	}
	return b.Build()
}

func idempotent(id, epoch, sequence int) record.Options {
	return record.Options{Idempotent: true, ProducerID: kafka.ProducerID(id),
		ProducerEpoch: kafka.ProducerEpoch(epoch), BaseSequence: kafka.Sequence(sequence)}
}

func benchOnDisk(b *testing.B, main func(h env.Host)) {
	b.Helper()
	sim.RunHost(b, 1, main)
}
