package client

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/client/member"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim/env"
)

// RebalanceListener is told what partitions a member of a group gets and loses. It
// is called by the application's own task, within Poll, Unsubscribe and Close. Any
// of its functions may be nil.
//
// An error of one of them is returned by that Poll, and the rebalance goes on.
type RebalanceListener struct {
	// Revoked: the member is about to give the partitions up, and still owns them:
	// this is the moment to commit. A classic eager member gives up all.
	Revoked func(partitions []kafka.TopicPartition) error
	// Lost: the partitions may have been another member's for a while; a commit
	// would be refused. If it is nil, Revoked is called.
	Lost func(partitions []kafka.TopicPartition) error
	// Assigned: the member owns the partitions, which may be none, beside those
	// that it has kept.
	Assigned func(partitions []kafka.TopicPartition) error
}

// GroupMetadata is as what a consumer is in its group.
type GroupMetadata struct {
	Group string
	// Generation of a classic group, or epoch of a KIP-848 member; -1: none.
	Generation int32
	Member     string
	Instance   string
}

// errNoGroup is returned by calls that need group.id.
var errNoGroup = fmt.Errorf("to use the group management or offset commit APIs, you must provide a valid group.id in the consumer configuration: %w", kerr.InvalidGroupID)

// membership is a member of one of the two kinds. What it has to do by itself is
// done by work, which does not block; what the application takes part in by poll.
type membership interface {
	// poll goes on with what only a poll may do: rebalances and the listener's
	// calls. It returns what the application has to know.
	poll(now time.Duration) error
	// settled reports whether the last poll left nothing to do for the membership:
	// auto-commits wait for that.
	settled() bool
	// work is the background: heartbeats.
	work(now time.Duration)
	// wakeAt is when work is due again without news.
	wakeAt() (at time.Duration, ok bool)
	// generation is as what the member is in the group.
	generation() member.Generation
	// commitAs is the generation to commit as; an error says why there is none.
	commitAs() (member.Generation, error)
	committed(sent member.Generation, err *kerr.Error) member.Verdict
	// fetchAs is how OffsetFetch names the member; nil: not at all.
	fetchAs() *member.Generation
	// coordinatorFound says that the coordinator is known again.
	coordinatorFound(now time.Duration)
	// leave calls the listener, gives all partitions up and tells the coordinator.
	leave(reason string, closing bool) error
}

// group is what a consumer with a group.id has.
type group struct {
	c   *Consumer
	cfg member.Config

	subscription subscription
	listener     RebalanceListener
	member       membership
	ownedAs      member.Generation // as what the member was given its partitions
	coordinator  coordinator
	commits      commits

	schedule *schedule // of the background
	duty     duty
	pollAt   time.Duration // when a Poll that waits has something to do for the group
}

func newGroup(c *Consumer) (*group, error) {
	cfg := &c.cfg
	g := &group{c: c, cfg: member.Config{
		Group: cfg.GroupID, Instance: cfg.GroupInstanceID, Rack: cfg.ClientRack,
		SessionTimeout: cfg.SessionTimeout, HeartbeatInterval: cfg.HeartbeatInterval, MaxPollInterval: cfg.MaxPollInterval,
	}}
	g.coordinator = coordinator{
		net: c.net, kind: groupCoordinator, key: cfg.GroupID, keeps: cfg.GroupProtocol == ConsumerProtocol,
		changed: g.news, found: func(now time.Duration) { g.member.coordinatorFound(now) },
	}
	g.ownedAs = member.None
	g.schedule = newSchedule(c.net.host, "group member", g.work)
	g.duty = g.schedule.add()
	g.commits = commits{g: g}
	g.commits.restart(c.net.host.Uptime())
	var err error
	g.member, err = g.newMember()
	return g, err
}

// newMember is a member of the kind that group.protocol says.
func (g *group) newMember() (membership, error) {
	if g.c.cfg.GroupProtocol == ConsumerProtocol {
		return newModernGroup(g), nil
	}
	return newClassicGroup(g)
}

func (g *group) now() time.Duration { return g.c.net.host.Uptime() }

// news has the background look, and a call of the application that waits.
func (g *group) news() {
	if g.c.closed {
		return
	}
	g.schedule.soon(g.duty)
	g.schedule.run()
	g.c.arrived.Broadcast()
}

// work is what the schedule runs.
func (g *group) work(now time.Duration) {
	if !g.schedule.take(g.duty, now) {
		return
	}
	g.coordinator.work(now)
	g.commits.work(now)
	if g.subscription.active() {
		g.member.work(now)
	}
	g.setAlarm(now)
}

// setAlarm has work run again when something is due without news. Without a
// coordinator there is nothing to do for the member.
func (g *group) setAlarm(now time.Duration) {
	at, ok := g.coordinator.wakeAt(now)
	if g.coordinator.known() {
		at, ok = g.member.wakeAt()
	}
	if ok {
		g.schedule.at(g.duty, max(at, now+time.Millisecond))
	}
}

// run does what is due now.
func (g *group) run() {
	g.schedule.soon(g.duty)
	g.schedule.run()
}

// poll is what a Poll of the consumer does for its group.
func (g *group) poll() error {
	now := g.now()
	g.pollAt = env.Forever
	if !g.subscription.active() && len(g.c.assigned) == 0 {
		return errors.New("client: poll: consumer is not subscribed to any topics or assigned any partitions")
	}
	if err := g.commits.callBack(); err != nil {
		return err
	}
	if g.subscription.active() {
		g.subscription.refresh(&g.c.net.metadata)
		if err := g.member.poll(now); err != nil {
			return err
		}
	}
	if err := g.coordinator.takeFatal(); err != nil {
		return err
	}
	if !g.subscription.active() || g.member.settled() {
		g.commits.auto(g.now())
	}
	if err := g.commits.initialise(g.now()); err != nil {
		return err
	}
	g.run()
	return nil
}

// pollAgainAt has a Poll that waits look again then.
func (g *group) pollAgainAt(at time.Duration) { g.pollAt = earlier(g.pollAt, at) }

// wait is how long a Poll may wait for records before it polls the group again.
func (g *group) wait(left time.Duration) time.Duration {
	if g.commits.autoCommit() && g.commits.autoAt > g.now() {
		g.pollAgainAt(g.commits.autoAt)
	}
	if g.pollAt == env.Forever {
		return left
	}
	due := max(0, g.pollAt-g.now())
	if left == env.Forever {
		return due
	}
	return min(left, due)
}

// await blocks until done says so, at most until deadline. It reports whether it did.
func (g *group) await(deadline time.Duration, done func() bool) bool {
	for !done() {
		left := deadline - g.now()
		if left <= 0 || g.c.closed {
			return false
		}
		g.run()
		if done() {
			return true
		}
		g.c.arrived.Wait(left)
	}
	return true
}

// metadata is as what the consumer is in the group.
func (g *group) metadata() GroupMetadata {
	m := GroupMetadata{Group: g.cfg.Group, Generation: member.NoGeneration, Instance: g.cfg.Instance}
	if g.subscription.active() {
		as := g.member.generation()
		if g.c.cfg.GroupProtocol == ClassicProtocol {
			// That of the partitions, not of a join that is under way: what a cooperative member is
			// given meanwhile is of the generation before (ConsumerCoordinator.onJoinComplete).
			as = g.ownedAs
		}
		m.Generation, m.Member = as.ID, as.Member
	}
	return m
}

func (g *group) membership() *witness.Membership { return g.membershipAs(g.member.generation()) }

func (g *group) membershipAs(as member.Generation) *witness.Membership {
	return &witness.Membership{Group: g.cfg.Group, Member: as.Member, Generation: as.ID, Instance: g.cfg.Instance}
}

// call calls a function of the listener.
func (g *group) call(f func([]kafka.TopicPartition) error, partitions []kafka.TopicPartition) error {
	if f == nil {
		return nil
	}
	if err := f(partitions); err != nil {
		return fmt.Errorf("client: poll: user rebalance callback throws an error: %w", err)
	}
	return nil
}

// assigned makes all the member's partitions, of which added are new, and calls the
// listener.
func (g *group) assigned(all, added []kafka.TopicPartition) error {
	g.c.assign(all)
	g.ownedAs = g.member.generation()
	g.c.net.host.Tell(&witness.PartitionsAssigned{Membership: g.membership(), Added: added, All: slices.Clone(all)})
	return g.call(g.listener.Assigned, added)
}

// revoked calls the listener, and takes partitions from the member afterwards.
func (g *group) revoked(partitions []kafka.TopicPartition) error {
	as := g.membership()
	err := g.call(g.listener.Revoked, partitions)
	g.without(partitions)
	g.c.net.host.Tell(&witness.PartitionsRevoked{Membership: as, Partitions: partitions})
	return err
}

// lost is revoked for partitions that may have been another member's for a while.
func (g *group) lost(partitions []kafka.TopicPartition) error {
	f := g.listener.Lost
	if f == nil {
		f = g.listener.Revoked
	}
	g.c.net.host.Tell(&witness.PartitionsLost{Membership: g.membershipAs(g.ownedAs), Partitions: partitions})
	err := g.call(f, partitions)
	g.without(partitions)
	return err
}

// without takes partitions from the assignment.
func (g *group) without(partitions []kafka.TopicPartition) {
	g.c.assign(minus(g.c.Assignment(), partitions))
}

// minus are the partitions of a that are not in b, both in order.
func minus(a, b []kafka.TopicPartition) []kafka.TopicPartition {
	out := []kafka.TopicPartition{}
	for _, tp := range a {
		if _, found := slices.BinarySearchFunc(b, tp, kafka.TopicPartition.Compare); !found {
			out = append(out, tp)
		}
	}
	return out
}

// close leaves the group, as Kafka's consumer does: the last auto-commit, the
// listener's last call, then the coordinator is told.
func (g *group) close(deadline time.Duration) error {
	g.commits.atClose(deadline)
	var err error
	if g.subscription.active() {
		err = g.member.leave("the consumer is being closed", true)
	}
	g.await(deadline, func() bool { return g.coordinator.link == nil || g.coordinator.link.inFlight == 0 })
	g.schedule.close()
	return err
}
