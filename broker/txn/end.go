package txn

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
)

// EndTxn decides how the transaction of a producer ends. It is decided for good when
// the record is committed, and answered then; the markers come after it. The
// answer has the producer id and epoch for the next transaction if the client acts by
// transaction.version 2.
func (m *Machine) EndTxn(id string, by coordinator.Producer, commit bool, clientVersion int16) (coordinator.Decision, coordinator.Producer, error) {
	judge := m.judgeEnd
	if clientVersion >= bumpsEpoch {
		judge = m.judgeEndWithBump
	}
	t, pending := m.find(id)
	fail := func(err error) (coordinator.Decision, coordinator.Producer, error) {
		return coordinator.Decision{}, coordinator.NoProducer, err
	}
	if t == nil && !pending {
		return fail(kerr.InvalidProducerIDMapping)
	}
	over, err := judge(id, t, pending, by, commit)
	switch {
	case err != nil:
		return fail(err)
	case over:
		m.env.Reached(ProbeEndRepeated)
		return settled, t.producer(), nil
	}
	next, err := m.prepared(t, commit, clientVersion)
	if err != nil {
		return fail(err)
	}
	d, err := m.transition(id, next, m.lastAfterEnd(id, t, clientVersion))
	if err != nil {
		return fail(err)
	}
	if next.Next != kafka.NoProducer {
		if bugs := m.env.Bugs(); bugs.On(planted.TxnRotateWrongPair) {
			bugs.Infected(planted.TxnRotateWrongPair, true)
			return d, next.producer(), nil
		}
		return d, coordinator.Producer{ID: next.Next, Epoch: 0}, nil
	}
	return d, next.producer(), nil
}

// judgeEnd is for clients that keep their epoch (transaction.version 0 and 1): an end
// that comes again is known by the state alone, so one that comes late may end the next
// transaction (KAFKA-17754). over: it is as it was asked for already.
func (m *Machine) judgeEnd(id string, t *entry, pending bool, by coordinator.Producer, commit bool) (over bool, err error) {
	switch {
	case t == nil || t.ProducerID != by.ID:
		return false, kerr.InvalidProducerIDMapping
	case t.Epoch != by.Epoch:
		return false, m.fenced(id, by, t)
	case pending:
		m.env.Reached(ProbeConcurrent)
		return false, kerr.ConcurrentTransactions
	case t.State == Ongoing:
		return false, nil
	case t.State == completed(commit):
		return true, nil
	}
	return false, kerr.InvalidTxnState
}

// judgeEndWithBump is for clients that get a new epoch with each end (KIP-890). An end that
// comes again has the epoch before the present one, and is never applied.
func (m *Machine) judgeEndWithBump(id string, t *entry, pending bool, by coordinator.Producer, commit bool) (over bool, err error) {
	if pending {
		m.env.Reached(ProbeConcurrent)
		return false, kerr.ConcurrentTransactions
	}
	// The end before may have used up the epochs of a producer id.
	rotated := t.Previous == by.ID && t.ProducerID != by.ID && by.Epoch == lastUsableEpoch && t.Epoch == 0
	bumped := t.ProducerID == by.ID && t.Epoch == by.Epoch+1
	retry := bumped || rotated // also where a client of an older version ended it and the epoch stayed, as in Kafka 4.4
	if bugs := m.env.Bugs(); t.State == Ongoing && bumped && bugs.On(planted.TxnSharedEpoch) {
		bugs.Infected(planted.TxnSharedEpoch, true)
		return false, nil
	}
	switch {
	case t.ProducerID != by.ID && !rotated:
		return false, kerr.InvalidProducerIDMapping
	case retry && t.State == completed(commit):
		return true, nil
	case retry && t.State == completed(!commit):
		m.env.Reached(ProbeLateEnd)
		return false, kerr.InvalidTxnState
	case t.Epoch != by.Epoch || t.ProducerID != by.ID:
		m.env.Reached(ProbeLateEnd)
		return false, m.fenced(id, by, t)
	case commit && t.State != Ongoing:
		return false, kerr.InvalidTxnState
	}
	return false, nil
}

// prepared is a transaction whose end is decided. With version 2 the producer has another
// epoch from then on, or, when its epochs are used up, another producer id.
func (m *Machine) prepared(t *entry, commit bool, version int16) (next Transaction, err error) {
	next = t.Transaction
	next.Previous, next.Next = t.ProducerID, kafka.NoProducer
	next.State, next.ClientVersion = prepare(commit), version
	if t.State != Ongoing { // an abort of nothing, which only brings a new epoch
		next.Partitions, next.Started = nil, m.env.NowMillis()
	}
	if version < bumpsEpoch {
		return next, nil
	}
	next.Epoch++
	if t.exhausted() {
		m.env.Reached(ProbeExhausted)
		next.Next, err = m.cfg.NewProducerID()
	}
	return next, err
}

// lastAfterEnd is the epoch before an end's.
func (m *Machine) lastAfterEnd(id string, t *entry, version int16) kafka.ProducerEpoch {
	if version >= bumpsEpoch {
		return t.Epoch
	}
	return m.lastEpochOf(id, t)
}

// fence aborts an open transaction in the coordinator's name: the producer that has it
// is fenced by a higher epoch, by one, whatever the version.
func (m *Machine) fence(id string, t *entry, bump kafka.ProducerEpoch) (coordinator.Decision, error) {
	version := m.version()
	next, err := m.prepared(t, false, version)
	if err != nil {
		return coordinator.Decision{}, err
	}
	next.Epoch = t.Epoch + bump
	last := kafka.ProducerEpoch(kafka.NoEpoch)
	if version >= bumpsEpoch {
		last = t.Epoch
	}
	return m.transition(id, next, last)
}
