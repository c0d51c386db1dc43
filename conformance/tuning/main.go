// Tuning measures many settings on a real cluster with Kafka's own
// kafka-producer-perf-test, predicts the same ones from a profile, and compares.
//
//	tuning plan [-vary ...] >plan.csv       what measure would measure
//	tuning measure -servers HOST:PORT -out measured.csv [-vary linger.ms=0,10]... [-loads 5000,max] [-repeat 3] [-pairwise]
//	tuning predict -profile this-machine.json -like measured.csv -out predicted.csv
//	tuning compare -profile this-machine.json -calibration calibration.json measured.csv predicted.csv [-plots DIR]
//	tuning payload -kind json               values as ktrial bench sends them, for conformance/tuning/codecs/run
//
// The settings are those of a producer, by Kafka's names, and record.size in bytes. The
// runs are interleaved: all settings once, in an order drawn from -seed, then all again.
// What is in the table already is not measured again, so that it can be stopped and
// started. conformance/tuning/run does all of it, with a cluster of Apache Kafka.
package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/ktrial/ktrial/lab/design"
	"github.com/ktrial/ktrial/lab/experiment"
)

func main() {
	if len(os.Args) < 2 {
		fail(errors.New("found no command, expected plan, measure, predict, compare or payload"))
	}
	commands := map[string]func([]string) error{"plan": plan, "measure": measure, "predict": predict, "compare": compare, "payload": payload}
	do, ok := commands[os.Args[1]]
	if !ok {
		fail(fmt.Errorf("found command %q, expected plan, measure, predict, compare or payload", os.Args[1]))
	}
	if err := do(os.Args[2:]); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "tuning: %v\n", err)
	os.Exit(1)
}

// texts is a flag that may be given several times.
type texts []string

func (t *texts) String() string { return strings.Join(*t, " ") }

func (t *texts) Set(text string) error {
	*t = append(*t, text)
	return nil
}

// usualGrid is what is varied if nothing else is said. A calibration sees none of it.
var usualGrid = texts{"linger.ms=0,10", "batch.size=16k,128k", "acks=1,all", "record.size=200,2000", "max.in.flight.requests.per.connection=1,5"}

// grid is what is to be measured: settings and loads.
type grid struct {
	design design.Design
	loads  []float64 // 0: as fast as it goes
}

func makeGrid(vary texts, loads string, pairwise bool, seed uint64) (g grid, err error) {
	if len(vary) == 0 {
		vary = usualGrid
	}
	factors, err := design.ParseFactors(vary)
	if err != nil {
		return g, err
	}
	g.design = design.Full(factors)
	if pairwise {
		g.design = design.Pairwise(factors, seed)
	}
	for text := range strings.SplitSeq(loads, ",") {
		rate := 0.0
		if text != "max" {
			if rate, err = strconv.ParseFloat(text, 64); err != nil || rate <= 0 {
				return g, fmt.Errorf("load %q: expected records a second, or max", text)
			}
		}
		g.loads = append(g.loads, rate)
	}
	return g, nil
}

// rows are those to be measured, in their order: each repetition is all of them in an
// order of its own.
func (g grid) rows(repeat int, seed uint64) (rows []experiment.Row) {
	rng := rand.New(rand.NewPCG(seed, 2))
	for repetition := range repeat {
		begin := len(rows)
		for i := range g.design.Runs {
			for _, rate := range g.loads {
				settings := g.design.Settings(i)
				slices.Sort(settings)
				rows = append(rows, experiment.Row{Settings: settings, Rate: rate, Repetition: repetition + 1})
			}
		}
		of := rows[begin:]
		rng.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
	}
	return rows
}

// readTable reads a file of rows; one that is not there has none.
func readTable(path string) ([]experiment.Row, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := experiment.Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return rows, nil
}

// appendTo opens a table to add rows.
func appendTo(path string) (*experiment.Writer, *os.File, error) {
	info, err := os.Stat(path)
	f, openErr := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if openErr != nil {
		return nil, nil, openErr
	}
	w, err := experiment.NewWriter(f, err == nil && info.Size() > 0)
	return w, f, err
}

// flags makes the flags of a command.
func flags(command string) *flag.FlagSet { return flag.NewFlagSet("tuning "+command, flag.ExitOnError) }
