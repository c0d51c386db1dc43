package reports

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ktrial/ktrial/internal/nearest"
)

// Requirement is a demand on the numbers of a run, such as ack.p99<50ms.
type Requirement struct {
	Text string
	name string
	op   string
	// value in seconds, if the number is a time.
	value float64
}

// Missed is a requirement that a run misses.
type Missed struct {
	Require string `json:"require"`
	Found   string `json:"found"`
}

// number is one that can be required.
type number struct {
	about   string
	isTime  bool
	traffic bool                                // it needs all events
	of      func(*Run) (value float64, ok bool) // in seconds, if it is a time
}

// operators of requirements; one that begins with another stands before it.
var operators = []string{"<=", ">=", "<", ">", "="}

// numbersByName are those that can be required.
var numbersByName = required()

func required() map[string]number {
	all := map[string]number{}
	plain := func(name, about string, of func(*Numbers) float64) {
		all[name] = number{about: about, of: func(r *Run) (float64, bool) { return of(r.Numbers), true }}
	}
	length := func(name, about string, of func(*Run) (Seconds, bool)) {
		all[name] = number{about: about, isTime: true, of: func(r *Run) (float64, bool) {
			s, ok := of(r)
			return s.Float(), ok
		}}
	}
	quantiles := func(prefix, about string, of func(*Run) Durations) {
		for name, pick := range map[string]func(Durations) Seconds{
			"p50": func(d Durations) Seconds { return d.P50 }, "p99": func(d Durations) Seconds { return d.P99 },
			"p99.9": func(d Durations) Seconds { return d.P999 }, "max": func(d Durations) Seconds { return d.Max },
		} {
			length(prefix+"."+name, about, func(r *Run) (Seconds, bool) { d := of(r); return pick(d), d.Count > 0 })
		}
	}
	quantiles("ack", "from send to acknowledgement", func(r *Run) Durations { return r.Numbers.Ack })
	quantiles("arrival", "from send to the first consumer", func(r *Run) Durations { return r.Numbers.EndToEnd })
	for name, of := range map[string]func(Rebalances) Durations{
		"rebalance":  func(b Rebalances) Durations { return b.Stable },
		"standstill": func(b Rebalances) Durations { return b.Standstill },
	} {
		pick := func(r *Run, f func(Durations) Seconds) (worst Seconds, ok bool) {
			for _, b := range r.Rebalances {
				worst = max(worst, f(of(b)))
			}
			return worst, len(r.Rebalances) > 0
		}
		length(name+".max", "the longest "+name+" of a group", func(r *Run) (Seconds, bool) { return pick(r, func(d Durations) Seconds { return d.Max }) })
		length(name+".sum", "all time of it, of the worst group", func(r *Run) (Seconds, bool) { return pick(r, func(d Durations) Seconds { return d.Sum }) })
	}
	length("pause", "the longest time between two acknowledgements", func(r *Run) (Seconds, bool) { return r.Numbers.LongestPause, r.Numbers.Ack.Count > 0 })
	for name, of := range map[string]func(PartitionNumbers) Seconds{"leaderless": leaderless, "below-min-isr": belowMin} {
		length(name, "how long the worst partition was so", func(r *Run) (worst Seconds, ok bool) {
			for _, p := range r.Numbers.Partitions {
				worst = max(worst, of(p))
			}
			return worst, true
		})
	}
	plain("throughput", "acknowledged records a second", func(n *Numbers) float64 { return n.Acknowledged })
	plain("delivered", "records a second that reached a consumer", func(n *Numbers) float64 { return n.Delivered })
	plain("elections", "changes of leader", func(n *Numbers) float64 { return float64(n.Elections) })
	plain("isr.shrinks", "replicas leaving the ISR", func(n *Numbers) float64 { return float64(n.Shrinks) })
	plain("bytes.disk", "bytes appended to logs", func(n *Numbers) float64 { return float64(n.Disk) })
	lag := func(of func(Lag) int64) func(*Numbers) float64 {
		return func(n *Numbers) (worst float64) {
			for _, l := range n.Lag {
				worst = max(worst, float64(of(l)))
			}
			return worst
		}
	}
	plain("lag.max", "the largest lag of a group", lag(func(l Lag) int64 { return l.Max }))
	plain("lag.end", "the lag at the end of the run", lag(func(l Lag) int64 { return l.End }))
	plain("requests", "requests of all APIs", func(n *Numbers) (sum float64) {
		for _, r := range n.Requests {
			sum += float64(r.Count)
		}
		return sum
	})
	plain("errors", "answers with an error", func(n *Numbers) (sum float64) {
		for _, r := range n.Requests {
			for _, times := range r.Errors {
				sum += float64(times)
			}
		}
		return sum
	})
	plain("bytes.wire", "bytes of requests and answers", func(n *Numbers) float64 { return float64(n.Wire) })
	for _, name := range []string{"requests", "errors", "bytes.wire"} {
		n := all[name]
		n.traffic = true
		all[name] = n
	}
	return all
}

// RequirableNumbers are the names of numbers that can be required.
func RequirableNumbers() []string { return slices.Sorted(maps.Keys(numbersByName)) }

// AboutNumber says what such a number is.
func AboutNumber(name string) string { return numbersByName[name].about }

// ParseRequirement reads such as ack.p99<50ms or elections<=3.
func ParseRequirement(text string) (r Requirement, err error) {
	r.Text = text
	var value string
	for _, op := range operators {
		//text:allow an argument of the command line
		if name, rest, ok := strings.Cut(text, op); ok {
			r.name, r.op, value = strings.TrimSpace(name), op, strings.TrimSpace(rest)
			break
		}
	}
	if r.op == "" {
		return r, fmt.Errorf("--require %q: expected NAME<VALUE, such as ack.p99<50ms (also <=, >, >=, =)", text)
	}
	n, known := numbersByName[r.name]
	if !known {
		return r, fmt.Errorf("--require %q: %w", text, nearest.Unknown("number", r.name, RequirableNumbers()))
	}
	if n.isTime {
		d, err := time.ParseDuration(value)
		if err != nil {
			return r, fmt.Errorf("--require %q: found %q, expected a time, such as 50ms", text, value)
		}
		r.value = d.Seconds()
		return r, nil
	}
	if r.value, err = strconv.ParseFloat(value, 64); err != nil {
		return r, fmt.Errorf("--require %q: found %q, expected a number", text, value)
	}
	return r, nil
}

// Traffic reports whether the requirement needs events that are told only while all
// are read.
func (r Requirement) Traffic() bool { return numbersByName[r.name].traffic }

// Misses says what a run has instead of what is required; missed: it misses it.
func (r Requirement) Misses(run *Run) (m Missed, missed bool) {
	n := numbersByName[r.name]
	found, ok := n.of(run)
	m = Missed{Require: r.Text, Found: "there is none in this run"}
	if !ok {
		return m, true
	}
	if n.isTime {
		m.Found = fmt.Sprintf("%s is %s", r.name, Seconds(found*1e9).short())
	} else {
		m.Found = fmt.Sprintf("%s is %s", r.name, strconv.FormatFloat(found, 'f', -1, 64))
	}
	holds := map[string]bool{"<": found < r.value, "<=": found <= r.value, ">": found > r.value, ">=": found >= r.value, "=": found == r.value}
	return m, !holds[r.op]
}

// Require asks a run for what is required, and makes one that misses anything and passes
// otherwise a missed one.
func (r *Run) Require(all []Requirement) {
	for _, one := range all {
		r.Required = append(r.Required, one.Text)
		if m, missed := one.Misses(r); missed {
			r.MissedNumbers = append(r.MissedNumbers, m)
		}
	}
	if len(r.MissedNumbers) > 0 {
		r.Verdict = Worst(r.Verdict, Missing)
	}
}
