package trial

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/workloads"
)

// Shape changes how many servers, partitions and replicas a scenario has. Where a
// number is 0 it stays as the scenario says.
type Shape struct {
	Brokers     int `json:"brokers,omitempty"`
	Controllers int `json:"controllers,omitempty"`
	// Partitions and Replicas are those of every topic.
	Partitions int `json:"partitions,omitempty"`
	Replicas   int `json:"replicas,omitempty"`
	// Racks are given to brokers in turn; their names are a, b, c, ...
	Racks int `json:"racks,omitempty"`
	// Topics is how many there are of the kind that the workload begins with.
	Topics int `json:"topics,omitempty"`
}

// Bounds of a shape.
const (
	mostBrokers     = 3000 // the node ids that follow are those of controllers
	mostControllers = 100  // each of them keeps up with all the others
	mostTopics      = 100
	mostRacks       = 26     // they are named by letters
	mostPartitions  = 10_000 // of what one CreateTopics may write (MAX_RECORDS_PER_USER_OP)
)

// ShapeOf is the shape with these numbers, by the names of the flags without dashes.
func ShapeOf(numbers map[string]int) Shape {
	return Shape{numbers["brokers"], numbers["controllers"], numbers["partitions"], numbers["replicas"], numbers["racks"], numbers["topics"]}
}

// drawnShape is the shape of a scenario that was drawn.
func drawnShape(d scenarios.Drawn) Shape {
	return Shape{d.Brokers, d.Controllers, d.Partitions, d.Replicas, d.Racks, d.Topics}
}

// Flags are the flags of `ktrial run` that make this shape.
func (sh Shape) Flags() (words []string) {
	for _, f := range []struct {
		name string
		n    int
	}{
		{"brokers", sh.Brokers}, {"controllers", sh.Controllers},
		{"partitions", sh.Partitions}, {"replicas", sh.Replicas}, {"racks", sh.Racks}, {"topics", sh.Topics},
	} {
		if f.n != 0 {
			words = append(words, "--"+f.name, fmt.Sprint(f.n))
		}
	}
	return words
}

// over is this shape, and where it says nothing the other one.
func (sh Shape) over(other Shape) Shape {
	return Shape{
		cmp.Or(sh.Brokers, other.Brokers), cmp.Or(sh.Controllers, other.Controllers), cmp.Or(sh.Partitions, other.Partitions),
		cmp.Or(sh.Replicas, other.Replicas), cmp.Or(sh.Racks, other.Racks), cmp.Or(sh.Topics, other.Topics),
	}
}

// apply gives a scenario the shape. Its error says why it cannot be.
func (sh Shape) apply(s scenarios.Scenario) (scenarios.Scenario, error) {
	if sh == (Shape{}) {
		return s, nil
	}
	c := &s.Cluster
	nodes := &c.Brokers
	if c.Combined > 0 {
		nodes = &c.Combined
	}
	if sh.Brokers != 0 {
		*nodes = sh.Brokers
	}
	brokers := *nodes
	switch {
	case sh.Controllers != 0 && c.Combined > 0:
		return s, sh.impossible("each node of scenario %s is a broker and a controller: --brokers says how many there are", s.Name)
	case brokers < 1 || brokers > mostBrokers:
		return s, sh.impossible("found %d brokers, expected between 1 and %d", brokers, mostBrokers)
	case sh.Controllers < 0 || sh.Controllers > mostControllers:
		return s, sh.impossible("found %d controllers, expected between 1 and %d", sh.Controllers, mostControllers)
	case sh.Racks < 0 || sh.Racks > min(brokers, mostRacks):
		return s, sh.impossible("found %d racks, expected between 1 and %d, so that each has one of the %d brokers", sh.Racks, min(brokers, mostRacks), brokers)
	case sh.Partitions < 0 || sh.Partitions > mostPartitions:
		return s, sh.impossible("found %d partitions, expected between 1 and %d", sh.Partitions, mostPartitions)
	case sh.Topics < 0 || sh.Topics > mostTopics:
		return s, sh.impossible("found %d topics, expected between 1 and %d", sh.Topics, mostTopics)
	case sh.Replicas < 0 || sh.Replicas > brokers:
		return s, sh.impossible("found %d replicas, expected between 1 and the %d brokers that there are", sh.Replicas, brokers)
	}
	if sh.Controllers != 0 {
		c.Controllers = sh.Controllers
	}
	if sh.Racks != 0 {
		c.Racks = nil
		for i := range sh.Racks {
			c.Racks = append(c.Racks, string(rune('a'+i)))
		}
	}
	s.Topics = slices.Clone(s.Topics)
	if sh.Topics > 1 {
		var err error
		if s, err = sh.spread(s); err != nil {
			return s, err
		}
	}
	for i := range s.Topics {
		sh.applyTo(&s.Topics[i])
	}
	s.Faults = sh.aim(s.Faults)
	return s, nil
}

// spread makes further topics of the kind that the workload uses first, and has it use them.
func (sh Shape) spread(s scenarios.Scenario) (scenarios.Scenario, error) {
	var also []string
	uses, _ := s.Workload.(workloads.UsesTopics)
	if uses != nil {
		for i := range sh.Topics - 1 {
			also = append(also, fmt.Sprintf("%s-%d", uses.UsesTopics()[0], i+2))
		}
	}
	w, can := workloads.Spread(s.Workload, also)
	if !can {
		return s, sh.impossible("the workload %s of scenario %s uses the topics that it names, and no others", s.Workload.Name(), s.Name)
	}
	s.Workload = w
	first := s.Topics[slices.IndexFunc(s.Topics, func(t scenarios.Topic) bool { return t.Name == uses.UsesTopics()[0] })]
	for _, name := range also {
		first.Name = name
		s.Topics = append(s.Topics, first)
	}
	return s, nil
}

func (sh Shape) applyTo(t *scenarios.Topic) {
	if sh.Partitions != 0 {
		t.Partitions = int32(sh.Partitions)
	}
	if sh.Replicas != 0 {
		t.Replicas = int16(sh.Replicas)
	}
}

// aim has drawn faults strike all partitions that there are.
func (sh Shape) aim(trouble faults.Trouble) faults.Trouble {
	if swarm, ok := trouble.(faults.Swarm); ok && sh.Partitions != 0 {
		swarm.Partitions = int32(sh.Partitions)
		return swarm
	}
	return trouble
}

// checkReplicas refuses a shape in which nothing could be acknowledged, or topics
// could not be created. It comes last, for settings may mend it.
func (sh Shape) checkReplicas(c *configuration) error {
	if sh == (Shape{}) {
		return nil
	}
	brokers := c.scenario.Cluster.Brokers + c.scenario.Cluster.Combined
	for _, t := range c.scenario.Topics {
		if int(t.Replicas) > brokers {
			return sh.impossible("topic %s has %s of each partition, and there are %d brokers (see --replicas)", t.Name, counted(int(t.Replicas), "replica"), brokers)
		}
		if minISR, _ := c.promises(t); minISR > int(t.Replicas) {
			return sh.impossible("topic %s has %s and min.insync.replicas=%d: nothing could be acknowledged with acks=all (see --set min.insync.replicas)", t.Name, counted(int(t.Replicas), "replica"), minISR)
		}
	}
	return nil
}

func (sh Shape) impossible(why string, args ...any) error {
	return fmt.Errorf("%s: %s", strings.Join(sh.Flags(), " "), fmt.Sprintf(why, args...))
}

// counted is a number with its noun: 1 replica, 2 replicas.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
