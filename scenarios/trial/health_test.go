package trial

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/replica"
)

// A partition to which something is always written is well when its followers have what was there
// when the looking began. With exact they must be as the leader is now.
func TestHealth_FollowersReachWhereTheLeaderStood(t *testing.T) {
	tp := kafka.TopicPartition{Topic: "orders"}
	view := func(epoch kafka.LeaderEpoch, hw, leo kafka.Offset) replica.View {
		return replica.View{Epoch: epoch, HW: hw, LEO: leo}
	}
	for _, c := range []struct {
		about             string
		first, now        replica.View // of the leader
		follower          replica.View
		lags, lagsExactly bool
	}{
		{"equal", view(3, 10, 10), view(3, 10, 10), view(3, 10, 10), false, false},
		{"one batch behind, of what came later", view(3, 10, 10), view(3, 12, 12), view(3, 11, 12), false, true},
		{"one batch behind, of what was there", view(3, 10, 10), view(3, 10, 10), view(3, 9, 10), true, true},
		{"its log is shorter", view(3, 10, 10), view(3, 11, 12), view(3, 9, 9), true, true},
		{"it has what the leader has not", view(3, 10, 10), view(3, 10, 10), view(2, 10, 11), true, true},
		{"what an older leader had and was not committed is gone", view(3, 10, 14), view(4, 11, 11), view(4, 11, 11), false, false},
	} {
		for _, exact := range []bool{false, true} {
			h := &health{}
			h.begin(exact)
			h.endOf(tp, c.first)
			want := c.lags
			if exact {
				want = c.lagsExactly
			}
			assert.Equal(t, want, h.lags(c.follower, c.now, h.endOf(tp, c.now)), "%s, exact: %v", c.about, exact)
		}
	}
}
