// Package profile says what work costs on some machines: how many cores there
// are, what a request, a record or a byte takes of them, how fast network and
// disks are. A profile is a file of figures, each with its unit, its source and
// how far measurements of it spread. What is not known is left out, and results
// that would need it say so.
//
// A profile knows no simulation. Package lab/bench makes a world of it.
package profile

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/internal/nearest"
)

// Profile is a set of figures of one kind of machines.
type Profile struct {
	Name  string `json:"name"`
	About string `json:"about"`
	// Figures by name; All lists the names that there are.
	Figures map[string]Figure `json:"figures"`
}

// Figure is one number or one distribution, and where it comes from.
type Figure struct {
	// Value in Unit. Of a distribution it is the median.
	Value float64 `json:"value"`
	Unit  Unit    `json:"unit"`
	// Source is where the value comes from: a publication, a measurement with its
	// date, or the assumption that stands in for one.
	Source string `json:"source"`
	Basis  Basis  `json:"basis"`
	// Spread is the least and the greatest of repeated measurements; nil: it was
	// not measured more than once.
	Spread *Spread `json:"spread,omitempty"`
	// Quantiles are the distribution, by rising Q; nil: the value is always the same.
	Quantiles []Quantile `json:"quantiles,omitempty"`
	// Rates are how often something of a length happens, for pauses.
	Rates []Rate `json:"rates,omitempty"`
}

// Basis is what kind of knowledge a figure is.
type Basis string

// The kinds of knowledge.
const (
	Measured  Basis = "measured"  // on the machine itself
	Published Basis = "published" // by others, for this hardware
	Vendor    Basis = "vendor"    // a limit that the vendor states
	Fitted    Basis = "fitted"    // chosen so that results match published ones
	Assumed   Basis = "assumed"   // a usual value, for want of a better
)

var bases = []Basis{Measured, Published, Vendor, Fitted, Assumed}

// Spread is the range of repeated measurements.
type Spread struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Quantile is a point of a distribution: a share Q of all values is at most Value.
type Quantile struct {
	Q     float64 `json:"q"`
	Value float64 `json:"value"`
}

// Rate says that something of a length between From and To, in the figure's unit,
// happens so often per second.
type Rate struct {
	From      float64 `json:"from"`
	To        float64 `json:"to"`
	PerSecond float64 `json:"per_second"`
}

// Get is the figure of that name, and whether the profile has it. The name must be
// one of All.
func (p *Profile) Get(name string) (Figure, bool) {
	if Find(name) == nil {
		panic("profile: there is no figure " + name)
	}
	f, ok := p.Figures[name]
	return f, ok
}

// Missing names the figures that the profile lacks, in the order of All.
func (p *Profile) Missing() (names []string) {
	for i := range All {
		if _, ok := p.Figures[All[i].Name]; !ok && !All[i].Optional {
			names = append(names, All[i].Name)
		}
	}
	return names
}

// Set puts a figure into the profile, in place of one that was there.
func (p *Profile) Set(name string, f Figure) {
	if p.Figures == nil {
		p.Figures = map[string]Figure{}
	}
	p.Figures[name] = f
}

// Check refuses what cannot be a profile: an unknown name, a wrong unit, a figure
// without a source, a value below zero, a distribution that does not rise.
func (p *Profile) Check() error {
	if p.Name == "" {
		return fmt.Errorf("profile: name: found none, expected a name for its results")
	}
	names := make([]string, 0, len(p.Figures))
	for name := range p.Figures {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := check(name, p.Figures[name]); err != nil {
			return fmt.Errorf("profile %s: figure %s: %w", p.Name, name, err)
		}
	}
	return nil
}

func check(name string, f Figure) error {
	d := Find(name)
	switch {
	case d == nil:
		return fmt.Errorf("found an unknown name: %w", nearest.Unknown("figure", name, Names()))
	case f.Unit != d.Unit:
		return fmt.Errorf("found unit %q, expected %q", f.Unit, d.Unit)
	case strings.TrimSpace(f.Source) == "":
		return fmt.Errorf("found no source, expected where the value comes from")
	case !slices.Contains(bases, f.Basis):
		return fmt.Errorf("found basis %q, expected one of %v", f.Basis, bases)
	case f.Value < 0:
		return fmt.Errorf("found %v, expected 0 or more", f.Value)
	case f.Spread != nil && (f.Spread.Low > f.Spread.High):
		return fmt.Errorf("found a spread from %v to %v, expected the lower end first", f.Spread.Low, f.Spread.High)
	}
	for i, q := range f.Quantiles {
		if q.Q < 0 || q.Q > 1 || q.Value < 0 || i > 0 && (q.Q <= f.Quantiles[i-1].Q || q.Value < f.Quantiles[i-1].Value) {
			return fmt.Errorf("found quantile %v of %v, expected both to rise from one to the next", q.Q, q.Value)
		}
	}
	for _, r := range f.Rates {
		if r.From < 0 || r.To < r.From || r.PerSecond < 0 {
			return fmt.Errorf("found %v per second from %v to %v, expected a range and a rate of 0 or more", r.PerSecond, r.From, r.To)
		}
	}
	return nil
}

// Parse reads a profile and checks it.
func Parse(text []byte) (*Profile, error) {
	p := &Profile{}
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(p); err != nil {
		return nil, fmt.Errorf("profile: parse: %w", err)
	}
	return p, p.Check()
}

// Format writes a profile as Parse reads it, the figures in the order of their names.
func (p *Profile) Format() ([]byte, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(p, "", "  ")
	return append(text, '\n'), err
}

// Save writes a profile to a file.
func (p *Profile) Save(path string) error {
	text, err := p.Format()
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

// Load reads the profile of that name that comes with ktrial, or a file.
func Load(nameOrPath string) (*Profile, error) {
	if p := builtIn(nameOrPath); p != nil {
		return p, nil
	}
	text, err := os.ReadFile(nameOrPath)
	if err != nil {
		return nil, fmt.Errorf("profile %q: neither a file nor one that comes with ktrial (%s): %w",
			nameOrPath, strings.Join(BuiltIn(), ", "), nearest.Unknown("profile", nameOrPath, BuiltIn()))
	}
	return Parse(text)
}
