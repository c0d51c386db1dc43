package history_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/ktrial/ktrial/checkers/history"
)

// BenchmarkRecorder records what three producers and two consumers see: sends of one
// record, and polls of which one in four delivers ten. An operation is two events.
func BenchmarkRecorder(b *testing.B) {
	b.ReportAllocs()
	key := history.Text("orders/0")
	values := make([]history.Value, 10_000)
	for i := range values {
		values[i] = history.ValueIn(key, []byte("p1-0-"+strconv.Itoa(i)+"@orders/0"))
	}
	const operations = 20_000
	for b.Loop() {
		r := history.NewRecorder()
		r.Watch = func(*history.Op) {}
		sent, polled := 0, 0
		for i := range operations {
			at := time.Duration(i) * time.Millisecond
			process := int64(i % 5)
			if process < 3 {
				send := []history.Mop{{Kind: history.MopSend, Key: key, Value: values[sent%len(values)]}}
				sent++
				r.Invoke(history.Event{F: history.Send, Process: process, Time: at, Mops: send, Session: "p1-0"})
				send[0].Offset = history.At(int64(sent))
				r.Complete(history.Event{Type: history.OK, F: history.Send, Process: process, Time: at + time.Millisecond, Mops: send, Session: "p1-0"})
				continue
			}
			poll := history.Mop{Kind: history.MopPoll}
			r.Invoke(history.Event{F: history.Poll, Process: process, Time: at, Mops: []history.Mop{poll}})
			if i%4 == 0 {
				for range 10 {
					poll.Records = append(poll.Records, history.Record{Key: key, Value: values[polled%len(values)], Offset: history.At(int64(polled))})
					polled++
				}
			}
			r.Complete(history.Event{Type: history.OK, F: history.Poll, Process: process, Time: at + time.Millisecond, Mops: []history.Mop{poll}})
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*operations), "ns/operation")
}
