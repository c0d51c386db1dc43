package reports

import (
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// groups of faults have a colour each.
var groups = map[string]color.NRGBA{
	"process": {0xd5, 0x5e, 0x00, 0xff},
	"disk":    {0xaa, 0x44, 0x88, 0xff},
	"network": {0x33, 0x77, 0xbb, 0xff},
}

var (
	otherKind = color.NRGBA{0x66, 0x77, 0x77, 0xff} // clocks, leadership
	alarm     = color.NRGBA{0xcc, 0x00, 0x00, 0xff}
)

// color is that of the fault's group.
func (f Fault) color() color.NRGBA {
	if c, ok := groups[f.Group]; ok {
		return c
	}
	return otherKind
}

// pale is a colour to see others through.
func pale(c color.NRGBA, alpha uint8) color.NRGBA {
	c.A = alpha
	return c
}

// end is when it was healed; one that was not goes on to the end.
func (f Fault) end(run float64) float64 {
	if f.Until == 0 {
		return run
	}
	return f.Until.Float()
}

// Float is the number of seconds.
func (s Seconds) Float() float64 { return float64(s) / 1e9 }

// box fills a rectangle.
func box(c draw.Canvas, color color.Color, x0, x1, y0, y1 vg.Length) {
	c.FillPolygon(color, []vg.Point{{X: x0, Y: y0}, {X: x1, Y: y0}, {X: x1, Y: y1}, {X: x0, Y: y1}})
}

// shades is the shaded part of a panel while faults are under way.
type shades struct{ faults []Fault }

func (s shades) Plot(c draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&c)
	for _, f := range s.faults {
		if from, to := x(f.At.Float()), x(f.end(p.X.Max)); to > from {
			box(c, pale(f.color(), 0x12), from, to, c.Min.Y, c.Max.Y)
		}
	}
}

// lines are the grid, where phases of the run begin, and where a promise broke.
type lines struct{ t *Timeline }

func (l lines) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	vertical := func(style draw.LineStyle, at float64) { c.StrokeLine2(style, x(at), c.Min.Y, x(at), c.Max.Y) }
	thin := draw.LineStyle{Color: grid, Width: 0.5}
	for _, tick := range l.t.times() {
		vertical(thin, tick.Value)
	}
	for _, tick := range p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max) {
		if tick.Value >= p.Y.Min && tick.Value <= p.Y.Max {
			c.StrokeLine2(thin, c.Min.X, y(tick.Value), c.Max.X, y(tick.Value))
		}
	}
	for _, m := range l.t.Marks {
		if m.Kind == Phase {
			vertical(draw.LineStyle{Color: faint, Width: 0.7, Dashes: []vg.Length{2, 2}}, m.At.Float())
		}
	}
	for _, broken := range l.t.Run.Violations {
		vertical(draw.LineStyle{Color: alarm, Width: 1}, broken.At.Float())
	}
}

// phases are the names of the run's phases, where they begin.
type phases struct{ marks []Mark }

func (l phases) Plot(c draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&c)
	style := styled(textSize, faint)
	for _, m := range l.marks {
		if m.Kind != Phase {
			continue
		}
		at, room := x(m.At.Float())+3, style.Width(m.Text)
		if at+room > c.Max.X {
			at -= room + 6
		}
		c.FillText(style, vg.Point{X: at, Y: c.Max.Y - textSize - 1}, m.Text)
	}
}

// strokes are marks, a row for each kind of thing that changes.
type strokes struct{ marks []Mark }

// strokeOf is the row of a kind of mark, counted from below, and its colour.
var strokeOf = [...]struct {
	row   float64
	color color.Color
}{
	NewController: {2, ink},
	NewLeader:     {1, ink},
	NoLeader:      {1, vermeil},
	ISRShrank:     {0, vermeil},
	ISRGrew:       {0, teal},
}

func (s strokes) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, m := range s.marks {
		if m.Kind == Phase {
			continue
		}
		style := strokeOf[m.Kind]
		at := x(m.At.Float())
		c.StrokeLine2(draw.LineStyle{Color: style.color, Width: 1.2}, at, y(style.row+0.15), at, y(style.row+0.85))
	}
}

// lanesOf are faults, a lane each from above, with their sentences.
type lanesOf struct{ faults []Fault }

func (l lanesOf) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	style := styled(textSize, ink)
	style.YAlign = draw.YCenter
	for i, f := range l.faults {
		lane := p.Y.Max - float64(i)
		from, to := x(f.At.Float()), x(f.end(p.X.Max))
		box(c, f.color(), from, max(to, from+1.5), y(lane-0.85), y(lane-0.15))
		middle, room := y(lane-0.5), style.Width(f.Fault)+5
		switch {
		case to+room < c.Max.X:
			c.FillText(style, vg.Point{X: max(to, from+1.5) + 4, Y: middle}, f.Fault)
		case from-room > c.Min.X:
			c.FillText(style, vg.Point{X: from - room, Y: middle}, f.Fault)
		default: // it lasts for most of the run: into the bar
			white := style
			white.Color = color.White
			c.FillText(white, vg.Point{X: from + 4, Y: middle}, f.Fault)
		}
	}
}
