package cmd

import (
	"errors"
	"fmt"
	"os"
)

// exitOutput is what a command ends with whose output could not be written:
// that is no verdict, and no bug of ours. It goes before every verdict, for
// what was asked for is not there.
const exitOutput = exitUsage

// stdout is standard output. It remembers whether it could not be written, so
// that commands need not look each time they print: a full device must not end
// a command as if its answer had arrived.
var stdout = &output{}

type output struct{ err error }

func (o *output) Write(b []byte) (int, error) {
	n, err := os.Stdout.Write(b)
	if err != nil && o.err == nil {
		o.err = err
	}
	return n, err
}

// unwritten is an error of a file that could not be written. The command has
// printed everything else.
type unwritten struct{ error }

func (u unwritten) Unwrap() error { return u.error }

// cannotWrite says that an output is not there.
func cannotWrite(what string, err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		err = path
	}
	return unwritten{fmt.Errorf("%s: %w", what, err)}
}
