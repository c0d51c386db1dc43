// Package laws watches a cluster from inside: it is fed what replicas,
// controllers and voters do, event by event, keeps its own account of the
// truth, and says at which event a law first broke.
//
// It knows no broker: its caller translates what happens into the calls of
// Replication (one partition), Quorum (the metadata log) and Coordination (groups). A call
// costs a few nanoseconds per record and replica and allocates nothing but
// what the logs grow by.
//
// Laws have numbers, which reports name: see All, the catalogue, and
// docs/laws.md, which is made from it.
package laws

import "fmt"

// Node numbers a broker, controller or voter.
type Node int32

// NoNode: there is no leader, or no node in particular.
const NoNode Node = -1

// Epoch is a leader epoch.
type Epoch int32

// Failure is a law that broke.
type Failure struct {
	Law     Law
	Event   int64 // which call it was, from 1
	Node    Node  // NoNode: none in particular
	Subject string
	Message string // without the subject
	// Producer is the id of the producer that it is about; nil: of none in particular.
	Producer *int64
}

// Text is the message with its subject.
func (f Failure) Text() string { return f.Subject + ": " + f.Message }

func (f Failure) String() string {
	return fmt.Sprintf("law %d (%s) at event %d: %s", f.Law.Number, f.Law.About, f.Event, f.Text())
}

// tally is what both ghosts share: a count of events and the failures.
type tally struct {
	// Report, if set, is told of each failure at once.
	Report func(Failure)
	// Failures are the first hundred.
	Failures []Failure
	// Broken counts all.
	Broken  int
	subject string
	name    func(Node) string
	events  int64
}

// Events is how many were seen.
func (t *tally) Events() int64 { return t.events }

// First is the first failure, if there is one.
func (t *tally) First() (Failure, bool) {
	if len(t.Failures) == 0 {
		return Failure{}, false
	}
	return t.Failures[0], true
}

// Fail reports a law that was found broken from outside, by what cannot be told
// as an event. Arguments are formatted as by fmt.Sprintf, nodes by their names.
func (t *tally) Fail(law Law, node Node, format string, args ...any) {
	t.events++
	t.fail(law, node, format, args...)
}

func (t *tally) fail(law Law, node Node, format string, args ...any) {
	t.failOf(nil, law, node, format, args...)
}

// failOf is fail of what is about one producer.
func (t *tally) failOf(producer *int64, law Law, node Node, format string, args ...any) {
	t.Broken++
	if len(t.Failures) >= 100 && t.Report == nil {
		return
	}
	for i := range args {
		switch n := args[i].(type) {
		case Node:
			args[i] = t.nameOf(n)
		case []Node:
			names := make([]string, len(n))
			for j := range n {
				names[j] = t.nameOf(n[j])
			}
			args[i] = names
		}
	}
	f := Failure{law, t.events, node, t.subject, fmt.Sprintf(format, args...), producer}
	if len(t.Failures) < 100 {
		t.Failures = append(t.Failures, f)
	}
	if t.Report != nil {
		t.Report(f)
	}
}

// nameOf is how messages name a node.
func (t *tally) nameOf(n Node) string {
	switch {
	case n == NoNode:
		return "no node"
	case t.name == nil:
		return fmt.Sprintf("node %d", n)
	}
	return t.name(n)
}

// entry is one record of a ghost log. A zero digest is a hole: an offset that
// a batch spans but compaction emptied, or one that the ghost never saw.
type entry struct {
	digest uint64
	epoch  Epoch
}

// ghostLog is what a replica's log holds, by offset. It outlives the process.
type ghostLog struct {
	base    int64 // offset of entries[0]
	entries []entry
}

func (l *ghostLog) end() int64 { return l.base + int64(len(l.entries)) }

func (l *ghostLog) at(offset int64) entry {
	if offset < l.base || offset >= l.end() {
		return entry{}
	}
	return l.entries[offset-l.base]
}

// lastEpoch is the epoch of the record below offset; -1 if there is none.
func (l *ghostLog) lastEpoch(offset int64) Epoch {
	if offset > l.end() {
		offset = l.end()
	}
	if offset <= l.base {
		return -1
	}
	return l.entries[offset-1-l.base].epoch
}

func (l *ghostLog) truncate(to int64) {
	switch {
	case to >= l.end():
	case to <= l.base:
		l.entries, l.base = l.entries[:0], to
	default:
		l.entries = l.entries[:to-l.base]
	}
}

func (l *ghostLog) restart(at int64) { l.entries, l.base = l.entries[:0], at }

// append adds a batch that spans [first, end). Where it skips offsets it
// leaves holes; an empty log begins where the batch does.
func (l *ghostLog) append(first, end int64, epoch Epoch, hash uint64) {
	if len(l.entries) == 0 {
		l.base = first
	}
	for o := l.end(); o < first; o++ {
		l.entries = append(l.entries, entry{epoch: epoch})
	}
	for o := first; o < end; o++ {
		l.entries = append(l.entries, entry{digest(hash, o), epoch})
	}
}

// blank makes holes of what lies from from up to to: it is not known any more what
// the bytes there are.
func (l *ghostLog) blank(from, to int64) {
	for o := max(from, l.base); o < min(to, l.end()); o++ {
		l.entries[o-l.base].digest = 0
	}
}

// commits says how much was committed in which epoch, in order of time.
type commits []commit

type commit struct {
	epoch Epoch
	end   int64
}

func (c *commits) add(epoch Epoch, end int64) {
	if n := len(*c); n > 0 && (*c)[n-1].epoch == epoch {
		(*c)[n-1].end = end
		return
	}
	*c = append(*c, commit{epoch, end})
}

// before is the end of what was committed in epochs before this one. A node that acts
// in an epoch, perhaps late, answers for that, and not for what was committed
// in later ones.
func (c commits) before(epoch Epoch) (end int64) {
	for _, x := range c {
		if x.epoch < epoch {
			end = max(end, x.end)
		}
	}
	return end
}

// cut: what is not below end is no longer the truth.
func (c commits) cut(end int64) {
	for i := range c {
		c[i].end = min(c[i].end, end)
	}
}

// digest distinguishes the records of a batch by their offsets.
func digest(hash uint64, offset int64) uint64 {
	h := (hash ^ uint64(offset)*0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9
	if h ^= h >> 31; h == 0 {
		return 1
	}
	return h
}

// differ: both are known, and they are not the same record.
func differ(a, b entry) bool {
	return a.digest != 0 && b.digest != 0 && (a.digest != b.digest || a.epoch != b.epoch)
}

func holds(nodes []Node, n Node) bool {
	for _, m := range nodes {
		if m == n {
			return true
		}
	}
	return false
}

// set copies nodes into dst, which keeps its memory.
func set(dst *[]Node, nodes []Node) { *dst = append((*dst)[:0], nodes...) }
