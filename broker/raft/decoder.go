package raft

import (
	"fmt"

	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/record"
)

// decoderBytes is how many bytes of batches a Decoder remembers, unless a
// single one is larger. The followers of a log come by for a batch within
// moments of each other; this is many times what is written in between.
const decoderBytes = 1 << 20

// Decoder takes batches of the metadata log apart, and remembers the latest:
// a caller with the same bytes gets the same records, which are never changed.
// The nodes of one cluster in one process can share a Decoder. Then a batch
// that a hundred of them fetch is decoded once, and their images share what its
// records make. Each node still fetches, checks, writes and applies its own
// log.
//
// The zero Decoder is ready; nil is one that remembers nothing.
type Decoder struct {
	known map[string]held // by the bytes of the batch
	order []string        // of known, the oldest first
	bytes int             // in known
}

// decode takes batches apart into what they say, and the spans they make.
func (d *Decoder) decode(bytes []byte) ([]held, []Span, error) {
	n := countBatches(bytes)
	batches, spans := make([]held, 0, n), make([]Span, 0, n)
	for len(bytes) > 0 {
		b, rest, err := record.Next(bytes)
		if err != nil {
			return nil, nil, fmt.Errorf("raft: decode the metadata log: %w", err)
		}
		h, err := d.batch(b)
		if err != nil {
			return nil, nil, err
		}
		batches = append(batches, h)
		spans = append(spans, Span{Epoch: b.LeaderEpoch(), Base: b.BaseOffset(), Next: b.NextOffset()})
		bytes = rest
	}
	return batches, spans, nil
}

// countBatches is how many batches there are before the end, or the first that
// is none. A broker that starts fetches hundreds at once.
func countBatches(bytes []byte) (n int) {
	for len(bytes) > 0 {
		_, rest, err := record.Next(bytes)
		if err != nil {
			break
		}
		n, bytes = n+1, rest
	}
	return n
}

// batch is b taken apart. All of its bytes are compared, so what is known needs
// no check of its CRC either.
func (d *Decoder) batch(b record.Batch) (held, error) {
	if d == nil {
		return decodeBatch(b)
	}
	if h, ok := d.known[string(b)]; ok {
		return h, nil
	}
	h, err := decodeBatch(b)
	if err == nil {
		d.remember(string(b), h)
	}
	return h, err
}

func (d *Decoder) remember(b string, h held) {
	if d.known == nil {
		d.known = map[string]held{}
	}
	d.known[b] = h
	d.order = append(d.order, b)
	d.bytes += len(b)
	for d.bytes > decoderBytes && len(d.order) > 1 {
		oldest := d.order[0]
		d.order[0] = "" // the array may live on for a while
		d.order = d.order[1:]
		d.bytes -= len(oldest)
		delete(d.known, oldest)
	}
}

func decodeBatch(b record.Batch) (held, error) {
	if err := b.Check(); err != nil {
		return held{}, fmt.Errorf("raft: decode the metadata log: %w", err)
	}
	h := held{
		batch: Batch{
			BaseOffset: b.BaseOffset(), LastOffset: b.LastOffset(), Epoch: b.LeaderEpoch(), Timestamp: b.MaxTimestamp(),
		},
		size: int64(len(b)),
	}
	if b.IsControl() {
		return h, nil
	}
	h.batch.Records = make([]metadata.Record, 0, b.Count())
	err := b.Records(func(r record.Record) error {
		rec, err := metadata.Decode(r.Value)
		if err == nil {
			h.batch.Records = append(h.batch.Records, rec)
		}
		return err
	})
	if err != nil {
		return held{}, fmt.Errorf("raft: decode batch at %d: %w", b.BaseOffset(), err)
	}
	return h, nil
}
