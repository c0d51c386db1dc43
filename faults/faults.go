// Package faults holds what can go wrong, plans of it, and the drawing of a
// plan from the seed. It hurts hosts, links and disks; it knows nothing of
// what runs on them. Where a fault is aimed at "the leader of orders/0", the
// Cluster says which host that is when it strikes.
//
// A fault is a small struct: its fields are its parameters, Inject returns its
// own cure, and its line in the grammar is what a report prints and a plan
// parses. A new fault is one type in one file and one line in grammar.go; in
// another module it is a type and a call of Declare.
package faults

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ktrial/ktrial/sim"
)

// Fault is something that can go wrong.
type Fault interface {
	// String is the line of a report. Parse reads it back.
	fmt.Stringer
	// Inject strikes now and returns the cure. It runs outside of any task and
	// does not block.
	Inject(c Cluster, luck *rand.Rand) (heal func())
}

// The traits of a fault are optional interfaces. Whatever has to know what a
// fault may do (the budget, the excuses, the drawing of plans) asks for them.
type (
	// Momentary is a fault that is over as soon as it has struck, so that there
	// is nothing to heal. What it did may show for longer.
	Momentary interface {
		Fault
		Momentary()
	}
	// Crash is a fault that takes processes down without a clean shutdown.
	Crash interface {
		Fault
		// Crashes names the hosts, and says whether they lose the writes that
		// they have not synced.
		Crashes() (hosts Target, loses bool)
	}
	// Wiper is a fault that leaves hosts with an empty disk.
	Wiper interface {
		Fault
		Wipes() Target
	}
	// Deceiver is a fault after which disks may have reported as synced what
	// they do not have. It shows when the power goes.
	Deceiver interface {
		Fault
		Deceives() Target
	}
	// Damager is a fault that changes bytes at rest. Only a process that reads
	// them again, in the recovery after an unclean shutdown, can notice.
	Damager interface {
		Fault
		Damages() Target
	}
	// Aimed is a fault that names a partition itself, without a Target.
	Aimed interface {
		Fault
		At() (topic string, partition int32)
	}
	// OfGroup is a fault that names a consumer group itself, without a Target.
	OfGroup interface {
		Fault
		InGroup() string
	}
	// OfTransactions is a fault that names a transactional id itself, without a Target.
	OfTransactions interface {
		Fault
		OfTransactionalID() string
	}
	// Shortened is a fault with a duration of its own among its parameters.
	Shortened interface {
		Fault
		// Within is the same fault, over after at most so long.
		Within(most time.Duration) Fault
	}
)

// Cluster is what a fault may hurt.
type Cluster interface {
	World() *sim.World
	// Brokers, Controllers and Clients name the hosts, in order. A host with
	// both roles is in both lists.
	Brokers() []string
	Controllers() []string
	Clients() []string
	// Groups are the consumer groups of the clients, Members the hosts of one;
	// OffsetsPartition is where the cluster keeps a group, there or not yet.
	Groups() []string
	Members(group string) []string
	OffsetsPartition(group string) (topic string, partition int32)
	// TransactionalIDs are those of the clients, TransactionsPartition is where the
	// cluster keeps one, there or not yet.
	TransactionalIDs() []string
	TransactionsPartition(id string) (topic string, partition int32)
	// Topics are the names of those that there are, or will be when the plan is
	// played; Partitions is how many one has.
	Topics() []string
	Partitions(topic string) int32
	// Rack of a host, or "".
	Rack(host string) string
	// Leader and Followers name the hosts of a partition's replicas at this
	// moment; Leader is "" when there is none.
	Leader(topic string, partition int32) string
	Followers(topic string, partition int32) []string
	// Segments are the files on a host's disk that hold records.
	Segments(host string) []string
	// ActiveController is its host, or "".
	ActiveController() string

	// Serving reports whether the process of a host has begun its work: a broker when the
	// controller has unfenced it, any other when it runs.
	Serving(host string) bool

	// Start starts the process of a host that is down. It does nothing if the
	// process runs.
	Start(host string)
	// Stop asks a process to shut down in order and calls done when it has. A
	// client that cannot is killed.
	Stop(host string, done func())
	// MoveLeader gives the leadership of a partition to another replica that
	// is in sync; no process dies.
	MoveLeader(topic string, partition int32)
	// ElectPreferred makes the preferred replicas leaders.
	ElectPreferred()
	// ResignController makes the active controller give up its leadership.
	ResignController()
	// AddPartitions gives a topic so many more; DeleteTopic deletes one, and MakeTopic makes it
	// again, with the partitions that it had. While no controller is active they wait for one.
	AddPartitions(topic string, count int32)
	DeleteTopic(topic string)
	MakeTopic(topic string)
	// SetFeature finalizes another level of a feature.
	SetFeature(feature string, level int16)
}
