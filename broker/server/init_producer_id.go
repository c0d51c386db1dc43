package server

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/txn"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/sim/env"
)

// InitProducerId 0-5.
//
//   - Without a transactional id: a new producer id with epoch 0, whatever the
//     producer had before (KIP-360: that is how it starts over). Half an
//     identity, an id without an epoch or the reverse, is INVALID_REQUEST, and so
//     is an empty transactional id.
//   - With one the transaction coordinator decides: package txn.
//   - Ids come from blocks of a thousand that the controller gives away
//     (KIP-730). While none can be had, the answer is
//     COORDINATOR_LOAD_IN_PROGRESS, as in Kafka, and the producer asks again.
//   - Below v4 a fenced producer is told INVALID_PRODUCER_EPOCH.
func (b *Broker) initProducerID(_ *wire.Context, req *kmsg.InitProducerIDRequest) kmsg.Response {
	resp := kmsg.NewPtrInitProducerIDResponse()
	resp.ProducerID, resp.ProducerEpoch = int64(kafka.NoProducer), kafka.NoEpoch
	by, err := b.initProducer(req)
	if err != nil {
		resp.ErrorCode = fencedBefore(4, req.Version, kafka.Code(err))
		return resp
	}
	resp.ProducerID, resp.ProducerEpoch = int64(by.ID), int16(by.Epoch)
	return resp
}

func (b *Broker) initProducer(req *kmsg.InitProducerIDRequest) (coordinator.Producer, error) {
	expected := coordinator.NoProducer
	if req.Version >= 3 {
		expected = coordinator.Producer{ID: kafka.ProducerID(req.ProducerID), Epoch: kafka.ProducerEpoch(req.ProducerEpoch)}
	}
	switch {
	case (expected.ID == kafka.NoProducer) != (expected.Epoch == kafka.NoEpoch):
		return coordinator.NoProducer, kerr.InvalidRequest
	case req.TransactionalID == nil:
		id, err := b.Producers.take()
		return coordinator.Producer{ID: id, Epoch: 0}, err
	case *req.TransactionalID == "":
		return coordinator.NoProducer, kerr.InvalidRequest
	}
	var by coordinator.Producer
	err := b.Transactions.write(*req.TransactionalID, "InitProducerId", func(m *txn.Machine) (d coordinator.Decision, err error) {
		d, by, err = m.InitProducerID(*req.TransactionalID, req.TransactionTimeoutMillis, expected)
		return d, err
	})
	if err == nil && by == coordinator.NoProducer {
		err = kerr.ConcurrentTransactions // the transaction before is being aborted
	}
	return by, err
}

// fencedBefore is an error as clients know it that ask with a version before the first that knows
// PRODUCER_FENCED (KIP-588).
func fencedBefore(first, version, code int16) int16 {
	if version < first && code == kerr.ProducerFenced.Code {
		return kerr.InvalidProducerEpoch.Code
	}
	return code
}

// ProducerIDs gives producer ids out of blocks from the controller.
type ProducerIDs struct {
	host    env.Host
	node    kafka.NodeID
	epoch   func() kafka.BrokerEpoch
	channel *Channel
	timeout time.Duration

	next, end kafka.ProducerID // of the block at hand
	asking    bool
	arrived   env.Signal
}

// NewProducerIDs makes one without a block.
func NewProducerIDs(host env.Host, node kafka.NodeID, epoch func() kafka.BrokerEpoch, channel *Channel, timeout time.Duration) *ProducerIDs {
	return &ProducerIDs{host: host, node: node, epoch: epoch, channel: channel, timeout: timeout, arrived: host.NewSignal("producer ids")}
}

// Take is take that does not block: while there is no block it refuses with
// COORDINATOR_LOAD_IN_PROGRESS, and has one fetched.
func (p *ProducerIDs) Take() (kafka.ProducerID, error) {
	if p.next == p.end {
		if !p.asking {
			p.asking = true
			p.host.Go("producer ids", func() {
				_ = p.refill() // the client asks again
				p.asking = false
				p.arrived.Broadcast()
			})
		}
		return 0, kerr.CoordinatorLoadInProgress
	}
	id := p.next
	p.next++
	return id, nil
}

// take is a producer id that was never given out. It blocks while the
// controller is asked for a block: one task asks, the others wait for it.
func (p *ProducerIDs) take() (kafka.ProducerID, error) {
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

func (p *ProducerIDs) refill() error {
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
