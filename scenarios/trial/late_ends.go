package trial

import (
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
)

// lateEnds finds the transactions that were ended by an EndTxn of an earlier one. Before transaction.version 2 all
// transactions of a producer have one epoch, and a request that arrives late ends whichever is open (KAFKA-17754):
// the coordinator then decides what the producer of the open one has not asked for.
//
// An end that a coordinator decides by itself has an epoch that no producer has.
type lateEnds struct {
	producers map[txnProducer]*askedEnd
	newest    map[string]kafka.LeaderEpoch // of coordinators, by transactional id
	late      func(transactionalID string)
}

// txnProducer is a producer id in an epoch.
type txnProducer struct {
	id    kafka.ProducerID
	epoch kafka.ProducerEpoch
}

// askedEnd is the end that a producer wants for its present transaction.
type askedEnd struct{ known, commit bool }

// ownEpochs is the transaction.version with which each transaction has an epoch of its own, so that a late EndTxn ends
// nothing.
const ownEpochs = 2

func newLateEnds(late func(string)) *lateEnds {
	return &lateEnds{producers: map[txnProducer]*askedEnd{}, newest: map[string]kafka.LeaderEpoch{}, late: late}
}

func (l *lateEnds) read(e *ledger.Entry) {
	switch x := e.Event.(type) {
	case *witness.TransactionBegun:
		l.producers[txnProducer{x.ProducerID, x.Epoch}] = &askedEnd{}
	case *witness.EndAsked:
		if asked := l.producers[txnProducer{x.ProducerID, x.Epoch}]; asked != nil {
			*asked = askedEnd{true, x.Commit}
		}
	case *witness.TxnState:
		l.decided(x)
	}
}

// decided takes in a state. One that a coordinator tells which was replaced means nothing: the next has gone on from it.
func (l *lateEnds) decided(x *witness.TxnState) {
	by := txnProducer{x.ProducerID, x.Epoch}
	switch stale := x.CoordinatorEpoch < l.newest[x.TxnID]; {
	case stale:
		return
	case x.Version >= ownEpochs:
		delete(l.producers, txnProducer{x.ProducerID, x.Epoch - 1})
	case x.To == "PrepareCommit" || x.To == "PrepareAbort":
		if asked := l.producers[by]; asked != nil && (!asked.known || asked.commit != (x.To == "PrepareCommit")) {
			l.late(x.TxnID)
		}
	}
	l.newest[x.TxnID] = x.CoordinatorEpoch
}
