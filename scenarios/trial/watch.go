package trial

import (
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/checkers/permit"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios/inspector"
	"github.com/ktrial/ktrial/sim"
)

// watch has the inspector put the laws to what happens while a run is played,
// and knows what excuses a broken one. The first law that breaks without an
// excuse ends the run on the spot, so that its report begins where the trouble
// did.
type watch struct {
	*inspector.Inspector
	r *run
	// beyond: by these faults more was destroyed of a partition than its
	// configuration promises to survive.
	beyond   map[*inspector.Partition]permit.Faults
	unclean  map[string]bool // topics with unclean elections
	broken   bool            // a law; ofQuorum: one of the quorum's
	ofQuorum bool
	allowed  []reports.Permitted
	happened map[history.FaultKind]int
}

// newWatch watches the partitions of the scenario's topics, and the quorum.
func newWatch(r *run) *watch {
	w := &watch{r: r, beyond: map[*inspector.Partition]permit.Faults{}, unclean: map[string]bool{}, happened: map[history.FaultKind]int{}}
	least := map[string]int{}
	for _, t := range r.s.Topics {
		minISR, unclean := r.config.promises(t)
		least[t.Name], w.unclean[t.Name] = min(minISR, int(t.Replicas)), unclean
	}
	var voters []kafka.NodeID
	for _, name := range r.c.Controllers() {
		voters = append(voters, r.c.Server(name).ID())
	}
	w.Inspector = inspector.New(inspector.Config{
		Voters: voters, Name: r.c.HostOf,
		MinISR: func(topic string) (int, bool) { n, ours := least[topic]; return n, ours },
		Broken: w.failed, Unclean: w.uncleanElection, Replaced: w.replaced,
	})
	r.c.Committed = w.Committed
	r.w.OnPowerOff(w.powerLost)
	r.w.Ledger().Read(w.read)
	return w
}

// read follows what nodes tell, what becomes of their processes, and what the
// nemesis does.
func (w *watch) read(e *ledger.Entry) {
	if w.broken {
		return
	}
	switch f := e.Event.(type) {
	case *faults.Struck:
		w.strikes(f.Fault)
		w.note(f.Text)
	case *faults.Healed:
		w.note(f.Sentence())
	case *sim.Killed, *sim.PoweredOff, *sim.Exited:
		if s := w.r.c.Server(e.Host); s != nil {
			w.ProcessEnded(s.ID())
		}
	default:
		w.Read(e)
	}
}

// powerLost is called when the power goes, which for a torn write is later than
// the strike: between the two, a process that was just started may open its logs.
func (w *watch) powerLost(h *sim.Host) {
	s := w.r.c.Server(h.Name())
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
