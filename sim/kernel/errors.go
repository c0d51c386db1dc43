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
	Steps uint64
	Why   string
	Busy  []string // tasks that were about to run
}

func (e *LivelockError) Error() string {
	return fmt.Sprintf("livelock at %v: %s after %d steps; ready to run: %s",
		e.At, e.Why, e.Steps, strings.Join(e.Busy, ", "))
}

// frames makes a stack readable: one line per frame, function and place, no
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
		place := strings.TrimSpace(lines[i+1])
		if cut := strings.Index(place, " +0x"); cut > 0 {
			place = place[:cut]
		}
		fmt.Fprintf(&b, "%s %s\n", fn, place[strings.LastIndexByte(place, '/')+1:])
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
