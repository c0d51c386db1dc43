package group

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/assignor"
	"github.com/ktrial/ktrial/broker/kafka"
)

// memberState is where a member is on the way to its target assignment.
type memberState int8

const (
	stable memberState = 0
	// unrevoked: the member has to give up partitions, and has not said that it did.
	unrevoked memberState = 1
	// unreleased: the member waits for partitions that other members have.
	unreleased memberState = 2
)

// String is Kafka's name of the state.
func (s memberState) String() string {
	return [...]string{"STABLE", "UNREVOKED_PARTITIONS", "UNRELEASED_PARTITIONS"}[s]
}

// consumerMember is a member of a KIP-848 group. It is never changed: a change
// makes a new one.
type consumerMember struct {
	id              string
	told            *consumerMemberValue // never nil, and never changed
	epoch, previous int32
	state           memberState
	assigned        []topicPartitions // sorted, with epochs
	pending         []topicPartitions // to be revoked, likewise
}

// newConsumerMember is a member that has not told anything yet.
func newConsumerMember(id string) *consumerMember {
	return &consumerMember{id: id, told: &consumerMemberValue{regex: new(string), rebalanceTimeout: -1}, previous: -1}
}

// current is what the log holds of a member's assignment.
func (m *consumerMember) current() *currentAssignmentValue {
	return &currentAssignmentValue{epoch: m.epoch, previousEpoch: m.previous, state: int8(m.state), assigned: m.assigned, pendingRevocation: m.pending}
}

// with is the member with another assignment.
func (m *consumerMember) with(v *currentAssignmentValue) *consumerMember {
	return &consumerMember{
		id: m.id, told: m.told, epoch: v.epoch, previous: v.previousEpoch, state: memberState(v.state),
		assigned: withEpochs(v.assigned, v.epoch), pending: withEpochs(v.pendingRevocation, v.epoch),
	}
}

// withEpochs sorts partitions as they were read from the log. Records before Kafka
// 4.3 do not say since when a member has a partition; then it is since the member's
// own epoch.
func withEpochs(read []topicPartitions, epoch int32) (list []topicPartitions) {
	list = slices.Clone(read)
	slices.SortStableFunc(list, func(a, b topicPartitions) int { return assignor.CompareUUID(a.topic, b.topic) })
	for i, t := range list {
		if len(t.epochs) != len(t.partitions) {
			list[i].epochs = slices.Repeat([]int32{epoch}, len(t.partitions))
		}
		if !slices.IsSorted(t.partitions) {
			list[i] = list[i].sorted()
		}
	}
	return list
}

// instance is the member's group.instance.id; empty for a dynamic member.
func (m *consumerMember) instance() string { return deref(m.told.instance) }

// regex is the regular expression that the member subscribes by; empty: none.
func (m *consumerMember) regex() string { return deref(m.told.regex) }

// reconciled reports whether a member has all of the target assignment of an epoch.
func (m *consumerMember) reconciled(target int32) bool { return m.state == stable && m.epoch == target }

// staleEpoch is the error of a commit or fetch with another epoch than the
// member's. Members of the classic protocol know only generations.
func (m *consumerMember) staleEpoch() error {
	if m.told.classic != nil {
		return kerr.IllegalGeneration
	}
	return kerr.StaleMemberEpoch
}

// The lists of partitions below are sorted by topic id, and within by number. No
// topic is without partitions.

// find is where a topic is, or would be.
func find(list []topicPartitions, topic kafka.UUID) (int, bool) {
	return slices.BinarySearchFunc(list, topic, func(t topicPartitions, id kafka.UUID) int { return assignor.CompareUUID(t.topic, id) })
}

// has reports whether a partition is in a list.
func has(list []topicPartitions, topic kafka.UUID, partition int32) bool {
	i, found := find(list, topic)
	if !found {
		return false
	}
	_, found = slices.BinarySearch(list[i].partitions, partition)
	return found
}

// epochOf is the epoch in which a member got a partition.
func epochOf(list []topicPartitions, topic kafka.UUID, partition int32) (int32, bool) {
	i, found := find(list, topic)
	if !found {
		return 0, false
	}
	at, found := slices.BinarySearch(list[i].partitions, partition)
	if !found {
		return 0, false
	}
	return list[i].epochs[at], true
}

// each calls f for every partition.
func each(list []topicPartitions, f func(p ownedPartition)) {
	for _, t := range list {
		for _, n := range t.partitions {
			f(ownedPartition{t.topic, n})
		}
	}
}

// split divides a list by what f says of each partition.
func split(list []topicPartitions, f func(topic kafka.UUID, partition int32) bool) (yes, no []topicPartitions) {
	for _, t := range list {
		in, out := topicPartitions{topic: t.topic}, topicPartitions{topic: t.topic}
		for i, n := range t.partitions {
			to := &out
			if f(t.topic, n) {
				to = &in
			}
			to.partitions = append(to.partitions, n)
			if len(t.epochs) > 0 {
				to.epochs = append(to.epochs, t.epochs[i])
			}
		}
		if len(in.partitions) > 0 {
			yes = append(yes, in)
		}
		if len(out.partitions) > 0 {
			no = append(no, out)
		}
	}
	return yes, no
}

// join is all partitions of two lists that have none in common.
func join(a, b []topicPartitions) []topicPartitions {
	if len(a) == 0 || len(b) == 0 {
		return append(a, b...)
	}
	all := map[kafka.UUID]*topicPartitions{}
	for _, t := range slices.Concat(a, b) {
		to := all[t.topic]
		if to == nil {
			to = &topicPartitions{topic: t.topic}
			all[t.topic] = to
		}
		to.partitions = append(to.partitions, t.partitions...)
		to.epochs = append(to.epochs, t.epochs...)
	}
	var joined []topicPartitions
	for _, id := range sortedIDs(all) {
		joined = append(joined, all[id].sorted())
	}
	return joined
}

// sorted is t with its partitions ascending, and their epochs with them.
func (t *topicPartitions) sorted() topicPartitions {
	order := make([]int, len(t.partitions))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return int(t.partitions[a]) - int(t.partitions[b]) })
	s := topicPartitions{topic: t.topic}
	for _, i := range order {
		s.partitions = append(s.partitions, t.partitions[i])
		if len(t.epochs) > 0 {
			s.epochs = append(s.epochs, t.epochs[i])
		}
	}
	return s
}

// since is a list with one epoch for all partitions.
func since(list []topicPartitions, epoch int32) (dated []topicPartitions) {
	for _, t := range list {
		dated = append(dated, topicPartitions{t.topic, t.partitions, slices.Repeat([]int32{epoch}, len(t.partitions))})
	}
	return dated
}

// same reports whether two lists hold the same partitions since the same epochs.
func same(a, b []topicPartitions) bool {
	return slices.EqualFunc(a, b, func(s, t topicPartitions) bool {
		return s.topic == t.topic && slices.Equal(s.partitions, t.partitions) && slices.Equal(s.epochs, t.epochs)
	})
}

func sortedIDs[V any](m map[kafka.UUID]V) []kafka.UUID {
	ids := make([]kafka.UUID, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, assignor.CompareUUID)
	return ids
}
