package client

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/assignor"
	"github.com/ktrial/ktrial/broker/client/member"
	"github.com/ktrial/ktrial/broker/kafka"
)

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
	v := cg.m.JoinAnswered(now, j.sent, member.JoinAnswer{
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
			s.verdict = cg.m.SyncAnswered(sent, member.SyncAnswer{Code: r.ErrorCode, ProtocolType: r.ProtocolType, Protocol: r.Protocol})
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
	g.ownedAs = cg.generation()
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
