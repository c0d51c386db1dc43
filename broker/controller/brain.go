package controller

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/ledger"
)

// brain is what decisions are made from. Its methods, one per request, return
// records and an answer; none changes the image or the sessions.
type brain struct {
	cfg      *Config
	image    *metadata.Image // with all that was decided before, committed or not
	sessions *sessions
	now      time.Duration // the host's uptime
	next     kafka.Offset  // what the first record decided on now will have
	luck     *rand.Rand
	reached  func(*ledger.Probe)
}

// records is what a decision wants written, in one batch.
type records = []metadata.Record

// active reports whether a broker may take part in partitions: registered,
// unfenced and not on its way out.
func (b *brain) active(id kafka.NodeID) bool {
	broker := b.image.Broker(id)
	return broker != nil && !broker.Fenced && !broker.InControlledShutdown
}

// activeOf is the nodes that are active, in the same order.
func (b *brain) activeOf(nodes []kafka.NodeID) []kafka.NodeID {
	var out []kafka.NodeID
	for _, id := range nodes {
		if b.active(id) {
			out = append(out, id)
		}
	}
	return out
}

// checkEpoch refuses a request of a broker incarnation that is gone.
func (b *brain) checkEpoch(id kafka.NodeID, epoch kafka.BrokerEpoch) error {
	broker := b.image.Broker(id)
	if broker == nil {
		return refuse(kerr.StaleBrokerEpoch, "broker %d is not registered", id)
	}
	if broker.Epoch != epoch {
		return refuse(kerr.StaleBrokerEpoch, "broker %d: epoch %d found, %d expected", id, epoch, broker.Epoch)
	}
	return nil
}

// usable lists the brokers that new replicas may be placed on: all but those that are
// shutting down. One that has shut down is fenced, and is usable like any that is
// (BrokerHeartbeatManager.usableBrokers; Kafka's asks its sessions, which know of no
// shutdown that began under another controller).
func (b *brain) usable() []usableBroker {
	var out []usableBroker
	for _, broker := range b.image.Brokers() {
		if !broker.InControlledShutdown || broker.Fenced {
			u := usableBroker{id: broker.ID, fenced: broker.Fenced}
			if broker.Rack != nil {
				u.rack = *broker.Rack
			}
			out = append(out, u)
		}
	}
	return out
}

// Names of features (KIP-584).
const (
	featureMetadataVersion = "metadata.version"
	featureELR             = "eligible.leader.replicas.version"
	featureGroupVersion    = "group.version"
	featureTxnVersion      = "transaction.version"
)

func (b *brain) elrOn() bool { return b.image.Feature(featureELR) > 0 }

// The topic configurations that the controller itself heeds.
const (
	configMinISR  = "min.insync.replicas"
	configUnclean = "unclean.leader.election.enable"
)

// allBrokers is the resource that the defaults of all brokers are set on. It is
// a variable only because Go has no constant structs.
var allBrokers = metadata.Resource{Type: metadata.BrokerResource}

// topicConfig is the value of name for a topic: its own, or what is set for this
// node, or for all, or the controller's.
func (b *brain) topicConfig(topic, name, otherwise string) string {
	value, from := config.Find(config.Topic, name).Effective(
		b.layer(config.FromTopic, metadata.Resource{Type: metadata.TopicResource, Name: topic}),
		b.layer(config.FromBroker, metadata.BrokerConfig(b.cfg.ID)),
		b.layer(config.FromAllBrokers, allBrokers))
	if from == config.FromDefault {
		return otherwise
	}
	return value
}

// layer is what is set on a resource.
func (b *brain) layer(from config.Source, r metadata.Resource) config.Layer {
	return config.Layer{Source: from, Get: func(name string) (string, bool) { return b.image.ConfigValue(r, name) }}
}

func (b *brain) minISR(topic string) int {
	own := strconv.Itoa(int(b.cfg.Settings.MinInsyncReplicas))
	n, err := strconv.Atoi(b.topicConfig(topic, configMinISR, own))
	if err != nil {
		panic(fmt.Sprintf("controller: %s of %s: %v, though it was validated", configMinISR, topic, err))
	}
	return n
}

func (b *brain) uncleanElection(topic string) bool {
	own := strconv.FormatBool(b.cfg.Settings.UncleanElection)
	on, err := strconv.ParseBool(b.topicConfig(topic, configUnclean, own))
	if err != nil {
		panic(fmt.Sprintf("controller: %s of %s: %v, though it was validated", configUnclean, topic, err))
	}
	return on
}

// change begins a change of p that keeps everything as it is.
func (b *brain) change(p *metadata.Partition) partitionChange {
	return partitionChange{
		partition: p,
		replicas:  p.Replicas, isr: p.ISR,
		adding: p.AddingReplicas, removing: p.RemovingReplicas,
		recovery:        p.Recovery,
		uncleanShutdown: kafka.NoNode,
		acceptable:      b.active,
		elrOn:           b.elrOn(),
		minISR:          b.minISR(p.Topic),
		bugs:            b.cfg.Bugs,
	}
}

// automatic is the election of a change that no request asked for: unclean only
// where the topic allows it.
func (b *brain) automatic(topic string) election {
	if b.uncleanElection(topic) {
		return unclean
	}
	return online
}

// partitions visits all partitions in order.
func (b *brain) partitions(visit func(*metadata.Partition)) {
	for _, topic := range b.image.Topics() {
		for _, p := range topic.Partitions {
			visit(p)
		}
	}
}

// leads reports whether a broker leads any partition.
func (b *brain) leads(id kafka.NodeID) bool {
	for _, topic := range b.image.Topics() {
		for _, p := range topic.Partitions {
			if p.Leader == id {
				return true
			}
		}
	}
	return false
}

// add appends the record of a change, unless it changes nothing.
func (c partitionChange) add(to records) records {
	if record := c.build(); record != nil {
		to = append(to, record)
	}
	return to
}

// member reports whether a broker counts in p: it is in its ISR or ELR.
func member(p *metadata.Partition, id kafka.NodeID) bool {
	return slices.Contains(p.ISR, id) || slices.Contains(p.ELR, id)
}
