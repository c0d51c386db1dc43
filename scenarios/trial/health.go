package trial

import (
	"fmt"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/replica"
	"github.com/ktrial/ktrial/scenarios/cluster"
)

// health looks whether partitions are well: every replica in sync, and every log and
// every high watermark as far as the leader's log was when the looking began.
//
// They need not be equal at one moment. Members that commit by themselves do so as long as they
// live, and a follower hears of the high watermark with its next fetch, which may wait for
// replica.fetch.wait.max.ms: a partition that is always one batch behind is well, and what was
// written when the looking began gets everywhere. When nothing is written any more, exact
// asks for equality.
type health struct {
	c          *cluster.Cluster
	partitions func() []kafka.TopicPartition // that must be well
	// last is the partition that was not well at the last look: most looks find the
	// same one again, and a large cluster has thousands.
	last int

	exact bool
	// moving: at the last look some partition was well, and its replicas were not equal.
	moving bool
	ends   map[kafka.TopicPartition]end
}

// end is where the log of a leader ended when it was first looked at.
type end struct {
	epoch kafka.LeaderEpoch // in which it leads
	at    kafka.Offset
}

// begin begins to look: what is written from now on need not be everywhere.
func (h *health) begin(exact bool) {
	h.exact, h.moving, h.ends = exact, false, map[kafka.TopicPartition]end{}
}

// endOf is where the log of a partition must be known to. Another leader may have less, of what
// was not committed: then it is its own.
func (h *health) endOf(tp kafka.TopicPartition, leader replica.View) kafka.Offset {
	e, looked := h.ends[tp]
	if h.exact || !looked || e.epoch != leader.Epoch {
		e = end{leader.Epoch, leader.LEO}
		h.ends[tp] = e
	}
	return e.at
}

// problems says what is not well, but for the hosts that are cut off. Unless all
// is asked for, it stops at the first partition that has any.
func (h *health) problems(cutOff func(host string) bool, all bool) (out []string) {
	im := h.c.Image()
	if im == nil {
		return []string{"no server has metadata"}
	}
	h.moving = false
	partitions := h.partitions()
	if !all && h.last < len(partitions) {
		if out = h.problemsOf(im, partitions[h.last], cutOff); len(out) > 0 {
			return out
		}
	}
	for i, tp := range partitions {
		h.last = i
		out = append(out, h.problemsOf(im, tp, cutOff)...)
		if len(out) > 0 && !all {
			return out
		}
	}
	return out
}

// problemsOf says what is not well in one partition.
func (h *health) problemsOf(im *metadata.Image, tp kafka.TopicPartition, cutOff func(host string) bool) (out []string) {
	say := func(format string, args ...any) {
		out = append(out, fmt.Sprintf("%v: ", tp)+fmt.Sprintf(format, args...))
	}
	p := im.Partition(tp)
	if p == nil || p.Leader == kafka.NoNode {
		say("no leader")
		return
	}
	for _, id := range p.Replicas {
		if !slices.Contains(p.ISR, id) && !cutOff(h.c.HostOf(id)) {
			say("broker %d is not in sync: the ISR is %v of %v", id, p.ISR, p.Replicas)
		}
	}
	leader, ok := h.c.LeaderView(im, tp)
	if !ok {
		say("broker %d does not lead yet", p.Leader)
		return
	}
	end := h.endOf(tp, leader)
	if leader.HW < end {
		say("high watermark %d, log end offset %d", leader.HW, end)
	}
	moving := leader.HW != leader.LEO
	for _, id := range p.Replicas {
		v, ok := h.c.View(id, tp)
		switch {
		case cutOff(h.c.HostOf(id)):
		case !ok:
			say("broker %d has no replica", id)
		case h.lags(v, leader, end):
			say("broker %d has high watermark %d and log end offset %d, the leader %d and %d", id, v.HW, v.LEO, leader.HW, leader.LEO)
		default:
			moving = moving || v.LEO != leader.LEO || v.HW != leader.HW
		}
	}
	h.moving = h.moving || moving
	return out
}

// lags reports whether a replica lacks what must be everywhere, or has what its leader has not.
func (h *health) lags(v, leader replica.View, end kafka.Offset) bool {
	return v.LEO < end || v.HW < end || v.LEO > leader.LEO || h.exact && v.HW != leader.HW
}
