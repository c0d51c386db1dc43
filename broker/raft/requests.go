package raft

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
)

// What the core says, as Kafka's requests, and their answers as the core
// understands them. Each has one topic with one partition: ours.

// errShape says that an answer is not about our partition.
var errShape = fmt.Errorf("raft: an answer is not about %v alone", kafka.MetadataPartition)

func (n *Node) request(m Message) kmsg.Request {
	switch {
	case m.Vote != nil:
		return n.voteRequest(m.Vote)
	case m.Begin != nil:
		return n.beginRequest(m.Begin)
	default:
		return n.endRequest(m.End)
	}
}

func (n *Node) voteRequest(v *VoteRequest) *kmsg.VoteRequest {
	req := wire.Latest(kmsg.NewPtrVoteRequest())
	req.ClusterID = kmsg.StringPtr(n.cfg.ClusterID)
	req.VoterID = int32(v.Voter)
	p := kmsg.NewVoteRequestTopicPartition()
	p.CandidateEpoch, p.CandidateID = int32(v.Epoch), int32(v.Candidate)
	p.LastOffsetEpoch, p.LastOffset = int32(v.LastEpoch), int64(v.LastOffset)
	p.PreVote = v.Pre
	req.Topics = []kmsg.VoteRequestTopic{{
		Topic: kafka.MetadataTopic, Partitions: []kmsg.VoteRequestTopicPartition{p},
	}}
	return req
}

func parseVoteResponse(r *kmsg.VoteResponse) (VoteReply, error) {
	if r.ErrorCode != 0 {
		return VoteReply{}, kerr.ErrorForCode(r.ErrorCode)
	}
	if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
		return VoteReply{}, errShape
	}
	p := r.Topics[0].Partitions[0]
	return VoteReply{
		Err: kerr.TypedErrorForCode(p.ErrorCode), Granted: p.VoteGranted,
		Epoch: kafka.LeaderEpoch(p.LeaderEpoch), Leader: kafka.NodeID(p.LeaderID),
	}, nil
}

func (n *Node) beginRequest(b *BeginQuorumEpoch) *kmsg.BeginQuorumEpochRequest {
	req := wire.Latest(kmsg.NewPtrBeginQuorumEpochRequest())
	req.ClusterID = kmsg.StringPtr(n.cfg.ClusterID)
	req.VoterID = int32(b.Voter)
	p := kmsg.NewBeginQuorumEpochRequestTopicPartition()
	p.LeaderID, p.LeaderEpoch = int32(b.Leader), int32(b.Epoch)
	req.Topics = []kmsg.BeginQuorumEpochRequestTopic{{
		Topic: kafka.MetadataTopic, Partitions: []kmsg.BeginQuorumEpochRequestTopicPartition{p},
	}}
	host, port := hostPort(n.addr(n.cfg.ID))
	req.LeaderEndpoints = []kmsg.BeginQuorumEpochRequestLeaderEndpoint{{Name: controllerListener, Host: host, Port: port}}
	return req
}

func parseBeginResponse(r *kmsg.BeginQuorumEpochResponse) (EpochReply, error) {
	if r.ErrorCode != 0 {
		return EpochReply{}, kerr.ErrorForCode(r.ErrorCode)
	}
	if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
		return EpochReply{}, errShape
	}
	p := r.Topics[0].Partitions[0]
	return epochReply(p.ErrorCode, p.LeaderEpoch, p.LeaderID), nil
}

func (n *Node) endRequest(e *EndQuorumEpoch) *kmsg.EndQuorumEpochRequest {
	req := wire.Latest(kmsg.NewPtrEndQuorumEpochRequest())
	req.ClusterID = kmsg.StringPtr(n.cfg.ClusterID)
	p := kmsg.NewEndQuorumEpochRequestTopicPartition()
	p.LeaderID, p.LeaderEpoch = int32(e.Leader), int32(e.Epoch)
	for _, id := range e.Successors {
		p.PreferredSuccessors = append(p.PreferredSuccessors, int32(id))
		c := kmsg.NewEndQuorumEpochRequestTopicPartitionPreferredCandidate()
		c.CandidateID = int32(id)
		p.PreferredCandidates = append(p.PreferredCandidates, c)
	}
	req.Topics = []kmsg.EndQuorumEpochRequestTopic{{
		Topic: kafka.MetadataTopic, Partitions: []kmsg.EndQuorumEpochRequestTopicPartition{p},
	}}
	host, port := hostPort(n.addr(n.cfg.ID))
	req.LeaderEndpoints = []kmsg.EndQuorumEpochRequestLeaderEndpoint{{Name: controllerListener, Host: host, Port: port}}
	return req
}

func parseEndResponse(r *kmsg.EndQuorumEpochResponse) (EpochReply, error) {
	if r.ErrorCode != 0 {
		return EpochReply{}, kerr.ErrorForCode(r.ErrorCode)
	}
	if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
		return EpochReply{}, errShape
	}
	p := r.Topics[0].Partitions[0]
	return epochReply(p.ErrorCode, p.LeaderEpoch, p.LeaderID), nil
}

func epochReply(code int16, epoch, leader int32) EpochReply {
	return EpochReply{Err: kerr.TypedErrorForCode(code), Epoch: kafka.LeaderEpoch(epoch), Leader: kafka.NodeID(leader)}
}

func parseFetchResponse(r *kmsg.FetchResponse) (FetchReply, []byte, error) {
	if r.ErrorCode != 0 {
		return FetchReply{}, nil, kerr.ErrorForCode(r.ErrorCode)
	}
	if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
		return FetchReply{}, nil, errShape
	}
	p := &r.Topics[0].Partitions[0]
	reply := FetchReply{
		Err:   kerr.TypedErrorForCode(p.ErrorCode),
		Epoch: kafka.LeaderEpoch(p.CurrentLeader.LeaderEpoch), Leader: kafka.NodeID(p.CurrentLeader.LeaderID),
		HW: kafka.Offset(p.HighWatermark), LogStart: kafka.Offset(p.LogStartOffset),
	}
	switch {
	case p.DivergingEpoch.Epoch >= 0:
		reply.Validity = Diverging
		reply.Diverging = Span{Epoch: kafka.LeaderEpoch(p.DivergingEpoch.Epoch), Next: kafka.Offset(p.DivergingEpoch.EndOffset)}
	case p.SnapshotID.EndOffset >= 0 && p.SnapshotID.Epoch >= 0:
		reply.Validity = Snapshotted
		reply.Snapshot = SnapshotID{End: kafka.Offset(p.SnapshotID.EndOffset), Epoch: kafka.LeaderEpoch(p.SnapshotID.Epoch)}
	}
	return reply, p.RecordBatches, nil
}

func (n *Node) snapshotRequest(epoch kafka.LeaderEpoch, id SnapshotID, position int64) *kmsg.FetchSnapshotRequest {
	req := wire.Latest(kmsg.NewPtrFetchSnapshotRequest())
	req.ClusterID = kmsg.StringPtr(n.cfg.ClusterID)
	req.ReplicaID = int32(n.cfg.ID)
	req.MaxBytes = maxFetchBytes
	p := kmsg.NewFetchSnapshotRequestTopicPartition()
	p.CurrentLeaderEpoch = int32(epoch)
	p.SnapshotID.EndOffset, p.SnapshotID.Epoch = int64(id.End), int32(id.Epoch)
	p.Position = position
	req.Topics = []kmsg.FetchSnapshotRequestTopic{{
		Topic: kafka.MetadataTopic, Partitions: []kmsg.FetchSnapshotRequestTopicPartition{p},
	}}
	return req
}

// snapshotPiece is the answer to a FetchSnapshot request.
type snapshotPiece struct {
	EpochReply
	id             SnapshotID
	size, position int64
	bytes          []byte
}

func parseSnapshotResponse(r *kmsg.FetchSnapshotResponse) (snapshotPiece, error) {
	if r.ErrorCode != 0 {
		return snapshotPiece{}, kerr.ErrorForCode(r.ErrorCode)
	}
	if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
		return snapshotPiece{}, errShape
	}
	p := &r.Topics[0].Partitions[0]
	return snapshotPiece{
		EpochReply: epochReply(p.ErrorCode, p.CurrentLeader.LeaderEpoch, p.CurrentLeader.LeaderID),
		id:         SnapshotID{End: kafka.Offset(p.SnapshotID.EndOffset), Epoch: kafka.LeaderEpoch(p.SnapshotID.Epoch)},
		size:       p.Size, position: p.Position, bytes: p.Bytes,
	}, nil
}

// controllerListener is the name of the listener that voters talk on.
const controllerListener = "CONTROLLER"
