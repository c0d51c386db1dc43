package controller

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
)

// checkTopicName refuses what is no topic name, or would collide with another
// topic's in Kafka's metrics, where a dot becomes an underscore.
func (b *brain) checkTopicName(name string) error {
	if says := kafka.TopicNameError(name); says != "" {
		return refuse(kerr.InvalidTopicException, "%s", says)
	}
	if !strings.ContainsAny(name, "._") {
		return nil
	}
	for _, topic := range b.image.Topics() {
		if topic.Name != name && collide(topic.Name, name) {
			return refuse(kerr.InvalidTopicException, "topic name %q collides with topic %q", name, topic.Name)
		}
	}
	return nil
}

func collide(a, b string) bool {
	return strings.ReplaceAll(a, ".", "_") == strings.ReplaceAll(b, ".", "_")
}
