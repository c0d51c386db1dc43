package metadata

import (
	"slices"
	"strings"

	"github.com/ktrial/ktrial/broker/kafka"
)

// Changes is what records changed in an image. Each list is in the order of
// first change, without repetition. A changed thing may be gone again: ask the
// image. A topic both deleted and created is one that was made anew, with
// another id.
type Changes struct {
	Brokers       []kafka.NodeID
	Partitions    []kafka.TopicPartition // created or changed
	CreatedTopics []string
	DeletedTopics []DeletedTopic
	Configs       []Resource
	Features      bool
	ProducerIDs   bool
	Kept          bool // what the image only keeps: quotas, ACLs, tokens

	seen map[string]bits // what is in Partitions, by topic
}

// bits is a set of partition numbers.
type bits []uint64

func (b bits) has(n int32) bool { return int(n/64) < len(b) && b[n/64]>>(n%64)&1 == 1 }

func (b bits) with(n int32) bits {
	for int(n/64) >= len(b) {
		b = append(b, 0)
	}
	b[n/64] |= 1 << (n % 64)
	return b
}

// DeletedTopic is a topic that is gone from the image.
type DeletedTopic struct {
	Name       string
	ID         kafka.UUID
	Partitions int32
}

// Empty reports whether nothing changed.
func (c *Changes) Empty() bool {
	return len(c.Brokers) == 0 && len(c.Partitions) == 0 && len(c.CreatedTopics) == 0 &&
		len(c.DeletedTopics) == 0 && len(c.Configs) == 0 && !c.Features && !c.ProducerIDs && !c.Kept
}

// Track makes Apply record in ch what it changes, until the next Track. Nil: no more.
func (im *Image) Track(ch *Changes) { im.changes = ch }

// The methods below record one change; a nil Changes records nothing.

func (c *Changes) broker(id kafka.NodeID) {
	if c != nil && !slices.Contains(c.Brokers, id) {
		c.Brokers = append(c.Brokers, id)
	}
}

func (c *Changes) partition(tp kafka.TopicPartition) {
	if c == nil {
		return
	}
	seen := c.seen[tp.Topic]
	if seen.has(tp.Partition) {
		return
	}
	if c.seen == nil {
		c.seen = map[string]bits{}
	}
	if with := seen.with(tp.Partition); len(with) > len(seen) {
		c.seen[tp.Topic] = with
	}
	c.Partitions = append(c.Partitions, tp)
}

func (c *Changes) createdTopic(name string) {
	if c != nil && !slices.Contains(c.CreatedTopics, name) {
		c.CreatedTopics = append(c.CreatedTopics, name)
	}
}

func (c *Changes) deletedTopic(t *Topic) {
	if c != nil {
		c.DeletedTopics = append(c.DeletedTopics, DeletedTopic{t.Name, t.ID, int32(len(t.Partitions))})
	}
}

func (c *Changes) config(r Resource) {
	if c != nil && !slices.Contains(c.Configs, r) {
		c.Configs = append(c.Configs, r)
	}
}

// Diff is what differs between two images, as Changes from old to new.
func Diff(old, new *Image) Changes {
	var c Changes
	diff(old.brokers, new.brokers,
		func(a, b *Broker) int { return int(a.ID) - int(b.ID) },
		func(was, is *Broker) {
			if was == nil {
				c.broker(is.ID)
			} else if is == nil || was.hash != is.hash {
				c.broker(was.ID)
			}
		})
	diff(old.topics, new.topics,
		func(a, b *Topic) int { return strings.Compare(a.Name, b.Name) },
		func(was, is *Topic) { c.diffTopic(was, is) })
	for _, r := range slices.Concat(old.Resources(), new.Resources()) {
		if !slices.Equal(old.Config(r), new.Config(r)) {
			c.config(r)
		}
	}
	c.Features = !slices.Equal(old.features, new.features)
	c.ProducerIDs = old.producerIDs != new.producerIDs
	c.Kept = keptHash(old) != keptHash(new)
	return c
}

func (c *Changes) diffTopic(was, is *Topic) {
	if was != nil && (is == nil || was.ID != is.ID) {
		c.deletedTopic(was)
		was = nil
	}
	if is == nil {
		return
	}
	if was == nil {
		c.createdTopic(is.Name)
	}
	for _, p := range is.Partitions {
		if q := was.Partition(p.ID); q == nil || q.hash != p.hash {
			c.partition(p.TP())
		}
	}
}

// diff walks two sorted lists side by side. visit gets a pair, or nil for the
// one that is missing.
func diff[T any](old, new []*T, compare func(a, b *T) int, visit func(was, is *T)) {
	for len(old) > 0 || len(new) > 0 {
		switch {
		case len(old) == 0 || len(new) > 0 && compare(old[0], new[0]) > 0:
			visit(nil, new[0])
			new = new[1:]
		case len(new) == 0 || compare(old[0], new[0]) < 0:
			visit(old[0], nil)
			old = old[1:]
		default:
			visit(old[0], new[0])
			old, new = old[1:], new[1:]
		}
	}
}

// keptHash sums up what an image only keeps.
func keptHash(im *Image) (sum uint64) {
	for _, k := range im.kept {
		sum += im.hashOf(k.rec)
	}
	return sum
}
