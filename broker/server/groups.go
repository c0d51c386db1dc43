package server

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/group"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/replica"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/sim/env"
)

// GroupSettings are what a broker is told of groups, by Kafka's names.
type GroupSettings struct {
	LingerMs      int64         `kafka:"group.coordinator.append.linger.ms"`
	LoadBuffer    int32         `kafka:"offsets.load.buffer.size"`
	CommitTimeout time.Duration `kafka:"offsets.commit.timeout.ms"`
	LoadDelay     time.Duration `kafka:"ktrial.coordinator.load.delay.ms"`
	Check         bool          `kafka:"ktrial.coordinator.check"`

	Partitions        int32 `kafka:"offsets.topic.num.partitions"`
	ReplicationFactor int16 `kafka:"offsets.topic.replication.factor"`
	SegmentBytes      int32 `kafka:"offsets.topic.segment.bytes"`
	Codec             int32 `kafka:"offsets.topic.compression.codec"`

	OffsetMetadataMaxBytes int32         `kafka:"offset.metadata.max.bytes"`
	RetentionMinutes       int64         `kafka:"offsets.retention.minutes"`
	RetentionCheck         time.Duration `kafka:"offsets.retention.check.interval.ms"`

	MinSessionTimeout     time.Duration `kafka:"group.min.session.timeout.ms"`
	MaxSessionTimeout     time.Duration `kafka:"group.max.session.timeout.ms"`
	InitialRebalanceDelay time.Duration `kafka:"group.initial.rebalance.delay.ms"`
	MaxSize               int32         `kafka:"group.max.size"`

	Consumer ConsumerGroupSettings
}

// ConsumerGroupSettings are those of KIP-848 groups.
type ConsumerGroupSettings struct {
	SessionTimeout        time.Duration `kafka:"group.consumer.session.timeout.ms"`
	MinSessionTimeout     time.Duration `kafka:"group.consumer.min.session.timeout.ms"`
	MaxSessionTimeout     time.Duration `kafka:"group.consumer.max.session.timeout.ms"`
	HeartbeatInterval     time.Duration `kafka:"group.consumer.heartbeat.interval.ms"`
	MinHeartbeatInterval  time.Duration `kafka:"group.consumer.min.heartbeat.interval.ms"`
	MaxHeartbeatInterval  time.Duration `kafka:"group.consumer.max.heartbeat.interval.ms"`
	AssignmentInterval    time.Duration `kafka:"group.consumer.assignment.interval.ms"`
	MinAssignmentInterval time.Duration `kafka:"group.consumer.min.assignment.interval.ms"`
	MaxAssignmentInterval time.Duration `kafka:"group.consumer.max.assignment.interval.ms"`
	MaxSize               int32         `kafka:"group.consumer.max.size"`
	Assignors             string        `kafka:"group.consumer.assignors"`
	MigrationPolicy       string        `kafka:"group.consumer.migration.policy"`
	RegexRefresh          time.Duration `kafka:"group.consumer.regex.refresh.interval.ms"`
	Protocols             string        `kafka:"group.coordinator.rebalance.protocols"`
}

// enabled reports whether the protocol of KIP-848 may be used.
func (s *ConsumerGroupSettings) enabled() bool {
	return slices.ContainsFunc(strings.Split(s.Protocols, ","), func(p string) bool { return strings.TrimSpace(p) == "consumer" })
}

// machine is what they say of groups.
func (s *ConsumerGroupSettings) machine() group.ConsumerConfig {
	return group.ConsumerConfig{
		SessionTimeout: s.SessionTimeout, MinSessionTimeout: s.MinSessionTimeout, MaxSessionTimeout: s.MaxSessionTimeout,
		HeartbeatInterval: s.HeartbeatInterval, MinHeartbeatInterval: s.MinHeartbeatInterval, MaxHeartbeatInterval: s.MaxHeartbeatInterval,
		AssignmentInterval: s.AssignmentInterval, MinAssignmentInterval: s.MinAssignmentInterval, MaxAssignmentInterval: s.MaxAssignmentInterval,
		MaxSize: int(s.MaxSize), Assignors: strings.Split(s.Assignors, ","),
		Migration: group.MigrationPolicy(strings.ToLower(s.MigrationPolicy)), RegexRefreshInterval: s.RegexRefresh,
	}
}

// ConfigKind says that these are brokers' settings.
func (GroupSettings) ConfigKind() config.Kind { return config.Broker }

// machine is what they say of groups.
func (s *GroupSettings) machine() group.Config {
	return group.Config{
		MinSessionTimeout: s.MinSessionTimeout, MaxSessionTimeout: s.MaxSessionTimeout,
		InitialRebalanceDelay: s.InitialRebalanceDelay, MaxSize: int(s.MaxSize),
		Consumer:                      s.Consumer.machine(),
		OffsetMetadataMaxBytes:        int(s.OffsetMetadataMaxBytes),
		OffsetsRetention:              time.Duration(s.RetentionMinutes) * time.Minute,
		OffsetsRetentionCheckInterval: s.RetentionCheck,
	}
}

// runtime is what they say of the coordinator.
func (s *GroupSettings) runtime(node kafka.NodeID) coordinator.Config {
	return coordinator.Config{
		Node: node, Topic: kafka.OffsetsTopic, Linger: max(-1, time.Duration(s.LingerMs)*time.Millisecond),
		LoadBuffer: s.LoadBuffer, LoadDelay: s.LoadDelay, Timeout: s.CommitTimeout, Codec: record.Codec(s.Codec), Acks: 1, Check: s.Check,
	}
}

// Groups is the coordinator of groups, as the APIs ask it: the runtime of
// __consumer_offsets, and which of its partitions a group belongs to.
type Groups struct {
	host     env.Host
	settings GroupSettings
	runtime  *coordinator.Runtime
	// partitions of __consumer_offsets, as they were when the broker learned of the
	// cluster: Kafka asks once. If they were to grow, groups would lose their offsets.
	partitions int32
}

// NewGroups makes a coordinator that coordinates nothing yet: see Publisher.
func NewGroups(host env.Host, node kafka.NodeID, s GroupSettings, replicas *replica.Manager, image func() *metadata.Image, bugs *planted.Set) *Groups {
	g := &Groups{host: host, settings: s, partitions: s.Partitions}
	g.runtime = coordinator.New(host, s.runtime(node), replicas, image, bugs, func(e coordinator.Env) coordinator.Machine {
		return group.New(e, s.machine())
	})
	replicas.OnRole(g.runtime.RoleChanged)
	return g
}

// topic is __consumer_offsets as it is to be created (GroupCoordinatorService.groupMetadataTopicConfigs).
func (g *Groups) topic() kmsg.CreateTopicsRequestTopic {
	return internalTopicOf(kafka.OffsetsTopic, g.settings.Partitions, g.settings.ReplicationFactor, [][2]string{
		{"cleanup.policy", "compact"},
		{"compression.type", "producer"},
		{"segment.bytes", strconv.Itoa(int(g.settings.SegmentBytes))},
	})
}

// ImageChanged tells of a new image that the replicas follow. The first one says how
// many partitions there are; ch is nil then.
func (g *Groups) ImageChanged(im *metadata.Image, ch *metadata.Changes) {
	if ch == nil {
		if t := im.Topic(kafka.OffsetsTopic); t != nil {
			g.partitions = int32(len(t.Partitions))
		}
		return
	}
	g.runtime.ImageChanged(ch)
}

// Close ends the coordinator.
func (g *Groups) Close() { g.runtime.Close() }

// partitionFor is the partition that a group belongs to.
func (g *Groups) partitionFor(id string) int32 { return group.PartitionFor(id, g.partitions) }

// write has a group's machine decide, and waits until that is committed. It blocks.
func (g *Groups) write(id, name string, decide func(m *group.Machine) coordinator.Decision) error {
	return g.writeAt(g.partitionFor(id), name, decide)
}

func (g *Groups) writeAt(partition int32, name string, decide func(m *group.Machine) coordinator.Decision) error {
	return g.runtime.Write(partition, name, g.settings.CommitTimeout, func(m coordinator.Machine) (coordinator.Decision, error) {
		return decide(m.(*group.Machine)), nil
	})
}

// read looks at a machine. It blocks until the events before it are over.
func (g *Groups) read(partition int32, f func(m *group.Machine)) error {
	return g.runtime.Read(partition, func(m coordinator.Machine) error {
		f(m.(*group.Machine))
		return nil
	})
}

// await has a group's machine decide something whose answer may come much later, and
// waits for it: for the answer that the machine gives, or the error with which the
// decision ends, whichever is first. It blocks.
func await[R any](g *Groups, id, name string, decide func(m *group.Machine, reply func(R)) coordinator.Decision) (answer R, err error) {
	answered, came := false, g.host.NewSignal(name+" answered")
	end := func(a R, e error) {
		if !answered {
			answered, answer, err = true, a, e
			came.Notify()
		}
	}
	g.runtime.Start(g.partitionFor(id), name, g.settings.CommitTimeout,
		func(m coordinator.Machine) (coordinator.Decision, error) {
			return decide(m.(*group.Machine), func(a R) { end(a, nil) }), nil
		},
		func(e error) {
			if e != nil {
				var none R
				end(none, e)
			}
		})
	for !answered {
		came.Wait(env.Forever)
	}
	return answer, err
}

// caller is the client of a request, as Kafka describes it to others.
func caller(ctx *wire.Context) group.Caller {
	host := ctx.RemoteAddr
	if colon := strings.LastIndexByte(host, ':'); colon >= 0 {
		host = strings.Trim(host[:colon], "[]")
	}
	return group.Caller{ClientID: ctx.ClientID, Host: "/" + host}
}

// isLoading reports whether the coordinator has yet to load the group's partition.
func isLoading(err error) bool { return errors.Is(err, kerr.CoordinatorLoadInProgress) }

// groupOperations is what a client may do with a group, as bits by the number of
// Kafka's AclOperation: read, delete, describe, and describe and alter its configs.
const groupOperations = 3400
