// Mutate makes small mistakes in the stack, one at a time, and hunts for each. A
// mutant that no run of a hunt finds is a situation that no scenario makes, or a law
// that is missing; which of both, it says: the changed line was never reached, or it
// was reached and its wrong result was not seen.
//
//	go run ./internal/mutate -n 200 -out DIR
//
// Unit tests have no part in it. Each result is written when it is known
// (DIR/mutants.jsonl); the same command goes on where it was interrupted or killed, and with
// a larger -n further. DIR/mutants.md is the sum, and is written after each mutant.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

func main() {
	n := flag.Int("n", 200, "how many mutants are tried")
	seed := flag.Uint64("seed", 1, "which ones")
	in := flag.String("in", "broker", "folder whose code is changed")
	out := flag.String("out", "mutants", "directory of the results")
	cpu := flag.Int("cpu", 100, "CPU seconds of a hunt for one mutant")
	jobs := flag.Int("jobs", 1, "how many mutants are tried at the same time")
	list := flag.Bool("list", false, "only list the mutants")
	flag.Parse()
	root, err := os.Getwd()
	if err == nil {
		err = run(plan{root: root, in: *in, out: *out, n: *n, seed: *seed, cpu: *cpu, jobs: *jobs, list: *list})
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "mutate: %v\n", err)
		os.Exit(1)
	}
}

// plan is what the command line says.
type plan struct {
	root, in, out string
	n, cpu, jobs  int
	seed          uint64
	list          bool
	// alarms are the commands that fail without any mistake: they find none.
	alarms map[string]bool
}

func run(p plan) error {
	mutants, err := choose(p)
	if err != nil {
		return err
	}
	if p.list {
		for _, m := range mutants {
			fmt.Println(m)
		}
		return nil
	}
	results, err := openResults(p.out)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if p.alarms, err = results.alarms(ctx, p); err != nil {
		return err
	}
	return results.tryAll(ctx, p, mutants)
}

// tryAll tries the mutants whose results are not known yet.
func (rs *results) tryAll(ctx context.Context, p plan, mutants []mutant) error {
	todo := slices.DeleteFunc(mutants, func(m mutant) bool { return rs.known[m.String()] })
	next := make(chan mutant)
	var workers sync.WaitGroup
	var mu sync.Mutex // of what follows
	var failed error
	done := 0
	for range max(1, p.jobs) {
		workers.Go(func() {
			for m := range next {
				r := try(ctx, p, m)
				if ctx.Err() != nil {
					return // the hunt was ended: it says nothing
				}
				mu.Lock()
				done++
				fmt.Fprintf(os.Stderr, "mutate: %d of %d: %s: %s %s\n", done, len(todo), m, r.Fate, r.By)
				failed = cmp.Or(failed, rs.add(r), rs.summarize(p.out))
				mu.Unlock()
			}
		})
	}
	for _, m := range todo {
		select {
		case <-ctx.Done():
		case next <- m:
			continue
		}
		break
	}
	close(next)
	workers.Wait()
	return cmp.Or(failed, rs.summarize(p.out))
}

// choose picks mutants of all that there are: each part of the stack has its share.
func choose(p plan) ([]mutant, error) {
	var all []mutant
	err := filepath.WalkDir(filepath.Join(p.root, p.in), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		rel, err := filepath.Rel(p.root, path)
		if err != nil {
			return err
		}
		if folder := filepath.ToSlash(filepath.Dir(rel)); folder == "broker/planted" || folder == "broker/witness" {
			return nil // they tell of the stack, and are no part of it
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		found, err := mutantsOf(filepath.ToSlash(rel), text)
		all = append(all, found...)
		return err
	})
	if err != nil {
		return nil, err
	}
	luck := rand.New(rand.NewPCG(p.seed, 0))
	luck.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	chosen := all[:min(p.n, len(all))]
	slices.SortFunc(chosen, func(a, b mutant) int { return strings.Compare(a.String(), b.String()) })
	return chosen, nil
}
