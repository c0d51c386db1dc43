package log

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
)

// Guard stands for one question to the transaction coordinator: is this partition in
// the producer's transaction? It is good for the first append of a transaction, and
// only while no marker and no other append came in between (KIP-890). The zero Guard
// is good for nothing.
type Guard uint64

// verification is a question that is under way, or whose answer was not used yet.
type verification struct {
	guard Guard
	// lowest is the lowest sequence that came in epoch. A later one must not be
	// appended before it.
	lowest kafka.Sequence
	epoch  kafka.ProducerEpoch
	// bumpsEpoch: the producer gives each transaction an epoch of its own
	// (transaction.version 2).
	bumpsEpoch bool
	since      int64
}

// verifications are those of a log, by producer.
type verifications map[kafka.ProducerID]*verification

// BeginVerification is called before the coordinator is asked whether the partition
// is in the transaction of a producer, of which a batch came with this epoch and
// sequence. It gives the zero Guard if that need not be asked: the transaction is
// open here. An epoch that was fenced is INVALID_PRODUCER_EPOCH.
func (l *Log) BeginVerification(id kafka.ProducerID, epoch kafka.ProducerEpoch, sequence kafka.Sequence, bumpsEpoch bool) (Guard, error) {
	if p := l.producers.byID[id]; p != nil {
		if epoch < p.epoch {
			return 0, fmt.Errorf("log: verify a transaction in %v: %w: producer %d has epoch %d, expected at least %d",
				l.tp, kerr.InvalidProducerEpoch, id, epoch, p.epoch)
		}
		if p.txnStart != kafka.NoOffset && epoch == p.epoch {
			return 0, nil
		}
	}
	v := l.verifications[id]
	if v == nil {
		l.guards++
		v = &verification{guard: l.guards, lowest: sequence, epoch: epoch, bumpsEpoch: bumpsEpoch, since: l.now()}
		if l.verifications == nil {
			l.verifications = verifications{}
		}
		l.verifications[id] = v
	}
	switch {
	case epoch > v.epoch:
		v.epoch, v.lowest = epoch, sequence
	case epoch == v.epoch:
		v.lowest = min(v.lowest, sequence)
	}
	return v.guard, nil
}

// checkVerified refuses transactional records outside of a transaction that the
// coordinator knows of: they would hang, for no marker would ever end them. That the
// epoch was fenced is the better answer, as a producer can act on it (KAFKA-19690).
func (l *Log) checkVerified(batches []byte, how Append) error {
	if !l.opts.VerifyTransactions || how.Origin == Internal {
		return nil
	}
	for rest := batches; len(rest) > 0; {
		var b record.Batch
		b, rest, _ = record.Next(rest)
		if !b.IsTransactional() || b.IsControl() || !b.HasProducer() {
			continue
		}
		p := l.producers.copyOf(b.ProducerID())
		if p.txnStart != kafka.NoOffset && p.epoch == b.ProducerEpoch() {
			continue
		}
		if v := l.verifications[b.ProducerID()]; v != nil && how.Guard != 0 && v.guard == how.Guard {
			continue
		}
		if b.ProducerEpoch() < p.epoch {
			return fmt.Errorf("%w: producer %d has epoch %d, expected at least %d",
				kerr.InvalidProducerEpoch, p.id, b.ProducerEpoch(), p.epoch)
		}
		if how.Guard != 0 {
			l.host.Reached(ProbeVerifiedTooLate)
		}
		if bugs := l.opts.Bugs; how.Guard != 0 && bugs.On(planted.TxnVerifyNotRechecked) {
			bugs.Infected(planted.TxnVerifyNotRechecked, true)
			continue
		}
		return fmt.Errorf("%w: record of producer %d was not part of an ongoing transaction", kerr.InvalidTxnState, p.id)
	}
	return nil
}

// verified ends the verifications of the producers whose batches are appended: their
// transaction is open here from now on, or it is over. A marker leaves the question
// that was asked for the next transaction already.
func (l *Log) verified(batches []byte) {
	for rest := batches; len(rest) > 0 && len(l.verifications) > 0; {
		var b record.Batch
		b, rest, _ = record.Next(rest)
		v := l.verifications[b.ProducerID()]
		if v == nil || !b.IsTransactional() || b.IsControl() && v.bumpsEpoch && v.epoch == b.ProducerEpoch() {
			continue
		}
		delete(l.verifications, b.ProducerID())
	}
}

// expireVerifications forgets questions that were asked long ago.
func (l *Log) expireVerifications() {
	for id, v := range l.verifications { //det:allow each by itself
		if l.now()-v.since >= l.opts.ProducerExpiry.Milliseconds() {
			delete(l.verifications, id)
		}
	}
}
