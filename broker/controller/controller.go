// Package controller is the brain of the cluster's metadata: which brokers are
// in, which replicas a partition has, who leads it. It decides; package raft
// makes the decisions durable and known; package metadata holds their result.
//
// Every request is one pure decision over the metadata image and the brokers'
// sessions: records and an answer. The limb, Controller, appends the records
// to the quorum's log, applies them to its own uncommitted image at once, so
// that the next decision sees them, and answers when they are committed.
// Leadership lost: the uncommitted image goes, and the committed one remains.
package controller

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim/env"
)

// Config is what a controller is told at its start.
type Config struct {
	ID        kafka.NodeID
	ClusterID string
	Bugs      *planted.Set
	Witness   witness.Witness

	Settings Settings
}

// Settings are the controller's Kafka configuration.
type Settings struct {
	SessionTimeout       time.Duration `kafka:"broker.session.timeout.ms" default:"9000"`
	MaxIdleInterval      time.Duration `kafka:"metadata.max.idle.interval.ms" default:"500"`
	AutoRebalance        bool          `kafka:"auto.leader.rebalance.enable" default:"true"`
	RebalanceInterval    time.Duration `kafka:"leader.imbalance.check.interval.seconds" default:"300"`
	UncleanCheckInterval time.Duration `kafka:"unclean.leader.election.interval.ms" default:"300000"`
	UncleanElection      bool          `kafka:"unclean.leader.election.enable" default:"false"`
	MinInsyncReplicas    int32         `kafka:"min.insync.replicas" default:"1"`
	NumPartitions        int32         `kafka:"num.partitions" default:"1"`
	ReplicationFactor    int16         `kafka:"default.replication.factor" default:"1"`
	// EligibleLeaderReplicas is the level of the feature that a new cluster
	// starts with: 1 is KIP-966, 0 the generation before, in which the last
	// member of an ISR never leaves it.
	EligibleLeaderReplicas int16 `kafka:"eligible.leader.replicas.version" default:"1"`
}

// Controller is the limb of one node of the quorum. It acts only while active:
// leader of the quorum, and caught up with everything committed before its
// epoch began (KAFKA-15345).
type Controller struct {
	host env.Host
	cfg  Config
}

// New makes a controller. It does nothing before Start.
func New(host env.Host, cfg Config) *Controller {
	return &Controller{host: host, cfg: cfg}
}

// The requests. Each blocks until its decision is committed, and answers
// NOT_CONTROLLER when this node is not the active controller.

func (c *Controller) BrokerRegistration(req *kmsg.BrokerRegistrationRequest) *kmsg.BrokerRegistrationResponse {
	panic("later")
}
func (c *Controller) BrokerHeartbeat(req *kmsg.BrokerHeartbeatRequest) *kmsg.BrokerHeartbeatResponse {
	panic("later")
}
func (c *Controller) UnregisterBroker(req *kmsg.UnregisterBrokerRequest) *kmsg.UnregisterBrokerResponse {
	panic("later")
}
func (c *Controller) AlterPartition(req *kmsg.AlterPartitionRequest) *kmsg.AlterPartitionResponse {
	panic("later")
}
func (c *Controller) CreateTopics(req *kmsg.CreateTopicsRequest) *kmsg.CreateTopicsResponse {
	panic("later")
}
func (c *Controller) DeleteTopics(req *kmsg.DeleteTopicsRequest) *kmsg.DeleteTopicsResponse {
	panic("later")
}
func (c *Controller) CreatePartitions(req *kmsg.CreatePartitionsRequest) *kmsg.CreatePartitionsResponse {
	panic("later")
}
func (c *Controller) IncrementalAlterConfigs(req *kmsg.IncrementalAlterConfigsRequest) *kmsg.IncrementalAlterConfigsResponse {
	panic("later")
}
func (c *Controller) ElectLeaders(req *kmsg.ElectLeadersRequest) *kmsg.ElectLeadersResponse {
	panic("later")
}
func (c *Controller) AllocateProducerIDs(req *kmsg.AllocateProducerIDsRequest) *kmsg.AllocateProducerIDsResponse {
	panic("later")
}
func (c *Controller) UpdateFeatures(req *kmsg.UpdateFeaturesRequest) *kmsg.UpdateFeaturesResponse {
	panic("later")
}
func (c *Controller) AlterPartitionReassignments(req *kmsg.AlterPartitionAssignmentsRequest) *kmsg.AlterPartitionAssignmentsResponse {
	panic("later")
}
func (c *Controller) ListPartitionReassignments(req *kmsg.ListPartitionReassignmentsRequest) *kmsg.ListPartitionReassignmentsResponse {
	panic("later")
}
