package detect

import (
	"slices"

	"github.com/ktrial/ktrial/checkers/history"
)

// owners: in one generation of a group a partition has one owner; what an older
// generation commits is refused; and a new owner begins where the group had
// committed.
//
// It needs operations that name their group, and, for the first two, its
// generation.
type owners struct {
	log          *Log
	memberEpochs bool
	emit         Emit

	newest  map[member]*floors   // by group, or by member of it
	owner   map[ownership]Sight  // the first operation that was given something of a partition
	told    map[ownership]bool   // two owners of it were told of
	gone    map[int32]bool       // processes that crashed, or may have
	commits map[groupKey][]write // in the order of their ends
	member  map[member]*membership
	seeks   map[int32]bool
}

// member is a process in a group; -1: the whole group.
type member struct {
	group   string
	process int32
}

type ownership struct {
	group      string
	generation int64
	key        history.Key
}

type groupKey struct {
	group string
	key   history.Key
}

// write is a commit: from the event at which it began to that at which it was
// known to have happened.
type write struct {
	began, done int64
	value       int64
	row         int
}

// membership is what a process did in a group.
type membership struct {
	generation int64
	began      int64                // first event in it
	owned      map[history.Key]bool // partitions that it was given something of
}

// floors are values that were known from an event on, rising.
type floors struct{ list []bound }

func (f *floors) add(b bound) {
	i := len(f.list)
	for i > 0 && f.list[i-1].event > b.event {
		i--
	}
	if i > 0 && f.list[i-1].value >= b.value {
		return
	}
	f.list = slices.Insert(f.list, i, b)
	for i+1 < len(f.list) && f.list[i+1].value <= b.value {
		f.list = slices.Delete(f.list, i+1, i+2)
	}
}

// before is the highest value known before an event.
func (f *floors) before(event int64) (bound, bool) {
	for i := len(f.list) - 1; i >= 0; i-- {
		if f.list[i].event < event {
			return f.list[i], true
		}
	}
	return bound{}, false
}

func (l *Log) findOwners(memberEpochs bool, emit Emit) {
	o := &owners{log: l, memberEpochs: memberEpochs, emit: emit, newest: map[member]*floors{}, owner: map[ownership]Sight{},
		told: map[ownership]bool{}, gone: map[int32]bool{}, commits: map[groupKey][]write{}, member: map[member]*membership{}, seeks: map[int32]bool{}}
	if !l.anyGroup {
		return
	}
	const all = history.HasPolls | history.HasFacts | history.HasKeys
	l.H.EachOf(all, func(op *history.Op) bool {
		o.gather(op)
		return true
	})
	for _, all := range o.commits {
		slices.SortStableFunc(all, func(a, b write) int { return compare(a.done, b.done) })
	}
	l.H.Each(func(op *history.Op) bool {
		o.operation(op)
		return true
	})
}

func (o *owners) gather(op *history.Op) {
	if op.Group == "" {
		return
	}
	if op.Type == history.OK && op.Generation > 0 {
		o.floorsOf(op).add(bound{op.Completed, op.Generation, op.Row})
	}
	for _, m := range op.Offsets {
		if m.Kind != history.MopCommit || op.Type == history.Failed || m.Offset < 0 {
			continue
		}
		w := write{op.Invoked, op.Completed, m.Offset, op.Row}
		if op.Type != history.OK {
			w.done = noEnd
		}
		at := groupKey{op.Group, m.Key}
		o.commits[at] = append(o.commits[at], w)
	}
}

func (o *owners) floorsOf(op *history.Op) *floors {
	m := member{op.Group, -1}
	if o.memberEpochs {
		m.process = op.ProcessNo
	}
	if o.newest[m] == nil {
		o.newest[m] = &floors{}
	}
	return o.newest[m]
}

func (o *owners) operation(op *history.Op) {
	if op.F == history.Crash || op.Type == history.Unknown {
		o.gone[op.ProcessNo] = true
	}
	if op.F == history.Assign && op.Type != history.Failed {
		o.seeks[op.ProcessNo] = op.Seek
	}
	if op.Group == "" {
		return
	}
	o.commit(op)
	m := o.join(op)
	if op.Type != history.OK {
		return
	}
	for i, p := range op.Polled {
		key := o.log.H.KeyOf(p.Rec)
		if i > 0 && key == o.log.H.KeyOf(op.Polled[i-1].Rec) {
			continue
		}
		now := Sight{p.Rec, p.Offset, op.Row}
		if op.Generation > 0 {
			o.own(op, key, now)
		}
		if !m.owned[key] {
			m.owned[key] = true
			o.begin(op, m, key, now)
		}
	}
}

// join records in which generation the process is, and since when.
func (o *owners) join(op *history.Op) *membership {
	at := member{op.Group, op.ProcessNo}
	m := o.member[at]
	if m == nil {
		m = &membership{generation: op.Generation, began: op.Invoked, owned: map[history.Key]bool{}}
		o.member[at] = m
	}
	if op.Generation != 0 && op.Generation != m.generation {
		if m.generation != 0 {
			m.began, m.owned = op.Invoked, map[history.Key]bool{}
		}
		m.generation = op.Generation
	}
	return m
}

// commit: of an older generation it must have been refused.
func (o *owners) commit(op *history.Op) {
	if op.Type != history.OK || op.Generation <= 0 {
		return
	}
	for _, m := range op.Offsets {
		if m.Kind != history.MopCommit {
			continue
		}
		if newer, ok := o.floorsOf(op).before(op.Invoked); ok && newer.value > op.Generation {
			f := about(StaleCommit, m.Key)
			f.Name = op.Group
			f.Earlier, f.Later = Sight{Offset: newer.value, Row: newer.row}, Sight{Offset: op.Generation, Row: op.Row}
			o.emit(f)
		}
		return
	}
}

// own: a partition has one owner in a generation. A process that crashed may have
// come back as another, with its generation, if it is a static member.
func (o *owners) own(op *history.Op, key history.Key, now Sight) {
	at := ownership{op.Group, op.Generation, key}
	before, owned := o.owner[at]
	first := int32(-1)
	if owned {
		first = o.log.H.Brief(before.Row).ProcessNo
	}
	switch {
	case !owned || o.gone[first]:
		o.owner[at] = now
	case first != op.ProcessNo && !o.told[at]:
		o.told[at] = true
		f := about(TwoOwners, key)
		f.Name, f.End, f.Earlier, f.Later = op.Group, op.Generation, before, now
		o.emit(f)
	}
}

// begin: a new owner begins at what the group had committed when it became a
// member, or since.
func (o *owners) begin(op *history.Op, m *membership, key history.Key, now Sight) {
	if now.Offset < 0 || o.seeks[op.ProcessNo] {
		return
	}
	lowest, ok := lowestCommitted(o.commits[groupKey{op.Group, key}], m.began, op.Completed)
	if !ok || now.Offset >= lowest.value {
		return
	}
	f := about(GroupRewind, key)
	f.Name, f.Earlier, f.Later = op.Group, Sight{Offset: lowest.value, Row: lowest.row}, now
	o.emit(f)
}

// lowestCommitted is the lowest offset that may have been read as committed
// between two events; ok is false if none need have been.
func lowestCommitted(commits []write, from, to int64) (lowest write, ok bool) {
	last := -1
	for i, w := range commits {
		if w.done < from {
			last = i
		}
	}
	if last < 0 {
		return write{}, false
	}
	lowest = commits[last]
	for _, w := range commits {
		// What was over before the last began is overwritten.
		if w.done >= commits[last].began && w.began < to && w.value < lowest.value {
			lowest = w
		}
	}
	return lowest, true
}
