package campaign

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// board is how far a campaign is.
type board struct {
	mu       sync.Mutex
	items    int // in all
	done     int
	again    int // results that had come before
	runs     int
	failing  int
	verdicts map[string]int
	groups   map[string]*group
	workers  map[string]*seen
}

// group are the runs that fail in one way.
type group struct {
	Print string `json:"fingerprint"`
	Runs  int    `json:"runs"`
	Again string `json:"again"` // the command that plays the first
}

// seen is what was last heard of a worker.
type seen struct {
	beat
	at time.Time
}

// add counts the runs of an item.
func (b *board) add(runs []run) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.groups == nil {
		b.groups, b.verdicts = map[string]*group{}, map[string]int{}
	}
	b.done++
	for _, r := range runs {
		b.runs++
		b.verdicts[cmp.Or(r.Verdict, "no verdict")]++
		if r.Failure == nil {
			continue
		}
		b.failing++
		print := strings.Join(slices.DeleteFunc([]string{r.Failure.Check, r.Failure.Where, r.Failure.Shape}, func(s string) bool { return s == "" }), ", ")
		if b.groups[print] == nil {
			b.groups[print] = &group{Print: print, Again: r.Failure.Again}
		}
		b.groups[print].Runs++
	}
}

// over says why the campaign is over; empty: it is not.
func (b *board) over(stopAt int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.done >= b.items:
		return "all seeds are played"
	case stopAt > 0 && b.failing >= stopAt:
		return fmt.Sprintf("%d runs have failed", b.failing)
	}
	return ""
}

func (b *board) twice() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.again++
}

func (b *board) heard(of beat) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.workers == nil {
		b.workers = map[string]*seen{}
	}
	b.workers[of.Worker] = &seen{of, time.Now()}
}

// silent is after how long a worker of which nothing is heard counts as gone.
const silent = 5 * time.Second

// view is the board at a moment.
type view struct {
	Items    int            `json:"items"`
	Done     int            `json:"done"`
	Again    int            `json:"again"`
	Runs     int            `json:"runs"`
	Failing  int            `json:"failing"`
	Verdicts map[string]int `json:"verdicts"`
	Groups   []group        `json:"groups"`
	Workers  []workerView   `json:"workers"`
}

type workerView struct {
	Name  string  `json:"name"`
	Doing string  `json:"doing"`
	Done  int64   `json:"done"`
	Heard float64 `json:"heard_seconds_ago"`
}

func (b *board) view() view {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := view{Items: b.items, Done: b.done, Again: b.again, Runs: b.runs, Failing: b.failing, Verdicts: map[string]int{}, Groups: []group{}, Workers: []workerView{}}
	for verdict, n := range b.verdicts {
		v.Verdicts[verdict] = n
	}
	for _, g := range b.groups {
		v.Groups = append(v.Groups, *g)
	}
	slices.SortFunc(v.Groups, func(a, b group) int { return cmp.Or(b.Runs-a.Runs, strings.Compare(a.Print, b.Print)) })
	for name, s := range b.workers {
		w := workerView{Name: name, Doing: "waits for work", Done: s.Done, Heard: time.Since(s.at).Seconds()}
		switch {
		case time.Since(s.at) > silent:
			w.Doing = "is gone"
		case s.Item != nil:
			w.Doing = "plays seeds " + s.Item.String()
		}
		v.Workers = append(v.Workers, w)
	}
	slices.SortFunc(v.Workers, func(a, b workerView) int { return strings.Compare(a.Name, b.Name) })
	return v
}

// String is the board in a line.
func (v view) String() string {
	alive := 0
	for _, w := range v.Workers {
		if w.Doing != "is gone" {
			alive++
		}
	}
	return fmt.Sprintf("%d of %d items, %d runs, %d failing in %d ways, %d workers", v.Done, v.Items, v.Runs, v.Failing, len(v.Groups), alive)
}

// Line is the board in a line.
func (s *Server) Line() string { return s.board.view().String() }

// ServeHTTP answers with the board as a page that renews itself, or as JSON.
func (b *board) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := b.view()
	if r.URL.Path == "/board.json" {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = page.Execute(w, v)
}

var page = template.Must(template.New("board").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2"><title>ktrial campaign</title>
<style>body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em}table{border-collapse:collapse}td,th{text-align:left;padding:.2em 1.2em .2em 0;vertical-align:top}progress{width:100%}code{font-size:13px}</style></head>
<body><h1>Campaign</h1><progress max="{{.Items}}" value="{{.Done}}"></progress><p>{{.}}{{if .Again}}; {{.Again}} results came twice{{end}}</p>
<table>{{range $verdict, $n := .Verdicts}}<tr><td>{{$verdict}}</td><td>{{$n}}</td></tr>{{end}}</table>
<h2>Ways to fail</h2>{{if .Groups}}<table><tr><th>runs</th><th>by</th><th>first</th></tr>{{range .Groups}}<tr><td>{{.Runs}}</td><td>{{.Print}}</td><td><code>{{.Again}}</code></td></tr>{{end}}</table>{{else}}<p>none yet</p>{{end}}
<h2>Workers</h2>{{if .Workers}}<table><tr><th>worker</th><th></th><th>items done</th></tr>{{range .Workers}}<tr><td>{{.Name}}</td><td>{{.Doing}}</td><td>{{.Done}}</td></tr>{{end}}</table>{{else}}<p>none has joined yet</p>{{end}}
</body></html>
`))
