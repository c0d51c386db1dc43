package replica

import (
	"time"

	"github.com/ktrial/ktrial/internal/list"
	"github.com/ktrial/ktrial/sim/env"
)

// Purgatory is where requests wait for a condition: acks=all for the high
// watermark, a fetch for bytes, DeleteRecords for the followers. What a
// condition depends on are lists of watchers in a partition; the code that
// changes the condition checks its watchers. A waiting task sleeps until its
// condition holds or its time is up; it is not woken to look for itself.
type purgatory struct {
	host env.Host
	free []*wait
}

// condition is what a request waits for. ready says whether it holds now that
// something has changed in the i-th list, and does not block. What must be judged at
// that moment it keeps: by the time the task runs, more may have changed.
type condition interface{ ready(i int) bool }

// wait is one request in purgatory.
type wait struct {
	purgatory *purgatory
	cond      condition
	wake      env.Signal
	done      bool
	entries   []entry
}

// entry is a wait in one list of watchers.
type entry struct {
	wait  *wait
	index int
	item  list.Item[entry]
}

// watchers are the waits that depend on something, in the order in which they came.
type watchers struct{ entries list.List[entry] }

// begin prepares a wait that will watch n lists.
func (pg *purgatory) begin(cond condition, n int) *wait {
	var w *wait
	if last := len(pg.free) - 1; last >= 0 {
		w, pg.free = pg.free[last], pg.free[:last]
	} else {
		w = &wait{purgatory: pg, wake: pg.host.NewSignal("purgatory")}
	}
	w.cond, w.done = cond, false
	if cap(w.entries) < n {
		w.entries = make([]entry, 0, n)
	}
	return w
}

// watch has the wait judged when something changes in a list.
func (w *wait) watch(in *watchers) {
	w.entries = append(w.entries, entry{wait: w, index: len(w.entries)})
	p := &w.entries[len(w.entries)-1]
	p.item.Init(p)
	in.entries.Push(&p.item)
}

// sleep waits until the condition holds, at most timeout, and reports whether
// it did; without time it does not wait at all. The wait is over then and must not
// be used again. It blocks, if only for a moment: Kafka completes a waiting request on another thread, which others
// may precede, sometimes by a while.
func (w *wait) sleep(timeout time.Duration) bool {
	for i := range w.entries {
		if w.done = w.cond.ready(i); w.done {
			break
		}
	}
	waits := !w.done && timeout > 0
	if waits {
		w.wake.Wait(timeout)
	}
	done := w.done
	for i := range w.entries {
		w.entries[i].item.Remove()
	}
	pg := w.purgatory
	w.cond, w.entries = nil, w.entries[:0]
	pg.free = append(pg.free, w)
	switch {
	case !waits:
		pg.host.Yield("purgatory")
	case pg.host.Unlucky("purgatory is late"):
		pg.host.Sleep(time.Duration(pg.host.Rand().Int64N(int64(longestDelay))))
	}
	return done
}

// longestDelay bounds how late a request leaves purgatory in some runs.
const longestDelay = 20 * time.Millisecond

// check wakes the requests in the list whose condition holds.
func (l *watchers) check() {
	for p := l.entries.First(); p != nil; p = p.item.Next() {
		w := p.wait
		if !w.done && w.cond.ready(p.index) {
			w.done = true
			w.wake.Notify()
		}
	}
}
