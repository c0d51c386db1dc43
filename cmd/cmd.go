// Package cmd is the command line of ktrial: it plays scenarios in a simulated
// world, hunts for seeds that break a promise, replays what was found, and
// serves the same cluster to real clients. cmd/ktrial is its main program.
//
// Another module that has scenarios, faults or workloads of its own declares
// them and has a main program that calls Main: the same commands then know
// them, too.
package cmd

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ktrial/ktrial/internal/build"
	"github.com/ktrial/ktrial/reports"
)

// Exit codes, beside those of verdicts (0 holds, 1 violated, 2 inconclusive,
// 3 not deterministic).
const (
	exitUsage       = 64
	exitOurBug      = 70
	exitInterrupted = 130
)

// Main runs the command line and ends the process with its exit code. program
// is what a person types to run it: "ktrial", "go run ./trial".
func Main(program string) {
	typedAs = program
	interrupted := make(chan os.Signal, 2)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		if end := interrupt.Load(); end != nil {
			(*end)()
			<-interrupted // the second one does not wait
		} else {
			fmt.Fprintln(os.Stderr, "ktrial: interrupted")
		}
		os.Exit(exitInterrupted)
	}()
	os.Exit(run(os.Args[1:]))
}

// typedAs is what a person types to run this program.
var typedAs = "ktrial"

// commandLine is a command of this program as a shell takes it.
func commandLine(words ...string) string {
	return reports.Command(append(strings.Fields(typedAs), words...)...)
}

// interrupt, if set, ends the running command in order.
var interrupt atomic.Pointer[func()]

// onInterrupt says how the running command ends in order.
func onInterrupt(end func()) { interrupt.Store(&end) }

// errInterrupted ends a command that was interrupted and has reported it.
var errInterrupted = errors.New("interrupted")

// verdict ends a command with a verdict's exit code.
type verdict struct{ reports.Verdict }

func (v verdict) Error() string { return string(v.Verdict) }

// run is main without the process around it.
func run(args []string) int {
	root := command()
	root.SetArgs(args)
	return execute(root)
}

// execute runs a command and returns its exit code.
func execute(root *cobra.Command) (code int) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(os.Stderr, "ktrial: our own bug: %v\n%s", p, debug.Stack())
			code = exitOurBug
		}
	}()
	stdout.err = nil
	root.SetOut(stdout)
	err := root.Execute()
	var v verdict
	switch {
	case stdout.err != nil:
		fmt.Fprintf(os.Stderr, "ktrial: standard output: %v\n", stdout.err)
		return exitOutput
	case err == nil:
		return 0
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.As(err, &v):
		return reports.ExitCode(v.Verdict)
	case errors.As(err, &unwritten{}):
		fmt.Fprintf(os.Stderr, "ktrial: %v\n", err)
		return exitOutput
	case errors.As(err, &usage{}):
		fmt.Fprintf(os.Stderr, "ktrial: %v\n", err)
		return exitUsage
	}
	fmt.Fprintf(os.Stderr, "ktrial: %v\n", err)
	return exitOurBug
}

// exitCodes are printed by --help.
const exitCodes = `Exit codes:
  0    holds, or allowed: what was broken, a setting or a fault permits
  1    violated; with --strict also what is allowed
  2    inconclusive: the danger was not met, or nothing was looked at
  3    not deterministic: the same seed gave another run
  4    missed: nothing is violated, but a number is not as --require has it
  64   wrong arguments, or an output that could not be written
  70   a bug of ktrial's own: there is no verdict
  130  interrupted; what was found until then is told`

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   typedAs,
		Short: "ktrial puts Kafka on trial",
		Long: "ktrial runs a whole Kafka cluster in one process over a simulated network, clock and disk,\nhurts it, and judges what its clients saw. The same seed gives the same run, byte for byte.\n\n" +
			exitCodes,
		Example: examples(
			"list scenarios", "what there is to play",
			"run leader-loses-power --seed 7", "one run; the same each time",
			"hunt --seeds 1..1000 --out found", "many runs; the failing ones are kept",
			"shrink found/standard-7/run.json", "the smallest run that fails in the same way",
			"check history.edn", "judge what clients of any cluster saw",
			"serve --data DIR", "the cluster on TCP, for real clients",
		),
		Version:       build.Version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          topLevel,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	root.SetVersionTemplate(typedAs + " {{.Version}}\n")
	fitHelp(root)
	root.AddCommand(
		listCommand(), runCommand(), huntCommand(), mergeCommand(), zooCommand(), replayCommand(), shrinkCommand(), traceCommand(), reportCommand(), compareCommand(),
		checkCommand(), serveCommand(), appCommand(), tapCommand(), benchCommand(), tuneCommand(), calibrateCommand(), completionCommand(),
	)
	return root
}

// examples are command lines of this program, each with what it does.
func examples(pairs ...string) string {
	width := 0
	for i := 0; i < len(pairs); i += 2 {
		width = max(width, len(typedAs)+1+len(pairs[i]))
	}
	var out strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&out, "  %-*s  # %s\n", width, typedAs+" "+pairs[i], pairs[i+1])
	}
	return strings.TrimRight(out.String(), "\n")
}
