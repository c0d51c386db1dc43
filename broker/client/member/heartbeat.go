package member

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/planted"
)

// Heartbeat is the one that is due now. It says what has changed since the last one.
// life is to be given back with the answer.
func (m *Modern) Heartbeat(now time.Duration) (req *kmsg.ConsumerGroupHeartbeatRequest, life int) {
	req = kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch = m.cfg.Group, m.ID, m.Epoch
	if m.cfg.Instance != "" {
		req.InstanceID = &m.cfg.Instance
	}
	req.RebalanceTimeoutMillis = -1
	if m.State != Leaving {
		m.tellChanges(req)
	}
	m.inFlight, m.heartbeatAt = true, now+m.interval
	switch {
	case m.State == Acknowledging && m.current.equal(m.target):
		m.State = Stable
	case m.State == Acknowledging:
		m.State = Reconciling
	case m.State == Leaving && m.pollExpired:
		m.State, m.sent, m.inFlight = Stale, sentFields{}, false
	case m.State == Leaving:
		m.State, m.sent, m.inFlight = Unsubscribed, sentFields{}, false
	}
	return req, m.life
}

// tellChanges fills in what the coordinator does not know. A member that joins says
// all.
func (m *Modern) tellChanges(req *kmsg.ConsumerGroupHeartbeatRequest) {
	all, s := m.State == Joining, &m.sent
	if all && m.cfg.Rack != "" {
		req.RackID = &m.cfg.Rack
	}
	if all || s.timeout != m.cfg.MaxPollInterval {
		req.RebalanceTimeoutMillis = int32(m.cfg.MaxPollInterval.Milliseconds())
		s.timeout = m.cfg.MaxPollInterval
	}
	if names := m.subscribed.Topics; (all || s.names == nil || !slices.Equal(names, s.names)) && (m.subscribed.Regex == "" || len(s.names) > 0) {
		req.SubscribedTopicNames = append([]string{}, names...)
		s.names = req.SubscribedTopicNames
	}
	if regex := m.subscribed.Regex; all && regex != "" || regex != valueOf(s.regex) {
		req.SubscribedTopicRegex, s.regex = &regex, &regex // empty: no more
	}
	if m.assignor != "" && (all || m.assignor != valueOf(s.assignor)) {
		req.ServerAssignor, s.assignor = &m.assignor, &m.assignor
	}
	owned := m.current
	if m.State != Joining && m.bugs.On(planted.HeartbeatOwnsTarget) {
		m.bugs.Infected(planted.HeartbeatOwnsTarget, !m.target.partitions.equal(m.current.partitions))
		owned = m.target
	}
	if all || s.local == nil || !owned.equal(*s.local) {
		req.Topics = topicsOf(owned.partitions)
		s.local = &owned
	}
}

func valueOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// topicsOf is an assignment as a heartbeat has it; empty, where nil is no change.
func topicsOf(a Assignment) []kmsg.ConsumerGroupHeartbeatRequestTopic {
	out := []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	for _, t := range a {
		rt := kmsg.NewConsumerGroupHeartbeatRequestTopic()
		rt.TopicID, rt.Partitions = t.Topic, slices.Clone(t.Partitions)
		out = append(out, rt)
	}
	return out
}

// forgetSent has all told again: it is not known what the coordinator knows.
func (m *Modern) forgetSent() {
	if m.bugs.On(planted.HeartbeatNoReset) {
		m.bugs.Infected(planted.HeartbeatNoReset, m.sent.local != nil)
		return
	}
	m.sent = sentFields{}
}

// HeartbeatBroke says that a heartbeat has no answer.
func (m *Modern) HeartbeatBroke(now, backoff time.Duration, life int) {
	if life != m.life {
		return
	}
	m.inFlight = false
	m.failures++
	m.forgetSent()
	m.heartbeatAt = now + backoff
}

// HeartbeatAnswered takes in the answer to a heartbeat. backoff is how long to wait after one
// that failed.
func (m *Modern) HeartbeatAnswered(now, backoff time.Duration, life int, resp *kmsg.ConsumerGroupHeartbeatResponse) Verdict {
	if life != m.life {
		return Verdict{}
	}
	m.inFlight = false
	err := known(resp.ErrorCode)
	if err == nil {
		m.failures = 0
		m.interval = time.Duration(resp.HeartbeatIntervalMillis) * time.Millisecond
		m.heartbeatAt = now + m.interval
		m.succeeded(resp)
		return Verdict{}
	}
	m.failures++
	m.forgetSent()
	m.heartbeatAt = now + backoff
	switch err {
	case kerr.NotCoordinator, kerr.CoordinatorNotAvailable:
		m.failures, m.heartbeatAt = 0, now // as soon as the coordinator is known
		return Verdict{Err: err, Retry: AfterWait, Rediscover: true}
	case kerr.CoordinatorLoadInProgress:
		return Verdict{Err: err, Retry: AfterWait}
	case kerr.FencedMemberEpoch, kerr.UnknownMemberID:
		m.fence()
		m.failures, m.heartbeatAt = 0, now
		return Verdict{Err: err, Retry: AtOnce}
	case kerr.TopicAuthorizationFailed:
		return Verdict{Err: refusal(err, resp.ErrorMessage), Retry: AfterWait}
	case kerr.GroupIDNotFound:
		if m.State == Unsubscribed {
			return Verdict{} // the group ended with its last member
		}
	}
	m.fail(refusal(err, resp.ErrorMessage))
	return Verdict{Err: err}
}

func refusal(err *kerr.Error, message *string) error {
	if text := valueOf(message); text != "" {
		return fmt.Errorf("%s: %w", text, err)
	}
	return err
}

func (m *Modern) fence() {
	switch m.State {
	case PrepareLeaving, Leaving, Unsubscribed, Stale, Fatal:
		return
	}
	m.Epoch, m.State = 0, Fenced
	m.rejoined = m.reconciling
}

func (m *Modern) fail(err error) {
	switch m.State {
	case PrepareLeaving, Leaving, Unsubscribed, Stale, Fatal:
		return
	}
	m.State, m.released, m.fatal = Fatal, false, err
}

func (m *Modern) succeeded(resp *kmsg.ConsumerGroupHeartbeatResponse) {
	if m.leaving() || m.silent() || resp.MemberEpoch < 0 {
		return
	}
	m.Epoch = resp.MemberEpoch
	if resp.Assignment == nil {
		return
	}
	if len(resp.Assignment.Topics) == 0 && m.bugs.On(planted.HeartbeatEmptyIsNoChange) {
		m.bugs.Infected(planted.HeartbeatEmptyIsNoChange, len(m.target.partitions) > 0)
		if m.State == Joining {
			m.State = Stable
		}
		return
	}
	var given Assignment
	for _, t := range resp.Assignment.Topics {
		given = append(given, TopicPartitions{t.TopicID, slices.Sorted(slices.Values(t.Partitions))})
	}
	slices.SortFunc(given, func(a, b TopicPartitions) int { return bytes.Compare(a.Topic[:], b.Topic[:]) })
	if m.target.epoch == noEpoch || !m.target.partitions.equal(given) {
		m.locals++
		m.target, m.stuck = local{m.locals, given}, false
	}
	switch {
	case !m.current.equal(m.target):
		m.State = Reconciling
	case m.State == Joining || m.State == Reconciling:
		m.State = Stable
	}
}
