package laws

import "slices"

// The laws that are asked here.
var (
	BrokerPrefix = declare(25, OfQuorum, "what a node applies of the metadata is a prefix of what is committed",
		"each time a node has applied metadata", "MetadataLogMatching of kafka-tlaplus; KIP-595")
	ElectionSafety = declare(28, OfQuorum, "an epoch of the quorum has one leader",
		"each election, and each member that follows a leader", "ElectionSafety of Raft; KIP-595")
	QuorumMatching = declare(29, OfQuorum, "voters and observers agree on every record below both their high watermarks, and records of one epoch and offset are the same",
		"each append, and each move of a high watermark", "Log Matching of Raft; KIP-595")
	QuorumComplete = declare(30, OfQuorum, "a quorum leader has every committed record",
		"each election", "Leader Completeness of Raft")
	QuorumDurable = declare(31, OfQuorum, "a majority of the voters holds every committed record",
		"each start of a member, and each loss of a disk", "Raft 5.4; KIP-595")
	RoleFits = declare(32, OfQuorum, "only voters vote and lead",
		"each vote and election", "KIP-595; QuorumState")
	OneVote = declare(33, OfQuorum, "a voter votes once in an epoch, and its epoch never falls, restarts included",
		"each vote, change of role and start", "Raft 5.2; KIP-595; FileQuorumStateStore")
	VoteForComplete = declare(34, OfQuorum, "a vote goes only to a candidate whose log is no shorter than the voter's",
		"each vote", "Raft 5.4.1; KIP-595")
	CommitCurrent = declare(35, OfQuorum, "a leader commits only records of its epoch that a majority of the voters has synced",
		"each advance of the quorum leader's high watermark", "Raft 5.4.2; KIP-595; KAFKA-13884")
	LeaderAppendOnly = declare(36, OfQuorum, "a quorum leader never overwrites its own log",
		"each append, truncation and new beginning of a leader's log", "Leader Append-Only of Raft")
	SameImage = declare(37, OfQuorum, "all nodes that applied an offset have the same image",
		"each time a node has applied metadata, each snapshot, and each log replayed at the end", "State Machine Safety of Raft; KIP-630")
	CommittedStays = declare(38, OfQuorum, "what is committed is never truncated",
		"each truncation of the metadata log", "KIP-595; KafkaRaftClient.truncateToEndOffset")
	PreVoteHarmless = declare(40, OfQuorum, "a pre-vote is asked for in an epoch that exists, is no vote, and is refused by a voter that is in touch with a leader",
		"each vote and pre-vote", "KIP-996")
	SnapshotBelowHW = declare(41, OfQuorum, "a snapshot ends at or below the high watermark, and logs begin no later than at one",
		"each snapshot that is written or loaded, and each new beginning of a log", "KIP-630")
	ActiveCaughtUp = declare(42, OfQuorum, "a controller acts only as leader of the quorum, once the start of its epoch is committed, and answers only what is committed",
		"a controller begins to act; each answer to a request that it decided", "KAFKA-15345; QuorumController, DeferredEventQueue")
	BrokerEpochGrows = declare(43, OfQuorum, "broker epochs are unique and grow",
		"each committed registration", "KIP-380, KIP-631; ClusterControlManager.registerBroker")
	QuorumLives = declare(44, OfQuorum, "in the end a leader has a majority that follows it",
		"the end of a run, when all is healed", "the liveness properties of Vanlightly's KRaft specification")
	LeftKnown = declare(100, OfQuorum, "a broker in controlled shutdown may end only when each active broker has applied that it leaves",
		"each answer that lets a broker in controlled shutdown end", "KIP-631; BrokerHeartbeatManager.calculateNextBrokerState")
	BrokerLife = declare(101, OfQuorum, "a broker runs only after its recovery, and ends, once it runs, by way of a controlled shutdown",
		"each change of the state of a broker's life; one that is killed, or gives up, is in none", "KIP-631; BrokerLifecycleManager.BeginControlledShutdownEvent")
	UnfencedCaughtUp = declare(77, OfQuorum, "a broker is unfenced only once it has applied its own registration",
		"each time the controller decides to unfence a broker", "KIP-631; BrokerHeartbeatManager.calculateNextBrokerState")
)

// Quorum is the ghost of the metadata log.
type Quorum struct {
	tally
	voters  []Node
	known   *Brokers
	calm    *Calm
	members []*member

	truth    ghostLog // what was ever committed
	commits  commits  // how much of it in which epoch
	leaderOf []Node   // by epoch
	written  []ghostLog
	images   []image // by offset, the last imageWindow of them
	brokers  []brokerEpoch
	lives    map[Node]string // the state of each broker's life
}

// image is the hash of what a node made of all records up to offset.
type image struct {
	offset int64
	hash   uint64
	node   Node
	known  bool
}

type brokerEpoch struct {
	broker Node
	epoch  int64
}

// member is a voter or an observer.
type member struct {
	node       Node
	log        ghostLog
	start      int64 // a snapshot stands for what is below
	synced     int64 // what it may count as durable
	told       int64 // what it said is durable
	hw         int64
	same       int64
	epoch      Epoch
	voted      Node
	votedEpoch Epoch
	wiped      bool // so what it asked for before may be heard yet
	leads      bool
	epochStart int64
	writes     bool // an append is under way: a process that dies in it may find it or not
	cuts       bool // so is a truncation, to cutTo
	cutTo      int64
}

// cut: the log ends at to now.
func (m *member) cut(to int64) {
	m.same, m.synced, m.told = min(m.same, to), min(m.synced, to), min(m.told, to)
}

// QuorumConfig says which quorum it is.
type QuorumConfig struct {
	Subject string            // for messages
	Name    func(Node) string // for messages; nil: its number
	Voters  []Node
	// Brokers is what is known of brokers; nil: nothing, so law 77 is not asked.
	Brokers *Brokers
	// Calm is when nothing disturbs the cluster; nil: never, so law 78 is not asked.
	Calm *Calm
}

// NewQuorum watches a quorum.
func NewQuorum(cfg QuorumConfig) *Quorum {
	q := &Quorum{voters: append([]Node(nil), cfg.Voters...), known: cfg.Brokers, calm: cfg.Calm}
	q.subject, q.name = cfg.Subject, cfg.Name
	return q
}

func (q *Quorum) of(node Node) *member {
	for _, m := range q.members {
		if m.node == node {
			return m
		}
	}
	m := &member{node: node, epoch: -1, voted: NoNode, votedEpoch: -1}
	q.members = append(q.members, m)
	return m
}

func (q *Quorum) enter(m *member, epoch Epoch, doing string) {
	if epoch < m.epoch {
		q.fail(OneVote, m.node, "%v %s in epoch %d; it was in %d already", m.node, doing, epoch, m.epoch)
		return
	}
	if epoch > m.epoch {
		m.leads = false
	}
	m.epoch = epoch
}

// Voted: the node gave its vote of epoch to candidate.
func (q *Quorum) Voted(node Node, epoch Epoch, candidate Node) {
	q.events++
	m := q.of(node)
	if !holds(q.voters, node) {
		q.fail(RoleFits, node, "%v votes, and is no voter of %v", node, q.voters)
	}
	if epoch == m.votedEpoch && candidate != m.voted {
		q.fail(OneVote, node, "%v voted for %v and for %v in epoch %d", node, m.voted, candidate, epoch)
	}
	q.enter(m, epoch, "votes")
	m.voted, m.votedEpoch = candidate, epoch
	if candidate == node {
		return
	}
	c := q.of(candidate)
	if !c.wiped && (c.votedEpoch < epoch || c.votedEpoch == epoch && c.voted != candidate) {
		q.fail(PreVoteHarmless, node, "%v voted in epoch %d for %v, which is no candidate of it", node, epoch, candidate)
	}
	mine, theirs := m.log.lastEpoch(m.log.end()), c.log.lastEpoch(c.log.end())
	if len(c.log.entries) == 0 || len(m.log.entries) == 0 || c.epoch > epoch {
		return // a snapshot may hold what the ghost did not see; or the request is old
	}
	if c.log.at(c.log.end()-1).digest == 0 || m.log.at(m.log.end()-1).digest == 0 {
		return // of an append that its node died in only the end is known
	}
	if theirs < mine || theirs == mine && c.log.end() < m.log.end() {
		q.fail(VoteForComplete, node, "%v, with log end %d in epoch %d, voted for %v, with %d in %d", node, m.log.end(), mine, candidate, c.log.end(), theirs)
	}
}

// PreVoted: the node would vote for candidate, which asked in epoch. leader is the
// one it is in touch with; NoNode: none.
func (q *Quorum) PreVoted(node Node, epoch Epoch, candidate, leader Node) {
	q.events++
	if leader != NoNode {
		q.fail(PreVoteHarmless, node, "%v would vote for %v in epoch %d, though it is in touch with leader %v", node, candidate, epoch, leader)
	}
	if c := q.of(candidate); !c.wiped && epoch > max(0, c.epoch) { // all begin in epoch 0
		q.fail(PreVoteHarmless, node, "%v asked for pre-votes in epoch %d; it is in epoch %d", candidate, epoch, max(0, c.epoch))
	}
}

// BecameLeader: of the quorum in epoch; its log ends at end.
func (q *Quorum) BecameLeader(node Node, epoch Epoch, end int64) {
	q.events++
	m := q.of(node)
	if !holds(q.voters, node) {
		q.fail(RoleFits, node, "%v leads, and is no voter of %v", node, q.voters)
	}
	for int(epoch) >= len(q.leaderOf) {
		q.leaderOf = append(q.leaderOf, NoNode)
		q.written = append(q.written, ghostLog{})
	}
	if epoch >= 0 {
		if other := q.leaderOf[epoch]; other != NoNode {
			q.fail(ElectionSafety, node, "%v and %v both became leader in epoch %d", other, node, epoch)
		}
		q.leaderOf[epoch] = node
	}
	q.enter(m, epoch, "leads")
	if q.calm != nil && q.calm.from(q.calm.Now) {
		q.fail(UndisturbedMembers, node, "%v was elected in epoch %d, though nothing has disturbed the cluster since %v", node, epoch, q.calm.since)
	}
	m.leads, m.epochStart = true, end
	if hw := q.commits.before(epoch); m.log.end() < hw && m.start < hw {
		q.fail(QuorumComplete, node, "%v leads epoch %d with log end %d; %d records are committed", node, epoch, m.log.end(), hw)
	} else if o := q.compare(m, hw); o >= 0 {
		q.fail(QuorumComplete, node, "%v leads epoch %d with another record at %d than is committed", node, epoch, o)
	}
}

// BecameFollower: in epoch, of leader, which may be NoNode.
func (q *Quorum) BecameFollower(node Node, epoch Epoch, leader Node) {
	q.events++
	m := q.of(node)
	q.enter(m, epoch, "follows")
	m.leads = false
	if leader != NoNode && int(epoch) < len(q.leaderOf) && epoch >= 0 {
		if known := q.leaderOf[epoch]; known != NoNode && known != leader {
			q.fail(ElectionSafety, node, "%v follows %v in epoch %d, which is led by %v", node, leader, epoch, known)
		}
	}
}

// Appending: the node begins to append something.
func (q *Quorum) Appending(node Node) {
	q.events++
	q.of(node).writes = true
}

// Truncating: the node begins to cut its log at to. A process that dies in it may find it
// cut or not.
func (q *Quorum) Truncating(node Node, to int64) {
	q.events++
	m := q.of(node)
	m.cuts, m.cutTo = true, to
}

// Appended: a batch spanning [first, end) of epoch, with this hash of its
// bytes, was written to the node's log.
func (q *Quorum) Appended(node Node, first, end int64, epoch Epoch, hash uint64) {
	q.events++
	m := q.of(node)
	if at := m.log.end(); len(m.log.entries) > 0 && first != at {
		law := QuorumMatching
		if m.leads {
			law = LeaderAppendOnly
		}
		q.fail(law, node, "%v appended at %d; its log ends at %d", node, first, at)
		m.log.truncate(first)
		m.cut(first)
	}
	if last := m.log.lastEpoch(first); epoch < last {
		q.fail(QuorumMatching, node, "%v appended epoch %d at %d, after epoch %d", node, epoch, first, last)
	}
	m.log.append(first, end, epoch, hash)
	m.writes = false
	if epoch < 0 {
		return
	}
	for int(epoch) >= len(q.written) {
		q.leaderOf = append(q.leaderOf, NoNode)
		q.written = append(q.written, ghostLog{})
	}
	w := &q.written[epoch]
	for o := first; o < end; o++ {
		if differ(m.log.at(o), w.at(o)) {
			q.fail(QuorumMatching, node, "%v appended at %d another record of epoch %d than is known", node, o, epoch)
			return
		}
	}
	switch from := w.end(); {
	case len(w.entries) == 0:
		w.append(first, end, epoch, hash)
	case first <= from && from < end:
		w.append(from, end, epoch, hash)
	}
}

// Flushed: the node's log is durable below offset.
func (q *Quorum) Flushed(node Node, offset int64) {
	q.events++
	m := q.of(node)
	m.told = max(m.told, min(offset, m.log.end()))
	m.synced = max(m.synced, m.told)
}

// Truncated: the node's log now ends at to.
func (q *Quorum) Truncated(node Node, to int64) {
	q.events++
	m := q.of(node)
	if m.leads && to < m.log.end() {
		q.fail(LeaderAppendOnly, node, "leader %v truncated from %d to %d", node, m.log.end(), to)
	}
	// A record of an older epoch may be committed in a younger one, of which this
	// node has not heard yet: it does not count there, and may follow a leader
	// between the two that never had the record.
	hw := q.commits.before(m.epoch + 1)
	if first := m.log.at(to); to < hw && first.digest != 0 && !differ(first, q.truth.at(to)) {
		q.fail(CommittedStays, node, "%v truncated from %d to %d in epoch %d; %d are committed", node, m.log.end(), to, m.epoch, hw)
	}
	m.cuts = false
	m.log.truncate(to)
	m.cut(to)
}

// Committed: the node's high watermark is now hw.
func (q *Quorum) Committed(node Node, hw int64) {
	q.events++
	m := q.of(node)
	if hw > m.log.end() && len(m.log.entries) > 0 {
		q.fail(QuorumMatching, node, "%v has high watermark %d, log end %d", node, hw, m.log.end())
		hw = m.log.end()
	}
	if m.leads && hw > q.truth.end() {
		q.commit(m, hw)
	} else if o := q.compare(m, min(hw, m.log.end())); o >= 0 {
		q.fail(QuorumMatching, node, "%v has another record at %d, below its high watermark %d, than is committed", node, o, hw)
	}
	m.hw = max(m.hw, hw)
}

// commit: law 35, then it is the truth.
func (q *Quorum) commit(m *member, hw int64) {
	if last := m.log.at(hw - 1); last.digest != 0 && last.epoch != m.epoch {
		q.fail(CommitCurrent, m.node, "leader %v of epoch %d committed up to %d, a record of epoch %d", m.node, m.epoch, hw, last.epoch)
	}
	have := 0
	for _, v := range q.voters {
		f := q.of(v)
		if f.synced >= hw && !differ(f.log.at(hw-1), m.log.at(hw-1)) {
			have++
		}
	}
	if have <= len(q.voters)/2 {
		q.fail(CommitCurrent, m.node, "leader %v committed up to %d, which %d of %d voters have synced", m.node, hw, have, len(q.voters))
	}
	if o := q.compare(m, q.truth.end()); o >= 0 {
		q.fail(QuorumMatching, m.node, "leader %v has another record at %d than is committed", m.node, o)
	}
	if len(q.truth.entries) == 0 {
		q.truth.base = min(hw, m.log.base)
	}
	for o := q.truth.end(); o < hw; o++ {
		q.truth.entries = append(q.truth.entries, q.told(m, o, hw))
	}
	q.commits.add(m.epoch, hw)
	m.same = max(m.same, hw)
}

// told is a record of a leader's log below hw. Of one that its process wrote while it died
// only the offset is known; a follower that has the same record below hw, and so all of
// the leader's log up to there, was told what it is.
func (q *Quorum) told(m *member, offset, hw int64) entry {
	if e := m.log.at(offset); e.digest != 0 {
		return e
	}
	last := m.log.at(hw - 1)
	for _, v := range q.voters {
		f := q.of(v)
		if e := f.log.at(offset); e.digest != 0 && last.digest != 0 && f.log.at(hw-1) == last {
			return e
		}
	}
	return entry{}
}

// compare returns the first offset below end where the node's log departs
// from what is committed, or -1.
func (q *Quorum) compare(m *member, end int64) int64 {
	end = min(end, q.truth.end(), m.log.end())
	for o := max(m.same, q.truth.base, m.log.base); o < end; o++ {
		if differ(m.log.at(o), q.truth.at(o)) {
			return o
		}
	}
	m.same = max(m.same, end)
	return -1
}

// Restarted: the node dropped its log, to begin anew behind a snapshot that ends at
// offset. What it had was not committed, or is in the snapshot.
func (q *Quorum) Restarted(node Node, at int64) {
	q.events++
	m := q.of(node)
	switch {
	case m.leads:
		q.fail(LeaderAppendOnly, node, "leader %v dropped its log, to begin at %d", node, at)
	case at > q.truth.end() && len(q.truth.entries) > 0:
		q.fail(SnapshotBelowHW, node, "%v begins its log at %d; %d are committed", node, at, q.truth.end())
	}
	m.anew(at)
	q.survives(node)
}

// anew: the log begins at offset, behind a snapshot.
func (m *member) anew(at int64) {
	m.log.restart(at)
	m.cuts = false
	m.start, m.hw = max(m.start, at), max(m.hw, at)
	m.same, m.synced, m.told = at, at, at
}

// Recovered: the node came back with its log from start up to end and its epoch as
// stored.
func (q *Quorum) Recovered(node Node, start, end int64, epoch Epoch) {
	q.events++
	m := q.of(node)
	if start == end && start > m.log.base && start <= q.truth.end() {
		m.anew(start) // as a start does that finds a newer snapshot than log
	}
	for m.writes && m.log.end() < end && len(m.log.entries) > 0 {
		m.log.entries = append(m.log.entries, entry{})
	}
	least := m.told
	if m.cuts {
		least = min(least, m.cutTo)
	}
	m.writes, m.cuts = false, false
	switch was := m.log.end(); {
	case len(m.log.entries) == 0:
		m.log.restart(end)
	case end > was || end < least:
		q.fail(RecoveredPrefix, node, "%v recovered up to %d; it had %d, of which %d were synced", node, end, was, m.told)
	}
	if epoch >= 0 && epoch < max(m.votedEpoch, m.epoch) {
		q.fail(OneVote, node, "%v came back in epoch %d; it was in %d already", node, epoch, max(m.votedEpoch, m.epoch))
	}
	m.log.truncate(end)
	m.cut(end)
	m.synced = end // a killed process leaves its writes to the kernel
	m.leads, m.hw = false, 0
	q.survives(node)
}

// Wiped: the node's disk is lost.
func (q *Quorum) Wiped(node Node) {
	q.events++
	m := q.of(node)
	*m = member{node: node, epoch: -1, voted: NoNode, votedEpoch: -1, wiped: true}
	q.survives(node)
}

// survives: law 31. What is not on a majority can be outvoted.
func (q *Quorum) survives(node Node) {
	hw := q.truth.end()
	have := 0
	for _, v := range q.voters {
		m := q.of(v)
		if m.start >= hw || m.log.end() >= hw && q.compare(m, hw) < 0 {
			have++
		}
	}
	if hw > 0 && have <= len(q.voters)/2 {
		q.fail(QuorumDurable, node, "%d of %d voters hold all of the %d committed records", have, len(q.voters), hw)
	}
}

// Snapshot: the node wrote or loaded a snapshot of everything below end, whose
// last record was of epoch; its image hashes to hash.
func (q *Quorum) Snapshot(node Node, end int64, epoch Epoch, hash uint64) {
	q.events++
	m := q.of(node)
	if end > q.truth.end() && len(q.truth.entries) > 0 {
		q.fail(SnapshotBelowHW, node, "%v has a snapshot up to %d; %d are committed", node, end, q.truth.end())
	}
	if at := q.truth.at(end - 1); at.digest != 0 && at.epoch != epoch {
		q.fail(SnapshotBelowHW, node, "%v has a snapshot that ends in epoch %d; the record at %d is of epoch %d", node, epoch, end-1, at.epoch)
	}
	if end > 0 {
		q.sameImage(node, end-1, hash)
	}
	m.start = max(m.start, end)
	if end > m.log.end() { // it was loaded from the leader
		m.anew(end)
	}
}

// ControllerActive: the node's controller acts from now on, in epoch.
func (q *Quorum) ControllerActive(node Node, epoch Epoch) {
	q.events++
	m := q.of(node)
	if !m.leads || m.epoch != epoch {
		q.fail(ActiveCaughtUp, node, "%v acts in epoch %d, which it does not lead", node, epoch)
		return
	}
	if m.hw <= m.epochStart && m.log.end() > m.epochStart || m.hw < m.epochStart {
		q.fail(ActiveCaughtUp, node, "%v acts with high watermark %d; its epoch %d starts at %d", node, m.hw, epoch, m.epochStart)
	}
}

// Answered: the node's controller answers with success what it decided from the
// records up to offset, that included.
func (q *Quorum) Answered(node Node, offset int64) {
	q.events++
	if end := q.truth.end(); offset >= end && end > 0 {
		q.fail(ActiveCaughtUp, node, "%v answers what it decided from the records up to %d; %d are committed", node, offset, end)
	}
}

// before are the states of a broker's life that each follows upon, by Kafka's names.
// A process begins with the first of them.
var before = map[string][]string{
	"in recovery":                 {"starting"},
	"running":                     {"in recovery"},
	"pending controlled shutdown": {"running"},
	"shutting down":               {"starting", "in recovery", "pending controlled shutdown"},
}

// Lives: a broker is in another state of its life. Law 101.
func (q *Quorum) Lives(broker Node, to string) {
	q.events++
	from, known := q.lives[broker]
	if after, follows := before[to]; known && follows && !slices.Contains(after, from) {
		q.fail(BrokerLife, broker, "%v goes from %s to %s", broker, from, to)
	}
	if q.lives == nil {
		q.lives = map[Node]string{}
	}
	q.lives[broker] = to
}

// ShutdownGranted: the controller lets a broker end that is in controlled shutdown. Law 100.
func (q *Quorum) ShutdownGranted(broker Node) {
	q.events++
	if q.known == nil {
		return
	}
	at := q.known.left(broker)
	if x, found := q.known.unaware(at); found {
		q.fail(LeftKnown, x.node, "%v may end, which leaves since offset %d of the metadata log; %v has applied it up to %d", broker, at, x.node, x.applied)
	}
}

// Unfenced: the controller decides to let the broker in, which has had this epoch since
// the record at that offset.
func (q *Quorum) Unfenced(broker Node, epoch int64) {
	q.events++
	if q.known == nil {
		return
	}
	if applied := q.known.of(broker).applied; applied < epoch {
		q.fail(UnfencedCaughtUp, broker, "%v is unfenced in broker epoch %d; it has applied the metadata up to %d", broker, epoch, applied)
	}
}

// imageWindow is how many offsets back images are compared.
const imageWindow = 4096

// Applied: the node applied everything up to offset, and its image hashes to
// hash.
func (q *Quorum) Applied(node Node, offset int64, hash uint64) {
	q.events++
	m := q.of(node)
	if end := q.truth.end(); offset >= end && end > 0 {
		q.fail(BrokerPrefix, node, "%v applied the record at %d; %d are committed", node, offset, end)
	} else if o := q.compare(m, min(offset+1, m.log.end())); o >= 0 {
		q.fail(BrokerPrefix, node, "%v applied another record at %d than is committed", node, o)
	}
	q.sameImage(node, offset, hash)
}

// sameImage: law 37.
func (q *Quorum) sameImage(node Node, offset int64, hash uint64) {
	if q.images == nil {
		q.images = make([]image, imageWindow)
	}
	at := &q.images[offset%imageWindow]
	switch {
	case at.known && at.offset > offset: // too long ago
		return
	case at.known && at.offset == offset && at.hash != hash:
		q.fail(SameImage, node, "%v and %v have different images at offset %d", at.node, node, offset)
	}
	*at = image{offset, hash, node, true}
}

// BrokerRegistered: the controller gave the broker this epoch.
func (q *Quorum) BrokerRegistered(broker Node, epoch int64) {
	q.events++
	for i := range q.brokers {
		b := &q.brokers[i]
		if b.epoch == epoch && b.broker != broker {
			q.fail(BrokerEpochGrows, broker, "%v and %v both have epoch %d", b.broker, broker, epoch)
		}
		if b.broker == broker {
			if epoch <= b.epoch {
				q.fail(BrokerEpochGrows, broker, "%v went from epoch %d to %d", broker, b.epoch, epoch)
			}
			b.epoch = epoch
			return
		}
	}
	q.brokers = append(q.brokers, brokerEpoch{broker, epoch})
}

// Quiet: all is healed and had its time. Law 44.
func (q *Quorum) Quiet() {
	q.events++
	for _, m := range q.members {
		if !m.leads {
			continue
		}
		follow := 0
		for _, v := range q.voters {
			if f := q.of(v); f.epoch == m.epoch && f.log.end() == m.log.end() {
				follow++
			}
		}
		if follow > len(q.voters)/2 {
			return
		}
	}
	q.fail(QuorumLives, NoNode, "no leader has a majority of %v that follows it", q.voters)
}
