package trial

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/sim"
)

// decisionsFile keeps what luck decided, by name.
const decisionsFile = "decisions.bin"

// Decisions that are texts.
const (
	planText  = "plan of faults"
	drawnText = "drawn scenario"
)

// Followed says how far a run went the way of the one that it follows.
type Followed struct {
	// Asked counts the decisions of this run, Matched those that the other has by the same
	// name, and Recorded all of the other.
	Asked, Matched, Recorded uint64
	// New is the first decision that the other was never asked for; empty: there is none.
	New string
}

// decidedPlan is the drawn plan, or that of the run which is followed: it was drawn by the
// code of then.
func (r *run) decidedPlan(drawn faults.Plan) (faults.Plan, error) {
	text := r.w.Decisions().Text(planText, drawn.String())
	if text == drawn.String() {
		return drawn, nil
	}
	plan, err := faults.ParsePlan(text)
	if err == nil {
		err = plan.Check(r.c)
	}
	if err != nil {
		return nil, optionError{fmt.Errorf("the plan that was decided on in the recorded run: %w", err)}
	}
	return plan, nil
}

// drawnRecord is a scenario that was drawn from the seed, as a decision.
type drawnRecord struct {
	Scenario string            `json:"scenario"`
	Set      map[string]string `json:"set"`
	Shape    Shape             `json:"shape"`
}

func (rec drawnRecord) is(other drawnRecord) bool {
	return rec.Scenario == other.Scenario && rec.Shape == other.Shape && maps.Equal(rec.Set, other.Set)
}

// resolve is Resolve, with what was drawn in the run that is followed, and what was drawn as
// a decision.
func resolve(s scenarios.Scenario, o Options) (scenarios.Scenario, Options, string, error) {
	d := s.Draw(o.Seed)
	rec := drawnRecord{d.Scenario.Name, d.Set, drawnShape(d)}
	if o.Follow != nil && o.Follow.Texts[drawnText] != "" {
		var then drawnRecord
		if err := json.Unmarshal([]byte(o.Follow.Texts[drawnText]), &then); err != nil {
			return s, o, "", optionError{fmt.Errorf("the scenario that was drawn in the recorded run: %w", err)}
		}
		if !then.is(rec) {
			var err error
			if d, err = then.drawn(); err != nil {
				return s, o, "", optionError{err}
			}
			rec = then
		}
	}
	text, err := json.Marshal(rec)
	if err != nil {
		return s, o, "", err
	}
	s, o = o.playing(d)
	return s, o, string(text), nil
}

// drawn is the scenario that a record names.
func (rec drawnRecord) drawn() (scenarios.Drawn, error) {
	all := scenarios.Everyday()
	i := slices.IndexFunc(all, func(s scenarios.Scenario) bool { return s.Name == rec.Scenario })
	if i < 0 {
		return scenarios.Drawn{}, fmt.Errorf("found scenario %q in the decisions of the recorded run, expected one that is drawn", rec.Scenario)
	}
	sh := rec.Shape
	return scenarios.Drawn{
		Scenario: all[i], Set: rec.Set,
		Brokers: sh.Brokers, Controllers: sh.Controllers, Partitions: sh.Partitions, Replicas: sh.Replicas, Racks: sh.Racks, Topics: sh.Topics,
	}, nil
}

// decided puts into the result what luck decided.
func (r *run) decided(result *Result) {
	d := r.w.Decisions()
	if d == nil {
		return
	}
	if r.o.Record {
		result.Decisions = d.Recorded()
	}
	if r.o.Follow == nil {
		return
	}
	f := &Followed{Recorded: r.o.Follow.Count()}
	asked, matched, first := d.Followed()
	f.Asked, f.Matched = asked, matched
	if first != nil {
		f.New = fmt.Sprintf("%s, number %d, at %v", first.Name, first.Number, first.At)
	}
	result.Followed = f
}

// writeDecisions keeps them in the directory of the run.
func (r *Result) writeDecisions(dir string) (err error) {
	file := filepath.Join(dir, decisionsFile)
	if r.Decisions == nil {
		err := os.Remove(file) // of another run that was kept here
		if os.IsNotExist(err) {
			return nil
		}
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := r.Decisions.Write(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// ReadDecisions reads what luck decided in a run that was kept in a directory; nil: that
// was not kept with it.
func ReadDecisions(dir string) (*sim.Recorded, error) {
	f, err := os.Open(filepath.Join(dir, decisionsFile))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d, err := sim.ReadRecorded(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return d, nil
}
