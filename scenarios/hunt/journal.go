package hunt

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/ktrial/ktrial/internal/build"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
)

// Journal writes results.jsonl: a line for each run as soon as it is over, so that a
// hunt may be killed at any moment, gone on with, and joined with others. Each line is
// an object with a type:
//
//	begin     a program begins to play runs: its build, and the names of its probes
//	run       what came of one: a reports.Line, with the number of its job
//	smallest  the smallest run of a group, when it was searched for
//	end       why the program ended in order: done, time, stop-at, interrupted
type Journal struct {
	mu     sync.Mutex
	file   *os.File
	begun  time.Time
	probes []string
	told   map[permission]bool // is in the file already
	err    error
}

// permission is what a configuration permits, and why.
type permission struct{ anomaly, reason string }

// line is one line of the file. Which fields it has, its type says.
type line struct {
	Type string `json:"type"`

	Build  string   `json:"build,omitempty"`
	Probes []string `json:"probes,omitempty"`

	Job *int `json:"job,omitempty"`
	// At is when the run was over, in seconds of wall time since the program began.
	At float64 `json:"at,omitempty"`
	*reports.Line
	// Reached has pairs: the number of a probe in the list of begin, and how often.
	Reached []int64 `json:"reached,omitempty"`

	Fingerprint *reports.Fingerprint `json:"fingerprint,omitempty"`
	Smallest    *reports.Smallest    `json:"smallest,omitempty"`

	Why ended `json:"why,omitempty"`
}

// ended says why a hunt ended.
type ended string

const (
	done        ended = "done" // all runs were played
	timeIsUp    ended = "time"
	enoughFound ended = "stop-at"
	interrupted ended = "interrupted"
)

// OpenJournal opens the results of a directory to add to them; the file is made if
// there is none. What a program that was killed left of a line is cut off.
func OpenJournal(dir string) (*Journal, error) {
	file, err := os.OpenFile(filepath.Join(dir, ResultsFile), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	if err := cutUnfinished(file); err != nil {
		file.Close()
		return nil, err
	}
	j := &Journal{file: file, begun: time.Now(), probes: probeNames(), told: map[permission]bool{}}
	j.write(line{Type: "begin", Build: build.ID(), Probes: j.probes})
	return j, j.err
}

// cutUnfinished cuts off what comes after the last whole line.
func cutUnfinished(file *os.File) error {
	text, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	//text:allow the file of a program that may have been killed
	return file.Truncate(int64(bytes.LastIndexByte(text, '\n') + 1))
}

// Err is the first error of a line that could not be written.
func (j *Journal) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// Close closes the file.
func (j *Journal) Close() error { return j.file.Close() }

// write writes a line at once: what comes after may kill the program.
func (j *Journal) write(l line) {
	text, err := json.Marshal(l)
	j.mu.Lock()
	defer j.mu.Unlock()
	if err == nil {
		_, err = j.file.Write(append(text, '\n'))
	}
	if j.err == nil {
		j.err = err
	}
}

// run writes what came of a job.
func (j *Journal) run(job int, l *reports.Line) {
	kept := *l
	kept.NeverSeen = slices.DeleteFunc(slices.Clone(l.NeverSeen), func(p reports.Permitted) bool {
		known := j.told[permission{p.Anomaly, p.Reason}]
		j.told[permission{p.Anomaly, p.Reason}] = true
		return known
	})
	out := line{Type: "run", Job: &job, At: time.Since(j.begun).Seconds(), Line: &kept}
	for i, name := range j.probes {
		if n := l.Probes[name]; n > 0 {
			out.Reached = append(out.Reached, int64(i), n)
		}
	}
	j.write(out)
}

func (j *Journal) smallest(f reports.Fingerprint, s reports.Smallest) {
	j.write(line{Type: "smallest", Fingerprint: &f, Smallest: &s})
}

func (j *Journal) end(why ended) {
	j.write(line{Type: "end", Why: why, At: time.Since(j.begun).Seconds()})
}

// Results are what a hunt has found so far, read from its directory.
type Results struct {
	Record *Record
	Builds []string // that played its runs
	sum    reports.Hunt
	played map[int]int // how often each job was
	wall   time.Duration
	why    ended // empty: it was killed, or is under way
}

// ReadResults reads what a hunt has found from its directory.
func ReadResults(dir string) (*Results, error) {
	rec, err := ReadRecord(dir)
	if err != nil {
		return nil, err
	}
	r := &Results{Record: rec, sum: reports.NewHunt(), played: map[int]int{}}
	name := filepath.Join(dir, ResultsFile)
	file, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return r, nil // it was killed before the first run
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := r.read(file); err != nil {
		return nil, fmt.Errorf("%s:%w", name, err)
	}
	r.sum.WallSeconds = r.wall.Seconds()
	return r, nil
}

func (r *Results) read(file io.Reader) error {
	var probes []string
	var now time.Duration // of the program whose lines are read
	in := bufio.NewReader(file)
	for number := 1; ; number++ {
		text, err := in.ReadBytes('\n')
		if err == io.EOF { // a line without an end is none: the program was killed
			r.wall += now
			return nil
		}
		if err != nil {
			return fmt.Errorf("%d: %w", number, err)
		}
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return fmt.Errorf("%d: %w", number, err)
		}
		if l.Type == "begin" {
			r.wall += now
			now, probes = 0, l.Probes
		}
		now = max(now, time.Duration(l.At*float64(time.Second)))
		if err := r.add(&l, probes); err != nil {
			return fmt.Errorf("%d: %w", number, err)
		}
	}
}

func (r *Results) add(l *line, probes []string) error {
	switch l.Type {
	case "begin":
		r.why = ""
		if !slices.Contains(r.Builds, l.Build) {
			r.Builds = append(r.Builds, l.Build)
		}
	case "run":
		if l.Line == nil || l.Job == nil || l.Verdict == "" && l.Failure == nil || len(l.Reached)%2 != 0 {
			return errors.New("found a run without its job or verdict, or a probe without a number")
		}
		l.Line.Probes = map[string]int64{}
		for i := 0; i < len(l.Reached); i += 2 {
			n := l.Reached[i]
			if n < 0 || n >= int64(len(probes)) {
				return fmt.Errorf("found probe %d, expected one of the %d of the line begin", n, len(probes))
			}
			l.Line.Probes[probes[n]] = l.Reached[i+1]
		}
		r.played[*l.Job]++
		r.sum.Add(l.Line)
	case "smallest":
		if l.Fingerprint == nil || l.Smallest == nil {
			return errors.New("found the smallest run of a group without its fingerprint")
		}
		r.sum.Shrunk(*l.Fingerprint, *l.Smallest)
	case "end":
		r.why = l.Why
	default:
		return fmt.Errorf("found type %q, expected begin, run, smallest or end", l.Type)
	}
	return nil
}

func probeNames() (names []string) {
	for _, p := range ledger.Probes() {
		names = append(names, p.Name)
	}
	return names
}
