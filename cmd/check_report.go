package cmd

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/reports/page"
	"github.com/ktrial/ktrial/workloads"
)

// report writes the page of a history: what its clients did, with the operations of the
// first violation as steps. It may be of any cluster, so nothing is known of brokers.
func (k *checking) report(h *history.History, j *checkers.Judgement) error {
	run := runOf(h, j, k.strict)
	p := page.Page{
		Run: run, Title: filepath.Base(j.File) + ": " + string(j.Verdict), Heading: filepath.Base(j.File),
		About: fmt.Sprintf("%s operations, %s", reports.Count(int64(h.Len())), configText(j)), Events: slices.Values(entriesOf(h)),
	}
	if err := writeWhole(k.reportFile, func(w io.Writer) error { return p.Write(w) }); err != nil {
		return cannotWrite("--report", err)
	}
	return nil
}

func configText(j *checkers.Judgement) string {
	if j.Config == "" {
		return "judged by the baseline"
	}
	return "judged under " + j.Config
}

// runOf is a judgement in the form of a run.
func runOf(h *history.History, j *checkers.Judgement, strict bool) *reports.Run {
	run := &reports.Run{Scenario: filepath.Base(j.File), Verdict: j.Verdict, Violations: []reports.Violation{}, Allowed: []reports.Permitted{}, Again: commandLine("check", j.File)}
	for _, r := range j.Anomalies {
		check := reports.Check{Name: "no " + string(r.Anomaly), Verdict: reports.Violated, Checked: int64(r.Count)}
		if r.Broken() == 0 {
			check.Verdict = reports.Allowed
		}
		run.Checks = append(run.Checks, check)
		for _, in := range r.Instances {
			if in.Undecided == "" && (in.Permitted == "" || strict) {
				run.Violations = append(run.Violations, violationOf(h, string(r.Anomaly), in))
			}
		}
	}
	for _, rule := range j.Rules {
		run.Checks = append(run.Checks, reports.Check{Name: rule.Name, Verdict: rule.Verdict, Checked: rule.Checked})
		for _, b := range rule.Broken {
			v := violationOf(h, "", checkers.Instance{Message: b.Message, Ops: b.Ops, At: b.At})
			v.Check = rule.Name
			run.Violations = append(run.Violations, v)
		}
	}
	for _, a := range j.Allowed {
		if !a.Legal {
			example := violationOf(h, string(a.Anomaly), a.Example)
			run.Allowed = append(run.Allowed, reports.Permitted{Anomaly: string(a.Anomaly), Reason: a.Reason, Count: a.Count, Message: a.Message, Example: &example})
		}
	}
	h.Each(func(op *history.Op) bool {
		run.VirtualSeconds = max(run.VirtualSeconds, op.End.Seconds())
		run.Events++
		return true
	})
	return run
}

// violationOf is an instance whose operations are its steps.
func violationOf(h *history.History, anomaly string, in checkers.Instance) reports.Violation {
	v := reports.Violation{Check: "no " + anomaly, Anomaly: anomaly, Message: in.Message, Subject: in.Partition, At: reports.Seconds(in.At), Proof: in.Proof}
	why := &reports.Why{Kind: reports.WhyKind(anomaly), What: in.Message, Partition: in.Partition, Steps: []reports.Step{}}
	var op history.Op
	for row := range h.Len() {
		if index := h.Index(row); slices.Contains(in.Ops, index) {
			h.Read(row, &op)
			why.Steps = append(why.Steps, stepsOf(h, &op, index)...)
		}
	}
	slices.SortStableFunc(why.Steps, func(a, b reports.Step) int { return cmp.Compare(a.At, b.At) })
	if len(why.Steps) > 0 {
		v.Why = why
	}
	return v
}

// stepsOf are the beginning and the end of an operation; of one that does not send only
// the end, for there it learns what it is about.
func stepsOf(h *history.History, op *history.Op, index int64) (steps []reports.Step) {
	client := h.Client(op.ProcessNo)
	add := func(at time.Duration, kind reports.StepKind, text string) {
		steps = append(steps, reports.Step{At: reports.Seconds(at), Host: client, Kind: kind, Text: text, Lane: "client", Op: &index})
	}
	if len(op.Sends) > 0 {
		for _, s := range op.Sends[:1] {
			add(op.Start, reports.Sent, fmt.Sprintf("sends %v to %v", h.ValueOf(s.Rec), h.Keys()[h.KeyOf(s.Rec)]))
		}
	}
	switch {
	case op.Completed == history.Never:
	case op.Type != history.OK:
		add(op.End, reports.Answered, fmt.Sprintf("%v: %s", op.Type, op.Error))
	case len(op.Sends) > 0:
		add(op.End, reports.Acknowledged, fmt.Sprintf("is told: success, offset %d", op.Sends[0].Offset))
	case len(op.Polled) > 0:
		first, last := op.Polled[0], op.Polled[len(op.Polled)-1]
		add(op.End, reports.Read, fmt.Sprintf("is given %d records, %v@%d to %v@%d", len(op.Polled), h.Keys()[h.KeyOf(first.Rec)], first.Offset, h.Keys()[h.KeyOf(last.Rec)], last.Offset))
	default:
		add(op.End, reports.Answered, op.F.String()+" ok")
	}
	return steps
}

// entriesOf are the operations of a history, and what else it tells, as events.
func entriesOf(h *history.History) (all []*ledger.Entry) {
	h.Each(func(op *history.Op) bool {
		client, what := h.Client(op.ProcessNo), op.F.String()
		if op.F == history.Other {
			what = op.Name
		}
		o := workloads.Operation{Index: h.Index(op.Row), Process: int64(op.ProcessNo), Client: client, Function: what}
		all = append(all, &ledger.Entry{At: op.Start, Host: client, Event: &workloads.Invoked{Operation: o, Sends: sendsOf(h, op)}})
		if op.Completed == history.Never {
			return true
		}
		outcome := map[history.Type]string{history.OK: "ok", history.Failed: "failed", history.Unknown: "unknown"}[op.Type]
		all = append(all, &ledger.Entry{At: op.End, Host: client, Event: &workloads.Completed{
			Operation: o, Outcome: outcome, Error: op.Error, Sends: sendsOf(h, op), Polled: polledOf(h, op), Marks: marksOf(h, op),
		}})
		return true
	})
	for _, n := range h.Notes() {
		if text := cmp.Or(n.Text, n.Name, n.F.String()); n.F != history.Config {
			all = append(all, &ledger.Entry{At: n.Time, Host: n.Actor, Event: ledger.Say("%s", text)})
		}
	}
	slices.SortStableFunc(all, func(a, b *ledger.Entry) int { return cmp.Compare(a.At, b.At) })
	return all
}

func textOf(v history.Value) (t workloads.Text) {
	_ = t.UnmarshalText([]byte(v.String())) // any text is one
	return t
}

func sendsOf(h *history.History, op *history.Op) (out []workloads.SentRecord) {
	for _, s := range op.Sends {
		out = append(out, workloads.SentRecord{Partition: textOf(h.Keys()[h.KeyOf(s.Rec)]), Value: textOf(h.ValueOf(s.Rec)), Offset: s.Offset, Epoch: int32(s.Epoch) - 1})
	}
	return out
}

// polledOf are the runs of consecutive offsets that a poll was given.
func polledOf(h *history.History, op *history.Op) (out []workloads.PolledRun) {
	for _, p := range op.Polled {
		partition := textOf(h.Keys()[h.KeyOf(p.Rec)])
		if n := len(out); n > 0 && out[n-1].Partition == partition && out[n-1].Last+1 == p.Offset {
			out[n-1].Last++
			continue
		}
		out = append(out, workloads.PolledRun{Partition: partition, First: p.Offset, Last: p.Offset, Epoch: int32(p.Epoch) - 1})
	}
	return out
}

func marksOf(h *history.History, op *history.Op) (out []workloads.Mark) {
	for _, m := range op.Offsets {
		out = append(out, workloads.Mark{Kind: m.Kind.String(), Partition: textOf(h.Keys()[m.Key]), Offset: m.Offset})
	}
	return out
}
