package group

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/assignor"
	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
)

// heartbeatNeedsMemberID is the version of ConsumerGroupHeartbeat from which
// clients make their member ids themselves (KIP-1082).
const heartbeatNeedsMemberID = 1

// ConsumerGroupHeartbeat decides a heartbeat of a member of a KIP-848 group, with
// which it joins, tells what it wants and has, is told what it gets, and leaves.
// The answer holds once the Decision is committed.
func (m *Machine) ConsumerGroupHeartbeat(from Caller, req *kmsg.ConsumerGroupHeartbeatRequest) (coordinator.Decision, *kmsg.ConsumerGroupHeartbeatResponse) {
	resp := req.ResponseKind().(*kmsg.ConsumerGroupHeartbeatResponse)
	var d coordinator.Decision
	err := m.judgeHeartbeat(req)
	switch {
	case err != nil:
	case req.MemberEpoch == leaveEpoch || req.MemberEpoch == leaveStaticEpoch:
		d, err = m.leaveConsumer(req, resp)
	default:
		h := &heartbeat{m: m, from: from, req: req, resp: resp}
		d, err = h.decide()
	}
	if err != nil {
		m.tellRefused(req.Group, req.MemberID, deref(req.InstanceID), err)
		*resp = *req.ResponseKind().(*kmsg.ConsumerGroupHeartbeatResponse)
		resp.ErrorCode, resp.ErrorMessage = kafka.Code(err), kafka.Message(err)
		return coordinator.Decision{}, resp
	}
	return d, resp
}

// judgeHeartbeat refuses what no member may send, in Kafka's order.
func (m *Machine) judgeHeartbeat(req *kmsg.ConsumerGroupHeartbeatRequest) error {
	invalid := func(text string) error { return kafka.Refuse(kerr.InvalidRequest, "%s", text) }
	blank := func(s *string) bool { return s != nil && strings.TrimSpace(*s) == "" }
	epoch := req.MemberEpoch
	switch {
	case (req.Version >= heartbeatNeedsMemberID || epoch > joinEpoch || epoch == leaveEpoch) && blank(&req.MemberID):
		return invalid("MemberId can't be empty.")
	case blank(&req.Group):
		return invalid("GroupId can't be empty.")
	case blank(req.InstanceID):
		return invalid("InstanceId can't be empty.")
	case blank(req.RackID):
		return invalid("RackId can't be empty.")
	case epoch == joinEpoch && req.RebalanceTimeoutMillis == -1:
		return invalid("RebalanceTimeoutMs must be provided in first request.")
	case epoch == joinEpoch && (req.Topics == nil || len(req.Topics) > 0):
		return invalid("TopicPartitions must be empty when (re-)joining.")
	case epoch == joinEpoch && req.SubscribedTopicNames == nil && req.SubscribedTopicRegex == nil:
		return invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")
	case epoch == leaveStaticEpoch && req.InstanceID == nil:
		return invalid("InstanceId can't be null.")
	case epoch < leaveStaticEpoch:
		return invalid("MemberEpoch is invalid.")
	}
	if name := req.ServerAssignor; name != nil && !slices.Contains(m.cfg.Consumer.Assignors, *name) {
		return kafka.Refuse(kerr.UnsupportedAssignor, "ServerAssignor %s is not supported. Supported assignors: %s.", *name, strings.Join(m.cfg.Consumer.Assignors, ", "))
	}
	return nil
}

// heartbeat is one heartbeat while it is decided. Nothing of the group changes
// before its records are applied: what they will make of it is in the fields.
type heartbeat struct {
	m    *Machine
	from Caller
	req  *kmsg.ConsumerGroupHeartbeatRequest
	resp *kmsg.ConsumerGroupHeartbeatResponse

	group   *consumerGroup // as written, or what it is converted to
	convert *conversion    // of a classic group; nil: it is none
	was     *consumerMember
	member  *consumerMember
	isNew   bool
	// replaced is the member whose instance.id the joining member takes; nil: none.
	replaced *consumerMember
	changed  bool // the subscription
	looked   bool // at the subscriptions and at the metadata of topics, as they are now
	records  []coordinator.Record
}

func (h *heartbeat) add(records ...coordinator.Record) { h.records = append(h.records, records...) }

func (h *heartbeat) decide() (coordinator.Decision, error) {
	join := h.req.MemberEpoch == joinEpoch
	if err := h.findGroup(join); err != nil {
		return coordinator.Decision{}, err
	}
	id := h.req.MemberID
	if err := h.m.judgeSize(h.group, id, h.req.InstanceID); err != nil {
		return coordinator.Decision{}, err
	}
	if id == "" {
		id = h.m.env.NewUUID().String()
	}
	owned := ownedOf(h.req.Topics)
	if err := h.findMember(id, join, owned); err != nil {
		return coordinator.Decision{}, err
	}
	switch epoch := h.req.MemberEpoch; {
	case h.isNew || h.replaced != nil || epoch == h.was.epoch:
	case epoch == joinEpoch:
		h.m.env.Reached(ProbeRejoined)
		h.m.soft(h.group.id).joinsAgain(id)
	default:
		h.m.env.Reached(ProbeLostAnswer)
	}
	h.member = h.told()
	bump, err := h.update(true)
	if err != nil {
		return coordinator.Decision{}, err
	}
	epoch := h.updateEpoch(bump)
	target, share := h.updateTarget(epoch)
	h.reconcile(target, share, owned)
	h.tellHeard(id, owned)
	h.m.scheduleConsumerSession(h.group.id, id, h.m.sessionTimeout(h.group.id))
	h.answer()
	return h.decision(), nil
}

// findGroup finds the group, or makes one for a member that joins: a new one, or
// what an existing classic group is converted to.
func (h *heartbeat) findGroup(join bool) (err error) {
	m, id := h.m, h.req.Group
	l, exists := m.groups.Get(id)
	g, isConsumer := l.consumer.(*consumerGroup)
	switch {
	case isConsumer:
		h.group = g
		return nil
	case !join && !exists:
		return kafka.Refuse(kerr.GroupIDNotFound, "Consumer group %s not found.", id)
	case !join:
		return kafka.Refuse(kerr.GroupIDNotFound, "Group %s is not a consumer group.", id)
	case !exists:
		h.group = newConsumerGroup(id, timeline.New(), m.env.Bugs())
		return nil
	}
	if h.convert, err = m.convert(m.classicAt(id, l.classic, timeline.Written)); err != nil {
		return err
	}
	h.group, h.records = h.convert.preview, h.convert.records
	return nil
}

// judgeSize refuses one member too many.
func (m *Machine) judgeSize(g *consumerGroup, id string, instance *string) error {
	if instance != nil && g.static.Has(*instance) || g.members.Len() < m.cfg.Consumer.MaxSize || g.members.Has(id) {
		return nil
	}
	return kafka.Refuse(kerr.GroupMaxSizeReached, "The consumer group has reached its maximum capacity of %d members.", m.cfg.Consumer.MaxSize)
}

// findMember finds the member of a heartbeat, or makes it if it joins.
func (h *heartbeat) findMember(id string, join bool, owned *[]topicPartitions) error {
	if h.req.InstanceID != nil {
		return h.findStatic(id, *h.req.InstanceID, join, owned)
	}
	m, exists := h.group.members.Get(id)
	if !exists && !join {
		return h.group.unknownMember(id)
	}
	if !exists {
		m, h.isNew = newConsumerMember(id), true
	}
	h.was = m
	return m.judgeEpoch(h.req.MemberEpoch, owned)
}

func (h *heartbeat) findStatic(id, instance string, join bool, owned *[]topicPartitions) error {
	old := h.group.staticMember(instance)
	if join {
		if old != nil && old.told.classic == nil && old.epoch != leaveStaticEpoch {
			return kafka.Refuse(kerr.UnreleasedInstanceID, "Static member %s with instance id %s cannot join the group because the instance id is owned by %s member.", id, instance, old.id)
		}
		h.findOrReplace(id, old)
		return nil
	}
	if err := judgeInstance(old, id, instance); err != nil {
		return err
	}
	h.was = old
	return old.judgeEpoch(h.req.MemberEpoch, owned)
}

// findOrReplace has a member join as a static one. One that takes over an instance
// id inherits all of its former holder.
func (h *heartbeat) findOrReplace(id string, old *consumerMember) {
	if old == nil {
		m, exists := h.group.members.Get(id)
		if !exists {
			m, h.isNew = newConsumerMember(id), true
		}
		h.was = m
		return
	}
	m := *old
	m.id, m.epoch, m.previous = id, joinEpoch, joinEpoch
	share, _ := h.group.targets.Get(old.id)
	h.add(h.group.removal(old.id)...)
	h.add(
		encode(&consumerMemberKey{h.group.id, id}, m.told),
		encode(&targetMemberKey{h.group.id, id}, &targetMemberValue{share}),
		encode(&currentAssignmentKey{h.group.id, id}, m.current()),
	)
	h.was, h.replaced = &m, old
}

// staticMember is the member with an instance id, or nil.
func (g *consumerGroup) staticMember(instance string) *consumerMember {
	id, ok := g.static.Get(instance)
	if !ok {
		return nil
	}
	m, _ := g.members.Get(id)
	return m
}

// judgeInstance refuses a member that is not the one with its instance id.
func judgeInstance(holder *consumerMember, id, instance string) error {
	switch {
	case holder == nil:
		return kafka.Refuse(kerr.UnknownMemberID, "Instance id %s is unknown.", instance)
	case holder.id != id:
		return kafka.Refuse(kerr.FencedInstanceID, "Static member %s with instance id %s was fenced by member %s.", id, instance, holder.id)
	}
	return nil
}

// judgeEpoch refuses a heartbeat of a member that is not where the coordinator
// thinks it is. A member whose last answer was lost is one epoch behind; it is let
// in if it has nothing that it should not have. One that starts anew joins with
// epoch 0, whatever it had before (KAFKA-19233).
func (m *consumerMember) judgeEpoch(epoch int32, owned *[]topicPartitions) error {
	const rejoin = "The consumer group member has a %s member epoch (%d) than the one known by the group coordinator (%d). The member must abandon all its partitions and rejoin."
	switch {
	case epoch == joinEpoch || epoch == m.epoch:
		return nil
	case epoch > m.epoch:
		return kafka.Refuse(kerr.FencedMemberEpoch, rejoin, "greater", epoch, m.epoch)
	case epoch == m.previous && owned != nil && within(*owned, m.assigned):
		return nil
	}
	return kafka.Refuse(kerr.FencedMemberEpoch, rejoin, "smaller", epoch, m.epoch)
}

// within reports whether all of a list is in another.
func within(list, of []topicPartitions) bool {
	_, outside := split(list, func(topic kafka.UUID, n int32) bool { return has(of, topic, n) })
	return len(outside) == 0
}

// tellHeard tells the ledger of a member's heartbeat, and what it says that it owns.
func (h *heartbeat) tellHeard(member string, owned *[]topicPartitions) {
	e := &witness.MemberHeard{Group: h.group.id, Member: member}
	if owned != nil {
		e.Owns = append([]kafka.TopicPartition{}, h.m.named(*owned)...)
	}
	h.m.env.Tell(e)
}

// ownedOf is what a request says that its member owns; nil: it does not say.
func ownedOf(topics []kmsg.ConsumerGroupHeartbeatRequestTopic) *[]topicPartitions {
	if topics == nil {
		return nil
	}
	owned := []topicPartitions{}
	for _, t := range topics {
		if len(t.Partitions) > 0 {
			owned = append(owned, topicPartitions{topic: t.TopicID, partitions: slices.Clone(t.Partitions)})
		}
	}
	slices.SortStableFunc(owned, func(a, b topicPartitions) int { return assignor.CompareUUID(a.topic, b.topic) })
	return &owned
}

// told is the member with what the request tells anew; null means "as before".
func (h *heartbeat) told() *consumerMember {
	is, req := *h.was, h.req
	told := *h.was.told
	told.classic = nil // a member that sends this request uses the KIP-848 protocol
	told.clientID, told.clientHost = h.from.ClientID, h.from.Host
	setIf(&told.instance, req.InstanceID)
	setIf(&told.rack, req.RackID)
	setIf(&told.assignor, req.ServerAssignor)
	setIf(&told.regex, req.SubscribedTopicRegex)
	if req.RebalanceTimeoutMillis != -1 {
		told.rebalanceTimeout = req.RebalanceTimeoutMillis
	}
	if req.SubscribedTopicNames != nil {
		told.topics = namesOf(req.SubscribedTopicNames)
	}
	is.told = &told
	return &is
}

func setIf(to **string, given *string) {
	if given != nil {
		*to = kmsg.StringPtr(*given)
	}
}

// namesOf are topic names, sorted, each once.
func namesOf(topics []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(topics)))
}

// equal reports whether a member told the same.
func (v *consumerMemberValue) equal(w *consumerMemberValue) bool {
	return deref(v.instance) == deref(w.instance) && deref(v.rack) == deref(w.rack) &&
		v.clientID == w.clientID && v.clientHost == w.clientHost &&
		slices.Equal(v.topics, w.topics) && deref(v.regex) == deref(w.regex) &&
		v.rebalanceTimeout == w.rebalanceTimeout && deref(v.assignor) == deref(w.assignor) &&
		v.classic.equal(w.classic)
}

func (p *classicProtocols) equal(q *classicProtocols) bool {
	if p == nil || q == nil {
		return p == q
	}
	return p.sessionTimeout == q.sessionTimeout && slices.EqualFunc(p.protocols, q.protocols, func(a, b protocol) bool {
		return a.name == b.name && string(a.metadata) == string(b.metadata)
	})
}

// update records what the member told, and reports whether the group has to be
// assigned anew. A change of the assignor that most prefer counts for KIP-848
// members only.
func (h *heartbeat) update(byAssignor bool) (bump bool, err error) {
	if h.isNew || !h.was.told.equal(h.member.told) {
		h.add(encode(&consumerMemberKey{h.group.id, h.member.id}, h.member.told))
	}
	names := !slices.Equal(h.was.told.topics, h.member.told.topics)
	regex, err := h.updateRegex()
	if err != nil {
		return false, err
	}
	h.changed = names || regex != regexAsBefore
	if !byAssignor {
		return h.changed, nil
	}
	return names || regex == regexResolved || h.prefersAnother(), nil
}

// prefersAnother reports whether most members prefer another assignor than before.
// Kafka asks so at each heartbeat, whatever is in it; see votes.
func (h *heartbeat) prefersAnother() bool {
	v, byDefault := h.group.votesAt(timeline.Written), h.m.cfg.Consumer.Assignors[0]
	return v.preferred(byDefault) != v.instead(h.was, h.member).preferred(byDefault)
}

// updateEpoch raises the group's epoch if the group has to be assigned anew, or if
// the metadata of its topics has changed.
func (h *heartbeat) updateEpoch(bump bool) int32 {
	g := h.group
	epoch, soft := g.epoch.Get(), h.m.soft(g.id)
	if !bump && soft.metadataSeen && epoch >= soft.metadataEpoch {
		return epoch
	}
	h.looked = true
	hash := metadataHash(g.subscribedWith(h.was, h.member), h.m.env.Image())
	if bump || hash != g.hash64.Get() {
		epoch++
		h.add(encode(&consumerGroupKey{g.id}, &consumerGroupValue{epoch, hash}))
	}
	soft.metadataSeen, soft.metadataEpoch = true, epoch
	if g.oldPartitions.Get() {
		h.add(tombstone(&consumerPartitionsKey{g.id}))
	}
	return epoch
}

// subscribedWith is how many subscribe to each topic when a member is replaced by
// another.
func (g *consumerGroup) subscribedWith(was, is *consumerMember) map[string]subscribers {
	topics := map[string]subscribers{}
	for name, n := range g.topics.All() {
		topics[name] = n
	}
	countTopics(topics, was.told.topics, subscribers{byName: -1})
	countTopics(topics, is.told.topics, subscribers{byName: 1})
	if use, _ := g.regexUse.Get(was.regex()); use == 1 && was.regex() != is.regex() {
		g.dropRegex(topics, was.regex())
	}
	return topics
}

// dropRegex takes the topics of a regular expression out of the count.
func (g *consumerGroup) dropRegex(topics map[string]subscribers, regex string) {
	if resolved, ok := g.regexes.Get(regex); ok {
		countTopics(topics, resolved.topics, subscribers{byRegex: -1})
	}
}

// countTopics counts subscribers of topics; those that are left without go.
func countTopics(topics map[string]subscribers, names []string, by subscribers) {
	for _, name := range names {
		n := topics[name]
		n.byName += by.byName
		n.byRegex += by.byRegex
		if n == (subscribers{}) {
			delete(topics, name)
		} else {
			topics[name] = n
		}
	}
}

// reconcile takes the member one step towards its target.
func (h *heartbeat) reconcile(target int32, share []topicPartitions, owned *[]topicPartitions) {
	if !h.changed && h.member.reconciled(target) {
		return
	}
	topics := h.m.topicsByID(h.group).of(h.member)
	r := reconciliation{
		member: h.member, epoch: target, target: share, changed: h.changed, taken: h.group.isOwned, owned: owned, bugs: h.m.env.Bugs(),
		subscribed: func(topic kafka.UUID) bool { return containsID(topics, topic) },
	}
	next := r.next()
	if next == h.member {
		return
	}
	if v := next; v.epoch == h.member.epoch && v.previous == h.member.previous && v.state == h.member.state && same(v.assigned, h.member.assigned) && same(v.pending, h.member.pending) {
		return
	}
	h.add(encode(&currentAssignmentKey{h.group.id, next.id}, next.current()))
	h.reach(next)
	if next.told.classic == nil {
		if next.state == unrevoked {
			h.m.scheduleRebalanceTimeout(h.group.id, next)
		} else {
			h.m.env.CancelTimer(consumerTimer("rebalance", h.group.id, next.id))
		}
	}
	h.member = next
}

// reach counts what is rare about a step.
func (h *heartbeat) reach(next *consumerMember) {
	if next.state == unreleased {
		h.m.env.Reached(ProbeWaits)
	}
	back, _ := split(h.member.pending, func(topic kafka.UUID, n int32) bool { return has(next.assigned, topic, n) })
	if len(back) > 0 {
		h.m.env.Reached(ProbeComesBack)
	}
}

// answer tells the member where it is. It carries an assignment only if the member
// asks for it, if it has changed, or if the member does not know it: null is no news,
// and an empty one nothing.
func (h *heartbeat) answer() {
	req, resp := h.req, h.resp
	resp.MemberID = kmsg.StringPtr(h.member.id)
	resp.MemberEpoch = h.member.epoch
	resp.HeartbeatIntervalMillis = int32(h.m.heartbeatInterval(h.group.id).Milliseconds())
	full := req.RebalanceTimeoutMillis != -1 && (req.SubscribedTopicNames != nil || req.SubscribedTopicRegex != nil) && req.Topics != nil
	if req.MemberEpoch != joinEpoch && !full && same(h.was.assigned, h.member.assigned) && !h.missed() {
		return
	}
	a := kmsg.NewConsumerGroupHeartbeatResponseAssignment()
	a.Topics = []kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic{}
	for _, t := range h.member.assigned {
		topic := kmsg.NewConsumerGroupHeartbeatResponseAssignmentTopic()
		topic.TopicID, topic.Partitions = t.topic, slices.Clone(t.partitions)
		a.Topics = append(a.Topics, topic)
	}
	resp.Assignment = &a
}

// missed reports whether the member, which says what it owns, lacks some of what it has been
// given, and may never have had that answer: it is one epoch behind, or has joined again
// since it was last up to date. A client that waited for the answer in vain asks for all
// again; but it may have been the answer to an older request, such as a join that was late.
// Kafka tells only the epoch then, and no member reads those partitions.
func (h *heartbeat) missed() bool {
	owned, rejoined := ownedOf(h.req.Topics), h.m.soft(h.group.id).rejoined
	if owned == nil || !within(*owned, h.was.assigned) {
		return false
	}
	lacks := !within(h.was.assigned, *owned) && (h.req.MemberEpoch < h.was.epoch || rejoined[h.member.id])
	if within(h.was.assigned, *owned) {
		delete(rejoined, h.member.id)
	}
	if bugs := h.m.env.Bugs(); bugs.On(planted.AssignedOnce) {
		bugs.Infected(planted.AssignedOnce, lacks)
		return false
	}
	return lacks
}

// decision is what was decided, with the events that tell of it.
func (h *heartbeat) decision() coordinator.Decision {
	if h.convert != nil {
		h.convert.begin()
	}
	d := coordinator.Decision{Records: h.records}
	if len(h.records) > 0 {
		d.Appended = h.appended
	}
	if h.resp != nil && h.resp.Assignment != nil {
		d.Done = func(err error) {
			if err == nil {
				h.m.tellAssigned(h.group.id, h.member)
			}
		}
	}
	return d
}

// appended tells of what happened, once it did.
func (h *heartbeat) appended(err error) {
	if err == nil {
		h.tellJoined()
		h.m.tellState(h.group.id)
	}
}

func (h *heartbeat) tellJoined() {
	if !h.isNew && h.replaced == nil {
		return
	}
	m := h.member
	if h.replaced != nil && h.replaced.id != m.id {
		h.m.env.Tell(&witness.MemberLeft{Group: h.group.id, Generation: h.replaced.epoch, Member: h.replaced.id, Instance: m.instance(), Reason: "another member took its instance id", Expelled: true})
	}
	h.m.env.Tell(&witness.MemberJoined{Group: h.group.id, Generation: m.epoch, Member: m.id, Instance: m.instance(), Client: m.told.clientID})
}
