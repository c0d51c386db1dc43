package group

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/internal/list"
)

// State is Kafka's name of a group's state.
type State string

// The states of classic groups (ClassicGroupState). Empty and Stable are those of
// KIP-848 groups too.
const (
	Empty              State = "Empty"
	PreparingRebalance State = "PreparingRebalance"
	// CompletingRebalance: the members have joined, and wait for their leader's assignment.
	CompletingRebalance State = "CompletingRebalance"
	Stable              State = "Stable"
	Dead                State = "Dead"
)

// consumerProtocol is the protocol type of consumers. Others (Connect) may use
// groups too; what their members say is not understood here.
const consumerProtocol = "consumer"

// newMemberJoinTimeout is how long a new member may wait for the answer to its
// first JoinGroup. It cannot send heartbeats yet, and its client may be gone.
const newMemberJoinTimeout = 5 * time.Minute

// classicGroup is a group of the classic protocol as it is now: what the log holds
// of it, and the soft state since. It changes at once, not by Apply: a rebalance
// that was not completed leaves no trace in the log.
type classicGroup struct {
	m  *Machine
	id string

	at, before   State
	since        int64  // when it came into its state, ms; -1: unknown
	protocolType string // "": it never had members
	generation   int32
	protocol     *string // chosen for this generation
	leader       string  // id of a member; "": none

	members map[string]*member
	order   list.List[member] // members in the order in which they came
	static  map[string]string // member ids of static members, by instance (KIP-345)

	// pending are ids that were given to members that have not joined with them yet
	// (KIP-394), and the sessions that they asked for. The join phase waits for them.
	pending map[string]time.Duration
	// waiting is how many members' JoinGroup requests are parked.
	waiting int
	// joinTime is how long members have in the join phase that goes on, or the last one.
	joinTime time.Duration
	// unsynced are members that were told of the generation, and sent no SyncGroup since.
	unsynced map[string]bool
	// support is how many members support a protocol.
	support map[string]int
	// another: a member has come during the initial delay, which is then extended.
	another bool

	// topics are those that the members are subscribed to; nil: unknown.
	topics map[string]bool
}

// member is a member of a classic group.
type member struct {
	link list.Item[member]

	id               string
	instance         *string
	clientID, host   string
	rebalanceTimeout time.Duration
	sessionTimeout   time.Duration
	protocols        []protocol
	assignment       []byte

	isNew bool // its first JoinGroup is not answered yet
	join  *joinAnswer
	sync  *syncAnswer
}

// classicAt is the classic group of that name. Without soft state it is as the log
// says, and kept only if it has members and is the newest.
func (m *Machine) classicAt(id string, meta *groupMetadata, at timeline.Cut) *classicGroup {
	if g := m.classic[id]; g != nil {
		return g
	}
	g := m.fromLog(id, meta)
	if at == timeline.Written && len(g.members) > 0 {
		m.classic[id] = g
	}
	return g
}

// fromLog is a group as the log has it.
func (m *Machine) fromLog(id string, meta *groupMetadata) *classicGroup {
	g := m.newClassic(id)
	g.since, g.protocolType, g.generation, g.protocol = meta.since, meta.protocolType, meta.generation, meta.protocol
	for i := range meta.members {
		if mb := memberFromLog(&meta.members[i], meta.protocol); g.members[mb.id] == nil {
			g.add(mb) // a damaged record may have one twice
		}
	}
	if meta.leader != nil {
		g.leader = *meta.leader
	}
	if len(meta.members) > 0 {
		g.at = Stable
	}
	g.learnTopics()
	return g
}

func memberFromLog(from *memberMetadata, chosen *string) *member {
	mb := &member{
		id: from.id, instance: from.instance, clientID: from.clientID, host: from.clientHost,
		rebalanceTimeout: millis(from.rebalanceTimeout), sessionTimeout: millis(from.sessionTimeout),
		assignment: from.assignment,
	}
	if from.rebalanceTimeout < 0 {
		mb.rebalanceTimeout = mb.sessionTimeout
	}
	if chosen != nil {
		mb.protocols = []protocol{{*chosen, from.subscription}}
	}
	return mb
}

func millis(ms int32) time.Duration { return time.Duration(ms) * time.Millisecond }

func (m *Machine) newClassic(id string) *classicGroup {
	return &classicGroup{m: m, id: id, at: Empty, before: Dead, since: m.env.NowMillis()}
}

// metadata is what the log is to hold of the group, with these assignments by member.
func (g *classicGroup) metadata(assignments map[string][]byte) *groupMetadata {
	meta := &groupMetadata{protocolType: g.protocolType, generation: g.generation, protocol: g.protocol, since: g.since}
	if g.leader != "" {
		meta.leader = kmsg.StringPtr(g.leader)
	}
	for mb := g.order.First(); mb != nil; mb = mb.link.Next() {
		meta.members = append(meta.members, memberMetadata{
			id: mb.id, instance: mb.instance, clientID: mb.clientID, clientHost: mb.host,
			rebalanceTimeout: int32(mb.rebalanceTimeout.Milliseconds()), sessionTimeout: int32(mb.sessionTimeout.Milliseconds()),
			subscription: mb.metadata(g.protocol), assignment: assignments[mb.id],
		})
	}
	return meta
}

// record is the record of the group with these assignments.
func (g *classicGroup) record(assignments map[string][]byte) coordinator.Record {
	return encode(&groupKey{g.id}, g.metadata(assignments))
}

// transition brings the group into another state.
func (g *classicGroup) transition(to State) {
	g.m.env.Tell(&witness.GroupState{Group: g.id, From: string(g.at), To: string(to), Generation: g.generation})
	g.before, g.at = g.at, to
	g.since = g.m.env.NowMillis()
}

// add adds a member; one that is the first leads.
func (g *classicGroup) add(mb *member) {
	if g.members == nil {
		g.members, g.support = map[string]*member{}, map[string]int{}
	}
	mb.link.Init(mb)
	g.members[mb.id] = mb
	g.order.Push(&mb.link)
	if mb.instance != nil {
		if g.static == nil {
			g.static = map[string]string{}
		}
		g.static[*mb.instance] = mb.id
	}
	if g.leader == "" {
		g.leader = mb.id
	}
	g.count(mb, 1)
	if mb.join != nil {
		g.waiting++
	}
	delete(g.pending, mb.id)
}

// remove removes a member, or an id that was given away. Requests of it that are
// parked are answered: its client, if it still runs, is to join anew. Leadership goes
// to the member that came first of those left.
func (g *classicGroup) remove(id string, why witness.MemberLeft) {
	g.m.env.CancelTimer(g.sessionTimer(id))
	delete(g.pending, id)
	mb := g.members[id]
	if mb == nil {
		return
	}
	g.answerJoin(mb, refuseJoin("", kerr.UnknownMemberID))
	g.answerSync(mb, kerr.UnknownMemberID)
	g.count(mb, -1)
	mb.link.Remove()
	delete(g.members, id)
	if mb.instance != nil && g.static[*mb.instance] == id {
		delete(g.static, *mb.instance)
	}
	if g.leader == id {
		g.leader = ""
		if first := g.order.First(); first != nil {
			g.leader = first.id
		}
	}
	why.Group, why.Generation, why.Member, why.Instance = g.id, g.generation, id, deref(mb.instance)
	g.m.env.Tell(&why)
}

func (g *classicGroup) isPending(id string) bool {
	_, pending := g.pending[id]
	return pending
}

// count counts the protocols that a member supports, or no longer does.
func (g *classicGroup) count(mb *member, by int) {
	for _, p := range mb.protocols {
		if g.support[p.name] += by; g.support[p.name] == 0 {
			delete(g.support, p.name)
		}
	}
}

// metadata is what a member said for a protocol.
func (mb *member) metadata(chosen *string) []byte {
	for i := range mb.protocols {
		if chosen != nil && mb.protocols[i].name == *chosen {
			return mb.protocols[i].metadata
		}
	}
	return nil
}

// check finds the member that a request is of, or refuses one of what is not, or no
// longer, a member (ClassicGroup.validateMember).
func (g *classicGroup) check(id string, instance *string) (*member, error) {
	if instance != nil {
		switch holder, ok := g.static[*instance]; {
		case !ok:
			return nil, g.fence(id, instance, kerr.UnknownMemberID)
		case holder != id && g.m.env.Bugs().On(planted.NoInstanceFence):
			g.m.env.Bugs().Infected(planted.NoInstanceFence, true)
			return g.members[holder], nil
		case holder != id:
			return nil, g.fence(id, instance, kerr.FencedInstanceID)
		}
	}
	if mb := g.members[id]; mb != nil {
		return mb, nil
	}
	return nil, g.fence(id, instance, kerr.UnknownMemberID)
}

// checkGeneration is check, and refuses a generation that is not the present one.
func (g *classicGroup) checkGeneration(id string, instance *string, generation int32) (*member, error) {
	mb, err := g.check(id, instance)
	if err == nil && generation != g.generation {
		return nil, g.fence(id, instance, kerr.IllegalGeneration)
	}
	return mb, err
}

// fence tells that a request is refused.
func (g *classicGroup) fence(id string, instance *string, why *kerr.Error) error {
	g.m.env.Tell(&witness.MemberFenced{Group: g.id, Member: id, Instance: deref(instance), Error: witness.ErrorOf(why)})
	return why
}

// rebalanceTimeout is the longest that a member asks for.
func (g *classicGroup) rebalanceTimeout() (longest time.Duration) {
	for mb := g.order.First(); mb != nil; mb = mb.link.Next() {
		longest = max(longest, mb.rebalanceTimeout)
	}
	return longest
}

// supports reports whether a member with these protocols can be one of the group
// (ClassicGroup.supportsProtocols). Kafka does not answer a member at all that names a
// protocol twice; here none can be.
func (g *classicGroup) supports(protocolType string, protocols []kmsg.JoinGroupRequestProtocol) bool {
	named := make(map[string]bool, len(protocols))
	for _, p := range protocols {
		if named[p.Name] {
			return false
		}
		named[p.Name] = true
	}
	if g.at == Empty {
		return protocolType != "" && len(protocols) > 0
	}
	return protocolType == g.protocolType && slices.ContainsFunc(protocols, func(p kmsg.JoinGroupRequestProtocol) bool {
		return g.support[p.Name] == len(g.members)
	})
}

// elect is the protocol of the next generation: of those that all members support,
// each votes for the one that it named first. Where votes are equal, Kafka takes the
// first in the order of a Java hash map; so does this.
func (g *classicGroup) elect() string {
	votes := map[string]int{}
	for mb := g.order.First(); mb != nil; mb = mb.link.Next() {
		for _, p := range mb.protocols {
			if g.support[p.name] == len(g.members) {
				votes[p.name]++
				break
			}
		}
	}
	best := ""
	for _, name := range hashMapOrder(votes) {
		if best == "" || votes[name] > votes[best] {
			best = name
		}
	}
	return best
}

// learnTopics works out what the members are subscribed to, if they are consumers.
func (g *classicGroup) learnTopics() {
	g.topics = nil
	if g.protocolType != consumerProtocol {
		return
	}
	topics := map[string]bool{}
	for mb := g.order.First(); mb != nil; mb = mb.link.Next() {
		names, err := subscribedTopics(mb.metadata(g.protocol))
		if err != nil {
			return
		}
		for _, name := range names {
			topics[name] = true
		}
	}
	g.topics = topics
}

// The group as offsets and administrators see it.

func (g *classicGroup) kind() Kind               { return Classic }
func (g *classicGroup) state(timeline.Cut) State { return g.at }
func (g *classicGroup) protocolTypeName() string { return g.protocolType }
func (g *classicGroup) empty() bool              { return g.at == Empty }
func (g *classicGroup) usesConsumers() bool      { return g.protocolType == consumerProtocol }

// subscribedTo is true where consumers may be subscribed to the topic: it is not
// known what they said.
func (g *classicGroup) subscribedTo(topic string) bool {
	if g.topics == nil {
		return g.usesConsumers()
	}
	return g.topics[topic]
}

func (g *classicGroup) mayCommit(by committer) (func(string, kafka.UUID, int32) error, error) {
	return nil, g.judgeCommit(by)
}

// judgeCommit refuses a commit of what is no member of this generation.
func (g *classicGroup) judgeCommit(by committer) error {
	switch {
	case by.generation < 0 && g.at == Empty:
		return nil // a client that manages its partitions itself
	case by.generation >= 0 || by.member != "" || by.instance != nil:
		if _, err := g.checkGeneration(by.member, by.instance, by.generation); err != nil {
			return err
		}
	case !by.transactional && g.at != Empty:
		// Old versions of TxnOffsetCommit name no member.
		return kerr.UnknownMemberID
	}
	if !by.transactional && g.at == CompletingRebalance {
		return kerr.RebalanceInProgress
	}
	return nil
}

// mayFetch: classic groups let any client read their offsets.
func (g *classicGroup) mayFetch(*string, int32, timeline.Cut) error { return nil }

func (g *classicGroup) mayDeleteOffsets() error {
	if g.at != Empty && !g.usesConsumers() {
		return kerr.NonEmptyGroup
	}
	return nil
}

func (g *classicGroup) mayDelete() error {
	if g.at != Empty {
		return kerr.NonEmptyGroup
	}
	return nil
}

// expiryBase: offsets of a group that had members are kept from when the last left;
// of a Stable group of consumers, and of a group that never had members, from their
// commit. While a group rebalances nothing expires.
func (g *classicGroup) expiryBase() (func(*offset) int64, bool) {
	fromCommit := func(o *offset) int64 { return o.committed }
	switch {
	case g.protocolType == "":
		return fromCommit, true
	case g.at == Empty && g.since < 0:
		return fromCommit, true
	case g.at == Empty:
		return func(*offset) int64 { return g.since }, true
	case g.at == Stable && g.usesConsumers() && g.topics != nil:
		return fromCommit, true
	}
	return nil, false
}

func (g *classicGroup) tombstones() []coordinator.Record {
	return []coordinator.Record{tombstone(&groupKey{g.id})}
}
