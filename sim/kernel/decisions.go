package kernel

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Decisions are what luck decides in a run, by name. Each draw belongs to a series, such as
// the packets of one connection in one direction, the syncs of a file, or what a function
// draws in a task, and is known by its number in the series. A series is finer than the
// stream that is drawn from: code that draws once more shifts its stream, and no series but
// its own.
//
// They are kept while a run goes on, and do not change it. A run that follows those of
// another run decides alike where it asks by the same name, and draws from its seed where
// that run was never asked.
type Decisions struct {
	follow *Recorded // nil: none
	series map[string]*Series
	sets   map[uint64]*Series // of the order of tasks, by what is ready
	texts  map[string]string
	now    func() time.Duration

	asked, followed uint64
	first           *Unrecorded
}

// Unrecorded is a decision that the run which is followed was never asked for.
type Unrecorded struct {
	Name   string
	Number int // in its series, from 0
	At     time.Duration
}

// Series are the draws of one name.
type Series struct {
	of       *Decisions
	name     string
	kept     []uint64
	recorded []uint64 // of the run that is followed
}

// NewDecisions keeps what a run decides, and follows another one if there is one.
func NewDecisions(follow *Recorded) *Decisions {
	return &Decisions{follow: follow, series: map[string]*Series{}, sets: map[uint64]*Series{}, texts: map[string]string{}, now: func() time.Duration { return 0 }}
}

// Followed says how many decisions the run was asked for, how many of them were those of the
// run that it follows, and which was the first that was not; nil: all were.
func (d *Decisions) Followed() (asked, followed uint64, first *Unrecorded) {
	return d.asked, d.followed, d.first
}

// Text decides something that is drawn as a whole, such as a plan. It returns the text of the
// run that is followed, or the one that was drawn.
func (d *Decisions) Text(name, drawn string) string {
	if d == nil {
		return drawn
	}
	d.asked++
	if d.follow != nil {
		if text, known := d.follow.Texts[name]; known {
			drawn = text
			d.followed++
		} else {
			d.miss(name, 0)
		}
	}
	d.texts[name] = drawn
	return drawn
}

// named is the series of that name.
func (d *Decisions) named(name string) *Series {
	s := d.series[name]
	if s == nil {
		s = &Series{of: d, name: name}
		if d.follow != nil {
			s.recorded = d.follow.Draws[name]
		}
		d.series[name] = s
	}
	return s
}

func (d *Decisions) miss(name string, number int) {
	if d.first == nil {
		d.first = &Unrecorded{name, number, d.now()}
	}
}

// next is the next draw of the series: the recorded one, or the one drawn from the seed.
func (s *Series) next(drawn uint64) uint64 {
	number := len(s.kept)
	s.of.asked++
	switch {
	case s.of.follow == nil:
	case number < len(s.recorded):
		drawn = s.recorded[number]
		s.of.followed++
	default:
		s.of.miss(s.name, number)
	}
	s.kept = append(s.kept, drawn)
	return drawn
}

// order decides which of the ready tasks goes next: the one that went when the same
// tasks were ready, as often before. The i-th was drawn.
func (d *Decisions) order(q *readyQueue, i int) int {
	var set uint64 // whatever their order
	for j := range q.n {
		set += scramble(q.at(j).identity())
	}
	s := d.sets[set]
	if s == nil {
		s = d.named(fmt.Sprintf("order of tasks %016x", set))
		d.sets[set] = s
	}
	drawn := q.identity(i)
	missed := d.first != nil
	chosen := s.next(drawn)
	if !missed && d.first != nil {
		d.first.Name = q.names()
	}
	for j := 0; chosen != drawn && j < q.n; j++ {
		if q.identity(j) == chosen {
			return j
		}
	}
	return i
}

// identity is that of a task in the queue, by its name; of several of a name the first has
// that of the name.
func (q *readyQueue) identity(i int) uint64 {
	id, before := q.at(i).identity(), uint64(0)
	for j := range i {
		if q.at(j).identity() == id {
			before++
		}
	}
	return id + before
}

// names says which tasks are ready.
func (q *readyQueue) names() string {
	var names []string
	for i := range q.n {
		names = append(names, q.at(i).String())
	}
	slices.Sort(names)
	return "order of " + strings.Join(names, " and ")
}

// identity is that of a task by its name.
func (t *Task) identity() uint64 {
	if t.named == 0 {
		t.named = hashString(t.String()) | 1<<63
	}
	return t.named
}

// Source is a stream of luck whose draws have names.
type Source struct {
	pcg   rand.PCG
	label string
	of    *Decisions // nil: none are kept
	now   *Series    // that the next draws belong to
	by    func() *Series
}

// Source is the stream of that label. Until it is told otherwise all its draws are one series.
func (k *Kernel) Source(seed uint64, label string) Source {
	s := Source{pcg: luckOf(seed, label), label: label, of: k.cfg.Decisions}
	if s.of != nil {
		s.now = s.of.named(label)
	}
	return s
}

// Stream is the stream of that label, in which draws have its name.
func (k *Kernel) Stream(seed uint64, label string) *rand.Rand {
	s := k.Source(seed, label)
	return rand.New(&s)
}

// Decisions are those of the run; nil: they are not kept.
func (k *Kernel) Decisions() *Decisions { return k.cfg.Decisions }

// Uint64 draws.
func (s *Source) Uint64() uint64 {
	drawn := s.pcg.Uint64()
	if s.of == nil {
		return drawn
	}
	if s.by != nil {
		s.now = s.by()
	}
	return s.now.next(drawn)
}

// Kept reports whether draws have names at all: if not, none need be made.
func (s *Source) Kept() bool { return s.of != nil }

// Under has the draws that follow belong to a series of that name, below the label.
func (s *Source) Under(name string) {
	if s.of != nil {
		s.now = s.of.named(s.label + ": " + name)
	}
}

// Of has the draws that follow belong to a series; nil: that is not known, as when none are kept.
func (s *Source) Of(series *Series) {
	if series != nil {
		s.now = series
	}
}

// NewSeries is a series for Source.Of; nil when decisions are not kept.
func (k *Kernel) NewSeries(name string) *Series {
	if k.cfg.Decisions == nil {
		return nil
	}
	return k.cfg.Decisions.named(name)
}

// site is where a task draws: its name, and the calls that lead to the draw.
type site struct {
	task  string
	calls [4]uintptr
}

// BySite has each draw belong to a series of the task and the function that draw.
func (s *Source) BySite(k *Kernel) {
	if s.of == nil {
		return
	}
	known := map[site]*Series{}
	s.by = func() *Series {
		var at site
		if k.current != nil {
			at.task = k.current.name
		}
		runtime.Callers(3, at.calls[:])
		series := known[at]
		if series == nil {
			series = s.of.named(s.label + ": " + at.task + ": " + drawer(at.calls[:]))
			known[at] = series
		}
		return series
	}
}

// drawer is the function that draws: the first that is none of math/rand.
func drawer(calls []uintptr) string {
	frames := runtime.CallersFrames(calls)
	for {
		f, more := frames.Next()
		//text:allow the names of the Go runtime
		if !strings.HasPrefix(f.Function, "math/rand/") || !more {
			return f.Function
		}
	}
}
