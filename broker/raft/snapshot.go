package raft

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"

	"github.com/ktrial/ktrial/broker/files"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim/env"
)

// Snapshots are files beside the log (KIP-630): what the log below an offset
// adds up to, as batches of records between a header and a footer.

const (
	snapshotSuffix = ".checkpoint"
	partSuffix     = ".part"
	// snapshotBatchRecords is how many records a batch of a snapshot holds.
	snapshotBatchRecords = 1024
)

// snapshotter decides when to write one.
type snapshotter struct {
	writing    bool
	bytesSince int64         // of the log, delivered since the last one
	last       time.Duration // when that was
}

func (id SnapshotID) String() string { return fmt.Sprintf("%020d-%010d", id.End, id.Epoch) }

func (n *Node) snapshotPath(id SnapshotID) string {
	return n.dir + "/" + id.String() + snapshotSuffix
}

// parseSnapshotName reads the name of a snapshot's file.
func parseSnapshotName(name string) (id SnapshotID, ok bool) {
	base, ok := strings.CutSuffix(name, snapshotSuffix)
	if !ok || len(base) != 31 || base[20] != '-' {
		return SnapshotID{}, false
	}
	end, err1 := strconv.ParseInt(base[:20], 10, 64)
	epoch, err2 := strconv.ParseInt(base[21:], 10, 32)
	id = SnapshotID{End: kafka.Offset(end), Epoch: kafka.LeaderEpoch(epoch)}
	return id, err1 == nil && err2 == nil && end > 0
}

// listSnapshots finds the snapshots, oldest first, and removes what is left of
// ones that never came to be.
func (n *Node) listSnapshots() ([]SnapshotID, error) {
	disk := n.host.Disk()
	names, err := disk.List(n.dir)
	if err != nil {
		return nil, fmt.Errorf("raft: list %s: %w", n.dir, err)
	}
	var ids []SnapshotID
	for _, name := range names {
		if strings.HasSuffix(name, partSuffix) {
			if err := disk.Remove(n.dir + "/" + name); err != nil {
				return nil, fmt.Errorf("raft: remove %s: %w", name, err)
			}
			continue
		}
		if id, ok := parseSnapshotName(name); ok {
			ids = append(ids, id)
		}
	}
	return ids, nil // names are sorted, and so are the ids: they have leading zeros
}

// MaybeSnapshot writes im, the fold of what was delivered so far, as a snapshot
// if the log has grown enough, or long enough, since the last one. It does not
// block and keeps no hold on im.
func (n *Node) MaybeSnapshot(im *metadata.Image) {
	s, now := &n.snapshots, n.host.Uptime()
	grown := s.bytesSince >= n.cfg.Settings.MaxBytesBetweenSnapshots
	old := s.bytesSince > 0 && now-s.last >= n.cfg.Settings.MaxSnapshotInterval
	if s.writing || im.InTransaction() || !grown && !old {
		return
	}
	s.writing, s.bytesSince, s.last = true, 0, now
	im = im.Clone()
	n.host.Go("raft snapshot", func() {
		n.writeSnapshot(im)
		s.writing = false
	})
}

func (n *Node) writeSnapshot(im *metadata.Image) {
	id := SnapshotID{End: im.Offset + 1, Epoch: im.Epoch}
	if shape := n.core.Log(); id.End > n.delivered || id.End <= shape.LatestSnapshot().End || shape.EpochOf(im.Offset) != im.Epoch {
		n.host.Reached(ProbeSnapshotOvertaken)
		return
	}
	n.must(n.storeSnapshot(id, encodeSnapshot(im, n.host.Now().Millis())))
	n.enter()
	if n.core.Log().Contains(id) {
		n.core.Log().AddSnapshot(id)
		n.host.Tell(&witness.SnapshotWritten{Replica: n.self, End: id.End, Epoch: id.Epoch, Hash: im.Hash()})
		n.clean()
	}
	n.leave()
}

// storeSnapshot makes a snapshot durable under its name. An existing one is
// the same: it is named by what it holds.
func (n *Node) storeSnapshot(id SnapshotID, bytes []byte) error {
	path := n.snapshotPath(id)
	aside := fmt.Sprintf("%s/%s-%d%s%s", n.dir, id, n.host.Rand().Uint32(), snapshotSuffix, partSuffix)
	replace := files.Replace
	if n.cfg.Bugs.On(planted.SnapNoFsync) {
		n.cfg.Bugs.Infected(planted.SnapNoFsync, true)
		replace = files.ReplaceUnsynced
	}
	if err := replace(n.host.Disk(), path, aside, bytes); err != nil {
		return fmt.Errorf("raft: write %s: %w", path, err)
	}
	return nil
}

// clean drops old snapshots, and the log before the oldest that stays, when
// there is more than retention allows. The newest always stays.
func (n *Node) clean() {
	shape := n.core.Log()
	for len(shape.Snapshots) > 1 && n.keptBytes() > n.cfg.Settings.RetentionBytes {
		oldest := shape.Snapshots[0]
		shape.DropOldestSnapshot()
		n.must(n.log.SetStartOffset(shape.Start))
		if _, err := n.log.ApplyRetention(n.core.HighWatermark()); err != nil {
			n.must(err)
		}
		n.host.Reached(ProbeCutBehindSnapshot)
		if err := n.host.Disk().Remove(n.snapshotPath(oldest)); err != nil && !errors.Is(err, env.ErrNotExist) {
			n.must(err)
		}
	}
}

// keptBytes is the size of the log and its snapshots.
func (n *Node) keptBytes() int64 {
	total := n.log.Size()
	for _, id := range n.core.Log().Snapshots {
		if size, err := n.host.Disk().Stat(n.snapshotPath(id)); err == nil {
			total += size
		}
	}
	return total
}

// loadLatest gives the listener the newest snapshot, at start.
func (n *Node) loadLatest() {
	n.snapshots.last = n.host.Uptime()
	id := n.core.Log().LatestSnapshot()
	if id.IsZero() {
		return
	}
	bytes, err := files.Read(n.host.Disk(), n.snapshotPath(id))
	n.must(err)
	im, err := parseSnapshot(id, bytes)
	if err != nil {
		n.host.Tell(&witness.SnapshotUnreadable{Replica: n.self, End: id.End, Epoch: id.Epoch, Path: n.snapshotPath(id), Error: witness.ErrorOf(err)})
		n.must(fmt.Errorf("%s: %w", n.snapshotPath(id), err))
	}
	n.load(id, im)
}

// load gives the listener a snapshot, unless it has had all of it.
func (n *Node) load(id SnapshotID, im *metadata.Image) {
	if n.delivered >= id.End {
		return
	}
	n.delivered = id.End
	n.snapshots.bytesSince, n.snapshots.last = 0, n.host.Uptime()
	n.host.Tell(&witness.SnapshotLoaded{Replica: n.self, End: id.End, Epoch: id.Epoch, Hash: im.Hash()})
	n.listener.LoadSnapshot(im)
}

// Folds are the states that logs were folded to, by a digest of their bytes: the
// disks of a hundred observers hold the same, which need be folded only once.
type Folds map[[sha256.Size]byte]Fold

// Fold is a state in a few bytes.
type Fold struct {
	End  kafka.Offset // of what was folded
	Hash uint64       // of the image
}

// Replay folds what the disk holds of the committed metadata anew: the newest
// snapshot and the log after it. It blocks. The state in memory must be the
// same, or it would not survive a restart.
func (n *Node) Replay(known Folds) (Fold, error) {
	// The core hears of a high watermark before the records below it are written.
	hw := n.core.HighWatermark()
	if hw > n.log.EndOffset() {
		n.host.Reached(ProbeMarkAhead)
		hw = n.log.EndOffset()
	}
	id := n.core.Log().LatestSnapshot()
	var snapshot []byte
	var err error
	if !id.IsZero() {
		if snapshot, err = files.Read(n.host.Disk(), n.snapshotPath(id)); err != nil {
			return Fold{}, err
		}
	}
	log, err := n.readAll(id.End, hw)
	if err != nil {
		return Fold{}, err
	}
	digest := sha256.Sum256(slices.Concat(binary.BigEndian.AppendUint64(nil, uint64(len(snapshot))), snapshot, log))
	if f, ok := known[digest]; ok {
		return f, nil
	}
	im := metadata.NewImage()
	if !id.IsZero() {
		if im, err = parseSnapshot(id, snapshot); err != nil {
			return Fold{}, err
		}
	}
	var afresh *Decoder // what the node was given before does not prove what the disk holds
	batches, _, err := afresh.decode(log)
	if err != nil {
		return Fold{}, err
	}
	for _, h := range batches {
		if err := foldHeld(im, h); err != nil {
			return Fold{}, err
		}
	}
	known[digest] = Fold{End: im.Offset + 1, Hash: im.Hash()}
	return known[digest], nil
}

// readAll reads what the log holds between two offsets.
func (n *Node) readAll(from, to kafka.Offset) (all []byte, err error) {
	for from < to {
		part, err := n.log.Read(from, to, deliverBytes, true)
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
		for len(part) > 0 {
			var b record.Batch
			if b, part, err = record.Next(part); err != nil {
				return nil, fmt.Errorf("raft: read the metadata log at offset %d: %w", from, err)
			}
			from = b.NextOffset()
		}
	}
	return all, nil
}

func foldHeld(im *metadata.Image, h held) error {
	for _, rec := range h.batch.Records {
		if err := im.Apply(rec); err != nil {
			return fmt.Errorf("raft: replay batch at %d: %w", h.batch.BaseOffset, err)
		}
	}
	im.Offset, im.Epoch = h.batch.LastOffset, h.batch.Epoch
	return nil
}

// encodeSnapshot is im as the bytes of a snapshot.
func encodeSnapshot(im *metadata.Image, now int64) []byte {
	opts := record.Options{LeaderEpoch: im.Epoch}
	// Both messages: int16 version; the header also has the time of the last
	// record it contains. No tagged fields.
	header := kbin.AppendInt64(kbin.AppendInt16(nil, 0), now)
	out := []byte(record.NewControl(opts, now, record.SnapshotHeader, append(header, 0)))
	next := func(count int) record.Options {
		o := opts
		opts.BaseOffset += kafka.Offset(count)
		o.BaseOffset = opts.BaseOffset
		return o
	}
	last := 1
	b := record.NewBuilder(opts)
	var value []byte
	records := im.ToRecords()
	for len(records) > 0 {
		some := records[:min(len(records), snapshotBatchRecords)]
		records = records[len(some):]
		b.Reset(next(last))
		last = len(some)
		for _, rec := range some {
			value = metadata.AppendTo(value[:0], rec)
			b.Append(now, nil, value)
		}
		out = append(out, b.Build()...)
	}
	return append(out, record.NewControl(next(last), now, record.SnapshotFooter, append(kbin.AppendInt16(nil, 0), 0))...)
}

// parseSnapshot is the image in the bytes of a snapshot. A snapshot without
// its header or its footer is not whole.
func parseSnapshot(id SnapshotID, bytes []byte) (*metadata.Image, error) {
	im := metadata.NewImage()
	im.Offset, im.Epoch = id.End-1, id.Epoch
	var first, last record.ControlType = -1, -1
	for len(bytes) > 0 {
		b, rest, err := record.Next(bytes)
		if err == nil {
			err = b.Check()
		}
		if err == nil && b.IsControl() {
			last, err = controlType(b)
			if first < 0 {
				first = last
			}
		} else if err == nil {
			last, err = -1, foldBatch(im, b)
		}
		if err != nil {
			return nil, fmt.Errorf("raft: snapshot %v: %w", id, err)
		}
		bytes = rest
	}
	if first != record.SnapshotHeader || last != record.SnapshotFooter {
		return nil, fmt.Errorf("raft: snapshot %v: it begins with %v and ends with %v, a header and a footer expected", id, first, last)
	}
	return im, nil
}

func controlType(b record.Batch) (t record.ControlType, err error) {
	err = b.Records(func(r record.Record) error {
		t, _, err = record.ParseControl(r)
		return err
	})
	return t, err
}

func foldBatch(im *metadata.Image, b record.Batch) error {
	return b.Records(func(r record.Record) error {
		rec, err := metadata.Decode(r.Value)
		if err != nil {
			return err
		}
		return im.Apply(rec)
	})
}
