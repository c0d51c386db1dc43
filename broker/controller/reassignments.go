package controller

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
)

// AlterPartitionReassignments (key 45, v0-1) moves partitions to other
// replicas, or calls a move off (KIP-455).
//
// Behavior: the new replicas are added first. Once all that are to stay are in
// the ISR, the others leave (partitionChange.finishReassignment).
func (c *Controller) AlterPartitionReassignments(req *kmsg.AlterPartitionAssignmentsRequest) *kmsg.AlterPartitionAssignmentsResponse {
	var resp *kmsg.AlterPartitionAssignmentsResponse
	err := c.write(millis(req.TimeoutMillis), func(b *brain) (out records, err error) {
		resp, out = b.alterReassignments(req)
		return out, nil
	})
	if err != nil {
		resp = req.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
		resp.ErrorCode, resp.ErrorMessage = kafka.Code(err), kafka.Message(err)
	}
	return resp
}

func (b *brain) alterReassignments(req *kmsg.AlterPartitionAssignmentsRequest) (*kmsg.AlterPartitionAssignmentsResponse, records) {
	resp := req.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
	resp.AllowReplicationFactorChange = req.AllowReplicationFactorChange
	if len(req.Topics) == 0 {
		resp.ErrorMessage = kmsg.StringPtr("") // of all answers this one has no null
	}
	sameFactor := req.Version >= 1 && !req.AllowReplicationFactorChange
	var out records
	for _, asked := range req.Topics {
		t := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		t.Topic = asked.Topic
		for _, target := range asked.Partitions {
			record, err := b.reassign(asked.Topic, target, sameFactor)
			out = appendChange(out, record)
			p := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			p.Partition, p.ErrorCode = target.Partition, kafka.Code(err)
			if err != kerr.NoReassignmentInProgress {
				p.ErrorMessage = kafka.Message(err) // Kafka says nothing to that one
			}
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp, out
}

func (b *brain) reassign(topic string, target kmsg.AlterPartitionAssignmentsRequestTopicPartition, sameFactor bool) (*metadata.PartitionChangeRecord, error) {
	p := b.image.Partition(kafka.TopicPartition{Topic: topic, Partition: target.Partition})
	switch {
	case b.image.Topic(topic) == nil:
		return nil, refuse(kerr.UnknownTopicOrPartition, "Unable to find a topic named %s.", topic)
	case p == nil:
		return nil, refuse(kerr.UnknownTopicOrPartition, "Unable to find partition %s:%d.", topic, target.Partition)
	}
	if target.Replicas == nil {
		return b.revert(p)
	}
	want := nodeIDs(target.Replicas)
	if err := b.checkReplicas(want); err != nil {
		return nil, err
	}
	if factor := len(before(p)); sameFactor && len(want) != factor {
		return nil, refuse(kerr.InvalidReplicationFactor, "The replication factor is changed from %d to %d", factor, len(want))
	}
	c := b.change(p)
	c.adding, c.removing = without(want, p.Replicas...), without(p.Replicas, want...)
	slices.Sort(c.adding)
	slices.Sort(c.removing)
	c.replicas = append(slices.Clone(want), c.removing...)
	return c.build(), nil
}

// before is the replicas that p had before it was being reassigned.
func before(p *metadata.Partition) []kafka.NodeID { return without(p.Replicas, p.AddingReplicas...) }

func reassigning(p *metadata.Partition) bool {
	return len(p.AddingReplicas) > 0 || len(p.RemovingReplicas) > 0
}

// revert calls a reassignment off: what was added leaves again.
func (b *brain) revert(p *metadata.Partition) (*metadata.PartitionChangeRecord, error) {
	if !reassigning(p) {
		return nil, kerr.NoReassignmentInProgress
	}
	c := b.change(p)
	c.election = b.automatic(p.Topic)
	c.replicas, c.adding, c.removing = before(p), nil, nil
	c.isr = without(p.ISR, p.AddingReplicas...)
	if len(p.ISR) > 0 && len(c.isr) == 0 {
		// Only what was added is in sync: without it records are lost.
		if c.election != unclean {
			return nil, refuse(kerr.InvalidReplicaAssignment, "%v: going back takes an unclean election", p.TP())
		}
		c.isr = c.replicas[:1]
	}
	return c.build(), nil
}

// ListPartitionReassignments (key 46, v0) lists the reassignments under way.
func (c *Controller) ListPartitionReassignments(req *kmsg.ListPartitionReassignmentsRequest) *kmsg.ListPartitionReassignmentsResponse {
	var resp *kmsg.ListPartitionReassignmentsResponse
	err := c.write(millis(req.TimeoutMillis), func(b *brain) (records, error) {
		resp = b.listReassignments(req)
		return nil, nil
	})
	if err != nil {
		resp = req.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
		resp.ErrorCode, resp.ErrorMessage = kafka.Code(err), kafka.Message(err)
	}
	return resp
}

func (b *brain) listReassignments(req *kmsg.ListPartitionReassignmentsRequest) *kmsg.ListPartitionReassignmentsResponse {
	resp := req.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
	asked := map[kafka.TopicPartition]bool{}
	for i := range req.Topics {
		for _, id := range req.Topics[i].Partitions {
			asked[kafka.TopicPartition{Topic: req.Topics[i].Topic, Partition: id}] = true
		}
	}
	for _, topic := range b.image.Topics() {
		t := kmsg.NewListPartitionReassignmentsResponseTopic()
		t.Topic = topic.Name
		for _, p := range topic.Partitions {
			if reassigning(p) && (req.Topics == nil || asked[p.TP()]) {
				x := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
				x.Partition, x.Replicas = p.ID, int32s(p.Replicas)
				x.AddingReplicas, x.RemovingReplicas = int32s(p.AddingReplicas), int32s(p.RemovingReplicas)
				t.Partitions = append(t.Partitions, x)
			}
		}
		if len(t.Partitions) > 0 {
			resp.Topics = append(resp.Topics, t)
		}
	}
	return resp
}
