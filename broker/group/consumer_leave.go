package group

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/witness"
)

// consumerRetry is how soon a timer's event is tried again whose records could not
// be written.
const consumerRetry = 500 * time.Millisecond

// leaveConsumer decides that a member leaves, for good or, if it is static, for a
// while.
func (m *Machine) leaveConsumer(req *kmsg.ConsumerGroupHeartbeatRequest, resp *kmsg.ConsumerGroupHeartbeatResponse) (coordinator.Decision, error) {
	g, err := m.consumerGroupOf(req.Group)
	if err != nil {
		return coordinator.Decision{}, err
	}
	resp.MemberID, resp.MemberEpoch = kmsg.StringPtr(req.MemberID), req.MemberEpoch
	if req.InstanceID == nil {
		member, ok := g.members.Get(req.MemberID)
		if !ok {
			return coordinator.Decision{}, g.unknownMember(req.MemberID)
		}
		return m.removeMembers(g, itLeft, member), nil
	}
	member := g.staticMember(*req.InstanceID)
	if err := judgeInstance(member, req.MemberID, *req.InstanceID); err != nil {
		return coordinator.Decision{}, err
	}
	if req.MemberEpoch == leaveStaticEpoch {
		return m.awaitStatic(g, member), nil
	}
	return m.removeMembers(g, itLeft, member), nil
}

// awaitStatic keeps what a static member has until its session ends: it has what it
// had, and a member that joins with its instance id takes that over.
func (m *Machine) awaitStatic(g *consumerGroup, member *consumerMember) coordinator.Decision {
	away := *member
	away.epoch, away.pending, away.assigned = leaveStaticEpoch, nil, since(member.assigned, 0)
	return coordinator.Decision{
		Records: []coordinator.Record{encode(&currentAssignmentKey{g.id, member.id}, away.current())},
		Appended: func(err error) {
			if err == nil {
				m.env.Tell(&witness.MemberAway{Group: g.id, Member: member.id, Instance: member.instance(), Keeps: m.named(away.assigned)})
			}
			m.tellState(g.id)
		},
	}
}

// removeMembers removes members. What they had is free at once; the others get it
// with the next target assignment, which the next heartbeat computes.
func (m *Machine) removeMembers(g *consumerGroup, why witness.MemberLeft, members ...*consumerMember) coordinator.Decision {
	if len(members) == 0 {
		return coordinator.Decision{}
	}
	if m.mayDowngradeWithout(g, members) {
		return m.downgradeWithout(g, why, members)
	}
	var records []coordinator.Record
	for _, member := range members {
		records = append(records, g.removal(member.id)...)
	}
	hash, tombstones := g.withoutMembers(members, m.env.Image())
	epoch := g.epoch.Get() + 1
	records = append(records, tombstones...)
	records = append(records, encode(&consumerGroupKey{g.id}, &consumerGroupValue{epoch, hash}))
	if g.members.Len() == len(members) {
		// There is nothing left to assign (KAFKA-20442).
		records = append(records, encode(&targetMetadataKey{g.id}, &targetMetadataValue{epoch: epoch}))
	}
	for _, member := range members {
		m.cancelConsumerTimers(g.id, member.id)
	}
	return coordinator.Decision{Records: records, Appended: func(err error) {
		if err == nil {
			m.tellLeft(g.id, why, members)
			m.tellState(g.id)
		}
	}}
}

// itLeft is why a member is gone that said so.
var itLeft = witness.MemberLeft{Reason: "it left"}

func (m *Machine) tellLeft(group string, why witness.MemberLeft, members []*consumerMember) {
	for _, member := range members {
		left := why
		left.Group, left.Generation, left.Member, left.Instance = group, member.epoch, member.id, member.instance()
		m.env.Tell(&left)
	}
}

// withoutMembers is the hash of the metadata of what is subscribed without members,
// and the tombstones of the regular expressions that only they used.
func (g *consumerGroup) withoutMembers(members []*consumerMember, im *metadata.Image) (hash int64, tombstones []coordinator.Record) {
	topics := map[string]subscribers{}
	for name, n := range g.topics.All() {
		topics[name] = n
	}
	use := map[string]int{}
	for _, member := range members {
		countTopics(topics, member.told.topics, subscribers{byName: -1})
		if regex := member.regex(); regex != "" {
			use[regex]++
		}
	}
	for _, regex := range sortedKeys(use) {
		if all, _ := g.regexUse.Get(regex); all == use[regex] {
			tombstones = append(tombstones, tombstone(&regexKey{g.id, regex}))
			g.dropRegex(topics, regex)
		}
	}
	return metadataHash(topics, im), tombstones
}

// consumerTimer is the name of a timer of a member of a KIP-848 group.
func consumerTimer(kind, group, member string) string {
	return "consumer-" + kind + "\x00" + group + "\x00" + member
}

// scheduleConsumerSession removes a member that is not heard of for so long.
func (m *Machine) scheduleConsumerSession(group, member string, after time.Duration) {
	m.expelLater("session", group, member, after, "its session ended")
}

// scheduleRebalanceTimeout removes a member that does not give up its partitions in
// time. It sends heartbeats, and other members wait for it.
func (m *Machine) scheduleRebalanceTimeout(group string, member *consumerMember) {
	epoch, timeout := member.epoch, millis(member.told.rebalanceTimeout)
	m.env.Timer(consumerTimer("rebalance", group, member.id), timeout, consumerRetry, func() coordinator.Decision {
		g, is := m.findConsumer(group, member.id)
		if is == nil || is.epoch != epoch {
			return coordinator.Decision{}
		}
		m.env.Reached(ProbeNotRevoked)
		m.env.Tell(&witness.MemberTimedOut{Group: group, Member: member.id, Timeout: timeout, Rebalance: true})
		return m.removeMembers(g, witness.MemberLeft{Reason: "it did not revoke its partitions within the rebalance timeout", Expelled: true, Unrevoked: true}, is)
	})
}

// expelLater removes a member after a time, unless the timer is set anew.
func (m *Machine) expelLater(kind, group, member string, after time.Duration, reason string) {
	m.env.Timer(consumerTimer(kind, group, member), after, consumerRetry, func() coordinator.Decision {
		g, is := m.findConsumer(group, member)
		if is == nil {
			return coordinator.Decision{}
		}
		m.env.Tell(&witness.MemberTimedOut{Group: group, Member: member, Timeout: after, Rebalance: kind == "sync"})
		return m.removeMembers(g, witness.MemberLeft{Reason: reason, Expelled: true}, is)
	})
}

// findConsumer is a member of a KIP-848 group, or nil.
func (m *Machine) findConsumer(group, member string) (*consumerGroup, *consumerMember) {
	g, err := m.consumerGroupOf(group)
	if err != nil {
		return nil, nil
	}
	is, _ := g.members.Get(member)
	return g, is
}

func (m *Machine) cancelConsumerTimers(group, member string) {
	for _, kind := range []string{"session", "rebalance", "sync"} {
		m.env.CancelTimer(consumerTimer(kind, group, member))
	}
	m.stopJoinTimer(group, member)
	delete(m.soft(group).rejoined, member)
}

// loadedConsumer starts the sessions of a group that was folded from the log.
func (m *Machine) loadedConsumer(g *consumerGroup) {
	for _, member := range g.members.All() {
		m.scheduleConsumerSession(g.id, member.id, m.sessionTimeout(g.id))
		if member.state == unrevoked {
			m.scheduleRebalanceTimeout(g.id, member)
		}
	}
	m.soft(g.id).told = g.state(timeline.Written)
}

// The settings of a group, within the bounds of the broker's.

func (m *Machine) sessionTimeout(group string) time.Duration {
	c := &m.cfg.Consumer
	return m.groupSetting(group, "consumer.session.timeout.ms", c.SessionTimeout, c.MinSessionTimeout, c.MaxSessionTimeout)
}

func (m *Machine) heartbeatInterval(group string) time.Duration {
	c := &m.cfg.Consumer
	return m.groupSetting(group, "consumer.heartbeat.interval.ms", c.HeartbeatInterval, c.MinHeartbeatInterval, c.MaxHeartbeatInterval)
}

func (m *Machine) assignmentInterval(group string) time.Duration {
	c := &m.cfg.Consumer
	return m.groupSetting(group, "consumer.assignment.interval.ms", c.AssignmentInterval, c.MinAssignmentInterval, c.MaxAssignmentInterval)
}

// groupSetting is a group's own setting, or else the broker's.
func (m *Machine) groupSetting(group, name string, broker, least, most time.Duration) time.Duration {
	text, ok := m.env.Image().ConfigValue(metadata.Resource{Type: metadata.GroupResource, Name: group}, name)
	if !ok {
		return broker
	}
	own, err := time.ParseDuration(text + "ms")
	if err != nil {
		return broker // it was checked when it was set
	}
	return min(max(own, least), most)
}

// tellState tells the ledger of a group's state, if it is another than before.
func (m *Machine) tellState(id string) {
	g, err := m.consumerGroupOf(id)
	if err != nil {
		return
	}
	soft, is := m.soft(id), g.state(timeline.Written)
	if soft.told != is {
		m.env.Tell(&witness.GroupState{Group: id, From: string(soft.told), To: string(is), Generation: g.epoch.Get()})
		m.tellHolds(g, is)
		soft.told = is
	}
}

// What a group of more members or partitions holds is not told: with each member that joins there is
// more to tell, and the ledger would grow with the square.
const (
	mostMembersTold    = 64
	mostPartitionsTold = 1024
)

// tellHolds tells the ledger what the log holds of a group.
func (m *Machine) tellHolds(g *consumerGroup, is State) {
	if g.members.Len() > mostMembersTold || g.owned.Len() > mostPartitionsTold {
		return
	}
	told := &witness.GroupHolds{Group: g.id, State: string(is), Epoch: g.epoch.Get(), Target: g.target.Get().epoch}
	for id, member := range g.members.All() {
		target, _ := g.targets.Get(id)
		told.Members = append(told.Members, witness.MemberHolds{
			Member: id, Epoch: member.epoch, State: member.state.String(),
			Has: m.named(member.assigned), Gives: m.named(member.pending), Target: m.named(target),
		})
	}
	for p := range g.owned.All() {
		told.Taken = append(told.Taken, m.named([]topicPartitions{{topic: p.topic, partitions: []int32{p.partition}}})...)
	}
	m.env.Tell(told)
}

// tellAssigned tells the ledger what a member has, in an answer.
func (m *Machine) tellAssigned(group string, member *consumerMember) {
	m.env.Tell(&witness.GroupAssigned{Group: group, Generation: member.epoch, Member: member.id, Partitions: m.named(member.assigned), Classic: member.told.classic != nil})
}

// tellRefused tells the ledger of a member that learns that it is none any more.
func (m *Machine) tellRefused(group, member, instance string, why error) {
	switch kafka.Code(why) {
	case kerr.FencedMemberEpoch.Code, kerr.UnknownMemberID.Code, kerr.FencedInstanceID.Code:
		m.env.Tell(&witness.MemberFenced{Group: group, Member: member, Instance: instance, Error: witness.ErrorOf(why)})
	}
}
