// Package why explains how a broken promise came about, from the events of the
// ledger and from nothing else: a run that was kept can be explained again from its
// trace.
//
// It finds the record, or the group, that a violation is about, and follows it
// through the cluster: sent, appended by its leader, fetched by the followers,
// committed, acknowledged, read, truncated or lost, with the decisions between. The
// cause is that of the first rule that fits; if none does, none is given: it never
// guesses.
//
// The files: account.go reads the events of a partition, way.go follows a record;
// lost.go, duplicate.go, order.go, early.go, contradicted.go and producers.go hold the rules of its log.
// transactions.go and tale.go do so for transactions, with rules in aborted.go, torn.go
// and endings.go. The rules of groups are in groups.go, assigned.go, holds.go, static.go and rewound.go, those
// of the quorum in quorum.go, images.go and snapshots.go, of compacted topics in compacted.go.
package why

import (
	"iter"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
)

// Explain says how a violation came about. events are all of the run; they
// may be valid only until the next (ledger.Passing). Nil: there is no rule for what it is
// about, or the events do not show it.
func Explain(events iter.Seq[*ledger.Entry], v *reports.Violation) *reports.Why {
	if v.Subject == kafka.MetadataPartition.String() {
		return explainQuorum(events, v)
	}
	var without *reports.Why // a cause
	for _, explain := range []func(iter.Seq[*ledger.Entry], *reports.Violation) *reports.Why{explainUnstarted, explainTable, explainLog, explainGroup, explainTransaction} {
		switch why := explain(events, v); {
		case why == nil:
		case why.Because != "":
			return why
		case without == nil:
			without = why
		}
	}
	return without
}

// ofLog reports whether a violation is about one partition's log.
func ofLog(v *reports.Violation) bool {
	_, err := kafka.ParseTopicPartition(v.Subject)
	return err == nil && !ofOwners[v.Anomaly]
}

// explainLog explains what is about one partition's log.
func explainLog(events iter.Seq[*ledger.Entry], v *reports.Violation) *reports.Why {
	if !ofLog(v) {
		return nil
	}
	a := accountOf(events, v.Subject, v.Inside)
	switch {
	case v.Producer != nil:
		return a.explainProducer(kafka.ProducerID(*v.Producer), v.Host)
	case v.Inside:
		return a.explainLaw()
	}
	return a.explainAnomaly(v)
}

// explainTransaction explains what is about transactions.
func explainTransaction(events iter.Seq[*ledger.Entry], v *reports.Violation) *reports.Why {
	t := transactionsOf(events, v.Inside)
	switch {
	case v.Inside && t.broke != nil:
		return t.explainLaw(v)
	case v.Inside:
		return nil
	}
	switch v.Anomaly {
	case "G1a", "aborted-read", "precommitted-read":
		return explainAborted(t, v)
	case "lost-write", "torn-transaction", "unseen":
		if why := explainTorn(t, v); why != nil {
			return why
		}
		return explainHanging(t, v.Subject)
	case "stuck-LSO":
		return explainHanging(t, v.Subject)
	case "nonmonotonic-poll", "int-nonmonotonic-poll", "group-rewind", "duplicate-processing", "processed-twice", "commit-order":
		return explainRewind(t, v)
	case "producer-epoch":
		return explainUsedUp(t, v)
	case "committed-offset":
		return explainForgottenCommit(t, v)
	case "": // something did not come to its end
		if why := explainHanging(t, ""); why != nil {
			return why
		}
		return explainUnfinished(t)
	}
	return nil
}

// explainLaw explains a law of transactions that broke, by the event that broke it.
func (t *transactions) explainLaw(v *reports.Violation) *reports.Why {
	switch e := t.broke.Event.(type) {
	case *witness.TxnState:
		return t.explainState(e)
	case *witness.MarkerWritten:
		return t.explainMarker(e)
	case *witness.ReadServed:
		if e.Committed {
			return t.explainUnstableRead(e, v.Subject)
		}
	}
	return nil
}

// ofOwners are the anomalies of a partition that are about its owners in a group.
var ofOwners = map[string]bool{"two-owners": true, "owned-twice": true, "zombie-owner": true, "stale-commit": true}

// explainAnomaly explains what clients saw.
func (a *account) explainAnomaly(v *reports.Violation) *reports.Why {
	switch v.Anomaly {
	case "lost-write", "unseen", "inconsistent-offsets", "nonmonotonic-end", "poll-skip", "int-poll-skip":
		return a.explainLost(v)
	case "duplicate":
		return a.explainDuplicate(v)
	case "nonmonotonic-send":
		return a.explainOrder(v)
	}
	return nil
}

// explainLaw explains a law that broke inside, by the event that broke it.
func (a *account) explainLaw() *reports.Why {
	if a.broke == nil {
		return nil
	}
	switch e := a.broke.Event.(type) {
	case *witness.Truncated:
		return a.lostBy(e.Node, e.To, e.From)
	case *witness.Restarted:
		return a.lostBy(e.Node, e.At, a.endBefore(e.Node, a.last))
	case *witness.Opened:
		return a.lostBy(e.Node, e.End, a.endBefore(e.Node, a.last))
	case *witness.BecameLeader:
		return a.lostBy(e.Node, e.End, a.committedBelow())
	case *witness.FollowerFetched:
		return a.explainDivergence(e)
	case *witness.HighWatermarkMoved:
		return a.explainHighWatermark(e.Node, e.To)
	case *witness.ReadServed:
		return a.explainRead(e)
	case *witness.EndServed:
		return a.explainEnd(e)
	case *witness.ExpandProposed:
		return a.explainJoin(e.Joins)
	case *witness.MaximalISR:
		return a.explainCounted(e)
	case *witness.PartitionCommitted:
		return a.explainCommitted(e)
	case *witness.BrokerCommitted:
		return a.explainJoin(e.Broker)
	}
	return nil
}

// moment is when something happened: its time, and its number among all events.
type moment struct {
	at  time.Duration
	seq int
}

func (m moment) before(other moment) bool { return m.seq < other.seq }

// reading is a position in the events, and the event that broke a law where it ends.
type reading struct {
	last  moment
	broke *ledger.Entry // nil: none is known
}

// readAll has every event read, or, ofLaw, those up to the one that broke a law.
func (r *reading) readAll(events iter.Seq[*ledger.Entry], ofLaw bool, read func(*ledger.Entry)) {
	var before ledger.Entry // the memory of an entry may be used for the next
	for e := range events {
		if ofLaw && e.Event.Kind().Name == promiseBroken && before.Event != nil {
			r.broke = &before
			return
		}
		r.last = moment{e.At, r.last.seq + 1}
		read(e)
		before = *e
	}
}

// step makes a step of a moment.
func (m moment) step(host string, kind reports.StepKind, lane, text string) step {
	return step{m, reports.Step{At: reports.Seconds(m.at), Host: host, Kind: kind, Lane: lane, Text: text}}
}

// step is a step of a way with its number in the order of events.
type step struct {
	moment
	reports.Step
}

// on says at which offset of the log the step is.
func (s step) on(offset kafka.Offset) step {
	at := int64(offset)
	s.Offset = &at
	return s
}

// of names the event of the history that the step is.
func (s step) of(op int64) step {
	s.Op = &op
	return s
}

// The lanes of a picture.
const (
	onReplica     = "replica"
	onClient      = "client"
	onControllers = "controllers"
	onGroup       = "group"
	onTransaction = "transaction"
	onFault       = "fault"
)
