package reports

import (
	"fmt"
	"slices"
	"time"
)

// Why is how a violation came about, as the events of the ledger show it: a
// sentence of what happened, one of the cause, and the steps that lead there. Its
// JSON keys are a contract.
type Why struct {
	Kind WhyKind `json:"kind"`
	// What happened, and Because of what; Because is empty if no rule fits.
	What    string `json:"what"`
	Because string `json:"because,omitempty"`
	// Partition, or Group, that it is about.
	Partition string `json:"partition,omitempty"`
	Group     string `json:"group,omitempty"`
	// Transaction is the transactional id that it is about; empty: none is.
	Transaction string `json:"transaction,omitempty"`
	// Record that the steps follow; nil: they follow none.
	Record *RecordAt `json:"record,omitempty"`
	Steps  []Step    `json:"steps"`
	// Left is how many more steps there are than those told.
	Left int `json:"left,omitempty"`
	// Remarks stand in the picture where the cause is.
	Remarks []Remark `json:"remarks,omitempty"`
}

// WhyKind is what kind of broken promise it is.
type WhyKind string

// The kinds. Each has its own rules.
const (
	LostRecord      WhyKind = "lost record"
	Duplicated      WhyKind = "duplicate"
	ReadTooHigh     WhyKind = "read above the high watermark"
	ShownTooHigh    WhyKind = "high watermark too high"
	Diverged        WhyKind = "diverged replica"
	JoinedTooEarly  WhyKind = "joined the ISR too early"
	TwoOwnersAtOnce WhyKind = "two owners"
	// TwoAssignments: a coordinator told of two assignments in one generation.
	TwoAssignments  WhyKind = "two assignments"
	StuckGroup      WhyKind = "stuck group"
	TornTransaction WhyKind = "torn transaction"
	// AbortedDelivered: a consumer was given a record of a transaction that did not commit.
	AbortedDelivered WhyKind = "aborted record delivered"
	ReadUnstable     WhyKind = "read above the last stable offset"
	Hanging          WhyKind = "hanging transaction"
	// WrongEnd: a coordinator ends a transaction as it must not.
	WrongEnd WhyKind = "wrong end of a transaction"
	// OutputTwice: what a pipeline read once it has processed twice.
	OutputTwice WhyKind = "duplicated output"
	Rewound     WhyKind = "group rewind"
	StaleCommit WhyKind = "commit of an old generation"
	// ReplacedCommit: a coordinator took a commit of a process that another one had replaced.
	ReplacedCommit WhyKind = "commit of a replaced member"
	TwoLeaders     WhyKind = "two leaders"
	// MetadataLost: metadata that was committed is gone, or was not safe.
	MetadataLost WhyKind = "lost metadata"
	// ImagesDiffer: nodes made different things of the same metadata.
	ImagesDiffer WhyKind = "images differ"
	// AppliedUncommitted: a node applied metadata that is not committed.
	AppliedUncommitted WhyKind = "applied uncommitted metadata"
	// ForgottenProducer: what replicas know of a producer is not what their logs say.
	ForgottenProducer WhyKind = "forgotten producer"
	// ValueLost: a compacted log lacks the last value of a key.
	ValueLost WhyKind = "lost value"
	// OutOfOrder: a record lies behind one that its producer sent later.
	OutOfOrder WhyKind = "records out of order"
	// TakenForFree: a coordinator takes a partition for free that a member has.
	TakenForFree WhyKind = "partition taken for free"
	// RemovedEarly: a coordinator removed a member as silent that it had heard of.
	RemovedEarly WhyKind = "member removed too early"
	// LeaderOut: the controllers committed a leader that is not in the ISR.
	LeaderOut WhyKind = "leader outside the ISR"
	// NotGivenUp: a member of a group keeps a partition that it is to give up.
	NotGivenUp WhyKind = "partition not given up"
	// Unstartable: a node cannot start any more.
	Unstartable WhyKind = "node that cannot start"
	// A leader counts what a follower asked of the leader of another epoch.
	OtherEpoch WhyKind = "fetch of another epoch"
	// A leader tells an end of its log that lies below what was committed.
	EndTooEarly WhyKind = "end told too early"
)

// RecordAt names records by the leader epoch in which they were appended and their
// offsets: an offset alone may be given to another record later.
type RecordAt struct {
	Partition string `json:"partition"`
	Epoch     int32  `json:"epoch"`
	First     int64  `json:"first"`
	Last      int64  `json:"last"`
}

// Step is one step of a way that leads to a violation.
type Step struct {
	At   Seconds `json:"at"`
	Host string  `json:"host"`
	// What happened in it, in one word, such as appended or cut.
	Kind StepKind `json:"kind"`
	Text string   `json:"text"`
	// Lane is where a picture shows it: replica, client, controllers, group, transaction,
	// fault.
	Lane string `json:"lane"`
	// Partition that an owner got or gave up; empty: that of the whole.
	Partition string `json:"partition,omitempty"`
	// Offset at which a replica's log is concerned; nil: none is.
	Offset *int64 `json:"offset,omitempty"`
	// Op is the event in the history, of a client's step; nil: it is none.
	Op *int64 `json:"op,omitempty"`
}

// StepKind says what happened in a step.
type StepKind string

// The kinds of steps.
const (
	Sent         StepKind = "sent"
	Appended     StepKind = "appended"
	Copied       StepKind = "copied"
	Committed    StepKind = "committed"
	Acknowledged StepKind = "acknowledged"
	Answered     StepKind = "answered"
	Read         StepKind = "read"
	ISRChanged   StepKind = "isr"
	Died         StepKind = "died"
	Elected      StepKind = "elected"
	Led          StepKind = "led"
	Followed     StepKind = "followed"
	Cut          StepKind = "cut"
	Lost         StepKind = "lost"
	Replaced     StepKind = "replaced"
	Struck       StepKind = "struck"
	Assigned     StepKind = "assigned"
	GaveUp       StepKind = "gave up"
	Removed      StepKind = "removed"
	GroupMoved   StepKind = "group"
	Began        StepKind = "began"    // a transaction, or one more partition of it
	Decided      StepKind = "decided"  // how a transaction ends
	Marked       StepKind = "marked"   // a marker is appended
	Completed    StepKind = "complete" // all its markers are
	Fenced       StepKind = "fenced"
	Served       StepKind = "served" // a consumer is answered
	Staged       StepKind = "staged" // offsets of a group, in a transaction
	Voted        StepKind = "voted"
	Broke        StepKind = "broke"
)

// Decides reports whether the step is a decision, not a move of the record.
func (k StepKind) Decides() bool {
	switch k {
	case ISRChanged, Died, Elected, Led, Followed, Struck, GroupMoved, Removed, Decided, Completed, Fenced, Voted:
		return true
	}
	return false
}

// Remark is a few words that stand in the picture at a time, on a host's lane.
type Remark struct {
	At   Seconds `json:"at"`
	Host string  `json:"host"`
	Text string  `json:"text"`
}

// String names the records: offset 264 of orders/0, or offsets 264 to 266 of it.
func (r *RecordAt) String() string {
	switch r.Last - r.First {
	case 0:
		return fmt.Sprintf("offset %d of %s", r.First, r.Partition)
	case 1:
		return fmt.Sprintf("offsets %d and %d of %s", r.First, r.Last, r.Partition)
	}
	return fmt.Sprintf("offsets %d to %d of %s", r.First, r.Last, r.Partition)
}

// Many reports whether it is more than one record.
func (r *RecordAt) Many() bool { return r.Last > r.First }

// tellsMost are the anomalies of which an example says most of what went wrong: of
// several that a setting permits, the first of these is shown.
var tellsMost = []string{"lost-write", "torn-transaction", "duplicate", "two-owners", "zombie-owner", "aborted-read", "unprocessed"}

// Main is the violation that a page of the run is about: the first, or else the
// example of what is allowed that says most; nil: the run has none.
func (r *Run) Main() *Violation {
	if len(r.Violations) > 0 {
		return &r.Violations[0]
	}
	best, rank := (*Violation)(nil), len(tellsMost)+1
	for _, a := range r.Allowed {
		i := slices.Index(tellsMost, a.Anomaly)
		if i < 0 {
			i = len(tellsMost)
		}
		if a.Example != nil && i < rank {
			best, rank = a.Example, i
		}
	}
	return best
}

// Lasting is a duration with three digits, as people read it: 6.99ms.
func Lasting(d time.Duration) string {
	unit := time.Nanosecond
	for unit*1000 <= d {
		unit *= 10
	}
	return d.Round(unit).String()
}
