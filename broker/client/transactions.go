package client

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim/env"
)

// What an application can still do with a transactional producer after an error.
var (
	// ErrAbortable: the transaction cannot be committed. AbortTransaction comes next,
	// and then the producer goes on.
	ErrAbortable = errors.New("the transaction must be aborted")
	// ErrFatal: nothing but Close is left. Another producer may take the
	// transactional id over.
	ErrFatal = errors.New("the producer must be closed")
	// ErrTimedOut: max.block.ms was over first. Whether the transaction ends is not
	// known, and the same call must be made again.
	ErrTimedOut = errors.New("timeout expired, the same call must be made again")
)

// errAborted is why a record was not sent: its transaction was aborted before.
var errAborted = errors.New("failing batch since transaction was aborted")

// transactionState is Kafka's TransactionManager.State.
type transactionState uint8

const (
	txnUninitialized transactionState = iota
	txnInitializing
	txnReady
	txnOpen
	txnCommitting
	txnAborting
	txnAbortable // an error; AbortTransaction must follow
	txnFatal     // an error; nothing can follow
)

var transactionStates = [...]string{"UNINITIALIZED", "INITIALIZING", "READY", "IN_TRANSACTION",
	"COMMITTING_TRANSACTION", "ABORTING_TRANSACTION", "ABORTABLE_ERROR", "FATAL_ERROR"}

func (s transactionState) String() string { return transactionStates[s] }

// mayBecome is the legal transitions.
func (s transactionState) mayBecome(next transactionState) bool {
	switch next {
	case txnUninitialized:
		return s == txnReady || s == txnAbortable
	case txnInitializing:
		return s == txnUninitialized || s.ending()
	case txnReady:
		return s == txnInitializing || s.ending()
	case txnOpen:
		return s == txnReady
	case txnCommitting:
		return s == txnOpen
	case txnAborting:
		return s == txnOpen || s == txnAbortable
	case txnAbortable:
		return s == txnOpen || s == txnCommitting || s == txnAbortable || s == txnInitializing
	default:
		return true
	}
}

// ending reports whether the transaction is being completed.
func (s transactionState) ending() bool { return s == txnCommitting || s == txnAborting }

// failed reports whether it is a state of error.
func (s transactionState) failed() bool { return s == txnAbortable || s == txnFatal }

// transactions is what a producer with a transactional.id has: the state of its
// transactions and the requests about them, of which one is in flight at a time, and
// none to write records meanwhile (Kafka's TransactionManager and Sender).
//
// There are two generations. Since KIP-890 (transaction.version 2) a write adds its
// partition to the transaction, and the end of a transaction brings the epoch of the
// next one. Before, partitions are added first, and the epoch is changed only after an
// error. Which one is used is decided by what the brokers say is finalized, when the
// producer begins and at the end of each transaction.
type transactions struct {
	p     *Producer
	state transactionState
	err   error // of txnAbortable and txnFatal

	v2            bool  // KIP-890: transactions of transaction.version 2
	featuresEpoch int64 // by which v2 was decided

	coordinator *coordinator
	groups      []*coordinator // of those that offsets were sent for

	started bool     // the cluster may know of the transaction
	inDoubt bool     // an EndTxn that commits was sent, and no answer settled what became of it
	endsV2  bool     // the EndTxn that was sent last is of the new generation
	bump    bool     // a new epoch must be asked for when the transaction has ended
	members []*queue // the partitions in the transaction
	adding  []*queue // those that the coordinator must be told of first

	requests []*transactionRequest // the next one first
	asking   bool                  // one is in flight
	pending  *transition           // a call that timed out, until it was made again
	news     env.Signal            // broadcast when a call's end is known
}

// inTransaction says whether a partition is in the transaction.
type inTransaction uint8

const (
	outside inTransaction = iota
	joining
	inside
)

// transition is a call that changes the state, and how it ends.
type transition struct {
	operation string
	result    *transactionResult
}

// transactionResult is how something ends that a task of the application waits for.
type transactionResult struct {
	done bool
	err  error
}

func newTransactions(p *Producer) *transactions {
	t := &transactions{p: p, featuresEpoch: -1, news: p.net.host.NewSignal("transaction")}
	t.coordinator = t.newCoordinator(transactionCoordinator, p.cfg.TransactionalID)
	p.net.limit = t.limit
	p.identity.granted = true
	return t
}

func (t *transactions) newCoordinator(kind coordinatorKind, key string) *coordinator {
	return &coordinator{net: t.p.net, kind: kind, key: key, shared: true, changed: t.p.shipSoon}
}

// groupCoordinator is the coordinator of a group.
func (t *transactions) groupCoordinator(group string) *coordinator {
	for _, co := range t.groups {
		if co.key == group {
			return co
		}
	}
	co := t.newCoordinator(groupCoordinator, group)
	t.groups = append(t.groups, co)
	return co
}

// become changes the state for a call of the application. A transition that is not
// legal is an error of the application.
func (t *transactions) become(next transactionState) error {
	if !t.state.mayBecome(next) {
		return fmt.Errorf("client: transactional id %s: invalid transition attempted from state %v to state %v", t.p.cfg.TransactionalID, t.state, next)
	}
	t.state = next
	return nil
}

// must changes the state for something that is not a call: the transition is legal,
// or we have a bug.
func (t *transactions) must(next transactionState) {
	if err := t.become(next); err != nil {
		panic(err.Error())
	}
}

// abortable: the transaction can only be aborted. One that is being aborted goes on
// to be.
func (t *transactions) abortable(err error) {
	if t.state == txnAborting || t.state == txnFatal {
		return
	}
	if !t.state.mayBecome(txnAbortable) {
		t.fatal(err)
		return
	}
	t.must(txnAbortable)
	t.err = err
}

// fatal: the producer can do nothing more.
func (t *transactions) fatal(err error) {
	if t.state == txnFatal {
		return
	}
	t.must(txnFatal)
	t.err = err
	t.p.identity.fail(err)
}

// failed is the error of a call in a state of error.
func (t *transactions) failed() error {
	verdict := ErrAbortable
	switch t.state {
	case txnFatal:
		verdict = ErrFatal
	case txnAbortable:
	default:
		return nil
	}
	return fmt.Errorf("client: transactional id %s: cannot execute transactional method because we are in an error state: %w: %w", t.p.cfg.TransactionalID, verdict, t.err)
}

// unfinished is an error if a call timed out and was not made again.
func (t *transactions) unfinished(operation string) error {
	if t.pending == nil {
		return nil
	}
	return fmt.Errorf("client: transactional id %s: cannot attempt operation %s because the previous call to %s timed out and must be retried",
		t.p.cfg.TransactionalID, operation, t.pending.operation)
}

// perform makes a call that ends later: it begins it, unless that was done before,
// and blocks until the end is known, at most max.block.ms.
func (t *transactions) perform(operation string, begin func() (*transactionResult, error)) error {
	if t.pending == nil {
		if t.p.closing {
			return errClosed
		}
		result, err := begin()
		if err != nil {
			return err
		}
		t.pending = &transition{operation, result}
	} else if t.pending.operation != operation {
		return t.unfinished(operation)
	}
	err := t.await(operation, t.pending.result, t.p.cfg.MaxBlock)
	if !errors.Is(err, ErrTimedOut) {
		t.pending = nil
	}
	return err
}

func (t *transactions) await(operation string, result *transactionResult, timeout time.Duration) error {
	t.p.shipSoon()
	deadline := t.p.net.host.Uptime() + timeout
	for !result.done {
		left := deadline - t.p.net.host.Uptime()
		if t.p.closed {
			return errClosed
		}
		if left <= 0 || !t.news.Wait(left) {
			if result.done {
				break
			}
			return fmt.Errorf("client: transactional id %s: %s: not done after %v: %w: %w", t.p.cfg.TransactionalID, operation, timeout, ErrTimedOut, kerr.RequestTimedOut)
		}
	}
	if result.err == nil {
		return nil
	}
	verdict := ErrAbortable
	if t.state == txnFatal {
		verdict = ErrFatal
	}
	return fmt.Errorf("client: transactional id %s: %s: %w: %w", t.p.cfg.TransactionalID, operation, verdict, result.err)
}

// finish ends what is waited for.
func (t *transactions) finish(result *transactionResult, err error) {
	if result.done {
		return
	}
	result.done, result.err = true, err
	t.news.Broadcast()
}

// transactional is what a producer with a transactional.id has; others have an error.
func (p *Producer) transactional() (*transactions, error) {
	if p.txn == nil {
		return nil, errors.New("client: producer: transactional method invoked on a non-transactional producer")
	}
	return p.txn, nil
}

// InitTransactions is called once, before anything else: it fences other producers
// with the same transactional.id, has what they left open aborted, and gets a producer
// id and epoch. It blocks, at most max.block.ms; on ErrTimedOut it is called again.
func (p *Producer) InitTransactions() error {
	t, err := p.transactional()
	if err != nil {
		return err
	}
	return t.perform("initTransactions", func() (*transactionResult, error) {
		if err := t.failed(); err != nil {
			return nil, err
		}
		if err := t.become(txnInitializing); err != nil {
			return nil, err
		}
		return t.initProducerID(false), nil
	})
}

// BeginTransaction begins a transaction. Nothing is sent for it.
func (p *Producer) BeginTransaction() error {
	t, err := p.transactional()
	if err == nil {
		err = t.unfinished("beginTransaction")
	}
	if err == nil {
		err = t.failed()
	}
	if err == nil && p.closing {
		err = errClosed
	}
	if err != nil {
		return err
	}
	if err := t.become(txnOpen); err != nil {
		return err
	}
	t.inDoubt = false
	p.net.host.Tell(&witness.TransactionBegun{TxnID: p.cfg.TransactionalID, ProducerID: p.identity.id, Epoch: p.identity.epoch})
	return nil
}

// MayHaveCommitted reports, of a transaction whose commit was asked for and failed,
// whether it may be committed all the same: an attempt had no answer, or one that does
// not say.
func (p *Producer) MayHaveCommitted() bool { return p.txn != nil && p.txn.inDoubt }

// SendOffsets makes offsets of a group part of the transaction: of each partition
// that of the next record to be consumed, with what Consumer.GroupMetadata says at the
// time of the poll that the records are from, so that a member that was replaced is
// refused (KIP-447). It blocks until the coordinator has them, at most max.block.ms.
func (p *Producer) SendOffsets(offsets Offsets, as GroupMetadata) error {
	t, err := p.transactional()
	if err != nil {
		return err
	}
	if as.Generation > 0 && as.Member == "" {
		return fmt.Errorf("client: transactional id %s: passed in group metadata %+v has generation > 0 but the member id is unknown", p.cfg.TransactionalID, as)
	}
	if err := t.unfinished("sendOffsetsToTransaction"); err != nil {
		return err
	}
	if err := t.failed(); err != nil {
		return err
	}
	if t.state != txnOpen {
		return fmt.Errorf("client: transactional id %s: cannot send offsets if a transaction is not in progress (currentState= %v)", p.cfg.TransactionalID, t.state)
	}
	if p.closing {
		return errClosed
	}
	if len(offsets) == 0 {
		return nil
	}
	return t.await("sendOffsetsToTransaction", t.sendOffsets(maps.Clone(offsets), as), p.cfg.MaxBlock)
}

// CommitTransaction commits, when every record that was sent is written. It blocks
// until the coordinator has decided, at most max.block.ms. On ErrTimedOut it is called
// again, on ErrAbortable AbortTransaction is.
func (p *Producer) CommitTransaction() error {
	t, err := p.transactional()
	if err != nil {
		return err
	}
	return t.perform("commitTransaction", func() (*transactionResult, error) {
		if err := t.failed(); err != nil {
			return nil, err
		}
		if err := t.become(txnCommitting); err != nil {
			return nil, err
		}
		return t.end(true), nil
	})
}

// AbortTransaction aborts: records that were not sent yet never will be, and no
// consumer with read_committed sees the others. It blocks until the coordinator has
// decided, at most max.block.ms. On ErrTimedOut it is called again.
func (p *Producer) AbortTransaction() error {
	t, err := p.transactional()
	if err != nil {
		return err
	}
	return t.perform("abortTransaction", t.beginAbort)
}

func (t *transactions) beginAbort() (*transactionResult, error) {
	if t.state == txnFatal {
		return nil, t.failed()
	}
	if err := t.become(txnAborting); err != nil {
		return nil, err
	}
	t.err = nil
	for _, q := range t.adding {
		q.transaction = outside
	}
	t.adding = nil
	return t.end(false), nil
}

// ProducerID and epoch that the producer has; NoProducer: none yet.
func (p *Producer) Identity() (kafka.ProducerID, kafka.ProducerEpoch) {
	return p.identity.id, p.identity.epoch
}

// maySend is the error of a record that is to be sent outside a transaction.
func (t *transactions) maySend(topic string) error {
	if err := t.failed(); err != nil {
		return err
	}
	if err := t.unfinished("send"); err != nil {
		return err
	}
	if t.state != txnOpen {
		return fmt.Errorf("client: transactional id %s: cannot send to %s while in state %v", t.p.cfg.TransactionalID, topic, t.state)
	}
	return nil
}

// sendFailed: a record was not taken, so the transaction would not be whole.
func (t *transactions) sendFailed(err error) {
	var k *kerr.Error
	if t.state == txnOpen && errors.As(err, &k) {
		t.abortable(err)
	}
}

// sentTo has a partition be in the transaction.
func (t *transactions) sentTo(q *queue) {
	if q.transaction != outside {
		return
	}
	if t.v2 {
		q.transaction, t.started = inside, true
		t.members = append(t.members, q)
		return
	}
	q.transaction = joining
	t.adding = append(t.adding, q)
}

// batchFailed: records of the transaction are not in the log, or it is not known
// whether they are.
func (t *transactions) batchFailed(err error) {
	if !t.v2 {
		t.bump = true // the sequences of the partition may have a gap
	}
	t.abortable(err)
}

// end has the transaction end: what EndTxn says when every batch is settled.
func (t *transactions) end(commit bool) *transactionResult {
	result := &transactionResult{}
	r := &transactionRequest{kind: endTxn, commit: commit, v2: t.v2, result: result}
	t.enqueue(r)
	was := t.v2
	if t.decideVersion(); !was && t.v2 {
		t.bump = true // the next transaction is the first of the new generation
	}
	return result
}

// decideVersion takes in which generation the brokers say is finalized.
func (t *transactions) decideVersion() {
	f, was := t.p.net.features, t.v2
	if f.epoch <= t.featuresEpoch {
		return
	}
	first := t.featuresEpoch < 0
	t.featuresEpoch, t.v2 = f.epoch, min(f.transactionVersion, t.p.cfg.TransactionVersion) >= 2
	switch {
	case first || t.v2 == was:
	case t.v2:
		t.p.net.host.Reached(ProbeTransactionsUpgraded)
	default:
		t.p.net.host.Reached(ProbeTransactionsDowngraded)
	}
}

// ended takes in that the transaction has ended, and in TV2 under what identity the
// next one is. The call that ended it goes on for as long as there is a new epoch to be
// asked for.
func (t *transactions) ended(result *transactionResult, id kafka.ProducerID, epoch kafka.ProducerEpoch) {
	for _, q := range t.members {
		q.transaction = outside
	}
	t.members, t.adding, t.started, t.err = t.members[:0], nil, false, nil
	if id >= 0 && epoch >= 0 {
		t.identify(id, epoch)
	}
	if t.bump {
		t.bump = false
		t.must(txnInitializing)
		t.initProducerIDFor(result, true)
		return
	}
	t.must(txnReady)
	t.finish(result, nil)
}

// identify has what comes next be numbered under another identity. No batch is
// under way that has a number.
func (t *transactions) identify(id kafka.ProducerID, epoch kafka.ProducerEpoch) {
	for _, q := range t.p.queues {
		q.restart = false
	}
	if t.p.identity.state != ready {
		t.p.identity.become(initializing)
	}
	t.p.identity.assigned(id, epoch)
}

// abortAtClose aborts what is open when the producer is closed.
func (t *transactions) abortAtClose(deadline time.Duration) {
	switch t.state {
	case txnOpen, txnAbortable:
		result, err := t.beginAbort()
		if err == nil {
			t.pending = &transition{"abortTransaction", result}
		}
	case txnCommitting, txnAborting:
	default:
		return
	}
	if t.pending == nil {
		return
	}
	left := env.Forever
	if deadline != env.Forever {
		left = max(0, deadline-t.p.net.host.Uptime())
	}
	for result := t.pending.result; !result.done && left != 0; {
		t.p.shipSoon()
		if !t.news.Wait(left) {
			return
		}
		if deadline != env.Forever {
			left = max(0, deadline-t.p.net.host.Uptime())
		}
	}
}

// remove takes a request from those that wait.
func (t *transactions) remove(r *transactionRequest) {
	t.requests = slices.DeleteFunc(t.requests, func(other *transactionRequest) bool { return other == r })
}
