package detect

import "github.com/ktrial/ktrial/checkers/history"

// badReads: a poll returns only what was sent, by no operation that failed, not
// by the polling transaction itself; and of the transactions of a group, only
// one that succeeds processes a record.
type badReads struct {
	log        *Log
	subscribed []bool              // by process
	processed  map[string][]uint32 // by group, by record: row+1
	inDoubt    []int               // rows of transactions of unknown outcome that processed something
	own        []ownRead
	twice      []Finding
	checked    int64
}

// ownRead is a record that the operation that sent it was given.
type ownRead struct {
	rec    history.Rec
	offset int64
	row    int
}

func newBadReads(l *Log) *badReads { return &badReads{log: l, processed: map[string][]uint32{}} }

func (b *badReads) operation(op *history.Op) {
	for int(op.ProcessNo) >= len(b.subscribed) {
		b.subscribed = append(b.subscribed, false)
	}
	if op.Type != history.Failed && (op.F == history.Assign || op.F == history.Subscribe) {
		b.subscribed[op.ProcessNo] = op.F == history.Subscribe
	}
	if len(op.Polled) == 0 {
		return
	}
	b.checked += int64(len(op.Polled))
	if op.F == history.Txn {
		switch withOffsets := op.Group != "" && commits(op); {
		case op.Type == history.OK && (withOffsets || b.subscribed[op.ProcessNo]):
			b.process(op)
		case op.Type == history.Unknown && withOffsets:
			b.inDoubt = append(b.inDoubt, op.Row)
		}
	}
	if len(op.Sends) > 0 {
		b.readOwn(op)
	}
}

// commits: the operation moves the offsets of its group.
func commits(op *history.Op) bool {
	for _, o := range op.Offsets {
		if o.Kind == history.MopCommit {
			return true
		}
	}
	return false
}

// process records what a transaction of a group that took effect processed.
func (b *badReads) process(op *history.Op) {
	once := b.processed[op.Group]
	for n := b.log.H.Records(); len(once) < n; {
		once = append(once, 0)
	}
	b.processed[op.Group] = once
	for _, p := range op.Polled {
		switch before := once[p.Rec]; {
		case before == 0:
			once[p.Rec] = uint32(op.Row + 1)
		case before != uint32(op.Row+1) && !b.told(p.Rec, op.Row) && b.log.gave(int(before)-1, p):
			f := about(DuplicateProcessing, b.log.H.KeyOf(p.Rec))
			f.Record = Sight{p.Rec, b.log.gaveAt(int(before)-1, p), None}
			f.Reader, f.Again = int(before)-1, op.Row
			b.twice = append(b.twice, f)
		}
	}
}

// gave: an operation was given the record at the same offset, as far as is told.
func (l *Log) gave(row int, p history.Polled) bool {
	var op history.Op
	l.H.Read(row, &op)
	for _, before := range op.Polled {
		if before.Rec == p.Rec && (before.Offset == p.Offset || before.Offset < 0 || p.Offset < 0) {
			return true
		}
	}
	return false
}

// gaveAt is the offset at which two operations were given a record; NoOffset: one
// of them did not tell.
func (l *Log) gaveAt(row int, p history.Polled) int64 {
	var op history.Op
	l.H.Read(row, &op)
	for _, before := range op.Polled {
		if before.Rec == p.Rec && before.Offset == p.Offset {
			return p.Offset
		}
	}
	return history.NoOffset
}

// told: of several times that an operation was given a record one counts.
func (b *badReads) told(rec history.Rec, row int) bool {
	for i := len(b.twice) - 1; i >= 0 && b.twice[i].Again == row; i-- {
		if b.twice[i].Record.Rec == rec {
			return true
		}
	}
	return false
}

func (b *badReads) readOwn(op *history.Op) {
	for _, p := range op.Polled {
		for _, s := range op.Sends {
			if s.Rec == p.Rec {
				b.own = append(b.own, ownRead{p.Rec, p.Offset, op.Row})
				break
			}
		}
	}
}

// processInDoubt: of a transaction of unknown outcome that took effect all that it was
// given is processed.
func (b *badReads) processInDoubt() {
	var op history.Op
	for _, row := range b.inDoubt {
		if b.log.H.Read(row, &op); b.log.hasCommitted(&op) && !b.log.jepsen {
			b.process(&op)
		}
	}
}

func (b *badReads) finish(emit Emit) int64 {
	l := b.log
	b.processInDoubt()
	if b.anySuspect() {
		l.H.EachOf(history.HasPolls, func(op *history.Op) bool {
			for _, p := range op.Polled {
				l.judgeRead(op, p, emit)
			}
			return true
		})
	}
	for _, f := range b.twice {
		several := l.flags[f.Record.Rec]&(resent|several|alsoOlder) != 0
		if l.flags[f.Record.Rec]&resent == 0 && !(several && f.Record.Offset < 0) && !l.soughtBy(f.Again) {
			emit(f)
		}
	}
	for _, r := range b.own {
		if l.Writer(r.rec) != r.row || l.flags[r.rec]&resent != 0 && !l.jepsen {
			continue
		}
		f := about(PrecommittedRead, l.H.KeyOf(r.rec))
		f.Record = Sight{r.rec, r.offset, r.row}
		f.Reader = r.row
		emit(f)
	}
	return b.checked
}

// anySuspect: some record was read of which no send may have taken effect.
func (b *badReads) anySuspect() bool {
	for _, flags := range b.log.flags {
		if flags&(readOK|readOther) != 0 && flags&(sentOK|sentUnknown) == 0 {
			return true
		}
	}
	return false
}

// judgeRead: what a poll returned was sent, and not by a send that failed. While
// the history is still recorded, a send under way may do either, and a transaction that
// has not told yet what it sends may have sent anything.
func (l *Log) judgeRead(op *history.Op, p history.Polled, emit Emit) {
	flags := l.flags[p.Rec]
	var anomaly Anomaly
	switch {
	case flags&(sentOK|sentUnknown) != 0, !l.finished && (flags&begun != 0 && flags&attempted == 0 || flags&begunAgain != 0):
		return
	case flags&attempted == 0:
		if l.older(l.H.KeyOf(p.Rec), p.Offset) || len(l.untold) > 0 && !l.finished {
			return
		}
		anomaly = PhantomRead
	case op.Type == history.OK:
		anomaly = G1a
	default:
		anomaly = AbortedRead
	}
	f := about(anomaly, l.H.KeyOf(p.Rec))
	f.Record = Sight{p.Rec, p.Offset, l.Writer(p.Rec)}
	f.Reader = op.Row
	// What was sent before the history began may arrive late, or be read for a
	// value that failed since.
	middle := l.mayBeMiddle()
	if anomaly == PhantomRead {
		f.Undecided = middle || l.startsLate(f.Key) || l.untoldFrom >= 0 && l.untoldFrom < op.Completed
	} else {
		f.Undecided = middle && l.older(f.Key, p.Offset) && !l.toldAt(f.Record)
	}
	emit(f)
}

// toldAt: the operation that sent a record says that it is at this offset.
func (l *Log) toldAt(s Sight) bool {
	var op history.Op
	l.H.Read(s.Row, &op)
	for _, sent := range op.Sends {
		if sent.Rec == s.Rec && sent.Offset == s.Offset && s.Offset >= 0 {
			return true
		}
	}
	return false
}
