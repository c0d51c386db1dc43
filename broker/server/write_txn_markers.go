package server

import (
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/replica"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/sim/env"
)

// WriteTxnMarkers 1-2: a transaction coordinator, or an administrator that aborts one which
// hangs (KIP-664), ends transactions in partitions that this broker leads. The answer comes
// when all markers are committed.
//
//   - A partition without a replica here is UNKNOWN_TOPIC_OR_PARTITION, as one that does not
//     exist.
//   - One of __consumer_offsets is the group coordinator's, which makes offsets count or forgets
//     them, and one of __transaction_state, which a transaction may name as any other, the
//     transaction coordinator's. Where it is not ready the answer is NOT_LEADER_OR_FOLLOWER.
//   - From v2 on a marker says by which transaction.version its transaction was (KIP-1228).
//
// The rest is package log's.
func (b *Broker) writeTxnMarkers(_ *wire.Context, req *kmsg.WriteTxnMarkersRequest) kmsg.Response {
	resp := kmsg.NewPtrWriteTxnMarkersResponse()
	resp.Version = req.Version
	w := markerWrites{b: b, wake: b.Host.NewSignal("markers in groups")}
	for i := range req.Markers {
		resp.Markers = append(resp.Markers, w.begin(&req.Markers[i]))
	}
	w.wait()
	return resp
}

// markerWrites are the markers of one request.
type markerWrites struct {
	b     *Broker
	local []replica.Marker // of data partitions
	codes []*int16         // of local

	waiting int  // for coordinators that have not answered
	refused bool // one has refused
	wake    env.Signal
}

// begin has one marker written to its partitions, as far as that does not wait for followers. The answer
// is filled in by wait.
func (w *markerWrites) begin(m *kmsg.WriteTxnMarkersRequestMarker) kmsg.WriteTxnMarkersResponseMarker {
	out := kmsg.NewWriteTxnMarkersResponseMarker()
	out.ProducerID = m.ProducerID
	for _, t := range m.Topics {
		topic := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
		topic.Topic = t.Topic
		topic.Partitions = make([]kmsg.WriteTxnMarkersResponseMarkerTopicPartition, len(t.Partitions))
		for i, p := range t.Partitions {
			topic.Partitions[i].Partition = p
			w.one(m, kafka.TopicPartition{Topic: t.Topic, Partition: p}, &topic.Partitions[i].ErrorCode)
		}
		out.Topics = append(out.Topics, topic)
	}
	return out
}

func (w *markerWrites) one(m *kmsg.WriteTxnMarkersRequestMarker, tp kafka.TopicPartition, code *int16) {
	switch {
	case w.b.Replicas.Partition(tp) == nil:
		*code = kerr.UnknownTopicOrPartition.Code
	case tp.Topic == kafka.OffsetsTopic:
		w.inGroups(tp.Partition, markerOf(m), code)
	case tp.Topic == kafka.TransactionsTopic:
		w.byCoordinator(w.b.Transactions.runtime, tp.Partition, markerOf(m), code)
	default:
		kind := record.Abort
		if m.Committed {
			kind = record.Commit
		}
		w.local = append(w.local, w.b.Replicas.AppendMarker(tp, replica.EndTxn{
			ProducerID: kafka.ProducerID(m.ProducerID), Epoch: kafka.ProducerEpoch(m.ProducerEpoch),
			CoordinatorEpoch: m.CoordinatorEpoch, Kind: kind, Version: m.TransactionVersion,
		}))
		w.codes = append(w.codes, code)
	}
}

// inGroups has the group coordinator write a marker.
func (w *markerWrites) inGroups(partition int32, m coordinator.Marker, code *int16) {
	if bugs := w.b.Bugs; bugs.On(planted.AckMarkerEarly) {
		bugs.Infected(planted.AckMarkerEarly, true)
		timeout := w.b.Settings.RequestTimeout
		w.b.Host.After(lateMarker, "late marker", func() { w.b.Groups.runtime.StartEndTxn(partition, m, timeout, func(error) {}) })
		return
	}
	w.byCoordinator(w.b.Groups.runtime, partition, m, code)
}

// byCoordinator has the coordinator that writes a partition write a marker there, too.
func (w *markerWrites) byCoordinator(of *coordinator.Runtime, partition int32, m coordinator.Marker, code *int16) {
	w.waiting++
	of.StartEndTxn(partition, m, w.b.Settings.RequestTimeout, func(err error) {
		*code = kafka.Code(asMarkerError(err))
		w.refused = w.refused || err != nil
		w.waiting--
		w.wake.Notify()
	})
}

func markerOf(m *kmsg.WriteTxnMarkersRequestMarker) coordinator.Marker {
	return coordinator.Marker{
		By: producerOf(m.ProducerID, m.ProducerEpoch), CoordinatorEpoch: m.CoordinatorEpoch, Commit: m.Committed, Version: m.TransactionVersion,
	}
}

// lateMarker is how late the planted bug lets a group coordinator have a marker.
const lateMarker = 300 * time.Millisecond

// wait waits until all are committed, refused or in doubt. It blocks.
func (w *markerWrites) wait() {
	if bugs := w.b.Bugs; bugs.On(planted.TxnMarkerDoubleCount) {
		if w.awaitCoordinators(); w.refused {
			// A refusal counts twice, so the answer leaves when one partition has yet to be written.
			bugs.Infected(planted.TxnMarkerDoubleCount, len(w.local) > 0)
			return
		}
	}
	for i, err := range w.b.Replicas.WaitMarkers(w.local, w.b.Settings.RequestTimeout) {
		*w.codes[i] = kafka.Code(err)
	}
	w.awaitCoordinators()
}

func (w *markerWrites) awaitCoordinators() {
	for w.waiting > 0 {
		w.wake.Wait(env.Forever)
	}
}

// asMarkerError is an error of a group coordinator as transaction coordinators know it.
func asMarkerError(err error) error {
	for _, unready := range []error{kerr.CoordinatorNotAvailable, kerr.CoordinatorLoadInProgress, kerr.NotCoordinator} {
		if errors.Is(err, unready) {
			return kerr.NotLeaderForPartition
		}
	}
	return err
}
