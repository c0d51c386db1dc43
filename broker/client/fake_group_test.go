package client

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/sim/env"
)

// fakeGroups are the groups of a fake cluster, all with the same coordinator. It obeys
// the rules of classic groups that matter to members: a join waits for all members, the
// leader's assignment for its SyncGroup; a member without a heartbeat is removed.
type fakeGroups struct {
	coordinator int32
	notThere    bool // FindCoordinator: COORDINATOR_NOT_AVAILABLE
	groups      map[string]*fakeGroup
}

type fakeGroup struct {
	generation int32
	state      string // Empty, Preparing, Completing, Stable
	members    map[string]*fakeMember
	ids        int // given so far
	leader     string
	listed     []string // the members of the generation
	protocol   string
	joinBy     time.Duration // when the join phase ends
	offsets    map[kafka.TopicPartition]kmsg.OffsetCommitRequestTopicPartition
	unstable   map[kafka.TopicPartition]bool
	modern     fakeModern
}

type fakeMember struct {
	instance   string
	protocols  []kmsg.JoinGroupRequestProtocol
	session    time.Duration
	rebalance  time.Duration
	seen       time.Duration
	joined     bool // in this round
	assignment []byte
}

func (f *fake) group(name string) *fakeGroup {
	g := f.groups.groups[name]
	if g == nil {
		g = &fakeGroup{
			state: "Empty", members: map[string]*fakeMember{}, unstable: map[kafka.TopicPartition]bool{},
			offsets: map[kafka.TopicPartition]kmsg.OffsetCommitRequestTopicPartition{},
		}
		if f.groups.groups == nil {
			f.groups.groups = map[string]*fakeGroup{}
		}
		f.groups.groups[name] = g
	}
	return g
}

// groupAnswer answers a request of a group API; false: it is none.
func (f *fake) groupAnswer(ctx *wire.Context, node int32, req kmsg.Request, resp kmsg.Response) bool {
	there := node == f.groups.coordinator && !f.groups.notThere
	notHere := int16(0)
	if !there {
		notHere = kerr.NotCoordinator.Code
	}
	switch r := req.(type) {
	case *kmsg.FindCoordinatorRequest:
		f.findCoordinator(r, resp.(*kmsg.FindCoordinatorResponse))
	case *kmsg.JoinGroupRequest:
		a := resp.(*kmsg.JoinGroupResponse)
		if a.ErrorCode = notHere; there {
			f.group(r.Group).join(ctx.Host, r, a)
		}
	case *kmsg.SyncGroupRequest:
		a := resp.(*kmsg.SyncGroupResponse)
		if a.ErrorCode = notHere; there {
			f.group(r.Group).sync(ctx.Host, r, a)
		}
	case *kmsg.HeartbeatRequest:
		a := resp.(*kmsg.HeartbeatResponse)
		if a.ErrorCode = notHere; there {
			a.ErrorCode = f.group(r.Group).heartbeat(ctx.Host.Uptime(), r)
		}
	case *kmsg.LeaveGroupRequest:
		a := resp.(*kmsg.LeaveGroupResponse)
		if a.ErrorCode = notHere; there {
			for _, m := range r.Members {
				f.group(r.Group).remove(ctx.Host.Uptime(), m.MemberID)
			}
		}
	case *kmsg.OffsetCommitRequest:
		f.offsetCommit(ctx.Host.Uptime(), notHere, r, resp.(*kmsg.OffsetCommitResponse))
	case *kmsg.OffsetFetchRequest:
		f.offsetFetch(notHere, r, resp.(*kmsg.OffsetFetchResponse))
	case *kmsg.ConsumerGroupHeartbeatRequest:
		a := resp.(*kmsg.ConsumerGroupHeartbeatResponse)
		if a.ErrorCode = notHere; there {
			f.group(r.Group).modern.heartbeat(f, ctx.Host.Uptime(), r, a)
		}
	default:
		return false
	}
	return true
}

func (f *fake) findCoordinator(req *kmsg.FindCoordinatorRequest, resp *kmsg.FindCoordinatorResponse) {
	c := kmsg.NewFindCoordinatorResponseCoordinator()
	c.Key, c.NodeID, c.Host, c.Port = req.CoordinatorKeys[0], f.groups.coordinator, f.host(f.groups.coordinator), 9092
	if f.groups.notThere {
		c.ErrorCode, c.NodeID, c.Host, c.Port = kerr.CoordinatorNotAvailable.Code, -1, "", -1
	}
	resp.Coordinators = append(resp.Coordinators, c)
}

// rebalance begins a join phase.
func (g *fakeGroup) rebalance(now time.Duration) {
	if g.state == "Preparing" {
		return
	}
	g.state, g.joinBy = "Preparing", now
	for _, m := range g.members {
		m.joined = false
		g.joinBy = max(g.joinBy, now+m.rebalance)
	}
}

func (g *fakeGroup) remove(now time.Duration, id string) {
	if g.members[id] == nil {
		return
	}
	delete(g.members, id)
	if len(g.members) == 0 {
		g.state, g.generation = "Empty", g.generation+1
		return
	}
	g.rebalance(now)
}

// expire removes members without a heartbeat.
func (g *fakeGroup) expire(now time.Duration) {
	for _, id := range slices.Sorted(maps.Keys(g.members)) {
		m := g.members[id]
		if !(g.state == "Preparing" && m.joined) && now > m.seen+m.session {
			g.remove(now, id)
		}
	}
	if g.state == "Preparing" && (g.all(func(m *fakeMember) bool { return m.joined }) || now >= g.joinBy) {
		for _, id := range slices.Sorted(maps.Keys(g.members)) {
			if !g.members[id].joined {
				delete(g.members, id)
			}
		}
		g.state = "Completing"
		g.generation++
		if g.members[g.leader] == nil {
			g.leader = slices.Sorted(maps.Keys(g.members))[0]
		}
		g.protocol = g.choose()
		g.listed = slices.Sorted(maps.Keys(g.members))
		for _, m := range g.members {
			m.seen, m.assignment = now, nil
		}
	}
}

// choose is the protocol that most members want first of those that all support.
func (g *fakeGroup) choose() string {
	votes := map[string]int{}
	for _, m := range g.members {
		for _, p := range m.protocols {
			if g.all(func(other *fakeMember) bool {
				return slices.ContainsFunc(other.protocols, func(q kmsg.JoinGroupRequestProtocol) bool { return q.Name == p.Name })
			}) {
				votes[p.Name]++
				break
			}
		}
	}
	names := slices.Sorted(maps.Keys(votes))
	return slices.MaxFunc(names, func(a, b string) int { return votes[a] - votes[b] })
}

func (g *fakeGroup) all(ok func(*fakeMember) bool) bool {
	for _, m := range g.members {
		if !ok(m) {
			return false
		}
	}
	return true
}

func (g *fakeGroup) join(host env.Host, req *kmsg.JoinGroupRequest, resp *kmsg.JoinGroupResponse) {
	id := req.MemberID
	g.expire(host.Uptime())
	switch {
	case id == "" && req.InstanceID != nil:
		for _, old := range slices.Sorted(maps.Keys(g.members)) {
			if g.members[old].instance == *req.InstanceID {
				delete(g.members, old) // fenced from now on
			}
		}
		g.ids++
		id = fmt.Sprintf("%s-%d", *req.InstanceID, g.ids)
	case id == "":
		g.ids++
		resp.MemberID, resp.ErrorCode = fmt.Sprintf("m%d", g.ids), kerr.MemberIDRequired.Code
		return
	}
	m := g.members[id]
	if m == nil {
		if req.InstanceID != nil && req.MemberID != "" {
			resp.ErrorCode = kerr.FencedInstanceID.Code
			return
		}
		m = &fakeMember{}
		g.members[id] = m
	}
	if req.InstanceID != nil {
		m.instance = *req.InstanceID
	}
	m.protocols = req.Protocols
	m.session = time.Duration(req.SessionTimeoutMillis) * time.Millisecond
	m.rebalance = time.Duration(req.RebalanceTimeoutMillis) * time.Millisecond
	g.rebalance(host.Uptime())
	m.joined = true
	// A moment, so that members that come together are in one generation.
	before := g.generation
	for began := host.Uptime(); g.generation == before && g.members[id] == m; host.Sleep(time.Millisecond) {
		if host.Uptime() >= began+3*time.Millisecond {
			g.expire(host.Uptime())
		}
	}
	if g.members[id] != m {
		resp.ErrorCode = kerr.UnknownMemberID.Code
		return
	}
	m.seen = host.Uptime()
	resp.Generation, resp.MemberID, resp.LeaderID = g.generation, id, g.leader
	resp.Protocol, resp.ProtocolType = &g.protocol, kmsg.StringPtr("consumer")
	if id == g.leader {
		for _, other := range slices.DeleteFunc(slices.Clone(g.listed), func(id string) bool { return g.members[id] == nil }) {
			rm := kmsg.NewJoinGroupResponseMember()
			rm.MemberID = other
			if name := g.members[other].instance; name != "" {
				rm.InstanceID = &name
			}
			for _, p := range g.members[other].protocols {
				if p.Name == g.protocol {
					rm.ProtocolMetadata = p.Metadata
				}
			}
			resp.Members = append(resp.Members, rm)
		}
	}
}

// check is the error of a request by a member of a generation.
func (g *fakeGroup) check(now time.Duration, id string, instance *string, generation int32) int16 {
	g.expire(now)
	m := g.members[id]
	switch {
	case m == nil && instance != nil:
		return kerr.FencedInstanceID.Code
	case m == nil:
		return kerr.UnknownMemberID.Code
	case generation != g.generation:
		return kerr.IllegalGeneration.Code
	}
	m.seen = now
	return 0
}

func (g *fakeGroup) sync(host env.Host, req *kmsg.SyncGroupRequest, resp *kmsg.SyncGroupResponse) {
	if resp.ErrorCode = g.check(host.Uptime(), req.MemberID, req.InstanceID, req.Generation); resp.ErrorCode != 0 {
		return
	}
	if req.MemberID == g.leader && g.state == "Completing" {
		for _, a := range req.GroupAssignment {
			if m := g.members[a.MemberID]; m != nil {
				m.assignment = slices.Clone(a.MemberAssignment)
			}
		}
		g.state = "Stable"
	}
	for g.state == "Completing" && g.generation == req.Generation {
		host.Sleep(time.Millisecond)
		g.expire(host.Uptime())
	}
	m := g.members[req.MemberID]
	switch {
	case m == nil:
		resp.ErrorCode = kerr.UnknownMemberID.Code
	case g.state != "Stable" || g.generation != req.Generation:
		resp.ErrorCode = kerr.RebalanceInProgress.Code
	default:
		resp.MemberAssignment, resp.Protocol, resp.ProtocolType = m.assignment, &g.protocol, kmsg.StringPtr("consumer")
	}
}

func (g *fakeGroup) heartbeat(now time.Duration, req *kmsg.HeartbeatRequest) int16 {
	if code := g.check(now, req.MemberID, req.InstanceID, req.Generation); code != 0 {
		return code
	}
	if g.state == "Preparing" {
		return kerr.RebalanceInProgress.Code
	}
	return 0
}

func (f *fake) offsetCommit(now time.Duration, notHere int16, req *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse) {
	g := f.group(req.Group)
	failed := notHere
	switch {
	case failed != 0:
	case g.modern.members != nil:
		failed = g.modern.check(req.MemberID, req.Generation)
	case req.Generation >= 0 || req.MemberID != "":
		failed = g.check(now, req.MemberID, req.InstanceID, req.Generation)
		if failed == 0 && g.state == "Completing" {
			failed = kerr.RebalanceInProgress.Code
		}
	case len(g.members) > 0:
		failed = kerr.UnknownMemberID.Code
	}
	for _, rt := range req.Topics {
		t := kmsg.NewOffsetCommitResponseTopic()
		t.Topic, t.TopicID = rt.Topic, rt.TopicID
		for _, rp := range rt.Partitions {
			p := kmsg.NewOffsetCommitResponseTopicPartition()
			p.Partition, p.ErrorCode = rp.Partition, failed
			if failed == 0 {
				g.offsets[kafka.TopicPartition{Topic: f.name(rt.Topic, rt.TopicID), Partition: rp.Partition}] = rp
			}
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
}

func (f *fake) offsetFetch(notHere int16, req *kmsg.OffsetFetchRequest, resp *kmsg.OffsetFetchResponse) {
	for _, rg := range req.Groups {
		g := f.group(rg.Group)
		a := kmsg.NewOffsetFetchResponseGroup()
		a.Group, a.ErrorCode = rg.Group, notHere
		if notHere == 0 && rg.MemberID != nil {
			a.ErrorCode = g.modern.check(*rg.MemberID, rg.MemberEpoch)
		}
		for _, rt := range rg.Topics {
			if a.ErrorCode != 0 {
				break
			}
			t := kmsg.NewOffsetFetchResponseGroupTopic()
			t.Topic, t.TopicID = rt.Topic, rt.TopicID
			for _, number := range rt.Partitions {
				tp := kafka.TopicPartition{Topic: f.name(rt.Topic, rt.TopicID), Partition: number}
				p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
				p.Partition, p.Offset = number, -1
				if o, ok := g.offsets[tp]; ok {
					p.Offset, p.LeaderEpoch, p.Metadata = o.Offset, o.LeaderEpoch, o.Metadata
				}
				if g.unstable[tp] && req.RequireStable {
					p.ErrorCode, p.Offset = kerr.UnstableOffsetCommit.Code, -1
				}
				t.Partitions = append(t.Partitions, p)
			}
			a.Topics = append(a.Topics, t)
		}
		resp.Groups = append(resp.Groups, a)
	}
}
