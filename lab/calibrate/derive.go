package calibrate

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ktrial/ktrial/lab/design"
	"github.com/ktrial/ktrial/lab/profile"
)

// sample is one round on one broker: what each load took.
type sample map[string]take

// typical is the median time of a request.
func (s sample) typical(load string) float64 {
	sorted := slices.Sorted(slices.Values(s[load].micros))
	return design.Quantile(sorted, 0.5)
}

// more is how much longer one load takes than another, for each of n; at least 0: what
// is too small to be measured may come out below.
func (s sample) more(load, than string, n int) float64 {
	return atLeast0((s.typical(load) - s.typical(than)) / float64(n))
}

func atLeast0(x float64) float64 { return max(0, x) }

const (
	moreBatches = spread - 1
	moreBytes   = manyOf*large - tiny
	nanos       = 1000 // of a microsecond
)

// fromWaits are the figures that follow from how long a client waits. Each is the
// difference of two loads that differ in one thing.
func (s sample) fromWaits() map[string]float64 {
	latency := s.typical(loadConnect) / 2
	request := s.typical(loadAskMany)
	refusedByte := s.more(loadRefused64, loadRefused, moreBytes)
	network := refusedByte / 2
	f := map[string]float64{
		profile.NetworkLatency: latency,
		profile.NetworkJitter:  s.jitter(),
		profile.NetworkRequest: request / 2,
		profile.IORequest:      request / 2,
		profile.ThreadHandoff:  atLeast0(s.typical(loadAsk)-s.typical(loadConnect)-request) / 2,
		profile.ProduceBatch:   s.more(loadBatches, loadAppend, moreBatches),
		profile.NetworkByte:    network * nanos,
		profile.ProduceByte:    atLeast0(s.more(loadBytes, loadAppend, moreBytes)-refusedByte) * nanos,
		profile.FetchPartition: s.more(loadFetchMany, loadFetch, moreBatches),
		profile.FetchByte:      atLeast0(s.more(loadFetch64, loadFetch, moreBytes)-refusedByte) * nanos,
	}
	if _, replicated := s[loadAll]; replicated {
		f[profile.FollowBatch] = atLeast0(s.more(loadAllMany, loadAll, moreBatches) - f[profile.ProduceBatch])
		f[profile.FollowByte] = atLeast0(s.more(loadAllBytes, loadAll, moreBytes)-s.more(loadBytes, loadAppend, moreBytes)) * nanos
		f[profile.FollowPart] = 0
	}
	return f
}

// jitter is how much longer a round trip takes on average than the quickest tenth, one
// way. The slowest twentieth is left out: that is pauses.
func (s sample) jitter() float64 {
	sorted := slices.Sorted(slices.Values(s[loadAsk].micros))
	most := sorted[:max(1, len(sorted)*19/20)]
	return atLeast0(design.Summarize(most).Mean-design.Quantile(sorted, 0.1)) / 2
}

// fromThreads are the figures that the CPU time of the brokers' threads gives.
func (s sample) fromThreads() map[string]float64 {
	differ := func(load, than string, n int, of func(cpu) float64) float64 {
		return atLeast0((of(s[load].cpu) - of(s[than].cpu)) / float64(n))
	}
	network := func(c cpu) float64 { return c.network }
	io := func(c cpu) float64 { return c.io }
	follower := func(c cpu) float64 { return c.follower }
	ask := s[loadAsk].cpu
	f := map[string]float64{
		profile.NetworkRequest: ask.network,
		profile.IORequest:      ask.io,
		profile.ThreadHandoff:  atLeast0(s.typical(loadAsk)-s.typical(loadConnect)-ask.network-ask.io) / 2,
		profile.ProduceBatch:   differ(loadBatches, loadAppend, moreBatches, io),
		profile.NetworkByte:    differ(loadRefused64, loadRefused, moreBytes, network) * nanos,
		profile.ProduceByte:    differ(loadBytes, loadAppend, moreBytes, io) * nanos,
		profile.FetchPartition: differ(loadFetchMany, loadFetch, moreBatches, io),
		profile.FetchByte:      differ(loadFetch64, loadFetch, moreBytes, io) * nanos,
	}
	if _, replicated := s[loadAll]; replicated {
		f[profile.FollowBatch] = differ(loadAllMany, loadAll, moreBatches, follower)
		f[profile.FollowByte] = differ(loadAllBytes, loadAll, moreBytes, follower) * nanos
	}
	return f
}

// how says how a figure was found, for its source.
var how = map[string]string{
	profile.NetworkLatency: "half of what a TCP connection takes to open",
	profile.NetworkJitter:  "round trips of ApiVersions: their mean less their quickest tenth, one way",
	profile.NetworkRequest: "half of what each of 200 ApiVersions requests takes that are sent at once",
	profile.IORequest:      "half of what each of 200 ApiVersions requests takes that are sent at once",
	profile.ThreadHandoff:  "half of what a round trip of ApiVersions takes beyond network and CPU",
	profile.ProduceBatch:   "requests with 16 batches less those with one, acks=1",
	profile.NetworkByte:    "requests of 64 kB less small ones, to a partition that does not exist; half of it, for the other half is the client's",
	profile.ProduceByte:    "appends of 64 kB less small ones, without what the network takes",
	profile.FetchPartition: "fetches of 16 partitions less those of one",
	profile.FetchByte:      "fetches of 64 kB less small ones, without what the network takes",
	profile.FollowBatch:    "16 batches less one with acks=all, without what they take with acks=1",
	profile.FollowByte:     "64 kB less little with acks=all, without what they take with acks=1",
	profile.FollowPart:     "within follower.batch: each partition of an answer had one batch",
}

// howThreads says the same where CPU time was read.
var howThreads = map[string]string{
	profile.NetworkRequest: "CPU time of network threads for ApiVersions",
	profile.IORequest:      "CPU time of request handlers for ApiVersions",
	profile.ProduceBatch:   "CPU time of request handlers: 16 batches less one, acks=1",
	profile.NetworkByte:    "CPU time of network threads: 64 kB less little, to a partition that does not exist",
	profile.ProduceByte:    "CPU time of request handlers: 64 kB less little, acks=1",
	profile.FetchPartition: "CPU time of request handlers: 16 partitions less one",
	profile.FetchByte:      "CPU time of request handlers: fetches of 64 kB less small ones",
	profile.FollowBatch:    "CPU time of replica fetchers: 16 batches less one, acks=all",
	profile.FollowByte:     "CPU time of replica fetchers: 64 kB less little, acks=all",
}

// samples are all rounds on all brokers.
func (r *run) samples() (all []sample) {
	for _, t := range r.measured {
		for round := range r.res.Rounds {
			s := sample{}
			for _, l := range r.loads {
				s[l.name] = r.taken[takeKey{l.name, t.broker.id}][round]
			}
			all = append(all, s)
		}
	}
	return all
}

// result makes the profile.
func (r *run) result() (*Result, error) {
	p := &profile.Profile{Name: r.cfg.Name, About: r.about()}
	r.setMeasured(p)
	r.setFsync(p)
	r.setHere(p)
	for name, f := range r.extra {
		p.Set(name, f)
	}
	for name, f := range r.cfg.Given {
		p.Set(name, f)
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	for _, l := range r.loads {
		if micros := r.waits[l.name]; micros != nil {
			r.res.Waits = append(r.res.Waits, waitOf(l.name, micros))
		}
	}
	r.res.Profile, r.res.Missing = p, p.Missing()
	r.res.SentBytes, r.res.Seconds = r.sent, time.Since(r.began).Seconds()
	return r.res, nil
}

func waitOf(name string, micros []float64) Wait {
	s := design.Summarize(micros)
	return Wait{Name: name, Count: s.Count, Min: s.Min, P50: s.P50, P90: s.P90, P99: s.P99, Max: s.Max}
}

func (r *run) about() string {
	text := fmt.Sprintf("Measured by ktrial calibrate on %s at %s: %d of %d brokers, %d replicas, %d rounds.",
		r.day(), r.cfg.Bootstrap, len(r.measured), len(r.cluster.brokers), r.res.Replicas, r.res.Rounds)
	for _, name := range []string{loadAsk, loadAppend, loadAll, loadDeliver} {
		if micros := r.waits[name]; micros != nil {
			text += fmt.Sprintf(" %s: p50 %.0f us.", strings.ToUpper(name[:1])+name[1:], waitOf(name, micros).P50)
		}
	}
	return text
}

func (r *run) day() string { return r.cfg.today.UTC().Format(time.DateOnly) }

// setMeasured sets what samples give: the median of all, and their least and greatest.
func (r *run) setMeasured(p *profile.Profile) {
	values, sources := map[string][]float64{}, maps.Clone(how)
	for _, s := range r.samples() {
		figures := s.fromWaits()
		if r.threads != nil {
			maps.Copy(figures, s.fromThreads())
			maps.Copy(sources, howThreads)
		}
		for name, x := range figures {
			values[name] = append(values[name], x)
		}
	}
	for name, xs := range values {
		p.Set(name, r.figure(name, xs, sources[name]))
	}
}

// figure is the median of measurements, with their least and greatest.
func (r *run) figure(name string, xs []float64, source string) profile.Figure {
	s := design.Summarize(xs)
	return profile.Figure{
		Value: rounded(s.P50), Unit: profile.Find(name).Unit, Basis: profile.Measured,
		Source: fmt.Sprintf("ktrial calibrate, %s, %d samples: %s", r.day(), s.Count, source),
		Spread: &profile.Spread{Low: rounded(s.Min), High: rounded(s.Max)},
	}
}

// rounded has four digits: more are noise.
func rounded(x float64) float64 {
	short, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 4, 64), 64)
	return short
}

// fsyncQuantiles are those of the distribution that a profile gets.
var fsyncQuantiles = []float64{0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1}

// setFsync sets what syncing adds to an append, quantile by quantile. Kafka syncs the log
// and, where they changed, its indexes.
func (r *run) setFsync(p *profile.Profile) {
	with, without := slices.Sorted(slices.Values(r.waits[loadSynced])), slices.Sorted(slices.Values(r.waits[loadAppend]))
	if len(with) == 0 {
		return
	}
	f := profile.Figure{
		Unit: profile.Find(profile.DiskFsync).Unit, Basis: profile.Measured,
		Source: fmt.Sprintf("ktrial calibrate, %s, %d samples: appends with flush.messages=1 less those without, quantile by quantile", r.day(), len(with)),
	}
	least := 0.0
	for _, q := range fsyncQuantiles {
		least = max(least, rounded(design.Quantile(with, q)-design.Quantile(without, q))) // quantiles rise
		f.Quantiles = append(f.Quantiles, profile.Quantile{Q: q, Value: least})
		if q == 0.5 {
			f.Value = least
		}
	}
	p.Set(profile.DiskFsync, f)
}

// setHere sets what is seen on this machine, if the brokers run here too.
func (r *run) setHere(p *profile.Profile) {
	for _, b := range r.measured {
		if listenerAt(b.broker.addr) == "" {
			return
		}
	}
	here := func(name string, value float64, source string, basis profile.Basis) {
		p.Set(name, profile.Figure{Value: value, Unit: profile.Find(name).Unit, Source: source, Basis: basis})
	}
	cores := float64(runtime.NumCPU())
	here(profile.BrokerCores, cores, "this machine, which brokers and clients share", profile.Measured)
	here(profile.ClientCores, cores, "this machine, which brokers and clients share", profile.Measured)
	here(profile.SharedHost, 1, "the brokers listen at loopback addresses", profile.Measured)
	const none = 10e9
	here(profile.BrokerNIC, none, "loopback has no network card: bytes cost CPU only", profile.Assumed)
	here(profile.ClientNIC, none, "loopback has no network card: bytes cost CPU only", profile.Assumed)
	here(profile.NetworkShare, 1, "loopback has no frames", profile.Assumed)
	here(profile.DiskCount, 1, "one directory on one disk", profile.Assumed)
	if memory := memInfo("MemTotal"); memory > 0 {
		here(profile.BrokerMemory, memory, "/proc/meminfo", profile.Measured)
		free := memInfo("MemAvailable")
		here(profile.DirtyLimit, rounded(free*percent("/proc/sys/vm/dirty_ratio")), "vm.dirty_ratio of the memory that is available", profile.Measured)
		here(profile.DirtyBack, rounded(free*percent("/proc/sys/vm/dirty_background_ratio")), "vm.dirty_background_ratio of the memory that is available", profile.Measured)
	}
}
