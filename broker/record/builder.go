package record

import "github.com/ktrial/ktrial/broker/kafka"

// Options of a Builder. The zero value builds a plain batch: no compression,
// no producer.
type Options struct {
	Codec         Codec
	BaseOffset    kafka.Offset
	LeaderEpoch   kafka.LeaderEpoch
	ProducerID    kafka.ProducerID // counts if Idempotent
	ProducerEpoch kafka.ProducerEpoch
	BaseSequence  kafka.Sequence
	Idempotent    bool
	Transactional bool
	Control       bool
	LogAppendTime bool
}

// Builder makes one batch at a time; Reset makes it ready for the next and
// keeps its buffer.
type Builder struct {
	opts Options
}

// NewBuilder makes a builder of batches.
func NewBuilder(opts Options) *Builder { panic("later") }

// Reset begins a new batch.
func (b *Builder) Reset(opts Options) { panic("later") }

// Append adds a record. A nil key or value is Kafka's null.
func (b *Builder) Append(ts int64, key, value []byte, headers ...Header) { panic("later") }

// Count is the number of records so far.
func (b *Builder) Count() int32 { panic("later") }

// Size is the size of the batch so far, before compression.
func (b *Builder) Size() int { panic("later") }

// SizeWith is what Size would be with one more record.
func (b *Builder) SizeWith(ts int64, key, value []byte, headers ...Header) int { panic("later") }

// Build compresses and signs the batch. It is the caller's own: the builder
// does not touch it again. There must be at least one record.
func (b *Builder) Build() Batch { panic("later") }
