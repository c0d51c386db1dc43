package member

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
)

var orders = kafka.UUID{1}

func named(id kafka.UUID) string {
	if id == orders {
		return "orders"
	}
	return ""
}

// given is an answer with an assignment of partitions of orders.
func given(epoch int32, partitions ...int32) *kmsg.ConsumerGroupHeartbeatResponse {
	a := told(epoch)
	a.Assignment = &kmsg.ConsumerGroupHeartbeatResponseAssignment{}
	if len(partitions) > 0 {
		t := kmsg.NewConsumerGroupHeartbeatResponseAssignmentTopic()
		t.TopicID, t.Partitions = orders, partitions
		a.Assignment.Topics = append(a.Assignment.Topics, t)
	}
	return a
}

// told is one without news.
func told(epoch int32) *kmsg.ConsumerGroupHeartbeatResponse {
	a := kmsg.NewPtrConsumerGroupHeartbeatResponse()
	a.MemberEpoch, a.HeartbeatIntervalMillis = epoch, 5000
	return a
}

func refused(err *kerr.Error) *kmsg.ConsumerGroupHeartbeatResponse {
	a := kmsg.NewPtrConsumerGroupHeartbeatResponse()
	a.ErrorCode = err.Code
	return a
}

func tps(partitions ...int32) []kafka.TopicPartition {
	all := []kafka.TopicPartition{}
	for _, p := range partitions {
		all = append(all, kafka.TopicPartition{Topic: "orders", Partition: p})
	}
	return all
}

// beat is a heartbeat; answer and broke are how it ends.
func beat(m *Modern, now time.Duration) *kmsg.ConsumerGroupHeartbeatRequest {
	req, _ := m.Beat(now)
	return req
}

func answer(m *Modern, now, backoff time.Duration, resp *kmsg.ConsumerGroupHeartbeatResponse) Verdict {
	return m.Beaten(now, backoff, m.life, resp)
}

// owner is a member of epoch 3 that owns partitions, and has said so.
func owner(t *testing.T, cfg Config, partitions ...int32) *Modern {
	m := NewModern(cfg, "me", "", nil)
	m.Polled(0)
	m.Subscribe(Subscribed{Topics: []string{"orders"}})
	require.Equal(t, Beat, m.Due(0, true))
	beat(m, 0)
	answer(m, 0, 0, given(3, partitions...))
	r, _ := m.Reconcile(nil, named)
	m.Reconciled(r)
	beat(m, 0)
	answer(m, 0, 0, told(3))
	require.Equal(t, Stable, m.State)
	return m
}

// The first heartbeat says all; later ones what has changed, and after a failure all
// again (Z64).
func TestModern_HeartbeatsSayWhatHasChanged(t *testing.T) {
	settings := settings
	settings.Rack, settings.Instance = "r1", "till-1"
	m := NewModern(settings, "me", "uniform", nil)
	m.Polled(0)
	m.Subscribe(Subscribed{Topics: []string{"orders"}})
	full := func(req *kmsg.ConsumerGroupHeartbeatRequest, epoch int32, owned ...int32) {
		t.Helper()
		assert.Equal(t, epoch, req.MemberEpoch)
		assert.EqualValues(t, maxPoll.Milliseconds(), req.RebalanceTimeoutMillis)
		assert.Equal(t, []string{"orders"}, req.SubscribedTopicNames)
		assert.Equal(t, "uniform", *req.ServerAssignor)
		require.NotNil(t, req.Topics)
		if len(owned) == 0 {
			assert.Empty(t, req.Topics)
			return
		}
		assert.Equal(t, owned, req.Topics[0].Partitions)
	}
	nothing := func(req *kmsg.ConsumerGroupHeartbeatRequest) {
		t.Helper()
		assert.EqualValues(t, -1, req.RebalanceTimeoutMillis)
		assert.Nil(t, req.SubscribedTopicNames)
		assert.Nil(t, req.ServerAssignor)
		assert.Nil(t, req.Topics)
		assert.Nil(t, req.RackID)
		assert.Equal(t, "till-1", *req.InstanceID)
	}
	req := beat(m, 0)
	assert.Equal(t, "r1", *req.RackID)
	full(req, 0)
	answer(m, 0, 0, given(2, 0, 1))
	nothing(beat(m, 5)) // it has not reconciled yet
	answer(m, 0, 0, told(2))

	r, _ := m.Reconcile(nil, named)
	m.Reconciled(r)
	req = beat(m, 10)
	assert.Equal(t, []int32{0, 1}, req.Topics[0].Partitions)
	assert.Nil(t, req.SubscribedTopicNames)
	answer(m, 10, 0, told(2))
	nothing(beat(m, 20))

	m.BeatBroke(20, 0, m.life)
	full(beat(m, 30), 2, 0, 1)
	answer(m, 30, 0, refused(kerr.CoordinatorLoadInProgress))
	full(beat(m, 40), 2, 0, 1)
	answer(m, 40, 0, told(2))
	nothing(beat(m, 50))
	answer(m, 50, 0, given(2)) // all is taken away
	r, _ = m.Reconcile(tps(0, 1), named)
	assert.Equal(t, tps(0, 1), r.Revoked)
	m.Reconciled(r)
	req = beat(m, 60)
	require.NotNil(t, req.Topics, "to own nothing is news")
	assert.Empty(t, req.Topics)
}

// The same partitions that come back after another assignment are told again.
func TestModern_AnAssignmentThatComesBackIsAcknowledged(t *testing.T) {
	m := owner(t, settings, 0, 1)
	beat(m, 0)
	answer(m, 0, 0, given(3, 0))
	beat(m, 0)
	answer(m, 0, 0, given(4, 0, 1)) // before it has given anything up
	r, _ := m.Reconcile(tps(0, 1), named)
	assert.Nil(t, r)
	assert.Equal(t, Acknowledging, m.State)
	req := beat(m, 0)
	assert.Equal(t, []int32{0, 1}, req.Topics[0].Partitions)
	assert.Equal(t, Stable, m.State)
}

func TestModern_HeartbeatErrors(t *testing.T) {
	for err, want := range map[*kerr.Error]struct {
		retry      Retry
		rediscover bool
		state      ModernState
	}{
		kerr.NotCoordinator:            {AfterWait, true, Stable},
		kerr.CoordinatorNotAvailable:   {AfterWait, true, Stable},
		kerr.CoordinatorLoadInProgress: {AfterWait, false, Stable},
		kerr.TopicAuthorizationFailed:  {AfterWait, false, Stable},
		kerr.FencedMemberEpoch:         {AtOnce, false, Fenced},
		kerr.UnknownMemberID:           {AtOnce, false, Fenced},
		kerr.GroupIDNotFound:           {Never, false, Fatal},
		kerr.UnreleasedInstanceID:      {Never, false, Fatal},
		kerr.UnsupportedAssignor:       {Never, false, Fatal},
		kerr.GroupMaxSizeReached:       {Never, false, Fatal},
		kerr.InvalidRequest:            {Never, false, Fatal},
	} {
		m := owner(t, settings, 0)
		beat(m, 0)
		v := answer(m, 0, time.Second, refused(err))
		assert.ErrorIs(t, v.Err, err)
		assert.Equal(t, want.retry, v.Retry, err.Message)
		assert.Equal(t, want.rediscover, v.Rediscover, err.Message)
		assert.Equal(t, want.state, m.State, err.Message)
		assert.Equal(t, want.state == Fenced || want.state == Fatal, m.Loses(), err.Message)
		if want.state == Fatal {
			m.Released()
			assert.ErrorIs(t, m.TakeFatal(), err)
			assert.NoError(t, m.TakeFatal())
			assert.False(t, m.Loses())
			assert.Equal(t, Nothing, m.Due(time.Hour, true))
		}
	}
}

// A fenced member tells the application first, and joins as the same member (KAFKA-19233).
func TestModern_FencedJoinsAgain(t *testing.T) {
	m := owner(t, settings, 0)
	beat(m, 0)
	answer(m, 0, 0, refused(kerr.FencedMemberEpoch))
	assert.Equal(t, Nothing, m.Due(time.Second, true), "the application has not been told yet")
	m.Released()
	assert.Equal(t, Joining, m.State)
	assert.Equal(t, Beat, m.Due(0, true))
	req := beat(m, 0)
	assert.Equal(t, "me", req.MemberID)
	assert.Zero(t, req.MemberEpoch)
	assert.Empty(t, req.Topics)
	assert.NotNil(t, req.Topics)
}

// A reconciliation that was overtaken by a fence or a rejoin is of no more use.
func TestModern_OvertakenReconciliation(t *testing.T) {
	m := owner(t, settings, 0, 1)
	beat(m, 0)
	answer(m, 0, 0, given(3, 0))
	r, _ := m.Reconcile(tps(0, 1), named)
	require.Equal(t, tps(1), r.Revoked)
	assert.False(t, m.Aborts())
	beat(m, 0)
	answer(m, 0, 0, refused(kerr.UnknownMemberID))
	m.Released()
	beat(m, 0)
	answer(m, 0, 0, given(7, 1))
	assert.Equal(t, Reconciling, m.State, "but for another life")
	assert.True(t, m.Aborts())
	r, _ = m.Reconcile(nil, named)
	assert.Equal(t, tps(1), r.Added)
	assert.False(t, m.Aborts())
}

// So is one that the silence of the application has overtaken.
func TestModern_ReconciliationOfASilentApplication(t *testing.T) {
	m := owner(t, settings, 0, 1)
	beat(m, 0)
	answer(m, 0, 0, given(3, 0))
	m.Reconcile(tps(0, 1), named)
	m.PollExpired()
	beat(m, 0)
	m.Released()
	m.Polled(0)
	beat(m, 0)
	answer(m, 0, 0, given(9, 1))
	assert.Equal(t, Reconciling, m.State)
	assert.True(t, m.Aborts())
}

// What is answered to a heartbeat of before the member left and joined again does not
// count.
func TestModern_AnswerOfAnEarlierLife(t *testing.T) {
	m := owner(t, settings, 0)
	_, before := m.Beat(0)
	m.PollExpired()
	_, leave := m.Beat(0)
	m.Released()
	m.Polled(0)
	_, join := m.Beat(0)
	assert.Zero(t, m.Beaten(0, 0, before, given(3, 0)))
	assert.Zero(t, m.Beaten(0, 0, leave, told(-1)))
	m.BeatBroke(0, 0, before)
	assert.Equal(t, Joining, m.State)
	assert.Equal(t, Nothing, m.Due(0, true), "the answer to the join has yet to come")
	m.Beaten(0, 0, join, given(7, 0))
	assert.EqualValues(t, 7, m.Generation().ID)
}

// An assignment that the member has is no news, however often it is said.
func TestModern_TheSameAssignmentAgain(t *testing.T) {
	m := owner(t, settings, 0, 1)
	beat(m, 0)
	answer(m, 0, 0, given(3, 1, 0))
	assert.Equal(t, Stable, m.State)
	assert.Nil(t, beat(m, 0).Topics)
}

// A newer target waits until the reconciliation that is going on is over.
func TestModern_NewerTargetWaits(t *testing.T) {
	m := owner(t, settings, 0, 1, 2)
	beat(m, 0)
	answer(m, 0, 0, given(3, 0, 1))
	r, _ := m.Reconcile(tps(0, 1, 2), named)
	beat(m, 0)
	answer(m, 0, 0, given(3, 0))
	none, _ := m.Reconcile(tps(0, 1, 2), named)
	assert.Nil(t, none)
	m.Reconciled(r)
	req := beat(m, 0)
	assert.Equal(t, []int32{0, 1}, req.Topics[0].Partitions)
	assert.Equal(t, Reconciling, m.State)
	r, _ = m.Reconcile(tps(0, 1), named)
	assert.Equal(t, tps(1), r.Revoked)
}

// Topics that the metadata does not know yet wait; the others do not.
func TestModern_TopicWithoutAName(t *testing.T) {
	m := NewModern(settings, "me", "", nil)
	m.Polled(0)
	m.Subscribe(Subscribed{Regex: ".*"})
	req := beat(m, 0)
	assert.Equal(t, ".*", *req.SubscribedTopicRegex)
	assert.Nil(t, req.SubscribedTopicNames)
	a := given(2, 0)
	other := kmsg.NewConsumerGroupHeartbeatResponseAssignmentTopic()
	other.TopicID, other.Partitions = kafka.UUID{2}, []int32{5}
	a.Assignment.Topics = append(a.Assignment.Topics, other)
	answer(m, 0, 0, a)
	r, unnamed := m.Reconcile(nil, named)
	assert.True(t, unnamed)
	assert.Equal(t, tps(0), r.Assigned)
	m.Reconciled(r)
	req = beat(m, 0)
	assert.Len(t, req.Topics, 1)
	assert.Equal(t, Reconciling, m.State, "some is missing")
	none, unnamed := m.Reconcile(tps(0), named)
	assert.Nil(t, none)
	assert.True(t, unnamed)
	assert.Equal(t, Reconciling, m.State, "and nothing is told twice")
	r, unnamed = m.Reconcile(tps(0), func(id kafka.UUID) string { return map[kafka.UUID]string{orders: "orders", {2}: "more"}[id] })
	assert.False(t, unnamed)
	assert.Equal(t, []kafka.TopicPartition{{Topic: "more", Partition: 5}}, r.Added)
}

func TestModern_SilentApplication(t *testing.T) {
	for instance, epoch := range map[string]int32{"": -1, "till-1": -2} {
		settings := settings
		settings.Instance = instance
		m := owner(t, settings, 0)
		m.Polled(time.Second)
		beat(m, time.Minute)
		answer(m, time.Minute, 0, told(3))
		assert.Equal(t, LeaveSilent, m.Due(maxPoll+time.Second, true))
		m.PollExpired()
		assert.Equal(t, Beat, m.Due(maxPoll+time.Second, true))
		assert.Equal(t, epoch, beat(m, maxPoll+time.Second).MemberEpoch)
		assert.Equal(t, Stale, m.State)
		assert.True(t, m.Loses())
		m.Polled(2 * maxPoll)
		assert.Equal(t, Stale, m.State, "the application is told first")
		m.Released()
		m.Polled(2 * maxPoll)
		assert.Equal(t, Joining, m.State)
	}
}

// Of a member that leaves the coordinator is told once, and no answer counts.
func TestModern_Leaves(t *testing.T) {
	m := owner(t, settings, 0)
	assert.True(t, m.Leave())
	assert.Equal(t, Nothing, m.Due(0, true), "the application gives its partitions up")
	m.LeavePrepared()
	assert.Equal(t, Beat, m.Due(0, true))
	assert.EqualValues(t, -1, beat(m, 0).MemberEpoch)
	assert.Equal(t, Unsubscribed, m.State)
	answer(m, 0, 0, refused(kerr.GroupIDNotFound))
	assert.Equal(t, Unsubscribed, m.State)

	m = owner(t, settings, 0)
	m.Leave()
	m.LeavePrepared()
	assert.Equal(t, Nothing, m.Due(0, false))
	assert.Equal(t, Unsubscribed, m.State, "without a coordinator it is not told at all")
	assert.False(t, m.Leave())
}

// After the listener has failed nothing is acknowledged, until there is another target.
func TestModern_ListenerFails(t *testing.T) {
	m := owner(t, settings, 0, 1)
	beat(m, 0)
	answer(m, 0, 0, given(3, 0))
	m.Reconcile(tps(0, 1), named)
	m.ReconcileFailed()
	none, _ := m.Reconcile(tps(0, 1), named)
	assert.Nil(t, none)
	assert.Nil(t, beat(m, 0).Topics)
	answer(m, 0, 0, given(3))
	r, _ := m.Reconcile(tps(0, 1), named)
	assert.NotNil(t, r)
}
