package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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

// TestSessions_AsApacheKafkaAnswered plays the sessions by hand in their highest
// versions with a served cluster, and compares its answers with those that
// Apache Kafka 4.4.0 gave when they were recorded (diff -record testdata).
func TestSessions_AsApacheKafkaAnswered(t *testing.T) {
	if testing.Short() {
		t.Skip("short: half a minute of waiting")
	}
	listed, err := readDifferences("../differences.md")
	require.NoError(t, err)
	addrs := served(t)
	ours := &side{what: "ours", addrs: addrs}
	require.NoError(t, ours.greet())
	for i, h := range allHands() {
		if h.unrecorded {
			continue
		}
		t.Run(h.name, func(t *testing.T) {
			if !strings.Contains(h.name, "configs") { // those change what others see
				t.Parallel()
			}
			script, err := readTranscript(filepath.Join("testdata", h.name+".txt"))
			require.NoError(t, err)
			d := &driver{ours: &side{what: "ours", addrs: addrs}, listed: slices.Clone(listed), run: 1000 * i}
			s := d.newSession(h.name, 1)
			s.script = script
			h.play(s)
			s.clean()
			for _, f := range s.found {
				t.Errorf("%s: %s v%d: %s\n\tKafka %s\n\tours  %s", f.step, f.api, f.version, f.path, f.kafka, f.ours)
			}
			assert.Equal(t, len(script.steps), script.next, "steps played")
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
			Brokers: 3, Controllers: 3, Listen: "127.0.0.1:0", Dir: dir, Set: settings(t),
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

// settings are those that the driver's clusters have, so that groups are quick
// and have one coordinator.
func settings(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("settings")
	require.NoError(t, err)
	set := map[string]string{}
	for _, line := range strings.Fields(string(text)) {
		name, value, ok := strings.Cut(line, "=")
		require.True(t, ok, line)
		set[name] = value
	}
	return set
}

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
	file := filepath.Join(t.TempDir(), "t.txt")
	out := &transcript{}
	out.add(`a "quoted" step`, "Produce v9", answer{".A": "1", ".B": "0", `.C[~x]`: "two\nlines"})
	out.add("another", "Fetch v4", answer{})
	require.NoError(t, out.write(file))
	in, err := readTranscript(file)
	require.NoError(t, err)
	assert.Equal(t, out.steps, in.steps)
	got, err := in.take(`a "quoted" step`, "Produce v9")
	require.NoError(t, err)
	assert.Equal(t, answer{".A": "1", `.C[~x]`: "two\nlines"}, got, "0 goes without saying")
	_, err = in.take("another", "Fetch v5")
	assert.ErrorContains(t, err, "record it anew")
}
