package server

import (
	"errors"
	"regexp"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/txn"
	"github.com/ktrial/ktrial/broker/wire"
)

// ListTransactions 0-2 (KIP-664): the transactional ids that this broker coordinates,
// filtered by state and producer id, from v1 on by duration (KIP-994), from v2 on by a
// regular expression of RE2 for the whole id (KIP-1152).
//
//   - A state that is unknown is named in the answer, and no id is in it.
//   - An expression that cannot be read is INVALID_REGULAR_EXPRESSION.
//   - While a partition is loaded, the answer as a whole is COORDINATOR_LOAD_IN_PROGRESS.
func (b *Broker) listTransactions(_ *wire.Context, req *kmsg.ListTransactionsRequest) kmsg.Response {
	resp := kmsg.NewPtrListTransactionsResponse()
	f := txn.Filter{ByState: len(req.StateFilters) > 0, Producers: req.ProducerIDFilters, MinDuration: -1}
	if req.Version >= 1 {
		f.MinDuration = req.DurationFilterMillis
	}
	for _, name := range req.StateFilters {
		if s, known := txn.StateNamed(name); known {
			f.States = append(f.States, s)
		} else {
			resp.UnknownStateFilters = append(resp.UnknownStateFilters, name)
		}
	}
	if p := req.TransactionalIDPattern; p != nil && *p != "" {
		re, err := regexp.Compile(`\A(?:` + *p + `)\z`)
		if err != nil {
			resp.ErrorCode = kerr.InvalidRegularExpression.Code
			return resp
		}
		f.IDs = re
	}
	for _, p := range b.Transactions.runtime.Partitions() {
		err := b.Transactions.read(p, func(m *txn.Machine) error {
			resp.TransactionStates = append(resp.TransactionStates, m.List(f)...)
			return nil
		})
		if err != nil && !errors.Is(err, kerr.NotCoordinator) {
			resp.ErrorCode, resp.TransactionStates = kafka.Code(err), nil
			return resp
		}
	}
	return resp
}
