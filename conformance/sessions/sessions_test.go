package sessions

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLike(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"good", "good", true},
		{"good", "goods", false},
		{"*", "", true},
		{"*", "anything", true},
		{".Nodes*", ".Nodes[1].NodeID", true},
		{"*Message", ".Topics[a].ErrorMessage", true},
		{"*Message", ".Topics[a].ErrorMessages", false},
		{"a*c*e", "abcde", true},
		{"a*c*e", "abde", false},
	} {
		assert.Equal(t, c.want, like(c.pattern, c.text), "%s ~ %s", c.pattern, c.text)
	}
}

func TestTranscript_IsReadAsItWasWritten(t *testing.T) {
	out := &Script{}
	out.add(`a "quoted" step`, "Produce v9", answer{".A": "1", ".B": "0", `.C[~x]`: "two\nlines"})
	out.add("another", "Fetch v4", answer{})
	in, err := readScript("t", out.String())
	require.NoError(t, err)
	assert.Equal(t, out.steps, in.steps)
	got, err := in.take(`a "quoted" step`, "Produce v9")
	require.NoError(t, err)
	assert.Equal(t, answer{".A": "1", `.C[~x]`: "two\nlines"}, got, "0 goes without saying")
	_, err = in.take("another", "Fetch v5")
	assert.ErrorContains(t, err, "record it anew")
}
