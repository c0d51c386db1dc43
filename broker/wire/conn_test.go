package wire_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

// world has a host "server" that serves h on port 9092, and runs main on the
// host "client".
func world(t testing.TB, seed uint64, srv *wire.Server, main func(env.Host)) *sim.World {
	w := sim.NewWorld(sim.Config{Seed: seed})
	t.Cleanup(w.Close)
	w.Host("server").Start(func(h env.Host) {
		l, err := h.Listen(9092)
		require.NoError(t, err)
		srv.Host = h
		require.NoError(t, srv.Serve(l))
	})
	require.NoError(t, w.RunMain("client", main))
	return w
}

// echo answers a heartbeat of broker n with the error code n. Every other one
// takes a while.
func echo(ctx *wire.Context, req kmsg.Request) kmsg.Response {
	heartbeat := req.(*kmsg.BrokerHeartbeatRequest)
	if heartbeat.BrokerID%2 == 1 {
		ctx.Host.Sleep(10 * time.Millisecond)
	}
	resp := kmsg.NewPtrBrokerHeartbeatResponse()
	resp.ErrorCode = int16(heartbeat.BrokerID)
	return resp
}

func ping(n int) *kmsg.BrokerHeartbeatRequest {
	req := wire.Latest(kmsg.NewPtrBrokerHeartbeatRequest())
	req.BrokerID = int32(n)
	return req
}

func answerTo(resp kmsg.Response) int { return int(resp.(*kmsg.BrokerHeartbeatResponse).ErrorCode) }

func dial(t testing.TB, h env.Host) *wire.Conn {
	c, err := wire.Dial(h, "server:9092", "tester", time.Second)
	require.NoError(t, err)
	return c
}

func TestConn_CallsAreAnswered(t *testing.T) {
	var seen wire.Context
	srv := &wire.Server{Handler: func(ctx *wire.Context, req kmsg.Request) kmsg.Response {
		seen = *ctx
		return echo(ctx, req)
	}}
	world(t, 1, srv, func(h env.Host) {
		c := dial(t, h)
		for n := range 5 {
			resp, err := c.Call(ping(n), time.Second)
			require.NoError(t, err)
			assert.Equal(t, n, answerTo(resp))
		}
		c.Close()
		_, err := c.Call(ping(1), time.Second)
		assert.ErrorIs(t, err, env.ErrClosed)
	})
	assert.Equal(t, "tester", seen.ClientID)
	assert.EqualValues(t, 63, seen.Key)
	assert.EqualValues(t, 1, seen.Version)
	assert.EqualValues(t, 1, seen.Conn.ID)
	assert.Contains(t, seen.RemoteAddr, "client")
}

// Tasks that share a connection, some calling and some sending, each get their
// own answers, and all answers come in the order of the requests.
func TestConn_IsShared(t *testing.T) {
	for seed := range uint64(20) {
		var order []int
		srv := &wire.Server{Handler: func(ctx *wire.Context, req kmsg.Request) kmsg.Response {
			order = append(order, int(req.(*kmsg.BrokerHeartbeatRequest).BrokerID))
			return echo(ctx, req)
		}}
		var sent []int
		left := 0
		world(t, seed, srv, func(h env.Host) {
			c := dial(t, h)
			done := h.NewSignal("done")
			for task := range 4 {
				left++
				h.Go("caller", func() {
					for i := range 5 {
						n := task*10 + i
						sent = append(sent, n)
						resp, err := c.Call(ping(n), time.Minute)
						require.NoError(t, err)
						assert.Equal(t, n, answerTo(resp))
					}
					left--
					done.Notify()
				})
			}
			for task := range 3 {
				h.Go("sender", func() {
					h.Sleep(time.Duration(task*15) * time.Millisecond)
					for i := range 5 {
						n := 100 + task*10 + i
						left++
						sent = append(sent, n)
						require.NoError(t, c.Send(ping(n), time.Minute, func(resp kmsg.Response, err error) {
							require.NoError(t, err)
							assert.Equal(t, n, answerTo(resp))
							left--
							done.Notify()
						}))
					}
				})
			}
			h.Sleep(time.Second)
			for left > 0 {
				require.True(t, done.Wait(time.Minute))
			}
			assert.Zero(t, c.InFlight())
		})
		assert.Equal(t, sent, order, "requests arrive in the order in which they were sent")
		assert.Len(t, order, 35)
	}
}

func TestConn_ATimeoutEndsAllThatIsInFlight(t *testing.T) {
	srv := &wire.Server{Handler: func(ctx *wire.Context, req kmsg.Request) kmsg.Response {
		ctx.Host.Sleep(time.Hour)
		return nil
	}}
	world(t, 1, srv, func(h env.Host) {
		c := dial(t, h)
		var failed []string
		done := h.NewSignal("done")
		fail := func(name string) func(kmsg.Response, error) {
			return func(resp kmsg.Response, err error) {
				assert.Nil(t, resp)
				assert.ErrorIs(t, err, env.ErrTimeout)
				failed = append(failed, fmt.Sprint(name, " after ", h.Uptime().Round(100*time.Millisecond)))
				done.Notify()
			}
		}
		start := h.Uptime()
		require.NoError(t, c.Send(ping(1), time.Minute, fail("patient")))
		require.NoError(t, c.Send(ping(2), 2*time.Second, fail("hasty")))
		h.Go("caller", func() { fail("caller")(c.Call(ping(3), time.Minute)) })
		for len(failed) < 3 {
			require.True(t, done.Wait(time.Hour))
		}
		assert.Equal(t, 2*time.Second, (h.Uptime() - start).Round(time.Second))
		assert.ErrorIs(t, c.Err(), env.ErrTimeout)
		assert.Error(t, c.Send(ping(4), time.Second, nil))
	})
}

func TestConn_ATimeoutIsFoundWhileTheOtherEndDoesNotRead(t *testing.T) {
	srv := &wire.Server{Handler: func(ctx *wire.Context, req kmsg.Request) kmsg.Response {
		ctx.Host.Sleep(time.Hour)
		return nil
	}}
	world(t, 1, srv, func(h env.Host) {
		c := dial(t, h)
		big := wire.Latest(kmsg.NewPtrProduceRequest())
		big.Acks = -1
		topic := kmsg.NewProduceRequestTopic()
		partition := kmsg.NewProduceRequestTopicPartition()
		partition.Records = make([]byte, 50<<20) // more than any window takes
		topic.Partitions = append(topic.Partitions, partition)
		big.Topics = append(big.Topics, topic)
		_, err := c.Call(ping(0), time.Second)
		assert.ErrorIs(t, err, env.ErrTimeout)
		c = dial(t, h)
		require.NoError(t, c.Send(ping(0), time.Minute, func(kmsg.Response, error) {}))
		_, err = c.Call(big, time.Second)
		assert.ErrorIs(t, err, env.ErrTimeout)
	})
}

// Send never blocks: what a slow peer does not take yet is written behind the
// sender's back, in order, and Drained tells when that is done.
func TestConn_SendDoesNotWaitForAPeerThatTakesNothing(t *testing.T) {
	busy := true
	srv := &wire.Server{Handler: func(ctx *wire.Context, req kmsg.Request) kmsg.Response {
		for busy {
			ctx.Host.Sleep(time.Second)
		}
		if ctx.Key == 0 {
			return wire.Latest(kmsg.NewPtrProduceRequest()).ResponseKind()
		}
		return echo(ctx, req)
	}}
	world(t, 1, srv, func(h env.Host) {
		c := dial(t, h)
		var told []string
		c.Drained = func() { told = append(told, "drained") }
		send := func(name string, req kmsg.Request) {
			require.NoError(t, c.Send(req, time.Minute, func(_ kmsg.Response, err error) {
				require.NoError(t, err)
				told = append(told, name)
			}))
		}
		begun := h.Uptime()
		send("ping", ping(2))
		assert.False(t, c.Writing())
		big := wire.Latest(kmsg.NewPtrProduceRequest())
		topic := kmsg.NewProduceRequestTopic()
		partition := kmsg.NewProduceRequestTopicPartition()
		partition.Records = make([]byte, 1<<20)
		topic.Partitions = append(topic.Partitions, partition)
		big.Topics, big.Acks = append(big.Topics, topic), -1
		send("big", big)
		send("ping", ping(4))
		assert.Equal(t, begun, h.Uptime())
		h.Sleep(5 * time.Second)
		assert.True(t, c.Writing())
		assert.Empty(t, told)
		busy = false
		h.Sleep(5 * time.Second)
		assert.False(t, c.Writing())
		assert.Equal(t, []string{"ping", "drained", "big", "ping"}, told)
	})
}

func TestConn_AProduceWithoutAcksIsNotAnswered(t *testing.T) {
	got := 0
	srv := &wire.Server{Handler: func(ctx *wire.Context, req kmsg.Request) kmsg.Response {
		if ctx.Key == 0 {
			got++
			return nil
		}
		return echo(ctx, req)
	}}
	world(t, 1, srv, func(h env.Host) {
		c := dial(t, h)
		silent := wire.Latest(kmsg.NewPtrProduceRequest())
		silent.Acks = 0
		resp, err := c.Call(silent, time.Second)
		require.NoError(t, err)
		assert.Nil(t, resp)
		called := false
		require.NoError(t, c.Send(silent, time.Second, func(kmsg.Response, error) { called = true }))
		assert.True(t, called)
		resp, err = c.Call(ping(4), time.Second)
		require.NoError(t, err)
		assert.Equal(t, 4, answerTo(resp))
	})
	assert.Equal(t, 2, got)
}

func TestConn_APeerThatGoesAwayFailsTheCall(t *testing.T) {
	srv := &wire.Server{Handler: func(ctx *wire.Context, req kmsg.Request) kmsg.Response {
		ctx.Conn.Close()
		return kmsg.NewPtrBrokerHeartbeatResponse()
	}}
	world(t, 1, srv, func(h env.Host) {
		_, err := dial(t, h).Call(ping(1), time.Minute)
		require.Error(t, err)
		assert.NotErrorIs(t, err, env.ErrTimeout)
		h.Sleep(time.Second)
		assert.Zero(t, srv.Connections())
	})
}

// One request at a time: the next one of a connection is read when the answer
// to the one before has been written; other connections do not wait for it.
func TestServer_HandlesOneRequestPerConnection(t *testing.T) {
	busy, most := 0, 0
	srv := &wire.Server{Handler: func(ctx *wire.Context, req kmsg.Request) kmsg.Response {
		busy++
		most = max(most, busy)
		ctx.Host.Sleep(10 * time.Millisecond)
		busy--
		return echo(ctx, req)
	}}
	world(t, 1, srv, func(h env.Host) {
		c := dial(t, h)
		left := 5
		done := h.NewSignal("done")
		for n := range left {
			require.NoError(t, c.Send(ping(n), time.Minute, func(kmsg.Response, error) { left--; done.Notify() }))
		}
		for left > 0 {
			done.Wait(time.Minute)
		}
		assert.Equal(t, 1, most)
		for range 3 {
			h.Go("another", func() { dial(t, h).Call(ping(1), time.Minute) })
		}
		h.Sleep(time.Second)
		assert.Equal(t, 3, most)
	})
}

func TestServer_AnswersApiVersionsThatItDoesNotServeInVersion0(t *testing.T) {
	srv := &wire.Server{Handler: echo}
	world(t, 1, srv, func(h env.Host) {
		conn, err := h.Dial("server:9092", time.Second)
		require.NoError(t, err)
		req := kmsg.NewPtrApiVersionsRequest()
		req.SetVersion(5)
		_, err = conn.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 42))
		require.NoError(t, err)
		want := kmsg.NewPtrApiVersionsResponse()
		want.ErrorCode = kerr.UnsupportedVersion.Code
		want.ApiKeys = wire.Versions{{Key: 18, Min: 0, Max: 4}}.ApiKeys()
		body := want.AppendTo(nil)
		answer := make([]byte, 8+len(body))
		for n := 0; n < len(answer); {
			got, err := conn.Read(answer[n:])
			require.NoError(t, err)
			n += got
		}
		assert.Equal(t, append([]byte{0, 0, 0, byte(4 + len(body)), 0, 0, 0, 42}, body...), answer)
	})
}

// What cannot be understood ends the connection, without an answer, as in
// Kafka; the server lives on.
func TestServer_ClosesOnWhatItCannotRead(t *testing.T) {
	format := kmsg.NewRequestFormatter()
	old := kmsg.NewPtrListOffsetsRequest() // version 0 went with KIP-896
	whole := format.AppendRequest(nil, ping(1), 1)
	cut := append([]byte(nil), whole[:len(whole)-3]...)
	cut[3] -= 3
	for name, bytes := range map[string][]byte{
		"an unknown key":     {0, 0, 0, 10, 3, 231, 0, 0, 0, 0, 0, 1, 0, 0},
		"an old version":     format.AppendRequest(nil, old, 1),
		"a body cut short":   cut,
		"a short header":     {0, 0, 0, 3, 1, 2, 3},
		"a negative size":    {255, 255, 255, 255},
		"a size too large":   {127, 255, 255, 255},
		"a client id of 9 G": {0, 0, 0, 10, 0, 63, 0, 1, 0, 0, 0, 1, 127, 255},
	} {
		t.Run(name, func(t *testing.T) {
			var why error
			srv := &wire.Server{Handler: echo, Malformed: func(_ string, err error) { why = err }}
			world(t, 1, srv, func(h env.Host) {
				conn, err := h.Dial("server:9092", time.Second)
				require.NoError(t, err)
				_, err = conn.Write(bytes)
				require.NoError(t, err)
				conn.SetReadDeadline(h.Uptime() + time.Second)
				_, err = conn.Read(make([]byte, 10))
				require.Error(t, err)
				assert.False(t, errors.Is(err, env.ErrTimeout), "the connection is still there")
				resp, err := dial(t, h).Call(ping(8), time.Second)
				require.NoError(t, err)
				assert.Equal(t, 8, answerTo(resp))
			})
			assert.ErrorIs(t, why, wire.ErrMalformed)
		})
	}
}

func TestServer_CloseEndsEverything(t *testing.T) {
	srv := &wire.Server{Handler: echo}
	world(t, 1, srv, func(h env.Host) {
		c := dial(t, h)
		_, err := c.Call(ping(0), time.Second)
		require.NoError(t, err)
		srv.Close()
		_, err = c.Call(ping(0), time.Second)
		assert.Error(t, err)
		_, err = wire.Dial(h, "server:9092", "late", time.Second)
		assert.ErrorIs(t, err, env.ErrRefused)
	})
}

func TestServer_AnIdleConnectionIsClosedWhereThatIsAskedFor(t *testing.T) {
	srv := &wire.Server{Handler: echo, MaxIdle: time.Minute}
	world(t, 1, srv, func(h env.Host) {
		c := dial(t, h)
		for range 5 {
			h.Sleep(40 * time.Second)
			_, err := c.Call(ping(0), time.Second)
			require.NoError(t, err)
		}
		h.Sleep(2 * time.Minute)
		_, err := c.Call(ping(0), time.Second)
		assert.Error(t, err)
	})
}

// A call, there and back, over the simulated network.
func BenchmarkConn_Call(b *testing.B) {
	answer := kmsg.NewPtrBrokerHeartbeatResponse()
	srv := &wire.Server{Handler: func(*wire.Context, kmsg.Request) kmsg.Response { return answer }}
	b.ReportAllocs()
	world(b, 1, srv, func(h env.Host) {
		c := dial(b, h)
		req := ping(1)
		b.ResetTimer()
		for range b.N {
			if _, err := c.Call(req, time.Minute); err != nil {
				b.Fatal(err)
			}
		}
	})
}
