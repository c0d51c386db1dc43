package serve

import (
	"fmt"
	"time"

	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/scenarios/cluster"
	"github.com/ktrial/ktrial/scenarios/nemesis"
	"github.com/ktrial/ktrial/sim/live"
	"github.com/ktrial/ktrial/workloads/fromwire"
)

// Recording is what clients of a served cluster did and saw, read off their
// connections where they enter it.
type Recording struct {
	History  *history.History
	Observer *fromwire.Observer
}

// recording is one under way. It is used in the world only.
type recording struct {
	recorder  *history.Recorder
	observer  *fromwire.Observer
	processes int64
	lives     int
}

func newRecording(now func() time.Duration) *recording {
	r := &recording{recorder: history.NewRecorder()}
	r.observer = fromwire.New(r.recorder, now, func() int64 { r.processes++; return r.processes - 1 })
	return r
}

// connected observes a connection. Which of them are one process's is not to be seen.
func (r *recording) connected(_, remote string) live.Observer {
	r.lives++
	return r.observer.Connect(remote, fmt.Sprint(remote, "-", r.lives))
}

// finish is the recording when all is over. What the clients asked to be promised is in it.
func (r *recording) finish(now time.Duration) Recording {
	r.observer.Finish()
	r.observer.NotePositions()
	r.recorder.Note(history.Event{Type: history.Unknown, Actor: "ktrial serve", F: history.Config, Text: r.observer.Claims.Text(), Time: now})
	return Recording{r.recorder.History(), r.observer}
}

// outside is the host on which TCP connections enter the world: to faults it is the one
// client that there is.
const outside = "gateway"

// checkPlan says what of a plan cannot be played in a served cluster.
func (c *served) checkPlan(plan faults.Plan) error {
	c.AddClients(outside)
	if err := plan.Check(c.Cluster); err != nil {
		return err
	}
	for i, t := range plan {
		switch group := faults.GroupOf(t.Fault); group {
		case faults.DiskGroup, faults.ClockGroup:
			return fmt.Errorf("plan: line %d: fault %q: the disks and clocks of a served cluster are the machine's own", i+1, t.Fault)
		}
		switch t.Fault.(type) {
		case faults.PowerOff, faults.TornWrite:
			return fmt.Errorf("plan: line %d: fault %q: the machine keeps its power, so that nothing would be lost: use kill", i+1, t.Fault)
		}
	}
	return nil
}

// play begins with the plan. Its times count from when all brokers serve.
func (c *served) play(plan faults.Plan) {
	c.nemesis = nemesis.New(c.Cluster, c.World().Source("nemesis"), false)
	var last time.Duration
	for _, t := range plan {
		last = max(last, t.At)
	}
	c.nemesis.Play(plan, last+1)
}

// readFaults reports what strikes, and what was skipped.
func readFaults(e *ledger.Entry, say func(string)) {
	switch e.Event.(type) {
	case *faults.Struck, *faults.Healed, *faults.Skipped:
		say(e.Event.Sentence())
	}
}

// addTopics says which topics the plan may name, by their partitions.
func (c *served) addTopics(partitions map[string]int32) {
	for name, n := range partitions { //det:allow into a map
		c.AddTopics(cluster.Topic{Name: name, Partitions: n})
	}
}
