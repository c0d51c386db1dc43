package profile

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBuiltIn_EveryProfileIsWellFormed(t *testing.T) {
	require.Contains(t, BuiltIn(), "teaching")
	for _, name := range BuiltIn() {
		p, err := Load(name)
		require.NoError(t, err, name)
		assert.Equal(t, name, p.Name)
		assert.Equal(t, lacks[name], p.Missing(), "%s: figures that every run needs", name)
	}
}

// lacks are the figures that a measured profile has not: the calibration had no consumer.
var lacks = map[string][]string{"this-machine": {ConsumerRecord, ConsumerByte, ConsumerRequest}}

func TestProfile_IsTheSameAfterSaveAndLoad(t *testing.T) {
	p, err := Load("i3en-2020")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "mine.json")
	require.NoError(t, p.Save(path))
	again, err := Load(path)
	require.NoError(t, err)
	assert.Equal(t, p, again)
}

func TestCheck_RefusesWhatCannotBeAProfile(t *testing.T) {
	good := Figure{Value: 8, Unit: Count, Source: "counted", Basis: Measured}
	with := func(change func(*Figure)) Figure {
		f := good
		change(&f)
		return f
	}
	for _, c := range []struct {
		name   string
		figure Figure
		says   string
	}{
		{"broker.core", good, `figure "broker.core" is unknown; did you mean broker.cores?`},
		{BrokerCores, with(func(f *Figure) { f.Unit = Bytes }), `found unit "bytes", expected "count"`},
		{BrokerCores, with(func(f *Figure) { f.Source = " " }), "found no source"},
		{BrokerCores, with(func(f *Figure) { f.Basis = "guessed" }), `found basis "guessed"`},
		{BrokerCores, with(func(f *Figure) { f.Value = -1 }), "found -1, expected 0 or more"},
		{BrokerCores, with(func(f *Figure) { f.Spread = &Spread{9, 7} }), "expected the lower end first"},
		{DiskFsync, Figure{Unit: Microseconds, Source: "x", Basis: Measured, Quantiles: []Quantile{{0.5, 3}, {0.9, 2}}}, "expected both to rise"},
		{BrokerPauses, Figure{Unit: Milliseconds, Source: "x", Basis: Measured, Rates: []Rate{{5, 3, 1}}}, "expected a range"},
	} {
		p := &Profile{Name: "p"}
		p.Set(c.name, c.figure)
		assert.ErrorContains(t, p.Check(), c.says)
	}
}

func TestMissing_NamesWhatAProfileLacksAndNoOptionalFigure(t *testing.T) {
	p, err := Load("teaching")
	require.NoError(t, err)
	delete(p.Figures, DiskFsync)
	delete(p.Figures, BrokerPauses)
	assert.Equal(t, []string{DiskFsync}, p.Missing())
}

func TestLoad_AnUnknownNameIsAnsweredWithTheNearest(t *testing.T) {
	_, err := Load("teachin")
	assert.ErrorContains(t, err, "did you mean teaching?")
	_, err = Parse([]byte(`{"name":"x","figure":{}}`))
	assert.ErrorContains(t, err, "unknown field")
}
