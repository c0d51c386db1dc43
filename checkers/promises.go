package checkers

import "slices"

// Promise is something that a cluster owes its clients, and the anomalies that
// break it. Anomalies are looked for; people ask for promises.
type Promise struct {
	Name      string
	About     string
	Anomalies []Anomaly
	// Counts is how much was looked at; nil: the records that were polled.
	Counts func(Examined) int64
}

// The promises of a configuration that is safe throughout: acks=all, idempotent
// producers, min.insync.replicas of at least two. Where less is configured the
// same is asked, and what the configuration permits is named.
var (
	NoLostRecords = Promise{"acknowledged records are never lost",
		"each is where it was acknowledged, for all readers that read that far",
		[]Anomaly{LostWrite, TornTransaction}, acknowledged}
	EverythingIsRead = Promise{"acknowledged records are read in the end",
		"when all is well again every one of them is seen",
		[]Anomaly{Unseen}, acknowledged}
	NoDuplicates = Promise{"records are not duplicated",
		"a record has one offset",
		[]Anomaly{Duplicate}, polled}
	NoConflicts = Promise{"all observations agree",
		"an offset holds one record, for every reader and at any time, and a record is read as it was sent",
		[]Anomaly{InconsistentOffsets, ChangedRecord, LeaderEpochOrder}, polled}
	NoPhantoms = Promise{"nothing is read that was not sent",
		"no phantom, no record of a send that failed, none in the wrong partition",
		[]Anomaly{PhantomRead, G1a, AbortedRead, PrecommittedRead}, polled}
	ConsumersInOrder = Promise{"consumers read in order and without holes",
		"a consumer's position goes on by one record at a time",
		[]Anomaly{IntPollSkip, IntNonmonotonicPoll, PollSkip, NonmonotonicPoll}, polled}
	ProducersInOrder = Promise{"producers' records stay in order",
		"what one life of a producer sent later lies behind what it sent before",
		[]Anomaly{NonmonotonicSend, IntNonmonotonicSend}, acknowledged}
	LinearizableAppends = Promise{"appends are linearizable per partition",
		"an append that was acknowledged before another began lies before it",
		[]Anomaly{AppendRealtimeOrder, G1cRealtime}, acknowledged}
	EndsDoNotGoBack = Promise{"ends of logs do not go back",
		"a client that was told an end is never told an earlier one",
		[]Anomaly{NonmonotonicEnd, DecreasingStart}, offsets}
	AtomicTransactions = Promise{"transactions are atomic",
		"all of a transaction is readable or none of it, and none reads from another in a circle",
		[]Anomaly{TornTransaction, G1a, AbortedRead, PrecommittedRead, G1c}, polled}
	ExactlyOnce = Promise{"each record is processed once",
		"of the transactions of a group that succeed, one processes a record, and each goes on from the one before; at most one member does, where that is asked for",
		[]Anomaly{DuplicateProcessing, ProcessedTwice, CommitOrder}, polled}
	GroupsCoverTheirInput = Promise{"groups leave nothing out",
		"below the offset that a group committed, every record was given to a member and, where that is told, processed, and a new owner begins there",
		[]Anomaly{GroupSkip, CommitAhead, GroupRewind, GroupJump, Unprocessed}, offsets}
	OneOwner = Promise{"a partition has one owner in a generation",
		"no two members are assigned a partition or given a record of it in one generation, nothing is read after it was revoked, and commits of an older one are refused",
		[]Anomaly{OwnedTwice, TwoOwners, ZombieOwner, ReadAfterRevoke, StaleCommit}, polled}
	KeysInOrder = Promise{"records of a key are processed in order",
		"a group is given the records of one key in the order in which they were sent",
		[]Anomaly{KeyOrder}, polled}
	CommittedOffsetsAreRegisters = Promise{"committed offsets are what was committed",
		"a request for a group's committed offset returns the one committed last",
		[]Anomaly{CommittedOffset}, offsets}
	EpochsGrow = Promise{"epochs grow",
		"producer epochs and group generations only grow, each producer has its own, and one that was fenced commits nothing",
		[]Anomaly{ProducerEpoch, GroupGeneration, ZombieCommit}, offsets}
	NoHangingTransactions = Promise{"no transaction hangs",
		"when all is over, nothing of a log is hidden by an open transaction",
		[]Anomaly{StuckLSO}, stable}
)

// Promises are all of them. A workload without groups and transactions has
// nothing to say of the later ones.
var Promises = []Promise{
	NoLostRecords, EverythingIsRead, NoDuplicates, NoConflicts, NoPhantoms, ConsumersInOrder, ProducersInOrder,
	LinearizableAppends, EndsDoNotGoBack,
	AtomicTransactions, ExactlyOnce, GroupsCoverTheirInput, OneOwner, KeysInOrder, CommittedOffsetsAreRegisters, EpochsGrow,
	NoHangingTransactions,
}

// LogPromises are those about records and logs alone.
var LogPromises = Promises[:9:9]

// GroupPromises are those about the members of a group, beside the ones about logs.
var GroupPromises = []Promise{GroupsCoverTheirInput, OneOwner, KeysInOrder, CommittedOffsetsAreRegisters, EpochsGrow}

func acknowledged(e Examined) int64 { return e.Acknowledged }
func polled(e Examined) int64       { return e.Polled }
func offsets(e Examined) int64      { return e.Facts }
func stable(e Examined) int64       { return e.Stable }

// Kept is what a judgement says of one promise, and at how much it looked. A
// promise about which nothing was looked at is inconclusive.
func (j *Judgement) Kept(p Promise) (verdict Verdict, checked int64) {
	counts := p.Counts
	if counts == nil {
		counts = polled
	}
	checked = counts(j.Examined)
	verdict = Holds
	if checked == 0 {
		verdict = Inconclusive
	}
	for i := range j.Anomalies {
		if r := &j.Anomalies[i]; slices.Contains(p.Anomalies, r.Anomaly) {
			verdict = Worst(verdict, r.verdict(j.strict))
		}
	}
	return verdict, checked
}

// verdict is what an anomaly that was found makes of a promise.
func (r *Report) verdict(strict bool) Verdict {
	switch {
	case r.Broken() > 0:
		return Violated
	case r.Permitted > 0 && strict:
		return Violated
	case r.Undecided > 0:
		return Inconclusive
	case r.Permitted > 0:
		return Allowed
	}
	return Holds
}
