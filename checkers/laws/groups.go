package laws

import (
	"maps"
	"slices"
	"time"
)

// The laws that are asked here.
var (
	OneAssignment = declare(45, OfGroup, "in a generation a partition is given to one member, and a member of a classic group is given the same whenever it asks",
		"each answer that gives a member its partitions; of classic groups with Kafka's assignors only", "KIP-62; GroupMetadataManager.classicGroupSync, TargetAssignmentBuilder")
	GenerationsGrow = declare(46, OfGroup, "the generation of a classic group grows with each rebalance that is completed",
		"each generation that is completed by the coordinator that completed the one before", "KIP-62; ClassicGroup.initNextGeneration")
	FencedCommits = declare(47, OfGroup, "a commit is accepted only in the present generation, and without one only while the group has no members",
		"each commit that is answered with success: along the log of the coordinators' topic generations never fall, of a classic group, or of a KIP-848 member's partition below the epoch in which it got it (KIP-1251)", "KIP-62, KIP-848, KIP-1251; ClassicGroup.validateOffsetCommit, ConsumerGroup.validateOffsetCommit")
	CommitsStay = declare(48, OfCoordinator, "a coordinator begins with all that coordinators before it answered, and holds the same state where they did",
		"each shard that is loaded; each move of what a coordinator answers, where it makes fingerprints of its state", "CoordinatorRuntime; KAFKA-8896")
	OneOwner = declare(49, OfGroup, "no two members own a partition, unless the group has removed one of them, or rebalanced without a static one, and it does not know yet",
		"each time that a member's listener is told what it owns", "NoDoubleClientAssignment of Vanlightly's kip-848; KIP-429")
	EpochsOfMembers = declare(53, OfGroup, "the epoch of a member never falls while it is one",
		"each answer that gives a member its partitions", "Vanlightly's kip-848; ConsumerGroupMember.memberEpoch")
	OneInstance = declare(54, OfGroup, "a group.instance.id has one member, and one that was replaced commits nothing",
		"each member that joins with one, and each commit that is answered with success", "KIP-345; ClassicGroup.replaceStaticMember")
	OneCoordinator = declare(56, OfCoordinator, "in a leader epoch one broker coordinates what a partition of the coordinators' topic holds",
		"each shard that is loaded", "KIP-848; CoordinatorRuntime.scheduleLoadOperation")
	CoordinatorFolds = declare(84, OfCoordinator, "what a coordinator answers from is the fold of the committed log of its partition, and nothing else",
		"each move of the high watermark under a coordinator, with ktrial.coordinator.check", "KIP-848; CoordinatorRuntime, SnapshottableCoordinator")
)

// Coordination is the ghost of consumer groups: what their coordinators decide, where those
// keep it, and what members believe to own. It outlives coordinators.
type Coordination struct {
	tally
	// Calm is what all ghosts share; nil: nothing is known of what disturbs the cluster.
	Calm *Calm

	groups map[string]*group
	shards map[string]*shard
	loads  map[Coordinator]int // how often each has loaded anything
	// loadedAt is when each has for the first time: of the groups that it has loaded, sessions
	// begin anew then, or later.
	loadedAt map[Coordinator]time.Duration
}

// Coordinator is a process that coordinates groups: of a host, by its number there.
type Coordinator struct {
	Host string
	Life int
}

// group is what is known of one group.
type group struct {
	// by tells of it now, and has loaded so often; another may know less or more.
	by    Coordinator
	loads int

	// heard is when the session of a member began with a coordinator. One that stood still goes on where it
	// was, though another tells of the group by now.
	heard map[hearing]time.Duration

	// The rest of what one coordinator says.
	completed   int32             // the generation that was completed last; -1: none
	instances   map[string]string // member by group.instance.id
	left        map[string]bool   // members that it has removed, and that have not joined since
	rebalancing time.Duration     // since when members are to join, or to sync
	epochs      map[string]int32  // the newest generation or epoch of each member
	generations []generation      // the newest, of all coordinators

	// commits are those that were accepted, by the member that made them and the
	// partition; the zero value stands for all of a classic group.
	commits map[committer]*committedRange
	classic bool
	// tenures are those of KIP-848 members, by partition.
	tenures map[string]tenure

	replaced map[string]string // by the id of a static member: the one that it has by now

	members membersOf
	owners  map[string]owner // what members believe, by partition
	gone    map[string]bool  // members that the coordinator has removed
	absent  map[string]bool  // static members that did not join the last generation
}

// hearing is a member, and a coordinator that hears of it.
type hearing struct {
	by     Coordinator
	member string
}

// generation is what members were given in a generation, or in an epoch of theirs.
type generation struct {
	number   int32
	protocol string
	members  []string          // of a classic group; nil: not known
	owner    map[string]string // member by partition
	given    map[string][]string
}

// committer is a member, and a partition of which it commits an offset.
type committer struct{ member, partition string }

// tenure is since which of its epochs a member has had a partition without a break,
// as the coordinator answered. given: it was not told since to give it up; while it
// does, the partition is still its own.
type tenure struct {
	member string
	since  int32
	given  bool
}

// committedRange is where the first and the last of the accepted commits of the newest
// generation lie in the log.
type committedRange struct {
	generation  int32
	first, last int64
	bare        int64 // the last commit without a generation; -1: none
}

// owner is a member that believes to own a partition.
type owner struct{ member, instance string }

// shard is a partition of the internal topic that coordinators keep their state in.
type shard struct {
	leader  map[Epoch]Node
	commits commits
	states  map[int64]uint64 // fingerprint by offset up to which it is committed
}

// NewCoordination knows of none. name is how messages name a node; nil: its number.
func NewCoordination(name func(Node) string) *Coordination {
	return &Coordination{tally: tally{name: name}, groups: map[string]*group{}, shards: map[string]*shard{}, loads: map[Coordinator]int{}, loadedAt: map[Coordinator]time.Duration{}}
}

// of is what is known of a group; its messages are about it.
func (g *Coordination) of(id string) *group {
	g.subject = "group " + id
	x := g.groups[id]
	if x == nil {
		x = &group{completed: -1, instances: map[string]string{}, left: map[string]bool{}, heard: map[hearing]time.Duration{}, epochs: map[string]int32{},
			commits: map[committer]*committedRange{}, tenures: map[string]tenure{}, replaced: map[string]string{}, members: newMembersOf(), owners: map[string]owner{}, gone: map[string]bool{}, absent: map[string]bool{}}
		g.groups[id] = x
	}
	return x
}

// told is of, by a coordinator. One that is new, or has loaded anew, knows what was
// written, and nothing of what another had only in memory.
func (g *Coordination) told(by Coordinator, id string) *group {
	x := g.of(id)
	if x.by != by || x.loads != g.loads[by] {
		x.members.loaded = x.by != (Coordinator{})
		x.by, x.loads = by, g.loads[by]
		x.completed = -1
		clear(x.instances)
		clear(x.left)
		clear(x.epochs)
		x.rebalancing = 0
	}
	return x
}

// Loaded: a coordinator begins to serve a shard in a leader epoch, with what its log
// holds up to end. state is the fingerprint of that; 0: none.
func (g *Coordination) Loaded(by Coordinator, node Node, id string, epoch Epoch, end int64, state uint64) {
	g.events++
	g.loads[by]++
	if _, before := g.loadedAt[by]; !before {
		g.loadedAt[by] = g.now()
	}
	for _, x := range g.groups {
		x.members.state = "" // what a coordinator loads it does not tell
		maps.DeleteFunc(x.heard, func(h hearing, _ time.Duration) bool { return h.by == by })
	}
	s := g.shard(id)
	if other, led := s.leader[epoch]; led && other != node {
		g.fail(OneCoordinator, node, "%v and %v both coordinate in epoch %d", other, node, epoch)
	}
	s.leader[epoch] = node
	if told := s.commits.before(epoch); end < told {
		g.fail(CommitsStay, node, "%v coordinates from epoch %d on with a log up to %d; up to %d was answered before", node, epoch, end, told)
	}
	s.compare(g, node, end, state)
}

// Answers: a coordinator answers what was written to its shard below an offset. state
// is the fingerprint of what it holds there; 0: none.
func (g *Coordination) Answers(node Node, id string, epoch Epoch, to int64, state uint64) {
	g.events++
	s := g.shard(id)
	s.compare(g, node, to, state)
	s.commits.add(epoch, to)
	if state != 0 {
		s.states[to] = state
	}
}

// Compared: a coordinator holds one state of a shard at an offset that is committed, and
// the log below it folds to another, or the same.
func (g *Coordination) Compared(node Node, id string, at int64, holds, log uint64) {
	g.events++
	g.shard(id)
	if holds != log {
		g.fail(CoordinatorFolds, node, "%v holds another state at offset %d than the log says", node, at)
	}
}

func (g *Coordination) shard(id string) *shard {
	g.subject = id
	s := g.shards[id]
	if s == nil {
		s = &shard{leader: map[Epoch]Node{}, states: map[int64]uint64{}}
		g.shards[id] = s
	}
	return s
}

func (s *shard) compare(g *Coordination, node Node, at int64, state uint64) {
	if known, told := s.states[at]; told && state != 0 && state != known {
		g.fail(CommitsStay, node, "%v holds another state up to offset %d than was answered from before", node, at)
	}
}

// State: a group is in another state, by Kafka's names; from is empty for a new group.
func (g *Coordination) State(by Coordinator, id, from, to string) {
	g.events++
	x := g.told(by, id)
	g.owned(x)
	x.members.enter(to, g.now())
	if to == "PreparingRebalance" {
		x.rebalancing = g.now()
	}
	x.members.loaded = x.members.loaded && to != "Empty"
	switch {
	case from == "" || to == "Dead": // what follows is another group of the name
		x.completed, x.classic = -1, false
		x.generations = nil
		clear(x.commits)
		clear(x.tenures)
		clear(x.epochs)
		clear(x.instances)
	case to == "Assigning" || to == "Reconciling":
		x.classic = false
		delete(x.commits, committer{})
	}
}

// Completed: the members of a classic group have joined a generation, but for some that are
// absent.
func (g *Coordination) Completed(by Coordinator, id string, number int32, protocol string, members, absent []string) {
	g.events++
	x := g.told(by, id)
	x.classic, x.rebalancing = true, g.now()
	if number <= x.completed {
		g.fail(GenerationsGrow, NoNode, "generation %d was completed after generation %d", number, x.completed)
	}
	x.completed = number
	for _, member := range absent {
		x.absent[member] = true
	}
	gen := x.generation(number)
	if gen.members == nil {
		gen.protocol, gen.members = protocol, slices.Clone(members)
	}
}

// generation is the one of this number, with the newest that are kept.
func (x *group) generation(number int32) *generation {
	for i := range x.generations {
		if x.generations[i].number == number {
			return &x.generations[i]
		}
	}
	const kept = 8
	if len(x.generations) == kept {
		x.generations = slices.Delete(x.generations, 0, 1)
	}
	x.generations = append(x.generations, generation{number: number, owner: map[string]string{}, given: map[string][]string{}})
	return &x.generations[len(x.generations)-1]
}

// assignors are Kafka's, which give a partition to one member. Others may do as they
// please.
var assignors = []string{"", "range", "roundrobin", "sticky", "cooperative-sticky"}

// Assigned: a member is given its partitions, in an answer, in a generation or, by
// KIP-848, in its own epoch. classic: by the classic protocol, in a group of whichever kind.
func (g *Coordination) Assigned(by Coordinator, id, member string, number int32, classic bool, partitions []string) {
	g.events++
	x := g.told(by, id)
	if x.left[member] {
		return // it left, and then what it had asked before was committed and answered
	}
	if before, told := x.epochs[member]; told && number < before {
		g.fail(EpochsOfMembers, NoNode, "%s was in %d and is in %d", member, before, number)
	}
	x.epochs[member] = number
	delete(x.absent, member)
	if !x.classic {
		x.holds(member, number, partitions)
	}
	x.assign(g, x.generation(number), member, partitions)
	x.take(g, member, given{partitions, classic})
}

func (x *group) assign(g *Coordination, gen *generation, member string, partitions []string) {
	// A static member that came back is not of those that joined: it takes over what
	// the one before it had.
	if gen.members != nil && !slices.Contains(gen.members, member) || !slices.Contains(assignors, gen.protocol) {
		return
	}
	if before, told := gen.given[member]; told && gen.members != nil && !slices.Equal(before, partitions) {
		g.fail(OneAssignment, NoNode, "%s is given %v in generation %d, and was given %v in it before", member, partitions, gen.number, before)
	}
	gen.give(g, member, partitions)
}

// holds follows since when a KIP-848 member has what it has.
func (x *group) holds(member string, epoch int32, partitions []string) {
	for p, t := range x.tenures {
		if t.member == member && !slices.Contains(partitions, p) {
			t.given = false
			x.tenures[p] = t
		}
	}
	for _, p := range partitions {
		if t := x.tenures[p]; t.member != member || !t.given {
			x.tenures[p] = tenure{member, epoch, true}
		}
	}
}

func (gen *generation) give(g *Coordination, member string, partitions []string) {
	gen.drop(member)
	gen.given[member] = slices.Clone(partitions)
	for _, p := range partitions {
		if other, owned := gen.owner[p]; owned {
			g.fail(OneAssignment, NoNode, "%s is given to %s and to %s in generation %d", p, other, member, gen.number)
		}
		gen.owner[p] = member
	}
}

func (gen *generation) drop(member string) {
	for _, p := range gen.given[member] {
		if gen.owner[p] == member {
			delete(gen.owner, p)
		}
	}
	delete(gen.given, member)
}

// Joined: a group has a new member; instance is its group.instance.id, if it is static.
func (g *Coordination) Joined(by Coordinator, id, member, instance string) {
	g.events++
	x := g.told(by, id)
	delete(x.gone, member)
	delete(x.left, member)
	delete(x.absent, member)
	delete(x.epochs, member)
	x.members.live[member] = true
	if _, known := x.heard[hearing{by, member}]; !known {
		x.heard[hearing{by, member}] = g.now()
	}
	if instance == "" {
		return
	}
	if other, lives := x.instances[instance]; lives && other != member {
		g.fail(OneInstance, NoNode, "%s and %s are members, both with instance %s", other, member, instance)
	}
	x.instances[instance] = member
}

// Replaced: a static member has another id by now, and that is in the log.
func (g *Coordination) Replaced(by Coordinator, id, member, with string) {
	g.events++
	g.told(by, id).replaced[member] = with
}

// Left: a member is gone from its group, or is told that it is none.
func (g *Coordination) Left(by Coordinator, id, member string) {
	g.events++
	x := g.told(by, id)
	x.gone[member], x.left[member] = true, true
	delete(x.epochs, member)
	x.members.leave(member)
	for instance, m := range x.instances {
		if m == member {
			delete(x.instances, instance)
		}
	}
	for p, t := range x.tenures {
		if t.member == member {
			delete(x.tenures, p)
		}
	}
	for i := range x.generations {
		if x.generations[i].members == nil {
			x.generations[i].drop(member)
		}
	}
}

// Refused: the coordinator tells one that asks as a member that it is none.
func (g *Coordination) Refused(id, member string) {
	g.events++
	g.of(id).gone[member] = true
}

// Committed: a commit that named a member and a generation was accepted for a partition;
// its record lies at an offset of the shard. A generation below 0 is none: of an
// administrator, or of a consumer that is no member.
func (g *Coordination) Committed(id, member, partition string, number int32, at int64) {
	g.events++
	x := g.of(id)
	if by, replaced := x.replaced[member]; replaced {
		g.fail(OneInstance, NoNode, "%s was replaced by %s, and a commit of it was accepted at %d", member, by, at)
	}
	if number < 0 {
		for by, r := range x.commits {
			if r.first < at && at < r.last {
				g.unfenced(by, r, at)
			}
			r.bare = max(r.bare, at)
		}
		return
	}
	x.commit(g, committer{member, partition}, number, at)
	if x.classic {
		x.commit(g, committer{}, number, at)
	}
}

// commit: along the log the generations of a classic group's commits never fall. Those
// of a KIP-848 member may, for a partition that it has had since (KIP-1251).
func (x *group) commit(g *Coordination, by committer, number int32, at int64) {
	r := x.commits[by]
	switch {
	case r == nil:
		x.commits[by] = &committedRange{number, at, at, -1}
		return
	case number > r.generation && at > r.last:
		*r = committedRange{number, at, at, -1}
	case number > r.generation:
		if !x.hasHad(by, r.generation) {
			g.fail(FencedCommits, NoNode, "a commit of generation %d was accepted at %d, and one of %d at %d behind it", number, at, r.generation, r.last)
		}
		*r = committedRange{number, at, at, -1}
	case number < r.generation && at > r.first:
		if !x.hasHad(by, number) {
			g.fail(FencedCommits, NoNode, "a commit of generation %d was accepted at %d, behind one of %d at %d", number, at, r.generation, r.first)
		}
	case number < r.generation: // told late
	default:
		r.first, r.last = min(r.first, at), max(r.last, at)
		if r.first < r.bare && r.bare < r.last {
			g.unfenced(by, r, r.bare)
		}
	}
}

// hasHad reports whether a KIP-848 member has had a partition since an epoch.
func (x *group) hasHad(by committer, epoch int32) bool {
	t := x.tenures[by.partition]
	return !x.classic && t.member == by.member && t.since <= epoch
}

func (g *Coordination) unfenced(by committer, r *committedRange, at int64) {
	member := by.member
	if member == "" {
		member = "the members"
	}
	g.fail(FencedCommits, NoNode, "a commit without a generation was accepted at %d, between those of %s in generation %d at %d and %d", at, member, r.generation, r.first, r.last)
}

// Owns: a member has been told that it owns partitions, too.
func (g *Coordination) Owns(id, member, instance string, partitions []string) {
	g.events++
	x := g.of(id)
	x.members.heard = true
	if x.gone[member] || x.absent[member] {
		return // it learns late of an assignment that was over before: its owner is another
	}
	for _, p := range partitions {
		before, owned := x.owners[p]
		replaced := instance != "" && before.instance == instance
		if owned && before.member != member && !x.gone[before.member] && !x.absent[before.member] && !replaced {
			g.fail(OneOwner, NoNode, "%s owns %s; %s, which the group has not removed, owns it still", member, p, before.member)
		}
		x.owners[p] = owner{member, instance}
	}
}

// GaveUp: a member no longer owns partitions, and knows it.
func (g *Coordination) GaveUp(id, member string, partitions []string) {
	g.events++
	x := g.of(id)
	g.owned(x)
	for _, p := range partitions {
		if x.owners[p].member == member {
			delete(x.owners, p)
		}
	}
}

// Ended: a consumer leaves its group, or its process has ended: it owns nothing.
func (g *Coordination) Ended(id, member string) {
	g.events++
	x := g.of(id)
	g.owned(x)
	for p, o := range x.owners {
		if o.member == member {
			delete(x.owners, p)
		}
	}
}
