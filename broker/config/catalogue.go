package config

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed catalogue.tsv
var table string

// definitions are those of one kind.
type definitions struct {
	all    []*Definition // by name
	byName map[string]*Definition
}

var catalogue = read(table)

// brokerNames finds the topic's setting that a broker's setting is the default
// of.
var brokerNames = func() map[string]*Definition {
	out := map[string]*Definition{}
	for _, d := range catalogue[Topic].all {
		for _, name := range d.BrokerNames {
			out[name] = d
		}
	}
	return out
}()

// columns are the first line of the table.
//   - kind: those that have this very setting, with commas between them
//   - default: "-" is null, "required" none
//   - broker: the broker's names for a setting of topics or groups
const columns = "kind\tname\ttype\tdefault\tvalid\timportance\tupdate\tinternal\tbroker\tabout"

// read reads the catalogue. A line that is wrong is our bug.
func read(table string) (out [kindCount]definitions) {
	lines := strings.Split(strings.TrimSuffix(table, "\n"), "\n")
	if lines[0] != columns {
		panic(fmt.Sprintf("config: catalogue.tsv: found columns %q, expected %q", lines[0], columns))
	}
	for i := range out {
		out[i].byName = map[string]*Definition{}
	}
	for i, line := range lines[1:] {
		if err := readLine(&out, line); err != nil {
			panic(fmt.Sprintf("config: catalogue.tsv:%d: %v", i+2, err))
		}
	}
	return out
}

// kindCount is the number of kinds.
const kindCount = int(Admin) + 1

func readLine(out *[kindCount]definitions, line string) error {
	f := strings.Split(line, "\t")
	for len(f) < strings.Count(columns, "\t")+1 {
		f = append(f, "")
	}
	d := Definition{
		Name: f[1], Default: f[3], Valid: f[4], Importance: f[5], Update: f[6], Internal: f[7] == "internal", About: f[9],
	}
	var err error
	if d.Type, err = typeNamed(f[2]); err != nil {
		return err
	}
	if d.check, err = checkOf(d.Valid); err != nil {
		return err
	}
	if d.Type == List && d.Valid == "" {
		d.check = noEmptyItem // (KIP-1161)
	}
	if f[8] != "" {
		d.BrokerNames = strings.Split(f[8], ", ")
	}
	switch d.Default {
	case "-":
		d.Null, d.Default = true, ""
	case "required":
		d.Required, d.Default = true, ""
	default:
		if d.Default, err = d.Parse(d.Default); err != nil {
			return err
		}
	}
	for kind := range strings.SplitSeq(f[0], ",") {
		i := slices.Index(kinds, kind)
		switch {
		case i < 0:
			return fmt.Errorf("found kind %q, expected one of %s", kind, strings.Join(kinds, ", "))
		case out[i].byName[d.Name] != nil:
			return fmt.Errorf("%s %s is defined twice", kind, d.Name)
		}
		one := d
		one.Kind = Kind(i)
		out[i].all = append(out[i].all, &one)
		out[i].byName[d.Name] = &one
	}
	return nil
}
