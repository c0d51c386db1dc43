package shrink

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ktrial/ktrial/reports"
)

// WriteText tells a person what is left of a run, and what each fault of it is for.
func (s *Smallest) WriteText(w io.Writer, style reports.Style) {
	was, is := s.Original, s.Size()
	fmt.Fprintf(w, "%s seed %d fails by: %s\n", s.Scenario.Name, s.Options.Seed, s.Fingerprint)
	fmt.Fprintf(w, "  smaller   %s -> %s faults, %s -> %s events, %v -> %v of virtual time\n", number(was.Faults), number(is.Faults),
		number(int(was.Events)), number(int(is.Events)), was.Virtual.Round(10*time.Millisecond), is.Virtual.Round(10*time.Millisecond))
	ended := "nothing more can be taken away"
	if !s.Whole {
		ended = "time was up before all was tried"
	}
	fmt.Fprintf(w, "  search    %s runs in %v: %s\n", number(s.Runs), s.Took.Round(100*time.Millisecond), ended)
	for _, kept := range s.Kept {
		fmt.Fprintf(w, "  kept      %s\n", reports.Wrap(kept, "            ", 100))
	}
	if shape := s.Options.Shape.Flags(); shape != nil {
		fmt.Fprintf(w, "  cluster   %s\n", strings.Join(shape, " "))
	}
	if len(s.Options.Set) > 0 {
		var set []string
		for _, name := range slices.Sorted(maps.Keys(s.Options.Set)) {
			set = append(set, name+"="+s.Options.Set[name])
		}
		fmt.Fprintf(w, "  settings  %s\n", strings.Join(set, ", "))
	}
	s.writeFaults(w)
	fmt.Fprintln(w)
	s.Result.Report.WriteText(w, style)
}

// writeFaults lists the faults that are left, and says which are needed.
func (s *Smallest) writeFaults(w io.Writer) {
	if len(s.Options.Plan) == 0 {
		fmt.Fprintln(w, "  faults    none is needed")
		return
	}
	needed := s.needed()
	for i, t := range s.Options.Plan {
		label := ""
		if i == 0 {
			label = "faults"
		}
		fmt.Fprintf(w, "  %-9s %d. %v%s\n", label, i+1, t, needed[i])
	}
	if failing := s.failing(); len(failing) > 1 {
		fmt.Fprintf(w, "  enough    %s\n", strings.Join(failing, ", or "))
	}
}

// needed says of each fault whether the run fails without it.
func (s *Smallest) needed() []string {
	out := make([]string, len(s.Options.Plan))
	all := len(s.Options.Plan)
	for _, c := range s.Table {
		without := -1
		for i, with := range c.With {
			if !with {
				without = i
				all--
			}
		}
		if all == len(s.Options.Plan)-1 && without >= 0 {
			out[without] = "   (needed)"
			if c.Fails {
				out[without] = "   (not needed, but the run is no smaller without it)"
			}
		}
		all = len(s.Options.Plan)
	}
	return out
}

// failing are the choices of faults with which the run fails: "1+3".
func (s *Smallest) failing() (out []string) {
	for _, c := range s.Table {
		if !c.Fails {
			continue
		}
		var numbers []string
		for i, with := range c.With {
			if with {
				numbers = append(numbers, fmt.Sprint(i+1))
			}
		}
		if len(numbers) == 0 {
			numbers = []string{"none"}
		}
		out = append(out, strings.Join(numbers, "+"))
	}
	return out
}

func number(n int) string { return reports.Count(int64(n)) }
