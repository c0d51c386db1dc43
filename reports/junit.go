package reports

import (
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// WriteJUnit writes a hunt as JUnit XML, which every CI reads: a suite for each
// scenario, in it a test case for the runs that pass together, and one for each way
// to fail. The seed and the command that plays it again are in the text, too, for
// GitLab shows no properties.
func (h *Hunt) WriteJUnit(w io.Writer) error {
	all := junitSuites{Name: "ktrial", Time: seconds(h.WallSeconds)}
	for _, scenario := range h.scenarios() {
		s := h.junitSuite(scenario)
		all.Tests, all.Failures, all.Errors = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors
		all.Suites = append(all.Suites, s)
	}
	if len(h.Gaps) > 0 {
		gaps := junitSuite{Name: "all runs are there", Tests: 1, Errors: 1, Cases: []junitCase{{
			Name: "no gap", Class: "ktrial", Error: &junitFault{Type: "gap", Message: things(len(h.Gaps), "gap"), Text: strings.Join(h.Gaps, "\n")},
		}}}
		all.Tests, all.Errors, all.Suites = all.Tests+1, all.Errors+1, append(all.Suites, gaps)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name       string          `xml:"name,attr"`
		Class      string          `xml:"classname,attr"`
		Properties []junitProperty `xml:"properties>property,omitempty"`
		Failure    *junitFault     `xml:"failure"`
		Error      *junitFault     `xml:"error"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitFault struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// seconds is a time as JUnit has it.
func seconds(s float64) string { return fmt.Sprintf("%.3f", s) }

func (h *Hunt) junitSuite(scenario string) junitSuite {
	s := junitSuite{Name: scenario}
	if pass := h.ByScenario[scenario] - h.failingIn(scenario); pass > 0 {
		s.Cases = append(s.Cases, junitCase{Name: things(pass, "run") + " without a violation", Class: scenario})
	}
	for i := range h.Groups {
		if first := h.firstIn(&h.Groups[i], scenario); first != nil {
			s.Cases = append(s.Cases, h.Groups[i].junitCase(scenario, first))
			s.Failures++
		}
	}
	for i := range h.OwnBugs {
		if f := &h.OwnBugs[i]; f.Scenario == scenario {
			s.Cases = append(s.Cases, junitCase{Name: fmt.Sprintf("seed %d has a verdict", f.Seed), Class: scenario,
				Error: &junitFault{Type: f.Check, Message: f.Message, Text: f.explained()}})
			s.Errors++
		}
	}
	s.Tests = len(s.Cases)
	return s
}

func (g *Group) junitCase(scenario string, first *Failure) junitCase {
	return junitCase{
		Name: g.Fingerprint.String(), Class: scenario,
		Properties: []junitProperty{{"seed", fmt.Sprint(first.Seed)}, {"replay", first.Again}},
		Failure:    &junitFault{Type: string(first.Verdict), Message: first.Message, Text: first.explained()},
	}
}

// explained is a failing run in lines.
func (f *Failure) explained() string {
	lines := []string{f.Message, fmt.Sprintf("seed:   %d", f.Seed), "replay: " + f.Again}
	if f.Kept != "" {
		lines = append(lines, "kept:   "+f.Kept)
	}
	return strings.Join(lines, "\n")
}

// scenarios are those that were played, in the order of their names.
func (h *Hunt) scenarios() []string { return slices.Sorted(maps.Keys(h.ByScenario)) }

func (h *Hunt) failingIn(scenario string) (n int) {
	for i := range h.Failures {
		if h.Failures[i].Scenario == scenario {
			n++
		}
	}
	for i := range h.OwnBugs {
		if h.OwnBugs[i].Scenario == scenario {
			n++
		}
	}
	return n
}

// firstIn is the first run of a scenario that fails like a group; nil: none does.
func (h *Hunt) firstIn(g *Group, scenario string) *Failure {
	for i := range h.Failures {
		if f := &h.Failures[i]; f.Scenario == scenario && f.Fingerprint() == g.Fingerprint {
			return f
		}
	}
	return nil
}
