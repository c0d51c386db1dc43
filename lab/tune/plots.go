package tune

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ktrial/ktrial/lab/design"
	"github.com/ktrial/ktrial/lab/plots"
)

// Plot draws the report into files of a directory: main effects and, of the two factors with
// the greatest, a heat map, of throughput and p99; and the front.
func (r *Report) Plot(dir string) error {
	for _, name := range []string{"throughput", "p99"} {
		m, err := FindMetric(name)
		if err != nil {
			return err
		}
		if err := r.plotMetric(dir, m); err != nil {
			return err
		}
	}
	front := plots.Front{Title: "Throughput against p99", About: r.about(), X: "records a second", Y: "publish latency p99, ms"}
	at := map[int]int{} // points by cell
	for i := range r.Cells {
		c := &r.Cells[i]
		if c.Refused == "" {
			at[i] = len(front.Points)
			front.Points = append(front.Points, plots.Setting{Name: strings.Join(c.Settings, " "), XY: plots.XY{X: c.Result.PerSecond, Y: c.Result.Publish.P99}})
		}
	}
	if len(front.Points) == 0 {
		return nil
	}
	for _, i := range r.Front {
		front.OnFront = append(front.OnFront, at[i])
	}
	return plots.Save(front, filepath.Join(dir, "front.svg"))
}

func (r *Report) plotMetric(dir string, m Metric) error {
	results := r.results(m)
	effects := design.MainEffects(r.Design, results)
	tornado := plots.Tornado{Title: "What each setting does to " + m.Name, About: r.about(), Unit: m.About, Effects: effects}
	if err := plots.Save(tornado, filepath.Join(dir, "effects-"+m.Name+".svg")); err != nil || len(effects) < 2 {
		return err
	}
	first, second := r.index(effects[0].Factor), r.index(effects[1].Factor)
	heat := plots.HeatMap{
		Title: m.Name + " over " + effects[0].Factor.Name + " and " + effects[1].Factor.Name, About: r.about(), Unit: m.About,
		First: effects[0].Factor, Second: effects[1].Factor, Values: design.Table(r.Design, results, first, second), Better: m.Sense,
	}
	return plots.Save(heat, filepath.Join(dir, "map-"+m.Name+".svg"))
}

func (r *Report) index(f design.Factor) int {
	for i := range r.Design.Factors {
		if r.Design.Factors[i].Name == f.Name {
			return i
		}
	}
	return -1
}

func (r *Report) about() string {
	for i := range r.Cells {
		if c := &r.Cells[i]; c.Refused == "" {
			return fmt.Sprintf("%d cells, profile %s", len(r.Cells), c.Result.Profile)
		}
	}
	return fmt.Sprintf("%d cells", len(r.Cells))
}
