package group

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/assignor"
	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
)

// ConsumerConfig is what a broker's settings say of KIP-848 groups. Each of the
// pairs of bounds limits what a group may set for itself.
type ConsumerConfig struct {
	SessionTimeout, MinSessionTimeout, MaxSessionTimeout             time.Duration // group.consumer.[min.|max.]session.timeout.ms
	HeartbeatInterval, MinHeartbeatInterval, MaxHeartbeatInterval    time.Duration // group.consumer.[min.|max.]heartbeat.interval.ms
	AssignmentInterval, MinAssignmentInterval, MaxAssignmentInterval time.Duration // group.consumer.[min.|max.]assignment.interval.ms (KIP-1263)

	MaxSize              int             // group.consumer.max.size
	Assignors            []string        // group.consumer.assignors; the first is the default
	Migration            MigrationPolicy // group.consumer.migration.policy
	RegexRefreshInterval time.Duration   // group.consumer.regex.refresh.interval.ms
}

// MigrationPolicy says which groups with members may change their protocol.
type MigrationPolicy string

// The policies, as group.consumer.migration.policy has them in lower case.
const (
	Bidirectional MigrationPolicy = "bidirectional"
	Upgrade       MigrationPolicy = "upgrade"   // from classic to KIP-848
	Downgrade     MigrationPolicy = "downgrade" // from KIP-848 to classic
	Disabled      MigrationPolicy = "disabled"
)

func (p MigrationPolicy) upgrades() bool   { return p == Bidirectional || p == Upgrade }
func (p MigrationPolicy) downgrades() bool { return p == Bidirectional || p == Downgrade }

// The states that only KIP-848 groups have.
const (
	// Assigning: the group has changed since its target assignment was computed.
	Assigning State = "Assigning"
	// Reconciling: some member does not have its target assignment yet.
	Reconciling State = "Reconciling"
)

// Special member epochs of ConsumerGroupHeartbeat.
const (
	joinEpoch         = 0
	leaveEpoch        = -1
	leaveStaticEpoch  = -2 // a static member leaves, and will come back
	firstGroupEpoch   = 1  // before the first member joins
	noAssignmentEpoch = -1 // the target assignment was removed
)

// consumerGroup is a KIP-848 group: a fold of its records.
type consumerGroup struct {
	id     string
	epoch  *timeline.Value[int32]
	hash64 *timeline.Value[int64] // of the subscribed topics' metadata (KIP-1101)
	target *timeline.Value[targetMetadataValue]
	// oldPartitions: the log holds a record of the kind that a hash replaced.
	oldPartitions *timeline.Value[bool]

	members *timeline.Map[string, *consumerMember]
	targets *timeline.Map[string, []topicPartitions] // by member
	regexes *timeline.Map[string, *regexValue]       // resolved ones

	// What follows is worked out from the above.

	// owned is the epoch of the member that has a partition, assigned or still to be
	// revoked.
	// Invariant: no member has a partition that is not here.
	owned     *timeline.Map[ownedPartition, int32]
	static    *timeline.Map[string, string] // member ids by instance
	topics    *timeline.Map[string, subscribers]
	regexUse  *timeline.Map[string, int] // members by regular expression
	assignors *timeline.Map[string, int] // members by the assignor that they prefer
	protocols *timeline.Map[string, int] // classic members by protocol
	classics  *timeline.Value[int]       // members that use the classic protocol
	settled   *timeline.Value[int]       // members that have the target assignment

	bugs *planted.Set
}

// consumerGroups is what the machine holds of KIP-848 groups beside the log. The
// zero value is that of a new machine.
type consumerGroups struct {
	soft map[string]*consumerSoft // by group
	// topicsSince is the newest image that has new topics.
	topicsSince kafka.Offset
}

// consumerSoft is the soft state of a group. It is only about when to look at the
// metadata again, and what members and the ledger were told of.
type consumerSoft struct {
	// metadataSeen says that the hash was compared with the metadata in that group
	// epoch or a lower one, and that the metadata has not changed since.
	metadataSeen  bool
	metadataEpoch int32
	resolving     bool  // an event that resolves regular expressions waits
	postponed     int32 // the epoch of which it was told that its target waits for the clock
	told          State // of which the ledger knows; empty: of none
	// joining are the classic members that were told to join again, and have not.
	joining map[string]bool
	// rejoined are the KIP-848 members that joined again, and have not said since that they
	// own all that they were given. After a fail-over it is not known of any.
	rejoined map[string]bool
}

// joinsAgain remembers that a member joins that is one already.
func (s *consumerSoft) joinsAgain(member string) {
	if s.rejoined == nil {
		s.rejoined = map[string]bool{}
	}
	s.rejoined[member] = true
}

// soft is the soft state of a group.
func (m *Machine) soft(id string) *consumerSoft {
	s := m.consumers.soft[id]
	if s == nil {
		s = &consumerSoft{}
		if m.consumers.soft == nil {
			m.consumers.soft = map[string]*consumerSoft{}
		}
		m.consumers.soft[id] = s
	}
	return s
}

// subscribers are how many members name a topic, and how many regular expressions
// match it.
type subscribers struct{ byName, byRegex int }

// ownedPartition names a partition by its topic's id.
type ownedPartition struct {
	topic     kafka.UUID
	partition int32
}

func compareOwned(a, b ownedPartition) int {
	return cmp.Or(assignor.CompareUUID(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
}

func newConsumerGroup(id string, t *timeline.Timeline, bugs *planted.Set) *consumerGroup {
	text := cmp.Compare[string]
	return &consumerGroup{
		id:            id,
		epoch:         timeline.NewValue[int32](t, firstGroupEpoch),
		hash64:        timeline.NewValue[int64](t, 0),
		target:        timeline.NewValue(t, targetMetadataValue{}),
		oldPartitions: timeline.NewValue(t, false),
		members:       timeline.NewMap[string, *consumerMember](t, text),
		targets:       timeline.NewMap[string, []topicPartitions](t, text),
		regexes:       timeline.NewMap[string, *regexValue](t, text),
		owned:         timeline.NewMap[ownedPartition, int32](t, compareOwned),
		static:        timeline.NewMap[string, string](t, text),
		topics:        timeline.NewMap[string, subscribers](t, text),
		regexUse:      timeline.NewMap[string, int](t, text),
		assignors:     timeline.NewMap[string, int](t, text),
		protocols:     timeline.NewMap[string, int](t, text),
		classics:      timeline.NewValue(t, 0),
		settled:       timeline.NewValue(t, 0),
		bugs:          bugs,
	}
}

// The group as offsets and administrators see it.

func (g *consumerGroup) kind() Kind               { return Consumer }
func (g *consumerGroup) protocolTypeName() string { return consumerProtocol }
func (g *consumerGroup) empty() bool              { return g.members.Len() == 0 }

func (g *consumerGroup) state(at timeline.Cut) State {
	switch target := g.target.GetAt(at); {
	case g.members.LenAt(at) == 0:
		return Empty
	case g.epoch.GetAt(at) > target.epoch:
		return Assigning
	case g.settled.GetAt(at) < g.members.LenAt(at):
		return Reconciling
	}
	return Stable
}

// mayCommit: a member may commit with its epoch of now, and for a partition that it
// has had since with an older one, down to that in which it got it (KIP-1251).
func (g *consumerGroup) mayCommit(by committer) (func(string, kafka.UUID, int32) error, error) {
	if by.generation < 0 && g.empty() {
		return nil, nil
	}
	if by.transactional && by.generation == -1 && by.member == "" && by.instance == nil {
		return nil, nil // old versions of TxnOffsetCommit name no member
	}
	m, ok := g.members.Get(by.member)
	switch {
	case !ok:
		return nil, g.unknownMember(by.member)
	case !by.transactional && m.told.classic == nil && by.version < commitKnowsNoGroup:
		return nil, kafka.Refuse(kerr.UnsupportedVersion, "OffsetCommit version 9 or above must be used by members using the consumer group protocol")
	case by.generation == m.epoch:
		return nil, nil
	case by.generation > m.epoch:
		return nil, m.staleEpoch()
	}
	return func(_ string, topic kafka.UUID, partition int32) error {
		since, has := epochOf(m.assigned, topic, partition)
		if !has {
			since, has = epochOf(m.pending, topic, partition)
		}
		if !has || by.generation < since {
			return m.staleEpoch()
		}
		return nil
	}, nil
}

// mayFetch: a fetch that names a member must be up to date.
func (g *consumerGroup) mayFetch(member *string, epoch int32, at timeline.Cut) error {
	switch {
	case member == nil && epoch < 0:
		return nil
	case member == nil:
		return kerr.UnknownServerError // Kafka's coordinator throws here
	}
	m, ok := g.members.GetAt(at, *member)
	switch {
	case !ok:
		return g.unknownMember(*member)
	case epoch != m.epoch:
		return m.staleEpoch()
	}
	return nil
}

func (g *consumerGroup) unknownMember(id string) error {
	return kafka.Refuse(kerr.UnknownMemberID, "Member %s is not a member of group %s.", id, g.id)
}

func (g *consumerGroup) mayDeleteOffsets() error { return nil }

func (g *consumerGroup) mayDelete() error {
	if !g.empty() {
		return kerr.NonEmptyGroup
	}
	return nil
}

func (g *consumerGroup) subscribedTo(topic string) bool { return g.topics.Has(topic) }

func (g *consumerGroup) expiryBase() (func(*offset) int64, bool) {
	return func(o *offset) int64 { return o.committed }, true
}

// tombstones remove the group from the log: what depends on another record goes
// before it.
func (g *consumerGroup) tombstones() []coordinator.Record { return g.tombstonesFor(nil) }

// tombstonesFor are the tombstones with other ids for some of the members.
func (g *consumerGroup) tombstonesFor(renamed map[string]string) (all []coordinator.Record) {
	var members []string
	for id := range g.members.All() {
		if to, ok := renamed[id]; ok {
			id = to
		}
		members = append(members, id)
	}
	for _, id := range members {
		all = append(all, tombstone(&currentAssignmentKey{g.id, id}))
	}
	for _, id := range members {
		all = append(all, tombstone(&targetMemberKey{g.id, id}))
	}
	all = append(all, tombstone(&targetMetadataKey{g.id}))
	for _, id := range members {
		all = append(all, tombstone(&consumerMemberKey{g.id, id}))
	}
	for regex := range g.regexes.All() {
		all = append(all, tombstone(&regexKey{g.id, regex}))
	}
	return append(all, tombstone(&consumerPartitionsKey{g.id}), tombstone(&consumerGroupKey{g.id}))
}

// hash is a fingerprint of the logged state.
func (g *consumerGroup) hash(at timeline.Cut) uint64 {
	sum := fnv.New64a()
	fmt.Fprintf(sum, "%d %d %v %v\n", g.epoch.GetAt(at), g.hash64.GetAt(at), g.target.GetAt(at), g.oldPartitions.GetAt(at))
	for id, m := range g.members.AllAt(at) {
		rec := encode(&consumerMemberKey{g.id, id}, m.told)
		fmt.Fprintf(sum, "%q %x\n", id, rec.Value)
		rec = encode(&currentAssignmentKey{g.id, id}, m.current())
		fmt.Fprintf(sum, "%x\n", rec.Value)
	}
	for id, share := range g.targets.AllAt(at) {
		fmt.Fprintf(sum, "%q %v\n", id, share)
	}
	for regex, r := range g.regexes.AllAt(at) {
		fmt.Fprintf(sum, "%q %v\n", regex, *r)
	}
	for p, epoch := range g.owned.AllAt(at) {
		fmt.Fprintf(sum, "%v %d\n", p, epoch)
	}
	return sum.Sum64()
}

// consumerGroupOf is the KIP-848 group of that name, as written.
func (m *Machine) consumerGroupOf(id string) (*consumerGroup, error) {
	return m.consumerGroupAt(id, timeline.Written)
}

// consumerGroupAt is the KIP-848 group of that name at a cut.
func (m *Machine) consumerGroupAt(id string, at timeline.Cut) (*consumerGroup, error) {
	l, ok := m.groups.GetAt(at, id)
	if !ok {
		return nil, kafka.Refuse(kerr.GroupIDNotFound, "Group %s not found.", id)
	}
	g, ok := l.consumer.(*consumerGroup)
	if !ok {
		return nil, kafka.Refuse(kerr.GroupIDNotFound, "Group %s is not a consumer group.", id)
	}
	return g, nil
}

// votes are how many members prefer an assignor, in the order in which Kafka's
// coordinator looks at them; of equals the first wins. The map that it keeps has
// uniform before range. The copy that it makes to count a member anew has both in one
// bucket, in which a name that is new comes first: with one member for each, the one
// for range is found to have changed the preference, so that the epoch of the group
// rises with each of its heartbeats.
type votes []vote

type vote struct {
	assignor string
	members  int
}

// votesAt are those of the members at a cut.
func (g *consumerGroup) votesAt(at timeline.Cut) (v votes) {
	for _, name := range []string{assignor.Uniform, assignor.ServerRange} {
		if n, _ := g.assignors.GetAt(at, name); n > 0 {
			v = append(v, vote{name, n})
		}
	}
	return v
}

// instead are the votes when member was is replaced by is.
func (v votes) instead(was, is *consumerMember) votes {
	v = slices.Clone(v)
	if at := v.of(was.told.assignor); at >= 0 {
		v[at].members--
		if v[at].members == 0 {
			v = slices.Delete(v, at, at+1)
		}
	}
	switch at := v.of(is.told.assignor); {
	case at >= 0:
		v[at].members++
	case is.told.assignor != nil:
		v = slices.Insert(v, 0, vote{*is.told.assignor, 1})
	}
	return v
}

func (v votes) of(name *string) int {
	return slices.IndexFunc(v, func(x vote) bool { return name != nil && x.assignor == *name })
}

// preferred is the assignor that most members prefer, or the default where none
// names one.
func (v votes) preferred(byDefault string) string {
	best := vote{assignor: byDefault}
	for _, x := range v {
		if x.members > best.members {
			best = x
		}
	}
	return best.assignor
}

// sortedKeys are the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// consumersMetadataChanged has groups look at their topics again with the next
// heartbeat, if one of them changed.
func (m *Machine) consumersMetadataChanged(im *metadata.Image, ch *metadata.Changes) {
	if len(ch.CreatedTopics) > 0 {
		m.consumers.topicsSince = im.Offset
	}
	changed := map[string]bool{}
	for _, name := range ch.CreatedTopics {
		changed[name] = true
	}
	for _, t := range ch.DeletedTopics {
		changed[t.Name] = true
	}
	for _, tp := range ch.Partitions {
		changed[tp.Topic] = true
	}
	if len(changed) == 0 {
		return
	}
	for id, l := range m.groups.All() {
		g, ok := l.consumer.(*consumerGroup)
		if !ok {
			continue
		}
		for name := range g.topics.All() {
			if changed[name] {
				m.soft(id).metadataSeen = false
				break
			}
		}
	}
}
