package client

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

// diary is a schedule that writes down what it does and when.
type diary struct {
	*schedule
	host  env.Host
	began time.Duration
	lines []string
	// then is called for each duty that is done.
	then func(d duty)
}

func newDiary(h env.Host, duties int) *diary {
	y := &diary{host: h, began: h.Uptime()}
	y.schedule = newSchedule(h, "diary", y.work)
	for range duties {
		y.add()
	}
	return y
}

func (y *diary) work(now time.Duration) {
	for d := range y.dueAt {
		if y.take(duty(d), now) {
			y.lines = append(y.lines, fmt.Sprintf("%v: %d", y.since(now), d))
			if y.then != nil {
				y.then(duty(d))
			}
		}
	}
}

// in is so long after the beginning.
func (y *diary) in(d time.Duration) time.Duration { return y.began + d }

// since is how long after the beginning a time is. A clock that drifts rounds to
// a nanosecond.
func (y *diary) since(at time.Duration) time.Duration { return (at - y.began).Round(time.Microsecond) }

// start starts the schedule's own task.
func (y *diary) start() {
	y.host.Go("diary", func() {
		for !y.closed {
			y.run()
			y.sleep()
		}
	})
}

func TestSchedule(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		name string
		do   func(h env.Host, y *diary)
		want []string
	}{
		{"what is due at a time is done then, once", func(h env.Host, y *diary) {
			y.at(0, y.in(10*ms))
			y.at(1, y.in(5*ms))
		}, []string{"5ms: 1", "10ms: 0"}},
		{"the earlier time counts", func(h env.Host, y *diary) {
			y.at(0, y.in(10*ms))
			y.at(0, y.in(20*ms))
			y.at(1, y.in(20*ms))
			y.at(1, y.in(10*ms))
		}, []string{"10ms: 0", "10ms: 1"}},
		{"what was due in the past is done at once", func(h env.Host, y *diary) {
			h.Sleep(7 * ms)
			y.at(0, y.in(3*ms))
		}, []string{"7ms: 0"}},
		{"soon is when it is run next", func(h env.Host, y *diary) {
			h.Sleep(ms) // the task sleeps by now
			y.soon(1)
			h.Sleep(3 * ms)
			y.run()
		}, []string{"4ms: 1"}},
		{"wake has the task run it", func(h env.Host, y *diary) {
			h.Sleep(4 * ms)
			y.soon(1)
			y.wake()
		}, []string{"4ms: 1"}},
		{"to wake a task before it sleeps is not lost", func(h env.Host, y *diary) {
			y.wake()
			y.soon(0)
			y.wake()
			h.Yield("the task starts")
		}, []string{"0s: 0"}},
		{"what is no longer due is not done", func(h env.Host, y *diary) {
			y.at(0, y.in(5*ms))
			y.clear(0)
			y.at(0, y.in(9*ms))
		}, []string{"9ms: 0"}},
		{"what comes of the work is done in the same run", func(h env.Host, y *diary) {
			y.then = func(d duty) {
				if d == 0 {
					y.soon(1)
					y.run() // does nothing
					y.lines = append(y.lines, "work goes on")
				}
			}
			y.soon(0)
			y.run()
		}, []string{"0s: 0", "work goes on", "0s: 1"}},
		{"what the work makes due later is done later", func(h env.Host, y *diary) {
			y.then = func(d duty) {
				if h.Uptime() < y.in(30*ms) {
					y.at(d, h.Uptime()+10*ms)
				}
			}
			y.at(0, y.in(10*ms))
		}, []string{"10ms: 0", "20ms: 0", "30ms: 0"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			sim.RunHost(t, 1, func(h env.Host) {
				y := newDiary(h, 2)
				y.start()
				test.do(h, y)
				h.Sleep(time.Second)
				assert.Equal(t, test.want, y.lines)
				assert.Empty(t, y.alarms)
				y.close()
			})
		})
	}
}

func TestSchedule_AfterAnAlarmTheTaskMayBlock(t *testing.T) {
	sim.RunHost(t, 1, func(h env.Host) {
		y := newDiary(h, 1)
		var calls []time.Duration
		y.afterAlarm = func() { calls = append(calls, h.Uptime()-y.began) }
		y.soon(0)
		y.run()
		y.at(0, y.in(5*time.Millisecond))
		h.Sleep(time.Second)
		assert.Equal(t, []time.Duration{5 * time.Millisecond}, calls, "not when another task ran the work")
	})
}

func TestSchedule_DoesNotSpin(t *testing.T) {
	sim.RunHost(t, 1, func(h env.Host) {
		y := newDiary(h, 1)
		y.then = func(d duty) { y.soon(d) }
		y.soon(0)
		assert.PanicsWithValue(t, fmt.Sprintf("client: diary: something is due again at %v after it was done 100000 times", y.began), y.run)
	})
}

// An alarm that is left would keep the process alive.
func TestSchedule_EndsWithItsAlarms(t *testing.T) {
	w := sim.NewWorld(sim.Config{Seed: 1})
	defer w.Close()
	host := w.Host("host")
	host.Start(func(h env.Host) {
		y := newDiary(h, 2)
		y.start()
		y.at(0, y.in(time.Hour))
		y.at(1, y.in(time.Minute))
		h.Sleep(time.Second)
		y.close()
	})
	require.NoError(t, w.Run(2*time.Second))
	assert.False(t, host.IsRunning())
}

// However duties are set and cleared, each is done when it is due, and once.
func TestSchedule_IsLikeATableOfTimes(t *testing.T) {
	const duties = 4
	rapid.Check(t, func(t *rapid.T) {
		sim.RunHost(t, rapid.Uint64().Draw(t, "seed"), func(h env.Host) {
			y := newDiary(h, duties)
			y.start()
			var want []string
			model := slices.Repeat([]time.Duration{env.Forever}, duties)
			done := func() {
				for d, at := range model {
					if at != env.Forever && at <= h.Uptime() {
						want = append(want, fmt.Sprintf("%v: %d", y.since(at), d))
						model[d] = env.Forever
					}
				}
			}
			for range rapid.IntRange(1, 30).Draw(t, "steps") {
				d := duty(rapid.IntRange(0, duties-1).Draw(t, "duty"))
				at := h.Uptime() + time.Duration(rapid.IntRange(0, 20).Draw(t, "in"))*time.Millisecond
				switch rapid.SampledFrom([]string{"at", "at", "soon", "clear", "sleep"}).Draw(t, "step") {
				case "at":
					y.at(d, at)
					model[d] = earlier(model[d], at)
				case "soon":
					y.soon(d)
					y.wake()
					model[d] = earlier(model[d], h.Uptime())
				case "clear":
					y.clear(d)
					model[d] = env.Forever
				case "sleep":
					h.Sleep(at - h.Uptime())
				}
				h.Sleep(time.Microsecond)
				done()
			}
			h.Sleep(time.Second)
			done()
			slices.Sort(want)
			got := slices.Sorted(slices.Values(y.lines))
			assert.Equal(t, want, got)
			y.close()
		})
	})
}
