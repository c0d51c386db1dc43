package trial

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/checkers/laws"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/reports"
)

// The names of the watch's checks.
const (
	replicationLaws = "laws of replication"
	quorumLaws      = "laws of the quorum"
)

// errBroken ends a run in which a law broke: the violation is noted already.
var errBroken = errors.New("a law is broken")

// keeping are the laws about what was committed. They hold as long as no more
// is destroyed than the configuration promises to survive.
var keeping = []laws.Law{
	laws.WeakISR, laws.StrongISR, laws.LogMatching, laws.SamePrefix,
	laws.LeaderComplete, laws.CandidateComplete, laws.HWIsReplicated, laws.JoinCaughtUp,
	laws.UncleanExcluded, laws.KeptSomewhere, laws.ConsistentRead, laws.NoTruncation,
}

// undamaged are the laws about the content of one log, which nobody keeps whose
// disk was damaged.
var undamaged = []laws.Law{
	laws.WeakISR, laws.StrongISR, laws.LogMatching, laws.SamePrefix,
	laws.EpochsGrow, laws.ConsistentRead, laws.MarksInOrder, laws.RecoveredPrefix,
	laws.ContiguousBatches,
}

// failed is told of a law that broke, of a partition or (nil) of the quorum.
func (w *watch) failed(x *watched, f laws.Failure) {
	if w.broken {
		return
	}
	law := fmt.Sprintf("law %d: %s", f.Law.Number, f.Law.About)
	if x != nil && x.excuse != "" && slices.Contains(keeping, f.Law) {
		w.allow(law, x.excuse)
		x.resync = true
		return
	}
	if m := w.machines[kafka.NodeID(f.Node)]; m != nil && m.damaged && slices.Contains(undamaged, f.Law) {
		w.allow(law, "its disk was damaged, and the base offset and epoch of a batch are under no checksum")
		return
	}
	w.broken, w.ofQuorum = true, x == nil
	r := w.r
	r.violate(law, w.named(f.Message))
	r.violations[len(r.violations)-1].Story = w.around(f)
	r.w.Tell(&PromiseBroken{law, w.named(f.Message)})
	r.w.Fail(errBroken)
}

func (w *watch) allow(law, reason string) {
	i := slices.IndexFunc(w.allowed, func(a reports.Allowed) bool { return a.Anomaly == law && a.Reason == reason })
	if i < 0 {
		i = len(w.allowed)
		w.allowed = append(w.allowed, reports.Allowed{Anomaly: law, Reason: reason})
	}
	w.allowed[i].Count++
}

// strikes is told of a fault that is about to happen.
func (w *watch) strikes(f faults.Fault) {
	if crash, ok := f.(faults.Crash); ok {
		if hosts, loses := crash.Crashes(); loses {
			w.mayLose(hosts.Hosts())
		}
	}
	if f, ok := f.(faults.Deceiver); ok {
		w.each(f.Deceives(), damage)
	}
	if f, ok := f.(faults.Wiper); ok {
		w.each(f.Wipes(), w.wipes)
	}
	if f, ok := f.(faults.Damager); ok {
		w.each(f.Damages(), damage)
	}
}

func (w *watch) each(t faults.Target, do func(*machine)) {
	for _, name := range t.Hosts() {
		if s := w.r.c.Server(name); s != nil {
			do(w.machines[s.ID()])
		}
	}
}

func damage(m *machine) { m.damaged = true }

// darkens notes how far the logs of a machine that loses power are synced. It is
// called when the power goes, which for a torn write is later than the strike:
// between the two, a process that was just started may open its logs.
func (w *watch) darkens(m *machine) {
	for _, x := range w.partitions {
		x.lost[m.s.ID()] = true
	}
	n := m.s.Node()
	if n == nil || n.Replicas == nil || m.damaged {
		return
	}
	for _, x := range w.partitions {
		if p := n.Replicas.Partition(x.tp); p != nil {
			x.ghost.Flushed(laws.Node(m.s.ID()), int64(p.Log().RecoveryPoint()))
		}
	}
}

func (w *watch) wipes(m *machine) {
	node := laws.Node(m.s.ID())
	for _, x := range w.partitions {
		x.lost[m.s.ID()] = true
		x.ghost.Wiped(node)
	}
	w.quorum.Wiped(node)
}

// mayLose: hosts are about to lose what they have not synced. Where nobody else
// is counted to have it, the configuration promises nothing more.
//
// Only the hazards may do that. Elsewhere the nemesis keeps to the budget, and
// what the controllers wrongly forgot excuses nothing.
func (w *watch) mayLose(hosts []string) {
	if w.r.s.Lesson == "" {
		return
	}
	for _, x := range w.partitions {
		lost, kept := w.losers(x.tp, hosts)
		if kept || lost == 0 {
			continue
		}
		x.excuse = "at least min.insync.replicas replicas lost unsynced data at once"
		if x.minISR <= 1 {
			x.excuse = "min.insync.replicas=1, and the last in-sync replica lost data"
			w.befell("last-isr-lost", x)
		}
		before := w.happened["lossy-crashes"]
		w.befell("lossy-crashes", x)
		w.happened["lossy-crashes"] = max(before, lost)
	}
}

// befell counts what lets the configuration off a promise, and tells the
// history when and where it was.
func (w *watch) befell(what string, x *watched) {
	w.happened[what]++
	w.r.stage.Recorder.Note(history.Event{
		Type: history.OK, Actor: "cluster", F: history.Fault, Name: what, Time: w.r.w.Now(),
		Keys: []history.Value{history.Partition(x.tp.Topic, x.tp.Partition)},
	})
	w.r.watchHistory()
}

// note tells the history of a fault, for whoever reads it.
func (w *watch) note(text string) {
	w.r.stage.Recorder.Note(history.Event{
		Type: history.Unknown, Actor: "nemesis", F: history.Fault, Name: "injected", Text: text, Time: w.r.w.Now(),
	})
}

// report adds what the watch found to the report.
func (w *watch) report(report *reports.Run) {
	replication := reports.Check{Name: replicationLaws, Verdict: reports.Holds}
	for _, x := range w.partitions {
		replication.Checked += x.ghost.Events()
	}
	quorum := reports.Check{Name: quorumLaws, Verdict: reports.Holds, Checked: w.quorum.Events()}
	switch {
	case w.broken && w.ofQuorum:
		quorum.Verdict = reports.Violated
	case w.broken:
		replication.Verdict = reports.Violated
	}
	report.Checks = append(report.Checks, conclude(replication), conclude(quorum))
	report.Allowed = append(report.Allowed, w.allowed...)
}

var (
	nodeNumber = regexp.MustCompile(`\b(node|leader|controller|broker)( |s )(\d+)( (?:and|for) (\d+))?`)
	nodeList   = regexp.MustCompile(`\[(\d+(?: \d+)*)\]`)
)

// named is a message of the laws with the names of hosts for numbers.
func (w *watch) named(message string) string {
	message = nodeNumber.ReplaceAllStringFunc(message, func(s string) string {
		var words []string
		for _, word := range strings.Fields(s) {
			words = append(words, w.name(word))
		}
		if words[0] == "node" || words[0] == "broker" || words[0] == "nodes" || words[0] == "brokers" || words[0] == "controller" {
			words = words[1:]
		}
		return strings.Join(words, " ")
	})
	return nodeList.ReplaceAllStringFunc(message, func(s string) string {
		var words []string
		for _, word := range strings.Fields(strings.Trim(s, "[]")) {
			words = append(words, w.name(word))
		}
		return "[" + strings.Join(words, " ") + "]"
	})
}

// name is the host of the node that word numbers, else word.
func (w *watch) name(word string) string {
	id, err := strconv.Atoi(word)
	if err != nil {
		return word
	}
	if host := w.r.c.HostOf(kafka.NodeID(id)); host != "" {
		return host
	}
	return word
}

// around are the last lines of the story that concern a failure.
func (w *watch) around(f laws.Failure) (out []reports.Moment) {
	const most = 12
	host := w.r.c.HostOf(kafka.NodeID(f.Node))
	about, _, _ := strings.Cut(f.Message, ":")
	story := lines(w.r.w.Ledger())
	for i := len(story) - 1; i >= 0 && len(out) < most; i-- {
		l := story[i]
		if l.Host == "" || l.Host == host || strings.Contains(l.Text, about) {
			out = append(out, reports.Moment{At: reports.Seconds(l.At), Who: l.Host, What: l.Text})
		}
	}
	slices.Reverse(out)
	return out
}

// losers counts the replicas of a partition that have lost, or are about to
// lose with hosts, what they have not synced; 0 if hosts have none. kept: one
// of the others is counted to have all that was acknowledged.
func (w *watch) losers(tp kafka.TopicPartition, hosts []string) (lost int, kept bool) {
	im := w.r.c.Image()
	if im == nil || im.Partition(tp) == nil {
		return 0, false
	}
	p := im.Partition(tp)
	touched := false
	for _, id := range p.Replicas {
		s := w.r.c.ByID(id)
		hit := slices.Contains(hosts, s.Name())
		touched = touched || hit
		switch {
		case hit || s.HasLost(im):
			lost++
		case slices.Contains(p.ISR, id) || slices.Contains(p.ELR, id):
			kept = true
		}
	}
	if !touched {
		return 0, true
	}
	return lost, kept
}
