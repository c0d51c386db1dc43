package interrupt

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"pgregory.net/rapid"
)

// module is one with a function that is exported as run, of type () -> i32, and with
// these sections before its code.
func module(body string, sections ...string) []byte {
	m := "\x00asm\x01\x00\x00\x00" + part(1, "\x01\x60\x00\x01\x7f")
	for _, s := range sections {
		m += s
	}
	return []byte(m + part(10, "\x01"+sized(body)))
}

func part(id byte, body string) string { return string(id) + sized(body) }

func sized(s string) string { return string(rune(len(s))) + s } // below 128

var (
	function = part(3, "\x01\x00") + part(5, "\x01\x00\x01") // and a memory
	global   = part(6, "\x01\x7f\x01\x41\x2a\x0b")           // i32, 42
	export   = part(7, "\x01\x03run\x00\x00")
	imported = part(2, "\x01\x01m\x01g\x03\x7f\x00") // a global
)

const (
	spins   = "\x00\x03\x40\x0c\x00\x0b\x00\x0b"                           // loop br 0 end unreachable
	returns = "\x00\x23\x00\x0b"                                           // the first global
	counts  = "\x01\x01\x7f\x03\x7f\x20\x00\x41\x01\x6a\x22\x00\x20\x00" + // loop: local++, and once more
		"\x41\x0a\x48\x0d\x00\x0b\x0b" // while it is less than 10
)

func TestLoops_AreStopped(t *testing.T) {
	for name, m := range map[string][]byte{
		"no global":        module(spins, function, export),
		"a global":         module(spins, function, global, export),
		"an imported one":  module(spins, imported, function, export),
		"a custom section": module(spins, function, part(0, "\x01x"), global, export, part(0, "\x01y")),
	} {
		t.Run(name, func(t *testing.T) {
			run, stop := load(t, m)
			go func() {
				time.Sleep(20 * time.Millisecond)
				runtime.GC() // waits until each thread was in Go
				stop.Set(1)
			}()
			_, err := run.Call(t.Context())
			assert.ErrorContains(t, err, "unreachable")
		})
	}
}

func TestLoops_ComputeWhatTheyDid(t *testing.T) {
	run, stop := load(t, module(returns, function, global, export))
	got, err := run.Call(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []uint64{42}, got, "globals are numbered as before")
	assert.Zero(t, stop.Get())
	run, _ = load(t, module(counts, function, export))
	got, err = run.Call(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []uint64{10}, got)
}

func load(t *testing.T, m []byte) (run api.Function, stop api.MutableGlobal) {
	t.Helper()
	m, err := Loops(m)
	require.NoError(t, err)
	r := wazero.NewRuntime(t.Context())
	t.Cleanup(func() { r.Close(context.Background()) })
	host, err := wazero.NewRuntime(t.Context()).CompileModule(t.Context(), m)
	require.NoError(t, err, "it is a module still")
	host.Close(t.Context())
	_, err = r.InstantiateWithConfig(t.Context(), []byte("\x00asm\x01\x00\x00\x00"+part(6, "\x01\x7f\x00\x41\x07\x0b")+part(7, "\x01\x01g\x03\x00")), wazero.NewModuleConfig().WithName("m"))
	require.NoError(t, err)
	mod, err := r.InstantiateWithConfig(t.Context(), m, wazero.NewModuleConfig().WithName("it"))
	require.NoError(t, err)
	stop, ok := mod.ExportedGlobal(Variable).(api.MutableGlobal)
	require.True(t, ok)
	return mod.ExportedFunction("run"), stop
}

func TestLoops_RefusesWhatItDoesNotKnow(t *testing.T) {
	for name, c := range map[string]struct {
		module []byte
		says   string
	}{
		"nothing":      {nil, "it does not begin as a module does"},
		"text":         {[]byte("(module (func))"), "it does not begin as a module does"},
		"no memory":    {module(spins, part(3, "\x01\x00"), export), "it has no memory of its own"},
		"cut off":      {module(spins, function, export)[:30], "it is cut off"},
		"vectors":      {module("\x00\xfd\x0c\x0b", function, export), "instruction 0xfd is not known"},
		"threads":      {module("\x00\xfe\x00\x0b", function, export), "instruction 0xfe is not known"},
		"later":        {module("\x00\xfc\x63\x0b", function, export), "instruction 0xfc 99 is not known"},
		"a long table": {module("\x00\x0e\xff\xff\xff\xff\x0f\x00\x0b", function, export), "it is cut off"},
		"long locals":  {module("\xff\xff\xff\xff\x0f\x01\x7f\x0b", function, export), "it is cut off"},
		"odd imports":  {module(spins, part(2, "\x01\x01m\x01g\x09"), function, export), "an import of kind 9 is not known"},
	} {
		_, err := Loops(c.module)
		assert.EqualError(t, err, c.says, name)
	}
}

// Whatever bytes it is given, it comes back.
func TestLoops_LivesWithDamage(t *testing.T) {
	whole := module(counts, imported, function, global, export)
	rapid.Check(t, func(rt *rapid.T) {
		m := slices.Clone(whole[:rapid.IntRange(0, len(whole)).Draw(rt, "length")])
		for range rapid.IntRange(0, 4).Draw(rt, "changes") {
			if len(m) > 8 {
				m[rapid.IntRange(8, len(m)-1).Draw(rt, "at")] = rapid.Byte().Draw(rt, "byte")
			}
		}
		_, _ = Loops(m)
	})
}
