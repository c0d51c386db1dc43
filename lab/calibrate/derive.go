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
	request := s.typical(loadAskMany)
	latency, handoff := s.latency(request), s.handoff(request)
	refusedByte := s.more(loadRefused64, loadRefused, moreBytes)
	batch := s.more(loadBatches, loadAppend, moreBatches)
	f := map[string]float64{
		profile.NetworkLatency: latency,
		profile.NetworkJitter:  s.jitter(),
		profile.NetworkRequest: request / 2,
		profile.IORequest:      request/2 + atLeast0(s.more(loadAppend, loadAsk, 1)-batch),
		profile.ThreadHandoff:  handoff,
		profile.ProduceBatch:   batch,
		profile.NetworkByte:    refusedByte / 2 * nanos,
		profile.ProduceByte:    atLeast0(s.more(loadBytes, loadAppend, moreBytes)-refusedByte) * nanos,
		profile.FetchPartition: s.more(loadFetchMany, loadFetch, moreBatches),
		profile.FetchByte:      atLeast0(s.more(loadFetch64, loadFetch, moreBytes)-refusedByte) * nanos,
	}
	if _, replicated := s[loadAll]; replicated {
		cycle := 2*latency + 2*handoff + f[profile.NetworkRequest] + f[profile.IORequest] + f[profile.FetchPartition]
		f[profile.FollowBatch] = atLeast0(s.more(loadAllMany, loadAll, moreBatches) - batch)
		f[profile.FollowByte] = atLeast0(s.more(loadAllBytes, loadAll, moreBytes)-s.more(loadBytes, loadAppend, moreBytes)) * nanos
		f[profile.FollowRequest] = atLeast0(s.more(loadAll, loadAppend, 1) - cycle - f[profile.FollowBatch])
		f[profile.FollowPart] = 0
	}
	return f
}

// latency is one way over the network: half of what a connection takes to open, unless
// a whole round trip leaves less than that. On loopback most of opening one is the
// client's own work.
func (s sample) latency(request float64) float64 {
	return min(s.typical(loadConnect), atLeast0(s.typical(loadAsk)-request)) / 2
}

// handoff is what a round trip takes beyond network and work, for each of two handovers
// between threads.
func (s sample) handoff(request float64) float64 {
	return atLeast0(s.typical(loadAsk)-2*s.latency(request)-request) / 2
}

// jitter is how much longer a round trip takes on average than the quickest tenth, one
// way. The slowest twentieth is left out: that is pauses.
func (s sample) jitter() float64 {
	sorted := slices.Sorted(slices.Values(s[loadAsk].micros))
	most := sorted[:max(1, len(sorted)*19/20)]
	return atLeast0(design.Summarize(most).Mean-design.Quantile(sorted, 0.1)) / 2
}

// fromThreads are the figures that the CPU time of the brokers' threads gives. What a
// request costs is the mean over an append with acks=all and the fetches of its followers,
// one for each: most requests of a cluster are these.
func (s sample) fromThreads(replicas int) map[string]float64 {
	differ := func(load, than string, n int, of func(cpu) float64) float64 {
		return atLeast0((of(s[load].cpu) - of(s[than].cpu)) / float64(n))
	}
	network := func(c cpu) float64 { return c.network }
	io := func(c cpu) float64 { return c.io }
	follower := func(c cpu) float64 { return c.follower }
	ask := s[loadAsk].cpu
	f := map[string]float64{
		profile.NetworkLatency: s.latency(ask.network + ask.io),
		profile.ThreadHandoff:  s.handoff(ask.network + ask.io),
		profile.ProduceBatch:   differ(loadBatches, loadAppend, moreBatches, io),
		profile.NetworkByte:    differ(loadRefused64, loadRefused, moreBytes, network) * nanos,
		profile.ProduceByte:    differ(loadBytes, loadAppend, moreBytes, io) * nanos,
		profile.FetchPartition: differ(loadFetchMany, loadFetch, moreBatches, io),
		profile.FetchByte:      differ(loadFetch64, loadFetch, moreBytes, io) * nanos,
	}
	all, followers := s[loadAppend].cpu, 0.0
	if _, replicated := s[loadAll]; replicated {
		all, followers = s[loadAll].cpu, float64(replicas-1)
		f[profile.FollowBatch] = differ(loadAllMany, loadAll, moreBatches, follower) / followers
		f[profile.FollowByte] = differ(loadAllBytes, loadAll, moreBytes, follower) / followers * nanos
		f[profile.FollowRequest] = atLeast0(all.follower/followers - f[profile.FollowBatch])
	}
	f[profile.NetworkRequest] = all.network / (1 + followers)
	f[profile.IORequest] = atLeast0(all.io-f[profile.ProduceBatch]-followers*spread*f[profile.FetchPartition]) / (1 + followers)
	return f
}

// how says how a figure was found, for its source.
var how = map[string]string{
	profile.NetworkLatency: "half of what a TCP connection takes to open, or of a round trip of ApiVersions without work, if that is less",
	profile.NetworkJitter:  "round trips of ApiVersions: their mean less their quickest tenth, one way",
	profile.NetworkRequest: "half of what each of 200 ApiVersions requests takes that are sent at once",
	profile.IORequest:      "the other half, and what an append takes beyond ApiVersions and its batch",
	profile.ThreadHandoff:  "half of what a round trip of ApiVersions takes beyond network and CPU",
	profile.ProduceBatch:   "requests with 6 batches less those with one, acks=1",
	profile.NetworkByte:    "requests of 64 kB less small ones, to a partition that does not exist; half of it, for the other half is the client's",
	profile.ProduceByte:    "appends of 64 kB less small ones, without what the network takes",
	profile.FetchPartition: "fetches of 6 partitions less those of one",
	profile.FetchByte:      "fetches of 64 kB less small ones, without what the network takes",
	profile.FollowBatch:    "6 batches less one with acks=all, without what they take with acks=1",
	profile.FollowByte:     "64 kB less little with acks=all, without what they take with acks=1",
	profile.FollowRequest:  "what acks=all adds, without a round trip, a request and a batch",
	profile.FollowPart:     "within follower.batch: each partition of an answer had one batch",
}

// howThreads says the same where CPU time was read.
var howThreads = map[string]string{
	profile.NetworkRequest: "CPU time of network threads for an append with acks=all and the fetches of its followers: the mean",
	profile.IORequest:      "CPU time of request handlers for an append with acks=all and the fetches of its followers, without batch and partitions: the mean",
	profile.FollowRequest:  "CPU time of replica fetchers for an append with acks=all, without its batch",
	profile.ProduceBatch:   "CPU time of request handlers: 6 batches less one, acks=1",
	profile.NetworkByte:    "CPU time of network threads: 64 kB less little, to a partition that does not exist",
	profile.ProduceByte:    "CPU time of request handlers: 64 kB less little, acks=1",
	profile.FetchPartition: "CPU time of request handlers: 6 partitions less one",
	profile.FetchByte:      "CPU time of request handlers: fetches of 64 kB less small ones",
	profile.FollowBatch:    "CPU time of replica fetchers: 6 batches less one, acks=all",
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
	r.setPauses(p)
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
			w := waitOf(l.name, micros)
			w.NetworkCPU, w.IOCPU, w.FollowerCPU = r.typicalCPU(l.name)
			r.res.Waits = append(r.res.Waits, w)
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

// typicalCPU are the medians of what threads used for a request of a load.
func (r *run) typicalCPU(load string) (network, io, follower float64) {
	var all [3][]float64
	for _, s := range r.samples() {
		c := s[load].cpu
		all[0], all[1], all[2] = append(all[0], c.network), append(all[1], c.io), append(all[2], c.follower)
	}
	middle := func(xs []float64) float64 { return rounded(atLeast0(design.Summarize(xs).P50)) }
	return middle(all[0]), middle(all[1]), middle(all[2])
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
			maps.Copy(figures, s.fromThreads(r.res.Replicas))
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

// fsyncQuantiles are those of the distribution that a profile gets. It goes straight from one
// to the next, so that without the one before the last a single sync of 300 ms would weigh as
// if half of the slowest hundredth took 150.
var fsyncQuantiles = []float64{0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1}

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

// pauseBounds are the lengths of pauses that are counted apart, in milliseconds: each some
// two fifths more than the one before, for within them all lengths are alike. What is
// shorter than the first is no pause.
var pauseBounds = []float64{5, 7, 10, 14, 20, 28, 40, 56, 80, 110, 160, 220, 320, 450}

// setPauses sets how often a broker stood still: how often a request that waits for no
// other broker took so much longer than usual. Where CPU time was read it is counted by the
// CPU that network threads and request handlers used meanwhile, for what stops a broker is
// mostly its own garbage, and work makes that; else by the time that one was under way.
func (r *run) setPauses(p *profile.Profile) {
	name, by := profile.BrokerPauses, "in which one was under way"
	if r.threads != nil {
		name, by = profile.BrokerCollections, "of CPU of brokers meanwhile"
	}
	f := profile.Figure{Unit: profile.Find(name).Unit, Basis: profile.Measured}
	lengths, seconds := r.longWaits()
	for i, to := range pauseBounds[1:] {
		n := 0
		for _, long := range lengths {
			if long >= pauseBounds[i] && long < to {
				n++
			}
		}
		if n > 0 {
			f.Rates = append(f.Rates, profile.Rate{From: pauseBounds[i], To: to, PerSecond: rounded(float64(n) / seconds)})
		}
	}
	f.Source = fmt.Sprintf("ktrial calibrate, %s: %d of the requests that wait for one broker took at least %v ms longer than usual, in %.0f s %s",
		r.day(), len(lengths), pauseBounds[0], seconds, by)
	if len(lengths) > 0 {
		f.Value = rounded(design.Summarize(lengths).P50)
	}
	p.Set(name, f)
}

// longWaits are by how many milliseconds requests took longer than usual that wait for one
// broker, if it was a pause; and in how much of its CPU, or of time, in seconds. Those of the
// first half of the rounds do not count: a broker that was just started loads classes then, and
// collects garbage for that, some 100 ms long. Neither do those with 64 kB, which make three
// times as much garbage for their CPU as others do.
func (r *run) longWaits() (lengths []float64, seconds float64) {
	for i, s := range r.samples() {
		if i%r.res.Rounds < r.res.Rounds/2 {
			continue
		}
		for _, l := range r.loads {
			if l.together || l.synced || l.acks < 0 || l.records > 1 || l.op != asking && l.op != producing {
				continue
			}
			usual, took := s.typical(l.name), s[l.name]
			for _, micros := range took.micros {
				if r.threads == nil {
					seconds += micros / 1e6
				} else {
					seconds += (took.cpu.network + took.cpu.io) / 1e6
				}
				if long := (micros - usual) / 1e3; long >= pauseBounds[0] {
					lengths = append(lengths, min(long, pauseBounds[len(pauseBounds)-1]*0.999))
				}
			}
		}
	}
	return lengths, seconds
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
