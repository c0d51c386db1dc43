package calibrate

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/lab/profile"
)

// short is a calibration of a fake.
func short(f *fake) Config {
	cfg := Defaults()
	cfg.Bootstrap, cfg.Rounds, cfg.WarmUp = f.addr, 3, 1
	return cfg
}

func TestAProfileIsMade(t *testing.T) {
	f := startFake(t)
	f.topics["orders"] = 3
	cfg := short(f)
	cfg.Fsync = true
	cfg.Given = map[string]profile.Figure{profile.DiskWrite: {Value: 5e8, Unit: profile.BytesPerSecond, Basis: profile.Assumed, Source: "a test"}}
	var steps []string
	cfg.Progress = func(p Progress) { steps = append(steps, p.Step) }
	res, err := Run(t.Context(), cfg)
	require.NoError(t, err)

	require.NoError(t, res.Profile.Check())
	assert.Equal(t, 3, res.Rounds)
	assert.Equal(t, 1, res.Of)
	for _, name := range []string{profile.NetworkLatency, profile.IORequest, profile.ProduceBatch, profile.ProduceByte, profile.FetchPartition} {
		figure, ok := res.Profile.Get(name)
		require.True(t, ok, name)
		assert.Equal(t, profile.Measured, figure.Basis, name)
		assert.NotNil(t, figure.Spread, name)
		assert.Contains(t, figure.Source, "3 samples", name)
	}
	disk, _ := res.Profile.Get(profile.DiskWrite)
	assert.Equal(t, 5e8, disk.Value, "what was given stays")
	fsync, _ := res.Profile.Get(profile.DiskFsync)
	assert.Len(t, fsync.Quantiles, len(fsyncQuantiles))
	assert.Contains(t, res.Missing, profile.ProducerRecord)
	assert.NotContains(t, res.Missing, profile.DiskWrite)
	assert.Positive(t, res.SentBytes)
	assert.Less(t, res.SentBytes, cfg.MostBytes)

	assert.Equal(t, map[string]int{"orders": 3}, f.topics, "its topics are gone, the other is there")
	assert.False(t, f.touched["orders"])
	assert.Len(t, f.touched, 2, "its own two topics")
	assert.Equal(t, "creating topics", steps[0])
	assert.Equal(t, "deleting the topics of the measurement", steps[len(steps)-1])
}

func TestATopicThatExistsIsNotTouched(t *testing.T) {
	f := startFake(t)
	f.topics["taken"] = 16
	cfg := short(f)
	cfg.topic = func() string { return "taken" }
	_, err := Run(t.Context(), cfg)
	assert.EqualError(t, err, "calibrate: create topic taken: found a topic of that name, expected none: no topic is touched that was there before")
	assert.Equal(t, map[string]int{"taken": 16}, f.topics)
	assert.False(t, f.touched["taken"])
	assert.Zero(t, f.deletions)
}

// The second of its topics is refused; the first is deleted.
func TestTheSyncedTopicIsTaken(t *testing.T) {
	f := startFake(t)
	f.topics["mine-synced"] = 1
	cfg := short(f)
	cfg.Fsync, cfg.topic = true, func() string { return "mine" }
	_, err := Run(t.Context(), cfg)
	assert.ErrorContains(t, err, "create topic mine-synced: found a topic of that name")
	assert.Equal(t, map[string]int{"mine-synced": 1}, f.topics)
}

func TestNamesDiffer(t *testing.T) {
	a, b := unguessable(), unguessable()
	assert.NotEqual(t, a, b)
	assert.Regexp(t, `^ktrial-calibrate-[0-9a-f]{24}$`, a)
}

func TestTopicsAreDeletedAfterAnError(t *testing.T) {
	f := startFake(t)
	f.produceError, f.failAfter = kerr.NotLeaderForPartition, 100
	_, err := Run(t.Context(), short(f))
	assert.ErrorContains(t, err, "broker 1 at "+f.addr)
	assert.ErrorContains(t, err, "append, acks=1: NOT_LEADER_FOR_PARTITION")
	assert.Empty(t, f.topics)
}

// A broker that does not know yet that it leads is asked again.
func TestANewLeaderIsWaitedFor(t *testing.T) {
	f := startFake(t)
	f.produceError = kerr.NotLeaderForPartition
	f.onProduce = func(n int) {
		if n == 3 {
			f.produceError = nil
		}
	}
	_, err := Run(t.Context(), short(f))
	assert.NoError(t, err)
}

func TestTopicsAreDeletedWhenItIsInterrupted(t *testing.T) {
	f := startFake(t)
	ctx, cancel := context.WithCancel(t.Context())
	f.onProduce = func(n int) {
		if n == 300 {
			cancel()
		}
	}
	_, err := Run(ctx, short(f))
	assert.Equal(t, context.Canceled, err)
	assert.Empty(t, f.topics)
	assert.Less(t, f.produced, 700, "the round was not played to its end")
}

// A deletion that is answered with an error is tried again.
func TestADeletionIsTriedAgain(t *testing.T) {
	f := startFake(t)
	f.deleteErrors = []error{kerr.NotController, kerr.RequestTimedOut}
	_, err := Run(t.Context(), short(f))
	require.NoError(t, err)
	assert.Empty(t, f.topics)
	assert.Equal(t, 3, f.deletions)
}

// What cannot be deleted is named.
func TestATopicThatIsLeftIsNamed(t *testing.T) {
	f := startFake(t)
	cl, err := connect(t.Context(), f.addr)
	require.NoError(t, err)
	f.topics["mine"], cl.ours, cl.deleteFor = 1, []string{"mine"}, 0
	f.deleteErrors = []error{kerr.TopicAuthorizationFailed}
	err = cl.deleteTopics()
	assert.ErrorContains(t, err, "[mine] are left, delete them by hand: calibrate: delete topic mine: TOPIC_AUTHORIZATION_FAILED")
	var left *LeftError
	require.ErrorAs(t, err, &left)
	assert.Equal(t, []string{"mine"}, left.Topics)
}

func TestNothingIsSentThatIsNotPermitted(t *testing.T) {
	f := startFake(t)
	cfg := short(f)
	cfg.MostBytes = 1e6
	asked := ""
	cfg.Confirm = func(question string) bool { asked = question; return false }
	_, err := Run(t.Context(), cfg)
	assert.ErrorIs(t, err, ErrRefused)
	assert.Regexp(t, `^about \d+ MB will be sent to 127.0.0.1:\d+, and written by 1 brokers; at most 1 MB are permitted. Send them\?$`, asked)
	assert.Zero(t, f.produced)
	assert.Zero(t, f.deletions)
	assert.Empty(t, f.touched)

	cfg.Confirm = nil
	_, err = Run(t.Context(), cfg)
	assert.ErrorIs(t, err, ErrRefused)

	cfg.Confirm = func(string) bool { return true }
	_, err = Run(t.Context(), cfg)
	assert.NoError(t, err)
}

// What is sent stays within what was asked for.
func TestTheLoadIsThatWhichWasAnnounced(t *testing.T) {
	f := startFake(t)
	r := run{cfg: &Config{Rounds: 3, WarmUp: 1, Brokers: 1, Replicas: 3}, cluster: &cluster{brokers: []node{{1, "a:1"}, {2, "b:1"}, {3, "c:1"}}}, res: &Result{}}
	r.choose()
	assert.Equal(t, 3, r.res.Replicas)
	withReplicas := r.planned()
	res, err := Run(t.Context(), short(f))
	require.NoError(t, err)
	assert.LessOrEqual(t, res.SentBytes, withReplicas)
}

func TestTheTimeEndsTheRounds(t *testing.T) {
	f := startFake(t)
	cfg := short(f)
	cfg.Rounds, cfg.For = 50, time.Nanosecond
	cfg.MostBytes = 1e12
	res, err := Run(t.Context(), cfg)
	require.NoError(t, err)
	assert.Equal(t, 3, res.Rounds)
	assert.Equal(t, []string{"the time was over after 3 of 50 rounds"}, res.Notices)
}

func TestTheDiskIsMeasuredAndTidied(t *testing.T) {
	f := startFake(t)
	cfg := short(f)
	cfg.Disk = t.TempDir()
	res, err := Run(t.Context(), cfg)
	require.NoError(t, err)
	disk, ok := res.Profile.Get(profile.DiskWrite)
	require.True(t, ok)
	assert.Greater(t, disk.Value, 1e6)
	left, _ := filepath.Glob(filepath.Join(cfg.Disk, "*"))
	assert.Empty(t, left)
}

func TestWhatIsNoBroker(t *testing.T) {
	cfg := Defaults()
	cfg.Bootstrap = "127.0.0.1:1"
	_, err := Run(t.Context(), cfg)
	assert.ErrorContains(t, err, "connection refused")
}

func TestAClientIsMeasuredByDifferences(t *testing.T) {
	c := &Command{Records: 1000}
	used := map[clientRun]clientCPU{}
	for _, k := range c.runs() {
		n := float64(k.records)
		used[k] = clientCPU{
			caller: 5e6 + n*(0.8+0.002*float64(k.size)),
			sender: 1e6 + n*(0.001*float64(k.size)+10*float64(k.size)/float64(k.batch)),
		}
	}
	f := c.figures(used)
	assert.InDelta(t, 0.8, f[profile.ProducerRecord], 1e-9, "starting up is not in it")
	assert.InDelta(t, 2, f[profile.ProducerByte], 1e-9)
	assert.InDelta(t, 10, f[profile.ProducerBatch]+f[profile.ProducerRequest], 1e-6)
	assert.InDelta(t, 1+10_000.0/fullBatch, f[profile.SenderByte], 1e-6, "with its part of a full batch")
}

func TestAClientsCommandIsRun(t *testing.T) {
	c := &Command{Line: "echo {bootstrap} {topic} {records} {size} {batch}", Records: 10}
	_, err := c.run(t.Context(), "b:1", "t", clientRun{10, 100, 1})
	require.NoError(t, err)
	c.Line = "false"
	_, err = c.run(t.Context(), "b:1", "t", clientRun{})
	assert.ErrorContains(t, err, "false: exit status 1")
	c.Line = " "
	_, err = c.run(t.Context(), "b:1", "t", clientRun{})
	assert.ErrorContains(t, err, "found an empty command line")
}

// A process that computes is seen to.
func TestThreadsOfAClientAreSeen(t *testing.T) {
	c := &Command{Line: "dd if=/dev/zero of=/dev/null bs=4k count={records}", Records: 100_000}
	cpu, err := c.run(t.Context(), "", "", clientRun{records: 200_000})
	require.NoError(t, err)
	assert.Greater(t, cpu.caller, 1000.0)
	assert.Zero(t, cpu.sender)
}

func TestEveryMeasuredFigureSaysHow(t *testing.T) {
	s := sample{}
	for _, l := range loads(true, true) {
		s[l.name] = take{micros: []float64{1}}
	}
	for name := range s.fromWaits() {
		assert.NotEmpty(t, how[name], name)
		assert.NotNil(t, profile.Find(name), name)
	}
	for name := range s.fromThreads(3) {
		assert.NotEmpty(t, how[name]+howThreads[name], name)
	}
}

func TestLoadsAreNamedOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range loads(true, true) {
		assert.False(t, seen[l.name], l.name)
		seen[l.name] = true
		assert.Positive(t, l.count, l.name)
	}
	assert.Equal(t, strings.Count(loadBytes, "64 kB"), 1)
	assert.Equal(t, 64_000, manyOf*large)
	assert.Equal(t, manyOf*large, smallOf*tiny)
}
