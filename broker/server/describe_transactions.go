package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/txn"
	"github.com/ktrial/ktrial/broker/wire"
)

// DescribeTransactions 0 (KIP-664): what this broker coordinates of some transactional ids.
//
//   - One that is unknown is TRANSACTIONAL_ID_NOT_FOUND, an empty one INVALID_REQUEST.
//   - While markers are being written, the partitions are those that lack them.
func (b *Broker) describeTransactions(_ *wire.Context, req *kmsg.DescribeTransactionsRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeTransactionsResponse()
	for _, id := range req.TransactionalIDs {
		out := kmsg.NewDescribeTransactionsResponseTransactionState()
		err := error(kerr.InvalidRequest)
		if id != "" {
			err = b.Transactions.read(b.Transactions.partitionFor(id), func(m *txn.Machine) error {
				out = m.Describe(id)
				return nil
			})
		}
		out.TransactionalID = id
		if err != nil {
			out.ErrorCode = kafka.Code(err)
		}
		resp.TransactionStates = append(resp.TransactionStates, out)
	}
	return resp
}
