package checkers

import (
	"sort"

	"github.com/ktrial/ktrial/checkers/permit"
)

// Campaign gathers judgements of many runs, to tell in the end which of the
// anomalies that a configuration permits were never observed: a danger that was
// never met, or a permission that is not needed.
type Campaign struct {
	offered map[permit.Offer]bool
	seen    map[permit.Offer]int
}

// Add takes in a judgement.
func (c *Campaign) Add(j *Judgement) {
	if c.offered == nil {
		c.offered, c.seen = map[permit.Offer]bool{}, map[permit.Offer]int{}
	}
	for _, offer := range j.expect.Offers() {
		c.offered[offer] = true
	}
	for _, p := range j.Allowed {
		c.seen[permit.Offer{Anomaly: p.Anomaly, Reason: p.Reason}] += p.Count
	}
}

// NeverShown lists what was permitted and never observed, by reason.
func (c *Campaign) NeverShown() []permit.Offer {
	var never []permit.Offer
	for offer := range c.offered {
		if c.seen[offer] == 0 {
			never = append(never, offer)
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
