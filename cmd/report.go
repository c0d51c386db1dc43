package cmd

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ktrial/ktrial/internal/nearest"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios/trial"
)

// formats are those in which a kept run is reported, with the file that each writes.
var formats = map[string]string{"html": "report.html", "svg": "timeline.svg", "png": "timeline.png", "md": "report.md", "junit": "report.xml"}

// formatNames are in the order in which they are told.
var formatNames = []string{"html", "svg", "png", "md", "junit"}

func reportCommand() *cobra.Command {
	var wanted []string
	c := &cobra.Command{
		Use:   "report DIR...",
		Short: "make pages and plots of kept runs again, from their traces",
		Long: "report reads runs that were kept (run --out, hunt --out) and writes what is asked for beside them: html is the page " +
			"(report.html), svg and png the plot (timeline.svg, timeline.png), md a text for a comment or a chat (report.md), " +
			"junit a file for a CI (report.xml). The directory of a hunt stands for all runs in it.\n\n" +
			"What went wrong is explained once more, so a page gets better with the program that makes it.",
		Example: examples(
			"report DIR", "report.html in DIR",
			"report found --format html,png,md", "of all runs of a hunt",
		),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return wrong("report: found no arguments, expected DIR..., directories of kept runs")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			for _, f := range wanted {
				if formats[f] == "" {
					return wrong("--%w; expected some of %s", nearest.Unknown("format", f, formatNames), strings.Join(formatNames, ","))
				}
			}
			dirs, err := keptRuns(args)
			if err != nil {
				return err
			}
			for _, dir := range dirs {
				if err := reportOn(dir, wanted); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().StringSliceVar(&wanted, "format", []string{"html"}, "what to write, some of `html,svg,png,md,junit`")
	err := c.RegisterFlagCompletionFunc("format", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return formatNames, cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic(err) // there is no such flag
	}
	return c
}

// keptRuns are the directories of runs that are named, or lie in those that are.
func keptRuns(args []string) (dirs []string, err error) {
	for _, arg := range args {
		if trial.IsKept(arg) {
			dirs = append(dirs, arg)
			continue
		}
		inside, err := filepath.Glob(filepath.Join(arg, "*", runFile))
		if err != nil || len(inside) == 0 {
			return nil, wrong("report: %s: found no run.json in it or in the directories below, expected the directory of a kept run", arg)
		}
		slices.Sort(inside)
		for _, file := range inside {
			dirs = append(dirs, filepath.Dir(file))
		}
	}
	return dirs, nil
}

// reportOn writes what is wanted of one run.
func reportOn(dir string, wanted []string) error {
	kept, err := trial.ReadKept(dir)
	if err != nil {
		return usage{err}
	}
	for _, format := range wanted {
		file := filepath.Join(dir, formats[format])
		if err := writeWhole(file, func(w io.Writer) error { return writeFormat(w, kept, format) }); err != nil {
			return cannotWrite("report", err)
		}
		fmt.Fprintln(stdout, file)
	}
	return nil
}

func writeFormat(w io.Writer, kept *trial.Kept, format string) error {
	switch format {
	case "html":
		return kept.Page().Write(w)
	case "md":
		return kept.Report().WriteMarkdown(w)
	case "junit":
		sum := reports.NewHunt()
		sum.Add(kept.Report().Line())
		return sum.WriteJUnit(w)
	}
	t, err := kept.Timeline()
	if err != nil {
		return err
	}
	if format == "png" {
		return t.WritePNG(w)
	}
	return t.WriteSVG(w)
}
