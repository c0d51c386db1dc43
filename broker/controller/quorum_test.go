package controller_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/controller"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/raft"
	"github.com/ktrial/ktrial/broker/server"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

// controllers is a quorum of three real nodes in a world, each a raft node and
// a controller behind a listener.
type controllers struct {
	w     *sim.World
	hosts []*sim.Host
	live  []*controller.Controller // of the latest incarnation
}

const port = 9093

func startControllers(t *testing.T, seed uint64) *controllers {
	cs := &controllers{w: sim.NewWorld(sim.Config{Seed: seed, MaxEvents: 1_000_000})}
	t.Cleanup(cs.w.Close)
	var voters []raft.Voter
	for i := range 3 {
		voters = append(voters, raft.Voter{ID: kafka.NodeID(100 + i), Addr: fmt.Sprintf("controller-%d:%d", i, port)})
	}
	cs.live = make([]*controller.Controller, 3)
	for i := range 3 {
		h := cs.w.Host(fmt.Sprintf("controller-%d", i))
		cs.hosts = append(cs.hosts, h)
		h.Start(func(host env.Host) { cs.live[i] = serve(host, voters, i) })
	}
	return cs
}

func serve(host env.Host, voters []raft.Voter, i int) *controller.Controller {
	cfg := controller.Config{ID: voters[i].ID, ClusterID: "trial"}
	config.Default(&cfg.Settings)
	c := controller.New(host, cfg)
	quorum := raft.Config{ID: voters[i].ID, ClusterID: "trial", Voters: voters, Dir: "metadata"}
	config.Default(&quorum.Settings)
	node, err := raft.Start(host, quorum, c)
	if err != nil {
		panic(err)
	}
	c.Start(node)
	l := &server.Controller{Host: host, Raft: node, Controller: c, Image: c.Image}
	config.Default(&l.Settings)
	if _, err := l.Listen(port); err != nil {
		panic(err)
	}
	return c
}

// active is the active controller, or -1.
func (cs *controllers) active() int {
	for i, c := range cs.live {
		if c != nil && cs.hosts[i].IsRunning() && c.Active() {
			return i
		}
	}
	return -1
}

// ask tries the controllers in turn until one has answered without an error.
// Like a broker, it cannot tell an attempt that was lost from one whose answer was.
func ask[Resp kmsg.Response](host env.Host, req kmsg.Request, code func(Resp) int16) Resp {
	for i := 0; ; i++ {
		conn, err := wire.Dial(host, fmt.Sprintf("controller-%d:%d", i%3, port), "test", time.Second)
		if err == nil {
			resp, err := conn.Call(req, 2*time.Second)
			conn.Close()
			if err == nil && code(resp.(Resp)) == 0 {
				return resp.(Resp)
			}
		}
		host.Sleep(50 * time.Millisecond)
	}
}

func TestQuorum_DecisionsSurviveTheControllersThatMadeThem(t *testing.T) {
	for seed := range uint64(5) {
		cs := startControllers(t, seed)
		topics, done := 0, false
		cs.w.Host("broker").Start(func(host env.Host) {
			registered := ask(host, registration(), func(r *kmsg.BrokerRegistrationResponse) int16 { return r.ErrorCode })
			host.Go("heartbeats", func() {
				for !done {
					ask(host, heartbeat(registered.BrokerEpoch), func(r *kmsg.BrokerHeartbeatResponse) int16 { return r.ErrorCode })
					host.Sleep(500 * time.Millisecond)
				}
			})
			for topics < 40 {
				host.Sleep(250 * time.Millisecond)
				ask(host, newTopic(topics), func(r *kmsg.CreateTopicsResponse) int16 {
					if code := r.Topics[0].ErrorCode; code != 36 { // TOPIC_ALREADY_EXISTS: an earlier attempt was executed
						return code
					}
					return 0
				})
				topics++
			}
			done = true
		})
		for at := 3 * time.Second; at < 20*time.Second; at += 4 * time.Second {
			cs.w.At(at, "kill the active controller", func() {
				if i := cs.active(); i >= 0 {
					cs.hosts[i].PowerOff()
					cs.live[i] = nil
					cs.w.After(2*time.Second, "restart it", cs.hosts[i].Restart)
				}
			})
		}
		require.NoError(t, cs.w.Run(2*time.Minute), "seed %d", seed)
		require.True(t, done, "seed %d: only %d topics", seed, topics)

		first := cs.live[0].View()
		for i, c := range cs.live {
			v := c.View()
			assert.Len(t, v.Committed.Topics(), topics, "seed %d: controller %d", seed, i)
			assert.Equal(t, first.Committed.Hash(), v.Committed.Hash(), "seed %d: controller %d", seed, i)
			fold := metadata.NewImage()
			for _, r := range v.Committed.ToRecords() {
				require.NoError(t, fold.Apply(r))
			}
			assert.Equal(t, v.Committed.Hash(), fold.Hash(), "seed %d: controller %d: snapshot", seed, i)
		}
		assert.GreaterOrEqual(t, cs.active(), 0, "seed %d", seed)
		// A NoOp record may just be on its way.
		for range 20 {
			if cs.live[cs.active()].View().Uncommitted == 0 {
				break
			}
			require.NoError(t, cs.w.Run(cs.w.Now()+10*time.Millisecond))
		}
		assert.Zero(t, cs.live[cs.active()].View().Uncommitted)
	}
}

func registration() *kmsg.BrokerRegistrationRequest {
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.Version, req.BrokerID, req.ClusterID, req.IncarnationID = 4, 1, "trial", [16]byte{1}
	req.LogDirs = [][16]byte{{2}}
	for _, f := range controller.SupportedFeatures() {
		req.Features = append(req.Features, kmsg.BrokerRegistrationRequestFeature{Name: f.Name, MinSupportedVersion: f.Min, MaxSupportedVersion: f.Max})
	}
	return req
}

// heartbeat says that the broker has applied all there is.
func heartbeat(epoch int64) *kmsg.BrokerHeartbeatRequest {
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.BrokerID, req.BrokerEpoch, req.CurrentMetadataOffset = 1, epoch, 1<<40
	return req
}

func newTopic(n int) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis = 7, 1000
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = fmt.Sprintf("t%d", n), 2, 1
	req.Topics = append(req.Topics, t)
	return req
}
