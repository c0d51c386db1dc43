package client

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/assignor"
	"github.com/ktrial/ktrial/broker/client/member"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
)

// classicGroup is a member of a classic group: what member.Classic decides, it does.
// Joins go on only in polls, as in Java; heartbeats are sent in the background.
type classicGroup struct {
	g *group
	m *member.Classic

	assignors []assignor.Assignor
	// protocol is fixed when the consumer is made: the highest that all assignors
	// support (KIP-429).
	protocol assignor.Protocol

	// round counts the joins: an answer to an older one is of no more use.
	round   int
	retryAt time.Duration // of the next join
	fails   int           // in a row

	// What has come of the round, for the next poll: the answer to JoinGroup, then
	// how the round ended.
	joined *joined
	synced *synced

	prepare preparation
	// joinedSubscription is the version of the subscription that it joined with; 0: none.
	joinedSubscription int

	leader bool
	// metadata of the group's topics as the leader saw it when it assigned; a change
	// makes it join again.
	snapshot map[string]string
	compared int // the version of the metadata that was last compared with it

	// held is what the last assignment gave, in generation heldSince: sticky assignors
	// send it along (user data).
	held      []kafka.TopicPartition
	heldSince int32
}

// joined is the answer to a JoinGroup, or that there is none.
type joined struct {
	sent member.Generation
	resp *kmsg.JoinGroupResponse
	err  error
}

// synced is how a round ended.
type synced struct {
	verdict    member.Verdict
	assignment []byte
}

// preparation is what is done before a join: the auto-commit, and then the
// listener's call.
type preparation struct {
	by      time.Duration // when the commit is given up; 0: there is no preparation
	asked   bool          // the commit is on its way
	done    bool
	err     error
	retryAt time.Duration
}

func newClassicGroup(g *group) (*classicGroup, error) {
	cfg := &g.c.cfg
	assignors, err := cfg.assignors(cfg.Bugs)
	if err != nil {
		return nil, err
	}
	protocol, err := assignor.CommonProtocol(assignors)
	if err != nil {
		return nil, fmt.Errorf("client: consumer configuration: partition.assignment.strategy: %w", err)
	}
	return &classicGroup{
		g: g, m: member.NewClassic(g.cfg), assignors: assignors, protocol: protocol, heldSince: member.NoGeneration,
	}, nil
}

func (cg *classicGroup) generation() member.Generation        { return cg.m.Generation }
func (cg *classicGroup) commitAs() (member.Generation, error) { return cg.m.CommitAs() }
func (cg *classicGroup) fetchAs() *member.Generation          { return nil }
func (cg *classicGroup) coordinatorFound(now time.Duration)   { cg.m.CoordinatorFound(now) }
func (cg *classicGroup) wakeAt() (at time.Duration, ok bool)  { return cg.m.NextDue() }

func (cg *classicGroup) settled() bool { return !cg.m.NeedsJoin() && cg.g.coordinator.known() }

func (cg *classicGroup) committed(sent member.Generation, err *kerr.Error) member.Verdict {
	before := cg.m.Generation
	v := cg.m.CommitAnswered(sent, err)
	cg.tellFenced(before, v.Err)
	return v
}

// tellFenced reports that the member is not what it was before, because of err.
func (cg *classicGroup) tellFenced(before member.Generation, err error) {
	if err != nil && !before.Unknown() && cg.m.Generation.Unknown() {
		cg.g.c.net.host.Tell(&witness.ConsumerFenced{Membership: cg.g.membershipAs(before), Error: witness.ErrorOf(err)})
	}
}

// work sends heartbeats, and leaves the group of an application that is silent.
func (cg *classicGroup) work(now time.Duration) {
	g := cg.g
	switch cg.m.Due(now, g.coordinator.known()) {
	case member.FindCoordinator:
		g.coordinator.ready(now)
	case member.ForgetCoordinator:
		g.coordinator.forget("session timed out without receiving a heartbeat response")
		g.coordinator.ready(now)
	case member.LeaveGroup:
		cg.tellLeft("consumer poll timeout has expired")
		cg.leaveGroup("consumer poll timeout has expired.")
	case member.SendHeartbeat:
		cg.heartbeat(now)
	}
}

func (cg *classicGroup) heartbeat(now time.Duration) {
	g := cg.g
	sent := cg.m.HeartbeatSent(now)
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.Generation, req.MemberID, req.InstanceID = g.cfg.Group, sent.ID, sent.Member, instance(g.cfg.Instance)
	g.coordinator.send(req, g.c.cfg.RequestTimeout, func(resp kmsg.Response, err error) {
		now, backoff := g.now(), g.c.cfg.RetryBackoff
		if err != nil {
			cg.m.HeartbeatBroke(now, backoff)
		} else {
			v := cg.m.HeartbeatAnswered(now, backoff, sent, resp.(*kmsg.HeartbeatResponse).ErrorCode)
			cg.settle(v)
			cg.tellFenced(sent, v.Err)
		}
		g.news()
	})
}

// settle does what a verdict says of the coordinator.
func (cg *classicGroup) settle(v member.Verdict) {
	if v.Rediscover {
		var k *kerr.Error
		reason := "disconnected"
		if errors.As(v.Err, &k) {
			reason = "error response " + k.Message
		}
		cg.g.coordinator.forget(reason)
	}
}

// poll joins, if need be and as far as that goes without waiting.
func (cg *classicGroup) poll(now time.Duration) error {
	g := cg.g
	cg.m.Polled(now)
	if err := cg.m.TakeFenced(); err != nil {
		return fmt.Errorf("client: poll: member of group %s: %w", g.cfg.Group, err)
	}
	if !g.coordinator.ready(now) {
		return nil
	}
	cg.lookForChanges()
	for cg.m.NeedsJoin() {
		goesOn, err := cg.step(g.now())
		if err != nil || !goesOn {
			return err
		}
	}
	return nil
}

// lookForChanges has the member join again when its subscription has changed, and,
// as the leader, when the group's topics have.
func (cg *classicGroup) lookForChanges() {
	s := &cg.g.subscription
	if cg.joinedSubscription != 0 && cg.joinedSubscription != s.version {
		cg.m.Rejoin("the subscription has changed since the last join")
		return
	}
	if version := cg.g.c.net.metadata.version; cg.snapshot != nil && version != cg.compared {
		cg.compared = version
		if !maps.Equal(cg.snapshot, cg.topicsNow(s.group)) {
			cg.m.Rejoin("cached metadata has changed")
		}
	}
}

// leave calls the listener and leaves the group.
func (cg *classicGroup) leave(reason string, closing bool) error {
	g := cg.g
	owned := g.c.Assignment()
	var err error
	switch {
	case len(owned) == 0:
	case cg.m.Generation.Unknown() || cg.m.Rebalancing():
		err = g.lost(owned)
	default:
		err = g.revoked(owned)
	}
	cg.tellLeft(reason)
	cg.leaveGroup(reason)
	return err
}

func (cg *classicGroup) tellLeft(reason string) {
	if cg.m.Generation.Member != "" {
		cg.g.c.net.host.Tell(&witness.ConsumerLeft{Membership: cg.g.membership(), Reason: reason})
	}
}

// leaveGroup takes the member out of the group. The coordinator is told once, if it is
// known; no answer is waited for.
func (cg *classicGroup) leaveGroup(reason string) {
	g := cg.g
	as, told := cg.m.Leave(reason)
	cg.round++
	cg.joined, cg.synced, cg.prepare, cg.joinedSubscription = nil, nil, preparation{}, 0
	cg.leader, cg.snapshot = false, nil
	if !told || !g.coordinator.ready(g.now()) {
		return
	}
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group, req.MemberID = g.cfg.Group, as.Member
	one := kmsg.NewLeaveGroupRequestMember()
	one.MemberID, one.Reason = as.Member, kmsg.StringPtr(reason)
	req.Members = append(req.Members, one)
	g.coordinator.send(req, g.c.cfg.RequestTimeout, func(kmsg.Response, error) { g.c.arrived.Broadcast() })
}
