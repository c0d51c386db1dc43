package controller

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
)

// AlterPartition (key 56, v2-3) is how a leader changes the ISR of its
// partition (KIP-497).
//
// Behavior:
//   - The leader's broker epoch, its leader epoch and the partition epoch must
//     be the current ones; epochs from the future mean that this controller is
//     behind, so it is not the one to ask.
//   - A broker that is fenced or shutting down may not be in the new ISR (KIP-841), nor a
//     broker whose epoch is not the one that fetched (KIP-903).
//   - A change that ends a reassignment may depose the leader that asked for
//     it. It is done all the same, and answered NEW_LEADER_ELECTED.
//
// Version notes: v2 names topics by id; v3 has the broker epochs of the new ISR.
func (c *Controller) AlterPartition(req *kmsg.AlterPartitionRequest) *kmsg.AlterPartitionResponse {
	var resp *kmsg.AlterPartitionResponse
	err := c.write(commitTimeout, func(b *brain) (out records, err error) {
		resp, out, err = b.alterPartition(req)
		return out, err
	})
	if err != nil {
		resp = req.ResponseKind().(*kmsg.AlterPartitionResponse)
		resp.ErrorCode = kafka.Code(err)
	}
	return resp
}

func (b *brain) alterPartition(req *kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, records, error) {
	if err := b.checkEpoch(kafka.NodeID(req.BrokerID), kafka.BrokerEpoch(req.BrokerEpoch)); err != nil {
		return nil, nil, err
	}
	resp := req.ResponseKind().(*kmsg.AlterPartitionResponse)
	var out records
	for _, reqTopic := range req.Topics {
		respTopic := kmsg.NewAlterPartitionResponseTopic()
		respTopic.Topic, respTopic.TopidID = reqTopic.Topic, reqTopic.TopicID
		topic := b.image.TopicByID(reqTopic.TopicID)
		for i := range reqTopic.Partitions {
			asked := &reqTopic.Partitions[i]
			answer := kmsg.NewAlterPartitionResponseTopicPartition()
			answer.Partition = asked.Partition
			if p, record, err := b.alterISR(req, topic, asked); err != nil {
				answer.ErrorCode = kafka.Code(err)
				out = appendChange(out, record)
			} else {
				answer.LeaderID, answer.LeaderEpoch = int32(p.Leader), int32(p.LeaderEpoch)
				answer.ISR = int32s(p.ISR)
				answer.LeaderRecoveryState = int8(p.Recovery)
				answer.PartitionEpoch = int32(p.PartitionEpoch)
				out = appendChange(out, record)
			}
			respTopic.Partitions = append(respTopic.Partitions, answer)
		}
		resp.Topics = append(resp.Topics, respTopic)
	}
	return resp, out, nil
}

// alterISR returns the partition as it will be, and the record that makes it
// so. A change that deposes the leader is both a record and an error.
func (b *brain) alterISR(req *kmsg.AlterPartitionRequest, topic *metadata.Topic, asked *kmsg.AlterPartitionRequestTopicPartition) (
	*metadata.Partition, *metadata.PartitionChangeRecord, error,
) {
	if topic == nil {
		return nil, nil, kerr.UnknownTopicID
	}
	p := topic.Partition(asked.Partition)
	if p == nil {
		return nil, nil, kerr.UnknownTopicOrPartition
	}
	leader := kafka.NodeID(req.BrokerID)
	isr := askedISR(req.Version, asked)
	if err := b.checkAlter(p, leader, asked, isr); err != nil {
		return nil, nil, err
	}
	c := b.change(p)
	c.isr = idsOf(isr)
	c.recovery = metadata.LeaderRecoveryState(asked.LeaderRecoveryState)
	c.election = b.automatic(p.Topic)
	record := c.build()
	if record == nil {
		return p, nil, nil
	}
	after := p.Merge(record)
	if record.Leader != metadata.NoLeaderChange && record.Leader != leader {
		return after, record, kerr.NewLeaderElected
	}
	return after, record, nil
}

// fetcher is a broker as the leader saw it fetch.
type fetcher struct {
	id    kafka.NodeID
	epoch kafka.BrokerEpoch // -1: not known
}

func askedISR(version int16, asked *kmsg.AlterPartitionRequestTopicPartition) []fetcher {
	var out []fetcher
	if version < 3 {
		for _, id := range asked.NewISR {
			out = append(out, fetcher{kafka.NodeID(id), kafka.NoEpoch})
		}
		return out
	}
	for _, x := range asked.NewEpochISR {
		out = append(out, fetcher{kafka.NodeID(x.BrokerID), kafka.BrokerEpoch(x.BrokerEpoch)})
	}
	return out
}

func idsOf(isr []fetcher) []kafka.NodeID {
	out := make([]kafka.NodeID, len(isr))
	for i, x := range isr {
		out[i] = x.id
	}
	return out
}

func (b *brain) checkAlter(p *metadata.Partition, leader kafka.NodeID, asked *kmsg.AlterPartitionRequestTopicPartition, isr []fetcher) error {
	recovery := metadata.LeaderRecoveryState(asked.LeaderRecoveryState)
	switch {
	case kafka.LeaderEpoch(asked.LeaderEpoch) > p.LeaderEpoch, kafka.PartitionEpoch(asked.PartitionEpoch) > p.PartitionEpoch:
		return kerr.NotController
	case kafka.LeaderEpoch(asked.LeaderEpoch) < p.LeaderEpoch:
		return kerr.FencedLeaderEpoch
	case leader != p.Leader:
		return kerr.InvalidRequest
	case kafka.PartitionEpoch(asked.PartitionEpoch) < p.PartitionEpoch:
		return kerr.InvalidUpdateVersion
	case !validISR(p, isr):
		return kerr.InvalidRequest
	case recovery != metadata.Recovered && recovery != metadata.Recovering:
		return kerr.InvalidRequest
	case recovery == metadata.Recovering && (len(isr) > 1 || p.Recovery == metadata.Recovered):
		return kerr.InvalidRequest
	}
	for _, x := range isr {
		if why := b.ineligible(x); why != "" {
			return refuse(kerr.IneligibleReplica, "%v: replica %d %s", p.TP(), x.id, why)
		}
	}
	return nil
}

// validISR: the leader is in it, only replicas are, and each once.
func validISR(p *metadata.Partition, isr []fetcher) bool {
	ids := idsOf(isr)
	for i, id := range ids {
		if slices.Contains(ids[:i], id) || !slices.Contains(p.Replicas, id) {
			return false
		}
	}
	return slices.Contains(ids, p.Leader)
}

// ineligible says why a broker may not be in an ISR, or "".
func (b *brain) ineligible(x fetcher) string {
	broker := b.image.Broker(x.id)
	switch {
	case broker == nil:
		return "is not registered"
	case broker.InControlledShutdown:
		b.reached(ProbeShuttingDownKeptOut)
		return "is shutting down"
	case broker.Fenced:
		b.reached(ProbeFencedKeptOut)
		return "is fenced"
	}
	// What an earlier incarnation fetched says nothing about what this one
	// has: it may have lost its disk in between (KIP-903).
	stale := x.epoch != kafka.NoEpoch && x.epoch != broker.Epoch
	if b.cfg.Bugs.On(planted.IgnoreBrokerEpoch) {
		b.cfg.Bugs.Infected(planted.IgnoreBrokerEpoch, stale)
		stale = false
	}
	if stale {
		b.reached(ProbeEarlierKeptOut)
		return fmt.Sprintf("has broker epoch %d, not %d", broker.Epoch, x.epoch)
	}
	return ""
}

func appendChange(to records, record *metadata.PartitionChangeRecord) records {
	if record == nil {
		return to
	}
	return append(to, record)
}

func int32s(nodes []kafka.NodeID) []int32 {
	out := make([]int32, len(nodes))
	for i, id := range nodes {
		out[i] = int32(id)
	}
	return out
}

func nodeIDs(ids []int32) []kafka.NodeID {
	out := make([]kafka.NodeID, len(ids))
	for i, id := range ids {
		out[i] = kafka.NodeID(id)
	}
	return out
}

func nodeList(nodes []kafka.NodeID) string {
	var sb strings.Builder
	for i, id := range nodes {
		if i > 0 {
			sb.WriteByte(',')
		}
		fmt.Fprintf(&sb, "%d", id)
	}
	return sb.String()
}
