package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/sim/env"
)

// errNotSent marks the failure of a request of which no byte was written: it
// cannot have been executed.
var errNotSent = errors.New("not sent")

// link is a client's connection to one broker. There is at most one; it is
// opened when it is first wanted, and again after a backoff when it broke.
//
// Its own task connects, and sending does not block, so that a broker which does
// not answer or takes no bytes holds up only the tasks that talk to it.
type link struct {
	net         *network
	node        kafka.NodeID // below zero: a bootstrap server
	addr        string
	coordinator bool // it is a second link, to the broker as a group's coordinator

	conn     *wire.Conn // nil: not connected
	versions wire.Versions

	opening  bool // wanted, and the task is at it or will be
	failures int  // in a row, since the last time it was open
	retryAt  time.Duration

	inFlight int           // sent and not yet answered
	used     time.Duration // when something was last sent or answered
	spare    []*sending    // memory to be used again

	dropped bool       // the cluster no longer has this node at this address
	wake    env.Signal // of the task
	changed env.Signal // opened, or failed to
}

func (l *link) String() string {
	if l.node < 0 {
		return "bootstrap server " + l.addr
	}
	if l.coordinator {
		return fmt.Sprintf("coordinator %d", l.node)
	}
	return fmt.Sprintf("broker %d", l.node)
}

// open reports whether requests can be sent.
func (l *link) open() bool {
	if l.conn != nil && l.conn.Err() != nil {
		l.disconnected(l.conn)
	}
	return l.conn != nil
}

// ready reports whether l can take a request at once, with the one before it
// written. If l is not open it asks for that.
func (l *link) ready() bool {
	if !l.open() {
		l.want()
		return false
	}
	return !l.conn.Writing()
}

// want has the task connect, unless it must still wait after a failure.
func (l *link) want() {
	if l.opening || l.open() || l.delay() > 0 || l.dropped {
		return
	}
	l.opening = true
	if l.wake == nil {
		l.wake = l.net.host.NewSignal("link to " + l.addr)
		l.changed = l.net.host.NewSignal("opening of link to " + l.addr)
		l.net.host.Go("link to "+l.addr, l.run)
	} else {
		l.wake.Notify()
	}
}

// delay is how long it must wait before it connects again.
func (l *link) delay() time.Duration {
	return max(0, l.retryAt-l.net.host.Uptime())
}

// send sends req; l must be ready. done is called once, at once or by whatever
// task gets to know the result, and must not block.
func (l *link) send(req kmsg.Request, done func(kmsg.Response, error)) {
	l.sendWithin(req, l.net.cfg.RequestTimeout, done)
}

// sendWithin is send with another timeout than request.timeout.ms.
func (l *link) sendWithin(req kmsg.Request, timeout time.Duration, done func(kmsg.Response, error)) {
	err := l.pick(req)
	if err == nil && !l.open() {
		err = fmt.Errorf("client: %v: %w: %w", l, errNotSent, kerr.NetworkException)
	}
	if err != nil {
		done(nil, err)
		return
	}
	l.began()
	s := l.sending(done)
	if err = l.conn.Send(req, timeout, s.answered); err != nil {
		l.ended(s.conn, err)
		done(nil, fmt.Errorf("%w: %w", errNotSent, err))
		s.free()
	}
}

// sending is a request of send that has no answer yet.
type sending struct {
	link     *link
	conn     *wire.Conn
	done     func(kmsg.Response, error)
	answered func(kmsg.Response, error) // its method answer
}

func (l *link) sending(done func(kmsg.Response, error)) *sending {
	var s *sending
	if n := len(l.spare); n > 0 {
		s = l.spare[n-1]
		l.spare = l.spare[:n-1]
	} else {
		s = &sending{link: l}
		s.answered = s.answer
	}
	s.conn, s.done = l.conn, done
	return s
}

func (s *sending) answer(resp kmsg.Response, err error) {
	conn := s.conn
	s.link.ended(conn, err)
	s.done(resp, err)
	if resp != nil {
		conn.Recycle(resp) // done keeps no more of it than records
	}
	s.free()
}

func (s *sending) free() {
	s.conn, s.done = nil, nil
	s.link.spare = append(s.link.spare, s)
}

func (l *link) pick(req kmsg.Request) error {
	if err := l.versions.Pick(req); err != nil {
		return fmt.Errorf("client: %v: %s: %w", l, kmsg.NameForKey(req.Key()), err)
	}
	withoutIDs(req)
	if l.net.limit != nil {
		l.net.limit(req)
	}
	return nil
}

// call opens l if need be, sends req and blocks for the answer.
func (l *link) call(req kmsg.Request, timeout time.Duration) (kmsg.Response, error) {
	host := l.net.host
	deadline := host.Uptime() + timeout
	if !l.open() {
		l.want()
		for l.opening {
			if left := deadline - host.Uptime(); left <= 0 || !l.changed.Wait(left) {
				return nil, fmt.Errorf("client: %v: %w: not connected after %v: %w", l, errNotSent, timeout, kerr.RequestTimedOut)
			}
		}
		if !l.open() {
			return nil, fmt.Errorf("client: %v: %w: %w", l, errNotSent, kerr.NetworkException)
		}
	}
	if err := l.pick(req); err != nil {
		return nil, err
	}
	conn := l.conn
	l.began()
	resp, err := conn.Call(req, deadline-host.Uptime())
	l.ended(conn, err)
	return resp, err
}

// run is the task of the link.
func (l *link) run() {
	for !l.net.closed && !l.dropped {
		switch {
		case l.opening:
			l.connect()
		case l.idleIn() == 0:
			l.conn.Close()
			l.conn = nil
		default:
			l.wake.Wait(l.idleIn())
		}
	}
	l.opening = false
	if conn := l.conn; conn != nil {
		conn.Close()
		l.disconnected(conn)
	}
	l.changed.Broadcast()
}

// idleIn is when to look whether it has been idle for connections.max.idle.ms; 0
// says that it has.
func (l *link) idleIn() time.Duration {
	limit := orForever(l.net.cfg.ConnectionsMaxIdle)
	switch {
	case limit == env.Forever || l.conn == nil:
		return env.Forever
	case l.inFlight > 0:
		return max(limit, 1)
	}
	return max(0, l.used+limit-l.net.host.Uptime())
}

// began and ended count a request.
func (l *link) began() {
	l.inFlight++
	l.used = l.net.host.Uptime()
}

func (l *link) ended(conn *wire.Conn, err error) {
	l.inFlight--
	l.used = l.net.host.Uptime()
	if err != nil {
		l.disconnected(conn)
	}
}

// connect makes one attempt.
func (l *link) connect() {
	conn, answer, err := l.dial()
	l.opening = false
	if err == nil && (l.net.closed || l.dropped) {
		conn.Close()
		err = env.ErrClosed
	}
	if err != nil {
		l.failed()
	} else {
		l.conn, l.versions, l.failures = conn, wire.FromResponse(answer), 0
		l.net.features.learn(answer)
		l.used = l.net.host.Uptime()
		conn.Drained = l.net.changed
	}
	l.changed.Broadcast()
	l.net.linkChanged(l, err)
}

func (l *link) dial() (*wire.Conn, *kmsg.ApiVersionsResponse, error) {
	cfg := l.net.cfg
	setup := backoff{cfg.ConnectionSetup, cfg.ConnectionSetupMax}.after(1+l.failures, l.net.host.Rand())
	conn, err := wire.Dial(l.net.host, l.addr, l.net.clientID, setup)
	if err != nil {
		return nil, nil, err
	}
	conn.SetBuffers(cfg.SendBuffer, cfg.ReceiveBuffer)
	answer, err := negotiate(conn, cfg.RequestTimeout)
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, answer, nil
}

// negotiate asks what the broker speaks. One that does not know our version of
// the question answers in version 0 (KIP-511), and is asked again in that.
func negotiate(conn *wire.Conn, timeout time.Duration) (*kmsg.ApiVersionsResponse, error) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "ktrial", "4.1.0"
	wire.Latest(req)
	for {
		resp, err := conn.Call(req, timeout)
		if err != nil {
			return nil, err
		}
		answer := resp.(*kmsg.ApiVersionsResponse)
		if answer.ErrorCode == kerr.UnsupportedVersion.Code && req.Version > 0 {
			req.SetVersion(0)
			continue
		}
		return answer, kerr.ErrorForCode(answer.ErrorCode)
	}
}

// features are the cluster's finalized ones, as the newest answer to ApiVersions
// has them.
type features struct {
	epoch              int64 // -1: no broker has told any
	transactionVersion int16
}

// learn takes in an answer, unless another broker has told of a later epoch.
func (f *features) learn(resp *kmsg.ApiVersionsResponse) {
	if resp.FinalizedFeaturesEpoch <= f.epoch {
		return
	}
	*f = features{epoch: resp.FinalizedFeaturesEpoch}
	for i := range resp.FinalizedFeatures {
		if level := &resp.FinalizedFeatures[i]; level.Name == "transaction.version" {
			f.transactionVersion = level.MaxVersionLevel
		}
	}
}

// disconnected records that conn is of no more use, once.
func (l *link) disconnected(conn *wire.Conn) {
	if l.conn != conn {
		return
	}
	l.conn = nil
	l.failed()
	l.net.linkChanged(l, kerr.NetworkException)
}

func (l *link) failed() {
	l.failures++
	cfg := l.net.cfg
	wait := backoff{cfg.ReconnectBackoff, cfg.ReconnectBackoffMax}.after(l.failures, l.net.host.Rand())
	l.retryAt = l.net.host.Uptime() + wait
}

// withoutIDs goes back to the last version that names topics, if the id of one
// of them is not known.
func withoutIDs(req kmsg.Request) {
	var zero [16]byte
	switch r := req.(type) {
	case *kmsg.ProduceRequest:
		for i := range r.Topics {
			if r.Topics[i].TopicID == zero {
				r.Version = min(r.Version, 12)
			}
		}
	case *kmsg.FetchRequest:
		for i := range r.Topics {
			if r.Topics[i].TopicID == zero {
				r.Version = min(r.Version, 12)
			}
		}
	case *kmsg.OffsetCommitRequest:
		for i := range r.Topics {
			if r.Topics[i].TopicID == zero {
				r.Version = min(r.Version, 9)
			}
		}
	case *kmsg.TxnOffsetCommitRequest:
		for i := range r.Topics {
			if r.Topics[i].TopicID == zero {
				r.Version = min(r.Version, 5)
			}
		}
	case *kmsg.OffsetFetchRequest:
		for i := range r.Groups {
			if r.Groups[i].Topics == nil {
				r.Version = min(r.Version, 9) // all topics, whatever their ids
			}
			for j := range r.Groups[i].Topics {
				if r.Groups[i].Topics[j].TopicID == zero {
					r.Version = min(r.Version, 9)
				}
			}
		}
	}
}

// orForever reads the -1 with which Kafka's configuration says never.
func orForever(d time.Duration) time.Duration {
	if d < 0 {
		return env.Forever
	}
	return d
}

// drop ends the link for good; requests in flight fail.
func (l *link) drop() {
	l.dropped = true
	if l.wake == nil {
		return
	}
	if l.conn != nil {
		l.conn.Close()
	}
	l.wake.Notify()
}
