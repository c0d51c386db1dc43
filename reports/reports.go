// Package reports explains what a run showed: to a person as text, to a CI as
// JSON. It knows results, not how they came about.
package reports

import (
	"encoding/json"
	"io"
	"slices"
	"time"

	"github.com/ktrial/ktrial/checkers"
)

// Verdict of a check, of a run, of a hunt.
type Verdict = checkers.Verdict

// The verdicts. A run that never met the danger is inconclusive: it is no
// evidence.
const (
	Holds        = checkers.Holds
	Allowed      = checkers.Allowed
	Inconclusive = checkers.Inconclusive
	Violated     = checkers.Violated
	// NotDeterministic: the same seed gave two different runs.
	NotDeterministic Verdict = "not deterministic"
	// Missing: nothing was broken, but a number is not as it was required.
	Missing Verdict = "missed"
)

// ExitCode is what the command line answers with: 0 holds or allowed, 1 violated,
// 2 inconclusive, 3 not deterministic, 4 a requirement was missed.
func ExitCode(v Verdict) int {
	switch v {
	case Holds, Allowed:
		return 0
	case Violated:
		return 1
	case Inconclusive:
		return 2
	case NotDeterministic:
		return 3
	case Missing:
		return 4
	}
	panic("reports: verdict " + string(v) + " has no exit code")
}

// Worst is the one to report of several: not deterministic, violated, missed,
// inconclusive, allowed, holds, whichever comes first.
func Worst(verdicts ...Verdict) Verdict {
	if slices.Contains(verdicts, NotDeterministic) {
		return NotDeterministic
	}
	missed := slices.Contains(verdicts, Missing)
	worst := checkers.Worst(slices.DeleteFunc(slices.Clone(verdicts), func(v Verdict) bool { return v == Missing })...)
	if missed && worst != Violated {
		return Missing
	}
	return worst
}

// Run is the result of one run. Its JSON keys are a contract.
type Run struct {
	Scenario       string             `json:"scenario"`
	Seed           uint64             `json:"seed"`
	Verdict        Verdict            `json:"verdict"`
	TraceHash      string             `json:"trace_hash"`
	Events         uint64             `json:"events"`
	VirtualSeconds float64            `json:"virtual_seconds"`
	WallSeconds    float64            `json:"wall_seconds"`
	Violations     []Violation        `json:"violations"`
	Allowed        []Permitted        `json:"allowed"`
	Checks         []Check            `json:"checks"`
	Faults         []Fault            `json:"faults"`
	Probes         map[string]int64   `json:"probes"`
	Planted        map[string]Planted `json:"planted"`
	Config         map[string]string  `json:"config"`

	// Skipped are the faults that did not strike, or became milder, and why.
	Skipped []Skipped `json:"skipped,omitempty"`
	// WorkBegan is when the work began: the times of a plan count from then, all
	// others from the beginning of the run.
	WorkBegan Seconds `json:"work_began"`
	// NoFaults: nothing was to strike. Strict: what is permitted is violated.
	NoFaults bool `json:"no_faults,omitempty"`
	Strict   bool `json:"strict,omitempty"`
	// Errors is why operations failed: by operation (send, poll, ...) and by error.
	Errors map[string]map[string]int64 `json:"errors,omitempty"`
	// Rebalances of each consumer group.
	Rebalances []Rebalances `json:"rebalances,omitempty"`
	// OwnPlan: the plan of faults was written for this run, not drawn.
	OwnPlan bool `json:"-"`
	// Drawn is the command that plays what was drawn from the seed, of a scenario that
	// draws all of it.
	Drawn string `json:"drawn,omitempty"`
	// Again is the command that plays this run again.
	Again string `json:"again,omitempty"`
	// Program is what a person types for the command line.
	Program string `json:"-"`
	// Committed: a hunt played it as one of its committed seeds.
	Committed bool `json:"-"`
	// Kept is the directory that holds the run.json and the history of the run.
	Kept string `json:"-"`
	// Stopped says why the run ended before its time; empty: it did not.
	Stopped string `json:"stopped,omitempty"`
	// Lesson is what a scenario about a design hazard teaches: which promise
	// was never made, and by which setting.
	Lesson string `json:"lesson,omitempty"`
	// Unworkable says why a run came to nothing whose settings Kafka takes, and with which
	// no cluster works; empty: it did not.
	Unworkable string `json:"unworkable,omitempty"`
	// Replayed says where the run parts from the recorded one that another build played; nil:
	// it does not, or it is no replay.
	Replayed *Replayed `json:"replayed,omitempty"`
	// NotReached are the probes that the scenario lives by and the run did not meet.
	NotReached []string `json:"probes_not_reached,omitempty"`
	// Numbers are how well it went; nil: they were not counted.
	Numbers *Numbers `json:"numbers,omitempty"`
	// Required are the requirements of --require, and MissedNumbers those that it misses.
	Required      []string `json:"required,omitempty"`
	MissedNumbers []Missed `json:"missed,omitempty"`
	// Counts is the work that was done, by the keys below.
	Counts map[string]int64 `json:"counts,omitempty"`
}

// Violation is one broken promise.
type Violation struct {
	Check   string  `json:"check"`
	Message string  `json:"message"`
	Ops     []int   `json:"ops"` // the operations that prove it, by index in the history
	At      Seconds `json:"at"`
	Anomaly string  `json:"anomaly,omitempty"` // as `ktrial check` names it
	Subject string  `json:"subject,omitempty"` // the partition or group that it is about
	Where   string  `json:"where,omitempty"`   // the topic of that partition, or the group
	Inside  bool    `json:"inside,omitempty"`  // a law broke inside the cluster: clients may have seen nothing
	Host    string  `json:"host,omitempty"`    // where that law broke
	// Producer is the id of the producer that a law is about; nil: of none in particular.
	Producer *int64   `json:"producer,omitempty"`
	Proof    []string `json:"proof,omitempty"` // the argument, step by step
	Lanes    string   `json:"lanes,omitempty"` // the operations, drawn
	Story    []Moment `json:"story,omitempty"` // these operations and what happened around them
	// Values and Offsets are of the records that it is about, as far as it is known.
	Values  []string `json:"values,omitempty"`
	Offsets []int64  `json:"offsets,omitempty"`
	// Why is how it came about, if the whole ledger was kept and a rule fits.
	Why *Why `json:"why,omitempty"`
}

// Moment is one line of a story.
type Moment struct {
	At   Seconds `json:"at"`
	Who  string  `json:"who"`
	What string  `json:"what"`
}

// Permitted is an anomaly that the configuration, or a fault that really
// happened, permits.
type Permitted struct {
	Anomaly string `json:"anomaly"`
	Reason  string `json:"reason"`
	Count   int    `json:"count"`
	Message string `json:"message,omitempty"` // of an example,
	Ops     []int  `json:"ops,omitempty"`     // the operations that show it
	// Example is told as fully as a violation; nil: there is no more to tell.
	Example *Violation `json:"example,omitempty"`
}

// Check says what a check found, and at how much it looked.
type Check struct {
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"`
	Checked int64   `json:"checked"`
}

// Fault is one that struck, with the targets it really hit. Text is the line of
// a plan that does the same, Fault what is in it of the fault alone.
type Fault struct {
	At    Seconds `json:"at"`
	Until Seconds `json:"until"`
	Text  string  `json:"text"`
	Fault string  `json:"fault"`
	// Group is what the fault hurts: process, network, disk, clock, leadership.
	Group string `json:"group"`
}

// The keys of Run.Counts.
const (
	RecordsAcknowledged = "records acknowledged"
	RecordsFailed       = "records failed"
	RecordsInDoubt      = "records in doubt"
	RecordsPolled       = "records polled"
	// Of users' programs: see workloads.Counted.
	RecordsAlike  = "records alike"
	SendsTold     = "sends told"
	SendsUnproven = "sends told and not seen acknowledged"
	LinesRefused  = "told lines refused"
)

// Skipped is a fault that did not strike as it was planned.
type Skipped struct {
	At   Seconds `json:"at"`
	Text string  `json:"text"`
	Why  string  `json:"why"`
}

// Planted says what became of a planted bug.
type Planted struct {
	Reached  int64 `json:"reached"`
	Infected int64 `json:"infected"`
	Detected int64 `json:"detected"`
}

// Seconds is a point of virtual time.
type Seconds time.Duration

// MarshalJSON writes seconds with all the digits there are.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(s).Seconds())
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Seconds) UnmarshalJSON(b []byte) error {
	var f float64
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	*s = Seconds(f*1e9 + 0.5)
	return nil
}

// String is how a report shows it: 11.998s.
func (s Seconds) String() string {
	return time.Duration(s).Round(time.Millisecond).String()
}

// WriteJSON writes one object on one line.
func WriteJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
