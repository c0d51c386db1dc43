package workloads

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
)

// A value says where it was meant to go and which producer sent it, so that no
// two records of a run are the same, and one that turns up elsewhere is known.
func TestNoTwoValuesAreTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.Custom(func(t *rapid.T) Numbered {
			return Numbered{
				kafka.TopicPartition{Topic: rapid.StringMatching(`[a-z]{1,3}`).Draw(t, "topic"), Partition: rapid.Int32Range(0, 12).Draw(t, "partition")},
				rapid.StringMatching(`p[0-9]{1,2}`).Draw(t, "producer"), rapid.IntRange(0, 12).Draw(t, "session"), rapid.Int64Range(0, 200).Draw(t, "sequence"),
			}
		})
		a, b := value.Draw(t, "a"), value.Draw(t, "b")
		assert.Equal(t, a == b, a.String() == b.String(), "%v and %v", a, b)
	})
	v := Numbered{kafka.TopicPartition{Topic: "orders", Partition: 2}, "p1", 0, 17}
	assert.Equal(t, "p1-0-17@orders/2", v.String())
}

// What is set goes to the clients that it concerns, and changes no other copy.
func TestSet(t *testing.T) {
	base := ProduceConsume{Topic: "orders", Producers: 1, Idempotent: true, Acks: client.AcksAll, Client: map[string]string{"linger.ms": "1"}}
	changed := Workload(base)
	for _, set := range [][2]string{
		{"producers", "3"}, {"rate", "7"}, {"size", "100"}, {"consumers", "0"}, {"duration", "90s"},
		{"acks", "1"}, {"enable.idempotence", "false"}, {"linger.ms", "20"}, {"fetch.min.bytes", "9"},
	} {
		var err error
		changed, err = Set(changed, set[0], set[1])
		require.NoError(t, err, set)
	}
	assert.Equal(t, ProduceConsume{
		Topic: "orders", Producers: 3, Rate: 7, Size: 100, Duration: 90 * time.Second, Acks: client.AcksLeader,
		Client: map[string]string{"linger.ms": "20", "fetch.min.bytes": "9"},
	}, changed)
	assert.Equal(t, map[string]string{"linger.ms": "1"}, base.Client)
	cfg := changed.(ProduceConsume).producerConfig()
	assert.Equal(t, 20*time.Millisecond, cfg.Linger)
	assert.Equal(t, int32(9), changed.(ProduceConsume).consumerConfig().FetchMinBytes)
	assert.Equal(t, map[string]string{"acks": "1", "enable.idempotence": "false", "linger.ms": "20", "fetch.min.bytes": "9"}, changed.(Settable).Config())
}

func TestSetRefuses(t *testing.T) {
	for set, says := range map[[2]string]string{
		{"producers", "-1"}:             `parameter producers: found "-1", expected a whole number, 0 or more`,
		{"rate", "0"}:                   `parameter rate: found "0", expected a whole number, 1 or more`,
		{"duration", "0s"}:              `parameter duration: found "0s", expected a duration above 0, such as 30s`,
		{"acks", "2"}:                   `Invalid value 2 for configuration acks: String must be one of: all, -1, 0, 1`,
		{"enable.idempotence", "maybe"}: `Invalid value maybe for configuration enable.idempotence: Expected value to be either true or false`,
		{"linger.mss", "1"}:             `parameter "linger.mss" is unknown; did you mean linger.ms?`,
		{"linger.ms", "long"}:           `Invalid value long for configuration linger.ms: Not a number of type LONG`,
	} {
		_, err := ProduceConsume{}.Set(set[0], set[1])
		assert.EqualError(t, err, says)
	}
	assert.ErrorContains(t, ProduceConsume{Idempotent: true, Acks: client.AcksLeader}.Check(), "Must set acks to all in order to use the idempotent producer.")
	assert.NoError(t, ProduceConsume{Acks: client.AcksNone}.Check())
	assert.ErrorContains(t, ProduceConsume{Client: map[string]string{"auto.offset.reset": "none"}}.Check(), "every poll would fail")
}

// A sentence tells the first few of what an operation has; the event has all of it.
func TestOperations_SentencesStayShort(t *testing.T) {
	e := history.Event{Process: 1, Client: "worker-1", F: history.Txn}
	for i := range 500 {
		tp := history.Partition("orders", int32(i%2))
		e.Mops = append(e.Mops, history.Mop{Kind: history.MopSend, Key: tp, Value: history.Text(fmt.Sprintf("v%d", i))})
	}
	var o Operations
	e.Type = history.Invoke
	begun := o.EventOf(&e, 0).(*Invoked)
	assert.Len(t, begun.Sends, 500)
	assert.Equal(t, `sends "v0" to orders/0, "v1" to orders/1, "v2" to orders/0, and 497 more`, begun.Sentence())
	e.Type = history.OK
	for i := range e.Mops {
		e.Mops[i].Offset = history.At(int64(i))
	}
	done := o.EventOf(&e, 1).(*Completed)
	assert.Len(t, done.Sends, 500)
	assert.Equal(t, `txn ok: "v0" is orders/0@0, "v1" is orders/1@1, "v2" is orders/0@2, and 497 more`, done.Sentence())
}
