package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sort"

	"github.com/ktrial/ktrial/broker/files"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
)

// table is an index file: entries of one size, only ever appended. It is kept
// in memory as Kafka keeps it mapped. While its segment is active the file is
// as large as it may become; trim ends that.
type table struct {
	disk    env.Disk
	name    string
	file    env.File // nil: there is none yet
	width   int
	data    []byte // the entries, as in the file
	written int    // how much of data the file has
	dirty   bool   // the file has what was not synced
}

func (t *table) len() int           { return len(t.data) / t.width }
func (t *table) entry(i int) []byte { return t.data[i*t.width:] }

// load reads the file; one that is not there is empty.
func (t *table) load() error {
	f, err := t.disk.Open(t.name)
	if err != nil {
		return err
	}
	size, err := f.Size()
	if err != nil {
		return err
	}
	t.file, t.data = f, make([]byte, size)
	t.written = int(size)
	if err := files.ReadFull(f, t.data, 0); err != nil {
		return err
	}
	if len(t.data)%t.width != 0 {
		return fmt.Errorf("%s: %w: %d bytes, expected entries of %d", t.name, errDamaged, len(t.data), t.width)
	}
	return nil
}

// create makes the file, or empties it.
func (t *table) create() error {
	t.data, t.written, t.dirty = t.data[:0], 0, true
	if t.file != nil {
		return t.file.Truncate(0)
	}
	f, err := t.disk.Create(t.name)
	t.file = f
	return err
}

// grow makes the file as large as it may become.
func (t *table) grow(bytes int32) error {
	t.dirty = true
	return t.file.Truncate(max(int64(len(t.data)), int64(bytes)/int64(t.width)*int64(t.width)))
}

// store writes what was appended since the last time. It may block.
func (t *table) store() error {
	if t.written == len(t.data) {
		return nil
	}
	from := t.written
	t.written, t.dirty = len(t.data), true
	_, err := t.file.WriteAt(t.data[from:], int64(from))
	return err
}

// truncate keeps the first n entries.
func (t *table) truncate(n int) {
	t.data = t.data[:n*t.width]
	t.written = min(t.written, len(t.data))
	t.dirty = true
}

// trim cuts off what was allocated in advance.
func (t *table) trim() error {
	if t.file == nil {
		return nil
	}
	t.dirty = true
	return t.file.Truncate(int64(len(t.data)))
}

func (t *table) sync() error {
	if !t.dirty {
		return nil
	}
	t.dirty = false
	if err := t.file.Sync(); err != nil {
		t.dirty = true
		return err
	}
	return nil
}

func (t *table) close() {
	if t.file != nil {
		t.file.Close()
	}
}

// offsetIndex finds the position of a batch by its offset: entries of the last
// offset in a batch, relative to the segment's base, and the batch's position.
type offsetIndex struct {
	table
	base kafka.Offset
}

const offsetEntry = 8

func (x *offsetIndex) last(i int) kafka.Offset {
	return x.base + kafka.Offset(binary.BigEndian.Uint32(x.entry(i)))
}

func (x *offsetIndex) position(i int) int64 {
	return int64(binary.BigEndian.Uint32(x.entry(i)[4:]))
}

// holds reports whether o can be written relative to the base.
func (x *offsetIndex) holds(o kafka.Offset) bool {
	return o >= x.base && o-x.base <= math.MaxInt32
}

func (x *offsetIndex) append(last kafka.Offset, position int64) {
	x.data = binary.BigEndian.AppendUint32(x.data, uint32(last-x.base))
	x.data = binary.BigEndian.AppendUint32(x.data, uint32(position))
}

// lookup is where to begin to look for o, and where the next entry points: the
// batch that holds o begins at or after from, and before or at next. next is -1
// when there is no later entry.
func (x *offsetIndex) lookup(o kafka.Offset) (from, next int64) {
	i := sort.Search(x.len(), func(i int) bool { return x.last(i) > o })
	next = -1
	if i < x.len() {
		next = x.position(i)
	}
	if i == 0 {
		return 0, next
	}
	return x.position(i - 1), next
}

// truncateTo forgets batches that reach o.
func (x *offsetIndex) truncateTo(o kafka.Offset) {
	x.truncate(sort.Search(x.len(), func(i int) bool { return x.last(i) >= o }))
}

// check looks for what cannot have been written, such as the zeros of a file
// that was not trimmed.
func (x *offsetIndex) check(logSize int64) error {
	last, position := x.base, int64(0)
	for i := range x.len() {
		if x.last(i) <= last || x.position(i) <= position || x.position(i) >= logSize {
			return fmt.Errorf("%s: %w: entry %d is offset %d at %d, expected above %d at %d, in a log of %d bytes",
				x.name, errDamaged, i, x.last(i), x.position(i), last, position, logSize)
		}
		last, position = x.last(i), x.position(i)
	}
	return nil
}

// timeIndex finds an offset by a timestamp: entries of the greatest timestamp
// so far and the last offset of the batch that has it.
type timeIndex struct {
	table
	base kafka.Offset
}

const timeEntry = 12

func (x *timeIndex) timestamp(i int) int64 { return int64(binary.BigEndian.Uint64(x.entry(i))) }

func (x *timeIndex) offset(i int) kafka.Offset {
	return x.base + kafka.Offset(binary.BigEndian.Uint32(x.entry(i)[8:]))
}

// lastEntry is the greatest timestamp indexed; -1 at the base when there is none.
func (x *timeIndex) lastEntry() (int64, kafka.Offset) {
	if n := x.len(); n > 0 {
		return x.timestamp(n - 1), x.offset(n - 1)
	}
	return -1, x.base
}

// maybeAppend adds an entry, unless the timestamp has not grown.
func (x *timeIndex) maybeAppend(timestamp int64, o kafka.Offset) {
	if last, _ := x.lastEntry(); timestamp <= last {
		return
	}
	x.data = binary.BigEndian.AppendUint64(x.data, uint64(timestamp))
	x.data = binary.BigEndian.AppendUint32(x.data, uint32(o-x.base))
}

// lookup is an offset such that all records in batches before its own are
// older than timestamp.
func (x *timeIndex) lookup(timestamp int64) kafka.Offset {
	i := sort.Search(x.len(), func(i int) bool { return x.timestamp(i) > timestamp })
	if i == 0 {
		return x.base
	}
	return x.offset(i - 1)
}

func (x *timeIndex) truncateTo(o kafka.Offset) {
	x.truncate(sort.Search(x.len(), func(i int) bool { return x.offset(i) >= o }))
}

func (x *timeIndex) check() error {
	timestamp, offset := int64(-1), x.base
	for i := range x.len() {
		// One entry of zeros could be a record of 1970. More likely it was never written:
		// a segment that is sealed just where all is synced has its last entry later.
		zeros := x.timestamp(i) == 0 && x.offset(i) == x.base
		if zeros || x.timestamp(i) <= timestamp || x.offset(i) < offset {
			return fmt.Errorf("%s: %w: entry %d is time %d at offset %d, expected after %d at %d",
				x.name, errDamaged, i, x.timestamp(i), x.offset(i), timestamp, offset)
		}
		timestamp, offset = x.timestamp(i), x.offset(i)
	}
	return nil
}

// AbortedTxn is a transaction that was aborted: its first record and its
// marker, and the last stable offset once it was.
type AbortedTxn struct {
	ProducerID  kafka.ProducerID
	First, Last kafka.Offset
	LastStable  kafka.Offset
}

// txnIndex is the transactions whose abort markers lie in the segment. Its
// file is made with the first entry.
type txnIndex struct {
	table
}

const txnEntry = 34

func (x *txnIndex) get(i int) AbortedTxn {
	e := x.entry(i)[2:] // after the version, 0
	return AbortedTxn{
		ProducerID: kafka.ProducerID(binary.BigEndian.Uint64(e)),
		First:      kafka.Offset(binary.BigEndian.Uint64(e[8:])),
		Last:       kafka.Offset(binary.BigEndian.Uint64(e[16:])),
		LastStable: kafka.Offset(binary.BigEndian.Uint64(e[24:])),
	}
}

// firstAt is the index of the first transaction that ended at or after o.
func (x *txnIndex) firstAt(o kafka.Offset) int {
	return sort.Search(x.len(), func(i int) bool { return x.get(i).Last >= o })
}

func (x *txnIndex) append(t AbortedTxn) {
	x.data = append(x.data, 0, 0)
	x.data = binary.BigEndian.AppendUint64(x.data, uint64(t.ProducerID))
	x.data = binary.BigEndian.AppendUint64(x.data, uint64(t.First))
	x.data = binary.BigEndian.AppendUint64(x.data, uint64(t.Last))
	x.data = binary.BigEndian.AppendUint64(x.data, uint64(t.LastStable))
}

func (x *txnIndex) store() error {
	if x.file == nil && len(x.data) > 0 {
		f, err := x.disk.Create(x.name)
		if err != nil {
			return err
		}
		x.file = f
	}
	return x.table.store()
}

// reset empties the index.
func (x *txnIndex) reset() error {
	if x.file == nil {
		return removeIfExists(x.disk, x.name)
	}
	return x.create()
}

func (x *txnIndex) truncateTo(o kafka.Offset) {
	if n := x.firstAt(o); n < x.len() {
		x.truncate(n)
	}
}

func (x *txnIndex) load() error {
	if err := x.table.load(); err != nil && !errors.Is(err, env.ErrNotExist) {
		return err
	}
	return nil
}

func (x *txnIndex) check(base kafka.Offset) error {
	last := base - 1
	for i := range x.len() {
		t := x.get(i)
		if binary.BigEndian.Uint16(x.entry(i)) != 0 || t.Last <= last || t.First < 0 || t.First > t.Last {
			return fmt.Errorf("%s: %w: entry %d is %+v, expected a marker after offset %d", x.name, errDamaged, i, t, last)
		}
		last = t.Last
	}
	return nil
}
