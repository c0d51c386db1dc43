package client

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
)

func alone(c *Client, set func(*Common)) *network {
	cfg := AdminDefaults().Common
	set(&cfg)
	return c.network(&cfg, func() {})
}

func known(*topic) bool { return true }

// KIP-320: an answer with an older leader epoch comes from a broker that is
// behind.
func TestMetadata_EpochsNeverGoBack(t *testing.T) {
	f := newFake(t, 1, 3, map[string]int32{"orders": 1})
	f.run(func(h env.Host, c *Client) {
		n := alone(c, func(cfg *Common) { cfg.MetadataMaxAge = 50 * time.Millisecond })
		f.parts[orders(0)].epoch, f.parts[orders(0)].leader = 7, 2
		_, err := n.metadata.waitFor("orders", time.Second, known)
		require.NoError(t, err)
		f.parts[orders(0)].epoch, f.parts[orders(0)].leader = 6, 1
		h.Sleep(time.Second)
		leader, epoch := n.metadata.leader(orders(0))
		assert.Equal(t, kafka.NodeID(2), leader)
		assert.Equal(t, kafka.LeaderEpoch(7), epoch)

		assert.False(t, n.metadata.follow(orders(0), hint{1, 7}), "a hint must be newer")
		assert.False(t, n.metadata.follow(orders(0), hint{9, 8}), "and name a broker that can be reached")
		assert.True(t, n.metadata.follow(orders(0), hint{0, 8}))

		f.ids["orders"] = kafka.NewUUID(f.w.Rand("another"))
		h.Sleep(time.Second)
		leader, epoch = n.metadata.leader(orders(0))
		assert.Equal(t, kafka.NodeID(1), leader, "a topic made anew begins anew")
		assert.Equal(t, kafka.LeaderEpoch(6), epoch)
		n.close()
	})
}

func TestMetadata_RefreshesByAgeAndOnDemand(t *testing.T) {
	f := newFake(t, 2, 1, map[string]int32{"orders": 1})
	asked := 0
	f.onRequest = func(_ int32, req kmsg.Request) kmsg.Response {
		if _, ok := req.(*kmsg.MetadataRequest); ok {
			asked++
		}
		return nil
	}
	f.run(func(h env.Host, c *Client) {
		n := alone(c, func(cfg *Common) { cfg.MetadataMaxAge = 10 * time.Second })
		_, err := n.metadata.waitFor("orders", time.Second, known)
		require.NoError(t, err)
		h.Sleep(35 * time.Second)
		assert.Equal(t, 4, asked)
		for range 100 {
			n.metadata.requestUpdate()
			h.Sleep(10 * time.Millisecond)
		}
		assert.Less(t, asked, 12, "demands are held back by the backoff")
		_, err = n.metadata.waitFor("nowhere", time.Second, known)
		assert.ErrorIs(t, err, kerr.RequestTimedOut)
	})
}

// KIP-899: a client whose brokers are all gone begins again where it began.
func TestMetadata_Rebootstraps(t *testing.T) {
	for _, strategy := range []Recovery{Rebootstrap, NoRecovery} {
		f := newFake(t, 3, 3, map[string]int32{"orders": 1})
		moved := false
		f.onRequest = func(_ int32, req kmsg.Request) kmsg.Response {
			if _, ok := req.(*kmsg.MetadataRequest); !ok || moved {
				return nil
			}
			resp := kmsg.NewPtrMetadataResponse() // the cluster has but one broker
			b := kmsg.NewMetadataResponseBroker()
			b.NodeID, b.Host, b.Port = 1, "broker-1", 9092
			resp.Brokers = append(resp.Brokers, b)
			return resp
		}
		f.run(func(h env.Host, c *Client) {
			n := alone(c, func(cfg *Common) { cfg.Recovery = strategy })
			n.metadata.want("orders")
			h.Sleep(time.Second)
			require.Equal(t, []node{{id: 1, addr: "broker-1:9092"}}, n.metadata.nodes())
			moved = true
			f.w.Host("broker-1").Kill()
			_, err := n.metadata.waitFor("orders", 10*time.Second, known)
			if strategy == Rebootstrap {
				assert.NoError(t, err)
				assert.Len(t, n.metadata.nodes(), 3)
			} else {
				assert.Error(t, err)
			}
		})
	}
}

func TestLink_BacksOffAndComesBack(t *testing.T) {
	f := newFake(t, 4, 1, map[string]int32{"orders": 1})
	f.run(func(h env.Host, c *Client) {
		n := alone(c, func(*Common) {})
		_, err := n.metadata.waitFor("orders", time.Second, known)
		require.NoError(t, err)
		l := n.link(0)
		ask := func() error {
			_, err := l.call(kmsg.NewPtrMetadataRequest(), time.Second)
			return err
		}
		require.NoError(t, ask())
		f.w.Host("broker-0").Kill()
		assert.ErrorIs(t, ask(), env.ErrReset)
		for range 1000 {
			assert.ErrorIs(t, ask(), errNotSent)
			h.Sleep(10 * time.Millisecond)
		}
		assert.GreaterOrEqual(t, l.failures, 10, "50, 100, 200, 400, 800, 1000, 1000 ms and so on")
		assert.LessOrEqual(t, l.failures, 16)
		f.w.Host("broker-0").Restart()
		h.Sleep(1100 * time.Millisecond)
		require.NoError(t, ask())
		assert.Zero(t, l.failures)
		n.close()
		assert.Error(t, ask())
	})
}

// KIP-511: a broker that does not know our version of ApiVersions answers in
// version 0.
func TestLink_NegotiatesWithAnOldBroker(t *testing.T) {
	f := newFake(t, 5, 1, map[string]int32{"orders": 1})
	var versions []int16
	f.onRequest = func(_ int32, req kmsg.Request) kmsg.Response {
		switch req.(type) {
		case *kmsg.ApiVersionsRequest:
			versions = append(versions, req.GetVersion())
			resp := kmsg.NewPtrApiVersionsResponse()
			if req.GetVersion() > 0 {
				resp.ErrorCode = kerr.UnsupportedVersion.Code
				return resp
			}
			for _, r := range [][3]int16{{3, 0, 8}, {18, 0, 0}} {
				k := kmsg.NewApiVersionsResponseApiKey()
				k.ApiKey, k.MinVersion, k.MaxVersion = r[0], r[1], r[2]
				resp.ApiKeys = append(resp.ApiKeys, k)
			}
			return resp
		case *kmsg.MetadataRequest:
			assert.Equal(t, int16(8), req.GetVersion())
		}
		return nil
	}
	f.run(func(h env.Host, c *Client) {
		n := alone(c, func(*Common) {})
		_, err := n.metadata.waitFor("orders", time.Second, known)
		require.NoError(t, err)
		_, err = n.link(0).call(kmsg.NewPtrInitProducerIDRequest(), time.Second)
		assert.ErrorIs(t, err, kerr.UnsupportedVersion)
	})
	assert.Equal(t, []int16{4, 0}, versions[:2])
}
