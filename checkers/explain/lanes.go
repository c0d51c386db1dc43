package explain

import (
	"fmt"
	"sort"
	"strings"

	"github.com/ktrial/ktrial/checkers/history"
)

// bar is an operation as it is drawn: from its invocation to its completion.
type bar struct {
	client     string
	label      string
	begin, end int64 // events
}

// lanes draws the operations, one line per client, time from left to right.
func (t *Explainer) lanes(rows []int, recs []history.Rec) string {
	if len(rows) == 0 || len(rows) > 12 {
		return ""
	}
	bars := t.bars(rows, recs)
	column := columns(bars)
	var clients []string
	lines := map[string][]rune{}
	width := 0
	for _, b := range bars {
		if lines[b.client] == nil {
			clients = append(clients, b.client)
			width = max(width, len(b.client))
		}
		lines[b.client] = b.draw(lines[b.client], column)
	}
	var out strings.Builder
	for _, client := range clients {
		fmt.Fprintf(&out, "%-*s  %s\n", width, client, strings.TrimRight(string(lines[client]), " "))
	}
	return out.String()
}

// bars are the operations in their order.
func (t *Explainer) bars(rows []int, recs []history.Rec) (bars []bar) {
	mentioned := map[history.Rec]bool{}
	for _, rec := range recs {
		mentioned[rec] = true
	}
	rows = append([]int(nil), rows...)
	sort.Ints(rows)
	over := map[int32]int64{} // by process: where its line is free
	for _, row := range rows {
		op := t.op(row)
		b := bar{client: t.h.Client(op.ProcessNo), label: t.label(op, mentioned), begin: op.Invoked, end: op.Completed}
		if b.begin == b.end { // the history begins with its end
			b.begin--
		}
		if free, ok := over[op.ProcessNo]; ok && free < b.end { // it is not told when it began
			b.begin = max(b.begin, free)
		}
		over[op.ProcessNo] = b.end
		bars = append(bars, b)
	}
	return bars
}

// columns says where on the line each event is. Each bar is as wide as its
// label asks for; events in between widen it.
func columns(bars []bar) map[int64]int {
	var events []int64
	for _, b := range bars {
		events = append(events, b.begin, b.end)
	}
	sort.Slice(events, func(i, j int) bool { return events[i] < events[j] })
	column := map[int64]int{}
	for i, e := range events {
		at := 0
		if i > 0 {
			at = column[events[i-1]]
			if e != events[i-1] {
				at += 2
			}
		}
		for _, b := range bars {
			if b.end == e && b.begin != e {
				at = max(at, column[b.begin]+len([]rune(b.label))+3)
			}
		}
		column[e] = at
	}
	return column
}

// draw puts the bar into its client's line.
func (b *bar) draw(line []rune, column map[int64]int) []rune {
	from, to := column[b.begin], column[b.end]
	for len(line) <= to {
		line = append(line, ' ')
	}
	for i := from; i <= to; i++ {
		line[i] = '-'
	}
	line[from], line[to] = '|', '|'
	if b.end == history.Never {
		line[to] = '>'
	}
	copy(line[from+2:], []rune(b.label))
	return line
}

// label says in a few words what an operation did with the records of a story.
func (t *Explainer) label(op *history.Op, mentioned map[history.Rec]bool) string {
	var parts []string
	for _, s := range op.Sends {
		if mentioned[s.Rec] {
			parts = append(parts, fmt.Sprintf("send %s %s", t.value(s.Rec), t.at(op, s.Rec, s.Offset)))
		}
	}
	for _, p := range op.Polled {
		if mentioned[p.Rec] && len(parts) < 6 {
			parts = append(parts, fmt.Sprintf("poll %s %s", t.value(p.Rec), t.at(op, p.Rec, p.Offset)))
		}
	}
	for _, o := range op.Offsets {
		if len(parts) < 6 {
			parts = append(parts, t.fact(o))
		}
	}
	if len(parts) == 0 {
		parts = append(parts, op.F.String()+op.Name+granted(op))
	}
	label := strings.Join(parts, ", ")
	switch op.Type {
	case history.Failed:
		label += " FAILED "
	case history.Unknown:
		label += " UNKNOWN "
	default:
		label += " "
	}
	return label
}

func (t *Explainer) at(op *history.Op, rec history.Rec, offset int64) string {
	if offset < 0 {
		return "@?"
	}
	return fmt.Sprintf("@%d", offset)
}

// fact is what an operation did with an offset: "committed 5".
func (t *Explainer) fact(o history.OffsetMop) string {
	if o.Offset < 0 {
		return o.Kind.String() + " ?"
	}
	return fmt.Sprintf("%v %d", o.Kind, o.Offset)
}

// granted is the number that an operation was granted.
func granted(op *history.Op) string {
	switch {
	case op.F == history.Join && op.Generation > 0:
		return fmt.Sprintf(" generation %d", op.Generation)
	case op.F == history.InitProducer:
		return fmt.Sprintf(" epoch %d", op.ProducerEpoch)
	}
	return ""
}
