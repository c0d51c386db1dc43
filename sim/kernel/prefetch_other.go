//go:build !amd64

package kernel

func prefetch(addr, lines uintptr) {}

func here() place { return place{} }
