package client

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
