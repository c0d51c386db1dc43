package checkers

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ktrial/ktrial/checkers/history"
)

// groupModel is a group that keeps every promise: what its members record is a legal
// history. Its coordinator gives partitions out anew, in classic generations or by
// members' own epochs; members are killed, come back as static members, and sleep
// until they are replaced and do not know it; commits arrive late or never.
type groupModel struct {
	rng     *rand.Rand
	cfg     groupConfig
	rec     *history.Recorder
	now     time.Duration
	process int64
	value   int64

	logs       [][]modelRecord
	committed  []int64 // by partition; -1: none
	generation int64
	slots      []*groupMember
	free       []int // partitions that a member is to be given, by partition: its slot; -1: nobody's
	owners     []int // slot by partition, as the coordinator knows it; -1: nobody
	late       []func()
}

type groupConfig struct {
	Partitions, Members, Ops     int
	Cooperative, Epochs          bool
	TellGeneration, TellListener bool
	TellProcess, AtMostOnce      bool
	Static                       bool
	Keyed                        bool // records of a key are on one partition
}

type modelRecord struct {
	value int64
	key   string
}

type groupMember struct {
	slot       int
	process    int64
	generation int64 // that it knows of
	asleep     bool
	member     bool // the coordinator knows it
	owned      map[int]*memberAt
	polling    bool
	work       []memberWork // given, and not processed
}

// memberAt is where a member stands in a partition: its next record, and up to where
// it has processed what it was given.
type memberAt struct{ next, done int64 }

type memberWork struct {
	partition int
	offset    int64
}

func newGroupModel(seed uint64, cfg groupConfig) *groupModel {
	m := &groupModel{rng: rand.New(rand.NewPCG(seed, 13)), cfg: cfg, rec: history.NewRecorder()}
	m.logs = make([][]modelRecord, cfg.Partitions)
	m.committed, m.owners = slices.Repeat([]int64{-1}, cfg.Partitions), slices.Repeat([]int{-1}, cfg.Partitions)
	m.free = slices.Repeat([]int{-1}, cfg.Partitions)
	for slot := range cfg.Members {
		m.slots = append(m.slots, m.newMember(slot))
	}
	return m
}

func (m *groupModel) newMember(slot int) *groupMember {
	m.process++
	return &groupMember{slot: slot, process: m.process - 1, owned: map[int]*memberAt{}}
}

func (m *groupModel) yes(oneIn int) bool { return m.rng.IntN(oneIn) == 0 }

func (m *groupModel) run() *history.History {
	for m.rec.History().Len() < m.cfg.Ops {
		m.now += time.Millisecond
		if len(m.late) > 0 && m.yes(6) {
			m.late[0]()
			m.late = m.late[1:]
		}
		switch c := m.slots[m.rng.IntN(len(m.slots))]; m.rng.IntN(12) {
		case 0, 1:
			m.send()
		case 2:
			m.ask()
		case 3:
			m.rebalance()
		case 4:
			m.upset(c)
		default:
			m.act(c)
		}
	}
	return m.rec.History()
}

func partitionOf(k int) history.Value { return history.Partition("orders", int32(k)) }

// send appends records. Its producers are processes of their own.
func (m *groupModel) send() {
	m.value++
	key := string(rune('a' + m.rng.IntN(4)))
	k := m.rng.IntN(m.cfg.Partitions)
	if m.cfg.Keyed {
		k = int(key[0]) % m.cfg.Partitions
	}
	e := history.Event{Process: 1000 + m.value%3, F: history.Send, Time: m.now,
		Mops: []history.Mop{{Kind: history.MopSend, Key: partitionOf(k), Value: history.Int(m.value), Attributes: history.Attributes{RecordKey: history.Text(key)}}}}
	m.rec.Invoke(e)
	e.Type = history.OK
	e.Mops[0].Offset = history.At(int64(len(m.logs[k])))
	if m.yes(8) {
		e.Type, e.Mops[0].Offset = history.Unknown, history.Number{}
		if m.yes(2) { // it never happens
			m.rec.Complete(e)
			return
		}
	}
	m.logs[k] = append(m.logs[k], modelRecord{m.value, key})
	m.rec.Complete(e)
}

// ask reads a committed offset, as an administrator does.
func (m *groupModel) ask() {
	k := m.rng.IntN(m.cfg.Partitions)
	e := history.Event{Process: 2000, F: history.Committed, Time: m.now, Group: "g", Mops: []history.Mop{{Kind: history.MopCommitted, Key: partitionOf(k)}}}
	m.rec.Invoke(e)
	e.Type, e.Mops[0].Offset = history.OK, history.At(m.committed[k])
	m.rec.Complete(e)
}

// event is one of a member, with what it tells.
func (m *groupModel) event(c *groupMember, f history.F) history.Event {
	e := history.Event{Process: c.process, F: f, Time: m.now, Group: "g"}
	if m.cfg.TellGeneration {
		e.Generation = c.generation
	}
	if m.cfg.Static {
		e.Instance = "till-" + string(rune('0'+c.slot))
	}
	return e
}

func (m *groupModel) tell(c *groupMember, f history.F, partitions []int) {
	if !m.cfg.TellListener {
		return
	}
	e := m.event(c, f)
	e.Type = history.OK
	slices.Sort(partitions)
	for _, k := range partitions {
		e.Keys = append(e.Keys, partitionOf(k))
	}
	m.rec.Complete(e)
}

// rebalance completes a generation: those that do not take part are no longer
// members.
func (m *groupModel) rebalance() {
	m.generation++
	var live []*groupMember
	for _, c := range m.slots {
		if !c.asleep && !c.member {
			m.learn(c)
		}
		c.member = !c.asleep
		if c.member {
			live = append(live, c)
		}
	}
	for k, owner := range m.owners {
		if owner >= 0 && !m.slots[owner].member {
			m.owners[k] = -1
		}
	}
	if len(live) == 0 {
		return
	}
	target := make([]int, m.cfg.Partitions)
	for k := range target {
		target[k] = live[m.rng.IntN(len(live))].slot
	}
	for _, c := range live {
		var gone []int
		for k := range c.owned {
			if !m.cfg.Cooperative || target[k] != c.slot {
				gone = append(gone, k)
			}
		}
		m.giveUp(c, gone, history.Revoked)
	}
	for k, slot := range target {
		if m.owners[k] == slot {
			continue
		}
		// What a member has just revoked another is given in the next generation.
		m.free[k] = slot
		if m.owners[k] >= 0 {
			m.owners[k] = -1
			if m.cfg.Cooperative && !m.cfg.Epochs {
				m.free[k] = -1
			}
		}
	}
	for _, c := range live {
		if now := m.slots[c.slot]; now != c { // it was killed meanwhile, and came too late
			now.member = false
			m.forget(c.slot)
			continue
		}
		m.give(c)
	}
}

// giveUp takes partitions from a member, which commits them first, or not.
func (m *groupModel) giveUp(c *groupMember, partitions []int, f history.F) {
	if len(partitions) == 0 {
		return
	}
	if f == history.Revoked && !c.polling && m.yes(2) {
		if m.commit(c); m.slots[c.slot] != c { // it was killed at that
			return
		}
	}
	slices.Sort(partitions)
	m.tell(c, f, partitions)
	for _, k := range partitions {
		delete(c.owned, k)
		if m.owners[k] == c.slot && f == history.Revoked {
			m.owners[k] = -1
		}
		c.work = slices.DeleteFunc(c.work, func(w memberWork) bool { return w.partition == k })
	}
}

// give hands a member what is to be its own: it begins at the committed offset.
func (m *groupModel) give(c *groupMember) {
	var news []int
	for k, slot := range m.free {
		if slot == c.slot && c.owned[k] == nil {
			news = append(news, k)
			m.free[k] = -1
			m.owners[k] = c.slot
		}
	}
	c.generation = m.generation
	m.tell(c, history.Assigned, news)
	for _, k := range news {
		at := max(0, m.committed[k])
		c.owned[k] = &memberAt{at, at}
	}
}

// upset kills a member, or puts it to sleep, or wakes it.
func (m *groupModel) upset(c *groupMember) {
	switch {
	case c.asleep && m.yes(2):
		c.asleep = false
		if !c.member { // it learns, if it does not act before
			if m.yes(2) {
				m.act(c)
			}
			if m.slots[c.slot] == c {
				m.learn(c)
			}
		}
	case c.asleep:
	case m.yes(2):
		c.asleep = true
	default:
		m.kill(c)
	}
}

// learn: the member is told that it is none.
func (m *groupModel) learn(c *groupMember) {
	var all []int
	for k := range c.owned {
		all = append(all, k)
	}
	m.giveUp(c, all, history.Lost)
}

// kill throws a member away. A static one comes back as itself, with the partitions
// that it had, and the coordinator need not give out anything anew.
func (m *groupModel) kill(c *groupMember) {
	if c.polling { // its end is not told
		c.polling = false
	} else if m.yes(2) {
		e := m.event(c, history.Crash)
		m.rec.Invoke(e)
		e.Type = history.Unknown
		m.rec.Complete(e)
	} else if !m.cfg.Static {
		m.learnOfNothing(c)
	}
	next := m.newMember(c.slot)
	m.slots[c.slot] = next
	if m.cfg.Static && c.member && m.yes(2) {
		next.member, next.generation = true, c.generation
		var all []int
		for k := range c.owned {
			if m.owners[k] == c.slot {
				all = append(all, k)
			}
		}
		m.tell(next, history.Assigned, all)
		for _, k := range all {
			at := max(0, m.committed[k])
			next.owned[k] = &memberAt{at, at}
		}
		return
	}
	m.forget(c.slot)
}

// forget: the coordinator has nothing for this slot.
func (m *groupModel) forget(slot int) {
	for k := range m.owners {
		if m.owners[k] == slot {
			m.owners[k] = -1
		}
		if m.free[k] == slot {
			m.free[k] = -1
		}
	}
}

// learnOfNothing: a process that ends without a word had something under way.
func (m *groupModel) learnOfNothing(c *groupMember) {
	m.rec.Invoke(m.event(c, history.Poll))
}

// act lets a member do the next thing.
func (m *groupModel) act(c *groupMember) {
	switch {
	case c.asleep:
	case c.polling:
		m.endPoll(c)
	case len(c.work) > 0 && m.cfg.TellProcess:
		m.doWork(c)
	case m.yes(3):
		m.commit(c)
	default:
		c.polling = true
		e := m.event(c, history.Poll)
		e.Mops = []history.Mop{{Kind: history.MopPoll}}
		m.rec.Invoke(e)
	}
}

func (m *groupModel) endPoll(c *groupMember) {
	c.polling = false
	mop := history.Mop{Kind: history.MopPoll}
	for k := range m.cfg.Partitions {
		at := c.owned[k]
		for at != nil && at.next < int64(len(m.logs[k])) && !m.yes(3) {
			r := m.logs[k][at.next]
			mop.Records = append(mop.Records, history.Record{Key: partitionOf(k), Offset: history.At(at.next), Value: history.Int(r.value), Attributes: history.Attributes{RecordKey: history.Text(r.key)}})
			c.work = append(c.work, memberWork{k, at.next})
			at.next++
			if !m.cfg.TellProcess {
				at.done = at.next
			}
		}
	}
	e := m.event(c, history.Poll)
	e.Type, e.Mops = history.OK, []history.Mop{mop}
	m.rec.Complete(e)
	if m.cfg.AtMostOnce && len(mop.Records) > 0 {
		m.commit(c)
	}
	if !m.cfg.TellProcess {
		c.work = nil
	}
}

// doWork processes the first record that a member was given: it may be killed in the
// middle.
func (m *groupModel) doWork(c *groupMember) {
	w := c.work[0]
	e := m.event(c, history.Process)
	e.Mops = []history.Mop{{Kind: history.MopProcessed, Key: partitionOf(w.partition), Offset: history.At(w.offset)}}
	m.rec.Invoke(e)
	switch m.rng.IntN(10) {
	case 0:
		c.polling = true // nothing more is told of this process
		m.kill(c)
	case 1:
		e.Type = history.Failed
		m.rec.Complete(e)
	default:
		e.Type = history.OK
		m.rec.Complete(e)
		c.work = c.work[1:]
		if at := c.owned[w.partition]; at != nil {
			at.done = w.offset + 1
		}
	}
}

// commit commits what the member has processed, or, at most once, what it was given.
// The coordinator refuses it to those that are no members.
func (m *groupModel) commit(c *groupMember) {
	e := m.event(c, history.Commit)
	for k := range m.cfg.Partitions {
		at := c.owned[k]
		if at == nil {
			continue
		}
		offset := at.done
		if m.cfg.AtMostOnce {
			offset = at.next
		}
		e.Mops = append(e.Mops, history.Mop{Kind: history.MopCommit, Key: partitionOf(k), Offset: history.At(offset)})
	}
	if len(e.Mops) == 0 {
		return
	}
	m.rec.Invoke(e)
	m.now += time.Millisecond
	switch {
	case !c.member:
		e.Type = history.Failed
	case m.yes(8): // its answer is lost, and it may still be under way
		e.Type = history.Unknown
		if m.yes(2) {
			m.take(c, e.Mops)
		}
		m.rec.Complete(e)
		m.kill(c)
		return
	default:
		e.Type = history.OK
		m.take(c, e.Mops)
	}
	m.rec.Complete(e)
	if e.Type == history.Failed {
		m.learn(c)
	}
}

func (m *groupModel) take(c *groupMember, mops []history.Mop) {
	for _, mop := range mops {
		for k := range m.cfg.Partitions {
			if partitionOf(k) == mop.Key && c.member {
				m.committed[k] = mop.Offset.Or(0)
			}
		}
	}
}

func groupHistory(seed int) (*history.History, groupConfig, Options) {
	rng := rand.New(rand.NewPCG(uint64(seed), 17))
	yes := func() bool { return rng.IntN(2) == 0 }
	cfg := groupConfig{Partitions: 1 + rng.IntN(4), Members: 1 + rng.IntN(4), Ops: 20 + rng.IntN(120), Cooperative: yes(), TellGeneration: yes(), TellListener: yes(),
		TellProcess: yes(), AtMostOnce: rng.IntN(3) == 0, Static: yes(), Keyed: yes()}
	cfg.Epochs = cfg.Cooperative && yes()
	var o Options
	_ = o.Expect.Set("subscribe", "true")
	if cfg.Epochs {
		_ = o.Expect.Set("group.protocol", "consumer")
	}
	if cfg.AtMostOnce {
		_ = o.Expect.Set("processing", "at-most-once")
	}
	if cfg.Keyed {
		_ = o.Expect.Set("ordering", "key")
	}
	h := newGroupModel(uint64(seed), cfg).run()
	if yes() {
		_ = o.Expect.Set("from-the-start", "true")
		return h, cfg, o
	}
	return partOf(h, rng), cfg, o
}

// partOf is a history that was cut at both ends, anywhere.
func partOf(h *history.History, rng *rand.Rand) *history.History {
	events := eventsOf(h)
	from := rng.IntN(len(events))
	to := from + 1 + rng.IntN(len(events)-from)
	cut := history.New()
	for i := range events[from:to] {
		cut.Add(&events[from+i])
	}
	return cut
}

// A legal history of a group, whole or cut at either end, raises no alarm, neither at the
// end nor on the way.
func TestNoFalseAlarmOfGroups(t *testing.T) {
	n := 1000
	if *long {
		n = 100_000
	}
	for seed := range n {
		h, cfg, o := groupHistory(seed)
		j := Judge(h, o)
		if !assert.NotEqual(t, Violated, j.Verdict, "seed %d: %+v: %s", seed, cfg, j) {
			return
		}
		if found := replay(h, o.Expect); !assert.Nil(t, found, "seed %d", seed) {
			return
		}
	}
}
