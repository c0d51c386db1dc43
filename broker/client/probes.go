package client

import "github.com/ktrial/ktrial/ledger"

// The rare states that trials must have met.
var (
	ProbeGaveUpBehind = ledger.NewProbe("client gave up a batch behind one in doubt",
		"a producer dropped a batch whose predecessor has an unknown outcome")
	ProbeNewEpoch = ledger.NewProbe("client begins a partition anew under another epoch",
		"an idempotent producer reset its sequences after a batch was lost (KIP-360)")
	ProbePositionTruncated = ledger.NewProbe("consumer found its position truncated",
		"a consumer validated its position against a new leader epoch and found it gone (KIP-320)")
	ProbeKeptEpoch = ledger.NewProbe("client kept a leader epoch against older metadata",
		"metadata with an older leader epoch arrived after newer ones (KIP-320)")
	ProbeOffsetsRefused = ledger.NewProbe("group refused offsets of a transaction",
		"a producer sent offsets as a member that was replaced, and must abort (KIP-447)")
	ProbeTransactionsUpgraded = ledger.NewProbe("producer goes on with transactions of version 2",
		"transaction.version was raised while it had transactions, and its next ones have epochs of their own (KIP-890)")
	ProbeTransactionsDowngraded = ledger.NewProbe("producer goes back to transactions of version 1",
		"transaction.version was lowered while it had transactions")
	ProbeOutOfRange = ledger.NewProbe("consumer was out of range",
		"a consumer fetched at an offset that the log does not have")
)
