//go:build unix

package cmd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Faults strike the served cluster, real clients live through them, and what they saw is
// judged: with idempotence nothing is lost or written twice.
func TestServe_PlaysAPlanAndJudgesWhatClientsSaw(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	dir := t.TempDir()
	plan := filepath.Join(dir, "plan.txt")
	require.NoError(t, os.WriteFile(plan, []byte("at 1s for 2s: kill leader of orders/0\nat 4s: reset connections of gateway\n"), 0o644))
	s := startServing(t, "", "--plan", plan, "--topic", "orders=3", "--record", filepath.Join(dir, "seen"))
	s.createTopic("orders")
	client, err := kgo.NewClient(kgo.SeedBrokers(s.addrs...), kgo.DefaultProduceTopic("orders"), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	require.NoError(t, err)
	defer client.Close()
	sent := 0
	for begun := time.Now(); time.Since(begun) < 6*time.Second; time.Sleep(5 * time.Millisecond) {
		client.Produce(context.Background(), kgo.StringRecord(fmt.Sprint("order ", sent)), nil)
		sent++
	}
	require.NoError(t, client.Flush(context.Background()))
	for read := 0; read < sent; {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		fetched := client.PollFetches(ctx)
		err := ctx.Err()
		cancel()
		require.NoError(t, err, "%d of %d were read", read, sent)
		read += fetched.NumRecords()
	}
	client.Close()
	s.stop()
	assert.Contains(t, s.errors.String(), "fault: kill broker-")
	assert.Contains(t, s.errors.String(), "fault: reset connections of gateway")
	checked := apart(t, "check", filepath.Join(dir, "seen", "history.jsonl"))
	assert.Zero(t, checked.code, checked.out)
	assert.Contains(t, checked.out, fmt.Sprintf("%d acknowledged records", sent))
}

func TestServe_RefusesWhatItCannotPlay(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ line, says string }{
		{"at 1s for 2s: power off broker-1", "use kill"},
		{"at 1s for 2s: slow fsync of broker-1 by 1s", "the machine's own"},
		{"at 1s for 2s: kill broker-9", `"broker-9" is unknown`},
		{"at 1s: eat broker-1", "eat"},
	} {
		plan := filepath.Join(t.TempDir(), "plan.txt")
		require.NoError(t, os.WriteFile(plan, []byte(x.line), 0o644))
		said, err := program("serve", "--listen", "127.0.0.1:0", "--plan", plan).CombinedOutput()
		assert.Error(t, err, x.line)
		assert.Contains(t, string(said), x.says)
	}
}
