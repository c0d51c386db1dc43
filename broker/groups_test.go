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
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/wire"
	clusters "github.com/ktrial/ktrial/scenarios/cluster"
)

// coordinator waits until a group has a coordinator, and is its id.
func (u *user) coordinator(group string) (id kafka.NodeID) {
	u.eventually(30*time.Second, "a coordinator of "+group, func() bool {
		for _, at := range u.c.brokers() {
			resp, err := u.ask(at, findCoordinator(group))
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

func (m *member) join() { require.NoError(m.t, m.tryJoin()) }

func (m *member) tryJoin() error {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.ProtocolType = m.group, m.id, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10_000, 20_000
	protocol := kmsg.NewJoinGroupRequestProtocol()
	protocol.Name, protocol.Metadata = "range", []byte{0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}
	req.Protocols = append(req.Protocols, protocol)
	resp := askGroup(m.user, m.group, req, func(r *kmsg.JoinGroupResponse) int16 { return r.ErrorCode })
	m.id = resp.MemberID
	switch err := kerr.ErrorForCode(resp.ErrorCode); err {
	case nil:
	case kerr.MemberIDRequired:
		return m.tryJoin()
	default:
		return err
	}
	m.generation, m.leads, m.others = resp.Generation, resp.LeaderID == resp.MemberID, resp.Members
	return nil
}

// sync brings, if this member leads, the same assignment to all.
func (m *member) sync(assignment string) string {
	got, err := m.trySync(assignment)
	require.NoError(m.t, err)
	return got
}

func (m *member) trySync(assignment string) (string, error) {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.MemberID, req.Generation = m.group, m.id, m.generation
	req.ProtocolType, req.Protocol = ptr("consumer"), ptr("range")
	for _, other := range m.others {
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = other.MemberID, []byte(assignment)
		req.GroupAssignment = append(req.GroupAssignment, a)
	}
	resp := askGroup(m.user, m.group, req, func(r *kmsg.SyncGroupResponse) int16 { return r.ErrorCode })
	return string(resp.MemberAssignment), kerr.ErrorForCode(resp.ErrorCode)
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

// groupCluster is three nodes with a topic and a group of one member, that has
// committed 42.
func groupCluster(t *testing.T, config map[string]string, main func(u *user, m *member)) {
	c := newCluster(t, 1, clusters.Shape{Combined: 3, Config: config})
	c.client(func(u *user) {
		u.running(1, 2, 3)
		u.createTopic(1, "orders", 1, 3)
		_, topic := u.leader(1, "orders", 0)
		m := &member{user: u, group: "billing", topic: topic}
		m.join()
		m.sync("all of it")
		require.NoError(t, m.commit(42))
		main(u, m)
	})
}

func (m *member) leave() error {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = m.group
	member := kmsg.NewLeaveGroupRequestMember()
	member.MemberID = m.id
	req.Members = append(req.Members, member)
	resp := askGroup(m.user, m.group, req, func(r *kmsg.LeaveGroupResponse) int16 { return r.ErrorCode })
	return kerr.ErrorForCode(resp.Members[0].ErrorCode)
}

func TestGroups_AreListedDescribedAndDeleted(t *testing.T) {
	groupCluster(t, nil, func(u *user, m *member) {
		list := func(at kafka.NodeID, states ...string) (names []string) {
			req := kmsg.NewPtrListGroupsRequest()
			req.StatesFilter = states
			resp, err := u.ask(at, req)
			require.NoError(t, err)
			for _, g := range resp.(*kmsg.ListGroupsResponse).Groups {
				names = append(names, g.Group+" "+g.GroupState+" "+g.GroupType)
			}
			return names
		}
		describe := func() kmsg.DescribeGroupsResponseGroup {
			req := kmsg.NewPtrDescribeGroupsRequest()
			req.Groups, req.IncludeAuthorizedOperations = []string{m.group}, true
			return askGroup(u, m.group, req, func(r *kmsg.DescribeGroupsResponse) int16 { return r.Groups[0].ErrorCode }).Groups[0]
		}
		remove := func() error {
			req := kmsg.NewPtrDeleteGroupsRequest()
			req.Groups = []string{m.group, m.group}
			resp := askGroup(u, m.group, req, func(r *kmsg.DeleteGroupsResponse) int16 { return r.Groups[0].ErrorCode })
			assert.Len(t, resp.Groups, 1, "one that is named twice is answered once")
			return kerr.ErrorForCode(resp.Groups[0].ErrorCode)
		}
		at := u.coordinator(m.group)
		assert.Equal(t, []string{"billing Stable classic"}, list(at))
		assert.Equal(t, []string{"billing Stable classic"}, list(at, "stable"))
		assert.Empty(t, list(at, "Empty"))
		assert.Empty(t, list(at%3+1), "another broker coordinates it")
		g := describe()
		assert.Equal(t, "Stable", g.State)
		assert.EqualValues(t, 3400, g.AuthorizedOperations)
		require.Len(t, g.Members, 1)
		assert.Equal(t, "user", g.Members[0].ClientID)
		assert.Equal(t, "/client", g.Members[0].ClientHost)
		assert.Equal(t, "all of it", string(g.Members[0].MemberAssignment))

		assert.ErrorIs(t, remove(), kerr.NonEmptyGroup)
		assert.NoError(t, m.leave())
		assert.ErrorIs(t, m.leave(), kerr.UnknownMemberID)
		assert.Equal(t, []string{"billing Empty classic"}, list(at))
		assert.NoError(t, remove())
		assert.EqualValues(t, -1, m.committed())
		assert.ErrorIs(t, remove(), kerr.GroupIDNotFound)
		assert.Equal(t, "Dead", describe().State)
	})
}

func TestGroups_OffsetsAreDeleted(t *testing.T) {
	groupCluster(t, nil, func(u *user, m *member) {
		remove := func(topic string, partition int32) (int16, []kmsg.OffsetDeleteResponseTopic) {
			req := kmsg.NewPtrOffsetDeleteRequest()
			req.Group = m.group
			asked := kmsg.NewOffsetDeleteRequestTopic()
			asked.Topic = topic
			asked.Partitions = []kmsg.OffsetDeleteRequestTopicPartition{{Partition: partition}}
			req.Topics = append(req.Topics, asked)
			resp := askGroup(u, m.group, req, func(r *kmsg.OffsetDeleteResponse) int16 { return r.ErrorCode })
			return resp.ErrorCode, resp.Topics
		}
		_, unknown := remove("bonds", 0)
		assert.Equal(t, kerr.UnknownTopicOrPartition.Code, unknown[0].Partitions[0].ErrorCode)
		require.NoError(t, m.leave())
		code, topics := remove("orders", 0)
		assert.Zero(t, code)
		assert.Zero(t, topics[0].Partitions[0].ErrorCode)
		assert.EqualValues(t, -1, m.committed())
	})
}

// A topic that is deleted takes the offsets of all groups with it.
func TestGroups_OffsetsGoWithTheirTopic(t *testing.T) {
	groupCluster(t, nil, func(u *user, m *member) {
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.TimeoutMillis = 10_000
		asked := kmsg.NewDeleteTopicsRequestTopic()
		asked.Topic = ptr("orders")
		req.Topics = append(req.Topics, asked)
		resp, err := u.ask(1, req)
		require.NoError(t, err)
		require.Zero(t, resp.(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode)
		u.eventually(10*time.Second, "no offsets", func() bool {
			all := kmsg.NewPtrOffsetFetchRequest()
			g := kmsg.NewOffsetFetchRequestGroup()
			g.Group = m.group
			all.Groups = append(all.Groups, g)
			all.Version = 9 // by name: the id of what is gone is not known
			conn, err := wire.Dial(u.h, u.c.HostOf(u.coordinator(m.group))+":9092", "user", time.Second)
			require.NoError(t, err)
			defer conn.Close()
			resp, err := conn.Call(all, time.Second)
			require.NoError(t, err)
			return len(resp.(*kmsg.OffsetFetchResponse).Groups[0].Topics) == 0
		})
	})
}

// A coordinator that shuts down in order hands its groups over, and answers what waits.
func TestGroups_AreHandedOverInAnOrderlyShutdown(t *testing.T) {
	groupCluster(t, nil, func(u *user, m *member) {
		was := u.coordinator(m.group)
		u.c.w.Host(u.c.HostOf(was)).Process().Go("shutdown", func() { _ = u.c.node(was).Shutdown() })
		began := u.h.Uptime()
		u.eventually(30*time.Second, "another coordinator", func() bool {
			resp, err := u.ask(was%3+1, findCoordinator(m.group))
			return err == nil && resp.(*kmsg.FindCoordinatorResponse).Coordinators[0].NodeID != int32(was) &&
				resp.(*kmsg.FindCoordinatorResponse).Coordinators[0].ErrorCode == 0
		})
		assert.Less(t, u.h.Uptime()-began, 5*time.Second, "no session had to end")
		assert.NoError(t, m.heartbeat())
		assert.EqualValues(t, 42, m.committed())
	})
}

func findCoordinator(group string) *kmsg.FindCoordinatorRequest {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorKeys = []string{group}
	return req
}

// __consumer_offsets is made when the first group is looked for, as Kafka makes it, and is
// not for producers.
func TestGroups_TheInternalTopic(t *testing.T) {
	c := newCluster(t, 1, clusters.Shape{Combined: 3, Config: map[string]string{"offsets.topic.num.partitions": "7"}})
	c.client(func(u *user) {
		u.running(1, 2, 3)
		resp, err := u.ask(1, findCoordinator("billing"))
		require.NoError(t, err)
		assert.Equal(t, kerr.CoordinatorNotAvailable.Code, resp.(*kmsg.FindCoordinatorResponse).Coordinators[0].ErrorCode)
		u.coordinator("billing")

		req := kmsg.NewPtrMetadataRequest()
		resp, err = u.ask(1, req)
		require.NoError(t, err)
		topics := resp.(*kmsg.MetadataResponse).Topics
		require.Len(t, topics, 1)
		assert.Equal(t, "__consumer_offsets", *topics[0].Topic)
		assert.True(t, topics[0].IsInternal)
		assert.Len(t, topics[0].Partitions, 7)
		assert.Len(t, topics[0].Partitions[0].Replicas, 3)
		configs := kmsg.NewPtrDescribeConfigsRequest()
		asked := kmsg.NewDescribeConfigsRequestResource()
		asked.ResourceType, asked.ResourceName = kmsg.ConfigResourceTypeTopic, "__consumer_offsets"
		asked.ConfigNames = []string{"cleanup.policy", "compression.type", "segment.bytes"}
		configs.Resources = append(configs.Resources, asked)
		resp, err = u.ask(1, configs)
		require.NoError(t, err)
		var set []string
		for _, c := range resp.(*kmsg.DescribeConfigsResponse).Resources[0].Configs {
			set = append(set, c.Name+"="+*c.Value)
		}
		assert.ElementsMatch(t, []string{"cleanup.policy=compact", "compression.type=producer", "segment.bytes=104857600"}, set)

		leader, id := u.leader(1, "__consumer_offsets", 0)
		produce := kmsg.NewPtrProduceRequest()
		produce.Acks, produce.TimeoutMillis = -1, 1000
		topic := kmsg.NewProduceRequestTopic()
		topic.Topic, topic.TopicID = "__consumer_offsets", id
		p := kmsg.NewProduceRequestTopicPartition()
		b := record.NewBuilder(record.Options{})
		b.Append(1, []byte("k"), []byte("v"))
		p.Records = b.Build()
		topic.Partitions = append(topic.Partitions, p)
		produce.Topics = append(produce.Topics, topic)
		resp, err = u.ask(leader, produce)
		require.NoError(t, err)
		assert.Equal(t, kerr.InvalidTopicException.Code, resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode)
	})
}

// The types of keys that FindCoordinator knows.
func TestGroups_FindCoordinatorOfOthers(t *testing.T) {
	c := newCluster(t, 1, clusters.Shape{Combined: 3})
	c.client(func(u *user) {
		u.running(1, 2, 3)
		for kind, want := range map[int8]*kerr.Error{2: kerr.InvalidRequest, 99: kerr.InvalidRequest} {
			req := findCoordinator("a")
			req.CoordinatorType = kind
			resp, err := u.ask(1, req)
			require.NoError(t, err)
			c := resp.(*kmsg.FindCoordinatorResponse).Coordinators[0]
			assert.Equal(t, want.Code, c.ErrorCode)
			assert.EqualValues(t, -1, c.NodeID)
			assert.EqualValues(t, -1, c.Port)
		}
	})
}

// consumer is a member of a KIP-848 group that speaks by hand.
type consumer struct {
	*user
	group, id string
	epoch     int32
	has       []int32 // of orders
}

// beat sends a heartbeat, and takes what it is told.
func (m *consumer) beat() error {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch = m.group, m.id, m.epoch
	if m.epoch == 0 {
		req.RebalanceTimeoutMillis, req.SubscribedTopicNames = 30_000, []string{"orders"}
		req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	}
	resp := askGroup(m.user, m.group, req, func(r *kmsg.ConsumerGroupHeartbeatResponse) int16 { return r.ErrorCode })
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return err
	}
	m.epoch = resp.MemberEpoch
	if resp.Assignment != nil {
		m.has = nil
		for _, t := range resp.Assignment.Topics {
			m.has = append(m.has, t.Partitions...)
		}
	}
	return nil
}

// A KIP-848 group outlives its coordinator, and is configured by itself.
func TestGroups_OfKIP848(t *testing.T) {
	c := newCluster(t, 1, clusters.Shape{Combined: 3, Config: map[string]string{"ktrial.coordinator.check": "true"}})
	c.client(func(u *user) {
		u.running(1, 2, 3)
		u.createTopic(1, "orders", 4, 3)
		m := &consumer{user: u, group: "billing", id: "member-1"}
		require.NoError(t, m.beat())
		assert.EqualValues(t, 2, m.epoch)
		assert.Equal(t, []int32{0, 1, 2, 3}, m.has)

		interval := func(at int32) (int16, string) {
			req := kmsg.NewPtrIncrementalAlterConfigsRequest()
			r := kmsg.NewIncrementalAlterConfigsRequestResource()
			r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeGroupConfig, m.group
			cfg := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			cfg.Name, cfg.Value = "consumer.heartbeat.interval.ms", ptr(fmt.Sprint(at))
			r.Configs = append(r.Configs, cfg)
			req.Resources = append(req.Resources, r)
			resp, err := u.ask(1, req)
			require.NoError(t, err)
			out := resp.(*kmsg.IncrementalAlterConfigsResponse).Resources[0]
			if out.ErrorMessage == nil {
				return out.ErrorCode, ""
			}
			return out.ErrorCode, *out.ErrorMessage
		}
		code, text := interval(1)
		assert.Equal(t, kerr.InvalidConfig.Code, code)
		assert.Equal(t, "consumer.heartbeat.interval.ms must be in the range 5000 to 15000 inclusive.", text)
		code, _ = interval(7000)
		assert.Zero(t, code)
		u.eventually(10*time.Second, "the member learns its new interval", func() bool {
			req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
			req.Group, req.MemberID, req.MemberEpoch = m.group, m.id, m.epoch
			resp := askGroup(u, m.group, req, func(r *kmsg.ConsumerGroupHeartbeatResponse) int16 { return r.ErrorCode })
			return resp.HeartbeatIntervalMillis == 7000
		})

		was := u.coordinator(m.group)
		c.w.Host(c.HostOf(was)).Kill()
		u.eventually(30*time.Second, "another coordinator", func() bool { return u.coordinator(m.group) != was })
		require.NoError(t, m.beat(), "the member is still one")
		assert.EqualValues(t, 2, m.epoch)

		req := kmsg.NewPtrConsumerGroupDescribeRequest()
		req.Groups = []string{m.group, ""}
		resp := askGroup(u, m.group, req, func(r *kmsg.ConsumerGroupDescribeResponse) int16 { return r.Groups[0].ErrorCode })
		assert.Equal(t, "Stable", resp.Groups[0].State)
		assert.EqualValues(t, 2, resp.Groups[0].Epoch)
		assert.Equal(t, kerr.InvalidGroupID.Code, resp.Groups[1].ErrorCode)

		// Fenced when its session is over, and back in with the same id.
		u.h.Sleep(46 * time.Second)
		assert.ErrorIs(t, m.beat(), kerr.UnknownMemberID)
		m.epoch = 0
		require.NoError(t, m.beat())
		assert.Equal(t, []int32{0, 1, 2, 3}, m.has)
	})
	assert.Zero(t, c.told["shard-diverged"])
	assert.NotZero(t, c.told["shard-committed"])
}

// A cluster may be made without KIP-848: group.version 0.
func TestGroups_WithoutKIP848(t *testing.T) {
	c := newCluster(t, 1, clusters.Shape{Combined: 3, Config: map[string]string{"group.version": "0"}})
	c.client(func(u *user) {
		u.running(1, 2, 3)
		m := &consumer{user: u, group: "billing", id: "member-1"}
		assert.ErrorIs(t, m.beat(), kerr.UnsupportedVersion)
	})
}

// A client that asks for the offsets of a group that nobody has heard of is told that
// there are none. GROUP_ID_NOT_FOUND breaks kafkajs, sarama and librdkafka.
func TestGroups_OffsetFetchOfAGroupThatDoesNotExist(t *testing.T) {
	c := newCluster(t, 1, clusters.Shape{Combined: 3})
	c.client(func(u *user) {
		u.running(1, 2, 3)
		u.createTopic(1, "orders", 1, 3)
		_, topic := u.leader(1, "orders", 0)
		m := &member{user: u, group: "nobody", topic: topic}
		assert.EqualValues(t, -1, m.committed())
		for version := range int16(10) {
			req := kmsg.NewPtrOffsetFetchRequest()
			req.Version = version + 1
			if version == 9 {
				continue // by id, as above
			}
			asked := kmsg.NewOffsetFetchRequestTopic()
			asked.Topic, asked.Partitions = "orders", []int32{0}
			g := kmsg.NewOffsetFetchRequestGroup()
			req.Group, g.Group = m.group, m.group
			in := kmsg.NewOffsetFetchRequestGroupTopic()
			in.Topic, in.Partitions = "orders", []int32{0}
			g.Topics = append(g.Topics, in)
			req.Topics, req.Groups = append(req.Topics, asked), append(req.Groups, g)
			conn, err := wire.Dial(u.h, u.c.HostOf(u.coordinator(m.group))+":9092", "user", time.Second)
			require.NoError(t, err)
			answer, err := conn.Call(req, time.Second)
			require.NoError(t, err)
			conn.Close()
			resp := answer.(*kmsg.OffsetFetchResponse)
			assert.Zero(t, resp.ErrorCode)
			if req.Version < 8 {
				assert.EqualValues(t, -1, resp.Topics[0].Partitions[0].Offset)
				assert.Zero(t, resp.Topics[0].Partitions[0].ErrorCode)
			} else {
				assert.Zero(t, resp.Groups[0].ErrorCode)
				assert.EqualValues(t, -1, resp.Groups[0].Topics[0].Partitions[0].Offset)
			}
		}
	})
}

// librdkafka joins with version 0 where a broker says that it can (KAFKA-19444).
func TestGroups_AreJoinedInEveryVersion(t *testing.T) {
	c := newCluster(t, 1, clusters.Shape{Combined: 3})
	c.client(func(u *user) {
		u.running(1, 2, 3)
		for version := range int16(10) {
			group := fmt.Sprint("group-", version)
			req := kmsg.NewPtrJoinGroupRequest()
			req.Version, req.Group, req.ProtocolType, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = version, group, "consumer", 10_000, 10_000
			protocol := kmsg.NewJoinGroupRequestProtocol()
			protocol.Name = "range"
			req.Protocols = append(req.Protocols, protocol)
			conn, err := wire.Dial(u.h, u.c.HostOf(u.coordinator(group))+":9092", "user", time.Second)
			require.NoError(t, err)
			defer conn.Close()
			var resp *kmsg.JoinGroupResponse
			u.eventually(10*time.Second, "joined", func() bool {
				answer, err := conn.Call(req, 10*time.Second)
				require.NoError(t, err)
				resp = answer.(*kmsg.JoinGroupResponse)
				req.MemberID = resp.MemberID
				return resp.ErrorCode == 0
			})
			assert.EqualValues(t, 1, resp.Generation, "version %d", version)
			assert.Equal(t, resp.MemberID, resp.LeaderID)
			assert.Equal(t, "range", *resp.Protocol)
		}
	})
}

// Records of __consumer_offsets that cannot be read are set aside and said. Only an
// administrator's client, or a disk, can bring them there.
func TestGroups_DamagedRecordsCostNoOther(t *testing.T) {
	groupCluster(t, map[string]string{"offsets.topic.num.partitions": "1"}, func(u *user, m *member) {
		at := u.coordinator(m.group)
		_, id := u.leader(at, "__consumer_offsets", 0)
		b := record.NewBuilder(record.Options{})
		b.Append(1, []byte{0, 1, 0, 99}, []byte("no offset"))    // a key that is cut off
		b.Append(1, []byte{0, 2, 0, 1, 'g'}, []byte{0, 3, 0xff}) // a group that is cut off
		b.Append(1, []byte{0, 77, 1, 2, 3}, []byte("a type of tomorrow"))
		b.Append(1, []byte{}, nil)
		b.Append(1, nil, []byte("no key"))
		produce := kmsg.NewPtrProduceRequest()
		produce.Acks, produce.TimeoutMillis = -1, 1000
		topic := kmsg.NewProduceRequestTopic()
		topic.Topic, topic.TopicID = "__consumer_offsets", id
		p := kmsg.NewProduceRequestTopicPartition()
		p.Records = b.Build()
		topic.Partitions = append(topic.Partitions, p)
		produce.Topics = append(produce.Topics, topic)
		conn, err := wire.Dial(u.h, u.c.HostOf(at)+":9092", "__admin_client", time.Second)
		require.NoError(t, err)
		defer conn.Close()
		resp, err := conn.Call(wire.Latest(produce), time.Second)
		require.NoError(t, err)
		part := resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
		assert.Equal(t, kerr.InvalidRecord.Code, part.ErrorCode, "a compacted topic takes no record without a key")
		assert.EqualValues(t, 42, m.committed())

		b.Reset(record.Options{})
		b.Append(1, []byte{0, 1, 0, 99}, []byte("no offset"))
		b.Append(1, []byte{0, 2, 0, 1, 'g'}, []byte{0, 3, 0xff})
		b.Append(1, []byte{0, 77, 1, 2, 3}, []byte("a type of tomorrow"))
		b.Append(1, []byte{}, nil)
		produce.Topics[0].Partitions[0].Records = b.Build()
		resp, err = conn.Call(wire.Latest(produce), time.Second)
		require.NoError(t, err)
		require.Zero(t, resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode)
		assert.EqualValues(t, 42, m.committed())
		assert.NoError(t, m.heartbeat())
		assert.NoError(t, m.commit(43))
		assert.EqualValues(t, 43, m.committed())
		assert.Equal(t, 3, u.c.told["record-set-aside"], "and the type of tomorrow is passed over")
	})
}
