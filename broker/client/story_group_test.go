package client

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/assignor"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
)

// storyMember is a member of group "g" that polls in a task of its own, every 50 ms.
type storyMember struct {
	name     string
	consumer *Consumer
	held     bool // it does not poll
	closed   bool
	busy     time.Duration // of the listener, when partitions are revoked
}

// quiet requests are those that a story of groups does without.
func quiet(req kmsg.Request) bool {
	switch req.(type) {
	case *kmsg.MetadataRequest, *kmsg.FetchRequest, *kmsg.ListOffsetsRequest:
		return true
	}
	return false
}

// doGroup runs a command of a story of groups; false: it is none.
func (s *story) doGroup(words []string) bool {
	switch words[0] {
	case "coordinator": // coordinator 1: broker 1 is the coordinator; coordinator none
		s.fake.groups.notThere = words[1] == "none"
		if !s.fake.groups.notThere {
			s.fake.groups.coordinator = int32(s.number(words[1]))
		}
	case "member": // member a session.timeout.ms=1000: joins group g and reads orders
		s.startMember(words[1], words[2:])
	case "plant": // plant client848.empty_is_nochange: in members that come from now on
		s.bugs = planted.Plant(planted.Bug(words[1]))
	case "hold": // hold a: the application does not poll
		s.members[words[1]].held = true
	case "go":
		s.members[words[1]].held = false
	case "slow": // slow a 500: to revoke takes the listener 500 ms
		s.members[words[1]].busy = time.Duration(s.number(words[2])) * time.Millisecond
	case "leave": // leave a: it is closed
		m := s.members[words[1]]
		m.closed = true
		for m.consumer != nil {
			s.host.Sleep(time.Millisecond)
		}
	case "die": // die a: it stops without a word
		m := s.members[words[1]]
		m.closed = true
		m.consumer.closed = true
		m.consumer.schedule.close()
		m.consumer.group.schedule.close()
		m.consumer.net.close()
		m.consumer.arrived.Broadcast()
		m.consumer = nil
	case "commit": // commit a; commit a 0@7
		s.commit(s.members[words[1]], words[2:])
	case "subscribe": // subscribe a orders more
		require.NoError(s.t, s.members[words[1]].consumer.Subscribe(words[2:], s.listener(s.members[words[1]])))
	case "unsubscribe":
		require.NoError(s.t, s.members[words[1]].consumer.Unsubscribe())
	case "partitions": // partitions orders 3: it has so many now
		s.partitions(words[1], int32(s.number(words[2])))
	case "answer": // answer SyncGroup REBALANCE_IN_PROGRESS 2: to the next two
		n := 1
		if len(words) > 3 {
			n = int(s.number(words[3]))
		}
		s.answerWith(words[1], errorNamed(s.t, words[2]), n)
	case "lose": // lose Heartbeat: the connection breaks instead of the next answer
		s.lose(words[1])
	case "remove": // remove m1, remove A: the coordinator removes a member
		s.fake.group("g").remove(s.host.Uptime(), words[1])
		for id, m := range s.fake.group("g").modern.members {
			if m.name == words[1] {
				s.fake.group("g").modern.remove(s.fake, id)
				break
			}
		}
	case "offsets": // what the group has committed
		g := s.fake.group("g")
		text := ""
		for _, tp := range slices.SortedFunc(maps.Keys(g.offsets), kafka.TopicPartition.Compare) {
			text += fmt.Sprintf(" %v@%d", tp, g.offsets[tp].Offset)
		}
		s.say("committed:%s", text)
	case "unstable": // unstable 0: a transaction may still change the offset; stable 0
		s.fake.group("g").unstable[orders(int32(s.number(words[1])))] = true
	case "stable":
		delete(s.fake.group("g").unstable, orders(int32(s.number(words[1]))))
	default:
		return false
	}
	return true
}

func (s *story) startMember(name string, set []string) {
	if s.members == nil {
		s.members = map[string]*storyMember{}
	}
	base := []string{"group.id=g", "enable.auto.commit=false", "partition.assignment.strategy=range", "heartbeat.interval.ms=300", "session.timeout.ms=2000", "max.poll.interval.ms=5000"}
	regex := ""
	m := &storyMember{name: name}
	topics := []string{"orders"}
	var settings []string
	for _, word := range set {
		if text, ok := strings.CutPrefix(word, "topics="); ok {
			topics = strings.Split(text, "+")
			continue
		}
		if text, ok := strings.CutPrefix(word, "regex="); ok {
			regex = text
			continue
		}
		settings = append(settings, word)
	}
	if slices.Contains(settings, "group.protocol=consumer") {
		base = []string{"group.id=g", "enable.auto.commit=false", "max.poll.interval.ms=5000"}
	}
	m.consumer = consumerWith(s.t, s.client, s.bugs, append(base, settings...)...)
	s.members[name] = m
	switch {
	case regex != "" && m.consumer.cfg.GroupProtocol == ConsumerProtocol:
		require.NoError(s.t, m.consumer.SubscribeRE2(regex, s.listener(m)))
	case regex != "":
		require.NoError(s.t, m.consumer.SubscribePattern(regexp.MustCompile(regex), s.listener(m)))
	default:
		require.NoError(s.t, m.consumer.Subscribe(topics, s.listener(m)))
	}
	s.host.Go("member "+name, func() {
		for !m.closed {
			if m.held {
				s.host.Sleep(time.Millisecond)
				continue
			}
			records, err := m.consumer.Poll(50 * time.Millisecond)
			if m.consumer == nil {
				return
			}
			if err != nil {
				s.say("%s: %v", name, err)
				m.closed = m.closed || errors.Is(err, kerr.FencedInstanceID) // there is another one
				s.host.Sleep(50 * time.Millisecond)
			}
			for _, r := range records {
				s.say("%s: polled %s, offset %d of %v", name, r.Value, r.Offset, r.Partition)
			}
		}
		if m.consumer != nil {
			if err := m.consumer.CloseWithin(time.Second); err != nil {
				s.say("%s: close: %v", name, err)
			}
			m.consumer = nil
		}
	})
}

func (s *story) listener(m *storyMember) RebalanceListener {
	as := func(what string) func([]kafka.TopicPartition) error {
		return func(tps []kafka.TopicPartition) error {
			if what == "revoked" && m.busy > 0 {
				s.say("%s: revokes %s", m.name, numbers(tps))
				s.host.Sleep(m.busy)
			}
			g, _ := m.consumer.GroupMetadata()
			s.say("%s: %s %s as %s of generation %d", m.name, what, numbers(tps), s.as(g.Member, nil), g.Generation)
			return nil
		}
	}
	return RebalanceListener{Revoked: as("revoked"), Lost: as("lost"), Assigned: as("assigned")}
}

func orNone(s string) string {
	if s == "" {
		return "no member"
	}
	return s
}

// numbers are the partitions, of orders by number alone.
func numbers(tps []kafka.TopicPartition) string {
	if len(tps) == 0 {
		return "nothing"
	}
	var all []string
	for _, tp := range tps {
		all = append(all, strings.TrimPrefix(tp.String(), "orders/"))
	}
	return strings.Join(all, " ")
}

func (s *story) commit(m *storyMember, words []string) {
	var err error
	if len(words) == 0 {
		err = m.consumer.CommitSync()
	} else {
		offsets := Offsets{}
		for _, word := range words {
			number, offset, _ := strings.Cut(word, "@")
			offsets[orders(int32(s.number(number)))] = OffsetAndMetadata{Offset: kafka.Offset(s.number(offset)), LeaderEpoch: kafka.NoEpoch}
		}
		err = m.consumer.CommitOffsetsSync(offsets)
	}
	switch {
	case err == nil:
		s.say("%s: has committed", m.name)
	case errors.Is(err, ErrCommitFailed):
		s.say("%s: commit failed for good: %v", m.name, err)
	default:
		s.say("%s: %v", m.name, err)
	}
}

func (s *story) partitions(topic string, n int32) {
	for p := range n {
		tp := kafka.TopicPartition{Topic: topic, Partition: p}
		if s.fake.parts[tp] == nil {
			s.fake.parts[tp] = &fakePartition{leader: p % s.fake.brokers, epoch: 1, producers: map[kafka.ProducerID]*fakeProducer{}}
		}
	}
	if !slices.Contains(s.fake.topics, topic) {
		s.fake.topics = append(s.fake.topics, topic)
		s.fake.ids[topic] = kafka.NewUUID(s.fake.w.Rand("topic ids " + topic))
	}
}

// answerWith has the next n requests of an API answered with an error.
func (s *story) answerWith(api string, err *kerr.Error, n int) {
	s.fake.onRequest = func(_ int32, req kmsg.Request) kmsg.Response {
		if kmsg.NameForKey(req.Key()) != api || n == 0 {
			return nil
		}
		n--
		resp := req.ResponseKind()
		switch r := resp.(type) {
		case *kmsg.JoinGroupResponse:
			r.ErrorCode = err.Code
		case *kmsg.SyncGroupResponse:
			r.ErrorCode = err.Code
		case *kmsg.HeartbeatResponse:
			r.ErrorCode = err.Code
		case *kmsg.ConsumerGroupHeartbeatResponse:
			r.ErrorCode = err.Code
		case *kmsg.OffsetCommitResponse:
			for _, rt := range req.(*kmsg.OffsetCommitRequest).Topics {
				t := kmsg.NewOffsetCommitResponseTopic()
				t.Topic, t.TopicID = rt.Topic, rt.TopicID
				for _, rp := range rt.Partitions {
					p := kmsg.NewOffsetCommitResponseTopicPartition()
					p.Partition, p.ErrorCode = rp.Partition, err.Code
					t.Partitions = append(t.Partitions, p)
				}
				r.Topics = append(r.Topics, t)
			}
		default:
			if !refuse(req, resp, err.Code) {
				s.t.Fatalf("no error for %s", api)
			}
		}
		return resp
	}
}

// groupText is how a story has a request of a group API; an empty answer: not at all.
func (s *story) groupText(req kmsg.Request, resp kmsg.Response) (asked, answer string) {
	switch r := req.(type) {
	case *kmsg.FindCoordinatorRequest:
		c := resp.(*kmsg.FindCoordinatorResponse).Coordinators[0]
		return " " + r.CoordinatorKeys[0], text(c.ErrorCode, fmt.Sprintf("broker %d", c.NodeID))
	case *kmsg.JoinGroupRequest:
		a := resp.(*kmsg.JoinGroupResponse)
		asked = " by " + s.as(r.MemberID, r.InstanceID)
		if sub, err := assignor.DecodeSubscription(r.Protocols[0].Metadata); err == nil {
			asked += fmt.Sprintf(" owning %s since %d", numbers(sub.Owned), sub.Generation)
		}
		answer = text(a.ErrorCode, fmt.Sprintf("generation %d, leader %s, %s", a.Generation, a.LeaderID, textOf(a.Protocol)))
		if a.ErrorCode == kerr.MemberIDRequired.Code {
			answer += " " + a.MemberID
		}
		return asked, answer
	case *kmsg.SyncGroupRequest:
		asked = fmt.Sprintf(" by %s of %d", s.as(r.MemberID, r.InstanceID), r.Generation)
		for _, share := range r.GroupAssignment {
			a, err := assignor.DecodeAssignment(share.MemberAssignment)
			require.NoError(s.t, err)
			asked += fmt.Sprintf(", %s to %s", numbers(a.Partitions), share.MemberID)
		}
		a := resp.(*kmsg.SyncGroupResponse)
		got, err := assignor.DecodeAssignment(a.MemberAssignment)
		require.NoError(s.t, err)
		return asked, text(a.ErrorCode, numbers(got.Partitions))
	case *kmsg.HeartbeatRequest:
		a := resp.(*kmsg.HeartbeatResponse)
		return fmt.Sprintf(" by %s of %d", s.as(r.MemberID, r.InstanceID), r.Generation), text(a.ErrorCode, "")
	case *kmsg.LeaveGroupRequest:
		return fmt.Sprintf(" by %s: %s", r.Members[0].MemberID, textOf(r.Members[0].Reason)), "ok"
	case *kmsg.OffsetCommitRequest:
		asked = fmt.Sprintf(" by %s of %d:", s.as(r.MemberID, r.InstanceID), r.Generation)
		for _, rt := range r.Topics {
			for _, rp := range rt.Partitions {
				asked += fmt.Sprintf(" %d@%d", rp.Partition, rp.Offset)
			}
		}
		return asked, text(resp.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode, "ok")
	case *kmsg.ConsumerGroupHeartbeatRequest:
		return s.modernText(r, resp.(*kmsg.ConsumerGroupHeartbeatResponse))
	case *kmsg.OffsetFetchRequest:
		a := resp.(*kmsg.OffsetFetchResponse).Groups[0]
		answer = text(a.ErrorCode, "")
		for _, rt := range a.Topics {
			for _, rp := range rt.Partitions {
				answer += text(rp.ErrorCode, fmt.Sprintf(" %d@%d", rp.Partition, rp.Offset))
			}
		}
		return "", answer
	}
	return "", ""
}

// modernText leaves out heartbeats that say nothing and are answered with nothing.
func (s *story) modernText(r *kmsg.ConsumerGroupHeartbeatRequest, a *kmsg.ConsumerGroupHeartbeatResponse) (asked, answer string) {
	if r.SubscribedTopicNames != nil {
		asked += fmt.Sprintf(", reads %v", r.SubscribedTopicNames)
	}
	if r.SubscribedTopicRegex != nil {
		asked += fmt.Sprintf(", reads %q", *r.SubscribedTopicRegex)
	}
	if r.Topics != nil {
		var owned []kafka.TopicPartition
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				owned = append(owned, kafka.TopicPartition{Topic: s.fake.name("", t.TopicID), Partition: p})
			}
		}
		asked += ", owns " + numbers(owned)
	}
	answer = text(a.ErrorCode, fmt.Sprintf("epoch %d", a.MemberEpoch))
	if a.Assignment != nil {
		var given []kafka.TopicPartition
		for _, t := range a.Assignment.Topics {
			for _, p := range t.Partitions {
				given = append(given, kafka.TopicPartition{Topic: s.fake.name("", t.TopicID), Partition: p})
			}
		}
		answer += ", assigned " + numbers(given)
	}
	if asked == "" && a.ErrorCode == 0 && a.Assignment == nil && a.MemberEpoch == r.MemberEpoch && r.MemberEpoch >= 0 {
		return "", ""
	}
	return fmt.Sprintf(" by %s of %d%s", s.as(r.MemberID, r.InstanceID), r.MemberEpoch, asked), answer
}

func (s *story) as(id string, instance *string) string {
	if name := s.fake.group("g").modern.names[id]; name != "" {
		id = name
	} else if len(id) == 22 {
		id = "a new member"
	}
	if instance != nil {
		return orNone(id) + " (" + *instance + ")"
	}
	return orNone(id)
}

// lose has the connection break instead of the next answer to an API.
func (s *story) lose(api string) {
	s.fake.onRequest = func(node int32, req kmsg.Request) kmsg.Response {
		if kmsg.NameForKey(req.Key()) == api {
			s.fake.onRequest = nil
			s.say("broker %d: %s is lost", node, api)
			s.fake.w.Network().Reset("client", s.fake.host(node))
		}
		return nil
	}
}
