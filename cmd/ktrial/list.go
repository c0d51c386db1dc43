package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
	"github.com/ktrial/ktrial/workloads"
)

// item is one line of a list.
type item struct {
	Name  string `json:"name"`
	About string `json:"about"`
}

type listing struct {
	Scenarios []item `json:"scenarios"`
	Workloads []item `json:"workloads"`
	Faults    []item `json:"faults"`
	Checks    []item `json:"checks"`
	Planted   []item `json:"planted"`
}

// listed is the width of the names in a list; what a longer one means is told
// in the next line.
const listed = 42

func listCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "scenarios, workloads, faults, checks and planted bugs, with a line each",
		Args:  exactly(0, "none"),
		RunE: func(*cobra.Command, []string) error {
			l := everything()
			if asJSON {
				return reports.WriteJSON(os.Stdout, l)
			}
			for _, part := range []struct {
				title string
				items []item
			}{{"scenarios", l.Scenarios}, {"workloads", l.Workloads}, {"faults", l.Faults}, {"checks", l.Checks}, {"planted bugs", l.Planted}} {
				fmt.Println(part.title)
				for _, i := range part.items {
					if len(i.Name) > listed {
						fmt.Printf("  %s\n", i.Name)
						i.Name = ""
					}
					fmt.Printf("  %-*s  %s\n", listed, i.Name, i.About)
				}
				if part.title == "faults" {
					fmt.Println("  Whom they strike may be", faults.Targets+".")
				}
				fmt.Println()
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func everything() listing {
	var l listing
	for _, s := range scenarios.All() {
		l.Scenarios = append(l.Scenarios, item{s.Name, s.About})
	}
	l.Workloads = []item{{"produce-consume", workloads.ProduceConsume{}.About()}}
	for _, f := range faults.All() {
		l.Faults = append(l.Faults, item{f.Text, f.About})
	}
	for _, c := range trial.AllChecks() {
		l.Checks = append(l.Checks, item{c.Name, c.About})
	}
	for _, b := range planted.All {
		l.Planted = append(l.Planted, item{string(b.Bug), b.Zoo + ": " + b.About + " (" + b.Ref + ")"})
	}
	return l
}
