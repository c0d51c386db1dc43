package kernel

import (
	"runtime"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
)

// What is read on a stack must be within it: beyond its top there may be no
// memory at all. So this holds what is taken for granted of the runtime.
func TestAParkedTaskKnowsItsStack(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("there is no prefetch on " + runtime.GOARCH)
	}
	k := New(Config{})
	defer k.Close()
	p := k.NewProcess("host", 1, func() {})
	var local uintptr
	p.Go("parks", func() {
		var here [64]byte
		here[k.Events()%64] = 1
		local = uintptr(unsafe.Pointer(&here))
		k.Hang("wait")
		runtime.KeepAlive(here)
	})
	assert.Error(t, k.Run(0), "a deadlock: it waits for ever")
	at := p.oldest.parks
	assert.Less(t, at.stack, local, "the frame of the task is above where it parked")
	assert.Less(t, local, at.top)
	assert.Less(t, at.top-at.stack, uintptr(64<<10))
	assert.NotZero(t, at.g)
	assert.NotZero(t, at.next)
}
