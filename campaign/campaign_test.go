package campaign

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// built are the two programs, for all tests.
var built struct{ ktrial, campaign string }

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "campaign-test-")
	if err != nil {
		panic(err)
	}
	built.ktrial, built.campaign = filepath.Join(dir, "ktrial"), filepath.Join(dir, "ktrial-campaign")
	for _, c := range []*exec.Cmd{
		exec.Command("go", "build", "-C", "..", "-o", built.ktrial, "./cmd/ktrial"), exec.Command("go", "build", "-o", built.campaign, "./ktrial-campaign"),
	} {
		if out, err := c.CombinedOutput(); err != nil {
			panic(fmt.Sprintf("%v: %s", c, out))
		}
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// served is a campaign under way.
type served struct {
	t    *testing.T
	cmd  *exec.Cmd
	url  string
	page string // the address of the board
	out  bytes.Buffer
	said *lines
}

// lines are those that a program has printed.
type lines struct {
	mu   sync.Mutex
	text string
}

func (l *lines) read(r io.Reader, each func(string)) {
	in := bufio.NewScanner(r)
	for in.Scan() {
		l.mu.Lock()
		l.text += in.Text() + "\n"
		l.mu.Unlock()
		each(in.Text())
	}
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text
}

// serve starts a server, and waits until workers may come.
func serve(t *testing.T, dir string, args ...string) *served {
	t.Helper()
	s := &served{t: t, said: &lines{}}
	all := append([]string{"serve", "--program", built.ktrial, "--listen", "127.0.0.1:0", "--board", "127.0.0.1:0", "--out", dir}, args...)
	s.cmd = exec.Command(built.campaign, all...)
	s.cmd.Stdout = &s.out
	errs, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	dieWithParent(s.cmd)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan bool, 1)
	go func() {
		s.said.read(errs, func(line string) {
			if _, url, ok := strings.Cut(line, "--join "); ok {
				s.url = url
				ready <- true
			}
			if _, page, ok := strings.Cut(line, "the board is at "); ok {
				s.page = page
			}
		})
		ready <- false
	}()
	if !<-ready {
		t.Fatalf("the server has ended: %v", s.said)
	}
	return s
}

// work starts a worker.
func (s *served) work(name string) *exec.Cmd {
	s.t.Helper()
	c := exec.Command(built.campaign, "work", "--program", built.ktrial, "--join", s.url, "--name", name, "--jobs", "1")
	c.Stderr = os.Stderr
	dieWithParent(c)
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	return c
}

// board reads the board.
func (s *served) board() view {
	s.t.Helper()
	v, err := s.tryBoard()
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

func (s *served) tryBoard() (v view, err error) {
	r, err := http.Get(s.page + "board.json")
	if err != nil {
		return v, err
	}
	defer r.Body.Close()
	err = json.NewDecoder(r.Body).Decode(&v)
	return v, err
}

// stuck is how long workers may take for an item, on a machine that is slow and busy.
const stuck = time.Minute

// end waits for the server, and returns its exit code.
func (s *served) end() int {
	s.t.Helper()
	over := make(chan error, 1)
	go func() { over <- s.cmd.Wait() }()
	done, since := -1, time.Now()
	for {
		select {
		case <-over:
			return s.cmd.ProcessState.ExitCode()
		case <-time.After(time.Second):
		}
		v, err := s.tryBoard()
		switch {
		case err == nil && v.Done > done:
			done, since = v.Done, time.Now()
		case time.Since(since) > stuck:
			s.t.Errorf("no item was done for %v, something was lost: %+v", stuck, v)
			s.cmd.Process.Kill()
			<-over
			return s.cmd.ProcessState.ExitCode()
		}
	}
}

// hashes are the runs of some directories: scenario, seed and hash of each.
func hashes(t *testing.T, dirs ...string) (all []string) {
	t.Helper()
	for _, dir := range dirs {
		f, err := os.Open(filepath.Join(dir, "results.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for in := bufio.NewScanner(f); in.Scan(); {
			var l struct {
				Type, Scenario string
				Seed           uint64
				Hash           string `json:"trace_hash"`
			}
			if err := json.Unmarshal(in.Bytes(), &l); err != nil {
				t.Fatal(err)
			}
			if l.Type == "run" {
				all = append(all, fmt.Sprintf("%s %d %s", l.Scenario, l.Seed, l.Hash))
			}
		}
	}
	slices.Sort(all)
	return all
}

func parts(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "part-*-*"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Four workers, ten of which are killed while they work: each is replaced, and what is found is
// what a single hunt finds.
func TestTenKillsLoseNothing(t *testing.T) {
	const kills = 10
	hunt := []string{"standard", "--set", "duration=2s"}
	dir := filepath.Join(t.TempDir(), "found")
	s := serve(t, dir, append([]string{"--seeds", "1..320", "--item", "4", "--patience", "2s", "--"}, hunt...)...)
	team := map[string]*exec.Cmd{}
	join := func(i int) { name := fmt.Sprintf("worker-%02d", i); team[name] = s.work(name) }
	for i := range 4 {
		join(i)
	}
	killed := 0
	for v := s.board(); killed < kills && v.Done < v.Items; v = s.board() {
		time.Sleep(100 * time.Millisecond)
		for _, w := range v.Workers {
			if victim := team[w.Name]; victim != nil && strings.HasPrefix(w.Doing, "plays") && w.Heard < 1 {
				victim.Process.Kill()
				victim.Wait()
				delete(team, w.Name)
				join(4 + killed)
				killed++
				break
			}
		}
	}
	if killed < kills {
		t.Errorf("%d workers were killed before all was done, expected %d", killed, kills)
	}
	if code := s.end(); code != 0 {
		t.Fatalf("exit code %d\n%s\n%v", code, s.out.String(), s.said)
	}
	for _, c := range team {
		if err := c.Wait(); err != nil {
			t.Errorf("a worker does not end in order when all is done: %v", err)
		}
	}
	whole := filepath.Join(t.TempDir(), "whole")
	if out, err := exec.Command(built.ktrial, append(append([]string{"hunt"}, hunt...), "--seeds", "1..320", "--out", whole)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got, want := hashes(t, parts(t, dir)...), hashes(t, whole); !slices.Equal(got, want) {
		t.Errorf("found %d runs, expected the %d of one hunt", len(got), len(want))
	}
	if !strings.Contains(s.out.String(), "ok 320 runs") {
		t.Errorf("merge says:\n%s", s.out.String())
	}
}

// A server that is killed goes on with what it has; a worker that was at work then hands it
// in to the next one, or another worker plays it once more.
func TestAServerGoesOn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "found")
	args := []string{"--seeds", "1..24", "--item", "4", "--patience", "2s", "--", "standard", "--set", "duration=2s"}
	s := serve(t, dir, args...)
	s.work("first")
	for s.board().Done < 2 {
		time.Sleep(100 * time.Millisecond)
	}
	s.cmd.Process.Kill()
	s.end()
	kept := len(parts(t, dir))
	s = serve(t, dir, args...)
	if done := s.board().Done; done < 2 || done > kept {
		t.Errorf("the server begins with %d items, expected those that were kept: %d", done, kept)
	}
	s.work("second")
	if code := s.end(); code != 0 {
		t.Fatalf("exit code %d\n%s\n%v", code, s.out.String(), s.said)
	}
	if got := hashes(t, parts(t, dir)...); len(got) != 24 {
		t.Errorf("found %d runs, expected 24", len(got))
	}
}

// Enough failing runs end the campaign for all workers; what failed is kept, and the exit code
// is that of the verdict.
func TestEarlyStop(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "found")
	s := serve(t, dir, "--seeds", "1..1000", "--item", "2", "--stop-at", "1", "--", "leadership-ping-pong", "--plant", "repl.truncate_to_hw", "--set", "duration=12s")
	w := s.work("only")
	if code := s.end(); code != 1 {
		t.Fatalf("exit code %d, expected 1: violated\n%s\n%v", code, s.out.String(), s.said)
	}
	if err := w.Wait(); err != nil {
		t.Errorf("the worker does not end in order: %v", err)
	}
	kept, err := filepath.Glob(filepath.Join(dir, "part-*", "leadership-ping-pong-*", "run.json"))
	if err != nil || len(kept) == 0 {
		t.Errorf("found no failing run that was kept: %v", err)
	}
	if again := exec.Command(built.ktrial, "replay", kept[0]); again.Run() == nil || again.ProcessState.ExitCode() != 1 {
		t.Errorf("a kept run does not fail again: %v", again.ProcessState)
	}
}
