package log

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim/env"
)

// The checkpoints of a log directory.
const (
	recoveryPointsFile = "recovery-point-offset-checkpoint"
	highWatermarksFile = "replication-offset-checkpoint"
	logStartsFile      = "log-start-offset-checkpoint"
	cleanedOffsetsFile = "cleaner-offset-checkpoint"
)

// What ends the name of a log's directory that is about to be removed, and of
// one that no topic belongs to.
const (
	deleteSuffix = "-delete"
	straySuffix  = "-stray"
)

// DirOptions is what a node knows when it opens its log directory.
type DirOptions struct {
	ClusterID string
	NodeID    kafka.NodeID
	// Config is the configuration of the logs found, until SetConfig.
	Config         Config
	ProducerExpiry time.Duration // producer.id.expiration.ms; zero: a day
	// VerifyTransactions: see Options.
	VerifyTransactions bool
	Bugs               *planted.Set
}

// Dir is the log directory of a node: its identity (meta.properties), the
// checkpoints, the mark of a clean shutdown, and the logs. The quorum's own
// log may lie in it, but belongs to package raft.
type Dir struct {
	host env.Host
	disk env.Disk
	path string
	opts DirOptions

	// producerExpiry is what the logs go by now.
	producerExpiry time.Duration
	// verify is whether the logs refuse transactions that were not verified, now.
	verify bool

	id         kafka.UUID
	clean      bool
	cleanEpoch kafka.BrokerEpoch

	logs     map[kafka.TopicPartition]*Log
	topicIDs map[kafka.TopicPartition]kafka.UUID
	// highWatermarks is what was given to the checkpoint last.
	highWatermarks offsets
	// cleaned is up to where each log was compacted. A log that is not in it has no
	// gaps.
	cleaned offsets
	// stored is what the checkpoint files hold, by name.
	stored map[string]offsets
	// writing lets one task at a time write the checkpoints.
	writing gate
}

// OpenDir opens the directory, making it when it is empty, and recovers its
// logs. When its meta.properties belongs to another cluster or node, or is
// damaged, it says so and changes nothing. It blocks.
func OpenDir(host env.Host, dir string, opts DirOptions) (*Dir, error) {
	d := &Dir{
		host: host, disk: host.Disk(), path: dir, opts: opts,
		logs: map[kafka.TopicPartition]*Log{}, topicIDs: map[kafka.TopicPartition]kafka.UUID{},
		stored:         map[string]offsets{},
		producerExpiry: opts.ProducerExpiry, verify: opts.VerifyTransactions,
	}
	if err := d.open(); err != nil {
		return nil, fmt.Errorf("log: open directory %s: %w", path.Clean(dir), err)
	}
	return d, nil
}

func (d *Dir) open() (err error) {
	if d.id, err = identify(d.host, d.path, d.opts); err != nil {
		return err
	}
	if d.highWatermarks, err = readOffsets(d.disk, d.file(highWatermarksFile)); err != nil {
		return err
	}
	found, err := d.readCheckpoints()
	if err != nil {
		return err
	}
	d.cleaned = found.cleaned
	names, err := d.disk.List(d.path)
	if err != nil {
		return err
	}
	if d.cleanEpoch, d.clean, err = takeCleanShutdown(d.disk, d.path); err != nil {
		return err
	}
	for _, name := range names {
		if err := d.openLog(name, found); err != nil {
			return err
		}
	}
	if err := d.settleCleaned(found.cleanedLost); err != nil {
		return err
	}
	if d.clean {
		return nil
	}
	// Recovery may have cut a log below its recovery point. What is appended
	// there now is not synced, and the checkpoint must not say that it is.
	return d.CheckpointRecovery()
}

// readOrReset reads a checkpoint that recovery can do without: from a recovery
// point of 0 everything is read again, and the log starts at its first segment.
func (d *Dir) readOrReset(name string) (of offsets, lost bool, err error) {
	of, err = readOffsets(d.disk, d.file(name))
	if errors.Is(err, errDamaged) {
		d.host.Tell(&witness.CheckpointDamaged{File: d.file(name), Error: witness.ErrorOf(err)})
		return offsets{}, true, nil
	}
	return of, false, err
}

// checkpoints is what the directory says of its logs when it is opened. Of a
// checkpoint that was damaged it is lost what it said.
type checkpoints struct {
	recoveryPoints, logStarts, cleaned offsets
	recoveryLost, cleanedLost          bool
}

func (d *Dir) readCheckpoints() (found checkpoints, err error) {
	if found.recoveryPoints, found.recoveryLost, err = d.readOrReset(recoveryPointsFile); err != nil {
		return found, err
	}
	if found.logStarts, _, err = d.readOrReset(logStartsFile); err != nil {
		return found, err
	}
	found.cleaned, found.cleanedLost, err = d.readOrReset(cleanedOffsetsFile)
	return found, err
}

// options is how a log is to be opened.
func (c *checkpoints) options(tp kafka.TopicPartition) Options {
	_, compacted := c.cleaned[tp]
	opts := Options{
		RecoveryPoint: c.recoveryPoints[tp], LogStart: c.logStarts[tp],
		Gaps: compacted || c.cleanedLost, GapsBelow: c.recoveryPoints[tp],
	}
	if c.recoveryLost {
		opts.GapsBelow = math.MaxInt64
	}
	return opts
}

// openLog opens what an entry of the directory is the log of, if it is one.
func (d *Dir) openLog(name string, found checkpoints) error {
	name, isDir := strings.CutSuffix(name, "/")
	if !isDir || name == kafka.MetadataPartition.Dir() {
		return nil
	}
	if strings.HasSuffix(name, deleteSuffix) {
		d.removeLater(d.file(name), d.opts.Config.FileDeleteDelay)
		return nil
	}
	if strings.HasSuffix(name, straySuffix) {
		return nil
	}
	tp, ok := parseDir(name)
	if !ok {
		return fmt.Errorf("%s: expected a directory named topic-partition", d.file(name))
	}
	id, err := readTopicID(d.disk, d.file(name))
	if errors.Is(err, env.ErrNotExist) {
		// The process died before the log was whole; nothing was written to it.
		return removeTree(d.disk, d.file(name))
	}
	if err != nil {
		return err
	}
	d.topicIDs[tp] = id
	opts := found.options(tp)
	opts.Clean = d.clean
	return d.adopt(tp, d.opts.Config, opts)
}

// adopt opens a log and makes it one of the directory's.
func (d *Dir) adopt(tp kafka.TopicPartition, cfg Config, opts Options) error {
	opts.ProducerExpiry, opts.VerifyTransactions, opts.Bugs = d.producerExpiry, d.verify, d.opts.Bugs
	l, err := Open(d.host, d.file(tp.Dir()), tp, cfg, opts)
	if err != nil {
		return err
	}
	l.checkpoint = func() error { return d.logWasCut(l) }
	l.onGaps = func() error { return d.markGaps(l) }
	d.logs[tp] = l
	return nil
}

// parseDir is the partition whose log a directory holds.
func parseDir(name string) (kafka.TopicPartition, bool) {
	i := strings.LastIndexByte(name, '-')
	if i <= 0 {
		return kafka.TopicPartition{}, false
	}
	n, err := strconv.ParseInt(name[i+1:], 10, 32)
	tp := kafka.TopicPartition{Topic: name[:i], Partition: int32(n)}
	return tp, err == nil && n >= 0
}

// ID is the directory's id (KIP-858).
func (d *Dir) ID() kafka.UUID { return d.id }

// CleanShutdown reports whether the last process shut down in order, and the
// broker epoch it then had (KIP-966).
func (d *Dir) CleanShutdown() (epoch kafka.BrokerEpoch, ok bool) { return d.cleanEpoch, d.clean }

// Partitions lists the logs, in order.
func (d *Dir) Partitions() []kafka.TopicPartition { return sortedPartitions(d.logs) }

// Get is the log of tp, or nil.
func (d *Dir) Get(tp kafka.TopicPartition) *Log { return d.logs[tp] }

// TopicID is the topic's id as partition.metadata says.
func (d *Dir) TopicID(tp kafka.TopicPartition) kafka.UUID { return d.topicIDs[tp] }

// SetProducerExpiry changes producer.id.expiration.ms of all logs; zero: back to
// what the directory was opened with.
func (d *Dir) SetProducerExpiry(after time.Duration) {
	if after == 0 {
		after = d.opts.ProducerExpiry
	}
	d.producerExpiry = after
	for _, tp := range d.Partitions() {
		d.logs[tp].setProducerExpiry(after)
	}
}

// SetVerifyTransactions changes transaction.partition.verification.enable of all logs; nil: back to
// what the directory was opened with.
func (d *Dir) SetVerifyTransactions(on *bool) {
	d.verify = d.opts.VerifyTransactions
	if on != nil {
		d.verify = *on
	}
	for _, tp := range d.Partitions() {
		d.logs[tp].opts.VerifyTransactions = d.verify
	}
}

// VerifiesTransactions reports whether the logs take only transactions that were verified.
func (d *Dir) VerifiesTransactions() bool { return d.verify }

// Create makes a new log. Its topic id is there before the log is, so that no
// log is ever without one. It blocks.
func (d *Dir) Create(tp kafka.TopicPartition, topic kafka.UUID, cfg Config) (*Log, error) {
	if d.logs[tp] != nil {
		return nil, fmt.Errorf("log: create %v: it exists, with topic id %v", tp, d.topicIDs[tp])
	}
	if err := d.makeLogDir(tp, topic); err != nil {
		return nil, fmt.Errorf("log: create %v: %w: %w", tp, kerr.KafkaStorageError, err)
	}
	d.topicIDs[tp] = topic
	err := d.adopt(tp, cfg, Options{Clean: true})
	return d.logs[tp], err
}

func (d *Dir) makeLogDir(tp kafka.TopicPartition, topic kafka.UUID) error {
	dir := d.file(tp.Dir())
	if err := d.disk.MkdirAll(dir); err != nil {
		return err
	}
	return writeTopicID(d.disk, dir, topic)
}

// Delete takes a log out of use at once; its files go after
// file.delete.delay.ms. It blocks.
func (d *Dir) Delete(tp kafka.TopicPartition) error {
	l := d.logs[tp]
	to, err := d.take(tp, deleteSuffix)
	if err != nil {
		return fmt.Errorf("log: delete %v: %w: %w", tp, kerr.KafkaStorageError, err)
	}
	if to != "" {
		d.removeLater(to, l.cfg.FileDeleteDelay)
	}
	return nil
}

// SetAside takes the log of a partition out of use and keeps its files, under
// another name, where an operator can find it. It blocks.
func (d *Dir) SetAside(tp kafka.TopicPartition) error {
	to, err := d.take(tp, straySuffix)
	if err != nil {
		return fmt.Errorf("log: set aside %v: %w: %w", tp, kerr.KafkaStorageError, err)
	}
	if to != "" {
		d.host.Tell(&witness.StrayKept{Log: witness.Log{Partition: tp}, As: to})
	}
	return nil
}

// take renames the directory of a log, of which nothing is known here any more
// then. The checkpoints forget it too: a topic that is created again under the
// name must not inherit its offsets. It returns the new name; empty: another
// task was faster.
func (d *Dir) take(tp kafka.TopicPartition, suffix string) (to string, err error) {
	l := d.logs[tp]
	if l == nil {
		return "", nil
	}
	l.changing.enter(d.host, "log change")
	defer l.changing.leave()
	if d.logs[tp] != l {
		return "", nil
	}
	if !l.closed {
		l.abandon()
	}
	to = d.file(d.uniqueName(tp, suffix))
	if err := d.disk.Rename(l.dir, to); err != nil {
		return "", err
	}
	delete(d.logs, tp)
	delete(d.topicIDs, tp)
	delete(d.highWatermarks, tp)
	if err := d.disk.SyncDir(d.path); err != nil {
		return "", err
	}
	if err := d.CheckpointRecovery(); err != nil {
		return "", err
	}
	if _, compacted := d.cleaned[tp]; compacted {
		delete(d.cleaned, tp)
		if err := d.writeCleaned(); err != nil {
			return "", err
		}
	}
	return to, d.writeOffsets(highWatermarksFile, d.highWatermarks)
}

// uniqueName is what the directory of a log is called that is not in use any
// more; it is no longer than a file system allows.
func (d *Dir) uniqueName(tp kafka.TopicPartition, suffix string) string {
	id := kafka.NewUUID(d.host.Rand())
	suffix = "." + hex.EncodeToString(id[:]) + suffix
	name := tp.Dir()
	return name[:min(len(name), 255-len(suffix))] + suffix
}

// removeLater removes a directory with what is in it. That it is still there
// does no harm, so that errors do not either: the next start tries again.
func (d *Dir) removeLater(dir string, delay time.Duration) {
	d.host.After(delay, "remove "+dir, func() {
		d.host.Go("remove-log", func() { _ = removeTree(d.disk, dir) })
	})
}

func removeTree(disk env.Disk, dir string) error {
	names, err := disk.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := removeIfExists(disk, path.Join(dir, name)); err != nil {
			return err
		}
	}
	return disk.Remove(dir)
}

// HighWatermark is tp's high watermark as last checkpointed.
func (d *Dir) HighWatermark(tp kafka.TopicPartition) kafka.Offset { return d.highWatermarks[tp] }

// Checkpoint writes the high watermarks (every 5 s in Kafka). It blocks. Of logs
// that no metadata name yet, because their broker has not caught up with the
// metadata, what was known is kept.
func (d *Dir) Checkpoint(hws map[kafka.TopicPartition]kafka.Offset) error {
	known := offsets{}
	maps.Copy(known, hws)
	for tp := range d.logs { //det:allow each has an entry of its own
		if _, given := hws[tp]; !given {
			known[tp] = d.highWatermarks[tp]
		}
	}
	if len(known) > len(hws) {
		d.host.Reached(ProbeMarksKept)
	}
	d.highWatermarks = known
	return d.writeOffsets(highWatermarksFile, d.highWatermarks)
}

// CheckpointRecovery writes the logs' recovery points and start offsets (every
// 60 s in Kafka). It blocks.
func (d *Dir) CheckpointRecovery() error {
	return errors.Join(d.checkpointRecoveryPoints(), d.checkpointLogStarts())
}

func (d *Dir) checkpointRecoveryPoints() error {
	of := offsets{}
	for tp, l := range d.logs {
		of[tp] = l.recoveryPoint
	}
	return d.writeOffsets(recoveryPointsFile, of)
}

// checkpointLogStarts writes those that the first segment does not say.
func (d *Dir) checkpointLogStarts() error {
	of := offsets{}
	for tp, l := range d.logs {
		if l.start > l.segments[0].base {
			of[tp] = l.start
		}
	}
	return d.writeOffsets(logStartsFile, of)
}

// writeOffsets writes a checkpoint, unless the file says the same already.
func (d *Dir) writeOffsets(name string, of offsets) error {
	d.writing.enter(d.host, "checkpoint")
	defer d.writing.leave()
	if stored, ok := d.stored[name]; ok && maps.Equal(stored, of) {
		return nil
	}
	delete(d.stored, name)
	err := writeOffsets(d.disk, d.file(name), of)
	if err == nil {
		d.stored[name] = maps.Clone(of)
	}
	return err
}

// CloseClean closes the logs, writes the checkpoints and the mark of a clean
// shutdown. It blocks.
func (d *Dir) CloseClean(epoch kafka.BrokerEpoch, hws map[kafka.TopicPartition]kafka.Offset) error {
	for _, tp := range d.Partitions() {
		// To close a log takes time, in which others may be deleted, or it.
		l := d.logs[tp]
		if l == nil {
			continue
		}
		if err := l.Close(); err != nil && d.logs[tp] == l {
			return err
		}
	}
	if err := errors.Join(d.CheckpointRecovery(), d.Checkpoint(hws)); err != nil {
		return fmt.Errorf("log: close directory %s: %w", d.path, err)
	}
	if err := markCleanShutdown(d.disk, d.path, epoch); err != nil {
		return fmt.Errorf("log: close directory %s: %w", d.path, err)
	}
	return nil
}

func (d *Dir) file(name string) string { return path.Join(d.path, name) }
