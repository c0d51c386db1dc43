package group

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/assignor"
	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/witness"
)

// Groups change their protocol while they work: a classic group becomes a KIP-848
// group when the first member of that protocol joins, and a classic one again when
// the last such member is gone. Empty groups always may
// (group.consumer.migration.policy says nothing of them).

// entryOf is a record before it is encoded.
type entryOf struct {
	key   key
	value value
}

// conversion is a classic group that becomes a KIP-848 group.
type conversion struct {
	m    *Machine
	from *classicGroup
	// preview is what the records make of it, on a timeline of its own: the member that
	// joins is decided upon as if the group were converted.
	preview *consumerGroup
	records []coordinator.Record
}

// convert is the conversion of a classic group. An empty one is forgotten.
func (m *Machine) convert(g *classicGroup) (*conversion, error) {
	line := timeline.New()
	c := &conversion{m: m, from: g, preview: newConsumerGroup(g.id, line, m.env.Bugs()), records: g.tombstones()}
	if g.at == Empty {
		return c, nil
	}
	entries, err := m.upgraded(g)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		c.records = append(c.records, encode(e.key, e.value))
	}
	return c, c.preview.preview(line, entries)
}

// begin does what cannot wait for the records. Requests that are parked are answered
// at once, as in Kafka: these members join again. If the records cannot be written, the
// classic group is as it was (restore).
func (c *conversion) begin() {
	if c.preview.members.Len() > 0 {
		c.m.env.Reached(ProbeUpgraded)
	}
	c.from.answerAll(kerr.RebalanceInProgress)
	for id, member := range c.preview.members.All() {
		c.m.scheduleConsumerSession(c.from.id, id, member.classicSession())
	}
	c.m.soft(c.from.id).told = ""
}

// preview folds records into a group that is on a timeline of its own.
func (g *consumerGroup) preview(line *timeline.Timeline, entries []entryOf) error {
	line.Begin(0)
	defer line.End()
	for _, e := range entries {
		if _, err := g.apply(e.key, e.value); err != nil {
			return err
		}
	}
	return nil
}

// upgraded are the records of a classic group with members, as a KIP-848 group. All
// members are where the last generation left them.
func (m *Machine) upgraded(g *classicGroup) (entries []entryOf, err error) {
	refuse := func(why string) ([]entryOf, error) {
		return nil, kafka.Refuse(kerr.GroupIDNotFound, "Cannot upgrade classic group %s to consumer group because %s.", g.id, why)
	}
	switch {
	case !m.cfg.Consumer.Migration.upgrades():
		return refuse("online upgrade is disabled")
	case !g.usesConsumers():
		return refuse("the group does not use the consumer embedded protocol")
	case len(g.members) > m.cfg.Consumer.MaxSize:
		return refuse("the group size exceeds the consumer group maximum size")
	case g.protocol == nil:
		// No generation was completed yet. Kafka's coordinator throws here.
		return nil, kerr.UnknownServerError
	}
	var members []*consumerMember
	for _, id := range sortedKeys(g.members) {
		member, custom, err := g.upgradedMember(g.members[id], m.env.Image())
		switch {
		case err != nil:
			return refuse("the embedded consumer protocol is malformed")
		case custom:
			return refuse("an unsupported custom assignor is in use. Please refer to the documentation or switch to a default assignor before re-attempting the upgrade")
		}
		members = append(members, member)
	}
	topics := map[string]subscribers{}
	for _, member := range members {
		countTopics(topics, member.told.topics, subscribers{byName: 1})
		entries = append(entries, entryOf{&consumerMemberKey{g.id, member.id}, member.told})
	}
	hash := metadataHash(topics, m.env.Image())
	entries = append(entries, entryOf{&consumerGroupKey{g.id}, &consumerGroupValue{g.generation, hash}})
	for _, member := range members {
		entries = append(entries, entryOf{&targetMemberKey{g.id, member.id}, &targetMemberValue{withoutEpochs(member.assigned)}})
	}
	entries = append(entries, entryOf{&targetMetadataKey{g.id}, &targetMetadataValue{epoch: g.generation}})
	for _, member := range members {
		entries = append(entries, entryOf{&currentAssignmentKey{g.id, member.id}, member.current()})
	}
	return entries, nil
}

// upgradedMember is a classic member as one of a KIP-848 group; custom reports user
// data of an assignor that the coordinator does not know, which would be lost.
func (g *classicGroup) upgradedMember(mb *member, im *metadata.Image) (is *consumerMember, custom bool, err error) {
	given, err := assignor.DecodeAssignment(mb.assignment)
	if err != nil {
		return nil, false, err
	}
	said, err := assignor.DecodeSubscription(mb.metadata(g.protocol))
	if err != nil {
		return nil, false, err
	}
	is = newConsumerMember(mb.id)
	is.told = &consumerMemberValue{
		instance: mb.instance, clientID: mb.clientID, clientHost: mb.host, topics: namesOf(said.Topics), regex: new(string),
		rebalanceTimeout: int32(mb.rebalanceTimeout.Milliseconds()),
		classic:          &classicProtocols{int32(mb.sessionTimeout.Milliseconds()), mb.protocols},
	}
	if said.Rack != "" {
		is.told.rack = &said.Rack
	}
	is.epoch, is.previous = g.generation, g.generation
	is.assigned = since(byID(given.Partitions, im), g.generation)
	return is, len(given.UserData) > 0, nil
}

// byID are partitions by the ids of their topics; those of topics that do not exist
// are left out.
func byID(partitions []kafka.TopicPartition, im *metadata.Image) (list []topicPartitions) {
	topics := map[kafka.UUID]*topicPartitions{}
	for _, tp := range partitions {
		t := im.Topic(tp.Topic)
		if t == nil {
			continue
		}
		if topics[t.ID] == nil {
			topics[t.ID] = &topicPartitions{topic: t.ID}
		}
		topics[t.ID].partitions = append(topics[t.ID].partitions, tp.Partition)
	}
	for _, id := range sortedIDs(topics) {
		list = append(list, topics[id].sorted())
	}
	return list
}

// named are partitions by the names of their topics; those of topics that do not
// exist any more are left out.
func (m *Machine) named(list []topicPartitions) (partitions []kafka.TopicPartition) {
	for _, t := range list {
		if topic := m.env.Image().TopicByID(t.topic); topic != nil {
			for _, n := range t.partitions {
				partitions = append(partitions, kafka.TopicPartition{Topic: topic.Name, Partition: n})
			}
		}
	}
	return partitions
}

// mayDowngradeWithout reports whether a group becomes a classic one when members are
// gone: what is left of it uses the classic protocol.
func (m *Machine) mayDowngradeWithout(g *consumerGroup, leaving []*consumerMember) bool {
	classics := g.classics.Get()
	for _, member := range leaving {
		classics -= count1(member.told.classic != nil)
	}
	left := g.members.Len() - len(leaving)
	return classics == left && left > 0 && left <= m.cfg.MaxSize && m.cfg.Consumer.Migration.downgrades()
}

// mayDowngradeReplaced is the same of a static member that a classic one replaces.
func (m *Machine) mayDowngradeReplaced(g *consumerGroup, replaced *consumerMember) bool {
	return g.classics.Get() == g.members.Len()-1 && replaced.told.classic == nil &&
		g.members.Len() <= m.cfg.MaxSize && m.cfg.Consumer.Migration.downgrades()
}

// downgradeWithout makes a classic group of what members leave behind. It rebalances
// at once: what they had has to be given out.
func (m *Machine) downgradeWithout(g *consumerGroup, why witness.MemberLeft, leaving []*consumerMember) coordinator.Decision {
	gone := map[string]bool{}
	for _, member := range leaving {
		gone[member.id] = true
	}
	var stay []*consumerMember
	for id, member := range g.members.All() {
		if !gone[id] {
			stay = append(stay, member)
		}
	}
	to, d := m.downgrade(g, g.tombstones(), stay, g.targets.Get)
	appended := d.Appended
	d.Appended = func(err error) {
		appended(err)
		if err == nil {
			m.tellLeft(g.id, why, leaving)
		}
	}
	to.prepareRebalance()
	return d
}

// downgrade makes a classic group of members: Stable, in the generation that is the
// group's epoch, with the target assignments of the members. Its soft state is there
// at once, as in Kafka, and taken back if the records cannot be appended.
func (m *Machine) downgrade(g *consumerGroup, tombstones []coordinator.Record, members []*consumerMember, target func(id string) ([]topicPartitions, bool)) (*classicGroup, coordinator.Decision) {
	to := m.newClassic(g.id)
	to.at, to.generation, to.protocolType = Stable, g.epoch.Get(), consumerProtocol
	for _, member := range members {
		to.add(downgradedMember(member))
	}
	name := to.elect()
	to.protocol = &name
	to.learnTopics()
	assignments := map[string][]byte{}
	for _, member := range members {
		share, _ := target(member.id)
		mb := to.members[member.id]
		mb.assignment = m.classicAssignment(share, mb.metadata(to.protocol))
		assignments[mb.id] = mb.assignment
	}
	for id := range g.members.All() {
		m.cancelConsumerTimers(g.id, id)
	}
	m.classic[g.id] = to
	m.env.Reached(ProbeDowngraded)
	for mb := to.order.First(); mb != nil; mb = mb.link.Next() {
		to.scheduleSession(mb.id, mb.sessionTimeout)
	}
	m.soft(g.id).told = ""
	return to, coordinator.Decision{
		Records: append(tombstones, to.record(assignments)),
		Appended: func(err error) {
			if err != nil && m.classic[g.id] == to {
				to.drop(err)
				m.loadedConsumer(g)
			}
		},
	}
}

func downgradedMember(from *consumerMember) *member {
	return &member{
		id: from.id, instance: from.told.instance, clientID: from.told.clientID, host: from.told.clientHost,
		rebalanceTimeout: millis(from.told.rebalanceTimeout), sessionTimeout: millis(from.told.classic.sessionTimeout),
		protocols: from.told.classic.protocols,
	}
}

// classicAssignment is partitions as members of the classic protocol read them, in
// the version of the member's own subscription.
func (m *Machine) classicAssignment(list []topicPartitions, subscription []byte) []byte {
	a := assignor.Assignment{Partitions: m.named(list)}
	if s, err := assignor.DecodeSubscription(subscription); err == nil {
		a.Version = s.Version
	}
	return assignor.EncodeAssignment(a)
}

// classicSession is how long a member of the classic protocol may be silent.
func (m *consumerMember) classicSession() time.Duration { return millis(m.told.classic.sessionTimeout) }
