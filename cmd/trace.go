package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ktrial/ktrial/ledger"
)

// picking are the flags that pick events of a story.
type picking struct {
	only     []string
	from, to time.Duration
	detail   bool
}

func (p *picking) add(c *cobra.Command) {
	c.Flags().StringSliceVar(&p.only, "only", nil, "only events of these hosts, partitions or clients, as `NAME,...`: orders/0,broker-2; of these all, however small")
	c.Flags().BoolVar(&p.detail, "detail", false, "also the frequent events: appends, high watermarks, requests")
}

func (p *picking) filter() ledger.Filter {
	return ledger.Filter{Only: p.only, From: p.from, To: p.to, Detail: p.detail}
}

func traceCommand() *cobra.Command {
	var p picking
	c := &cobra.Command{
		Use:   "trace FILE",
		Short: "tell what happened in a recorded run, from its trace",
		Long: "trace prints the events of a trace (trace.jsonl.gz in the directory of a recorded run) as a story:\n" +
			"time, host, what happened. Without --only and --detail it tells the notable ones.",
		Example: "  ktrial trace out/trace.jsonl.gz --only orders/0,broker-2 --from 10s --to 12s",
		Args:    exactly(1, "a FILE: the trace.jsonl.gz of a recorded run, or its directory"),
		RunE: func(_ *cobra.Command, args []string) error {
			file := args[0]
			if info, err := os.Stat(file); err == nil && info.IsDir() {
				file = filepath.Join(file, "trace.jsonl.gz")
			}
			if p.to > 0 && p.to < p.from {
				return wrong("--to %v: expected a time not before --from %v", p.to, p.from)
			}
			f := p.filter()
			told := 0
			_, err := ledger.ReadTraceFile(file, func(e *ledger.Entry) bool {
				if f.Picks(e) {
					told++
					e.WriteLine(stdout)
				}
				return f.To == 0 || e.At <= f.To
			})
			if err != nil {
				return usage{err}
			}
			if told == 0 && len(p.only) > 0 {
				return wrong("--only %s: found no such event in %s", strings.Join(p.only, ","), file)
			}
			return nil
		},
	}
	p.add(c)
	c.Flags().DurationVar(&p.from, "from", 0, "leave out what happened before this virtual `TIME`")
	c.Flags().DurationVar(&p.to, "to", 0, "leave out what happened after this virtual `TIME`")
	return c
}
