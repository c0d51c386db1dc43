package checkers

import (
	"sort"

	"github.com/ktrial/ktrial/checkers/history"
)

// permission is a row of the table of what a configuration permits.
type permission struct {
	reason  string // what of the configuration, and why it is so
	when    func(e *Expectations) bool
	fault   string // which must have happened, too
	permits []Anomaly
	only    func(p *permits, f *finding) bool // nil: every instance
}

var truncation = []Anomaly{LostWrite, Unseen, InconsistentOffsets, AppendRealtimeOrder, NonmonotonicSend, PollSkip, IntPollSkip, NonmonotonicEnd}

var anything = []Anomaly{LostWrite, Unseen, InconsistentOffsets, Duplicate, NonmonotonicPoll, PollSkip,
	IntPollSkip, IntNonmonotonicPoll, IntNonmonotonicSend, NonmonotonicSend, AppendRealtimeOrder,
	G1a, AbortedRead, TornTransaction, NonmonotonicEnd, CommittedOffset, GroupSkip, CommitAhead}

// permissions is the table: everything that no row permits fails, and nothing
// permits a phantom, a read from the future, or, among read_committed
// consumers, a read of what is not committed.
var permissions = []permission{
	{reason: "always: transactions interleave in a log, for offsets are given at append, before the commit",
		when:    always,
		permits: []Anomaly{IntSendSkip, G0, G0Realtime}},
	{reason: "ww-deps: an order of writes is not an order of transactions, so circles through it are legal",
		when:    func(e *Expectations) bool { return e.is("ww-deps", "true") },
		permits: []Anomaly{G1c, G1cRealtime},
		only:    func(p *permits, f *finding) bool { return f.note == throughWrites }},
	{reason: "acks=1: a leader that loses its leadership loses what only it had acknowledged",
		when:    func(e *Expectations) bool { return e.is("acks", "1") },
		permits: truncation, only: onlyAcknowledged},
	{reason: "acks=0: nothing was ever promised of a send",
		when:    func(e *Expectations) bool { return e.is("acks", "0") },
		permits: append([]Anomaly{IntNonmonotonicSend, Duplicate, TornTransaction}, truncation...), only: onlyAcknowledged},
	{reason: "min.insync.replicas=1, and the last in-sync replica lost data",
		when:    func(e *Expectations) bool { return e.number("min.insync.replicas", 2) <= 1 },
		fault:   "last-isr-lost",
		permits: truncation},
	{reason: "at least min.insync.replicas replicas lost unsynced data at once",
		when:    func(e *Expectations) bool { return e.Happened["lossy-crashes"] > 0 },
		fault:   "lossy-crashes",
		permits: anything, only: afterTheFault},
	{reason: "unclean.leader.election.enable=true, and a replica out of sync was elected",
		when:    func(e *Expectations) bool { return e.is("unclean.leader.election.enable", "true") },
		fault:   "unclean-election",
		permits: anything, only: afterTheFault},
	{reason: "enable.idempotence=false: a retry whose first answer was lost appends twice",
		when:    withoutIdempotence,
		permits: []Anomaly{Duplicate, DuplicateProcessing}, only: atSeveralOffsets},
	{reason: "enable.idempotence=false with several requests in flight: a retry lands behind its successor",
		when: func(e *Expectations) bool {
			return withoutIdempotence(e) && e.number("max.in.flight.requests.per.connection", 5) > 1
		},
		permits: []Anomaly{NonmonotonicSend, IntNonmonotonicSend}},
	{reason: "enable.idempotence=false: what was given up may still arrive, behind what was sent later",
		when:    withoutIdempotence,
		permits: []Anomaly{NonmonotonicSend}, only: firstGivenUp},
	{reason: "resend=true: the application sent the value again",
		when:    func(e *Expectations) bool { return e.is("resend", "true") },
		permits: []Anomaly{Duplicate, DuplicateProcessing}, only: atSeveralOffsets},
	{reason: "isolation.level=read_uncommitted: consumers see what is not committed",
		when:    readUncommitted,
		permits: []Anomaly{G1a, AbortedRead, PrecommittedRead, G1c}},
	{reason: "isolation.level=read_uncommitted: a transaction under way is read from before it reads the rest itself",
		when:    readUncommitted,
		permits: []Anomaly{G1cRealtime},
		only:    func(_ *permits, f *finding) bool { return !f.direct }},
	{reason: "isolation.level=read_uncommitted, resend=true: what is read of a value may be what was aborted before it was sent again",
		when:    func(e *Expectations) bool { return readUncommitted(e) && e.is("resend", "true") },
		permits: []Anomaly{G1cRealtime, AppendRealtimeOrder, NonmonotonicEnd, NonmonotonicSend, IntNonmonotonicSend},
		only:    alsoAborted},
	{reason: "isolation.level=read_uncommitted: that a record was read does not prove that its transaction committed",
		when:    readUncommitted,
		permits: []Anomaly{LostWrite, TornTransaction},
		only:    func(p *permits, f *finding) bool { return p.a.flags[f.recs[0]]&sentOK == 0 }},
	{reason: "isolation.level=read_uncommitted: what one consumer jumped over is of an aborted transaction that another saw",
		when:    readUncommitted,
		permits: []Anomaly{PollSkip, IntPollSkip},
		only: func(p *permits, f *finding) bool {
			return p.skippedAll(f, func(rec history.Rec) bool { return p.a.flags[rec]&attempted == sentFailed })
		}},
	{reason: "subscribe: partitions move between the members of a group",
		when:    subscribed,
		permits: []Anomaly{PollSkip, NonmonotonicPoll}},
	{reason: "enable.auto.commit=true: what was processed since the last commit is processed again",
		when:    func(e *Expectations) bool { return e.is("enable.auto.commit", "true") },
		permits: []Anomaly{DuplicateProcessing}},
	{reason: "processing=at-least-once: after a crash a consumer starts over from the committed offset",
		when:    func(e *Expectations) bool { return e.is("processing", "at-least-once") },
		permits: []Anomaly{DuplicateProcessing}},
	{reason: "auto.offset.reset=latest: a position that was not known, or out of range, began anew at the end",
		when:    func(e *Expectations) bool { return e.is("auto.offset.reset", "latest") },
		fault:   "offset-reset",
		permits: []Anomaly{PollSkip}, only: oncePerReader},
	{reason: "auto.offset.reset=earliest: a position that was not known, or out of range, began anew at the start",
		when:    func(e *Expectations) bool { return e.is("auto.offset.reset", "earliest") },
		fault:   "offset-reset",
		permits: []Anomaly{NonmonotonicPoll}, only: oncePerReader},
	{reason: "retention: records below the log's start were deleted",
		when:    retention,
		permits: []Anomaly{LostWrite, PollSkip, IntPollSkip, Unseen, TornTransaction, GroupSkip}, only: belowLogStart},
	{reason: "cleanup.policy=compact: a later record of the same record key may have superseded it",
		when: func(e *Expectations) bool {
			return e.is("cleanup.policy", "compact") || e.is("cleanup.policy", "compact+delete")
		},
		permits: []Anomaly{LostWrite, PollSkip, IntPollSkip, Unseen, TornTransaction, GroupSkip}, only: superseded},
	{reason: "known protocol flaw KAFKA-17754: before transaction.version=2 a late EndTxn ends a later transaction",
		when:    func(e *Expectations) bool { return e.number("transaction.version", 2) < 2 },
		fault:   "delayed-endtxn",
		permits: []Anomaly{G1a, AbortedRead, LostWrite, TornTransaction, Unseen, PollSkip, IntPollSkip}, only: endedByAnother},
	{reason: "a leader that was replaced and cut off does not know it, has no lease to lose, and tells its old end; to one client, who has heard of the next leader epoch, it tells none (KIP-320, KIP-207)",
		when:    func(e *Expectations) bool { return e.Happened["replaced-leader"] > 0 },
		fault:   "replaced-leader",
		permits: []Anomaly{NonmonotonicEnd}, only: betweenClients},
	{reason: "follower.fetch=true: a follower may lag behind, though never diverge",
		when:    func(e *Expectations) bool { return e.is("follower.fetch", "true") },
		permits: []Anomaly{NonmonotonicEnd}},
	{reason: "cut-short=true: the run ended before its time, and what was not read yet is not missing",
		when:    func(e *Expectations) bool { return e.is("cut-short", "true") },
		permits: []Anomaly{Unseen, StuckLSO}},
}

func always(*Expectations) bool { return true }

func withoutIdempotence(e *Expectations) bool {
	return e.is("enable.idempotence", "false") && e.number("retries", 1) > 0
}

func readUncommitted(e *Expectations) bool { return e.is("isolation.level", "read_uncommitted") }

func subscribed(e *Expectations) bool {
	return e.is("subscribe", "true") || e.is("subscribe", "subscribe")
}

func retention(e *Expectations) bool {
	return e.is("retention", "true") || e.is("cleanup.policy", "delete") || e.is("cleanup.policy", "compact+delete") ||
		e.values["log.start.offset"] != ""
}

// permits decides, finding by finding, what is permitted.
type permits struct {
	a      *analysis
	e      *Expectations
	active []*permission
	starts map[history.Key]knownEnd
	resets map[[2]int]bool // reader's process and key that had their one reset
	lows   [][]low         // by key
}

// newPermits picks the rows that hold for this configuration and what happened.
func newPermits(a *analysis, e *Expectations) *permits {
	p := &permits{a: a, e: e, starts: logEnds(a.h), resets: map[[2]int]bool{}}
	told := map[string]int{}
	known := e.FaultsKnown
	for i := range a.h.Notes() {
		if n := &a.h.Notes()[i]; n.F == history.Fault {
			told[n.Name]++
			known = true
		}
	}
	for i := range permissions {
		row := &permissions[i]
		if !row.when(e) {
			continue
		}
		if row.fault != "" {
			n, said := e.Happened[row.fault]
			if said && n == 0 || !said && known && told[row.fault] == 0 {
				continue
			}
			if row.fault == "lossy-crashes" && int64(n) < e.number("min.insync.replicas", 2) {
				continue
			}
		}
		p.active = append(p.active, row)
	}
	return p
}

// reason says why a finding is permitted; empty if it is not.
func (p *permits) reason(f *finding) string {
	for _, row := range p.active {
		for _, anomaly := range row.permits {
			if anomaly == f.anomaly && (row.only == nil || row.only(p, f)) {
				return row.reason
			}
		}
	}
	return ""
}

// onlyAcknowledged: it can be that an acknowledged record was truncated before
// anybody was given it. What polls saw, polls must agree on.
func onlyAcknowledged(p *permits, f *finding) bool {
	unread := func(rec history.Rec) bool { return p.a.flags[rec]&polledThere == 0 }
	switch f.anomaly {
	case InconsistentOffsets, Duplicate:
		return f.claims <= 1
	case PollSkip, IntPollSkip:
		return p.skippedAll(f, unread)
	case NonmonotonicSend:
		return p.e.is("acks", "0") || unread(f.recs[0]) || unread(f.recs[1])
	case AppendRealtimeOrder:
		return p.e.is("acks", "0") || unread(f.recs[0]) || unread(f.recs[1])
	case NonmonotonicEnd:
		if len(f.recs) > 0 { // it was appended below an end that was read before
			return unread(f.recs[0])
		}
		floor := p.a.h.Brief(f.rows[0]).F
		return floor == history.Send || floor == history.Txn
	}
	return true
}

// atSeveralOffsets: the log has it twice, so whoever processes all of the log
// does that twice.
func atSeveralOffsets(p *permits, f *finding) bool { return p.a.flags[f.recs[0]]&several != 0 }

// alsoAborted: one of the records was sent by an operation that failed, too, and
// what was read may be what that one left.
func alsoAborted(p *permits, f *finding) bool {
	for _, rec := range f.recs {
		if p.a.flags[rec]&sentFailed != 0 {
			return true
		}
	}
	return false
}

// firstGivenUp: the earlier of two sends never learned its outcome.
func firstGivenUp(p *permits, f *finding) bool {
	return p.a.h.Brief(f.rows[0]).Type == history.Unknown
}

// skippedAll reports whether all records that a skip jumped over are such.
func (p *permits) skippedAll(f *finding, such func(history.Rec) bool) bool {
	log := &p.a.logs[f.key]
	for from := f.offsets[0]; ; {
		offset, ok := log.between(from, f.offsets[1])
		if !ok {
			return true
		}
		if !such(history.Rec(log.at(offset) - 1)) {
			return false
		}
		from = offset
	}
}

// afterTheFault: on a partition that it hit, and not before. A fault that
// names no partition hit all.
func afterTheFault(p *permits, f *finding) bool {
	told := false
	for i := range p.a.h.Notes() {
		n := &p.a.h.Notes()[i]
		if n.F != history.Fault || n.Name != "unclean-election" && n.Name != "lossy-crashes" {
			continue
		}
		told = true
		if len(n.Keys) > 0 && !contains(n.Keys, f.key) {
			continue
		}
		switch f.anomaly {
		case LostWrite, TornTransaction, Unseen: // what was written before is what is lost
			return true
		}
		for _, row := range p.rowsOf(f) {
			if int64(p.a.h.Brief(row).Completed) > n.Number {
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
func (p *permits) rowsOf(f *finding) []int {
	if len(f.rows) > 0 {
		return f.rows
	}
	var rows []int
	for _, rec := range f.recs {
		if w := int(p.a.writer[rec]) - 1; w >= 0 {
			rows = append(rows, w)
		}
		for _, offset := range f.offsets {
			if row, ok := p.a.firstSeen()[standing{rec, offset}]; ok {
				rows = append(rows, row)
			}
		}
	}
	return rows
}

// betweenClients: an end that was read too low, by another client than the one
// that knew better, while a leader had not heard that it was replaced.
func betweenClients(p *permits, f *finding) bool {
	if len(f.recs) > 0 || len(f.rows) < 2 {
		return false
	}
	knew, read := p.a.h.Brief(f.rows[0]), p.a.h.Brief(f.rows[1])
	return p.a.h.Client(knew.ProcessNo) != p.a.h.Client(read.ProcessNo) && p.leaderUnaware(f.key, read)
}

// leaderUnaware reports whether some leader of a partition was replaced and had
// not heard of it at a time of the read. A history that does not tell when
// leaders were replaced may have had one at any time.
func (p *permits) leaderUnaware(key history.Key, read history.Brief) bool {
	told, unaware := false, false
	for i := range p.a.h.Notes() {
		n := &p.a.h.Notes()[i]
		replaced, heard := n.Name == "replaced-leader", n.Name == "replaced-leader-heard"
		if n.F != history.Fault || !replaced && !heard {
			continue
		}
		told = true
		if len(n.Keys) > 0 && !contains(n.Keys, key) {
			continue
		}
		if n.Number > int64(read.Completed) {
			return unaware
		}
		if unaware = replaced; heard && n.Number > int64(read.Invoked) {
			return true
		}
	}
	return unaware || !told
}

// oncePerReader: a reset happens when a position is first needed, or out of
// range: the same reader does not jump on a partition again and again.
func oncePerReader(p *permits, f *finding) bool {
	reader := [2]int{int(p.a.h.Brief(f.rows[len(f.rows)-1]).ProcessNo), int(f.key)}
	if p.resets[reader] {
		return false
	}
	p.resets[reader] = true
	return true
}

// belowLogStart: strictly. Where the log starts is told by the history or the
// configuration; if by neither, no poll that began after the record was
// acknowledged may have returned it or one below.
func belowLogStart(p *permits, f *finding) bool {
	start, known := p.starts[f.key]
	if n := p.e.number("log.start.offset", -1); n >= 0 {
		start, known = knownEnd{start: n}, true
	}
	lost := f.offsets[0]
	if f.anomaly == PollSkip || f.anomaly == IntPollSkip {
		lost = f.offsets[0] + 1
		for {
			offset, ok := p.a.logs[f.key].between(lost-1, f.offsets[1])
			if !ok {
				break
			}
			lost = offset + 1
		}
		lost--
	}
	if known {
		return lost < start.start
	}
	return lost < p.lowestReadAfter(f)
}

// lowestReadAfter is the lowest offset of the partition that a poll returned
// which began after the finding's first operation ended; -1 if there is none.
func (p *permits) lowestReadAfter(f *finding) int64 {
	if p.lows == nil {
		p.gatherLows()
	}
	after := int64(p.a.h.Brief(f.rows[0]).Completed)
	lows := p.lows[f.key]
	i := sort.Search(len(lows), func(i int) bool { return lows[i].began > after })
	if i == len(lows) {
		return -1
	}
	return lows[i].offset
}

// low is the lowest offset of a partition that polls returned which began at
// an event or later.
type low struct{ began, offset int64 }

func (p *permits) gatherLows() {
	p.lows = make([][]low, len(p.a.logs))
	p.a.h.Each(func(op *history.Op) bool {
		for _, r := range op.Polled {
			if key := p.a.h.KeyOf(r.Rec); r.Offset >= 0 {
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

// superseded: a record key may come again in any later record of the partition.
func superseded(p *permits, f *finding) bool {
	if f.anomaly == PollSkip || f.anomaly == IntPollSkip {
		return true // what it jumped to came later
	}
	return f.offsets[0] < p.a.logs[f.key].max
}

// endedByAnother: an aborted transaction came out committed, or the other way
// round.
func endedByAnother(p *permits, f *finding) bool {
	lost := func(rec history.Rec) bool { return p.a.flags[rec]&readOK == 0 }
	switch f.anomaly {
	case PollSkip, IntPollSkip:
		return p.skippedAll(f, lost)
	case G1a, AbortedRead:
		return true
	}
	if w := p.a.writer[f.recs[0]]; w != 0 {
		return p.a.h.Brief(int(w)-1).F == history.Txn
	}
	return false
}

const throughWrites = "through writes"
