package tap

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"

	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/workloads/fromwire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// passing is one connection of a client, and the one to the broker that belongs to it.
type passing struct {
	t      *Tap
	client net.Conn
	broker net.Conn
	seen   *fromwire.Connection

	mu      sync.Mutex
	waiting []expected // answers, in order
}

// expected is an answer that is to come.
type expected struct {
	correlation int32
	req         kmsg.Request // nil: its answer names no broker
}

// serve passes a client's connection on to a broker until one of them closes it.
func (t *Tap) serve(client net.Conn, broker string) {
	if !t.hold(client) {
		return
	}
	defer t.letGo(client)
	up, err := t.dial(broker)
	if err != nil {
		t.notice(fmt.Sprintf("connecting to %s: %v", broker, err))
		return
	}
	defer up.Close()
	p := &passing{t: t, client: client, broker: up}
	t.mu.Lock()
	name := remoteHost(client)
	t.lives[name]++
	p.seen = t.observer.Connect(name, fmt.Sprint(name, "-", t.lives[name]))
	t.mu.Unlock()
	over := make(chan struct{}, 2)
	go func() { p.pass(client, up, p.request); over <- struct{}{} }()
	go func() { p.pass(up, client, p.response); over <- struct{}{} }()
	<-over
	client.Close()
	up.Close()
	<-over
	t.observe(p.seen.Closed)
}

func remoteHost(c net.Conn) string {
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		return c.RemoteAddr().String()
	}
	return host
}

// mostBytes of a frame: more than any broker sends or takes.
const mostBytes = 1 << 30

// pass carries frames from one side to the other; each may be replaced on its way.
func (p *passing) pass(from io.Reader, to io.Writer, through func([]byte) []byte) {
	in := bufio.NewReaderSize(from, 64<<10)
	out := bufio.NewWriterSize(to, 64<<10)
	var frame []byte
	for {
		if in.Buffered() < 4 {
			if out.Flush() != nil {
				return
			}
		}
		var size [4]byte
		if _, err := io.ReadFull(in, size[:]); err != nil {
			out.Flush()
			return
		}
		n := int(binary.BigEndian.Uint32(size[:]))
		if n > mostBytes {
			p.t.notice(fmt.Sprintf("%v: %v: a frame of %d bytes", p.client.RemoteAddr(), ErrNotKafka, n))
			return
		}
		var err error
		if frame, err = readFrame(in, frame[:0], n); err != nil {
			return
		}
		passed := through(frame)
		binary.BigEndian.PutUint32(size[:], uint32(len(passed)))
		if _, err := out.Write(size[:]); err != nil {
			return
		}
		if _, err := out.Write(passed); err != nil {
			return
		}
		if cap(frame) > 4<<20 {
			frame = nil
		}
	}
}

// readFrame reads n bytes; memory is taken as they come, so that a lie about
// the size costs none.
func readFrame(in io.Reader, frame []byte, n int) ([]byte, error) {
	for len(frame) < n {
		step := min(n-len(frame), max(64<<10, len(frame)))
		at := len(frame)
		frame = append(frame, make([]byte, step)...)
		if _, err := io.ReadFull(in, frame[at:]); err != nil {
			return nil, err
		}
	}
	return frame, nil
}

// request observes what is asked, and leaves it as it is.
func (p *passing) request(frame []byte) []byte {
	h, req, err := wire.ReadRequest(slices.Clone(frame)) // the request outlives the frame's memory
	p.t.observe(func() { p.seen.SentRequest(h, req, err) })
	if err == nil && !wire.Answered(req) {
		return frame
	}
	e := expected{correlation: h.CorrelationID}
	if err == nil && namesBrokers(req) {
		e.req = req
	}
	p.mu.Lock()
	p.waiting = append(p.waiting, e)
	p.mu.Unlock()
	return frame
}

// response observes an answer, and puts the proxy's addresses into it.
func (p *passing) response(frame []byte) []byte {
	p.t.observe(func() { p.seen.ReceivedFrame(frame) })
	p.mu.Lock()
	var e expected
	if len(p.waiting) > 0 {
		e, p.waiting = p.waiting[0], p.waiting[1:]
	}
	p.mu.Unlock()
	id, ok := wire.CorrelationID(frame)
	if e.req == nil || !ok || id != e.correlation {
		return frame
	}
	resp, err := wire.ReadResponse(e.req, frame)
	if err != nil {
		p.t.notice(fmt.Sprintf("an answer to %s v%d was not understood and passed on: %v", kmsg.NameForKey(e.req.Key()), e.req.GetVersion(), err))
		return frame
	}
	if !p.t.rewrite(resp) {
		return frame
	}
	return wire.AppendResponse(nil, resp, id)
}

// observe runs what reads a connection, unless the history is full.
func (t *Tap) observe(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.full {
		return
	}
	f()
	if limit := t.cfg.MostOperations; limit > 0 && int64(t.recorder.History().Events()) >= limit {
		t.full = true
		t.notice(fmt.Sprintf("%d events are recorded, which is the limit: what comes now is passed on and not judged", limit))
	}
}
