package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/lab/baseline"
	"github.com/ktrial/ktrial/lab/bench"
	"github.com/ktrial/ktrial/lab/experiment"
	"github.com/ktrial/ktrial/lab/profile"
)

func TestTheGrid(t *testing.T) {
	g, err := makeGrid(nil, "5000,max", false, 1)
	require.NoError(t, err)
	rows := g.rows(3, 1)
	assert.Len(t, rows, 32*2*3)
	seen := map[string]bool{}
	for i, r := range rows {
		assert.Equal(t, i/64+1, r.Repetition, "one repetition after the other")
		assert.False(t, seen[repeated(r)], repeated(r))
		seen[repeated(r)] = true
	}
	order := func(from int) (cases []string) {
		for _, r := range rows[from : from+64] {
			cases = append(cases, r.Case())
		}
		return cases
	}
	assert.ElementsMatch(t, order(0), order(64))
	assert.NotEqual(t, order(0), order(64), "each in an order of its own")
	assert.Equal(t, rows, g.rows(3, 1))

	g, err = makeGrid(texts{"acks=1,all", "linger.ms=0,5,9"}, "max", true, 1)
	require.NoError(t, err)
	assert.Len(t, g.rows(1, 1), 6)
	_, err = makeGrid(nil, "fast", false, 1)
	assert.EqualError(t, err, `load "fast": expected records a second, or max`)
	_, err = makeGrid(texts{"acks"}, "max", false, 1)
	assert.Error(t, err)
}

func TestTheToolsArguments(t *testing.T) {
	m := meter{servers: "a:1,b:1", seconds: 8, warmup: 3, megabytes: 200, records: 1_500_000}
	args, err := m.arguments("topic", experiment.Row{Settings: strings.Fields("acks=all linger.ms=5 record.size=200"), Rate: 1000})
	require.NoError(t, err)
	assert.Equal(t, "producer-perf-test --bootstrap-server a:1,b:1 --topic topic --num-records 11000 --warmup-records 3000 --record-size 200 --throughput 1000 "+
		"--command-property acks=all linger.ms=5", strings.Join(args, " "))
	args, err = m.arguments("topic", experiment.Row{Settings: strings.Fields("acks=all record.size=200")})
	require.NoError(t, err)
	assert.Contains(t, strings.Join(args, " "), "--num-records 1250000 --warmup-records 250000 --record-size 200 --throughput -1 ")
	_, err = m.arguments("topic", experiment.Row{Settings: []string{"acks=all"}})
	assert.EqualError(t, err, `found record.size "", expected bytes`)
}

// What Kafka 4.4's tool prints: on its way, of all records, and of those after the warm-up.
const printed = `5002 records sent, 1000.2 records/sec (0.48 MB/sec), 11.9 ms avg latency, 180.0 ms max latency.
11000 records sent, 998.003992 records/sec (0.48 MB/sec), 11.02 ms avg latency, 180.00 ms max latency, 10 ms 50th, 20 ms 95th, 40 ms 99th, 150 ms 99.9th.
8000 steady state records sent, 992.720053 records/sec (0.47 MB/sec), 10.76 ms avg latency, 38.00 ms max latency, 10 ms 50th, 19 ms 95th, 26 ms 99th, 35 ms 99.9th.
`

func TestTheToolsResultIsThatAfterTheWarmUp(t *testing.T) {
	var r experiment.Row
	require.NoError(t, read(&r, printed))
	assert.Equal(t, experiment.Row{PerSecond: 992.720053, Mean: 10.76, P50: 10, P95: 19, P99: 26, P999: 35, Max: 38}, r)
	assert.ErrorContains(t, read(&r, "Exception in thread"), `found no result in "Exception in thread"`)
}

func TestCasesAreThoseNotPredictedYet(t *testing.T) {
	a, b := experiment.Row{Settings: []string{"acks=1"}}, experiment.Row{Settings: []string{"acks=all"}, Rate: 10}
	again := a
	again.Repetition = 2
	assert.Equal(t, []experiment.Row{a, b}, casesOf([]experiment.Row{a, again, b}, nil))
	assert.Equal(t, []experiment.Row{b}, casesOf([]experiment.Row{a, b}, []experiment.Row{a}))
}

func TestAPredictionIsARow(t *testing.T) {
	p, err := profile.Load("teaching")
	require.NoError(t, err)
	o := bench.Options{Profile: p, Seed: 1, Brokers: brokers, Partitions: partitions, Replicas: replicas, Producers: 1, Warmup: time.Second, Measure: time.Second}
	var out bytes.Buffer
	w, err := experiment.NewWriter(&out, false)
	require.NoError(t, err)
	rows := []experiment.Row{{Settings: strings.Fields("acks=all linger.ms=5 record.size=200"), Rate: 1000}, {Settings: strings.Fields("acks=1 record.size=200"), Rate: 1000}}
	require.NoError(t, predictAll(rows, 2, o, w))
	predicted, err := experiment.Read(&out)
	require.NoError(t, err)
	require.Len(t, predicted, 2)
	for _, r := range predicted {
		assert.InEpsilon(t, 1000, r.PerSecond, 0.02)
		assert.Positive(t, r.Mean)
		assert.Contains(t, r.By, "ktrial bench, profile teaching, seed 1, trace ")
	}
	_, err = predictOne(experiment.Row{Settings: strings.Fields("linger.mss=5 record.size=200")}, o)
	assert.ErrorContains(t, err, "linger.mss")
}

func TestBaselines(t *testing.T) {
	h := baseline.Hardware{Disk: 100e6, RoundTrip: time.Millisecond, ReplicationWait: 2 * time.Millisecond}
	full := experiment.Row{Settings: strings.Fields("acks=all batch.size=16384 linger.ms=5 max.in.flight.requests.per.connection=5 record.size=1012")}
	paced := full
	paced.Rate = 1000
	assert.InDelta(t, 3+5*3.5/6, closedForms(paced, h).Mean, 0.001, "the answer after 3 ms, and T(1 + lT/2)/(1 + lT) of linger")
	assert.InDelta(t, 100e6/1024, closedForms(full, h).PerSecond, 1)
	assert.InDelta(t, 335.5, closedForms(full, h).Mean, 0.1, "32 MiB at 100 MB/s")
	assert.InDelta(t, 100e6/1024, sizingGuide(full, h).PerSecond, 1)
	assert.Zero(t, sizingGuide(paced, h).PerSecond, "it knows no latency")
	assert.Positive(t, nearestPublished(full, h).PerSecond)
	assert.Positive(t, nearestPublished(paced, h).Mean)
}

func TestHardwareIsThatOfTheCalibration(t *testing.T) {
	dir := t.TempDir()
	p := &profile.Profile{Name: "x"}
	set := func(name string, value float64) {
		p.Set(name, profile.Figure{Value: value, Unit: profile.Find(name).Unit, Source: "a test", Basis: profile.Measured})
	}
	set(profile.DiskWrite, 300e6)
	set(profile.SharedHost, 1)
	set(profile.ProducerRecord, 0.5)
	set(profile.DiskFsync, 1500)
	require.NoError(t, p.Save(filepath.Join(dir, "p.json")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "c.json"), []byte(`{"waits":[{"name":"append, acks=1","p50_us":400},{"name":"append, acks=all","p50_us":1300}]}`), 0o644))
	h, err := readHardware(filepath.Join(dir, "p.json"), filepath.Join(dir, "c.json"))
	require.NoError(t, err)
	assert.Equal(t, baseline.Hardware{Disk: 100e6, RoundTrip: 400 * time.Microsecond, ReplicationWait: 900 * time.Microsecond, ProducerRecord: 500 * time.Nanosecond, Fsync: 1500 * time.Microsecond}, h)
}

// The tables of docs/tuning.md follow from what is kept in results: the calibration, what was
// predicted before and after the model's changes, and what was measured.
func TestWhatIsPublishedFollowsFromWhatIsKept(t *testing.T) {
	follows(t, "results", map[string]string{"ktrial bench, before": "predicted-before.csv", "ktrial bench": "predicted.csv", "ktrial bench, after": "predicted-after.csv"})
	follows(t, "results/other-grid", map[string]string{"ktrial bench": "predicted.csv"})
	follows(t, "results/unseen-grid", map[string]string{"ktrial bench": "predicted.csv"})
}

// follows checks the tables of what is kept in a directory; predictions are files by name.
func follows(t *testing.T, dir string, predictions map[string]string) {
	t.Helper()
	doc, err := os.ReadFile("../../docs/tuning.md")
	require.NoError(t, err)
	measured, err := readTable(dir + "/measured.csv")
	require.NoError(t, err)
	require.NotEmpty(t, measured)
	for name, file := range predictions {
		predicted, err := readTable(dir + "/" + file)
		require.NoError(t, err)
		all, _ := experiment.Compare(measured, predicted)
		require.Contains(t, string(doc), experiment.Lines(name, all))
	}
	h, err := readHardware(dir+"/this-machine.json", dir+"/calibration.json")
	require.NoError(t, err)
	for _, b := range baselines {
		var rows []experiment.Row
		for _, r := range measured {
			rows = append(rows, b.of(r, h))
		}
		all, _ := experiment.Compare(measured, rows)
		require.Contains(t, string(doc), experiment.Lines(b.name, all))
	}
}
