package checkers

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/checkers/history"
)

// did records an operation that succeeded.
func did(rec *history.Recorder, e history.Event, mops ...history.Mop) {
	e.Mops = asked(mops)
	rec.Invoke(e)
	e.Type, e.Mops = history.OK, mops
	rec.Complete(e)
}

// What repeats costs no more than what does not: histories of one value are
// judged, in time linear in their length.
func TestWhatRepeatsIsLinear(t *testing.T) {
	orders := history.Partition("orders", 0)
	const n = 66_000
	for name, make := range map[string]func(rec *history.Recorder){
		"one value sent and read": func(rec *history.Recorder) {
			var records []history.Record
			for i := range int64(n) {
				did(rec, history.Event{Process: 0, F: history.Send}, history.Mop{Kind: history.MopSend, Key: orders, Value: history.Text("tick"), Offset: history.At(i)})
				records = append(records, history.Record{Key: orders, Offset: history.At(i), Value: history.Text("tick")})
			}
			for range 3 {
				did(rec, history.Event{Process: 1, F: history.Assign, Keys: []history.Value{orders}, SeekToBeginning: true})
				did(rec, history.Event{Process: 1, F: history.Poll}, history.Mop{Kind: history.MopPoll, Records: records})
			}
		},
		"one offset committed and read": func(rec *history.Recorder) {
			did(rec, history.Event{Process: 0, F: history.Send}, history.Mop{Kind: history.MopSend, Key: orders, Value: history.Text("tick"), Offset: history.At(0)})
			did(rec, history.Event{Process: 1, F: history.Poll}, history.Mop{Kind: history.MopPoll, Records: []history.Record{{Key: orders, Offset: history.At(0), Value: history.Text("tick")}}})
			for range n {
				did(rec, history.Event{Process: 1, F: history.Commit, Group: "g"}, history.Mop{Kind: history.MopCommit, Key: orders, Offset: history.At(1)})
				did(rec, history.Event{Process: 2, F: history.Committed, Group: "g"}, history.Mop{Kind: history.MopCommitted, Key: orders, Offset: history.At(1)})
			}
		},
		"tombstones": func(rec *history.Recorder) {
			for i := range int64(n) {
				did(rec, history.Event{Process: 0, F: history.Send}, history.Mop{Kind: history.MopSend, Key: orders, Value: history.Null(), Offset: history.At(i)})
				did(rec, history.Event{Process: 1, F: history.Poll}, history.Mop{Kind: history.MopPoll, Records: []history.Record{{Key: orders, Offset: history.At(i), Value: history.Null()}}})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			rec := history.NewRecorder()
			make(rec)
			begun := time.Now()
			j := Judge(rec.History(), Options{})
			require.Equal(t, Holds, j.Verdict, "%v", j)
			assert.Less(t, time.Since(begun), 20*time.Second, "quadratic would be minutes")
		})
	}
}

// A commit that is read as another is found among many of the same.
func TestAStaleCommitAmongManyIsFound(t *testing.T) {
	orders := history.Partition("orders", 0)
	rec := history.NewRecorder()
	for i := range int64(10_000) {
		did(rec, history.Event{Process: 1, F: history.Commit, Group: "g"}, history.Mop{Kind: history.MopCommit, Key: orders, Offset: history.At(1 + i%2)})
		did(rec, history.Event{Process: 2, F: history.Committed, Group: "g"}, history.Mop{Kind: history.MopCommitted, Key: orders, Offset: history.At(1 + i%2)})
	}
	did(rec, history.Event{Process: 2, F: history.Committed, Group: "g"}, history.Mop{Kind: history.MopCommitted, Key: orders, Offset: history.At(1)})
	j := Judge(rec.History(), Options{})
	require.Equal(t, []string{"committed-offset"}, anomalies(j))
	assert.Less(t, len(j.Anomalies[0].Instances[0].Ops), 5)
	assert.Contains(t, j.Anomalies[0].Message, "was read as offset 1")
}
