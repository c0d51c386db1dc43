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
//	compare.js  two runs on one axis, instead of main.js
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
var scripts = []string{"data.js", "reducer.js", "scale.js", "lanes.js", "card.js", "window.js", "main.js"}

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
	data, err := p.data()
	if err != nil {
		return err
	}
	run := p.Run
	return write(w, "page.html", scripts, map[string]any{
		"Run": run, "About": p.About, "Title": cmp.Or(p.Title, fmt.Sprintf("%s seed %d: %s", run.Scenario, run.Seed, run.Verdict)),
		"Heading": cmp.Or(p.Heading, fmt.Sprintf("%s · seed %d", run.Scenario, run.Seed)), "Foreign": p.Heading != "",
		"Data": data, "First": run.Main(),
	})
}

// data is the packed run as it stands in a page.
func (p Page) data() (template.HTML, error) {
	run := *p.Run
	run.WallSeconds = 0 // or the same run would not give the same bytes
	p.Run = &run
	packed, err := p.pack()
	if err != nil {
		return "", fmt.Errorf("page: %w", err)
	}
	return template.HTML(base64.StdEncoding.EncodeToString(packed)), nil
}

// write writes a page of a template with the style and some of the scripts.
func write(w io.Writer, name string, scripts []string, values map[string]any) error {
	t, err := template.New(name).ParseFS(web, "web/"+name)
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
	values["Style"], values["Script"] = template.CSS(style), template.JS(script.String())
	return t.Execute(w, values)
}
