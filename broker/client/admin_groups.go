package client

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/assignor"
	"github.com/ktrial/ktrial/broker/client/member"
	"github.com/ktrial/ktrial/broker/kafka"
)

// GroupListing is a group as ListGroups has it.
type GroupListing struct {
	Group    string
	Protocol string // the protocol type: consumer; empty: only offsets were committed
	State    string // by Kafka's names, such as Stable
	Type     string // classic, consumer, or a type of later
}

// GroupDescription is what the coordinator says of a group.
type GroupDescription struct {
	Group       string
	Coordinator kafka.NodeID
	State       string
	Type        string // classic or consumer
	Assignor    string
	// Epoch and AssignmentEpoch are those of a KIP-848 group; the classic protocol
	// does not tell the generation: NoGeneration.
	Epoch, AssignmentEpoch int32
	Members                []MemberDescription // by id
	Err                    error
}

// MemberDescription is what the coordinator says of a member.
type MemberDescription struct {
	ID, Instance, ClientID, Host string
	Epoch                        int32 // of a KIP-848 member; else NoGeneration
	Assigned, Target             []kafka.TopicPartition
}

// NoGeneration stands where a generation or epoch is not known.
const NoGeneration = member.NoGeneration

// atCoordinator sends a request to the coordinator of a group.
func atCoordinator[R kmsg.Response](a *Admin, doing, group string, req kmsg.Request, check func(R) error) (answer R, at kafka.NodeID, err error) {
	return atCoordinatorOf(a, groupCoordinator, doing, group, req, check)
}

// atCoordinatorOf sends a request to a coordinator. It is looked for anew at each
// attempt.
func atCoordinatorOf[R kmsg.Response](a *Admin, kind coordinatorKind, doing, key string, req kmsg.Request, check func(R) error) (answer R, at kafka.NodeID, err error) {
	doing = fmt.Sprintf("%s %s", doing, key)
	err = a.retry(doing, func(timeout time.Duration) error {
		l, err := a.coordinator(kind, key, timeout)
		if err != nil {
			return err
		}
		resp, err := l.call(req, timeout)
		if err != nil {
			return err
		}
		answer, at = resp.(R), l.node
		return check(answer)
	})
	return answer, at, err
}

// coordinator is the link to the coordinator of a group or a transactional id.
func (a *Admin) coordinator(kind coordinatorKind, key string, timeout time.Duration) (*link, error) {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorType, req.CoordinatorKey, req.CoordinatorKeys = int8(kind), key, []string{key}
	resp, err := a.net.ask(req, timeout)
	if err != nil {
		return nil, err
	}
	c, err := coordinatorOf(resp.(*kmsg.FindCoordinatorResponse), key)
	if err != nil {
		return nil, err
	}
	a.net.metadata.meet(kafka.NodeID(c.NodeID), c.Host, c.Port, nil)
	if l := a.net.link(kafka.NodeID(c.NodeID)); l != nil {
		return l, nil
	}
	return nil, kerr.CoordinatorNotAvailable
}

// ListGroups lists the groups of all coordinators that are in one of the states and
// of one of the types, if any are named.
func (a *Admin) ListGroups(states, types []string) ([]GroupListing, error) {
	cluster, err := a.DescribeCluster()
	if err != nil {
		return nil, err
	}
	var all []GroupListing
	for _, node := range cluster.Nodes {
		listed, err := a.listGroupsOf(node.ID, states, types)
		if err != nil {
			return nil, err
		}
		all = append(all, listed...)
	}
	slices.SortFunc(all, func(x, y GroupListing) int { return cmp.Compare(x.Group, y.Group) })
	return all, nil
}

func (a *Admin) listGroupsOf(node kafka.NodeID, states, types []string) (all []GroupListing, err error) {
	req := kmsg.NewPtrListGroupsRequest()
	req.StatesFilter, req.TypesFilter = states, types
	answer, err := atBroker(a, "list groups", node, req, func(r *kmsg.ListGroupsResponse) error {
		return kerr.ErrorForCode(r.ErrorCode)
	})
	if err != nil {
		return nil, err
	}
	for _, g := range answer.Groups {
		all = append(all, GroupListing{g.Group, g.ProtocolType, g.GroupState, g.GroupType})
	}
	return all, nil
}

// DescribeGroups describes groups of both protocols. A group that there is not has
// GROUP_ID_NOT_FOUND as its error.
func (a *Admin) DescribeGroups(groups ...string) ([]GroupDescription, error) {
	var all []GroupDescription
	for _, group := range groups {
		d, err := a.describeModern(group)
		if errors.Is(err, kerr.GroupIDNotFound) || errors.Is(err, kerr.UnsupportedVersion) {
			d, err = a.describeClassic(group)
		}
		if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
			return nil, err
		}
		d.Group, d.Err = group, err
		slices.SortFunc(d.Members, func(x, y MemberDescription) int { return cmp.Compare(x.ID, y.ID) })
		all = append(all, d)
	}
	return all, nil
}

func (a *Admin) describeModern(group string) (d GroupDescription, err error) {
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups = []string{group}
	resp, at, err := atCoordinator(a, "describe group", group, req, func(r *kmsg.ConsumerGroupDescribeResponse) error {
		if len(r.Groups) == 0 {
			return errUnanswered
		}
		return code(r.Groups[0].ErrorCode, r.Groups[0].ErrorMessage)
	})
	if err != nil {
		return d, err
	}
	g := &resp.Groups[0]
	d = GroupDescription{Coordinator: at, State: g.State, Type: "consumer", Assignor: g.AssignorName, Epoch: g.Epoch, AssignmentEpoch: g.AssignmentEpoch}
	for _, m := range g.Members {
		d.Members = append(d.Members, MemberDescription{
			ID: m.MemberID, Instance: textOf(m.InstanceID), ClientID: m.ClientID, Host: m.ClientHost, Epoch: m.MemberEpoch,
			Assigned: describedPartitions(m.Assignment), Target: describedPartitions(m.TargetAssignment),
		})
	}
	return d, nil
}

func describedPartitions(a kmsg.Assignment) (out []kafka.TopicPartition) {
	for _, t := range a.TopicPartitions {
		for _, p := range t.Partitions {
			out = append(out, kafka.TopicPartition{Topic: t.Topic, Partition: p})
		}
	}
	slices.SortFunc(out, kafka.TopicPartition.Compare)
	return out
}

// dead is the state in which old versions of DescribeGroups have a group that there
// is not.
const dead = "Dead"

func (a *Admin) describeClassic(group string) (d GroupDescription, err error) {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{group}
	resp, at, err := atCoordinator(a, "describe group", group, req, func(r *kmsg.DescribeGroupsResponse) error {
		switch {
		case len(r.Groups) == 0:
			return errUnanswered
		case r.Groups[0].ErrorCode == 0 && r.Groups[0].State == dead:
			return kerr.GroupIDNotFound
		}
		return code(r.Groups[0].ErrorCode, r.Groups[0].ErrorMessage)
	})
	if err != nil {
		return d, err
	}
	g := &resp.Groups[0]
	d = GroupDescription{Coordinator: at, State: g.State, Type: "classic", Assignor: g.Protocol, Epoch: NoGeneration, AssignmentEpoch: NoGeneration}
	for _, m := range g.Members {
		one := MemberDescription{ID: m.MemberID, Instance: textOf(m.InstanceID), ClientID: m.ClientID, Host: m.ClientHost, Epoch: NoGeneration}
		if g.ProtocolType == "consumer" {
			assigned, err := assignor.DecodeAssignment(m.MemberAssignment)
			if err != nil {
				return d, fmt.Errorf("client: describe group %s: member %s: %w", group, m.MemberID, err)
			}
			one.Assigned = assigned.Partitions
		}
		d.Members = append(d.Members, one)
	}
	return d, nil
}

// DeleteGroups deletes groups with their offsets. They must be empty.
func (a *Admin) DeleteGroups(groups ...string) error {
	for _, group := range groups {
		req := kmsg.NewPtrDeleteGroupsRequest()
		req.Groups = []string{group}
		_, _, err := atCoordinator(a, "delete group", group, req, func(r *kmsg.DeleteGroupsResponse) error {
			if len(r.Groups) == 0 {
				return errUnanswered
			}
			return code(r.Groups[0].ErrorCode, r.Groups[0].ErrorMessage)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ListGroupOffsets is what a group has committed, of all partitions.
func (a *Admin) ListGroupOffsets(group string, requireStable bool) (Offsets, error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group, req.RequireStable = group, requireStable
	rg := kmsg.NewOffsetFetchRequestGroup()
	rg.Group = group // no list of topics: all
	req.Groups = append(req.Groups, rg)
	var all Offsets
	_, _, err := atCoordinator(a, "list offsets of group", group, req, func(r *kmsg.OffsetFetchResponse) error {
		offsets, failed := fetchedOffsets(r, nil)
		if failed != nil {
			return failed
		}
		all = offsets
		return nil
	})
	return all, err
}

// AlterGroupOffsets commits offsets for a group, which must be empty.
func (a *Admin) AlterGroupOffsets(group string, offsets Offsets) error {
	req := commitRequest(group, "", member.None, offsets, func(string) [16]byte { return [16]byte{} })
	_, _, err := atCoordinator(a, "alter offsets of group", group, req, func(r *kmsg.OffsetCommitResponse) error {
		for _, rt := range r.Topics {
			for _, rp := range rt.Partitions {
				if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
					return fmt.Errorf("%s/%d: %w", rt.Topic, rp.Partition, err)
				}
			}
		}
		return nil
	})
	return err
}

// DeleteGroupOffsets deletes what a group has committed of partitions. No member may be
// subscribed to their topics.
func (a *Admin) DeleteGroupOffsets(group string, partitions ...kafka.TopicPartition) error {
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = group
	for _, tp := range slices.SortedFunc(slices.Values(partitions), kafka.TopicPartition.Compare) {
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != tp.Topic {
			rt := kmsg.NewOffsetDeleteRequestTopic()
			rt.Topic = tp.Topic
			req.Topics = append(req.Topics, rt)
		}
		rp := kmsg.NewOffsetDeleteRequestTopicPartition()
		rp.Partition = tp.Partition
		last := &req.Topics[len(req.Topics)-1]
		last.Partitions = append(last.Partitions, rp)
	}
	_, _, err := atCoordinator(a, "delete offsets of group", group, req, func(r *kmsg.OffsetDeleteResponse) error {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			return err
		}
		for _, rt := range r.Topics {
			for _, rp := range rt.Partitions {
				if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
					return fmt.Errorf("%s/%d: %w", rt.Topic, rp.Partition, err)
				}
			}
		}
		return nil
	})
	return err
}

// RemoveMembers removes static members by their group.instance.id, or all members if
// none is named.
func (a *Admin) RemoveMembers(group string, instances ...string) error {
	const reason = "member was removed by an admin"
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = group
	add := func(id string, instance *string) {
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID, m.InstanceID, m.Reason = id, instance, kmsg.StringPtr(reason)
		req.Members = append(req.Members, m)
	}
	for _, instance := range instances {
		add("", kmsg.StringPtr(instance))
	}
	if len(instances) == 0 {
		described, err := a.DescribeGroups(group)
		if err != nil {
			return err
		}
		for _, m := range described[0].Members {
			add(m.ID, instance(m.Instance))
		}
	}
	_, _, err := atCoordinator(a, "remove members of group", group, req, func(r *kmsg.LeaveGroupResponse) error {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			return err
		}
		for _, m := range r.Members {
			if err := kerr.ErrorForCode(m.ErrorCode); err != nil {
				return fmt.Errorf("member %s%s: %w", m.MemberID, textOf(m.InstanceID), err)
			}
		}
		return nil
	})
	return err
}

// GroupReset says where the offsets of a group go: the forms of kafka-consumer-groups.
type GroupReset struct {
	// At is what leaders are asked for: LatestOffset, EarliestOffset, or a timestamp in
	// milliseconds. Nothing that young: the end.
	At OffsetSpec
	// To is an offset, kept within the log; nil: none is given. It goes before At.
	To *kafka.Offset
	// ShiftBy moves the committed offset, within the log; 0: it does not. It goes before
	// To.
	ShiftBy int64
}

// ResetGroupOffsets commits new offsets of partitions for a group, which must be empty,
// and returns them.
func (a *Admin) ResetGroupOffsets(group string, to GroupReset, partitions ...kafka.TopicPartition) (Offsets, error) {
	begins, err := a.offsetsAt(OffsetSpec(kafka.EarliestOffset), partitions)
	if err != nil {
		return nil, err
	}
	ends, err := a.offsetsAt(OffsetSpec(kafka.LatestOffset), partitions)
	if err != nil {
		return nil, err
	}
	at, err := a.offsetsAt(to.At, partitions)
	if err != nil {
		return nil, err
	}
	var committed Offsets
	if to.ShiftBy != 0 {
		if committed, err = a.ListGroupOffsets(group, false); err != nil {
			return nil, err
		}
	}
	next := Offsets{}
	for _, tp := range partitions {
		offset := at[tp]
		switch was, known := committed[tp]; {
		case to.ShiftBy != 0 && !known:
			return nil, fmt.Errorf("client: reset offsets of group %s: cannot shift offset for partition %v since there is no current committed offset", group, tp)
		case to.ShiftBy != 0:
			offset = was.Offset + kafka.Offset(to.ShiftBy)
		case to.To != nil:
			offset = *to.To
		case offset < 0:
			offset = ends[tp]
		}
		next[tp] = OffsetAndMetadata{Offset: min(max(offset, begins[tp]), ends[tp]), LeaderEpoch: kafka.NoEpoch}
	}
	return next, a.AlterGroupOffsets(group, next)
}

// offsetsAt asks the leaders of partitions for the same of each.
func (a *Admin) offsetsAt(spec OffsetSpec, partitions []kafka.TopicPartition) (map[kafka.TopicPartition]kafka.Offset, error) {
	specs := map[kafka.TopicPartition]OffsetSpec{}
	for _, tp := range partitions {
		specs[tp] = spec
	}
	listed, err := a.ListOffsets(ReadUncommitted, specs)
	if err != nil {
		return nil, err
	}
	out := map[kafka.TopicPartition]kafka.Offset{}
	for _, tp := range keys(specs) {
		if err := listed[tp].Err; err != nil {
			return nil, fmt.Errorf("client: list offsets: %v: %w", tp, err)
		}
		out[tp] = listed[tp].Offset
	}
	return out, nil
}
