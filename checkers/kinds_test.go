package checkers

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/checkers/laws"
	"github.com/ktrial/ktrial/checkers/permit"
)

// Kinds of histories on which a judge went wrong, told in short, and what is right.
var kinds = []struct {
	name, history, config string
	verdict               Verdict
	anomalies             string
}{
	{"two transactions read from each other, one of them out of the future", `
		2: send x/9@0
		2: poll x/9@0
		0: txn send x/10@1 poll y/20@0
		1: txn send y/20@0 poll x/10@1`, "", Violated, "G1c G1c-realtime"},
	{"old records are older than the history", `
		1: poll x/3@0 x/4@1
		0: send x/10@2
		1: poll x/10@2`, "", Holds, ""},
	{"unless it began with the cluster", `
		1: poll x/3@0 x/4@1
		0: send x/10@2
		1: poll x/10@2`, "from-the-start=true", Violated, "phantom-read"},
	{"what was committed before the first commit is unknown", acked + `
		1: committed x@7 group=g
		1: commit x@8 group=g
		1: committed x@8 group=g`, "", Holds, ""},
	{"and after it is not", acked + `
		1: commit x@8 group=g
		1: committed x@7 group=g`, "", Violated, "committed-offset"},
	{"a run that stopped before consumers caught up", `
		0: send x/10@0 x/11@1
		1: assign x
		1: poll x/10@0`, "", Inconclusive, "unseen"},
	{"what lies above all that consumers were given they do not owe", `
		0: send x/10@0 x/11@1
		1: assign x
		1: poll x/10@0
		log: log position x@1`, "", Holds, ""},
	{"unless one of them came to where it should be", `
		0: send x/10@0 x/11@1
		1: assign x
		1: poll x/10@0
		1: poll
		log: log position x@1`, "", Violated, "unseen"},
	{"an empty poll shows that it did not", `
		0: send x/10@0 x/11@1
		1: assign x
		1: poll x/10@0
		1: poll`, "empty-polls=drained", Violated, "unseen"},
	{"but consumers come back empty when their time is over", `
		0: send x/10@0 x/11@1
		1: assign x
		1: poll x/10@0
		1: poll
		1: poll`, "empty-polls=unknown", Inconclusive, "unseen"},
	{"the position of a reader shows that it did not", `
		0: send x/10@0 x/11@1
		1: assign x
		1: poll x/10@0
		1: poll position x@2`, "", Violated, "lost-write unseen"},
	{"an empty poll that was wrong before proves nothing", `
		0: send x/10@0 x/11@1
		1: assign x
		1: poll x/10@0
		1: poll
		1: poll x/11@1
		0: send x/12@2
		1: poll`, "empty-polls=drained", Inconclusive, "unseen"},
	{"an empty poll behind an open transaction proves nothing", `
		0: send x/10@0
		1: assign x
		1: poll x/10@0
		2> txn send x/11
		0: send x/12@2
		1: poll`, "empty-polls=drained", Inconclusive, "unseen"},
	{"a consumer that comes back goes on where it had left off", `
		0: send x/10@0
		1: assign x
		0: send x/11@1
		1: poll x/11@1
		1: assign y
		0: send x/12@2
		1: assign x
		1: poll x/12@2`, "", Holds, ""},
	{"and had left off at the end, though it was given nothing there", `
		0: send x/10@0
		1: assign x
		1: poll
		1: assign y
		0: send x/11@1
		1: assign x
		1: poll x/11@1`, "", Holds, ""},
	{"but one that comes for the first time begins at the start or at the end", `
		0: send x/10@0
		0: send x/11@1
		1: assign x
		1: poll x/11@1`, "", Violated, "lost-write unseen"},
	{"a record of a send before the history began may lie behind others", `
		0: send x/10@2
		1: poll x/10@2 x/5@3`, "", Inconclusive, "phantom-read"},
	{"unless it has the beginning of the partition", `
		0: send x/10@0
		1: poll x/10@0 x/5@1`, "", Violated, "phantom-read"},
	{"a reader that retention overtook", `
		0: send x/10@0 x/11@1 x/12@2
		1: assign x
		1: poll x/10@0
		1: poll x/12@2`, "retention=true", Allowed, "lost-write poll-skip unseen"},
	{"but not one that another read later", `
		0: send x/10@0 x/11@1 x/12@2
		1: assign x
		1: poll x/10@0
		1: poll x/12@2
		2: poll x/10@0`, "retention=true", Violated, "lost-write poll-skip unseen"},
	{"a reader that a client's deletion overtook", `
		0: send x/10@0 x/11@1 x/12@2
		1: assign x
		1: poll x/10@0
		2: delete x@2 info
		1: poll x/12@2`, "", Holds, "lost-write poll-skip unseen"},
	{"but not what was passed before it was asked for", `
		0: send x/10@0 x/11@1 x/12@2
		1: assign x
		1: poll x/10@0
		1: poll x/12@2
		2: delete x@2`, "", Violated, "lost-write poll-skip unseen"},
	{"nor what lies above the deletion, or one that failed", `
		0: send x/10@0 x/11@1 x/12@2
		1: assign x
		1: poll x/10@0
		2: delete x@1
		2: delete x@2 fail
		1: poll x/12@2`, "", Violated, "lost-write poll-skip unseen"},
	{"a client deleted all that there was", `
		0: send x/10@0 x/11@1
		2: delete x@?
		0: send x/12@2
		1: assign x
		1: poll x/12@2`, "", Holds, "lost-write unseen"},
	{"and what came after that is owed", `
		0: send x/10@0
		2: delete x@?
		0: send x/11@1 x/12@2
		1: assign x seek=1
		1: poll x/12@2`, "", Violated, "lost-write unseen"},
	{"a producer that was forgotten", `
		0: send x/10@0
		1: poll x/10@0 x/10@1`, "producer.id.expiration.ms=1000", Allowed, "duplicate"},
	{"a stable offset below what was read", `
		0: send x/10@0
		1: poll x/10@0
		2: stable x@0`, "", Violated, "nonmonotonic-end"},
	{"which read_uncommitted may", `
		0: send x/10@0
		1: poll x/10@0
		2: stable x@0`, "isolation.level=read_uncommitted", Holds, ""},
	{"a stable offset above the end of the same answer", acked + `
		2: end x@3 stable x@4`, "", Violated, "nonmonotonic-end"},
	{"a member's position within one ownership", `
		0: send x/10@0 x/11@1 x/12@2
		3: poll x/10@0 x/11@1 x/12@2
		1: subscribe x
		1: poll x/10@0 group=g generation=5
		1: poll x/12@2 group=g generation=5`, "subscribe=true", Violated, "poll-skip"},
	{"and in the next", `
		0: send x/10@0 x/11@1 x/12@2
		3: poll x/10@0 x/11@1 x/12@2
		1: subscribe x
		1: poll x/10@0 group=g generation=5
		1: poll x/12@2 group=g generation=6`, "subscribe=true", Allowed, "poll-skip"},
	{"a consumer that seeks back", `
		0: send x/10@0 x/11@1
		1: assign x
		1: poll x/10@0 x/11@1
		1: seek x
		1: poll x/10@0 x/11@1`, "", Holds, ""},
	{"a consumer that seeks on leaves out what it likes", `
		0: send x/10@0 x/11@1 x/12@2
		1: assign x
		1: poll x/10@0
		1: seek x info
		1: poll x/12@2
		2: poll x/11@1`, "", Holds, ""},
	{"and owes the rest", `
		0: send x/10@0 x/11@1 x/12@2 x/13@3
		1: assign x
		1: seek x
		1: poll x/11@1 x/13@3
		2: poll x/10@0 x/12@2`, "", Violated, "int-poll-skip"},
	{"a seek that failed moves nothing", `
		0: send x/10@0 x/11@1
		1: assign x
		1: poll x/10@0 x/11@1
		1: seek x fail
		1: poll x/10@0 x/11@1`, "", Violated, "nonmonotonic-poll"},
	{"nor does one on another partition", `
		0: send x/10@0 x/11@1
		0: send y/20@0
		1: poll x/10@0 x/11@1 y/20@0
		1: seek y
		1: poll x/10@0 y/20@0`, "", Violated, "nonmonotonic-poll"},
	{"of a partition in which the consumer sought an empty poll shows nothing", `
		0: send x/10@0 x/11@1
		1: assign x seek=1
		1: poll x/10@0
		1: seek x
		1: poll`, "empty-polls=drained", Inconclusive, "unseen"},
	{"what another reader passed is lost all the same", `
		0: send x/10@0 x/11@1 x/12@2
		1: assign x
		1: poll x/10@0
		1: seek x
		1: poll x/12@2
		2: assign x
		2: poll x/10@0 x/12@2`, "", Violated, "int-poll-skip lost-write unseen"},
	{"a member that seeks leaves out what it likes", `
		0: send x/10@0 x/11@1 x/12@2
		3: poll x/10@0 x/11@1 x/12@2
		1: poll x/10@0 group=g
		1: seek x group=g
		1: poll x/12@2 group=g
		1: commit x@3 group=g`, "", Holds, ""},
	{"one that does not leaves out nothing", `
		0: send x/10@0 x/11@1 x/12@2
		3: poll x/10@0 x/11@1 x/12@2
		1: poll x/10@0 group=g
		1: poll x/12@2 group=g
		1: commit x@3 group=g`, "", Violated, "group-skip poll-skip"},
	{"a member that seeks back below what the group had committed", `
		0: send x/10@0 x/11@1
		1: poll x/10@0 x/11@1 group=g
		1: commit x@2 group=g
		2: join group=g generation=2
		2: seek x group=g
		2: poll x/10@0 x/11@1 group=g generation=2
		2: commit x@1 group=g generation=2`, "", Holds, ""},
	{"and works on what it liked", `
		0: send x/10@0 x/11@1 x/12@2
		3: poll x/10@0 x/11@1 x/12@2
		1: poll x/10@0 group=g
		1: processed x@0 group=g
		1: seek x group=g
		1: poll x/12@2 group=g
		1: processed x@2 group=g
		1: commit x@3 group=g`, "", Holds, ""},
	{"two topics' partitions of one number are two", `
		0: send orders/0/10@0
		1: send payments/0/10@0
		2: poll orders/0/10@0
		3: poll payments/0/10@0`, "", Holds, ""},
	{"an acknowledgement that polls contradict is distrusted everywhere", `
		0: send x/9@0
		3: send x/10@1
		2: send x/12@2
		1: assign x
		1: poll x/9@0 x/12@2 x/10@3`, "acks=1,enable.idempotence=false", Allowed, "duplicate"},
}

func TestKinds(t *testing.T) {
	for _, c := range kinds {
		t.Run(c.name, func(t *testing.T) {
			j := Judge(historyOf(t, c.history), Options{Expect: config(t, c.config)})
			assert.Equal(t, c.verdict, j.Verdict, "%v", j)
			assert.ElementsMatch(t, strings.Fields(c.anomalies), anomalies(j), "%v", j)
			strict := Judge(historyOf(t, c.history), Options{Expect: config(t, c.config), Strict: true})
			assert.Equal(t, c.verdict.Strict(), strict.Verdict)
		})
	}
}

// A completion built as the package says, of which nothing was learned, claims
// nothing.
func TestTheZeroValueClaimsNothing(t *testing.T) {
	rec := history.NewRecorder()
	orders := history.Partition("orders", 0)
	send := func(process int64, as history.Type, value string) []history.Mop {
		mops := []history.Mop{{Kind: history.MopSend, Key: orders, Value: history.Text(value)}}
		rec.Invoke(history.Event{Process: process, F: history.Send, Mops: mops})
		rec.Complete(history.Event{Type: as, Process: process, F: history.Send, Mops: mops})
		return mops
	}
	send(0, history.Unknown, "tea")
	send(1, history.Unknown, "milk")
	send(2, history.OK, "rice")
	poll := []history.Mop{{Kind: history.MopPoll, Records: []history.Record{
		{Key: orders, Offset: history.At(0), Value: history.Text("rice")}, {Key: orders, Offset: history.At(1), Value: history.Text("tea")},
		{Key: orders, Offset: history.At(2), Value: history.Text("milk")}}}}
	did(rec, history.Event{Process: 3, F: history.Poll}, poll...)
	j := Judge(rec.History(), Options{})
	assert.Equal(t, Holds, j.Verdict, "%v", j)
}

func TestOtherPeoplesHistories(t *testing.T) {
	for _, c := range []struct{ name, text, says string }{
		{"registers", `{:type :ok, :process 0, :f :read, :value 3} {:type :ok, :process 0, :f :cas, :value [1 2]} {:type :info, :process 1, :f :write, :value 3}`,
			"none of the 3 operations is a Kafka operation (:cas, :read, :write)"},
		{"a mutex", `{:type :ok, :process 0, :f :acquire, :value nil}`, "the one operation is not a Kafka operation (:acquire)"},
	} {
		j, err := JudgeReader(c.name, strings.NewReader(c.text), Options{})
		require.NoError(t, err)
		assert.Equal(t, Inconclusive, j.Verdict)
		assert.Equal(t, []string{c.says}, j.Notes)
	}
	_, err := JudgeReader("elle.edn", strings.NewReader(`{:type :ok, :process 0, :f :txn, :value [[:append 1 2] [:r 1 [2]]]}`), Options{})
	assert.ErrorContains(t, err, "list-append")
	_, err = JudgeReader("x.edn", strings.NewReader("{:type :invoke, :process 0, :f :poll, :time 200}\n{:type :ok, :process 0, :f :poll, :time 50}"), Options{})
	assert.ErrorContains(t, err, "x.edn:2: found an event at 50ns behind one at 200ns in line 1, expected events in the order of time")
}

func TestWhatIsIgnoredIsNamedOnce(t *testing.T) {
	line := `{"type":"ok","process":0,"f":"poll","value":[["poll",{"1":[[0,1,{"colour":"red"}]]}]],"poll-ms":3}`
	more, err := JudgeReader("x", strings.NewReader(line+`
{"type":"ok","process":0,"f":"pause","value":["1"]}
{"type":"ok","process":"consumer-1","f":"poll","value":[["poll",{"1":[[1,2]]}]]}
{"type":"info","process":"nemesis","f":"kill","value":["n1"]}`), Options{})
	require.NoError(t, err)
	assert.Equal(t, []string{"colour", "f=pause", "poll-ms", "process=consumer-1"}, more.Ignored)
	words, err := JudgeReader("x", strings.NewReader(`{"type":"ok","process":"c1","f":"send","value":[["send","x",[0,1]]]}`), Options{})
	require.NoError(t, err)
	assert.Equal(t, []string{`no operation of a client: its process is an integer, and "c1" is none`}, words.Notes)
	j, err := JudgeReader("x", strings.NewReader(line+"\n"+line), Options{})
	require.NoError(t, err)
	text, err := json.Marshal(j)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"ignored":["colour","poll-ms"]`)
	assert.Contains(t, j.String(), "ignored: colour, poll-ms")
}

// The one table decides for laws, too: by what happened to the partition or the
// machine, or by a setting alone.
func TestLawsThatNeedNotHold(t *testing.T) {
	none := permit.Faults(0)
	for _, c := range []struct {
		law      laws.Law
		config   string
		happened permit.Faults
		permits  string // begins so; empty: it must hold
	}{
		{laws.KeptSomewhere, "", none, ""},
		{laws.KeptSomewhere, "", none.With(history.LossyCrashes), "at least min.insync.replicas"},
		{laws.KeptSomewhere, "", none.With(history.UncleanElection), "unclean.leader.election.enable=true"},
		{laws.KeptSomewhere, "", none.With(history.LastISRLost), "min.insync.replicas=1"},
		{laws.KeptSomewhere, "", none.With(history.DamagedDisk), ""},
		{laws.RecoveredPrefix, "", none.With(history.LossyCrashes), ""},
		{laws.RecoveredPrefix, "", none.With(history.DamagedDisk), "its disk was damaged"},
		{laws.ContiguousBatches, "", none, ""},
		{laws.ContiguousBatches, "producer.id.expiration.ms=86400000", none, ""},
		{laws.ContiguousBatches, "producer.id.expiration.ms=1000", none, "producer.id.expiration.ms"},
		{laws.OneLeader, "unclean=true,acks=0", none.With(history.UncleanElection).With(history.LossyCrashes), ""},
	} {
		e := config(t, c.config)
		reason, ok := e.Law(c.law, c.happened)
		assert.Equal(t, c.permits != "", ok, "%v under %q: %s", c.law, c.config, reason)
		assert.True(t, strings.HasPrefix(reason, c.permits), reason)
	}
}

// The lines that docs/history.md shows are a history, and it names every function,
// micro-operation and fault.
func TestTheFormatIsDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "history.md"))
	require.NoError(t, err)
	doc := string(text)
	_, rest, _ := strings.Cut(doc, "```json\n")
	lines, _, _ := strings.Cut(rest, "```")
	j, err := JudgeReader("docs/history.md", strings.NewReader(lines), Options{})
	require.NoError(t, err)
	assert.Equal(t, Holds, j.Verdict, "%v", j)
	assert.Empty(t, j.Ignored)
	for f := history.Send; f <= history.Seek; f++ {
		assert.Contains(t, doc, "`"+f.String()+"`")
	}
	for kind := history.MopSend; kind <= history.MopPosition; kind++ {
		assert.Contains(t, doc, `"`+kind.String()+`"`, "or as a word")
	}
	for _, fault := range history.Faults() {
		assert.Contains(t, doc, "`"+fault.String()+"`")
	}
}
