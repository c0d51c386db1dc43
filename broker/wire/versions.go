package wire

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Range is the versions of one API that a peer speaks.
type Range struct{ Key, Min, Max int16 }

// Versions is what a peer speaks, sorted by key. It is never changed.
type Versions []Range

// Broker is what the broker listener of Kafka 4.1 speaks, of groups and transactions that of 4.4, without
// share groups, ACLs, delegation tokens, quotas, SASL and telemetry. A server advertises
// the part that it has handlers for.
//
// Produce says 0 although it serves from 3: librdkafka before 2.11 turns
// compression off for brokers that do not claim the old versions (KAFKA-18659).
// JoinGroup is back at 0 for the same reason (KAFKA-19444).
var Broker = Versions{
	{0, 0, 13}, // Produce
	{1, 4, 18}, // Fetch
	{2, 1, 10}, // ListOffsets
	{3, 0, 13}, // Metadata
	{8, 2, 10}, // OffsetCommit
	{9, 1, 10}, // OffsetFetch
	{10, 0, 6}, // FindCoordinator
	{11, 0, 9}, // JoinGroup
	{12, 0, 4}, // Heartbeat
	{13, 0, 5}, // LeaveGroup
	{14, 0, 5}, // SyncGroup
	{15, 0, 6}, // DescribeGroups
	{16, 0, 5}, // ListGroups
	{18, 0, 4}, // ApiVersions
	{19, 2, 7}, // CreateTopics
	{20, 1, 6}, // DeleteTopics
	{21, 0, 2}, // DeleteRecords
	{22, 0, 5}, // InitProducerId
	{23, 2, 4}, // OffsetForLeaderEpoch
	{24, 0, 5}, // AddPartitionsToTxn
	{25, 0, 4}, // AddOffsetsToTxn
	{26, 0, 5}, // EndTxn
	{27, 1, 2}, // WriteTxnMarkers
	{28, 0, 6}, // TxnOffsetCommit
	{32, 1, 4}, // DescribeConfigs
	{33, 0, 2}, // AlterConfigs
	{34, 1, 2}, // AlterReplicaLogDirs
	{35, 1, 4}, // DescribeLogDirs
	{37, 0, 3}, // CreatePartitions
	{42, 0, 3}, // DeleteGroups
	{43, 0, 2}, // ElectLeaders
	{44, 0, 1}, // IncrementalAlterConfigs
	{45, 0, 1}, // AlterPartitionReassignments
	{46, 0, 0}, // ListPartitionReassignments
	{47, 0, 0}, // OffsetDelete
	{55, 0, 2}, // DescribeQuorum
	{57, 0, 2}, // UpdateFeatures
	{60, 0, 2}, // DescribeCluster
	{61, 0, 0}, // DescribeProducers
	{64, 0, 0}, // UnregisterBroker
	{65, 0, 0}, // DescribeTransactions
	{66, 0, 2}, // ListTransactions
	{68, 0, 1}, // ConsumerGroupHeartbeat
	{69, 0, 1}, // ConsumerGroupDescribe
	{74, 0, 1}, // ListConfigResources
	{75, 0, 0}, // DescribeTopicPartitions
}

// Controller is what the controller listener of Kafka 4.1 speaks, less the same.
var Controller = Versions{
	{1, 4, 18}, // Fetch
	{18, 0, 4}, // ApiVersions
	{19, 2, 7}, // CreateTopics
	{20, 1, 6}, // DeleteTopics
	{32, 1, 4}, // DescribeConfigs
	{33, 0, 2}, // AlterConfigs
	{37, 0, 3}, // CreatePartitions
	{43, 0, 2}, // ElectLeaders
	{44, 0, 1}, // IncrementalAlterConfigs
	{45, 0, 1}, // AlterPartitionReassignments
	{46, 0, 0}, // ListPartitionReassignments
	{52, 0, 2}, // Vote
	{53, 0, 1}, // BeginQuorumEpoch
	{54, 0, 1}, // EndQuorumEpoch
	{55, 0, 2}, // DescribeQuorum
	{56, 2, 3}, // AlterPartition
	{57, 0, 2}, // UpdateFeatures
	{59, 0, 1}, // FetchSnapshot
	{60, 0, 2}, // DescribeCluster
	{62, 0, 4}, // BrokerRegistration
	{63, 0, 1}, // BrokerHeartbeat
	{64, 0, 0}, // UnregisterBroker
	{67, 0, 0}, // AllocateProducerIds
}

// Lookup finds the range of key.
func (vs Versions) Lookup(key int16) (Range, bool) {
	lo, hi := 0, len(vs)
	for lo < hi {
		mid := (lo + hi) / 2
		switch {
		case vs[mid].Key == key:
			return vs[mid], true
		case vs[mid].Key < key:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return Range{}, false
}

// Speaks reports whether version of key may be sent to this peer.
func (vs Versions) Speaks(key, version int16) bool {
	r, ok := vs.Lookup(key)
	return ok && r.Min <= version && version <= r.Max
}

// Only is the part of vs that has the keys for which keep says yes.
func (vs Versions) Only(keep func(key int16) bool) Versions {
	var out Versions
	for _, r := range vs {
		if keep(r.Key) {
			out = append(out, r)
		}
	}
	return out
}

// Pick sets the newest version of req that both ends speak.
func (vs Versions) Pick(req kmsg.Request) error {
	key := req.Key()
	ours, ok := Broker.Lookup(key)
	if !ok {
		ours, ok = Controller.Lookup(key)
	}
	theirs, has := vs.Lookup(key)
	if !ok || !has || min(ours.Max, theirs.Max) < max(ours.Min, theirs.Min) {
		return kerr.UnsupportedVersion
	}
	req.SetVersion(min(ours.Max, theirs.Max))
	return nil
}

// Latest sets req to the newest version that this stack speaks, and returns
// it. For calls between our own nodes, which all speak the same.
func Latest[R kmsg.Request](req R) R {
	for _, vs := range []Versions{Broker, Controller} {
		if r, ok := vs.Lookup(req.Key()); ok {
			req.SetVersion(r.Max)
			break
		}
	}
	return req
}

// FromResponse reads what a peer said it speaks.
func FromResponse(resp *kmsg.ApiVersionsResponse) Versions {
	var out Versions
	for _, k := range resp.ApiKeys {
		at := len(out)
		for at > 0 && out[at-1].Key > k.ApiKey {
			at--
		}
		out = append(out, Range{})
		copy(out[at+1:], out[at:])
		out[at] = Range{k.ApiKey, k.MinVersion, k.MaxVersion}
	}
	return out
}

// ApiKeys is vs as an ApiVersions response lists it.
func (vs Versions) ApiKeys() []kmsg.ApiVersionsResponseApiKey {
	keys := make([]kmsg.ApiVersionsResponseApiKey, len(vs))
	for i, r := range vs {
		keys[i] = kmsg.NewApiVersionsResponseApiKey()
		keys[i].ApiKey, keys[i].MinVersion, keys[i].MaxVersion = r.Key, r.Min, r.Max
	}
	return keys
}
