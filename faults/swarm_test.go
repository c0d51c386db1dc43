package faults

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/sim/kernel"
)

func drawn(seed uint64, families []Family, safety time.Duration) Plan {
	s := Swarm{Topic: "orders", Partitions: 3, Families: families}
	return s.Draw(rand.New(rand.NewPCG(seed, 0)), nil, safety)
}

// All that a drawn plan does is over when the safety phase ends.
func TestADrawnPlanHealsItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		safety := time.Duration(rapid.IntRange(3, 300).Draw(t, "safety")) * time.Second
		plan := drawn(rapid.Uint64().Draw(t, "seed"), nil, safety)
		require.NotEmpty(t, plan)
		require.True(t, slices.IsSortedFunc(plan, func(a, b Timed) int { return int(a.At - b.At) }))
		for _, x := range plan {
			require.GreaterOrEqual(t, x.At, quiet, "%v: too early", x)
			require.LessOrEqual(t, x.At+x.For, safety, "%v: too late", x)
			require.NoError(t, check(x.Fault), "%v", x)
			require.Equal(t, IsMomentary(x.Fault), x.For == 0, "%v: what lasts needs a cure, what does not needs none", x)
			if late, ok := x.Fault.(LateDelivery); ok {
				require.LessOrEqual(t, x.At+late.By, safety, "%v: arrives too late", x)
			} else if x.For > 0 {
				require.GreaterOrEqual(t, x.For, shortest, "%v: too short to matter", x)
			}
		}
	})
}

// Every family is on in some runs and off in most, and draws what it has.
func TestASwarmDrawsEveryFamily(t *testing.T) {
	const seeds = 2000
	on, struck, strikes := map[Family]int{}, map[reflect.Type]bool{}, 0
	var lengths []time.Duration
	for seed := range uint64(seeds) {
		families := Swarm{}.choose(seed)
		assert.True(t, 2 <= len(families) && len(families) <= 4)
		for _, f := range families {
			on[f]++
		}
		ofGroup := Swarm{Topic: "orders", Partitions: 3, Group: "billing", TransactionalID: "till", Families: []Family{GroupMembers, Coordinators, Transactions, Growth, Outages}}
		for _, x := range ofGroup.Draw(rand.New(rand.NewPCG(seed, 0)), nil, time.Minute) {
			struck[reflect.TypeOf(x.Fault)] = true
		}
		for _, x := range drawn(seed, nil, time.Minute) {
			strikes++
			struck[reflect.TypeOf(x.Fault)] = true
			if x.For > 0 {
				lengths = append(lengths, x.For)
			}
		}
	}
	for _, f := range EveryFamily {
		assert.InDelta(t, seeds*3/len(EveryFamily), on[f], 80, "%s", f)
	}
	// Those that take more than is promised, or change what the cluster is, are for scenarios that say so.
	onPurpose := kinds([]Fault{LyingFsync{}, LostWrite{}, MisdirectedWrite{}, Rot{}, Wipe{}, SetFeature{}, DeleteTopic{}})
	for _, f := range grammar {
		assert.Equal(t, !onPurpose[f.text], struck[reflect.TypeOf(f.fault)], "%s", f.text)
	}
	assert.InDelta(t, 20, strikes/seeds, 8, "strikes in a minute")
	slices.Sort(lengths)
	median := lengths[len(lengths)/2]
	assert.True(t, 2*time.Second < median && median < 7*time.Second, "median %v", median)
}

// What a family does is not shifted by another that comes in.
func TestANewFamilyShiftsNoOther(t *testing.T) {
	unchanged := 0
	const fresh Family = "clocks" // stands for one that was not there before
	before := slices.DeleteFunc(slices.Clone(EveryFamily), func(f Family) bool { return f == fresh })
	for seed := range uint64(300) {
		old, now := drawn(seed, before, time.Minute), drawn(seed, nil, time.Minute)
		root := rand.New(rand.NewPCG(seed, 0)).Uint64()
		was, is := (Swarm{Families: before}).choose(root), Swarm{}.choose(root)
		if !slices.Contains(is, fresh) {
			require.Equal(t, old, now, "seed %d", seed)
			unchanged++
			continue
		}
		for _, f := range is {
			if f == fresh {
				continue
			}
			require.Contains(t, was, f)
			s := Swarm{Topic: "orders", Partitions: 3}
			for _, x := range s.strikes(f, kernel.Stream(root, "strikes of "+string(f)), nil, time.Minute) {
				require.Contains(t, old, x, "seed %d", seed)
				require.Contains(t, now, x, "seed %d", seed)
			}
		}
	}
	assert.Greater(t, unchanged, 150)
}

func TestASwarmInRacks(t *testing.T) {
	s := newStage(t, 1)
	racks := map[string]bool{}
	for seed := range uint64(50) {
		for _, x := range (Swarm{Topic: "orders", Partitions: 1, Families: []Family{Crashes}}).Draw(rand.New(rand.NewPCG(seed, 0)), s, time.Minute) {
			target := x.Fault.(Kill).Host
			if target.kind == rack {
				racks[target.names[0]] = true
			}
		}
	}
	assert.Equal(t, map[string]bool{"a": true, "b": true}, racks)
}
