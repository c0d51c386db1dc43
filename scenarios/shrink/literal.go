package shrink

import (
	"fmt"
	"go/format"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ktrial/ktrial/faults"
)

// The smallest run as Go: a test that plays it, to be committed beside the fix.

// GoTest is the source of a test that plays the smallest run, in a package of its
// own. It holds as long as the mistake is mended.
func (s *Smallest) GoTest() (string, error) {
	o := s.Options
	if o.Follow != nil {
		return "", s.needsDecisions("a Go test")
	}
	var b strings.Builder
	name := fmt.Sprintf("%s-seed-%d", s.Scenario.Name, o.Seed)
	fmt.Fprintf(&b, "package regressions\n\n")
	fmt.Fprintf(&b, "import (\n\"testing\"\n")
	if len(o.Plan) > 0 {
		fmt.Fprintf(&b, "\"time\"\n")
	}
	fmt.Fprintf(&b, "\n%q\n", "github.com/ktrial/ktrial")
	if len(o.Plant) > 0 {
		fmt.Fprintf(&b, "%q\n", "github.com/ktrial/ktrial/broker/planted")
	}
	fmt.Fprintf(&b, "%q\n%q\n", "github.com/ktrial/ktrial/faults", "github.com/ktrial/ktrial/scenarios")
	if o.Shape.Flags() != nil {
		fmt.Fprintf(&b, "%q\n", "github.com/ktrial/ktrial/scenarios/trial")
	}
	fmt.Fprintf(&b, ")\n\n// It failed by: %s.\n", s.Fingerprint)
	for _, line := range strings.Split(s.message(), "\n") {
		fmt.Fprintf(&b, "// %s\n", line)
	}
	fmt.Fprintf(&b, "func Test%s(t *testing.T) {\n", camel(name))
	fmt.Fprintf(&b, "s, err := scenarios.Find(%q)\nif err != nil {\nt.Fatal(err)\n}\n", s.Scenario.Name)
	fmt.Fprintf(&b, "s.Name = %q\n", name)
	fmt.Fprintf(&b, "s.Probes = nil // the danger is that of this plan\n")
	fmt.Fprintf(&b, "s.Faults = %s\n", literal(reflect.ValueOf(o.Plan)))
	fmt.Fprintf(&b, "ktrial.Try(t, s, ktrial.Seeds(%d, %d)", o.Seed, o.Seed)
	for _, setting := range slices.Sorted(maps.Keys(o.Set)) {
		fmt.Fprintf(&b, ",\nktrial.Set(%q, %q)", setting, o.Set[setting])
	}
	if o.Shape.Flags() != nil {
		fmt.Fprintf(&b, ",\nktrial.Shape(%s)", literal(reflect.ValueOf(o.Shape)))
	}
	if len(o.Plant) > 0 {
		var bugs []string
		for _, bug := range o.Plant {
			bugs = append(bugs, fmt.Sprintf("planted.Bug(%q)", string(bug)))
		}
		fmt.Fprintf(&b, ",\nktrial.Plant(%s)", strings.Join(bugs, ", "))
	}
	if o.Strict {
		fmt.Fprintf(&b, ",\nktrial.Strict()")
	}
	fmt.Fprintf(&b, ")\n}\n")
	source, err := format.Source([]byte(b.String()))
	if err != nil {
		return "", fmt.Errorf("shrink: the test of the smallest run is no Go: %w\n%s", err, b.String())
	}
	return string(source), nil
}

// needsDecisions says that a seed and a plan do not play the smallest run.
func (s *Smallest) needsDecisions(what string) error {
	return fmt.Errorf("shrink: scenario %s, seed %d: the smallest run follows what luck decided in the recorded one, for which %s has no place; keep its directory, and play it by replay",
		s.Scenario.Name, s.Options.Seed, what)
}

// message is what the smallest run says of its failure.
func (s *Smallest) message() string {
	for _, v := range s.Result.Report.Violations {
		if v.Fingerprint() == s.Fingerprint {
			return v.Message
		}
	}
	return ""
}

// literal writes a value as Go has it, without what is zero in structs.
func literal(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case faults.Target:
		var names []string
		for _, h := range x.Hosts() {
			names = append(names, strconv.Quote(h))
		}
		return "faults.Host(" + strings.Join(names, ", ") + ")"
	case time.Duration:
		return durationLiteral(x)
	}
	switch v.Kind() {
	case reflect.Interface:
		return literal(v.Elem())
	case reflect.String:
		return strconv.Quote(v.String())
	case reflect.Slice:
		var b strings.Builder
		fmt.Fprintf(&b, "%v{\n", v.Type())
		for i := range v.Len() {
			fmt.Fprintf(&b, "%s,\n", element(v.Index(i)))
		}
		return b.String() + "}"
	case reflect.Struct:
		return v.Type().String() + fields(v)
	}
	return fmt.Sprint(v.Interface())
}

// element is a value in a slice of its type, which a struct need not name again.
func element(v reflect.Value) string {
	if v.Kind() == reflect.Struct {
		return fields(v)
	}
	return literal(v)
}

// fields are those of a struct that are not zero.
func fields(v reflect.Value) string {
	var set []string
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.IsExported() && !v.Field(i).IsZero() {
			set = append(set, f.Name+": "+literal(v.Field(i)))
		}
	}
	return "{" + strings.Join(set, ", ") + "}"
}

// durationLiteral is such as 1600 * time.Millisecond.
func durationLiteral(d time.Duration) string {
	for _, unit := range []struct {
		d    time.Duration
		name string
	}{{time.Second, "time.Second"}, {time.Millisecond, "time.Millisecond"}, {time.Microsecond, "time.Microsecond"}} {
		if d%unit.d == 0 {
			return fmt.Sprintf("%d * %s", d/unit.d, unit.name)
		}
	}
	return fmt.Sprintf("%d", d)
}

// camel is a name such as late-requests-seed-1 as Go spells it.
func camel(name string) string {
	var b strings.Builder
	for _, part := range strings.Split(name, "-") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}
