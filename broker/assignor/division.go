package assignor

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
)

// slot is a partition, by the number of its topic and its own.
type slot struct{ topic, partition int }

// division is topics and members while a sticky assignor divides them.
type division struct {
	balance
	members   []*Member // by id
	topics    []string  // that exist and are subscribed, by name
	index     map[string]int
	racks     [][]Racks
	rackAware bool
	prior     [][]int  // the member with a valid claim, or unowned
	contested [][]bool // two members claim it with equal right
	alsoGiven []disputed
}

func newDivision(topics Topics, members []Member) *division {
	d := &division{members: byID(members), index: map[string]int{}}
	d.load = make([]int, len(members))
	subscribed := subscriptions(members)
	for _, name := range slices.Sorted(maps.Keys(topics)) {
		of, n := subscribed[name], len(topics[name])
		if len(of) == 0 || n == 0 {
			continue
		}
		var subscribers []int
		for i, m := range d.members {
			if of[m.ID] {
				subscribers = append(subscribers, i)
			}
		}
		d.index[name] = len(d.topics)
		d.topics = append(d.topics, name)
		d.racks = append(d.racks, topics[name])
		d.subscribers = append(d.subscribers, subscribers)
		d.owner = append(d.owner, slices.Repeat([]int{unowned}, n))
		d.prior = append(d.prior, slices.Repeat([]int{unowned}, n))
		d.contested = append(d.contested, make([]bool, n))
	}
	d.rackAware = needsRacks(slices.Concat(d.racks...), d.members)
	return d
}

// alike reports whether all members subscribe to the same topics.
func (d *division) alike() bool {
	return len(d.members) > 0 && !slices.ContainsFunc(d.subscribers, func(of []int) bool { return len(of) != len(d.members) })
}

// mismatch reports whether a member has no replica of the partition in its
// rack; a member without a rack is content with any.
func (d *division) mismatch(topic, partition, member int) bool {
	rack := d.members[member].Rack
	return d.rackAware && rack != "" && !slices.Contains(d.racks[topic][partition], rack)
}

// neighbours is the number of members in the racks of a partition's replicas.
func (d *division) neighbours(s slot) (n int) {
	racks := d.racks[s.topic][s.partition]
	for _, m := range d.members {
		if m.Rack != "" && slices.Contains(racks, m.Rack) {
			n++
		}
	}
	return n
}

// free are the partitions without an owner, by topic and number.
func (d *division) free() (free []slot) {
	for t, owners := range d.owner {
		for p, m := range owners {
			if m == unowned {
				free = append(free, slot{t, p})
			}
		}
	}
	return free
}

// changesOwner reports whether a partition goes to another member than the one
// that may still be consuming it.
func (d *division) changesOwner(topic, partition int) bool {
	prior := d.prior[topic][partition]
	return d.contested[topic][partition] || prior != unowned && prior != d.owner[topic][partition]
}

// shares is the division as the members get it, without what is withheld.
func (d *division) shares(withheld func(topic, partition int) bool) Shares {
	shares := Shares{}
	for _, m := range d.members {
		shares[m.ID] = nil
	}
	add := func(t, p, member int) {
		id := d.members[member].ID
		shares[id] = append(shares[id], kafka.TopicPartition{Topic: d.topics[t], Partition: int32(p)})
	}
	for t, owners := range d.owner {
		for p, m := range owners {
			if m != unowned && (withheld == nil || !withheld(t, p)) {
				add(t, p, m)
			}
		}
	}
	for _, g := range d.alsoGiven {
		if d.owner[g.topic][g.partition] != g.member {
			add(g.topic, g.partition, g.member)
		}
	}
	return shares.sorted()
}

func bigEndian(n int32) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

func fromBigEndian(data []byte) int32 { return int32(binary.BigEndian.Uint32(data)) }
