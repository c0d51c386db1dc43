package kafka

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTopicNameError(t *testing.T) {
	for name, want := range map[string]string{
		"orders":                 "",
		"_a.B-9":                 "",
		strings.Repeat("x", 249): "",
		"":                       "Topic name is invalid: the empty string is not allowed",
		"..":                     "Topic name is invalid: '..' is not allowed",
		"a/b":                    "Topic name is invalid: 'a/b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
		"ä":                      "Topic name is invalid: 'ä' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
		strings.Repeat("x", 250): "Topic name is invalid: the length of '" + strings.Repeat("x", 250) + "' is longer than the max allowed length 249",
	} {
		assert.Equal(t, want, TopicNameError(name), name)
	}
}
