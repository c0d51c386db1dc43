package trial

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/reports/page"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/why"
)

// The files of a kept run that are read again.
const (
	runFile     = "run.json"
	traceFile   = "trace.jsonl.gz"
	historyFile = "history.jsonl"
)

// Kept is a run that was kept in a directory (WriteTo).
type Kept struct {
	Dir     string
	Record  *Record
	Entries []*ledger.Entry
	about   string // the scenario, in a line; empty: this program does not know it
}

// IsKept reports whether a directory holds a run.
func IsKept(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, runFile))
	return err == nil
}

// ReadKept reads a run that was kept. What is the matter with its main violation is
// explained from the trace once more: this program may know more than the one that ran.
func ReadKept(dir string) (*Kept, error) {
	rec, err := ReadRecord(filepath.Join(dir, runFile))
	if err != nil {
		return nil, err
	}
	k := &Kept{Dir: dir, Record: rec}
	rec.Report.Kept = dir
	if s, err := scenarios.Find(rec.Report.Scenario); err == nil {
		k.about = s.About
	}
	head, err := ledger.ReadTraceFile(filepath.Join(dir, traceFile), func(e *ledger.Entry) bool {
		k.Entries = append(k.Entries, e)
		return true
	})
	if err != nil {
		return nil, err
	}
	if head.Hash != rec.Report.TraceHash {
		return nil, fmt.Errorf("%s: found the trace of a run with hash %s, expected %s, as run.json has it", dir, head.Hash, rec.Report.TraceHash)
	}
	if v := rec.Report.Main(); v != nil {
		v.Why = why.Explain(slices.Values(k.Entries), v)
	}
	return k, nil
}

// Report is what the run has shown.
func (k *Kept) Report() *reports.Run { return &k.Record.Report }

// Page is the page of the run.
func (k *Kept) Page() page.Page {
	return page.Page{Run: k.Report(), About: k.about, Events: slices.Values(k.Entries)}
}

// Timeline is the picture of the run. It reads the history.
func (k *Kept) Timeline() (*reports.Timeline, error) {
	h, err := history.ReadFile(filepath.Join(k.Dir, historyFile))
	if err != nil {
		return nil, err
	}
	m := marker{isr: map[kafka.TopicPartition]int{}}
	for _, e := range k.Entries {
		m.read(e)
	}
	return reports.NewTimeline(k.Report(), k.about, h, m.all), nil
}
