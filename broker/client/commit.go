package client

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/client/member"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
)

// OffsetAndMetadata is what is committed of a partition: the offset of the next
// record to be consumed, the leader epoch of the last one that was, and a text.
type OffsetAndMetadata struct {
	Offset      kafka.Offset
	LeaderEpoch kafka.LeaderEpoch // NoEpoch: not known
	Metadata    string
}

// Offsets are committed offsets by partition.
type Offsets map[kafka.TopicPartition]OffsetAndMetadata

// ErrCommitFailed is the error of a commit by a consumer that is not in the group any
// more, or in another generation: the partitions may have another owner.
var ErrCommitFailed = member.ErrCommitFailed

// ErrRetriableCommitFailed is the error of an asynchronous commit that might succeed
// if it were made again. It is not: a later one may have overtaken it.
var ErrRetriableCommitFailed = errors.New("offset commit failed with a retriable exception")

// Commit is how a commit ended.
type Commit struct {
	GroupMetadata // as what it was made
	Offsets       Offsets
	Auto          bool // by enable.auto.commit
}

// commits is what a consumer has to do with the committed offsets of its group.
type commits struct {
	g      *group
	autoAt time.Duration // when the next auto-commit is due

	// queued are commits that wait for the coordinator to be found.
	queued []func(ready bool)
	// ended are asynchronous commits whose callbacks have not been called.
	ended   []func()
	fenced  error // of an asynchronous commit (KIP-345)
	pending int   // asynchronous commits without an end

	fetching bool // an OffsetFetch for positions is on its way
	failures int
	retryAt  time.Duration
	failed   error // of an OffsetFetch, for the application
}

func (cs *commits) autoCommit() bool { return cs.g.c.cfg.EnableAutoCommit }

// restart begins auto.commit.interval.ms anew.
func (cs *commits) restart(now time.Duration) { cs.autoAt = now + cs.g.c.cfg.AutoCommitInterval }

// consumed is what Poll has returned of all assigned partitions.
func (cs *commits) consumed() Offsets {
	all := Offsets{}
	for _, a := range cs.g.c.assigned {
		if a.state == valid {
			all[a.tp] = OffsetAndMetadata{Offset: a.position.Offset, LeaderEpoch: a.position.Epoch}
		}
	}
	return all
}

// auto commits what earlier polls have returned, if that is due.
func (cs *commits) auto(now time.Duration) {
	if !cs.autoCommit() || now < cs.autoAt {
		return
	}
	cs.restart(now)
	cs.async(cs.consumed(), true, func(err error) {
		if errors.Is(err, ErrRetriableCommitFailed) {
			cs.autoAt = cs.g.now() + cs.g.c.net.retryBackoff(1)
		}
	})
}

// atClose makes the last auto-commit, and waits for asynchronous ones.
func (cs *commits) atClose(deadline time.Duration) {
	if cs.autoCommit() {
		// An error is not for the application, which is about to end.
		_ = cs.sync(cs.consumed(), deadline, true)
	}
	cs.g.await(deadline, func() bool { return cs.pending == 0 })
	_ = cs.callBack()
}

// callBack calls the callbacks of asynchronous commits that have ended.
func (cs *commits) callBack() error {
	if err := cs.fenced; err != nil {
		return fmt.Errorf("client: commit of group %s: instance %s: %w", cs.g.cfg.Group, cs.g.cfg.Instance, err)
	}
	for len(cs.ended) > 0 {
		f := cs.ended[0]
		cs.ended = cs.ended[1:]
		f()
	}
	return nil
}

// async commits without waiting. done is called by the application's task, in a
// later call; commits and their callbacks keep their order.
func (cs *commits) async(offsets Offsets, auto bool, done func(error)) {
	cs.pending++
	end := func(v member.Verdict) {
		cs.pending--
		err := v.Err
		if err != nil && v.Retry != member.Never {
			err = fmt.Errorf("%w: %w", ErrRetriableCommitFailed, err)
		}
		if errors.Is(err, kerr.FencedInstanceID) {
			cs.fenced = err
		}
		cs.ended = append(cs.ended, func() { done(err) })
		cs.g.c.arrived.Broadcast()
	}
	if cs.g.coordinator.ready(cs.g.now()) {
		cs.send(offsets, auto, end)
		return
	}
	cs.queued = append(cs.queued, func(ready bool) {
		if ready {
			cs.send(offsets, auto, end)
		} else {
			end(member.Verdict{Err: kerr.CoordinatorNotAvailable, Retry: member.AfterWait})
		}
	})
}

// work sends what waited for the coordinator.
func (cs *commits) work(now time.Duration) {
	if len(cs.queued) == 0 {
		return
	}
	ready := cs.g.coordinator.ready(now)
	if !ready && cs.g.coordinator.failures == 0 && cs.g.coordinator.fatal == nil {
		return
	}
	queued := cs.queued
	cs.queued = nil
	for _, f := range queued {
		f(ready)
	}
}

// sync commits and blocks until that has succeeded or cannot, at most until deadline.
func (cs *commits) sync(offsets Offsets, deadline time.Duration, auto bool) error {
	g := cs.g
	for failures := 1; ; failures++ {
		if err := cs.callBack(); err != nil {
			return err
		}
		if len(offsets) == 0 {
			return nil
		}
		if !g.await(deadline, func() bool { return g.coordinator.ready(g.now()) || g.coordinator.fatal != nil }) {
			return cs.timedOut(kerr.CoordinatorNotAvailable)
		}
		if err := g.coordinator.takeFatal(); err != nil {
			return err
		}
		var verdict *member.Verdict
		cs.send(offsets, auto, func(v member.Verdict) {
			verdict = &v
			g.c.arrived.Broadcast()
		})
		if !g.await(deadline, func() bool { return verdict != nil }) {
			return cs.timedOut(kerr.RequestTimedOut)
		}
		// Commits that were on their way before this one have ended: their callbacks
		// come first.
		if err := cs.callBack(); err != nil {
			return err
		}
		if verdict.Err == nil {
			return nil
		}
		if verdict.Retry == member.Never {
			return fmt.Errorf("client: commit of group %s: %w", g.cfg.Group, verdict.Err)
		}
		wait := g.c.net.retryBackoff(failures)
		if g.now()+wait >= deadline {
			return cs.timedOut(verdict.Err)
		}
		g.c.net.host.Sleep(wait)
	}
}

func (cs *commits) timedOut(last error) error {
	return fmt.Errorf("client: commit of group %s: timeout expired before the offsets were committed: %w: %w", cs.g.cfg.Group, kerr.RequestTimedOut, last)
}

// send sends one OffsetCommit to the coordinator, which must be ready. end is called
// once, at once or by the task that gets to know the result.
func (cs *commits) send(offsets Offsets, auto bool, end func(member.Verdict)) {
	g := cs.g
	if len(offsets) == 0 {
		end(member.Verdict{})
		return
	}
	as, grouped := member.None, g.subscription.active()
	if grouped {
		var err error
		if as, err = g.member.commitAs(); err != nil {
			cs.begin(as, offsets, auto)(err)
			end(member.Verdict{Err: err})
			return
		}
	}
	req := commitRequest(g.cfg.Group, g.cfg.Instance, as, offsets, cs.topicID)
	ended := cs.begin(as, offsets, auto)
	g.coordinator.send(req, g.c.cfg.RequestTimeout, func(resp kmsg.Response, err error) {
		v := member.Verdict{Err: err, Retry: member.AfterWait}
		if err == nil {
			v = cs.answered(resp.(*kmsg.OffsetCommitResponse), as, grouped)
		}
		ended(v.Err)
		end(v)
	})
}

// begin reports an attempt to the application's observer, and returns what is to be
// called with its end: it tells the observer and the ledger.
func (cs *commits) begin(as member.Generation, offsets Offsets, auto bool) (end func(error)) {
	g := cs.g
	observed := func(error) {}
	if g.c.OnCommit != nil {
		observed = g.c.OnCommit(Commit{GroupMetadata{g.cfg.Group, as.ID, as.Member, g.cfg.Instance}, offsets, auto})
	}
	return func(err error) {
		observed(err)
		if g.c.net.host.Traced() {
			cs.tell(as, offsets, err)
		}
	}
}

// tell reports to the ledger how an attempt ended.
func (cs *commits) tell(as member.Generation, offsets Offsets, err error) {
	e := &witness.ConsumerCommitted{Membership: cs.g.membershipAs(as), Partitions: keys(offsets)}
	for _, tp := range e.Partitions {
		e.Offsets = append(e.Offsets, offsets[tp].Offset)
	}
	if err != nil {
		e.Error = witness.ErrorOf(err).Name
	}
	cs.g.c.net.host.Tell(e)
}

// commitRequest is an OffsetCommit; topicID names topics for versions that need ids.
func commitRequest(group, instanceID string, as member.Generation, offsets Offsets, topicID func(string) [16]byte) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation, req.MemberID, req.InstanceID = group, as.ID, as.Member, instance(instanceID)
	for _, tp := range keys(offsets) {
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != tp.Topic {
			rt := kmsg.NewOffsetCommitRequestTopic()
			rt.Topic, rt.TopicID = tp.Topic, topicID(tp.Topic)
			req.Topics = append(req.Topics, rt)
		}
		rp := kmsg.NewOffsetCommitRequestTopicPartition()
		o := offsets[tp]
		rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = tp.Partition, int64(o.Offset), int32(o.LeaderEpoch), &o.Metadata
		last := &req.Topics[len(req.Topics)-1]
		last.Partitions = append(last.Partitions, rp)
	}
	return req
}

// topicID is the id of a topic for requests that name topics by id: a classic
// consumer goes on to name them by name.
func (cs *commits) topicID(topic string) [16]byte {
	t := cs.g.c.net.metadata.topic(topic)
	if t == nil || cs.g.c.cfg.GroupProtocol != ConsumerProtocol {
		return [16]byte{}
	}
	return t.id
}

// instance is group.instance.id as requests have it.
func instance(name string) *string {
	if name == "" {
		return nil
	}
	return &name
}

// answered is the verdict of the first partition that has an error; topics that the
// consumer may not read come last.
func (cs *commits) answered(resp *kmsg.OffsetCommitResponse, as member.Generation, grouped bool) member.Verdict {
	var unauthorized member.Verdict
	for _, rt := range resp.Topics {
		for _, rp := range rt.Partitions {
			err := kerr.TypedErrorForCode(rp.ErrorCode)
			switch {
			case err == nil:
				continue
			case err == kerr.TopicAuthorizationFailed:
				unauthorized = member.Verdict{Err: fmt.Errorf("topic %s: %w", rt.Topic, err)}
				continue
			}
			v := member.CommitVerdict(err)
			if grouped {
				v = cs.g.member.committed(as, err)
			}
			if v.Rediscover {
				cs.g.coordinator.forget("error response " + err.Message)
			}
			return v
		}
	}
	return unauthorized
}

// CommitSync commits what Poll has returned of all assigned partitions. It blocks
// until that has succeeded, at most default.api.timeout.ms.
func (c *Consumer) CommitSync() error {
	if c.group == nil {
		return fmt.Errorf("client: commit: %w", errNoGroup)
	}
	return c.CommitOffsetsSync(c.group.commits.consumed())
}

// CommitOffsetsSync is CommitSync of these offsets.
func (c *Consumer) CommitOffsetsSync(offsets Offsets) error {
	if err := c.committable(offsets); err != nil {
		return err
	}
	return c.group.commits.sync(maps.Clone(offsets), c.net.host.Uptime()+c.cfg.DefaultAPITimeout, false)
}

// CommitAsync is CommitSync without waiting. done, which may be nil, is called in a
// later call of Poll, CommitSync or Close. A commit that fails is not made again.
func (c *Consumer) CommitAsync(done func(Offsets, error)) error {
	if c.group == nil {
		return fmt.Errorf("client: commit: %w", errNoGroup)
	}
	return c.CommitOffsetsAsync(c.group.commits.consumed(), done)
}

// CommitOffsetsAsync is CommitAsync of these offsets.
func (c *Consumer) CommitOffsetsAsync(offsets Offsets, done func(Offsets, error)) error {
	if err := c.committable(offsets); err != nil {
		return err
	}
	cs := &c.group.commits
	if err := cs.callBack(); err != nil {
		return err
	}
	offsets = maps.Clone(offsets)
	cs.async(offsets, false, func(err error) {
		if done != nil {
			done(offsets, err)
		}
	})
	c.unpaid++
	c.group.run()
	return nil
}

func (c *Consumer) committable(offsets Offsets) error {
	if c.group == nil {
		return fmt.Errorf("client: commit: %w", errNoGroup)
	}
	for _, tp := range keys(offsets) {
		if o := offsets[tp].Offset; o < 0 {
			return fmt.Errorf("client: commit: %v: invalid offset %d, expected at least 0", tp, o)
		}
	}
	return nil
}
