// Package published holds what others have measured and published of Kafka:
// figures, each with its source, hardware and settings. A model is fitted to some
// of them and compared with the others.
package published

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
)

//go:embed published.csv
var table string

// Row is one published figure. A number that its source does not give is 0, a
// word that it does not give is "".
type Row struct {
	ID       string
	Source   string
	Hardware string

	Brokers, Partitions, ReplicationFactor int
	Acks                                   string // "1", "all"
	MinInsync                              int
	Producers, Consumers                   int
	RecordBytes, BatchBytes                int
	LingerMs                               float64
	LingerGiven                            bool
	Compression                            string
	// FsyncEach says that each append was synced (flush.messages=1).
	FsyncEach bool

	// OfferedPerSecond is the rate of records that was offered; 0: as fast as it went.
	OfferedPerSecond float64

	Metric string // "throughput", "publish_latency_avg", ...
	Value  float64
	Unit   string // of Value: "rec/s", "ms", "MB/s", "MiB/s", "fraction"
	Notes  string
}

// Rows are all of them, in the order of the table.
func Rows() []Row {
	rows, err := parse(table)
	if err != nil {
		panic(err) // the table is part of the program
	}
	return rows
}

// Named is the row with an id.
func Named(id string) (Row, bool) {
	for _, r := range Rows() {
		if r.ID == id {
			return r, true
		}
	}
	return Row{}, false
}

func parse(text string) (rows []Row, err error) {
	lines, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("published figures: %w", err)
	}
	for i, line := range lines[1:] {
		c := cells{names: lines[0], values: line}
		r := c.row()
		if c.err != nil {
			return nil, fmt.Errorf("published figures: row %d, %s: %w", i+1, r.ID, c.err)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// cells are those of one line, by the names of the columns.
type cells struct {
	names, values []string
	err           error
}

func (c *cells) row() Row {
	r := Row{
		ID: c.text("id"), Source: c.text("source"), Hardware: c.text("hardware"),
		Brokers: c.whole("brokers"), Partitions: c.whole("partitions"), ReplicationFactor: c.whole("rf"),
		Acks: c.text("acks"), MinInsync: c.whole("min_isr"), Producers: c.whole("producers"), Consumers: c.whole("consumers"),
		RecordBytes: c.whole("record_bytes"), BatchBytes: c.whole("batch_bytes"),
		LingerMs: c.number("linger_ms"), LingerGiven: c.text("linger_ms") != "", Compression: c.text("compression"),
		FsyncEach: strings.HasPrefix(c.text("fsync"), "every append"),
		Metric:    c.text("metric"), Value: c.number("value"), Unit: c.text("unit"), Notes: c.text("notes"),
	}
	const offered = "offered_rec_s="
	for part := range strings.SplitSeq(r.Notes, ";") {
		if value, ok := strings.CutPrefix(strings.TrimSpace(part), offered); ok {
			r.OfferedPerSecond = c.parse(value)
		}
	}
	return r
}

func (c *cells) text(name string) string {
	for i, n := range c.names {
		if n == name {
			return c.values[i]
		}
	}
	c.err = fmt.Errorf("found no column %q", name)
	return ""
}

func (c *cells) whole(name string) int { return int(c.number(name)) }

func (c *cells) number(name string) float64 {
	text := c.text(name)
	if text == "" {
		return 0
	}
	return c.parse(text)
}

func (c *cells) parse(text string) float64 {
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		c.err = fmt.Errorf("found %q, expected a number", text)
	}
	return x
}
