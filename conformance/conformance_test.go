// Package conformance_test holds ktrial serve against Apache Kafka: Kafka's own
// tools are used on our cluster, directories are passed from one to the other and
// back, and a driver sends both the same requests. It needs Java and Maven, takes
// minutes, and is run by conformance/run.
package conformance_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/ktrial/ktrial/internal/ports"
)

var (
	long  = flag.Bool("long", false, "run the long tests, too: all of these are")
	whole = flag.Bool("whole", false, "with -long: clients are not tried for a few seconds, but at full length and in all their modes")
	seeds = flag.String("seeds", "1..20", "random sessions of the driver")
	limit = flag.Duration("limit", 150*time.Second, "no session of the driver begins after this time")
)

// atLength skips a test that is played with -whole, or when it is asked for by its name.
func atLength(t *testing.T) {
	t.Helper()
	named := strings.Contains(flag.Lookup("test.run").Value.String(), strings.TrimPrefix(t.Name(), "Test"))
	if !*long || !*whole && !named {
		t.Skipf("minutes more: conformance/run -run %s", t.Name())
	}
}

// kafka makes sure that Apache Kafka is here, or skips. The tests wait for each
// other's programs most of the time, so they run side by side.
func kafka(t *testing.T) {
	t.Helper()
	if !*long {
		t.Skip("takes minutes and Apache Kafka: use conformance/run")
	}
	if why := bring(); why != "" {
		t.Skip(why)
	}
	t.Parallel()
}

// bring brings Apache Kafka here, once, or says why it cannot.
var bring = sync.OnceValue(func() string {
	if _, err := exec.LookPath("java"); err != nil {
		return "java is not installed, which Apache Kafka needs"
	}
	out, err := exec.Command("./get").CombinedOutput()
	if err == nil {
		return ""
	}
	if _, missing := exec.LookPath("mvn"); missing != nil {
		return "mvn is not installed, which brings Apache Kafka"
	}
	return "Apache Kafka cannot be brought here: " + lastLine(out)
})

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// ktrial is the program, built once.
var ktrial = sync.OnceValues(func() (string, error) { return build("../cmd/ktrial", "ktrial") })

func build(source, name string) (string, error) {
	dir, err := programDir()
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, name)
	out, err := exec.Command("go", "build", "-o", file, source).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return file, nil
}

// programs are the directories of what was built.
// programDir is a directory for programs, which is removed at the end.
func programDir() (string, error) {
	dir, err := os.MkdirTemp("", "conformance-")
	if err == nil {
		programsMu.Lock()
		programs = append(programs, dir)
		programsMu.Unlock()
	}
	return dir, err
}

var (
	programs   []string
	programsMu sync.Mutex
)

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	for _, dir := range programs {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// process is a program that runs beside the test.
type process struct {
	t     *testing.T
	what  string
	cmd   *exec.Cmd
	out   lockedBuffer
	ended chan struct{}
}

// lockedBuffer may be read while a program writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func start(t *testing.T, what, program string, args ...string) *process {
	t.Helper()
	p := &process{t: t, what: what, cmd: exec.Command(program, args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	require.NoError(t, p.cmd.Start(), what)
	go func() {
		p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() { p.end(syscall.SIGKILL) })
	return p
}

// end sends a signal and waits until the program has ended.
func (p *process) end(signal syscall.Signal) {
	p.t.Helper()
	p.cmd.Process.Signal(signal)
	select {
	case <-p.ended:
	case <-time.After(time.Minute):
		p.cmd.Process.Kill()
		p.t.Errorf("%s did not end within a minute of %v", p.what, signal)
	}
}

// until waits for a condition, as long as the program runs.
func (p *process) until(what string, holds func() bool) {
	p.t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !holds() {
		select {
		case <-p.ended:
			require.Failf(p.t, p.what+" ended", "it said:\n%s", tail(p.out.String()))
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			require.Failf(p.t, p.what+": "+what, "not within two minutes; it said:\n%s", tail(p.out.String()))
		}
	}
}

func tail(s string) string {
	lines := strings.Split(s, "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

// serve starts ktrial serve at port and the ports that follow.
func serve(t *testing.T, port int, dir string, args ...string) *process {
	t.Helper()
	program, err := ktrial()
	require.NoError(t, err)
	p := start(t, "ktrial serve", program, append([]string{"serve", "--listen", fmt.Sprintf("127.0.0.1:%d", port), "--data", dir}, args...)...)
	p.until("ready", func() bool { return strings.Contains(p.out.String(), "ktrial: serving ") })
	return p
}

// tool runs one of Kafka's tools.
func tool(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "./tool", args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil && args[0] != "console-consumer" { // which ends with an error if it was given time
		t.Errorf("%s: %v\n%s", strings.Join(args, " "), err, tail(string(out)))
	}
	return string(out)
}

// TestDriver has the driver ask Apache Kafka and ktrial serve the same, and
// expects no difference that differences.md does not list.
func TestDriver(t *testing.T) {
	kafka(t)
	diff, err := build("./diff", "diff")
	require.NoError(t, err)
	dir := t.TempDir()
	settings, err := os.ReadFile("sessions/settings")
	require.NoError(t, err)
	set := strings.Fields(string(settings))
	args := []string{"--brokers", "3"}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	ours := ports.Free(t, 3)
	serve(t, ours, filepath.Join(dir, "ours"), args...)
	theirs := ports.Free(t, 6)
	cluster := filepath.Join(dir, "kafka")
	t.Cleanup(func() { exec.Command("./stop", cluster).Run() })
	start := exec.Command("./start", append([]string{"3", fmt.Sprint(theirs), cluster}, set...)...)
	start.Env = append(os.Environ(), "KAFKA_BROKER=1") // as ours: what a node may be set to depends on its roles
	out, err := start.CombinedOutput()
	require.NoError(t, err, tail(string(out)))

	cmd := exec.Command(diff, "-kafka", fmt.Sprintf("127.0.0.1:%d", theirs), "-ours", fmt.Sprintf("127.0.0.1:%d", ours),
		"-differences", "differences.md", "-hand", "-ends", "-seeds", *seeds, "-groups", *seeds, "-txns", *seeds, "-limit", limit.String())
	out, err = cmd.CombinedOutput()
	t.Log(tail(string(out)))
	require.NoError(t, err, "differences that are not listed in differences.md")
}

// client makes a franz-go client.
func client(t *testing.T, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addr)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}
