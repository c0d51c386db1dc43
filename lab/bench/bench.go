// Package bench measures a cluster whose work costs what a profile says: it plays
// producers and consumers against it, offered load or as fast as it goes, and tells
// throughput, latencies, what the time was spent on, and which resource binds.
package bench

import (
	"time"

	"github.com/ktrial/ktrial/lab/profile"
)

// Load is how producers offer records.
type Load string

// The kinds of load.
const (
	// Open: records come at their times, whatever became of those before. Latency
	// counts from the call of Send, as Kafka's own tools count; a producer that blocks
	// there falls behind the rate.
	Open Load = "open"
	// Bunches is Open as kafka-producer-perf-test keeps a rate (ThroughputThrottler): it
	// counts in whole milliseconds what it is ahead by, and sleeps once that makes 2 ms. Between
	// such sleeps it sends as fast as Send returns, so that from 500 records a second on they
	// come in bunches, and a batch has several without any linger.
	Bunches Load = "bunches"
	// Closed: each producer sends one record when the one before was answered.
	Closed Load = "closed"
	// Full: each producer sends as fast as Send returns.
	Full Load = "full"
)

// Payload is what the values of records are made of.
type Payload string

// The kinds of payload.
const (
	Zeros  Payload = "zeros" // kept in little memory: for anything but compression
	Text   Payload = "text"
	JSON   Payload = "json"
	Random Payload = "random"
)

// Options say what to measure. The zero value of a field is its default.
type Options struct {
	Profile *profile.Profile
	Seed    uint64

	Brokers     int // 3
	Controllers int // 1
	Partitions  int // 6
	Replicas    int // 3
	Producers   int // 1
	Consumers   int // 0
	Groups      int // 1, of Consumers each
	// ClientMachines is how many machines producers and consumers share: as many as
	// there are of the more numerous kind.
	ClientMachines int

	RecordBytes int     // of the value; 1024
	Payload     Payload // Zeros
	Load        Load    // Open if there is a Rate, else Full
	Rate        float64 // records a second, of all producers

	// StickyForABatch has producers without keys go to another partition with each new
	// batch, as clients before Kafka 3.3 did (KIP-480), and not after batch.size bytes.
	StickyForABatch bool

	// CommitEachPoll has consumers be members of their group by name, and commit after each
	// poll that brought something, without waiting.
	CommitEachPoll bool

	// FreshCache begins with an empty page cache, which takes gigabytes before the disks
	// hold anything up. Else it is as after a long time of the same load.
	FreshCache bool

	// Settings by Kafka's names: of brokers, topics, producers and consumers. A name
	// that several of them have goes to all; "producer.", "consumer.", "broker." and
	// "topic." in front of a name says of which it is.
	Settings map[string]string

	// Backlog is for how long producers fill the topic before consumers begin to read it
	// from its start, and stop; zero: all begin together.
	Backlog time.Duration

	Warmup  time.Duration // 2 s, of virtual time
	Measure time.Duration // 10 s, of virtual time

	// Progress, if set, is called now and then with the virtual time that has passed.
	Progress func(done, of time.Duration) `json:"-"`
}

// Result is what was measured, after the warm-up.
type Result struct {
	Profile string            `json:"profile"`
	Missing []string          `json:"missing_figures,omitempty"`
	Seed    uint64            `json:"seed"`
	Config  map[string]string `json:"config"`
	Hash    string            `json:"trace_hash"`

	Seconds   float64 `json:"measured_seconds"`
	Sent      int64   `json:"records_sent"`
	Acked     int64   `json:"records_acknowledged"`
	Failed    int64   `json:"records_failed"`
	Consumed  int64   `json:"records_consumed"`
	PerSecond float64 `json:"records_per_second"` // acknowledged
	ReadRate  float64 `json:"records_consumed_per_second"`
	MBPerSec  float64 `json:"mib_per_second"` // of values acknowledged
	Offered   float64 `json:"offered_per_second,omitempty"`

	Publish  Latency `json:"publish_latency"`
	EndToEnd Latency `json:"end_to_end_latency"`

	// Stages are the means of what a record's way is made of, in order.
	Stages []Stage `json:"stages"`
	// Resources by falling use. Binds is the busiest, if it is used up.
	Resources []Use  `json:"resources"`
	Binds     string `json:"binds"`

	BatchBytes     float64            `json:"batch_bytes"`   // mean, as appended
	BatchRecords   float64            `json:"batch_records"` // mean
	Ratio          float64            `json:"compression_ratio"`
	Requests       map[string]float64 `json:"requests_per_second"`
	ISRShrinks     int64              `json:"isr_shrinks"`
	ISRExpands     int64              `json:"isr_expands"`
	NetworkBytes   float64            `json:"network_bytes_per_second"`
	DiskBytes      float64            `json:"disk_bytes_per_second"`
	BufferWaiting  float64            `json:"buffer_wait_share"` // of producers' time
	ReplicationLag int64              `json:"replication_lag_records"`

	WallSeconds float64 `json:"wall_seconds"`
	Events      uint64  `json:"events"`
}

// Latency is a distribution in milliseconds.
type Latency struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_ms"`
	P50   float64 `json:"p50_ms"`
	P75   float64 `json:"p75_ms"`
	P95   float64 `json:"p95_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p999_ms"`
	P9999 float64 `json:"p9999_ms"`
	Max   float64 `json:"max_ms"`
	// Above is the share of records that took longer, by milliseconds.
	Above map[string]float64 `json:"above,omitempty"`
}

// Stage is a part of a record's way.
type Stage struct {
	Name string  `json:"name"`
	Mean float64 `json:"mean_ms"`
}

// Use is how much of a resource was used.
type Use struct {
	Name string  `json:"name"` // "broker-1 network in", "broker-2 io threads", ...
	Kind string  `json:"kind"` // "network in", "io threads", ...
	Busy float64 `json:"busy"` // share of the time, or of the capacity
}
