package txn

import (
	"regexp"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Describe is what is committed of a transactional id. While its markers are being
// written, the partitions are those that lack them.
func (m *Machine) Describe(id string) kmsg.DescribeTransactionsResponseTransactionState {
	out := kmsg.NewDescribeTransactionsResponseTransactionState()
	out.TransactionalID = id
	t, ok := m.ids.GetCommitted(id)
	if !ok {
		out.ErrorCode = kerr.TransactionalIDNotFound.Code
		return out
	}
	out.State, out.TimeoutMillis = t.State.String(), t.TimeoutMillis
	out.ProducerID, out.ProducerEpoch, out.StartTimestamp = int64(t.ProducerID), int16(t.Epoch), t.Started
	partitions := t.Partitions
	if t.State.prepared() && m.sent[id] == t {
		partitions = m.cfg.Outbox.Waiting(id)
	}
	for _, of := range byTopic(partitions) {
		topic := kmsg.NewDescribeTransactionsResponseTransactionStateTopic()
		topic.Topic = of[0].Topic
		for _, tp := range of {
			topic.Partitions = append(topic.Partitions, tp.Partition)
		}
		out.Topics = append(out.Topics, topic)
	}
	return out
}

// Filter says which ids ListTransactions lists. The zero value, but for a negative
// MinDuration, lists all.
type Filter struct {
	// States are those that pass, if ByState.
	ByState   bool
	States    []State
	Producers []int64
	// MinDuration is how long a transaction must have been open at least, in ms; -1: any.
	MinDuration int64
	IDs         *regexp.Regexp // of the whole id; nil: any
}

// List is the ids that are committed and pass the filter.
func (m *Machine) List(f Filter) (out []kmsg.ListTransactionsResponseTransactionState) {
	now := m.env.NowMillis()
	for id, t := range m.ids.AllCommitted() {
		if !f.passes(id, t, now) {
			continue
		}
		s := kmsg.NewListTransactionsResponseTransactionState()
		s.TransactionalID, s.ProducerID, s.TransactionState = id, int64(t.ProducerID), t.State.String()
		out = append(out, s)
	}
	return out
}

// passes: a transaction that has not begun counts as one of any duration, as in Kafka.
func (f *Filter) passes(id string, t *entry, now int64) bool {
	switch {
	case len(f.Producers) > 0 && !slices.Contains(f.Producers, int64(t.ProducerID)):
	case f.ByState && !slices.Contains(f.States, t.State):
	case f.MinDuration >= 0 && now-t.Started <= f.MinDuration:
	case f.IDs != nil && !f.IDs.MatchString(id):
	default:
		return true
	}
	return false
}

// StateNamed is the state of Kafka's name.
func StateNamed(name string) (State, bool) {
	i := slices.Index(stateNames[:], name)
	return State(i), i >= 0
}
