package client

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
)

// judgement is what a broker, or the lack of an answer, says of one batch.
type judgement struct {
	err     *kerr.Error // nil: written
	unsent  bool        // no byte of the request was written
	message string
	records []kmsg.ProduceResponseTopicPartitionErrorRecord

	base       kafka.Offset
	appendTime int64
	logStart   kafka.Offset
	hint       hint
}

// refused reports whether an error says for certain that the attempt it
// answers was not written. Others may come after the append: a leader that
// steps down while it waits for its followers answers NOT_LEADER, and what it
// appended may well survive.
func refused(err *kerr.Error) bool {
	switch err {
	case kerr.CorruptMessage, kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidTopicException,
		kerr.NotEnoughReplicas, kerr.InvalidRequiredAcks, kerr.TopicAuthorizationFailed,
		kerr.ClusterAuthorizationFailed, kerr.InvalidTimestamp, kerr.UnsupportedVersion,
		kerr.UnsupportedForMessageFormat, kerr.PolicyViolation, kerr.OutOfOrderSequenceNumber,
		kerr.InvalidProducerEpoch, kerr.UnknownProducerID, kerr.UnsupportedCompressionType,
		kerr.InvalidRecord, kerr.ProducerFenced, kerr.UnknownTopicID, kerr.ThrottlingQuotaExceeded,
		kerr.TransactionalIDAuthorizationFailed, kerr.InvalidTxnState, kerr.InvalidProducerIDMapping,
		kerr.TransactionAbortable, kerr.ConcurrentTransactions:
		return true
	}
	return false
}

// staleMetadata reports whether an error is a sign that leaders have moved.
func staleMetadata(err *kerr.Error) bool {
	switch err {
	case kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.UnknownTopicOrPartition, kerr.UnknownTopicID,
		kerr.InconsistentTopicID, kerr.KafkaStorageError, kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch,
		kerr.ReplicaNotAvailable, kerr.ListenerNotFound, kerr.NetworkException, kerr.RequestTimedOut:
		return true
	}
	return false
}

// judge settles b, or has it sent again.
func (p *Producer) judge(b *batch, v judgement) {
	if v.err != nil {
		b.doubt = b.doubt || !v.unsent && !refused(v.err)
		if staleMetadata(v.err) {
			p.net.metadata.follow(b.queue.tp, v.hint)
			p.net.metadata.requestUpdate()
		}
	}
	switch {
	case v.err == nil:
		p.acknowledge(b, v)
	case v.err == kerr.DuplicateSequenceNumber:
		// Written long ago: the broker no longer knows where.
		v.base, v.appendTime = kafka.NoOffset, record.NoTimestamp
		p.acknowledge(b, v)
	case v.err == kerr.MessageTooLarge && b.count() > 1 && !b.doubt:
		// One in doubt is not split: if it is in the log after all, the broker
		// would not know its parts for duplicates.
		p.split(b)
	case p.idempotent() && (v.err == kerr.OutOfOrderSequenceNumber || v.err == kerr.UnknownProducerID):
		p.outOfOrder(b, v)
	case p.mayRetry(b) && retriable(v.err):
		p.retry(b)
	case isFatal(v.err) && p.txn != nil:
		p.txn.fatal(v.error(b))
		p.fail(b, v.error(b))
	case isFatal(v.err) && p.idempotent():
		p.identity.fail(v.error(b))
		p.fail(b, v.error(b))
	default:
		b.recordErrs = v.recordErrors(b)
		p.failInTransaction(b, v.error(b))
	}
}

func isFatal(err *kerr.Error) bool {
	switch err {
	case kerr.ClusterAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed, kerr.ProducerFenced, kerr.UnsupportedVersion,
		kerr.InvalidProducerIDMapping:
		return true
	}
	return false
}

// failInTransaction is fail of a batch without which the transaction, if it is in one,
// is not whole.
func (p *Producer) failInTransaction(b *batch, err error) {
	p.fail(b, err)
	if p.txn != nil {
		p.txn.batchFailed(err)
	}
}

func (v *judgement) error(b *batch) error {
	if v.message == "" {
		return fmt.Errorf("client: produce to %v: %w", b.queue.tp, v.err)
	}
	return fmt.Errorf("client: produce to %v: %s: %w", b.queue.tp, v.message, v.err)
}

// recordErrors separates the records that the broker found fault with from those
// that merely shared their batch (KIP-467).
func (v *judgement) recordErrors(b *batch) map[int32]error {
	if len(v.records) == 0 {
		return nil
	}
	errs := make(map[int32]error, b.count())
	for i := range b.count() {
		errs[i] = fmt.Errorf("client: produce to %v: another record of the batch is invalid: %w", b.queue.tp, v.err)
	}
	for _, r := range v.records {
		cause := v.err
		if len(v.records) > 1 {
			cause = kerr.InvalidRecord
		}
		text := v.message
		if r.ErrorMessage != nil {
			text = *r.ErrorMessage
		}
		errs[r.RelativeOffset] = fmt.Errorf("client: produce to %v: %s: %w", b.queue.tp, text, cause)
	}
	return errs
}

func (p *Producer) mayRetry(b *batch) bool {
	return b.attempts < p.cfg.Retries && p.net.host.Uptime() < b.created+p.cfg.DeliveryTimeout
}

func (p *Producer) retry(b *batch) {
	b.attempts++
	b.retryAt = p.net.host.Uptime() + p.net.retryBackoff(int(b.attempts))
}

func (p *Producer) acknowledge(b *batch, v judgement) {
	b.outcome, b.err = Acknowledged, nil
	b.base, b.appendTime = v.base, v.appendTime
	if b.numbered && b.id == b.queue.numbering.id {
		b.queue.numbering.known = true
	}
	p.finish(b)
}

// fail settles b without success.
func (p *Producer) fail(b *batch, err error) {
	b.outcome, b.err = Failed, err
	if b.doubt {
		b.outcome = Unknown
	}
	if b.numbered && !b.lost {
		if b.doubt {
			b.queue.gaveUp(b)
		} else {
			b.queue.missing(b)
		}
	}
	p.finish(b)
}

func (p *Producer) finish(b *batch) {
	if b.state == inFlight {
		b.queue.inFlight--
	}
	b.state, p.settled = settled, true
	if builder := b.builder; builder != nil {
		b.builder = nil
		p.builders = append(p.builders, builder)
	}
	if !b.onWire {
		p.release(b.reserved)
		b.reserved = 0
	}
}

// outOfOrder deals with OUT_OF_ORDER_SEQUENCE_NUMBER and UNKNOWN_PRODUCER_ID:
// the leader's log does not end where b begins.
func (p *Producer) outOfOrder(b *batch, v judgement) {
	q := b.queue
	switch {
	case !p.mayRetry(b):
		p.failInTransaction(b, v.error(b))
		return
	case b.lost:
		// As was to be expected.
	case q.first() != b:
		// What comes before it has failed too, or has yet to be answered: its turn
		// will come (librdkafka #4953).
	case v.err == kerr.UnknownProducerID && v.logStart < 0:
		// An old broker that cannot say what it lost.
	case b.afterDoubt && b.doubt:
		// The batch before was given up and may yet be written by a request that
		// is still on its way; then so may this one. To send it under another
		// number could write it twice.
		p.net.host.Reached(ProbeGaveUpBehind)
		p.failInTransaction(b, v.error(b))
		return
	case p.txn != nil:
		// It is not in the log and cannot get there under its number; another one is
		// for the next transaction.
		p.failInTransaction(b, v.error(b))
		return
	default:
		// All before it were acknowledged, or are known to be missing. So it is
		// not in the log and cannot get there: the leader lost what it once had.
		p.net.host.Reached(ProbeNewEpoch)
		b.lost = true
		q.missing(b)
	}
	p.retry(b)
}

// split has the parts of b sent instead of it. What was split before, or is no
// larger than batch.size, is halved: the broker's limit is not known.
func (p *Producer) split(b *batch) {
	size := int(p.cfg.BatchSize)
	if b.split || len(b.encoded) <= size {
		size = len(b.encoded) / 2
	}
	t := p.topic(b.queue.tp.Topic)
	t.ratio = max(t.ratio, ratioOne)
	b.queue.batches.replace(b, b.parts(size, record.Options{Codec: p.cfg.Compression, Level: p.cfg.Level(p.cfg.Compression)}))
	p.oldest = nil
}
