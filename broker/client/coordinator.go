package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
)

// coordinator is the broker that coordinates a group, or the transactions of a
// transactional id, as far as its client knows.
type coordinator struct {
	net  *network
	kind coordinatorKind
	key  string // the group, or the transactional id
	// shared: requests go over the link on which the broker is sent everything else.
	shared bool
	// changed is called when it was found or forgotten. It must not block.
	changed func()
	// found is called when it was found; nil: it is not a group member's.
	found func(now time.Duration)

	// keeps: the connection to a coordinator that is forgotten stays, and what is under
	// way on it. So Java's client does in KIP-848 groups: a member that joins anew over
	// another connection may be overtaken by its own older request, whose answer with
	// its assignment is lost then.
	keeps bool

	link     *link   // nil: unknown
	former   *link   // the one that was forgotten last; nil: there is none, or another was found
	old      []*link // to brokers that no longer are; dropped by the next work
	wanted   bool    // it was not ready when it was asked for
	asking   bool    // a FindCoordinator is on its way
	failures int     // to find it, in a row
	refused  int     // connections to it, in a row
	retryAt  time.Duration
	fatal    error // FindCoordinator's, for the application
}

// coordinatorKind is what FindCoordinator is asked for.
type coordinatorKind int8

// The numbers are those of the wire.
const (
	groupCoordinator coordinatorKind = iota
	transactionCoordinator
)

var coordinatorKinds = [...]string{"group", "transactional id"}

func (k coordinatorKind) String() string { return coordinatorKinds[k] }

// ready reports whether requests can be sent to it. If not it is looked for or
// connected to, and changed is called when there is news; wakeAt is when to ask
// again if there is none.
func (co *coordinator) ready(now time.Duration) bool {
	if co.link != nil && co.link.open() {
		return true
	}
	if co.link != nil && co.link.dropped {
		co.forget("coordinator has another address")
	}
	co.wanted = true
	if co.link == nil {
		co.find(now)
		return false
	}
	if co.link.delay() > 0 {
		co.forget("coordinator unavailable")
		// All others may still take it for the coordinator. The waits grow until there is
		// a connection, as in AbstractCoordinator.ensureCoordinatorReady.
		co.refused++
		co.retryAt = now + co.net.retryBackoff(co.refused)
		return false
	}
	co.link.want()
	return false
}

// work goes on with looking for it.
func (co *coordinator) work(now time.Duration) {
	co.dropOld()
	if co.wanted {
		co.wanted = false
		co.ready(now) // sets wanted again unless it is
	}
}

// known reports whether there is one that can be reached.
func (co *coordinator) known() bool { return co.link != nil && co.link.open() }

// find asks any broker for the coordinator, unless that is going on.
func (co *coordinator) find(now time.Duration) {
	if co.asking || now < co.retryAt || co.net.closed || co.fatal != nil {
		return
	}
	l, wait := co.net.leastLoaded()
	if l == nil {
		co.retryAt = now + max(wait, time.Millisecond)
		return
	}
	if !l.open() {
		l.want()
		return
	}
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorType, req.CoordinatorKey, req.CoordinatorKeys = int8(co.kind), co.key, []string{co.key}
	co.asking = true
	l.send(req, func(resp kmsg.Response, err error) {
		co.asking = false
		if err == nil {
			err = co.answered(resp.(*kmsg.FindCoordinatorResponse))
		}
		if err != nil {
			co.notFound(err)
		}
		co.changed()
	})
}

// coordinatorOf is the answer for one key, in any version.
func coordinatorOf(resp *kmsg.FindCoordinatorResponse, key string) (kmsg.FindCoordinatorResponseCoordinator, error) {
	if resp.Version < 4 {
		return kmsg.FindCoordinatorResponseCoordinator{
			Key: key, NodeID: resp.NodeID, Host: resp.Host, Port: resp.Port,
		}, code(resp.ErrorCode, resp.ErrorMessage)
	}
	for _, c := range resp.Coordinators {
		if c.Key == key {
			return c, code(c.ErrorCode, c.ErrorMessage)
		}
	}
	return kmsg.FindCoordinatorResponseCoordinator{}, errUnanswered
}

func (co *coordinator) answered(resp *kmsg.FindCoordinatorResponse) error {
	c, err := coordinatorOf(resp, co.key)
	if err != nil {
		return err
	}
	co.failures = 0
	if co.shared {
		co.net.metadata.meet(kafka.NodeID(c.NodeID), c.Host, c.Port, nil)
		co.link = co.net.link(kafka.NodeID(c.NodeID))
		co.link.want()
	} else {
		co.connect(kafka.NodeID(c.NodeID), joinAddr(c.Host, c.Port))
	}
	if co.found != nil {
		co.net.host.Tell(&witness.CoordinatorFound{Group: co.key, Coordinator: kafka.NodeID(c.NodeID)})
		co.found(co.net.host.Uptime())
	}
	return nil
}

// connect takes a broker for the coordinator. If it was so before, its connection is
// used again, or else opened no sooner than after its backoff.
func (co *coordinator) connect(node kafka.NodeID, addr string) {
	former := co.former
	co.former = nil
	again := former != nil && former.node == node && former.addr == addr
	switch {
	case again && co.keeps:
		co.link = former
	default:
		co.link = co.net.coordinatorLink(node, addr)
		if again {
			co.link.failures, co.link.retryAt = former.failures, former.retryAt
		} else if former != nil && co.keeps {
			co.old = append(co.old, former)
		}
	}
	co.link.want()
}

func (co *coordinator) notFound(err error) {
	var k *kerr.Error
	if errors.As(err, &k) && !k.Retriable && k != kerr.NetworkException {
		co.fatal = fmt.Errorf("client: find coordinator of %v %s: %w", co.kind, co.key, err)
		return
	}
	co.failures++
	co.retryAt = co.net.host.Uptime() + co.net.retryBackoff(co.failures)
	co.net.metadata.requestUpdate()
}

// takeFatal is the error of the application's next call; then it is asked again.
func (co *coordinator) takeFatal() error {
	err := co.fatal
	co.fatal = nil
	return err
}

// forget has it looked for again. What is on its way to the old one fails, unless its
// connection is kept.
func (co *coordinator) forget(reason string) {
	if co.link == nil {
		return
	}
	if co.found != nil {
		co.net.host.Tell(&witness.CoordinatorForgotten{Group: co.key, Coordinator: co.link.node, Reason: reason})
	}
	if co.shared {
		co.link = nil
	} else {
		if !co.keeps {
			co.old = append(co.old, co.link)
		}
		co.link, co.former = nil, co.link
	}
	co.changed()
}

// dropOld ends the links to brokers that are coordinators no more.
func (co *coordinator) dropOld() {
	old := co.old
	co.old = nil
	for _, l := range old {
		co.net.remove(l)
	}
}

// send sends req to the coordinator, which must be ready. If there is no answer it is
// forgotten before done is called.
func (co *coordinator) send(req kmsg.Request, timeout time.Duration, done func(kmsg.Response, error)) {
	l := co.link
	co.refused = 0
	l.sendWithin(req, timeout, func(resp kmsg.Response, err error) {
		if err != nil && co.link == l && !errors.Is(err, kerr.UnsupportedVersion) {
			co.forget("disconnected")
		}
		done(resp, err)
	})
}

// wakeAt is when to look again without news.
func (co *coordinator) wakeAt(now time.Duration) (at time.Duration, ok bool) {
	switch {
	case co.wanted && co.link == nil && !co.asking && co.fatal == nil && co.retryAt > now:
		return co.retryAt, true
	case co.link != nil && !co.link.open() && co.link.delay() > 0:
		return now + co.link.delay(), true
	}
	return 0, false
}
