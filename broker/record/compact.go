package record

import (
	"encoding/binary"
	"math"
)

// Compactor rewrites batches without some of their records, as Kafka's
// MemoryRecords.filterTo does: what identifies a batch stays, its first and last
// offset, its sequences, its producer and its leader epoch. It keeps buffers from
// one batch to the next; the zero value is ready.
type Compactor struct {
	decoder Decoder
	packing compressor
	kept    []keptRecord
	raw     []byte
}

type keptRecord struct {
	frame
	timestamp int64
}

// Kept is what is left of a batch.
type Kept struct {
	Records    int32
	Tombstones int32 // of these, those without a value
}

// Compact appends to dst what is left of b when only the records stay that keep
// takes. Nothing is appended when none stays. A batch with tombstones, or one that
// needsHorizon, gets the delete horizon given, unless it has one already; none is
// given as NoTimestamp. What is wrong with the records wraps CORRUPT_MESSAGE.
func (c *Compactor) Compact(dst []byte, b Batch, keep func(Record) bool, horizon int64, needsHorizon bool) ([]byte, Kept, error) {
	var kept Kept
	c.kept = c.kept[:0]
	err := c.decoder.frames(b, func(f *frame, r Record) bool {
		if keep(r) {
			c.kept = append(c.kept, keptRecord{*f, r.Timestamp})
			kept.Records++
			if r.Value == nil {
				kept.Tombstones++
			}
		}
		return true
	})
	if err != nil || kept.Records == 0 {
		return dst, kept, err
	}
	old, marked := b.DeleteHorizon()
	sets := !marked && horizon != NoTimestamp && (needsHorizon || kept.Tombstones > 0)
	switch {
	case !sets && kept.Records == b.Count():
		return append(dst, b...), kept, nil
	case marked:
		return c.rewrite(dst, b, old, true), kept, nil
	case sets:
		return c.rewrite(dst, b, horizon, true), kept, nil
	}
	return c.rewrite(dst, b, c.kept[0].timestamp, false), kept, nil
}

// rewrite appends b with the records that are kept. Timestamps count from base.
func (c *Compactor) rewrite(dst []byte, b Batch, base int64, horizon bool) []byte {
	raw, newest := c.raw[:0], int64(math.MinInt64)
	for i := range c.kept {
		f := &c.kept[i]
		f.timestampDelta = f.timestamp - base
		raw = f.append(raw)
		newest = max(newest, f.timestamp)
	}
	c.raw = raw
	if b.IsLogAppendTime() {
		newest = b.MaxTimestamp()
	}
	attributes := b.Attributes() &^ hasHorizon
	if horizon {
		attributes |= hasHorizon
	}
	start := len(dst)
	dst = append(dst, b[:HeaderSize]...)
	dst = c.packing.compress(b.Codec(), 0, dst, raw)
	return finishRewrite(dst, start, attributes, base, newest, int32(len(c.kept)))
}

// AppendEmpty appends b without any record. Such a batch stays for what its header
// says: the last sequence of its producer, or where the log ended.
func AppendEmpty(dst []byte, b Batch) []byte {
	start := len(dst)
	dst = append(dst, b[:HeaderSize]...)
	return finishRewrite(dst, start, b.Attributes()&(logAppendTime|transactional|control), NoTimestamp, b.MaxTimestamp(), 0)
}

// finishRewrite completes the batch that begins at start, with the header of
// another, and signs it.
func finishRewrite(dst []byte, start int, attributes int16, base, newest int64, count int32) []byte {
	out := Batch(dst[start:])
	binary.BigEndian.PutUint32(out[lengthAt:], uint32(len(out)-LogOverhead))
	binary.BigEndian.PutUint16(out[attributesAt:], uint16(attributes))
	out.putInt64(baseTimestampAt, base)
	out.putInt64(maxTimestampAt, newest)
	binary.BigEndian.PutUint32(out[countAt:], uint32(count))
	out.sign()
	return dst
}

// Keys calls fn with each record, without its headers, until it returns false. The
// record is valid during the call.
func (d *Decoder) Keys(b Batch, fn func(Record) (goOn bool)) error {
	return d.frames(b, func(_ *frame, r Record) bool { return fn(r) })
}

// frames calls fn with each record as it is encoded, and as it reads but for its
// headers, until it returns false.
func (d *Decoder) frames(b Batch, fn func(*frame, Record) (goOn bool)) error {
	raw, err := d.records(b)
	if err != nil {
		return err
	}
	f := &d.frame
	for i := range b.Count() {
		var ok bool
		if *f, raw, ok = parseFrame(raw); !ok {
			return malformed("record %d of %d at offset %d: does not parse", i, b.Count(), b.BaseOffset())
		}
		if !fn(f, f.record(b)) {
			return nil
		}
	}
	if len(raw) != 0 {
		return malformed("%d bytes after the last record at offset %d", len(raw), b.LastOffset())
	}
	return nil
}
