package raft_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/raft"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim/disk"
	"github.com/ktrial/ktrial/sim/env"
)

// on runs f as a task of m and waits for it.
func (q *quorum) on(m *machine, f func()) {
	q.t.Helper()
	done := false
	m.host.Process().Go("test", func() {
		f()
		done = true
	})
	q.run(20 * time.Second)
	require.True(q.t, done, "the task on node %d has not returned after 20 s", m.id)
}

// TestShutdownHandsOver: a leader that leaves in order has a successor long
// before any fetch timeout has passed.
func TestShutdownHandsOver(t *testing.T) {
	q, leader := settled(t, 3, 1)
	var took time.Duration
	leader.host.Process().Go("shutdown", func() {
		begin := leader.h.Uptime()
		leader.node.Shutdown(5 * time.Second)
		took = leader.h.Uptime() - begin
		leader.h.Exit(nil)
	})
	q.run(5 * time.Second)
	assert.Positive(t, took)
	assert.Less(t, took, time.Second)
	for _, m := range q.members {
		if m != leader {
			now, epoch := m.node.Leader()
			assert.NotEqual(t, leader.id, now)
			assert.NotEqual(t, kafka.NoNode, now)
			assert.Equal(t, kafka.LeaderEpoch(2), epoch)
		}
	}
}

func TestAppendIsForTheLeaderOfTheEpoch(t *testing.T) {
	q, leader := settled(t, 3, 1)
	records := []metadata.Record{&metadata.NoOpRecord{}, &metadata.NoOpRecord{}}
	q.on(leader, func() {
		_, err := leader.node.Append(leader.leading+1, records)
		assert.ErrorIs(t, err, kerr.NotController)
		end := leader.node.EndOffset()
		last, err := leader.node.Append(leader.leading, records)
		assert.NoError(t, err)
		assert.Equal(t, end+1, last)
		assert.Equal(t, end, leader.node.EndOffset(), "it lingers")
		assert.ErrorIs(t, leader.node.WaitCommitted(last, leader.leading, time.Millisecond), kerr.RequestTimedOut)
		assert.NoError(t, leader.node.WaitCommitted(last, leader.leading, time.Second))
		assert.Greater(t, leader.node.HighWatermark(), last)

		epoch := leader.leading
		leader.node.Resign(epoch)
		leader.h.Sleep(time.Millisecond)
		assert.ErrorIs(t, leader.node.WaitCommitted(last+1, epoch, env.Forever), kerr.NotController)
	})
	for _, m := range q.members {
		if m != leader {
			_, err := m.node.Append(1, records)
			assert.ErrorIs(t, err, kerr.NotController)
		}
	}
}

// TestRequestsAreHeldAgainstTheQuorum: what is for another cluster, another
// topic or another epoch is refused as Kafka refuses it.
func TestRequestsAreHeldAgainstTheQuorum(t *testing.T) {
	q, leader := settled(t, 3, 0)
	follower := q.members[int(leader.id)%3]
	q.on(leader, func() {
		foreign := kmsg.StringPtr("other")
		assert.Equal(t, kerr.InconsistentClusterID.Code, leader.node.Vote(&kmsg.VoteRequest{ClusterID: foreign}).ErrorCode)
		assert.Equal(t, kerr.InconsistentClusterID.Code, leader.node.Fetch(&kmsg.FetchRequest{ClusterID: foreign}).ErrorCode)
		assert.Equal(t, kerr.InconsistentClusterID.Code, leader.node.BeginQuorumEpoch(&kmsg.BeginQuorumEpochRequest{ClusterID: foreign}).ErrorCode)
		assert.Equal(t, kerr.InconsistentClusterID.Code, leader.node.EndQuorumEpoch(&kmsg.EndQuorumEpochRequest{ClusterID: foreign}).ErrorCode)
		assert.Equal(t, kerr.InconsistentClusterID.Code, leader.node.FetchSnapshot(&kmsg.FetchSnapshotRequest{ClusterID: foreign}).ErrorCode)
		assert.Equal(t, kerr.InvalidRequest.Code, leader.node.Vote(&kmsg.VoteRequest{}).ErrorCode)

		for _, c := range []struct {
			epoch, lastEpoch int32
			offset           int64
			want             *kerr.Error
		}{
			{0, 0, 0, kerr.FencedLeaderEpoch},
			{2, 0, 0, kerr.UnknownLeaderEpoch},
			{1, 2, 0, kerr.InvalidRequest},
			{1, 0, -1, kerr.InvalidRequest},
		} {
			p := fetch(leader.node, c.epoch, c.lastEpoch, c.offset)
			assert.Equal(t, c.want.Code, p.ErrorCode, "%+v", c)
			assert.Equal(t, int32(leader.id), p.CurrentLeader.LeaderID)
			assert.Equal(t, int32(1), p.CurrentLeader.LeaderEpoch)
		}
		diverged := fetch(leader.node, 1, 0, 9)
		assert.Equal(t, []int64{0, 0}, []int64{int64(diverged.DivergingEpoch.Epoch), diverged.DivergingEpoch.EndOffset})
		assert.Equal(t, kerr.NotLeaderForPartition.Code, fetch(follower.node, 1, 0, 0).ErrorCode)

		begin := leader.h.Uptime()
		end := int64(leader.node.EndOffset())
		waited := fetch(leader.node, 1, 1, end)
		assert.Zero(t, waited.ErrorCode)
		assert.Equal(t, 300*time.Millisecond, (leader.h.Uptime() - begin).Round(time.Millisecond))
	})
}

// fetch asks as a consumer would, which counts for nothing.
func fetch(n *raft.Node, epoch, lastEpoch int32, offset int64) kmsg.FetchResponseTopicPartition {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis = 17, 300
	topic := kmsg.NewFetchRequestTopic()
	topic.TopicID = raft.MetadataTopicID
	p := kmsg.NewFetchRequestTopicPartition()
	p.CurrentLeaderEpoch, p.LastFetchedEpoch, p.FetchOffset, p.PartitionMaxBytes = epoch, lastEpoch, offset, 1<<20
	p.HighWatermark = 1 << 62 // not told
	topic.Partitions = append(topic.Partitions, p)
	req.Topics = append(req.Topics, topic)
	return n.Fetch(req).Topics[0].Partitions[0]
}

func TestDescribeQuorumTellsHowFarAllHaveCome(t *testing.T) {
	q, leader := settled(t, 3, 1)
	req := kmsg.NewPtrDescribeQuorumRequest()
	req.Version = 2
	req.Topics = []kmsg.DescribeQuorumRequestTopic{{
		Topic: kafka.MetadataTopic, Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{}},
	}}
	p := leader.node.DescribeQuorum(req).Topics[0].Partitions[0]
	assert.Equal(t, int32(leader.id), p.LeaderID)
	assert.Len(t, p.CurrentVoters, 3)
	require.Len(t, p.Observers, 1)
	assert.Equal(t, int32(4), p.Observers[0].ReplicaID)
	for _, r := range append(p.CurrentVoters, p.Observers...) {
		assert.Equal(t, int64(leader.node.EndOffset()), r.LogEndOffset)
		assert.InDelta(t, leader.host.Now().Millis(), r.LastFetchTimestamp, 600)
	}
	other := q.members[int(leader.id)%3]
	p = other.node.DescribeQuorum(req).Topics[0].Partitions[0]
	assert.Equal(t, kerr.NotLeaderForPartition.Code, p.ErrorCode)
}

// TestQuorumStateFileIsKafkas: the file that a quorum with fixed voters keeps.
func TestQuorumStateFileIsKafkas(t *testing.T) {
	q, leader := settled(t, 1, 0)
	q.on(leader, func() {
		f, err := leader.h.Disk().Open("data/__cluster_metadata-0/quorum-state")
		require.NoError(t, err)
		size, _ := f.Size()
		b := make([]byte, size)
		_, _ = f.ReadAt(b, 0)
		assert.Equal(t, `{"clusterId":"","leaderId":1,"leaderEpoch":1,"votedId":1,"appliedOffset":0,"currentVoters":[{"voterId":1}],"data_version":0}`, string(b))
	})
}

// TestKAFKA14240_NoStartWithoutTheSnapshot: a log whose beginning has become a
// snapshot is not opened without it.
func TestKAFKA14240_NoStartWithoutTheSnapshot(t *testing.T) {
	q, leader := settled(t, 1, 0)
	q.set = func(s *raft.Settings) {
		s.MaxBytesBetweenSnapshots, s.RetentionBytes, s.SegmentBytes = 1000, 1000, 1000
	}
	leader.host.Kill()
	leader.host.Restart()
	q.pace = 10 * time.Millisecond
	q.run(10 * time.Second)
	leader.host.Process().Go("vandal", func() {
		names, err := leader.h.Disk().List("data/__cluster_metadata-0")
		require.NoError(t, err)
		for _, name := range names {
			if strings.HasSuffix(name, ".checkpoint") {
				require.NoError(t, leader.h.Disk().Remove("data/__cluster_metadata-0/"+name))
			}
		}
		leader.h.Exit(nil)
	})
	q.run(time.Second)
	leader.host.Restart()
	q.run(time.Second)
	assert.ErrorContains(t, leader.host.ExitError(), "there is no snapshot of what was before")
}

// TestReplayWhileRecordsAreWritten: the core of a member that was behind hears of a
// high watermark together with the records below it, which are written then. A
// replay in between takes what the disk has. It once waited for the rest for ever
// (leader-loses-power 33).
func TestReplayWhileRecordsAreWritten(t *testing.T) {
	q, leader := settled(t, 3, 1)
	behind := q.members[3] // observes
	behind.host.Kill()
	q.on(leader, func() {
		_, err := leader.node.Append(leader.leading, []metadata.Record{&metadata.NoOpRecord{}})
		assert.NoError(t, err)
	})
	behind.host.Disk().Add(&disk.Rule{Op: disk.OpWrite, Path: "*.log", Delay: time.Second})
	behind.host.Start(behind.main)
	for range 1000 {
		q.run(5 * time.Millisecond)
		if behind.node != nil && behind.node.HighWatermark() > behind.node.EndOffset() {
			break
		}
	}
	hw := behind.node.HighWatermark()
	require.Greater(t, hw, behind.node.EndOffset(), "the state was not met")
	var replayed raft.Fold
	q.on(behind, func() {
		var err error
		replayed, err = behind.node.Replay(raft.Folds{})
		assert.NoError(t, err)
	})
	assert.Positive(t, replayed.End)
	assert.Less(t, replayed.End, hw)
	assert.Positive(t, q.w.Ledger().Reached()[raft.ProbeMarkAhead])
}

// A voter that is alone elects itself in one step. What it has voted is durable before its epoch
// begins: if the power goes in between, the next life must not lead the same epoch again.
func TestOneVoterHasVotedBeforeItLeads(t *testing.T) {
	q := newQuorum(t, 1, 1, 0)
	voted, elected := kafka.LeaderEpoch(kafka.NoEpoch), 0
	q.w.Ledger().Read(func(e *ledger.Entry) {
		switch x := e.Event.(type) {
		case *witness.QuorumVoted:
			voted = x.Epoch
		case *witness.QuorumElected:
			elected++
			assert.Equal(t, x.Epoch, voted, "epoch %d begins, and the vote in it is not durable", x.Epoch)
		}
	})
	q.start()
	for range 3 {
		q.run(5 * time.Second)
		m := q.members[0]
		_, epoch := m.node.Leader()
		m.node.Resign(epoch)
	}
	q.run(5 * time.Second)
	assert.Equal(t, 4, elected)
}
