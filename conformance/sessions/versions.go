package sessions

import (
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// spoken are the versions of each key that both Apache Kafka 4.4 and ktrial
// serve speak, except those of Produce below 3, which only say that they are
// there (KAFKA-18659). Sessions keep to them, so that a transcript holds for any
// build; the driver compares them with what both sides say.
var spoken = map[int16][2]int16{
	0:  {3, 13}, // Produce
	1:  {4, 18}, // Fetch
	2:  {1, 10}, // ListOffsets
	3:  {0, 13}, // Metadata
	18: {0, 4},  // ApiVersions
	19: {2, 7},  // CreateTopics
	20: {1, 6},  // DeleteTopics
	21: {0, 2},  // DeleteRecords
	22: {0, 5},  // InitProducerId
	23: {2, 4},  // OffsetForLeaderEpoch
	32: {1, 4},  // DescribeConfigs
	33: {0, 2},  // AlterConfigs
	35: {1, 4},  // DescribeLogDirs
	37: {0, 3},  // CreatePartitions
	43: {0, 2},  // ElectLeaders
	44: {0, 1},  // IncrementalAlterConfigs
	45: {0, 1},  // AlterPartitionReassignments
	46: {0, 0},  // ListPartitionReassignments
	55: {0, 2},  // DescribeQuorum
	57: {0, 2},  // UpdateFeatures
	60: {0, 2},  // DescribeCluster
	61: {0, 0},  // DescribeProducers
	64: {0, 0},  // UnregisterBroker
	75: {0, 0},  // DescribeTopicPartitions
}

// groupSpoken are those of the group APIs.
var groupSpoken = map[int16][2]int16{
	8:  {2, 10}, // OffsetCommit
	9:  {1, 10}, // OffsetFetch
	10: {0, 6},  // FindCoordinator
	11: {0, 9},  // JoinGroup
	12: {0, 4},  // Heartbeat
	13: {0, 5},  // LeaveGroup
	14: {0, 5},  // SyncGroup
	15: {0, 6},  // DescribeGroups
	16: {0, 5},  // ListGroups
	42: {0, 3},  // DeleteGroups
	47: {0, 0},  // OffsetDelete
	68: {0, 1},  // ConsumerGroupHeartbeat
	69: {0, 1},  // ConsumerGroupDescribe
}

// txnSpoken are those of the APIs of transactions.
var txnSpoken = map[int16][2]int16{
	24: {0, 5}, // AddPartitionsToTxn
	25: {0, 4}, // AddOffsetsToTxn
	26: {0, 5}, // EndTxn
	27: {1, 2}, // WriteTxnMarkers
	28: {0, 6}, // TxnOffsetCommit
	65: {0, 0}, // DescribeTransactions
	66: {0, 2}, // ListTransactions
}

func common(key int16) [2]int16 {
	if v, ok := groupSpoken[key]; ok {
		return v
	}
	if v, ok := txnSpoken[key]; ok {
		return v
	}
	return spoken[key]
}

func commonKeys() []int16 { return slices.Sorted(maps.Keys(spoken)) }

func groupKeys() []int16 { return slices.Sorted(maps.Keys(groupSpoken)) }

func txnKeys() []int16 { return slices.Sorted(maps.Keys(txnSpoken)) }

// lacks names a version of these keys that a cluster does not speak, "" if there
// is none.
func lacks(says, keys map[int16][2]int16) string {
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if v, want := says[key], keys[key]; v[0] > want[0] || v[1] < want[1] {
			return fmt.Sprintf("%s: versions %d to %d found, %d to %d expected", kmsg.NameForKey(key), v[0], v[1], want[0], want[1])
		}
	}
	return ""
}
