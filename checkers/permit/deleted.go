package permit

import (
	"math"
	"slices"

	"github.com/ktrial/ktrial/checkers/detect"
	"github.com/ktrial/ktrial/checkers/history"
)

// deletion is a client's request to delete what lies below an offset.
type deletion struct {
	began, done int64
	below       int64 // history.NoOffset: all that there was
}

// by: it had been asked for by an event; by any if that is -1.
func (d deletion) by(event int64) bool { return event < 0 || d.began <= event }

// deletedByClient: a client had asked for the record to be deleted when it was missed.
func deletedByClient(p *Permits, f *detect.Finding) bool {
	all := p.deletionsOf(f.Key)
	if len(all) == 0 {
		return false
	}
	lost, writer, missed := f.Record.Offset, f.Record.Row, int64(-1)
	switch f.Anomaly {
	case detect.PollSkip, detect.IntPollSkip, detect.GroupJump:
		lost, missed = p.lastSkipped(f), int64(p.log.H.Brief(f.Later.Row).Completed)
		if rec, there := p.log.At(f.Key, lost); there {
			writer = p.log.Writer(rec)
		}
	default:
		missed = p.missedFirst(f.Key, lost, writer)
	}
	if lost < 0 { // it may have lain there
		return slices.ContainsFunc(all, func(d deletion) bool { return d.by(missed) })
	}
	return p.deleted(f.Key, lost, writer, missed)
}

// deleted: a client had asked for what lies at an offset to be deleted, by an event; by
// any if that is -1.
func (p *Permits) deleted(key history.Key, offset int64, writer int, by int64) bool {
	return slices.ContainsFunc(p.deletionsOf(key), func(d deletion) bool {
		switch {
		case !d.by(by):
			return false
		case d.below == history.NoOffset: // of both the beginning may be older than the history
			return writer >= 0 && int64(p.log.H.Brief(writer).Invoked) <= d.done
		}
		return d.below > offset
	})
}

// resetToEnd: what followed the position was deleted, or the position was first needed, which
// happens to a reader once.
func resetToEnd(p *Permits, f *detect.Finding) bool {
	if f.Anomaly == detect.PollSkip && p.outOfRange(f.Key, detect.Jump{From: f.Reached, To: f.Later.Offset, Completed: int64(p.log.H.Brief(f.Later.Row).Completed)}) {
		return true
	}
	return oncePerReader(p, f)
}

// passedByReset: each reader that came past the record stood at what was deleted by then.
func passedByReset(p *Permits, f *detect.Finding) bool {
	if f.Record.Offset < 0 { // it may have lain there
		return slices.ContainsFunc(p.log.Jumps(f.Key), func(j detect.Jump) bool { return p.outOfRange(f.Key, j) })
	}
	over := p.over(f.Key, f.Record.Offset)
	if f.Record.Row < 0 || p.log.Owed(f.Key, f.Record.Offset, f.Record.Row) >= 0 {
		return false
	}
	for _, j := range over {
		if !p.outOfRange(f.Key, j) {
			return false
		}
	}
	return len(over) > 0
}

// reset: the consumer may have begun anew at the end.
func (p *Permits) reset(key history.Key, j detect.Jump) bool {
	return p.e.Is(AutoOffsetReset, "latest") && p.outOfRange(key, j)
}

// outOfRange: what followed the last record before a jump may have been deleted when it was made.
func (p *Permits) outOfRange(key history.Key, j detect.Jump) bool {
	return retention(p.e) || slices.ContainsFunc(p.deletionsOf(key), func(d deletion) bool {
		return d.began < j.Completed && (d.below == history.NoOffset || d.below > j.From+1)
	})
}

// deletionsOf are those that clients asked for.
func (p *Permits) deletionsOf(key history.Key) []deletion {
	if p.deletions == nil {
		p.gatherDeletions()
	}
	return p.deletions[key]
}

func (p *Permits) gatherDeletions() {
	p.deletions = map[history.Key][]deletion{}
	p.log.H.EachOf(history.HasFacts, func(op *history.Op) bool {
		done := op.Completed
		if op.Type == history.Unknown { // it may arrive late
			done = math.MaxInt64
		}
		for _, m := range op.Offsets {
			if m.Kind == history.MopDelete && op.Type != history.Failed {
				p.deletions[m.Key] = append(p.deletions[m.Key], deletion{op.Invoked, done, m.Offset})
			}
		}
		return true
	})
}
