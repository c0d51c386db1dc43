// Package prefetch asks the processor for memory that will be touched soon.
//
// A world of a hundred brokers has thousands of tasks, and between two turns of
// one of them the others have driven its stack out of every cache: fetching it
// back line by line costs more than the turn. But the event queue says which
// task comes next, so its memory can be asked for some events ahead and arrives
// meanwhile. A prefetch is a hint: it changes nothing that a program can see, it
// does not fault, and on machines for which it is not written here the
// functions do nothing.
package prefetch

import "unsafe"

const (
	lineSize = 64
	wordSize = 8
	// The frames that a task returns through when it goes on, and those of the
	// calls that it makes next, which lie below.
	returns, calls = 768, 256
	// What a switch of goroutines touches in the runtime's own record of one.
	record = 256
	// The next function of iter.Pull: its code, and what it closes over.
	closure = 24
)

// Object asks for all of *p.
func Object[T any](p *T) {
	lines(uintptr(unsafe.Pointer(p)), (unsafe.Sizeof(*p)+lineSize-1)/lineSize)
}

// Place is where a coroutine is parked: the part of its stack that is in use,
// the runtime's record of its goroutine, and the function that goes on there. The
// addresses are hints, too: the garbage collector may have moved the stack
// since. They stay readable all the same, for Go never unmaps its memory.
type Place struct{ stack, top, g, next uintptr }

// Here is where the caller is about to park. next is what resumes it.
func Here[F any](next *F) Place {
	stack, top, g := here()
	return Place{stack, top, g, *(*uintptr)(unsafe.Pointer(next))}
}

// Stack asks for the stack, and for what the switch to it touches.
func (p *Place) Stack() {
	if p.stack == 0 {
		return
	}
	lines(p.stack-calls, (calls+returns)/lineSize)
	lines(p.g, record/lineSize)
	lines(p.next, 1)
}

// Follow asks for what the stack points to. It takes each word of the frames
// for an address; the wrong ones cost little.
func (p *Place) Follow() {
	if p.stack != 0 {
		targets(p.next, closure/wordSize, p.g)
		targets(p.stack, min(returns, p.top-p.stack)/wordSize, p.g)
	}
}
