// Package golden compares what tests print with files of testdata. After a
// change of what is printed, run them with -rewrite, reads the diff as a
// reviewer would, and keeps only what can be explained.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// Rewriting reports whether golden files are being written anew.
func Rewriting() bool { return *rewrite }

// T is what is needed of a *testing.T, which no package but tests may import.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// File compares got with a file.
func File(t T, path, got string) {
	t.Helper()
	if *rewrite {
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.WriteFile(path, []byte(got), 0o644)
		}
		if err != nil {
			t.Fatalf("%v", err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run with -rewrite to make it", err)
	}
	if string(want) == got {
		return
	}
	n, found, expected := firstDifference(got, string(want))
	t.Errorf("%s:%d: found    %q\n\texpected %q\n\trun with -rewrite, and read the diff", path, n, found, expected)
}

// firstDifference is the number of the first line that differs, and the line
// in both.
func firstDifference(a, b string) (n int, inA, inB string) {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for n < len(as) && n < len(bs) && as[n] == bs[n] {
		n++
	}
	if n < len(as) {
		inA = as[n]
	}
	if n < len(bs) {
		inB = bs[n]
	}
	return n + 1, inA, inB
}

// Stories has play write anew each file that matches pattern, and compares.
func Stories[S interface {
	T
	Run(name string, f func(S)) bool
}](t S, pattern string, play func(t S, text string) string) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: no stories found: %v", pattern, err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), func(t S) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("%v", err)
			}
			File(t, path, play(t, string(text)))
		})
	}
}
