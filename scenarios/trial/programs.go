package trial

import (
	"fmt"
	"slices"

	"github.com/ktrial/ktrial/app"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/sim/wasi"
	"github.com/ktrial/ktrial/workloads"
)

// App is a user's program that plays instead of the scenario's own clients.
type App struct {
	Host    string        // where it runs; empty: on one with a name of its own
	Env     []string      // "NAME=VALUE"
	File    string        // as it was given
	Args    []string      // in them and in Env $KAFKA, $TOPICS and $HOSTNAME are replaced
	Program *wasi.Program // that is in the file
}

// NewApp reads a program with its arguments: 'orders.wasm -rate 50', or, where a plan names
// the host, 'member-1=orders.wasm -rate 50'.
func NewApp(command string) (App, error) {
	c, err := app.ReadCommand(command)
	if err != nil {
		return App{}, err
	}
	p, err := app.Load(c.File)
	return App{Host: c.Host, Env: c.Env, File: c.File, Args: c.Args, Program: p}, err
}

// command is what --app is given.
func (a App) command() string {
	file := a.File
	if a.Host != "" {
		file = a.Host + "=" + file
	}
	return reports.Command(slices.Concat(a.Env, []string{file}, a.Args)...)
}

// String is the command, and which program it was.
func (a App) String() string { return a.command() + " (SHA-256 " + a.Program.SHA256 + ")" }

// withApps is the scenario with programs in place of its workload, on as many hosts:
// orders-1, orders-2, unless their hosts are named.
func withApps(s scenarios.Scenario, apps []App) scenarios.Scenario {
	if len(apps) == 0 {
		return s
	}
	w := workloads.Programs{Duration: s.Workload.Lasts(), Instead: s.Workload}
	for _, t := range s.Topics {
		w.Topics = append(w.Topics, t.Name)
	}
	count := map[string]int{}
	for _, a := range apps {
		host := a.Host
		if host == "" {
			count[a.Program.Name]++
			host = fmt.Sprintf("%s-%d", a.Program.Name, count[a.Program.Name])
		}
		w.List = append(w.List, workloads.Program{Host: host, Program: a.Program, Args: a.Args, Env: a.Env})
	}
	s.Workload = w
	s.OwnChecks = nil // they know the records of the scenario's own clients
	return s
}

// appRecord is a program as run.json keeps it.
type appRecord struct {
	Command string `json:"command"`
	SHA256  string `json:"sha256"`
}

func appRecords(apps []App) (out []appRecord) {
	for _, a := range apps {
		out = append(out, appRecord{a.command(), a.Program.SHA256})
	}
	return out
}

// load reads the program again, which must be the same.
func (rec appRecord) load() (App, error) {
	a, err := NewApp(rec.Command)
	if err == nil && a.Program.SHA256 != rec.SHA256 {
		err = fmt.Errorf("--app %s: found a program with SHA-256 %.12s..., expected %.12s...: it is not the one that was recorded", a.File, a.Program.SHA256, rec.SHA256)
	}
	return a, err
}
