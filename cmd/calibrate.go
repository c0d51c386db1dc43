package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ktrial/ktrial/internal/nearest"
	"github.com/ktrial/ktrial/lab/bench"
	"github.com/ktrial/ktrial/lab/calibrate"
	"github.com/ktrial/ktrial/lab/profile"
	"github.com/ktrial/ktrial/reports"
)

// calibration is one `ktrial calibrate`.
type calibration struct {
	cfg      calibrate.Config
	out      string
	producer string
	records  int
	figures  []string
	maxMB    int
	yes      bool
	json     bool
}

func calibrateCommand() *cobra.Command {
	k := calibration{cfg: calibrate.Defaults()}
	c := &cobra.Command{
		Use:   "calibrate --bootstrap HOST:PORT",
		Short: "a profile from a real cluster",
		Long: "calibrate measures a real cluster with a bounded load and writes a profile for ktrial bench and ktrial tune: what a round trip, a request, " +
			"a batch, a byte, a replica cost there, each with how far it spread. It makes a topic of its own with a name that no other has, touches no other " +
			"topic, and deletes its own at the end, also after Ctrl-C.\n\n" +
			"What a client cannot see (cores, network cards, disks) is given with --figure, or stays out; results that would need it say so. Where the " +
			"brokers run on this machine, cores and memory are read here, and costs from the CPU time of the brokers' threads.",
		Example: examples(
			"calibrate --bootstrap kafka-1:9092 --out mine.json", "about two minutes; then: bench --profile mine.json",
			"calibrate --bootstrap kafka-1:9092 --fsync --figure broker.cores=8", "syncs too; and what is known already",
		),
		Args: exactly(0, "none"),
		RunE: func(*cobra.Command, []string) error { return k.run() },
	}
	f := c.Flags()
	f.StringVar(&k.cfg.Bootstrap, "bootstrap", "", "`HOST:PORT` of a broker of the cluster, without TLS")
	f.StringVar(&k.out, "out", "", "write the profile to this `FILE` (default NAME.json)")
	f.StringVar(&k.cfg.Name, "name", k.cfg.Name, "the `NAME` of the profile")
	f.IntVar(&k.cfg.Brokers, "brokers", k.cfg.Brokers, "measure so many brokers, a `NUMBER`")
	f.IntVar(&k.cfg.Replicas, "replicas", k.cfg.Replicas, "replicas of each partition, a `NUMBER`")
	f.IntVar(&k.cfg.Rounds, "rounds", k.cfg.Rounds, "repeat each load so often, a `NUMBER`")
	f.DurationVar(&k.cfg.For, "for", k.cfg.For, "no new round after this `TIME`")
	f.BoolVar(&k.cfg.Fsync, "fsync", false, "measure syncs too, by a second topic with flush.messages=1")
	f.IntVar(&k.maxMB, "max-mb", int(k.cfg.MostBytes/1e6), "ask before more than so many megabytes are sent, a `NUMBER`")
	f.BoolVar(&k.yes, "yes", false, "do not ask")
	f.StringVar(&k.producer, "producer", "", "measure this producer too, a `COMMAND` with {bootstrap} {topic} {records} {size} {batch} in it")
	f.IntVar(&k.records, "producer-records", 200_000, "it sends so many in a short run, a `NUMBER`")
	f.StringVar(&k.cfg.Disk, "disk", "", "measure the disk of this `DIR` with a file of 64 MiB: one like those of the brokers")
	f.StringArrayVar(&k.figures, "figure", nil, "`NAME=VALUE`: a figure that is known already, in its unit (see: docs/tuning.md)")
	f.BoolVar(&k.json, "json", false, "print JSON")
	return c
}

func (k *calibration) run() error {
	if err := k.complete(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	onInterrupt(cancel)
	res, err := calibrate.Run(ctx, k.cfg)
	clearLine()
	switch {
	case errors.Is(err, context.Canceled):
		return k.interrupted(err)
	case err != nil:
		return usage{err}
	}
	if err := res.Profile.Save(k.out); err != nil {
		return unwritten{err}
	}
	for _, text := range res.Notices {
		fmt.Fprintln(os.Stderr, "ktrial: "+text)
	}
	if k.json {
		return reports.WriteJSON(stdout, res)
	}
	fmt.Fprint(stdout, describeCalibration(res))
	if err := checkItself(stdout, res); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\nwritten: %s\nnext:    %s\n", k.out, commandLine("bench", "--profile", k.out))
	return nil
}

// interrupted says what became of the topics.
func (k *calibration) interrupted(err error) error {
	var left *calibrate.LeftError
	if errors.As(err, &left) {
		fmt.Fprintf(os.Stderr, "ktrial: %v\n", left)
	} else {
		fmt.Fprintln(os.Stderr, "ktrial: interrupted; no profile was written, and the topics of the measurement are deleted")
	}
	return errInterrupted
}

// complete checks flags and makes the configuration of them.
func (k *calibration) complete() (err error) {
	if k.cfg.Bootstrap == "" {
		return wrong("calibrate: found no --bootstrap, expected the HOST:PORT of a broker")
	}
	for name, n := range map[string]int{"brokers": k.cfg.Brokers, "replicas": k.cfg.Replicas, "producer-records": k.records} {
		if n < 1 {
			return wrong("--%s %d: expected 1 or more", name, n)
		}
	}
	if k.cfg.Rounds < 3 {
		return wrong("--rounds %d: expected 3 or more, for a spread", k.cfg.Rounds)
	}
	if k.cfg.Given, err = figures(k.figures); err != nil {
		return err
	}
	if k.producer != "" {
		k.cfg.Producer = &calibrate.Command{Line: k.producer, Records: k.records}
	}
	if k.out == "" {
		k.out = k.cfg.Name + ".json"
	}
	k.cfg.MostBytes = int64(k.maxMB) * 1e6
	k.cfg.Confirm = confirm
	if k.yes {
		k.cfg.Confirm = func(string) bool { return true }
	}
	show := statusLine("calibrating", 10*time.Second)
	k.cfg.Progress = func(p calibrate.Progress) {
		show(p.Elapsed, func() string { return describeCalibrating(p) })
	}
	return nil
}

// figures takes NAME=VALUE arguments apart.
func figures(args []string) (map[string]profile.Figure, error) {
	given := map[string]profile.Figure{}
	for _, arg := range args {
		name, text, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, wrong("--figure %q: expected NAME=VALUE", arg)
		}
		d := profile.Find(name)
		if d == nil {
			return nil, wrong("--figure %q: %w", arg, nearest.Unknown("figure", name, profile.Names()))
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil || !(value >= 0) {
			return nil, wrong("--figure %q: expected a number of 0 or more, in %s", arg, d.Unit)
		}
		given[name] = profile.Figure{Value: value, Unit: d.Unit, Basis: profile.Assumed, Source: "given on the command line of ktrial calibrate"}
	}
	return given, nil
}

// confirm asks on a terminal; elsewhere there is none to ask, and the answer is no.
func confirm(question string) bool {
	if !isTerminal(os.Stdin) {
		fmt.Fprintf(os.Stderr, "ktrial: %s (no terminal to ask at: give --yes or --max-mb)\n", question)
		return false
	}
	fmt.Fprintf(os.Stderr, "ktrial: %s [y/N] ", question)
	line, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes"
}

// describeCalibrating says how far it is.
func describeCalibrating(p calibrate.Progress) string {
	if p.Cleanup {
		return p.Step
	}
	parts := []string{fmt.Sprintf("%.0f of %.0f MB", p.SentMB, p.OfMB)}
	if p.Part > 0.05 {
		parts = append(parts, inShort(time.Duration(float64(p.Elapsed)*(1-p.Part)/p.Part))+" left")
	}
	return drawBar(p.Part) + " " + strings.Join(append(parts, p.Step), ", ")
}

// describeCalibration is what a person reads of it.
func describeCalibration(res *calibrate.Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d brokers (%s), %d replicas, %d rounds, %.0f MB sent in %s wall\n", len(res.Brokers), res.Of, addresses(res.Brokers), res.Replicas,
		res.Rounds, float64(res.SentBytes)/1e6, inShort(time.Duration(res.Seconds*float64(time.Second))))
	if res.Threads {
		b.WriteString("the brokers run on this machine: costs are the CPU time of their threads\n")
	}
	describeWaits(&b, res)
	fmt.Fprintf(&b, "\n%-26s %14s %-8s %s\n", "figure", "value", "unit", "least and greatest of all samples")
	for _, d := range profile.All {
		f, ok := res.Profile.Figures[d.Name]
		if !ok {
			continue
		}
		fmt.Fprintf(&b, "%-26s %14s %-8s %s\n", d.Name, plainNumber(f.Value), f.Unit, spreadOf(f))
	}
	if len(res.Missing) > 0 {
		fmt.Fprintf(&b, "\nnot known, and free of cost until --figure gives it: %s\n", strings.Join(res.Missing, ", "))
	}
	return b.String()
}

// checkItself plays two of the loads in a simulation of the profile: what it was made of, it
// should give again.
func checkItself(w io.Writer, res *calibrate.Result) error {
	fmt.Fprintf(w, "\n%-38s %9s %9s\n", "one record at a time, p50 in microseconds", "measured", "simulated")
	for _, wait := range res.Waits {
		acks, ok := map[string]string{calibrate.WaitAppend: "1", calibrate.WaitAppendAll: "all"}[wait.Name]
		if !ok {
			continue
		}
		b, err := bench.Run(bench.Options{
			Profile: res.Profile, Seed: 1, Brokers: max(res.Replicas, min(res.Of, 3)), Replicas: res.Replicas, Partitions: calibrate.PartitionsEach * len(res.Brokers), Producers: 1, RecordBytes: 100, Load: bench.Closed,
			Settings: map[string]string{"acks": acks, "linger.ms": "0", "enable.idempotence": "false"}, Warmup: 3 * time.Second, Measure: 2 * time.Second,
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%-38s %9.0f %9.0f\n", wait.Name, wait.P50, 1000*b.Publish.P50)
	}
	return nil
}

// describeWaits prints what requests took, and, if it is known, what threads spent on them.
func describeWaits(b *strings.Builder, res *calibrate.Result) {
	fmt.Fprintf(b, "\n%-38s %7s %7s %7s %7s %7s", "times in microseconds", "min", "p50", "p90", "p99", "max")
	if res.Threads {
		b.WriteString("   CPU of network threads, request handlers, replica fetchers")
	}
	b.WriteString("\n")
	for _, w := range res.Waits {
		fmt.Fprintf(b, "%-38s %7.0f %7.0f %7.0f %7.0f %7.0f", w.Name, w.Min, w.P50, w.P90, w.P99, w.Max)
		if res.Threads {
			fmt.Fprintf(b, " %9.0f %7.0f %7.0f", w.NetworkCPU, w.IOCPU, w.FollowerCPU)
		}
		b.WriteString("\n")
	}
}

func spreadOf(f profile.Figure) string {
	if f.Spread == nil {
		return string(f.Basis)
	}
	return plainNumber(f.Spread.Low) + " to " + plainNumber(f.Spread.High)
}

// plainNumber is one without needless digits.
func plainNumber(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
