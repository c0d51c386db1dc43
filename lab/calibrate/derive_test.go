package calibrate

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ktrial/ktrial/lab/profile"
)

// costs make the times that a cluster with known costs would show.
type costs struct {
	latency, request, handoff, batch, netByte, appendByte, partition, fetchByte, followBatch, followByte float64
}

func (c costs) sample() sample {
	ask := 2*c.latency + 2*c.request + 2*c.handoff
	fetchOf := func(n, bytes int) float64 {
		return ask + float64(n)*c.partition + float64(bytes)*(2*c.netByte+c.fetchByte)
	}
	produce := func(n, bytes int) float64 {
		return ask + float64(n)*c.batch + float64(bytes)*(2*c.netByte+c.appendByte)
	}
	all := func(n, bytes int) float64 {
		return produce(n, bytes) + 900 + float64(n)*c.followBatch + float64(bytes)*c.followByte
	}
	refused := func(bytes int) float64 { return ask + float64(bytes)*2*c.netByte }
	at := func(x float64) take { return take{micros: []float64{x * 3, x, x}} } // one in three is slow
	big := manyOf * large
	return sample{
		loadConnect: at(2 * c.latency), loadAsk: at(ask), loadAskMany: at(2 * c.request),
		loadAppend: at(produce(1, tiny)), loadBatches: at(produce(spread, tiny)), loadBytes: at(produce(1, big)), loadRecords: at(produce(1, big)),
		loadRefused: at(refused(tiny)), loadRefused64: at(refused(big)),
		loadFetch: at(fetchOf(1, tiny)), loadFetchMany: at(fetchOf(spread, tiny)), loadFetch64: at(fetchOf(1, big)),
		loadAll: at(all(1, tiny)), loadAllMany: at(all(spread, tiny)), loadAllBytes: at(all(1, big)),
	}
}

func TestWaitsGiveTheCostsThatMadeThem(t *testing.T) {
	c := costs{latency: 100, request: 20, handoff: 15, batch: 9, netByte: 0.001, appendByte: 0.0025, partition: 4, fetchByte: 0.0005, followBatch: 7, followByte: 0.003}
	f := c.sample().fromWaits()
	for name, want := range map[string]float64{
		profile.NetworkLatency: 100, profile.NetworkRequest: 20, profile.ThreadHandoff: 15,
		profile.IORequest:    20 + tiny*(2*0.001+0.0025), // what an append takes beyond ApiVersions and its batch
		profile.ProduceBatch: 9, profile.NetworkByte: 1, profile.ProduceByte: 2.5, profile.FetchPartition: 4, profile.FetchByte: 0.5,
		profile.FollowBatch: 7, profile.FollowByte: 3, profile.FollowPart: 0,
		// Of the 900 that acks=all waits, a round trip, a request and a partition are known.
		profile.FollowRequest: 900 + tiny*0.003 - (2*100 + 2*15 + 20 + 20.45 + 4),
	} {
		assert.InDelta(t, want, f[name], 0.01, name)
	}
}

// On a noisy machine a small difference may come out below zero: no cost is.
func TestNoCostIsBelowZero(t *testing.T) {
	s := costs{latency: 100, request: 20}.sample()
	s[loadBatches] = take{micros: []float64{1}}
	s[loadBytes] = take{micros: []float64{1}}
	for name, x := range s.fromWaits() {
		assert.GreaterOrEqual(t, x, 0.0, name)
	}
}

func TestThreadsGiveTheirCPUTime(t *testing.T) {
	s := costs{latency: 100, request: 40, handoff: 10}.sample()
	put := func(load string, c cpu) { s[load] = take{micros: s[load].micros, cpu: c} }
	big := float64(moreBytes)
	put(loadAsk, cpu{network: 12, io: 8})
	put(loadAppend, cpu{network: 20, io: 20})
	put(loadBatches, cpu{network: 21, io: 20 + moreBatches*6})
	put(loadBytes, cpu{network: 60, io: 20 + big*0.002})
	put(loadRefused, cpu{network: 12, io: 9})
	put(loadRefused64, cpu{network: 12 + big*0.001, io: 9})
	put(loadFetch, cpu{network: 12, io: 15})
	put(loadFetchMany, cpu{network: 12, io: 15 + moreBatches*3})
	put(loadFetch64, cpu{network: 20, io: 15 + big*0.0001})
	put(loadAll, cpu{network: 45, io: 3*11 + 6 + 2*spread*3, follower: 2 * (40 + 5)})
	put(loadAllMany, cpu{follower: 2 * (40 + 5 + moreBatches*5)})
	put(loadAllBytes, cpu{follower: 2 * (40 + 5 + big*0.004)})
	f := s.fromThreads(3)
	for name, want := range map[string]float64{
		profile.NetworkRequest: 15, profile.IORequest: 11, profile.ProduceBatch: 6, profile.NetworkByte: 1, profile.ProduceByte: 2,
		profile.FetchPartition: 3, profile.FetchByte: 0.1, profile.FollowRequest: 40, profile.FollowBatch: 5, profile.FollowByte: 4,
		profile.ThreadHandoff: (2*100 + 2*40 + 2*10 - 200 - 12 - 8) / 2, profile.NetworkLatency: 100,
	} {
		assert.InDelta(t, want, f[name], 0.001, name)
	}
	delete(s, loadAll)
	alone := s.fromThreads(1)
	assert.Equal(t, 20.0, alone[profile.NetworkRequest])
	assert.Equal(t, 14.0, alone[profile.IORequest])
}

func TestFigureHasTheSpreadOfAllSamples(t *testing.T) {
	r := &run{cfg: &Config{}}
	f := r.figure(profile.IORequest, []float64{3, 1, 2.00004}, "how")
	assert.Equal(t, 2.0, f.Value)
	assert.Equal(t, &profile.Spread{Low: 1, High: 3}, f.Spread)
	assert.Equal(t, "ktrial calibrate, 0001-01-01, 3 samples: how", f.Source)
	assert.Equal(t, 12350.0, rounded(12345.678))
	assert.Equal(t, 0.0, rounded(0))
}

// On loopback opening a connection takes longer than the network does.
func TestTheLatencyIsNotMoreThanARoundTripLeaves(t *testing.T) {
	s := costs{latency: 100, request: 20}.sample()
	s[loadConnect] = take{micros: []float64{900}}
	f := s.fromWaits()
	assert.Equal(t, 100.0, f[profile.NetworkLatency])
	assert.Zero(t, f[profile.ThreadHandoff])
}

// slow is a run in which requests take 5 ms, and three much longer.
func slow(each cpu) *run {
	usual := make([]float64, 200)
	for i := range usual {
		usual[i] = 5000
	}
	usual[3], usual[50], usual[120] = 11_000, 26_000, 3_000_000 // 6, 21 and 2995 ms longer
	l := load{name: loadAppend, op: producing, acks: 1}
	return &run{cfg: &Config{}, res: &Result{Rounds: 1}, measured: []*target{{broker: node{id: 1}}}, loads: []load{l}, taken: map[takeKey][]take{{loadAppend, 1}: {{micros: usual, cpu: each}}}}
}

func TestPausesAreCountedBySecond(t *testing.T) {
	p := &profile.Profile{Name: "x"}
	slow(cpu{}).setPauses(p)
	f, ok := p.Get(profile.BrokerPauses)
	assert.True(t, ok)
	seconds := (197*5.0 + 11 + 26 + 3000) / 1000
	assert.Equal(t, []profile.Rate{{From: 5, To: 7, PerSecond: rounded(1 / seconds)}, {From: 20, To: 28, PerSecond: rounded(1 / seconds)}, {From: 320, To: 450, PerSecond: rounded(1 / seconds)}}, f.Rates)
	assert.Equal(t, 21.0, f.Value)
}

// Neither those of a broker that was just started count, nor what a lot of bytes makes.
func TestPausesAreThoseOfABrokerThatHasRunForAWhile(t *testing.T) {
	r, p := slow(cpu{}), &profile.Profile{Name: "x"}
	key := takeKey{loadAppend, 1}
	calm := take{micros: slices.Repeat([]float64{5000}, 200)}
	r.res.Rounds, r.taken[key] = 2, append(r.taken[key], calm)
	large := load{name: loadBytes, op: producing, acks: 1, records: manyOf}
	r.loads, r.taken[takeKey{loadBytes, 1}] = append(r.loads, large), []take{calm, slow(cpu{}).taken[key][0]}
	r.setPauses(p)
	f, _ := p.Get(profile.BrokerPauses)
	assert.Empty(t, f.Rates)
}

// Where the brokers' CPU time is known, pauses are counted by that.
func TestPausesAreCountedByWork(t *testing.T) {
	r, p := slow(cpu{network: 700, io: 300, follower: 5000}), &profile.Profile{Name: "x"}
	r.threads = &brokerThreads{}
	r.setPauses(p)
	f, ok := p.Get(profile.BrokerCollections)
	assert.True(t, ok)
	assert.Equal(t, profile.Rate{From: 5, To: 7, PerSecond: 5}, f.Rates[0], "one in 200 requests of a millisecond")
	_, byTime := p.Get(profile.BrokerPauses)
	assert.False(t, byTime)
}
