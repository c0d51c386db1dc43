package permit

import (
	"slices"

	"github.com/ktrial/ktrial/checkers/detect"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/checkers/laws"
)

// row is a row of the table of what a configuration permits.
type row struct {
	reason string // what of the configuration, and why it is so
	when   func(e *Expectations) bool
	fault  history.FaultKind // which must have happened, too
	// legal: nothing was ever promised, whatever is configured.
	legal bool
	// asked: what a client asked for permits it, so that a history shows whether anything does.
	asked   bool
	permits []detect.Anomaly
	only    func(p *Permits, f *detect.Finding) bool // nil: every instance
	// laws are those of what happens inside that need not hold any longer, where
	// the fault happened.
	laws []laws.Law
}

var truncation = []detect.Anomaly{detect.LostWrite, detect.Unseen, detect.InconsistentOffsets, detect.AppendRealtimeOrder,
	detect.NonmonotonicSend, detect.IntNonmonotonicSend, detect.PollSkip, detect.IntPollSkip, detect.NonmonotonicEnd, detect.TornTransaction}

var anything = []detect.Anomaly{detect.LostWrite, detect.Unseen, detect.InconsistentOffsets, detect.Duplicate, detect.NonmonotonicPoll, detect.PollSkip,
	detect.IntPollSkip, detect.IntNonmonotonicPoll, detect.IntNonmonotonicSend, detect.NonmonotonicSend, detect.AppendRealtimeOrder,
	detect.G1a, detect.AbortedRead, detect.TornTransaction, detect.NonmonotonicEnd, detect.CommittedOffset, detect.GroupSkip, detect.CommitAhead, detect.GroupRewind, detect.GroupJump, detect.Unprocessed, detect.KeyOrder, detect.LeaderEpochOrder, detect.ChangedRecord,
	detect.DuplicateProcessing, detect.CommitOrder, detect.ProducerEpoch, detect.ZombieCommit}

// gaps are what a reader misses where records are gone.
var gaps = []detect.Anomaly{detect.LostWrite, detect.PollSkip, detect.IntPollSkip, detect.Unseen, detect.TornTransaction, detect.GroupSkip, detect.GroupJump, detect.Unprocessed}

// keeping are the laws about what was committed. They hold as long as no more
// is destroyed than the configuration promises to survive.
var keeping = []laws.Law{
	laws.WeakISR, laws.StrongISR, laws.LogMatching, laws.SamePrefix,
	laws.LeaderComplete, laws.CandidateComplete, laws.HWIsReplicated, laws.JoinCaughtUp,
	laws.UncleanExcluded, laws.KeptSomewhere, laws.ConsistentRead, laws.NoTruncation,
	laws.OneAssignment, laws.FencedCommits, laws.CommitsStay,
	laws.StableRead, laws.ProducerEpochsGrow, laws.LegalStates, laws.MarkersEverywhere, laws.TransactionsEnd,
}

// undamaged are the laws about the content of one log, which a node cannot keep
// when its disk was damaged.
var undamaged = []laws.Law{
	laws.WeakISR, laws.StrongISR, laws.LogMatching, laws.SamePrefix,
	laws.EpochsGrow, laws.ConsistentRead, laws.MarksInOrder, laws.RecoveredPrefix,
	laws.ContiguousBatches, laws.StableRead,
}

// table is what is permitted: everything that no row permits fails, and nothing
// permits a phantom, a read from the future, or, among read_committed
// consumers, a read of what is not committed.
var table = []row{
	{reason: "always: transactions interleave in a log, for offsets are given at append, before the commit",
		when: always, legal: true,
		permits: []detect.Anomaly{detect.IntSendSkip, detect.G0, detect.G0Realtime}},
	{reason: "ww-deps: an order of writes is not an order of transactions, so circles through it are legal",
		when: func(e *Expectations) bool { return e.Is(WriteOrder, "true") }, legal: true,
		permits: []detect.Anomaly{detect.G1c, detect.G1cRealtime},
		only:    func(_ *Permits, f *detect.Finding) bool { return f.ThroughWrites }},
	{reason: "acks=1: a leader that loses its leadership loses what only it had acknowledged",
		when:    func(e *Expectations) bool { return e.Is(Acks, "1") },
		permits: truncation, only: onlyAcknowledged},
	{reason: "acks=0: nothing was ever promised of a send",
		when:    func(e *Expectations) bool { return e.Is(Acks, "0") },
		permits: append([]detect.Anomaly{detect.Duplicate}, truncation...), only: onlyAcknowledged},
	{reason: "min.insync.replicas=1, and the last in-sync replica lost data",
		when:    func(e *Expectations) bool { return e.number(MinInsyncReplicas, 2) <= 1 },
		fault:   history.LastISRLost,
		permits: append([]detect.Anomaly{detect.LeaderEpochOrder}, truncation...), laws: keeping},
	{reason: "at least min.insync.replicas replicas were down uncleanly at once, and unsynced data was lost",
		when:    func(e *Expectations) bool { return e.Happened[history.LossyCrashes] > 0 },
		fault:   history.LossyCrashes,
		permits: anything, only: afterTheFault, laws: keeping},
	{reason: "unclean.leader.election.enable=true, and a replica out of sync was elected",
		when:    func(e *Expectations) bool { return e.Is(UncleanLeaderElection, "true") },
		fault:   history.UncleanElection,
		permits: anything, only: afterTheFault, laws: keeping},
	{reason: "its disk was damaged, and the base offset and epoch of a batch are under no checksum",
		when:  always,
		fault: history.DamagedDisk,
		laws:  undamaged},
	{reason: "enable.idempotence=false: a retry whose first answer was lost appends twice",
		when:    withoutIdempotence,
		permits: []detect.Anomaly{detect.Duplicate, detect.DuplicateProcessing}, only: atSeveralOffsets},
	{reason: "enable.idempotence=false with several requests in flight: a retry lands behind its successor",
		when: func(e *Expectations) bool {
			return withoutIdempotence(e) && e.number(MaxInFlight, 5) > 1
		},
		permits: []detect.Anomaly{detect.NonmonotonicSend, detect.IntNonmonotonicSend}},
	{reason: "enable.idempotence=false: what was given up may still arrive, behind what was sent later",
		when:    withoutIdempotence,
		permits: []detect.Anomaly{detect.NonmonotonicSend}, only: firstGivenUp},
	{reason: "producer.id.expiration.ms: a broker forgot a silent producer, and took its retry for a new record",
		when:    func(e *Expectations) bool { return e.number(ProducerIDExpiration, kafkasExpiration) < kafkasExpiration },
		permits: []detect.Anomaly{detect.Duplicate, detect.DuplicateProcessing, detect.NonmonotonicSend, detect.IntNonmonotonicSend},
		laws:    []laws.Law{laws.ContiguousBatches, laws.ProducersKnown}},
	{reason: "isolation.level=read_uncommitted: consumers see what is not committed",
		when:    readUncommitted,
		permits: []detect.Anomaly{detect.G1a, detect.AbortedRead, detect.PrecommittedRead, detect.G1c}},
	{reason: "isolation.level=read_uncommitted: a transaction under way is read from before it reads the rest itself",
		when:    readUncommitted,
		permits: []detect.Anomaly{detect.G1cRealtime},
		only:    func(_ *Permits, f *detect.Finding) bool { return !f.Direct }},
	{reason: "isolation.level=read_uncommitted: what is read of a value may be what was aborted before it was sent again",
		when:    readUncommitted,
		permits: []detect.Anomaly{detect.G1cRealtime, detect.AppendRealtimeOrder, detect.NonmonotonicEnd, detect.NonmonotonicSend, detect.IntNonmonotonicSend, detect.Duplicate},
		only:    alsoAborted},
	{reason: "isolation.level=read_uncommitted: that a record was read does not prove that its transaction committed",
		when:    readUncommitted,
		permits: []detect.Anomaly{detect.LostWrite, detect.TornTransaction},
		only:    func(p *Permits, f *detect.Finding) bool { return !p.log.Acknowledged(f.Record.Rec) }},
	{reason: "isolation.level=read_uncommitted: what one consumer jumped over is of an aborted transaction that another saw",
		when:    readUncommitted,
		permits: []detect.Anomaly{detect.PollSkip, detect.IntPollSkip},
		only: func(p *Permits, f *detect.Finding) bool {
			return p.skippedAll(f, func(_ int64, rec history.Rec) bool { return p.log.OnlyFailed(rec) })
		}},
	{reason: "isolation.level=read_uncommitted: a new owner does not wait for offsets that a transaction has pending, and begins below them",
		when:    readUncommitted,
		permits: []detect.Anomaly{detect.GroupRewind, detect.DuplicateProcessing, detect.CommitOrder}, only: inTransactions},
	{reason: "subscribe: partitions move between the members of a group",
		when:    subscribed,
		permits: []detect.Anomaly{detect.PollSkip, detect.NonmonotonicPoll}, only: ofAMember},
	{reason: "subscribe: a worker whose transaction was aborted goes back to where its group is; if it is no member any more and does not know it, others have moved that, and its next transaction is aborted as well",
		when: subscribed, legal: true,
		permits: []detect.Anomaly{detect.PollSkip, detect.NonmonotonicPoll}, only: backToTheGroup},
	{reason: "always: a member that was replaced and does not know it owns until it learns",
		when: always, legal: true,
		permits: []detect.Anomaly{detect.ZombieOwner}},
	{reason: "Kafka keeps the order of a partition; records of one key on several partitions have none (ordering=key asks for one)",
		when: func(e *Expectations) bool { return !e.Is(Ordering, "key") && !e.Is(Ordering, "none") }, legal: true,
		permits: []detect.Anomaly{detect.KeyOrder}, only: acrossPartitions},
	{reason: "ordering=none: records of one key are on several partitions, which have no order among them",
		when:    func(e *Expectations) bool { return e.Is(Ordering, "none") },
		permits: []detect.Anomaly{detect.KeyOrder}, only: acrossPartitions},
	{reason: "at-least-once: what was processed and not committed is processed again",
		when: func(e *Expectations) bool {
			return !e.Is(Processing, "at-most-once") && !e.Is(Processing, "exactly-once")
		}, legal: true,
		permits: []detect.Anomaly{detect.ProcessedTwice}},
	{reason: "processing=at-most-once: what was committed before it was processed is not processed after a crash",
		when:    func(e *Expectations) bool { return e.Is(Processing, "at-most-once") },
		permits: []detect.Anomaly{detect.Unprocessed}},
	{reason: "enable.auto.commit=true: what a consumer commits by itself is not in the history",
		when:    func(e *Expectations) bool { return e.Is(EnableAutoCommit, "true") },
		permits: []detect.Anomaly{detect.GroupJump}},
	{reason: "enable.auto.commit=true: what was processed since the last commit is processed again",
		when:    func(e *Expectations) bool { return e.Is(EnableAutoCommit, "true") },
		permits: []detect.Anomaly{detect.DuplicateProcessing}},
	{reason: "offsets.fenced=false: offsets sent without the group's metadata are accepted of a member that was replaced",
		when:    func(e *Expectations) bool { return e.Is(OffsetsFenced, "false") },
		permits: []detect.Anomaly{detect.DuplicateProcessing, detect.CommitOrder, detect.GroupRewind, detect.GroupJump, detect.KeyOrder, detect.NonmonotonicPoll, detect.PollSkip}, only: ofWorkers},
	{reason: "processing=at-least-once: after a crash a consumer starts over from the committed offset",
		when:    func(e *Expectations) bool { return e.Is(Processing, "at-least-once") },
		permits: []detect.Anomaly{detect.DuplicateProcessing}},
	{reason: "auto.offset.reset=latest: a position that was not known, or out of range, began anew at the end",
		when:    func(e *Expectations) bool { return e.Is(AutoOffsetReset, "latest") },
		fault:   history.OffsetReset,
		permits: []detect.Anomaly{detect.PollSkip, detect.GroupJump}, only: resetToEnd},
	{reason: "auto.offset.reset=latest: a group that had no committed offset began at the end, and what was sent before that no member processes",
		when:    func(e *Expectations) bool { return e.Is(AutoOffsetReset, "latest") },
		fault:   history.OffsetReset,
		permits: []detect.Anomaly{detect.GroupSkip, detect.GroupJump, detect.Unprocessed}, only: whereReset},
	{reason: "auto.offset.reset=latest: those that came past it had lost their position to a deletion, and begun anew at the end",
		when:    func(e *Expectations) bool { return e.Is(AutoOffsetReset, "latest") },
		permits: []detect.Anomaly{detect.LostWrite, detect.Unseen, detect.TornTransaction}, only: passedByReset},
	{reason: "auto.offset.reset=earliest: a position that was not known, or out of range, began anew at the start",
		when:    func(e *Expectations) bool { return e.Is(AutoOffsetReset, "earliest") },
		fault:   history.OffsetReset,
		permits: []detect.Anomaly{detect.NonmonotonicPoll, detect.GroupRewind, detect.KeyOrder}, only: oncePerReader},
	{reason: "delete-records: a client had asked for it to be deleted",
		when: always, legal: true, asked: true,
		permits: gaps, only: deletedByClient},
	{reason: "retention: records below the log's start were deleted",
		when:    retention,
		permits: gaps, only: belowLogStart},
	{reason: "cleanup.policy=compact: a later record of the same record key superseded it",
		when: compact, legal: true,
		permits: gaps, only: superseded},
	{reason: "cleanup.policy=compact: a tombstone goes delete.retention.ms after the log was cleaned",
		when: compact, legal: true,
		permits: gaps, only: supersededOrTombstone},
	{reason: "cleanup.policy=compact: a later record, of a record key or with an outcome that is not told, may have superseded it",
		when:    compact,
		permits: gaps, only: maybeSuperseded},
	{reason: "known protocol flaw KAFKA-17754: before transaction.version=2 a late EndTxn ended this transaction, which was not its own",
		when:    func(e *Expectations) bool { return e.number(TransactionVersion, 2) < 2 },
		fault:   history.DelayedEndTxn,
		permits: []detect.Anomaly{detect.G1a, detect.AbortedRead, detect.LostWrite, detect.TornTransaction, detect.Unseen, detect.PollSkip, detect.IntPollSkip}, only: endedByAnother},
	{reason: "a leader that was replaced and cut off does not know it, has no lease to lose, and tells its old end; to one client, which has heard of the next leader epoch, it tells none (KIP-320, KIP-207)",
		when:    func(e *Expectations) bool { return e.Happened[history.ReplacedLeader] > 0 },
		fault:   history.ReplacedLeader,
		permits: []detect.Anomaly{detect.NonmonotonicEnd}, only: betweenClients},
	{reason: "a coordinator that was replaced and cut off does not know it, has no lease to lose, and tells the offsets that were committed when it was one",
		when:    func(e *Expectations) bool { return e.Happened[history.ReplacedCoordinator] > 0 },
		fault:   history.ReplacedCoordinator,
		permits: []detect.Anomaly{detect.CommittedOffset}, only: readFromReplaced},
	{reason: "follower.fetch=true: a follower may lag behind, though never diverge",
		when:    func(e *Expectations) bool { return e.Is(FollowerFetch, "true") },
		permits: []detect.Anomaly{detect.NonmonotonicEnd}},
}

// kafkasExpiration is Kafka's default of producer.id.expiration.ms, a day: longer
// than any history in which a producer could be forgotten.
const kafkasExpiration = 86_400_000

func always(*Expectations) bool { return true }

func withoutIdempotence(e *Expectations) bool {
	return e.Is(EnableIdempotence, "false") && e.number(Retries, 1) > 0
}

func readUncommitted(e *Expectations) bool { return e.Is(IsolationLevel, "read_uncommitted") }

func subscribed(e *Expectations) bool {
	return e.Is(Subscribe, "true") || e.Is(Subscribe, "subscribe")
}

func compact(e *Expectations) bool {
	return e.Is(CleanupPolicy, "compact") || e.Is(CleanupPolicy, "compact+delete")
}

func retention(e *Expectations) bool {
	return e.Is(Retention, "true") || e.Is(CleanupPolicy, "delete") || e.Is(CleanupPolicy, "compact+delete") || e.said(LogStartOffset)
}

// Faults are the kinds that happened to one partition, or to one machine.
type Faults uint16

// With is these faults and one more.
func (f Faults) With(kind history.FaultKind) Faults { return f | 1<<kind }

// Any reports whether anything happened.
func (f Faults) Any() bool { return f != 0 }

func (f Faults) has(kind history.FaultKind) bool {
	return kind != history.OtherFault && f&(1<<kind) != 0
}

// Law says why a law of what happens inside need not hold under a configuration
// where these faults happened; ok is false if it must.
func (e *Expectations) Law(law laws.Law, happened Faults) (reason string, ok bool) {
	for i := range table {
		r := &table[i]
		if slices.Contains(r.laws, law) && (r.fault == history.OtherFault && r.when(e) || happened.has(r.fault)) {
			return r.reason, true
		}
	}
	return "", false
}

// Offer is an anomaly that a row permits.
type Offer struct {
	Anomaly detect.Anomaly
	Reason  string
}

// Offers are what a configuration permits beyond what is always legal.
func (e *Expectations) Offers() (all []Offer) {
	for i := range table {
		if r := &table[i]; !r.legal && r.when(e) {
			for _, anomaly := range r.permits {
				all = append(all, Offer{anomaly, r.reason})
			}
		}
	}
	return all
}

// May reports whether some row may permit instances of an anomaly.
func (e *Expectations) May(anomaly detect.Anomaly) bool {
	for i := range table {
		if r := &table[i]; !r.asked && r.when(e) && slices.Contains(r.permits, anomaly) {
			return true
		}
	}
	return false
}

// MayBeDeleted reports whether what a client asked to be deleted may be why.
func MayBeDeleted(anomaly detect.Anomaly) bool { return slices.Contains(gaps, anomaly) }
