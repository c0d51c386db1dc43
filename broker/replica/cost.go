package replica

import (
	"encoding/binary"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/cost"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim/env"
)

// What requests cost on a host whose work takes time. Each is paid as a whole: before
// the batches of a produce are appended, when a fetch has read, before a fetcher takes
// in an answer.

// spendOnProduce returns how many bytes there are; 0 where work is free.
func (m *Manager) spendOnProduce(req *kmsg.ProduceRequest) (bytes int64) {
	machine := m.host.Machine()
	if machine == nil {
		return 0
	}
	var batches int64
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			batches++
			bytes += int64(len(req.Topics[i].Partitions[j].Records))
		}
	}
	machine.Spend(env.Work{Kind: cost.ProduceBatch, N: batches}, env.Work{Kind: cost.ProduceByte, N: bytes})
	return bytes
}

// took counts what a stage took of a produce of so many bytes.
func (m *Manager) took(stage env.Stage, d time.Duration, bytes int64) {
	if bytes > 0 {
		m.host.Machine().Took(stage, d, bytes)
	}
}

func (m *Manager) spendOnFetch(partitions int, bytes int64) {
	if machine := m.host.Machine(); machine != nil {
		machine.Spend(env.Work{Kind: cost.FetchPartition, N: int64(partitions)}, env.Work{Kind: cost.FetchByte, N: bytes})
	}
}

// spendOnFetched is what a fetcher has to do with an answer.
func (m *Manager) spendOnFetched(resp *kmsg.FetchResponse) {
	machine := m.host.Machine()
	if machine == nil {
		return
	}
	var partitions, batches, bytes int64
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			records := resp.Topics[i].Partitions[j].RecordBatches
			partitions++
			batches += countBatches(records)
			bytes += int64(len(records))
		}
	}
	if partitions == 0 {
		return // nothing was new
	}
	machine.Spend(env.Work{Kind: cost.FollowRequest, N: 1}, env.Work{Kind: cost.FollowPartition, N: partitions}, env.Work{Kind: cost.FollowBatch, N: batches},
		env.Work{Kind: cost.FollowByte, N: bytes})
}

// countBatches counts the batches of which the header is there.
func countBatches(b []byte) (n int64) {
	const lengthAt = 8
	for len(b) >= record.HeaderSize {
		n++
		size := record.LogOverhead + int(binary.BigEndian.Uint32(b[lengthAt:]))
		if size < record.HeaderSize || size > len(b) {
			break
		}
		b = b[size:]
	}
	return n
}
