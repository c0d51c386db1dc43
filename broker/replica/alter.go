package replica

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
)

// alterer is the task that takes proposals of all partitions to the
// controller: one request at a time, each with all that have come up, repeated
// until there is an answer.
type alterer struct {
	m      *Manager
	queue  []alteration
	wake   env.Signal
	closed bool
}

type alteration struct {
	p *Partition
	*proposal
}

// alterVersion is AlterPartition's: 3 carries broker epochs (KIP-903).
const alterVersion = 3

func (a *alterer) submit(p *Partition, pr *proposal) {
	a.queue = append(a.queue, alteration{p, pr})
	a.wake.Notify()
}

func (a *alterer) run() {
	for !a.closed {
		a.queue = slices.DeleteFunc(a.queue, func(x alteration) bool { return x.p.isr.proposal != x.proposal })
		if len(a.queue) == 0 {
			a.wake.Wait(env.Forever)
			continue
		}
		batch := slices.Clone(a.queue)
		resp, err := a.m.ctl.Call(a.request(batch), a.m.cfg.SocketTimeout)
		if err != nil || !a.answer(batch, resp.(*kmsg.AlterPartitionResponse)) {
			a.m.host.Sleep(alterPartitionRetry)
		}
	}
}

func (a *alterer) request(batch []alteration) *kmsg.AlterPartitionRequest {
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version = alterVersion
	req.BrokerID, req.BrokerEpoch = int32(a.m.cfg.NodeID), int64(a.m.brokerEpoch)
	slices.SortFunc(batch, func(x, y alteration) int { return x.p.tp.Compare(y.p.tp) })
	for _, x := range batch {
		if n := len(req.Topics); n == 0 || req.Topics[n-1].TopicID != x.topic {
			t := kmsg.NewAlterPartitionRequestTopic()
			t.TopicID = x.topic
			req.Topics = append(req.Topics, t)
		}
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, x.request())
	}
	return req
}

func (x alteration) request() kmsg.AlterPartitionRequestTopicPartition {
	out := kmsg.NewAlterPartitionRequestTopicPartition()
	out.Partition = x.p.tp.Partition
	out.LeaderEpoch, out.PartitionEpoch = int32(x.epoch), int32(x.registry)
	for i, id := range x.isr {
		member := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
		member.BrokerID, member.BrokerEpoch = int32(id), int64(x.brokers[i])
		out.NewEpochISR = append(out.NewEpochISR, member)
	}
	return out
}

// answer hands out the parts of the controller's answer. It reports false if
// some must be asked for again, after a pause.
func (a *alterer) answer(batch []alteration, resp *kmsg.AlterPartitionResponse) bool {
	if resp.ErrorCode != 0 {
		return false // STALE_BROKER_EPOCH, for one, mends itself with a registration
	}
	settled := true
	for _, x := range batch {
		part := answerOf(resp, x.topic, x.p.tp.Partition)
		if part == nil {
			settled = false // not answered: it stays in the queue
			continue
		}
		again := false
		if part.ErrorCode == 0 {
			x.p.accepted(x.proposal, nodes(part.ISR), kafka.LeaderEpoch(part.LeaderEpoch), kafka.PartitionEpoch(part.PartitionEpoch))
		} else {
			again = x.p.rejected(x.proposal, kerr.ErrorForCode(part.ErrorCode))
		}
		if again {
			settled = false
			continue
		}
		a.queue = slices.DeleteFunc(a.queue, func(y alteration) bool { return y.proposal == x.proposal })
	}
	return settled
}

func answerOf(resp *kmsg.AlterPartitionResponse, topic kafka.UUID, partition int32) *kmsg.AlterPartitionResponseTopicPartition {
	for i := range resp.Topics {
		if resp.Topics[i].TopidID != topic {
			continue
		}
		for j := range resp.Topics[i].Partitions {
			if p := &resp.Topics[i].Partitions[j]; p.Partition == partition {
				return p
			}
		}
	}
	return nil
}

func nodes(ids []int32) []kafka.NodeID {
	out := make([]kafka.NodeID, len(ids))
	for i, id := range ids {
		out[i] = kafka.NodeID(id)
	}
	return out
}
