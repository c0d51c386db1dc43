package history

import "time"

// Type says which end of an operation an event is, and how it ended.
type Type uint8

const (
	// Invoke: the client began.
	Invoke Type = iota
	// OK: it happened, and the client knows.
	OK
	// Failed: it definitely did not happen, and never will.
	Failed
	// Unknown: it may have happened, or may still happen. An invocation
	// without a completion counts as unknown.
	Unknown
)

var typeNames = [...]string{"invoke", "ok", "fail", "info"}

// String is Jepsen's name of the type: invoke, ok, fail, info.
func (t Type) String() string { return typeNames[t] }

// F is the function of an operation: what the client asked for.
type F uint8

const (
	// Other: a function that no check looks at. Event.Name keeps its name.
	Other F = iota
	// Send: nothing but sends. Poll: nothing but polls. Txn: any mix, and one
	// Kafka transaction if the producer is transactional.
	Send
	Poll
	Txn
	// Assign and Subscribe replace what the consumer reads by Keys.
	Assign
	Subscribe
	// Crash throws the client away, producer and consumer.
	Crash
	// Commit commits consumer offsets outside a transaction (MopCommit);
	// Committed asks for them (MopCommitted).
	Commit
	Committed
	// ListOffsets asks where partitions begin and end (MopStart, MopEnd, MopStable).
	ListOffsets
	// DeleteRecords moves the log start (MopDelete).
	DeleteRecords
	// InitProducer is granted Producer and ProducerEpoch for Transaction.
	InitProducer
	// Join is granted Generation in Group.
	Join
	// Assigned, Revoked and Lost are what a member of Group is told by its listener:
	// from now on it owns Keys, too, in Generation; it no longer does, and could still
	// commit; it no longer does, and could not. They may come while another operation
	// of the process is under way, and are complete by themselves.
	Assigned
	Revoked
	Lost
	// Process is the application's work on records that it was given (MopProcessed):
	// it begins with the work and ends when that is done.
	Process
	// Log tells what is known of the logs when all is over: MopStart, MopEnd,
	// MopStable. It comes from a tool that can see them, not from a client.
	Log
	// Fault tells of something that happened to the cluster: Event.Fault, or Name
	// (power-off, ...), says what, Keys on which partitions.
	Fault
	// Config tells under which configuration the history came about: Text is
	// key=value pairs. It comes from the program that ran the clients.
	Config
	// Seek moves the consumer's positions on Keys. Where to need not be told: a
	// MopPosition does.
	Seek
)

var fNames = [...]string{"", "send", "poll", "txn", "assign", "subscribe", "crash", "commit", "committed",
	"list-offsets", "delete-records", "init-producer", "join", "assigned", "revoked", "lost", "process", "log", "fault", "config", "seek"}

// OfListener reports whether f is Assigned, Revoked or Lost: an event by itself, that
// needs no invocation.
func (f F) OfListener() bool { return f == Assigned || f == Revoked || f == Lost }

// ofClient reports whether f is what a client does.
func (f F) ofClient() bool { return f >= Send && f <= Process || f == Seek }

// toldBySteps reports whether the value of f is a list of micro-operations.
func (f F) toldBySteps() bool {
	switch f {
	case Send, Poll, Txn, Commit, Committed, ListOffsets, DeleteRecords, Process:
		return true
	}
	return false
}

// String is the function's name in a file; empty for Other.
func (f F) String() string { return fNames[f] }

// MopKind says what a micro-operation does.
type MopKind uint8

const (
	// MopSend appends Value to Key; completed, Offset is where it was put.
	MopSend MopKind = iota
	// MopPoll asks for records; completed, Records holds what was delivered.
	MopPoll
	// MopCommit commits Offset as the group's position on Key. In a Txn it is
	// part of the transaction.
	MopCommit
	// MopCommitted asks for the group's position on Key; completed, Offset is it.
	MopCommitted
	// MopStart, MopEnd and MopStable ask for log start, high watermark (or
	// the log's end, in a Log event) and last stable offset of Key.
	MopStart
	MopEnd
	MopStable
	// MopDelete asks that everything below Offset be deleted from Key.
	MopDelete
	// MopProcessed names the record at Offset of Key as one that is processed.
	MopProcessed
	// MopPosition tells that the consumer's position on Key is Offset: it has
	// been given everything below that it ever will.
	MopPosition
)

var mopNames = [...]string{"send", "poll", "commit", "committed", "start", "end", "stable", "delete", "processed", "position"}

// asked: an invocation of it says what its completion need not repeat.
func (k MopKind) asked() bool {
	return k == MopSend || k == MopCommit || k == MopDelete || k == MopProcessed
}

// String is the kind's name in a file.
func (k MopKind) String() string { return mopNames[k] }

// NoOffset stands where an offset is not known.
const NoOffset int64 = -1

// Record is one record as a poll delivered it.
type Record struct {
	Key    Value // the partition
	Offset Number
	Value  Value
	Attributes
}

// Mop is one step of an operation. The zero value of what it may tell claims
// nothing: of a completion that is not OK only what was told counts.
type Mop struct {
	Kind       MopKind
	Key        Value    // the partition
	Value      Value    // of a send
	Offset     Number   // where a send was put, or what a commit, an end, ... is about
	Records    []Record // of a poll, in the order of delivery
	Attributes          // of a send
}

// NoProcess is the process of an event that is not a client's; Actor names its
// author.
const NoProcess int64 = -1

// Event is one line of a history: a client begins an operation or learns how
// it ended, or something else in the world happened.
//
// A process does one thing at a time: its next event after an invocation is
// the completion. After an Unknown outcome a real client goes on as another
// process, for the old operation may still be under way.
type Event struct {
	Type    Type
	Process int64  // NoProcess: not a client
	Actor   string // the author, if not a client: nemesis, cluster
	Client  string // the client's name in reports; process 3 if empty
	F       F
	Name    string    // of the function, if F is Other or Fault
	Fault   FaultKind // of a Fault; it need not have a Name then
	Time    time.Duration

	Mops []Mop
	Keys []Value // of Assign, Subscribe, Seek, Assigned, Revoked, Lost and Fault

	SeekToBeginning bool    // Assign: positions go back to the log's start
	Rebalanced      []Value // keys that moved to or from the consumer meanwhile
	Group           string
	Generation      int64  // of the group, or the member's epoch; 0: not told
	Member          string // the member id in the group; empty: not told
	Instance        string // group.instance.id of a static member; empty: none, or not told
	Transaction     string
	// Session is one life of a producer that has several sends under way, each
	// a process of its own: its sends are in the order of their invocations.
	Session       string
	Text          string // what else there is to say, of an event that is not a client's
	Producer      int64  // producer id; 0 with ProducerEpoch 0: not told
	ProducerEpoch int64
	Error         string
}
