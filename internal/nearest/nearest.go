// Package nearest finds the known name that is nearest to a mistyped one.
package nearest

import (
	"errors"
	"fmt"
)

// Name is the known name closest to name, or "" if none is close.
func Name(name string, known []string) string {
	best, bestDist := "", 1+len(name)/2
	for _, k := range known {
		if d := Distance(name, k); d < bestDist {
			best, bestDist = k, d
		}
	}
	return best
}

// Error says that a name is not known, and which one may have been meant.
type Error struct{ What, Name, Nearest string }

func (e *Error) Error() string {
	if e.Nearest == "" {
		return fmt.Sprintf("%s %q is unknown", e.What, e.Name)
	}
	return fmt.Sprintf("%s %q is unknown; did you mean %s?", e.What, e.Name, e.Nearest)
}

// Unknown is the error for a name that is not known:
// scenario "standrad" is unknown; did you mean standard?
func Unknown(what, name string, known []string) error {
	return &Error{what, name, Name(name, known)}
}

// IsUnknown reports whether an error comes of a name that is not known.
func IsUnknown(err error) bool {
	var e *Error
	return errors.As(err, &e)
}

// Distance is Levenshtein's: how many letters must be put in, taken out or
// changed to make a of b.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
