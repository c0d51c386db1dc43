package trial

import (
	"fmt"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/scenarios/cluster"
)

// health looks whether partitions are well: every replica in sync, every mark
// at the end of the log, every log the same.
type health struct {
	c          *cluster.Cluster
	partitions func() []kafka.TopicPartition // that must be well
	// last is the partition that was not well at the last look: most looks find the
	// same one again, and a large cluster has thousands.
	last int
}

// problems says what is not well, but for the hosts that are cut off. Unless all
// is asked for, it stops at the first partition that has any.
func (h *health) problems(cutOff func(host string) bool, all bool) (out []string) {
	im := h.c.Image()
	if im == nil {
		return []string{"no server has metadata"}
	}
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
	if leader.HW != leader.LEO {
		say("high watermark %d, log end offset %d", leader.HW, leader.LEO)
	}
	for _, id := range p.Replicas {
		v, ok := h.c.View(id, tp)
		switch {
		case cutOff(h.c.HostOf(id)):
		case !ok:
			say("broker %d has no replica", id)
		case v.LEO != leader.LEO || v.HW != leader.HW:
			say("broker %d has high watermark %d and log end offset %d, the leader %d and %d", id, v.HW, v.LEO, leader.HW, leader.LEO)
		}
	}
	return out
}
