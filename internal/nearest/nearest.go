// Package nearest finds what somebody meant who mistyped a name.
package nearest

import "fmt"

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

// Unknown is the error for a name that is not known:
// scenario "standrad" is unknown; did you mean standard?
func Unknown(what, name string, known []string) error {
	if near := Name(name, known); near != "" {
		return fmt.Errorf("%s %q is unknown; did you mean %s?", what, name, near)
	}
	return fmt.Errorf("%s %q is unknown", what, name)
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
