// Package inspector reads what the nodes of a cluster tell of themselves, in the
// ledger, and puts it before the laws, which keep their own account of each
// partition and of the metadata log.
//
// It knows no trial. What no node tells, that its process ended or that its
// disk lost something, it learns by calls. Whether a law that broke is excused
// is for the caller to say.
package inspector

import (
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/checkers/laws"
	"github.com/ktrial/ktrial/ledger"
)

// Config says what is inspected, and what is called when something is found.
// Its functions must not block.
type Config struct {
	// Voters of the quorum.
	Voters []kafka.NodeID
	// Name is how messages name a node; nil: its number.
	Name func(kafka.NodeID) string
	// MinISR is min.insync.replicas of a topic, as far as it has so many. Topics
	// for which it reports false are not inspected. Nil: 1, of each topic.
	MinISR func(topic string) (min int, inspected bool)

	// LagTimeMax is replica.lag.time.max.ms; 0: the law that needs it is not asked.
	LagTimeMax time.Duration

	// Broken is called with each law that breaks: of a partition, or (nil) of the
	// quorum. forgiven: from now on what is left of the partition is the truth.
	Broken func(p *Partition, f laws.Failure) (forgiven bool)
	// Unclean, if set, is called when a leader was elected from outside of ISR
	// and ELR, before the laws say what that cost.
	Unclean func(p *Partition)
	// Replaced, if set, is called when a partition begins or ends to have leaders
	// that were replaced and do not know it: they serve on as if nothing had happened.
	Replaced func(p *Partition, unaware bool)

	// Messages, if set, is called when ReadTraffic is to be given the messages from now
	// on, and when no longer.
	Messages func(wanted bool)
	// FetchWait is how long a consumer's fetch may wait, Turns how often the process of a
	// host was woken, and Hasty that much is to happen often; see laws.TrafficConfig.
	FetchWait time.Duration
	Turns     func(host string) uint64
	Hasty     bool
}

// Inspector reads the ledger of one cluster.
type Inspector struct {
	cfg    Config
	Quorum *laws.Quorum

	brokers    *laws.Brokers
	groups     *laws.Coordination
	Traffic    *laws.Traffic
	txns       *laws.Transactions
	calm       laws.Calm
	partitions []*Partition // in the order in which they were met
	byID       map[witness.PartitionID]*Partition
	sources    map[*witness.Replica]*source
	last       *source // that was asked for

	// committed is the offset of the metadata log below which all is known:
	// every controller tells of every record, and the first one counts.
	committed kafka.Offset
	nodes     map[kafka.NodeID]*node
	lists     [3][]laws.Node // scratch, as are these two
	epochs    []laws.Epoch
	starts    []int64
}

// source is what tells most events: a replica, or a member of the quorum.
type source struct {
	of        *witness.Replica
	node      *node
	partition *Partition // nil: it is not inspected, or that of the quorum
}

// node is one server: its process and its disk.
type node struct {
	up bool // it has told something since it was started
	// damaged: its disk lied or rots, so what was synced may be gone.
	damaged bool
	// incarnation was registered last, with this broker epoch.
	incarnation kafka.UUID
	epoch       kafka.BrokerEpoch
	unfenced    bool
	// clean: the process that opened a replica last had found the mark of a clean
	// shutdown.
	clean bool
}

// Partition is what is known of a partition.
type Partition struct {
	witness.PartitionID
	Laws   *laws.Replication
	MinISR int
	// Replicas are what the controllers committed last.
	Replicas []kafka.NodeID

	known   bool
	deleted bool // its topic: another one may have its name
	leader  kafka.NodeID
	members []kafka.NodeID // of ISR or ELR
	// lost: the nodes that lost power or disk since they last opened the log. A
	// process may come and go several times before it does.
	lost []kafka.NodeID
	// unaware are the leaders that were replaced and have not heard of it.
	unaware  []kafka.NodeID
	forgiven bool
}

// New makes an inspector. Its Read is to be given to the ledger.
func New(cfg Config) *Inspector {
	in := &Inspector{
		cfg: cfg, byID: map[witness.PartitionID]*Partition{}, sources: map[*witness.Replica]*source{},
		nodes: map[kafka.NodeID]*node{}, last: &source{}, brokers: laws.NewBrokers(),
	}
	in.Quorum = laws.NewQuorum(laws.QuorumConfig{Subject: kafka.MetadataPartition.String(), Name: in.name(), Voters: in.list(0, cfg.Voters), Brokers: in.brokers, Calm: &in.calm})
	in.Quorum.Report = func(f laws.Failure) { cfg.Broken(nil, f) }
	in.groups = laws.NewCoordination(in.name())
	in.groups.Report, in.groups.Calm = in.Quorum.Report, &in.calm
	in.Traffic = laws.NewTraffic(laws.TrafficConfig{Calm: &in.calm, FetchWait: cfg.FetchWait, Turns: cfg.Turns, Hasty: cfg.Hasty})
	in.Traffic.Report = in.Quorum.Report
	in.txns = laws.NewTransactions(in.name())
	in.txns.Report = in.Quorum.Report
	return in
}

func (in *Inspector) name() func(laws.Node) string {
	if in.cfg.Name == nil {
		return nil
	}
	return func(n laws.Node) string { return in.cfg.Name(kafka.NodeID(n)) }
}

// Partitions are all that were met, in that order. A topic that was created
// again has both the old ones and the new.
func (in *Inspector) Partitions() []*Partition { return in.partitions }

// IsDeleted reports whether the partition's topic is: there may be another of its name.
func (p *Partition) IsDeleted() bool { return p.deleted }

// Committed is the offset below which the metadata log is known to be committed.
func (in *Inspector) Committed() kafka.Offset { return in.committed }

// IsDamaged reports whether Damaged was called for a node.
func (in *Inspector) IsDamaged(id kafka.NodeID) bool { return in.of(id).damaged }

func (in *Inspector) of(id kafka.NodeID) *node {
	n := in.nodes[id]
	if n == nil {
		n = &node{}
		in.nodes[id] = n
	}
	return n
}

// partition is the one with that id; nil: it is not inspected.
func (in *Inspector) partition(id witness.PartitionID) *Partition {
	if p, met := in.byID[id]; met {
		return p
	}
	p := in.meet(id)
	in.byID[id] = p
	return p
}

func (in *Inspector) meet(id witness.PartitionID) *Partition {
	p := &Partition{PartitionID: id, MinISR: 1}
	if in.cfg.MinISR != nil {
		var inspected bool
		if p.MinISR, inspected = in.cfg.MinISR(id.Partition.Topic); !inspected {
			return nil
		}
	}
	p.Laws = laws.NewReplication(laws.ReplicationConfig{Subject: id.Partition.String(), Name: in.name(), MinISR: p.MinISR, HWNeedsMinISR: true, Brokers: in.brokers, Calm: &in.calm, LagTimeMax: in.cfg.LagTimeMax})
	p.Laws.Report = func(f laws.Failure) {
		if in.cfg.Broken(p, f) {
			p.forgiven = true
		}
	}
	in.partitions = append(in.partitions, p)
	return p
}

// sourceOf is the source that tells events as r.
func (in *Inspector) sourceOf(r *witness.Replica) *source {
	if r == in.last.of {
		return in.last
	}
	t := in.sources[r]
	if t == nil {
		t = &source{of: r, node: in.of(r.Node)}
		if r.Partition != kafka.MetadataPartition {
			t.partition = in.partition(r.ID())
		}
		in.sources[r] = t
	}
	in.last = t
	return t
}

// settle ends what an event did to a partition. It is not done while laws are
// in the middle of something.
func (in *Inspector) settle(p *Partition) {
	if p.forgiven {
		p.forgiven = false
		p.Laws.LostTooMuch()
	}
}

// list translates nodes into scratch memory.
func (in *Inspector) list(i int, ids []kafka.NodeID) []laws.Node {
	out := in.lists[i][:0]
	for _, id := range ids {
		out = append(out, laws.Node(id))
	}
	in.lists[i] = out
	return out
}

// ProcessEnded: of a node, in whatever way. No process tells of its own death.
func (in *Inspector) ProcessEnded(id kafka.NodeID) {
	n := in.of(id)
	if !n.up {
		return
	}
	n.up = false
	for r, t := range in.sources {
		if t.node == n {
			delete(in.sources, r) // the next process has others
		}
	}
	in.last = &source{}
	for _, p := range in.partitions {
		in.learned(p, id)
		p.Laws.Stopped(laws.Node(id))
	}
}

// PowerLost: a node loses what it has not synced. synced is asked how far its
// log of a partition is synced, and reports false if it does not know; nil: of
// none is it known.
func (in *Inspector) PowerLost(id kafka.NodeID, synced func(kafka.TopicPartition) (end kafka.Offset, known bool)) {
	for _, p := range in.partitions {
		p.loses(id)
		if synced == nil || in.of(id).damaged || p.deleted {
			continue
		}
		if end, known := synced(p.Partition); known {
			p.Laws.Flushed(laws.Node(id), int64(end))
		}
	}
}

// Damaged: the disk of a node lies, or rots. What its logs hold from now on is
// not known.
func (in *Inspector) Damaged(id kafka.NodeID) { in.of(id).damaged = true }

// Wiped: a node has lost its disk.
func (in *Inspector) Wiped(id kafka.NodeID) {
	for _, p := range in.partitions {
		p.loses(id)
		p.Laws.Wiped(laws.Node(id))
		in.settle(p)
	}
	in.Quorum.Wiped(laws.Node(id))
}

func (p *Partition) loses(id kafka.NodeID) {
	if !slices.Contains(p.lost, id) {
		p.lost = append(p.lost, id)
	}
}

// Undisturbed: from a time on, which may be to come, nothing disturbs the cluster.
// Until this is called for the first time something does.
func (in *Inspector) Undisturbed(since time.Duration) { in.calm.Undisturbed(since) }

// Disturbed: something disturbs the cluster, until Undisturbed is called.
func (in *Inspector) Disturbed() {
	in.calm.Disturbed()
	in.endTraffic() // at once: with all nodes dead, only clients tell something
}

// TransactionsEnding reports whether some transaction is decided and not complete.
func (in *Inspector) TransactionsEnding() bool { return in.txns.Ending() }

// Quiet: all is healed and had its time. but says which partitions are let off.
func (in *Inspector) Quiet(but func(*Partition) bool) {
	for _, p := range in.partitions {
		if !p.deleted && !but(p) {
			p.Laws.Quiet()
			in.hangs(p)
			in.settle(p)
		}
	}
	in.Quorum.Quiet()
	in.groups.Quiet()
	in.txns.Quiet()
}

// Read reads an event. It allocates nothing but what the laws' accounts grow by.
func (in *Inspector) Read(e *ledger.Entry) {
	in.calm.Now = e.At
	in.watchTraffic(e)
	event, ok := e.Event.(interface{ Of() *witness.Replica })
	if !ok {
		if !in.readController(e.Event) {
			in.readShard(e)
		}
		return
	}
	r := event.Of()
	if r == nil {
		return // of no replica in particular
	}
	t := in.sourceOf(r)
	t.node.up = true
	switch {
	case t.partition != nil:
		in.readReplica(t.partition, r.Node, e.Event)
		in.settle(t.partition)
	case r.Partition == kafka.MetadataPartition:
		in.readQuorum(r.Node, e.Event)
	}
}
