package kernel

import "unsafe"

// A world of a hundred brokers has thousands of tasks, and between two turns of
// one of them the others have driven its stack out of every cache: fetching it
// back costs more than the turn. But the queue says which task comes next, so
// its memory is asked for one event ahead and arrives meanwhile. A prefetch is a
// hint: it changes nothing that a program can see, it does not fault, and on
// machines without it the functions here do nothing.

// Prefetch asks for size bytes at p.
func Prefetch(p unsafe.Pointer, size uintptr) {
	prefetch(uintptr(p), (size+lineSize-1)/lineSize)
}

// place is where a task is parked: the part of its stack that is in use, the
// runtime's record of its goroutine, and the function that goes on there. The
// addresses are hints, too: the garbage collector may have moved the stack
// since. They stay readable all the same, for memory of Go is never unmapped.
type place struct{ stack, top, g, next uintptr }

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

// prefetch asks for the stack.
func (p *place) prefetch() {
	if p.stack == 0 {
		return
	}
	prefetch(p.stack-calls, (calls+returns)/lineSize)
	prefetch(p.g, record/lineSize)
	prefetch(p.next, 1)
}

// follow asks for what the stack points to. It takes each word of the frames
// for an address; the wrong ones cost little.
func (p *place) follow() {
	if p.stack != 0 {
		prefetchAll(p.next, closure/wordSize, p.g)
		prefetchAll(p.stack, min(returns, p.top-p.stack)/wordSize, p.g)
	}
}
