package serve

import (
	"fmt"
	"sync"
	"time"

	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
)

// notices prints what the user of ktrial serve must hear of, although the story
// is not printed: what was damaged, cut, set aside or lost, and what is
// refused. Kafka has all of it in the broker's log.
type notices struct {
	print func(string)

	mu   sync.Mutex
	last map[string]time.Time // when each text was printed
}

// again is how long a text is not repeated.
const again = time.Minute

// read picks what is printed of the events.
func (n *notices) read(e *ledger.Entry) {
	if !noteworthy(e.Event) {
		return
	}
	host := e.Host
	if host != "" {
		host += ": "
	}
	n.say(host + e.Event.Sentence())
}

// refused reports a connection that was closed for want of descriptors.
func (n *notices) refused(addr string, served int) {
	n.say(fmt.Sprintf("%s: closes new connections: %d are served, which is the limit", addr, served))
}

func (n *notices) say(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if told, ok := n.last[text]; ok && time.Since(told) < again {
		return
	}
	if n.last == nil || len(n.last) > 1000 {
		n.last = map[string]time.Time{}
	}
	n.last[text] = time.Now()
	n.print(text)
}

func noteworthy(e ledger.Event) bool {
	switch e := e.(type) {
	// What recovery found damaged, and made of it.
	case *witness.EpochsDamaged, *witness.SegmentReread, *witness.SegmentCut, *witness.SegmentsDropped,
		*witness.ProducersDamaged, *witness.CheckpointDamaged, *witness.SnapshotFailed, *witness.StrayKept:
		return true
	// What a replica gave up because its leader does not have it.
	case *witness.Truncated:
		return e.From > e.To
	case *witness.Restarting, *witness.NotAppended, *witness.EpochImpossible:
		return true
	// What does not work any more.
	case *witness.LogClosed, *witness.LogDirFailed, *witness.AcceptFailed:
		return true
	// A broker that the controllers do not know, or no longer.
	case *witness.HeartbeatRefused, *witness.RegistrationRefused:
		return true
	}
	return false
}
