package workloads

import (
	"fmt"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim/env"
)

// What the application knows of its transactions.
type (
	// TransactionEnded: a producer knows how its transaction ended, or that it never
	// will.
	TransactionEnded struct {
		TransactionalID string `json:"transactionalId"`
		Outcome         string `json:"outcome"` // committed, aborted, unknown
		Error           string `json:"error,omitempty"`
	}
	// HangingAborted: an administrator has found a transaction that hangs, and aborted it.
	HangingAborted struct {
		Partition  kafka.TopicPartition `json:"partition"`
		ProducerID kafka.ProducerID     `json:"producer"`
		Start      kafka.Offset         `json:"start"` // of the transaction
	}
	// StockTaken: a reader has read all that there is while no transaction was under way,
	// and knows what all accounts hold.
	StockTaken struct {
		Records int64 `json:"records"`
		Sum     int64 `json:"sum"` // over all accounts
	}
)

var (
	transactionEnded = ledger.Declare[TransactionEnded]("transaction-ended", "a producer knows how its transaction ended", ledger.Traffic)
	hangingAborted   = ledger.Declare[HangingAborted]("hanging-aborted", "an administrator has aborted a transaction that hangs", ledger.Notable)
	stockTaken       = ledger.Declare[StockTaken]("stock-taken", "a reader knows what all accounts hold", ledger.Notable)
)

func (e *TransactionEnded) Kind() *ledger.Kind { return transactionEnded }
func (e *HangingAborted) Kind() *ledger.Kind   { return hangingAborted }
func (e *StockTaken) Kind() *ledger.Kind       { return stockTaken }

// Subject is the partition.
func (e *HangingAborted) Subject() string { return e.Partition.String() }

// Sentence is such as: has aborted the transaction of producer 7 that hung in orders/1 from offset 41.
func (e *HangingAborted) Sentence() string {
	return fmt.Sprintf("has aborted the transaction of producer %d that hung in %v from offset %d", e.ProducerID, e.Partition, e.Start)
}

// Subject is the transactional id.
func (e *TransactionEnded) Subject() string { return e.TransactionalID }

// Sentence is such as: transaction of till-1 aborted: aborted by the application.
func (e *TransactionEnded) Sentence() string {
	text := fmt.Sprintf("transaction of %s %s", e.TransactionalID, e.Outcome)
	if e.Error != "" {
		text += ": " + e.Error
	}
	return text
}

// Sentence is such as: all accounts hold 0, by 412 records.
func (e *StockTaken) Sentence() string {
	return fmt.Sprintf("all accounts hold %d, by %d records", e.Sum, e.Records)
}

// tellEnd tells the ledger how a transaction ended.
func (s *Stage) tellEnd(h env.Host, transactionalID string, as history.Type, why string) {
	outcome := map[history.Type]string{history.OK: "committed", history.Failed: "aborted", history.Unknown: "unknown"}[as]
	h.Tell(&TransactionEnded{TransactionalID: transactionalID, Outcome: outcome, Error: why})
}
