package design

import (
	"math/rand/v2"
	"slices"
)

const (
	// arrays is how many covering arrays are drawn; the smallest is kept.
	arrays = 8
	// candidates is how many runs are drawn for each run of an array.
	candidates = 30
)

// Pairwise tries few combinations such that any two levels of any two factors
// meet in at least one run. What two settings do together is seen; what only
// three do together may be missed. With one factor there is a run for each of
// its levels.
//
// A run is built greedily: of several candidates the one that covers most pairs
// not met before (as AETG does: Cohen, Dalal, Fredman, Patton 1997). The number
// of runs grows with the logarithm of the number of factors.
func Pairwise(factors []Factor, seed uint64) Design {
	if len(factors) < 2 {
		return Full(factors)
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	var best [][]int
	for range arrays {
		runs := dropCovered(factors, newCover(factors).fill(rng))
		if best == nil || len(runs) < len(best) {
			best = runs
		}
	}
	return Design{Factors: factors, Runs: best}
}

// cover is which pairs of levels have met.
type cover struct {
	factors []Factor
	first   []int // of each factor: the number of its first level, counted through all factors
	levels  int
	met     []bool // by level * levels + level
	left    []int  // of each level: how many pairs of it have not met
	missing int
}

func newCover(factors []Factor) *cover {
	c := &cover{factors: factors}
	for _, f := range factors {
		c.first = append(c.first, c.levels)
		c.levels += len(f.Levels)
	}
	c.met = make([]bool, c.levels*c.levels)
	for _, f := range factors {
		for range f.Levels {
			others := c.levels - len(f.Levels)
			c.left = append(c.left, others)
			c.missing += others
		}
	}
	c.missing /= 2
	return c
}

// fill draws runs until all pairs have met.
func (c *cover) fill(rng *rand.Rand) (runs [][]int) {
	for c.missing > 0 {
		var best []int
		most := -1
		for range candidates {
			run, gain := c.draw(rng)
			if gain > most {
				best, most = run, gain
			}
		}
		c.add(best)
		runs = append(runs, best)
	}
	return runs
}

// draw makes a candidate: it begins with the level that has most pairs left, and
// gives each other factor, in random order, the level with most new pairs.
func (c *cover) draw(rng *rand.Rand) (run []int, gain int) {
	run = make([]int, len(c.factors))
	begin, level := c.needy(rng)
	run[begin] = level
	chosen := []int{begin}
	for _, f := range rng.Perm(len(c.factors)) {
		if f == begin {
			continue
		}
		level, fresh := c.bestLevel(rng, run, chosen, f)
		run[f] = level
		gain += fresh
		chosen = append(chosen, f)
	}
	return run, gain
}

// needy is a level with most pairs left, and its factor.
func (c *cover) needy(rng *rand.Rand) (factor, level int) {
	most, ties := -1, 0
	for f := range c.factors {
		for l := range c.factors[f].Levels {
			left := c.left[c.first[f]+l]
			if left == most {
				ties++
			}
			if left > most {
				most, ties = left, 1
			}
			if left == most && rng.IntN(ties) == 0 {
				factor, level = f, l
			}
		}
	}
	return factor, level
}

// bestLevel is the level of a factor that meets most levels of the run for the
// first time.
func (c *cover) bestLevel(rng *rand.Rand, run, chosen []int, factor int) (level, fresh int) {
	most, ties := -1, 0
	for l := range c.factors[factor].Levels {
		n := 0
		for _, other := range chosen {
			if !c.met[c.pair(factor, l, other, run[other])] {
				n++
			}
		}
		if n == most {
			ties++
		}
		if n > most {
			most, ties = n, 1
		}
		if n == most && rng.IntN(ties) == 0 {
			level = l
		}
	}
	return level, most
}

func (c *cover) pair(f, level, g, other int) int {
	a, b := c.first[f]+level, c.first[g]+other
	return min(a, b)*c.levels + max(a, b)
}

// add counts the pairs of a run as met.
func (c *cover) add(run []int) {
	for f := range run {
		for g := range f {
			p := c.pair(f, run[f], g, run[g])
			if c.met[p] {
				continue
			}
			c.met[p] = true
			c.missing--
			c.left[c.first[f]+run[f]]--
			c.left[c.first[g]+run[g]]--
		}
	}
}

// dropCovered leaves out runs all of whose pairs meet in others too: greedy
// choices early on may be made needless by later ones.
func dropCovered(factors []Factor, runs [][]int) [][]int {
	c := newCover(factors)
	times := make([]int, len(c.met))
	count := func(run []int, by int) (least int) {
		least = len(runs)
		for f := range run {
			for g := range f {
				p := c.pair(f, run[f], g, run[g])
				times[p] += by
				least = min(least, times[p])
			}
		}
		return least
	}
	for _, run := range runs {
		count(run, 1)
	}
	return slices.DeleteFunc(runs, func(run []int) bool {
		if count(run, -1) > 0 {
			return true
		}
		count(run, 1)
		return false
	})
}

// LatinHypercube tries a given number of combinations such that each level of a
// factor has the same number of runs, or one more. Of several draws it keeps
// the one whose nearest two runs are farthest apart, so that the runs spread
// over the whole space.
func LatinHypercube(factors []Factor, runs int, seed uint64) Design {
	rng := rand.New(rand.NewPCG(seed, 1))
	var best [][]int
	farthest := -1.0
	for range candidates {
		drawn := latin(factors, runs, rng)
		if d := nearestTwo(factors, drawn); d > farthest {
			best, farthest = drawn, d
		}
	}
	return Design{Factors: factors, Runs: best}
}

func latin(factors []Factor, n int, rng *rand.Rand) [][]int {
	runs := make([][]int, n)
	for i := range runs {
		runs[i] = make([]int, len(factors))
	}
	for f := range factors {
		for i, slot := range rng.Perm(n) {
			runs[i][f] = slot * len(factors[f].Levels) / n
		}
	}
	return runs
}

// nearestTwo is the distance of the two runs that are nearest: the sum over the
// factors of the difference of their levels, each factor's range being 1.
func nearestTwo(factors []Factor, runs [][]int) float64 {
	least := float64(len(factors))
	for i := range runs {
		for j := range i {
			d := 0.0
			for f := range factors {
				if span := len(factors[f].Levels) - 1; span > 0 {
					d += float64(max(runs[i][f]-runs[j][f], runs[j][f]-runs[i][f])) / float64(span)
				}
			}
			least = min(least, d)
		}
	}
	return least
}
