package page

import (
	"fmt"
	"io"

	"github.com/ktrial/ktrial/reports"
)

// Comparison is two runs that are shown side by side from their first difference.
type Comparison struct {
	A, B Page
	Of   *reports.Comparison
}

// compareScripts are the modules that it needs: those of a page, but for the last.
var compareScripts = append(scripts[:len(scripts)-1:len(scripts)-1], "compare.js")

// Write writes both runs as one page. The same runs give the same bytes.
func (c Comparison) Write(w io.Writer) error {
	values := map[string]any{"Of": c.Of, "A": c.A.Run, "B": c.B.Run, "Title": fmt.Sprintf("%s: two runs compared", c.A.Run.Scenario)}
	for name, p := range map[string]Page{"DataA": c.A, "DataB": c.B} { //det:allow each has its name
		data, err := p.data()
		if err != nil {
			return err
		}
		values[name] = data
	}
	return write(w, "compare.html", compareScripts, values)
}
