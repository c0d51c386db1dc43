// Package workloads drives clients and records what they saw. It sees the
// cluster only as its clients do.
//
// Every value is unique and says where it was meant to go and which producer
// sent it: topic, partition, producer, session, sequence. Without that,
// misrouted, reordered and resurrected records cannot be seen.
package workloads

import (
	"strconv"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/internal/nearest"
	"github.com/ktrial/ktrial/sim/env"
)

// Workload is what clients do.
type Workload interface {
	// Name is how `ktrial list` names the kind of workload: "produce-consume".
	Name() string
	// About is one line for `ktrial list`.
	About() string
	// Lasts is how long the clients work: the length of the safety phase.
	Lasts() time.Duration
	// Clients are the processes to start, each on a host of its own.
	Clients(s *Stage) []Client
}

// UsesTopics is a workload that says which topics the scenario must have.
type UsesTopics interface {
	Workload
	UsesTopics() []string
}

// Spread has a workload use further topics as it uses its first; false: it cannot.
func Spread(w Workload, also []string) (Workload, bool) {
	switch w := w.(type) {
	case ProduceConsume:
		w.Also = also
		return w, true
	case GroupConsume:
		w.Input.Also = also
		return w, true
	}
	return nil, false
}

// Configured is a workload that says what its clients asked to be promised.
type Configured interface {
	Workload
	// Config says what was configured, by Kafka's names, for the report and for
	// what the configuration permits. Before the work has begun it says no more than
	// is certain then.
	Config() map[string]string
}

// PerRun is a workload that keeps what it sees of a run: each run has its own.
type PerRun interface {
	Workload
	ForRun() Workload
	// Finish is called when the run is over, and may record what is known then. It
	// returns what the history does not have.
	Finish() Counted
}

// Counted is what was seen of programs beside their history.
type Counted struct {
	// Alike are records without a producer id that equal others: a duplicate of one cannot
	// be told from the other.
	Alike int64
	// Told are sends of which a program itself said that they are acknowledged; Unproven
	// are those of them of which its connections did not show it.
	Told, Unproven int64
	// Refused are lines that begin as what a program tells, and were not understood.
	Refused int64
}

// Settable is a workload with parameters that `--set` changes.
type Settable interface {
	Configured
	// Set changes a parameter by its name or a client configuration by Kafka's.
	// It returns a changed copy.
	Set(name, value string) (Workload, error)
	// Check says what of its parameters contradicts itself.
	Check() error
	// Names are all that Set knows.
	Names() []string
}

// Set changes a parameter of a workload, if it has parameters.
func Set(w Workload, name, value string) (Workload, error) {
	if s, ok := w.(Settable); ok {
		return s.Set(name, value)
	}
	return nil, nearest.Unknown("parameter", name, nil)
}

// setWithin changes a parameter of the work that another workload is made of; names
// are all that the whole knows.
func setWithin[W Settable](part W, name, value string, names []string) (W, error) {
	changed, err := part.Set(name, value)
	if nearest.IsUnknown(err) {
		return part, nearest.Unknown("parameter", name, names)
	}
	if err != nil {
		return part, err
	}
	return changed.(W), nil
}

// Role says what a trial expects of a client.
type Role uint8

const (
	// Other: the client must be done when the readers are.
	Other Role = iota
	// Writes: the client must be done before the readers hear where the logs
	// end.
	Writes
	// Reads: the client is done when it has read to the ends that Ends says.
	Reads
)

// Client is one process of a workload.
type Client struct {
	Host string
	Role Role
	// Group is the consumer group that it is a member of; empty: none.
	Group string
	// Watches is the consumer group whose progress it waits for without being a
	// member; empty: none.
	Watches string
	// TransactionalID is that of its producer; empty: it has none.
	TransactionalID string
	// Compares: it tells what it finds, and whether that is what it was told (ClientFound).
	Compares bool
	// Provokes: it asks for what is refused, again and again. What laws say of a cluster that
	// nothing disturbs is not asked beside it.
	Provokes bool
	// Stops: Main returns soon after Stage.Stopping says so, having left in order,
	// as a program does that is sent SIGTERM. Other clients are killed instead.
	Stops bool
	// Main is the process. When it returns the client is done. A client that
	// was killed is started again with the same Main.
	Main func(env.Host)
}

// Awaits is the consumer group without whose progress the client is never done; empty:
// none.
func (c *Client) Awaits() string {
	if c.Group != "" {
		return c.Group
	}
	return c.Watches
}

// Stage is what a workload is given: the cluster's address, the recorder of
// what is seen, and the phases of the trial.
type Stage struct {
	// Bootstrap is bootstrap.servers.
	Bootstrap []string
	Recorder  *history.Recorder
	// Now is the true time of the world, which no client knows: the order of
	// events in a history must not depend on skewed clocks.
	Now func() time.Duration
	// TellHeaders: the history has the headers of records, too.
	TellHeaders bool
	// Bugs are planted in clients, as they are in brokers; nil: none.
	Bugs *planted.Set
	// Topics are the partitions of each topic, by its name.
	Topics map[string]int32
	// MinInsync is the min.insync.replicas of each topic that an administrator makes.
	MinInsync map[string]int

	begun     bool
	gone      map[string]bool // topics that were deleted since the work began
	again     map[string]bool // those of them that were made again
	draining  bool
	ends      map[kafka.TopicPartition]kafka.Offset
	processes int64
	keys      map[kafka.TopicPartition]history.Value
	done      map[string]bool
	stops     map[string]func() // called when a client that was asked to stop has
	asked     map[string]func() // called when a client is asked to stop
	failures  map[string]map[string]int64
}

// NewStage makes the stage of a trial whose work has not begun.
func NewStage(bootstrap []string, now func() time.Duration) *Stage {
	return &Stage{
		Bootstrap: bootstrap, Recorder: history.NewRecorder(), Now: now, Topics: map[string]int32{}, MinInsync: map[string]int{},
		gone: map[string]bool{}, again: map[string]bool{}, keys: map[kafka.TopicPartition]history.Value{}, done: map[string]bool{}, stops: map[string]func(){}, asked: map[string]func(){}, failures: map[string]map[string]int64{},
	}
}

// Partitions are those of some topics, in order.
func (s *Stage) Partitions(topics []string) (all []kafka.TopicPartition) {
	for _, topic := range topics {
		for p := range s.Topics[topic] {
			all = append(all, kafka.TopicPartition{Topic: topic, Partition: p})
		}
	}
	return all
}

// Begin lets the clients begin: the topics exist.
func (s *Stage) Begin() { s.begun = true }

// AwaitWork blocks until the work begins.
func (s *Stage) AwaitWork(h env.Host) {
	for !s.begun {
		h.Sleep(100 * time.Millisecond)
	}
}

// TopicGone and TopicMade say that a topic was deleted, and that another one of its name was made.
func (s *Stage) TopicGone(topic string) { s.gone[topic] = true }

// TopicMade: see TopicGone.
func (s *Stage) TopicMade(topic string) { s.again[topic] = s.gone[topic] }

// IsGone reports whether a topic was deleted since the work began, and WasMade whether there is
// another one of its name.
func (s *Stage) IsGone(topic string) bool { return s.gone[topic] }

// WasMade: see IsGone.
func (s *Stage) WasMade(topic string) bool { return s.again[topic] }

// Drain lets the clients know that nothing more is written: readers are done when
// they have read to these ends.
func (s *Stage) Drain(ends map[kafka.TopicPartition]kafka.Offset) {
	s.draining = true
	s.ends = ends
}

// Draining reports whether nothing more is written.
func (s *Stage) Draining() bool { return s.draining }

// Ends is where the logs end that must be read, once Draining.
func (s *Stage) Ends() map[kafka.TopicPartition]kafka.Offset { return s.ends }

// Main is the process of a client that records when it is done. One that has
// stopped because it was asked to is not: it has more to do in its next life.
func (s *Stage) Main(c Client) func(env.Host) {
	return func(h env.Host) {
		delete(s.stops, c.Host) // what the life before was asked died with it
		c.Main(h)
		if stopped := s.stops[c.Host]; stopped != nil {
			delete(s.stops, c.Host)
			stopped()
			return
		}
		s.done[c.Host] = true
	}
}

// Stop asks the client on a host to leave in order. stopped is called when it
// has, unless its process dies first.
func (s *Stage) Stop(host string, stopped func()) {
	s.stops[host] = stopped
	if hear := s.asked[host]; hear != nil {
		hear()
	}
}

// WhenStopping has hear called when the client on a host is asked to stop, for one that
// does not look at Stopping by itself.
func (s *Stage) WhenStopping(host string, hear func()) { s.asked[host] = hear }

// Stopping reports whether the client on a host has been asked to stop.
func (s *Stage) Stopping(host string) bool { return s.stops[host] != nil }

// Done reports whether the client on a host has done all its work.
func (s *Stage) Done(host string) bool { return s.done[host] }

// Key is how the history names a partition.
func (s *Stage) Key(tp kafka.TopicPartition) history.Value {
	key, known := s.keys[tp]
	if !known {
		key = history.Partition(tp.Topic, tp.Partition)
		s.keys[tp] = key
	}
	return key
}

// NewProcess numbers a logically single-threaded actor of the history.
func (s *Stage) NewProcess() int64 {
	p := s.processes
	s.processes++
	return p
}

// Numbered is what a record carries: the number of its sending.
type Numbered struct {
	Partition kafka.TopicPartition
	Producer  string
	Session   int // of the producer: one life of its process
	Sequence  int64
}

// String is how it is written: p1-0-17@orders/0.
func (v Numbered) String() string {
	b := make([]byte, 0, 96) // on the stack, unless names are long
	b = append(append(b, v.Producer...), '-')
	b = append(strconv.AppendInt(b, int64(v.Session), 10), '-')
	b = append(strconv.AppendInt(b, v.Sequence, 10), '@')
	b = append(append(b, v.Partition.Topic...), '/')
	return string(strconv.AppendInt(b, int64(v.Partition.Partition), 10))
}
