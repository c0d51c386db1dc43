package nearest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestName(t *testing.T) {
	known := []string{"standard", "split-network", "slow-follower"}
	for name, want := range map[string]string{
		"standrad":     "standard",
		"standard":     "standard",
		"slow-folower": "slow-follower",
		"qqqqqqqq":     "",
		"":             "",
	} {
		assert.Equal(t, want, Name(name, known), name)
	}
	assert.EqualError(t, Unknown("scenario", "standrad", known), `scenario "standrad" is unknown; did you mean standard?`)
	assert.EqualError(t, Unknown("scenario", "x", known), `scenario "x" is unknown`)
	assert.True(t, IsUnknown(fmt.Errorf("flag: %w", Unknown("scenario", "x", known))))
	assert.False(t, IsUnknown(errors.New("this is unknown")))
}
