package controller

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
)

// BrokerHeartbeat (key 63, v0-1) keeps a broker's session alive and moves it
// between its states: fenced, unfenced, in controlled shutdown, gone.
//
// Behavior:
//   - A fenced broker that wants in is unfenced once it has applied the
//     metadata log up to its own registration.
//   - A broker that wants to stop gives its leaderships away, and may stop when
//     every active broker has seen that it did.
//   - A heartbeat that changes nothing writes nothing.
//
// Missing: offline log directories; a broker has one, and stops without it.
func (c *Controller) BrokerHeartbeat(req *kmsg.BrokerHeartbeatRequest) *kmsg.BrokerHeartbeatResponse {
	resp := req.ResponseKind().(*kmsg.BrokerHeartbeatResponse)
	resp.IsFenced = true
	id := kafka.NodeID(req.BrokerID)
	var next brokerState
	err := c.writeThen(commitTimeout, func(b *brain) (out records, err error) {
		next, out, err = b.heartbeat(req)
		if err == nil && next == shutDownNow && b.brokerState(id) == shuttingDown {
			c.host.Tell(&witness.ShutdownGranted{Broker: id})
		}
		return out, err
	}, func(last kafka.Offset) {
		c.sessions.heard(id, next, c.host.Uptime(), kafka.Offset(req.CurrentMetadataOffset), last)
		if next == unfenced && c.sessions.unfenced() == 1 {
			c.wake.Broadcast() // the first session: there is something to expire
		}
	})
	if err != nil {
		resp.ErrorCode = kafka.Code(err)
		return resp
	}
	resp.IsCaughtUp = req.CurrentMetadataOffset >= req.BrokerEpoch
	resp.IsFenced = next.fenced()
	resp.ShouldShutdown = next == shutDownNow
	return resp
}

// brokerState is what a broker is to the controller.
type brokerState int8

const (
	fenced brokerState = iota
	unfenced
	shuttingDown
	shutDownNow
)

func (s brokerState) fenced() bool { return s == fenced || s == shutDownNow }

// heartbeat returns the state that a broker is in from now on, and what makes
// it so.
func (b *brain) heartbeat(req *kmsg.BrokerHeartbeatRequest) (brokerState, records, error) {
	id := kafka.NodeID(req.BrokerID)
	if err := b.checkEpoch(id, kafka.BrokerEpoch(req.BrokerEpoch)); err != nil {
		return fenced, nil, err
	}
	now := b.brokerState(id)
	next := b.nextState(now, req)
	if next == now {
		return next, nil, nil
	}
	switch {
	case next == unfenced:
		return next, b.unfence(id), nil
	case next == shuttingDown:
		return next, b.beginShutdown(id), nil
	case now == fenced:
		return next, nil, nil // to shut down: there is nothing to take away
	}
	return next, b.fence(id), nil
}

// brokerState finds by the session whether a broker is shutting down: after a
// change of the controller the broker asks again, and so gets a new offset for
// the others to pass.
func (b *brain) brokerState(id kafka.NodeID) brokerState {
	x := b.sessions.get(id)
	switch {
	case b.image.Broker(id).Fenced:
		return fenced
	case x != nil && x.shutdownOffset >= 0:
		return shuttingDown
	}
	return unfenced
}

func (b *brain) nextState(now brokerState, req *kmsg.BrokerHeartbeatRequest) brokerState {
	id := kafka.NodeID(req.BrokerID)
	switch now {
	case fenced:
		switch {
		case req.WantShutdown:
			return shutDownNow
		case b.image.Broker(id).InControlledShutdown:
			// No process comes back from that. This heartbeat was sent before,
			// and late: Kafka would unfence the broker, and let it lead.
			return fenced
		case !req.WantFence && req.CurrentMetadataOffset >= req.BrokerEpoch:
			return unfenced
		}
		return fenced
	case unfenced:
		switch {
		case req.WantFence && req.WantShutdown:
			return shutDownNow
		case req.WantFence:
			return fenced
		case req.WantShutdown && b.leads(id):
			return shuttingDown
		case req.WantShutdown:
			return shutDownNow
		}
		return unfenced
	}
	switch {
	case b.leads(id):
		return shuttingDown
	case b.sessions.get(id).shutdownOffset > b.sessions.lowestActive():
		b.reached(ProbeLeftUnknown)
		return shuttingDown
	}
	return shutDownNow
}
