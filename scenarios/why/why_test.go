package why_test

import (
	"flag"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/internal/golden"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
	"github.com/ktrial/ktrial/scenarios/why"
)

var long = flag.Bool("long", false, "run the long tests, too")

// Each kind is explained by its own rules. The traces are of real runs, without the
// events that no rule reads.
func TestExplain_Stories(t *testing.T) {
	law := func(subject string) reports.Violation { return reports.Violation{Subject: subject, Inside: true} }
	for _, c := range []struct {
		name string
		of   reports.Violation
		kind reports.WhyKind
	}{
		{"truncated-to-own-mark", law("orders/0"), reports.LostRecord},
		{"acked-by-leader-alone", reports.Violation{Subject: "orders/0", Anomaly: "lost-write", Values: []string{"p2-0-989@orders/0"}}, reports.LostRecord},
		{"retry-not-known", reports.Violation{Subject: "orders/0", Anomaly: "duplicate", Values: []string{"p3-0-205@orders/0"}, Offsets: []int64{266, 268}}, reports.Duplicated},
		{"out-of-order", reports.Violation{Subject: "orders/1", Anomaly: "nonmonotonic-send", Values: []string{"p4-2-38@orders/1", "p4-2-46@orders/1"}, Offsets: []int64{243, 201}, Ops: []int{4056, 4131}}, reports.OutOfOrder},
		{"diverged", law("orders/0"), reports.Diverged},
		{"given-up-too-early", law("group billing"), reports.TwoOwnersAtOnce},
		{"not-coordinated", reports.Violation{}, reports.StuckGroup},
		{"aborted-delivered", reports.Violation{Subject: "invoices/0", Anomaly: "G1a", Values: []string{"w1.1-0-1@invoices/0"}, Offsets: []int64{0}, Ops: []int{248, 249}}, reports.AbortedDelivered},
		{"late-end", reports.Violation{Subject: "orders/1", Anomaly: "G1a", Values: []string{"p3-0-20@orders/1"}, Offsets: []int64{57}, Ops: []int{176, 204}}, reports.AbortedDelivered},
		{"read-uncommitted", reports.Violation{Subject: "orders/2", Anomaly: "G1a", Values: []string{"p1-0-15@orders/2"}, Offsets: []int64{25}, Ops: []int{233, 919}}, reports.AbortedDelivered},
		{"forgotten", reports.Violation{Subject: "accounts/3", Anomaly: "G1a", Values: []string{"t2-0-221@accounts/3"}, Offsets: []int64{250}, Ops: []int{1321, 1582}}, reports.AbortedDelivered},
		{"torn", reports.Violation{Subject: "orders/1", Anomaly: "lost-write", Values: []string{"p4-0-53@orders/1"}, Offsets: []int64{134, 182}, Ops: []int{569, 633}}, reports.TornTransaction},
		{"hanging", reports.Violation{}, reports.Hanging},
		{"hanging-untold", reports.Violation{}, reports.Hanging}, // the leader's last stable offset did not move
		{"marker-refused", reports.Violation{}, reports.Hanging},
		{"answer-of-another-epoch", reports.Violation{}, reports.Hanging},
		{"read-unstable", law("invoices/2"), reports.ReadUnstable},
		{"completed-twice", law("transactional id worker-2"), reports.WrongEnd},
		{"ended-without-new-epoch", law("transactional id worker-2"), reports.WrongEnd},
		{"answered-used-up", reports.Violation{Anomaly: "producer-epoch", Offsets: []int64{32766, 32767}, Ops: []int{101}}, reports.WrongEnd},
		{"no-next-producer", law("transactional id producer-4"), reports.WrongEnd},
		{"output-twice", reports.Violation{Subject: "orders/0", Anomaly: "nonmonotonic-poll", Offsets: []int64{38, 0}, Ops: []int{431, 500}}, reports.OutputTwice},
		{"commit-of-no-generation", reports.Violation{Subject: "orders/1", Anomaly: "commit-order", Offsets: []int64{457, 407}, Ops: []int{5717, 6036}}, reports.OutputTwice},
		{"stale-commit", reports.Violation{Subject: "orders/2", Anomaly: "stale-commit", Offsets: []int64{6, 5}, Ops: []int{5986, 6016}}, reports.StaleCommit},
		{"loading-coordinator", reports.Violation{Subject: "orders/0", Anomaly: "committed-offset", Ops: []int{3929, 4057}}, reports.Rewound},
		{"offset-expired", reports.Violation{Subject: "orders/9", Anomaly: "group-rewind", Offsets: []int64{3, 0}, Ops: []int{260, 424}}, reports.Rewound},
		{"commit-not-kept", reports.Violation{Subject: "orders/1", Anomaly: "committed-offset", Ops: []int{4063, 4279}}, reports.Rewound},
		{"zombie-commit", law("group billing"), reports.StaleCommit},
		{"led-twice", law("__cluster_metadata/0"), reports.TwoLeaders},
		{"vote-forgotten", law("__cluster_metadata/0"), reports.TwoLeaders},
		{"committed-unsynced", law("__cluster_metadata/0"), reports.MetadataLost},
		{"snapshot-unreadable", reports.Violation{}, reports.Unstartable},
		{"tombstone-gone", reports.Violation{Ops: []int{40235, 35891, 89194}}, reports.ValueLost},
		{"tombstone-polled", reports.Violation{Ops: []int{76360, 65419, 77563}}, reports.ValueLost},
	} {
		t.Run(c.name, func(t *testing.T) {
			y := why.Explain(slices.Values(traceOf(t, c.name)), &c.of)
			require.NotNil(t, y)
			assert.Equal(t, c.kind, y.Kind)
			var text strings.Builder
			y.WriteText(&text, reports.Style{})
			for _, n := range y.Remarks {
				text.WriteString("    remark " + n.Host + ": " + n.Text + "\n")
			}
			golden.File(t, filepath.Join("testdata", c.name+".txt"), text.String())
		})
	}
}

func traceOf(t *testing.T, name string) (all []*ledger.Entry) {
	_, err := ledger.ReadTraceFile(filepath.Join("testdata", name+".jsonl"), func(e *ledger.Entry) bool {
		all = append(all, e)
		return true
	})
	require.NoError(t, err)
	return all
}

// A log that is cut where nothing was committed yet is no loss, and a violation of
// which the events show nothing is not explained.
func TestExplain_NeverGuesses(t *testing.T) {
	all := traceOf(t, "truncated-to-own-mark")
	harmless := slices.DeleteFunc(slices.Clone(all), func(e *ledger.Entry) bool { return e.Event.Kind().Name == "high-watermark-moved" })
	assert.Nil(t, why.Explain(slices.Values(harmless), &reports.Violation{Subject: "orders/0", Inside: true}))
	assert.Nil(t, why.Explain(slices.Values(all), &reports.Violation{Subject: "orders/7", Inside: true}))
	assert.Nil(t, why.Explain(slices.Values(all), &reports.Violation{Subject: "orders/0", Anomaly: "lost-write", Values: []string{"another"}}))
	assert.Nil(t, why.Explain(slices.Values(all), &reports.Violation{Subject: "__cluster_metadata/0", Inside: true}))
	for _, v := range []reports.Violation{
		{Subject: "orders/0", Anomaly: "G1a", Values: []string{"p4-0-209@orders/0"}, Offsets: []int64{264}},
		{Subject: "orders/0", Anomaly: "torn-transaction", Values: []string{"p4-0-209@orders/0"}, Offsets: []int64{264}},
		{Subject: "orders/0", Anomaly: "stuck-LSO"}, {Subject: "transactional id producer-1", Inside: true}, {},
		{Subject: "orders/0", Anomaly: "nonmonotonic-poll", Ops: []int{4751, 4773}}, {Ops: []int{4751, 4773}},
	} {
		assert.Nil(t, why.Explain(slices.Values(all), &v), "%v", v)
	}

	expired := traceOf(t, "offset-expired")
	none := slices.DeleteFunc(slices.Clone(expired), func(e *ledger.Entry) bool {
		return e.Event.Kind().Name == "partitions-assigned" && e.At < 5*time.Second
	})
	rewound := why.Explain(slices.Values(none), &reports.Violation{Subject: "orders/9", Anomaly: "group-rewind", Ops: []int{260, 424}})
	require.NotNil(t, rewound)
	assert.NotContains(t, rewound.Because, "does not expire", "it is not known that a member owned the partition then")

	unreadable := slices.DeleteFunc(traceOf(t, "snapshot-unreadable"), func(e *ledger.Entry) bool { return e.Event.Kind().Name == "controller-resigned" })
	assert.Nil(t, why.Explain(slices.Values(unreadable), &reports.Violation{}), "a controller is active without it")

	unanswered := slices.DeleteFunc(traceOf(t, "answer-of-another-epoch"), func(e *ledger.Entry) bool { return e.Event.Kind().Name == "marker-answered" })
	assert.Nil(t, why.Explain(slices.Values(unanswered), &reports.Violation{}), "it is not known what the coordinator was told")

	untold := slices.DeleteFunc(traceOf(t, "answered-used-up"), func(e *ledger.Entry) bool { return e.Event.Kind().Name == "end-answered" })
	assert.Nil(t, why.Explain(slices.Values(untold), &reports.Violation{Anomaly: "producer-epoch", Ops: []int{101}}), "the producer may have ignored what it was told")

	known := slices.Clone(traceOf(t, "out-of-order"))
	for i, e := range known { // broker-1 has a batch of the producer before
		if x, ok := e.Event.(*witness.Appended); ok && e.Host == "broker-1" && x.From == 201 {
			before := *x
			before.From, before.End = 200, 201
			known = slices.Insert(known, i, &ledger.Entry{At: e.At, Host: e.Host, Event: &before})
			break
		}
	}
	order := why.Explain(slices.Values(known), &reports.Violation{Subject: "orders/1", Anomaly: "nonmonotonic-send", Values: []string{"p4-2-38@orders/1", "p4-2-46@orders/1"}, Offsets: []int64{243, 201}})
	require.NotNil(t, order)
	assert.Empty(t, order.Because, "the leader knew the producer")

	other := slices.DeleteFunc(slices.Clone(all), func(e *ledger.Entry) bool { return e.Event.Kind().Name == "became-follower" })
	y := why.Explain(slices.Values(other), &reports.Violation{Subject: "orders/0", Inside: true})
	require.NotNil(t, y)
	assert.NotContains(t, y.Because, "own high watermark", "it is not known what the follower knew")
}

// The explanation of a planted bug is enough to name the cause: partition, offset and
// host are in it, and words that belong to the bug.
func TestExplain_PlantedBugs(t *testing.T) {
	for _, c := range []struct {
		bug      planted.Bug
		scenario string
		set      map[string]string
		kind     reports.WhyKind
		because  string
		long     bool
		first    uint64 // seed; 0: 1
	}{
		{bug: planted.TruncateToHW, scenario: "leadership-ping-pong", kind: reports.LostRecord, because: "own high watermark"},
		{bug: planted.NoDivergenceCheck, scenario: "leadership-ping-pong", kind: reports.Diverged, because: "instead of truncating"},
		{bug: planted.NoDuplicateWindow, scenario: "late-requests", kind: reports.Duplicated, because: "although its log has the batch"},
		{bug: planted.HeartbeatOwnsTarget, scenario: "scale-out", set: map[string]string{"group.protocol": "consumer"}, kind: reports.TwoOwnersAtOnce, because: "had not given"},
		{bug: planted.UnloadIgnoresEpoch, scenario: "slow-load", kind: reports.StuckGroup, because: "No broker coordinates", long: true},
		{bug: planted.HWUnderMinISR, scenario: "late-isr-join", kind: reports.ShownTooHigh, because: "min.insync.replicas", long: true},
		{bug: planted.NoELR, scenario: "last-in-sync", kind: reports.JoinedTooEarly, because: "what it had not synced", long: true},
		{bug: planted.FetchDelayedUncommitted, scenario: "exactly-once-pipeline", kind: reports.ReadUnstable, because: "up to the high watermark all the same"},
		{bug: planted.FetchDelayedNoAbortedList, scenario: "standard-eos", kind: reports.AbortedDelivered, because: "must name the aborted transactions"},
		{bug: planted.TxnCompleteTwice, scenario: "standard-eos", kind: reports.WrongEnd, because: "carried out a second time"},
		{bug: planted.TxnTimeoutNoBump, scenario: "zombie-producer", kind: reports.WrongEnd, because: "without a new epoch", long: true},
		{bug: planted.TxnVolatile, scenario: "coordinator-in-prepare", kind: reports.AbortedDelivered, because: "what is not in that log is not known to the next coordinator", long: true},
		{bug: planted.TxnVolatile, scenario: "standard-eos", kind: reports.Hanging, because: "so it sent no marker there", long: true},
		{bug: planted.TxnMarkerStrictNoRetry, scenario: "coordinator-in-prepare", kind: reports.Hanging, because: "have this very marker already", long: true},
		{bug: planted.AckMarkerEarly, scenario: "standard-eos", kind: reports.OutputTwice, because: "before the group coordinator had appended it", long: true},
		{bug: planted.TxnCommitNoGeneration, scenario: "standard-eos", kind: reports.StaleCommit, because: "in a transaction too", long: true},
		{bug: planted.ServeWhileLoading, scenario: "slow-load", kind: reports.Rewound, because: "COORDINATOR_LOAD_IN_PROGRESS", long: true},
		{bug: planted.AckBeforeCommit, scenario: "slow-load", kind: reports.Rewound, because: "not yet committed", long: true},
		{bug: planted.CommitNoGeneration, scenario: "zombie-member", kind: reports.StaleCommit, because: "had been removed from the group"},
		{bug: planted.RaftRestartAsLeader, scenario: "controller-storm", kind: reports.TwoLeaders, because: "without an election"},
		{bug: planted.RaftForgetVote, scenario: "votes-in-the-dark", kind: reports.TwoLeaders, because: "was not on its disk", long: true},
		{bug: planted.RaftNoFlush, scenario: "standard", kind: reports.MetadataLost, because: "not when it is in the page cache"},
		{bug: planted.CleanTombstoneNow, scenario: "compacted-table", kind: reports.ValueLost, because: "must stay for delete.retention.ms", long: true},
		{bug: planted.CleanDropLastBatch, scenario: "compacted-table", kind: reports.ForgottenProducer, because: "KAFKA-5490", long: true},
		{bug: planted.RespondBeforePersist, scenario: "coordinator-alone", kind: reports.TwoAssignments, because: "only when it is committed"},
		{bug: planted.StaleAssignment, scenario: "eager-versus-cooperative-versus-848", kind: reports.TwoAssignments, because: "waits for the leader's SyncGroup"},
		{bug: planted.SnapshotWindow, scenario: "retries-after-restart", kind: reports.Duplicated, because: "opened its log in between", long: true},
		{bug: planted.HWCommittedISR, scenario: "return-of-the-replica", kind: reports.ShownTooHigh, because: "counts from the moment at which the leader asks for it", long: true},
		{bug: planted.ProposeFenced, scenario: "split-network", kind: reports.JoinedTooEarly, because: "is fenced", long: true},
		{bug: planted.FetchNoCurrentEpoch, scenario: "leadership-ping-pong", kind: reports.OtherEpoch, because: "UNKNOWN_LEADER_EPOCH", long: true},
		{bug: planted.ListNoEpochStart, scenario: "split-network", kind: reports.EndTooEarly, because: "OFFSET_NOT_AVAILABLE", long: true},
		{bug: planted.DupAckWrongOffset, scenario: "split-network", kind: reports.Duplicated, because: "must answer with the offset at which it has it", long: true},
		{bug: planted.TxnMarkerEpochGE, scenario: "late-markers", kind: reports.TornTransaction, because: "for the transaction before", long: true},
		{bug: planted.TxnMarkersUncommitted, scenario: "decision-lost", kind: reports.TornTransaction, because: "only when the decision is committed", long: true},
		{bug: planted.TxnDoubleBump, scenario: "epochs-used-up", kind: reports.WrongEnd, because: "this one took two", long: true},
		{bug: planted.IgnoreGeneration, scenario: "zombie-member", set: map[string]string{"partition.assignment.strategy": "sticky"}, kind: reports.TwoAssignments, because: "the older claim must not count"},
		{bug: planted.ExpireAnyState, scenario: "offsets-and-clocks", kind: reports.Rewound, because: "while the group has members that are subscribed"},
		{bug: planted.TxnPendingByID, scenario: "late-markers", kind: reports.Hanging, because: "an answer to a marker of another epoch", long: true, first: 18},
		{bug: planted.TxnRotateWrongPair, scenario: "epochs-used-up", kind: reports.WrongEnd, because: "answered with the one that is used up", long: true},
		{bug: planted.TxnNoPersistPrevNext, scenario: "coordinator-in-prepare", set: map[string]string{"ktrial.transaction.first.epoch": "32762"}, kind: reports.WrongEnd, because: "must have the next producer id in its record", long: true, first: 2},
		{bug: planted.EpochAddThenRemove, scenario: "slow-to-give-up", kind: reports.TakenForFree, because: "and got it back in epoch"},
		{bug: planted.HeartbeatEmptyIsNoChange, scenario: "slow-to-give-up", kind: reports.NotGivenUp, because: "An assignment that is empty says"},
		{bug: planted.FirstTogether, scenario: "first-batches", kind: reports.OutOfOrder, because: "the first must go alone", long: true},
		{bug: planted.NoInstanceFence, scenario: "static-twin", kind: reports.ReplacedCommit, because: "must be refused with FENCED_INSTANCE_ID"},
		{bug: planted.StaticSwapVolatile, scenario: "static-twin", kind: reports.ReplacedCommit, because: "must be in the log before its process is answered"},
		{bug: planted.BatchExpireFromBase, scenario: "standard", kind: reports.LeaderOut, because: "Sessions must expire one at a time", long: true},
		{bug: planted.NoSessionInRebalance, scenario: "scale-out", kind: reports.RemovedEarly, because: "keeps the session in every state of the group", long: true},
		{bug: planted.TxnMarkerDoubleCount, scenario: "refused-marker", kind: reports.AbortedDelivered, because: "must be answered when all in-sync replicas have the markers", long: true},
		{bug: planted.SnapNoFsync, scenario: "controller-storm", set: map[string]string{"metadata.log.max.record.bytes.between.snapshots": "1500"}, kind: reports.Unstartable, because: "must be synced before it gets its name", long: true},
	} {
		t.Run(string(c.bug), func(t *testing.T) {
			if c.long && !*long {
				t.Skip("a long run: -long")
			}
			s, err := scenarios.Find(c.scenario)
			require.NoError(t, err)
			for seed := range uint64(12) {
				r, err := trial.Run(s, trial.Options{Seed: seed + max(c.first, 1), Set: c.set, Plant: []planted.Bug{c.bug}, Keep: ledger.KeepAll})
				require.NoError(t, err)
				v := r.Report.Main()
				if v == nil || v.Why == nil || v.Why.Kind != c.kind {
					continue
				}
				proper(t, r, v.Why)
				assert.Contains(t, v.Why.Because, c.because)
				return
			}
			t.Errorf("no seed of 12 shows %s as a %s", c.bug, c.kind)
		})
	}
}

// proper checks what every explanation has: steps in the order of time, of hosts that
// there are, operations that the history has, and a sentence that names what it is about.
func proper(t *testing.T, r *trial.Result, y *reports.Why) {
	assert.NotEmpty(t, y.What)
	assert.Contains(t, y.What+y.Because, y.Partition)
	assert.Contains(t, y.What+y.Because, y.Group)
	assert.Contains(t, y.What+y.Because, y.Transaction)
	require.GreaterOrEqual(t, len(y.Steps), 3)
	assert.LessOrEqual(t, len(y.Steps), 12)
	for i, s := range y.Steps {
		assert.NotEmpty(t, s.Host, s.Text)
		assert.NotEmpty(t, s.Text)
		if i > 0 {
			assert.LessOrEqual(t, y.Steps[i-1].At, s.At)
		}
		if s.Op != nil {
			assert.Less(t, *s.Op, int64(r.History.Events()), "an operation named exists in the history")
		}
	}
}

// A run that truncates what was never committed has nothing to explain.
func TestExplain_ARunThatHolds(t *testing.T) {
	r, err := trial.Run(scenarios.LeadershipPingPong, trial.Options{Seed: 1, Set: map[string]string{"duration": "6s"}, Keep: ledger.KeepAll})
	require.NoError(t, err)
	assert.Empty(t, r.Report.Violations)
	if v := r.Report.Main(); v != nil {
		assert.Nil(t, v.Why)
	}
}
