package hunt

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/reports"
)

// Merge joins what the shards of a hunt have found, and hunts of further seeds, each
// in a directory of its own. The order of the directories does not matter. Runs that
// are missing, or there twice, are the Gaps of the sum, whose verdict is then
// inconclusive at best.
//
// An error says that a directory holds no hunt, or another one.
func Merge(dirs ...string) (reports.Hunt, error) {
	var parts []part
	for _, dir := range dirs {
		r, err := ReadResults(dir)
		if err != nil {
			return reports.Hunt{}, err
		}
		if first := parts; len(first) > 0 && !r.Record.sameRuns(first[0].Record) {
			return reports.Hunt{}, fmt.Errorf("%s: found %v, expected one with the scenarios and settings of that in %s: %v", dir, r.Record, first[0].dir, first[0].Record)
		}
		p := part{Results: r, dir: dir}
		p.shard, p.shards, _ = r.Record.shard() // it was checked when it was read
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(a, b part) int {
		return cmp.Or(cmp.Compare(a.Record.First, b.Record.First), cmp.Compare(a.Record.Last, b.Record.Last), cmp.Compare(a.shards, b.shards),
			cmp.Compare(a.shard, b.shard), strings.Compare(a.dir, b.dir))
	})
	sum := reports.NewHunt()
	for _, p := range parts {
		sum.Join(&p.sum, p.dir)
		sum.Gaps = append(sum.Gaps, p.gap()...)
	}
	sum.Gaps = append(sum.Gaps, gapsBetween(parts)...)
	sum.Builds = buildsOf(parts)
	sum.SeedsPerSecond = float64(sum.Runs) / max(sum.WallSeconds, 1e-9)
	switch {
	case len(sum.Gaps) > 0:
		sum.Verdict = reports.Worst(sum.Verdict, reports.Inconclusive)
	case sum.Runs == 0:
		sum.Verdict = reports.Inconclusive
	}
	sum.Conclude(probeNames())
	return sum, nil
}

// part is a directory that is merged.
type part struct {
	*Results
	dir           string
	shard, shards int
}

func (p *part) String() string {
	return fmt.Sprintf("%s: seeds %d..%d, shard %s", filepath.Clean(p.dir), p.Record.First, p.Record.Last, p.Record.Shard)
}

// size is how many runs the part has when it is whole.
func (p *part) size() uint64 {
	h := Hunt{First: p.Record.First, Last: p.Record.Last, Shard: p.shard, Shards: p.shards}
	return h.sizeOf(len(p.Record.Scenarios), p.Record.Committed)
}

// gap says which of its own runs a part does not have, or has twice.
func (p *part) gap() (gaps []string) {
	last, twice := -1, 0
	for job, times := range p.played {
		last = max(last, job)
		if times > 1 {
			twice++
		}
	}
	if twice > 0 {
		gaps = append(gaps, fmt.Sprintf("%v: found %d runs twice", p, twice))
	}
	if p.why == enoughFound { // runs that were under way then are not reported
		return gaps
	}
	if holes := last + 1 - len(p.played); holes > 0 {
		gaps = append(gaps, fmt.Sprintf("%v: %d runs before the last one are missing", p, holes))
	}
	switch {
	case p.why == interrupted, p.why == "":
		how := "interrupted"
		if p.why == "" {
			how = "killed, or is still under way"
		}
		gaps = append(gaps, fmt.Sprintf("%v: it was %s after %d of %s runs (go on: hunt --resume)", p, how, len(p.played), p.whole()))
	case p.why == done && uint64(len(p.played)) != p.size():
		gaps = append(gaps, fmt.Sprintf("%v: found %d runs, expected %d", p, len(p.played), p.size()))
	}
	return gaps
}

func (p *part) whole() string {
	if p.size() >= endless {
		return "any number of"
	}
	return fmt.Sprint(p.size())
}

// gapsBetween says which shards are missing or there twice, and which seeds.
func gapsBetween(parts []part) (gaps []string) {
	for i := 0; i < len(parts); {
		same := 1
		for i+same < len(parts) && parts[i+same].sameSeeds(&parts[i]) {
			same++
		}
		gaps = append(gaps, gapsOfShards(parts[i:i+same])...)
		i += same
		if i < len(parts) {
			gaps = append(gaps, gapBetweenSeeds(&parts[i-1], &parts[i])...)
		}
	}
	return gaps
}

func (p *part) sameSeeds(q *part) bool {
	return p.Record.First == q.Record.First && p.Record.Last == q.Record.Last && p.shards == q.shards
}

// gapsOfShards looks at the shards of the same seeds, in order.
func gapsOfShards(parts []part) (gaps []string) {
	count := make([]int, parts[0].shards)
	for _, p := range parts {
		count[p.shard]++
	}
	for shard, n := range count {
		p := parts[0]
		if n == 0 {
			gaps = append(gaps, fmt.Sprintf("seeds %d..%d: shard %d/%d is missing", p.Record.First, p.Record.Last, shard, p.shards))
		}
		if n > 1 {
			gaps = append(gaps, fmt.Sprintf("seeds %d..%d: shard %d/%d is there %d times", p.Record.First, p.Record.Last, shard, p.shards, n))
		}
	}
	return gaps
}

// gapBetweenSeeds looks at two hunts of which b has later seeds.
func gapBetweenSeeds(a, b *part) []string {
	switch {
	case b.Record.First <= a.Record.Last:
		return []string{fmt.Sprintf("seeds %d..%d are in %v, and in %v", b.Record.First, min(a.Record.Last, b.Record.Last), a, b)}
	case b.Record.First > a.Record.Last+1:
		return []string{fmt.Sprintf("seeds %d..%d are missing: between %v, and %v", a.Record.Last+1, b.Record.First-1, a, b)}
	}
	return nil
}

// buildsOf are the builds that played the runs, if they are not one.
func buildsOf(parts []part) (builds []string) {
	for _, p := range parts {
		for _, build := range p.Builds {
			if !slices.Contains(builds, build) {
				builds = append(builds, build)
			}
		}
	}
	slices.Sort(builds)
	if len(builds) < 2 {
		return nil
	}
	return builds
}
