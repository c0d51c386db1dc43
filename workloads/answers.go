package workloads

import (
	"fmt"
	"time"

	"github.com/ktrial/ktrial/conformance"
	"github.com/ktrial/ktrial/conformance/sessions"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim/env"
)

// Answers has clients play sessions of requests whose answers Apache Kafka 4.4 gave, and
// compare them with what they are told. The sessions ask what no client library would, of each
// API: what is unknown, empty, huge, twice there, out of turn or illegal.
//
// Clients ask: anything. Servers owe: what Kafka answers, field by field, but for what
// conformance/differences.md lists.
type Answers struct{}

// askers is how many play sessions at the same time.
const askers = 8

// Name is how `ktrial list` names it.
func (w Answers) Name() string { return "answers" }

// About is one line for `ktrial list`.
func (w Answers) About() string {
	return "clients send requests of all kinds, legal and not, and compare the answers with those of Apache Kafka 4.4"
}

// Lasts is how long the sessions take: most of it is waiting for timers of groups.
func (w Answers) Lasts() time.Duration { return time.Minute }

// ProbeSessionCompared is of a session that was played to its end.
var ProbeSessionCompared = ledger.NewProbe("session compared", "a session of requests was played to its end, and each answer compared with Kafka's")

// Clients are the askers. The first begins alone, with the sessions that change what others see.
func (w Answers) Clients(s *Stage) (out []Client) {
	listed, err := sessions.ReadDifferences(conformance.Differences)
	if err != nil {
		panic("workloads: conformance/differences.md: " + err.Error())
	}
	all := &answers{s: s, listed: listed}
	for i, r := range sessions.Recordings() {
		to := &all.each[i%askers]
		if r.Alone {
			to = &all.alone
		}
		*to = append(*to, r)
	}
	for i := range askers {
		out = append(out, Client{Host: fmt.Sprintf("asker-%d", i+1), Compares: true, Provokes: true, Main: (&asker{all: all, number: i}).main})
	}
	return out
}

// answers are the sessions of a run, and which asker plays which.
type answers struct {
	s      *Stage
	listed sessions.Differences
	alone  []sessions.Recording
	each   [askers][]sessions.Recording
	shared bool // the sessions that must be alone are over
}

// asker plays some of the sessions, over all lives of its process.
type asker struct {
	all    *answers
	number int
	played int // sessions, for the names of their topics
}

func (a *asker) main(h env.Host) {
	a.all.s.AwaitWork(h)
	if a.number == 0 && !a.all.shared {
		if err := a.driver(h).Greet(); err != nil {
			h.Tell(&ClientFound{What: "the cluster", Wrong: err.Error()})
		}
		a.play(h, a.all.alone)
		a.all.shared = true
	}
	for !a.all.shared {
		h.Sleep(100 * time.Millisecond)
	}
	a.play(h, a.all.each[a.number])
}

func (a *asker) play(h env.Host, recorded []sessions.Recording) {
	for _, r := range recorded {
		a.played++
		found, err := a.driver(h).Recorded(r)
		if err != nil {
			panic("workloads: " + err.Error())
		}
		e := &ClientFound{What: "session " + r.Name}
		if len(found) > 0 {
			f := found[0]
			e.Wrong = fmt.Sprintf("%s, %s v%d, %s: Kafka 4.4 answers %s, found %s", f.Step, f.API, f.Version, f.Path, f.Kafka, f.Ours)
		}
		h.Tell(e)
		h.Reached(ProbeSessionCompared)
	}
}

func (a *asker) driver(h env.Host) *sessions.Driver {
	return &sessions.Driver{Net: sessions.On(h), Ours: a.all.s.Bootstrap, Listed: a.all.listed, Run: 1000*a.number + a.played}
}
