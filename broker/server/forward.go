package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/wire"
)

// What clients ask of the controller, they ask of any broker, which passes it
// on (KIP-590): CreateTopics, DeleteTopics, CreatePartitions, ElectLeaders,
// AlterPartitionReassignments, ListPartitionReassignments, DescribeQuorum,
// UpdateFeatures, UnregisterBroker, and changes of configuration.
//
// Kafka wraps the request in an Envelope with the client's principal. Without
// principals there is nothing to wrap: the request is sent again, as it came,
// in the client's own version, over the broker's channel. The controller's
// answer goes back as it is. NOT_CONTROLLER never reaches the client: the
// channel looks for another controller until request.timeout.ms, and then the
// answer is REQUEST_TIMED_OUT; whether the request was executed is not known.

// forward handles one kind of request by passing it on.
func forward[R kmsg.Request](b *Broker) func(*wire.Context, R) kmsg.Response {
	return func(_ *wire.Context, req R) kmsg.Response { return b.forwarded(req) }
}

// forwarded is the controller's answer, or that there was none in time.
func (b *Broker) forwarded(req kmsg.Request) kmsg.Response {
	resp, err := b.Forward.call(req, b.Settings.RequestTimeout)
	if err != nil {
		return refuse(req, kerr.RequestTimedOut)
	}
	return resp
}
