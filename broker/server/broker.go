package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/replica"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/sim/env"
)

// Broker is the broker listener: it answers clients and other brokers.
type Broker struct {
	Host      env.Host
	NodeID    kafka.NodeID
	ClusterID string
	Settings  Settings

	Metadata  *Publisher
	Replicas  *replica.Manager
	Lifecycle *Lifecycle
	Groups    *Groups
	// Transactions coordinates transactions.
	Transactions *Transactions
	// Producers gives the ids of idempotent and transactional producers.
	Producers *ProducerIDs
	// Forward is the way to the controller for what clients ask of it.
	Forward *Channel
	// Allocate is the way for what this broker itself needs.
	Allocate *Channel
	Dir      *log.Dir
	// DataDir is the path of Dir.
	DataDir string
	Bugs    *planted.Set
	// Given is the broker's configuration as it was started with, by Kafka's names.
	Given map[string]string

	versions wire.Versions
	creator  topicCreator
}

// Listen serves the broker listener on port until the server is closed.
func (b *Broker) Listen(port int) (*wire.Server, error) {
	b.creator = topicCreator{host: b.Host, channel: b.Allocate, timeout: b.Settings.RequestTimeout, internal: map[string]kmsg.CreateTopicsRequestTopic{
		kafka.OffsetsTopic: b.Groups.topic(), kafka.TransactionsTopic: b.Transactions.topic(),
	}}
	r := b.routes()
	b.versions = r.versions(wire.Broker)
	return r.listen(b.Host, b.Settings, port, wire.Broker)
}

// routes is the table of what a broker serves. The controller's keys are served by
// forwarding.
func (b *Broker) routes() routes {
	r := routes{}
	on(r, b.produce)
	on(r, b.fetch)
	on(r, b.listOffsets)
	on(r, b.metadata)
	on(r, b.apiVersions)
	on(r, b.deleteRecords)
	on(r, b.initProducerID)
	on(r, b.offsetForLeaderEpoch)
	on(r, b.describeConfigs)
	on(r, b.describeLogDirs)
	on(r, b.describeCluster)
	on(r, b.describeProducers)
	on(r, b.describeTopicPartitions)

	on(r, b.findCoordinator)
	on(r, b.joinGroup)
	on(r, b.syncGroup)
	on(r, b.heartbeat)
	on(r, b.leaveGroup)
	on(r, b.offsetCommit)
	on(r, b.offsetFetch)
	on(r, b.offsetDelete)
	on(r, b.listGroups)
	on(r, b.describeGroups)
	on(r, b.deleteGroups)
	on(r, b.consumerGroupHeartbeat)
	on(r, b.consumerGroupDescribe)

	on(r, b.addPartitionsToTxn)
	on(r, b.addOffsetsToTxn)
	on(r, b.endTxn)
	on(r, b.writeTxnMarkers)
	on(r, b.txnOffsetCommit)
	on(r, b.describeTransactions)
	on(r, b.listTransactions)

	on(r, forward[*kmsg.CreateTopicsRequest](b))
	on(r, forward[*kmsg.DeleteTopicsRequest](b))
	on(r, forward[*kmsg.CreatePartitionsRequest](b))
	on(r, forward[*kmsg.ElectLeadersRequest](b))
	on(r, b.alterConfigs)
	on(r, b.incrementalAlterConfigs)
	on(r, forward[*kmsg.AlterPartitionAssignmentsRequest](b))
	on(r, forward[*kmsg.ListPartitionReassignmentsRequest](b))
	on(r, forward[*kmsg.DescribeQuorumRequest](b))
	on(r, forward[*kmsg.UpdateFeaturesRequest](b))
	on(r, forward[*kmsg.UnregisterBrokerRequest](b))
	return r
}

// image is the cluster as this broker knows it.
func (b *Broker) image() *metadata.Image { return b.Metadata.Image() }

// endpoint is where clients reach a broker, and whether it is known.
func endpoint(broker *metadata.Broker) (metadata.Endpoint, bool) {
	if broker != nil {
		for _, e := range broker.EndPoints {
			if e.Name == ListenerName {
				return e, true
			}
		}
	}
	return metadata.Endpoint{}, false
}

// errorOf is err as an answer carries it: the code, and the text if there is
// more to say than the code does.
func errorOf(err error) (code int16, message *string) {
	code = kafka.Code(err)
	if err == nil {
		return 0, nil
	}
	return code, kafka.Message(err)
}

// What a client may do with a topic and with the cluster, as bits by the number
// of Kafka's AclOperation. Without an authorizer that is everything there is.
const (
	topicOperations   = 3576 // read, write, create, delete, alter, describe, their configs
	clusterOperations = 8096 // create, alter, describe, cluster action, their configs, idempotent write, tokens
)
