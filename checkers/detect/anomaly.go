package detect

// Anomaly names a way in which a history departs from what Kafka promises.
// Where Jepsen has a name for it, this is that name.
type Anomaly string

// Jepsen's taxonomy (jepsen.tests.kafka), judged by offset.
const (
	InconsistentOffsets Anomaly = "inconsistent-offsets"
	Duplicate           Anomaly = "duplicate"
	LostWrite           Anomaly = "lost-write"
	G1a                 Anomaly = "G1a"
	PrecommittedRead    Anomaly = "precommitted-read"
	IntPollSkip         Anomaly = "int-poll-skip"
	IntNonmonotonicPoll Anomaly = "int-nonmonotonic-poll"
	PollSkip            Anomaly = "poll-skip"
	NonmonotonicPoll    Anomaly = "nonmonotonic-poll"
	NonmonotonicSend    Anomaly = "nonmonotonic-send"
	IntNonmonotonicSend Anomaly = "int-nonmonotonic-send"
	IntSendSkip         Anomaly = "int-send-skip"
	Unseen              Anomaly = "unseen"
	G0                  Anomaly = "G0"
	G0Realtime          Anomaly = "G0-realtime"
	G1c                 Anomaly = "G1c"
	G1cRealtime         Anomaly = "G1c-realtime"
)

// What Jepsen's checker does not see, though the history shows it.
const (
	PhantomRead         Anomaly = "phantom-read"
	AbortedRead         Anomaly = "aborted-read"
	TornTransaction     Anomaly = "torn-transaction"
	DuplicateProcessing Anomaly = "duplicate-processing"
	AppendRealtimeOrder Anomaly = "append-realtime-order"
)

// What needs operations that Jepsen's histories do not have.
const (
	GroupSkip        Anomaly = "group-skip"
	CommitAhead      Anomaly = "commit-ahead"
	CommittedOffset  Anomaly = "committed-offset"
	NonmonotonicEnd  Anomaly = "nonmonotonic-end"
	ProducerEpoch    Anomaly = "producer-epoch"
	GroupGeneration  Anomaly = "group-generation"
	DecreasingStart  Anomaly = "decreasing-start"
	StuckLSO         Anomaly = "stuck-LSO"
	StaleCommit      Anomaly = "stale-commit"
	TwoOwners        Anomaly = "two-owners"
	GroupRewind      Anomaly = "group-rewind"
	ChangedRecord    Anomaly = "changed-record"
	LeaderEpochOrder Anomaly = "leader-epoch-order"

	OwnedTwice      Anomaly = "owned-twice"
	ZombieOwner     Anomaly = "zombie-owner"
	ReadAfterRevoke Anomaly = "read-after-revoke"
	GroupJump       Anomaly = "group-jump"
	KeyOrder        Anomaly = "key-order"
	Unprocessed     Anomaly = "unprocessed"
	ProcessedTwice  Anomaly = "processed-twice"

	ZombieCommit Anomaly = "zombie-commit"
	CommitOrder  Anomaly = "commit-order"
)

// Jepsen's meta errors, which say only that a cycle exists, or that there is
// nothing to look at. They appear in the mode that reproduces it.
const (
	PL1Cycle       Anomaly = "PL-1-cycle-exists"
	PL2Cycle       Anomaly = "PL-2-cycle-exists"
	StrongPL1Cycle Anomaly = "strong-PL-1-cycle-exists"
	StrongPL2Cycle Anomaly = "strong-PL-2-cycle-exists"
	EmptyGraph     Anomaly = "empty-transaction-graph"
)

// AnomalyInfo describes an anomaly in a line.
type AnomalyInfo struct {
	Anomaly Anomaly
	About   string
}

// Anomalies are all that are looked for, in the order in which they are told:
// causes before what follows from them.
var Anomalies = []AnomalyInfo{
	{InconsistentOffsets, "one offset was seen to hold different records"},
	{LostWrite, "an acknowledged record was never read, though later ones were, or lies beyond the log's end"},
	{Duplicate, "one record was seen at more offsets than there were sends that may have written it"},
	{PhantomRead, "a poll returned a record that no client sent"},
	{G1a, "a poll returned a record of an operation that definitely failed"},
	{AbortedRead, "the same, to a reader that failed or whose outcome is unknown"},
	{PrecommittedRead, "a transaction read its own record before it committed"},
	{ChangedRecord, "a record's key, headers or timestamp were read other than they were sent, or than others read them"},
	{LeaderEpochOrder, "records of a later leader epoch lie below those of an earlier one"},
	{TornTransaction, "of one transaction a record was read and another is lost"},
	{G1c, "transactions read from each other in a circle"},
	{G1cRealtime, "a record was read before its send began"},
	{G0, "transactions wrote around each other in a circle"},
	{G0Realtime, "a circle of writes against the order of time"},
	{NonmonotonicEnd, "a log's end was read lower than it is known to have been"},
	{IntPollSkip, "within an operation, a consumer jumped over a record"},
	{IntNonmonotonicPoll, "within an operation, a consumer went back or repeated"},
	{PollSkip, "between operations, a consumer jumped over a record"},
	{NonmonotonicPoll, "between operations, a consumer went back or repeated"},
	{IntNonmonotonicSend, "within an operation, sends were reordered"},
	{NonmonotonicSend, "a producer's later send lies before its earlier one"},
	{IntSendSkip, "foreign records lie between the sends of one operation"},
	{AppendRealtimeOrder, "an acknowledged append lies behind one that began later"},
	{OwnedTwice, "in one generation of a group two members were assigned the same partition"},
	{TwoOwners, "in one generation of a group two members were given the same record"},
	{StaleCommit, "a group took a commit of a generation that was over"},
	{ZombieOwner, "a member was assigned a partition that another did not know it had lost"},
	{ReadAfterRevoke, "a consumer was given a record of a partition after it was told that it lost it"},
	{GroupRewind, "a new owner of a partition began below the offset that its group had committed"},
	{GroupJump, "a new owner of a partition began above the offset that its group had committed, or, where it had committed none, above the start of the log"},
	{ZombieCommit, "a producer that had been fenced committed a transaction, or sent a record"},
	{CommitOrder, "a transaction set its group's committed offset back"},
	{DuplicateProcessing, "two committed transactions of a group processed the same record"},
	{ProcessedTwice, "a group processed a record twice"},
	{KeyOrder, "a group was given records of one key in another order than they were sent"},
	{GroupSkip, "a group committed beyond a record that no member was given"},
	{Unprocessed, "a group committed beyond a record that no member processed"},
	{CommitAhead, "a group committed beyond what any member had been given by then, or beyond the log"},
	{CommittedOffset, "a group's committed offset was read other than it was committed"},
	{ProducerEpoch, "a producer epoch did not grow"},
	{GroupGeneration, "a group's generation did not grow"},
	{DecreasingStart, "a log's start went back"},
	{StuckLSO, "in the end, an open transaction hides the rest of a log"},
	{Unseen, "an acknowledged record was never read by the end"},
}

// InOrder are the names of all anomalies in the order in which they are told,
// Jepsen's meta errors last.
func InOrder() []Anomaly {
	var names []Anomaly
	for _, info := range Anomalies {
		names = append(names, info.Anomaly)
	}
	return append(names, PL1Cycle, PL2Cycle, StrongPL1Cycle, StrongPL2Cycle, EmptyGraph)
}
