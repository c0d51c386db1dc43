package prefetch

// lines asks for n lines of the cache from addr on. n is not 0.
//
//go:noescape
func lines(addr, n uintptr)

// targets asks for what n words from addr on point to, where that is near like:
// in the same part of memory.
//
//go:noescape
func targets(addr, n, like uintptr)

// here is where the caller stands: on its stack, which goes up to top, and its
// goroutine.
func here() (stack, top, gp uintptr)
