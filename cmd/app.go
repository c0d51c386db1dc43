package cmd

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/ktrial/ktrial/app"
)

// appCommand is about users' own programs.
func appCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "app",
		Short: "build your own program so that it can be put on trial",
		Long: "A program in Go that uses Kafka through franz-go, sarama, kafka-go or another client without cgo runs inside a trial " +
			"as it is: build it with `app build`, then give it to run, hunt or replay with --app. It finds the cluster in its environment " +
			"(KAFKA, TOPICS, HOSTNAME) or in its arguments ($KAFKA, $TOPICS, $HOSTNAME are replaced), and is sent SIGTERM when the work is over.",
		Example: examples(
			"app build ./cmd/orders -o orders.wasm", "compile it",
			"run leader-loses-power --app 'orders.wasm -rate 50' --seed 7", "put it on trial",
		),
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(appBuildCommand())
	return c
}

func appBuildCommand() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "build PACKAGE",
		Short: "compile a program for the simulated host",
		Long: "build compiles a Go program for GOOS=wasip1 with the go command of your PATH. Nothing of the program is changed: where the " +
			"standard library asks the operating system for connections, names and signals, it asks the simulated host instead.",
		Example: examples("app build ./cmd/orders -o orders.wasm", "the same source gives the same bytes"),
		Args:    exactly(1, "a PACKAGE, such as ./cmd/orders"),
		RunE: func(_ *cobra.Command, args []string) error {
			if output == "" {
				return wrong("app build: found no --output, expected the FILE to write (-o orders.wasm)")
			}
			if err := app.Build(app.Target{Package: args[0], Output: output}); err != nil {
				return usage{err}
			}
			info, err := os.Stat(output)
			if err != nil {
				return usage{err}
			}
			fmt.Fprintf(stdout, "%s: %.1f MB; try: %s\n", output, float64(info.Size())/1e6, commandLine("run", "standard", "--app", output))
			return nil
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "", "the `FILE` to write")
	return c
}
