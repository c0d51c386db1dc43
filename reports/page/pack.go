package page

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
)

// packed is what the page reads, as JSON, compressed with gzip. Seven tenths of the
// events are of a few kinds, so they stand in columns: JSON objects would be ten
// times as long, and a browser would read them ten times as long.
type packed struct {
	Format string
	About  string
	Report *reports.Run
	// Story is the violation that the page is about, or the example of what is allowed.
	Story *reports.Violation
	Hosts []string
	Kinds []string
	Texts []string // to which columns refer by number
	// Of each event: nanoseconds since the last, host, kind.
	T column
	H column
	K column
	// Columns of the frequent kinds, by kind and field; Rest are the others, in their
	// order: their fields, and their sentence if it is in the story.
	Columns map[string]map[string]*column
	Rest    [][]byte
	// Operations of clients.
	Operations *operations
	// Left is how many events of a kind were left out, by kind.
	Left map[string]int
	End  int64 // nanoseconds
}

// format names what the page reads, and its version.
const format = "ktrial-page/2"

// dull are the events that no lane and no sentence shows: seven tenths of a trace.
// Each says what another one says too, a moment before or after.
var dull = map[string]bool{
	"appending": true, "truncating": true, "log-restarting": true, "quorum-appending": true, "quorum-truncating": true,
	"read-served": true, "end-served": true, "follower-fetched": true, "produce-acked": true, "isr-counted": true,
	"metadata-applied": true, "quorum-appended": true, "quorum-committed": true, "quorum-flushed": true, "epochs-cached": true,
	"controller-answered": true, "broker-committed": true, "isr-expand-proposed": true, "epoch-refused": true,
	"shard-committed": true,
}

// ofQuorum are dull events that show the metadata logs, which a page draws only if its
// story is about them.
var ofQuorum = map[string]bool{"quorum-appended": true, "quorum-committed": true}

// metadata is the partition that the quorum replicates.
const metadata = "__cluster_metadata/0"

// packer packs a run.
type packer struct {
	out   packed
	hosts numbers
	kinds numbers
	texts numbers
	known map[*ledger.Kind]*kind
	ends  map[[2]int]int64 // where a log ends, by host and partition
	marks map[[2]int]int64 // high watermarks
	story *story
	last  time.Duration
	// quorum: the story is about the metadata quorum.
	quorum bool
	// thrift says how much of what is far from the story is left out.
	thrift int
	shown  map[shownLine]time.Duration // when a point of a line was packed last
}

// shownLine is a line in the picture: a log's end, or its high watermark.
type shownLine struct {
	host, partition string
	mark            bool
}

// gaps is how far apart points of a line are that are far from the story, by thrift.
var gaps = [thriftiest + 1]time.Duration{0, 0, 50 * time.Millisecond, 250 * time.Millisecond, time.Second}

// fewer reports whether a point of a line is left out.
func (k *packer) fewer(kind *kind, e *ledger.Entry) bool {
	gap := gaps[k.thrift]
	if gap == 0 || kind.fields == nil || k.story.around(e.At) {
		return false
	}
	line := shownLine{e.Host, kind.fields.text(kind.fields.of(e.Event), "partition"), kind.name == "high-watermark-moved"}
	if last, known := k.shown[line]; known && e.At-last < gap {
		return true
	}
	k.shown[line] = e.At
	return false
}

// mostBytes is how large the packed run of a page may be, before it is written as
// base64: a page is to be 5 MB at most.
const mostBytes = 3_600_000

// thriftiest is how often more may be left out, of what is far from the story: at first
// messages, then most operations, then marks and ends of logs between which a line
// looks the same. Never roles, ISR, truncations and faults.
const thriftiest = 4

// pack packs the run, as much of it as there is room for. The same run gives the same bytes.
func (p Page) pack() ([]byte, error) {
	for thrift := 0; ; thrift++ {
		packed, err := p.packWith(thrift)
		if err != nil || len(packed) <= mostBytes || thrift == thriftiest {
			return packed, err
		}
	}
}

func (p Page) packWith(thrift int) ([]byte, error) {
	main := p.Run.Main()
	k := &packer{
		thrift: thrift, shown: map[shownLine]time.Duration{},
		out: packed{
			Format: format, About: p.About, Report: p.Run, Story: main, Left: map[string]int{},
			Columns: map[string]map[string]*column{}, Operations: newOperations(),
		},
		hosts: numbers{}, kinds: numbers{}, texts: numbers{}, known: map[*ledger.Kind]*kind{},
		ends: map[[2]int]int64{}, marks: map[[2]int]int64{}, story: storyOf(main, p.Events),
		quorum: main != nil && main.Subject == metadata,
	}
	for e := range p.Events {
		if err := k.add(e); err != nil {
			return nil, fmt.Errorf("event %s at %v: %w", e.Event.Kind().Name, e.At, err)
		}
	}
	k.out.Operations.finish(k)
	if n := k.out.Operations.far; n > 0 {
		k.out.Left["operations far from the story"] = n
	}
	for _, kind := range k.known { //det:allow into a map
		if kind.left > 0 {
			k.out.Left[kind.name] = kind.left
		}
	}
	k.out.Hosts, k.out.Kinds, k.out.Texts = k.hosts.names(), k.kinds.names(), k.texts.names()
	k.out.End = int64(p.Run.VirtualSeconds * 1e9)
	return compressed(&k.out)
}

// kind is what becomes of events of a kind.
type kind struct {
	name    string
	number  int // among the kinds of the page; -1: none was met that is packed
	left    int // that were left out
	dull    bool
	message bool
	fields  *fields // nil: it is not packed in columns
}

func (k *packer) kindOf(e ledger.Event) *kind {
	of := e.Kind()
	known := k.known[of]
	if known == nil {
		known = &kind{name: of.Name, number: -1, dull: dull[of.Name] && !(k.quorum && ofQuorum[of.Name]), message: messages[of.Name]}
		if !known.message {
			known.fields = fieldsOf(e, inColumns[of.Name])
		}
		k.known[of] = known
	}
	return known
}

func (k *packer) add(e *ledger.Entry) error {
	kind := k.kindOf(e.Event)
	f := kind.fields
	switch {
	case kind.dull, kind.message && (k.thrift > 0 || !k.story.keeps(e)):
		kind.left++
		return nil
	case (kind.name == "appended" || kind.name == "high-watermark-moved") && k.fewer(kind, e):
		kind.left++
		return nil
	case f != nil && kind.name == "operation-invoked":
		k.out.Operations.invoked(k, f, e)
		return nil
	case f != nil && kind.name == "operation-completed":
		k.out.Operations.completed(k, f, e)
		return nil
	}
	if kind.number < 0 {
		kind.number = k.kinds.of(kind.name)
	}
	k.out.T.add(int64(e.At - k.last))
	k.out.H.add(int64(k.hosts.of(e.Host)))
	k.out.K.add(int64(kind.number))
	k.last = e.At
	switch {
	case f == nil:
		return k.rest(e)
	case kind.name == "appended":
		k.appended(f, e)
	case kind.name == "high-watermark-moved":
		k.moved(f, e)
	}
	return nil
}

// rest adds an event of a kind that is rare.
func (k *packer) rest(e *ledger.Entry) error {
	line, err := json.Marshal(e.Event)
	if err != nil {
		return err
	}
	line = append([]byte{'['}, line...)
	if e.Event.Kind().Weight == ledger.Notable {
		say, err := json.Marshal(e.Event.Sentence())
		if err != nil {
			return err
		}
		line = append(append(line, ','), say...)
	}
	k.out.Rest = append(k.out.Rest, append(line, ']'))
	return nil
}

// appended adds a batch. It begins where the replica's log ended, mostly, so the
// difference to that is nothing.
func (k *packer) appended(f *fields, e *ledger.Entry) {
	v := f.of(e.Event)
	partition := k.texts.of(f.text(v, "partition"))
	from, end := f.int(v, "from"), f.int(v, "end")
	replica := [2]int{k.hosts.of(e.Host), partition}
	k.column("appended", "node").add(f.int(v, "node"))
	k.column("appended", "partition").add(int64(partition))
	k.column("appended", "from").add(from - k.ends[replica])
	k.column("appended", "end").add(end - from)
	k.column("appended", "epoch").add(f.int(v, "epoch"))
	k.ends[replica] = end
}

func (k *packer) moved(f *fields, e *ledger.Entry) {
	v := f.of(e.Event)
	partition, to := k.texts.of(f.text(v, "partition")), f.int(v, "to")
	replica := [2]int{k.hosts.of(e.Host), partition}
	k.column("high-watermark-moved", "node").add(f.int(v, "node"))
	k.column("high-watermark-moved", "partition").add(int64(partition))
	k.column("high-watermark-moved", "to").add(to - k.marks[replica])
	k.marks[replica] = to
}

func (k *packer) column(kind, field string) *column {
	of := k.out.Columns[kind]
	if of == nil {
		of = map[string]*column{}
		k.out.Columns[kind] = of
	}
	if of[field] == nil {
		of[field] = &column{}
	}
	return of[field]
}

// column is a list of numbers, as JSON text that grows.
type column struct{ text []byte }

// writer writes an object as JSON. Columns and events are JSON text already: the encoder
// would read all of it once more.
type writer struct {
	out   *bufio.Writer
	err   error
	begun bool // a key was written to the object
}

func (w *writer) text(text string) {
	if _, err := w.out.WriteString(text); w.err == nil {
		w.err = err
	}
}

// key begins a value of the object.
func (w *writer) key(name string) {
	if w.begun {
		w.text(",")
	}
	w.begun = true
	w.text(`"` + name + `":`)
}

// value is a value that the encoder writes.
func (w *writer) value(name string, v any) {
	w.key(name)
	text, err := json.Marshal(v)
	if w.err == nil {
		w.err = err
	}
	w.raw(text)
}

func (w *writer) raw(text []byte) {
	if _, err := w.out.Write(text); w.err == nil {
		w.err = err
	}
}

func (w *writer) column(name string, c *column) {
	w.key(name)
	w.text("[")
	w.raw(c.text)
	w.text("]")
}

// object is a value that is an object.
func (w *writer) object(name string, write func()) {
	w.key(name)
	w.begun = false
	w.text("{")
	write()
	w.text("}")
	w.begun = true
}

func (w *writer) columns(name string, of map[string]*column) {
	w.object(name, func() {
		for _, field := range slices.Sorted(maps.Keys(of)) {
			w.column(field, of[field])
		}
	})
}

// write writes all of it.
func (p *packed) write(w *writer) {
	w.text("{")
	w.value("format", p.Format)
	w.value("about", p.About)
	w.value("report", p.Report)
	w.value("story", p.Story)
	w.value("hosts", p.Hosts)
	w.value("kinds", p.Kinds)
	w.value("texts", p.Texts)
	w.column("t", &p.T)
	w.column("h", &p.H)
	w.column("k", &p.K)
	w.object("columns", func() {
		for _, kind := range slices.Sorted(maps.Keys(p.Columns)) {
			w.columns(kind, p.Columns[kind])
		}
	})
	w.key("rest")
	w.text("[")
	for i, event := range p.Rest {
		if i > 0 {
			w.text(",")
		}
		w.raw(event)
	}
	w.text("]")
	w.object("operations", func() { p.Operations.write(w) })
	w.value("left", p.Left)
	w.value("end", p.End)
	w.text("}")
}

func (c *column) add(n int64) {
	if len(c.text) > 0 {
		c.text = append(c.text, ',')
	}
	c.text = strconv.AppendInt(c.text, n, 10)
}

func compressed(p *packed) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	w := &writer{out: bufio.NewWriterSize(z, 1<<16)}
	p.write(w)
	if w.err != nil {
		return nil, w.err
	}
	if err := w.out.Flush(); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// numbers numbers names in the order in which they are met.
type numbers map[string]int

func (n numbers) of(name string) int {
	i, known := n[name]
	if !known {
		i = len(n)
		n[name] = i
	}
	return i
}

func (n numbers) names() []string {
	out := make([]string, len(n))
	for name, i := range n { //det:allow each has its index
		out[i] = name
	}
	return out
}
