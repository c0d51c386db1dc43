package permit

import (
	"math"
	"slices"
	"sort"

	"github.com/ktrial/ktrial/checkers/detect"
	"github.com/ktrial/ktrial/checkers/history"
)

// compaction knows which records may supersede which: of a compacted partition
// the last record of each record key stays, and what lies below it may go.
type compaction struct {
	log    *detect.Log
	null   uint32                // the record key of records without one
	keys   []uint32              // record key, by record; 0: not told
	of     map[keyed]*successors // by record key
	untold map[history.Key]*successors
}

// keyed is a record key of a partition.
type keyed struct {
	partition history.Key
	key       uint32
}

// successors are the records of one record key, or those of a partition whose keys
// are not told.
type successors struct {
	// known are those of which it is known where they are, by offset; begun is then the
	// earliest event at which the send of one as high or higher began.
	known []successor
	// unsure is the earliest event at which a send began that may have put one anywhere.
	unsure int64
	n      int
}

type successor struct{ offset, begun int64 }

// after reports whether a record lies above an offset whose send began before an
// event.
func (s *successors) after(offset, before int64) bool {
	if s == nil {
		return false
	}
	i := sort.Search(len(s.known), func(i int) bool { return s.known[i].offset > offset })
	return i < len(s.known) && s.known[i].begun < before
}

func (s *successors) maybe(before int64) bool { return s != nil && s.unsure < before }

func newCompaction(log *detect.Log) *compaction {
	c := &compaction{log, log.H.NullKey(), make([]uint32, log.H.Records()), map[keyed]*successors{}, map[history.Key]*successors{}}
	log.H.EachOf(history.HasSends|history.HasPolls, func(op *history.Op) bool {
		for _, s := range op.Sends {
			c.name(s.Rec, s.Details)
		}
		for _, p := range op.Polled {
			c.name(p.Rec, p.Details)
		}
		return true
	})
	log.H.EachOf(history.HasSends|history.HasPolls, func(op *history.Op) bool {
		for _, s := range op.Sends {
			c.sent(op, s)
		}
		for _, p := range op.Polled {
			if log.Writer(p.Rec) < 0 { // older than the history
				c.add(p.Rec, p.Details, p.Offset, history.NoOffset)
			}
		}
		return true
	})
	for _, s := range c.of {
		s.inOrder()
	}
	for _, s := range c.untold {
		s.inOrder()
	}
	return c
}

// several stands for the key of a value that was sent with several keys.
const several = math.MaxUint32

func (c *compaction) name(rec history.Rec, details uint32) {
	if details == 0 {
		return
	}
	switch key := c.log.H.Details(details).RecordKey(); {
	case key == 0 || c.keys[rec] == key:
	case c.keys[rec] == 0:
		c.keys[rec] = key
	default:
		c.keys[rec] = several
	}
}

// key is the record key of a record; 0: it is not known.
func (c *compaction) key(rec history.Rec) uint32 {
	if c.keys[rec] == several {
		return 0
	}
	return c.keys[rec]
}

// sent takes in a send that may have taken effect.
func (c *compaction) sent(op *history.Op, s history.Sent) {
	offset := s.Offset
	if offset < 0 && !c.log.Several(s.Rec) && !c.log.H.ValueOf(s.Rec).IsNull() {
		offset = c.log.Offset(s.Rec)
	}
	switch {
	case op.Type == history.Failed:
		return
	case op.Type != history.OK && !c.log.Committed(s.Rec):
		offset = history.NoOffset
	}
	c.add(s.Rec, s.Details, offset, op.Invoked)
}

// add takes in a record. Tombstones are all one record, so that each has the key that
// was told of it here.
func (c *compaction) add(rec history.Rec, details uint32, offset, begun int64) {
	key := c.key(rec)
	if details != 0 && c.log.H.ValueOf(rec).IsNull() {
		key = c.log.H.Details(details).RecordKey()
	}
	s := c.successorsOf(c.log.H.KeyOf(rec), key)
	s.n++
	if offset < 0 {
		s.unsure = min(s.unsure, begun)
		return
	}
	s.known = append(s.known, successor{offset, begun})
}

// successors are the records of the record's key; of a record whose key is not told,
// those of which it is not told either.
func (c *compaction) successors(rec history.Rec) *successors {
	return c.successorsOf(c.log.H.KeyOf(rec), c.key(rec))
}

func (c *compaction) successorsOf(partition history.Key, key uint32) *successors {
	s := c.untold[partition]
	if key != 0 {
		s = c.of[keyed{partition, key}]
	}
	if s != nil {
		return s
	}
	s = &successors{unsure: math.MaxInt64}
	if key != 0 {
		c.of[keyed{partition, key}] = s
	} else {
		c.untold[partition] = s
	}
	return s
}

func (s *successors) inOrder() {
	slices.SortFunc(s.known, func(a, b successor) int { return int(min(1, max(-1, a.offset-b.offset))) })
	for i := len(s.known) - 2; i >= 0; i-- {
		s.known[i].begun = min(s.known[i].begun, s.known[i+1].begun)
	}
}

// superseded: a record of the same key, sent before an event, lies above it.
func (c *compaction) superseded(rec history.Rec, offset, before int64) bool {
	return c.key(rec) != 0 && c.key(rec) != c.null && offset >= 0 && c.successors(rec).after(offset, before)
}

// maySupersede: a record that lies above it, or may, has the same key, or may have. A
// record without a key goes when the log is cleaned.
func (c *compaction) maySupersede(rec history.Rec, offset, before int64) bool {
	partition := c.log.H.KeyOf(rec)
	own := c.successors(rec)
	switch {
	case c.key(rec) == c.null:
		return true
	case offset < 0:
		return own.n > 1 || c.untold[partition] != nil
	case c.key(rec) == 0:
		return offset < c.log.Highest(partition)
	}
	untold := c.untold[partition]
	return own.after(offset, before) || own.maybe(before) || untold.after(offset, before) || untold.maybe(before)
}

// tombstone: its key is told, or its keys, for all of a partition are one record here;
// and it has no value.
func (c *compaction) tombstone(rec history.Rec) bool {
	return c.keys[rec] != 0 && c.log.H.ValueOf(rec).IsNull()
}

func (p *Permits) compacted() *compaction {
	if p.compaction == nil {
		p.compaction = newCompaction(p.log)
	}
	return p.compaction
}

// missed reports whether all that a finding misses is such. A record that a consumer
// jumped over was gone when it was given the next, so that what superseded it had
// been sent by then; some of them may have been deleted at a client's request.
func (p *Permits) missed(f *detect.Finding, such func(rec history.Rec, offset, before int64) bool) bool {
	switch f.Anomaly {
	case detect.PollSkip, detect.IntPollSkip, detect.GroupJump:
	default:
		return such(f.Record.Rec, f.Record.Offset, math.MaxInt64)
	}
	before := int64(p.log.H.Brief(f.Later.Row).Completed)
	return p.skippedAll(f, func(offset int64, rec history.Rec) bool {
		return such(rec, offset, before) || p.deleted(f.Key, offset, p.log.Writer(rec), before)
	})
}

// superseded: later records of the same record keys replaced them.
func superseded(p *Permits, f *detect.Finding) bool {
	return p.missed(f, p.compacted().superseded)
}

// supersededOrTombstone: the same, or they were tombstones themselves.
func supersededOrTombstone(p *Permits, f *detect.Finding) bool {
	c := p.compacted()
	return p.missed(f, func(rec history.Rec, offset, before int64) bool {
		return c.superseded(rec, offset, before) || c.tombstone(rec)
	})
}

// maybeSuperseded: of some the record keys are not told, or the outcome is not.
func maybeSuperseded(p *Permits, f *detect.Finding) bool {
	c := p.compacted()
	return p.missed(f, func(rec history.Rec, offset, before int64) bool {
		return c.tombstone(rec) || c.maySupersede(rec, offset, before)
	})
}
