package trial

import (
	"fmt"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/checkers/laws"
	"github.com/ktrial/ktrial/checkers/permit"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios/cluster"
	"github.com/ktrial/ktrial/scenarios/inspector"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/network"
	"github.com/ktrial/ktrial/workloads"
)

// lawWatch puts the laws to what happens while a run is played, and knows what
// excuses a broken one. The first law that breaks without an excuse ends the
// run on the spot, so that its report begins where the trouble did.
type lawWatch struct {
	*inspector.Inspector
	w       *sim.World
	c       *cluster.Cluster
	history *history.Recorder
	// mayLose: the scenario destroys more than its configuration promises to
	// survive. Elsewhere what the controllers wrongly forgot excuses nothing.
	mayLose bool
	// outside: a law that breaks is not told.
	outside bool
	// expect says what is permitted now; permitted is called when that changed.
	expect    func() checkers.Expectations
	permitted func()
	// broke is called with the law that ends the run.
	broke func(law string, f laws.Failure)

	// beyond: by these faults more was destroyed of a partition than its
	// configuration promises to survive.
	beyond  map[*inspector.Partition]permit.Faults
	unclean map[string]bool // topics with unclean elections
	// minISR is min.insync.replicas of the scenario\'s topics.
	minISR   func(topic string) (least int, ours bool)
	broken   bool // a law; ofQuorum: one of the quorum's
	ofQuorum bool
	allowed  []reports.Permitted
	// coordinators are those of the groups, of which one that was replaced answers on.
	coordinators *coordinators
	lateEnds     *lateEnds
	happened     map[history.FaultKind]int
	// disturbing is how many faults are not healed; settings were altered, or clients
	// provoke, so there is no saying what a healthy cluster would do.
	disturbing int
	givenUp    time.Duration // when an end of a half-open connection was given up last
	troubled   bool          // by any fault
	altered    bool
}

// settle is how long a cluster may take to become well once all is healed: a request
// over a connection that was dropped silently waits for replica.socket.timeout.ms (30 s),
// and what was to be done by then, to register or to catch up, takes its time after it.
const settle = time.Minute

// firstMeeting is how long clients and brokers may take to agree where coordinators are, when the
// work begins: brokers hear of the coordinators' new topics one after another, and a KIP-848
// member that is told NOT_COORDINATOR asks again at once (AbstractHeartbeatRequestManager
// resets its backoff), as often as answers come.
const firstMeeting = time.Second

// watchLaws watches the partitions of the scenario's topics, and the quorum.
func (r *run) watchLaws() *lawWatch {
	w := &lawWatch{
		w: r.w, c: r.c, history: r.stage.Recorder, mayLose: r.s.Lesson != "", outside: r.o.Outside,
		expect: r.expectations, permitted: func() { r.seen.Expect(r.expectations()) }, broke: r.lawBroke,
		altered: r.config.setsServers() || slices.ContainsFunc(r.clients, func(c workloads.Client) bool { return c.Provokes }),
		beyond:  map[*inspector.Partition]permit.Faults{}, unclean: map[string]bool{}, happened: map[history.FaultKind]int{},
	}
	w.coordinators = newCoordinators(func(what history.FaultKind, tp kafka.TopicPartition) { w.happensTo(what, tp) })
	w.lateEnds = newLateEnds(w.endedLate)
	least := map[string]int{}
	for _, t := range r.s.Topics {
		minISR, unclean := r.config.promises(t)
		least[t.Name], w.unclean[t.Name] = min(minISR, int(t.Replicas)), unclean
	}
	var messages func(wanted bool)
	var voters []kafka.NodeID
	for _, name := range r.c.Controllers() {
		voters = append(voters, r.c.Server(name).ID())
	}
	w.minISR = func(topic string) (int, bool) { n, ours := least[topic]; return n, ours }
	inspected := func(topic string) (int, bool) {
		if n, ours := w.minISR(topic); ours {
			return n, true
		}
		n, made := r.stage.MinInsync[topic]
		return n, made
	}
	w.Inspector = inspector.New(inspector.Config{
		Voters: voters, Name: r.c.HostOf,
		MinISR: inspected, LagTimeMax: r.config.settings.Replica.LagTimeMax,
		Broken: w.failed, Unclean: w.uncleanElection, Replaced: w.replaced,
		Messages: func(wanted bool) { w.wantMessages(wanted, messages) }, FetchWait: r.config.fetchWait(),
		Turns: w.turns, Hasty: r.config.hasty(),
	})
	messages = r.w.Ledger().ReadTraffic(w.readTraffic)
	r.c.Committed = w.Committed
	r.w.OnPowerOff(w.powerLost)
	r.w.Ledger().Read(w.read)
	return w
}

// lawBroke ends the run.
func (r *run) lawBroke(law string, f laws.Failure) {
	r.violate(law, f.Text())
	v := &r.violations[len(r.violations)-1]
	v.Story, v.Inside, v.Subject = r.around(f), true, f.Subject
	v.Host, v.Producer = r.c.HostOf(kafka.NodeID(f.Node)), f.Producer
	r.w.Tell(&PromiseBroken{law, f.Text()})
	r.w.Fail(errBroken)
}

// around are the last events that make up the story and concern a failure: of
// the world, of the node's host, of the partition.
func (r *run) around(f laws.Failure) (out []reports.Moment) {
	const most = 12
	host := r.c.HostOf(kafka.NodeID(f.Node))
	for e := range r.w.Ledger().Notable() {
		about, ok := e.Event.(ledger.Subject)
		if e.Host == "" || e.Host == host || ok && about.Subject() == f.Subject {
			what := e.Event.Sentence()
			if _, ok := e.Event.(*faults.Struck); ok {
				what += fmt.Sprintf(", at %v of the work", reports.Seconds(e.At-r.workBegan))
			}
			out = append(out, reports.Moment{At: reports.Seconds(e.At), Who: e.Host, What: what})
		}
	}
	return out[max(0, len(out)-most):]
}

// read follows what nodes tell, what becomes of their processes, and what the
// nemesis does.
func (w *lawWatch) read(e *ledger.Entry) {
	if w.broken {
		return
	}
	w.disturbed(e)
	switch f := e.Event.(type) {
	case *witness.PositionReset:
		if f.AtEnd {
			w.happensTo(history.OffsetReset, f.Partition)
		}
	case *faults.Struck:
		w.strikes(f.Fault)
		w.note(f.Text)
	case *faults.Healed:
		w.note(f.Sentence())
	case *sim.Killed, *sim.PoweredOff, *sim.Exited:
		if s := w.c.Server(e.Host); s != nil {
			w.ProcessEnded(s.ID())
			w.coordinators.ended(s.ID(), w.c.InternalPartitions())
		}
	default:
		w.coordinators.read(e)
		w.lateEnds.read(e)
		w.Read(e)
	}
}

// turns is how often a server was woken. What wakes a client is its application, too.
func (w *lawWatch) turns(host string) uint64 {
	s := w.c.Server(host)
	if s == nil {
		return 0
	}
	return s.Host.Turns()
}

// wantMessages has messages told, or no longer.
func (w *lawWatch) wantMessages(wanted bool, messages func(bool)) {
	messages(wanted)
	if wanted && w.troubled {
		w.w.Ledger().Reach(inspector.ProbeCalmAgain)
	}
}

// readTraffic follows messages, while nothing disturbs the cluster.
func (w *lawWatch) readTraffic(e *ledger.Entry) {
	if !w.broken {
		w.ReadTraffic(e)
	}
}

// disturbed follows what disturbs the cluster.
func (w *lawWatch) disturbed(e *ledger.Entry) {
	after := settle
	switch f := e.Event.(type) {
	case *WorkBegan:
		after = firstMeeting
	case *faults.Struck:
		w.troubled = true
		if !f.Momentary {
			w.disturbing++
		}
	case *CoreChosen, *network.Vanished:
		w.disturbing++
	case *faults.Healed, *CoreRejoined:
		w.disturbing--
	case *network.GivenUp:
		w.disturbing--
		w.givenUp = e.At
	default:
		return
	}
	if w.Disturbed(); w.disturbing == 0 && !w.altered {
		w.Undisturbed(e.At + after)
	}
}

// powerLost is called when the power goes, which for a torn write is later than
// the strike: between the two, a process that was just started may open its logs.
func (w *lawWatch) powerLost(h *sim.Host) {
	s := w.c.Server(h.Name())
	if s == nil {
		return
	}
	n := s.Node()
	w.PowerLost(s.ID(), func(tp kafka.TopicPartition) (kafka.Offset, bool) {
		if n == nil || n.Replicas == nil || n.Replicas.Partition(tp) == nil {
			return 0, false
		}
		return n.Replicas.Partition(tp).Log().RecoveryPoint(), true
	})
}
