package broker_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	clusters "github.com/ktrial/ktrial/scenarios/cluster"
)

// coordinator waits until a group has a coordinator, and is its id.
func (u *user) coordinator(group string) (id kafka.NodeID) {
	u.eventually(30*time.Second, "a coordinator of "+group, func() bool {
		for _, at := range u.c.brokers() {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorKeys = []string{group}
			resp, err := u.ask(at, req)
			if err != nil {
				continue
			}
			c := resp.(*kmsg.FindCoordinatorResponse).Coordinators[0]
			id = kafka.NodeID(c.NodeID)
			return c.ErrorCode == 0
		}
		return false
	})
	return id
}

// askGroup asks a group's coordinator, wherever it is and as often as it must.
func askGroup[R kmsg.Response](u *user, group string, req kmsg.Request, code func(R) int16) (answer R) {
	u.eventually(time.Minute, "an answer of the coordinator of "+group, func() bool {
		resp, err := u.ask(u.coordinator(group), req)
		if err != nil {
			return false
		}
		answer = resp.(R)
		switch kerr.ErrorForCode(code(answer)) {
		case kerr.NotCoordinator, kerr.CoordinatorNotAvailable, kerr.CoordinatorLoadInProgress:
			return false
		}
		return true
	})
	return answer
}

// member is a consumer that speaks the classic protocol by hand.
type member struct {
	*user
	group, id  string
	topic      kafka.UUID // of orders
	generation int32
	leads      bool
	others     []kmsg.JoinGroupResponseMember
}

func (m *member) join() {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.ProtocolType = m.group, m.id, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10_000, 20_000
	protocol := kmsg.NewJoinGroupRequestProtocol()
	protocol.Name, protocol.Metadata = "range", []byte{0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}
	req.Protocols = append(req.Protocols, protocol)
	resp := askGroup(m.user, m.group, req, func(r *kmsg.JoinGroupResponse) int16 { return r.ErrorCode })
	m.id = resp.MemberID
	if resp.ErrorCode == kerr.MemberIDRequired.Code {
		m.join()
		return
	}
	require.Zero(m.t, resp.ErrorCode, "%v", kerr.ErrorForCode(resp.ErrorCode))
	m.generation, m.leads, m.others = resp.Generation, resp.LeaderID == resp.MemberID, resp.Members
}

// sync brings, if this member leads, the same assignment to all.
func (m *member) sync(assignment string) string {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.MemberID, req.Generation = m.group, m.id, m.generation
	req.ProtocolType, req.Protocol = ptr("consumer"), ptr("range")
	for _, other := range m.others {
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = other.MemberID, []byte(assignment)
		req.GroupAssignment = append(req.GroupAssignment, a)
	}
	resp := askGroup(m.user, m.group, req, func(r *kmsg.SyncGroupResponse) int16 { return r.ErrorCode })
	require.Zero(m.t, resp.ErrorCode, "%v", kerr.ErrorForCode(resp.ErrorCode))
	return string(resp.MemberAssignment)
}

func (m *member) heartbeat() error {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.Generation = m.group, m.id, m.generation
	return kerr.ErrorForCode(askGroup(m.user, m.group, req, func(r *kmsg.HeartbeatResponse) int16 { return r.ErrorCode }).ErrorCode)
}

// commit commits an offset of orders/0.
func (m *member) commit(at int64) error {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation = m.group, m.id, m.generation
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic, t.TopicID = "orders", m.topic
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Offset, p.Metadata = at, ptr("")
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp := askGroup(m.user, m.group, req, func(r *kmsg.OffsetCommitResponse) int16 { return r.Topics[0].Partitions[0].ErrorCode })
	return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
}

// committed is the offset of orders/0.
func (m *member) committed() int64 {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable = true
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = m.group
	t := kmsg.NewOffsetFetchRequestGroupTopic()
	t.Topic, t.TopicID, t.Partitions = "orders", m.topic, []int32{0}
	g.Topics = append(g.Topics, t)
	req.Groups = append(req.Groups, g)
	resp := askGroup(m.user, m.group, req, func(r *kmsg.OffsetFetchResponse) int16 { return r.Groups[0].ErrorCode })
	require.Zero(m.t, resp.Groups[0].ErrorCode)
	require.Zero(m.t, resp.Groups[0].Topics[0].Partitions[0].ErrorCode)
	return resp.Groups[0].Topics[0].Partitions[0].Offset
}

// A group of one member, over real requests, with its coordinator killed in between.
func TestGroups_OutliveTheirCoordinator(t *testing.T) {
	c := newCluster(t, 1, clusters.Shape{Combined: 3, Config: map[string]string{"ktrial.coordinator.check": "true"}})
	c.client(func(u *user) {
		u.running(1, 2, 3)
		u.createTopic(1, "orders", 1, 3)
		_, topic := u.leader(1, "orders", 0)
		m := &member{user: u, group: "billing", topic: topic}
		m.join()
		assert.EqualValues(t, 1, m.generation)
		assert.True(t, m.leads)
		assert.Equal(t, "all of it", m.sync("all of it"))
		assert.NoError(t, m.heartbeat())
		assert.EqualValues(t, -1, m.committed())
		assert.NoError(t, m.commit(42))
		assert.EqualValues(t, 42, m.committed())

		was := u.coordinator(m.group)
		c.w.Host(c.HostOf(was)).Kill()
		u.eventually(30*time.Second, "another coordinator", func() bool { return u.coordinator(m.group) != was })
		assert.EqualValues(t, 42, m.committed())
		assert.NoError(t, m.heartbeat(), "the member is still one, in the same generation")
		assert.NoError(t, m.commit(43))
		c.restart(was)
		u.running(1, 2, 3)
		assert.EqualValues(t, 43, m.committed())
	})
	assert.Zero(t, c.told["shard-diverged"])
	assert.NotZero(t, c.told["shard-committed"])
}
