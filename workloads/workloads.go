// Package workloads drives clients and records what they saw. It sees the
// cluster only as its clients do.
//
// Every value is unique and says where it was meant to go and who sent it:
// topic, partition, producer, session, sequence. Without that, misrouted,
// reordered and resurrected records cannot be seen.
package workloads

import (
	"strconv"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/sim/env"
)

// Workload is what clients do.
type Workload interface {
	// About is one line for `ktrial list`.
	About() string
	// Set changes a parameter by its name or a client configuration by Kafka's.
	// It returns a changed copy.
	Set(name, value string) (Workload, error)
	// Check says what of its parameters contradicts itself.
	Check() error
	// Names are all that Set knows.
	Names() []string
	// Lasts is how long the clients work: the length of the safety phase.
	Lasts() time.Duration
	// Clients are the processes to start, each on a host of its own.
	Clients(s *Stage) []Client
	// Config says what was configured, by Kafka's names, for the report and for
	// what the configuration permits.
	Config() map[string]string
}

// Client is one process of a workload.
type Client struct {
	Host string
	// Main is the process. When it returns the client is done. A client that
	// was killed is started again with the same Main.
	Main func(env.Host)
}

// Stage is what a workload is given: the cluster's address, the recorder of
// what is seen, and the word that the work is over.
type Stage struct {
	Bootstrap []string
	Recorder  *history.Recorder
	// Now is the true time of the world, which no client knows: the order of
	// events in a history must not depend on skewed clocks.
	Now func() time.Duration
	// Topics are the partitions of each topic, by its name.
	Topics map[string]int32

	begun     bool
	draining  bool
	ends      map[kafka.TopicPartition]kafka.Offset
	processes int64
	keys      []history.Value
	done      map[string]bool
	producers map[string]bool
}

// Begin lets the clients begin: the topics exist.
func (s *Stage) Begin() { s.begun = true }

// Drain tells the readers that nothing more is written: they are done when
// they have read to these ends.
func (s *Stage) Drain(ends map[kafka.TopicPartition]kafka.Offset) {
	s.draining = true
	s.ends = ends
}

// Done reports whether a client has finished its work.
func (s *Stage) Done(host string) bool { return s.done[host] }

// Finished says that a client has done all its work.
func (s *Stage) finished(host string) {
	if s.done == nil {
		s.done = map[string]bool{}
	}
	s.done[host] = true
}

// key is how the history names a partition of the workload's topic.
func (s *Stage) key(tp kafka.TopicPartition) history.Value {
	for int(tp.Partition) >= len(s.keys) {
		s.keys = append(s.keys, history.Partition(tp.Topic, int32(len(s.keys))))
	}
	return s.keys[tp.Partition]
}

// newProcess numbers a logically single-threaded actor of the history.
func (s *Stage) newProcess() int64 {
	p := s.processes
	s.processes++
	return p
}

// waitBegin blocks until Begin.
func (s *Stage) waitBegin(h env.Host) {
	for !s.begun {
		h.Sleep(100 * time.Millisecond)
	}
}

// Value is what a record carries.
type Value struct {
	Partition kafka.TopicPartition
	Producer  string
	Session   int // of the producer: one life of its process
	Sequence  int64
}

// String is how it is written: p1-0-17@orders/0.
func (v Value) String() string {
	b := make([]byte, 0, len(v.Producer)+len(v.Partition.Topic)+32)
	b = append(append(b, v.Producer...), '-')
	b = append(strconv.AppendInt(b, int64(v.Session), 10), '-')
	b = append(strconv.AppendInt(b, v.Sequence, 10), '@')
	b = append(append(b, v.Partition.Topic...), '/')
	return string(strconv.AppendInt(b, int64(v.Partition.Partition), 10))
}
