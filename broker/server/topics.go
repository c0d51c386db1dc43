package server

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim/env"
)

// internalTopic reports whether name is one of the coordinators' topics.
func internalTopic(name string) bool {
	return slices.Contains(kafka.InternalTopics, name)
}

// validTopicName says what is wrong with name, or nil.
func validTopicName(name string) error {
	if says := kafka.TopicNameError(name); says != "" {
		return kafka.Refuse(kerr.InvalidTopicException, "%s", says)
	}
	return nil
}

// topicCreator creates topics that clients have asked about, in the
// background. A topic is asked for once at a time.
type topicCreator struct {
	host     env.Host
	channel  *Channel
	timeout  time.Duration
	inFlight map[string]bool
	// internal are the coordinators' topics, which are created as this broker is set.
	internal map[string]kmsg.CreateTopicsRequestTopic
}

// create asks for topics: the coordinators' as they are to be, others with the controller's defaults for
// partitions and replication factor. It does not block.
func (c *topicCreator) create(names []string) {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = int32(c.timeout.Milliseconds())
	for _, name := range names {
		if c.inFlight[name] {
			continue
		}
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, -1, -1
		if as, ok := c.internal[name]; ok {
			topic = as
		}
		req.Topics = append(req.Topics, topic)
		if c.inFlight == nil {
			c.inFlight = map[string]bool{}
		}
		c.inFlight[name] = true
	}
	if len(req.Topics) == 0 {
		return
	}
	c.host.Go("auto-create topics", func() {
		// What became of it, the client learns when it asks again.
		if _, err := c.channel.Call(req, c.timeout); err != nil {
			c.host.Tell(&witness.AutoCreateFailed{Topic: req.Topics[0].Topic, Error: witness.ErrorOf(err)})
		}
		for _, topic := range req.Topics {
			delete(c.inFlight, topic.Topic)
		}
	})
}
