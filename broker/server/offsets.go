package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/wire"
)

// ListOffsets 1-10: where logs begin and end, and which record is the first at
// or after a time, or the one with the largest timestamp (v7, KIP-734). Up to
// the high watermark, or the last stable offset for read_committed (v2).
//
// Missing: tiered storage (-4, -5 answer as if there were none).
func (b *Broker) listOffsets(_ *wire.Context, req *kmsg.ListOffsetsRequest) kmsg.Response {
	return b.Replicas.ListOffsets(req)
}

// OffsetForLeaderEpoch 2-4: where a leader epoch ends in the leader's log, by
// which consumers and followers notice that theirs is not the same (KIP-101,
// KIP-320).
func (b *Broker) offsetForLeaderEpoch(_ *wire.Context, req *kmsg.OffsetForLeaderEpochRequest) kmsg.Response {
	return b.Replicas.OffsetForLeaderEpoch(req)
}

// DeleteRecords 0-2: raises log start offsets, and answers once all live
// replicas have done so, or REQUEST_TIMED_OUT.
func (b *Broker) deleteRecords(_ *wire.Context, req *kmsg.DeleteRecordsRequest) kmsg.Response {
	return b.Replicas.DeleteRecords(req)
}
