package witness

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/ledger"
)

// What a controller does, what it decides, and what is committed of it. Every
// controller tells of what is committed, each at its own time.
type (
	// ControllerActive: this controller acts from now on.
	ControllerActive struct {
		Node   kafka.NodeID      `json:"node"`
		Epoch  kafka.LeaderEpoch `json:"epoch"`
		Offset kafka.Offset      `json:"offset"` // of the last committed record
		// Brokers is how many are registered: with none, the cluster is new.
		Brokers int `json:"brokers"`
	}
	// ControllerResigned: it acts no more.
	ControllerResigned struct {
		Node  kafka.NodeID      `json:"node"`
		Epoch kafka.LeaderEpoch `json:"epoch"`
	}
	// Applied: a controller or broker has applied the committed metadata up to
	// Offset, that included.
	Applied struct {
		Node   kafka.NodeID `json:"node"`
		Offset kafka.Offset `json:"offset"`
		Hash   uint64       `json:"hash,string"` // of the image
	}

	// PartitionCommitted: the record at At of the metadata log is committed; it
	// made of the partition what this says.
	PartitionCommitted struct {
		Node kafka.NodeID `json:"node"`
		At   kafka.Offset `json:"at"`
		PartitionID
		Leader         kafka.NodeID         `json:"leader"`
		LeaderEpoch    kafka.LeaderEpoch    `json:"leader_epoch"`
		PartitionEpoch kafka.PartitionEpoch `json:"partition_epoch"`
		Replicas       []kafka.NodeID       `json:"replicas"`
		ISR            []kafka.NodeID       `json:"isr"`
		ELR            []kafka.NodeID       `json:"elr"`
		LastKnownELR   []kafka.NodeID       `json:"last_known_elr"`
	}
	// ControllerAnswered: the controller answers a request that it decided with
	// success. Offset is the last record that the decision was made from, its own
	// included.
	ControllerAnswered struct {
		Node   kafka.NodeID      `json:"node"`
		Epoch  kafka.LeaderEpoch `json:"epoch"`
		Offset kafka.Offset      `json:"offset"`
	}
	// BrokerCommitted: the record at At of the metadata log is committed; it
	// registered an incarnation of a broker, or made of its registration what this
	// says.
	BrokerCommitted struct {
		Node        kafka.NodeID      `json:"node"`
		At          kafka.Offset      `json:"at"`
		Broker      kafka.NodeID      `json:"broker"`
		BrokerEpoch kafka.BrokerEpoch `json:"broker_epoch"`
		Incarnation kafka.UUID        `json:"incarnation"`
		Fenced      bool              `json:"fenced"` // whether it is fenced now
		// Leaving: the broker is in controlled shutdown.
		Leaving bool `json:"leaving,omitempty"`
	}
	// TopicCreated: the record at At of the metadata log is committed; it created
	// a topic.
	TopicCreated struct {
		Node  kafka.NodeID `json:"node"`
		At    kafka.Offset `json:"at"`
		Topic string       `json:"topic"`
		ID    kafka.UUID   `json:"topic_id"`
	}
	// TopicDeleted: the record at At of the metadata log is committed; it deleted
	// a topic.
	TopicDeleted struct {
		Node  kafka.NodeID `json:"node"`
		At    kafka.Offset `json:"at"`
		Topic string       `json:"topic"`
		ID    kafka.UUID   `json:"topic_id"`
	}

	// BrokerRegistering: the controller decides to register a broker.
	BrokerRegistering struct {
		Broker      kafka.NodeID      `json:"broker"`
		BrokerEpoch kafka.BrokerEpoch `json:"broker_epoch"`
	}
	// BrokerFenced: the controller decides to fence a broker.
	BrokerFenced struct {
		Broker kafka.NodeID `json:"broker"`
	}
	// BrokerUnfenced: the controller decides to unfence a broker.
	BrokerUnfenced struct {
		Broker      kafka.NodeID      `json:"broker"`
		BrokerEpoch kafka.BrokerEpoch `json:"broker_epoch"`
	}
	// BrokerLeaving: the controller lets a broker begin its controlled shutdown.
	BrokerLeaving struct {
		Broker kafka.NodeID `json:"broker"`
	}
	// ShutdownGranted: the controller lets a broker end that is in controlled shutdown.
	ShutdownGranted struct {
		Broker kafka.NodeID `json:"broker"`
	}
	// SessionExpired: no heartbeat of a broker came for a session.
	SessionExpired struct {
		Broker  kafka.NodeID  `json:"broker"`
		Timeout time.Duration `json:"timeout_ns"`
		Silent  time.Duration `json:"silent_ns"` // since the last one, in nanoseconds of the controller's clock
	}
	// LeaderChosen: the controller gives a partition another leader, or none.
	LeaderChosen struct {
		PartitionID
		Leader kafka.NodeID      `json:"leader"` // -1: none may
		Epoch  kafka.LeaderEpoch `json:"epoch"`
		ISR    []kafka.NodeID    `json:"isr"`
		ELR    []kafka.NodeID    `json:"elr"`
		From   Choice            `json:"from"`
	}
	// Refused: the controller refuses a request that is worth a line.
	Refused struct {
		What string `json:"what"`
		Error
	}
)

// Choice says from where the controller took a leader.
type Choice string

// The ways to choose a leader.
const (
	FromISR Choice = "isr"
	// FromELR: it was an eligible leader replica (KIP-966).
	FromELR Choice = "elr"
	// LastKnown: it was the last leader known, and all that might have led came
	// back from unclean shutdowns (KIP-966).
	LastKnown Choice = "last-known"
	// Unclean: it was in neither set.
	Unclean Choice = "unclean"
	// NoChoice: there is no leader now.
	NoChoice Choice = "none"
)

var (
	controllerActive   = ledger.Declare[ControllerActive]("controller-active", "a controller acts from now on", ledger.Notable)
	controllerResigned = ledger.Declare[ControllerResigned]("controller-resigned", "a controller acts no more", ledger.Notable)
	applied            = ledger.Declare[Applied]("metadata-applied", "a node has applied committed metadata", ledger.Detail)
	partitionCommitted = ledger.Declare[PartitionCommitted]("partition-committed", "a controller learns that a change of a partition is committed", ledger.Detail)
	controllerAnswered = ledger.Declare[ControllerAnswered]("controller-answered", "the controller answers a request that it decided", ledger.Detail)
	brokerCommitted    = ledger.Declare[BrokerCommitted]("broker-committed", "a controller learns that a registration, or a change of one, is committed", ledger.Detail)
	topicCreated       = ledger.Declare[TopicCreated]("topic-created", "a controller learns that a new topic is committed", ledger.Detail)
	topicDeleted       = ledger.Declare[TopicDeleted]("topic-deleted", "a controller learns that the end of a topic is committed", ledger.Detail)
	brokerRegistering  = ledger.Declare[BrokerRegistering]("broker-registering", "the controller registers a broker", ledger.Notable)
	brokerFenced       = ledger.Declare[BrokerFenced]("broker-fenced", "the controller fences a broker", ledger.Notable)
	brokerUnfenced     = ledger.Declare[BrokerUnfenced]("broker-unfenced", "the controller unfences a broker", ledger.Notable)
	brokerLeaving      = ledger.Declare[BrokerLeaving]("broker-leaving", "a broker begins its controlled shutdown", ledger.Notable)
	shutdownGranted    = ledger.Declare[ShutdownGranted]("shutdown-granted", "a broker in controlled shutdown may end", ledger.Detail)
	sessionExpired     = ledger.Declare[SessionExpired]("session-expired", "no heartbeat of a broker came for a session", ledger.Notable)
	leaderChosen       = ledger.Declare[LeaderChosen]("leader-chosen", "the controller gives a partition another leader, or none", ledger.Notable)
	refused            = ledger.Declare[Refused]("request-refused", "the controller refuses a request", ledger.Notable)
)

func (e *ControllerActive) Kind() *ledger.Kind   { return controllerActive }
func (e *ControllerResigned) Kind() *ledger.Kind { return controllerResigned }
func (e *Applied) Kind() *ledger.Kind            { return applied }
func (e *PartitionCommitted) Kind() *ledger.Kind { return partitionCommitted }
func (e *ControllerAnswered) Kind() *ledger.Kind { return controllerAnswered }
func (e *BrokerCommitted) Kind() *ledger.Kind    { return brokerCommitted }
func (e *TopicCreated) Kind() *ledger.Kind       { return topicCreated }
func (e *TopicDeleted) Kind() *ledger.Kind       { return topicDeleted }
func (e *BrokerRegistering) Kind() *ledger.Kind  { return brokerRegistering }
func (e *BrokerFenced) Kind() *ledger.Kind       { return brokerFenced }
func (e *BrokerUnfenced) Kind() *ledger.Kind     { return brokerUnfenced }
func (e *BrokerLeaving) Kind() *ledger.Kind      { return brokerLeaving }
func (e *ShutdownGranted) Kind() *ledger.Kind    { return shutdownGranted }
func (e *SessionExpired) Kind() *ledger.Kind     { return sessionExpired }
func (e *LeaderChosen) Kind() *ledger.Kind       { return leaderChosen }
func (e *Refused) Kind() *ledger.Kind            { return refused }

func (e *ControllerActive) Sentence() string {
	return fmt.Sprintf("controller: active in epoch %d, at offset %d", e.Epoch, e.Offset)
}

func (e *ControllerResigned) Sentence() string {
	return fmt.Sprintf("controller: no longer active in epoch %d", e.Epoch)
}

func (e *Applied) Sentence() string {
	return fmt.Sprintf("has applied the metadata up to %d", e.Offset)
}

func (e *PartitionCommitted) Sentence() string {
	return fmt.Sprintf("controller: committed at %d: %s has leader %d, epoch %d, isr [%s] elr [%s] last known elr [%s], partition epoch %d", e.At,
		e.Subject(), e.Leader, e.LeaderEpoch, list(e.ISR), list(e.ELR), list(e.LastKnownELR), e.PartitionEpoch)
}

func (e *BrokerCommitted) Sentence() string {
	state := "unfenced"
	if e.Fenced {
		state = "fenced"
	}
	if e.Leaving {
		state += ", in controlled shutdown"
	}
	return fmt.Sprintf("controller: committed at %d: broker %d has epoch %d, incarnation %v, is %s", e.At, e.Broker, e.BrokerEpoch, e.Incarnation, state)
}

func (e *ControllerAnswered) Sentence() string {
	return fmt.Sprintf("controller: answers what was decided at offset %d", e.Offset)
}

func (e *TopicCreated) Sentence() string {
	return fmt.Sprintf("controller: committed at %d: topic %s is created, id %v", e.At, e.Topic, e.ID)
}

func (e *TopicDeleted) Sentence() string {
	return fmt.Sprintf("controller: committed at %d: topic %s is deleted, id %v", e.At, e.Topic, e.ID)
}

func (e *BrokerRegistering) Sentence() string {
	return fmt.Sprintf("controller: registers broker %d, epoch %d", e.Broker, e.BrokerEpoch)
}

func (e *BrokerFenced) Sentence() string {
	return fmt.Sprintf("controller: fences broker %d", e.Broker)
}

func (e *BrokerUnfenced) Sentence() string {
	return fmt.Sprintf("controller: unfences broker %d", e.Broker)
}

func (e *ShutdownGranted) Sentence() string {
	return fmt.Sprintf("controller: lets broker %d end", e.Broker)
}

func (e *BrokerLeaving) Sentence() string {
	return fmt.Sprintf("controller: broker %d is in controlled shutdown", e.Broker)
}

func (e *SessionExpired) Sentence() string {
	return fmt.Sprintf("controller: broker %d was not heard of for %v", e.Broker, e.Timeout)
}

func (e *LeaderChosen) Sentence() string {
	return fmt.Sprintf("controller: %s: leader %d, epoch %d, isr [%s] elr [%s]", e.Subject(), e.Leader, e.Epoch, list(e.ISR), list(e.ELR))
}

func (e *Refused) Sentence() string {
	return fmt.Sprintf("controller: refuses the %s: %s", e.What, e.Text)
}

// list is nodes with commas between.
func list(nodes []kafka.NodeID) string {
	var b strings.Builder
	for i, id := range nodes {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(int(id)))
	}
	return b.String()
}
