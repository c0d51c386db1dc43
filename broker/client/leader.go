package client

import (
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/assignor"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
)

// subscriptionOf reads what a member sent with its JoinGroup.
func subscriptionOf(m *kmsg.JoinGroupResponseMember) (assignor.Member, error) {
	s, err := assignor.DecodeSubscription(m.ProtocolMetadata)
	if err != nil {
		return assignor.Member{}, fmt.Errorf("member %s: %w", m.MemberID, err)
	}
	return assignor.Member{
		ID: m.MemberID, Instance: textOf(m.InstanceID), Rack: s.Rack, Topics: s.Topics,
		Owned: s.Owned, Generation: s.Generation, UserData: s.UserData,
	}, nil
}

// knowsTopics reports whether the cluster has told of all topics of the members, and
// asks if it has not.
func (cg *classicGroup) knowsTopics(members []kmsg.JoinGroupResponseMember) bool {
	s, m := &cg.g.subscription, &cg.g.c.net.metadata
	var all []string
	for i := range members {
		if one, err := subscriptionOf(&members[i]); err == nil {
			all = append(all, one.Topics...)
		}
	}
	slices.Sort(all)
	s.group = slices.Compact(all)
	known := true
	for _, topic := range s.group {
		m.want(topic)
		known = known && m.topics[topic].asked
	}
	return known
}

// lead divides the partitions among the members.
func (cg *classicGroup) lead(r *kmsg.JoinGroupResponse) ([]kmsg.SyncGroupRequestGroupAssignment, error) {
	s := &cg.g.subscription
	cg.leader = true
	cg.snapshot, cg.compared = cg.topicsNow(s.group), cg.g.c.net.metadata.version
	if r.SkipAssignment {
		// A static leader that came back: the assignment stays (KIP-814).
		cg.g.c.net.host.Tell(&witness.LeaderReturned{Membership: cg.g.membership()})
		return nil, nil
	}
	chosen := slices.IndexFunc(cg.assignors, func(a assignor.Assignor) bool { return a.Name() == textOf(r.Protocol) })
	if chosen < 0 {
		return nil, fmt.Errorf("coordinator selected invalid assignment protocol: %q", textOf(r.Protocol))
	}
	var members []assignor.Member
	for i := range r.Members {
		one, err := subscriptionOf(&r.Members[i])
		if err != nil {
			return nil, err
		}
		members = append(members, one)
	}
	shares := cg.assignors[chosen].Assign(cg.topics(s.group), members)
	var out []kmsg.SyncGroupRequestGroupAssignment
	for _, m := range members {
		share := kmsg.NewSyncGroupRequestGroupAssignment()
		share.MemberID = m.ID
		share.MemberAssignment = assignor.EncodeAssignment(assignor.Assignment{Version: assignor.MaxSubscription, Partitions: shares[m.ID]})
		out = append(out, share)
	}
	return out, nil
}

// topics are the partitions of topics with the racks of their replicas.
func (cg *classicGroup) topics(names []string) assignor.Topics {
	m := &cg.g.c.net.metadata
	all := assignor.Topics{}
	for _, name := range names {
		t := m.topic(name)
		if t == nil {
			continue
		}
		for _, p := range t.parts {
			var racks assignor.Racks
			for _, id := range p.replicas {
				if at, found := m.find(kafka.NodeID(id)); found && m.brokers[at].rack != "" {
					racks = append(racks, m.brokers[at].rack)
				}
			}
			all[name] = append(all[name], racks)
		}
	}
	return all
}

// topicsNow is what topics are, in a form that can be compared: how many partitions,
// and on what racks.
func (cg *classicGroup) topicsNow(names []string) map[string]string {
	now, topics := map[string]string{}, cg.topics(names)
	for _, name := range slices.Sorted(maps.Keys(topics)) {
		now[name] = fmt.Sprintf("%q", topics[name])
	}
	return now
}
