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

// coordinator is the broker that coordinates a group, as far as its member knows.
type coordinator struct {
	net   *network
	group string
	// changed is called when it was found or forgotten. It must not block.
	changed func()
	// found is called when it was found.
	found func(now time.Duration)

	link     *link   // nil: unknown
	old      []*link // to brokers that no longer are; dropped by the next work
	wanted   bool    // it was not ready when it was asked for
	asking   bool    // a FindCoordinator is on its way
	failures int     // to find it or to connect to it, in a row
	retryAt  time.Duration
	fatal    error // FindCoordinator's, for the application
}

// groupKey is the kind of coordinator that FindCoordinator is asked for.
const groupKey int8 = 0

// ready reports whether requests can be sent to it. If not it is looked for or
// connected to, and changed is called when there is news; wakeAt is when to ask
// again if there is none.
func (co *coordinator) ready(now time.Duration) bool {
	if co.link != nil && co.link.open() {
		co.failures = 0
		return true
	}
	co.wanted = true
	if co.link == nil {
		co.find(now)
		return false
	}
	if co.link.delay() > 0 {
		co.forget("coordinator unavailable")
		co.backOff() // brokers that do not know yet that it is gone would name it again at once
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
	req.CoordinatorType, req.CoordinatorKey, req.CoordinatorKeys = groupKey, co.group, []string{co.group}
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
	c, err := coordinatorOf(resp, co.group)
	if err != nil {
		return err
	}
	co.link = co.net.coordinatorLink(kafka.NodeID(c.NodeID), joinAddr(c.Host, c.Port))
	co.link.want()
	co.net.host.Tell(&witness.CoordinatorFound{Group: co.group, Coordinator: kafka.NodeID(c.NodeID)})
	co.found(co.net.host.Uptime())
	return nil
}

func (co *coordinator) notFound(err error) {
	var k *kerr.Error
	if errors.As(err, &k) && !k.Retriable && k != kerr.NetworkException {
		co.fatal = fmt.Errorf("client: find coordinator of group %s: %w", co.group, err)
		return
	}
	co.backOff()
	co.net.metadata.requestUpdate()
}

// backOff has the next FindCoordinator wait. Until there is a connection to the
// coordinator the waits grow, as in AbstractCoordinator.ensureCoordinatorReady.
func (co *coordinator) backOff() {
	co.failures++
	co.retryAt = co.net.host.Uptime() + co.net.retryBackoff(co.failures)
}

// takeFatal is the error of the application's next call; then it is asked again.
func (co *coordinator) takeFatal() error {
	err := co.fatal
	co.fatal = nil
	return err
}

// forget has it looked for again. What is on its way to the old one fails.
func (co *coordinator) forget(reason string) {
	if co.link == nil {
		return
	}
	co.net.host.Tell(&witness.CoordinatorForgotten{Group: co.group, Coordinator: co.link.node, Reason: reason})
	co.old = append(co.old, co.link)
	co.link = nil
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
