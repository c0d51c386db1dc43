// Package detect looks for anomalies in what clients saw of a cluster. It keeps
// the log that all observations together tell (Log), and detectors that are fed
// one operation after the other, while a history is recorded or when it is
// read. What they find are numbers (Finding); it says nothing of what a
// configuration permits, and finds no words for it.
package detect

import (
	"slices"

	"github.com/ktrial/ktrial/checkers/history"
)

// Settings are what detectors need to know of a configuration.
type Settings struct {
	Reset         Reset
	ReadCommitted bool
	WriteOrder    bool // look for circles through the order of writes, too
	FromTheStart  bool // the history began with the cluster
	// MemberEpochs: a generation is a member's own (KIP-848), not the group's.
	MemberEpochs bool
	// AppendTime: brokers put their own time into records (message.timestamp.type).
	AppendTime bool
	// Members: consumers are members of a group, if nothing else is told of them.
	Members bool
	// EmptyPolls: a poll returns nothing only where there is nothing more. Kafka's
	// consumer does not promise that: a poll comes back empty when its time is over.
	EmptyPolls bool
}

// Detection is one history being judged.
type Detection struct {
	log       *Log
	polls     *pollOrder
	reads     *badReads
	told      *attributes
	certain   Emit
	undecided map[string]bool
}

// New begins to judge a history.
func New(h *history.History) *Detection {
	l := NewLog(h)
	return &Detection{log: l, polls: newPollOrder(l), reads: newBadReads(l), told: newAttributes(l), undecided: map[string]bool{}}
}

// Log is what is known so far of the partitions.
func (d *Detection) Log() *Log { return d.log }

// Undecided says, after Finish, what a search within its budget did not decide.
func (d *Detection) Undecided() []string {
	var notes []string
	for note := range d.undecided {
		notes = append(notes, note)
	}
	slices.Sort(notes)
	return notes
}

// EmitCertain has certain called at once with what is wrong already while the history
// is still recorded. Not all of it is: most is known only in the end.
func (d *Detection) EmitCertain(certain Emit) {
	d.certain, d.polls.certain = certain, certain
}

// Begin takes in the beginning of an operation. Only a history that is judged while it is recorded
// needs it.
func (d *Detection) Begin(op *history.Op) { d.log.Begin(op) }

// Operation takes in an operation that is over, or will never be. Those of one
// process come in their order.
func (d *Detection) Operation(op *history.Op) {
	ties := len(d.log.ties)
	d.log.Learn(op)
	d.polls.operation(op)
	d.reads.operation(op)
	d.told.operation(op)
	if d.certain != nil {
		d.emitCertain(op, len(d.log.ties) > ties)
	}
}

// emitCertain emits what the operation shows to be wrong whatever comes.
func (d *Detection) emitCertain(op *history.Op, tied bool) {
	l := d.log
	for _, p := range op.Polled {
		l.judgeRead(op, p, d.certain)
		if l.flags[p.Rec]&several != 0 {
			d.emitDouble(p.Rec)
		}
		if tied && len(l.ties[spot{l.H.KeyOf(p.Rec), p.Offset}]) > 0 {
			d.certain(l.tieAt(spot{l.H.KeyOf(p.Rec), p.Offset}))
		}
	}
	for _, s := range op.Sends {
		if tied && len(l.ties[spot{l.H.KeyOf(s.Rec), s.Offset}]) > 0 {
			d.certain(l.tieAt(spot{l.H.KeyOf(s.Rec), s.Offset}))
		}
		if op.Type == history.Failed && l.flags[s.Rec]&begunAgain == 0 && l.flags[s.Rec]&(readOK|readOther) != 0 && l.flags[s.Rec]&(sentOK|sentUnknown) == 0 {
			f := about(G1a, l.H.KeyOf(s.Rec))
			if l.flags[s.Rec]&readOK == 0 {
				f.Anomaly = AbortedRead
			}
			f.Record = Sight{s.Rec, l.offset[s.Rec], op.Row}
			d.certain(f)
		}
	}
}

// emitDouble: polls saw a record at more offsets than there were sends so far.
func (d *Detection) emitDouble(rec history.Rec) {
	if d.log.flags[rec]&begunAgain != 0 {
		return // a send that is under way may have written it: tombstones are all alike
	}
	if f := d.log.double(rec); f.Polled > f.Sends {
		d.certain(f)
	}
}

// finishLog takes in what is still open, and what follows in the end.
func (d *Detection) finishLog() {
	d.certain, d.polls.certain = nil, nil
	d.log.Finish()
	d.polls.leaveAll()
}

// Finish judges everything, when all operations were taken in. It emits the
// instances of each anomaly in the order of the history.
func (d *Detection) Finish(s Settings, emit Emit) {
	l := d.log
	l.FromTheStart, l.members, l.emptyPolls, l.readCommitted = s.FromTheStart, s.Members, s.EmptyPolls, s.ReadCommitted
	d.finishLog()
	if l.blind { // polls that told no offsets need those of the whole history
		l.coverage = nil
		d.polls = newPollOrder(l)
		l.H.Each(func(op *history.Op) bool {
			d.polls.operation(op)
			return true
		})
		d.polls.leaveAll()
		l.found = foundAt{}
	}
	emit = l.doubtful(emit)
	l.bijection(emit)
	l.starts, l.jumps = newBelowStarts(d.polls, s.Reset), d.polls.jumps()
	lost := l.findLost(emit)
	l.unseen(lost, emit)
	l.findStuck(emit)
	d.reads.finish(emit)
	d.told.finish(s.AppendTime, emit)
	d.polls.finish(emit)
	l.sendOrder(emit)
	l.appendOrder(emit)
	l.readCycles(emit)
	if s.WriteOrder {
		l.dependencyCycles(func(f Finding) {
			f.ThroughWrites = true
			emit(f)
		})
	}
	l.findMarks(s.ReadCommitted, s.MemberEpochs, emit)
	l.findFenced(emit)
	d.findGroups(emit)
	l.findOwners(s.MemberEpochs, s.Reset, emit)
	l.findProcessing(emit)
}

// again feeds the operations to a detector that looks at another log.
func (d *Detection) again(l *Log, reads *badReads) *badReads {
	l.H.EachOf(history.HasPolls|history.HasKeys, func(op *history.Op) bool {
		reads.operation(op)
		return true
	})
	return reads
}
