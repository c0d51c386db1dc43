package cmd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"
)

// campaignProgram spreads a hunt over machines. It is a module of its own, for a server of
// NATS is in it.
const campaignProgram = "ktrial-campaign"

// campaignInstall is what a person types to have it.
const campaignInstall = "go install github.com/ktrial/ktrial/campaign/ktrial-campaign@latest"

func campaignCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "campaign [serve|work] [ARGS...]",
		Short: "spread a hunt over a fleet of machines (a program of its own: " + campaignProgram + ")",
		Long: "campaign runs " + campaignProgram + ", which is beside this program or in PATH: serve has the seeds of a hunt, workers on other " +
			"machines play them, and what they find is joined. A worker that is killed costs only the range that it had. It is installed " +
			"by:\n\n  " + campaignInstall,
		Example: examples(
			"campaign serve --seeds 1..100000 --out found -- standard", "the server, with a board; what follows -- are arguments of hunt",
			"campaign work --join nats://HOST:4222", "a worker, on each machine",
		),
		DisableFlagParsing: true,
		RunE:               func(c *cobra.Command, args []string) error { return runCampaign(c, args) },
	}
}

// campaignEnd ends the command with the exit code of the other program, which has said why.
type campaignEnd int

func (e campaignEnd) Error() string { return fmt.Sprintf("%s: exit code %d", campaignProgram, int(e)) }

func runCampaign(c *cobra.Command, args []string) error {
	if len(args) > 0 && (args[0] == "--help" || args[0] == "-h") {
		return c.Help()
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	program, err := findCampaign(filepath.Dir(self))
	if err != nil {
		return err
	}
	child := exec.Command(program, args...)
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	child.Env = append(os.Environ(), "KTRIAL_PROGRAM="+self)
	onInterrupt(func() {}) // both are sent the signal of a terminal; the other one ends in order
	err = child.Run()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return campaignEnd(ended.ExitCode())
	}
	return err
}

// findCampaign looks beside this program, and then where the shell does.
func findCampaign(beside string) (string, error) {
	if program, err := exec.LookPath(filepath.Join(beside, campaignProgram)); err == nil {
		return program, nil
	}
	program, err := exec.LookPath(campaignProgram)
	if err != nil {
		return "", wrong("campaign: found no program %s, which is installed by: %s", campaignProgram, campaignInstall)
	}
	return program, nil
}
