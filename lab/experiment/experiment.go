// Package experiment holds what was measured or predicted of many settings, as
// tables that can be kept beside each other, and compares two such tables.
package experiment

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Row is one run: its settings, its load, and what came of it.
type Row struct {
	Settings   []string // "name=value", sorted
	Rate       float64  // records a second that were offered; 0: as fast as it went
	Repetition int      // from 1 on; 0 in a prediction

	PerSecond                      float64 // records
	Mean, P50, P95, P99, P999, Max float64 // publish latency in milliseconds
	// By is what made the row, or why it has no numbers.
	By string
}

// Case is what two tables have in common of a row: settings and load.
func (r Row) Case() string { return strings.Join(append(slices.Clone(r.Settings), r.load()), " ") }

func (r Row) load() string {
	if r.Rate == 0 {
		return "load=max"
	}
	return "load=" + strconv.FormatFloat(r.Rate, 'f', -1, 64)
}

// Setting is the value of a setting; "" without it.
func (r Row) Setting(name string) string {
	for _, s := range r.Settings {
		if value, ok := strings.CutPrefix(s, name+"="); ok {
			return value
		}
	}
	return ""
}

var columns = []string{"settings", "load", "repetition", "records_per_second", "mean_ms", "p50_ms", "p95_ms", "p99_ms", "p999_ms", "max_ms", "by"}

func (r Row) cells() []string {
	cells := []string{strings.Join(r.Settings, " "), strings.TrimPrefix(r.load(), "load="), strconv.Itoa(r.Repetition)}
	for _, x := range r.numbers() {
		cells = append(cells, strconv.FormatFloat(*x, 'f', -1, 64))
	}
	return append(cells, r.By)
}

func (r *Row) numbers() []*float64 {
	return []*float64{&r.PerSecond, &r.Mean, &r.P50, &r.P95, &r.P99, &r.P999, &r.Max}
}

// Writer writes rows as CSV, each at once, so that what was measured is kept when the
// next run ends badly.
type Writer struct{ w *csv.Writer }

// NewWriter writes the names of the columns, unless the table has them already.
func NewWriter(w io.Writer, begun bool) (*Writer, error) {
	t := &Writer{csv.NewWriter(w)}
	if begun {
		return t, nil
	}
	return t, t.write(columns)
}

// Write writes a row.
func (t *Writer) Write(r Row) error { return t.write(r.cells()) }

func (t *Writer) write(cells []string) error {
	if err := t.w.Write(cells); err != nil {
		return err
	}
	t.w.Flush()
	return t.w.Error()
}

// Read reads a table.
func Read(from io.Reader) (rows []Row, err error) {
	lines, err := csv.NewReader(from).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("experiment: %w", err)
	}
	if len(lines) == 0 || !slices.Equal(lines[0], columns) {
		return nil, fmt.Errorf("experiment: found other columns, expected %s", strings.Join(columns, ","))
	}
	for i, line := range lines[1:] {
		r, err := parse(line)
		if err != nil {
			return nil, fmt.Errorf("experiment: row %d: %w", i+1, err)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func parse(line []string) (r Row, err error) {
	r.Settings = strings.Fields(line[0])
	slices.Sort(r.Settings)
	if line[1] != "max" {
		if r.Rate, err = strconv.ParseFloat(line[1], 64); err != nil {
			return r, fmt.Errorf("found load %q, expected a rate or max", line[1])
		}
	}
	if r.Repetition, err = strconv.Atoi(line[2]); err != nil {
		return r, fmt.Errorf("found repetition %q, expected a number", line[2])
	}
	for i, x := range r.numbers() {
		if *x, err = strconv.ParseFloat(line[3+i], 64); err != nil {
			return r, fmt.Errorf("found %s %q, expected a number", columns[3+i], line[3+i])
		}
	}
	r.By = line[len(line)-1]
	return r, nil
}

// Metric is a number of a row that is compared.
type Metric struct {
	Name, Unit string
	Of         func(Row) float64
	// AtFullLoad and AtRate say for which loads it is: a rate that is offered is no
	// throughput that could be missed.
	AtFullLoad, AtRate bool
}

// Metrics are those that are compared.
var Metrics = []Metric{
	{"throughput", "records/s", func(r Row) float64 { return r.PerSecond }, true, false},
	{"mean latency at full load", "ms", func(r Row) float64 { return r.Mean }, true, false},
	{"mean latency at a fixed rate", "ms", func(r Row) float64 { return r.Mean }, false, true},
	{"p99 latency at a fixed rate", "ms", func(r Row) float64 { return r.P99 }, false, true},
	{"p99 latency at full load", "ms", func(r Row) float64 { return r.P99 }, true, false},
}

// Has reports whether it is one of the row's load.
func (m Metric) Has(r Row) bool { return r.Rate == 0 && m.AtFullLoad || r.Rate > 0 && m.AtRate }

// failed reports whether a row has no numbers.
func (r Row) failed() bool { return r.PerSecond == 0 || math.IsNaN(r.PerSecond) }
