package server

import (
	"fmt"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/raft"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim/env"
)

// Publisher follows the metadata log: it folds what is committed into the
// broker's image and has the replicas follow. It is the quorum's listener on a
// broker, and the image is the broker's metadata cache.
//
// The image changes first and the replicas after it, as in Kafka: for a moment
// a broker may name itself the leader of a partition that it does not lead yet.
type Publisher struct {
	host     env.Host
	node     kafka.NodeID
	replicas Replicas

	image *metadata.Image
	queue []raft.Batch
	// snapshot, if set, comes before the queue.
	snapshot *metadata.Image
	arrived  env.Signal

	// caughtUp is asked until it says yes once: the image holds what was
	// committed when the broker started. Until then nothing is published.
	caughtUp  func() bool
	published bool
	first     env.Signal
	// offset is the last one that the replicas follow.
	offset kafka.Offset
	// compact is offered every image that was published.
	compact func(*metadata.Image)
	// onPublished are told of it, and of what has changed since the one before; the
	// first has none.
	onPublished []func(*metadata.Image, *metadata.Changes)
}

// Replicas is what a broker's replicas are told of the metadata.
type Replicas interface {
	Apply(im *metadata.Image, ch *metadata.Changes)
	ApplyImage(im *metadata.Image)
}

// NewPublisher makes one. Batches may be delivered before Start.
func NewPublisher(host env.Host, node kafka.NodeID, replicas Replicas) *Publisher {
	return &Publisher{
		host: host, node: node, replicas: replicas,
		image:   metadata.NewImage(),
		offset:  kafka.NoOffset,
		arrived: host.NewSignal("metadata arrived"),
		first:   host.NewSignal("metadata published"),
	}
}

// Start begins to publish, in a task of its own. compact may be nil.
func (p *Publisher) Start(caughtUp func() bool, compact func(*metadata.Image)) {
	p.caughtUp, p.compact = caughtUp, compact
	p.host.Go("metadata publisher", p.run)
}

// OnPublished has f called when the replicas follow an image, with what has changed; nil
// for the first. f must not block, nor keep the image.
func (p *Publisher) OnPublished(f func(*metadata.Image, *metadata.Changes)) {
	p.onPublished = append(p.onPublished, f)
}

// Image is the state of the cluster as this broker knows it. It is not to be
// changed, and not to be kept over a call that blocks.
func (p *Publisher) Image() *metadata.Image { return p.image }

// Offset is the last one whose record the replicas follow, or NoOffset.
func (p *Publisher) Offset() kafka.Offset { return p.offset }

// WaitPublished blocks until the replicas follow the metadata for the first time.
func (p *Publisher) WaitPublished() {
	for !p.published {
		p.first.Wait(env.Forever)
	}
}

// Recheck has the publisher ask again whether it is caught up.
func (p *Publisher) Recheck() { p.arrived.Notify() }

// Committed is raft.Listener's.
func (p *Publisher) Committed(b raft.Batch) {
	p.queue = append(p.queue, b)
	p.arrived.Notify()
}

// LoadSnapshot is raft.Listener's.
func (p *Publisher) LoadSnapshot(im *metadata.Image) {
	p.snapshot, p.queue = im, nil
	p.arrived.Notify()
}

// LeaderChanged is raft.Listener's. The channel asks raft for the leader when
// it needs one.
func (p *Publisher) LeaderChanged(kafka.NodeID, kafka.LeaderEpoch) {}

func (p *Publisher) run() {
	for {
		// The snapshot and the batches may have come while the replicas were
		// busy, so this task was not woken.
		for p.snapshot == nil && len(p.queue) == 0 && (p.published || !p.caughtUp()) {
			p.arrived.Wait(env.Forever)
		}
		p.publish()
	}
}

// publish takes in all that has arrived, in one step, and has the replicas
// follow. It blocks.
func (p *Publisher) publish() {
	whole, before := !p.published, (*metadata.Image)(nil)
	if p.snapshot != nil {
		before, p.image, p.snapshot = p.image, p.snapshot, nil
		whole = true
	}
	var changes metadata.Changes
	p.image.Track(&changes)
	for _, b := range p.queue {
		p.fold(b)
	}
	p.image.Track(nil)
	clear(p.queue) // the records need not live on
	p.queue = p.queue[:0]
	if !p.published && !p.caughtUp() {
		return
	}
	im, offset := p.image, p.image.Offset
	p.host.Yield("metadata publish")
	if whole {
		p.replicas.ApplyImage(im)
	} else {
		p.replicas.Apply(im, &changes)
	}
	p.offset = offset
	switch {
	case !p.published:
		p.tellPublished(im, nil)
		p.published = true
		p.first.Broadcast()
	case before != nil:
		changes = metadata.Diff(before, im)
		fallthrough
	default:
		p.tellPublished(im, &changes)
	}
	p.host.Tell(&witness.Applied{Node: p.node, Offset: offset, Hash: im.Hash()})
	if p.compact != nil {
		p.compact(im)
	}
}

func (p *Publisher) tellPublished(im *metadata.Image, ch *metadata.Changes) {
	for _, f := range p.onPublished {
		f(im, ch)
	}
}

func (p *Publisher) fold(b raft.Batch) {
	for _, rec := range b.Records {
		if err := p.image.Apply(rec); err != nil {
			// As in Kafka, a broker that cannot follow the metadata must not serve.
			p.host.Exit(fmt.Errorf("broker %d: metadata batch at offset %d: %w", p.node, b.BaseOffset, err))
		}
	}
	p.image.Offset, p.image.Epoch = b.LastOffset, b.Epoch
}
