package server

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/sim/env"
)

const (
	// noControllerPause is how long a channel waits for a controller to be
	// known, and between two attempts.
	noControllerPause = 50 * time.Millisecond
	// controllerSocketTimeout is controller.socket.timeout.ms.
	controllerSocketTimeout = 30 * time.Second
	connectTimeout          = 10 * time.Second
)

// Channel is a way to the active controller, wherever it is just now. One
// request at a time is on its way, as in Kafka; the others wait their turn.
// Components that must not wait for each other have a channel each.
type Channel struct {
	host     env.Host
	clientID string
	// find is where the controller listener of the active controller is, as
	// far as this node knows, or "".
	find func() string

	conn *wire.Conn
	busy bool
	free env.Signal
}

// NewChannel makes a channel. name distinguishes it from others of this node.
func NewChannel(host env.Host, name string, find func() string) *Channel {
	return &Channel{
		host: host, clientID: name, find: find,
		free: host.NewSignal("channel " + name + " free"),
	}
}

// Call has the active controller answer req, in the newest version that both
// speak. It looks for another controller when one says that it is not active
// or does not answer; so req may be executed more than once. The error says
// that there was no answer within timeout. It blocks.
func (ch *Channel) Call(req kmsg.Request, timeout time.Duration) (kmsg.Response, error) {
	wire.Latest(req)
	return ch.call(req, timeout)
}

// call leaves the version of req as it is.
func (ch *Channel) call(req kmsg.Request, timeout time.Duration) (kmsg.Response, error) {
	deadline := ch.host.Uptime() + timeout
	if err := ch.acquire(deadline); err != nil {
		return nil, err
	}
	defer ch.release()
	for {
		resp, err := ch.attempt(req, deadline)
		if err == nil {
			return resp, nil
		}
		if ch.host.Uptime()+noControllerPause >= deadline {
			return nil, fmt.Errorf("%s: %s: no answer of a controller within %v (last: %v): %w",
				ch.clientID, kmsg.NameForKey(req.Key()), timeout, err, kerr.RequestTimedOut)
		}
		ch.host.Sleep(noControllerPause)
	}
}

// attempt asks the node that is said to be the active controller.
func (ch *Channel) attempt(req kmsg.Request, deadline time.Duration) (kmsg.Response, error) {
	addr := ch.find()
	if addr == "" {
		return nil, kerr.NotController
	}
	if ch.conn != nil && (ch.conn.Addr() != addr || ch.conn.Err() != nil) {
		ch.conn.Close()
		ch.conn = nil
	}
	if ch.conn == nil {
		conn, err := wire.Dial(ch.host, addr, ch.clientID, min(connectTimeout, deadline-ch.host.Uptime()))
		if err != nil {
			return nil, err
		}
		ch.conn = conn
	}
	left := deadline - ch.host.Uptime()
	if left <= 0 {
		return nil, env.ErrTimeout
	}
	resp, err := ch.conn.Call(req, min(controllerSocketTimeout, left))
	if err != nil {
		return nil, err
	}
	if notController(resp) {
		return nil, kerr.NotController
	}
	return resp, nil
}

func (ch *Channel) acquire(deadline time.Duration) error {
	for ch.busy {
		if !ch.free.Wait(max(0, deadline-ch.host.Uptime())) {
			return fmt.Errorf("%s: busy: %w", ch.clientID, kerr.RequestTimedOut)
		}
	}
	ch.busy = true
	return nil
}

func (ch *Channel) release() {
	ch.busy = false
	ch.free.Notify()
}

// Close ends the connection, if there is one. A call that waits on it tries
// again until its timeout.
func (ch *Channel) Close() {
	if ch.conn != nil {
		ch.conn.Close()
	}
}
