package checkers_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/checkers/history"
)

// A history that you record yourself, of any cluster.
func Example() {
	rec := history.NewRecorder()
	orders := history.Partition("orders", 0)
	produce := func(at time.Duration, value string, offset int64) {
		send := []history.Mop{{Kind: history.MopSend, Key: orders, Value: history.Text(value)}}
		rec.Invoke(history.Event{Process: 0, Client: "shop", F: history.Send, Time: at, Mops: send})
		send[0].Offset = history.At(offset) // what the client under test was told
		rec.Complete(history.Event{Type: history.OK, Process: 0, F: history.Send, Time: at + time.Millisecond, Mops: send})
	}
	produce(1*time.Second, "tea", 0)
	produce(2*time.Second, "milk", 1)
	produce(3*time.Second, "rice", 2)

	rec.Invoke(history.Event{Process: 1, Client: "billing", F: history.Poll, Time: 4 * time.Second})
	rec.Complete(history.Event{Type: history.OK, Process: 1, F: history.Poll, Time: 5 * time.Second, Mops: []history.Mop{{
		Kind: history.MopPoll, Records: []history.Record{
			{Key: orders, Offset: history.At(0), Value: history.Text("tea")},
			{Key: orders, Offset: history.At(2), Value: history.Text("rice")},
		}}}})

	judgement := checkers.Judge(rec.History(), checkers.Options{})
	fmt.Println(judgement.Verdict)
	fmt.Println(judgement.Anomalies[0].Message)
	// Output:
	// violated
	// milk (orders/0@1) was never read, though orders/0@2 was
}

// A history of Jepsen's, under what its configuration promises.
func ExampleJudgeReader() {
	edn := `[{:type :invoke, :process 0, :f :send, :value [[:send :x 1]]}
	         {:type :ok,     :process 0, :f :send, :value [[:send :x [0 1]]]}
	         {:type :invoke, :process 1, :f :poll, :value [[:poll]]}
	         {:type :ok,     :process 1, :f :poll, :value [[:poll {:x [[0 1] [1 1]]}]]}]`
	expect, _ := checkers.ParseConfig("enable.idempotence=false")
	j, err := checkers.JudgeReader("history.edn", strings.NewReader(edn), checkers.Options{Expect: expect})
	fmt.Println(err, j.Verdict)
	for _, allowed := range j.Allowed {
		fmt.Println(allowed.Count, allowed.Anomaly, "-", allowed.Reason)
	}
	// Output:
	// <nil> allowed
	// 1 duplicate - enable.idempotence=false: a retry whose first answer was lost appends twice
}
