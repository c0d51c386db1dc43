package zoo

import (
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
	// Set are the settings of the run that it needs; nil: none.
	Set map[string]string
}

// Finders are the bugs that a scenario finds. The others are shown by stories and tests
// of the package that they are planted in.
var Finders = []Finder{
	{planted.CountDivergedFetch, scenarios.LeadershipPingPong, 1, 3, "law 5:", nil},
	{planted.NoDivergenceCheck, scenarios.SplitNetwork, 1, 3, "law 5:", nil},
	{planted.TruncateToHW, scenarios.LeadershipPingPong, 1, 3, "law 23:", nil},
	{planted.ISRNoLESO, scenarios.Standard, 6, 20, "law 12:", nil},
	{planted.HWCommittedISR, scenarios.ReturnOfTheReplica, 1, 3, "law 9:", nil},
	{planted.HWUnderMinISR, scenarios.LastInSync, 1, 3, "law 9:", nil},
	{planted.NoELR, scenarios.LastInSync, 1, 5, "law 18:", nil},
	{planted.IgnoreBrokerEpoch, scenarios.LateISRJoin, 1, 3, "law 12:", nil},
	{planted.NoDuplicateWindow, scenarios.LateRequests, 1, 3, "records are not duplicated", nil},
	{planted.SnapshotWindow, scenarios.RetriesAfterRestart, 1, 3, "records are not duplicated", nil},
	{planted.RaftNoFlush, scenarios.ControllerStorm, 1, 1, "law 35:", nil},
	{planted.RaftForgetVote, scenarios.VotesInTheDark, 1, 20, "law 33:", nil},
	{planted.RaftRestartAsLeader, scenarios.ControllerStorm, 1, 3, "law 28:", nil},
	{planted.AckBeforeCommit, scenarios.SlowLoad, 2, 5, "committed offsets are what was committed", nil},
	{planted.ServeWhileLoading, scenarios.SlowLoad, 1, 5, "committed offsets are what was committed", nil},
	{planted.UnloadIgnoresEpoch, scenarios.SlowLoad, 1, 5, "every client and replica makes progress", nil},
	{planted.UpdateBeforeAppend, scenarios.RetriesAfterRestart, 1, 3, "law 61:", nil},
	{planted.DoubleReadLSO, scenarios.MoneyTransfer, 1, 3, "law 67:", nil},
	{planted.CleanTombstoneNow, scenarios.CompactedTable, 1, 3, "what a reader has of a table is the table", nil},
	{planted.CleanDropLastBatch, scenarios.CompactedTable, 1, 3, "law 62:", nil},
	{planted.CommitNoGeneration, scenarios.ZombieMember, 1, 3, "law 47:", nil},
	{planted.IgnoreGeneration, scenarios.ZombieMember, 1, 3, "law 45:", map[string]string{"partition.assignment.strategy": "sticky"}},
	{planted.StaleAssignment, scenarios.CoordinatorLoss, 1, 5, "law 45:", nil},
	{planted.RespondBeforePersist, scenarios.CoordinatorAlone, 1, 3, "law 45:", nil},
	{planted.AssignedOnce, scenarios.StandardGroups, 6, 6, "every client and replica makes progress", map[string]string{"group.protocol": "consumer", "group.coordinator.append.linger.ms": "500"}},
	{planted.NoInstanceFence, scenarios.StaticTwin, 1, 3, "law 54:", nil},
	{planted.StaticSwapVolatile, scenarios.StaticTwin, 1, 5, "law 54:", nil},
	{planted.ExpireAnyState, scenarios.OffsetsAndClocks, 1, 5, "groups leave nothing out", nil},
	{planted.ProposeFenced, scenarios.SplitNetwork, 1, 3, "law 76:", nil},
	{planted.DupAckWrongOffset, scenarios.SplitNetwork, 1, 3, "records are not duplicated", nil},
	{planted.ListNoEpochStart, scenarios.SplitNetwork, 1, 3, "law 11:", nil},
	{planted.FetchNoCurrentEpoch, scenarios.LeadershipPingPong, 1, 3, "law 13:", nil},
	{planted.BatchExpireFromBase, scenarios.Standard, 2, 5, "law 1:", nil},
	{planted.SnapNoFsync, scenarios.ControllerStorm, 1, 3, "every client and replica makes progress", map[string]string{"metadata.log.max.record.bytes.between.snapshots": "1500"}},
	{planted.TxnTimeoutNoBump, scenarios.StandardEOS, 1, 5, "law 63:", nil},
	{planted.AckMarkerEarly, scenarios.StandardEOS, 2, 5, "consumers read in order and without holes", nil},
	{planted.TxnCommitNoGeneration, scenarios.StandardEOS, 5, 8, "a partition has one owner in a generation", nil},
	{planted.FetchDelayedNoAbortedList, scenarios.StandardEOS, 1, 3, "nothing is read that was not sent", nil},
	{planted.TxnCompleteTwice, scenarios.StandardEOS, 1, 5, "law 65:", nil},
	{planted.TxnVolatile, scenarios.StandardEOS, 4, 6, "every client and replica makes progress", nil},
	{planted.TxnMarkerStrictNoRetry, scenarios.StandardEOS, 7, 10, "every client and replica makes progress", nil},
	{planted.TxnNoVerify, scenarios.LateProduce, 2, 5, "every client and replica makes progress", nil},
	{planted.TxnSharedEpoch, scenarios.LateEndTxn, 1, 3, "nothing is read that was not sent", map[string]string{"transaction.version": "2"}},
	{planted.TxnMarkersUncommitted, scenarios.DecisionLost, 6, 10, "acknowledged records are never lost", nil},
	{planted.TxnMarkerEpochGE, scenarios.LateMarkers, 4, 10, "acknowledged records are never lost", nil},
	{planted.TxnPendingByID, scenarios.LateMarkers, 18, 25, "every client and replica makes progress", nil},
	{planted.TxnRotateWrongPair, scenarios.EpochsUsedUp, 1, 3, "epochs grow", nil},
	{planted.TxnDoubleBump, scenarios.EpochsUsedUp, 6, 10, "law 63:", nil},
	{planted.TxnNoPersistPrevNext, scenarios.CoordinatorInPrepare, 2, 15, "law 63:", map[string]string{"ktrial.transaction.first.epoch": "32762"}},
	{planted.FetchDelayedUncommitted, scenarios.ZombieProducer, 1, 3, "law 67:", nil},
	{planted.EpochAddThenRemove, scenarios.SlowToGiveUp, 1, 3, "law 52:", nil},
	{planted.NullAcknowledges, scenarios.SlowToGiveUp, 1, 5, "law 49:", nil},
	{planted.HeartbeatOwnsTarget, scenarios.SlowToGiveUp, 1, 3, "law 49:", nil},
	{planted.HeartbeatEmptyIsNoChange, scenarios.SlowToGiveUp, 1, 3, "members give up in time what they are to", nil},
	{planted.HeartbeatNoReset, scenarios.LostAnswers, 1, 5, "every client and replica makes progress", nil},
	{planted.NoSessionInRebalance, scenarios.ScaleOut, 2, 3, "law 55:", nil},
	{planted.TxnVerifyNotRechecked, scenarios.LateVerification, 1, 3, "nothing is read that was not sent", nil},
	{planted.TxnMarkerDoubleCount, scenarios.RefusedMarker, 3, 5, "nothing is read that was not sent", nil},
	{planted.FirstTogether, scenarios.FirstBatches, 1, 2, "producers' records stay in order", nil},
}

// settings are those under which a scenario is known to show a bug.
func settings(bug planted.Bug, scenario string) map[string]string {
	for i := range Finders {
		if f := &Finders[i]; f.Bug == bug && f.Scenario.Name == scenario {
			return f.Set
		}
	}
	return nil
}
