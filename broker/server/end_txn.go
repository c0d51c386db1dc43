package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/txn"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/broker/witness"
)

// EndTxn 0-5: commit or abort. From v5 on the answer has the producer id and epoch for
// the next transaction (KIP-890).
//
//   - An empty id is INVALID_REQUEST.
//   - Below v2 a fenced producer is told INVALID_PRODUCER_EPOCH.
//
// The rest is package txn's.
func (b *Broker) endTxn(_ *wire.Context, req *kmsg.EndTxnRequest) kmsg.Response {
	resp := kmsg.NewPtrEndTxnResponse()
	resp.Version = req.Version
	resp.ProducerID, resp.ProducerEpoch = int64(kafka.NoProducer), kafka.NoEpoch
	clientVersion := int16(0)
	if req.Version >= 5 {
		clientVersion = 2
	}
	by, err := b.end(req, clientVersion)
	resp.ErrorCode = fencedBefore(2, req.Version, kafka.Code(err))
	if err == nil && clientVersion >= 2 {
		resp.ProducerID, resp.ProducerEpoch = int64(by.ID), int16(by.Epoch)
		b.Host.Tell(&witness.EndAnswered{TxnID: req.TransactionalID, ProducerID: by.ID, Epoch: by.Epoch})
	}
	return resp
}

func (b *Broker) end(req *kmsg.EndTxnRequest, clientVersion int16) (by coordinator.Producer, err error) {
	if req.TransactionalID == "" {
		return coordinator.NoProducer, kerr.InvalidRequest
	}
	err = b.Transactions.write(req.TransactionalID, "EndTxn", func(m *txn.Machine) (d coordinator.Decision, err error) {
		d, by, err = m.EndTxn(req.TransactionalID, producerOf(req.ProducerID, req.ProducerEpoch), req.Commit, clientVersion)
		return d, err
	})
	return by, err
}
