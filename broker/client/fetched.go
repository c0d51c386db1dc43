package client

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
)

// fetched is what one fetch brought of one partition. Batches are opened when
// Poll comes to them.
type fetched struct {
	a     *assigned
	moves int // of a, when it was asked for
	rest  []byte

	// The batch that is open, and what is left of its records.
	batch   record.Batch
	records []record.Record
	memory  []record.Record // of records

	// For read_committed: the aborted transactions that begin further on, in
	// the order of their first offsets, and the producers that are in one here.
	committed bool
	aborted   []kmsg.FetchResponseTopicPartitionAbortedTransaction
	aborting  []int64
}

func (c *Consumer) newFetched(a *assigned, rp *kmsg.FetchResponseTopicPartition) *fetched {
	var f *fetched
	if n := len(c.spare); n > 0 {
		f = c.spare[n-1]
		c.spare = c.spare[:n-1]
	} else {
		f = &fetched{}
	}
	*f = fetched{a: a, moves: a.moves, rest: rp.RecordBatches, memory: f.memory}
	if c.cfg.IsolationLevel == ReadCommitted {
		f.committed = true
		f.aborted = rp.AbortedTransactions
		// The broker promises no order (franz-go 1.21.4).
		slices.SortStableFunc(f.aborted, func(x, y kmsg.FetchResponseTopicPartitionAbortedTransaction) int {
			return int(min(1, max(-1, x.FirstOffset-y.FirstOffset)))
		})
	}
	return f
}

// free keeps the memory of f for another.
func (c *Consumer) free(f *fetched) {
	clear(f.memory)
	c.spare = append(c.spare, f)
}

// stale reports whether the position has jumped since.
func (f *fetched) stale() bool { return f.a.moves != f.moves || f.a.state != valid }

func (f *fetched) exhausted() bool {
	return f.stale() || len(f.records) == 0 && len(f.rest) == 0
}

func (f *fetched) drop() { f.rest, f.records = nil, nil }

// take appends records to out until it holds limit, and moves the position
// past them.
func (f *fetched) take(out []ConsumerRecord, limit int, checkCRC bool) ([]ConsumerRecord, error) {
	a := f.a
	for !f.stale() && len(out) < limit {
		if len(f.records) == 0 {
			more, err := f.open(checkCRC)
			if err != nil || !more {
				return out, err
			}
			continue
		}
		n := min(len(f.records), limit-len(out))
		for i := range f.records[:n] {
			r := &f.records[i]
			out = append(out, ConsumerRecord{
				Partition: a.tp, Offset: r.Offset, LeaderEpoch: f.batch.LeaderEpoch(), Timestamp: r.Timestamp,
				Key: r.Key, Value: r.Value, Headers: r.Headers,
			})
		}
		f.records = f.records[n:]
		a.position = Position{out[len(out)-1].Offset + 1, f.batch.LeaderEpoch()}
		if len(f.records) == 0 {
			f.passed()
		}
	}
	return out, nil
}

// passed moves the position past the open batch: its last records may have
// been compacted away.
func (f *fetched) passed() {
	f.a.position = Position{f.batch.NextOffset(), f.batch.LeaderEpoch()}
}

// open opens the next batch. Without one the rest is dropped: a batch that was
// cut at the maximum size comes whole with the next fetch.
func (f *fetched) open(checkCRC bool) (more bool, err error) {
	batch, rest, err := record.Next(f.rest)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		f.rest = nil
		return false, nil
	}
	if err == nil && checkCRC {
		err = batch.Check()
	}
	if err != nil {
		return false, f.broken(err)
	}
	f.rest, f.batch = rest, batch
	if batch.LastOffset() < f.a.position.Offset {
		return true, nil // the fetch began in the middle of what the broker keeps together
	}
	if f.hidden() {
		f.passed()
		return true, nil
	}
	f.records = f.memory[:0]
	from := f.a.position.Offset
	err = batch.Records(func(r record.Record) error {
		if r.Offset >= from {
			f.records = append(f.records, r)
		}
		return nil
	})
	f.memory = f.records
	if err != nil {
		f.records = nil
		return false, f.broken(err)
	}
	if len(f.records) == 0 {
		f.passed()
	}
	return true, nil
}

func (f *fetched) broken(err error) error {
	return fmt.Errorf("client: poll %v: batch at or after offset %d: %w", f.a.tp, f.a.position.Offset, err)
}

// hidden reports whether the open batch is not for the application: a marker,
// or, with read_committed, part of an aborted transaction.
func (f *fetched) hidden() bool {
	if !f.committed {
		return f.batch.IsControl()
	}
	for len(f.aborted) > 0 && kafka.Offset(f.aborted[0].FirstOffset) <= f.batch.LastOffset() {
		if id := f.aborted[0].ProducerID; !slices.Contains(f.aborting, id) {
			f.aborting = append(f.aborting, id)
		}
		f.aborted = f.aborted[1:]
	}
	id := int64(f.batch.ProducerID())
	if f.batch.IsControl() {
		// The marker ends the producer's transaction whatever it held
		// (librdkafka 1.7.0).
		if t, _, ok := f.batch.EndTxnMarker(); ok && t == record.Abort {
			f.aborting = slices.DeleteFunc(f.aborting, func(other int64) bool { return other == id })
		}
		return true
	}
	return f.batch.IsTransactional() && slices.Contains(f.aborting, id)
}
