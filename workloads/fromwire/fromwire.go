// Package fromwire makes a history out of what passes on the connections of clients.
// The clients record nothing and need not know that they are observed, so that any
// program in any language can be judged: inside a trial, or behind a proxy.
//
// What the wire shows, and what it cannot show:
//
//   - A record of a Produce request is a send. It begins when the record is first seen;
//     requests that carry it again join it. The first certain answer completes it; a
//     request whose answer is lost, or says too little, leaves it open.
//   - With a producer id the record is known by id, epoch and sequence, which are in what is
//     fetched as well. Without one it is known by its value alone: equal values are counted,
//     never taken for one another's duplicates.
//   - The records and offsets of a transaction are one operation, which ends with the answer
//     to EndTxn; without one its outcome is not known.
//   - The records of a Fetch answer are a poll, of a process for each connection and
//     partition. That the application has processed them only a commit says.
//   - A member of a group owns what SyncGroup or ConsumerGroupHeartbeat answered it, until it
//     says or hears otherwise. Which records the application was given of it is not to be seen.
//   - Of a record that carries the header ktrial the program may tell itself, in lines of its
//     standard output (see Tell): then it says how the send ended. What an application
//     processes only such lines say.
//   - An error that refuses a send leaves it open too: most clients send it again, and
//     whether one gives up is not to be seen.
package fromwire

import (
	"strconv"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Observer reads the connections of some clients into one history. It is for one
// thread.
type Observer struct {
	recorder   *history.Recorder
	now        func() time.Duration
	newProcess func() int64

	// ClientsAreProcesses: what has one client's name is one process at a time, so that it
	// knows what it has heard.
	ClientsAreProcesses bool
	// Claims are what the clients asked to be promised, as far as they were seen to.
	Claims Claims
	// Counts tell what was seen and what was not understood.
	Counts Counts

	topics map[kafka.UUID]string // by the ids that answers to Metadata named
	keys   map[kafka.TopicPartition]history.Value
	sends  map[identity]*send // that are open, or were acknowledged
	acked  []identity         // the latest of these, from oldest on, and then from the beginning
	oldest int
	last   map[identity]kafka.Sequence // highest that was seen, by producer and partition
	free   map[string][]int64          // processes with nothing under way, by client
	wrote  map[string]bool             // lives that have produced
	open   map[epoch]*transaction
	names  map[kafka.ProducerID]string // transactional ids

	members        map[memberID]*membership
	inTransactions map[string]bool // groups whose offsets are committed in transactions, too
	unsure         map[string]bool // groups whose offsets are deleted, or were committed of a topic without a known name

	leaders         map[known]int32 // leader epochs, by the clients that heard of them
	reached         map[kafka.TopicPartition]*reached
	lowest, highest map[kafka.TopicPartition]kafka.Offset // of what was acknowledged

	told    map[string]*told // sends that programs tell of, by their names
	tellers map[tellerID]*teller
	unsent  map[string]bool // topics with sends that were told and never seen
}

// Claims are what producers and consumers asked for on the wire.
type Claims struct {
	Produced      bool  // a record was sent: the fields below tell something
	LeastAcks     int16 // of all requests: 0, 1, or -1 for all
	NotIdempotent bool  // a record came without a producer id
	// ReadUncommitted: a consumer asked for what is not committed, too.
	ReadUncommitted bool
	// MemberEpochs: a consumer was a member of a group in the newer protocol (KIP-848), so
	// that generations are the members' own.
	MemberEpochs bool
}

// Acks is the weakest acks that was asked for, as Kafka's configuration has it.
func (c Claims) Acks() string {
	if c.LeastAcks < 0 {
		return "all"
	}
	return strconv.Itoa(int(c.LeastAcks))
}

// Text is how a history has them, as its configuration.
func (c Claims) Text() string {
	if !c.Produced {
		c.LeastAcks = -1
	}
	text := "acks=" + c.Acks()
	if c.NotIdempotent {
		text += ",enable.idempotence=false,retries=2147483647"
	}
	if c.ReadUncommitted {
		text += ",isolation.level=read_uncommitted"
	}
	if c.MemberEpochs {
		text += ",group.protocol=consumer"
	}
	return text
}

// Counts tell what an Observer has seen.
type Counts struct {
	Requests int64
	// Unread are frames that were not understood, and passed over.
	Unread     int64
	LastUnread string // the last of them
	// Unanswered are requests whose connection ended before their answer.
	Unanswered int64
	// Records sent, and those of them that were seen more than once: retries.
	Records, Again int64
	// Ahead are offsets of acknowledged records to which no consumer had come.
	Ahead int64
	// Told are sends of which the program said itself that they are acknowledged;
	// Unproven are those of them of which the wire did not show it by then. Refused are
	// lines that were not understood.
	Told, Unproven, Refused int64
	// Alike are records without a producer id that are equal to others: a
	// duplicate of one cannot be told from the other.
	Alike int64
}

// New makes an observer that records into a history. now is the time of its
// events; newProcess numbers the processes.
func New(r *history.Recorder, now func() time.Duration, newProcess func() int64) *Observer {
	return &Observer{
		recorder: r, now: now, newProcess: newProcess,
		topics: map[kafka.UUID]string{}, keys: map[kafka.TopicPartition]history.Value{}, sends: map[identity]*send{}, last: map[identity]kafka.Sequence{}, wrote: map[string]bool{},
		free: map[string][]int64{}, open: map[epoch]*transaction{}, names: map[kafka.ProducerID]string{},
		members: map[memberID]*membership{}, inTransactions: map[string]bool{}, unsure: map[string]bool{},
		leaders: map[known]int32{}, reached: map[kafka.TopicPartition]*reached{}, lowest: map[kafka.TopicPartition]kafka.Offset{}, highest: map[kafka.TopicPartition]kafka.Offset{},
		told: map[string]*told{}, tellers: map[tellerID]*teller{}, unsent: map[string]bool{},
	}
}

// Wrote reports whether a life of a client has sent a record.
func (o *Observer) Wrote(life string) bool { return o.wrote[life] }

// key is how the history names a partition.
func (o *Observer) key(tp kafka.TopicPartition) history.Value {
	key, known := o.keys[tp]
	if !known {
		key = history.Partition(tp.Topic, tp.Partition)
		o.keys[tp] = key
	}
	return key
}

// topic is the name of a topic that is named, or has an id; false: no answer has named it yet.
func (o *Observer) topic(name string, id [16]byte) (string, bool) {
	if name != "" {
		return name, true
	}
	name, known := o.topics[kafka.UUID(id)]
	return name, known
}

// internal topics are no matter of clients: what stands in them is the brokers'.
func internal(topic string) bool {
	return topic == kafka.OffsetsTopic || topic == kafka.TransactionsTopic
}

// process is one of a client that has nothing under way.
func (o *Observer) process(client string) int64 {
	if free := o.free[client]; len(free) > 0 {
		p := free[len(free)-1]
		o.free[client] = free[:len(free)-1]
		return p
	}
	return o.newProcess()
}

// learn takes names of topics from an answer to Metadata.
func (o *Observer) learn(m *kmsg.MetadataResponse) {
	for i := range m.Topics {
		if t := &m.Topics[i]; t.Topic != nil && t.TopicID != [16]byte{} {
			o.topics[kafka.UUID(t.TopicID)] = *t.Topic
		}
	}
}
