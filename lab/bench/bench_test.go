package bench

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/lab/profile"
)

func load(t testing.TB, name string) *profile.Profile {
	p, err := profile.Load(name)
	require.NoError(t, err)
	return p
}

// with is a profile in which some figures have other values.
func with(t testing.TB, name string, values map[string]float64) *profile.Profile {
	p := load(t, name)
	for figure, v := range values {
		f, ok := p.Get(figure)
		require.True(t, ok, figure)
		f.Value = v
		p.Set(figure, f)
	}
	return p
}

func measure(t testing.TB, o Options) Result {
	r, err := Run(o)
	require.NoError(t, err)
	require.Zero(t, r.Failed)
	return r
}

// small is a load that every machine carries.
func small(t testing.TB) Options {
	return Options{
		Profile: load(t, "teaching"), Seed: 1, Consumers: 1, Rate: 5000, Warmup: 500 * time.Millisecond, Measure: time.Second,
	}
}

func TestRun_TheSameSeedGivesTheSameResultAndAnotherAnother(t *testing.T) {
	o := small(t)
	a := measure(t, o)
	o.Seed = 2
	b := measure(t, o)
	o.Seed = 1
	c := measure(t, o)
	assert.NotEqual(t, a.Hash, b.Hash)
	a.WallSeconds, c.WallSeconds = 0, 0
	assert.Equal(t, a, c)
}

// What work costs is part of the trace, and of nothing but the seed: another process has
// the same hash.
func TestRun_TwoProcessesOneHash(t *testing.T) {
	const only = "KTRIAL_PRINT_HASH"
	if os.Getenv(only) != "" {
		fmt.Println("hash", measure(t, small(t)).Hash)
		return
	}
	c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), only+"=1")
	out, err := c.CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Contains(t, string(out), "hash "+measure(t, small(t)).Hash)
	slower := small(t)
	slower.Profile = with(t, "teaching", map[string]float64{profile.IORequest: 13})
	assert.NotContains(t, string(out), measure(t, slower).Hash, "one figure more is another run")
}

func TestRun_ALoadThatIsCarriedIsAcknowledgedAndConsumed(t *testing.T) {
	r := measure(t, small(t))
	assert.InEpsilon(t, 5000, r.PerSecond, 0.01)
	assert.InEpsilon(t, 5000, float64(r.Consumed)/r.Seconds, 0.01)
	assert.Equal(t, r.Sent, r.Publish.Count)
	assert.Equal(t, "nothing: the load is carried", r.Binds)
	assert.Less(t, r.Publish.Mean, r.EndToEnd.Mean)
	var sum float64
	for _, s := range r.Stages {
		sum += s.Mean
	}
	assert.InEpsilon(t, r.EndToEnd.Mean, sum, 0.05, "the stages are the whole way")
	assert.Less(t, r.ReplicationLag, int64(100))
}

// full is three producers at full speed on LinkedIn's machines of 2014.
func full(t testing.TB, p *profile.Profile) Options {
	return Options{
		Profile: p, Seed: 1, Producers: 3, RecordBytes: 100, Warmup: 400 * time.Millisecond, Measure: 400 * time.Millisecond,
		Settings: map[string]string{"acks": "1", "producer.batch.size": "8196"},
	}
}

// With 1 GbE producers that do not wait for followers leave them too little of the
// network: they fall behind. With a load that the network carries three times they keep up.
// Kafka's own tool keeps a rate in bunches, and a batch has several of them without linger.
// Where each record is 2 ms from the next there are none.
func TestRun_RecordsComeInBunchesAsKafkasToolSendsThem(t *testing.T) {
	o := small(t)
	o.Settings = map[string]string{"producer.linger.ms": "0"}
	o.Rate, o.Load = 1500, Bunches
	r := measure(t, o)
	assert.InDelta(t, 1500, r.PerSecond, 15)
	assert.Greater(t, r.BatchRecords, 1.5)
	o.Load = Open
	assert.InDelta(t, 1, measure(t, o).BatchRecords, 0.1)
	o.Rate, o.Load = 500, Bunches
	r = measure(t, o)
	assert.InDelta(t, 500, r.PerSecond, 10)
	assert.InDelta(t, 1, r.BatchRecords, 0.1)
}

func TestControl_FollowersFallBehindOnOneGigabit(t *testing.T) {
	skipIfShort(t)
	slow := measure(t, full(t, load(t, "linkedin-2014")))
	carried := full(t, load(t, "linkedin-2014"))
	carried.Rate = 600_000
	fast := measure(t, carried)
	assert.Greater(t, float64(slow.ReplicationLag), 0.5*slow.PerSecond, "behind by a good part of all that was sent")
	assert.Less(t, float64(fast.ReplicationLag), 0.1*fast.PerSecond)
}

// At saturation each record waits for the whole of the buffer before it: the mean latency is
// buffer.memory over what leaves it.
func TestControl_MeanLatencyAtSaturationIsBufferOverThroughput(t *testing.T) {
	skipIfShort(t)
	for _, c := range []struct {
		buffer float64
		acks   string
		bytes  int
	}{{8 << 20, "1", 1000}, {16 << 20, "all", 1000}, {8 << 20, "all", 200}} {
		r := measure(t, Options{
			Profile: with(t, "linkedin-2014", map[string]float64{profile.ClientNIC: 12.5e6}), Seed: 3, RecordBytes: c.bytes,
			Warmup: 4 * time.Second, Measure: 3 * time.Second,
			Settings: map[string]string{"acks": c.acks, "buffer.memory": fmt.Sprint(int64(c.buffer)), "producer.batch.size": "16384"},
		})
		// A batch takes batch.size of the buffer, however full it is.
		perRecord := 16384 / r.BatchRecords
		law := c.buffer / (r.PerSecond * perRecord) * 1000
		assert.InEpsilon(t, law, r.Publish.Mean, 0.05, "%+v: %s", c, r.Text())
		assert.Contains(t, r.Binds, "network out")
	}
}

// A resource that does not bind may be doubled: nothing changes.
func TestControl_DoublingWhatDoesNotBindChangesNothing(t *testing.T) {
	skipIfShort(t)
	// Ten times what a record costs the producer: it is bound by that, and the run is short.
	slow := map[string]float64{profile.ProducerRecord: 12}
	o := full(t, with(t, "linkedin-2014", slow))
	o.Producers, o.Settings, o.Measure = 1, map[string]string{"acks": "1"}, time.Second
	before := measure(t, o)
	require.Contains(t, before.Binds, "application threads", "one producer is bound by its own thread")
	for _, figure := range []string{profile.BrokerCores, profile.ClientCores, profile.DiskWrite, profile.BrokerMemory} {
		f, _ := o.Profile.Get(figure)
		doubled := o
		doubled.Profile = with(t, "linkedin-2014", map[string]float64{profile.ProducerRecord: 12, figure: 2 * f.Value})
		after := measure(t, doubled)
		assert.InEpsilon(t, before.PerSecond, after.PerSecond, 0.001, figure)
		assert.InEpsilon(t, before.Publish.Mean, after.Publish.Mean, 0.01, figure)
	}
	doubled := o
	doubled.Profile = with(t, "linkedin-2014", map[string]float64{profile.ProducerRecord: 6})
	after := measure(t, doubled)
	assert.Greater(t, after.PerSecond, 1.5*before.PerSecond, "what binds does change it")
}

func TestCheck_RefusesWhatCannotBePlayed(t *testing.T) {
	for _, c := range []struct {
		change func(*Options)
		says   string
	}{
		{func(o *Options) { o.Profile = nil }, "profile: found none"},
		{func(o *Options) { o.Load = "fast" }, `load: found "fast", expected open, bunches, closed or full`},
		{func(o *Options) { o.Load, o.Rate = Open, 0 }, "expected records per second for load open"},
		{func(o *Options) { o.Payload = "xml" }, `payload: found "xml"`},
		{func(o *Options) { o.RecordBytes = 4 }, "expected at least 8"},
		{func(o *Options) { o.Replicas = 4 }, "replicas: found 4, expected at most one on each of 3 brokers"},
		{func(o *Options) { o.Settings = map[string]string{"linger": "5"} }, `linger=5`},
		{func(o *Options) { o.Settings = map[string]string{"linger.ms": "soon"} }, "linger.ms"},
		{func(o *Options) { o.Settings = map[string]string{"acks": "1", "enable.idempotence": "true"} }, "idempoten"},
	} {
		o := small(t)
		c.change(&o)
		_, err := Run(o)
		assert.ErrorContains(t, err, c.says)
	}
}

func TestText_SaysWhatBindsAndWhatTheProfileLacks(t *testing.T) {
	o := small(t)
	delete(o.Profile.Figures, profile.FetchPartition)
	r := measure(t, o)
	assert.Contains(t, r.Text(), "the profile lacks broker.fetch.partition")
	assert.Contains(t, r.Text(), "binds          nothing: the load is carried")
	var csv strings.Builder
	require.NoError(t, WriteCSV(&csv, r))
	lines := strings.Split(strings.TrimSpace(csv.String()), "\n")
	require.Len(t, lines, 2)
	assert.True(t, strings.HasPrefix(lines[1], "teaching,1,"), lines[1])
}

// What is said to act does: with another value the run is another.
func TestActs_EachSettingChangesTheRun(t *testing.T) {
	skipIfShort(t)
	// Enough load that a single thread, a small buffer and a short queue are felt.
	base := Options{
		Profile: with(t, "teaching", map[string]float64{profile.IORequest: 150}), Seed: 1, Producers: 4, Consumers: 2, Partitions: 8, RecordBytes: 500,
		Payload: Text, Rate: 20_000, Warmup: 100 * time.Millisecond, Measure: 300 * time.Millisecond,
		Settings: map[string]string{"linger.ms": "3", "fetch.max.wait.ms": "100"},
	}
	before := measure(t, base)
	for _, name := range Acting() {
		o := base
		o.Settings = map[string]string{"linger.ms": "3", "fetch.max.wait.ms": "100"}
		o.Settings[name] = acting[name]
		switch name {
		case "fetch.max.wait.ms", "replica.fetch.wait.max.ms": // it is felt by fetches that wait
			o.Settings["fetch.min.bytes"], o.Settings["replica.fetch.min.bytes"] = "200000", "200000"
			p := o
			p.Settings = map[string]string{"linger.ms": "3", "fetch.max.wait.ms": "100", "fetch.min.bytes": "200000", "replica.fetch.min.bytes": "200000"}
			assert.NotEqual(t, measure(t, p).Hash, measure(t, o).Hash, name)
		case "queued.max.requests":
			o.Settings["num.io.threads"] = "1"
			p := o
			p.Settings = map[string]string{"linger.ms": "3", "fetch.max.wait.ms": "100", "num.io.threads": "1"}
			assert.NotEqual(t, measure(t, p).Hash, measure(t, o).Hash, name)
		case "compression.gzip.level", "compression.lz4.level", "compression.zstd.level":
			o.Settings["compression.type"] = strings.Split(name, ".")[1]
			p := o
			p.Settings = map[string]string{"linger.ms": "3", "fetch.max.wait.ms": "100", "compression.type": o.Settings["compression.type"]}
			assert.NotEqual(t, measure(t, p).Hash, measure(t, o).Hash, name)
		default:
			assert.NotEqual(t, before.Hash, measure(t, o).Hash, name)
		}
	}
}

func skipIfShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("short: seconds of a core")
	}
}
