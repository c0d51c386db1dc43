package controller

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/internal/golden"
)

// trial is a cluster that goes through a random life, with ghosts that know
// what its brokers really have. choose draws from 0 to n-1.
type trial struct {
	*cluster
	choose func(n int, what string) int
	elr    bool

	incarnations int
	up           map[kafka.NodeID]bool // the process runs
	clean        map[kafka.NodeID]bool // it was stopped cleanly
	// doubtful holds the replicas that came back without a clean shutdown and
	// have not caught up since.
	doubtful map[kafka.TopicPartition]map[kafka.NodeID]bool
	// before is each partition as it was after the step before.
	before map[kafka.TopicPartition]*metadata.Partition
	epochs map[kafka.BrokerEpoch]kafka.UUID
	steps  []string
}

var brokers = []kafka.NodeID{1, 2, 3, 4}

func newTrial(choose func(int, string) int, bugs ...planted.Bug) *trial {
	settings := map[string]string{}
	elr := len(bugs) > 0 || choose(4, "elr off") > 0
	if !elr {
		settings["eligible.leader.replicas.version"] = "0"
	}
	t := &trial{
		cluster: newCluster(settings, bugs...), choose: choose, elr: elr,
		up: map[kafka.NodeID]bool{}, clean: map[kafka.NodeID]bool{},
		doubtful: map[kafka.TopicPartition]map[kafka.NodeID]bool{},
		before:   map[kafka.TopicPartition]*metadata.Partition{},
		epochs:   map[kafka.BrokerEpoch]kafka.UUID{},
	}
	for _, id := range brokers {
		t.boot(id)
		_, err := t.heartbeat(id, t.image.Offset, false, false)
		must(err)
	}
	for i, minISR := range []int{1, 2, 3} {
		must(t.create(fmt.Sprintf("t%d", i), minISR, []int32{1, 2, 3}, []int32{3, 4, 1}))
	}
	t.takeFresh()
	t.check()
	return t
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// step does one random thing and returns what is wrong after it.
func (t *trial) step() []string {
	id := brokers[t.choose(len(brokers), "broker")]
	tp := kafka.TopicPartition{Topic: fmt.Sprintf("t%d", t.choose(3, "topic")), Partition: int32(t.choose(2, "partition"))}
	actions := []struct {
		name string
		do   func() []string
	}{
		{"heartbeat", func() []string { t.beat(id); return nil }},
		{"boot", func() []string { t.boot(id); return nil }},
		{"kill", func() []string { t.up[id], t.clean[id] = false, false; return nil }},
		{"stop", func() []string { t.stop(id); return nil }},
		{"time", func() []string { t.now += t.cfg.Settings.SessionTimeout / 2; return nil }},
		{"silence", func() []string {
			t.now += 2 * t.cfg.Settings.SessionTimeout
			for t.expire() != kafka.NoNode {
			}
			return nil
		}},
		{"failover", func() []string { t.failover(); return nil }},
		{"shrink", func() []string { return t.alterISR(tp, id, false) }},
		{"grow", func() []string { return t.alterISR(tp, id, true) }},
		{"grow-stale", func() []string { return t.growStale(tp, id) }},
		{"min-isr", func() []string { t.setMinISR(tp.Topic, 1+t.choose(3, "min isr")); return nil }},
		{"reassign", func() []string { t.reassign(tp); return nil }},
		{"balance", func() []string { t.write(t.brain().balance()); return nil }},
	}
	a := actions[t.choose(len(actions), "action")]
	t.steps = append(t.steps, fmt.Sprintf("%s broker %d %v", a.name, id, tp))
	wrong := a.do()
	return append(wrong, t.check()...)
}

// boot starts a process, which knows its epoch if it was stopped cleanly.
func (t *trial) boot(id kafka.NodeID) {
	if t.up[id] {
		return
	}
	previous := kafka.BrokerEpoch(kafka.NoEpoch)
	if t.clean[id] {
		previous = t.cluster.epochs[id]
	}
	t.incarnations++
	if t.register(id, t.incarnations%250, previous, "") != nil {
		return // its id is still taken
	}
	t.up[id] = true
	if t.clean[id] {
		return
	}
	t.partitionsOf(func(p *metadata.Partition) {
		if t.doubtful[p.TP()] == nil {
			t.doubtful[p.TP()] = map[kafka.NodeID]bool{}
		}
		t.doubtful[p.TP()][id] = true
	})
}

func (t *trial) partitionsOf(visit func(*metadata.Partition)) { t.brain().partitions(visit) }

func (t *trial) beat(id kafka.NodeID) {
	if t.up[id] {
		_, err := t.heartbeat(id, t.image.Offset, t.choose(8, "want fence") == 0, false)
		must(err)
	}
}

// stop is one round of a controlled shutdown, after which a broker that may
// stop does.
func (t *trial) stop(id kafka.NodeID) {
	if !t.up[id] {
		return
	}
	state, err := t.heartbeat(id, t.image.Offset, false, true)
	must(err)
	if state == shutDownNow {
		t.up[id], t.clean[id] = false, true
	}
}

// alterISR has the leader take a replica in or out. A replica that is taken in
// has caught up: nothing about it is doubtful any more.
func (t *trial) alterISR(tp kafka.TopicPartition, id kafka.NodeID, in bool) []string {
	p := t.partition(tp)
	if p.Leader == kafka.NoNode || !slices.Contains(p.Replicas, id) || id == p.Leader {
		return nil
	}
	isr := without(p.ISR, id)
	if in {
		isr = append(isr, id)
	}
	if _, err := t.alter(tp, isr, nil); err == nil && in {
		delete(t.doubtful[tp], id)
		if !t.brain().active(id) {
			return []string{fmt.Sprintf("%v: broker %d joined the ISR though it is not active", tp, id)}
		}
	}
	return nil
}

// growStale asks for a replica that was caught up in an earlier life.
func (t *trial) growStale(tp kafka.TopicPartition, id kafka.NodeID) []string {
	p := t.partition(tp)
	if p.Leader == kafka.NoNode || !slices.Contains(p.Replicas, id) || slices.Contains(p.ISR, id) {
		return nil
	}
	_, err := t.alter(tp, append(slices.Clone(p.ISR), id), func(req *kmsg.AlterPartitionRequest) {
		isr := req.Topics[0].Partitions[0].NewEpochISR
		isr[len(isr)-1].BrokerEpoch--
	})
	if err == nil {
		return []string{fmt.Sprintf("%v: broker %d joined the ISR by what an earlier incarnation fetched", tp, id)}
	}
	return nil
}

func (t *trial) setMinISR(topic string, n int) {
	cmd := command{golden.Parse(fmt.Sprintf("config topic %s min.insync.replicas=%d", topic, n))}
	cmd.config(t.cluster)
}

func (t *trial) reassign(tp kafka.TopicPartition) {
	to := [][]int32{{1, 2, 3}, {3, 4, 1}, {2, 4}, {4, 3, 2}, nil}[t.choose(5, "to")]
	record, _ := t.brain().reassign(tp.Topic, kmsg.AlterPartitionAssignmentsRequestTopicPartition{Partition: tp.Partition, Replicas: to}, false)
	t.write(appendChange(nil, record))
}

// check returns what is wrong with the image, and with the step that made it.
func (t *trial) check() []string {
	var wrong []string
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	t.partitionsOf(func(p *metadata.Partition) {
		was := t.before[p.TP()]
		t.before[p.TP()] = p
		if p.Recovery == metadata.Recovering {
			// The leader came from an unclean election: it is the truth now.
			delete(t.doubtful[p.TP()], p.Leader)
		}
		for _, problem := range t.problems(p) {
			bad("%v: %s", p.TP(), problem)
		}
		if was == nil || was == p {
			return
		}
		if p.PartitionEpoch <= was.PartitionEpoch {
			bad("%v: partition epoch %d after %d", p.TP(), p.PartitionEpoch, was.PartitionEpoch)
		}
		if p.LeaderEpoch < was.LeaderEpoch || p.Leader != was.Leader && p.LeaderEpoch == was.LeaderEpoch {
			bad("%v: leader %d in epoch %d after %d in %d", p.TP(), p.Leader, p.LeaderEpoch, was.Leader, was.LeaderEpoch)
		}
	})
	for _, b := range t.image.Brokers() {
		if owner, taken := t.epochs[b.Epoch]; taken && owner != b.IncarnationID {
			bad("broker %d: epoch %d was given away before", b.ID, b.Epoch)
		}
		t.epochs[b.Epoch] = b.IncarnationID
		if x := t.s.get(b.ID); x == nil && !b.Fenced || x != nil && x.fenced != b.Fenced {
			bad("broker %d: fenced is %v, which its session contradicts", b.ID, b.Fenced)
		}
	}
	return wrong
}

// problems are the laws of one partition (checkers.md 4: 1, 17, 18).
func (t *trial) problems(p *metadata.Partition) (out []string) {
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	for _, list := range [][]kafka.NodeID{p.ISR, p.ELR, p.LastKnownELR} {
		bad(containsAll(p.Replicas, list), "%v is not within the replicas %v", list, p.Replicas)
		sorted := slices.Sorted(slices.Values(list))
		bad(len(slices.Compact(sorted)) == len(list), "%v names a broker twice", list)
	}
	for _, id := range p.ELR {
		bad(!slices.Contains(p.ISR, id), "broker %d is in both ISR %v and ELR %v", id, p.ISR, p.ELR)
	}
	for id := range t.doubtful[p.TP()] {
		bad(!member(p, id) || !t.elr, "broker %d is in ISR %v or ELR %v though it came back unclean and has not caught up", id, p.ISR, p.ELR)
	}
	minISR := min(t.brain().minISR(p.Topic), len(p.Replicas))
	bad(len(p.ELR) == 0 || len(p.ISR) < minISR, "ELR %v though ISR %v is at least %d", p.ELR, p.ISR, minISR)
	bad(t.elr || len(p.ISR) > 0 && len(p.ELR) == 0, "ISR %v ELR %v though ELR is off", p.ISR, p.ELR)
	for _, id := range p.ISR {
		bad(t.brain().active(id) || !t.elr && len(p.ISR) == 1, "broker %d is in ISR %v and not active", id, p.ISR)
	}
	if p.Leader != kafka.NoNode {
		bad(slices.Contains(p.ISR, p.Leader), "leader %d is not in ISR %v", p.Leader, p.ISR)
		bad(len(p.LastKnownELR) == 0, "last known leader %v though %d leads", p.LastKnownELR, p.Leader)
	}
	bad(p.Recovery == metadata.Recovered || len(p.ISR) <= 1, "recovering with ISR %v", p.ISR)
	candidates := p.ISR
	if len(candidates) == 0 {
		candidates = p.ELR
	}
	bad(p.Leader != kafka.NoNode || !slices.ContainsFunc(candidates, t.brain().active),
		"no leader, though a member of ISR %v ELR %v could lead", p.ISR, p.ELR)
	return out
}

// replayed is the fold of all records.
func (t *trial) replayed(records []metadata.Record) *metadata.Image {
	im := metadata.NewImage()
	for _, r := range records {
		read, err := metadata.Decode(metadata.Encode(r))
		must(err)
		must(im.Apply(read))
	}
	return im
}

func TestProperty_WhateverHappensPartitionsKeepTheirLaws(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newTrial(func(n int, what string) int { return rapid.IntRange(0, n-1).Draw(rt, what) })
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			if wrong := c.step(); len(wrong) > 0 {
				rt.Fatalf("%q\nafter %q", wrong, c.steps)
			}
		}
		assert.Equal(rt, c.image.Hash(), c.replayed(c.log).Hash(), "live state is the fold of the records")
		assert.Equal(rt, c.image.Hash(), c.replayed(c.image.ToRecords()).Hash(), "and so is a snapshot")
	})
}

// life runs one life from a seed until something goes wrong that says law.
func life(seed uint64, law string, bugs ...planted.Bug) (*trial, []string) {
	luck := rand.New(rand.NewPCG(seed, 0))
	c := newTrial(func(n int, _ string) int { return luck.IntN(n) }, bugs...)
	for range 200 {
		wrong := c.step()
		if slices.ContainsFunc(wrong, func(s string) bool { return strings.Contains(s, law) }) {
			return c, wrong
		}
	}
	return c, nil
}

func TestPlanted_EachBugBreaksALaw(t *testing.T) {
	for bug, law := range map[planted.Bug]string{
		planted.NoELR:               "though it came back unclean",
		planted.IgnoreBrokerEpoch:   "by what an earlier incarnation fetched",
		planted.BatchExpireFromBase: "and not active",
	} {
		t.Run(string(bug), func(t *testing.T) {
			for seed := range uint64(20) {
				c, wrong := life(seed, law, bug)
				if len(wrong) > 0 {
					t.Logf("seed %d, step %d: %s: %q", seed, len(c.steps), c.steps[len(c.steps)-1], wrong)
					count := c.cfg.Bugs.Count(bug)
					require.Positive(t, count.Infected)
					require.GreaterOrEqual(t, count.Reached, count.Infected)
					return
				}
			}
			t.Fatal("20 lives with the bug, and no law broken")
		})
	}
}

func TestPlanted_WithoutBugsNoLawBreaks(t *testing.T) {
	reached := map[string]int{}
	for seed := range uint64(50) {
		c, wrong := life(seed, "")
		require.Empty(t, wrong, "seed %d: %q", seed, c.steps)
		for probe, n := range c.reached {
			reached[probe] += n
		}
	}
	for _, probe := range []string{
		"controller: fenced replica kept out of the ISR",
		"controller: replica that is shutting down kept out of the ISR",
		"controller: replica of an earlier incarnation kept out of the ISR",
	} {
		assert.Positive(t, reached[probe], "these lives never reached: %s", probe)
	}
}

func BenchmarkHeartbeat(b *testing.B) {
	c := newTrial(func(n int, _ string) int { return n - 1 })
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.BrokerID, req.BrokerEpoch, req.CurrentMetadataOffset = 1, int64(c.cluster.epochs[1]), int64(c.image.Offset)
	b.ReportAllocs()
	for b.Loop() {
		brain := c.brain()
		if state, recs, err := brain.heartbeat(req); state != unfenced || recs != nil || err != nil {
			b.Fatal(state, recs, err)
		}
	}
}

func BenchmarkAlterPartition(b *testing.B) {
	c := newTrial(func(n int, _ string) int { return n - 1 })
	tp := kafka.TopicPartition{Topic: "t1"}
	p := c.partition(tp)
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version, req.BrokerID, req.BrokerEpoch = 3, int32(p.Leader), int64(c.cluster.epochs[p.Leader])
	x := kmsg.NewAlterPartitionRequestTopicPartition()
	x.LeaderEpoch, x.PartitionEpoch = int32(p.LeaderEpoch), int32(p.PartitionEpoch)
	x.NewEpochISR = []kmsg.AlterPartitionRequestTopicPartitionNewEpochISR{{BrokerID: int32(p.Leader), BrokerEpoch: req.BrokerEpoch}}
	topic := kmsg.NewAlterPartitionRequestTopic()
	topic.TopicID, topic.Partitions = p.TopicID, append(topic.Partitions, x)
	req.Topics = append(req.Topics, topic)
	b.ReportAllocs()
	for b.Loop() {
		if _, recs, err := c.brain().alterPartition(req); len(recs) != 1 || err != nil {
			b.Fatal(recs, err)
		}
	}
}
