package cmd

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim"
)

// framesOf are the lanes of each second of some events.
func framesOf(width int, events []ledger.Entry) string {
	var all strings.Builder
	b := newBoard(width, func(frame []string) { fmt.Fprintln(&all, strings.Join(frame, "\n")+"\n") })
	for i := range events {
		b.read(&events[i])
	}
	fmt.Fprintln(&all, strings.Join(b.frame(), "\n"))
	return all.String()
}

// A leader dies, another leads, the first comes back and truncates: as lanes of 80 columns.
func TestBoard_AFailover(t *testing.T) {
	of := func(node kafka.NodeID) *witness.Replica {
		return &witness.Replica{Node: node, Partition: kafka.TopicPartition{Topic: "orders", Partition: 0}}
	}
	partition := witness.PartitionID{Partition: kafka.TopicPartition{Topic: "orders", Partition: 0}}
	var all []ledger.Entry
	at := func(seconds float64, host string, e ledger.Event) {
		all = append(all, ledger.Entry{At: time.Duration(seconds * 1e9), Host: host, Event: e})
	}
	for node := range kafka.NodeID(3) {
		at(0.1, fmt.Sprintf("broker-%d", node+1), &witness.Opened{Replica: of(node + 1)})
	}
	at(0.2, "controller-1", &witness.PartitionCommitted{PartitionID: partition, Leader: 1, ISR: []kafka.NodeID{1, 2, 3}})
	at(0.2, "broker-1", &witness.BecameLeader{Replica: of(1)})
	at(0.3, "broker-2", &witness.BecameFollower{Replica: of(2), Leader: 1})
	at(0.3, "broker-3", &witness.BecameFollower{Replica: of(3), Leader: 1})
	at(0.5, "broker-1", &witness.Appended{Replica: of(1), Batch: witness.Batch{From: 0, End: 12}})
	at(0.6, "broker-1", &witness.HighWatermarkMoved{Replica: of(1), To: 10})
	at(1.25, "", &faults.Struck{Number: 1, Text: "kill broker-1"})
	at(1.25, "broker-1", &sim.Killed{})
	at(1.5, "controller-1", &witness.PartitionCommitted{PartitionID: partition, Leader: 2, ISR: []kafka.NodeID{2, 3}})
	at(1.5, "broker-2", &witness.BecameLeader{Replica: of(2), Epoch: 1, End: 10, HW: 10})
	at(1.75, "", &faults.Healed{Number: 1})
	at(1.75, "broker-1", &sim.Started{})
	at(1.8, "broker-1", &witness.Opened{Replica: of(1), End: 12, HW: 10})
	at(1.9, "broker-1", &witness.Truncated{Replica: of(1), From: 12, To: 10})
	at(1.95, "broker-1", &witness.BecameFollower{Replica: of(1), Epoch: 1, Leader: 2, End: 10, HW: 10})
	at(5, "broker-3", &sim.Paused{}) // seconds without events are left out
	golden(t, filepath.Join("testdata", "watch-failover.txt"), framesOf(80, all))
}

// Real runs: a group whose partition has two owners, and transactions.
func TestBoard_OfTraces(t *testing.T) {
	for _, name := range []string{"given-up-too-early", "torn", "truncated-to-own-mark"} {
		t.Run(name, func(t *testing.T) {
			var all []ledger.Entry
			_, err := ledger.ReadTraceFile(filepath.Join("..", "scenarios", "why", "testdata", name+".jsonl"), func(e *ledger.Entry) bool {
				all = append(all, *e)
				return true
			})
			require.NoError(t, err)
			text := framesOf(80, all)
			for line := range strings.Lines(text) {
				if width := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); strings.HasPrefix(line, "orders") || strings.HasPrefix(line, "txn") {
					assert.LessOrEqual(t, width, 80, line)
				}
			}
			golden(t, filepath.Join("testdata", "watch-"+name+".txt"), text)
		})
	}
}

// A frame is drawn over the one before, no wider and no higher than the terminal, and no
// sooner than after its pace.
func TestWatching_FitsTheTerminal(t *testing.T) {
	var out strings.Builder
	var waited []time.Duration
	w := &watching{out: &out, width: 20, height: 8, pace: time.Hour, wait: func(d time.Duration) { waited = append(waited, d) }}
	w.show(strings.Split(strings.Repeat("a row that is wider than the terminal\n", 9), "\n"))
	assert.Empty(t, waited, "the first frame waits for nothing")
	first := out.String()
	assert.Equal(t, 6, strings.Count(first, "\n"))
	assert.NotContains(t, first, "\x1b[6A")
	for row := range strings.Lines(first) {
		assert.LessOrEqual(t, utf8.RuneCountInString(strings.NewReplacer("\r\x1b[K", "", "\n", "").Replace(row)), 20)
	}
	assert.Contains(t, first, "and 6 more rows")
	out.Reset()
	w.show([]string{"short"})
	assert.True(t, strings.HasPrefix(out.String(), "\x1b[6A"), "over the one before")
	assert.Equal(t, 6, strings.Count(out.String(), "\n"), "what is left of it is wiped")
	require.Len(t, waited, 1)
	assert.Greater(t, waited[0], 59*time.Minute)
}

// Without a terminal nothing is drawn, and the run is the same.
func TestRun_WatchWithoutATerminal(t *testing.T) {
	s := typed(t, "run", "standard", "--seed", "7", "--set", "duration=1s", "--watch")
	assert.Contains(t, s.err, "nothing is drawn")
	assert.NotContains(t, s.out+s.err, "\x1b[")
	assert.Equal(t, exitUsage, typed(t, "run", "standard", "--watch", "--story").code)
}
