package group

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
)

// player is a client of group g, as a consumer is one: what it is told decides what
// it asks next.
type player struct {
	s        *shard
	name     string
	instance *string
	version  int16
	likes    []string // protocols

	id         string
	generation int32
	joined     bool
	synced     bool
	leads      []string // ids of all, if it leads and has to assign
	asks       int      // requests without an answer
}

func (p *player) step() {
	switch {
	case p.asks > 0:
	case !p.joined:
		p.join()
	case !p.synced:
		p.sync()
	default:
		p.heartbeat()
	}
}

func (p *player) join() {
	r := joinRequest{group: "g", id: p.id, instance: p.instance, version: p.version, protocolType: "consumer", session: 10 * time.Second, rebalance: 20 * time.Second}
	for _, name := range p.likes {
		r.protocols = append(r.protocols, protocol{name, subscription("t")})
	}
	p.asks++
	p.s.decide(p.s.m.JoinGroup(Caller{ClientID: p.name}, r.build(), func(resp *kmsg.JoinGroupResponse) {
		p.asks--
		switch resp.ErrorCode {
		case 0:
			p.id, p.generation, p.joined, p.synced, p.leads = resp.MemberID, resp.Generation, true, false, nil
			if resp.LeaderID == resp.MemberID && !resp.SkipAssignment {
				for _, m := range resp.Members {
					p.leads = append(p.leads, m.MemberID)
				}
			}
		case kerr.MemberIDRequired.Code:
			p.id = resp.MemberID
		default:
			p.learn(resp.ErrorCode)
		}
	}))
}

func (p *player) sync() {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.Generation, req.InstanceID = 5, "g", p.id, p.generation, p.instance
	for i, id := range p.leads {
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = id, assignment(kafka.TopicPartition{Topic: "t", Partition: int32(i)})
		req.GroupAssignment = append(req.GroupAssignment, a)
	}
	p.asks++
	p.s.decide(p.s.m.SyncGroup(req, func(resp *kmsg.SyncGroupResponse) {
		p.asks--
		p.synced = resp.ErrorCode == 0
		p.learn(resp.ErrorCode)
	}))
}

func (p *player) heartbeat() {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.Generation, req.InstanceID = "g", p.id, p.generation, p.instance
	d, err := p.s.m.Heartbeat(req)
	d.Done = func(failed error) {
		if failed == nil {
			p.learn(kafka.Code(err))
		}
	}
	p.s.decide(d)
}

// learn draws the consequences of an error.
func (p *player) learn(code int16) {
	switch code {
	case 0:
	case kerr.UnknownMemberID.Code, kerr.FencedInstanceID.Code: // a fenced process ends; another of its instance starts
		p.id, p.joined = "", false
	default:
		p.joined = false
	}
}

func (p *player) leave() {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Version, req.Group = 5, "g"
	l := kmsg.NewLeaveGroupRequestMember()
	l.MemberID, l.InstanceID = p.id, p.instance
	req.Members = append(req.Members, l)
	d, _ := p.s.m.LeaveGroup(req)
	p.s.decide(d)
	p.id, p.joined = "", false
}

func (p *player) commit(offset int64, producer kafka.ProducerID) {
	tp := kafka.TopicPartition{Topic: "t", Partition: int32(offset % 3)}
	if producer != kafka.NoProducer {
		req := kmsg.NewPtrTxnOffsetCommitRequest()
		req.Group, req.Generation = "g", -1
		t, q := kmsg.NewTxnOffsetCommitRequestTopic(), kmsg.NewTxnOffsetCommitRequestTopicPartition()
		t.Topic, q.Partition, q.Offset = tp.Topic, tp.Partition, offset
		t.Partitions = append(t.Partitions, q)
		req.Topics = append(req.Topics, t)
		d, _ := p.s.m.TxnOffsetCommit(req)
		p.s.run(d, coordinator.Producer{ID: producer})
		return
	}
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.MemberID, req.Generation, req.InstanceID = 9, "g", p.id, p.generation, p.instance
	if !p.joined {
		req.MemberID, req.Generation, req.InstanceID = "", -1, nil
	}
	t, q := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
	t.Topic, q.Partition, q.Offset = tp.Topic, tp.Partition, offset
	t.Partitions = append(t.Partitions, q)
	req.Topics = append(req.Topics, t)
	d, _ := p.s.m.OffsetCommit(req)
	p.s.decide(d)
}

// game is a shard with players, and what must hold at all times.
type game struct {
	*shard
	players    []*player
	seen       *classicGroup // the group at the last check
	generation int32         // and its generation
}

func newGame(rt *rapid.T) *game {
	cfg := kafkaDefaults
	cfg.InitialRebalanceDelay = rapid.SampledFrom([]time.Duration{0, 3 * time.Second}).Draw(rt, "delay")
	cfg.MaxSize = rapid.SampledFrom([]int{3, 100}).Draw(rt, "max size")
	cfg.OffsetsRetention, cfg.OffsetsRetentionCheckInterval = time.Minute, 5*time.Second
	g := &game{shard: newShard(cfg)}
	g.quiet = true
	for i, name := range []string{"A", "B", "C", "D", "E"} {
		p := &player{s: g.shard, name: name, version: rapid.SampledFrom([]int16{3, 8, 9}).Draw(rt, "version"), likes: []string{"range"}}
		if i >= 3 { // two processes of one static member
			p.instance = kmsg.StringPtr("i")
		}
		if rapid.Bool().Draw(rt, "likes sticky") {
			p.likes = []string{"sticky", "range"}
		}
		g.players = append(g.players, p)
	}
	return g
}

func (g *game) failover() {
	g.m.Unloaded()
	for _, p := range g.players {
		require.Zero(failing{}, p.asks, "%s waits for an answer of a shard that is gone", p.name)
	}
	g.load()
}

// failing makes a failure of require a panic, which rapid reports.
type failing struct{}

func (failing) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (failing) FailNow()                          {}

// check is what holds after each step.
func (g *game) check(rt *rapid.T) {
	// What is held is the fold of the log, at both cuts.
	for cut, end := range map[timeline.Cut]kafka.Offset{timeline.Written: g.line.Written(), timeline.Committed: g.line.Committed()} {
		fold := &shard{cfg: g.cfg, line: timeline.New(), timers: map[string]timer{}, image: g.image}
		fold.m = New(fold, g.cfg)
		for at, e := range g.log[:end] {
			must(fold.fold(kafka.Offset(at), e))
		}
		require.Equal(rt, dump(fold.m, timeline.Written), dump(g.m, cut), "cut %v", cut)
		require.Equal(rt, fold.m.Hash(timeline.Written), g.m.Hash(cut), "cut %v", cut)
		require.Equal(rt, sumOfPrints(g.m, cut), g.m.Hash(cut), "cut %v", cut)
	}
	for _, c := range g.m.classic {
		g.checkSoft(rt, c)
	}
}

func (g *game) checkSoft(rt *rapid.T, c *classicGroup) {
	waiting, n, support := 0, 0, map[string]int{}
	for mb := c.order.First(); mb != nil; mb = mb.link.Next() {
		n++
		require.Same(rt, mb, c.members[mb.id])
		if mb.join != nil {
			waiting++
		}
		if mb.instance != nil {
			require.Equal(rt, mb.id, c.static[*mb.instance])
		}
		for _, p := range mb.protocols {
			support[p.name]++
		}
		require.False(rt, mb.sync != nil && c.at != CompletingRebalance, "%s waits for an assignment in %s", mb.id, c.at)
		require.False(rt, c.isPending(mb.id), "a member's id is pending")
		_, timed := g.timers[c.sessionTimer(mb.id)]
		require.True(rt, timed || mb.join != nil || mb.sync != nil, "nothing will remove %s", mb.id)
	}
	require.Len(rt, c.members, n)
	require.Equal(rt, waiting, c.waiting)
	require.Equal(rt, len(support), len(c.support))
	for name, count := range support {
		require.Equal(rt, count, c.support[name], name)
	}
	require.Equal(rt, n > 0, c.leader != "")
	if n > 0 {
		require.Contains(rt, c.members, c.leader)
	}
	if g.seen == c { // else the group was deleted, or loaded, meanwhile
		require.GreaterOrEqual(rt, c.generation, g.generation, "generations fall")
	}
	g.seen, g.generation = c, c.generation
	_, joining := g.timers[c.timer("join")]
	require.Equal(rt, c.at == PreparingRebalance, joining, "the join phase has its timer: %s", c.at)
	_, syncing := g.timers[c.timer("sync")]
	require.False(rt, (c.at == PreparingRebalance || c.at == Empty) && syncing, "SyncGroup is waited for in %s", c.at)
	if c.at == CompletingRebalance && !syncing { // then only the commit of the assignment is waited for
		require.NotNil(rt, c.members[c.leader].sync, "nothing ends %s", c.at)
	}
	if c.at == Stable && !g.held {
		g.checkStable(rt, c)
	}
}

// checkStable: a Stable group is what the log says.
func (g *game) checkStable(rt *rapid.T, c *classicGroup) {
	l, ok := g.m.groups.Get(c.id)
	require.True(rt, ok)
	require.Equal(rt, c.generation, l.classic.generation)
	require.Equal(rt, c.protocol, l.classic.protocol)
	require.Equal(rt, c.leader, deref(l.classic.leader))
	require.Len(rt, l.classic.members, len(c.members))
	for _, m := range l.classic.members {
		require.Contains(rt, c.members, m.id)
		require.Equal(rt, string(c.members[m.id].assignment), string(m.assignment))
	}
}

// dump is the logged state in words.
func dump(m *Machine, at timeline.Cut) (out []string) {
	for id, g := range m.groups.AllAt(at) {
		out = append(out, fmt.Sprintf("%s %q", id, encode(&groupKey{id}, g.classic).Value))
	}
	for id, o := range m.offsets {
		for tp, c := range o.committed.AllAt(at) {
			out = append(out, fmt.Sprintf("%s %v %+v", id, tp, *c))
		}
		if o.pending == nil {
			continue
		}
		for producer, pending := range o.pending.AllAt(at) {
			for tp, c := range pending.AllAt(at) {
				out = append(out, fmt.Sprintf("%s %v pending of %d %+v", id, tp, producer, *c))
			}
		}
	}
	slices.Sort(out)
	return out
}

// sumOfPrints is what Machine.Hash is to be, from the state alone.
func sumOfPrints(m *Machine, at timeline.Cut) (sum uint64) {
	for id, g := range m.groups.AllAt(at) {
		sum += printOf(&groupKey{id}, g.classic)
	}
	for _, o := range m.offsets {
		for _, c := range o.committed.AllAt(at) {
			sum += c.print
		}
		if o.pending == nil {
			continue
		}
		for producer, pending := range o.pending.AllAt(at) {
			for _, c := range pending.AllAt(at) {
				sum += pendingPrint(c, producer)
			}
		}
	}
	return sum
}

// Whatever members, appends and fail-overs do: what is held is the fold of the log,
// nothing is answered twice, and once all behave the group becomes Stable.
func TestMachine_HoldsWhatItsLogSays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := newGame(rt)
		one := func() *player { return rapid.SampledFrom(g.players).Draw(rt, "player") }
		rt.Repeat(map[string]func(*rapid.T){
			"step":  func(*rapid.T) { one().step() },
			"steps": func(*rapid.T) { g.steps() },
			"join again": func(*rapid.T) { // a client that has lost its answer
				if p := one(); p.asks == 0 {
					p.join()
				}
			},
			"forget": func(*rapid.T) { // another process
				if p := one(); p.asks == 0 {
					p.id, p.joined = "", false
				}
			},
			"leave": func(*rapid.T) { one().leave() },
			"commit": func(rt *rapid.T) {
				one().commit(rapid.Int64Range(0, 99).Draw(rt, "offset"), rapid.SampledFrom([]kafka.ProducerID{kafka.NoProducer, 8, 9}).Draw(rt, "producer"))
			},
			"marker": func(rt *rapid.T) {
				g.marker(coordinator.Producer{ID: rapid.SampledFrom([]kafka.ProducerID{8, 9}).Draw(rt, "producer")}, rapid.Bool().Draw(rt, "commit"))
			},
			"time": func(rt *rapid.T) {
				g.after(time.Duration(rapid.SampledFrom([]int{1, 3, 9, 21, 70}).Draw(rt, "s")) * time.Second)
			},
			"fail": func(*rapid.T) {
				if !g.held {
					g.fail = kerr.NotEnoughReplicas
				}
			},
			"hold":     func(*rapid.T) { g.held, g.fail = true, nil },
			"release":  func(*rapid.T) { g.release() },
			"failover": func(*rapid.T) { g.failover() },
			"delete": func(*rapid.T) {
				d, _ := g.m.DeleteGroups([]string{"g"})
				g.decide(d)
			},
			"": func(rt *rapid.T) { g.check(rt) },
		})
		g.settle(rt)
	})
}

func (g *game) release() {
	g.held = false
	g.shard.commit()
}

// steps lets each player go on a little.
func (g *game) steps() {
	for range 3 {
		for _, p := range g.players {
			p.step()
		}
	}
}

// settle has all players behave, and wants the group Stable.
func (g *game) settle(rt *rapid.T) {
	g.release()
	g.fail = nil
	g.cfg.MaxSize, g.m.cfg.MaxSize = 100, 100
	g.players = g.players[:4] // one process for the static member
	for _, p := range g.players {
		// Of a member that was loaded only the protocol of its generation is known, as in Kafka:
		// until it joins again, one that cannot do that is refused (INCONSISTENT_GROUP_PROTOCOL).
		p.joined = false
	}
	for range 100 {
		g.steps()
		g.after(time.Second)
		for _, c := range g.m.classic {
			g.checkSoft(rt, c)
		}
	}
	g.check(rt)
	c := g.m.classic["g"]
	require.NotNil(rt, c)
	assert.Equal(rt, Stable, c.at)
	for _, p := range g.players {
		assert.Contains(rt, c.members, p.id)
		assert.Equal(rt, c.generation, p.generation)
		assert.True(rt, p.synced, "%s has no assignment", p.name)
	}
	assert.Len(rt, c.members, len(g.players))
}
