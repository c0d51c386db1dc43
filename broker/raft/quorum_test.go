package raft_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/raft"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/checkers/laws"
	"github.com/ktrial/ktrial/scenarios/inspector"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

var long = flag.Bool("long", false, "play many more seeds")

const port = 9093

// quorum is voters and observers in a world of their own, with a state machine
// on each, and a leader that never stops writing.
type quorum struct {
	t       testing.TB
	w       *sim.World
	laws    *inspector.Inspector
	broken  []laws.Failure
	members []*machine
	set     func(*raft.Settings)
	pace    time.Duration // between appends
	acked   int
	decoder *raft.Decoder // one for all members, or none
}

func newQuorum(t testing.TB, seed uint64, voters, observers int) *quorum {
	q := &quorum{t: t, w: sim.NewWorld(sim.Config{Seed: seed}), pace: 40 * time.Millisecond}
	if seed%2 == 1 {
		q.decoder = new(raft.Decoder)
	}
	t.Cleanup(q.w.Close)
	var ids []kafka.NodeID
	var list []raft.Voter
	for i := range voters {
		id := kafka.NodeID(i + 1)
		ids = append(ids, id)
		list = append(list, raft.Voter{ID: id, Addr: fmt.Sprintf("node-%d:%d", id, port)})
	}
	q.laws = inspector.New(inspector.Config{Voters: ids, Broken: func(_ *inspector.Partition, f laws.Failure) bool {
		q.broken = append(q.broken, f)
		return false
	}})
	q.w.Ledger().Read(q.laws.Read)
	for i := range voters + observers {
		id := kafka.NodeID(i + 1)
		q.members = append(q.members, &machine{q: q, id: id, voters: list, host: q.w.Host(fmt.Sprintf("node-%d", id))})
	}
	return q
}

func (q *quorum) start() {
	for _, m := range q.members {
		m.host.Start(m.main)
	}
}

// story is the last lines of what happened.
func (q *quorum) story(n int) string {
	var b strings.Builder
	all := slices.Collect(q.w.Ledger().All())
	for _, e := range all[max(0, len(all)-n):] {
		e.WriteLine(&b)
	}
	return b.String()
}

func (q *quorum) run(d time.Duration) {
	q.t.Helper()
	require.NoError(q.t, q.w.Run(q.w.Now()+d))
}

// machine is the state machine of one member: the listener of its raft node.
type machine struct {
	q      *quorum
	id     kafka.NodeID
	voters []raft.Voter
	host   *sim.Host
	bugs   *planted.Set

	h       env.Host
	node    *raft.Node
	image   *metadata.Image
	leading kafka.LeaderEpoch
	wake    env.Signal
}

// main is the process.
func (m *machine) main(h env.Host) {
	m.h, m.image, m.leading, m.node = h, metadata.NewImage(), kafka.NoEpoch, nil
	m.wake = h.NewSignal("machine")
	cfg := raft.Config{
		ID: m.id, ClusterID: "trial", Voters: m.voters, Dir: "data", Decoder: m.q.decoder, Bugs: m.bugs,
	}
	config.Default(&cfg.Settings)
	if m.q.set != nil {
		m.q.set(&cfg.Settings)
	}
	node, err := raft.Start(h, cfg, m)
	if err != nil {
		h.Exit(err)
	}
	m.node = node
	h.Go("writer", m.write)
	l, err := h.Listen(port)
	if err != nil {
		h.Exit(err)
	}
	h.Exit(wire.Serve(h, l, m.serve))
}

func (m *machine) serve(_ *wire.Context, req kmsg.Request) kmsg.Response {
	switch req := req.(type) {
	case *kmsg.VoteRequest:
		return m.node.Vote(req)
	case *kmsg.BeginQuorumEpochRequest:
		return m.node.BeginQuorumEpoch(req)
	case *kmsg.EndQuorumEpochRequest:
		return m.node.EndQuorumEpoch(req)
	case *kmsg.FetchRequest:
		return m.node.Fetch(req)
	case *kmsg.FetchSnapshotRequest:
		return m.node.FetchSnapshot(req)
	case *kmsg.DescribeQuorumRequest:
		return m.node.DescribeQuorum(req)
	}
	panic(fmt.Sprintf("a %T came to the quorum", req))
}

// write appends a record now and then while this member leads.
func (m *machine) write() {
	for n := 0; ; n++ {
		if m.leading == kafka.NoEpoch {
			m.wake.Wait(env.Forever)
			continue
		}
		epoch := m.leading
		value := fmt.Sprintf("%d of epoch %d", n, epoch)
		rec := &metadata.ConfigRecord{ResourceType: metadata.TopicResource, ResourceName: "t", Name: fmt.Sprint("k", n%5), Value: &value}
		last, err := m.node.Append(epoch, []metadata.Record{rec, &metadata.NoOpRecord{}})
		if err == nil && n%4 == 0 {
			if err := m.node.WaitCommitted(last, epoch, 3*time.Second); err == nil {
				m.q.acked++
			}
		}
		m.h.Sleep(m.q.pace)
	}
}

func (m *machine) Committed(b raft.Batch) {
	if want := m.image.Offset + 1; b.BaseOffset != want {
		panic(fmt.Sprintf("batch at %d, %d is next", b.BaseOffset, want))
	}
	for _, rec := range b.Records {
		if err := m.image.Apply(rec); err != nil {
			panic(err)
		}
	}
	m.image.Offset, m.image.Epoch = b.LastOffset, b.Epoch
	m.applied()
	if m.node != nil {
		m.node.MaybeSnapshot(m.image)
	}
}

func (m *machine) LoadSnapshot(im *metadata.Image) {
	if im.Offset < m.image.Offset {
		panic(fmt.Sprintf("a snapshot of %d comes after %d", im.Offset, m.image.Offset))
	}
	m.image = im
	m.applied()
}

func (m *machine) applied() {
	m.h.Tell(&witness.Applied{Node: m.id, Offset: m.image.Offset, Hash: m.image.Hash()})
}

func (m *machine) LeaderChanged(leader kafka.NodeID, epoch kafka.LeaderEpoch) {
	m.leading = kafka.NoEpoch
	if leader == m.id {
		// KAFKA-15345: it has seen all that was before its epoch.
		if m.image.Epoch != epoch {
			panic(fmt.Sprintf("node %d leads epoch %d, it has seen epoch %d", m.id, epoch, m.image.Epoch))
		}
		m.leading = epoch
		m.wake.Notify()
	}
}

// trouble hurts the quorum at random moments until the end.
type trouble struct {
	q     *quorum
	rng   *rand.Rand
	until time.Duration
	every time.Duration
}

func (tr *trouble) begin() { tr.q.w.After(tr.pause(), "trouble", tr.strike) }

func (tr *trouble) pause() time.Duration {
	return tr.every/4 + time.Duration(tr.rng.Int64N(int64(tr.every)))
}

func (tr *trouble) strike() {
	w := tr.q.w
	if w.Now() > tr.until {
		return
	}
	a := tr.q.members[tr.rng.IntN(len(tr.q.members))].host
	b := tr.q.members[tr.rng.IntN(len(tr.q.members))].host
	d := time.Duration(50+tr.rng.IntN(3000)) * time.Millisecond
	kind := tr.rng.IntN(8)
	w.Say("trouble %d: %s, %s, %v", kind, a.Name(), b.Name(), d)
	switch kind {
	case 0, 1:
		a.Kill()
		w.After(d/4, "restart", func() { tr.raise(a) })
	case 2, 3:
		a.PowerOff()
		w.After(d/4, "restart", func() { tr.raise(a) })
	case 4:
		a.Pause()
		w.After(d, "resume", a.Resume)
	case 5: // one way
		link := w.Network().Link(a.Name(), b.Name())
		link.Cut()
		w.After(d, "mend", link.Mend)
	case 6: // from every other
		for _, m := range tr.q.members {
			for _, link := range []string{"to", "from"} {
				l := w.Network().Link(a.Name(), m.host.Name())
				if link == "from" {
					l = w.Network().Link(m.host.Name(), a.Name())
				}
				l.Cut()
				w.After(d, "mend", l.Mend)
			}
		}
	case 7: // everything at once
		if tr.rng.IntN(4) == 0 {
			for _, m := range tr.q.members {
				m.host.PowerOff()
				w.After(d/4, "restart", func() { tr.raise(m.host) })
			}
		}
	}
	tr.begin()
}

func (tr *trouble) raise(h *sim.Host) {
	if !h.IsRunning() {
		h.Restart()
	}
}

// heal ends all trouble and lets the quorum come together.
func (tr *trouble) heal() {
	q := tr.q
	q.run(4 * time.Second)
	q.w.Network().Mend()
	for _, m := range q.members {
		m.host.Resume()
		tr.raise(m.host)
	}
	q.w.Calm()
	q.run(15 * time.Second)
}

// play hurts a quorum for a while.
func play(t testing.TB, seed uint64, voters, observers int, every time.Duration, bugs ...planted.Bug) *quorum {
	q := newQuorum(t, seed, voters, observers)
	q.set = func(s *raft.Settings) {
		s.MaxBytesBetweenSnapshots, s.RetentionBytes, s.SegmentBytes = 20_000, 60_000, 8_000
	}
	for _, m := range q.members {
		m.bugs = planted.Plant(bugs...)
	}
	tr := &trouble{q: q, rng: rand.New(rand.NewPCG(seed, 1)), until: 40 * time.Second, every: every}
	q.start()
	tr.begin()
	if err := q.w.Run(tr.until); err != nil {
		if len(bugs) > 0 {
			return q
		}
		require.NoError(t, err, "seed %d\n%s", seed, q.story(60))
	}
	if len(bugs) == 0 {
		tr.heal()
	}
	return q
}

// TestQuorumUnderTrouble: kills, losses of power, pauses and cuts in any
// combination break no law, and when they end the members agree.
func TestQuorumUnderTrouble(t *testing.T) {
	seeds := 6
	if *long {
		seeds = 150
	}
	for _, c := range []struct{ voters, observers int }{{3, 2}, {5, 2}} {
		t.Run(fmt.Sprintf("%d voters", c.voters), func(t *testing.T) {
			checked, probes := int64(0), map[string]int64{}
			for seed := range seeds {
				q := play(t, uint64(seed), c.voters, c.observers, 900*time.Millisecond)
				require.Empty(t, q.broken, "seed %d\n%s", seed, q.story(60))
				q.mustAgree(seed)
				checked += q.laws.Quorum.Events()
				for k, v := range q.w.Probes() {
					probes[k] += v
				}
				q.w.Close()
			}
			t.Logf("checked %d events", checked)
			t.Logf("reached %v", probes)
		})
	}
}

// mustAgree asserts that one leads, the others follow, and all have the same.
func (q *quorum) mustAgree(seed int) {
	q.t.Helper()
	require.Greater(q.t, q.acked, 10, "seed %d: acknowledged", seed)
	var leaders []kafka.NodeID
	low, high := kafka.Offset(1<<62), kafka.Offset(0)
	for _, m := range q.members {
		require.True(q.t, m.host.IsRunning(), "seed %d: node %d: %v", seed, m.id, m.host.ExitError())
		if m.node.Role() == raft.Leader {
			leaders = append(leaders, m.id)
		}
		low, high = min(low, m.node.HighWatermark()), max(high, m.node.HighWatermark())
	}
	require.Len(q.t, leaders, 1, "seed %d: leaders", seed)
	require.Less(q.t, int64(high-low), int64(40), "seed %d: high watermarks from %d to %d", seed, low, high)
}

// TestPlantedBugs: each is found by the law that it breaks.
func TestPlantedBugs(t *testing.T) {
	for _, c := range []struct {
		bugs   []planted.Bug
		breaks laws.Law
		voters int
	}{
		{[]planted.Bug{planted.RaftNoFlush}, laws.CommitCurrent, 3},
		{[]planted.Bug{planted.RaftNoFlush}, laws.QuorumComplete, 3},
		{[]planted.Bug{planted.RaftForgetVote}, laws.OneVote, 5},
		{[]planted.Bug{planted.RaftRestartAsLeader, planted.RaftNoFlush}, laws.QuorumMatching, 3},
	} {
		t.Run(fmt.Sprint(c.bugs, " breaks law ", c.breaks.Number), func(t *testing.T) {
			for seed := range uint64(100) {
				q := play(t, seed, c.voters, 0, 500*time.Millisecond, c.bugs...)
				q.w.Close()
				i := slices.IndexFunc(q.broken, func(f laws.Failure) bool { return f.Law == c.breaks })
				if i < 0 {
					continue
				}
				t.Logf("seed %d: %v", seed, q.broken[i])
				for _, bug := range c.bugs {
					reached, infected := int64(0), int64(0)
					for _, m := range q.members {
						reached += m.bugs.Count(bug).Reached
						infected += m.bugs.Count(bug).Infected
					}
					assert.Positive(t, reached, bug)
					assert.Positive(t, infected, bug)
				}
				return
			}
			t.Fatal("not found in 100 seeds")
		})
	}
}

// TestReplay: the same seed is the same run.
func TestReplay(t *testing.T) {
	a, b := play(t, 7, 3, 1, 700*time.Millisecond), play(t, 7, 3, 1, 700*time.Millisecond)
	require.Equal(t, a.w.Hash(), b.w.Hash())
}
