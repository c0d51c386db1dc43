package ktrial

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/scenarios"
)

// heard is a T that listens.
type heard struct{ errors, logs []string }

func (h *heard) Helper() {}
func (h *heard) Logf(format string, args ...any) {
	h.logs = append(h.logs, fmt.Sprintf(format, args...))
}
func (h *heard) Errorf(format string, args ...any) {
	h.errors = append(h.errors, fmt.Sprintf(format, args...))
}

func TestTry_HoldsWhatIsPromised(t *testing.T) {
	Try(t, scenarios.SplitNetwork, Seeds(1, 2)...)
}

func TestTry_FailsWithTheReport(t *testing.T) {
	hopeless := scenarios.Standard
	hopeless.Name = "hopeless"
	hopeless.Faults = faults.Plan{{At: time.Second, Fault: faults.Pause{Host: faults.AllClients}}}
	hopeless.Liveness = time.Second // nobody converges that fast
	var h heard
	Try(&h, hopeless, 1)
	assert.Len(t, h.errors, 1)
	assert.Contains(t, h.errors[0], "FAIL hopeless seed 1")
	assert.Contains(t, h.errors[0], "ktrial run hopeless --seed 1")
}
