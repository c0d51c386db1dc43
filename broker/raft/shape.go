package raft

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
)

// SnapshotID names a snapshot: it holds all below End, the last of it in Epoch.
// The zero value is none.
type SnapshotID struct {
	End   kafka.Offset
	Epoch kafka.LeaderEpoch
}

// IsZero reports whether there is no snapshot.
func (s SnapshotID) IsZero() bool { return s == SnapshotID{} }

// Span is a run of offsets that were appended in one epoch.
type Span struct {
	Epoch      kafka.LeaderEpoch
	Base, Next kafka.Offset
}

// Shape is all that the protocol knows of a log: not what is in it, but where
// each epoch begins.
type Shape struct {
	Start   kafka.Offset
	End     kafka.Offset // of the next record
	Flushed kafka.Offset // durable below; Start <= Flushed <= End
	// Epochs that the log holds records of, with the first offset of each. Both
	// numbers grow strictly.
	Epochs []Span // Next is not used
	// Snapshots, oldest first. If Start > 0 there is one at Start or beyond.
	Snapshots []SnapshotID
}

// LatestSnapshot is the newest one, or none.
func (s *Shape) LatestSnapshot() SnapshotID {
	if n := len(s.Snapshots); n > 0 {
		return s.Snapshots[n-1]
	}
	return SnapshotID{}
}

// LastEpoch is that of the last record, be it in a snapshot; 0 if there is none.
func (s *Shape) LastEpoch() kafka.LeaderEpoch {
	if n := len(s.Epochs); n > 0 {
		return s.Epochs[n-1].Epoch
	}
	return s.LatestSnapshot().Epoch
}

// EpochOf is that of the record at offset o, or NoEpoch if it is not there.
func (s *Shape) EpochOf(o kafka.Offset) kafka.LeaderEpoch {
	if o < s.Start || o >= s.End {
		return kafka.NoEpoch
	}
	for i := len(s.Epochs) - 1; i >= 0; i-- {
		if s.Epochs[i].Base <= o {
			return s.Epochs[i].Epoch
		}
	}
	return kafka.NoEpoch
}

// EndOffsetFor is the largest epoch here that is not above epoch, and where it
// ends. Below the first epoch stands what the oldest snapshot says.
func (s *Shape) EndOffsetFor(epoch kafka.LeaderEpoch) (kafka.LeaderEpoch, kafka.Offset) {
	end := s.End
	for i := len(s.Epochs) - 1; i >= 0; i-- {
		if s.Epochs[i].Epoch <= epoch {
			return s.Epochs[i].Epoch, end
		}
		end = s.Epochs[i].Base
	}
	if s.Start > 0 && len(s.Snapshots) > 0 {
		return s.Snapshots[0].Epoch, s.Start
	}
	return 0, s.Start
}

// Validity of a position in another log, measured by this one.
type Validity uint8

const (
	// Valid: this log holds the same up to there.
	Valid Validity = iota
	// Diverging: it does not; EndOffsetFor says how much is common.
	Diverging
	// Snapshotted: it is not known, because that part has become a snapshot.
	Snapshotted
)

// Validate compares a log that ends at o, in epoch, with this one.
func (s *Shape) Validate(o kafka.Offset, epoch kafka.LeaderEpoch) Validity {
	if s.Start == 0 && o == 0 && epoch == 0 {
		return Valid
	}
	if len(s.Snapshots) > 0 {
		oldest := s.Snapshots[0]
		atStart := o == s.Start && s.Start > 0
		if o < s.Start || atStart && epoch != oldest.Epoch || epoch < oldest.Epoch {
			return Snapshotted
		}
	}
	if e, end := s.EndOffsetFor(epoch); e != epoch || end < o {
		return Diverging
	}
	return Valid
}

// Append records that sp was appended.
func (s *Shape) Append(sp Span) {
	if sp.Base != s.End || sp.Next <= sp.Base {
		panic(fmt.Sprintf("raft: append [%d, %d): the log ends at %d", sp.Base, sp.Next, s.End))
	}
	last := s.LastEpoch()
	if sp.Epoch < last {
		panic(fmt.Sprintf("raft: append at %d in epoch %d: the log has epoch %d", sp.Base, sp.Epoch, last))
	}
	if len(s.Epochs) == 0 || sp.Epoch > last {
		s.Epochs = append(s.Epochs, Span{Epoch: sp.Epoch, Base: sp.Base})
	}
	s.End = sp.Next
}

// Truncate records that the log now ends at o.
func (s *Shape) Truncate(o kafka.Offset) {
	if o > s.End || o < s.Start {
		panic(fmt.Sprintf("raft: truncate to %d: the log is [%d, %d)", o, s.Start, s.End))
	}
	s.End, s.Flushed = o, min(s.Flushed, o)
	for len(s.Epochs) > 0 && s.Epochs[len(s.Epochs)-1].Base >= o {
		s.Epochs = s.Epochs[:len(s.Epochs)-1]
	}
}

// Contains reports whether the log holds what the snapshot ends with, or
// begins right after it.
func (s *Shape) Contains(id SnapshotID) bool {
	if id.End == s.Start {
		return s.Start > 0 && len(s.Snapshots) > 0 && s.Snapshots[0] == id
	}
	return s.EpochOf(id.End-1) == id.Epoch
}

// AddSnapshot records a new snapshot. If the log does not contain it, the log is
// stale and begins anew where the snapshot ends.
func (s *Shape) AddSnapshot(id SnapshotID) {
	if !s.Contains(id) {
		*s = Shape{Start: id.End, End: id.End, Flushed: id.End, Snapshots: []SnapshotID{id}}
		return
	}
	if slices.Contains(s.Snapshots, id) {
		return
	}
	s.Snapshots = append(s.Snapshots, id)
	slices.SortFunc(s.Snapshots, func(a, b SnapshotID) int { return cmp.Compare(a.End, b.End) })
}

// DropOldestSnapshot forgets a snapshot, and the log up to where the next one
// ends its part: from then on the log begins there.
func (s *Shape) DropOldestSnapshot() {
	s.Snapshots = slices.Delete(s.Snapshots, 0, 1)
	s.Start = max(s.Start, s.Snapshots[0].End)
	for len(s.Epochs) > 0 && (len(s.Epochs) > 1 && s.Epochs[1].Base <= s.Start || s.Start >= s.End) {
		s.Epochs = slices.Delete(s.Epochs, 0, 1)
	}
	if len(s.Epochs) > 0 {
		s.Epochs[0].Base = max(s.Epochs[0].Base, s.Start)
	}
}

// compareEnds orders logs by how much they hold: epoch first, then length.
func compareEnds(epochA kafka.LeaderEpoch, a kafka.Offset, epochB kafka.LeaderEpoch, b kafka.Offset) int {
	return cmp.Or(cmp.Compare(epochA, epochB), cmp.Compare(a, b))
}
