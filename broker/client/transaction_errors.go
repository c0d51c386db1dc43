package client

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// reaction is what comes of an answer to a request about a transaction.
type reaction struct {
	verdict transactionVerdict
	err     error
	// bump: before KIP-890 the next transaction needs another epoch.
	bump bool
	// perPartition: what is answered for other partitions counts as well.
	perPartition bool
	wait         time.Duration // before it is sent again; 0: retry.backoff.ms
}

type transactionVerdict uint8

const (
	isFine     transactionVerdict = iota
	askAgain                      // of the same coordinator
	findAndAsk                    // of the coordinator that FindCoordinator names
	mustAbort                     // the transaction
	mayInit                       // InitTransactions may be called again
	mustClose
)

var (
	errFencedProducer = fmt.Errorf("there is a newer producer with the same transactionalId which fences the current one: %w", kerr.ProducerFenced)
	errOffsetsRefused = fmt.Errorf("transaction offset commit failed due to consumer group metadata mismatch: %w", ErrCommitFailed)
)

// reaction is Kafka's TxnRequestHandler.handleResponse of each kind, as 4.4 has them;
// aborting: it is an EndTxn that aborts.
func (k transactionKind) reaction(err *kerr.Error, aborting bool) reaction {
	init := k == initProducerID || k == bumpEpoch
	switch err {
	case nil:
		return reaction{}
	case kerr.NotCoordinator, kerr.CoordinatorNotAvailable:
		return reaction{verdict: findAndAsk, err: err}
	case kerr.ProducerFenced, kerr.InvalidProducerEpoch:
		return reaction{verdict: mustClose, err: errFencedProducer}
	case kerr.InvalidTxnState, kerr.InvalidProducerIDMapping:
		return reaction{verdict: mustClose, err: err}
	case kerr.TransactionalIDAuthorizationFailed, kerr.ClusterAuthorizationFailed:
		if init {
			return reaction{verdict: mayInit, err: err}
		}
		return reaction{verdict: mustClose, err: err}
	case kerr.TransactionAbortable:
		if aborting {
			return reaction{verdict: mustClose, err: fmt.Errorf("failed to abort transaction: %w", err)}
		}
		return reaction{verdict: mustAbort, err: err}
	case kerr.UnknownProducerID:
		if init || k == commitOffsets {
			break
		}
		return reaction{verdict: mustAbort, err: err, bump: true}
	}
	if k == commitOffsets {
		if v, known := reactionToOffsets(err); known {
			return v
		}
	}
	switch {
	case retriable(err):
		return reaction{verdict: askAgain, err: err}
	case k == addPartitions:
		return reaction{verdict: mustAbort, err: fmt.Errorf("could not add partitions to transaction due to errors: %w", err), perPartition: true}
	case k == addOffsets && err == kerr.GroupAuthorizationFailed:
		return reaction{verdict: mustAbort, err: err}
	}
	return reaction{verdict: mustClose, err: fmt.Errorf("unexpected error in %vResponse: %w", k, err)}
}

// reactionToOffsets is what is special about TxnOffsetCommit: the group may refuse.
func reactionToOffsets(err *kerr.Error) (v reaction, known bool) {
	switch err {
	case kerr.RequestTimedOut:
		return reaction{verdict: findAndAsk, err: err}, true
	case kerr.GroupAuthorizationFailed, kerr.FencedInstanceID:
		return reaction{verdict: mustAbort, err: err}, true
	case kerr.UnknownMemberID, kerr.IllegalGeneration, kerr.StaleMemberEpoch, kerr.GroupIDNotFound:
		// The last two since KAFKA-20444.
		return reaction{verdict: mustAbort, err: fmt.Errorf("%w: %w", errOffsetsRefused, err)}, true
	}
	return reaction{}, false
}

// retriable reports whether Kafka's exception for err is a RetriableException. That of
// CONCURRENT_TRANSACTIONS is.
func retriable(err *kerr.Error) bool { return err.Retriable || err == kerr.ConcurrentTransactions }
