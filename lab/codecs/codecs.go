// Package codecs is what the levels of Kafka's codecs make of kinds of payload, and what CPU
// that takes: a table that was measured with the libraries of Apache Kafka, in batches of 16 KiB
// of records of 1 kB. conformance/tuning/codecs/run makes it again.
//
// What a byte takes is the machine's that it was measured on. A profile has a figure of its
// own machine for one level and one payload; the table says how all others relate to it.
package codecs

import (
	_ "embed"
	"encoding/csv"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/ktrial/ktrial/broker/record"
)

// Row is one level of a codec with one payload.
type Row struct {
	Codec   string
	Level   int // 0 of a codec that has none
	Payload string
	// Ratio is how many times smaller a batch gets.
	Ratio float64
	// Compress and Decompress are nanoseconds of CPU for a byte of what is not compressed.
	Compress, Decompress float64
}

//go:embed levels.csv
var table string

var rows = parse(table)

// Rows are all of the table, each codec's levels rising within a payload.
func Rows() []Row { return slices.Clone(rows) }

func parse(text string) (rows []Row) {
	lines, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		panic("codecs: the embedded table cannot be read: " + err.Error())
	}
	for _, line := range lines[1:] {
		r := Row{Codec: line[0], Payload: line[2]}
		numbers := make([]float64, 4)
		for i, text := range []string{line[1], line[3], line[4], line[5]} {
			if numbers[i], err = strconv.ParseFloat(text, 64); err != nil {
				panic("codecs: the embedded table cannot be read: " + err.Error())
			}
		}
		r.Level, r.Ratio, r.Compress, r.Decompress = int(numbers[0]), numbers[1], numbers[2], numbers[3]
		rows = append(rows, r)
	}
	return rows
}

// Reference is the payload that figures of a profile are of, at the codec's default level.
const Reference = "json"

// Cost is what compressing and decompressing take, as multiples of what they take of the
// reference.
type Cost struct{ Compress, Decompress float64 }

// Relative is what a level takes of a payload. Between the levels of the table it goes
// straight, in proportions; beyond them it is as at the last.
func Relative(codec record.Codec, level record.Level, payload string) Cost {
	at, base := of(codec, level, payload), of(codec, 0, Reference)
	return Cost{at.Compress / base.Compress, at.Decompress / base.Decompress}
}

// Ratio is how many times smaller a level makes a payload.
func Ratio(codec record.Codec, level record.Level, payload string) float64 {
	return of(codec, level, payload).Ratio
}

// Numbered is a level by its number: 0 and gzip's -1 are the default.
func Numbered(codec record.Codec, level record.Level) int {
	if level == 0 {
		level = codec.DefaultLevel()
	}
	if codec == record.Gzip && level < 0 {
		return 6
	}
	return int(level)
}

func of(codec record.Codec, level record.Level, payload string) Row {
	n := Numbered(codec, level)
	var below, above *Row
	for i := range rows {
		switch r := &rows[i]; {
		case r.Codec != codec.String() || r.Payload != payload:
		case r.Level <= n:
			below = r
		case above == nil:
			above = r
		}
	}
	switch {
	case below == nil && above == nil: // it was not measured: all is as the reference
		return Row{codec.String(), n, payload, 1, 1, 1}
	case below == nil:
		return *above
	case above == nil || below.Level == n:
		return *below
	}
	share := float64(n-below.Level) / float64(above.Level-below.Level)
	between := func(a, b float64) float64 { return a * math.Pow(b/a, share) }
	return Row{below.Codec, n, payload, between(below.Ratio, above.Ratio), between(below.Compress, above.Compress), between(below.Decompress, above.Decompress)}
}
