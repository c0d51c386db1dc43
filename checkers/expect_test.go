package checkers

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/checkers/history"
)

// truncatedAck: acknowledged at 5, then another record was there.
const truncatedAck = `
	0: send x/10@5
	2: send x/11@5
	2: send x/12@6
	1: poll x/11@5 x/12@6`

// divergent: two readers saw different records at one offset.
const divergent = `
	0: send x/10@0
	0: send x/11@1
	1: poll x/10@0 x/11@1
	3: send x/12@1
	2: poll x/10@0 x/12@1`

const aborted = `
	0: txn send x/10@0 fail
	0: txn send x/11@2
	1: poll x/10@0 x/11@2`

// lateEnd: a transaction that its client aborts is committed by a late EndTxn, as is told of this transactional id.
func lateEnd(id string) string {
	return `
	0> txn send x/10 txn=t
	fault: delayed-endtxn txn=` + id + `
	0< txn send x/10@0 txn=t fail
	0: txn send x/11@2 txn=t
	1: poll x/10@0 x/11@2`
}

const deleted = `
	1: assign x
	0: send x/10@0
	0: send x/11@1
	0: send x/12@2
	1: poll x/12@2`

const rewound = `
	0: subscribe x
	2: send x/10@0 x/11@1
	0: poll x/10@0 x/11@1
	0: poll x/11@1`

// overtaken: of two sends of a session under way, the second is first in the log.
const overtaken = `
	0> send x/10 session=a
	1> send x/11 session=a
	0< send x/10@1 session=a
	1< send x/11@0 session=a
	2: poll x/11@0 x/10@1`

// givenUp: the same, though the producer never learned of the first.
const givenUp = `
	0: send x/10 session=a info
	1: send x/11@0 session=a
	2: poll x/11@0 x/10@1`

const acked = "0: send x/10@0\n1: poll x/10@0\n"

const commits = "0: send x/10@0 x/11@1 x/12@2 x/13@3 x/14@4\n2: poll x/10@0 x/11@1 x/12@2 x/13@3 x/14@4\n0: commit x@2 group=g\n0: commit x@5 group=g\n"

// workers: one has lost its partition to another, which has gone on to offset 3.
const workers = `
	2: send x/10@0 x/11@1 x/12@2 x/13@3 x/14@4
	0: txn poll x/10@0 commit x@1 group=g generation=1
	1: txn poll x/11@1 x/12@2 commit x@3 group=g generation=2
`

const processedTwice = `
	0: subscribe x
	1: subscribe x
	2: send x/10@0
	0: txn poll x/10@0
	1: txn poll x/10@0`

func TestExpectations(t *testing.T) {
	for _, c := range []struct {
		name, history, config string
		verdict               Verdict
	}{
		{"a truncated acknowledgement", truncatedAck, "", Violated},
		{"a truncated acknowledgement", truncatedAck, "acks=1", Allowed},
		{"a truncated acknowledgement", truncatedAck, "acks=0", Allowed},
		{"a truncated acknowledgement", truncatedAck, "acks=all", Violated},
		{"polls never disagree with acks=1", divergent, "acks=1", Violated},
		{"an end below what was acknowledged", "0: send x/10@5\n1: end x@3", "", Violated},
		{"an end below what was acknowledged", "0: send x/10@5\n1: end x@3\n2: send x/11@3\n1: poll x/11@3", "acks=1", Allowed},
		{"an end below what was polled", "0: send x/10@5\n1: poll x/10@5\n1: end x@3", "acks=1", Violated},
		{"an end below an end", "0: send x/10@5\n1: end x@3\n1: end x@2", "acks=1", Violated},
		{"polls disagree after an unclean election", divergent, "unclean.leader.election.enable=true", Allowed},
		{"none happened", divergent, "unclean=true,unclean-elections=0", Violated},
		{"one happened, and it was not permitted", divergent, "unclean-elections=1", Violated},
		{"the history tells that one happened", divergent + "\nfault: unclean-election x", "unclean=true", Violated}, // after all polls
		{"it happened in time", "fault: unclean-election x\n" + divergent, "unclean=true", Allowed},
		{"it happened elsewhere", "fault: unclean-election y\n" + divergent, "unclean=true", Violated},
		{"what was written before comes back elsewhere", "0: send x/10@5\n1: poll x/10@5\nfault: unclean-election x\n1: poll x/10@3", "unclean=true", Allowed},
		{"it came back before", "0: send x/10@5\n1: poll x/10@5\n1: poll x/10@3\nfault: unclean-election x", "unclean=true", Violated},
		{"another fault happened", "fault: power-off\n" + divergent, "unclean=true", Violated},
		{"the last in-sync replica lost data", divergent, "min.insync.replicas=1,last-isr-lost=1", Allowed},
		{"it lost nothing", divergent, "min.insync.replicas=1,last-isr-lost=0", Violated},
		{"fewer lossy crashes than min.insync.replicas", divergent, "lossy-crashes=1", Violated},
		{"as many", divergent, "lossy-crashes=2", Allowed},
		{"an end told too low to another client", acked + "1: end x@3\n2: end x@1", "", Violated},
		{"the same after a change of leaders", acked + "1: end x@3\n2: end x@1", "replaced-leaders=1", Allowed},
		{"before the replaced leader has heard", "fault: replaced-leader x\n" + acked + "1: end x@3\n2: end x@1", "replaced-leaders=1", Allowed},
		{"after it has", "fault: replaced-leader x\nfault: replaced-leader-heard x\n" + acked + "1: end x@3\n2: end x@1", "replaced-leaders=1", Violated},
		{"elsewhere", "fault: replaced-leader y\n" + acked + "1: end x@3\n2: end x@1", "replaced-leaders=1", Violated},
		{"to the same client even then", acked + "1: end x@3\n1: end x@1", "replaced-leaders=1", Violated},
		{"a committed offset that is no longer", commits + "1: committed x@2 group=g", "", Violated},
		{"a coordinator that was replaced told it", commits + "1: committed x@2 group=g", "replaced-coordinators=1", Allowed},
		{"before it had heard", "fault: replaced-coordinator c\n" + commits + "1: committed x@2 group=g", "replaced-coordinators=1", Allowed},
		{"after it had", "fault: replaced-coordinator c\nfault: replaced-coordinator-heard c\n" + commits + "1: committed x@2 group=g", "replaced-coordinators=1", Violated},
		{"another has not yet", "fault: replaced-coordinator c\nfault: replaced-coordinator d\nfault: replaced-coordinator-heard c\n" + commits + "1: committed x@2 group=g", "replaced-coordinators=1", Allowed},
		{"one of two reads was before", "fault: replaced-coordinator c\n" + commits + "1: committed x@2 group=g\nfault: replaced-coordinator-heard c\n1: committed x@2 group=g", "replaced-coordinators=1", Violated},
		{"an offset that no one committed", "fault: replaced-coordinator c\n" + commits + "1: committed x@3 group=g", "replaced-coordinators=1,from-the-start=true", Violated},
		{"a worker that is none any more goes on where others are", workers + "0: txn poll x/11@1 commit x@2 group=g generation=1 fail\n0: txn poll x/13@3 commit x@4 group=g generation=1 fail\n1: txn poll x/13@3 x/14@4 commit x@5 group=g generation=2", "subscribe=true", Holds},
		{"but not in a transaction that commits", workers + "0: txn poll x/11@1 commit x@2 group=g generation=1 fail\n0: txn poll x/13@3 commit x@4 group=g generation=1", "subscribe=true", Violated},
		{"nor before one was aborted", workers + "0: txn poll x/13@3 commit x@4 group=g generation=1 fail", "subscribe=true", Violated},
		{"nor where the group never was", workers + "0: txn poll x/11@1 commit x@2 group=g generation=1 fail\n0: txn poll x/14@4 commit x@5 group=g generation=1 fail", "subscribe=true", Violated},
		{"an aborted read", aborted, "", Violated},
		{"an aborted read", aborted, "isolation=read_uncommitted", Allowed},
		{"an aborted read", aborted, "isolation.level=read-committed", Violated},
		{"a late EndTxn", aborted, "transaction.version=1", Allowed},
		{"it ended this one", lateEnd("t"), "transaction.version=1", Allowed},
		{"it ended one of another producer", lateEnd("u"), "transaction.version=1", Violated},
		{"it ended one, and another one is torn as well", lateEnd("t") + "\n0: txn send x/20@4 y/21@4 txn=t\n2: txn send x/22@6 y/23@6 txn=u\n1: poll x/20@4 x/22@6 y/23@6\nlog: log end x@7 position x@7 end y@7 position y@7", "transaction.version=1", Violated},
		{"it ended one that was over", "0: txn send x/10@0 txn=t fail\nfault: delayed-endtxn txn=t\n0: txn send x/11@2 txn=t\n1: poll x/10@0 x/11@2", "transaction.version=1", Violated},
		{"it ended one, and the protocol permits none", lateEnd("t"), "transaction.version=2", Violated},
		{"no late EndTxn", aborted, "transaction.version=1,delayed-endtxn=0", Violated},
		{"a duplicate", "0: send x/10@0\n1: poll x/10@0 x/10@1", "", Violated},
		{"a duplicate without idempotence", "0: send x/10@0\n1: poll x/10@0 x/10@1", "enable.idempotence=false", Allowed},
		{"a duplicate without idempotence or retries", "0: send x/10@0\n1: poll x/10@0 x/10@1", "idempotence=false,retries=0", Violated},
		{"a resent value", "0: send x/10@0\n1: poll x/10@0 x/10@1", "resend=true", Violated},
		{"reordered sends", "0: txn send x/10@1 x/11@0\n1: poll x/11@0 x/10@1", "", Violated},
		{"reordered sends", "0: txn send x/10@1 x/11@0\n1: poll x/11@0 x/10@1", "idempotence=false", Allowed},
		{"reordered sends, one in flight", "0: txn send x/10@1 x/11@0\n1: poll x/11@0 x/10@1", "idempotence=false,in-flight=1", Violated},
		{"a session's sends reordered", overtaken, "", Violated},
		{"a session's sends reordered", overtaken, "idempotence=false", Allowed},
		{"a session's sends reordered, one in flight", overtaken, "idempotence=false,in-flight=1", Violated},
		{"the first given up, one in flight", givenUp, "idempotence=false,in-flight=1", Allowed},
		{"the first given up by an idempotent producer", givenUp, "", Violated},
		{"acknowledged, truncated, and more of it elsewhere", "0: send x/10@7 session=a\n0: send x/11@6 session=a\n1: poll x/11@6", "acks=1", Allowed},
		{"not read yet when the run was cut short", "0: send x/10@0 x/11@1\n1: poll x/10@0", "cut-short=true", Inconclusive},
		{"a rewind", rewound, "", Violated},
		{"a rewind in a group", rewound, "subscribe=true", Allowed},
		{"a rewind in a group", rewound, "sub-via=subscribe", Allowed},
		{"one reset to the start", rewound, "auto.offset.reset=earliest", Allowed},
		{"another", rewound + "\n0: poll x/10@0", "auto.offset.reset=earliest", Violated},
		{"processed twice", processedTwice, "processing=exactly-once", Violated},
		{"processed twice", processedTwice, "processing=at-least-once", Allowed},
		{"processed twice", processedTwice, "auto-commit=true", Allowed},
		{"deleted before it was read", deleted, "", Violated},
		{"deleted before it was read", deleted, "retention=true", Allowed},
		{"strictly below the log's start", deleted, "log.start.offset=2", Allowed},
		{"not below the log's start", deleted, "log.start.offset=1", Violated},
		{"the history tells the log's start", deleted + "\nlog: log start x@1", "retention=true", Violated},
		{"read after it is said to be deleted", "3: poll\n" + deleted + "\n2: poll x/10@0", "retention=true", Violated},
		{"superseded", deleted, "cleanup.policy=compact", Allowed},
		{"the last is never superseded", "0: send x/10@0\n0: send x/11@1\n1: poll x/10@0\nlog: log end x@2", "cleanup.policy=compact", Violated},
		{"nothing permits a phantom", "0: send x/10@0\n1: poll x/10@0 x/99@1", "acks=0,unclean=true,isolation=read_uncommitted,subscribe=true,retention=true", Violated},
		{"nothing permits reading the future", "0: send y/1@0\n1: poll x/10@0 y/1@0\n0: send x/10@0", "acks=0,unclean=true,isolation=read_uncommitted", Violated},
		{"what was sent without a promise", "0: send x/10@?\n0: send x/11@0\n1: poll x/11@0", "acks=0", Allowed},
	} {
		t.Run(c.name+"/"+c.config, func(t *testing.T) {
			h := historyOf(t, c.history)
			j := Judge(h, Options{Expect: config(t, c.config)})
			require.Equal(t, c.verdict, j.Verdict, j.String())
			if c.verdict == Allowed {
				assert.NotEmpty(t, j.Allowed, "each permitted anomaly is named")
				for _, allowed := range j.Allowed {
					assert.Positive(t, allowed.Count)
					assert.NotEmpty(t, allowed.Reason)
				}
			}
		})
	}
}

func TestAHistoryTellsItsConfiguration(t *testing.T) {
	h := historyOf(t, truncatedAck)
	h.Add(&history.Event{Process: history.NoProcess, Actor: "ktrial", F: history.Config, Type: history.Unknown, Text: "acks=1"})
	assert.Equal(t, Allowed, Judge(h, Options{}).Verdict)
	assert.Equal(t, Violated, Judge(h, Options{Expect: config(t, "acks=all")}).Verdict, "what is said goes before what is told")
}

func TestAConfigurationIsReadAsItIsWritten(t *testing.T) {
	e := config(t, "acks=1,cut-short=true,unclean-elections=2,offset-resets=1")
	again := config(t, e.String())
	assert.Equal(t, e, again)

	// That a fault did not happen is told too.
	e.FaultsKnown = true
	assert.Equal(t, "acks=1,cut-short=true,damaged-disks=0,delayed-endtxn=0,last-isr-lost=0,lossy-crashes=0,offset-resets=1,replaced-coordinators=0,replaced-leaders=0,unclean-elections=2", e.String())

	h := historyOf(t, acked)
	h.Add(&history.Event{Process: history.NoProcess, Actor: "ktrial", F: history.Config, Type: history.Unknown, Text: "acks=1,colour=red"})
	j := Judge(h, Options{})
	assert.Equal(t, "acks=1", j.Config)
	assert.Equal(t, Inconclusive, j.Verdict)
	assert.Contains(t, j.Notes[0], `config "colour" is unknown`)
}

func TestAPromiseIsAllowedOrViolated(t *testing.T) {
	h := historyOf(t, rewound)
	verdict, _ := Judge(h, Options{}).Kept(ConsumersInOrder)
	assert.Equal(t, Violated, verdict)
	verdict, checked := Judge(h, Options{Expect: config(t, "subscribe=true")}).Kept(ConsumersInOrder)
	assert.Equal(t, Allowed, verdict)
	assert.Positive(t, checked)
	j := Judge(h, Options{Expect: config(t, "subscribe=true"), Strict: true})
	verdict, _ = j.Kept(ConsumersInOrder)
	assert.Equal(t, Violated, verdict)
	assert.Equal(t, Violated, j.Verdict)
}

func TestParseConfigHelps(t *testing.T) {
	for text, message := range map[string]string{
		"ack=1":          "did you mean acks?",
		"isolaton=x":     "did you mean isolation.level?",
		"acks=2":         "expected one of all, 1, 0",
		"retries=many":   "expected a number",
		"unclean=maybe":  "expected one of true, false",
		"unclean-electn": "did you mean unclean-elections?",
	} {
		_, err := ParseConfig(text)
		if assert.Error(t, err, text) {
			assert.Contains(t, err.Error(), message)
		}
	}
	e := config(t, " acks = 1 , isolation=read_uncommitted,subscribe ")
	assert.Equal(t, "acks=1,isolation.level=read_uncommitted,subscribe=true", e.String())
}

func TestVacuity(t *testing.T) {
	for text, why := range map[string]string{
		"":                                    "no operation at all",
		"1: poll":                             "no record was acknowledged",
		"0: send x/10@0":                      "no poll returned a record",
		"0: send x/10@0 info\n1: poll x/10@0": "no record was acknowledged",
	} {
		j := Judge(historyOf(t, text), Options{Expect: config(t, "acks=0")})
		assert.Equal(t, Inconclusive, j.Verdict, text)
		assert.Contains(t, j.Notes, why)
	}
}

func TestCampaignTellsWhatNeverShowed(t *testing.T) {
	var c Campaign
	e := config(t, "acks=1")
	c.Add(Judge(historyOf(t, truncatedAck), Options{Expect: e}))
	var never []Anomaly
	for _, allowed := range c.NeverShown() {
		never = append(never, allowed.Anomaly)
	}
	assert.ElementsMatch(t, []Anomaly{AppendRealtimeOrder, NonmonotonicSend, IntNonmonotonicSend, PollSkip, IntPollSkip, NonmonotonicEnd, TornTransaction}, never)
}
