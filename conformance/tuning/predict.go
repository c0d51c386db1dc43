package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ktrial/ktrial/lab/bench"
	"github.com/ktrial/ktrial/lab/experiment"
	"github.com/ktrial/ktrial/lab/profile"
)

func predict(args []string) error {
	f := flags("predict")
	name := f.String("profile", "", "a profile: its name, or a file")
	like := f.String("like", "measured.csv", "the table whose cases are predicted")
	out := f.String("out", "predicted.csv", "the table")
	seed := f.Uint64("seed", 1, "of the worlds")
	jobs := f.Int("jobs", runtime.NumCPU(), "worlds at the same time")
	warmup := f.Duration("warmup", 2*time.Second, "virtual time before the measurement")
	during := f.Duration("measure", 8*time.Second, "virtual time of the measurement")
	f.Parse(args)
	p, err := profile.Load(*name)
	if err != nil {
		return err
	}
	rows, err := readTable(*like)
	if err != nil {
		return err
	}
	before, err := readTable(*out)
	if err != nil {
		return err
	}
	w, file, err := appendTo(*out)
	if err != nil {
		return err
	}
	defer file.Close()
	todo := casesOf(rows, before)
	o := bench.Options{Profile: p, Seed: *seed, Brokers: brokers, Partitions: partitions, Replicas: replicas, Producers: 1, FreshCache: true, Warmup: *warmup, Measure: *during}
	return predictAll(todo, *jobs, o, w)
}

// casesOf are those of a table, each once, without those that are predicted already.
func casesOf(rows, before []experiment.Row) (todo []experiment.Row) {
	have := map[string]bool{}
	for _, r := range before {
		have[r.Case()] = true
	}
	for _, r := range rows {
		if c := r.Case(); !have[c] {
			have[c] = true
			todo = append(todo, experiment.Row{Settings: r.Settings, Rate: r.Rate})
		}
	}
	return todo
}

// predictAll plays some worlds at the same time and writes each row when it is there.
func predictAll(todo []experiment.Row, jobs int, o bench.Options, w *experiment.Writer) error {
	var group sync.WaitGroup
	var mu sync.Mutex
	var failed error
	next := make(chan experiment.Row)
	for range jobs {
		group.Go(func() {
			for r := range next {
				predicted, err := predictOne(r, o)
				mu.Lock()
				if err == nil {
					err = w.Write(predicted)
				}
				if err != nil && failed == nil {
					failed = fmt.Errorf("%s: %w", r.Case(), err)
				}
				mu.Unlock()
			}
		})
	}
	for i, r := range todo {
		mu.Lock()
		stop := failed != nil
		mu.Unlock()
		if stop {
			break
		}
		fmt.Fprintf(os.Stderr, "predicting: %d of %d: %s\n", i+1, len(todo), r.Case())
		next <- r
	}
	close(next)
	group.Wait()
	return failed
}

func predictOne(r experiment.Row, o bench.Options) (experiment.Row, error) {
	o.Settings = map[string]string{}
	for _, s := range r.Settings {
		name, value, _ := strings.Cut(s, "=")
		if name != "record.size" {
			o.Settings["producer."+name] = value
		}
	}
	size, err := strconv.Atoi(r.Setting("record.size"))
	if err != nil {
		return r, fmt.Errorf("found record.size %q, expected bytes", r.Setting("record.size"))
	}
	o.RecordBytes, o.Rate, o.Load = size, r.Rate, bench.Bunches
	if r.Rate == 0 {
		o.Load = bench.Full
	}
	res, err := bench.Run(o)
	if err != nil {
		return r, err
	}
	l := res.Publish
	r.PerSecond, r.Mean, r.P50, r.P95, r.P99, r.P999, r.Max = res.PerSecond, l.Mean, l.P50, l.P95, l.P99, l.P999, l.Max
	r.By = fmt.Sprintf("ktrial bench, profile %s, seed %d, trace %s, binds: %s", res.Profile, o.Seed, res.Hash, res.Binds)
	return r, nil
}
