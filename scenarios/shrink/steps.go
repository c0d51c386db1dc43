package shrink

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios/trial"
	"github.com/ktrial/ktrial/workloads"
)

// shorterWork ends the work soon after the failure. All later runs take less time
// then, so it comes first.
func (s *search) shorterWork() {
	if !s.knows("duration") {
		return
	}
	r := &s.best.Result.Report
	seen := s.seenAt(r)
	for _, end := range []time.Duration{seen + time.Second, seen + 5*time.Second, seen + 15*time.Second} {
		if end = end.Round(time.Second); end > 0 && end < s.workLasts() {
			if s.fails(s.with("duration", end.String()), fmt.Sprintf("work of %v", end)) {
				return
			}
		}
	}
}

// seenAt is how long the work had lasted when the failure was seen.
func (s *search) seenAt(r *reports.Run) time.Duration {
	i := slices.IndexFunc(r.Violations, func(v reports.Violation) bool { return v.Fingerprint() == s.best.Fingerprint })
	return time.Duration(r.Violations[i].At - r.WorkBegan)
}

// workLasts is how long the work of the smallest run lasts.
func (s *search) workLasts() time.Duration {
	if set, ok := s.best.Options.Set["duration"]; ok {
		if d, err := time.ParseDuration(set); err == nil {
			return d
		}
	}
	return s.Scenario.Workload.Lasts()
}

// fewerFaults leaves out faults: halves of the plan first, then smaller parts, at
// last each alone (Zeller's ddmin, of complements).
func (s *search) fewerFaults() {
	for size := (len(s.best.Options.Plan) + 1) / 2; size > 0 && s.goesOn(); {
		removed := false
		for from := 0; from < len(s.best.Options.Plan); {
			plan := s.best.Options.Plan
			to := min(from+size, len(plan))
			less := append(slices.Clone(plan[:from]), plan[to:]...)
			if s.failsWith(less, fmt.Sprintf("%d of %d faults", len(less), len(plan))) {
				removed = true
				continue
			}
			from = to
		}
		if size == 1 && !removed {
			return
		}
		size = min(max(1, size/2), max(1, len(s.best.Options.Plan)))
	}
}

func (s *search) failsWith(plan faults.Plan, trying string) bool {
	o := s.best.Options
	if o.Plan == nil && plan == nil {
		return false
	}
	o.Plan = append(faults.Plan{}, plan...)
	return s.fails(o, trying)
}

// smallerFaults makes each fault shorter, and has it strike fewer hosts.
func (s *search) smallerFaults() {
	for i := 0; i < len(s.best.Options.Plan) && s.goesOn(); i++ {
		for s.goesOn() && s.shorter(i) {
		}
		for s.goesOn() && s.fewerHosts(i) {
		}
	}
}

// shortest is what no fault is made shorter than.
const shortest = 500 * time.Millisecond

// shorter tries half of the time of fault i.
func (s *search) shorter(i int) bool {
	t := s.best.Options.Plan[i]
	half := (t.For / 2).Round(100 * time.Millisecond)
	if t.For == 0 || half < shortest {
		return false
	}
	t.For = half
	return s.failsWith(replaced(s.best.Options.Plan, i, t), "fault "+t.String())
}

// fewerHosts tries fault i without one of the hosts of one of its targets.
func (s *search) fewerHosts(i int) bool {
	t := s.best.Options.Plan[i]
	v := reflect.ValueOf(t.Fault)
	for field := range v.NumField() {
		target, ok := v.Field(field).Interface().(faults.Target)
		if !ok || len(target.Hosts()) < 2 {
			continue
		}
		for at := range target.Hosts() {
			fewer := reflect.New(v.Type()).Elem()
			fewer.Set(v)
			fewer.Field(field).Set(reflect.ValueOf(faults.Host(slices.Delete(slices.Clone(target.Hosts()), at, at+1)...)))
			less := t
			less.Fault = fewer.Interface().(faults.Fault)
			if s.failsWith(replaced(s.best.Options.Plan, i, less), "fault "+less.String()) {
				return true
			}
		}
	}
	return false
}

func replaced(plan faults.Plan, i int, t faults.Timed) faults.Plan {
	plan = slices.Clone(plan)
	plan[i] = t
	return plan
}

// smallerCluster tries fewer topics, partitions, controllers and brokers.
func (s *search) smallerCluster() {
	shapes := []struct {
		what string
		set  func(*trial.Shape)
	}{
		{"1 topic", func(sh *trial.Shape) { sh.Topics = min(sh.Topics, 1) }},
		{"1 partition", func(sh *trial.Shape) { sh.Partitions = 1 }},
		{"1 controller", func(sh *trial.Shape) { sh.Controllers = 1 }},
		{"3 controllers", func(sh *trial.Shape) { sh.Controllers = 3 }},
		{"2 brokers", func(sh *trial.Shape) { sh.Brokers, sh.Replicas = 2, 2 }},
		{"3 brokers", func(sh *trial.Shape) { sh.Brokers = 3 }},
	}
	for _, sh := range shapes {
		o := s.best.Options
		sh.set(&o.Shape)
		if o.Shape != s.best.Options.Shape && s.isSmaller(o.Shape) {
			s.fails(o, sh.what)
		}
	}
}

// isSmaller reports whether a shape has no more of anything than the scenario has,
// or the smallest run.
func (s *search) isSmaller(sh trial.Shape) bool {
	c, now := s.Scenario.Cluster, s.best.Options.Shape
	brokers, partitions := c.Brokers+c.Combined, 0
	for _, t := range s.Scenario.Topics {
		partitions = max(partitions, int(t.Partitions))
	}
	less := func(n, now, scenario int) bool {
		if now == 0 {
			now = scenario
		}
		return n == 0 || n <= now
	}
	return less(sh.Brokers, now.Brokers, brokers) && less(sh.Controllers, now.Controllers, c.Controllers) && less(sh.Partitions, now.Partitions, partitions)
}

// lessWork tries fewer clients, and fewer records of each.
func (s *search) lessWork() {
	for _, p := range []struct {
		name   string
		values []int
	}{{"consumers", []int{0, 1}}, {"producers", []int{1, 2}}, {"rate", []int{5, 20, 50}}} {
		if !s.knows(p.name) {
			continue
		}
		for _, n := range p.values {
			value := strconv.Itoa(n)
			if now, err := strconv.Atoi(s.best.Options.Set[p.name]); err == nil && now <= n {
				break
			}
			if s.fails(s.with(p.name, value), p.name+"="+value) {
				break
			}
		}
	}
}

// fewerSettings leaves out settings of the run, so that they are what the scenario
// has: all at once first, then halves, at last each alone. A swarm draws many.
func (s *search) fewerSettings() {
	for size := len(s.settings()); size > 0 && s.goesOn(); size /= 2 {
		for from := 0; from < len(s.settings()); {
			names := s.settings()
			without := names[from:min(from+size, len(names))]
			o := s.best.Options
			o.Set = maps.Clone(o.Set)
			for _, name := range without {
				delete(o.Set, name)
			}
			if !s.fails(o, "without "+strings.Join(without, ", ")) {
				from += size
			}
		}
	}
}

// settings are those of the smallest run that do not make it smaller, by name.
func (s *search) settings() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(s.best.Options.Set)), func(name string) bool { return slices.Contains(ours, name) })
}

// ours are the parameters that make a workload smaller.
var ours = []string{"duration", "consumers", "producers", "rate"}

// knows reports whether the workload has a parameter.
func (s *search) knows(name string) bool {
	w, ok := s.Scenario.Workload.(workloads.Settable)
	return ok && slices.Contains(w.Names(), name)
}

// with is the smallest run with a setting more.
func (s *search) with(name, value string) trial.Options {
	o := s.best.Options
	o.Set = maps.Clone(o.Set)
	if o.Set == nil {
		o.Set = map[string]string{}
	}
	o.Set[name] = value
	return o
}

// mostInTable is of how many faults a truth table is made: it has two to their
// power rows.
const mostInTable = 8

// truthTable plays every choice of the faults that are left.
func (s *search) truthTable() {
	plan := s.best.Options.Plan
	if len(plan) == 0 || len(plan) > mostInTable {
		return
	}
	var table []Choice
	for bits := range 1 << len(plan) {
		if !s.goesOn() {
			return
		}
		c := Choice{With: make([]bool, len(plan))}
		o := s.best.Options
		o.Plan = faults.Plan{}
		for i, t := range plan {
			if c.With[i] = bits>>i&1 == 1; c.With[i] {
				o.Plan = append(o.Plan, t)
			}
		}
		c.Fails = len(o.Plan) == len(plan) || s.play(o, fmt.Sprintf("%d of %d faults", len(o.Plan), len(plan))) != nil
		table = append(table, c)
	}
	s.best.Table = table
}
