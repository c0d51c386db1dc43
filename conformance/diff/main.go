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
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// driver plays sessions and keeps what they find.
type driver struct {
	kafka, ours *side
	listed      differences
	run         int // numbers the sessions, for the names of their topics

	found           []finding
	sessions, steps int
	known           map[*difference]int
}

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
	record := flag.String("record", "", "directory for Kafka's answers to the sessions by hand")
	limit := flag.Duration("limit", time.Hour, "no session begins after this time; how many were left out is said")
	flag.Parse()

	start := time.Now()
	d := &driver{run: int(start.UnixMilli() % 10_000_000), known: map[*difference]int{}}
	var err error
	if d.listed, err = readDifferences(*list); err != nil {
		fail(err)
	}
	if d.kafka, err = open("kafka", *kafka); err != nil {
		fail(err)
	}
	if *record != "" {
		for _, h := range allHands() {
			if (*only == "" || *only == h.name) && !h.unrecorded {
				d.record(h.name, 1, h.play, *record)
			}
		}
		from, to := seedRange(*groupSeeds)
		for seed := from; seed <= to; seed++ {
			d.record(fmt.Sprint("random-group-", seed), seed, func(s *session) { randomGroup(s, *steps) }, *record)
		}
		return
	}
	if d.ours, err = open("ours", *ours); err != nil {
		fail(err)
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
		for _, h := range allHands() {
			if *only == "" || *only == h.name {
				d.playHand(h, *ends, *version, within)
			}
		}
	}
	from, to := seedRange(*seeds)
	for seed := from; seed <= to; seed++ {
		if within() {
			d.playAgain(fmt.Sprint("random ", seed), seed, func(s *session) { random(s, *steps) })
		}
	}
	from, to = seedRange(*groupSeeds)
	for seed := from; seed <= to; seed++ {
		if within() {
			d.playAgain(fmt.Sprint("random group ", seed), seed, func(s *session) { randomGroup(s, *steps) })
		}
	}
	from, to = seedRange(*txnSeeds)
	for seed := from; seed <= to; seed++ {
		if within() {
			d.playAgain(fmt.Sprint("random transactions ", seed), seed, func(s *session) { randomTxns(s, *steps) })
		}
	}
	d.report(*byHand && *only == "" && !*ends && leftOut == 0)
	if leftOut > 0 {
		fmt.Printf("%d sessions were not played: %v have passed\n", leftOut, *limit)
	}
	known := 0
	for _, n := range d.known {
		known += n
	}
	fmt.Printf("%d sessions, %d requests to each side, %d differing fields are listed, %d are not, %v\n",
		d.sessions, d.steps, known, len(d.found), time.Since(start).Round(time.Second))
	if *out != "" {
		if err := d.writeJSON(*out); err != nil {
			fail(err)
		}
	}
	if len(d.found) > 0 {
		os.Exit(1)
	}
}

// allHands are all sessions by hand.
func allHands() []hand { return slices.Concat(hands, oddHands, groupHands, txnHands) }

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

// open makes a side of three brokers on ports that follow each other.
func open(what, first string) (*side, error) {
	host, port, _ := strings.Cut(first, ":")
	p, _ := strconv.Atoi(port)
	s := &side{what: what}
	for i := range 3 {
		s.addrs = append(s.addrs, fmt.Sprintf("%s:%d", host, p+i))
	}
	return s, s.greet()
}

// greet finds out whether a cluster answers and speaks what the sessions speak.
func (s *side) greet() error {
	s.fresh("")
	req := kmsg.NewPtrApiVersionsRequest()
	req.SetVersion(3)
	req.ClientSoftwareName, req.ClientSoftwareVersion = "diff", "1"
	resp, ok := quiet[*kmsg.ApiVersionsResponse](s, 1, req)
	if !ok {
		return fmt.Errorf("%s: no answer at %s", s.what, s.addrs[0])
	}
	says := map[int16][2]int16{}
	for _, k := range resp.ApiKeys {
		says[k.ApiKey] = [2]int16{k.MinVersion, k.MaxVersion}
	}
	for _, keys := range []map[int16][2]int16{spoken, groupSpoken, txnSpoken} {
		if lack := lacks(says, keys); lack != "" {
			return fmt.Errorf("%s: %s", s.what, lack)
		}
	}
	s.warmUp()
	return nil
}

// warmUp has every broker fetch a block of producer ids. Kafka answers
// COORDINATOR_LOAD_IN_PROGRESS meanwhile.
func (s *side) warmUp() {
	for broker := range s.addrs {
		eventually(func() bool {
			req := kmsg.NewPtrInitProducerIDRequest()
			req.SetVersion(4)
			resp, ok := quiet[*kmsg.InitProducerIDResponse](s, broker+1, req)
			return ok && resp.ErrorCode == 0
		})
	}
}

func (d *driver) newSession(name string, seed uint64) *session {
	d.run++
	s := &session{name: name, prefix: fmt.Sprintf("s%07d-x-", d.run), kafka: d.kafka, ours: d.ours, listed: d.listed, known: map[*difference]int{}, rng: rand.New(rand.NewPCG(seed, 7))}
	s.both(func(sd *side) { sd.fresh(s.prefix) })
	return s
}

func (d *driver) play(name string, stop bool, pin map[int16]int16, seed uint64, f func(*session)) {
	s := d.newSession(name, seed)
	s.pin, s.stop = pin, stop
	f(s)
	s.clean()
	d.sessions++
	d.steps += s.steps
	for l, n := range s.known {
		d.known[l] += n
	}
	for _, x := range s.found {
		x.before = strings.Join(s.trace[max(0, len(s.trace)-s.keepTrace()):], "; ")
		d.found = append(d.found, x)
	}
}

// playAgain plays a session again, up to three times, that finds a difference: in one of
// some hundred a timer of Kafka's coordinator is late, a read comes before the offset
// that it needs, a broker shows a configuration before it has heard of the last change, or a leader is
// chosen in the order of a hash map. What does not come each
// time is told, and not counted.
func (d *driver) playAgain(name string, seed uint64, f func(*session)) {
	before := len(d.found)
	d.play(name, true, nil, seed, f)
	for range 3 {
		if len(d.found) == before {
			return
		}
		once := d.found[before]
		d.found = d.found[:before:before]
		d.play(name, true, nil, seed, f)
		if len(d.found) == before {
			fmt.Printf("      once, and not when it was played again: %s, %s %s\n        kafka %s\n        ours  %s\n",
				name, once.step, once.path, cutTo(once.kafka, 400), cutTo(once.ours, 400))
		}
	}
}

func (d *driver) playHand(h hand, ends bool, version int, within func() bool) {
	r := common(h.key)
	for v := r[0]; v <= r[1]; v++ {
		wanted := version < 0 && (!ends || v == r[0] || v == r[1]) || int(v) == version
		if wanted && within() {
			d.play(h.name, false, map[int16]int16{h.key: v}, 1, h.play)
		}
	}
}

// record writes Kafka's answers in the highest versions.
func (d *driver) record(name string, seed uint64, play func(*session), dir string) {
	s := d.newSession(name, seed)
	s.script = &transcript{}
	play(s)
	s.clean()
	if err := s.script.write(filepath.Join(dir, name+".txt")); err != nil {
		fail(err)
	}
	fmt.Println("recorded", name)
}

// report prints each difference once, however many sessions and versions have
// it, and the listed ones that were not there if all should have been.
func (d *driver) report(all bool) {
	type group struct {
		first  finding
		n      int
		lo, hi int16
	}
	groups := map[string]*group{}
	for _, f := range d.found {
		key := strings.Join([]string{f.api, shape(f.path), f.step, shape(f.kafka), shape(f.ours)}, " | ")
		g := groups[key]
		if g == nil {
			g = &group{first: f, lo: f.version, hi: f.version}
			groups[key] = g
		}
		g.n, g.lo, g.hi = g.n+1, min(g.lo, f.version), max(g.hi, f.version)
	}
	keys := make([]string, 0, len(groups))
	for key := range groups {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		g := groups[key]
		fmt.Printf("%4d  %s v%d-%d  [%s] %s  %s\n        kafka %s\n        ours  %s\n",
			g.n, g.first.api, g.lo, g.hi, g.first.session, g.first.step, g.first.path, cutTo(g.first.kafka, 400), cutTo(g.first.ours, 400))
	}
	for _, l := range d.listed {
		if all && d.known[l] == 0 {
			fmt.Printf("      listed in line %d, but not seen: %s, %s, %s\n", l.line, l.api, l.step, l.field)
		}
	}
}

func (d *driver) writeJSON(file string) error {
	w, err := os.Create(file)
	if err != nil {
		return err
	}
	defer w.Close()
	e := json.NewEncoder(w)
	for _, f := range d.found {
		err := e.Encode(map[string]any{"session": f.session, "step": f.step, "api": f.api, "version": f.version,
			"path": f.path, "kafka": f.kafka, "ours": f.ours, "before": f.before})
		if err != nil {
			return err
		}
	}
	return nil
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
