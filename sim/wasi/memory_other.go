//go:build !unix

package wasi

import "github.com/tetratelabs/wazero/experimental"

// reserve gives a program memory that is copied when it grows.
func reserve(capacity, _ uint64) experimental.LinearMemory {
	return &copied{make([]byte, 0, capacity)}
}

type copied struct{ b []byte }

// Reallocate implements experimental.LinearMemory.
func (m *copied) Reallocate(size uint64) []byte {
	if size > uint64(cap(m.b)) {
		b := make([]byte, size)
		copy(b, m.b)
		m.b = b
	}
	m.b = m.b[:size]
	return m.b
}

// Free implements experimental.LinearMemory.
func (m *copied) Free() { m.b = nil }
