package controller

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

const maxTopicName = 249

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
	if err := CheckTopicName(name); err != nil {
		return err
	}
	if other := c[metricName(name)]; other != "" && other != name {
		return refuse(kerr.InvalidTopicException, "Topic '%s' collides with existing topic: %s", name, other)
	}
	return nil
}

// CheckTopicName says what is wrong with the name of a topic, in Kafka's words
// (Topic.validate).
func CheckTopicName(name string) error {
	why := ""
	switch {
	case name == "":
		why = "the empty string is not allowed"
	case name == ".", name == "..":
		why = fmt.Sprintf("'%s' is not allowed", name)
	case len(name) > maxTopicName:
		why = fmt.Sprintf("the length of '%s' is longer than the max allowed length %d", name, maxTopicName)
	case strings.IndexFunc(name, func(r rune) bool { return !topicRune(r) }) >= 0:
		why = fmt.Sprintf("'%s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'", name)
	default:
		return nil
	}
	return refuse(kerr.InvalidTopicException, "Topic name is invalid: %s", why)
}

func topicRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-'
}
