package checkers

import (
	"github.com/ktrial/ktrial/checkers/history"
)

// finding is one instance of an anomaly, in numbers; words come later, and
// only for those that are told.
type finding struct {
	anomaly Anomaly
	key     history.Key
	recs    []history.Rec // in the order of the story
	offsets []int64       // of recs, or what else the story is about
	rows    []int         // the operations that prove it
	delta   int           // of order anomalies: how far it jumped, in known records
	tail    bool          // lost beyond the log's end
	direct  bool          // of G1c-realtime: the record itself came out of the future
	claims  int           // of inconsistent-offsets: how many records polls saw there
	note    string
}

// emit takes a finding. Detectors call it as often as they find.
type emit func(finding)

// detector looks for some anomalies; it returns how much it looked at.
type detector struct {
	finds []Anomaly
	run   func(a *analysis, emit emit) int64
}

// detectors are all of them, cheap ones first.
var detectors = []detector{
	{[]Anomaly{InconsistentOffsets, Duplicate}, findBijection},
	{[]Anomaly{LostWrite, TornTransaction}, findLost},
	{[]Anomaly{Unseen}, findUnseen},
	{[]Anomaly{StuckLSO}, findStuck},
	{[]Anomaly{PhantomRead, G1a, AbortedRead, PrecommittedRead, DuplicateProcessing}, findBadReads},
	{[]Anomaly{IntPollSkip, IntNonmonotonicPoll, PollSkip, NonmonotonicPoll}, findPollOrder},
	{[]Anomaly{NonmonotonicSend, IntNonmonotonicSend, IntSendSkip}, findSendOrder},
	{[]Anomaly{AppendRealtimeOrder}, findAppendOrder},
	{[]Anomaly{G1c, G1cRealtime}, findReadCycles},
	{[]Anomaly{NonmonotonicEnd, DecreasingStart, ProducerEpoch, GroupGeneration}, findMarks},
	{[]Anomaly{GroupSkip, CommitAhead, CommittedOffset}, findGroups},
}
