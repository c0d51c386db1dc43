package plots

import (
	"bytes"
	"encoding/xml"
	"flag"
	"html"
	"image/png"
	"io"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot/vg"

	"github.com/ktrial/ktrial/lab/design"
)

var keep = flag.String("plots", "", "write the plots to this directory, to be looked at")

func factor(t *testing.T, text string) design.Factor {
	f, err := design.ParseFactor(text)
	require.NoError(t, err)
	return f
}

// examples are one of each kind, with texts of all lengths.
func examples(t *testing.T) map[string]Drawn {
	linger, batch := factor(t, "linger.ms=0,5,20,50"), factor(t, "batch.size=16k,64k,256k")
	factors := []design.Factor{linger, batch, factor(t, "acks=1,all"), factor(t, "compression.type=none,lz4,zstd")}
	d := design.Full(factors)
	results := make([]float64, len(d.Runs))
	for i, run := range d.Runs {
		results[i] = 5 + 3*float64(run[0]) - float64(run[1]) + 2*float64(run[2]) + 0.3*float64(run[3])
	}
	table := design.Table(d, results, 0, 1)
	table[1][2] = math.NaN()
	var points []Setting
	for i := range 30 {
		points = append(points, Setting{"linger.ms=5 batch.size=65536 acks=all", XY{float64(10_000 + i*7919%90_000), 2 + float64(i*31%37)}})
	}
	var sorted []float64
	for i := range 5000 {
		sorted = append(sorted, 1-math.Log(1-float64(i)/5000))
	}
	slow := make([]float64, len(sorted))
	for i, x := range sorted {
		slow[i] = x * x
	}
	return map[string]Drawn{
		"heat": HeatMap{"p99 of publishing by linger.ms and batch.size", "profile teaching, 20,000 records/s of 1 kB, 3 brokers, acks=all; a cell is the mean over all other settings that were tried", "ms", linger, batch, table, design.Minimize},
		"ccdf": CCDF{"How long records take", "", "publish latency in ms", []Curve{Above("acks=1", sorted), Above("acks=all", slow)}},
		"load": Curves{Title: "Latency over offered load", X: "records a second", Y: "publish latency in ms", LogY: true, Mark: "broker-1 network in binds", MarkAt: 180_000, Curves: []Curve{
			{"p50", []XY{{1000, 1}, {50_000, 1.5}, {100_000, 2}, {180_000, 9}, {200_000, 200}}},
			{"p99", []XY{{1000, 3}, {50_000, 4}, {100_000, math.NaN()}, {180_000, 40}, {200_000, 900}}},
		}},
		"tornado": Tornado{"What each setting does to p99", "pairwise, 12 runs", "ms", design.MainEffects(d, results)},
		"budget": Budget{"Where the time goes", "mean of publishing", "ms", []string{"linger", "buffer", "network", "append", "fsync", "replication wait", "fetch"}, []Bar{
			{"acks=1", []float64{2, 0, 0.5, 0.3, 0, 0, 0}}, {"acks=all", []float64{2, 0, 0.5, 0.3, 0, 1.9, 0}}, {"acks=all flush.messages=1", []float64{2, 1, 0.5, 0.3, 4, 3.5, 0.4}},
		}},
		"use":   Utilisation{"Which resource binds", "linkedin-2014, three producers at full speed", []Resource{{"broker-2 network in", 1}, {"broker-1 network in", 0.97}, {"producer-1 cores", 0.61}, {"broker-1 disk-0", 0.2}, {"broker-3 io threads", 0.02}}, "broker-2 network in"},
		"front": Front{"What no other setting beats", "", "records a second", "p99 in ms", points, []int{3, 9, 17, 22}},
		"compared": Compared{"Predicted and measured: mean latency", "this machine, three brokers, 24 runs", "ms", []Comparison{
			{"a", 1, 0.9, 1.3, 1.1}, {"b", 5, 4.5, 5.2, 8}, {"c", 20, 15, 33, 30}, {"d", 200, 190, 240, 195},
		}, 0.2},
	}
}

func svg(t *testing.T, d Drawn) string {
	var out bytes.Buffer
	require.NoError(t, d.Picture().WriteSVG(&out))
	return out.String()
}

func TestEachPlotIsAPicture(t *testing.T) {
	for name, d := range examples(t) {
		text := svg(t, d)
		assert.Equal(t, text, svg(t, d), "%s: the same numbers give the same bytes", name)
		decoder := xml.NewDecoder(strings.NewReader(text))
		for {
			if _, err := decoder.Token(); err == io.EOF {
				break
			} else {
				require.NoError(t, err, name)
			}
		}
		assert.NotContains(t, text, "NaN", name)
		assert.NotContains(t, text, "Inf", name)

		var pixels bytes.Buffer
		require.NoError(t, d.Picture().WritePNG(&pixels))
		image, err := png.Decode(&pixels)
		require.NoError(t, err, name)
		assert.Equal(t, 2*width, image.Bounds().Dx(), name)
		if *keep != "" {
			require.NoError(t, Save(d, filepath.Join(*keep, name+".png")))
		}
	}
}

// No text begins or ends outside of the picture: legends fit, however many keys there are.
func TestTextsFit(t *testing.T) {
	all := examples(t)
	var many []Curve
	for i := range 14 {
		many = append(many, Curve{"compression.type=zstd linger.ms=" + strconv.Itoa(i), []XY{{1, 1}, {2, float64(i)}}})
	}
	all["many"] = Curves{Title: strings.Repeat("A long heading ", 12), X: "x", Y: "y", Curves: many}
	at := regexp.MustCompile(`<text x="([-\d.]+)" y="([-\d.]+)" transform="scale\(1, -1\)"\s+style="[^"]*font-size:([\d.]+)px[^"]*">([^<]*)<`)
	for name, d := range all {
		found := at.FindAllStringSubmatch(svg(t, d), -1)
		require.NotEmpty(t, found, name)
		for _, m := range found {
			if m[4] == d.Picture().plot.Y.Label.Text {
				continue // it stands upright
			}
			from, err := strconv.ParseFloat(m[1], 64)
			require.NoError(t, err)
			below, err := strconv.ParseFloat(m[2], 64)
			require.NoError(t, err)
			size, err := strconv.ParseFloat(m[3], 64)
			require.NoError(t, err)
			to := from + float64(styled(vg.Length(size), ink).Width(html.UnescapeString(m[4])))
			assert.GreaterOrEqual(t, from, 0.0, "%s: %q", name, m[4])
			assert.LessOrEqual(t, to, float64(width), "%s: %q", name, m[4])
			assert.GreaterOrEqual(t, -below, 0.0, "%s: %q", name, m[4])
			assert.LessOrEqual(t, -below+size, float64(d.Picture().total()), "%s: %q", name, m[4])
		}
	}
}

func TestTheBindingResourceIsNamed(t *testing.T) {
	text := svg(t, examples(t)["use"])
	assert.Contains(t, text, "100% binds")
	assert.Equal(t, 1, strings.Count(text, "% binds"))
}

func TestTheShareAboveAValue(t *testing.T) {
	c := Above("x", []float64{1, 1, 2, 4})
	assert.Equal(t, []XY{{1, 0.5}, {2, 0.25}, {4, 0}}, c.Points)
}

func TestNumbersAreBrief(t *testing.T) {
	for x, want := range map[float64]string{0: "0", 0.5: "0.5", 1.257: "1.26", 12: "12", 12.34: "12.3", 123.4: "123", 9999: "9999", 12345: "12.3k", 2_500_000: "2.5M", -3: "-3", 100: "100"} {
		assert.Equal(t, want, brief(x))
	}
	assert.Equal(t, "1e-5", small(0.00001))
	assert.Equal(t, "5e-3", small(0.005))
}

func TestSaving(t *testing.T) {
	dir := t.TempDir()
	d := examples(t)["heat"]
	for _, name := range []string{"a.svg", "a.PNG"} {
		require.NoError(t, Save(d, filepath.Join(dir, name)))
		assert.FileExists(t, filepath.Join(dir, name))
	}
	assert.EqualError(t, Save(d, "a.pdf"), `plot "a.pdf": found no known ending, expected .svg or .png`)
	assert.Error(t, Save(d, filepath.Join(dir, "none", "a.svg")))
}

// Plots of nothing are empty, and no panic.
func TestPlotsOfNothing(t *testing.T) {
	for _, d := range []Drawn{HeatMap{}, CCDF{}, Curves{}, Tornado{}, Budget{}, Utilisation{}, Front{}, Compared{}} {
		assert.NotEmpty(t, svg(t, d), "%T", d)
	}
}
