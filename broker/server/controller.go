package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/controller"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/raft"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/sim/env"
)

// Controller is the controller listener: it answers the members of the quorum
// and the brokers' channels. Each handler asks raft or the controller, which
// says NOT_CONTROLLER if it is not active; so there is no file for each.
//
//	Fetch 4-18, Vote 0-2, BeginQuorumEpoch 0-1, EndQuorumEpoch 0-1,
//	FetchSnapshot 0-1, DescribeQuorum 0-2                          package raft
//	BrokerRegistration 0-4, BrokerHeartbeat 0-1, UnregisterBroker 0,
//	AlterPartition 2-3, AllocateProducerIds 0, CreateTopics 2-7,
//	DeleteTopics 1-6, CreatePartitions 0-3, ElectLeaders 0-2,
//	AlterConfigs 0-2, IncrementalAlterConfigs 0-1,
//	AlterPartitionReassignments 0-1,
//	ListPartitionReassignments 0, UpdateFeatures 0-2         package controller
//
// Missing: Envelope (see forward.go), ControllerRegistration and the dynamic
// quorum (KIP-853), AssignReplicasToDirs (a broker has one directory), ACLs,
// quotas, tokens, DescribeConfigs and DescribeCluster for controllers (KIP-919).
type Controller struct {
	Host       env.Host
	Settings   Settings
	Raft       *raft.Node
	Controller *controller.Controller
	// Image is the committed metadata, for ApiVersions.
	Image func() *metadata.Image

	versions wire.Versions
}

// Listen serves the controller listener on port until the server is closed.
func (c *Controller) Listen(port int) (*wire.Server, error) {
	r := c.routes()
	c.versions = r.versions(wire.Controller)
	return r.listen(c.Host, c.Settings, port, wire.Controller)
}

func (c *Controller) routes() routes {
	r := routes{}
	on(r, func(_ *wire.Context, req *kmsg.ApiVersionsRequest) kmsg.Response {
		return apiVersions(req, c.versions, c.Image())
	})
	to(r, c.Raft.Fetch)
	to(r, c.Raft.Vote)
	to(r, c.Raft.BeginQuorumEpoch)
	to(r, c.Raft.EndQuorumEpoch)
	to(r, c.Raft.FetchSnapshot)
	to(r, c.Raft.DescribeQuorum)

	to(r, c.Controller.BrokerRegistration)
	to(r, c.Controller.BrokerHeartbeat)
	to(r, c.Controller.UnregisterBroker)
	to(r, c.Controller.AlterPartition)
	to(r, c.Controller.AllocateProducerIDs)
	to(r, c.Controller.CreateTopics)
	to(r, c.Controller.DeleteTopics)
	to(r, c.Controller.CreatePartitions)
	to(r, c.Controller.ElectLeaders)
	to(r, c.Controller.AlterConfigs)
	to(r, c.Controller.IncrementalAlterConfigs)
	to(r, c.Controller.AlterPartitionReassignments)
	to(r, c.Controller.ListPartitionReassignments)
	to(r, c.Controller.UpdateFeatures)
	return r
}

// to routes one kind of request to a component that needs nothing but it.
func to[Req kmsg.Request, Resp kmsg.Response](r routes, ask func(Req) Resp) {
	on(r, func(_ *wire.Context, req Req) kmsg.Response { return ask(req) })
}
