package permit

import (
	"fmt"
	"slices"
	"sort"

	"github.com/ktrial/ktrial/checkers/detect"
	"github.com/ktrial/ktrial/checkers/history"
)

// Ruling is what is said of one finding.
type Ruling struct {
	Kind   Kind
	Reason string // why it is permitted, or not decided
}

// Kind of a ruling.
type Kind uint8

const (
	// Broken: a promise was broken, and nothing permits it.
	Broken Kind = iota
	// Undecided: whether a promise was broken cannot be known.
	Undecided
	// Permitted: a promise was broken, and a setting or a fault permits it.
	Permitted
	// Legal: nothing was promised.
	Legal
)

// Permits decides, finding by finding, what is permitted.
type Permits struct {
	log    *detect.Log
	e      *Expectations
	active []*row
	ends   map[history.Key]detect.Ends
	resets map[[2]int]bool // reader's process and key that had their one reset
	lows   [][]low         // by key
	firsts map[standing]int
	// members are the processes that subscribed, if the history tells of any
	// subscription or assignment; else nil.
	members    map[int32]bool
	heard      map[int32]int64 // by process: when its listener was told something first
	compaction *compaction     // made when it is needed
	deletions  map[history.Key][]deletion
	told       bool
}

// New picks the rows that hold for this configuration and what happened.
func New(log *detect.Log, e *Expectations) *Permits {
	p := &Permits{log: log, e: e, ends: detect.LogEnds(log.H), resets: map[[2]int]bool{}}
	told := map[history.FaultKind]int{}
	known := e.FaultsKnown
	for i := range log.H.Notes() {
		if n := &log.H.Notes()[i]; n.F == history.Fault {
			told[n.Fault]++
			known = true
		}
	}
	for i := range table {
		r := &table[i]
		if !r.when(e) || len(r.permits) == 0 {
			continue
		}
		if r.fault != history.OtherFault {
			n, said := e.Happened[r.fault]
			if said && n == 0 || !said && known && told[r.fault] == 0 {
				continue
			}
			if r.fault == history.LossyCrashes && int64(n) < e.number(MinInsyncReplicas, 2) {
				continue
			}
		}
		p.active = append(p.active, r)
	}
	return p
}

// Jepsen is what Jepsen's own options allow: sub-via and ww-deps.
func Jepsen(log *detect.Log, e *Expectations) *Permits {
	p := &Permits{log: log, e: e}
	p.active = []*row{{reason: "jepsen allows it", legal: true,
		permits: []detect.Anomaly{detect.IntSendSkip, detect.G0, detect.G0Realtime, detect.PL1Cycle, detect.StrongPL1Cycle}}}
	if subscribed(e) {
		p.active = append(p.active, &row{reason: "jepsen allows it with subscribe", permits: []detect.Anomaly{detect.PollSkip, detect.NonmonotonicPoll}})
	}
	if e.Is(WriteOrder, "true") {
		p.active = append(p.active, &row{reason: "jepsen allows it with ww-deps", permits: []detect.Anomaly{detect.G1c, detect.G1cRealtime, detect.PL2Cycle, detect.StrongPL2Cycle}})
	}
	return p
}

// Rule says what a finding is worth.
func (p *Permits) Rule(f *detect.Finding) Ruling {
	for _, r := range p.active {
		if slices.Contains(r.permits, f.Anomaly) && (r.only == nil || r.only(p, f)) {
			if r.legal {
				return Ruling{Legal, r.reason}
			}
			return Ruling{Permitted, r.reason}
		}
	}
	switch {
	case (f.Anomaly == detect.Unseen || f.Anomaly == detect.StuckLSO) && p.e.Is(CutShort, "true"):
		return Ruling{Undecided, "cut-short=true: the run ended before its time, and what was not read yet is not missing"}
	case f.Undecided && f.Anomaly == detect.PhantomRead:
		return Ruling{Undecided, "it may have been sent before the history began, or by a transaction that never tells what it sent"}
	case f.Undecided && p.log.Silent(f.Name):
		return Ruling{Undecided, "a transaction of the group never tells what it committed"}
	case f.Undecided && f.Anomaly != detect.Unseen:
		return Ruling{Undecided, "the history begins in the middle of a cluster's life: what was sent before may arrive late"}
	case f.Undecided:
		return Ruling{Undecided, "nothing shows that consumers had come so far when the history ends: no position, no end of the log, and an empty poll shows it only with empty-polls=drained"}
	}
	return Ruling{}
}

// onlyAcknowledged: it can be that an acknowledged record was truncated before
// any reader was given it. What polls saw, polls must agree on.
func onlyAcknowledged(p *Permits, f *detect.Finding) bool {
	unread := func(rec history.Rec) bool { return !p.log.Polled(rec) }
	eitherUnread := p.e.Is(Acks, "0") || unread(f.Earlier.Rec) || unread(f.Later.Rec)
	switch f.Anomaly {
	case detect.LeaderEpochOrder:
		return false
	case detect.InconsistentOffsets, detect.Duplicate:
		return f.Polled <= 1
	case detect.PollSkip, detect.IntPollSkip:
		return p.skippedAll(f, func(offset int64, rec history.Rec) bool { return unread(rec) })
	case detect.NonmonotonicSend, detect.IntNonmonotonicSend, detect.AppendRealtimeOrder:
		return eitherUnread
	case detect.NonmonotonicEnd:
		if f.Record.Row >= 0 { // it was appended below an end that was read before
			return unread(f.Record.Rec)
		}
		floor := p.log.H.Brief(f.Earlier.Row).F
		return floor == history.Send || floor == history.Txn
	}
	return true
}

// atSeveralOffsets: the log has it twice, so a consumer that processes all of
// the log does that twice.
func atSeveralOffsets(p *Permits, f *detect.Finding) bool { return p.log.Several(f.Record.Rec) }

// alsoAborted: one of the records was sent by an operation that failed, too, and
// what was read may be what that one left.
func alsoAborted(p *Permits, f *detect.Finding) bool {
	return slices.ContainsFunc(f.Records(), p.log.Failed)
}

// acrossPartitions: the two records are on different partitions.
func acrossPartitions(p *Permits, f *detect.Finding) bool {
	return p.log.H.KeyOf(f.Earlier.Rec) != p.log.H.KeyOf(f.Record.Rec)
}

// firstGivenUp: the earlier of two sends never learned its outcome.
func firstGivenUp(p *Permits, f *detect.Finding) bool {
	return p.log.H.Brief(f.Earlier.Row).Type == history.Unknown
}

// skippedAll reports whether all records that a skip jumped over are such.
func (p *Permits) skippedAll(f *detect.Finding, such func(int64, history.Rec) bool) bool {
	for offset, rec := range p.log.Skipped(f) {
		if !such(offset, rec) {
			return false
		}
	}
	return true
}

// afterTheFault: on a partition that it hit, and not before. A fault that
// names no partition hit all.
func afterTheFault(p *Permits, f *detect.Finding) bool {
	told := false
	for i := range p.log.H.Notes() {
		n := &p.log.H.Notes()[i]
		if n.F != history.Fault || n.Fault != history.UncleanElection && n.Fault != history.LossyCrashes {
			continue
		}
		told = true
		if len(n.Keys) > 0 && !slices.Contains(n.Keys, f.Key) {
			continue
		}
		switch f.Anomaly {
		case detect.LostWrite, detect.TornTransaction, detect.Unseen: // what was written before is what is lost
			return true
		}
		for _, row := range p.rowsOf(f) {
			if int64(p.log.H.Brief(row).Completed) > n.Number {
				return true
			}
		}
	}
	return !told
}

// rowsOf are the operations of a finding; of what is wrong with the log itself,
// those that wrote what is there, and those that saw it first: the fault came
// before one of them ended. A record that was written before may be seen after,
// because a replica that has it at another offset was elected.
func (p *Permits) rowsOf(f *detect.Finding) []int {
	if rows := f.Rows(); len(rows) > 0 {
		return rows
	}
	var rows []int
	offsets := f.Offsets
	if len(offsets) == 0 {
		offsets = []int64{f.Record.Offset}
	}
	for _, rec := range f.Records() {
		if w := p.log.Writer(rec); w >= 0 {
			rows = append(rows, w)
		}
		for _, offset := range offsets {
			if row, ok := p.firstSeen()[standing{rec, offset}]; ok {
				rows = append(rows, row)
			}
		}
	}
	return rows
}

// standing is a record at an offset.
type standing struct {
	rec    history.Rec
	offset int64
}

// firstSeen are the polls that first saw a record where another was seen too, or
// a record that was seen elsewhere: what contradicts was known from then on.
func (p *Permits) firstSeen() map[standing]int {
	if p.firsts != nil {
		return p.firsts
	}
	p.firsts = map[standing]int{}
	p.log.H.EachOf(history.HasPolls, func(op *history.Op) bool {
		if op.Type != history.OK {
			return true
		}
		for _, r := range op.Polled {
			if !p.log.Several(r.Rec) && !p.log.Tied(r.Rec) {
				continue
			}
			at := standing{r.Rec, r.Offset}
			if _, seen := p.firsts[at]; !seen {
				p.firsts[at] = op.Row
			}
		}
		return true
	})
	return p.firsts
}

// betweenClients: an end that was read too low, by another client than the one
// that knew better, while a leader had not heard that it was replaced.
func betweenClients(p *Permits, f *detect.Finding) bool {
	if f.Record.Row >= 0 || f.Earlier.Row == f.Later.Row {
		return false
	}
	knew, read := p.log.H.Brief(f.Earlier.Row), p.log.H.Brief(f.Later.Row)
	return p.log.H.Client(knew.ProcessNo) != p.log.H.Client(read.ProcessNo) && p.leaderUnaware(f.Key, read)
}

// leaderUnaware reports whether some leader of a partition was replaced and had
// not heard of it at a time of the read. A history that does not tell when
// leaders were replaced may have had one at any time.
func (p *Permits) leaderUnaware(key history.Key, read history.Brief) bool {
	return p.unaware(history.ReplacedLeader, history.ReplacedLeaderHeard, read, func(n *history.Note) bool {
		return len(n.Keys) == 0 || slices.Contains(n.Keys, key)
	})
}

// readFromReplaced: some offset was read while a coordinator had not heard that it was
// replaced. Which partition of the coordinators' topic is the group's no history tells.
// An offset that was never committed, which is a finding of the read alone, no
// coordinator may tell.
func readFromReplaced(p *Permits, f *detect.Finding) bool {
	return len(f.Path) > 1 && slices.ContainsFunc(f.Path, func(row int) bool {
		read := p.log.H.Brief(row)
		return read.F == history.Committed &&
			p.unaware(history.ReplacedCoordinator, history.ReplacedCoordinatorHeard, read, func(*history.Note) bool { return true })
	})
}

// unaware reports whether a node was replaced, and had not heard of it at a time of the
// read, by what the history tells of two kinds of faults where about is true.
func (p *Permits) unaware(replaced, heard history.FaultKind, read history.Brief, about func(*history.Note) bool) bool {
	told := false
	unaware := map[string]bool{} // by the partitions that are told
	for i := range p.log.H.Notes() {
		n := &p.log.H.Notes()[i]
		if n.F != history.Fault || n.Fault != replaced && n.Fault != heard {
			continue
		}
		told = true
		if !about(n) {
			continue
		}
		if n.Number > int64(read.Completed) {
			return len(unaware) > 0
		}
		what := fmt.Sprint(n.Keys)
		if n.Fault == replaced {
			unaware[what] = true
			continue
		}
		if delete(unaware, what); n.Number > int64(read.Invoked) {
			return true
		}
	}
	return len(unaware) > 0 || !told
}

// ofAMember: it is a step of a process that subscribed, from one ownership of the
// partition to another. Within a generation a member owns a partition once; of a
// process whose listener is told, steps from one ownership to another are not found.
func ofAMember(p *Permits, f *detect.Finding) bool {
	if !p.subscribedAt(f.Later.Row) || p.listens(f.Later.Row) {
		return false
	}
	var from, to history.Op
	p.log.H.Read(f.Earlier.Row, &from)
	p.log.H.Read(f.Later.Row, &to)
	return from.Generation == 0 || to.Generation == 0 || from.Generation != to.Generation
}

// listens: the listener of an operation's process was told something before.
func (p *Permits) listens(row int) bool {
	if !p.log.H.Listeners() {
		return false
	}
	if p.heard == nil {
		p.heard = map[int32]int64{}
		p.log.H.EachOf(history.HasFacts, func(op *history.Op) bool {
			if _, known := p.heard[op.ProcessNo]; op.F.OfListener() && !known {
				p.heard[op.ProcessNo] = op.Completed
			}
			return true
		})
	}
	b := p.log.H.Brief(row)
	since, told := p.heard[b.ProcessNo]
	return told && since < int64(b.Completed)
}

// subscribedAt: the process of an operation had not been assigned its partitions.
// A process of which neither is told counts as subscribed, as the configuration
// says.
func (p *Permits) subscribedAt(row int) bool {
	if !p.told {
		p.told = true
		p.members = map[int32]bool{}
		p.log.H.EachOf(history.HasKeys, func(op *history.Op) bool {
			if op.Type != history.Failed && op.F == history.Assign {
				p.members[op.ProcessNo] = false
			}
			if op.Type != history.Failed && op.F == history.Subscribe {
				p.members[op.ProcessNo] = true
			}
			return true
		})
	}
	member, said := p.members[p.log.H.Brief(row).ProcessNo]
	return member || !said
}

// oncePerReader: a reset happens when a position is first needed, or out of
// range: the same reader does not jump on a partition again and again.
func oncePerReader(p *Permits, f *detect.Finding) bool {
	reader := [2]int{int(p.log.H.Brief(f.Later.Row).ProcessNo), int(f.Key)}
	if p.resets[reader] {
		return false
	}
	p.resets[reader] = true
	return true
}

// whereReset: the position in that partition began anew, as the history tells.
func whereReset(p *Permits, f *detect.Finding) bool {
	for i := range p.log.H.Notes() {
		if n := &p.log.H.Notes()[i]; n.Fault == history.OffsetReset && slices.Contains(n.Keys, f.Key) {
			return true
		}
	}
	return false
}

// belowLogStart: strictly. Where the log starts is told by the history or the
// configuration; if by neither, the records were deleted before a reader passed
// them, and no poll that began later may have returned one of them or one below.
func belowLogStart(p *Permits, f *detect.Finding) bool {
	start, known := p.ends[f.Key]
	if n := p.e.number(LogStartOffset, -1); n >= 0 {
		start, known = detect.Ends{Start: n}, true
	}
	lost, missed := f.Record.Offset, int64(-1)
	switch f.Anomaly {
	case detect.PollSkip, detect.IntPollSkip, detect.GroupJump:
		lost, missed = p.lastSkipped(f), int64(p.log.H.Brief(f.Later.Row).Completed)
	default:
		missed = p.missedFirst(f.Key, lost, f.Record.Row)
	}
	if known {
		return lost < start.Start
	}
	return missed < 0 || lost < p.lowestFrom(f.Key, missed)
}

func (p *Permits) lastSkipped(f *detect.Finding) int64 {
	last := f.Earlier.Offset
	for offset := range p.log.Skipped(f) {
		last = offset
	}
	return last
}

// missedFirst is the event by which a reader had passed over an offset; -1: none
// had.
func (p *Permits) missedFirst(key history.Key, offset int64, writer int) int64 {
	acked := int64(0)
	if writer >= 0 {
		acked = int64(p.log.H.Brief(writer).Invoked)
	}
	first := int64(-1)
	if writer >= 0 {
		first = p.log.Owed(key, offset, writer)
	}
	for _, j := range p.over(key, offset) {
		if j.Completed > acked && (first < 0 || j.Completed < first) && !p.reset(key, j) {
			first = j.Completed
		}
	}
	return first
}

// over are the jumps over an offset.
func (p *Permits) over(key history.Key, offset int64) (over []detect.Jump) {
	for _, j := range p.log.Jumps(key) {
		if j.From < offset && offset < j.To {
			over = append(over, j)
		}
	}
	return over
}

// lowestFrom is the lowest offset of the partition that a poll returned which
// began after an event; far above all if there is none.
func (p *Permits) lowestFrom(key history.Key, after int64) int64 {
	if p.lows == nil {
		p.gatherLows()
	}
	lows := p.lows[key]
	i := sort.Search(len(lows), func(i int) bool { return lows[i].began > after })
	if i == len(lows) {
		return 1<<63 - 1
	}
	return lows[i].offset
}

// low is the lowest offset of a partition that polls returned which began at
// an event or later.
type low struct{ began, offset int64 }

func (p *Permits) gatherLows() {
	p.lows = make([][]low, p.log.Partitions())
	p.log.H.Each(func(op *history.Op) bool {
		for _, r := range op.Polled {
			if key := p.log.H.KeyOf(r.Rec); r.Offset >= 0 {
				p.lows[key] = append(p.lows[key], low{op.Invoked, r.Offset})
			}
		}
		return true
	})
	for _, lows := range p.lows {
		for i := len(lows) - 2; i >= 0; i-- {
			lows[i].offset = min(lows[i].offset, lows[i+1].offset)
		}
	}
}

// endedByAnother: a transaction that an EndTxn of an earlier one ended came out committed though it was
// aborted, or the other way round.
func endedByAnother(p *Permits, f *detect.Finding) bool {
	switch f.Anomaly {
	case detect.PollSkip, detect.IntPollSkip:
		return p.skippedAll(f, func(_ int64, rec history.Rec) bool { return !p.log.Read(rec) && p.endedLate(rec) })
	}
	return p.endedLate(f.Record.Rec)
}

// endedLate: a late EndTxn ended the record's transaction, while its producer had not ended it yet. A history that
// does not tell which transactions were ended so may have had it happen to any.
func (p *Permits) endedLate(rec history.Rec) bool {
	writer := p.log.Writer(rec)
	if writer < 0 {
		return false
	}
	var op history.Op
	p.log.H.Read(writer, &op)
	if op.F != history.Txn {
		return false
	}
	told := false
	for i := range p.log.H.Notes() {
		n := &p.log.H.Notes()[i]
		if n.Fault != history.DelayedEndTxn {
			continue
		}
		if n.Txn == "" || n.Txn == op.Txn && op.Invoked < n.Number && n.Number < op.Completed {
			return true
		}
		told = true
	}
	return !told
}

// ofWorkers: what is wrong came about in a transaction that processes records of a group. A reader that
// has no group is given everything once and in order, whatever members of groups commit.
func ofWorkers(p *Permits, f *detect.Finding) bool {
	for _, row := range []int{f.Later.Row, f.Earlier.Row, f.Reader, f.Again} {
		if row == detect.None {
			continue
		}
		var op history.Op
		p.log.H.Read(row, &op)
		if op.F == history.Txn && op.Group != "" {
			return true
		}
	}
	return false
}

// backToTheGroup: the process had a transaction aborted after the step's first end, and
// the one with its second end was aborted, too, so that what was polled in it counts for
// nothing. Between the offset at which that begins, and one that the group had committed
// or may have, lies no record.
func backToTheGroup(p *Permits, f *detect.Finding) bool {
	earlier, later := p.log.H.Brief(f.Earlier.Row), p.log.H.Brief(f.Later.Row)
	if later.F != history.Txn || later.Type != history.Failed {
		return false
	}
	var op history.Op
	p.log.H.Read(f.Later.Row, &op)
	group, began := op.Group, false
	committed := false
	p.log.H.EachOf(history.HasFacts, func(op *history.Op) bool {
		began = began || op.ProcessNo == later.ProcessNo && op.F == history.Txn && op.Type == history.Failed &&
			op.Invoked >= int64(earlier.Completed) && op.Completed <= int64(later.Invoked)
		for _, m := range op.Offsets {
			if committed || op.Group != group || m.Kind != history.MopCommit || m.Key != f.Key || op.Type == history.Failed || op.Invoked > int64(later.Completed) || m.Offset > f.Later.Offset {
				continue
			}
			_, over := p.log.Between(f.Key, m.Offset-1, f.Later.Offset)
			committed = !over
		}
		return !began || !committed
	})
	return group != "" && began && committed
}

// inTransactions: the offset that was passed over was committed in a transaction.
func inTransactions(p *Permits, f *detect.Finding) bool {
	return f.Anomaly != detect.GroupRewind || p.log.H.Brief(f.Earlier.Row).F == history.Txn
}
