// Package slab hands out memory for small values that are needed all the time and
// soon forgotten, many from one piece, which costs far less than one by one.
package slab

// piece is how many values lie in one piece of memory. A piece is freed when none
// of them is in use.
const piece = 64

// Slab hands out memory for Ts. The zero value is ready for use.
type Slab[T any] struct{ free []T }

// Put returns a T of its own that holds v.
func (s *Slab[T]) Put(v T) *T {
	if len(s.free) == 0 {
		s.free = make([]T, piece)
	}
	x := &s.free[0]
	s.free = s.free[1:]
	*x = v
	return x
}
