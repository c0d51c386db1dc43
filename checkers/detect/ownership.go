package detect

import (
	"slices"

	"github.com/ktrial/ktrial/checkers/history"
)

// ownership is what listeners were told: in one generation a partition is assigned
// to one member, and a consumer is given nothing of a partition that it was told it
// lost.
//
// A member that was replaced owns its partitions until it learns of it, for a
// coordinator cannot reach it: that is found, too, and is legal.
type ownership struct {
	log  *Log
	gone map[int32]int64 // processes that crashed, or may have, and when
	emit Emit

	holders map[groupKey][]holder // those that were not told that they lost it
	members map[member]*memberTold
	told    map[ownedIn]bool    // two owners were told of
	over    map[readerOf]fenced // what a process was told it lost last, and was not given again
}

// holder is a process that owns a partition: in a generation, since an operation.
type holder struct {
	process    int32
	generation int64
	row        int
	instance   string
}

// memberTold is what one member was told.
type memberTold struct {
	generation int64
	owned      []history.Key
	instance   string
}

type ownedIn struct {
	groupKey
	generation int64
}

type readerOf struct {
	process int32
	key     history.Key
}

// fenced is when a process was told that it lost a partition.
type fenced struct {
	event int64
	row   int
	group string
}

func (l *Log) findOwnership(rows []int, gone map[int32]int64, emit Emit) {
	o := &ownership{log: l, gone: gone, emit: emit, holders: map[groupKey][]holder{}, members: map[member]*memberTold{},
		told: map[ownedIn]bool{}, over: map[readerOf]fenced{}}
	var op history.Op
	for _, row := range rows {
		l.H.Read(row, &op)
		o.operation(&op)
	}
}

func (o *ownership) operation(op *history.Op) {
	switch {
	case op.F == history.Crash || (op.F == history.Assign || op.F == history.Subscribe) && op.Type != history.Failed:
		o.leave(op)
	case op.F == history.Assigned:
		o.assigned(op)
	case op.F == history.Revoked || op.F == history.Lost:
		o.lost(op)
	case op.Type == history.OK:
		o.given(op)
		o.hold(op)
	}
}

func (o *ownership) member(op *history.Op) *memberTold {
	at := member{op.Group, op.ProcessNo}
	m := o.members[at]
	if m == nil {
		m = &memberTold{}
		o.members[at] = m
	}
	if op.Instance != "" {
		m.instance = op.Instance
	}
	return m
}

func (o *ownership) assigned(op *history.Op) {
	m := o.member(op)
	for _, key := range op.Keys {
		delete(o.over, readerOf{op.ProcessNo, key})
		if !contains(m.owned, key) {
			m.owned = append(m.owned, key)
		}
	}
	o.claim(op, m, op.Keys)
	o.hold(op)
}

// hold: what a member keeps in a new generation it owns in that one, too.
func (o *ownership) hold(op *history.Op) {
	if op.Group == "" || op.Generation <= 0 || o.members[member{op.Group, op.ProcessNo}] == nil {
		return
	}
	if m := o.member(op); op.Generation != m.generation {
		m.generation = op.Generation
		o.claim(op, m, m.owned)
	}
}

// claim: from now on the member owns these in the generation of the operation.
func (o *ownership) claim(op *history.Op, m *memberTold, keys []history.Key) {
	now := holder{op.ProcessNo, op.Generation, op.Row, m.instance}
	for _, key := range keys {
		at := groupKey{op.Group, key}
		kept := o.holders[at][:0]
		for _, before := range o.holders[at] {
			if before.process == op.ProcessNo {
				continue
			}
			if since, crashed := o.gone[before.process]; !crashed || since > op.Completed {
				o.compare(at, before, now)
				kept = append(kept, before)
			}
		}
		o.holders[at] = append(kept, now)
	}
}

// compare: two members own a partition, as far as they know. In one generation that
// must not be, unless one is a static member that replaced the other.
func (o *ownership) compare(at groupKey, before, now holder) {
	replaced := now.instance != "" && now.instance == before.instance
	anomaly, generation := ZombieOwner, now.generation
	if before.generation == now.generation && now.generation > 0 && !replaced {
		anomaly = OwnedTwice
	}
	if told := (ownedIn{at, generation}); o.told[told] {
		return
	} else {
		o.told[told] = true
	}
	f := about(anomaly, at.key)
	f.Name = at.group
	f.Earlier, f.Later = Sight{Offset: before.generation, Row: before.row}, Sight{Offset: now.generation, Row: now.row}
	o.emit(f)
}

func (o *ownership) lost(op *history.Op) {
	m := o.member(op)
	for _, key := range op.Keys {
		if i := slices.Index(m.owned, key); i >= 0 {
			m.owned = slices.Delete(m.owned, i, i+1)
		}
		o.release(groupKey{op.Group, key}, op.ProcessNo)
		o.over[readerOf{op.ProcessNo, key}] = fenced{op.Completed, op.Row, op.Group}
	}
}

func (o *ownership) release(at groupKey, process int32) {
	o.holders[at] = slices.DeleteFunc(o.holders[at], func(h holder) bool { return h.process == process })
}

// leave: the process is a consumer of another kind, or a new one.
func (o *ownership) leave(op *history.Op) {
	for at, m := range o.members {
		if at.process != op.ProcessNo {
			continue
		}
		for _, key := range m.owned {
			o.release(groupKey{at.group, key}, at.process)
		}
		delete(o.members, at)
	}
	for at := range o.over {
		if at.process == op.ProcessNo {
			delete(o.over, at)
		}
	}
}

// given: a poll that began after the consumer was told that it lost a partition
// returns nothing of it.
func (o *ownership) given(op *history.Op) {
	if len(o.over) == 0 {
		return
	}
	for i, p := range op.Polled {
		key := o.log.H.KeyOf(p.Rec)
		if i > 0 && key == o.log.H.KeyOf(op.Polled[i-1].Rec) {
			continue
		}
		if lost, ok := o.over[readerOf{op.ProcessNo, key}]; ok && lost.event < op.Invoked {
			f := about(ReadAfterRevoke, key)
			f.Name, f.Record, f.Reader, f.Earlier.Row = lost.group, Sight{p.Rec, p.Offset, None}, op.Row, lost.row
			o.emit(f)
			delete(o.over, readerOf{op.ProcessNo, key})
		}
	}
}
