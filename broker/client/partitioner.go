package client

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/ktrial/ktrial/broker/kafka"
)

// PartitionerClass names one of the partitioners that come with the producer.
type PartitionerClass int8

// UniformSticky is Kafka's default since 3.3 (KIP-794): a record with a key
// goes where the hash of its key says, those without stick to one partition
// until it has got batch.size bytes. RoundRobin takes the partitions in turn,
// whatever the key.
const (
	UniformSticky PartitionerClass = iota
	RoundRobin
)

var partitionerClasses = []string{"", "org.apache.kafka.clients.producer.RoundRobinPartitioner"}

// Set parses Kafka's form: empty, or the name of Java's class.
func (c *PartitionerClass) Set(s string) error { return pick(c, s, partitionerClasses) }

func (c PartitionerClass) String() string { return partitionerClasses[c] }

// Partitioner chooses a partition of r's topic, which has so many. It must not
// block.
type Partitioner func(r *ProducerRecord, partitions int32) int32

// partitionForKey is where Java's producer puts a key.
func partitionForKey(key []byte, partitions int32) int32 {
	return int32(murmur2(key)&0x7fffffff) % partitions
}

// murmur2 is the hash that decides which partition a key belongs to, with
// Kafka's own seed: all clients must agree on it.
func murmur2(data []byte) uint32 {
	const m, r = 0x5bd1e995, 24
	h := 0x9747b28c ^ uint32(len(data))
	for ; len(data) >= 4; data = data[4:] {
		k := binary.LittleEndian.Uint32(data)
		k *= m
		k ^= k >> r
		k *= m
		h *= m
		h ^= k
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(data[0])
		h *= m
	}
	h ^= h >> 13
	h *= m
	h ^= h >> 15
	return h
}

// sticky is the partition of one topic that records without a key go to now.
type sticky struct {
	chosen    bool
	partition int32
	bytes     int32 // given to it since it was chosen
}

// spread is what chooses the next sticky partition: what there is to choose
// from, and how many batches wait for each.
type spread struct {
	topic    *topic
	queued   func(partition int32) int
	adaptive bool
}

// current is the partition to use now.
func (s *sticky) current(from spread, rng *rand.Rand) int32 {
	if !s.chosen || int(s.partition) >= len(from.topic.parts) {
		*s = sticky{chosen: true, partition: from.next(rng)}
	}
	return s.partition
}

// appended records that the partition got so many bytes, and lets go of it when
// it has had its share. While its last batch can still be filled it stays, up
// to twice the share: else a long linger would leave many half full batches.
func (s *sticky) appended(bytes, share int32, batchFull bool) {
	s.bytes += bytes
	if s.bytes >= 2*share || s.bytes >= share && batchFull {
		s.chosen = false
	}
}

// moveOn lets go of a partition that has had its share and has no batch that could be filled:
// what comes next would begin one, and leave it with a record or two (KAFKA-14156).
func (s *sticky) moveOn(share int32) bool {
	if s.chosen && s.bytes >= share {
		s.chosen = false
		return true
	}
	return false
}

// leave goes to another partition, if there is another that has a leader.
func (s *sticky) leave(from spread, rng *rand.Rand) {
	others := 0
	for i := range from.topic.parts {
		if from.other(i, s) {
			others++
		}
	}
	if others == 0 {
		*s = sticky{chosen: true, partition: from.next(rng)}
		return
	}
	at := rng.IntN(others)
	for i := range from.topic.parts {
		if !from.other(i, s) {
			continue
		}
		if at == 0 {
			*s = sticky{chosen: true, partition: int32(i)}
			return
		}
		at--
	}
}

// other reports whether a partition has a leader and is not the one that s has.
func (f spread) other(i int, s *sticky) bool {
	return f.topic.parts[i].leader != kafka.NoNode && (!s.chosen || s.partition != int32(i))
}

// next draws a partition that has a leader, all alike; if queues differ in
// length, those with shorter ones are likelier. Without any leader it draws
// from all.
func (f spread) next(rng *rand.Rand) int32 {
	all := f.topic.parts
	longest, total := 0, 0
	available := 0
	for i := range all {
		if all[i].leader != kafka.NoNode {
			available++
			longest = max(longest, f.weight(i))
		}
	}
	if available == 0 {
		return rng.Int32N(int32(len(all)))
	}
	for i := range all {
		if all[i].leader != kafka.NoNode {
			total += longest + 1 - f.weight(i)
		}
	}
	at := rng.IntN(total)
	for i := range all {
		if all[i].leader == kafka.NoNode {
			continue
		}
		if at -= longest + 1 - f.weight(i); at < 0 {
			return int32(i)
		}
	}
	panic("client: the weights of the partitions do not add up")
}

func (f spread) weight(i int) int {
	if !f.adaptive {
		return 0
	}
	return f.queued(int32(i))
}

// roundRobin is RoundRobinPartitioner's turn in one topic.
type roundRobin struct{ turn int32 }

func (r *roundRobin) next(t *topic) int32 {
	turn := r.turn
	r.turn = (r.turn + 1) & 0x7fffffff
	available := int32(0)
	for i := range t.parts {
		if t.parts[i].leader != kafka.NoNode {
			available++
		}
	}
	if available == 0 {
		return turn % int32(len(t.parts))
	}
	skip := turn % available
	for i := range t.parts {
		if t.parts[i].leader == kafka.NoNode {
			continue
		}
		if skip == 0 {
			return int32(i)
		}
		skip--
	}
	panic("client: the available partitions do not add up")
}
