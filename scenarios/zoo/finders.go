package zoo

import (
	"strings"

	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/scenarios"
)

// Finder is where a planted bug is known to show itself.
type Finder struct {
	Bug      planted.Bug
	Scenario scenarios.Scenario
	// First is the first seed that shows it, of 1 to Within: an edit of the stack may move it.
	First, Within uint64
	// Check is what finds it: the beginning of its name.
	Check string
	// Set is a setting of the run, as key=value; empty: none.
	Set string
}

// Finders are the bugs that a scenario finds. The others are shown by stories and tests
// of the package that they are planted in.
var Finders = []Finder{
	{planted.CountDivergedFetch, scenarios.LeadershipPingPong, 1, 3, "law 5:", ""},
	{planted.NoDivergenceCheck, scenarios.SplitNetwork, 1, 3, "law 5:", ""},
	{planted.TruncateToHW, scenarios.LeadershipPingPong, 1, 3, "law 23:", ""},
	{planted.ISRNoLESO, scenarios.Standard, 6, 20, "law 12:", ""},
	{planted.HWCommittedISR, scenarios.ReturnOfTheReplica, 1, 3, "law 9:", ""},
	{planted.HWUnderMinISR, scenarios.LastInSync, 1, 3, "law 9:", ""},
	{planted.NoELR, scenarios.LastInSync, 1, 5, "law 18:", ""},
	{planted.IgnoreBrokerEpoch, scenarios.LateISRJoin, 1, 3, "law 12:", ""},
	{planted.NoDuplicateWindow, scenarios.LateRequests, 1, 3, "records are not duplicated", ""},
	{planted.SnapshotWindow, scenarios.RetriesAfterRestart, 1, 3, "records are not duplicated", ""},
	{planted.RaftNoFlush, scenarios.ControllerStorm, 1, 1, "law 35:", ""},
	{planted.RaftForgetVote, scenarios.VotesInTheDark, 1, 20, "law 33:", ""},
	{planted.RaftRestartAsLeader, scenarios.ControllerStorm, 1, 3, "law 28:", ""},
	{planted.AckBeforeCommit, scenarios.SlowLoad, 2, 5, "committed offsets are what was committed", ""},
	{planted.ServeWhileLoading, scenarios.SlowLoad, 1, 5, "committed offsets are what was committed", ""},
	{planted.UnloadIgnoresEpoch, scenarios.SlowLoad, 1, 5, "every client and replica makes progress", ""},
	{planted.CleanTombstoneNow, scenarios.CompactedTable, 1, 3, "what a reader has of a table is the table", ""},
	{planted.CleanDropLastBatch, scenarios.CompactedTable, 1, 3, "law 62:", ""},
	{planted.CommitNoGeneration, scenarios.ZombieMember, 1, 3, "law 47:", ""},
	{planted.IgnoreGeneration, scenarios.ZombieMember, 1, 3, "law 45:", "partition.assignment.strategy=sticky"},
	{planted.StaleAssignment, scenarios.CoordinatorLoss, 1, 5, "law 45:", ""},
	{planted.RespondBeforePersist, scenarios.CoordinatorAlone, 1, 3, "law 45:", ""},
	{planted.NoInstanceFence, scenarios.StaticTwin, 1, 3, "law 54:", ""},
	{planted.StaticSwapVolatile, scenarios.StaticTwin, 1, 5, "law 54:", ""},
	{planted.ExpireAnyState, scenarios.OffsetsAndClocks, 1, 5, "groups leave nothing out", ""},
	{planted.ProposeFenced, scenarios.SplitNetwork, 1, 3, "law 76:", ""},
	{planted.DupAckWrongOffset, scenarios.SplitNetwork, 1, 3, "records are not duplicated", ""},
	{planted.ListNoEpochStart, scenarios.SplitNetwork, 1, 3, "law 11:", ""},
	{planted.FetchNoCurrentEpoch, scenarios.LeadershipPingPong, 1, 3, "law 13:", ""},
	{planted.BatchExpireFromBase, scenarios.Standard, 1, 5, "law 1:", ""},
	{planted.SnapNoFsync, scenarios.ControllerStorm, 1, 3, "every client and replica makes progress", "metadata.log.max.record.bytes.between.snapshots=1500"},
	{planted.TxnTimeoutNoBump, scenarios.StandardEOS, 1, 5, "law 63:", ""},
	{planted.AckMarkerEarly, scenarios.StandardEOS, 2, 5, "consumers read in order and without holes", ""},
	{planted.TxnCommitNoGeneration, scenarios.StandardEOS, 5, 8, "a partition has one owner in a generation", ""},
	{planted.FetchDelayedNoAbortedList, scenarios.StandardEOS, 1, 3, "nothing is read that was not sent", ""},
	{planted.TxnCompleteTwice, scenarios.StandardEOS, 1, 5, "law 65:", ""},
	{planted.TxnVolatile, scenarios.StandardEOS, 4, 6, "every client and replica makes progress", ""},
	{planted.TxnMarkerStrictNoRetry, scenarios.StandardEOS, 7, 10, "every client and replica makes progress", ""},
	{planted.TxnNoVerify, scenarios.LateProduce, 2, 5, "every client and replica makes progress", ""},
	{planted.TxnSharedEpoch, scenarios.LateEndTxn, 1, 3, "nothing is read that was not sent", "transaction.version=2"},
	{planted.TxnMarkersUncommitted, scenarios.DecisionLost, 6, 10, "acknowledged records are never lost", ""},
	{planted.TxnMarkerEpochGE, scenarios.LateMarkers, 4, 10, "acknowledged records are never lost", ""},
	{planted.TxnPendingByID, scenarios.LateMarkers, 18, 25, "every client and replica makes progress", ""},
	{planted.TxnRotateWrongPair, scenarios.EpochsUsedUp, 1, 3, "epochs grow", ""},
	{planted.TxnDoubleBump, scenarios.EpochsUsedUp, 6, 10, "law 63:", ""},
	{planted.TxnNoPersistPrevNext, scenarios.CoordinatorInPrepare, 2, 15, "law 63:", "ktrial.transaction.first.epoch=32762"},
	{planted.FetchDelayedUncommitted, scenarios.ZombieProducer, 1, 3, "law 67:", ""},
	{planted.EpochAddThenRemove, scenarios.SlowToGiveUp, 5, 10, "law 50:", ""},
	{planted.NullAcknowledges, scenarios.SlowToGiveUp, 1, 5, "law 49:", ""},
	{planted.HeartbeatOwnsTarget, scenarios.SlowToGiveUp, 1, 3, "law 49:", ""},
	{planted.HeartbeatEmptyIsNoChange, scenarios.SlowToGiveUp, 1, 3, "members give up in time what they are to", ""},
	{planted.HeartbeatNoReset, scenarios.LostAnswers, 1, 5, "every client and replica makes progress", ""},
}

// Settings are the settings of the run.
func (f *Finder) Settings() map[string]string {
	if name, value, ok := strings.Cut(f.Set, "="); ok {
		return map[string]string{name: value}
	}
	return nil
}

// settings are those under which a scenario is known to show a bug.
func settings(bug planted.Bug, scenario string) map[string]string {
	for i := range Finders {
		if f := &Finders[i]; f.Bug == bug && f.Scenario.Name == scenario {
			return f.Settings()
		}
	}
	return nil
}
