package build

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// What is not known to be the same build is another: it cannot be said of two
// unknown ones that a difference between their runs is a leak.
func TestSame(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"a1b2c3", "a1b2c3", true},
		{"a1b2c3", "d4e5f6", false},
		{"unknown", "unknown", false},
		{"", "", false},
		{"a1b2c3+changes", "a1b2c3+changes", false},
		{"a1b2c3+changes program 0102", "a1b2c3+changes program 0102", true},
		{"a1b2c3+changes program 0102", "a1b2c3+changes program 0304", false},
		{"unknown program 0102", "unknown program 0102", true},
	} {
		assert.Equal(t, c.same, Same(c.a, c.b), "%q and %q", c.a, c.b)
	}
}

func TestThisBuild(t *testing.T) {
	assert.True(t, Same(ID(), ID()), ID())
	assert.Regexp(t, `^\S+ \(commit \S+(, with changes)?\) go1\.\S+ \w+/\w+$`, Version())
}
