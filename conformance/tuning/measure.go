package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/lab/experiment"
)

// meter is what measures one row.
type meter struct {
	servers   string
	tool      []string // what runs Kafka's tools: conformance/tool
	seconds   float64  // of a run with a rate
	warmup    float64  // seconds before it that do not count
	megabytes float64  // of a run at full speed
	records   int      // at most, of such a run
}

// measuring are the flags of measure and of plan.
type measuring struct {
	m      meter
	tool   string
	out    string
	vary   texts
	loads  string
	repeat int
	pairs  bool
	seed   uint64
}

// parse reads the flags and makes the rows to be measured.
func (k *measuring) parse(command string, args []string) ([]experiment.Row, error) {
	f := flags(command)
	f.StringVar(&k.m.servers, "servers", "", "bootstrap `servers`")
	f.StringVar(&k.tool, "tool", "conformance/tool", "what runs Kafka's tools")
	f.StringVar(&k.out, "out", "measured.csv", "the table")
	f.Var(&k.vary, "vary", "`setting=value,value,...`, any number of times")
	f.StringVar(&k.loads, "loads", "5000,max", "records a second; max: as fast as it goes")
	f.IntVar(&k.repeat, "repeat", 3, "how often all of it is repeated")
	f.BoolVar(&k.pairs, "pairwise", false, "only so many settings that each two values meet")
	f.Uint64Var(&k.seed, "seed", 1, "of the order, and of a pairwise design")
	f.Float64Var(&k.m.seconds, "seconds", 8, "of a run with a rate")
	f.Float64Var(&k.m.warmup, "warmup", 3, "seconds of warming up before it")
	f.Float64Var(&k.m.megabytes, "mb", 200, "of records in a run at full speed")
	f.IntVar(&k.m.records, "records", 1_500_000, "at most in a run at full speed")
	f.Parse(args)
	if f.NArg() > 0 {
		return nil, fmt.Errorf("found %q, expected flags only", f.Arg(0))
	}
	k.m.tool = strings.Fields(k.tool)
	g, err := makeGrid(k.vary, k.loads, k.pairs, k.seed)
	return g.rows(k.repeat, k.seed), err
}

// plan prints the rows that measure would measure, without numbers.
func plan(args []string) error {
	var k measuring
	rows, err := k.parse("plan", args)
	if err != nil {
		return err
	}
	w, err := experiment.NewWriter(os.Stdout, false)
	for _, r := range rows {
		err = errors.Join(err, w.Write(r))
	}
	return err
}

func measure(args []string) error {
	var k measuring
	rows, err := k.parse("measure", args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return k.m.all(ctx, rows, k.out)
}

// all measures what is not in the table yet.
func (m meter) all(ctx context.Context, rows []experiment.Row, path string) error {
	before, err := readTable(path)
	if err != nil {
		return err
	}
	have := map[string]bool{}
	for _, r := range before {
		have[repeated(r)] = true
	}
	w, file, err := appendTo(path)
	if err != nil {
		return err
	}
	defer file.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(m.servers, ",")...))
	if err != nil {
		return err
	}
	defer cl.Close()
	began, done := time.Now(), 0
	for i, r := range rows {
		if have[repeated(r)] {
			continue
		}
		left := "?"
		if done > 0 {
			left = (time.Since(began) / time.Duration(done) * time.Duration(len(rows)-i)).Round(time.Second).String()
		}
		fmt.Fprintf(os.Stderr, "measuring: %d of %d, %s left: %s\n", i+1, len(rows), left, r.Case())
		if err := m.one(ctx, cl, &r); err != nil {
			return fmt.Errorf("%s: %w", r.Case(), err)
		}
		if err := w.Write(r); err != nil {
			return err
		}
		done++
	}
	return nil
}

func repeated(r experiment.Row) string { return fmt.Sprintf("%s #%d", r.Case(), r.Repetition) }

// one measures a row, on a topic of its own.
func (m meter) one(ctx context.Context, cl *kgo.Client, r *experiment.Row) (err error) {
	topic := fmt.Sprintf("tuning-%d", time.Now().UnixNano())
	if err := create(ctx, cl, topic); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop(cl, topic)) }()
	args, err := m.arguments(topic, *r)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, m.tool[0], append(m.tool[1:], args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", args[0], err, out)
	}
	r.By = "kafka-producer-perf-test, " + time.Now().UTC().Format(time.RFC3339)
	return read(r, string(out))
}

// arguments are those of the tool for a row.
func (m meter) arguments(topic string, r experiment.Row) ([]string, error) {
	size, err := strconv.Atoi(r.Setting("record.size"))
	if err != nil || size < 1 {
		return nil, fmt.Errorf("found record.size %q, expected bytes", r.Setting("record.size"))
	}
	warm, count, throughput := int(m.warmup*r.Rate), int(m.seconds*r.Rate), strconv.FormatFloat(r.Rate, 'f', -1, 64)
	if r.Rate == 0 {
		count, throughput = min(m.records, int(m.megabytes*1e6)/size), "-1"
		warm = count / 4 // for the client's compiler, and until the buffer is full
	}
	args := []string{
		"producer-perf-test", "--bootstrap-server", m.servers, "--topic", topic, "--num-records", strconv.Itoa(count + warm), "--warmup-records", strconv.Itoa(warm),
		"--record-size", strconv.Itoa(size), "--throughput", throughput, "--command-property",
	}
	for _, s := range r.Settings {
		if !strings.HasPrefix(s, "record.size=") {
			args = append(args, s)
		}
	}
	return args, nil
}

// result is the last line of the tool, that of what came after the warm-up.
var result = regexp.MustCompile(`([\d.]+) records/sec \([^)]*\), ([\d.]+) ms avg latency, ([\d.]+) ms max latency, ([\d.]+) ms 50th, ([\d.]+) ms 95th, ([\d.]+) ms 99th, ([\d.]+) ms 99.9th`)

// read takes the numbers out of what the tool printed.
func read(r *experiment.Row, out string) error {
	all := result.FindAllStringSubmatch(out, -1)
	if len(all) == 0 {
		return fmt.Errorf("found no result in %q", out)
	}
	for i, x := range []*float64{&r.PerSecond, &r.Mean, &r.Max, &r.P50, &r.P95, &r.P99, &r.P999} {
		value, err := strconv.ParseFloat(all[len(all)-1][i+1], 64)
		if err != nil {
			return err
		}
		*x = value
	}
	return nil
}

// create makes a topic and waits for its leaders.
func create(ctx context.Context, cl *kgo.Client, topic string) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, partitions, replicas
	req.Topics, req.TimeoutMillis = append(req.Topics, t), 30_000
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	if err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); err != nil {
		return fmt.Errorf("create topic: %w", err)
	}
	time.Sleep(time.Second) // followers begin to fetch
	return nil
}

// drop deletes a topic, whatever ended the run.
func drop(cl *kgo.Client, topic string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req := kmsg.NewPtrDeleteTopicsRequest()
	t := kmsg.NewDeleteTopicsRequestTopic()
	t.Topic = &topic
	req.TopicNames, req.Topics, req.TimeoutMillis = []string{topic}, append(req.Topics, t), 30_000
	_, err := req.RequestWith(ctx, cl)
	return err
}
