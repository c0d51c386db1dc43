package cmd

import (
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/ktrial/ktrial/reports"
)

// style is how text may look on this output.
func style(out *os.File) reports.Style {
	return reports.Style{Color: isTerminal(out) && os.Getenv("NO_COLOR") == "", Width: widthOf(out)}
}

func isTerminal(out *os.File) bool { return term.IsTerminal(int(out.Fd())) }

// widthOf is how many columns a terminal has; 0: it is none.
func widthOf(out *os.File) int {
	if !isTerminal(out) {
		return 0
	}
	width, _, err := term.GetSize(int(out.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// fitHelp has cobra's help be as wide as the terminal.
func fitHelp(root *cobra.Command) {
	cobra.AddTemplateFunc("wrapped", func(flags *pflag.FlagSet) string { return flags.FlagUsagesWrapped(widthOf(os.Stdout)) })
	cobra.AddTemplateFunc("fit", fit)
	usage := root.UsageTemplate()
	for _, flags := range []string{".LocalFlags", ".InheritedFlags"} {
		usage = strings.ReplaceAll(usage, flags+".FlagUsages", "wrapped "+flags)
	}
	root.SetUsageTemplate(usage)
	root.SetHelpTemplate(`{{fit (or .Long .Short)}}

{{if or .Runnable .HasSubCommands}}{{.UsageString}}{{end}}`)
}

// fit wraps the paragraphs of a text for the terminal. Where there is none they
// are as wide as is well read. An indented line is none: it stays as it is.
func fit(text string) string {
	const most = 110
	width := widthOf(os.Stdout)
	if width == 0 || width > most {
		width = most
	}
	var out strings.Builder
	for line := range strings.Lines(strings.TrimSpace(text)) {
		if !strings.HasPrefix(line, " ") && len(line) > width {
			line = reports.Wrap(line, "", width) + "\n"
		}
		out.WriteString(line)
	}
	return strings.TrimRight(out.String(), "\n")
}
