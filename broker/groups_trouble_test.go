package broker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/wire"
	clusters "github.com/ktrial/ktrial/scenarios/cluster"
)

// Coordinators that are killed, paused and cut off, one at a time, lose no commit that
// they acknowledged, hold what their log says, and serve their groups when it is over.
func TestGroups_SurviveTrouble(t *testing.T) {
	skipIfShort(t)
	seeds := []uint64{0, 1, 2, 3}
	if *long {
		for seed := range uint64(500) {
			seeds = append(seeds, seed)
		}
	}
	loads := 0
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			c, wrong := surviveInGroups(t, seed, nil)
			assert.Empty(t, wrong)
			loads += c.told["shard-loaded"]
		})
	}
	const first = 5 // one of each partition
	assert.Greater(t, loads, 3*first*len(seeds)/2, "hardly any coordinator moved")
}

// The bugs of coordinators show themselves to these clients.
func TestGroups_PlantedBugsShowInTrouble(t *testing.T) {
	skipIfShort(t)
	for bug, seed := range map[planted.Bug]uint64{ // that shows it, not to search each time
		planted.AckBeforeCommit: 3, planted.ServeWhileLoading: 0, planted.UnloadIgnoresEpoch: 3,
	} {
		t.Run(string(bug), func(t *testing.T) {
			for ; seed < 60; seed++ {
				bugs := planted.Plant(bug)
				_, wrong := surviveInGroups(t, seed, bugs)
				if len(wrong) > 0 {
					t.Logf("seed %d: %s; %+v", seed, wrong[0], bugs.Count(bug))
					return
				}
			}
			assert.Fail(t, "not found")
		})
	}
}

func TestGroups_TroubleIsTheSameAgain(t *testing.T) {
	a, _ := surviveInGroups(t, 7, nil)
	b, _ := surviveInGroups(t, 7, nil)
	assert.Equal(t, a.w.Hash(), b.w.Hash())
}

// surviveInGroups is a run, and what was wrong in it.
func surviveInGroups(t *testing.T, seed uint64, bugs *planted.Set) (c *cluster, wrong []string) {
	c = newClusterWith(t, seed, bugs, clusters.Shape{Controllers: 3, Brokers: 3, Config: map[string]string{
		"ktrial.coordinator.check": "true", "min.insync.replicas": "2", "offsets.topic.num.partitions": "5",
		"offsets.load.buffer.size": "1000",
		// Logs are compacted while they are loaded and appended to.
		"offsets.topic.segment.bytes": "4000", "log.cleaner.backoff.ms": "500", "log.cleaner.min.cleanable.ratio": "0.01",
		"log.cleaner.delete.retention.ms":   "1000",
		"group.consumer.session.timeout.ms": "45000", "group.initial.rebalance.delay.ms": "0",
	}})
	c.client(func(u *user) {
		u.running(1, 2, 3)
		u.createTopic(1, "orders", 3, 3)
		var topic kafka.UUID
		u.eventually(10*time.Second, "all brokers know the topic", func() bool {
			known := 0
			for _, at := range c.brokers() {
				if leader, id := u.leader(at, "orders", 0); leader != kafka.NoNode {
					known, topic = known+1, id
				}
			}
			return known == 3
		})
		u.coordinator("any")
		over, left := false, 0
		report := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
		run := func(name string, f func(u *user)) {
			left++
			u.h.Go(name, func() {
				f(&user{c: c, t: t, h: u.h, conns: map[string]*wire.Conn{}})
				left--
			})
		}
		for i := range 3 {
			run("committer", func(u *user) {
				(&committer{user: u, group: fmt.Sprint("simple-", i), topic: topic, report: report}).work(&over)
			})
		}
		for i := range 2 {
			run("member", func(u *user) { (&consumer{user: u, group: "modern", id: fmt.Sprint("m", i)}).work(&over) })
		}
		run("classic member", func(u *user) { workClassic(&member{user: u, group: "classic", topic: topic}, &over, report) })
		luck := c.w.Rand("trouble")
		for range 6 {
			u.h.Sleep(time.Duration(luck.Int64N(int64(5 * time.Second))))
			c.strike(u, luck)
		}
		u.running(1, 2, 3)
		over = true
		for range 180 {
			if left == 0 {
				return
			}
			u.h.Sleep(time.Second)
		}
		report("%d clients have not come to their end", left)
	})
	for _, kind := range []string{"shard-diverged", "shard-not-loaded", "record-set-aside"} {
		if n := c.told[kind]; n > 0 {
			wrong = append(wrong, fmt.Sprintf("%s: %d times", kind, n))
		}
	}
	return c, wrong
}

// committer commits ever larger offsets for a group without members.
type committer struct {
	*user
	group            string
	topic            kafka.UUID
	acked, attempted int64
	report           func(string, ...any)
}

func (x *committer) work(over *bool) {
	x.acked = -1
	m := &member{user: x.user, group: x.group, topic: x.topic, generation: -1}
	for at := int64(0); !*over; at++ {
		x.attempted = at
		if x.try(m, at) {
			x.acked = at
		}
		if at%5 == 0 {
			x.look(m)
		}
		x.h.Sleep(40 * time.Millisecond)
	}
	x.look(m)
	if x.acked < 20 {
		x.report("%s: only %d commits were acknowledged", x.group, x.acked)
	}
}

// look demands that what is told is no older than what was acknowledged.
func (x *committer) look(m *member) {
	acked := x.acked
	got := m.committed()
	if got < acked || got > x.attempted {
		x.report("%s: offset %d is told; %d was acknowledged, %d tried", x.group, got, acked, x.attempted)
	}
}

// try commits once, at whatever broker seems to coordinate the group.
func (x *committer) try(m *member, at int64) bool {
	resp, err := x.ask(1+kafka.NodeID(at)%3, findCoordinator(x.group))
	if err != nil {
		return false
	}
	found := resp.(*kmsg.FindCoordinatorResponse).Coordinators[0]
	if found.ErrorCode != 0 {
		return false
	}
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = x.group, -1
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic, t.TopicID = "orders", x.topic
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Offset, p.Metadata = at, ptr("")
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp, err = x.ask(kafka.NodeID(found.NodeID), req)
	return err == nil && resp.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode == 0
}

// work is a member that lives by the book until it is over, and ends a member.
func (m *consumer) work(over *bool) {
	done := false
	for !done {
		done = *over
		switch err := m.beat(); err {
		case nil:
			done = done && len(m.has) > 0
		case kerr.UnknownMemberID, kerr.FencedMemberEpoch, kerr.GroupIDNotFound:
			m.epoch, m.has, done = 0, nil, false
		default:
			require.NoError(m.t, err)
		}
		m.h.Sleep(500 * time.Millisecond)
	}
}

// live is one round of a member: it joins if it must, sends a heartbeat and commits.
func (m *member) live(at int64) error {
	if m.generation == 0 {
		if err := m.tryJoin(); err != nil {
			return err
		}
		if _, err := m.trySync("all"); err != nil {
			return err
		}
	}
	if err := m.heartbeat(); err != nil {
		return err
	}
	return m.commit(at)
}

// workClassic does the same in the classic protocol, and commits.
func workClassic(m *member, over *bool, report func(string, ...any)) {
	last := int64(-1)
	for at, done := int64(0), false; !done; at++ {
		done = *over
		err := m.live(at)
		if err == nil {
			last = at
			if got := m.committed(); got != at {
				report("%s: offset %d is told, %d was acknowledged", m.group, got, at)
			}
		} else {
			m.generation, done = 0, false
			if err != kerr.IllegalGeneration && err != kerr.RebalanceInProgress {
				m.id = ""
			}
		}
		m.h.Sleep(300 * time.Millisecond)
	}
	if last < 10 {
		report("%s: only %d commits", m.group, last)
	}
}
