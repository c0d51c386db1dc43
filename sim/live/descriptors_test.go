package live_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/sim/live"
)

// openFiles counts the descriptors of this process for files below the directory, where the
// machine tells.
func openFiles(t *testing.T, dir string) (n int) {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("this machine does not list a process's descriptors")
	}
	for _, name := range names {
		if to, err := os.Readlink("/proc/self/fd/" + name.Name()); err == nil && strings.HasPrefix(to, dir+"/broker-1/") {
			n++
		}
	}
	return n
}

// A host may have far more files open than the program may.
func TestFiles_MoreThanThereAreDescriptors(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, live.Config{Dir: dir, Descriptors: 100}) // 18 for files
	w.Host("broker-1").Start(func(h env.Host) {
		defer w.Stop()
		d := h.Disk()
		var files []env.File
		for i := range 200 {
			partition := fmt.Sprintf("orders-%d", i)
			assert.NoError(t, d.MkdirAll(partition))
			f, err := d.Create(partition + "/log")
			assert.NoError(t, err)
			files = append(files, f)
		}
		for i, f := range files {
			_, err := f.WriteAt(fmt.Appendf(nil, "%03d", i), 0)
			assert.NoError(t, err)
			assert.NoError(t, f.Sync())
		}
		open := openFiles(t, dir)
		assert.Positive(t, open)
		assert.LessOrEqual(t, open, 18, "most of them are closed")

		// What a file is called, and whether it has a name at all, is all the same to
		// every task that has it open.
		assert.NoError(t, d.Rename("orders-3", "orders-3.gone"))
		assert.NoError(t, d.Rename("orders-4/log", "orders-4/log.deleted"))
		assert.NoError(t, d.Remove("orders-5/log"))
		f, err := d.Create("orders-6/new")
		assert.NoError(t, err)
		_, err = f.WriteAt([]byte("new"), 0)
		assert.NoError(t, err)
		assert.NoError(t, d.Rename("orders-6/new", "orders-6/log"))
		b := make([]byte, 3)
		for i, f := range files {
			_, err := f.ReadAt(b, 0)
			assert.NoError(t, err, i)
			assert.Equal(t, fmt.Sprintf("%03d", i), string(b))
			size, err := f.Size()
			assert.NoError(t, err)
			assert.EqualValues(t, 3, size)
		}
		for _, f := range files {
			assert.NoError(t, f.Close())
			_, err := f.ReadAt(b, 0)
			assert.ErrorIs(t, err, env.ErrClosed)
		}
	})
	assert.NoError(t, w.Run(context.Background(), w.Stop))
	w.Close()
	assert.Zero(t, openFiles(t, dir), "all of them are closed")
}

// More connections than there are slots are closed, and the next one is served
// once another has ended.
func TestConnections_BeyondTheLimitAreRefused(t *testing.T) {
	var refused atomic.Int32
	w := newWorld(t, live.Config{MaxConns: 3, Refused: func(_ string, served int) {
		assert.Equal(t, 3, served)
		refused.Add(1)
	}})
	w.Host("broker-1").Start(func(h env.Host) { serve(h, echo) })
	addr, err := w.Expose("broker-1", 9092, "127.0.0.1:0")
	require.NoError(t, err)
	end := run(t, w, w.Stop)
	dial := func() net.Conn {
		c, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		return c
	}
	ask := func(c net.Conn) error {
		c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Write([]byte("hello")); err != nil {
			return err
		}
		_, err := io.ReadFull(c, make([]byte, 5))
		return err
	}
	var served []net.Conn
	for range 3 {
		served = append(served, dial())
		require.NoError(t, ask(served[len(served)-1]))
	}
	for range 5 {
		assert.Error(t, ask(dial()))
	}
	assert.EqualValues(t, 5, refused.Load())
	assert.NoError(t, ask(served[0]), "the others are served")
	served[1].Close()
	assert.Eventually(t, func() bool { return ask(dial()) == nil }, 10*time.Second, 20*time.Millisecond)
	assert.NoError(t, end())
}

// A client that says that it will write no more is answered all the same.
func TestConnections_HalfClosed(t *testing.T) {
	w := newWorld(t, live.Config{})
	w.Host("broker-1").Start(func(h env.Host) {
		serve(h, func(c env.Conn) {
			question, err := io.ReadAll(c)
			assert.NoError(t, err)
			h.Sleep(50 * time.Millisecond)
			c.Write(append([]byte("answer to "), question...))
			c.Close()
		})
	})
	addr, err := w.Expose("broker-1", 9092, "127.0.0.1:0")
	require.NoError(t, err)
	end := run(t, w, w.Stop)
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer c.Close()
	c.Write([]byte("a question"))
	require.NoError(t, c.(*net.TCPConn).CloseWrite())
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	answer, err := io.ReadAll(c)
	require.NoError(t, err)
	assert.Equal(t, "answer to a question", string(answer))
	assert.NoError(t, end())
}

// A host that does not listen yet keeps its clients waiting, and does not send
// them away.
func TestConnections_WaitForTheHostToListen(t *testing.T) {
	w := newWorld(t, live.Config{})
	w.Host("broker-1").Start(func(h env.Host) {
		h.Sleep(300 * time.Millisecond)
		serve(h, echo)
	})
	addr, err := w.Expose("broker-1", 9092, "127.0.0.1:0")
	require.NoError(t, err)
	end := run(t, w, w.Stop)
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer c.Close()
	c.Write([]byte("hello"))
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, err = io.ReadFull(c, make([]byte, 5))
	assert.NoError(t, err)
	assert.NoError(t, end())
}
