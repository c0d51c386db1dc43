package raft

import (
	"fmt"
	"path"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/files"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim/env"
)

// MetadataTopicID is Kafka's reserved id of __cluster_metadata.
var MetadataTopicID = kafka.UUID{15: 1}

// Start opens the log, and joins the quorum. What is known to be committed is
// replayed to l from a task of the node, not before Start has returned. Start
// blocks while it reads the disk.
func Start(host env.Host, cfg Config, l Listener) (*Node, error) {
	n := &Node{
		host: host, cfg: cfg, listener: l, dir: logDir(cfg.Dir),
		self: &witness.Replica{Node: cfg.ID, Partition: kafka.MetadataPartition, Topic: MetadataTopicID},
		free: host.NewSignal("raft turn"), wake: host.NewSignal("raft timer"),
		news: host.NewSignal("raft news"), committed: host.NewSignal("raft commit"),
		epoch: kafka.NoEpoch, resign: kafka.NoEpoch, namedLeader: kafka.NoNode, namedEpoch: kafka.NoEpoch,
	}
	if err := n.open(); err != nil {
		return nil, err
	}
	n.addPeers()
	n.busy = true // it is the driver's turn first: to load the newest snapshot
	n.fetch.wake = host.NewSignal("raft fetch")
	host.Go("raft", n.drive)
	host.Go("raft fetch", n.fetchLoop)
	for _, p := range n.peers {
		host.Go(p.task, func() { n.talk(p) })
	}
	return n, nil
}

// open brings back what the disk has.
func (n *Node) open() error {
	disk := n.host.Disk()
	if err := files.MkdirAll(disk, n.dir); err != nil {
		return fmt.Errorf("raft: make %s: %w", n.dir, err)
	}
	state, err := readQuorumState(disk, n.dir)
	if err != nil {
		return err
	}
	shape, err := n.openLog()
	if err != nil {
		return err
	}
	n.saved = state
	n.core = NewCore(n.host.Uptime(), Member{
		ID: n.cfg.ID, Voters: n.voterIDs(), Settings: n.cfg.Settings, Luck: n.host.Rand(), Bugs: n.cfg.Bugs,
	}, state, shape)
	n.next = shape.End
	n.newsEnd = shape.Flushed
	n.host.Tell(&witness.QuorumOpened{Replica: n.self, Start: shape.Start, End: shape.End, HW: n.core.HighWatermark(), Epoch: n.core.State().Epoch})
	n.tellFlushed()
	return nil
}

// logDir is where the quorum's log is in a data directory.
func logDir(dir string) string { return path.Join(dir, kafka.MetadataPartition.Dir()) }

// Check says what is wrong with what a member remembers of the quorum in a data
// directory, before anything there is changed.
func Check(host env.Host, dir string) error {
	_, err := readQuorumState(host.Disk(), logDir(dir))
	return err
}

func (n *Node) openLog() (Shape, error) {
	ids, err := n.listSnapshots()
	if err != nil {
		return Shape{}, err
	}
	var cfg log.Config
	config.Default(&cfg)
	cfg.RetentionTime, cfg.RetentionBytes = -1, -1 // snapshots decide
	cfg.SegmentBytes = n.cfg.Settings.SegmentBytes
	opts := log.Options{Bugs: n.cfg.Bugs}
	if len(ids) > 0 {
		opts.LogStart = ids[0].End
	}
	n.log, err = log.Open(n.host, n.dir, kafka.MetadataPartition, cfg, opts)
	if err != nil {
		return Shape{}, err
	}
	shape, err := n.fitLog(ids)
	if err != nil {
		return Shape{}, err
	}
	// What a process that was killed had not flushed is still there, but a
	// fetch from the end would promise that it is durable.
	if n.isVoter() {
		if err := n.syncLog(); err != nil {
			return Shape{}, err
		}
	}
	shape.Flushed = shape.End
	return shape, nil
}

// fitLog brings the log in line with the snapshots.
func (n *Node) fitLog(ids []SnapshotID) (Shape, error) {
	shape := Shape{Start: n.log.StartOffset(), End: n.log.EndOffset()}
	for _, e := range n.log.EpochEntries() {
		if e.Start < shape.End { // an epoch without records says nothing of the log
			shape.Epochs = append(shape.Epochs, Span{Epoch: e.Epoch, Base: e.Start})
		}
	}
	for len(ids) > 0 && ids[0].End < shape.Start {
		ids = ids[1:] // the log was cut before the file was removed
	}
	if len(ids) == 0 {
		if shape.Start > 0 {
			// Starting would pass off a part of the state as the whole (KAFKA-14240).
			return Shape{}, fmt.Errorf("raft: open %s: the log starts at %d, and there is no snapshot of what was before", n.dir, shape.Start)
		}
		return shape, nil
	}
	shape.Snapshots = ids
	latest := ids[len(ids)-1]
	if shape.Contains(latest) {
		return shape, nil
	}
	n.host.Reached(ProbeSnapshotBeforeCut)
	if err := n.log.TruncateFullyAndStartAt(latest.End); err != nil {
		return Shape{}, err
	}
	return Shape{Start: latest.End, End: latest.End, Snapshots: []SnapshotID{latest}}, nil
}
