package trial

import (
	"maps"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
)

// rebalances measures what the rebalances of each group cost its members: how long
// the group was not stable, as its coordinator has it, and how long each partition
// stood still, as its members saw it.
func rebalances(l *ledger.Ledger, h *history.History) []reports.Rebalances {
	stable, still := map[string][]time.Duration{}, map[string][]time.Duration{}
	unstable(l, func(group string, took time.Duration) { stable[group] = append(stable[group], took) })
	standstills(h, func(group string, took time.Duration) { still[group] = append(still[group], took) })
	var out []reports.Rebalances
	for _, group := range slices.Sorted(maps.Keys(stable)) {
		out = append(out, reports.Rebalances{Group: group, Stable: reports.DurationsOf(stable[group]), Standstill: reports.DurationsOf(still[group])})
	}
	return out
}

// atRest are the states of a group in which nothing is being moved.
var atRest = []string{"Stable", "Empty", "Dead"}

// unstable calls found with the time of each rebalance that came to its end: from the
// state that the group left to the one in which it is stable again.
func unstable(l *ledger.Ledger, found func(group string, took time.Duration)) {
	since := map[string]time.Duration{}
	for e := range l.Notable() {
		s, ok := e.Event.(*witness.GroupState)
		if !ok {
			continue
		}
		began, busy := since[s.Group]
		switch {
		case !slices.Contains(atRest, s.To):
			if !busy {
				since[s.Group] = e.At
			}
		case busy:
			delete(since, s.Group)
			if s.To == "Stable" {
				found(s.Group, e.At-began)
			}
		}
	}
}

// part is a partition as the members of a group see it.
type part struct {
	owner int32         // process that was given something of it last
	last  time.Duration // when
	since time.Duration // it was given up; 0: it was not
}

// standstills calls found whenever a partition goes on after it has moved, or has
// been taken away and given back: with the time from when it was given up, or (of an
// owner that died) last read, to the first record after.
func standstills(h *history.History, found func(group string, took time.Duration)) {
	type at struct {
		group string
		key   history.Key
	}
	parts := map[at]*part{}
	h.Each(func(op *history.Op) bool {
		if op.Group == "" || op.F != history.Poll || op.Type != history.OK {
			return true
		}
		for _, key := range op.Rebalanced {
			if p := parts[at{op.Group, key}]; p != nil && p.owner == op.ProcessNo && p.since == 0 {
				p.since = max(op.Start, p.last)
			}
		}
		for i, polled := range op.Polled {
			key := h.KeyOf(polled.Rec)
			if i > 0 && key == h.KeyOf(op.Polled[i-1].Rec) {
				continue
			}
			p := parts[at{op.Group, key}]
			if p == nil {
				p = &part{owner: op.ProcessNo}
				parts[at{op.Group, key}] = p
			} else if p.since > 0 || p.owner != op.ProcessNo {
				since := p.since
				if since == 0 {
					since = p.last
				}
				found(op.Group, max(0, op.End-since))
			}
			*p = part{owner: op.ProcessNo, last: op.End}
		}
		return true
	})
}
