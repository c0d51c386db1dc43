package group

import (
	"cmp"
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
)

// offset is a committed offset, with where in the log it was committed. It is
// never changed.
type offset struct {
	offsetValue
	at    kafka.Offset
	print uint64 // its fingerprint
}

// groupOffsets is the offsets of one group.
type groupOffsets struct {
	committed *timeline.Map[kafka.TopicPartition, *offset]
	// pending are those of transactions that have not ended (KIP-98). Nil: there never
	// were any.
	pending *timeline.Map[kafka.ProducerID, *timeline.Map[kafka.TopicPartition, *offset]]
}

// offsetsOf is the offsets of a group, to be changed.
func (m *Machine) offsetsOf(group string) *groupOffsets {
	o := m.offsets[group]
	if o == nil {
		o = &groupOffsets{committed: m.newOffsets()}
		m.offsets[group] = o
	}
	return o
}

func (m *Machine) newOffsets() *timeline.Map[kafka.TopicPartition, *offset] {
	return timeline.NewMap[kafka.TopicPartition, *offset](m.env.Timeline(), kafka.TopicPartition.Compare)
}

// applyOffset folds a committed offset, or one that a transaction is to commit, or
// the end of one.
func (m *Machine) applyOffset(at kafka.Offset, k offsetKey, v value, by coordinator.Producer) {
	tp := kafka.TopicPartition{Topic: k.topic, Partition: k.partition}
	if v == nil {
		m.removeOffset(k.group, tp)
		return
	}
	// A client that manages its partitions itself commits for a group of which the log
	// has no other record: a simple group.
	if !m.groups.Has(k.group) {
		m.applyGroup(k.group, &groupMetadata{since: -1})
	}
	o := &offset{*v.(*offsetValue), at, mixInt(printOf(&k, v), int64(at))}
	if by.ID == kafka.NoProducer {
		m.setOffset(k.group, tp, o)
		return
	}
	pending := m.pendingOf(k.group, by.ID)
	if was, ok := pending.Get(tp); ok {
		m.replacePrint(pendingPrint(was, by.ID), 0)
	}
	pending.Set(tp, o)
	m.replacePrint(0, pendingPrint(o, by.ID))
}

func (m *Machine) setOffset(group string, tp kafka.TopicPartition, o *offset) {
	committed := m.offsetsOf(group).committed
	if was, ok := committed.Get(tp); ok {
		m.replacePrint(was.print, 0)
	}
	committed.Set(tp, o)
	m.replacePrint(0, o.print)
}

// pendingOf is what a producer's transaction has pending in a group, to be changed.
func (m *Machine) pendingOf(group string, producer kafka.ProducerID) *timeline.Map[kafka.TopicPartition, *offset] {
	line := m.env.Timeline()
	o := m.offsetsOf(group)
	if o.pending == nil {
		o.pending = timeline.NewMap[kafka.ProducerID, *timeline.Map[kafka.TopicPartition, *offset]](line, cmp.Compare[kafka.ProducerID])
	}
	pending, ok := o.pending.Get(producer)
	if !ok {
		pending = m.newOffsets()
		o.pending.Set(producer, pending)
	}
	groups, ok := m.transactions.Get(producer)
	if !ok {
		groups = timeline.NewMap[string, struct{}](line, cmp.Compare[string])
		m.transactions.Set(producer, groups)
	}
	groups.Set(group, struct{}{})
	return pending
}

// removeOffset removes an offset, pending ones too: a tombstone comes after them all.
func (m *Machine) removeOffset(group string, tp kafka.TopicPartition) {
	o := m.offsets[group]
	if o == nil {
		return
	}
	if was, ok := o.committed.Get(tp); ok {
		m.replacePrint(was.print, 0)
		o.committed.Delete(tp)
	}
	if o.pending == nil {
		return
	}
	for producer, pending := range o.pending.All() {
		if was, ok := pending.Get(tp); ok {
			m.replacePrint(pendingPrint(was, producer), 0)
			pending.Delete(tp)
		}
	}
}

// transactions are the pending offsets of each producer, as written.
func (o *groupOffsets) transactions() (all []*timeline.Map[kafka.TopicPartition, *offset]) {
	if o == nil || o.pending == nil || o.pending.Len() == 0 {
		return nil
	}
	for _, pending := range o.pending.All() {
		all = append(all, pending)
	}
	return all
}

// ApplyMarker ends a producer's transaction: its pending offsets are committed, or
// forgotten.
//
// An offset that was committed later in the log than the pending one stays. Without
// that rule the outcome would depend on what compaction has left (KAFKA-9777).
func (m *Machine) ApplyMarker(_ kafka.Offset, by coordinator.Producer, commit bool) error {
	groups, ok := m.transactions.Get(by.ID)
	if !ok {
		return nil
	}
	for group := range groups.All() {
		o := m.offsets[group]
		pending, ok := o.pending.Get(by.ID)
		if !ok {
			continue
		}
		for tp, p := range pending.All() {
			m.replacePrint(pendingPrint(p, by.ID), 0)
			switch was, ok := o.committed.Get(tp); {
			case !commit:
			case ok && was.at > p.at:
				m.env.Reached(ProbeLaterCommitKept)
			default:
				m.setOffset(group, tp, p)
			}
		}
		o.pending.Delete(by.ID)
	}
	m.transactions.Delete(by.ID)
	return nil
}

// unstable reports whether a transaction has an offset of tp pending, as written.
func (o *groupOffsets) unstable(tp kafka.TopicPartition) bool {
	for _, pending := range o.transactions() {
		if pending.Has(tp) {
			return true
		}
	}
	return false
}

// open reports whether any transaction has an offset pending, as written.
func (o *groupOffsets) open() bool {
	for _, pending := range o.transactions() {
		if pending.Len() > 0 {
			return true
		}
	}
	return false
}

// OffsetCommit decides a commit of offsets. The topics are those that the server
// knows, each with name and id, whichever of them the client used. The answer holds
// once the Decision is committed.
func (m *Machine) OffsetCommit(req *kmsg.OffsetCommitRequest) (coordinator.Decision, *kmsg.OffsetCommitResponse) {
	by := committer{req.MemberID, req.InstanceID, req.Generation, false, req.Version}
	perPartition, refused := m.mayCommit(req.Group, by)
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			refused = orRefused(refused, perPartition, t.Topic, t.TopicID, p.Partition)
		}
	}
	if refused == nil {
		m.commitKeepsSession(req.Group, req.MemberID)
	}
	resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	w := m.newCommit(req.Group, by)
	if req.Version <= 4 && req.RetentionTimeMillis != -1 {
		w.expires = m.env.NowMillis() + req.RetentionTimeMillis
	}
	for _, t := range req.Topics {
		answer := kmsg.NewOffsetCommitResponseTopic()
		answer.Topic, answer.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			part := kmsg.NewOffsetCommitResponseTopicPartition()
			part.Partition = p.Partition
			part.ErrorCode = kafka.Code(w.add(refused, t.Topic, t.TopicID, p.Partition, p.Offset, p.LeaderEpoch, p.Metadata))
			answer.Partitions = append(answer.Partitions, part)
		}
		resp.Topics = append(resp.Topics, answer)
	}
	return w.decision(), resp
}

// TxnOffsetCommit decides offsets that a transaction is to commit. The server writes
// the records as the producer's, and its marker ends them.
func (m *Machine) TxnOffsetCommit(req *kmsg.TxnOffsetCommitRequest) (coordinator.Decision, *kmsg.TxnOffsetCommitResponse) {
	by := committer{req.MemberID, req.InstanceID, req.Generation, true, req.Version}
	perPartition, refused := m.mayCommit(req.Group, by)
	if bugs := m.env.Bugs(); bugs.On(planted.TxnCommitNoGeneration) {
		bugs.Infected(planted.TxnCommitNoGeneration, refused != nil)
		perPartition, refused = nil, nil
	}
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			refused = orRefused(refused, perPartition, t.Topic, t.TopicID, p.Partition)
		}
	}
	resp := req.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
	w := m.newCommit(req.Group, by)
	for _, t := range req.Topics {
		answer := kmsg.NewTxnOffsetCommitResponseTopic()
		answer.Topic, answer.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			part := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			part.Partition = p.Partition
			part.ErrorCode = kafka.Code(w.add(refused, t.Topic, t.TopicID, p.Partition, p.Offset, p.LeaderEpoch, p.Metadata))
			answer.Partitions = append(answer.Partitions, part)
		}
		resp.Topics = append(resp.Topics, answer)
	}
	return w.decision(), resp
}

// Versions from which clients know errors of KIP-848 groups.
const (
	commitKnowsNoGroup    = 9 // OffsetCommit: GROUP_ID_NOT_FOUND, STALE_MEMBER_EPOCH
	txnCommitKnowsNoGroup = 6 // TxnOffsetCommit (KIP-1319)
)

// mayCommit is the verdict on a commit.
func (m *Machine) mayCommit(id string, by committer) (perPartition func(string, kafka.UUID, int32) error, refused error) {
	perPartition, refused = m.judgeCommit(id, by)
	if bugs := m.env.Bugs(); bugs.On(planted.CommitNoGeneration) {
		bugs.Infected(planted.CommitNoGeneration, refused != nil)
		right := perPartition
		return func(topic string, id kafka.UUID, partition int32) error {
			bugs.Infected(planted.CommitNoGeneration, right != nil && right(topic, id, partition) != nil)
			return nil
		}, nil
	}
	return perPartition, refused
}

// judgeCommit judges as Kafka does (OffsetMetadataManager.validateOffsetCommit).
func (m *Machine) judgeCommit(id string, by committer) (perPartition func(string, kafka.UUID, int32) error, refused error) {
	known := by.version >= commitKnowsNoGroup
	if by.transactional {
		known = by.version >= txnCommitKnowsNoGroup
	}
	g := m.group(id, timeline.Written)
	if g == nil {
		switch {
		case by.generation < 0:
			return nil, nil // a simple group begins with its first commit
		case known:
			return nil, kerr.GroupIDNotFound
		}
		return nil, kerr.IllegalGeneration
	}
	perPartition, refused = g.mayCommit(by)
	if !by.transactional || known {
		return perPartition, refused
	}
	if perPartition == nil {
		return nil, notStale(refused)
	}
	strict := perPartition // the result is another function by then
	return func(topic string, id kafka.UUID, partition int32) error {
		return notStale(strict(topic, id, partition))
	}, notStale(refused)
}

// notStale is an error as clients know it that know no member epochs.
func notStale(err error) error {
	if errors.Is(err, kerr.StaleMemberEpoch) {
		return kerr.IllegalGeneration
	}
	return err
}

// orRefused is the verdict on a commit so far, or else on one of its partitions: one
// partition that may not be committed refuses them all, as in Kafka (KIP-1251).
func orRefused(so error, perPartition func(string, kafka.UUID, int32) error, topic string, id kafka.UUID, partition int32) error {
	if so != nil || perPartition == nil {
		return so
	}
	return perPartition(topic, id, partition)
}

// commit collects the records of one commit.
type commit struct {
	m       *Machine
	group   string
	by      committer
	now     int64
	expires int64
	records []coordinator.Record
	told    []*witness.OffsetCommitted
}

func (m *Machine) newCommit(group string, by committer) *commit {
	return &commit{m: m, group: group, by: by, now: m.env.NowMillis(), expires: -1}
}

// add adds one partition's offset, or refuses it.
func (c *commit) add(refused error, topic string, id kafka.UUID, partition int32, at int64, epoch int32, metadata *string) error {
	if refused != nil {
		return refused
	}
	v := &offsetValue{offset: at, leaderEpoch: epoch, committed: c.now, expires: c.expires, topicID: id}
	if metadata != nil {
		v.metadata = *metadata
	}
	if utf16Len(v.metadata) > c.m.cfg.OffsetMetadataMaxBytes {
		return kerr.OffsetMetadataTooLarge
	}
	c.records = append(c.records, v.record(offsetKey{c.group, topic, partition}))
	if !c.by.transactional { // of a transaction only the marker decides
		c.told = append(c.told, &witness.OffsetCommitted{
			Group: c.group, Partition: kafka.TopicPartition{Topic: topic, Partition: partition},
			Offset: kafka.Offset(at), LeaderEpoch: kafka.LeaderEpoch(epoch), Generation: c.by.generation, Member: c.by.member,
			At: c.m.env.Timeline().Written() + kafka.Offset(len(c.records)-1),
		})
	}
	return nil
}

// decision is to write what was accepted, and to tell of it once that is committed.
func (c *commit) decision() coordinator.Decision {
	d := coordinator.Decision{Records: c.records}
	if len(c.told) > 0 {
		d.Done = func(err error) {
			for _, e := range c.told {
				if err == nil {
					c.m.env.Tell(e)
				}
			}
		}
	}
	return d
}

// OffsetFetch reads a group's offsets at a cut: without Topics, all. The server
// fills in the names of topics that the client named by id. With requireStable
// (KIP-447) an offset that a transaction may still change is not told; the server
// then answers as it does a write without records.
func (m *Machine) OffsetFetch(req kmsg.OffsetFetchRequestGroup, at timeline.Cut, requireStable bool) kmsg.OffsetFetchResponseGroup {
	resp := kmsg.NewOffsetFetchResponseGroup()
	resp.Group = req.Group
	g := m.group(req.Group, at)
	if g != nil {
		if err := g.mayFetch(req.MemberID, req.MemberEpoch, at); err != nil {
			resp.ErrorCode = kafka.Code(err)
			return resp
		}
	}
	var offsets *groupOffsets
	if g != nil {
		offsets = m.offsets[req.Group]
	}
	read := offsetReader{offsets, at, requireStable}
	if req.Topics == nil {
		resp.Topics = read.all()
		return resp
	}
	for _, t := range req.Topics {
		answer := kmsg.NewOffsetFetchResponseGroupTopic()
		answer.Topic, answer.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			answer.Partitions = append(answer.Partitions, read.one(kafka.TopicPartition{Topic: t.Topic, Partition: p}, t.TopicID))
		}
		resp.Topics = append(resp.Topics, answer)
	}
	return resp
}

// offsetReader reads offsets of one group.
type offsetReader struct {
	offsets *groupOffsets // nil: there are none
	at      timeline.Cut
	stable  bool
}

// all is every offset that is committed, by topic.
func (r offsetReader) all() []kmsg.OffsetFetchResponseGroupTopic {
	topics := []kmsg.OffsetFetchResponseGroupTopic{}
	if r.offsets == nil {
		return topics
	}
	for tp := range r.offsets.committed.AllAt(r.at) {
		if n := len(topics); n == 0 || topics[n-1].Topic != tp.Topic {
			answer := kmsg.NewOffsetFetchResponseGroupTopic()
			answer.Topic = tp.Topic
			topics = append(topics, answer)
		}
		last := &topics[len(topics)-1]
		last.Partitions = append(last.Partitions, r.one(tp, kafka.UUID{}))
	}
	return topics
}

// one is the offset of a partition; -1 if there is none, or one of a topic of the
// same name that was deleted since.
func (r offsetReader) one(tp kafka.TopicPartition, topic kafka.UUID) kmsg.OffsetFetchResponseGroupTopicPartition {
	p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
	p.Partition = tp.Partition
	p.Offset, p.LeaderEpoch, p.Metadata = int64(kafka.NoOffset), kafka.NoEpoch, kmsg.StringPtr("")
	if r.offsets == nil {
		return p
	}
	if r.stable && r.offsets.unstable(tp) {
		p.ErrorCode = kerr.UnstableOffsetCommit.Code
		return p
	}
	o, ok := r.offsets.committed.GetAt(r.at, tp)
	if !ok || !o.topicID.IsZero() && !topic.IsZero() && o.topicID != topic {
		return p
	}
	p.Offset, p.LeaderEpoch, p.Metadata = o.offset, o.leaderEpoch, kmsg.StringPtr(o.metadata)
	return p
}

// OffsetDelete decides the deletion of offsets (KIP-496). Topics that members may be
// subscribed to are refused. An error is that of the answer as a whole.
func (m *Machine) OffsetDelete(req *kmsg.OffsetDeleteRequest) (coordinator.Decision, *kmsg.OffsetDeleteResponse) {
	resp := req.ResponseKind().(*kmsg.OffsetDeleteResponse)
	g := m.group(req.Group, timeline.Written)
	if g == nil {
		resp.ErrorCode = kerr.GroupIDNotFound.Code
		return coordinator.Decision{}, resp
	}
	if err := g.mayDeleteOffsets(); err != nil {
		resp.ErrorCode = kafka.Code(err)
		return coordinator.Decision{}, resp
	}
	var d coordinator.Decision
	for _, t := range req.Topics {
		answer := kmsg.NewOffsetDeleteResponseTopic()
		answer.Topic = t.Topic
		subscribed := g.subscribedTo(t.Topic)
		for _, p := range t.Partitions {
			part := kmsg.NewOffsetDeleteResponseTopicPartition()
			part.Partition = p.Partition
			tp := kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}
			if subscribed {
				part.ErrorCode = kerr.GroupSubscribedToTopic.Code
			} else if m.offsets[req.Group].has(tp) {
				d.Records = append(d.Records, offsetTombstone(req.Group, tp))
			}
			answer.Partitions = append(answer.Partitions, part)
		}
		if len(answer.Partitions) > 0 {
			resp.Topics = append(resp.Topics, answer)
		}
	}
	return d, resp
}

// has reports whether an offset of tp is committed, or pending, as written.
func (o *groupOffsets) has(tp kafka.TopicPartition) bool {
	return o != nil && (o.committed.Has(tp) || o.unstable(tp))
}

func offsetTombstone(group string, tp kafka.TopicPartition) coordinator.Record {
	return tombstone(&offsetKey{group, tp.Topic, tp.Partition})
}

// partitions are those with an offset committed or pending, as written, in order.
func (o *groupOffsets) partitions() []kafka.TopicPartition {
	if o == nil {
		return nil
	}
	var all []kafka.TopicPartition
	for tp := range o.committed.All() {
		all = append(all, tp)
	}
	for _, pending := range o.transactions() {
		for tp := range pending.All() {
			all = append(all, tp)
		}
	}
	slices.SortFunc(all, kafka.TopicPartition.Compare)
	return slices.Compact(all)
}
