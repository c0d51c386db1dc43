package replica

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/broker/kafka"
)

func TestHighWatermark(t *testing.T) {
	const unknown = kafka.NoOffset
	for _, c := range []struct {
		name     string
		old, end kafka.Offset
		others   []mark
		want     kafka.Offset
	}{
		{"alone, all is committed", 3, 10, nil, 10},
		{"the slowest that counts decides", 3, 10, []mark{{7, true}, {9, true}}, 7},
		{"a replica that does not count does not hold it back", 3, 10, []mark{{5, false}, {9, true}}, 9},
		{"a replica that has not fetched in this epoch holds it still", 3, 10, []mark{{unknown, true}, {10, true}}, 3},
		{"it never falls", 8, 10, []mark{{5, true}}, 8},
		{"a follower ahead of the leader adds nothing", 3, 10, []mark{{12, true}}, 10},
	} {
		assert.Equal(t, c.want, highWatermark(c.old, c.end, c.others), c.name)
	}
}

func TestHighWatermark_Laws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		end := kafka.Offset(rapid.Int64Range(0, 20).Draw(t, "end"))
		old := kafka.Offset(rapid.Int64Range(0, int64(end)).Draw(t, "old"))
		var others []mark
		for range rapid.IntRange(0, 4).Draw(t, "others") {
			others = append(others, mark{kafka.Offset(rapid.Int64Range(-1, 20).Draw(t, "at")), rapid.Bool().Draw(t, "counts")})
		}
		hw := highWatermark(old, end, others)
		require.GreaterOrEqual(t, hw, old, "it never falls")
		require.LessOrEqual(t, hw, end, "it never passes the log end")
		for _, m := range others {
			if m.counts && hw > old {
				require.LessOrEqual(t, hw, m.end, "all that count have what it newly commits")
			}
		}
		stricter := highWatermark(old, end, append(others, mark{kafka.Offset(rapid.Int64Range(-1, 20).Draw(t, "one more")), true}))
		require.LessOrEqual(t, stricter, hw, "one more to count never raises it, which is why the maximal ISR is safe")
	})
}

// at is a progress for tables: fetched from offset end, caught up some time ago.
func at(end kafka.Offset, caughtUpAgo time.Duration) progress {
	return progress{fetched: true, end: end, caughtUp: time.Hour - caughtUpAgo}
}

func TestMayJoinTheISR(t *testing.T) {
	for _, c := range []struct {
		name           string
		p              progress
		hw, epochStart kafka.Offset
		want           bool
	}{
		{"has all that is committed", at(10, 0), 10, 4, true},
		{"has more than is committed", at(12, 0), 10, 4, true},
		{"lacks what is committed", at(9, 0), 10, 4, false},
		{"the new leader's high watermark lags: what lies below the epoch start may be committed (KAFKA-7128)", at(5, 0), 5, 10, false},
		{"has not fetched in this epoch", progress{end: 10}, 5, 4, false},
	} {
		assert.Equal(t, c.want, mayJoin(c.p, c.hw, c.epochStart), c.name)
	}
}

func TestMustLeaveTheISR(t *testing.T) {
	const lagMax = 30 * time.Second
	for _, c := range []struct {
		name string
		p    progress
		want bool
	}{
		{"has everything, however silent the log", at(10, time.Minute), false},
		{"is behind, but not for long", at(9, 29*time.Second), false},
		{"has been behind for too long", at(9, 31*time.Second), true},
		{"was in the ISR when the epoch began, and has had time to fetch", newProgress(true, time.Hour-31*time.Second), true},
		{"was in the ISR when the epoch began, and still has time", newProgress(true, time.Hour-time.Second), false},
	} {
		assert.Equal(t, c.want, mustLeave(c.p, 10, time.Hour, lagMax), c.name)
	}
	assert.True(t, mustLeave(newProgress(false, 0), 10, time.Second, lagMax), "a follower that was never in sync is not waited for, not even at time 0")
}

// A follower that is always one append behind is caught up all the same, as of
// its previous fetch.
func TestProgress_BusyLeader(t *testing.T) {
	p := newProgress(false, 0)
	for i := range 10 {
		now := time.Duration(i) * time.Minute
		end := kafka.Offset(10 * (i + 1))
		p = p.after(end-10, 0, end, 1, now)
		if i > 0 {
			assert.Equal(t, now-time.Minute, p.caughtUp)
		}
	}
	p = p.after(95, 0, 200, 1, time.Hour)
	assert.Equal(t, 8*time.Minute, p.caughtUp, "a follower that does not even reach the end of last time is not caught up")
}

func TestTruncationPoint(t *testing.T) {
	for _, c := range []struct {
		name           string
		epoch          kafka.LeaderEpoch // the leader's answer
		end            kafka.Offset
		ownEpoch       kafka.LeaderEpoch // the follower's own
		ownEnd, ownLEO kafka.Offset
		want           kafka.Offset
	}{
		{"the leader has less of the epoch", 1, 10, 1, 15, 15, 10},
		{"the follower has less of the epoch, and another after it", 1, 20, 1, 12, 15, 12},
		{"the follower does not have that epoch: back to an older one (KIP-279)", 2, 9, 1, 5, 10, 5},
		{"the follower has no epoch that old", 1, 7, kafka.NoEpoch, kafka.NoOffset, 10, 7},
		{"nothing to cut", 1, 20, 1, 15, 15, 15},
	} {
		assert.Equal(t, c.want, truncationPoint(c.epoch, c.end, c.ownEpoch, c.ownEnd, c.ownLEO), c.name)
	}
}

// epochLog is a log as the epochs of its records.
type epochLog []kafka.LeaderEpoch

// endOffsetFor answers as log.Log does: an epoch older than all that are there
// ends where the first of them begins.
func (l epochLog) endOffsetFor(epoch kafka.LeaderEpoch) (kafka.LeaderEpoch, kafka.Offset) {
	if epoch > l.last() {
		return kafka.NoEpoch, kafka.NoOffset
	}
	found, end := epoch, kafka.Offset(0)
	for i, e := range l {
		if e <= epoch {
			found, end = e, kafka.Offset(i+1)
		}
	}
	return found, end
}

func (l epochLog) last() kafka.LeaderEpoch {
	if len(l) == 0 {
		return kafka.NoEpoch
	}
	return l[len(l)-1]
}

// follow is one fetch of l from leader; it returns false if there was nothing to do.
func (l *epochLog) follow(leader epochLog, atMost int) bool {
	end := kafka.Offset(len(*l))
	if last := l.last(); last != kafka.NoEpoch {
		epoch, leaderEnd := leader.endOffsetFor(last)
		if epoch == kafka.NoEpoch { // the leader has no such epoch, nor a later one
			epoch, leaderEnd = leader.last(), kafka.Offset(len(leader))
		}
		if diverges(end, last, epoch, leaderEnd) {
			ownEpoch, ownEnd := l.endOffsetFor(epoch)
			*l = (*l)[:truncationPoint(epoch, leaderEnd, ownEpoch, ownEnd, end)]
			return true
		}
	}
	more := min(atMost, len(leader)-len(*l))
	*l = append((*l)[:len(*l):len(*l)], leader[len(*l):len(*l)+more]...)
	return more > 0
}

// Whatever leaders came and went, a follower finds the end of what it shares
// with its leader: it keeps no record that the leader has not, and drops none
// that it has.
func TestTruncation_EndsAtTheLargestCommonPoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// As in a broker, a new leader notes its epoch before a follower asks,
		// so what is larger than all its epochs is never asked for.
		logs := make([]epochLog, 3)
		for epoch := kafka.LeaderEpoch(1); epoch < 12; epoch++ {
			leader := rapid.IntRange(0, 2).Draw(t, "leader")
			// Appends of epoch with the followers lagging behind, cut off at will.
			for range rapid.IntRange(0, 4).Draw(t, "steps") {
				if rapid.Bool().Draw(t, "append") {
					l := logs[leader]
					logs[leader] = append(l[:len(l):len(l)], epoch)
				}
				if f := rapid.IntRange(0, 2).Draw(t, "follower"); f != leader {
					common := commonPrefix(logs[f], logs[leader])
					logs[f].follow(logs[leader], 1)
					require.GreaterOrEqual(t, len(logs[f]), common, "epoch %d: dropped what %v shares with %v", epoch, logs[f], logs[leader])
				}
			}
		}
		leader, follower := logs[0], logs[1]
		for range 100 {
			if !follower.follow(leader, 1) {
				break
			}
		}
		require.Equal(t, append(epochLog{}, leader...), append(epochLog{}, follower...))
	})
}

func commonPrefix(a, b epochLog) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
