package hunt

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/internal/build"
	"github.com/ktrial/ktrial/scenarios/trial"
)

// The files of a directory that keeps a hunt. Beside them each failing run has a
// directory of its own.
const (
	RecordFile  = "hunt.json"     // which hunt it is
	ResultsFile = "results.jsonl" // what came of each run, see Journal
	IndexFile   = "index.html"    // the ways in which runs failed
)

// recordFormat names what a hunt.json is, and its version.
const recordFormat = "ktrial-hunt/1"

// Record is a hunt as hunt.json has it: which runs it has, and how they are
// played. It is written before the first one.
type Record struct {
	Format    string            `json:"format"`
	Build     string            `json:"build"`
	Scenarios []string          `json:"scenarios"`
	First     uint64            `json:"first"`
	Last      uint64            `json:"last"`
	Shard     string            `json:"shard"`
	Set       map[string]string `json:"set"`
	Shape     trial.Shape       `json:"shape,omitzero"`
	Plan      *string           `json:"plan,omitempty"`
	NoFaults  bool              `json:"no_faults,omitempty"`
	Strict    bool              `json:"strict,omitempty"`
	Plant     []string          `json:"plant"`
	Apps      []string          `json:"apps,omitempty"`
	Require   []string          `json:"require,omitempty"`
	// Committed is how many committed seeds are played before the others.
	Committed int `json:"committed,omitempty"`
}

// Record is how hunt.json describes this hunt.
func (h Hunt) Record() Record {
	rec := Record{
		Format: recordFormat, Build: build.ID(), First: h.First, Last: h.Last, Shard: fmt.Sprintf("%d/%d", h.Shard, max(1, h.Shards)),
		Set: h.Options.Set, Shape: h.Options.Shape, NoFaults: h.Options.NoFaults, Strict: h.Options.Strict, Plant: []string{}, Committed: len(h.Committed),
	}
	for _, s := range h.Scenarios {
		rec.Scenarios = append(rec.Scenarios, s.Name)
	}
	if h.Options.Plan != nil {
		plan := h.Options.Plan.String()
		rec.Plan = &plan
	}
	for _, a := range h.Options.Apps {
		rec.Apps = append(rec.Apps, a.String())
	}
	for _, q := range h.Options.Require {
		rec.Require = append(rec.Require, q.Text)
	}
	for _, b := range h.Options.Plant {
		rec.Plant = append(rec.Plant, string(b))
	}
	return rec
}

// String is such as: a hunt of standard with seeds 1..100, shard 0/4.
func (rec Record) String() string {
	return fmt.Sprintf("a hunt of %s with seeds %d..%d, shard %s", strings.Join(rec.Scenarios, ", "), rec.First, rec.Last, rec.Shard)
}

// sameRuns reports whether a seed of a scenario is the same run in both hunts.
func (rec *Record) sameRuns(other *Record) bool {
	plan := func(r *Record) string {
		if r.Plan == nil {
			return "the scenario's own"
		}
		return "given: " + *r.Plan
	}
	return slices.Equal(rec.Scenarios, other.Scenarios) && maps.Equal(rec.Set, other.Set) && rec.Shape == other.Shape && plan(rec) == plan(other) &&
		rec.NoFaults == other.NoFaults && rec.Strict == other.Strict && slices.Equal(rec.Plant, other.Plant) &&
		slices.Equal(rec.Apps, other.Apps) && slices.Equal(rec.Require, other.Require)
}

// IsOf reports whether both have the same runs, all of them.
func (rec *Record) IsOf(other *Record) bool {
	return rec.sameRuns(other) && rec.First == other.First && rec.Last == other.Last && rec.Shard == other.Shard && rec.Committed == other.Committed
}

// shard is which part of how many the hunt plays.
func (rec *Record) shard() (i, n int, err error) {
	if _, err = fmt.Sscanf(rec.Shard, "%d/%d", &i, &n); err != nil || n < 1 || i < 0 || i >= n {
		return 0, 0, fmt.Errorf("found shard %q, expected i/n with 0 <= i < n", rec.Shard)
	}
	return i, n, nil
}

// WriteTo writes hunt.json.
func (rec Record) WriteTo(dir string) error {
	text, err := json.MarshalIndent(rec, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, RecordFile), append(text, '\n'), 0o644)
}

// ReadRecord reads the hunt.json of a directory.
func ReadRecord(dir string) (*Record, error) {
	file := filepath.Join(dir, RecordFile)
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var rec Record
	if err := json.Unmarshal(text, &rec); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if rec.Format != recordFormat {
		return nil, fmt.Errorf("%s: found format %q, expected %q: not a hunt.json of this program", file, rec.Format, recordFormat)
	}
	if _, _, err := rec.shard(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &rec, nil
}
