package group

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
)

// ListGroups lists groups at a cut. Filters do not heed case; an empty one lets all
// pass, and an unknown state or type none.
func (m *Machine) ListGroups(states, types []string, at timeline.Cut) []kmsg.ListGroupsResponseGroup {
	passes := func(filter []string, name string) bool {
		return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(f, name) })
	}
	var all []kmsg.ListGroupsResponseGroup
	for id := range m.groups.AllAt(at) {
		g := m.group(id, at)
		if !passes(states, string(g.state(at))) || !passes(types, string(g.kind())) {
			continue
		}
		listed := kmsg.NewListGroupsResponseGroup()
		listed.Group, listed.ProtocolType = id, g.protocolTypeName()
		listed.GroupState, listed.GroupType = string(g.state(at)), string(g.kind())
		all = append(all, listed)
	}
	return all
}

// describeKnowsNoGroup is the version of DescribeGroups from which a group that is
// not there is an error (KIP-1043).
const describeKnowsNoGroup = 6

// DescribeGroup describes a classic group. One that does not exist, or is a KIP-848
// group, is told as Dead.
func (m *Machine) DescribeGroup(id string, version int16, at timeline.Cut) kmsg.DescribeGroupsResponseGroup {
	resp := kmsg.NewDescribeGroupsResponseGroup()
	resp.Group = id
	g := m.group(id, at)
	classic, ok := g.(*classicGroup)
	if !ok {
		resp.State = string(Dead)
		if version >= describeKnowsNoGroup {
			why := "Group " + id + " not found."
			if g != nil {
				why = "Group " + id + " is not a classic group."
			}
			resp.ErrorCode, resp.ErrorMessage = kerr.GroupIDNotFound.Code, &why
		}
		return resp
	}
	classic.describe(&resp)
	return resp
}

// describe tells of the members; of their metadata only while it is agreed upon.
func (g *classicGroup) describe(resp *kmsg.DescribeGroupsResponseGroup) {
	resp.State, resp.ProtocolType = string(g.at), g.protocolType
	var chosen *string
	if g.at == Stable {
		chosen = g.protocol
		resp.Protocol = *g.protocol
	}
	for mb := g.order.First(); mb != nil; mb = mb.link.Next() {
		d := kmsg.NewDescribeGroupsResponseGroupMember()
		d.MemberID, d.InstanceID, d.ClientID, d.ClientHost = mb.id, mb.instance, mb.clientID, mb.host
		d.ProtocolMetadata, d.MemberAssignment = mb.metadata(chosen), mb.assignment
		resp.Members = append(resp.Members, d)
	}
}

// DeleteGroups decides the deletion of groups without members, with their offsets,
// each with a verdict of its own. A group that is named twice has one.
func (m *Machine) DeleteGroups(ids []string) (coordinator.Decision, []kmsg.DeleteGroupsResponseGroup) {
	var d coordinator.Decision
	var answers []kmsg.DeleteGroupsResponseGroup
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			continue
		}
		answer := kmsg.NewDeleteGroupsResponseGroup()
		answer.Group = id
		err := m.mayDelete(id)
		answer.ErrorCode = kafka.Code(err) // the message stays null
		answers = append(answers, answer)
		if err != nil {
			continue
		}
		for _, tp := range m.offsets[id].partitions() {
			d.Records = append(d.Records, offsetTombstone(id, tp))
		}
		d.Records = append(d.Records, m.group(id, timeline.Written).tombstones()...)
	}
	return d, answers
}

func (m *Machine) mayDelete(id string) error {
	g := m.group(id, timeline.Written)
	if g == nil {
		return kerr.GroupIDNotFound
	}
	return g.mayDelete()
}
