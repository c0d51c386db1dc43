package scenarios

import (
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// What a trial of transactions must have met.
var (
	ProbeTransactionAborted = ledger.ProbeOn(new(workloads.TransactionEnded).Kind(), "producer aborted a transaction",
		"and it knows that this is done", func(e *workloads.TransactionEnded) bool { return e.Outcome == "aborted" })
	ProbeTransactionInDoubt = ledger.ProbeOn(new(workloads.TransactionEnded).Kind(), "transaction in doubt",
		"its producer was fenced or failed before it knew whether it is committed", func(e *workloads.TransactionEnded) bool { return e.Outcome == "unknown" })
	ProbeTransactionTimedOut = ledger.ProbeOn[witness.TxnTimedOut](new(witness.TxnTimedOut).Kind(), "transaction timed out",
		"its coordinator aborted it and fenced its producer", nil)
	ProbeProducerFenced = ledger.ProbeOn[witness.TxnFenced](new(witness.TxnFenced).Kind(), "producer fenced by its coordinator",
		"another one has its transactional id, or it has another epoch", nil)
	ProbeHangingAborted = ledger.ProbeOn[workloads.HangingAborted](new(workloads.HangingAborted).Kind(), "hanging transaction aborted",
		"an administrator found a transaction that is open in a partition and that no coordinator knows", nil)
	ProbeStateRestored = ledger.ProbeOn(new(workloads.StateRestored).Kind(), "state restored from a changelog",
		"by a worker that was given a partition, and that had counts already", func(e *workloads.StateRestored) bool { return e.Keys > 0 })
	ProbeStockTaken = ledger.ProbeOn[workloads.StockTaken](new(workloads.StockTaken).Kind(), "all accounts added up",
		"a reader had read all there is while no transfer was under way", nil)
)
