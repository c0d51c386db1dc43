package inside

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

//go:wasmimport ktrial dial
//go:noescape
func worldDial(addr unsafe.Pointer, size uint32, fd unsafe.Pointer) uint32

//go:wasmimport ktrial dialed
//go:noescape
func worldDialed(fd int32, port unsafe.Pointer) uint32

//go:wasmimport ktrial stopping
//go:noescape
func worldStopping(fd unsafe.Pointer) uint32

// conn is a connection that knows its ends: those of a descriptor Go does not ask for.
type conn struct {
	*net.TCPConn
	local, remote net.Addr
}

func (c conn) LocalAddr() net.Addr  { return c.local }
func (c conn) RemoteAddr() net.Addr { return c.remote }

// end is a host's name and port.
type end string

func (end) Network() string  { return "tcp" }
func (e end) String() string { return string(e) }

// Dial connects to a host of the trial, by its name.
func Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	failed := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: end(addr), Err: err}
	}
	name := []byte(addr)
	if len(name) == 0 {
		return failed(fmt.Errorf("found no address, expected host:port"))
	}
	var fd int32
	errno := worldDial(unsafe.Pointer(&name[0]), uint32(len(name)), unsafe.Pointer(&fd))
	runtime.KeepAlive(name)
	if errno != 0 {
		return failed(syscall.Errno(errno))
	}
	f := os.NewFile(uintptr(fd), addr)
	c, err := net.FileConn(f)
	f.Close()
	if err != nil {
		return failed(err)
	}
	tcp := c.(*net.TCPConn)
	local, err := connected(ctx, tcp, fd)
	if err != nil {
		tcp.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return failed(err)
	}
	return conn{tcp, local, end(addr)}, nil
}

// connected waits until the world has connected.
func connected(ctx context.Context, tcp *net.TCPConn, fd int32) (net.Addr, error) {
	if deadline, has := ctx.Deadline(); has {
		tcp.SetWriteDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { tcp.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	var port uint32
	var outcome syscall.Errno
	err = raw.Write(func(uintptr) bool {
		outcome = syscall.Errno(worldDialed(fd, unsafe.Pointer(&port)))
		return outcome != syscall.EAGAIN
	})
	switch {
	case err != nil:
		return nil, err
	case outcome != 0:
		return nil, os.NewSyscallError("connect", outcome)
	}
	tcp.SetWriteDeadline(time.Time{})
	return end("127.0.0.1:" + strconv.Itoa(int(port))), nil
}

// Stopping is closed when the trial asks the program to end.
func Stopping() <-chan struct{} { return stopping() }

var stopping = sync.OnceValue(func() <-chan struct{} {
	over := make(chan struct{})
	var fd int32
	if worldStopping(unsafe.Pointer(&fd)) != 0 {
		return over
	}
	says := os.NewFile(uintptr(fd), "stopping")
	go func() {
		var which [1]byte
		if n, err := says.Read(which[:]); n == 1 && err == nil {
			close(over)
		}
	}()
	return over
})
