// Package app builds a user's Go program so that it can run inside a trial: for
// GOOS=wasip1, with a standard library whose connections, names and signals are those
// of the simulated host. Nothing of the program is changed.
//
// The library is changed by an overlay (go build -overlay) that is made from the
// user's own GOROOT: five files of package net and os/signal get one call each, at an
// anchor that must be there exactly once, and two files are added. A Go release that
// moved an anchor is refused with the anchor's name.
package app

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed overlay
var added embed.FS

// anchor is where a file of the standard library is changed.
type anchor struct {
	file string // below GOROOT/src
	is   string // must be there exactly once
	will string
}

// anchors are all changes.
var anchors = []anchor{
	{
		"net/net_fake.go",
		"\tfd := &netFD{\n\t\tfamily: family,\n",
		"\tif peer, is := raddr.(*TCPAddr); is && peer != nil {\n\t\treturn dialWorld(ctx, net, family, sotype, peer)\n\t}\n\tif at, is := laddr.(*TCPAddr); is && raddr == nil {\n\t\treturn listenWorld(net, family, sotype, at)\n\t}\n\tfd := &netFD{\n\t\tfamily: family,\n",
	},
	{
		"net/hosts.go",
		"func lookupStaticHost(host string) ([]string, string) {\n",
		"func lookupStaticHost(host string) ([]string, string) {\n\tif found := lookupWorld(host); found != nil {\n\t\treturn found, host\n\t}\n",
	},
	{
		"net/net.go",
		"\tif err := c.fd.SetReadDeadline(t); err != nil {\n",
		"\tletOthersRun()\n\tif err := c.fd.SetReadDeadline(t); err != nil {\n",
	},
	{
		"os/signal/signal_unix.go",
		"process(syscall.Signal(signal_recv()))",
		"process(recvWorld())",
	},
	{
		"os/signal/signal.go",
		"\n\tsignalWaitUntilIdle()\n",
		"\n\t// Signals come from the world, one task at a time: there is nothing to wait for.\n",
	},
}

// additions are files that the overlay adds to the standard library.
var additions = map[string]string{
	"net/zz_world_wasip1.go":       "overlay/net.go.txt",
	"os/signal/zz_world_wasip1.go": "overlay/signal.go.txt",
}

// Target is a program to build.
type Target struct {
	// Package is what `go build` is given: a directory such as ./cmd/orders, or an
	// import path.
	Package string
	// Dir is where the go command runs: within the user's module. Empty: here.
	Dir string
	// Output is the file to write.
	Output string
	// Go is the go command; empty: the one of PATH.
	Go string
}

// Build builds a program. The same source and the same Go release give the same
// bytes, in whatever directory.
func Build(t Target) error {
	if t.Go == "" {
		t.Go = "go"
	}
	output, err := filepath.Abs(t.Output)
	if err != nil {
		return fmt.Errorf("app: %w", err)
	}
	scratch, err := os.MkdirTemp("", "ktrial-app-")
	if err != nil {
		return fmt.Errorf("app: making a directory for the overlay: %w", err)
	}
	defer os.RemoveAll(scratch)
	goroot, release, err := goEnv(t)
	if err != nil {
		return err
	}
	overlay, err := writeOverlay(goroot, release, scratch)
	if err != nil {
		return err
	}
	if err := refuseCgo(t); err != nil {
		return err
	}
	_, err = run(t, "build", "-trimpath", "-buildvcs=false", "-ldflags=-buildid=", "-overlay", overlay, "-o", output, t.Package)
	return err
}

// T is the part of *testing.T that BuildFor needs.
type T interface {
	Helper()
	TempDir() string
	Fatalf(format string, args ...any)
}

// BuildFor builds a package for a test, and returns the file. What cannot be built
// fails the test.
func BuildFor(t T, pkg string) string {
	t.Helper()
	name := filepath.Base(pkg)
	if abs, err := filepath.Abs(pkg); err == nil {
		name = filepath.Base(abs)
	}
	file := filepath.Join(t.TempDir(), name+".wasm")
	if err := Build(Target{Package: pkg, Output: file}); err != nil {
		t.Fatalf("%v", err)
	}
	return file
}

// goEnv asks the go command of the user's module, which may choose another release.
func goEnv(t Target) (goroot, release string, err error) {
	out, err := run(t, "env", "GOROOT", "GOVERSION")
	if err != nil {
		return "", "", err
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 2 {
		return "", "", fmt.Errorf("app: `go env GOROOT GOVERSION` said %q, expected two lines", out)
	}
	return strings.TrimSpace(lines[0]), strings.TrimSpace(lines[1]), nil
}

// run runs the go command for the simulated host.
func run(t Target, args ...string) (string, error) {
	cmd := exec.Command(t.Go, args...)
	cmd.Dir = t.Dir
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			return "", fmt.Errorf("app: running the go command: %w (is Go installed?)", err)
		}
		return "", fmt.Errorf("app: go %s %s: %w\n%s", args[0], t.Package, err, strings.TrimSpace(said.String()))
	}
	return out.String(), nil
}

// refuseCgo names the packages that cannot be compiled for the simulated host, since
// the errors of the compiler do not say why.
func refuseCgo(t Target) error {
	cmd := exec.Command(t.Go, "list", "-deps", "-f", "{{if and .CgoFiles (not .Standard)}}{{.ImportPath}}{{end}}", t.Package)
	cmd.Dir = t.Dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	out, err := cmd.Output()
	if err != nil {
		return nil // the build itself will say what is wrong
	}
	if with := strings.Fields(string(out)); len(with) > 0 {
		return fmt.Errorf("app: %s uses cgo (%s), and C does not run inside a trial: use a client written in Go, such as franz-go, sarama or kafka-go, or try it with `ktrial serve` or `ktrial tap`", t.Package, strings.Join(with, ", "))
	}
	return nil
}

// writeOverlay writes the changed files and the description that the go command reads.
func writeOverlay(goroot, release, scratch string) (string, error) {
	replace := map[string]string{}
	put := func(file string, content []byte) error {
		to := filepath.Join(scratch, strings.ReplaceAll(file, "/", "_"))
		replace[filepath.Join(goroot, "src", filepath.FromSlash(file))] = to
		return os.WriteFile(to, content, 0o644)
	}
	for _, a := range anchors {
		original, err := os.ReadFile(filepath.Join(goroot, "src", filepath.FromSlash(a.file)))
		if err != nil {
			return "", fmt.Errorf("app: reading the standard library of %s: %w", release, err)
		}
		if n := strings.Count(string(original), a.is); n != 1 {
			return "", fmt.Errorf("app: %s of %s has the anchor %q %d times, expected once: this Go release is not known to `ktrial app build` yet; build with another one (GOTOOLCHAIN=go1.26.0), or build with the go command alone and give your client the dialer of github.com/ktrial/ktrial/sim/wasi/inside", a.file, release, strings.TrimSpace(a.is), n)
		}
		if err := put(a.file, []byte(strings.Replace(string(original), a.is, a.will, 1))); err != nil {
			return "", fmt.Errorf("app: writing the overlay: %w", err)
		}
	}
	for file, source := range additions {
		content, err := added.ReadFile(source)
		if err != nil {
			panic("app: " + err.Error())
		}
		if err := put(file, content); err != nil {
			return "", fmt.Errorf("app: writing the overlay: %w", err)
		}
	}
	description, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		panic("app: " + err.Error())
	}
	path := filepath.Join(scratch, "overlay.json")
	if err := os.WriteFile(path, description, 0o644); err != nil {
		return "", fmt.Errorf("app: writing the overlay: %w", err)
	}
	return path, nil
}
