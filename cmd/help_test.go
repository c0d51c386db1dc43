package cmd

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestVersion(t *testing.T) {
	s := typed(t, "--version")
	assert.Equal(t, 0, s.code)
	assert.Regexp(t, `^ktrial \S+ \(commit \S+(, with changes)?\) go1\.\S+ \w+/\w+\n$`, s.out)
}

// The help of the program has every exit code, and that of each command examples
// which can be typed: each names a command and flags that there are.
func TestHelpHasExitCodesAndExamples(t *testing.T) {
	s := typed(t, "--help")
	for _, code := range []string{"0", "1", "2", "3", "64", "70", "130"} {
		assert.Regexp(t, `(?m)^  `+code+` +\w`, s.out)
	}
	all := append(command().Commands(), command())
	for _, c := range all {
		if c.Name() == "help" || c.Name() == "list" || c.Name() == "serve" {
			continue
		}
		require.NotEmpty(t, c.Example, c.Name())
		for line := range strings.Lines(c.Example) {
			line, _, _ = strings.Cut(line, "#")
			for _, part := range regexp.MustCompile(`ktrial ([a-z]+)([^<>|)]*)`).FindAllStringSubmatch(line, -1) {
				target := child(command(), part[1])
				require.NotNil(t, target, "%s: %s", c.Name(), line)
				if target.DisableFlagParsing {
					continue // they are those of another program
				}
				for _, flag := range regexp.MustCompile(`--([a-z-]+)`).FindAllStringSubmatch(part[2], -1) {
					assert.NotNil(t, target.Flags().Lookup(flag[1]), "%s: %s has no flag --%s", c.Name(), target.Name(), flag[1])
				}
			}
		}
	}
}

func child(root *cobra.Command, name string) *cobra.Command {
	for _, c := range root.Commands() {
		if c.Name() == name {
			return c
		}
	}
	return nil
}

// Shells complete commands, scenarios, planted bugs, settings and flags.
func TestCompletion(t *testing.T) {
	for _, c := range []struct {
		typed string
		has   []string
		not   []string
	}{
		{"hu", []string{"hunt\t"}, []string{"run\t"}},
		{"run ", []string{"standard\ta safe configuration", "acks-one\thazard: "}, nil},
		{"run standard ", nil, []string{"acks-one"}},
		{"hunt standard ", []string{"acks-one\t"}, []string{"standard\t"}},
		{"run standard --plant ", []string{"idem.no_window\t"}, nil},
		{"run standard --set ", []string{"acks=", "min.insync.replicas=", "rate="}, nil},
		{"run standard --no", []string{"--no-faults\t"}, nil},
		{"list ", []string{"scenarios", "planted"}, nil},
		{"completion ", []string{"bash", "zsh", "fish"}, nil},
	} {
		t.Run(c.typed, func(t *testing.T) {
			words := strings.Split(c.typed, " ")
			s := typed(t, append([]string{"__complete"}, words...)...)
			assert.Equal(t, 0, s.code)
			for _, has := range c.has {
				assert.Contains(t, "\n"+s.out, "\n"+has)
			}
			for _, not := range c.not {
				assert.NotContains(t, "\n"+s.out, "\n"+not)
			}
		})
	}
	for _, shell := range shells {
		s := typed(t, "completion", shell)
		assert.Equal(t, 0, s.code)
		assert.Contains(t, s.out, "__complete", shell)
	}
	s := typed(t, "completion", "tcsh")
	assert.Equal(t, exitUsage, s.code)
	assert.Contains(t, s.err, `shell "tcsh" is unknown; expected one of bash, zsh, fish`)
}
