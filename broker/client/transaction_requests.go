package client

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
)

// transactionKind is a kind of request. The smaller goes first (Kafka's
// TransactionManager.Priority).
type transactionKind uint8

const (
	initProducerID transactionKind = iota
	addPartitions
	addOffsets
	commitOffsets
	endTxn
	bumpEpoch // an InitProducerId after an EndTxn
)

var transactionKinds = [...]string{"InitProducerId", "AddPartitionsToTxn", "AddOffsetsToTxn", "TxnOffsetCommit", "EndTxn", "InitProducerId"}

func (k transactionKind) String() string { return transactionKinds[k] }

// priority orders the kinds; the middle three go in the order in which they came.
func (k transactionKind) priority() int {
	switch k {
	case initProducerID:
		return 0
	case endTxn:
		return 2
	case bumpEpoch:
		return 3
	}
	return 1
}

// transactionRequest is one thing that a coordinator is asked for, until it is done.
type transactionRequest struct {
	kind   transactionKind
	result *transactionResult

	partitions []*queue // of addPartitions
	group      GroupMetadata
	offsets    Offsets // of commitOffsets: those that are not accepted yet
	commit     bool    // of endTxn
	v2         bool    // of endTxn: the transaction began in the new generation

	failures int // in a row
	retryAt  time.Duration
}

// enqueue has r sent in its turn.
func (t *transactions) enqueue(r *transactionRequest) {
	at := len(t.requests)
	for at > 0 && t.requests[at-1].kind.priority() > r.kind.priority() {
		at--
	}
	t.requests = slices.Insert(t.requests, at, r)
}

// again has r sent once more, before others of its kind.
func (t *transactions) again(r *transactionRequest, wait time.Duration) {
	r.failures++
	if wait == 0 {
		wait = t.p.net.retryBackoff(r.failures)
	}
	r.retryAt = t.p.net.host.Uptime() + wait
	at := 0
	for at < len(t.requests) && t.requests[at].kind.priority() < r.kind.priority() {
		at++
	}
	t.requests = slices.Insert(t.requests, at, r)
}

func (t *transactions) initProducerID(bump bool) *transactionResult {
	result := &transactionResult{}
	t.initProducerIDFor(result, bump)
	return result
}

func (t *transactions) initProducerIDFor(result *transactionResult, bump bool) {
	kind := initProducerID
	if bump {
		kind = bumpEpoch
	}
	t.enqueue(&transactionRequest{kind: kind, result: result})
}

func (t *transactions) sendOffsets(offsets Offsets, as GroupMetadata) *transactionResult {
	r := &transactionRequest{kind: addOffsets, group: as, offsets: offsets, result: &transactionResult{}}
	if t.v2 {
		r.kind, t.started = commitOffsets, true
	}
	t.enqueue(r)
	return r.result
}

// work does what there is to do about the transaction. It reports whether that comes
// before any records: while the coordinator is asked for something, none are written.
func (t *transactions) work(now time.Duration) (first bool) {
	if t.asking {
		return true
	}
	if t.state == txnAbortable || t.state == txnAborting {
		t.failUnsent()
	}
	r := t.next()
	if r == nil {
		return false
	}
	if now < r.retryAt {
		t.p.schedule.at(t.p.shipping, r.retryAt)
		return true
	}
	co := t.coordinatorFor(r)
	if !co.ready(now) {
		t.cannotFind(co, now)
		return true
	}
	if r.kind == initProducerID {
		t.decideVersion()
	}
	t.remove(r)
	t.ask(co, r)
	return true
}

// next is the request whose turn it is. Those that have lost their purpose are ended
// on the way.
func (t *transactions) next() *transactionRequest {
	if len(t.adding) > 0 && !t.state.failed() {
		t.enqueue(&transactionRequest{kind: addPartitions, partitions: t.adding, result: &transactionResult{}})
		t.adding = nil
	}
	for len(t.requests) > 0 {
		r := t.requests[0]
		switch {
		case r.kind == endTxn && t.p.eldest() != nil:
			return nil // first every batch must be settled
		case t.state.failed():
			t.remove(r)
			t.finish(r.result, t.err)
		case r.kind == endTxn && !t.started:
			t.remove(r)
			t.ended(r.result, -1, -1)
		default:
			return r
		}
	}
	return nil
}

// failUnsent fails the records that were not sent and now never will be.
func (t *transactions) failUnsent() {
	err := error(errAborted)
	if t.state == txnAbortable {
		err = t.err
	}
	for _, q := range t.p.busy {
		for i := 0; i < q.batches.len(); i++ {
			b := q.batches.at(i)
			if b.state != waiting || b.numbered && !b.lost {
				continue
			}
			if b.lost {
				b.doubt = false // what follows a gap is not written
			}
			t.p.fail(b, fmt.Errorf("client: produce to %v: %w", q.tp, err))
		}
	}
}

func (t *transactions) coordinatorFor(r *transactionRequest) *coordinator {
	if r.kind == commitOffsets {
		return t.groupCoordinator(r.group.Group)
	}
	return t.coordinator
}

// cannotFind sees to it that a coordinator is looked for again, or takes in that there
// will be none.
func (t *transactions) cannotFind(co *coordinator, now time.Duration) {
	if err := co.takeFatal(); err != nil {
		if errors.Is(err, kerr.GroupAuthorizationFailed) || errors.Is(err, kerr.TransactionAbortable) {
			t.abortable(err)
		} else {
			t.fatal(err)
		}
		t.p.schedule.soon(t.p.shipping)
		return
	}
	if at, ok := co.wakeAt(now); ok {
		t.p.schedule.at(t.p.shipping, max(at, now+time.Millisecond))
	}
}

func (t *transactions) ask(co *coordinator, r *transactionRequest) {
	t.asking = true
	if r.kind == endTxn {
		t.p.net.host.Tell(&witness.EndAsked{
			TxnID: t.p.cfg.TransactionalID, ProducerID: t.p.identity.id, Epoch: t.p.identity.epoch, Commit: r.commit,
		})
	}
	co.send(t.request(r), t.p.cfg.RequestTimeout, func(resp kmsg.Response, err error) {
		t.asking = false
		if r.kind == endTxn && r.commit {
			t.inDoubt = t.inDoubt || undecided(resp, err)
		}
		switch {
		case t.p.closed:
			return
		case t.state == txnFatal:
			t.finish(r.result, t.err)
		case errors.Is(err, kerr.UnsupportedVersion):
			t.react(co, r, reaction{verdict: mustClose, err: err})
		case err != nil:
			t.again(r, 0) // its coordinator was forgotten
		default:
			t.answered(co, r, resp)
		}
		t.p.shipSoon()
	})
}

// undecided reports whether an attempt to commit may have been carried out. A coordinator
// that answers that it is none may have written the decision before it lost its log.
func undecided(resp kmsg.Response, err error) bool {
	if err != nil {
		return !errors.Is(err, errNotSent)
	}
	switch refused := kerr.TypedErrorForCode(resp.(*kmsg.EndTxnResponse).ErrorCode); refused {
	case nil, kerr.ConcurrentTransactions, kerr.CoordinatorLoadInProgress:
		return false
	default:
		return retriable(refused)
	}
}

// request is r as it goes over the wire, with the id and epoch of the producer at the time that
// it is sent.
func (t *transactions) request(r *transactionRequest) kmsg.Request {
	id, epoch, name := int64(t.p.identity.id), int16(t.p.identity.epoch), t.p.cfg.TransactionalID
	switch r.kind {
	case initProducerID, bumpEpoch:
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID, req.TransactionTimeoutMillis = &name, int32(t.p.cfg.TransactionTimeout.Milliseconds())
		if r.kind == bumpEpoch {
			req.ProducerID, req.ProducerEpoch = id, epoch
		}
		return req
	case addPartitions:
		req := kmsg.NewPtrAddPartitionsToTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch = name, id, epoch
		req.Topics = topicsOf(r.partitions)
		return req
	case addOffsets:
		req := kmsg.NewPtrAddOffsetsToTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = name, id, epoch, r.group.Group
		return req
	case commitOffsets:
		req := kmsg.NewPtrTxnOffsetCommitRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch = name, id, epoch
		req.Group, req.Generation, req.MemberID, req.InstanceID = r.group.Group, r.group.Generation, r.group.Member, instance(r.group.Instance)
		req.Topics = t.offsetTopics(r.offsets)
		return req
	default:
		req := kmsg.NewPtrEndTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = name, id, epoch, r.commit
		t.endsV2 = r.v2
		return req
	}
}

func topicsOf(partitions []*queue) (topics []kmsg.AddPartitionsToTxnRequestTopic) {
	sorted := slices.SortedFunc(slices.Values(partitions), func(a, b *queue) int { return a.tp.Compare(b.tp) })
	for _, q := range sorted {
		if n := len(topics); n == 0 || topics[n-1].Topic != q.tp.Topic {
			rt := kmsg.NewAddPartitionsToTxnRequestTopic()
			rt.Topic = q.tp.Topic
			topics = append(topics, rt)
		}
		last := &topics[len(topics)-1]
		last.Partitions = append(last.Partitions, q.tp.Partition)
	}
	return topics
}

func (t *transactions) offsetTopics(offsets Offsets) (topics []kmsg.TxnOffsetCommitRequestTopic) {
	for _, tp := range keys(offsets) {
		if n := len(topics); n == 0 || topics[n-1].Topic != tp.Topic {
			rt := kmsg.NewTxnOffsetCommitRequestTopic()
			rt.Topic = tp.Topic
			topics = append(topics, rt)
		}
		rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		o := offsets[tp]
		rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = tp.Partition, int64(o.Offset), int32(o.LeaderEpoch), &o.Metadata
		last := &topics[len(topics)-1]
		last.Partitions = append(last.Partitions, rp)
	}
	return topics
}

// The last versions with which a transaction is of the old generation.
const (
	lastProduceV1       = 11
	lastOffsetCommitV1  = 4
	lastEndV1           = 4
	lastAddPartitionsV1 = 3 // later ones are for brokers
)

// limit lowers the version of a request by which a broker knows the generation of the
// transaction.
func (t *transactions) limit(req kmsg.Request) {
	switch r := req.(type) {
	case *kmsg.ProduceRequest:
		if !t.v2 {
			r.Version = min(r.Version, lastProduceV1)
		}
	case *kmsg.TxnOffsetCommitRequest:
		if !t.v2 {
			r.Version = min(r.Version, lastOffsetCommitV1)
		}
	case *kmsg.EndTxnRequest:
		if !t.endsV2 {
			r.Version = min(r.Version, lastEndV1)
		}
	case *kmsg.AddPartitionsToTxnRequest:
		r.Version = min(r.Version, lastAddPartitionsV1)
	}
}

// answered takes in the answer to r.
func (t *transactions) answered(co *coordinator, r *transactionRequest, resp kmsg.Response) {
	switch resp := resp.(type) {
	case *kmsg.InitProducerIDResponse:
		if t.react(co, r, r.kind.reaction(kerr.TypedErrorForCode(resp.ErrorCode), false)) {
			t.initialised(r, resp)
		}
	case *kmsg.AddPartitionsToTxnResponse:
		t.partitionsAdded(co, r, resp)
	case *kmsg.AddOffsetsToTxnResponse:
		if t.react(co, r, r.kind.reaction(kerr.TypedErrorForCode(resp.ErrorCode), false)) {
			t.started = true
			t.enqueue(&transactionRequest{kind: commitOffsets, group: r.group, offsets: r.offsets, result: r.result})
		}
	case *kmsg.TxnOffsetCommitResponse:
		t.offsetsCommitted(co, r, resp)
	case *kmsg.EndTxnResponse:
		if t.react(co, r, r.kind.reaction(kerr.TypedErrorForCode(resp.ErrorCode), !r.commit)) {
			// Before version 5 there is no identity in the answer.
			id, epoch := kafka.NoProducer, kafka.ProducerEpoch(kafka.NoEpoch)
			if resp.Version >= 5 {
				id, epoch = kafka.ProducerID(resp.ProducerID), kafka.ProducerEpoch(resp.ProducerEpoch)
			}
			t.ended(r.result, id, epoch)
		}
	}
}

func (t *transactions) initialised(r *transactionRequest, resp *kmsg.InitProducerIDResponse) {
	t.identify(kafka.ProducerID(resp.ProducerID), kafka.ProducerEpoch(resp.ProducerEpoch))
	t.must(txnReady)
	t.err = nil
	t.finish(r.result, nil)
}

// partitionsAdded takes in that partitions are in the transaction, all or none.
func (t *transactions) partitionsAdded(co *coordinator, r *transactionRequest, resp *kmsg.AddPartitionsToTxnResponse) {
	var other reaction
	for i := range resp.Topics {
		for _, rp := range resp.Topics[i].Partitions {
			v := r.kind.reaction(kerr.TypedErrorForCode(rp.ErrorCode), false)
			switch {
			case v.verdict == isFine:
			case v.perPartition:
				if other.verdict == isFine || errors.Is(v.err, kerr.TopicAuthorizationFailed) {
					other = v
				}
			default:
				if errors.Is(v.err, kerr.ConcurrentTransactions) && len(t.members) == 0 {
					v.wait = firstAddBackoff
				}
				t.react(co, r, v)
				return
			}
		}
	}
	if !t.react(co, r, other) {
		return
	}
	t.started = true
	for _, q := range r.partitions {
		q.transaction = inside
	}
	t.members = append(t.members, r.partitions...)
	t.finish(r.result, nil)
}

// firstAddBackoff is how long to wait before the first partitions of a transaction are
// added again: the one before has only to be completed (ADD_PARTITIONS_RETRY_BACKOFF_MS).
const firstAddBackoff = 20 * time.Millisecond

// offsetsCommitted takes in which offsets the group's coordinator has accepted. Those
// that it may accept later are sent again.
func (t *transactions) offsetsCommitted(co *coordinator, r *transactionRequest, resp *kmsg.TxnOffsetCommitResponse) {
	lookup := false
	for i := range resp.Topics {
		rt := &resp.Topics[i]
		for _, rp := range rt.Partitions {
			v := r.kind.reaction(kerr.TypedErrorForCode(rp.ErrorCode), false)
			switch v.verdict {
			case isFine:
				delete(r.offsets, kafka.TopicPartition{Topic: rt.Topic, Partition: rp.Partition})
			case findAndAsk:
				lookup = true
			case askAgain:
			default:
				t.react(co, r, v)
				return
			}
		}
	}
	switch {
	case lookup:
		t.react(co, r, reaction{verdict: findAndAsk})
	case len(r.offsets) > 0:
		t.react(co, r, reaction{verdict: askAgain})
	default:
		t.finish(r.result, nil)
	}
}

// react does what an answer asks for. It reports whether that was fine.
func (t *transactions) react(co *coordinator, r *transactionRequest, v reaction) bool {
	switch v.verdict {
	case isFine:
		return true
	case findAndAsk:
		co.forget("error response")
		t.again(r, 0)
	case askAgain:
		t.again(r, v.wait)
	case mustAbort:
		if errors.Is(v.err, ErrCommitFailed) {
			t.p.net.host.Reached(ProbeOffsetsRefused)
		}
		t.bump = t.bump || v.bump && !t.v2
		t.abortable(v.err)
		t.settleFailed(r, v.err)
	case mayInit:
		t.abortable(v.err)
		t.settleFailed(r, v.err)
		if t.state == txnAbortable {
			t.must(txnUninitialized)
		}
	default:
		t.fatal(v.err)
		t.settleFailed(r, v.err)
	}
	return false
}

// settleFailed ends a request that will not be sent again.
func (t *transactions) settleFailed(r *transactionRequest, err error) {
	for _, q := range r.partitions {
		q.transaction = outside
	}
	t.finish(r.result, err)
}
