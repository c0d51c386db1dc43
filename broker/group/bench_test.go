package group

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
)

// classicCrowd is many members of one group, which behave.
type classicCrowd struct {
	*shard
	ids        []string
	requests   []*kmsg.JoinGroupRequest
	generation int32
	leader     int
	roster     []kmsg.JoinGroupResponseMember
	assigned   int
}

func newClassicCrowd(members, metadata int) *classicCrowd {
	cfg := kafkaDefaults
	cfg.InitialRebalanceDelay = 0
	c := &classicCrowd{shard: newShard(cfg), ids: make([]string, members)}
	c.quiet = true
	bytes := append(subscription("t"), make([]byte, metadata)...)
	for range members {
		c.requests = append(c.requests, joinRequest{group: "g", version: 3, protocolType: "consumer",
			protocols: []protocol{{"range", bytes}}, session: 10 * time.Minute, rebalance: time.Minute}.build())
	}
	return c
}

// rebalance is a round: all join, the leader assigns, all are given theirs.
func (c *classicCrowd) rebalance(partitions int) {
	for i, req := range c.requests {
		req.MemberID = c.ids[i]
		c.decide(c.m.JoinGroup(Caller{ClientID: fmt.Sprintf("member-%d", i)}, req, func(resp *kmsg.JoinGroupResponse) {
			c.ids[i], c.generation = resp.MemberID, resp.Generation
			if resp.LeaderID == resp.MemberID {
				c.leader, c.roster = i, resp.Members
			}
		}))
	}
	c.after(0)
	c.assigned = 0
	for i := range c.ids {
		if i != c.leader {
			c.sync(i, nil)
		}
	}
	c.sync(c.leader, c.assignment(partitions))
}

// assignment deals out the partitions of t.
func (c *classicCrowd) assignment(partitions int) []kmsg.SyncGroupRequestGroupAssignment {
	var all []kmsg.SyncGroupRequestGroupAssignment
	n := len(c.roster)
	for i, m := range c.roster {
		var tps []kafka.TopicPartition
		for p := partitions * i / n; p < partitions*(i+1)/n; p++ {
			tps = append(tps, kafka.TopicPartition{Topic: "t", Partition: int32(p)})
		}
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = m.MemberID, assignment(tps...)
		all = append(all, a)
	}
	return all
}

func (c *classicCrowd) sync(i int, given []kmsg.SyncGroupRequestGroupAssignment) {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.Generation, req.GroupAssignment = 4, "g", c.ids[i], c.generation, given
	c.decide(c.m.SyncGroup(req, func(resp *kmsg.SyncGroupResponse) {
		if resp.ErrorCode == 0 {
			c.assigned++
		}
	}))
}

// A round costs linear in members: ten times as many allocate ten times as often.
func TestRebalance_CostsLinearInMembers(t *testing.T) {
	perMember := func(members int) float64 {
		c := newClassicCrowd(members, 0)
		c.rebalance(10 * members)
		return testing.AllocsPerRun(3, func() {
			c.rebalance(10 * members)
			require.Equal(t, members, c.assigned)
			c.compact()
		}) / float64(members)
	}
	few, many := perMember(100), perMember(1_000)
	assert.InEpsilon(t, few, many, 0.3, "allocations per member, of 100 and of 1,000")
}

// A member with a megabyte of metadata, and 10,000 others, cost themselves: what
// another member asks costs what it does in a small group.
func TestMembers_CostThemselves(t *testing.T) {
	allocs := func(members, metadata int) (heartbeat, commit, rejoin float64) {
		c := newClassicCrowd(members, metadata)
		c.requests[0].Protocols[0].Metadata = append(subscription("t"), make([]byte, 1<<20)...)
		c.rebalance(members)
		beat := kmsg.NewPtrHeartbeatRequest()
		beat.Group, beat.Generation, beat.MemberID = "g", c.generation, c.ids[members-1]
		heartbeat = testing.AllocsPerRun(10, func() {
			_, err := c.m.Heartbeat(beat)
			require.NoError(t, err)
		})
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Version, req.Group, req.Generation, req.MemberID = 9, "g", c.generation, beat.MemberID
		topic, p := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
		topic.Topic, topic.Partitions = "t", append(topic.Partitions, p)
		req.Topics = append(req.Topics, topic)
		commit = testing.AllocsPerRun(10, func() {
			d, _ := c.m.OffsetCommit(req)
			require.Len(t, d.Records, 1)
		})
		again := c.requests[members-1]
		again.MemberID = beat.MemberID
		rejoin = testing.AllocsPerRun(10, func() {
			c.m.JoinGroup(Caller{}, again, func(resp *kmsg.JoinGroupResponse) { require.Zero(t, resp.ErrorCode) })
		})
		return heartbeat, commit, rejoin
	}
	h1, c1, r1 := allocs(10, 0)
	h2, c2, r2 := allocs(10_000, 100)
	assert.Equal(t, h1, h2, "heartbeats")
	assert.Equal(t, c1, c2, "commits")
	assert.Equal(t, r1, r2, "joins again")
}

// BenchmarkRebalance: a round costs linear in members.
func BenchmarkRebalance(b *testing.B) {
	for _, members := range []int{10, 100, 250, 500, 1_000, 10_000} {
		b.Run(fmt.Sprintf("members=%d", members), func(b *testing.B) {
			c := newClassicCrowd(members, 0)
			c.rebalance(10 * members)
			c.compact()
			b.ResetTimer()
			for range b.N {
				c.rebalance(10 * members)
				require.Equal(b, members, c.assigned)
				c.compact()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(members), "ns/member")
		})
	}
}

// compact forgets the log, which only fail-overs need.
func (c *classicCrowd) compact() {
	for i := range c.log {
		c.log[i].rec.Value = nil
	}
}

// BenchmarkHeartbeat: in a group of 100,000 members with large metadata a heartbeat
// costs what it costs in a small one.
func BenchmarkHeartbeat(b *testing.B) {
	for _, members := range []int{10, 100_000} {
		b.Run(fmt.Sprintf("members=%d", members), func(b *testing.B) {
			c := newClassicCrowd(members, 100)
			c.rebalance(members)
			req := kmsg.NewPtrHeartbeatRequest()
			req.Group, req.Generation = "g", c.generation
			b.ResetTimer()
			for i := range b.N {
				req.MemberID = c.ids[i%members]
				_, err := c.m.Heartbeat(req)
				require.NoError(b, err)
			}
		})
	}
}

// BenchmarkCommit: a commit costs the same however many groups and offsets there are.
func BenchmarkCommit(b *testing.B) {
	for _, groups := range []int{10, 100_000} {
		b.Run(fmt.Sprintf("groups=%d", groups), func(b *testing.B) {
			s := newShard(kafkaDefaults)
			s.quiet = true
			req := kmsg.NewPtrOffsetCommitRequest()
			req.Version, req.Generation = 9, -1
			t, p := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
			t.Topic, t.Partitions = "t", append(t.Partitions, p)
			req.Topics = append(req.Topics, t)
			commit := func(i int) {
				req.Group = fmt.Sprint("group-", i%groups)
				d, _ := s.m.OffsetCommit(req)
				s.decide(d)
			}
			for i := range groups {
				commit(i)
			}
			b.ResetTimer()
			for i := range b.N {
				commit(i)
			}
		})
	}
}
