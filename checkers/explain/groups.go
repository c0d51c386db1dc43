package explain

import (
	"fmt"

	"github.com/ktrial/ktrial/checkers/detect"
)

func (s *telling) ownedTwice() {
	f := s.f
	s.message("%s was assigned to %s and to %s, both in generation %d of group %s", s.partition(f.Key), s.actor(f.Earlier.Row), s.actor(f.Later.Row), f.Later.Offset, f.Name)
	s.prove("%s owned %s in generation %d%s, and was not told that it lost it", s.actor(f.Earlier.Row), s.partition(f.Key), f.Earlier.Offset, s.ended(f.Earlier.Row))
	s.prove("in one generation a partition has one owner")
	s.prove("%s was assigned it in generation %d%s: contradiction", s.actor(f.Later.Row), f.Later.Offset, s.ended(f.Later.Row))
}

func (s *telling) zombie() {
	f := s.f
	s.message("%s was assigned to %s%s of group %s, while %s still owned it%s, as far as it knew", s.partition(f.Key), s.actor(f.Later.Row), inGeneration(f.Later.Offset), f.Name, s.actor(f.Earlier.Row), inGeneration(f.Earlier.Offset))
	s.prove("%s owned %s%s%s, and was not told that it lost it", s.actor(f.Earlier.Row), s.partition(f.Key), inGeneration(f.Earlier.Offset), s.ended(f.Earlier.Row))
	s.prove("%s was assigned it%s%s", s.actor(f.Later.Row), inGeneration(f.Later.Offset), s.ended(f.Later.Row))
	s.prove("a member that was replaced owns its partitions until it learns of it; what it commits is refused")
}

func inGeneration(generation int64) string {
	if generation <= 0 {
		return ""
	}
	return fmt.Sprintf(" in generation %d", generation)
}

func (s *telling) readAfterRevoke() {
	f := s.f
	s.in.Reader = s.indexOf(f.Reader)
	s.message("%s was given %s, though it was told before that it no longer owned %s", s.actor(f.Reader), s.recordAt(f.Record.Rec, f.Key, f.Record.Offset), s.partition(f.Key))
	s.prove("%s was told that it no longer owned %s in group %s%s", s.actor(f.Earlier.Row), s.partition(f.Key), f.Name, s.ended(f.Earlier.Row))
	s.prove("so a poll that begins afterwards returns nothing of it, until it is assigned again")
	s.prove("%s began %s, and %s: contradiction", s.actor(f.Reader), s.began(f.Reader), s.polledAt(f.Reader, f.Record.Rec, f.Record.Offset))
}

func (s *telling) groupJump() {
	f := s.f
	if f.Earlier.Row == detect.None {
		s.message("%s began at %s, though group %s had committed nothing of it and %s lies below", s.actor(f.Later.Row), s.spot(f.Key, f.Later.Offset), f.Name, s.recordAt(f.Record.Rec, f.Key, f.Record.Offset))
		s.prove("no commit of group %s of %s had begun by then", f.Name, s.partition(f.Key))
		s.prove("a member that becomes the owner of %s begins where auto.offset.reset says, and with earliest at the start of the log", s.partition(f.Key))
		s.prove("%s: contradiction", s.polledAt(f.Later.Row, f.Later.Rec, f.Later.Offset))
		s.recs = append(s.recs, f.Later.Rec)
		return
	}
	s.message("%s began at %s, though group %s had committed offset %d and %s lies between", s.actor(f.Later.Row), s.spot(f.Key, f.Later.Offset), f.Name, f.Earlier.Offset, s.recordAt(f.Record.Rec, f.Key, f.Record.Offset))
	s.prove("%s committed offset %d%s, and nothing above it was committed by then", s.actor(f.Earlier.Row), f.Earlier.Offset, s.ended(f.Earlier.Row))
	s.prove("a member that becomes the owner of %s afterwards begins there, with %s", s.partition(f.Key), s.value(f.Record.Rec))
	s.prove("%s: contradiction", s.polledAt(f.Later.Row, f.Later.Rec, f.Later.Offset))
	s.recs = append(s.recs, f.Later.Rec)
}

func (s *telling) keyOrder() {
	f := s.f
	s.rows = []int{f.Record.Row, s.log.Writer(f.Earlier.Rec), f.Earlier.Row, f.Later.Row}
	first, second := f.Record.Rec, f.Earlier.Rec
	s.message("group %s was given %s before %s, which was sent before it and has the same key", f.Name, s.value(second), s.value(first))
	s.prove("%s", s.cameBy(first, f.Record.Row))
	s.prove("%s began to send %s only %s", s.actor(s.log.Writer(second)), s.value(second), s.began(s.log.Writer(second)))
	s.prove("%s", s.polledAt(f.Earlier.Row, second, f.Earlier.Offset))
	s.prove("%s, and no member of the group was given it before: contradiction", s.polledAt(f.Later.Row, first, f.Later.Offset))
}

func (s *telling) unprocessed() {
	f, rec := s.f, s.f.Record.Rec
	s.message("group %s committed offset %d of %s, but %s was processed by none of its members", f.Name, f.Later.Offset, s.partition(f.Key), s.recordAt(rec, f.Key, f.Record.Offset))
	s.prove("%s", s.cameBy(rec, f.Record.Row))
	s.prove("%s committed offset %d%s: the group will never be given it again", s.actor(f.Later.Row), f.Later.Offset, s.ended(f.Later.Row))
	s.prove("the history tells what members processed, and no operation may have processed %s: contradiction", s.value(rec))
}

func (s *telling) workedTwice() {
	f := s.f
	s.message("group %s processed %s twice", f.Name, s.recordAt(f.Record.Rec, f.Key, f.Record.Offset))
	s.prove("%s processed it, or may have%s", s.actor(f.Reader), s.ended(f.Reader))
	s.prove("%s processed it again, or may have%s: contradiction", s.actor(f.Again), s.ended(f.Again))
}
