package wire

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim/env"
)

// Handler answers one request. It may block: the connection waits for it. A nil
// answer sends nothing (a produce with acks=0). The request, and byte slices
// that point into it, may be used until the handler returns; what must live
// longer is copied.
type Handler func(ctx *Context, req kmsg.Request) kmsg.Response

// Context is what a handler may know of a request beside its body. It is valid
// until the handler returns.
type Context struct {
	Host       env.Host
	ClientID   string
	RemoteAddr string
	Key        int16
	Version    int16
	Bytes      int       // of the frame
	Conn       *Accepted // the connection it came in on
}

// Server is one listener: it accepts connections and has their requests
// handled, one at a time per connection.
type Server struct {
	Host    env.Host
	Handler Handler
	// Versions that may come in. Nil: all of Broker and Controller.
	Versions Versions
	// MaxRequestBytes is socket.request.max.bytes; 0 means the default.
	MaxRequestBytes int32
	// MaxIdle is connections.max.idle.ms; 0: connections may idle for ever.
	MaxIdle time.Duration
	// Cost is the time for which a request keeps the host's CPU busy.
	Cost Cost
	// Threads are those that serve requests on a host whose work takes time; nil: work
	// is free.
	Threads *Threads
	// SendBuffer and ReceiveBuffer are those of each connection's socket; 0: the operating
	// system's.
	SendBuffer, ReceiveBuffer int
	// Malformed is called with why a connection was closed on the peer. May be nil.
	Malformed func(remoteAddr string, err error)

	listener env.Listener
	conns    []*Accepted // sorted by ID
	lastID   int64
	closed   bool
	out      []byte // the memory of the answer being written
	told     told
}

// Cost models the CPU that a request takes: so much for each, so much for each
// byte of it and of its answer. The zero value costs nothing, which is right
// on the wall clock, where work takes its own time.
type Cost struct {
	PerRequest  time.Duration
	PerKilobyte time.Duration
}

func (c Cost) of(bytes int) time.Duration {
	return c.PerRequest + c.PerKilobyte*time.Duration(bytes)/1024
}

// Accepted is the server's end of a connection.
type Accepted struct {
	// ID numbers the connections of a listener from 1.
	ID int64

	server *Server
	conn   env.Conn
	thread *networkThread // nil: work is free
	in     frames
	ctx    Context
	// between is set once messages were told.
	between *witness.Connection
	// The memory of the requests that come again and again, and of their answers.
	fetch    kmsg.FetchRequest
	fetched  kmsg.FetchResponse
	produce  kmsg.ProduceRequest
	produced kmsg.ProduceResponse
}

// Close ends the connection, whatever it is doing.
func (a *Accepted) Close() { a.conn.Close() }

// Serve accepts and serves connections until l is closed. It blocks.
func Serve(host env.Host, l env.Listener, h Handler) error {
	return (&Server{Host: host, Handler: h}).Serve(l)
}

// Serve accepts and serves connections until Close, or until l fails. It
// blocks; each connection is a task of its own.
func (s *Server) Serve(l env.Listener) error {
	s.listener = l
	if s.closed {
		l.Close()
	}
	for {
		conn, err := l.Accept()
		if errors.Is(err, env.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("wire: accept: %w", err)
		}
		if s.closed {
			conn.Close()
			continue
		}
		conn.SetBuffers(s.SendBuffer, s.ReceiveBuffer)
		s.lastID++
		a := &Accepted{ID: s.lastID, server: s, conn: conn}
		a.in = frames{src: conn, max: s.maxRequestBytes()}
		a.ctx = Context{Host: s.Host, RemoteAddr: conn.RemoteAddr(), Conn: a}
		if s.Threads != nil {
			a.thread = s.Threads.network(a.ID)
		}
		s.conns = append(s.conns, a)
		if s.Host.Traced() {
			a.tellAccepted()
		}
		s.Host.Go("connection from "+a.ctx.RemoteAddr, a.run)
	}
}

// Close stops listening and closes every connection. Handlers that run go on,
// and their answers go nowhere.
func (s *Server) Close() {
	s.closed = true
	if s.listener != nil {
		s.listener.Close()
	}
	for _, a := range slices.Clone(s.conns) {
		a.conn.Close()
	}
}

// Connections counts those that are open.
func (s *Server) Connections() int { return len(s.conns) }

func (s *Server) maxRequestBytes() int32 {
	if s.MaxRequestBytes > 0 {
		return s.MaxRequestBytes
	}
	return MaxRequestBytes
}

// run serves one connection until it ends.
func (a *Accepted) run() {
	err := a.serve()
	a.conn.Close()
	s := a.server
	if s.Host.Traced() {
		a.tellEnded(err)
	}
	s.conns = slices.DeleteFunc(s.conns, func(other *Accepted) bool { return other == a })
	if s.Malformed != nil && errors.Is(err, ErrMalformed) {
		s.Malformed(a.ctx.RemoteAddr, err)
	}
}

func (a *Accepted) serve() error {
	for {
		if idle := a.server.MaxIdle; idle > 0 {
			a.conn.SetReadDeadline(a.server.Host.Uptime() + idle)
		}
		frame, err := a.in.next(keepRequest)
		if err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		if err := a.one(frame); err != nil {
			return err
		}
		a.in.shrink()
	}
}

// one serves a request from frame to answer.
func (a *Accepted) one(frame []byte) error {
	h, err := parseFixed(frame)
	if err != nil {
		return err
	}
	s := a.server
	if !s.speaks(h.Key, h.Version) {
		if h.Key == keyApiVersions {
			if s.Host.Traced() {
				a.tellArrived(h, len(frame))
			}
			return a.write(UnsupportedApiVersions(s.Versions), h.CorrelationID, len(frame))
		}
		// Kafka gives no answer: it cannot know how the client would read it.
		return fmt.Errorf("request header: %w: api key %d version %d is not served here", ErrMalformed, h.Key, h.Version)
	}
	req := a.request(h.Key)
	if req == nil {
		return fmt.Errorf("request header: %w: api key %d is unknown", ErrMalformed, h.Key)
	}
	req.SetVersion(h.Version)
	ctx := &a.ctx
	id, body, err := clientID(frame[headerBytes:], req.IsFlexible(), ctx.ClientID)
	if err != nil {
		return err
	}
	// Bytes after the end of the body are ignored, as Kafka does.
	if err := readRequest(req, body); err != nil {
		return err
	}
	ctx.ClientID, ctx.Key, ctx.Version, ctx.Bytes = id, h.Key, h.Version, len(frame)
	ctx.RemoteAddr = a.conn.RemoteAddr() // the connection may have learned its client's since
	if s.Host.Traced() {
		a.tellArrived(h, len(frame))
	}
	if a.thread != nil {
		a.thread.received(h.Key, len(frame))
	}
	resp := s.Handler(ctx, req)
	if resp == nil {
		if a.thread != nil {
			a.thread.handled()
		}
		s.Host.Work(s.Cost.of(len(frame)))
		return nil
	}
	resp.SetVersion(h.Version)
	return a.write(resp, h.CorrelationID, len(frame))
}

// request is what a request is read into. A handler may use it until it returns,
// so one of a kind is enough for a connection.
func (a *Accepted) request(key int16) kmsg.Request {
	switch key {
	case keyFetch:
		return &a.fetch
	case keyProduce:
		return &a.produce
	}
	return kmsg.RequestForKey(key)
}

// FetchResponse is an empty answer to a fetch. Its memory is the connection's.
func (ctx *Context) FetchResponse() *kmsg.FetchResponse {
	a := ctx.Conn
	if a == nil {
		return kmsg.NewPtrFetchResponse()
	}
	a.fetched = kmsg.FetchResponse{Topics: a.fetched.Topics[:0]}
	return &a.fetched
}

// ProduceResponse is an empty answer to a produce. Its memory is the connection's.
func (ctx *Context) ProduceResponse() *kmsg.ProduceResponse {
	a := ctx.Conn
	if a == nil {
		return kmsg.NewPtrProduceResponse()
	}
	a.produced = kmsg.ProduceResponse{Topics: a.produced.Topics[:0]}
	return &a.produced
}

func (a *Accepted) write(resp kmsg.Response, correlationID int32, received int) error {
	s := a.server
	out := appendResponse(s.out[:0], resp, correlationID)
	s.out = nil // it is in use while Write blocks
	if s.Host.Traced() {
		a.tellSent(resp, correlationID, len(out)-sizeBytes)
	}
	if s.Cost != (Cost{}) {
		s.Host.Work(s.Cost.of(received + len(out)))
	}
	if a.thread != nil {
		a.thread.answers(resp.Key(), len(out), received)
	}
	_, err := a.conn.Write(out)
	if cap(out) <= 4*firstStep {
		s.out = out
	}
	return err
}

func (s *Server) speaks(key, version int16) bool {
	if s.Versions != nil {
		return s.Versions.Speaks(key, version)
	}
	return Broker.Speaks(key, version) || Controller.Speaks(key, version)
}

// UnsupportedApiVersions answers an ApiVersions request of a version that is
// not served: version 0, which every client can read, with the range of
// ApiVersions itself, so that the client knows what to try next (KIP-511).
func UnsupportedApiVersions(vs Versions) *kmsg.ApiVersionsResponse {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.Version = 0
	resp.ErrorCode = kerr.UnsupportedVersion.Code
	if vs == nil {
		vs = Broker
	}
	resp.ApiKeys = vs.Only(func(key int16) bool { return key == keyApiVersions }).ApiKeys()
	return resp
}
