//go:build unix

package cmd

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumed is what the members of a group have read together.
type consumed struct {
	sync.Mutex
	records  map[int32][]*kgo.Record
	n        int
	assigned int // how often a member was given partitions
}

// member runs a member of a group until ctx ends. It commits what it has read.
func (s *serving) member(ctx context.Context, c *consumed, group, topic string, opts ...kgo.Opt) {
	client := s.franz(append([]kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(), kgo.SessionTimeout(6 * time.Second), kgo.HeartbeatInterval(500 * time.Millisecond),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) {
			c.Lock()
			defer c.Unlock()
			c.assigned++
		}),
	}, opts...)...)
	defer client.Close()
	for ctx.Err() == nil {
		fetches := client.PollRecords(ctx, 1000)
		if err := client.CommitUncommittedOffsets(ctx); err != nil && ctx.Err() == nil {
			s.t.Logf("commit: %v", err)
		}
		c.Lock() // after the commit, which the test cancels once it has seen the count
		fetches.EachRecord(func(r *kgo.Record) {
			c.records[r.Partition] = append(c.records[r.Partition], r)
			c.n++
		})
		c.Unlock()
		client.AllowRebalance()
	}
}

// groups are all there are, with their types.
func (s *serving) groups() (names []string) {
	resp, err := kmsg.NewPtrListGroupsRequest().RequestWith(deadline(s.t), s.franz())
	require.NoError(s.t, err)
	for _, g := range resp.Groups {
		names = append(names, g.Group+" "+g.GroupType)
	}
	return names
}

// waitFor waits until so many records were read.
func (c *consumed) waitFor(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		c.Lock()
		defer c.Unlock()
		return c.n >= n
	}, time.Minute, 10*time.Millisecond, "%d records", n)
}

// A group of franz-go's reads a topic to its end, a second member joins, the first one
// leaves, and the second goes on from where the group was.
func TestServe_GroupsOfFranz(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	for name, opts := range map[string][]kgo.Opt{
		"range":              {kgo.Balancers(kgo.RangeBalancer())},
		"cooperative-sticky": {kgo.Balancers(kgo.CooperativeStickyBalancer())},
		"consumer":           {kgo.ServerSideBalancer()},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServing(t, "", "--set", "offsets.topic.num.partitions=3", "--set", "group.initial.rebalance.delay.ms=0")
			s.createTopic("text")
			lines := goSource(t)[:9000]
			s.produce("text", lines)
			c := &consumed{records: map[int32][]*kgo.Record{}}
			ctx := deadline(t)
			first, leave := context.WithCancel(ctx)
			second, end := context.WithCancel(ctx)
			var members sync.WaitGroup
			members.Go(func() { s.member(first, c, "readers", "text", opts...) })
			c.waitFor(t, len(lines))
			members.Go(func() { s.member(second, c, "readers", "text", opts...) })
			require.Eventually(t, func() bool {
				c.Lock()
				defer c.Unlock()
				return c.assigned >= 2
			}, time.Minute, 10*time.Millisecond, "the second member has partitions")
			kind := "classic"
			if name == "consumer" {
				kind = name
			}
			assert.Equal(t, []string{"readers " + kind}, s.groups())
			s.produce("text", lines)
			c.waitFor(t, 2*len(lines))
			leave()
			s.produce("text", lines)
			c.waitFor(t, 3*len(lines))
			end()
			members.Wait()
			assert.Equal(t, 3*len(lines), c.n, "nothing was read twice")
			for p, records := range c.records {
				offsets := make([]int64, len(records))
				for i, r := range records {
					offsets[i] = r.Offset
				}
				slices.Sort(offsets)
				for i, o := range offsets {
					require.EqualValues(t, i, o, fmt.Sprint("partition ", p))
				}
			}
		})
	}
}

// On one broker __consumer_offsets has one replica, as with the server.properties that
// comes with Kafka.
func TestServe_AGroupOnOneBroker(t *testing.T) {
	t.Parallel()
	s := startServing(t, "", "--brokers", "1", "--controllers", "1", "--set", "group.initial.rebalance.delay.ms=0")
	s.createTopic("text")
	s.produce("text", goSource(t)[:1000])
	c := &consumed{records: map[int32][]*kgo.Record{}}
	ctx, end := context.WithCancel(deadline(t))
	var members sync.WaitGroup
	members.Go(func() { s.member(ctx, c, "readers", "text") })
	c.waitFor(t, 1000)
	end()
	members.Wait()
}
