package why

import (
	"fmt"
	"iter"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/sim"
)

// quorum is what the events say of the metadata quorum, in their order.
type quorum struct {
	votes     []quorumEvent // epoch and candidate
	elected   []quorumEvent // epoch; end of the log
	follows   []quorumEvent // epoch and leader
	opened    []quorumEvent // epoch; end of the log; was: where it had ended
	appended  []quorumEvent // epoch; end
	flushed   []quorumEvent // end
	committed []quorumEvent // epoch; high watermark
	truncated []quorumEvent // epoch; end; was
	images    []image
	unread    []unreadable
	losses    []fileLoss
	active    []quorumEvent // a controller begins to act
	resigned  []quorumEvent // it acts no more
	leftOut   []cutOff
	lives     []life
	hosts     map[kafka.NodeID]string
	ends      map[kafka.NodeID]kafka.Offset
	reading
}

// quorumEvent: something became of a member.
type quorumEvent struct {
	moment
	host     string
	node     kafka.NodeID
	epoch    kafka.LeaderEpoch
	other    kafka.NodeID   // candidate or leader
	end, was kafka.Offset   // of the log; end: or the high watermark
	votes    []kafka.NodeID // of an election
}

func quorumOf(events iter.Seq[*ledger.Entry]) *quorum {
	q := &quorum{hosts: map[kafka.NodeID]string{}, ends: map[kafka.NodeID]kafka.Offset{}}
	q.readAll(events, true, q.read)
	return q
}

func (q *quorum) read(e *ledger.Entry) {
	switch e.Event.(type) {
	case *sim.Started:
		q.lives = append(q.lives, life{q.last, e.Host, "starts", false})
		return
	case *sim.Killed, *sim.PoweredOff, *sim.Exited, *sim.Paused:
		q.lives = append(q.lives, life{q.last, e.Host, e.Event.Sentence(), true})
		return
	}
	q.readImage(e)
	q.readDisk(e)
	r, ok := e.Event.(interface{ Of() *witness.Replica })
	if !ok || r.Of() == nil || r.Of().Subject() != kafka.MetadataPartition.String() {
		return
	}
	node := r.Of().Node
	q.hosts[node] = e.Host
	x := quorumEvent{moment: q.last, host: e.Host, node: node, was: q.ends[node]}
	switch e := e.Event.(type) {
	case *witness.QuorumVoted:
		x.epoch, x.other = e.Epoch, e.Candidate
		q.votes = append(q.votes, x)
	case *witness.QuorumElected:
		x.epoch, x.end, x.votes = e.Epoch, e.End, slices.Clone(e.Votes)
		q.elected = append(q.elected, x)
	case *witness.QuorumFollows:
		x.epoch, x.other = e.Epoch, e.Leader
		q.follows = append(q.follows, x)
	case *witness.QuorumOpened:
		x.epoch, x.end = e.Epoch, e.End
		q.opened = append(q.opened, x)
		q.ends[node] = e.End
	case *witness.QuorumAppended:
		x.epoch, x.end = e.Batch.Epoch, e.End
		q.appended = append(q.appended, x)
		q.ends[node] = e.End
	case *witness.QuorumFlushed:
		x.end = e.End
		q.flushed = append(q.flushed, x)
	case *witness.QuorumCommitted:
		x.epoch, x.end = e.Epoch, e.HW
		q.committed = append(q.committed, x)
	case *witness.QuorumTruncated:
		x.epoch, x.end = e.Epoch, e.To
		q.truncated = append(q.truncated, x)
		q.ends[node] = e.To
	}
}

// explainQuorum explains a law of the metadata quorum that broke, by the event that broke it.
func explainQuorum(events iter.Seq[*ledger.Entry], v *reports.Violation) *reports.Why {
	if !v.Inside || v.Subject != kafka.MetadataPartition.String() {
		return nil
	}
	q := quorumOf(events)
	if q.broke == nil {
		return nil
	}
	switch q.broke.Event.(type) {
	case *witness.QuorumElected:
		if why := q.twoLeaders(lastOfAll(q.elected)); why != nil {
			return why
		}
		return q.ledWithout(lastOfAll(q.elected))
	case *witness.QuorumVoted:
		return q.votedTwice(lastOfAll(q.votes))
	case *witness.QuorumOpened:
		if why := q.forgot(lastOfAll(q.opened)); why != nil {
			return why
		}
		return q.cameBackShorter(lastOfAll(q.opened))
	case *witness.QuorumCommitted:
		return q.committedUnsynced(lastOfAll(q.committed))
	case *witness.QuorumTruncated:
		return q.cutCommitted(lastOfAll(q.truncated))
	case *witness.QuorumFollows:
		return q.twoFollowed(lastOfAll(q.follows))
	case *witness.Applied, *witness.SnapshotWritten, *witness.SnapshotLoaded:
		return q.explainImage()
	}
	return nil
}

func lastOfAll(list []quorumEvent) *quorumEvent {
	if len(list) == 0 {
		return nil
	}
	return &list[len(list)-1]
}

// council is the steps of a story about the quorum.
type council struct {
	*quorum
	steps   []step
	remarks []reports.Remark
}

func (c *council) add(m moment, host string, kind reports.StepKind, format string, args ...any) {
	c.steps = append(c.steps, m.step(host, kind, onReplica, fmt.Sprintf(format, args...)))
}

func (c *council) remark(m moment, host, format string, args ...any) {
	c.remarks = append(c.remarks, reports.Remark{At: reports.Seconds(m.at), Host: host, Text: fmt.Sprintf(format, args...)})
}

func (c *council) conclude(kind reports.WhyKind, what, because string) *reports.Why {
	steps, left := chosenSteps(c.steps)
	return &reports.Why{Kind: kind, What: what, Because: because, Partition: kafka.MetadataPartition.String(), Steps: steps, Left: left, Remarks: c.remarks}
}

// lived adds the ends and beginnings of a host's processes between two moments.
func (c *council) lived(host string, since, until moment) (died bool) {
	for _, l := range c.lives {
		if l.host == host && since.before(l.moment) && l.before(until) {
			c.add(l.moment, host, reports.Died, "%s", l.text)
			died = died || l.down
		}
	}
	for _, o := range c.opened {
		if o.host == host && since.before(o.moment) && o.before(until) {
			c.add(o.moment, host, reports.Led, "opens its quorum log again: it ends at %d, epoch %d", o.end, o.epoch)
		}
	}
	return died
}

func (c *council) election(x *quorumEvent) {
	for _, v := range c.votes {
		if v.epoch == x.epoch && v.other == x.node && v.before(x.moment) {
			c.add(v.moment, v.host, reports.Voted, "votes for %s in epoch %d", c.name(x.node), v.epoch)
		}
	}
	c.add(x.moment, x.host, reports.Elected, "leads the quorum in epoch %d; its log ends at %d", x.epoch, x.end)
}

func (q *quorum) name(node kafka.NodeID) string {
	if host, known := q.hosts[node]; known {
		return host
	}
	return fmt.Sprintf("node %d", node)
}

// twoLeaders: an epoch had a leader already.
func (q *quorum) twoLeaders(x *quorumEvent) *reports.Why {
	var first *quorumEvent
	for i := range q.elected {
		if e := &q.elected[i]; e.epoch == x.epoch && e.before(x.moment) {
			first = e
			break
		}
	}
	if first == nil {
		return nil
	}
	c := &council{quorum: q}
	c.election(first)
	if first.node == x.node {
		c.lived(x.host, first.moment, x.moment)
		c.add(x.moment, x.host, reports.Broke, "leads the quorum in epoch %d once more; its log ends at %d", x.epoch, x.end)
		c.remark(x.moment, x.host, "no vote was asked for")
		return c.conclude(reports.TwoLeaders, fmt.Sprintf("%s began to lead %s in epoch %d twice: its process that led before is gone", x.host, kafka.MetadataPartition, x.epoch),
			fmt.Sprintf("%s had led epoch %d, was restarted, and took that epoch up again without an election. What it had not synced is lost with the process, so it may write other records in an epoch that others know already: a voter must come back as resigned, and ask for votes in a new epoch (KAFKA-10527).", x.host, x.epoch))
	}
	c.election(x)
	what := fmt.Sprintf("%s and %s were both elected leader of %s in epoch %d", first.host, x.host, kafka.MetadataPartition, x.epoch)
	for _, v := range q.votes {
		for _, w := range q.votes {
			if v.epoch == x.epoch && w.epoch == x.epoch && v.node == w.node && v.other != w.other && v.before(w.moment) {
				return c.conclude(reports.TwoLeaders, what, c.voteForgotten(v, w))
			}
		}
	}
	return c.conclude(reports.TwoLeaders, what, "")
}

// voteForgotten says that a voter voted for two candidates.
func (c *council) voteForgotten(v, w quorumEvent) string {
	c.add(v.moment, v.host, reports.Voted, "votes for %s in epoch %d", c.name(v.other), v.epoch)
	text := fmt.Sprintf("%s voted for %s and for %s in epoch %d.", v.host, c.name(v.other), c.name(w.other), v.epoch)
	c.remark(w.moment, w.host, "voted for %s before", c.name(v.other))
	if c.lived(v.host, v.moment, w.moment) {
		return text + " Its process died in between, and the vote was not on its disk: a vote must be durable before it is given (KIP-595)."
	}
	return text + " A voter votes once in an epoch (Raft 5.2)."
}

// votedTwice: a voter gave its vote of an epoch to another candidate before.
func (q *quorum) votedTwice(w *quorumEvent) *reports.Why {
	for _, v := range q.votes {
		if v.node != w.node || v.epoch != w.epoch || v.other == w.other || !v.before(w.moment) {
			continue
		}
		c := &council{quorum: q}
		c.add(w.moment, w.host, reports.Broke, "votes for %s in epoch %d", q.name(w.other), w.epoch)
		what := fmt.Sprintf("%s voted twice in epoch %d of %s: both candidates can be elected", w.host, w.epoch, kafka.MetadataPartition)
		return c.conclude(reports.TwoLeaders, what, c.voteForgotten(v, *w))
	}
	return nil
}

// forgot: a member came back in an epoch before the one in which it was.
func (q *quorum) forgot(o *quorumEvent) *reports.Why {
	var vote, in *quorumEvent
	for i := range q.votes {
		if v := &q.votes[i]; v.node == o.node && v.epoch > o.epoch && v.before(o.moment) {
			vote = v
		}
	}
	for _, list := range [][]quorumEvent{q.follows, q.elected} {
		for i := range list {
			if f := &list[i]; f.node == o.node && f.epoch > o.epoch && f.before(o.moment) && (in == nil || in.before(f.moment)) {
				in = f
			}
		}
	}
	if vote == nil && in == nil {
		return nil
	}
	c := &council{quorum: q}
	epoch := kafka.LeaderEpoch(0)
	if in != nil {
		epoch = in.epoch
		c.add(in.moment, in.host, reports.Followed, "is in epoch %d", in.epoch)
	}
	because := fmt.Sprintf("The epoch of %s was not on its disk. It may take part once more in an election of an epoch that is decided.", o.host)
	since := o.moment
	if vote != nil {
		epoch, since = max(epoch, vote.epoch), vote.moment
		c.add(vote.moment, vote.host, reports.Voted, "votes for %s in epoch %d", q.name(vote.other), vote.epoch)
		because = fmt.Sprintf("%s voted for %s in epoch %d, and does not know it any more: its vote was not on its disk. It can vote for another candidate of the same epoch, and an epoch with two leaders loses what one of them commits. A vote must be durable before it is given (KIP-595).",
			o.host, q.name(vote.other), vote.epoch)
	} else if in != nil {
		since = in.moment
	}
	for i := range q.elected {
		if e := &q.elected[i]; e.epoch == epoch && e.before(o.moment) {
			c.add(e.moment, e.host, reports.Elected, "leads the quorum in epoch %d", e.epoch)
		}
	}
	c.lived(o.host, since, o.moment)
	c.add(o.moment, o.host, reports.Broke, "opens its quorum log again, in epoch %d", o.epoch)
	c.remark(o.moment, o.host, "epoch %d; it was in %d", o.epoch, epoch)
	return c.conclude(reports.TwoLeaders, fmt.Sprintf("%s came back in epoch %d of %s; it had been in epoch %d", o.host, o.epoch, kafka.MetadataPartition, epoch), because)
}

// highest is the highest high watermark before a moment, and which member knew it.
func (q *quorum) highest(until moment) (found *quorumEvent) {
	for i := range q.committed {
		if h := &q.committed[i]; h.before(until) && (found == nil || h.end > found.end) {
			found = h
		}
	}
	return found
}

// cameBackShorter: a voter opened its log without what it had said is durable.
func (q *quorum) cameBackShorter(o *quorumEvent) *reports.Why {
	var synced *quorumEvent
	for i := range q.flushed {
		if f := &q.flushed[i]; f.node == o.node && f.end > o.end && f.before(o.moment) {
			synced = f
		}
	}
	c := &council{quorum: q}
	h := q.highest(o.moment)
	if synced == nil && (h == nil || h.end <= o.end) {
		return nil
	}
	since := o.moment
	because := ""
	if h != nil && h.end > o.end {
		c.add(h.moment, h.host, reports.Committed, "commits the metadata up to %d, epoch %d", h.end, h.epoch)
		since = h.moment
		because = fmt.Sprintf("%s counted as one of the majority that has everything up to %d. It had not synced it: with one more loss of power no voter has what was committed.", o.host, h.end)
	}
	if synced != nil {
		c.add(synced.moment, synced.host, reports.Acknowledged, "says that its log is durable up to %d", synced.end)
		because = fmt.Sprintf("%s had said that its log is durable up to %d, and it ends at %d now: what it acknowledged was not synced (KAFKA-10533).", o.host, synced.end, o.end)
		if synced.before(since) {
			since = synced.moment
		}
	}
	c.lived(o.host, since, o.moment)
	c.add(o.moment, o.host, reports.Lost, "opens its quorum log again: it ends at %d, it had ended at %d", o.end, o.was)
	c.remark(o.moment, o.host, "ends at %d; it had %d", o.end, o.was)
	return c.conclude(reports.MetadataLost, fmt.Sprintf("%s came back with %s up to %d; it had ended at %d", o.host, kafka.MetadataPartition, o.end, o.was), because)
}

// syncedBy are the members that said that their logs are durable up to an offset, before a moment.
func (q *quorum) syncedBy(end kafka.Offset, until moment) (nodes []kafka.NodeID) {
	for _, f := range q.flushed {
		if f.end >= end && f.before(until) && !slices.Contains(nodes, f.node) {
			nodes = append(nodes, f.node)
		}
	}
	return nodes
}

// committedUnsynced: a leader committed what a majority of the voters has not synced, or
// what is of an epoch before.
func (q *quorum) committedUnsynced(h *quorumEvent) *reports.Why {
	c := &council{quorum: q}
	var have []kafka.NodeID
	own := kafka.LeaderEpoch(-1)
	for _, a := range q.appended {
		if a.end < h.end || !a.before(h.moment) || slices.Contains(have, a.node) {
			continue
		}
		have = append(have, a.node)
		text := "fetches it and appends it, up to %d, epoch %d"
		if a.node == h.node {
			text, own = "appends metadata up to %d, epoch %d", a.epoch
		}
		c.add(a.moment, a.host, reports.Appended, text, a.end, a.epoch)
	}
	synced := q.syncedBy(h.end, h.moment)
	for _, f := range q.flushed {
		if f.end >= h.end && f.before(h.moment) {
			c.add(f.moment, f.host, reports.Committed, "has synced its log up to %d", f.end)
		}
	}
	c.add(h.moment, h.host, reports.Broke, "commits up to %d, as leader in epoch %d", h.end, h.epoch)
	c.remark(h.moment, h.host, "synced by %d", len(synced))
	what := fmt.Sprintf("%s committed %s up to %d, which %s have appended and %s synced", h.host, kafka.MetadataPartition, h.end, q.names(have), q.names(synced))
	if own >= 0 && own < h.epoch {
		return c.conclude(reports.MetadataLost, what, fmt.Sprintf("What it committed is of epoch %d. A leader commits records of earlier epochs only together with one of its own (Raft 5.4.2).", own))
	}
	if len(synced) > len(have)/2 && len(synced) > 1 {
		return c.conclude(reports.MetadataLost, what, "")
	}
	return c.conclude(reports.MetadataLost, what, "A voter counts for the high watermark when its log is on its disk, not when it is in the page cache: if the power goes where it is not, what was committed is gone, and a voter without it can be elected (KAFKA-13884, KIP-595).")
}

func (q *quorum) names(nodes []kafka.NodeID) string {
	var out []string
	for _, n := range nodes {
		out = append(out, q.name(n))
	}
	slices.Sort(out)
	return and(out)
}

// ledWithout: a leader lacks what was committed.
func (q *quorum) ledWithout(x *quorumEvent) *reports.Why {
	h := q.highest(x.moment)
	if h == nil || h.end <= x.end {
		return nil
	}
	c := &council{quorum: q}
	c.add(h.moment, h.host, reports.Committed, "commits the metadata up to %d, epoch %d", h.end, h.epoch)
	c.lived(x.host, moment{}, x.moment)
	c.election(x)
	c.remark(x.moment, x.host, "log ends at %d; %d is committed", x.end, h.end)
	what := fmt.Sprintf("%s leads %s in epoch %d with a log that ends at %d; metadata up to %d was committed", x.host, kafka.MetadataPartition, x.epoch, x.end, h.end)
	var voters []kafka.NodeID
	for _, v := range q.votes {
		if v.epoch == x.epoch && v.other == x.node && v.node != x.node && q.ends[v.node] >= h.end {
			voters = append(voters, v.node)
		}
	}
	if len(voters) > 0 {
		return c.conclude(reports.MetadataLost, what, fmt.Sprintf("%s voted for it and had more: a vote goes only to a candidate whose log is no shorter (Raft 5.4.1).", q.names(voters)))
	}
	return c.conclude(reports.MetadataLost, what, "None of the voters that elected it had what was committed: a majority has lost it.")
}

// cutCommitted: a member cut off what was committed.
func (q *quorum) cutCommitted(x *quorumEvent) *reports.Why {
	h := q.highest(x.moment)
	if h == nil || h.end <= x.end {
		return nil
	}
	c := &council{quorum: q}
	c.add(h.moment, h.host, reports.Committed, "commits the metadata up to %d, epoch %d", h.end, h.epoch)
	for i := range q.elected {
		if e := &q.elected[i]; h.before(e.moment) && e.before(x.moment) {
			c.add(e.moment, e.host, reports.Elected, "leads the quorum in epoch %d; its log ends at %d", e.epoch, e.end)
		}
	}
	c.add(x.moment, x.host, reports.Cut, "truncates its quorum log from %d to %d", x.was, x.end)
	c.remark(x.moment, x.host, "%d is committed", h.end)
	because := ""
	if e := lastOfAll(q.elected); e != nil && e.end < h.end {
		because = fmt.Sprintf("It follows %s, which leads epoch %d with a log that ended at %d, without what was committed.", e.host, e.epoch, e.end)
	}
	return c.conclude(reports.MetadataLost, fmt.Sprintf("%s cut %s back from %d to %d; metadata up to %d was committed", x.host, kafka.MetadataPartition, x.was, x.end, h.end), because)
}

// twoFollowed: a member follows another leader of an epoch than the one that was elected.
func (q *quorum) twoFollowed(f *quorumEvent) *reports.Why {
	for i := range q.elected {
		e := &q.elected[i]
		if e.epoch != f.epoch || e.node == f.other {
			continue
		}
		c := &council{quorum: q}
		c.election(e)
		c.add(f.moment, f.host, reports.Broke, "follows %s in epoch %d", q.name(f.other), f.epoch)
		c.remark(f.moment, f.host, "%s leads epoch %d", e.host, e.epoch)
		return c.conclude(reports.TwoLeaders, fmt.Sprintf("%s follows %s in epoch %d of %s, of which %s is the leader", f.host, q.name(f.other), f.epoch, kafka.MetadataPartition, e.host), "")
	}
	return nil
}
