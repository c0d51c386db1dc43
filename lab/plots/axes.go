package plots

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// linear are ticks at round numbers.
type linear struct{ unit string }

func (l linear) Ticks(from, to float64) (ticks []plot.Tick) {
	for _, t := range (plot.DefaultTicks{}).Ticks(from, to) {
		if t.Label != "" {
			ticks = append(ticks, plot.Tick{Value: t.Value, Label: brief(t.Value) + l.unit})
		}
	}
	return ticks
}

// powers are ticks of a logarithmic axis: at each power of ten, and where there are few
// of these, at its double and its fivefold.
type powers struct{}

func (powers) Ticks(from, to float64) (ticks []plot.Tick) {
	decades := math.Log10(to / from)
	for power := math.Floor(math.Log10(from)); power <= math.Ceil(math.Log10(to)); power++ {
		for _, n := range []float64{1, 2, 5} {
			value := n * math.Pow(10, power)
			if value < from*0.999 || value > to*1.001 || n != 1 && decades > 3 {
				continue
			}
			ticks = append(ticks, plot.Tick{Value: value, Label: small(value)})
		}
	}
	return ticks
}

// small is a number that may be far below one.
func small(x float64) string {
	if x < 0.01 {
		return trimmed(x/math.Pow(10, math.Floor(math.Log10(x)))) + "e" + trimmed(math.Floor(math.Log10(x)))
	}
	return brief(x)
}

// logarithmic makes an axis so.
func logarithmic(axis *plot.Axis, from, to float64) {
	axis.Min, axis.Max = from, to
	axis.Scale, axis.Tick.Marker = plot.LogScale{}, powers{}
}

// straight makes an axis from zero, or from its least value if that is below.
func straight(axis *plot.Axis, least, most float64, unit string) {
	axis.Min, axis.Max = min(0, least), most
	if axis.Max <= axis.Min {
		axis.Max = axis.Min + 1
	}
	axis.Tick.Marker = linear{unit}
}

// gridLines are those of both axes.
func (p *Picture) gridLines() {
	p.paint(func(c draw.Canvas, x, y func(float64) vg.Length) {
		for _, t := range p.plot.X.Tick.Marker.Ticks(p.plot.X.Min, p.plot.X.Max) {
			if t.Value >= p.plot.X.Min && t.Value <= p.plot.X.Max {
				line(c, grid, 0.5, x(t.Value), c.Min.Y, x(t.Value), c.Max.Y)
			}
		}
		for _, t := range p.plot.Y.Tick.Marker.Ticks(p.plot.Y.Min, p.plot.Y.Max) {
			if t.Value >= p.plot.Y.Min && t.Value <= p.plot.Y.Max {
				line(c, grid, 0.5, c.Min.X, y(t.Value), c.Max.X, y(t.Value))
			}
		}
	})
}

// extent is the least and the greatest of numbers; of none, both are 0. NaN do not count.
func extent(xs []float64) (least, most float64) {
	least, most = math.Inf(1), math.Inf(-1)
	for _, x := range xs {
		if !math.IsNaN(x) && !math.IsInf(x, 0) {
			least, most = min(least, x), max(most, x)
		}
	}
	if least > most {
		return 0, 0
	}
	return least, most
}

// extentAbove0 is that of the numbers that a logarithmic axis has.
func extentAbove0(xs []float64) (least, most float64) {
	var above []float64
	for _, x := range xs {
		if x > 0 {
			above = append(above, x)
		}
	}
	if len(above) == 0 {
		return 0.1, 1
	}
	least, most = extent(above)
	if least == most {
		return least / 2, most * 2
	}
	return least, most
}
