package client

import (
	"errors"
	"fmt"
	"maps"
	"slices"
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
	v := cg.m.Committed(sent, err)
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
	case member.Discover:
		g.coordinator.ready(now)
	case member.Distrust:
		g.coordinator.forget("session timed out without receiving a heartbeat response")
		g.coordinator.ready(now)
	case member.LeaveSilent:
		cg.tellLeft("consumer poll timeout has expired")
		cg.leaveGroup("consumer poll timeout has expired.")
	case member.Beat:
		cg.beat(now)
	}
}

func (cg *classicGroup) beat(now time.Duration) {
	g := cg.g
	sent := cg.m.BeatSent(now)
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.Generation, req.MemberID, req.InstanceID = g.cfg.Group, sent.ID, sent.Member, instance(g.cfg.Instance)
	g.coordinator.send(req, g.c.cfg.RequestTimeout, func(resp kmsg.Response, err error) {
		now, backoff := g.now(), g.c.cfg.RetryBackoff
		if err != nil {
			cg.m.BeatBroke(now, backoff)
		} else {
			v := cg.m.Beaten(now, backoff, sent, resp.(*kmsg.HeartbeatResponse).ErrorCode)
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

// step does one thing for a join, and reports whether there is another to do now.
func (cg *classicGroup) step(now time.Duration) (goesOn bool, err error) {
	switch {
	case cg.joined != nil:
		return cg.takeJoined(now)
	case cg.synced != nil:
		return cg.takeSynced(now)
	case cg.m.Joining():
		return false, nil // an answer is on its way
	case now < cg.retryAt:
		cg.g.pollAgainAt(cg.retryAt)
		return false, nil
	case cg.m.NeedsPrepare():
		done, err := cg.prepareJoin(now)
		return done, err
	case cg.g.subscription.pattern != nil && cg.g.c.net.metadata.version == 0:
		return false, nil // it has to be matched once before the first join
	case !cg.g.coordinator.ready(now):
		return false, nil
	}
	cg.join()
	return false, nil
}

// prepareJoin makes the auto-commit and calls the listener. It reports whether that
// is done.
func (cg *classicGroup) prepareJoin(now time.Duration) (done bool, err error) {
	g, p := cg.g, &cg.prepare
	if p.by == 0 {
		p.by = now + g.cfg.MaxPollInterval
	}
	if g.commits.autoCommit() && !cg.committedBefore(now) {
		return false, nil
	}
	cg.m.Prepared()
	*p = preparation{}
	owned := g.c.Assignment()
	switch {
	case cg.m.Generation.Unknown():
		if len(owned) > 0 {
			err = g.lost(owned)
		}
	case cg.protocol == assignor.Eager:
		err = g.revoked(owned)
	default:
		gone := slices.DeleteFunc(owned, func(tp kafka.TopicPartition) bool { return g.subscription.matches(tp.Topic) })
		if len(gone) > 0 {
			err = g.revoked(gone)
		}
	}
	cg.leader = false
	g.subscription.group = nil
	return true, err
}

// committedBefore makes the auto-commit before a join. It reports whether that has
// ended: a retriable error has it made again, until the rebalance timeout is over.
func (cg *classicGroup) committedBefore(now time.Duration) bool {
	g, p := cg.g, &cg.prepare
	if !p.asked && now >= p.retryAt {
		if cg.protocol == assignor.Eager {
			for _, a := range g.c.assigned {
				a.revoking = true
			}
			g.c.attendToAll()
		}
		p.asked, p.done = true, false
		g.commits.async(g.commits.consumed(), true, func(err error) { p.done, p.err = true, err })
	}
	switch {
	case now >= p.by:
		return true
	case !p.asked || !p.done:
		if !p.asked {
			g.pollAgainAt(p.retryAt)
		}
		g.pollAgainAt(p.by)
		return false
	case errors.Is(p.err, ErrRetriableCommitFailed):
		p.asked, p.retryAt = false, now+g.c.net.retryBackoff(1)
		g.pollAgainAt(p.retryAt)
		return false
	}
	return true
}

// joinTimeoutLapse is what a JoinGroup may take beyond the rebalance timeout.
const joinTimeoutLapse = 5 * time.Second

// join sends a JoinGroup. It may be answered only after the rebalance timeout.
func (cg *classicGroup) join() {
	g := cg.g
	cg.joinedSubscription = g.subscription.version
	topics := slices.Clone(g.subscription.topics)
	owned, generation := g.c.Assignment(), cg.m.Generation
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.InstanceID, req.ProtocolType = g.cfg.Group, generation.Member, instance(g.cfg.Instance), "consumer"
	req.SessionTimeoutMillis = int32(g.cfg.SessionTimeout.Milliseconds())
	req.RebalanceTimeoutMillis = int32(g.cfg.MaxPollInterval.Milliseconds())
	req.Reason = kmsg.StringPtr(cg.m.Reason())
	for _, a := range cg.assignors {
		rp := kmsg.NewJoinGroupRequestProtocol()
		rp.Name = a.Name()
		rp.Metadata = assignor.EncodeSubscription(assignor.Subscription{
			Version: assignor.MaxSubscription, Topics: topics, UserData: a.UserData(cg.held, cg.heldSince),
			Owned: owned, Generation: generation.ID, Rack: g.cfg.Rack,
		})
		req.Protocols = append(req.Protocols, rp)
	}
	sent := cg.m.Join()
	cg.round++
	round := cg.round
	timeout := max(g.c.cfg.RequestTimeout, g.cfg.MaxPollInterval+joinTimeoutLapse)
	g.coordinator.send(req, timeout, func(resp kmsg.Response, err error) {
		if round == cg.round {
			answer, _ := resp.(*kmsg.JoinGroupResponse)
			cg.joined = &joined{sent, answer, err}
		}
		g.news()
	})
}

// takeJoined takes in the answer to a JoinGroup, and sends the SyncGroup.
func (cg *classicGroup) takeJoined(now time.Duration) (goesOn bool, err error) {
	j := cg.joined
	if j.err != nil {
		cg.joined = nil
		return cg.failed(now, cg.m.JoinBroke(j.err))
	}
	r := j.resp
	if leads := r.ErrorCode == 0 && r.LeaderID == r.MemberID; leads && !cg.knowsTopics(r.Members) {
		return false, nil // the metadata of all members' topics is on its way
	}
	cg.joined = nil
	before := cg.m.Generation
	v := cg.m.Joined(now, j.sent, member.JoinAnswer{
		Code: r.ErrorCode, ProtocolType: r.ProtocolType,
		Generation: member.Generation{ID: r.Generation, Member: r.MemberID, Protocol: textOf(r.Protocol)},
	})
	if v.Err != nil {
		cg.tellFenced(before, v.Err)
		return cg.failed(now, v)
	}
	var shares []kmsg.SyncGroupRequestGroupAssignment
	if r.LeaderID == r.MemberID {
		if shares, err = cg.lead(r); err != nil {
			return cg.failed(now, cg.m.LeadFailed(err))
		}
	}
	if !cg.g.coordinator.ready(now) {
		return cg.failed(now, cg.m.JoinBroke(kerr.CoordinatorNotAvailable))
	}
	cg.sync(shares)
	return false, nil
}

func textOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// failed is what comes of a round that failed: it is tried again at once or later, or
// the application is told.
func (cg *classicGroup) failed(now time.Duration, v member.Verdict) (goesOn bool, err error) {
	cg.settle(v)
	switch v.Retry {
	case member.AtOnce:
		return true, nil
	case member.AfterWait:
		cg.fails++
		cg.retryAt = now + cg.g.c.net.retryBackoff(cg.fails)
		return true, nil
	}
	return false, fmt.Errorf("client: poll: join group %s: %w", cg.g.cfg.Group, v.Err)
}

// sync sends a SyncGroup, with what each member gets if this one is the leader.
func (cg *classicGroup) sync(shares []kmsg.SyncGroupRequestGroupAssignment) {
	g := cg.g
	sent := cg.m.Generation
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.Generation, req.MemberID, req.InstanceID = g.cfg.Group, sent.ID, sent.Member, instance(g.cfg.Instance)
	req.ProtocolType, req.Protocol, req.GroupAssignment = kmsg.StringPtr("consumer"), &sent.Protocol, shares
	round := cg.round
	g.coordinator.send(req, g.c.cfg.RequestTimeout, func(resp kmsg.Response, err error) {
		if round != cg.round {
			return
		}
		s := &synced{}
		if err != nil {
			s.verdict = cg.m.JoinBroke(err)
		} else {
			r := resp.(*kmsg.SyncGroupResponse)
			before := cg.m.Generation
			s.assignment = r.MemberAssignment
			s.verdict = cg.m.Synced(sent, member.SyncAnswer{Code: r.ErrorCode, ProtocolType: r.ProtocolType, Protocol: r.Protocol})
			cg.tellFenced(before, s.verdict.Err)
		}
		cg.synced = s
		g.news()
	})
	g.run()
}

// takeSynced ends a round: the member has its assignment, or not.
func (cg *classicGroup) takeSynced(now time.Duration) (goesOn bool, err error) {
	s := cg.synced
	cg.synced = nil
	if s.verdict.Err != nil {
		return cg.failed(now, s.verdict)
	}
	cg.fails = 0
	if !cg.m.Complete() {
		return true, nil
	}
	a, err := assignor.DecodeAssignment(s.assignment)
	if err != nil {
		return false, fmt.Errorf("client: poll: join group %s: %w", cg.g.cfg.Group, err)
	}
	return true, cg.complete(a.Partitions)
}

// complete gives the member what it was assigned, and calls the listener.
func (cg *classicGroup) complete(partitions []kafka.TopicPartition) error {
	g := cg.g
	if !cg.leader {
		cg.snapshot = nil
	}
	slices.SortFunc(partitions, kafka.TopicPartition.Compare)
	if slices.ContainsFunc(partitions, func(tp kafka.TopicPartition) bool { return !cg.takes(tp.Topic) }) {
		// The subscription has changed since the join.
		cg.m.Rejoin("received assignment does not match the current subscription")
		return nil
	}
	owned := g.c.Assignment()
	added := partitions
	var err error
	if cg.protocol == assignor.Cooperative {
		added = minus(partitions, owned)
		if gone := minus(owned, partitions); len(gone) > 0 {
			err = g.revoked(gone)
			cg.m.Rejoin("need to revoke partitions and re-join")
		}
	}
	cg.held, cg.heldSince = slices.Clone(partitions), cg.m.Generation.ID
	g.commits.restart(g.now())
	if failed := g.assigned(partitions, added); err == nil {
		err = failed
	}
	return err
}

// takes reports whether partitions of topic are accepted: those that it was joined
// for, and with a pattern all that match.
func (cg *classicGroup) takes(topic string) bool {
	s := &cg.g.subscription
	if s.pattern != nil {
		return wholly(s.pattern, topic)
	}
	return s.matches(topic)
}

// subscriptionOf reads what a member sent with its JoinGroup.
func subscriptionOf(m *kmsg.JoinGroupResponseMember) (assignor.Member, error) {
	s, err := assignor.DecodeSubscription(m.ProtocolMetadata)
	if err != nil {
		return assignor.Member{}, fmt.Errorf("member %s: %w", m.MemberID, err)
	}
	return assignor.Member{
		ID: m.MemberID, Instance: textOf(m.InstanceID), Rack: s.Rack, Topics: s.Topics,
		Owned: s.Owned, Generation: s.Generation, UserData: s.UserData,
	}, nil
}

// knowsTopics reports whether the cluster has told of all topics of the members, and
// asks if it has not.
func (cg *classicGroup) knowsTopics(members []kmsg.JoinGroupResponseMember) bool {
	s, m := &cg.g.subscription, &cg.g.c.net.metadata
	var all []string
	for i := range members {
		if one, err := subscriptionOf(&members[i]); err == nil {
			all = append(all, one.Topics...)
		}
	}
	slices.Sort(all)
	s.group = slices.Compact(all)
	known := true
	for _, topic := range s.group {
		m.want(topic)
		known = known && m.topics[topic].asked
	}
	return known
}

// lead divides the partitions among the members.
func (cg *classicGroup) lead(r *kmsg.JoinGroupResponse) ([]kmsg.SyncGroupRequestGroupAssignment, error) {
	s := &cg.g.subscription
	cg.leader = true
	cg.snapshot, cg.compared = cg.topicsNow(s.group), cg.g.c.net.metadata.version
	if r.SkipAssignment {
		return nil, nil // a static leader that came back: the assignment stays (KIP-814)
	}
	chosen := slices.IndexFunc(cg.assignors, func(a assignor.Assignor) bool { return a.Name() == textOf(r.Protocol) })
	if chosen < 0 {
		return nil, fmt.Errorf("coordinator selected invalid assignment protocol: %q", textOf(r.Protocol))
	}
	var members []assignor.Member
	for i := range r.Members {
		one, err := subscriptionOf(&r.Members[i])
		if err != nil {
			return nil, err
		}
		members = append(members, one)
	}
	shares := cg.assignors[chosen].Assign(cg.topics(s.group), members)
	var out []kmsg.SyncGroupRequestGroupAssignment
	for _, m := range members {
		share := kmsg.NewSyncGroupRequestGroupAssignment()
		share.MemberID = m.ID
		share.MemberAssignment = assignor.EncodeAssignment(assignor.Assignment{Version: assignor.MaxSubscription, Partitions: shares[m.ID]})
		out = append(out, share)
	}
	return out, nil
}

// topics are the partitions of topics with the racks of their replicas.
func (cg *classicGroup) topics(names []string) assignor.Topics {
	m := &cg.g.c.net.metadata
	all := assignor.Topics{}
	for _, name := range names {
		t := m.topic(name)
		if t == nil {
			continue
		}
		for _, p := range t.parts {
			var racks assignor.Racks
			for _, id := range p.replicas {
				if at, found := m.find(kafka.NodeID(id)); found && m.brokers[at].rack != "" {
					racks = append(racks, m.brokers[at].rack)
				}
			}
			all[name] = append(all[name], racks)
		}
	}
	return all
}

// topicsNow is what topics are, in a form that can be compared: how many partitions,
// and on what racks.
func (cg *classicGroup) topicsNow(names []string) map[string]string {
	now, topics := map[string]string{}, cg.topics(names)
	for _, name := range slices.Sorted(maps.Keys(topics)) {
		now[name] = fmt.Sprintf("%q", topics[name])
	}
	return now
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
