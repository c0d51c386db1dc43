package replica

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
)

// The timestamps of ListOffsets that are no timestamps.
const (
	latestTimestamp        = -1
	earliestTimestamp      = -2
	maxTimestamp           = -3 // KIP-734
	earliestLocalTimestamp = -4 // KIP-405: the same, as nothing is tiered
	latestTieredTimestamp  = -5 // KIP-1005: no offset, as nothing is tiered
)

// specialSince is the version of ListOffsets that a timestamp below 0 came with.
var specialSince = map[int64]int16{
	latestTimestamp: 1, earliestTimestamp: 1, maxTimestamp: 7, earliestLocalTimestamp: 8, latestTieredTimestamp: 9,
}

// ListOffsets answers where logs begin and end, and by timestamp. A partition
// that is named twice is INVALID_REQUEST, once.
func (m *Manager) ListOffsets(req *kmsg.ListOffsetsRequest) *kmsg.ListOffsetsResponse {
	resp := kmsg.NewPtrListOffsetsResponse()
	resp.Version = req.Version
	const answeredAlready = -1
	asked := map[kafka.TopicPartition]int{}
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			asked[kafka.TopicPartition{Topic: req.Topics[i].Topic, Partition: req.Topics[i].Partitions[j].Partition}]++
		}
	}
	for _, t := range req.Topics {
		out := kmsg.NewListOffsetsResponseTopic()
		out.Topic = t.Topic
		for _, in := range t.Partitions {
			answer := kmsg.NewListOffsetsResponseTopicPartition()
			answer.Partition, answer.Offset, answer.Timestamp, answer.LeaderEpoch = in.Partition, -1, -1, -1
			tp := kafka.TopicPartition{Topic: t.Topic, Partition: in.Partition}
			switch asked[tp] {
			case answeredAlready:
				continue
			case 1:
				answer.ErrorCode = kafka.Code(m.listOffset(req, tp, in, &answer))
			default:
				answer.ErrorCode = kerr.InvalidRequest.Code
			}
			asked[tp] = answeredAlready
			out.Partitions = append(out.Partitions, answer)
		}
		if len(out.Partitions) == 0 && len(t.Partitions) > 0 {
			continue // all were answered with the topic's first mention
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}

func (m *Manager) listOffset(req *kmsg.ListOffsetsRequest, tp kafka.TopicPartition, in kmsg.ListOffsetsRequestTopicPartition, out *kmsg.ListOffsetsResponseTopicPartition) error {
	if since, known := specialSince[in.Timestamp]; in.Timestamp < 0 && (!known || req.Version < since) {
		return kerr.UnsupportedVersion
	}
	p, err := m.lookupName(tp)
	if err != nil {
		return err
	}
	return p.listOffset(req, in, out)
}

func (p *Partition) listOffset(req *kmsg.ListOffsetsRequest, in kmsg.ListOffsetsRequestTopicPartition, out *kmsg.ListOffsetsResponseTopicPartition) error {
	p.gate.enter()
	defer p.gate.leave()
	if err := p.checkLeader(kafka.LeaderEpoch(in.CurrentLeaderEpoch)); err != nil {
		return err
	}
	replica := req.ReplicaID >= 0
	end := p.hw
	switch {
	case replica:
		end = p.end
	case req.IsolationLevel == 1:
		end = p.lastStable()
	}
	// A new leader's high watermark may lag behind what its predecessor showed
	// to clients; until it has caught up, the end would go backwards (KIP-207).
	lagging := !replica && p.hw < p.epochStart
	if p.m.bugs.On(planted.ListNoEpochStart) {
		p.m.bugs.Infected(planted.ListNoEpochStart, lagging)
		lagging = false
	}
	switch in.Timestamp {
	case latestTimestamp:
		if lagging {
			p.m.host.Reached(ProbeEndNotYet)
			return kerr.OffsetNotAvailable
		}
		out.Offset, out.LeaderEpoch = int64(end), int32(p.epoch)
		if !replica {
			p.m.host.Tell(&witness.EndServed{Replica: p.self, End: end, Epoch: p.epoch, HW: p.hw})
		}
		return nil
	case earliestTimestamp, earliestLocalTimestamp:
		start := p.log.StartOffset()
		out.Offset, out.LeaderEpoch = int64(start), int32(p.log.EpochAt(start))
		return nil
	case latestTieredTimestamp:
		return nil
	}
	find := func() (log.TimestampOffset, bool, error) { return p.log.OffsetForTimestamp(in.Timestamp) }
	if in.Timestamp == maxTimestamp {
		find = p.log.OffsetOfMaxTimestamp
	}
	found, ok, err := find()
	switch {
	case err != nil:
		return err
	case ok && found.Offset < end:
		out.Offset, out.Timestamp, out.LeaderEpoch = int64(found.Offset), found.Timestamp, int32(found.Epoch)
	case lagging:
		return kerr.OffsetNotAvailable
	}
	return nil // no offset: no such record may be read
}

// OffsetForLeaderEpoch answers where leader epochs end.
func (m *Manager) OffsetForLeaderEpoch(req *kmsg.OffsetForLeaderEpochRequest) *kmsg.OffsetForLeaderEpochResponse {
	resp := kmsg.NewPtrOffsetForLeaderEpochResponse()
	resp.Version = req.Version
	for _, t := range req.Topics {
		out := kmsg.NewOffsetForLeaderEpochResponseTopic()
		out.Topic = t.Topic
		for _, in := range t.Partitions {
			answer := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			answer.Partition, answer.LeaderEpoch, answer.EndOffset = in.Partition, -1, -1
			p, err := m.lookupName(kafka.TopicPartition{Topic: t.Topic, Partition: in.Partition})
			if err == nil {
				err = p.epochEnd(in, &answer)
			}
			answer.ErrorCode = kafka.Code(err)
			out.Partitions = append(out.Partitions, answer)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}

func (p *Partition) epochEnd(in kmsg.OffsetForLeaderEpochRequestTopicPartition, out *kmsg.OffsetForLeaderEpochResponseTopicPartition) error {
	p.gate.enter()
	defer p.gate.leave()
	if err := p.checkLeader(kafka.LeaderEpoch(in.CurrentLeaderEpoch)); err != nil {
		return err
	}
	epoch, end := p.log.EndOffsetFor(kafka.LeaderEpoch(in.LeaderEpoch))
	out.LeaderEpoch, out.EndOffset = int32(epoch), int64(end)
	return nil
}
