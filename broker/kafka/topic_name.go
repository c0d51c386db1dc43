package kafka

import (
	"fmt"
	"strings"
)

// maxTopicName is how long a topic's name may be.
const maxTopicName = 249

// TopicNameError says what is wrong with a topic's name, in Kafka's words, or "".
func TopicNameError(name string) string {
	const prefix = "Topic name is invalid: "
	switch {
	case name == "":
		return prefix + "the empty string is not allowed"
	case name == ".", name == "..":
		return prefix + "'" + name + "' is not allowed"
	case len(name) > maxTopicName:
		return fmt.Sprintf("%sthe length of '%s' is longer than the max allowed length %d", prefix, name, maxTopicName)
	case strings.ContainsFunc(name, func(r rune) bool { return !topicRune(r) }):
		return prefix + "'" + name + "' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
	}
	return ""
}

func topicRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-'
}
