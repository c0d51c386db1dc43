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
// Behavior: a topic named twice is refused; replicas are placed by the striped
// placer unless assigned; whoever is active of them is the first ISR.
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
	t.Topic, t.ErrorCode, t.ErrorMessage = name, kafka.Code(err), message(err)
	return t
}

func (b *brain) createTopics(req *kmsg.CreateTopicsRequest) (*kmsg.CreateTopicsResponse, records) {
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	var out records
	for i := range req.Topics {
		asked := &req.Topics[i]
		answer, made, err := b.createTopic(req, asked)
		if err == nil && len(out)+len(made) > maxRecords {
			err = refuse(kerr.PolicyViolation, "more than %d records in one request", maxRecords)
		}
		if err != nil {
			resp.Topics = append(resp.Topics, refusedTopic(asked.Topic, err))
			continue
		}
		out = append(out, made...)
		resp.Topics = append(resp.Topics, answer)
	}
	if req.ValidateOnly {
		out = nil
	}
	return resp, out
}

func (b *brain) createTopic(req *kmsg.CreateTopicsRequest, asked *kmsg.CreateTopicsRequestTopic) (answer kmsg.CreateTopicsResponseTopic, made records, err error) {
	if timesNamed(req, asked.Topic) > 1 {
		return answer, nil, refuse(kerr.InvalidRequest, "topic %q is named more than once", asked.Topic)
	}
	if asked.Topic == kafka.MetadataTopic {
		// It would get the quorum's own log for its first partition.
		return answer, nil, refuse(kerr.InvalidRequest, "topic %q is the quorum's", asked.Topic)
	}
	if err := b.checkTopicName(asked.Topic); err != nil {
		return answer, nil, err
	}
	if b.image.Topic(asked.Topic) != nil {
		return answer, nil, refuse(kerr.TopicAlreadyExists, "topic %q already exists", asked.Topic)
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
	made = append(made, topic)
	for _, c := range configs {
		made = append(made, c)
	}
	for i, replicas := range assignment {
		made = append(made, b.newPartition(topic.TopicID, int32(i), replicas))
	}
	return b.createdTopic(topic, configs, assignment), made, nil
}

func timesNamed(req *kmsg.CreateTopicsRequest, name string) int {
	n := 0
	for i := range req.Topics {
		if req.Topics[i].Topic == name {
			n++
		}
	}
	return n
}

// newPartition begins with an ISR of whoever is active. The caller has seen
// that somebody is.
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
		return nil, invalidReplicationFactor("replication factor %d found, at least 1 expected, or -1 for the default", replicas)
	case partitions == 0 || partitions < -1:
		return nil, refuse(kerr.InvalidPartitions, "%d partitions found, at least 1 expected, or -1 for the default", partitions)
	}
	if partitions == -1 {
		partitions = b.cfg.Settings.NumPartitions
	}
	if replicas == -1 {
		replicas = b.cfg.Settings.ReplicationFactor
	}
	if partitions > maxRecords {
		return nil, refuse(kerr.PolicyViolation, "%d partitions found, at most %d expected", partitions, maxRecords)
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
	}
	return out, nil
}

func (b *brain) manualAssignment(asked *kmsg.CreateTopicsRequestTopic) ([][]kafka.NodeID, error) {
	if asked.ReplicationFactor != -1 || asked.NumPartitions != -1 {
		return nil, refuse(kerr.InvalidRequest, "replicas are assigned, so the number of partitions and the replication factor must be -1")
	}
	out := make([][]kafka.NodeID, len(asked.ReplicaAssignment))
	factor := len(asked.ReplicaAssignment[0].Replicas)
	for _, a := range asked.ReplicaAssignment {
		if a.Partition < 0 || int(a.Partition) >= len(out) || out[a.Partition] != nil {
			return nil, refuse(kerr.InvalidReplicaAssignment, "partition %d is assigned twice or out of turn, 0 to %d expected", a.Partition, len(out)-1)
		}
		replicas := nodeIDs(a.Replicas)
		if err := b.checkAssignment(a.Partition, replicas, factor); err != nil {
			return nil, err
		}
		out[a.Partition] = replicas
	}
	return out, nil
}

// checkAssignment holds replicas that somebody chose against the cluster.
// factor is how many there must be.
func (b *brain) checkAssignment(partition int32, replicas []kafka.NodeID, factor int) error {
	if err := b.checkReplicas(partition, replicas); err != nil {
		return err
	}
	if len(replicas) != factor {
		return refuse(kerr.InvalidReplicaAssignment, "partition %d: %d replicas found, %d expected as of the others", partition, len(replicas), factor)
	}
	if len(b.activeOf(replicas)) == 0 {
		return refuse(kerr.InvalidReplicaAssignment, "partition %d: all of %s are fenced or in controlled shutdown", partition, nodeList(replicas))
	}
	return nil
}

func (b *brain) checkReplicas(partition int32, replicas []kafka.NodeID) error {
	if len(replicas) == 0 {
		return refuse(kerr.InvalidReplicaAssignment, "partition %d: no replica is named", partition)
	}
	for i, id := range replicas {
		if b.image.Broker(id) == nil {
			return refuse(kerr.InvalidReplicaAssignment, "partition %d: broker %d is not registered", partition, id)
		}
		if slices.Contains(replicas[:i], id) {
			return refuse(kerr.InvalidReplicaAssignment, "partition %d: broker %d is named twice", partition, id)
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
