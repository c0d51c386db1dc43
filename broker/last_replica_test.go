package broker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim/env"
)

// The replica that was in sync last is damaged while it is down, and leads all
// the same when it comes back: the others cut their logs to what it has. Apache
// Kafka 4.4 was seen to do this in both cases, with "Truncating d-0 to offset 2483
// below high watermark 5000" in the logs of the others. What must not be is that
// it goes without a word.
func TestTheLastReplicaInSyncIsDamaged(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(u *user, host env.Host)
		keeps  int // of ten records
		tells  string
	}{
		"a damaged byte in its newest segment": {
			// It was killed, so recovery reads the segment again and cuts it.
			func(u *user, h env.Host) {
				overwriteFile(u.t, h.Disk(), "kafka/orders-0/00000000000000000000.log", func(sound []byte) []byte {
					return flip(sound, len(sound)*55/100)
				})
			}, 5, "cut at byte",
		},
		"a damaged byte in its partition.metadata": {
			// By its topic id the log is another topic's now, so it is set aside.
			func(u *user, h env.Host) {
				overwriteFile(u.t, h.Disk(), "kafka/orders-0/partition.metadata", func(sound []byte) []byte {
					at := strings.Index(string(sound), "topic_id: ") + len("topic_id: ")
					letter := byte('B')
					if sound[at] == letter {
						letter = 'C'
					}
					bad := append([]byte{}, sound...)
					bad[at] = letter
					return bad
				})
			}, 0, "is stray: it is kept as",
		},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := separate(t, 1, 1, 3)
			var told []string
			cluster.w.Ledger().Read(func(e *ledger.Entry) {
				switch event := e.Event.(type) {
				case *witness.SegmentCut, *witness.StrayKept, *witness.Truncated:
					told = append(told, e.Host+" "+event.Sentence())
				}
			})
			cluster.client(func(u *user) {
				u.running(1, 2, 3)
				u.createTopic(1, "orders", 1, 3)
				for i := range 10 {
					u.publish(1, "orders", 0, fmt.Sprint("order ", i))
				}
				u.h.Sleep(time.Second)
				last, _ := u.leader(1, "orders", 0)
				for id := kafka.NodeID(1); id <= 3; id++ {
					if id != last {
						cluster.w.Host(cluster.HostOf(id)).Kill()
						u.h.Sleep(30 * time.Second) // fenced, and out of the ISR
					}
				}
				host := cluster.w.Host(cluster.HostOf(last))
				host.Kill()
				u.h.Sleep(30 * time.Second)
				damaged := false
				host.Start(func(h env.Host) { c.damage(u, h); damaged = true })
				u.eventually(time.Second, "damage", func() bool { return damaged })
				host.Kill()
				for id := kafka.NodeID(1); id <= 3; id++ {
					cluster.restart(id)
				}
				u.running(1, 2, 3)
				clear(u.conns)
				u.eventually(time.Minute, "the last one leads", func() bool {
					leader, _ := u.leader(1, "orders", 0)
					return leader == last
				})
				u.h.Sleep(5 * time.Second)
				assert.Len(t, u.read(1, "orders", 0), c.keeps)

				require.NotEmpty(t, told)
				assert.Contains(t, told[0], cluster.HostOf(last)+" ")
				assert.Contains(t, told[0], c.tells)
				truncated := 0
				for _, line := range told {
					if strings.Contains(line, fmt.Sprintf("truncates orders/0 from 10 to %d", c.keeps)) {
						truncated++
					}
				}
				assert.Equal(t, 2, truncated, "both others tell what they cut: %v", told)
			})
		})
	}
}
