package checkers

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/checkers/history"
)

// replay judges a history live, event by event.
func replay(h *history.History, e Expectations) *Found { return replayed(h, e).First }

func replayed(h *history.History, e Expectations) *Live {
	return watched(eventsOf(h), e)
}

// watched judges events while they are recorded.
func watched(events []history.Event, e Expectations) *Live {
	again := history.NewRecorder()
	live := NewLive(again.History(), e)
	again.Watch = live.Operation
	for i := range events {
		again.Add(&events[i])
	}
	return live
}

// eventsOf takes a history apart again.
func eventsOf(h *history.History) []history.Event {
	events := make([]history.Event, h.Events())
	for _, n := range h.Notes() {
		e := history.Event{Process: history.NoProcess, Actor: n.Actor, F: n.F, Name: n.Name, Type: n.Type, Text: n.Text, Time: n.Time}
		for _, m := range n.Mops {
			e.Mops = append(e.Mops, history.Mop{Kind: m.Kind, Key: h.Keys()[m.Key], Offset: history.At(m.Offset)})
		}
		events[n.Number] = e
	}
	names := func(keys []history.Key) (out []history.Value) {
		for _, k := range keys {
			out = append(out, h.Keys()[k])
		}
		return out
	}
	attributes := func(details uint32) (a history.Attributes) {
		if details != 0 {
			a = h.Attributes(h.Details(details))
		}
		return a
	}
	h.Each(func(op *history.Op) bool {
		e := history.Event{Type: op.Type, Process: op.Process, F: op.F, Time: op.End, SeekToBeginning: op.Seek, Group: op.Group,
			Keys: names(op.Keys), Rebalanced: names(op.Rebalanced), Transaction: op.Txn, Producer: op.Producer, ProducerEpoch: op.ProducerEpoch, Generation: op.Generation, Member: op.Member, Instance: op.Instance, Session: op.Session}
		sends, polled, offsets := op.Sends, op.Polled, op.Offsets
		for _, step := range op.Shape {
			m := history.Mop{Kind: step.Kind}
			switch step.Kind {
			case history.MopSend:
				m.Key, m.Value, m.Offset = h.Keys()[h.KeyOf(sends[0].Rec)], h.ValueOf(sends[0].Rec), history.At(sends[0].Offset)
				m.Attributes = attributes(sends[0].Details)
				sends = sends[1:]
			case history.MopPoll:
				for _, p := range polled[:step.N] {
					m.Records = append(m.Records, history.Record{Key: h.Keys()[h.KeyOf(p.Rec)], Offset: history.At(p.Offset), Value: h.ValueOf(p.Rec), Attributes: attributes(p.Details)})
				}
				polled = polled[step.N:]
			default:
				m.Key, m.Offset = h.Keys()[offsets[0].Key], history.At(offsets[0].Offset)
				offsets = offsets[1:]
			}
			e.Mops = append(e.Mops, m)
		}
		begin := e
		begin.Type, begin.Time, begin.Mops = history.Invoke, op.Start, asked(e.Mops)
		events[op.Invoked] = begin
		if op.Completed != history.Never {
			events[op.Completed] = e
		}
		return true
	})
	return events
}

// What a watch reports at once, the whole history shows too; and a watch
// stays silent on what is good.
func TestLiveAgreesWithTheCorpus(t *testing.T) {
	caught := 0
	for _, m := range readManifest(t).Histories {
		h, err := history.ReadFile(corpusFile(m.File))
		require.NoError(t, err)
		found := replay(h, Expectations{})
		if found == nil {
			continue
		}
		caught++
		j := Judge(h, Options{})
		assert.Equal(t, Violated, j.Verdict, "%s: %v", m.File, found)
		assert.Contains(t, append(anomalies(j), "phantom-read"), string(found.Anomaly), "%s: %v", m.File, found)
	}
	assert.Greater(t, caught, 20)
}

func TestLiveStopsAtTheFirstCertainViolation(t *testing.T) {
	for _, c := range []struct {
		name, config, text string
		anomaly            Anomaly
		event              int64 // of the last operation; how early it is told
	}{
		{"overwritten", "", truncatedAck, InconsistentOffsets, 3},
		{"overwritten, which the configuration may permit", "acks=1", truncatedAck, "", 0},
		{"a phantom", "from-the-start=true", "1: poll x/10@0", PhantomRead, 1},
		{"a record that may be older", "", "1: poll x/10@0", "", 0},
		{"an aborted read", "", aborted, G1a, 5},
		{"an abort after the read", "", "0> txn send x/10\n1: poll x/10@0\n0< txn send x/10@0 fail", G1a, 3},
		{"a duplicate", "", "0: send x/10@0\n1: poll x/10@0\n2: poll x/10@1", Duplicate, 5},
		{"no duplicate, for another send of the value is under way", "", "0: send x/10@0\n1: poll x/10@0\n0> send x/10\n2: poll x/10@1", "", 0},
		{"going back", "", "0: send x/10@0 x/11@1\n1: poll x/10@0 x/11@1\n1: poll x/10@0", NonmonotonicPoll, 5},
		{"assigned anew", "", "0: send x/10@0\n1: assign x\n1: poll x/10@0\n1: assign x seek=1\n1: poll x/10@0", "", 0},
		{"a jump", "", "0: send x/10@0 x/11@1 x/12@2\n1: poll x/10@0\n1: poll x/12@2", PollSkip, 5},
		{"a jump over what a client deletes", "", "0: send x/10@0 x/11@1 x/12@2\n1: poll x/10@0\n2> delete x@2\n1: poll x/12@2", "", 0},
		{"a jump over what failed", "", "0: txn send x/10@0\n0: txn send x/11@2 fail\n0: txn send x/12@4\n1: poll x/10@0 x/12@4", "", 0},
		{"overlapping appends", "", "0> send x/10\n1: send x/11@1\n0< send x/10@0", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := replay(historyOf(t, c.text), config(t, c.config))
			if c.anomaly == "" {
				require.Nil(t, found)
				return
			}
			require.NotNil(t, found)
			assert.Equal(t, c.anomaly, found.Anomaly)
			assert.Equal(t, c.event, slices.Max(found.Ops), found.Message)
		})
	}
}
