package group

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/broker/assignor"
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/internal/golden"
)

// client is a member as its process knows it.
type client struct {
	id       string
	instance string
	epoch    int32
	owned    []topicPartitions
	names    []string
	regex    string
	told     bool // that something changed, since its last heartbeat
}

// mixedGroup is a group whose members, topics and coordinator change at random.
type mixedGroup struct {
	consumerStory
	clients []*client
	elders  []*elder // members of the classic protocol
	// mixed: members of the classic protocol come, too.
	mixed   bool
	named   int
	classic bool // at the last look the group was a classic one
}

// name is a new name.
func (p *mixedGroup) name(kind string) string {
	p.named++
	return fmt.Sprint(kind, p.named)
}

// elder is an eager member of the classic protocol: it gives up all when it is told
// to join again.
type elder struct {
	name    string
	id      string
	at      string // out, joining, joined, syncing, in
	gen     int32
	members []kmsg.JoinGroupResponseMember // of the generation, if it leads
	owned   []topicPartitions
	// trimmed: a downgrade gave it what its target was, and it consumes what it had until it
	// has joined again. So it is in Kafka (ClassicGroup.fromConsumerGroup): a KIP-848 member
	// that joins before it does is given the rest at once.
	trimmed bool
}

// act is the next thing that an elder does.
func (p *mixedGroup) act(e *elder) {
	switch e.at {
	case "out":
		p.rejoin(e)
	case "joined":
		p.fetchAssignment(e)
	case "in":
		req := kmsg.NewPtrHeartbeatRequest()
		req.Version, req.Group, req.MemberID, req.Generation = 4, "g", e.id, e.gen
		d, err := p.m.Heartbeat(req)
		p.decide(d)
		e.learn(kafka.Code(err))
	}
}

// learn takes in an error: all of them lead to another join, some with a new id.
func (e *elder) learn(code int16) {
	switch code {
	case 0:
		return
	case kerr.UnknownMemberID.Code, kerr.IllegalGeneration.Code, kerr.GroupMaxSizeReached.Code, kerr.InconsistentGroupProtocol.Code:
		e.id = ""
	}
	e.at, e.owned = "out", nil
}

func (p *mixedGroup) rejoin(e *elder) {
	e.at, e.owned, e.trimmed = "joining", nil, false
	r := joinRequest{
		group: "g", id: e.id, version: 3, protocolType: "consumer", session: 10 * time.Second, rebalance: 20 * time.Second,
		protocols: []protocol{{"range", subscription("t", "u")}},
	}
	p.decide(p.m.JoinGroup(Caller{ClientID: e.name, Host: "/10.0.0.1"}, r.build(), func(resp *kmsg.JoinGroupResponse) {
		if e.learn(resp.ErrorCode); resp.ErrorCode == 0 {
			e.id, e.gen, e.at, e.members = resp.MemberID, resp.Generation, "joined", resp.Members
		}
	}))
}

func (p *mixedGroup) fetchAssignment(e *elder) {
	e.at = "syncing"
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 5, "g", e.id, e.gen
	req.ProtocolType, req.Protocol = kmsg.StringPtr("consumer"), kmsg.StringPtr("range")
	topics := assignor.Topics{}
	for _, t := range p.image.Topics() {
		topics[t.Name] = assignor.Plain(len(t.Partitions))
	}
	var members []assignor.Member
	for _, m := range e.members {
		members = append(members, assignor.Member{ID: m.MemberID, Topics: []string{"t", "u"}})
	}
	shares, err := assignor.Assign(assignor.Range, topics, members)
	must(err)
	for _, m := range members {
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = m.ID, assignor.EncodeAssignment(assignor.Assignment{Partitions: shares[m.ID]})
		req.GroupAssignment = append(req.GroupAssignment, a)
	}
	p.decide(p.m.SyncGroup(req, func(resp *kmsg.SyncGroupResponse) {
		if e.learn(resp.ErrorCode); resp.ErrorCode == 0 {
			a, err := assignor.DecodeAssignment(resp.MemberAssignment)
			must(err)
			e.at, e.owned = "in", byID(a.Partitions, p.image)
		}
	}))
}

func newMixedGroup(interval time.Duration) *mixedGroup {
	st := newConsumerStory(command{golden.Command{Opts: map[string]string{"interval": interval.String()}}})
	st.quiet = true
	st.topic("t", 4)
	st.topic("u", 3)
	return &mixedGroup{consumerStory: st}
}

// heartbeat sends one heartbeat of a client, and takes in the answer unless it is
// lost. A client that is refused gives up all, and joins again with the next one.
func (p *mixedGroup) heartbeat(c *client, lost bool) {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.MemberEpoch = 1, "g", c.id, c.epoch
	if c.instance != "" {
		req.InstanceID = &c.instance
	}
	req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	if c.epoch == joinEpoch || c.told {
		req.RebalanceTimeoutMillis = 30_000
		req.SubscribedTopicNames, req.SubscribedTopicRegex = append([]string{}, c.names...), &c.regex
	}
	if c.epoch != joinEpoch {
		for _, t := range c.owned {
			topic := kmsg.NewConsumerGroupHeartbeatRequestTopic()
			topic.TopicID, topic.Partitions = t.topic, t.partitions
			req.Topics = append(req.Topics, topic)
		}
	}
	d, resp := p.m.ConsumerGroupHeartbeat(Caller{c.id, "/127.0.0.1"}, req)
	done := d.Done
	d.Done = func(err error) {
		if done != nil {
			done(err)
		}
		if err == nil && !lost {
			c.take(resp)
		}
	}
	p.decide(d)
}

func (c *client) take(resp *kmsg.ConsumerGroupHeartbeatResponse) {
	if resp.ErrorCode != 0 {
		c.epoch, c.owned = joinEpoch, nil
		return
	}
	c.epoch, c.told = resp.MemberEpoch, false
	if resp.Assignment == nil {
		return
	}
	c.owned = nil
	for _, t := range resp.Assignment.Topics {
		c.owned = append(c.owned, topicPartitions{topic: t.TopicID, partitions: t.Partitions})
	}
}

// requireDisjoint: no two clients of the same epoch or not believe that they own the
// same partition, but for one that was thrown out or trimmed and has not learned it yet.
func (p *mixedGroup) requireDisjoint(t require.TestingT) {
	owners := map[ownedPartition]string{}
	for _, c := range p.clients {
		if _, is := p.m.findConsumer("g", c.id); is == nil || is.epoch == leaveStaticEpoch {
			continue
		}
		each(c.owned, func(o ownedPartition) {
			require.Empty(t, owners[o], "%s and %s consume %v", owners[o], c.id, o)
			owners[o] = c.id
		})
	}
	_, classic := p.m.classic["g"]
	for _, e := range p.elders {
		e.trimmed = e.trimmed || classic && !p.classic && e.at == "in"
		if _, is := p.m.findConsumer("g", e.id); is == nil || e.trimmed {
			continue
		}
		each(e.owned, func(o ownedPartition) {
			require.Empty(t, owners[o], "%s and %s consume %v", owners[o], e.id, o)
			owners[o] = e.id
		})
	}
	p.classic = classic
}

func (p *mixedGroup) step(t *rapid.T) {
	pick := func() *client {
		if len(p.clients) == 0 {
			return nil
		}
		return p.clients[rapid.IntRange(0, len(p.clients)-1).Draw(t, "client")]
	}
	actions := []string{"join", "beat", "beat", "beat", "beat", "lost", "leave", "subscribe", "time", "topic", "failover", "fail", "kill"}
	if p.mixed {
		actions = append(actions, "elder joins", "elder acts", "elder acts", "elder acts", "elder acts", "elder leaves", "elder dies")
	}
	switch action := rapid.SampledFrom(actions).Draw(t, "action"); action {
	case "elder joins":
		if len(p.elders) < 3 {
			e := &elder{name: p.name("e"), at: "out"}
			p.elders = append(p.elders, e)
			p.act(e)
		}
	case "elder acts":
		if len(p.elders) > 0 {
			e := p.elders[rapid.IntRange(0, len(p.elders)-1).Draw(t, "elder")]
			if rapid.IntRange(0, 9).Draw(t, "fails") == 0 {
				p.fail = errorOf("KAFKA_STORAGE_ERROR")
			}
			p.act(e)
			p.fail = nil
		}
	case "elder leaves", "elder dies":
		if len(p.elders) > 0 {
			i := rapid.IntRange(0, len(p.elders)-1).Draw(t, "elder")
			if action == "elder leaves" {
				req := kmsg.NewPtrLeaveGroupRequest()
				req.Version, req.Group = 5, "g"
				l := kmsg.NewLeaveGroupRequestMember()
				l.MemberID = p.elders[i].id
				req.Members = append(req.Members, l)
				d, _ := p.m.LeaveGroup(req)
				p.decide(d)
			}
			p.elders = slices.Delete(p.elders, i, i+1)
		}
	case "join":
		if len(p.clients) < 5 {
			c := &client{id: p.name("m"), names: []string{"t"}}
			if rapid.IntRange(0, 3).Draw(t, "static") == 0 {
				c.instance = c.id
			}
			p.clients = append(p.clients, c)
			p.heartbeat(c, false)
		}
	case "beat", "lost", "fail":
		if c := pick(); c != nil {
			if action == "fail" {
				p.fail = errorOf("KAFKA_STORAGE_ERROR")
			}
			p.heartbeat(c, action == "lost")
			p.fail = nil
		}
	case "leave", "kill":
		if c := pick(); c != nil {
			if action == "leave" && c.epoch > 0 {
				c.epoch = leaveEpoch
				if c.instance != "" && rapid.Bool().Draw(t, "comes back") {
					c.epoch = leaveStaticEpoch
				}
				p.heartbeat(c, true)
			}
			p.clients = slices.DeleteFunc(p.clients, func(o *client) bool { return o == c })
		}
	case "subscribe":
		if c := pick(); c != nil {
			c.names = rapid.SampledFrom([][]string{{"t"}, {"u"}, {"t", "u"}, {}, {"v"}}).Draw(t, "names")
			c.regex = rapid.SampledFrom([]string{"", "", "[tu]", "v.*"}).Draw(t, "regex")
			c.told = true
			p.heartbeat(c, false)
		}
	case "time":
		p.after(time.Duration(rapid.IntRange(0, 50_000).Draw(t, "ms")) * time.Millisecond)
	case "topic":
		name := rapid.SampledFrom([]string{"t", "u", "v"}).Draw(t, "topic")
		if topic := p.image.Topic(name); topic != nil && rapid.IntRange(0, 3).Draw(t, "drop") == 0 {
			p.change(&metadata.RemoveTopicRecord{TopicID: topic.ID})
		} else {
			p.topic(name, rapid.IntRange(1, 6).Draw(t, "partitions"))
		}
	case "failover":
		p.m.Unloaded()
		p.load()
	}
}

// Whatever happens to a group: the state is the fold of the log, no partition has
// two owners, and when the trouble is over all members get what is theirs.
func TestProperty_ConsumerGroups(t *testing.T) {
	for name, c := range map[string]struct {
		interval time.Duration
		mixed    bool
	}{"at once": {}, "each second": {time.Second, false}, "with classic members": {0, true}} {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			p := newMixedGroup(c.interval)
			p.mixed = c.mixed
			for range rapid.IntRange(1, 60).Draw(t, "steps") {
				p.step(t)
				p.requireSound(t)
				p.requireDisjoint(t)
			}
			p.requireSettles(t)
		}))
	}
}

// requireSettles: after a few heartbeats of all, the group is Stable, and each
// partition that is subscribed to has an owner.
func (p *mixedGroup) requireSettles(t require.TestingT) {
	p.after(61 * time.Second) // whatever does not send heartbeats is gone
	for range 20 {
		for _, c := range p.clients {
			p.heartbeat(c, false)
		}
		for _, e := range p.elders {
			p.act(e)
		}
		p.after(2 * time.Second)
		p.requireSound(t)
		p.requireDisjoint(t)
	}
	for _, e := range p.elders {
		require.Equal(t, "in", e.at, e.name)
	}
	g, err := p.m.consumerGroupOf("g")
	if err != nil || len(p.clients) == 0 {
		return
	}
	require.Equal(t, Stable, g.state(timeline.Written))
	owned := 0
	for _, c := range p.clients {
		each(c.owned, func(ownedPartition) { owned++ })
	}
	for _, e := range p.elders {
		each(e.owned, func(ownedPartition) { owned++ })
	}
	subscribed := 0
	for name := range g.topics.All() {
		if topic := p.image.Topic(name); topic != nil {
			subscribed += len(topic.Partitions)
		}
	}
	require.Equal(t, subscribed, owned)
	before := len(p.log)
	for _, c := range p.clients {
		p.heartbeat(c, false)
	}
	require.Len(t, p.log, before, "a group that has settled writes nothing")
}

// After compaction the log holds the last record of each key, in the order of these
// (KAFKA-19862). The fold of that is the same, whatever was left out.
func TestProperty_CompactedLogsFoldAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newMixedGroup(0)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			p.step(t)
		}
		clean := rapid.IntRange(0, len(p.log)).Draw(t, "clean up to")
		var compacted []entry
		for i, e := range p.log {
			later := slices.ContainsFunc(p.log[i+1:], func(o entry) bool { return string(o.rec.Key) == string(e.rec.Key) })
			if i >= clean || !later {
				compacted = append(compacted, e)
			}
		}
		folded := &shard{cfg: p.cfg, image: p.image, log: compacted, quiet: true}
		folded.load()
		require.Equal(t, p.m.Hash(timeline.Written), folded.m.Hash(timeline.Written))
	})
}

// A log that holds nonsense costs the records that are: they are refused one by one.
func TestConsumerApply_RefusesWhatCannotBe(t *testing.T) {
	id := kafka.UUID{15: 1}
	owns := func(epoch int32) *currentAssignmentValue {
		return &currentAssignmentValue{epoch: epoch, assigned: []topicPartitions{{topic: id, partitions: []int32{0}}}}
	}
	for name, c := range map[string]struct {
		records []entryOf
		says    string
	}{
		"two owners": {[]entryOf{{&currentAssignmentKey{"g", "A"}, owns(3)}, {&currentAssignmentKey{"g", "B"}, owns(3)}},
			`group: give AAAAAAAAAAAAAAAAAAAAAQ-0 to member "B" of group "g" in epoch 3: it is still owned in epoch 3`},
		"a state to come": {[]entryOf{{&currentAssignmentKey{"g", "A"}, &currentAssignmentValue{state: 3}}},
			`group: fold the assignment of member "A" of group "g": state 3, expected 0 to 2`},
		"a classic member without assignors": {[]entryOf{{&consumerMemberKey{"g", "A"}, &consumerMemberValue{classic: &classicProtocols{}}}},
			`group: fold member "A" of group "g": a member of the classic protocol supports no assignor, expected one`},
		"a member goes with its assignment": {[]entryOf{{&consumerMemberKey{"g", "A"}, &consumerMemberValue{}}, {&consumerMemberKey{"g", "A"}, nil}},
			`group: fold the tombstone of member "A" of group "g": it has epoch 0, expected its assignments to be gone`},
		"a group goes with its members": {[]entryOf{{&consumerMemberKey{"g", "A"}, &consumerMemberValue{}}, {&consumerGroupKey{"g"}, nil}},
			`group: fold the tombstone of group "g": it has 1 members, 0 targets and target epoch 0, expected none`},
		"a target goes with its members": {[]entryOf{{&targetMemberKey{"g", "A"}, &targetMemberValue{}}, {&targetMetadataKey{"g"}, nil}},
			`group: fold the tombstone of the target assignment of group "g": 1 members have one, expected none`},
		"of a classic group": {[]entryOf{{&groupKey{"g"}, &groupMetadata{protocolType: "consumer"}}, {&consumerGroupKey{"g"}, &consumerGroupValue{}}},
			`group: fold a record of type 3: group "g" is not a consumer group`},
	} {
		s := newShard(kafkaDefaults)
		var err error
		for i, e := range c.records {
			require.NoError(t, err, name)
			rec := tombstone(e.key)
			if e.value != nil {
				rec = encode(e.key, e.value)
			}
			err = s.fold(kafka.Offset(i), entry{rec: rec})
		}
		assert.EqualError(t, err, c.says, name)
		requireOneOwner(t, s.m)
	}
	// A tombstone of what is not there is nothing.
	s := newShard(kafkaDefaults)
	for i, k := range []key{&consumerGroupKey{"g"}, &consumerMemberKey{"g", "A"}, &targetMetadataKey{"g"}, &targetMemberKey{"g", "A"}, &currentAssignmentKey{"g", "A"}, &regexKey{"g", "x"}, &consumerPartitionsKey{"g"}} {
		require.NoError(t, s.fold(kafka.Offset(i), entry{rec: tombstone(k)}))
	}
	assert.Nil(t, s.m.group("g", timeline.Written))
}

// A member lost a partition, and the record that said so was compacted away: the
// partition is the new owner's, and stays so (KAFKA-19862).
func TestConsumerApply_OrderAfterCompaction(t *testing.T) {
	id := kafka.UUID{15: 1}
	current := func(epoch int32, partitions ...int32) *currentAssignmentValue {
		v := &currentAssignmentValue{epoch: epoch}
		if len(partitions) > 0 {
			v.assigned = []topicPartitions{{topic: id, partitions: partitions}}
		}
		return v
	}
	s := newShard(kafkaDefaults)
	for i, e := range []entryOf{
		{&currentAssignmentKey{"g", "A"}, current(2, 0, 1)},
		{&currentAssignmentKey{"g", "B"}, current(3, 1)}, // between them A gave up 1
		{&currentAssignmentKey{"g", "A"}, current(3, 0)},
	} {
		require.NoError(t, s.fold(kafka.Offset(i), entry{rec: encode(e.key, e.value)}))
	}
	requireOneOwner(t, s.m)
}

// A heartbeat of a member of a large group that has settled asks for nothing that
// grows with the group.
func BenchmarkConsumerHeartbeat(b *testing.B) {
	for _, members := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("members=%d", members), func(b *testing.B) {
			p := rebalanced(members)
			for i := 0; b.Loop(); i++ {
				p.heartbeat(p.clients[i%members], false)
			}
		})
	}
}

// A member leaves, and all others are rebalanced: the cost of a member should not
// grow with their number.
func BenchmarkConsumerRebalance(b *testing.B) {
	for _, members := range []int{10, 100, 250, 500, 1000} {
		b.Run(fmt.Sprintf("members=%d", members), func(b *testing.B) {
			p := rebalanced(members)
			for b.Loop() {
				c := p.clients[rand.IntN(members)]
				c.epoch = leaveEpoch
				p.heartbeat(c, true)
				c.epoch, c.owned = joinEpoch, nil
				p.heartbeat(c, false)
				p.settle()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*members), "ns/member")
		})
	}
}

// rebalanced is a settled group with ten partitions for each member.
func rebalanced(members int) *mixedGroup {
	p := newMixedGroup(0)
	p.bugs = nil
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprint("topic-", i))
		p.topic(names[i], members/2)
	}
	for i := range members {
		c := &client{id: fmt.Sprint("m", i), names: names}
		p.clients = append(p.clients, c)
		p.heartbeat(c, false)
	}
	p.settle()
	return p
}

// settle plays heartbeats until nothing changes.
func (p *mixedGroup) settle() {
	for {
		before := len(p.log)
		for _, c := range p.clients {
			p.heartbeat(c, false)
		}
		if len(p.log) == before {
			return
		}
	}
}
