package reports

import (
	"fmt"
	"io"
)

// Replayed says where a run parts from the one that it replays, which another build played.
type Replayed struct {
	By  string `json:"by"`  // the build that recorded the run
	Now string `json:"now"` // this one
	// Asked counts the decisions of luck in this run, Matched those that the recorded run has
	// by the same name, and Recorded all of that one.
	Asked    uint64 `json:"asked"`
	Matched  uint64 `json:"matched"`
	Recorded uint64 `json:"recorded"`
	// NewDecision is the first that the recorded run was never asked for; empty: there is none.
	NewDecision string `json:"new_decision,omitempty"`
	// Parts is the first event that differs; empty: none of those that are kept does.
	Parts string `json:"parts,omitempty"`
}

func (r *Replayed) write(w io.Writer, style Style) {
	if r == nil {
		return
	}
	row := func(label, text string) {
		fmt.Fprintf(w, "  %-8s %s\n", label, Wrap(text, "           ", style.room(11, 110)))
	}
	row("replay", fmt.Sprintf("build %s recorded it, this is %s: %s of %s decisions are those recorded by the same name (%s are recorded)",
		r.By, r.Now, Count(int64(r.Matched)), Count(int64(r.Asked)), Count(int64(r.Recorded))))
	if r.NewDecision != "" {
		row("", "first decision that is not recorded: "+r.NewDecision)
	}
	if r.Parts != "" {
		row("", "first event that differs: "+r.Parts)
	}
}
