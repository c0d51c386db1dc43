package client

import (
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
)

// AlterPartitionReassignments says which nodes are to hold partitions, the preferred leader
// first; nil calls off what is under way (KIP-455). It is answered when the controller has
// decided so, long before the new replicas have caught up.
func (a *Admin) AlterPartitionReassignments(to map[kafka.TopicPartition][]kafka.NodeID) error {
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	req.TimeoutMillis = int32(a.cfg.RequestTimeout.Milliseconds())
	for _, tp := range slices.SortedFunc(maps.Keys(to), kafka.TopicPartition.Compare) {
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != tp.Topic {
			rt := kmsg.NewAlterPartitionAssignmentsRequestTopic()
			rt.Topic = tp.Topic
			req.Topics = append(req.Topics, rt)
		}
		rp := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
		rp.Partition = tp.Partition
		for _, n := range to[tp] {
			rp.Replicas = append(rp.Replicas, int32(n))
		}
		last := &req.Topics[len(req.Topics)-1]
		last.Partitions = append(last.Partitions, rp)
	}
	_, err := anywhere(a, "alter partition reassignments", req, func(resp *kmsg.AlterPartitionAssignmentsResponse) error {
		if err := code(resp.ErrorCode, resp.ErrorMessage); err != nil {
			return err
		}
		for _, rt := range resp.Topics {
			for _, rp := range rt.Partitions {
				if err := code(rp.ErrorCode, rp.ErrorMessage); err != nil {
					return fmt.Errorf("%s/%d: %w", rt.Topic, rp.Partition, err)
				}
			}
		}
		return nil
	})
	return err
}

// Reassignment is a partition whose replicas are being changed.
type Reassignment struct {
	Partition                  kafka.TopicPartition
	Replicas, Adding, Removing []kafka.NodeID
}

// ListPartitionReassignments lists what is under way, of all partitions.
func (a *Admin) ListPartitionReassignments() ([]Reassignment, error) {
	req := kmsg.NewPtrListPartitionReassignmentsRequest() // no list: all
	req.TimeoutMillis = int32(a.cfg.RequestTimeout.Milliseconds())
	resp, err := anywhere(a, "list partition reassignments", req, func(resp *kmsg.ListPartitionReassignmentsResponse) error {
		return code(resp.ErrorCode, resp.ErrorMessage)
	})
	if err != nil {
		return nil, err
	}
	var all []Reassignment
	for _, rt := range resp.Topics {
		for _, rp := range rt.Partitions {
			all = append(all, Reassignment{
				Partition: kafka.TopicPartition{Topic: rt.Topic, Partition: rp.Partition},
				Replicas:  nodeIDs(rp.Replicas), Adding: nodeIDs(rp.AddingReplicas), Removing: nodeIDs(rp.RemovingReplicas),
			})
		}
	}
	slices.SortFunc(all, func(x, y Reassignment) int { return x.Partition.Compare(y.Partition) })
	return all, nil
}
