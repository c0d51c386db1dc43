package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/scenarios/serve"
	"github.com/ktrial/ktrial/tap"
)

func serveCommand() *cobra.Command {
	var cfg serve.Config
	var set []string
	var story bool
	var plan, record string
	var topics []string
	c := &cobra.Command{
		Use:   "serve",
		Short: "serve the cluster on TCP to real clients",
		Long: "serve puts the cluster on the wall clock, with TCP in front. With --plan faults strike at their times, counted from when all " +
			"brokers serve: processes are killed, stopped and paused, networks cut and slowed, leaders moved; clients are the host gateway. With " +
			"--record what clients sent and received is judged at the end, as by tap. Real time does not repeat: there is no seed, and the same plan " +
			"may find something once and not again.",
		Args: exactly(0, "none"),
		RunE: func(c *cobra.Command, _ []string) error {
			for name, n := range map[string]int{"brokers": cfg.Brokers, "controllers": cfg.Controllers} {
				if c.Flags().Changed(name) && n < 1 {
					return usage{fmt.Errorf("--%s %d: expected 1 or more", name, n)}
				}
			}
			var err error
			if cfg.Set, err = settings(set); err != nil {
				return err
			}
			if story {
				cfg.Read = storyTo(os.Stderr, ledger.Filter{})
			}
			if err := planned(&cfg, plan, topics); err != nil {
				return err
			}
			return runServe(cfg, record)
		},
	}
	c.Flags().IntVar(&cfg.Brokers, "brokers", 0, "number of brokers (default 3, or as many as the data directory has)")
	c.Flags().IntVar(&cfg.Controllers, "controllers", 0, "number of controllers (default 3, or as many as the data directory has)")
	c.Flags().StringVar(&cfg.Listen, "listen", "127.0.0.1:9092", "HOST:PORT of the first broker; the others have the ports that follow")
	c.Flags().StringVar(&cfg.Dir, "data", "", "directory for the data; without it a temporary one that is removed at the end")
	c.Flags().StringArrayVar(&set, "set", nil, "key=value: a broker's or controller's configuration by Kafka's name")
	c.Flags().BoolVar(&story, "story", false, "tell on standard error what the nodes do")
	c.Flags().StringVar(&plan, "plan", "", "a `FILE` with faults and their times, as plan.txt of a run")
	c.Flags().StringArrayVar(&topics, "topic", nil, "`NAME=PARTITIONS` of a topic that the plan names")
	c.Flags().StringVar(&record, "record", "", "judge what clients see, and keep the history in this `DIR`")
	return c
}

// planned reads the plan and what it names.
func planned(cfg *serve.Config, plan string, topics []string) error {
	cfg.Topics = map[string]int32{}
	for _, t := range topics {
		name, digits, _ := strings.Cut(t, "=")
		n, err := strconv.ParseInt(digits, 10, 32)
		if name == "" || err != nil || n < 1 {
			return wrong("--topic %q: expected NAME=PARTITIONS", t)
		}
		cfg.Topics[name] = int32(n)
	}
	if plan == "" {
		return nil
	}
	text, err := os.ReadFile(plan)
	if err != nil {
		return usage{fmt.Errorf("--plan: %w", err)}
	}
	if cfg.Plan, err = faults.ParsePlan(string(text)); err != nil {
		return usage{fmt.Errorf("--plan %s: %w", plan, err)}
	}
	return nil
}

// verdictOn is the verdict on what was recorded.
func verdictOn(r serve.Recording) tap.Result {
	j := checkers.Judge(r.History, checkers.Options{})
	return tap.Result{History: r.History, Judgement: j, Counts: r.Observer.Counts}
}

// runServe serves until it is interrupted. record is the directory for what clients saw;
// empty: that is not judged.
func runServe(cfg serve.Config, record string) error {
	var recorded *serve.Recording
	if record != "" {
		if err := os.MkdirAll(record, 0o755); err != nil {
			return usage{err}
		}
		cfg.Recorded = func(r serve.Recording) { recorded = &r }
	}
	about := ""
	if cfg.Dir == "" {
		dir, err := os.MkdirTemp("", "ktrial-serve-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		cfg.Dir, about = dir, ", a temporary directory that is removed at the end"
	}
	cfg.Ready = func(c serve.Cluster) {
		brokers := fmt.Sprint(len(c.Brokers), " brokers")
		if len(c.Brokers) == 1 {
			brokers = "1 broker"
		}
		fmt.Printf("ktrial: serving %s at %s (cluster id %s, data in %s%s); stop with Ctrl-C\n",
			brokers, addresses(c.Brokers), c.ID, cfg.Dir, about)
	}
	cfg.Notice = func(text string) { fmt.Fprintln(os.Stderr, "ktrial: "+text) }
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	onInterrupt(cancel)
	err := serve.Run(ctx, cfg)
	if errors.As(err, &serve.UsageError{}) {
		return usage{err}
	}
	if err == nil && recorded != nil {
		return reportWire(verdictOn(*recorded), record, false)
	}
	return err
}

// settings takes key=value arguments apart.
func settings(args []string) (map[string]string, error) {
	set := map[string]string{}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return nil, usage{fmt.Errorf("--set %q: expected key=value", arg)}
		}
		set[name] = value
	}
	return set, nil
}

// addresses names the host once: 127.0.0.1:9092, :9093, :9094.
func addresses(all []string) string {
	var b strings.Builder
	before := ""
	for i, addr := range all {
		colon := strings.LastIndexByte(addr, ':')
		if i > 0 {
			b.WriteString(", ")
		}
		if host := addr[:colon]; host != before {
			b.WriteString(host)
			before = host
		}
		b.WriteString(addr[colon:])
	}
	return b.String()
}
