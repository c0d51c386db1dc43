package scenarios_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
	"github.com/ktrial/ktrial/workloads"
)

// The consume-transform-produce loop counts each record once in both group protocols and with
// both generations of transactions, whatever happens to its workers.
func TestTheLoopCountsEachRecordOnce(t *testing.T) {
	skipIfShort(t)
	for _, set := range []map[string]string{
		{"group.protocol": "classic", "transaction.version": "2"},
		{"group.protocol": "consumer", "transaction.version": "2"},
		{"group.protocol": "classic", "transaction.version": "1", "partition.assignment.strategy": "cooperative-sticky"},
		{"group.protocol": "consumer", "transaction.version": "1"},
	} {
		t.Run(set["group.protocol"]+" "+set["transaction.version"], func(t *testing.T) {
			t.Parallel()
			r := holds(t, scenarios.ExactlyOncePipeline, trial.Options{Seed: 3, Set: set})
			for _, c := range r.Checks {
				assert.NotZero(t, c.Checked, c.Name)
				assert.Equal(t, reports.Holds, c.Verdict, c.Name)
			}
			assert.Empty(t, r.NotReached)
		})
	}
}

// While transaction.version is changed, an old client goes by version 1 all the time, and new
// ones by both.
func TestUpgradeOfTransactions_ClientsOfBothKinds(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	versions := map[string]map[int8]bool{}
	r := play(t, scenarios.UpgradeOfTransactions, trial.Options{Seed: 1, Read: func(e *ledger.Entry) {
		if s, ok := e.Event.(*witness.TxnState); ok && s.To == "Ongoing" {
			if versions[s.TxnID] == nil {
				versions[s.TxnID] = map[int8]bool{}
			}
			versions[s.TxnID][s.Version] = true
		}
	}})
	assert.Equal(t, reports.Holds, r.Report.Verdict)
	both := map[int8]bool{0: true, 2: true}
	assert.Equal(t, map[string]map[int8]bool{"worker-1": {0: true}, "worker-2": both, "worker-3": both}, versions)
}

// A transaction that hangs holds consumers up for ever, unless an administrator aborts it.
func TestHangingTransaction_WithoutAnAdministrator(t *testing.T) {
	t.Parallel()
	r, err := trial.Run(scenarios.HangingTransaction, trial.Options{Seed: 1, Set: map[string]string{"looks.for.hanging": "1h"}})
	require.NoError(t, err)
	require.NotEmpty(t, r.Report.Violations)
	assert.Contains(t, r.Report.Violations[0].Message, "consumer-1 has not read to the end")
	assert.Contains(t, r.Report.NotReached, scenarios.ProbeHangingAborted.Name)
}

// Without transactions a pipeline counts a record at least once or at most once, by when it
// commits, and workers that are killed show the difference.
func TestPipelinesWithoutTransactions(t *testing.T) {
	skipIfShort(t)
	for _, x := range []struct {
		guarantee workloads.Guarantee
		says      string
	}{
		{workloads.AtLeastOnce, "records in invoices, expected 1"},
		{workloads.AtMostOnce, "has no record in invoices"},
	} {
		t.Run(string(x.guarantee), func(t *testing.T) {
			t.Parallel()
			s := scenarios.StandardEOS
			w := scenarios.Settling
			w.Guarantee = x.guarantee
			w.Input.Rate = 200
			s.Workload = w
			s.Checks = scenarios.Promises
			var plan faults.Plan
			for at := 5 * time.Second; at < 55*time.Second; at += 5 * time.Second {
				plan = append(plan, faults.Timed{At: at, For: time.Second, Fault: faults.Kill{Host: faults.Members(workloads.Step(1))}})
			}
			s.Faults = plan
			r, err := trial.Run(s, trial.Options{Seed: 1})
			require.NoError(t, err)
			require.NotEmpty(t, r.Report.Violations)
			for _, v := range r.Report.Violations {
				assert.Contains(t, v.Message, x.says)
			}
		})
	}
}

// A store that is restored up to the last stable offset lacks what was committed last, where its marker
// is on its way still (KAFKA-10167).
func TestChangelogRestore_UpToTheLastStableOffset(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		r, err := trial.Run(scenarios.ChangelogRestore, trial.Options{Seed: seed + 1, Set: map[string]string{"restore.committed": "true"}})
		require.NoError(t, err)
		if r.Report.Verdict != reports.Violated {
			continue
		}
		assert.Equal(t, scenarios.CountsAreRight.Name, r.Report.Violations[0].Check)
		assert.Contains(t, r.Report.Violations[0].Message, "counts")
		return
	}
	t.Error("it does not show in 10 seeds")
}

// KAFKA-17754 lets off the transactions that a late EndTxn has ended, and no others: what else goes wrong in the same run
// is a violation.
func TestLateEndTxn_PermitsWhatItEnded(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		r, err := trial.Run(scenarios.LateEndTxn, trial.Options{Seed: seed + 1, Plant: []planted.Bug{planted.FetchDelayedNoAbortedList}})
		require.NoError(t, err)
		if r.Report.Verdict != reports.Violated || len(r.Report.Allowed) == 0 {
			continue
		}
		assert.Equal(t, "G1a", r.Report.Violations[0].Anomaly)
		assert.Contains(t, r.Report.Allowed[0].Reason, "KAFKA-17754")
		return
	}
	t.Error("no run in 10 seeds has both")
}
