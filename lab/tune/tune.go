// Package tune measures many settings: each cell of a design with package bench, on all
// cores, so that a sweep that was broken off goes on where it was. Of the results it tells
// what each setting does, which settings no other beats, which reach the goal, and what
// they cost in safety: what each permits to be lost, and what was lost under faults.
package tune

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/checkers/permit"
	"github.com/ktrial/ktrial/internal/build"
	"github.com/ktrial/ktrial/lab/bench"
	"github.com/ktrial/ktrial/lab/design"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/trial"
)

// Options say what to measure.
type Options struct {
	// Bench is what all cells have in common.
	Bench  bench.Options
	Design design.Design
	// Jobs is how many cells are measured at once; 0: one.
	Jobs int
	// Dir keeps the cells that were measured; a sweep with the same options goes on from
	// there. Empty: nothing is kept.
	Dir string
	// Under is a scenario in which each cell's settings are tried under faults, with the
	// seeds 1 to Seeds; nil: none.
	Under *scenarios.Scenario
	Seeds int
	// Progress, if set, is called when a cell is done; calls do not overlap.
	Progress func(done, of int)
}

// Cell is one combination of settings with its result.
type Cell struct {
	Settings []string     `json:"settings"` // name=value, in the order of the factors
	Result   bench.Result `json:"result"`
	// Refused is why the cell cannot be played; then there is no result. Kafka refuses
	// some settings together.
	Refused string `json:"refused,omitempty"`
	// Permits are the reasons for which something acknowledged may be lost, repeated or
	// out of order, by the table of expectations.
	Permits []string `json:"permits,omitempty"`
	// Trials are what was seen under faults.
	Trials *Trials `json:"trials,omitempty"`
}

// Trials sum up runs of a scenario with a cell's settings.
type Trials struct {
	Scenario string `json:"scenario"`
	Runs     int    `json:"runs"`
	// Allowed are runs in which a promise was broken that a setting permits to be; the
	// counts are of what was lost or out of order, by anomaly.
	Allowed  int            `json:"allowed"`
	Violated int            `json:"violated"`
	Counts   map[string]int `json:"counts,omitempty"`
}

// shapes are factors that are no settings of Kafka's: what else may vary.
var shapes = map[string]func(*bench.Options, string) error{
	"brokers":     number(func(o *bench.Options) *int { return &o.Brokers }),
	"partitions":  number(func(o *bench.Options) *int { return &o.Partitions }),
	"replicas":    number(func(o *bench.Options) *int { return &o.Replicas }),
	"producers":   number(func(o *bench.Options) *int { return &o.Producers }),
	"consumers":   number(func(o *bench.Options) *int { return &o.Consumers }),
	"groups":      number(func(o *bench.Options) *int { return &o.Groups }),
	"record-size": number(func(o *bench.Options) *int { return &o.RecordBytes }),
	"payload":     func(o *bench.Options, v string) error { o.Payload = bench.Payload(v); return nil },
	"rate": func(o *bench.Options, v string) (err error) {
		o.Rate, err = strconv.ParseFloat(v, 64)
		return err
	},
}

func number(field func(*bench.Options) *int) func(*bench.Options, string) error {
	return func(o *bench.Options, v string) (err error) {
		*field(o), err = strconv.Atoi(v)
		return err
	}
}

// Check says what of the options cannot be played in any cell.
func (o *Options) Check() error {
	for _, f := range o.Design.Factors {
		for _, level := range f.Levels {
			if _, err := o.cell([]string{f.Name + "=" + level}); err != nil {
				return fmt.Errorf("tune: %w", err)
			}
		}
		if shapes[f.Name] == nil && !known(f.Name) {
			return fmt.Errorf("tune: %s: it is neither a setting of Kafka's nor one of %s", f.Name, strings.Join(slices.Sorted(maps.Keys(shapes)), ", "))
		}
	}
	return nil
}

func known(name string) bool {
	if len(config.Kinds(name)) > 0 {
		return true
	}
	_, rest, _ := strings.Cut(name, ".") //nolint:errcheck // no dot: rest is empty
	return len(config.Kinds(rest)) > 0
}

// cell is what is measured with settings.
func (o *Options) cell(settings []string) (bench.Options, error) {
	b := o.Bench
	b.Settings = maps.Clone(b.Settings)
	if b.Settings == nil {
		b.Settings = map[string]string{}
	}
	b.Progress = nil
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		if set := shapes[name]; set != nil {
			if err := set(&b, value); err != nil {
				return b, fmt.Errorf("%s: expected a number", s)
			}
			continue
		}
		b.Settings[name] = value
	}
	return b, nil
}

// Run measures all cells, in the order of the design. An error is that of the files, or a
// bug.
func Run(o Options) ([]Cell, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	kept, err := openJournal(&o)
	if err != nil {
		return nil, err
	}
	defer kept.close()
	cells := make([]Cell, len(o.Design.Runs))
	errs := make([]error, len(cells))
	todo := make(chan int)
	var wait sync.WaitGroup
	var one sync.Mutex
	done := 0
	for range max(1, o.Jobs) {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := range todo {
				cells[i], errs[i] = o.measure(kept, o.Design.Settings(i))
				one.Lock()
				done++
				if o.Progress != nil {
					o.Progress(done, len(cells))
				}
				one.Unlock()
			}
		}()
	}
	for i := range cells {
		todo <- i
	}
	close(todo)
	wait.Wait()
	return cells, errors.Join(errs...)
}

func (o *Options) measure(kept *journal, settings []string) (Cell, error) {
	b, err := o.cell(settings)
	if err != nil {
		return Cell{}, err
	}
	key := o.key(b)
	if c, ok := kept.find(key); ok {
		return c, nil
	}
	c := Cell{Settings: settings}
	if c.Result, err = bench.Run(b); err != nil {
		c.Refused = err.Error()
	} else {
		c.Permits = permits(b.Settings)
		if o.Under != nil {
			c.Trials = o.try(b.Settings)
		}
	}
	return c, kept.keep(key, c)
}

// key names a cell among those that were kept: by all that its result depends on.
func (o *Options) key(b bench.Options) string {
	h := fnv.New64a()
	profile, err := json.Marshal(b.Profile)
	if err != nil {
		panic("tune: " + err.Error())
	}
	under := ""
	if o.Under != nil {
		under = fmt.Sprintf("%s %d", o.Under.Name, o.Seeds)
	}
	b.Profile, b.Progress = nil, nil
	options, err := json.Marshal(b)
	if err != nil {
		panic("tune: " + err.Error())
	}
	fmt.Fprintf(h, "%s\n%s\n%s\n%s", build.Version(), profile, options, under)
	return fmt.Sprintf("%016x", h.Sum64())
}

// permits are the reasons of the expectations' table for which these settings permit that
// something goes wrong.
func permits(settings map[string]string) (reasons []string) {
	var e permit.Expectations
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		plain := name
		if len(config.Kinds(name)) == 0 {
			_, plain, _ = strings.Cut(name, ".")
		}
		if permit.Knows(plain) {
			// A value that the table has no word for permits nothing.
			_ = e.Set(plain, settings[name])
		}
	}
	for _, offer := range e.Offers() {
		if !slices.Contains(reasons, offer.Reason) {
			reasons = append(reasons, offer.Reason)
		}
	}
	return reasons
}

// try plays a scenario with settings.
func (o *Options) try(settings map[string]string) *Trials {
	t := &Trials{Scenario: o.Under.Name, Counts: map[string]int{}}
	set := map[string]string{}
	for name, value := range settings {
		if len(config.Kinds(name)) == 0 {
			_, name, _ = strings.Cut(name, ".")
		}
		set[name] = value
	}
	for seed := range max(1, o.Seeds) {
		res, err := trial.Run(*o.Under, trial.Options{Seed: uint64(seed + 1), Set: set})
		if err != nil {
			t.Counts["not played: "+err.Error()]++
			continue
		}
		t.Runs++
		switch res.Report.Verdict {
		case reports.Allowed:
			t.Allowed++
		case reports.Violated:
			t.Violated++
		}
		for _, a := range res.Report.Allowed {
			t.Counts[a.Anomaly] += a.Count
		}
		for _, v := range res.Report.Violations {
			t.Counts[v.Check]++
		}
	}
	return t
}

// journal keeps cells that were measured, a line for each.
type journal struct {
	one   sync.Mutex
	cells map[string]Cell
	file  *os.File
}

type entry struct {
	Key string `json:"key"`
	Cell
}

// journalName is the file in Options.Dir.
const journalName = "cells.jsonl"

func openJournal(o *Options) (*journal, error) {
	j := &journal{cells: map[string]Cell{}}
	if o.Dir == "" {
		return j, nil
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(o.Dir, journalName), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	j.file = f
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var e entry
		// The last line may be cut off, where a sweep was broken off: it is measured again.
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			j.cells[e.Key] = e.Cell
		}
	}
	return j, lines.Err()
}

func (j *journal) find(key string) (Cell, bool) {
	j.one.Lock()
	defer j.one.Unlock()
	c, ok := j.cells[key]
	return c, ok
}

func (j *journal) keep(key string, c Cell) error {
	j.one.Lock()
	defer j.one.Unlock()
	if j.file == nil {
		return nil
	}
	text, err := json.Marshal(entry{key, c})
	if err == nil {
		_, err = j.file.Write(append(text, '\n'))
	}
	return err
}

func (j *journal) close() {
	if j.file != nil {
		j.file.Close()
	}
}
