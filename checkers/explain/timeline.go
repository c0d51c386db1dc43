package explain

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"

	"github.com/ktrial/ktrial/checkers/history"
)

// Timeline writes a page of HTML that draws the operations with these
// indexes, client by client, and, by porcupine, how far an order of them can
// be found in which each log only grows. It is for the few operations of an
// instance: the search is exponential in how many overlap.
func Timeline(out io.Writer, h *history.History, ops []int64) error {
	const most = 20
	if len(ops) > most {
		return fmt.Errorf("timeline: %d operations, expected at most %d", len(ops), most)
	}
	wanted := map[int64]bool{}
	for _, op := range ops {
		wanted[op] = true
	}
	var drawn []porcupine.Operation
	for row := range h.Len() {
		if !wanted[h.Index(row)] {
			continue
		}
		op := &timelineOp{h: h}
		h.Read(row, &op.Op)
		drawn = append(drawn, porcupine.Operation{ClientId: int(op.ProcessNo), Input: op, Output: op, Call: op.Invoked, Return: op.Completed})
	}
	_, info := porcupine.CheckOperationsVerbose(timelineModel, drawn, 0)
	return porcupine.Visualize(timelineModel, info, out)
}

type timelineOp struct {
	h *history.History
	history.Op
}

// at is a record at an offset of a partition.
type at struct {
	key    history.Key
	offset int64
	rec    history.Rec
}

// timelineModel is the state of all logs: which records are at which offsets, in
// the order in which they came there.
var timelineModel = porcupine.Model{
	Init: func() any { return []at(nil) },
	Step: func(state, input, _ any) (bool, any) {
		op, logs := input.(*timelineOp), state.([]at)
		for _, s := range op.Sends {
			if s.Offset < 0 || op.Type != history.OK {
				continue
			}
			entry := at{op.h.KeyOf(s.Rec), s.Offset, s.Rec}
			if slices.ContainsFunc(logs, func(a at) bool { return a.key == entry.key && a.offset == entry.offset }) {
				return false, state
			}
			logs = append(logs[:len(logs):len(logs)], entry)
		}
		for _, p := range op.Polled {
			if p.Offset >= 0 && !slices.Contains(logs, at{op.h.KeyOf(p.Rec), p.Offset, p.Rec}) {
				return false, state
			}
		}
		return true, logs
	},
	Equal:             func(a, b any) bool { return slices.Equal(a.([]at), b.([]at)) },
	DescribeOperation: func(input, _ any) string { return input.(*timelineOp).describe() },
	DescribeState:     func(state any) string { return fmt.Sprintf("%d records", len(state.([]at))) },
}

// entry names a record and its position: " orders/0@17=tea;".
func (op *timelineOp) entry(rec history.Rec, offset int64) string {
	return fmt.Sprintf(" %s@%d=%s;", op.h.Keys()[op.h.KeyOf(rec)], offset, op.h.ValueOf(rec))
}

func (op *timelineOp) describe() string {
	var parts []string
	for _, s := range op.Sends {
		parts = append(parts, "send"+op.entry(s.Rec, s.Offset))
	}
	for _, p := range op.Polled {
		parts = append(parts, "poll"+op.entry(p.Rec, p.Offset))
	}
	if len(parts) == 0 {
		parts = append(parts, op.F.String()+op.Name)
	}
	return strings.Join(parts, " ") + " " + op.Type.String()
}
