package trial

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/ktrial/ktrial/internal/build"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/sim"
)

// Replay plays the run of a run.json again. The build that recorded it must play the same
// run: if not, something leaked into the world. Another build decides what luck decided then,
// as far as it asks by the same names; its verdict is that of the new run, and the report
// says where the two part.
func (rec *Record) Replay(file string, s scenarios.Scenario, o Options) (*Result, error) {
	var recorded *comparison
	var err error
	if o.Follow, err = rec.Decisions(file); err != nil {
		return nil, optionError{err}
	}
	another := !build.Same(rec.Build, build.ID())
	if o.Follow != nil && another {
		if recorded, err = compareWith(filepath.Dir(file)); err != nil {
			return nil, optionError{err}
		}
		o.Keep, o.Read = ledger.KeepAll, recorded.read
	}
	result, err := Run(s, o)
	if err != nil {
		return nil, err
	}
	if o.Follow == nil || !another {
		rec.Compare(file, s, o, result)
		return result, nil
	}
	if result.Report.TraceHash != rec.Report.TraceHash {
		result.Report.Replayed = rec.replayed(result.Followed, recorded)
	}
	return result, nil
}

// Decisions are those that play the run of a run.json again: of a run by another build, and
// of one that followed another. nil: the seed plays it, or nothing better is kept.
func (rec *Record) Decisions(file string) (*sim.Recorded, error) {
	another := !build.Same(rec.Build, build.ID())
	if !another && !rec.Follows {
		return nil, nil
	}
	d, err := ReadDecisions(filepath.Dir(file))
	if err == nil && d == nil && rec.Follows {
		return nil, fmt.Errorf("found no %s beside it, expected one: luck decided as in another run, and the seed alone plays another one", decisionsFile)
	}
	return d, err
}

func (rec *Record) replayed(f *Followed, recorded *comparison) *reports.Replayed {
	return &reports.Replayed{
		By: rec.Build, Now: build.ID(), Asked: f.Asked, Matched: f.Matched, Recorded: f.Recorded, NewDecision: f.New, Parts: recorded.difference(),
	}
}

// comparison compares the events of a run with those of a recorded one, as they happen.
type comparison struct {
	lines [][]byte // of the recorded run
	seen  int      // that were the same
	now   []byte   // the first that is not; nil: none yet
}

// compareWith reads the events of a run that was kept in a directory. Without a trace beside
// it there are none.
func compareWith(dir string) (*comparison, error) {
	c := &comparison{}
	_, err := ledger.ReadTraceFile(filepath.Join(dir, traceFile), func(e *ledger.Entry) bool {
		c.lines = append(c.lines, lineOf(e))
		return true
	})
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	return c, err
}

func lineOf(e *ledger.Entry) []byte {
	var b bytes.Buffer
	e.WriteLine(&b)
	return bytes.TrimSpace(b.Bytes())
}

func (c *comparison) read(e *ledger.Entry) {
	if c.now != nil || c.seen == len(c.lines) {
		return
	}
	line := lineOf(e)
	if !bytes.Equal(line, c.lines[c.seen]) {
		c.now = line
		return
	}
	c.seen++
}

// difference is the first event that differs; empty: all that are kept are the same.
func (c *comparison) difference() string {
	switch {
	case c.now != nil:
		return fmt.Sprintf("event %d was %q, and is %q", c.seen+1, c.lines[c.seen], c.now)
	case c.seen < len(c.lines):
		return fmt.Sprintf("event %d was %q, and there is none", c.seen+1, c.lines[c.seen])
	}
	return ""
}
