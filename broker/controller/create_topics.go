package controller

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
)

// CreateTopics (key 19, v2-7) creates topics, each on its own: one that fails
// does not keep the others.
//
// Behavior: a topic named twice is refused, once; replicas are placed by the
// striped placer unless assigned; those that are active are the first ISR.
//
// Version notes: v4 has defaults for partitions and replicas (-1); v5 answers
// the topic's configuration, v7 its id.
//
// Missing: policies, quotas, and partitions beyond maxRecords in one go.
func (c *Controller) CreateTopics(req *kmsg.CreateTopicsRequest) *kmsg.CreateTopicsResponse {
	var resp *kmsg.CreateTopicsResponse
	err := c.write(millis(req.TimeoutMillis), func(b *brain) (out records, err error) {
		resp, out = b.createTopics(req)
		return out, nil
	})
	if err != nil {
		resp = req.ResponseKind().(*kmsg.CreateTopicsResponse)
		for _, asked := range req.Topics {
			resp.Topics = append(resp.Topics, refusedTopic(asked.Topic, err))
		}
	}
	return resp
}

// maxRecords bounds what one request writes (MAX_RECORDS_PER_USER_OP).
const maxRecords = 10_000

func refusedTopic(name string, err error) kmsg.CreateTopicsResponseTopic {
	t := kmsg.NewCreateTopicsResponseTopic()
	t.Topic, t.ErrorCode, t.ErrorMessage = name, kafka.Code(err), kafka.Message(err)
	t.Configs = []kmsg.CreateTopicsResponseTopicConfig{} // none, not null
	return t
}

func (b *brain) createTopics(req *kmsg.CreateTopicsRequest) (*kmsg.CreateTopicsResponse, records) {
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	var out records
	names := countNames(req.Topics, func(t *kmsg.CreateTopicsRequestTopic) string { return t.Topic })
	tooMany := b.askedPartitions(req, names) > maxRecords
	taken := b.collisions()
	for i := range req.Topics {
		asked := &req.Topics[i]
		switch names[asked.Topic] {
		case 1:
		case answered:
			continue
		default:
			names[asked.Topic] = answered
			resp.Topics = append(resp.Topics, refusedTopic(asked.Topic, refuse(kerr.InvalidRequest, "Duplicate topic name.")))
			continue
		}
		if tooMany {
			resp.Topics = append(resp.Topics, refusedTopic(asked.Topic, refuse(kerr.PolicyViolation, "Excessively large number of partitions per request.")))
			continue
		}
		answer, written, err := b.createTopic(asked, taken)
		if err == nil && len(out)+len(written) > maxRecords {
			err = refuse(kerr.PolicyViolation, "Excessively large number of partitions per request.")
		}
		if err != nil {
			resp.Topics = append(resp.Topics, refusedTopic(asked.Topic, err))
			continue
		}
		out = append(out, written...)
		resp.Topics = append(resp.Topics, answer)
	}
	if req.ValidateOnly {
		out = nil
	}
	return resp, out
}

// answered marks a name for which the one answer has been given.
const answered = -1

// countNames counts how often each name is asked for.
func countNames[T any](asked []T, name func(*T) string) map[string]int {
	out := make(map[string]int, len(asked))
	for i := range asked {
		out[name(&asked[i])]++
	}
	return out
}

// askedPartitions is how many partitions the request would make in all.
func (b *brain) askedPartitions(req *kmsg.CreateTopicsRequest, names map[string]int) (n int64) {
	for i := range req.Topics {
		asked := &req.Topics[i]
		switch {
		case names[asked.Topic] != 1:
		case len(asked.ReplicaAssignment) > 0:
			n += int64(len(asked.ReplicaAssignment))
		case asked.NumPartitions == -1:
			n += int64(b.cfg.Settings.NumPartitions)
		default:
			n += int64(asked.NumPartitions)
		}
	}
	return n
}

func (b *brain) createTopic(asked *kmsg.CreateTopicsRequestTopic, taken collisions) (answer kmsg.CreateTopicsResponseTopic, written records, err error) {
	if asked.Topic == kafka.MetadataTopic {
		// It would get the quorum's own log for its first partition.
		return answer, nil, refuse(kerr.InvalidRequest, "Creation of internal topic %s is prohibited.", asked.Topic)
	}
	if err := taken.check(asked.Topic); err != nil {
		return answer, nil, err
	}
	if b.image.Topic(asked.Topic) != nil {
		return answer, nil, refuse(kerr.TopicAlreadyExists, "Topic '%s' already exists.", asked.Topic)
	}
	configs, err := b.newTopicConfigs(asked)
	if err != nil {
		return answer, nil, err
	}
	assignment, err := b.newAssignment(asked)
	if err != nil {
		return answer, nil, err
	}
	topic := &metadata.TopicRecord{Name: asked.Topic, TopicID: kafka.NewUUID(b.luck)}
	written = append(written, topic)
	for _, c := range configs {
		written = append(written, c)
	}
	for i, replicas := range assignment {
		written = append(written, b.newPartition(topic.TopicID, int32(i), replicas))
	}
	return b.createdTopic(topic, configs, assignment), written, nil
}

// newPartition begins with an ISR of those replicas that are active. The caller
// has seen that there is one.
func (b *brain) newPartition(topic kafka.UUID, id int32, replicas []kafka.NodeID) *metadata.PartitionRecord {
	isr := b.activeOf(replicas)
	return &metadata.PartitionRecord{
		TopicID: topic, PartitionID: id, Replicas: replicas, ISR: isr, Leader: isr[0],
	}
}

// newAssignment is the replicas of each partition of a new topic.
func (b *brain) newAssignment(asked *kmsg.CreateTopicsRequestTopic) ([][]kafka.NodeID, error) {
	if len(asked.ReplicaAssignment) > 0 {
		return b.manualAssignment(asked)
	}
	partitions, replicas := asked.NumPartitions, int32(asked.ReplicationFactor)
	switch {
	case replicas == 0 || replicas < -1:
		return nil, invalidReplicationFactor("Replication factor must be larger than 0, or -1 to use the default value.")
	case partitions == 0 || partitions < -1:
		return nil, refuse(kerr.InvalidPartitions, "Number of partitions was set to an invalid non-positive value.")
	}
	if partitions == -1 {
		partitions = b.cfg.Settings.NumPartitions
	}
	if replicas == -1 {
		replicas = b.cfg.Settings.ReplicationFactor
	}
	return b.place(partitions, replicas)
}

// place lets the placer choose.
func (b *brain) place(partitions, replicas int32) ([][]kafka.NodeID, error) {
	out, err := place(b.usable(), partitions, replicas, b.luck)
	if err != nil {
		return nil, err
	}
	for _, nodes := range out {
		if len(b.activeOf(nodes)) == 0 {
			panic(fmt.Sprintf("controller: placed replicas %s, none of which is active", nodeList(nodes)))
		}
		if slices.ContainsFunc(nodes, func(n kafka.NodeID) bool { return b.image.Broker(n).InControlledShutdown }) {
			b.reached(ProbePlacedOnStopped)
		}
	}
	return out, nil
}

func (b *brain) manualAssignment(asked *kmsg.CreateTopicsRequestTopic) ([][]kafka.NodeID, error) {
	switch {
	case asked.ReplicationFactor != -1:
		return nil, refuse(kerr.InvalidRequest, "A manual partition assignment was specified, but replication factor was not set to -1.")
	case asked.NumPartitions != -1:
		return nil, refuse(kerr.InvalidRequest, "A manual partition assignment was specified, but numPartitions was not set to -1.")
	}
	out := make([][]kafka.NodeID, len(asked.ReplicaAssignment))
	factor := len(asked.ReplicaAssignment[0].Replicas)
	for _, a := range asked.ReplicaAssignment {
		if i := a.Partition; i >= 0 && int(i) < len(out) && out[i] != nil {
			return nil, refuse(kerr.InvalidReplicaAssignment, "Found multiple manual partition assignments for partition %d", i)
		} else if i < 0 || int(i) >= len(out) {
			return nil, refuse(kerr.InvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence")
		}
		replicas := nodeIDs(a.Replicas)
		if err := b.checkAssignment(a.Partition, replicas, factor); err != nil {
			return nil, err
		}
		out[a.Partition] = replicas
	}
	return out, nil
}

// checkAssignment holds the replicas that a request chose against the cluster.
// factor is how many there must be.
func (b *brain) checkAssignment(partition int32, replicas []kafka.NodeID, factor int) error {
	if err := b.checkReplicas(replicas); err != nil {
		return err
	}
	if len(replicas) != factor {
		return refuse(kerr.InvalidReplicaAssignment, "The manual partition assignment includes a partition with %d replica(s), but this is not consistent with previous partitions, which have %d replica(s).", len(replicas), factor)
	}
	if len(b.activeOf(replicas)) == 0 {
		return refuse(kerr.InvalidReplicaAssignment, "All brokers specified in the manual partition assignment for partition %d are fenced or in controlled shutdown.", partition)
	}
	return nil
}

func (b *brain) checkReplicas(replicas []kafka.NodeID) error {
	if len(replicas) == 0 {
		return refuse(kerr.InvalidReplicaAssignment, "The manual partition assignment includes an empty replica list.")
	}
	// In the order of the ids, as Kafka looks: the first that is wrong is named.
	sorted := slices.Sorted(slices.Values(replicas))
	for i, id := range sorted {
		if b.image.Broker(id) == nil {
			return refuse(kerr.InvalidReplicaAssignment, "The manual partition assignment includes broker %d, but no such broker is registered.", id)
		}
		if i > 0 && sorted[i-1] == id {
			return refuse(kerr.InvalidReplicaAssignment, "The manual partition assignment includes the broker %d more than once.", id)
		}
	}
	return nil
}

func (b *brain) createdTopic(topic *metadata.TopicRecord, configs []*metadata.ConfigRecord, assignment [][]kafka.NodeID) kmsg.CreateTopicsResponseTopic {
	t := kmsg.NewCreateTopicsResponseTopic()
	t.Topic, t.TopicID = topic.Name, topic.TopicID
	t.NumPartitions, t.ReplicationFactor = int32(len(assignment)), int16(len(assignment[0]))
	t.Configs = b.effectiveConfigs(configs)
	return t
}
