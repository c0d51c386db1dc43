package history

import (
	"bufio"
	"fmt"
	"io"
	"sync"
	"time"
)

// Stream records what concurrent clients see, as JSON lines that `ktrial check`
// judges. It may be called from many goroutines. Each event is stamped and
// written as it comes, so that a recording that ends in the middle is a history,
// too; the order of the lines is the order of the calls.
//
// A process does one thing at a time: a client that has several operations under
// way takes a number of its own for each, from Process.
type Stream struct {
	mu        sync.Mutex
	w         writer
	began     time.Time
	processes int64
	err       error
}

// streamWindow is how many events are kept to write them by: a long recording
// needs no more memory than a short one.
const streamWindow = 1 << 14

// NewStream writes to out. Close it when all is over.
func NewStream(out io.Writer) *Stream {
	return &Stream{w: writer{out: bufio.NewWriterSize(out, 64<<10), json: true, h: New()}, began: time.Now()}
}

// Process is a number that no other process has.
func (s *Stream) Process() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.processes++
	return s.processes - 1
}

// Invoke records that a client begins an operation. Call it before the request
// leaves.
func (s *Stream) Invoke(e Event) {
	e.Type = Invoke
	s.write(&e)
}

// Complete records how the operation of e.Process ended: e.Type is OK, Failed or
// Unknown, and e.Mops carries what was learned. Call it after the answer came.
func (s *Stream) Complete(e Event) { s.write(&e) }

// Note records something that is not a client's doing.
func (s *Stream) Note(e Event) {
	e.Process = NoProcess
	s.write(&e)
}

// Flush hands what was recorded so far to the writer below.
func (s *Stream) Flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = s.w.out.Flush()
	}
	return s.wrapped()
}

// Close ends the recording. It returns the first error that writing met.
func (s *Stream) Close() error { return s.Flush() }

func (s *Stream) wrapped() error {
	if s.err == nil {
		return nil
	}
	return fmt.Errorf("history: stream: write event %d: %w", s.w.base+int64(s.w.h.events), s.err)
}

// write stamps an event and writes its line. The stamp is taken inside, so that
// the lines are in the order of time.
func (s *Stream) write(e *Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	e.Time = time.Since(s.began)
	w, h := &s.w, s.w.h
	if h.Events() == streamWindow {
		h = New()
		w.h, w.base = h, w.base+streamWindow
	}
	h.Add(e)
	w.line = w.line[:0]
	if op := h.Added(); op != nil {
		h.Read(op.Row, &w.op)
		w.event(int64(h.events) - 1)
	} else {
		w.note(&h.notes[len(h.notes)-1])
	}
	_, s.err = w.out.Write(append(w.line, '\n'))
}
