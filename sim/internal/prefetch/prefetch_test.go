package prefetch

import (
	"iter"
	"runtime"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
)

// What is read on a stack must be within it: beyond its top there may be no
// memory at all. So this holds what is taken for granted of the runtime.
func TestAPlaceIsWithinItsStack(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("nothing is prefetched on " + runtime.GOARCH)
	}
	var at Place
	var local uintptr
	var next func() (struct{}, bool)
	next, stop := iter.Pull(func(yield func(struct{}) bool) {
		var frame [64]byte
		frame[len(t.Name())%64] = 1
		local = uintptr(unsafe.Pointer(&frame))
		at = Here(&next)
		yield(struct{}{})
		runtime.KeepAlive(frame)
	})
	defer stop()
	next()
	assert.Less(t, at.stack, local, "the frames above are those that it returns to")
	assert.Less(t, local, at.top)
	assert.Less(t, at.top-at.stack, uintptr(64<<10))
	assert.NotZero(t, at.g)
	assert.NotZero(t, at.next)
	at.Stack()
	at.Follow()
}

func TestAnyPlaceMayBeAskedFor(t *testing.T) {
	var nowhere Place
	nowhere.Stack()
	nowhere.Follow()
	Object[[1000]byte](nil)
	Object(&nowhere)
}

func BenchmarkFollow(b *testing.B) {
	next := func() {}
	at := Here(&next)
	for b.Loop() {
		at.Follow()
	}
}
