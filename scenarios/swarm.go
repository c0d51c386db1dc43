package scenarios

import (
	"maps"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/sim/kernel"
	"github.com/ktrial/ktrial/workloads"
)

// Swarm draws everything from the seed: which of the everyday trials is played, in
// which shape of the cluster, with which settings of brokers, topics and clients. Each
// setting is drawn by a lot of its own, and most are at their defaults in a given run:
// what one setting makes possible another one may prevent.
//
// What was drawn is a scenario with flags, and the report names it: it is played
// without the swarm by that command, and made smaller from there.
var Swarm = Scenario{
	Name:     "swarm",
	About:    "cluster, topics, settings, work and trouble are all drawn from the seed",
	Cluster:  Three,
	Topics:   []Topic{Orders},
	Workload: Idempotent,
	Faults:   faults.Swarm{Topic: "orders", Partitions: 3},
	Checks:   Promises,
	Draw:     drawSwarm,
}

// Drawn is a scenario as it was drawn from a seed: one that has a name of its own,
// and what `ktrial run` changes in it. A number that is 0 stays as the scenario says.
type Drawn struct {
	Scenario                                                  Scenario
	Brokers, Controllers, Partitions, Replicas, Racks, Topics int
	Set                                                       map[string]string
}

// StandardTable is the everyday trial of a compacted topic. Tombstones stay longer
// than the run, whatever becomes of clocks, for a reader that stands still may miss
// one that goes.
var StandardTable = Scenario{
	Name:    "standard-table",
	About:   "a table in a compacted topic under whatever trouble the seed draws",
	Cluster: CompactedTable.Cluster,
	Topics: []Topic{{Name: "table", Partitions: 3, Replicas: 3, MinInsync: 2, Config: map[string]string{
		"cleanup.policy": "compact", "segment.bytes": "16384", "min.cleanable.dirty.ratio": "0.1",
		"delete.retention.ms": "86400000", "file.delete.delay.ms": "5000",
	}}},
	Workload:  CompactedTable.Workload,
	Faults:    faults.Swarm{Topic: "table", Partitions: 3},
	Checks:    Promises,
	OwnChecks: []checkers.Check{TableIsKept},
}

// lot draws one thing of a swarm from a stream of its own, so that a new setting does
// not shift what is drawn of the others.
func lot(seed uint64, of string) *rand.Rand { return kernel.Stream(seed, "swarm: "+of) }

// everyday are the trials that a swarm plays, some of them more often than others.
var everyday = []Scenario{
	Standard, Standard, Standard, StandardGroups, StandardGroups, StandardGroups, StandardEOS, StandardEOS, StandardTable, CombinedRoles,
}

// Everyday are the trials that a swarm draws from; some are there more than once.
func Everyday() []Scenario { return everyday }

func drawSwarm(seed uint64) Drawn {
	d := Drawn{Scenario: oneOf(lot(seed, "scenario"), everyday...), Set: map[string]string{}}
	d.shape(seed)
	d.draw(seed, serverDraws)
	d.draw(seed, clientDraws)
	switch d.Scenario.Name {
	case StandardGroups.Name:
		d.draw(seed, coordinatorDraws)
		if d.Set["offsets.topic.segment.bytes"] == "1000" {
			d.Topics = 0 // else what the group writes of itself is larger than a segment (seed 654)
		}
		d.draw(seed, groupDraws)
		d.relieve(d.processes, "group.coordinator.append.linger.ms", "rate", "producers", "work", "commit")
		d.protocol(lot(seed, "group.protocol"))
	case StandardEOS.Name:
		d.draw(seed, coordinatorDraws)
		d.draw(seed, transactionDraws)
		d.relieve(d.transacts, "retry.backoff.ms", "max.partition.fetch.bytes", "fetch.max.bytes", "max.poll.records", "rate", "producers")
		d.protocol(lot(seed, "group.protocol"))
	case StandardTable.Name:
		d.Set["duration"] = "60s"
	default:
		d.draw(seed, topicDraws)
		d.draw(seed, administrationDraws)
	}
	return d
}

// shape draws the cluster. Usually it is the scenario's.
func (d *Drawn) shape(seed uint64) {
	luck := lot(seed, "shape")
	d.Brokers = oneOf(luck, 3, 3, 3, 4, 5)
	if d.Scenario.Cluster.Combined == 0 {
		d.Controllers = oneOf(luck, 3, 3, 3, 3, 1, 5)
	}
	d.Partitions = oneOf(luck, 1, 2, 3, 3, 5)
	d.Replicas = oneOf(luck, 3, 3, 3, 3, d.Brokers)
	d.Racks = oneOf(luck, 0, 0, 0, 2, 3)
	if _, can := workloads.Spread(d.Scenario.Workload, nil); can {
		d.Topics = oneOf(lot(seed, "topics"), 0, 0, 2, 3)
	}
}

// setting is one that a swarm draws, and the values that it may have. Those of several
// names are drawn together: one makes no sense without the other.
type setting struct {
	name   string
	values []string
	with   map[string]string
}

// oneIn is how often a setting is not at its default: in one of so many runs.
const oneIn = 6

func (d *Drawn) draw(seed uint64, from []setting) {
	for _, s := range from {
		luck := lot(seed, s.name)
		if luck.IntN(oneIn) != 0 {
			continue
		}
		d.Set[s.name] = oneOf(luck, s.values...)
		maps.Copy(d.Set, s.with)
	}
}

// serverDraws are settings of brokers and controllers that keep every promise.
var serverDraws = []setting{
	{name: "metadata.log.max.record.bytes.between.snapshots", values: []string{"1500", "3000", "10000"}},
	{name: "metadata.log.segment.bytes", values: []string{"20000", "60000"}},
	{name: "metadata.max.idle.interval.ms", values: []string{"100", "2000"}},
	{name: "replica.lag.time.max.ms", values: []string{"5000", "10000"}},
	{name: "replica.fetch.max.bytes", values: []string{"1000", "20000"}},
	{name: "replica.fetch.wait.max.ms", values: []string{"50", "1500"}},
	{name: "replica.fetch.backoff.ms", values: []string{"100"}},
	{name: "replica.socket.timeout.ms", values: []string{"5000"}},
	{name: "replica.high.watermark.checkpoint.interval.ms", values: []string{"500", "20000"}},
	{name: "log.flush.offset.checkpoint.interval.ms", values: []string{"1000", "5000"}},
	{name: "broker.session.timeout.ms", values: []string{"4000", "20000"}, with: map[string]string{"broker.heartbeat.interval.ms": "1000"}},
	{name: "controller.quorum.election.timeout.ms", values: []string{"300", "3000"}},
	{name: "controller.quorum.fetch.timeout.ms", values: []string{"1000", "5000"}},
	{name: "controller.quorum.append.linger.ms", values: []string{"0", "100"}},
	{name: "max.incremental.fetch.session.cache.slots", values: []string{"0", "2"}},
	{name: "fetch.max.bytes", values: []string{"2000", "50000"}},
	{name: "leader.imbalance.check.interval.seconds", values: []string{"5"}},
	{name: "log.retention.hours", values: []string{"100000"}},
	{name: "log.retention.minutes", values: []string{"6000000"}},
	{name: "log.roll.hours", values: []string{"1", "48"}},
	{name: "producer.id.expiration.check.interval.ms", values: []string{"1000"}},
	{name: "ktrial.cpu.request.us", values: []string{"500"}},
}

// topicDraws are settings of a topic that is not compacted. No record is deleted: a
// reader that was slower could not be told from one to which it was lost.
var topicDraws = []setting{
	{name: "segment.bytes", values: []string{"8192", "16384", "65536"}},
	{name: "segment.ms", values: []string{"3000", "10000"}},
	{name: "index.interval.bytes", values: []string{"0", "300"}},
	{name: "segment.index.bytes", values: []string{"64", "1000"}},
	{name: "message.timestamp.type", values: []string{"LogAppendTime"}},
	{name: "flush.messages", values: []string{"1", "20"}},
	{name: "flush.ms", values: []string{"1000"}},
	{name: "file.delete.delay.ms", values: []string{"0", "1000"}},
	{name: "min.insync.replicas", values: []string{"3"}},
}

// administrationDraws have administrators at work beside the clients.
var administrationDraws = []setting{
	{name: "admins", values: []string{"1", "2"}, with: map[string]string{"auto.create.topics.enable": "false"}},
}

// clientDraws are settings of producers and of any consumer, and the work itself.
var clientDraws = []setting{
	{name: "producers", values: []string{"1", "2", "8"}},
	{name: "rate", values: []string{"5", "20", "120"}},
	{name: "size", values: []string{"300", "2000"}},
	{name: "duration", values: []string{"30s", "90s"}},
	{name: "linger.ms", values: []string{"0", "100", "1000"}},
	{name: "batch.size", values: []string{"0", "200", "2000"}},
	{name: "compression.type", values: []string{"gzip", "snappy", "lz4", "zstd"}},
	{name: "max.in.flight.requests.per.connection", values: []string{"1", "2"}},
	{name: "delivery.timeout.ms", values: []string{"8000", "15000"}, with: map[string]string{"request.timeout.ms": "2000"}},
	{name: "retry.backoff.ms", values: []string{"10", "1000"}},
	{name: "metadata.max.age.ms", values: []string{"1000", "10000"}},
	{name: "max.block.ms", values: []string{"2000"}},
	{name: "max.poll.records", values: []string{"5", "20"}},
	{name: "fetch.min.bytes", values: []string{"1500"}},
	{name: "fetch.max.wait.ms", values: []string{"50", "1000"}},
	{name: "max.partition.fetch.bytes", values: []string{"1000"}, with: map[string]string{"fetch.min.bytes": "1"}},
	{name: "isolation.level", values: []string{"read_committed"}},
	{name: "client.rack", values: []string{"a"}},
}

// protocol draws which protocol the group has, and the client's assignor of the classic
// one. In the other the brokers assign.
func (d *Drawn) protocol(luck *rand.Rand) {
	if luck.IntN(2) == 0 {
		d.Set["group.protocol"] = "consumer"
		return
	}
	if assignor := oneOf(luck, "", "RoundRobinAssignor", "StickyAssignor", "CooperativeStickyAssignor"); assignor != "" {
		d.Set["partition.assignment.strategy"] = "org.apache.kafka.clients.consumer." + assignor
	}
}

// groupDraws are those of the members of a group: how many there are, when they commit.
var groupDraws = []setting{
	{name: "group.consumer.assignors", values: []string{"range", "uniform"}},
	{name: "members", values: []string{"1", "2", "5"}},
	{name: "late", values: []string{"1", "2"}},
	{name: "static", values: []string{"true"}},
	{name: "commit", values: []string{"auto", "per-record"}},
	{name: "work", values: []string{"2ms", "10ms"}},
	{name: "auto.commit.interval.ms", values: []string{"200", "2000"}},
	{name: "restless", values: []string{"1"}},
}

// relieve takes settings back, in this order, until what is sent in a second takes less than
// half a second: else the work would not be done when the run is over, whatever the stack does.
func (d *Drawn) relieve(second func() time.Duration, settings ...string) {
	for _, name := range settings {
		if second() < time.Second/2 {
			return
		}
		delete(d.Set, name)
	}
}

// processes is how long a member of the group takes for what is sent in a second, if all
// partitions have as much.
func (d *Drawn) processes() time.Duration {
	each, _ := time.ParseDuration(d.Set["work"]) // what is not set takes no time
	if d.Set["commit"] == "per-record" {
		const commit = 5 * time.Millisecond // there, to the followers, and back
		each += commit + time.Duration(d.number("group.coordinator.append.linger.ms", 0))*time.Millisecond
	}
	return time.Duration(d.sent(Billing.Input, d.number("members", Billing.Members))) * each
}

// transacts is that of a worker of the pipeline. A transaction that follows another is put off
// until the markers of that one are written (CONCURRENT_TRANSACTIONS), for retry.backoff.ms.
func (d *Drawn) transacts() time.Duration {
	const byDefault = 100 // ms
	each := time.Duration(max(byDefault, d.number("retry.backoff.ms", byDefault))) * time.Millisecond
	bytes := min(d.number("max.partition.fetch.bytes", 1<<20), d.number("fetch.max.bytes", 1<<20))
	records := max(1, min(d.number("max.poll.records", 50), bytes/d.number("size", 100)))
	return time.Duration(d.sent(Settling.Input, Settling.Workers)) * each / time.Duration(records)
}

// sent is how many records one of so many workers is sent in a second.
func (d *Drawn) sent(in workloads.ProduceConsume, workers int) int {
	return d.number("producers", in.Producers) * d.number("rate", in.Rate) / min(d.Partitions, workers)
}

// number is a setting that was drawn, or what it is by default.
func (d *Drawn) number(name string, byDefault int) int {
	if n, err := strconv.Atoi(d.Set[name]); err == nil {
		return n
	}
	return byDefault
}

// coordinatorDraws are those of coordinators: what they keep, and how they load it.
var coordinatorDraws = []setting{
	{name: "group.initial.rebalance.delay.ms", values: []string{"0", "3000"}},
	{name: "offsets.topic.num.partitions", values: []string{"1", "10"}},
	{name: "offsets.topic.segment.bytes", values: []string{"1000", "10000"}},
	{name: "offsets.load.buffer.size", values: []string{"500"}},
	{name: "ktrial.coordinator.load.delay.ms", values: []string{"20"}},
	{name: "group.coordinator.append.linger.ms", values: []string{"0", "20", "200"}},
	{name: "offsets.commit.timeout.ms", values: []string{"1000"}},
	{name: "group.consumer.assignment.interval.ms", values: []string{"0", "3000"}},
}

// transactionDraws are those of transactions and their coordinator.
var transactionDraws = []setting{
	{name: "transaction.version", values: []string{"1"}},
	{name: "transaction.timeout.ms", values: []string{"5000"}},
	{name: "transaction.state.log.num.partitions", values: []string{"1", "10"}},
	{name: "transaction.state.log.segment.bytes", values: []string{"1000", "10000"}},
	{name: "transaction.state.log.load.buffer.size", values: []string{"500"}},
	{name: "transaction.abort.timed.out.transaction.cleanup.interval.ms", values: []string{"500", "5000"}},
}

func oneOf[T any](luck *rand.Rand, of ...T) T { return of[luck.IntN(len(of))] }
