package scenarios

import (
	"cmp"
	"slices"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/workloads"
)

// Promise is something that the cluster owes its clients, and the anomalies
// that break it. The checkers look for anomalies; people ask for promises.
type Promise struct {
	Name      string
	About     string
	Anomalies []checkers.Anomaly
	// counts is how much was looked at.
	counts func(checkers.Examined) int64
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
	{"producers' records stay in order", "what a producer sent later lies behind what it sent before",
		[]checkers.Anomaly{checkers.NonmonotonicSend, checkers.IntNonmonotonicSend}, acknowledged},
	{"appends are linearizable per partition", "an append that was acknowledged before another began lies before it",
		[]checkers.Anomaly{checkers.AppendRealtimeOrder, checkers.G1cRealtime}, both},
	{"ends of logs do not go back", "who was told an end is never told an earlier one",
		[]checkers.Anomaly{checkers.NonmonotonicEnd, checkers.DecreasingStart}, polled},
}

// sessionOrder is the promise that the history's processes do not show, since
// a producer has several sends under way: the values tell their order.
const sessionOrder = "sessions' records stay in order"

// inOrder checks that the records of each producer's session lie in the order
// of its sends, in each partition. Retries of an idempotent producer keep it;
// overlapping sends without idempotence do not.
func inOrder(h *history.History) (v checkers.Verdict) {
	lines := newLines(h)
	h.EachOf(history.HasPolls, func(op *history.Op) bool {
		for _, p := range op.Polled {
			if at := lines.of(p.Rec); at.line > 0 {
				l := &lines.all[at.line-1]
				l.found = append(l.found, found{p.Offset, at.sequence, op.Row})
			}
		}
		return true
	})
	for i := range lines.all {
		l := &lines.all[i]
		slices.SortStableFunc(l.found, func(a, b found) int { return cmp.Compare(a.offset, b.offset) })
		for i := 1; i < len(l.found); i++ {
			before, after := l.found[i-1], l.found[i]
			v.Checked++
			if after.offset > before.offset && after.sequence < before.sequence {
				v.Violated(0, []int64{h.Index(before.row), h.Index(after.row)}, "session %s-%d sent its record %d before %d, but %v has them at offsets %d and %d",
					l.producer, l.session, after.sequence, before.sequence, h.Keys()[l.key], after.offset, before.offset)
			}
		}
	}
	return v
}

// line is what one session sent to one partition, as it was read.
type line struct {
	lineKey
	found []found
}

type lineKey struct {
	key      history.Key
	producer string
	session  int
}

// found is where a poll found a record of the line.
type found struct {
	offset, sequence int64
	row              int
}

// lines are all lines, in the order in which they were first met. Most records
// are read several times, so what their values say is kept.
type lines struct {
	h     *history.History
	all   []line
	byKey map[lineKey]int32
	said  []lineOf // by record
}

// lineOf is the line of a record, counted from 1, and its place in it; 0: not
// yet looked up, -1: the value is no workload's.
type lineOf struct {
	line     int32
	sequence int64
}

func newLines(h *history.History) *lines {
	return &lines{h: h, byKey: map[lineKey]int32{}, said: make([]lineOf, h.Records())}
}

func (ls *lines) of(rec history.Rec) lineOf {
	at := &ls.said[rec]
	if at.line != 0 {
		return *at
	}
	at.line = -1
	if value, ok := workloads.ParseValue(ls.h.ValueOf(rec).String()); ok {
		k := lineKey{ls.h.KeyOf(rec), value.Producer, value.Session}
		if ls.byKey[k] == 0 {
			ls.all = append(ls.all, line{lineKey: k})
			ls.byKey[k] = int32(len(ls.all))
		}
		*at = lineOf{ls.byKey[k], value.Sequence}
	}
	return *at
}
