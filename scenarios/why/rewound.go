package why

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/reports"
)

// Offsets of a group that go back, so that what was processed is processed once more; and
// commits that should have been refused.

// rewind is a read, or a commit, that lies behind what the group had committed.
type rewind struct {
	tale
	before, again *txnOp
	to            int64 // the offset that the group is back at
	own           *pendingOffset
	late          *pendingOffset // the commit that put it back; nil: none did
}

// explainRewind explains that a group reads or commits once more what it had committed.
func explainRewind(t *transactions, v *reports.Violation) *reports.Why {
	r := &rewind{tale: tale{transactions: t, partition: v.Subject}}
	for _, op := range t.ops {
		if op.to.seq == 0 || !op.isOf(v) {
			continue
		}
		if r.before == nil {
			r.before = op
		}
		r.again = op
	}
	if r.again == nil || r.before == nil {
		return nil
	}
	if r.group = t.groupOf(r.again.client, v.Subject); r.group == "" || !r.goesBack(v.Anomaly == "commit-order") {
		return nil
	}
	r.owned()
	r.add(r.staged(r.own))
	if r.late != nil {
		r.add(r.staged(r.late))
	}
	r.rereads()
	because := ""
	for _, rule := range []func() string{r.neverMarked, r.withoutGroup, r.ofOldGeneration, r.toldNone, r.forgotten} {
		if because = rule(); because != "" {
			break
		}
	}
	kind := reports.Rewound
	what := fmt.Sprintf("Group %s had committed offset %d of %s, and went back to %d: %s is processed once more", r.group, r.own.offset, r.partition, r.to, spanOf(r.to, int64(r.own.offset)-1))
	if len(r.again.sends) > 0 {
		kind = reports.OutputTwice
		what += fmt.Sprintf(", by %s, whose output is there twice", r.again.client)
	}
	return r.conclude(kind, what, because)
}

// spanOf names offsets.
func spanOf(first, last int64) string {
	if last <= first {
		return fmt.Sprintf("offset %d", first)
	}
	return fmt.Sprintf("what lies from offset %d to %d", first, last)
}

// groupOf is the group in which a client owned a partition.
func (t *transactions) groupOf(client, partition string) string {
	for _, o := range t.owners {
		if o.host == client && o.partition == partition {
			return o.group
		}
	}
	return ""
}

// goesBack finds to which offset the group went back, with a commit or a read, and the
// last commit before that was above it.
func (r *rewind) goesBack(byCommit bool) bool {
	r.to = -1
	for _, p := range r.again.polls {
		if !byCommit && p.partition == r.partition && (r.to < 0 || p.first < r.to) {
			r.to = p.first
		}
	}
	for _, c := range r.again.commits {
		if c.partition == r.partition && r.to < 0 {
			r.to = c.first
		}
	}
	if r.to < 0 {
		return false
	}
	until := r.again.from
	if byCommit {
		until = r.again.to
	}
	for _, list := range [][]pendingOffset{r.pending, r.decided} {
		for i := range list {
			c := &list[i]
			if c.group != r.group || c.partition != r.partition || int64(c.offset) <= r.to || !c.before(until) || !c.plain && (c.decided || !r.commits(c)) {
				continue
			}
			if r.own == nil || r.own.before(c.moment) {
				r.own = c
			}
		}
	}
	for i := range r.pending {
		c := &r.pending[i]
		if r.own != nil && c.group == r.group && c.partition == r.partition && r.own.before(c.moment) && c.before(r.again.to) && c.offset < r.own.offset && r.commits(c) {
			r.late = c
		}
	}
	return r.own != nil
}

// commits reports whether the transaction that a pending offset belongs to was decided to
// commit.
func (r *rewind) commits(c *pendingOffset) bool {
	m := r.endOf(c)
	return m != nil && m.To == "PrepareCommit"
}

// endOf is the decision of the transaction that a pending offset belongs to; nil: none.
func (t *transactions) endOf(c *pendingOffset) *txnMove {
	if c.plain {
		return nil
	}
	return t.moveAfter(t.idOf(c.producer), c.moment, func(m *txnMove) bool { return m.ends() && m.ProducerID == c.producer })
}

// owned adds which members got the partition and gave it up, as far as it is near.
func (r *rewind) owned() {
	last := map[string]int{} // what each client was told last before the commit
	for i, o := range r.owners {
		if o.partition == r.partition && o.group == r.group && o.before(r.own.moment) {
			last[o.host] = i
		}
	}
	for i, o := range r.owners {
		if o.partition != r.partition || o.group != r.group || r.again.to.before(o.moment) || o.before(r.own.moment) && last[o.host] != i {
			continue
		}
		kind, text := reports.Assigned, fmt.Sprintf("is assigned %s, generation %d", o.partition, o.generation)
		if !o.owns {
			kind, text = reports.GaveUp, fmt.Sprintf("no longer owns %s", o.partition)
		}
		r.add(o.step(o.host, kind, onGroup, text).in(o.partition))
	}
	for _, l := range r.lives {
		if l.host == r.again.client && r.again.from.before(l.moment) && l.before(r.again.to) {
			r.add(l.step(l.host, reports.Died, onGroup, l.text))
		}
	}
}

// staged is a commit that a coordinator took, as a step.
func (r *rewind) staged(c *pendingOffset) step {
	if c.plain {
		return c.step(c.host, reports.Staged, onGroup, fmt.Sprintf("takes the commit of %s up to offset %d%s", c.partition, c.offset, ofGeneration(c.generation))).in(c.partition)
	}
	r.id = cmp.Or(r.id, r.idOf(c.producer))
	return c.step(c.host, reports.Staged, onGroup, fmt.Sprintf("takes, for the transaction of %s, the commit of %s up to offset %d%s", r.idOf(c.producer), c.partition, c.offset, ofGeneration(c.generation))).in(c.partition)
}

func ofGeneration(generation int32) string {
	if generation < 0 {
		return ", of no generation"
	}
	return fmt.Sprintf(", generation %d", generation)
}

// rereads adds what is read, or committed, once more.
func (r *rewind) rereads() {
	if m := r.endOf(r.own); m != nil {
		r.add(r.moved(m))
	}
	for _, p := range r.again.polls {
		if p.partition == r.partition {
			r.add(r.again.to.step(r.again.client, reports.Read, onClient, fmt.Sprintf("has been given %s from offset %d on", p.partition, p.first)).of(r.again.done))
			return
		}
	}
	r.add(r.again.to.step(r.again.client, reports.Broke, onClient, fmt.Sprintf("has committed %s up to offset %d", r.partition, r.to)).of(r.again.done))
}

// neverMarked: the transaction was complete before its marker was in the group's log.
func (r *rewind) neverMarked() string {
	m := r.endOf(r.own)
	if m == nil {
		return ""
	}
	for _, tp := range m.Partitions {
		if tp.Topic != kafka.OffsetsTopic || r.markerOf(tp.String(), m.ProducerID, m.Epoch, r.again.to) != nil {
			continue
		}
		complete := r.moveAfter(r.id, m.moment, func(n *txnMove) bool { return n.To == "CompleteCommit" && n.Epoch == m.Epoch })
		if complete == nil {
			return fmt.Sprintf("The transaction of %s was decided to commit, and its marker is not in %v yet: the offset counts only with it, and a coordinator must answer UNSTABLE_OFFSET_COMMIT meanwhile (KIP-447).", r.id, tp)
		}
		r.add(r.moved(complete))
		r.remark(complete.moment, complete.host, "no marker in %v", tp)
		return fmt.Sprintf("The transaction of %s was complete without a marker in %v: the answer to its marker came before the group coordinator had appended it (KAFKA-17507). Without the marker the offset never counted.", r.id, tp)
	}
	return ""
}

// withoutGroup: the commit that put the group back named no generation.
func (r *rewind) withoutGroup() string {
	c := r.late
	if c == nil || c.generation >= 0 {
		return ""
	}
	r.remark(c.moment, c.host, "of no generation")
	return fmt.Sprintf("%s sent its offsets without the group's metadata: a commit of no generation, which the coordinator cannot tell from that of a member. With consumer.groupMetadata() that of a member which was replaced is refused (KIP-447).",
		r.again.client)
}

// ofOldGeneration: the commit that put the group back was of a generation that was over.
func (r *rewind) ofOldGeneration() string {
	c := r.late
	if c == nil || c.generation >= r.own.generation {
		return ""
	}
	r.remark(c.moment, c.host, "generation %d after %d", c.generation, r.own.generation)
	return fmt.Sprintf("The commit of %s was of generation %d, and one of generation %d had been taken before: it must be refused with ILLEGAL_GENERATION (KIP-447, KAFKA-9365).", r.again.client, c.generation, r.own.generation)
}

// toldNone: the member was told that the group had committed nothing.
func (r *rewind) toldNone() string {
	for _, x := range slices.Backward(r.resets) {
		if x.host != r.again.client || x.partition != r.partition || r.again.to.before(x.moment) || x.before(r.own.moment) {
			continue
		}
		r.add(x.step(x.host, reports.Broke, onGroup, fmt.Sprintf("is told of no committed offset of %s, and begins by auto.offset.reset=%s", x.partition, x.policy)).in(x.partition))
		if because := r.offsetRemoved(x.moment); because != "" {
			return because
		}
		r.remark(x.moment, x.host, "no committed offset")
		return fmt.Sprintf("%s asked for the committed offset of %s and was told that there is none, though %d had been committed at %s.", x.host, x.partition, r.own.offset, reports.Seconds(r.own.at))
	}
	return ""
}

// offsetRemoved: a coordinator removed the committed offset before a moment.
func (r *rewind) offsetRemoved(until moment) string {
	var x *removedOffset
	for i := range r.removed {
		if e := &r.removed[i]; e.group == r.group && e.partition == r.partition && r.own.before(e.moment) && e.before(until) {
			x = e
		}
	}
	if x == nil || r.topicGone(x.moment) {
		return ""
	}
	in, owner := r.stateAt(x.moment), r.ownerAt(x.moment)
	kept := owner != nil && in != nil && in.state != "Empty" && in.state != "Dead"
	kind := reports.GroupMoved
	if kept {
		kind = reports.Broke
		r.remark(x.moment, x.host, "%s owns it", owner.host)
	}
	r.add(x.step(x.host, kind, onGroup, fmt.Sprintf("removes the committed offset of %s of group %s", x.partition, x.group)).in(x.partition))
	because := fmt.Sprintf("%s had removed the offset %d, which was committed %s before.", x.host, r.own.offset, reports.Lasting(x.at-r.own.at))
	for _, c := range r.clocks {
		if c.host == x.host && r.own.before(c.moment) && c.before(x.moment) {
			r.add(c.step(c.host, reports.Struck, onFault, c.text))
			because = fmt.Sprintf("%s had removed the offset %d. It was committed %s before, and the clock of %s had been moved in between.", x.host, r.own.offset, reports.Lasting(x.at-r.own.at), x.host)
		}
	}
	switch {
	case kept:
		because += fmt.Sprintf(" The group was %s in generation %d, and its member %s owned %s: an offset does not expire, however old its commit looks, while the group has members that are subscribed to its topic (KIP-211, KAFKA-4682, KAFKA-13636).",
			in.state, in.generation, owner.host, x.partition)
	case in != nil && in.state == "Empty":
		because += " The group was Empty then, and what it has committed is kept for offsets.retention.minutes only (KIP-211)."
	}
	return because
}

// topicGone reports whether the topic had been deleted before a moment: that removes its offsets, too.
func (r *rewind) topicGone(until moment) bool {
	return slices.ContainsFunc(r.deleted, func(d topicDeleted) bool {
		tp, err := kafka.ParseTopicPartition(r.partition)
		return err == nil && d.topic == tp.Topic && d.before(until)
	})
}

// stateAt is the state of the group before a moment, as its coordinators tell; nil: they told of none.
func (r *rewind) stateAt(until moment) (in *groupIn) {
	for i := range r.states {
		if s := &r.states[i]; s.group == r.group && s.before(until) {
			in = s
		}
	}
	return in
}

// ownerAt is the member that owned the partition before a moment; nil: none did.
func (r *rewind) ownerAt(until moment) (owner *ownership) {
	for i := range r.owners {
		if o := &r.owners[i]; o.group == r.group && o.partition == r.partition && o.before(until) {
			owner = o
		}
	}
	if owner == nil || !owner.owns {
		return nil
	}
	return owner
}

// forgotten: the commit counted, and the member began below it.
func (r *rewind) forgotten() string {
	for _, d := range r.decided {
		if d.group == r.group && d.partition == r.partition && d.offset == r.own.offset && d.commit && !d.kept && d.before(r.again.from) {
			return fmt.Sprintf("%s had the offset %d as committed at %s, and %s began at %d all the same.", d.host, d.offset, reports.Seconds(d.at), r.again.client, r.to)
		}
	}
	return ""
}

// explainForgottenCommit explains that a coordinator tells of an older committed offset than
// the one that it, or the one before it, had taken.
func explainForgottenCommit(t *transactions, v *reports.Violation) *reports.Why {
	var asked *txnOp
	told := int64(-1)
	for _, op := range t.ops {
		if !op.isOf(v) {
			continue
		}
		for _, m := range op.told {
			if m.partition == v.Subject {
				asked, told = op, m.first
			}
		}
	}
	if asked == nil {
		return nil
	}
	var own *pendingOffset
	for i := range t.decided {
		if c := &t.decided[i]; c.partition == v.Subject && c.commit && !c.kept && int64(c.offset) > told && c.before(asked.from) {
			own = c
		}
	}
	if own == nil {
		return nil
	}
	r := &rewind{tale: tale{transactions: t, partition: v.Subject, group: own.group}, again: asked, own: own, to: told}
	r.add(own.step(own.host, reports.Staged, onGroup, fmt.Sprintf("takes the commit of %s up to offset %d%s", own.partition, own.offset, ofGeneration(own.generation))).in(own.partition))
	because := r.offsetRemoved(asked.to)
	if because == "" {
		because = r.loadedTooLate()
	}
	tells := "none"
	if told >= 0 {
		tells = fmt.Sprintf("offset %d", told)
	}
	r.add(asked.to.step(asked.client, reports.Read, onClient, fmt.Sprintf("is told that %s of %s is committed", tells, v.Subject)).of(asked.done))
	what := fmt.Sprintf("Group %s had committed offset %d of %s, and %s later its coordinator tells of %s", own.group, own.offset, v.Subject, reports.Lasting(asked.to.at-own.at), tells)
	return r.conclude(reports.Rewound, what, because)
}

// loadedTooLate: the coordinator answered before it had read its log, or what it read did
// not have the commit.
func (r *rewind) loadedTooLate() string {
	var began, loaded *shardStep
	for i := range r.offsets {
		x := &r.offsets[i]
		switch {
		case !x.before(r.again.to):
		case x.loading:
			began, loaded = x, nil
		case began != nil && x.host == began.host:
			loaded = x
		}
	}
	if began == nil || began.before(r.own.moment) {
		return ""
	}
	r.add(began.step(began.host, reports.Led, onGroup, fmt.Sprintf("begins to load %s, epoch %d", began.name, began.epoch)))
	if loaded == nil {
		r.remark(began.moment, began.host, "has not read its log yet")
		return fmt.Sprintf("%s had begun to load %s, epoch %d, %s before, and answered from what it had read by then. A coordinator must answer COORDINATOR_LOAD_IN_PROGRESS until it has read its log to the end.",
			began.host, began.name, began.epoch, reports.Lasting(r.again.to.at-began.at))
	}
	r.add(loaded.step(loaded.host, reports.Led, onGroup, fmt.Sprintf("coordinates %s, epoch %d, after reading %d records", loaded.name, loaded.epoch, loaded.records)))
	r.remark(loaded.moment, loaded.host, "without the commit")
	return fmt.Sprintf("%s took over %s from its log after %s had taken the commit, and the commit was not in it: it was answered when it was appended, and not yet committed (KAFKA-2017).", loaded.host, loaded.name, r.own.host)
}

// staleOf explains a commit of a generation that was over: generations are the present one
// and that of the commit.
func (g *groups) staleOf(partition string, generations []int64) *reports.Why {
	if len(generations) < 2 {
		return nil
	}
	for i := range g.took {
		c := &g.took[i]
		if c.partition == partition && int64(c.generation) == generations[1] && g.generationAt(c.group, c.moment) > c.generation {
			return g.staleCommit(c)
		}
	}
	return nil
}

// generationAt is the generation of a group at a moment, as its coordinators tell.
func (g *groups) generationAt(group string, at moment) (generation int32) {
	for _, t := range g.told {
		if t.group == group && t.before(at) && t.state != "" {
			generation = t.generation
		}
	}
	return generation
}

// staleCommit explains that a coordinator took a commit of a generation that was over.
func (g *groups) staleCommit(c *tookCommit) *reports.Why {
	for i := range g.replaced {
		if x := &g.replaced[i]; x.Group == c.group && x.MemberReplaced.Member == c.member && x.before(c.moment) {
			return g.replacedCommit(c, x)
		}
	}
	s := &story{g: g, partition: c.partition}
	var since moment
	for _, o := range g.owned {
		if o.partition != c.partition || o.group != c.group || !o.from.before(c.moment) || o.generation < c.generation {
			continue
		}
		if since.seq == 0 {
			since = o.from
		}
		s.add(o.from.step(o.host, reports.Assigned, onGroup, fmt.Sprintf("is assigned %s, generation %d", o.partition, o.generation)))
	}
	var removed *told
	for i, t := range g.told {
		if t.group != c.group || !since.before(t.moment) || !t.before(c.moment) || t.state == "" && !t.removed {
			continue
		}
		s.add(t.step(t.host, t.kind, onGroup, t.text))
		if t.removed && t.member == c.member {
			removed = &g.told[i]
		}
	}
	host := cmp.Or(g.ids[c.member], "a client")
	for _, l := range g.downs {
		if l.host == host && since.before(l.moment) && l.before(c.moment) {
			s.add(l.step(l.host, reports.Died, onGroup, l.text))
		}
	}
	present := g.generationAt(c.group, c.moment)
	with := ""
	if c.transaction {
		with = ", in a transaction"
	}
	s.add(c.step(c.host, reports.Broke, onGroup, fmt.Sprintf("takes the commit of %s up to offset %d, generation %d, from %s%s", c.partition, c.offset, c.generation, host, with)))
	what := fmt.Sprintf("Group %s took a commit of %s of generation %d from %s, when generation %d had begun", c.group, c.partition, c.generation, host, present)
	because := "A commit of a generation that is over must be refused with ILLEGAL_GENERATION"
	if removed != nil {
		because = fmt.Sprintf("%s had been removed from the group %s before. Its commit must be refused with UNKNOWN_MEMBER_ID or ILLEGAL_GENERATION", host, reports.Lasting(c.at-removed.at))
	}
	if c.transaction {
		because += ", in a transaction too (KIP-447, KAFKA-9365)"
	}
	why := s.conclude(reports.StaleCommit, c.group, what, because+": another member may have gone on from the offset that it sets.")
	why.Remarks = append(why.Remarks, reports.Remark{At: reports.Seconds(c.at), Host: c.host, Text: fmt.Sprintf("generation %d; present: %d", c.generation, present)})
	return why
}
