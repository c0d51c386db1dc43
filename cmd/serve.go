package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/scenarios/serve"
)

func serveCommand() *cobra.Command {
	var cfg serve.Config
	var set []string
	var story bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "serve the cluster on TCP to real clients",
		Args:  exactly(0, "none"),
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
			return runServe(cfg)
		},
	}
	c.Flags().IntVar(&cfg.Brokers, "brokers", 0, "number of brokers (default 3, or as many as the data directory has)")
	c.Flags().IntVar(&cfg.Controllers, "controllers", 0, "number of controllers (default 3, or as many as the data directory has)")
	c.Flags().StringVar(&cfg.Listen, "listen", "127.0.0.1:9092", "HOST:PORT of the first broker; the others have the ports that follow")
	c.Flags().StringVar(&cfg.Dir, "data", "", "directory for the data; without it a temporary one that is removed at the end")
	c.Flags().StringArrayVar(&set, "set", nil, "key=value: a broker's or controller's configuration by Kafka's name")
	c.Flags().BoolVar(&story, "story", false, "tell on standard error what the nodes do")
	return c
}

// runServe serves until it is interrupted.
func runServe(cfg serve.Config) error {
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
