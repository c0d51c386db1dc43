package member

import (
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

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
	heartbeatAt time.Duration
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
func (m *Modern) Due(now time.Duration, coordinator bool) Action {
	switch {
	case m.silent():
		return Nothing
	case !coordinator && m.State == Leaving:
		m.State = Unsubscribed // it is told once, or not at all
		return Nothing
	case !coordinator:
		return FindCoordinator
	case now >= m.pollBy && !m.leaving():
		return LeaveGroup
	case m.inFlight && m.State != Leaving:
		return Nothing
	case m.hurries() || now >= m.heartbeatAt:
		return SendHeartbeat
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
		at = min(at, m.heartbeatAt)
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

// CommitAnswered is the verdict of a commit that was refused with err.
func (m *Modern) CommitAnswered(err *kerr.Error) Verdict {
	switch err {
	case kerr.StaleMemberEpoch, kerr.UnknownMemberID:
		return Verdict{Err: fmt.Errorf("%w: %w", ErrCommitFailed, err)}
	case kerr.UnknownTopicID:
		return Verdict{Err: err, Retry: AfterWait}
	}
	return CommitVerdict(err)
}
