package client

import (
	"errors"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim/env"
)

// inGroup are settings of a member that commits nothing by itself.
func inGroup(more ...string) []string {
	return append([]string{"group.id=g", "enable.auto.commit=false", "partition.assignment.strategy=range"}, more...)
}

// A consumer that assigns its partitions itself begins at the group's offsets, and
// commits without a generation.
func TestConsumer_AssignsAndCommits(t *testing.T) {
	f := filled(t, 1, 3, 2, 10)
	f.run(func(h env.Host, c *Client) {
		first := consumer(t, c, inGroup("max.poll.records=4")...)
		first.Assign([]kafka.TopicPartition{orders(0)})
		assert.Len(t, pollUntil(t, h, first, 4), 4)
		require.NoError(t, first.CommitSync())
		require.NoError(t, first.CommitOffsetsSync(Offsets{orders(1): {Offset: 7, LeaderEpoch: kafka.NoEpoch, Metadata: "by hand"}}))
		committed, err := first.Committed(orders(0), orders(1), kafka.TopicPartition{Topic: "orders", Partition: 9})
		require.NoError(t, err)
		assert.Equal(t, Offsets{orders(0): {Offset: 4, LeaderEpoch: 1}, orders(1): {Offset: 7, LeaderEpoch: kafka.NoEpoch, Metadata: "by hand"}}, committed)
		assert.Error(t, first.CommitOffsetsSync(Offsets{orders(0): {Offset: -1}}))
		first.Close()

		second := consumer(t, c, inGroup()...)
		second.Assign([]kafka.TopicPartition{orders(0), orders(1)})
		at, err := second.Position(orders(1))
		require.NoError(t, err)
		assert.Equal(t, kafka.Offset(7), at.Offset)
		got := pollUntil(t, h, second, 9)
		assert.Len(t, got, 9)
		meta, err := second.GroupMetadata()
		require.NoError(t, err)
		assert.Equal(t, GroupMetadata{Group: "g", Generation: NoGeneration}, meta)
	})
}

func TestConsumer_WithoutAGroup(t *testing.T) {
	f := filled(t, 1, 1, 1, 1)
	f.run(func(_ env.Host, c *Client) {
		alone := consumer(t, c)
		for _, err := range []error{
			alone.Subscribe([]string{"orders"}, RebalanceListener{}), alone.SubscribePattern(regexp.MustCompile("o.*"), RebalanceListener{}),
			alone.CommitSync(), alone.CommitAsync(nil), alone.CommitOffsetsSync(nil),
		} {
			assert.ErrorIs(t, err, kerr.InvalidGroupID)
		}
		_, err := alone.Committed(orders(0))
		assert.ErrorIs(t, err, kerr.InvalidGroupID)
		assert.NoError(t, alone.Unsubscribe())

		member := consumer(t, c, inGroup()...)
		_, err = member.Poll(time.Second)
		assert.ErrorContains(t, err, "not subscribed to any topics or assigned any partitions")
		assert.ErrorContains(t, member.Subscribe([]string{"no good"}, RebalanceListener{}), "no good")
		assert.ErrorContains(t, member.SubscribeRE2(".*", RebalanceListener{}), "group.protocol=consumer")
		member.Assign([]kafka.TopicPartition{orders(0)})
		assert.ErrorContains(t, member.Subscribe([]string{"orders"}, RebalanceListener{}), "mutually exclusive")
		require.NoError(t, member.Unsubscribe())
		require.NoError(t, member.Subscribe([]string{"orders"}, RebalanceListener{}))
		assert.Panics(t, func() { member.Assign([]kafka.TopicPartition{orders(0)}) })
	})
}

// Asynchronous commits keep their order, and their callbacks are called by the
// application's own calls: before a synchronous one that follows returns.
func TestConsumer_CommitAsync(t *testing.T) {
	f := filled(t, 1, 1, 1, 10)
	f.run(func(h env.Host, c *Client) {
		member := consumer(t, c, inGroup()...)
		var ended []string
		commit := func(at kafka.Offset) {
			require.NoError(t, member.CommitOffsetsAsync(Offsets{orders(0): {Offset: at}}, func(o Offsets, err error) {
				ended = append(ended, fmt.Sprintf("%d %v", o[orders(0)].Offset, err))
			}))
		}
		member.Assign([]kafka.TopicPartition{orders(0)})
		commit(1) // before the coordinator is known
		commit(2)
		h.Sleep(time.Second)
		assert.Empty(t, ended)
		require.NoError(t, member.CommitOffsetsSync(Offsets{orders(0): {Offset: 3}}))
		assert.Equal(t, []string{"1 <nil>", "2 <nil>"}, ended)

		// One that fails is not made again.
		ended = nil
		f.groups.coordinator = 0
		f.onRequest = func(_ int32, req kmsg.Request) kmsg.Response {
			if _, ok := req.(*kmsg.OffsetCommitRequest); !ok {
				return nil
			}
			f.onRequest = nil
			resp := kmsg.NewPtrOffsetCommitResponse()
			rt := kmsg.NewOffsetCommitResponseTopic()
			rp := kmsg.NewOffsetCommitResponseTopicPartition()
			rt.Topic, rp.ErrorCode = "orders", kerr.CoordinatorLoadInProgress.Code
			rt.Partitions = append(rt.Partitions, rp)
			resp.Topics = append(resp.Topics, rt)
			return resp
		}
		failed := error(nil)
		require.NoError(t, member.CommitOffsetsAsync(Offsets{orders(0): {Offset: 9}}, func(_ Offsets, err error) { failed = err }))
		_, err := member.Poll(100 * time.Millisecond)
		require.NoError(t, err)
		_, err = member.Poll(0)
		require.NoError(t, err)
		assert.ErrorIs(t, failed, ErrRetriableCommitFailed)
		assert.ErrorIs(t, failed, kerr.CoordinatorLoadInProgress)
		assert.EqualValues(t, 3, f.group("g").offsets[orders(0)].Offset)
	})
}

// What was sent is observed with the identity that it was sent as.
func TestConsumer_OnCommit(t *testing.T) {
	f := filled(t, 1, 1, 1, 3)
	f.run(func(h env.Host, c *Client) {
		member := consumer(t, c, inGroup("enable.auto.commit=true")...)
		var seen []string
		member.OnCommit = func(c Commit) {
			seen = append(seen, fmt.Sprintf("%s of %d: %d, auto %v, %v", c.Member, c.Generation, c.Offsets[orders(0)].Offset, c.Auto, c.Err))
		}
		require.NoError(t, member.Subscribe([]string{"orders"}, RebalanceListener{}))
		pollUntil(t, h, member, 3)
		require.NoError(t, member.CommitOffsetsSync(Offsets{orders(0): {Offset: 2}}))
		member.Close()
		assert.Equal(t, []string{"m1 of 1: 2, auto false, <nil>", "m1 of 1: 3, auto true, <nil>"}, seen)
	})
}

// A position that was sought is not undone by a look-up that was on its way, nor is a
// lookup's answer taken by another assignment of the partition.
func TestConsumer_SeekBeatsCommittedOffsets(t *testing.T) {
	f := filled(t, 1, 1, 1, 10)
	f.run(func(h env.Host, c *Client) {
		member := consumer(t, c, inGroup()...)
		require.NoError(t, member.Subscribe([]string{"orders"}, RebalanceListener{
			Assigned: func(tps []kafka.TopicPartition) error { return member.Seek(tps[0], 8) },
		}))
		assert.Equal(t, []string{"0-8", "0-9"}, valuesOf(pollUntil(t, h, member, 2)))
	})
}

// Eager members lose their pauses in a rebalance, cooperative ones keep them.
func TestConsumer_PausesInARebalance(t *testing.T) {
	for strategy, kept := range map[string]bool{"range": false, "cooperative-sticky": true} {
		f := filled(t, 1, 1, 2, 1)
		f.run(func(h env.Host, c *Client) {
			assigned := 0
			member := consumer(t, c, inGroup("partition.assignment.strategy="+strategy, "heartbeat.interval.ms=100")...)
			require.NoError(t, member.Subscribe([]string{"orders"}, RebalanceListener{Assigned: func([]kafka.TopicPartition) error { assigned++; return nil }}))
			pollUntil(t, h, member, 2)
			member.Pause(orders(0))
			other := consumer(t, c, inGroup("partition.assignment.strategy="+strategy)...)
			require.NoError(t, other.Subscribe([]string{"orders"}, RebalanceListener{}))
			deadline := h.Uptime() + 10*time.Second
			for assigned < 2 && h.Uptime() < deadline {
				_, err := other.Poll(10 * time.Millisecond)
				require.NoError(t, err)
				_, err = member.Poll(10 * time.Millisecond)
				require.NoError(t, err)
			}
			assert.Equal(t, kept, member.find(orders(0)).paused, strategy)
		})
	}
}

// An error of the listener is returned by the poll; the rebalance goes on.
func TestConsumer_ListenerFails(t *testing.T) {
	f := filled(t, 1, 1, 1, 3)
	f.run(func(h env.Host, c *Client) {
		broken := errors.New("no room")
		member := consumer(t, c, inGroup()...)
		require.NoError(t, member.Subscribe([]string{"orders"}, RebalanceListener{
			Assigned: func([]kafka.TopicPartition) error { return broken },
		}))
		failed := error(nil)
		for failed == nil {
			_, failed = member.Poll(100 * time.Millisecond)
		}
		assert.ErrorIs(t, failed, broken)
		assert.ErrorContains(t, failed, "user rebalance callback throws an error")
		assert.Equal(t, []kafka.TopicPartition{orders(0)}, member.Assignment())
		assert.Len(t, pollUntil(t, h, member, 3), 3)
	})
}

// Close takes no longer than it may, and without a coordinator not even that.
func TestConsumer_CloseIsBounded(t *testing.T) {
	for _, protocol := range []string{"classic", "consumer"} {
		f := filled(t, 1, 2, 1, 3)
		f.run(func(h env.Host, c *Client) {
			set := []string{"group.id=g", "group.protocol=" + protocol}
			if protocol == "classic" {
				set = append(set, "partition.assignment.strategy=range")
			}
			member := consumer(t, c, set...)
			require.NoError(t, member.Subscribe([]string{"orders"}, RebalanceListener{}))
			pollUntil(t, h, member, 3)
			f.w.Network().Link("client", f.host(0)).Cut()
			began := h.Uptime()
			require.NoError(t, member.CloseWithin(3*time.Second))
			assert.InDelta(t, 3, (h.Uptime() - began).Seconds(), 0.2, protocol)
			_, err := member.Poll(0)
			assert.ErrorIs(t, err, env.ErrClosed)
			require.NoError(t, member.CloseWithin(3*time.Second), "twice")
		})
	}
}

// by_duration begins at the first record that is young enough; while there is none, it
// is asked for again (KIP-1106).
func TestConsumer_ResetByDuration(t *testing.T) {
	f := filled(t, 1, 1, 2, 0)
	at := func(h env.Host, back time.Duration, value string) record.Batch {
		b := record.NewBuilder(record.Options{})
		b.Append(h.Now().Millis()-back.Milliseconds(), nil, []byte(value))
		return b.Build()
	}
	f.run(func(h env.Host, c *Client) {
		for _, back := range []time.Duration{4 * time.Hour, 2 * time.Hour, 30 * time.Minute} {
			f.parts[orders(0)].put(at(h, back, back.String()))
			if back > time.Hour {
				f.parts[orders(1)].put(at(h, back, back.String()))
			}
		}
		f.onAnswer = func(_ int32, _ kmsg.Request, resp kmsg.Response) {
			if fetch, ok := resp.(*kmsg.FetchResponse); ok {
				for _, rt := range fetch.Topics {
					assert.Zero(t, rt.Partitions[0].ErrorCode)
				}
			}
		}
		consumer := consumer(t, c, "auto.offset.reset=by_duration:PT1H", "request.timeout.ms=1000")
		consumer.Assign([]kafka.TopicPartition{orders(0), orders(1)})
		assert.Equal(t, []string{"30m0s"}, valuesOf(pollUntil(t, h, consumer, 1)))
		records, err := consumer.Poll(3 * time.Second)
		require.NoError(t, err)
		assert.Empty(t, records, "nothing is as young, and old records are not read either")
		f.parts[orders(1)].put(at(h, 0, "young"))
		assert.Equal(t, []string{"young"}, valuesOf(pollUntil(t, h, consumer, 1)))
	})
}

// A fatal answer of FindCoordinator is returned once; the next call asks again.
func TestConsumer_NotAuthorized(t *testing.T) {
	f := filled(t, 1, 1, 1, 1)
	f.onRequest = func(_ int32, req kmsg.Request) kmsg.Response {
		find, ok := req.(*kmsg.FindCoordinatorRequest)
		if !ok {
			return nil
		}
		resp := kmsg.NewPtrFindCoordinatorResponse()
		one := kmsg.NewFindCoordinatorResponseCoordinator()
		one.Key, one.ErrorCode = find.CoordinatorKeys[0], kerr.GroupAuthorizationFailed.Code
		resp.Coordinators = append(resp.Coordinators, one)
		return resp
	}
	f.run(func(h env.Host, c *Client) {
		member := consumer(t, c, inGroup()...)
		require.NoError(t, member.Subscribe([]string{"orders"}, RebalanceListener{}))
		_, err := member.Poll(10 * time.Second)
		assert.ErrorIs(t, err, kerr.GroupAuthorizationFailed)
		assert.ErrorIs(t, member.CommitOffsetsSync(Offsets{orders(0): {Offset: 1}}), kerr.GroupAuthorizationFailed)
		f.onRequest = nil
		assert.Len(t, pollUntil(t, h, member, 1), 1)
	})
}

// A partition without a position has nothing to be committed.
func TestConsumer_CommitsNoPositionThatIsNotKnown(t *testing.T) {
	f := filled(t, 1, 1, 2, 3)
	f.group("g").unstable[orders(1)] = true
	f.run(func(h env.Host, c *Client) {
		member := consumer(t, c, inGroup("enable.auto.commit=true")...)
		require.NoError(t, member.Subscribe([]string{"orders"}, RebalanceListener{}))
		for range 5 {
			_, err := member.Poll(100 * time.Millisecond)
			require.NoError(t, err)
		}
		member.Close()
		assert.Empty(t, f.group("g").offsets, "the group's offsets are looked up together")
	})
}

// From the auto-commit before a rebalance on nothing more is consumed of what is given up:
// the next owner would consume it again (KAFKA-14196).
func TestConsumer_ConsumesNothingAfterTheCommitBeforeARebalance(t *testing.T) {
	for _, protocol := range [][]string{
		{"partition.assignment.strategy=range", "heartbeat.interval.ms=100"}, {"group.protocol=consumer"},
	} {
		f := filled(t, 1, 1, 2, 5)
		f.run(func(h env.Host, c *Client) {
			set := append([]string{"group.id=g", "max.poll.records=1", "auto.commit.interval.ms=3600000"}, protocol...)
			give := consumer(t, c, set...)
			require.NoError(t, give.Subscribe([]string{"orders"}, RebalanceListener{}))
			seen := map[kafka.TopicPartition]int{}
			poll := func(m *Consumer, wait time.Duration) {
				records, err := m.Poll(wait)
				require.NoError(t, err)
				for _, r := range records {
					seen[r.Partition]++
				}
			}
			for seen[orders(0)]+seen[orders(1)] == 0 {
				poll(give, 100*time.Millisecond)
			}
			take := consumer(t, c, append(set, "enable.auto.commit=false")...)
			require.NoError(t, take.Subscribe([]string{"orders"}, RebalanceListener{}))
			f.onRequest = refuseCommits
			for n := 0; n < 1000 && !give.find(orders(1)).revoking; n++ {
				poll(take, 10*time.Millisecond)
				give.Pause(orders(0), orders(1))
				poll(give, 0)
				give.Resume(orders(0), orders(1))
			}
			require.True(t, give.find(orders(1)).revoking)
			before := seen[orders(1)]
			for range 3 {
				poll(give, 20*time.Millisecond)
			}
			assert.Equal(t, before, seen[orders(1)], "it waits for the commit")
			f.onRequest = nil
			for len(take.Assignment()) == 0 {
				poll(give, 10*time.Millisecond)
				poll(take, 10*time.Millisecond)
			}
			for range 100 {
				poll(take, 10*time.Millisecond)
				poll(give, 10*time.Millisecond)
			}
			assert.Equal(t, map[kafka.TopicPartition]int{orders(0): 5, orders(1): 5}, seen, "none twice, and all")
		})
	}
}

// refuseCommits has a coordinator that is loading answer commits.
func refuseCommits(_ int32, req kmsg.Request) kmsg.Response {
	commit, ok := req.(*kmsg.OffsetCommitRequest)
	if !ok {
		return nil
	}
	resp := kmsg.NewPtrOffsetCommitResponse()
	for _, rt := range commit.Topics {
		t := kmsg.NewOffsetCommitResponseTopic()
		t.Topic, t.TopicID = rt.Topic, rt.TopicID
		for _, rp := range rt.Partitions {
			p := kmsg.NewOffsetCommitResponseTopicPartition()
			p.Partition, p.ErrorCode = rp.Partition, kerr.CoordinatorLoadInProgress.Code
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

// A commit without an answer ends what is known of the coordinator, even if the broker
// can be reached again by the next one.
func TestConsumer_LooksForTheCoordinatorAfterALostAnswer(t *testing.T) {
	f := filled(t, 1, 1, 1, 3)
	f.run(func(h env.Host, c *Client) {
		finds := 0
		f.onRequest = func(_ int32, req kmsg.Request) kmsg.Response {
			if _, ok := req.(*kmsg.FindCoordinatorRequest); ok {
				finds++
			}
			return nil
		}
		member := consumer(t, c, inGroup()...)
		commit := func() error { return member.CommitOffsetsSync(Offsets{orders(0): {Offset: 1}}) }
		require.NoError(t, commit())
		count := f.onRequest
		f.onRequest = func(node int32, req kmsg.Request) kmsg.Response {
			if _, ok := req.(*kmsg.OffsetCommitRequest); ok {
				f.onRequest = count
				f.w.Network().Reset("client", f.host(node))
			}
			return nil
		}
		require.NoError(t, member.CommitOffsetsAsync(Offsets{orders(0): {Offset: 1}}, nil))
		h.Sleep(5 * time.Second)
		require.NoError(t, commit())
		assert.Equal(t, 2, finds)
	})
}
