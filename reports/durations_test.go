package reports

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDurationsOf(t *testing.T) {
	var all []time.Duration
	for i := range 200 {
		all = append(all, time.Duration(200-i)*time.Millisecond)
	}
	d := DurationsOf(all)
	assert.Equal(t, Durations{Count: 200, P50: ms(100), P99: ms(198), P999: ms(200), Max: ms(200), Sum: ms(20100)}, d)
	assert.Equal(t, "100ms in the median, 200ms at most", d.String())
	assert.Equal(t, Durations{Count: 1, P50: ms(7), P99: ms(7), P999: ms(7), Max: ms(7), Sum: ms(7)}, DurationsOf([]time.Duration{7 * time.Millisecond}))
	assert.Zero(t, DurationsOf(nil))
	text, err := json.Marshal(Rebalances{Group: "billing", Stable: d})
	require.NoError(t, err)
	assert.JSONEq(t, `{"group":"billing","stable":{"count":200,"p50":0.1,"p99":0.198,"p999":0.2,"max":0.2,"sum":20.1},"standstill":{"count":0,"p50":0,"p99":0,"p999":0,"max":0,"sum":0}}`, string(text))
}

func TestRebalances_InWords(t *testing.T) {
	r := Rebalances{Group: "billing", Stable: Durations{Count: 1, P50: ms(1200), Max: ms(1200)}, Standstill: Durations{Count: 3, P50: ms(800), Max: ms(9000), Sum: ms(10100)}}
	assert.Equal(t, "billing: 1 rebalance, stable after 1.2s in the median, 1.2s at most; partitions stood still 3 times, 800ms in the median, 9s at most, 10.1s in all", r.String())
}

func ms(n int) Seconds { return Seconds(time.Duration(n) * time.Millisecond) }
