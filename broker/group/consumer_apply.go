package group

import (
	"fmt"

	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
)

// applyConsumer folds a record of a KIP-848 group.
//
// After compaction the records of a group may come in any order, and without those
// that a later one replaced (KAFKA-19862). So a group and a member begin with
// whichever comes first, and a tombstone of what is not there is nothing.
func (m *Machine) applyConsumer(k key, v value) error {
	id := groupOf(k)
	l, exists := m.groups.Get(id)
	g, ok := l.consumer.(*consumerGroup)
	if !ok {
		if v == nil && !exists {
			return nil
		}
		if exists && !l.simple() {
			return fmt.Errorf("group: fold a record of type %d: group %q is not a consumer group", k.number(), id)
		}
		if v == nil {
			return nil
		}
		g = newConsumerGroup(id, m.env.Timeline(), m.env.Bugs())
		m.groups.Set(id, logged{consumer: g})
		m.replacePrint(l.print, 0)
	}
	gone, err := g.apply(k, v)
	if gone {
		m.groups.Delete(id)
		m.forgetConsumer(g)
	}
	return err
}

// forgetConsumer forgets the soft state of a group that is gone.
func (m *Machine) forgetConsumer(g *consumerGroup) {
	soft := m.consumers.soft[g.id]
	if soft == nil {
		return
	}
	if soft.told != "" {
		m.env.Tell(&witness.GroupState{Group: g.id, From: string(soft.told), To: string(Dead), Generation: g.epoch.Get()})
	}
	delete(m.consumers.soft, g.id)
}

// simple reports whether the log knows nothing of a group but offsets.
func (l logged) simple() bool {
	return l.classic != nil && l.classic.protocolType == "" && len(l.classic.members) == 0
}

func groupOf(k key) string {
	switch k := k.(type) {
	case *consumerGroupKey:
		return k.group
	case *consumerPartitionsKey:
		return k.group
	case *consumerMemberKey:
		return k.group
	case *targetMetadataKey:
		return k.group
	case *targetMemberKey:
		return k.group
	case *currentAssignmentKey:
		return k.group
	case *regexKey:
		return k.group
	}
	panic(fmt.Sprintf("group: a key of type %d is none of a consumer group", k.number()))
}

// apply folds one record; gone reports that it was the group's last.
func (g *consumerGroup) apply(k key, v value) (gone bool, err error) {
	switch k := k.(type) {
	case *consumerGroupKey:
		return g.applyEpoch(v)
	case *consumerPartitionsKey:
		g.oldPartitions.Set(v != nil)
	case *consumerMemberKey:
		return false, g.applyMember(k.member, v)
	case *targetMetadataKey:
		return false, g.applyTargetEpoch(v)
	case *targetMemberKey:
		if v == nil {
			g.targets.Delete(k.member)
		} else {
			g.targets.Set(k.member, withEpochs(v.(*targetMemberValue).topics, 0))
		}
	case *currentAssignmentKey:
		return false, g.applyCurrent(k.member, v)
	case *regexKey:
		g.applyRegex(k.regex, v)
	}
	return false, nil
}

func (g *consumerGroup) applyEpoch(v value) (gone bool, err error) {
	if v == nil {
		if n := g.members.Len() + g.targets.Len(); n > 0 || g.target.Get().epoch != noAssignmentEpoch {
			return false, fmt.Errorf("group: fold the tombstone of group %q: it has %d members, %d targets and target epoch %d, expected none", g.id, g.members.Len(), g.targets.Len(), g.target.Get().epoch)
		}
		return true, nil
	}
	epoch := v.(*consumerGroupValue)
	g.epoch.Set(epoch.epoch)
	g.hash64.Set(epoch.metadataHash)
	return false, nil
}

func (g *consumerGroup) applyTargetEpoch(v value) error {
	target := targetMetadataValue{epoch: noAssignmentEpoch}
	if v != nil {
		target = *v.(*targetMetadataValue)
	} else if g.targets.Len() > 0 {
		return fmt.Errorf("group: fold the tombstone of the target assignment of group %q: %d members have one, expected none", g.id, g.targets.Len())
	}
	if target.epoch != g.target.Get().epoch {
		settled := 0
		for _, m := range g.members.All() {
			settled += count1(m.reconciled(target.epoch))
		}
		g.settled.Set(settled)
	}
	g.target.Set(target)
	return nil
}

func count1(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func (g *consumerGroup) applyMember(id string, v value) error {
	was, exists := g.members.Get(id)
	if v == nil {
		if !exists {
			return nil
		}
		if was.epoch != leaveEpoch || g.targets.Has(id) {
			return fmt.Errorf("group: fold the tombstone of member %q of group %q: it has epoch %d, expected its assignments to be gone", id, g.id, was.epoch)
		}
		return g.change(was, nil)
	}
	is := newConsumerMember(id)
	if exists {
		*is = *was
	}
	is.told = v.(*consumerMemberValue)
	if c := is.told.classic; c != nil && len(c.protocols) == 0 {
		return fmt.Errorf("group: fold member %q of group %q: a member of the classic protocol supports no assignor, expected one", id, g.id)
	}
	return g.change(was, is)
}

func (g *consumerGroup) applyCurrent(id string, v value) error {
	was, exists := g.members.Get(id)
	if v == nil {
		if !exists {
			return nil
		}
		return g.change(was, was.with(&currentAssignmentValue{epoch: leaveEpoch, previousEpoch: leaveEpoch, state: int8(was.state)}))
	}
	current := v.(*currentAssignmentValue)
	if state := memberState(current.state); state < stable || state > unreleased {
		return fmt.Errorf("group: fold the assignment of member %q of group %q: state %d, expected 0 to 2", id, g.id, state)
	}
	is := newConsumerMember(id)
	if exists {
		is = was
	}
	return g.change(was, is.with(current))
}

// change replaces a member: nil stands for none.
func (g *consumerGroup) change(was, is *consumerMember) error {
	if err := g.mayOwn(was, is); err != nil {
		return err
	}
	g.changeOwned(was, is)
	target := g.target.Get().epoch
	settled := g.settled.Get()
	if was != nil {
		settled -= count1(was.reconciled(target))
	}
	if is != nil {
		settled += count1(is.reconciled(target))
		g.members.Set(is.id, is)
	} else {
		g.members.Delete(was.id)
	}
	if settled != g.settled.Get() {
		g.settled.Set(settled)
	}
	if was == nil || is == nil || was.told != is.told {
		g.changeTold(was, is)
	}
	return nil
}

// changeTold counts what members told.
func (g *consumerGroup) changeTold(was, is *consumerMember) {
	if was != nil {
		g.count(was, -1)
		if was.instance() != "" {
			g.static.Delete(was.instance())
		}
	}
	if is != nil {
		g.count(is, 1)
		if is.instance() != "" {
			g.static.Set(is.instance(), is.id)
		}
	}
}

func (g *consumerGroup) count(m *consumerMember, by int) {
	for _, name := range m.told.topics {
		g.countTopic(name, subscribers{byName: by})
	}
	if m.regex() != "" {
		countOne(g.regexUse, m.regex(), by)
	}
	if m.told.assignor != nil {
		countOne(g.assignors, *m.told.assignor, by)
	}
	if m.told.classic != nil {
		g.classics.Set(g.classics.Get() + by)
		for _, p := range m.told.classic.protocols {
			countOne(g.protocols, p.name, by)
		}
	}
}

func (g *consumerGroup) countTopic(name string, by subscribers) {
	n, _ := g.topics.Get(name)
	n.byName += by.byName
	n.byRegex += by.byRegex
	if n == (subscribers{}) {
		g.topics.Delete(name)
		return
	}
	g.topics.Set(name, n)
}

func countOne(counts *timeline.Map[string, int], key string, by int) {
	n, _ := counts.Get(key)
	if n += by; n == 0 {
		counts.Delete(key)
		return
	}
	counts.Set(key, n)
}

func (g *consumerGroup) applyRegex(regex string, v value) {
	if was, ok := g.regexes.Get(regex); ok {
		for _, topic := range was.topics {
			g.countTopic(topic, subscribers{byRegex: -1})
		}
		g.regexes.Delete(regex)
	}
	if v == nil {
		return
	}
	is := v.(*regexValue)
	g.regexes.Set(regex, is)
	for _, topic := range is.topics {
		g.countTopic(topic, subscribers{byRegex: 1})
	}
}

// mayOwn refuses a member with partitions that another one has at the same or a
// higher epoch: no partition has two owners.
func (g *consumerGroup) mayOwn(was, is *consumerMember) (err error) {
	if is == nil {
		return nil
	}
	check := func(p ownedPartition) {
		epoch, taken := g.owned.Get(p)
		mine := was != nil && epoch == was.epoch && (has(was.assigned, p.topic, p.partition) || has(was.pending, p.topic, p.partition))
		if taken && !mine && epoch >= is.epoch {
			err = fmt.Errorf("group: give %s-%d to member %q of group %q in epoch %d: it is still owned in epoch %d", p.topic, p.partition, is.id, g.id, is.epoch, epoch)
		}
	}
	each(is.assigned, check)
	each(is.pending, check)
	return err
}

// changeOwned moves the epochs of partitions from one state of a member to the
// next. All of the old go first: a partition may be in both. An epoch that is
// another's by now stays: after compaction, records that took the partition from
// this member may be missing (KAFKA-19862).
func (g *consumerGroup) changeOwned(was, is *consumerMember) {
	if was != nil && is != nil && same(was.assigned, is.assigned) && same(was.pending, is.pending) && was.epoch == is.epoch {
		return
	}
	if g.bugs.On(planted.EpochAddThenRemove) {
		g.changeOwnedWrongly(was, is)
		return
	}
	if was != nil {
		each(was.assigned, func(p ownedPartition) { g.release(p, was.epoch) })
		each(was.pending, func(p ownedPartition) { g.release(p, was.epoch) })
	}
	if is != nil {
		each(is.assigned, func(p ownedPartition) { g.owned.Set(p, is.epoch) })
		each(is.pending, func(p ownedPartition) { g.owned.Set(p, is.epoch) })
	}
}

// release forgets that a partition is owned in an epoch.
func (g *consumerGroup) release(p ownedPartition, epoch int32) {
	if e, ok := g.owned.Get(p); ok && e == epoch {
		g.owned.Delete(p)
	}
}

// changeOwnedWrongly is the planted bug: first assigned partitions change, then
// those to be revoked, and what moves from these to those is lost.
func (g *consumerGroup) changeOwnedWrongly(was, is *consumerMember) {
	change := func(from, to []topicPartitions) {
		each(from, g.owned.Delete)
		if is != nil {
			each(to, func(p ownedPartition) { g.owned.Set(p, is.epoch) })
		}
	}
	none := &consumerMember{}
	from, to := none, none
	if was != nil {
		from = was
	}
	if is != nil {
		to = is
	}
	change(from.assigned, to.assigned)
	change(from.pending, to.pending)
	lost := false
	each(to.assigned, func(p ownedPartition) { lost = lost || !g.owned.Has(p) })
	g.bugs.Infected(planted.EpochAddThenRemove, lost)
}

var _ group = (*consumerGroup)(nil)

// isOwned reports whether some member has a partition.
func (g *consumerGroup) isOwned(topic kafka.UUID, partition int32) bool {
	return g.owned.Has(ownedPartition{topic, partition})
}
