package controller

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

const maxTopicName = 249

// checkTopicName refuses what is no topic name, or would collide with another
// topic's in Kafka's metrics, where a dot becomes an underscore.
func (b *brain) checkTopicName(name string) error {
	switch {
	case name == "", name == ".", name == "..":
		return fmt.Errorf("topic name %q: %w", name, kerr.InvalidTopicException)
	case len(name) > maxTopicName:
		return fmt.Errorf("topic name of %d characters found, at most %d expected: %w", len(name), maxTopicName, kerr.InvalidTopicException)
	case strings.IndexFunc(name, func(r rune) bool { return !topicRune(r) }) >= 0:
		return fmt.Errorf("topic name %q: only letters, digits, '.', '_' and '-' expected: %w", name, kerr.InvalidTopicException)
	}
	if !strings.ContainsAny(name, "._") {
		return nil
	}
	for _, topic := range b.image.Topics() {
		if topic.Name != name && collide(topic.Name, name) {
			return fmt.Errorf("topic name %q collides with topic %q: %w", name, topic.Name, kerr.InvalidTopicException)
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
