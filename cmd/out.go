package cmd

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ktrial/ktrial/internal/build"
	"github.com/ktrial/ktrial/scenarios"
	hunts "github.com/ktrial/ktrial/scenarios/hunt"
	"github.com/ktrial/ktrial/scenarios/trial"
)

// The files that say what a directory of --out holds.
const (
	runFile  = "run.json"
	huntFile = "hunt.json"
)

// huntFormat names what a hunt.json is, and its version.
const huntFormat = "ktrial-hunt/1"

// huntRecord is a hunt as hunt.json has it: which runs it has, and how they are
// played. It is written before the first one.
type huntRecord struct {
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
}

func recordOf(h hunts.Hunt) huntRecord {
	rec := huntRecord{
		Format: huntFormat, Build: build.ID(), First: h.First, Last: h.Last, Shard: fmt.Sprintf("%d/%d", h.Shard, h.Shards),
		Set: h.Options.Set, Shape: h.Options.Shape, NoFaults: h.Options.NoFaults, Strict: h.Options.Strict, Plant: []string{},
	}
	for _, s := range h.Scenarios {
		rec.Scenarios = append(rec.Scenarios, s.Name)
	}
	if h.Options.Plan != nil {
		plan := h.Options.Plan.String()
		rec.Plan = &plan
	}
	for _, b := range h.Options.Plant {
		rec.Plant = append(rec.Plant, string(b))
	}
	return rec
}

// prepareRun makes the directory of --out before a run, which may take long. It
// must be empty, or hold the same run: what was kept before is not overwritten.
func (f *runFlags) prepareRun(s scenarios.Scenario, o trial.Options) error {
	if f.out == "" {
		return nil
	}
	if rec, err := trial.ReadRecord(filepath.Join(f.out, runFile)); err == nil && rec.IsOf(s.Name, o) {
		return f.make(true)
	}
	return f.make(f.force)
}

// prepareHunt makes the directory of --out before a hunt, and says in it which
// hunt it is.
func (f *runFlags) prepareHunt(h hunts.Hunt) error {
	if f.out == "" {
		return nil
	}
	if err := f.make(f.force); err != nil {
		return err
	}
	if err := f.clear(); err != nil {
		return wrong("--out %s: %w", f.out, err)
	}
	text, err := json.MarshalIndent(recordOf(h), "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(f.out, huntFile), append(text, '\n'), 0o644); err != nil {
		return wrong("--out %s: %w", f.out, err)
	}
	return nil
}

// make makes the directory and sees that it can be written. Unless it may be
// used all the same, one that holds anything is refused.
func (f *runFlags) make(anyway bool) error {
	if err := os.MkdirAll(f.out, 0o755); err != nil {
		return wrong("--out %s: %w", f.out, err)
	}
	entries, err := os.ReadDir(f.out)
	if err != nil {
		return wrong("--out %s: %w", f.out, err)
	}
	if len(entries) > 0 && !anyway {
		return wrong("--out %s: found %s, expected an empty directory (name another one, or add --force to replace what is in it)", f.out, inside(f.out, entries))
	}
	probe, err := os.CreateTemp(f.out, ".ktrial-*")
	if err != nil {
		return wrong("--out %s: %w", f.out, err)
	}
	probe.Close()
	return os.Remove(probe.Name())
}

// inside says what a directory holds.
func inside(dir string, entries []fs.DirEntry) string {
	if rec, err := trial.ReadRecord(filepath.Join(dir, runFile)); err == nil {
		return fmt.Sprintf("the run of %s with seed %d", rec.Report.Scenario, rec.Report.Seed)
	}
	var rec huntRecord
	if text, err := os.ReadFile(filepath.Join(dir, huntFile)); err == nil && json.Unmarshal(text, &rec) == nil {
		return fmt.Sprintf("a hunt of %s with seeds %d..%d, shard %s", strings.Join(rec.Scenarios, ", "), rec.First, rec.Last, rec.Shard)
	}
	return fmt.Sprintf("%s and more", entries[0].Name())
}

// unfinished ends the name of a directory that is not written to its end.
const unfinished = ".part"

// clear takes the runs of an earlier hunt out of the directory, and nothing else.
func (f *runFlags) clear() error {
	entries, err := os.ReadDir(f.out)
	if err != nil {
		return err
	}
	for _, e := range entries {
		dir := filepath.Join(f.out, e.Name())
		if _, err := trial.ReadRecord(filepath.Join(dir, runFile)); e.IsDir() && (err == nil || strings.HasSuffix(e.Name(), unfinished)) {
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// keepFailure keeps a failing run of a hunt. Its directory has its name only
// when it is whole: a hunt may be killed while it is written.
func (f *runFlags) keepFailure(r *trial.Result, o trial.Options) error {
	o.Seed = r.Report.Seed
	dir := filepath.Join(f.out, fmt.Sprintf("%s-%d", r.Report.Scenario, r.Report.Seed))
	part := dir + unfinished
	if err := r.WriteTo(part, o); err != nil {
		os.RemoveAll(part)
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Rename(part, dir); err != nil {
		return err
	}
	r.Report.Kept = dir
	return nil
}

// keepRun keeps the run of `ktrial run`.
func (f *runFlags) keepRun(r *trial.Result, o trial.Options) error {
	if f.out == "" {
		return nil
	}
	if err := r.WriteTo(f.out, o); err != nil {
		return cannotWrite("--out "+f.out, err)
	}
	r.Report.Kept = f.out
	return nil
}

// firstOf is the first error that there is.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
