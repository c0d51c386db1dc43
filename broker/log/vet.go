package log

import (
	"fmt"
	"io"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
)

// vet checks what is to be appended as the leader and makes of it what the
// topic's configuration asks for. It returns the batches, or others in their
// place if the codec had to change.
func (l *Log) vet(batches []byte, from origin, now int64) ([]byte, error) {
	if len(batches) == 0 {
		return nil, fmt.Errorf("%w: no batch", kerr.InvalidRecord)
	}
	var packed []byte
	for rest := batches; len(rest) > 0; {
		b, next, err := record.Next(rest)
		if err == io.ErrUnexpectedEOF {
			err = fmt.Errorf("%w: batch cut off after %d bytes", kerr.CorruptMessage, len(rest))
		}
		if err != nil {
			return nil, err
		}
		rest = next
		if err := b.Check(); err != nil {
			return nil, err
		}
		if from == client {
			if b, err = l.vetClient(b, now); err != nil {
				return nil, err
			}
		}
		if l.cfg.TimestampType == LogAppendTime {
			b.SetLogAppendTime(now)
		}
		if int64(len(b)) > int64(l.cfg.SegmentBytes) {
			return nil, fmt.Errorf("%w: batch of %d bytes, a segment takes at most %d",
				kerr.RecordListTooLarge, len(b), l.cfg.SegmentBytes)
		}
		if l.cfg.CompressionType.Fixed && from == client {
			packed = append(packed, b...)
		}
	}
	if packed != nil {
		return packed, nil
	}
	return batches, nil
}

// vetClient checks a producer's batch: its header, then its records.
func (l *Log) vetClient(b record.Batch, now int64) (record.Batch, error) {
	if err := l.vetHeader(b); err != nil {
		return nil, err
	}
	sum, err := l.decoder.Summarize(b)
	if err != nil {
		return nil, err
	}
	switch {
	case sum.Gaps:
		return nil, fmt.Errorf("%w: offsets of the records are not 0, 1, ... %d", kerr.InvalidRecord, b.Count()-1)
	case sum.NullKeys && l.cfg.CleanupPolicy.Compact:
		return nil, fmt.Errorf("%w: a record has no key, but the topic is compacted", kerr.InvalidRecord)
	}
	if l.cfg.TimestampType == CreateTime {
		if err := l.vetTimestamps(sum, now); err != nil {
			return nil, err
		}
		b.SetCreateTime(sum.MaxTimestamp)
	}
	if c := l.cfg.CompressionType; c.Fixed && c.Codec != b.Codec() {
		if b, err = l.recompress(b, c.Codec); err != nil {
			return nil, err
		}
	}
	return b, l.vetSize(b)
}

func (l *Log) vetHeader(b record.Batch) error {
	if err := l.vetSize(b); err != nil {
		return err
	}
	last := b.LastOffset() - b.BaseOffset()
	switch {
	case b.BaseOffset() != 0:
		return fmt.Errorf("%w: base offset %d, expected 0", kerr.InvalidRecord, b.BaseOffset())
	case b.Count() <= 0 || kafka.Offset(b.Count()) != last+1:
		return fmt.Errorf("%w: %d records, the offsets hold %d", kerr.InvalidRecord, b.Count(), last+1)
	case b.IsControl():
		return fmt.Errorf("%w: a client may not write control records", kerr.InvalidRecord)
	case b.IsLogAppendTime():
		return fmt.Errorf("%w: a client may not set the type of timestamps to LogAppendTime", kerr.InvalidTimestamp)
	case b.HasProducer() && b.BaseSequence() < 0:
		return fmt.Errorf("%w: sequence %d of producer %d, expected none below 0", kerr.InvalidRecord, b.BaseSequence(), b.ProducerID())
	}
	return nil
}

func (l *Log) vetSize(b record.Batch) error {
	if int64(len(b)) > int64(l.cfg.MaxMessageBytes) {
		return fmt.Errorf("%w: batch of %d bytes, max.message.bytes is %d", kerr.MessageTooLarge, len(b), l.cfg.MaxMessageBytes)
	}
	return nil
}

// vetTimestamps refuses records whose clock is too far from the log's (KIP-32, KIP-937).
func (l *Log) vetTimestamps(sum record.Summary, now int64) error {
	if before := l.cfg.TimestampBeforeMax.Milliseconds(); sum.MinTimestamp >= 0 && now-sum.MinTimestamp > before {
		return fmt.Errorf("%w: timestamp %d is %d ms old, message.timestamp.before.max.ms is %d",
			kerr.InvalidTimestamp, sum.MinTimestamp, now-sum.MinTimestamp, before)
	}
	if after := l.cfg.TimestampAfterMax.Milliseconds(); sum.MaxTimestamp-now > after {
		return fmt.Errorf("%w: timestamp %d is %d ms ahead, message.timestamp.after.max.ms is %d",
			kerr.InvalidTimestamp, sum.MaxTimestamp, sum.MaxTimestamp-now, after)
	}
	return nil
}

// recompress makes the same batch with another codec.
func (l *Log) recompress(b record.Batch, codec record.Codec) (record.Batch, error) {
	builder := record.NewBuilder(record.Options{
		Codec: codec, Idempotent: b.HasProducer(),
		ProducerID: b.ProducerID(), ProducerEpoch: b.ProducerEpoch(), BaseSequence: b.BaseSequence(),
		Transactional: b.IsTransactional(),
	})
	err := l.decoder.Records(b, func(r record.Record) error {
		builder.Append(r.Timestamp, r.Key, r.Value, r.Headers...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return builder.Build(), nil
}
