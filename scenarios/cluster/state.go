package cluster

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/replica"
)

// Image is the newest committed metadata that any server has; nil: none has.
func (c *Cluster) Image() *metadata.Image {
	var newest *metadata.Image
	for _, s := range c.Servers {
		n := s.Node()
		if n == nil {
			continue
		}
		if im := n.Image(); im != nil && (newest == nil || im.Offset > newest.Offset) {
			newest = im
		}
	}
	return newest
}

// partition is its state in the newest metadata, or nil.
func (c *Cluster) partition(topic string, partition int32) *metadata.Partition {
	im := c.Image()
	if im == nil {
		return nil
	}
	return im.Partition(kafka.TopicPartition{Topic: topic, Partition: partition})
}

// InternalPartitions are those of the topics that the cluster has made for itself,
// in order, once it has.
func (c *Cluster) InternalPartitions() (out []kafka.TopicPartition) {
	im := c.Image()
	if im == nil {
		return nil
	}
	for _, name := range kafka.InternalTopics {
		if t := im.Topic(name); t != nil {
			out = appendParts(out, t)
		}
	}
	return out
}

// OtherPartitions are those of all topics that are not the scenario's: the cluster has
// made them for itself, or an administrator has.
func (c *Cluster) OtherPartitions() []kafka.TopicPartition {
	out := c.InternalPartitions()
	if im := c.Image(); im != nil {
		for _, t := range im.Topics() {
			if _, known := c.topics[t.Name]; !known && !slices.Contains(kafka.InternalTopics, t.Name) {
				out = appendParts(out, t)
			}
		}
	}
	return out
}

func appendParts(out []kafka.TopicPartition, t *metadata.Topic) []kafka.TopicPartition {
	for _, p := range t.Partitions {
		out = append(out, p.TP())
	}
	return out
}

// Leader names the host of a partition's leader, or is empty.
func (c *Cluster) Leader(topic string, partition int32) string {
	if p := c.partition(topic, partition); p != nil {
		return c.HostOf(p.Leader)
	}
	return ""
}

// Followers names the hosts of the replicas of a partition that do not lead.
func (c *Cluster) Followers(topic string, partition int32) []string {
	p := c.partition(topic, partition)
	if p == nil {
		return nil
	}
	var out []string
	for _, id := range p.Replicas {
		if id != p.Leader {
			out = append(out, c.HostOf(id))
		}
	}
	slices.Sort(out)
	return out
}

// Segments are the files on a host's disk that hold records of topics.
func (c *Cluster) Segments(host string) []string {
	return slices.DeleteFunc(c.world.Host(host).Disk().Files(), func(p string) bool {
		//text:allow the name of a file
		return !strings.HasSuffix(p, ".log") || strings.Contains(p, kafka.MetadataTopic)
	})
}

// Active is the server that acts as controller; if several believe that they
// do, that of the newest epoch; nil: none does.
func (c *Cluster) Active() *Server {
	var found *Server
	var newest kafka.LeaderEpoch
	for _, s := range c.Servers {
		n := s.Node()
		if n == nil || n.Controller == nil || !n.Controller.Active() {
			continue
		}
		if _, epoch := n.Raft.Leader(); found == nil || epoch > newest {
			found, newest = s, epoch
		}
	}
	return found
}

// ActiveController names the host of the active controller, or is empty.
func (c *Cluster) ActiveController() string {
	if s := c.Active(); s != nil {
		return s.Name()
	}
	return ""
}

// Unready says which broker is not registered and unfenced, of all but those
// named; empty: all are.
func (c *Cluster) Unready(but []string) string {
	s := c.Active()
	if s == nil {
		return "no controller is active"
	}
	for _, name := range c.brokers {
		if !slices.Contains(but, name) && !c.unfenced(s, name) {
			return fmt.Sprintf("%s is not unfenced", name)
		}
	}
	return ""
}

// unfenced reports whether a broker is registered and unfenced at an active controller.
func (c *Cluster) unfenced(active *Server, broker string) bool {
	b := active.Node().Controller.Image().Broker(c.byHost[broker].ID())
	return b != nil && !b.Fenced
}

// Serving reports whether the process of a host has begun its work: a broker when the
// active controller has unfenced it, any other when it runs.
func (c *Cluster) Serving(host string) bool {
	if !c.world.Host(host).IsRunning() {
		return false
	}
	if !slices.Contains(c.brokers, host) {
		return true
	}
	s := c.Active()
	return s != nil && c.unfenced(s, host)
}

// View is what a broker's replica of a partition holds now.
func (c *Cluster) View(id kafka.NodeID, tp kafka.TopicPartition) (replica.View, bool) {
	s := c.byID[id]
	if s == nil || s.Node() == nil || s.Node().Replicas == nil {
		return replica.View{}, false
	}
	p := s.Node().Replicas.Partition(tp)
	if p == nil {
		return replica.View{}, false
	}
	return p.View(), true
}

// LeaderView is the view of the replica that leads a partition and knows it.
func (c *Cluster) LeaderView(im *metadata.Image, tp kafka.TopicPartition) (replica.View, bool) {
	if im == nil || im.Partition(tp) == nil {
		return replica.View{}, false
	}
	p := im.Partition(tp)
	v, ok := c.View(p.Leader, tp)
	return v, ok && v.Role == replica.Leader && v.Epoch == p.LeaderEpoch
}

// Ends is where the logs of partitions end for readers: the high watermarks of
// their leaders.
func (c *Cluster) Ends(partitions []kafka.TopicPartition) map[kafka.TopicPartition]kafka.Offset {
	out, im := map[kafka.TopicPartition]kafka.Offset{}, c.Image()
	for _, tp := range partitions {
		if v, ok := c.LeaderView(im, tp); ok {
			out[tp] = v.HW
		}
	}
	return out
}

// MayLead reports whether a replica of p other than one is in ISR or ELR, runs,
// and has not come back from an unclean shutdown.
func (c *Cluster) MayLead(im *metadata.Image, p *metadata.Partition, but kafka.NodeID) bool {
	return slices.ContainsFunc(slices.Concat(p.ISR, p.ELR), func(id kafka.NodeID) bool {
		s := c.byID[id]
		return id != but && s.Node() != nil && !s.Unclean(im)
	})
}
