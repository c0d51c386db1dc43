//go:build unix

package wasi

import (
	"syscall" //det:allow address space for a program's memory: its contents do not depend on where it lies

	"github.com/tetratelabs/wazero/experimental"
)

// mostMemory is the address space that one program may use: 32-bit pointers reach no
// further than 4 GiB, and a program of a trial that wants more than 1 GiB is lost.
const mostMemory = 1 << 30

// reserve gives a program's memory its address space at once. What grows in place is
// not copied, and what is never touched costs nothing.
func reserve(_, most uint64) experimental.LinearMemory {
	most = min(most, mostMemory)
	all, err := syscall.Mmap(-1, 0, int(most), syscall.PROT_NONE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		panic("wasi: reserving a program's memory: " + err.Error())
	}
	return &mapped{all: all}
}

type mapped struct {
	all  []byte
	used int
}

// Reallocate implements experimental.LinearMemory. nil: it cannot grow.
func (m *mapped) Reallocate(size uint64) []byte {
	if size > uint64(len(m.all)) {
		return nil
	}
	if n := int(size); n > m.used {
		if err := syscall.Mprotect(m.all[m.used:n], syscall.PROT_READ|syscall.PROT_WRITE); err != nil {
			return nil
		}
		m.used = n
	}
	return m.all[:size:size]
}

// Free implements experimental.LinearMemory.
func (m *mapped) Free() {
	if m.all != nil {
		syscall.Munmap(m.all)
		m.all = nil
	}
}
