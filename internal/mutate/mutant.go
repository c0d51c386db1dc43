package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
)

// mutant is one small mistake in one file.
type mutant struct {
	file     string
	line     int
	kind     string // negated, bound, equality, logic, dropped, dropped sync, epoch
	from, to int    // bytes of the file that are replaced
	was      string
	by       string // what stands there now
}

// String names a mutant: broker/log/log.go:120 bound "a < b".
func (m mutant) String() string {
	was := strings.Join(strings.Fields(m.was), " ")
	if len(was) > 70 {
		was = was[:70] + "..."
	}
	return fmt.Sprintf("%s:%d %s %q", m.file, m.line, m.kind, was)
}

// apply is the file with the mistake in it. What counts is imported in the line of the
// package clause, so that lines keep their numbers.
func (m mutant) apply(text []byte) []byte {
	s := string(text)
	s = s[:m.from] + m.by + s[m.to:]
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, m.file, text, parser.PackageClauseOnly)
	if err != nil {
		panic(fmt.Sprintf("mutate: %s was parsed before: %v", m.file, err))
	}
	end := fset.Position(syntax.Name.End()).Offset
	return []byte(s[:end] + "; import mutant " + `"` + counter + `"` + s[end:])
}

// counter is the package that counts whether a mistake was reached; it is there only
// while a mutant is built.
const counter = "github.com/ktrial/ktrial/internal/mutant"

// other is what an operator is mistaken for.
var other = map[token.Token]token.Token{
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.EQL: token.NEQ, token.NEQ: token.EQL, token.LAND: token.LOR, token.LOR: token.LAND,
}

// finder collects the mutants of a file.
type finder struct {
	file string
	text []byte
	fset *token.FileSet
	all  []mutant
}

// mutantsOf finds every position in a file where one of the mistakes can be made.
func mutantsOf(file string, text []byte) ([]mutant, error) {
	f := &finder{file: file, text: text, fset: token.NewFileSet()}
	syntax, err := parser.ParseFile(f.fset, file, text, 0)
	if err != nil {
		return nil, err
	}
	for _, d := range syntax.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil && fn.Name.Name != "String" && fn.Name.Name != "Error" && !tells(fn.Name.Name) {
			ast.Inspect(fn.Body, f.look)
		}
	}
	return f.all, nil
}

func (f *finder) look(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IfStmt:
		f.negate(n.Cond)
	case *ast.BinaryExpr:
		f.binary(n)
	case *ast.ExprStmt:
		f.drop(n)
	case *ast.CallExpr:
		return !isPanic(n) // what an assertion says is no matter
	}
	return true
}

func isPanic(call *ast.CallExpr) bool {
	id, ok := call.Fun.(*ast.Ident)
	return ok && id.Name == "panic"
}

func (f *finder) add(n ast.Node, kind, by string) {
	from, to := f.fset.Position(n.Pos()), f.fset.Position(n.End())
	f.all = append(f.all, mutant{file: f.file, line: from.Line, kind: kind, from: from.Offset, to: to.Offset, was: f.source(n), by: by})
}

func (f *finder) source(n ast.Node) string {
	return string(f.text[f.fset.Position(n.Pos()).Offset:f.fset.Position(n.End()).Offset])
}

// negate has a condition mean its contrary. Comparisons are negated by their operator.
func (f *finder) negate(cond ast.Expr) {
	if b, ok := cond.(*ast.BinaryExpr); ok && (b.Op == token.EQL || b.Op == token.NEQ) {
		return
	}
	if f.isError(cond) || strings.Contains(f.source(cond), ".Traced()") {
		return
	}
	f.add(cond, "negated", "mutant.Hit(!("+f.source(cond)+"))")
}

// isError reports whether a condition asks for an error: such a mistake is found by
// any run.
func (f *finder) isError(cond ast.Expr) bool {
	source := f.source(cond)
	return source == "err != nil" || source == "err == nil" || source == "!ok" || source == "ok"
}

func (f *finder) binary(b *ast.BinaryExpr) {
	x, y := f.source(b.X), f.source(b.Y)
	switch op, known := other[b.Op]; {
	case f.isError(b):
	case b.Op == token.ADD && y == "1" && mentionsEpoch(x):
		f.add(b, "epoch", "mutant.Hit("+x+")")
	case !known:
	case b.Op == token.EQL || b.Op == token.NEQ:
		f.add(b, "equality", fmt.Sprintf("mutant.Hit(%s %s %s)", x, op, y))
	case b.Op == token.LAND || b.Op == token.LOR:
		f.add(b, "logic", fmt.Sprintf("mutant.Hit((%s) %s (%s))", x, op, y))
	default:
		f.add(b, "bound", fmt.Sprintf("mutant.Bound(%s, %s, %q)", x, y, op))
	}
}

func mentionsEpoch(source string) bool { return strings.Contains(strings.ToLower(source), "epoch") }

// telling are calls that change nothing of the stack.
var telling = []string{"Tell", "tell", "Reached", "Infected", "Errorf", "Fprintf"}

// drop leaves out a call whose result is not used.
func (f *finder) drop(s *ast.ExprStmt) {
	call, ok := s.X.(*ast.CallExpr)
	if !ok || isPanic(call) {
		return
	}
	name := ""
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		name = fun.Name
	case *ast.SelectorExpr:
		name = fun.Sel.Name
	}
	if tells(name) {
		return
	}
	kind := "dropped"
	if lower := strings.ToLower(name); strings.Contains(lower, "sync") || strings.Contains(lower, "flush") {
		kind = "dropped sync"
	}
	f.add(s, kind, "mutant.Dropped()")
}

// tells reports whether a function tells of what happened, and does nothing.
func tells(name string) bool {
	return slices.ContainsFunc(telling, func(t string) bool { return strings.HasPrefix(name, t) })
}
