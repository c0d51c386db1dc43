//go:build unix

package cmd

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// damages are what may become of a file. Each is done to a copy of a directory in which
// all records lie on three brokers, so that none may be lost.
var damages = []struct {
	name string
	do   func(b []byte) []byte // nil: the file is gone
}{
	{"is gone", nil},
	{"is empty", func([]byte) []byte { return []byte{} }},
	{"is cut short", func(b []byte) []byte { return b[:max(0, len(b)-10)] }},
	{"has a byte changed at its start", func(b []byte) []byte { return flipped(b, 0) }},
	{"has a byte changed in its middle", func(b []byte) []byte { return flipped(b, len(b)/2) }},
	{"has zeros behind it", func(b []byte) []byte { return append(b, make([]byte, 4096)...) }},
	{"has something else behind it", func(b []byte) []byte { return append(b, bytes.Repeat([]byte("else"), 40)...) }},
}

func flipped(b []byte, at int) []byte {
	if len(b) > 0 {
		b[at] ^= 0x40
	}
	return b
}

// kindOfFile is a file's name without what counts.
func kindOfFile(path string) string {
	return regexp.MustCompile(`\d{20}(-\d{10})?`).ReplaceAllString(path, "N")
}

// Whatever becomes of one file of one node, no acknowledged record is lost: the cluster
// serves all of them, or it says which file it cannot use. Batches that are lost on the
// node are told of.
func TestServe_LivesWithAnyDamagedFile(t *testing.T) {
	if !*long {
		t.Skip("long: some two hundred starts of a cluster")
	}
	whole := t.TempDir()
	s := startServing(t, whole, "--set", "metadata.log.max.record.bytes.between.snapshots=2000")
	s.createTopic("lines")
	lines := goSource(t)[:600]
	s.produce("lines", lines)
	for _, node := range []string{"broker-1", "controller-1"} {
		require.Eventually(t, func() bool {
			snapshots, err := filepath.Glob(filepath.Join(whole, node, "__cluster_metadata-0", "*-*.checkpoint"))
			require.NoError(t, err)
			return len(snapshots) > 0
		}, time.Minute, 100*time.Millisecond, "a snapshot of the metadata in %s", node)
	}
	time.Sleep(time.Second)
	s.kill()

	seen := map[string]bool{}
	var kinds []string // paths, one of each kind
	for path := range contents(t, whole) {
		rel, err := filepath.Rel(whole, path)
		require.NoError(t, err)
		node, _, _ := strings.Cut(rel, string(filepath.Separator))
		if node != "broker-1" && node != "controller-1" && node != rel || strings.Contains(rel, "lines-1") || strings.Contains(rel, "lines-2") {
			continue
		}
		kinds = append(kinds, rel)
	}
	slices.Sort(kinds)
	for _, rel := range kinds {
		if seen[kindOfFile(rel)] {
			continue
		}
		seen[kindOfFile(rel)] = true
		for _, d := range damages {
			t.Run(kindOfFile(rel)+" "+d.name, func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(t.TempDir(), "data")
				require.NoError(t, os.CopyFS(dir, os.DirFS(whole)))
				file := filepath.Join(dir, rel)
				b, err := os.ReadFile(file)
				require.NoError(t, err)
				if d.do == nil {
					require.NoError(t, os.Remove(file))
				} else {
					require.NoError(t, os.WriteFile(file, d.do(slices.Clone(b)), 0o644))
				}
				servesAll(t, dir, rel, lines)
			})
		}
	}
}

// servesAll: the cluster serves all lines, or says which file it cannot use.
func servesAll(t *testing.T, dir, damaged string, lines []string) {
	t.Helper()
	s := &serving{t: t, cmd: program("serve", "--listen", "127.0.0.1:0", "--data", dir), ended: make(chan error, 1)}
	s.cmd.Stderr = &s.errors
	out, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	t.Cleanup(s.kill)
	said := make(chan string, 1)
	go func() {
		b := make([]byte, 1000)
		n, _ := out.Read(b)
		said <- string(b[:n])
		io.Copy(io.Discard, out)
		s.ended <- s.cmd.Wait()
	}()
	select {
	case s.line = <-said:
	case <-time.After(30 * time.Second):
		t.Fatalf("not ready within 30s; errors: %s", &s.errors)
	}
	first, _, _ := strings.Cut(s.errors.String(), "\n")
	parts := readyLine.FindStringSubmatch(s.line)
	if parts == nil {
		err := <-s.ended
		s.ended <- err
		assert.NotEqual(t, exitOurBug, s.cmd.ProcessState.ExitCode(), "%s", &s.errors)
		assert.Contains(t, s.errors.String(), filepath.Base(damaged), "it ends, and says why")
		t.Logf("ends with %d: %s", s.cmd.ProcessState.ExitCode(), first)
		return
	}
	for addr := range strings.SplitSeq(parts[1], ", ") {
		s.addrs = append(s.addrs, "127.0.0.1"+addr[strings.LastIndexByte(addr, ':'):])
	}
	requireSame(t, values(lines), s.read("lines"))
	t.Logf("serves: %s", first)
	s.stop()
}
