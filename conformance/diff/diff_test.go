package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/conformance"
	"github.com/ktrial/ktrial/conformance/sessions"
	"github.com/ktrial/ktrial/scenarios/serve"
)

// Sessions wait for timers of groups most of the time: many of them wait side by side.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", "8")
	}
	os.Exit(m.Run())
}

// TestSessions_AsApacheKafkaAnswered plays the sessions by hand in their highest versions with a
// served cluster, and compares its answers with those that Apache Kafka 4.4.0 gave when they were
// recorded (diff -record conformance/sessions/testdata). Scenario as-kafka-answers plays more of
// them, in virtual time.
func TestSessions_AsApacheKafkaAnswered(t *testing.T) {
	if testing.Short() {
		t.Skip("short: half a minute of waiting")
	}
	listed, err := sessions.ReadDifferences(conformance.Differences)
	require.NoError(t, err)
	addrs := served(t)
	require.NoError(t, (&sessions.Driver{Net: sessions.TCP(), Ours: addrs}).Greet())
	for i, r := range sessions.Highest() {
		t.Run(r.Name, func(t *testing.T) {
			if !r.Alone {
				t.Parallel()
			}
			d := &sessions.Driver{Net: sessions.TCP(), Ours: addrs, Listed: listed, Run: 1000 * i}
			found, err := d.Recorded(r)
			require.NoError(t, err)
			for _, f := range found {
				t.Error(f)
			}
		})
	}
}

// served is a cluster of three brokers, and where they listen.
func served(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan serve.Cluster, 1), make(chan error, 1)
	go func() {
		ended <- serve.Run(ctx, serve.Config{
			Brokers: 3, Controllers: 3, Listen: "127.0.0.1:0", Dir: dir, Set: sessions.Settings(),
			Ready: func(c serve.Cluster) { ready <- c },
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	select {
	case c := <-ready:
		return c.Brokers
	case err := <-ended:
		require.NoError(t, err, "the cluster ended")
	case <-time.After(time.Minute):
		require.Fail(t, "the cluster is not ready")
	}
	return nil
}
