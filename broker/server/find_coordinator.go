package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
)

// FindCoordinator 0-6: which broker coordinates a group or a transactional id, from v4 on of many (KIP-699).
//
//   - It is the leader of the key's partition of __consumer_offsets or __transaction_state, by this
//     broker's metadata. Whether it has loaded the partition is not asked.
//   - The first to ask has the topic created, with its own settings:
//     COORDINATOR_NOT_AVAILABLE meanwhile, and if the partition has no leader that is alive.
//   - Another key type is INVALID_REQUEST.
//
// Missing: share groups (KIP-932), which are INVALID_REQUEST as in a cluster without them.
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
	var tp kafka.TopicPartition
	switch kind {
	case groupKey:
		tp = kafka.TopicPartition{Topic: kafka.OffsetsTopic, Partition: b.Groups.partitionFor(key)}
	case transactionKey:
		tp = kafka.TopicPartition{Topic: kafka.TransactionsTopic, Partition: b.Transactions.partitionFor(key)}
	default:
		return address{}, kafka.NoNode, kerr.InvalidRequest
	}
	im := b.image()
	if im.Topic(tp.Topic) == nil {
		b.creator.create([]string{tp.Topic})
		return address{}, kafka.NoNode, kerr.CoordinatorNotAvailable
	}
	id, at, ok := aliveLeader(im, tp)
	if !ok {
		return address{}, kafka.NoNode, kerr.CoordinatorNotAvailable
	}
	return at, id, nil
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
