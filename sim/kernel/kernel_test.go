package kernel_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/sim/kernel"
)

// note is an event that writes down when it happened.
type note struct {
	kernel.Event
	id   int
	book *[]int
}

func (n *note) Fire() { *n.book = append(*n.book, n.id) }

// The queue against the obvious model: a list sorted by time, then by when the
// event was scheduled.
func TestEventsHappenInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type planned struct {
			at  time.Duration
			seq int
			id  int
		}
		k := kernel.New(kernel.Config{})
		defer k.Close()
		var book []int
		var model []planned
		notes := make([]*note, rapid.IntRange(1, 300).Draw(t, "events"))
		for i := range notes {
			notes[i] = &note{id: i, book: &book}
			notes[i].Init(notes[i], 0)
		}
		seq := 0
		for range rapid.IntRange(0, 1000).Draw(t, "steps") {
			i := rapid.IntRange(0, len(notes)-1).Draw(t, "event")
			pending := slices.IndexFunc(model, func(p planned) bool { return p.id == i })
			if rapid.IntRange(0, 2).Draw(t, "what") == 0 {
				if got := k.Cancel(&notes[i].Event); got != (pending >= 0) {
					t.Fatalf("cancel of event %d: %v, pending at %d", i, got, pending)
				}
			} else {
				at := time.Duration(rapid.IntRange(0, 20).Draw(t, "at"))
				k.Schedule(at, &notes[i].Event)
				seq++
				model = append(model, planned{at, seq, i})
			}
			if pending >= 0 {
				model = slices.Delete(model, pending, pending+1)
			}
		}
		if err := k.Run(time.Second); err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(model, func(a, b planned) int {
			if a.at != b.at {
				return int(a.at - b.at)
			}
			return a.seq - b.seq
		})
		want := make([]int, len(model))
		for i, p := range model {
			want[i] = p.id
		}
		if !slices.Equal(want, book) {
			t.Fatalf("happened %v, expected %v", book, want)
		}
	})
}

func TestExponential(t *testing.T) {
	r := kernel.Stream(1, "test")
	const n, mean = 200_000, 10 * time.Millisecond
	var sum float64
	above := 0 // the mean, which 1/e of all are
	for range n {
		d := kernel.Exponential(r, mean)
		require.GreaterOrEqual(t, d, time.Duration(0))
		sum += float64(d)
		if d > mean {
			above++
		}
	}
	assert.InEpsilon(t, float64(mean), sum/n, 0.02)
	assert.InEpsilon(t, n/math.E, above, 0.02)
	assert.Zero(t, kernel.Exponential(r, 0))
}

// These numbers must never change: recorded seeds rest upon them.
func TestStreamsStayWhatTheyAre(t *testing.T) {
	r := kernel.Stream(42, "order of tasks")
	assert.Equal(t, []uint64{0x65bb7d2d30570879, 0x8d20efe57c7b22bc}, []uint64{r.Uint64(), r.Uint64()})
	assert.Equal(t, []time.Duration{364501953, 1655868530, 158264160}, []time.Duration{
		kernel.Exponential(r, time.Second), kernel.Exponential(r, time.Second), kernel.Exponential(r, time.Second),
	})
}

func BenchmarkQueue(b *testing.B) {
	for _, pending := range []int{1_000, 10_000, 100_000} {
		b.Run(sizes[pending], func(b *testing.B) {
			k := kernel.New(kernel.Config{})
			r := rand.New(rand.NewPCG(1, 2))
			left := b.N
			for range pending {
				e := &again{k: k, r: r, left: &left}
				e.Init(e, 0)
				k.Schedule(time.Duration(r.Int64N(5e6)), &e.Event)
			}
			b.ReportAllocs()
			b.ResetTimer()
			k.Run(1 << 62)
		})
	}
}

var sizes = map[int]string{1_000: "1k", 10_000: "10k", 100_000: "100k"}

// again is an event that schedules itself anew.
type again struct {
	kernel.Event
	k    *kernel.Kernel
	r    *rand.Rand
	left *int
}

func (e *again) Fire() {
	if *e.left--; *e.left <= 0 {
		e.k.Stop()
	}
	e.k.Schedule(e.k.Now()+time.Duration(e.r.Int64N(5e6)), &e.Event)
}

// BenchmarkSwitch is one task handing over to another and no event.
func BenchmarkSwitch(b *testing.B) {
	k := kernel.New(kernel.Config{MaxPerInstant: 1 << 62})
	p := k.NewProcess("p", 1, nil)
	b.ReportAllocs()
	p.Go("task", func() {
		for range b.N {
			k.Pass("bench")
		}
	})
	k.Run(1)
	k.Close()
}

// BenchmarkWake is an event that wakes one of many tasks at random. What grows is
// the way to memory: a task that has not run for a while has a cold stack.
func BenchmarkWake(b *testing.B) {
	for _, tasks := range []int{10, 100, 1_000, 10_000} {
		b.Run(fmt.Sprintf("tasks=%d", tasks), func(b *testing.B) {
			k := kernel.New(kernel.Config{})
			defer k.Close()
			p := k.NewProcess("p", 1, nil)
			signals := make([]*kernel.Signal, tasks)
			for i := range signals {
				signals[i] = p.NewSignal("turn")
				p.Go("task", func() {
					for {
						signals[i].Wait(kernel.Never)
					}
				})
			}
			r := rand.New(rand.NewPCG(1, 2))
			var wake func()
			left := b.N
			wake = func() {
				signals[r.IntN(tasks)].Notify()
				if left--; left == 0 {
					k.Stop()
				}
				k.At(k.Now()+1, wake)
			}
			k.At(2, wake)
			require.NoError(b, k.Run(1)) // all tasks begin to wait
			b.ResetTimer()
			require.NoError(b, k.Run(time.Hour))
		})
	}
}

func BenchmarkGo(b *testing.B) {
	k := kernel.New(kernel.Config{MaxPerInstant: 1 << 62})
	p := k.NewProcess("p", 1, nil)
	b.ReportAllocs()
	p.Go("task", func() {
		for range b.N {
			p.Go("child", func() {})
			k.Pass("bench")
		}
	})
	k.Run(1)
	k.Close()
}
