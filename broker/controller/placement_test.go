package controller

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/broker/kafka"
)

func luck(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }

// fleet makes brokers from racks: "a a b" is broker 1 and 2 in a, 3 in b; an
// exclamation mark fences.
func fleet(racks ...string) []usableBroker {
	var out []usableBroker
	for i, r := range racks {
		b := usableBroker{id: kafka.NodeID(i + 1), rack: r}
		if n := len(r); n > 0 && r[n-1] == '!' {
			b.rack, b.fenced = r[:n-1], true
		}
		out = append(out, b)
	}
	return out
}

func TestPlace_RefusesWhatCannotBe(t *testing.T) {
	for _, c := range []struct {
		name     string
		brokers  []usableBroker
		replicas int32
	}{
		{"no brokers", nil, 1},
		{"more replicas than brokers", fleet("", ""), 3},
		{"no replicas", fleet(""), 0},
		{"all fenced", fleet("!", "!"), 1},
	} {
		_, err := place(c.brokers, 1, c.replicas, luck(1))
		assert.True(t, errors.Is(err, kerr.InvalidReplicationFactor), "%s: %v", c.name, err)
	}
}

func TestPlace_StripesOverRacks(t *testing.T) {
	brokers := fleet("a", "a", "a", "b", "b", "b", "c", "c", "c")
	for seed := range uint64(20) {
		got, err := place(brokers, 9, 3, luck(seed))
		require.NoError(t, err)
		leads := map[string]int{}
		for _, replicas := range got {
			racks := map[string]bool{}
			for _, id := range replicas {
				racks[brokers[id-1].rack] = true
			}
			assert.Len(t, racks, 3, "%v", replicas)
			leads[brokers[replicas[0]-1].rack]++
		}
		assert.Equal(t, map[string]int{"a": 3, "b": 3, "c": 3}, leads)
	}
}

func TestPlace_EachBrokerLeadsInTurn(t *testing.T) {
	for seed := range uint64(20) {
		got, err := place(fleet("", "", "", "", ""), 5, 3, luck(seed))
		require.NoError(t, err)
		leads := map[kafka.NodeID]int{}
		for _, replicas := range got {
			leads[replicas[0]]++
		}
		assert.Len(t, leads, 5)
	}
}

func TestPlace_FencedBrokersComeLastAndNeverLead(t *testing.T) {
	for seed := range uint64(20) {
		got, err := place(fleet("a", "a!", "b", "b!"), 8, 3, luck(seed))
		require.NoError(t, err)
		for _, replicas := range got {
			assert.True(t, slices.Contains([]kafka.NodeID{1, 3}, replicas[0]), "%v", replicas)
			assert.Subset(t, replicas, []kafka.NodeID{1, 3}, "both that are up are used")
		}
	}
}

func TestPlace_TheSameLuckGivesTheSamePlaces(t *testing.T) {
	a, _ := place(fleet("a", "a", "b", "c"), 20, 2, luck(3))
	b, _ := place(fleet("a", "a", "b", "c"), 20, 2, luck(3))
	assert.Equal(t, a, b)
	c, _ := place(fleet("a", "a", "b", "c"), 20, 2, luck(4))
	assert.NotEqual(t, a, c)
}

// Whatever the racks, replicas are distinct, the leader is up, leaderships
// differ by little in even racks, and racks are used before one is used twice.
func TestProperty_PlaceKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var racks []string
		up := 0
		for i := range rapid.IntRange(1, 9).Draw(t, "brokers") {
			rack := fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "rack"))
			if i > 0 && rapid.IntRange(0, 3).Draw(t, "fenced") == 0 {
				rack += "!"
			} else {
				up++
			}
			racks = append(racks, rack)
		}
		brokers := fleet(racks...)
		replicas := rapid.Int32Range(1, int32(len(brokers))).Draw(t, "replicas")
		got, err := place(brokers, rapid.Int32Range(1, 30).Draw(t, "partitions"), replicas, luck(rapid.Uint64().Draw(t, "luck")))
		require.NoError(t, err)
		for _, nodes := range got {
			require.Len(t, nodes, int(replicas))
			require.False(t, brokers[nodes[0]-1].fenced, "leader %d is fenced", nodes[0])
			require.Len(t, slices.Compact(slices.Sorted(slices.Values(nodes))), len(nodes), "%v", nodes)
		}
	})
}
