package member

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
)

// ModernState is where a member is in the protocol of KIP-848, by Kafka's names.
type ModernState uint8

const (
	Unsubscribed   ModernState = iota // no member
	Joining                           // a heartbeat with epoch 0 is due
	Reconciling                       // the target assignment is not what it owns
	Acknowledging                     // what it owns has to be told
	Stable                            // it owns its target assignment
	Fenced                            // refused: it loses all, then joins anew
	PrepareLeaving                    // the application gives its partitions up
	Leaving                           // a heartbeat that says so is due
	Stale                             // the application is silent; it has left
	Fatal                             // refused for good
)

var modernStates = []string{"UNSUBSCRIBED", "JOINING", "RECONCILING", "ACKNOWLEDGING", "STABLE", "FENCED", "PREPARE_LEAVING", "LEAVING", "STALE", "FATAL"}

func (s ModernState) String() string { return modernStates[s] }

// Epochs with which a member leaves: a static one comes back (KIP-345).
const (
	leaveEpoch       int32 = -1
	leaveStaticEpoch int32 = -2
)

// Assignment is partitions by topic id, sorted.
type Assignment []TopicPartitions

// TopicPartitions are partitions of one topic, sorted.
type TopicPartitions struct {
	Topic      kafka.UUID
	Partitions []int32
}

func (a Assignment) equal(b Assignment) bool {
	return slices.EqualFunc(a, b, func(x, y TopicPartitions) bool {
		return x.Topic == y.Topic && slices.Equal(x.Partitions, y.Partitions)
	})
}

// local is an assignment with a number that only this member knows: the same
// partitions given again are told again.
type local struct {
	epoch      int // noEpoch: there is none
	partitions Assignment
}

const noEpoch = -1

func (l local) equal(other local) bool {
	return l.epoch == other.epoch && l.partitions.equal(other.partitions)
}

// Subscribed is what a member is subscribed to.
type Subscribed struct {
	Topics []string // sorted
	Regex  string
}

// Modern is a member of a KIP-848 group.
type Modern struct {
	cfg      Config
	assignor string // group.remote.assignor
	bugs     *planted.Set

	State ModernState
	ID    string // for the life of the process
	Epoch int32

	// life counts the times that it joined or left: an answer to a heartbeat of an
	// earlier one is of no more use.
	life int

	subscribed Subscribed
	target     local // as the coordinator last said
	current    local // as it was last reconciled
	locals     int   // given so far

	reconciling bool // a Reconciliation is going on
	rejoined    bool // since it began
	stuck       bool // the listener failed: the coordinator will fence the member

	sent sentFields

	interval    time.Duration // of heartbeats, by the coordinator
	beatAt      time.Duration
	inFlight    bool
	failures    int // in a row
	pollBy      time.Duration
	pollExpired bool
	released    bool // while Stale or Fatal: the application was told
	fatal       error
}

// sentFields are what the coordinator was told last: only what has changed is told
// again. Any error or missing answer has all of it told anew.
type sentFields struct {
	timeout  time.Duration // 0: not told
	names    []string      // nil: not told
	regex    *string
	assignor *string
	local    *local
}

// firstInterval is that of heartbeats until the coordinator has said one.
const firstInterval = 5 * time.Second

// NewModern is a member with an id for the life of the process.
func NewModern(cfg Config, id, assignor string, bugs *planted.Set) *Modern {
	none := local{epoch: noEpoch}
	return &Modern{cfg: cfg, ID: id, assignor: assignor, bugs: bugs, interval: firstInterval, target: none, current: none}
}

// Generation is as what the member is in the group.
func (m *Modern) Generation() Generation {
	if m.Epoch <= 0 {
		return Generation{ID: NoGeneration, Member: m.ID}
	}
	return Generation{ID: m.Epoch, Member: m.ID}
}

// Failures counts the heartbeats that failed in a row.
func (m *Modern) Failures() int { return m.failures }

// Subscribe takes in what the application wants. A member that is not in the group
// joins.
func (m *Modern) Subscribe(to Subscribed) {
	m.subscribed = to
	if m.State == Unsubscribed {
		m.join()
	}
}

// join has it join, as the member that it is.
func (m *Modern) join() {
	if m.State == Fatal {
		return
	}
	m.rejoined = m.reconciling
	m.Epoch, m.State, m.stuck, m.inFlight = 0, Joining, false, false
	m.life++
	none := local{epoch: noEpoch}
	m.target, m.current = none, none
}

// Polled says that the application has polled. A member that it was silent for joins
// again when it has been told of its loss.
func (m *Modern) Polled(now time.Duration) {
	m.pollExpired = false
	m.pollBy = now + m.cfg.MaxPollInterval
	if m.State == Stale && m.released {
		m.join()
	}
}

// Loses reports whether the application has to be told that all is lost; Released
// must follow.
func (m *Modern) Loses() bool {
	return m.State == Fenced || (m.State == Stale || m.State == Fatal) && !m.released
}

// Released says that the application was told that all is lost.
func (m *Modern) Released() {
	m.released = true
	if m.State == Fenced {
		m.join()
	}
}

// TakeFatal is the error that ended the membership, for a poll to return; once.
func (m *Modern) TakeFatal() error {
	err := m.fatal
	m.fatal = nil
	return err
}

// silent reports whether no heartbeats are sent.
func (m *Modern) silent() bool {
	return m.State == Unsubscribed || m.State == Fatal || m.State == Stale || m.State == Fenced
}

func (m *Modern) leaving() bool { return m.State == PrepareLeaving || m.State == Leaving }

// Due is what the background is to do now, with the coordinator known or not.
func (m *Modern) Due(now time.Duration, coordinator bool) Deed {
	switch {
	case m.silent():
		return Nothing
	case !coordinator && m.State == Leaving:
		m.State = Unsubscribed // it is told once, or not at all
		return Nothing
	case !coordinator:
		return Discover
	case now >= m.pollBy && !m.leaving():
		return LeaveSilent
	case m.inFlight && m.State != Leaving:
		return Nothing
	case m.hurries() || now >= m.beatAt:
		return Beat
	}
	return Nothing
}

// hurries reports whether a heartbeat does not wait for the interval. After a failure
// it waits for the backoff.
func (m *Modern) hurries() bool {
	return m.State == Leaving || m.failures == 0 && (m.State == Joining || m.State == Acknowledging)
}

// NextDue is when Due is to be asked again; not ok: not before something happens.
func (m *Modern) NextDue() (at time.Duration, ok bool) {
	if m.silent() {
		return 0, false
	}
	at = m.pollBy
	if !m.inFlight && m.State != PrepareLeaving {
		at = min(at, m.beatAt)
	}
	return at, true
}

// PollExpired has it leave the group of an application that is silent. A heartbeat
// that says so is due.
func (m *Modern) PollExpired() {
	m.pollExpired, m.released = true, false
	m.life++
	m.Epoch, m.State = m.leaveAs(), Leaving
	m.current = local{epoch: noEpoch}
}

func (m *Modern) leaveAs() int32 {
	if m.cfg.Instance != "" {
		return leaveStaticEpoch
	}
	return leaveEpoch
}

// Leave begins to leave. It reports false if the member is not in the group.
func (m *Modern) Leave() bool {
	if m.silent() {
		if m.State != Fatal {
			m.State = Unsubscribed
		}
		return false
	}
	m.State = PrepareLeaving
	return true
}

// LeavePrepared says that the application has given its partitions up.
func (m *Modern) LeavePrepared() {
	m.life++
	m.Epoch, m.State = m.leaveAs(), Leaving
	none := local{epoch: noEpoch}
	m.target, m.current = none, none
}

// Beat is the heartbeat that is due now. It says what has changed since the last one.
// life is to be given back with the answer.
func (m *Modern) Beat(now time.Duration) (req *kmsg.ConsumerGroupHeartbeatRequest, life int) {
	req = kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch = m.cfg.Group, m.ID, m.Epoch
	if m.cfg.Instance != "" {
		req.InstanceID = &m.cfg.Instance
	}
	req.RebalanceTimeoutMillis = -1
	if m.State != Leaving {
		m.tellChanges(req)
	}
	m.inFlight, m.beatAt = true, now+m.interval
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

// BeatBroke says that a heartbeat has no answer.
func (m *Modern) BeatBroke(now, backoff time.Duration, life int) {
	if life != m.life {
		return
	}
	m.inFlight = false
	m.failures++
	m.forgetSent()
	m.beatAt = now + backoff
}

// Beaten takes in the answer to a heartbeat. backoff is how long to wait after one
// that failed.
func (m *Modern) Beaten(now, backoff time.Duration, life int, resp *kmsg.ConsumerGroupHeartbeatResponse) Verdict {
	if life != m.life {
		return Verdict{}
	}
	m.inFlight = false
	err := known(resp.ErrorCode)
	if err == nil {
		m.failures = 0
		m.interval = time.Duration(resp.HeartbeatIntervalMillis) * time.Millisecond
		m.beatAt = now + m.interval
		m.succeeded(resp)
		return Verdict{}
	}
	m.failures++
	m.forgetSent()
	m.beatAt = now + backoff
	switch err {
	case kerr.NotCoordinator, kerr.CoordinatorNotAvailable:
		m.failures, m.beatAt = 0, now // as soon as the coordinator is known
		return Verdict{Err: err, Retry: AfterWait, Rediscover: true}
	case kerr.CoordinatorLoadInProgress:
		return Verdict{Err: err, Retry: AfterWait}
	case kerr.FencedMemberEpoch, kerr.UnknownMemberID:
		m.fence()
		m.failures, m.beatAt = 0, now
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

// Reconciliation is how a member comes from what it owns to what it shall own.
type Reconciliation struct {
	to                       local
	Assigned, Added, Revoked []kafka.TopicPartition
}

// Reconcile begins a reconciliation, if there is one to begin; nameOf names topics,
// and owned is in order. Topics without a name wait for newer metadata: unnamed says
// that there are some.
func (m *Modern) Reconcile(owned []kafka.TopicPartition, nameOf func(kafka.UUID) string) (r *Reconciliation, unnamed bool) {
	if m.State != Reconciling || m.reconciling || m.stuck || m.current.equal(m.target) {
		return nil, false
	}
	r = &Reconciliation{to: local{epoch: m.target.epoch}}
	for _, t := range m.target.partitions {
		name := nameOf(t.Topic)
		if name == "" {
			unnamed = true
			continue
		}
		r.to.partitions = append(r.to.partitions, t)
		for _, p := range t.Partitions {
			r.Assigned = append(r.Assigned, kafka.TopicPartition{Topic: name, Partition: p})
		}
	}
	if m.current.epoch != noEpoch && r.to.partitions.equal(m.current.partitions) {
		if !unnamed || !m.current.equal(r.to) {
			m.current, m.State = r.to, Acknowledging
		}
		return nil, unnamed
	}
	slices.SortFunc(r.Assigned, kafka.TopicPartition.Compare)
	r.Added, r.Revoked = minus(r.Assigned, owned), minus(owned, r.Assigned)
	m.reconciling, m.rejoined = true, false
	return r, unnamed
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

// Aborts reports whether a reconciliation that has begun is of no more use; then it
// has ended.
func (m *Modern) Aborts() bool {
	if m.State == Reconciling && !m.rejoined {
		return false
	}
	m.reconciling, m.rejoined = false, false
	return true
}

// Reconciled says that a reconciliation is complete: what the member owns now is told
// at once.
func (m *Modern) Reconciled(r *Reconciliation) {
	m.reconciling = false
	m.current, m.State = r.to, Acknowledging
}

// ReconcileFailed says that the listener returned an error. Nothing is acknowledged, so
// that the coordinator will fence the member when the rebalance timeout is over.
func (m *Modern) ReconcileFailed() { m.reconciling, m.stuck = false, true }

// Committed is the verdict of a commit that was refused with err.
func (m *Modern) Committed(err *kerr.Error) Verdict {
	switch err {
	case kerr.StaleMemberEpoch, kerr.UnknownMemberID:
		return Verdict{Err: fmt.Errorf("%w: %w", ErrCommitFailed, err)}
	case kerr.UnknownTopicID:
		return Verdict{Err: err, Retry: AfterWait}
	}
	return CommitVerdict(err)
}
