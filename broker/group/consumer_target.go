package group

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ktrial/ktrial/broker/assignor"
	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/witness"
)

// updateTarget computes a new target assignment if the group's epoch is ahead of the
// old one, and returns the epoch of the target and the member's share of it. Not
// more often than the assignment interval allows: a group that many members join at
// once is assigned for all of them together (KIP-1263).
func (h *heartbeat) updateTarget(epoch int32) (int32, []topicPartitions) {
	g, now := h.group, h.m.env.NowMillis()
	target := g.target.Get()
	interval := h.m.assignmentInterval(g.id)
	h.tellPostponed(epoch, target, now)
	if target.epoch >= epoch || target.assigned != 0 && interval > 0 && now < target.assigned+interval.Milliseconds() {
		return target.epoch, h.currentTarget()
	}
	shares := h.computeTarget()
	for _, id := range sortedMembers(shares) {
		share := fromShare(shares[id])
		if was, had := h.targetOf(id); !had || !same(was, share) {
			h.add(encode(&targetMemberKey{g.id, id}, &targetMemberValue{withoutEpochs(share)}))
		}
	}
	h.add(encode(&targetMetadataKey{g.id}, &targetMetadataValue{epoch, now}))
	return epoch, fromShare(shares[h.member.id])
}

// tellPostponed tells the ledger of a target that is due and is not computed because
// the last one is of a time to come: the clock of the coordinator that made it was
// ahead, or that of this one is behind.
func (h *heartbeat) tellPostponed(epoch int32, target targetMetadataValue, now int64) {
	soft := h.m.soft(h.group.id)
	if target.epoch >= epoch || target.assigned <= now || h.m.assignmentInterval(h.group.id) == 0 || soft.postponed == epoch {
		return
	}
	soft.postponed = epoch
	h.m.env.Tell(&witness.TargetPostponed{Group: h.group.id, Epoch: epoch, Behind: time.Duration(target.assigned-now) * time.Millisecond})
}

func sortedMembers(shares map[string]assignor.Share) []string {
	ids := make([]string, 0, len(shares))
	for id := range shares {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// currentTarget is the member's share of the target as it is.
func (h *heartbeat) currentTarget() []topicPartitions {
	share, _ := h.targetOf(h.member.id)
	return share
}

// targetOf is a member's share of the old target; that of a member that takes over
// an instance id is its former holder's.
func (h *heartbeat) targetOf(id string) ([]topicPartitions, bool) {
	if h.replaced != nil && id == h.member.id {
		id = h.replaced.id
	}
	return h.group.targets.Get(id)
}

// computeTarget has an assignor divide the subscribed topics among the members.
func (h *heartbeat) computeTarget() map[string]assignor.Share {
	g := h.group
	name := g.votesAt(timeline.Written).instead(h.was, h.member).preferred(h.m.cfg.Consumer.Assignors[0])
	how, err := assignor.ServerByName(name)
	if err != nil {
		panic(fmt.Sprintf("group: assign the members of %q: %v: it should have been refused", g.id, err))
	}
	input := assignor.Group{Partitions: map[kafka.UUID]int32{}, Homogeneous: h.homogeneous()}
	topics := h.m.topicsByID(g)
	add := func(m *consumerMember) {
		share, _ := h.targetOf(m.id)
		ids := topics.of(m)
		input.Members = append(input.Members, assignor.GroupMember{ID: m.id, Instance: m.instance(), Topics: ids, Target: toShare(share)})
	}
	for id, m := range g.members.All() {
		if id != h.member.id && (h.replaced == nil || id != h.replaced.id) {
			add(m)
		}
	}
	add(h.member)
	for _, t := range topics.seen {
		input.Partitions[t.ID] = int32(len(t.Partitions))
	}
	return how.Assign(input)
}

// homogeneous reports whether all members subscribe to the same topics: all name the
// same, or share one regular expression. Kafka looks at the member of a heartbeat as it
// is now only when the group has to be assigned anew or its metadata may have
// changed. Otherwise it counts those before: a member that joins a group whose last
// target is out of date, without a subscription, has an assignor take it for one like
// the others.
func (h *heartbeat) homogeneous() bool {
	g := h.group
	if !h.looked {
		topics := map[string]subscribers{}
		for name, n := range g.topics.All() {
			topics[name] = n
		}
		use := map[string]int{}
		for regex, n := range g.regexUse.All() {
			use[regex] = n
		}
		return homogeneous(g.members.Len(), topics, use)
	}
	members := g.members.Len()
	if h.isNew {
		members++
	}
	return homogeneous(members, g.subscribedWith(h.was, h.member), h.regexUse())
}

// homogeneous reports whether so many members subscribe to the same topics.
func homogeneous(members int, topics map[string]subscribers, expressions map[string]int) bool {
	if len(expressions) > 1 || len(expressions) == 1 && expressions[sortedKeys(expressions)[0]] != members {
		return false
	}
	alike := subscribers{byName: members}
	if len(expressions) == 1 {
		alike = subscribers{byRegex: 1}
	}
	unlike := 0
	for _, n := range topics {
		unlike += count1(n != alike)
	}
	return unlike == 0
}

// topicsByID resolves subscriptions to the ids of topics that exist, each
// subscription once.
type topicsByID struct {
	g     *consumerGroup
	image *metadata.Image
	known map[string][]kafka.UUID
	seen  []*metadata.Topic
}

func (m *Machine) topicsByID(g *consumerGroup) *topicsByID {
	return &topicsByID{g: g, image: m.env.Image(), known: map[string][]kafka.UUID{}}
}

// of are the ids of the topics that a member subscribes to, sorted.
func (t *topicsByID) of(m *consumerMember) []kafka.UUID {
	key := strings.Join(m.told.topics, "\n") + "\n\n" + m.regex()
	ids, known := t.known[key]
	if known {
		return ids
	}
	add := func(names []string) {
		for _, name := range names {
			if topic := t.image.Topic(name); topic != nil {
				ids = append(ids, topic.ID)
				t.seen = append(t.seen, topic)
			}
		}
	}
	add(m.told.topics)
	if resolved, ok := t.g.regexes.Get(m.regex()); ok {
		add(resolved.topics)
	}
	slices.SortFunc(ids, assignor.CompareUUID)
	ids = slices.Compact(ids)
	t.known[key] = ids
	return ids
}

func containsID(sorted []kafka.UUID, id kafka.UUID) bool {
	_, found := slices.BinarySearchFunc(sorted, id, assignor.CompareUUID)
	return found
}

// toShare is a list of partitions as assignors have it.
func toShare(list []topicPartitions) (share assignor.Share) {
	for _, t := range list {
		share = append(share, assignor.TopicShare{Topic: t.topic, Partitions: t.partitions})
	}
	return share
}

func fromShare(share assignor.Share) (list []topicPartitions) {
	for _, t := range share {
		list = append(list, topicPartitions{topic: t.Topic, partitions: t.Partitions, epochs: make([]int32, len(t.Partitions))})
	}
	return list
}

// withoutEpochs is a list as the log holds target assignments.
func withoutEpochs(list []topicPartitions) (bare []topicPartitions) {
	for _, t := range list {
		bare = append(bare, topicPartitions{topic: t.topic, partitions: t.partitions})
	}
	return bare
}

// removal removes a member from the log: what depends on another record first.
func (g *consumerGroup) removal(id string) []coordinator.Record {
	return []coordinator.Record{
		tombstone(&currentAssignmentKey{g.id, id}),
		tombstone(&targetMemberKey{g.id, id}),
		tombstone(&consumerMemberKey{g.id, id}),
	}
}
