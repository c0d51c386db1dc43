package fromwire

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// membership is a member of a group, and what it owns as far as the wire shows: it owns
// what it was answered, from then on, until it says that it does not, or is told so.
//
// What a member is answered may never reach it. Then it owns less than is claimed; but
// the coordinator does not know that either, and must not give the partition to another.
type membership struct {
	process    int64
	client     string
	life       string
	group      string
	member     string
	instance   string // group.instance.id
	generation int64  // of the group, or the member's epoch (KIP-848)
	owned      []kafka.TopicPartition
}

// memberID names a member: ids are unique within a group.
type memberID struct{ group, member string }

// member is the one with that id; it is made if it was not seen before.
func (c *Connection) member(group, id string, instance *string) *membership {
	at := memberID{group, id}
	m := c.o.members[at]
	if m == nil {
		m = &membership{process: c.o.newProcess(), client: c.client, life: c.life, group: group, member: id}
		c.o.members[at] = m
	}
	if instance != nil {
		m.instance = *instance
	}
	return m
}

// tell records what a listener of the member would be told.
func (o *Observer) tell(m *membership, what history.F, partitions []kafka.TopicPartition) {
	e := history.Event{
		Type: history.OK, Process: m.process, Client: m.client, F: what, Time: o.now(),
		Group: m.group, Generation: m.generation, Member: m.member, Instance: m.instance,
	}
	for _, tp := range partitions {
		e.Keys = append(e.Keys, o.key(tp))
	}
	o.recorder.Complete(e)
}

// keeps records that the member owns only these of what it owned.
func (o *Observer) keeps(m *membership, what history.F, kept []kafka.TopicPartition) {
	var gone []kafka.TopicPartition
	m.owned = slices.DeleteFunc(m.owned, func(tp kafka.TopicPartition) bool {
		over := !slices.Contains(kept, tp)
		if over {
			gone = append(gone, tp)
		}
		return over
	})
	if len(gone) > 0 {
		o.tell(m, what, gone)
	}
}

// gains records that the member owns all of these, in a generation. What it kept it owns in
// that one, too.
func (o *Observer) gains(m *membership, generation int64, all []kafka.TopicPartition) {
	var added []kafka.TopicPartition
	for _, tp := range all {
		if !slices.Contains(m.owned, tp) {
			added = append(added, tp)
		}
	}
	if len(added) == 0 && generation == m.generation {
		return
	}
	m.generation = generation
	m.owned = append(m.owned, added...)
	o.tell(m, history.Assigned, added)
}

// outOfGroup are errors by which a member learns that it is none, or that another one is it.
var outOfGroup = []int16{kerr.UnknownMemberID.Code, kerr.IllegalGeneration.Code, kerr.FencedInstanceID.Code, kerr.FencedMemberEpoch.Code}

// Refusal is that a coordinator did not take a member for what it said it is.
type Refusal struct {
	Group, Member, Instance string
	Generation              int64 // in which it owned what it has lost
	Err                     error
	Lost                    []kafka.TopicPartition // none: it had given them up before
}

// refused records what an answer means for the ownership of the member that asked in a
// generation. One about another generation came late.
func (c *Connection) refused(m *membership, generation int32, code int16) {
	if m.generation == int64(generation) && slices.Contains(outOfGroup, code) {
		c.expelled(m, code)
	}
}

// expelled records that the member has lost all that it owned.
func (c *Connection) expelled(m *membership, code int16) {
	if c.Refused != nil {
		c.Refused(Refusal{m.group, m.member, m.instance, m.generation, kerr.ErrorForCode(code), slices.Clone(m.owned)})
	}
	c.o.keeps(m, history.Lost, nil)
}

// joinGroup: what a member of a classic group does not say that it owns it has given up
// (KIP-429); one that speaks an eager protocol says nothing.
func (c *Connection) joinGroup(r *request, req *kmsg.JoinGroupRequest) {
	if req.ProtocolType != consumerProtocol || req.MemberID == "" {
		return // Connect has groups, too; and an id is given with the answer
	}
	m := c.member(req.Group, req.MemberID, req.InstanceID)
	var claimed []kafka.TopicPartition
	for i := range req.Protocols {
		claimed = append(claimed, subscribedOwned(req.Protocols[i].Metadata)...)
	}
	c.o.keeps(m, history.Revoked, claimed)
	r.answered = func(resp kmsg.Response) {
		if code := resp.(*kmsg.JoinGroupResponse).ErrorCode; slices.Contains(outOfGroup, code) {
			c.expelled(m, code)
		}
	}
}

// consumerProtocol is the type of protocol whose members are consumers.
const consumerProtocol = "consumer"

// syncGroup: a member of a classic group is assigned its partitions. Only then is the
// generation in the coordinator's log.
func (c *Connection) syncGroup(r *request, req *kmsg.SyncGroupRequest) {
	r.answered = func(resp kmsg.Response) {
		got := resp.(*kmsg.SyncGroupResponse)
		if got.ProtocolType != nil && *got.ProtocolType != consumerProtocol {
			return
		}
		known := c.o.members[memberID{req.Group, req.MemberID}] != nil
		if got.ErrorCode != 0 {
			if known {
				c.refused(c.member(req.Group, req.MemberID, req.InstanceID), req.Generation, got.ErrorCode)
			}
			return
		}
		assigned, readable := assignment(got.MemberAssignment)
		if !readable {
			return // of a protocol that is not Kafka's own
		}
		m := c.member(req.Group, req.MemberID, req.InstanceID)
		c.o.keeps(m, history.Revoked, assigned)
		c.o.gains(m, int64(req.Generation), assigned)
	}
}

// heartbeat: a member of a classic group may learn that it is none.
func (c *Connection) heartbeat(r *request, req *kmsg.HeartbeatRequest) {
	r.answered = func(resp kmsg.Response) {
		if m := c.o.members[memberID{req.Group, req.MemberID}]; m != nil {
			c.refused(m, req.Generation, resp.(*kmsg.HeartbeatResponse).ErrorCode)
		}
	}
}

// leaveGroup: one that leaves has given all up before it says so.
func (c *Connection) leaveGroup(req *kmsg.LeaveGroupRequest) {
	leaves := []string{req.MemberID}
	for i := range req.Members {
		leaves = append(leaves, req.Members[i].MemberID)
	}
	for _, id := range leaves {
		if m := c.o.members[memberID{req.Group, id}]; m != nil {
			c.o.keeps(m, history.Revoked, nil)
		}
	}
}

// modernHeartbeat: the one request of a KIP-848 group. Topics in it are what the member
// owns, where it says so at all; an epoch below 0 says that it leaves.
func (c *Connection) modernHeartbeat(r *request, req *kmsg.ConsumerGroupHeartbeatRequest) {
	o := c.o
	o.Claims.MemberEpochs = true
	if m := o.members[memberID{req.Group, req.MemberID}]; m != nil && (req.MemberEpoch < 0 || req.Topics != nil) {
		var owned []kafka.TopicPartition
		if req.MemberEpoch >= 0 {
			owned = owns(o, req.Topics)
		}
		o.keeps(m, history.Revoked, owned)
	}
	r.answered = func(resp kmsg.Response) {
		got := resp.(*kmsg.ConsumerGroupHeartbeatResponse)
		id := req.MemberID
		if got.MemberID != nil && *got.MemberID != "" {
			id = *got.MemberID // before version 1 the coordinator names the member
		}
		if id == "" || req.MemberEpoch < 0 {
			return
		}
		m := c.member(req.Group, id, req.InstanceID)
		switch {
		case got.ErrorCode != 0:
			c.refused(m, req.MemberEpoch, got.ErrorCode)
		case got.Assignment != nil:
			o.gains(m, int64(got.MemberEpoch), given(o, got.Assignment))
		case int64(got.MemberEpoch) != m.generation:
			o.gains(m, int64(got.MemberEpoch), nil)
		}
	}
}

// owns is what a KIP-848 member says that it owns. A topic without a known name is
// passed over: nothing of it was claimed.
func owns(o *Observer, topics []kmsg.ConsumerGroupHeartbeatRequestTopic) (out []kafka.TopicPartition) {
	for i := range topics {
		if name, known := o.topic("", topics[i].TopicID); known {
			out = appendPartitions(out, name, topics[i].Partitions)
		}
	}
	return out
}

func given(o *Observer, a *kmsg.ConsumerGroupHeartbeatResponseAssignment) (out []kafka.TopicPartition) {
	for i := range a.Topics {
		if name, known := o.topic("", a.Topics[i].TopicID); known {
			out = appendPartitions(out, name, a.Topics[i].Partitions)
		}
	}
	return out
}

func appendPartitions(out []kafka.TopicPartition, topic string, partitions []int32) []kafka.TopicPartition {
	for _, p := range partitions {
		out = append(out, kafka.TopicPartition{Topic: topic, Partition: p})
	}
	return out
}

// newest version of subscriptions and assignments that is read; later ones only append.
const newest = 3

// subscribedOwned is what a subscription says that its member owns. What cannot be
// read says nothing.
func subscribedOwned(metadata []byte) (out []kafka.TopicPartition) {
	m := kmsg.NewConsumerMemberMetadata()
	if m.ReadFrom(ofKnownVersion(metadata)) != nil {
		return nil
	}
	for _, t := range m.OwnedPartitions {
		out = appendPartitions(out, t.Topic, t.Partitions)
	}
	return out
}

// assignment is what SyncGroup answers a consumer. No bytes mean no partitions: that is
// what a member is given that the leader left out.
func assignment(data []byte) (out []kafka.TopicPartition, readable bool) {
	if len(data) == 0 {
		return nil, true
	}
	a := kmsg.NewConsumerMemberAssignment()
	if a.ReadFrom(ofKnownVersion(data)) != nil {
		return nil, false
	}
	for _, t := range a.Topics {
		out = appendPartitions(out, t.Topic, t.Partitions)
	}
	return out, true
}

func ofKnownVersion(data []byte) []byte {
	if len(data) < 2 || binary.BigEndian.Uint16(data) <= newest {
		return data
	}
	data = slices.Clone(data)
	binary.BigEndian.PutUint16(data, newest)
	return data
}

// Ended records that a life of a client is over: its members own nothing any more, and it
// tells nothing any more.
func (o *Observer) Ended(life string) {
	o.endLife(life)
	var over []memberID
	for at, m := range o.members { //det:allow they are sorted
		if m.life == life {
			over = append(over, at)
		}
	}
	slices.SortFunc(over, func(a, b memberID) int { return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.member, b.member)) })
	for _, at := range over {
		m := o.members[at]
		e := history.Event{Process: m.process, Client: m.client, F: history.Crash, Time: o.now()}
		o.recorder.Invoke(e)
		e.Type = history.OK
		o.recorder.Complete(e)
		delete(o.members, at)
	}
}
