package witness

import (
	"fmt"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/ledger"
)

// Log says of which partition's log an event is. A log has no replica yet while
// it is recovered.
type Log struct {
	Partition kafka.TopicPartition `json:"partition"`
}

// Subject is the partition.
func (l *Log) Subject() string { return l.Partition.String() }

// What a log does when it is recovered, or fails.
type (
	// LogClosed: after an error the log takes no more changes.
	LogClosed struct {
		Log
		End   kafka.Offset `json:"end"`
		Doing string       `json:"doing"` // what failed
	}
	// EpochsDamaged: the checkpoint of leader epochs is made anew.
	EpochsDamaged struct {
		Log
		Error
	}
	// SegmentReread: the indexes of a segment are made anew.
	SegmentReread struct {
		Log
		Base kafka.Offset `json:"base"` // of the segment
	}
	// SegmentCut: recovery found a damaged batch, and dropped it and what is behind.
	SegmentCut struct {
		Log
		Base kafka.Offset `json:"base"` // of the segment
		At   int64        `json:"at_byte"`
		Size int64        `json:"bytes"` // as it was
		End  kafka.Offset `json:"end"`   // of what is left
	}
	// SegmentsDropped: the log ends before the offset at which it should start.
	SegmentsDropped struct {
		Log
		End   kafka.Offset `json:"end"`
		Start kafka.Offset `json:"start"`
	}
	// ProducersDamaged: a snapshot of producers is made anew.
	ProducersDamaged struct {
		Log
		File string `json:"file"`
		Error
	}
	// StrayKept: a log that the metadata assign to no replica here is kept under
	// another name.
	StrayKept struct {
		Log
		As string `json:"as"`
	}
	// CheckpointDamaged: a checkpoint of offsets cannot be read.
	CheckpointDamaged struct {
		File string `json:"file"`
		Error
	}
)

var (
	logClosed         = ledger.Declare[LogClosed]("log-closed", "a log takes no more changes after an error", ledger.Notable)
	epochsDamaged     = ledger.Declare[EpochsDamaged]("epochs-damaged", "a checkpoint of leader epochs cannot be read", ledger.Notable)
	segmentReread     = ledger.Declare[SegmentReread]("segment-reread", "the indexes of a segment are damaged and made anew", ledger.Notable)
	segmentCut        = ledger.Declare[SegmentCut]("segment-cut", "recovery cut a segment at a damaged batch", ledger.Notable)
	segmentsDropped   = ledger.Declare[SegmentsDropped]("segments-dropped", "a log ends before the offset at which it should start", ledger.Notable)
	producersDamaged  = ledger.Declare[ProducersDamaged]("producers-damaged", "a snapshot of producers cannot be read", ledger.Notable)
	strayKept         = ledger.Declare[StrayKept]("stray-kept", "a log that no replica here has is kept under another name", ledger.Notable)
	checkpointDamaged = ledger.Declare[CheckpointDamaged]("checkpoint-damaged", "a checkpoint of offsets cannot be read", ledger.Notable)
)

func (e *LogClosed) Kind() *ledger.Kind         { return logClosed }
func (e *EpochsDamaged) Kind() *ledger.Kind     { return epochsDamaged }
func (e *SegmentReread) Kind() *ledger.Kind     { return segmentReread }
func (e *SegmentCut) Kind() *ledger.Kind        { return segmentCut }
func (e *SegmentsDropped) Kind() *ledger.Kind   { return segmentsDropped }
func (e *ProducersDamaged) Kind() *ledger.Kind  { return producersDamaged }
func (e *StrayKept) Kind() *ledger.Kind         { return strayKept }
func (e *CheckpointDamaged) Kind() *ledger.Kind { return checkpointDamaged }

func (e *LogClosed) Sentence() string {
	return fmt.Sprintf("log of %s closed to changes at offset %d: could not %s", e.Subject(), e.End, e.Doing)
}

func (e *EpochsDamaged) Sentence() string { return fmt.Sprintf("log of %s: %s", e.Subject(), e.Text) }

func (e *SegmentReread) Sentence() string {
	return fmt.Sprintf("log of %s: segment %d is read again, its indexes are damaged", e.Subject(), e.Base)
}

func (e *SegmentCut) Sentence() string {
	return fmt.Sprintf("log of %s: segment %d cut at byte %d of %d, offset %d", e.Subject(), e.Base, e.At, e.Size, e.End)
}

func (e *SegmentsDropped) Sentence() string {
	return fmt.Sprintf("log of %s ends at %d, before its start offset %d: all segments go", e.Subject(), e.End, e.Start)
}

func (e *ProducersDamaged) Sentence() string {
	return fmt.Sprintf("log of %s: %s: %s", e.Subject(), e.File, e.Text)
}

func (e *StrayKept) Sentence() string {
	return fmt.Sprintf("log of %s is stray: it is kept as %s", e.Subject(), e.As)
}

func (e *CheckpointDamaged) Sentence() string {
	return e.Text + ": all its offsets are taken to be 0"
}
