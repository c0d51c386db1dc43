// Package plots draws what a tuning lab has to show: heat maps, distributions,
// latency over load, main effects, budgets, utilisation, the Pareto front, and
// what was predicted beside what was measured. Each plot is a struct of plain
// numbers that becomes a Picture; the same numbers give the same bytes.
package plots

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/ktrial/ktrial/reports/drawing"
)

var (
	ink, faint, grid = drawing.Ink, drawing.Faint, drawing.Grid
	blue, vermeil    = drawing.Blue, drawing.Vermeil
	styled           = drawing.Style

	palette = []color.NRGBA{
		blue, vermeil, drawing.Teal, drawing.Orange, drawing.Purple, {0x56, 0xb4, 0xe9, 0xff}, {0x99, 0x88, 0x00, 0xff}, {0x66, 0x66, 0x66, 0xff},
	}
)

// colorOf is the colour of the i-th of several things.
func colorOf(i int) color.NRGBA { return palette[i%len(palette)] }

// Sizes of a picture, in points.
const (
	width     = 640
	height    = 400
	margin    = 14
	textSize  = 9
	headSize  = 13
	lineSpace = 14
	keyGap    = 14
)

// Picture is a plot with its heading, ready to be written.
type Picture struct {
	title, about string
	keys         []key
	plot         *plot.Plot
	height       vg.Length
}

// key says what a colour means.
type key struct {
	color color.Color
	means string
}

// Drawn is what can be drawn.
type Drawn interface{ Picture() *Picture }

// Save draws to a file, whose name ends with .svg or .png.
func Save(d Drawn, path string) error {
	var out bytes.Buffer
	var err error
	switch p := d.Picture(); strings.ToLower(filepath.Ext(path)) {
	case ".svg":
		err = p.WriteSVG(&out)
	case ".png":
		err = p.WritePNG(&out)
	default:
		return fmt.Errorf("plot %q: found no known ending, expected .svg or .png", path)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}

// WriteSVG draws lines and texts.
func (p *Picture) WriteSVG(w io.Writer) error { return drawing.WriteSVG(w, width, p.total(), p.draw) }

// WritePNG draws the same as pixels.
func (p *Picture) WritePNG(w io.Writer) error { return drawing.WritePNG(w, width, p.total(), p.draw) }

// newPicture makes one with empty axes.
func newPicture(title, about string) *Picture {
	p := plot.New()
	p.BackgroundColor = nil
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Tick.Label.Font, axis.Label.TextStyle.Font = styled(textSize, ink).Font, styled(textSize, ink).Font
		axis.Tick.Label.Color, axis.Label.TextStyle.Color = ink, faint
		axis.Color, axis.Tick.Color = grid, grid
		axis.Padding, axis.Tick.Length, axis.Label.Padding = 0, 3, 4
	}
	return &Picture{title: title, about: about, plot: p, height: height}
}

// rows are the heading's lines of keys: as many as fit beside each other.
func (p *Picture) rows() (rows [][]key) {
	room := vg.Length(0)
	for _, k := range p.keys {
		w := styled(textSize, ink).Width(k.means) + keyGap
		if len(rows) == 0 || room+w > width-2*margin {
			rows, room = append(rows, nil), 0
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], k)
		room += w
	}
	return rows
}

// head is how much the heading takes.
func (p *Picture) head() vg.Length {
	h := vg.Length(margin + headSize + 6)
	if p.about != "" {
		h += lineSpace * vg.Length(len(wrapped(p.about)))
	}
	return h + lineSpace*vg.Length(len(p.rows())) + 4
}

func (p *Picture) total() vg.Length { return p.height + p.head() }

func (p *Picture) draw(c draw.Canvas) {
	y := p.total() - margin - headSize
	c.FillText(styled(headSize, ink), vg.Point{X: margin, Y: y}, shortened(p.title, styled(headSize, ink), width-2*margin))
	y -= lineSpace + 2
	if p.about != "" {
		for _, line := range wrapped(p.about) {
			c.FillText(styled(textSize, faint), vg.Point{X: margin, Y: y}, line)
			y -= lineSpace
		}
	}
	for _, row := range p.rows() {
		x := vg.Length(margin)
		for _, k := range row {
			style := styled(textSize, k.color)
			c.FillText(style, vg.Point{X: x, Y: y}, k.means)
			x += style.Width(k.means) + keyGap
		}
		y -= lineSpace
	}
	p.plot.Draw(draw.Crop(c, margin, -margin, margin-4, -p.head()))
}

// wrapped breaks a text into lines that fit.
func wrapped(text string) (lines []string) {
	style := styled(textSize, ink)
	for word := range strings.FieldsSeq(text) {
		last := len(lines) - 1
		if last >= 0 && style.Width(lines[last]+" "+word) <= width-2*margin {
			lines[last] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

// shortened leaves out the end of a text that would not fit.
func shortened(text string, style draw.TextStyle, room vg.Length) string {
	if style.Width(text) <= room {
		return text
	}
	runes := []rune(text)
	for len(runes) > 0 && style.Width(string(runes)+"...") > room {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "..."
}

// centred is a style whose texts have their middle where they are put.
func centred(size font.Length, ink color.Color) draw.TextStyle {
	s := styled(size, ink)
	s.XAlign, s.YAlign = draw.XCenter, draw.YCenter
	return s
}

// box fills a rectangle.
func box(c draw.Canvas, color color.Color, x0, x1, y0, y1 vg.Length) {
	c.FillPolygon(color, []vg.Point{{X: x0, Y: y0}, {X: x1, Y: y0}, {X: x1, Y: y1}, {X: x0, Y: y1}})
}

// line strokes one between two points.
func line(c draw.Canvas, ink color.Color, thick vg.Length, x0, y0, x1, y1 vg.Length) {
	c.StrokeLine2(draw.LineStyle{Color: ink, Width: thick}, x0, y0, x1, y1)
}

// painter is a plotter that is a function, with the extent of what it paints.
type painter struct {
	paint                  func(c draw.Canvas, x, y func(float64) vg.Length)
	xMin, xMax, yMin, yMax float64
}

func (p painter) Plot(c draw.Canvas, plt *plot.Plot) {
	x, y := plt.Transforms(&c)
	p.paint(c, x, y)
}

func (p painter) DataRange() (xMin, xMax, yMin, yMax float64) { return p.xMin, p.xMax, p.yMin, p.yMax }

// paint adds what a function paints; it is called with the transforms of the axes.
func (p *Picture) paint(paint func(c draw.Canvas, x, y func(float64) vg.Length)) {
	p.plot.Add(painter{paint, p.plot.X.Min, p.plot.X.Max, p.plot.Y.Min, p.plot.Y.Max})
}

// names are ticks at 0, 1, 2, ... with a name each.
func names(all []string) (ticks plot.ConstantTicks) {
	for i, name := range all {
		ticks = append(ticks, plot.Tick{Value: float64(i), Label: name})
	}
	return ticks
}

// brief is a number with three digits, its thousands as k and M.
func brief(x float64) string {
	switch {
	case x >= 1e6 || x <= -1e6:
		return trimmed(x/1e6) + "M"
	case x >= 1e4 || x <= -1e4:
		return trimmed(x/1e3) + "k"
	}
	return trimmed(x)
}

func trimmed(x float64) string {
	switch {
	case x >= 100 || x <= -100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10 || x <= -10:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", x), ".0")
	}
	s := fmt.Sprintf("%.2f", x)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
