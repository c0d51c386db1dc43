package group

import "github.com/ktrial/ktrial/broker/planted"

// Planted bugs of this package. They go to planted.All with the scenarios that find
// them.
const (
	// CommitNoGeneration: a commit of an old generation or epoch, or of no member at
	// all, is accepted (KAFKA-2596).
	CommitNoGeneration planted.Bug = "group.commit_no_generation"
	// NoInstanceFence: the process that a static member replaced goes on in its name
	// (KIP-345, KAFKA-8225).
	NoInstanceFence planted.Bug = "group.no_instance_fence"
	// StaticSwapVolatile: the new id of a static member that was replaced is not in the
	// log, so that after a fail-over the old one is valid again (KAFKA-10284).
	StaticSwapVolatile planted.Bug = "group.static_swap_volatile"
	// ExpireAnyState: offsets expire by the age of their commit, whatever the group
	// does (KAFKA-13636, KAFKA-4682).
	ExpireAnyState planted.Bug = "group.expire_any_state"
	// RespondBeforePersist: members get their assignment before it is in the log
	// (KAFKA-2720).
	RespondBeforePersist planted.Bug = "group.respond_before_persist"
	// HeartbeatNoGeneration: a heartbeat of an old generation is answered as one of the
	// present, so that a member does not learn that it has missed a rebalance.
	HeartbeatNoGeneration planted.Bug = "group.heartbeat_no_generation"
)
