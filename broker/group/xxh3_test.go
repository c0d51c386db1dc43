package group

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
)

// What hash4j, which Kafka uses, says of bytes 3, 10, 17, ...
func TestXXH3_IsThatOfKafka(t *testing.T) {
	for n, want := range map[int]string{
		0: "2d06800538d394c2", 1: "13e608bc156defed", 2: "1c9074b93943b86c", 3: "a9088dda485b481c", 4: "6d9253b16c8b1ed3",
		5: "998620e10e3a4b37", 8: "60539db630471163", 9: "feff668361d723a8", 12: "6829454be0cc3199", 16: "b8c859b0f030b585",
		17: "714a04408e79b80f", 31: "ed41ac283d0674b3", 32: "19ff4ee1d6ba1a55", 33: "3e44983ad21679c8", 64: "287eb1fa9e4be2c1",
		65: "829218de4d798646", 128: "67425a03650261bf", 129: "c664bf3311c6abc4", 130: "a620cbbc569eeeab", 200: "746cd0025327bf5b",
		240: "64556dc6b462a6cf", 241: "8beadd3a8874fe17", 256: "3c38817f6d79c0da", 300: "fd9aa0f0d62e0227", 512: "f58202b8d9019d1d",
		1023: "d26986a0b85dcc44", 1024: "9b81661c641c72b1", 1025: "806c2072ed713576", 1100: "8e7ec0c060bbe423",
		2048: "abe604813ba62ed1", 2049: "55aed42c9f1554b6", 5000: "799aaddd7339581d",
	} {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i*7 + 3)
		}
		assert.Equal(t, want, strconv.FormatUint(xxh3(b), 16), "%d bytes", n)
	}
}

// The same topic hashed by Kafka's Utils.computeTopicHash and computeGroupHash.
func TestMetadataHash_IsThatOfKafka(t *testing.T) {
	im := metadata.NewImage()
	racks := []string{"ré", "r0"}
	for i, rack := range racks {
		must(im.Apply(&metadata.RegisterBrokerRecord{BrokerID: kafka.NodeID(i + 1), Rack: &rack}))
	}
	id := kafka.UUID{1, 2, 3, 4, 5, 6, 7, 8, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18}
	must(im.Apply(&metadata.TopicRecord{Name: "orders", TopicID: id}))
	for p := range int32(3) {
		must(im.Apply(&metadata.PartitionRecord{PartitionID: p, TopicID: id, Replicas: []kafka.NodeID{1, 2}, Leader: 1}))
	}
	assert.EqualValues(t, 4301632645853745204, metadataHash(map[string]subscribers{"orders": {}, "absent": {}}, im))
	assert.Zero(t, metadataHash(map[string]subscribers{"absent": {}}, im))
}
