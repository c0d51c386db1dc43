package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/ktrial/ktrial/sim/wasi"
)

// Command is a program with its arguments, as --app has it.
type Command struct {
	// Host is where it runs; empty: on one with a name of its own.
	Host string
	Env  []string // "NAME=VALUE"
	File string
	Args []string
}

// environment is a word before the file that sets a variable. A host with a file has the
// same form, and the file's name ends in .wasm.
var environment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)

// ReadCommand reads "FILE ARGS". Words NAME=VALUE before the file are the environment, and
// HOST=FILE names the host. Quotes keep words together.
func ReadCommand(text string) (Command, error) {
	words, err := words(text)
	if err != nil {
		return Command{}, fmt.Errorf("--app %q: %w", text, err)
	}
	if len(words) == 0 {
		return Command{}, errors.New("--app: found nothing, expected a FILE that `ktrial app build` wrote, and its arguments: --app 'orders.wasm -rate 50'")
	}
	c := Command{}
	for len(words) > 1 && environment.MatchString(words[0]) && !strings.HasSuffix(words[0], ".wasm") {
		c.Env, words = append(c.Env, words[0]), words[1:]
	}
	c.File, c.Args = words[0], words[1:]
	if host, file, named := strings.Cut(words[0], "="); named && !strings.ContainsAny(host, "/\\") {
		c.Host, c.File = host, file
	}
	if c.File == "" {
		return Command{}, fmt.Errorf("--app %q: found no FILE behind the host %s, expected one that `ktrial app build` wrote", text, c.Host)
	}
	return c, nil
}

// words splits at spaces, but for those within quotes.
func words(text string) (out []string, err error) {
	var word strings.Builder
	var quote rune
	within := false
	for _, r := range text {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, within = r, true
		case quote == 0 && (r == ' ' || r == '\t'):
			if within {
				out = append(out, word.String())
			}
			word.Reset()
			within = false
		default:
			word.WriteRune(r)
			within = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("found a quote (%c) that does not end", quote)
	}
	if within {
		out = append(out, word.String())
	}
	return out, nil
}

var (
	loading sync.Mutex
	loaded  = map[string]*wasi.Program{} // by file and contents
)

// Load reads and compiles a program, once for each file of a process of ktrial. Compiled
// code is kept in the user's cache directory.
func Load(file string) (*wasi.Program, error) {
	module, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--app: %w (build it: ktrial app build PACKAGE -o %s)", err, file)
	}
	if len(module) < 4 || string(module[:4]) != "\x00asm" {
		return nil, fmt.Errorf("--app %s: found a file that is no WebAssembly module, expected one that `ktrial app build` wrote", file)
	}
	loading.Lock()
	defer loading.Unlock()
	key := file + "\x00" + wasi.Sum(module)
	if p := loaded[key]; p != nil {
		return p, nil
	}
	p, err := wasi.Load(Name(file), module, wasi.Options{Cache: cacheDir()})
	if err != nil {
		return nil, fmt.Errorf("--app %s: %w", file, err)
	}
	debug.FreeOSMemory() // what compiling left: twice what the code takes
	loaded[key] = p
	return p, nil
}

// Name is what reports call the program of a file: orders, of bin/orders.wasm.
func Name(file string) string {
	return strings.TrimSuffix(filepath.Base(file), ".wasm")
}

// cacheDir is where compiled code is kept; empty: nowhere.
func cacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "ktrial", "wasm")
}
