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
	"github.com/ktrial/ktrial/broker/wire"
	clusters "github.com/ktrial/ktrial/scenarios/cluster"
)

// Coordinators that are killed, paused and cut off, one at a time, lose no commit that
// they acknowledged, hold what their log says, and serve their groups when it is over.
func TestGroups_SurviveTrouble(t *testing.T) {
	seeds := []uint64{0, 1, 2, 3}
	if *long {
		for seed := range uint64(500) {
			seeds = append(seeds, seed)
		}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { surviveInGroups(t, seed) })
	}
}

func TestGroups_TroubleIsTheSameAgain(t *testing.T) {
	a, b := surviveInGroups(t, 7), surviveInGroups(t, 7)
	assert.Equal(t, a.w.Hash(), b.w.Hash())
}

func surviveInGroups(t *testing.T, seed uint64) *cluster {
	c := newCluster(t, seed, clusters.Shape{Controllers: 3, Brokers: 3, Config: map[string]string{
		"ktrial.coordinator.check": "true", "min.insync.replicas": "2", "offsets.topic.num.partitions": "5",
		"group.consumer.session.timeout.ms": "45000", "group.initial.rebalance.delay.ms": "0",
	}})
	c.client(func(u *user) {
		u.running(1, 2, 3)
		u.createTopic(1, "orders", 3, 3)
		_, topic := u.leader(1, "orders", 0)
		u.coordinator("any")
		over, left := false, 0
		run := func(name string, f func(u *user)) {
			left++
			u.h.Go(name, func() {
				f(&user{c: c, t: t, h: u.h, conns: map[string]*wire.Conn{}})
				left--
			})
		}
		for i := range 3 {
			run("committer", func(u *user) { (&committer{user: u, group: fmt.Sprint("simple-", i), topic: topic}).work(&over) })
		}
		for i := range 2 {
			run("member", func(u *user) { (&consumer{user: u, group: "modern", id: fmt.Sprint("m", i)}).work(&over) })
		}
		run("classic member", func(u *user) { workClassic(&member{user: u, group: "classic", topic: topic}, &over) })
		luck := c.w.Rand("trouble")
		for range 6 {
			u.h.Sleep(time.Duration(luck.Int64N(int64(5 * time.Second))))
			c.strike(u, luck)
		}
		u.running(1, 2, 3)
		over = true
		u.eventually(3*time.Minute, "all clients have come to their end", func() bool { return left == 0 })
	})
	assert.Zero(t, c.told["shard-diverged"])
	assert.Zero(t, c.told["shard-not-loaded"])
	assert.Greater(t, c.told["shard-loaded"], 5, "no coordinator moved")
	return c
}

// committer commits ever larger offsets for a group without members.
type committer struct {
	*user
	group            string
	topic            kafka.UUID
	acked, attempted int64
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
	assert.Greater(x.t, x.acked, int64(20))
}

// look demands that what is told is no older than what was acknowledged.
func (x *committer) look(m *member) {
	acked := x.acked
	got := m.committed()
	assert.GreaterOrEqual(x.t, got, acked, "%s: an acknowledged commit is gone", x.group)
	assert.LessOrEqual(x.t, got, x.attempted)
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
func workClassic(m *member, over *bool) {
	last := int64(-1)
	for at, done := int64(0), false; !done; at++ {
		done = *over
		err := m.live(at)
		if err == nil {
			last = at
			assert.EqualValues(m.t, at, m.committed())
		} else {
			m.generation, done = 0, false
			if err != kerr.IllegalGeneration && err != kerr.RebalanceInProgress {
				m.id = ""
			}
		}
		m.h.Sleep(300 * time.Millisecond)
	}
	assert.Greater(m.t, last, int64(10))
}
