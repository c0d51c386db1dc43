package checkers

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/checkers/permit"
)

// What clients of transactions record, and what is right.
var txnTables = []struct {
	name, history, config string
	verdict               Verdict
	anomalies             string // broken, permitted and legal ones
}{
	// Atomicity.
	{"all of a transaction is read", `
		0: txn send x/10@0 y/20@0 txn=t
		1: poll x/10@0 y/20@0`, "", Holds, ""},
	{"nothing of one that aborted is", `
		0: txn send x/10@0 y/20@0 txn=t fail
		0: txn send x/11@2 y/21@2 txn=t
		1: poll x/11@2 y/21@2`, "", Holds, ""},
	{"the client was killed at its commit, and all is read", `
		0: txn send x/10 y/20 txn=t info
		2: send x/11@2
		2: send y/21@2
		1: poll x/10@0 x/11@2 y/20@0 y/21@2
		log: log end x@3 position x@3 end y@3 position y@3`, "", Holds, ""},
	{"or nothing", `
		0: txn send x/10 y/20 txn=t info
		2: send x/11@2
		2: send y/21@2
		1: poll x/11@2 y/21@2
		log: log end x@3 position x@3 end y@3 position y@3`, "", Holds, ""},
	{"or half of it, where nobody can know where the other half is", `
		2: send z/1@0
		3: poll z/1@0
		0: txn send x/10 y/20 txn=t info
		1: poll x/10@0`, "", Holds, ""},
	{"half of it is read, and the other log was read to its end", `
		0: txn send x/10 y/20 txn=t info
		2: send x/11@2
		2: send y/21@2
		1: poll x/10@0 x/11@2 y/21@2
		log: log end x@3 position x@3 end y@3 position y@3`, "", Violated, "torn-transaction"},
	{"half of it is read, and the other half must lie between two records that a reader was given", `
		2: send y/19@0
		0: txn send x/10 y/20 txn=t info
		1: poll x/10@0 y/19@0
		2: send y/21@2
		1: poll y/21@2`, "", Violated, "torn-transaction"},
	{"it may lie above", `
		2: send y/19@0
		0: txn send x/10 y/20 txn=t info
		2: send y/21@1
		1: poll x/10@0 y/19@0
		1: poll y/21@1`, "", Holds, ""},
	{"a reader outside saw half of it before it aborted", `
		2: send z/1@0
		3: poll z/1@0
		0: txn send x/10 y/20 txn=t info
		1: poll x/10@0
		log: log end x@2 position x@2 end y@2 position y@2`, "isolation.level=read_uncommitted", Holds, ""},
	{"an aborted record is read", `
		0: txn send x/10@0 y/20@0 txn=t fail
		0: txn send x/11@2 txn=t
		1: poll x/10@0 x/11@2`, "", Violated, "G1a"},
	{"the decision of a transaction flips for a second reader", `
		0: txn send x/10@0 txn=t info
		2: send x/12@2
		2: send x/13@3
		1: assign x seek=1
		1: poll x/10@0 x/12@2
		3: assign x seek=1
		3: poll x/12@2
		3: poll x/13@3
		4: poll x/10@0 x/13@3`, "", Violated, "int-poll-skip"},

	// Markers come after the client is told.
	{"a poll finds nothing, for the marker is late", `
		0: txn send x/10@0 txn=t
		1: assign x seek=1
		1: poll
		1: poll x/10@0`, "", Holds, ""},
	{"and at the end of the history it has not come", `
		0: send x/9@0
		0: txn send x/10@1 txn=t
		1: assign x seek=1
		1: poll x/9@0
		1: poll`, "", Inconclusive, ""},
	{"a record outside of transactions is not hidden by one that was read", `
		0: txn send x/10@0 txn=t
		1: assign x seek=1
		1: poll x/10@0
		2: send x/11@2
		1: poll`, "", Violated, "unseen"},

	// Fencing.
	{"epochs of a transactional id follow each other", `
		0: init txn=t producer=7 epoch=1
		0: txn send x/10@0 txn=t producer=7 epoch=1
		2: init txn=t producer=7 epoch=2
		2: txn send x/11@2 txn=t producer=7 epoch=2
		1: poll x/10@0 x/11@2`, "", Holds, ""},
	{"a zombie is refused", `
		0: init txn=t producer=7 epoch=1
		2: init txn=t producer=7 epoch=2
		0: txn send x/10@0 txn=t producer=7 epoch=1 fail
		2: txn send x/11@2 txn=t producer=7 epoch=2
		1: poll x/11@2`, "", Holds, ""},
	{"a zombie commits", `
		0: init txn=t producer=7 epoch=1
		2: init txn=t producer=7 epoch=2
		0: txn send x/10@0 txn=t producer=7 epoch=1
		2: txn send x/11@2 txn=t producer=7 epoch=2
		1: poll x/10@0 x/11@2`, "", Violated, "zombie-commit"},
	{"a zombie commits, though its client never learns", `
		0: init txn=t producer=7 epoch=1
		2: init txn=t producer=7 epoch=2
		0: txn send x/10 txn=t producer=7 epoch=1 info
		2: txn send x/11@2 txn=t producer=7 epoch=2
		1: poll x/10@0 x/11@2`, "", Violated, "zombie-commit"},
	{"what it began before it was fenced may have been in time", `
		0: init txn=t producer=7 epoch=1
		0> txn send x/10 txn=t producer=7 epoch=1
		2: init txn=t producer=7 epoch=2
		0< txn send x/10@0 txn=t producer=7 epoch=1
		2: txn send x/11@2 txn=t producer=7 epoch=2
		1: poll x/10@0 x/11@2`, "", Holds, ""},
	{"the last epoch but one is used up, and another producer id follows", `
		0: init txn=t producer=7 epoch=32766
		0: txn send x/10@0 txn=t producer=7 epoch=32766
		0: txn send x/11@2 txn=t producer=8 epoch=0
		1: poll x/10@0 x/11@2`, "", Holds, ""},
	{"the last epoch is used, which only fences", `
		0: init txn=t producer=7 epoch=32766
		0: txn send x/10@0 txn=t producer=7 epoch=32766
		0: txn send x/11 txn=t producer=7 epoch=32767 fail
		1: poll x/10@0`, "", Violated, "producer-epoch"},
	{"a producer without transactions counts by itself, to the last", `
		0: send x/10@0 producer=7 epoch=32767
		1: poll x/10@0`, "", Holds, ""},
	{"another one uses a later epoch, which somebody was granted", `
		2: txn send x/11@0 txn=t producer=7 epoch=2
		0: txn send x/10@2 txn=t producer=7 epoch=1
		1: poll x/11@0 x/10@2`, "", Violated, "zombie-commit"},
	{"each transaction has its own epoch", `
		0: init txn=t producer=7 epoch=1
		0: txn send x/10@0 txn=t producer=7 epoch=1
		0: txn send x/11@2 txn=t producer=7 epoch=2
		1: poll x/10@0 x/11@2`, "transaction.version=2", Holds, ""},
	{"epochs are used up, and a new producer id begins with 0", `
		0: init txn=t producer=7 epoch=32766
		2: init txn=t producer=8 epoch=0
		2: txn send x/10@0 txn=t producer=8 epoch=0
		1: poll x/10@0`, "", Holds, ""},
	{"one with the producer id before commits", `
		0: init txn=t producer=7 epoch=32766
		2: init txn=t producer=8 epoch=0
		0: txn send x/10@0 txn=t producer=7 epoch=32766
		1: poll x/10@0`, "", Violated, "zombie-commit"},
	{"two clients are granted one epoch at once", `
		0> init txn=t
		2> init txn=t
		0< init txn=t producer=7 epoch=1
		2< init txn=t producer=7 epoch=1
		0: txn send x/10@0 txn=t producer=7 epoch=1
		1: poll x/10@0`, "", Violated, "producer-epoch"},
	{"two transactional ids are granted one producer id", `
		0: init txn=t producer=7 epoch=0
		2: init txn=u producer=7 epoch=0
		0: txn send x/10@0 txn=t producer=7 epoch=0
		1: poll x/10@0`, "", Violated, "producer-epoch"},
	{"an idempotent producer takes a new epoch by itself", `
		0: send x/10@0 producer=7 epoch=0
		0: send x/11@1 producer=7 epoch=1
		1: poll x/10@0 x/11@1`, "", Holds, ""},
	{"and what it gave up long before is appended", `
		0: send x/11@0 producer=7 epoch=1
		0: send x/10@1 producer=7 epoch=0
		1: poll x/11@0 x/10@1`, "", Violated, "zombie-commit"},

	// Exactly once.
	{"each record is processed in one transaction", three + `
		1: txn poll orders/10@0 orders/11@1 send bills/20@0 bills/21@1 commit orders@2 group=g txn=t
		1: txn poll orders/12@2 send bills/22@3 commit orders@3 group=g txn=t
		3: poll bills/20@0 bills/21@1 bills/22@3`, "", Holds, ""},
	{"again after it aborted", three + `
		1: txn poll orders/10@0 send bills/20@0 commit orders@1 group=g txn=t fail
		1: txn poll orders/10@0 orders/11@1 orders/12@2 send bills/30@2 commit orders@3 group=g txn=t
		3: poll bills/30@2`, "", Holds, ""},
	{"two transactions that committed were given a record", three + `
		1: txn poll orders/10@0 send bills/20@0 commit orders@1 group=g txn=t
		2: txn poll orders/10@0 orders/11@1 send bills/30@2 commit orders@2 group=g txn=u
		3: poll bills/20@0 bills/30@2`, "", Violated, "duplicate-processing group-rewind"},
	{"that is permitted where offsets are not fenced", three + `
		1: txn poll orders/10@0 send bills/20@0 commit orders@1 group=g txn=t
		2: txn poll orders/10@0 orders/11@1 send bills/30@2 commit orders@2 group=g txn=u
		3: poll bills/20@0 bills/30@2`, "offsets.fenced=false", Allowed, "duplicate-processing group-rewind"},
	{"but no reader without a group may go back", three + `
		1: txn poll orders/10@0 send bills/20@0 commit orders@1 group=g txn=t
		1: txn poll orders/11@1 send bills/30@2 commit orders@2 group=g txn=t
		3: poll bills/20@0 bills/30@2
		3: poll bills/20@0`, "offsets.fenced=false", Violated, "nonmonotonic-poll"},
	{"of one of them it is known by what was read", three + `
		1: txn poll orders/10@0 send bills/20 commit orders@1 group=g txn=t info
		2: txn poll orders/10@0 orders/11@1 send bills/30@2 commit orders@2 group=g txn=u
		3: poll bills/20@0 bills/30@2`, "", Violated, "duplicate-processing"},
	{"of one of them nothing was read, and it may have aborted", three + `
		1: txn poll orders/10@0 send bills/20 commit orders@1 group=g txn=t info
		2: txn poll orders/10@0 orders/11@1 send bills/30@2 commit orders@2 group=g txn=u
		3: poll bills/30@2`, "", Holds, ""},
	{"two groups process it once each", three + `
		1: txn poll orders/10@0 send bills/20@0 commit orders@1 group=g txn=t
		2: txn poll orders/10@0 send bills/30@2 commit orders@1 group=h txn=u
		3: poll bills/20@0 bills/30@2`, "", Holds, ""},
	{"the records that were processed are named", three + `
		1: txn processed orders@0 send bills/20@0 commit orders@1 group=g txn=t
		2: txn processed orders@0 orders@1 send bills/30@2 commit orders@2 group=g txn=u
		3: poll bills/20@0 bills/30@2`, "processing=exactly-once", Violated, "processed-twice"},
	{"named by one that may have aborted", three + `
		1: txn processed orders@0 send bills/20 commit orders@1 group=g txn=t info
		2: txn processed orders@0 orders@1 send bills/30@2 commit orders@2 group=g txn=u
		3: poll bills/30@2`, "processing=exactly-once", Holds, ""},
	{"a hole that an aborted transaction left", three + `
		1: txn poll orders/10@0 send bills/20@0 commit orders@1 group=g txn=t
		1: txn poll orders/11@1 send bills/21@2 commit orders@2 group=g txn=t fail
		1: txn poll orders/12@2 send bills/22@4 commit orders@3 group=g txn=t
		3: poll bills/20@0 bills/22@4`, "subscribe=true", Violated, "group-skip poll-skip"},
	{"a hole that one left of which nobody knows how it ended", three + `
		1: txn poll orders/10@0 send bills/20@0 commit orders@1 group=g txn=t
		1: txn poll orders/11@1 send bills/21 commit orders@2 group=g txn=t info
		2: txn poll orders/12@2 send bills/22@4 commit orders@3 group=g txn=u
		3: poll bills/20@0 bills/22@4
		log: log end bills@6 position bills@6`, "", Violated, "group-skip"},
	{"what it sent may be there, unless the log was read to its end", three + `
		1: txn poll orders/10@0 send bills/20@0 commit orders@1 group=g txn=t
		1: txn poll orders/11@1 send bills/21 commit orders@2 group=g txn=t info
		2: txn poll orders/12@2 send bills/22@4 commit orders@3 group=g txn=u
		3: poll bills/20@0 bills/22@4`, "", Holds, ""},
	{"it never tells what it was given", three + `
		1: txn poll orders/10@0 send bills/20@0 commit orders@1 group=g txn=t
		1> txn poll send bills/21 commit orders@2 group=g txn=t
		2: txn poll orders/12@2 send bills/22@4 commit orders@3 group=g txn=u
		3: poll bills/20@0 bills/21@2 bills/22@4`, "", Holds, ""},
	{"but it cannot have been given what lies above its commit", three + `
		1> txn poll send bills/21 commit orders@1 group=g txn=t
		2: poll orders/10@0 group=g
		2: txn poll orders/12@2 send bills/22@2 commit orders@3 group=g txn=u
		3: poll bills/21@0 bills/22@2`, "", Violated, "group-skip poll-skip"},
	{"it committed, and what it sent was read", three + `
		1: txn poll orders/10@0 send bills/20@0 commit orders@1 group=g txn=t
		1: txn poll orders/11@1 send bills/21 commit orders@2 group=g txn=t info
		2: txn poll orders/12@2 send bills/22@4 commit orders@3 group=g txn=u
		3: poll bills/20@0 bills/21@2 bills/22@4
		log: log end bills@6 position bills@6`, "", Holds, ""},

	// Offsets go with the transaction.
	{"offsets of an aborted transaction are forgotten", three + `
		1: txn poll orders/10@0 send bills/20@0 commit orders@1 group=g txn=t
		1: txn poll orders/11@1 send bills/21@2 commit orders@2 group=g txn=t fail
		5: committed orders@1 group=g
		3: poll bills/20@0`, "", Holds, ""},
	{"offsets of an aborted transaction are committed", three + `
		1: txn poll orders/10@0 send bills/20@0 commit orders@1 group=g txn=t
		1: txn poll orders/11@1 send bills/21@2 commit orders@2 group=g txn=t fail
		5: committed orders@2 group=g
		3: poll bills/20@0`, "", Violated, "committed-offset"},
	{"offsets of a committed transaction are not", three + `
		1: txn poll orders/10@0 send bills/20@0 commit orders@1 group=g txn=t
		1: txn poll orders/11@1 send bills/21@2 commit orders@2 group=g txn=t
		5: committed orders@1 group=g
		3: poll bills/20@0 bills/21@2`, "", Violated, "committed-offset"},
	{"to a client that does not wait for them they are pending", three + `
		1: txn poll orders/10@0 send bills/20@0 commit orders@1 group=g txn=t
		1: txn poll orders/11@1 send bills/21@2 commit orders@2 group=g txn=t
		5: committed orders@1 group=g
		3: poll bills/20@0 bills/21@2`, "isolation.level=read_uncommitted", Holds, ""},
	{"a new owner begins below what a transaction had committed", three + `
		1: assigned orders group=g generation=1
		1: txn poll orders/10@0 orders/11@1 send bills/20@0 commit orders@2 group=g txn=t
		1: revoked orders group=g generation=1
		2: assigned orders group=g generation=2
		2: poll orders/11@1 group=g
		3: poll bills/20@0`, "", Violated, "group-rewind"},
	{"it may, if it does not wait for what is pending", three + `
		1: assigned orders group=g generation=1
		1: txn poll orders/10@0 orders/11@1 send bills/20@0 commit orders@2 group=g txn=t
		1: revoked orders group=g generation=1
		2: assigned orders group=g generation=2
		2: poll orders/11@1 group=g
		3: poll bills/20@0`, "isolation.level=read_uncommitted", Allowed, "group-rewind"},
	{"transactions commit growing offsets", three + `
		1: poll orders/10@0 orders/11@1 orders/12@2 group=g
		1: txn send bills/20@0 commit orders@2 group=g txn=t
		2: txn send bills/21@2 commit orders@3 group=g txn=u
		3: poll bills/20@0 bills/21@2`, "", Holds, ""},
	{"a transaction sets its group back", three + `
		1: poll orders/10@0 orders/11@1 orders/12@2 group=g
		1: txn send bills/20@0 commit orders@3 group=g txn=t
		2: txn send bills/21@2 commit orders@2 group=g txn=u
		3: poll bills/20@0 bills/21@2`, "", Violated, "commit-order"},
	{"one that was under way when the other one committed", three + `
		1: poll orders/10@0 orders/11@1 orders/12@2 group=g
		2> txn send bills/21 group=g txn=u
		1: txn send bills/20@0 commit orders@3 group=g txn=t
		2< txn send bills/21@2 commit orders@2 group=g txn=u
		3: poll bills/20@0 bills/21@2`, "", Holds, ""},
	{"an administrator had set it back", three + `
		1: poll orders/10@0 orders/11@1 orders/12@2 group=g
		1: txn send bills/20@0 commit orders@3 group=g txn=t
		9: commit orders@0 group=g
		2: txn send bills/21@2 commit orders@2 group=g txn=u
		3: poll bills/20@0 bills/21@2`, "", Holds, ""},

	// Hanging transactions.
	{"a transaction hangs in the end", `
		0: txn send x/10@0 txn=t info
		2: send x/11@1
		1: poll
		log: log stable x@0 end x@2`, "", Violated, "stuck-LSO unseen"},

	// A transaction that tells what it sends only when it is over.
	{"what is read of a transaction under way was sent by it", `
		0> txn txn=t
		1: poll x/10@0
		0< txn send x/10@0 txn=t`, "", Holds, ""},
	{"its client never tells", `
		2: send x/9@0
		0> txn txn=t
		1: poll x/9@0 x/10@1`, "from-the-start=true", Inconclusive, ""},
	{"it began too late", `
		2: send x/9@0
		1: poll x/9@0 x/10@1
		0> txn txn=t`, "from-the-start=true", Violated, "phantom-read"},
}

func TestTransactions(t *testing.T) {
	for _, c := range txnTables {
		t.Run(c.name, func(t *testing.T) {
			h, o := historyOf(t, c.history), Options{Expect: config(t, c.config)}
			j := Judge(h, o)
			assert.Equal(t, c.verdict, j.Verdict, "%v", j)
			var found []string
			for _, r := range j.Anomalies {
				if r.Undecided == 0 {
					found = append(found, string(r.Anomaly))
				}
				for _, in := range r.Instances {
					assert.NotEqual(t, string(r.Anomaly), in.Message, "it has words")
				}
			}
			assert.ElementsMatch(t, strings.Fields(c.anomalies), found, "%v", j)
			if certain := replay(h, o.Expect); c.verdict == Holds {
				assert.Nil(t, certain, "while it is recorded")
			}
		})
	}
}

// pipelineMutations damage a legal history of transactions that process exactly once.
var pipelineMutations = []mutation{
	{TornTransaction, func(m *mutant) bool { // of a client that was killed at its commit, and learned no offsets
		rec, ok := m.pick(func(rec history.Rec) bool {
			op := m.op(rec)
			return op.F == history.Txn && op.Type == history.OK && m.log.Read(rec) && slices.ContainsFunc(op.Sends, func(s history.Sent) bool { return s.Rec != rec && m.log.Read(s.Rec) })
		})
		if !ok || !m.drained() {
			return false
		}
		m.hide(rec)
		e := &m.events[m.op(rec).Completed]
		e.Type, e.Mops = history.Unknown, slices.Clone(e.Mops)
		for i := range e.Mops {
			if e.Mops[i].Kind == history.MopSend {
				e.Mops[i].Offset = history.Number{}
			}
		}
		return true
	}},
	{ZombieCommit, func(m *mutant) bool { // one commits in an epoch that was over before
		e := m.someTxn(func(op *history.Op) bool { return op.Type == history.OK && len(op.Sends) > 0 && op.ProducerEpoch > 0 })
		if e == nil {
			return false
		}
		for i := range m.events[:e.Invoked] {
			if g := &m.events[i]; g.F == history.InitProducer && g.Type == history.OK && g.Transaction == e.Txn && g.Producer == e.Producer {
				m.events[e.Completed].ProducerEpoch = g.ProducerEpoch - 1
				return true
			}
		}
		return false
	}},
	{ProducerEpoch, func(m *mutant) bool { // two transactional ids have one producer id
		first := -1
		for i := range m.events {
			switch g := &m.events[i]; {
			case g.F != history.InitProducer || g.Type != history.OK || g.Transaction == "":
			case first < 0:
				first = i
			case g.Transaction != m.events[first].Transaction:
				g.Producer, g.ProducerEpoch = m.events[first].Producer, m.events[first].ProducerEpoch
				return true
			}
		}
		return false
	}},
	{DuplicateProcessing, func(m *mutant) bool { // one that committed is given again what another one was
		commits := func(op *history.Op) bool {
			return op.Type == history.OK && len(op.Offsets) > 0 && op.Offsets[0].Kind == history.MopCommit
		}
		from := m.someTxn(func(op *history.Op) bool { return commits(op) && len(op.Polled) > 0 })
		if from == nil {
			return false
		}
		to := m.someTxn(func(op *history.Op) bool { return commits(op) && op.Row > from.Row })
		if to == nil {
			return false
		}
		e := &m.events[to.Completed]
		e.Mops = append(slices.Clone(m.events[from.Completed].Mops[:1]), e.Mops...)
		return true
	}},
	{GroupSkip, func(m *mutant) bool { // one that processed something aborts, and the group goes on
		op := m.someTxn(func(op *history.Op) bool {
			return op.Type == history.OK && len(op.Polled) > 0 && len(op.Offsets) > 0 && m.committedBeyond(op) && m.alone(op)
		})
		if op == nil {
			return false
		}
		m.events[op.Completed].Type = history.Failed
		return true
	}},
	{CommitOrder, func(m *mutant) bool { // one commits less than another had before
		commits := func(op *history.Op) bool {
			return op.Type == history.OK && len(op.Offsets) > 0 && op.Offsets[0].Kind == history.MopCommit
		}
		e := m.someTxn(commits)
		if e == nil {
			return false
		}
		before := m.someTxn(func(b *history.Op) bool {
			return commits(b) && b.Completed < e.Invoked && b.Offsets[0].Key == e.Offsets[0].Key && b.Offsets[0].Offset > 0
		})
		if before == nil {
			return false
		}
		for i := range m.events[e.Completed].Mops {
			if mop := &m.events[e.Completed].Mops[i]; mop.Kind == history.MopCommit && mop.Key == m.h.Keys()[e.Offsets[0].Key] {
				mop.Offset = history.At(before.Offsets[0].Offset - 1)
			}
		}
		return true
	}},
	{CommittedOffset, func(m *mutant) bool { // an administrator is told what no transaction committed
		for i := range m.events {
			if e := &m.events[i]; e.F == history.Committed && e.Type == history.OK && e.Mops[0].Offset.Or(0) > 0 {
				e.Mops[0].Offset = history.At(e.Mops[0].Offset.Or(0) + 1_000)
				return true
			}
		}
		return false
	}},
	{StuckLSO, func(m *mutant) bool {
		for i := range m.events {
			e := &m.events[i]
			for j := range e.Mops {
				if mop := &e.Mops[j]; e.F == history.Log && mop.Kind == history.MopStable && mop.Offset.Or(0) > 0 {
					mop.Offset = history.At(mop.Offset.Or(0) - 1)
					return true
				}
			}
		}
		return false
	}},
	{G1a, func(m *mutant) bool {
		op := m.someTxn(func(op *history.Op) bool {
			return op.Type == history.OK && slices.ContainsFunc(op.Sends, func(s history.Sent) bool { return m.log.Read(s.Rec) })
		})
		if op == nil {
			return false
		}
		m.events[op.Completed].Type = history.Failed
		return true
	}},
}

// someTxn is a random transaction that fits; nil: there is none.
func (m *mutant) someTxn(fits func(op *history.Op) bool) *history.Op {
	var rows []int
	m.h.Each(func(op *history.Op) bool {
		if op.F == history.Txn && op.Completed != history.Never && fits(op) {
			rows = append(rows, op.Row)
		}
		return true
	})
	if len(rows) == 0 {
		return nil
	}
	op := &history.Op{}
	m.h.Read(rows[m.rng.IntN(len(rows))], op)
	return op
}

// drained: the history tells that a reader came to the ends of all logs.
func (m *mutant) drained() bool {
	return slices.ContainsFunc(m.events, func(e history.Event) bool { return e.F == history.Log })
}

// alone: no other operation that may have succeeded was given anything that it was.
func (m *mutant) alone(op *history.Op) bool {
	alone := true
	m.h.Each(func(other *history.Op) bool {
		// One that commits beyond, and tells nothing of what it was given, may have been given it.
		key, offset := m.h.KeyOf(op.Polled[0].Rec), op.Polled[0].Offset
		alone = alone && (other.Type != history.Unknown || len(other.Polled) > 0 || !slices.ContainsFunc(other.Offsets, func(o history.OffsetMop) bool {
			return o.Kind == history.MopCommit && o.Key == key && o.Offset > offset
		}))
		if other.Row != op.Row && other.Type != history.Failed && other.Group == op.Group {
			for _, p := range other.Polled {
				alone = alone && !slices.ContainsFunc(op.Polled, func(q history.Polled) bool { return q.Rec == p.Rec })
			}
		}
		return alone
	})
	return alone
}

// committedBeyond: another transaction that succeeded committed an offset above what
// this one was given first.
func (m *mutant) committedBeyond(op *history.Op) bool {
	key, offset := m.h.KeyOf(op.Polled[0].Rec), op.Polled[0].Offset
	return m.someTxn(func(other *history.Op) bool {
		return other.Type == history.OK && other.Row != op.Row && slices.ContainsFunc(other.Offsets, func(o history.OffsetMop) bool {
			return o.Kind == history.MopCommit && o.Key == key && o.Offset > offset
		})
	}) != nil
}

// Damage of every kind to a pipeline is found under its name.
func TestEveryMutationOfPipelinesIsFound(t *testing.T) {
	want := 6
	if *long {
		want = 500
	}
	for _, mut := range pipelineMutations {
		t.Run(string(mut.anomaly), func(t *testing.T) {
			found := 0
			for seed := 0; found < want && seed < 400*want; seed++ {
				h, cfg, o := pipelineHistory(seed)
				if cfg.Uncommitted || !o.Expect.Is(permit.FromTheStart, "true") {
					continue
				}
				m := newMutant(seed, h)
				if !mut.damage(m) {
					continue
				}
				found++
				damaged := history.New()
				for i := range m.events {
					damaged.Add(&m.events[i])
				}
				j := Judge(damaged, o)
				require.Contains(t, anomalies(j), string(mut.anomaly), "seed %d: %+v %s", seed, cfg, j)
			}
			require.Equal(t, want, found, "histories that could be damaged so")
		})
	}
}
