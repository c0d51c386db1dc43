package faults

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/ktrial/ktrial/internal/nearest"
)

// checked is a fault whose parameters have bounds.
type checked interface{ check() error }

// check says what is wrong with the parameters of a fault.
func check(f Fault) error {
	if f, ok := f.(checked); ok {
		return f.check()
	}
	return nil
}

func atLeast(what string, found, least time.Duration) error {
	if found < least {
		return fmt.Errorf("found a %s of %v, expected at least %v", what, found, least)
	}
	return nil
}

// Check says what in a plan cannot be played in a cluster: parameters out of
// bounds, hosts and racks that do not exist. An error names the line of
// String.
func (p Plan) Check(c Cluster) error {
	for i, t := range p {
		err := check(t.Fault)
		if err == nil {
			err = checkTargets(t.Fault, c)
		}
		if err != nil {
			return fmt.Errorf("plan: line %d: fault %q: %w", i+1, t.Fault, err)
		}
	}
	return nil
}

func checkTargets(f Fault, c Cluster) error {
	v := reflect.ValueOf(f)
	for i := range v.NumField() {
		if t, ok := v.Field(i).Interface().(Target); ok {
			if err := t.exists(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// exists says if t names what the cluster does not have at all.
func (t Target) exists(c Cluster) error {
	var known []string
	what := "host"
	switch t.kind {
	case named:
		known = everyone(c)
	case rack:
		what = "rack"
		for _, b := range c.Brokers() {
			if r := c.Rack(b); r != "" && !slices.Contains(known, r) {
				known = append(known, r)
			}
		}
	}
	for _, name := range t.names {
		if !slices.Contains(known, name) {
			return nearest.Unknown(what, name, known)
		}
	}
	return nil
}
