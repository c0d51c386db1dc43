package member

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// ClassicState is where a member is in the protocol of a classic group.
type ClassicState uint8

const (
	Unjoined   ClassicState = iota // not in the group
	Preparing                      // a JoinGroup has no answer yet
	Completing                     // it has joined, and waits for its assignment
	Joined                         // it has its assignment (Kafka: STABLE)
)

var classicStates = []string{"unjoined", "preparing", "completing", "stable"}

func (s ClassicState) String() string { return classicStates[s] }

// Classic is a member of a classic group.
type Classic struct {
	cfg Config

	State      ClassicState
	Generation Generation

	// rejoin: it is to join, or to join again, for this reason.
	rejoin bool
	reason string
	// prepare: before it joins, the application has to be told of what it loses.
	prepare bool
	// joining: a JoinGroup, or the SyncGroup that follows, is on its way, or its
	// end has yet to be taken in by a poll.
	joining bool
	// beats: it has joined since it was last out of the group. No heartbeats are
	// sent before, nor while a JoinGroup is on its way.
	beats bool

	inFlight bool          // a heartbeat is
	beatAt   time.Duration // when the next heartbeat is due
	session  time.Duration // when the session ends, unless an answer comes
	pollBy   time.Duration // when the application has to have polled

	// fenced is the error of a heartbeat that the application has yet to learn.
	fenced error
}

// NewClassic is a member that wants to join.
func NewClassic(cfg Config) *Classic {
	return &Classic{cfg: cfg, Generation: None, rejoin: true, prepare: true}
}

// Dynamic reports whether it leaves the group when it ends: a static member comes
// back under the same name (KIP-345).
func (m *Classic) Dynamic() bool { return m.cfg.Instance == "" }

// NeedsJoin reports whether a poll has to join, or go on with it.
func (m *Classic) NeedsJoin() bool { return m.rejoin || m.joining }

// NeedsPrepare reports whether the application has to be told before a join. Each
// time that it is true, Prepared must follow.
func (m *Classic) NeedsPrepare() bool { return m.prepare && !m.joining }

// Prepared says that the application was told.
func (m *Classic) Prepared() { m.prepare = false }

// Joining reports whether a join is going on.
func (m *Classic) Joining() bool { return m.joining }

// Reason is why it joins again, as JoinGroup has it (KIP-800).
func (m *Classic) Reason() string { return m.reason }

// Rejoin has it join again.
func (m *Classic) Rejoin(reason string) { m.rejoin, m.reason = true, reason }

// Rebalancing reports whether a rebalance is under way.
func (m *Classic) Rebalancing() bool { return m.State == Preparing || m.State == Completing }

// Join begins a join: the JoinGroup is about to be sent, as the generation that
// is returned.
func (m *Classic) Join() Generation {
	m.State, m.joining = Preparing, true
	return m.Generation
}

// reset takes it out of the group. Without its member id it comes back as another
// member.
func (m *Classic) reset(reason string, forgetID bool) {
	id := m.Generation.Member
	if forgetID {
		id = ""
	}
	m.State, m.Generation = Unjoined, Generation{ID: NoGeneration, Member: id}
	m.Rejoin(reason)
	m.prepare = true // KAFKA-12983
}

// JoinAnswer is what JoinGroup answered.
type JoinAnswer struct {
	Code         int16
	ProtocolType *string
	Generation   Generation
}

// protocolType is that of all consumers.
const protocolType = "consumer"

// Joined takes in the answer to a JoinGroup that was sent as sent. Without an error
// a SyncGroup follows.
func (m *Classic) Joined(now time.Duration, sent Generation, a JoinAnswer) Verdict {
	err := known(a.Code)
	switch {
	case err == nil && a.ProtocolType != nil && *a.ProtocolType != protocolType:
		return m.joinFailed(kerr.InconsistentGroupProtocol, Never)
	case err == nil && m.State != Preparing:
		// It has left meanwhile.
		return m.joinFailed(fmt.Errorf("the member left the group before the answer to JoinGroup came"), AfterWait)
	case err == nil:
		m.State, m.Generation = Completing, a.Generation
		m.beats = true
		m.resetTimers(now)
		return Verdict{}
	}
	switch err {
	case kerr.CoordinatorLoadInProgress:
		return m.joinFailed(err, AfterWait)
	case kerr.UnknownMemberID:
		if m.Generation == sent {
			m.reset("encountered UNKNOWN_MEMBER_ID from JOIN_GROUP response", true)
		}
		return m.joinFailed(err, AtOnce)
	case kerr.CoordinatorNotAvailable, kerr.NotCoordinator:
		v := m.joinFailed(err, AfterWait)
		v.Rediscover = true
		return v
	case kerr.MemberIDRequired:
		// A broker makes the id known before the member counts (KIP-394).
		m.Generation = Generation{ID: NoGeneration, Member: a.Generation.Member}
		m.joining = false
		m.Rejoin("need to re-join with the given member-id: " + a.Generation.Member)
		return Verdict{Err: err, Retry: AtOnce}
	case kerr.RebalanceInProgress:
		return m.joinFailed(err, AtOnce)
	}
	// FENCED_INSTANCE_ID is fatal even if the generation has changed.
	return m.joinFailed(err, Never)
}

// joinFailed ends a join without success.
func (m *Classic) joinFailed(err error, retry Retry) Verdict {
	m.joining = false
	m.Rejoin(fmt.Sprintf("rebalance failed due to %v", short(err)))
	return Verdict{Err: err, Retry: retry}
}

func short(err error) string {
	if k, ok := err.(*kerr.Error); ok {
		return k.Message
	}
	return err.Error()
}

// JoinBroke says that a JoinGroup or SyncGroup has no answer.
func (m *Classic) JoinBroke(err error) Verdict {
	v := m.joinFailed(err, AfterWait)
	v.Rediscover = true
	return v
}

// LeadFailed says that the leader could not divide the partitions.
func (m *Classic) LeadFailed(err error) Verdict { return m.joinFailed(err, Never) }

// SyncAnswer is what SyncGroup answered.
type SyncAnswer struct {
	Code         int16
	ProtocolType *string
	Protocol     *string
}

// Synced takes in the answer to a SyncGroup that was sent as sent. Without an error
// the member has its assignment: Complete must follow, in a poll.
func (m *Classic) Synced(sent Generation, a SyncAnswer) Verdict {
	err := known(a.Code)
	switch {
	case err == nil && a.ProtocolType != nil && *a.ProtocolType != protocolType:
		return m.joinFailed(kerr.InconsistentGroupProtocol, Never)
	case err == nil && (m.Generation.Unknown() || m.State != Completing):
		// A heartbeat, or the application's silence, has taken it out of the group.
		return m.joinFailed(kerr.IllegalGeneration, AtOnce)
	case err == nil && a.Protocol != nil && *a.Protocol != m.Generation.Protocol:
		return m.joinFailed(kerr.InconsistentGroupProtocol, Never)
	case err == nil:
		m.State, m.rejoin, m.reason = Joined, false, ""
		return Verdict{}
	}
	switch err {
	case kerr.RebalanceInProgress:
		// The generation stays: what the member owns it still owns (KAFKA-13419,
		// KAFKA-13891).
		return m.joinFailed(err, AtOnce)
	case kerr.UnknownMemberID, kerr.IllegalGeneration:
		if m.Generation == sent {
			m.reset(fmt.Sprintf("encountered %s from SYNC_GROUP response", err.Message), err != kerr.IllegalGeneration)
		}
		return m.joinFailed(err, AtOnce)
	case kerr.CoordinatorNotAvailable, kerr.NotCoordinator:
		v := m.joinFailed(err, AfterWait)
		v.Rediscover = true
		return v
	}
	// COORDINATOR_LOAD_IN_PROGRESS is raised, too.
	return m.joinFailed(err, Never)
}

// Complete ends a join whose SyncGroup was answered. It reports false if the member
// has left the generation meanwhile: then it joins anew.
func (m *Classic) Complete() bool {
	m.joining = false
	if m.State != Joined || m.Generation.Unknown() {
		m.reset("the generation or state was modified by a heartbeat before the rebalance was completed", true)
		return false
	}
	m.prepare = true
	return true
}

// resetTimers begins all times anew.
func (m *Classic) resetTimers(now time.Duration) {
	m.inFlight = false
	m.beatAt = now + m.cfg.HeartbeatInterval
	m.session = now + m.cfg.SessionTimeout
	m.pollBy = now + m.cfg.MaxPollInterval
}

// Polled says that the application has polled.
func (m *Classic) Polled(now time.Duration) { m.pollBy = now + m.cfg.MaxPollInterval }

// CoordinatorFound begins the session anew: the new one may not have seen the last
// heartbeat.
func (m *Classic) CoordinatorFound(now time.Duration) { m.session = now + m.cfg.SessionTimeout }

// Deed is what the background is to do for a member.
type Deed uint8

const (
	Nothing     Deed = iota
	Discover         // look for the coordinator
	Distrust         // forget it: no answer within the session timeout
	LeaveSilent      // leave: the application is silent
	Beat             // send a heartbeat
)

// Due is what the background is to do now, with the coordinator known or not.
func (m *Classic) Due(now time.Duration, coordinator bool) Deed {
	switch {
	case !m.active():
		return Nothing
	case !coordinator:
		return Discover
	case now >= m.session:
		return Distrust
	case now >= m.pollBy:
		return LeaveSilent
	case now >= m.beatAt && !m.inFlight:
		return Beat
	}
	return Nothing
}

// active reports whether heartbeats are sent.
func (m *Classic) active() bool {
	return m.beats && (m.State == Completing || m.State == Joined)
}

// NextDue is when Due is to be asked again; not ok: not before something happens.
func (m *Classic) NextDue() (at time.Duration, ok bool) {
	if !m.active() {
		return 0, false
	}
	at = min(m.session, m.pollBy)
	if !m.inFlight {
		at = min(at, m.beatAt)
	}
	return at, true
}

// BeatSent says that a heartbeat was sent, as the generation that is returned.
func (m *Classic) BeatSent(now time.Duration) Generation {
	m.inFlight, m.beatAt = true, now+m.cfg.HeartbeatInterval
	return m.Generation
}

// Beaten takes in the answer to a heartbeat that was sent as sent. backoff is how
// long to wait after one that failed.
func (m *Classic) Beaten(now, backoff time.Duration, sent Generation, code int16) Verdict {
	m.inFlight = false
	err := known(code)
	switch err {
	case nil:
		m.session = now + m.cfg.SessionTimeout
		return Verdict{}
	case kerr.RebalanceInProgress:
		// The member goes on with its heartbeats until it joins.
		m.session = now + m.cfg.SessionTimeout
		if m.State == Joined {
			m.Rejoin("group is already rebalancing")
		}
		return Verdict{}
	case kerr.CoordinatorNotAvailable, kerr.NotCoordinator:
		m.beatAt = now + backoff
		return Verdict{Err: err, Retry: AfterWait, Rediscover: true}
	case kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.FencedInstanceID:
		if m.Generation != sent {
			m.session = now + m.cfg.SessionTimeout
			return Verdict{} // of a generation that is over (KAFKA-9823)
		}
		m.reset(fmt.Sprintf("encountered %s from HEARTBEAT response", err.Message), err != kerr.IllegalGeneration)
		if err == kerr.FencedInstanceID {
			m.fenced = err
			return Verdict{Err: err, Retry: Never}
		}
		return Verdict{Err: err, Retry: AtOnce}
	}
	m.beatAt = now + backoff
	return Verdict{Err: err, Retry: AfterWait}
}

// TakeFenced is the error of a heartbeat that ended the membership of an instance,
// for a poll to return; once.
func (m *Classic) TakeFenced() error {
	err := m.fenced
	m.fenced = nil
	return err
}

// BeatBroke says that a heartbeat has no answer.
func (m *Classic) BeatBroke(now, backoff time.Duration) {
	m.inFlight, m.beatAt = false, now+backoff
}

// Leave takes it out of the group. It reports whether the coordinator is told, by a
// LeaveGroup of the generation that is returned: it is not by a static member.
func (m *Classic) Leave(reason string) (Generation, bool) {
	g, told := m.Generation, m.Dynamic() && m.State != Unjoined && m.Generation.Member != ""
	m.reset(reason, true)
	m.joining = false
	return g, told
}

// CommitAs is the generation to commit as.
func (m *Classic) CommitAs() (Generation, error) {
	switch {
	case m.State == Joined:
		return m.Generation, nil
	case m.Rebalancing():
		return None, fmt.Errorf("offset commit cannot be completed since the consumer is undergoing a rebalance for auto partition assignment: %w", kerr.RebalanceInProgress)
	}
	return None, fmt.Errorf("offset commit cannot be completed since the consumer is not part of an active group for auto partition assignment: %w", ErrCommitFailed)
}

// Committed takes in the error of a commit that was sent as sent.
func (m *Classic) Committed(sent Generation, err *kerr.Error) Verdict {
	switch err {
	case nil:
		return Verdict{}
	case kerr.FencedInstanceID:
		if m.Generation == sent {
			return Verdict{Err: err}
		}
		return m.staleCommit()
	case kerr.RebalanceInProgress:
		m.Rejoin("offset commit failed since group is already rebalancing")
		return Verdict{Err: fmt.Errorf("offset commit cannot be completed since the consumer group is executing a rebalance at the moment: %w", err)}
	case kerr.UnknownMemberID, kerr.IllegalGeneration:
		if m.Generation != sent {
			return m.staleCommit()
		}
		m.reset(fmt.Sprintf("encountered %s from OFFSET_COMMIT response", err.Message), err != kerr.IllegalGeneration)
		return Verdict{Err: fmt.Errorf("%w: %w", ErrCommitFailed, err)}
	}
	return CommitVerdict(err)
}

// staleCommit is the verdict of a commit whose generation is over.
func (m *Classic) staleCommit() Verdict {
	if m.Rebalancing() {
		return Verdict{Err: fmt.Errorf("offset commit cannot be completed since the consumer member's old generation is stale: %w", kerr.RebalanceInProgress)}
	}
	return Verdict{Err: ErrCommitFailed}
}

// CommitVerdict is what both kinds of members make of the error of a commit.
func CommitVerdict(err *kerr.Error) Verdict {
	switch err {
	case nil:
		return Verdict{}
	case kerr.CoordinatorLoadInProgress, kerr.UnknownTopicOrPartition:
		return Verdict{Err: err, Retry: AfterWait}
	case kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.RequestTimedOut:
		return Verdict{Err: err, Retry: AfterWait, Rediscover: true}
	}
	return Verdict{Err: err}
}
