package kernel

// prefetch asks for so many lines of the cache from addr on.
//
//go:noescape
func prefetch(addr, lines uintptr)

// prefetchAll asks for what so many words from addr on point to, where that is
// near like: in the same part of memory.
//
//go:noescape
func prefetchAll(addr, words, like uintptr)

// here is where the calling task stands: on its stack, which goes up to top, and
// its goroutine.
func here() (stack, top, gp uintptr)
