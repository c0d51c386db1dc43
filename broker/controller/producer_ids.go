package controller

import (
	"math"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
)

// producerIDBlock is how many producer ids a broker gets at once.
const producerIDBlock = 1000

// AllocateProducerIDs (key 67, v0) gives a broker a block of producer ids that
// no other broker will ever get (KIP-730).
func (c *Controller) AllocateProducerIDs(req *kmsg.AllocateProducerIDsRequest) *kmsg.AllocateProducerIDsResponse {
	resp := req.ResponseKind().(*kmsg.AllocateProducerIDsResponse)
	var start kafka.ProducerID
	err := c.write(commitTimeout, func(b *brain) (out records, err error) {
		start, out, err = b.allocateProducerIDs(req)
		return out, err
	})
	if err != nil {
		resp.ErrorCode = kafka.Code(err)
		return resp
	}
	resp.ProducerIDStart, resp.ProducerIDLen = int64(start), producerIDBlock
	return resp
}

func (b *brain) allocateProducerIDs(req *kmsg.AllocateProducerIDsRequest) (kafka.ProducerID, records, error) {
	id, epoch := kafka.NodeID(req.BrokerID), kafka.BrokerEpoch(req.BrokerEpoch)
	if err := b.checkEpoch(id, epoch); err != nil {
		return 0, nil, err
	}
	start := b.image.NextProducerID()
	if start > math.MaxInt64-producerIDBlock {
		return 0, nil, refuse(kerr.UnknownServerError, "all producer ids below %d are given away", start)
	}
	return start, records{&metadata.ProducerIdsRecord{
		BrokerID: id, BrokerEpoch: epoch, NextProducerID: start + producerIDBlock,
	}}, nil
}
