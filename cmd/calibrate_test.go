//go:build unix

package cmd

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/lab/profile"
)

// topicsOf are those of a served cluster, without internal ones.
func topicsOf(t *testing.T, s *serving) (names []string) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.addrs...))
	require.NoError(t, err)
	defer cl.Close()
	resp, err := kmsg.NewPtrMetadataRequest().RequestWith(t.Context(), cl)
	require.NoError(t, err)
	for _, topic := range resp.Topics {
		if !topic.IsInternal {
			names = append(names, *topic.Topic)
		}
	}
	return names
}

// withOrders serves a cluster that has a topic with one record.
func withOrders(t *testing.T) *serving {
	s := startServing(t, t.TempDir(), "--brokers", "3", "--controllers", "1")
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.addrs...), kgo.AllowAutoTopicCreation())
	require.NoError(t, err)
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, cl.ProduceSync(ctx, &kgo.Record{Topic: "orders", Value: []byte("an order")}).FirstErr())
	return s
}

func TestCalibrate(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	s := withOrders(t)
	file := filepath.Join(t.TempDir(), "mine.json")
	cmd := program("calibrate", "--bootstrap", s.addrs[0], "--rounds", "3", "--fsync", "--name", "mine", "--out", file, "--figure", "disk.write.rate=5e8")
	out, err := cmd.Output()
	require.NoError(t, err, "%s", err)
	assert.Contains(t, string(out), "3 of 3 brokers (127.0.0.1:")
	assert.Contains(t, string(out), "append, acks=all")
	assert.Contains(t, string(out), "not known, and free of cost until --figure gives it: ")
	assert.Regexp(t, `(?m)^append, acks=1 +\d+ +\d+$`, string(out), "it checks itself")
	assert.Regexp(t, `(?m)^append, acks=all +\d+ +\d+$`, string(out))
	assert.Contains(t, string(out), "next:    ktrial bench --profile "+file)
	assert.Equal(t, []string{"orders"}, topicsOf(t, s), "no topic of its own is left")

	p, err := profile.Load(file)
	require.NoError(t, err)
	assert.Equal(t, "mine", p.Name)
	latency, ok := p.Get(profile.NetworkLatency)
	require.True(t, ok)
	assert.Equal(t, profile.Measured, latency.Basis)
	shared, _ := p.Get(profile.SharedHost)
	if _, err := os.Stat("/proc/net/tcp"); err == nil {
		assert.Equal(t, 1.0, shared.Value, "the brokers run here")
	}
	for _, name := range []string{profile.DiskFsync, profile.FollowBatch, profile.FollowByte} {
		_, ok := p.Get(name)
		assert.True(t, ok, name)
	}
}

func TestCalibrateIsInterrupted(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	s := withOrders(t)
	file := filepath.Join(t.TempDir(), "mine.json")
	cmd := program("calibrate", "--bootstrap", s.addrs[0], "--rounds", "100", "--yes", "--out", file)
	var said safeBuffer
	cmd.Stderr = &said
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { return len(topicsOf(t, s)) == 2 }, 20*time.Second, 20*time.Millisecond, "its topic is made")
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	cmd.Wait()
	assert.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode(), said.String())
	assert.Contains(t, said.String(), "ktrial: interrupted; no profile was written, and the topics of the measurement are deleted\n")
	assert.Equal(t, []string{"orders"}, topicsOf(t, s))
	assert.NoFileExists(t, file)
}

// Without a terminal there is none to ask: more than is permitted is not sent.
func TestCalibrateAsksBeforeItSendsMuch(t *testing.T) {
	s := withOrders(t)
	cmd := program("calibrate", "--bootstrap", s.addrs[0], "--max-mb", "1", "--out", filepath.Join(t.TempDir(), "mine.json"))
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.Equal(t, exitUsage, cmd.ProcessState.ExitCode())
	assert.Regexp(t, `ktrial: about \d+ MB will be sent to 127\.0\.0\.1:\d+, and written by 3 brokers; at most 1 MB are permitted\. Send them\? \(no terminal to ask at: give --yes or --max-mb\)`, string(out))
	assert.Contains(t, string(out), "ktrial: calibrate: not permitted: ")
	assert.Equal(t, []string{"orders"}, topicsOf(t, s))
}

func TestCalibrateRefusesWhatItCannotUse(t *testing.T) {
	for args, want := range map[string]string{
		"":                               "calibrate: found no --bootstrap, expected the HOST:PORT of a broker",
		"--bootstrap x --rounds 2":       "--rounds 2: expected 3 or more, for a spread",
		"--bootstrap x --brokers 0":      "--brokers 0: expected 1 or more",
		"--bootstrap x --figure cores=8": `--figure "cores=8": figure "cores" is unknown`,
		"--bootstrap x --figure core":    `--figure "core": expected NAME=VALUE`,
		"--bootstrap x --figure disk.write.rate=fast": `--figure "disk.write.rate=fast": expected a number of 0 or more, in bytes/s`,
		"--bootstrap x --figure disk.write.rate=-1":   `--figure "disk.write.rate=-1": expected a number of 0 or more, in bytes/s`,
		"--bootstrap 127.0.0.1:1":                     "connection refused",
	} {
		s := typed(t, append([]string{"calibrate"}, strings.Fields(args)...)...)
		assert.Equal(t, exitUsage, s.code, args)
		assert.Contains(t, s.err, want, args)
	}
}
