package log

import (
	"errors"
	"fmt"
	"io"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/cost"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim/env"
)

// vet checks what is to be appended as the leader and makes of it what the
// topic's configuration asks for. It returns the batches, or others in their
// place if the codec had to change. What follows a client's last whole batch is
// dropped, as Kafka does.
func (l *Log) vet(batches []byte, from Origin, now int64) ([]byte, error) {
	var packed []byte
	size := 0
	for rest := batches; ; {
		b, next, err := record.Next(rest)
		if err == io.EOF || err == io.ErrUnexpectedEOF && from == Client {
			break
		}
		if err == io.ErrUnexpectedEOF {
			err = fmt.Errorf("%w: batch cut off after %d bytes", kerr.CorruptMessage, len(rest))
		}
		if err != nil {
			return nil, err
		}
		rest, size = next, size+len(b)
		if b, err = l.vetBatch(b, from, now); err != nil {
			return nil, err
		}
		if l.cfg.CompressionType.Fixed && from == Client {
			packed = append(packed, b...)
		}
	}
	if size == 0 {
		return nil, fmt.Errorf("%w: no batch", kerr.InvalidRecord)
	}
	if packed != nil {
		return packed, nil
	}
	return batches[:size], nil
}

func (l *Log) vetBatch(b record.Batch, from Origin, now int64) (record.Batch, error) {
	var err error
	if from == Client {
		b, err = l.vetClient(b, now)
	} else {
		err = b.Check()
	}
	if err != nil {
		return nil, err
	}
	if l.cfg.TimestampType == LogAppendTime {
		b.SetLogAppendTime(now)
	}
	if int64(len(b)) > int64(l.cfg.SegmentBytes) {
		return nil, fmt.Errorf("%w: batch of %d bytes, a segment takes at most %d",
			kerr.RecordListTooLarge, len(b), l.cfg.SegmentBytes)
	}
	return b, nil
}

// vetClient checks a producer's batch in Kafka's order: its header, then its
// records.
func (l *Log) vetClient(b record.Batch, now int64) (record.Batch, error) {
	if err := l.vetHeader(b); err != nil {
		return nil, err
	}
	sum, err := l.decoder.Summarize(b)
	if errors.Is(err, record.ErrMalformedRecords) {
		return nil, fmt.Errorf("%w: %v", kerr.InvalidRecord, err)
	}
	if err != nil {
		return nil, err
	}
	if b.Codec() != record.None {
		l.spend(env.Work{Kind: cost.BrokerDecompress(b.Codec()), N: int64(sum.PlainBytes)})
	}
	if sum.Gaps {
		// Kafka looks at this in compressed batches only.
		return nil, fmt.Errorf("%w: offsets of the records are not 0, 1, ... %d", kerr.InvalidRecord, b.Count()-1)
	}
	if l.suspect(b, sum, now) {
		bad, err := l.recordErrors(b, now)
		if err != nil {
			return nil, err
		}
		if len(bad) > 0 {
			return nil, refuseRecords(bad)
		}
	}
	if l.cfg.TimestampType == CreateTime {
		b.SetCreateTime(max(sum.MaxTimestamp, record.NoTimestamp)) // as Kafka counts: never below -1
	}
	if c := l.cfg.CompressionType; c.Fixed && c.Codec != b.Codec() {
		l.spend(env.Work{Kind: cost.BrokerCompress(c.Codec), N: int64(sum.PlainBytes)})
		if b, err = l.recompress(b, c.Codec); err != nil {
			return nil, err
		}
		return b, l.vetSize(b)
	}
	return b, nil
}

// spend pays for work where work takes time. A leader decompresses each batch to look at
// its records, whatever codec the log has (Kafka's LogValidator).
func (l *Log) spend(work env.Work) {
	if machine := l.host.Machine(); machine != nil && work.N > 0 {
		machine.Spend(work)
	}
}

// suspect reports whether records have to be looked at one by one.
func (l *Log) suspect(b record.Batch, sum record.Summary, now int64) bool {
	earliest, latest := l.timestampRange(now)
	return sum.NullKeys && l.cfg.CleanupPolicy.Compact || b.IsLogAppendTime() ||
		l.cfg.TimestampType == CreateTime && (sum.MaxTimestamp > latest || sum.MinTimestamp != record.NoTimestamp && sum.MinTimestamp < earliest)
}

func (l *Log) vetHeader(b record.Batch) error {
	if b.BaseOffset() != 0 {
		return fmt.Errorf("%w: base offset %d, expected 0", kerr.InvalidRecord, b.BaseOffset())
	}
	if err := l.vetSize(b); err != nil {
		return err
	}
	if err := b.CheckBytes(); err != nil {
		return err
	}
	last := b.LastOffset() - b.BaseOffset()
	switch {
	case b.Count() <= 0 || kafka.Offset(b.Count()) != last+1:
		return fmt.Errorf("%w: %d records, the offsets hold %d", kerr.InvalidRecord, b.Count(), last+1)
	case b.IsControl():
		return fmt.Errorf("%w: a client may not write control records", kerr.InvalidRecord)
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

// recompress makes the same batch with another codec.
func (l *Log) recompress(b record.Batch, codec record.Codec) (record.Batch, error) {
	builder := record.NewBuilder(record.Options{
		Codec: codec, Level: l.cfg.Level(codec), Idempotent: b.HasProducer(),
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
