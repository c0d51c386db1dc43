package trial

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/internal/build"
	"github.com/ktrial/ktrial/internal/nearest"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/reports/page"
)

// Record is a run as run.json keeps it: enough to play it again.
type Record struct {
	Format string            `json:"format"`
	Build  string            `json:"build"` // of the program that ran it: another may run otherwise
	Set    map[string]string `json:"set"`
	Shape  Shape             `json:"shape,omitzero"`
	// Plan was given by hand; nil: it was not. An empty one is one, too.
	Plan *string `json:"plan,omitempty"`
	// Follows: luck decided as in another run where that was asked by the same name, and by
	// the seed elsewhere. The decisions beside this file play it again, the seed alone does not.
	Follows  bool        `json:"follows,omitempty"`
	NoFaults bool        `json:"no_faults,omitempty"`
	Strict   bool        `json:"strict,omitempty"`
	Plant    []string    `json:"plant"`
	Apps     []appRecord `json:"apps,omitempty"` // users' programs
	Require  []string    `json:"require,omitempty"`
	Report   reports.Run `json:"report"`
}

// recordFormat names what a run.json is, and its version.
const recordFormat = "ktrial-run/1"

// WriteTo keeps a run in a directory: run.json to replay it, the history for
// `ktrial check`, the events of the ledger for `ktrial trace`, the story of the
// notable ones, the plan that really struck, and all of it in one picture.
func (r *Result) WriteTo(dir string, o Options) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	rec := recordOf(o)
	rec.Report = r.Report
	var run, story, plan bytes.Buffer
	enc := json.NewEncoder(&run)
	enc.SetIndent("", "  ")
	if err := enc.Encode(rec); err != nil {
		return err
	}
	r.Ledger.WriteStory(&story, ledger.Filter{})
	fmt.Fprintf(&plan, "# times count from the beginning of the work, which was at %v of the run\n", r.Report.WorkBegan)
	for _, f := range r.Report.Faults {
		fmt.Fprintln(&plan, f.Text)
	}
	var picture bytes.Buffer
	if err := reports.NewTimeline(&r.Report, r.about, r.History, marks(r.Ledger)).WriteSVG(&picture); err != nil {
		return err
	}
	var html bytes.Buffer
	if err := r.Page().Write(&html); err != nil {
		return err
	}
	for name, text := range map[string][]byte{
		"report.html": html.Bytes(), runFile: run.Bytes(), "story.txt": story.Bytes(), "plan.txt": plan.Bytes(), "timeline.svg": picture.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	head := ledger.Header{Scenario: r.Report.Scenario, Seed: r.Report.Seed, Hash: r.Report.TraceHash}
	if err := ledger.WriteTraceFile(filepath.Join(dir, traceFile), head, r.Ledger.Passing()); err != nil {
		return err
	}
	if err := r.writeDecisions(dir); err != nil {
		return err
	}
	return r.History.WriteFile(filepath.Join(dir, historyFile))
}

// IsOf reports whether the recorded run was one of this scenario and these
// options.
func (rec *Record) IsOf(scenario string, o Options) bool {
	want := recordOf(o)
	return rec.Report.Scenario == scenario && rec.Report.Seed == o.Seed && maps.Equal(rec.Set, want.Set) && rec.Shape == want.Shape &&
		(rec.Plan == nil) == (want.Plan == nil) && (rec.Plan == nil || *rec.Plan == *want.Plan) &&
		rec.NoFaults == want.NoFaults && rec.Strict == want.Strict && slices.Equal(rec.Plant, want.Plant) &&
		slices.Equal(rec.Apps, want.Apps) && slices.Equal(rec.Require, want.Require)
}

// recordOf is a record of options, without a run.
func recordOf(o Options) Record {
	rec := Record{Format: recordFormat, Build: build.ID(), Set: o.Set, Shape: o.Shape, NoFaults: o.NoFaults, Strict: o.Strict, Plant: []string{}, Apps: appRecords(o.Apps), Follows: o.Follow != nil}
	if o.Plan != nil {
		plan := o.Plan.String()
		rec.Plan = &plan
	}
	for _, b := range o.Plant {
		rec.Plant = append(rec.Plant, string(b))
	}
	for _, q := range o.Require {
		rec.Require = append(rec.Require, q.Text)
	}
	return rec
}

// ReadRecord reads a run.json. A file that is none is an error at its line.
func ReadRecord(file string) (*Record, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var rec Record
	if err := json.Unmarshal(text, &rec); err != nil {
		return nil, fmt.Errorf("%s:%s: %s", file, location(text, err), inWords(err))
	}
	if rec.Format != recordFormat {
		return nil, fmt.Errorf("%s: found format %q, expected %q: not a run.json of this program", file, rec.Format, recordFormat)
	}
	return &rec, nil
}

// location is the line and column of a JSON error.
func location(text []byte, err error) string {
	offset := int64(len(text))
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax) && offset > syntax.Offset:
		offset = syntax.Offset - 1 // it counts the byte that is wrong
	case errors.As(err, &kind):
		offset = kind.Offset - 1
	}
	offset = max(0, offset)
	before := text[:min(offset, int64(len(text)))]
	line := 1 + bytes.Count(before, []byte("\n"))
	//text:allow a file of the user
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return fmt.Sprintf("%d:%d", line, column)
}

// inWords is a JSON error without Go's types.
func inWords(err error) string {
	var kind *json.UnmarshalTypeError
	if !errors.As(err, &kind) {
		return err.Error()
	}
	if kind.Field == "" {
		return fmt.Sprintf("found %s, expected a recorded run: an object", kind.Value)
	}
	return fmt.Sprintf("%s: found %s, expected %v", kind.Field, kind.Value, kind.Type)
}

// Page is the page of the run.
func (r *Result) Page() page.Page {
	return page.Page{Run: &r.Report, About: r.about, Events: r.Ledger.Passing()}
}

// Options are those of the recorded run.
func (rec *Record) Options() (Options, error) {
	o := Options{Seed: rec.Report.Seed, Set: rec.Set, NoFaults: rec.NoFaults, Strict: rec.Strict, Shape: rec.Shape}
	var bugs []string
	for _, e := range planted.All {
		bugs = append(bugs, string(e.Bug))
	}
	for _, name := range rec.Plant {
		if !slices.Contains(bugs, name) {
			return o, nearest.Unknown("planted bug", name, bugs)
		}
		o.Plant = append(o.Plant, planted.Bug(name))
	}
	for _, a := range rec.Apps {
		loaded, err := a.load()
		if err != nil {
			return o, err
		}
		o.Apps = append(o.Apps, loaded)
	}
	for _, text := range rec.Require {
		q, err := reports.ParseRequirement(text)
		if err != nil {
			return o, err
		}
		o.Require = append(o.Require, q)
	}
	if rec.Plan != nil {
		plan, err := faults.ParsePlan(*rec.Plan)
		if err != nil {
			return o, err
		}
		o.Plan = append(faults.Plan{}, plan...)
	}
	return o, nil
}

// Mismatch says what to think of a hash that differs.
func (rec *Record) Mismatch() string {
	if !build.Same(rec.Build, build.ID()) {
		return fmt.Sprintf("it was recorded by build %s, this is %s; a seed means the same run only for the same build", rec.Build, build.ID())
	}
	return "the build is the same, so something leaked into the world"
}
