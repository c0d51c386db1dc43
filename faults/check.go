package faults

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/ktrial/ktrial/internal/nearest"
)

// Checked is a fault whose parameters have bounds.
type Checked interface {
	Fault
	// Check says which parameter is out of bounds.
	Check() error
}

func check(f Fault) error {
	if f, ok := f.(Checked); ok {
		return f.Check()
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
// bounds, hosts, racks and partitions that do not exist. An error names the
// line that was parsed, or else that of String.
func (p Plan) Check(c Cluster) error {
	for i, t := range p {
		line := i + 1
		if t.line > 0 {
			line = t.line
		}
		if err := t.check(); err != nil {
			return fmt.Errorf("plan: line %d: %w", line, err)
		}
		err := check(t.Fault)
		if err == nil {
			err = checkTargets(t.Fault, c)
		}
		if err != nil {
			return fmt.Errorf("plan: line %d: fault %q: %w", line, t.Fault, err)
		}
	}
	return nil
}

// check says what of a plan written in Go no parser could have read.
func (t Timed) check() error {
	switch kind := reflect.TypeOf(t.Fault); {
	case t.Fault == nil:
		return fmt.Errorf("found no Fault, expected one such as faults.Kill{Host: faults.AnyBroker}")
	case kind.Kind() != reflect.Struct:
		return fmt.Errorf("found a fault of type %v, expected a struct: its fields are its parameters", kind)
	case !isDeclared(kind):
		return undeclared(kind)
	case t.At < 0 || t.For < 0:
		return fmt.Errorf("found %v for %v, expected no time below 0", t.At, t.For)
	}
	return nil
}

func checkTargets(f Fault, c Cluster) error {
	if aimed, ok := f.(Aimed); ok {
		topic, partition := aimed.At()
		if err := partitionExists(c, topic, partition); err != nil {
			return err
		}
	}
	if ofGroup, ok := f.(OfGroup); ok {
		if err := groupExists(c, ofGroup.InGroup()); err != nil {
			return err
		}
	}
	if of, ok := f.(OfTransactions); ok {
		if err := transactionalIDExists(c, of.OfTransactionalID()); err != nil {
			return err
		}
	}
	v := reflect.ValueOf(f)
	for i := range v.NumField() {
		if !v.Field(i).CanInterface() {
			continue // what is not exported is no parameter
		}
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
	case leader, follower, followers:
		return partitionExists(c, t.topic, t.partition)
	case someBrokers:
		if have := len(c.Brokers()); t.count > have {
			return fmt.Errorf("found %d brokers, expected at most the %d that there are", t.count, have)
		}
	case coordinator, anyMember, allMembers:
		return groupExists(c, t.group)
	case transactionCoordinator:
		return transactionalIDExists(c, t.id)
	case named:
		known = allHosts(c)
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

func partitionExists(c Cluster, topic string, partition int32) error {
	if !slices.Contains(c.Topics(), topic) {
		return nearest.Unknown("topic", topic, c.Topics())
	}
	if last := c.Partitions(topic) - 1; partition < 0 || partition > last {
		return fmt.Errorf("found partition %d of %s, expected one between 0 and %d", partition, topic, last)
	}
	return nil
}

func groupExists(c Cluster, group string) error {
	if !slices.Contains(c.Groups(), group) {
		return nearest.Unknown("group", group, c.Groups())
	}
	return nil
}

func transactionalIDExists(c Cluster, id string) error {
	if !slices.Contains(c.TransactionalIDs(), id) {
		return nearest.Unknown("transactional id", id, c.TransactionalIDs())
	}
	return nil
}
