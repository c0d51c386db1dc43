package client

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
)

// Admin changes and describes a cluster. Every call blocks and is retried, at
// most for default.api.timeout.ms. The first error of several is returned.
type Admin struct {
	cfg AdminConfig
	net *network
}

// NewAdmin makes an admin.
func (c *Client) NewAdmin(cfg AdminConfig) *Admin {
	a := &Admin{cfg: cfg}
	a.net = c.network(&a.cfg.Common, func() {})
	a.net.metadata.onlyLooks = true
	return a
}

// Close ends the admin's tasks and connections.
func (a *Admin) Close() { a.net.close() }

// NewTopic is a topic to be created.
type NewTopic struct {
	Name       string
	Partitions int32 // zero: the broker's num.partitions
	Replicas   int16 // zero: the broker's default.replication.factor
	// Assignment, if set, says which nodes hold which partition; the first is
	// the preferred leader.
	Assignment [][]kafka.NodeID
	Configs    map[string]string
}

// TopicDescription is what the cluster says of a topic.
type TopicDescription struct {
	Name       string
	ID         kafka.UUID
	Err        error
	Partitions []PartitionDescription // by number
}

// PartitionDescription is what the cluster says of a partition.
type PartitionDescription struct {
	Partition   int32
	Leader      kafka.NodeID // NoNode if there is none
	LeaderEpoch kafka.LeaderEpoch
	Replicas    []kafka.NodeID
	ISR         []kafka.NodeID
	Offline     []kafka.NodeID
}

// NodeDescription is a broker as it is announced to others.
type NodeDescription struct {
	ID   kafka.NodeID
	Addr string
	Rack string
}

// ClusterDescription is the nodes of a cluster.
type ClusterDescription struct {
	ClusterID  string
	Controller kafka.NodeID
	Nodes      []NodeDescription // by id
}

// ElectionType says what leader is wanted.
type ElectionType int8

// Preferred elects the first replica, Unclean any that lives if none of the
// in-sync ones does.
const (
	Preferred ElectionType = iota
	Unclean
)

// ConfigResource is what has a configuration.
type ConfigResource struct {
	Kind kmsg.ConfigResourceType
	Name string
}

// TopicResource and BrokerResource name the two usual ones.
func TopicResource(topic string) ConfigResource {
	return ConfigResource{kmsg.ConfigResourceTypeTopic, topic}
}

// ConfigChange sets, or deletes if Value is nil, one configuration.
type ConfigChange struct {
	Name  string
	Value *string
}

// ConfigEntry is one configuration as it stands.
type ConfigEntry struct {
	Name    string
	Value   string
	Default bool
}

// OffsetSpec is what ListOffsets looks for: EndOfLog, StartOfLog, or the first
// record that is not older than a timestamp in milliseconds.
type OffsetSpec int64

// The ends of a log, which Kafka's OffsetSpec calls latest and earliest.
const (
	EndOfLog   = OffsetSpec(kafka.LatestOffset)
	StartOfLog = OffsetSpec(kafka.EarliestOffset)
)

// ListedOffset is an answer of ListOffsets. Offset is NoOffset if no record is
// as young as was asked for.
type ListedOffset struct {
	Position
	Timestamp int64
	Err       error
}

// errUnanswered says that the broker left out what it was asked for.
var errUnanswered = fmt.Errorf("no answer for it: %w", kerr.UnknownServerError)

// retry calls try until it succeeds, fails for good or default.api.timeout.ms
// is over. try is given what is left of that, at most request.timeout.ms.
func (a *Admin) retry(doing string, try func(timeout time.Duration) error) error {
	host := a.net.host
	deadline := host.Uptime() + a.cfg.DefaultAPITimeout
	for failures := 1; ; failures++ {
		err := try(min(a.cfg.RequestTimeout, deadline-host.Uptime()))
		if err == nil {
			return nil
		}
		if !passing(err) || a.net.closed {
			return fmt.Errorf("client: %s: %w", doing, err)
		}
		wait := a.net.retryBackoff(failures)
		if host.Uptime()+wait >= deadline {
			return fmt.Errorf("client: %s: given up after %v: %w", doing, a.cfg.DefaultAPITimeout, err)
		}
		a.net.metadata.requestUpdate()
		host.Sleep(wait)
	}
}

// passing reports whether another attempt may fare better.
func passing(err error) bool {
	var k *kerr.Error
	if errors.As(err, &k) {
		return k.Retriable && k != kerr.ElectionNotNeeded && k != kerr.PreferredLeaderNotAvailable &&
			k != kerr.EligibleLeadersNotAvailable
	}
	return true // the connection broke
}

// anywhere puts a request to any broker: those for the controller are passed
// on to it (KIP-590).
func anywhere[R kmsg.Response](a *Admin, doing string, req kmsg.Request, check func(R) error) (answer R, err error) {
	err = a.retry(doing, func(timeout time.Duration) error {
		resp, err := a.net.ask(req, timeout)
		if err != nil {
			return err
		}
		answer = resp.(R)
		return check(answer)
	})
	return answer, err
}

// atLeaders calls try for the partitions of each leader in turn until none is
// left; try returns those that are not done.
func (a *Admin) atLeaders(doing string, parts []kafka.TopicPartition, try func(l *link, parts []kafka.TopicPartition, timeout time.Duration) (left []kafka.TopicPartition, err error)) error {
	left := slices.Clone(parts)
	slices.SortFunc(left, kafka.TopicPartition.Compare)
	return a.retry(doing, func(timeout time.Duration) error {
		deadline := a.net.host.Uptime() + timeout
		var failed []kafka.TopicPartition
		var last error
		for _, led := range a.byLeader(left, deadline) {
			again, err := led.parts, error(kerr.LeaderNotAvailable)
			if led.link != nil {
				again, err = try(led.link, led.parts, deadline-a.net.host.Uptime())
			}
			if err != nil && !passing(err) {
				return err
			}
			if len(again) > 0 {
				failed, last = append(failed, again...), err
			}
		}
		left = failed
		return last
	})
}

// ledParts are partitions with the same leader.
type ledParts struct {
	link  *link // nil: there is none
	parts []kafka.TopicPartition
}

// byLeader sorts parts by their leaders. It blocks until their topics are known.
func (a *Admin) byLeader(parts []kafka.TopicPartition, deadline time.Duration) (all []ledParts) {
	index := map[kafka.NodeID]int{}
	for i, tp := range parts {
		if i == 0 || tp.Topic != parts[i-1].Topic {
			a.net.metadata.waitFor(tp.Topic, deadline-a.net.host.Uptime(), func(*topic) bool { return true })
		}
		leader, _ := a.net.metadata.leader(tp)
		at, ok := index[leader]
		if !ok {
			at = len(all)
			index[leader] = at
			all = append(all, ledParts{link: a.net.link(leader)})
		}
		all[at].parts = append(all[at].parts, tp)
	}
	return all
}

func code(c int16, message *string) error {
	err := kerr.ErrorForCode(c)
	if err != nil && message != nil && *message != "" {
		return fmt.Errorf("%s: %w", *message, err)
	}
	return err
}

// CreateTopics creates topics.
func (a *Admin) CreateTopics(topics ...NewTopic) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = int32(a.cfg.RequestTimeout.Milliseconds())
	for _, t := range topics {
		req.Topics = append(req.Topics, t.request())
	}
	_, err := anywhere(a, "create topics", req, func(resp *kmsg.CreateTopicsResponse) error {
		var first error
		for _, t := range resp.Topics {
			if err := code(t.ErrorCode, t.ErrorMessage); err != nil && first == nil {
				first = fmt.Errorf("topic %s: %w", t.Topic, err)
			}
		}
		return first
	})
	return err
}

func (t NewTopic) request() kmsg.CreateTopicsRequestTopic {
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = t.Name, cmp.Or(t.Partitions, -1), cmp.Or(t.Replicas, -1)
	for i, nodes := range t.Assignment {
		ra := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		ra.Partition = int32(i)
		for _, n := range nodes {
			ra.Replicas = append(ra.Replicas, int32(n))
		}
		rt.ReplicaAssignment = append(rt.ReplicaAssignment, ra)
		rt.NumPartitions, rt.ReplicationFactor = -1, -1
	}
	for _, name := range slices.Sorted(maps.Keys(t.Configs)) {
		rc := kmsg.NewCreateTopicsRequestTopicConfig()
		rc.Name, rc.Value = name, kmsg.StringPtr(t.Configs[name])
		rt.Configs = append(rt.Configs, rc)
	}
	return rt
}

// DeleteTopics deletes topics.
func (a *Admin) DeleteTopics(topics ...string) error {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = int32(a.cfg.RequestTimeout.Milliseconds())
	req.TopicNames = topics
	for _, name := range topics {
		rt := kmsg.NewDeleteTopicsRequestTopic()
		rt.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, rt)
	}
	_, err := anywhere(a, "delete topics", req, func(resp *kmsg.DeleteTopicsResponse) error {
		var first error
		for _, t := range resp.Topics {
			if err := code(t.ErrorCode, t.ErrorMessage); err != nil && first == nil && t.Topic != nil {
				first = fmt.Errorf("topic %s: %w", *t.Topic, err)
			}
		}
		return first
	})
	return err
}

// CreatePartitions makes a topic have total partitions.
func (a *Admin) CreatePartitions(topic string, total int32) error {
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = int32(a.cfg.RequestTimeout.Milliseconds())
	rt := kmsg.NewCreatePartitionsRequestTopic()
	rt.Topic, rt.Count = topic, total
	req.Topics = append(req.Topics, rt)
	_, err := anywhere(a, "create partitions of "+topic, req, func(resp *kmsg.CreatePartitionsResponse) error {
		if len(resp.Topics) == 0 {
			return errUnanswered
		}
		return code(resp.Topics[0].ErrorCode, resp.Topics[0].ErrorMessage)
	})
	return err
}

// DescribeCluster asks which nodes there are.
func (a *Admin) DescribeCluster() (ClusterDescription, error) {
	resp, err := anywhere(a, "describe the cluster", kmsg.NewPtrDescribeClusterRequest(), func(resp *kmsg.DescribeClusterResponse) error {
		return code(resp.ErrorCode, resp.ErrorMessage)
	})
	if err != nil {
		return ClusterDescription{}, err
	}
	d := ClusterDescription{ClusterID: resp.ClusterID, Controller: kafka.NodeID(resp.ControllerID)}
	for _, b := range resp.Brokers {
		n := NodeDescription{ID: kafka.NodeID(b.NodeID), Addr: joinAddr(b.Host, b.Port)}
		if b.Rack != nil {
			n.Rack = *b.Rack
		}
		d.Nodes = append(d.Nodes, n)
	}
	slices.SortFunc(d.Nodes, func(a, b NodeDescription) int { return cmp.Compare(a.ID, b.ID) })
	return d, nil
}

// DescribeTopics asks for topics, or for all if none is named.
func (a *Admin) DescribeTopics(topics ...string) ([]TopicDescription, error) {
	req := kmsg.NewPtrMetadataRequest() // no list: all
	for _, name := range topics {
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, rt)
	}
	resp, err := anywhere(a, "describe topics", req, func(resp *kmsg.MetadataResponse) error {
		return kerr.ErrorForCode(resp.ErrorCode)
	})
	if err != nil {
		return nil, err
	}
	var out []TopicDescription
	for i := range resp.Topics {
		out = append(out, describeTopic(&resp.Topics[i]))
	}
	slices.SortFunc(out, func(a, b TopicDescription) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

func describeTopic(rt *kmsg.MetadataResponseTopic) TopicDescription {
	t := TopicDescription{ID: rt.TopicID, Err: kerr.ErrorForCode(rt.ErrorCode)}
	if rt.Topic != nil {
		t.Name = *rt.Topic
	}
	for _, rp := range rt.Partitions {
		t.Partitions = append(t.Partitions, PartitionDescription{
			Partition: rp.Partition, Leader: kafka.NodeID(rp.Leader), LeaderEpoch: kafka.LeaderEpoch(rp.LeaderEpoch),
			Replicas: nodeIDs(rp.Replicas), ISR: nodeIDs(rp.ISR), Offline: nodeIDs(rp.OfflineReplicas),
		})
	}
	slices.SortFunc(t.Partitions, func(a, b PartitionDescription) int { return cmp.Compare(a.Partition, b.Partition) })
	return t
}

func nodeIDs(ids []int32) []kafka.NodeID {
	out := make([]kafka.NodeID, len(ids))
	for i, id := range ids {
		out[i] = kafka.NodeID(id)
	}
	return out
}

// ElectLeaders asks for elections, of all partitions if none is named.
// ELECTION_NOT_NEEDED is no error.
func (a *Admin) ElectLeaders(kind ElectionType, partitions ...kafka.TopicPartition) error {
	req := kmsg.NewPtrElectLeadersRequest()
	req.ElectionType, req.TimeoutMillis = int8(kind), int32(a.cfg.RequestTimeout.Milliseconds())
	sorted := slices.Clone(partitions)
	slices.SortFunc(sorted, kafka.TopicPartition.Compare)
	for _, tp := range sorted {
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != tp.Topic {
			rt := kmsg.NewElectLeadersRequestTopic()
			rt.Topic = tp.Topic
			req.Topics = append(req.Topics, rt)
		}
		last := &req.Topics[len(req.Topics)-1]
		last.Partitions = append(last.Partitions, tp.Partition)
	}
	_, err := anywhere(a, "elect leaders", req, func(resp *kmsg.ElectLeadersResponse) error {
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			return err
		}
		for _, rt := range resp.Topics {
			for _, rp := range rt.Partitions {
				err := code(rp.ErrorCode, rp.ErrorMessage)
				if err != nil && rp.ErrorCode != kerr.ElectionNotNeeded.Code {
					return fmt.Errorf("%s/%d: %w", rt.Topic, rp.Partition, err)
				}
			}
		}
		return nil
	})
	return err
}
