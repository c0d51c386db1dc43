package checkers

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/checkers/detect"
	"github.com/ktrial/ktrial/checkers/explain"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/checkers/permit"
)

// Options say how to judge.
type Options struct {
	Expect Expectations
	Strict bool // what a setting or a fault permits is a violation all the same
	Jepsen bool // reproduce Jepsen's errors instead
}

// Judgement is what is said of one history.
type Judgement struct {
	File      string       `json:"file"`
	Verdict   Verdict      `json:"verdict"`
	Anomalies []Report     `json:"anomalies"`       // all that were found, permitted or not
	Allowed   []Permission `json:"allowed"`         // those of them that are permitted, and why
	Rules     []RuleReport `json:"rules,omitempty"` // of the application, as the configuration declares them
	Examined  Examined     `json:"examined"`
	Config    string       `json:"config"`            // under which it was judged; what it does not say is as the baseline has it
	Ignored   []string     `json:"ignored,omitempty"` // what of the file means nothing here: History.Ignored
	Notes     []string     `json:"notes,omitempty"`   // why it is inconclusive; what did not show

	expect Expectations
	strict bool
}

// Report is an anomaly that was found.
type Report struct {
	Anomaly   Anomaly    `json:"anomaly"`
	Count     int        `json:"count"`
	Permitted int        `json:"permitted"`           // of Count, by a setting or a fault
	Legal     int        `json:"legal,omitempty"`     // of Count: was never promised not to happen
	Undecided int        `json:"undecided,omitempty"` // of Count: whether it is a fault cannot be known
	Ops       []int64    `json:"ops"`                 // :index of the operations that show it
	Message   string     `json:"message"`
	Instances []Instance `json:"instances"` // the first of them, broken promises before permitted ones
}

// Broken is how many of them break a promise, and nothing permits it.
func (r *Report) Broken() int { return r.Count - r.Permitted - r.Legal - r.Undecided }

// Permission says that instances of an anomaly are permitted.
type Permission struct {
	Anomaly Anomaly `json:"anomaly"`
	Reason  string  `json:"reason"`
	Count   int     `json:"count"`
	Message string  `json:"message"` // of an example
	Ops     []int64 `json:"ops"`     // that show it
	// Legal: nothing was promised that could have been broken.
	Legal bool `json:"legal,omitempty"`
	// Example is that instance.
	Example Instance `json:"-"`
}

// Examined says how much was looked at: an empty history proves nothing.
type Examined struct {
	Operations   int   `json:"operations"`
	Acknowledged int64 `json:"acknowledged"`     // records
	Polled       int64 `json:"polled"`           // records, by polls that succeeded
	Both         int64 `json:"both"`             // acknowledged records that were read
	Facts        int64 `json:"facts,omitempty"`  // offsets, epochs and generations that were told
	Stable       int64 `json:"stable,omitempty"` // partitions of which the last stable offset is known in the end
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

// Judge judges a history.
//
// A history may tell its configuration itself (history.Config); what the
// options say goes before it.
func Judge(h *history.History, o Options) *Judgement {
	d := detect.New(h)
	h.Each(func(op *history.Op) bool {
		d.Operation(op)
		return true
	})
	expect, err := o.Expect.Over(h)
	o.Expect = expect
	var notes []string
	if err != nil {
		notes = append(notes, "the history tells a configuration that is not understood: "+err.Error())
	}
	return conclude(d, h, o, notes)
}

// conclude judges what was taken in.
func conclude(d *detect.Detection, h *history.History, o Options, notes []string) *Judgement {
	j := &Judgement{Anomalies: []Report{}, Allowed: []Permission{}, Config: o.Expect.String(), Ignored: h.Ignored(), Notes: notes,
		expect: o.Expect, strict: o.Strict}
	log := d.Log()
	if o.Jepsen {
		c := newCollector(log, permit.Jepsen(log, &o.Expect))
		throws := d.Jepsen(o.Expect.Is(permit.WriteOrder, "true"), c.take)
		j.Examined = examined(h, log)
		if throws != "" {
			j.Verdict = Inconclusive
			j.Notes = append(j.Notes, "jepsen ends with "+throws+" and gives no verdict")
			return j
		}
		c.report(j)
		j.Verdict = Holds
		if slices.ContainsFunc(j.Anomalies, func(r Report) bool { return r.Broken() > 0 }) {
			j.Verdict = Violated
		}
		return j
	}
	c := newCollector(log, nil)
	c.rule = func() *permit.Permits { return permit.New(log, &o.Expect) }
	d.Finish(o.Expect.Detecting(), c.take)
	j.Examined = examined(h, log)
	c.report(j)
	j.Notes = append(j.Notes, vacuity(h, j.Examined)...)
	j.Notes = append(j.Notes, d.Undecided()...)
	j.Verdict = Holds
	if len(j.Notes) > 0 {
		j.Verdict = Inconclusive
	}
	for i := range j.Anomalies {
		j.Verdict = Worst(j.Verdict, j.Anomalies[i].verdict(o.Strict))
	}
	j.judgeRules(h)
	return j
}

func examined(h *history.History, log *detect.Log) Examined {
	e := Examined{Operations: h.Len(), Acknowledged: log.Acked(), Polled: log.Delivered(), Both: log.AckedRead()}
	h.EachOf(history.HasFacts, func(op *history.Op) bool {
		if op.Type == history.OK {
			e.Facts += int64(len(op.Offsets))
			if op.Generation != 0 || op.ProducerEpoch != 0 {
				e.Facts++
			}
		}
		return true
	})
	for _, end := range detect.LogEnds(h) {
		if end.Stable >= 0 {
			e.Stable++
		}
	}
	return e
}

// vacuity says what a history must contain before its silence means anything.
func vacuity(h *history.History, e Examined) (why []string) {
	switch {
	case h.Len() == 0 && h.ClientsByWord() != "":
		return []string{fmt.Sprintf("no operation of a client: its process is an integer, and %q is none", h.ClientsByWord())}
	case h.Len() == 0:
		return []string{"no operation at all"}
	case foreign(h) != "":
		return []string{foreign(h)}
	case e.Acknowledged == 0:
		return []string{"no record was acknowledged"}
	case e.Polled == 0:
		return []string{"no poll returned a record"}
	case e.Both == 0:
		return []string{"no acknowledged record was read"}
	}
	return nil
}

// foreign says that a history is of another kind of system, if it is.
func foreign(h *history.History) string {
	names := map[string]bool{}
	of := 0
	h.Each(func(op *history.Op) bool {
		if of++; op.F != history.Other {
			of = -1
			return false
		}
		if op.Name != "" && len(names) < 20 {
			names[":"+op.Name] = true
		}
		return true
	})
	if of <= 0 || len(names) == 0 {
		return ""
	}
	var list []string
	for name := range names {
		list = append(list, name)
	}
	slices.Sort(list)
	if of == 1 {
		return fmt.Sprintf("the one operation is not a Kafka operation (%s)", list[0])
	}
	return fmt.Sprintf("none of the %d operations is a Kafka operation (%s)", of, strings.Join(list, ", "))
}

// collector takes findings, rules on each, counts them and keeps the first of
// each kind.
type collector struct {
	log     *detect.Log
	permits *permit.Permits
	rule    func() *permit.Permits // makes permits when the log is complete
	kinds   map[Anomaly]*kind
}

// kind is one anomaly.
type kind struct {
	count   [permit.Legal + 1]int // by ruling
	kept    [permit.Legal + 1][]ruled
	reasons map[permit.Ruling]*tally
}

type ruled struct {
	detect.Finding
	reason string
}

// tally is how often one reason permitted an anomaly, and the first of them.
type tally struct {
	count   int
	example detect.Finding
}

const keptFindings = 64

func newCollector(log *detect.Log, p *permit.Permits) *collector {
	return &collector{log: log, permits: p, kinds: map[Anomaly]*kind{}}
}

func (c *collector) take(f detect.Finding) {
	if c.permits == nil {
		c.permits = c.rule()
	}
	k := c.kinds[f.Anomaly]
	if k == nil {
		k = &kind{reasons: map[permit.Ruling]*tally{}}
		c.kinds[f.Anomaly] = k
	}
	r := c.permits.Rule(&f)
	k.count[r.Kind]++
	if len(k.kept[r.Kind]) < keptFindings {
		k.kept[r.Kind] = append(k.kept[r.Kind], ruled{f, r.Reason})
	}
	if r.Kind == permit.Permitted || r.Kind == permit.Legal {
		if k.reasons[r] == nil {
			k.reasons[r] = &tally{example: f}
		}
		k.reasons[r].count++
	}
}

// findings are all that are to be told.
func (c *collector) findings() (all []*detect.Finding) {
	for _, k := range c.kinds {
		for kind := range k.kept {
			for i := range k.kept[kind] {
				all = append(all, &k.kept[kind][i].Finding)
			}
		}
		for _, t := range k.reasons {
			all = append(all, &t.example)
		}
	}
	return all
}

// report puts what was collected into words.
func (c *collector) report(j *Judgement) {
	explainer := explain.New(c.log, c.findings())
	causes := newCauses(c.log)
	for _, name := range detect.InOrder() {
		k := c.kinds[name]
		if k == nil {
			continue
		}
		r := Report{Anomaly: name, Permitted: k.count[permit.Permitted], Legal: k.count[permit.Legal],
			Undecided: k.count[permit.Undecided], Instances: []Instance{}, Ops: []int64{}}
		for kind, findings := range k.kept {
			r.Count += k.count[kind]
			for i := range findings {
				in := explainer.Explain(&findings[i].Finding)
				switch permit.Kind(kind) {
				case permit.Permitted, permit.Legal:
					in.Permitted = findings[i].reason
				case permit.Undecided:
					in.Undecided = findings[i].reason
				}
				if permit.Kind(kind) != permit.Legal {
					in.Follows = string(causes.of(&findings[i].Finding))
				}
				r.Instances = append(r.Instances, in)
			}
		}
		r.summarise()
		j.Anomalies = append(j.Anomalies, r)
		j.Allowed = append(j.Allowed, k.permissions(name, explainer)...)
	}
}

// permissions are the reasons for which an anomaly was permitted.
func (k *kind) permissions(name Anomaly, explainer *explain.Explainer) (all []Permission) {
	for ruling, t := range k.reasons {
		in := explainer.Explain(&t.example)
		in.Permitted = ruling.Reason
		all = append(all, Permission{name, ruling.Reason, t.count, in.Message, in.Ops, ruling.Kind == permit.Legal, in})
	}
	slices.SortFunc(all, func(a, b Permission) int { return strings.Compare(a.Reason, b.Reason) })
	return all
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
