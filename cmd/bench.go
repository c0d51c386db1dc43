package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ktrial/ktrial/lab/bench"
	"github.com/ktrial/ktrial/lab/profile"
	"github.com/ktrial/ktrial/scenarios"
)

// benchFlags are what bench and tune share.
type benchFlags struct {
	profile string
	o       bench.Options
	set     []string
	payload string
	load    string
}

func (f *benchFlags) add(c *cobra.Command) {
	fs := c.Flags()
	fs.StringVar(&f.profile, "profile", "teaching", "what work costs: a `PROFILE` that comes with ktrial ("+strings.Join(profile.BuiltIn(), ", ")+"), or a file")
	fs.StringArrayVar(&f.set, "set", nil, "a configuration by Kafka's name, as `KEY=VALUE`; producer., consumer., broker. or topic. in front says of which")
	fs.Uint64Var(&f.o.Seed, "seed", 1, "`SEED` of the luck")
	for _, n := range []number{
		{"brokers", "`NUMBER` of brokers (3)", &f.o.Brokers},
		{"controllers", "`NUMBER` of controllers (1)", &f.o.Controllers},
		{"partitions", "`NUMBER` of partitions (6)", &f.o.Partitions},
		{"replicas", "`NUMBER` of replicas of each partition (3)", &f.o.Replicas},
		{"producers", "`NUMBER` of producers (1)", &f.o.Producers},
		{"consumers", "`NUMBER` of consumers of each group (0)", &f.o.Consumers},
		{"groups", "`NUMBER` of groups of consumers (1)", &f.o.Groups},
		{"client-machines", "`NUMBER` of machines that producers and consumers share", &f.o.ClientMachines},
		{"record-size", "`BYTES` of a record's value (1024)", &f.o.RecordBytes},
	} {
		fs.IntVar(n.value, n.name, 0, n.about)
	}
	fs.StringVar(&f.payload, "payload", "zeros", "what values are made of: zeros, text, json or random (`KIND`)")
	fs.Float64Var(&f.o.Rate, "rate", 0, "records a second that all producers offer together (`NUMBER`); without it they send as fast as it goes")
	fs.StringVar(&f.load, "load", "", "how producers send: open (at the rate), bunches (at the rate as kafka-producer-perf-test keeps it), closed (one record at a time) or full (`KIND`)")
	fs.DurationVar(&f.o.Backlog, "backlog", 0, "first producers fill the topic for this `DURATION` and stop; then consumers read it from its start")
	fs.DurationVar(&f.o.Warmup, "warmup", 2*time.Second, "`DURATION` of virtual time before it is measured")
	fs.DurationVar(&f.o.Measure, "for", 10*time.Second, "`DURATION` of virtual time that is measured")
	fs.BoolVar(&f.o.FreshCache, "fresh-cache", false, "begin with an empty page cache, instead of one as it is after a long time of the load")
}

// options reads the flags, and the shape of a scenario if one is named.
func (f *benchFlags) options(scenario string) (bench.Options, error) {
	o := f.o
	var err error
	if o.Profile, err = profile.Load(f.profile); err != nil {
		return o, usage{err}
	}
	o.Payload, o.Load = bench.Payload(f.payload), bench.Load(f.load)
	set := map[string]string{}
	if scenario != "" {
		if err := shapeOf(scenario, &o, set); err != nil {
			return o, err
		}
	}
	given, err := settings(f.set)
	if err != nil {
		return o, err
	}
	for name, value := range given {
		set[name] = value
	}
	o.Settings = set
	if err := o.Check(); err != nil {
		return o, usage{err}
	}
	return o, nil
}

// shapeOf takes brokers, the first topic and the settings of a scenario, where no flag
// says otherwise.
func shapeOf(name string, o *bench.Options, set map[string]string) error {
	s, err := scenarios.Find(name)
	if err != nil {
		return usage{err}
	}
	shape(&o.Brokers, s.Cluster.Brokers+s.Cluster.Combined)
	shape(&o.Controllers, max(1, s.Cluster.Controllers))
	if len(s.Topics) > 0 {
		t := s.Topics[0]
		shape(&o.Partitions, int(t.Partitions))
		shape(&o.Replicas, int(t.Replicas))
		for k, v := range t.Config {
			set[k] = v
		}
		if t.MinInsync > 0 {
			set["min.insync.replicas"] = fmt.Sprint(t.MinInsync)
		}
	}
	for k, v := range s.Cluster.Config {
		set[k] = v
	}
	return nil
}

func shape(v *int, of int) {
	if *v == 0 {
		*v = of
	}
}

func benchCommand() *cobra.Command {
	var f benchFlags
	var asJSON, asCSV bool
	var published, plots string
	c := &cobra.Command{
		Use:   "bench [SCENARIO]",
		Short: "measure a cluster whose work costs what a profile says",
		Long: "bench plays producers and consumers against a simulated cluster on machines that a profile describes, and tells " +
			"throughput, latencies, where a record's time goes, and which resource binds. A scenario lends its shape: brokers, its " +
			"first topic, its settings. No faults strike, and nothing is judged.\n\n" +
			"All times are virtual, and the same seed gives the same numbers on any machine. What they are worth depends on the " +
			"profile: each of its figures says where it comes from (docs/tuning.md).",
		Example: examples(
			"bench --rate 20000 --consumers 1", "three brokers at 20,000 records a second",
			"bench --profile linkedin-2014 --set acks=1 --record-size 100", "as fast as it goes",
			"bench --published CFLa-pub-p50", "the model beside a published measurement",
			"bench standard --set linger.ms=0 --json", "the cluster of a scenario, for a program",
		),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return wrong("bench: found %d arguments, expected a scenario or none", len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if published != "" {
				return benchPublished(c, published)
			}
			o, err := f.options(strings.Join(args, ""))
			if err != nil {
				return err
			}
			if asJSON && asCSV {
				return wrong("--json --csv: expected one of them")
			}
			began := time.Now()
			show := statusLine("measuring", 10*time.Second)
			o.Progress = func(done, of time.Duration) {
				show(time.Since(began), func() string {
					return fmt.Sprintf("%s %.1f of %.1f s of virtual time", drawBar(done.Seconds()/of.Seconds()), done.Seconds(), of.Seconds())
				})
			}
			collectAt(gcPercentOfBench)
			res, err := bench.Run(o)
			clearLine()
			if err != nil {
				return usage{err}
			}
			if plots != "" {
				if err := errors.Join(os.MkdirAll(plots, 0o755), res.Plot(plots)); err != nil {
					return cannotWrite("the plots", err)
				}
			}
			return printBench(c, res, asJSON, asCSV)
		},
	}
	f.add(c)
	c.Flags().StringVar(&published, "published", "", "play what others have measured, the `FIGURE` of that id or all, and set the model's numbers beside theirs")
	c.Flags().StringVar(&plots, "plots", "", "draw where a record's time goes and what resources are used into this `DIR`")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&asCSV, "csv", false, "print CSV: a line of names and a line of values")
	return c
}

func printBench(c *cobra.Command, res bench.Result, asJSON, asCSV bool) error {
	out := c.OutOrStdout()
	switch {
	case asCSV:
		return bench.WriteCSV(out, res)
	case asJSON:
		text, err := json.Marshal(struct {
			Type string `json:"type"`
			bench.Result
		}{"bench", res})
		if err == nil {
			fmt.Fprintln(out, string(text))
		}
		return err
	}
	fmt.Fprint(out, res.Text())
	return nil
}
