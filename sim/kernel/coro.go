package kernel

import (
	"iter"
	"runtime"
	"runtime/debug"
)

// coro is a coroutine that runs one task after the other. This file is the
// only one that knows how coroutines are made.
type coro struct {
	task  *Task
	next  func() (struct{}, bool)
	quit  func()
	yield func(struct{}) bool
}

func newCoro() *coro {
	c := &coro{}
	c.next, c.quit = iter.Pull(func(yield func(struct{}) bool) {
		c.yield = yield
		for {
			c.task.run()
			c.task = nil
			if !yield(struct{}{}) {
				return
			}
		}
	})
	return c
}

// resume runs the task until it parks or ends.
func (c *coro) resume() { c.next() }

// park returns to the caller of resume. If the coroutine is to be unwound, it
// does not return: the deferred calls of the task run and it is gone.
func (c *coro) park() {
	if !c.yield(struct{}{}) {
		runtime.Goexit()
	}
}

// stop ends an idle coroutine.
func (c *coro) stop() { c.quit() }

// unwind ends a parked task. Goexit inside a coroutine ends the goroutine that
// resumed it as well, so that is one made for the purpose.
func (c *coro) unwind() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.quit()
	}()
	<-done
}

// exit ends the running task from the inside.
func exit() { runtime.Goexit() }

func stack() []byte { return debug.Stack() }
