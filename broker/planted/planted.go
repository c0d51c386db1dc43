// Package planted holds historical bugs of Kafka and its kin as switches, off
// by default. Each is read at exactly one branch of the stack. They are how
// the harness itself is tested: a check that has never found a planted bug has
// found nothing yet.
//
// The branch computes both results where it can, and says so when they differ:
//
//	end := rightEnd
//	if bugs.On(planted.TruncateToHW) {
//		end = hw
//		bugs.Infected(planted.TruncateToHW, end != rightEnd)
//	}
package planted

// Bug names a switch; it is what `--plant` takes.
type Bug string

// The bugs, by part of the stack.
const (
	CountDivergedFetch  Bug = "repl.count_diverged_fetch"
	TruncateToHW        Bug = "repl.truncate_to_hw"
	NoDivergenceCheck   Bug = "repl.no_divergence_check"
	ISRNoLESO           Bug = "repl.isr_no_leso"
	HWCommittedISR      Bug = "repl.hw_committed_isr"
	HWUnderMinISR       Bug = "repl.hw_under_min_isr"
	NoELR               Bug = "ctrl.no_elr"
	IgnoreBrokerEpoch   Bug = "ctrl.ignore_broker_epoch"
	NoDuplicateWindow   Bug = "idem.no_window"
	SnapshotWindow      Bug = "idem.snapshot_window"
	RaftNoFlush         Bug = "raft.no_flush"
	RaftForgetVote      Bug = "raft.forget_vote"
	RaftRestartAsLeader Bug = "raft.restart_as_leader"

	UnloadIgnoresEpoch Bug = "coord.unload_ignores_epoch"
	ServeWhileLoading  Bug = "coord.serve_while_loading"
	AckBeforeCommit    Bug = "coord.ack_before_commit"

	CommitNoGeneration   Bug = "group.commit_no_generation"
	NoInstanceFence      Bug = "group.no_instance_fence"
	StaticSwapVolatile   Bug = "group.static_swap_volatile"
	ExpireAnyState       Bug = "group.expire_any_state"
	RespondBeforePersist Bug = "group.respond_before_persist"
	StaleAssignment      Bug = "group.stale_assignment"
	NoSessionInRebalance Bug = "group.no_session_in_rebalance"
	IgnoreGeneration     Bug = "assignor.ignore_generation"
	EpochAddThenRemove   Bug = "group848.epoch_add_then_remove"
	NullAcknowledges     Bug = "group848.null_acknowledges"

	CleanIndexCleanedOnly Bug = "clean.index_cleaned_only"
	CleanTxnStatePerGroup Bug = "clean.txn_state_per_group"
	CleanTombstoneNow     Bug = "clean.tombstone_now"
	CleanDropLastBatch    Bug = "clean.drop_last_batch"
)

// Of transactions.
const (
	TxnSharedEpoch         Bug = "txn.shared_epoch"
	TxnNoVerify            Bug = "txn.no_verify"
	TxnVerifyNotRechecked  Bug = "txn.verify_not_rechecked"
	TxnTimeoutNoBump       Bug = "txn.timeout_no_bump"
	TxnVolatile            Bug = "txn.add_partitions_volatile"
	TxnCompleteTwice       Bug = "txn.complete_twice"
	TxnPendingByID         Bug = "txn.pending_by_id"
	TxnMarkerDoubleCount   Bug = "txn.marker_double_count"
	TxnMarkerEpochGE       Bug = "txn.marker_epoch_ge"
	TxnMarkerStrictNoRetry Bug = "txn.marker_strict_no_retry"
	TxnRotateWrongPair     Bug = "txn.rotate_wrong_pair"
	TxnDoubleBump          Bug = "txn.double_bump"
	TxnNoPersistPrevNext   Bug = "txn.no_persist_prev_next"
	TxnMarkersUncommitted  Bug = "txn.markers_uncommitted"

	AssignedOnce          Bug = "group.assigned_once"
	StaticSwapBack        Bug = "group.static_swap_back"
	AckMarkerEarly        Bug = "group.ack_marker_early"
	TxnCommitNoGeneration Bug = "group.txn_commit_no_generation"

	FetchDelayedUncommitted   Bug = "fetch.delayed_uncommitted"
	FetchDelayedNoAbortedList Bug = "fetch.delayed_no_aborted_list"
	UpdateBeforeAppend        Bug = "idem.update_before_append"
	DoubleReadLSO             Bug = "lso.double_read"
)

// Of members of an ISR, of what a leader answers, and of snapshots of metadata.
const (
	DupAckWrongOffset   Bug = "idem.dup_ack_wrong_offset"
	ProposeFenced       Bug = "repl.propose_fenced"
	BatchExpireFromBase Bug = "ctrl.batch_expire_from_base"
	FetchNoCurrentEpoch Bug = "fetch.no_current_epoch"
	ListNoEpochStart    Bug = "list.no_leso_guard"
	SnapNoFsync         Bug = "snap.no_fsync"
)

// Of a producer.
const FirstTogether Bug = "client.first_together"

// Of a member of a group.
const (
	HeartbeatOwnsTarget      Bug = "client848.forget_last_topics"
	HeartbeatEmptyIsNoChange Bug = "client848.empty_is_nochange"
	HeartbeatNoReset         Bug = "client848.no_reset_on_error"
)

// Entry describes a bug.
type Entry struct {
	Bug   Bug
	Zoo   string // its number in the zoo, such as "Z04"
	About string // one line: what the wrong code does
	Ref   string // the issue or KIP that mended it
}

// All lists every bug, in the order of the zoo.
var All = []Entry{
	{TxnSharedEpoch, "Z01", "an EndTxn of the epoch before ends the open transaction, as if epochs were not bumped", "KAFKA-17754, KIP-890"},
	{TxnNoVerify, "Z02", "a leader takes the first record of a transaction without asking the coordinator", "KIP-890, KAFKA-14402"},
	{TxnVerifyNotRechecked, "Z02", "a leader that has asked the coordinator does not look whether a marker came since", "KAFKA-14884"},
	{CountDivergedFetch, "Z03", "the leader counts the fetch offset of a follower whose log has diverged", "KAFKA-13141"},
	{TruncateToHW, "Z04", "a new follower truncates to its own high watermark", "KIP-101, KAFKA-1211"},
	{NoDivergenceCheck, "Z05", "the leader serves a fetch without comparing the follower's last epoch", "KIP-101, KIP-595"},
	{ISRNoLESO, "Z06", "a follower joins the ISR before it reached the start of the leader's epoch", "KAFKA-7128"},
	{HWCommittedISR, "Z07", "the high watermark ignores a replica whose ISR join is in flight", "KIP-497"},
	{NoELR, "Z08", "the last ISR member is elected even after an unclean shutdown", "KIP-966"},
	{HWUnderMinISR, "Z08", "the high watermark advances while the ISR is below min.insync.replicas", "KIP-966, KAFKA-15583"},
	{NoDuplicateWindow, "Z09", "a replayed batch is out of order instead of a duplicate", "redpanda #3039, KIP-98"},
	{DupAckWrongOffset, "Z09", "a duplicate batch is answered with the end of the log instead of its first offset", "redpanda #3003"},
	{SnapshotWindow, "new", "after a restart only the last batch of each producer is known again (as in Kafka)", "found here"},
	{TxnTimeoutNoBump, "Z11", "a transaction that has timed out is aborted without fencing its producer", "KAFKA-6119, KIP-588"},
	{AckMarkerEarly, "Z12", "a marker on __consumer_offsets is answered before the group coordinator has it", "KAFKA-17507"},
	{TxnCommitNoGeneration, "Z13", "offsets are staged in a transaction whatever the generation of the member", "KIP-447, KAFKA-9365"},
	{CommitNoGeneration, "Z14", "a commit of an old generation or epoch, or of no member at all, is accepted", "KAFKA-2596"},
	{RaftNoFlush, "Z15", "a voter acknowledges metadata it has not synced", "KAFKA-10533, KAFKA-13884"},
	{RaftForgetVote, "Z16", "a vote is not durable before it is granted", "KIP-595"},
	{RaftRestartAsLeader, "Z16", "a restarted quorum leader resumes in its old epoch", "KAFKA-10527"},
	{IgnoreBrokerEpoch, "Z18", "the controller accepts an ISR join of a broker incarnation that is gone", "KIP-903"},
	{IgnoreGeneration, "Z19", "a sticky assignor leaves a partition also to a member whose claim is of an older generation", "KAFKA-7026, KIP-341, KIP-792"},
	{EpochAddThenRemove, "Z20", "a partition that a KIP-848 member was to give up and is given back looks free", "KAFKA-16147"},
	{UnloadIgnoresEpoch, "Z21", "a coordinator is unloaded late, whatever leadership it was loaded in since", "KAFKA-10614"},
	{ServeWhileLoading, "Z21", "a coordinator answers from a log that it has folded in part", "redpanda #12931"},
	{FetchDelayedUncommitted, "Z23", "a fetch that has waited is answered as if read_uncommitted", "KAFKA-5376"},
	{FetchDelayedNoAbortedList, "Z23", "a fetch that has waited is answered without the aborted transactions", "KAFKA-5355"},
	{UpdateBeforeAppend, "Z24", "a batch counts as its producer's last although it was refused", "KAFKA-6683"},
	{TxnVolatile, "Z35", "a coordinator has the partitions of a transaction in memory only", "redpanda #6018, #6019"},
	{TxnCompleteTwice, "Z37", "a transaction is completed twice, the second time over the next one", "KAFKA-10080, KAFKA-16352"},
	{TxnPendingByID, "Z37", "answers to the markers of an earlier coordinator count for the present one's", "KAFKA-17877"},
	{TxnMarkerDoubleCount, "Z37", "WriteTxnMarkers is answered before all its partitions have the marker", "KAFKA-9777"},
	{TxnMarkerEpochGE, "Z39", "a late marker of the transaction before is taken for that of the open one", "KIP-1228, KAFKA-19446"},
	{TxnMarkerStrictNoRetry, "Z39", "a marker that is sent again is refused", "KAFKA-19999"},
	{TxnRotateWrongPair, "Z40", "EndTxn answers with the old producer id when its epochs are used up", "KAFKA-18660"},
	{TxnDoubleBump, "Z40", "an InitProducerId that aborts a transaction bumps the epoch twice", "KAFKA-19367"},
	{TxnNoPersistPrevNext, "Z40", "the next producer id is in no record, and lost with the coordinator", "KAFKA-20310"},
	{FetchNoCurrentEpoch, "Z44", "a fetch is served whatever the leader epoch that it names", "KAFKA-6880, KIP-320"},
	{ProposeFenced, "Z48", "a leader proposes for its ISR whichever replica has caught up, a fenced one too", "KIP-841, KAFKA-13916"},
	{BatchExpireFromBase, "Z50", "sessions that expire at once are worked out from one image, each as if the others lived", "KAFKA-13173"},
	{ListNoEpochStart, "Z51", "a new leader tells the end of its log before its high watermark is past the start of its epoch", "KAFKA-2334, KIP-207"},
	{SnapNoFsync, "Z55", "a snapshot of the metadata gets its name before it is synced", "KAFKA-15312"},
	{AckBeforeCommit, "Z75", "a coordinator answers when its record is appended, not when it is committed", "KAFKA-2017, redpanda #4900"},
	{RespondBeforePersist, "Z75", "members get their assignment before it is in the log", "KAFKA-2720"},
	{NoInstanceFence, "Z62", "the process that a static member replaced goes on in its name", "KIP-345, KAFKA-8225"},
	{StaticSwapVolatile, "Z62", "the new id of a static member that was replaced is not in the log", "KAFKA-10284"},
	{StaticSwapBack, "new", "a static replacement that is not committed in time is taken back, though the group has rebalanced with it since (as in Kafka)", "found here"},
	{AssignedOnce, "new", "a KIP-848 member that is one epoch behind is told its epoch and not its partitions (as in Kafka)", "found here"},
	{HeartbeatOwnsTarget, "Z64", "a KIP-848 member's heartbeat says that it owns its target before it has given anything up", "franz-go d5ceeb73"},
	{HeartbeatEmptyIsNoChange, "Z64", "a KIP-848 member takes an empty assignment for none", "franz-go 0af2689c, 6536e4f3"},
	{HeartbeatNoReset, "Z64", "a KIP-848 member whose heartbeat failed does not say all again", "franz-go eca3a457"},
	{DoubleReadLSO, "Z77", "the last stable offset is computed from two readings of the high watermark", "KAFKA-9807"},
	{TxnMarkersUncommitted, "new", "a coordinator that takes over sends the markers of an end that may yet be lost (as in Kafka)", "found here"},
	{FirstTogether, "new", "a producer sends several batches before the leader knows its producer id (as Java's does)", "KAFKA-14359, KAFKA-15591"},
	{ExpireAnyState, "Z69", "offsets expire by the age of their commit, whatever the group does", "KAFKA-13636, KAFKA-4682"},
	{NullAcknowledges, "new", "a heartbeat that says nothing of what its member has counts as giving up all that it is to give up", "found here"},
	{StaleAssignment, "new", "a member that syncs before its leader gets the assignment of the generation before", "found here"},
	{NoSessionInRebalance, "new", "the heartbeats of a member do not keep its session while its group waits for it to join again", "found here"},
	{CleanIndexCleanedOnly, "Z26", "the cleaner forgets aborted transactions beyond what its full map of keys covers", "KAFKA-13727"},
	{CleanTxnStatePerGroup, "Z26", "the cleaner forgets between two groups of segments which transactions have data", "KAFKA-8351"},
	{CleanTombstoneNow, "Z79", "the cleaner removes tombstones without waiting for delete.retention.ms", "KIP-534, KAFKA-8522"},
	{CleanDropLastBatch, "Z79", "the cleaner removes the last batch of a producer", "KAFKA-5490, KAFKA-8335"},
}

// masks are the defences that hide a bug: bugs that take them away.
var masks = map[Bug][]Bug{
	FetchNoCurrentEpoch: {NoDivergenceCheck},
}

// Masks are the bugs that take away what hides this one; nil: nothing known does.
func Masks(b Bug) []Bug { return masks[b] }

// Count is what became of a planted bug in one run.
type Count struct {
	Reached  int64 // the branch was evaluated
	Infected int64 // the wrong result differed from the right one
}

// Set is the bugs of one run. A nil Set has none. It belongs to one world.
type Set struct {
	counts map[Bug]*Count
}

// Plant makes a set.
func Plant(bugs ...Bug) *Set {
	s := &Set{counts: map[Bug]*Count{}}
	for _, b := range bugs {
		s.counts[b] = &Count{}
	}
	return s
}

// On reports whether b is planted, and counts that its branch was reached.
func (s *Set) On(b Bug) bool {
	if s == nil {
		return false
	}
	c := s.counts[b]
	if c == nil {
		return false
	}
	c.Reached++
	return true
}

// Infected counts that b made a difference here.
func (s *Set) Infected(b Bug, differs bool) {
	if c := s.counts[b]; c != nil && differs {
		c.Infected++
	}
}

// Count returns what became of b.
func (s *Set) Count(b Bug) Count {
	if s == nil || s.counts[b] == nil {
		return Count{}
	}
	return *s.counts[b]
}
