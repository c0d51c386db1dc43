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
	// SegmentRolled: a segment is full, and the log goes on in another.
	SegmentRolled struct {
		Log
		Base kafka.Offset `json:"base"` // of the segment that is full
		Size int64        `json:"bytes"`
		End  kafka.Offset `json:"end"`
	}
	// RetentionDeleted: segments were too old, too many, or below the log start offset.
	RetentionDeleted struct {
		Log
		Segments int          `json:"segments"` // how many
		Start    kafka.Offset `json:"start"`    // of the log, now
	}
	// SegmentsReplaced: compaction has replaced some segments by one. The
	// batches in it may differ from those that were there: records are missing, and
	// whole batches.
	SegmentsReplaced struct {
		Log
		Base     kafka.Offset `json:"base"`     // of the first of them
		To       kafka.Offset `json:"to"`       // one past the last offset of the last of them
		Segments int          `json:"segments"` // how many there were
		Size     int64        `json:"bytes"`
	}
	// LogCleaned: a pass of the cleaner over a log is over.
	LogCleaned struct {
		Log
		FirstDirty  kafka.Offset `json:"first_dirty"`  // before the pass
		End         kafka.Offset `json:"end"`          // up to where keys were mapped: the first dirty offset from now on
		BytesRead   int64        `json:"bytes_read"`   // to map keys and to copy
		BytesBefore int64        `json:"bytes_before"` // of the segments
		BytesAfter  int64        `json:"bytes_after"`  // of those that replaced them
		Kept        int64        `json:"kept"`         // records, markers included
		Removed     int64        `json:"removed"`      // records, markers included
		Tombstones  int64        `json:"tombstones"`   // of those kept
	}
	// LogUncleanable: the cleaner cannot read a log's records, and leaves the log as it
	// is until the broker starts again.
	LogUncleanable struct {
		Log
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
	segmentRolled     = ledger.Declare[SegmentRolled]("segment-rolled", "a log goes on in a new segment", ledger.Detail)
	retentionDeleted  = ledger.Declare[RetentionDeleted]("retention-deleted", "retention deleted segments of a log", ledger.Detail)
	segmentsReplaced  = ledger.Declare[SegmentsReplaced]("segments-replaced", "compaction put a segment in the place of others", ledger.Detail)
	logCleaned        = ledger.Declare[LogCleaned]("log-cleaned", "a pass of the cleaner over a log is over", ledger.Detail)
	logUncleanable    = ledger.Declare[LogUncleanable]("log-uncleanable", "the cleaner cannot read a log", ledger.Notable)
	strayKept         = ledger.Declare[StrayKept]("stray-kept", "a log that no replica here has is kept under another name", ledger.Notable)
	checkpointDamaged = ledger.Declare[CheckpointDamaged]("checkpoint-damaged", "a checkpoint of offsets cannot be read", ledger.Notable)
)

func (e *LogClosed) Kind() *ledger.Kind         { return logClosed }
func (e *EpochsDamaged) Kind() *ledger.Kind     { return epochsDamaged }
func (e *SegmentReread) Kind() *ledger.Kind     { return segmentReread }
func (e *SegmentCut) Kind() *ledger.Kind        { return segmentCut }
func (e *SegmentsDropped) Kind() *ledger.Kind   { return segmentsDropped }
func (e *ProducersDamaged) Kind() *ledger.Kind  { return producersDamaged }
func (e *SegmentRolled) Kind() *ledger.Kind     { return segmentRolled }
func (e *RetentionDeleted) Kind() *ledger.Kind  { return retentionDeleted }
func (e *SegmentsReplaced) Kind() *ledger.Kind  { return segmentsReplaced }
func (e *LogCleaned) Kind() *ledger.Kind        { return logCleaned }
func (e *LogUncleanable) Kind() *ledger.Kind    { return logUncleanable }
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

func (e *SegmentRolled) Sentence() string {
	return fmt.Sprintf("log of %s goes on in a new segment at %d: segment %d has %d bytes", e.Subject(), e.End, e.Base, e.Size)
}

func (e *RetentionDeleted) Sentence() string {
	return fmt.Sprintf("log of %s: retention deleted %d segments, it starts at %d", e.Subject(), e.Segments, e.Start)
}

func (e *SegmentsReplaced) Sentence() string {
	return fmt.Sprintf("log of %s: %d segments with offsets %d to %d replaced by one of %d bytes", e.Subject(), e.Segments, e.Base, e.To-1, e.Size)
}

func (e *LogCleaned) Sentence() string {
	return fmt.Sprintf("log of %s compacted from %d to %d: %d bytes became %d, %d records kept (%d of them tombstones), %d removed",
		e.Subject(), e.FirstDirty, e.End, e.BytesBefore, e.BytesAfter, e.Kept, e.Tombstones, e.Removed)
}

func (e *LogUncleanable) Sentence() string {
	return fmt.Sprintf("log of %s is not compacted any more: %s", e.Subject(), e.Text)
}

func (e *StrayKept) Sentence() string {
	return fmt.Sprintf("log of %s is stray: it is kept as %s", e.Subject(), e.As)
}

func (e *CheckpointDamaged) Sentence() string {
	return e.Text + ": all its offsets are taken to be 0"
}
