package cmd

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/checkers/explain"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/reports"
)

// checking is one `ktrial check`.
type checking struct {
	config   []string
	strict   bool
	jepsen   bool
	json     bool
	timeline string

	reportFile string

	options  checkers.Options
	campaign checkers.Campaign
	verdicts map[checkers.Verdict]int
	broken   []error // files that are no histories
}

func checkCommand() *cobra.Command {
	k := checking{verdicts: map[checkers.Verdict]int{}}
	c := &cobra.Command{
		Use:   "check HISTORY...",
		Short: "judge what clients of any cluster saw",
		Long: "check judges histories: Jepsen's EDN or ktrial's JSON lines, plain or gzipped.\n" +
			"HISTORY is a file, a folder (all .edn and .jsonl files in it), or - for standard input.\n\n" +
			"Without --config it judges by what the history itself tells of its configuration,\n" +
			"or else by the baseline: acks=all, min.insync.replicas=2, no unclean election,\n" +
			"idempotent producers, read_committed consumers with assigned partitions.",
		Example: "  ktrial check history.edn\n" +
			"  ktrial check store/kafka/latest --config acks=1,isolation.level=read_uncommitted\n" +
			"  ktrial check out/history.jsonl --json\n" +
			"  ktrial check history.edn --report report.html",
		RunE: func(_ *cobra.Command, args []string) error { return k.check(args) },
	}
	c.Flags().StringArrayVar(&k.config, "config", nil, "key=value,...: under which configuration the history came about")
	c.Flags().BoolVar(&k.strict, "strict", false, "what a setting or a fault permits is a violation all the same")
	c.Flags().BoolVar(&k.jepsen, "jepsen", false, "report what Jepsen's checker would, quirks included")
	c.Flags().BoolVar(&k.json, "json", false, "print one JSON object per history")
	c.Flags().StringVar(&k.reportFile, "report", "", "write the page of the history to this HTML `FILE`: its clients, and the first violation step by step")
	c.Flags().StringVar(&k.timeline, "timeline", "", "draw the proof of the first violation into this HTML file")
	return c
}

func (k *checking) check(args []string) error {
	collectAt(gcPercentOfHistory)
	expect, err := checkers.ParseConfig(k.config...)
	if err != nil {
		return usage{fmt.Errorf("--config: %w", err)}
	}
	k.options = checkers.Options{Expect: expect, Strict: k.strict, Jepsen: k.jepsen}
	files, err := k.files(args)
	if err != nil {
		return err
	}
	for i, file := range files {
		if i > 0 && !k.json {
			fmt.Fprintln(stdout)
		}
		if err := k.one(file, len(files) == 1); err != nil {
			return err
		}
	}
	if len(files) > 1 && !k.json {
		k.sumUp(stdout)
	}
	return k.verdict()
}

// files are the histories that args name.
func (k *checking) files(args []string) ([]string, error) {
	if len(args) == 0 {
		return nil, usage{fmt.Errorf("check: found no history, expected files, folders, or - for standard input")}
	}
	files, err := checkers.Files(args)
	if err != nil {
		return nil, usage{err}
	}
	inputs := 0
	for _, file := range files {
		if file == "-" {
			inputs++
		}
	}
	switch {
	case inputs > 1:
		return nil, usage{fmt.Errorf("check: found - %d times, expected once: standard input can be read only once", inputs)}
	case k.reportFile != "" && len(files) > 1:
		return nil, usage{fmt.Errorf("--report %s: found %d histories, expected one", k.reportFile, len(files))}
	case k.timeline != "" && len(files) > 1:
		return nil, usage{fmt.Errorf("--timeline %s: found %d histories, expected one", k.timeline, len(files))}
	}
	return files, nil
}

// one judges one history and reports it. A file that is none is remembered,
// and the others are judged all the same.
func (k *checking) one(file string, alone bool) error {
	h, err := history.ReadFile(file)
	if err != nil {
		k.broken = append(k.broken, err)
		return nil
	}
	j := checkers.Judge(h, k.options)
	if j.File = file; file == "-" {
		j.File = "standard input"
	}
	if !k.jepsen { // which permits by a table of its own
		k.campaign.Add(j)
	}
	k.verdicts[j.Verdict]++
	if k.json {
		if err := reports.WriteJSON(stdout, j); err != nil {
			return err
		}
	} else {
		fmt.Fprint(stdout, j)
		if alone {
			k.next(stdout, file, j)
		}
	}
	if k.reportFile != "" {
		if err := k.report(h, j); err != nil {
			return err
		}
	}
	if k.timeline != "" {
		return k.draw(h, j)
	}
	return nil
}

// draw writes the timeline of the first violation.
func (k *checking) draw(h *history.History, j *checkers.Judgement) error {
	for _, r := range j.Anomalies {
		for _, in := range r.Instances {
			if in.Permitted != "" || len(in.Ops) == 0 {
				continue
			}
			out, err := os.Create(k.timeline)
			if err != nil {
				return usage{fmt.Errorf("--timeline: %w", err)}
			}
			defer out.Close()
			return explain.Timeline(out, h, in.Ops)
		}
	}
	fmt.Fprintf(os.Stderr, "ktrial: nothing is violated, so %s is not drawn\n", k.timeline)
	return nil
}

// next are the commands to type after a violation.
func (k *checking) next(out io.Writer, file string, j *checkers.Judgement) {
	if j.Verdict != checkers.Violated || file == "-" {
		return
	}
	this := commandLine("check", file)
	if j.Config != "" && len(k.config) > 0 {
		this += " --config " + reports.Command(strings.Join(k.config, ","))
	}
	type line struct{ command, does string }
	lines := []line{{this + " --json", "every instance with its operations"}}
	if k.jepsen {
		lines = append(lines, line{this, "what a sound checker says"})
	} else {
		lines = append(lines, line{this + " --report FILE.html", "all clients, and the first one step by step"}, line{this + " --timeline FILE.html", "the first one as a picture"})
	}
	if j.Config == "" && !k.jepsen {
		lines = append(lines, line{this + " --config acks=1", "if it was configured to promise less"})
	}
	run := filepath.Join(filepath.Dir(file), "run.json")
	if _, err := os.Stat(run); err == nil && filepath.Base(file) == "history.jsonl" {
		lines = append(lines, line{commandLine("replay", run), "the run that it is from, again"})
	}
	fmt.Fprintln(out)
	width := 0
	for _, l := range lines {
		width = max(width, len(l.command))
	}
	label := "next:"
	for _, l := range lines {
		fmt.Fprintf(out, "  %-6s %-*s  # %s\n", label, width, l.command, l.does)
		label = ""
	}
}

// sumUp reports many histories together.
func (k *checking) sumUp(out io.Writer) {
	fmt.Fprintf(out, "\n%d histories: %d violated, %d inconclusive, %d allowed, %d hold", k.judged(),
		k.verdicts[checkers.Violated], k.verdicts[checkers.Inconclusive], k.verdicts[checkers.Allowed], k.verdicts[checkers.Holds])
	if len(k.broken) > 0 {
		fmt.Fprintf(out, "; %d files are no histories", len(k.broken))
	}
	fmt.Fprintln(out)
	byReason := map[string][]string{}
	var reasons []string
	for _, never := range k.campaign.NeverShown() {
		if byReason[never.Reason] == nil {
			reasons = append(reasons, never.Reason)
		}
		byReason[never.Reason] = append(byReason[never.Reason], string(never.Anomaly))
	}
	for _, reason := range reasons {
		fmt.Fprintf(out, "  permitted but never observed: %s (%s)\n", strings.Join(byReason[reason], ", "), reason)
	}
}

func (k *checking) judged() (n int) {
	for _, count := range k.verdicts {
		n += count
	}
	return n
}

// verdict is the worst of all; a file that is no history goes before.
func (k *checking) verdict() error {
	if n := len(k.broken); n > 0 {
		for _, err := range k.broken[:n-1] {
			fmt.Fprintf(os.Stderr, "ktrial: %v\n", err)
		}
		return usage{k.broken[n-1]}
	}
	var worst checkers.Verdict
	for v := range k.verdicts {
		worst = checkers.Worst(worst, v)
	}
	if !worst.Passes() {
		return verdict{worst}
	}
	return nil
}
