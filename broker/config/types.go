package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// Type is the type of a value, with the number that DescribeConfigs has for it.
type Type int8

// The types of Kafka's ConfigDef. The type of a name that is not defined is
// Untyped.
const (
	Untyped Type = iota
	Boolean
	String
	Int
	Short
	Long
	Double
	List
	Class
	Password
)

var types = []string{"unknown", "boolean", "string", "int", "short", "long", "double", "list", "class", "password"}

func (t Type) String() string { return types[t] }

func typeNamed(name string) (Type, error) {
	for i, known := range types {
		if known == name && i > 0 {
			return Type(i), nil
		}
	}
	return Untyped, fmt.Errorf("found type %q, expected one of %s", name, strings.Join(types[1:], ", "))
}

// parsed is a value that has its type.
type parsed struct {
	text   string   // as Kafka shows it
	whole  int64    // of Int, Short, Long
	number float64  // of these and Double
	items  []string // of List
}

// Invalid is a value that Kafka would refuse. Its message is Kafka's.
type Invalid struct{ Name, Message string }

func (e *Invalid) Error() string { return e.Message }

// invalid is ConfigException(name, value, message).
func invalid(name, value, why string) error {
	return &Invalid{name, fmt.Sprintf("Invalid value %s for configuration %s: %s", value, name, why)}
}

// parse does what ConfigDef.parseType does.
func (t Type) parse(name, given string) (v parsed, err error) {
	v.text = strings.TrimFunc(given, func(r rune) bool { return r <= ' ' }) // Java's trim
	switch t {
	case Boolean:
		v.text = strings.ToLower(v.text)
		if v.text != "true" && v.text != "false" {
			return v, invalid(name, given, "Expected value to be either true or false")
		}
	case Short, Int, Long:
		if v.whole, err = strconv.ParseInt(strings.Map(digit, v.text), 10, bits[t]); err != nil {
			return v, invalid(name, given, "Not a number of type "+strings.ToUpper(t.String()))
		}
		v.text, v.number = strconv.FormatInt(v.whole, 10), float64(v.whole)
	case Double:
		if v.number, err = parseDouble(v.text); err != nil {
			return v, invalid(name, given, "Not a number of type DOUBLE")
		}
		v.text = javaDouble(v.number)
	case List:
		v.items = items(v.text)
		v.text = strings.Join(v.items, ",")
	case Class:
		if !isClass(v.text) {
			return v, invalid(name, given, "Class "+given+" could not be found.")
		}
	}
	return v, nil
}

// digit makes a decimal digit of any script one of ASCII, as Java reads them:
// char by char, so that those above U+FFFF are none. Those of one script are ten
// in a row.
func digit(r rune) rune {
	for _, row := range unicode.Nd.R16 {
		if lo := rune(row.Lo); lo <= r && r <= rune(row.Hi) {
			return '0' + (r-lo)%10
		}
	}
	return r
}

// items are the parts of a list.
func items(list string) (out []string) {
	if list == "" {
		return nil
	}
	for item := range strings.SplitSeq(list, ",") {
		out = append(out, strings.TrimSpace(item))
	}
	return out
}

// isClass reports whether a name may be that of a class that Kafka ships. There
// is no class path here, so that a class of another vendor cannot be found.
func isClass(name string) bool {
	return strings.HasPrefix(name, "org.apache.kafka.") || strings.HasPrefix(name, "kafka.") || strings.HasPrefix(name, "java.")
}

// parseDouble is Java's Double.parseDouble.
func parseDouble(s string) (float64, error) {
	switch strings.TrimLeft(s, "+-") {
	case "NaN", "Infinity":
	default:
		if strings.ContainsAny(s, "iInN_") { // what only Go reads
			return 0, strconv.ErrSyntax
		}
		if n := len(s); n > 0 && strings.ContainsRune("dDfF", rune(s[n-1])) {
			s = s[:n-1]
		}
	}
	x, err := strconv.ParseFloat(s, 64)
	if errors.Is(err, strconv.ErrRange) {
		err = nil // Java takes infinity, or 0
	}
	return x, err
}

// javaDouble is Java's Double.toString.
func javaDouble(x float64) string {
	switch {
	case math.IsNaN(x):
		return "NaN"
	case math.IsInf(x, 0):
		return strings.TrimPrefix(strconv.FormatFloat(x, 'f', -1, 64), "+") + "inity"
	}
	if size := math.Abs(x); x == 0 || size >= 1e-3 && size < 1e7 {
		s := strconv.FormatFloat(x, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(x, 'e', -1, 64), "e")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	n, _ := strconv.Atoi(exponent)
	return fmt.Sprintf("%sE%d", mantissa, n)
}
