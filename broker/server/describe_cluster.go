package server

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
)

// DescribeCluster 0-2: the cluster's id, its brokers, and any of them as the
// controller, as in Metadata. v2 may ask for the fenced ones too (KIP-1073).
//
// The broker listener describes brokers only: endpoint type 2, controllers, is
// MISMATCHED_ENDPOINT_TYPE (KIP-919).
func (b *Broker) describeCluster(_ *wire.Context, req *kmsg.DescribeClusterRequest) kmsg.Response {
	const brokers = 1
	resp := kmsg.NewPtrDescribeClusterResponse()
	resp.EndpointType, resp.ControllerID = brokers, int32(kafka.NoNode)
	if req.Version >= 1 && req.EndpointType != brokers {
		resp.ErrorCode = kerr.MismatchedEndpointType.Code
		resp.ErrorMessage = ptr("The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER")
		if req.EndpointType != 2 {
			resp.ErrorCode = kerr.UnsupportedEndpointType.Code
			resp.ErrorMessage = ptr(fmt.Sprint("Unsupported endpoint type ", req.EndpointType))
		}
		return resp
	}
	if req.IncludeClusterAuthorizedOperations {
		resp.ClusterAuthorizedOperations = clusterOperations
	}
	resp.ClusterID = b.ClusterID
	var alive []int32
	for _, broker := range b.image().Brokers() {
		at, known := endpoint(broker)
		if !known || broker.Fenced && !req.IncludeFencedBrokers {
			continue
		}
		out := kmsg.NewDescribeClusterResponseBroker()
		out.NodeID, out.Host, out.Port, out.Rack = int32(broker.ID), at.Host, int32(at.Port), broker.Rack
		out.IsFenced = broker.Fenced
		resp.Brokers = append(resp.Brokers, out)
		if !broker.Fenced {
			alive = append(alive, out.NodeID)
		}
	}
	if len(alive) > 0 {
		resp.ControllerID = alive[b.Host.Rand().IntN(len(alive))]
	}
	return resp
}
