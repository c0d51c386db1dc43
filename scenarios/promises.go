package scenarios

import (
	"github.com/ktrial/ktrial/checkers"
)

// Promise is something that the cluster owes its clients, and the anomalies
// that break it. The checkers look for anomalies; people ask for promises.
type Promise struct {
	Name      string
	About     string
	Anomalies []checkers.Anomaly
	// Counts is how much was looked at.
	Counts func(checkers.Examined) int64
}

func acknowledged(e checkers.Examined) int64 { return e.Acknowledged }
func polled(e checkers.Examined) int64       { return e.Polled }
func both(e checkers.Examined) int64         { return e.Both }

// Promises are what a configuration promises that is safe throughout: acks=all,
// idempotent producers, min.insync.replicas of at least two. Where less is
// configured the same is asked, and what the configuration permits is named.
var Promises = []Promise{
	{"acknowledged records are never lost", "each is where it was acknowledged, for all who read that far",
		[]checkers.Anomaly{checkers.LostWrite, checkers.TornTransaction}, acknowledged},
	{"acknowledged records are read in the end", "when all is well again every one of them is seen",
		[]checkers.Anomaly{checkers.Unseen}, acknowledged},
	{"records are not duplicated", "a record has one offset",
		[]checkers.Anomaly{checkers.Duplicate}, polled},
	{"all observations agree", "an offset holds one record, whoever looks and whenever",
		[]checkers.Anomaly{checkers.InconsistentOffsets}, polled},
	{"nothing is read that was not sent", "no phantom, no record of a send that failed, none in the wrong partition",
		[]checkers.Anomaly{checkers.PhantomRead, checkers.G1a, checkers.AbortedRead, checkers.PrecommittedRead}, polled},
	{"consumers read in order and without holes", "a consumer's position goes on by one record at a time",
		[]checkers.Anomaly{checkers.IntPollSkip, checkers.IntNonmonotonicPoll, checkers.PollSkip, checkers.NonmonotonicPoll}, polled},
	{"producers' records stay in order", "what one life of a producer sent later lies behind what it sent before",
		[]checkers.Anomaly{checkers.NonmonotonicSend, checkers.IntNonmonotonicSend}, acknowledged},
	{"appends are linearizable per partition", "an append that was acknowledged before another began lies before it",
		[]checkers.Anomaly{checkers.AppendRealtimeOrder, checkers.G1cRealtime}, both},
	{"ends of logs do not go back", "who was told an end is never told an earlier one",
		[]checkers.Anomaly{checkers.NonmonotonicEnd, checkers.DecreasingStart}, polled},
}
