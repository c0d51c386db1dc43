package sessions

import (
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// makeKnown makes a topic and gives coordinators time to hear of it, which they
// do after the brokers that they are.
func (s *session) makeKnown(name string, parts int) string {
	t := s.make(name, parts)
	s.heard(300 * time.Millisecond)
	return t
}

// beatAs has the heartbeats of a group in short: a step, a member's letter, and
// what is in it.
func (g *group) beatAs(step, letter string, edits ...beatEdit) {
	g.ask(step, letter, g.beat(letter, edits...))
}

// consumerHeartbeat is the story of two members that share a topic (KIP-848),
// which then grows.
func consumerHeartbeat(s *session) {
	t := s.makeKnown("ch", 6)
	g := s.group("g")
	g.beatAs("A joins", "A", g.first("A", t))
	g.beatAs("A owns all", "A", owning(t, 0, 1, 2, 3, 4, 5))
	g.beatAs("B joins", "B", g.first("B", t))
	g.ask("the group when B joined", "", describeConsumerGroups(false, g.name))
	g.beatAs("A is to give up half", "A")
	g.ask("the group while A gives up", "", describeConsumerGroups(false, g.name))
	g.beatAs("B waits", "B")
	g.beatAs("A has given up half", "A", owning(t, 0, 1, 2))
	g.beatAs("B is given the rest", "B")
	g.beatAs("B owns the rest", "B", owning(t, 3, 4, 5))
	g.ask("the group is stable", "", describeConsumerGroups(true, g.name))
	g.beatAs("the last epoch and what it owns", "A", epoch(2), owning(t, 0, 1, 2))
	g.beatAs("the last epoch and more than it owns", "A", epoch(2), owning(t, 0, 1, 2, 3))
	g.beatAs("the last epoch", "A", epoch(2))
	g.beatAs("an epoch to come", "A", epoch(5))
	g.beatAs("the last epoch of B", "B", epoch(2))
	g.beatAs("A joins again", "A", g.first("A", t))
	g.beatAs("A goes on", "A")
	s.do("more partitions", 1, s.partitions(false, grow{t, 8, nil}))
	s.settle(t, 8)
	s.heard(500 * time.Millisecond)
	g.beatAs("A after it grew", "A")
	g.beatAs("B after it grew", "B")
	g.beatAs("A owns more", "A", owning(t, 0, 1, 2, 6))
	g.beatAs("B owns more", "B", owning(t, 3, 4, 5, 7))
	g.ask("the group after it grew", "", describeConsumerGroups(false, g.name))
	g.beatAs("B leaves", "B", epoch(-1))
	g.ask("the group without B", "", describeConsumerGroups(false, g.name))
	g.beatAs("A is given what B had", "A")
	g.beatAs("A owns it", "A", owning(t, 0, 1, 2, 3, 4, 5, 6, 7))
	g.beatAs("B after it left", "B", epoch(2))
	g.beatAs("A leaves", "A", epoch(-1))
	g.ask("the group is empty", "", describeConsumerGroups(false, g.name))
	g.ask("listed empty", "", listGroups(nil, nil))
	g.beatAs("A leaves again", "A", epoch(-1))
	g.beatAs("C joins the empty group", "C", g.first("C", t))

	// B leaves while A has not given up: what comes back is given with the
	// acknowledgement.
	h := s.group("h")
	u := s.makeKnown("cu", 6)
	h.beatAs("A joins h", "A", h.first("A", u))
	h.beatAs("A owns all of h", "A", owning(u, 0, 1, 2, 3, 4, 5))
	h.beatAs("B joins h", "B", h.first("B", u))
	h.beatAs("A is to give up half of h", "A")
	h.beatAs("B leaves h", "B", epoch(-1))
	h.beatAs("A has not given up", "A")
	h.beatAs("A says that it has not", "A", owning(u, 0, 1, 2, 3, 4, 5))
	h.beatAs("A gives up", "A", owning(u, 0, 1, 2))
	h.beatAs("A is given it back", "A")

	// With an interval between assignments a second member waits (KIP-1263).
	i := s.group("interval")
	s.do("an interval", 1, s.alter(false, groupResource, i.name, change{name: "consumer.assignment.interval.ms", value: "2000"}))
	s.heard(500 * time.Millisecond)
	i.beatAs("A joins with the interval", "A", i.first("A", u))
	i.beatAs("B joins with the interval", "B", i.first("B", u))
	i.beatAs("B asks at once", "B")
	i.ask("the group within the interval", "", describeConsumerGroups(false, i.name))
	s.net.Sleep(2200 * time.Millisecond)
	i.beatAs("B asks after the interval", "B")
	i.ask("the group after the interval", "", describeConsumerGroups(false, i.name))
	i.beatAs("A asks after the interval", "A")
	i.beatAs("A has given up half within the interval", "A", owning(u, 0, 1, 2))
	i.beatAs("B gets its half", "B")
}

// consumerValidation is one wrong thing after another.
func consumerValidation(s *session) {
	t := s.makeKnown("cv", 2)
	g := s.group("v")
	b := func(step string, edits ...beatEdit) {
		g.ask(step, "", g.beat("X", append([]beatEdit{g.first("X", t)}, edits...)...))
	}
	set := with
	b("empty group", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Group = "" }))
	b("blank group", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Group = "  " }))
	b("empty member at epoch 1", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberID, r.MemberEpoch = "", 1 }))
	b("empty member at epoch -1", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberID, r.MemberEpoch = "", -1 }))
	b("blank member", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberID = " " }))
	b("empty instance", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.InstanceID = kmsg.StringPtr("") }))
	b("empty rack", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RackID = kmsg.StringPtr("") }))
	b("no rebalance timeout", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RebalanceTimeoutMillis = -1 }))
	b("rebalance timeout -5", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) {
		r.Group, r.RebalanceTimeoutMillis = g.name+"-r", -5
	}))
	b("owned null", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Topics = nil }))
	b("owned at epoch 0", owning(t, 0))
	b("no subscription", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicNames = nil }))
	b("empty subscription", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) {
		r.Group, r.SubscribedTopicNames = g.name+"-e", []string{}
	}))
	b("epoch -2 without instance", epoch(-2))
	b("epoch -3", epoch(-3))
	b("epoch -3 with instance", epoch(-3), set(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.InstanceID = kmsg.StringPtr("i") }))
	b("no such assignor", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.ServerAssignor = kmsg.StringPtr("no-such") }))
	b("empty assignor", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.ServerAssignor = kmsg.StringPtr("") }))
	b("regex that is none", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) {
		r.SubscribedTopicNames, r.SubscribedTopicRegex = nil, kmsg.StringPtr("(")
	}))
	b("regex with a look-ahead", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) {
		r.SubscribedTopicNames, r.SubscribedTopicRegex = nil, kmsg.StringPtr("a(?=b)")
	}))
	b("epoch 3 of no group", epoch(3))
	b("epoch -1 of no group", epoch(-1))
	b("epoch -2 of no group", epoch(-2), set(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.InstanceID = kmsg.StringPtr("i") }))
	b("two mistakes: member and rack", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) {
		r.MemberID, r.MemberEpoch, r.RackID = "", 1, kmsg.StringPtr("")
	}))
	b("two mistakes: assignor and epoch", epoch(3), set(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.ServerAssignor = kmsg.StringPtr("no-such") }))
	g.ask("nothing has come of it", "", describeConsumerGroups(false, g.name))
	b("topics that do not exist", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) {
		r.Group, r.SubscribedTopicNames = g.name+"-n", []string{t + "-nope"}
	}))
	b("a topic twice", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) {
		r.Group, r.SubscribedTopicNames = g.name+"-t", []string{t, t}
	}))
	b("illegal topic name", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) {
		r.Group, r.SubscribedTopicNames = g.name+"-i", []string{"a/b", ""}
	}))
	b("no id is given", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Group, r.MemberID = g.name+"-m", "" }))
	b("a long id", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) {
		r.Group, r.MemberID = g.name+"-l", strings.Repeat("m", 1000)
	}))

	g.beatAs("A joins", "A", g.first("A", t))
	c := func(step, letter string, edits ...beatEdit) { g.ask(step, "", g.beat(letter, edits...)) }
	c("a stranger at epoch 2", "=stranger", epoch(2))
	c("a stranger at epoch -1", "=stranger", epoch(-1))
	c("a stranger at epoch -2", "=stranger", epoch(-2), set(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.InstanceID = kmsg.StringPtr("i") }))
	c("epoch 1", "A", epoch(1))
	c("epoch 3", "A", epoch(3))
	c("epoch 3 and no such assignor", "A", epoch(3), set(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.ServerAssignor = kmsg.StringPtr("no-such") }))
	c("owning what it does not", "A", owning(t, 0, 1, 7))
	c("owning an unknown topic", "A", owning(t+"-nope", 0))
	c("owning nothing", "A", owning(t))
	c("a full request", "A", g.first("A", t), epoch(2), owning(t, 0, 1))
	c("an instance for a dynamic member", "A", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.InstanceID = kmsg.StringPtr("i") }))
	c("a rack", "A", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RackID = kmsg.StringPtr("r1") }))
	c("another rebalance timeout", "A", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RebalanceTimeoutMillis = 100 }))
	c("rebalance timeout 0", "A", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RebalanceTimeoutMillis = 0 }))
	c("another assignor", "A", set(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.ServerAssignor = kmsg.StringPtr("range") }))
	g.ask("the group", "", describeConsumerGroups(false, g.name))
	s.ask("at another broker", func(sd *side) line { return line{broker: sd.coordinator(g.name)%3 + 1} }, g.beat("A"))
	cl := s.group("classic")
	cl.joined("C joins as of old", "C", []protocol{{"x", []byte("hello")}}, func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "connect" })
	cl.beatAs("A joins a group of another kind", "A", cl.first("A", t))
	cl.beatAs("A at epoch 2 in a classic group", "A", epoch(2), func(_ *side, r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberID = "A" })
}

// consumerTimers is about what happens when time passes.
func consumerTimers(s *session) {
	t := s.makeKnown("ct", 6)
	g := s.group("late")
	soon := with(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RebalanceTimeoutMillis = 2000 })
	g.beatAs("A joins", "A", g.first("A", t), soon)
	g.beatAs("A owns all", "A", owning(t, 0, 1, 2, 3, 4, 5))
	g.beatAs("B joins", "B", g.first("B", t))
	g.beatAs("A is to give up half", "A")
	for range 2 {
		s.net.Sleep(700 * time.Millisecond)
		g.beatAs("A only heartbeats", "A")
	}
	s.net.Sleep(1200 * time.Millisecond)
	g.beatAs("A was too late", "A")
	g.ask("the group without A", "", describeConsumerGroups(false, g.name))
	g.beatAs("B has all", "B")
	h := s.group("silent")
	s.do("a short session", 1, s.alter(false, groupResource, h.name, change{name: "consumer.heartbeat.interval.ms", value: "500"}, change{name: "consumer.session.timeout.ms", value: "1500"}))
	s.heard(500 * time.Millisecond)
	h.beatAs("A joins, whose session is short", "A", h.first("A", t))
	s.net.Sleep(1000 * time.Millisecond)
	h.beatAs("A still lives", "A")
	s.net.Sleep(2500 * time.Millisecond)
	h.beatAs("A has expired", "A")
	h.ask("its group", "", describeConsumerGroups(false, h.name))
}

func instance(name string) beatEdit {
	return with(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.InstanceID = kmsg.StringPtr(name) })
}

func consumerStatic(s *session) {
	t := s.makeKnown("cs", 6)
	g := s.group("s")
	g.beatAs("A joins", "A", g.first("A", t), instance("i"))
	g.beatAs("A owns all", "A", owning(t, 0, 1, 2, 3, 4, 5), instance("i"))
	g.beatAs("B wants its instance", "B", g.first("B", t), instance("i"))
	g.beatAs("E joins", "E", g.first("E", t))
	g.beatAs("A gives up", "A", instance("i"))
	g.beatAs("A gave up", "A", owning(t, 0, 1, 2), instance("i"))
	g.beatAs("E gets", "E")
	g.beatAs("A goes for a while", "A", epoch(-2), instance("i"))
	g.ask("the group without A", "", describeConsumerGroups(false, g.name))
	g.beatAs("E sees nothing of it", "E")
	g.beatAs("B takes over", "B", g.first("B", t), instance("i"))
	g.ask("the group with B", "", describeConsumerGroups(false, g.name))
	g.beatAs("A comes back too late", "A", epoch(3), instance("i"))
	g.beatAs("A joins too late", "A", g.first("A", t), instance("i"))
	g.beatAs("A leaves too late", "A", epoch(-2), instance("i"))
	g.beatAs("A leaves for good too late", "A", epoch(-1), instance("i"))
	g.beatAs("B with another instance", "B", instance("j"))
	g.beatAs("B without instance", "B")
	g.beatAs("B leaves for good", "B", epoch(-1), instance("i"))
	g.ask("the group without B", "", describeConsumerGroups(false, g.name))
	g.beatAs("D joins with another subscription", "D", g.first("D", t+"-nope"), instance("d"))
	g.beatAs("D goes for a while", "D", epoch(-2), instance("d"))
	g.beatAs("D comes back with its id", "D", g.first("D", t), instance("d"))
}

// seen is how long a coordinator may take to hear of a topic that each broker knows: nothing
// but a heartbeat shows that it has, and a heartbeat changes what is compared.
const seen = 2 * time.Second

func consumerSubscriptions(s *session) {
	t, u := s.makeKnown("sub-a", 2), s.make("sub-b", 2)
	g := s.group("s")
	names := func(topics ...string) beatEdit {
		return with(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicNames = append([]string{}, topics...) })
	}
	g.beatAs("A joins", "A", g.first("A", t))
	g.beatAs("A wants both", "A", names(t, u))
	g.beatAs("A asks", "A")
	g.beatAs("A owns both by half", "A", owning(t, 0, 1))
	g.beatAs("A wants the other", "A", names(u))
	g.beatAs("A gave up the first", "A", owning(u, 0, 1))
	g.beatAs("A wants nothing", "A", names())
	g.beatAs("A owns nothing", "A", owning(u))
	g.ask("the group of no topics", "", describeConsumerGroups(false, g.name))
	g.beatAs("A wants one that is not there", "A", names(t+"-later"))
	s.make("sub-a-later", 1)
	s.heard(seen)
	g.beatAs("A asks when it is there", "A")
	g.ask("the group of a topic that came later", "", describeConsumerGroups(false, g.name))
	s.do("it is deleted", 1, s.remove(s.topic("sub-a-later")))
	s.heard(seen)
	g.beatAs("A asks when it is gone", "A")
	for _, assignor := range []string{"range", "uniform"} {
		h := s.group(assignor)
		with_ := with(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.ServerAssignor = kmsg.StringPtr(assignor) })
		one := s.makeKnown("asg-"+assignor, 7)
		h.beatAs("A joins "+assignor, "A", h.first("A", one), with_)
		h.beatAs("B joins "+assignor, "B", h.first("B", one), with_)
		h.beatAs("C joins "+assignor, "C", h.first("C", one), with_)
		h.ask("the group of "+assignor, "", describeConsumerGroups(false, h.name))
	}
	if s.v(68) < 1 {
		return
	}
	regex := func(text string) beatEdit {
		return with(func(r *kmsg.ConsumerGroupHeartbeatRequest) {
			r.SubscribedTopicRegex = kmsg.StringPtr(text)
			r.SubscribedTopicNames = nil
		})
	}
	x := s.group("regex")
	x.beatAs("A joins with a regex", "A", x.first("A"), regex(s.prefix+"sub-.*"))
	s.net.Sleep(500 * time.Millisecond)
	x.beatAs("A asks when it is resolved", "A")
	x.ask("the group with a regex", "", describeConsumerGroups(false, x.name))
	x.beatAs("A changes it", "A", regex(s.prefix+"sub-a"))
	s.net.Sleep(500 * time.Millisecond)
	x.beatAs("A asks when the other is resolved", "A")
	x.beatAs("A does not give up", "A", owning(t, 0, 1))
	x.beatAs("A gives up all", "A", owning(t))
	x.beatAs("A asks once more", "A")
	x.beatAs("A owns what matches", "A", owning(t, 0, 1))
	x.beatAs("an empty regex", "A", regex(""))
	x.beatAs("A asks without one", "A")
	x.beatAs("a bad regex", "A", regex("*"))
	x.ask("the group in the end", "", describeConsumerGroups(false, x.name))
}

// consumerLateJoin has a join of B arrive a second time when B has joined with another and
// goes on from that: the answer to the late one, with an epoch and partitions, goes nowhere.
func consumerLateJoin(s *session) {
	t := s.makeKnown("lj", 3)
	g := s.group("late-join")
	g.beatAs("A joins", "A", g.first("A", t))
	g.beatAs("A owns all", "A", owning(t, 0, 1, 2))
	g.beatAs("B joins", "B", g.first("B", t))
	g.beatAs("A leaves", "A", epoch(-1))
	g.beatAs("B joins late", "B", g.first("B", t))
	g.ask("the group after the late join", "", describeConsumerGroups(false, g.name))
	g.beatAs("B goes on from its first join", "B", epoch(3), owning(t))
	g.beatAs("B goes on", "B")
	g.ask("the group when B has gone on", "", describeConsumerGroups(false, g.name))
}

// consumerUneven has members whose subscriptions differ, though only in a topic
// that is not there.
func consumerUneven(s *session) {
	t := s.makeKnown("cu", 5)
	g := s.group("uneven")
	see := func(step string) { g.ask(step, "", describeConsumerGroups(false, g.name)) }
	names := func(topics ...string) beatEdit {
		return with(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicNames = append([]string{}, topics...) })
	}
	g.beatAs("B joins", "B", g.first("B", t))
	g.beatAs("D joins", "D", g.first("D", t))
	see("B and D")
	g.beatAs("C joins with one more topic", "C", g.first("C", t, t+"-nope"))
	see("B, C and D")
	g.beatAs("A joins", "A", g.first("A", t))
	see("A to D")
	g.beatAs("D wants one more", "D", names(t, t+"-nope"))
	see("D has one more")
	g.beatAs("B leaves", "B", epoch(-1))
	g.beatAs("A goes on", "A")
	see("without B")
	g.beatAs("C wants what A wants", "C", names(t))
	see("C as A")
	g.beatAs("D wants nothing", "D", names())
	see("D wants nothing at all")
	g.beatAs("A wants one more", "A", names(t, t+"-nope"))
	see("A wants one more than C")
	u := s.makeKnown("cw", 3)
	g.beatAs("A wants another topic", "A", names(t, u))
	g.beatAs("D wants another topic", "D", names(u))
	see("two topics")
}

// consumerAssignors is about which assignor is taken when as many members prefer one
// as the other.
func consumerAssignors(s *session) {
	t := s.makeKnown("cs", 4)
	g := s.group("assignors")
	see := func(step string) { g.ask(step, "", describeConsumerGroups(false, g.name)) }
	prefers := func(name string) beatEdit {
		return with(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.ServerAssignor = kmsg.StringPtr(name) })
	}
	g.beatAs("B joins for range", "B", g.first("B", t), prefers("range"))
	g.beatAs("A joins for uniform", "A", g.first("A", t), prefers("uniform"))
	see("one for each")
	g.beatAs("B gives up", "B", owning(t, 0, 1))
	g.beatAs("A goes on", "A")
	see("A has voted again")
	g.beatAs("B goes on", "B")
	g.beatAs("B goes on again", "B")
	see("B has voted again")
	g.beatAs("C joins for none", "C", g.first("C", t))
	see("A, B and C")
	g.beatAs("C prefers range", "C", prefers("range"))
	g.beatAs("C goes on", "C")
	see("two for range")
	g.beatAs("A prefers range", "A", prefers("range"))
	g.beatAs("A prefers uniform", "A", prefers("uniform"))
	g.beatAs("B leaves", "B", epoch(-1))
	g.beatAs("C goes on alone", "C")
	see("C and A")
}

// consumerCommits is about offsets of a group of KIP-848, and which epochs may
// commit which partitions (KIP-1251).
func consumerCommits(s *session) {
	t := s.makeKnown("cc", 2)
	g := s.group("c")
	g.beatAs("A joins", "A", g.first("A", t))
	g.beatAs("A owns both", "A", owning(t, 0, 1))
	both := []committed{{t, 0, 5, "a"}, {t, 1, 6, "b"}}
	c := func(step, letter string, edits ...func(*kmsg.OffsetCommitRequest)) {
		g.ask(step, "", g.commit(letter, both, edits...))
	}
	at := func(n int32) func(*kmsg.OffsetCommitRequest) {
		return func(r *kmsg.OffsetCommitRequest) { r.Generation = n }
	}
	c("right", "A")
	c("epoch 1", "A", at(1))
	c("epoch 0", "A", at(0))
	c("epoch -1", "A", at(-1))
	c("epoch 3", "A", at(3))
	c("a stranger", "=stranger", at(2))
	c("a stranger without epoch", "=stranger", at(-1))
	c("no member", "")
	c("no member with the epoch", "", at(2))
	c("an instance that is not", "A", func(r *kmsg.OffsetCommitRequest) { r.InstanceID = kmsg.StringPtr("i") })
	g.beatAs("B joins", "B", g.first("B", t))
	g.beatAs("A is to give one up", "A")
	c("while it gives up", "A")
	g.beatAs("A gave it up", "A", owning(t, 0))
	g.beatAs("B gets it", "B")
	g.beatAs("B owns it", "B", owning(t, 1))
	for _, letter := range []string{"A", "B"} {
		for n := int32(0); n <= 4; n++ {
			c(fmt.Sprintf("%s commits both at epoch %d", letter, n), letter, at(n))
			for _, one := range both {
				g.ask(fmt.Sprintf("%s commits %d at epoch %d", letter, one.part, n), "", g.commit(letter, []committed{one}, at(n)))
			}
		}
	}
	g.ask("a large metadata", "", g.commit("A", []committed{{t, 0, 7, strings.Repeat("x", 4097)}}))
	g.ask("unknown topic", "", g.commit("A", []committed{{t + "-nope", 0, 7, ""}}))
	g.ask("unknown topic of a stranger", "", g.commit("=x", []committed{{t + "-nope", 0, 7, ""}}, at(2)))
	g.ask("what is committed", "", g.offsets([]asked{{t, []int32{0, 1}}}))
	g.beatAs("A leaves", "A", epoch(-1))
	g.beatAs("B leaves", "B", epoch(-1))
	c("after all left, A", "A", at(3))
	c("after all left, no member", "")
	c("after all left, a stranger without epoch", "=x", at(-1))
}

func consumerOffsetFetch(s *session) {
	t := s.makeKnown("cf", 2)
	g := s.group("c")
	g.beatAs("A joins", "A", g.first("A", t))
	g.ask("A commits", "", g.commit("A", []committed{{t, 0, 5, ""}}))
	both := []asked{{t, []int32{0, 1}}}
	g.ask("no member", "", g.offsets(both))
	if s.v(9) < 9 {
		return
	}
	as := func(step, letter string, epoch int32) {
		g.ask(step, "", func(sd *side) kmsg.Request { return g.offsets(both, g.fetchAs(sd, letter, epoch))(sd) })
	}
	as("right", "A", 2)
	as("epoch 1", "A", 1)
	as("epoch 3", "A", 3)
	as("epoch 0", "A", 0)
	as("epoch -1", "A", -1)
	as("a stranger", "=stranger", 2)
	as("a stranger, epoch -1", "=stranger", -1)
	as("empty id", "=", 2)
	as("empty id, epoch -1", "=", -1)
	g.ask("no id, epoch 2", "", g.offsets(both, func(r *kmsg.OffsetFetchRequest) { r.Groups[0].MemberEpoch = 2 }))
	g.ask("all", "", func(sd *side) kmsg.Request { return g.offsets(nil, g.fetchAs(sd, "A", 2))(sd) })
	g.ask("all of a stranger", "", func(sd *side) kmsg.Request { return g.offsets(nil, g.fetchAs(sd, "=x", 2))(sd) })
}

func consumerDescribe(s *session) {
	t := s.makeKnown("cd", 2)
	g := s.group("d")
	d := func(step string, ops bool, names ...string) { g.ask(step, "", describeConsumerGroups(ops, names...)) }
	d("no group", false, g.name)
	d("no group, ops", true, g.name)
	d("none", false, []string{}...)
	d("twice", false, g.name, g.name)
	full := with(func(r *kmsg.ConsumerGroupHeartbeatRequest) {
		r.InstanceID, r.RackID, r.ServerAssignor = kmsg.StringPtr("i"), kmsg.StringPtr("r"), kmsg.StringPtr("range")
	})
	g.beatAs("A joins", "A", g.first("A", t), full)
	d("one", false, g.name)
	d("ops", true, g.name)
	d("one twice", false, g.name, g.name)
	g.beatAs("B joins", "B", g.first("B", t, t+"-nope"))
	d("two", false, g.name)
	g.ask("of the classic API", "", describeGroups(false, g.name))
	s.ask("at another broker", func(sd *side) line { return line{broker: sd.coordinator(g.name)%3 + 1} }, describeConsumerGroups(false, g.name))
	m := s.group("classic")
	m.joined("C joins as of old", "C", ranged(t))
	m.ask("a classic group", "", describeConsumerGroups(false, m.name))
	n := s.group("simple")
	n.ask("commit", "", n.commit("", []committed{{t, 0, 1, ""}}))
	n.ask("a simple group", "", describeConsumerGroups(false, n.name))
}

// groupUpgrade has members of both protocols in one group, in one way and back.
func groupUpgrade(s *session) {
	t := s.makeKnown("gu", 6)
	// The member o is behind the others, whatever their ids, in the order of
	// ids and in that of Java's hash map, by which Kafka's assignors go.
	g := s.group("u")
	protocols := ranged(t)
	g.joined("U joins as of old", "U", protocols)
	g.ask("U syncs", "U", g.sync("U", nil, func(r *kmsg.SyncGroupRequest) {
		x := kmsg.NewSyncGroupRequestGroupAssignment()
		x.MemberID, x.MemberAssignment = r.MemberID, assignment(t, 0, 1, 2, 3, 4, 5)
		r.GroupAssignment = append(r.GroupAssignment, x)
	}))
	g.ask("U commits", "", g.commit("U", []committed{{t, 0, 5, ""}}))
	g.beatAs("N joins by heartbeat", "o", g.first("o", t))
	g.ask("the group is upgraded", "", describeConsumerGroups(false, g.name))
	g.ask("to the classic API", "", describeGroups(false, g.name))
	g.ask("listed", "", listGroups(nil, nil))
	g.ask("U hears of it", "", g.heartbeat("U"))
	g.ask("U commits meanwhile", "", g.commit("U", []committed{{t, 0, 6, ""}, {t, 5, 6, ""}}))
	g.ask("U joins", "U", g.join("U", []protocol{{"range", owned(1, t, 0, 1, 2, 3, 4, 5)}}))
	g.ask("U syncs the last generation", "", g.sync("U", nil, func(r *kmsg.SyncGroupRequest) { r.Generation-- }))
	g.ask("U syncs as an upgraded one", "", g.sync("U", nil))
	g.ask("the group while U gives up", "", describeConsumerGroups(false, g.name))
	g.beatAs("N waits", "o")
	g.ask("U heartbeats", "", g.heartbeat("U"))
	g.ask("U joins without what it gave up", "U", g.join("U", []protocol{{"range", owned(2, t, 0, 1, 2)}}))
	g.ask("U syncs without it", "", g.sync("U", nil))
	g.ask("U is stable", "", g.heartbeat("U"))
	g.beatAs("N is given it", "o")
	g.beatAs("N owns it", "o", owning(t, 3, 4, 5))
	g.ask("the group is stable", "", describeConsumerGroups(false, g.name))
	g.ask("U commits in the end", "", g.commit("U", []committed{{t, 0, 7, ""}}))
	g.ask("U commits of the past", "", g.commit("U", []committed{{t, 0, 7, ""}, {t, 5, 7, ""}}, func(r *kmsg.OffsetCommitRequest) { r.Generation = 1 }))
	g.ask("U commits of the past what it holds", "", g.commit("U", []committed{{t, 0, 7, ""}}, func(r *kmsg.OffsetCommitRequest) { r.Generation = 1 }))
	g.ask("N uses the classic heartbeat", "", g.heartbeat("o"))
	g.ask("N syncs as of old", "", g.sync("o", nil))
	g.ask("N joins as of old", "N2", g.join("o", ranged(t)))
	g.ask("a classic member that is too many", "V", g.join("V", ranged(t), func(r *kmsg.JoinGroupRequest) { r.ProtocolType = "connect" }))
	g.ask("a classic member with no subscription", "V", g.join("V", []protocol{{"range", []byte{1}}}))
	g.beatAs("N leaves", "o", epoch(-1))
	g.ask("the group is classic again", "", describeGroups(false, g.name))
	g.ask("U hears of that", "", g.heartbeat("U"))
	g.ask("no longer of KIP-848", "", describeConsumerGroups(false, g.name))
	g.ask("U leaves", "", g.leave(leaver{letter: "U"}))
	g.beatAs("M joins the empty classic group", "M", g.first("M", t))
	g.ask("the offsets are kept", "", g.offsets(nil))
	g.beatAs("M leaves", "M", epoch(-1))
	g.joined("W joins the empty group as of old", "W", ranged(t))
	g.ask("the offsets are still kept", "", g.offsets(nil))

	h := s.group("user data")
	h.joined("U joins with user data", "U", []protocol{{"range", userData(t)}})
	h.ask("U syncs with user data", "U", h.sync("U", map[string]string{"U": "x"}))
	h.beatAs("N joins it by heartbeat", "o", h.first("o", t))
	u := s.group("assigned user data")
	u.joined("U joins the third", "U", ranged(t))
	u.ask("U syncs with assigned user data", "U", u.sync("U", nil, func(r *kmsg.SyncGroupRequest) {
		x := kmsg.NewSyncGroupRequestGroupAssignment()
		a := kmsg.NewConsumerMemberAssignment()
		a.UserData = []byte("data")
		x.MemberID, x.MemberAssignment = r.MemberID, a.AppendTo(nil)
		r.GroupAssignment = append(r.GroupAssignment, x)
	}))
	u.beatAs("N joins the third by heartbeat", "o", u.first("o", t))
	j := s.group("not synced")
	j.joined("U joins the fourth", "U", ranged(t))
	j.beatAs("N joins the fourth by heartbeat", "o", j.first("o", t))
	j.ask("U syncs the fourth", "U", j.sync("U", nil))
}

// groupUpgradeJoin has classic members join a group of KIP-848, in all versions
// of JoinGroup.
func groupUpgradeJoin(s *session) {
	t := s.makeKnown("gj", 4)
	g := s.group("u")
	g.beatAs("N joins by heartbeat", "o", g.first("o", t))
	g.beatAs("N owns all", "o", owning(t, 0, 1, 2, 3))
	g.ask("an unparsable subscription", "", g.join("=", []protocol{{"range", []byte{1}}}))
	g.ask("a stranger", "V", g.join("=stranger", ranged(t)))
	g.ask("the stranger leaves", "", g.leave(leaver{letter: "V"}))
	g.joined("U joins as of old", "U", ranged(t))
	g.ask("U syncs", "", g.sync("U", nil))
	g.ask("the group", "", describeConsumerGroups(false, g.name))
	g.ask("U heartbeats", "", g.heartbeat("U"))
	g.beatAs("N gives up", "o")
	g.beatAs("N gave up", "o", owning(t, 0, 1))
	g.ask("U hears that there is more", "", g.heartbeat("U"))
	g.ask("U joins for it", "U", g.join("U", []protocol{{"range", owned(3, t)}}))
	g.ask("U syncs for it", "", g.sync("U", nil))
	g.ask("U leaves", "", g.leave(leaver{letter: "U"}))
	g.joined("I joins as a static one", "I", ranged(t), static("i"))
	g.ask("I is replaced", "I2", g.join("I2", ranged(t), static("i")))
	g.ask("the old I heartbeats", "", g.heartbeat("I", func(r *kmsg.HeartbeatRequest) { r.InstanceID = kmsg.StringPtr("i") }))
	g.ask("I leaves by its instance", "", g.leave(leaver{"=", "i"}))
	g.ask("N leaves as of old", "", g.leave(leaver{letter: "o"}))
	g.ask("the group in the end", "", describeConsumerGroups(false, g.name))
}

// owned is a subscription of version 3 that tells what is owned, and since which
// generation.
func owned(generation int32, topic string, parts ...int32) []byte {
	m := kmsg.NewConsumerMemberMetadata()
	m.Version, m.Topics, m.Generation = 3, []string{topic}, generation
	if len(parts) > 0 {
		o := kmsg.NewConsumerMemberMetadataOwnedPartition()
		o.Topic, o.Partitions = topic, parts
		m.OwnedPartitions = append(m.OwnedPartitions, o)
	}
	return m.AppendTo(nil)
}

func userData(topic string) []byte {
	m := kmsg.NewConsumerMemberMetadata()
	m.Topics, m.UserData = []string{topic}, []byte("data")
	return m.AppendTo(nil)
}

// assignment is what the consumer protocol assigns to a member.
func assignment(topic string, parts ...int32) []byte {
	a := kmsg.NewConsumerMemberAssignment()
	t := kmsg.NewConsumerMemberAssignmentTopic()
	t.Topic, t.Partitions = topic, parts
	a.Topics = append(a.Topics, t)
	return a.AppendTo(nil)
}
