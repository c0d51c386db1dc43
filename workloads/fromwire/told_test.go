package fromwire

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/checkers"
)

// namedBatch holds one record that carries a name.
func namedBatch(o record.Options, at int64, value, name string) []byte {
	b := record.NewBuilder(o)
	b.Append(1000, nil, []byte(value), record.Header{Key: NameHeader, Value: []byte(name)})
	out := b.Build()
	out.SetBaseOffset(offsetOf(at))
	return out
}

func (x *observed) tell(t *testing.T, line string) {
	t.Helper()
	require.True(t, Tells(line))
	require.NoError(t, x.Tell("c", "c-1", line))
}

const (
	invokes = `ktrial {"type":"invoke","process":0,"f":"send","value":[["send","orders","order 1"]]}`
	isOK    = `ktrial {"type":"ok","process":0,"f":"send","value":[["send","orders/0",[4,"order 1"]]]}`
	inDoubt = `ktrial {"type":"info","process":0,"f":"send","error":"gave up"}`
)

// The wire says when a record was sent, and its program when it counts on it.
func TestTold_TheProgramSaysHowItsSendEnded(t *testing.T) {
	for _, s := range []struct {
		about    string
		plays    func(x *observed, c *Connection)
		want     []string
		unproven int64
	}{
		{"acknowledged", func(x *observed, c *Connection) {
			x.tell(t, invokes)
			c.Sent(x.frame(produce(-1, namedBatch(producer(7, 0), 0, "a", "order 1"))))
			c.Received(x.answered(0, produced(0, 4)))
			x.tell(t, isOK)
		}, []string{"0 send invoke order 1", "0 send ok order 1 at 4"}, 0},
		{"the answer came when the program had given up", func(x *observed, c *Connection) {
			x.tell(t, invokes)
			c.Sent(x.frame(produce(-1, namedBatch(producer(7, 0), 0, "a", "order 1"))))
			x.tell(t, inDoubt)
			c.Received(x.answered(0, produced(0, 4)))
		}, []string{"0 send invoke order 1", "0 send info order 1"}, 0},
		{"the program counts on it before it is sent", func(x *observed, c *Connection) {
			x.tell(t, invokes)
			x.tell(t, isOK)
			c.Sent(x.frame(produce(-1, namedBatch(producer(7, 0), 0, "a", "order 1"))))
		}, []string{"0 send invoke order 1", "0 send ok order 1 at 4"}, 1},
		{"and never sends it", func(x *observed, _ *Connection) {
			x.tell(t, invokes)
			x.tell(t, isOK)
		}, []string{"0 send invoke order 1", "0 send ok order 1", "-1 log ok"}, 1},
		{"what was neither sent nor counted on is nothing", func(x *observed, _ *Connection) {
			x.tell(t, invokes)
			x.tell(t, inDoubt)
		}, nil, 0},
		{"the application sends it again by itself", func(x *observed, c *Connection) {
			x.tell(t, invokes)
			c.Sent(x.frame(produce(-1, namedBatch(producer(7, 0), 0, "a", "order 1"))))
			c.Sent(x.frame(produce(-1, namedBatch(producer(7, 1), 0, "a", "order 1"))))
			c.Received(x.answered(1, produced(0, 4)))
			c.Received(x.answered(0, produced(0, 5)))
			x.tell(t, isOK)
		}, []string{"0 send invoke order 1", "0 send ok order 1 at 4"}, 0},
		{"a program that is killed has told nothing of an answer that came", func(x *observed, c *Connection) {
			x.tell(t, invokes)
			c.Sent(x.frame(produce(-1, namedBatch(producer(7, 0), 0, "a", "order 1"))))
			c.Received(x.answered(0, produced(0, 4)))
		}, []string{"0 send invoke order 1", "0 send ok order 1 at 4"}, 0},
		{"nor of one that did not", func(x *observed, c *Connection) {
			x.tell(t, invokes)
			c.Sent(x.frame(produce(-1, namedBatch(producer(7, 0), 0, "a", "order 1"))))
			c.Received(x.answered(0, produced(kerr.NotLeaderForPartition.Code, -1)))
		}, []string{"0 send invoke order 1"}, 0},
		{"a name that no line tells is a header like any other", func(x *observed, c *Connection) {
			c.Sent(x.frame(produce(-1, namedBatch(producer(7, 0), 0, "a", "order 1"))))
			c.Received(x.answered(0, produced(0, 4)))
		}, []string{"0 send invoke a#7.0.0", "0 send ok a#7.0.0 at 4"}, 0},
	} {
		x := observe()
		s.plays(x, x.Connect("c", "c-1"))
		x.Ended("c-1")
		x.Finish()
		assert.Equal(t, s.want, x.story, s.about)
		assert.Equal(t, s.unproven, x.Counts.Unproven, s.about)
	}
}

// What readers are given has the name that was told.
func TestTold_ReadersSeeTheName(t *testing.T) {
	x := observe()
	x.tell(t, invokes)
	c := x.Connect("c", "c-1")
	c.Sent(x.frame(produce(-1, namedBatch(producer(7, 0), 0, "a", "order 1"))))
	c.Sent(x.frame(fetch(0)))
	c.Received(x.answered(1, produced(0, 0)))
	c.Received(x.answered(0, fetchedBatches(1, namedBatch(producer(7, 0), 0, "a", "order 1"))))
	assert.Equal(t, "1 poll ok order 1@0", x.story[len(x.story)-1])
}

// An order that its customer was promised and that was never sent is lost, and one that
// the application wrote twice is there twice: neither shows on the wire.
func TestTold_WhatTheApplicationDidWrongIsFound(t *testing.T) {
	reads := func(x *observed, c *Connection, batches []byte, end int64) {
		c.Sent(x.frame(fetch(0)))
		c.Received(x.answered(0, fetchedBatches(end, batches)))
		c.Sent(x.frame(fetch(end)))
		c.Received(x.answered(0, fetchedBatches(end, nil)))
	}
	other := batch(producer(8, 0), 0, "other")
	for _, s := range []struct {
		about string
		plays func(x *observed, c *Connection)
		finds checkers.Anomaly
	}{
		{"never sent", func(x *observed, c *Connection) {
			x.tell(t, invokes)
			x.tell(t, isOK)
			c.Sent(x.frame(produce(-1, other)))
			c.Received(x.answered(0, produced(0, 0)))
			reads(x, c, other, 1)
		}, checkers.Unseen},
		{"twice", func(x *observed, c *Connection) {
			first, second := namedBatch(producer(7, 0), 0, "a", "order 1"), namedBatch(producer(7, 1), 1, "a", "order 1")
			x.tell(t, invokes)
			c.Sent(x.frame(produce(-1, first)))
			c.Received(x.answered(0, produced(0, 0)))
			c.Sent(x.frame(produce(-1, second)))
			c.Received(x.answered(0, produced(0, 1)))
			x.tell(t, `ktrial {"type":"ok","process":0,"f":"send"}`)
			reads(x, c, append(first, second...), 2)
		}, checkers.Duplicate},
	} {
		x := observe()
		s.plays(x, x.Connect("c", "c-1"))
		x.Ended("c-1")
		x.Finish()
		j := checkers.Judge(x.recorder.History(), checkers.Options{})
		var found []checkers.Anomaly
		for _, a := range j.Anomalies {
			found = append(found, a.Anomaly)
		}
		assert.Equal(t, []checkers.Anomaly{s.finds}, found, "%s: %v", s.about, j)
		assert.Equal(t, checkers.Violated, j.Verdict, s.about)
	}
}

func TestTold_ProcessingIsTheApplicationsWord(t *testing.T) {
	x := observe()
	x.tell(t, `ktrial {"type":"invoke","process":3,"f":"process","group":"g","value":[["processed","orders/0",7]]}`)
	x.tell(t, `ktrial {"type":"ok","process":3,"f":"process"}`)
	x.tell(t, `ktrial {"type":"invoke","process":3,"f":"process","group":"g","value":[["processed","orders/0",8]]}`)
	assert.Equal(t, []string{"0 process invoke", "0 process ok", "0 process invoke"}, x.story)
}

func TestTold_SaysWhatIsNotUnderstood(t *testing.T) {
	for _, s := range []struct {
		lines []string
		says  string
	}{
		{[]string{`ktrial {"type":"invoke","process":0,"f":"poll","value":[["poll"]]}`}, `found f "poll", expected send or process`},
		{[]string{`ktrial {"type":"invoke","f":"send"}`}, "expected an operation with a :process"},
		{[]string{`ktrial {"type":"invoke","process":0,"f":"send","value":[["send","x","a"],["send","x","b"]]}`}, "found a send of 2 records"},
		{[]string{invokes, invokes}, "process 0 invokes send while its send is under way"},
		{[]string{invokes, isOK, invokes}, `found a second send of "order 1"`},
		{[]string{isOK}, "process 0 ends send, which it has not invoked"},
		{[]string{`ktrial {"type":"invoke","process":0,"f":"process","value":[["processed","orders/0",7]]}`}, "a process without a group"},
		{[]string{`ktrial {"type":`}, "the line:1:"},
	} {
		x := observe()
		var err error
		for _, line := range s.lines {
			err = x.Tell("c", "c-1", line)
		}
		if assert.Error(t, err, fmt.Sprint(s.lines)) {
			assert.Contains(t, err.Error(), s.says)
		}
		assert.EqualValues(t, 1, x.Counts.Refused)
	}
}
