package detect

import "github.com/ktrial/ktrial/checkers/history"

// sendOrder: the records of one producer lie in a partition in the order in
// which it sent them. Records of others in between are no fault: int-send-skip
// says that they are there. Sends that name a session are compared with those
// of the session, whichever process they are of.
type sendOrder struct {
	log      *Log
	last     map[uint64]*sentLast
	ages     []uint32 // of assignments, by sender
	sessions map[string]int32
	walk     perKey
	emit     Emit
	checked  int64
}

// sentLast is what a sender sent last to a partition.
type sentLast struct {
	seen
	age uint32
}

func (l *Log) sendOrder(emit Emit) int64 {
	o := sendOrder{log: l, last: map[uint64]*sentLast{}, ages: make([]uint32, l.H.Processes()), sessions: map[string]int32{}, emit: emit}
	l.H.EachOf(history.HasSends|history.HasKeys, func(op *history.Op) bool {
		o.operation(op)
		return true
	})
	return o.checked
}

// session numbers a producer's session, as if it were one more process.
func (o *sendOrder) session(name string) int32 {
	n, ok := o.sessions[name]
	if !ok {
		n = int32(len(o.ages))
		o.ages = append(o.ages, 0)
		o.sessions[name] = n
	}
	return n
}

func (o *sendOrder) of(sender int32, key history.Key) (*sentLast, bool) {
	id := uint64(sender)<<32 | uint64(uint32(key))
	at := o.last[id]
	if at == nil {
		at = &sentLast{age: o.ages[sender]}
		o.last[id] = at
		return at, false
	}
	return at, at.age == o.ages[sender]
}

// assign keeps only what the operation names.
func (o *sendOrder) assign(op *history.Op) {
	o.ages[op.ProcessNo]++
	age := o.ages[op.ProcessNo]
	if op.Seek {
		return
	}
	for _, key := range op.Keys {
		if at := o.last[uint64(op.ProcessNo)<<32|uint64(uint32(key))]; at != nil && at.age == age-1 {
			at.age = age
		}
	}
}

func (o *sendOrder) operation(op *history.Op) {
	if o.log.replacesAssignment(op) {
		o.assign(op)
		return
	}
	if len(op.Sends) == 0 {
		return
	}
	o.checked += int64(len(op.Sends))
	o.walkSends(op)
	if op.Type == history.Failed {
		return
	}
	sender, inSession := op.ProcessNo, op.Session != "" && !o.log.jepsen
	if inSession {
		sender = o.session(op.Session)
	}
	for i := range o.walk.entries {
		w := &o.walk.entries[i]
		at, there := o.of(sender, w.key)
		if there && at.known && w.first.known && o.log.step(w.key, &at.seen, &w.first) == stepBack {
			o.emit(pair(NonmonotonicSend, w.key, &at.seen, &w.first))
		}
		if there && inSession && !w.last.known {
			continue
		}
		at.seen, at.age = w.last, o.ages[sender]
	}
}

func (o *sendOrder) walkSends(op *history.Op) {
	o.walk.entries = o.walk.entries[:0]
	for _, s := range op.Sends {
		if s.Silent {
			continue
		}
		key := o.log.H.KeyOf(s.Rec)
		now := o.sent(op, s)
		w, there := o.walk.of(key)
		if !there {
			w.first = now
		} else if now.known && w.last.known {
			switch o.log.step(key, &w.last, &now) {
			case stepBack:
				o.emit(pair(IntNonmonotonicSend, key, &w.last, &now))
			case stepOver:
				o.emit(pair(IntSendSkip, key, &w.last, &now))
			}
		}
		w.last = now
	}
}

// sent is where a record lies that an operation sent. Of a value that was sent
// several times only the acknowledgement tells which of them it is.
func (o *sendOrder) sent(op *history.Op, s history.Sent) seen {
	l := o.log
	now := seen{rec: s.Rec, row: op.Row}
	if l.flags[s.Rec]&resent != 0 && !l.jepsen {
		now.low, now.high = s.Offset, s.Offset
		now.known = op.Type == history.OK && s.Offset >= 0 && l.flags[s.Rec]&tied == 0
		return now
	}
	now.low, now.high, now.known = l.where(s.Rec)
	now.known = now.known && (l.jepsen || l.writer[s.Rec] == uint32(op.Row+1))
	return now
}
