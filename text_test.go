package ktrial

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// judging folders see events, findings and verdicts as values. None of them
// takes a text apart that our own code wrote: then a better word would change a
// verdict.
var judging = []string{"scenarios", "reports", "checkers"}

// takesApart are the functions of strings and bytes that look into a text.
var takesApart = regexp.MustCompile(`^(Contains|HasPrefix|HasSuffix|Cut|Index|LastIndex|TrimPrefix|TrimSuffix)`)

// allowText is a comment on the line of such a call, or above it, that gives a
// reason: the text is foreign.
const allowText = "//text:allow "

func TestText_OurOwnWordsAreNotTakenApart(t *testing.T) {
	for _, file := range sources(t) {
		if file.test || !anyWithin(file.folder, judging) {
			continue
		}
		for _, found := range textTakenApart(file) {
			t.Errorf("%s\n\tread it from the event, finding or error as a value; if the text is foreign (a file name, --config, a history file, the name of a partition in it, a command line), say so on the line above: %sREASON", found, allowText)
		}
	}
}

func TestText_EveryAllowIsNeeded(t *testing.T) {
	for _, file := range sources(t) {
		allowed := allowedLines(file)
		if file.test || len(allowed) == 0 {
			continue
		}
		used := map[int]bool{}
		for _, at := range looksIntoText(file) {
			used[at.line], used[at.line-1] = true, true
		}
		for line := range allowed {
			assert.True(t, used[line], "%s:%d: %sallows nothing here", file.path, line, allowText)
		}
	}
}

// textTakenApart are the places of a file that need a reason and have none.
func textTakenApart(file source) (found []string) {
	allowed := allowedLines(file)
	for _, at := range looksIntoText(file) {
		if !allowed[at.line] && !allowed[at.line-1] {
			found = append(found, at.text)
		}
	}
	return found
}

// allowedLines are the lines with an allowText that gives a reason.
func allowedLines(file source) map[int]bool {
	lines := map[int]bool{}
	for _, group := range file.syntax.Comments {
		for _, c := range group.List {
			if reason, ok := strings.CutPrefix(c.Text, allowText); ok && strings.TrimSpace(reason) != "" {
				lines[file.fset.Position(c.Pos()).Line] = true
			}
		}
	}
	return lines
}

// look is a place that looks into a text.
type look struct {
	line int
	text string
}

func looksIntoText(file source) (looks []look) {
	at := func(n ast.Node, what string) {
		p := file.fset.Position(n.Pos())
		looks = append(looks, look{p.Line, p.String() + ": " + what})
	}
	ast.Inspect(file.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			if n.Path.Value == `"regexp"` {
				at(n, "imports regexp")
			}
		case *ast.SelectorExpr:
			if pkg, ok := n.X.(*ast.Ident); ok && (pkg.Name == "strings" || pkg.Name == "bytes") && takesApart.MatchString(n.Sel.Name) {
				at(n, "calls "+pkg.Name+"."+n.Sel.Name)
			}
		}
		return true
	})
	return looks
}

// The test above was seen to refuse, and to allow.
func TestText_LooksAreFound(t *testing.T) {
	found := func(body string) int {
		fset := token.NewFileSet()
		syntax, err := parser.ParseFile(fset, "x.go", "package x\n"+body, parser.ParseComments)
		require.NoError(t, err)
		return len(textTakenApart(source{path: "x.go", syntax: syntax, fset: fset}))
	}
	assert.Equal(t, 1, found(`import "regexp"`))
	assert.Equal(t, 1, found(`func f(v V) bool { return strings.HasPrefix(v.Message, "law ") }`))
	assert.Equal(t, 1, found(`var has = strings.ContainsAny`), "as a value, too")
	assert.Equal(t, 2, found("func f(s string) int {\n\ta, _, _ := strings.Cut(s, \" \")\n\treturn bytes.IndexByte([]byte(a), 'x')\n}"))
	assert.Equal(t, 1, found("//text:allow \nvar has = strings.Contains"), "a reason is asked for")
	assert.Equal(t, 0, found("//text:allow the name of a file\nvar has = strings.Contains"))
	assert.Equal(t, 0, found("var has = strings.Contains //text:allow the name of a file"))
	assert.Equal(t, 0, found(`var f = strings.Fields`))
}
