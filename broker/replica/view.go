package replica

import (
	"github.com/ktrial/ktrial/broker/kafka"
)

// Role is what a replica is to its partition.
type Role uint8

// The roles of a replica. Idle: the partition has no leader to follow.
const (
	Idle Role = iota
	Leader
	Follower
)

func (r Role) String() string {
	return [...]string{"idle", "leader", "follower"}[r]
}

// View is what a replica holds and believes, for tests and observers.
type View struct {
	Partition      kafka.TopicPartition
	Topic          kafka.UUID
	Role           Role
	Leader         kafka.NodeID
	Epoch          kafka.LeaderEpoch
	PartitionEpoch kafka.PartitionEpoch

	LogStart   kafka.Offset
	LastStable kafka.Offset
	HW         kafka.Offset
	LEO        kafka.Offset
	// EpochStart is where the log ended when this leadership began.
	EpochStart kafka.Offset

	// Of a leader only.
	ISR        []kafka.NodeID // as the controller last confirmed it
	MaximalISR []kafka.NodeID // what the high watermark counts (KIP-497)
	MinInsync  int32
	// Altering: an AlterPartition is under way.
	Altering  bool
	Followers []FollowerView
}

// FollowerView is what a leader knows of a follower.
type FollowerView struct {
	ID          kafka.NodeID
	Fetched     bool // in this leader epoch
	LEO         kafka.Offset
	BrokerEpoch kafka.BrokerEpoch
	CaughtUp    bool
}
