package why_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/internal/golden"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios/trial"
	"github.com/ktrial/ktrial/scenarios/why"
)

// of is the member of the metadata quorum on a node.
func of(node kafka.NodeID) *witness.Replica {
	return &witness.Replica{Node: node, Partition: kafka.MetadataPartition}
}

// trace numbers events by the second; each is a host and what it tells.
func trace(events ...any) (all []*ledger.Entry) {
	for i := 0; i < len(events); i += 2 {
		all = append(all, &ledger.Entry{At: time.Duration(i/2+1) * time.Second, Host: events[i].(string), Event: events[i+1].(ledger.Event)})
	}
	return append(all, &ledger.Entry{At: all[len(all)-1].At, Event: &trial.PromiseBroken{}})
}

// No planted bug makes images differ, so the events are written by hand.
func TestExplain_Images(t *testing.T) {
	for _, c := range []struct {
		name   string
		kind   reports.WhyKind
		events []*ledger.Entry
	}{
		{"image-after-snapshot", reports.ImagesDiffer, trace(
			"controller-1", &witness.Applied{Node: 101, Offset: 399, Hash: 1}, "broker-2", &witness.Applied{Node: 2, Offset: 399, Hash: 1},
			"broker-2", &witness.SnapshotLoaded{Replica: of(2), End: 450, Hash: 2},
			"controller-1", &witness.Applied{Node: 101, Offset: 460, Hash: 3}, "broker-2", &witness.Applied{Node: 2, Offset: 460, Hash: 4})},
		{"image-by-order", reports.ImagesDiffer, trace(
			"controller-1", &witness.Applied{Node: 101, Offset: 7, Hash: 1}, "broker-2", &witness.Applied{Node: 2, Offset: 7, Hash: 1},
			"controller-1", &witness.Applied{Node: 101, Offset: 9, Hash: 3}, "broker-2", &witness.Applied{Node: 2, Offset: 9, Hash: 4})},
		{"snapshot-read-otherwise", reports.ImagesDiffer, trace(
			"controller-1", &witness.SnapshotWritten{Replica: of(101), End: 450, Hash: 2},
			"broker-2", &witness.SnapshotLoaded{Replica: of(2), End: 450, Hash: 5})},
		{"applied-uncommitted", reports.AppliedUncommitted, trace(
			"controller-1", &witness.QuorumCommitted{Replica: of(101), HW: 12, Epoch: 3},
			"broker-2", &witness.Applied{Node: 2, Offset: 12, Hash: 4})},
		{"snapshot-uncommitted", reports.AppliedUncommitted, trace(
			"controller-1", &witness.QuorumCommitted{Replica: of(101), HW: 12, Epoch: 3},
			"controller-1", &witness.SnapshotWritten{Replica: of(101), End: 14, Hash: 2})},
	} {
		t.Run(c.name, func(t *testing.T) {
			y := why.Explain(slices.Values(c.events), &reports.Violation{Subject: kafka.MetadataPartition.String(), Inside: true})
			require.NotNil(t, y)
			assert.Equal(t, c.kind, y.Kind)
			var text strings.Builder
			y.WriteText(&text, reports.Style{})
			golden.File(t, filepath.Join("testdata", c.name+".txt"), text.String())
		})
	}
	committed := trace("controller-1", &witness.QuorumCommitted{Replica: of(101), HW: 13, Epoch: 3}, "broker-2", &witness.Applied{Node: 2, Offset: 12, Hash: 4})
	assert.Nil(t, why.Explain(slices.Values(committed), &reports.Violation{Subject: kafka.MetadataPartition.String(), Inside: true}), "nothing is wrong with what is told")
}
