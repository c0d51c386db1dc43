package checkers

import (
	"fmt"
	"strings"

	"github.com/ktrial/ktrial/checkers/history"
)

// story fills in the words of an instance and returns the operations that
// prove it.
type story func(t *teller, f *finding, in *Instance) []int

// stories by anomaly. Each proof is an argument: what is known, what follows,
// what was seen instead.
var stories map[Anomaly]story

func init() { // the map would refer to itself through tell
	stories = map[Anomaly]story{
		LostWrite:           tellLost,
		TornTransaction:     tellTorn,
		Unseen:              tellUnseen,
		InconsistentOffsets: tellInconsistent,
		Duplicate:           tellDuplicate,
		PhantomRead:         tellPhantom,
		G1a:                 tellAbortedRead,
		AbortedRead:         tellAbortedRead,
		PrecommittedRead:    tellOwnRead,
		DuplicateProcessing: tellProcessedTwice,
		PollSkip:            tellJump,
		IntPollSkip:         tellJump,
		IntSendSkip:         tellSendSkip,
		NonmonotonicPoll:    tellBack,
		IntNonmonotonicPoll: tellBack,
		NonmonotonicSend:    tellReordered,
		IntNonmonotonicSend: tellReordered,
		AppendRealtimeOrder: tellAppendOrder,
		G0:                  tellCycle,
		G1c:                 tellCycle,
		G0Realtime:          tellPast,
		G1cRealtime:         tellPast,
		NonmonotonicEnd:     tellNote,
		GroupSkip:           tellNote,
		CommitAhead:         tellNote,
		CommittedOffset:     tellNote,
		ProducerEpoch:       tellNote,
		GroupGeneration:     tellNote,
		DecreasingStart:     tellNote,
		StuckLSO:            tellNote,
	}
}

func tellLost(t *teller, f *finding, in *Instance) []int {
	rec, offset := f.recs[0], f.offsets[0]
	writer := f.rows[0]
	in.Writer = t.indexOf(writer)
	if f.tail {
		in.Message = fmt.Sprintf("%s of %s was never read, and the log ends at %d", t.value(rec), t.spot(f.key, offset), f.offsets[1])
		in.Proof = []string{
			t.came(rec),
			fmt.Sprintf("so the log of %s must end above %d", t.h.Keys()[f.key], offset),
			fmt.Sprintf("it ends at %d, and no successful poll returned %s: contradiction", f.offsets[1], t.value(rec)),
		}
		return f.rows
	}
	rows := f.rows
	seen := "a later record"
	if bound, ok := t.boundary(f); ok {
		if s := t.seen[bound]; s != nil && s.okReader >= 0 {
			rows = append(rows[:len(rows):len(rows)], s.okReader)
			in.Reader = t.indexOf(s.okReader)
			seen = t.polledAt(s.okReader, bound, f.offsets[1])
			in.Reference = t.value(bound)
		}
		f.recs = append(f.recs[:1:1], bound)
	}
	in.Message = fmt.Sprintf("%s of %s was never read, though a record at %s was", t.value(rec), t.spot(f.key, offset), t.spot(f.key, f.offsets[1]))
	in.Proof = []string{
		t.came(rec),
		fmt.Sprintf("so whoever reads %s up to %d or beyond must be given it, for records come in the order of their offsets", t.h.Keys()[f.key], offset),
		seen,
		fmt.Sprintf("yet no successful poll ever returned %s: contradiction", t.value(rec)),
	}
	return rows
}

func tellTorn(t *teller, f *finding, in *Instance) []int {
	lost, read := f.recs[0], f.recs[1]
	rows := f.rows
	in.Writer = t.indexOf(f.rows[0])
	in.Message = fmt.Sprintf("of the transaction of %s, %s was read and %s is lost", t.who(f.rows[0]), t.value(read), t.value(lost))
	in.Proof = []string{fmt.Sprintf("%s sent %s and %s in one transaction", t.who(f.rows[0]), t.value(read), t.value(lost))}
	if s := t.seen[read]; s != nil && s.okReader >= 0 {
		rows = append(rows[:1:1], s.okReader)
		in.Reader = t.indexOf(s.okReader)
		in.Proof = append(in.Proof, t.polled(s.okReader, read))
	}
	in.Proof = append(in.Proof, fmt.Sprintf("so all of it is committed, %s at %s too", t.value(lost), t.spot(f.key, f.offsets[0])))
	if bound, ok := t.boundary(f); ok && t.seen[bound] != nil && t.seen[bound].okReader >= 0 {
		f.recs = append(f.recs[:2:2], bound)
		rows = append(rows[:len(rows):len(rows)], t.seen[bound].okReader)
		in.Proof = append(in.Proof, t.polled(t.seen[bound].okReader, bound))
	}
	in.Proof = append(in.Proof, fmt.Sprintf("yet no successful poll ever returned %s: contradiction", t.value(lost)))
	return rows
}

func tellUnseen(t *teller, f *finding, in *Instance) []int {
	rec := f.recs[0]
	in.Writer = t.indexOf(f.rows[0])
	in.Message = fmt.Sprintf("%s of %s was never read by the end", t.value(rec), t.spot(f.key, f.offsets[0]))
	in.Proof = []string{t.came(rec), "no successful poll returned it before the history ended"}
	return f.rows
}

func tellInconsistent(t *teller, f *finding, in *Instance) []int {
	offset := f.offsets[0]
	var rows []int
	in.Message = fmt.Sprintf("%s is %s", t.spot(f.key, offset), someOf(in.Values, len(f.recs)))
	for _, rec := range f.recs[:min(3, len(f.recs))] {
		s := t.seen[rec]
		if s == nil {
			continue
		}
		if row, ok := s.polled[offset]; ok {
			rows = append(rows, row)
			in.Proof = append(in.Proof, t.polledAt(row, rec, offset))
		} else if row, ok := s.acked[offset]; ok {
			rows = append(rows, row)
			in.Proof = append(in.Proof, fmt.Sprintf("%s was acknowledged at %s to %s", t.value(rec), t.spot(f.key, offset), t.who(row)))
		}
	}
	in.Proof = append(in.Proof, "an offset holds one record: contradiction")
	return rows
}

func tellDuplicate(t *teller, f *finding, in *Instance) []int {
	rec := f.recs[0]
	var rows []int
	s := t.seen[rec]
	in.Message = fmt.Sprintf("%s is in %s at %s", t.value(rec), t.h.Keys()[f.key], joinOffsets(f.offsets))
	for _, offset := range f.offsets[:min(3, len(f.offsets))] {
		if row, ok := s.polled[offset]; ok {
			rows = append(rows, row)
			in.Proof = append(in.Proof, t.polledAt(row, rec, offset))
		} else if row, ok := s.acked[offset]; ok {
			rows = append(rows, row)
			in.Proof = append(in.Proof, fmt.Sprintf("%s was acknowledged at %s to %s", t.value(rec), t.spot(f.key, offset), t.who(row)))
		}
	}
	if w := int(t.a.writer[rec]) - 1; w >= 0 {
		rows = append(rows, w)
		in.Writer = t.indexOf(w)
		sent := "sent it once"
		if s.senders > 1 {
			sent = fmt.Sprintf("and %d more sent it, and a record has one offset", s.senders-1)
		}
		in.Proof = append(in.Proof, fmt.Sprintf("%s %s: contradiction", t.who(w), sent))
	}
	return rows
}

func joinOffsets(offsets []int64) string {
	var parts []string
	for _, o := range offsets[:min(5, len(offsets))] {
		parts = append(parts, fmt.Sprint(o))
	}
	return someOf(parts, len(offsets))
}

// someOf names the first of so many.
func someOf(parts []string, of int) string {
	text := strings.Join(parts[:min(5, len(parts))], " and ")
	if of > 5 {
		text += fmt.Sprintf(" and %d more", of-5)
	}
	return text
}

func tellPhantom(t *teller, f *finding, in *Instance) []int {
	rec, reader := f.recs[0], f.rows[len(f.rows)-1]
	in.Reader = t.indexOf(reader)
	in.Message = fmt.Sprintf("%s was given %s at %s, which nobody sent there", t.who(reader), t.value(rec), t.spot(f.key, f.offsets[0]))
	in.Proof = []string{t.polled(reader, rec), fmt.Sprintf("no operation of the whole history sends %s to %s: contradiction", t.value(rec), t.h.Keys()[f.key])}
	return f.rows
}

func tellAbortedRead(t *teller, f *finding, in *Instance) []int {
	rec, writer, reader := f.recs[0], f.rows[0], f.rows[len(f.rows)-1]
	in.Writer, in.Reader = t.indexOf(writer), t.indexOf(reader)
	in.Message = fmt.Sprintf("%s was given %s at %s, though %s definitely failed", t.who(reader), t.value(rec), t.spot(f.key, f.offsets[0]), t.who(writer))
	in.Proof = []string{t.came(rec), "so no consumer may ever be given it", t.polled(reader, rec) + ": contradiction"}
	return f.rows
}

func tellOwnRead(t *teller, f *finding, in *Instance) []int {
	row := f.rows[0]
	in.Writer, in.Reader = t.indexOf(row), t.indexOf(row)
	in.Message = fmt.Sprintf("%s polled its own %s before it committed", t.who(row), t.value(f.recs[0]))
	in.Proof = []string{
		fmt.Sprintf("%s sent %s and, before it ended, was given it by a poll", t.who(row), t.value(f.recs[0])),
		"it had not committed by then, so nobody may be given it: contradiction",
	}
	return f.rows
}

func tellProcessedTwice(t *teller, f *finding, in *Instance) []int {
	rec := f.recs[0]
	in.Message = fmt.Sprintf("%s of %s was processed by %s and again by %s", t.value(rec), t.spot(f.key, f.offsets[0]), t.who(f.rows[0]), t.who(f.rows[1]))
	in.Proof = []string{
		t.polled(f.rows[0], rec) + ", and committed",
		"its transaction moved the group's position beyond the record, so the group may not be given it again",
		t.polled(f.rows[1], rec) + ", and committed too: contradiction",
	}
	return f.rows
}

func tellJump(t *teller, f *finding, in *Instance) []int {
	rows := f.rows
	skipped := t.jump(f, in)
	from, to := f.rows[0], f.rows[len(f.rows)-1]
	in.Reader = t.indexOf(to)
	in.Message = fmt.Sprintf("%s jumped from %s to %d over %s", t.who(to), t.spot(f.key, f.offsets[0]), f.offsets[1], strings.Join(in.Skipped, ", "))
	if from != to {
		in.Proof = append(in.Proof, t.polledAt(from, f.recs[0], f.offsets[0]))
	}
	in.Proof = append(in.Proof, fmt.Sprintf("the next that %s is given of %s must be the next record above %d", t.h.Client(t.op(to).ProcessNo), t.h.Keys()[f.key], f.offsets[0]))
	if len(skipped) > 0 {
		rec := skipped[0]
		if s := t.seen[rec]; s != nil {
			if w := int(t.a.writer[rec]) - 1; t.a.flags[rec]&committed != 0 && w >= 0 {
				in.Proof = append(in.Proof, t.came(rec))
				rows = append(rows[:len(rows):len(rows)], w)
			} else if s.reader >= 0 {
				in.Proof = append(in.Proof, t.polled(s.reader, rec))
				rows = append(rows[:len(rows):len(rows)], s.reader)
			}
		}
		f.recs = append(f.recs[:2:2], rec)
	}
	in.Proof = append(in.Proof, t.polledAt(to, f.recs[1], f.offsets[1])+": contradiction")
	return rows
}

// jump notes how far it went, and over what.
func (t *teller) jump(f *finding, in *Instance) []history.Rec {
	const most = 20
	skipped := t.skipped(f, most)
	in.Delta = len(skipped) + 1
	for _, rec := range skipped {
		in.Skipped = append(in.Skipped, t.value(rec))
	}
	if len(skipped) == most {
		in.Skipped = append(in.Skipped, "...")
	}
	return skipped
}

func tellSendSkip(t *teller, f *finding, in *Instance) []int {
	t.jump(f, in)
	in.Writer = t.indexOf(f.rows[0])
	in.Message = fmt.Sprintf("between %s and %s of %s lie records of others: %s", in.Values[0], in.Values[1], t.who(f.rows[0]), strings.Join(in.Skipped, ", "))
	return f.rows
}

// backwards is how many known records it went back; 0 is a repeat.
func (t *teller) backwards(f *finding) int {
	n := 0
	low := f.offsets[1] - 1
	for n > -1000 {
		offset, ok := t.a.logs[f.key].between(low, f.offsets[0])
		if !ok {
			break
		}
		n--
		low = offset
	}
	return n
}

func tellBack(t *teller, f *finding, in *Instance) []int {
	from, to := f.rows[0], f.rows[len(f.rows)-1]
	in.Delta = t.backwards(f)
	in.Reader = t.indexOf(to)
	verb := "went back"
	if f.offsets[0] == f.offsets[1] {
		verb = "was given again"
	}
	in.Message = fmt.Sprintf("%s %s: %s, then %s", t.who(to), verb, t.spot(f.key, f.offsets[0]), t.spot(f.key, f.offsets[1]))
	in.Proof = []string{
		t.polledAt(from, f.recs[0], f.offsets[0]),
		fmt.Sprintf("so what it is given of %s from then on lies above %d, unless it is assigned anew", t.h.Keys()[f.key], f.offsets[0]),
		t.polledAt(to, f.recs[1], f.offsets[1]) + ": contradiction",
	}
	return f.rows
}

func tellReordered(t *teller, f *finding, in *Instance) []int {
	in.Delta = t.backwards(f)
	last := f.rows[len(f.rows)-1]
	in.Writer = t.indexOf(last)
	in.Message = fmt.Sprintf("%s sent %s, then %s, but they lie at %s and %d", t.h.Client(t.op(last).ProcessNo), in.Values[0], in.Values[1], t.spot(f.key, f.offsets[0]), f.offsets[1])
	in.Proof = []string{
		fmt.Sprintf("%s sent %s first and %s later", t.h.Client(t.op(last).ProcessNo), in.Values[0], in.Values[1]),
		"the records of one producer lie in the order in which it sent them",
		fmt.Sprintf("%s is at %d, %s at %d: contradiction", in.Values[0], f.offsets[0], in.Values[1], f.offsets[1]),
	}
	return f.rows
}

func tellAppendOrder(t *teller, f *finding, in *Instance) []int {
	in.Message = fmt.Sprintf("%s at %s was acknowledged before %s at %d was sent", in.Values[0], t.spot(f.key, f.offsets[0]), in.Values[1], f.offsets[1])
	in.Proof = []string{
		t.came(f.recs[0]),
		fmt.Sprintf("%s began only at %s, so what it appends lies above %d", t.who(f.rows[1]), clock(t.op(f.rows[1]).Start), f.offsets[0]),
		t.came(f.recs[1]) + ", below it: contradiction",
	}
	return f.rows
}

func tellCycle(t *teller, f *finding, in *Instance) []int {
	in.Message = fmt.Sprintf("a circle of %d operations: %s", len(f.rows)-1, t.chain(f.rows))
	in.Proof = t.links(f.rows)
	in.Proof = append(in.Proof, "each had to take effect before the one that read from it, and so before itself: contradiction")
	return f.rows
}

func tellPast(t *teller, f *finding, in *Instance) []int {
	if f.direct {
		reader, writer := f.rows[0], f.rows[1]
		in.Reader, in.Writer = t.indexOf(reader), t.indexOf(writer)
		in.Message = fmt.Sprintf("%s read %s before %s began to send it", t.who(reader), in.Values[0], t.who(writer))
		in.Proof = []string{t.polled(reader, f.recs[0]),
			fmt.Sprintf("%s began to send it only at %s: contradiction", t.who(writer), clock(t.op(writer).Start))}
		return f.rows
	}
	first, last := f.rows[0], f.rows[len(f.rows)-1]
	in.Message = fmt.Sprintf("%s was over before %s began, on which it depends: %s", t.who(last), t.who(first), t.chain(f.rows))
	in.Proof = append(t.links(f.rows), fmt.Sprintf("%s ended at %s, %s began at %s: contradiction",
		t.who(last), clock(t.op(last).End), t.who(first), clock(t.op(first).Start)))
	return f.rows
}

func (t *teller) chain(rows []int) string {
	var parts []string
	for i, row := range rows {
		if i == 10 {
			parts = append(parts, "...")
			break
		}
		parts = append(parts, fmt.Sprint(t.h.Index(row)))
	}
	return strings.Join(parts, " -> ")
}

// links says for each two neighbours why the first came before the second.
func (t *teller) links(rows []int) (lines []string) {
	for i := 1; i < len(rows) && i <= 10; i++ {
		line := fmt.Sprintf("%s wrote before %s in a log", t.who(rows[i-1]), t.who(rows[i]))
		for _, p := range t.op(rows[i]).Polled {
			if int(t.a.writer[p.Rec])-1 == rows[i-1] {
				line = fmt.Sprintf("%s, sent by %s", t.polled(rows[i], p.Rec), t.who(rows[i-1]))
				break
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func tellNote(t *teller, f *finding, in *Instance) []int {
	in.Message = f.note
	return f.rows
}
