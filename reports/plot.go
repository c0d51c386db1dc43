package reports

import (
	"fmt"
	"image/color"
	"io"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/ktrial/ktrial/reports/drawing"
)

var (
	ink, faint, grid                    = drawing.Ink, drawing.Faint, drawing.Grid
	blue, teal, orange, vermeil, purple = drawing.Blue, drawing.Teal, drawing.Orange, drawing.Vermeil, drawing.Purple
	styled                              = drawing.Style
)

// Sizes of the picture, in points.
const (
	pageWidth  = 960
	pageMargin = 16
	headHeight = 46
	gap        = 22 // above a panel, for its heading
	tall       = 130
	low        = 58
	laneHeight = 13
	axisHeight = 34
	textSize   = 9
	perMark    = 80 // of the axis of time
)

// WriteSVG draws the run: above, what clients did and how long records took;
// below, what the cluster did, and the faults, whose spans shade all of it. The
// same run gives the same bytes.
func (t *Timeline) WriteSVG(w io.Writer) error {
	panels, height := t.panels()
	return drawing.WriteSVG(w, pageWidth, height, func(c draw.Canvas) { t.draw(c, panels, height) })
}

// WritePNG draws the same as pixels.
func (t *Timeline) WritePNG(w io.Writer) error {
	panels, height := t.panels()
	return drawing.WritePNG(w, pageWidth, height, func(c draw.Canvas) { t.draw(c, panels, height) })
}

// panels are the plots that stand over each other, and the height of all.
func (t *Timeline) panels() (panels []panel, height vg.Length) {
	panels = []panel{t.rates(), t.latency(), t.changes(), t.faults()}
	height = vg.Length(headHeight + axisHeight + pageMargin)
	for _, p := range panels {
		height += gap + p.height
	}
	return panels, height
}

func (t *Timeline) draw(c draw.Canvas, panels []panel, height vg.Length) {
	t.drawHead(draw.Crop(c, pageMargin, -pageMargin, height-headHeight, -8))
	for _, p := range panels {
		p.X.Min, p.X.Max = 0, t.Run.VirtualSeconds // curves end with a whole second
	}
	left := vg.Length(0) // of the widest labels, so that all begin at the same x
	for _, p := range panels {
		left = max(left, p.indent(c))
	}
	top := height - headHeight
	for i, p := range panels {
		bottom := top - gap - p.height
		if i == len(panels)-1 {
			bottom -= axisHeight
		}
		area := draw.Crop(c, pageMargin+left-p.indent(c), -pageMargin-8, bottom, top-gap-height)
		p.Draw(area)
		p.drawHeading(draw.Crop(c, pageMargin+left, -pageMargin-8, top-gap, top-height))
		top = bottom
	}
}

// drawHead says which run it is.
func (t *Timeline) drawHead(c draw.Canvas) {
	what := fmt.Sprintf("%s, seed %d: %s", t.Run.Scenario, t.Run.Seed, t.Run.Verdict)
	c.FillText(styled(15, ink), vg.Point{X: c.Min.X, Y: c.Max.Y - 16}, what)
	c.FillText(styled(textSize+1, faint), vg.Point{X: c.Min.X, Y: c.Max.Y - 31}, t.About)
	broken := styled(textSize+1, vermeil)
	broken.XAlign = draw.XRight
	c.FillText(broken, vg.Point{X: c.Max.X - 8, Y: c.Max.Y - 16}, t.anomalies())
}

// anomalies are those of the run: broken promises, or else what its
// configuration never promised.
func (t *Timeline) anomalies() string {
	if broken := t.Run.Violations; len(broken) > 0 {
		return fmt.Sprintf("broken at %v: %s", broken[0].At, broken[0].Check)
	}
	var parts []string
	for _, a := range t.Run.Allowed {
		if a.Count > 0 {
			parts = append(parts, count(int64(a.Count))+" "+a.Anomaly)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "allowed here: " + strings.Join(parts, ", ")
}

// panel is one of the plots that stand over each other.
type panel struct {
	*plot.Plot
	height  vg.Length
	heading string
	keys    []key
}

// key says what a colour means.
type key struct {
	color color.Color
	means string
}

func (t *Timeline) panel(height vg.Length, heading string, keys ...key) panel {
	p := plot.New()
	p.BackgroundColor = nil
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Tick.Label.Font, axis.Label.TextStyle.Font = styled(textSize, ink).Font, styled(textSize, ink).Font
		axis.Tick.Label.Color, axis.Color, axis.Tick.Color = faint, grid, grid
		axis.Padding, axis.Tick.Length = 0, 0
	}
	p.X.Tick.Marker = plot.ConstantTicks{}
	p.Add(shades{t.Run.Faults}, lines{t})
	return panel{p, height, heading, keys}
}

// times are the marks of the axis of time: at whole steps that leave room for
// their labels.
func (t *Timeline) times() (ticks plot.ConstantTicks) {
	step := 1.0
	for _, step = range []float64{1, 2, 5, 10, 20, 30, 60, 120, 300, 600} {
		if t.Run.VirtualSeconds/step <= pageWidth/perMark {
			break
		}
	}
	for at := 0.0; at <= t.Run.VirtualSeconds; at += step {
		ticks = append(ticks, plot.Tick{Value: at, Label: fmt.Sprint(at)})
	}
	return ticks
}

// indent is how much room the labels left of a panel take.
func (p *panel) indent(c draw.Canvas) vg.Length { return p.DataCanvas(c).Min.X - c.Min.X }

// drawHeading writes over a panel what it shows, and what its colours mean.
func (p *panel) drawHeading(c draw.Canvas) {
	at := vg.Point{X: c.Min.X, Y: c.Min.Y + 5}
	style := styled(textSize+1, ink)
	c.FillText(style, at, p.heading)
	at.X += style.Width(p.heading) + 14
	for _, k := range p.keys {
		style := styled(textSize, k.color)
		c.FillText(style, at, k.means)
		at.X += style.Width(k.means) + 10
	}
}

// rates are records a second.
func (t *Timeline) rates() panel {
	p := t.panel(tall, "records a second", key{blue, "sent"}, key{orange, "delivered to a first consumer"}, key{teal, "acknowledged"})
	curve := func(ink color.Color, of func(Second) int) {
		p.Add(t.steps(ink, func(s Second) (float64, bool) { return float64(of(s)), true })...)
	}
	curve(blue, func(s Second) int { return s.Sent })
	curve(orange, func(s Second) int { return s.Delivered })
	curve(teal, func(s Second) int { return s.Acknowledged })
	p.Add(phases{t.Marks})
	p.Y.Min, p.Y.Max = 0, max(1, 1.15*p.Y.Max)
	p.Y.Tick.Marker = labelled{plot.DefaultTicks{}}
	return p
}

// latency is how long records took that were sent in a second.
func (t *Timeline) latency() panel {
	p := t.panel(tall, "from being sent to a first consumer", key{purple, "half of the records within"}, key{vermeil, "99 in 100 within"}, key{faint, "slowest"})
	curve := func(ink color.Color, of func(Second) time.Duration) {
		p.Add(t.steps(ink, func(s Second) (float64, bool) { return max(of(s), least).Seconds(), s.Arrived > 0 })...)
	}
	curve(faint, func(s Second) time.Duration { return s.Max })
	curve(vermeil, func(s Second) time.Duration { return s.P99 })
	curve(purple, func(s Second) time.Duration { return s.P50 })
	p.Y.Min, p.Y.Max = least.Seconds(), max(1.5*p.Y.Max, 1)
	p.Y.Scale = plot.LogScale{}
	p.Y.Tick.Marker = plot.ConstantTicks{
		{Value: 0.001, Label: "1ms"}, {Value: 0.01, Label: "10ms"}, {Value: 0.1, Label: "100ms"}, {Value: 1, Label: "1s"}, {Value: 10, Label: "10s"}, {Value: 100, Label: "100s"},
	}
	return p
}

// least is the shortest time that is distinguished: the axis begins there.
const least = time.Millisecond

// steps draw a value of each second, where there is one.
func (t *Timeline) steps(ink color.Color, of func(Second) (float64, bool)) (curves []plot.Plotter) {
	var xys plotter.XYs
	end := func() {
		if xys != nil {
			curves = append(curves, &plotter.Line{XYs: xys, LineStyle: draw.LineStyle{Color: ink, Width: 1.2}})
		}
		xys = nil
	}
	for i, s := range t.Seconds {
		y, ok := of(s)
		if !ok {
			end()
			continue
		}
		until := min(float64(i+1), t.Run.VirtualSeconds)
		xys = append(xys, plotter.XY{X: float64(i), Y: y}, plotter.XY{X: until, Y: y})
	}
	end()
	return curves
}

// changes are what the cluster did.
func (t *Timeline) changes() panel {
	p := t.panel(low, "the cluster", key{ink, "another leads"}, key{vermeil, "no leader, or a replica left the ISR"}, key{teal, "a replica joined the ISR"})
	p.Y.Min, p.Y.Max = 0, 3
	p.Y.Tick.Marker = plot.ConstantTicks{{Value: 2.5, Label: "controllers"}, {Value: 1.5, Label: "partitions"}, {Value: 0.5, Label: "ISR"}}
	p.Add(strokes{t.Marks})
	return p
}

// faults are a lane each.
func (t *Timeline) faults() panel {
	lanes := max(1, len(t.Run.Faults))
	p := t.panel(vg.Length(lanes*laneHeight), "faults")
	p.Y.Min, p.Y.Max = 0, float64(lanes)
	p.Y.Tick.Marker = plot.ConstantTicks{}
	p.X.Label.Text = "seconds of virtual time"
	p.X.Label.TextStyle.Color = faint
	p.X.Tick.Marker = t.times()
	p.Add(lanesOf{t.Run.Faults})
	return p
}

// labelled are ticks without those that have no label.
type labelled struct{ plot.Ticker }

func (l labelled) Ticks(from, to float64) (ticks []plot.Tick) {
	for _, tick := range l.Ticker.Ticks(from, to) {
		if tick.Label != "" {
			ticks = append(ticks, tick)
		}
	}
	return ticks
}
