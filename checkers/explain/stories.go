package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/checkers/detect"
	"github.com/ktrial/ktrial/checkers/history"
)

// telling is one finding being told: the words go to the instance, rows are the
// operations that prove it, recs the records that its lanes show.
type telling struct {
	*Explainer
	f    *detect.Finding
	in   *Instance
	rows []int
	recs []history.Rec
}

func (s *telling) message(format string, args ...any) { s.in.Message = fmt.Sprintf(format, args...) }

func (s *telling) prove(format string, args ...any) {
	s.in.Proof = append(s.in.Proof, fmt.Sprintf(format, args...))
}

// shows adds an operation to those that prove it.
func (s *telling) shows(rows ...int) { s.rows = append(s.rows, rows...) }

// stories by anomaly. Each proof is an argument: what is known, what follows,
// what was seen instead.
var stories map[detect.Anomaly]func(s *telling)

func init() { // the map would refer to itself
	stories = map[detect.Anomaly]func(s *telling){
		detect.LostWrite:           (*telling).lost,
		detect.TornTransaction:     (*telling).torn,
		detect.Unseen:              (*telling).unseen,
		detect.InconsistentOffsets: (*telling).inconsistent,
		detect.Duplicate:           (*telling).duplicate,
		detect.PhantomRead:         (*telling).phantom,
		detect.G1a:                 (*telling).abortedRead,
		detect.AbortedRead:         (*telling).abortedRead,
		detect.PrecommittedRead:    (*telling).ownRead,
		detect.DuplicateProcessing: (*telling).processedTwice,
		detect.PollSkip:            (*telling).jumped,
		detect.IntPollSkip:         (*telling).jumped,
		detect.IntSendSkip:         (*telling).sendSkip,
		detect.NonmonotonicPoll:    (*telling).wentBack,
		detect.IntNonmonotonicPoll: (*telling).wentBack,
		detect.NonmonotonicSend:    (*telling).reordered,
		detect.IntNonmonotonicSend: (*telling).reordered,
		detect.AppendRealtimeOrder: (*telling).appendOrder,
		detect.G0:                  (*telling).circle,
		detect.G1c:                 (*telling).circle,
		detect.G0Realtime:          (*telling).past,
		detect.G1cRealtime:         (*telling).past,
		detect.NonmonotonicEnd:     (*telling).tooLow,
		detect.DecreasingStart:     (*telling).tooLow,
		detect.ProducerEpoch:       (*telling).notGrown,
		detect.GroupGeneration:     (*telling).notGrown,
		detect.GroupSkip:           (*telling).groupSkip,
		detect.CommitAhead:         (*telling).commitAhead,
		detect.CommittedOffset:     (*telling).committedOffset,
		detect.StaleCommit:         (*telling).staleCommit,
		detect.TwoOwners:           (*telling).twoOwners,
		detect.GroupRewind:         (*telling).groupRewind,
		detect.ChangedRecord:       (*telling).changedRecord,
		detect.LeaderEpochOrder:    (*telling).epochOrder,
		detect.StuckLSO:            (*telling).stuck,
		detect.OwnedTwice:          (*telling).ownedTwice,
		detect.ZombieOwner:         (*telling).zombie,
		detect.ReadAfterRevoke:     (*telling).readAfterRevoke,
		detect.GroupJump:           (*telling).groupJump,
		detect.KeyOrder:            (*telling).keyOrder,
		detect.Unprocessed:         (*telling).unprocessed,
		detect.ProcessedTwice:      (*telling).workedTwice,
		detect.ZombieCommit:        (*telling).zombieCommit,
		detect.CommitOrder:         (*telling).commitOrder,
	}
}

func (s *telling) lost() {
	f, rec := s.f, s.f.Record.Rec
	what := s.recordAt(rec, f.Key, f.Record.Offset)
	s.in.Writer = s.indexOf(f.Record.Row)
	if f.Beyond {
		s.message("%s was never read, and the log ends at %d", what, f.End)
		s.prove("%s", s.cameBy(rec, f.Record.Row))
		s.prove("so the log of %s must end above offset %d", s.partition(f.Key), f.Record.Offset)
		s.prove("it ends at %d, and no successful poll returned %s: contradiction", f.End, s.value(rec))
		return
	}
	seen := "a later record was read"
	if bound, ok := s.boundary(f); ok {
		if at := s.Explainer.seen[bound]; at != nil && at.okReader >= 0 {
			s.shows(at.okReader)
			s.in.Reader = s.indexOf(at.okReader)
			seen = s.polledAt(at.okReader, bound, f.Passed)
			s.in.Reference = s.h.ValueOf(bound).String()
		}
		s.recs = append(s.recs[:1:1], bound)
	}
	s.message("%s was never read, though %s was", what, s.spot(f.Key, f.Passed))
	s.prove("%s", s.cameBy(rec, f.Record.Row))
	s.prove("so a consumer that reads %s past offset %d must be given it, for records come in the order of their offsets", s.partition(f.Key), f.Record.Offset)
	s.prove("%s", seen)
	s.prove("yet no successful poll ever returned %s: contradiction", s.value(rec))
}

func (s *telling) torn() {
	f := s.f
	lost, read := f.Record.Rec, f.Later.Rec
	row := f.Record.Row
	s.in.Writer = s.indexOf(row)
	s.message("of the transaction of %s, %s was read and %s is lost", s.actor(row), s.value(read), s.value(lost))
	s.prove("%s sent %s and %s in one transaction", s.actor(row), s.value(read), s.value(lost))
	s.rows = []int{row}
	if at := s.Explainer.seen[read]; at != nil && at.okReader >= 0 {
		s.shows(at.okReader)
		s.in.Reader = s.indexOf(at.okReader)
		s.prove("%s", s.polled(at.okReader, read))
	}
	s.prove("so all of it is committed, %s too", s.recordAt(lost, f.Key, f.Record.Offset))
	if bound, ok := s.boundary(f); ok && s.Explainer.seen[bound] != nil && s.Explainer.seen[bound].okReader >= 0 {
		s.recs = append(s.recs[:2:2], bound)
		s.shows(s.Explainer.seen[bound].okReader)
		s.prove("%s", s.polled(s.Explainer.seen[bound].okReader, bound))
	}
	s.prove("yet no successful poll ever returned %s: contradiction", s.value(lost))
}

func (s *telling) unseen() {
	f := s.f
	s.in.Writer = s.indexOf(f.Record.Row)
	s.message("%s was never read by the end", s.recordAt(f.Record.Rec, f.Key, f.Record.Offset))
	s.prove("%s", s.cameBy(f.Record.Rec, f.Record.Row))
	s.prove("no successful poll returned it before the history ended")
}

// sightings proves where records were seen, at most three.
func (s *telling) sightings(n int, at func(i int) (history.Rec, int64)) {
	for i := range min(3, n) {
		rec, offset := at(i)
		seen := s.Explainer.seen[rec]
		if seen == nil {
			continue
		}
		if row, ok := seen.polled[offset]; ok {
			s.shows(row)
			s.prove("%s", s.polledAt(row, rec, offset))
		} else if row, ok := seen.acked[offset]; ok {
			s.shows(row)
			s.prove("%s was acknowledged to %s%s", s.recordAt(rec, s.f.Key, offset), s.actor(row), s.ended(row))
		}
	}
}

func (s *telling) inconsistent() {
	f := s.f
	offset := f.Record.Offset
	var names []string
	for _, rec := range f.Recs[:min(5, len(f.Recs))] {
		names = append(names, s.value(rec))
	}
	s.message("%s is %s", s.spot(f.Key, offset), someOf(names, len(f.Recs)))
	s.rows = nil
	s.sightings(len(f.Recs), func(i int) (history.Rec, int64) { return f.Recs[i], offset })
	s.prove("an offset holds one record: contradiction")
}

func (s *telling) duplicate() {
	f, rec := s.f, s.f.Record.Rec
	var names []string
	for _, o := range f.Offsets[:min(5, len(f.Offsets))] {
		names = append(names, fmt.Sprint(o))
	}
	s.message("%s is in %s at the offsets %s", s.value(rec), s.partition(f.Key), someOf(names, len(f.Offsets)))
	s.sightings(len(f.Offsets), func(i int) (history.Rec, int64) { return rec, f.Offsets[i] })
	w := s.log.Writer(rec)
	if w < 0 {
		s.prove("a record has one offset: contradiction")
		return
	}
	s.shows(w)
	s.in.Writer = s.indexOf(w)
	if f.Sends > 1 {
		s.prove("%s and %d more sent it, so that it lies at no more than %d offsets: contradiction", s.actor(w), f.Sends-1, f.Sends)
		return
	}
	s.prove("%s sent it once: contradiction", s.actor(w))
}

// someOf names the first of so many.
func someOf(parts []string, of int) string {
	text := strings.Join(parts[:min(5, len(parts))], " and ")
	if of > 5 {
		text += fmt.Sprintf(" and %d more", of-5)
	}
	return text
}

func (s *telling) phantom() {
	f, rec := s.f, s.f.Record.Rec
	s.in.Reader = s.indexOf(f.Reader)
	s.message("%s was given %s, which no client sent there", s.actor(f.Reader), s.recordAt(rec, f.Key, f.Record.Offset))
	s.prove("%s", s.polled(f.Reader, rec))
	s.prove("no operation of the whole history sends %s to %s: contradiction", s.value(rec), s.partition(f.Key))
}

func (s *telling) abortedRead() {
	f, rec := s.f, s.f.Record.Rec
	writer, reader := f.Record.Row, f.Reader
	s.in.Writer, s.in.Reader = s.indexOf(writer), s.indexOf(reader)
	if reader < 0 {
		s.message("%s was given to a consumer, though %s definitely failed", s.recordAt(rec, f.Key, f.Record.Offset), s.actor(writer))
		return
	}
	s.message("%s was given %s, though %s definitely failed", s.actor(reader), s.recordAt(rec, f.Key, f.Record.Offset), s.actor(writer))
	s.prove("%s", s.cameBy(rec, writer))
	s.prove("so no consumer may ever be given it")
	s.prove("%s: contradiction", s.polled(reader, rec))
}

func (s *telling) ownRead() {
	f := s.f
	row := f.Reader
	s.in.Writer, s.in.Reader = s.indexOf(row), s.indexOf(row)
	s.message("%s polled its own %s before it committed", s.actor(row), s.value(f.Record.Rec))
	s.prove("%s sent %s and, before it ended, was given it by a poll", s.actor(row), s.value(f.Record.Rec))
	s.prove("it had not committed by then, so no reader may be given it: contradiction")
}

func (s *telling) processedTwice() {
	f, rec := s.f, s.f.Record.Rec
	s.message("%s was processed by %s and again by %s", s.recordAt(rec, f.Key, f.Record.Offset), s.actor(f.Reader), s.actor(f.Again))
	s.prove("%s, and committed", s.polled(f.Reader, rec))
	s.prove("its transaction moved the group's position beyond the record, so the group may not be given it again")
	s.prove("%s, and committed too: contradiction", s.polled(f.Again, rec))
}

func (s *telling) jumped() {
	f := s.f
	skipped := s.jump()
	from, to := f.Earlier.Row, f.Later.Row
	s.in.Reader = s.indexOf(to)
	s.message("%s jumped from %s to offset %d over %s", s.actor(to), s.spot(f.Key, f.Earlier.Offset), f.Later.Offset, s.names(skipped))
	if from != to {
		s.prove("%s", s.polledAt(from, f.Earlier.Rec, f.Earlier.Offset))
	}
	if f.Reached > f.Earlier.Offset {
		s.prove("operations of unknown outcome may have brought %s to offset %d since", s.client(to), f.Reached)
	}
	s.prove("the next that %s is given of %s must be the next record above offset %d", s.client(to), s.partition(f.Key), f.Reached)
	if len(skipped) > 0 {
		s.witness(skipped[0], s.firstSkipped(f))
	}
	s.prove("%s: contradiction", s.polledAt(to, f.Later.Rec, f.Later.Offset))
}

// witness proves that a record was at the offset that a consumer jumped over.
func (s *telling) witness(rec history.Rec, offset int64) {
	s.recs = append(s.recs[:2:2], rec)
	seen := s.Explainer.seen[rec]
	if seen == nil {
		return
	}
	if row, ok := seen.acked[offset]; ok && s.log.Committed(rec) {
		s.prove("%s", s.cameBy(rec, row))
		s.shows(row)
	} else if row, ok := seen.polled[offset]; ok {
		s.prove("%s", s.polledAt(row, rec, offset))
		s.shows(row)
	} else if w := s.log.Writer(rec); w >= 0 {
		s.prove("%s", s.cameBy(rec, w))
		s.shows(w)
	}
}

// jump records how far it went, and over what.
func (s *telling) jump() []history.Rec {
	const most = 20
	skipped := s.skipped(s.f, most)
	s.in.Delta = len(skipped) + 1
	for _, rec := range skipped {
		s.in.Skipped = append(s.in.Skipped, s.h.ValueOf(rec).String())
	}
	if len(skipped) == most {
		s.in.Skipped = append(s.in.Skipped, "...")
	}
	return skipped
}

// names are the names of the first few records.
func (s *telling) names(recs []history.Rec) string {
	var parts []string
	for _, rec := range recs[:min(5, len(recs))] {
		parts = append(parts, s.value(rec))
	}
	if len(recs) > 5 {
		parts = append(parts, "...")
	}
	return strings.Join(parts, ", ")
}

func (s *telling) sendSkip() {
	f := s.f
	others := s.jump()
	s.in.Writer = s.indexOf(f.Later.Row)
	s.message("between %s and %s of %s lie records of others: %s", s.value(f.Earlier.Rec), s.value(f.Later.Rec), s.actor(f.Later.Row), s.names(others))
}

// backwards is how many known records it went back; 0 is a repeat.
func (s *telling) backwards() int {
	n := 0
	low := s.f.Later.Offset - 1
	for n > -1000 {
		offset, ok := s.log.Between(s.f.Key, low, s.f.Earlier.Offset)
		if !ok {
			break
		}
		n--
		low = offset
	}
	return n
}

func (s *telling) wentBack() {
	f := s.f
	from, to := f.Earlier.Row, f.Later.Row
	s.in.Delta = s.backwards()
	s.in.Reader = s.indexOf(to)
	verb := "went back"
	if f.Earlier.Offset == f.Later.Offset {
		verb = "was given again"
	}
	s.message("%s %s: %s, then %s", s.actor(to), verb, s.recordAt(f.Earlier.Rec, f.Key, f.Earlier.Offset), s.recordAt(f.Later.Rec, f.Key, f.Later.Offset))
	s.prove("%s", s.polledAt(from, f.Earlier.Rec, f.Earlier.Offset))
	s.prove("so what it is given of %s from then on lies above offset %d, unless it is assigned anew", s.partition(f.Key), f.Earlier.Offset)
	s.prove("%s: contradiction", s.polledAt(to, f.Later.Rec, f.Later.Offset))
}

func (s *telling) reordered() {
	f := s.f
	s.in.Delta = s.backwards()
	first, last := f.Earlier.Row, f.Later.Row
	s.in.Writer = s.indexOf(last)
	sender := s.client(last)
	if session := s.op(last).Session; session != "" {
		sender = "session " + session
	}
	s.message("%s sent %s, then %s, but they lie at %s and offset %d", sender, s.value(f.Earlier.Rec), s.value(f.Later.Rec), s.spot(f.Key, f.Earlier.Offset), f.Later.Offset)
	if first == last {
		s.prove("%s sent %s first and %s later", s.actor(last), s.value(f.Earlier.Rec), s.value(f.Later.Rec))
	} else {
		s.prove("%s sent %s first, and %s sent %s later", s.actor(first), s.value(f.Earlier.Rec), s.actor(last), s.value(f.Later.Rec))
	}
	s.prove("the records of one producer lie in the order in which it sent them")
	s.prove("%s is at offset %d, %s at offset %d: contradiction", s.value(f.Earlier.Rec), f.Earlier.Offset, s.value(f.Later.Rec), f.Later.Offset)
}

func (s *telling) appendOrder() {
	f := s.f
	s.message("%s was acknowledged before %s was sent, which lies below it", s.recordAt(f.Earlier.Rec, f.Key, f.Earlier.Offset), s.recordAt(f.Later.Rec, f.Key, f.Later.Offset))
	s.prove("%s", s.cameBy(f.Earlier.Rec, f.Earlier.Row))
	s.prove("%s began only %s, so what it appends lies above offset %d", s.actor(f.Later.Row), s.began(f.Later.Row), f.Earlier.Offset)
	s.prove("%s, below it: contradiction", s.cameBy(f.Later.Rec, f.Later.Row))
}

// began says when an operation began; where the history has no times, by events.
func (s *telling) began(row int) string {
	op := s.op(row)
	if op.End == 0 {
		return fmt.Sprintf("afterwards (event %d)", s.h.IndexOf(op.Invoked))
	}
	return "at " + clock(op.Start)
}

func (s *telling) circle() {
	path := s.f.Path
	s.message("a circle of %d operations: %s", len(path)-1, s.chain(path))
	s.links(path)
	s.prove("each had to take effect before the one that read from it, and so before itself: contradiction")
}

func (s *telling) past() {
	f := s.f
	if f.Direct {
		reader, writer := f.Reader, f.Record.Row
		s.in.Reader, s.in.Writer = s.indexOf(reader), s.indexOf(writer)
		s.rows = []int{reader, writer}
		s.message("%s read %s before %s began to send it", s.actor(reader), s.value(f.Record.Rec), s.actor(writer))
		s.prove("%s", s.polled(reader, f.Record.Rec))
		s.prove("%s began to send it only %s: contradiction", s.actor(writer), s.began(writer))
		return
	}
	first, last := f.Path[0], f.Path[len(f.Path)-1]
	s.message("%s was over before %s began, on which it depends: %s", s.actor(last), s.actor(first), s.chain(f.Path))
	s.links(f.Path)
	s.prove("%s ended%s, %s began %s: contradiction", s.actor(last), s.ended(last), s.actor(first), s.began(first))
}

func (s *telling) chain(rows []int) string {
	var parts []string
	for i, row := range rows {
		if i == 10 {
			parts = append(parts, "...")
			break
		}
		parts = append(parts, fmt.Sprint(s.h.Index(row)))
	}
	return strings.Join(parts, " -> ")
}

// links says for each two neighbours why the first came before the second.
func (s *telling) links(rows []int) {
	for i := 1; i < len(rows) && i <= 10; i++ {
		line := fmt.Sprintf("%s wrote before %s in a log", s.actor(rows[i-1]), s.actor(rows[i]))
		for _, p := range s.op(rows[i]).Polled {
			if s.log.Writer(p.Rec) == rows[i-1] {
				line = fmt.Sprintf("%s, sent by %s", s.polled(rows[i], p.Rec), s.actor(rows[i-1]))
				break
			}
		}
		s.in.Proof = append(s.in.Proof, line)
	}
}

var markNames = map[detect.Mark]string{
	detect.LogEnd: "end", detect.LastStable: "last stable offset", detect.LogStart: "start",
	detect.ProducersEpoch: "producer epoch", detect.Generation: "generation",
}

func (s *telling) tooLow() {
	f := s.f
	mark, where := markNames[f.Mark], s.partition(f.Key)
	if f.Record.Row >= 0 {
		s.rows = []int{f.Earlier.Row, f.Record.Row}
		s.message("the end of %s was read as %d before %s was sent, which was then appended at offset %d", where, f.Earlier.Offset, s.value(f.Record.Rec), f.Record.Offset)
		s.prove("%s read that %s ends at %d%s", s.actor(f.Earlier.Row), where, f.Earlier.Offset, s.ended(f.Earlier.Row))
		s.prove("%s began only %s, so what it appends lies at offset %d or above", s.actor(f.Record.Row), s.began(f.Record.Row), f.Earlier.Offset)
		s.prove("%s: contradiction", s.cameBy(f.Record.Rec, f.Record.Row))
		return
	}
	if f.Earlier.Row == f.Later.Row {
		s.message("%s was told that %s is stable up to %d and ends at %d", s.actor(f.Later.Row), where, f.Earlier.Offset, f.Later.Offset)
		s.prove("what is stable lies below the end: contradiction")
		return
	}
	s.message("the %s of %s was read as %d, though it was at least %d before", mark, where, f.Later.Offset, f.Earlier.Offset)
	s.prove("by %s the %s of %s was known to be at least %d%s", s.actor(f.Earlier.Row), mark, where, f.Earlier.Offset, s.ended(f.Earlier.Row))
	s.prove("it only grows, so that %s, which began %s, must be told at least %d", s.actor(f.Later.Row), s.began(f.Later.Row), f.Earlier.Offset)
	s.prove("it was told %d: contradiction", f.Later.Offset)
}

func (s *telling) notGrown() {
	f := s.f
	what := "producer epoch"
	if f.Mark == detect.Generation {
		what = "generation of group"
	}
	if f.Earlier.Row == f.Later.Row {
		s.message("%s %s was granted as %d, which only fences", what, f.Name, f.Later.Offset)
		s.prove("after epoch %d a producer is given another producer id, so that there is always an epoch left to fence it with", f.Earlier.Offset)
		s.prove("%s began %s with epoch %d: contradiction", s.actor(f.Later.Row), s.began(f.Later.Row), f.Later.Offset)
		return
	}
	s.message("%s %s was granted as %d, though %d was granted before", what, f.Name, f.Later.Offset, f.Earlier.Offset)
	s.prove("%s was granted %d%s", s.actor(f.Earlier.Row), f.Earlier.Offset, s.ended(f.Earlier.Row))
	s.prove("%s asked afterwards and was granted %d, which does not come after it: contradiction", s.actor(f.Later.Row), f.Later.Offset)
}

func (s *telling) groupSkip() {
	f, rec := s.f, s.f.Record.Rec
	s.message("group %s committed offset %d of %s, but %s was given to none of its members", f.Name, f.Later.Offset, s.partition(f.Key), s.recordAt(rec, f.Key, f.Record.Offset))
	s.prove("%s", s.cameBy(rec, f.Record.Row))
	if f.Reader >= 0 {
		s.message("group %s committed offset %d of %s, but %s was given only to %s, whose transaction failed", f.Name, f.Later.Offset, s.partition(f.Key), s.recordAt(rec, f.Key, f.Record.Offset), s.actor(f.Reader))
		s.prove("%s, whose transaction failed, so that the group goes on from before it", s.polled(f.Reader, rec))
	}
	s.prove("%s committed offset %d%s: the group will never be given it: contradiction", s.actor(f.Later.Row), f.Later.Offset, s.ended(f.Later.Row))
}

func (s *telling) commitAhead() {
	f := s.f
	if f.Reader != detect.None {
		s.in.Reader = s.indexOf(f.Reader)
		s.message("group %s committed offset %d of %s before any member was given %s", f.Name, f.Later.Offset, s.partition(f.Key), s.recordAt(f.Record.Rec, f.Key, f.Record.Offset))
		s.prove("%s committed offset %d%s", s.actor(f.Later.Row), f.Later.Offset, s.ended(f.Later.Row))
		s.prove("so every record below it had been given to a member of the group by then")
		s.prove("%s; that poll began %s, and none of the group's that began before it returned %s: contradiction", s.polledAt(f.Reader, f.Record.Rec, f.Record.Offset), s.began(f.Reader), s.value(f.Record.Rec))
		return
	}
	s.message("group %s committed offset %d of %s, whose log ends at %d", f.Name, f.Later.Offset, s.partition(f.Key), f.Earlier.Offset)
	s.prove("%s committed offset %d%s", s.actor(f.Later.Row), f.Later.Offset, s.ended(f.Later.Row))
	s.prove("nothing beyond offset %d can have been given to it: contradiction", f.Earlier.Offset)
}

func (s *telling) committedOffset() {
	f := s.f
	read := int64(-1)
	for _, row := range f.Path {
		verb := "read"
		var value int64
		for _, o := range s.op(row).Offsets {
			if o.Key != f.Key {
				continue
			}
			if value = o.Offset; o.Kind == history.MopCommit {
				verb = "committed"
			}
		}
		if verb == "read" {
			read = value
		}
		s.prove("%s %s %s%s", s.actor(row), verb, committedAs(value), s.ended(row))
	}
	s.prove("no order of these lets each read what was committed last: contradiction")
	s.message("the committed offset of group %s on %s was read as %s, which is not what was committed last", f.Name, s.partition(f.Key), committedAs(read))
}

func committedAs(offset int64) string {
	if offset < 0 {
		return "none"
	}
	return fmt.Sprintf("offset %d", offset)
}

func (s *telling) staleCommit() {
	f := s.f
	s.message("group %s took a commit of generation %d, though generation %d had begun", f.Name, f.Later.Offset, f.Earlier.Offset)
	s.prove("%s was in generation %d%s", s.actor(f.Earlier.Row), f.Earlier.Offset, s.ended(f.Earlier.Row))
	s.prove("so a commit of an older one that begins later must be refused (ILLEGAL_GENERATION)")
	s.prove("%s began %s with generation %d and succeeded: contradiction", s.actor(f.Later.Row), s.began(f.Later.Row), f.Later.Offset)
}

func (s *telling) twoOwners() {
	f := s.f
	s.message("records of %s were given to %s and to %s, both in generation %d of group %s", s.partition(f.Key), s.actor(f.Earlier.Row), s.actor(f.Later.Row), f.End, f.Name)
	s.prove("%s, in generation %d", s.polledAt(f.Earlier.Row, f.Earlier.Rec, f.Earlier.Offset), f.End)
	s.prove("in one generation a partition has one owner")
	s.prove("%s, in generation %d too: contradiction", s.polledAt(f.Later.Row, f.Later.Rec, f.Later.Offset), f.End)
}

func (s *telling) groupRewind() {
	f := s.f
	s.message("%s began at %s, though group %s had committed offset %d", s.actor(f.Later.Row), s.spot(f.Key, f.Later.Offset), f.Name, f.Earlier.Offset)
	s.prove("%s committed offset %d%s", s.actor(f.Earlier.Row), f.Earlier.Offset, s.ended(f.Earlier.Row))
	s.prove("a member that becomes the owner of %s afterwards begins there", s.partition(f.Key))
	s.prove("%s: contradiction", s.polledAt(f.Later.Row, f.Later.Rec, f.Later.Offset))
	s.recs = append(s.recs, f.Later.Rec)
}

func (s *telling) changedRecord() {
	f, rec := s.f, s.f.Record.Rec
	before, now := s.difference(s.h.Details(f.Details[0]), s.h.Details(f.Details[1]))
	s.in.Reader = s.indexOf(f.Reader)
	what := s.recordAt(rec, f.Key, f.Record.Offset)
	verb := "read it"
	if len(s.op(f.Record.Row).Sends) > 0 {
		verb = "sent it"
		s.in.Writer = s.indexOf(f.Record.Row)
	}
	s.message("%s was given %s with %s, but %s %s with %s", s.actor(f.Reader), what, now, s.actor(f.Record.Row), verb, before)
	s.prove("%s %s with %s%s", s.actor(f.Record.Row), verb, before, s.ended(f.Record.Row))
	s.prove("nothing changes a record under way")
	s.prove("%s, with %s: contradiction", s.polledAt(f.Reader, rec, f.Record.Offset), now)
}

// difference is what two tell of a record that is not the same.
func (s *telling) difference(a, b *history.Details) (before, now string) {
	x, y := s.h.Attributes(a), s.h.Attributes(b)
	var left, right []string
	if a.HasKey() && b.HasKey() && x.RecordKey != y.RecordKey {
		left, right = append(left, "key "+quoted(x.RecordKey)), append(right, "key "+quoted(y.RecordKey))
	}
	if a.HasHeaders() && b.HasHeaders() && !slices.Equal(x.Headers, y.Headers) {
		left, right = append(left, fmt.Sprintf("headers %q", x.Headers)), append(right, fmt.Sprintf("headers %q", y.Headers))
	}
	if from, told := x.Timestamp.Told(); told && y.Timestamp != (history.Number{}) && x.Timestamp != y.Timestamp {
		left, right = append(left, fmt.Sprintf("timestamp %d", from)), append(right, fmt.Sprintf("timestamp %d", y.Timestamp.Or(0)))
	}
	return strings.Join(left, " and "), strings.Join(right, " and ")
}

func quoted(key history.Value) string {
	if key.IsNull() {
		return "null"
	}
	return fmt.Sprintf("%q", key)
}

func (s *telling) epochOrder() {
	f := s.f
	s.message("%s is of leader epoch %d, though %s above it is of epoch %d", s.spot(f.Key, f.Later.Offset), f.Epochs[1], s.spot(f.Key, f.Earlier.Offset), f.Epochs[0])
	s.prove("%s, of leader epoch %d", s.polledAt(f.Earlier.Row, f.Earlier.Rec, f.Earlier.Offset), f.Epochs[0])
	s.prove("a leader of a later epoch appends above all that consumers were given")
	s.prove("%s, of leader epoch %d: contradiction", s.polledAt(f.Later.Row, f.Later.Rec, f.Later.Offset), f.Epochs[1])
}

func (s *telling) stuck() {
	f := s.f
	s.message("the last stable offset of %s is %d in the end, though its log ends at %d: a transaction still hangs", s.partition(f.Key), f.Earlier.Offset, f.Later.Offset)
	s.prove("when all is over every transaction has ended, and all of the log is stable")
	s.prove("of %s only what lies below offset %d is, of %d: contradiction", s.partition(f.Key), f.Earlier.Offset, f.Later.Offset)
}
