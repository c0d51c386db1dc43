package client

import (
	"fmt"
	"math"

	"github.com/ktrial/ktrial/broker/kafka"
)

// identity is what an idempotent producer numbers its records under (KIP-98):
// a producer id that the cluster gave it, and an epoch that it bumps itself
// when a partition must begin anew (KIP-360).
type identity struct {
	state identityState
	id    kafka.ProducerID
	epoch kafka.ProducerEpoch
	err   error // of fatal
	// granted: each epoch is the coordinator's to give, for the producer has
	// transactions. A partition begins anew with the next one.
	granted bool
}

type identityState uint8

const (
	uninitialized identityState = iota
	initializing                // InitProducerId is asked
	ready
	fatal // nothing can be sent any more
)

var identityStates = [...]string{"uninitialized", "initializing", "ready", "fatal"}

func (s identityState) String() string { return identityStates[s] }

// mayBecome is the legal transitions.
func (s identityState) mayBecome(next identityState) bool {
	switch next {
	case uninitialized:
		return s == ready
	case initializing:
		return s == uninitialized
	case ready:
		return s == initializing || s == ready
	default:
		return true
	}
}

func (i *identity) become(next identityState) {
	if !i.state.mayBecome(next) {
		panic(fmt.Sprintf("client: producer identity goes from %v to %v", i.state, next))
	}
	i.state = next
}

func (i *identity) assigned(id kafka.ProducerID, epoch kafka.ProducerEpoch) {
	i.become(ready)
	i.id, i.epoch = id, epoch
}

func (i *identity) fail(err error) {
	i.become(fatal)
	i.err = err
}

// bump takes the next epoch. When there is none left a new id is needed.
func (i *identity) bump() {
	if i.epoch == math.MaxInt16 {
		i.become(uninitialized)
		return
	}
	i.epoch++
}

// numbering is how far a partition is numbered under an identity.
type numbering struct {
	id    kafka.ProducerID
	epoch kafka.ProducerEpoch
	next  kafka.Sequence
	// batches counts those that were numbered.
	batches int64
	// known: the leader has answered a batch under this id, so its log knows the
	// producer. A leader that does not takes any sequence to begin with, so until
	// then one batch goes at a time: else the second could get in when the first
	// is refused, and the first never again. Java's producer sends up to five at once, and
	// then the first one in vain until delivery.timeout.ms is over (KAFKA-14359): as the planted bug
	// client.first_together does. Leaders of 4.5 refuse the second only where the log was never
	// written (KAFKA-15591). It costs one round trip for each partition and producer id.
	known bool
}

// of reports whether the numbering is that of i.
func (n *numbering) of(i *identity) bool { return n.id == i.id && n.epoch == i.epoch }

// adopt begins to number under i.
func (n *numbering) adopt(i *identity, first kafka.Sequence) {
	if n.id != i.id {
		*n = numbering{id: i.id, epoch: i.epoch, next: first}
		return
	}
	n.epoch, n.next = i.epoch, 0
}

// take numbers count records.
func (n *numbering) take(count int32) kafka.Sequence {
	s := n.next
	n.next = s.Add(count)
	return s
}
