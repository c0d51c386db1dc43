package checkers

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/checkers/detect"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/checkers/permit"
)

// legal draws a history from the model; every third is of a group. odd: it has
// in it what few have.
func legal(seed int, odd bool) (*history.History, Options) {
	cfg := modelConfig{Ops: 10 + seed%80, Clients: 1 + seed%5, Keys: 1 + seed%3, Txn: seed%2 == 0, Group: seed%3 == 0, Uncommitted: seed%7 == 0, Odd: odd}
	if odd && seed%11 == 3 {
		cfg.Base = math.MaxInt64 - 1<<40
	}
	h := newModel(uint64(seed), cfg).run()
	var o Options
	if cfg.Group {
		_ = o.Expect.Set("subscribe", "true")
	}
	if cfg.Uncommitted {
		_ = o.Expect.Set("isolation", "read_uncommitted")
		_ = o.Expect.Set("resend", "true") // the aborted one is read, too
	}
	return h, o
}

// A legal history raises no alarm, neither at the end nor on the way. The
// model crashes clients, aborts, leaves outcomes unknown, commits late and
// moves partitions about.
func TestNoFalseAlarm(t *testing.T) {
	n := 1000
	if *long {
		n = 100_000
	}
	for seed := range n {
		h, o := legal(seed/2, seed%2 == 1)
		j := Judge(h, o)
		if !assert.NotEqual(t, Violated, j.Verdict, "seed %d: %s", seed, j) {
			return
		}
		if found := replay(h, o.Expect); !assert.Nil(t, found, "seed %d", seed) {
			return
		}
	}
}

// part is a legal history of which something is missing, or that is odd in
// another way that proves nothing: values repeat, readers begin at the end, seek, or come
// back to where another left off, polls are empty although there is something, logs
// are compacted.
func part(seed int) (*history.History, Options) { return oddHistory(seed, false) }

// oddHistory may also have logs whose beginnings are deleted, by clients or by retention.
func oddHistory(seed int, trim bool) (*history.History, Options) {
	rng := rand.New(rand.NewPCG(uint64(seed), 11))
	yes := func() bool { return rng.IntN(2) == 0 }
	var o Options
	cfg := modelConfig{Ops: 10 + rng.IntN(90), Clients: 1 + rng.IntN(5), Keys: 1 + rng.IntN(3), Txn: yes(), Odd: yes(),
		NoDrain: yes(), Latest: yes(), Repeat: rng.IntN(3) == 0, Group: rng.IntN(4) == 0, Fair: yes(), Back: yes(), Compact: rng.IntN(4) == 0}
	if cfg.Compact {
		_ = o.Expect.Set("cleanup.policy", "compact")
	}
	if !cfg.Fair {
		_ = o.Expect.Set("empty-polls", "unknown")
	}
	cfg.Seek = seed%5 == 2
	cfg.Lazy = cfg.Latest && !cfg.Group && yes()
	cfg.Latest = cfg.Latest && !cfg.Group
	if cfg.Group {
		_ = o.Expect.Set("subscribe", "true")
	}
	if cfg.Latest && yes() {
		_ = o.Expect.Set("auto.offset.reset", "latest")
	}
	if trim {
		cfg.Trim, cfg.Retain, cfg.Reset = yes(), rng.IntN(3) == 0, rng.IntN(4) == 0
		if cfg.Retain {
			_ = o.Expect.Set("retention", "true")
		}
		if cfg.Reset {
			_ = o.Expect.Set("auto.offset.reset", "latest")
		}
	}
	events := eventsOf(newModel(uint64(seed), cfg).run())
	from, to := 0, len(events)
	if yes() && !cfg.Repeat { // older records of the same values could not be told apart
		from = rng.IntN(to)
	}
	if yes() {
		to = from + rng.IntN(to-from)
	}
	h := history.New()
	for i := range events[from:to] {
		h.Add(&events[from+i])
	}
	return h, o
}

// Histories that begin late, end early, were not drained, repeat values, or have
// readers that begin at the end raise no alarm.
func TestNoFalseAlarmOfParts(t *testing.T) {
	n := 2000
	if *long {
		n = 100_000
	}
	cut := []int{50212} // a poll of unknown outcome had brought what was not superseded; what was jumped over after it was
	for seed := range n + len(cut) {
		if seed >= n {
			seed = cut[seed-n]
		}
		h, o := part(seed)
		j := Judge(h, o)
		if !assert.NotEqual(t, Violated, j.Verdict, "seed %d: %s", seed, j) {
			return
		}
	}
}

// Nor do those in which records are deleted.
func TestNoFalseAlarmOfDeletions(t *testing.T) {
	n := 2000
	if *long {
		n = 100_000
	}
	cut := []int{4458, 18000, 26198, 26569, 47785, 67556, 74371, 76509} // found something, and are far up
	for seed := range n + len(cut) {
		if seed >= n {
			seed = cut[seed-n]
		}
		h, o := oddHistory(seed, true)
		j := Judge(h, o)
		if !assert.NotEqual(t, Violated, j.Verdict, "seed %d: %s", seed, j) {
			return
		}
	}
}

// mutation damages a legal history in one way; it reports whether it could.
type mutation struct {
	anomaly Anomaly
	damage  func(m *mutant) bool
}

// mutant is a history taken apart, with what a mutation wants to know of it.
type mutant struct {
	rng    *rand.Rand
	h      *history.History
	log    *detect.Log
	bounds []int64 // by partition: the highest offset that was read
	oldest []int64 // and the lowest that was acknowledged
	events []history.Event
}

func newMutant(seed int, h *history.History) *mutant {
	d := detect.New(h)
	h.Each(func(op *history.Op) bool {
		d.Operation(op)
		return true
	})
	d.Finish(detect.Settings{}, func(detect.Finding) {})
	m := &mutant{rand.New(rand.NewPCG(uint64(seed), 3)), h, d.Log(), make([]int64, len(h.Keys())), slices.Repeat([]int64{math.MaxInt64}, len(h.Keys())), eventsOf(h)}
	for i := range h.Records() {
		if rec := history.Rec(i); m.log.Read(rec) {
			m.bounds[h.KeyOf(rec)] = max(m.bounds[h.KeyOf(rec)], m.log.First(rec))
		}
		if rec := history.Rec(i); m.told(rec) {
			m.oldest[h.KeyOf(rec)] = min(m.oldest[h.KeyOf(rec)], m.log.First(rec))
		}
	}
	return m
}

// pick is a random record that is such; false if there is none.
func (m *mutant) pick(such func(history.Rec) bool) (history.Rec, bool) {
	var fit []history.Rec
	for i := range m.h.Records() {
		if such(history.Rec(i)) {
			fit = append(fit, history.Rec(i))
		}
	}
	if len(fit) == 0 {
		return 0, false
	}
	return fit[m.rng.IntN(len(fit))], true
}

func (m *mutant) name(rec history.Rec) (key, value history.Value) {
	return m.h.Keys()[m.h.KeyOf(rec)], m.h.ValueOf(rec)
}

// polls calls fn for every poll with records of every completion.
func (m *mutant) polls(fn func(e *history.Event, mop *history.Mop)) {
	for i := range m.events {
		e := &m.events[i]
		for j := range e.Mops {
			if len(e.Mops[j].Records) > 0 {
				fn(e, &e.Mops[j])
			}
		}
	}
}

// somePoll is a random poll of a successful operation that fits.
func (m *mutant) somePoll(fits func(e *history.Event, mop *history.Mop) bool) (event *history.Event, poll *history.Mop) {
	n := 0
	m.polls(func(e *history.Event, mop *history.Mop) {
		if e.Type == history.OK && fits(e, mop) {
			if n++; m.rng.IntN(n) == 0 {
				event, poll = e, mop
			}
		}
	})
	return event, poll
}

// hide removes a record from every poll.
func (m *mutant) hide(rec history.Rec) {
	key, value := m.name(rec)
	m.polls(func(_ *history.Event, mop *history.Mop) {
		var kept []history.Record
		for _, r := range mop.Records {
			if r.Key != key || r.Value != value {
				kept = append(kept, r)
			}
		}
		mop.Records = kept
	})
}

func (m *mutant) op(rec history.Rec) (op history.Op) {
	m.h.Read(m.log.Writer(rec), &op)
	return op
}

// told: it was acknowledged, and where it is.
func (m *mutant) told(rec history.Rec) bool {
	if !m.log.Acknowledged(rec) {
		return false
	}
	for _, s := range m.op(rec).Sends {
		if s.Rec == rec {
			return s.Offset >= 0
		}
	}
	return false
}

// older: a record at this offset may be older than the history.
func (m *mutant) older(rec history.Rec, offset history.Number) bool {
	at, told := offset.Told()
	return !told || at < m.oldest[m.h.KeyOf(rec)]
}

func (m *mutant) acknowledgedBelow(rec history.Rec) bool {
	return m.told(rec) && m.log.Read(rec) && m.log.Offset(rec) < m.bounds[m.h.KeyOf(rec)]
}

// twoInARow are neighbours of one key within a poll.
func twoInARow(mop *history.Mop) int {
	for i := 1; i < len(mop.Records); i++ {
		if mop.Records[i].Key == mop.Records[i-1].Key {
			return i
		}
	}
	return 0
}

var mutations = []mutation{
	{LostWrite, func(m *mutant) bool {
		rec, ok := m.pick(m.acknowledgedBelow)
		if ok {
			m.hide(rec)
		}
		return ok
	}},
	{TornTransaction, func(m *mutant) bool {
		rec, ok := m.pick(func(rec history.Rec) bool {
			op := m.op(rec)
			if !m.acknowledgedBelow(rec) || op.F != history.Txn {
				return false
			}
			for _, s := range op.Sends {
				if s.Rec != rec && m.log.Read(s.Rec) {
					return true
				}
			}
			return false
		})
		if ok {
			m.hide(rec)
		}
		return ok
	}},
	{Unseen, func(m *mutant) bool {
		rec, ok := m.pick(func(rec history.Rec) bool { return m.log.Acknowledged(rec) })
		if ok {
			m.hide(rec)
		}
		return ok
	}},
	{Duplicate, func(m *mutant) bool {
		rec, ok := m.pick(func(rec history.Rec) bool { return m.log.Read(rec) && !m.older(rec, history.At(m.log.First(rec))) })
		_, poll := m.somePoll(func(*history.Event, *history.Mop) bool { return true })
		if ok && poll != nil {
			key, value := m.name(rec)
			for i := range m.log.Sends(rec) { // each of its sends may have written it once
				poll.Records = append(poll.Records, history.Record{Key: key, Offset: history.At(m.log.Highest(m.h.KeyOf(rec)) + 1 + int64(i)), Value: value})
			}
		}
		return ok && poll != nil
	}},
	{PhantomRead, func(m *mutant) bool {
		// Where another was acknowledged: below that it may be older.
		acknowledged := func(r history.Record) bool {
			rec, ok := m.h.FindRec(r.Key, r.Value)
			return ok && !m.older(rec, r.Offset)
		}
		_, poll := m.somePoll(func(_ *history.Event, mop *history.Mop) bool { return slices.ContainsFunc(mop.Records, acknowledged) })
		if poll != nil {
			poll.Records[slices.IndexFunc(poll.Records, acknowledged)].Value = history.Text("phantom")
		}
		return poll != nil
	}},
	{InconsistentOffsets, func(m *mutant) bool {
		var other history.Value
		_, poll := m.somePoll(func(_ *history.Event, mop *history.Mop) bool { return twoInARow(mop) > 0 })
		if poll == nil {
			return false
		}
		i := twoInARow(poll)
		other = poll.Records[i].Value
		// The overwritten record is elsewhere known by its acknowledgement or another poll.
		rec, ok := m.h.FindRec(poll.Records[i-1].Key, poll.Records[i-1].Value)
		if !ok || !m.told(rec) || poll.Records[i-1].Offset == (history.Number{}) {
			return false
		}
		poll.Records[i-1].Value = other
		return true
	}},
	{G1a, func(m *mutant) bool {
		rec, ok := m.pick(func(rec history.Rec) bool { return m.log.Read(rec) && m.op(rec).Completed != history.Never })
		if ok {
			m.events[m.op(rec).Completed].Type = history.Failed
		}
		// A reader of its own operation would have failed with it.
		return ok && len(m.op(rec).Polled) == 0
	}},
	{AbortedRead, func(m *mutant) bool {
		rec, ok := m.pick(func(rec history.Rec) bool {
			return m.log.Read(rec) && m.op(rec).Completed != history.Never && len(m.op(rec).Polled) == 0
		})
		if !ok {
			return false
		}
		m.events[m.op(rec).Completed].Type = history.Failed
		key, value := m.name(rec)
		m.polls(func(e *history.Event, mop *history.Mop) {
			for _, r := range mop.Records {
				if r.Key == key && r.Value == value {
					e.Type = history.Failed
				}
			}
		})
		return true
	}},
	{PrecommittedRead, func(m *mutant) bool {
		rec, ok := m.pick(func(rec history.Rec) bool { return m.log.Acknowledged(rec) })
		if ok {
			key, value := m.name(rec)
			e := &m.events[m.op(rec).Completed]
			e.Mops = append(e.Mops, history.Mop{Kind: history.MopPoll, Records: []history.Record{{Key: key, Offset: history.At(m.log.Offset(rec)), Value: value}}})
		}
		return ok
	}},
	{IntNonmonotonicPoll, func(m *mutant) bool {
		_, poll := m.somePoll(func(_ *history.Event, mop *history.Mop) bool { return twoInARow(mop) > 0 })
		if poll != nil {
			i := twoInARow(poll)
			poll.Records[i-1], poll.Records[i] = poll.Records[i], poll.Records[i-1]
		}
		return poll != nil
	}},
	{IntPollSkip, func(m *mutant) bool {
		_, poll := m.somePoll(func(_ *history.Event, mop *history.Mop) bool {
			i := twoInARow(mop)
			return i > 0 && i+1 < len(mop.Records) && mop.Records[i+1].Key == mop.Records[i].Key
		})
		if poll == nil {
			return false
		}
		i := twoInARow(poll)
		rec, _ := m.h.FindRec(poll.Records[i].Key, poll.Records[i].Value)
		poll.Records = append(poll.Records[:i:i], poll.Records[i+1:]...)
		return m.told(rec)
	}},
	{G1cRealtime, func(m *mutant) bool {
		e, poll := m.somePoll(func(e *history.Event, mop *history.Mop) bool { return e.F == history.Poll })
		if poll == nil {
			return false
		}
		at := int64(-1)
		for i := range m.events {
			if &m.events[i] == e {
				at = int64(i)
			}
		}
		rec, ok := m.pick(func(rec history.Rec) bool {
			return m.told(rec) && m.op(rec).Invoked > at
		})
		if ok {
			key, value := m.name(rec)
			poll.Records = append(poll.Records, history.Record{Key: key, Offset: history.At(m.log.Offset(rec)), Value: value})
		}
		return ok
	}},
	{AppendRealtimeOrder, swapOffsets(false)},
	{NonmonotonicSend, swapOffsets(true)},
	{NonmonotonicPoll, func(m *mutant) bool {
		// A consumer is given its last record again.
		for i := range m.events {
			e := &m.events[i]
			if e.Type != history.OK || e.F != history.Poll || len(e.Mops[0].Records) == 0 {
				continue
			}
			for j := i + 1; j < len(m.events); j++ {
				next := &m.events[j]
				if next.Process != e.Process || next.Type == history.Invoke {
					continue
				}
				if next.F == history.Poll && next.Type == history.OK {
					last := e.Mops[len(e.Mops)-1].Records
					next.Mops[0].Records = append([]history.Record{last[len(last)-1]}, next.Mops[0].Records...)
					return true
				}
				break
			}
		}
		return false
	}},
	{PollSkip, func(m *mutant) bool {
		// Of two polls in a row, the second loses its first record, which others know.
		for i := range m.events {
			e := &m.events[i]
			if e.Type != history.OK || e.F != history.Poll || len(e.Mops[0].Records) == 0 {
				continue
			}
			last := e.Mops[0].Records[len(e.Mops[0].Records)-1]
			for j := i + 1; j < len(m.events); j++ {
				next := &m.events[j]
				if next.Process != e.Process || next.Type == history.Invoke {
					continue
				}
				if next.F != history.Poll || next.Type != history.OK || len(next.Mops[0].Records) < 2 {
					break
				}
				records := next.Mops[0].Records
				rec, _ := m.h.FindRec(records[0].Key, records[0].Value)
				if records[0].Key == last.Key && records[1].Key == last.Key && m.told(rec) {
					next.Mops[0].Records = records[1:]
					return true
				}
				break
			}
		}
		return false
	}},
	{DuplicateProcessing, func(m *mutant) bool {
		var from *history.Event
		for i := range m.events {
			e := &m.events[i]
			if e.F != history.Txn || e.Type != history.OK || !m.subscribed(e.Process, i) {
				continue
			}
			for _, mop := range e.Mops {
				if len(mop.Records) > 0 && from == nil {
					from = e
				}
			}
			if from != nil && from != e {
				for _, mop := range from.Mops {
					if len(mop.Records) > 0 {
						e.Mops = append(e.Mops, history.Mop{Kind: history.MopPoll, Records: mop.Records})
						return true
					}
				}
			}
		}
		return false
	}},
	{G1c, func(m *mutant) bool {
		// Two transactions that overlap are each given the other's record.
		var ops []history.Op
		m.h.Each(func(op *history.Op) bool {
			if op.F == history.Txn && op.Type == history.OK && len(op.Sends) > 0 {
				var own history.Op
				m.h.Read(op.Row, &own)
				ops = append(ops, own)
			}
			return true
		})
		for i, x := range ops {
			for _, y := range ops[i+1:] {
				if x.Invoked < y.Completed && y.Invoked < x.Completed {
					m.give(x.Completed, y.Sends[0])
					m.give(y.Completed, x.Sends[0])
					return true
				}
			}
		}
		return false
	}},
}

func (m *mutant) give(event int64, s history.Sent) {
	key, value := m.name(s.Rec)
	e := &m.events[event]
	e.Mops = append(e.Mops, history.Mop{Kind: history.MopPoll, Records: []history.Record{{Key: key, Offset: history.At(s.Offset), Value: value}}})
}

func (m *mutant) subscribed(process int64, before int) (yes bool) {
	for _, e := range m.events[:before] {
		if e.Process == process && e.Type == history.OK {
			yes = yes && e.F != history.Assign || e.F == history.Subscribe
		}
	}
	return yes
}

// swapOffsets lets two acknowledged records, the second begun when the first
// was over, trade places in the log.
func swapOffsets(sameProcess bool) func(m *mutant) bool {
	return func(m *mutant) bool {
		first, ok := m.pick(func(rec history.Rec) bool { return m.told(rec) && len(m.op(rec).Sends) == 1 })
		if !ok {
			return false
		}
		x := m.op(first)
		second, ok := m.pick(func(rec history.Rec) bool {
			if !m.told(rec) || m.h.KeyOf(rec) != m.h.KeyOf(first) || rec == first {
				return false
			}
			y := m.op(rec)
			return y.Invoked > x.Completed && len(y.Sends) == 1 && (!sameProcess || y.Process == x.Process && m.next(x, y))
		})
		if !ok {
			return false
		}
		k, v := m.name(first)
		_, w := m.name(second)
		for i := range m.events {
			for j := range m.events[i].Mops {
				mop := &m.events[i].Mops[j]
				for n := range mop.Records {
					if r := &mop.Records[n]; r.Key == k && r.Value == v {
						r.Value = w
					} else if r.Key == k && r.Value == w {
						r.Value = v
					}
				}
				if mop.Kind == history.MopSend && mop.Key == k && mop.Offset != (history.Number{}) && m.events[i].Type != history.Invoke {
					if mop.Value == v {
						mop.Offset = history.At(m.log.Offset(second))
					} else if mop.Value == w {
						mop.Offset = history.At(m.log.Offset(first))
					}
				}
			}
		}
		return true
	}
}

// next: of one process, y is the next after x that sent to its key, with no
// assignment in between.
func (m *mutant) next(x, y history.Op) bool {
	ok := true
	m.h.Each(func(op *history.Op) bool {
		if op.Process == x.Process && op.Row > x.Row && op.Row < y.Row {
			ok = ok && op.F == history.Poll
		}
		return true
	})
	return ok
}

// Damage of every kind is found under its name.
func TestEveryMutationIsFound(t *testing.T) {
	want := 12
	if *long {
		want = 1000
	}
	for _, mut := range mutations {
		t.Run(string(mut.anomaly), func(t *testing.T) {
			found := 0
			for seed := 0; found < want && seed < 200*want; seed++ {
				h, o := legal(6*seed+2+seed%2*4, seed%3 == 1) // transactions, of a group or not
				if o.Expect.Is(permit.IsolationLevel, "read_uncommitted") {
					continue
				}
				m := newMutant(seed, h)
				if !mut.damage(m) {
					continue
				}
				found++
				damaged := history.New()
				for i := range m.events {
					damaged.Add(&m.events[i])
				}
				j := Judge(damaged, Options{})
				require.Contains(t, anomalies(j), string(mut.anomaly), "seed %d: %s", seed, j)
			}
			require.Equal(t, want, found, "histories that could be damaged so")
		})
	}
}

func TestEveryAnomalyIsFoundByAMutationOrATable(t *testing.T) {
	covered := map[Anomaly]bool{G0: true, G0Realtime: true, IntSendSkip: true} // see the corpus
	for _, m := range append(slices.Clone(mutations), pipelineMutations...) {
		covered[m.anomaly] = true
	}
	for _, c := range checkTables {
		for _, row := range c.tables {
			for _, r := range Judge(historyOf(t, row.text), Options{}).Anomalies {
				covered[r.Anomaly] = true
			}
		}
	}
	for _, row := range groupTables {
		for _, r := range Judge(historyOf(t, row.history), Options{Expect: config(t, row.config)}).Anomalies {
			covered[r.Anomaly] = true
		}
	}
	for _, info := range Anomalies {
		assert.True(t, covered[info.Anomaly], fmt.Sprint(info.Anomaly))
	}
}
