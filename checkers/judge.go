package checkers

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/ktrial/ktrial/checkers/history"
)

// Options say how to judge.
type Options struct {
	Expect Expectations
	Jepsen bool // reproduce Jepsen's errors instead
}

// Judgement is what the checks say of one history.
type Judgement struct {
	File      string    `json:"file"`
	Verdict   Outcome   `json:"verdict"`
	Anomalies []Report  `json:"anomalies"` // all that were found, permitted or not
	Allowed   []Allowed `json:"allowed"`   // those of them that are permitted, and why
	Examined  Examined  `json:"examined"`
	Config    string    `json:"config"`          // under which it was judged; what it does not say is as the baseline has it
	Notes     []string  `json:"notes,omitempty"` // why it is inconclusive; what did not show

	expect Expectations
}

// Report is an anomaly that was found.
type Report struct {
	Anomaly   Anomaly    `json:"anomaly"`
	Count     int        `json:"count"`
	Permitted int        `json:"permitted"` // of Count
	Ops       []int64    `json:"ops"`       // :index of the operations that show it
	Message   string     `json:"message"`
	Instances []Instance `json:"instances"` // the first of them
}

// Instance is one occurrence of an anomaly, with its proof.
type Instance struct {
	Ops       []int64       `json:"ops"`
	Message   string        `json:"message"`
	Proof     []string      `json:"proof,omitempty"` // a short argument, step by step
	Lanes     string        `json:"lanes,omitempty"` // the operations, drawn
	Partition string        `json:"partition,omitempty"`
	Permitted string        `json:"permitted,omitempty"` // why, if it is
	At        time.Duration `json:"at"`                  // when it could be known

	Values    []string `json:"values,omitempty"`
	Offsets   []int64  `json:"offsets,omitempty"`
	Delta     int      `json:"delta,omitempty"`   // of a jump, in known records
	Skipped   []string `json:"skipped,omitempty"` // what it jumped over
	Writer    int64    `json:"writer"`            // -1: none
	Reader    int64    `json:"reader"`
	Reference string   `json:"-"`
}

// Allowed says that instances of an anomaly are permitted.
type Allowed struct {
	Anomaly Anomaly `json:"anomaly"`
	Reason  string  `json:"reason"`
	Count   int     `json:"count"`
}

// Examined says how much was looked at: an empty history proves nothing.
type Examined struct {
	Operations   int   `json:"operations"`
	Acknowledged int64 `json:"acknowledged"` // records
	Polled       int64 `json:"polled"`       // records, by polls that succeeded
	Both         int64 `json:"both"`         // acknowledged records that were read
}

// JudgeFile judges the history in a file; "-" is standard input.
func JudgeFile(path string, o Options) (*Judgement, error) {
	h, err := history.ReadFile(path)
	if err != nil {
		return nil, err
	}
	j := Judge(h, o)
	j.File = path
	return j, nil
}

// JudgeReader judges the history that in holds; name stands in errors.
func JudgeReader(name string, in io.Reader, o Options) (*Judgement, error) {
	h, err := history.Read(name, in)
	if err != nil {
		return nil, err
	}
	j := Judge(h, o)
	j.File = name
	return j, nil
}

// Judge runs all checks on a history.
//
// A history may tell its configuration itself (history.Config); what the
// options say goes before it.
func Judge(h *history.History, o Options) *Judgement {
	a := analyse(h)
	expect, err := o.Expect.over(h)
	o.Expect = expect
	j := &Judgement{Anomalies: []Report{}, Allowed: []Allowed{}, Config: expect.String(), expect: expect}
	if err != nil {
		j.Notes = append(j.Notes, "the history tells a configuration that is not understood: "+err.Error())
	}
	j.Examined = Examined{h.Len(), a.sends, a.polls, a.ackRead}
	if o.Jepsen {
		c := newCollector(a, permissionsOfJepsen(a, &o.Expect))
		if throws := jepsenErrors(a, o.Expect.is("ww-deps", "true"), c.take); throws != "" {
			j.Notes = append(j.Notes, "jepsen ends with "+throws+" and gives no verdict")
			return j
		}
		c.report(j)
		j.Verdict = c.outcome(Holds)
		return j
	}
	c := newCollector(a, newPermits(a, &o.Expect))
	for _, d := range detectors {
		d.run(a, c.take)
	}
	if o.Expect.is("ww-deps", "true") {
		findDependencyCycles(a, func(f finding) {
			f.note = throughWrites
			c.take(f)
		})
	}
	c.report(j)
	j.Notes = append(j.Notes, vacuity(a)...)
	j.Notes = append(j.Notes, slices.Sorted(maps.Keys(a.undecided))...)
	if len(j.Notes) > 0 {
		j.Verdict = c.outcome(Inconclusive)
	} else {
		j.Verdict = c.outcome(Holds)
	}
	return j
}

// permissionsOfJepsen is what Jepsen's own option sub-via and ww-deps allow.
func permissionsOfJepsen(a *analysis, e *Expectations) *permits {
	p := &permits{a: a, e: e}
	p.active = []*permission{{reason: "jepsen allows it", permits: []Anomaly{IntSendSkip, G0, G0Realtime, pl1Cycle, strongPL1Cycle}}}
	if subscribed(e) {
		p.active = append(p.active, &permission{reason: "jepsen allows it with subscribe", permits: []Anomaly{PollSkip, NonmonotonicPoll}})
	}
	if e.is("ww-deps", "true") {
		p.active = append(p.active, &permission{reason: "jepsen allows it with ww-deps", permits: []Anomaly{G1c, G1cRealtime, pl2Cycle, strongPL2Cycle}})
	}
	return p
}

// vacuity says what a history must contain before its silence means anything.
func vacuity(a *analysis) (why []string) {
	switch {
	case a.h.Len() == 0:
		why = append(why, "no operation at all")
	case a.sends == 0:
		why = append(why, "no record was acknowledged")
	case a.polls == 0:
		why = append(why, "no poll returned a record")
	case a.ackRead == 0:
		why = append(why, "no acknowledged record was read")
	}
	return why
}

// collector counts findings and keeps the first of each kind, those that
// nothing permits before those that something does.
type collector struct {
	a       *analysis
	permits *permits
	kinds   map[Anomaly]*kind
}

type kind struct {
	count, permitted int
	bad, allowed     []finding
	reasons          map[string]int
	reasonOf         []string // of allowed
}

const keptFindings = 64

func newCollector(a *analysis, p *permits) *collector {
	return &collector{a: a, permits: p, kinds: map[Anomaly]*kind{}}
}

func (c *collector) take(f finding) {
	k := c.kinds[f.anomaly]
	if k == nil {
		k = &kind{reasons: map[string]int{}}
		c.kinds[f.anomaly] = k
	}
	k.count++
	reason := c.permits.reason(&f)
	if reason == "" {
		if len(k.bad) < keptFindings {
			k.bad = append(k.bad, f)
		}
		return
	}
	k.permitted++
	k.reasons[reason]++
	if len(k.allowed) < keptFindings {
		k.allowed = append(k.allowed, f)
		k.reasonOf = append(k.reasonOf, reason)
	}
}

// outcome is violated if something is not permitted, else what is said.
func (c *collector) outcome(otherwise Outcome) Outcome {
	for _, k := range c.kinds {
		if k.count > k.permitted {
			return Violated
		}
	}
	return otherwise
}

// report puts what was collected into words.
func (c *collector) report(j *Judgement) {
	var names []Anomaly
	for _, info := range Anomalies {
		names = append(names, info.Anomaly)
	}
	names = append(names, pl1Cycle, pl2Cycle, strongPL1Cycle, strongPL2Cycle, emptyGraph)
	teller := newTeller(c.a, c.kinds)
	for _, name := range names {
		k := c.kinds[name]
		if k == nil {
			continue
		}
		r := Report{Anomaly: name, Count: k.count, Permitted: k.permitted, Instances: []Instance{}, Ops: []int64{}}
		for i := range k.bad {
			r.Instances = append(r.Instances, teller.tell(&k.bad[i]))
		}
		for i := range k.allowed {
			in := teller.tell(&k.allowed[i])
			in.Permitted = k.reasonOf[i]
			r.Instances = append(r.Instances, in)
		}
		r.summarise()
		j.Anomalies = append(j.Anomalies, r)
		var reasons []string
		for reason := range k.reasons {
			reasons = append(reasons, reason)
		}
		sort.Strings(reasons)
		for _, reason := range reasons {
			j.Allowed = append(j.Allowed, Allowed{name, reason, k.reasons[reason]})
		}
	}
}

// manyOps is how many operations a report names for all its instances
// together; of more, each instance names its own.
const manyOps = 32

func (r *Report) summarise() {
	if len(r.Instances) == 0 {
		r.Message = string(r.Anomaly)
		return
	}
	r.Message = r.Instances[0].Message
	if r.Count > 1 {
		r.Message += fmt.Sprintf(" (and %d more)", r.Count-1)
	}
	seen := map[int64]bool{}
	for _, in := range r.Instances {
		if len(seen) > 0 && len(seen)+len(in.Ops) > manyOps {
			break
		}
		for _, op := range in.Ops {
			if !seen[op] {
				seen[op] = true
				r.Ops = append(r.Ops, op)
			}
		}
	}
}

// String is the judgement for a terminal: the verdict, then each anomaly with
// its count and the proof of its first instance.
func (j *Judgement) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", j.File, j.Verdict)
	if j.Config != "" {
		fmt.Fprintf(&b, "  judged under %s\n", j.Config)
	}
	for _, note := range j.Notes {
		fmt.Fprintf(&b, "  %s\n", note)
	}
	for _, r := range j.Anomalies {
		if r.Permitted == r.Count {
			continue
		}
		fmt.Fprintf(&b, "  %s: %d", r.Anomaly, r.Count)
		if r.Permitted > 0 {
			fmt.Fprintf(&b, ", of which %d permitted", r.Permitted)
		}
		b.WriteByte('\n')
		if len(r.Instances) == 0 {
			continue
		}
		in := &r.Instances[0]
		fmt.Fprintf(&b, "    %s\n", in.Message)
		for _, line := range in.Proof {
			fmt.Fprintf(&b, "      %s\n", line)
		}
		for _, line := range strings.Split(strings.TrimRight(in.Lanes, "\n"), "\n") {
			if line != "" {
				fmt.Fprintf(&b, "      %s\n", line)
			}
		}
	}
	for _, allowed := range j.Allowed {
		fmt.Fprintf(&b, "  permitted: %d %s (%s)\n", allowed.Count, allowed.Anomaly, allowed.Reason)
	}
	e := j.Examined
	fmt.Fprintf(&b, "  examined %d operations, %d acknowledged records, %d read of them, %d polled in all\n",
		e.Operations, e.Acknowledged, e.Both, e.Polled)
	return b.String()
}
