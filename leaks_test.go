package ktrial

import (
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// leak is a place where something other than the seed could decide a run.
type leak struct {
	at            token.Position
	what, instead string
}

// bannedImports give access to the real machine, to other threads or to luck
// without a seed.
var bannedImports = map[string]string{
	"sync":          "tasks never run at once: drop the lock, or wait on env.Signal",
	"sync/atomic":   "tasks never run at once: use a plain variable",
	"crypto/rand":   "draw from env.Host.Rand",
	"math/rand":     "draw from env.Host.Rand (math/rand/v2)",
	"hash/maphash":  "use a hash without a random seed, such as hash/fnv",
	"os":            "files are env.Host.Disk; settings come in a config struct",
	"net":           "connections are env.Host.Dial and Listen",
	"os/exec":       "a world has no other programs",
	"syscall":       "the machine below is env.Host",
	"unique":        "handles are pointers, which differ between runs",
	"weak":          "the garbage collector works by the real clock",
	"os/signal":     "a process is told to stop by its world",
	"log":           "tell it with env.Host.Log",
	"log/slog":      "tell it with env.Host.Log",
	"unsafe":        "pointers differ between runs",
	"context":       "pass a timeout",
	"runtime":       "only the kernel's coroutines may see the runtime",
	"runtime/debug": "only the kernel's coroutines may see the runtime",
	"iter":          "only the kernel's coroutines may pull; others return a slice or take a func",
}

// kernelMayImport says what the world itself needs.
var kernelMayImport = []string{"iter", "runtime", "runtime/debug", "sync/atomic"}

// bannedCalls are members of packages that are otherwise harmless.
var bannedCalls = map[string]map[string]string{
	"time": {
		"Now": "env.Host.Now or Uptime", "Since": "env.Host.Uptime", "Until": "env.Host.Uptime", "Sleep": "env.Host.Sleep",
		"After": "env.Host.After", "AfterFunc": "env.Host.After", "Tick": "env.Host.After", "NewTimer": "env.Host.After", "NewTicker": "env.Host.After",
		"Local": "UTC", "LoadLocation": "UTC",
	},
	"math/rand/v2": { // all but the constructors and types draw from the global source
		"Int": "env.Host.Rand", "IntN": "env.Host.Rand", "Int32": "env.Host.Rand", "Int32N": "env.Host.Rand", "Int64": "env.Host.Rand", "Int64N": "env.Host.Rand",
		"Uint32": "env.Host.Rand", "Uint32N": "env.Host.Rand", "Uint64": "env.Host.Rand", "Uint64N": "env.Host.Rand", "N": "env.Host.Rand", "Perm": "env.Host.Rand",
		"Shuffle": "env.Host.Rand", "Float32": "env.Host.Rand", "Float64": "env.Host.Rand", "NormFloat64": "env.Host.Rand", "ExpFloat64": "env.Host.Rand",
	},
	"math": {
		"Exp": "an integer table", "Exp2": "an integer table", "Log": "an integer table", "Log2": "bits.Len", "Log10": "an integer table", "Log1p": "an integer table",
		"Pow": "a loop over integers", "Sin": "an integer table", "Cos": "an integer table", "FMA": "integers",
	},
	"maps": {"All": "slices.Sorted(maps.Keys(m))"},
}

// allow on the line, or on the line above, takes responsibility for one place:
// //det:allow followed by the reason.
const allow = "//det:allow "

// tree is the module, type-checked well enough to know a map from a slice.
type tree struct {
	files    []source
	info     *types.Info
	packages map[string]*types.Package
	loading  map[string][]*ast.File
	fset     *token.FileSet
}

func load(t *testing.T) *tree {
	files := sources(t)
	tr := &tree{files: files, packages: map[string]*types.Package{}, loading: map[string][]*ast.File{}}
	tr.info = &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
	for _, f := range files {
		tr.fset = f.fset
		if !f.test {
			tr.loading[f.folder] = append(tr.loading[f.folder], f.syntax)
		}
	}
	for folder := range tr.loading {
		tr.check(folder)
	}
	return tr
}

// check type-checks a folder of this module. Packages from elsewhere are left
// empty: whatever comes from them has no type, which is no map.
func (tr *tree) check(folder string) *types.Package {
	if p := tr.packages[folder]; p != nil {
		return p
	}
	conf := types.Config{Importer: tr, Error: func(error) {}}
	tr.packages[folder] = types.NewPackage(module+"/"+folder, path.Base(folder))
	p, _ := conf.Check(module+"/"+folder, tr.fset, tr.loading[folder], tr.info)
	if p != nil {
		tr.packages[folder] = p
	}
	return tr.packages[folder]
}

// Import implements types.Importer.
func (tr *tree) Import(name string) (*types.Package, error) {
	if folder, ours := strings.CutPrefix(name, module+"/"); ours {
		return tr.check(folder), nil
	}
	p := types.NewPackage(name, packageName(name))
	p.MarkComplete()
	return p, nil
}

// packageName guesses what a package is called from its path.
func packageName(name string) string {
	base := path.Base(name)
	if len(base) > 1 && base[0] == 'v' && base[1] >= '0' && base[1] <= '9' {
		base = path.Base(path.Dir(name))
	}
	return base
}

// leaks finds what could make two runs of one seed differ.
func (tr *tree) leaks(file source) []leak {
	f := &finder{tree: tr, file: file, allowed: map[int]bool{}, names: map[string]string{}, sorted: map[ast.Stmt]bool{}}
	f.readComments()
	f.readImports()
	f.pkg = tr.packages[file.folder]
	ast.Inspect(file.syntax, f.visit)
	return f.found
}

type finder struct {
	tree    *tree
	file    source
	pkg     *types.Package
	allowed map[int]bool      // lines with an allow comment
	names   map[string]string // local name of an import -> path
	sorted  map[ast.Stmt]bool // loops over a map whose result is sorted at once
	found   []leak
}

func (f *finder) report(n ast.Node, what, instead string) {
	at := f.file.fset.Position(n.Pos())
	if f.allowed[at.Line] || f.allowed[at.Line-1] {
		return
	}
	f.found = append(f.found, leak{at, what, instead})
}

func (f *finder) readComments() {
	for _, group := range f.file.syntax.Comments {
		for _, c := range group.List {
			if reason, ok := strings.CutPrefix(c.Text, allow); ok && strings.TrimSpace(reason) != "" {
				f.allowed[f.file.fset.Position(c.Pos()).Line] = true
			}
		}
	}
}

func (f *finder) readImports() {
	for _, spec := range f.file.syntax.Imports {
		imported := strings.Trim(spec.Path.Value, `"`)
		name := packageName(imported)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		f.names[name] = imported
		if anyWithin(f.file.folder, kernel) && slices.Contains(kernelMayImport, imported) {
			continue
		}
		if instead, banned := bannedImports[imported]; banned {
			f.report(spec, "imports "+imported, instead)
		}
	}
}

func (f *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BlockStmt:
		f.visitBlock(n)
	case *ast.GoStmt:
		f.report(n, "starts a goroutine", "start a task with env.Host.Go")
	case *ast.SelectStmt:
		f.report(n, "select picks at random", "wait on one env.Signal in a loop")
	case *ast.ChanType:
		f.report(n, "channels need goroutines", "keep a slice and an env.Signal")
	case *ast.RangeStmt:
		f.visitRange(n)
	case *ast.SelectorExpr:
		f.visitSelector(n)
	case *ast.CallExpr:
		f.visitCall(n)
	case *ast.BasicLit:
		if n.Kind == token.STRING && strings.Contains(n.Value, "%p") {
			f.report(n, "prints a pointer", "print a name or a number that the world gave")
		}
	case *ast.AssignStmt:
		for _, target := range n.Lhs {
			f.visitWrite(target)
		}
	case *ast.IncDecStmt:
		f.visitWrite(n.X)
	case *ast.BinaryExpr:
		f.visitArithmetic(n)
	}
	return true
}

// visitRange: the order of a map differs from run to run, so the body must not
// let it out.
func (f *finder) visitRange(n *ast.RangeStmt) {
	t := f.tree.info.Types[n.X].Type
	if t == nil {
		return
	}
	if _, isMap := t.Underlying().(*types.Map); !isMap || n.Key == nil || f.sorted[n] || f.commutes(n.Body) {
		return
	}
	f.report(n, "ranges over a map, whose order differs from run to run", "range over slices.Sorted(maps.Keys(m)), or keep a sorted slice")
}

// visitBlock finds loops that gather a map into a slice which the next
// statement sorts.
func (f *finder) visitBlock(n *ast.BlockStmt) {
	for i := 0; i+1 < len(n.List); i++ {
		loop, ok := n.List[i].(*ast.RangeStmt)
		if !ok || len(loop.Body.List) != 1 {
			continue
		}
		gathered := gathers(loop.Body.List[0])
		if next, ok := n.List[i+1].(*ast.ExprStmt); ok && gathered != "" && sorts(next.X, gathered) {
			f.sorted[loop] = true
		}
	}
}

// gathers is the name s of a statement s = append(s, ...), or "".
func gathers(s ast.Stmt) string {
	assign, ok := s.(*ast.AssignStmt)
	if !ok || len(assign.Lhs) != 1 || len(assign.Rhs) != 1 {
		return ""
	}
	to, ok1 := assign.Lhs[0].(*ast.Ident)
	call, ok2 := assign.Rhs[0].(*ast.CallExpr)
	if !ok1 || !ok2 || !isIdent(call.Fun, "append") || !isIdent(call.Args[0], to.Name) {
		return ""
	}
	return to.Name
}

// sorts reports whether an expression sorts the slice of that name.
func sorts(e ast.Expr, name string) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok || len(call.Args) == 0 || !isIdent(call.Args[0], name) {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	return ok && (isIdent(sel.X, "slices") || isIdent(sel.X, "sort")) && strings.HasPrefix(sel.Sel.Name, "S")
}

// commutes reports whether a loop body has the same effect in any order:
// counting, deleting, filling another map.
func (f *finder) commutes(body *ast.BlockStmt) bool {
	for _, s := range body.List {
		switch s := s.(type) {
		case *ast.IncDecStmt:
		case *ast.AssignStmt:
			if !f.commutingAssign(s) {
				return false
			}
		case *ast.ExprStmt:
			call, ok := s.X.(*ast.CallExpr)
			if !ok || !isIdent(call.Fun, "delete") {
				return false
			}
		case *ast.IfStmt:
			if !looksUp(s.Init) || s.Else != nil || !f.commutes(s.Body) {
				return false
			}
		case *ast.BranchStmt:
			if s.Tok != token.CONTINUE {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// looksUp reports whether a statement is nothing, or v, ok := m[k].
func looksUp(s ast.Stmt) bool {
	if s == nil {
		return true
	}
	assign, ok := s.(*ast.AssignStmt)
	if !ok || assign.Tok != token.DEFINE || len(assign.Rhs) != 1 {
		return false
	}
	_, ok = assign.Rhs[0].(*ast.IndexExpr)
	return ok
}

func (f *finder) commutingAssign(s *ast.AssignStmt) bool {
	switch s.Tok {
	case token.ADD_ASSIGN, token.OR_ASSIGN, token.XOR_ASSIGN, token.AND_ASSIGN:
		t := f.tree.info.Types[s.Lhs[0]].Type
		basic, ok := t.(*types.Basic)
		return ok && basic.Info()&types.IsInteger != 0
	case token.ASSIGN:
		index, ok := s.Lhs[0].(*ast.IndexExpr)
		if ok {
			t := f.tree.info.Types[index.X].Type
			if t == nil {
				return false
			}
			_, ok = t.Underlying().(*types.Map)
			return ok
		}
		call, ok := s.Rhs[0].(*ast.CallExpr) // n = max(n, v)
		return ok && (isIdent(call.Fun, "max") || isIdent(call.Fun, "min"))
	}
	return false
}

func (f *finder) visitSelector(n *ast.SelectorExpr) {
	x, ok := n.X.(*ast.Ident)
	if !ok {
		return
	}
	if obj := f.tree.info.Uses[x]; obj != nil {
		if _, isPackage := obj.(*types.PkgName); !isPackage {
			return
		}
	}
	imported := f.names[x.Name]
	if instead, banned := bannedCalls[imported][n.Sel.Name]; banned {
		f.report(n, "uses "+imported+"."+n.Sel.Name, "use "+instead)
	}
}

// visitCall: maps.Keys and maps.Values are fine only inside a sort.
func (f *finder) visitCall(n *ast.CallExpr) {
	sorts := isMember(n.Fun, "slices", "Sorted") || isMember(n.Fun, "slices", "SortedFunc") || isMember(n.Fun, "slices", "SortedStableFunc")
	if sorts && len(n.Args) > 0 {
		if inner, ok := n.Args[0].(*ast.CallExpr); ok {
			f.allowed[-int(inner.Pos())] = true
		}
	}
	if sel, ok := n.Fun.(*ast.SelectorExpr); ok && (sel.Sel.Name == "MapKeys" || sel.Sel.Name == "MapRange") {
		f.report(n, "takes a map's keys in their random order, by reflection", "sort them first, or do without reflection")
	}
	if (isMember(n.Fun, "maps", "Keys") || isMember(n.Fun, "maps", "Values")) && !f.allowed[-int(n.Pos())] {
		f.report(n, "takes a map's keys in their random order", "wrap it: slices.Sorted(maps.Keys(m))")
	}
}

// visitWrite: what outlives a world is shared by all worlds of the process.
func (f *finder) visitWrite(target ast.Expr) {
	for {
		switch t := target.(type) {
		case *ast.IndexExpr:
			target = t.X
			continue
		case *ast.SelectorExpr:
			target = t.X
			continue
		case *ast.StarExpr:
			target = t.X
			continue
		}
		break
	}
	id, ok := target.(*ast.Ident)
	if !ok {
		return
	}
	if v, ok := f.tree.info.Uses[id].(*types.Var); ok && v.Pkg() != nil && v.Parent() == v.Pkg().Scope() {
		f.report(id, "writes package variable "+id.Name+", which all worlds share", "keep it in a struct that belongs to one world")
	}
}

// visitArithmetic: some CPUs fuse x*y + z into one rounding.
func (f *finder) visitArithmetic(n *ast.BinaryExpr) {
	if n.Op != token.ADD && n.Op != token.SUB || !f.isFloat(n) {
		return
	}
	for _, side := range []ast.Expr{n.X, n.Y} {
		for paren, ok := side.(*ast.ParenExpr); ok; paren, ok = side.(*ast.ParenExpr) {
			side = paren.X
		}
		if product, ok := side.(*ast.BinaryExpr); ok && product.Op == token.MUL {
			f.report(n, "multiplies and adds floats, which some CPUs round once and some twice", "use integers, or convert the product: float64(x*y) + z")
		}
	}
}

func (f *finder) isFloat(e ast.Expr) bool {
	tv := f.tree.info.Types[e]
	basic, ok := tv.Type.(*types.Basic)
	return ok && basic.Info()&types.IsFloat != 0 && (tv.Value == nil || tv.Value.Kind() == constant.Unknown)
}

func isIdent(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

func isMember(e ast.Expr, pkg, name string) bool {
	sel, ok := e.(*ast.SelectorExpr)
	return ok && isIdent(sel.X, pkg) && sel.Sel.Name == name
}

// Each way for the outside world to leak in, planted in a few lines, must be
// found; and the harmless neighbour of each must not.
func TestHouse_PlantedLeaksAreFound(t *testing.T) {
	for name, c := range map[string]struct{ leak, harmless string }{
		"wall clock":               {`import "time"; func f() time.Time { return time.Now() }`, `import "time"; const d = time.Second`},
		"real sleep":               {`import "time"; func f() { time.Sleep(1) }`, `import "time"; func f(t time.Time) int { return t.Year() }`},
		"goroutine":                {`func f() { go f() }`, `func f() { defer f() }`},
		"select":                   {`func f(a chan int) { select { case <-a: default: } }`, `func f(a int) { switch a { case 1: default: } }`},
		"map order":                {`func f(m map[int]int) (s []int) { for k := range m { s = append(s, k) }; return }`, `func f(m, n map[int]int) { for k, v := range m { n[k] = v } }`},
		"map order, hidden":        {`import "maps"; func f(m map[int]int) any { return maps.Keys(m) }`, `import ("maps"; "slices"); func f(m map[int]int) any { return slices.Sorted(maps.Keys(m)) }`},
		"map order, by reflection": {`import "reflect"; func f(v reflect.Value) any { return v.MapKeys()[0] }`, `import "reflect"; func f(v reflect.Value) any { return v.MapIndex(v) }`},
		"handle":                   {`import "unique"; func f(s string) any { return unique.Make(s) }`, `import "strings"; func f(s string) any { return strings.Clone(s) }`},
		"sorted too late":          {`import "slices"; func f(m map[int]int) (s []int) { for k := range m { s = append(s, k) }; println(s[0]); slices.Sort(s); return }`, `import "slices"; func f(m map[int]int) (s []int) { for k := range m { s = append(s, k) }; slices.Sort(s); return }`},
		"first of a map":           {`func f(m map[int]int) int { for k := range m { return k }; return 0 }`, `func f(m map[int]int) (n int) { for _, v := range m { n += v }; return }`},
		"global rand":              {`import "math/rand/v2"; func f() int { return rand.IntN(3) }`, `import "math/rand/v2"; func f() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }`},
		"crypto rand":              {`import "crypto/rand"; var r = rand.Reader`, `import "crypto/sha256"; var s = sha256.New`},
		"pointer in a log":         {`import "fmt"; func f(p *int) string { return fmt.Sprintf("at %p", p) }`, `import "fmt"; func f(p int) string { return fmt.Sprintf("at %d", p) }`},
		"shared state":             {`var seen = map[int]bool{}; func f(i int) { seen[i] = true }`, `var seen = map[int]bool{1: true}; func f(i int) bool { return seen[i] }`},
		"shared counter":           {`var n int; func f() { n++ }`, `func f() (n int) { n++; return }`},
		"map order, looked up":     {`func f(m, n map[int]int) { for k := range m { if v, ok := n[k]; !ok { println(v) } } }`, `func f(m, n map[int]int) { for k := range m { if _, ok := n[k]; !ok { n[k] = 0 } } }`},
		"lock":                     {`import "sync"; var mu sync.Mutex`, `import "strings"; var b strings.Builder`},
		"fused multiply-add":       {`func f(x, y, z float64) float64 { return x*y + z }`, `func f(x, y, z float64) float64 { return float64(x*y) + z }`},
		"environment":              {`import "os"; func f() string { return os.Getenv("HOME") }`, `import "io"; var e = io.EOF`},
		"excuse of no words":       {"func f(m map[int]int) (s []int) {\n//det:allow \nfor k := range m { s = append(s, k) }\nreturn }", "func f(m map[int]int) (s []int) {\n//det:allow the caller sorts\nfor k := range m { s = append(s, k) }\nreturn }"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.NotEmpty(t, leaksIn(t, c.leak), "the leak was not found")
			assert.Empty(t, leaksIn(t, c.harmless), "a false alarm")
		})
	}
}

func leaksIn(t *testing.T, text string) []leak {
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, "planted.go", "package planted\n"+text, parser.ParseComments)
	require.NoError(t, err)
	file := source{path: "planted.go", folder: "broker/x", text: []byte(text), syntax: syntax, fset: fset}
	tr := &tree{files: []source{file}, fset: fset, packages: map[string]*types.Package{}, loading: map[string][]*ast.File{"broker/x": {syntax}}}
	tr.info = &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: importer.Default(), Error: func(error) {}}
	conf.Importer = tr
	tr.packages["broker/x"], _ = conf.Check(module+"/broker/x", fset, []*ast.File{syntax}, tr.info)
	return tr.leaks(file)
}
