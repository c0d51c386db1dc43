package checkers

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ktrial/ktrial/checkers/history"
)

// pipelineModel is a group of which each member reads, writes and commits in
// transactions, on a cluster that keeps every promise: what they record is a legal
// history. Clients are told of a decision before its markers are written, one partition
// after the other; members are killed at their commits, time out, sleep inside a
// transaction until another one has their transactional id, and wake up; offsets are
// pending until their marker comes, and new owners wait for them.
type pipelineModel struct {
	rng     *rand.Rand
	cfg     pipelineConfig
	rec     *history.Recorder
	now     time.Duration
	process int64
	value   int64
	pid     int64

	logs       []pipelineLog // inputs, then outputs
	committed  []int64       // of the inputs; -1: none
	pending    []*pipelineTxn
	generation int64
	members    []*pipelineMember
	owners     []int // slot by input; -1: nobody
	ids        []*transactionalID
	readers    []*pipelineReader
	late       []func()
}

type pipelineConfig struct {
	Inputs, Outputs, Members, Ops          int
	Uncommitted                            bool // readers see what is not committed; members do not
	TellGeneration, TellListener, TellIDs  bool
	TellOffsets, TellSends, TellInputs, V2 bool
	// Rules: each output names its input, and in each transaction their amounts add up to nothing; readers say that
	// they begin at the start.
	Rules bool
	// AskAll: a member polls before its transaction begins, which then names all that it
	// will send and commit.
	AskAll bool
}

type pipelineLog struct{ entries []pipelineEntry }

// pipelineEntry is a record, or a marker if it has no value.
type pipelineEntry struct {
	value int64
	txn   *pipelineTxn // nil: it is of no transaction
	told  history.Attributes
}

type pipelineTxn struct {
	state   int
	in      []int         // partitions without a marker yet
	offsets map[int]int64 // that it commits
	staged  bool          // the group's coordinator has taken them
}

// transactionalID is what the coordinator knows of one.
type transactionalID struct {
	pid, epoch int64
	open, last *pipelineTxn
}

type pipelineMember struct {
	slot       int
	process    int64
	pid, epoch int64
	granted    bool
	generation int64
	member     bool
	asleep     bool
	at         map[int]int64 // next offset of what it owns; -1: it has to ask
	before     map[int]int64 // when its transaction began
	op         *pipelineOp
}

// pipelineOp is a transaction under way.
type pipelineOp struct {
	txn        *pipelineTxn
	polls      history.Mop
	sends      []history.Mop
	todo       []history.Mop // that are to be sent
	asked      bool          // its invocation is told
	step       int
	pid, epoch int64
	generation int64
}

type pipelineReader struct {
	process int64
	at      []int64
}

func newPipelineModel(seed uint64, cfg pipelineConfig) *pipelineModel {
	m := &pipelineModel{rng: rand.New(rand.NewPCG(seed, 19)), cfg: cfg, rec: history.NewRecorder(), pid: 100}
	m.logs = make([]pipelineLog, cfg.Inputs+cfg.Outputs)
	m.committed, m.owners = slices.Repeat([]int64{-1}, cfg.Inputs), slices.Repeat([]int{-1}, cfg.Inputs)
	for slot := range cfg.Members {
		m.ids = append(m.ids, &transactionalID{})
		m.members = append(m.members, m.newMember(slot))
	}
	for range 2 {
		m.process++
		m.readers = append(m.readers, &pipelineReader{m.process - 1, make([]int64, len(m.logs))})
		m.assign(m.process - 1)
	}
	return m
}

// assign: a reader begins all partitions at their starts.
func (m *pipelineModel) assign(process int64) {
	if !m.cfg.Rules {
		return
	}
	e := history.Event{Process: process, F: history.Assign, SeekToBeginning: true}
	for k := range m.logs {
		e.Keys = append(e.Keys, m.key(k))
	}
	m.rec.Invoke(e)
	e.Type = history.OK
	m.rec.Complete(e)
}

func (m *pipelineModel) newMember(slot int) *pipelineMember {
	m.process++
	return &pipelineMember{slot: slot, process: m.process - 1, at: map[int]int64{}}
}

func (m *pipelineModel) yes(oneIn int) bool { return m.rng.IntN(oneIn) == 0 }

func (m *pipelineModel) key(k int) history.Value {
	if k < m.cfg.Inputs {
		return partitionOf(k)
	}
	return history.Partition("bills", int32(k-m.cfg.Inputs))
}

func (m *pipelineModel) run() *history.History {
	for m.rec.History().Len() < m.cfg.Ops {
		m.now += time.Millisecond
		if len(m.late) > 0 && m.yes(4) {
			m.takeEffect()
		}
		switch c := m.members[m.rng.IntN(len(m.members))]; m.rng.IntN(16) {
		case 0, 1:
			m.produce()
		case 2:
			if m.cfg.TellOffsets {
				m.ask()
			}
		case 3:
			m.rebalance()
		case 4:
			m.upset(c)
		case 5, 6:
			m.read(m.readers[m.rng.IntN(len(m.readers))])
		default:
			m.act(c)
		}
	}
	if m.yes(2) {
		m.drain()
	}
	return m.rec.History()
}

// takeEffect lets the next of what is late happen.
func (m *pipelineModel) takeEffect() {
	effect := m.late[0]
	m.late = m.late[1:]
	effect()
}

// produce appends to an input, outside of all transactions.
func (m *pipelineModel) produce() {
	m.value++
	k := m.rng.IntN(m.cfg.Inputs)
	e := history.Event{Process: 1000, F: history.Send, Time: m.now, Mops: []history.Mop{{Kind: history.MopSend, Key: m.key(k), Value: history.Int(m.value)}}}
	m.rec.Invoke(e)
	e.Type, e.Mops[0].Offset = history.OK, history.At(m.append(k, m.value, nil))
	m.rec.Complete(e)
}

func (m *pipelineModel) append(k int, value int64, txn *pipelineTxn) int64 {
	l := &m.logs[k]
	l.entries = append(l.entries, pipelineEntry{value: value, txn: txn})
	if txn != nil && !slices.Contains(txn.in, k) {
		txn.in = append(txn.in, k)
	}
	return int64(len(l.entries)) - 1
}

// stable is the last stable offset.
func (m *pipelineModel) stable(k int) int64 {
	for i, e := range m.logs[k].entries {
		if e.txn != nil && e.value != 0 && slices.Contains(e.txn.in, k) {
			return int64(i)
		}
	}
	return int64(len(m.logs[k].entries))
}

// fetch reads from a position; it returns the next one.
func (m *pipelineModel) fetch(k int, from int64, uncommitted bool, mop *history.Mop) int64 {
	end := m.stable(k)
	if uncommitted {
		end = int64(len(m.logs[k].entries))
	}
	for from < end && !m.yes(5) {
		e := m.logs[k].entries[from]
		if e.value != 0 && (uncommitted || e.txn == nil || e.txn.state == stateCommitted) {
			mop.Records = append(mop.Records, history.Record{Key: m.key(k), Offset: history.At(from), Value: history.Int(e.value), Attributes: e.told})
		}
		from++
	}
	return from
}

// ask reads a committed offset; while one is pending it is refused.
func (m *pipelineModel) ask() {
	k := m.rng.IntN(m.cfg.Inputs)
	e := history.Event{Process: 2000, F: history.Committed, Time: m.now, Group: "g", Mops: []history.Mop{{Kind: history.MopCommitted, Key: m.key(k)}}}
	m.rec.Invoke(e)
	if e.Type, e.Error = history.Failed, "UNSTABLE_OFFSET_COMMIT"; !m.isPending(k) {
		e.Type, e.Error, e.Mops[0].Offset = history.OK, "", history.At(m.committed[k])
	}
	m.rec.Complete(e)
}

func (m *pipelineModel) isPending(k int) bool {
	return slices.ContainsFunc(m.pending, func(t *pipelineTxn) bool {
		_, staged := t.offsets[k]
		return staged
	})
}

// decide ends a transaction. Its markers come later.
func (m *pipelineModel) decide(id *transactionalID, txn *pipelineTxn, state int) {
	if txn.state != stateOpen {
		return
	}
	txn.state = state
	if id.open == txn {
		id.open, id.last = nil, txn
	}
	for _, k := range slices.Clone(txn.in) {
		m.late = append(m.late, func() { m.mark(txn, k) })
	}
	m.late = append(m.late, func() { m.markOffsets(txn) })
	m.rng.Shuffle(len(m.late), func(i, j int) { m.late[i], m.late[j] = m.late[j], m.late[i] })
}

func (m *pipelineModel) mark(txn *pipelineTxn, k int) {
	if i := slices.Index(txn.in, k); i >= 0 {
		txn.in = slices.Delete(txn.in, i, i+1)
		m.logs[k].entries = append(m.logs[k].entries, pipelineEntry{})
	}
}

func (m *pipelineModel) markOffsets(txn *pipelineTxn) {
	i := slices.Index(m.pending, txn)
	if i < 0 {
		return
	}
	m.pending = slices.Delete(m.pending, i, i+1)
	if txn.state == stateCommitted {
		for k, offset := range txn.offsets {
			m.committed[k] = offset
		}
	}
}

// settle writes all markers of a transaction.
func (m *pipelineModel) settle(txn *pipelineTxn) {
	for _, k := range slices.Clone(txn.in) {
		m.mark(txn, k)
	}
	m.markOffsets(txn)
}

func (m *pipelineModel) event(c *pipelineMember, f history.F) history.Event {
	e := history.Event{Process: c.process, F: f, Time: m.now, Group: "g"}
	if m.cfg.TellGeneration {
		e.Generation = c.generation
	}
	return e
}

func (m *pipelineModel) tell(c *pipelineMember, f history.F, partitions []int) {
	if !m.cfg.TellListener {
		return
	}
	e := m.event(c, f)
	e.Type = history.OK
	slices.Sort(partitions)
	for _, k := range partitions {
		e.Keys = append(e.Keys, m.key(k))
	}
	m.rec.Complete(e)
}

// rebalance completes a generation. Members inside a transaction come too late for it.
func (m *pipelineModel) rebalance() {
	var live []*pipelineMember
	for _, c := range m.members {
		if c.op != nil && !c.asleep && m.yes(2) {
			return
		}
	}
	m.generation++
	for _, c := range m.members {
		takesPart := !c.asleep && c.op == nil
		if takesPart && !c.member {
			m.lose(c)
		}
		if c.member = takesPart; takesPart {
			live = append(live, c)
		}
	}
	for _, c := range live {
		if gone := owned(c); len(gone) > 0 {
			m.tell(c, history.Revoked, gone)
			clear(c.at)
		}
	}
	for k := range m.owners {
		if m.owners[k] = -1; len(live) > 0 {
			m.owners[k] = live[m.rng.IntN(len(live))].slot
		}
	}
	for _, c := range live {
		c.generation = m.generation
		var news []int
		for k, slot := range m.owners {
			if slot == c.slot {
				news = append(news, k)
				c.at[k] = -1
			}
		}
		m.tell(c, history.Assigned, news)
	}
}

func owned(c *pipelineMember) (all []int) {
	for k := range c.at {
		all = append(all, k)
	}
	return all
}

// lose: a member that was replaced learns it.
func (m *pipelineModel) lose(c *pipelineMember) {
	if gone := owned(c); len(gone) > 0 {
		m.tell(c, history.Lost, gone)
	}
	clear(c.at)
}

// upset puts a member to sleep, or wakes it, or starts another one in its place, which
// takes its transactional id.
func (m *pipelineModel) upset(c *pipelineMember) {
	switch {
	case c.asleep:
		c.asleep = false
	case m.yes(2):
		c.asleep = true
	default:
		m.kill(c)
	}
}

// kill throws a member away: what it had under way is never told, but once in a while it
// lives on as a zombie.
func (m *pipelineModel) kill(c *pipelineMember) {
	if c.op == nil || !c.op.asked {
		m.rec.Invoke(m.event(c, history.Poll)) // something was under way
	} else if m.yes(2) {
		m.late = append(m.late, func() { m.endZombie(c) })
	} else {
		op := c.op
		if !m.yes(4) { // else nothing more is told of it
			m.complete(c, history.Unknown)
		}
		if op.step == 3 && m.yes(2) { // its EndTxn was under way
			m.late = append(m.late, func() { m.commitLate(c.slot, op) })
		}
	}
	m.members[c.slot] = m.newMember(c.slot)
	for k, slot := range m.owners {
		if slot == c.slot {
			m.owners[k] = -1
		}
	}
}

func (m *pipelineModel) commitLate(slot int, op *pipelineOp) {
	if id := m.ids[slot]; id.pid == op.pid && id.epoch == op.epoch && id.open == op.txn {
		m.endTxn(id, op.txn, stateCommitted)
	}
}

// endTxn decides, and takes the next epoch where each transaction has its own.
func (m *pipelineModel) endTxn(id *transactionalID, txn *pipelineTxn, state int) {
	m.decide(id, txn, state)
	if m.cfg.V2 {
		id.epoch++
	}
}

// endZombie: one that was replaced wakes inside its transaction and tries to commit.
func (m *pipelineModel) endZombie(c *pipelineMember) {
	if c.op == nil {
		return
	}
	id, op := m.ids[c.slot], c.op
	if id.pid == op.pid && id.epoch == op.epoch && id.open == op.txn && op.step == 3 {
		m.endTxn(id, op.txn, stateCommitted)
		m.complete(c, history.OK)
		return
	}
	m.complete(c, history.Failed)
}

// act lets a member do the next thing.
func (m *pipelineModel) act(c *pipelineMember) {
	switch {
	case c.asleep:
	case !c.granted:
		m.initProducer(c)
	case c.op == nil:
		m.begin(c)
	case c.op.step == 0:
		m.poll(c)
	case c.op.step == 1:
		m.send(c)
	case c.op.step == 2:
		m.stage(c)
	default:
		m.end(c)
	}
}

// initProducer ends what the one before it had open, and takes the next epoch.
func (m *pipelineModel) initProducer(c *pipelineMember) {
	id := m.ids[c.slot]
	e := history.Event{Process: c.process, F: history.InitProducer, Time: m.now, Transaction: m.name(c.slot)}
	m.rec.Invoke(e)
	if open := id.open; open != nil {
		m.decide(id, open, stateAborted)
		m.settle(open)
	}
	const exhausted = 5
	if id.epoch++; id.pid == 0 || id.epoch >= exhausted {
		m.pid++
		id.pid, id.epoch = m.pid, 0
	}
	c.pid, c.epoch, c.granted = id.pid, id.epoch, true
	e.Type = history.OK
	if m.cfg.TellIDs {
		e.Producer, e.ProducerEpoch = c.pid, c.epoch
	}
	m.rec.Complete(e)
}

func (m *pipelineModel) name(slot int) string {
	if !m.cfg.TellIDs {
		return ""
	}
	return "till-" + string(rune('0'+slot))
}

// begin waits until the markers of the transaction before are written, as producers do
// that are told CONCURRENT_TRANSACTIONS.
func (m *pipelineModel) begin(c *pipelineMember) {
	id := m.ids[c.slot]
	if id.last != nil && (len(id.last.in) > 0 || slices.Contains(m.pending, id.last)) {
		return
	}
	c.op = &pipelineOp{txn: &pipelineTxn{offsets: map[int]int64{}}, polls: history.Mop{Kind: history.MopPoll}, pid: c.pid, epoch: c.epoch, generation: c.generation}
	if c.before = map[int]int64{}; id.pid == c.pid && id.epoch == c.epoch {
		id.open = c.op.txn
	}
	if !m.cfg.AskAll {
		m.invoke(c)
	}
}

// invoke tells that the transaction begins.
func (m *pipelineModel) invoke(c *pipelineMember) {
	e := m.txnEvent(c)
	e.Mops = []history.Mop{{Kind: history.MopPoll}}
	if m.cfg.AskAll {
		e.Mops = append(append(e.Mops, c.op.todo...), m.commits(c.op)...)
	}
	c.op.asked = true
	m.rec.Invoke(e)
}

func (m *pipelineModel) commits(op *pipelineOp) (mops []history.Mop) {
	for k := range m.cfg.Inputs {
		if offset, commits := op.txn.offsets[k]; commits && m.cfg.TellOffsets {
			mops = append(mops, history.Mop{Kind: history.MopCommit, Key: m.key(k), Offset: history.At(offset)})
		}
	}
	return mops
}

func (m *pipelineModel) txnEvent(c *pipelineMember) history.Event {
	e := m.event(c, history.Txn)
	if m.cfg.TellGeneration {
		e.Generation = c.op.generation
	}
	if m.cfg.TellIDs {
		e.Transaction, e.Producer, e.ProducerEpoch = m.name(c.slot), c.op.pid, c.op.epoch
	}
	return e
}

// poll gives the member what comes next of its partitions, once nothing of their
// committed offsets is pending.
func (m *pipelineModel) poll(c *pipelineMember) {
	for k := range m.cfg.Inputs {
		at, owns := c.at[k]
		if !owns || at < 0 && m.isPending(k) {
			continue
		}
		if at < 0 {
			at = max(0, m.committed[k])
		}
		c.before[k] = at
		from := len(c.op.polls.Records)
		c.at[k] = m.fetch(k, at, false, &c.op.polls)
		for _, r := range c.op.polls.Records[from:] {
			v, _ := r.Value.IsInt()
			to := m.cfg.Inputs + m.rng.IntN(m.cfg.Outputs)
			mop := history.Mop{Kind: history.MopSend, Key: m.key(to), Value: history.Int(1_000_000*(1+m.rng.Int64N(1_000_000)) + v)}
			if m.cfg.Rules {
				mop.RecordKey = history.Text(r.Value.String())
			}
			c.op.todo = append(c.op.todo, mop)
		}
		c.op.txn.offsets[k] = c.at[k]
	}
	if m.cfg.Rules {
		balanced(m.rng, c.op.todo)
	}
	if c.op.step++; m.cfg.AskAll {
		m.invoke(c)
	}
}

// send writes an output, if the producer is not fenced.
func (m *pipelineModel) send(c *pipelineMember) {
	op := c.op
	if len(op.todo) == 0 {
		op.step++
		return
	}
	if m.ids[c.slot].open != op.txn {
		m.fail(c)
		return
	}
	mop := op.todo[0]
	value, _ := mop.Value.IsInt()
	k := m.numberOf(mop.Key)
	at := m.append(k, value, op.txn)
	m.logs[k].entries[at].told = mop.Attributes
	if m.cfg.TellSends {
		mop.Offset = history.At(at)
	}
	op.sends, op.todo = append(op.sends, mop), op.todo[1:]
}

func (m *pipelineModel) numberOf(key history.Value) (k int) {
	for m.key(k) != key {
		k++
	}
	return k
}

// stage hands the offsets to the group, which refuses those of an old generation.
func (m *pipelineModel) stage(c *pipelineMember) {
	op := c.op
	if m.ids[c.slot].open != op.txn || !c.member || op.generation != m.generation {
		m.fail(c)
		return
	}
	op.txn.staged = true
	m.pending = append(m.pending, op.txn)
	op.step++
}

func (m *pipelineModel) fail(c *pipelineMember) {
	id, op := m.ids[c.slot], c.op
	if id.open == op.txn {
		m.endTxn(id, op.txn, stateAborted)
		c.epoch = id.epoch
	}
	m.complete(c, history.Failed)
}

func (m *pipelineModel) end(c *pipelineMember) {
	id, op := m.ids[c.slot], c.op
	switch luck := m.rng.IntN(8); {
	case id.open != op.txn:
		m.complete(c, history.Failed)
	case luck == 0:
		m.fail(c)
	case luck == 1: // the answer is lost, and its client killed
		switch m.rng.IntN(3) {
		case 0:
			m.endTxn(id, op.txn, stateCommitted)
		case 1:
			m.late = append(m.late, func() { m.commitLate(c.slot, op) })
		default:
			m.late = append(m.late, func() { m.decide(id, op.txn, stateAborted) }) // in time
		}
		m.complete(c, history.Unknown)
		m.kill(c)
	default:
		m.endTxn(id, op.txn, stateCommitted)
		c.epoch = id.epoch
		m.complete(c, history.OK)
	}
}

// complete tells how a transaction ended. After one that failed its member goes back to
// where it was, or is a new producer.
func (m *pipelineModel) complete(c *pipelineMember, outcome history.Type) {
	op := c.op
	e := m.txnEvent(c)
	e.Type = outcome
	e.Mops = append([]history.Mop{op.polls}, op.sends...)
	if op.step >= 2 || outcome == history.OK || m.cfg.AskAll {
		e.Mops = append(e.Mops, m.commits(op)...)
	}
	if m.cfg.TellInputs {
		for _, r := range op.polls.Records {
			e.Mops = append(e.Mops, history.Mop{Kind: history.MopProcessed, Key: r.Key, Offset: r.Offset})
		}
	}
	if op.asked {
		m.rec.Complete(e)
	}
	c.op = nil
	if outcome != history.Failed {
		return
	}
	if id := m.ids[c.slot]; id.pid != c.pid || id.epoch != c.epoch { // fenced for good
		m.members[c.slot] = m.newMemberFor(c)
		return
	}
	if !c.member {
		m.lose(c)
		return
	}
	for k := range c.at {
		if at, moved := c.before[k]; moved {
			c.at[k] = at
		}
	}
}

// newMemberFor replaces a member that was fenced, if another one did not already.
func (m *pipelineModel) newMemberFor(c *pipelineMember) *pipelineMember {
	if now := m.members[c.slot]; now != c {
		return now
	}
	for k, slot := range m.owners {
		if slot == c.slot {
			m.owners[k] = -1
		}
	}
	return m.newMember(c.slot)
}

// read lets a reader outside of the group poll all partitions.
func (m *pipelineModel) read(r *pipelineReader) {
	mop := history.Mop{Kind: history.MopPoll}
	e := history.Event{Process: r.process, F: history.Poll, Time: m.now, Mops: []history.Mop{mop}}
	m.rec.Invoke(e)
	for k := range m.logs {
		if !m.yes(3) {
			r.at[k] = m.fetch(k, r.at[k], m.cfg.Uncommitted, &mop)
		}
	}
	e.Type, e.Mops = history.OK, []history.Mop{mop}
	m.rec.Complete(e)
}

// drain lets everything end and reads all logs to their ends.
func (m *pipelineModel) drain() {
	for slot, c := range m.members {
		if c.op != nil {
			m.complete(c, history.Unknown)
		}
		if id := m.ids[slot]; id.open != nil {
			m.decide(id, id.open, stateAborted)
		}
	}
	for len(m.late) > 0 {
		m.takeEffect()
	}
	note := history.Event{Actor: "auditor", F: history.Log, Type: history.Unknown}
	r := m.readers[0]
	for k := range m.logs {
		for r.at[k] < int64(len(m.logs[k].entries)) {
			m.now += time.Millisecond
			m.read(r)
		}
		end := history.At(int64(len(m.logs[k].entries)))
		for _, kind := range []history.MopKind{history.MopEnd, history.MopStable, history.MopPosition} {
			note.Mops = append(note.Mops, history.Mop{Kind: kind, Key: m.key(k), Offset: end})
		}
	}
	note.Time = m.now
	m.rec.Note(note)
}

func pipelineHistory(seed int) (*history.History, pipelineConfig, Options) {
	rng := rand.New(rand.NewPCG(uint64(seed), 23))
	yes := func() bool { return rng.IntN(2) == 0 }
	cfg := pipelineConfig{Inputs: 1 + rng.IntN(3), Outputs: 1 + rng.IntN(3), Members: 1 + rng.IntN(3), Ops: 20 + rng.IntN(150), Uncommitted: rng.IntN(4) == 0,
		TellGeneration: yes(), TellListener: yes(), TellIDs: yes(), TellOffsets: yes(), TellSends: yes(), TellInputs: yes(), V2: yes(), AskAll: yes()}
	var o Options
	_ = o.Expect.Set("subscribe", "true")
	_ = o.Expect.Set("empty-polls", "unknown")
	if cfg.Uncommitted {
		_ = o.Expect.Set("isolation", "read_uncommitted")
	}
	if cfg.TellInputs {
		_ = o.Expect.Set("processing", "exactly-once")
	}
	h := newPipelineModel(uint64(seed), cfg).run()
	if yes() {
		_ = o.Expect.Set("from-the-start", "true")
		return h, cfg, o
	}
	return partOf(h, rng), cfg, o
}

// A legal history of transactions that process exactly once, whole or cut at either end,
// raises no alarm, neither at the end nor on the way.
func TestNoFalseAlarmOfPipelines(t *testing.T) {
	n := 1000
	if *long {
		n = 100_000
	}
	cut := []int{39725} // what a poll was given was sent before the history began, which only its end shows
	for seed := range n + len(cut) {
		if seed >= n {
			seed = cut[seed-n]
		}
		h, cfg, o := pipelineHistory(seed)
		j := Judge(h, o)
		if !assert.NotEqual(t, Violated, j.Verdict, "seed %d: %+v: %s", seed, cfg, j) {
			return
		}
		events := eventsOf(h)
		if seed%2 == 0 {
			tellSendsLate(events)
		}
		if found := watched(events, o.Expect).First; !assert.Nil(t, found, "seed %d", seed) {
			return
		}
	}
}

// tellSendsLate: clients tell what their transactions send when those are over.
func tellSendsLate(events []history.Event) {
	for i := range events {
		if e := &events[i]; e.F == history.Txn && e.Type == history.Invoke {
			e.Mops = slices.DeleteFunc(e.Mops, func(m history.Mop) bool { return m.Kind != history.MopPoll })
		}
	}
}
