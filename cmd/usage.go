package cmd

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ktrial/ktrial/internal/nearest"
)

// usage is a mistake in the command line.
type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

// wrong is a usage error in words.
func wrong(format string, args ...any) error { return usage{fmt.Errorf(format, args...)} }

// exactly wants so many arguments, and says what they are.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		plural := "s"
		if len(args) == 1 {
			plural = ""
		}
		return wrong("%s: found %d argument%s, expected %s", c.Name(), len(args), plural, what)
	}
}

// topLevel is what is typed without a command, or with one that is none.
func topLevel(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return root.Help()
	}
	var names []string
	for _, c := range root.Commands() {
		names = append(names, c.Name())
	}
	return wrong("%w (see: ktrial --help)", nearest.Unknown("command", args[0], names))
}

// expectedOf says what a flag takes, by the name of its type.
var expectedOf = map[string]string{
	"uint64":   "a whole number",
	"int":      "a whole number",
	"duration": "a duration, such as 30s or 10m",
	"bool":     "true or false",
}

// flagError is pflag's error in our words.
func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var value *pflag.InvalidValueError
	var missing *pflag.ValueRequiredError
	switch {
	case errors.As(err, &value):
		f := value.GetFlag()
		return wrong("--%s %q: expected %s", f.Name, value.GetValue(), expectedOf[f.Value.Type()])
	case errors.As(err, &missing):
		return wrong("--%s: found nothing after it, expected a value", missing.GetFlag().Name)
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
		return wrong("%w (see: %s --help)", nearest.Unknown("flag", "--"+unknown.GetSpecifiedName(), names), c.CommandPath())
	}
	return wrong("%w (see: %s --help)", err, c.CommandPath())
}
