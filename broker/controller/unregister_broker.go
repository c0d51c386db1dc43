package controller

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
)

// UnregisterBroker (key 64, v0) forgets a broker: out of every ISR and ELR,
// then out of the cluster. It stays a replica of what it was a replica of.
func (c *Controller) UnregisterBroker(req *kmsg.UnregisterBrokerRequest) *kmsg.UnregisterBrokerResponse {
	resp := req.ResponseKind().(*kmsg.UnregisterBrokerResponse)
	err := c.write(commitTimeout, func(b *brain) (records, error) {
		return b.unregisterBroker(kafka.NodeID(req.BrokerID))
	})
	resp.ErrorCode, resp.ErrorMessage = kafka.Code(err), kafka.Message(err)
	return resp
}

func (b *brain) unregisterBroker(id kafka.NodeID) (records, error) {
	broker := b.image.Broker(id)
	if broker == nil {
		return nil, refuse(kerr.BrokerIDNotRegistered, "Broker ID %d is not currently registered", id)
	}
	m := noMove
	m.unclean = id
	return append(b.changesFor(m, nil), &metadata.UnregisterBrokerRecord{BrokerID: id, BrokerEpoch: broker.Epoch}), nil
}
