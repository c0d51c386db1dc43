package scenarios

import (
	"fmt"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/replica"
	"github.com/ktrial/ktrial/checkers/history"
)

// settled says what is amiss in a cluster that nothing troubles any more, with
// clients that should have written all they had.
func (r *run) settled(all bool) (amiss []string) {
	if err := r.c.ready(r.core.left); err != nil {
		return []string{err.Error()}
	}
	for _, c := range r.clients {
		if writes(c.Host) && !r.stage.Done(c.Host) {
			amiss = append(amiss, c.Host+" has not finished")
		}
	}
	if len(amiss) == 0 || all {
		r.c.still(func() { amiss = append(amiss, r.sick(all)...) })
	}
	return amiss
}

// sick says what is amiss with the partitions. Unless all is asked for it stops
// at the first that ails, and looks first at the one that ailed last time: most
// looks find that one again, and a large cluster has thousands.
func (r *run) sick(all bool) (amiss []string) {
	if r.ailing.Topic != "" && !all {
		if amiss = r.unwell(r.ailing); len(amiss) > 0 {
			return amiss
		}
	}
	for _, t := range r.s.Topics {
		for p := range t.Partitions {
			r.ailing = kafka.TopicPartition{Topic: t.Name, Partition: p}
			amiss = append(amiss, r.unwell(r.ailing)...)
			if len(amiss) > 0 && !all {
				return amiss
			}
		}
	}
	return amiss
}

// drained says which clients are not done.
func (r *run) drained(bool) (amiss []string) {
	for _, c := range r.clients {
		if !r.stage.Done(c.Host) {
			amiss = append(amiss, c.Host+" has not read to the end")
		}
	}
	return amiss
}

// writes reports whether a client must be done before the readers can be.
func writes(host string) bool { return len(host) > 8 && host[:8] == "producer" }

// unwell says what is amiss with a partition at rest: every replica in sync,
// every mark at the end, every log the same.
func (r *run) unwell(tp kafka.TopicPartition) (amiss []string) {
	say := func(format string, args ...any) {
		amiss = append(amiss, fmt.Sprintf("%v: ", tp)+fmt.Sprintf(format, args...))
	}
	p := r.c.partition(tp.Topic, tp.Partition)
	if p == nil || p.Leader == kafka.NoNode {
		say("no leader")
		return
	}
	for _, id := range p.Replicas {
		if !slices.Contains(p.ISR, id) && !r.isLeft(id) {
			say("broker %d is not in sync: the ISR is %v of %v", id, p.ISR, p.Replicas)
		}
	}
	leader, ok := r.leaderView(tp)
	if !ok {
		say("broker %d does not lead yet", p.Leader)
		return
	}
	if leader.HW != leader.LEO {
		say("high watermark %d, log end offset %d", leader.HW, leader.LEO)
	}
	for _, id := range p.Replicas {
		v, ok := r.view(id, tp)
		switch {
		case r.isLeft(id):
		case !ok:
			say("broker %d has no replica", id)
		case v.LEO != leader.LEO || v.HW != leader.HW:
			say("broker %d has high watermark %d and log end offset %d, the leader %d and %d", id, v.HW, v.LEO, leader.HW, leader.LEO)
		}
	}
	return amiss
}

// view is what a broker's replica holds now.
func (r *run) view(id kafka.NodeID, tp kafka.TopicPartition) (replica.View, bool) {
	s := r.c.byID[id]
	if s == nil || s.alive() == nil || s.alive().Replicas == nil {
		return replica.View{}, false
	}
	p := s.alive().Replicas.Partition(tp)
	if p == nil {
		return replica.View{}, false
	}
	return p.View(), true
}

// leaderView is the view of the replica that leads.
func (r *run) leaderView(tp kafka.TopicPartition) (replica.View, bool) {
	p := r.c.partition(tp.Topic, tp.Partition)
	if p == nil {
		return replica.View{}, false
	}
	v, ok := r.view(p.Leader, tp)
	return v, ok && v.Role == replica.Leader && v.Epoch == p.LeaderEpoch
}

// noteLogs tells the history where the logs ended: what was acknowledged beyond
// is lost, whoever has looked.
func (r *run) noteLogs(ends map[kafka.TopicPartition]kafka.Offset) {
	e := history.Event{Type: history.OK, Actor: "cluster", F: history.Log, Time: r.w.Now()}
	for _, tp := range slices.SortedFunc(keys(ends), kafka.TopicPartition.Compare) {
		v, _ := r.leaderView(tp)
		key := history.Partition(tp.Topic, tp.Partition)
		e.Mops = append(e.Mops,
			history.Mop{Kind: history.MopStart, Key: key, Offset: int64(v.LogStart)},
			history.Mop{Kind: history.MopEnd, Key: key, Offset: int64(v.HW)},
			history.Mop{Kind: history.MopStable, Key: key, Offset: int64(v.LastStable)})
	}
	r.stage.Recorder.Note(e)
}
