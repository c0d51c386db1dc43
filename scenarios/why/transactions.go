package why

import (
	"iter"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/workloads"
)

// transactions is what the events say of transactions, in their order: what their
// coordinators decide, which markers partitions have, what is appended and read.
type transactions struct {
	moves    []txnMove
	written  []txnMarker
	refused  []txnMarker
	heard    []txnMarker // coordinators were told that partitions have them
	queued   []txnMarker // coordinators began to send them
	timeouts []txnEvent
	fenced   []txnEvent
	batches  []txnBatch // of transactions, that leaders appended
	stable   []stability
	served   []answeredRead
	ops      []*txnOp
	pending  []pendingOffset
	decided  []pendingOffset
	resets   []offsetReset
	removed  []removedOffset
	states   []groupIn
	deleted  []topicDeleted
	clocks   []clockStep
	owners   []ownership
	lives    []life
	loads    []shard     // of the topic of transactional ids
	offsets  []shardStep // of the topic of groups
	reading

	begun []txnEvent // by their producers
	asked []txnEvent // for the end, by their producers
	ended []txnEvent // what they are told to go on with

	leads map[replicaOn]bool
	cuts  []logCut
	led   map[string]string // host that began to lead last, by partition
	since []ledSince
	marks map[logOn]int // the last of stable, by log
	hosts map[kafka.NodeID]string
	open  map[int64]*txnOp // by process
}

type (
	replicaOn struct {
		partition string
		node      kafka.NodeID
	}
	logOn struct{ partition, host string }
	// ledSince: a host began to lead a partition.
	ledSince struct {
		moment
		logOn
	}
	// shardStep: a broker begins to load a partition of a coordinators' topic, has loaded it, or
	// gives it up.
	shardStep struct {
		shard
		loading bool
	}
	// txnMove: a transactional id is in another state.
	txnMove struct {
		moment
		host string
		witness.TxnState
	}
	// txnMarker: a marker is appended to a partition, or refused there.
	txnMarker struct {
		moment
		host, id, partition string
		producer            kafka.ProducerID
		epoch               kafka.ProducerEpoch
		coordinator         int32
		commit              bool
		next                kafka.ProducerID // of one that is queued: that its id goes on with
		at                  kafka.Offset     // of one that is appended
		err                 string           // of one that is refused
	}
	txnEvent struct {
		moment
		host, id, text string
		producer       kafka.ProducerID
		epoch          kafka.ProducerEpoch
	}
	txnBatch struct {
		moment
		host, partition string
		witness.Batch
	}
	// stability: what readers of committed records are shown ends at to.
	stability struct {
		moment
		host, partition string
		to, hw          kafka.Offset
	}
	// answeredRead: a consumer is given a batch.
	answeredRead struct {
		moment
		host, partition string
		from, end       kafka.Offset
		epoch           kafka.LeaderEpoch
		committed       bool // it asks for what is committed only
	}
	// txnOp is an operation of a client.
	txnOp struct {
		from, to moment // to is zero: it never ended
		client   string
		process  int64
		f        string
		op, done int64
		outcome  string
		err      string
		sends    []sentRecord
		polls    []polledRun
		commits  []polledRun // first is the offset
		told     []polledRun // committed offsets that were asked for; first is the offset
	}
	sentRecord struct {
		partition, value string
		offset           int64
		epoch            int32
	}
	polledRun struct {
		partition   string
		first, last int64
		epoch       int32
	}
	// pendingOffset: a transaction is to commit an offset, or that is decided.
	pendingOffset struct {
		moment
		host, group, partition string
		offset                 kafka.Offset
		producer               kafka.ProducerID
		epoch                  kafka.ProducerEpoch
		generation             int32
		member                 string
		commit, kept           bool
		plain                  bool // of no transaction
		decided                bool // its marker is there
	}
	// ownership: a member owns a partition from now on, or no longer.
	ownership struct {
		moment
		host, group, member, partition string
		generation                     int32
		owns                           bool
	}
	// offsetReset: a member was told of no committed offset.
	offsetReset struct {
		moment
		host, group, partition, policy string
	}
	// removedOffset: a coordinator has removed a committed offset.
	removedOffset struct {
		moment
		host, group, partition string
	}
	// groupIn: a group is in another state, as its coordinator tells.
	groupIn struct {
		moment
		group, state string
		generation   int32
	}
	topicDeleted struct {
		moment
		topic string
	}
	// logCut: a replica's log ends at to from now on.
	logCut struct {
		moment
		logOn
		to kafka.Offset
	}
	clockStep struct {
		moment
		host, text string
	}
)

// transactionsOf reads the events. ofLaw: a law broke, and they end with the event that broke it.
func transactionsOf(events iter.Seq[*ledger.Entry], ofLaw bool) *transactions {
	t := &transactions{leads: map[replicaOn]bool{}, led: map[string]string{}, marks: map[logOn]int{}, hosts: map[kafka.NodeID]string{}, open: map[int64]*txnOp{}}
	t.readAll(events, ofLaw, t.read)
	return t
}

func (t *transactions) read(e *ledger.Entry) {
	now := t.last
	switch x := e.Event.(type) {
	case *witness.TxnState:
		state := *x
		state.Partitions = slices.Clone(x.Partitions)
		t.moves = append(t.moves, txnMove{now, e.Host, state})
	case *witness.MarkerWritten:
		t.written = append(t.written, txnMarker{moment: now, host: e.Host, partition: x.Partition.String(), producer: x.ProducerID, epoch: x.Epoch, coordinator: x.CoordinatorEpoch, commit: x.Commit, at: x.At})
	case *witness.MarkerRefused:
		t.refused = append(t.refused, txnMarker{moment: now, host: e.Host, id: x.TxnID, partition: x.Partition.String(), producer: x.ProducerID, epoch: x.Epoch, coordinator: x.CoordinatorEpoch, err: x.Text})
	case *witness.MarkerAnswered:
		t.heard = append(t.heard, sentMarker(now, e.Host, &x.SentMarker))
	case *witness.MarkerQueued:
		queued := sentMarker(now, e.Host, &x.SentMarker)
		queued.next = x.Next
		t.queued = append(t.queued, queued)
	case *witness.EndAnswered:
		t.ended = append(t.ended, txnEvent{now, e.Host, x.TxnID, x.Sentence(), x.ProducerID, x.Epoch})
	case *witness.EndAsked:
		t.asked = append(t.asked, txnEvent{now, e.Host, x.TxnID, x.Sentence(), x.ProducerID, x.Epoch})
	case *witness.TxnTimedOut:
		t.timeouts = append(t.timeouts, txnEvent{now, e.Host, x.TxnID, x.Sentence(), x.ProducerID, x.Epoch})
	case *witness.TransactionBegun:
		t.begun = append(t.begun, txnEvent{now, e.Host, x.TxnID, x.Sentence(), x.ProducerID, x.Epoch})
	case *witness.TxnFenced:
		t.fenced = append(t.fenced, txnEvent{now, e.Host, x.TxnID, x.Sentence(), x.ProducerID, x.Epoch})
	case *witness.OffsetPending, *witness.OffsetDecided, *witness.OffsetCommitted, *witness.PositionReset, *witness.OffsetsExpired:
		t.readOffset(e)
	case *witness.GroupState:
		t.states = append(t.states, groupIn{now, x.Group, x.To, x.Generation})
	case *witness.TopicDeleted:
		t.deleted = append(t.deleted, topicDeleted{now, x.Topic})
	case *sim.ClockStepped:
		t.clocks = append(t.clocks, clockStep{now, e.Host, x.Sentence()})
	case *witness.ShardLoaded:
		of := shard{now, e.Host, x.Subject(), x.Epoch, true, false, x.Records}
		if x.Shard.Shard.Topic == kafka.TransactionsTopic {
			t.loads = append(t.loads, of)
		} else {
			t.offsets = append(t.offsets, shardStep{of, false})
		}
	case *witness.ShardLoading:
		if x.Shard.Shard.Topic == kafka.OffsetsTopic {
			t.offsets = append(t.offsets, shardStep{shard{now, e.Host, x.Subject(), x.Epoch, false, false, 0}, true})
		}
	case *witness.PartitionsAssigned:
		t.owns(e.Host, x.Membership, x.Added, true)
	case *witness.PartitionsRevoked:
		t.owns(e.Host, x.Membership, x.Partitions, false)
	case *witness.PartitionsLost:
		t.owns(e.Host, x.Membership, x.Partitions, false)
	case *sim.Killed, *sim.PoweredOff, *sim.Exited, *sim.Paused:
		t.lives = append(t.lives, life{now, e.Host, e.Event.Sentence(), true})
	case *workloads.Invoked:
		op := &txnOp{from: now, client: x.Client, process: x.Process, f: x.Function, op: x.Index}
		op.sent(x.Sends)
		t.open[x.Process] = op
		t.ops = append(t.ops, op)
	case *workloads.Completed:
		t.completed(x)
	default:
		t.readReplica(e)
	}
}

func (t *transactions) owns(host string, m *witness.Membership, partitions witness.Partitions, owns bool) {
	for _, tp := range partitions {
		t.owners = append(t.owners, ownership{t.last, host, m.Group, m.Member, tp.String(), m.Generation, owns})
	}
}

// readReplica reads what replicas tell.
func (t *transactions) readReplica(e *ledger.Entry) {
	now := t.last
	switch x := e.Event.(type) {
	case *witness.BecameLeader:
		t.leads[replicaOn{x.Subject(), x.Node}], t.hosts[x.Node], t.led[x.Subject()] = true, e.Host, e.Host
		t.since = append(t.since, ledSince{now, logOn{x.Subject(), e.Host}})
	case *witness.BecameFollower:
		t.leads[replicaOn{x.Subject(), x.Node}], t.hosts[x.Node] = false, e.Host
	case *witness.Opened:
		t.leads[replicaOn{x.Subject(), x.Node}] = false
		delete(t.marks, logOn{x.Subject(), e.Host}) // it tells anew, unless all is stable
	case *witness.Truncated:
		t.cuts = append(t.cuts, logCut{now, logOn{x.Subject(), e.Host}, x.To})
	case *witness.Appended:
		if x.Transactional && t.leads[replicaOn{x.Subject(), x.Node}] {
			t.batches = append(t.batches, txnBatch{now, e.Host, x.Subject(), x.Batch})
		}
	case *witness.LastStableOffsetMoved:
		t.stands(stability{now, e.Host, x.Subject(), x.To, x.HW})
	case *witness.HighWatermarkMoved:
		if i, known := t.marks[logOn{x.Subject(), e.Host}]; known { // what is stable is told only when it moves
			t.stands(stability{now, e.Host, x.Subject(), t.stable[i].to, x.To})
		}
	case *witness.ReadServed:
		t.served = append(t.served, answeredRead{now, e.Host, x.Subject(), x.From, x.End, x.Batch.Epoch, x.Committed})
	}
}

// stands remembers what is stable of a log. A move of its high watermark comes before that of what is
// stable, in the same moment.
func (t *transactions) stands(s stability) {
	log := logOn{s.partition, s.host}
	if i, known := t.marks[log]; known && t.stable[i].at == s.at && t.stable[i].hw == s.hw {
		t.stable[i] = s
		return
	}
	t.marks[log] = len(t.stable)
	t.stable = append(t.stable, s)
}

// readOffset reads what becomes of a group's offsets.
func (t *transactions) readOffset(e *ledger.Entry) {
	p := pendingOffset{moment: t.last, host: e.Host}
	switch x := e.Event.(type) {
	case *witness.OffsetPending:
		p.group, p.partition, p.offset, p.producer, p.epoch = x.Group, x.Partition.String(), x.Offset, x.ProducerID, x.ProducerEpoch
		p.generation, p.member = x.Generation, x.Member
		t.pending = append(t.pending, p)
	case *witness.OffsetDecided:
		p.group, p.partition, p.offset, p.producer, p.commit, p.kept = x.Group, x.Partition.String(), x.Offset, x.ProducerID, x.Commit, x.Kept
		p.decided = true
		t.decided = append(t.decided, p)
	case *witness.OffsetCommitted:
		p.group, p.partition, p.offset, p.generation, p.member, p.commit, p.plain = x.Group, x.Partition.String(), x.Offset, x.Generation, x.Member, true, true
		t.decided = append(t.decided, p)
	case *witness.PositionReset:
		t.resets = append(t.resets, offsetReset{t.last, e.Host, x.Group, x.Partition.String(), x.Policy})
	case *witness.OffsetsExpired:
		for _, tp := range x.Partitions {
			t.removed = append(t.removed, removedOffset{t.last, e.Host, x.Group, tp.String()})
		}
	}
}

func (o *txnOp) sent(sends []workloads.SentRecord) {
	o.sends = o.sends[:0]
	for _, s := range sends {
		o.sends = append(o.sends, sentRecord{s.Partition.String(), s.Value.String(), s.Offset, s.Epoch})
	}
}

func (t *transactions) completed(x *workloads.Completed) {
	op := t.open[x.Process]
	if op == nil || op.f != x.Function {
		return // it began before the trace; or a rebalance was told in the middle of a poll
	}
	delete(t.open, x.Process)
	op.to, op.done, op.outcome, op.err = t.last, x.Index, x.Outcome, x.Error
	if len(x.Sends) > 0 {
		op.sent(x.Sends)
	}
	for _, p := range x.Polled {
		op.polls = append(op.polls, polledRun{p.Partition.String(), p.First, p.Last, p.Epoch})
	}
	for _, m := range x.Marks {
		switch of := (polledRun{partition: m.Partition.String(), first: m.Offset}); m.Kind {
		case "commit":
			op.commits = append(op.commits, of)
		case "committed":
			op.told = append(op.told, of)
		}
	}
}

// read reports whether the operation was given an offset.
func (o *txnOp) given(partition string, offset int64) bool {
	return slices.ContainsFunc(o.polls, func(p polledRun) bool {
		return p.partition == partition && p.first <= offset && offset <= p.last
	})
}

// sends reports whether the operation sends to a partition, or commits offsets in it.
func (o *txnOp) touches(partition string) bool {
	return slices.ContainsFunc(o.sends, func(s sentRecord) bool { return s.partition == partition })
}

// idOf is the transactional id that has a producer id.
func (t *transactions) idOf(producer kafka.ProducerID) string {
	for _, m := range t.moves {
		if m.ProducerID == producer {
			return m.TxnID
		}
	}
	return ""
}

// batchAt is the last batch of a transaction that a leader appended over an offset.
func (t *transactions) batchAt(partition string, offset int64, until moment) (found *txnBatch) {
	for i, b := range t.batches {
		if b.partition != partition || !b.before(until) || int64(b.From) > offset || offset >= int64(b.End) {
			continue
		}
		if found == nil || found.Batch.Epoch != b.Batch.Epoch || found.From != b.From {
			found = &t.batches[i] // or a replica that does not know yet that it leads no more
		}
	}
	return found
}

// moveBefore is the last state of a transactional id before a moment for which want holds.
func (t *transactions) moveBefore(id string, until moment, want func(*txnMove) bool) (found *txnMove) {
	for i := range t.moves {
		if m := &t.moves[i]; m.TxnID == id && m.before(until) && want(m) {
			found = m
		}
	}
	return found
}

// moveAfter is the first state of a transactional id after a moment for which want holds.
func (t *transactions) moveAfter(id string, since moment, want func(*txnMove) bool) *txnMove {
	for i := range t.moves {
		if m := &t.moves[i]; m.TxnID == id && since.before(m.moment) && want(m) {
			return m
		}
	}
	return nil
}

// marked is the first marker of a producer in a partition after a moment.
func (t *transactions) marked(partition string, producer kafka.ProducerID, since moment) *txnMarker {
	for i := range t.written {
		if w := &t.written[i]; w.partition == partition && w.producer == producer && since.before(w.moment) && !t.cutOff(w) {
			return w
		}
	}
	return nil
}

// cutOff reports whether a marker is gone: a leader after it wrote another one at its offset, or below, or the
// leader that had written it cut it off.
func (t *transactions) cutOff(w *txnMarker) bool {
	for i := range t.written {
		x := &t.written[i]
		if x.partition == w.partition && w.before(x.moment) && x.at <= w.at && slices.ContainsFunc(t.since, func(l ledSince) bool {
			return l.logOn == logOn{x.partition, x.host} && w.before(l.moment) && l.before(x.moment)
		}) {
			return true
		}
	}
	return t.cutOf(w) != nil
}

// sentMarker is a marker as the coordinator that sends it tells.
func sentMarker(now moment, host string, m *witness.SentMarker) txnMarker {
	return txnMarker{moment: now, host: host, id: m.TxnID, partition: m.Partition.String(), producer: m.ProducerID, epoch: m.Epoch, coordinator: m.CoordinatorEpoch, commit: m.Commit}
}

// isOf: a violation names the operation, by its beginning or its end.
func (o *txnOp) isOf(v *reports.Violation) bool {
	return slices.Contains(v.Ops, int(o.op)) || slices.Contains(v.Ops, int(o.done))
}

// cutOf is when the leader that wrote a marker cut it off again; nil: it did not.
func (t *transactions) cutOf(w *txnMarker) *logCut {
	for i := range t.cuts {
		if c := &t.cuts[i]; c.logOn == (logOn{w.partition, w.host}) && w.before(c.moment) && c.to <= w.at {
			return c
		}
	}
	return nil
}

// stableAt is what a broker said last of the last stable offset, before a moment.
func (t *transactions) stableAt(host, partition string, until moment) (found *stability) {
	for i := range t.stable {
		if s := &t.stable[i]; s.host == host && s.partition == partition && s.before(until) {
			found = s
		}
	}
	return found
}

// answered is the last answer to a consumer with an offset, in a leader epoch, before a moment.
func (t *transactions) answered(partition string, offset int64, until moment) (found *answeredRead) {
	for i := range t.served {
		if s := &t.served[i]; s.partition == partition && s.before(until) && int64(s.from) <= offset && offset < int64(s.end) {
			found = s
		}
	}
	return found
}

// has reports whether a state of a transactional id has a partition.
func (m *txnMove) has(partition string) bool {
	return slices.ContainsFunc(m.Partitions, func(tp kafka.TopicPartition) bool { return tp.String() == partition })
}

// ends reports whether it is the decision of an end.
func (m *txnMove) ends() bool { return m.To == "PrepareCommit" || m.To == "PrepareAbort" }

// end is a decision or a marker in a word.
func end(commit bool) string {
	if commit {
		return "commit"
	}
	return "abort"
}
