package kernel

// prefetch asks for so many lines of the cache from addr on.
//
//go:noescape
func prefetch(addr, lines uintptr)

// here is where the calling task stands.
func here() place
