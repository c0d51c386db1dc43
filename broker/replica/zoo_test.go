package replica

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/checkers/laws"
	"github.com/ktrial/ktrial/ledger"
)

// The histories of the zoo, small and directed. Each is played twice: as the
// stack is, when no law may break, and with the bug planted, when this one must.
func zoo(t *testing.T, bug planted.Bug, brokers int, broken laws.Law, story func(s *stage)) {
	t.Run("right", func(t *testing.T) { play(t, brokers, nil, story) })
	t.Run("planted", func(t *testing.T) {
		bugs := planted.Plant(bug)
		s := play(t, brokers, bugs, story)
		count := bugs.Count(bug)
		assert.Positive(t, count.Reached, "reached")
		assert.Positive(t, count.Infected, "infected")
		assert.True(t, slices.ContainsFunc(s.broken, func(f laws.Failure) bool { return f.Law == broken }), "law %d: %v", broken.Number, s.broken)
	})
}

// 1 leads and appends what no follower fetches; 2 is elected while 1 is still
// in the ISR, and appends less. 1's first fetch, from past 2's log end, says
// nothing of what 1 has.
func TestZ03_ADivergedFetchIsNotCounted(t *testing.T) {
	zoo(t, planted.CountDivergedFetch, 2, laws.SamePrefix, func(s *stage) {
		s.topic(2, 1, 2)
		s.mustProduce(1, "shared")
		s.cut(1, 2)
		s.produce(1, 1, "a1", "a2", "a3", "a4", "a5")
		s.elect(2, 2, 1)
		s.produce(2, 1, "b1", "b2", "b3")
		s.mend(1, 2)
		s.inSync(1, 2)
		if s.bugs == nil {
			assert.Equal(s.t, []string{"shared", "b1", "b2", "b3"}, s.values(1))
			assert.Positive(s.t, s.w.Probes()["fetch diverged"])
			assert.Positive(s.t, s.w.Probes()["follower truncated after epoch change"])
		}
	})
}

// 3 leads, all have the record, but only 3 knows yet that it is committed. 3
// dies, and a broker that becomes a follower must keep what it has.
func TestZ04_AFollowerDoesNotTruncateToItsHighWatermark(t *testing.T) {
	zoo(t, planted.TruncateToHW, 3, laws.NoTruncation, func(s *stage) {
		s.topic(2, 3, 1, 2)
		s.wait(time.Second)
		s.mustProduce(3, "acknowledged")
		s.kill(3)
		s.elect(2, 2, 1)
		s.inSync(1, 2)
		assert.Equal(s.t, []string{"acknowledged"}, s.values(1))
	})
}

// 1 comes back with records that no other has, at offsets where another leader
// has written since.
func TestZ05_AFollowerDropsWhatItsLeaderNeverHad(t *testing.T) {
	zoo(t, planted.NoDivergenceCheck, 3, laws.LogMatching, func(s *stage) {
		s.topic(2, 1, 2, 3)
		s.cut(1, 2)
		s.cut(1, 3)
		s.produce(1, 1, "bogus")
		s.elect(2, 2, 3)
		s.mustProduce(2, "right")
		s.mustProduce(2, "right too")
		s.mend(1, 2)
		s.mend(1, 3)
		if s.bugs != nil {
			s.wait(3 * time.Second)
			return
		}
		s.inSync(1, 2, 3)
		assert.Equal(s.t, []string{"right", "right too"}, s.values(1))
	})
}

// 2 is elected with a high watermark of 5, though 10 was acknowledged; being
// alone it does not commit anything either. 3, which has 5, is not in sync: it
// is the epoch's start that it must reach.
func TestZ06_JoiningTheISRTakesTheStartOfTheEpoch(t *testing.T) {
	zoo(t, planted.ISRNoLESO, 3, laws.JoinCaughtUp, func(s *stage) {
		s.topic(2, 1, 2, 3)
		s.mustProduce(1, "1", "2", "3", "4", "5")
		s.wait(time.Second)
		s.cut(1, 3)
		s.fence(3, true)
		s.setISR(1, 2)
		s.mustProduce(1, "6", "7", "8", "9", "10")
		s.kill(1)
		s.cut(2, 3)
		s.fence(3, false)
		s.elect(2, 2)
		require.EqualValues(s.t, 5, s.replica(3).log.EndOffset())
		fetched := false
		s.watch = func(e ledger.Event) {
			if f, ok := e.(*witness.FollowerFetched); ok && f.Follower == 3 && !fetched {
				fetched = true
				s.w.Host(name(3)).Pause() // its fetch was counted; it gets no answer for now
			}
		}
		s.mend(2, 3)
		s.until("3 fetches", func() bool { return fetched })
		s.wait(100 * time.Millisecond)
		s.w.Host(name(3)).Resume()
		s.inSync(2, 3)
	})
}

// 3 was taken into the ISR, but 1 does not know it yet: what it acknowledges
// must be on 3 all the same.
func TestZ07_TheHighWatermarkCountsWhatMayBeInTheISR(t *testing.T) {
	zoo(t, planted.HWCommittedISR, 3, laws.HWIsReplicated, func(s *stage) {
		s.cut(1, 3)
		s.topicWithISR(2, []kafka.NodeID{1, 2, 3}, []kafka.NodeID{1, 2})
		s.mustProduce(1, "before")
		s.mute[1] = true
		s.mend(1, 3)
		s.until("3 joins", func() bool { return len(s.partition().ISR) == 3 })
		s.cut(1, 3)
		_, err := s.produceWithin(1, acksAll, time.Second, "after")
		if s.bugs == nil {
			assert.Equal(s.t, kerr.RequestTimedOut, err)
			assert.EqualValues(s.t, 1, s.replica(1).hw)
		}
		s.mend(1, 3)
		s.unmute(1)
		s.inSync(1, 2, 3)
	})
}

// Only 1 is in sync, two are demanded: whatever 1 appends is not committed, and
// no consumer sees it.
func TestZ08_NothingIsCommittedBelowMinInsyncReplicas(t *testing.T) {
	zoo(t, planted.HWUnderMinISR, 3, laws.HWIsReplicated, func(s *stage) {
		s.topic(2, 1, 2, 3)
		s.mustProduce(1, "before")
		s.cut(1, 2)
		s.cut(1, 3)
		_, err := s.produce(1, 1, "appended") // a follower that has everything stays, however silent
		require.NoError(s.t, err)
		s.until("the isr shrinks to 1", func() bool { return len(s.replica(1).isr.committed) == 1 })
		_, err = s.produce(1, acksAll, "refused")
		assert.Equal(s.t, kerr.NotEnoughReplicas, err)
		s.wait(time.Second)
		if s.bugs == nil {
			assert.EqualValues(s.t, 1, s.replica(1).hw)
			assert.Positive(s.t, s.w.Probes()["HW held back below min ISR"])
			assert.Positive(s.t, s.w.Probes()["ISR shrank"])
		}
		s.mend(1, 2)
		s.mend(1, 3)
		s.inSync(1, 2, 3)
		assert.Equal(s.t, []string{"before", "appended"}, s.values(3))
		assert.Positive(s.t, s.w.Probes()["ISR expanded"])
	})
}

// The leader tells the controller which incarnation of a follower it means, and
// a fetch of one that is gone is not counted (KIP-903).
func TestZ18_AnISRJoinNamesTheIncarnation(t *testing.T) {
	play(t, 3, nil, func(s *stage) {
		s.cut(1, 3)
		s.topicWithISR(2, []kafka.NodeID{1, 2, 3}, []kafka.NodeID{1, 2})
		s.wait(time.Second)
		s.mend(1, 3)
		s.inSync(1, 2, 3)
		last := s.altered[len(s.altered)-1]
		assert.EqualValues(s.t, s.nodes[1].epoch, last.BrokerEpoch)
		for _, member := range last.Topics[0].Partitions[0].NewEpochISR {
			assert.EqualValues(s.t, s.nodes[kafka.NodeID(member.BrokerID)].epoch, member.BrokerEpoch)
		}

		old := s.nodes[3].epoch
		s.kill(3)
		s.start(3)
		s.wait(10 * time.Millisecond)
		req := followerFetch(3, old, 0, 0, 0)
		resp := s.call(1, req).(*kmsg.FetchResponse)
		assert.Equal(s.t, kerr.NotLeaderForPartition.Code, resp.Topics[0].Partitions[0].ErrorCode)
	})
}

// Leadership goes from 1 to 2 and back faster than 1 can fetch, so 2 has
// records of an epoch that 1 never had, where 1 has its own.
func TestZ41_AFollowerTruncatesByEpochNotByOffset(t *testing.T) {
	play(t, 2, nil, func(s *stage) {
		s.topic(1, 1, 2)
		s.mustProduce(1, "shared")
		s.cut(1, 2)
		s.produce(1, 1, "e0", "e0") // one batch, then some more
		s.produce(1, 1, "e0 too")
		s.elect(2, 2, 1)
		s.produce(2, 1, "e1")
		s.produce(2, 1, "e1 too", "e1 three", "e1 four")
		s.elect(1, 1, 2)
		s.produce(1, 1, "e2")
		s.mend(1, 2)
		s.inSync(1, 2)
		assert.Equal(s.t, []string{"shared", "e0", "e0", "e0 too", "e2"}, s.values(2))
	})
}

// Only a fetch that names the leader's own epoch is served or counted.
func TestZ44_EveryFetchIsFencedByTheLeaderEpoch(t *testing.T) {
	play(t, 2, nil, func(s *stage) {
		s.topic(1, 1, 2)
		s.cut(1, 2)
		s.elect(1, 1, 2)
		s.produce(1, 1, "a")
		for _, c := range []struct {
			epoch kafka.LeaderEpoch
			want  error
		}{
			{0, kerr.FencedLeaderEpoch},
			{2, kerr.UnknownLeaderEpoch},
			{kafka.NoEpoch, kerr.NotLeaderForPartition},
			{1, nil},
		} {
			resp := s.call(1, followerFetch(2, s.nodes[2].epoch, c.epoch, 0, kafka.NoEpoch)).(*kmsg.FetchResponse)
			assert.Equal(s.t, kafka.Code(c.want), resp.Topics[0].Partitions[0].ErrorCode, "epoch %d", c.epoch)
			assert.Equal(s.t, c.want == nil, s.replica(1).followers[0].fetched, "epoch %d", c.epoch)
		}
	})
}

// A fenced broker is not proposed; when the leader does not know it yet, the
// controller's refusal takes the proposal back.
func TestZ48_AFencedReplicaStaysOutOfTheISR(t *testing.T) {
	play(t, 2, nil, func(s *stage) {
		s.topicWithISR(1, []kafka.NodeID{1, 2}, []kafka.NodeID{1})
		s.inSync(1, 2)
		s.fence(2, true)
		s.setISR(1)
		asked := len(s.altered)
		s.mustProduce(1, "committed without 2")
		s.wait(3 * time.Second)
		assert.Len(s.t, s.altered, asked, "the leader does not propose a fenced broker")

		s.refuse = kerr.IneligibleReplica
		s.fence(2, false)
		s.until("the leader is refused", func() bool { return s.w.Probes()["ISR change refused"] > 0 })
		s.until("the proposal is taken back", func() bool { return s.replica(1).isr.proposal == nil })
		s.refuse = nil
		s.inSync(1, 2)
	})
}

// A new leader's end offset would be less than what its predecessor told.
func TestZ51_TheEndOffsetDoesNotGoBack(t *testing.T) {
	play(t, 3, nil, func(s *stage) {
		s.topic(2, 1, 2, 3)
		s.wait(time.Second)
		s.mustProduce(1, "acknowledged")
		offset, err := s.latest(1)
		require.NoError(s.t, err)
		require.EqualValues(s.t, 1, offset)
		s.cut(2, 3)
		s.kill(1)
		s.elect(2, 2, 3)
		_, err = s.latest(2)
		assert.Equal(s.t, kerr.OffsetNotAvailable, err)
		s.mend(2, 3)
		s.inSync(2, 3)
		offset, err = s.latest(2)
		assert.NoError(s.t, err)
		assert.EqualValues(s.t, 1, offset)
	})
}

// followerFetch is a fetch of everything a replica would say of orders/0, as
// one without a session.
func followerFetch(id kafka.NodeID, broker kafka.BrokerEpoch, epoch kafka.LeaderEpoch, from kafka.Offset, last kafka.LeaderEpoch) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version = 17
	req.ReplicaState.ID, req.ReplicaState.Epoch = int32(id), int64(broker)
	req.MaxBytes, req.SessionEpoch = 1<<20, finalSessionEpoch
	t := kmsg.NewFetchRequestTopic()
	t.TopicID = topicID
	p := kmsg.NewFetchRequestTopicPartition()
	p.CurrentLeaderEpoch, p.FetchOffset, p.LastFetchedEpoch, p.PartitionMaxBytes = int32(epoch), int64(from), int32(last), 1<<20
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

// latest asks a broker for the end offset, as a consumer.
func (s *stage) latest(id kafka.NodeID) (kafka.Offset, error) {
	return s.listOffset(id, latestTimestamp)
}

func (s *stage) listOffset(id kafka.NodeID, timestamp int64) (kafka.Offset, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID = 7, -1
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = "orders"
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.CurrentLeaderEpoch, p.Timestamp = -1, timestamp
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	out := s.call(id, req).(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]
	return kafka.Offset(out.Offset), kerr.ErrorForCode(out.ErrorCode)
}
