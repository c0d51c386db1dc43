package log

import (
	"errors"
	"fmt"
	"time"

	"github.com/ktrial/ktrial/broker/files"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim/env"
)

// segment is a stretch of the log: a file of batches and its indexes. The last
// segment of a log is active: it alone is written.
type segment struct {
	base kafka.Offset
	// end is the offset after its last batch. Of a segment that is not active it is
	// the base of the next one: compaction may have removed what was there.
	end  kafka.Offset
	dir  string
	disk env.Disk
	file env.File
	// ending is what the names of the files have after their suffix: "", or the
	// state of a segment that compaction makes, or that has been replaced.
	ending string
	// size is how much of the file counts. More may be there while an append
	// is on its way.
	size  int64
	dirty bool // the file has what was not synced

	offsets offsetIndex
	times   timeIndex
	txns    txnIndex

	// indexed is the position of the batch that was indexed last.
	indexed int64
	// maxTime is the greatest timestamp, and maxAt the last offset of the first
	// batch that has it.
	maxTime int64
	maxAt   kafka.Offset
	// firstTime is the greatest timestamp of the first batch, from which
	// segment.ms counts; -1 when it is not known.
	firstTime int64
	// created and written are when this process made or opened the segment, and
	// when it last appended to it.
	created, written int64
	jitter           time.Duration
}

func newSegment(disk env.Disk, dir string, base kafka.Offset, now int64) *segment {
	s := &segment{
		base: base, end: base, dir: dir, disk: disk,
		offsets: offsetIndex{table{disk: disk, width: offsetEntry}, base},
		times:   timeIndex{table{disk: disk, width: timeEntry}, base},
		txns:    txnIndex{table{disk: disk, width: txnEntry}},
		maxTime: record.NoTimestamp, maxAt: base, firstTime: record.NoTimestamp,
		created: now, written: now,
	}
	s.setEnding("")
	return s
}

// setEnding says what the names of the segment's files end in, after their suffix.
func (s *segment) setEnding(ending string) {
	s.ending = ending
	s.offsets.name = s.path(indexSuffix)
	s.times.name = s.path(timeIndexSuffix)
	s.txns.name = s.path(txnIndexSuffix)
}

// createSegment makes the files of a new segment.
func createSegment(disk env.Disk, dir string, base kafka.Offset, cfg *Config, now int64) (*segment, error) {
	s := newSegment(disk, dir, base, now)
	if err := s.create(); err != nil {
		return nil, err
	}
	return s, s.growIndexes(cfg)
}

// create makes the files, empty.
func (s *segment) create() error {
	f, err := s.disk.Create(s.path(logSuffix))
	if err != nil {
		return err
	}
	s.file, s.dirty = f, true
	return errors.Join(s.offsets.create(), s.times.create())
}

// openSegment opens the files of a segment. Its indexes are as found: check
// says whether they can be used.
func openSegment(disk env.Disk, dir string, base kafka.Offset, now int64) (*segment, error) {
	s := newSegment(disk, dir, base, now)
	f, err := disk.Open(s.path(logSuffix))
	if err != nil {
		return nil, err
	}
	s.file, s.dirty = f, true
	s.size, err = f.Size()
	return s, err
}

// loadIndexes reads the indexes of a segment that needs no recovery. An error
// that is damage, or a file that is missing, calls for a rebuild.
func (s *segment) loadIndexes() error {
	if err := errors.Join(s.offsets.load(), s.times.load(), s.txns.load()); err != nil {
		return err
	}
	err := errors.Join(s.offsets.check(s.size), s.times.check(), s.txns.check(s.base))
	if err != nil {
		return err
	}
	s.maxTime, s.maxAt = s.times.lastEntry()
	if n := s.offsets.len(); n > 0 {
		s.indexed = s.offsets.position(n - 1)
	}
	return nil
}

// resetIndexes empties the indexes, to build them anew.
func (s *segment) resetIndexes() error {
	s.indexed, s.maxTime, s.maxAt = 0, record.NoTimestamp, s.base
	s.firstTime = record.NoTimestamp
	return errors.Join(s.offsets.create(), s.times.create(), s.txns.reset())
}

func (s *segment) growIndexes(cfg *Config) error {
	return errors.Join(s.offsets.grow(cfg.SegmentIndexBytes), s.times.grow(cfg.SegmentIndexBytes))
}

func (s *segment) path(suffix string) string {
	return inDir(s.dir, fileName(s.base, suffix)) + s.ending
}

// files are the suffixes of the files that a segment may have.
var segmentFiles = []string{logSuffix, indexSuffix, timeIndexSuffix, txnIndexSuffix}

// rename gives all files of the segment another ending. The names are not durable.
func (s *segment) rename(ending string) error {
	for _, suffix := range segmentFiles {
		to := inDir(s.dir, fileName(s.base, suffix)) + ending
		if err := moveIfExists(s.disk, s.path(suffix), to); err != nil {
			return err
		}
	}
	s.setEnding(ending)
	return nil
}

// account takes account of a batch that lies at position: the file has it.
func (s *segment) account(b record.Batch, position int64, interval int32) {
	if position == 0 {
		s.firstTime = b.MaxTimestamp()
	}
	if ts := b.MaxTimestamp(); ts > s.maxTime {
		s.maxTime, s.maxAt = ts, b.LastOffset()
	}
	if position-s.indexed > int64(interval) {
		s.offsets.append(b.LastOffset(), position)
		s.times.maybeAppend(s.maxTime, s.maxAt)
		s.indexed = position
	}
	s.size = position + int64(len(b))
	s.end = b.NextOffset()
}

// storeIndexes writes what account indexed.
func (s *segment) storeIndexes() error {
	return errors.Join(s.offsets.store(), s.times.store())
}

// full reports whether batch b, after more bytes that are about to come, must
// go to a new segment.
func (s *segment) full(b record.Batch, more int64, cfg *Config, now int64) bool {
	size := s.size + more
	if size == 0 {
		return false
	}
	return size > int64(cfg.SegmentBytes)-int64(len(b)) ||
		s.age(b.MaxTimestamp(), now) > (cfg.segmentTime()-s.jitter).Milliseconds() ||
		(s.offsets.len()+1)*offsetEntry > int(cfg.SegmentIndexBytes) ||
		(s.times.len()+2)*timeEntry > int(cfg.SegmentIndexBytes) || // one is kept for seal
		!s.offsets.holds(b.LastOffset())
}

// age is how long the segment has been filled, by the records' own clock if
// they have one.
func (s *segment) age(timestamp, now int64) int64 {
	if s.firstTime >= 0 && timestamp >= 0 {
		return timestamp - s.firstTime
	}
	return now - s.created
}

// seal ends the segment's time as the active one: the greatest timestamp gets
// its entry, and the indexes lose what they had in reserve.
func (s *segment) seal() error {
	s.times.maybeAppend(s.maxTime, s.maxAt)
	if err := s.storeIndexes(); err != nil {
		return err
	}
	return s.trimIndexes()
}

func (s *segment) isDirty() bool {
	return s.dirty || s.offsets.dirty || s.times.dirty || s.txns.dirty
}

// sync makes all that the segment has durable. It blocks.
func (s *segment) sync() error {
	if s.dirty {
		s.dirty = false // what is appended while we sync is for the next time
		if err := s.file.Sync(); err != nil {
			s.dirty = true
			return err
		}
	}
	return errors.Join(s.offsets.sync(), s.times.sync(), s.txns.sync())
}

// scan calls fn with each batch from position to limit; the batch is valid
// during the call. Bytes that are no batch are errDamaged. It checks no CRC.
func (s *segment) scan(position, limit int64, fn func(b record.Batch, position int64) error) error {
	const chunk = 16 << 10
	var buf []byte
	for want := int64(chunk); position < limit; {
		buf = resize(buf, min(want, limit-position))
		if err := files.ReadFull(s.file, buf, position); err != nil {
			return s.wrap("read", position, err)
		}
		want = chunk
		start := position
		for rest := buf; ; {
			b, next, err := record.Next(rest)
			if err != nil && position > start {
				break // what is left is whole in the next chunk, or seen to be broken there
			}
			if err != nil {
				size, sizeErr := s.batchSize(position, limit)
				if sizeErr != nil {
					return sizeErr
				}
				if size <= int64(len(buf)) {
					return s.damaged(position, err)
				}
				want = size
				break
			}
			if err := fn(b, position); err != nil {
				return err
			}
			position += int64(len(b))
			rest = next
		}
	}
	return nil
}

// batchSize reads the size of the batch at position, which must end by limit.
func (s *segment) batchSize(position, limit int64) (int64, error) {
	var head [record.LogOverhead]byte
	if limit-position < int64(len(head)) {
		return 0, s.damaged(position, fmt.Errorf("%d bytes, expected a batch", limit-position))
	}
	if err := files.ReadFull(s.file, head[:], position); err != nil {
		return 0, s.wrap("read", position, err)
	}
	size := record.PeekSize(head[:])
	if size < record.HeaderSize || size > limit-position {
		return 0, s.damaged(position, fmt.Errorf("batch of %d bytes, %d are left", size, limit-position))
	}
	return size, nil
}

// locate is the position of the first batch that reaches o, or the size, and
// the base offset of that batch.
func (s *segment) locate(o kafka.Offset) (position int64, base kafka.Offset, err error) {
	from, _ := s.offsets.lookup(o)
	position, base = s.size, s.end
	err = s.scan(from, s.size, func(b record.Batch, at int64) error {
		if b.LastOffset() >= o {
			position, base = at, b.BaseOffset()
			return errStop
		}
		return nil
	})
	if err == errStop {
		err = nil
	}
	return position, base, err
}

// errStop ends a scan early.
var errStop = errors.New("stop")

// truncate cuts the segment at a batch.
func (s *segment) truncate(position int64, end kafka.Offset, cfg *Config) error {
	s.offsets.truncateTo(end)
	s.times.truncateTo(end)
	s.txns.truncateTo(end)
	s.size, s.end, s.dirty = position, end, true
	s.indexed = 0
	if n := s.offsets.len(); n > 0 {
		s.indexed = s.offsets.position(n - 1)
	}
	if position == 0 {
		s.firstTime = record.NoTimestamp
	}
	if err := s.file.Truncate(position); err != nil {
		return err
	}
	if err := s.trimIndexes(); err != nil {
		return err
	}
	if err := s.findMaxTime(); err != nil {
		return err
	}
	return s.growIndexes(cfg)
}

// trimIndexes cuts the index files after their last entry.
func (s *segment) trimIndexes() error {
	return errors.Join(s.offsets.trim(), s.times.trim(), s.txns.trim())
}

// findMaxTime looks for the greatest timestamp: the time index knows it up to
// its last entry, the rest is read.
func (s *segment) findMaxTime() error {
	s.maxTime, s.maxAt = s.times.lastEntry()
	from := int64(0)
	if s.times.len() > 0 {
		from, _ = s.offsets.lookup(s.maxAt)
	}
	return s.scan(from, s.size, func(b record.Batch, at int64) error {
		if at == 0 {
			s.firstTime = b.MaxTimestamp()
		}
		if b.MaxTimestamp() > s.maxTime {
			s.maxTime, s.maxAt = b.MaxTimestamp(), b.LastOffset()
		}
		return nil
	})
}

// findFirstTime reads the timestamp from which segment.ms counts.
func (s *segment) findFirstTime() error {
	err := s.scan(0, s.size, func(b record.Batch, _ int64) error {
		s.firstTime = b.MaxTimestamp()
		return errStop
	})
	if err == errStop {
		return nil
	}
	return err
}

// newest is the time of the newest record, for retention.ms.
func (s *segment) newest() int64 {
	if s.maxTime >= 0 {
		return s.maxTime
	}
	return s.written
}

func (s *segment) close() {
	s.file.Close()
	s.offsets.close()
	s.times.close()
	s.txns.close()
}

func (s *segment) wrap(doing string, position int64, err error) error {
	return fmt.Errorf("%s: %s at byte %d: %w", s.path(logSuffix), doing, position, err)
}

func (s *segment) damaged(position int64, err error) error {
	return fmt.Errorf("%s: batch at byte %d: %w: %w", s.path(logSuffix), position, errDamaged, err)
}

func resize(b []byte, n int64) []byte {
	if int64(cap(b)) < n {
		return make([]byte, n)
	}
	return b[:n]
}
