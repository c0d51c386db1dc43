// Package txn coordinates transactions: it keeps what each transactional id is in the
// middle of, and decides how its transactions end (KIP-98, KIP-890).
//
// Machine is the state of one partition of __transaction_state, which a
// coordinator.Runtime loads, feeds with events, and writes for. It is pure: a request
// is asked for a Decision, Apply folds what was decided, and nothing blocks. A file per
// kind of request makes the decisions.
//
// All that counts is on the timeline. An id whose newest record is not committed, or
// whose markers are being written, is pending: what else it asks for is
// CONCURRENT_TRANSACTIONS. So a decision is only made of what is committed, and its
// answer holds at once.
//
// When the record that prepares an end is committed, markers go to all partitions of the
// transaction. Outbox says to which broker; sending them is the server's.
package txn

import (
	"cmp"
	"time"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
)

// Config is what a broker's settings say of transactions, and what the machine asks of
// the broker.
type Config struct {
	MaxTimeout    time.Duration // transaction.max.timeout.ms
	TimeoutCheck  time.Duration // transaction.abort.timed.out.transaction.cleanup.interval.ms
	Expiration    time.Duration // transactional.id.expiration.ms
	ExpiryCheck   time.Duration // transaction.remove.expired.transaction.cleanup.interval.ms
	RetryInterval time.Duration // between two attempts to write that all markers are written
	// FirstEpoch is the epoch of a new transactional id: 0 in Kafka. Trials that are to use
	// up the epochs of producer ids begin near the end.
	FirstEpoch kafka.ProducerEpoch

	// NewProducerID gives a producer id that was never given out, or refuses with
	// COORDINATOR_LOAD_IN_PROGRESS. It does not block.
	NewProducerID func() (kafka.ProducerID, error)
	// Outbox takes the markers that are to be written.
	Outbox Sender
}

// Sender has markers written, in the background, until all are.
type Sender interface {
	// Send begins with a transaction whose end is committed.
	Send(Marker, []kafka.TopicPartition)
	// Waiting are the partitions that still lack the marker of an id's transaction.
	Waiting(id string) []kafka.TopicPartition
	// Drop forgets all that a partition of __transaction_state has to send.
	Drop(shard int32)
}

// PartitionFor is the partition of __transaction_state that a transactional id belongs
// to.
func PartitionFor(id string, partitions int32) int32 {
	return kafka.CoordinatorPartition(id, partitions)
}

// Machine is the transactional ids of one partition of __transaction_state.
type Machine struct {
	env coordinator.Env
	cfg Config

	ids *timeline.Map[string, *entry]
	// digest is the sum of the fingerprints of all ids.
	digest *timeline.Value[uint64]

	// What follows is not logged.

	// last is the epoch that a producer had before its present one.
	last map[string]lastEpoch
	// told is the newest entry of which the ledger knows.
	told map[string]*entry
	// sent is the entry whose markers are being written.
	sent map[string]*entry
	// stuck are ids of which nothing can be written any more: see encode.
	stuck map[string]bool
	// volatile and unlogged are what planted bugs hold in memory only.
	volatile map[string]*entry
	unlogged map[string]Transaction
}

// entry is what the log holds of a transactional id. It is never changed: two entries are
// the same if they are one.
type entry struct {
	Transaction
	print uint64 // its fingerprint
}

// lastEpoch is no part of the log, as in Kafka: after a fail-over a retry of an
// InitProducerId that was answered already is fenced.
type lastEpoch struct {
	of    coordinator.Producer // it counts for an id that has these
	epoch kafka.ProducerEpoch
}

// New is a Machine that has folded nothing yet.
func New(env coordinator.Env, cfg Config) *Machine {
	return &Machine{
		env: env, cfg: cfg,
		ids:      timeline.NewMap[string, *entry](env.Timeline(), cmp.Compare[string]),
		digest:   timeline.NewValue(env.Timeline(), uint64(0)),
		last:     map[string]lastEpoch{},
		told:     map[string]*entry{},
		sent:     map[string]*entry{},
		stuck:    map[string]bool{},
		volatile: map[string]*entry{},
		unlogged: map[string]Transaction{},
	}
}

// Apply folds one record. A type that is not known is skipped.
func (m *Machine) Apply(_ kafka.Offset, rec coordinator.Record, _ coordinator.Producer) error {
	id, t, err := decode(rec)
	if err != nil || id == nil {
		return err
	}
	sum := m.digest.Get()
	if was, ok := m.ids.Get(*id); ok {
		sum -= was.print
	}
	if t == nil {
		m.ids.Delete(*id)
	} else {
		if had, ok := m.unlogged[*id]; ok {
			t.Previous, t.Next = had.Previous, had.Next
			delete(m.unlogged, *id)
		}
		is := &entry{Transaction: *t, print: printOf(*id, t)}
		sum += is.print
		m.ids.Set(*id, is)
	}
	m.digest.Set(sum)
	return nil
}

// ApplyMarker changes nothing: Kafka lets a transaction name a partition of this topic, and then
// writes a marker to it, but nothing in it is part of a transaction.
func (m *Machine) ApplyMarker(kafka.Offset, coordinator.Producer, bool) error { return nil }

// Hash is a fingerprint of the logged state: equal states have equal ones.
func (m *Machine) Hash(at timeline.Cut) uint64 { return m.digest.GetAt(at) }

// Loaded starts what goes on by itself, and goes on with the ends that were prepared.
func (m *Machine) Loaded() {
	for id, t := range m.ids.All() {
		m.told[id] = t
		if t.State.prepared() {
			m.env.Reached(ProbePreparedLoaded)
			m.resume(id, t)
		}
	}
	m.scheduleTimeouts()
	m.scheduleExpiry()
}

// resume goes on with an end that was prepared, once it is known to be committed. Kafka does not
// wait for that: if the record is lost with this broker, another decides otherwise.
func (m *Machine) resume(id string, t *entry) {
	if bugs := m.env.Bugs(); bugs.On(planted.TxnMarkersUncommitted) {
		committed, _ := m.ids.GetCommitted(id)
		bugs.Infected(planted.TxnMarkersUncommitted, committed != t)
		m.send(id, t)
		return
	}
	m.settleLater(id, 0)
}

// Unloaded ends the sending of markers: the next coordinator sends them all again.
func (m *Machine) Unloaded() { m.cfg.Outbox.Drop(m.env.Partition().Partition) }

// MetadataChanged: where partitions are led is the outbox's affair.
func (m *Machine) MetadataChanged(*metadata.Image, *metadata.Changes) {}

// version is the transaction.version that the cluster has agreed on.
func (m *Machine) version() int16 { return m.env.Image().Feature("transaction.version") }

// find is what is committed of an id, or nil; pending says that this is about to
// change.
func (m *Machine) find(id string) (t *entry, pending bool) {
	committed, _ := m.ids.GetCommitted(id)
	written, _ := m.ids.Get(id)
	if t := m.volatile[id]; t != nil && committed == written {
		return t, false
	}
	pending = committed != written || m.stuck[id] || committed != nil && committed.State.prepared()
	return committed, pending
}

// lastEpochOf is the epoch that the producer of an id had before its present one, or
// NoEpoch.
func (m *Machine) lastEpochOf(id string, t *entry) kafka.ProducerEpoch {
	if last, ok := m.last[id]; ok && last.of == t.producer() {
		return last.epoch
	}
	return kafka.NoEpoch
}

// transition decides that an id goes on as to, whose producer had that epoch before.
func (m *Machine) transition(id string, to Transaction, last kafka.ProducerEpoch) (coordinator.Decision, error) {
	to.Updated = m.env.NowMillis()
	logged := to
	if bugs := m.env.Bugs(); bugs.On(planted.TxnNoPersistPrevNext) {
		bugs.Infected(planted.TxnNoPersistPrevNext, to.Next != kafka.NoProducer || to.Previous != to.ProducerID)
		logged.Previous, logged.Next = kafka.NoProducer, kafka.NoProducer
		m.unlogged[id] = to
	}
	rec, err := encode(id, &logged, m.version())
	if err != nil {
		// As in Kafka, the id is pending until the partition is loaded again.
		m.stuck[id] = true
		m.env.Reached(ProbeNotEncoded)
		return coordinator.Decision{}, err
	}
	delete(m.volatile, id)
	before, had := m.last[id]
	m.last[id] = lastEpoch{to.producer(), last}
	return coordinator.Decision{
		Records: []coordinator.Record{rec},
		Timeout: time.Duration(to.TimeoutMillis) * time.Millisecond,
		Appended: func(err error) {
			if err == nil {
				return
			}
			delete(m.last, id)
			if had {
				m.last[id] = before
			}
		},
		Done: func(error) { m.settle(id) },
	}, nil
}

// settle takes account of what became of an id's newest record: when it is committed the
// ledger is told, and markers are sent if it prepares an end. What is in doubt is
// looked at again.
func (m *Machine) settle(id string) {
	committed, _ := m.ids.GetCommitted(id)
	written, _ := m.ids.Get(id)
	if committed != written {
		m.settleLater(id, settleRetry)
		return
	}
	m.tell(id, committed)
	if committed == nil {
		delete(m.last, id)
		return
	}
	if committed.State.prepared() && m.sent[id] != committed {
		m.send(id, committed)
	}
}

// settleRetry is how long a record in doubt is given between two looks.
const settleRetry = 500 * time.Millisecond

func (m *Machine) settleLater(id string, after time.Duration) {
	m.env.Timer("settle "+id, after, settleRetry, func() coordinator.Decision {
		return coordinator.Decision{Done: func(err error) {
			if err == nil {
				m.settle(id)
			}
		}}
	})
}

// tell tells the ledger of an id's newest committed state; nil: it is forgotten.
func (m *Machine) tell(id string, t *entry) {
	was := m.told[id]
	if was == t {
		return
	}
	if t == nil {
		delete(m.told, id)
	} else {
		m.told[id] = t
	}
	e := &witness.TxnState{TxnID: id, CoordinatorEpoch: m.env.LeaderEpoch()}
	if was != nil {
		e.From, e.ProducerID, e.Epoch = was.State.String(), was.ProducerID, was.Epoch
	}
	e.To = Dead.String()
	if t != nil {
		e.To, e.ProducerID, e.Epoch, e.Partitions = t.State.String(), t.ProducerID, t.Epoch, t.Partitions
		e.Version = int8(t.ClientVersion)
	}
	m.env.Tell(e)
}
