package laws

import (
	"slices"
	"strings"
	"time"
)

// The laws that are asked here.
var (
	RevokedFirst = declare(50, OfGroup, "a member of a KIP-848 group is given a partition only once the member that had it has been told to give it up, or is gone",
		"each answer that gives a member its partitions by the consumer protocol", "ValidMemberEpoch of Vanlightly's kip-848; CurrentAssignmentBuilder")
	AllOwned = declare(59, OfGroup, "in a group that has been stable for 10 s while nothing disturbed the cluster each member owns what it was given, and no partition that the group had before is left out",
		"a member gives something up, or the group enters another state", "the liveness properties of Vanlightly's kip-848; KIP-62")
	GroupsEnd = declare(81, OfGroup, "in the end no group waits for members that have left",
		"the end of a run, when all is healed", "ClassicGroup.transitionTo; KIP-394")
)

// membersOf is what a group's members were given last, whatever the generation.
type membersOf struct {
	live  map[string]bool // the coordinator has them as members
	given map[string]given
	// ever are the partitions that a member was given at any time: an assignor leaves no
	// partition of a topic out.
	ever map[string]bool

	state string // by Kafka's names; empty: not known of this coordinator
	since time.Duration
	heard bool // some member tells what it owns
	// loaded: a coordinator has the group from the log, with members that it has not
	// told of; another may have taken them for gone, and not been able to write that.
	loaded bool
}

// given is what a member has. classic: by the classic protocol, in which a member may
// have given up more than it was told to.
type given struct {
	partitions []string
	classic    bool
}

func newMembersOf() membersOf {
	return membersOf{live: map[string]bool{}, given: map[string]given{}, ever: map[string]bool{}}
}

// settled is for how long a group must have been stable, with nothing that disturbs the
// cluster, until every member has been told what is its own: some heartbeats.
const settled = 10 * time.Second

// enter: the group is in another state.
func (m *membersOf) enter(to string, now time.Duration) {
	m.state, m.since = to, now
	if to == "Dead" {
		*m = newMembersOf()
	}
}

// leave: a member is gone, and has nothing.
func (m *membersOf) leave(member string) {
	delete(m.live, member)
	delete(m.given, member)
}

// take: a member is given partitions. By the consumer protocol, another one that had any of them
// has been told before that it has not, or is gone.
func (x *group) take(g *Coordination, member string, now given) {
	before := x.members.given[member]
	for _, p := range now.partitions {
		x.members.ever[p] = true
		if now.classic || slices.Contains(before.partitions, p) {
			continue
		}
		if other, has := x.holder(p, member); has {
			g.fail(RevokedFirst, NoNode, "%s is given %s; %s, which is a member, was given it and not told to give it up", member, p, other)
		}
	}
	now.partitions = slices.Clone(now.partitions)
	x.members.given[member] = now
	x.members.live[member] = true
	x.members.since = g.now()
}

// Reports: a member of a KIP-848 group says what it owns, in a heartbeat that its coordinator takes.
// What it was given in an answer that was lost, and does not know of, need not be taken back from it.
func (g *Coordination) Reports(by Coordinator, id, member string, partitions []string) {
	g.events++
	x := g.told(by, id)
	had := x.members.given[member]
	if had.classic {
		return
	}
	had.partitions = slices.DeleteFunc(slices.Clone(had.partitions), func(p string) bool { return !slices.Contains(partitions, p) })
	x.members.given[member] = had
}

// Away: a static member of a KIP-848 group has left for a while, and has what it keeps for its next life.
// Whether it had heard what it was to give up makes no difference.
func (g *Coordination) Away(by Coordinator, id, member string, keeps []string) {
	g.events++
	x := g.told(by, id)
	if had, has := x.members.given[member]; has {
		had.partitions = slices.Clone(keeps)
		x.members.given[member] = had
	}
}

// holder is another member that has a partition by the consumer protocol.
func (x *group) holder(partition, but string) (member string, has bool) {
	for _, m := range x.given() {
		if of := x.members.given[m]; m != but && !of.classic && slices.Contains(of.partitions, partition) {
			return m, true
		}
	}
	return "", false
}

// given are the members that were given something, in order.
func (x *group) given() (members []string) {
	for m := range x.members.given {
		members = append(members, m)
	}
	slices.Sort(members)
	return members
}

// now is the time of the event that is told; 0: there is no clock.
func (g *Coordination) now() time.Duration {
	if g.Calm == nil {
		return 0
	}
	return g.Calm.Now
}

// owned: law 59, asked before something changes in a group that has been stable for a while.
func (g *Coordination) owned(x *group) {
	m := &x.members
	if m.state != "Stable" || !m.heard || g.Calm == nil || !g.Calm.from(m.since) || !g.Calm.from(g.now()-settled) || g.now()-m.since < settled {
		return
	}
	m.since = g.now() // it is asked once
	topics, has := map[string]bool{}, map[string]bool{}
	for _, member := range x.given() {
		for _, p := range m.given[member].partitions {
			topics[topicOf(p)], has[p] = true, true
			if o := x.owners[p]; o.member != member {
				g.fail(AllOwned, NoNode, "%s has been given %s, and nothing changed for %v; %s owns it", member, p, settled, orNoMember(o.member))
			}
		}
	}
	var left []string
	for p := range m.ever {
		if topics[topicOf(p)] && !has[p] {
			left = append(left, p)
		}
	}
	slices.Sort(left)
	for _, p := range left {
		g.fail(AllOwned, NoNode, "no member has %s, though others of its topic are given to members", p)
	}
}

func orNoMember(name string) string {
	if name == "" {
		return "no member"
	}
	return name
}

// topicOf is the topic of a partition's name.
func topicOf(partition string) string {
	//text:allow the name of a partition, as its caller has it
	return partition[:max(0, strings.LastIndexByte(partition, '/'))]
}

// Quiet: all is healed and had its time. A group whose members have all left is empty,
// and waits for none of them.
func (g *Coordination) Quiet() {
	g.events++
	var ids []string
	for id := range g.groups {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		x := g.of(id)
		switch x.members.state {
		case "", "Empty", "Dead":
			continue
		}
		if len(x.members.live) == 0 && x.members.joined() && !x.members.loaded {
			g.fail(GroupsEnd, NoNode, "it is %s in the end, and all of its members have left", x.members.state)
		}
	}
}

// joined: the group has had members.
func (m *membersOf) joined() bool { return len(m.ever) > 0 }
