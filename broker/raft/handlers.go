package raft

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim/env"
)

// The requests of the controller listener. All block: for their turn, for the
// disk, and Fetch for news. Each is about one partition, and about this
// cluster; anything else is refused as Kafka does.

// refused is the error of a request that is meant for another cluster, or not
// about our partition; 0 if there is none. A request need not say which cluster
// it means.
func (n *Node) refused(clusterID *string, ours bool) int16 {
	switch {
	case clusterID != nil && *clusterID != n.cfg.ClusterID:
		return kerr.InconsistentClusterID.Code
	case !ours:
		return kerr.InvalidRequest.Code
	}
	return 0
}

// only is the one partition that a request or an answer is about, if its topic
// is named as it must be; else nil.
func only[T, P any](topics []T, of func(*T) (ours bool, partitions []P)) *P {
	if len(topics) != 1 {
		return nil
	}
	ours, partitions := of(&topics[0])
	if !ours || len(partitions) != 1 {
		return nil
	}
	return &partitions[0]
}

// Vote answers a candidate, or a prospective one (a pre-vote).
func (n *Node) Vote(req *kmsg.VoteRequest) *kmsg.VoteResponse {
	resp := req.ResponseKind().(*kmsg.VoteResponse)
	p := only(req.Topics, func(t *kmsg.VoteRequestTopic) (bool, []kmsg.VoteRequestTopicPartition) {
		return t.Topic == kafka.MetadataTopic, t.Partitions
	})
	if resp.ErrorCode = n.refused(req.ClusterID, p != nil && p.Partition == 0); resp.ErrorCode != 0 {
		return resp
	}
	n.enter()
	reply := n.core.Vote(n.host.Uptime(), VoteRequest{
		Pre: p.PreVote, Epoch: kafka.LeaderEpoch(p.CandidateEpoch), Candidate: kafka.NodeID(p.CandidateID),
		Voter: kafka.NodeID(req.VoterID), LastEpoch: kafka.LeaderEpoch(p.LastOffsetEpoch), LastOffset: kafka.Offset(p.LastOffset),
	})
	n.leave()
	if p.PreVote && reply.Granted {
		n.host.Tell(&witness.QuorumPreVoted{
			Replica: n.self, Epoch: kafka.LeaderEpoch(p.CandidateEpoch), Candidate: kafka.NodeID(p.CandidateID),
			Leader: n.core.InTouch(n.host.Uptime()),
		})
	}
	resp.Topics = []kmsg.VoteResponseTopic{{
		Topic: kafka.MetadataTopic,
		Partitions: []kmsg.VoteResponseTopicPartition{{
			ErrorCode: codeOf(reply.Err), LeaderID: int32(reply.Leader), LeaderEpoch: int32(reply.Epoch), VoteGranted: reply.Granted,
		}},
	}}
	if host, port := hostPort(n.addr(reply.Leader)); host != "" {
		resp.NodeEndpoints = []kmsg.VoteResponseNodeEndpoint{{NodeID: int32(reply.Leader), Host: host, Port: port}}
	}
	return resp
}

// BeginQuorumEpoch takes in the leader of an epoch.
func (n *Node) BeginQuorumEpoch(req *kmsg.BeginQuorumEpochRequest) *kmsg.BeginQuorumEpochResponse {
	resp := req.ResponseKind().(*kmsg.BeginQuorumEpochResponse)
	p := only(req.Topics, func(t *kmsg.BeginQuorumEpochRequestTopic) (bool, []kmsg.BeginQuorumEpochRequestTopicPartition) {
		return t.Topic == kafka.MetadataTopic, t.Partitions
	})
	if resp.ErrorCode = n.refused(req.ClusterID, p != nil && p.Partition == 0); resp.ErrorCode != 0 {
		return resp
	}
	n.enter()
	reply := n.core.BeginQuorumEpoch(n.host.Uptime(), BeginQuorumEpoch{
		Epoch: kafka.LeaderEpoch(p.LeaderEpoch), Leader: kafka.NodeID(p.LeaderID), Voter: kafka.NodeID(req.VoterID),
	})
	n.leave()
	resp.Topics = []kmsg.BeginQuorumEpochResponseTopic{{
		Topic: kafka.MetadataTopic,
		Partitions: []kmsg.BeginQuorumEpochResponseTopicPartition{{
			ErrorCode: codeOf(reply.Err), LeaderID: int32(reply.Leader), LeaderEpoch: int32(reply.Epoch),
		}},
	}}
	if host, port := hostPort(n.addr(reply.Leader)); host != "" {
		resp.NodeEndpoints = []kmsg.BeginQuorumEpochResponseNodeEndpoint{{NodeID: int32(reply.Leader), Host: host, Port: port}}
	}
	return resp
}

// EndQuorumEpoch hears that the leader resigned.
func (n *Node) EndQuorumEpoch(req *kmsg.EndQuorumEpochRequest) *kmsg.EndQuorumEpochResponse {
	resp := req.ResponseKind().(*kmsg.EndQuorumEpochResponse)
	p := only(req.Topics, func(t *kmsg.EndQuorumEpochRequestTopic) (bool, []kmsg.EndQuorumEpochRequestTopicPartition) {
		return t.Topic == kafka.MetadataTopic, t.Partitions
	})
	if resp.ErrorCode = n.refused(req.ClusterID, p != nil && p.Partition == 0); resp.ErrorCode != 0 {
		return resp
	}
	end := EndQuorumEpoch{Epoch: kafka.LeaderEpoch(p.LeaderEpoch), Leader: kafka.NodeID(p.LeaderID)}
	for _, id := range p.PreferredSuccessors {
		end.Successors = append(end.Successors, kafka.NodeID(id))
	}
	for i, c := range p.PreferredCandidates {
		if i >= len(p.PreferredSuccessors) {
			end.Successors = append(end.Successors, kafka.NodeID(c.CandidateID))
		}
	}
	n.enter()
	reply := n.core.EndQuorumEpoch(n.host.Uptime(), end)
	n.leave()
	resp.Topics = []kmsg.EndQuorumEpochResponseTopic{{
		Topic: kafka.MetadataTopic,
		Partitions: []kmsg.EndQuorumEpochResponseTopicPartition{{
			ErrorCode: codeOf(reply.Err), LeaderID: int32(reply.Leader), LeaderEpoch: int32(reply.Epoch),
		}},
	}}
	if host, port := hostPort(n.addr(reply.Leader)); host != "" {
		resp.NodeEndpoints = []kmsg.EndQuorumEpochResponseNodeEndpoint{{NodeID: int32(reply.Leader), Host: host, Port: port}}
	}
	return resp
}

// Fetch serves the metadata log to followers and observers. It waits for
// MaxWait when there is nothing to answer.
func (n *Node) Fetch(req *kmsg.FetchRequest) *kmsg.FetchResponse {
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	p := only(req.Topics, func(t *kmsg.FetchRequestTopic) (bool, []kmsg.FetchRequestTopicPartition) {
		ours := t.Topic == kafka.MetadataTopic
		if req.Version >= 13 {
			ours = t.TopicID == MetadataTopicID
		}
		return ours, t.Partitions
	})
	if resp.ErrorCode = n.refused(req.ClusterID, p != nil && p.Partition == 0 && req.MaxWaitMillis >= 0); resp.ErrorCode != 0 {
		return resp
	}
	replica := kafka.NodeID(req.ReplicaID)
	if req.Version >= 15 {
		replica = kafka.NodeID(req.ReplicaState.ID)
	}
	f := FetchRequest{
		Replica: replica, Epoch: kafka.LeaderEpoch(p.CurrentLeaderEpoch), Offset: kafka.Offset(p.FetchOffset),
		LastEpoch: kafka.LeaderEpoch(p.LastFetchedEpoch), HW: kafka.Offset(p.HighWatermark),
	}
	until := n.host.Uptime() + time.Duration(req.MaxWaitMillis)*time.Millisecond
	for {
		reply, records, waits := n.tryFetch(f, min(req.MaxBytes, p.PartitionMaxBytes))
		left := until - n.host.Uptime()
		if !waits || left <= 0 {
			n.fillFetch(resp, req, reply, records)
			return resp
		}
		n.news.Wait(left)
	}
}

// tryFetch asks the core, and reads what it allows to show.
func (n *Node) tryFetch(f FetchRequest, maxBytes int32) (reply FetchReply, records []byte, waits bool) {
	n.enter()
	reply = n.core.Fetch(n.host.Uptime(), f)
	if reply.Err == nil && reply.To > f.Offset {
		var err error
		if records, err = n.log.Read(f.Offset, reply.To, maxBytes, true); err != nil {
			reply.Err = kerr.KafkaStorageError
		}
	}
	n.leave()
	return reply, records, reply.Wait
}

func (n *Node) fillFetch(resp *kmsg.FetchResponse, req *kmsg.FetchRequest, reply FetchReply, records []byte) {
	p := kmsg.NewFetchResponseTopicPartition()
	p.ErrorCode = codeOf(reply.Err)
	p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = int32(reply.Leader), int32(reply.Epoch)
	p.HighWatermark, p.LastStableOffset = int64(reply.HW), int64(reply.HW)
	p.LogStartOffset = int64(reply.LogStart)
	p.RecordBatches = records
	switch {
	case reply.Err != nil:
	case reply.Validity == Diverging:
		p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset = int32(reply.Diverging.Epoch), int64(reply.Diverging.Next)
	case reply.Validity == Snapshotted:
		p.SnapshotID.EndOffset, p.SnapshotID.Epoch = int64(reply.Snapshot.End), int32(reply.Snapshot.Epoch)
	}
	resp.Topics = []kmsg.FetchResponseTopic{{
		Topic: kafka.MetadataTopic, TopicID: MetadataTopicID, Partitions: []kmsg.FetchResponseTopicPartition{p},
	}}
	if reply.Err != nil {
		if host, port := hostPort(n.addr(reply.Leader)); host != "" {
			resp.Brokers = []kmsg.FetchResponseBroker{{NodeID: int32(reply.Leader), Host: host, Port: int32(port)}}
		}
	}
}

// FetchSnapshot serves a piece of a snapshot.
func (n *Node) FetchSnapshot(req *kmsg.FetchSnapshotRequest) *kmsg.FetchSnapshotResponse {
	resp := req.ResponseKind().(*kmsg.FetchSnapshotResponse)
	asked := only(req.Topics, func(t *kmsg.FetchSnapshotRequestTopic) (bool, []kmsg.FetchSnapshotRequestTopicPartition) {
		return true, t.Partitions
	})
	if resp.ErrorCode = n.refused(req.ClusterID, asked != nil && req.MaxBytes >= 0); resp.ErrorCode != 0 {
		return resp
	}
	p := kmsg.NewFetchSnapshotResponseTopicPartition()
	p.Partition = asked.Partition
	if req.Topics[0].Topic != kafka.MetadataTopic || asked.Partition != 0 {
		p.ErrorCode = kerr.UnknownTopicOrPartition.Code
	} else {
		n.enter()
		err := n.core.SnapshotFetched(n.host.Uptime(), kafka.NodeID(req.ReplicaID), kafka.LeaderEpoch(asked.CurrentLeaderEpoch))
		n.leave()
		if err == nil {
			err = n.readSnapshot(asked, &p, int64(req.MaxBytes))
		}
		p.ErrorCode = codeOf(err)
	}
	state := n.core.State()
	p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = int32(state.Leader), int32(state.Epoch)
	resp.Topics = []kmsg.FetchSnapshotResponseTopic{{
		Topic: req.Topics[0].Topic, Partitions: []kmsg.FetchSnapshotResponseTopicPartition{p},
	}}
	return resp
}

func (n *Node) readSnapshot(asked *kmsg.FetchSnapshotRequestTopicPartition, p *kmsg.FetchSnapshotResponseTopicPartition, maxBytes int64) *kerr.Error {
	id := SnapshotID{End: kafka.Offset(asked.SnapshotID.EndOffset), Epoch: kafka.LeaderEpoch(asked.SnapshotID.Epoch)}
	f, err := n.host.Disk().Open(n.snapshotPath(id))
	if err != nil {
		return kerr.SnapshotNotFound
	}
	size, err := f.Size()
	switch {
	case err != nil:
	case asked.Position < 0 || asked.Position >= size:
		f.Close()
		return kerr.PositionOutOfRange
	default:
		p.Bytes = make([]byte, min(maxBytes, size-asked.Position))
		_, err = f.ReadAt(p.Bytes, asked.Position)
	}
	f.Close()
	if err != nil {
		return kerr.KafkaStorageError
	}
	p.SnapshotID.EndOffset, p.SnapshotID.Epoch = asked.SnapshotID.EndOffset, asked.SnapshotID.Epoch
	p.Size, p.Position = size, asked.Position
	return nil
}

// DescribeQuorum answers how far every member has come. Only the leader knows. As
// in Kafka the request names the quorum's partition and nothing else, or all
// that it names is unknown; and where there is no error its text is empty, not
// null.
func (n *Node) DescribeQuorum(req *kmsg.DescribeQuorumRequest) *kmsg.DescribeQuorumResponse {
	resp := req.ResponseKind().(*kmsg.DescribeQuorumResponse)
	resp.ErrorMessage = kmsg.StringPtr("")
	known := len(req.Topics) == 1 && req.Topics[0].Topic == kafka.MetadataTopic &&
		len(req.Topics[0].Partitions) == 1 && req.Topics[0].Partitions[0].Partition == 0
	for _, t := range req.Topics {
		topic := kmsg.DescribeQuorumResponseTopic{Topic: t.Topic}
		for _, asked := range t.Partitions {
			p := kmsg.NewDescribeQuorumResponseTopicPartition()
			p.Partition = asked.Partition
			switch {
			case !known:
				p.ErrorCode, p.ErrorMessage = kerr.UnknownTopicOrPartition.Code, kmsg.StringPtr(kafka.Text(kerr.UnknownTopicOrPartition))
			case n.core.Role() != Leader:
				p.ErrorCode = kerr.NotLeaderForPartition.Code
			default:
				n.describe(&p)
				resp.Nodes = n.voterNodes()
			}
			topic.Partitions = append(topic.Partitions, p)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (n *Node) describe(p *kmsg.DescribeQuorumResponseTopicPartition) {
	state := n.core.State()
	p.LeaderID, p.LeaderEpoch = int32(state.Leader), int32(state.Epoch)
	p.HighWatermark = int64(n.core.HighWatermark())
	wall, uptime := n.host.Now(), n.host.Uptime()
	stamp := func(at time.Duration) int64 { return (wall - env.Time(uptime-at)).Millis() }
	describe := func(list []progress) (out []kmsg.DescribeQuorumResponseTopicPartitionReplicaState) {
		for _, r := range list {
			s := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
			s.ReplicaID, s.LogEndOffset = int32(r.id), int64(r.end)
			switch {
			case r.id == n.cfg.ID:
				s.LogEndOffset = int64(n.core.Log().End)
				s.LastFetchTimestamp, s.LastCaughtUpTimestamp = stamp(uptime), stamp(uptime)
			case r.fetches:
				s.LastFetchTimestamp = stamp(r.lastFetch)
				if r.caughtUp > 0 {
					s.LastCaughtUpTimestamp = stamp(r.caughtUp)
				}
			}
			out = append(out, s)
		}
		return out
	}
	p.CurrentVoters = describe(n.core.lead.voters)
	p.Observers = describe(n.core.lead.observers)
}

func (n *Node) voterNodes() []kmsg.DescribeQuorumResponseNode {
	var nodes []kmsg.DescribeQuorumResponseNode
	for _, v := range n.cfg.Voters {
		host, port := hostPort(v.Addr)
		nodes = append(nodes, kmsg.DescribeQuorumResponseNode{
			NodeID:    int32(v.ID),
			Listeners: []kmsg.DescribeQuorumResponseNodeListener{{Name: controllerListener, Host: host, Port: port}},
		})
	}
	return nodes
}

func codeOf(err *kerr.Error) int16 {
	if err == nil {
		return 0
	}
	return err.Code
}
