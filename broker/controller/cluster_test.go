package controller

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/ledger"
)

// cluster is a brain with the state it decides from, and no host: what the
// limb does, minus the quorum. It is what stories and properties play with.
type cluster struct {
	cfg     Config
	image   *metadata.Image
	s       *sessions
	now     time.Duration
	luck    *rand.Rand
	log     []metadata.Record
	fresh   []metadata.Record // since they were last looked at
	epochs  map[kafka.NodeID]kafka.BrokerEpoch
	reached map[string]int
}

func newCluster(settings map[string]string, bugs ...planted.Bug) *cluster {
	c := &cluster{
		cfg:     Config{ID: 100, ClusterID: "trial", Bugs: planted.Plant(bugs...)},
		image:   metadata.NewImage(),
		luck:    rand.New(rand.NewPCG(1, 2)),
		epochs:  map[kafka.NodeID]kafka.BrokerEpoch{},
		reached: map[string]int{},
	}
	config.Default(&c.cfg.Settings)
	if err := config.SetAll(&c.cfg.Settings, settings); err != nil {
		panic(err)
	}
	c.image.Offset = -1
	c.failover()
	c.write(c.brain().bootstrap())
	return c
}

func (c *cluster) brain() *brain {
	return &brain{
		cfg: &c.cfg, image: c.image, sessions: c.s, now: c.now, next: c.image.Offset + 1, luck: c.luck,
		reached: func(p *ledger.Probe) { c.reached[p.Name]++ },
	}
}

// failover begins with fresh sessions, as a new active controller does.
func (c *cluster) failover() { c.s = newSessions(c.cfg.Settings.SessionTimeout, c.image, c.now) }

// write is Controller.append, without a quorum.
func (c *cluster) write(recs records) {
	for _, r := range recs {
		mustApply(c.image, r)
		c.image.Offset++
		c.s.follow(r, c.now)
		c.log = append(c.log, r)
		c.fresh = append(c.fresh, r)
	}
}

func incarnation(n int) (id kafka.UUID) {
	id[0], id[15] = 1, byte(n)
	return id
}

// dir is the id of a broker's log directory.
func dir(broker kafka.NodeID) (id kafka.UUID) {
	id[0], id[15] = 2, byte(broker)
	return id
}

func (c *cluster) register(id kafka.NodeID, incarn int, previous kafka.BrokerEpoch, rack string) error {
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.Version = 4
	req.BrokerID, req.ClusterID, req.IncarnationID = int32(id), c.cfg.ClusterID, incarnation(incarn)
	req.PreviousBrokerEpoch = int64(previous)
	req.LogDirs = [][16]byte{dir(id)}
	if rack != "" {
		req.Rack = &rack
	}
	for _, f := range SupportedFeatures() {
		req.Features = append(req.Features, kmsg.BrokerRegistrationRequestFeature{
			Name: f.Name, MinSupportedVersion: f.Min, MaxSupportedVersion: f.Max,
		})
	}
	recs, epoch, err := c.brain().registerBroker(req)
	if err == nil {
		c.write(recs)
		c.epochs[id] = epoch
	}
	return err
}

// heartbeat does what Controller.BrokerHeartbeat does with its decision.
func (c *cluster) heartbeat(id kafka.NodeID, at kafka.Offset, wantFence, wantShutdown bool) (brokerState, error) {
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.BrokerID, req.BrokerEpoch, req.CurrentMetadataOffset = int32(id), int64(c.epochs[id]), int64(at)
	req.WantFence, req.WantShutdown = wantFence, wantShutdown
	next, recs, err := c.brain().heartbeat(req)
	if err != nil {
		return next, err
	}
	c.write(recs)
	c.s.heard(id, next, c.now, at, c.image.Offset)
	return next, nil
}

// start registers a broker, cleanly stopped before if it was there, and
// unfences it.
func (c *cluster) start(ids ...kafka.NodeID) {
	for _, id := range ids {
		previous, ok := c.epochs[id]
		if !ok {
			previous = kafka.NoEpoch
		}
		if err := c.register(id, int(c.image.Offset)%200, previous, ""); err != nil {
			panic(err)
		}
		if _, err := c.heartbeat(id, c.image.Offset, false, false); err != nil {
			panic(err)
		}
	}
}

func (c *cluster) create(topic string, minISR int, assignment ...[]int32) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 7
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, -1, -1
	for i, replicas := range assignment {
		t.ReplicaAssignment = append(t.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32(i), Replicas: replicas})
	}
	t.Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: configMinISR, Value: kmsg.StringPtr(strconv.Itoa(minISR))}}
	req.Topics = append(req.Topics, t)
	resp, recs := c.brain().createTopics(req)
	c.write(recs)
	return kerr.ErrorForCode(resp.Topics[0].ErrorCode)
}

func (c *cluster) partition(tp kafka.TopicPartition) *metadata.Partition {
	return c.image.Partition(tp)
}

// alter asks as the partition's leader would, with all epochs current, but for
// what change makes of the request.
func (c *cluster) alter(tp kafka.TopicPartition, isr []kafka.NodeID, change func(*kmsg.AlterPartitionRequest)) (kmsg.AlterPartitionResponseTopicPartition, error) {
	p := c.partition(tp)
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version = 3
	req.BrokerID, req.BrokerEpoch = int32(p.Leader), int64(c.epochs[p.Leader])
	t := kmsg.NewAlterPartitionRequestTopic()
	t.TopicID = p.TopicID
	x := kmsg.NewAlterPartitionRequestTopicPartition()
	x.Partition, x.LeaderEpoch, x.PartitionEpoch = p.ID, int32(p.LeaderEpoch), int32(p.PartitionEpoch)
	for _, id := range isr {
		e := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
		e.BrokerID, e.BrokerEpoch = int32(id), int64(c.epochs[id])
		x.NewEpochISR = append(x.NewEpochISR, e)
	}
	t.Partitions = append(t.Partitions, x)
	req.Topics = append(req.Topics, t)
	if change != nil {
		change(req)
	}
	resp, recs, err := c.brain().alterPartition(req)
	if err != nil {
		return kmsg.AlterPartitionResponseTopicPartition{}, err
	}
	c.write(recs)
	answer := resp.Topics[0].Partitions[0]
	return answer, kerr.ErrorForCode(answer.ErrorCode)
}

// expire fences one silent broker.
func (c *cluster) expire() kafka.NodeID {
	id, recs := c.brain().expire()
	c.write(recs)
	return id
}

// describe is a record on one line, with topics by name.
func (c *cluster) describe(r metadata.Record) string {
	var sb strings.Builder
	f := func(format string, args ...any) { fmt.Fprintf(&sb, format, args...) }
	name := func(id kafka.UUID) string {
		if t := c.image.TopicByID(id); t != nil {
			return t.Name
		}
		return "?"
	}
	switch r := r.(type) {
	case *metadata.RegisterBrokerRecord:
		f("register-broker %d epoch=%d fenced=%v", r.BrokerID, r.BrokerEpoch, r.Fenced)
		if r.Rack != nil {
			f(" rack=%s", *r.Rack)
		}
	case *metadata.UnregisterBrokerRecord:
		f("unregister-broker %d epoch=%d", r.BrokerID, r.BrokerEpoch)
	case *metadata.BrokerRegistrationChangeRecord:
		f("broker %d", r.BrokerID)
		f("%s", map[int8]string{metadata.Fence: " fenced", metadata.Unfence: " unfenced"}[r.Fenced])
		if r.InControlledShutdown != 0 {
			f(" in-controlled-shutdown")
		}
	case *metadata.TopicRecord:
		f("topic %s", r.Name)
	case *metadata.RemoveTopicRecord:
		f("remove-topic")
	case *metadata.ConfigRecord:
		kind := map[metadata.ResourceType]string{metadata.TopicResource: "topic", metadata.BrokerResource: "broker"}[r.ResourceType]
		f("config %s %q %s", kind, r.ResourceName, r.Name)
		if r.Value == nil {
			f(" default")
		} else {
			f("=%s", *r.Value)
		}
	case *metadata.FeatureLevelRecord:
		f("feature %s=%d", r.Name, r.Level)
	case *metadata.ProducerIdsRecord:
		f("producer-ids next=%d broker=%d", r.NextProducerID, r.BrokerID)
	case *metadata.PartitionRecord:
		f("partition %s/%d replicas=%s isr=%s leader=%d", name(r.TopicID), r.PartitionID, nodeList(r.Replicas), nodeList(r.ISR), r.Leader)
	case *metadata.PartitionChangeRecord:
		f("change %s/%d", name(r.TopicID), r.PartitionID)
		list := func(what string, nodes []kafka.NodeID) {
			if nodes != nil {
				f(" %s=[%s]", what, nodeList(nodes))
			}
		}
		list("replicas", r.Replicas)
		list("adding", r.AddingReplicas)
		list("removing", r.RemovingReplicas)
		list("isr", r.ISR)
		list("elr", r.ELR)
		list("last-known", r.LastKnownELR)
		if r.Leader != metadata.NoLeaderChange {
			f(" leader=%s", nodeName(r.Leader))
		}
		if r.Recovery != metadata.NoRecoveryChange {
			f(" %s", map[metadata.LeaderRecoveryState]string{metadata.Recovered: "recovered", metadata.Recovering: "recovering"}[r.Recovery])
		}
	default:
		f("%T", r)
	}
	return sb.String()
}

func nodeName(id kafka.NodeID) string {
	if id == kafka.NoNode {
		return "none"
	}
	return strconv.Itoa(int(id))
}

// show is all partitions on one line each.
func (c *cluster) show() []string {
	var out []string
	c.brain().partitions(func(p *metadata.Partition) {
		s := fmt.Sprintf("%v leader=%s epoch=%d/%d replicas=[%s] isr=[%s]", p.TP(), nodeName(p.Leader), p.LeaderEpoch, p.PartitionEpoch, nodeList(p.Replicas), nodeList(p.ISR))
		if len(p.ELR) > 0 {
			s += fmt.Sprintf(" elr=[%s]", nodeList(p.ELR))
		}
		if len(p.LastKnownELR) > 0 {
			s += fmt.Sprintf(" last-known=[%s]", nodeList(p.LastKnownELR))
		}
		if p.Recovery != metadata.Recovered {
			s += " recovering"
		}
		out = append(out, s)
	})
	for _, b := range c.image.Brokers() {
		s := fmt.Sprintf("broker %d epoch=%d", b.ID, b.Epoch)
		if b.Fenced {
			s += " fenced"
		}
		if b.InControlledShutdown {
			s += " in-controlled-shutdown"
		}
		out = append(out, s)
	}
	return out
}

// takeFresh is the records written since the last call.
func (c *cluster) takeFresh() []metadata.Record {
	out := slices.Clone(c.fresh)
	c.fresh = nil
	return out
}
