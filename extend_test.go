package ktrial

import (
	"go/ast"
	"go/token"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/scenarios"
)

// Each step of docs/extend.md that can be forgotten has a test here, or in the
// package that it is about, whose message says what is missing.

func TestExtend_EveryStepOfTheGuideIsTested(t *testing.T) {
	text, err := os.ReadFile("docs/extend.md")
	require.NoError(t, err)
	tests := map[string]bool{}
	for _, file := range sources(t) {
		for _, d := range file.syntax.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && file.test {
				tests[f.Name.Name] = true
			}
		}
	}
	named := regexp.MustCompile(`Test[A-Z]\w+`).FindAllString(string(text), -1)
	assert.Greater(t, len(named), 8)
	for _, name := range named {
		assert.True(t, tests[name], "docs/extend.md names %s, which is no test", name)
	}
}

// An API that is served and never asked in a test of broker or by conformance
// is one of which nothing is known.
func TestExtend_EveryAPIHasATest(t *testing.T) {
	asked := map[string]bool{}
	request := regexp.MustCompile(`\b([A-Z]\w+?)(?:Request|Response)\b`)
	for _, file := range sources(t) {
		if file.test && within(file.folder, "broker") || within(file.folder, "conformance") {
			for _, m := range request.FindAllStringSubmatch(string(file.text), -1) {
				asked[strings.TrimPrefix(strings.TrimPrefix(m[1], "NewPtr"), "New")] = true
			}
		}
	}
	for _, api := range served(t) {
		assert.True(t, asked[api], "%s is served, and no test asks it: add one beside its file in broker/server, and a story to conformance/diff", api)
	}
}

// served are the APIs in the tables of routes, by the name of their requests.
func served(t *testing.T) (apis []string) {
	handlers := map[string]string{} // by method: the request that it takes
	request := regexp.MustCompile(`^\*kmsg\.(\w+)Request$`)
	var routes []ast.Expr
	for _, file := range sources(t) {
		if file.folder != "broker/server" || file.test {
			continue
		}
		ast.Inspect(file.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				for _, p := range n.Type.Params.List {
					if m := request.FindStringSubmatch(exprText(file, p.Type)); m != nil {
						handlers[n.Name.Name] = m[1]
					}
				}
			case *ast.CallExpr:
				if isIdent(n.Fun, "on") && len(n.Args) == 2 {
					routes = append(routes, n.Args[1])
				}
			}
			return true
		})
	}
	require.Greater(t, len(routes), 20, "the tables of routes were not found: look for on(r, ...) in broker/server")
	for _, route := range routes {
		switch r := route.(type) {
		case *ast.SelectorExpr:
			if api := handlers[r.Sel.Name]; api != "" {
				apis = append(apis, api)
			}
		case *ast.CallExpr: // forward[*kmsg.CreateTopicsRequest](b)
			if index, ok := r.Fun.(*ast.IndexExpr); ok {
				if star, ok := index.Index.(*ast.StarExpr); ok {
					apis = append(apis, strings.TrimSuffix(star.X.(*ast.SelectorExpr).Sel.Name, "Request"))
				}
			}
		}
	}
	return apis
}

func exprText(file source, e ast.Expr) string {
	from, to := file.fset.Position(e.Pos()).Offset, file.fset.Position(e.End()).Offset
	return string(file.text[from:to])
}

// A probe that no code reaches stands in every hunt as never reached, and says
// nothing of the hunt.
func TestExtend_EveryProbeIsReached(t *testing.T) {
	type probe struct{ folder, name string }
	declared := map[probe]bool{}
	used := map[probe]int{}
	reached := map[string]bool{} // from another folder, as in Reach(inspector.ProbeCalmAgain)
	for _, file := range sources(t) {
		if file.test || file.folder == "ledger" {
			continue
		}
		ast.Inspect(file.syntax, func(n ast.Node) bool {
			if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
				if call, ok := v.Values[0].(*ast.CallExpr); ok && isMember(call.Fun, "ledger", "NewProbe") {
					declared[probe{file.folder, v.Names[0].Name}] = true
					return false
				}
			}
			if call, ok := n.(*ast.CallExpr); ok && len(call.Args) == 1 {
				if reach, ok := call.Fun.(*ast.SelectorExpr); ok && reach.Sel.Name == "Reach" {
					reached[exprText(file, call.Args[0])] = true
				}
			}
			if id, ok := n.(*ast.Ident); ok {
				used[probe{file.folder, id.Name}]++
			}
			return true
		})
	}
	require.NotEmpty(t, declared)
	for p := range declared {
		assert.True(t, used[p] > 0 || reached[path.Base(p.folder)+"."+p.name], "%s: probe %s is declared and no code reaches it: call host.Reached(%s), or declare it with ledger.ProbeOn", p.folder, p.name, p.name)
	}
}

// plantedInStories are bugs that no scenario meets: stories and tests of their own
// package show what they do.
var plantedInStories = map[string]string{
	"CleanIndexCleanedOnly": "broker/log/cleaner_test.go",
	"StaticSwapBack":        "broker/group/testdata/stories/static-replaced.txt",
	"CleanTxnStatePerGroup": "broker/log/cleaner_test.go",
}

// A planted bug is one branch, or its counters mean nothing.
func TestExtend_EveryPlantedBugIsOneBranch(t *testing.T) {
	branches := map[string]int{}
	var bugs []string
	found := map[string]bool{}
	on := regexp.MustCompile(`\.On\(planted\.(\w+)\)`)
	for _, file := range sources(t) {
		for _, m := range on.FindAllStringSubmatch(string(file.text), -1) {
			if !file.test && within(file.folder, "broker") && file.folder != "broker/planted" {
				branches[m[1]]++
			}
		}
		if file.folder == "scenarios/zoo" && !file.test {
			for _, m := range regexp.MustCompile(`\{planted\.(\w+), `).FindAllStringSubmatch(string(file.text), -1) {
				found[m[1]] = true
			}
		}
		if file.folder != "broker/planted" || file.test {
			continue
		}
		ast.Inspect(file.syntax, func(n ast.Node) bool {
			if g, ok := n.(*ast.GenDecl); ok && g.Tok == token.CONST {
				for _, s := range g.Specs {
					bugs = append(bugs, s.(*ast.ValueSpec).Names[0].Name)
				}
			}
			return true
		})
	}
	require.NotEmpty(t, bugs)
	for _, bug := range bugs {
		assert.Equal(t, 1, branches[bug], "planted.%s: %d branches read it, expected one: if bugs.On(planted.%s) { ... }", bug, branches[bug], bug)
		if story, ok := plantedInStories[bug]; ok {
			assert.False(t, found[bug], "planted.%s: a scenario finds it; take it out of plantedInStories", bug)
			assert.FileExists(t, story)
			continue
		}
		assert.True(t, found[bug], "planted.%s: no row of Finders in scenarios/zoo says which scenario finds it, and which law or check", bug)
	}
}

// A scenario that is not in All is never played.
func TestExtend_EveryScenarioIsListed(t *testing.T) {
	listed := map[string]bool{}
	for _, s := range scenarios.All() {
		listed[s.Name] = true
	}
	name := regexp.MustCompile(`Name:\s+"([^"]+)"`)
	for _, file := range sources(t) {
		if file.folder != "scenarios" || file.test {
			continue
		}
		ast.Inspect(file.syntax, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if ok && isIdent(lit.Type, "Scenario") && len(lit.Elts) > 0 {
				m := name.FindStringSubmatch(exprText(file, lit))
				if assert.NotNil(t, m, "%s: a scenario without a Name", file.path) {
					assert.True(t, listed[m[1]], "%s: scenario %s is not in All: add it there", file.path, m[1])
				}
			}
			return true
		})
	}
}

// A fault without a line in the grammar neither prints nor parses.
func TestExtend_EveryFaultHasASentence(t *testing.T) {
	grammar, err := os.ReadFile("faults/grammar.go")
	require.NoError(t, err)
	for _, file := range sources(t) {
		if file.folder != "faults" || file.test {
			continue
		}
		for _, d := range file.syntax.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Name.Name != "Inject" {
				continue
			}
			fault := exprText(file, f.Recv.List[0].Type)
			assert.Contains(t, string(grammar), ", "+fault+"{}, ", "%s: fault %s has no line in faults/grammar.go", file.path, fault)
		}
	}
}

// A setting that the stack has a field for counts as one that has an effect, so
// the field must be read.
func TestExtend_EverySettingIsRead(t *testing.T) {
	type field struct{ name, kafka, path string }
	var fields []field
	read := map[string]bool{}
	selector := regexp.MustCompile(`\.([A-Z]\w+)`)
	tag := regexp.MustCompile("`kafka:\"([^\"]+)\"")
	for _, file := range sources(t) {
		if file.test || !within(file.folder, "broker") && !within(file.folder, "workloads") {
			continue
		}
		for _, m := range selector.FindAllStringSubmatch(string(file.text), -1) {
			read[m[1]] = true
		}
		ast.Inspect(file.syntax, func(n ast.Node) bool {
			f, ok := n.(*ast.Field)
			if ok && f.Tag != nil && len(f.Names) == 1 {
				if m := tag.FindStringSubmatch(f.Tag.Value); m != nil {
					fields = append(fields, field{f.Names[0].Name, m[1], file.path})
				}
			}
			return true
		})
	}
	require.Greater(t, len(fields), 50, "no fields with a kafka tag were found")
	known := map[string]bool{} // settings that some field gives an effect
	for _, f := range fields {
		known[f.kafka] = known[f.kafka] || read[f.name]
	}
	for _, f := range fields {
		assert.True(t, known[f.kafka], "%s: field %s of %s is read by nothing: the setting would count as one that has an effect", f.path, f.name, f.kafka)
	}
}
