package plots

import (
	"math"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// XY is a point.
type XY struct{ X, Y float64 }

// Curve is a line through points, by rising X. A point with a NaN interrupts it.
type Curve struct {
	Name   string
	Points []XY
}

// Curves are lines over one axis: latency quantiles over offered load, throughput over
// partitions, and the like.
type Curves struct {
	Title, About string
	X, Y         string // what the axes are, with units
	LogX, LogY   bool
	Curves       []Curve
	Mark         string  // what happens at MarkAt: "saturated", the knee
	MarkAt       float64 // 0: nothing is marked
}

// Picture draws the curves.
func (s Curves) Picture() *Picture {
	p := newPicture(s.Title, s.About)
	var xs, ys []float64
	for i, c := range s.Curves {
		p.keys = append(p.keys, key{colorOf(i), c.Name})
		for _, at := range c.Points {
			xs, ys = append(xs, at.X), append(ys, at.Y)
		}
	}
	axis := func(log bool, values []float64) (least, most float64) {
		if log {
			return extentAbove0(values)
		}
		return extent(values)
	}
	xMin, xMax := axis(s.LogX, xs)
	yMin, yMax := axis(s.LogY, ys)
	if s.LogX {
		logarithmic(&p.plot.X, xMin, xMax)
	} else {
		straight(&p.plot.X, xMin, xMax, "")
	}
	if s.LogY {
		logarithmic(&p.plot.Y, yMin/1.2, yMax*1.2)
	} else {
		straight(&p.plot.Y, yMin, yMax*1.08, "")
	}
	p.plot.X.Label.Text, p.plot.Y.Label.Text = s.X, s.Y
	p.gridLines()
	p.paint(func(c draw.Canvas, x, y func(float64) vg.Length) {
		if s.MarkAt > 0 && s.MarkAt >= p.plot.X.Min && s.MarkAt <= p.plot.X.Max {
			s.drawMark(c, x(s.MarkAt))
		}
		for i, curve := range s.Curves {
			s.drawCurve(c, x, y, i, curve)
		}
	})
	return p
}

// drawMark draws the mark, its text on the side where there is room.
func (s Curves) drawMark(c draw.Canvas, at vg.Length) {
	c.StrokeLine2(draw.LineStyle{Color: faint, Width: 0.8, Dashes: []vg.Length{3, 3}}, at, c.Min.Y, at, c.Max.Y)
	style := styled(textSize, faint)
	to := at + 4
	if to+style.Width(s.Mark) > c.Max.X {
		to = at - 4 - style.Width(s.Mark)
	}
	c.FillText(style, vg.Point{X: to, Y: c.Max.Y - textSize - 2}, s.Mark)
}

func (s Curves) drawCurve(c draw.Canvas, x, y func(float64) vg.Length, i int, curve Curve) {
	drawn := func(at XY) bool {
		return !math.IsNaN(at.X) && !math.IsNaN(at.Y) && (!s.LogX || at.X > 0) && (!s.LogY || at.Y > 0)
	}
	for j, at := range curve.Points {
		if !drawn(at) {
			continue
		}
		if j > 0 && drawn(curve.Points[j-1]) {
			before := curve.Points[j-1]
			line(c, colorOf(i), 1.3, x(before.X), y(before.Y), x(at.X), y(at.Y))
		}
		if len(curve.Points) <= 40 {
			c.DrawGlyph(draw.GlyphStyle{Color: colorOf(i), Radius: 2, Shape: draw.CircleGlyph{}}, vg.Point{X: x(at.X), Y: y(at.Y)})
		}
	}
}

// CCDF is which share of samples is above a value: tails show on its logarithmic axis.
type CCDF struct {
	Title, About string
	X            string // what the values are, with their unit
	Curves       []Curve
}

// Above is the curve of sorted samples: at each value the share that is above it.
func Above(name string, sorted []float64) Curve {
	c := Curve{Name: name}
	n := float64(len(sorted))
	for i, x := range sorted {
		if i+1 < len(sorted) && sorted[i+1] == x {
			continue
		}
		c.Points = append(c.Points, XY{x, 1 - float64(i+1)/n})
	}
	return c
}

// Picture draws the distributions.
func (s CCDF) Picture() *Picture {
	return Curves{Title: s.Title, About: s.About, X: s.X, Y: "share of records above", LogX: true, LogY: true, Curves: s.Curves}.Picture()
}
