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

// toldOfMany is how many records of an operation are told that no instance speaks of.
const toldOfMany = 3

// told are the sends of an operation that are told: those that an instance speaks of, or
// else the first; more is how many others there are.
func (e *evidence) told(op *history.Op, in checkers.Instance) (sends []history.Sent, more int) {
	for _, s := range op.Sends {
		if speaksOf(in, e.h.ValueOf(s.Rec).String()) {
			sends = append(sends, s)
		}
	}
	if len(sends) == 0 {
		sends = op.Sends
	}
	sends = sends[:min(len(sends), toldOfMany)]
	return sends, len(op.Sends) - len(sends)
}

// andMore says how many records are not told, and where they are.
func (e *evidence) andMore(parts []string, op *history.Op, more int) []string {
	if more == 0 {
		return parts
	}
	return append(parts, fmt.Sprintf("and %s more records (op %d of the history has them all)", reports.Count(int64(more)), e.h.Index(op.Row)))
}

func (e *evidence) asked(op *history.Op, in checkers.Instance) string {
	if len(op.Sends) > 0 {
		var parts []string
		sends, more := e.told(op, in)
		for _, s := range sends {
			parts = append(parts, fmt.Sprintf("%q to %v", e.h.ValueOf(s.Rec).String(), e.h.Keys()[e.h.KeyOf(s.Rec)]))
		}
		return "produce " + strings.Join(e.andMore(parts, op, more), ", ")
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
	sends, more := e.told(op, in)
	for _, s := range sends {
		parts = append(parts, e.spot(s.Rec, s.Offset))
	}
	parts = e.andMore(parts, op, more)
	others, told := 0, 0
	for _, p := range op.Polled {
		if value := e.h.ValueOf(p.Rec).String(); speaksOf(in, value) && told < toldOfMany {
			parts = append(parts, fmt.Sprintf("%q %s", value, e.spot(p.Rec, p.Offset)))
			told++
		} else {
			others++
		}
	}
	for i, m := range op.Offsets {
		if i == toldOfMany {
			parts = append(parts, fmt.Sprintf("and %d more offsets", len(op.Offsets)-i))
			break
		}
		parts = append(parts, fmt.Sprintf("%v of %v is %d", m.Kind, e.h.Keys()[m.Key], m.Offset))
	}
	if others > 0 {
		parts = append(parts, fmt.Sprintf("and %s other records", reports.Count(int64(others))))
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
