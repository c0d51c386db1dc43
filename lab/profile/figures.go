package profile

// Unit is what a figure is counted in.
type Unit string

// The units of figures.
const (
	Count          Unit = "count"
	Bytes          Unit = "bytes"
	BytesPerSecond Unit = "bytes/s"
	Microseconds   Unit = "us"
	Nanoseconds    Unit = "ns"
	Seconds        Unit = "s"
	Milliseconds   Unit = "ms"
	Share          Unit = "share" // of 1
	Flag           Unit = "flag"  // 0 or 1
)

// Definition says what a figure means.
type Definition struct {
	Name  string
	Unit  Unit
	About string
	// Optional figures have a meaning when they are left out: it is in About.
	Optional bool
}

// Names of figures.
const (
	BrokerCores  = "broker.cores"
	ClientCores  = "client.cores"
	SharedHost   = "machine.shared"
	BrokerMemory = "broker.memory"

	BrokerNIC      = "network.broker.rate"
	ClientNIC      = "network.client.rate"
	NetworkShare   = "network.goodput"
	NetworkLatency = "network.latency"
	NetworkJitter  = "network.jitter"

	DiskCount     = "disk.count"
	DiskWrite     = "disk.write.rate"
	DiskRead      = "disk.read.rate"
	DiskSeek      = "disk.seek"
	DiskFsync     = "disk.fsync"
	DirtyLimit    = "cache.dirty.limit"
	DirtyBack     = "cache.dirty.background"
	CacheReadRate = "cache.read.rate"

	ThreadHandoff = "thread.handoff"
	ThreadWakeup  = "thread.wakeup"

	NetworkRequest = "broker.network.request"
	NetworkByte    = "broker.network.byte"
	IORequest      = "broker.request"
	ProduceBatch   = "broker.produce.batch"
	ProduceByte    = "broker.produce.byte"
	FetchPartition = "broker.fetch.partition"
	FetchByte      = "broker.fetch.byte"
	FollowRequest  = "follower.request"
	FollowPart     = "follower.partition"
	FollowBatch    = "follower.batch"
	FollowByte     = "follower.byte"
	BrokerPauses   = "broker.pauses"

	BrokerCollections = "broker.collections"

	ProducerRecord  = "producer.record"
	ProducerByte    = "producer.byte"
	ProducerBatch   = "producer.batch"
	ProducerRequest = "producer.request"
	SenderByte      = "producer.sent.byte"
	ConsumerRecord  = "consumer.record"
	ConsumerByte    = "consumer.byte"
	ConsumerRequest = "consumer.request"
	ClientPauses    = "client.pauses"
)

// Codec figures are named by the codec: gzip, snappy, lz4 or zstd.
const (
	CompressByte   = "codec.%s.compress.byte"
	DecompressByte = "codec.%s.decompress.byte"
)

// All are the figures that there are, in the order in which they are printed.
var All = []Definition{
	{BrokerCores, Count, "cores of the machine that a broker runs on", false},
	{ClientCores, Count, "cores of the machine that a client runs on", false},
	{SharedHost, Flag, "1: brokers and clients all run on one machine and share its cores, memory, disks and loopback", true},
	{BrokerMemory, Bytes, "page cache of a broker's machine; left out: reads are always from memory", true},

	{BrokerNIC, BytesPerSecond, "line rate of a broker's network card, in and out apart", false},
	{ClientNIC, BytesPerSecond, "line rate of a client's network card, in and out apart", false},
	{NetworkShare, Share, "of the line rate that is left for payload: 1448/1538 with 1500-byte frames", false},
	{NetworkLatency, Microseconds, "one way between two hosts, with both kernels, for a small packet on an idle network", false},
	{NetworkJitter, Microseconds, "mean of what comes on top of the latency (exponential)", false},

	{DiskCount, Count, "disks of a broker, with a queue each; partitions are spread over them", false},
	{DiskWrite, BytesPerSecond, "sequential writes of one disk", false},
	{DiskRead, BytesPerSecond, "sequential reads of one disk; left out: as fast as it writes", true},
	{DiskSeek, Microseconds, "what a read that is not in the page cache waits before its first byte", false},
	{DiskFsync, Microseconds, "service time of an fsync of a log segment with little data and of its indexes, alone on its disk (distribution)", false},
	{DirtyLimit, Bytes, "dirty page cache of a broker's machine at which writes wait for the disks (vm.dirty_ratio)", false},
	{DirtyBack, Bytes, "dirty page cache at which the operating system begins to write back (vm.dirty_background_ratio)", false},
	{CacheReadRate, BytesPerSecond, "rate at which written pages are copied in memory, per machine; left out: part of the costs per byte", true},

	{ThreadHandoff, Microseconds, "delay, without CPU, until a thread that is given work begins: request queue, response queue, purgatory", false},

	{ThreadWakeup, Microseconds, "delay, without CPU, until a thread that sleeps in a read from the network goes on; left out: part of the latency", true},

	{NetworkRequest, Microseconds, "CPU of a network thread for a request and its answer", false},
	{NetworkByte, Nanoseconds, "CPU of a network thread per byte received or sent", false},
	{IORequest, Microseconds, "CPU of an io thread per request", false},
	{ProduceBatch, Microseconds, "CPU of an io thread per batch appended: validation, index, locks", false},
	{ProduceByte, Nanoseconds, "CPU of an io thread per byte appended: CRC and copy into the page cache", false},
	{FetchPartition, Microseconds, "CPU of an io thread per partition that a fetch looks at", false},
	{FetchByte, Nanoseconds, "CPU of an io thread per byte that a fetch reads", false},
	{FollowRequest, Microseconds, "CPU of a replica fetcher per answer that has something; left out: part of the costs per partition and batch", true},
	{FollowPart, Microseconds, "CPU of a replica fetcher per partition in an answer", false},
	{FollowBatch, Microseconds, "CPU of a replica fetcher per batch appended", false},
	{FollowByte, Nanoseconds, "CPU of a replica fetcher per byte appended: CRC and copy", false},
	{BrokerPauses, Milliseconds, "pauses of a broker's process, by length (rates)", true},
	{BrokerCollections, Milliseconds, "pauses that come with a broker's work, as those for garbage do: by length, for each second of CPU that it uses (rates)", true},

	{ProducerRecord, Microseconds, "CPU of the application's thread per record sent", false},
	{ProducerByte, Nanoseconds, "CPU of the application's thread per byte of a record", false},
	{ProducerBatch, Microseconds, "CPU of the producer's sender per batch", false},
	{ProducerRequest, Microseconds, "CPU of the producer's sender per request and its answer", false},
	{SenderByte, Nanoseconds, "CPU of the producer's sender per byte sent: CRC and copy into the socket", false},
	{ConsumerRecord, Microseconds, "CPU of the application's thread per record polled", false},
	{ConsumerByte, Nanoseconds, "CPU of the application's thread per byte polled: CRC and copies", false},
	{ConsumerRequest, Microseconds, "CPU of a consumer per fetch or commit and its answer", false},
	{ClientPauses, Milliseconds, "pauses of a client's process, by length (rates)", true},

	{"codec.gzip.compress.byte", Nanoseconds, "CPU of compressing a byte with gzip at its default level, of JSON; other levels and payloads in proportion (lab/codecs)", true},
	{"codec.gzip.decompress.byte", Nanoseconds, "CPU of decompressing to a byte with gzip, the same", true},
	{"codec.snappy.compress.byte", Nanoseconds, "CPU of compressing a byte with snappy of JSON; other levels and payloads in proportion (lab/codecs)", true},
	{"codec.snappy.decompress.byte", Nanoseconds, "CPU of decompressing to a byte with snappy, the same", true},
	{"codec.lz4.compress.byte", Nanoseconds, "CPU of compressing a byte with lz4 at its default level, of JSON; other levels and payloads in proportion (lab/codecs)", true},
	{"codec.lz4.decompress.byte", Nanoseconds, "CPU of decompressing to a byte with lz4, the same", true},
	{"codec.zstd.compress.byte", Nanoseconds, "CPU of compressing a byte with zstd at its default level, of JSON; other levels and payloads in proportion (lab/codecs)", true},
	{"codec.zstd.decompress.byte", Nanoseconds, "CPU of decompressing to a byte with zstd, the same", true},
}

// Find is the definition of a figure, or nil.
func Find(name string) *Definition {
	for i := range All {
		if All[i].Name == name {
			return &All[i]
		}
	}
	return nil
}

// Names are those of All.
func Names() (names []string) {
	for i := range All {
		names = append(names, All[i].Name)
	}
	return names
}
