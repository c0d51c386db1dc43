package broker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	clusters "github.com/ktrial/ktrial/scenarios/cluster"
)

// beater is a member of a KIP-848 group that sends its heartbeats by hand.
type beater struct {
	*user
	group, id string
	topic     kafka.UUID // of orders
	epoch     int32
	owned     []int32
}

// beat sends one heartbeat, and takes over what it is told.
func (c *beater) beat() error {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch = c.group, c.id, c.epoch
	req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	if c.epoch == 0 {
		req.RebalanceTimeoutMillis, req.SubscribedTopicNames = 30_000, []string{"orders"}
	} else if len(c.owned) > 0 {
		t := kmsg.NewConsumerGroupHeartbeatRequestTopic()
		t.TopicID, t.Partitions = c.topic, c.owned
		req.Topics = append(req.Topics, t)
	}
	resp := askGroup(c.user, c.group, req, func(r *kmsg.ConsumerGroupHeartbeatResponse) int16 { return r.ErrorCode })
	if resp.ErrorCode != 0 {
		return kerr.ErrorForCode(resp.ErrorCode)
	}
	c.epoch = resp.MemberEpoch
	if resp.Assignment != nil {
		c.owned = nil
		for _, t := range resp.Assignment.Topics {
			require.Equal(c.t, c.topic, kafka.UUID(t.TopicID))
			c.owned = t.Partitions
		}
	}
	return nil
}

// describe is a group in a line.
func (c *beater) describe() string {
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups, req.IncludeAuthorizedOperations = []string{c.group}, true
	g := askGroup(c.user, c.group, req, func(r *kmsg.ConsumerGroupDescribeResponse) int16 { return r.Groups[0].ErrorCode }).Groups[0]
	if g.ErrorCode != 0 {
		return kerr.ErrorForCode(g.ErrorCode).(*kerr.Error).Message
	}
	return fmt.Sprintf("%s, epoch %d, target %d, %s, %d members, operations %d", g.State, g.Epoch, g.AssignmentEpoch, g.AssignorName, len(g.Members), g.AuthorizedOperations)
}

// A KIP-848 group of two members, over real requests, with its coordinator killed in
// the middle of a rebalance.
func TestConsumerGroups_OutliveTheirCoordinator(t *testing.T) {
	c := newCluster(t, 1, clusters.Shape{Combined: 3, Config: map[string]string{
		"ktrial.coordinator.check": "true", "group.consumer.assignment.interval.ms": "0",
	}})
	c.client(func(u *user) {
		u.running(1, 2, 3)
		u.createTopic(1, "orders", 4, 3)
		_, topic := u.leader(1, "orders", 0)
		a := &beater{user: u, group: "billing", id: "A", topic: topic}
		b := &beater{user: u, group: "billing", id: "B", topic: topic}
		assert.Equal(t, "GROUP_ID_NOT_FOUND", a.describe())
		assert.NoError(t, a.beat())
		assert.Equal(t, []int32{0, 1, 2, 3}, a.owned)
		assert.NoError(t, b.beat())
		assert.Empty(t, b.owned)
		assert.NoError(t, a.beat())
		assert.Equal(t, []int32{0, 1}, a.owned, "it is to give up the others")

		was := u.coordinator(a.group)
		c.w.Host(c.HostOf(was)).Kill()
		u.eventually(30*time.Second, "another coordinator", func() bool { return u.coordinator(a.group) != was })
		assert.NoError(t, b.beat())
		assert.Empty(t, b.owned, "A has not said that it gave them up")
		assert.NoError(t, a.beat())
		assert.NoError(t, b.beat())
		assert.Equal(t, []int32{2, 3}, b.owned)
		assert.Equal(t, "Stable, epoch 3, target 3, uniform, 2 members, operations 3400", b.describe())

		list := kmsg.NewPtrListGroupsRequest()
		resp, err := u.ask(u.coordinator(a.group), list)
		require.NoError(t, err)
		listed := resp.(*kmsg.ListGroupsResponse).Groups
		require.Len(t, listed, 1)
		assert.Equal(t, "consumer Stable", listed[0].GroupType+" "+listed[0].GroupState)

		// B is silent until its session ends; A goes on.
		u.eventually(2*time.Minute, "A to have all", func() bool {
			require.NoError(t, a.beat())
			return len(a.owned) == 4
		})
		assert.ErrorIs(t, b.beat(), kerr.UnknownMemberID)
		a.epoch = -1
		assert.NoError(t, a.beat())
		assert.Equal(t, "Empty, epoch 5, target 5, uniform, 0 members, operations 3400", a.describe())
	})
	assert.Zero(t, c.told["shard-diverged"])
	assert.NotZero(t, c.told["shard-committed"])
}

// Without the protocol there are no such groups.
func TestConsumerGroups_MayBeTurnedOff(t *testing.T) {
	c := newCluster(t, 1, clusters.Shape{Combined: 1, Config: map[string]string{"group.coordinator.rebalance.protocols": "classic", "offsets.topic.replication.factor": "1"}})
	c.client(func(u *user) {
		u.running(1)
		a := &beater{user: u, group: "billing", id: "A"}
		assert.ErrorIs(t, a.beat(), kerr.UnsupportedVersion)
	})
}
