package controller

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

const maxTopicName = 249

// checkTopicName refuses what is no topic name, or would collide with another
// topic's in Kafka's metrics, where a dot becomes an underscore.
func (b *brain) checkTopicName(name string) error {
	switch {
	case name == "", name == ".", name == "..":
		return refuse(kerr.InvalidTopicException, "topic name %q", name)
	case len(name) > maxTopicName:
		return refuse(kerr.InvalidTopicException, "topic name of %d characters found, at most %d expected", len(name), maxTopicName)
	case strings.IndexFunc(name, func(r rune) bool { return !topicRune(r) }) >= 0:
		return refuse(kerr.InvalidTopicException, "topic name %q: only letters, digits, '.', '_' and '-' expected", name)
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

func topicRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-'
}

func collide(a, b string) bool {
	return strings.ReplaceAll(a, ".", "_") == strings.ReplaceAll(b, ".", "_")
}
