package scenarios

import (
	"fmt"
	"time"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// Poisoned is work of which one order in twenty cannot be processed.
var Poisoned = workloads.DeadLetters{
	GroupConsume: Billing, Retry: "orders-retry", Dead: "orders-dead", Attempts: 3, Poison: 20,
}

// PoisonPillToDLQ: some orders cannot be processed. Each is tried three times, by way of a
// retry topic, so that it holds up no other; then it is set aside in a topic of dead letters,
// which a mended program processes in the end. Members that pass an order on die before they
// have committed it, and brokers before they have answered: no order may get lost between two
// topics.
var PoisonPillToDLQ = Scenario{
	Name:    "poison-pill-to-dlq",
	About:   "orders that cannot be processed are tried three times, set aside, and processed when the program is mended",
	Cluster: Grouped,
	Topics: []Topic{
		Orders,
		{Name: "orders-retry", Partitions: 2, Replicas: 3, MinInsync: 2},
		{Name: "orders-dead", Partitions: 2, Replicas: 3, MinInsync: 2},
	},
	Workload: Poisoned,
	Faults: faults.Plan{
		{At: 8 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.Host("member-1")}},
		{At: 16 * time.Second, For: 5 * time.Second, Fault: faults.Isolate{Host: faults.Leader("orders-retry", 0)}},
		{At: 17 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.Members("billing")}},
		{At: 28 * time.Second, For: 4 * time.Second, Fault: faults.Kill{Host: faults.Leader("orders-dead", 1)}},
		{At: 29 * time.Second, For: 9 * time.Second, Fault: faults.Pause{Host: faults.Host("member-2")}},
		{At: 46 * time.Second, For: 3 * time.Second, Fault: faults.Kill{Host: faults.Host("mender")}},
	},
	Checks:    PromisesToGroups,
	OwnChecks: []checkers.Check{poisonIsSetAside(Poisoned)},
	Probes:    []*ledger.Probe{ProbeMemberExpelled},
}

// poisonIsSetAside: an order that cannot be processed is tried as often as was asked for, at
// least, and is then among the dead letters; one that can be is in neither topic.
func poisonIsSetAside(w workloads.DeadLetters) checkers.Check {
	return checkers.Check{
		Name:  "poison is tried and then set aside",
		About: "of the orders exactly those that cannot be processed are tried so often, and then among the dead letters",
		Run: func(h *history.History) checkers.Checked {
			p := pills{w: w, h: h, of: map[uint32]*pill{}}
			h.EachOf(history.HasSends, p.read)
			return p.judge()
		},
	}
}

// pill is what became of an order. Sends that failed do not count; those of which it is not
// known do as attempts.
type pill struct {
	name                string
	sent, retried, dead int
	row                 int
	at                  time.Duration
}

type pills struct {
	w     workloads.DeadLetters
	h     *history.History
	of    map[uint32]*pill // by record key
	order []*pill
}

func (p *pills) read(op *history.Op) bool {
	for _, s := range op.Sends {
		if s.Details == 0 || op.Type == history.Failed {
			continue
		}
		d := p.h.Details(s.Details)
		x := p.of[d.RecordKey()]
		if x == nil {
			x = &pill{name: p.h.Attributes(d).RecordKey.String(), row: op.Row, at: op.End}
			p.of[d.RecordKey()] = x
			p.order = append(p.order, x)
		}
		acked := 0
		if op.Type == history.OK {
			acked = 1
		}
		switch p.topicOf(s.Rec) {
		case p.w.Retry:
			x.retried++
		case p.w.Dead:
			x.dead += acked
		default:
			x.sent += acked
		}
	}
	return true
}

// topicOf is the topic of a record, where that is one of those beside the input.
func (p *pills) topicOf(rec history.Rec) string {
	key := p.h.Keys()[p.h.KeyOf(rec)]
	for _, topic := range []string{p.w.Retry, p.w.Dead} {
		for n := range int32(2) {
			if key == history.Partition(topic, n) {
				return topic
			}
		}
	}
	return ""
}

func (p *pills) judge() (found checkers.Checked) {
	for _, x := range p.order {
		if x.sent == 0 {
			continue // it may not be there
		}
		found.Count++
		poison := p.w.IsPoison(x.name)
		what := ""
		switch {
		case poison && x.dead == 0:
			what = "cannot be processed, and is not among the dead letters"
		case poison && x.retried < p.w.Attempts-1:
			what = fmt.Sprintf("was tried again %d times before it was set aside, of %d", x.retried, p.w.Attempts-1)
		case !poison && x.retried+x.dead > 0:
			what = "can be processed, and was passed on all the same"
		}
		if what != "" {
			found.Broken = append(found.Broken, checkers.Broken{Message: x.name + " " + what, Ops: []int64{p.h.Index(x.row)}, At: x.at})
		}
	}
	return found
}
