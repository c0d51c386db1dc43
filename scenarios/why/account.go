package why

import (
	"fmt"
	"iter"
	"net"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/workloads"
)

// account is what the events say of one partition, in their order.
type account struct {
	partition string

	appends   []appended
	ends      []ended
	marks     []mark
	roles     []role
	decisions []decision
	chosen    []chosen
	lives     []life
	sends     []send
	polls     []poll
	lost      []abandoned
	refused   []refused
	rewrites  []rewritten
	fetches   map[fetchOf]fetched             // the last one of each follower
	counted   map[kafka.NodeID][]kafka.NodeID // the ISR by which each leader counts
	fences    []fenced
	fencings  map[kafka.NodeID]fencing // the last one of each broker
	hosts     map[kafka.NodeID]string

	reading

	leads map[kafka.NodeID]bool
	logs  map[kafka.NodeID]kafka.Offset // where each log ends
	open  map[int64]send                // by process
}

type (
	fetchOf struct{ leader, follower kafka.NodeID }
	// fetched: a follower asked for what begins at from, of the leader of an epoch.
	fetched struct {
		moment
		from  kafka.Offset
		epoch kafka.LeaderEpoch
	}
	// fencing: the controllers committed that a broker is fenced, or shuts down.
	fencing struct {
		moment
		fenced, leaving bool
	}
	// appended: a batch came into a replica's log.
	appended struct {
		moment
		node      kafka.NodeID
		from, end kafka.Offset
		epoch     kafka.LeaderEpoch
		leads     bool
		batch     witness.Batch
	}
	// ended: a replica's log ends at to from now on, where it ended at from.
	ended struct {
		moment
		node     kafka.NodeID
		from, to kafka.Offset
		leader   kafka.NodeID // of a truncation
		epoch    kafka.LeaderEpoch
		how      ending
	}
	// mark: a replica's high watermark moved.
	mark struct {
		moment
		node  kafka.NodeID
		to    kafka.Offset
		leads bool
	}
	role struct {
		moment
		node    kafka.NodeID
		leads   bool
		epoch   kafka.LeaderEpoch
		leader  kafka.NodeID
		end, hw kafka.Offset
		isr     []kafka.NodeID
	}
	// decision is the partition as the controllers committed it.
	decision struct {
		moment
		host  string
		epoch kafka.LeaderEpoch
		witness.PartitionCommitted
	}
	chosen struct {
		moment
		host string
		witness.LeaderChosen
	}
	// life: something became of a host.
	life struct {
		moment
		host, text string
		down       bool
	}
	send struct {
		from, to moment
		client   string
		value    string
		offset   int64
		epoch    int32
		outcome  string // empty: it never ended
		err      string
		op       int64
	}
	poll struct {
		moment
		client      string
		first, last int64
		epoch       int32
		op          int64
	}
	// refused: a leader answered a produce request with an error.
	refused struct {
		moment
		host, client string
		code         int16
	}
	// abandoned: a client waited no longer for the answer to its produce request.
	abandoned struct {
		moment
		client, why string
	}
)

// ending is how a log came to end earlier.
type ending uint8

const (
	byTruncation ending = iota
	byRestart           // it was dropped and begins anew
	byOpening           // it was found so when it was opened
)

// accountOf reads the events of a partition. ofLaw: a law broke, and the account
// ends with the event that broke it.
func accountOf(events iter.Seq[*ledger.Entry], partition string, ofLaw bool) *account {
	a := &account{
		partition: partition, hosts: map[kafka.NodeID]string{}, leads: map[kafka.NodeID]bool{},
		fetches: map[fetchOf]fetched{}, counted: map[kafka.NodeID][]kafka.NodeID{}, fencings: map[kafka.NodeID]fencing{},
		logs: map[kafka.NodeID]kafka.Offset{}, open: map[int64]send{},
	}
	a.readAll(events, ofLaw, a.read)
	for _, s := range a.open {
		a.sends = append(a.sends, s)
	}
	slices.SortFunc(a.sends, func(x, y send) int { return x.from.seq - y.from.seq })
	return a
}

// promiseBroken is the kind of the event that a trial tells when a law broke. Its
// package imports this one.
const promiseBroken = "promise-broken"

func (a *account) read(e *ledger.Entry) {
	if r, ok := e.Event.(interface{ Of() *witness.Replica }); ok {
		if of := r.Of(); of != nil && of.Subject() == a.partition {
			a.hosts[of.Node] = e.Host
			a.readReplica(of.Node, e.Event)
		}
		return
	}
	now := a.last
	switch x := e.Event.(type) {
	case *witness.PartitionCommitted:
		if x.Subject() == a.partition && (len(a.decisions) == 0 || x.At > a.decisions[len(a.decisions)-1].At) {
			a.decisions = append(a.decisions, decision{now, e.Host, x.LeaderEpoch, *x})
		}
	case *witness.BrokerCommitted:
		if old, known := a.fencings[x.Broker]; !known || old.fenced != x.Fenced || old.leaving != x.Leaving {
			a.fencings[x.Broker] = fencing{now, x.Fenced, x.Leaving}
		}
	case *witness.BrokerFenced:
		a.fences = append(a.fences, fenced{now, e.Host, x.Broker})
	case *witness.SegmentsReplaced:
		if x.Subject() == a.partition {
			a.rewrites = append(a.rewrites, rewritten{now, e.Host, *x})
		}
	case *witness.LeaderChosen:
		if x.Subject() == a.partition {
			a.chosen = append(a.chosen, chosen{now, e.Host, *x})
		}
	case *witness.RequestAbandoned:
		if x.API == "Produce" {
			a.lost = append(a.lost, abandoned{now, e.Host, x.Text})
		}
	case *witness.AnswerSent:
		if x.API == "Produce" && x.Code != 0 && x.Connection != nil {
			client, _, _ := net.SplitHostPort(x.Client)
			a.refused = append(a.refused, refused{now, e.Host, client, x.Code})
		}
	case *sim.Started, *sim.Resumed:
		a.lives = append(a.lives, life{now, e.Host, e.Event.Sentence(), false})
	case *sim.Killed, *sim.PoweredOff, *sim.Exited, *sim.Paused:
		a.lives = append(a.lives, life{now, e.Host, e.Event.Sentence(), true})
	case *workloads.Invoked:
		a.invoked(x)
	case *workloads.Completed:
		a.completed(x)
	}
}

func (a *account) invoked(x *workloads.Invoked) {
	for _, s := range x.Sends {
		if s.Partition.String() == a.partition {
			a.open[x.Process] = send{from: a.last, client: x.Client, value: s.Value.String(), offset: -1, epoch: -1, op: x.Index}
			return
		}
	}
}

func (a *account) completed(x *workloads.Completed) {
	if s, ok := a.open[x.Process]; ok {
		delete(a.open, x.Process)
		s.to, s.outcome, s.err = a.last, x.Outcome, x.Error
		for _, of := range x.Sends {
			if of.Partition.String() == a.partition && of.Value.String() == s.value {
				s.offset, s.epoch = of.Offset, of.Epoch
			}
		}
		a.sends = append(a.sends, s)
	}
	for _, p := range x.Polled {
		if p.Partition.String() == a.partition {
			a.polls = append(a.polls, poll{a.last, x.Client, p.First, p.Last, p.Epoch, x.Index})
		}
	}
}

func (a *account) readReplica(node kafka.NodeID, event ledger.Event) {
	now := a.last
	shorter := func(to kafka.Offset, leader kafka.NodeID, epoch kafka.LeaderEpoch, how ending) {
		a.ends = append(a.ends, ended{now, node, a.logs[node], to, leader, epoch, how})
		a.logs[node] = to
	}
	switch e := event.(type) {
	case *witness.Opened:
		shorter(e.End, kafka.NoNode, 0, byOpening)
		a.leads[node] = false
	case *witness.Truncated:
		shorter(e.To, e.Leader, e.Epoch, byTruncation)
	case *witness.Restarted:
		shorter(e.At, e.Leader, e.Epoch, byRestart)
	case *witness.Appended:
		a.appends = append(a.appends, appended{now, node, e.From, e.End, e.Batch.Epoch, a.leads[node], e.Batch})
		a.logs[node] = e.End
	case *witness.FollowerFetched:
		a.fetches[fetchOf{node, e.Follower}] = fetched{now, e.From, e.Epoch}
	case *witness.MaximalISR:
		a.counted[node] = slices.Clone(e.Nodes)
	case *witness.HighWatermarkMoved:
		a.marks = append(a.marks, mark{now, node, e.To, a.leads[node]})
	case *witness.BecameLeader:
		a.leads[node] = true
		a.roles = append(a.roles, role{now, node, true, e.Epoch, node, e.End, e.HW, e.ISR})
	case *witness.BecameFollower:
		a.leads[node] = false
		a.roles = append(a.roles, role{now, node, false, e.Epoch, e.Leader, e.End, e.HW, nil})
	}
}

// name is the host of a node.
func (a *account) name(node kafka.NodeID) string {
	if host, known := a.hosts[node]; known {
		return host
	}
	return fmt.Sprintf("broker %d", node)
}

func (a *account) names(nodes []kafka.NodeID) string {
	var out []string
	for _, n := range nodes {
		out = append(out, a.name(n))
	}
	return and(out)
}

// epochAt is the leader epoch of what a replica has at an offset, before a moment.
func (a *account) epochAt(node kafka.NodeID, offset kafka.Offset, until moment) (epoch kafka.LeaderEpoch, known bool) {
	for _, b := range a.appends {
		if b.node == node && b.before(until) && b.from <= offset && offset < b.end {
			epoch, known = b.epoch, true
		}
	}
	return epoch, known
}

// endBefore is where a replica's log ended before a moment.
func (a *account) endBefore(node kafka.NodeID, at moment) (end kafka.Offset) {
	for _, b := range a.appends {
		if b.node == node && b.before(at) {
			end = b.end
		}
	}
	return end
}

// committedBelow is the highest high watermark that a leader had.
func (a *account) committedBelow() (end kafka.Offset) {
	for _, m := range a.marks {
		if m.leads {
			end = max(end, m.to)
		}
	}
	return end
}

// roleBefore is the last role that a replica took before a moment.
func (a *account) roleBefore(node kafka.NodeID, at moment) (last role, known bool) {
	for _, r := range a.roles {
		if r.node == node && r.before(at) {
			last, known = r, true
		}
	}
	return last, known
}

// and lists names: a, b and c.
func and(names []string) string {
	switch n := len(names); n {
	case 0:
		return "none"
	case 1:
		return names[0]
	default:
		text := names[0]
		for _, name := range names[1 : n-1] {
			text += ", " + name
		}
		return text + " and " + names[n-1]
	}
}
