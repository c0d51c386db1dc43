package raft

import (
	"time"

	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/witness"
)

// maxBatchBytes is the largest batch of the metadata log.
const maxBatchBytes = 8 << 20

// held is a batch in memory.
type held struct {
	batch Batch
	bytes record.Batch // of a pending one; nil once it is in the log
	size  int64
}

// Append writes recs as one batch, which is committed whole or not at all, and
// returns the offset of the last one. It neither blocks nor waits until they
// are committed: see WaitCommitted. recs must not be changed afterwards. A node
// that does not lead in epoch answers NOT_CONTROLLER.
//
// As in Kafka, a batch waits for append.linger.ms, so that several share one
// flush.
func (n *Node) Append(epoch kafka.LeaderEpoch, recs []metadata.Record) (last kafka.Offset, err error) {
	if n.epoch != epoch || epoch == kafka.NoEpoch {
		return kafka.NoOffset, kerr.NotController
	}
	if len(recs) == 0 {
		return n.next - 1, nil
	}
	now := n.host.Now().Millis()
	b := record.NewBuilder(record.Options{BaseOffset: n.next, LeaderEpoch: epoch})
	var value []byte
	for _, rec := range recs {
		value = metadata.AppendTo(value[:0], rec)
		b.Append(now, nil, value)
	}
	bytes := b.Build()
	if len(bytes) > maxBatchBytes {
		return kafka.NoOffset, kerr.RecordListTooLarge
	}
	n.hold(bytes, recs)
	return n.next - 1, nil
}

// hold puts a batch among the pending ones.
func (n *Node) hold(bytes record.Batch, recs []metadata.Record) {
	if len(n.pending) == 0 {
		n.drainAt = n.host.Uptime() + n.cfg.Settings.AppendLinger
		if n.drainAt < n.armed {
			n.wake.Notify()
		}
	}
	n.pending = append(n.pending, held{
		batch: Batch{
			BaseOffset: n.next, LastOffset: bytes.LastOffset(), Epoch: bytes.LeaderEpoch(),
			Timestamp: bytes.MaxTimestamp(), Records: recs,
		},
		bytes: bytes, size: int64(len(bytes)),
	})
	n.next = bytes.NextOffset()
}

// beginEpoch appends the record that names the leader. Nothing else of the
// epoch can be committed before it, and it carries what older epochs left.
func (n *Node) beginEpoch(epoch kafka.LeaderEpoch) {
	start, granted := n.core.EpochStart()
	n.host.Tell(&witness.QuorumElected{Replica: n.self, Epoch: epoch, End: start, Votes: granted})
	n.must(n.log.AssignEpochStart(epoch, start))
	msg := kmsg.NewLeaderChangeMessage()
	msg.Version, msg.LeaderID = 0, int32(n.cfg.ID)
	for _, id := range n.voterIDs() {
		msg.Voters = append(msg.Voters, kmsg.LeaderChangeMessageVoter{VoterID: int32(id)})
	}
	for _, id := range granted {
		msg.GrantingVoters = append(msg.GrantingVoters, kmsg.LeaderChangeMessageVoter{VoterID: int32(id)})
	}
	n.next = start
	opts := record.Options{BaseOffset: start, LeaderEpoch: epoch}
	n.pending = nil
	n.hold(record.NewControl(opts, n.host.Now().Millis(), record.LeaderChange, msg.AppendTo(nil)), nil)
	n.epoch = epoch
	n.drain(n.drainAt)
}

// drain writes the pending batches, with one flush for all. Only then do
// followers see them.
func (n *Node) drain(now time.Duration) {
	if len(n.pending) == 0 || now < n.drainAt {
		return
	}
	pending := n.pending
	n.pending = nil
	bytes := []byte(pending[0].bytes)
	if len(pending) > 1 {
		bytes = nil
		for _, h := range pending {
			bytes = append(bytes, h.bytes...)
		}
	}
	n.host.Tell(&witness.QuorumAppending{Replica: n.self})
	info, err := n.log.AppendInternal(bytes, n.epoch)
	n.must(err)
	if base := pending[0].batch.BaseOffset; info.FirstOffset != base {
		panic(fmt.Sprintf("raft: node %d: appended at %d, %d was promised", n.cfg.ID, info.FirstOffset, base))
	}
	for _, h := range pending {
		h.bytes = nil
		n.tail = append(n.tail, h)
		n.core.Appended(h.batch.LastOffset + 1)
	}
	n.tellBatches(bytes)
	n.flush()
}
