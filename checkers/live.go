package checkers

import (
	"time"

	"github.com/ktrial/ktrial/checkers/detect"
	"github.com/ktrial/ktrial/checkers/explain"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/checkers/permit"
)

// Live judges a history while it is recorded, so that a run can stop at the
// first violation that is certain, and concludes when it is over: each operation
// is looked at once.
//
// It is a history.Recorder's Watch:
//
//	live := checkers.NewLive(recorder.History(), expect)
//	recorder.Watch = live.Operation
//	...
//	judgement := live.Conclude(checkers.Options{Expect: expect})
//
// Certain is what no later event can excuse and no expectation may permit. Most
// of what is wrong is known only when all is over.
type Live struct {
	// First is what was found first; nil: nothing yet.
	First *Found

	h      *history.History
	d      *detect.Detection
	strict map[Anomaly]bool
	now    time.Duration
	open   []int // by process: row+1 of the operation under way
}

// Found is a certain violation.
type Found struct {
	Anomaly Anomaly
	Violation
}

// Violation is a broken promise with its evidence.
type Violation struct {
	Message string        `json:"message"`
	Ops     []int64       `json:"ops"` // index of the fewest operations that prove it
	At      time.Duration `json:"at"`  // virtual time at which it could be known
}

// NewLive judges a history that is empty still, under these expectations.
func NewLive(h *history.History, e Expectations) *Live {
	l := &Live{h: h, d: detect.New(h), strict: map[Anomaly]bool{}}
	l.d.Log().FromTheStart = e.Detecting().FromTheStart
	l.d.EmitCertain(l.certain)
	l.Expect(e)
	return l
}

// Expect changes what is expected, as when a fault happens that permits more.
func (l *Live) Expect(e Expectations) {
	for _, info := range Anomalies {
		l.strict[info.Anomaly] = !e.May(info.Anomaly)
	}
}

// Operation takes in an operation that begins or ends.
func (l *Live) Operation(op *history.Op) {
	l.now = op.End
	for int(op.ProcessNo) >= len(l.open) {
		l.open = append(l.open, 0)
	}
	if op.Type == history.Invoke {
		l.abandon(int(op.ProcessNo))
		l.open[op.ProcessNo] = op.Row + 1
		l.d.Begin(op)
		return
	}
	if op.F.OfListener() && op.Invoked == op.Completed { // beside what is under way
		l.d.Operation(op)
		return
	}
	l.open[op.ProcessNo] = 0
	l.d.Operation(op)
}

// abandon takes in the operation that a process has under way, of which no
// client learns how it ended.
func (l *Live) abandon(process int) {
	if row := l.open[process]; row > 0 {
		var op history.Op
		l.h.Read(row-1, &op)
		l.d.Operation(&op)
		l.open[process] = 0
	}
}

// certain takes a finding; words are found only for the first.
func (l *Live) certain(f detect.Finding) {
	if l.First != nil || f.Undecided || !l.strict[f.Anomaly] || l.d.Log().Deletes() && permit.MayBeDeleted(f.Anomaly) {
		return
	}
	in := explain.New(l.d.Log(), []*detect.Finding{&f}).Explain(&f)
	l.First = &Found{f.Anomaly, Violation{in.Message, in.Ops, l.now}}
}

// Conclude judges the whole history, when nothing more is recorded.
func (l *Live) Conclude(o Options) *Judgement {
	for process := range l.open {
		l.abandon(process)
	}
	return conclude(l.d, l.h, o, nil)
}
