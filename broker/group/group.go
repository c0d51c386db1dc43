// Package group coordinates groups of consumers, and keeps their committed offsets.
//
// Machine is the state of one partition of __consumer_offsets, which a
// coordinator.Runtime loads, feeds with events, and writes for. It is pure: a
// request is asked for a Decision, Apply folds what was decided, and nothing blocks
// or asks for anything but the Env. A method per API makes the decisions.
//
// What the log holds is on the timeline: offsets, classic groups as of their last
// completed generation, and KIP-848 groups in full. What a classic group does between
// two generations (members that wait, votes, timers) is not in the log. It is the
// group's soft state, kept apart in Machine.classic, and lost with the shard: a group
// that is loaded is Stable or Empty.
package group

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/witness"
)

// Config is what a broker's settings say of groups.
type Config struct {
	MinSessionTimeout     time.Duration // group.min.session.timeout.ms
	MaxSessionTimeout     time.Duration // group.max.session.timeout.ms
	InitialRebalanceDelay time.Duration // group.initial.rebalance.delay.ms
	MaxSize               int           // group.max.size

	Consumer ConsumerConfig // of KIP-848 groups

	OffsetMetadataMaxBytes        int           // offset.metadata.max.bytes; it counts UTF-16 units, not bytes
	OffsetsRetention              time.Duration // offsets.retention.minutes
	OffsetsRetentionCheckInterval time.Duration // offsets.retention.check.interval.ms
}

// Caller is the client that sent a request.
type Caller struct {
	ClientID string
	Host     string // as Kafka writes it: "/127.0.0.1"
}

// PartitionFor is the partition of the offsets topic that a group belongs to.
func PartitionFor(groupID string, partitions int32) int32 {
	return kafka.CoordinatorPartition(groupID, partitions)
}

// Machine is the groups and offsets of one partition of the offsets topic.
type Machine struct {
	env coordinator.Env
	cfg Config

	// groups are those that the log knows, also if all that it has is their offsets.
	groups *timeline.Map[string, logged]
	// offsets are by group. A group that has none may be absent; none is ever nil.
	offsets map[string]*groupOffsets
	// transactions are the groups in which a producer has offsets pending.
	transactions *timeline.Map[kafka.ProducerID, *timeline.Map[string, struct{}]]

	// decided is what the marker decided that was applied last, to be told.
	decided []*witness.OffsetDecided

	// digest is the sum of the fingerprints of all that is logged.
	digest *timeline.Value[uint64]

	// classic is the soft state of classic groups, as far as it was asked for: a group
	// that is absent is as the log says.
	classic map[string]*classicGroup
	// consumers is the soft state of KIP-848 groups.
	consumers consumerGroups
	// deleted are topics whose offsets are to be removed.
	deleted []metadata.DeletedTopic
}

// logged is what the log holds of a group: one of the two.
type logged struct {
	classic  *groupMetadata
	consumer group
	print    uint64 // fingerprint of what the log says of a classic group
}

// New is a Machine that has folded nothing yet.
func New(env coordinator.Env, cfg Config) *Machine {
	return &Machine{
		env: env, cfg: cfg,
		groups:       timeline.NewMap[string, logged](env.Timeline(), cmp.Compare[string]),
		offsets:      map[string]*groupOffsets{},
		transactions: timeline.NewMap[kafka.ProducerID, *timeline.Map[string, struct{}]](env.Timeline(), cmp.Compare[kafka.ProducerID]),
		digest:       timeline.NewValue(env.Timeline(), uint64(0)),
		classic:      map[string]*classicGroup{},
	}
}

// Kind is the protocol of a group, in the words of ListGroups.
type Kind string

// The kinds of groups.
const (
	Classic  Kind = "classic"
	Consumer Kind = "consumer" // KIP-848
)

// group is what offsets and the requests of administrators ask of a group, whatever
// its protocol.
type group interface {
	kind() Kind
	// state is Kafka's name of it.
	state(timeline.Cut) State
	// protocolTypeName is as ListGroups tells it.
	protocolTypeName() string
	// empty reports whether it has no members, as written.
	empty() bool

	// mayCommit refuses a commit as a whole, or (KIP-1251) because of a partition; a nil
	// function accepts all partitions.
	mayCommit(by committer) (perPartition func(topic string, id kafka.UUID, partition int32) error, refused error)
	// mayFetch refuses an OffsetFetch that names a member (KIP-848).
	mayFetch(member *string, epoch int32, at timeline.Cut) error
	mayDeleteOffsets() error
	mayDelete() error
	// subscribedTo reports whether members may be subscribed to a topic.
	subscribedTo(topic string) bool
	// expiryBase is when the retention of an offset begins, in ms; ok is false where
	// none expires.
	expiryBase() (base func(*offset) int64, ok bool)
	// tombstones are what removes the group from the log, its offsets apart.
	tombstones() []coordinator.Record
}

// committer is what a commit says of its client.
type committer struct {
	member        string // "": none
	instance      *string
	generation    int32 // or member epoch; -1: none
	transactional bool
	version       int16 // of the request
}

// group is the group of that name, or nil. The soft state of a classic group is that
// of now at either cut, as in Kafka.
func (m *Machine) group(id string, at timeline.Cut) group {
	g, ok := m.groups.GetAt(at, id)
	switch {
	case !ok:
		return nil
	case g.consumer != nil:
		return g.consumer
	default:
		return m.classicAt(id, g.classic, at)
	}
}

// Apply folds one record. A type that is not known is skipped.
func (m *Machine) Apply(at kafka.Offset, rec coordinator.Record, by coordinator.Producer) error {
	k, v, err := decode(rec)
	if err != nil || k == nil {
		return err
	}
	switch k := k.(type) {
	case *offsetKey:
		m.applyOffset(at, *k, v, by)
	case *legacyOffsetKey:
		m.applyOffset(at, k.offsetKey, v, by)
	case *groupKey:
		m.applyGroup(k.group, v)
	default:
		return m.applyConsumer(k, v)
	}
	return nil
}

// applyGroup folds the record of a classic group, or removes a group of that name.
func (m *Machine) applyGroup(id string, v value) {
	was, _ := m.groups.Get(id)
	if v != nil {
		is := logged{classic: v.(*groupMetadata), print: printOf(&groupKey{id}, v)}
		m.groups.Set(id, is)
		m.replacePrint(was.print, is.print)
		return
	}
	m.groups.Delete(id)
	m.replacePrint(was.print, 0)
	if g := m.classic[id]; g != nil {
		since := g.since
		g.drop(kerr.UnknownMemberID)
		m.env.Timeline().OnRevert(func() { g.restore(since) })
	}
}

// Loaded starts what goes on by itself: the sessions of members, and expiry.
func (m *Machine) Loaded() {
	for id, g := range m.groups.All() {
		if g.classic != nil && len(g.classic.members) > 0 {
			m.classicAt(id, g.classic, timeline.Written).loaded()
		}
		if c, ok := g.consumer.(*consumerGroup); ok {
			m.loadedConsumer(c)
		}
	}
	m.scheduleExpiry()
}

// Unloaded answers the requests that wait.
func (m *Machine) Unloaded() {
	for _, id := range slices.Sorted(maps.Keys(m.classic)) {
		m.classic[id].unloaded()
	}
}
