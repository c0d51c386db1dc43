package log

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/record"
)

// Refused is why a batch was not appended, in the words that its producer is
// told, and which of its records are at fault (KIP-467).
type Refused struct {
	Kind    *kerr.Error
	Why     string
	Records []RecordError
}

// RecordError is what is wrong with one record.
type RecordError struct {
	Index int32 // in the batch, from 0
	Why   string
	kind  *kerr.Error
}

func (r *Refused) Error() string { return r.Kind.Error() + ": " + r.Why }
func (r *Refused) Unwrap() error { return r.Kind }

// refuseRecords is the answer to a batch with records at fault. As in Kafka's
// LogValidator one bad timestamp decides about the error of them all, and the
// text of the other error shows the first three.
func refuseRecords(bad []RecordError) error {
	for _, r := range bad {
		if r.kind == kerr.InvalidTimestamp {
			return &Refused{kerr.InvalidTimestamp, "One or more records have been rejected due to invalid timestamp", bad}
		}
	}
	var shown []string
	for _, r := range bad[:min(len(bad), 3)] {
		shown = append(shown, fmt.Sprintf("RecordError(batchIndex=%d, message='%s')", r.Index, r.Why))
	}
	return &Refused{kerr.InvalidRecord, fmt.Sprintf("One or more records have been rejected due to %d record errors in total, and only showing the first three errors at most: [%s]",
		len(bad), strings.Join(shown, ", ")), bad}
}

// recordErrors looks at each record for what Summarize has found in the batch.
func (l *Log) recordErrors(b record.Batch, now int64) ([]RecordError, error) {
	earliest, latest := l.timestampRange(now)
	var bad []RecordError
	i := int32(0)
	err := l.decoder.Records(b, func(r record.Record) error {
		switch {
		case l.cfg.CleanupPolicy.Compact && r.Key == nil:
			bad = append(bad, RecordError{i, fmt.Sprintf("Compacted topic cannot accept message without key in topic partition %s-%d", l.tp.Topic, l.tp.Partition), kerr.InvalidRecord})
		case l.cfg.TimestampType == CreateTime && r.Timestamp != record.NoTimestamp:
			if r.Timestamp < earliest || r.Timestamp > latest {
				bad = append(bad, RecordError{i, fmt.Sprintf("Timestamp %d of message with offset %d is out of range. The timestamp should be within [%d, %d]",
					r.Timestamp, r.Offset, earliest, latest), kerr.InvalidTimestamp})
			}
		case b.IsLogAppendTime():
			bad = append(bad, RecordError{i, "Invalid timestamp type in message record. Producer should not set timestamp type to LogAppendTime.", kerr.InvalidTimestamp})
		}
		i++
		return nil
	})
	return bad, err
}

// timestampRange is within which the timestamps of records must lie (KIP-937).
func (l *Log) timestampRange(now int64) (earliest, latest int64) {
	before, after := millis(l.cfg.TimestampBeforeMax), millis(l.cfg.TimestampAfterMax)
	if after > math.MaxInt64-now {
		return now - before, math.MaxInt64
	}
	return now - before, now + after
}

// millis undoes what became of a setting without a limit when it was read as a
// duration (package config cuts it to 1<<61).
func millis(d time.Duration) int64 {
	if d >= 1<<61/time.Millisecond*time.Millisecond {
		return math.MaxInt64
	}
	return d.Milliseconds()
}
