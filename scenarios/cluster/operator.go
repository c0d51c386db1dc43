package cluster

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker"
	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
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
		topic := client.NewTopic{Name: t.Name, Partitions: t.Partitions, Replicas: t.Replicas, Configs: t.settings()}
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

// AddPartitions gives a topic so many partitions more, as soon as a controller is active. What was
// asked for before comes on top.
func (c *Cluster) AddPartitions(topic string, count int32) {
	waits := c.growing[topic] > 0
	c.growing[topic] = max(c.growing[topic], c.partitionsNow(topic)) + count
	if !waits {
		c.grow(topic)
	}
}

// grow asks until the topic has as many partitions as it is to have.
func (c *Cluster) grow(topic string) {
	total := c.growing[topic]
	if c.partitionsNow(topic) >= total {
		delete(c.growing, topic)
		c.Grew(topic, total)
		return
	}
	c.operate("add partitions", func(n *broker.Node) {
		req := kmsg.NewPtrCreatePartitionsRequest()
		req.TimeoutMillis = operatorTimeoutMillis
		t := kmsg.NewCreatePartitionsRequestTopic()
		t.Topic, t.Count = topic, total
		req.Topics = append(req.Topics, t)
		n.Controller.CreatePartitions(req)
	})
	c.world.After(askAgain, "add partitions", func() { c.grow(topic) })
}

// askAgain is how long an operator waits for what was asked of a controller.
const askAgain = time.Second

// Operating says what an operator waits for; empty: nothing.
func (c *Cluster) Operating() string {
	for _, topic := range slices.Sorted(maps.Keys(c.growing)) {
		if now := c.partitionsNow(topic); now < c.growing[topic] {
			return fmt.Sprintf("%s has %d partitions of %d", topic, now, c.growing[topic])
		}
	}
	if remaking := slices.Sorted(maps.Keys(c.remaking)); len(remaking) > 0 {
		return fmt.Sprintf("%s is made anew", remaking[0])
	}
	return ""
}

// partitionsNow is how many partitions a topic has in the newest metadata.
func (c *Cluster) partitionsNow(topic string) int32 {
	if t := c.topicOf(topic); t != nil {
		return int32(len(t.Partitions))
	}
	return c.Partitions(topic)
}

// Grew takes in that a topic has so many partitions.
func (c *Cluster) Grew(topic string, partitions int32) {
	t := c.topics[topic]
	t.Partitions = partitions
	c.topics[topic] = t
}

// DeleteTopic deletes a topic, as soon as a controller is active.
func (c *Cluster) DeleteTopic(topic string) {
	if t := c.topicOf(topic); t != nil {
		c.remaking[topic] = t.ID
		c.deleteOld(topic)
	}
}

// deleteOld asks until the topic with the id that is to go is gone.
func (c *Cluster) deleteOld(topic string) {
	t := c.topicOf(topic)
	if old, remakes := c.remaking[topic]; !remakes || t == nil || t.ID != old {
		return
	}
	c.operate("delete topic", func(n *broker.Node) {
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.TimeoutMillis = operatorTimeoutMillis
		req.TopicNames = []string{topic}
		n.Controller.DeleteTopics(req)
	})
	c.world.After(askAgain, "delete topic", func() { c.deleteOld(topic) })
}

// MakeTopic makes a topic again that was deleted, as soon as it is gone and a controller is active.
func (c *Cluster) MakeTopic(topic string) {
	t := c.topicOf(topic)
	switch old, remakes := c.remaking[topic]; {
	case !remakes:
		return
	case t != nil && t.ID != old:
		delete(c.remaking, topic)
		return
	case t == nil:
		c.operate("make topic", func(n *broker.Node) {
			req := kmsg.NewPtrCreateTopicsRequest()
			req.TimeoutMillis = operatorTimeoutMillis
			req.Topics = append(req.Topics, c.topics[topic].asRequest())
			n.Controller.CreateTopics(req)
		})
	}
	c.world.After(askAgain, "make topic", func() { c.MakeTopic(topic) })
}

// topicOf is a topic in the newest metadata, or nil.
func (c *Cluster) topicOf(name string) *metadata.Topic {
	if im := c.Image(); im != nil {
		return im.Topic(name)
	}
	return nil
}

// settings are a topic's own, min.insync.replicas included.
func (t Topic) settings() map[string]string {
	all := maps.Clone(t.Config)
	if all == nil {
		all = map[string]string{}
	}
	if t.MinInsync > 0 {
		all["min.insync.replicas"] = fmt.Sprint(t.MinInsync)
	}
	return all
}

func (t Topic) asRequest() kmsg.CreateTopicsRequestTopic {
	out := kmsg.NewCreateTopicsRequestTopic()
	out.Topic, out.NumPartitions, out.ReplicationFactor = t.Name, t.Partitions, t.Replicas
	settings := t.settings()
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = name, kmsg.StringPtr(settings[name])
		out.Configs = append(out.Configs, c)
	}
	return out
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
