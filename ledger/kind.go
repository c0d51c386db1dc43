package ledger

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
)

// Kind describes a type of events.
type Kind struct {
	Name   string // as the trace has it: became-leader
	About  string // in a line
	Weight Weight

	number int // counted from 1
	zero   func() Event
	decode func(line []byte) (Event, error)
	probes []*Probe // that events of this kind may reach
}

var (
	kinds    = map[string]*Kind{}
	byNumber []*Kind
)

// Declare describes the events of a type. It is called once for each, where
// the type stands, as the initial value of a package's variable.
func Declare[T any, E interface {
	*T
	Event
}](name, about string, weight Weight) *Kind {
	zero := func() Event { return E(new(T)) }
	decode := func(line []byte) (Event, error) {
		e := E(new(T))
		return e, json.Unmarshal(line, e)
	}
	return declare(&Kind{Name: name, About: about, Weight: weight, zero: zero, decode: decode})
}

func declare(k *Kind) *Kind {
	if kinds[k.Name] != nil {
		panic(fmt.Sprintf("ledger: events of kind %q are declared twice", k.Name))
	}
	kinds[k.Name] = k
	byNumber = append(byNumber, k)
	k.number = len(byNumber)
	return k
}

// Kinds are all that were declared, by name.
func Kinds() []*Kind {
	var out []*Kind
	for _, k := range kinds {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b *Kind) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// New is an event of this kind with nothing in it.
func (k *Kind) New() Event { return k.zero() }

// Said is a line that a program says in its own words. Only people read it:
// whatever a part of ktrial wants to know is an event of its own.
type Said struct {
	Text string `json:"text"`
}

// Say is a line, formatted as by fmt.Sprintf if there are arguments.
func Say(format string, args ...any) *Said {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	return &Said{Text: format}
}

var said = Declare[Said]("said", "a program says something in its own words", Notable)

func (e *Said) Kind() *Kind      { return said }
func (e *Said) Sentence() string { return e.Text }
