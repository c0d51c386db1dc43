package network_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/sim/network"
)

// pair is two hosts with one connection between them; each end's test runs as
// the main task of its host.
func pair(t require.TestingT, w *sim.World, server, client func(h env.Host, c env.Conn)) {
	pairIn(t, w, 2, server, client)
}

// pairIn is pair where a handshake may well fail: it is tried so many times.
func pairIn(t require.TestingT, w *sim.World, tries int, server, client func(h env.Host, c env.Conn)) {
	w.Host("server").Start(func(h env.Host) {
		l, err := h.Listen(1)
		require.NoError(t, err)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.Go("serve", func() { server(h, c) })
		}
	})
	w.Host("client").Start(func(h env.Host) {
		c, err := h.Dial("server:1", 10*time.Second)
		for i := 1; err != nil && i < tries; i++ { // a fault struck during the handshake
			c, err = h.Dial("server:1", 10*time.Second)
		}
		require.NoError(t, err)
		client(h, c)
		w.Stop()
	})
}

func world(t *testing.T, seed uint64) *sim.World {
	w := sim.NewWorld(sim.Config{Seed: seed, Steady: true})
	t.Cleanup(w.Close)
	return w
}

func echo(_ env.Host, c env.Conn) {
	io.Copy(c, c)
	c.Close()
}

func ask(c env.Conn, text string) (string, error) {
	if _, err := c.Write([]byte(text)); err != nil {
		return "", err
	}
	b := make([]byte, len(text))
	n, err := io.ReadFull(c, b)
	return string(b[:n]), err
}

func TestEOFAfterClose(t *testing.T) {
	w := world(t, 1)
	pair(t, w, func(h env.Host, c env.Conn) {
		c.Write([]byte("bye"))
		c.Close()
		_, err := c.Read(make([]byte, 1))
		assert.ErrorIs(t, err, env.ErrClosed)
		_, err = c.Write([]byte("more"))
		assert.ErrorIs(t, err, env.ErrClosed)
	}, func(h env.Host, c env.Conn) {
		b, err := io.ReadAll(c)
		assert.NoError(t, err)
		assert.Equal(t, "bye", string(b))
		assert.Equal(t, "server:1", c.RemoteAddr())
	})
	require.NoError(t, w.Run(time.Minute))
}

// A peer that closed cannot be told more: the first write goes out, and the
// answer to it is a reset.
func TestWriteAfterThePeerClosed(t *testing.T) {
	w := world(t, 1)
	pair(t, w, func(h env.Host, c env.Conn) { c.Close() }, func(h env.Host, c env.Conn) {
		h.Sleep(100 * time.Millisecond)
		_, err := c.Write([]byte("a"))
		assert.NoError(t, err)
		h.Sleep(100 * time.Millisecond)
		_, err = c.Write([]byte("b"))
		assert.ErrorIs(t, err, env.ErrReset)
	})
	require.NoError(t, w.Run(time.Minute))
}

func TestCloseWithUnreadBytesResets(t *testing.T) {
	w := world(t, 1)
	pair(t, w, func(h env.Host, c env.Conn) {
		h.Sleep(100 * time.Millisecond)
		c.Close()
	}, func(h env.Host, c env.Conn) {
		c.Write([]byte("no task reads this"))
		_, err := c.Read(make([]byte, 1))
		assert.ErrorIs(t, err, env.ErrReset)
	})
	require.NoError(t, w.Run(time.Minute))
}

func TestDialErrors(t *testing.T) {
	w := world(t, 1)
	w.Host("off")
	w.Host("off").PowerOff()
	w.Host("empty")
	w.Host("client").Start(func(h env.Host) {
		_, err := h.Dial("empty:1", time.Second)
		assert.ErrorIs(t, err, env.ErrRefused)
		_, err = h.Dial("nowhere:1", time.Second)
		assert.ErrorIs(t, err, env.ErrRefused)
		_, err = h.Dial("no port", time.Second)
		assert.ErrorIs(t, err, env.ErrRefused)
		start := h.Uptime()
		_, err = h.Dial("off:1", time.Second)
		assert.ErrorIs(t, err, env.ErrTimeout)
		assert.Equal(t, time.Second, h.Uptime()-start)
		l, err := h.Listen(1)
		require.NoError(t, err)
		_, err = h.Listen(1)
		assert.ErrorIs(t, err, env.ErrPortUsed)
		require.NoError(t, l.Close())
		_, err = l.Accept()
		assert.ErrorIs(t, err, env.ErrClosed)
		_, err = h.Listen(1)
		assert.NoError(t, err)
	})
	require.NoError(t, w.Run(time.Minute))
}

func TestReadDeadline(t *testing.T) {
	w := world(t, 1)
	pair(t, w, echo, func(h env.Host, c env.Conn) {
		c.SetReadDeadline(h.Uptime() + time.Second)
		start := h.Uptime()
		_, err := c.Read(make([]byte, 1))
		assert.ErrorIs(t, err, env.ErrTimeout)
		assert.Equal(t, time.Second, h.Uptime()-start)
		_, err = c.Read(make([]byte, 1))
		assert.ErrorIs(t, err, env.ErrTimeout, "a deadline stays")
		c.SetReadDeadline(0)
		got, err := ask(c, "still alive")
		assert.NoError(t, err)
		assert.Equal(t, "still alive", got)

		// It holds for a read that waits already, sooner or later.
		c.SetReadDeadline(h.Uptime() + time.Hour)
		h.After(time.Second, "sooner", func() { c.SetReadDeadline(h.Uptime() + time.Second) })
		start = h.Uptime()
		_, err = c.Read(make([]byte, 1))
		assert.ErrorIs(t, err, env.ErrTimeout)
		assert.Equal(t, 2*time.Second, h.Uptime()-start)
	})
	require.NoError(t, w.Run(time.Minute))
}

func TestBackPressure(t *testing.T) {
	w := world(t, 1)
	window := network.LAN().Window
	var written int
	pair(t, w, func(h env.Host, c env.Conn) {
		h.Sleep(time.Second)
		assert.Equal(t, window, written, "the writer waits for the reader")
		n, _ := io.Copy(io.Discard, c)
		assert.EqualValues(t, 10*window, n)
		w.Stop()
	}, func(h env.Host, c env.Conn) {
		part := make([]byte, window/4)
		for written < 10*window {
			n, err := c.Write(part)
			require.NoError(t, err)
			written += n
		}
		c.Close()
		h.Sleep(time.Hour)
	})
	require.NoError(t, w.Run(time.Minute))
	assert.Equal(t, 10*window, written)
}

func TestOneWayCut(t *testing.T) {
	w := world(t, 1)
	var served []string
	pair(t, w, func(h env.Host, c env.Conn) {
		b := make([]byte, 100)
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			served = append(served, string(b[:n]))
			c.Write(b[:n])
		}
	}, func(h env.Host, c env.Conn) {
		ask(c, "before")
		back := w.Network().Link("server", "client")
		back.Cut()
		c.Write([]byte("during"))
		c.SetReadDeadline(h.Uptime() + 5*time.Second)
		_, err := c.Read(make([]byte, 100))
		assert.ErrorIs(t, err, env.ErrTimeout, "the answer cannot come back")
		assert.Equal(t, []string{"before", "during"}, served, "the question went through")
		back.Mend()
		c.SetReadDeadline(h.Uptime() + 5*time.Second)
		b := make([]byte, 100)
		n, err := c.Read(b)
		assert.NoError(t, err)
		assert.Equal(t, "during", string(b[:n]), "the answer is retransmitted when the link is back")
	})
	require.NoError(t, w.Run(time.Minute))
}

func TestCutsAddUp(t *testing.T) {
	w := world(t, 1)
	w.Host("a")
	w.Host("b")
	l := w.Network().Link("a", "b")
	l.Cut()
	l.Cut()
	l.Mend()
	assert.False(t, l.Open())
	l.Mend()
	assert.True(t, l.Open())
	l.Mend()
	assert.True(t, l.Open())
}

// What a client sent before it gave up arrives after what it sent on its next
// connection: the reason why requests are executed out of order.
func TestLateDelivery(t *testing.T) {
	w := world(t, 1)
	var served []string
	pair(t, w, func(h env.Host, c env.Conn) {
		b, _ := io.ReadAll(c)
		served = append(served, string(b))
	}, func(h env.Host, c env.Conn) {
		assert.Equal(t, 1, w.Network().Stall("client", "server", 10*time.Second))
		c.Write([]byte("old"))
		c.SetReadDeadline(h.Uptime() + time.Second)
		_, err := c.Read(make([]byte, 1))
		assert.ErrorIs(t, err, env.ErrTimeout)
		c.Close()
		c, err = h.Dial("server:1", time.Second)
		require.NoError(t, err)
		c.Write([]byte("new"))
		c.Close()
		h.Sleep(time.Minute)
	})
	require.NoError(t, w.Run(2*time.Minute))
	assert.Equal(t, []string{"new", "old"}, served)
}

func TestReset(t *testing.T) {
	w := world(t, 1)
	serverSaw := errors.New("nothing yet")
	pair(t, w, func(h env.Host, c env.Conn) {
		_, serverSaw = c.Read(make([]byte, 1))
	}, func(h env.Host, c env.Conn) {
		h.After(time.Second, "reset", func() { assert.Equal(t, 1, w.Network().Reset("server", "client")) })
		_, err := c.Read(make([]byte, 1))
		assert.ErrorIs(t, err, env.ErrReset)
		_, err = c.Write([]byte("x"))
		assert.ErrorIs(t, err, env.ErrReset)
		c.Close()
		h.Sleep(time.Second)
	})
	require.NoError(t, w.Run(time.Minute))
	assert.ErrorIs(t, serverSaw, env.ErrReset)
}

func TestKillTellsThePeers(t *testing.T) {
	w := world(t, 1)
	pair(t, w, echo, func(h env.Host, c env.Conn) {
		ask(c, "hello")
		h.After(time.Second, "kill", w.Host("server").Kill)
		_, err := c.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF)
		_, err = h.Dial("server:1", time.Second)
		assert.ErrorIs(t, err, env.ErrRefused, "the machine is up, the process is not")
	})
	require.NoError(t, w.Run(time.Minute))
}

// A peer that lost power is silent; when it is back it knows nothing of old
// connections and says so.
func TestPowerOffIsSilentUntilReboot(t *testing.T) {
	w := world(t, 1)
	pair(t, w, echo, func(h env.Host, c env.Conn) {
		ask(c, "hello")
		server := w.Host("server")
		server.PowerOff()
		c.Write([]byte("anyone?"))
		c.SetReadDeadline(h.Uptime() + 10*time.Second)
		_, err := c.Read(make([]byte, 1))
		assert.ErrorIs(t, err, env.ErrTimeout)
		server.Restart()
		c.SetReadDeadline(h.Uptime() + 10*time.Second)
		_, err = c.Read(make([]byte, 1))
		assert.ErrorIs(t, err, env.ErrReset)
		c, err = h.Dial("server:1", time.Second)
		require.NoError(t, err)
		got, err := ask(c, "again")
		assert.NoError(t, err)
		assert.Equal(t, "again", got)
	})
	require.NoError(t, w.Run(time.Minute))
}

func TestHalfOpen(t *testing.T) {
	w := world(t, 1)
	pair(t, w, echo, func(h env.Host, c env.Conn) {
		ask(c, "hello")
		assert.Equal(t, 1, w.Network().HalfOpen("client", "server"))
		_, err := c.Write([]byte("into the void"))
		assert.NoError(t, err)
		c.SetReadDeadline(h.Uptime() + time.Minute)
		_, err = c.Read(make([]byte, 1))
		assert.ErrorIs(t, err, env.ErrTimeout)
		c, err = h.Dial("server:1", time.Second)
		require.NoError(t, err, "new connections work")
		_, err = ask(c, "hello")
		assert.NoError(t, err)
	})
	require.NoError(t, w.Run(2*time.Minute))
}

func TestTheSenderGivesUp(t *testing.T) {
	w := world(t, 1)
	pair(t, w, echo, func(h env.Host, c env.Conn) {
		ask(c, "hello")
		w.Network().Link("client", "server").Cut()
		start := h.Uptime()
		c.Write([]byte("x"))
		_, err := c.Read(make([]byte, 1))
		assert.ErrorIs(t, err, env.ErrReset)
		assert.Equal(t, network.LAN().GiveUp, h.Uptime()-start)
	})
	require.NoError(t, w.Run(time.Hour))
}

func TestDialAcrossAShortCut(t *testing.T) {
	w := world(t, 1)
	pair(t, w, echo, func(h env.Host, c env.Conn) {
		l := w.Network().Link("client", "server")
		l.Cut()
		h.After(time.Second, "mend", l.Mend)
		c, err := h.Dial("server:1", 10*time.Second)
		require.NoError(t, err)
		got, err := ask(c, "hello")
		assert.NoError(t, err)
		assert.Equal(t, "hello", got)
	})
	require.NoError(t, w.Run(time.Minute))
}

// The first packet of a dial that timed out arrives late; the server must not
// get a connection that no task holds.
func TestLateHandshake(t *testing.T) {
	w := world(t, 1)
	accepted := 0
	w.Host("server").Start(func(h env.Host) {
		l, _ := h.Listen(1)
		for {
			l.Accept()
			accepted++
		}
	})
	w.Host("client").Start(func(h env.Host) {
		l := w.Network().Link("client", "server")
		l.Cut()
		_, err := h.Dial("server:1", time.Second)
		assert.ErrorIs(t, err, env.ErrTimeout)
		l.Mend()
		h.Sleep(time.Minute)
		w.Stop()
	})
	require.NoError(t, w.Run(time.Hour))
	assert.Zero(t, accepted)
}

func TestPauseKeepsConnections(t *testing.T) {
	w := world(t, 1)
	pair(t, w, echo, func(h env.Host, c env.Conn) {
		ask(c, "hello")
		w.Host("server").Pause()
		h.After(5*time.Second, "resume", w.Host("server").Resume)
		start := h.Uptime()
		got, err := ask(c, "still there?")
		assert.NoError(t, err)
		assert.Equal(t, "still there?", got)
		assert.GreaterOrEqual(t, h.Uptime()-start, 5*time.Second)
		_, err = h.Dial("server:1", time.Second)
		assert.NoError(t, err)
	})
	require.NoError(t, w.Run(time.Minute))
}

func TestBandwidth(t *testing.T) {
	w := world(t, 1)
	pair(t, w, echo, func(h env.Host, c env.Conn) {
		w.Network().Link("client", "server").Profile = network.Profile{Bandwidth: 100_000}
		start := h.Uptime()
		ask(c, string(make([]byte, 100_000)))
		assert.InDelta(t, float64(time.Second), float64(h.Uptime()-start), float64(100*time.Millisecond))
	})
	require.NoError(t, w.Run(time.Minute))
}

func TestLossIsDelay(t *testing.T) {
	w := world(t, 1)
	pair(t, w, echo, func(h env.Host, c env.Conn) {
		w.Network().Link("client", "server").Profile.LossIn = 2
		slow := 0
		for range 100 {
			start := h.Uptime()
			got, err := ask(c, "hello")
			require.NoError(t, err)
			require.Equal(t, "hello", got)
			if h.Uptime()-start >= network.LAN().RTO {
				slow++
			}
		}
		assert.InDelta(t, 50, slow, 20)
	})
	require.NoError(t, w.Run(time.Hour))
}

func TestLoopbackIsFastAndUncut(t *testing.T) {
	w := world(t, 1)
	w.Host("a").Start(func(h env.Host) {
		l, _ := h.Listen(1)
		h.Go("serve", func() {
			c, _ := l.Accept()
			echo(h, c)
		})
		w.Network().Link("a", "a").Cut()
		c, err := h.Dial("a:1", time.Second)
		require.NoError(t, err)
		start := h.Uptime()
		_, err = ask(c, "hello")
		assert.NoError(t, err)
		assert.Less(t, h.Uptime()-start, 200*time.Microsecond)
		c.Close()
	})
	require.NoError(t, w.Run(time.Minute))
}

func TestWorkDelaysWhatIsSent(t *testing.T) {
	w := world(t, 1)
	pair(t, w, echo, func(h env.Host, c env.Conn) {
		h.Work(time.Second)
		start := h.Uptime()
		_, err := ask(c, "hello")
		assert.NoError(t, err)
		assert.GreaterOrEqual(t, h.Uptime()-start, time.Second)
	})
	require.NoError(t, w.Run(time.Minute))
}

// A cut holds one packet at its arrival while the next is still under way for
// long: when the cut is mended the first is sent again, and still comes first.
func TestWhatIsSentAgainIsNotOvertaken(t *testing.T) {
	w := world(t, 1)
	var got []byte
	pair(t, w, func(h env.Host, c env.Conn) {
		got, _ = io.ReadAll(c)
	}, func(h env.Host, c env.Conn) {
		l := w.Network().Link("client", "server")
		for i, delay := range []time.Duration{time.Second, 5 * time.Second} {
			slow := &network.Trouble{Delay: delay}
			l.Add(slow)
			_, err := c.Write([]byte{byte(i)})
			assert.NoError(t, err)
			l.Remove(slow)
		}
		h.Sleep(500 * time.Millisecond)
		l.Cut()
		h.Sleep(1500 * time.Millisecond)
		l.Mend()
		c.Close()
		h.Sleep(time.Minute)
	})
	require.NoError(t, w.Run(2*time.Minute))
	assert.Equal(t, []byte{0, 1}, got)
}

// Whatever the network does, a connection delivers a prefix of what was
// written, unchanged, and all of it when nothing breaks it.
func TestBytesArriveInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := network.LAN()
		cfg.Window = rapid.IntRange(1, 5000).Draw(t, "window")
		cfg.Default.LossIn = rapid.SampledFrom([]uint64{0, 2, 10}).Draw(t, "loss")
		cfg.Default.TailIn = rapid.Uint64Range(0, 10).Draw(t, "tail")
		w := sim.NewWorld(sim.Config{Seed: rapid.Uint64().Draw(t, "seed"), Network: cfg})
		defer w.Close()
		writes := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 3000), 1, 20).Draw(t, "writes")
		readSize := rapid.IntRange(1, 4000).Draw(t, "read size")
		reset := rapid.Bool().Draw(t, "reset")
		var sent, got []byte
		complete := false
		// Where half of the packets are lost, so is one handshake of twenty.
		pairIn(t, w, 20, func(h env.Host, c env.Conn) {
			b := make([]byte, readSize)
			for {
				n, err := c.Read(b)
				got = append(got, b[:n]...)
				if err != nil {
					complete = err == io.EOF
					return
				}
			}
		}, func(h env.Host, c env.Conn) {
			for _, p := range writes {
				n, _ := c.Write(p)
				sent = append(sent, p[:n]...)
			}
			c.Close()
			h.Sleep(10 * time.Minute)
		})
		l := w.Network().Link("client", "server")
		for range rapid.IntRange(0, 3).Draw(t, "cuts") {
			at := time.Duration(rapid.Int64Range(0, int64(2*time.Second)).Draw(t, "cut at"))
			w.At(at, "cut", l.Cut)
			w.At(at+3*time.Second, "mend", l.Mend)
		}
		if reset {
			w.At(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "reset at")), "reset",
				func() { w.Network().Reset("client", "server") })
		}
		if err := w.Run(time.Hour); err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(sent, got) {
			t.Fatalf("%d bytes arrived that are no prefix of the %d sent", len(got), len(sent))
		}
		if complete && len(got) != len(sent) {
			t.Fatalf("the end of the stream after %d of %d bytes", len(got), len(sent))
		}
		if !reset && !complete {
			t.Fatalf("nothing broke the connection, and yet %d of %d bytes arrived", len(got), len(sent))
		}
	})
}

// One end may say that it writes no more, and still hear the other out.
func TestCloseWrite(t *testing.T) {
	w := world(t, 1)
	pair(t, w, func(_ env.Host, c env.Conn) {
		question, err := io.ReadAll(c)
		assert.NoError(t, err)
		_, err = c.Write(append([]byte("re: "), question...))
		assert.NoError(t, err)
		assert.NoError(t, c.Close())
	}, func(_ env.Host, c env.Conn) {
		c.Write([]byte("question"))
		half := c.(interface{ CloseWrite() error })
		assert.NoError(t, half.CloseWrite())
		assert.NoError(t, half.CloseWrite(), "once is enough")
		_, err := c.Write([]byte("more"))
		assert.ErrorIs(t, err, env.ErrClosed)
		answer, err := io.ReadAll(c)
		assert.NoError(t, err)
		assert.Equal(t, "re: question", string(answer))
		assert.NoError(t, c.Close())
	})
}
