package client

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/assignor"
	"github.com/ktrial/ktrial/sim/env"
)

// What a rebalance costs the leader of a classic group: reading what all members sent,
// dividing, and writing what each gets. It is to be linear in members.
func BenchmarkLeader(b *testing.B) {
	for _, members := range []int{100, 1000} {
		for _, name := range []string{assignor.Range, assignor.CooperativeSticky} {
			b.Run(fmt.Sprintf("%s/members=%d/partitions=%d", name, members, 10*members), func(b *testing.B) {
				f := newFake(b, 1, 3, map[string]int32{"orders": int32(10 * members)})
				f.run(func(_ env.Host, c *Client) {
					leader := consumer(b, c, "group.id=g", "partition.assignment.strategy="+name)
					require.NoError(b, leader.Subscribe([]string{"orders"}, RebalanceListener{}))
					cg := leader.group.member.(*classicGroup)
					_, err := leader.net.metadata.waitFor("orders", leader.cfg.DefaultAPITimeout, func(*topic) bool { return true })
					require.NoError(b, err)
					r := kmsg.NewPtrJoinGroupResponse()
					r.Protocol = kmsg.StringPtr(name)
					for i := range members {
						m := kmsg.NewJoinGroupResponseMember()
						m.MemberID = fmt.Sprintf("member-%05d", i)
						m.ProtocolMetadata = assignor.EncodeSubscription(assignor.Subscription{
							Version: assignor.MaxSubscription, Topics: []string{"orders"}, Generation: assignor.NoGeneration,
						})
						r.Members = append(r.Members, m)
					}
					for b.Loop() {
						require.True(b, cg.knowsTopics(r.Members))
						_, err := cg.lead(r)
						require.NoError(b, err)
					}
				})
			})
		}
	}
}
