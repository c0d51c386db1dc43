package reports

import (
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/ktrial/ktrial/checkers/history"
)

// Timeline is a run as one picture shows it: what clients did in each second,
// what struck the cluster meanwhile, and what the cluster did about it.
type Timeline struct {
	Run     *Run
	About   string // of the scenario
	Seconds []Second
	Marks   []Mark
}

// Second is what clients did in a second of virtual time.
type Second struct {
	// Records that were sent; acknowledged; given to a consumer for the first
	// time.
	Sent, Acknowledged, Delivered int
	// How long the records that were sent in this second took to their first
	// consumer, if any came there.
	Arrived       int
	P50, P99, Max time.Duration
}

// Mark is a moment at which the cluster changed, or a phase of the run began.
type Mark struct {
	At   Seconds
	Kind MarkKind
	Text string // of a phase
}

// MarkKind says how.
type MarkKind uint8

// The kinds of marks.
const (
	NewController MarkKind = iota // another controller became active
	NewLeader                     // a partition got another leader
	NoLeader                      // a partition was left without one
	ISRShrank
	ISRGrew
	Phase // of the run
)

// slowest is the longest time that is distinguished: latency above counts as this.
const slowest = time.Hour

// NewTimeline adds up a history.
func NewTimeline(run *Run, about string, h *history.History, marks []Mark) *Timeline {
	t := &Timeline{Run: run, About: about, Marks: marks, Seconds: make([]Second, int(run.VirtualSeconds)+1)}
	sent := make([]time.Duration, h.Records()) // when; 0: not yet
	given := make([]time.Duration, h.Records())
	h.Each(func(op *history.Op) bool {
		for _, s := range op.Sends {
			t.at(op.Start).Sent++
			sent[s.Rec] = op.Start
			if op.Type == history.OK {
				t.at(op.End).Acknowledged++
			}
		}
		for _, p := range op.Polled {
			if given[p.Rec] == 0 || op.End < given[p.Rec] {
				given[p.Rec] = op.End
			}
		}
		return true
	})
	took := make([][]time.Duration, len(t.Seconds))
	for rec, at := range given {
		if at == 0 {
			continue
		}
		t.at(at).Delivered++
		if from := sent[rec]; from > 0 {
			took[t.second(from)] = append(took[t.second(from)], at-from)
		}
	}
	h10 := hdrhistogram.New(1, slowest.Microseconds(), 3)
	for i, times := range took {
		t.Seconds[i].measure(h10, times)
	}
	return t
}

// measure records the percentiles of times. The histogram is empty before and
// after.
func (s *Second) measure(h *hdrhistogram.Histogram, times []time.Duration) {
	if s.Arrived = len(times); s.Arrived == 0 {
		return
	}
	for _, d := range times {
		if err := h.RecordValue(max(1, min(d, slowest).Microseconds())); err != nil {
			panic("reports: latency: " + err.Error())
		}
	}
	at := func(quantile float64) time.Duration {
		return time.Duration(h.ValueAtQuantile(quantile)) * time.Microsecond
	}
	s.P50, s.P99, s.Max = at(50), at(99), slices.Max(times)
	h.Reset()
}

func (t *Timeline) second(at time.Duration) int {
	return min(int(at/time.Second), len(t.Seconds)-1)
}

func (t *Timeline) at(at time.Duration) *Second { return &t.Seconds[t.second(at)] }
