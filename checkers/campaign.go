package checkers

import "sort"

// Campaign gathers judgements of many runs, to tell in the end which of the
// anomalies that a configuration permits never showed: a danger that was never
// met, or a permission that nobody needs.
type Campaign struct {
	offered map[Allowed]bool
	shown   map[Allowed]int
}

// Add takes in a judgement.
func (c *Campaign) Add(j *Judgement) {
	if c.offered == nil {
		c.offered, c.shown = map[Allowed]bool{}, map[Allowed]int{}
	}
	for i := range permissions {
		row := &permissions[i]
		if row.reason == permissions[0].reason || !row.when(&j.expect) {
			continue
		}
		for _, anomaly := range row.permits {
			c.offered[Allowed{Anomaly: anomaly, Reason: row.reason}] = true
		}
	}
	for _, allowed := range j.Allowed {
		n := allowed.Count
		allowed.Count = 0
		c.shown[allowed] += n
	}
}

// NeverShown lists what was permitted and never happened, by reason.
func (c *Campaign) NeverShown() []Allowed {
	var never []Allowed
	for allowed := range c.offered {
		if c.shown[allowed] == 0 {
			never = append(never, allowed)
		}
	}
	sort.Slice(never, func(i, j int) bool {
		if never[i].Reason != never[j].Reason {
			return never[i].Reason < never[j].Reason
		}
		return never[i].Anomaly < never[j].Anomaly
	})
	return never
}
