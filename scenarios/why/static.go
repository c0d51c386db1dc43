package why

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/reports"
)

// replaced: another process has become a static member, as a coordinator tells.
type replaced struct {
	moment
	host string
	witness.MemberReplaced
}

// replacedCommit explains that a coordinator took the commit of a process that had been replaced as a static
// member (KIP-345).
func (g *groups) replacedCommit(c *tookCommit, x *replaced) *reports.Why {
	s := &story{g: g, partition: c.partition}
	old, successor := cmp.Or(g.ids[x.Member], "a client"), cmp.Or(g.ids[x.By], "another client")
	for _, o := range g.owned {
		if o.group == c.group && o.partition == c.partition && o.from.before(c.moment) && (o.member == x.Member || o.member == x.By) {
			s.add(o.from.step(o.host, reports.Assigned, onGroup, fmt.Sprintf("is assigned %s, generation %d", o.partition, o.generation)))
		}
	}
	for _, l := range g.downs {
		if l.host == old && l.before(c.moment) {
			s.add(l.step(l.host, reports.Died, onGroup, l.text))
		}
	}
	s.add(x.step(x.host, reports.Removed, onGroup, fmt.Sprintf("has %s in place of %s as the static member %s of group %s", successor, old, x.Instance, c.group)))
	because := s.whyReplaced(c, x, old, successor)
	with := ""
	if c.transaction {
		with = ", in a transaction"
	}
	s.add(c.step(c.host, reports.Broke, onGroup, fmt.Sprintf("takes the commit of %s up to offset %d, generation %d, from %s%s", c.partition, c.offset, c.generation, old, with)))
	what := fmt.Sprintf("Group %s took a commit of %s from %s, %s after %s had replaced it as the static member %s", c.group, c.partition, old, reports.Lasting(c.at-x.at), successor, x.Instance)
	why := s.conclude(reports.ReplacedCommit, c.group, what, because)
	why.Remarks = append(why.Remarks, reports.Remark{At: reports.Seconds(c.at), Host: c.host, Text: "replaced by " + successor})
	return why
}

// whyReplaced says whether the coordinator knew of the successor.
func (s *story) whyReplaced(c *tookCommit, x *replaced, old, successor string) string {
	g := s.g
	const fence = "A request that names the group.instance.id with another member id must be refused with FENCED_INSTANCE_ID"
	since := x.moment
	from := fmt.Sprintf("%s had put %s in its place itself", c.host, successor)
	if l := g.takeover(c.group, c.host, x.moment, c.moment); l != nil {
		since = l.moment
		from = fmt.Sprintf("%s took %s over from its log", c.host, l.name)
		s.add(l.step(l.host, reports.Led, onGroup, fmt.Sprintf("coordinates %s, epoch %d, after reading %d records", l.name, l.epoch, l.records)))
	} else if c.host != x.host {
		return ""
	}
	for _, k := range slices.Backward(g.took) {
		if k.group == c.group && k.member == x.By && k.host == c.host && since.before(k.moment) && k.before(c.moment) {
			s.add(k.step(k.host, reports.Staged, onGroup, fmt.Sprintf("takes the commit of %s up to offset %d, generation %d, from %s", k.partition, k.offset, k.generation, successor)))
			return fmt.Sprintf("%s, and knew %s as the member: it had taken a commit of it %s before. %s (KIP-345, KAFKA-8225).", from, successor, reports.Lasting(c.at-k.at), fence)
		}
	}
	for _, h := range slices.Backward(g.heard) { // whose heartbeat it was is not known: it counted as the successor's
		if h.group == c.group && h.member == x.By && h.host == c.host && since.before(h.moment) && h.before(c.moment) {
			s.add(h.step(h.host, reports.GroupMoved, onGroup, fmt.Sprintf("takes a heartbeat for that of member %s, which %s is", x.By, successor)))
			return fmt.Sprintf("%s, and knew %s as the member: it had taken a heartbeat for its %s before. %s (KIP-345, KAFKA-8225).", from, successor, reports.Lasting(c.at-h.at), fence)
		}
	}
	for i := range g.fenced {
		if f := &g.fenced[i]; f.group == c.group && f.member == x.By && f.host == c.host && since.before(f.moment) && f.before(c.moment) {
			s.add(f.step(f.host, reports.Fenced, onGroup, fmt.Sprintf("refuses %s, as member %s: %s", successor, x.By, f.text)))
			if since == x.moment {
				return ""
			}
			return fmt.Sprintf("%s, and the log did not say that %s had taken the place of %s: it refused %s, and took %s for the member. The new member id must be in the log before its process is answered, for another coordinator knows nothing else (KIP-345, KAFKA-10284).",
				from, successor, old, successor, old)
		}
	}
	return ""
}

// takeover is the last time that a broker began to coordinate a group between two moments; nil: it did not.
func (g *groups) takeover(group, host string, since, until moment) (found *shard) {
	name := g.shardOf(group)
	for i := range g.shards {
		if l := &g.shards[i]; l.loaded && l.name == name && l.host == host && since.before(l.moment) && l.before(until) {
			found = l
		}
	}
	return found
}

// shardOf is the partition of __consumer_offsets that a group belongs to. Each has been loaded by the time that there
// are groups.
func (g *groups) shardOf(group string) string {
	partitions := int32(0)
	for _, l := range g.shards {
		if tp, err := kafka.ParseTopicPartition(l.name); err == nil && tp.Topic == kafka.OffsetsTopic {
			partitions = max(partitions, tp.Partition+1)
		}
	}
	if partitions == 0 {
		return ""
	}
	return kafka.TopicPartition{Topic: kafka.OffsetsTopic, Partition: kafka.CoordinatorPartition(group, partitions)}.String()
}
