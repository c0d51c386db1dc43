package record

import (
	"encoding/binary"
	"math"

	"github.com/ktrial/ktrial/broker/kafka"
)

// Record is one record of a batch. Key, Value and Headers alias the batch, or
// the buffer it was decompressed into: copy what is to be kept or changed.
type Record struct {
	Offset    kafka.Offset
	Timestamp int64
	Key       []byte // nil: null
	Value     []byte // nil: null
	Headers   []Header
}

// Header is a record's header (KIP-82).
type Header struct {
	Key   string
	Value []byte // nil: null
}

// Records calls fn with each record in turn and ends at its first error. What
// is wrong with the records themselves wraps CORRUPT_MESSAGE. The records stay
// valid after the call.
func (b Batch) Records(fn func(Record) error) error {
	var d Decoder
	return d.Records(b, fn)
}

// Records is Batch.Records, with the decoder's buffers.
func (d *Decoder) Records(b Batch, fn func(Record) error) error {
	_, err := d.each(b, fn)
	return err
}

// Summary is what a look at every record of a batch finds.
type Summary struct {
	MaxTimestamp int64
	MaxAt        kafka.Offset // of the first record with MaxTimestamp
	MinTimestamp int64        // NoTimestamp if no record has one
	NullKeys     bool         // a record has no key
	Gaps         bool         // the records' offsets are not base, base+1, ...
	PlainBytes   int          // of the records, decompressed
}

// Summarize looks at every record, without making any of them.
func (d *Decoder) Summarize(b Batch) (Summary, error) { return d.each(b, nil) }

// each walks the records; it makes them only for fn, which may be nil.
func (d *Decoder) each(b Batch, fn func(Record) error) (Summary, error) {
	sum := Summary{MaxTimestamp: NoTimestamp, MaxAt: kafka.NoOffset, MinTimestamp: NoTimestamp}
	raw, err := d.records(b)
	if err != nil {
		return sum, err
	}
	sum.PlainBytes = len(raw)
	count, lastDelta := b.Count(), int64(b.int32(lastOffsetDeltaAt))
	if count < 0 || int64(count) > lastDelta+1 {
		return sum, malformed("%d records at offset %d, the offsets hold %d", count, b.BaseOffset(), lastDelta+1)
	}
	sum.Gaps = int64(count) != lastDelta+1
	next := int64(0)
	for i := range count {
		f, rest, ok := parseFrame(raw)
		if !ok {
			return sum, malformed("record %d of %d at offset %d: does not parse", i, count, b.BaseOffset())
		}
		raw = rest
		if f.offsetDelta < next || f.offsetDelta > lastDelta {
			return sum, malformed("record %d of %d at offset %d: offset delta %d, expected %d to %d",
				i, count, b.BaseOffset(), f.offsetDelta, next, lastDelta)
		}
		sum.Gaps = sum.Gaps || f.offsetDelta != int64(i)
		next = f.offsetDelta + 1
		sum.NullKeys = sum.NullKeys || f.key == nil
		ts := b.BaseTimestamp() + f.timestampDelta
		if b.IsLogAppendTime() {
			ts = b.MaxTimestamp()
		}
		offset := b.BaseOffset() + kafka.Offset(f.offsetDelta)
		if sum.MaxAt == kafka.NoOffset || ts > sum.MaxTimestamp {
			sum.MaxTimestamp, sum.MaxAt = ts, offset
		}
		if ts != NoTimestamp && (ts < sum.MinTimestamp || sum.MinTimestamp == NoTimestamp) {
			sum.MinTimestamp = ts
		}
		if fn != nil {
			if err := fn(Record{offset, ts, f.key, f.value, f.makeHeaders()}); err != nil {
				return sum, err
			}
		}
	}
	if len(raw) != 0 {
		return sum, malformed("%d bytes after the last record at offset %d", len(raw), b.LastOffset())
	}
	return sum, nil
}

// frame is a record as it is encoded.
type frame struct {
	timestampDelta, offsetDelta int64
	key, value                  []byte
	headerCount                 int32
	headers                     []byte // encoded, and known to parse
}

// parseFrame splits the first record off b.
func parseFrame(b []byte) (f frame, rest []byte, ok bool) {
	length, n := varint(b)
	if n == 0 || length < 1 || length > int64(len(b)-n) {
		return f, b, false
	}
	r := fields{b: b[n+1 : n+int(length)]} // after the attributes, which are unused
	f.timestampDelta = r.varlong()
	f.offsetDelta = r.varint()
	f.key = r.bytes()
	f.value = r.bytes()
	headers := r.varint()
	if r.bad || headers < 0 || headers > int64(len(r.b)) {
		return f, b, false
	}
	f.headerCount, f.headers = int32(headers), r.b
	for range f.headerCount {
		if r.bytes() == nil {
			return f, b, false // a header's key is never null
		}
		r.bytes()
	}
	return f, b[n+int(length):], !r.bad && len(r.b) == 0
}

// record is the record in batch b that f encodes, without its headers.
func (f *frame) record(b Batch) Record {
	ts := b.BaseTimestamp() + f.timestampDelta
	if b.IsLogAppendTime() {
		ts = b.MaxTimestamp()
	}
	return Record{Offset: b.BaseOffset() + kafka.Offset(f.offsetDelta), Timestamp: ts, Key: f.key, Value: f.value}
}

// append encodes the record.
func (f *frame) append(dst []byte) []byte {
	size := 1 + varintSize(f.timestampDelta) + varintSize(f.offsetDelta) +
		bytesSize(f.key) + bytesSize(f.value) + varintSize(int64(f.headerCount)) + len(f.headers)
	dst = binary.AppendVarint(dst, int64(size))
	dst = append(dst, 0) // attributes
	dst = binary.AppendVarint(dst, f.timestampDelta)
	dst = binary.AppendVarint(dst, f.offsetDelta)
	dst = appendBytes(dst, f.key)
	dst = appendBytes(dst, f.value)
	dst = binary.AppendVarint(dst, int64(f.headerCount))
	return append(dst, f.headers...)
}

func (f *frame) makeHeaders() []Header {
	if f.headerCount == 0 {
		return nil
	}
	headers := make([]Header, f.headerCount)
	r := fields{b: f.headers}
	for i := range headers {
		headers[i] = Header{string(r.bytes()), r.bytes()}
	}
	return headers
}

// fields takes a record's fields off b, one after the other. After one that
// does not fit it is bad, and gives zeros.
type fields struct {
	b   []byte
	bad bool
}

func (r *fields) varlong() int64 {
	v, n := varint(r.b)
	if n == 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *fields) varint() int64 {
	v := r.varlong()
	if v < math.MinInt32 || v > math.MaxInt32 {
		r.bad = true
		return 0
	}
	return v
}

// bytes is nil for null only.
func (r *fields) bytes() []byte {
	n := r.varint()
	if n < -1 || n > int64(len(r.b)) {
		r.bad = true
	}
	if n < 0 || r.bad {
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// varint reads a zig-zag number and how many bytes it took, 0 if it is broken.
func varint(b []byte) (v int64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return int64(b[0]>>1) ^ -int64(b[0]&1), 1
	}
	v, n = binary.Varint(b)
	return v, max(n, 0)
}
