package detect

import (
	"iter"
	"slices"

	"github.com/ktrial/ktrial/checkers/history"
)

// Acknowledged, Failed and Proved say how sends of the record ended: one
// succeeded; one definitely failed; one is unknown, and a record of the same
// operation was read.
func (l *Log) Acknowledged(rec history.Rec) bool { return l.flags[rec]&sentOK != 0 }

// Failed reports whether some send of the record definitely failed.
func (l *Log) Failed(rec history.Rec) bool { return l.flags[rec]&sentFailed != 0 }

// OnlyFailed reports whether every send of the record definitely failed.
func (l *Log) OnlyFailed(rec history.Rec) bool { return l.flags[rec]&attempted == sentFailed }

// Proved reports whether the record took effect although no client was told so.
func (l *Log) Proved(rec history.Rec) bool { return l.flags[rec]&proved != 0 }

// Committed reports whether the record took effect.
func (l *Log) Committed(rec history.Rec) bool { return l.flags[rec]&committed != 0 }

// Read reports whether a poll that succeeded returned the record.
func (l *Log) Read(rec history.Rec) bool { return l.flags[rec]&readOK != 0 }

// Polled reports whether any poll returned the record and told where it is.
func (l *Log) Polled(rec history.Rec) bool { return l.flags[rec]&polledThere != 0 }

// Several reports whether the record was seen at several offsets.
func (l *Log) Several(rec history.Rec) bool { return l.flags[rec]&several != 0 }

// Writer is the operation that sent the record; -1: none did.
func (l *Log) Writer(rec history.Rec) int { return int(l.writer[rec]) - 1 }

// Sends is how many operations may have written the record.
func (l *Log) Sends(rec history.Rec) int {
	if n := l.sends[rec]; n > 0 {
		return int(n)
	}
	return 1
}

// Offset is where the record was seen first; history.NoOffset: nowhere.
func (l *Log) Offset(rec history.Rec) int64 { return l.offset[rec] }

// Ties are the records that were seen at an offset, if they are several.
func (l *Log) Ties(key history.Key, offset int64) []history.Rec { return l.ties[spot{key, offset}] }

// At is the record at an offset.
func (l *Log) At(key history.Key, offset int64) (history.Rec, bool) {
	slot := l.parts[key].get(offset)
	return history.Rec(slot - 1), slot != 0
}

// Highest is the highest offset of a partition that is known to hold a record; -1: none is.
func (l *Log) Highest(key history.Key) int64 { return l.parts[key].max }

// Partitions is how many there are.
func (l *Log) Partitions() int { return len(l.parts) }

// Acked, Delivered and AckedRead count records: acknowledged, delivered to polls
// that succeeded, and acknowledged and read.
func (l *Log) Acked() int64 { return l.acked }

// Delivered counts the records that successful polls returned.
func (l *Log) Delivered() int64 { return l.polled }

// AckedRead counts the acknowledged records that were read.
func (l *Log) AckedRead() int64 { return l.ackedRead }

// first and last are the lowest and highest offset at which rec was seen.
func (l *Log) first(rec history.Rec) int64 {
	if l.flags[rec]&several != 0 {
		return l.more[rec].inOrder()[0].offset
	}
	return l.offset[rec]
}

func (l *Log) last(rec history.Rec) int64 {
	if l.flags[rec]&several != 0 {
		all := l.more[rec].inOrder()
		return all[len(all)-1].offset
	}
	return l.offset[rec]
}

// First is the lowest offset at which the record was seen.
func (l *Log) First(rec history.Rec) int64 { return l.first(rec) }

// where is the range of offsets at which rec really is: where polls saw it,
// or, if none did, where its acknowledgement says, unless polls saw another
// record there. ok is false if that is not known.
func (l *Log) where(rec history.Rec) (low, high int64, ok bool) {
	flags := l.flags[rec]
	if l.ranks != nil {
		return l.rank(rec)
	}
	if flags&several == 0 {
		o := l.offset[rec]
		return o, o, o >= 0 && (flags&tied == 0 || flags&polledThere != 0)
	}
	if l.found.rec == rec && l.found.known {
		return l.found.low, l.found.high, l.found.low >= 0
	}
	low, high = -1, -1
	for _, p := range l.more[rec].inOrder() {
		if l.trusted(rec, p) {
			if low < 0 {
				low = p.offset
			}
			high = p.offset
		}
	}
	if l.finished {
		l.found = foundAt{rec, low, high, true}
	}
	return low, high, low >= 0
}

// foundAt is where a record of several offsets was found to be: a log is full of
// those that are looked for again and again.
type foundAt struct {
	rec       history.Rec
	low, high int64
	known     bool
}

// trusted: the record of several offsets really is at this one. An
// acknowledgement counts unless polls, which saw the record elsewhere, passed
// over the offset or saw another record there: everywhere, or nowhere. Of a
// record that was sent several times it may be another's.
func (l *Log) trusted(rec history.Rec, p position) bool {
	if p.polled || l.flags[rec]&polledThere == 0 || l.flags[rec]&resent != 0 {
		return true
	}
	return l.finished && !l.contradicted(l.H.KeyOf(rec), p.offset)
}

// contradicted: a reader was given what is below and above an offset, or another
// record there.
func (l *Log) contradicted(key history.Key, offset int64) bool {
	for _, rec := range l.ties[spot{key, offset}] {
		if l.wasPolledAt(rec, offset) {
			return true
		}
	}
	return int(key) < len(l.coverage) && l.coverage[key].holds(offset)
}

// anothers: what a poll returned need not be the record that the history sends, for
// no client was told that it took effect: it may be an older one of the same
// value.
func (l *Log) anothers(p history.Polled) bool {
	key := l.H.KeyOf(p.Rec)
	sentAgain := l.flags[p.Rec]&(sentFailed|sentUnknown) == sentFailed|sentUnknown
	return p.Offset >= 0 && l.flags[p.Rec]&(several|claimedThere|sentOK) == 0 && (sentAgain || l.repeats()) && l.parts[key].oldest != unacked && l.older(key, p.Offset)
}

// isThere: what is known to lie at an offset really does.
func (l *Log) isThere(offset int64, rec history.Rec) bool {
	if l.flags[rec]&several == 0 {
		return true
	}
	return l.trusted(rec, position{offset, l.wasPolledAt(rec, offset)})
}

func (l *Log) wasPolledAt(rec history.Rec, offset int64) bool {
	if l.flags[rec]&several == 0 {
		return l.flags[rec]&polledThere != 0
	}
	all := l.more[rec].inOrder()
	i, there := slices.BinarySearchFunc(all, offset, func(p position, offset int64) int { return compare(p.offset, offset) })
	return there && all[i].polled
}

// Between is the lowest offset known to hold a record above low and below
// high; ok is false if there is none.
func (l *Log) Between(key history.Key, low, high int64) (offset int64, ok bool) {
	if low == 1<<63-1 {
		return 0, false
	}
	return l.parts[key].next(low+1, high, l.isThere)
}

// Skipped are the records that a consumer, a group or a producer jumped over, with their offsets.
func (l *Log) Skipped(f *Finding) iter.Seq2[int64, history.Rec] {
	at := f.Earlier.Offset
	switch f.Anomaly {
	case PollSkip, IntPollSkip:
		at = f.Reached
	case GroupJump: // the offset that was committed is the first of them
		at--
	}
	return func(yield func(int64, history.Rec) bool) {
		for {
			offset, ok := l.Between(f.Key, at, f.Later.Offset)
			if !ok {
				return
			}
			if rec, _ := l.At(f.Key, offset); !yield(offset, rec) {
				return
			}
			at = offset
		}
	}
}

// Tied reports whether another record was seen at an offset of the record.
func (l *Log) Tied(rec history.Rec) bool { return l.flags[rec]&tied != 0 }

// Silent reports whether a transaction of a group never tells what it committed.
func (l *Log) Silent(group string) bool { return l.silent[group] }
