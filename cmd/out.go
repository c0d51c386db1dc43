package cmd

import (
	"errors"
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

// runFile says that a directory of --out holds a run.
const runFile = "run.json"

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
// hunt it is; or reads what the hunt has found already.
func (f *huntFlags) prepareHunt(h *hunts.Hunt) (err error) {
	if f.out == "" {
		return nil
	}
	if f.resume {
		err = f.readEarlier(h)
	} else {
		err = f.beginHunt(h)
	}
	if err != nil {
		return err
	}
	if h.Journal, err = hunts.OpenJournal(f.out); err != nil {
		return wrong("--out %s: %w", f.out, err)
	}
	return nil
}

// beginHunt makes the directory of a new hunt.
func (f *huntFlags) beginHunt(h *hunts.Hunt) error {
	if err := f.make(f.force); err != nil {
		return err
	}
	if err := firstOf(f.clear(), h.Record().WriteTo(f.out)); err != nil {
		return wrong("--out %s: %w", f.out, err)
	}
	return nil
}

// readEarlier reads what the hunt found before it was killed or interrupted.
func (f *huntFlags) readEarlier(h *hunts.Hunt) error {
	earlier, err := hunts.ReadResults(f.out)
	if err != nil {
		return wrong("--resume: %w", err)
	}
	if rec := h.Record(); !rec.IsOf(earlier.Record) {
		return wrong("--resume: --out %s: found %v, expected %v with the same settings", f.out, earlier.Record, rec)
	}
	for _, played := range earlier.Builds {
		if !build.Same(played, build.ID()) {
			fmt.Fprintf(os.Stderr, "ktrial: --resume: build %s played the first runs, this is %s; a seed means the same run only for the same build\n", played, build.ID())
		}
	}
	h.Earlier = earlier
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
	if rec, err := hunts.ReadRecord(dir); err == nil {
		return rec.String()
	}
	return fmt.Sprintf("%s and more", entries[0].Name())
}

// unfinished ends the name of a directory that is not written to its end.
const unfinished = ".part"

// clear takes an earlier hunt out of the directory, and nothing else.
func (f *runFlags) clear() error {
	entries, err := os.ReadDir(f.out)
	if err != nil {
		return err
	}
	for _, name := range []string{hunts.ResultsFile, hunts.IndexFile} {
		if err := os.Remove(filepath.Join(f.out, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
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
	name := fmt.Sprintf("%s-%d", r.Report.Scenario, r.Report.Seed)
	if r.Report.Committed { // the hunt may play the seed once more, with what it draws now
		name += "-committed"
	}
	dir := filepath.Join(f.out, name)
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
