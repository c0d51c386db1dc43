package laws

import "time"

// The laws that are asked here.
var (
	WeakISR = declare(2, OfPartition, "of what a leader shows as committed, all that it counts as in sync have the same records",
		"a leader's high watermark moves, or the set that it counts changes", "WeakIsr of KafkaReplication.tla; KIP-101")
	StrongISR = declare(3, OfPartition, "of what a leader shows as committed, all of the controller's ISR have the same records",
		"a leader's high watermark moves, or the controller's ISR changes", "StrongIsr of KafkaReplication.tla; KIP-497")
	LogMatching = declare(4, OfPartition, "replicas agree on every record below both their high watermarks",
		"each move of a replica's high watermark", "LogMatching of Vanlightly's kafka-tlaplus; KIP-101, KIP-279")
	SamePrefix = declare(5, OfPartition, "what a leader counts as replicated is the same record as its own",
		"each fetch of a follower that a leader counts", "Log Matching of Raft (Ongaro); KAFKA-13141")
	LeaderComplete = declare(6, OfPartition, "a leader has every record below the true high watermark",
		"a replica begins to lead; an election from outside of ISR and ELR", "LeaderCompleteness of kafka-tlaplus; KIP-966")
	QuorumSuperset = declare(8, OfPartition, "the ISR that a leader counts contains that of the controller",
		"the set that a leader counts changes, or the controller's ISR", "ReplicationQuorumSuperset of kafka-tlaplus; KIP-497")
	HWIsReplicated = declare(9, OfPartition, "the high watermark advances only to what every member of the counted ISR has, and not below min.insync.replicas",
		"each advance of a leader's high watermark", "Kip320.tla, rule 3; KIP-497, KIP-966, KAFKA-15583; Partition.maybeIncrementLeaderHW")
	HWNeverFalls = declare(10, OfPartition, "a leader's high watermark never falls within its epoch",
		"each move of a leader's high watermark", "KIP-207; Partition.maybeIncrementLeaderHW")
	EndAfterEpoch = declare(11, OfPartition, "a leader tells its end only when its high watermark reached the start of its epoch",
		"each ListOffsets that is answered with the end of the log", "KIP-207; Partition.fetchOffsetForTimestamp")
	FetchInEpoch = declare(13, OfPartition, "a leader counts a fetch only if the follower named the leader's own epoch",
		"each fetch of a follower that a leader counts", "Kip320.tla, rules 1 and 2; KIP-320")
	EpochsGrow = declare(15, OfPartition, "the leader epochs of a log never fall, and its cache of them says what the log says",
		"each append; the cache after each start, cut, and beginning of leadership, and of every offset at the end", "KIP-101, KIP-279; LeaderEpochFileCache")
	KeptSomewhere = declare(19, OfPartition, "some replica holds every acknowledged record",
		"a replica loses, cuts off or drops records", "NoCommittedRecordLostGlobally of kafka-tlaplus")
	ConsistentRead = declare(20, OfPartition, "what a consumer was given is what is committed there",
		"each batch that a consumer is given", "ConsistentRead of kafka-tlaplus")
	AckedIsCommitted = declare(21, OfPartition, "with acks=all a batch is appended, and answered below the high watermark, only with min.insync.replicas replicas in sync",
		"each append for acks=all, and each answer to one with success", "KIP-966; Partition.appendRecordsToLeader, checkEnoughReplicasReachOffset")
	MarksInOrder = declare(22, OfPartition, "log start <= high watermark <= log end, and an append begins at the log's end",
		"each append, start, cut, move of a mark, and beginning of leadership", "UnifiedLog")
	NoTruncation = declare(23, OfPartition, "no replica truncates below the true high watermark",
		"each truncation", "KIP-101, KIP-279; KAFKA-1211")
	RecoveredPrefix = declare(24, OfPartition, "after a crash a log is a prefix of what it was, and holds all that was synced",
		"each start of a replica, and of a member of the quorum", "LogLoader; KAFKA-10533")
	Converged = declare(27, OfPartition, "in the end all in-sync replicas are the same",
		"the end of a run, when all is healed", "the liveness properties of kafka-tlaplus")
	KnownMarks = declare(80, OfPartition, "a replica opens its log and begins to lead with a high watermark that it had before, and after a clean shutdown with the last one",
		"each start of a replica, and each beginning of leadership", "ReplicaManager.checkpointHighWatermarks; KIP-207")
)

// ReplicationConfig says what a partition promises.
type ReplicationConfig struct {
	Subject string            // the partition, for messages
	Name    func(Node) string // for messages; nil: its number
	MinISR  int
	// Brokers is what is known of brokers; nil: nothing, so law 76 is not asked.
	Brokers *Brokers
	// Calm is when nothing disturbs the cluster; nil: never, so laws 78 and 79 are
	// not asked.
	Calm *Calm
	// LagTimeMax is replica.lag.time.max.ms; 0: law 97 is not asked.
	LagTimeMax time.Duration
	// HWNeedsMinISR: the high watermark stands still below MinISR (KIP-966).
	HWNeedsMinISR bool
}

// Replication is the ghost of one partition: what each replica's log holds,
// what was ever shown as committed, what was promised.
type Replication struct {
	tally
	cfg ReplicationConfig

	replicas []*replica // few: found by looking along
	nodes    []Node     // whose they are, to look at none but the right one

	// truth holds every record that was ever below some leader's high
	// watermark; its end is the true high watermark.
	truth   ghostLog
	commits commits // how much of it in which epoch
	// compacted: below it a log may have been compacted, and batches look different.
	// Invariant: nothing below it is compared, all of it is a hole.
	compacted int64
	acked     int64 // end of what was acknowledged

	leaderOf []Node // by epoch

	// What the controller has committed.
	leader         Node
	leaderEpoch    Epoch
	leaderSince    time.Duration // when leaderEpoch was committed
	partitionEpoch int32
	isr, elr       []Node
	known          bool
}

// replica is one copy of the log and the role it plays.
type replica struct {
	node   Node
	log    ghostLog
	begun  int64 // what lies above it was appended since
	start  int64
	hw     int64
	synced int64
	met    bool // it is known what it opened before
	kept   bool // only the process died: nothing is lost
	// closed: its process closed it in order; clean: so did the last process that had
	// the disk, and left its mark.
	closed, clean bool
	ended         int // processes since it was closed
	// member is the offset of the metadata log since which it is in the ISR, or in
	// the ELR that it left the ISR for.
	member int64
	writes bool // an append is under way: a process that dies in it may find it or not
	cuts   bool // so is a truncation, to cutTo
	cutTo  int64
	same   int64 // below it, log was compared with truth
	up     bool
	lossy  bool // it came back with less than it had, and did not catch up since
	// had is where its log ended before it lost some of it. A leader that does not know of
	// the loss yet may count a fetch from before, until it joins the ISR anew.
	had int64

	producers producers
	open      spans // transactions
	stableAt  int64 // last stable offset, as it was told last, in epoch stableIn
	stableIn  Epoch
	known     []Known // of its producers, as it says when all is quiet

	leads      bool
	epoch      Epoch
	epochStart int64
	maximal    []Node
	fetched    []fetched // by follower, in this epoch
	caughtUp   []caughtUp
	grown      []grown   // its own log, in this epoch
	waiting    []waiting // its own appends, oldest first
	asked      calmJoins
}

type fetched struct {
	node Node
	end  int64
}

// NewReplication watches a partition.
func NewReplication(cfg ReplicationConfig) *Replication {
	r := &Replication{cfg: cfg, leader: NoNode, leaderEpoch: -1, partitionEpoch: -1}
	r.subject, r.name = cfg.Subject, cfg.Name
	return r
}

func (r *Replication) of(node Node) *replica {
	for i := range r.nodes {
		if r.nodes[i] == node {
			return r.replicas[i]
		}
	}
	p := &replica{node: node, epoch: -1}
	r.replicas, r.nodes = append(r.replicas, p), append(r.nodes, node)
	return p
}

// cut: the log ends at to now.
func (p *replica) cut(to int64) {
	p.log.truncate(to)
	p.producers.cut(to)
	p.open.cut(to)
	p.same, p.synced = min(p.same, to), min(p.synced, to)
}

// anew: the log begins at offset, and holds nothing yet that is known.
func (p *replica) anew(offset int64) {
	p.log.restart(offset)
	p.begun = offset
	p.producers, p.open = p.producers[:0], p.open[:0]
	p.same, p.synced = offset, offset
}

// counts is how far the replica's word goes.
func (p *replica) counts() int64 { return max(p.had, p.log.end()) }

func (r *Replication) trueHW() int64 { return r.truth.end() }

// TrueHighWatermark is the end of what was ever shown as committed.
func (r *Replication) TrueHighWatermark() int64 { return r.trueHW() }

// Recovered: the node opened its log and found [start, end) in it, and hw in
// its checkpoint. The first time, the log's content is taken as unknown.
func (r *Replication) Recovered(node Node, start, end, hw int64) {
	r.events++
	p := r.of(node)
	was := p.log.end()
	if len(p.log.entries) == 0 {
		was = end
		p.anew(end)
	}
	if end > was && p.writes {
		p.producers, p.open = p.producers[:0], p.open[:0] // it is not told whose they are
		for was < end {
			p.log.entries = append(p.log.entries, entry{})
			was++
		}
	}
	least := p.synced
	if p.cuts {
		least = min(least, p.cutTo)
	}
	switch {
	case end > was || end < least:
		r.fail(RecoveredPrefix, node, "%v recovered up to %d; it had %d, of which %d were synced", node, end, was, p.synced)
	case end < was && p.kept && !(p.cuts && end >= p.cutTo):
		r.fail(RecoveredPrefix, node, "%v recovered up to %d; it had %d, and only its process died", node, end, was)
	}
	r.knownMark(p, start, end, hw)
	p.met, p.closed, p.clean = true, false, false
	p.kept, p.writes, p.cuts = false, false, false
	if start > hw && hw > 0 || hw > end {
		r.fail(MarksInOrder, node, "%v recovered log start %d, high watermark %d, log end %d", node, start, hw, end)
	}
	p.lossy = p.lossy || end < was && end < r.trueHW()
	if end < was {
		p.had = max(p.had, was)
	}
	p.cut(end)
	p.start, p.hw, p.up, p.leads = start, hw, true, false
	r.kept(node)
}

// knownMark: law 80, of a log that is opened. What was lost with the end of the log
// is not in the checkpoint either.
func (r *Replication) knownMark(p *replica, start, end, hw int64) {
	switch last := max(min(p.hw, end), start); {
	case !p.met:
	case hw > last:
		r.fail(KnownMarks, p.node, "%v opened its log with high watermark %d; the last one that it knew was %d", p.node, hw, p.hw)
	case hw < last && p.closed && p.clean:
		r.fail(KnownMarks, p.node, "%v opened its log with high watermark %d; it closed it in order with %d", p.node, hw, p.hw)
	}
}

// Closed: the process closed the log in order, and ends.
func (r *Replication) Closed(node Node) {
	r.Stopped(node)
	p := r.of(node)
	p.closed, p.ended = true, 0
}

// Clean: the process that opens the log next has found the mark of a clean shutdown.
func (r *Replication) Clean(node Node) {
	r.events++
	r.of(node).clean = true
}

// Flushed: the log is durable below offset.
func (r *Replication) Flushed(node Node, offset int64) {
	r.events++
	p := r.of(node)
	p.synced = max(p.synced, min(offset, p.log.end()))
}

// Kept: only the process died, so the machine has all that it wrote when the log
// is recovered next.
func (r *Replication) Kept(node Node) {
	r.events++
	r.of(node).kept = true
}

// Stopped: the process is gone, killed or powered off; what is left of the
// log shows when it is recovered.
func (r *Replication) Stopped(node Node) {
	r.events++
	p := r.of(node)
	p.up, p.leads = false, false
	if p.ended++; p.ended > 1 {
		p.closed = false // the mark may be of a process that did not open the log
	}
}

// Damaged: bits of the disk were flipped, or it lied about what is on it. What
// the log holds from now on is not known, so it is not compared.
func (r *Replication) Damaged(node Node) {
	r.events++
	p := r.of(node)
	p.had = p.counts()
	p.anew(p.log.end())
	p.synced = 0
	p.met = false
}

// Wiped: the disk is lost, or the replica was deleted.
func (r *Replication) Wiped(node Node) {
	r.events++
	p := r.of(node)
	p.had = p.counts()
	p.anew(0)
	p.start, p.hw = 0, 0
	p.up, p.leads = false, false
	p.lossy = r.trueHW() > 0
	r.kept(node)
}

// Appending: the node begins to append something; acksAll: as the leader, for a
// producer that wants all replicas in sync to have it.
func (r *Replication) Appending(node Node, acksAll bool) {
	r.events++
	p := r.of(node)
	p.writes = true
	if acksAll && p.leads && len(p.maximal) < r.cfg.MinISR {
		r.fail(AckedIsCommitted, node, "%v appends at %d for acks=all with %d replicas in sync of %d that it takes", node, p.log.end(), len(p.maximal), r.cfg.MinISR)
	}
}

// Truncating: the node begins to cut its log at to. A process that dies in it may find it
// cut or not.
func (r *Replication) Truncating(node Node, to int64) {
	r.events++
	p := r.of(node)
	p.cuts, p.cutTo = true, to
}

// Appended: a batch spanning [first, end) of leader epoch epoch, with this
// hash of its bytes, was written to the node's log.
func (r *Replication) Appended(node Node, first, end int64, epoch Epoch, hash uint64) {
	r.events++
	p := r.of(node)
	at := p.log.end()
	if len(p.log.entries) > 0 && (first < at || p.leads && first != at) {
		r.fail(MarksInOrder, node, "%v appended at %d; its log ends at %d", node, first, at)
		p.cut(first)
	}
	if last := p.log.lastEpoch(first); epoch < last {
		r.fail(EpochsGrow, node, "%v appended epoch %d at %d, after epoch %d", node, epoch, first, last)
	}
	if p.leads && epoch != p.epoch {
		r.fail(OneLeader, node, "%v appended in epoch %d, but leads in %d", node, epoch, p.epoch)
	}
	p.log.append(first, end, epoch, hash)
	p.log.blank(first, r.compacted)
	p.up, p.writes = true, false
	if p.leads {
		r.waits(p, end)
		r.grows(p, end)
	}
}

// Truncated: the node's log now ends at to.
func (r *Replication) Truncated(node Node, to, hw int64) {
	r.events++
	p := r.of(node)
	if hw > to {
		r.fail(MarksInOrder, node, "%v truncated to %d; its high watermark is %d", node, to, hw)
	}
	// What departs from the truth must go; the first to go tells. A leader of an
	// earlier epoch may have it cut what a later one commits.
	if first := p.log.at(to); to < r.commits.before(p.epoch+1) && first.digest != 0 && !differ(first, r.truth.at(to)) {
		r.fail(NoTruncation, node, "%v truncated from %d to %d; %d was shown as committed", node, p.log.end(), to, r.trueHW())
	}
	p.cuts = false
	p.cut(to)
	p.hw = min(p.hw, to)
	r.kept(node)
}

// Compacted: one of the replicas has compacted its log up to to. What it still has
// lies in other batches there, and other replicas may be given these.
func (r *Replication) Compacted(to int64) {
	r.events++
	if to <= r.compacted {
		return
	}
	r.truth.blank(r.compacted, to)
	for _, p := range r.replicas {
		p.log.blank(r.compacted, to)
	}
	r.compacted = to
}

// Restarted: the node dropped its log, to begin anew at offset.
func (r *Replication) Restarted(node Node, at int64) {
	r.events++
	p := r.of(node)
	p.anew(at)
	p.start, p.hw = at, at
	r.kept(node)
}

// LogStartMoved: the node's log now starts at start.
func (r *Replication) LogStartMoved(node Node, start int64) {
	r.events++
	p := r.of(node)
	if p.leads && start > p.hw {
		r.fail(MarksInOrder, node, "%v moved its log start to %d; its high watermark is %d", node, start, p.hw)
	}
	p.start = max(p.start, start)
}

// BecameLeader: in epoch, with isr; its log ends at end, its high watermark is hw.
func (r *Replication) BecameLeader(node Node, epoch Epoch, end, hw int64, isr []Node) {
	r.events++
	p := r.of(node)
	for int(epoch) >= len(r.leaderOf) {
		r.leaderOf = append(r.leaderOf, NoNode)
	}
	if epoch >= 0 {
		if other := r.leaderOf[epoch]; other != NoNode && other != node {
			r.fail(OneLeader, node, "%v and %v both lead in epoch %d", other, node, epoch)
		}
		r.leaderOf[epoch] = node
	}
	if epoch < p.epoch {
		r.fail(OneLeader, node, "%v leads in epoch %d, but was in %d already", node, epoch, p.epoch)
	}
	if end != p.log.end() && len(p.log.entries) > 0 {
		r.fail(MarksInOrder, node, "%v leads with log end %d; it wrote up to %d", node, end, p.log.end())
	}
	if hw != p.hw && p.met {
		r.fail(KnownMarks, node, "%v leads with high watermark %d; the last one that it knew is %d", node, hw, p.hw)
	}
	if epoch > p.epoch || !p.leads {
		p.epochStart, p.fetched, p.waiting, p.caughtUp, p.grown = end, p.fetched[:0], p.waiting[:0], p.caughtUp[:0], p.grown[:0]
		if epoch == r.leaderEpoch {
			for _, n := range isr {
				p.hasAll(n, r.leaderSince)
			}
		}
	}
	p.leads, p.epoch, p.up = true, epoch, true
	p.hw, p.met = hw, true
	set(&p.maximal, isr)
	if epoch < r.leaderEpoch {
		return // it does not know yet that it is deposed
	}
	r.complete(p, &LeaderComplete)
}

// BecameFollower: of leader, in epoch; its log ends at end.
func (r *Replication) BecameFollower(node Node, epoch Epoch, leader Node, end int64) {
	r.events++
	p := r.of(node)
	if epoch < p.epoch {
		r.fail(OneLeader, node, "%v follows in epoch %d, but was in %d already", node, epoch, p.epoch)
	}
	p.leads, p.epoch, p.up = false, epoch, true
}

// MaximalISR: the leader now counts nodes for its high watermark (KIP-497).
func (r *Replication) MaximalISR(node Node, nodes []Node) {
	r.events++
	p := r.of(node)
	for _, n := range nodes {
		if p.leads && n != node && !holds(p.maximal, n) {
			r.asked(p, n)
		}
	}
	set(&p.maximal, nodes)
	if p.leads {
		r.agree(p, nodes, &WeakISR)
	}
	r.superset(p)
}

// asked: law 12 as far as the leader can know it, when it asks n in.
func (r *Replication) asked(p *replica, n Node) {
	switch end, ok := p.fetchedEnd(n); {
	case !ok:
		r.fail(JoinCaughtUp, p.node, "leader %v asks %v into the ISR without a fetch in epoch %d", p.node, n, p.epoch)
	case end < p.hw || end < p.epochStart:
		r.fail(JoinCaughtUp, p.node, "leader %v asks %v into the ISR, which fetched up to %d; its high watermark is %d, its epoch starts at %d", p.node, n, end, p.hw, p.epochStart)
	}
}

// superset: law 8, for the leader that the controller knows.
func (r *Replication) superset(p *replica) {
	if !p.leads || !r.known || r.leader != p.node || r.leaderEpoch != p.epoch {
		return
	}
	for _, n := range r.isr {
		if !holds(p.maximal, n) {
			r.fail(QuorumSuperset, p.node, "leader %v counts %v; the controller's ISR is %v", p.node, p.maximal, r.isr)
			return
		}
	}
}

// Proposed: the leader asks the controller to take joins into the ISR. committed is
// the offset below which the metadata log is known to be committed. Law 76, as
// far as the leader can know it.
func (r *Replication) Proposed(leader, joins Node, committed int64) {
	r.events++
	r.askedToJoin(r.of(leader), joins)
	b := r.cfg.Brokers
	if b == nil {
		return
	}
	if applied := b.of(leader).applied; !b.isActive(joins, applied, committed) {
		r.fail(ActiveMembers, leader, "leader %v asks %v into the ISR, whose broker is fenced or shuts down; it has applied the metadata up to %d", leader, joins, applied)
	}
}

// FollowerFetched: the leader was asked by follower for what is above offset, in
// the epoch that the follower named, and counts it as holding everything below.
func (r *Replication) FollowerFetched(leader, follower Node, offset int64, epoch Epoch) {
	r.events++
	p, f := r.of(leader), r.of(follower)
	if p.leads && epoch != p.epoch {
		r.fail(FetchInEpoch, leader, "leader %v of epoch %d counts a fetch of %v that names epoch %d", leader, p.epoch, follower, epoch)
	}
	// A follower that has left the epoch sent this before: it had then what the
	// leader thinks it has.
	late := f.epoch > epoch
	if !late && offset > f.counts() && len(f.log.entries) > 0 {
		r.fail(SamePrefix, leader, "leader %v counts %d records of %v, which has %d", leader, offset, follower, f.log.end())
	}
	if !late && differ(p.log.at(offset-1), f.log.at(offset-1)) {
		r.fail(SamePrefix, leader, "leader %v counts %v up to %d, where its record is another (epoch %d, the leader's %d)",
			leader, follower, offset, f.log.at(offset-1).epoch, p.log.at(offset-1).epoch)
	}
	if len(p.waiting) > 0 {
		r.overdue(p)
	}
	if r.cfg.Calm != nil && offset >= p.log.end() {
		p.hasAll(follower, r.cfg.Calm.Now)
	}
	for i := range p.fetched {
		if p.fetched[i].node == follower {
			p.fetched[i].end = offset
			return
		}
	}
	p.fetched = append(p.fetched, fetched{follower, offset})
}

func (p *replica) fetchedEnd(follower Node) (int64, bool) {
	for _, f := range p.fetched {
		if f.node == follower {
			return f.end, true
		}
	}
	return 0, false
}

// HighWatermark: the node's high watermark is now hw, in epoch.
func (r *Replication) HighWatermark(node Node, hw int64, epoch Epoch) {
	r.events++
	p := r.of(node)
	if hw > p.log.end() && len(p.log.entries) > 0 {
		r.fail(MarksInOrder, node, "%v has high watermark %d, log end %d", node, hw, p.log.end())
		hw = p.log.end()
	}
	if p.leads {
		r.advance(p, hw)
	}
	if p.leads && epoch >= r.leaderEpoch {
		r.show(p, hw)
	} else if o := r.compare(p, min(hw, p.log.end()), false); o >= 0 {
		r.fail(LogMatching, node, "%v has another record at %d, below its high watermark %d, than was shown as committed", node, o, hw)
	}
	p.hw = hw
	if p.leads {
		p.committed(hw)
		r.agree(p, p.maximal, &WeakISR)
		r.agree(p, r.isr, &StrongISR)
	}
}

// advance: laws 9 and 10, of a leader.
func (r *Replication) advance(p *replica, hw int64) {
	if hw < p.hw {
		r.fail(HWNeverFalls, p.node, "leader %v moved its high watermark from %d back to %d in epoch %d", p.node, p.hw, hw, p.epoch)
		return
	}
	if hw == p.hw || hw <= r.trueHW() {
		return // catching up with what earlier leaders showed
	}
	if r.cfg.HWNeedsMinISR && r.known && len(p.maximal) < r.cfg.MinISR {
		r.fail(HWIsReplicated, p.node, "leader %v advanced its high watermark to %d with %d replicas in sync of %d that it takes", p.node, hw, len(p.maximal), r.cfg.MinISR)
	}
	for _, n := range p.maximal {
		if n == p.node {
			continue
		}
		m := r.of(n)
		if m.counts() < hw && m.epoch <= p.epoch {
			r.fail(HWIsReplicated, p.node, "leader %v advanced its high watermark to %d; %v, in its ISR, has %d", p.node, hw, n, m.log.end())
		}
		if end, ok := p.fetchedEnd(n); !ok || end < hw {
			r.fail(HWIsReplicated, p.node, "leader %v advanced its high watermark to %d; %v, in its ISR, fetched up to %d in epoch %d", p.node, hw, n, end, p.epoch)
		}
	}
	if !r.known {
		return
	}
	for _, n := range r.isr { // the controller's ISR may elect any of these
		if r.leaderEpoch == p.epoch && r.of(n).counts() < hw {
			r.fail(HWIsReplicated, p.node, "leader %v advanced its high watermark to %d; %v, in the controller's ISR, has %d", p.node, hw, n, r.of(n).log.end())
		}
	}
}

// show: what is below a leader's high watermark is committed.
func (r *Replication) show(p *replica, hw int64) {
	if o := r.compare(p, min(hw, r.truth.end()), false); o >= 0 {
		r.fail(LogMatching, p.node, "leader %v shows another record at %d than was shown as committed before", p.node, o)
	}
	if len(r.truth.entries) == 0 && hw > 0 {
		r.truth.base = min(hw, p.log.base)
	}
	for o := r.truth.end(); o < hw; o++ {
		r.truth.entries = append(r.truth.entries, p.log.at(o))
	}
	if len(r.commits) == 0 || hw > r.commits[len(r.commits)-1].end {
		r.commits.add(p.epoch, hw)
	}
	p.same = max(p.same, hw)
}

// Acked: the leader answered acks=all with success for [first, end).
func (r *Replication) Acked(node Node, first, end int64) {
	r.events++
	p := r.of(node)
	if p.hw < end {
		r.fail(AckedIsCommitted, node, "%v acknowledged [%d, %d); its high watermark is %d", node, first, end, p.hw)
	}
	if len(p.maximal) > 0 && len(p.maximal) < r.cfg.MinISR {
		r.fail(AckedIsCommitted, node, "%v acknowledged [%d, %d) with %d replicas in sync of %d that it takes", node, first, end, len(p.maximal), r.cfg.MinISR)
	}
	r.acked = max(r.acked, end)
}

// EndServed: the leader told a client that the log ends at offset.
func (r *Replication) EndServed(node Node, offset int64) {
	r.events++
	p := r.of(node)
	if p.leads && p.hw < p.epochStart {
		r.fail(EndAfterEpoch, node, "leader %v told its end as %d; its epoch %d starts at %d", node, offset, p.epoch, p.epochStart)
	}
}

// Read: a consumer was given the batch [first, end) with this hash by node.
func (r *Replication) Read(node Node, first, end int64, epoch Epoch, hash uint64) {
	r.events++
	for o := first; o < end; o++ {
		if differ(entry{digest(hash, o), epoch}, r.truth.at(o)) {
			r.fail(ConsistentRead, node, "%v gave a consumer another record at %d than is committed", node, o)
			return
		}
	}
}

// kept: law 19, after a replica lost something.
func (r *Replication) kept(node Node) {
	hw := r.trueHW()
	if hw == 0 || r.acked == 0 {
		return
	}
	need := min(hw, r.acked)
	for _, p := range r.replicas {
		if p.log.end() >= need && r.compare(p, need, true) < 0 {
			return
		}
	}
	r.fail(KeptSomewhere, node, "no replica holds all of the %d acknowledged records", need)
}

// EpochCache: the node's cache says that epochs[i] begins at starts[i]. Law 15.
// Epochs do not fall along a log, so the first and the last record of each
// stand for those between.
func (r *Replication) EpochCache(node Node, epochs []Epoch, starts []int64) {
	r.events++
	p := r.of(node)
	if n := len(starts); n > 0 && starts[n-1] > p.log.end() {
		r.fail(EpochsGrow, node, "%v has an epoch %d in its cache from %d; its log ends at %d", node, epochs[n-1], starts[n-1], p.log.end())
		return
	}
	for i := range epochs {
		end := p.log.end()
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		for _, o := range [2]int64{starts[i], end - 1} {
			if e := p.log.at(o); e.digest != 0 && starts[i] < end && o >= p.start && e.epoch != epochs[i] {
				r.fail(EpochsGrow, node, "%v has a record of epoch %d at %d; its epoch cache says %d", node, e.epoch, o, epochs[i])
				return
			}
		}
	}
}

// EpochAt: the node's epoch cache says that the record at offset is of epoch.
// Law 15, of the cache.
func (r *Replication) EpochAt(node Node, offset int64, epoch Epoch) {
	if e := r.of(node).log.at(offset); e.digest != 0 && e.epoch != epoch {
		r.fail(EpochsGrow, node, "%v has a record of epoch %d at %d; its epoch cache says %d", node, e.epoch, offset, epoch)
	}
}

// Quiet: all is healed and had its time. Law 27.
func (r *Replication) Quiet() {
	r.events++
	if !r.known || r.leader == NoNode {
		r.fail(Converged, NoNode, "there is no leader")
		return
	}
	leader := r.of(r.leader)
	for _, n := range r.isr {
		p := r.of(n)
		if p.log.end() != leader.log.end() || p.hw != leader.log.end() && n == r.leader {
			r.fail(Converged, n, "%v ends at %d with high watermark %d; leader %v ends at %d", n, p.log.end(), p.hw, r.leader, leader.log.end())
			continue
		}
		for o := max(p.log.base, leader.log.base); o < p.log.end(); o++ {
			if differ(p.log.at(o), leader.log.at(o)) {
				r.fail(Converged, n, "%v has another record at %d than leader %v", n, o, r.leader)
				break
			}
		}
	}
}
