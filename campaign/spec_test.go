package campaign

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestItemsCoverAllSeedsOnce(t *testing.T) {
	for _, s := range []Spec{{First: 1, Last: 1, Seeds: 10}, {First: 1, Last: 10, Seeds: 10}, {First: 3, Last: 25, Seeds: 4}, {First: math.MaxUint64 - 5, Last: math.MaxUint64, Seeds: 4}} {
		next := s.First
		for _, i := range s.Items() {
			if i.First != next || i.Last < i.First || i.Last-i.First >= s.Seeds {
				t.Errorf("%+v: found item %v, expected one from %d on", s, i, next)
			}
			next = i.Last + 1
		}
		if next != s.Last+1 {
			t.Errorf("%+v: items end before %d", s, next)
		}
	}
}

func TestBadSpecs(t *testing.T) {
	good := Spec{First: 1, Last: 2, Seeds: 1, Patience: time.Minute, Hunt: []string{"standard", "--set", "duration=2s"}}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for says, change := range map[string]func(*Spec){
		"expected A..B":         func(s *Spec) { s.Last = 0 },
		"items of 0 seeds":      func(s *Spec) { s.Seeds = 0 },
		"a second or more":      func(s *Spec) { s.Patience = time.Millisecond },
		"found --out among the": func(s *Spec) { s.Hunt = append(s.Hunt, "--out=here") },
		"found --seeds among":   func(s *Spec) { s.Hunt = []string{"--seeds", "1..3"} },
	} {
		s := good
		change(&s)
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("found %v, expected an error with %q", err, says)
		}
	}
}

// The directory of another campaign, or of anything else, is not written to.
func TestEnter(t *testing.T) {
	s := Spec{First: 1, Last: 9, Seeds: 3, Patience: time.Minute}
	dir := filepath.Join(t.TempDir(), "found")
	for range 2 {
		if err := s.enter(dir); err != nil {
			t.Fatal(err)
		}
	}
	another := s
	another.Last = 10
	if err := another.enter(dir); err == nil || !strings.Contains(err.Error(), "found another campaign") {
		t.Error(err)
	}
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "thesis.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.enter(full); err == nil || !strings.Contains(err.Error(), "found thesis.txt, expected an empty directory") {
		t.Error(err)
	}
	if missing := s.missing(dir); len(missing) != 3 {
		t.Errorf("found %v, expected all three items to be missing", missing)
	}
}

func TestADirectoryIsUnpackedAsItWasPacked(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "to")
	for name, text := range map[string]string{"hunt.json": "{}\n", "standard-7/run.json": "a run", "standard-7/empty": ""} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(from, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(from, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var packed bytes.Buffer
	if err := pack(&packed, from); err != nil {
		t.Fatal(err)
	}
	if err := unpack(&packed, to); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(to, "standard-7", "run.json"))
	if err != nil || string(text) != "a run" {
		t.Errorf("found %q, %v", text, err)
	}
}

// A worker cannot write outside of the directory of its item.
func TestNothingIsUnpackedOutside(t *testing.T) {
	for _, name := range []string{"../outside", "/etc/outside", "a/../../outside"} {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		w := tar.NewWriter(z)
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		w.Close()
		z.Close()
		if err := unpack(&packed, filepath.Join(t.TempDir(), "in")); err == nil || !strings.Contains(err.Error(), "expected files within") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
