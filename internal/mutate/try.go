package main

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

//go:embed counter.go.txt
var counterSource []byte

// The fates of a mutant.
const (
	notBuilt     = "does not compile"
	killed       = "killed"
	neverReached = "never reached"
	noDifference = "reached, the result was the right one"
	unseen       = "reached and unseen"
)

// result is what became of a mutant: a line of mutants.jsonl.
type result struct {
	Mutant string `json:"mutant"`
	Folder string `json:"folder"`
	Kind   string `json:"kind"`
	Fate   string `json:"fate"`
	// By is the check that found it, and Again the command that does it again.
	By         string  `json:"by,omitempty"`
	Again      string  `json:"again,omitempty"`
	CPUSeconds float64 `json:"cpu_seconds"`
}

// alarms are the runs that fail in a hunt, as long as one for a mutant, of the program
// without any mistake. They are told: they are bugs.
func alarms(ctx context.Context, p plan) (map[string]bool, error) {
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "ktrial")
	if out, err := exec.Command("go", "build", "-o", program, "./cmd/ktrial").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	names, err := scenarioNames(program)
	if err != nil {
		return nil, err
	}
	c := hunting(ctx, p, program, names)
	c.Stderr = nil
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	known := map[string]bool{}
	found := make(chan finding)
	go func() {
		failingRuns(ctx, bufio.NewReader(out), found)
		close(found)
	}()
	for f := range found {
		known[f.again] = true
		fmt.Fprintf(os.Stderr, "mutate: without any mistake, %s fails: %s\n", f.again, f.by)
	}
	_ = c.Wait() // the end of its CPU time ends it
	return known, ctx.Err()
}

// hunting is a hunt that has so much CPU time.
func hunting(ctx context.Context, p plan, program string, names []string) *exec.Cmd {
	limited := []string{"-c", fmt.Sprintf(`ulimit -t %d; exec "$0" "$@"`, p.cpu), program, "hunt", "--seeds", "1..1000000", "--jobs", "1", "--json"}
	return exec.CommandContext(ctx, "/bin/sh", append(limited, names...)...)
}

// try builds a mutant and hunts for it.
func try(ctx context.Context, p plan, m mutant) result {
	r := result{Mutant: m.String(), Folder: filepath.ToSlash(filepath.Dir(m.file)), Kind: m.kind}
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if err := build(p, m, dir); err != nil {
		r.Fate, r.By = notBuilt, ""
		return r
	}
	r.hunt(ctx, p, dir)
	return r
}

// build builds ktrial with the mistake in it. No file of the source is touched.
func build(p plan, m mutant, dir string) error {
	text, err := os.ReadFile(filepath.Join(p.root, m.file))
	if err != nil {
		return err
	}
	changed, counts := filepath.Join(dir, "changed.go"), filepath.Join(dir, "counter.go")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {
		filepath.Join(p.root, m.file):                      changed,
		filepath.Join(p.root, "internal/mutant/mutant.go"): counts,
	}})
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{changed: m.apply(text), counts: counterSource, filepath.Join(dir, "overlay.json"): overlay} {
		if err := os.WriteFile(name, content, 0o644); err != nil {
			return err
		}
	}
	out, err := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", filepath.Join(dir, "ktrial"), "./cmd/ktrial").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// firstRound are the CPU seconds after which a mistake that no run has reached is given
// up: each scenario was played by then.
const firstRound = 30

// hunt plays all scenarios, and then the next seed of them, until a run fails or the
// CPU time is over.
func (r *result) hunt(ctx context.Context, p plan, dir string) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	met := filepath.Join(dir, "met")
	program := filepath.Join(dir, "ktrial")
	names, err := scenarioNames(program)
	if err != nil {
		r.Fate, r.By = killed, "the program does not start: "+err.Error()
		return
	}
	c := hunting(ctx, p, program, names)
	c.Env = append(os.Environ(), "KTRIAL_MUTANT="+met)
	out, err := c.StdoutPipe()
	if err != nil {
		panic(err)
	}
	errs, err := c.StderrPipe()
	if err != nil {
		panic(err)
	}
	if err := c.Start(); err != nil {
		panic(err)
	}
	found := make(chan finding)
	ended := make(chan struct{})
	go func() {
		failingRuns(ctx, bufio.NewReader(out), found)
		close(ended)
	}()
	go ownBugs(ctx, bufio.NewReader(errs), found)
	r.wait(p, c, met, found, ended)
	stop()
	_ = c.Wait()
	r.CPUSeconds = (c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Seconds()
}

// scenarioNames are those that are hunted: all that promise something, and the swarm.
func scenarioNames(program string) (names []string, err error) {
	text, err := exec.Command(program, "list", "--json").Output()
	if err != nil {
		return nil, err
	}
	var list struct {
		Scenarios []struct{ Name, About string }
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	for _, s := range list.Scenarios {
		if !strings.HasPrefix(s.About, "hazard:") {
			names = append(names, s.Name)
		}
	}
	return names, nil
}

// finding is a check that found a mutant.
type finding struct{ by, again string }

// wait waits until a run fails that does not fail without the mistake, or the hunt
// ends.
func (r *result) wait(p plan, c *exec.Cmd, met string, found <-chan finding, ended <-chan struct{}) {
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		select {
		case f := <-found:
			if !p.alarms[f.again] {
				r.Fate, r.By, r.Again = killed, f.by, f.again
				return
			}
		case <-ended:
			select {
			case f := <-found: // a panic is told on another pipe
				r.Fate, r.By, r.Again = killed, f.by, f.again
			case <-time.After(time.Second):
				r.Fate = fateOf(met)
			}
			return
		case <-look.C:
			if cpuSeconds(c.Process.Pid) > firstRound && fateOf(met) == neverReached {
				r.Fate = neverReached
				return
			}
		}
	}
}

// failingRuns reads the objects of a hunt, and sends those that break a promise.
func failingRuns(ctx context.Context, out *bufio.Reader, found chan<- finding) {
	for {
		line, err := out.ReadBytes('\n')
		if err != nil {
			return
		}
		var run struct {
			Type, Verdict, Again string
			Violations           []struct{ Check string }
		}
		if json.Unmarshal(line, &run) == nil && run.Type == "run" && (run.Verdict == "violated" || run.Verdict == "not deterministic") {
			by := run.Verdict
			if len(run.Violations) > 0 {
				by = run.Violations[0].Check
			}
			send(ctx, found, finding{by, run.Again})
		}
	}
}

// send hands over a finding, unless the hunt is over.
func send(ctx context.Context, found chan<- finding, f finding) {
	select {
	case found <- f:
	case <-ctx.Done():
	}
}

// ownBugs reads what a hunt tells of runs without a verdict: the stack has panicked, or
// does not give back the thread.
func ownBugs(ctx context.Context, errs *bufio.Reader, found chan<- finding) {
	for {
		line, err := errs.ReadString('\n')
		if said, ok := strings.CutPrefix(line, "ktrial: our own bug: "); ok {
			send(ctx, found, finding{"panic: " + strings.TrimSpace(said), ""})
		}
		if err != nil {
			return
		}
	}
}

// fateOf is that of a mutant that no run found.
func fateOf(met string) string {
	text, _ := os.ReadFile(met)
	switch {
	case strings.Contains(string(text), "infected"):
		return unseen
	case strings.Contains(string(text), "reached"):
		return noDifference
	}
	return neverReached
}

// cpuSeconds is what a process has used so far; 0: that is not known here.
func cpuSeconds(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, behind, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(behind)
	if len(fields) < 13 {
		return 0
	}
	var user, system float64
	fmt.Sscan(fields[11], &user)
	fmt.Sscan(fields[12], &system)
	const ticks = 100 // a second, on every Linux that Go runs on
	return (user + system) / ticks
}
