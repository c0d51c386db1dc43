package record

import "github.com/ktrial/ktrial/broker/kafka"

// Record is one record of a batch. Key, Value and Headers alias the batch, or
// the buffer it was decompressed into: copy what is to be kept and changed.
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

// MaxDecompressed bounds what the records of one batch may take decompressed.
const MaxDecompressed = 128 << 20

// Records calls fn with each record in turn and ends at its first error. What
// is wrong with the records wraps CORRUPT_MESSAGE.
func (b Batch) Records(fn func(Record) error) error { panic("later") }
