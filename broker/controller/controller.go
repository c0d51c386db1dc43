// Package controller is the brain of the cluster's metadata: which brokers are
// in, which replicas a partition has, which of them leads it. It decides;
// package raft makes the decisions durable and known; package metadata holds
// their result.
//
// Every request is one pure decision over the metadata image and the brokers'
// sessions: records and an answer (brain). The limb, Controller, appends the
// records to the quorum's log, applies them to its own uncommitted image at
// once, so that the next decision sees them, and answers when they are
// committed. Leadership lost: the uncommitted image goes, the committed one
// stays.
package controller

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/raft"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim/env"
)

// Config is what a controller is given at its start.
type Config struct {
	ID        kafka.NodeID
	ClusterID string
	Settings  Settings
	Bugs      *planted.Set
	// Given is the configuration that the node was started with, by Kafka's names:
	// the defaults of topics come from it.
	Given map[string]string
}

// Settings are the controller's Kafka configuration.
type Settings struct {
	SessionTimeout    time.Duration `kafka:"broker.session.timeout.ms"`
	MaxIdleInterval   time.Duration `kafka:"metadata.max.idle.interval.ms"`
	AutoRebalance     bool          `kafka:"auto.leader.rebalance.enable"`
	RebalanceInterval time.Duration `kafka:"leader.imbalance.check.interval.seconds"`
	UncleanElection   bool          `kafka:"unclean.leader.election.enable"`
	UncleanInterval   time.Duration `kafka:"unclean.leader.election.interval.ms"`
	MinInsyncReplicas int32         `kafka:"min.insync.replicas"`
	NumPartitions     int32         `kafka:"num.partitions"`
	ReplicationFactor int32         `kafka:"default.replication.factor"`

	// The feature levels that a new cluster begins with. They choose the
	// generation of a protocol.

	// EligibleLeaderReplicas 1 is KIP-966; 0 is the generation before, in which
	// the last member of an ISR never leaves it.
	EligibleLeaderReplicas int16 `kafka:"eligible.leader.replicas.version"`
	GroupVersion           int16 `kafka:"group.version"`
	TransactionVersion     int16 `kafka:"transaction.version"`
}

// ConfigKind says that these are brokers' settings.
func (Settings) ConfigKind() config.Kind { return config.Broker }

// Quorum is what a controller needs of its raft.Node.
type Quorum interface {
	Append(epoch kafka.LeaderEpoch, recs []metadata.Record) (last kafka.Offset, err error)
	WaitCommitted(offset kafka.Offset, epoch kafka.LeaderEpoch, timeout time.Duration) error
	HighWatermark() kafka.Offset
	MaybeSnapshot(im *metadata.Image)
}

// Controller is the limb of one node of the quorum. It acts only while active:
// leader of the quorum, and caught up with everything committed before its
// epoch began (KAFKA-15345). It implements raft.Listener.
type Controller struct {
	host   env.Host
	cfg    Config
	quorum Quorum

	committed *metadata.Image
	leader    kafka.NodeID // of the quorum, as raft last said
	epoch     kafka.LeaderEpoch

	// While active.
	active   bool
	image    *metadata.Image // committed, and then what this controller decided
	sessions *sessions
	last     kafka.Offset // of what was decided; only this controller appends
	wake     env.Signal   // for the periodic task: look at the clock again, or stop
}

var _ raft.Listener = (*Controller)(nil)

// New makes a controller, which is to be raft's listener. It acts once Start
// has given it the quorum.
func New(host env.Host, cfg Config) *Controller {
	return &Controller{
		host: host, cfg: cfg,
		committed: metadata.NewImage(),
		leader:    kafka.NoNode,
		wake:      host.NewSignal("controller"),
	}
}

// Start gives the controller its quorum, whose listener it is already.
func (c *Controller) Start(q Quorum) {
	c.quorum = q
	c.beginIfLeader()
}

// Active reports whether this controller acts.
func (c *Controller) Active() bool { return c.active }

// View is a look at a controller from outside.
type View struct {
	Active      bool
	Epoch       kafka.LeaderEpoch
	Committed   *metadata.Image // a copy
	Uncommitted int             // records decided and not committed yet
}

// View looks.
func (c *Controller) View() View {
	v := View{Active: c.active, Epoch: c.epoch, Committed: c.committed.Clone()}
	if c.active {
		v.Uncommitted = int(max(0, c.last-c.committed.Offset))
	}
	return v
}

// Image is the committed image itself: to be read, not kept.
func (c *Controller) Image() *metadata.Image { return c.committed }

// commitTimeout bounds how long a request without a timeout of its own waits
// for the quorum. A leader that cannot commit resigns long before.
const commitTimeout = 30 * time.Second

// write decides a request and answers once everything that the decision was
// made from, and its own records, are committed. It blocks.
func (c *Controller) write(timeout time.Duration, decide func(*brain) (records, error)) error {
	return c.writeThen(timeout, decide, func(kafka.Offset) {})
}

// writeThen is write with something to do as soon as the records are applied,
// the last of them at offset last.
func (c *Controller) writeThen(timeout time.Duration, decide func(*brain) (records, error), then func(last kafka.Offset)) error {
	if !c.active {
		return kerr.NotController
	}
	epoch := c.epoch
	recs, err := decide(c.brain())
	if err != nil {
		return err
	}
	if err := c.append(recs); err != nil {
		return err
	}
	then(c.last)
	last := c.last
	if last >= c.quorum.HighWatermark() {
		if err := c.quorum.WaitCommitted(last, epoch, timeout); err != nil {
			return err
		}
	}
	c.host.Tell(&witness.ControllerAnswered{Node: c.cfg.ID, Epoch: epoch, Offset: last})
	return nil
}

func (c *Controller) brain() *brain {
	return &brain{
		cfg: &c.cfg, image: c.image, sessions: c.sessions,
		now: c.host.Uptime(), next: c.last + 1, luck: c.host.Rand(), reached: c.host.Reached,
	}
}

// append writes records to the quorum's log as one batch and applies them to
// the uncommitted image. It does not block, so nothing is decided in between.
func (c *Controller) append(recs records) error {
	if len(recs) == 0 {
		return nil
	}
	epoch := c.epoch
	last, err := c.quorum.Append(epoch, recs)
	if err != nil {
		return err
	}
	if !c.active || c.epoch != epoch {
		// Lost while appending: what becomes of the records is not known here.
		return kerr.NotController
	}
	if want := c.last + kafka.Offset(len(recs)); last != want {
		// Broker epochs are offsets, and were given away already.
		panic(fmt.Sprintf("controller %d: %d records appended after offset %d end at %d, not %d", c.cfg.ID, len(recs), c.last, last, want))
	}
	for _, r := range recs {
		c.tell(r)
		mustApply(c.image, r)
		c.sessions.follow(r, c.host.Uptime())
	}
	c.image.Offset, c.image.Epoch, c.last = last, epoch, last
	return nil
}

// mustApply applies a record of our own making.
func mustApply(image *metadata.Image, r metadata.Record) {
	if err := image.Apply(r); err != nil {
		panic(fmt.Sprintf("controller: decided on a record that does not apply: %v", err))
	}
}

// tellRefusal tells of a refusal that is worth a line.
func (c *Controller) tellRefusal(what string, id int32, err error) {
	if errors.Is(err, kerr.NotController) || errors.Is(err, kerr.DuplicateBrokerRegistration) {
		return
	}
	c.host.Tell(&witness.Refused{What: fmt.Sprintf(what, id), Error: witness.ErrorOf(err)})
}
