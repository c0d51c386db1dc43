//go:build unix

package cmd

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var long = flag.Bool("long", false, "run the long tests too")

// asProgram makes the test binary be ktrial, so that the tests need not build
// one.
const asProgram = "KTRIAL_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		Main("ktrial")
	}
	sideBySide(6)
	os.Exit(m.Run())
}

// sideBySide lets so many tests run at the same time if the user has not said how many:
// most of them wait for a program more than they need a processor.
func sideBySide(tests int) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", strconv.Itoa(tests))
	}
}

// apart runs a command in a process of its own, so that tests may do it side by side.
// Nothing of it is a terminal.
func apart(t *testing.T, args ...string) said {
	t.Helper()
	cmd := program(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	require.NotNil(t, cmd.ProcessState, "it does not start")
	return said{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

func program(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// serving is a ktrial serve that runs.
type serving struct {
	t      testing.TB
	cmd    *exec.Cmd
	line   string // what it said when it was ready
	addrs  []string
	errors safeBuffer
	ended  chan error
}

var readyLine = regexp.MustCompile(`^ktrial: serving \d+ brokers? at (.*) \(cluster id ([\w-]{22}), data in (\S+?)(, .*)?\); stop with Ctrl-C\n$`)

// startServing starts one at any free ports and waits until it is ready.
func startServing(t testing.TB, dir string, args ...string) *serving {
	t.Helper()
	args = append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)
	if dir != "" {
		args = append(args, "--data", dir)
	}
	return startServingAs(t, program(args...))
}

func startServingAs(t testing.TB, cmd *exec.Cmd) *serving {
	t.Helper()
	s := &serving{t: t, cmd: cmd, ended: make(chan error, 1)}
	s.cmd.Stderr = &s.errors
	out, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	t.Cleanup(s.kill)
	lines := bufio.NewReader(out)
	said := make(chan string, 1)
	go func() {
		line, _ := lines.ReadString('\n')
		said <- line
		io.Copy(io.Discard, lines)
		s.ended <- s.cmd.Wait()
	}()
	select {
	case s.line = <-said:
	case <-time.After(60 * time.Second):
	}
	parts := readyLine.FindStringSubmatch(s.line)
	require.NotNil(t, parts, "the line %q does not say that it is ready; errors: %s", s.line, &s.errors)
	host := ""
	for addr := range strings.SplitSeq(parts[1], ", ") {
		colon := strings.LastIndexByte(addr, ':')
		if colon > 0 {
			host = addr[:colon]
		}
		s.addrs = append(s.addrs, host+addr[colon:])
	}
	return s
}

// stop stops it in order.
func (s *serving) stop() {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(syscall.SIGTERM))
	s.expectEnd(0)
}

func (s *serving) expectEnd(code int) {
	s.t.Helper()
	select {
	case err := <-s.ended:
		s.ended <- err
		require.Equal(s.t, code, s.cmd.ProcessState.ExitCode(), "exit code; errors: %s", &s.errors)
	case <-time.After(60 * time.Second):
		s.t.Fatal("it has not ended within a minute")
	}
}

// kill is kill -9.
func (s *serving) kill() {
	s.cmd.Process.Kill()
	s.ended <- <-s.ended
}

// refused runs a ktrial serve that must end by itself, and returns its one line.
func refused(t *testing.T, code int, args ...string) string {
	t.Helper()
	cmd := program(append([]string{"serve"}, args...)...)
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	cmd.Run()
	assert.Equal(t, code, cmd.ProcessState.ExitCode(), "exit code; errors: %s", &errors)
	assert.Empty(t, out.String())
	assert.Regexp(t, `^ktrial: [^\n]*\n$`, errors.String(), "one line")
	return errors.String()
}

// contents are all files below dir, with what is in them.
func contents(t *testing.T, dir string) map[string]string {
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		files[path] = string(text)
		return err
	}))
	return files
}

func TestServe_EndsInOrderAndComesBackAsItWas(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "data")
	s := startServing(t, dir, "--brokers", "2", "--controllers", "1")
	assert.Len(t, s.addrs, 2)
	id := readyLine.FindStringSubmatch(s.line)[2]
	s.stop()
	for _, node := range []string{"broker-1", "broker-2"} {
		assert.FileExists(t, filepath.Join(dir, node, ".kafka_cleanshutdown"))
		meta, err := os.ReadFile(filepath.Join(dir, node, "meta.properties"))
		require.NoError(t, err)
		assert.Contains(t, string(meta), "cluster.id="+id+"\n")
	}
	assert.Empty(t, s.errors.String())

	s = startServing(t, dir) // as many brokers as there were
	assert.Len(t, s.addrs, 2)
	assert.Equal(t, id, readyLine.FindStringSubmatch(s.line)[2])
	s.stop()
}

func TestServe_WithoutDirectoryUsesATemporaryOneAndSaysSo(t *testing.T) {
	t.Parallel()
	s := startServing(t, "", "--brokers", "1", "--controllers", "1")
	parts := readyLine.FindStringSubmatch(s.line)
	assert.Contains(t, parts[4], "temporary")
	assert.DirExists(t, parts[3])
	s.stop()
	assert.NoDirExists(t, parts[3])
}

func TestServe_TheSecondInterruptDoesNotWait(t *testing.T) {
	t.Parallel()
	s := startServing(t, t.TempDir(), "--set", "ktrial.controlled.shutdown.timeout.ms=20000")
	// Nothing that is shut down in order is there yet when the second one comes.
	s.cmd.Process.Signal(syscall.SIGSTOP)
	s.cmd.Process.Signal(os.Interrupt)
	s.cmd.Process.Signal(syscall.SIGTERM)
	s.cmd.Process.Signal(syscall.SIGCONT)
	s.expectEnd(exitInterrupted)
}

func TestServe_RefusesWhatItCannotUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startServing(t, dir, "--brokers", "2", "--controllers", "1")
	any := []string{"--listen", "127.0.0.1:0", "--data"}

	t.Run("a directory that another one uses", func(t *testing.T) {
		assert.Contains(t, refused(t, exitUsage, append(any, dir)...), "in use by another program")
	})
	s.stop()
	before := contents(t, dir)
	t.Run("a directory of fewer brokers", func(t *testing.T) {
		assert.Contains(t, refused(t, exitUsage, append(any, dir, "--brokers", "3")...),
			"holds a cluster of 2 brokers and 1 controllers, expected 3 and 1")
	})
	t.Run("a directory of something else", func(t *testing.T) {
		other := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(other, "thesis.txt"), nil, 0o644))
		assert.Contains(t, refused(t, exitUsage, append(any, other)...), "thesis.txt")
		assert.Len(t, contents(t, other), 1)
	})
	t.Run("a file for a directory", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "f")
		require.NoError(t, os.WriteFile(file, nil, 0o644))
		refused(t, exitUsage, append(any, file)...)
	})
	t.Run("a port in use", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		fresh := filepath.Join(t.TempDir(), "fresh")
		assert.Contains(t, refused(t, exitUsage, "--listen", l.Addr().String(), "--data", fresh), "address already in use")
		assert.Len(t, contents(t, fresh), 1, "nothing but the lock")
		refused(t, exitUsage, "--listen", l.Addr().String(), "--data", dir)
	})
	t.Run("arguments", func(t *testing.T) {
		assert.Contains(t, refused(t, exitUsage, "--set", "log.segment.byte=1"), "did you mean")
		assert.Contains(t, refused(t, exitUsage, "--set", "log.segment.bytes"), "key=value")
		assert.Contains(t, refused(t, exitUsage, "--listen", "9092"), "HOST:PORT")
		assert.Contains(t, refused(t, exitUsage, "--listen", "127.0.0.1:65534"), "port")
		assert.Contains(t, refused(t, exitUsage, "--brokers", "0"), "1 or more")
		refused(t, exitUsage, "--listen", "no such host:9092")
		refused(t, exitUsage, "here")
	})
	assert.Equal(t, before, contents(t, dir), "nothing was changed")
	damages := map[string]func(t *testing.T, file string) error{
		"ktrial.properties":                              overwrite("brokers=many\nversion=1\n"),
		"broker-1/meta.properties":                       overwrite("node.id=?\nversion=1\n"),
		"broker-2/meta.properties":                       replace("node.id=2", "node.id=1"),
		"broker-2/__cluster_metadata-0/quorum-state":     overwrite("{"),
		"controller-1/meta.properties":                   remove,
		"controller-1/__cluster_metadata-0/quorum-state": replace(`"leaderEpoch":`, `"leaderEpoch":"x`),
	}
	for name, damage := range damages {
		t.Run("damaged "+name, func(t *testing.T) {
			file := filepath.Join(dir, name)
			sound, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, damage(t, file))
			damaged := contents(t, dir)
			assert.Contains(t, refused(t, exitUsage, append(any, dir)...), filepath.Base(name))
			now := contents(t, dir)
			assert.Equal(t, damaged[file], now[file])
			require.NoError(t, os.WriteFile(file, sound, 0o644))
		})
	}
	startServing(t, dir).stop()
}

func overwrite(text string) func(*testing.T, string) error {
	return func(_ *testing.T, file string) error { return os.WriteFile(file, []byte(text), 0o644) }
}

func remove(_ *testing.T, file string) error { return os.Remove(file) }

func replace(old, new string) func(*testing.T, string) error {
	return func(t *testing.T, file string) error {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(text), old)
		return os.WriteFile(file, bytes.Replace(text, []byte(old), []byte(new), 1), 0o644)
	}
}

// A cluster that has lost a node is not what the user means to test against: it
// ends, and says why.
func TestServe_EndsWhenANodeDoes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startServing(t, dir, "--brokers", "2", "--controllers", "1")
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "broker-1")))
	s.tryCreateTopic("source")
	s.expectEnd(exitOurBug)
	assert.Regexp(t, `^ktrial: broker-1 has ended: [^\n]*source-[^\n]*no such file[^\n]*\n$`, s.errors.String())
}

// An idle cluster must not eat the machine it is forgotten on.
func TestServe_IdlesWithoutWork(t *testing.T) {
	skipIfShort(t)
	if runtime.GOOS != "linux" {
		t.Skip("CPU time of a process is read from /proc, which is Linux's")
	}
	t.Parallel()
	s := startServing(t, t.TempDir())
	begun := s.cpuTime()
	const d = 3 * time.Second
	time.Sleep(d)
	share := float64(s.cpuTime()-begun) / float64(d)
	t.Logf("%.1f%% of a CPU", 100*share)
	assert.Less(t, share, 0.03)
	s.stop()
}

// cpuTime is what the process has used so far.
func (s *serving) cpuTime() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	require.NoError(s.t, err)
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	var ticks int
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		require.NoError(s.t, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// memory is what the process has in memory, in bytes.
func (s *serving) memory() int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.cmd.Process.Pid))
	require.NoError(s.t, err)
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	require.NoError(s.t, err)
	return pages * os.Getpagesize()
}

// safeBuffer may be read while the program writes.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
