package wire_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

// conversation: a request is answered, one is not in time, and nothing listens on
// another port.
func conversation(t *testing.T, keep ledger.Keep) *sim.World {
	w := sim.NewWorld(sim.Config{Seed: 1, Keep: keep, Lucky: true, InOrder: true})
	t.Cleanup(w.Close)
	w.Host("server").Start(func(h env.Host) {
		l, err := h.Listen(9092)
		require.NoError(t, err)
		require.NoError(t, wire.Serve(h, l, func(ctx *wire.Context, req kmsg.Request) kmsg.Response {
			if req.(*kmsg.BrokerHeartbeatRequest).BrokerID == 9 {
				ctx.Host.Sleep(time.Minute)
			}
			return echo(ctx, req)
		}))
	})
	require.NoError(t, w.RunMain("client", func(h env.Host) {
		c := dial(t, h)
		_, err := c.Call(ping(4), time.Second)
		require.NoError(t, err)
		_, err = c.Call(ping(9), time.Second)
		require.ErrorIs(t, err, env.ErrTimeout)
		_, err = wire.Dial(h, "server:1", "tester", time.Second)
		require.ErrorIs(t, err, env.ErrRefused)
		h.Sleep(2 * time.Minute)
	}))
	return w
}

func TestMessagesAreToldByBothEnds(t *testing.T) {
	w := conversation(t, ledger.KeepAll)
	var got []string
	for e := range w.Ledger().All() {
		if e.Event.Kind().Weight == ledger.Traffic {
			got = append(got, fmt.Sprintf("%-6s %s %s", e.Host, e.Event.Kind().Name, e.Event.Sentence()))
		}
	}
	assert.Equal(t, `
client connection-opened is connected from client:32769 to server:9092
client request-sent sends BrokerHeartbeat v1 #1 to server:9092, 40 bytes
server connection-accepted accepts a connection from client:32769 to server:9092
server request-arrived has BrokerHeartbeat v1 #1 from client:32769, 40 bytes
server answer-sent answers BrokerHeartbeat v1 #1 to client:32769, 15 bytes, error code 4
client answer-arrived has the answer to BrokerHeartbeat v1 #1 from server:9092, 15 bytes, error code 4
client request-sent sends BrokerHeartbeat v1 #2 to server:9092, 40 bytes
server request-arrived has BrokerHeartbeat v1 #2 from client:32769, 40 bytes
client request-abandoned waits no longer for the answer to BrokerHeartbeat v1 #2 from server:9092: timed out
client connection-ended ends the connection from client:32769 to server:9092: timed out
client dial-failed cannot connect to server:1: network: dial server:1 from client: connection refused
server answer-sent answers BrokerHeartbeat v1 #2 to client:32769, 15 bytes, error code 9
server connection-ended sees the connection from client:32769 to server:9092 closed
`, "\n"+strings.Join(got, "\n")+"\n")
}

// A reader finds the four events of a message by its two addresses and its
// correlation id, without knowing the order of anything.
func TestAMessageIsFoundAgain(t *testing.T) {
	w := conversation(t, ledger.KeepAll)
	seen := map[string][]string{}
	note := func(m witness.Message, what string) {
		key := fmt.Sprint(m.Client, " ", m.Server, " ", m.CorrelationID)
		seen[key] = append(seen[key], what)
	}
	for e := range w.Ledger().All() {
		switch e := e.Event.(type) {
		case *witness.RequestSent:
			note(e.Message, "sent")
		case *witness.RequestArrived:
			note(e.Message, "arrived")
			assert.Equal(t, "tester", e.ClientID)
		case *witness.AnswerSent:
			note(e.Message, "answered")
		case *witness.AnswerArrived:
			note(e.Message, "has answer")
		}
	}
	assert.Equal(t, map[string][]string{
		"client:32769 server:9092 1": {"sent", "arrived", "answered", "has answer"},
		"client:32769 server:9092 2": {"sent", "arrived", "answered"},
	}, seen)
}

// Messages may be asked for when a connection has been there for a while.
func TestMessagesAreToldFromTheMiddleOfAConnection(t *testing.T) {
	w := sim.NewWorld(sim.Config{Seed: 1, Lucky: true, InOrder: true})
	t.Cleanup(w.Close)
	var got []string
	on := w.Ledger().ReadTraffic(func(e *ledger.Entry) { got = append(got, e.Event.Sentence()) })
	w.Host("server").Start(func(h env.Host) {
		l, err := h.Listen(9092)
		require.NoError(t, err)
		require.NoError(t, wire.Serve(h, l, echo))
	})
	require.NoError(t, w.RunMain("client", func(h env.Host) {
		c := dial(t, h)
		for id := range 3 {
			on(id == 1)
			_, err := c.Call(ping(id), time.Second)
			require.NoError(t, err)
		}
		on(true)
		c.Close()
		h.Sleep(time.Second)
	}))
	assert.Equal(t, []string{
		"sends BrokerHeartbeat v1 #2 to server:9092, 40 bytes",
		"has BrokerHeartbeat v1 #2 from client:32769, 40 bytes",
		"answers BrokerHeartbeat v1 #2 to client:32769, 15 bytes, error code 1",
		"has the answer to BrokerHeartbeat v1 #2 from server:9092, 15 bytes, error code 1",
		"ends the connection from client:32769 to server:9092: closed",
		"sees the connection from client:32769 to server:9092 closed",
	}, got)
}

// Whether messages are told changes nothing.
func TestToldOrNotItIsTheSameRun(t *testing.T) {
	told, not := conversation(t, ledger.KeepAll), conversation(t, ledger.KeepStory)
	assert.Equal(t, told.Hash(), not.Hash())
	for e := range not.Ledger().All() {
		assert.NotEqual(t, ledger.Traffic, e.Event.Kind().Weight, e.Event.Sentence())
	}
}
