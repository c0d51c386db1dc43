// Package timeline holds state that is folded from a log whose end may still be
// lost. Each Map and Value of a Timeline can be read at two cuts: as written, which
// is the newest, and as committed, which is as far as the log's high watermark.
// What was written and not committed can be reverted.
//
// The log of changes grows with what is not committed, and with nothing else.
package timeline

import (
	"fmt"

	"github.com/ktrial/ktrial/broker/kafka"
)

// Cut says which state is read.
type Cut uint8

const (
	// Written is the newest state.
	Written Cut = iota
	// Committed is the state of the log below its high watermark.
	Committed
)

// Timeline is the log of changes of some Maps and Values.
type Timeline struct {
	// changes that are not committed, in the order in which they were made.
	// Invariant: offsets do not fall.
	changes []change
	// written is one past the last record that was applied; committed is one past
	// the last that is committed. It is ahead while a log is loaded, whose high
	// watermark is known before its records are applied.
	written, committed kafka.Offset

	at   kafka.Offset // of the record that makes changes now
	open bool
}

// change can be settled, in the order of changes, or taken back, in the reverse.
type change struct {
	at kafka.Offset
	of changed
}

type changed interface {
	commitOldest()
	revertNewest()
}

// New is a timeline that begins with nothing: the log starts at offset 0.
func New() *Timeline { return &Timeline{} }

// Begin says that what changes until End is the work of the record at that offset.
// Only the runtime, or a test instead of it, calls it.
func (t *Timeline) Begin(at kafka.Offset) {
	if t.open || at < t.written {
		panic(fmt.Sprintf("timeline: begin the record at offset %d: expected %d or more, and none that is open (open: %v)", at, t.written, t.open))
	}
	t.at, t.open = at, true
	t.written = at + 1
}

// End ends what Begin began.
func (t *Timeline) End() { t.open = false }

// Written is the end offset of what was applied.
func (t *Timeline) Written() kafka.Offset { return t.written }

// Committed is the end offset of what is committed.
func (t *Timeline) Committed() kafka.Offset { return t.committed }

// Pending is how many changes are not committed.
func (t *Timeline) Pending() int { return len(t.changes) }

// Advance says that the log ends at that offset, though nothing changed.
func (t *Timeline) Advance(end kafka.Offset) { t.written = max(t.written, end) }

// Commit says that all records below upTo are committed. It never falls.
func (t *Timeline) Commit(upTo kafka.Offset) {
	if upTo <= t.committed {
		return
	}
	n := 0
	for ; n < len(t.changes) && t.changes[n].at < upTo; n++ {
		t.changes[n].of.commitOldest()
	}
	rest := copy(t.changes, t.changes[n:])
	clear(t.changes[rest:])
	t.changes = t.changes[:rest]
	t.committed = upTo
}

// Revert takes back all changes of the records at or after that offset.
func (t *Timeline) Revert(to kafka.Offset) {
	if to < t.committed {
		panic(fmt.Sprintf("timeline: revert to offset %d: below %d is committed", to, t.committed))
	}
	for n := len(t.changes); n > 0 && t.changes[n-1].at >= to; n-- {
		t.changes[n-1].of.revertNewest()
		t.changes[n-1] = change{}
		t.changes = t.changes[:n-1]
	}
	t.written = min(t.written, to)
	t.open = false
}

// record keeps a change that is about to be made. It reports false if the change
// is committed already, so that what was before need not be kept.
func (t *Timeline) record(of changed) bool {
	if !t.open {
		panic("timeline: a change that no record makes: logged state changes in Apply only")
	}
	if t.at < t.committed {
		return false
	}
	t.changes = append(t.changes, change{t.at, of})
	return true
}

// OnRevert has undo run if the record that makes changes now is taken back: for what
// changed beside the timeline because of it.
func (t *Timeline) OnRevert(undo func()) { t.record(onRevert(undo)) }

type onRevert func()

func (onRevert) commitOldest()      {}
func (undo onRevert) revertNewest() { undo() }

// Value is a single value on a timeline.
type Value[V any] struct {
	t       *Timeline
	now     V
	earlier []V // before each change that is not committed, oldest first
}

// NewValue makes a value that begins as initial.
func NewValue[V any](t *Timeline, initial V) *Value[V] { return &Value[V]{t: t, now: initial} }

// Get is the value as written.
func (v *Value[V]) Get() V { return v.now }

// GetCommitted is the value as committed.
func (v *Value[V]) GetCommitted() V { return v.GetAt(Committed) }

// GetAt is the value at a cut.
func (v *Value[V]) GetAt(cut Cut) V {
	if cut == Committed && len(v.earlier) > 0 {
		return v.earlier[0]
	}
	return v.now
}

// Set changes the value.
func (v *Value[V]) Set(to V) {
	if v.t.record(v) {
		v.earlier = append(v.earlier, v.now)
	}
	v.now = to
}

func (v *Value[V]) commitOldest() { v.earlier = dropFirst(v.earlier) }

func (v *Value[V]) revertNewest() {
	last := len(v.earlier) - 1
	v.now = v.earlier[last]
	v.earlier = v.earlier[:last]
}

// dropFirst keeps the memory, and nothing that it refers to.
func dropFirst[T any](list []T) []T {
	n := copy(list, list[1:])
	clear(list[n:])
	return list[:n]
}
