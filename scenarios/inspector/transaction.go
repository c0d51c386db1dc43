package inspector

import (
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/checkers/laws"
	"github.com/ktrial/ktrial/ledger"
)

// readTransaction puts before the laws what a coordinator decides on a transactional id, which
// markers follow, and what a log's cleaner does.
func (in *Inspector) readTransaction(e *ledger.Entry) {
	switch x := e.Event.(type) {
	case *witness.TxnState:
		in.txns.State(x.TxnID, laws.TransactionState{
			Producer: int64(x.ProducerID), Epoch: int16(x.Epoch), State: x.To, Coordinator: laws.Epoch(x.CoordinatorEpoch), Version: int(x.Version),
			Partitions: partitions(in.inspected(x.Partitions)),
		})
	case *witness.MarkerWritten:
		in.txns.Marker(x.Partition.String(), int64(x.ProducerID), int16(x.Epoch), laws.Epoch(x.CoordinatorEpoch), x.Commit)
	case *witness.SegmentsReplaced:
		in.cleaned(e.Host, x)
	case *witness.StrayKept:
		in.strayKept(e.Host, x)
	}
}

// inspected are the partitions whose logs are.
func (in *Inspector) inspected(tps []kafka.TopicPartition) (of []kafka.TopicPartition) {
	for _, tp := range tps {
		if in.cfg.MinISR != nil {
			if _, yes := in.cfg.MinISR(tp.Topic); !yes {
				continue
			}
		}
		of = append(of, tp)
	}
	return of
}

// hangs puts before the laws the transactions that a partition's leader has open in the end.
func (in *Inspector) hangs(p *Partition) {
	leader := p.Laws.Leader()
	if leader == laws.NoNode || p.deleted {
		return
	}
	p.Laws.OpenTransactions(leader, func(producer int64, epoch int16, first int64) {
		in.txns.Hangs(p.Partition.String(), producer, epoch, first)
	})
}
