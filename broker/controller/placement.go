package controller

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
)

// usableBroker is a broker that may be given new replicas: not shutting down.
type usableBroker struct {
	id     kafka.NodeID
	rack   string // "" is a rack of its own
	fenced bool
}

// place chooses the replicas of new partitions as Kafka's striped placer does
// (KIP-455, KIP-631): first of all spread over racks, then over the brokers of
// a rack, round robin from a random start; unfenced brokers before fenced ones;
// and the first replica, which will lead, is never fenced.
func place(brokers []usableBroker, partitions, replicas int32, luck *rand.Rand) ([][]kafka.NodeID, error) {
	s := newStripes(brokers, luck)
	switch {
	case replicas <= 0:
		return nil, invalidReplicationFactor("Invalid replication factor %d: the replication factor must be positive.", replicas)
	case s.unfenced == 0:
		return nil, invalidReplicationFactor("Unable to replicate the partition %d time(s): All brokers are currently fenced.", replicas)
	case int(replicas) > len(brokers):
		return nil, invalidReplicationFactor("Unable to replicate the partition %d time(s): The target replication factor of %d cannot be reached because only %d broker(s) are registered or some brokers have all their log directories cordoned.",
			replicas, replicas, len(brokers))
	}
	out := make([][]kafka.NodeID, partitions)
	for i := range out {
		out[i] = s.next(int(replicas))
	}
	return out, nil
}

func invalidReplicationFactor(format string, args ...any) error {
	return refuse(kerr.InvalidReplicationFactor, format, args...)
}

// stripes deals out replicas, one partition a round.
type stripes struct {
	racks    []*rack
	offset   int // the rack that gives the next first replica
	round    int // counts partitions
	shuffled int // the round of the last shuffle
	unfenced int
	luck     *rand.Rand
}

// rack is the brokers of one rack. Fenced ones are used up last.
type rack struct {
	name             string
	unfenced, fenced ring
}

func newStripes(brokers []usableBroker, luck *rand.Rand) *stripes {
	s := &stripes{luck: luck}
	byID := slices.Clone(brokers)
	slices.SortFunc(byID, func(a, b usableBroker) int { return cmp.Compare(a.id, b.id) })
	for _, b := range byID {
		r := s.rack(b.rack)
		if b.fenced {
			r.fenced.brokers = append(r.fenced.brokers, b.id)
		} else {
			r.unfenced.brokers = append(r.unfenced.brokers, b.id)
			s.unfenced++
		}
	}
	slices.SortFunc(s.racks, func(a, b *rack) int { return cmp.Compare(a.name, b.name) })
	for _, r := range s.racks {
		r.fenced.start(luck)
		r.unfenced.start(luck)
	}
	if len(s.racks) > 0 {
		s.offset = luck.IntN(len(s.racks))
	}
	return s
}

func (s *stripes) rack(name string) *rack {
	for _, r := range s.racks {
		if r.name == name {
			return r
		}
	}
	r := &rack{name: name}
	s.racks = append(s.racks, r)
	return r
}

// next deals the replicas of one partition. There are enough brokers, and one
// of them is unfenced.
func (s *stripes) next(replicas int) []kafka.NodeID {
	if s.round-s.shuffled == s.unfenced && s.unfenced > 1 {
		// Every broker has led once: mix, or the same sets would come again.
		s.shuffle()
		s.shuffled = s.round
	}
	s.offset %= len(s.racks)
	out := make([]kafka.NodeID, 0, replicas)

	first := s.offset
	for {
		if leader, ok := s.racks[first].unfenced.next(s.round); ok {
			out = append(out, leader)
			break
		}
		first = (first + 1) % len(s.racks)
	}
	// The rack that gave the leader is passed over, once.
	passed := false
	for at := s.offset; len(out) < replicas; at = (at + 1) % len(s.racks) {
		if at == first && !passed {
			passed = true
			continue
		}
		if broker, ok := s.racks[at].next(s.round); ok {
			out = append(out, broker)
		}
	}
	s.round++
	s.offset++
	return out
}

func (s *stripes) shuffle() {
	s.luck.Shuffle(len(s.racks), func(i, j int) { s.racks[i], s.racks[j] = s.racks[j], s.racks[i] })
	for _, r := range s.racks {
		r.fenced.shuffle(s.luck)
		r.unfenced.shuffle(s.luck)
	}
}

func (r *rack) next(round int) (kafka.NodeID, bool) {
	if broker, ok := r.unfenced.next(round); ok {
		return broker, true
	}
	return r.fenced.next(round)
}

// ring deals each of its brokers once a round, starting one further each round.
type ring struct {
	brokers []kafka.NodeID
	offset  int
	dealt   int
	round   int
}

func (r *ring) start(luck *rand.Rand) {
	if len(r.brokers) > 0 {
		r.offset = luck.IntN(len(r.brokers))
	}
}

func (r *ring) shuffle(luck *rand.Rand) {
	luck.Shuffle(len(r.brokers), func(i, j int) { r.brokers[i], r.brokers[j] = r.brokers[j], r.brokers[i] })
}

func (r *ring) next(round int) (broker kafka.NodeID, ok bool) {
	if len(r.brokers) == 0 {
		return kafka.NoNode, false
	}
	if r.round != round {
		r.round, r.dealt = round, 0
		r.offset = (r.offset + 1) % len(r.brokers)
	}
	if r.dealt == len(r.brokers) {
		return kafka.NoNode, false
	}
	broker = r.brokers[(r.dealt+r.offset)%len(r.brokers)]
	r.dealt++
	return broker, true
}
