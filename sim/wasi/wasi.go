// Package wasi runs a user's own program as a process of a host: a program compiled
// for GOOS=wasip1 whose clocks, sleeps, luck and connections are those of env.Host. It
// knows no Kafka.
//
// The program runs in one task. Compiled code leaves for ordinary Go whenever it
// calls its host, and there it may block as any task does; a program with nothing to
// do calls poll_oneoff and waits there for the connections and timers that it names.
// A kill ends the task inside such a call, so that nothing of the program goes on.
//
// Computing takes no virtual time. Reading the clock does, a little, or a loop that
// waits for time to pass would never end (see pace).
package wasi

import (
	"context" //det:allow wazero's functions take one: it carries the instance, and the watchdog's end
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/sim/wasi/interrupt"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"
)

// Program is a module that was compiled and can be run, many times and in many
// worlds at once.
type Program struct {
	// Name is what reports call it.
	Name string
	// SHA256 identifies the module, in hexadecimal.
	SHA256 string

	runtime  wazero.Runtime
	compiled wazero.CompiledModule
}

// Options say how a module is compiled.
type Options struct {
	// Cache is a directory for compiled modules; empty: each Load compiles anew, which
	// takes some seconds for a large program.
	Cache string
	// Interpreter runs the module without compiling it, eleven times slower. The
	// run is the same.
	Interpreter bool
}

// Load makes a program of the bytes of a module. It fails if they are not one, or if
// it imports what no host here has, such as threads.
func Load(name string, module []byte, o Options) (*Program, error) {
	ctx := context.Background()
	sum := Sum(module)
	cfg := wazero.NewRuntimeConfig()
	// A program that spins can be stopped, by its own loops, or else by wazero.
	if o.Interpreter {
		cfg = wazero.NewRuntimeConfigInterpreter().WithCloseOnContextDone(true)
	} else if asking, err := interrupt.Loops(module); err == nil {
		module = asking
	} else {
		cfg = cfg.WithCloseOnContextDone(true)
	}
	if o.Cache != "" {
		cache, err := wazero.NewCompilationCacheWithDir(o.Cache)
		if err != nil {
			return nil, fmt.Errorf("wasi: %s: opening the cache of compiled modules: %w", name, err)
		}
		cfg = cfg.WithCompilationCache(cache)
	}
	p := &Program{Name: name, runtime: wazero.NewRuntimeWithConfig(ctx, cfg)}
	if err := provideCalls(ctx, p.runtime); err != nil {
		return nil, fmt.Errorf("wasi: %w", err)
	}
	compiled, err := p.runtime.CompileModule(ctx, module)
	if err != nil {
		p.runtime.Close(ctx)
		return nil, fmt.Errorf("wasi: %s is not a module that can be run: %w", name, err)
	}
	p.compiled = compiled
	if missing := p.missing(); missing != "" {
		p.runtime.Close(ctx)
		return nil, fmt.Errorf("wasi: %s wants %s of its host, which is not here: build it with `ktrial app build`", name, missing)
	}
	p.SHA256 = sum
	return p, nil
}

// Sum is the SHA-256 of a module, in hexadecimal.
func Sum(module []byte) string {
	sum := sha256.Sum256(module)
	return hex.EncodeToString(sum[:])
}

// missing names the first import that no host here has.
func (p *Program) missing() string {
	for _, f := range p.compiled.ImportedFunctions() {
		module, name, _ := f.Import()
		if !provided(module, name) {
			return module + "." + name
		}
	}
	return ""
}

// Close frees the compiled code. No instance may run.
func (p *Program) Close() { p.runtime.Close(context.Background()) }

// Process is what one start of a program is given.
type Process struct {
	Args []string // without the program's name
	Env  []string // "NAME=value"
	// Started, if set, is called before the program begins.
	Started func(Signals)
	// Wall is how long the program may compute without calling its host, in time of
	// the real clock; then it is stopped with ErrSpins. 0: 20 s.
	Wall time.Duration
}

// Signals are what an operating system sends to a process. They may be called outside of any
// task, more than once, and after the end.
type Signals struct {
	// Stop asks the program to end, as SIGTERM does: one that has called signal.Notify hears
	// of it, another ends at once with status 143.
	Stop func()
	// Kill ends it with status 137 when it calls its host next, as SIGKILL does.
	Kill func()
}

// ExitError is the end of a program with a status other than 0.
type ExitError struct {
	Program string
	Status  uint32
	// LastWords is what it wrote last to its standard error: the first line of a panic.
	LastWords string
}

// Error says it in a line.
func (e *ExitError) Error() string {
	if e.LastWords == "" {
		return fmt.Sprintf("%s exited with status %d", e.Program, e.Status)
	}
	return fmt.Sprintf("%s exited with status %d: %s", e.Program, e.Status, e.LastWords)
}

// ErrSpins is the end of a program that computes without ever calling its host.
// It says nothing about the stack: the real clock decided it.
var ErrSpins = errors.New("the program computes without calling its host")

// Run runs the program on a host until it ends. It blocks as long, and returns nil
// if the program's status is 0, else an *ExitError, or ErrSpins with its name.
func (p *Program) Run(h env.Host, proc Process) error {
	in := newInstance(p, h, proc)
	ctx, cancel := context.WithCancelCause(context.WithValue(context.Background(), instanceKey{}, in))
	defer cancel(nil)
	ctx = experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(reserve))
	cfg := wazero.NewModuleConfig().WithName("")
	mod, err := p.runtime.InstantiateModule(ctx, p.compiled, cfg.WithStartFunctions())
	if err != nil {
		return fmt.Errorf("wasi: starting %s: %w", p.Name, err)
	}
	defer mod.Close(context.Background()) // also when the process is killed, which unwinds
	defer in.close()
	defer in.guard(func() {
		cancel(ErrSpins)
		if stop, ok := mod.ExportedGlobal(interrupt.Variable).(api.MutableGlobal); ok {
			stop.Set(1)
		}
	})()
	if proc.Started != nil {
		proc.Started(Signals{in.stop, in.kill})
	}
	start := mod.ExportedFunction("_start")
	if start == nil {
		return fmt.Errorf("wasi: %s has no _start: it is a library, not a program", p.Name)
	}
	_, err = start.Call(ctx)
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%s: %w", p.Name, cause)
	}
	return in.ended(err)
}

// ended says how the program ended.
func (in *instance) ended(err error) error {
	var exit *sys.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit) && exit.ExitCode() == 0:
		return nil
	case errors.As(err, &exit):
		return &ExitError{in.program.Name, exit.ExitCode(), in.lastWords}
	}
	// A trap: memory that is not there, or code that must not be reached.
	return &ExitError{in.program.Name, 134, firstLine(err.Error())}
}
