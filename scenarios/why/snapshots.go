package why

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/disk"
)

// A node that cannot start, because it cannot read its snapshot of the metadata.

type (
	// unreadable: a node could not read its newest snapshot.
	unreadable struct {
		moment
		host string
		witness.SnapshotUnreadable
	}
	// fileLoss: a loss of power, or a fault, took something from a file.
	fileLoss struct {
		moment
		host, path, text string
		byFault          bool
	}
	// cutOff: a host is cut off from now on, to the end.
	cutOff struct {
		moment
		host string
	}
)

// readDisk reads what becomes of files, and which controllers act.
func (q *quorum) readDisk(e *ledger.Entry) {
	switch x := e.Event.(type) {
	case *witness.SnapshotUnreadable:
		q.unread = append(q.unread, unreadable{q.last, e.Host, *x})
	case *sim.PowerLoss:
		q.losses = append(q.losses, fileLoss{q.last, e.Host, x.Path, x.Lost, false})
	case *disk.Damaged:
		q.losses = append(q.losses, fileLoss{q.last, e.Host, x.Path, x.Why, true})
	case *witness.ControllerActive:
		q.active = append(q.active, quorumEvent{moment: q.last, host: e.Host, node: x.Node, epoch: x.Epoch})
	case *witness.ControllerResigned:
		q.resigned = append(q.resigned, quorumEvent{moment: q.last, host: e.Host, node: x.Node, epoch: x.Epoch})
	case interface{ LeftOut() []string }: // of a trial, which imports this package
		for _, host := range x.LeftOut() {
			q.leftOut = append(q.leftOut, cutOff{q.last, host})
		}
	}
}

// triedAgain is how long ago a node that cannot start has tried it last, at most.
const triedAgain = 10 * time.Second

// explainUnstarted explains that something does not come to its end, where a node cannot start.
func explainUnstarted(events iter.Seq[*ledger.Entry], v *reports.Violation) *reports.Why {
	if v.Inside || v.Anomaly != "" || v.Subject != "" || len(v.Ops) > 0 {
		return nil
	}
	q := quorumOf(events)
	if len(q.unread) == 0 {
		return nil
	}
	last := &q.unread[len(q.unread)-1]
	voters := q.voters()
	votes := slices.Contains(voters, last.host)
	if q.last.at-last.at > triedAgain || q.foldsAfter(last) || votes && q.acts() {
		return nil
	}
	c := &council{quorum: q}
	first, times := q.firstTry(last)
	because := c.whyUnreadable(first)
	c.add(first.moment, first.host, reports.Broke, "cannot read its snapshot up to %d, and ends: %s", first.End, first.Text)
	if times > 1 {
		c.add(last.moment, last.host, reports.Died, "cannot read it, the last of %d times, and ends", times)
	}
	what := fmt.Sprintf("%s does not start any more from %s to the end of the run: it cannot read its snapshot of %s up to %d", first.host, reports.Seconds(first.at), kafka.MetadataPartition, first.End)
	if votes {
		what += ". No controller is active"
		because += c.noMajority(voters, first)
	}
	return c.conclude(reports.Unstartable, what, because)
}

// firstTry is when a node could not read a snapshot for the first time, and how often it tried.
func (q *quorum) firstTry(last *unreadable) (first *unreadable, times int) {
	for i := range q.unread {
		if u := &q.unread[i]; u.host == last.host && u.Path == last.Path {
			if times++; first == nil {
				first = u
			}
		}
	}
	return first, times
}

// foldsAfter reports whether a node has applied metadata after it could not read its snapshot.
func (q *quorum) foldsAfter(u *unreadable) bool {
	return slices.ContainsFunc(q.images, func(x image) bool { return x.host == u.host && u.before(x.moment) })
}

// voters are the hosts that have voted, or were elected.
func (q *quorum) voters() (hosts []string) {
	for _, list := range [][]quorumEvent{q.votes, q.elected} {
		for _, v := range list {
			if !slices.Contains(hosts, v.host) {
				hosts = append(hosts, v.host)
			}
		}
	}
	slices.Sort(hosts)
	return hosts
}

// acts reports whether a controller is active at the end.
func (q *quorum) acts() bool {
	for _, a := range q.active {
		over := slices.ContainsFunc(q.resigned, func(r quorumEvent) bool { return r.host == a.host && r.epoch == a.epoch && a.before(r.moment) }) ||
			slices.ContainsFunc(q.lives, func(l life) bool { return l.host == a.host && !l.down && a.before(l.moment) })
		if !over {
			return true
		}
	}
	return false
}

// whyUnreadable says what became of a snapshot, from when it was written to when it could not be read.
func (c *council) whyUnreadable(u *unreadable) string {
	var written *image
	for i := range c.images {
		if x := &c.images[i]; x.host == u.host && x.end == u.End && x.from != byApplying && x.before(u.moment) {
			written = x
		}
	}
	since := moment{}
	if written != nil {
		since = written.moment
		c.add(written.moment, written.host, reports.Appended, "has a snapshot of the metadata up to %d, under its name, %s", u.End, u.Path)
	}
	because := ""
	for _, l := range c.losses {
		if l.host != u.host || l.path != u.Path || !since.before(l.moment) || !l.before(u.moment) {
			continue
		}
		if l.byFault {
			c.add(l.moment, l.host, reports.Struck, "has %s damaged by a fault: %s", l.path, l.text)
			return fmt.Sprintf("A fault had damaged the file at %s: %s.", reports.Seconds(l.at), l.text)
		}
		c.add(l.moment, l.host, reports.Lost, "loses power, and has lost of %s: %s", l.path, l.text)
		c.remark(l.moment, l.host, "snapshot not synced")
		because = fmt.Sprintf("The snapshot had its name, and the loss of power at %s took from it what was not synced. A snapshot must be synced before it gets its name: a node that starts begins with the newest that it finds (KAFKA-15312, KIP-630).", reports.Seconds(l.at))
		if written == nil {
			because = fmt.Sprintf("The loss of power at %s took from the file what was not synced.", reports.Seconds(l.at))
		}
	}
	return because
}

// noMajority says which voters are missing, if the rest is no majority.
func (c *council) noMajority(voters []string, down *unreadable) string {
	var cut []string
	for _, l := range c.leftOut {
		if l.host != down.host && slices.Contains(voters, l.host) {
			cut = append(cut, l.host)
			c.add(l.moment, l.host, reports.Struck, "is cut off from now on")
		}
	}
	for i := range c.resigned {
		if r := &c.resigned[i]; i == len(c.resigned)-1 && down.before(r.moment) {
			c.add(r.moment, r.host, reports.Replaced, "is no longer the active controller, epoch %d", r.epoch)
		}
	}
	if left := len(voters) - 1 - len(cut); 2*left > len(voters) {
		return ""
	}
	if len(cut) == 0 {
		return fmt.Sprintf(" Of the voters %s, those without it are no majority, and cannot elect a controller.", and(voters))
	}
	return fmt.Sprintf(" Of the voters %s, %s is down and %s cut off: the others are no majority, and cannot elect a controller.", and(voters), down.host, and(cut))
}
