package group

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
)

// Types of members, as ConsumerGroupDescribe tells them.
const (
	classicMemberType  int8 = 0
	consumerMemberType int8 = 1
)

// ConsumerGroupDescribe describes a KIP-848 group at a cut.
func (m *Machine) ConsumerGroupDescribe(id string, at timeline.Cut) kmsg.ConsumerGroupDescribeResponseGroup {
	resp := kmsg.NewConsumerGroupDescribeResponseGroup()
	resp.Group = id
	g, err := m.consumerGroupAt(id, at)
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = kafka.Code(err), kafka.Message(err)
		return resp
	}
	resp.State, resp.Epoch, resp.AssignmentEpoch = string(g.state(at)), g.epoch.GetAt(at), g.target.GetAt(at).epoch
	resp.AssignorName = g.votesAt(at).preferred(m.cfg.Consumer.Assignors[0])
	for id, member := range g.members.AllAt(at) {
		target, _ := g.targets.GetAt(at, id)
		resp.Members = append(resp.Members, m.describeMember(member, target))
	}
	return resp
}

// describeMember tells what a member has, with what it is still to give up.
func (m *Machine) describeMember(member *consumerMember, target []topicPartitions) kmsg.ConsumerGroupDescribeResponseGroupMember {
	d := kmsg.NewConsumerGroupDescribeResponseGroupMember()
	d.MemberID, d.InstanceID, d.RackID, d.MemberEpoch = member.id, member.told.instance, member.told.rack, member.epoch
	d.ClientID, d.ClientHost = member.told.clientID, member.told.clientHost
	d.SubscribedTopics, d.SubscribedTopicRegex = slices.Clone(member.told.topics), member.told.regex
	d.Assignment.TopicPartitions = m.describePartitions(join(member.assigned, member.pending))
	d.TargetAssignment.TopicPartitions = m.describePartitions(target)
	d.MemberType = consumerMemberType
	if member.told.classic != nil {
		d.MemberType = classicMemberType
	}
	return d
}

func (m *Machine) describePartitions(list []topicPartitions) (all []kmsg.AssignmentTopicPartition) {
	for _, t := range list {
		topic := m.env.Image().TopicByID(t.topic)
		if topic == nil {
			continue
		}
		d := kmsg.NewAssignmentTopicPartition()
		d.TopicID, d.Topic, d.Partitions = t.topic, topic.Name, slices.Clone(t.partitions)
		all = append(all, d)
	}
	return all
}
