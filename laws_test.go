package ktrial

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ktrial/ktrial/checkers/laws"
	"github.com/ktrial/ktrial/internal/golden"
)

// docs/laws.md is the catalogue of laws: it says what ktrial demands of what happens
// inside, and is made from the code.
func TestLaws_AreDescribed(t *testing.T) {
	var b strings.Builder
	b.WriteString("# The laws\n\n<!-- made by go test -run TestLaws_AreDescribed -rewrite . -->\n\n" +
		"What is demanded of what happens inside of a cluster, whatever its clients see. Each law is put to the events that nodes tell\n" +
		"(`docs/trace.md`) while a run goes on; the first that breaks without an excuse ends the run. A number that is missing is of no\n" +
		"law here. `ktrial list laws` lists them.\n")
	var group laws.Group
	for _, g := range laws.Groups() {
		for _, l := range laws.All() {
			if l.Group != g {
				continue
			}
			if group != g {
				group = g
				fmt.Fprintf(&b, "\n## Laws of %s\n\n| law | what must hold | when it is asked | where it comes from |\n| --- | --- | --- | --- |\n", g)
			}
			fmt.Fprintf(&b, "| %d | %s | %s | %s |\n", l.Number, l.About, l.When, l.Source)
		}
	}
	golden.File(t, "docs/laws.md", b.String())
}
