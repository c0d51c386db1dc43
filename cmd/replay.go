package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
)

func replayCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "replay FILE",
		Short: "play a recorded run (run.json) again and compare its hash",
		Long: "The build that recorded a run must play the same one: another hash is exit code 3. Another build decides what luck " +
			"decided then, by the names in decisions.bin beside the file; where the runs part is told, and the exit code is that of the " +
			"new verdict. Without decisions.bin another build plays the seed, and a verdict that proves nothing is its best.",
		Example: examples("replay DIR/run.json", "the same run, or what differs"),
		Args:    exactly(1, "a FILE: the run.json of a recorded run"),
		RunE: func(_ *cobra.Command, args []string) error {
			recorded, s, o, err := recordedRun("replay", args[0])
			if err != nil {
				return err
			}
			begun := time.Now()
			result, err := recorded.Replay(args[0], s, o)
			if err != nil {
				if trial.IsOption(err) {
					return usage{fmt.Errorf("%s: %w", args[0], err)}
				}
				return err
			}
			report := &result.Report
			report.Again, report.Kept = "", filepath.Dir(args[0])
			report.WallSeconds = time.Since(begun).Seconds()
			if asJSON {
				printRun(report)
			} else {
				report.WriteText(stdout, style(os.Stdout))
			}
			return endedBy(report.Verdict)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// recordedRun reads a run.json for a command: the record, its scenario, and the
// options that play it again.
func recordedRun(command, file string) (rec *trial.Record, s scenarios.Scenario, o trial.Options, err error) {
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return nil, s, o, wrong("%s: found a directory, expected the run.json of a recorded run (try: %s)", file,
			commandLine(command, filepath.Join(file, runFile)))
	}
	if rec, err = trial.ReadRecord(file); err != nil {
		return nil, s, o, usage{err}
	}
	if s, err = scenarios.Find(rec.Report.Scenario); err == nil {
		o, err = rec.Options()
	}
	if err != nil {
		return nil, s, o, usage{fmt.Errorf("%s: %w", file, err)}
	}
	o.Program = typedAs
	return rec, s, o, nil
}
