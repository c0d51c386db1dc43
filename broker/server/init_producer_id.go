package server

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/sim/env"
)

// InitProducerId 0-5.
//
//   - Without a transactional id: a new producer id with epoch 0, whatever the
//     producer had before (KIP-360: that is how it starts over). Half an
//     identity, an id without an epoch or the reverse, is INVALID_REQUEST, and so
//     is an empty transactional id.
//   - Ids come from blocks of a thousand that the controller gives away
//     (KIP-730). While none can be had, the answer is
//     COORDINATOR_LOAD_IN_PROGRESS, as in Kafka, and the producer asks again.
//
// Missing: transactional ids, until there is a transaction coordinator. They
// are answered with COORDINATOR_NOT_AVAILABLE.
func (b *Broker) initProducerID(_ *wire.Context, req *kmsg.InitProducerIDRequest) kmsg.Response {
	resp := kmsg.NewPtrInitProducerIDResponse()
	resp.ProducerID, resp.ProducerEpoch = int64(kafka.NoProducer), kafka.NoEpoch
	hasID, hasEpoch := req.ProducerID != int64(kafka.NoProducer), req.ProducerEpoch != kafka.NoEpoch
	switch {
	case req.Version >= 3 && hasID != hasEpoch:
		resp.ErrorCode = kerr.InvalidRequest.Code
		return resp
	case req.TransactionalID != nil && *req.TransactionalID == "":
		resp.ErrorCode = kerr.InvalidRequest.Code
		return resp
	case req.TransactionalID != nil:
		resp.ErrorCode = kerr.CoordinatorNotAvailable.Code
		return resp
	}
	id, err := b.producers.take()
	if err != nil {
		resp.ErrorCode = kafka.Code(err)
		return resp
	}
	resp.ProducerID, resp.ProducerEpoch = int64(id), 0
	return resp
}

// producerIDs gives producer ids out of blocks from the controller.
type producerIDs struct {
	node    kafka.NodeID
	epoch   func() kafka.BrokerEpoch
	channel *Channel
	timeout time.Duration

	next, end kafka.ProducerID // of the block at hand
	asking    bool
	arrived   env.Signal
}

// take is a producer id that was never given out. It blocks while the
// controller is asked for a block: one task asks, the others wait for it.
func (p *producerIDs) take() (kafka.ProducerID, error) {
	for p.next == p.end {
		if p.asking {
			p.arrived.Wait(env.Forever)
			continue
		}
		p.asking = true
		err := p.refill()
		p.asking = false
		p.arrived.Broadcast()
		if err != nil {
			return 0, err
		}
	}
	id := p.next
	p.next++
	return id, nil
}

func (p *producerIDs) refill() error {
	req := kmsg.NewPtrAllocateProducerIDsRequest()
	req.BrokerID, req.BrokerEpoch = int32(p.node), int64(p.epoch())
	answer, err := p.channel.Call(req, p.timeout)
	if err != nil {
		return fmt.Errorf("producer ids: %v: %w", err, kerr.CoordinatorLoadInProgress)
	}
	resp := answer.(*kmsg.AllocateProducerIDsResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return fmt.Errorf("producer ids: %v: %w", err, kerr.CoordinatorLoadInProgress)
	}
	p.next = kafka.ProducerID(resp.ProducerIDStart)
	p.end = p.next + kafka.ProducerID(resp.ProducerIDLen)
	return nil
}
