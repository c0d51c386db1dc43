package witness

import (
	"fmt"
	"strings"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/ledger"
)

// What a member of a consumer group does and learns, as the member tells it. What
// the group coordinator thinks of it is in group.go.
type (
	// CoordinatorFound: the member knows which broker coordinates its group.
	CoordinatorFound struct {
		Group       string       `json:"group"`       // group.id
		Coordinator kafka.NodeID `json:"coordinator"` // the broker
	}
	// CoordinatorForgotten: the member looks for the coordinator again.
	CoordinatorForgotten struct {
		Group       string       `json:"group"`       // group.id
		Coordinator kafka.NodeID `json:"coordinator"` // the broker
		Reason      string       `json:"reason"`      // in the member's words
	}

	// PartitionsAssigned: the member owns Added from now on, beside what it has
	// kept: All. The application's listener is called next.
	PartitionsAssigned struct {
		*Membership
		Added Partitions `json:"added"` // that it did not own before
		All   Partitions `json:"all"`   // that it owns now
	}
	// TargetReceived: the answer to a heartbeat of a KIP-848 member says what it is to have. An
	// answer without an assignment, by which nothing changes, is not told.
	TargetReceived struct {
		*Membership
		Partitions Partitions `json:"partitions"` // as far as the member knows the names of their topics
		Total      int        `json:"total"`      // of partitions
	}
	// LeaderReturned: a static member of a classic group has started again and leads a group
	// that goes on. It assigns nothing, and takes the topics as they are for what it had
	// assigned (KIP-814).
	LeaderReturned struct {
		*Membership
	}
	// PartitionsRevoked: the application's listener has returned, and the member no
	// longer owns Partitions.
	PartitionsRevoked struct {
		*Membership
		Partitions Partitions `json:"partitions"` // that are given up
	}
	// PartitionsLost: the member learns that it has not owned Partitions for a while:
	// the group did without it. The identity is the one as which it had them.
	PartitionsLost struct {
		*Membership
		Partitions Partitions `json:"partitions"` // that are lost
	}
	// PositionReset: the group has committed no offset of a partition, and its member
	// begins where auto.offset.reset says.
	PositionReset struct {
		Group     string               `json:"group"`            // group.id
		Partition kafka.TopicPartition `json:"partition"`        // that it was assigned
		Policy    string               `json:"policy"`           // auto.offset.reset
		AtEnd     bool                 `json:"at_end,omitempty"` // the policy is latest
	}
	// ConsumerLeft: the member leaves its group, or stays away from it.
	ConsumerLeft struct {
		*Membership
		Reason string `json:"reason"` // as LeaveGroup has it
	}
	// ConsumerFenced: the coordinator does not take the member for what it says it is.
	ConsumerFenced struct {
		*Membership
		Error
	}
	// ConsumerCommitted: a commit of the member has ended.
	ConsumerCommitted struct {
		*Membership
		Partitions Partitions     `json:"partitions"`      // of which offsets are committed
		Offsets    []kafka.Offset `json:"offsets"`         // of the next record, by partition
		Error      string         `json:"error,omitempty"` // the Kafka error that refused it
	}
)

// Membership says as which member of which group a consumer does something.
type Membership struct {
	Group  string `json:"group"`  // group.id
	Member string `json:"member"` // its id; empty: it has none
	// Generation of a classic group, or epoch of a KIP-848 member; -1: none.
	Generation int32  `json:"generation"`
	Instance   string `json:"instance,omitempty"` // group.instance.id of a static member
}

func (m *Membership) String() string {
	switch {
	case m == nil:
		return "a consumer"
	case m.Member == "":
		return "a consumer that is no member of group " + m.Group
	}
	return fmt.Sprintf("member %s of group %s, generation %d,", m.Member, m.Group, m.Generation)
}

// Subject is the group.
func (m *Membership) Subject() string {
	if m == nil {
		return ""
	}
	return m.Group
}

// Partitions are in order.
type Partitions []kafka.TopicPartition

func (ps Partitions) String() string {
	if len(ps) == 0 {
		return "nothing"
	}
	names := make([]string, len(ps))
	for i, tp := range ps {
		names[i] = tp.String()
	}
	return strings.Join(names, " ")
}

var (
	coordinatorFound     = ledger.Declare[CoordinatorFound]("coordinator-found", "a consumer finds the coordinator of its group", ledger.Notable)
	coordinatorForgotten = ledger.Declare[CoordinatorForgotten]("coordinator-forgotten", "a consumer looks for the coordinator of its group again", ledger.Notable)
	partitionsAssigned   = ledger.Declare[PartitionsAssigned]("partitions-assigned", "a consumer owns partitions", ledger.Notable)
	leaderReturned       = ledger.Declare[LeaderReturned]("leader-returned", "a static leader comes back to a group that goes on", ledger.Notable)
	targetReceived       = ledger.Declare[TargetReceived]("target-received", "a KIP-848 member is told what it is to have", ledger.Detail)
	partitionsRevoked    = ledger.Declare[PartitionsRevoked]("partitions-revoked", "a consumer has given partitions up", ledger.Notable)
	partitionsLost       = ledger.Declare[PartitionsLost]("partitions-lost", "a consumer learns that its partitions may be another's", ledger.Notable)
	positionReset        = ledger.Declare[PositionReset]("position-reset", "a group has no committed offset of a partition, and begins where auto.offset.reset says", ledger.Detail)
	consumerLeft         = ledger.Declare[ConsumerLeft]("consumer-left", "a consumer leaves its group", ledger.Notable)
	consumerFenced       = ledger.Declare[ConsumerFenced]("consumer-fenced", "a consumer's identity is refused", ledger.Notable)
	consumerCommitted    = ledger.Declare[ConsumerCommitted]("consumer-committed", "a consumer's commit has ended", ledger.Traffic)
)

func (e *CoordinatorFound) Kind() *ledger.Kind     { return coordinatorFound }
func (e *CoordinatorForgotten) Kind() *ledger.Kind { return coordinatorForgotten }
func (e *PartitionsAssigned) Kind() *ledger.Kind   { return partitionsAssigned }
func (e *LeaderReturned) Kind() *ledger.Kind       { return leaderReturned }
func (e *TargetReceived) Kind() *ledger.Kind       { return targetReceived }
func (e *PartitionsRevoked) Kind() *ledger.Kind    { return partitionsRevoked }
func (e *PartitionsLost) Kind() *ledger.Kind       { return partitionsLost }
func (e *PositionReset) Kind() *ledger.Kind        { return positionReset }
func (e *ConsumerLeft) Kind() *ledger.Kind         { return consumerLeft }
func (e *ConsumerFenced) Kind() *ledger.Kind       { return consumerFenced }
func (e *ConsumerCommitted) Kind() *ledger.Kind    { return consumerCommitted }

// Sentence is the story's.
func (e *CoordinatorFound) Sentence() string {
	return fmt.Sprintf("finds the coordinator of group %s: broker %d", e.Group, e.Coordinator)
}

// Sentence is the story's.
func (e *CoordinatorForgotten) Sentence() string {
	return fmt.Sprintf("no longer takes broker %d for the coordinator of group %s: %s", e.Coordinator, e.Group, e.Reason)
}

// Sentence is the story's.
func (e *PartitionsAssigned) Sentence() string {
	return fmt.Sprintf("%v is assigned %v and has %v", e.Membership, e.Added, e.All)
}

// Sentence is the story's.
func (e *LeaderReturned) Sentence() string {
	return fmt.Sprintf("%v leads again, and assigns nothing", e.Membership)
}

// Sentence is the story's.
func (e *TargetReceived) Sentence() string {
	return fmt.Sprintf("%v is told that it is to have %v", e.Membership, e.Partitions)
}

// Sentence is the story's.
func (e *PartitionsRevoked) Sentence() string {
	return fmt.Sprintf("%v has given up %v", e.Membership, e.Partitions)
}

// Sentence is the story's.
func (e *PartitionsLost) Sentence() string {
	return fmt.Sprintf("%v has lost %v", e.Membership, e.Partitions)
}

// Sentence is the story's.
// Subject is the partition.
func (e *PositionReset) Subject() string { return e.Partition.String() }

func (e *PositionReset) Sentence() string {
	return fmt.Sprintf("group %s has committed no offset of %v; its member begins at the %s", e.Group, e.Partition, e.Policy)
}

func (e *ConsumerLeft) Sentence() string {
	return fmt.Sprintf("%v leaves: %s", e.Membership, e.Reason)
}

// Sentence is the story's.
func (e *ConsumerFenced) Sentence() string {
	return fmt.Sprintf("%v is refused: %s", e.Membership, e.Text)
}

// Sentence is the story's.
func (e *ConsumerCommitted) Sentence() string {
	text := fmt.Sprintf("%v commits", e.Membership)
	for i, tp := range e.Partitions {
		if i < len(e.Offsets) {
			text += fmt.Sprintf(" %v@%d", tp, e.Offsets[i])
		}
	}
	if e.Error != "" {
		text += ", refused: " + e.Error
	}
	return text
}
