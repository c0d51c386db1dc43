package ktrial

import (
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/ktrial/ktrial"

// layers is the picture of ARCHITECTURE.md as a table: what each folder may
// import of this module. A folder stands for all below it, unless a longer one
// is listed; each may import its own subfolders. What is absent matters most:
// nothing in broker knows that it is simulated, sim knows no Kafka, checkers
// know no broker.
var layers = map[string][]string{
	"":       {"scenarios", "reports", "checkers", "faults", "broker/planted", "workloads"},
	"ledger": {},
	"tap":    {"workloads/fromwire", "checkers", "broker/wire", "broker/record"},
	"cmd":    {"", "app", "tap", "lab", "scenarios", "reports", "checkers", "workloads", "faults", "broker", "sim"},
	// What settings do: it plays clusters as scenarios do, for their numbers.
	"lab":         {"scenarios", "reports", "checkers", "workloads", "faults", "broker", "sim"},
	"lab/profile": {},
	// Arithmetic, pictures, and the measurements of a real cluster: none plays a world.
	"lab/design":    {},
	"lab/published": {},
	"lab/baseline":  {"lab/published"},
	"lab/plots":     {"lab/design", "reports/drawing"},
	"lab/calibrate": {"lab/design", "lab/profile", "broker/record"},
	"scenarios":     {"app", "workloads", "conformance/sessions", "faults", "reports", "checkers", "broker", "sim"},
	// It knows no trial, so that the tests of broker may use it.
	"scenarios/inspector": {"broker/kafka", "broker/record", "broker/witness", "checkers/laws"},
	"reports":             {"checkers"},
	"conformance":         {"scenarios", "lab"},
	// Sessions of requests, and what Kafka answered: a workload plays them.
	"conformance/sessions": {"sim/env"},
	// What builds users' programs, and loads them: nothing of a world needs it.
	"app":            {"sim/wasi"},
	"workloads":      {"broker/client", "broker/config", "broker/kafka", "broker/planted", "broker/record", "broker/wire", "broker/witness", "checkers/history", "conformance", "conformance/sessions", "sim/env", "sim/wasi"},
	"faults":         {"sim"},
	"checkers":       {},
	"broker":         {"sim/env"},
	"broker/planted": {},
	"sim":            {},
	"sim/env":        {},
	"internal":       {},
}

// shared folders may be imported by every other: the ledger, and helpers that
// know nothing of the house.
var shared = []string{"internal", "ledger"}

// simulated folders run inside a world, so nothing from outside may leak in.
var simulated = []string{"broker", "workloads", "faults", "conformance/sessions"}

// kernel folders are the world itself: they may use iter and runtime, but the
// world's luck and time still come from the seed.
var kernel = []string{"sim"}

// outside places of the kernel live on the wall clock or in goroutines: live
// mode, programs of the tests, the one file that makes coroutines out of
// goroutines, and the watchdog that tells when a task never parks, and how sessions reach a cluster over TCP.
var outside = []string{"sim/live", "sim/internal", "sim/kernel/coro.go", "sim/watchdog.go", "conformance/sessions/tcp.go"}

func TestHouse_EveryFolderImportsOnlyWhatLiesBelowIt(t *testing.T) {
	for _, file := range sources(t) {
		layer := layerOf(file.folder)
		allowed, known := layers[layer]
		require.True(t, known, "%s: folder %q is in no layer: add it to the table in house_test.go and to ARCHITECTURE.md", file.path, file.folder)
		for _, spec := range file.syntax.Imports {
			target, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module)
			if !ours {
				continue
			}
			target = strings.TrimPrefix(target, "/")
			if within(target, layer) && layer != "" || anyWithin(target, shared) || slices.ContainsFunc(allowed, func(a string) bool { return within(target, a) && (a != "" || target == "") }) {
				continue
			}
			if file.test && (within(target, "sim") || within(target, "checkers") || target == "scenarios/inspector" || target == "scenarios/cluster") {
				continue // a test may put its package into a world, and judge it
			}
			t.Errorf("%s: imports %s\n\t%s may import only: %s\n\tmove the code, or pass what it needs through an interface of its own",
				file.path, target, orRoot(layer), strings.Join(allowed, ", "))
		}
	}
}

func TestHouse_TestLibrariesStayOutOfTheBinary(t *testing.T) {
	for _, file := range sources(t) {
		if file.test {
			continue
		}
		for _, spec := range file.syntax.Imports {
			imported := strings.Trim(spec.Path.Value, `"`)
			if strings.HasPrefix(imported, "pgregory.net/rapid") || strings.HasPrefix(imported, "github.com/stretchr/testify") || imported == "testing" {
				t.Errorf("%s: imports %s, which registers flags: use it in _test.go files only", file.path, imported)
			}
		}
	}
}

// Plots are drawn when a run is over and kept: what draws them has no business
// in a world.
func TestHouse_PlotsAreForReports(t *testing.T) {
	for _, file := range sources(t) {
		for _, spec := range file.syntax.Imports {
			imported := strings.Trim(spec.Path.Value, `"`)
			if (strings.HasPrefix(imported, "gonum.org/") || strings.HasPrefix(imported, "github.com/HdrHistogram/")) && !within(file.folder, "reports") && !within(file.folder, "lab") {
				t.Errorf("%s: imports %s, which only reports and lab may", file.path, imported)
			}
		}
	}
}

func TestHouse_GoFilesAreFormatted(t *testing.T) {
	for _, file := range sources(t) {
		want, err := format.Source(file.text)
		require.NoError(t, err, file.path)
		assert.True(t, string(want) == string(file.text), "%s: not formatted; run: gofmt -w %s", file.path, file.path)
	}
}

func TestHouse_EveryFolderHasAFrontDoor(t *testing.T) {
	documented := map[string]bool{}
	folders := map[string]bool{}
	for _, file := range sources(t) {
		if file.test || file.syntax.Name.Name == "main" {
			continue
		}
		folders[file.folder] = true
		if file.syntax.Doc != nil {
			documented[file.folder] = true
		}
	}
	for folder := range folders {
		assert.True(t, documented[folder], "%s: no package documentation; the front door is %s/%s.go", orRoot(folder), folder, path.Base(folder))
	}
}

func TestHouse_NothingLeaksIntoTheWorld(t *testing.T) {
	tree := load(t)
	for _, file := range tree.files {
		if file.test || !leakFree(file) {
			continue
		}
		for _, leak := range tree.leaks(file) {
			t.Errorf("%v: %s\n\t%s", leak.at, leak.what, leak.instead)
		}
	}
}

func leakFree(file source) bool {
	if anyWithin(filepath.ToSlash(file.path), outside) {
		return false
	}
	return anyWithin(file.folder, simulated) || anyWithin(file.folder, kernel)
}

// source is one Go file of the tree.
type source struct {
	path, folder string
	test         bool
	text         []byte
	syntax       *ast.File
	fset         *token.FileSet
}

// sources are all Go files, parsed once for all tests, which only read them.
func sources(t *testing.T) []source {
	t.Helper()
	files, err := parseTree()
	require.NoError(t, err)
	return files
}

// parseTree parses the tree itself: a test that asks `go list` is served from
// the test cache when a file is added.
var parseTree = sync.OnceValues(func() ([]source, error) {
	fset := token.NewFileSet()
	var files []source
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != "." && exists(filepath.Join(p, "go.mod")) {
			return filepath.SkipDir // another module
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "out" || strings.HasPrefix(d.Name(), ".") && p != ".") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, ".go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(fset, p, text, parser.ParseComments)
		if err != nil {
			return err
		}
		folder := path.Dir(filepath.ToSlash(p))
		if folder == "." {
			folder = ""
		}
		files = append(files, source{p, folder, strings.HasSuffix(p, "_test.go"), text, syntax, fset})
		return nil
	})
	return files, err
})

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// layerOf is the longest listed folder that holds folder.
func layerOf(folder string) string {
	for f := folder; ; f = path.Dir(f) {
		if f == "." {
			f = ""
		}
		if _, ok := layers[f]; ok && (f != "" || folder == "") {
			return f
		}
		if f == "" {
			return folder
		}
	}
}

func within(folder, parent string) bool {
	return folder == parent || strings.HasPrefix(folder, parent+"/")
}

func anyWithin(folder string, parents []string) bool {
	return slices.ContainsFunc(parents, func(p string) bool { return within(folder, p) })
}

func orRoot(folder string) string {
	if folder == "" {
		return "the root"
	}
	return folder
}

func readText(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}
