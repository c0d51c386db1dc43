package controller

import (
	"math"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
)

// sessions is what the active controller knows of brokers from their
// heartbeats alone. It is in no log: a new active controller begins with a
// fresh session for each unfenced broker, so none is fenced for the silence of
// an old controller. A fenced broker that sends heartbeats has a session, too,
// which keeps its id from other processes (Kafka: BrokerHeartbeatTracker).
type sessions struct {
	timeout time.Duration
	all     []*session // by id
}

type session struct {
	id     kafka.NodeID
	fenced bool
	// contact is the uptime of the last heartbeat.
	contact time.Duration
	// metadataOffset is how far the broker said it has applied the metadata log.
	metadataOffset kafka.Offset
	// shutdownOffset is where the broker's controlled shutdown began in the
	// metadata log: once every active broker is past it, they all have left
	// the broker's leadership behind. -1: it is not shutting down.
	shutdownOffset kafka.Offset
}

func newSessions(timeout time.Duration, image *metadata.Image, now time.Duration) *sessions {
	s := &sessions{timeout: timeout}
	for _, broker := range image.Brokers() {
		if !broker.Fenced {
			s.touch(broker.ID, false, now, -1)
		}
	}
	return s
}

func (s *sessions) find(id kafka.NodeID) (int, bool) {
	return slices.BinarySearchFunc(s.all, id, func(x *session, id kafka.NodeID) int { return int(x.id - id) })
}

// get is the session of a broker, or nil.
func (s *sessions) get(id kafka.NodeID) *session {
	if i, ok := s.find(id); ok {
		return s.all[i]
	}
	return nil
}

// touch renews a session, or begins one.
func (s *sessions) touch(id kafka.NodeID, fenced bool, now time.Duration, at kafka.Offset) {
	i, ok := s.find(id)
	if !ok {
		s.all = slices.Insert(s.all, i, &session{id: id, shutdownOffset: -1})
	}
	x := s.all[i]
	x.fenced, x.contact, x.metadataOffset = fenced, now, at
	if fenced {
		x.shutdownOffset = -1
	}
}

// heard records a heartbeat that put a broker in state next. last is the offset
// of what was decided last.
func (s *sessions) heard(id kafka.NodeID, next brokerState, now time.Duration, at, last kafka.Offset) {
	s.touch(id, next.fenced(), now, at)
	if x := s.get(id); next == shuttingDown && x.shutdownOffset < 0 {
		x.shutdownOffset = last
	}
}

// follow keeps the sessions in step with the registrations.
func (s *sessions) follow(r metadata.Record, now time.Duration) {
	switch r := r.(type) {
	case *metadata.RegisterBrokerRecord:
		if r.Fenced {
			s.end(r.BrokerID)
		}
		// Kafka 4.4 begins the session with the first heartbeat. A registration that a process had sent
		// before it died, and that arrives between the two, replaces that of its successor there,
		// which is refused as stale for ever.
		s.touch(r.BrokerID, r.Fenced, now, -1)
	case *metadata.UnregisterBrokerRecord:
		s.end(r.BrokerID)
	case *metadata.BrokerRegistrationChangeRecord:
		switch r.Fenced {
		case metadata.Fence:
			if x := s.get(r.BrokerID); x != nil {
				x.fenced, x.shutdownOffset = true, -1
			}
		case metadata.Unfence:
			s.touch(r.BrokerID, false, now, -1)
		}
	}
}

// end forgets a session.
func (s *sessions) end(id kafka.NodeID) {
	if i, ok := s.find(id); ok {
		s.all = slices.Delete(s.all, i, i+1)
	}
}

// valid reports whether a broker has been heard of lately.
func (s *sessions) valid(id kafka.NodeID, now time.Duration) bool {
	x := s.get(id)
	return x != nil && now <= x.contact+s.timeout
}

// stalest is the session of an unfenced broker that has waited longest for a
// heartbeat, or nil.
func (s *sessions) stalest() *session {
	var oldest *session
	for _, x := range s.all {
		if !x.fenced && (oldest == nil || x.contact < oldest.contact) {
			oldest = x
		}
	}
	return oldest
}

// unfenced counts the brokers that must be heard of.
func (s *sessions) unfenced() (n int) {
	for _, x := range s.all {
		if !x.fenced {
			n++
		}
	}
	return n
}

// nextExpiry is the uptime after which an unfenced broker's session has expired.
func (s *sessions) nextExpiry() (at time.Duration, ok bool) {
	x := s.stalest()
	if x == nil {
		return 0, false
	}
	return x.contact + s.timeout, true
}

// lowestActive is the metadata offset that all unfenced brokers which are not
// shutting down have passed.
func (s *sessions) lowestActive() kafka.Offset {
	lowest := kafka.Offset(math.MaxInt64)
	for _, x := range s.all {
		if !x.fenced && x.shutdownOffset < 0 {
			lowest = min(lowest, x.metadataOffset)
		}
	}
	return lowest
}
