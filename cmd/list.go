package cmd

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/checkers/laws"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/internal/nearest"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
)

// item is one line of a list.
type item struct {
	Name  string `json:"name"`
	About string `json:"about"`
}

// listing is everything that there is to choose from, and to be explained.
type listing struct {
	Scenarios []item `json:"scenarios"`
	Workloads []item `json:"workloads"`
	Faults    []item `json:"faults"`
	Checks    []item `json:"checks"`
	Laws      []item `json:"laws"`
	Probes    []item `json:"probes"`
	Events    []item `json:"events"`
	Configs   []item `json:"configs"`
	Planted   []item `json:"planted"`
	Numbers   []item `json:"numbers"`
}

// part is a kind of things that are listed.
type part struct {
	name, title string
	items       []item
}

func (l *listing) parts() []part {
	return []part{
		{"scenarios", "scenarios", l.Scenarios}, {"workloads", "workloads", l.Workloads}, {"faults", "faults", l.Faults},
		{"checks", "checks", l.Checks}, {"laws", "laws: what must hold after each event (docs/laws.md)", l.Laws},
		{"probes", "probes: rare states that trials must have met", l.Probes},
		{"events", "events of the trace", l.Events},
		{"configs", "configuration, by Kafka's names (--set NAME=VALUE)", l.Configs}, {"planted", "planted bugs", l.Planted},
		{"numbers", "numbers that can be required (--require NAME<VALUE)", l.Numbers},
	}
}

// listed is the width of the names in a list; what a longer one means is printed
// in the next line.
const listed = 42

// onRequest are the kinds that are listed only when they are asked for.
var onRequest = []string{"laws", "events", "probes", "configs", "numbers"}

func listCommand() *cobra.Command {
	var asJSON bool
	var kinds []string
	for _, p := range (&listing{}).parts() {
		kinds = append(kinds, p.name)
	}
	c := &cobra.Command{
		Use:       "list [KIND]",
		ValidArgs: kinds,
		Short:     "what there is: " + strings.Join(kinds, ", "),
		RunE: func(_ *cobra.Command, args []string) error {
			l := everything()
			if asJSON {
				return reports.WriteJSON(stdout, l)
			}
			switch {
			case len(args) > 1:
				return wrong("list: found %d arguments, expected one of %s, or none", len(args), strings.Join(kinds, ", "))
			case len(args) == 1 && !slices.Contains(kinds, args[0]):
				return wrong("list: %w; expected one of %s", nearest.Unknown("kind", args[0], kinds), strings.Join(kinds, ", "))
			}
			for _, p := range l.parts() {
				if len(args) == 0 && !slices.Contains(onRequest, p.name) || len(args) == 1 && args[0] == p.name {
					p.print()
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object with all kinds")
	return c
}

func (p part) print() {
	fmt.Fprintln(stdout, p.title)
	width, names := widthOf(os.Stdout), listed
	if width > 0 {
		names = min(names, width/2-4)
	}
	for _, i := range p.items {
		if len(i.Name) > names {
			fmt.Fprintf(stdout, "  %s\n", i.Name)
			i.Name = ""
		}
		about := i.About
		if width > 0 { // else a line is one item, for grep
			about = reports.Wrap(about, strings.Repeat(" ", names+4), width-names-4)
		}
		fmt.Fprintf(stdout, "  %-*s  %s\n", names, i.Name, about)
	}
	if p.name == "faults" {
		fmt.Fprintln(stdout, "  A target may be", faults.Targets+".")
	}
	fmt.Fprintln(stdout)
}

func everything() listing {
	var l listing
	for _, name := range reports.RequirableNumbers() {
		l.Numbers = append(l.Numbers, item{name, reports.AboutNumber(name)})
	}
	for _, s := range scenarios.All() {
		l.Scenarios = append(l.Scenarios, item{s.Name, s.About})
	}
	for _, s := range scenarios.All() {
		if w := (item{s.Workload.Name(), s.Workload.About()}); !slices.Contains(l.Workloads, w) {
			l.Workloads = append(l.Workloads, w)
		}
	}
	for _, f := range faults.All() {
		l.Faults = append(l.Faults, item{f.Text, f.About})
	}
	for _, c := range trial.AllChecks() {
		l.Checks = append(l.Checks, item{c.Name, c.About})
	}
	for _, law := range laws.All() {
		l.Laws = append(l.Laws, item{fmt.Sprintf("law %d", law.Number), fmt.Sprintf("%s (%s)", law.About, law.Source)})
	}
	for _, s := range scenarios.All() {
		for _, c := range s.OwnChecks {
			l.Checks = append(l.Checks, item{c.Name, fmt.Sprintf("%s (of %s)", c.About, s.Name)})
		}
		for _, law := range s.Laws {
			l.Laws = append(l.Laws, item{law.Name, fmt.Sprintf("%s (of %s)", law.About, s.Name)})
		}
	}
	for _, p := range ledger.Probes() {
		l.Probes = append(l.Probes, item{p.Name, p.About})
	}
	for _, k := range ledger.Kinds() {
		l.Events = append(l.Events, item{k.Name, k.About})
	}
	l.Configs = configs()
	for _, b := range planted.All {
		l.Planted = append(l.Planted, item{string(b.Bug), b.Zoo + ": " + b.About + " (" + b.Ref + ")"})
	}
	return l
}
