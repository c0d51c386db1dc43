package checkers

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/checkers/history"
)

// rings is a history of so many circles: each of n transactions read from the
// next, and the last from the first.
func rings(circles, n int) *history.History {
	rec := history.NewRecorder()
	send := func(i, offset int) history.Mop {
		return history.Mop{Kind: history.MopSend, Key: history.Int(0), Value: history.Int(int64(i)), Offset: history.At(int64(offset))}
	}
	for i := range circles * n {
		rec.Invoke(history.Event{Process: int64(i), F: history.Txn, Mops: []history.Mop{send(i, -1), {Kind: history.MopPoll}}})
	}
	for i := range circles * n {
		next := int64(i + 1)
		if next%int64(n) == 0 {
			next -= int64(n)
		}
		read := []history.Record{{Key: history.Int(0), Offset: history.At(next), Value: history.Int(next)}}
		rec.Complete(history.Event{Type: history.OK, Process: int64(i), F: history.Txn, Time: time.Duration(i),
			Mops: []history.Mop{send(i, i), {Kind: history.MopPoll, Records: read}}})
	}
	return rec.History()
}

// That there is a circle is certain, however long it is and however many there
// are, and what it costs is linear.
func TestCirclesAreFound(t *testing.T) {
	for _, c := range []struct{ circles, n int }{{1, 2}, {1, 3}, {7, 10}, {1, 50_000}, {25_000, 2}} {
		j := Judge(rings(c.circles, c.n), Options{})
		require.Equal(t, []string{string(G1c)}, anomalies(j))
		assert.Equal(t, c.circles, j.Anomalies[0].Count)
		assert.Len(t, j.Anomalies[0].Instances[0].Ops, c.n)
	}
}
