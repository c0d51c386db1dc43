// Package config reads Kafka's configuration into structs. A field's tag gives
// Kafka's name and default:
//
//	type Producer struct {
//		Linger time.Duration `kafka:"linger.ms" default:"5"`
//		Acks   Acks          `kafka:"acks" default:"all"` // a type with Set(string) error
//		Batch  int32         `kafka:"batch.size" default:"16384" min:"0"`
//	}
//
// So the names are Kafka's, the fields are typed, and an unknown name is
// answered with the nearest one. Nested structs without a tag are flattened.
package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ktrial/ktrial/internal/nearest"
)

// Setter is a field type that parses itself.
type Setter interface{ Set(string) error }

// Entry is one configuration name of a struct.
type Entry struct {
	Name    string
	Default string
	Value   string // as it stands
	Kind    Kind
}

// Kind is the type of a value, with Kafka's number for it (DescribeConfigs).
type Kind int8

// The kinds of values. A field type that parses itself is a List if it says so
// with a method Items() []string, and text otherwise.
const (
	Unknown Kind = 0
	Boolean Kind = 1
	String  Kind = 2
	Int     Kind = 3
	Short   Kind = 4
	Long    Kind = 5
	Double  Kind = 6
	List    Kind = 7
)

// Default sets every field of the struct that cfg points to.
func Default(cfg any) {
	each(cfg, func(f field) {
		if err := f.set(f.deflt); err != nil {
			panic(fmt.Sprintf("config: default of %s: %v", f.name, err))
		}
	})
}

// Set sets one field by its Kafka name.
func Set(cfg any, name, value string) error {
	var err error
	found := false
	var names []string
	each(cfg, func(f field) {
		names = append(names, f.name)
		if f.name == name {
			found = true
			err = f.set(value)
		}
	})
	if !found {
		return nearest.Unknown("config", name, names)
	}
	if err != nil {
		return fmt.Errorf("config %s: %w", name, err)
	}
	return nil
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

// Entries lists all names of cfg with their values, in the order of the fields.
func Entries(cfg any) []Entry {
	var out []Entry
	each(cfg, func(f field) { out = append(out, Entry{f.name, f.deflt, f.get(), f.kind()}) })
	return out
}

// Has reports whether cfg knows name.
func Has(cfg any, name string) bool {
	found := false
	each(cfg, func(f field) { found = found || f.name == name })
	return found
}

type field struct {
	name, deflt string
	least       string // in Kafka's unit; "": whatever fits
	value       reflect.Value
}

func each(cfg any, visit func(field)) {
	walk(reflect.ValueOf(cfg).Elem(), visit)
}

func walk(v reflect.Value, visit func(field)) {
	for i := 0; i < v.NumField(); i++ {
		t := v.Type().Field(i)
		name, tagged := t.Tag.Lookup("kafka")
		switch {
		case tagged:
			visit(field{name, t.Tag.Get("default"), t.Tag.Get("min"), v.Field(i)})
		case t.Type.Kind() == reflect.Struct && t.IsExported():
			walk(v.Field(i), visit)
		}
	}
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

func (f field) set(s string) error {
	if setter, ok := f.value.Addr().Interface().(Setter); ok {
		return setter.Set(s)
	}
	switch {
	case f.value.Type() == durationType:
		n, err := f.number(s, 64)
		if err != nil {
			return err
		}
		u := unit(f.name)
		f.value.SetInt(min(n, longest/int64(u)) * int64(u))
	case f.value.Kind() == reflect.String:
		f.value.SetString(s)
	case f.value.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return fmt.Errorf("found %q, expected true or false", s)
		}
		f.value.SetBool(b)
	case f.value.CanInt():
		n, err := f.number(s, f.value.Type().Bits())
		if err != nil {
			return err
		}
		f.value.SetInt(n)
	case f.value.Kind() == reflect.Float64:
		x, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return fmt.Errorf("found %q, expected a number", s)
		}
		f.value.SetFloat(x)
	default:
		panic("config: " + f.name + " has a type that cannot be set: " + f.value.Type().String())
	}
	return nil
}

// longest is a time that is never over, and to which others can be added.
const longest = 1 << 61

// number reads a whole number that is not below the least.
func (f field) number(s string, bits int) (int64, error) {
	n, err := strconv.ParseInt(s, 10, bits)
	if err != nil {
		return 0, fmt.Errorf("found %q, expected a whole number", s)
	}
	if least, err := strconv.ParseInt(f.least, 10, 64); err == nil && n < least {
		return 0, fmt.Errorf("found %d, expected at least %d", n, least)
	}
	return n, nil
}

func (f field) get() string {
	if f.value.Type() == durationType {
		return strconv.FormatInt(f.value.Int()/int64(unit(f.name)), 10)
	}
	if s, ok := f.value.Interface().(fmt.Stringer); ok {
		return s.String()
	}
	return fmt.Sprint(f.value.Interface())
}

func (f field) kind() Kind {
	switch f.value.Addr().Interface().(type) {
	case interface{ Items() []string }:
		return List
	case Setter:
		return String
	}
	switch f.value.Kind() {
	case reflect.Bool:
		return Boolean
	case reflect.Int16:
		return Short
	case reflect.Int32:
		return Int
	case reflect.Int64:
		return Long
	case reflect.Float64:
		return Double
	}
	return String
}
