package client

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
)

// fakeModern is what a KIP-848 group has: a target that divides the topics into blocks
// by member, in the order in which they joined, and the rules of reconciliation.
type fakeModern struct {
	epoch    int32
	members  map[string]*fakeModernMember // nil: the group is none of KIP-848
	names    map[string]string            // of members, by id, also of former ones
	interval time.Duration                // of heartbeats; 0: 300 ms
}

type fakeModernMember struct {
	name             string // A, B, C in the order of their first joins
	instance         string
	epoch            int32
	names            []string
	regex            string
	target           []kafka.TopicPartition
	assigned, leaves []kafka.TopicPartition // leaves: pending revocation
	rebalanceBy      time.Duration
	timeout          time.Duration
	seen             time.Duration
	left             bool // a static member that will come back
}

// fakeModernSession is how long a member may go without a heartbeat.
const fakeModernSession = 2 * time.Second

func (g *fakeModern) check(id string, epoch int32) int16 {
	m := g.members[id]
	switch {
	case m == nil:
		return kerr.UnknownMemberID.Code
	case m.epoch != epoch:
		return kerr.StaleMemberEpoch.Code
	}
	return 0
}

// retarget divides the partitions anew.
func (g *fakeModern) retarget(f *fake) {
	g.epoch++
	ids := slices.SortedFunc(maps.Keys(g.members), func(a, b string) int { return strings.Compare(g.members[a].name, g.members[b].name) })
	for _, id := range ids {
		g.members[id].target = nil
	}
	for _, topic := range f.topics {
		var subscribers []*fakeModernMember
		for _, id := range ids {
			m := g.members[id]
			if slices.Contains(m.names, topic) || m.regex != "" && regexp.MustCompile("^(?:"+m.regex+")$").MatchString(topic) {
				subscribers = append(subscribers, m)
			}
		}
		parts := int32(0)
		for f.parts[kafka.TopicPartition{Topic: topic, Partition: parts}] != nil {
			parts++
		}
		for p := range parts {
			if n := int32(len(subscribers)); n > 0 {
				m := subscribers[min(p/((parts+n-1)/n), n-1)]
				m.target = append(m.target, kafka.TopicPartition{Topic: topic, Partition: p})
			}
		}
	}
}

// remove takes a member out.
func (g *fakeModern) remove(f *fake, id string) {
	if g.members[id] != nil {
		delete(g.members, id)
		g.retarget(f)
	}
}

// expire removes members that are silent, or that do not give up what they have to.
func (g *fakeModern) expire(f *fake, now time.Duration) {
	for _, id := range slices.Sorted(maps.Keys(g.members)) {
		m := g.members[id]
		if now > m.seen+fakeModernSession || len(m.leaves) > 0 && now > m.rebalanceBy {
			g.remove(f, id)
		}
	}
}

func (g *fakeModern) heartbeat(f *fake, now time.Duration, req *kmsg.ConsumerGroupHeartbeatRequest, resp *kmsg.ConsumerGroupHeartbeatResponse) {
	g.expire(f, now)
	m := g.members[req.MemberID]
	switch {
	case m == nil && req.MemberEpoch != 0:
		resp.ErrorCode = kerr.UnknownMemberID.Code
		return
	case m == nil:
		if g.members == nil {
			g.members = map[string]*fakeModernMember{}
		}
		if g.names == nil {
			g.names = map[string]string{}
		}
		if g.names[req.MemberID] == "" {
			g.names[req.MemberID] = fmt.Sprintf("%c", 'A'+len(g.names))
		}
		m = &fakeModernMember{name: g.names[req.MemberID]}
		for _, id := range slices.Sorted(maps.Keys(g.members)) {
			if old := g.members[id]; req.InstanceID != nil && old.instance == *req.InstanceID {
				if !old.left {
					resp.ErrorCode = kerr.UnreleasedInstanceID.Code
					return
				}
				name := m.name
				*m = *old
				m.left, m.name = false, name
				delete(g.members, id)
			}
		}
		g.members[req.MemberID] = m
	case req.MemberEpoch == -1:
		g.remove(f, req.MemberID)
		resp.MemberEpoch = -1
		return
	case req.MemberEpoch == -2:
		m.left, m.leaves = true, nil
		resp.MemberEpoch = -2
		return
	case req.MemberEpoch != 0 && req.MemberEpoch != m.epoch:
		resp.ErrorCode = kerr.FencedMemberEpoch.Code
		return
	}
	m.seen = now
	m.subscribe(f, g, req)
	before := slices.Clone(m.assigned)
	m.reconcile(f, g, now, req)
	resp.MemberID, resp.MemberEpoch = &req.MemberID, m.epoch
	resp.HeartbeatIntervalMillis = int32(max(g.interval, 300*time.Millisecond).Milliseconds())
	if req.MemberEpoch == 0 || !slices.Equal(before, m.assigned) || req.RebalanceTimeoutMillis >= 0 && req.Topics != nil {
		resp.Assignment = f.assignment(m.assigned)
	}
}

// subscribe takes in what a heartbeat says of the member.
func (m *fakeModernMember) subscribe(f *fake, g *fakeModern, req *kmsg.ConsumerGroupHeartbeatRequest) {
	changed := false
	if req.RebalanceTimeoutMillis >= 0 {
		m.timeout = time.Duration(req.RebalanceTimeoutMillis) * time.Millisecond
	}
	if req.InstanceID != nil {
		m.instance = *req.InstanceID
	}
	if req.SubscribedTopicNames != nil && !slices.Equal(m.names, req.SubscribedTopicNames) {
		m.names, changed = req.SubscribedTopicNames, true
	}
	if req.SubscribedTopicRegex != nil && m.regex != *req.SubscribedTopicRegex {
		m.regex, changed = *req.SubscribedTopicRegex, true
	}
	if changed {
		g.retarget(f)
	}
}

func (m *fakeModernMember) reconcile(f *fake, g *fakeModern, now time.Duration, req *kmsg.ConsumerGroupHeartbeatRequest) {
	var owned []kafka.TopicPartition
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			owned = append(owned, kafka.TopicPartition{Topic: f.name("", t.TopicID), Partition: p})
		}
	}
	slices.SortFunc(owned, kafka.TopicPartition.Compare)
	gone := func(revoked []kafka.TopicPartition) bool {
		return req.Topics != nil && len(minus(revoked, owned)) == len(revoked)
	}
	if len(m.leaves) > 0 && !gone(m.leaves) {
		return
	}
	m.leaves = nil
	keep := slices.DeleteFunc(slices.Clone(m.assigned), func(tp kafka.TopicPartition) bool { return !slices.Contains(m.target, tp) })
	if revoked := minus(m.assigned, keep); len(revoked) > 0 && !gone(revoked) {
		m.assigned, m.leaves, m.rebalanceBy = keep, revoked, now+m.timeout
		return
	}
	m.assigned, m.epoch = keep, g.epoch
	for _, tp := range m.target {
		if !slices.Contains(keep, tp) && !g.held(tp) {
			m.assigned = append(m.assigned, tp)
		}
	}
	slices.SortFunc(m.assigned, kafka.TopicPartition.Compare)
}

func (g *fakeModern) held(tp kafka.TopicPartition) bool {
	for _, m := range g.members {
		if slices.Contains(m.assigned, tp) || slices.Contains(m.leaves, tp) {
			return true
		}
	}
	return false
}

func (f *fake) assignment(tps []kafka.TopicPartition) *kmsg.ConsumerGroupHeartbeatResponseAssignment {
	a := kmsg.NewConsumerGroupHeartbeatResponseAssignment()
	a.Topics = []kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic{}
	for _, tp := range tps {
		if n := len(a.Topics); n == 0 || a.Topics[n-1].TopicID != f.ids[tp.Topic] {
			t := kmsg.NewConsumerGroupHeartbeatResponseAssignmentTopic()
			t.TopicID = f.ids[tp.Topic]
			a.Topics = append(a.Topics, t)
		}
		last := &a.Topics[len(a.Topics)-1]
		last.Partitions = append(last.Partitions, tp.Partition)
	}
	return &a
}
