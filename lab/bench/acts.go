package bench

import (
	"maps"
	"slices"
)

// acting are settings that change what bench measures, each with a value at which that
// shows in a small run (see the test): those of threads and buffers act in costed runs
// alone, the others change how much work there is.
var acting = map[string]string{
	"num.io.threads": "1", "num.network.threads": "1", "queued.max.requests": "1", "num.replica.fetchers": "4",
	"socket.send.buffer.bytes": "16384", "socket.receive.buffer.bytes": "8192", "replica.socket.receive.buffer.bytes": "4096",
	"send.buffer.bytes": "8192", "receive.buffer.bytes": "8192",
	"replica.fetch.min.bytes": "100000", "replica.fetch.wait.max.ms": "5", "replica.fetch.max.bytes": "1000", "replica.fetch.response.max.bytes": "1000",
	"flush.messages": "1", "log.flush.interval.messages": "1", "flush.ms": "100", "log.flush.interval.ms": "100",
	"segment.bytes": "1048576", "log.segment.bytes": "1048576", "log.index.interval.bytes": "100", "index.interval.bytes": "100",
	"acks": "1", "linger.ms": "0", "batch.size": "1024", "buffer.memory": "65536", "compression.type": "lz4", "compression.gzip.level": "9", "compression.lz4.level": "12", "compression.zstd.level": "10",
	"max.in.flight.requests.per.connection": "1", "max.request.size": "4096", "enable.idempotence": "false", "partitioner.class": "org.apache.kafka.clients.producer.RoundRobinPartitioner",
	"fetch.min.bytes": "200000", "fetch.max.wait.ms": "20", "max.partition.fetch.bytes": "2000", "fetch.max.bytes": "2000", "max.poll.records": "5",
}

// Acts reports whether a setting changes what bench measures.
func Acts(name string) bool { return acting[name] != "" }

// Acting names the settings that do.
func Acting() []string { return slices.Sorted(maps.Keys(acting)) }
