package checkers

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// told is a hand-written history, and what a check must say of it.
type told struct {
	name    string
	verdict Verdict
	text    string
}

var checkTables = []struct {
	check  Promise
	tables []told
}{
	{NoLostRecords, []told{
		{"everything is read", Holds, `
			0: send x/10@0
			0: send x/11@1
			1: poll x/10@0 x/11@1`},
		{"the reader is not there yet", Holds, `
			0: send x/10@0
			0: send x/11@1
			1: poll x/10@0`},
		{"an unknown send may vanish", Holds, `
			0: send x/10@0 info
			2: send x/11@1
			1: poll x/11@1`},
		{"a failed send left a gap", Holds, `
			0: txn send x/10@0 fail
			0: txn send x/11@2
			1: poll x/11@2`},
		{"the log's end is known, and reached", Holds, `
			0: send x/10@0
			1: poll x/10@0
			log: log end x@1`},
		{"nothing was sent", Inconclusive, `
			1: poll`},
		{"a reader passed it by", Violated, `
			1: assign x
			0: send x/10@0
			0: send x/11@1
			1: poll x/11@1`},
		{"only a reader that failed was given it", Violated, `
			1: assign x
			0: send x/10@0
			0: send x/11@1
			1: txn poll x/10@0 fail
			1: txn poll x/11@1`},
		{"the log ends below it", Violated, `
			0: send x/10@0
			0: send x/11@1
			1: poll x/10@0
			log: log end x@1`},
		{"a consumer was given everything there is", Violated, `
			0: send x/10@0
			0: send x/11@1
			1: poll x/10@0
			log: log position x@2`},
		{"one record of the transaction was read, so all of it is committed", Violated, `
			1: assign x y
			0: txn send x/10@0 send y/20@0 info
			2: send y/21@2
			1: poll x/10@0 y/21@2`},
	}},
	{NoDuplicates, []told{
		{"each has one offset", Holds, `
			0: send x/10@0
			1: poll x/10@0
			2: poll x/10@0`},
		{"an unknown send claims an offset that is another's", Holds, `
			0: send x/10@0 info
			1: send x/11@0
			2: poll x/11@0`},
		{"the same value on two partitions is two records", Holds, `
			0: send x/10@0 y/10@5
			2: poll x/10@0 y/10@5`},
		{"polled at two offsets", Violated, `
			0: send x/10@0
			2: poll x/10@0 x/10@1`},
		{"acknowledged at one, polled at another", Violated, `
			0: send x/10@0
			2: poll x/10@3`},
		{"an older record of the same value", Holds, `
			0: send x/10@3
			2: poll x/10@0 x/10@3`},
		{"two readers differ", Violated, `
			0: send x/10@?
			2: poll x/10@0
			3: poll x/10@1`},
	}},
	{inOrder, []told{
		{"two sessions have no order", Holds, `
			0> send x/10 session=a
			1> send x/11 session=b
			1< send x/11@0 session=b
			0< send x/10@1 session=a
			2: poll x/11@0 x/10@1`},
		{"of one session it is that of its sends", Violated, `
			0> send x/10 session=a
			1> send x/11 session=a
			1< send x/11@0 session=a
			0< send x/10@1 session=a
			2: poll x/11@0 x/10@1`},
		{"one after the other", Holds, `
			0: send x/10@0
			0: send x/11@3
			1: poll x/10@0
			1: poll x/11@3`},
		{"assigned away and back", Holds, `
			0: send x/10@0 x/11@1
			1: assign x
			1: poll x/10@0 x/11@1
			1: assign y
			1: assign x
			1: poll x/10@0`},
		{"it sought the beginning", Holds, `
			0: send x/10@0
			1: assign x
			1: poll x/10@0
			1: assign x seek=1
			1: poll x/10@0`},
		{"rebalanced within the operation", Holds, `
			0: send x/10@0 x/11@1
			1: poll x/10@0 x/11@1 poll x/11@1 ~x`},
		{"a failed transaction rewinds", Holds, `
			0: send x/10@0 x/11@1
			1: txn poll x/10@0 fail
			1: txn poll x/10@0 x/11@1`},
		{"back to an earlier offset", Violated, `
			0: send x/10@0 x/11@1
			1: poll x/10@0 x/11@1
			1: poll x/11@1`},
		{"over a record", Violated, `
			0: send x/10@0 x/11@1 x/12@2
			2: poll x/10@0 x/11@1
			1: poll x/10@0
			1: poll x/12@2`},
		{"over a record, within an operation", Violated, `
			0: send x/10@0 x/11@1 x/12@2
			2: poll x/10@0 x/11@1
			1: poll x/10@0 x/12@2`},
		{"a batch repeats a record", Violated, `
			0: send x/10@0
			1: poll x/10@0 x/10@0`},
		{"a producer's sends are swapped", Violated, `
			0: send x/10@1
			0: send x/11@0
			1: poll x/11@0 x/10@1`},
		{"an operation's sends are swapped", Violated, `
			0: send x/10@1 x/11@0`},
	}},
	{NoConflicts, []told{
		{"all agree", Holds, `
			0: send x/10@0
			1: poll x/10@0`},
		{"what an unknown send claims does not count", Holds, `
			0: send x/10@0 info
			1: send x/11@0
			2: poll x/11@0`},
		{"records are read as they were sent", Holds, `
			0: send x/10@0 key=a header=v timestamp=7
			1: poll x/10@0 key=a header=v timestamp=7 leader=3
			2: poll x/10@0 leader=3`},
		{"leader epochs grow", Holds, `
			0: send x/10@0 x/11@1 x/12@2
			1: poll x/10@0 leader=3
			1: poll x/11@1 x/12@2 leader=4
			2: poll x/10@0 leader=3
			2: poll x/11@1 leader=4`},
		{"tombstones of several keys", Holds, `
			0: send x/10@0 key=a
			0: send x/10@1 key=b
			1: poll x/10@0 key=a
			1: poll x/10@1 key=b`},
		{"a key changed", Violated, `
			0: send x/10@0 key=a
			1: poll x/10@0 key=b`},
		{"a header changed, and the producer was told no offset", Violated, `
			0: send x/10@? header=a
			1: poll x/10@0 header=b`},
		{"two consumers are given different timestamps", Violated, `
			0: send x/10@0
			1: poll x/10@0 timestamp=1
			2: poll x/10@0 timestamp=2`},
		{"a record has two leader epochs", Violated, `
			0: send x/10@0
			1: poll x/10@0 leader=3
			2: poll x/10@0 leader=4`},
		{"a later epoch lies below", Violated, `
			0: send x/10@0 x/11@1
			1: poll x/10@0 leader=4
			2: poll x/11@1 leader=3`},
		{"two acknowledgements", Violated, `
			0: send x/10@0
			1: send x/11@0`},
		{"an acknowledgement and a poll", Violated, `
			0: send x/10@0
			1: send x/11@1
			2: poll x/11@0`},
		{"two polls, one of them failed", Violated, `
			0: send x/10@?
			1: send x/11@?
			2: poll x/11@0
			3: txn poll x/10@0 fail`},
	}},
	{NoPhantoms, []told{
		{"what was sent is read", Holds, `
			0: send x/10@0
			1: poll x/10@0`},
		{"read while its send is under way", Holds, `
			0> send x/10
			1: poll x/10@0
			0< send x/10@0`},
		{"read, and the send never ended", Holds, `
			0> send x/10
			1: poll x/10@0`},
		{"no client sent it", Violated, `
			0: send x/9@0
			1: poll x/9@0
			1: poll x/10@1`},
		{"sent to another partition", Violated, `
			0: send x/9@0
			1: poll x/9@0
			0: send y/10@0
			1: poll x/10@1`},
		{"its transaction failed", Violated, `
			0: txn send x/10@0 fail
			1: poll x/10@0`},
		{"its transaction failed, and so did the reader", Violated, `
			0: txn send x/10@0 fail
			1: txn poll x/10@0 fail`},
		{"its own, before it committed", Violated, `
			0: txn send x/10@0 poll x/10@0`},
	}},
	{LinearizableAppends, []told{
		{"offsets grow with time", Holds, `
			0: send x/10@0
			1: send x/11@1
			2: end x@2`},
		{"sends that overlap may land in any order", Holds, `
			0> send x/10
			1> send x/11
			1< send x/11@0
			0< send x/10@1`},
		{"a later append lies before", Violated, `
			0: send x/10@1
			1: send x/11@0`},
		{"one that is known by a poll only lies before", Violated, `
			0: send x/10@1
			1: send x/11@? info
			2: poll x/11@0 x/10@1`},
		{"out of the future", Violated, `
			1: poll x/10@0
			0: send x/10@0`},
		{"out of the future, by way of another", Violated, `
			2> txn poll send y/20
			1: poll y/20@0
			0: send x/10@0
			2< txn poll x/10@0 send y/20@0`},
	}},
	{EndsDoNotGoBack, []told{
		{"they grow", Holds, `
			1: end x@1
			1: end x@1
			2: end x@3
			2: start x@1`},
		{"what overlaps may differ", Holds, `
			1> end x
			2: end x@5
			1< end x@1`},
		{"nothing was read", Inconclusive, `
			0: send x/10@0`},
		{"the end is read too low", Violated, `
			0: send x/10@0
			2: end x@0`},
		{"an end goes back", Violated, `
			1: end x@3
			2: end x@1`},
		{"a stable offset goes back", Violated, `
			1: stable x@3
			2: stable x@1`},
		{"a start goes back", Violated, `
			1: start x@3
			2: start x@1`},
		{"deleted records are back", Violated, `
			1: delete x@3
			2: start x@1`},
	}},
	{AtomicTransactions, []told{
		{"all of it is read", Holds, `
			0: txn send x/10@0 send y/20@0
			1: poll x/10@0 y/20@0`},
		{"a part of it is read first", Holds, `
			0: txn send x/10@0 send y/20@0
			1: poll x/10@0
			1: poll y/20@0`},
		{"a chain is no circle", Holds, `
			0: txn send x/10@0
			1: txn poll x/10@0 send y/20@0
			2: txn poll y/20@0 send z/30@0`},
		{"a part of it is lost", Violated, `
			1: assign x y
			0: txn send x/10@0 send y/20@0
			2: send y/21@2
			1: poll x/10@0 y/21@2`},
		{"each read from the other", Violated, `
			0> txn send x/10 poll
			1> txn send y/20 poll
			0< txn send x/10@0 poll y/20@0
			1< txn send y/20@0 poll x/10@0`},
		{"a circle of three", Violated, `
			0> txn send x/10 poll
			1> txn send y/20 poll
			2> txn send z/30 poll
			0< txn send x/10@0 poll z/30@0
			1< txn send y/20@0 poll x/10@0
			2< txn send z/30@0 poll y/20@0`},
	}},
	{ExactlyOnce, []told{
		{"each record once", Holds, `
			0: subscribe x
			1: subscribe x
			2: send x/10@0 x/11@1
			0: txn poll x/10@0
			1: txn poll x/11@1`},
		{"again after a transaction that failed", Holds, `
			0: subscribe x
			1: subscribe x
			2: send x/10@0
			0: txn poll x/10@0 fail
			1: txn poll x/10@0`},
		{"two groups each read everything", Holds, `
			0: subscribe x group=a
			1: subscribe x group=b
			2: send x/10@0
			0: txn poll x/10@0 group=a
			1: txn poll x/10@0 group=b`},
		{"twice, by two members", Violated, `
			0: subscribe x
			1: subscribe x
			2: send x/10@0
			0: txn poll x/10@0
			1: txn poll x/10@0`},
		{"twice, by one", Violated, `
			0: subscribe x
			2: send x/10@0
			0: txn poll x/10@0
			0: subscribe x
			0: txn poll x/10@0`},
	}},
	{GroupsCoverTheirInput, []told{
		{"what is committed was given", Holds, `
			2: send x/10@0 x/11@1
			0: poll x/10@0 group=g
			1: poll x/11@1 group=g
			1: commit x@2 group=g`},
		{"aborted records and markers need not be given", Holds, `
			2: txn send x/10@0
			2: txn send x/11@2 fail
			0: poll x/10@0 group=g
			0: commit x@4 group=g`},
		{"a hole below the committed offset", Violated, `
			2: send x/10@0 x/11@1 x/12@2
			0: poll x/10@0 group=g
			1: poll x/12@2 group=g
			1: commit x@3 group=g`},
		{"given only to a transaction that failed", Violated, `
			2: send x/10@0 x/11@1 x/12@2
			0: txn poll x/10@0 commit x@1 group=g
			0: txn poll x/11@1 commit x@2 group=g fail
			0: txn poll x/12@2 commit x@3 group=g`},
		{"a new owner begins where the group had committed", Holds, `
			2: send x/10@0 x/11@1
			0: poll x/10@0 group=g
			0: commit x@1 group=g
			1: poll x/11@1 group=g`},
		{"a new owner begins at what was committed meanwhile", Holds, `
			2: send x/10@0 x/11@1
			0: poll x/10@0 x/11@1 group=g
			0: commit x@2 group=g
			0> commit x@1 group=g
			1: poll x/11@1 group=g
			0< commit x@1 group=g`},
		{"a new owner begins below", Violated, `
			2: send x/10@0 x/11@1
			0: poll x/10@0 x/11@1 group=g
			0: commit x@2 group=g
			1: poll x/11@1 group=g`},
		{"committed beyond the log", Violated, `
			2: send x/10@0
			0: poll x/10@0 group=g
			0: commit x@7 group=g
			log: log end x@1`},
	}},
	{OneOwner, []told{
		{"one after the other", Holds, `
			2: send x/10@0 x/11@1
			0: join group=g generation=5
			0: poll x/10@0 group=g generation=5
			0: commit x@1 group=g generation=5
			1: join group=g generation=6
			1: poll x/11@1 group=g generation=6`},
		{"a static member comes back with its generation", Holds, `
			2: send x/10@0 x/11@1
			0: poll x/10@0 group=g generation=5
			0: crash info
			1: poll x/10@0 x/11@1 group=g generation=5`},
		{"a commit that was under way when the generation ended", Holds, `
			2: send x/10@0
			0: poll x/10@0 group=g generation=5
			0> commit x@1 group=g generation=5
			1: join group=g generation=6
			0< commit x@1 group=g generation=5`},
		{"two in one generation", Violated, `
			2: send x/10@0 x/11@1
			0: poll x/10@0 x/11@1 group=g generation=5
			1: poll x/10@0 x/11@1 group=g generation=5`},
		{"a commit of an old generation succeeds", Violated, `
			2: send x/10@0
			0: poll x/10@0 group=g generation=5
			1: join group=g generation=6
			0: commit x@1 group=g generation=5`},
	}},
	{CommittedOffsetsAreRegisters, []told{
		{"read as committed", Holds, `
			0: committed x@? group=g
			0: commit x@2 group=g
			1: committed x@2 group=g`},
		{"a commit under way may or may not be seen", Holds, `
			0> commit x@2 group=g
			1: committed x@? group=g
			1: committed x@2 group=g
			0< commit x@2 group=g`},
		{"the same offset is committed again", Holds, `
			0: commit x@2 group=g
			0: commit x@5 group=g
			0: commit x@2 group=g
			1: committed x@2 group=g`},
		{"an unknown commit may happen late", Holds, `
			0: commit x@2 group=g
			0: commit x@5 group=g info
			1: committed x@2 group=g
			1: committed x@5 group=g`},
		{"an old one is read", Violated, `
			0: commit x@2 group=g
			0: commit x@5 group=g
			1: committed x@2 group=g`},
		{"one that was never committed is read", Violated, `
			0: commit x@2 group=g
			1: committed x@3 group=g`},
		{"it goes back", Violated, `
			0: commit x@2 group=g
			0> commit x@5 group=g
			1: committed x@5 group=g
			1: committed x@2 group=g`},
		{"an old one is read, though values repeat", Violated, `
			0: commit x@2 group=g
			0: commit x@5 group=g
			0: commit x@2 group=g
			1: committed x@5 group=g`},
	}},
	{EpochsGrow, []told{
		{"they grow", Holds, `
			0: init txn=a producer=7 epoch=1
			1: init txn=a producer=7 epoch=2
			2: init txn=b producer=8 epoch=1
			3: join group=g generation=1
			4: join group=g generation=1`},
		{"a new producer id begins anew", Holds, `
			0: init txn=a producer=7 epoch=32766
			1: init txn=a producer=9 epoch=1`},
		{"an epoch is granted twice", Violated, `
			0: init txn=a producer=7 epoch=1
			1: init txn=a producer=7 epoch=1`},
		{"a generation goes back", Violated, `
			3: join group=g generation=2
			4: join group=g generation=1`},
	}},
	{NoHangingTransactions, []told{
		{"all is stable", Holds, `
			0: txn send x/10@0
			log: log stable x@2 end x@2`},
		{"nothing is known", Inconclusive, `
			0: txn send x/10@0`},
		{"one hangs", Violated, `
			0: txn send x/10@0 info
			log: log stable x@0 end x@1`},
	}},
	{KeysInOrder, []told{
		{"in order", Holds, `
			0: send orders/0/create@0 key=a
			0: send orders/1/update@0 key=a
			1: poll orders/0/create@0 group=g
			2: poll orders/1/update@0 group=g
			config: ordering=key`},
		{"not in order", Violated, `
			0: send orders/0/create@0 key=a
			0: send orders/1/update@0 key=a
			2: poll orders/1/update@0 group=g
			1: poll orders/0/create@0 group=g
			config: ordering=key`},
		{"nothing was read", Inconclusive, `
			0: send orders/0/create@0 key=a`},
	}},
	{EverythingIsRead, []told{
		{"all is", Holds, `
			0: send x/10@0
			1: poll x/10@0`},
		{"the last is not, and a poll found nothing there", Violated, `
			0: send x/10@0
			0: send x/11@1
			1: poll x/10@0
			1: poll`},
		{"the last is not, and a poll found nothing there, which is said to prove nothing", Inconclusive, `
			0: send x/10@0
			0: send x/11@1
			1: poll x/10@0
			1: poll
			config: empty-polls=unknown`},
		{"the last is not, and its reader stands behind it", Violated, `
			0: send x/10@0
			0: send x/11@1
			1: poll x/10@0
			1: poll position x@2`},
		{"the last is not, and its reader stands before it", Inconclusive, `
			0: send x/10@0
			0: send x/11@1
			1: poll x/10@0
			1: poll position x@1
			config: empty-polls=unknown`},
		{"an aborted record lies behind the last, and its reader has passed it", Holds, `
			0: send x/10@0
			0: txn send x/11@1 fail
			1: poll x/10@0 position x@3`},
		{"the last is not, and the log is said to end behind it", Violated, `
			0: send x/10@0
			0: send x/11@1
			1: poll x/10@0
			log: log end x@2`},
		{"the last is not, which proves nothing", Inconclusive, `
			0: send x/10@0
			0: send x/11@1
			1: poll x/10@0`},
		{"the last is not, and the poll that found nothing came before it", Inconclusive, `
			0: send x/10@0
			1: poll x/10@0
			1: poll
			0: send x/11@1
			config: empty-polls=drained`},
	}},
}

// inOrder is the order of both sides.
var inOrder = Promise{Name: "in order", Anomalies: append(append([]Anomaly{}, ConsumersInOrder.Anomalies...), ProducersInOrder.Anomalies...),
	Counts: acknowledged}

func TestChecks(t *testing.T) {
	tested := map[string]bool{ConsumersInOrder.Name: true, ProducersInOrder.Name: true}
	for _, c := range checkTables {
		tested[c.check.Name] = true
		for _, row := range c.tables {
			t.Run(c.check.Name+"/"+row.name, func(t *testing.T) {
				j := Judge(historyOf(t, row.text), Options{})
				verdict, _ := j.Kept(c.check)
				require.Equal(t, row.verdict, verdict, "%v", j)
				for _, r := range j.Anomalies {
					for _, in := range r.Instances {
						assert.NotEmpty(t, in.Message)
						assert.LessOrEqual(t, len(in.Ops), 10)
					}
				}
			})
		}
	}
	for _, c := range Promises {
		assert.True(t, tested[c.Name], "%s has no table", c.Name)
	}
}
