package raft_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/raft"
	"github.com/ktrial/ktrial/sim/env"
)

// settled is a quorum that has a leader and nothing to do.
func settled(b testing.TB, voters, observers int) (*quorum, *machine) {
	q := newQuorum(b, 1, voters, observers)
	q.pace = time.Hour
	q.start()
	q.run(10 * time.Second)
	for _, m := range q.members {
		if m.node.Role() == raft.Leader {
			return q, m
		}
	}
	b.Fatal("no leader after 10 s")
	return nil, nil
}

// BenchmarkIdleSecond is what a virtual second costs in which the controller
// appends nothing but its two NoOp records: 3 voters, 3 observers.
func BenchmarkIdleSecond(b *testing.B) {
	q, leader := settled(b, 3, 3)
	leader.host.Process().Go("idle", func() {
		for {
			leader.h.Sleep(500 * time.Millisecond)
			_, err := leader.node.Append(leader.leading, []metadata.Record{&metadata.NoOpRecord{}})
			require.NoError(b, err)
		}
	})
	events := q.w.Events()
	b.ReportAllocs()
	for b.Loop() {
		q.run(time.Second)
	}
	b.ReportMetric(float64(q.w.Events()-events)/float64(b.N), "events/op")
}

// BenchmarkCommit is one append that is waited for, by itself: what it costs,
// and how long it takes in virtual time beyond append.linger.ms.
func BenchmarkCommit(b *testing.B) {
	q, leader := settled(b, 3, 3)
	var commits int
	var took time.Duration
	leader.host.Process().Go("commits", func() {
		for {
			begin := leader.h.Uptime()
			last, err := leader.node.Append(leader.leading, []metadata.Record{&metadata.NoOpRecord{}})
			require.NoError(b, err)
			require.NoError(b, leader.node.WaitCommitted(last, leader.leading, env.Forever))
			took += leader.h.Uptime() - begin
			commits++
		}
	})
	events := q.w.Events()
	b.ReportAllocs()
	for b.Loop() {
		for target := commits + 1; commits < target; {
			q.run(5 * time.Millisecond)
		}
	}
	b.ReportMetric(float64(q.w.Events()-events)/float64(commits), "events/commit")
	b.ReportMetric(float64(took.Microseconds())/float64(commits), "virtual-us/commit")
}

// BenchmarkGroupCommit is a hundred appends that share one flush.
func BenchmarkGroupCommit(b *testing.B) {
	q, leader := settled(b, 3, 3)
	rounds := 0
	leader.host.Process().Go("appends", func() {
		for {
			var last kafka.Offset
			for range 100 {
				var err error
				last, err = leader.node.Append(leader.leading, []metadata.Record{&metadata.NoOpRecord{}})
				require.NoError(b, err)
			}
			require.NoError(b, leader.node.WaitCommitted(last, leader.leading, env.Forever))
			rounds++
		}
	})
	b.ReportAllocs()
	for b.Loop() {
		for target := rounds + 1; rounds < target; {
			q.run(5 * time.Millisecond)
		}
	}
}
