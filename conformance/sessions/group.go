package sessions

import (
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// group is a consumer group of a session. Its members are named by letters; the
// ids that the coordinators give them, which differ between the sides, are kept
// with the side.
type group struct {
	s    *session
	name string
}

// member is what a side last told a member of a group.
type member struct {
	id         string
	generation int32 // or member epoch
}

// A letter that begins so stands for a member id itself.
const literally = "="

func (s *session) group(name string) *group { return s.groupNamed(s.prefix + name) }

// groupNamed is a group whose name may be another session's, too.
func (s *session) groupNamed(name string) *group {
	g := &group{s, name}
	s.both(func(sd *side) { sd.coordinator(g.name) })
	return g
}

// coordinator is the broker that coordinates a group, and has loaded it; 1 if none
// says so.
func (sd *side) coordinator(group string) int {
	return sd.coordinatorOf(0, group, func(broker int) bool {
		offsets := kmsg.NewPtrOffsetFetchRequest()
		offsets.SetVersion(7)
		offsets.Group = group
		fetched, ok := quiet[*kmsg.OffsetFetchResponse](sd, broker, offsets)
		return ok && fetched.ErrorCode == 0
	})
}

// coordinatorOf is the broker that coordinates a group (kind 0) or a transactional id
// (kind 1), and says that it has loaded it; 1 if none does.
func (sd *side) coordinatorOf(kind int8, key string, loaded func(broker int) bool) int {
	of := coordinated{kind, key}
	if b, ok := sd.coordinators[of]; ok {
		return b
	}
	broker := 1
	eventually(sd.net, func() bool {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.SetVersion(3)
		req.CoordinatorKey, req.CoordinatorType = key, kind
		resp, ok := quiet[*kmsg.FindCoordinatorResponse](sd, 1, req)
		if !ok || resp.ErrorCode != 0 || int(resp.NodeID) > len(sd.addrs) {
			return false
		}
		broker = int(resp.NodeID)
		return loaded(broker)
	})
	sd.coordinators[of] = broker
	return broker
}

// over is the connection of a member to the group's coordinator.
func (g *group) over(letter string) func(*side) line {
	return func(sd *side) line { return line{sd.coordinator(g.name), g.name + "/" + letter} }
}

// id is a member's id on a side, "" if it has none.
func (g *group) id(sd *side, letter string) string {
	if id, ok := strings.CutPrefix(letter, literally); ok {
		return id
	}
	return sd.members[g.name+"/"+letter].id
}

func (g *group) generation(sd *side, letter string) int32 {
	if m, ok := sd.members[g.name+"/"+letter]; ok {
		return m.generation
	}
	return -1
}

// forget has a member begin anew.
func (g *group) forget(letter string) {
	g.s.both(func(sd *side) { delete(sd.members, g.name+"/"+letter) })
}

// ask sends a member's request and waits for the answer, from which its id and
// generation are learned.
func (g *group) ask(step, letter string, make maker) (kafka, ours kmsg.Response) {
	return g.end(letter, g.begin(step, letter, make))
}

func (g *group) begin(step, letter string, make maker) *pending {
	return g.s.begin(step, g.over(letter), make)
}

func (g *group) end(letter string, p *pending) (kafka, ours kmsg.Response) {
	kafka, ours = g.s.end(p)
	g.learn(g.s.kafka, letter, kafka)
	g.learn(g.s.ours, letter, ours)
	return kafka, ours
}

// theirs is what decides how a session goes on: Kafka's answer, or ours when
// Kafka's are read from a transcript, which has the same.
func theirs[R kmsg.Response](kafka, ours kmsg.Response) (answer R, ok bool) {
	if kafka == nil {
		kafka = ours
	}
	answer, ok = kafka.(R)
	return answer, ok
}

// reply is that answer, of any kind.
func reply(kafka, ours kmsg.Response) kmsg.Response {
	if kafka == nil {
		return ours
	}
	return kafka
}

func (g *group) learn(sd *side, letter string, resp kmsg.Response) {
	if sd == nil {
		return
	}
	key := g.name + "/" + letter
	m := sd.members[key]
	switch r := resp.(type) {
	case *kmsg.JoinGroupResponse:
		if r.MemberID != "" {
			m.id = r.MemberID
		}
		if r.ErrorCode == 0 {
			m.generation = r.Generation
		}
	case *kmsg.ConsumerGroupHeartbeatResponse:
		if r.MemberID != nil && *r.MemberID != "" {
			m.id = *r.MemberID
		}
		if r.ErrorCode == 0 {
			m.generation = r.MemberEpoch
		}
	default:
		return
	}
	sd.members[key] = m
}

var javaUUID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// base64UUID is how Kafka writes its own ids.
var base64UUID = regexp.MustCompile(`^[\w-]{22}$`)

// anonymous replaces what coordinators made up in a member id, or in a text
// that may have one, by the number in which the id was seen first.
func (sd *side) anonymous(name, text string) string {
	if (name == "MemberID" || name == "LeaderID") && base64UUID.MatchString(text) {
		return sd.memberName(text)
	}
	for i, id := range sd.memberIDs {
		text = strings.ReplaceAll(text, id, fmt.Sprint("member#", i))
	}
	return javaUUID.ReplaceAllStringFunc(text, sd.memberName)
}

func (sd *side) memberName(id string) string {
	for i, known := range sd.memberIDs {
		if known == id {
			return fmt.Sprint("member#", i)
		}
	}
	sd.memberIDs = append(sd.memberIDs, id)
	return fmt.Sprint("member#", len(sd.memberIDs)-1)
}

// opaque writes what members tell each other in hexadecimal digits, except the
// prefix of names, which always is as long. Of much it writes a sum.
func (sd *side) opaque(b []byte) string {
	if len(b) > 500 {
		return fmt.Sprintf("%d bytes %08x", len(b), crc32.ChecksumIEEE(b))
	}
	return strings.ReplaceAll(hex.EncodeToString(b), hex.EncodeToString([]byte(sd.prefix)), "~")
}

// protocol is what a member can do.
type protocol struct {
	name     string
	metadata []byte
}

// subscription is the metadata of the consumer protocol (version 0: topics and
// no user data).
func subscription(topics ...string) []byte {
	m := kmsg.NewConsumerMemberMetadata()
	m.Topics = topics
	return m.AppendTo(nil)
}

func ranged(topics ...string) []protocol {
	return []protocol{{"range", subscription(topics...)}}
}

// join joins as a member of the consumer protocol. An edit may change anything.
func (g *group) join(letter string, protocols []protocol, edits ...func(*kmsg.JoinGroupRequest)) maker {
	return func(sd *side) kmsg.Request {
		r := auto(kmsg.NewPtrJoinGroupRequest())
		r.Group, r.MemberID, r.ProtocolType = g.name, g.id(sd, letter), "consumer"
		r.SessionTimeoutMillis, r.RebalanceTimeoutMillis = 30000, 60000
		for _, p := range protocols {
			x := kmsg.NewJoinGroupRequestProtocol()
			x.Name, x.Metadata = p.name, p.metadata
			r.Protocols = append(r.Protocols, x)
		}
		for _, edit := range edits {
			edit(r)
		}
		return r
	}
}

// static makes a member a static one.
func static(instance string) func(*kmsg.JoinGroupRequest) {
	return func(r *kmsg.JoinGroupRequest) { r.InstanceID = kmsg.StringPtr(instance) }
}

// joined joins a member until it is answered; one that has no id takes the one
// that it is given first (KIP-394).
func (g *group) joined(step, letter string, protocols []protocol, edits ...func(*kmsg.JoinGroupRequest)) {
	k, o := g.ask(step, letter, g.join(letter, protocols, edits...))
	if r, ok := theirs[*kmsg.JoinGroupResponse](k, o); ok && r.ErrorCode == memberIDRequired {
		k, o = g.ask(step+", with the id", letter, g.join(letter, protocols, edits...))
	}
	if r, ok := theirs[*kmsg.JoinGroupResponse](k, o); ok && r.ErrorCode == 0 {
		g.s.both(func(sd *side) { eventually(sd.net, func() bool { return sd.tellsOf(g.name) }) })
	}
}

// tellsOf says whether a group's coordinator lists it. The answer to a join does not
// wait for the record that makes the group, and a request about groups is told of what
// is committed.
func (sd *side) tellsOf(name string) bool {
	req := kmsg.NewPtrListGroupsRequest()
	req.SetVersion(5)
	resp, ok := quiet[*kmsg.ListGroupsResponse](sd, sd.coordinator(name), req)
	return ok && slices.ContainsFunc(resp.Groups, func(g kmsg.ListGroupsResponseGroup) bool { return g.Group == name })
}

// joining begins to join a member that has to wait for others.
func (g *group) joining(step, letter string, protocols []protocol, edits ...func(*kmsg.JoinGroupRequest)) *pending {
	p := g.begin(step, letter, g.join(letter, protocols, edits...))
	if !g.s.waits(p, waitTime) {
		k, o := g.end(letter, p)
		if r, ok := theirs[*kmsg.JoinGroupResponse](k, o); ok && r.ErrorCode != memberIDRequired {
			return nil
		}
		p = g.begin(step+", with the id", letter, g.join(letter, protocols, edits...))
		if !g.s.waits(p, waitTime) {
			g.end(letter, p)
			return nil
		}
	}
	return p
}

// finish reads the answer to a request that waits, if there is one.
func (g *group) finish(letter string, p *pending) {
	if p != nil {
		g.end(letter, p)
	}
}

const (
	memberIDRequired = 79
	// waitTime is how long a request is given before it is said to wait for
	// something.
	waitTime = 400 * time.Millisecond
)

// sync asks for a member's assignment; given are, by letter, the assignments
// that a leader makes.
func (g *group) sync(letter string, given map[string]string, edits ...func(*kmsg.SyncGroupRequest)) maker {
	return func(sd *side) kmsg.Request {
		r := auto(kmsg.NewPtrSyncGroupRequest())
		r.Group, r.MemberID, r.Generation = g.name, g.id(sd, letter), g.generation(sd, letter)
		r.ProtocolType, r.Protocol = kmsg.StringPtr("consumer"), kmsg.StringPtr("range")
		for _, to := range []string{"A", "B", "C", "D", "U", "=missing"} {
			if a, ok := given[to]; ok {
				x := kmsg.NewSyncGroupRequestGroupAssignment()
				x.MemberID, x.MemberAssignment = g.id(sd, to), []byte(a)
				r.GroupAssignment = append(r.GroupAssignment, x)
			}
		}
		for _, edit := range edits {
			edit(r)
		}
		return r
	}
}

func (g *group) heartbeat(letter string, edits ...func(*kmsg.HeartbeatRequest)) maker {
	return func(sd *side) kmsg.Request {
		r := auto(kmsg.NewPtrHeartbeatRequest())
		r.Group, r.MemberID, r.Generation = g.name, g.id(sd, letter), g.generation(sd, letter)
		for _, edit := range edits {
			edit(r)
		}
		return r
	}
}

// leaver is a member that leaves, by letter, by instance, or by both.
type leaver struct{ letter, instance string }

// leave has members leave; below version 3 only the first of them.
func (g *group) leave(leavers ...leaver) maker {
	return func(sd *side) kmsg.Request {
		r := auto(kmsg.NewPtrLeaveGroupRequest())
		r.Group = g.name
		for _, l := range leavers {
			x := kmsg.NewLeaveGroupRequestMember()
			x.MemberID = g.id(sd, l.letter)
			if l.instance != "" {
				x.InstanceID = kmsg.StringPtr(l.instance)
			}
			x.Reason = kmsg.StringPtr("tired")
			r.Members = append(r.Members, x)
			if r.MemberID == "" {
				r.MemberID = x.MemberID
			}
		}
		return r
	}
}

// committed is an offset to commit.
type committed struct {
	topic    string
	part     int32
	offset   int64
	metadata string
}

// commit commits offsets as a member, or, with the letter "", as a consumer that
// is in no group.
func (g *group) commit(letter string, what []committed, edits ...func(*kmsg.OffsetCommitRequest)) maker {
	return func(sd *side) kmsg.Request {
		r := auto(kmsg.NewPtrOffsetCommitRequest())
		r.Group, r.Generation, r.MemberID = g.name, g.generation(sd, letter), g.id(sd, letter)
		r.RetentionTimeMillis = -1
		for _, c := range what {
			if n := len(r.Topics); n == 0 || r.Topics[n-1].Topic != c.topic {
				t := kmsg.NewOffsetCommitRequestTopic()
				t.Topic, t.TopicID = c.topic, sd.id(c.topic)
				r.Topics = append(r.Topics, t)
			}
			p := kmsg.NewOffsetCommitRequestTopicPartition()
			p.Partition, p.Offset, p.LeaderEpoch = c.part, c.offset, 0
			p.Metadata = kmsg.StringPtr(c.metadata)
			t := &r.Topics[len(r.Topics)-1]
			t.Partitions = append(t.Partitions, p)
		}
		for _, edit := range edits {
			edit(r)
		}
		return r
	}
}

// asked are partitions of a topic.
type asked struct {
	topic string
	parts []int32
}

// offsets asks for committed offsets; nil topics for all of them.
func (g *group) offsets(topics []asked, edits ...func(*kmsg.OffsetFetchRequest)) maker {
	return func(sd *side) kmsg.Request {
		r := auto(kmsg.NewPtrOffsetFetchRequest())
		if g.s.v(9) < 8 {
			r.Group = g.name
			for _, a := range topics {
				t := kmsg.NewOffsetFetchRequestTopic()
				t.Topic, t.Partitions = a.topic, a.parts
				r.Topics = append(r.Topics, t)
			}
			if topics != nil && r.Topics == nil {
				r.Topics = []kmsg.OffsetFetchRequestTopic{}
			}
		} else {
			r.Groups = append(r.Groups, g.wanted(sd, topics))
		}
		for _, edit := range edits {
			edit(r)
		}
		return r
	}
}

func (g *group) wanted(sd *side, topics []asked) kmsg.OffsetFetchRequestGroup {
	w := kmsg.NewOffsetFetchRequestGroup()
	w.Group, w.MemberEpoch = g.name, -1
	for _, a := range topics {
		t := kmsg.NewOffsetFetchRequestGroupTopic()
		t.Topic, t.TopicID, t.Partitions = a.topic, sd.id(a.topic), a.parts
		w.Topics = append(w.Topics, t)
	}
	if topics != nil && w.Topics == nil {
		w.Topics = []kmsg.OffsetFetchRequestGroupTopic{}
	}
	return w
}

// fetchAs has an OffsetFetch speak for a member (KIP-848).
func (g *group) fetchAs(sd *side, letter string, epoch int32) func(*kmsg.OffsetFetchRequest) {
	return func(r *kmsg.OffsetFetchRequest) {
		for i := range r.Groups {
			r.Groups[i].MemberID, r.Groups[i].MemberEpoch = kmsg.StringPtr(g.id(sd, letter)), epoch
		}
	}
}

func (g *group) deleteOffsets(topics ...asked) maker {
	return func(*side) kmsg.Request {
		r := auto(kmsg.NewPtrOffsetDeleteRequest())
		r.Group = g.name
		for _, a := range topics {
			t := kmsg.NewOffsetDeleteRequestTopic()
			t.Topic = a.topic
			for _, part := range a.parts {
				p := kmsg.NewOffsetDeleteRequestTopicPartition()
				p.Partition = part
				t.Partitions = append(t.Partitions, p)
			}
			r.Topics = append(r.Topics, t)
		}
		return r
	}
}

func describeGroups(ops bool, names ...string) maker {
	return func(*side) kmsg.Request {
		r := auto(kmsg.NewPtrDescribeGroupsRequest())
		r.Groups, r.IncludeAuthorizedOperations = names, ops
		return r
	}
}

func describeConsumerGroups(ops bool, names ...string) maker {
	return func(*side) kmsg.Request {
		r := auto(kmsg.NewPtrConsumerGroupDescribeRequest())
		r.Groups, r.IncludeAuthorizedOperations = names, ops
		return r
	}
}

func listGroups(states, types []string) maker {
	return func(*side) kmsg.Request {
		r := auto(kmsg.NewPtrListGroupsRequest())
		r.StatesFilter, r.TypesFilter = states, types
		return r
	}
}

func deleteGroups(names ...string) maker {
	return func(*side) kmsg.Request {
		r := auto(kmsg.NewPtrDeleteGroupsRequest())
		r.Groups = names
		return r
	}
}

// beat is a ConsumerGroupHeartbeat (KIP-848) of a member at its own epoch, with
// nothing but what the edits add.
func (g *group) beat(letter string, edits ...func(*side, *kmsg.ConsumerGroupHeartbeatRequest)) maker {
	return func(sd *side) kmsg.Request {
		r := auto(kmsg.NewPtrConsumerGroupHeartbeatRequest())
		r.Group, r.MemberID, r.MemberEpoch, r.RebalanceTimeoutMillis = g.name, g.id(sd, letter), g.generation(sd, letter), -1
		for _, edit := range edits {
			edit(sd, r)
		}
		return r
	}
}

type beatEdit = func(*side, *kmsg.ConsumerGroupHeartbeatRequest)

// first is the heartbeat with which a member joins: everything is in it. Its id
// is its letter on either side, so that what an assignor makes of the order of
// ids is the same.
func (g *group) first(letter string, topics ...string) beatEdit {
	return func(_ *side, r *kmsg.ConsumerGroupHeartbeatRequest) {
		r.MemberID, r.MemberEpoch, r.RebalanceTimeoutMillis = letter, 0, 60000
		r.SubscribedTopicNames = append([]string{}, topics...)
		r.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	}
}

// epoch has a heartbeat claim a member epoch.
func epoch(e int32) beatEdit {
	return func(_ *side, r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = e }
}

// owning has a heartbeat tell what the member owns.
func owning(topic string, parts ...int32) beatEdit {
	return func(sd *side, r *kmsg.ConsumerGroupHeartbeatRequest) {
		r.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		if len(parts) > 0 {
			t := kmsg.NewConsumerGroupHeartbeatRequestTopic()
			t.TopicID, t.Partitions = sd.id(topic), parts
			r.Topics = append(r.Topics, t)
		}
	}
}

// with changes any field of a heartbeat.
func with(edit func(*kmsg.ConsumerGroupHeartbeatRequest)) beatEdit {
	return func(_ *side, r *kmsg.ConsumerGroupHeartbeatRequest) { edit(r) }
}
