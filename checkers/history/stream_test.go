package history_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/checkers/history"
)

// Many clients record at once, and what they recorded is a history.
func TestAStreamIsForManyClients(t *testing.T) {
	var out bytes.Buffer
	s := history.NewStream(&out)
	orders := history.Partition("orders", 0)
	var log sync.Mutex
	end := int64(0)
	var clients sync.WaitGroup
	const producers, each = 8, 3000 // more events than the stream keeps
	for p := range producers {
		clients.Go(func() {
			process := s.Process()
			for i := range each {
				send := []history.Mop{{Kind: history.MopSend, Key: orders, Value: history.Text(fmt.Sprintf("%d-%d", p, i))}}
				s.Invoke(history.Event{Process: process, Client: fmt.Sprint("producer-", p), F: history.Send, Mops: send})
				log.Lock()
				send[0].Offset = history.At(end)
				end++
				log.Unlock()
				send[0].LeaderEpoch = history.At(3)
				s.Complete(history.Event{Type: history.OK, Process: process, F: history.Send, Mops: send})
			}
		})
	}
	clients.Wait()
	s.Note(history.Event{Type: history.OK, Actor: "cluster", F: history.Fault, Fault: history.UncleanElection, Keys: []history.Value{orders}})
	require.NoError(t, s.Close())
	h, err := history.Read("stream", &out)
	require.NoError(t, err)
	assert.Equal(t, producers*each, h.Len())
	assert.Zero(t, h.Headless())
	require.Len(t, h.Notes(), 1)
	assert.Equal(t, history.UncleanElection, h.Notes()[0].Fault)
	j := checkers.Judge(h, checkers.Options{})
	assert.Equal(t, checkers.Inconclusive, j.Verdict, "no client has read: %v", j)
	assert.EqualValues(t, producers*each, j.Examined.Acknowledged)
}

func TestAStreamTellsThatItCouldNotWrite(t *testing.T) {
	s := history.NewStream(full{})
	for range 10_000 {
		s.Invoke(history.Event{Process: 1, F: history.Poll, Mops: []history.Mop{{Kind: history.MopPoll}}})
	}
	assert.ErrorContains(t, s.Close(), "history: stream: write event")
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// franz-go calls these as records go by. The same shape fits any client.
type produced struct {
	topic     string
	partition int32
	value     []byte
}

type broken struct{ outcomeKnown bool }

func (broken) Error() string { return "delivery timed out" }

// recordingProducer records what an application produces. With franz-go it is a
// hook of the client:
//
//	OnProduceRecordBuffered(r *kgo.Record)            calls begun
//	OnProduceRecordUnbuffered(r *kgo.Record, e error) calls ended, with r.Offset and r.LeaderEpoch
//
// and polls are recorded around PollFetches: each record's Partition, Offset,
// LeaderEpoch, Key and Value. A produce that failed after it was sent may still
// have been written: kgo.ErrRecordTimeout and the like are Unknown, not Failed.
type recordingProducer struct {
	s  *history.Stream
	mu sync.Mutex
	of map[*produced]int64 // the process that each record under way has
}

func (p *recordingProducer) begun(r *produced) {
	process := p.s.Process() // sends overlap, so each has a process of its own
	p.mu.Lock()
	p.of[r] = process
	p.mu.Unlock()
	p.s.Invoke(p.event(history.Invoke, process, r))
}

func (p *recordingProducer) ended(r *produced, offset int64, epoch int32, err error) {
	p.mu.Lock()
	process := p.of[r]
	delete(p.of, r)
	p.mu.Unlock()
	e := p.event(history.OK, process, r)
	var lost broken
	switch {
	case err == nil:
		e.Mops[0].Offset, e.Mops[0].LeaderEpoch = history.At(offset), history.At(int64(epoch))
	case errors.As(err, &lost) && lost.outcomeKnown:
		e.Type, e.Error = history.Failed, err.Error()
	default:
		e.Type, e.Error = history.Unknown, err.Error()
	}
	p.s.Complete(e)
}

func (p *recordingProducer) event(as history.Type, process int64, r *produced) history.Event {
	return history.Event{Type: as, Process: process, Client: "shop", Session: "shop-1", F: history.Send, Mops: []history.Mop{{
		Kind: history.MopSend, Key: history.Partition(r.topic, r.partition), Value: history.TextOf(r.value)}}}
}

// Recording an application that uses franz-go (github.com/twmb/franz-go): its hooks
// are called from several goroutines, which a Stream allows.
func ExampleStream() {
	var file bytes.Buffer // os.Create("history.jsonl")
	stream := history.NewStream(&file)
	hooks := &recordingProducer{s: stream, of: map[*produced]int64{}}

	tea, milk := &produced{"orders", 0, []byte("tea")}, &produced{"orders", 0, []byte("milk")}
	hooks.begun(tea)
	hooks.begun(milk)
	hooks.ended(tea, 0, 4, nil)
	hooks.ended(milk, 0, 0, broken{})

	poller := stream.Process()
	poll := history.Event{Process: poller, Client: "billing", F: history.Poll, Mops: []history.Mop{{Kind: history.MopPoll}}}
	stream.Invoke(poll)
	poll.Type = history.OK
	poll.Mops[0].Records = []history.Record{{Key: history.Partition("orders", 0), Offset: history.At(0), Value: history.Text("tea"),
		Attributes: history.Attributes{LeaderEpoch: history.At(4)}}}
	stream.Complete(poll)
	if err := stream.Close(); err != nil {
		fmt.Println(err)
	}

	judgement, err := checkers.JudgeReader("history.jsonl", strings.NewReader(file.String()), checkers.Options{})
	fmt.Println(judgement.Verdict, err)
	// Output:
	// holds <nil>
}
