package client

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
)

// QuorumDescription is what the quorum leader says of the KRaft quorum.
type QuorumDescription struct {
	Leader        kafka.NodeID
	Epoch         kafka.LeaderEpoch
	HighWatermark kafka.Offset
	Voters        []QuorumReplica
	Observers     []QuorumReplica
}

// QuorumReplica is how far one node has come in the metadata log; NoOffset if
// the leader does not know.
type QuorumReplica struct {
	ID           kafka.NodeID
	LogEndOffset kafka.Offset
}

// DescribeQuorum asks for the state of the KRaft quorum (KIP-836).
func (a *Admin) DescribeQuorum() (QuorumDescription, error) {
	req := kmsg.NewPtrDescribeQuorumRequest()
	rt := kmsg.NewDescribeQuorumRequestTopic()
	rt.Topic = kafka.MetadataPartition.Topic
	rp := kmsg.NewDescribeQuorumRequestTopicPartition()
	rp.Partition = kafka.MetadataPartition.Partition
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	var d QuorumDescription
	_, err := anywhere(a, "describe the quorum", req, func(resp *kmsg.DescribeQuorumResponse) error {
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			return err
		}
		if len(resp.Topics) == 0 || len(resp.Topics[0].Partitions) == 0 {
			return errUnanswered
		}
		p := &resp.Topics[0].Partitions[0]
		d = QuorumDescription{
			Leader: kafka.NodeID(p.LeaderID), Epoch: kafka.LeaderEpoch(p.LeaderEpoch), HighWatermark: kafka.Offset(p.HighWatermark),
			Voters: quorumReplicas(p.CurrentVoters), Observers: quorumReplicas(p.Observers),
		}
		return kerr.ErrorForCode(p.ErrorCode)
	})
	return d, err
}

func quorumReplicas(states []kmsg.DescribeQuorumResponseTopicPartitionReplicaState) []QuorumReplica {
	var out []QuorumReplica
	for _, s := range states {
		out = append(out, QuorumReplica{kafka.NodeID(s.ReplicaID), kafka.Offset(s.LogEndOffset)})
	}
	return out
}
