package hunt_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/hunt"
	"github.com/ktrial/ktrial/scenarios/internal/samples"
	"github.com/ktrial/ktrial/scenarios/shrink"
	"github.com/ktrial/ktrial/scenarios/trial"
)

// breaksOften has a law that about half of the seeds break when their work begins,
// and another one that some of the others do.
func breaksOften(t *testing.T) scenarios.Scenario {
	s := samples.Short()
	every := func(name string, n uint64) scenarios.Law {
		return scenarios.Law{Name: name, Watch: func() func(*ledger.Entry) (bool, string) {
			events := uint64(0)
			return func(e *ledger.Entry) (bool, string) {
				events++
				if _, begins := e.Event.(*trial.WorkBegan); begins && events%n == 0 {
					return true, fmt.Sprintf("work begins after %d events", events)
				}
				return true, ""
			}
		}}
	}
	s.Laws = []scenarios.Law{every("no work after an even count", 2), every("no work after thrice any count", 3)}
	return s
}

// in plays a hunt with its results in a directory.
func in(t *testing.T, dir string, h hunt.Hunt) reports.Hunt {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, h.Record().WriteTo(dir))
	return goOn(t, dir, h)
}

// goOn plays the rest of a hunt.
func goOn(t *testing.T, dir string, h hunt.Hunt) reports.Hunt {
	t.Helper()
	earlier, err := hunt.ReadResults(dir)
	require.NoError(t, err)
	journal, err := hunt.OpenJournal(dir)
	require.NoError(t, err)
	defer journal.Close()
	h.Earlier, h.Journal = earlier, journal
	sum, err := h.Run()
	require.NoError(t, err)
	require.NoError(t, journal.Err())
	return sum
}

// found is a sum without what depends on the machine.
func found(t *testing.T, sum reports.Hunt) string {
	t.Helper()
	sum.WallSeconds, sum.SeedsPerSecond = 0, 0
	text, err := json.MarshalIndent(sum, "", " ")
	require.NoError(t, err)
	return string(text)
}

func merged(t *testing.T, dirs ...string) reports.Hunt {
	t.Helper()
	sum, err := hunt.Merge(dirs...)
	require.NoError(t, err)
	return sum
}

// Shards, joined, are the whole hunt: each run once, whatever their number and in
// whichever order they are joined.
func TestMerge_ShardsAreTheWhole(t *testing.T) {
	skipIfShort(t)
	whole := hunt.Hunt{Scenarios: []scenarios.Scenario{breaksOften(t), samples.Short()}, First: 1, Last: 8, Jobs: 2}
	whole.Scenarios[1].Name = "short"
	want, err := whole.Run()
	require.NoError(t, err)
	require.Equal(t, 16, want.Runs)
	require.NotEmpty(t, want.Groups)
	for _, n := range []int{7, 20} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			var dirs []string
			for i := range n {
				dir := filepath.Join(t.TempDir(), fmt.Sprint(i))
				h := whole
				h.Shard, h.Shards = i, n
				in(t, dir, h)
				dirs = append(dirs, dir)
			}
			got := merged(t, dirs...)
			assert.Equal(t, found(t, want), found(t, got))
			slices.Reverse(dirs)
			assert.Equal(t, found(t, got), found(t, merged(t, dirs...)))
			if n == 7 {
				gaps := merged(t, append(dirs[:3:3], dirs[4:]...)...)
				assert.Equal(t, []string{"seeds 1..8: shard 3/7 is missing"}, gaps.Gaps)
				twice := merged(t, append(dirs, dirs[2])...)
				assert.Equal(t, []string{"seeds 1..8: shard 4/7 is there 2 times"}, twice.Gaps)
			}
		})
	}
}

// A gap makes what holds inconclusive; what is violated stays so.
func TestMerge_AGapIsNoEvidence(t *testing.T) {
	dir := t.TempDir()
	part := func(name string, first, last uint64, s scenarios.Scenario) string {
		d := filepath.Join(dir, name)
		in(t, d, hunt.Hunt{Scenarios: []scenarios.Scenario{s}, First: first, Last: last, Jobs: 2})
		return d
	}
	a, b, c := part("a", 1, 2, samples.Short()), part("b", 3, 4, samples.Short()), part("c", 4, 6, samples.Short())
	d := part("d", 9, 9, samples.Short())
	sum := merged(t, b, a)
	assert.Equal(t, reports.Holds, sum.Verdict)
	assert.Empty(t, sum.Gaps)
	assert.Equal(t, 4, sum.Runs)

	sum = merged(t, d, a, c, b)
	assert.Equal(t, reports.Inconclusive, sum.Verdict)
	require.Len(t, sum.Gaps, 2)
	assert.Regexp(t, `^seeds 4\.\.4 are in .*/b: seeds 3\.\.4, shard 0/1, and in .*/c: seeds 4\.\.6, shard 0/1$`, sum.Gaps[0])
	assert.Regexp(t, `^seeds 7\.\.8 are missing: between `, sum.Gaps[1])

	bad := part("bad", 1, 1, breaksAtOnce(t))
	worse := part("worse", 3, 3, breaksAtOnce(t))
	sum = merged(t, bad, worse)
	assert.Len(t, sum.Gaps, 1)
	assert.Equal(t, reports.Violated, sum.Verdict)

	other := breaksAtOnce(t)
	other.Name = "other"
	_, err := hunt.Merge(a, part("other", 3, 3, other))
	assert.ErrorContains(t, err, "found a hunt of other with seeds 3..3, shard 0/1, expected one with the scenarios and settings of that in ")
	_, err = hunt.Merge(a, dir)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// A hunt that was interrupted goes on where it ended; in the end it has found what it
// would have found at once.
func TestJournal_GoesOn(t *testing.T) {
	h := hunt.Hunt{Scenarios: []scenarios.Scenario{breaksOften(t)}, First: 1, Last: 20, Jobs: 2}
	want, err := h.Run()
	require.NoError(t, err)
	dir := t.TempDir()
	interrupt := make(chan struct{})
	h.Interrupt = interrupt
	seen := 0
	h.Progress = func(p hunt.Progress) {
		if seen++; seen == 7 {
			close(interrupt)
		}
	}
	part := in(t, dir, h)
	require.True(t, part.Interrupted)
	require.Less(t, part.Runs, 12)
	sum := merged(t, dir)
	require.Len(t, sum.Gaps, 1)
	assert.Regexp(t, `it was interrupted after \d+ of 20 runs \(go on: hunt --resume\)$`, sum.Gaps[0])

	h.Interrupt = nil
	first := true
	h.Progress = func(p hunt.Progress) {
		if first {
			assert.Equal(t, hunt.Progress{Done: part.Runs + 1, Earlier: part.Runs, Total: 20}, hunt.Progress{Done: p.Done, Earlier: p.Earlier, Total: p.Total})
		}
		first = false
	}
	assert.Equal(t, found(t, want), found(t, goOn(t, dir, h)))
	assert.Equal(t, found(t, want), found(t, merged(t, dir)))
	again := goOn(t, dir, h)
	assert.Equal(t, found(t, want), found(t, again), "there is nothing left to play")
}

// A program that is killed while it writes a line leaves a part of one; that run is
// played again, and no other. Nothing else of the file may be damaged.
func TestJournal_AtEachByte(t *testing.T) {
	skipIfShort(t)
	h := hunt.Hunt{Scenarios: []scenarios.Scenario{breaksOften(t)}, First: 1, Last: 4, Jobs: 1}
	whole := t.TempDir()
	want := in(t, whole, h)
	text, err := os.ReadFile(filepath.Join(whole, hunt.ResultsFile))
	require.NoError(t, err)
	lines := strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
	require.Len(t, lines, 6) // begin, four runs, end
	for cut := len(lines[0]) / 2; cut < len(text); cut += max(1, len(text)/12) {
		dir := t.TempDir()
		require.NoError(t, h.Record().WriteTo(dir))
		require.NoError(t, os.WriteFile(filepath.Join(dir, hunt.ResultsFile), text[:cut], 0o644))
		left := merged(t, dir)
		finished := strings.Count(string(text[:cut]), "\n") - 1 // the first line is no run
		assert.Equal(t, min(4, max(0, finished)), left.Runs, "cut at %d", cut)
		assert.NotEmpty(t, left.Gaps)
		assert.Equal(t, found(t, want), found(t, goOn(t, dir, h)), "cut at %d", cut)
	}
	broken := t.TempDir()
	require.NoError(t, h.Record().WriteTo(broken))
	for text, says := range map[string]string{
		"{\n":                   `results.jsonl:1: unexpected end of JSON input`,
		`{"type":"rum"}` + "\n": `results.jsonl:1: found type "rum", expected begin, run, smallest or end`,
		`{"type":"run"}` + "\n": `results.jsonl:1: found a run without its job or verdict`,
		`{"type":"run","job":0,"verdict":"holds","reached":[7,1]}` + "\n": `found probe 7, expected one of the 0`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(broken, hunt.ResultsFile), []byte(text), 0o644))
		_, err := hunt.ReadResults(broken)
		assert.ErrorContains(t, err, says)
	}
}

// A hunt that has found enough has when it goes on, too; so has one whose time is up.
func TestJournal_WhyItEnded(t *testing.T) {
	dir := t.TempDir()
	h := hunt.Hunt{Scenarios: []scenarios.Scenario{breaksAtOnce(t)}, First: 1, Last: 100, Jobs: 2, StopAt: 3}
	require.Equal(t, 3, in(t, dir, h).Runs)
	assert.Empty(t, merged(t, dir).Gaps)
	assert.Equal(t, 3, goOn(t, dir, h).Runs)
	h.StopAt = 5
	assert.Equal(t, 5, goOn(t, dir, h).Runs)

	timed := filepath.Join(t.TempDir(), "timed")
	h = hunt.Hunt{Scenarios: []scenarios.Scenario{samples.Short()}, First: 1, Last: ^uint64(0), Jobs: 2, For: 300 * time.Millisecond}
	sum := in(t, timed, h)
	assert.NotZero(t, sum.Runs)
	assert.Empty(t, merged(t, timed).Gaps)
	assert.Greater(t, goOn(t, timed, h).Runs, sum.Runs)
	assert.Empty(t, merged(t, timed).Gaps)
}

// The smallest run of each group is searched for once, and is known when the hunt
// goes on.
func TestShrinking(t *testing.T) {
	skipIfShort(t)
	dir := t.TempDir()
	h := hunt.Hunt{Scenarios: []scenarios.Scenario{breaksOften(t)}, First: 1, Last: 12, Jobs: 2}
	sum := in(t, dir, h)
	require.NotEmpty(t, sum.Groups)
	earlier, err := hunt.ReadResults(dir)
	require.NoError(t, err)
	journal, err := hunt.OpenJournal(dir)
	require.NoError(t, err)
	defer journal.Close()
	h.Earlier, h.Journal = earlier, journal
	searches := hunt.Shrinking{Hunt: h, For: time.Minute, Keep: func(first *reports.Failure, smaller *shrink.Smallest) (string, error) {
		return fmt.Sprint(first.Seed), nil
	}, Failed: func(_ *reports.Failure, err error) { assert.NoError(t, err) }}
	searches.Shrink(&sum)
	for _, g := range sum.Groups {
		assert.True(t, g.Smallest.Shrunk && g.Smallest.Whole)
		assert.Zero(t, g.Smallest.Faults, "the law breaks before any fault")
		assert.Equal(t, fmt.Sprint(g.First.Seed), g.Smallest.Kept)
	}
	again := merged(t, dir)
	assert.Equal(t, sum.Groups[0].Smallest.Plan, again.Groups[0].Smallest.Plan)
	searches.Keep = func(*reports.Failure, *shrink.Smallest) (string, error) {
		assert.Fail(t, "it was searched for to the end")
		return "", nil
	}
	searches.Shrink(&again)
}
