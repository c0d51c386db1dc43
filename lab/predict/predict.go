// Package predict plays what others have measured and sets the model's numbers beside
// theirs. A figure that a profile was fitted to proves nothing of the model and is marked;
// misses are told like hits.
package predict

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/ktrial/ktrial/lab/bench"
	"github.com/ktrial/ktrial/lab/profile"
	"github.com/ktrial/ktrial/lab/published"
)

// Case is a measurement of others that one run plays: the published figures of one setup.
type Case struct {
	Name    string
	About   string // what was assumed, beside what the rows say
	Profile string
	// Figures of the profile that are others for this case.
	Figures map[string]float64
	Options bench.Options
	// Against, if set, is run too: the figures are differences of the two.
	Against *bench.Options
	Rows    []string // ids of the published figures
}

// Line is one published figure beside the model's.
type Line struct {
	Row    published.Row
	Case   string
	Model  float64
	Fitted bool
}

// Error is by how much the model differs, as a share of what was published.
func (l Line) Error() float64 { return l.Model/l.Row.Value - 1 }

// fitted are the figures that the profiles were chosen to match, or that a closed form was
// made from which a profile has a figure of: pauses, and the fsync.
var fitted = []string{"LI1", "LI8a", "CFLa-pub-p50", "CFLa-pub-p99", "CFLa-ccdf-5", "CFLa-ccdf-10", "CFLa-ccdf-15", "CFLa-ccdf-20", "CFLa-ccdf-40", "CFLs-pub-avg"}

const (
	linkedin = "format 1 had 14 bytes more of overhead for a record: values are 114 bytes; a producer of then takes the partitions in turn"
	omb      = "four producers and four consumers on four machines; buffer.memory 32 MiB; a producer of Kafka 2.6 goes to another partition with each batch (KIP-480); consumers of OpenMessaging Benchmark commit after each poll"
	shorter  = omb + "; ten seconds are played, not ten minutes, so that the greatest latency is of fewer records"
)

// shape of Confluent's and StreamNative's runs.
func i3en(acks string, more map[string]string) bench.Options {
	o := bench.Options{
		Seed: 1, Partitions: 100, Producers: 4, Consumers: 4, RecordBytes: 1024, Rate: 200_000,
		StickyForABatch: true, CommitEachPoll: true, Warmup: time.Second, Measure: 4 * time.Second,
		Settings: map[string]string{
			"acks": acks, "linger.ms": "1", "producer.batch.size": "131072", "min.insync.replicas": "2",
			"num.replica.fetchers": "8", "num.network.threads": "8", "enable.idempotence": "false",
		},
	}
	for k, v := range more {
		o.Settings[k] = v
	}
	return o
}

// linkedIn is the shape of LinkedIn's runs: idempotence came later.
func linkedIn(replicas int, acks, batch string) bench.Options {
	return bench.Options{
		Seed: 1, Partitions: 6, Replicas: replicas, Producers: 1, RecordBytes: 114, Warmup: 2 * time.Second, Measure: 3 * time.Second,
		Settings: map[string]string{
			"acks": acks, "producer.batch.size": batch, "buffer.memory": "67108864", "linger.ms": "0", "enable.idempotence": "false",
			"partitioner.class": roundRobin,
		},
	}
}

// roundRobin was the default for records without keys until 2.4.
const roundRobin = "org.apache.kafka.clients.producer.RoundRobinPartitioner"

// longer is Confluent's load for ten seconds: what happens once in seconds needs that.
func longer(more map[string]string) bench.Options {
	return with(i3en("all", more), func(o *bench.Options) { o.Warmup, o.Measure = 2*time.Second, 10*time.Second })
}

func with(o bench.Options, change func(*bench.Options)) bench.Options {
	o.Settings = copyOf(o.Settings)
	change(&o)
	return o
}

func copyOf(m map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

// each names a row for each ending.
func each(stem string, endings ...string) (ids []string) {
	for _, e := range endings {
		ids = append(ids, stem+e)
	}
	return ids
}

var quantiles = []string{"avg", "p50", "p75", "p95", "p99", "p999", "p9999", "max"}

// oneBroker is a broker alone with a disk of 1.18 ms a sync, as the closed form has it.
func oneBroker(partitions int) bench.Options {
	return bench.Options{
		Seed: 1, Brokers: 1, Partitions: partitions, Replicas: 1, Producers: 1, Consumers: 1, RecordBytes: 100, Rate: 50_000,
		CommitEachPoll: true, Warmup: time.Second, Measure: 5 * time.Second,
		Settings: map[string]string{
			"acks": "1", "flush.messages": "1", "linger.ms": "1", "producer.batch.size": "131072", "min.insync.replicas": "1", "enable.idempotence": "false",
			"partitioner.class": roundRobin, "offsets.topic.replication.factor": "1",
		},
	}
}

func syncTakes(us float64) map[string]float64 { return map[string]float64{profile.DiskFsync: us} }

func thousand(acks string) bench.Options {
	return bench.Options{
		Seed: 1, Brokers: 2, Partitions: 2000, Replicas: 2, Producers: 1, RecordBytes: 100, Load: bench.Closed,
		Warmup: 30 * time.Second, Measure: 3 * time.Second,
		Settings: map[string]string{"acks": acks, "linger.ms": "0", "min.insync.replicas": "1", "enable.idempotence": "false"},
	}
}

// Cases are all that can be played of the published figures that are measurements.
func Cases() []Case {
	against := thousand("1")
	return []Case{
		{"linkedin one producer", linkedin, "linkedin-2014", nil, linkedIn(1, "1", "8196"), nil, []string{"LI1"}},
		{"linkedin acks=all", linkedin + "; batch.size 64000", "linkedin-2014", nil, linkedIn(3, "all", "64000"), nil, []string{"LI3"}},
		{"linkedin one consumer", linkedin + "; the log is in the page cache", "linkedin-2014", nil, with(linkedIn(3, "1", "8196"), func(o *bench.Options) {
			o.Producers, o.Consumers, o.Backlog, o.Warmup, o.Measure = 1, 1, 5*time.Second, 500*time.Millisecond, 2*time.Second
		}), nil, []string{"LI5"}},
		{"linkedin one in flight", linkedin, "linkedin-2014", nil, with(linkedIn(3, "1", "8196"), func(o *bench.Options) {
			o.Consumers, o.Load = 1, bench.Closed
		}), nil, []string{"LI8a"}},
		{"confluent 200,000/s", shorter, "i3en-2020", nil, longer(nil), nil, slices.Concat(each("CFLa-pub-", quantiles...), each("CFLa-e2e-", quantiles...), each("CFLa-ccdf-", "5", "10", "15", "20", "40"))},
		{"confluent 200,000/s, fsync", shorter, "i3en-2020", nil, longer(map[string]string{"flush.messages": "1"}), nil, slices.Concat(each("CFLs-pub-", quantiles...), each("CFLs-ccdf-", "5", "10", "15", "20", "30"))},
		{"confluent full speed", omb, "i3en-2020", nil, with(i3en("all", map[string]string{"linger.ms": "10", "producer.batch.size": "1048576", "message.max.bytes": "10485760"}), func(o *bench.Options) {
			o.Rate, o.Warmup, o.Measure = 0, 2*time.Second, 2*time.Second
		}), nil, []string{"CFT-rate-async", "CFT-lat-async"}},
		{"streamnative acks=1", omb, "i3en-2020", nil, i3en("1", nil), nil, each("SN24-a1-", "avg", "p50")},
		{"streamnative acks=all", omb + "; the same run as Confluent's", "i3en-2020", nil, longer(nil), nil, each("SN24-all-", "avg", "p50")},
		{"one partition, fsync", "hardware not stated: one broker with round figures and a sync of 1.18 ms", "teaching", syncTakes(1180), oneBroker(1), nil, slices.Concat(each("CB-fs-1-pub-", "avg", "p50", "p99"), each("CB-fs-1-e2e-", "avg", "p50", "p99"))},
		{"16 partitions, fsync", "the same", "teaching", syncTakes(1180), oneBroker(16), nil, slices.Concat(each("CB-fs-16-pub-", "avg", "p50", "p99"), each("CB-fs-16-e2e-", "avg", "p50", "p99"))},
		{"1,000 partitions replicated", "hardware not stated: two brokers with round figures, 1,000 leaders each, one record in flight; mean with acks=all less that with acks=1", "teaching", nil, thousand("all"), &against, []string{"JR1"}},
	}
}

// Play runs a case and sets its figures beside the published ones.
func (c Case) Play() ([]Line, error) {
	got, err := c.run(c.Options)
	if err != nil {
		return nil, err
	}
	var base bench.Result
	if c.Against != nil {
		if base, err = c.run(*c.Against); err != nil {
			return nil, err
		}
	}
	var lines []Line
	for _, id := range c.Rows {
		row, ok := published.Named(id)
		if !ok {
			return nil, fmt.Errorf("predict: case %s: there is no published figure %s", c.Name, id)
		}
		model, ok := value(got, base, row.Metric)
		if !ok {
			return nil, fmt.Errorf("predict: case %s: %s: a run does not tell %s", c.Name, id, row.Metric)
		}
		lines = append(lines, Line{Row: row, Case: c.Name, Model: model, Fitted: slices.Contains(fitted, id)})
	}
	return lines, nil
}

// played are runs that were played before: two laboratories may have done the same.
var played sync.Map

// run plays options on the case's profile, once.
func (c Case) run(o bench.Options) (bench.Result, error) {
	once, _ := played.LoadOrStore(fmt.Sprint(c.Profile, c.Figures, o), sync.OnceValues(func() (bench.Result, error) { return c.play(o) }))
	return once.(func() (bench.Result, error))()
}

func (c Case) play(o bench.Options) (bench.Result, error) {
	p, err := profile.Load(c.Profile)
	if err != nil {
		return bench.Result{}, err
	}
	for name, v := range c.Figures {
		f, _ := p.Get(name)
		f.Value, f.Quantiles, f.Source = v, nil, "of this case alone"
		p.Set(name, f)
	}
	o.Profile = p
	return bench.Run(o)
}

// value is what a run says of a metric of the published figures.
func value(r, base bench.Result, metric string) (float64, bool) {
	of := func(l bench.Latency, what string) (float64, bool) {
		switch what {
		case "avg":
			return l.Mean, true
		case "p50":
			return l.P50, true
		case "p75":
			return l.P75, true
		case "p95":
			return l.P95, true
		case "p99":
			return l.P99, true
		case "p999":
			return l.P999, true
		case "p9999":
			return l.P9999, true
		case "max":
			return l.Max, true
		}
		return 0, false
	}
	var above int
	switch {
	case metric == "throughput":
		return r.PerSecond, true
	case metric == "throughput_consume":
		return r.ReadRate, true
	case metric == "replication_latency_added_per_1000_partitions":
		return r.Publish.Mean - base.Publish.Mean, true
	case scan(metric, "P(publish_latency>%dms)", &above):
		share, ok := r.Publish.Above[fmt.Sprint(above)]
		return share, ok
	}
	if what, ok := cut(metric, "publish_latency_"); ok {
		return of(r.Publish, what)
	}
	if what, ok := cut(metric, "e2e_latency_"); ok {
		return of(r.EndToEnd, what)
	}
	return 0, false
}

func scan(text, format string, v *int) bool {
	n, err := fmt.Sscanf(text, format, v)
	return n == 1 && err == nil
}

func cut(text, prefix string) (string, bool) {
	if len(text) > len(prefix) && text[:len(prefix)] == prefix {
		return text[len(prefix):], true
	}
	return "", false
}

// Within counts the lines that were not fitted and differ by at most a factor.
func Within(lines []Line, factor float64) (n, of int) {
	for _, l := range lines {
		if l.Fitted {
			continue
		}
		of++
		if l.Model > 0 && math.Abs(math.Log(l.Model/l.Row.Value)) <= math.Log(factor) {
			n++
		}
	}
	return n, of
}
