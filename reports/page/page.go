// Package page writes a run as one HTML file that shows why: the verdict in a
// sentence, the steps that led to it, and the same steps in a picture of the leaders
// and their epochs, the replicas in sync, and where each log ended.
//
// The file needs nothing else: no network, no build step. Go packs what the ledger
// holds (pack.go); the rest is vanilla JavaScript in web/, which reads only that and
// knows neither Go nor files:
//
//	data.js     the packed events
//	reducer.js  what was true when: replicas, partitions, hosts, groups, operations
//	scale.js    time, folded where nothing happens, and back
//	lanes.js    the picture, a lane each
//	card.js     the verdict, its steps, the state at the cursor
//	main.js     keys, mouse, the address
package page

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"iter"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
)

//go:embed web
var web embed.FS

// scripts are the modules in the order in which they need each other.
var scripts = []string{"data.js", "reducer.js", "scale.js", "lanes.js", "card.js", "main.js"}

// Page is a run to be shown.
type Page struct {
	Run   *reports.Run
	About string // the scenario, in a line
	// Heading is what it is, instead of a scenario and a seed, and Title that of the
	// window.
	Heading, Title string
	Events         iter.Seq[*ledger.Entry]
}

// Write writes the page. The same run gives the same bytes.
func (p Page) Write(w io.Writer) error {
	run := *p.Run
	run.WallSeconds = 0 // or the same run would not give the same bytes
	p.Run = &run
	packed, err := p.pack()
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	t, err := template.New("page.html").ParseFS(web, "web/page.html")
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	style, err := web.ReadFile("web/style.css")
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	var script bytes.Buffer
	for _, name := range scripts {
		text, err := web.ReadFile("web/" + name)
		if err != nil {
			return fmt.Errorf("page: %w", err)
		}
		script.Write(text)
	}
	return t.Execute(w, map[string]any{
		"Run": p.Run, "About": p.About, "Title": cmp.Or(p.Title, fmt.Sprintf("%s seed %d: %s", p.Run.Scenario, p.Run.Seed, p.Run.Verdict)),
		"Heading": cmp.Or(p.Heading, fmt.Sprintf("%s · seed %d", p.Run.Scenario, p.Run.Seed)), "Foreign": p.Heading != "",
		"Style": template.CSS(style), "Script": template.JS(script.String()),
		"Data":  template.HTML(base64.StdEncoding.EncodeToString(packed)),
		"First": p.Run.Main(),
	})
}
