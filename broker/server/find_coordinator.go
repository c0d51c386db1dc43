package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
)

// FindCoordinator 0-6: which broker coordinates a group, from v4 on of many (KIP-699).
//
//   - It is the leader of the group's partition of __consumer_offsets, by this broker's
//     metadata. Whether it has loaded the partition is not asked.
//   - The first to ask has __consumer_offsets created, with its own settings:
//     COORDINATOR_NOT_AVAILABLE meanwhile, and if the partition has no leader that is alive.
//   - Another key type is INVALID_REQUEST.
//
// Missing: transactions, which are COORDINATOR_NOT_AVAILABLE, and share groups (KIP-932),
// which are INVALID_REQUEST as in a cluster without them.
func (b *Broker) findCoordinator(_ *wire.Context, req *kmsg.FindCoordinatorRequest) kmsg.Response {
	resp := kmsg.NewPtrFindCoordinatorResponse()
	if req.Version >= 4 {
		for _, key := range req.CoordinatorKeys {
			out := kmsg.NewFindCoordinatorResponseCoordinator()
			at, id, err := b.coordinatorOf(req.CoordinatorType, key)
			out.Key, out.NodeID, out.Host, out.Port = key, int32(id), at.Host, at.port()
			out.ErrorCode, out.ErrorMessage = kafka.Code(err), ptr("")
			if err == kerr.InvalidRequest { // the only one that Kafka explains
				out.ErrorMessage = kafka.Message(err)
			}
			resp.Coordinators = append(resp.Coordinators, out)
		}
		return resp
	}
	at, id, err := b.coordinatorOf(req.CoordinatorType, req.CoordinatorKey)
	resp.NodeID, resp.Host, resp.Port = int32(id), at.Host, at.port()
	if resp.ErrorCode, resp.ErrorMessage = errorOf(err); err == nil {
		resp.ErrorMessage = ptr("NONE") // Kafka's name of no error
	}
	return resp
}

// The types of keys.
const (
	groupKey       = 0
	transactionKey = 1
)

// coordinatorOf is the address and id of the coordinator of a key.
func (b *Broker) coordinatorOf(kind int8, key string) (address, kafka.NodeID, error) {
	switch kind {
	case groupKey:
	case transactionKey:
		return address{}, kafka.NoNode, kerr.CoordinatorNotAvailable
	default:
		return address{}, kafka.NoNode, kerr.InvalidRequest
	}
	im := b.image()
	if im.Topic(kafka.OffsetsTopic) == nil {
		b.creator.create([]string{kafka.OffsetsTopic})
		return address{}, kafka.NoNode, kerr.CoordinatorNotAvailable
	}
	p := im.Partition(kafka.TopicPartition{Topic: kafka.OffsetsTopic, Partition: b.Groups.partitionFor(key)})
	if p == nil {
		return address{}, kafka.NoNode, kerr.CoordinatorNotAvailable
	}
	broker := im.Broker(p.Leader)
	at, known := endpoint(broker)
	if !known || broker.Fenced {
		return address{}, kafka.NoNode, kerr.CoordinatorNotAvailable
	}
	return address{at.Host, at.Port}, p.Leader, nil
}

// address is where a broker listens; the zero value is nowhere.
type address struct {
	Host string
	Port uint16
}

// port is as Kafka has it of no node.
func (a address) port() int32 {
	if a.Host == "" {
		return -1
	}
	return int32(a.Port)
}
