package trial

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
)

// evidence explains what proves a violation: the few operations, and what happened
// to the cluster around them.
type evidence struct {
	h         *history.History
	struck    []reports.Fault
	workBegan reports.Seconds // a plan's times count from then
	ledger    *ledger.Ledger
	rows      map[int64]int // of operations, by their index; made when it is needed
}

// toldInFull is how many violations of an anomaly get their story.
const toldInFull = 5

// of are the violations that an anomaly is.
func (e *evidence) of(check string, found checkers.Report, strict bool) (out []reports.Violation) {
	for _, in := range found.Instances {
		if in.Undecided != "" || in.Permitted != "" && !strict {
			continue
		}
		out = append(out, e.violation(check, found.Anomaly, in, len(out) < toldInFull))
	}
	return out
}

// violation is one instance of an anomaly; in full it has its story.
func (e *evidence) violation(check string, anomaly checkers.Anomaly, in checkers.Instance, inFull bool) reports.Violation {
	v := reports.Violation{
		Check: check, Anomaly: string(anomaly), Message: in.Message, Subject: in.Partition,
		Ops: ints(in.Ops), At: reports.Seconds(in.At), Proof: in.Proof, Lanes: in.Lanes,
		Values: first(in.Values), Offsets: first(in.Offsets),
	}
	if inFull {
		v.Story = e.tell(in)
	}
	return v
}

// first are the first few of a list: what an instance is about comes first in it.
func first[T any](all []T) []T { return all[:min(len(all), 8)] }

// row is the operation with this index; -1: there is none.
func (e *evidence) row(index int64) int {
	if e.rows == nil {
		e.rows = map[int64]int{}
		for row := range e.h.Len() {
			e.rows[e.h.Index(row)] = row
		}
	}
	if row, ok := e.rows[index]; ok {
		return row
	}
	return -1
}

// A story has at most so many lines about faults, and so many about nodes.
const (
	mostFaults = 6
	mostNodes  = 8
)

// tell is the story of an instance, in the order of time.
func (e *evidence) tell(in checkers.Instance) []reports.Moment {
	var all []reports.Moment
	first, last := in.At, in.At
	for _, index := range in.Ops {
		row := e.row(index)
		if row < 0 {
			continue
		}
		var op history.Op
		e.h.Read(row, &op)
		first, last = min(first, op.Start), max(last, op.End)
		all = append(all, e.operation(&op, in)...)
	}
	all = append(all, e.faults(first, last)...)
	all = append(all, e.nodes(first, last, in.Partition)...)
	slices.SortStableFunc(all, func(a, b reports.Moment) int { return int(min(1, max(-1, a.At-b.At))) })
	return all
}

// operation is how an operation began and ended.
func (e *evidence) operation(op *history.Op, in checkers.Instance) []reports.Moment {
	client := e.h.Client(op.ProcessNo)
	began := reports.Moment{At: reports.Seconds(op.Start), Who: client, What: e.asked(op, in)}
	if op.Completed == history.Never {
		began.What += ", and never learns what became of it"
		return []reports.Moment{began}
	}
	return []reports.Moment{began, {At: reports.Seconds(op.End), Who: client, What: e.answered(op, in)}}
}

func (e *evidence) asked(op *history.Op, in checkers.Instance) string {
	if len(op.Sends) > 0 {
		var parts []string
		for _, s := range op.Sends {
			if value := e.h.ValueOf(s.Rec).String(); len(op.Sends) == 1 || speaksOf(in, value) {
				parts = append(parts, fmt.Sprintf("%q to %v", value, e.h.Keys()[e.h.KeyOf(s.Rec)]))
			}
		}
		return "produce " + strings.Join(parts, ", ")
	}
	if op.F == history.Other {
		return op.Name
	}
	return strings.ReplaceAll(op.F.String(), "-", " ")
}

func (e *evidence) answered(op *history.Op, in checkers.Instance) string {
	switch op.Type {
	case history.Failed:
		return "failed: " + op.Error
	case history.Unknown:
		return "unknown: " + op.Error
	}
	parts := []string{"ok"}
	for _, s := range op.Sends {
		parts = append(parts, e.spot(s.Rec, s.Offset))
	}
	others := 0
	for _, p := range op.Polled {
		if value := e.h.ValueOf(p.Rec).String(); speaksOf(in, value) {
			parts = append(parts, fmt.Sprintf("%q %s", value, e.spot(p.Rec, p.Offset)))
		} else {
			others++
		}
	}
	for _, m := range op.Offsets {
		parts = append(parts, fmt.Sprintf("%v of %v is %d", m.Kind, e.h.Keys()[m.Key], m.Offset))
	}
	if others > 0 {
		parts = append(parts, fmt.Sprintf("and %d other records", others))
	}
	return strings.Join(parts, ", ")
}

// speaksOf reports whether an instance is about a record of this value.
func speaksOf(in checkers.Instance, value string) bool {
	return value == in.Reference || slices.Contains(in.Values, value) || slices.Contains(in.Skipped, value)
}

func (e *evidence) spot(rec history.Rec, offset int64) string {
	return fmt.Sprintf("%v@%d", e.h.Keys()[e.h.KeyOf(rec)], offset)
}

// faults are those under way between first and last; of many the last ones.
func (e *evidence) faults(first, last time.Duration) (out []reports.Moment) {
	for _, f := range e.struck {
		if time.Duration(f.At) > last || f.Until != 0 && time.Duration(f.Until) < first {
			continue
		}
		what := fmt.Sprintf("%s, at %v of the work", f.Fault, f.At-e.workBegan)
		if f.Until > f.At {
			what += fmt.Sprintf(", until %v of it (%v)", f.Until-e.workBegan, f.Until)
		}
		out = append(out, reports.Moment{At: f.At, Who: "fault", What: what})
	}
	return out[max(0, len(out)-mostFaults):]
}

// nodes are the notable events of the partition on nodes; of many the last.
func (e *evidence) nodes(first, last time.Duration, partition string) (out []reports.Moment) {
	for l := range e.ledger.Notable() {
		about, ok := l.Event.(ledger.Subject)
		if ok && about.Subject() == partition && l.Host != "" && l.At >= first && l.At <= last {
			out = append(out, reports.Moment{At: reports.Seconds(l.At), Who: l.Host, What: l.Event.Sentence()})
		}
	}
	return out[max(0, len(out)-mostNodes):]
}
