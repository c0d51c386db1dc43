package detect

import (
	"slices"

	"github.com/ktrial/ktrial/checkers/history"
)

// owners: in one generation of a group a partition has one owner; what an older
// generation commits is refused; generations only grow; and a new owner begins where
// the group had committed.
//
// It needs operations that name their group, and, for all but the last, its
// generation.
type owners struct {
	log          *Log
	memberEpochs bool
	reset        Reset
	atEnd        map[history.Key]bool // partitions in which some position began anew at the end
	working      map[string]int64     // since when a group was given records
	emit         Emit

	newest  map[member]*floors   // by group, or by member of it
	owner   map[ownedIn]Sight    // the first operation that was given something of a partition
	told    map[ownedIn]bool     // two owners of it were told of
	gone    map[int32]int64      // processes that crashed, or may have, and when
	commits map[groupKey][]write // in the order of their ends
	member  map[member]*membership
	seeks   map[int32]bool
	last    map[groupKey]lastGiven
	rows    []int // operations that matter, in the order of their ends
}

// member is a process in a group; -1: the whole group.
type member struct {
	group   string
	process int32
}

type groupKey struct {
	group string
	key   history.Key
}

// lastGiven is the process that was given something last, but for zombies.
type lastGiven struct {
	process    int32
	generation int64
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
	generation int64 // the newest that it knew of
	row        int   // the operation in which it learned of it
	name       string
	instance   string
	seeks      bool
	began      int64                // first event in it
	joined     bool                 // the history tells that it joined
	given      map[history.Key]bool // partitions that it was given something of, and in its generation
	owned      map[history.Key]bool
	heard      bool                  // its listener was told something
	fresh      map[history.Key]int64 // what it was assigned and not given anything of yet, and when
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

func (l *Log) findOwners(memberEpochs bool, reset Reset, emit Emit) {
	o := &owners{log: l, memberEpochs: memberEpochs, reset: reset, atEnd: map[history.Key]bool{}, working: map[string]int64{}, emit: emit, newest: map[member]*floors{}, owner: map[ownedIn]Sight{},
		told: map[ownedIn]bool{}, gone: map[int32]int64{}, commits: map[groupKey][]write{}, member: map[member]*membership{}, seeks: map[int32]bool{}, last: map[groupKey]lastGiven{}}
	if !l.anyGroup {
		return
	}
	for i := range l.H.Notes() {
		if n := &l.H.Notes()[i]; n.Fault == history.OffsetReset {
			for _, key := range n.Keys {
				o.atEnd[key] = true
			}
		}
	}
	l.H.Each(func(op *history.Op) bool {
		o.gather(op)
		return true
	})
	for _, all := range o.commits {
		slices.SortStableFunc(all, func(a, b write) int { return compare(a.done, b.done) })
	}
	slices.SortStableFunc(o.rows, func(a, b int) int {
		return compare(int64(l.H.Brief(a).Completed), int64(l.H.Brief(b).Completed))
	})
	var op history.Op
	for _, row := range o.rows {
		l.H.Read(row, &op)
		o.operation(&op)
	}
	l.findOwnership(o.rows, o.gone, emit)
}

func (o *owners) gather(op *history.Op) {
	if op.F == history.Crash || op.Type == history.Unknown {
		if since, known := o.gone[op.ProcessNo]; !known || op.Invoked < since {
			o.gone[op.ProcessNo] = op.Invoked
		}
	}
	if op.Group != "" || op.F == history.Crash || op.F == history.Assign || op.F == history.Subscribe || op.F == history.Seek {
		o.rows = append(o.rows, op.Row)
	}
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
	if op.F == history.Assign && op.Type != history.Failed {
		o.seeks[op.ProcessNo] = op.Seek
	}
	if op.F == history.Seek && op.Type != history.Failed {
		o.seeks[op.ProcessNo] = true
	}
	if op.Group == "" {
		return
	}
	o.commit(op)
	m := o.join(op)
	if op.Type != history.OK {
		return
	}
	if op.F.OfListener() {
		m.listen(op)
	}
	m.joined = m.joined || op.F == history.Subscribe || op.F == history.Join
	if len(op.Polled) > 0 && o.working[op.Group] == 0 {
		o.working[op.Group] = op.Completed
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
		if since, how := o.beginsWith(op, m, key); how != goesOn {
			o.begin(op, m, since, how == begins, key, now)
		}
	}
}

// listen: the member is told of partitions, and begins anew with what it is assigned.
func (m *membership) listen(op *history.Op) {
	m.heard = true
	for _, key := range op.Keys {
		delete(m.fresh, key)
		if op.F == history.Assigned {
			m.fresh[key] = op.Completed
		}
	}
	m.seeks = op.Seek
}

// beginning is how sure it is that a member begins with a partition.
type beginning uint8

const (
	goesOn   beginning = iota
	mayBegin           // it may have owned it before, and have come as far
	begins
)

// beginsWith tells whether the member is given something of the partition for the
// first time since it owns it, and since when it does at the latest.
func (o *owners) beginsWith(op *history.Op, m *membership, key history.Key) (since int64, how beginning) {
	at := groupKey{op.Group, key}
	last, known := o.last[at]
	if !known || op.Generation >= last.generation {
		o.last[at] = lastGiven{op.ProcessNo, op.Generation}
	}
	first, again := !m.given[key], m.owned[key]
	m.given[key], m.owned[key] = true, true
	switch since, assigned := m.fresh[key]; {
	case m.heard && assigned:
		delete(m.fresh, key)
		return since, begins
	case m.heard || again:
		return 0, goesOn
	case first && (m.joined || o.log.FromTheStart):
		return m.began, begins
	case !first && !o.memberEpochs && last.process != op.ProcessNo && op.Generation > last.generation:
		return m.began, begins
	}
	return m.began, mayBegin
}

// join records in which generation the process is, and since when. What it knows of
// only grows, unless it is a new member.
func (o *owners) join(op *history.Op) *membership {
	at := member{op.Group, op.ProcessNo}
	m := o.member[at]
	if m == nil {
		m = &membership{generation: op.Generation, began: op.Invoked, row: op.Row, name: op.Member, given: map[history.Key]bool{}, owned: map[history.Key]bool{}, fresh: map[history.Key]int64{}}
		o.member[at] = m
	}
	if op.Instance != "" {
		m.instance = op.Instance
	}
	if op.Generation != 0 && op.Generation != m.generation {
		if m.generation != 0 {
			o.grow(op, m)
			m.began, m.owned = op.Invoked, map[history.Key]bool{}
		}
		m.generation, m.row = op.Generation, op.Row
	}
	if op.Member != "" {
		m.name = op.Member
	}
	return m
}

// grow: the generation that a member is in comes after the one it was in. An answer
// may have been under way when it learned of the newer one.
func (o *owners) grow(op *history.Op, m *membership) {
	before := o.log.H.Brief(m.row)
	if op.Type != history.OK || op.Generation <= 0 || op.Generation > m.generation || op.Invoked <= int64(before.Completed) ||
		op.F == history.Join && !o.memberEpochs || op.Member != m.name {
		return // joins are compared with all of the group: see marks
	}
	f := about(GroupGeneration, -1)
	f.Mark, f.Name = Generation, op.Group
	f.Earlier, f.Later = Sight{Offset: m.generation, Row: m.row}, Sight{Offset: op.Generation, Row: op.Row}
	o.emit(f)
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
	at := ownedIn{groupKey{op.Group, key}, op.Generation}
	before, owned := o.owner[at]
	first := int32(-1)
	if owned {
		first = o.log.H.Brief(before.Row).ProcessNo
	}
	switch since, crashed := o.gone[first]; {
	case !owned || crashed && since < op.Completed || o.replaces(op, first):
		o.owner[at] = now
	case first != op.ProcessNo && !o.told[at]:
		o.told[at] = true
		f := about(TwoOwners, key)
		f.Name, f.End, f.Earlier, f.Later = op.Group, op.Generation, before, now
		o.emit(f)
	}
}

// replaces: the process is the same static member as another, and comes after it.
func (o *owners) replaces(op *history.Op, other int32) bool {
	mine, its := o.member[member{op.Group, op.ProcessNo}], o.member[member{op.Group, other}]
	return mine != nil && its != nil && mine.instance != "" && mine.instance == its.instance
}

// begin: a new owner begins at what the group had committed when it became a
// member, or since: not below it, and not above it, where something lies between.
func (o *owners) begin(op *history.Op, m *membership, since int64, sure bool, key history.Key, now Sight) {
	if now.Offset < 0 || o.seeks[op.ProcessNo] || m.seeks {
		return
	}
	lowest, highest, ok := mayBeCommitted(o.commits[groupKey{op.Group, key}], since, op.Completed)
	switch {
	case !ok && sure:
		o.beginAnew(op, key, now)
	case !ok:
	case now.Offset < lowest.value:
		f := about(GroupRewind, key)
		f.Name, f.Earlier, f.Later = op.Group, Sight{Offset: lowest.value, Row: lowest.row}, now
		o.emit(f)
	case sure && now.Offset > highest.value:
		o.jumped(op, key, highest, now, 0)
	}
}

// beginAnew: where a group had committed nothing that a new owner may have been told, it begins at the
// start of the log, if auto.offset.reset says so. With latest it passes over what was there: that is
// no more than was asked for of a group that begins, and a loss to one that was at work when
// the record was sent. The history tells that a position began at the end.
func (o *owners) beginAnew(op *history.Op, key history.Key, now Sight) {
	since := int64(0)
	switch {
	case !o.log.FromTheStart:
		return
	case o.reset == ResetEarliest:
	case o.reset == ResetLatest && o.atEnd[key] && o.working[op.Group] > 0:
		since = o.working[op.Group]
	default:
		return
	}
	for _, w := range o.commits[groupKey{op.Group, key}] {
		if w.began < op.Completed {
			return
		}
	}
	o.jumped(op, key, write{row: None}, now, since)
}

// jumped: a member began above where its group was, and a record lies between that was sent after
// an event.
func (o *owners) jumped(op *history.Op, key history.Key, from write, now Sight, since int64) {
	l := o.log
	sent := func(rec history.Rec) int64 {
		if w := l.Writer(rec); w >= 0 {
			return int64(l.H.Brief(w).Invoked)
		}
		return 0
	}
	offset, passed := l.parts[key].next(from.value, now.Offset, func(offset int64, rec history.Rec) bool {
		return l.flags[rec]&committed != 0 && l.flags[rec]&(tied|alsoOlder) == 0 && l.isThere(offset, rec) && sent(rec) >= since
	})
	if !passed {
		return
	}
	rec, _ := l.At(key, offset)
	f := about(GroupJump, key)
	f.Name, f.Record = op.Group, Sight{rec, offset, l.Writer(rec)}
	f.Earlier, f.Later = Sight{Offset: from.value, Row: from.row}, now
	o.emit(f)
}

// mayBeCommitted is the lowest and the highest offset that may have been read as
// committed between two events; ok is false if none need have been.
func mayBeCommitted(commits []write, from, to int64) (lowest, highest write, ok bool) {
	last := -1
	for i, w := range commits {
		if w.done < from {
			last = i
		}
	}
	if last < 0 {
		return write{}, write{}, false
	}
	lowest, highest = commits[last], commits[last]
	for _, w := range commits {
		// What was over before the last began is overwritten.
		if w.done < commits[last].began || w.began >= to {
			continue
		}
		if w.value < lowest.value {
			lowest = w
		}
		if w.value > highest.value {
			highest = w
		}
	}
	return lowest, highest, true
}
