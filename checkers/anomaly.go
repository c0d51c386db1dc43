package checkers

import (
	"github.com/ktrial/ktrial/checkers/detect"
	"github.com/ktrial/ktrial/checkers/explain"
	"github.com/ktrial/ktrial/checkers/permit"
)

// Anomaly names a way in which a history departs from what Kafka promises.
// Where Jepsen has a name for it, this is that name.
type Anomaly = detect.Anomaly

// AnomalyInfo describes an anomaly in a line.
type AnomalyInfo = detect.AnomalyInfo

// Anomalies are all that are looked for, in the order in which they are told.
var Anomalies = detect.Anomalies

// What is looked for: see Anomalies.
const (
	InconsistentOffsets = detect.InconsistentOffsets
	Duplicate           = detect.Duplicate
	LostWrite           = detect.LostWrite
	G1a                 = detect.G1a
	PrecommittedRead    = detect.PrecommittedRead
	IntPollSkip         = detect.IntPollSkip
	IntNonmonotonicPoll = detect.IntNonmonotonicPoll
	PollSkip            = detect.PollSkip
	NonmonotonicPoll    = detect.NonmonotonicPoll
	NonmonotonicSend    = detect.NonmonotonicSend
	IntNonmonotonicSend = detect.IntNonmonotonicSend
	IntSendSkip         = detect.IntSendSkip
	Unseen              = detect.Unseen
	G0                  = detect.G0
	G0Realtime          = detect.G0Realtime
	G1c                 = detect.G1c
	G1cRealtime         = detect.G1cRealtime
	PhantomRead         = detect.PhantomRead
	AbortedRead         = detect.AbortedRead
	TornTransaction     = detect.TornTransaction
	DuplicateProcessing = detect.DuplicateProcessing
	AppendRealtimeOrder = detect.AppendRealtimeOrder
	GroupSkip           = detect.GroupSkip
	CommitAhead         = detect.CommitAhead
	CommittedOffset     = detect.CommittedOffset
	NonmonotonicEnd     = detect.NonmonotonicEnd
	ProducerEpoch       = detect.ProducerEpoch
	GroupGeneration     = detect.GroupGeneration
	DecreasingStart     = detect.DecreasingStart
	StuckLSO            = detect.StuckLSO
	StaleCommit         = detect.StaleCommit
	TwoOwners           = detect.TwoOwners
	GroupRewind         = detect.GroupRewind
	ChangedRecord       = detect.ChangedRecord
	LeaderEpochOrder    = detect.LeaderEpochOrder
	OwnedTwice          = detect.OwnedTwice
	ZombieOwner         = detect.ZombieOwner
	ReadAfterRevoke     = detect.ReadAfterRevoke
	GroupJump           = detect.GroupJump
	KeyOrder            = detect.KeyOrder
	Unprocessed         = detect.Unprocessed
	ProcessedTwice      = detect.ProcessedTwice
	ZombieCommit        = detect.ZombieCommit
	CommitOrder         = detect.CommitOrder
)

// Expectations say under which configuration a history came about, and what
// happened to the cluster: see package permit.
type Expectations = permit.Expectations

// ParseConfig reads key=value pairs separated by commas, such as
// "acks=1,isolation=read_uncommitted".
func ParseConfig(texts ...string) (Expectations, error) { return permit.ParseConfig(texts...) }

// Knows reports whether name is a setting that permits or forbids anything.
func Knows(name string) bool { return permit.Knows(name) }

// Instance is one occurrence of an anomaly, with its proof.
type Instance = explain.Instance
