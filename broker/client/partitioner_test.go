package client

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ktrial/ktrial/broker/kafka"
)

// The values that Java's clients have for these keys.
func TestMurmur2(t *testing.T) {
	for key, want := range map[string]int32{
		"21":                         -973932308,
		"abc":                        479470107,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
	} {
		assert.Equal(t, want, int32(murmur2([]byte(key))), key)
	}
	assert.Equal(t, int32((-790332482&0x7fffffff)%7), partitionForKey([]byte("foobar"), 7))
}

func topicOf(leaders ...kafka.NodeID) *topic {
	t := &topic{name: "orders"}
	for _, l := range leaders {
		t.parts = append(t.parts, partition{leader: l, epoch: 1})
	}
	return t
}

func TestSticky_StaysForABatchAndThenMoves(t *testing.T) {
	luck := rand.New(rand.NewPCG(1, 1))
	from := spread{topic: topicOf(1, 2, kafka.NoNode, 3)}
	seen := map[int32]int{}
	for range 1000 {
		var s sticky
		first := s.current(from, luck)
		s.appended(99, 100, true)
		assert.Equal(t, first, s.current(from, luck))
		s.appended(50, 100, false)
		assert.True(t, s.chosen, "it stays while the last batch can be filled")
		s.appended(50, 100, false)
		assert.True(t, s.chosen)
		s.appended(1, 100, false)
		assert.False(t, s.chosen, "but not beyond twice the share")
		seen[first]++
	}
	assert.Zero(t, seen[2], "a partition without a leader is not chosen")
	for _, p := range []int32{0, 1, 3} {
		assert.InDelta(t, 333, seen[p], 80)
	}
}

func TestSticky_MovesOnOnceItHadItsShare(t *testing.T) {
	s := sticky{chosen: true, partition: 1}
	s.appended(99, 100, false)
	assert.False(t, s.moveOn(100))
	assert.Equal(t, sticky{chosen: true, partition: 1, bytes: 99}, s)
	s.appended(1, 100, false)
	assert.True(t, s.moveOn(100))
	assert.False(t, s.chosen)
	assert.False(t, s.moveOn(100), "it has none to let go of")
}

// KIP-480: each new batch goes to another partition.
func TestSticky_LeavesForAnotherPartition(t *testing.T) {
	luck := rand.New(rand.NewPCG(1, 1))
	from := spread{topic: topicOf(1, 2, kafka.NoNode, 3)}
	seen := map[int32]int{}
	s := sticky{chosen: true, partition: 1}
	for range 1500 {
		before := s.partition
		s.leave(from, luck)
		assert.NotEqual(t, before, s.partition)
		seen[s.partition]++
	}
	assert.Zero(t, seen[2], "a partition without a leader is not chosen")
	for _, p := range []int32{0, 1, 3} {
		assert.InDelta(t, 500, seen[p], 80)
	}
	alone := sticky{chosen: true}
	alone.leave(spread{topic: topicOf(1)}, luck)
	assert.Equal(t, sticky{chosen: true}, alone, "there is no other")
}

func TestSticky_PrefersShortQueues(t *testing.T) {
	luck := rand.New(rand.NewPCG(1, 1))
	queued := []int{0, 3, 1}
	from := spread{topic: topicOf(1, 2, 3), adaptive: true, queued: func(p int32) int { return queued[p] }}
	seen := map[int32]int{}
	for range 8000 {
		seen[from.next(luck)]++
	}
	for p, want := range []int{4000, 1000, 3000} { // 4 : 1 : 3, the example of KIP-794
		assert.InDelta(t, want, seen[int32(p)], 200)
	}
	none := spread{topic: topicOf(kafka.NoNode, kafka.NoNode)}
	assert.Less(t, none.next(luck), int32(2))
}

func TestRoundRobin_TakesTurnsAmongThoseWithALeader(t *testing.T) {
	var r roundRobin
	var got []int32
	for range 6 {
		got = append(got, r.next(topicOf(1, kafka.NoNode, 2, 3)))
	}
	assert.Equal(t, []int32{0, 2, 3, 0, 2, 3}, got)
}

func TestBackoff(t *testing.T) {
	luck := rand.New(rand.NewPCG(1, 1))
	b := backoff{initial: 100, max: 1000}
	for failures, want := range map[int]float64{1: 100, 2: 200, 3: 400, 4: 800} {
		for range 100 {
			assert.InDelta(t, want, float64(b.after(failures, luck)), want/5)
		}
	}
	for range 100 {
		d := b.after(1000, luck)
		assert.LessOrEqual(t, int(d), 1000)
		assert.GreaterOrEqual(t, int(d), 800)
	}
}
