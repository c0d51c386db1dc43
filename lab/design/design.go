// Package design says which settings are tried, and what their results mean. A
// design is made of factors (settings of Kafka) and their levels (values), by
// one of three plans: all combinations, a few that cover each pair of levels,
// or a Latin hypercube. Of the results it gives main effects, the Pareto front,
// rank correlation, errors and quantiles.
//
// It is pure: no file, no clock, no luck but that of a seed, so that the same
// command line names the same runs on any machine and a sweep can be resumed.
package design

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Factor is a setting by Kafka's name, and the values it is tried at.
type Factor struct {
	Name   string
	Levels []string
}

// String is what ParseFactor reads.
func (f Factor) String() string { return f.Name + "=" + strings.Join(f.Levels, ",") }

// ParseFactor reads "linger.ms=0,5,20". Sizes may be written in binary units:
// "batch.size=16k,1m" has the levels 16384 and 1048576.
func ParseFactor(text string) (Factor, error) {
	name, values, ok := strings.Cut(text, "=")
	if !ok || name == "" || values == "" {
		return Factor{}, fmt.Errorf("factor %q: expected setting=value,value,...", text)
	}
	f := Factor{Name: strings.TrimSpace(name)}
	seen := map[string]bool{}
	for value := range strings.SplitSeq(values, ",") {
		level, err := parseLevel(strings.TrimSpace(value))
		if err != nil {
			return Factor{}, fmt.Errorf("factor %q: %w", text, err)
		}
		if seen[level] {
			return Factor{}, fmt.Errorf("factor %q: found %s twice, expected different values", text, level)
		}
		seen[level] = true
		f.Levels = append(f.Levels, level)
	}
	return f, nil
}

// ParseFactors reads several, each of a setting of its own.
func ParseFactors(texts []string) (factors []Factor, err error) {
	seen := map[string]bool{}
	for _, text := range texts {
		f, err := ParseFactor(text)
		if err != nil {
			return nil, err
		}
		if seen[f.Name] {
			return nil, fmt.Errorf("factor %q: %s is a factor already, expected all its values in one", text, f.Name)
		}
		seen[f.Name] = true
		factors = append(factors, f)
	}
	return factors, nil
}

// unitShift are the binary units of sizes, as powers of two.
var unitShift = map[byte]uint{'k': 10, 'm': 20, 'g': 30}

// parseLevel is a value as Kafka takes it: a size is its bytes.
func parseLevel(value string) (string, error) {
	if value == "" {
		return "", fmt.Errorf("found an empty value")
	}
	last := len(value) - 1
	shift, sized := unitShift[value[last]|0x20]
	if !sized {
		return value, nil
	}
	n, err := strconv.ParseInt(value[:last], 10, 64)
	if err != nil {
		return value, nil // a word that ends so, such as "murmur"
	}
	if n < 0 || n > 1<<62>>shift {
		return "", fmt.Errorf("found the size %s, expected one from 0 to 4611686018427387904 bytes", value)
	}
	return strconv.FormatInt(n<<shift, 10), nil
}

// Design is which combinations of levels are tried, in order.
type Design struct {
	Factors []Factor
	// Runs hold, for each factor, the index of its level.
	Runs [][]int
}

// Settings are those of a run, as "setting=value", in the order of the factors.
func (d Design) Settings(run int) []string {
	settings := make([]string, len(d.Factors))
	for i, f := range d.Factors {
		settings[i] = f.Name + "=" + f.Levels[d.Runs[run][i]]
	}
	return settings
}

// Combinations are how many there are of all levels; at most the largest int.
func Combinations(factors []Factor) int {
	n := 1
	for _, f := range factors {
		if n > math.MaxInt/len(f.Levels) {
			return math.MaxInt
		}
		n *= len(f.Levels)
	}
	return n
}

// Full tries all combinations; the last factor changes fastest.
func Full(factors []Factor) Design {
	d := Design{Factors: factors}
	run := make([]int, len(factors))
	for {
		d.Runs = append(d.Runs, append([]int(nil), run...))
		i := len(run) - 1
		for ; i >= 0; i-- {
			if run[i]++; run[i] < len(factors[i].Levels) {
				break
			}
			run[i] = 0
		}
		if i < 0 {
			return d
		}
	}
}
