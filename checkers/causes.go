package checkers

import (
	"slices"

	"github.com/ktrial/ktrial/checkers/detect"
	"github.com/ktrial/ktrial/checkers/history"
)

// follows says which anomalies of the same record are no faults of their own: a
// record that is lost is also not seen, and jumped over.
var follows = map[Anomaly][]Anomaly{
	InconsistentOffsets: {LostWrite, TornTransaction, Unseen, PollSkip, IntPollSkip, Duplicate, NonmonotonicSend, IntNonmonotonicSend, AppendRealtimeOrder, GroupSkip},
	LostWrite:           {TornTransaction, Unseen, PollSkip, IntPollSkip, GroupSkip},
	Duplicate:           {NonmonotonicSend, IntNonmonotonicSend, AppendRealtimeOrder, DuplicateProcessing, NonmonotonicPoll, IntNonmonotonicPoll},
	G1a:                 {AbortedRead, G1c, G1cRealtime},
	PhantomRead:         {G1c, G1cRealtime},
	NonmonotonicSend:    {AppendRealtimeOrder},
	PollSkip:            {Unseen, GroupSkip},
	IntPollSkip:         {Unseen, GroupSkip},
	NonmonotonicPoll:    {DuplicateProcessing},
	TwoOwners:           {DuplicateProcessing, ProcessedTwice},
	GroupJump:           {GroupSkip, Unprocessed},
	GroupSkip:           {Unprocessed},
	OwnedTwice:          {ProcessedTwice, TwoOwners},
	TornTransaction:     {GroupSkip},
}

// causes remembers which anomalies were found of which records, causes first.
type causes struct {
	log   *detect.Log
	found map[history.Rec][]Anomaly
}

func newCauses(log *detect.Log) *causes { return &causes{log, map[history.Rec][]Anomaly{}} }

// of is the anomaly that a finding follows from; empty if it stands for itself.
func (c *causes) of(f *detect.Finding) (cause Anomaly) {
	recs := f.Records()
	for _, rec := range append(c.skipped(f), recs...) {
		for _, before := range c.found[rec] {
			if cause == "" && slices.Contains(follows[before], f.Anomaly) {
				cause = before
			}
		}
	}
	for _, rec := range recs {
		if !slices.Contains(c.found[rec], f.Anomaly) {
			c.found[rec] = append(c.found[rec], f.Anomaly)
		}
	}
	return cause
}

// skipped are the first records that a skip jumped over: what became of them is
// its cause.
func (c *causes) skipped(f *detect.Finding) (recs []history.Rec) {
	if f.Anomaly != PollSkip && f.Anomaly != IntPollSkip {
		return nil
	}
	const enough = 8
	for _, rec := range c.log.Skipped(f) {
		if recs = append(recs, rec); len(recs) == enough {
			break
		}
	}
	return recs
}
