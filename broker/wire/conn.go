package wire

import (
	"fmt"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim/env"
)

// Conn is the client's end of a connection. Requests may be pipelined by
// several tasks; answers come in the order of the requests.
//
// Any failure ends the whole connection, and everything that is in flight on
// it fails with the same error: after a timeout or a malformed answer the
// position in the stream is lost. Requests may have been executed all the same.
type Conn struct {
	host     env.Host
	conn     env.Conn
	clientID string
	addr     string

	in frames
	// out holds encoded frames that wait while one task is in Write.
	out, spare []byte
	writing    bool
	// Drained is called when bytes that had to wait have been written. It must
	// not block. May be nil.
	Drained func()

	lastCorrelation int32
	// inFlight is in the order of the wire.
	inFlight []*call
	free     []*call // of Call
	freeSend []*call // of Send
	// Answers that are of no more use, to be read into again.
	fetched  *kmsg.FetchResponse
	produced *kmsg.ProduceResponse

	// One task reads at a time: a caller that waits for its own answer, or the
	// reader task, which exists as soon as there has been a Send.
	reading    bool
	readerTask env.Signal
	keepHead   func([]byte) bool

	// The timer is set for checkAt, when overdue requests are looked for.
	timer   env.Timer
	checkAt time.Duration

	err error // why it is closed

	// Once messages were told.
	between *witness.Connection
	told    *told
}

// call is one request in flight.
type call struct {
	correlation int32
	deadline    time.Duration // by Uptime
	resp        kmsg.Response
	err         error
	finished    bool
	done        func(kmsg.Response, error) // of Send
	wake        env.Signal                 // of Call
	waiting     bool                       // on wake
}

// Dial connects to "host:port". It blocks, at most timeout.
func Dial(host env.Host, addr, clientID string, timeout time.Duration) (*Conn, error) {
	conn, err := host.Dial(addr, timeout)
	if err != nil {
		if host.Traced() {
			host.Tell(&witness.DialFailed{Server: addr, Error: witness.ErrorOf(err)})
		}
		return nil, fmt.Errorf("wire: dial %s: %w", addr, err)
	}
	c := &Conn{host: host, conn: conn, clientID: clientID, addr: addr}
	c.in = frames{src: conn, max: MaxResponseBytes}
	if host.Traced() {
		c.tellOpened()
	}
	c.keepHead = func([]byte) bool {
		return len(c.inFlight) > 0 && responseOwns[c.inFlight[0].resp.Key()]
	}
	return c, nil
}

// Call sends req, whose version is set, and blocks until its answer has come.
// It returns nil, nil for a request that is not answered (acks=0).
func (c *Conn) Call(req kmsg.Request, timeout time.Duration) (kmsg.Response, error) {
	k, err := c.enqueue(req, timeout, nil)
	if err != nil {
		return nil, err
	}
	c.flush()
	if k == nil {
		return nil, c.err
	}
	for !k.finished {
		if c.reading || c.readerTask != nil {
			k.waiting = true
			k.wake.Wait(env.Forever)
			k.waiting = false
			continue
		}
		c.reading = true
		c.readOne()
		c.reading = false
		if k.finished {
			c.passReading()
		}
	}
	resp, err := k.resp, k.err
	k.resp, k.err = nil, nil
	c.free = append(c.free, k)
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// Send sends req and returns at once; done is called with the answer, or with
// the error that ended the connection, by another task or timer: it must not
// block. If it returns an error, done is not called. Bytes that the peer does
// not take yet are written by a task of their own; see Writing.
func (c *Conn) Send(req kmsg.Request, timeout time.Duration, done func(kmsg.Response, error)) error {
	k, err := c.enqueue(req, timeout, done)
	if err != nil {
		return err
	}
	if c.readerTask == nil {
		c.readerTask = c.host.NewSignal("reader of " + c.addr)
		c.host.Go("reader of "+c.addr, c.readLoop)
	} else if !c.reading {
		c.readerTask.Notify()
	}
	switch {
	case c.writing:
	case c.conn.Room() >= len(c.out):
		c.flush()
	default:
		c.writing = true
		c.host.Go("writer to "+c.addr, func() {
			c.writing = false
			c.flush()
			if c.Drained != nil {
				c.Drained()
			}
		})
	}
	if k == nil {
		done(nil, c.err)
	}
	return nil
}

// Writing reports whether bytes of former requests wait to be written.
func (c *Conn) Writing() bool { return c.writing }

// Close ends the connection; what is in flight fails with env.ErrClosed.
func (c *Conn) Close() { c.fail(env.ErrClosed) }

// Err is why the connection is of no more use, or nil.
func (c *Conn) Err() error { return c.err }

// InFlight counts the requests that wait for their answers.
func (c *Conn) InFlight() int { return len(c.inFlight) }

// Addr is what was dialled.
func (c *Conn) Addr() string { return c.addr }

// enqueue encodes req into out and adds it to the ones in flight.
// Both happen at once: the order of answers is that of the bytes. The call is
// nil for a request without an answer.
func (c *Conn) enqueue(req kmsg.Request, timeout time.Duration, done func(kmsg.Response, error)) (*call, error) {
	if c.err != nil {
		return nil, c.err
	}
	c.lastCorrelation = (c.lastCorrelation + 1) & 0x7fffffff
	before := len(c.out)
	c.out = appendRequest(c.out, req, c.lastCorrelation, c.clientID)
	if c.host.Traced() {
		c.tellSent(req, len(c.out)-before-sizeBytes)
	}
	if !answered(req) {
		return nil, nil
	}
	k := c.newCall(done)
	k.correlation = c.lastCorrelation
	k.resp = c.response(req)
	k.resp.SetVersion(req.GetVersion())
	k.deadline = c.host.Uptime() + timeout
	c.inFlight = append(c.inFlight, k)
	if timeout >= 0 {
		c.setTimer(k.deadline)
	} else {
		k.deadline = env.Forever
	}
	return k, nil
}

// response is what the answer to req is read into.
func (c *Conn) response(req kmsg.Request) kmsg.Response {
	switch key := req.Key(); {
	case key == keyFetch && c.fetched != nil:
		resp := c.fetched
		c.fetched = nil
		return resp
	case key == keyProduce && c.produced != nil:
		resp := c.produced
		c.produced = nil
		return resp
	}
	return req.ResponseKind()
}

// Recycle gives an answer back to be used for another one. What its partitions
// hold (records, aborted transactions) is the caller's all the same.
func (c *Conn) Recycle(resp kmsg.Response) {
	switch resp := resp.(type) {
	case *kmsg.FetchResponse:
		c.fetched = resp
	case *kmsg.ProduceResponse:
		c.produced = resp
	}
}

// SetBuffers sets the sizes of the socket's buffers; 0 or less: the operating system's.
func (c *Conn) SetBuffers(send, receive int32) { c.conn.SetBuffers(int(send), int(receive)) }

// Borrow has the bytes that answers hold be valid only until the next one is
// read, which saves a copy of all that is fetched.
func (c *Conn) Borrow() { c.keepHead = func([]byte) bool { return false } }

func (c *Conn) newCall(done func(kmsg.Response, error)) *call {
	if done != nil {
		n := len(c.freeSend)
		if n == 0 {
			return &call{done: done}
		}
		k := c.freeSend[n-1]
		c.freeSend = c.freeSend[:n-1]
		k.done = done
		return k
	}
	if n := len(c.free); n > 0 {
		k := c.free[n-1]
		c.free = c.free[:n-1]
		k.finished = false
		return k
	}
	return &call{wake: c.host.NewSignal("answer from " + c.addr)}
}

// flush writes what is encoded, unless another task is at it, which then
// writes this too.
func (c *Conn) flush() {
	if c.writing {
		return
	}
	c.writing = true
	for len(c.out) > 0 && c.err == nil {
		writing := c.out
		c.out = c.spare[:0]
		_, err := c.conn.Write(writing)
		c.spare = writing
		if cap(c.spare) > 4*firstStep {
			c.spare = nil
		}
		if err != nil {
			c.fail(err)
		}
	}
	c.writing = false
}

// readOne reads one answer and completes the request that has waited longest.
func (c *Conn) readOne() {
	if c.err != nil {
		return
	}
	frame, err := c.in.next(c.keepHead)
	if c.err != nil {
		return
	}
	if err != nil {
		if err == io.EOF {
			err = env.ErrReset
		}
		c.fail(err)
		return
	}
	if len(c.inFlight) == 0 {
		c.fail(fmt.Errorf("%w: an answer came to no request", ErrMalformed))
		return
	}
	k := c.inFlight[0]
	if err := parseResponse(frame, k.resp, k.correlation); err != nil {
		c.fail(err)
		return
	}
	if c.host.Traced() {
		c.tellArrived(k, len(frame))
	}
	c.in.shrink()
	c.pop()
	k.finish(nil)
	if k.done != nil {
		*k = call{}
		c.freeSend = append(c.freeSend, k)
	}
}

// pop drops the first in flight and keeps the memory of the queue.
func (c *Conn) pop() {
	n := copy(c.inFlight, c.inFlight[1:])
	c.inFlight[n] = nil
	c.inFlight = c.inFlight[:n]
}

func (k *call) finish(err error) {
	k.finished, k.err = true, err
	if k.done != nil {
		if err != nil {
			k.resp = nil
		}
		k.done(k.resp, err)
		return
	}
	if k.waiting {
		k.wake.Notify()
	}
}

// readLoop is the reader task.
func (c *Conn) readLoop() {
	for c.err == nil {
		if c.reading {
			c.readerTask.Wait(env.Forever)
			continue
		}
		c.reading = true
		c.readOne()
		c.reading = false
	}
}

// passReading hands the reading to another task that waits for an answer.
func (c *Conn) passReading() {
	switch {
	case c.readerTask != nil:
		c.readerTask.Notify()
	case len(c.inFlight) > 0 && c.inFlight[0].waiting:
		c.inFlight[0].wake.Notify()
	}
}

// setTimer sets the timer for deadline. One that is set for earlier is left
// alone, so that a connection in steady use sets it about once per timeout rather
// than once per request.
func (c *Conn) setTimer(deadline time.Duration) {
	if c.timer != nil {
		if c.checkAt <= deadline {
			return
		}
		c.timer.Stop()
	}
	c.checkAt = deadline
	c.timer = c.host.After(deadline-c.host.Uptime(), "timeout of "+c.addr, c.checkTimeouts)
}

// checkTimeouts ends the connection if a request is overdue.
func (c *Conn) checkTimeouts() {
	c.timer = nil
	if c.err != nil {
		return
	}
	next := env.Forever
	for _, k := range c.inFlight {
		if k.deadline >= 0 && (next < 0 || k.deadline < next) {
			next = k.deadline
		}
	}
	switch {
	case next < 0:
	case next <= c.host.Uptime():
		c.fail(env.ErrTimeout)
	default:
		c.setTimer(next)
	}
}

// fail closes the connection, once.
func (c *Conn) fail(err error) {
	if c.err != nil {
		return
	}
	c.err = fmt.Errorf("wire: connection to %s: %w", c.addr, err)
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	c.conn.Close()
	failed := c.inFlight
	c.inFlight = nil
	if c.host.Traced() {
		c.tellEnded(failed, err)
	}
	for _, k := range failed {
		k.finish(c.err)
	}
	if c.readerTask != nil {
		c.readerTask.Notify()
	}
}
