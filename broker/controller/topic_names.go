package controller

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
)

// collisions are the topics that there are, by the name under which Kafka's
// metrics know them, where a dot is an underscore. Only names with either can
// collide.
type collisions map[string]string

func (b *brain) collisions() collisions {
	out := collisions{}
	for _, topic := range b.image.Topics() {
		if strings.ContainsAny(topic.Name, "._") {
			if metric := metricName(topic.Name); out[metric] == "" {
				out[metric] = topic.Name
			}
		}
	}
	return out
}

func metricName(topic string) string { return strings.ReplaceAll(topic, ".", "_") }

// check refuses what is no topic name, or collides with another topic's.
func (c collisions) check(name string) error {
	if err := checkTopicName(name); err != nil {
		return err
	}
	if other := c[metricName(name)]; other != "" && other != name {
		return refuse(kerr.InvalidTopicException, "Topic '%s' collides with existing topic: %s", name, other)
	}
	return nil
}

// checkTopicName says what is wrong with the name of a topic.
func checkTopicName(name string) error {
	if says := kafka.TopicNameError(name); says != "" {
		return refuse(kerr.InvalidTopicException, "%s", says)
	}
	return nil
}
