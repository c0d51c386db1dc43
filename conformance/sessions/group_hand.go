package sessions

import (
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupHands are the sessions by hand of the group APIs.
var groupHands = []Hand{
	{"find-coordinator", 10, findCoordinator, false},
	{"offset-commit", 8, offsetCommit, false},
	{"nameless-group", 8, namelessGroup, false},
	{"offset-commit-members", 8, offsetCommitMembers, false},
	{"offset-fetch", 9, offsetFetch, false},
	{"offset-delete", 47, offsetDelete, false},
	{"join-group", 11, joinGroup, false},
	{"join-group-timers", 11, joinGroupTimers, false},
	{"sync-group", 14, syncGroup, false},
	{"heartbeat", 12, heartbeat, false},
	{"leave-group", 13, leaveGroup, false},
	{"static-members", 11, staticMembers, false},
	{"describe-groups", 15, describeOfGroups, false},
	{"list-groups", 16, listOfGroups, false},
	{"delete-groups", 42, deleteOfGroups, false},
	{"consumer-group-heartbeat", 68, consumerHeartbeat, false},
	{"consumer-group-validation", 68, consumerValidation, false},
	{"consumer-group-timers", 68, consumerTimers, false},
	{"consumer-group-static", 68, consumerStatic, false},
	{"consumer-group-subscriptions", 68, consumerSubscriptions, false},
	{"consumer-group-uneven", 68, consumerUneven, false},
	{"consumer-group-late-join", 68, consumerLateJoin, false},
	{"consumer-group-assignors", 68, consumerAssignors, false},
	{"consumer-group-commits", 8, consumerCommits, false},
	{"consumer-group-offset-fetch", 9, consumerOffsetFetch, false},
	{"consumer-group-describe", 69, consumerDescribe, false},
	{"group-upgrade", 68, groupUpgrade, false},
	{"group-upgrade-join", 11, groupUpgradeJoin, false},
	{"group-configs", 44, groupConfigs, false},
}

func findCoordinator(s *session) {
	g := s.group("f")
	ask := func(step string, typ int8, keys ...string) {
		s.do(step, 1, func(*side) kmsg.Request {
			r := auto(kmsg.NewPtrFindCoordinatorRequest())
			r.CoordinatorType, r.CoordinatorKeys = typ, keys
			if len(keys) > 0 {
				r.CoordinatorKey = keys[0]
			}
			return r
		})
	}
	ask("group", 0, g.name)
	ask("empty", 0, "")
	ask("two", 0, g.name, s.prefix+"f2")
	ask("twice", 0, g.name, g.name)
	ask("none", 0, []string{}...)
	ask("long", 0, strings.Repeat("g", 5000))
	ask("odd", 0, "a/b c\u00e9\n")
	ask("type 3", 3, "x")
	ask("type -1", -1, "x")
	ask("type 99", 99, "x")
}

func offsetCommit(s *session) {
	t := s.make("oc", 2)
	g := s.group("simple")
	c := func(step string, what []committed, edits ...func(*kmsg.OffsetCommitRequest)) {
		g.ask(step, "", g.commit("", what, edits...))
	}
	see := func(step string) { g.ask(step, "", g.offsets([]asked{{t, []int32{0, 1, 7}}})) }
	one := []committed{{t, 0, 5, "m"}}
	c("first", one)
	see("after the first")
	c("again", []committed{{t, 0, 6, ""}})
	c("two partitions", []committed{{t, 0, 7, "a"}, {t, 1, 8, "b"}})
	c("a partition twice", []committed{{t, 0, 9, "a"}, {t, 0, 10, "b"}})
	see("after twice")
	c("unknown partition", []committed{{t, 7, 1, ""}})
	c("negative partition", []committed{{t, -1, 1, ""}})
	c("unknown topic", []committed{{t + "-nope", 0, 1, ""}})
	c("known and unknown", []committed{{t, 0, 11, ""}, {t + "-nope", 0, 1, ""}, {t, 7, 1, ""}})
	c("topic twice", []committed{{t, 0, 12, ""}, {t + "-nope", 0, 1, ""}, {t, 0, 13, ""}})
	see("after the topic twice")
	c("empty topic name", []committed{{"", 0, 1, ""}})
	c("bad topic name", []committed{{"a/b", 0, 1, ""}})
	c("offset -1", []committed{{t, 0, -1, ""}})
	see("after -1")
	c("offset -5", []committed{{t, 0, -5, ""}})
	see("after -5")
	c("offset beyond the log", []committed{{t, 0, 1 << 40, ""}})
	c("metadata of 4096", []committed{{t, 0, 20, strings.Repeat("x", 4096)}})
	c("metadata of 4097", []committed{{t, 0, 21, strings.Repeat("x", 4097)}, {t, 1, 21, "short"}})
	c("metadata of 4096 wide letters", []committed{{t, 0, 22, strings.Repeat("\u00e9", 4096)}})
	c("metadata of 2049 pairs", []committed{{t, 0, 23, strings.Repeat("\U0001f600", 2049)}})
	see("after metadata")
	c("metadata null", one, func(r *kmsg.OffsetCommitRequest) { r.Topics[0].Partitions[0].Metadata = nil })
	see("after null")
	c("leader epoch 9", one, func(r *kmsg.OffsetCommitRequest) { r.Topics[0].Partitions[0].LeaderEpoch = 9 })
	c("leader epoch -7", one, func(r *kmsg.OffsetCommitRequest) { r.Topics[0].Partitions[0].LeaderEpoch = -7 })
	see("after epochs")
	c("retention 1000", one, func(r *kmsg.OffsetCommitRequest) { r.RetentionTimeMillis = 1000 })
	c("retention 0", []committed{{t, 1, 3, ""}}, func(r *kmsg.OffsetCommitRequest) { r.RetentionTimeMillis = 0 })
	c("no topics", nil)
	c("topic without partitions", nil, func(r *kmsg.OffsetCommitRequest) {
		x := kmsg.NewOffsetCommitRequestTopic()
		x.Topic = t
		r.Topics = append(r.Topics, x)
	})
	for _, other := range []struct {
		step, name string
		edit       func(*kmsg.OffsetCommitRequest)
	}{
		{"odd group", s.prefix + "a/b \u00e9", func(*kmsg.OffsetCommitRequest) {}},
		{"generation 0 of no group", s.prefix + "no0", func(r *kmsg.OffsetCommitRequest) { r.Generation = 0 }},
		{"generation 3 of no group", s.prefix + "no3", func(r *kmsg.OffsetCommitRequest) { r.Generation = 3 }},
		{"generation -5 of no group", s.prefix + "no5", func(r *kmsg.OffsetCommitRequest) { r.Generation = -5 }},
		{"a member of no group", s.prefix + "no6", func(r *kmsg.OffsetCommitRequest) { r.MemberID = "x" }},
		{"an instance of no group", s.prefix + "no7", func(r *kmsg.OffsetCommitRequest) { r.InstanceID = kmsg.StringPtr("i") }},
	} {
		o := s.groupNamed(other.name)
		o.ask(other.step, "", o.commit("", one, other.edit))
	}
	c("generation 0", one, func(r *kmsg.OffsetCommitRequest) { r.Generation = 0 })
	c("generation 3", one, func(r *kmsg.OffsetCommitRequest) { r.Generation = 3 })
	c("a member, generation -1", one, func(r *kmsg.OffsetCommitRequest) { r.MemberID = "x" })
	c("a member, generation 0", one, func(r *kmsg.OffsetCommitRequest) { r.MemberID, r.Generation = "x", 0 })
	c("an instance", one, func(r *kmsg.OffsetCommitRequest) { r.InstanceID = kmsg.StringPtr("i") })
	c("an instance and a member", one, func(r *kmsg.OffsetCommitRequest) { r.MemberID, r.InstanceID = "x", kmsg.StringPtr("i") })
	c("empty instance", one, func(r *kmsg.OffsetCommitRequest) { r.InstanceID = kmsg.StringPtr("") })
	s.ask("at another broker", func(sd *side) line { return line{broker: sd.coordinator(g.name)%3 + 1} }, g.commit("", one))
	see("in the end")
	g.ask("the groups", "", listGroups(nil, nil))
	g.ask("the group", "", describeGroups(false, g.name))
	s.do("delete the topic", 1, s.remove(t))
	s.heard(500 * time.Millisecond)
	see("after the topic's deletion")
	g.ask("the group after the topic's deletion", "", describeGroups(false, g.name))
	g.ask("all after the topic's deletion", "", g.offsets(nil))
}

// settledGroup is a Stable group with a leader A and a follower B of a topic.
func (s *session) settledGroup(name, topic string) *group {
	g := s.group(name)
	g.joined("A joins", "A", ranged(topic))
	g.ask("A syncs", "A", g.sync("A", map[string]string{"A": "all"}))
	b := g.joining("B joins", "B", ranged(topic))
	g.ask("A is told", "A", g.heartbeat("A"))
	a := g.begin("A rejoins", "A", g.join("A", ranged(topic)))
	g.finish("A", a)
	g.finish("B", b)
	b = g.begin("B syncs", "B", g.sync("B", nil))
	g.s.waits(b, waitTime)
	g.ask("A syncs with B", "A", g.sync("A", map[string]string{"A": "half", "B": "other half"}))
	g.finish("B", b)
	return g
}

// namelessGroup is about the group with the empty name, which offsets may be
// committed to. No other session may use it.
func namelessGroup(s *session) {
	t := s.make("nl", 1)
	g := s.groupNamed("")
	g.ask("not there", "", describeGroups(false, ""))
	g.ask("delete what is not there", "", deleteGroups(""))
	g.ask("commit", "", g.commit("", []committed{{t, 0, 5, ""}}))
	g.ask("fetch", "", g.offsets([]asked{{t, []int32{0}}}))
	g.ask("describe", "", describeGroups(false, ""))
	g.ask("describe as of KIP-848", "", describeConsumerGroups(false, ""))
	g.ask("delete offsets", "", g.deleteOffsets(asked{t, []int32{0}}))
	g.ask("delete", "", deleteGroups(""))
	g.ask("it is gone", "", describeGroups(false, ""))
}

func offsetCommitMembers(s *session) {
	t := s.make("om", 2)
	g := s.settledGroup("members", t)
	one := []committed{{t, 0, 5, "m"}}
	c := func(step, letter string, edits ...func(*kmsg.OffsetCommitRequest)) {
		g.ask(step, "", g.commit(letter, one, edits...))
	}
	generation := func(n int32) func(*kmsg.OffsetCommitRequest) {
		return func(r *kmsg.OffsetCommitRequest) { r.Generation = n }
	}
	c("right", "A")
	c("generation of the past", "A", generation(1))
	c("generation to come", "A", generation(3))
	c("generation -1", "A", generation(-1))
	c("generation -5", "A", generation(-5))
	c("a stranger", "=stranger", generation(2))
	c("a stranger without generation", "=stranger")
	c("no member", "")
	c("no member with the generation", "", generation(2))
	c("an instance that is not", "A", func(r *kmsg.OffsetCommitRequest) { r.InstanceID = kmsg.StringPtr("i") })
	c("no member with an instance that is not", "", func(r *kmsg.OffsetCommitRequest) { r.InstanceID = kmsg.StringPtr("i") })
	c("unknown topic of a stranger", "=stranger", func(r *kmsg.OffsetCommitRequest) { r.Topics[0].Topic, r.Topics[0].TopicID = t+"-nope", [16]byte{1, 2} })
	x := g.joining("C joins", "C", ranged(t))
	c("while it rebalances", "A")
	c("while it rebalances, the next generation", "A", generation(3))
	c("while it rebalances, C", "C")
	g.ask("B leaves", "B", g.leave(leaver{letter: "B"}))
	a := g.begin("A rejoins", "A", g.join("A", ranged(t)))
	g.end("A", a)
	g.finish("C", x)
	c("before it is synced", "A")
	c("before it is synced, C", "C")
	c("before it is synced, of the past", "A", generation(2))
	g.ask("C leaves", "C", g.leave(leaver{letter: "C"}))
	g.ask("A leaves", "A", g.leave(leaver{letter: "A"}))
	c("after all left, A", "A")
	c("after all left, no member", "")
	c("after all left, a stranger with generation 0", "=x", generation(0))
	c("after all left, a stranger without generation", "=x", generation(-1))
	c("after all left, no member with the generation", "", generation(2))
}

func offsetFetch(s *session) {
	t, u := s.make("of", 2), s.make("ou", 1)
	g, h := s.group("fetched"), s.group("other")
	f := func(step string, topics []asked, edits ...func(*kmsg.OffsetFetchRequest)) {
		g.ask(step, "", g.offsets(topics, edits...))
	}
	both := []asked{{t, []int32{0, 1}}}
	f("no group", both)
	f("no group, all", nil)
	f("no group, no topics", []asked{})
	f("no group, unknown topic", []asked{{t + "-nope", []int32{0}}})
	f("no group, stable", both, func(r *kmsg.OffsetFetchRequest) { r.RequireStable = true })
	g.ask("commit", "", g.commit("", []committed{{t, 0, 5, "five"}, {u, 0, 6, ""}}))
	h.ask("commit of the other", "", h.commit("", []committed{{t, 1, 7, "seven"}}))
	f("both", both)
	f("stable", both, func(r *kmsg.OffsetFetchRequest) { r.RequireStable = true })
	f("all", nil)
	f("all, stable", nil, func(r *kmsg.OffsetFetchRequest) { r.RequireStable = true })
	f("no topics", []asked{})
	f("topic without partitions", []asked{{t, []int32{}}})
	f("twice", []asked{{t, []int32{0, 0}}})
	f("topic twice", []asked{{t, []int32{0}}, {t, []int32{1}}})
	f("unknown topic", []asked{{t + "-nope", []int32{0}}})
	f("unknown partition", []asked{{t, []int32{9, -1}}})
	f("known and unknown", []asked{{t + "-nope", []int32{0}}, {t, []int32{0}}})
	f("empty topic", []asked{{"", []int32{0}}})
	if s.v(9) >= 8 {
		f("no groups", nil, func(r *kmsg.OffsetFetchRequest) { r.Groups = nil })
		again := func(r *kmsg.OffsetFetchRequest) { r.Groups = append(r.Groups, r.Groups[0]) }
		f("group twice", both, again)
		g.ask("a group and all of it", "", func(sd *side) kmsg.Request {
			r := auto(kmsg.NewPtrOffsetFetchRequest())
			r.Groups = []kmsg.OffsetFetchRequestGroup{g.wanted(sd, both), g.wanted(sd, nil), h.wanted(sd, both)}
			return r
		})
	}
	if s.v(9) >= 9 {
		as := func(step string, id *string, epoch int32) {
			f(step, both, func(r *kmsg.OffsetFetchRequest) { r.Groups[0].MemberID, r.Groups[0].MemberEpoch = id, epoch })
		}
		as("member of a simple group", kmsg.StringPtr("x"), 1)
		as("member, epoch -1", kmsg.StringPtr("x"), -1)
		as("no member, epoch 1", nil, 1)
		as("empty member", kmsg.StringPtr(""), -1)
	}
	s.ask("at another broker", func(sd *side) line { return line{broker: sd.coordinator(g.name)%3 + 1} }, g.offsets(both))
	s.do("delete the topic", 1, s.remove(u))
	s.heard(500 * time.Millisecond)
	f("all after a deletion", nil)
	f("the deleted topic", []asked{{u, []int32{0}}})
}

func offsetDelete(s *session) {
	t, u := s.make("od", 2), s.make("oe", 1)
	g := s.group("simple")
	d := func(step string, topics ...asked) { g.ask(step, "", g.deleteOffsets(topics...)) }
	d("no group", asked{t, []int32{0}})
	d("no group, unknown topic", asked{t + "-nope", []int32{0}})
	g.ask("commit", "", g.commit("", []committed{{t, 0, 5, ""}, {t, 1, 6, ""}, {u, 0, 7, ""}}))
	d("one", asked{t, []int32{0}})
	d("again", asked{t, []int32{0}})
	d("unknown partition", asked{t, []int32{9, -1}})
	d("unknown topic", asked{t + "-nope", []int32{0}})
	d("twice", asked{t, []int32{1, 1}})
	d("nothing")
	d("topic without partitions", asked{t, []int32{}})
	g.ask("what is left", "", g.offsets(nil))
	d("the last", asked{u, []int32{0}})
	g.ask("nothing is left", "", g.offsets(nil))
	g.ask("the group", "", describeGroups(false, g.name))
	g.ask("empty group", "", func(*side) kmsg.Request {
		r := auto(kmsg.NewPtrOffsetDeleteRequest())
		x := kmsg.NewOffsetDeleteRequestTopic()
		x.Topic = t
		p := kmsg.NewOffsetDeleteRequestTopicPartition()
		x.Partitions = append(x.Partitions, p)
		r.Topics = append(r.Topics, x)
		return r
	})
	m := s.settledGroup("members", t)
	m.ask("A commits", "", m.commit("A", []committed{{t, 0, 5, ""}, {u, 0, 7, ""}}))
	m.ask("a subscribed topic", "", m.deleteOffsets(asked{t, []int32{0}}))
	m.ask("unknown topic of members", "", m.deleteOffsets(asked{t + "-nope", []int32{0}}))
	m.ask("one of each", "", m.deleteOffsets(asked{t, []int32{0}}, asked{u, []int32{0}}))
	m.ask("what is left to members", "", m.offsets(nil))
	other := s.group("connect")
	other.joined("A joins a group of another kind", "A", []protocol{{"x", []byte("hello")}}, func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "connect" })
	other.ask("of another kind", "", other.deleteOffsets(asked{t, []int32{0}}))
	k := s.group("kip848")
	k.ask("A joins by heartbeat", "A", k.beat("A", k.first("A", t)))
	k.ask("A commits its own", "", k.commit("A", []committed{{t, 0, 5, ""}}))
	k.ask("subscribed by heartbeat", "", k.deleteOffsets(asked{t, []int32{0}}, asked{u, []int32{0}}))
}

func joinGroup(s *session) {
	t := s.make("jg", 2)
	g := s.group("j")
	j := func(step, letter string, protocols []protocol, edits ...func(*kmsg.JoinGroupRequest)) {
		g.ask(step, letter, g.join(letter, protocols, edits...))
	}
	r1 := ranged(t)
	session := func(ms int32) func(*kmsg.JoinGroupRequest) {
		return func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis = ms }
	}
	j("empty group", "=", r1, func(r *kmsg.JoinGroupRequest) { r.Group = "" })
	j("empty group, bad session", "=", r1, session(1), func(r *kmsg.JoinGroupRequest) { r.Group = "" })
	j("session too short", "=", r1, session(999))
	j("session too long", "=", r1, session(1800001))
	j("session negative", "=", r1, session(-1))
	j("session too short of a stranger", "=stranger", r1, session(999))
	j("a stranger", "=stranger", r1)
	j("a stranger without protocols", "=stranger", nil)
	j("no protocols", "=", nil)
	j("no protocol type", "=", r1, func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "" })
	for i, name := range []string{"", "a/b", ".", strings.Repeat("i", 250)} {
		o := s.group(fmt.Sprint("instance", i))
		o.joined(fmt.Sprintf("instance %.3q", name), "A", r1, static(name))
	}

	g.joined("A joins", "A", r1)
	j("A again, before it is synced", "A", r1)
	j("A again with other metadata", "A", ranged(t, t+"2"))
	g.ask("A syncs", "A", g.sync("A", map[string]string{"A": "all"}))
	j("A again when stable", "A", r1)
	g.ask("A syncs again", "A", g.sync("A", map[string]string{"A": "all"}))
	j("another type", "=", []protocol{{"range", nil}}, func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "connect" })
	j("another protocol", "=", []protocol{{"other", subscription(t)}})
	j("a stranger when stable", "=stranger", r1)
	j("A with another protocol", "A", []protocol{{"other", subscription(t)}})
	j("A with another type", "A", r1, func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "connect" })
	j("A with an instance", "A", r1, static("i"))
	j("null metadata", "A", []protocol{{"range", nil}})
	j("unparsable metadata", "A", []protocol{{"range", []byte{1}}})
	g.ask("A syncs what it cannot parse", "A", g.sync("A", map[string]string{"A": "all"}))
	g.ask("the group", "", describeGroups(false, g.name))
	g.ask("A leaves", "A", g.leave(leaver{letter: "A"}))
	j("A after it left", "A", r1)
	g.forget("A")
	e := s.group("nameless")
	e.joined("empty protocol name", "A", []protocol{{"", []byte("x")}})
	o := s.group("hasty")
	o.joined("rebalance timeout -1", "A", r1, func(r *kmsg.JoinGroupRequest) { r.RebalanceTimeoutMillis = -1 })
	s.net.Sleep(300 * time.Millisecond)
	o.ask("it was too late to sync", "A", o.sync("A", map[string]string{"A": "all"}))

	two := s.group("two")
	two.joined("A joins the second", "A", []protocol{{"range", subscription(t)}, {"roundrobin", subscription(t)}})
	two.ask("A syncs the second", "A", two.sync("A", map[string]string{"A": "all"}))
	b := two.joining("B joins", "B", []protocol{{"roundrobin", subscription(t)}, {"range", subscription(t)}})
	two.ask("A hears of it", "A", two.heartbeat("A"))
	two.ask("A syncs meanwhile", "A", two.sync("A", nil))
	two.ask("B hears nothing", "", two.heartbeat("B"))
	two.ask("the group while it rebalances", "", describeGroups(false, two.name))
	a := two.begin("A rejoins", "A", two.join("A", []protocol{{"range", subscription(t)}, {"roundrobin", subscription(t)}}))
	two.finish("A", a)
	two.finish("B", b)
	two.ask("the group before it is synced", "", describeGroups(false, two.name))
	b = two.begin("B joins again with the same", "B", two.join("B", []protocol{{"roundrobin", subscription(t)}, {"range", subscription(t)}}))
	if s.waits(b, waitTime) {
		a = two.begin("A rejoins, too", "A", two.join("A", ranged(t)))
		two.finish("A", a)
	}
	two.finish("B", b)
	proto := func(p string) func(*kmsg.SyncGroupRequest) {
		return func(r *kmsg.SyncGroupRequest) { r.Protocol = kmsg.StringPtr(p) }
	}
	two.ask("A syncs with range", "A", two.sync("A", map[string]string{"A": "1", "B": "2"}, proto("range")))
	two.ask("A syncs with roundrobin", "A", two.sync("A", map[string]string{"A": "1", "B": "2"}, proto("roundrobin")))
	two.ask("the group in the end", "", describeGroups(false, two.name))
	b = two.begin("the follower joins again with the same", "B", two.join("B", []protocol{{"roundrobin", subscription(t)}, {"range", subscription(t)}}))
	if s.waits(b, waitTime) {
		two.ask("the follower's is awaited", "A", two.heartbeat("A"))
	} else {
		two.end("B", b)
	}
	a = two.begin("the leader joins again with the same", "A", two.join("A", []protocol{{"range", subscription(t)}, {"roundrobin", subscription(t)}}))
	if s.waits(a, waitTime) {
		b2 := two.begin("B's heartbeat when the leader joined", "B2", two.heartbeat("B"))
		two.end("B2", b2)
		two.ask("B's commit when the leader joined", "B2", two.commit("B", []committed{{t, 0, 3, ""}}))
		b = two.begin("B joins, too", "B", two.join("B", []protocol{{"range", subscription(t)}}))
		two.finish("B", b)
	}
	two.finish("A", a)
	two.ask("the group with one in common", "", describeGroups(false, two.name))

	big := s.group("big")
	big.joined("a large metadata", "A", []protocol{{"range", make([]byte, 900_000)}})
	big.ask("a large assignment", "A", big.sync("A", map[string]string{"A": strings.Repeat("x", 1000)}))
	many := s.group("many")
	var protocols []protocol
	for i := range 300 {
		protocols = append(protocols, protocol{fmt.Sprint("p", i), []byte("x")})
	}
	many.joined("many protocols", "A", protocols)
	many.ask("connect", "B", many.join("B", protocols, func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "connect" }))
}

// joinGroupTimers is about what happens when time passes. The bounds of the
// session are lower than Kafka's in the driver's clusters.
func joinGroupTimers(s *session) {
	t := s.make("jt", 2)
	short := func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis, r.RebalanceTimeoutMillis = 1000, 2500 }
	g := s.group("expires")
	if s.v(11) >= 4 {
		g.ask("an id is pending", "P", g.join("P", ranged(t), short))
		s.net.Sleep(2 * time.Second)
		g.ask("the pending id has expired", "P", g.join("P", ranged(t), short))
	}
	g.joined("A joins", "A", ranged(t), short)
	g.ask("A syncs", "A", g.sync("A", map[string]string{"A": "all"}))
	s.net.Sleep(2 * time.Second)
	g.ask("A has expired", "A", g.heartbeat("A"))
	g.ask("the group without A", "", describeGroups(false, g.name))
	g.ask("A commits", "A", g.commit("A", []committed{{t, 0, 1, ""}}))

	long := func(r *kmsg.JoinGroupRequest) { r.SessionTimeoutMillis, r.RebalanceTimeoutMillis = 30000, 2500 }
	h := s.group("syncs late")
	h.joined("A joins the second", "A", ranged(t), long)
	h.ask("A syncs the second", "A", h.sync("A", map[string]string{"A": "all"}))
	b := h.joining("B joins", "B", ranged(t), long)
	s.net.Sleep(3 * time.Second)
	h.finish("B", b)
	h.ask("A did not rejoin", "A", h.heartbeat("A"))
	h.ask("the group without the old leader", "", describeGroups(false, h.name))
	s.net.Sleep(3 * time.Second)
	h.ask("B did not sync", "B", h.heartbeat("B"))
	h.ask("the group without B", "", describeGroups(false, h.name))

	p := s.group("syncs by half")
	p.joined("A joins the third", "A", ranged(t), long)
	p.ask("A syncs the third", "A", p.sync("A", map[string]string{"A": "all"}))
	b = p.joining("B joins the third", "B", ranged(t), long)
	a := p.begin("A rejoins the third", "A", p.join("A", ranged(t), long))
	p.finish("A", a)
	p.finish("B", b)
	p.ask("A syncs for both", "A", p.sync("A", map[string]string{"A": "a", "B": "b"}))
	s.net.Sleep(3 * time.Second)
	p.ask("B never synced", "B", p.heartbeat("B"))
	p.ask("A hears of it", "A", p.heartbeat("A"))
	p.ask("the group of the third", "", describeGroups(false, p.name))

	q := s.group("static stays")
	q.joined("A joins the fourth", "A", ranged(t), long, static("ia"))
	q.ask("A syncs the fourth", "A", q.sync("A", map[string]string{"A": "all"}))
	b = q.joining("B joins the fourth", "B", ranged(t), long, static("ib"))
	s.net.Sleep(3 * time.Second)
	q.finish("B", b)
	q.ask("A heartbeats the old generation", "A", q.heartbeat("A"))
	q.ask("A commits the old generation", "A", q.commit("A", []committed{{t, 0, 1, ""}}))
	q.ask("the group of static ones", "", describeGroups(false, q.name))
}

func syncGroup(s *session) {
	t := s.make("sg", 2)
	g := s.group("s")
	y := func(step, letter string, given map[string]string, edits ...func(*kmsg.SyncGroupRequest)) {
		g.ask(step, "", g.sync(letter, given, edits...))
	}
	y("no group", "=x", nil, func(r *kmsg.SyncGroupRequest) { r.Generation = 1 })
	y("empty group", "=x", nil, func(r *kmsg.SyncGroupRequest) { r.Group = "" })
	y("no group, empty member", "=", nil)
	y("no type", "=x", nil, func(r *kmsg.SyncGroupRequest) { r.ProtocolType = nil })
	y("no protocol", "=x", nil, func(r *kmsg.SyncGroupRequest) { r.Protocol = nil })
	g.ask("a commit makes it", "", g.commit("", []committed{{t, 0, 1, ""}}))
	y("a simple group", "=x", nil, func(r *kmsg.SyncGroupRequest) { r.Generation = 0 })
	g.joined("A joins", "A", ranged(t))
	generation := func(n int32) func(*kmsg.SyncGroupRequest) {
		return func(r *kmsg.SyncGroupRequest) { r.Generation = n }
	}
	y("a stranger", "=stranger", nil, generation(1))
	y("old generation", "A", nil, generation(0))
	y("generation to come", "A", nil, generation(2))
	y("generation -1", "A", nil, generation(-1))
	y("another type", "A", nil, func(r *kmsg.SyncGroupRequest) { r.ProtocolType = kmsg.StringPtr("connect") })
	y("another protocol", "A", nil, func(r *kmsg.SyncGroupRequest) { r.Protocol = kmsg.StringPtr("other") })
	y("an instance that is not", "A", nil, func(r *kmsg.SyncGroupRequest) { r.InstanceID = kmsg.StringPtr("i") })
	y("the leader without assignments", "A", nil)
	y("again", "A", map[string]string{"A": "late"})
	g.ask("the group", "", describeGroups(false, g.name))
	b := g.joining("B joins", "B", ranged(t))
	y("while it rebalances", "A", nil)
	y("while it rebalances, of B", "B", nil, generation(1))
	a := g.begin("A rejoins", "A", g.join("A", ranged(t)))
	g.finish("A", a)
	g.finish("B", b)
	b = g.begin("B syncs", "B", g.sync("B", map[string]string{"B": "mine"}))
	s.waits(b, waitTime)
	y("the leader assigns strangers", "A", map[string]string{"A": "a", "=missing": "x"})
	g.end("B", b)
	y("A asks again", "A", nil)
	y("A asks of the past", "A", nil, generation(1))
	g.ask("the group with B", "", describeGroups(false, g.name))
	b = g.begin("B rejoins with more", "B", g.join("B", ranged(t, t+"2")))
	s.waits(b, waitTime)
	a = g.begin("A rejoins, too", "A", g.join("A", ranged(t)))
	g.finish("A", a)
	g.end("B", b)
	b = g.begin("B syncs again", "B", g.sync("B", nil))
	s.waits(b, waitTime)
	c := g.joining("C joins, B waits", "C", ranged(t))
	g.end("B", b)
	g.ask("A leaves", "A", g.leave(leaver{letter: "A"}))
	g.ask("B leaves", "B", g.leave(leaver{letter: "B"}))
	g.finish("C", c)
	y("C syncs", "C", map[string]string{"C": "all"})
}

func heartbeat(s *session) {
	t := s.make("hb", 2)
	g := s.group("h")
	h := func(step, letter string, edits ...func(*kmsg.HeartbeatRequest)) {
		g.ask(step, "", g.heartbeat(letter, edits...))
	}
	generation := func(n int32) func(*kmsg.HeartbeatRequest) {
		return func(r *kmsg.HeartbeatRequest) { r.Generation = n }
	}
	h("no group", "=x", generation(1))
	h("empty group", "=x", func(r *kmsg.HeartbeatRequest) { r.Group = "" })
	h("no group, empty member", "=")
	g.ask("a commit makes it", "", g.commit("", []committed{{t, 0, 1, ""}}))
	h("a simple group", "=x", generation(0))
	g.joined("A joins", "A", ranged(t))
	h("before it is synced", "A")
	h("a stranger before it is synced", "=stranger", generation(1))
	h("old generation before it is synced", "A", generation(0))
	g.ask("A syncs", "A", g.sync("A", map[string]string{"A": "all"}))
	h("right", "A")
	h("old generation", "A", generation(0))
	h("generation to come", "A", generation(2))
	h("generation -1", "A", generation(-1))
	h("a stranger", "=stranger", generation(1))
	h("an instance that is not", "A", func(r *kmsg.HeartbeatRequest) { r.InstanceID = kmsg.StringPtr("i") })
	h("empty instance", "A", func(r *kmsg.HeartbeatRequest) { r.InstanceID = kmsg.StringPtr("") })
	b := g.joining("B joins", "B", ranged(t))
	h("while it rebalances", "A")
	h("old generation while it rebalances", "A", generation(0))
	h("B while it rebalances", "B", generation(1))
	g.ask("A leaves", "A", g.leave(leaver{letter: "A"}))
	g.finish("B", b)
	h("A after it left", "A")
	h("B leads", "B")
	s.ask("at another broker", func(sd *side) line { return line{broker: sd.coordinator(g.name)%3 + 1} }, g.heartbeat("B"))
}

func leaveGroup(s *session) {
	t := s.make("lv", 2)
	g := s.group("l")
	l := func(step string, leavers ...leaver) { g.ask(step, "", g.leave(leavers...)) }
	l("no group", leaver{letter: "=x"})
	l("no group, two", leaver{letter: "=x"}, leaver{letter: "=y", instance: "i"})
	l("no group, no member")
	g.ask("empty group", "", func(*side) kmsg.Request {
		r := auto(kmsg.NewPtrLeaveGroupRequest())
		r.MemberID = "x"
		x := kmsg.NewLeaveGroupRequestMember()
		x.MemberID = "x"
		r.Members = append(r.Members, x)
		return r
	})
	g.ask("a pending id", "P", g.join("P", ranged(t)))
	l("the pending id leaves", leaver{letter: "P"})
	l("it leaves again", leaver{letter: "P"})
	g.forget("P")
	g.joined("A joins", "A", ranged(t), static("ia"))
	g.ask("A syncs", "A", g.sync("A", map[string]string{"A": "all"}))
	l("a stranger", leaver{letter: "=stranger"})
	l("no member")
	l("an instance that is not", leaver{letter: "=", instance: "no"})
	l("a stranger with A's instance", leaver{letter: "=stranger", instance: "ia"})
	l("A with another instance", leaver{letter: "A", instance: "no"})
	l("some and A", leaver{letter: "=stranger"}, leaver{letter: "A", instance: "ia"}, leaver{letter: "A", instance: "ia"})
	if s.v(13) < 3 {
		l("only A", leaver{letter: "A"})
	}
	g.ask("the group", "", describeGroups(false, g.name))
	g.forget("A")
	g.joined("A joins again", "A", ranged(t), static("ia"))
	g.ask("A syncs again", "A", g.sync("A", map[string]string{"A": "all"}))
	l("by instance alone", leaver{letter: "=", instance: "ia"})
	if s.v(13) < 3 {
		l("and by its id", leaver{letter: "A"})
	}
	g.ask("A after that", "A", g.heartbeat("A"))
	g.forget("A")
	g.joined("A joins a third time", "A", ranged(t))
	b := g.joining("B joins", "B", ranged(t))
	l("A leaves while B waits", leaver{letter: "A"})
	g.finish("B", b)
	g.ask("B syncs", "B", g.sync("B", map[string]string{"B": "all"}))
	l("B leaves", leaver{letter: "B"})
	l("B leaves again", leaver{letter: "B"})
	g.ask("no member is left", "", describeGroups(false, g.name))
}

// staticMembers are of KIP-345.
func staticMembers(s *session) {
	if s.v(11) < 5 {
		return
	}
	t := s.make("sm", 2)
	g := s.group("static")
	g.joined("A joins", "A", ranged(t), static("ia"))
	g.ask("A syncs", "A", g.sync("A", map[string]string{"A": "all"}))
	b := g.joining("B joins", "B", ranged(t), static("ib"))
	a := g.begin("A rejoins", "A", g.join("A", ranged(t), static("ia")))
	g.finish("A", a)
	g.finish("B", b)
	b = g.begin("B syncs", "B", g.sync("B", nil))
	s.waits(b, waitTime)
	g.ask("A syncs for both", "A", g.sync("A", map[string]string{"A": "a", "B": "b"}))
	g.finish("B", b)
	g.ask("the group", "", describeGroups(false, g.name))
	// A new process of B, and then one of A, which leads.
	g.ask("B is replaced", "B2", g.join("B2", ranged(t), static("ib")))
	g.ask("its successor syncs", "B2", g.sync("B2", nil, func(r *kmsg.SyncGroupRequest) { r.InstanceID = kmsg.StringPtr("ib") }))
	instance := kmsg.StringPtr("ib")
	g.ask("the old B heartbeats", "", g.heartbeat("B", func(r *kmsg.HeartbeatRequest) { r.InstanceID = instance }))
	g.ask("the old B heartbeats as a dynamic one", "", g.heartbeat("B"))
	g.ask("the old B syncs", "", g.sync("B", nil, func(r *kmsg.SyncGroupRequest) { r.InstanceID = instance }))
	g.ask("the old B commits", "", g.commit("B", []committed{{t, 0, 1, ""}}, func(r *kmsg.OffsetCommitRequest) { r.InstanceID = instance }))
	g.ask("the old B commits as a dynamic one", "", g.commit("B", []committed{{t, 0, 1, ""}}))
	g.ask("no member commits as ib", "", g.commit("", []committed{{t, 0, 1, ""}}, func(r *kmsg.OffsetCommitRequest) { r.InstanceID = instance }))
	g.ask("the old B joins", "B", g.join("B", ranged(t), static("ib")))
	g.ask("the old B leaves", "", g.leave(leaver{"B", "ib"}))
	g.ask("the group with the successor", "", describeGroups(false, g.name))
	g.ask("A is replaced", "A2", g.join("A2", ranged(t), static("ia")))
	g.ask("the old A heartbeats", "", g.heartbeat("A", func(r *kmsg.HeartbeatRequest) { r.InstanceID = kmsg.StringPtr("ia") }))
	g.ask("B hears of it or not", "", g.heartbeat("B2", func(r *kmsg.HeartbeatRequest) { r.InstanceID = instance }))
	g.ask("the group with both successors", "", describeGroups(false, g.name))
	b = g.begin("B is replaced with another subscription", "B3", g.join("B3", ranged(t, t+"2"), static("ib")))
	if s.waits(b, waitTime) {
		g.ask("A hears of the change", "", g.heartbeat("A2", func(r *kmsg.HeartbeatRequest) { r.InstanceID = kmsg.StringPtr("ia") }))
		a = g.begin("A joins for the change", "A2", g.join("A2", ranged(t), static("ia")))
		g.finish("A2", a)
	}
	g.finish("B3", b)
	b = g.begin("B is replaced before it is synced", "B4", g.join("B4", ranged(t, t+"2"), static("ib")))
	if s.waits(b, waitTime) {
		c := g.begin("and while it waits", "B5", g.join("B5", ranged(t, t+"2"), static("ib")))
		g.end("B4", b)
		s.waits(c, waitTime)
		a = g.begin("A joins for that", "A2", g.join("A2", ranged(t), static("ia")))
		g.finish("A2", a)
		g.end("B5", c)
	} else {
		g.end("B4", b)
	}
	g.ask("both leave", "", g.leave(leaver{"=", "ia"}, leaver{"=", "ib"}, leaver{"=", "ib"}))
	g.ask("no member is left", "", describeGroups(false, g.name))
}

func describeOfGroups(s *session) {
	t := s.make("dg", 2)
	d := func(step string, g *group, ops bool, names ...string) { g.ask(step, "", describeGroups(ops, names...)) }
	g := s.group("simple")
	d("no group", g, false, g.name)
	d("no group, ops", g, true, g.name)
	d("none", g, false, []string{}...)
	d("twice", g, false, g.name, g.name)
	g.ask("commit", "", g.commit("", []committed{{t, 0, 1, ""}}))
	d("a simple group", g, false, g.name)
	d("a simple group, ops", g, true, g.name)
	d("a group twice", g, false, g.name, g.name)
	s.ask("at another broker", func(sd *side) line { return line{broker: sd.coordinator(g.name)%3 + 1} }, describeGroups(false, g.name))
	m := s.settledGroup("members", t)
	d("a stable group", m, false, m.name)
	d("a stable group, ops", m, true, m.name)
	k := s.group("kip848")
	k.ask("A joins by heartbeat", "A", k.beat("A", k.first("A", t)))
	d("of the other protocol", k, false, k.name)
	d("of the other protocol, ops", k, true, k.name)
}

func listOfGroups(s *session) {
	t := s.make("lg", 2)
	g := s.group("simple")
	g.ask("commit", "", g.commit("", []committed{{t, 0, 1, ""}}))
	m := s.settledGroup("members", t)
	x := s.group("connect")
	x.joined("A joins a group of another kind", "A", []protocol{{"x", []byte("hello")}}, func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "connect" })
	k := s.group("kip848")
	k.ask("A joins by heartbeat", "A", k.beat("A", k.first("A", t)))
	for _, f := range []struct {
		step          string
		states, types []string
	}{
		{"all", nil, nil},
		{"stable", []string{"Stable"}, nil},
		{"stable, small letters", []string{"stable"}, nil},
		{"empty", []string{"Empty"}, nil},
		{"two states", []string{"Empty", "CompletingRebalance"}, nil},
		{"Dead", []string{"Dead"}, nil},
		{"no such state", []string{"Nope"}, nil},
		{"empty state", []string{""}, nil},
		{"a state and one that is not", []string{"Nope", "Stable"}, nil},
		{"Reconciling", []string{"Reconciling"}, nil},
		{"Assigning", []string{"assigning"}, nil},
		{"classic", nil, []string{"classic"}},
		{"Consumer", nil, []string{"Consumer"}},
		{"no such type", nil, []string{"nope"}},
		{"empty type", nil, []string{""}},
		{"share", nil, []string{"share"}},
		{"streams and consumer", nil, []string{"streams", "CONSUMER"}},
		{"stable and classic", []string{"Stable"}, []string{"Classic"}},
		{"empty and consumer", []string{"Empty"}, []string{"Consumer"}},
	} {
		for _, of := range []*group{g, m, x, k} {
			of.ask(f.step+strings.TrimPrefix(of.name, s.prefix), "", listGroups(f.states, f.types))
		}
	}
}

func deleteOfGroups(s *session) {
	t := s.make("dl", 2)
	g := s.group("simple")
	d := func(step string, g *group, names ...string) { g.ask(step, "", deleteGroups(names...)) }
	d("no group", g, g.name)
	d("none", g, []string{}...)
	g.ask("commit", "", g.commit("", []committed{{t, 0, 1, ""}}))
	s.ask("at another broker", func(sd *side) line { return line{broker: sd.coordinator(g.name)%3 + 1} }, deleteGroups(g.name))
	d("a simple group", g, g.name)
	d("again", g, g.name)
	g.ask("its offsets are gone", "", g.offsets(nil))
	g.ask("commit again", "", g.commit("", []committed{{t, 0, 1, ""}}))
	d("twice", g, g.name, g.name)
	g.ask("commit a third time", "", g.commit("", []committed{{t, 0, 1, ""}}))
	d("one and one that is not", g, s.prefix+"not", g.name)
	m := s.settledGroup("members", t)
	d("with members", m, m.name)
	m.ask("all leave", "", m.leave(leaver{letter: "A"}, leaver{letter: "B"}))
	m.ask("B leaves in old versions", "", m.leave(leaver{letter: "B"}))
	d("without members", m, m.name)
	m.ask("the group is gone", "", describeGroups(false, m.name))
	m.ask("A heartbeats the deleted group", "", m.heartbeat("A"))
	k := s.group("kip848")
	k.ask("A joins by heartbeat", "A", k.beat("A", k.first("A", t)))
	d("of the other protocol, with members", k, k.name)
	k.ask("A leaves by heartbeat", "A", k.beat("A", epoch(-1)))
	d("of the other protocol", k, k.name)
	k.ask("it is gone", "", describeConsumerGroups(false, k.name))
}

func groupConfigs(s *session) {
	name := s.prefix + "cfg"
	a := func(step, group string, cs ...change) { s.do(step, 1, s.alter(false, groupResource, group, cs...)) }
	a("session", name, change{name: "consumer.session.timeout.ms", value: "50000"})
	a("session too long", name, change{name: "consumer.session.timeout.ms", value: "60001"})
	a("session below 1", name, change{name: "consumer.session.timeout.ms", value: "0"})
	a("session not a number", name, change{name: "consumer.session.timeout.ms", value: "x"})
	a("heartbeat", name, change{name: "consumer.heartbeat.interval.ms", value: "7000"})
	a("heartbeat too long", name, change{name: "consumer.heartbeat.interval.ms", value: "15001"})
	a("assignment interval", name, change{name: "consumer.assignment.interval.ms", value: "1000"})
	a("assignment interval too long", name, change{name: "consumer.assignment.interval.ms", value: "15001"})
	a("unknown", name, change{name: "no.such", value: "1"})
	a("delete", name, change{name: "consumer.heartbeat.interval.ms", op: 1, null: true})
	a("empty name", "", change{name: "consumer.session.timeout.ms", value: "50000"})
	s.heard(0)
	s.do("see", 1, s.describeConfigs(groupResource, name, true, false, "consumer.session.timeout.ms", "consumer.heartbeat.interval.ms", "consumer.assignment.interval.ms"))
	s.do("see one without", 1, s.describeConfigs(groupResource, s.prefix+"none", true, false, "consumer.session.timeout.ms", "consumer.heartbeat.interval.ms", "consumer.assignment.interval.ms"))
}
