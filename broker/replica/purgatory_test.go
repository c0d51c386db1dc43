package replica

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

// above waits for a number to pass another.
type above struct{ n, than *int }

func (c above) ready(int) bool { return *c.n > *c.than }

func TestPurgatory(t *testing.T) {
	sim.RunHost(t, 1, func(h env.Host) {
		pg := &purgatory{host: h}
		var list watchers
		n := 0
		results := map[int]bool{}
		waitFor := func(than int, timeout time.Duration) {
			h.Go("waiter", func() {
				w := pg.begin(above{&n, &than}, 1)
				w.watch(&list)
				results[than] = w.sleep(timeout)
			})
		}
		waitFor(-1, time.Second) // holds already
		waitFor(0, time.Second)
		waitFor(1, time.Second)
		waitFor(2, time.Minute)
		h.Sleep(10 * time.Millisecond)
		assert.Equal(t, map[int]bool{-1: true}, results)

		n = 1
		list.check()
		list.check() // twice does no harm
		h.Sleep(10 * time.Millisecond)
		assert.Equal(t, map[int]bool{-1: true, 0: true}, results)

		h.Sleep(2 * time.Second)
		n = 2
		list.check()
		h.Sleep(10 * time.Millisecond)
		assert.Equal(t, map[int]bool{-1: true, 0: true, 1: false}, results, "1 ran out of time before")

		n = 3
		list.check()
		h.Sleep(10 * time.Millisecond)
		assert.True(t, results[2])
		assert.True(t, list.entries.Empty(), "no wait is left behind")
		assert.Len(t, pg.free, 3, "the first wait was used again")
	})
}

// An append that has begun is over before the role changes, and a later request
// waits for the new role.
func TestGate(t *testing.T) {
	sim.RunHost(t, 1, func(h env.Host) {
		g := &gate{host: h}
		var story []string
		h.Go("append", func() {
			g.enter()
			h.Sleep(2 * time.Second)
			story = append(story, "append ends")
			g.leave()
		})
		h.Sleep(time.Second)
		h.Go("role change", func() {
			g.lock()
			story = append(story, "role changes")
			h.Sleep(time.Second)
			story = append(story, "role changed")
			g.unlock()
		})
		h.Sleep(500 * time.Millisecond)
		g.enter()
		story = append(story, "next append")
		g.leave()
		assert.Equal(t, []string{"append ends", "role changes", "role changed", "next append"}, story)
	})
}
