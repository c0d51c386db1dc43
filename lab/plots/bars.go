package plots

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/ktrial/ktrial/lab/design"
)

// rowHeight is that of a bar that lies, with its gap.
const rowHeight = 24

// lying makes the axes of bars that lie, the first on top.
func (p *Picture) lying(rows []string, least, most float64, unit, label string) {
	straight(&p.plot.X, least, most, unit)
	upward := slices.Clone(rows)
	slices.Reverse(upward)
	p.plot.Y.Min, p.plot.Y.Max = -0.6, float64(len(rows))-0.4
	p.plot.Y.Tick.Marker = names(upward)
	p.plot.Y.Tick.Length, p.plot.Y.Width = 0, 0
	p.plot.X.Label.Text = label
	p.height = vg.Length(max(2, len(rows))*rowHeight + 60)
}

// lyingBar fills the bar of a row.
func lyingBar(c draw.Canvas, x, y func(float64) vg.Length, rows, row int, from, to float64, fill color.Color) (x0, x1, middle vg.Length) {
	at := float64(rows - 1 - row)
	x0, x1 = x(min(from, to)), x(max(from, to))
	box(c, fill, x0, x1, y(at-0.34), y(at+0.34))
	return x0, x1, y(at)
}

// Tornado shows main effects: of each factor the means of the result by level, from the
// least to the greatest, the factor with the greatest effect on top.
type Tornado struct {
	Title, About string
	Unit         string
	Effects      []design.Effect
}

// Picture draws the effects.
func (s Tornado) Picture() *Picture {
	p := newPicture(s.Title, s.About)
	var all []float64
	var rows []string
	for _, e := range s.Effects {
		all, rows = append(all, e.Means...), append(rows, e.Factor.Name)
	}
	least, most := extent(all)
	room := max(most-least, math.Abs(most)*0.01, 1e-9) * 0.22 // of the levels' names, on both sides
	p.lying(rows, least, most, "", "mean of the result by level, in "+s.Unit)
	p.plot.X.Min, p.plot.X.Max = least-room, most+room
	p.gridLines()
	p.paint(func(c draw.Canvas, x, y func(float64) vg.Length) {
		for i, e := range s.Effects {
			lowest, highest := ends(e)
			if lowest < 0 {
				continue
			}
			x0, x1, middle := lyingBar(c, x, y, len(rows), i, e.Means[lowest], e.Means[highest], blue)
			right := styled(textSize, ink)
			right.YAlign = draw.YCenter
			left := right
			left.XAlign = draw.XRight
			c.FillText(left, vg.Point{X: x0 - 4, Y: middle}, shortened(e.Factor.Levels[lowest], left, x0-c.Min.X-4))
			c.FillText(right, vg.Point{X: x1 + 4, Y: middle}, shortened(e.Factor.Levels[highest], right, c.Max.X-x1-4))
		}
	})
	return p
}

// ends are the levels with the least and the greatest mean; -1 without any.
func ends(e design.Effect) (lowest, highest int) {
	lowest, highest = -1, -1
	for i, m := range e.Means {
		if math.IsNaN(m) {
			continue
		}
		if lowest < 0 || m < e.Means[lowest] {
			lowest = i
		}
		if highest < 0 || m > e.Means[highest] {
			highest = i
		}
	}
	return lowest, highest
}

// Budget shows what a latency is made of: a bar for each setting, a colour for each stage.
type Budget struct {
	Title, About string
	Unit         string
	Stages       []string // linger, buffer, network, append, fsync, replication wait, fetch
	Bars         []Bar
}

// Bar is one of a budget.
type Bar struct {
	Name  string
	Parts []float64 // by stage
}

// Picture draws the budget.
func (s Budget) Picture() *Picture {
	p := newPicture(s.Title, s.About)
	var rows []string
	var sums []float64
	for _, b := range s.Bars {
		sum := 0.0
		for _, part := range b.Parts {
			sum += part
		}
		rows, sums = append(rows, b.Name), append(sums, sum)
	}
	for i, stage := range s.Stages {
		p.keys = append(p.keys, key{colorOf(i), stage})
	}
	_, most := extent(sums)
	p.lying(rows, 0, most*1.12, "", "mean, in "+s.Unit)
	p.gridLines()
	p.paint(func(c draw.Canvas, x, y func(float64) vg.Length) {
		for i, b := range s.Bars {
			from := 0.0
			var end, middle vg.Length = x(0), 0
			for j, part := range b.Parts {
				_, end, middle = lyingBar(c, x, y, len(rows), i, from, from+part, colorOf(j))
				from += part
			}
			style := styled(textSize, ink)
			style.YAlign = draw.YCenter
			c.FillText(style, vg.Point{X: end + 4, Y: middle}, brief(sums[i]))
		}
	})
	return p
}

// Utilisation shows how much of each resource is used, and which one binds.
type Utilisation struct {
	Title, About string
	Resources    []Resource
	Binds        string // the name of one; "": none
}

// Resource is one, and the share of it that is used.
type Resource struct {
	Name string
	Busy float64 // 0 to 1
}

// Picture draws the resources.
func (s Utilisation) Picture() *Picture {
	p := newPicture(s.Title, s.About)
	var rows []string
	for _, r := range s.Resources {
		rows = append(rows, r.Name)
	}
	p.lying(rows, 0, 112, "%", "of its time or capacity")
	p.gridLines()
	p.paint(func(c draw.Canvas, x, y func(float64) vg.Length) {
		for i, r := range s.Resources {
			fill, text := blue, fmt.Sprintf("%.0f%%", r.Busy*100)
			if r.Name == s.Binds {
				fill, text = vermeil, text+" binds"
			}
			_, end, middle := lyingBar(c, x, y, len(rows), i, 0, min(1, r.Busy)*100, fill)
			style := styled(textSize, ink)
			style.YAlign = draw.YCenter
			at := end + 4
			if at+style.Width(text) > c.Max.X { // into the bar
				style.Color = color.White
				at = end - 4 - style.Width(text)
			}
			c.FillText(style, vg.Point{X: at, Y: middle}, text)
		}
	})
	return p
}
