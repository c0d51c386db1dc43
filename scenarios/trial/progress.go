package trial

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/sim"
)

// Limits end a run that makes no progress. Zero values are the usual ones.
type Limits struct {
	// Events is how many events a run may have; 0: 50 million, and 300,000 more
	// for each second that the clients work. Standard has 1,200 in a second.
	Events uint64
	// PerInstant is how many steps may be taken without time passing; 0: 2
	// million.
	PerInstant uint64
	// Watchdog is how long, of wall time, one task may keep the thread; 0: a
	// minute. It decides no verdict: such a run has none.
	Watchdog time.Duration
	// Stuck is called by the watchdog, on another goroutine; nil: the program ends
	// with exit code 70.
	Stuck func(sim.Stuck)
}

func (l Limits) orDefault(s scenarios.Scenario) Limits {
	if l.Events == 0 {
		l.Events = 50_000_000 + 300_000*uint64(s.Workload.Lasts()/time.Second)
	}
	if l.Watchdog == 0 {
		l.Watchdog = time.Minute
	}
	if l.Stuck == nil {
		l.Stuck = func(stuck sim.Stuck) {
			fmt.Fprintf(os.Stderr, "ktrial: our own bug: scenario %s, %v\n%s\n", s.Name, stuck, stuck.Stacks)
			os.Exit(exitOurBug)
		}
	}
	return l
}

// exitOurBug is what the program ends with when a run has no verdict.
const exitOurBug = 70

// goesOn is the promise that a run itself makes progress.
const goesOn = "no task spins, and none waits for ever"

// makesNoProgress reports whether err is that of a world that gets nowhere, and
// adds it to the violations: the tasks of the stack and of the clients made it
// so, and the same seed does it again.
func (r *run) makesNoProgress(err error) bool {
	var live *sim.LivelockError
	var dead *sim.DeadlockError
	var proof []string
	switch {
	case errors.As(err, &live):
		r.violate(goesOn, fmt.Sprintf("no progress with seed %d: %v", r.o.Seed, live))
		for _, b := range live.Busy {
			proof = append(proof, b.String())
			proof = append(proof, framesOf(b.Stack)...)
		}
	case errors.As(err, &dead):
		r.violate(goesOn, fmt.Sprintf("no progress with seed %d: deadlock at %v: no task can run and no event is due; %s wait", r.o.Seed, dead.At, counted(len(dead.Waiters), "task")))
		for _, w := range dead.Waiters {
			proof = append(proof, w.String())
			proof = append(proof, framesOf(w.Stack)...)
		}
	default:
		return false
	}
	v := &r.violations[len(r.violations)-1]
	v.Proof = proof
	r.w.Tell(&PromiseBroken{v.Check, v.Message})
	return true
}

// framesOf are the innermost frames of a stack, without the path of packages.
func framesOf(stack string) (out []string) {
	const most = 4
	for line := range strings.Lines(stack) {
		if len(out) == most {
			break
		}
		//text:allow a stack of the Go runtime
		out = append(out, "at "+strings.TrimSpace(line[strings.LastIndexByte(line, '/')+1:]))
	}
	return out
}
