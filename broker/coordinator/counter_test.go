package coordinator

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"strconv"

	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
)

// counter is a toy machine: named counters. A record sets a counter to a value; a
// tombstone removes it. What a transaction sets counts from its marker on.
type counter struct {
	env    Env
	values *timeline.Map[string, int64]
	held   *timeline.Map[string, int64] // by producer and name
	parked []func(error)
	heard  func(string) // of calls that are not decisions
}

func newCounter(env Env, heard func(string)) *counter {
	return &counter{
		env: env, heard: heard,
		values: timeline.NewMap[string, int64](env.Timeline(), cmp.Compare[string]),
		held:   timeline.NewMap[string, int64](env.Timeline(), cmp.Compare[string]),
	}
}

func (c *counter) Apply(_ kafka.Offset, rec Record, by Producer) error {
	name := string(rec.Key)
	if name == "unknown" {
		return nil
	}
	into := c.values
	if by != NoProducer {
		into, name = c.held, fmt.Sprintf("%d/%s", by.ID, name)
	}
	if rec.Value == nil {
		into.Delete(name)
		return nil
	}
	n, err := strconv.ParseInt(string(rec.Value), 10, 64)
	if err != nil {
		return fmt.Errorf("counter %s: %q is no number", name, rec.Value)
	}
	into.Set(name, n)
	return nil
}

func (c *counter) ApplyMarker(_ kafka.Offset, by Producer, commit bool) error {
	prefix := fmt.Sprintf("%d/", by.ID)
	for name, value := range c.held.All() {
		if len(name) < len(prefix) || name[:len(prefix)] != prefix {
			continue
		}
		if commit {
			c.values.Set(name[len(prefix):], value)
		}
		c.held.Delete(name)
	}
	return nil
}

func (c *counter) Loaded() { c.heard("loaded") }

func (c *counter) Unloaded() {
	for _, reply := range c.parked {
		reply(errNotHere)
	}
	c.heard("unloaded")
}

func (c *counter) MetadataChanged(*metadata.Image, *metadata.Changes) { c.heard("new metadata") }

func (c *counter) Hash(cut timeline.Cut) uint64 {
	h := fnv.New64a()
	for name, value := range c.values.AllAt(cut) {
		fmt.Fprintf(h, "%s=%d;", name, value)
	}
	for name, value := range c.held.AllAt(cut) {
		fmt.Fprintf(h, "%s:%d;", name, value)
	}
	return h.Sum64()
}

// value is a counter at a cut.
func (c *counter) value(cut timeline.Cut, name string) int64 {
	n, _ := c.values.GetAt(cut, name)
	return n
}

// add decides to add n to a counter; the answer is what it is then.
func (c *counter) add(name string, n int64) (Decision, int64) {
	sum := c.value(timeline.Written, name) + n
	return Decision{Records: []Record{number(name, sum)}}, sum
}

func number(name string, n int64) Record {
	return Record{Key: []byte(name), Value: []byte(strconv.FormatInt(n, 10))}
}
