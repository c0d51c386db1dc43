package checkers

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/checkers/history"
)

// Histories that are easily misjudged, and exactly the anomalies that are in
// them.
var nasty = []struct {
	name, found, history string
}{
	{"legal: an unknown send shows up after all was read", "", `
		0: send x/10@? info
		2: send x/11@0
		1: poll x/11@0
		1: poll x/10@1`},
	{"legal: an unknown send shows up below a later one that overlapped", "", `
		0> send x/10
		2> send x/11
		2< send x/11@1
		0< send x/10@? info
		1: poll x/10@0 x/11@1`},
	{"legal: markers and compaction leave gaps", "", `
		0: txn send x/10@3 send x/11@7
		0: txn send x/12@9 fail
		0: txn send x/13@40
		1: poll x/10@3 x/11@7
		1: poll x/13@40`},
	{"legal: the producer was told no offset", "", `
		0: send x/10@?
		0: send x/11@?
		1: poll x/10@4 x/11@9`},
	{"legal: a poll was told no offsets", "", `
		0: send x/10@0 x/11@1
		1: poll x/10@? x/11@?
		1: poll`},
	{"legal: no client was told an offset", "", `
		0: send x/10@? x/11@?
		1: poll x/10@? x/11@?`},
	{"legal: empty polls in between", "", `
		0: send x/10@0 x/11@1
		1: poll
		1: poll x/10@0
		1: poll
		1: poll x/11@1
		1: poll`},
	{"legal: polls of two clients overlap", "", `
		0: send x/10@0 x/11@1
		1> poll
		2> poll
		2< poll x/10@0
		1< poll x/10@0 x/11@1
		2: poll x/11@1`},
	{"legal: a value is sent again after it definitely failed", "", `
		0: send x/10@? fail
		2: send x/11@0
		0: send x/10@1
		1: poll x/11@0 x/10@1`},
	{"legal: sent again in vain, though it was there", "", `
		0: send x/10@? info
		2: send x/11@1
		3: send x/10@? fail
		1: poll x/10@0 x/11@1`},
	{"legal: sent again after it was read, with an unknown outcome", "", `
		0: send x/10@? info
		1: poll x/10@0
		3: send x/10@? info
		2: send x/11@1
		1: poll x/11@1`},
	{"legal: sent again, of which only the second is there", "", `
		0: send x/10@? info
		2: send x/11@0
		0: send x/10@1
		1: poll x/11@0 x/10@1`},
	{"legal: the same process goes on after a crash, from the start", "", `
		0: send x/10@0 x/11@1
		1: assign x
		1: poll x/10@0 x/11@1
		1: crash info
		1: assign x
		1: poll x/10@0`},
	{"legal: the same process goes on after a crash, without being assigned", "", `
		0: send x/10@0 x/11@1
		1: poll x/10@0 x/11@1
		1: crash info
		1: poll x/10@0`},
	{"legal: another process goes on from the middle", "", `
		0: send x/10@0 x/11@1 x/12@2
		2: poll x/10@0 x/11@1 x/12@2
		1: poll info
		11: poll x/12@2`},
	{"legal: a poll of unknown outcome moved the consumer", "", `
		0: send x/10@0 x/11@1 x/12@2
		1: poll x/10@0
		1: poll x/11@1 info
		1: poll x/12@2
		2: poll x/10@0 x/11@1 x/12@2`},
	{"legal: a poll of unknown outcome did not", "", `
		0: send x/10@0 x/11@1 x/12@2
		1: poll x/10@0
		1: poll x/11@1 info
		1: poll x/11@1 x/12@2`},
	{"legal: a failed transaction read, and rewound", "", `
		0: send x/10@0 x/11@1
		1: txn poll x/10@0
		1: txn poll x/11@1 send y/20@0 fail
		1: txn poll x/11@1 send y/21@2
		2: poll y/21@2`},
	{"legal: assigned away, and back to the position", "", `
		0: send x/10@0 x/11@1
		1: assign x
		1: poll x/10@0
		1: assign y
		1: assign x
		1: poll x/11@1`},
	{"legal: an assignment of unknown outcome may have dropped it", "", `
		0: send x/10@0 x/11@1
		1: assign x
		1: poll x/10@0 x/11@1
		1: assign y info
		1: assign x
		1: poll x/10@0`},
	{"legal: aborted, then the value's successor on the same partition", "", `
		0: txn send x/10@0 send x/11@1 fail
		0: txn send x/12@3
		1: poll x/12@3`},
	{"legal: a transaction is read before its commit is known", "", `
		0> txn send x/10 send y/20
		1: poll x/10@0
		0< txn send x/10@0 send y/20@0
		1: poll y/20@0`},
	{"legal: what an aborted transaction claims is another's", "", `
		0: txn send x/10@5 fail
		2: send x/11@5
		1: poll x/11@5`},
	{"legal: offsets far up", "", `
		0: send x/10@9223372036854775805
		0: send x/11@9223372036854775806
		1: poll x/10@9223372036854775805 x/11@9223372036854775806`},
	{"legal: far up and far down in one partition", "", `
		0: send x/10@0
		0: send x/11@9223372036854775807
		1: poll x/10@0 x/11@9223372036854775807`},
	{"legal: a commit of unknown outcome is read, and the one before is not any more", "", `
		0: send x/10@0
		1: poll x/10@0
		0: commit x@1 group=g
		0: commit x@2 group=g info
		1: committed x@2 group=g
		1: committed x@2 group=g`},
	{"legal: a rebalance moves a partition in the middle of a poll", "", `
		0: send x/10@0 x/11@1 x/12@2
		1: poll x/10@0 x/12@2 poll x/10@0 ~x
		2: poll x/11@1`},
	{"legal: a send that overlaps the read of an end", "", `
		0> send x/10
		2: end x@0
		0< send x/10@0
		2: end x@1
		1: poll x/10@0`},
	{"legal: epochs and generations are not in the history", "", `
		0: send x/10@0
		1: poll x/10@0
		0: init txn=a
		0: init txn=a
		1: join group=g generation=3
		1: join group=g`},

	{"lost in the middle of a transaction, its first record read", "lost-write torn-transaction int-poll-skip unseen", `
		0: txn send x/10@0 send x/11@1 send x/12@2
		2: send x/13@4
		1: poll x/10@0 x/12@2 x/13@4`},
	{"lost, though its only reader failed", "lost-write unseen", `
		1: assign x
		0: send x/10@0
		0: send x/11@1
		1: txn poll x/10@0 fail
		1: txn poll x/11@1`},
	{"lost behind gaps", "lost-write unseen", `
		1: assign x
		0: send x/10@100
		0: send x/11@90000000
		1: poll x/11@90000000`},
	{"lost, of a partition whose bound is known without offsets in polls", "lost-write unseen", `
		1: assign x
		0: send x/10@0
		0: send x/11@1
		1: poll x/11@?`},
	{"read to the end, and the last acknowledged is not there", "unseen", `
		0: send x/10@0
		0: send x/11@1
		1: poll x/10@0
		1: poll
		config: empty-polls=drained`},
	{"acknowledged at the offset of another", "inconsistent-offsets lost-write unseen", `
		0: send x/10@0
		2: send x/11@0
		1: poll x/11@0`},
	{"two readers, two records, one offset", "inconsistent-offsets", `
		0: send x/10@?
		2: send x/11@?
		1: poll x/10@0
		3: poll x/11@0`},
	{"a failed reader was given another record", "inconsistent-offsets", `
		0: send x/10@0
		2: send x/11@?
		1: poll x/10@0
		3: txn poll x/11@0 fail
		4: poll x/11@?`},
	{"written twice, read once, acknowledged elsewhere", "duplicate", `
		0: send x/10@0
		1: poll x/10@1`},
	{"legal: sent by two sessions, and written by both", "", `
		0: send x/10@? info session=a
		5: send x/10@1 session=b
		1: poll x/10@0 x/10@1`},
	{"given to a consumer and never sent", "phantom-read", `
		0: send x/10@0
		1: poll x/10@0 x/99@1`},
	{"of another partition", "phantom-read", `
		0: send x/10@0
		0: send y/20@0
		1: poll x/10@0 x/20@1 y/20@0`},
	{"an aborted record among others", "G1a", `
		0: txn send x/10@0 send x/11@1 fail
		0: txn send x/12@3
		1: poll x/11@1 x/12@3`},
	{"aborted, and given only to a client that failed, and to one that is gone", "aborted-read", `
		0: txn send x/10@0 fail
		2: send x/11@2
		1: txn poll x/10@0 fail
		3: txn poll x/10@0 info
		4: poll x/11@2`},
	{"failed twice, and read", "G1a", `
		0: send x/10@? fail
		0: send x/10@? fail
		2: send x/11@1
		1: poll x/10@0 x/11@1`},
	{"aborted, read, and only then sent again", "G1c-realtime", `
		0: txn send x/10@? fail
		1: poll x/10@0
		2: txn send x/10@?
		1: poll`},
	{"its own record before it committed, in a transaction that failed", "precommitted-read", `
		2: send x/9@0
		1: poll x/9@0
		0: txn send x/10@1 poll x/10@1 info`},
	{"two that read from each other, and neither knows how it ended", "G1c", `
		0> txn send x/10 poll
		1> txn send y/20 poll
		0< txn send x/10@0 poll y/20@0 info
		1< txn send y/20@0 poll x/10@0 info
		2: send x/11@2
		3: poll x/10@0 x/11@2`},
	{"out of the future by way of two others", "G1c-realtime", `
		2> txn poll send y/20
		3> txn poll send z/30
		1: poll z/30@0
		0: send x/10@0
		3< txn poll y/20@0 send z/30@0
		2< txn poll x/10@0 send y/20@0`},
	{"a jump over an empty poll", "poll-skip", `
		0: send x/10@0 x/11@1 x/12@2
		2: poll x/10@0 x/11@1 x/12@2
		1: poll x/10@0
		1: poll
		1: poll x/12@2`},
	{"a jump over a record that only another client knows", "poll-skip", `
		0: send x/10@? x/11@? x/12@?
		2: poll x/10@0 x/11@1 x/12@2
		1: poll x/10@0
		1: poll x/12@2`},
	{"a jump by a client that failed", "poll-skip", `
		0: send x/10@0 x/11@1 x/12@2
		2: poll x/10@0 x/11@1 x/12@2
		1: txn poll x/10@0
		1: txn poll x/12@2 fail`},
	{"a jump on one of two partitions, assigned together", "poll-skip", `
		0: send x/10@0 x/11@1 x/12@2
		0: send y/20@0
		2: poll x/10@0 x/11@1 x/12@2
		1: assign x y
		1: poll x/10@0 y/20@0
		1: assign x
		1: poll x/12@2`},
	{"a jump within an operation, between its polls", "int-poll-skip", `
		0: send x/10@0 x/11@1 x/12@2
		2: poll x/10@0 x/11@1 x/12@2
		1: txn poll x/10@0 poll poll x/12@2`},
	{"a jump within an operation in which another partition moved", "int-poll-skip", `
		0: send x/10@0 x/11@1 x/12@2
		2: poll x/10@0 x/11@1 x/12@2
		1: poll x/10@0 x/12@2 ~y`},
	{"back by one, over an assignment that keeps it", "nonmonotonic-poll", `
		0: send x/10@0 x/11@1
		1: assign x
		1: poll x/10@0 x/11@1
		1: assign x y
		1: poll x/11@1`},
	{"back, behind a poll of unknown outcome", "nonmonotonic-poll", `
		0: send x/10@0 x/11@1 x/12@2
		1: poll x/10@0 x/11@1
		1: poll x/12@2 info
		1: poll x/10@0
		2: poll x/12@2`},
	{"a jump even beyond a poll of unknown outcome", "poll-skip", `
		0: send x/10@0 x/11@1 x/12@2 x/13@3
		2: poll x/10@0 x/11@1 x/12@2 x/13@3
		1: poll x/10@0
		1: poll x/11@1 info
		1: poll x/13@3`},
	{"back within a batch, in the middle of others", "int-nonmonotonic-poll", `
		0: send x/10@0 x/11@1
		0: send y/20@0
		2: poll x/10@0 x/11@1 y/20@0
		1: poll x/11@1 y/20@0 x/10@0`},
	{"sends swapped, of which one was never told its offset", "nonmonotonic-send append-realtime-order", `
		0: send x/10@?
		0: send x/11@?
		1: poll x/11@0 x/10@1`},
	{"sends of one operation swapped", "int-nonmonotonic-send", `
		0: txn send x/10@? send x/11@?
		1: poll x/11@0 x/10@1`},
	{"an append lands below one that was over, far apart", "append-realtime-order", `
		0: send x/10@5
		2: send x/11@9
		3: send x/12@2
		1: poll x/12@2 x/10@5 x/11@9`},
	{"an append of unknown outcome lands below one that was over", "append-realtime-order", `
		0: send x/10@5
		3: send x/12@? info
		1: poll x/12@2 x/10@5`},
	{"processed by the same client twice", "duplicate-processing nonmonotonic-poll", `
		0: subscribe x
		2: send x/10@0
		0: txn poll x/10@0 send y/20@0
		0: txn poll x/10@0 send y/21@2
		3: poll y/20@0 y/21@2`},
	{"processed by two, after a third that failed", "duplicate-processing", `
		0: subscribe x
		1: subscribe x
		4: subscribe x
		2: send x/10@0
		4: txn poll x/10@0 fail
		0: txn poll x/10@0
		1: txn poll x/10@0`},
	{"a commit of unknown outcome is read, and then it is not", "committed-offset", `
		0: send x/10@0
		1: poll x/10@0
		0: commit x@1 group=g
		0: commit x@2 group=g info
		1: committed x@2 group=g
		1: committed x@1 group=g`},
	{"a commit that failed is read", "committed-offset", `
		0: send x/10@0
		1: poll x/10@0
		0: commit x@1 group=g
		0: commit x@2 group=g fail
		1: committed x@2 group=g`},
	{"the end was read above what was then appended", "nonmonotonic-end", `
		2: end x@5
		0: send x/10@3
		1: poll x/10@3`},
	{"the end is below what a poll returned", "nonmonotonic-end", `
		0: send x/10@3
		1: poll x/10@3
		2: end x@3`},
	{"an epoch is granted again to a successor", "producer-epoch", `
		0: send x/10@0
		1: poll x/10@0
		0: init txn=a producer=7 epoch=3
		5: init txn=a producer=7 epoch=2`},
}

// Every producer is told the same offset, and every consumer another record there.
func TestManyRecordsAtOneOffset(t *testing.T) {
	rec := history.NewRecorder()
	const n = 50_000
	var polled []history.Record
	for i := range int64(n) {
		at := history.Mop{Kind: history.MopSend, Key: history.Int(0), Value: history.Int(i), Offset: history.At(0)}
		rec.Add(&history.Event{Type: history.OK, Process: i, F: history.Send, Mops: []history.Mop{at}})
		polled = append(polled, history.Record{Key: history.Int(0), Value: history.Int(i), Offset: history.At(0)})
	}
	rec.Add(&history.Event{Type: history.OK, Process: n, F: history.Poll, Mops: []history.Mop{{Kind: history.MopPoll, Records: polled[:256]}}})
	for _, settings := range []string{"", "acks=1"} {
		j := Judge(rec.History(), Options{Expect: config(t, settings)})
		require.Equal(t, Violated, j.Verdict)
		require.Contains(t, anomalies(j), string(InconsistentOffsets))
		for _, r := range j.Anomalies {
			assert.Less(t, len(r.Message), 500)
			assert.LessOrEqual(t, len(r.Instances[0].Ops), 10)
			if r.Anomaly == InconsistentOffsets {
				assert.Zero(t, r.Permitted, "polls disagree, whatever acks is")
			}
		}
	}
}

func TestNastyHistories(t *testing.T) {
	for _, c := range nasty {
		t.Run(c.name, func(t *testing.T) {
			j := Judge(historyOf(t, c.history), Options{})
			var found []string
			for _, r := range j.Anomalies {
				if r.Broken() > 0 {
					found = append(found, string(r.Anomaly))
				}
			}
			assert.ElementsMatch(t, strings.Fields(c.found), found, "%v", j)
			if c.found == "" {
				assert.Equal(t, Holds, j.Verdict, "%v", j)
				assert.Nil(t, replay(historyOf(t, c.history), Expectations{}))
			}
		})
	}
}
