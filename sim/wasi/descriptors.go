package wasi

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/ktrial/ktrial/sim/env"
)

// descriptor is what a number stands for: a connection, an output, a file, the wish to stop.
// Only a file's methods block.
type descriptor interface {
	// read takes up to len(p) bytes; errno again: there are none yet. 0 bytes: the end.
	read(p []byte) (int, errno)
	// write takes some of p; again: there is no room now.
	write(p []byte) (int, errno)
	readable() bool
	writable() bool
	fileType() uint8
	close()
}

// Kinds of files, as WASI numbers them.
const (
	characterDevice uint8 = 2
	directoryFile   uint8 = 3
	regularFile     uint8 = 4
	streamSocket    uint8 = 6
)

// empty is the standard input: at its end.
type empty struct{}

func (empty) read([]byte) (int, errno)  { return 0, success }
func (empty) write([]byte) (int, errno) { return 0, badDescriptor }
func (empty) readable() bool            { return true }
func (empty) writable() bool            { return false }
func (empty) fileType() uint8           { return characterDevice }
func (empty) close()                    {}

// lines is an output whose lines become events.
type lines struct {
	in      *instance
	stream  string
	partial []byte
	panics  bool
}

// longest is how much of a line is kept: a program may write without end.
const longest = 4096

func (l *lines) write(p []byte) (int, errno) {
	n := len(p)
	for {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			l.partial = append(l.partial, p...)
			if len(l.partial) > longest {
				l.tell()
			}
			return n, success
		}
		l.partial = append(l.partial, p[:end]...)
		l.tell()
		p = p[end+1:]
	}
}

func (l *lines) tell() {
	text := strings.ToValidUTF8(string(l.partial[:min(len(l.partial), longest)]), "\uFFFD")
	l.partial = l.partial[:0]
	if l.stream == Stderr && text != "" {
		l.remember(text)
	}
	// The stacks of a panic name addresses, which say nothing to a reader.
	if !l.panics {
		l.in.h.Tell(&Line{l.in.program.Name, l.stream, text})
	}
	if l.stream == Stderr && strings.HasPrefix(text, "goroutine ") {
		l.panics = true
	}
}

// remember keeps the line that says why the program ends.
func (l *lines) remember(text string) {
	if !strings.HasPrefix(l.in.lastWords, "panic: ") && !strings.HasPrefix(l.in.lastWords, "fatal error: ") {
		l.in.lastWords = text
	}
}

func (l *lines) read([]byte) (int, errno) { return 0, badDescriptor }
func (l *lines) readable() bool           { return false }
func (l *lines) writable() bool           { return true }
func (l *lines) fileType() uint8          { return characterDevice }
func (l *lines) close() {
	if len(l.partial) > 0 {
		l.tell()
	}
}

// stopping becomes readable when the program is asked to end.
type stopping struct{ in *instance }

func (s stopping) read(p []byte) (int, errno) {
	if !s.in.stopped {
		return 0, again
	}
	if len(p) > 0 {
		p[0] = sigterm
	}
	return min(1, len(p)), success
}
func (s stopping) readable() bool          { return s.in.stopped }
func (stopping) write([]byte) (int, errno) { return 0, badDescriptor }
func (stopping) writable() bool            { return false }
func (stopping) fileType() uint8           { return streamSocket }
func (stopping) close()                    {}

// Numbers of signals in package syscall of wasip1.
const (
	sigkill = 9
	sigterm = 15
)

// Sizes of a connection's buffers in bytes, as an operating system has them.
const (
	receiveBuffer = 64 << 10
	largestWrite  = 64 << 10
)

// connectTimeout is how long an operating system tries to connect (Linux: 127 s).
const connectTimeout = 127 * time.Second

// socket is a connection to another host. A task dials and then reads into a buffer;
// writes go straight out while the peer has room, else through a task that waits.
type socket struct {
	in      *instance
	conn    env.Conn // nil until it is connected
	failed  errno    // of the dial, or of the connection
	ended   bool     // the peer has closed
	closed  bool     // by the program
	buffer  []byte
	room    env.Signal // the buffer has been read
	writing bool       // a task waits for room
}

// dial begins to connect. The outcome is asked for when the descriptor is writable.
func (in *instance) dial(addr string) int32 {
	s := &socket{in: in, room: in.h.NewSignal("buffer")}
	in.h.Go("dial", func() {
		conn, err := in.h.Dial(addr, connectTimeout)
		if err != nil {
			s.failed = number(err)
			in.ready.Broadcast()
			return
		}
		if s.closed {
			conn.Close()
			return
		}
		s.conn = conn
		in.ready.Broadcast()
		s.receive()
	})
	return in.add(s)
}

// receive is the body of the connection's task.
func (s *socket) receive() {
	p := make([]byte, 16<<10)
	for {
		n, err := s.conn.Read(p)
		s.buffer = append(s.buffer, p[:n]...)
		switch {
		case s.closed:
			return
		case errors.Is(err, io.EOF):
			s.ended = true
		case err != nil:
			s.failed = number(err)
		}
		s.in.ready.Broadcast()
		if err != nil {
			return
		}
		for len(s.buffer) >= receiveBuffer && !s.closed {
			s.room.Wait(env.Forever)
		}
	}
}

func (s *socket) read(p []byte) (int, errno) {
	if len(s.buffer) > 0 {
		n := copy(p, s.buffer)
		s.buffer = s.buffer[:copy(s.buffer, s.buffer[n:])]
		s.room.Broadcast()
		return n, success
	}
	switch {
	case s.failed != success:
		return 0, s.failed
	case s.ended:
		return 0, success
	}
	return 0, again
}

func (s *socket) write(p []byte) (int, errno) {
	switch {
	case s.failed != success:
		return 0, s.failed
	case s.conn == nil || s.writing:
		return 0, again
	}
	if n := min(len(p), s.conn.Room()); n > 0 || len(p) == 0 {
		if _, err := s.conn.Write(p[:n]); err != nil {
			s.failed = number(err)
			return 0, s.failed
		}
		return n, success
	}
	rest := bytes.Clone(p[:min(len(p), largestWrite)])
	s.writing = true
	s.in.h.Go("write", func() {
		if _, err := s.conn.Write(rest); err != nil && s.failed == success {
			s.failed = number(err)
		}
		s.writing = false
		s.in.ready.Broadcast()
	})
	return len(rest), success
}

func (s *socket) readable() bool  { return len(s.buffer) > 0 || s.ended || s.failed != success }
func (s *socket) writable() bool  { return s.failed != success || s.conn != nil && !s.writing }
func (s *socket) fileType() uint8 { return streamSocket }

func (s *socket) close() {
	s.closed = true
	if s.conn != nil {
		s.conn.Close()
	}
	s.room.Broadcast()
}
