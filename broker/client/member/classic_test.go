package member

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
)

const (
	session  = 10 * time.Second
	interval = 3 * time.Second
	maxPoll  = time.Minute
)

var settings = Config{Group: "billing", SessionTimeout: session, HeartbeatInterval: interval, MaxPollInterval: maxPoll}

var second = Generation{ID: 2, Member: "m1", Protocol: "range"}

// stable is a member of generation 2 whose times began at 0.
func stable(t *testing.T) *Classic {
	m := NewClassic(settings)
	m.Prepared()
	sent := m.Join()
	require.Zero(t, m.Joined(0, sent, JoinAnswer{Generation: second}))
	require.Zero(t, m.Synced(second, SyncAnswer{}))
	require.True(t, m.Complete())
	return m
}

// outcome is what an error does to a member.
type outcome struct {
	retry      Retry
	fails      bool // there is an error
	rediscover bool
	state      ClassicState
	generation Generation
	rejoins    bool
}

var (
	keepsID = Generation{ID: NoGeneration, Member: "m1"}
	first   = Generation{ID: 1, Member: "m1"}
)

// The table of errors of groups.md 6, JoinGroup.
func TestClassic_JoinGroupErrors(t *testing.T) {
	for err, want := range map[*kerr.Error]outcome{
		kerr.CoordinatorLoadInProgress: {AfterWait, true, false, Preparing, first, true},
		kerr.CoordinatorNotAvailable:   {AfterWait, true, true, Preparing, first, true},
		kerr.NotCoordinator:            {AfterWait, true, true, Preparing, first, true},
		kerr.UnknownMemberID:           {AtOnce, true, false, Unjoined, None, true},
		kerr.RebalanceInProgress:       {AtOnce, true, false, Preparing, first, true},
		kerr.FencedInstanceID:          {Never, true, false, Preparing, first, true},
		kerr.InconsistentGroupProtocol: {Never, true, false, Preparing, first, true},
		kerr.InvalidSessionTimeout:     {Never, true, false, Preparing, first, true},
		kerr.GroupMaxSizeReached:       {Never, true, false, Preparing, first, true},
		kerr.GroupAuthorizationFailed:  {Never, true, false, Preparing, first, true},
	} {
		m := NewClassic(settings)
		m.Generation = first
		sent := m.Join()
		v := m.Joined(0, sent, JoinAnswer{Code: err.Code})
		assert.ErrorIs(t, v.Err, err)
		assert.Equal(t, want, outcome{v.Retry, v.Err != nil, v.Rediscover, m.State, m.Generation, m.NeedsJoin()}, err.Message)
		assert.False(t, m.Joining(), err.Message)
	}
}

func TestClassic_SyncGroupErrors(t *testing.T) {
	for err, want := range map[*kerr.Error]outcome{
		kerr.CoordinatorLoadInProgress: {Never, true, false, Completing, second, true},
		kerr.CoordinatorNotAvailable:   {AfterWait, true, true, Completing, second, true},
		kerr.UnknownMemberID:           {AtOnce, true, false, Unjoined, None, true},
		kerr.IllegalGeneration:         {AtOnce, true, false, Unjoined, keepsID, true},
		kerr.RebalanceInProgress:       {AtOnce, true, false, Completing, second, true}, // KAFKA-13419, KAFKA-13891
		kerr.FencedInstanceID:          {Never, true, false, Completing, second, true},
	} {
		m := NewClassic(settings)
		m.Joined(0, m.Join(), JoinAnswer{Generation: second})
		v := m.Synced(second, SyncAnswer{Code: err.Code})
		assert.ErrorIs(t, v.Err, err)
		assert.Equal(t, want, outcome{v.Retry, v.Err != nil, v.Rediscover, m.State, m.Generation, m.NeedsJoin()}, err.Message)
	}
}

func TestClassic_HeartbeatErrors(t *testing.T) {
	for err, want := range map[*kerr.Error]outcome{
		kerr.CoordinatorLoadInProgress: {AfterWait, true, false, Joined, second, false},
		kerr.NotCoordinator:            {AfterWait, true, true, Joined, second, false},
		kerr.RebalanceInProgress:       {Never, false, false, Joined, second, true},
		kerr.IllegalGeneration:         {AtOnce, true, false, Unjoined, keepsID, true},
		kerr.UnknownMemberID:           {AtOnce, true, false, Unjoined, None, true},
		kerr.FencedInstanceID:          {Never, true, false, Unjoined, None, true},
	} {
		m := stable(t)
		v := m.Beaten(0, time.Second, m.BeatSent(0), err.Code)
		assert.Equal(t, want, outcome{v.Retry, v.Err != nil, v.Rediscover, m.State, m.Generation, m.NeedsJoin()}, err.Message)
		assert.Equal(t, err == kerr.FencedInstanceID, errors.Is(m.TakeFenced(), err), err.Message)
		assert.NoError(t, m.TakeFenced())
	}
}

func TestClassic_OffsetCommitErrors(t *testing.T) {
	for err, want := range map[*kerr.Error]outcome{
		kerr.CoordinatorLoadInProgress: {AfterWait, true, false, Joined, second, false},
		kerr.UnknownTopicOrPartition:   {AfterWait, true, false, Joined, second, false},
		kerr.NotCoordinator:            {AfterWait, true, true, Joined, second, false},
		kerr.RequestTimedOut:           {AfterWait, true, true, Joined, second, false},
		kerr.RebalanceInProgress:       {Never, true, false, Joined, second, true},
		kerr.IllegalGeneration:         {Never, true, false, Unjoined, keepsID, true},
		kerr.UnknownMemberID:           {Never, true, false, Unjoined, None, true},
		kerr.FencedInstanceID:          {Never, true, false, Joined, second, false},
		kerr.OffsetMetadataTooLarge:    {Never, true, false, Joined, second, false},
	} {
		m := stable(t)
		v := m.Committed(second, err)
		assert.ErrorIs(t, v.Err, err)
		assert.Equal(t, want, outcome{v.Retry, v.Err != nil, v.Rediscover, m.State, m.Generation, m.NeedsJoin()}, err.Message)
		failed := err == kerr.IllegalGeneration || err == kerr.UnknownMemberID
		assert.Equal(t, failed, errors.Is(v.Err, ErrCommitFailed), err.Message)
	}
}

// What is answered to an older generation says nothing of this one (KAFKA-9823).
func TestClassic_AnswersToAnOlderGenerationDoNotReset(t *testing.T) {
	for _, err := range []*kerr.Error{kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.FencedInstanceID} {
		m := stable(t)
		m.BeatSent(0)
		assert.Zero(t, m.Beaten(0, time.Second, first, err.Code), err.Message)
		assert.Equal(t, second, m.Generation)
		assert.NoError(t, m.TakeFenced())

		v := m.Committed(first, err)
		assert.ErrorIs(t, v.Err, ErrCommitFailed, err.Message)
		assert.Equal(t, second, m.Generation)

		m.Rejoin("for a test")
		m.Join()
		assert.ErrorIs(t, m.Committed(first, err).Err, kerr.RebalanceInProgress, "the commit may be made again after the rebalance")

		m = stable(t)
		m.Rejoin("for a test")
		m.Joined(0, m.Join(), JoinAnswer{Generation: Generation{ID: 3, Member: "m1"}})
		m.Synced(second, SyncAnswer{Code: err.Code})
		assert.EqualValues(t, 3, m.Generation.ID, err.Message)
	}
}

func TestClassic_MemberIDRequired(t *testing.T) {
	m := NewClassic(settings)
	v := m.Joined(0, m.Join(), JoinAnswer{Code: kerr.MemberIDRequired.Code, Generation: Generation{Member: "m7"}})
	assert.Equal(t, AtOnce, v.Retry)
	assert.Equal(t, Generation{ID: NoGeneration, Member: "m7"}, m.Join())
}

// The background: heartbeats at the interval, a session that ends without answers, an
// application that is silent.
func TestClassic_Background(t *testing.T) {
	m := NewClassic(settings)
	assert.Equal(t, Nothing, m.Due(time.Hour, false), "it has not joined")
	m.Join()
	assert.Equal(t, Nothing, m.Due(time.Hour, true), "no heartbeats while the join is parked")

	m = stable(t)
	assert.Equal(t, Nothing, m.Due(interval-1, true))
	assert.Equal(t, Beat, m.Due(interval, true))
	assert.Equal(t, Discover, m.Due(interval, false))
	sent := m.BeatSent(interval)
	assert.Equal(t, Nothing, m.Due(2*interval, true), "one at a time")
	m.Beaten(2*interval, time.Second, sent, 0)
	assert.Equal(t, Beat, m.Due(2*interval, true))
	m.BeatSent(2 * interval)
	assert.Equal(t, Nothing, m.Due(2*interval+session-1, true))
	assert.Equal(t, Distrust, m.Due(2*interval+session, true), "the coordinator is forgotten, the membership is not")
	assert.Equal(t, second, m.Generation)
	m.CoordinatorFound(2*interval + session)
	assert.Equal(t, Nothing, m.Due(2*interval+session, true))

	m = stable(t)
	m.Polled(time.Second)
	m.CoordinatorFound(maxPoll)
	assert.Equal(t, LeaveSilent, m.Due(maxPoll+time.Second, true))
	at, ok := m.NextDue()
	assert.True(t, ok)
	assert.Equal(t, interval, at)
	as, told := m.Leave("silent")
	assert.Equal(t, second, as)
	assert.True(t, told)
	assert.True(t, m.NeedsPrepare(), "what it had is lost")
	assert.True(t, m.Generation.Unknown())

	settings := settings
	settings.Instance = "till-1"
	static := NewClassic(settings)
	static.Joined(0, static.Join(), JoinAnswer{Generation: second})
	_, told = static.Leave("closed")
	assert.False(t, told, "a static member comes back")
}

// A member that was taken out of the group between its SyncGroup and the poll that would
// complete the join begins anew.
func TestClassic_LeftBeforeTheJoinIsComplete(t *testing.T) {
	m := NewClassic(settings)
	m.Joined(0, m.Join(), JoinAnswer{Generation: second})
	m.Synced(second, SyncAnswer{})
	m.Beaten(0, 0, m.BeatSent(0), kerr.UnknownMemberID.Code)
	assert.False(t, m.Complete())
	assert.True(t, m.NeedsJoin())
	assert.Equal(t, None, m.Join())

	m = NewClassic(settings)
	m.Joined(0, m.Join(), JoinAnswer{Generation: second})
	m.Beaten(0, 0, m.BeatSent(0), kerr.UnknownMemberID.Code)
	v := m.Synced(second, SyncAnswer{})
	assert.ErrorIs(t, v.Err, kerr.IllegalGeneration)
	assert.Equal(t, AtOnce, v.Retry)
}

// What a cooperative member owns is lost if it is refused after it had prepared its join
// (KAFKA-12983).
func TestClassic_RefusedWhileItJoinsLosesWhatItOwns(t *testing.T) {
	m := stable(t)
	m.Rejoin("for a test")
	require.True(t, m.NeedsPrepare())
	m.Prepared()
	m.Joined(0, m.Join(), JoinAnswer{Generation: Generation{ID: 3, Member: "m1"}})
	m.Synced(Generation{ID: 3, Member: "m1"}, SyncAnswer{Code: kerr.UnknownMemberID.Code})
	assert.True(t, m.NeedsPrepare())
	assert.True(t, m.Generation.Unknown())
}

func TestClassic_InconsistentProtocolIsFatal(t *testing.T) {
	other := "connect"
	m := NewClassic(settings)
	assert.Equal(t, Never, m.Joined(0, m.Join(), JoinAnswer{ProtocolType: &other, Generation: second}).Retry)
	m = NewClassic(settings)
	m.Joined(0, m.Join(), JoinAnswer{Generation: second})
	v := m.Synced(second, SyncAnswer{Protocol: &other})
	assert.Equal(t, Verdict{Err: kerr.InconsistentGroupProtocol, Retry: Never}, v)
}

func TestClassic_CommitAs(t *testing.T) {
	m := NewClassic(settings)
	_, err := m.CommitAs()
	assert.ErrorIs(t, err, ErrCommitFailed)
	m.Joined(0, m.Join(), JoinAnswer{Generation: second})
	_, err = m.CommitAs()
	assert.ErrorIs(t, err, kerr.RebalanceInProgress)
	as, err := stable(t).CommitAs()
	assert.NoError(t, err)
	assert.Equal(t, second, as)
}
