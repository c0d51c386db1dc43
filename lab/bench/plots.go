package bench

import (
	"fmt"
	"path/filepath"

	"github.com/ktrial/ktrial/lab/plots"
)

// Plot draws the result into two files of a directory: where a record's time goes, and how
// much of each resource is used.
func (r *Result) Plot(dir string) error {
	budget := plots.Budget{
		Title: "Where a record's time goes", About: r.about(), Unit: "ms",
		Bars: []plots.Bar{{Name: "from Send to the consumer"}},
	}
	for _, s := range r.Stages {
		budget.Stages = append(budget.Stages, s.Name)
		budget.Bars[0].Parts = append(budget.Bars[0].Parts, max(0, s.Mean))
	}
	if r.EndToEnd.Count == 0 {
		budget.Bars[0].Name = "from Send to the answer"
	}
	use := plots.Utilisation{Title: "How much of each resource is used", About: r.about()}
	seen := map[string]bool{}
	for _, u := range r.Resources {
		if seen[u.Kind] {
			continue // one of each kind: the busiest
		}
		seen[u.Kind] = true
		use.Resources = append(use.Resources, plots.Resource{Name: u.Name, Busy: u.Busy})
		if u.Name == r.Binds {
			use.Binds = u.Name
		}
	}
	if err := plots.Save(budget, filepath.Join(dir, "budget.svg")); err != nil {
		return err
	}
	return plots.Save(use, filepath.Join(dir, "resources.svg"))
}

func (r *Result) about() string {
	return fmt.Sprintf("profile %s, %s records/s, publish mean %.3f ms, p99 %.3f ms", r.Profile, grouped(r.PerSecond), r.Publish.Mean, r.Publish.P99)
}
