package checkers

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ktrial/ktrial/checkers/history"
)

// model is a small cluster that keeps every promise, and clients that use it:
// what it records is a legal history. Appends take effect between invocation
// and completion; transactions abort, crash and commit late; consumers are
// assigned anew, fail and rewind; a client whose outcome is unknown goes on as
// another process, or as the same. Odd ones also send values again, crash, leave
// offsets out, and read the marks of logs and a register of committed offsets,
// and their logs begin far up and have holes.
type model struct {
	rng     *rand.Rand
	cfg     modelConfig
	rec     *history.Recorder
	now     time.Duration
	logs    []modelLog
	clients []*modelClient
	late    []func() // effects still to come of operations that are over
	next    int64    // value
	process int64
	group   []int64 // committed positions, if consumers form one group
	owner   []int   // client by partition

	again     []history.Mop // sends that never took effect
	landed    []history.Mop // sends that did, though their clients do not know
	registers []int64       // offsets that group r committed, by partition
	left      [][]int64     // where the clients of a place stood last, by partition; -1: nowhere
}

type modelConfig struct {
	Ops, Clients, Keys int
	Txn, Group         bool
	Uncommitted        bool // consumers read what is not committed
	Odd                bool
	Base               int64 // first offset of every log
	NoDrain            bool
	MaxPoll            int
	Latest             bool // consumers begin at the end of the log, when they are assigned,
	Lazy               bool // or when they poll first
	Fair               bool // a poll returns something if there is something
	Repeat             bool // a few values are sent again and again
	Compact            bool // logs are compacted at times
	Seek               bool // the application moves its consumers
	Trim               bool // records are deleted from the start of a log on request,
	Retain             bool // or by retention, of which nobody is told
	Reset              bool // a consumer whose position is gone begins anew at the end (auto.offset.reset=latest), not at the start
	Back               bool // a consumer that comes back to a partition may go on where it, or the client before it, left off
}

const (
	stateOpen = iota
	stateCommitted
	stateAborted
)

type modelEntry struct {
	value int64
	txn   *modelTxn     // nil: committed at once
	key   history.Value // record key; the zero Value if there are none
}

type modelTxn struct{ state int }

// modelLog: an offset without an entry is a marker.
type modelLog struct {
	entries []modelEntry
	start   int64 // what lies below it is deleted
}

type modelClient struct {
	process   int64
	assigned  []bool
	position  []int64 // next offset; -1: it begins at the end when it polls first
	committed []int64 // positions when the last operation succeeded
	op        *modelOp
}

type modelOp struct {
	f      history.F
	mops   []history.Mop
	effect int // how many mops took effect
	txn    *modelTxn
	group  string
	vain   bool // none of its sends takes effect
}

func newModel(seed uint64, cfg modelConfig) *model {
	if cfg.MaxPoll == 0 {
		cfg.MaxPoll = 5
	}
	m := &model{rng: rand.New(rand.NewPCG(seed, 7)), cfg: cfg, rec: history.NewRecorder()}
	m.logs = make([]modelLog, cfg.Keys)
	m.group, m.owner = make([]int64, cfg.Keys), make([]int, cfg.Keys)
	m.registers = slices.Repeat([]int64{history.NoOffset}, cfg.Keys)
	for range cfg.Clients {
		m.clients = append(m.clients, m.client())
		m.left = append(m.left, slices.Repeat([]int64{-1}, cfg.Keys))
	}
	return m
}

func (m *model) client() *modelClient {
	n := m.cfg.Keys
	c := &modelClient{process: m.process, assigned: make([]bool, n), position: make([]int64, n), committed: make([]int64, n)}
	m.process++
	return c
}

func (m *model) run() *history.History {
	for m.rec.History().Len() < m.cfg.Ops {
		m.step()
	}
	if !m.cfg.NoDrain {
		m.drain()
	}
	return m.rec.History()
}

func (m *model) step() {
	m.now += time.Millisecond
	if len(m.late) > 0 && m.rng.IntN(10) == 0 {
		m.late[0]()
		m.late = m.late[1:]
	}
	if m.cfg.Compact && m.rng.IntN(10) == 0 {
		m.logs[m.rng.IntN(m.cfg.Keys)].compact()
	}
	if m.cfg.Retain && m.rng.IntN(20) == 0 {
		l := &m.logs[m.rng.IntN(m.cfg.Keys)]
		l.trim(l.start + m.rng.Int64N(4))
	}
	i := m.rng.IntN(len(m.clients))
	c := m.clients[i]
	switch {
	case c.op == nil:
		m.begin(i, c)
	case c.op.effect < len(c.op.mops) && m.rng.IntN(3) > 0:
		m.takeEffect(c)
	default:
		m.end(i, c)
	}
}

func (m *model) key(k int) history.Value { return history.Int(int64(k)) }

func (m *model) send() history.Mop {
	if n := len(m.again); n > 0 && m.rng.IntN(4) == 0 {
		mop := m.again[n-1]
		m.again = m.again[:n-1]
		return mop
	}
	m.next++
	if m.cfg.Repeat {
		m.next = 1 + m.rng.Int64N(4)
	}
	mop := history.Mop{Kind: history.MopSend, Key: m.key(m.rng.IntN(m.cfg.Keys)), Value: history.Int(m.next)}
	if m.cfg.Compact {
		mop.RecordKey = history.Text(string(rune('a' + m.rng.IntN(3))))
	}
	return mop
}

func (m *model) begin(i int, c *modelClient) {
	op := &modelOp{}
	switch n := m.rng.IntN(20); {
	case n == 0:
		m.assign(i, c)
		return
	case m.cfg.Seek && n > 17:
		m.seek(c)
		return
	case m.cfg.Odd && n < 4:
		m.odd(op)
		if op.f == history.Crash {
			m.crash(i, c)
			return
		}
	case m.cfg.Trim && n == 19:
		m.trim(op)
	case n < 10:
		op.f = history.Send
		op.mops = append(op.mops, m.send())
		for m.rng.IntN(4) == 0 {
			op.mops = append(op.mops, m.send())
		}
	case n < 15 || !m.cfg.Txn:
		op.f = history.Poll
		op.mops = append(op.mops, history.Mop{Kind: history.MopPoll})
	default:
		op.f = history.Txn
		for range 1 + m.rng.IntN(3) {
			if m.rng.IntN(2) == 0 {
				op.mops = append(op.mops, m.send())
			} else {
				op.mops = append(op.mops, history.Mop{Kind: history.MopPoll})
			}
		}
	}
	if m.cfg.Txn && (op.f == history.Send || op.f == history.Txn) && !op.vain {
		op.txn = &modelTxn{}
	}
	c.op = op
	m.rec.Invoke(history.Event{Process: c.process, F: op.f, Time: m.now, Mops: op.mops, Group: op.group})
}

// trim asks where a log begins, or has it begin further up: at an offset, or where it ends.
func (m *model) trim(op *modelOp) {
	k := m.rng.IntN(m.cfg.Keys)
	mop := history.Mop{Kind: history.MopStart, Key: m.key(k)}
	op.f = history.ListOffsets
	if m.rng.IntN(3) > 0 {
		op.f, mop.Kind = history.DeleteRecords, history.MopDelete
		if m.rng.IntN(4) > 0 {
			mop.Offset = history.At(m.cfg.Base + m.rng.Int64N(int64(len(m.logs[k].entries))+1))
		}
	}
	op.mops = append(op.mops, mop)
}

func (l *modelLog) trim(to int64) { l.start = max(l.start, min(to, int64(len(l.entries)))) }

// odd is an operation of a kind that not every history has.
func (m *model) odd(op *modelOp) {
	key := m.key(m.rng.IntN(m.cfg.Keys))
	ask := func(f history.F, kind history.MopKind, offset int64) {
		op.f, op.mops = f, []history.Mop{{Kind: kind, Key: key, Offset: history.At(offset)}}
	}
	switch n := m.rng.IntN(6); {
	case n == 0:
		op.f = history.Crash
	case n == 1 && len(m.landed) > 0: // in vain, and what was sent before is there all the same
		op.f, op.vain, op.mops = history.Send, true, []history.Mop{m.landed[m.rng.IntN(len(m.landed))]}
	case n < 3:
		ask(history.ListOffsets, history.MopEnd+history.MopKind(m.rng.IntN(2)), history.NoOffset)
	case n == 3:
		ask(history.Committed, history.MopCommitted, history.NoOffset)
		op.group = "r"
	default:
		ask(history.Commit, history.MopCommit, m.rng.Int64N(4))
		op.group = "r"
	}
}

// crash throws a client away. It goes on as the same process, and knows nothing.
func (m *model) crash(i int, c *modelClient) {
	e := history.Event{Process: c.process, F: history.Crash, Time: m.now}
	m.rec.Invoke(e)
	e.Type = history.Unknown
	m.rec.Complete(e)
	m.replace(i)
	m.clients[i].process = c.process
}

// assign gives the client some partitions; those that it had it reads on.
func (m *model) assign(i int, c *modelClient) {
	e := history.Event{Process: c.process, F: history.Assign, Time: m.now}
	if m.cfg.Group {
		e.F = history.Subscribe
	}
	had := append([]bool(nil), c.assigned...)
	for k := range m.cfg.Keys {
		c.assigned[k] = m.rng.IntN(2) == 0
		if m.cfg.Group {
			c.assigned[k] = true
		}
		if c.assigned[k] {
			e.Keys = append(e.Keys, m.key(k))
			switch {
			case m.cfg.Group && m.owner[k] == i:
				c.position[k], c.committed[k] = m.group[k], m.group[k]
			case !had[k]:
				at := m.start(k)
				if m.cfg.Back && m.left[i][k] >= 0 && m.rng.IntN(2) == 0 {
					at = m.left[i][k]
				}
				c.position[k], c.committed[k] = at, at
			}
		}
		if m.cfg.Group && m.rng.IntN(2) == 0 {
			m.move(k, i)
		}
	}
	m.rec.Invoke(e)
	m.now += time.Millisecond
	e.Type, e.Time = history.OK, m.now
	m.rec.Complete(e)
}

// seek moves the client to anywhere on some of its partitions, or to where it is not known.
func (m *model) seek(c *modelClient) {
	e := history.Event{Process: c.process, F: history.Seek, Time: m.now}
	e.Type = []history.Type{history.OK, history.OK, history.Unknown, history.Failed}[m.rng.IntN(4)]
	for k := range m.cfg.Keys {
		if !c.assigned[k] || m.rng.IntN(2) == 0 {
			continue
		}
		e.Keys = append(e.Keys, m.key(k))
		if at := m.rng.Int64N(int64(len(m.logs[k].entries)) + 1); e.Type == history.OK || e.Type == history.Unknown && m.rng.IntN(2) == 0 {
			c.position[k], c.committed[k] = at, at
		}
	}
	as := e.Type
	e.Type = history.Invoke
	m.rec.Invoke(e)
	m.now += time.Millisecond
	e.Type, e.Time = as, m.now
	m.rec.Complete(e)
}

// start is where a consumer begins that has no position.
func (m *model) start(k int) int64 {
	switch {
	case m.cfg.Lazy:
		return -1
	case m.cfg.Latest:
		return m.logs[k].stable()
	}
	return m.logs[k].start
}

// move gives a partition to another member, which starts at what the group
// committed. Operations under way on it are fenced.
func (m *model) move(k, to int) {
	if old := m.clients[m.owner[k]]; old.op != nil && len(old.op.mops) > 0 {
		return
	}
	m.owner[k] = to
	m.clients[to].position[k] = m.group[k]
	m.clients[to].committed[k] = m.group[k]
}

func (m *model) takeEffect(c *modelClient) {
	mop := &c.op.mops[c.op.effect]
	c.op.effect++
	if mop.Kind != history.MopPoll {
		m.change(mop, c.op)
		return
	}
	room := 1 + m.rng.IntN(m.cfg.MaxPoll)
	me := -1
	for i, other := range m.clients {
		if other == c {
			me = i
		}
	}
	for k := range m.cfg.Keys {
		if c.assigned[k] && (!m.cfg.Group || m.owner[k] == me) && (m.cfg.Fair || m.rng.IntN(3) > 0) {
			m.poll(c, k, mop, room)
		}
	}
}

func (m *model) change(mop *history.Mop, op *modelOp) {
	k, _ := mop.Key.IsInt()
	l := &m.logs[k]
	switch mop.Kind {
	case history.MopSend:
		if !op.vain {
			m.append(mop, op.txn)
		}
	case history.MopEnd:
		mop.Offset = history.At(m.cfg.Base + int64(len(l.entries)))
	case history.MopStable:
		mop.Offset = history.At(m.cfg.Base + l.stable())
	case history.MopStart:
		mop.Offset = history.At(m.cfg.Base + l.start)
	case history.MopDelete:
		to := int64(len(l.entries))
		if n := mop.Offset.Or(history.NoOffset); n >= 0 {
			to = n - m.cfg.Base
		}
		l.trim(to)
	case history.MopCommit:
		m.registers[k] = mop.Offset.Or(history.NoOffset)
	case history.MopCommitted:
		mop.Offset = history.At(m.registers[k])
	}
}

func (m *model) append(mop *history.Mop, txn *modelTxn) {
	k, _ := mop.Key.IsInt()
	v, _ := mop.Value.IsInt()
	l := &m.logs[k]
	for m.cfg.Odd && m.rng.IntN(10) == 0 { // compaction emptied these
		l.entries = append(l.entries, modelEntry{})
	}
	mop.Offset = history.At(m.cfg.Base + int64(len(l.entries)))
	l.entries = append(l.entries, modelEntry{v, txn, mop.RecordKey})
}

// stable is the first offset of an open transaction, or the end.
func (l *modelLog) stable() int64 {
	for i, e := range l.entries {
		if e.txn != nil && e.txn.state == stateOpen {
			return int64(i)
		}
	}
	return int64(len(l.entries))
}

// compact removes what later records of the same record key superseded, up to the
// first open transaction.
func (l *modelLog) compact() {
	last := map[history.Value]int{}
	for i := range l.entries[:l.stable()] {
		e := &l.entries[i]
		if e.value == 0 || e.txn != nil && e.txn.state == stateAborted {
			continue
		}
		if before, there := last[e.key]; there {
			l.entries[before].value = 0
		}
		last[e.key] = i
	}
}

// poll reads from the position up to the first open transaction; aborted
// records and markers are passed over.
func (m *model) poll(c *modelClient, k int, mop *history.Mop, room int) {
	l := &m.logs[k]
	if c.position[k] < 0 {
		c.position[k] = l.stable()
		c.committed[k] = c.position[k]
	}
	if c.position[k] < l.start {
		c.position[k] = l.start
		if m.cfg.Reset {
			c.position[k] = l.stable()
		}
		c.committed[k] = c.position[k]
	}
	for c.position[k] < int64(len(l.entries)) && room > 0 {
		e := l.entries[c.position[k]]
		if !m.cfg.Uncommitted && e.txn != nil && e.txn.state == stateOpen {
			return
		}
		if e.value != 0 && (m.cfg.Uncommitted || e.txn == nil || e.txn.state == stateCommitted) {
			mop.Records = append(mop.Records, history.Record{Key: m.key(k), Offset: history.At(m.cfg.Base + c.position[k]), Value: history.Int(e.value),
				Attributes: history.Attributes{RecordKey: e.key}})
			room--
		}
		c.position[k]++
	}
}

// finish ends a transaction and leaves its markers.
func (m *model) finish(op *modelOp, state int) {
	if op.txn == nil || op.txn.state != stateOpen {
		return
	}
	op.txn.state = state
	marked := map[int64]bool{}
	for _, mop := range op.mops[:op.effect] {
		if k, _ := mop.Key.IsInt(); mop.Kind == history.MopSend && !marked[k] {
			marked[k] = true
			m.logs[k].entries = append(m.logs[k].entries, modelEntry{})
		}
	}
}

func (m *model) end(i int, c *modelClient) {
	op := c.op
	e := history.Event{Process: c.process, F: op.f, Time: m.now, Mops: op.mops, Group: op.group}
	switch luck := m.rng.IntN(20); {
	case op.vain && luck < 10:
		e.Type = history.Unknown
	case op.vain:
		e.Type = history.Failed
	case luck == 0 && op.effect < len(op.mops) && op.txn == nil && op.f == history.Send && op.effect == 0,
		luck < 3 && op.txn != nil:
		e.Type = history.Failed
		m.finish(op, stateAborted)
		copy(c.position, c.committed)
		m.mayResend(op.mops)
	case luck == 3:
		e.Type = history.Unknown
		m.leave(op)
		m.remember(i, c)
		if m.rng.IntN(2) == 0 { // the client never learned the offsets
			for j := range e.Mops {
				if e.Mops[j].Kind == history.MopSend {
					e.Mops[j].Offset = history.Number{}
				}
			}
		}
	default:
		for op.effect < len(op.mops) {
			m.takeEffect(c)
		}
		e.Type = history.OK
		m.finish(op, stateCommitted)
		copy(c.committed, c.position)
		m.remember(i, c)
		if m.cfg.Group {
			for k, owner := range m.owner {
				if owner == i {
					m.group[k] = c.position[k]
				}
			}
		}
	}
	m.rec.Complete(m.blurred(e))
	c.op = nil
	switch {
	case e.Type != history.Unknown:
	case m.cfg.Odd && op.f == history.Poll && !m.cfg.Group: // it goes on, here or there
		if m.rng.IntN(2) == 0 {
			copy(c.position, c.committed)
		}
	default:
		m.replace(i)
	}
}

// remember keeps where the client stands, as it may have committed it.
func (m *model) remember(i int, c *modelClient) {
	for k, assigned := range c.assigned {
		if assigned {
			m.left[i][k] = c.position[k]
		}
	}
}

// mayResend lets a producer send again what did not take effect and never will.
func (m *model) mayResend(mops []history.Mop) {
	for _, mop := range mops {
		if m.cfg.Odd && mop.Kind == history.MopSend {
			mop.Offset = history.Number{}
			m.again = append(m.again, mop)
		}
	}
}

// blurred leaves out, at times, the offsets of what was polled or sent.
func (m *model) blurred(e history.Event) history.Event {
	if !m.cfg.Odd || m.rng.IntN(8) > 0 {
		return e
	}
	mops := slices.Clone(e.Mops)
	for i := range mops {
		if mops[i].Kind == history.MopSend {
			mops[i].Offset = history.Number{}
		}
		mops[i].Records = slices.Clone(mops[i].Records)
		for j := range mops[i].Records {
			mops[i].Records[j].Offset = history.Number{}
		}
	}
	e.Mops = mops
	return e
}

// leave decides what becomes of an operation whose client is gone: it happens
// later, or not at all.
func (m *model) leave(op *modelOp) {
	switch {
	case op.txn != nil && m.rng.IntN(2) == 0:
		m.finish(op, stateAborted)
	case op.txn != nil:
		for op.effect < len(op.mops) && op.mops[op.effect].Kind == history.MopSend {
			m.append(&op.mops[op.effect], op.txn)
			op.effect++
		}
		if op.effect < len(op.mops) { // it never came to its end
			m.finish(op, stateAborted)
			return
		}
		m.late = append(m.late, func() { m.finish(op, stateCommitted) })
	case op.f == history.Send || op.f == history.Commit || op.f == history.DeleteRecords:
		rest := slices.Clone(op.mops[op.effect:])
		if m.rng.IntN(2) == 0 {
			m.late = append(m.late, func() {
				for j := range rest {
					m.change(&rest[j], op)
				}
			})
			return
		}
		m.mayResend(rest)
		if op.f == history.Send && m.cfg.Odd {
			for _, mop := range op.mops[:op.effect] {
				mop.Offset = history.Number{}
				m.landed = append(m.landed, mop)
			}
		}
	}
}

func (m *model) replace(i int) {
	m.clients[i] = m.client()
	for k, owner := range m.owner {
		if m.cfg.Group && owner == i {
			m.clients[i].position[k], m.clients[i].committed[k] = m.group[k], m.group[k]
		}
	}
}

// drain lets everything end and reads all logs to their ends.
func (m *model) drain() {
	for i, c := range m.clients {
		if c.op != nil {
			for c.op.effect < len(c.op.mops) {
				m.takeEffect(c)
			}
			m.end(i, c)
		}
	}
	for _, effect := range m.late {
		effect()
	}
	m.late = nil
	m.cfg.Group, m.cfg.Reset = false, false
	c := m.client()
	e := history.Event{Process: c.process, F: history.Assign, Time: m.now, SeekToBeginning: true}
	for k := range m.cfg.Keys {
		c.assigned[k], c.position[k] = true, m.logs[k].start
		e.Keys = append(e.Keys, m.key(k))
	}
	m.rec.Invoke(e)
	e.Type = history.OK
	m.rec.Complete(e)
	for k := range m.cfg.Keys {
		for c.position[k] < int64(len(m.logs[k].entries)) {
			m.now += time.Millisecond
			mop := history.Mop{Kind: history.MopPoll}
			m.rec.Invoke(history.Event{Process: c.process, F: history.Poll, Time: m.now, Mops: []history.Mop{mop}})
			m.poll(c, k, &mop, 10*m.cfg.MaxPoll)
			m.rec.Complete(history.Event{Type: history.OK, Process: c.process, F: history.Poll, Time: m.now, Mops: []history.Mop{mop}})
		}
	}
}
