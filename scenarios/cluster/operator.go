package cluster

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker"
	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
)

// operate runs what an operator asks of the active controller.
func (c *Cluster) operate(name string, f func(*broker.Node)) {
	if s := c.Active(); s != nil && !s.Host.IsPaused() {
		node := s.Node()
		s.Host.Process().Go(name, func() { f(node) })
	}
}

// CreateTopics creates topics with an admin client. A topic that exists already
// is no error: an earlier attempt may have been carried out. It blocks.
func (c *Cluster) CreateTopics(h env.Host, topics []Topic) error {
	admin := client.New(h, c.Bootstrap(), "admin").NewAdmin(client.AdminDefaults())
	defer admin.Close()
	for _, t := range topics {
		configs := maps.Clone(t.Config)
		if configs == nil {
			configs = map[string]string{}
		}
		if t.MinInsync > 0 {
			configs["min.insync.replicas"] = fmt.Sprint(t.MinInsync)
		}
		topic := client.NewTopic{Name: t.Name, Partitions: t.Partitions, Replicas: t.Replicas, Configs: configs}
		if err := admin.CreateTopics(topic); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("create topic %s: %w", t.Name, err)
		}
	}
	return nil
}

// MoveLeader moves the leadership of a partition as an operator does: another
// in-sync replica is put first in the list of replicas, and the preferred
// leader is elected.
func (c *Cluster) MoveLeader(topic string, partition int32) {
	p := c.partition(topic, partition)
	if p == nil {
		return
	}
	i := slices.IndexFunc(p.Replicas, func(id kafka.NodeID) bool { return id != p.Leader && slices.Contains(p.ISR, id) })
	if i < 0 {
		return
	}
	order := []int32{int32(p.Replicas[i])}
	for j, id := range p.Replicas {
		if j != i {
			order = append(order, int32(id))
		}
	}
	c.operate("move leader", func(n *broker.Node) {
		n.Controller.AlterPartitionReassignments(reassignment(topic, partition, order))
		n.Controller.ElectLeaders(preferredElection(topic, partition))
	})
}

// ElectPreferred makes the preferred replicas of all partitions leaders.
func (c *Cluster) ElectPreferred() {
	c.operate("elect preferred", func(n *broker.Node) { n.Controller.ElectLeaders(preferredElection("")) })
}

// ResignController makes the active controller give up its leadership.
func (c *Cluster) ResignController() {
	c.operate("resign", func(n *broker.Node) {
		_, epoch := n.Raft.Leader()
		n.Raft.Resign(epoch)
	})
}

// SetFeature finalizes another level of a feature, upwards or downwards.
func (c *Cluster) SetFeature(feature string, level int16) {
	c.operate("set feature", func(n *broker.Node) {
		req := kmsg.NewPtrUpdateFeaturesRequest()
		req.Version = 2
		req.TimeoutMillis = operatorTimeoutMillis
		u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
		u.Feature, u.MaxVersionLevel, u.UpgradeType = feature, level, upgrade
		if n.Image().Feature(feature) > level {
			u.UpgradeType = safeDowngrade
		}
		req.FeatureUpdates = append(req.FeatureUpdates, u)
		n.Controller.UpdateFeatures(req)
	})
}

// The upgrade types of UpdateFeatures (KIP-778).
const (
	upgrade       = 1
	safeDowngrade = 2
)

const operatorTimeoutMillis = 10_000

func reassignment(topic string, partition int32, replicas []int32) *kmsg.AlterPartitionAssignmentsRequest {
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	t := kmsg.NewAlterPartitionAssignmentsRequestTopic()
	t.Topic = topic
	p := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
	p.Partition, p.Replicas = partition, replicas
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	req.TimeoutMillis = operatorTimeoutMillis
	return req
}

// preferredElection asks for the preferred leaders of partitions of a topic, or
// (topic empty) of all.
func preferredElection(topic string, partitions ...int32) *kmsg.ElectLeadersRequest {
	req := kmsg.NewPtrElectLeadersRequest()
	req.Version = 2
	req.TimeoutMillis = operatorTimeoutMillis
	if topic != "" {
		t := kmsg.NewElectLeadersRequestTopic()
		t.Topic, t.Partitions = topic, partitions
		req.Topics = append(req.Topics, t)
	}
	return req
}
