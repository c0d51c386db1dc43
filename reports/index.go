package reports

import (
	_ "embed"
	"html/template"
	"io"
	"path/filepath"
)

//go:embed index.html
var indexHTML string

// WriteIndex writes a hunt as one HTML file: each way to fail with its first run and
// its smallest, and links to the reports of those that are kept. dir is the directory
// of the page as seen from where runs are kept; empty: it is the same.
func (h *Hunt) WriteIndex(w io.Writer, title, dir string) error {
	t, err := template.New("index.html").Funcs(template.FuncMap{
		"count":  func(n int) string { return count(int64(n)) },
		"events": func(n uint64) string { return count(int64(n)) },
		"things": things,
		"brief":  brief,
		"report": func(kept string) string { return reportOf(kept, dir) },
	}).Parse(indexHTML)
	if err != nil {
		return err
	}
	return t.Execute(w, map[string]any{"Title": title, "Hunt": h})
}

// reportOf is the address of the report in a directory, on a page in dir.
func reportOf(kept, dir string) string {
	file := filepath.Join(kept, "report.html")
	if dir != "" {
		from, err := filepath.Abs(dir)
		to, err2 := filepath.Abs(file)
		if rel, err3 := filepath.Rel(from, to); err == nil && err2 == nil && err3 == nil {
			file = rel
		}
	}
	return filepath.ToSlash(file)
}
