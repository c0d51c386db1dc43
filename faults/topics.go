package faults

import (
	"fmt"
	"math/rand/v2"
)

// AddPartitions gives a topic so many partitions more: an operator has found that it needs them.
// Producers and members of groups that are at work learn of them with their next metadata, after
// metadata.max.age.ms at the latest.
type AddPartitions struct {
	Count int32
	Topic string
}

func (f AddPartitions) String() string { return sentence(f) }

func (f AddPartitions) Momentary() {}

func (f AddPartitions) At() (topic string, partition int32) { return f.Topic, 0 }

func (f AddPartitions) Check() error {
	if f.Count < 1 {
		return fmt.Errorf("found %d partitions, expected at least 1", f.Count)
	}
	return nil
}

func (f AddPartitions) Inject(c Cluster, _ *rand.Rand) (heal func()) {
	c.AddPartitions(f.Topic, f.Count)
	return func() {} // nothing is hurt
}

// DeleteTopic deletes a topic, with all of its records. Its cure makes another one of its name,
// which has another id.
type DeleteTopic struct{ Topic string }

func (f DeleteTopic) String() string { return sentence(f) }

func (f DeleteTopic) At() (topic string, partition int32) { return f.Topic, 0 }

func (f DeleteTopic) Inject(c Cluster, _ *rand.Rand) (heal func()) {
	c.DeleteTopic(f.Topic)
	return func() { c.MakeTopic(f.Topic) }
}
