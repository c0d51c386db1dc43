package detect

import "github.com/ktrial/ktrial/checkers/history"

// A history may begin in the middle of a cluster's life. What lies below the
// first offset that is acknowledged in it may be older, and then is of no
// operation in the history: a value that was sent again is another record
// there.

// older reports whether what lies at an offset may be older than the history.
func (l *Log) older(key history.Key, offset int64) bool {
	return !l.FromTheStart && !l.jepsen && offset < l.parts[key].oldest
}

// startsLate reports whether the history may lack the beginning of a partition: it
// knows nothing of the first offset. A send that it lacks may have been delayed,
// and its record may lie behind others that the history tells of.
func (l *Log) startsLate(key history.Key) bool {
	return !l.FromTheStart && !l.jepsen && l.parts[key].min > 0
}

// mayBeMiddle reports whether the history began in the middle of a cluster's life, or may
// show that yet.
func (l *Log) mayBeMiddle() bool {
	return l.middle || !l.finished && !l.FromTheStart && !l.jepsen
}

// unacked is the oldest offset of a partition in which nothing was acknowledged.
const unacked = 1<<63 - 1

// setApart takes from each record that the history sends the sightings that are of
// an older one, and looks for what shows that the history began in the middle:
// completions without a beginning, and records that are older.
func (l *Log) setApart() {
	if l.FromTheStart || l.jepsen {
		return
	}
	l.middle = l.H.Headless() > 0
	for i, flags := range l.flags {
		if rec := history.Rec(i); flags&attempted == 0 && flags&polledThere != 0 && !l.middle {
			l.middle = l.older(l.H.KeyOf(rec), l.first(rec))
		}
	}
	for i, flags := range l.flags {
		rec := history.Rec(i)
		if flags&polledThere == 0 || flags&attempted == 0 {
			continue
		}
		key := l.H.KeyOf(rec)
		switch {
		case flags&several != 0 && flags&sentOK != 0:
			l.dropOlder(key, rec)
		case flags&several == 0 && l.anothers(history.Polled{Rec: rec, Offset: l.offset[rec]}):
			l.flags[rec] = l.flags[rec]&^(polledThere|readOK|readOther) | alsoOlder
			l.offset[rec] = history.NoOffset
		}
	}
}

// dropOlder leaves the offsets of a record that are not older, if there are any.
func (l *Log) dropOlder(key history.Key, rec history.Rec) {
	all := l.more[rec].inOrder()
	n := 0
	for n < len(all) && l.older(key, all[n].offset) {
		n++
	}
	if n == 0 || n == len(all) {
		return
	}
	left := all[n:]
	l.flags[rec] |= alsoOlder
	l.more[rec].list, l.more[rec].sorted = left, len(left)
	l.offset[rec] = left[0].offset
	polled := false
	for _, p := range left {
		polled = polled || p.polled
	}
	if !polled { // a reader of it read the older one
		l.flags[rec] &^= polledThere | readOK | readOther
	}
	if len(left) == 1 {
		l.flags[rec] &^= several
		delete(l.more, rec)
	}
}

// repeats reports whether values were sent or seen several times.
func (l *Log) repeats() bool { return len(l.sends)+len(l.more) > 0 }

// beganBefore reports whether an operation began before the history did: what it sent may
// have been read by then.
func (l *Log) beganBefore(row int) bool {
	return l.H.Headless() > 0 && row >= 0 && l.H.Brief(row).Invoked == 0
}

// byValue are the anomalies that rest on which of several sends a record is of.
var byValue = map[Anomaly]bool{
	Duplicate: true, G1a: true, AbortedRead: true, G1c: true, G1cRealtime: true, AppendRealtimeOrder: true, NonmonotonicSend: true,
	IntNonmonotonicSend: true, PrecommittedRead: true, LostWrite: true, TornTransaction: true, DuplicateProcessing: true, NonmonotonicEnd: true,
	PollSkip: true, IntPollSkip: true, GroupSkip: true, ZombieCommit: true,
}

// unsureOf: a finding is about a send of unknown outcome, and the value may have
// been sent before the history began.
func (l *Log) unsureOf(f *Finding) bool {
	if f.Anomaly == G1cRealtime && f.Direct {
		return !l.Acknowledged(f.Record.Rec)
	}
	if f.Anomaly == NonmonotonicEnd && f.Record.Row >= 0 {
		return !l.Acknowledged(f.Record.Rec)
	}
	switch f.Anomaly {
	case ZombieCommit:
		return l.H.Brief(f.Later.Row).Type != history.OK
	case DuplicateProcessing:
		return l.H.Brief(f.Reader).Type != history.OK || l.H.Brief(f.Again).Type != history.OK
	}
	return f.hasPair() && (!l.Acknowledged(f.Earlier.Rec) || !l.Acknowledged(f.Later.Rec))
}

// doubtful: where a history begins in the middle and values repeat, what it reads
// may be of sends that it does not tell of.
func (l *Log) doubtful(emit Emit) Emit {
	if len(l.silent) > 0 {
		emit = l.afterSilence(emit)
	}
	if !l.middle {
		return emit
	}
	repeats := l.repeats()
	return func(f Finding) {
		f.Undecided = f.Undecided || f.Anomaly == CommittedOffset || byValue[f.Anomaly] && (repeats || l.unsureOf(&f))
		emit(f)
	}
}

// afterSilence: a transaction that never tells what it committed may have moved its
// group's offsets.
func (l *Log) afterSilence(emit Emit) Emit {
	return func(f Finding) {
		switch f.Anomaly {
		case CommittedOffset, GroupSkip, GroupJump, CommitAhead, Unprocessed:
			f.Undecided = f.Undecided || l.silent[f.Name]
		}
		emit(f)
	}
}
