package client

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/client/member"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
)

// modernGroup is a member of a KIP-848 group: what member.Modern decides, it does.
// Heartbeats are sent in the background. What concerns the listener, and with
// enable.auto.commit the whole of a reconciliation, waits for polls.
type modernGroup struct {
	g *group
	m *member.Modern

	subscribed int // the version of the subscription that the machine knows

	// r is the reconciliation that is going on; nil: none is.
	r       *member.Reconciliation
	commit  preparation           // its auto-commit
	names   map[kafka.UUID]string // of topics that it owns, should the metadata forget them
	refused error                 // for the application: a topic that it may not read
}

func newModernGroup(g *group) *modernGroup {
	cfg := &g.c.cfg
	id := kafka.NewUUID(g.c.net.host.Rand()).String()
	return &modernGroup{g: g, m: member.NewModern(g.cfg, id, cfg.RemoteAssignor, cfg.Bugs), names: map[kafka.UUID]string{}}
}

func (mg *modernGroup) generation() member.Generation { return mg.m.Generation() }

// commitAs is always possible: the coordinator refuses a member that is none.
func (mg *modernGroup) commitAs() (member.Generation, error) { return mg.m.Generation(), nil }

func (mg *modernGroup) settled() bool { return true }

func (mg *modernGroup) committed(_ member.Generation, err *kerr.Error) member.Verdict {
	return mg.m.CommitAnswered(err)
}

func (mg *modernGroup) fetchAs() *member.Generation {
	as := mg.m.Generation()
	if as.ID <= 0 {
		return nil
	}
	return &as
}

func (mg *modernGroup) coordinatorFound(time.Duration) {}

func (mg *modernGroup) wakeAt() (at time.Duration, ok bool) { return mg.m.NextDue() }

// work sends heartbeats, and leaves the group of an application that is silent.
func (mg *modernGroup) work(now time.Duration) {
	g := mg.g
	for {
		switch mg.m.Due(now, g.coordinator.known()) {
		case member.FindCoordinator:
			g.coordinator.ready(now)
			return
		case member.LeaveGroup:
			g.c.net.host.Tell(&witness.ConsumerLeft{Membership: g.membership(), Reason: "consumer poll timeout has expired"})
			mg.m.PollExpired()
			g.c.arrived.Broadcast()
		case member.SendHeartbeat:
			mg.heartbeat(now)
		default:
			mg.reconcileAlone(now)
			return
		}
	}
}

func (mg *modernGroup) heartbeat(now time.Duration) {
	g := mg.g
	as := mg.m.Generation()
	req, life := mg.m.Heartbeat(now)
	g.coordinator.send(req, g.c.cfg.RequestTimeout, func(resp kmsg.Response, err error) {
		defer g.news()
		now := g.now()
		backoff := g.c.net.retryBackoff(mg.m.Failures() + 1)
		if err != nil {
			mg.m.HeartbeatBroke(now, backoff, life)
			return
		}
		answer := resp.(*kmsg.ConsumerGroupHeartbeatResponse)
		mg.tellTarget(as, answer)
		v := mg.m.HeartbeatAnswered(now, backoff, life, answer)
		mg.heartbeatAnswered(as, v)
	})
}

// tellTarget tells what an answer says that the member is to have.
func (mg *modernGroup) tellTarget(as member.Generation, answer *kmsg.ConsumerGroupHeartbeatResponse) {
	if answer.ErrorCode != 0 || answer.Assignment == nil {
		return
	}
	g := mg.g
	e := &witness.TargetReceived{Membership: g.membershipAs(as)}
	for _, t := range answer.Assignment.Topics {
		e.Total += len(t.Partitions)
		if name := g.c.net.metadata.nameOf(t.TopicID); name != "" {
			for _, p := range t.Partitions {
				e.Partitions = append(e.Partitions, kafka.TopicPartition{Topic: name, Partition: p})
			}
		}
	}
	slices.SortFunc(e.Partitions, kafka.TopicPartition.Compare)
	g.c.net.host.Tell(e)
}

// heartbeatAnswered does what comes of the answer to a heartbeat.
func (mg *modernGroup) heartbeatAnswered(as member.Generation, v member.Verdict) {
	g := mg.g
	if v.Rediscover {
		g.coordinator.forget("error response " + errorName(v.Err))
	}
	switch {
	case v.Err == nil:
	case mg.m.State == member.Fenced || mg.m.State == member.Fatal:
		g.c.net.host.Tell(&witness.ConsumerFenced{Membership: g.membershipAs(as), Error: witness.ErrorOf(v.Err)})
	case errors.Is(v.Err, kerr.TopicAuthorizationFailed):
		mg.refused = v.Err
	}
}

// errorName is the name of the Kafka error that err is or wraps.
func errorName(err error) string {
	var k *kerr.Error
	if errors.As(err, &k) {
		return k.Message
	}
	return "none"
}

// poll joins, calls the listener, and goes on with a reconciliation.
func (mg *modernGroup) poll(now time.Duration) error {
	g := mg.g
	mg.m.Polled(now)
	if v := g.subscription.version; v != mg.subscribed && (g.subscription.pattern == nil || g.c.net.metadata.version > 0) {
		mg.subscribed = v
		mg.m.Subscribe(member.Subscribed{Topics: slices.Clone(g.subscription.topics), Regex: g.subscription.re2})
	}
	g.run()
	if err := mg.release(now); err != nil {
		return err
	}
	if err := mg.m.TakeFatal(); err != nil {
		return fmt.Errorf("client: poll: member of group %s: %w", g.cfg.Group, err)
	}
	if err := mg.refused; err != nil {
		mg.refused = nil
		return fmt.Errorf("client: poll: member of group %s: %w", g.cfg.Group, err)
	}
	return mg.reconcile(now)
}

// release tells the application that all is lost, if it is.
func (mg *modernGroup) release(now time.Duration) error {
	if !mg.m.Loses() {
		return nil
	}
	mg.abort()
	var err error
	if owned := mg.g.c.Assignment(); len(owned) > 0 {
		err = mg.g.lost(owned)
	}
	mg.m.Released()
	mg.m.Polled(now)
	mg.g.run()
	return err
}

// reconcileAlone reconciles without a poll, where no listener is to be called and
// nothing to be committed.
func (mg *modernGroup) reconcileAlone(now time.Duration) {
	l := &mg.g.listener
	if mg.g.commits.autoCommit() || l.Assigned != nil || l.Revoked != nil || l.Lost != nil {
		return
	}
	// Without a listener there is no error.
	_ = mg.reconcile(now)
}

// reconcile goes on with a reconciliation, or begins one: what is given up stops being
// read, is committed, given up and at last acknowledged.
func (mg *modernGroup) reconcile(now time.Duration) error {
	if mg.r == nil && !mg.begin() {
		return nil
	}
	if mg.m.Aborts() {
		mg.abort()
		return nil
	}
	if mg.g.commits.autoCommit() && !mg.committedBefore(now) {
		return nil
	}
	return mg.apply()
}

// begin reports whether there is something to reconcile.
func (mg *modernGroup) begin() bool {
	g := mg.g
	before := mg.m.State
	r, unnamed := mg.m.Reconcile(g.c.Assignment(), mg.nameOf)
	if unnamed {
		g.c.net.metadata.requestUpdate()
	}
	if before != mg.m.State {
		g.run()
	}
	if r == nil {
		return false
	}
	mg.r, mg.commit = r, preparation{by: g.now() + g.cfg.MaxPollInterval}
	for _, tp := range r.Revoked {
		if a := g.c.find(tp); a != nil {
			a.revoking = true
		}
	}
	if len(r.Revoked) > 0 {
		g.c.attendToAll()
	}
	return true
}

// nameOf is the name of a topic that is assigned.
func (mg *modernGroup) nameOf(id kafka.UUID) string {
	if name := mg.g.c.net.metadata.nameOf(id); name != "" {
		mg.names[id] = name
		return name
	}
	return mg.names[id]
}

// committedBefore makes the auto-commit before a reconciliation. It reports whether
// that has ended: it is made again, with the newest positions and as the member is by
// then, until the rebalance timeout is over.
func (mg *modernGroup) committedBefore(now time.Duration) bool {
	g, p := mg.g, &mg.commit
	if !p.asked && now >= p.retryAt {
		p.asked, p.done = true, false
		g.commits.async(g.commits.consumed(), true, func(err error) { p.done, p.err = true, err })
	}
	switch {
	case now >= p.by || p.asked && p.done && !mg.commitsAgain(p.err):
		return true
	case p.asked && p.done:
		p.asked, p.retryAt = false, now+g.c.net.retryBackoff(1)
	}
	if !p.asked {
		g.pollAgainAt(p.retryAt)
	}
	g.pollAgainAt(p.by)
	return false
}

// commitsAgain reports whether the auto-commit of a reconciliation is made again: a
// heartbeat may have brought a newer epoch meanwhile.
func (mg *modernGroup) commitsAgain(err error) bool {
	return errors.Is(err, ErrRetriableCommitFailed) || errors.Is(err, kerr.StaleMemberEpoch)
}

// apply gives up and takes over, and calls the listener.
func (mg *modernGroup) apply() error {
	g, r := mg.g, mg.r
	if len(r.Revoked) > 0 {
		if err := g.revoked(r.Revoked); err != nil {
			mg.fail()
			return err
		}
		if mg.m.Aborts() { // time has passed in the listener
			mg.r = nil
			return nil
		}
	}
	g.commits.restart(g.now())
	if err := g.assigned(r.Assigned, r.Added); err != nil {
		mg.fail()
		return err
	}
	mg.r = nil
	if mg.m.Aborts() {
		return nil
	}
	mg.m.Reconciled(r)
	g.run()
	return nil
}

func (mg *modernGroup) fail() {
	mg.r = nil
	mg.m.ReconcileFailed()
}

// abort ends a reconciliation that is of no more use. What it was to give up is read
// again, unless it is lost.
func (mg *modernGroup) abort() {
	if mg.r == nil {
		return
	}
	for _, a := range mg.g.c.assigned {
		a.revoking = false
	}
	mg.r = nil
	mg.m.Aborts()
	mg.g.c.attendToAll()
}

// leave calls the listener and leaves the group: the coordinator is told once, if it
// is known.
func (mg *modernGroup) leave(reason string, _ bool) error {
	g := mg.g
	owned := g.c.Assignment()
	left := &witness.ConsumerLeft{Membership: g.membership(), Reason: reason}
	in := mg.m.Leave()
	mg.r = nil
	var err error
	switch {
	case len(owned) == 0:
	case mg.m.Generation().Unknown():
		err = g.lost(owned)
	default:
		err = g.revoked(owned)
	}
	if in {
		g.c.net.host.Tell(left)
		mg.m.LeavePrepared()
		mg.work(g.now())
	}
	mg.subscribed = 0
	return err
}
