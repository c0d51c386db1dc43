package replica

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
)

// A partition that goes away from a leader, comes back and goes away again while one
// fetch waits is forgotten by the fetch session: else the old leader answers for it, with an
// error and at once, for as long as the session lives.
func TestFetcher_ForgetsWhatCameBackAndWent(t *testing.T) {
	play(t, 3, nil, func(s *stage) {
		s.manyTopics(6)         // of which broker 1 leads two: 0, and 3
		s.nodes[1].host.Pause() // the fetches of 2 and 3 wait there
		s.wait(100 * time.Millisecond)
		for _, leader := range []kafka.NodeID{2, 1, 2} {
			change := metadata.NewPartitionChange(kafka.UUID{15: 3}, 0)
			change.Leader = leader
			s.publish(change)
			s.wait(100 * time.Millisecond)
		}
		s.nodes[1].host.Resume()
		refused := 0
		s.watch = func(e ledger.Event) {
			if _, ok := e.(*witness.EpochRefused); ok {
				refused++
			}
		}
		s.wait(5 * time.Second)
		assert.Less(t, refused, 10)
	})
}
