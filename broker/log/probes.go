package log

import "github.com/ktrial/ktrial/ledger"

// The rare states that trials must have met.
var (
	ProbeSegmentsLost = ledger.NewProbe("segments lost in recovery",
		"recovery found a gap between two segments, and dropped those behind it")
	ProbeDamagedBatch = ledger.NewProbe("damaged batch cut off in recovery",
		"recovery found a batch with a wrong checksum or length, and cut the log there")
	ProbeEpochsFromBatches = ledger.NewProbe("leader epochs taken from the batches",
		"the checkpoint of leader epochs was missing or damaged, and was made anew from the log")
	ProbeDamagedSnapshot = ledger.NewProbe("damaged producer snapshot",
		"a snapshot of producers could not be read, and was made anew from the log")
	ProbeDuplicateAnswered = ledger.NewProbe("duplicate batch answered with its first offset",
		"a log was given a batch that it holds already")
	ProbeDamagedCheckpoint = ledger.NewProbe("damaged checkpoint",
		"a checkpoint of offsets could not be read")
)
