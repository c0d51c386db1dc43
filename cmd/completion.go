package cmd

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/workloads"
)

// shells are those that there is a completion for.
var shells = []string{"bash", "zsh", "fish"}

func completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "a script that completes commands, scenarios and flags in a shell",
		Example: "  source <(ktrial completion bash)                               # this shell\n" +
			"  ktrial completion zsh > \"${fpath[1]}/_ktrial\"                 # each zsh\n" +
			"  ktrial completion fish > ~/.config/fish/completions/ktrial.fish",
		Args:      exactly(1, "a shell: bash, zsh or fish"),
		ValidArgs: shells,
		RunE: func(c *cobra.Command, args []string) error {
			root := c.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(stdout, true)
			case "zsh":
				return root.GenZshCompletion(stdout)
			case "fish":
				return root.GenFishCompletion(stdout, true)
			}
			return wrong("completion: shell %q is unknown; expected one of %s", args[0], strings.Join(shells, ", "))
		},
	}
}

// completeScenarios completes names of scenarios that are not typed yet, at most
// so many; 0: any number.
func completeScenarios(most int) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
		if most > 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		for _, s := range scenarios.All() {
			if !slices.Contains(args, s.Name) {
				names = append(names, cobra.CompletionWithDesc(s.Name, s.About))
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFlags completes the values of the flags of run and hunt.
func completeFlags(c *cobra.Command) {
	must := func(err error) {
		if err != nil {
			panic(err) // there is no such flag
		}
	}
	must(c.RegisterFlagCompletionFunc("plant", func(*cobra.Command, []string, string) (names []string, _ cobra.ShellCompDirective) {
		for _, b := range planted.All {
			names = append(names, cobra.CompletionWithDesc(string(b.Bug), b.About))
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}))
	must(c.RegisterFlagCompletionFunc("set", func(_ *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
		for _, name := range settable(args) {
			names = append(names, name+"=")
		}
		return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}))
	must(c.MarkFlagDirname("out"))
}

// settable are the names that --set takes for the scenarios that are typed
// already.
func settable(typed []string) []string {
	var names []string
	for _, name := range typed {
		if s, err := scenarios.Find(name); err == nil {
			if w, ok := s.Workload.(workloads.Settable); ok {
				names = append(names, w.Names()...)
			}
		}
	}
	for _, kind := range []config.Kind{config.Broker, config.Topic, config.Producer, config.Consumer} {
		names = append(names, config.Names(kind)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
