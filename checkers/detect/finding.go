package detect

import "github.com/ktrial/ktrial/checkers/history"

// None stands where there is no operation.
const None = -1

// Sight is a record, or a value of something that is counted, as an operation
// saw it.
type Sight struct {
	Rec    history.Rec
	Offset int64 // where the record is; or the value
	Row    int   // of the operation; None
}

// Finding is one instance of an anomaly, in numbers; words come later, and only
// for those that are told. Which of its fields are filled depends on the anomaly.
type Finding struct {
	Anomaly Anomaly
	Key     history.Key // the partition; -1: of no partition

	// Record is what the finding is about: what was lost, unseen, read although
	// it must not be, written twice. Its Row is the operation that sent it.
	Record Sight
	// Reader is the operation that was given Record. Again is the one that was
	// given it a second time.
	Reader, Again int
	// Earlier and Later are two neighbours of which the order is wrong, or that
	// have something between them: polled, sent, appended, or values of what
	// only grows, as one operation knew it and another was told.
	Earlier, Later Sight
	// Reached is how far a consumer may have been before it jumped: at Earlier, or further, by
	// operations of unknown outcome (poll-skip, int-poll-skip).
	Reached int64

	// Recs are the records at one offset (inconsistent-offsets), or what was
	// handed on along Path.
	Recs []history.Rec
	// Offsets are where Record is (duplicate), and Sends how many operations may
	// have written it.
	Offsets []int64
	Sends   int
	// Polled is how many of Recs or Offsets polls saw.
	Polled int

	// Passed is how far a reader read beyond a lost record, and Beyond says
	// that it was lost beyond End, where the log ends.
	Passed int64
	Beyond bool
	End    int64

	// Path are the operations of a circle, or those that show that a register
	// was misread.
	Path []int
	// Direct: the record itself came out of the future. ThroughWrites: the circle
	// needs the order of writes.
	Direct, ThroughWrites bool

	// Details are what was told of a record first, and what was told then
	// (changed-record). Epochs are the leader epochs of Earlier and Later.
	Details [2]uint32
	Epochs  [2]int64

	// Mark is what was read too low, or not allowed to shrink, and Name the group
	// or the transactional id that it belongs to.
	Mark Mark
	Name string
	// Undecided: what would make it certain was not seen.
	Undecided bool
}

// Mark is something that is read and only grows.
type Mark uint8

// What only grows.
const (
	NoMark Mark = iota
	LogEnd
	LastStable
	LogStart
	ProducersEpoch
	Generation
)

// about is a finding about no operation yet.
func about(anomaly Anomaly, key history.Key) Finding {
	return Finding{Anomaly: anomaly, Key: key, Record: Sight{Row: None}, Reader: None, Again: None,
		Earlier: Sight{Row: None}, Later: Sight{Row: None}}
}

// Records are those that the finding is about, in the order of its story.
func (f *Finding) Records() []history.Rec {
	switch {
	case len(f.Recs) > 0:
		return f.Recs
	case f.hasPair():
		return []history.Rec{f.Earlier.Rec, f.Later.Rec}
	case f.Anomaly == TornTransaction:
		return []history.Rec{f.Record.Rec, f.Later.Rec}
	case f.aboutRecord():
		return []history.Rec{f.Record.Rec}
	}
	return nil
}

// hasPair: Earlier and Later are records.
func (f *Finding) hasPair() bool {
	switch f.Anomaly {
	case PollSkip, IntPollSkip, NonmonotonicPoll, IntNonmonotonicPoll, NonmonotonicSend, IntNonmonotonicSend, IntSendSkip, AppendRealtimeOrder, TwoOwners, LeaderEpochOrder, KeyOrder:
		return true
	}
	return false
}

func (f *Finding) aboutRecord() bool {
	switch f.Anomaly {
	case LostWrite, TornTransaction, Unseen, Duplicate, PhantomRead, G1a, AbortedRead, PrecommittedRead, DuplicateProcessing, GroupSkip, ChangedRecord,
		ReadAfterRevoke, GroupJump, Unprocessed, ProcessedTwice:
		return true
	case G1cRealtime:
		return f.Direct
	case NonmonotonicEnd:
		return f.Record.Row != None
	case CommitAhead:
		return f.Reader != None
	}
	return false
}

// Rows are the operations that prove the finding, in the order of its story; of
// what is wrong with the log itself there are none.
func (f *Finding) Rows() []int {
	if len(f.Path) > 0 {
		return f.Path
	}
	var rows []int
	for _, row := range []int{f.Record.Row, f.Earlier.Row, f.Later.Row, f.Reader, f.Again} {
		if row >= 0 && (len(rows) == 0 || rows[len(rows)-1] != row) {
			rows = append(rows, row)
		}
	}
	return rows
}

// Emit takes a finding. Detectors call it as often as they find.
type Emit func(Finding)
