package published

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEachFigureHasItsSource(t *testing.T) {
	rows := Rows()
	assert.Len(t, rows, 83)
	seen := map[string]bool{}
	for _, r := range rows {
		assert.False(t, seen[r.ID], r.ID)
		seen[r.ID] = true
		assert.NotEmpty(t, r.Source, r.ID)
		assert.NotEmpty(t, r.Metric, r.ID)
		assert.NotEmpty(t, r.Unit, r.ID)
		assert.Positive(t, r.Value, r.ID)
	}
}

func TestAFigureHasItsSettings(t *testing.T) {
	r, ok := Named("CFT-lat-async")
	require.True(t, ok)
	assert.Equal(t, []any{3, 100, 3, "all", 2, 4, 4, 1024, 1 << 20, 10.0, false, 208.7, "ms"},
		[]any{r.Brokers, r.Partitions, r.ReplicationFactor, r.Acks, r.MinInsync, r.Producers, r.Consumers, r.RecordBytes, r.BatchBytes, r.LingerMs, r.FsyncEach, r.Value, r.Unit})
	r, ok = Named("CFLs-pub-p99")
	require.True(t, ok)
	assert.True(t, r.FsyncEach)
	assert.Equal(t, 200_000.0, r.OfferedPerSecond)
	_, ok = Named("CFT")
	assert.False(t, ok)
}

func TestADamagedTableIsAnError(t *testing.T) {
	_, err := parse(strings.Replace(table, ",821557,", ",many,", 1))
	assert.ErrorContains(t, err, `row 1, LI1: found "many", expected a number`)
	_, err = parse(strings.Replace(table, ",rf,", ",replicas,", 1))
	assert.ErrorContains(t, err, `found no column "rf"`)
}
