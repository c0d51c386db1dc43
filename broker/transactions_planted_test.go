package broker_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
)

// twice plays a story as the stack is, and with a bug planted.
func twice(t *testing.T, bug planted.Bug, story func(u *user, right bool)) {
	t.Run("right", func(t *testing.T) { txnCluster(t, nil, func(u *user) { story(u, true) }) })
	t.Run("planted", func(t *testing.T) {
		bugs := planted.Plant(bug)
		txnClusterWith(t, bugs, nil, func(u *user) { story(u, false) })
		assert.Positive(t, bugs.Count(bug).Infected)
	})
}

// A record that comes when its transaction is over would open one that nothing ends
// (KIP-890).
func TestZ02_ALateRecordIsNotPartOfTheNextTransaction(t *testing.T) {
	twice(t, planted.TxnNoVerify, func(u *user, right bool) {
		p := u.producer("payments", tv1)
		require.NoError(t, p.init())
		require.NoError(t, p.add(0))
		require.NoError(t, p.send(0, "a"))
		require.NoError(t, p.finish(false))
		u.stable(0)
		u.eventually(10*time.Second, "the end of the transaction", func() bool { return p.describe().State == "CompleteAbort" })
		_, err := p.trySend(0, 1, "late")
		f := u.committed(0)
		if right {
			assert.Equal(t, kerr.TransactionAbortable, err)
			assert.Equal(t, f.end, f.stable)
			return
		}
		assert.NoError(t, err)
		assert.Less(t, f.stable, f.end, "it hangs")
		assert.Equal(t, "CompleteAbort", p.describe().State)
	})
}

// The offsets of a transaction count before its coordinator is told so (KAFKA-17507).
func TestZ12_OffsetsCountBeforeTheMarkerIsAnswered(t *testing.T) {
	twice(t, planted.AckMarkerEarly, func(u *user, right bool) {
		p := u.producer("pipeline", tv2)
		require.NoError(t, p.init())
		require.NoError(t, p.stage("billing", 10))
		require.NoError(t, p.finish(true))
		u.eventually(10*time.Second, "the end of the transaction", func() bool { return p.describe().State == "CompleteCommit" })
		at, err := u.offset("billing", true)
		if right {
			assert.NoError(t, err)
			assert.EqualValues(t, 10, at)
			return
		}
		assert.Equal(t, kerr.UnstableOffsetCommit, err)
	})
}

// A leader answers for the partitions of a marker when all are written, also if one is
// refused at once (KAFKA-9777).
func TestZ37_MarkersAreAnsweredForWhenAllAreWritten(t *testing.T) {
	twice(t, planted.TxnMarkerDoubleCount, func(u *user, right bool) {
		p := u.producer("pipeline", tv2)
		require.NoError(t, p.init())
		require.NoError(t, p.send(0, "a"))
		u.coordinator("billing")
		leader, _ := u.leader(1, "orders", 0)
		elsewhere := int32(-1) // a partition of __consumer_offsets of which the leader is a follower
		for n := range int32(3) {
			if at, _ := u.leader(1, "__consumer_offsets", n); at != leader {
				elsewhere = n
			}
		}
		for id := range kafka.NodeID(3) {
			if id+1 != leader {
				u.c.w.Host(u.c.HostOf(id + 1)).Kill()
			}
		}
		req := kmsg.NewPtrWriteTxnMarkersRequest()
		m := kmsg.NewWriteTxnMarkersRequestMarker()
		m.ProducerID, m.ProducerEpoch, m.TransactionVersion = p.pid, p.epoch+1, 2
		m.Topics = []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: "__consumer_offsets", Partitions: []int32{elsewhere}}, {Topic: "orders", Partitions: []int32{0}}}
		req.Markers = append(req.Markers, m)
		resp, err := u.ask(leader, req)
		if right {
			assert.Error(t, err, "it waits for followers")
			return
		}
		require.NoError(t, err)
		topics := resp.(*kmsg.WriteTxnMarkersResponse).Markers[0].Topics
		assert.Equal(t, kerr.NotLeaderForPartition.Code, topics[0].Partitions[0].ErrorCode)
		assert.Zero(t, topics[1].Partitions[0].ErrorCode, "though it is not committed")
	})
}
