// Package drawing holds what all pictures share: their colours, the typeface that their
// texts are measured with, and how a canvas becomes an SVG or a PNG. The same drawing
// gives the same bytes.
package drawing

import (
	"bytes"
	"image/color"
	"io"
	"strings"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// The colours, which colour-blind readers can distinguish too (Okabe and Ito).
var (
	Ink     = color.NRGBA{0x22, 0x22, 0x22, 0xff}
	Faint   = color.NRGBA{0x77, 0x77, 0x77, 0xff}
	Grid    = color.NRGBA{0xe4, 0xe4, 0xe4, 0xff}
	Blue    = color.NRGBA{0x00, 0x72, 0xb2, 0xff}
	Teal    = color.NRGBA{0x00, 0x9e, 0x73, 0xff}
	Orange  = color.NRGBA{0xe6, 0x9f, 0x00, 0xff}
	Vermeil = color.NRGBA{0xd5, 0x5e, 0x00, 0xff}
	Purple  = color.NRGBA{0xaa, 0x44, 0x88, 0xff}
)

// typeface is the sans serif that texts are measured with; it is part of the library, and
// fonts like it are on every machine.
var typeface = font.Font{Typeface: "Liberation", Variant: "Sans"}

// Style is a style of text, size in points.
func Style(size font.Length, ink color.Color) draw.TextStyle {
	f := typeface
	f.Size = size
	return draw.TextStyle{Color: ink, Font: f, Handler: text.Plain{Fonts: font.DefaultCache}, XAlign: draw.XLeft}
}

// WriteSVG writes what paint draws, sizes in points, as lines and texts.
func WriteSVG(w io.Writer, width, height vg.Length, paint func(draw.Canvas)) error {
	page := vgsvg.New(width, height)
	paint(draw.New(page))
	var out bytes.Buffer
	if _, err := page.WriteTo(&out); err != nil {
		return err
	}
	_, err := strings.NewReplacer("font-family:Liberation Sans;", "font-family:Liberation Sans,Arial,Helvetica,sans-serif;").WriteString(w, out.String())
	return err
}

// pixelsPerInch of a PNG: two for each point, for screens and for chats.
const pixelsPerInch = 144

// WritePNG writes the same as pixels.
func WritePNG(w io.Writer, width, height vg.Length, paint func(draw.Canvas)) error {
	page := vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(pixelsPerInch), vgimg.UseBackgroundColor(color.White))
	paint(draw.New(page))
	_, err := vgimg.PngCanvas{Canvas: page}.WriteTo(w)
	return err
}
