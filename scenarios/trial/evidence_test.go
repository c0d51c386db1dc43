package trial

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// A report of a run in which an acknowledged record was lost, from its history,
// its faults and what its nodes said. The run is made up, so that the words are
// tested and not what a seed happens to do.
func TestAReportTellsTheStory(t *testing.T) {
	at := func(s float64) time.Duration { return time.Duration(s * 1e9) }
	rec := history.NewRecorder()
	orders := history.Partition("orders", 0)
	produce := func(process int64, value string, from, to float64, offset int64) {
		e := history.Event{Process: process, Client: "producer-1", Session: "p1-0", F: history.Send, Time: at(from),
			Mops: []history.Mop{{Kind: history.MopSend, Key: orders, Value: history.Text(value)}}}
		rec.Invoke(e)
		e.Time, e.Type, e.Mops[0].Offset = at(to), history.OK, history.At(offset)
		rec.Complete(e)
	}
	produce(0, "p1-0-16@orders/0", 11.9, 11.95, 5116)
	produce(0, "p1-0-17@orders/0", 11.991, 11.998, 5117)
	produce(0, "p1-0-18@orders/0", 15, 15.2, 5118)
	poll := history.Event{Process: 1, Client: "consumer-2", F: history.Poll, Time: at(15.1), Mops: []history.Mop{{Kind: history.MopPoll}}}
	rec.Invoke(poll)
	poll.Type, poll.Time = history.OK, at(15.4)
	poll.Mops[0].Records = []history.Record{
		{Key: orders, Offset: history.At(5116), Value: history.Text("p1-0-16@orders/0")},
		{Key: orders, Offset: history.At(5118), Value: history.Text("p1-0-18@orders/0")},
	}
	rec.Complete(poll)

	e := evidence{
		h: rec.History(),
		struck: []reports.Fault{
			{At: reports.Seconds(at(2)), Until: reports.Seconds(at(4)), Fault: "pause broker-3"},
			{At: reports.Seconds(at(12)), Until: reports.Seconds(at(17)), Fault: "isolate broker-1"},
			{At: reports.Seconds(at(15.3)), Fault: "reset connections of consumer-2"},
			{At: reports.Seconds(at(20)), Fault: "kill broker-2"},
		},
		workBegan: reports.Seconds(at(2)),
		ledger:    ledger.New(ledger.KeepAll),
	}
	leads := func(s float64, id kafka.NodeID, partition int32, epoch kafka.LeaderEpoch, end kafka.Offset) {
		of := &witness.Replica{Node: id, Partition: kafka.TopicPartition{Topic: "orders", Partition: partition}}
		e.ledger.Add(ledger.Entry{At: at(s), Host: fmt.Sprintf("broker-%d", id),
			Event: &witness.BecameLeader{Replica: of, Epoch: epoch, End: end, HW: end, ISR: []kafka.NodeID{id}}})
	}
	leads(1, 1, 0, 6, 0)
	leads(14, 3, 10, 2, 0)
	leads(14.611, 3, 0, 7, 5117)
	e.ledger.Add(ledger.Entry{At: at(14.7), Event: &HealingBegan{}})
	report := reports.Run{
		Scenario: "leader-loses-power", Seed: 81723, Verdict: reports.Violated, VirtualSeconds: 15.4, TraceHash: "5f3759df5f3759df",
		Events: 11204, Faults: e.struck, Again: "ktrial run leader-loses-power --seed 81723", Kept: "out",
		Stopped: "at 15.4s, at the first violation that is certain: int-poll-skip",
	}
	j := checkers.Judge(e.h, checkers.Options{})
	for _, found := range j.Anomalies {
		report.Violations = append(report.Violations, e.of(string(found.Anomaly), found, false)...)
	}
	var text strings.Builder
	report.WriteText(&text, reports.Style{})
	const golden = "testdata/report.txt"
	if *rewrite {
		require.NoError(t, os.WriteFile(golden, []byte(text.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), text.String())
}

// The story of a violation that a planted bug caused has its operations, what
// happened to the cluster around them, and the command that shows it again.
func TestAPlantedBugIsExplained(t *testing.T) {
	for seed := range uint64(20) {
		r, err := Run(scenarios.LateRequests, Options{Seed: seed, Plant: []planted.Bug{planted.NoDuplicateWindow}})
		require.NoError(t, err)
		if r.Report.Verdict != reports.Violated || r.Report.Violations[0].Anomaly == "" {
			continue
		}
		v := r.Report.Violations[0]
		assert.Equal(t, "duplicate", v.Anomaly)
		assert.NotEmpty(t, v.Proof)
		assert.NotEmpty(t, v.Lanes)
		roles := map[string]bool{}
		for i, m := range v.Story {
			roles[strings.TrimRight(m.Who, "-0123456789")] = true
			assert.True(t, i == 0 || v.Story[i-1].At <= m.At, "in the order of time")
			assert.NotEmpty(t, m.What)
		}
		assert.True(t, roles["producer"], "%v", v.Story)
		assert.True(t, roles["fault"], "%v", v.Story)
		assert.Contains(t, r.Report.Again, "--plant "+string(planted.NoDuplicateWindow))
		assert.Contains(t, r.Report.Stopped, "the first violation that is certain")
		return
	}
	t.Fatal("no seed shows the bug")
}

// Of an operation with many records a story tells those that the instance speaks of, or
// else the first few; and how many more there are, and where.
func TestEvidence_ALargeTransaction(t *testing.T) {
	rec := history.NewRecorder()
	orders := history.Partition("orders", 0)
	e := history.Event{Process: 0, Client: "producer-1", F: history.Txn, Time: time.Second}
	for i := range 500 {
		e.Mops = append(e.Mops, history.Mop{Kind: history.MopSend, Key: orders, Value: history.Text(fmt.Sprintf("v%d@orders/0", i))})
	}
	rec.Invoke(e)
	e.Type, e.Time = history.OK, 2*time.Second
	for i := range e.Mops {
		e.Mops[i].Offset = history.At(int64(i))
	}
	rec.Complete(e)
	proof := &evidence{h: rec.History(), ledger: ledger.New(ledger.KeepStory)}
	told := func(in checkers.Instance) string {
		in.Ops = []int64{1}
		var text strings.Builder
		for _, m := range proof.tell(in) {
			fmt.Fprintf(&text, "%s: %s\n", m.Who, m.What)
		}
		return text.String()
	}
	assert.Equal(t, `producer-1: produce "v0@orders/0" to orders/0, "v1@orders/0" to orders/0, "v2@orders/0" to orders/0, and 497 more records (op 1 of the history has them all)
producer-1: ok, orders/0@0, orders/0@1, orders/0@2, and 497 more records (op 1 of the history has them all)
`, told(checkers.Instance{}))
	assert.Equal(t, `producer-1: produce "v77@orders/0" to orders/0, and 499 more records (op 1 of the history has them all)
producer-1: ok, orders/0@77, and 499 more records (op 1 of the history has them all)
`, told(checkers.Instance{Values: []string{"v77@orders/0"}}))
}
