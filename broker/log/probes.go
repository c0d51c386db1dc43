package log

import (
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
)

// The rare states that trials must have met.
var (
	ProbeSegmentsLost = ledger.NewProbe("segments lost in recovery",
		"recovery found a gap between two segments, and dropped those behind it")
	ProbeDamagedBatch = ledger.ProbeOn[witness.SegmentCut](new(witness.SegmentCut).Kind(), "damaged batch cut off in recovery",
		"recovery found a batch with a wrong checksum or length, and cut the log there", nil)
	ProbeEpochsFromBatches = ledger.NewProbe("leader epochs taken from the batches",
		"the checkpoint of leader epochs was missing or damaged, and was made anew from the log")
	ProbeDamagedSnapshot = ledger.ProbeOn[witness.ProducersDamaged](new(witness.ProducersDamaged).Kind(), "damaged producer snapshot",
		"a snapshot of producers could not be read, and was made anew from the log", nil)
	ProbeDuplicateAnswered = ledger.NewProbe("duplicate batch answered with its first offset",
		"a log was given a batch that it holds already")
	ProbeRecalled = ledger.NewProbe("duplicate batch recalled from before a producer snapshot",
		"a retried batch was known only because the log was read behind the snapshot, which keeps one batch of each producer")
	ProbeBaseOffset = ledger.NewProbe("base offset found damaged",
		"recovery found a batch whose base offset does not follow the batch before it, and no checksum covers that")
	ProbeMarksKept = ledger.NewProbe("high watermarks kept of logs without metadata",
		"a checkpoint was written while the broker had logs that no metadata had named to it yet")
	ProbeVerifiedTooLate = ledger.NewProbe("record verified for a transaction that is over",
		"the coordinator said that a partition is in a transaction, and its marker came before the record was appended (KAFKA-14884)")
	ProbeSegmentRolled = ledger.ProbeOn[witness.SegmentRolled](new(witness.SegmentRolled).Kind(), "segment rolled",
		"a log went on in a new segment", nil)
	ProbeRetention = ledger.ProbeOn[witness.RetentionDeleted](new(witness.RetentionDeleted).Kind(), "retention deleted segments",
		"segments were too old, too many, or below the log start offset", nil)
	ProbeRetentionInTransaction = ledger.NewProbe("retention deleted segments of an open transaction",
		"a transaction is open that began in segments which are gone now")
	ProbeSegmentsReplaced = ledger.ProbeOn[witness.SegmentsReplaced](new(witness.SegmentsReplaced).Kind(), "segments compacted",
		"the log cleaner put a compacted segment in the place of others", nil)
	ProbeSwapFinished = ledger.NewProbe("compaction finished in recovery",
		"recovery found compacted segments whose originals were not gone yet")
	ProbeKeyMapFull = ledger.NewProbe("the cleaner's map of keys was full",
		"a pass of the log cleaner ended before all that it could have compacted")
	ProbeTombstoneRemoved = ledger.NewProbe("tombstone removed",
		"the log cleaner removed a tombstone after its delete horizon")
	ProbeEmptyBatchKept = ledger.NewProbe("empty batch kept",
		"the log cleaner kept the header of a batch without its records, for what it says of the producer")
	ProbeCleaningAborted = ledger.NewProbe("compaction aborted",
		"a log was cut or closed under the cleaner")
	ProbeDamagedCheckpoint = ledger.ProbeOn[witness.CheckpointDamaged](new(witness.CheckpointDamaged).Kind(), "damaged checkpoint",
		"a checkpoint of offsets could not be read", nil)
)
