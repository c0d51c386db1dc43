package fromwire

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/checkers/history"
)

func offsetOf(at int64) kafka.Offset { return kafka.Offset(at) }

// asksEnd asks where the log ends, and is answered.
func (x *observed) asksEnd(c *Connection, timestamp int64, leader int32, isolation int8, end int64, code int16) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.IsolationLevel = 7, isolation
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Timestamp, p.CurrentLeaderEpoch = timestamp, leader
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "orders", Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
	c.Sent(x.frame(req))
	resp := kmsg.NewPtrListOffsetsResponse()
	resp.Version = 7
	a := kmsg.NewListOffsetsResponseTopicPartition()
	a.Offset, a.ErrorCode = end, code
	resp.Topics = []kmsg.ListOffsetsResponseTopic{{Topic: "orders", Partitions: []kmsg.ListOffsetsResponseTopicPartition{a}}}
	c.Received(x.answered(0, resp))
}

// marks are the ends that a history has.
func marks(h *history.History) (out []string) {
	h.EachOf(history.HasFacts, func(op *history.Op) bool {
		for _, m := range op.Offsets {
			out = append(out, m.Kind.String()+" "+op.Type.String())
		}
		return true
	})
	return out
}

// What is answered to a client that names the newest leader epoch it knows is the end. All
// else a leader may have answered that was replaced.
func TestListOffsets_AreTheEndToAClientThatSaysWhatItKnows(t *testing.T) {
	for _, s := range []struct {
		about string
		plays func(x *observed, c *Connection)
		want  []string
	}{
		{"the end", func(x *observed, c *Connection) { x.asksEnd(c, -1, 3, 0, 17, 0) }, []string{"end ok"}},
		{"the last stable offset", func(x *observed, c *Connection) { x.asksEnd(c, -1, 3, 1, 17, 0) }, []string{"stable ok"}},
		{"refused", func(x *observed, c *Connection) { x.asksEnd(c, -1, 3, 0, -1, kerr.OffsetNotAvailable.Code) }, nil},
		{"the beginning may go back", func(x *observed, c *Connection) { x.asksEnd(c, -2, 3, 0, 17, 0) }, nil},
		{"a time", func(x *observed, c *Connection) { x.asksEnd(c, 1000, 3, 0, 17, 0) }, nil},
		{"without an epoch", func(x *observed, c *Connection) { x.asksEnd(c, -1, -1, 0, 17, 0) }, nil},
		{"with an older one", func(x *observed, c *Connection) { x.asksEnd(c, -1, 3, 0, 17, 0); x.asksEnd(c, -1, 2, 0, 15, 0) }, []string{"end ok"}},
		{"another connection of the same client", func(x *observed, c *Connection) {
			x.asksEnd(c, -1, 3, 0, 17, 0)
			x.asksEnd(x.Connect("c", "c-2"), -1, 2, 0, 15, 0)
		}, []string{"end ok"}},
		{"of several processes with one name nothing is known", func(x *observed, c *Connection) {
			x.ClientsAreProcesses = false
			x.asksEnd(c, -1, 3, 0, 17, 0)
		}, nil},
	} {
		x := observe()
		x.ClientsAreProcesses = true
		s.plays(x, x.Connect("c", "c-1"))
		var got []string
		for _, mark := range marks(x.recorder.History()) {
			if mark != "end fail" {
				got = append(got, mark)
			}
		}
		assert.Equal(t, s.want, got, s.about)
	}
}

// An end that is below what was acknowledged tells that it is lost, before anybody reads.
func TestListOffsets_TellThatARecordIsLost(t *testing.T) {
	x := observe()
	x.ClientsAreProcesses = true
	c := x.Connect("c", "c-1")
	c.Sent(x.frame(produce(-1, batch(producer(7, 0), 0, "a", "b"))))
	c.Received(x.answered(0, produced(0, 0)))
	x.asksEnd(c, -1, 3, 0, 1, 0)
	j := checkers.Judge(x.recorder.History(), checkers.Options{})
	assert.True(t, slices.ContainsFunc(j.Anomalies, func(r checkers.Report) bool { return r.Anomaly == checkers.NonmonotonicEnd && r.Broken() == 1 }), "%v", j)
}

// What was acknowledged above all that consumers were given nobody has missed; what lies
// below is lost.
func TestPositions_DecideWhatConsumersOwe(t *testing.T) {
	for _, s := range []struct {
		about   string
		reads   []string // at offset 0
		verdict checkers.Verdict
		ahead   int64
	}{
		{"all", []string{"a", "b", "c"}, checkers.Holds, 0},
		{"not all yet", []string{"a"}, checkers.Holds, 2},
	} {
		x := observe()
		c := x.Connect("c", "c-1")
		c.Sent(x.frame(produce(-1, batch(producer(7, 0), 0, "a", "b", "c"))))
		c.Received(x.answered(0, produced(0, 0)))
		c.Sent(x.frame(fetch(0)))
		c.Received(x.answered(0, fetchedBatches(3, batch(producer(7, 0), 0, s.reads...))))
		x.NotePositions()
		j := checkers.Judge(x.recorder.History(), checkers.Options{})
		assert.Equal(t, s.verdict, j.Verdict, "%s: %v", s.about, j)
		assert.Equal(t, s.ahead, x.Counts.Ahead, s.about)
	}
}

// A consumer that was told that there was nothing where an acknowledged record is has come
// to it all the same.
func TestPositions_AnEmptyFetchIsAnAnswer(t *testing.T) {
	x := observe()
	c := x.Connect("c", "c-1")
	c.Sent(x.frame(produce(-1, batch(producer(7, 0), 0, "a", "b"))))
	c.Received(x.answered(0, produced(0, 0)))
	c.Sent(x.frame(fetch(0)))
	c.Received(x.answered(0, fetchedBatches(1, batch(producer(7, 0), 0, "a"))))
	c.Sent(x.frame(fetch(1)))
	c.Received(x.answered(0, fetchedBatches(1, nil)))
	x.NotePositions()
	assert.Equal(t, checkers.Violated, checkers.Judge(x.recorder.History(), checkers.Options{}).Verdict)
}

// Stretches are those of a set of offsets.
func TestReached_IsASetOfOffsets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all, given := &reached{}, [30]bool{}
		for range rapid.IntRange(0, 12).Draw(t, "steps") {
			from := rapid.IntRange(0, 28).Draw(t, "from")
			to := rapid.IntRange(from+1, 29).Draw(t, "to")
			all.add(kafka.Offset(from), kafka.Offset(to))
			for i := from; i < to; i++ {
				given[i] = true
			}
		}
		for i, s := range *all {
			assert.Less(t, s.from, s.to)
			if i > 0 {
				assert.Less(t, (*all)[i-1].to, s.from)
			}
		}
		for at := range given {
			end := at
			for end < len(given) && given[end] {
				end++
			}
			assert.Equal(t, kafka.Offset(end), all.after(kafka.Offset(at)), "%v from %d", *all, at)
		}
	})
}
