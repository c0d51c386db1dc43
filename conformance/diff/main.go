// Diff sends the same requests to a cluster of Apache Kafka and to one of ktrial
// serve, both of three brokers with the ids 1, 2, 3 on ports that follow each
// other, and prints what their answers differ in. What differs on purpose is
// listed, with reasons, in conformance/differences.md, and passed over.
//
//	diff -hand                      sessions written by hand, each in all versions of its key
//	diff -hand -ends                in the lowest and the highest only
//	diff -only fetch-sessions       one of them
//	diff -seeds 1..300 -steps 60    random sessions; each ends at its first difference
//	diff -groups 1..300             the same of groups
//	diff -txns 1..300               and of transactions
//	diff -record testdata           writes Kafka's answers down for the tests, which need no Kafka
//
// The exit code is 1 if there is a difference that is not listed, 2 if a cluster
// does not answer. Times of records are of 2023: topics are made with
// retention.ms=-1, or else retention would make noise.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/ktrial/ktrial/conformance/sessions"
)

func main() {
	kafka := flag.String("kafka", "127.0.0.1:21000", "first broker of Apache Kafka")
	ours := flag.String("ours", "127.0.0.1:22000", "first broker of ktrial serve")
	byHand := flag.Bool("hand", false, "play the sessions written by hand")
	ends := flag.Bool("ends", false, "of the sessions by hand only the lowest and the highest version")
	only := flag.String("only", "", "only the session by hand of this name")
	version := flag.Int("version", -1, "of the sessions by hand only this version of their key")
	seeds := flag.String("seeds", "", "random sessions, FROM..TO")
	groupSeeds := flag.String("groups", "", "random sessions of groups, FROM..TO")
	txnSeeds := flag.String("txns", "", "random sessions of transactions, FROM..TO")
	steps := flag.Int("steps", 60, "steps of a random session")
	list := flag.String("differences", "conformance/differences.md", "the differences that are passed over")
	out := flag.String("json", "", "file for all findings, as JSON lines")
	record := flag.String("record", "", "directory for Kafka's answers to sessions by hand and drawn")
	missing := flag.Bool("missing", false, "record only what that directory does not have")
	limit := flag.Duration("limit", time.Hour, "no session begins after this time; how many were left out is said")
	flag.Parse()

	start := time.Now()
	d := &sessions.Driver{Net: sessions.TCP(), Kafka: brokers(*kafka), Run: int(start.UnixMilli() % 10_000_000), Known: map[*sessions.Difference]int{}}
	text, err := os.ReadFile(*list)
	if err == nil {
		d.Listed, err = sessions.ReadDifferences(string(text))
	}
	if err != nil {
		fail(fmt.Errorf("%s: %w", *list, err))
	}
	if *record == "" {
		d.Ours = brokers(*ours)
	}
	if err := d.Greet(); err != nil {
		fail(err)
	}
	if *record != "" {
		for _, r := range sessions.Recordings() {
			file := filepath.Join(*record, r.Name+".txt")
			if *only != "" && *only != r.Name || *missing && exists(file) {
				continue
			}
			if err := os.WriteFile(file, []byte(d.Record(r).String()), 0o644); err != nil {
				fail(err)
			}
			fmt.Println("recorded", r.Name)
		}
		return
	}
	leftOut := 0
	within := func() bool {
		if time.Since(start) < *limit {
			return true
		}
		leftOut++
		return false
	}
	if *byHand || *only != "" {
		for _, h := range sessions.Hands() {
			if *only == "" || *only == h.Name {
				playHand(d, h, *ends, *version, within)
			}
		}
	}
	for _, k := range []struct {
		seeds, name string
		draw        sessions.Draw
	}{
		{*seeds, "random", sessions.OfRecords}, {*groupSeeds, "random group", sessions.OfGroups}, {*txnSeeds, "random transactions", sessions.OfTransactions},
	} {
		from, to := seedRange(k.seeds)
		for seed := from; seed <= to; seed++ {
			if within() {
				playAgain(d, fmt.Sprint(k.name, " ", seed), k.draw, seed, *steps)
			}
		}
	}
	report(d, *byHand && *only == "" && !*ends && leftOut == 0)
	if leftOut > 0 {
		fmt.Printf("%d sessions were not played: %v have passed\n", leftOut, *limit)
	}
	known := 0
	for _, n := range d.Known {
		known += n
	}
	fmt.Printf("%d sessions, %d requests to each side, %d differing fields are listed, %d are not, %v\n",
		d.Sessions, d.Steps, known, len(d.Found), time.Since(start).Round(time.Second))
	if *out != "" {
		if err := writeJSON(d, *out); err != nil {
			fail(err)
		}
	}
	if len(d.Found) > 0 {
		os.Exit(1)
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "diff:", err)
	os.Exit(2)
}

func seedRange(s string) (from, to uint64) {
	if s == "" {
		return 1, 0
	}
	a, b, _ := strings.Cut(s, "..")
	from, _ = strconv.ParseUint(a, 10, 64)
	to, _ = strconv.ParseUint(b, 10, 64)
	return from, to
}

// brokers are the addresses of three brokers on ports that follow each other.
func brokers(first string) (addrs []string) {
	host, port, _ := strings.Cut(first, ":")
	p, _ := strconv.Atoi(port)
	for i := range 3 {
		addrs = append(addrs, fmt.Sprintf("%s:%d", host, p+i))
	}
	return addrs
}

// playAgain plays a session again, up to three times, that finds a difference: in one of
// some hundred a timer of Kafka's coordinator is late, a read comes before the offset
// that it needs, a broker shows a configuration before it has heard of the last change, or a leader is
// chosen in the order of a hash map. What does not come each
// time is told, and not counted.
func playAgain(d *sessions.Driver, name string, of sessions.Draw, seed uint64, steps int) {
	before := len(d.Found)
	d.Drawn(name, of, seed, steps)
	for range 3 {
		if len(d.Found) == before {
			return
		}
		once := d.Found[before]
		d.Found = d.Found[:before:before]
		d.Drawn(name, of, seed, steps)
		if len(d.Found) == before {
			fmt.Printf("      once, and not when it was played again: %s, %s %s\n        kafka %s\n        ours  %s\n",
				name, once.Step, once.Path, cutTo(once.Kafka, 400), cutTo(once.Ours, 400))
		}
	}
}

func playHand(d *sessions.Driver, h sessions.Hand, ends bool, version int, within func() bool) {
	from, to := h.Versions()
	for v := from; v <= to; v++ {
		wanted := version < 0 && (!ends || v == from || v == to) || int(v) == version
		if wanted && within() {
			d.Hand(h, v)
		}
	}
}

// report prints each difference once, however many sessions and versions have
// it, and the listed ones that were not there if all should have been.
func report(d *sessions.Driver, all bool) {
	type group struct {
		first  sessions.Finding
		n      int
		lo, hi int16
	}
	groups := map[string]*group{}
	for _, f := range d.Found {
		key := strings.Join([]string{f.API, shape(f.Path), f.Step, shape(f.Kafka), shape(f.Ours)}, " | ")
		g := groups[key]
		if g == nil {
			g = &group{first: f, lo: f.Version, hi: f.Version}
			groups[key] = g
		}
		g.n, g.lo, g.hi = g.n+1, min(g.lo, f.Version), max(g.hi, f.Version)
	}
	keys := make([]string, 0, len(groups))
	for key := range groups {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		g := groups[key]
		fmt.Printf("%4d  %s v%d-%d  [%s] %s  %s\n        kafka %s\n        ours  %s\n",
			g.n, g.first.API, g.lo, g.hi, g.first.Session, g.first.Step, g.first.Path, cutTo(g.first.Kafka, 400), cutTo(g.first.Ours, 400))
	}
	for _, l := range d.Listed {
		if all && d.Known[l] == 0 {
			fmt.Printf("      listed in line %d, but not seen: %s, %s, %s\n", l.Line, l.API, l.Step, l.Field)
		}
	}
}

func writeJSON(d *sessions.Driver, file string) error {
	w, err := os.Create(file)
	if err != nil {
		return err
	}
	defer w.Close()
	e := json.NewEncoder(w)
	for _, f := range d.Found {
		if err := e.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// cutTo cuts a text that is longer than n bytes.
func cutTo(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "..."
}

// shape is a value without its numbers, for grouping.
func shape(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, s)
}
