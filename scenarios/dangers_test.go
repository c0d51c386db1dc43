package scenarios_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios/cluster"
	"github.com/ktrial/ktrial/scenarios/trial"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/network"
)

// danger is what a run must meet to be of use as a seed: a probe that it must
// reach, an anomaly that it must be allowed, or something to be seen in its events.
type danger struct {
	probe   *ledger.Probe
	anomaly string
	seen    func(*ledger.Entry) bool
	met     bool
}

// allowed begins the name of a danger that shows as an anomaly.
const allowed = "allowed anomaly "

func isDanger(name string) bool { return newDanger(name) != nil }

// newDanger is a danger for one run, by its name in seeds.txt; nil: there is none
// of this name.
func newDanger(name string) *danger {
	if i := slices.IndexFunc(ledger.Probes(), func(p *ledger.Probe) bool { return p.Name == name }); i >= 0 {
		return &danger{probe: ledger.Probes()[i]}
	}
	if anomaly, ok := strings.CutPrefix(name, allowed); ok {
		return &danger{anomaly: anomaly}
	}
	if of := dangers[name]; of != nil {
		return &danger{seen: of()}
	}
	return nil
}

// read is called with each event of the run.
func (d *danger) read(e *ledger.Entry) { d.met = d.met || d.seen != nil && d.seen(e) }

// in reports whether the run, which is over, met the danger.
func (d *danger) in(r *trial.Result) bool {
	return d.met || d.probe != nil && r.Ledger.Reached()[d.probe] > 0 ||
		d.anomaly != "" && slices.ContainsFunc(r.Report.Allowed, func(a reports.Permitted) bool { return a.Anomaly == d.anomaly && a.Count > 0 })
}

// dangers are those that no single line of the stack can see. Each is made anew
// for a run, and says at which event it is met.
var dangers = map[string]func() func(*ledger.Entry) bool{
	"a replaced leader tells its end":                                                     replacedLeader,
	"power is lost to a torn write after the logs were opened":                            lateTornWrite,
	"a vote after an append of which only the end is known":                               unknownAppend,
	"an outvoted leader has records cut that are committed later":                         outvotedCut,
	"a replica is out of sync half a minute after all healed":                             longOutOfSync,
	"a leader looks for replicas that lag before it tells that it leads":                  earlyLook,
	"a commit of an epoch before the last is accepted":                                    olderEpoch,
	"a request vanishes when all faults have healed":                                      lateVanished,
	"a mark of a process that had opened nothing":                                         emptyMark,
	"a member is told a dozen times within 100ms to look for its coordinator":             hotSearch,
	"a member is heard of while its removal waits to be written":                          heardWhileRemoved,
	"a session ends that began long before its member is said to have joined":             lateJoined,
	"a coordinator has a removal in its log that the one before it had not":               removalBack,
	"a server is not stopped, for it has not registered yet":                              notStopped,
	"a static replacement is not committed in time, and the group has rebalanced with it": lateSwap,
	"a broker registers anew in the instant in which another may end":                     registersAtOnce,
	"two brokers leave at once":                                                           leaveAtOnce,
	"a member leaves before its join is answered":                                         leftUnanswered,
	"a static member leaves before it was told what it is to give up":                     leftUntold,
	"a client finds its coordinator 100 s after a broker was left out":                    lateFound,
}

// lateSwap: more than three seconds after a static member joined by another id that is not in the
// log yet, it is a member of a generation that was completed since.
func lateSwap() func(*ledger.Entry) bool {
	joined := map[string]time.Duration{}
	return func(e *ledger.Entry) bool {
		switch event := e.Event.(type) {
		case *witness.MemberJoined:
			if event.Instance != "" {
				joined[event.Member] = e.At
			}
		case *witness.MemberReplaced:
			delete(joined, event.By)
		case *witness.GenerationCompleted:
			for _, member := range event.Members {
				if at, is := joined[member]; is && e.At-at > 3*time.Second {
					return true
				}
			}
		}
		return false
	}
}

// registersAtOnce: a controller lets a broker end in the instant in which it registers the
// next process of another.
func registersAtOnce() func(*ledger.Entry) bool {
	registers := time.Duration(-1)
	return func(e *ledger.Entry) bool {
		switch e.Event.(type) {
		case *witness.BrokerRegistering:
			registers = e.At
		case *witness.ShutdownGranted:
			return registers == e.At
		}
		return false
	}
}

// leaveAtOnce: a controller lets a broker end in the instant in which it lets another begin
// its controlled shutdown.
func leaveAtOnce() func(*ledger.Entry) bool {
	left := time.Duration(-1)
	return func(e *ledger.Entry) bool {
		switch e.Event.(type) {
		case *witness.BrokerLeaving:
			left = e.At
		case *witness.ShutdownGranted:
			return left == e.At
		}
		return false
	}
}

// leftUnanswered: a member is given its partitions in an answer when it is gone.
func leftUnanswered() func(*ledger.Entry) bool {
	left := map[string]bool{}
	return func(e *ledger.Entry) bool {
		switch event := e.Event.(type) {
		case *witness.MemberLeft:
			left[event.Member] = true
		case *witness.MemberJoined:
			delete(left, event.Member)
		case *witness.GroupAssigned:
			return left[event.Member]
		}
		return false
	}
}

// leftUntold: a static member leaves for a while and keeps less than it was given last.
func leftUntold() func(*ledger.Entry) bool {
	given := map[string]int{}
	return func(e *ledger.Entry) bool {
		switch event := e.Event.(type) {
		case *witness.GroupAssigned:
			given[event.Member] = len(event.Partitions)
		case *witness.MemberAway:
			return len(event.Keeps) < given[event.Member]
		}
		return false
	}
}

// lateFound: a client finds a coordinator long after all faults have healed but for a broker that stays cut off:
// its connections to that one time out one after another.
func lateFound() func(*ledger.Entry) bool {
	chosen := time.Duration(-1)
	return func(e *ledger.Entry) bool {
		switch e.Event.(type) {
		case *trial.CoreChosen:
			chosen = e.At
		case *witness.CoordinatorFound:
			return chosen >= 0 && e.At-chosen > 100*time.Second
		}
		return false
	}
}

// notStopped: a server is left to run that is to be stopped.
func notStopped() func(*ledger.Entry) bool {
	return func(e *ledger.Entry) bool {
		_, refused := e.Event.(*cluster.StopRefused)
		return refused
	}
}

// heardWhileRemoved: the coordinator hears of a member between its decision to remove it
// and the time at which that is in the log.
func heardWhileRemoved() func(*ledger.Entry) bool {
	over, heard := map[string]bool{}, map[string]bool{}
	return func(e *ledger.Entry) bool {
		switch event := e.Event.(type) {
		case *witness.MemberTimedOut:
			over[event.Member] = true
		case *witness.MemberHeard:
			heard[event.Member] = over[event.Member]
		case *witness.MemberLeft:
			met := heard[event.Member]
			delete(over, event.Member)
			delete(heard, event.Member)
			return met
		}
		return false
	}
}

// lateJoined: a member's session is over sooner after it is told that it joined than
// the session lasts, for it began when the member asked.
func lateJoined() func(*ledger.Entry) bool {
	joined := map[string]time.Duration{}
	return func(e *ledger.Entry) bool {
		switch event := e.Event.(type) {
		case *witness.MemberJoined:
			joined[event.Member] = e.At
		case *witness.MemberTimedOut:
			at, known := joined[event.Member]
			return known && !event.Rebalance && e.At-at < event.Timeout/2
		case *witness.MemberHeard:
			delete(joined, event.Member)
		}
		return false
	}
}

// removalBack: a member that was removed has been given partitions by another coordinator,
// and is in the log of a third one no more.
func removalBack() func(*ledger.Entry) bool {
	removed, back := map[string]bool{}, map[string]bool{}
	return func(e *ledger.Entry) bool {
		switch event := e.Event.(type) {
		case *witness.MemberLeft:
			removed[event.Member], back[event.Member] = true, false
		case *witness.MemberJoined:
			removed[event.Member], back[event.Member] = false, false
		case *witness.GroupAssigned:
			back[event.Member] = removed[event.Member]
		case *witness.GroupHolds:
			for member, is := range back {
				if is && !slices.ContainsFunc(event.Members, func(m witness.MemberHolds) bool { return m.Member == member }) {
					return true
				}
			}
		}
		return false
	}
}

// hotSearch: a member looks for its coordinator, and is told by it that it is none, again and again.
func hotSearch() func(*ledger.Entry) bool {
	lately := map[string][]time.Duration{}
	return func(e *ledger.Entry) bool {
		if _, ok := e.Event.(*witness.CoordinatorForgotten); !ok {
			return false
		}
		all := append(lately[e.Host], e.At)
		for all[0] < e.At-100*time.Millisecond {
			all = all[1:]
		}
		lately[e.Host] = all
		return len(all) >= 12
	}
}

// emptyMark: a replica is opened after a clean shutdown, and the process before had opened none.
func emptyMark() func(*ledger.Entry) bool {
	opened, before := map[string]bool{}, map[string]bool{}
	return func(e *ledger.Entry) bool {
		switch event := e.Event.(type) {
		case *sim.Started:
			_, known := before[e.Host]
			before[e.Host] = opened[e.Host] || !known
			opened[e.Host] = false
		case *witness.Opened:
			opened[e.Host] = true
			return event.Clean && !before[e.Host]
		}
		return false
	}
}

// lateVanished: a connection that a firewall forgot is used when all faults have healed. Its
// sender waits for the answer until the request times out.
func lateVanished() func(*ledger.Entry) bool {
	healing := false
	return func(e *ledger.Entry) bool {
		switch e.Event.(type) {
		case *trial.HealingBegan:
			healing = true
		case *network.Vanished:
			return healing
		}
		return false
	}
}

// replacedLeader: a client is told the end of a log by a leader after another
// replica began a later epoch.
func replacedLeader() func(*ledger.Entry) bool {
	newest := map[kafka.TopicPartition]kafka.LeaderEpoch{}
	return func(e *ledger.Entry) bool {
		switch e := e.Event.(type) {
		case *witness.BecameLeader:
			newest[e.Partition] = max(newest[e.Partition], e.Epoch)
		case *witness.EndServed:
			return e.Epoch < newest[e.Partition]
		}
		return false
	}
}

// lateTornWrite: a torn write takes the power of a host whose process has opened
// replicas since the fault struck.
func lateTornWrite() func(*ledger.Entry) bool {
	opened := map[string]bool{} // of hosts whose next write is torn
	return func(e *ledger.Entry) bool {
		switch f := e.Event.(type) {
		case *faults.Struck:
			if torn, ok := f.Fault.(faults.TornWrite); ok {
				for _, host := range torn.Host.Hosts() {
					opened[host] = false
				}
			}
		case *witness.Opened:
			if _, torn := opened[e.Host]; torn {
				opened[e.Host] = true
			}
		case *sim.PoweredOff:
			met := opened[e.Host]
			delete(opened, e.Host)
			return met
		}
		return false
	}
}

// unknownAppend: a member of the quorum that ends with an append in which its process
// died is voted for, or votes. It is known where the append ends, not what is in it.
func unknownAppend() func(*ledger.Entry) bool {
	type member struct {
		end              kafka.Offset
		writing, unknown bool
	}
	members := map[kafka.NodeID]*member{}
	hosts := map[string]*member{}
	return func(e *ledger.Entry) bool {
		of := func(r *witness.Replica) *member {
			if members[r.Node] == nil {
				members[r.Node] = &member{}
				hosts[e.Host] = members[r.Node]
			}
			return members[r.Node]
		}
		switch f := e.Event.(type) {
		case *witness.QuorumAppending:
			of(f.Replica).writing = true
		case *witness.QuorumAppended:
			*of(f.Replica) = member{end: f.End}
		case *witness.QuorumTruncated:
			*of(f.Replica) = member{end: f.To}
		case *witness.QuorumOpened:
			m := of(f.Replica)
			m.unknown = m.unknown && f.End == m.end || m.writing && f.End > m.end
			m.end, m.writing = f.End, false
		case *witness.QuorumVoted:
			candidate := members[f.Candidate]
			return f.Candidate != f.Node && (of(f.Replica).unknown || candidate != nil && candidate.unknown)
		}
		return false
	}
}

// outvotedCut: a member cuts off records that are committed, in an epoch later than the one it
// is in: it follows a leader that the others have outvoted, and that never had them.
func outvotedCut() func(*ledger.Entry) bool {
	logs := map[kafka.NodeID][]witness.Batch{}
	var committed []witness.Batch // in order
	var hw kafka.Offset
	var epoch kafka.LeaderEpoch
	cut := func(log []witness.Batch, to kafka.Offset) []witness.Batch {
		return slices.DeleteFunc(log, func(b witness.Batch) bool { return b.End > to })
	}
	return func(e *ledger.Entry) bool {
		switch f := e.Event.(type) {
		case *witness.QuorumAppended:
			logs[f.Node] = append(cut(logs[f.Node], f.From), f.Batch)
		case *witness.QuorumCommitted:
			if f.HW > hw {
				hw, epoch = f.HW, max(epoch, f.Epoch)
				for _, b := range logs[f.Node] {
					if b.End <= hw && (len(committed) == 0 || b.From >= committed[len(committed)-1].End) {
						committed = append(committed, b)
					}
				}
			}
		case *witness.QuorumTruncated:
			gone := slices.ContainsFunc(logs[f.Node], func(b witness.Batch) bool { return b.End > f.To && slices.Contains(committed, b) })
			logs[f.Node] = cut(logs[f.Node], f.To)
			return gone && f.Epoch < epoch
		}
		return false
	}
}

// olderEpoch: a member commits an offset with an older epoch than it did before.
func olderEpoch() func(*ledger.Entry) bool {
	newest := map[string]int32{}
	return func(e *ledger.Entry) bool {
		c, ok := e.Event.(*witness.OffsetCommitted)
		if !ok {
			return false
		}
		before := newest[c.Member]
		newest[c.Member] = max(before, c.Generation)
		return c.Generation >= 0 && c.Generation < before
	}
}

// earlyLook: a broker has led in an epoch, leads in a later one, and looks for replicas
// that lag before it has written that the later one began.
func earlyLook() func(*ledger.Entry) bool {
	leads := map[*witness.Replica]kafka.LeaderEpoch{}
	return func(e *ledger.Entry) bool {
		switch f := e.Event.(type) {
		case *witness.BecameLeader:
			leads[f.Replica] = f.Epoch
		case *witness.LagsChecked:
			led, ever := leads[f.Replica]
			return ever && f.Epoch > led
		}
		return false
	}
}

// longOutOfSync: a replica comes back into the ISR later than 30 s after the last
// fault healed.
func longOutOfSync() func(*ledger.Entry) bool {
	healed := time.Duration(-1)
	return func(e *ledger.Entry) bool {
		switch f := e.Event.(type) {
		case *trial.HealingBegan, *trial.CoreRejoined:
			healed = e.At
		case *trial.CoreChosen:
			healed = -1 // some hosts are cut off again
		case *witness.ISRChanged:
			return healed >= 0 && f.Expands && e.At > healed+30*time.Second
		}
		return false
	}
}

// What a danger of seeds.txt is not told apart by would be met by any run, or by none.
func TestDangersHaveNames(t *testing.T) {
	assert.True(t, isDanger("broker gave up registering"))
	assert.True(t, isDanger(allowed+"duplicate"))
	assert.True(t, isDanger("a replaced leader tells its end"))
	assert.False(t, isDanger("broker gave up"))
	assert.False(t, isDanger(""))
	assert.False(t, isDanger("no such probe"))
}
