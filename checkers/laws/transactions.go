package laws

import (
	"maps"
	"slices"
)

// The laws that are asked here.
var (
	ProducerEpochsGrow = declare(63, OfTransaction, "the epoch of a transactional id's producer never falls, with transaction.version 2 each end takes a new one, and a producer id is of one transactional id",
		"each state of a transactional id that is committed", "KIP-98, KIP-360, KIP-890; TransactionMetadata.prepareTransitionTo")
	LegalStates = declare(65, OfTransaction, "a transactional id goes from state to state as Kafka's does, what is decided stays decided, and no marker comes before the decision",
		"each state of a transactional id that is committed, and each marker that a leader appends", "KIP-98; TransactionState.VALID_PREVIOUS_STATES")
	MarkersEverywhere = declare(66, OfTransaction, "the markers of a transaction say what was decided, and each of its partitions has one when it is complete",
		"each marker that a leader appends, and each transaction that is complete", "KIP-98; TransactionMarkerChannelManager")
	TransactionsEnd = declare(72, OfTransaction, "in the end what is decided is complete, and a log has only transactions open that their coordinators have open",
		"the end of a run, when all is healed", "KIP-664, KIP-890")
)

// Transactions is the ghost of transactional ids: what their coordinators decide, and
// which markers follow. It outlives coordinators.
type Transactions struct {
	tally
	ids     map[string]*transactional
	owners  map[int64]string // transactional id by producer id
	ends    map[identity]*end
	deleted map[string]bool // topics that were deleted
}

// identity is a producer id in an epoch.
type identity struct {
	producer int64
	epoch    int16
}

// transactional is a transactional id as it was told last.
type transactional struct {
	identity
	state       string // by Kafka's names; empty: another coordinator has loaded it and not told
	coordinator Epoch
	version     int // transaction.version by which it acted
	partitions  []string
}

// end is a decision that was told, and its markers.
type end struct {
	commit  bool
	markers map[string]bool // partitions that have one
}

// NewTransactions knows of none. name is how messages name a node; nil: its number.
func NewTransactions(name func(Node) string) *Transactions {
	return &Transactions{tally: tally{name: name}, ids: map[string]*transactional{}, owners: map[int64]string{}, ends: map[identity]*end{}, deleted: map[string]bool{}}
}

// TransactionState is the newest committed state of a transactional id.
type TransactionState struct {
	Producer    int64
	Epoch       int16
	State       string // by Kafka's names
	Coordinator Epoch
	Version     int // transaction.version by which the client, or the coordinator for it, acted last
	Partitions  []string
}

// ownEpochs is the transaction.version from which each transaction has an epoch of its
// own (KIP-890).
const ownEpochs = 2

// legal are the states that may follow each. What was committed together is told once, so
// that a state which needs no answer of others may be left out.
var legal = map[string][]string{
	"Empty":          {"Empty", "Ongoing", "PrepareAbort", "PrepareCommit", "CompleteAbort", "CompleteCommit", "Dead"},
	"Ongoing":        {"Ongoing", "PrepareCommit", "PrepareAbort"},
	"PrepareCommit":  {"CompleteCommit", "Empty", "Ongoing", "Dead"},
	"PrepareAbort":   {"CompleteAbort", "Empty", "Ongoing", "Dead"},
	"CompleteCommit": {"CompleteCommit", "CompleteAbort", "Empty", "Ongoing", "PrepareAbort", "PrepareCommit", "Dead"},
	"CompleteAbort":  {"CompleteCommit", "CompleteAbort", "Empty", "Ongoing", "PrepareAbort", "PrepareCommit", "Dead"},
}

// State: the newest state of a transactional id is committed.
func (t *Transactions) State(id string, s TransactionState) {
	t.events++
	t.subject = "transactional id " + id
	x := t.ids[id]
	if x == nil {
		x = &transactional{}
		t.ids[id] = x
	} else if s.Coordinator < x.coordinator {
		// A coordinator that was replaced may hear late that others have what it wrote before: the
		// next one has known that, and gone on from it.
		return
	} else {
		t.follows(x, &s)
	}
	if s.State != "Dead" {
		t.own(id, s.Producer)
	}
	t.decide(x, &s)
	*x = transactional{identity{s.Producer, s.Epoch}, s.State, s.Coordinator, s.Version, slices.Clone(s.Partitions)}
	if s.State == "Dead" {
		delete(t.ids, id)
	}
}

// own: law 63, a producer id is of one transactional id.
func (t *Transactions) own(id string, producer int64) {
	if other, taken := t.owners[producer]; taken && other != id {
		t.fail(ProducerEpochsGrow, NoNode, "it has producer id %d, which %s had", producer, other)
	}
	t.owners[producer] = id
}

// follows: laws 63 and 65, of what a state comes after.
func (t *Transactions) follows(x *transactional, s *TransactionState) {
	if s.Producer == x.producer && s.Epoch < x.epoch {
		t.fail(ProducerEpochsGrow, NoNode, "producer %d went from epoch %d to %d", s.Producer, x.epoch, s.Epoch)
	}
	if x.state == "" {
		return
	}
	ends := s.State == "PrepareCommit" || s.State == "PrepareAbort"
	if x.state == "Ongoing" && ends && s.Version >= ownEpochs && s.Producer == x.producer && s.Epoch == x.epoch {
		t.fail(ProducerEpochsGrow, NoNode, "it goes to %s in epoch %d, which its transaction had", s.State, s.Epoch)
	}
	if !slices.Contains(legal[x.state], s.State) {
		t.fail(LegalStates, NoNode, "it goes from %s to %s", x.state, s.State)
	}
}

// decide records the decision of an end, and asks for its markers when it is complete.
func (t *Transactions) decide(x *transactional, s *TransactionState) {
	by := identity{s.Producer, s.Epoch}
	switch s.State {
	case "Ongoing":
		if s.Version < ownEpochs {
			delete(t.ends, by) // the next transaction has the same epoch
		}
	case "PrepareCommit", "PrepareAbort":
		commit := s.State == "PrepareCommit"
		if before := t.ends[by]; before == nil || s.Version < ownEpochs && x.state != s.State {
			t.ends[by] = &end{commit, map[string]bool{}}
		} else if before.commit != commit {
			t.fail(LegalStates, NoNode, "producer %d in epoch %d was decided to %s, and now to %s", s.Producer, s.Epoch, verb(before.commit), verb(commit))
		}
	case "CompleteCommit", "CompleteAbort":
		t.complete(x, s, by)
	}
}

// complete: law 66, all partitions have the marker when the transaction is complete.
func (t *Transactions) complete(x *transactional, s *TransactionState, by identity) {
	e := t.ends[by]
	if e == nil {
		return
	}
	if commit := s.State == "CompleteCommit"; e.commit != commit {
		t.fail(LegalStates, NoNode, "producer %d in epoch %d was decided to %s, and is %s", s.Producer, s.Epoch, verb(e.commit), s.State)
	}
	if x.state != "PrepareCommit" && x.state != "PrepareAbort" {
		return // which partitions it had is not known
	}
	for _, p := range x.partitions {
		if !e.markers[p] && !t.deleted[topicOf(p)] {
			t.fail(MarkersEverywhere, NoNode, "it is %s, and %s, which its transaction had, has no marker of producer %d in epoch %d", s.State, p, s.Producer, s.Epoch)
		}
	}
}

func verb(commit bool) string {
	if commit {
		return "commit"
	}
	return "abort"
}

// Marker: the leader of a partition has appended a marker of this kind, which a coordinator sent in this
// epoch of its own.
func (t *Transactions) Marker(partition string, producer int64, epoch int16, coordinator Epoch, commit bool) {
	t.events++
	id, known := t.owners[producer]
	if !known {
		return
	}
	t.subject = "transactional id " + id
	by := identity{producer, epoch}
	if e := t.ends[by]; e != nil {
		if e.commit != commit {
			t.fail(MarkersEverywhere, NoNode, "%s has a marker that says %s of producer %d in epoch %d, which was decided to %s", partition, verb(commit), producer, epoch, verb(e.commit))
		}
		return
	}
	// An administrator's markers name no transactional id, nor a coordinator's epoch.
	x := t.ids[id]
	if x != nil && x.state == "Ongoing" && x.producer == producer && epoch >= x.epoch && coordinator == x.coordinator && slices.Contains(x.partitions, partition) {
		t.fail(LegalStates, NoNode, "%s has a marker that says %s of producer %d in epoch %d, and it is not decided yet", partition, verb(commit), producer, epoch)
	}
}

// Appended: a log of the partition has a marker now.
func (t *Transactions) Appended(partition string, producer int64, epoch int16) {
	t.events++
	if e := t.ends[identity{producer, epoch}]; e != nil {
		e.markers[partition] = true
	}
}

// Loaded: a coordinator has loaded transactional ids, and does not tell of them.
func (t *Transactions) Loaded() {
	t.events++
	for _, x := range t.ids {
		x.state = ""
	}
}

// TopicDeleted: markers need not be written to it.
func (t *Transactions) TopicDeleted(topic string) {
	t.events++
	t.deleted[topic] = true
}

// decided: the transaction has ended, and not all of its markers are written.
func (x *transactional) decided() bool {
	return x.state == "PrepareCommit" || x.state == "PrepareAbort"
}

// Ending reports whether some transaction is decided and not complete.
func (t *Transactions) Ending() bool {
	for _, x := range t.ids {
		if x.decided() {
			return true
		}
	}
	return false
}

// Quiet: all is healed and had its time. Law 72: what is decided is complete.
func (t *Transactions) Quiet() {
	t.events++
	for _, id := range slices.Sorted(maps.Keys(t.ids)) {
		if x := t.ids[id]; x.decided() {
			t.subject = "transactional id " + id
			t.fail(TransactionsEnd, NoNode, "it is %s in the end", x.state)
		}
	}
}

// Hangs: in the end a log has a transaction open since an offset. Law 72: its coordinator has
// it open, too, and will abort it when its time is over.
func (t *Transactions) Hangs(partition string, producer int64, epoch int16, first int64) {
	t.events++
	id, known := t.owners[producer]
	x := t.ids[id]
	if !known || x == nil || x.state == "" {
		return
	}
	t.subject = "transactional id " + id
	if x.state != "Ongoing" || !slices.Contains(x.partitions, partition) {
		t.fail(TransactionsEnd, NoNode, "%s has a transaction of producer %d in epoch %d open since %d; its coordinator has it %s with %v", partition, producer, epoch, first, x.state, x.partitions)
	}
}
