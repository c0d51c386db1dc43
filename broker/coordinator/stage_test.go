package coordinator

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/replica"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

var shard0 = kafka.TopicPartition{Topic: "__counters"}

// partition is the replicated log of shard0, as a test has it: it says which broker
// leads, how far the log is committed, and what goes wrong.
type partition struct {
	batches []record.Batch
	end, hw kafka.Offset
	leader  kafka.NodeID
	epoch   kafka.LeaderEpoch
	listen  map[kafka.NodeID]func(kafka.Offset)

	// What goes wrong next.
	refuse   error         // the next append is refused
	foreign  bool          // another record comes before the next append
	slow     time.Duration // an append, or a read, takes so long
	maxBatch int32
}

func (p *partition) append(b []byte) kafka.Offset {
	base := p.end
	for len(b) > 0 {
		next, rest, err := record.Next(b)
		if err != nil {
			panic(err)
		}
		next.SetBaseOffset(p.end)
		next.SetLeaderEpoch(p.epoch)
		p.batches = append(p.batches, append(record.Batch(nil), next...))
		p.end = next.NextOffset()
		b = rest
	}
	return base
}

// truncate cuts the log, as a new leader's may be shorter, but not below what is
// committed.
func (p *partition) truncate(to kafka.Offset) {
	for n := len(p.batches); n > 0 && p.batches[n-1].BaseOffset() >= to; n-- {
		p.batches = p.batches[:n-1]
	}
	p.end = 0
	if n := len(p.batches); n > 0 {
		p.end = p.batches[n-1].NextOffset()
	}
}

// commit moves the high watermark, and tells the leader.
func (p *partition) commit(to kafka.Offset) {
	p.hw = max(p.hw, min(to, p.end))
	if f := p.listen[p.leader]; f != nil {
		f(p.hw)
	}
}

// replicaLog is the partition as one broker has it.
type replicaLog struct {
	*partition
	node kafka.NodeID
	host env.Host
}

func (l *replicaLog) leads(epoch kafka.LeaderEpoch) error {
	switch {
	case l.leader != l.node:
		return kerr.NotLeaderForPartition
	case epoch < l.epoch:
		return kerr.FencedLeaderEpoch
	}
	return nil
}

func (l *replicaLog) AppendLocal(_ kafka.TopicPartition, batches []byte, how log.Append, _ int16) (log.AppendInfo, error) {
	if l.slow > 0 {
		l.host.Sleep(l.slow)
	}
	if err := l.leads(how.Epoch); err != nil {
		return log.AppendInfo{}, err
	}
	if err := l.refuse; err != nil {
		l.refuse = nil
		return log.AppendInfo{}, err
	}
	if l.foreign {
		l.foreign = false
		l.append(numbers(1, number("foreign", 1)))
	}
	base := l.append(batches)
	return log.AppendInfo{FirstOffset: base, LastOffset: l.end - 1}, nil
}

func (l *replicaLog) ReadLocal(_ kafka.TopicPartition, epoch kafka.LeaderEpoch, from kafka.Offset, maxBytes int32) ([]byte, error) {
	if err := l.leads(epoch); err != nil {
		return nil, err
	}
	if l.slow > 0 {
		l.host.Sleep(l.slow)
	}
	var out []byte
	for _, b := range l.batches {
		if b.LastOffset() < from || len(out) > 0 && len(out)+len(b) > int(maxBytes) {
			continue
		}
		out = append(out, b...)
		if len(out) >= int(maxBytes) {
			break
		}
	}
	return out, nil
}

func (l *replicaLog) LocalEnds(_ kafka.TopicPartition, epoch kafka.LeaderEpoch) (replica.Ends, error) {
	return replica.Ends{HW: l.hw, LEO: l.end}, l.leads(epoch)
}

func (l *replicaLog) MaxBatch(kafka.TopicPartition) int32 { return l.maxBatch }

func (l *replicaLog) OnHighWatermark(_ kafka.TopicPartition, f func(kafka.Offset)) {
	l.listen[l.node] = f
}

// numbers is a batch of records.
func numbers(at int64, recs ...Record) record.Batch {
	b := record.NewBuilder(record.Options{})
	for _, r := range recs {
		b.Append(at, r.Key, r.Value)
	}
	return b.Build()
}

// stage is brokers with runtimes of counters, and one partition. What happens is
// kept in words.
type stage struct {
	t    testing.TB
	w    *sim.World
	h    env.Host // the client's
	p    *partition
	cfg  Config
	bugs *planted.Set

	runtimes map[kafka.NodeID]*Runtime
	happened func(string)
	diverged int
	entry    func(*ledger.Entry) // may be nil
}

func brokerName(id kafka.NodeID) string { return fmt.Sprintf("broker-%d", id) }

// newStage makes the world; play runs in it.
func newStage(t testing.TB, world sim.Config, bugs *planted.Set) *stage {
	s := &stage{
		t: t, bugs: bugs, runtimes: map[kafka.NodeID]*Runtime{}, happened: func(string) {},
		p:   &partition{leader: kafka.NoNode, epoch: kafka.NoEpoch, listen: map[kafka.NodeID]func(kafka.Offset){}, maxBatch: 1000},
		cfg: Config{Topic: shard0.Topic, Linger: -1, LoadBuffer: 200, Timeout: 5 * time.Second, Check: true},
	}
	world.Read = func(e *ledger.Entry) {
		if _, ok := e.Event.(*witness.ShardDiverged); ok {
			s.diverged++
		}
		if s.entry != nil {
			s.entry(e)
		}
	}
	s.w = sim.NewWorld(world)
	return s
}

func (s *stage) play(story func()) { require.NoError(s.t, s.run(story)) }

func (s *stage) run(story func()) error {
	defer s.w.Close()
	return s.w.RunMain("client", func(h env.Host) {
		s.h = h
		story()
	})
}

// start starts a broker.
func (s *stage) start(id kafka.NodeID) {
	s.w.Host(brokerName(id)).Start(func(h env.Host) {
		cfg := s.cfg
		cfg.Node = id
		s.runtimes[id] = New(h, cfg, &replicaLog{s.p, id, h}, metadata.NewImage, s.bugs, func(e Env) Machine {
			return newCounter(e, func(text string) { s.happened(text) })
		})
		h.NewSignal("the end").Wait(env.Forever)
	})
	for s.runtimes[id] == nil {
		s.h.Sleep(time.Millisecond)
	}
}

func (s *stage) kill(id kafka.NodeID) {
	s.w.Host(brokerName(id)).Kill()
	delete(s.runtimes, id)
	delete(s.p.listen, id)
}

// lead makes a broker the leader in the next epoch; the one before learns it first.
func (s *stage) lead(id kafka.NodeID) {
	was := s.p.leader
	s.p.epoch++
	s.p.leader = id
	if was != id && s.runtimes[was] != nil {
		s.runtimes[was].RoleChanged(shard0, s.p.epoch, false)
	}
	if s.runtimes[id] != nil {
		s.runtimes[id].RoleChanged(shard0, s.p.epoch, true)
	}
}

func (s *stage) leader() *Runtime { return s.runtimes[s.p.leader] }

// onLeader runs f in a task of the broker that leads, as requests do.
func (s *stage) onLeader(f func(r *Runtime)) {
	r := s.leader()
	s.w.Host(brokerName(s.p.leader)).Process().Go("request", func() { f(r) })
}

// words is an answer.
func words(err error) string {
	if err == nil {
		return "ok"
	}
	var k *kerr.Error
	if errors.As(err, &k) {
		return k.Message
	}
	return strings.TrimSpace(err.Error())
}
