package record

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"github.com/ktrial/ktrial/broker/kafka"
)

// Options of a Builder. The zero value builds a plain batch: no compression,
// no producer.
type Options struct {
	Codec       Codec
	Level       Level
	BaseOffset  kafka.Offset
	LeaderEpoch kafka.LeaderEpoch

	// Idempotent: the next three count.
	Idempotent    bool
	ProducerID    kafka.ProducerID
	ProducerEpoch kafka.ProducerEpoch
	BaseSequence  kafka.Sequence

	Transactional bool
	Control       bool
}

// Builder makes one batch at a time; Reset makes it ready for the next and
// keeps its buffers.
type Builder struct {
	opts    Options
	buf     []byte // header, then records
	count   int32
	base    int64 // timestamp of the first record
	max     int64 // greatest timestamp
	packing compressor
}

// NewBuilder makes a builder of batches.
func NewBuilder(opts Options) *Builder {
	b := new(Builder)
	b.Reset(opts)
	return b
}

// Reset begins a new batch.
func (b *Builder) Reset(opts Options) {
	b.opts, b.count = opts, 0
	b.buf = append(b.buf[:0], make([]byte, HeaderSize)...)
}

// Append adds a record. A nil key or value is Kafka's null.
func (b *Builder) Append(ts int64, key, value []byte, headers ...Header) {
	if b.count == 0 {
		b.base, b.max = ts, ts
	}
	b.max = max(b.max, ts)
	buf := binary.AppendVarint(b.buf, int64(b.bodySize(ts, key, value, headers)))
	buf = append(buf, 0) // attributes
	buf = binary.AppendVarint(buf, ts-b.base)
	buf = binary.AppendVarint(buf, int64(b.count))
	buf = appendBytes(buf, key)
	buf = appendBytes(buf, value)
	buf = binary.AppendVarint(buf, int64(len(headers)))
	for _, h := range headers {
		buf = binary.AppendVarint(buf, int64(len(h.Key)))
		buf = append(buf, h.Key...)
		buf = appendBytes(buf, h.Value)
	}
	b.buf = buf
	b.count++
}

// Count is the number of records so far.
func (b *Builder) Count() int32 { return b.count }

// Size is the size of the batch so far, before compression.
func (b *Builder) Size() int { return len(b.buf) }

// SizeWith is what Size would be with one more record.
func (b *Builder) SizeWith(ts int64, key, value []byte, headers ...Header) int {
	body := b.bodySize(ts, key, value, headers)
	return len(b.buf) + varintSize(int64(body)) + body
}

// bodySize is the size of a record without its length.
func (b *Builder) bodySize(ts int64, key, value []byte, headers []Header) int {
	delta := ts - b.base
	if b.count == 0 {
		delta = 0
	}
	n := 1 + varintSize(delta) + varintSize(int64(b.count)) +
		bytesSize(key) + bytesSize(value) + varintSize(int64(len(headers)))
	for _, h := range headers {
		n += varintSize(int64(len(h.Key))) + len(h.Key) + bytesSize(h.Value)
	}
	return n
}

// Build compresses and signs the batch. It is the caller's own: the builder
// does not touch it again. There must be at least one record.
func (b *Builder) Build() Batch { return b.BuildInto(nil) }

// BuildInto is Build over memory that the caller has, if that is large enough.
func (b *Builder) BuildInto(memory []byte) Batch {
	if b.count == 0 {
		panic("record: build a batch of 0 records, expected at least 1")
	}
	return b.finish(memory)
}

func (b *Builder) finish(memory []byte) Batch {
	out := Batch(b.packing.compress(b.opts.Codec, b.opts.Level, b.header(memory), b.buf[HeaderSize:]))
	if len(out)-LogOverhead > math.MaxInt32 {
		panic(fmt.Sprintf("record: batch of %d bytes, expected at most %d", len(out), math.MaxInt32))
	}
	binary.BigEndian.PutUint32(out[lengthAt:], uint32(len(out)-LogOverhead))
	out.sign()
	return out
}

// header is the header, without length and CRC, with room for what follows it.
func (b *Builder) header(memory []byte) []byte {
	o := &b.opts
	if !o.Idempotent {
		o.ProducerID, o.ProducerEpoch, o.BaseSequence = kafka.NoProducer, kafka.NoEpoch, NoSequence
	}
	size := len(b.buf)
	if o.Codec != None {
		size = HeaderSize + len(b.buf)/2
	}
	h := memory[:0]
	if cap(h) < size {
		h = make([]byte, 0, size)
	}
	h = binary.BigEndian.AppendUint64(h, uint64(o.BaseOffset))
	h = binary.BigEndian.AppendUint32(h, 0)
	h = binary.BigEndian.AppendUint32(h, uint32(o.LeaderEpoch))
	h = append(h, magic, 0, 0, 0, 0)
	h = binary.BigEndian.AppendUint16(h, uint16(o.attributes()))
	h = binary.BigEndian.AppendUint32(h, uint32(b.count-1))
	h = binary.BigEndian.AppendUint64(h, uint64(b.base))
	h = binary.BigEndian.AppendUint64(h, uint64(b.max))
	h = binary.BigEndian.AppendUint64(h, uint64(o.ProducerID))
	h = binary.BigEndian.AppendUint16(h, uint16(o.ProducerEpoch))
	h = binary.BigEndian.AppendUint32(h, uint32(o.BaseSequence))
	return binary.BigEndian.AppendUint32(h, uint32(b.count))
}

func (o *Options) attributes() int16 {
	a := int16(o.Codec)
	if o.Transactional {
		a |= transactional
	}
	if o.Control {
		a |= control
	}
	return a
}

func appendBytes(dst, v []byte) []byte {
	if v == nil {
		return append(dst, 1) // -1 in zig-zag
	}
	return append(binary.AppendVarint(dst, int64(len(v))), v...)
}

func bytesSize(v []byte) int {
	if v == nil {
		return 1
	}
	return varintSize(int64(len(v))) + len(v)
}

func varintSize(v int64) int {
	zigzag := uint64(v<<1) ^ uint64(v>>63)
	return (bits.Len64(zigzag|1) + 6) / 7
}
