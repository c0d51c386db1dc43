// Package record holds the record batch, version 2: what a producer sends,
// what the log stores and what a consumer fetches are the same bytes.
//
// A Batch is a view of those bytes. Its accessors read the header in place and
// allocate nothing; the records inside are only looked at by Records, which
// decompresses, within a bound. A Builder makes batches. Nothing here starts a
// goroutine, and the same records always give the same bytes, compressed or not.
package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
)

// Batch is one record batch, header and all. Its accessors demand HeaderSize
// bytes: take batches from Next or Build.
type Batch []byte

// Where the fields of the header lie.
const (
	baseOffsetAt      = 0
	lengthAt          = 8
	leaderEpochAt     = 12
	magicAt           = 16
	crcAt             = 17
	attributesAt      = 21 // the CRC covers all from here on
	lastOffsetDeltaAt = 23
	baseTimestampAt   = 27
	maxTimestampAt    = 35
	producerIDAt      = 43
	producerEpochAt   = 51
	baseSequenceAt    = 53
	countAt           = 57

	// HeaderSize is the size of a batch without records.
	HeaderSize = 61
	// LogOverhead is what precedes the bytes that the length field counts.
	LogOverhead = 12
)

const magic = 2

// Attributes of a batch.
const (
	codecMask     = 0x07
	logAppendTime = 0x08
	transactional = 0x10
	control       = 0x20
	hasHorizon    = 0x40 // the base timestamp is the delete horizon (KIP-534)
)

// What stands where there is none.
const (
	NoTimestamp = int64(-1)
	NoSequence  = kafka.Sequence(-1)
)

func (b Batch) BaseOffset() kafka.Offset { return kafka.Offset(b.int64(baseOffsetAt)) }

// LastOffset is the offset of the last record, even if compaction removed it.
func (b Batch) LastOffset() kafka.Offset {
	return b.BaseOffset() + kafka.Offset(b.int32(lastOffsetDeltaAt))
}

// NextOffset is where the next batch begins.
func (b Batch) NextOffset() kafka.Offset       { return b.LastOffset() + 1 }
func (b Batch) LeaderEpoch() kafka.LeaderEpoch { return kafka.LeaderEpoch(b.int32(leaderEpochAt)) }
func (b Batch) Attributes() int16              { return b.int16(attributesAt) }
func (b Batch) Codec() Codec                   { return Codec(b.Attributes() & codecMask) }
func (b Batch) IsTransactional() bool          { return b.Attributes()&transactional != 0 }
func (b Batch) IsControl() bool                { return b.Attributes()&control != 0 }
func (b Batch) IsLogAppendTime() bool          { return b.Attributes()&logAppendTime != 0 }
func (b Batch) BaseTimestamp() int64           { return b.int64(baseTimestampAt) }
func (b Batch) MaxTimestamp() int64            { return b.int64(maxTimestampAt) }

// DeleteHorizon is when compaction may remove the batch's tombstones, or the
// marker that it is: in milliseconds by the broker's wall clock. It is there from
// the first pass on that found them removable (KIP-534).
func (b Batch) DeleteHorizon() (at int64, ok bool) {
	if b.Attributes()&hasHorizon == 0 {
		return 0, false
	}
	return b.BaseTimestamp(), true
}

func (b Batch) ProducerID() kafka.ProducerID { return kafka.ProducerID(b.int64(producerIDAt)) }
func (b Batch) ProducerEpoch() kafka.ProducerEpoch {
	return kafka.ProducerEpoch(b.int16(producerEpochAt))
}
func (b Batch) BaseSequence() kafka.Sequence { return kafka.Sequence(b.int32(baseSequenceAt)) }

// LastSequence is the sequence of the last record, or NoSequence.
func (b Batch) LastSequence() kafka.Sequence {
	base := b.BaseSequence()
	if base == NoSequence {
		return NoSequence
	}
	return base.Add(b.int32(lastOffsetDeltaAt))
}

// HasProducer reports whether the batch came from an idempotent producer.
func (b Batch) HasProducer() bool { return b.ProducerID() > kafka.NoProducer }

// Count is the number of records.
func (b Batch) Count() int32 { return b.int32(countAt) }

// SizeInBytes is the size of the whole batch.
func (b Batch) SizeInBytes() int { return len(b) }

// SetBaseOffset and SetLeaderEpoch write what the leader assigns; neither field
// is covered by the CRC.
func (b Batch) SetBaseOffset(o kafka.Offset) { b.putInt64(baseOffsetAt, int64(o)) }

// SetLeaderEpoch: see SetBaseOffset.
func (b Batch) SetLeaderEpoch(e kafka.LeaderEpoch) {
	binary.BigEndian.PutUint32(b[leaderEpochAt:], uint32(e))
}

// SetLogAppendTime stamps the batch with the time of its append (KIP-32) and
// computes the CRC anew.
func (b Batch) SetLogAppendTime(ts int64) {
	b.setTimestampType(b.Attributes()|logAppendTime, ts)
}

// SetCreateTime says that timestamps are the producer's and what the greatest is.
func (b Batch) SetCreateTime(maxTimestamp int64) {
	b.setTimestampType(b.Attributes()&^logAppendTime, maxTimestamp)
}

func (b Batch) setTimestampType(attributes int16, ts int64) {
	if b.Attributes() == attributes && b.MaxTimestamp() == ts {
		return
	}
	binary.BigEndian.PutUint16(b[attributesAt:], uint16(attributes))
	b.putInt64(maxTimestampAt, ts)
	b.sign()
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (b Batch) checksum() uint32 { return crc32.Checksum(b[attributesAt:], castagnoli) }
func (b Batch) crc() uint32      { return binary.BigEndian.Uint32(b[crcAt:]) }

// CRC is the checksum that the batch carries, right or wrong.
func (b Batch) CRC() uint32 { return b.crc() }

func (b Batch) sign() { binary.BigEndian.PutUint32(b[crcAt:], b.checksum()) }

// Check reports what is wrong with the batch as a whole: its length, magic,
// CRC or the fields that contradict each other. It wraps CORRUPT_MESSAGE, or
// UNSUPPORTED_FOR_MESSAGE_FORMAT for another magic. It does not look at records.
func (b Batch) Check() error {
	if err := b.CheckBytes(); err != nil {
		return err
	}
	if b.int32(lastOffsetDeltaAt) < 0 {
		return corrupt("last offset delta %d, expected none below 0", b.int32(lastOffsetDeltaAt))
	}
	return nil
}

// CheckBytes is Check without the fields that contradict each other: whether
// these are the bytes that the writer of the batch signed.
func (b Batch) CheckBytes() error {
	if len(b) < HeaderSize {
		return corrupt("%d bytes, expected at least %d", len(b), HeaderSize)
	}
	if got, want := len(b), LogOverhead+int(b.int32(lengthAt)); got != want {
		return corrupt("%d bytes, the length field says %d", got, want)
	}
	if b[magicAt] != magic {
		return fmt.Errorf("%w: magic %d, expected %d", kerr.UnsupportedForMessageFormat, int8(b[magicAt]), magic)
	}
	if got := b.checksum(); got != b.crc() {
		return corrupt("crc %08x recorded, %08x computed", b.crc(), got)
	}
	return nil
}

// Next splits the first batch off b. No bytes at all are io.EOF; part of a
// batch is io.ErrUnexpectedEOF, as at the end of a fetch that was cut at its
// maximum. It looks at the length and the magic only.
func Next(b []byte) (batch Batch, rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil, io.EOF
	}
	if len(b) < LogOverhead {
		return nil, b, io.ErrUnexpectedEOF
	}
	length := int64(int32(binary.BigEndian.Uint32(b[lengthAt:])))
	if length < HeaderSize-LogOverhead {
		return nil, b, corrupt("batch length %d, expected at least %d", length, HeaderSize-LogOverhead)
	}
	size := LogOverhead + length
	if int64(len(b)) > magicAt && b[magicAt] != magic {
		return nil, b, fmt.Errorf("%w: magic %d, expected %d", kerr.UnsupportedForMessageFormat, int8(b[magicAt]), magic)
	}
	if int64(len(b)) < size {
		return nil, b, io.ErrUnexpectedEOF
	}
	return Batch(b[:size:size]), b[size:], nil
}

// PeekBase is the base offset of the batch whose first LogOverhead bytes are in b.
func PeekBase(b []byte) kafka.Offset { return Batch(b).BaseOffset() }

// PeekSize is the size of the batch whose first LogOverhead bytes are in b.
func PeekSize(b []byte) int64 {
	return LogOverhead + int64(int32(binary.BigEndian.Uint32(b[lengthAt:])))
}

// ErrMalformedRecords: a batch is whole, but the records inside do not parse or
// contradict its header. Such errors wrap CORRUPT_MESSAGE as well.
var ErrMalformedRecords = errors.New("malformed records")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w: %s", kerr.CorruptMessage, ErrMalformedRecords, fmt.Sprintf(format, args...))
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", kerr.CorruptMessage, fmt.Sprintf(format, args...))
}

func (b Batch) int16(at int) int16       { return int16(binary.BigEndian.Uint16(b[at:])) }
func (b Batch) int32(at int) int32       { return int32(binary.BigEndian.Uint32(b[at:])) }
func (b Batch) int64(at int) int64       { return int64(binary.BigEndian.Uint64(b[at:])) }
func (b Batch) putInt64(at int, v int64) { binary.BigEndian.PutUint64(b[at:], uint64(v)) }
