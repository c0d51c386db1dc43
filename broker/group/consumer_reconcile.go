package group

import (
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
)

// reconciliation takes a member one step towards its target assignment: it first
// gives up what is not its any more, then gets what other members have given up
// (CurrentAssignmentBuilder, KIP-848).
type reconciliation struct {
	member *consumerMember
	epoch  int32             // of the target assignment
	target []topicPartitions // of this member
	// subscribed reports whether the member subscribes to a topic that exists.
	subscribed func(topic kafka.UUID) bool
	// unsubscribed: the member's subscription has just changed.
	changed bool
	// taken reports whether some member has a partition, or has not given it up yet;
	// this member is one of them.
	taken func(topic kafka.UUID, partition int32) bool
	// owned is what the member says it has; nil: it says nothing, and so has given
	// up nothing.
	owned *[]topicPartitions
	bugs  *planted.Set
}

// next is the member after one step; the same one if there is nothing to do.
func (r *reconciliation) next() *consumerMember {
	m := r.member
	switch {
	case m.state == stable && m.epoch == r.epoch, m.state == unrevoked && r.owns(m.pending):
		if r.changed {
			return r.dropUnsubscribed()
		}
		return m
	}
	return r.advance()
}

// owns reports whether the member may still have any of these partitions.
func (r *reconciliation) owns(partitions []topicPartitions) bool {
	if r.owned == nil {
		if r.bugs.On(planted.NullAcknowledges) {
			r.bugs.Infected(planted.NullAcknowledges, len(partitions) > 0)
			return false
		}
		return true
	}
	for _, t := range *r.owned {
		for _, n := range t.partitions {
			if has(partitions, t.topic, n) {
				return true
			}
		}
	}
	return false
}

// advance compares what the member has with its target.
func (r *reconciliation) advance() *consumerMember {
	m := r.member
	target, _ := split(r.target, func(topic kafka.UUID, _ int32) bool { return r.subscribed(topic) })
	keep, revoke := split(m.assigned, func(topic kafka.UUID, n int32) bool { return has(target, topic, n) })
	if len(revoke) > 0 && r.owns(revoke) {
		return m.step(unrevoked, m.epoch, keep, revoke)
	}
	_, missing := split(target, func(topic kafka.UUID, n int32) bool { return has(keep, topic, n) })
	// What the member itself was to revoke, and now has, is free for it.
	waits, free := split(missing, func(topic kafka.UUID, n int32) bool {
		return r.taken(topic, n) && !has(m.pending, topic, n)
	})
	state := stable
	if len(waits) > 0 {
		state = unreleased
	}
	return m.step(state, r.epoch, join(keep, since(free, r.epoch)), nil)
}

// dropUnsubscribed has a member give up topics that it no longer subscribes to at
// once, before a new target is computed (KAFKA-19431).
func (r *reconciliation) dropUnsubscribed() *consumerMember {
	m := r.member
	keep, drop := split(m.assigned, func(topic kafka.UUID, _ int32) bool { return r.subscribed(topic) })
	if len(drop) == 0 {
		return m
	}
	if pending := join(m.pending, drop); r.owns(pending) {
		return m.step(unrevoked, m.epoch, keep, pending)
	}
	return m.step(m.state, m.epoch, keep, m.pending)
}

// step is the member with another assignment.
func (m *consumerMember) step(state memberState, epoch int32, assigned, pending []topicPartitions) *consumerMember {
	return &consumerMember{id: m.id, told: m.told, epoch: epoch, previous: m.epoch, state: state, assigned: assigned, pending: pending}
}
