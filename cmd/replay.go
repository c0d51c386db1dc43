package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
)

func replayCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "replay FILE",
		Short:   "play a recorded run (run.json) again and compare its hash",
		Example: examples("replay DIR/run.json", "the same run, or what differs"),
		Args:    exactly(1, "a FILE: the run.json of a recorded run"),
		RunE: func(_ *cobra.Command, args []string) error {
			if info, err := os.Stat(args[0]); err == nil && info.IsDir() {
				return wrong("%s: found a directory, expected the run.json of a recorded run (try: %s)", args[0],
					commandLine("replay", filepath.Join(args[0], "run.json")))
			}
			recorded, err := trial.ReadRecord(args[0])
			if err != nil {
				return usage{err}
			}
			s, err := scenarios.Find(recorded.Report.Scenario)
			if err != nil {
				return usage{fmt.Errorf("%s: %w", args[0], err)}
			}
			o, err := recorded.Options()
			if err != nil {
				return usage{fmt.Errorf("%s: %w", args[0], err)}
			}
			o.Program = typedAs
			begun := time.Now()
			result, err := trial.Run(s, o)
			if err != nil {
				if trial.IsOption(err) {
					return usage{fmt.Errorf("%s: %w", args[0], err)}
				}
				return err
			}
			report := &result.Report
			report.Again, report.Kept = "", filepath.Dir(args[0])
			report.WallSeconds = time.Since(begun).Seconds()
			recorded.Compare(args[0], s, o, result)
			if asJSON {
				reports.WriteJSON(stdout, report)
			} else {
				report.WriteText(stdout, style(os.Stdout))
			}
			return endedBy(report.Verdict)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
