package log

import (
	"fmt"
	"math/bits"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/files"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
)

// Read returns whole batches from the one that holds offset from, up to but
// excluding offset upTo, out of one segment. It returns at most maxBytes, but
// with minOneBatch the first batch whatever its size. from outside of
// [start, end] is OFFSET_OUT_OF_RANGE; from at or after upTo reads nothing, so
// that a consumer which is ahead of a new leader's high watermark just waits.
// The result is the caller's own.
func (l *Log) Read(from, upTo kafka.Offset, maxBytes int32, minOneBatch bool) ([]byte, error) {
	return l.ReadInto(new(Memory), from, upTo, maxBytes, minOneBatch)
}

// Memory is what one read after the other is read into.
type Memory struct{ buf []byte }

// keptMemory is the most that is kept from one read to the next.
const keptMemory = 64 << 10

// take is n bytes, which hold what was read before.
func (m *Memory) take(n int64) []byte {
	if n <= int64(cap(m.buf)) {
		return m.buf[:n]
	}
	if n > keptMemory {
		return make([]byte, n)
	}
	m.buf = make([]byte, 1<<bits.Len64(uint64(n-1)))
	return m.buf[:n]
}

// ReadInto is Read with a result that is valid until the next read into the
// same memory.
func (l *Log) ReadInto(memory *Memory, from, upTo kafka.Offset, maxBytes int32, minOneBatch bool) ([]byte, error) {
	for {
		if from < l.start || from > l.end {
			return nil, fmt.Errorf("log: read %v at offset %d: %w: the log spans %d to %d",
				l.tp, from, kerr.OffsetOutOfRange, l.start, l.end)
		}
		upTo := min(upTo, l.end)
		if from >= upTo {
			return nil, nil
		}
		cuts := l.cuts
		got, err := l.readSegment(memory, from, upTo, int64(maxBytes), minOneBatch)
		if cuts != l.cuts || from < l.start {
			continue // what was read may be gone
		}
		if err != nil {
			return nil, fmt.Errorf("log: read %v at offset %d: %w: %w", l.tp, from, kerr.KafkaStorageError, err)
		}
		return got, nil
	}
}

// readSegment reads from the segment that holds from, or the next one that
// holds anything after it.
func (l *Log) readSegment(memory *Memory, from, upTo kafka.Offset, maxBytes int64, minOne bool) ([]byte, error) {
	segments := l.segments
	for i := l.segmentAt(from); i < len(segments) && segments[i].base < upTo; i++ {
		got, more, err := l.readFrom(segments[i], memory, from, upTo, maxBytes, minOne)
		if !more {
			return got, err
		}
	}
	return nil, nil
}

// readFrom reads from one segment. more: compaction removed what was there from
// the offset on, and the next segment is to be looked at.
func (l *Log) readFrom(s *segment, memory *Memory, from, upTo kafka.Offset, maxBytes int64, minOne bool) (got []byte, more bool, err error) {
	if s.end <= from {
		return nil, true, nil
	}
	start, slack := l.whereabouts(s, from)
	size := s.size // appends may move it while we read
	if minOne {
		maxBytes = max(maxBytes, record.LogOverhead)
	}
	buf := memory.take(min(slack+maxBytes, size-start))
	if err := files.ReadFull(s.file, buf, start); err != nil {
		return nil, false, s.wrap("read", start, err)
	}
	first, count, need := cut(buf, from, upTo, maxBytes)
	switch left := size - start - int64(first); {
	case count > 0:
		return buf[first : first+count : first+count], false, nil
	case left == 0:
		return nil, true, nil
	case need < 0 || need > left:
		return nil, false, s.damaged(start+int64(first), fmt.Errorf("batch of %d bytes, %d are left", need, left))
	case need == 0 || !minOne:
		return nil, false, nil
	}
	b := memory.take(need)
	if err := files.ReadFull(s.file, b, start+int64(first)); err != nil {
		return nil, false, s.wrap("read", start+int64(first), err)
	}
	_, count, _ = cut(b, from, upTo, need)
	return b[:count], false, nil
}

// whereabouts is where to begin to read for o, and how many bytes of other
// batches may come before.
func (l *Log) whereabouts(s *segment, o kafka.Offset) (start, slack int64) {
	if s == l.active() {
		if position, ok := l.recent.lookup(o); ok {
			return position, 0
		}
	}
	from, next := s.offsets.lookup(o)
	if next < 0 {
		next = s.size
	}
	return from, next - from
}

// cut finds the batches in buf that hold from to upTo: they begin at first and
// take count bytes, at most maxBytes. If there are none because the next batch
// does not fit, need is the size of that; -1 if it has no size.
func cut(buf []byte, from, upTo kafka.Offset, maxBytes int64) (first, count int, need int64) {
	for rest := buf; len(rest) >= record.LogOverhead; {
		size := record.PeekSize(rest)
		if size < record.HeaderSize {
			return first, count, -1
		}
		if int64(len(rest)) < size {
			// Only the base offset may be there: enough to see that it is too far.
			if record.PeekBase(rest) < upTo && count == 0 {
				need = size
			}
			return first, count, need
		}
		b := record.Batch(rest[:size])
		rest = rest[size:]
		switch {
		case b.LastOffset() < from:
			first += int(size)
			continue
		case b.LastOffset() >= upTo:
			return first, count, 0
		case int64(count)+size > maxBytes:
			if count == 0 {
				need = size
			}
			return first, count, need
		}
		count += int(size)
	}
	return first, count, need
}

// AbortedTxns is the aborted transactions with records in [from, to), as
// read_committed consumers need them to leave those out.
func (l *Log) AbortedTxns(from, to kafka.Offset) []AbortedTxn {
	var out []AbortedTxn
	for _, s := range l.segments[l.segmentAt(from):] {
		for i := s.txns.firstAt(from); i < s.txns.len(); i++ {
			t := s.txns.get(i)
			if t.Last >= from && t.First < to {
				out = append(out, t)
			}
			if t.LastStable >= to {
				return out // all that come later began later
			}
		}
	}
	return out
}

// TimestampOffset is a record found by its timestamp.
type TimestampOffset struct {
	Offset    kafka.Offset
	Timestamp int64
	Epoch     kafka.LeaderEpoch
}

// OffsetForTimestamp finds the first record whose timestamp is at least ts.
func (l *Log) OffsetForTimestamp(ts int64) (at TimestampOffset, ok bool, err error) {
	for {
		cuts := l.cuts
		at, ok, err = l.findTimestamp(ts)
		if cuts == l.cuts {
			return at, ok, err
		}
	}
}

func (l *Log) findTimestamp(ts int64) (at TimestampOffset, ok bool, err error) {
	for _, s := range l.segments[l.segmentAt(l.start):] {
		if s.maxTime < ts {
			continue
		}
		from, _ := s.offsets.lookup(max(s.times.lookup(ts), l.start))
		at, ok, err = l.firstRecord(s, from, ts)
		if ok || err != nil {
			return at, ok, err
		}
	}
	return at, false, nil
}

// firstRecord is the first record from a position on with at least ts.
func (l *Log) firstRecord(s *segment, position, ts int64) (at TimestampOffset, ok bool, err error) {
	start := l.start
	err = s.scan(position, s.size, func(b record.Batch, _ int64) error {
		if b.MaxTimestamp() < ts || b.LastOffset() < start {
			return nil
		}
		return new(record.Decoder).Records(b, func(r record.Record) error {
			if r.Timestamp < ts || r.Offset < start {
				return nil
			}
			at, ok = TimestampOffset{r.Offset, r.Timestamp, b.LeaderEpoch()}, true
			return errStop
		})
	})
	if err != nil && err != errStop {
		return at, false, fmt.Errorf("log: look in %v for timestamp %d: %w: %w", l.tp, ts, kerr.KafkaStorageError, err)
	}
	return at, ok, nil
}

// OffsetOfMaxTimestamp finds the first record with the greatest timestamp (KIP-734).
func (l *Log) OffsetOfMaxTimestamp() (at TimestampOffset, ok bool, err error) {
	greatest := int64(record.NoTimestamp)
	for _, s := range l.segments[l.segmentAt(l.start):] {
		greatest = max(greatest, s.maxTime)
	}
	if greatest < 0 {
		return at, false, nil
	}
	return l.OffsetForTimestamp(greatest)
}
