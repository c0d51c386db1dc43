package config

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ktrial/ktrial/internal/nearest"
)

// A struct whose fields are settings names them in tags: `kafka:"linger.ms"`.
// It says of which kind they are; structs inside it are of the same kind, unless
// they say otherwise.
type settings interface{ ConfigKind() Kind }

// Setter is a field type that parses itself.
type Setter interface{ Set(string) error }

// Default sets every field of the struct that cfg points to.
func Default(cfg any) {
	each(cfg, func(f field) {
		if f.def.Null || f.def.Required {
			return
		}
		if err := f.set(f.def.Default); err != nil {
			panic(fmt.Sprintf("config: default of %s: %v", f.def.Name, err))
		}
	})
}

// Set sets one setting by its Kafka name, in every field that has it.
func Set(cfg any, name, value string) error {
	return setField(cfg, name, func(f field) error {
		text, err := f.def.Parse(value)
		if err != nil {
			return err
		}
		return f.set(text)
	})
}

// Put sets one setting without a look at its bounds: what a broker may be set to
// is wider than what a topic may that has it by default (log.flush.interval.ms may
// be below 0, flush.ms may not).
func Put(cfg any, name, value string) error {
	return setField(cfg, name, func(f field) error { return f.set(value) })
}

func setField(cfg any, name string, set func(field) error) error {
	var err error
	found := false
	each(cfg, func(f field) {
		if f.def.Name == name && err == nil {
			found = true
			err = set(f)
		}
	})
	if !found {
		return nearest.Unknown("config", name, FieldNames(cfg))
	}
	return err
}

// SetAll sets many, in the order of their names.
func SetAll(cfg any, values map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := Set(cfg, name, values[name]); err != nil {
			return err
		}
	}
	return nil
}

// Has reports whether cfg has a field for the setting.
func Has(cfg any, name string) bool {
	found := false
	each(cfg, func(f field) { found = found || f.def.Name == name })
	return found
}

// Fields are the settings that cfg has fields for, in their order.
func Fields(cfg any) (out []*Definition) {
	each(cfg, func(f field) { out = append(out, f.def) })
	return out
}

// FieldNames are their names.
func FieldNames(cfg any) (names []string) {
	for _, d := range Fields(cfg) {
		names = append(names, d.Name)
	}
	return names
}

// Texts are the settings of cfg as they stand, in the form that Kafka shows; one
// that is null is left out.
func Texts(cfg any) map[string]string {
	out := map[string]string{}
	each(cfg, func(f field) {
		if text := f.get(); text != "" || !f.def.Null {
			out[f.def.Name] = text
		}
	})
	return out
}

type field struct {
	def   *Definition
	value reflect.Value
}

func each(cfg any, visit func(field)) {
	walk(reflect.ValueOf(cfg).Elem(), -1, visit)
}

func walk(v reflect.Value, kind int, visit func(field)) {
	if s, ok := v.Interface().(settings); ok {
		kind = int(s.ConfigKind())
	}
	for i := 0; i < v.NumField(); i++ {
		t := v.Type().Field(i)
		name, tagged := t.Tag.Lookup("kafka")
		switch {
		case tagged && kind < 0:
			panic(fmt.Sprintf("config: %s: the struct of setting %s does not say its kind", v.Type(), name))
		case tagged && Find(Kind(kind), name) == nil:
			panic(fmt.Sprintf("config: %s: catalogue.tsv has no %s setting %s", v.Type(), Kind(kind), name))
		case tagged:
			f := field{Find(Kind(kind), name), v.Field(i)}
			if !f.fits() {
				panic(fmt.Sprintf("config: %s: a %s setting such as %s does not fit into %s", v.Type(), f.def.Type, name, t.Type))
			}
			visit(f)
		case t.Type.Kind() == reflect.Struct && t.IsExported():
			walk(v.Field(i), kind, visit)
		}
	}
}

// bits are how wide a whole number is.
var bits = map[Type]int{Short: 16, Int: 32, Long: 64}

// fits reports whether the field can hold all values of the setting's type.
func (f field) fits() bool {
	if _, ok := f.value.Addr().Interface().(Setter); ok {
		return true
	}
	switch f.def.Type {
	case Boolean:
		return f.value.Kind() == reflect.Bool
	case Short, Int, Long:
		return f.value.CanInt() && f.value.Type().Bits() >= bits[f.def.Type]
	case Double:
		return f.value.Kind() == reflect.Float64
	}
	return f.value.Kind() == reflect.String
}

// unit is the unit that a name ends in; Kafka spells it out in the name.
func unit(name string) time.Duration {
	switch {
	case strings.HasSuffix(name, ".minutes"):
		return time.Minute
	case strings.HasSuffix(name, ".hours"):
		return time.Hour
	case strings.HasSuffix(name, ".seconds"):
		return time.Second
	}
	return time.Millisecond
}

var durationType = reflect.TypeOf(time.Duration(0))

// longest is a time that is never over, and to which others can be added.
const longest = 1 << 61

// set sets the field to a value that the definition has passed.
func (f field) set(text string) error {
	if setter, ok := f.value.Addr().Interface().(Setter); ok {
		if err := setter.Set(text); err != nil {
			return &Invalid{f.def.Name, fmt.Sprintf("configuration %s: %v", f.def.Name, err)}
		}
		return nil
	}
	v, err := f.def.Type.parse(f.def.Name, text)
	if err != nil {
		return err
	}
	switch {
	case f.value.Type() == durationType:
		u := int64(unit(f.def.Name))
		f.value.SetInt(max(-longest/u, min(v.whole, longest/u)) * u)
	case f.value.Kind() == reflect.String:
		f.value.SetString(v.text)
	case f.value.Kind() == reflect.Bool:
		f.value.SetBool(v.text == "true")
	case f.value.CanInt():
		f.value.SetInt(v.whole)
	case f.value.Kind() == reflect.Float64:
		f.value.SetFloat(v.number)
	}
	return nil
}

func (f field) get() string {
	if f.value.Type() == durationType {
		u := int64(unit(f.def.Name))
		if f.value.Int()/u == longest/u && f.def.Type == Long {
			return strconv.FormatInt(math.MaxInt64, 10) // it was cut when it was set
		}
		return strconv.FormatInt(f.value.Int()/u, 10)
	}
	if s, ok := f.value.Interface().(fmt.Stringer); ok {
		return s.String()
	}
	return fmt.Sprint(f.value.Interface())
}
