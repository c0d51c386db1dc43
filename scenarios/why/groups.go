package why

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/workloads"
)

// groups is what the events say of consumer groups, in their order: which member owns what, as
// the members believe, and what the coordinators do.
type groups struct {
	owned  []*owned
	told   []told // by coordinators
	shards []shard
	began  []shard          // to be loaded
	leads  map[string]shard // the last that began to lead, by partition of an internal topic
	asked  map[string]*asked
	polls  []groupPoll
	took   []tookCommit
	given  []given
	holds  []holds
	heard  []heard
	got    []received
	// of static members
	replaced []replaced
	fenced   []told
	downs    []life
	reading
	ids    map[string]string // host by id of a member
	kip848 map[string]bool   // by group
	// protocols are those by which the leaders of classic groups assign.
	protocols map[generationOf]string
}

type generationOf struct {
	group      string
	generation int32
}

type (
	// owned: a member owns a partition, as it believes.
	owned struct {
		group, partition, host, member string
		generation                     int32
		from                           moment
		to                             moment // zero: it owns it still
		ended                          string
	}
	// told: a coordinator tells of its group.
	told struct {
		moment
		host, group, member string
		kind                reports.StepKind
		text                string
		state               string // that the group is in from now on; empty: the same
		removed             bool
		anew                bool // the group is new to its coordinator
		generation          int32
	}
	// shard: a broker begins or ceases to coordinate a partition of an internal topic.
	shard struct {
		moment
		host, name string
		epoch      kafka.LeaderEpoch
		loaded     bool
		unloaded   bool
		records    int
	}
	// asked: a member looks for its coordinator again, and again.
	asked struct {
		group, host string
		broker      kafka.NodeID
		reason      string
		first, last moment
		times       int
	}
	// tookCommit: a coordinator accepted a commit, at once or with a transaction.
	tookCommit struct {
		moment
		host, group, partition, member string
		offset                         kafka.Offset
		generation                     int32
		transaction                    bool
	}
	groupPoll struct {
		moment
		client, partition string
		first, last       int64
		op                int64
	}
)

func groupsOf(events iter.Seq[*ledger.Entry], ofLaw bool) *groups {
	g := &groups{protocols: map[generationOf]string{}, leads: map[string]shard{}, asked: map[string]*asked{}, ids: map[string]string{}, kip848: map[string]bool{}}
	g.readAll(events, ofLaw, g.read)
	return g
}

func (g *groups) read(e *ledger.Entry) {
	now := g.last
	switch x := e.Event.(type) {
	case *witness.PartitionsAssigned:
		g.ids[x.Member] = e.Host
		for _, tp := range x.Added {
			g.owned = append(g.owned, &owned{group: x.Group, partition: tp.String(), host: e.Host, member: x.Member, generation: x.Generation, from: now})
		}
	case *witness.PartitionsRevoked:
		g.ends(e.Host, x.Group, x.Partitions, "gives it up")
	case *witness.PartitionsLost:
		g.ends(e.Host, x.Group, x.Partitions, "learns that it does not own it any more")
	case *sim.Killed, *sim.PoweredOff, *sim.Exited:
		g.downs = append(g.downs, life{now, e.Host, e.Event.Sentence(), true})
		for _, o := range g.owned {
			if o.host == e.Host && o.to.seq == 0 {
				o.to, o.ended = now, e.Event.Sentence()
			}
		}
	case *sim.Paused:
		g.downs = append(g.downs, life{now, e.Host, "is paused", true})
	case *witness.GroupState, *witness.MemberTimedOut, *witness.MemberLeft, *witness.MemberJoined, *witness.GenerationCompleted:
		g.readCoordinator(e)
	case *witness.ShardLoading:
		g.began = append(g.began, shard{moment: now, host: e.Host, name: x.Subject(), epoch: x.Epoch})
	case *witness.ShardLoaded:
		g.shards = append(g.shards, shard{now, e.Host, x.Subject(), x.Epoch, true, false, x.Records})
	case *witness.ShardUnloaded:
		g.shards = append(g.shards, shard{now, e.Host, x.Subject(), x.Epoch, false, true, 0})
	case *witness.BecameLeader:
		g.leads[x.Subject()] = shard{moment: now, host: e.Host, name: x.Subject(), epoch: x.Epoch}
	case *witness.OffsetCommitted:
		g.took = append(g.took, tookCommit{now, e.Host, x.Group, x.Partition.String(), x.Member, x.Offset, x.Generation, false})
	case *witness.OffsetPending:
		g.took = append(g.took, tookCommit{now, e.Host, x.Group, x.Partition.String(), x.Member, x.Offset, x.Generation, true})
	case *witness.GroupAssigned:
		g.given = append(g.given, given{now, e.Host, *x})
	case *witness.GroupHolds:
		g.holds = append(g.holds, holds{now, e.Host, *x})
	case *witness.MemberHeard:
		g.heard = append(g.heard, heard{now, e.Host, x.Group, x.Member})
	case *witness.MemberReplaced:
		g.replaced = append(g.replaced, replaced{now, e.Host, *x})
	case *witness.MemberFenced:
		g.fenced = append(g.fenced, told{moment: now, host: e.Host, group: x.Group, member: x.Member, text: cmp.Or(x.Name, x.Text)})
	case *witness.TargetReceived:
		g.got = append(g.got, received{now, e.Host, *x})
	case *witness.CoordinatorForgotten:
		g.forgotten(e.Host, x)
	case *workloads.Completed:
		for _, p := range x.Polled {
			g.polls = append(g.polls, groupPoll{now, x.Client, p.Partition.String(), p.First, p.Last, x.Index})
		}
	}
}

func (g *groups) readCoordinator(e *ledger.Entry) {
	t := told{moment: g.last, host: e.Host, kind: reports.GroupMoved, text: e.Event.Sentence()}
	switch x := e.Event.(type) {
	case *witness.GroupState:
		t.group, t.state, t.anew, t.generation = x.Group, x.To, x.From == "", x.Generation
	case *witness.MemberJoined:
		t.group, t.member, t.generation = x.Group, x.Member, x.Generation
	case *witness.MemberTimedOut:
		t.group, t.member = x.Group, x.Member
	case *witness.MemberLeft:
		t.group, t.member, t.generation = x.Group, x.Member, x.Generation
		if t.removed = x.Expelled; x.Expelled {
			t.kind = reports.Removed
		}
	case *witness.GenerationCompleted:
		t.group, t.generation = x.Group, x.Generation
		g.protocols[generationOf{x.Group, x.Generation}] = x.Protocol
	}
	if t.state == "Assigning" || t.state == "Reconciling" {
		g.kip848[t.group] = true
	}
	g.told = append(g.told, t)
}

func (g *groups) ends(host, group string, partitions witness.Partitions, how string) {
	for _, o := range g.owned {
		if o.host == host && o.group == group && o.to.seq == 0 && slices.ContainsFunc(partitions, func(tp kafka.TopicPartition) bool { return tp.String() == o.partition }) {
			o.to, o.ended = g.last, how
		}
	}
}

// forgotten counts how often a member was refused by the same broker.
func (g *groups) forgotten(host string, x *witness.CoordinatorForgotten) {
	was := g.asked[host]
	if was == nil || was.broker != x.Coordinator || was.reason != x.Reason || was.group != x.Group {
		was = &asked{group: x.Group, host: host, broker: x.Coordinator, reason: x.Reason, first: g.last}
		g.asked[host] = was
	}
	was.last = g.last
	was.times++
}

// explainGroup explains what is about no single partition's log.
func explainGroup(events iter.Seq[*ledger.Entry], v *reports.Violation) *reports.Why {
	if ofLog(v) {
		return nil
	}
	g := groupsOf(events, v.Inside)
	if v.Inside {
		return g.explainLaw()
	}
	switch v.Anomaly {
	case "":
		return g.stuck()
	case "stale-commit":
		if why := g.staleOf(v.Subject, v.Offsets); why != nil {
			return why
		}
	}
	if why := g.twoOwners(v.Subject, g.last); why != nil {
		return why
	}
	return g.twiceTheSame(v.Subject)
}

// explainLaw explains a law of groups that broke, by the event that broke it.
func (g *groups) explainLaw() *reports.Why {
	if g.broke == nil {
		return nil
	}
	switch e := g.broke.Event.(type) {
	case *witness.PartitionsAssigned:
		for _, tp := range e.Added {
			if why := g.twoOwners(tp.String(), g.last); why != nil {
				return why
			}
		}
	case *witness.GroupAssigned:
		return g.explainGiven()
	case *witness.GroupHolds:
		return g.takenForFree()
	case *witness.MemberLeft:
		if e.Unrevoked {
			return g.notGivenUp(e)
		}
	case *witness.MemberTimedOut:
		if !e.Rebalance {
			return g.removedEarly(e)
		}
	case *witness.OffsetCommitted, *witness.OffsetPending:
		if n := len(g.took); n > 0 {
			return g.staleCommit(&g.took[n-1])
		}
	}
	return nil
}

// twiceTheSame explains that a generation came twice: the group began anew, for its
// coordinator did not know of it.
func (g *groups) twiceTheSame(partition string) *reports.Why {
	for i, b := range g.owned {
		for _, a := range g.owned[:i] {
			if a.partition != partition || b.partition != partition || a.group != b.group || a.generation != b.generation || a.member == b.member {
				continue
			}
			for _, t := range g.told {
				if t.group == a.group && t.anew && a.from.before(t.moment) && t.before(b.from) {
					return g.explainAnew(a, b, t)
				}
			}
		}
	}
	return nil
}

// explainAnew is about a group that began anew between two owners of one generation.
func (g *groups) explainAnew(a, b *owned, anew told) *reports.Why {
	s := &story{g: g, partition: a.partition}
	s.add(a.from.step(a.host, reports.Assigned, onGroup, fmt.Sprintf("is assigned %s, generation %d", a.partition, a.generation)))
	if a.to.seq > 0 && a.to.before(b.from) {
		s.add(a.to.step(a.host, reports.GaveUp, onGroup, a.ended))
	}
	because := fmt.Sprintf("To %s the group was new: it did not know the generations before.", anew.host)
	for _, sh := range g.shards {
		if sh.host == anew.host && sh.loaded && a.from.before(sh.moment) && sh.before(b.from) {
			s.add(sh.step(sh.host, reports.GroupMoved, onGroup, fmt.Sprintf("coordinates %s, epoch %d, after reading %d records", sh.name, sh.epoch, sh.records)))
		}
	}
	if lead, loaded := g.loading(anew); lead.seq > 0 && !loaded {
		because += fmt.Sprintf(" It answered before it had read %s, which it leads in epoch %d.", lead.name, lead.epoch)
	}
	s.add(anew.step(anew.host, reports.Broke, onGroup, anew.text))
	s.add(b.from.step(b.host, reports.Assigned, onGroup, fmt.Sprintf("is assigned %s, generation %d once more", b.partition, b.generation)))
	what := fmt.Sprintf("%s and %s were both given %s in generation %d of group %s: the group began anew in between", a.host, b.host, a.partition, a.generation, a.group)
	why := s.conclude(reports.TwoOwnersAtOnce, a.group, what, because)
	why.Remarks = append(why.Remarks, reports.Remark{At: reports.Seconds(anew.at), Host: anew.host, Text: "the group is new here"})
	return why
}

// loading is the internal partition that a coordinator led last before a moment, and
// whether it had been read then.
func (g *groups) loading(t told) (lead shard, loaded bool) {
	for _, l := range g.began {
		if l.host == t.host && l.before(t.moment) {
			lead, loaded = l, false
		}
	}
	for _, sh := range g.shards {
		if sh.host == t.host && sh.loaded && lead.before(sh.moment) && sh.before(t.moment) {
			loaded = true
		}
	}
	return lead, loaded
}

// twoOwners explains that two members own a partition, as both believe, at a moment.
func (g *groups) twoOwners(partition string, until moment) *reports.Why {
	for _, b := range g.owned {
		if b.partition != partition || until.before(b.from) {
			continue
		}
		for _, a := range g.owned {
			if a.partition == partition && a.group == b.group && a.host != b.host && a.from.before(b.from) && (a.to.seq == 0 || b.from.before(a.to)) {
				return g.explainOwners(a, b)
			}
		}
	}
	return nil
}

// explainOwners says how b came to own what a owns.
func (g *groups) explainOwners(a, b *owned) *reports.Why {
	s := &story{g: g, partition: a.partition}
	s.add(a.from.step(a.host, reports.Assigned, onGroup, fmt.Sprintf("is assigned %s, generation %d", a.partition, a.generation)))
	s.between(a, b)
	var removed *told
	for i, t := range g.told {
		if t.removed && t.member == a.member && a.from.before(t.moment) && t.before(b.from) {
			removed = &g.told[i]
		}
	}
	s.add(b.from.step(b.host, reports.Assigned, onGroup, fmt.Sprintf("is assigned %s too, generation %d, while %s owns it", b.partition, b.generation, a.host)))
	until, lasted := "to the end of the run", ""
	if a.to.seq > 0 {
		until, lasted = "until then", " for "+reports.Lasting(a.to.at-b.from.at)
		s.add(a.to.step(a.host, reports.GaveUp, onGroup, a.ended))
	}
	for _, p := range g.polls {
		if p.client == a.host && p.partition == a.partition && b.from.before(p.moment) && (a.to.seq == 0 || p.before(a.to)) {
			s.add(p.step(a.host, reports.Read, onClient, fmt.Sprintf("still reads %s, offsets %d to %d", a.partition, p.first, p.last)).of(p.op))
			break
		}
	}
	what := fmt.Sprintf("%s and %s both owned %s of group %s%s", a.host, b.host, a.partition, a.group, lasted)
	why := s.conclude(reports.TwoOwnersAtOnce, a.group, what, g.whyTwo(a, b, removed, until))
	why.Remarks = append(why.Remarks, reports.Remark{At: reports.Seconds(b.from.at), Host: b.host, Text: "two owners"})
	return why
}

func (g *groups) whyTwo(a, b *owned, removed *told, until string) string {
	switch {
	case removed != nil:
		return fmt.Sprintf("The coordinator had removed %s, and gave its partitions away. %s did not know it %s, and went on.", a.host, a.host, until)
	case g.kip848[a.group]:
		return fmt.Sprintf("%s was a member still, and had not given %s up. With KIP-848 a coordinator gives a partition away as soon as a heartbeat of its owner no longer names it: %s said so too early, or was not asked.",
			a.host, a.partition, a.host)
	case a.generation == b.generation:
		return fmt.Sprintf("Both have it in generation %d: the assignment gave it twice, or was given in two groups of one name.", a.generation)
	}
	return fmt.Sprintf("%s was not removed, and had not given %s up when generation %d gave it to %s.", a.host, a.partition, b.generation, b.host)
}

// story is the steps of a group.
type story struct {
	g         *groups
	partition string
	steps     []step
}

func (s *story) add(x step) {
	x.Partition = s.partition
	s.steps = append(s.steps, x)
}

// between adds what the coordinator did, and what became of the first owner, before
// the second was given the partition.
func (s *story) between(a, b *owned) {
	var all []step
	for _, t := range s.g.told {
		if t.group == a.group && a.from.before(t.moment) && t.before(b.from) && (t.state != "" || t.removed) {
			all = append(all, t.step(t.host, t.kind, onGroup, t.text))
		}
	}
	for _, l := range s.g.downs {
		if l.host == a.host && a.from.before(l.moment) && l.before(b.from) {
			all = append(all, l.step(l.host, reports.Died, onGroup, l.text))
		}
	}
	for _, x := range all {
		s.add(x)
	}
}

// mostOfGroup is how many of the coordinator's steps are told.
const mostOfGroup = 5

func (s *story) conclude(kind reports.WhyKind, group, what, because string) *reports.Why {
	slices.SortStableFunc(s.steps, func(x, y step) int { return x.seq - y.seq })
	left, moves := 0, 0
	for i := len(s.steps) - 1; i >= 0; i-- { // of the coordinator's steps the last ones
		if s.steps[i].Kind != reports.GroupMoved {
			continue
		}
		if moves++; moves > mostOfGroup {
			s.steps = slices.Delete(s.steps, i, i+1)
			left++
		}
	}
	steps, more := chosenSteps(s.steps)
	return &reports.Why{Kind: kind, What: what, Because: because, Group: group, Partition: s.partition, Steps: steps, Left: left + more}
}

// stuck explains that members of a group do not get on.
func (g *groups) stuck() *reports.Why {
	for _, rule := range []func() *reports.Why{g.notCoordinated, g.notStable, g.notOwned} {
		if why := rule(); why != nil {
			return why
		}
	}
	return nil
}

// notCoordinated: members are sent away by the broker that leads their coordinator's
// partition.
func (g *groups) notCoordinated() *reports.Why {
	worst := g.mostRefused()
	if worst == nil {
		return nil
	}
	group := worst.group
	s := &story{g: g}
	var leads, loaded, unloaded shard
	for _, sh := range g.shards {
		if lead, known := g.leads[sh.name]; known && lead.host == sh.host {
			leads = lead
			if sh.loaded {
				loaded = sh
			} else {
				unloaded = sh
			}
		}
	}
	if s.partition = leads.name; leads.seq > 0 {
		s.add(leads.step(leads.host, reports.Led, onReplica, fmt.Sprintf("leads %s in epoch %d", leads.name, leads.epoch)))
	}
	if last, known := g.lastOf(group); known {
		s.add(last.step(last.host, last.kind, onGroup, last.text))
	}
	because := fmt.Sprintf("%s was refused %d times: %s.", worst.host, worst.times, worst.reason)
	gone := unloaded.seq > 0 && leads.seq > 0 && leads.before(unloaded.moment) && !unloaded.before(loaded.moment)
	if gone {
		s.add(unloaded.step(unloaded.host, reports.Broke, onReplica, fmt.Sprintf("unloads what it coordinates of %s, and still leads it", unloaded.name)))
		because = fmt.Sprintf("%s leads %s, so clients are sent to it, but has unloaded it %s after it began to lead in epoch %d. No broker coordinates the group. (An unload belongs to one epoch, and must not end a later one: KAFKA-10614.)",
			unloaded.host, unloaded.name, reports.Lasting(unloaded.at-leads.at), leads.epoch)
	}
	for _, host := range g.refusedHosts(group) {
		r := g.asked[host]
		s.add(r.first.step(r.host, reports.Answered, onClient, fmt.Sprintf("is told by broker %d: %s; %d times from now on", r.broker, r.reason, r.times)))
	}
	what := fmt.Sprintf("Group %s stands still from %s to the end of the run, %s", group, worst.first.at.Round(time.Millisecond), (g.last.at - worst.first.at).Round(time.Millisecond))
	why := s.conclude(reports.StuckGroup, group, what, because)
	if gone {
		why.Remarks = append(why.Remarks, reports.Remark{At: reports.Seconds(unloaded.at), Host: unloaded.host, Text: "leads, and coordinates nothing"})
	}
	return why
}

// refusedOften is how many refusals by one broker, one after another, are no accident.
const refusedOften = 10

// mostRefused is the member that was refused most, if it was so to the end.
func (g *groups) mostRefused() (worst *asked) {
	for _, r := range g.asked { //det:allow the greatest is the same in any order
		if r.times < refusedOften || g.last.at-r.last.at > 10*time.Second {
			continue
		}
		if worst == nil || r.times > worst.times || r.times == worst.times && r.host < worst.host {
			worst = r
		}
	}
	return worst
}

func (g *groups) refusedHosts(group string) (hosts []string) {
	for host, r := range g.asked { //det:allow sorted below
		if r.group == group && r.times >= refusedOften {
			hosts = append(hosts, host)
		}
	}
	slices.Sort(hosts)
	return hosts
}

// lastOf is the last state of a group that a coordinator told of.
func (g *groups) lastOf(group string) (last told, known bool) {
	for _, t := range g.told {
		if t.group == group && t.state != "" {
			last, known = t, true
		}
	}
	return last, known
}

// stillFor is how long a group must be in a state of change to be stuck in it.
const stillFor = 20 * time.Second

// notStable: the group is in a state of change to the end.
func (g *groups) notStable() *reports.Why {
	for _, group := range g.names() {
		last, _ := g.lastOf(group)
		if last.state == "Stable" || last.state == "Empty" || last.state == "Dead" || g.last.at-last.at < stillFor {
			continue
		}
		s := &story{g: g}
		for _, t := range g.told {
			if t.group == group {
				s.add(t.step(t.host, t.kind, onGroup, t.text))
			}
		}
		what := fmt.Sprintf("Group %s is in %s, generation %d, from %s to the end of the run", group, last.state, last.generation, last.at.Round(time.Millisecond))
		return s.conclude(reports.StuckGroup, group, what, g.waitsFor(group, last))
	}
	return nil
}

// waitsFor says which members own something that they have not given up, or nothing.
func (g *groups) waitsFor(group string, last told) string {
	var have []string
	for _, o := range g.owned {
		if o.group == group && o.to.seq == 0 && o.generation < last.generation && !slices.Contains(have, o.host) {
			have = append(have, o.host)
		}
	}
	if len(have) == 0 {
		return ""
	}
	return fmt.Sprintf("It waits for %s, which own partitions of an earlier generation.", and(have))
}

// notOwned: the group is stable, and no member owns a partition that a member had once.
func (g *groups) notOwned() *reports.Why {
	for _, group := range g.names() {
		last, _ := g.lastOf(group)
		if last.state != "Stable" {
			continue
		}
		for _, partition := range g.partitionsOf(group) {
			var latest *owned
			held := false
			for _, o := range g.owned {
				if o.group == group && o.partition == partition {
					latest = o
					held = held || o.to.seq == 0
				}
			}
			if held || g.last.at-latest.to.at < stillFor {
				continue
			}
			s := &story{g: g, partition: partition}
			s.add(latest.from.step(latest.host, reports.Assigned, onGroup, fmt.Sprintf("is assigned %s, generation %d", partition, latest.generation)))
			s.add(latest.to.step(latest.host, reports.GaveUp, onGroup, latest.ended))
			for _, t := range g.told {
				if t.group == group && latest.to.before(t.moment) {
					s.add(t.step(t.host, t.kind, onGroup, t.text))
				}
			}
			what := fmt.Sprintf("No member owns %s of group %s from %s to the end of the run, though the group is stable in generation %d", partition, group, latest.to.at.Round(time.Millisecond), last.generation)
			return s.conclude(reports.StuckGroup, group, what, fmt.Sprintf("%s %s, and no member was assigned it afterwards.", latest.host, latest.ended))
		}
	}
	return nil
}

func (g *groups) names() (names []string) {
	for _, t := range g.told {
		if !slices.Contains(names, t.group) {
			names = append(names, t.group)
		}
	}
	return names
}

func (g *groups) partitionsOf(group string) (names []string) {
	for _, o := range g.owned {
		if o.group == group && !slices.Contains(names, o.partition) {
			names = append(names, o.partition)
		}
	}
	return names
}
