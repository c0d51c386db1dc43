package sim_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

func TestPingPong(t *testing.T) {
	w := sim.NewWorld(sim.Config{Seed: 1})
	defer w.Close()
	w.Host("server").Start(func(h env.Host) {
		l, err := h.Listen(9092)
		require.NoError(t, err)
		c, err := l.Accept()
		require.NoError(t, err)
		b := make([]byte, 100)
		for {
			n, err := c.Read(b)
			if err != nil {
				h.Tell(ledger.Say("%v", err))
				return
			}
			c.Write(b[:n])
		}
	})
	n := 0
	w.Host("client").Start(func(h env.Host) {
		c, err := h.Dial("server:9092", time.Second)
		require.NoError(t, err)
		b := make([]byte, 100)
		for ; n < 10; n++ {
			c.Write([]byte("hello"))
			m, err := c.Read(b)
			require.NoError(t, err)
			require.Equal(t, "hello", string(b[:m]))
		}
		require.NoError(t, c.Close())
	})
	require.NoError(t, w.Run(10*time.Second))
	require.Equal(t, 10, n)
	t.Log(w.Events(), w.Hash(), w.Ledger().Story(ledger.Filter{}))
}
