package txn

import "github.com/ktrial/ktrial/ledger"

// The rare states that trials must have met.
var (
	ProbeConcurrent = ledger.NewProbe("txn: request while another is pending",
		"a transactional id asked for something while its last change, or its markers, were on their way")
	ProbePreparedLoaded = ledger.NewProbe("txn: prepared end taken over",
		"a coordinator loaded a transaction whose end was decided and not over, and sent its markers again")
	ProbeNotEncoded = ledger.NewProbe("txn: state has no room in its record",
		"transaction.version was lowered to 0 under a transaction of version 2, whose id is stuck now")
	ProbeExhausted = ledger.NewProbe("txn: epochs exhausted",
		"a transactional id was given a new producer id, as the epochs of the old one were used up")
	ProbeNotVerified = ledger.NewProbe("txn: partition not in the transaction",
		"a coordinator was asked for a partition that is in no transaction of the producer (KIP-890)")
	ProbeEndRepeated = ledger.NewProbe("txn: end that came again",
		"an EndTxn was answered that had been applied before")
	ProbeLateEnd = ledger.NewProbe("txn: late end refused",
		"an EndTxn of an earlier epoch, or another one than was decided, was refused (KIP-890)")
	ProbeExpired = ledger.NewProbe("txn: transactional id expired",
		"a transactional id was forgotten that was not used for long")
)
