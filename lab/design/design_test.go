package design

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestAFactorIsRead(t *testing.T) {
	for text, want := range map[string]Factor{
		"linger.ms=0,5,20":                      {"linger.ms", []string{"0", "5", "20"}},
		"batch.size=16k,64K,1m":                 {"batch.size", []string{"16384", "65536", "1048576"}},
		"compression.type=none,lz4":             {"compression.type", []string{"none", "lz4"}},
		"acks=all":                              {"acks", []string{"all"}},
		"partitioner.class=murmurk, RoundRobin": {"partitioner.class", []string{"murmurk", "RoundRobin"}},
	} {
		f, err := ParseFactor(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, f, text)
	}
}

func TestWhatIsNoFactorIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"linger.ms":              `factor "linger.ms": expected setting=value,value,...`,
		"=1,2":                   `factor "=1,2": expected setting=value,value,...`,
		"linger.ms=":             `factor "linger.ms=": expected setting=value,value,...`,
		"linger.ms=0,,5":         `factor "linger.ms=0,,5": found an empty value`,
		"linger.ms=5,0,5":        `factor "linger.ms=5,0,5": found 5 twice, expected different values`,
		"batch.size=16k,16384":   `factor "batch.size=16k,16384": found 16384 twice, expected different values`,
		"batch.size=9999999999g": `factor "batch.size=9999999999g": found the size 9999999999g, expected one from 0 to 4611686018427387904 bytes`,
	} {
		_, err := ParseFactor(text)
		assert.EqualError(t, err, want)
	}
	_, err := ParseFactors([]string{"acks=1,all", "linger.ms=0,5", "acks=0"})
	assert.EqualError(t, err, `factor "acks=0": acks is a factor already, expected all its values in one`)
}

func TestFullTriesEveryCombinationOnce(t *testing.T) {
	factors, err := ParseFactors([]string{"acks=1,all", "linger.ms=0,5,20"})
	require.NoError(t, err)
	d := Full(factors)
	assert.Equal(t, 6, Combinations(factors))
	var all []string
	for i := range d.Runs {
		all = append(all, fmt.Sprint(d.Settings(i)))
	}
	assert.Equal(t, []string{
		"[acks=1 linger.ms=0]", "[acks=1 linger.ms=5]", "[acks=1 linger.ms=20]",
		"[acks=all linger.ms=0]", "[acks=all linger.ms=5]", "[acks=all linger.ms=20]",
	}, all)
}

// sized are factors with so many levels each.
func sized(levels ...int) (factors []Factor) {
	for i, n := range levels {
		f := Factor{Name: fmt.Sprint("f", i)}
		for l := range n {
			f.Levels = append(f.Levels, fmt.Sprint(l))
		}
		factors = append(factors, f)
	}
	return factors
}

// unmet is a pair of levels that meet in no run; "" if there is none.
func unmet(d Design) string {
	for f := range d.Factors {
		for g := range f {
			for a := range d.Factors[f].Levels {
				for b := range d.Factors[g].Levels {
					if !slices.ContainsFunc(d.Runs, func(run []int) bool { return run[f] == a && run[g] == b }) {
						return fmt.Sprintf("%s=%d with %s=%d", d.Factors[f].Name, a, d.Factors[g].Name, b)
					}
				}
			}
		}
	}
	return ""
}

func anyFactors(t *rapid.T, most int) []Factor {
	return sized(rapid.SliceOfN(rapid.IntRange(1, 6), 1, most).Draw(t, "levels")...)
}

func TestPairwiseCoversEveryPair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		factors := anyFactors(t, 8)
		d := Pairwise(factors, rapid.Uint64().Draw(t, "seed"))
		assert.Empty(t, unmet(d))
		assert.LessOrEqual(t, len(d.Runs), Combinations(factors))
		for _, run := range d.Runs {
			for f, level := range run {
				assert.Less(t, level, len(factors[f].Levels))
			}
		}
	})
}

// No run of a pairwise array is needless: without any of them a pair is missing.
func TestPairwiseHasNoNeedlessRun(t *testing.T) {
	d := Pairwise(sized(4, 3, 3, 2, 2), 7)
	for i := range d.Runs {
		without := Design{Factors: d.Factors, Runs: slices.Delete(slices.Clone(d.Runs), i, i+1)}
		assert.NotEmpty(t, unmet(without), "run %d", i)
	}
}

// A published design covers the pairs of 186,624 combinations of 11 settings in
// 28 runs. Which levels its settings had is not known; these are two ways to
// have that many combinations.
func TestPairwiseIsAsSmallAsThePublishedDesign(t *testing.T) {
	for _, levels := range [][]int{{4, 4, 4, 3, 3, 3, 3, 3, 3, 2, 2}, {6, 4, 4, 3, 3, 3, 3, 3, 2, 2, 2}} {
		factors := sized(levels...)
		require.Equal(t, 186_624, Combinations(factors))
		for seed := range uint64(3) {
			d := Pairwise(factors, seed)
			assert.Empty(t, unmet(d))
			assert.LessOrEqual(t, len(d.Runs), 28, "levels %v seed %d", levels, seed)
		}
	}
}

func TestTheSameSeedGivesTheSameDesign(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		factors := anyFactors(t, 5)
		seed := rapid.Uint64().Draw(t, "seed")
		assert.Equal(t, Pairwise(factors, seed), Pairwise(factors, seed))
		assert.Equal(t, LatinHypercube(factors, 12, seed), LatinHypercube(factors, 12, seed))
	})
	factors := sized(5, 5, 5)
	assert.NotEqual(t, Pairwise(factors, 1), Pairwise(factors, 2))
	assert.NotEqual(t, LatinHypercube(factors, 10, 1), LatinHypercube(factors, 10, 2))
}

// In a Latin hypercube each level has its share of the runs.
func TestALatinHypercubeIsBalanced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		factors := anyFactors(t, 6)
		n := rapid.IntRange(1, 30).Draw(t, "runs")
		d := LatinHypercube(factors, n, rapid.Uint64().Draw(t, "seed"))
		require.Len(t, d.Runs, n)
		for f, factor := range factors {
			counts := make([]int, len(factor.Levels))
			for _, run := range d.Runs {
				counts[run[f]]++
			}
			share := n / len(factor.Levels)
			for level, count := range counts {
				assert.Contains(t, []int{share, share + 1}, count, "%s level %d", factor.Name, level)
			}
		}
	})
}

func BenchmarkPairwise(b *testing.B) {
	factors := sized(4, 4, 4, 3, 3, 3, 3, 3, 3, 2, 2)
	for b.Loop() {
		Pairwise(factors, 1)
	}
}
