package plots

import (
	"image/color"
	"math"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/ktrial/ktrial/lab/design"
)

// HeatMap shows a result for each two levels of two factors.
type HeatMap struct {
	Title, About  string
	Unit          string
	First, Second design.Factor // across and upward
	Values        [][]float64   // by level of First, then of Second; NaN: none
	Better        design.Sense
}

// Picture draws the cells, the best in the darkest colour, each with its value.
func (s HeatMap) Picture() *Picture {
	p := newPicture(s.Title, s.About)
	var all []float64
	for _, column := range s.Values {
		all = append(all, column...)
	}
	least, most := extent(all)
	p.plot.X.Min, p.plot.X.Max = -0.5, float64(len(s.First.Levels))-0.5
	p.plot.Y.Min, p.plot.Y.Max = -0.5, float64(len(s.Second.Levels))-0.5
	p.plot.X.Tick.Marker, p.plot.Y.Tick.Marker = names(s.First.Levels), names(s.Second.Levels)
	p.plot.X.Tick.Length, p.plot.Y.Tick.Length = 0, 0
	p.plot.X.Label.Text, p.plot.Y.Label.Text = s.First.Name, s.Second.Name
	p.height = vg.Length(min(max(3, len(s.Second.Levels))*44+50, height))
	p.keys = []key{{faint, "in " + s.Unit + "; the darker, the better"}}
	p.paint(func(c draw.Canvas, x, y func(float64) vg.Length) {
		for i, column := range s.Values {
			for j, value := range column {
				s.drawCell(c, x, y, i, j, value, least, most)
			}
		}
	})
	return p
}

func (s HeatMap) drawCell(c draw.Canvas, x, y func(float64) vg.Length, i, j int, value, least, most float64) {
	x0, x1, y0, y1 := x(float64(i)-0.5), x(float64(i)+0.5), y(float64(j)-0.5), y(float64(j)+0.5)
	if math.IsNaN(value) {
		line(c, grid, 0.5, x0, y0, x1, y1)
		return
	}
	part := 0.5
	if most > least {
		part = (value - least) / (most - least)
	}
	if s.Better == design.Minimize {
		part = 1 - part
	}
	fill, text := shade(part), ink
	if part > 0.55 {
		text = color.NRGBA{0xff, 0xff, 0xff, 0xff}
	}
	box(c, fill, x0+0.5, x1-0.5, y0+0.5, y1-0.5)
	style := centred(textSize, text)
	c.FillText(style, vg.Point{X: (x0 + x1) / 2, Y: (y0 + y1) / 2}, shortened(brief(value), style, x1-x0))
}

// shade is between nearly white and blue.
func shade(part float64) color.NRGBA {
	mix := func(from, to uint8) uint8 { return uint8(float64(from) + part*(float64(to)-float64(from))) }
	return color.NRGBA{mix(0xee, blue.R), mix(0xf4, blue.G), mix(0xfa, blue.B), 0xff}
}

// Front shows runs by two of their results, and those that none beats.
type Front struct {
	Title, About string
	X, Y         string // results, with units
	Points       []Setting
	// OnFront are the indices of the points that none beats.
	OnFront []int
}

// Setting is a run by two of its results.
type Setting struct {
	Name string
	XY
}

// Picture draws the points; those of the front are numbered and named in the heading.
func (s Front) Picture() *Picture {
	p := newPicture(s.Title, s.About)
	var xs, ys []float64
	for _, at := range s.Points {
		xs, ys = append(xs, at.X), append(ys, at.Y)
	}
	xMin, xMax := extent(xs)
	yMin, yMax := extentAbove0(ys)
	straight(&p.plot.X, xMin, xMax*1.06, "")
	logarithmic(&p.plot.Y, yMin/1.3, yMax*1.3)
	p.plot.X.Label.Text, p.plot.Y.Label.Text = s.X, s.Y
	on := map[int]int{}
	for n, i := range s.OnFront {
		on[i] = n + 1
		p.keys = append(p.keys, key{vermeil, brief(float64(n+1)) + " " + s.Points[i].Name})
	}
	p.gridLines()
	p.paint(func(c draw.Canvas, x, y func(float64) vg.Length) {
		for i, at := range s.Points {
			if math.IsNaN(at.X) || !(at.Y > 0) {
				continue
			}
			to := vg.Point{X: x(at.X), Y: y(at.Y)}
			n, front := on[i]
			if !front {
				c.DrawGlyph(draw.GlyphStyle{Color: faint, Radius: 2.2, Shape: draw.CircleGlyph{}}, to)
				continue
			}
			c.DrawGlyph(draw.GlyphStyle{Color: vermeil, Radius: 3.2, Shape: draw.CircleGlyph{}}, to)
			c.FillText(styled(textSize, vermeil), vg.Point{X: to.X + 5, Y: to.Y + 3}, brief(float64(n)))
		}
	})
	return p
}

// Compared shows what was predicted over what was measured, both logarithmic: on the
// diagonal they are the same.
type Compared struct {
	Title, About string
	Unit         string
	Points       []Comparison
	// Bound is the error that was aimed at, 0.2 for 20%: the shaded band.
	Bound float64
}

// Comparison is one: the median of what was measured, the least and the greatest.
type Comparison struct {
	Name                string
	Measured, Low, High float64
	Predicted           float64
}

// Picture draws the band, the diagonal, and the points with the spread of what was
// measured.
func (s Compared) Picture() *Picture {
	p := newPicture(s.Title, s.About)
	var all []float64
	for _, at := range s.Points {
		all = append(all, at.Measured, at.Low, at.High, at.Predicted)
	}
	least, most := extentAbove0(all)
	least, most = least/1.2, most*1.2
	logarithmic(&p.plot.X, least, most)
	logarithmic(&p.plot.Y, least, most)
	p.plot.X.Label.Text, p.plot.Y.Label.Text = "measured, in "+s.Unit+" (line: least to greatest)", "predicted, in "+s.Unit
	p.keys = []key{{faint, "shaded: within " + brief(s.Bound*100) + "%"}, {blue, "within, or in the spread of what was measured"}, {vermeil, "neither within nor in the spread"}}
	p.gridLines()
	p.paint(func(c draw.Canvas, x, y func(float64) vg.Length) {
		s.drawBand(c, x, y, least, most)
		for _, at := range s.Points {
			s.drawPoint(c, x, y, at)
		}
	})
	return p
}

func (s Compared) drawBand(c draw.Canvas, x, y func(float64) vg.Length, least, most float64) {
	up, down := 1+s.Bound, 1-s.Bound
	clip := func(v float64) vg.Length { return y(min(max(v, least), most)) }
	band := []vg.Point{{X: x(least), Y: clip(least * down)}, {X: x(min(most, most/down)), Y: clip(most * down)}, {X: x(most), Y: clip(most)}, {X: x(most / up), Y: clip(most)}, {X: x(least), Y: clip(least * up)}}
	c.FillPolygon(color.NRGBA{0xee, 0xf2, 0xf6, 0xff}, band)
	line(c, faint, 0.7, x(least), y(least), x(most), y(most))
}

func (s Compared) drawPoint(c draw.Canvas, x, y func(float64) vg.Length, at Comparison) {
	if !(at.Measured > 0) || !(at.Predicted > 0) {
		return
	}
	fill := vermeil
	if math.Abs(at.Predicted/at.Measured-1) <= s.Bound || at.Predicted >= at.Low && at.Predicted <= at.High {
		fill = blue
	}
	if at.Low > 0 && at.High > at.Low {
		line(c, fill, 0.8, x(at.Low), y(at.Predicted), x(at.High), y(at.Predicted))
	}
	c.DrawGlyph(draw.GlyphStyle{Color: fill, Radius: 2.6, Shape: draw.CircleGlyph{}}, vg.Point{X: x(at.Measured), Y: y(at.Predicted)})
}
