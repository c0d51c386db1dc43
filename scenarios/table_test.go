package scenarios

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/checkers/history"
)

// put is a record of the table that a test writes or reads: key, value (empty: a
// tombstone) and offset (-1: it was not told).
type put struct {
	key, value string
	offset     int64
}

// tableHistory makes a history of one partition: what was sent, with its outcome, and
// what one reader was given from the start on.
func tableHistory(sent []put, outcome history.Type, read []put) *history.History {
	r := history.NewRecorder()
	x := history.Partition("table", 0)
	value := func(p put) history.Value {
		if p.value == "" {
			return history.Null()
		}
		return history.Text(p.value)
	}
	for i, p := range sent {
		m := history.Mop{Kind: history.MopSend, Key: x, Value: value(p), Attributes: history.Attributes{RecordKey: history.Text(p.key)}}
		e := history.Event{Process: int64(i), Client: "producer", F: history.Send, Time: time.Duration(i) * time.Second, Mops: []history.Mop{m}}
		r.Invoke(e)
		if e.Type = history.OK; p.offset < 0 {
			e.Type = outcome
		}
		e.Mops[0].Offset = history.At(p.offset)
		r.Complete(e)
	}
	assign := history.Event{Process: 90, Client: "reader", F: history.Assign, Keys: []history.Value{x}, SeekToBeginning: true}
	r.Invoke(assign)
	assign.Type = history.OK
	r.Complete(assign)
	poll := history.Event{Process: 90, Client: "reader", F: history.Poll, Time: time.Minute, Mops: []history.Mop{{Kind: history.MopPoll}}}
	r.Invoke(poll)
	poll.Type = history.OK
	for _, p := range read {
		poll.Mops[0].Records = append(poll.Mops[0].Records, history.Record{
			Key: x, Offset: history.At(p.offset), Value: value(p), Attributes: history.Attributes{RecordKey: history.Text(p.key)},
		})
	}
	r.Complete(poll)
	return r.History()
}

func TestTableIsKept(t *testing.T) {
	a1, a2, b1, end := put{"a", "a1", 0}, put{"a", "a2", 1}, put{"b", "b1", 2}, put{"z", "z1", 9}
	gone := put{"a", "", 3}
	for _, c := range []struct {
		name    string
		sent    []put
		outcome history.Type
		read    []put
		want    checkers.Verdict
		says    string
	}{
		{"all of it", []put{a1, a2, b1, end}, 0, []put{a1, a2, b1, end}, checkers.Holds, ""},
		{"what was superseded need not be there", []put{a1, a2, b1, end}, 0, []put{a2, b1, end}, checkers.Holds, ""},
		{"the last value of a key is missing", []put{a1, a2, b1, end}, 0, []put{a1, a2, end}, checkers.Violated,
			"process 90 has read up to 9, and has under key b nothing; it is b1, written to table/0@2"},
		{"an older value is there in its place", []put{a1, a2, b1, end}, 0, []put{a1, b1, end}, checkers.Violated,
			"process 90 has read up to 9, and has under key a a1, read at 0; it is a2, written to table/0@1"},
		{"a tombstone was read", []put{a1, gone, end}, 0, []put{a1, gone, end}, checkers.Holds, ""},
		{"a tombstone and what it deleted are gone", []put{a1, gone, end}, 0, []put{end}, checkers.Holds, ""},
		{"a tombstone is gone, not what it deleted", []put{a1, gone, end}, 0, []put{a1, end}, checkers.Violated,
			"process 90 has read up to 9, and has under key a a1, read at 0; it is deleted by the tombstone table/0@3"},
		{"a reader that has not come so far", []put{a1, a2, b1, end}, 0, []put{a1}, checkers.Inconclusive, ""},
		{"a tombstone that may have been written", []put{a1, {"a", "", -1}, end}, history.Unknown, []put{end}, checkers.Holds, ""},
		{"a tombstone that was not written", []put{a1, {"a", "", -1}, end}, history.Failed, []put{end}, checkers.Violated,
			"process 90 has read up to 9, and has under key a nothing; it is a1, written to table/0@0"},
		{"a value in doubt that was read", []put{a1, {"a", "a2", -1}, end}, history.Unknown, []put{a1, {"a", "a2", 5}, end}, checkers.Holds, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := TableIsKept.Run(tableHistory(c.sent, c.outcome, c.read))
			assert.Equal(t, c.want, found.Verdict(), "%+v", found)
			if c.says != "" && assert.Len(t, found.Broken, 1) {
				assert.Equal(t, c.says, found.Broken[0].Message)
				assert.NotEmpty(t, found.Broken[0].Ops)
				assert.Equal(t, time.Minute, found.Broken[0].At)
			}
		})
	}
}
