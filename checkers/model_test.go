package checkers

import (
	"math/rand/v2"
	"time"

	"github.com/ktrial/ktrial/checkers/history"
)

// model is a small cluster that keeps every promise, and clients that use it:
// what it records is a legal history. Appends take effect between invocation
// and completion; transactions abort, crash and commit late; consumers are
// assigned anew, fail and rewind; a client whose outcome is unknown goes on as
// another process.
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
	epoch   int64
}

type modelConfig struct {
	Ops, Clients, Keys int
	Txn, Group         bool
	Uncommitted        bool // consumers read what is not committed
	NoDrain            bool
	MaxPoll            int
}

const (
	stateOpen = iota
	stateCommitted
	stateAborted
)

type modelEntry struct {
	value int64
	txn   *modelTxn // nil: committed at once
}

type modelTxn struct{ state int }

// modelLog: an offset without an entry is a marker.
type modelLog struct {
	entries []modelEntry
}

type modelClient struct {
	process   int64
	assigned  []bool
	position  []int64 // next offset
	committed []int64 // positions when the last operation succeeded
	op        *modelOp
	seed      []int64
}

type modelOp struct {
	f      history.F
	mops   []history.Mop
	effect int // how many mops took effect
	txn    *modelTxn
	spare  *modelOp
}

func newModel(seed uint64, cfg modelConfig) *model {
	if cfg.MaxPoll == 0 {
		cfg.MaxPoll = 5
	}
	m := &model{rng: rand.New(rand.NewPCG(seed, 7)), cfg: cfg, rec: history.NewRecorder()}
	m.logs = make([]modelLog, cfg.Keys)
	m.group, m.owner = make([]int64, cfg.Keys), make([]int, cfg.Keys)
	for range cfg.Clients {
		m.clients = append(m.clients, m.client())
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
	m.next++
	return history.Mop{Kind: history.MopSend, Key: m.key(m.rng.IntN(m.cfg.Keys)), Value: history.Int(m.next), Offset: history.NoOffset}
}

func (m *model) begin(i int, c *modelClient) {
	op := &modelOp{}
	switch n := m.rng.IntN(20); {
	case n == 0:
		m.assign(i, c)
		return
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
	if m.cfg.Txn && op.f != history.Poll {
		op.txn = &modelTxn{}
	}
	c.op = op
	m.rec.Invoke(history.Event{Process: c.process, F: op.f, Time: m.now, Mops: op.mops})
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
				c.position[k], c.committed[k] = 0, 0
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
	if mop.Kind == history.MopSend {
		m.append(mop, c.op.txn)
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
		if c.assigned[k] && (!m.cfg.Group || m.owner[k] == me) && m.rng.IntN(3) > 0 {
			m.poll(c, k, mop, room)
		}
	}
}

func (m *model) append(mop *history.Mop, txn *modelTxn) {
	k, _ := mop.Key.IsInt()
	v, _ := mop.Value.IsInt()
	l := &m.logs[k]
	mop.Offset = int64(len(l.entries))
	l.entries = append(l.entries, modelEntry{v, txn})
}

// poll reads from the position up to the first open transaction; aborted
// records and markers are passed over.
func (m *model) poll(c *modelClient, k int, mop *history.Mop, room int) {
	l := &m.logs[k]
	for c.position[k] < int64(len(l.entries)) && room > 0 {
		e := l.entries[c.position[k]]
		if !m.cfg.Uncommitted && e.txn != nil && e.txn.state == stateOpen {
			return
		}
		if e.value != 0 && (m.cfg.Uncommitted || e.txn == nil || e.txn.state == stateCommitted) {
			mop.Records = append(mop.Records, history.Record{Key: m.key(k), Offset: c.position[k], Value: history.Int(e.value)})
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
	e := history.Event{Process: c.process, F: op.f, Time: m.now, Mops: op.mops}
	switch luck := m.rng.IntN(20); {
	case luck == 0 && op.effect < len(op.mops) && op.txn == nil && op.f == history.Send && op.effect == 0,
		luck < 3 && op.txn != nil:
		e.Type = history.Failed
		m.finish(op, stateAborted)
		copy(c.position, c.committed)
	case luck == 3:
		e.Type = history.Unknown
		m.leave(op)
		if m.rng.IntN(2) == 0 { // the client never learned the offsets
			for j := range e.Mops {
				e.Mops[j].Offset = history.NoOffset
			}
		}
	default:
		for op.effect < len(op.mops) {
			m.takeEffect(c)
		}
		e.Type = history.OK
		m.finish(op, stateCommitted)
		copy(c.committed, c.position)
		if m.cfg.Group {
			for k, owner := range m.owner {
				if owner == i {
					m.group[k] = c.position[k]
				}
			}
		}
	}
	m.rec.Complete(e)
	c.op = nil
	if e.Type == history.Unknown {
		m.replace(i)
	}
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
	case op.f == history.Send && op.effect < len(op.mops) && m.rng.IntN(2) == 0:
		rest := append([]history.Mop(nil), op.mops[op.effect:]...)
		m.late = append(m.late, func() {
			for j := range rest {
				m.append(&rest[j], nil)
			}
		})
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
	m.cfg.Group = false
	c := m.client()
	e := history.Event{Process: c.process, F: history.Assign, Time: m.now, SeekToBeginning: true}
	for k := range m.cfg.Keys {
		c.assigned[k] = true
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
