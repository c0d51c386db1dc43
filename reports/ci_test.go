package reports

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// failingLine is a run that fails by a check of its own.
func failingLine(seed uint64, check string, plan ...string) *Line {
	again := fmt.Sprintf("ktrial run standard --seed %d", seed)
	return &Line{Scenario: "standard", Seed: seed, Verdict: Violated, Events: 1000, Failure: &Failure{
		Scenario: "standard", Seed: seed, Verdict: Violated, Check: check, Where: "orders", Shape: "lost-write", Message: "100% of it, <&>: is lost\nfor ever",
		Again: again, Events: 1000, Kept: fmt.Sprintf("standard-%d", seed), Plan: plan,
	}}
}

func sumOf(lines ...*Line) *Hunt {
	h := NewHunt()
	for _, l := range lines {
		h.Add(l)
	}
	h.Conclude(nil)
	return &h
}

// Runs that fail alike are a group, however they come: with the lowest seed first,
// the fewest faults as the smallest.
func TestGroups_DoNotDependOnTheOrder(t *testing.T) {
	lines := []*Line{
		failingLine(7, "a", "at 1s: kill broker-1", "at 2s: kill broker-2"),
		failingLine(3, "a", "at 1s: kill broker-1", "at 2s: kill broker-2", "at 3s: kill broker-3"),
		failingLine(5, "b"),
		failingLine(9, "a", "at 4s: pause broker-2"),
		{Scenario: "standard", Seed: 1, Verdict: Holds},
		{Scenario: "standard", Seed: 2, Verdict: Inconclusive, Failure: &Failure{Scenario: "standard", Seed: 2, Verdict: Inconclusive, Check: "dangers are met", Shape: "fenced"}},
	}
	want := sumOf(lines...)
	require.Len(t, want.Groups, 3)
	a := want.Groups[0]
	assert.Equal(t, Fingerprint{"a", "orders", "lost-write"}, a.Fingerprint)
	assert.Equal(t, 3, a.Count)
	assert.EqualValues(t, 3, a.First.Seed)
	assert.Equal(t, Smallest{Scenario: "standard", Seed: 9, Faults: 1, Plan: []string{"at 4s: pause broker-2"}, Events: 1000, Kept: "standard-9"}, a.Smallest)
	assert.Equal(t, "b (lost-write) of orders", want.Groups[1].Fingerprint.String())
	assert.Equal(t, Inconclusive, want.Groups[2].Verdict, "what is worse comes first, though its seed is higher")
	for range lines {
		lines = append(lines[1:], lines[0])
		got := sumOf(lines...)
		assert.Equal(t, want.Groups, got.Groups)
		assert.Equal(t, want.Failures, got.Failures)
	}
}

// What was searched for is the smallest, even if another run was found that has
// fewer faults: it has fewer events, and less of everything else.
func TestGroups_WhatWasSearchedForIsTheSmallest(t *testing.T) {
	h := sumOf(failingLine(1, "a"), failingLine(2, "b"))
	print := h.Groups[0].Fingerprint
	h.Shrunk(print, Smallest{Scenario: "standard", Seed: 1, Faults: 2, Events: 90, Shrunk: true, Kept: "standard-1/smallest"})
	h.Shrunk(print, Smallest{Scenario: "standard", Seed: 1, Faults: 3, Events: 80, Shrunk: true})
	assert.Equal(t, 2, h.Groups[0].Smallest.Faults)
	assert.False(t, h.Groups[1].Smallest.Shrunk)
	h.Dir = "found"
	var text strings.Builder
	h.WriteText(&text, Style{})
	assert.Contains(t, text.String(), "(smallest: 2 faults, 90 events in found/standard-1/smallest)\n")
}

// Of five hundred ways to fail GitHub is shown ten, and how many more there are; the
// summary of the step is not longer than it may be.
func TestGitHub_ShowsAtMostTen(t *testing.T) {
	var lines []*Line
	for seed := range uint64(500) {
		lines = append(lines, failingLine(seed, fmt.Sprintf("check %d %s", seed, strings.Repeat("long ", 300))))
	}
	h := sumOf(lines...)
	var out bytes.Buffer
	h.WriteAnnotations(&out)
	all := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, all, 11)
	for _, line := range all[:10] {
		assert.Regexp(t, `^::error title=violated%3A check \d+ .*, in 1 run::100%25 of it, <&>: is lost%0Afor ever%0Aseed:   \d+%0Areplay: ktrial run standard --seed \d+%0Akept:   standard-\d+$`, strings.ReplaceAll(line, "%2C", ","))
	}
	assert.Equal(t, "::warning title=ktrial hunt::490 more: see the summary of this step", all[10])

	out.Reset()
	require.NoError(t, h.WriteSummary(&out))
	assert.Less(t, out.Len(), 1<<20)
	assert.Regexp(t, `\n\d+ ways to fail left out: the summary would be too long\n`, out.String())

	few := sumOf(lines[:3]...)
	out.Reset()
	few.WriteAnnotations(&out)
	assert.Equal(t, 3, strings.Count(out.String(), "\n"))
	out.Reset()
	require.NoError(t, few.WriteSummary(&out))
	assert.NotContains(t, out.String(), "left out")
	out.Reset()
	require.NoError(t, sumOf(failingLine(1, "a<b*")).WriteSummary(&out))
	assert.Contains(t, out.String(), "#### violated: a&lt;b\\* (lost-write) of orders, in 1 run\n\n```text\n100% of it, <&>: is lost\n", "a text stands for itself")
}

// The file is XML whatever a message says, and its numbers add up.
func TestJUnit(t *testing.T) {
	h := sumOf(failingLine(1, "a"), failingLine(2, "a"), failingLine(3, "b\x00<"), &Line{Scenario: "standard", Seed: 4, Verdict: Holds},
		&Line{Scenario: "late-requests", Seed: 4, Verdict: Allowed},
		&Line{Scenario: "late-requests", Seed: 5, Failure: &Failure{Scenario: "late-requests", Seed: 5, Check: "our own bug", Message: "panic", Again: "ktrial run late-requests --seed 5"}})
	h.Gaps = []string{"shard 1/2 is missing"}
	var out bytes.Buffer
	require.NoError(t, h.WriteJUnit(&out))
	var read struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Suites   []struct {
			Name  string `xml:"name,attr"`
			Cases []struct {
				Name    string `xml:"name,attr"`
				Failure string `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	require.NoError(t, xml.Unmarshal(out.Bytes(), &read))
	assert.Equal(t, []int{6, 2, 2}, []int{read.Tests, read.Failures, read.Errors})
	require.Len(t, read.Suites, 3)
	assert.Equal(t, "late-requests", read.Suites[0].Name)
	assert.Equal(t, "1 run without a violation", read.Suites[1].Cases[0].Name)
	assert.Equal(t, "a (lost-write) of orders", read.Suites[1].Cases[1].Name)
	assert.Contains(t, read.Suites[1].Cases[1].Failure, "replay: ktrial run standard --seed 1\n")
	require.NoError(t, sumOf().WriteJUnit(io.Discard))
}

// The page links to what is kept, from wherever it lies, and a message is no HTML.
func TestIndex(t *testing.T) {
	h := sumOf(failingLine(1, "a", "at 1s: kill broker-1"), &Line{Scenario: "standard", Seed: 4, Verdict: Holds})
	var out bytes.Buffer
	require.NoError(t, h.WriteIndex(&out, "a hunt of standard", ""))
	assert.Contains(t, out.String(), `<a href="standard-1/report.html">standard seed 1</a>`)
	assert.Contains(t, out.String(), "at 1s: kill broker-1\n")
	assert.Contains(t, out.String(), "1 fault, 1,000 events")
	assert.Contains(t, out.String(), "100% of it, &lt;&amp;&gt;: is lost")
	for _, foreign := range []string{"http://", "https://", "src=", "@import", "url("} {
		assert.NotContains(t, out.String(), foreign, "it needs no other file")
	}
	out.Reset()
	joined := NewHunt()
	joined.Join(h, "parts/0")
	joined.Conclude(nil)
	require.NoError(t, joined.WriteIndex(&out, "joined", "all"))
	assert.Contains(t, out.String(), `<a href="../parts/0/standard-1/report.html">standard seed 1</a>`)
}
