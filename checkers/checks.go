package checkers

import (
	"slices"

	"github.com/ktrial/ktrial/checkers/history"
)

// The checks by plain names. Each permits what the expectations attached to
// the history permit (see Expect), and otherwise what the baseline does.
var (
	NoLostRecords = promise("acknowledged records are never lost",
		"a record acknowledged to its producer is read by whoever reads past its offset, and is there in the end",
		LostWrite, TornTransaction)
	NoDuplicates = promise("no record is written twice",
		"a record has one offset",
		Duplicate)
	OrderedPerPartition = promise("records keep their order",
		"a producer's records lie in the order in which they were sent, and a consumer is given them one after the other",
		NonmonotonicSend, IntNonmonotonicSend, PollSkip, IntPollSkip, NonmonotonicPoll, IntNonmonotonicPoll)
	NoConflicts = promise("observations agree",
		"whoever is told of an offset, by an acknowledgement or a poll, is told the same",
		InconsistentOffsets)
	NoPhantoms = promise("only what was sent is read",
		"a poll returns no record that nobody sent, that failed, or that is not sent yet",
		PhantomRead, G1a, AbortedRead, PrecommittedRead, G1cRealtime)
	LinearizableAppends = promise("appends are linearizable per partition",
		"what was acknowledged before another append began lies before it, and every end that was read fits",
		AppendRealtimeOrder, NonmonotonicEnd)
	EndOffsetsMonotone = promise("log ends only grow",
		"the end of a log, and its start, are never read lower than they were",
		NonmonotonicEnd, DecreasingStart)
	AtomicTransactions = promise("transactions are atomic",
		"all of a transaction is readable or none of it, and none reads from another in a circle",
		TornTransaction, G1a, AbortedRead, PrecommittedRead, G1c)
	ExactlyOnce = promise("each record is processed once",
		"of the transactions of a group that succeed, one processes a record",
		DuplicateProcessing)
	GroupsCoverTheirInput = promise("groups leave nothing out",
		"below the offset that a group committed, every record was given to a member",
		GroupSkip, CommitAhead)
	CommittedOffsetsAreRegisters = promise("committed offsets are what was committed",
		"whoever asks for a group's committed offset is told the one committed last",
		CommittedOffset)
	EpochsGrow = promise("epochs grow",
		"producer epochs and group generations only grow",
		ProducerEpoch, GroupGeneration)
	NoHangingTransactions = promise("no transaction hangs",
		"when all is over, nothing of a log is hidden by an open transaction",
		StuckLSO)
	EverythingIsRead = promise("everything acknowledged is read by the end",
		"when all is over and drained, every acknowledged record was read",
		Unseen)
)

// Checks are all of them.
var Checks = []Check{
	NoLostRecords, NoDuplicates, OrderedPerPartition, NoConflicts, NoPhantoms, LinearizableAppends,
	EndOffsetsMonotone, AtomicTransactions, ExactlyOnce, GroupsCoverTheirInput,
	CommittedOffsetsAreRegisters, EpochsGrow, NoHangingTransactions, EverythingIsRead,
}

type expectKey struct{}

// Expect attaches to a history under which configuration it came about: the
// checks then permit what that configuration permits.
func Expect(h *history.History, e Expectations) {
	h.Memo(expectKey{}, func() any { return &Expectations{} })
	*h.Memo(expectKey{}, nil).(*Expectations) = e
}

func expected(h *history.History) *Expectations {
	return h.Memo(expectKey{}, func() any { return &Expectations{} }).(*Expectations)
}

// promise is the check that some anomalies do not occur.
func promise(name, about string, anomalies ...Anomaly) Check {
	return Check{name, about, func(h *history.History) (v Verdict) {
		a := analyse(h)
		expect, _ := expected(h).over(h)
		c := newCollector(a, newPermits(a, &expect))
		for _, d := range detectors {
			if !d.findsAny(anomalies) {
				continue
			}
			v.Checked += d.run(a, func(f finding) {
				if slices.Contains(anomalies, f.anomaly) {
					c.take(f)
				}
			})
		}
		var j Judgement
		c.report(&j)
		for _, r := range j.Anomalies {
			for _, in := range r.Instances {
				if in.Permitted == "" {
					v.Violations = append(v.Violations, Violation{in.Message, in.Ops, in.At})
				}
			}
		}
		v.Allowed = j.Allowed
		return v
	}}
}

func (d *detector) findsAny(anomalies []Anomaly) bool {
	for _, anomaly := range d.finds {
		if slices.Contains(anomalies, anomaly) {
			return true
		}
	}
	return false
}
