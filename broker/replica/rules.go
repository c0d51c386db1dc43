package replica

import (
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
)

// The rules of replication as arithmetic. Nothing here has a host, waits, or
// changes anything.

// progress is what a leader knows of a follower, all of it from fetches that
// were counted in the current leader epoch.
type progress struct {
	// fetched: there was such a fetch. Until then end is not known.
	fetched bool
	// end is where the follower fetched from, so where its log ends.
	end kafka.Offset
	// start is the log start offset that it named.
	start kafka.Offset
	// lastFetch is when the last fetch came, and leaderEnd where our log then ended.
	lastFetch time.Duration
	leaderEnd kafka.Offset
	// caughtUp is the last time at which the follower had all that we had.
	caughtUp time.Duration
	// epoch is the broker epoch that came with the last fetch.
	epoch kafka.BrokerEpoch
}

// never is a time long before any other.
const never = -1 << 61 * time.Nanosecond

// newProgress is what a leader knows when its epoch begins at offset start. A
// member of the ISR is given the benefit of the doubt for one lag time; another
// follower must not hold back the high watermark.
func newProgress(inISR bool, now time.Duration) progress {
	p := progress{end: kafka.NoOffset, start: kafka.NoOffset, caughtUp: never, epoch: kafka.NoEpoch}
	if inISR {
		p.caughtUp = now
	}
	return p
}

// after is the progress once a fetch from offset from was counted, while the
// leader's log ended at leaderEnd.
//
// A follower of a busy leader may never ask for the very end. So it counts as
// caught up at the time of its previous fetch if it now asks for what was the
// end then.
func (p progress) after(from, start, leaderEnd kafka.Offset, epoch kafka.BrokerEpoch, now time.Duration) progress {
	switch {
	case from >= leaderEnd:
		p.caughtUp = max(p.caughtUp, now)
	case p.fetched && from >= p.leaderEnd:
		p.caughtUp = max(p.caughtUp, p.lastFetch)
	}
	p.leaderEnd = max(p.leaderEnd, leaderEnd)
	p.fetched, p.end, p.start, p.lastFetch, p.epoch = true, from, start, now, epoch
	return p
}

// isCaughtUp reports whether the follower has everything, or had a short while ago.
func (p progress) isCaughtUp(leaderEnd kafka.Offset, now, lagMax time.Duration) bool {
	return p.fetched && p.end == leaderEnd || now-p.caughtUp <= lagMax
}

// mustLeave is when a member of the ISR is to be taken out of it: it has been
// behind for too long, whether it is slow or silent.
func mustLeave(p progress, leaderEnd kafka.Offset, now, lagMax time.Duration) bool {
	return !p.isCaughtUp(leaderEnd, now, lagMax)
}

// mayJoin is when a follower may be proposed for the ISR: it has fetched in
// this leader epoch, has all that is known to be committed (the high
// watermark), and all that may be committed without our knowing it, which lies
// below the start of our epoch (KAFKA-7128). Whether its broker is eligible is
// another question.
func mayJoin(p progress, hw, epochStart kafka.Offset) bool {
	return p.fetched && p.end >= hw && p.end >= epochStart
}

// mark is one follower as the high watermark sees it.
type mark struct {
	end    kafka.Offset // NoOffset: not known
	counts bool
}

// highWatermark is the end of what all replicas that count have: at most
// leaderEnd, and not more than old as long as one of them is not known.
func highWatermark(old, leaderEnd kafka.Offset, others []mark) kafka.Offset {
	hw := leaderEnd
	for _, m := range others {
		if m.counts {
			hw = min(hw, m.end)
		}
	}
	return max(old, hw)
}

// effectiveMinISR is min.insync.replicas, but never more than there are
// replicas: such a topic could not be written at all.
func effectiveMinISR(minInsync int32, replicas int) int { return min(int(minInsync), replicas) }

// truncationPoint is where a follower cuts its log after the leader named
// (epoch, end): the largest leader epoch not above the follower's last one,
// and where it ended in the leader's log. ownEpoch and ownEnd answer the same
// question of the follower's log; ownEpoch is NoEpoch if it has none.
//
// When the follower does not have the epoch that the leader named, it goes
// back to the end of an older one and asks again with the next fetch
// (KIP-279): the offset alone would keep records of an epoch that the leader
// never had.
func truncationPoint(epoch kafka.LeaderEpoch, end kafka.Offset, ownEpoch kafka.LeaderEpoch, ownEnd, ownLEO kafka.Offset) kafka.Offset {
	if ownEpoch == kafka.NoEpoch {
		return min(end, ownLEO)
	}
	if ownEpoch != epoch {
		return min(ownEnd, ownLEO)
	}
	return min(end, ownEnd, ownLEO)
}

// diverges reports whether a follower whose last record is of lastEpoch and
// whose log ends at from has something that the leader has not. The leader's
// log says that the largest epoch not above lastEpoch is epoch and ends at end.
func diverges(from kafka.Offset, lastEpoch kafka.LeaderEpoch, epoch kafka.LeaderEpoch, end kafka.Offset) bool {
	return epoch < lastEpoch || end < from
}
