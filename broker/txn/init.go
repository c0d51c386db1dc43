package txn

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
)

// settled is an answer that needs no record.
var settled = coordinator.Decision{Settled: true}

// InitProducerID decides which producer id and epoch a client has from now on under a
// transactional id, so that an earlier one is fenced. expected, unless it is
// NoProducer, is what the client had before (KIP-360): it keeps the id if no other client
// has taken it since.
//
// A transaction that is open is aborted first. Without an error and without a producer the
// answer, once that is decided, is CONCURRENT_TRANSACTIONS: the client asks again.
func (m *Machine) InitProducerID(id string, timeoutMillis int32, expected coordinator.Producer) (coordinator.Decision, coordinator.Producer, error) {
	fail := func(err error) (coordinator.Decision, coordinator.Producer, error) {
		return coordinator.Decision{}, coordinator.NoProducer, err
	}
	if timeout := time.Duration(timeoutMillis) * time.Millisecond; timeout <= 0 || timeout > m.cfg.MaxTimeout {
		return fail(kerr.InvalidTransactionTimeout)
	}
	t, pending := m.find(id)
	switch {
	case pending:
		m.env.Reached(ProbeConcurrent)
		return fail(kerr.ConcurrentTransactions)
	case t == nil:
		return m.initNew(id, timeoutMillis)
	case expected != coordinator.NoProducer && !t.maybeFrom(expected):
		return fail(m.fenced(id, expected, t))
	case t.State == Ongoing:
		bump := kafka.ProducerEpoch(1)
		if bugs := m.env.Bugs(); bugs.On(planted.TxnDoubleBump) {
			bugs.Infected(planted.TxnDoubleBump, true)
			bump = 2
		}
		d, err := m.fence(id, t, bump)
		if err != nil {
			return fail(err)
		}
		return d, coordinator.NoProducer, nil
	}
	return m.initAgain(id, timeoutMillis, t, expected)
}

// maybeFrom reports whether a client that expects this producer may have been given
// it: it is the present one, or that before its epochs were exhausted.
func (t *entry) maybeFrom(expected coordinator.Producer) bool {
	return expected.ID == t.ProducerID || expected.ID == t.Previous && expected.Epoch >= lastUsableEpoch
}

// initNew: nothing is known of the id, and what the client expects does not matter.
func (m *Machine) initNew(id string, timeoutMillis int32) (coordinator.Decision, coordinator.Producer, error) {
	producer, err := m.cfg.NewProducerID()
	if err != nil {
		return coordinator.Decision{}, coordinator.NoProducer, err
	}
	return m.begin(id, Transaction{ProducerID: producer, Previous: producer, Epoch: m.cfg.FirstEpoch, TimeoutMillis: timeoutMillis}, kafka.NoEpoch)
}

// initAgain: no transaction is open.
func (m *Machine) initAgain(id string, timeoutMillis int32, t *entry, expected coordinator.Producer) (coordinator.Decision, coordinator.Producer, error) {
	anew := expected == coordinator.NoProducer
	next := Transaction{ProducerID: t.ProducerID, Previous: t.ProducerID, Epoch: t.Epoch + 1, TimeoutMillis: timeoutMillis, ClientVersion: t.ClientVersion}
	last := kafka.ProducerEpoch(kafka.NoEpoch)
	if !anew {
		last = t.Epoch
	}
	switch {
	case t.exhausted() && (anew || expected.Epoch == t.Epoch):
		producer, err := m.cfg.NewProducerID()
		if err != nil {
			return coordinator.Decision{}, coordinator.NoProducer, err
		}
		m.env.Reached(ProbeExhausted)
		next.ProducerID, next.Epoch = producer, 0
	case anew || expected.Epoch == t.Epoch:
	case expected.Epoch == m.lastEpochOf(id, t):
		// The answer to the request before got lost.
		next.Epoch, last = t.Epoch, expected.Epoch
	default:
		return coordinator.Decision{}, coordinator.NoProducer, m.fenced(id, expected, t)
	}
	return m.begin(id, next, last)
}

// begin writes an id without a transaction.
func (m *Machine) begin(id string, t Transaction, last kafka.ProducerEpoch) (coordinator.Decision, coordinator.Producer, error) {
	t.State, t.Next, t.Started = Empty, kafka.NoProducer, -1
	d, err := m.transition(id, t, last)
	if err != nil {
		return coordinator.Decision{}, coordinator.NoProducer, err
	}
	return d, t.producer(), nil
}
