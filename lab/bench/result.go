package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ktrial/ktrial/broker/cost"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

// totals are what was used since the world began.
type totals struct {
	machines []machineTotals
	inSend   time.Duration
	netBytes int64
}

// machineTotals are those of one machine.
type machineTotals struct {
	cores     time.Duration
	in, out   time.Duration
	spent     [cost.Kinds]time.Duration
	did       [cost.Kinds]int64
	pools     []time.Duration
	disks     time.Duration
	diskBytes int64
	took      [stages]struct{ sum, n float64 }
}

const stages = int(cost.Syncing) + 1

func (r *run) totals() totals {
	t := totals{netBytes: r.w.Network().Stats().Bytes}
	for _, p := range r.producers {
		t.inSend += p.inSend
	}
	for _, m := range r.w.Machines() {
		t.machines = append(t.machines, totalsOf(m))
	}
	return t
}

func totalsOf(m *sim.Machine) machineTotals {
	t := machineTotals{cores: m.Used()}
	t.in, _ = m.Card.In.Carried()
	t.out, _ = m.Card.Out.Carried()
	for k := range cost.Kinds {
		t.spent[k], t.did[k] = m.Spent(env.Kind(k))
	}
	for _, p := range m.Pools() {
		t.pools = append(t.pools, p.Busy())
	}
	written, _ := m.Disks.Cache.Written()
	if rate := m.Disks.Cache.Rate; rate > 0 {
		t.disks = time.Duration(float64(written) / float64(rate) * float64(m.Disks.Disks) * float64(time.Second))
	}
	t.diskBytes = written
	busy, bytes := m.Disks.Used()
	for i := range busy {
		t.disks += busy[i]
		t.diskBytes += bytes[i]
	}
	for s := range stages {
		t.took[s].sum, t.took[s].n = m.Took(env.Stage(s))
	}
	return t
}

// result is what lies between two moments.
func (r *run) result(from, to totals) Result {
	m := &r.meter
	seconds := r.o.Measure.Seconds()
	res := Result{
		Profile: r.o.Profile.Name, Missing: r.o.Profile.Missing(), Seed: r.o.Seed, Config: r.o.configured(),
		Hash: fmt.Sprintf("%016x", r.w.Hash()), Events: r.w.Events(),
		Seconds: seconds, Sent: m.sent, Acked: m.acked, Failed: m.failed, Consumed: m.consumed,
		PerSecond: float64(m.acked) / seconds, ReadRate: float64(m.consumed) / seconds, Offered: r.o.Rate,
		Publish: m.publish.latency(), EndToEnd: m.endToEnd.latency(),
		ISRShrinks: r.shrinks, ISRExpands: r.expands,
		NetworkBytes: float64(to.netBytes-from.netBytes) / seconds,
	}
	res.MBPerSec = res.PerSecond * float64(r.o.RecordBytes) / (1 << 20)
	did := func(kind env.Kind) (n int64) {
		for i := range from.machines {
			n += to.machines[i].did[kind] - from.machines[i].did[kind]
		}
		return n
	}
	if batches := did(cost.ProduceBatch); batches > 0 {
		res.BatchBytes = float64(did(cost.ProduceByte)) / float64(batches)
		res.BatchRecords = float64(m.acked) / float64(batches)
	}
	if bytes := did(cost.ProduceByte); bytes > 0 {
		res.Ratio = float64(m.acked) * float64(r.o.RecordBytes) / float64(bytes)
	}
	res.Requests = map[string]float64{
		"produce": float64(did(cost.ProducerRequest)) / seconds, "consumer fetch": float64(did(cost.ConsumerRequest)) / seconds,
		"all": float64(did(cost.NetworkRequest)) / seconds,
	}
	for i := range from.machines {
		res.DiskBytes += float64(to.machines[i].diskBytes-from.machines[i].diskBytes) / seconds
	}
	if n := len(r.producers); n > 0 {
		var cpu time.Duration
		for i := range from.machines {
			cpu += kindsSpent(&from.machines[i], &to.machines[i], application...)
		}
		res.BufferWaiting = max(0, (to.inSend-from.inSend-cpu).Seconds()/seconds/float64(n))
	}
	res.ReplicationLag = r.lag()
	res.Stages = r.stages(from, to, res)
	res.Resources = r.resources(from, to)
	res.Binds = r.binds(res)
	return res
}

// application is what the application's thread of a producer does, sender what its
// sender, reader what a consumer's.
var (
	application = []env.Kind{cost.ProducerRecord, cost.ProducerByte, cost.Compress(record.Gzip), cost.Compress(record.Snappy), cost.Compress(record.LZ4), cost.Compress(record.Zstd)}
	sender      = []env.Kind{cost.ProducerBatch, cost.ProducerRequest, cost.SenderByte}
	reader      = []env.Kind{cost.ConsumerRecord, cost.ConsumerByte, cost.Decompress(record.Gzip), cost.Decompress(record.Snappy), cost.Decompress(record.LZ4), cost.Decompress(record.Zstd)}
)

func kindsSpent(from, to *machineTotals, kinds ...env.Kind) (d time.Duration) {
	for _, k := range kinds {
		d += to.spent[k] - from.spent[k]
	}
	return d
}

// resources are how much of each was used, the busiest first.
func (r *run) resources(from, to totals) (out []Use) {
	for i, m := range r.w.Machines() {
		a, b := &from.machines[i], &to.machines[i]
		name := m.Config().Name
		add := func(kind string, busy time.Duration, of int) {
			if of > 0 && (busy > 0 || kind == "cores") {
				out = append(out, Use{Name: name + " " + kind, Kind: kind, Busy: busy.Seconds() / r.o.Measure.Seconds() / float64(of)})
			}
		}
		add("cores", b.cores-a.cores, m.Cores())
		add("network in", b.in-a.in, 1)
		add("network out", b.out-a.out, 1)
		add("disks", b.disks-a.disks, m.Disks.Disks)
		var io, network time.Duration
		ioThreads := 0
		for j, p := range m.Pools() {
			busy := b.pools[j] - a.pools[j]
			if p.Name == "io threads" {
				io, ioThreads = max(io, busy), p.Threads()
			} else {
				network = max(network, busy)
			}
		}
		add("io threads", io, ioThreads)
		add("busiest network thread", network, 1)
		add("application threads", kindsSpent(a, b, application...), r.on(r.l.producers, name))
		add("senders", kindsSpent(a, b, sender...), r.on(r.l.producers, name))
		add("consumer threads", kindsSpent(a, b, reader...), r.on(r.l.consumers, name))
	}
	slices.SortStableFunc(out, func(x, y Use) int {
		switch {
		case x.Busy > y.Busy:
			return -1
		case x.Busy < y.Busy:
			return 1
		}
		return strings.Compare(x.Name, y.Name)
	})
	return out
}

// on counts the hosts that are on a machine.
func (r *run) on(hosts []string, machine string) (n int) {
	for _, h := range hosts {
		if r.l.machines[h] == machine {
			n++
		}
	}
	return n
}

// usedUp is from which use on a resource is what binds. A pool of threads or a card is
// never used for all of the time: work comes in bursts.
const usedUp = 0.85

// binds names what holds the throughput down.
func (r *run) binds(res Result) string {
	if len(res.Resources) > 0 && res.Resources[0].Busy >= usedUp {
		return res.Resources[0].Name
	}
	switch {
	case r.heldUp():
		return "page cache: writes wait for the disks"
	case r.o.Load == Closed:
		return "nothing is used up: each producer waits for its answer"
	case res.BufferWaiting > 0.1:
		return "nothing is used up: producers wait for answers (max.in.flight.requests.per.connection, batch.size, round trip)"
	}
	return "nothing: the load is carried"
}

// heldUp reports whether a page cache made writes wait.
func (r *run) heldUp() bool {
	for _, m := range r.w.Machines() {
		if _, waited := m.Disks.Cache.Written(); waited > r.o.Measure/10 {
			return true
		}
	}
	return false
}

// stages are the means of what a record's way is made of.
func (r *run) stages(from, to totals, res Result) []Stage {
	mean := func(stage env.Stage) float64 {
		var sum, n float64
		for i := range from.machines {
			sum += to.machines[i].took[stage].sum - from.machines[i].took[stage].sum
			n += to.machines[i].took[stage].n - from.machines[i].took[stage].n
		}
		if n == 0 {
			return 0
		}
		return sum / n * 1000
	}
	sum := func(stage env.Stage) (seconds float64) {
		for i := range from.machines {
			seconds += to.machines[i].took[stage].sum - from.machines[i].took[stage].sum
		}
		return seconds
	}
	batching, inFlight := mean(cost.Batching), mean(cost.InFlight)
	queueing, appending := mean(cost.Queueing), mean(cost.Appending)
	// A request may sync several partitions, one after the other.
	syncing := 0.0
	if all := sum(cost.AppendingEach); all > 0 {
		syncing = appending * min(1, sum(cost.Syncing)/all)
	}
	replicating, answering := mean(cost.Replicating), mean(cost.Answering)
	out := []Stage{
		{"send: CPU and waiting for buffer.memory", max(0, res.Publish.Mean-batching-inFlight)},
		{"accumulator: linger.ms and waiting to be sent", batching},
		{"network and sender", max(0, inFlight-queueing-appending-replicating-answering)},
		{"request queue and network thread", queueing},
		{"append", max(0, appending-syncing)},
		{"fsync", syncing},
		{"replication", replicating},
		{"answer", answering},
	}
	if res.EndToEnd.Count > 0 {
		out = append(out, Stage{"delivery to the consumer, after the answer", res.EndToEnd.Mean - res.Publish.Mean})
	}
	return out
}

// lag is by how many records followers are behind their leaders, in all.
func (r *run) lag() (records int64) {
	im := r.c.Image()
	for p := range r.o.Partitions {
		v, ok := r.c.LeaderView(im, kafka.TopicPartition{Topic: topic, Partition: int32(p)})
		if !ok {
			continue
		}
		for _, f := range v.Followers {
			records += int64(v.LEO - max(0, f.LEO))
		}
	}
	return records
}
