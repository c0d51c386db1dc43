package scenarios

import (
	"fmt"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/checkers/history"
)

// EachInputHasOneOutput: of each record of one topic there is one in the other that has
// its value as key, and there is no other one. It goes by what the auditor has read, which
// reads both topics from their starts to their ends when all is over.
//
// An input of which no client knows whether it was written may have no output: it may have
// been written after the workers had asked where their input ends.
func EachInputHasOneOutput(from, to Topic) checkers.Check {
	return checkers.Check{
		Name:  fmt.Sprintf("each record of %s has one in %s", from.Name, to.Name),
		About: fmt.Sprintf("a record of %s names the one of %s that it was made of; each is named once, and nothing else is", to.Name, from.Name),
		Run: func(h *history.History) checkers.Checked {
			o := outputs{h: h, from: partitionsOf(h, from), to: partitionsOf(h, to), acknowledged: map[string]bool{}, inputs: map[string]int{}, of: map[string][]int{}}
			h.Each(o.learn)
			return o.judge(to.Name)
		},
	}
}

func partitionsOf(h *history.History, t Topic) map[history.Key]bool {
	keys := map[history.Key]bool{}
	for p := range t.Partitions {
		if key, known := h.FindKey(history.Partition(t.Name, p)); known {
			keys[key] = true
		}
	}
	return keys
}

// auditor is the client of each workload that reads all topics when all is over.
const auditor = "auditor"

// outputs are the inputs and outputs that the auditor has read.
type outputs struct {
	h            *history.History
	from, to     map[history.Key]bool
	acknowledged map[string]bool // inputs
	inputs       map[string]int  // row of the poll that returned it
	order        []string        // of inputs
	of           map[string][]int
	named        []string // inputs that outputs name, in order
}

func (o *outputs) learn(op *history.Op) bool {
	for _, s := range op.Sends {
		if op.Type == history.OK && o.from[o.h.KeyOf(s.Rec)] {
			o.acknowledged[o.h.ValueOf(s.Rec).String()] = true
		}
	}
	if op.Type != history.OK || o.h.Client(op.ProcessNo) != auditor {
		return true
	}
	for _, p := range op.Polled {
		switch key := o.h.KeyOf(p.Rec); {
		case o.from[key]:
			value := o.h.ValueOf(p.Rec).String()
			if _, twice := o.inputs[value]; !twice {
				o.order = append(o.order, value)
			}
			o.inputs[value] = op.Row
		case o.to[key]:
			name := o.h.Attributes(o.h.Details(p.Details)).RecordKey.String()
			if o.of[name] == nil {
				o.named = append(o.named, name)
			}
			o.of[name] = append(o.of[name], op.Row)
		}
	}
	return true
}

func (o *outputs) judge(to string) (found checkers.Checked) {
	broken := func(value string, rows []int, format string, args ...any) {
		b := checkers.Broken{Message: fmt.Sprintf(format, args...), Values: []string{value}}
		for _, row := range rows {
			var op history.Op
			o.h.Read(row, &op)
			b.Ops, b.At = append(b.Ops, o.h.Index(row)), op.End
		}
		found.Broken = append(found.Broken, b)
	}
	for _, value := range o.order {
		found.Count++
		made := o.of[value]
		switch {
		case len(made) > 1:
			broken(value, made, "%s has %d records in %s, expected 1", value, len(made), to)
		case len(made) == 0 && o.acknowledged[value]:
			broken(value, []int{o.inputs[value]}, "%s was acknowledged, and has no record in %s", value, to)
		}
	}
	for _, name := range o.named {
		if _, read := o.inputs[name]; !read {
			broken(name, o.of[name], "%s has a record in %s, and is not in its input", name, to)
		}
	}
	return found
}
