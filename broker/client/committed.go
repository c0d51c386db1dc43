package client

import (
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/client/member"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
)

// initialise asks for the committed offsets of partitions that have no position.
func (cs *commits) initialise(now time.Duration) error {
	if err := cs.failed; err != nil {
		cs.failed = nil
		return err
	}
	if cs.fetching {
		return nil
	}
	if now < cs.retryAt {
		cs.g.pollAgainAt(cs.retryAt)
		return nil
	}
	var parts []*assigned
	var tps []kafka.TopicPartition
	for _, a := range cs.g.c.assigned {
		if a.state == initial && !a.revoking {
			parts, tps = append(parts, a), append(tps, a.tp)
		}
	}
	if len(parts) == 0 || !cs.g.coordinator.ready(now) {
		return nil
	}
	moves := make([]int, len(parts))
	for i, a := range parts {
		moves[i] = a.moves
	}
	cs.fetching = true
	cs.fetch(tps, func(offsets Offsets, v member.Verdict) {
		cs.fetching = false
		cs.initialised(parts, moves, offsets, v)
		cs.g.c.attendToAll()
		cs.g.c.arrived.Broadcast()
	})
	return nil
}

func (cs *commits) initialised(parts []*assigned, moves []int, offsets Offsets, v member.Verdict) {
	switch {
	case v.Err != nil && v.Retry == member.Never:
		cs.failed = fmt.Errorf("client: poll: committed offsets of group %s: %w", cs.g.cfg.Group, v.Err)
		return
	case v.Err != nil:
		cs.failures++
		cs.retryAt = cs.g.now() + cs.g.c.net.retryBackoff(cs.failures)
		return
	}
	cs.failures = 0
	for i, a := range parts {
		if a.moves != moves[i] || a.state != initial {
			continue // it was sought meanwhile, or is not assigned any more
		}
		if o, ok := offsets[a.tp]; ok {
			cs.g.c.net.metadata.heard(a.tp, o.LeaderEpoch)
			a.seek(Position{o.Offset, o.LeaderEpoch})
		} else {
			policy := cs.g.c.cfg.AutoOffsetReset
			cs.g.c.net.host.Tell(&witness.PositionReset{Group: cs.g.cfg.Group, Partition: a.tp, Policy: policy.String(), AtEnd: policy == Latest})
			a.reset(policy)
		}
	}
}

// fetch asks the coordinator, which must be ready, for the committed offsets of
// partitions; those without one are not in the answer.
func (cs *commits) fetch(partitions []kafka.TopicPartition, end func(Offsets, member.Verdict)) {
	g := cs.g
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group, req.RequireStable = g.cfg.Group, true
	rg := kmsg.NewOffsetFetchRequestGroup()
	rg.Group = g.cfg.Group
	if g.subscription.active() {
		if as := g.member.fetchAs(); as != nil {
			rg.MemberID, rg.MemberEpoch = &as.Member, as.ID
		}
	}
	names := map[kafka.UUID]string{}
	for _, tp := range partitions {
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != tp.Topic {
			rt := kmsg.NewOffsetFetchRequestTopic()
			rt.Topic = tp.Topic
			req.Topics = append(req.Topics, rt)
			gt := kmsg.NewOffsetFetchRequestGroupTopic()
			gt.Topic = tp.Topic
			gt.TopicID = cs.topicID(tp.Topic)
			names[gt.TopicID] = tp.Topic
			rg.Topics = append(rg.Topics, gt)
		}
		rt, gt := &req.Topics[len(req.Topics)-1], &rg.Topics[len(rg.Topics)-1]
		rt.Partitions, gt.Partitions = append(rt.Partitions, tp.Partition), append(gt.Partitions, tp.Partition)
	}
	req.Groups = append(req.Groups, rg)
	g.coordinator.send(req, g.c.cfg.RequestTimeout, func(resp kmsg.Response, err error) {
		if err != nil {
			end(nil, member.Verdict{Err: err, Retry: member.AfterWait})
			return
		}
		offsets, failed := fetchedOffsets(resp.(*kmsg.OffsetFetchResponse), names)
		v := fetchVerdict(failed)
		if v.Rediscover {
			g.coordinator.forget("error response " + failed.Message)
		}
		end(offsets, v)
	})
}

// fetchVerdict is what comes of the error of an OffsetFetch.
func fetchVerdict(err *kerr.Error) member.Verdict {
	switch err {
	case nil:
		return member.Verdict{}
	case kerr.NotCoordinator, kerr.CoordinatorNotAvailable:
		return member.Verdict{Err: err, Retry: member.AfterWait, Rediscover: true}
	case kerr.CoordinatorLoadInProgress, kerr.UnstableOffsetCommit, kerr.StaleMemberEpoch, kerr.UnknownTopicID:
		// An offset is unstable while a transaction may still change it (KIP-447). With
		// a stale epoch the next heartbeat brings the new one.
		return member.Verdict{Err: err, Retry: member.AfterWait}
	}
	return member.Verdict{Err: err}
}

// fetchedOffsets reads an answer for one group in any version; names are those of the
// topics that were asked for by id. The error is the group's, or that of a partition.
func fetchedOffsets(resp *kmsg.OffsetFetchResponse, names map[kafka.UUID]string) (Offsets, *kerr.Error) {
	all := Offsets{}
	var first *kerr.Error
	take := func(topic string, partition int32, offset int64, epoch int32, metadata *string, code int16) {
		if err := kerr.TypedErrorForCode(code); err != nil {
			if first == nil {
				first = err
			}
			return
		}
		if offset >= 0 {
			o := OffsetAndMetadata{Offset: kafka.Offset(offset), LeaderEpoch: kafka.LeaderEpoch(epoch)}
			if metadata != nil {
				o.Metadata = *metadata
			}
			all[kafka.TopicPartition{Topic: topic, Partition: partition}] = o
		}
	}
	if resp.Version < 8 {
		if err := kerr.TypedErrorForCode(resp.ErrorCode); err != nil {
			return nil, err
		}
		for _, rt := range resp.Topics {
			for _, rp := range rt.Partitions {
				take(rt.Topic, rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata, rp.ErrorCode)
			}
		}
		return all, first
	}
	for _, rg := range resp.Groups {
		if err := kerr.TypedErrorForCode(rg.ErrorCode); err != nil {
			return nil, err
		}
		for _, rt := range rg.Topics {
			topic := rt.Topic
			if resp.Version >= 10 {
				topic = names[rt.TopicID]
			}
			for _, rp := range rt.Partitions {
				take(topic, rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata, rp.ErrorCode)
			}
		}
	}
	return all, first
}

// Committed is what the group has committed of partitions; those of which it has
// nothing are not in it. It blocks, at most default.api.timeout.ms.
func (c *Consumer) Committed(partitions ...kafka.TopicPartition) (Offsets, error) {
	if c.group == nil {
		return nil, fmt.Errorf("client: committed offsets: %w", errNoGroup)
	}
	g := c.group
	sorted := slices.SortedFunc(slices.Values(partitions), kafka.TopicPartition.Compare)
	deadline := g.now() + c.cfg.DefaultAPITimeout
	for failures := 1; ; failures++ {
		if !g.await(deadline, func() bool { return g.coordinator.ready(g.now()) || g.coordinator.fatal != nil }) {
			return nil, fmt.Errorf("client: committed offsets of group %s: %w", g.cfg.Group, kerr.RequestTimedOut)
		}
		if err := g.coordinator.takeFatal(); err != nil {
			return nil, err
		}
		var offsets Offsets
		var verdict *member.Verdict
		g.commits.fetch(sorted, func(o Offsets, v member.Verdict) {
			offsets, verdict = o, &v
			c.arrived.Broadcast()
		})
		if !g.await(deadline, func() bool { return verdict != nil }) {
			return nil, fmt.Errorf("client: committed offsets of group %s: %w", g.cfg.Group, kerr.RequestTimedOut)
		}
		if verdict.Err == nil {
			return offsets, nil
		}
		wait := c.net.retryBackoff(failures)
		if verdict.Retry == member.Never || g.now()+wait >= deadline {
			return nil, fmt.Errorf("client: committed offsets of group %s: %w", g.cfg.Group, verdict.Err)
		}
		c.net.host.Sleep(wait)
	}
}
