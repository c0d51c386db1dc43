package detect

import (
	"slices"
	"sort"

	"github.com/ktrial/ktrial/checkers/history"
)

// seen is where a client last stood in a partition.
type seen struct {
	rec       history.Rec
	low, high int64 // its offset; a duplicated send has two
	known     bool
	row       int
}

func (s *seen) sight() Sight { return Sight{s.rec, s.high, s.row} }

// pollOrder: a consumer is given the records of a partition one after the
// other, none twice and none left out, until it is assigned anew.
//
// Offsets may have gaps: only an offset that is known to hold a record can be
// skipped. Keys that were rebalanced during an operation are exempt within it.
// Only successful operations move a consumer's position, for the others may
// rewind; but what the others were handed must fit too.
//
// Each step that is not from one offset to the next is kept until everything is
// known that may lie between. On the way it records what readers passed over.
type pollOrder struct {
	log     *Log
	clients []consumer // by process
	walk    perKey
	doubts  []step
	readers []*reader
	moves   map[readerOf][]int64  // events at which a listener was told of a partition, in order
	sought  map[history.Key]int64 // event at which the first consumer was moved there by its application
	checked int64
	// firstUnsure is the event at which the first poll of unknown outcome began; -1: none did.
	firstUnsure int64
	// certain, if set, is told of steps that are wrong already.
	certain Emit
}

// step is from one record that a consumer was given to the next.
type step struct {
	key      history.Key
	within   bool // one operation
	from, to seen
	reach    int64 // operations of unknown outcome may have moved the consumer as far; -1: none
	anywhere bool  // or as far as anything
}

// consumer is a process that polls.
type consumer struct {
	assigned *reader // nil: never told
	at       map[history.Key]*standing
	free     map[history.Key]bool // where the application has moved it; nil: nowhere
	told     *standing            // used last
	toldKey  history.Key
}

// reader is one assignment of a consumer: how it may have started tells what it
// owes.
type reader struct {
	first            bool // the first that the history tells of its process
	told             bool // its assignment is in the history
	subscribed, seek bool
	group            bool
	began, done      int64 // events of the assignment
	firstPoll        int64 // event at which its first poll began; -1: none
	starts           []start
	unsure           bool // a poll of unknown outcome may have moved it
	keys             []history.Key
	kept             []history.Key // of them, what its process was assigned next, too
}

// start is the first record that a reader was given of a partition.
type start struct {
	key    history.Key
	offset int64
	rec    history.Rec
	given  int64     // event at which its poll ended
	opens  *[]openAt // made when they are needed: see owing
	unsure bool      // an operation of unknown outcome may have been given what lies below
	// resumable is the highest offset below this one at which another reader had begun
	// before; NoOffset: there is none.
	resumable int64
}

// standing is where a consumer stands in a partition.
type standing struct {
	seen
	reader *reader
	from   int64 // since when it was given everything
	// reach: operations since, of unknown outcome, were given records up to here.
	// The client goes on from there, or from where it stood. -1: none were.
	reach    int64
	anywhere bool // one of them did not tell what it was given
	stands   bool // it does so by a successful operation
	// passed is the last offset below the position that the client told; NoOffset: it
	// told none. It passed what no consumer is given, markers and aborted records.
	passed int64
}

// reached is the highest offset that the consumer had reached before the step.
func (s *step) reached() int64 { return max(s.from.high, s.reach) }

func newPollOrder(l *Log) *pollOrder {
	o := &pollOrder{log: l, firstUnsure: -1, moves: map[readerOf][]int64{}, sought: map[history.Key]int64{}}
	// What a listener is told belongs into the middle of the poll that it is told in, but
	// is an operation that comes after it.
	if l.H.Listeners() {
		l.H.EachOf(history.HasFacts, func(op *history.Op) bool {
			if op.F.OfListener() {
				o.listen(op)
			}
			return true
		})
	}
	return o
}

// listen records that an ownership of partitions began or ended.
func (o *pollOrder) listen(op *history.Op) {
	for _, key := range op.Keys {
		at := readerOf{op.ProcessNo, key}
		if all := o.moves[at]; len(all) == 0 || all[len(all)-1] < op.Completed {
			o.moves[at] = append(all, op.Completed)
		}
	}
}

// movedSince: an ownership began or ended after an event, up to another.
func (o *pollOrder) movedSince(process int32, key history.Key, from, to int64) bool {
	all := o.moves[readerOf{process, key}]
	i := sort.Search(len(all), func(i int) bool { return all[i] > from })
	return i < len(all) && all[i] <= to
}

func (o *pollOrder) client(process int32) *consumer {
	for int(process) >= len(o.clients) {
		o.clients = append(o.clients, consumer{at: map[history.Key]*standing{}, toldKey: -1})
	}
	return &o.clients[process]
}

// reading is the consumer's present assignment.
func (o *pollOrder) reading(c *consumer) *reader {
	if c.assigned == nil {
		c.assigned = o.newReader()
	}
	return c.assigned
}

func (o *pollOrder) newReader() *reader {
	r := &reader{firstPoll: -1}
	o.readers = append(o.readers, r)
	return r
}

// replacesAssignment: a client that crashed is a new one, assigned nothing.
func (l *Log) replacesAssignment(op *history.Op) bool {
	return (op.F == history.Assign || op.F == history.Subscribe || op.F == history.Crash && !l.jepsen) && op.Type != history.Failed
}

// assign keeps only what the operation names. A consumer that seeks to the
// beginning stands nowhere.
func (o *pollOrder) assign(c *consumer, op *history.Op) {
	before := c.assigned
	r := o.newReader()
	c.assigned = r
	r.told = op.F != history.Crash && op.Type == history.OK && (before == nil || before.told || op.Seek)
	r.first = before == nil
	r.subscribed, r.seek, r.group = op.F == history.Subscribe, op.Seek, op.Group != ""
	r.began, r.done = op.Invoked, op.Completed
	r.keys = slices.Clone(op.Keys)
	if before != nil && before.told && !op.Seek && op.F == history.Assign {
		r.goOn(before)
	}
	for key, at := range c.at {
		if op.F == history.Crash || op.Seek || !slices.Contains(op.Keys, key) {
			o.leave(key, at)
			delete(c.at, key)
		} else if before != nil {
			at.reader = r
		}
	}
	for key := range c.free {
		if op.F == history.Crash || op.Seek || !slices.Contains(op.Keys, key) {
			delete(c.free, key)
		}
	}
	c.toldKey = -1
}

// seek: the application moves its consumer. What the consumer is given there, again or
// not at all, is the application's doing: it owes nothing of what lies below. It may leave
// off anywhere, and another go on from there.
func (o *pollOrder) seek(c *consumer, op *history.Op) {
	free := func(key history.Key) {
		if at := c.at[key]; at != nil {
			o.leave(key, at)
			delete(c.at, key)
		}
		if c.free == nil {
			c.free = map[history.Key]bool{}
		}
		c.free[key] = true
		if since, known := o.sought[key]; !known || op.Invoked < since {
			o.sought[key] = op.Invoked
		}
	}
	for _, key := range op.Keys {
		free(key)
	}
	for _, m := range op.Offsets {
		free(m.Key)
	}
	c.toldKey = -1
}

// seekers are the processes of which some position was moved to anywhere.
func (l *Log) seekers() map[int32]bool {
	if l.seeking == nil {
		l.seeking = map[int32]bool{}
		l.H.EachOf(history.HasKeys, func(op *history.Op) bool {
			if op.F == history.Seek && op.Type != history.Failed {
				l.seeking[op.ProcessNo] = true
			}
			return true
		})
	}
	return l.seeking
}

// soughtBy: the process of an operation had a position moved, so that it may be given again what it
// was given before.
func (l *Log) soughtBy(row int) bool { return !l.jepsen && l.seekers()[l.H.Brief(row).ProcessNo] }

// goOn: a consumer that is assigned a partition again goes on from where it
// stands, so that it may have begun under the assignment before.
func (r *reader) goOn(before *reader) {
	if !slices.ContainsFunc(r.keys, func(key history.Key) bool { return contains(before.keys, key) }) {
		return
	}
	r.began, r.firstPoll = min(r.began, before.began), before.firstPoll
	before.kept = r.keys
}

// leave records what the consumer was given everything of.
func (o *pollOrder) leave(key history.Key, at *standing) {
	if at.stands && at.known && o.log.ranks == nil {
		o.log.covered(key, at.from, max(at.high, at.passed))
	}
}

func (c *consumer) stands(key history.Key) *standing {
	if c.toldKey == key {
		return c.told
	}
	at := c.at[key]
	if at == nil {
		at = &standing{reach: -1, passed: history.NoOffset}
		c.at[key] = at
	}
	c.told, c.toldKey = at, key
	return at
}

func (o *pollOrder) operation(op *history.Op) {
	l := o.log
	if l.replacesAssignment(op) {
		o.assign(o.client(op.ProcessNo), op)
		return
	}
	if op.F.OfListener() {
		o.listen(op)
		return
	}
	if op.F == history.Seek && op.Type != history.Failed && !l.jepsen {
		o.seek(o.client(op.ProcessNo), op)
		return
	}
	polls := op.F == history.Poll || op.F == history.Txn && hasPoll(op)
	if !polls && len(op.Polled) == 0 {
		return
	}
	c := o.client(op.ProcessNo)
	r := o.reading(c)
	if r.firstPoll < 0 && polls {
		r.firstPoll = op.Invoked
	}
	if op.Type == history.Unknown && !l.jepsen && (o.firstUnsure < 0 || op.Invoked < o.firstUnsure) {
		o.firstUnsure = op.Invoked
	}
	if len(op.Polled) == 0 {
		o.polledNothing(c, r, op)
		if len(op.Offsets) > 0 {
			o.positions(c, op)
		}
		return
	}
	o.checked += int64(len(op.Polled))
	o.walkPolls(op)
	for i := range o.walk.entries {
		o.arrive(c, r, op, &o.walk.entries[i])
	}
	if len(op.Offsets) > 0 {
		o.positions(c, op)
	}
	if op.Type == history.Unknown && !l.jepsen {
		r.unsure = true
		for key, at := range c.at {
			at.anywhere = at.anywhere || !o.walk.has(key)
		}
	}
}

// positions records the offsets at which the client says that it stands after an
// operation.
func (o *pollOrder) positions(c *consumer, op *history.Op) {
	for _, m := range op.Offsets {
		if m.Kind != history.MopPosition || op.Type != history.OK || m.Offset <= 0 {
			continue
		}
		if at := c.at[m.Key]; at != nil && at.stands && !at.anywhere && at.reach < 0 {
			at.passed = max(at.passed, m.Offset-1)
		}
	}
}

func hasPoll(op *history.Op) bool {
	for _, s := range op.Shape {
		if s.Kind == history.MopPoll {
			return true
		}
	}
	return false
}

// polledNothing: a poll that succeeded and returned nothing shows that there was
// nothing; one of unknown outcome may have returned anything.
func (o *pollOrder) polledNothing(c *consumer, r *reader, op *history.Op) {
	switch {
	case op.Type == history.OK && r.subscribed: // it may own nothing
	case op.Type == history.OK:
		if r.seek {
			for _, key := range r.keys {
				if at := c.at[key]; (at == nil || !at.stands) && !c.free[key] {
					o.log.drained(key, history.NoOffset, op.Invoked, true)
				}
			}
		}
		for key, at := range c.at {
			if at.stands && at.known && !at.anywhere && at.reach <= at.high && o.log.ranks == nil {
				o.log.drained(key, at.high, op.Invoked, r.told)
			}
		}
	case op.Type == history.Unknown && !o.log.jepsen:
		r.unsure = true
		for _, at := range c.at {
			at.anywhere = true
		}
	}
}

// arrive: the operation was given records of a partition, from the first of the
// walk to its last.
func (o *pollOrder) arrive(c *consumer, r *reader, op *history.Op, w *keyWalk) {
	at := c.stands(w.key)
	if len(o.moves) > 0 && at.stands && o.movedSince(op.ProcessNo, w.key, int64(o.log.H.Brief(at.row).Completed), op.Completed) {
		o.leave(w.key, at)
		*at = standing{reach: -1, passed: history.NoOffset}
	}
	if at.stands && at.known && w.first.known {
		o.step(step{w.key, false, at.seen, w.first, at.reach, at.anywhere})
	}
	switch {
	case op.Type == history.OK:
		o.move(c, r, op, w, at)
	case op.Type == history.Unknown && !o.log.jepsen && !w.last.known:
		at.anywhere = true
	case op.Type == history.Unknown && !o.log.jepsen:
		at.reach = max(at.reach, w.last.high)
	}
}

func (o *pollOrder) move(c *consumer, r *reader, op *history.Op, w *keyWalk, at *standing) {
	moved := at.anywhere || at.reach >= 0 || contains(op.Rebalanced, w.key)
	switch {
	case !w.first.known || !w.last.known:
		at.from = w.last.low
	case !at.stands || !at.known:
		if !at.stands && !c.free[w.key] {
			r.starts = append(r.starts, start{key: w.key, offset: w.first.low, rec: w.first.rec, given: op.Completed, unsure: r.unsure})
		}
		at.from = w.first.low
	case moved || w.first.low <= at.high:
		o.leave(w.key, at)
		at.from, at.passed = w.first.low, history.NoOffset
	}
	at.seen, at.reader, at.reach, at.anywhere, at.stands = w.last, r, -1, false, true
}

func (o *pollOrder) walkPolls(op *history.Op) {
	l := o.log
	o.walk.entries = o.walk.entries[:0]
	var w *keyWalk
	for _, p := range op.Polled {
		key := l.H.KeyOf(p.Rec)
		now := seen{rec: p.Rec, low: p.Offset, high: p.Offset, known: p.Offset >= 0, row: op.Row}
		if (!now.known || l.ranks != nil) && l.finished {
			now.low, now.high, now.known = l.where(p.Rec)
			now.known = now.known && (l.ranks != nil || l.flags[p.Rec]&(resent|several|alsoOlder) == 0)
		}
		there := w != nil && w.key == key
		if !there {
			w, there = o.walk.of(key)
		}
		if !there {
			w.first = now
		} else if now.known && w.last.known && !contains(op.Rebalanced, key) {
			o.step(step{key, true, w.last, now, -1, false})
		}
		w.last = now
	}
}

// step keeps a step for the end, unless it leads to the next offset.
func (o *pollOrder) step(s step) {
	if s.to.low == s.from.high+1 && o.log.ranks == nil {
		return
	}
	o.doubts = append(o.doubts, s)
	if o.certain != nil {
		o.judge(&s, o.certain)
	}
}

// judge compares the two ends of a step with what lies between them.
func (o *pollOrder) judge(s *step, emit Emit) {
	back, skip := NonmonotonicPoll, PollSkip
	if s.within {
		back, skip = IntNonmonotonicPoll, IntPollSkip
	}
	switch o.log.step(s.key, &s.from, &s.to) {
	case stepBack:
		emit(pair(back, s.key, &s.from, &s.to))
	case stepOver:
		from := s.from
		if from.high = s.reached(); !s.anywhere && o.log.step(s.key, &from, &s.to) == stepOver {
			f := pair(skip, s.key, &s.from, &s.to)
			f.Reached = from.high
			emit(f)
		}
	}
}

// Jump is a poll that was given what lies above and below some offsets, by a reader that
// may have been given nothing between.
type Jump struct {
	From, To  int64
	Completed int64 // the event at which the poll ended
}

// Jumps are those in a partition, in the order of the history. They are known when it is
// finished.
func (l *Log) Jumps(key history.Key) []Jump { return l.jumps[key] }

// jumps are those among the steps that were kept, by partition.
func (o *pollOrder) jumps() [][]Jump {
	all := make([][]Jump, len(o.log.parts))
	if o.log.ranks != nil {
		return all
	}
	for i := range o.doubts {
		s := &o.doubts[i]
		if from := s.reached(); !s.anywhere && s.to.low > from+1 {
			all[s.key] = append(all[s.key], Jump{from, s.to.low, int64(o.log.H.Brief(s.to.row).Completed)})
		}
	}
	return all
}

// finish judges what was kept. Before it, what readers stand on is recorded as
// passed over.
func (o *pollOrder) finish(emit Emit) int64 {
	for i := range o.doubts {
		o.judge(&o.doubts[i], emit)
	}
	return o.checked
}

// leaveAll records what all consumers were given, when all is over.
func (o *pollOrder) leaveAll() {
	for i := range o.clients {
		for key, at := range o.clients[i].at {
			o.leave(key, at)
		}
	}
	for key := range o.log.coverage {
		o.log.coverage[key].merge()
	}
}

func pair(anomaly Anomaly, key history.Key, from, to *seen) Finding {
	f := about(anomaly, key)
	f.Earlier, f.Later = Sight{from.rec, from.low, from.row}, to.sight()
	return f
}

// How two neighbours may follow each other.
const (
	stepBack = iota // or again
	stepNext
	stepOver // a known record
)

// step compares two neighbours.
func (l *Log) step(key history.Key, from, to *seen) int {
	if l.ranks != nil {
		return max(stepBack, min(stepOver, int(to.low-from.low)))
	}
	switch {
	case to.high <= from.low:
		return stepBack
	case from.high >= to.low:
		return stepNext
	}
	if _, skipped := l.Between(key, from.high, to.low); skipped {
		return stepOver
	}
	return stepNext
}

// perKey walks an operation's records key by key, each in its order.
type perKey struct {
	entries []keyWalk
}

type keyWalk struct {
	key         history.Key
	first, last seen
}

func (p *perKey) of(key history.Key) (*keyWalk, bool) {
	for i := range p.entries {
		if p.entries[i].key == key {
			return &p.entries[i], true
		}
	}
	p.entries = append(p.entries, keyWalk{key: key})
	return &p.entries[len(p.entries)-1], false
}

func (p *perKey) has(key history.Key) bool {
	return slices.ContainsFunc(p.entries, func(w keyWalk) bool { return w.key == key })
}

func contains(keys []history.Key, key history.Key) bool { return slices.Contains(keys, key) }

// coverage is what readers were given everything of: stretches of offsets, both
// ends included.
type coverage struct {
	spans []span
	// drains are the offsets at which a poll returned nothing.
	drains []drain
	proofs []drain // those that prove something; made when they are needed
}

// drain is a poll that returned nothing: it began at an event, and its consumer
// had been given everything up to an offset.
type drain struct {
	offset, event int64
	told          bool // its consumer was assigned the partition
}

type span struct{ low, high int64 }

func (l *Log) covers(key history.Key) *coverage {
	for int(key) >= len(l.coverage) {
		l.coverage = append(l.coverage, coverage{})
	}
	return &l.coverage[key]
}

func (l *Log) covered(key history.Key, low, high int64) {
	c := l.covers(key)
	if n := len(c.spans); n > 0 && c.spans[n-1].low <= low && high <= c.spans[n-1].high {
		return
	}
	c.spans = append(c.spans, span{low, high})
}

// drained: a poll that began at an event found nothing above an offset.
func (l *Log) drained(key history.Key, offset, event int64, told bool) {
	c := l.covers(key)
	if n := len(c.drains); n > 0 && c.drains[n-1].offset == offset && c.drains[n-1].told == told { // the later one says more
		c.drains[n-1].event = event
		return
	}
	c.drains = append(c.drains, drain{offset, event, told})
}

// merge puts the stretches in order and joins those that overlap.
func (c *coverage) merge() {
	slices.SortFunc(c.spans, func(a, b span) int { return compare(a.low, b.low) })
	kept := c.spans[:0]
	for _, s := range c.spans {
		if n := len(kept); n > 0 && s.low <= kept[n-1].high {
			kept[n-1].high = max(kept[n-1].high, s.high)
			continue
		}
		kept = append(kept, s)
	}
	c.spans = kept
}

// over is the stretch that holds an offset.
func (c *coverage) over(offset int64) (span, bool) {
	i := sort.Search(len(c.spans), func(i int) bool { return c.spans[i].high >= offset })
	if i == len(c.spans) || c.spans[i].low > offset {
		return span{}, false
	}
	return c.spans[i], true
}

func (c *coverage) holds(offset int64) bool {
	_, ok := c.over(offset)
	return ok
}
