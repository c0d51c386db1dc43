package checkers

import (
	"fmt"

	"github.com/ktrial/ktrial/checkers/history"
)

// OneOutput is the rule of what makes one record of another: of each record of one topic there is one in the other that
// has its value as key, and there is no other one.
//
// A record must have one when it was acknowledged, and lies below what every group that commits offsets of its partition
// has committed, once the other topic was read to its end. An input of which no client knows whether it was written may
// have none. Where a value is in the input twice, it says nothing.
func OneOutput(from, to string) Check {
	return Check{
		Name:   fmt.Sprintf("each record of %s has one in %s", from, to),
		About:  fmt.Sprintf("a record of %s names the one of %s that it was made of; each is named once, and nothing else is", to, from),
		Config: fmt.Sprintf("one-output=%s:%s", from, to),
		Run: func(h *history.History) Checked {
			o := outputs{
				h: h, to: to, ins: newFromStart(h, from), outs: newFromStart(h, to),
				inputs: map[string]*input{}, made: map[string][]int{}, seen: map[spot]bool{}, reached: map[groupPart]int64{},
			}
			h.Each(o.learn)
			return o.judge()
		},
	}
}

// spot is where a record is.
type spot struct {
	key    history.Key
	offset int64
}

// groupPart is a partition of a group.
type groupPart struct {
	group string
	key   history.Key
}

// input is a record of which another one is made.
type input struct {
	value        string
	key          history.Key
	offset       int64 // history.NoOffset: it was not read
	row          int   // of the poll
	sends        int   // that may have taken effect
	acknowledged bool
	several      bool // it is at several offsets, or in several partitions
}

// outputs are the inputs and outputs that clients know of.
type outputs struct {
	h         *history.History
	to        string
	ins, outs *fromStart
	inputs    map[string]*input // by value
	order     []*input
	made      map[string][]int // rows of the polls, by the value that outputs name
	named     []string         // in order
	seen      map[spot]bool    // outputs
	unnamed   bool             // some output has no key that was told
	reached   map[groupPart]int64
}

func (o *outputs) learn(op *history.Op) bool {
	o.ins.learn(o.h, op)
	o.outs.learn(o.h, op)
	for _, s := range op.Sends {
		if key := o.h.KeyOf(s.Rec); o.ins.of[key] && op.Type != history.Failed {
			in := o.input(key, s.Rec)
			in.sends++
			in.acknowledged = in.acknowledged || op.Type == history.OK
		}
	}
	if op.Type != history.OK {
		return true
	}
	for _, p := range op.Polled {
		key := o.h.KeyOf(p.Rec)
		switch {
		case o.ins.of[key]:
			o.ins.reading(op, key, p.Offset)
			in := o.input(key, p.Rec)
			in.several = in.several || in.offset >= 0 && in.offset != p.Offset
			in.offset, in.row = p.Offset, op.Row
		case o.outs.of[key]:
			o.outs.reading(op, key, p.Offset)
			o.output(op, key, p)
		}
	}
	for _, m := range op.Offsets {
		if (m.Kind == history.MopCommit || m.Kind == history.MopCommitted) && o.ins.of[m.Key] && op.Group != "" {
			at := groupPart{op.Group, m.Key}
			o.reached[at] = max(o.reached[at], m.Offset)
		}
	}
	return true
}

// input is the one with a record's value.
func (o *outputs) input(key history.Key, rec history.Rec) *input {
	value := o.h.ValueOf(rec).String()
	in := o.inputs[value]
	if in == nil {
		in = &input{value: value, key: key, offset: history.NoOffset}
		o.inputs[value] = in
		o.order = append(o.order, in)
	}
	in.several = in.several || in.key != key
	return in
}

func (o *outputs) output(op *history.Op, key history.Key, p history.Polled) {
	at := spot{key, p.Offset}
	switch {
	case o.seen[at]:
		return
	case p.Details == 0 || !o.h.Details(p.Details).HasKey():
		o.unnamed = true
		return
	}
	o.seen[at] = true
	name := o.h.Attributes(o.h.Details(p.Details)).RecordKey.String()
	if o.made[name] == nil {
		o.named = append(o.named, name)
	}
	o.made[name] = append(o.made[name], op.Row)
}

// done is the offset below which all groups have committed a partition.
func (o *outputs) done() map[history.Key]int64 {
	done := map[history.Key]int64{}
	for at, offset := range o.reached {
		if before, some := done[at.key]; !some || offset < before {
			done[at.key] = offset
		}
	}
	return done
}

func (o *outputs) judge() (found Checked) {
	broken := func(value string, rows []int, format string, args ...any) {
		b := Broken{Message: fmt.Sprintf(format, args...), Values: []string{value}}
		for _, row := range rows {
			var op history.Op
			o.h.Read(row, &op)
			b.Ops, b.At = append(b.Ops, o.h.Index(row)), op.End
		}
		found.Broken = append(found.Broken, b)
	}
	done, allOut, allIn := o.done(), o.outs.whole(o.h) && !o.unnamed, o.ins.whole(o.h)
	for _, in := range o.order {
		made := o.made[in.value]
		owed := allOut && in.acknowledged && in.offset >= 0 && in.offset < done[in.key]
		if in.several || in.sends > 1 || len(made) == 0 && !owed {
			continue
		}
		found.Count++
		switch {
		case len(made) > 1:
			broken(in.value, made, "%s has %d records in %s, expected 1", in.value, len(made), o.to)
		case len(made) == 0:
			broken(in.value, []int{in.row}, "%s was acknowledged, and has no record in %s", in.value, o.to)
		}
	}
	for _, name := range o.named {
		if in := o.inputs[name]; allIn && (in == nil || in.offset < 0) {
			broken(name, o.made[name], "%s has a record in %s, and is not in its input", name, o.to)
		}
	}
	return found
}
