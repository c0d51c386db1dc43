// ktrial-campaign spreads a hunt over a fleet of machines: `serve` has the seeds, `work`
// plays them. `ktrial campaign` runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ktrial/ktrial/campaign"
)

const usage = `ktrial-campaign spreads a hunt over a fleet of machines.

  ktrial-campaign serve --seeds 1..10000 --out found [flags] [-- ARGS of ktrial hunt]
  ktrial-campaign work --join nats://HOST:4222 [flags]

The server has the seeds as items of work; a worker takes one, has ktrial play it, and hands in what it
found. A worker that is killed costs the range that it had, and another one plays it. A server that is
killed goes on with the same command. At the end the directory has a part for each item, and ktrial
merge says what was found; its exit code is that of the verdict.
`

// exitUsage is the exit code of ktrial for wrong arguments.
const exitUsage = 64

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	commands := map[string]func(context.Context, []string) (int, error){"serve": serve, "work": work}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(exitUsage)
	}
	code, err := commands[os.Args[1]](ctx, os.Args[2:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "ktrial-campaign: %v\n", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// program is the ktrial that plays: the one that runs this program, or the one of PATH.
func program() string {
	if by := os.Getenv("KTRIAL_PROGRAM"); by != "" {
		return by
	}
	return "ktrial"
}

func serve(ctx context.Context, args []string) (int, error) {
	s := campaign.Server{Log: os.Stderr}
	f := flag.NewFlagSet("serve", flag.ExitOnError)
	seeds := f.String("seeds", "1..1000", "the seeds A..B, both included")
	ktrial := f.String("program", program(), "the ktrial whose merge says what was found")
	f.Uint64Var(&s.Spec.Seeds, "item", 10, "how many seeds an item of work has")
	f.DurationVar(&s.Spec.Patience, "patience", 30*time.Second, "after how long an item whose worker is silent is given to another one")
	f.StringVar(&s.Dir, "out", "", "keep what is found in this directory")
	f.StringVar(&s.Listen, "listen", "127.0.0.1:4222", "the address for workers")
	f.StringVar(&s.NATS, "nats", "", "the URL of a NATS server with JetStream, instead of one of its own")
	f.StringVar(&s.Token, "token", "", "a secret that workers need in their URL: nats://SECRET@HOST:4222")
	f.StringVar(&s.Board, "board", "127.0.0.1:8222", "the address of the board, a page that shows how far all is; empty: none")
	f.IntVar(&s.StopAt, "stop-at", 0, "stop after this number of failing runs")
	_ = f.Parse(args) // it ends the program itself
	s.Spec.Hunt = f.Args()
	var err error
	if s.Spec.First, s.Spec.Last, err = campaign.ParseSeeds(*seeds); err != nil {
		return exitUsage, err
	}
	if s.Dir == "" {
		return exitUsage, errors.New("serve: expected --out DIR")
	}
	if err := s.Spec.Check(); err != nil {
		return exitUsage, err
	}
	if code, err := checkHunt(*ktrial, s.Spec.Hunt); err != nil {
		return code, err
	}
	s.Ready = func(url string) {
		fmt.Fprintf(os.Stderr, "ktrial-campaign: workers join with: ktrial campaign work --join %s\n", url)
	}
	lines, end := context.WithCancel(ctx)
	go tell(lines, &s)
	why, err := s.Run(ctx)
	end()
	if err != nil {
		return 1, err
	}
	fmt.Fprintf(os.Stderr, "ktrial-campaign: %s: %s\n", why, s.Line())
	return merge(*ktrial, s.Dir)
}

// checkHunt has ktrial look at the arguments of the hunt: it plays a shard without runs.
func checkHunt(ktrial string, args []string) (int, error) {
	out, err := exec.Command(ktrial, append(append([]string{"hunt"}, args...), "--seeds", "1", "--shard", "999999/1000000")...).CombinedOutput()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return ended.ExitCode(), fmt.Errorf("%s hunt: %w: %s", ktrial, err, out)
	}
	if err != nil {
		return exitUsage, fmt.Errorf("%w (give the ktrial that plays with --program)", err)
	}
	return 0, nil
}

// tell says now and then how far the campaign is.
func tell(ctx context.Context, s *campaign.Server) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(10 * time.Second):
			fmt.Fprintf(os.Stderr, "ktrial-campaign: %s\n", s.Line())
		}
	}
}

// merge has ktrial say what was found. Its exit code is that of the campaign.
func merge(ktrial, dir string) (int, error) {
	parts, err := filepath.Glob(filepath.Join(dir, "part-*-*"))
	if err != nil || len(parts) == 0 {
		return 1, errors.Join(err, errors.New("merge: found no results"))
	}
	c := exec.Command(ktrial, append([]string{"merge", "--out", dir}, parts...)...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	err = c.Run()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return ended.ExitCode(), nil
	}
	return 0, err
}

func work(ctx context.Context, args []string) (int, error) {
	host, _ := os.Hostname()
	w := campaign.Worker{Log: os.Stderr}
	f := flag.NewFlagSet("work", flag.ExitOnError)
	f.StringVar(&w.URL, "join", "", "the URL of the server: nats://HOST:4222")
	f.StringVar(&w.Name, "name", fmt.Sprintf("%s-%d", host, os.Getpid()), "the name of this worker on the board")
	f.StringVar(&w.Program, "program", program(), "the ktrial that plays, or your own program with its command line")
	f.IntVar(&w.Jobs, "jobs", 0, "number of worlds at the same time; 0: as many as there are processors")
	_ = f.Parse(args)
	if w.URL == "" || f.NArg() > 0 {
		return exitUsage, errors.New("work: expected --join URL and no further arguments")
	}
	return 0, w.Run(ctx)
}
