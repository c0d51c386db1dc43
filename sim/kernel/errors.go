package kernel

import (
	"fmt"
	"strings"
	"time"
)

// PanicError is a panic inside a task: a bug of the code under test, or ours.
type PanicError struct {
	Process     string
	Incarnation int
	Task        string
	At          time.Duration
	Value       any
	Stack       string
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("panic in %s (incarnation %d), task %s, at %v: %v\n%s",
		e.Process, e.Incarnation, e.Task, e.At, e.Value, frames([]byte(e.Stack), machinery))
}

// DeadlockError says that nothing can happen any more while tasks wait.
type DeadlockError struct {
	At      time.Duration
	Waiters []Waiter
}

func (e *DeadlockError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "deadlock at %v: no task can run and no event is due; %d tasks wait", e.At, len(e.Waiters))
	for _, w := range e.Waiters {
		fmt.Fprintf(&b, "\n  %s", w)
		for line := range strings.Lines(w.Stack) {
			fmt.Fprintf(&b, "\n      %s", strings.TrimRight(line, "\n"))
		}
	}
	return b.String()
}

// LivelockError says that the world is busy and gets nowhere.
type LivelockError struct {
	At    time.Duration
	Steps uint64 // or calls of a task to its host, as Why says
	Why   string
	Busy  []Busy // the busiest tasks, busiest first
}

// Busy is a task that was busy when the world got nowhere.
type Busy struct {
	Process, Task string
	Turns, Of     uint64 // its share of the last turns; 0, 0: it never gave up its turn
	Stack         string
}

// String is "producer-1/main took 9,990 of the last 10,000 turns, at
// workloads.spin spin.go:7".
func (b Busy) String() string {
	s := b.Process + "/" + b.Task
	if b.Of > 0 {
		s += fmt.Sprintf(" took %d of the last %d turns", b.Turns, b.Of)
	}
	if at := b.Where(); at != "" {
		s += ", at " + at
	}
	return s
}

// Where is the innermost frame of its own code: "workloads.spin spin.go:7".
func (b Busy) Where() string {
	at, _, _ := strings.Cut(b.Stack, "\n")
	return at[strings.LastIndexByte(at, '/')+1:]
}

func (e *LivelockError) Error() string {
	busy := "no task runs, one event follows the other"
	for i, b := range e.Busy {
		if i > 0 {
			busy += "; " + b.String()
		} else {
			busy = b.String()
		}
	}
	return fmt.Sprintf("livelock at %v: %s: %s", e.At, e.Why, busy)
}

// frames makes a stack readable: one line per frame, function and location, no
// addresses, and nothing of what skip calls machinery.
func frames(dump []byte, skip func(fn string) bool) string {
	lines := strings.Split(strings.TrimSpace(string(dump)), "\n")
	var b strings.Builder
	for i := 1; i+1 < len(lines); i += 2 {
		fn := lines[i]
		if strings.HasPrefix(fn, "created by") {
			break
		}
		if cut := strings.LastIndexByte(fn, '('); cut > 0 {
			fn = fn[:cut]
		}
		if skip(fn) {
			continue
		}
		location := strings.TrimSpace(lines[i+1])
		if cut := strings.Index(location, " +0x"); cut > 0 {
			location = location[:cut]
		}
		fmt.Fprintf(&b, "%s %s\n", fn, location[strings.LastIndexByte(location, '/')+1:])
	}
	return b.String()
}

// machinery is what every task stands on.
func machinery(fn string) bool {
	return strings.HasPrefix(fn, "runtime") || strings.HasPrefix(fn, "iter.") || fn == "panic" ||
		strings.HasPrefix(fn, module+"kernel.")
}

// simulator is also what lies between a blocking call and the kernel.
func simulator(fn string) bool {
	return machinery(fn) || strings.HasPrefix(fn, strings.TrimSuffix(module, "/")+".") ||
		strings.HasPrefix(fn, module+"network.") || strings.HasPrefix(fn, module+"disk.")
}

const module = "github.com/ktrial/ktrial/sim/"
