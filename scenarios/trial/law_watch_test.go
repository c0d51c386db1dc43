package trial

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/checkers/permit"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/sim/env"
)

// acted is a run whose nodes are played by the test.
func acted(t testing.TB) *run {
	r, err := prepare(scenarios.Standard, Options{Seed: 1})
	require.NoError(t, err)
	t.Cleanup(r.w.Close)
	return r
}

var orders0 = kafka.TopicPartition{Topic: "orders"}

// tell has a server tell an event.
func tell(r *run, host string, e ledger.Event) { r.laws.read(&ledger.Entry{Host: host, Event: e}) }

// three are the replicas of orders/0.
func three() (out [3]*witness.Replica) {
	for i := range out {
		out[i] = &witness.Replica{Node: kafka.NodeID(i + 1), Partition: orders0}
	}
	return out
}

func committed(at kafka.Offset, epoch kafka.PartitionEpoch, isr ...kafka.NodeID) *witness.PartitionCommitted {
	return &witness.PartitionCommitted{
		Node: 3001, At: at, PartitionID: witness.PartitionID{Partition: orders0}, Leader: 1, PartitionEpoch: epoch,
		Replicas: []kafka.NodeID{1, 2, 3}, ISR: isr,
	}
}

// replicate: broker-1 leads, and two records are committed on all and acknowledged.
func replicate(r *run) [3]*witness.Replica {
	all := three()
	tell(r, "controller-1", committed(10, 0, 1, 2, 3))
	for i, x := range all {
		host := fmt.Sprintf("broker-%d", i+1)
		tell(r, host, &witness.Opened{Replica: x})
		if i == 0 {
			tell(r, host, &witness.BecameLeader{Replica: x, ISR: []kafka.NodeID{1, 2, 3}})
		} else {
			tell(r, host, &witness.BecameFollower{Replica: x, Leader: 1})
		}
		tell(r, host, &witness.Appended{Replica: x, Batch: witness.Batch{End: 2, Digest: 7, ProducerID: kafka.NoProducer}})
	}
	for _, e := range []ledger.Event{
		&witness.FollowerFetched{Replica: all[0], Follower: 2, From: 2}, &witness.FollowerFetched{Replica: all[0], Follower: 3, From: 2},
		&witness.HighWatermarkMoved{Replica: all[0], To: 2}, &witness.ProduceAcked{Replica: all[0], End: 2},
	} {
		tell(r, "broker-1", e)
	}
	return all
}

// The first law that breaks ends the run. What it says names hosts, and what is
// shown with it concerns the partition, the host or the world.
func TestABrokenLawEndsTheRun(t *testing.T) {
	r := acted(t)
	all := replicate(r)
	r.w.Tell(&witness.LeaderChosen{PartitionID: witness.PartitionID{Partition: orders0}, Leader: 1})
	r.w.Host("broker-2").Start(func(h env.Host) {
		h.Tell(&witness.BecameLeader{Replica: &witness.Replica{Node: 2, Partition: kafka.TopicPartition{Topic: "orders", Partition: 1}}})
		h.Tell(&witness.Truncated{Replica: all[1], From: 2, To: 1, Leader: 1})
		h.Tell(&witness.Truncated{Replica: all[1], From: 1, To: 0, Leader: 1})
	})
	assert.ErrorIs(t, r.w.Run(time.Second), errBroken)
	require.Len(t, r.violations, 1)
	v := r.violations[0]
	assert.Equal(t, "law 23: no replica truncates below the true high watermark", v.Check)
	assert.Equal(t, "orders/0: broker-2 truncated from 2 to 1; 2 was shown as committed", v.Message)
	var shown []string
	for _, m := range v.Story {
		shown = append(shown, strings.TrimSpace(m.Who+" "+m.What))
	}
	assert.Equal(t, []string{
		"controller: orders/0: leader 1, epoch 0, isr [] elr []",
		"broker-2 starts",
		"broker-2 becomes leader of orders/1, epoch 0, log end offset 0, high watermark 0, isr []",
		"broker-2 truncates orders/0 from 2 to 1, epoch 0, leader 1",
	}, shown)
	story := slices.Collect(r.w.Ledger().All())
	last := story[len(story)-2:]
	assert.IsType(t, &PromiseBroken{}, last[0].Event, "it is told behind what broke the law")
	assert.IsType(t, &witness.Truncated{}, last[1].Event, "the event goes on; nothing looks at it")
}

// A torn write takes the power some time after it strikes. A process that opens
// its logs between the two has lost nothing yet; the next one has.
func TestATornWriteTakesThePowerLater(t *testing.T) {
	r := acted(t)
	all := replicate(r)
	opens := func(end kafka.Offset) { tell(r, "broker-2", &witness.Opened{Replica: all[1], End: end}) }
	torn, err := faults.Resolve(faults.TornWrite{Host: faults.Host("broker-2")}, r.c, r.w.Rand("luck"))
	require.NoError(t, err)
	r.laws.strikes(torn)
	opens(2)
	r.w.Host("broker-2").PowerOff()
	opens(1)
	assert.Empty(t, r.violations)
	opens(0) // this one was only killed
	require.Len(t, r.violations, 1)
	assert.Contains(t, r.violations[0].Check, "law 24: ")
}

func TestLossBeyondThePromiseIsExcused(t *testing.T) {
	r := acted(t)
	all := replicate(r)
	r.laws.beyond[r.laws.Partitions()[0]] = permit.Faults(0).With(history.LossyCrashes)
	for i, x := range all {
		r.laws.PowerLost(x.Node, nil)
		tell(r, fmt.Sprintf("broker-%d", i+1), &witness.Opened{Replica: x, End: 1})
	}
	assert.Empty(t, r.violations)
	require.Len(t, r.laws.allowed, 1)
	assert.Contains(t, r.laws.allowed[0].Anomaly, "law 19: ")
	assert.Equal(t, "at least min.insync.replicas replicas were down uncleanly at once, and unsynced data was lost", r.laws.allowed[0].Reason)
	// What excuses the loss does not excuse the rest.
	tell(r, "controller-1", committed(11, 2, 1, 2))
	require.Len(t, r.violations, 1)
	assert.Contains(t, r.violations[0].Check, "law 16: ")
}

var long = flag.Bool("long", false, "run the long tests, too")
