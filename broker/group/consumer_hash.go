package group

import (
	"encoding/binary"
	"slices"
	"unicode/utf16"

	"github.com/ktrial/ktrial/broker/metadata"
)

// metadataHash is a hash of all that an assignment depends on of the topics that a
// group subscribes to: ids, names, partitions, racks (KIP-1101). It is XXH3-64, over
// the same bytes as Kafka's, so that either finds nothing new in the other's log.
// 0 is that of no topics.
func metadataHash(topics map[string]subscribers, im *metadata.Image) int64 {
	var all []byte
	for _, name := range sortedKeys(topics) {
		if t := im.Topic(name); t != nil {
			all = binary.LittleEndian.AppendUint64(all, xxh3(topicBytes(t, im)))
		}
	}
	if len(all) == 0 {
		return 0
	}
	return int64(xxh3(all))
}

// topicBytes is what is hashed of a topic: its id as two numbers, its name as
// characters and their number, and so on, all little-endian.
func topicBytes(t *metadata.Topic, im *metadata.Image) []byte {
	out := []byte{0} // version of the form
	out = binary.LittleEndian.AppendUint64(out, binary.BigEndian.Uint64(t.ID[:8]))
	out = binary.LittleEndian.AppendUint64(out, binary.BigEndian.Uint64(t.ID[8:]))
	out = appendJavaString(out, t.Name)
	out = appendInt(out, len(t.Partitions))
	for i, p := range t.Partitions {
		out = appendInt(out, i)
		var racks []string
		for _, id := range p.Replicas {
			if b := im.Broker(id); b != nil && b.Rack != nil {
				racks = append(racks, *b.Rack)
			}
		}
		slices.Sort(racks)
		for _, rack := range racks {
			out = appendInt(out, utf16Len(rack))
			out = appendJavaString(out, rack)
		}
	}
	return out
}

func appendInt(out []byte, n int) []byte { return binary.LittleEndian.AppendUint32(out, uint32(n)) }

func appendJavaString(out []byte, s string) []byte {
	units := utf16.Encode([]rune(s))
	for _, u := range units {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return appendInt(out, len(units))
}
