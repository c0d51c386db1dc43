package market

import (
	"fmt"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/scenarios"
)

// EpochsGrowByOne is a law over the events of the cluster: whenever another
// leader of a partition is committed, its epoch is the next one.
var EpochsGrowByOne = scenarios.Law{
	Name:  "leader epochs grow by one",
	About: "each new leader of a partition has the epoch that follows that of the last one",
	Watch: func() func(*ledger.Entry) (bool, string) {
		epochs := map[kafka.TopicPartition]kafka.LeaderEpoch{}
		return func(e *ledger.Entry) (checked bool, broken string) {
			p, ok := e.Event.(*witness.PartitionCommitted)
			if !ok {
				return false, ""
			}
			was, known := epochs[p.Partition]
			if p.LeaderEpoch <= was && known {
				return false, "" // every controller tells, each at its own time
			}
			epochs[p.Partition] = p.LeaderEpoch
			if known && p.LeaderEpoch != was+1 {
				return true, fmt.Sprintf("%v: epoch %d follows epoch %d", p.Partition, p.LeaderEpoch, was)
			}
			return true, ""
		}
	},
}
