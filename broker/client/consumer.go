package client

import (
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim/env"
)

// ConsumerRecord is a record as a consumer gets it.
type ConsumerRecord struct {
	Partition   kafka.TopicPartition
	Offset      kafka.Offset
	LeaderEpoch kafka.LeaderEpoch
	Timestamp   int64
	Key         []byte
	Value       []byte
	Headers     []record.Header
}

// Position is where a consumer is in a partition: the offset of the next
// record, and the leader epoch of the last one, NoEpoch if it is not known.
type Position struct {
	Offset kafka.Offset
	Epoch  kafka.LeaderEpoch
}

// LogTruncationError is returned by Poll when records that the consumer has
// already passed are gone from the log and auto.offset.reset is none (KIP-320).
type LogTruncationError struct {
	Partition kafka.TopicPartition
	Position  Position // where the consumer stood
	Diverged  Position // where the logs part; NoOffset if the leader cannot say
}

func (e *LogTruncationError) Error() string {
	return fmt.Sprintf("client: poll %v: position %d, epoch %d was truncated: the logs part at offset %d, epoch %d",
		e.Partition, e.Position.Offset, e.Position.Epoch, e.Diverged.Offset, e.Diverged.Epoch)
}

// Consumer reads assigned partitions. One task uses it at a time.
//
// A task in the background keeps the positions valid and fetches ahead; Poll
// only hands out what has come. Nothing but Poll moves a position forward.
type Consumer struct {
	// OnCommit, if set, is called for each attempt to commit, when its request is sent
	// or if none is; what it returns is called when that has ended. Any task may call
	// them, so they must not block. It is for recording what the group was told: an
	// attempt without an answer may be carried out late, after others.
	OnCommit func(Commit) (ended func(err error))

	cfg ConsumerConfig
	net *network

	assigned []*assigned  // in the order of their partitions
	sources  []*source    // in the order of their first use
	fetched  []*fetched   // in the order of their arrival
	codec    record.Codec // of the batch that was opened last
	unpaid   int64        // requests: see spendOnPoll
	failing  bool         // a partition may have an error to return
	group    *group       // nil: there is no group.id

	schedule *schedule  // of the fetcher; a duty for each source
	attended []*source  // by the work that is going on
	arrived  env.Signal // something for Poll, or for Position
	closed   bool

	// Memory to be used again.
	spare  []*fetched
	handed []ConsumerRecord // by the last Poll
}

// NewConsumer makes a consumer.
func (c *Client) NewConsumer(cfg ConsumerConfig) (*Consumer, error) {
	if cfg.MaxPollRecords < 1 {
		return nil, fmt.Errorf("client: consumer configuration: max.poll.records %d, expected at least 1: %w",
			cfg.MaxPollRecords, kerr.InvalidConfig)
	}
	consumer := &Consumer{
		cfg:     cfg,
		arrived: c.host.NewSignal("fetched records"),
	}
	consumer.schedule = newSchedule(c.host, "fetcher", consumer.work)
	consumer.net = c.network(&consumer.cfg.Common, consumer.networkChanged)
	if cfg.GroupID != "" {
		group, err := newGroup(consumer)
		if err != nil {
			return nil, err
		}
		consumer.group = group
	}
	c.host.Go("fetcher", consumer.run)
	return consumer, nil
}

// networkChanged: a link opened or broke, or the metadata was updated.
func (c *Consumer) networkChanged() {
	c.attendToAll()
	if c.group != nil {
		c.group.news()
	}
}

// Assign replaces the assignment. Partitions that stay keep their positions;
// new ones begin at the offsets that their group has committed, and without a group
// or such an offset where auto.offset.reset says. A consumer that has subscribed
// has its partitions from its group: Assign panics.
func (c *Consumer) Assign(partitions []kafka.TopicPartition) {
	if c.group != nil {
		if c.group.subscription.active() {
			panic("client: assign: subscription to topics, partitions and pattern are mutually exclusive")
		}
		c.group.commits.auto(c.net.host.Uptime())
	}
	c.assign(partitions)
}

// assign is Assign of what the application or the group says.
func (c *Consumer) assign(partitions []kafka.TopicPartition) {
	wanted := slices.Clone(partitions)
	slices.SortFunc(wanted, kafka.TopicPartition.Compare)
	wanted = slices.Compact(wanted)
	var next []*assigned
	for _, tp := range wanted {
		a := c.find(tp)
		if a == nil {
			a = &assigned{c: c, tp: tp, preferred: kafka.NoNode, highWatermark: kafka.NoOffset}
			if c.group != nil {
				a.initialise()
			} else {
				a.reset(c.cfg.AutoOffsetReset)
			}
			c.source(kafka.NoNode).join(a)
		}
		a.index = len(next)
		next = append(next, a)
		c.net.metadata.want(tp.Topic)
	}
	for _, a := range c.assigned {
		if a.index >= len(next) || next[a.index] != a {
			a.move() // what is on its way for it is of no more use
			a.source.leave(a)
		}
	}
	old := c.assigned
	c.assigned = next
	for i, a := range old {
		if (i == 0 || old[i-1].tp.Topic != a.tp.Topic) && !c.wants(a.tp.Topic) {
			c.net.metadata.unwant(a.tp.Topic)
		}
	}
	c.attendToAll()
}

// Assignment lists the assigned partitions in order.
func (c *Consumer) Assignment() []kafka.TopicPartition {
	all := make([]kafka.TopicPartition, len(c.assigned))
	for i, a := range c.assigned {
		all[i] = a.tp
	}
	return all
}

// Seek moves to an offset of an assigned partition.
func (c *Consumer) Seek(tp kafka.TopicPartition, o kafka.Offset) error {
	a, err := c.must(tp)
	if err == nil {
		a.seek(Position{Offset: o, Epoch: kafka.NoEpoch})
		c.attendToAll()
	}
	return err
}

// SeekTo is Seek to a position with its leader epoch, such as a committed one: a leader of
// an older epoch is not asked for what comes next (KIP-320).
func (c *Consumer) SeekTo(tp kafka.TopicPartition, to Position) error {
	a, err := c.must(tp)
	if err == nil {
		c.net.metadata.heard(tp, to.Epoch)
		a.seek(to)
		c.attendToAll()
	}
	return err
}

// SeekToBeginning moves to the start of the logs, of all assigned partitions
// if none is named, when they are next polled.
func (c *Consumer) SeekToBeginning(partitions ...kafka.TopicPartition) error {
	return c.resetAll(partitions, Earliest)
}

// SeekToEnd moves to the ends of the logs: with read_committed, to the last
// stable offsets.
func (c *Consumer) SeekToEnd(partitions ...kafka.TopicPartition) error {
	return c.resetAll(partitions, Latest)
}

func (c *Consumer) resetAll(partitions []kafka.TopicPartition, to OffsetReset) error {
	if len(partitions) == 0 {
		partitions = c.Assignment()
	}
	for _, tp := range partitions {
		a, err := c.must(tp)
		if err != nil {
			return err
		}
		a.reset(to)
	}
	c.attendToAll()
	return nil
}

// Poll blocks until there are records, at most timeout, and returns up to
// max.poll.records of them, in memory that the next call uses again. An error
// concerns one partition and is returned alone: what other partitions have
// comes with the next call.
func (c *Consumer) Poll(timeout time.Duration) ([]ConsumerRecord, error) {
	deadline := c.net.host.Uptime() + timeout
	for {
		if c.closed {
			return nil, fmt.Errorf("client: poll: consumer: %w", env.ErrClosed)
		}
		if c.group != nil {
			if err := c.group.poll(); err != nil {
				return nil, err
			}
		}
		records, err := c.collect()
		if len(records) > 0 || err != nil {
			c.spendOnPoll(records)
			return records, err
		}
		left := env.Forever
		if timeout != env.Forever {
			if left = deadline - c.net.host.Uptime(); left <= 0 {
				return nil, nil
			}
		}
		if c.group != nil {
			left = c.group.wait(left)
		}
		c.arrived.Wait(left)
	}
}

// collect hands out what has been fetched.
func (c *Consumer) collect() (records []ConsumerRecord, err error) {
	if err := c.failed(); err != nil {
		return nil, err
	}
	if len(c.fetched) == 0 {
		return nil, nil
	}
	records = c.handed[:0]
	limit := int(c.cfg.MaxPollRecords)
	kept := c.fetched[:0]
	for _, f := range c.fetched {
		if err == nil && !f.a.paused && !f.a.revoking && len(records) < limit {
			records, err = f.take(records, limit, c.cfg.CheckCRCs)
			if len(f.batch) > 0 {
				c.codec = f.batch.Codec()
			}
		}
		if err != nil && len(records) > 0 {
			// First the records before the bad one: the error will be met again.
			err = nil
			f.drop()
			limit = 0
		} else if err != nil {
			f.drop()
		}
		if !f.exhausted() {
			kept = append(kept, f)
			continue
		}
		c.soonFor(f.a)
		c.free(f)
	}
	if len(kept) < len(c.fetched) {
		clear(c.fetched[len(kept):])
		c.fetched = kept
		c.schedule.run()
	}
	if cap(records) <= maxHanded {
		c.handed = records
	}
	return records, err
}

// maxHanded bounds the memory that is kept from one Poll to the next.
const maxHanded = 1024

// failed is the error of the first partition that has one.
func (c *Consumer) failed() error {
	if !c.failing {
		return nil
	}
	for _, a := range c.assigned {
		if err := a.err; err != nil {
			if !a.stuck {
				a.err = nil
			}
			return err
		}
	}
	c.failing = false
	return nil
}

// Position is where the consumer is in tp. It blocks, at most
// default.api.timeout.ms, until that is known.
func (c *Consumer) Position(tp kafka.TopicPartition) (Position, error) {
	deadline := c.net.host.Uptime() + c.cfg.DefaultAPITimeout
	for {
		a, err := c.must(tp)
		if err != nil {
			return Position{}, err
		}
		if a.state != lost && a.state != initial {
			return a.position, nil
		}
		if a.err != nil {
			return Position{}, a.err
		}
		if c.group != nil {
			if err := c.group.commits.initialise(c.net.host.Uptime()); err != nil {
				return Position{}, err
			}
			c.group.run()
		}
		left := deadline - c.net.host.Uptime()
		if left <= 0 || !c.arrived.Wait(left) {
			return Position{}, fmt.Errorf("client: position of %v: not known after %v: %w", tp, c.cfg.DefaultAPITimeout, kerr.RequestTimedOut)
		}
	}
}

// Pause keeps the partitions from being returned by Poll.
func (c *Consumer) Pause(partitions ...kafka.TopicPartition) { c.pause(partitions, true) }

// Resume takes Pause back.
func (c *Consumer) Resume(partitions ...kafka.TopicPartition) { c.pause(partitions, false) }

func (c *Consumer) pause(partitions []kafka.TopicPartition, paused bool) {
	for _, tp := range partitions {
		if a := c.find(tp); a != nil {
			a.paused = paused
		}
	}
	c.attendToAll()
}

// closeTimeout is how long Close takes at most.
const closeTimeout = 30 * time.Second

// Close is CloseWithin 30 seconds, as in Kafka.
func (c *Consumer) Close() {
	// The error is the listener's, and Close is the end.
	_ = c.CloseWithin(closeTimeout)
}

// CloseWithin ends the consumer's tasks and connections. A member of a group commits
// what it has consumed, if enable.auto.commit says so, gives its partitions up and
// leaves the group, unless it is a static one; it blocks, at most timeout, until the
// coordinator has answered. The error is one of the listener.
func (c *Consumer) CloseWithin(timeout time.Duration) error {
	if c.closed {
		return nil
	}
	var err error
	if c.group != nil {
		err = c.group.close(c.net.host.Uptime() + timeout)
	}
	c.closed = true
	c.schedule.close()
	c.net.close()
	c.arrived.Broadcast()
	return err
}

// GroupMetadata is as what the consumer is in its group (KIP-447).
func (c *Consumer) GroupMetadata() (GroupMetadata, error) {
	if c.group == nil {
		return GroupMetadata{}, fmt.Errorf("client: group metadata: %w", errNoGroup)
	}
	return c.group.metadata(), nil
}

// Coordinator is the broker that coordinates the consumer's group, or NoNode if it is
// not known.
func (c *Consumer) Coordinator() kafka.NodeID {
	if c.group == nil || c.group.coordinator.link == nil {
		return kafka.NoNode
	}
	return c.group.coordinator.link.node
}

func (c *Consumer) find(tp kafka.TopicPartition) *assigned {
	at, ok := slices.BinarySearchFunc(c.assigned, tp, func(a *assigned, tp kafka.TopicPartition) int { return a.tp.Compare(tp) })
	if !ok {
		return nil
	}
	return c.assigned[at]
}

func (c *Consumer) must(tp kafka.TopicPartition) (*assigned, error) {
	if a := c.find(tp); a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("client: consumer: %v is not assigned", tp)
}
