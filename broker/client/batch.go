package client

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
)

// batch is some records of one partition on their way to the log.
type batch struct {
	queue *queue
	state batchState

	builder *record.Builder // nil once it is closed
	full    bool            // takes no more records
	encoded record.Batch    // once it is closed; before, memory for it
	sends   []send          // one per record

	created  time.Duration
	added    time.Duration // the sum over all records of when they came, where work takes time
	reserved int64         // of buffer.memory

	attempts int32
	retryAt  time.Duration
	tried    kafka.LeaderEpoch // in which it was last sent
	onWire   bool              // an answer, or the end of the connection, is to come
	split    bool              // it is part of one that was too large

	// doubt: some attempt may have been written, as far as the answers say.
	doubt bool

	// The identity it was sent under. It is rewritten only when it is lost.
	numbered bool
	id       kafka.ProducerID
	epoch    kafka.ProducerEpoch
	sequence kafka.Sequence
	ordinal  int64 // among the numbered batches of the partition
	// lost: it follows a batch that is certainly not in the log, so by its
	// sequence it cannot be there either, nor get there. It waits to be numbered
	// anew.
	lost bool
	// afterDoubt: it follows a batch that was given up and may be in the log.
	afterDoubt bool

	delivered bool // its callbacks have run

	// What it ended with, once it is settled.
	outcome    Outcome
	err        error
	recordErrs map[int32]error
	base       kafka.Offset
	appendTime int64 // NoTimestamp: the records keep their own
}

type batchState uint8

const (
	waiting batchState = iota // to be filled, or sent, or sent again
	inFlight
	settled
)

// send is one record's part in a batch.
type send struct {
	done      Callback
	timestamp int64
}

func (b *batch) count() int32 { return int32(len(b.sends)) }

// close ends the filling. The builder can be used again: what it builds is the
// batch's own, and a connection copies what it sends, so bytes that a stalled one
// still holds are never those of another partition (KAFKA-19012).
func (b *batch) close() (builder *record.Builder) {
	builder = b.builder
	if builder == nil {
		return nil
	}
	b.encoded = builder.BuildInto(b.encoded)
	b.builder, b.full = nil, true
	return builder
}

// size is what b takes in a request.
func (b *batch) size() int32 {
	if b.builder != nil {
		return int32(b.builder.Size())
	}
	return int32(len(b.encoded))
}

// number gives b its sequences under an identity.
func (b *batch) number(n *numbering) {
	b.numbered, b.lost, b.afterDoubt = true, false, false
	b.id, b.epoch, b.sequence, b.ordinal = n.id, n.epoch, n.take(b.count()), n.batches
	n.batches++
	stamp(b.encoded, b.id, b.epoch, b.sequence)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// stamp writes a producer's identity into the header of an encoded batch and
// computes its CRC anew.
func stamp(b record.Batch, id kafka.ProducerID, epoch kafka.ProducerEpoch, base kafka.Sequence) {
	const crcAt, attributesAt, idAt, epochAt, sequenceAt = 17, 21, 43, 51, 53
	binary.BigEndian.PutUint64(b[idAt:], uint64(id))
	binary.BigEndian.PutUint16(b[epochAt:], uint16(epoch))
	binary.BigEndian.PutUint32(b[sequenceAt:], uint32(base))
	binary.BigEndian.PutUint32(b[crcAt:], crc32.Checksum(b[attributesAt:], castagnoli))
}

// deliver calls the callbacks.
func (b *batch) deliver() {
	for i := range b.sends {
		if done := b.sends[i].done; done != nil {
			done(b.delivery(int32(i)))
		}
	}
}

// delivery is what became of the i-th record.
func (b *batch) delivery(i int32) Delivery {
	d := Delivery{
		Partition: b.queue.tp, Outcome: b.outcome, Err: b.err,
		Offset: kafka.NoOffset, Timestamp: b.sends[i].timestamp,
		ProducerID: kafka.NoProducer, Epoch: kafka.NoEpoch, Sequence: record.NoSequence,
	}
	if b.outcome == Acknowledged && b.base >= 0 {
		d.Offset = b.base + kafka.Offset(i)
	}
	if b.outcome == Acknowledged && b.appendTime != record.NoTimestamp {
		d.Timestamp = b.appendTime
	}
	if err, ok := b.recordErrs[i]; ok {
		d.Err = err
	}
	if b.numbered {
		d.ProducerID, d.Epoch, d.Sequence = b.id, b.epoch, b.sequence.Add(i)
	}
	return d
}

// parts splits b, which was too large for the broker, into batches of at most
// size bytes before compression (KIP-126). They share its position, its sequences
// and its doubts.
func (b *batch) parts(size int, opts record.Options) []*batch {
	var parts []*batch
	var builder *record.Builder
	at := int32(0)
	finish := func() {
		part := parts[len(parts)-1]
		part.encoded = builder.Build()
		if part.numbered {
			stamp(part.encoded, part.id, part.epoch, part.sequence)
		}
	}
	err := b.encoded.Records(func(r record.Record) error {
		if builder == nil || builder.SizeWith(r.Timestamp, r.Key, r.Value, r.Headers...) > size {
			if builder != nil {
				finish()
			}
			builder = record.NewBuilder(opts)
			part := *b
			part.split, part.reserved, part.sends, part.encoded = true, 0, nil, nil
			part.sequence = b.sequence.Add(at)
			parts = append(parts, &part)
		}
		builder.Append(r.Timestamp, r.Key, r.Value, r.Headers...)
		part := parts[len(parts)-1]
		part.sends = append(part.sends, b.sends[at])
		at++
		return nil
	})
	if err != nil {
		panic("client: a batch of our own cannot be read: " + err.Error())
	}
	finish()
	parts[0].reserved = b.reserved
	return parts
}
