package server

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/txn"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim/env"
)

// markerSender sends what is in the outbox: to each broker one WriteTxnMarkers at a time, with the
// markers of all transactions that there are by then (TransactionMarkerChannelManager).
// It tries until it succeeds, wherever the leaders go.
type markerSender struct {
	*txn.Outbox
	host    env.Host
	node    kafka.NodeID
	image   func() *metadata.Image
	timeout time.Duration // request.timeout.ms

	tasks  map[kafka.NodeID]*markerTask
	closed bool
}

// markerTask sends to one broker.
type markerTask struct {
	wake env.Signal
}

// markerRetry is the pause after an attempt that failed. Kafka has none, and sends as
// fast as the other broker refuses.
const markerRetry = 50 * time.Millisecond

func newMarkerSender(host env.Host, node kafka.NodeID, image func() *metadata.Image, timeout time.Duration, written func(txn.Marker), bugs *planted.Set) *markerSender {
	s := &markerSender{host: host, node: node, image: image, timeout: timeout, tasks: map[kafka.NodeID]*markerTask{}}
	s.Outbox = txn.NewOutbox(s.route, written, bugs)
	return s
}

// route is where a partition is led, by this broker's metadata.
func (s *markerSender) route(tp kafka.TopicPartition) (kafka.NodeID, bool) {
	im := s.image()
	if im.Partition(tp) == nil {
		s.host.Reached(ProbeMarkerNotNeeded)
		return kafka.NoNode, false
	}
	leader, _, _ := aliveLeader(im, tp)
	return leader, true
}

// Send is txn.Sender's.
func (s *markerSender) Send(m txn.Marker, partitions []kafka.TopicPartition) {
	s.Outbox.Send(m, partitions)
	s.dispatch()
}

// routeAgain looks anew for leaders. It does not block.
func (s *markerSender) routeAgain() {
	s.Route()
	s.dispatch()
}

// dispatch wakes the tasks of the brokers for which there is something.
func (s *markerSender) dispatch() {
	for _, id := range s.Brokers() {
		t := s.tasks[id]
		if t == nil {
			t = &markerTask{wake: s.host.NewSignal("transaction markers")}
			s.tasks[id] = t
			s.host.Go(fmt.Sprintf("transaction markers to broker %d", id), func() { s.run(id, t) })
		}
		t.wake.Notify()
	}
}

func (s *markerSender) run(to kafka.NodeID, t *markerTask) {
	p := peer{host: s.host, clientID: fmt.Sprintf("broker-%d-txn-marker-sender", s.node)}
	defer p.close()
	for !s.closed {
		parcels := s.Take(to)
		if len(parcels) == 0 {
			t.wake.Wait(env.Forever)
			continue
		}
		if !s.deliver(&p, to, parcels) && !s.closed {
			s.host.Sleep(markerRetry)
			s.routeAgain()
		}
	}
}

// deliver sends parcels, and reports whether nothing has to be sent again.
func (s *markerSender) deliver(p *peer, to kafka.NodeID, parcels []txn.Parcel) bool {
	at, known := endpoint(s.image().Broker(to))
	if !known {
		return s.again(parcels)
	}
	resp, err := p.call(fmt.Sprintf("%s:%d", at.Host, at.Port), markersRequest(parcels), s.timeout)
	if err != nil {
		s.host.Reached(ProbeMarkerUnanswered)
		return s.again(parcels)
	}
	codes := map[markedPartition]int16{}
	for _, m := range resp.(*kmsg.WriteTxnMarkersResponse).Markers {
		for _, t := range m.Topics {
			for _, p := range t.Partitions {
				codes[markedPartition{kafka.ProducerID(m.ProducerID), kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}}] = p.ErrorCode
			}
		}
	}
	done := true
	for _, p := range parcels {
		for _, tp := range p.Partitions {
			code, answered := codes[markedPartition{p.By.ID, tp}]
			if !answered {
				code = kerr.UnknownServerError.Code
			}
			if !s.outcome(p, tp, kerr.ErrorForCode(code)) {
				done = false
			}
		}
	}
	return done
}

type markedPartition struct {
	producer kafka.ProducerID
	tp       kafka.TopicPartition
}

// outcome takes account of an answer for one partition. It reports whether it need not be sent
// again.
func (s *markerSender) outcome(p txn.Parcel, tp kafka.TopicPartition, err error) bool {
	switch err {
	case nil, kerr.UnsupportedForMessageFormat, kerr.UnsupportedVersion:
		s.host.Tell(&witness.MarkerAnswered{SentMarker: p.SentTo(tp)})
		s.Delivered(p, tp)
	case kerr.InvalidProducerEpoch, kerr.TransactionCoordinatorFenced:
		// Another coordinator is at it, or will be.
		s.host.Tell(&witness.MarkerRefused{
			TxnID: p.ID, Partition: tp, ProducerID: p.By.ID, Epoch: p.By.Epoch, CoordinatorEpoch: p.CoordinatorEpoch, Error: witness.ErrorOf(err),
		})
		s.GiveUp(p)
	default:
		s.host.Reached(ProbeMarkerAgain)
		s.Again(p, tp)
		return false
	}
	return true
}

// again puts all parcels back.
func (s *markerSender) again(parcels []txn.Parcel) bool {
	for _, p := range parcels {
		for _, tp := range p.Partitions {
			s.Again(p, tp)
		}
	}
	return false
}

func markersRequest(parcels []txn.Parcel) *kmsg.WriteTxnMarkersRequest {
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	for _, p := range parcels {
		m := kmsg.NewWriteTxnMarkersRequestMarker()
		m.ProducerID, m.ProducerEpoch, m.Committed = int64(p.By.ID), int16(p.By.Epoch), p.Commit
		m.CoordinatorEpoch, m.TransactionVersion = p.CoordinatorEpoch, p.Version
		for _, of := range byTopic(p.Partitions) {
			t := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
			t.Topic = of[0].Topic
			for _, tp := range of {
				t.Partitions = append(t.Partitions, tp.Partition)
			}
			m.Topics = append(m.Topics, t)
		}
		req.Markers = append(req.Markers, m)
	}
	return req
}

func (s *markerSender) close() {
	s.closed = true
	for _, id := range slices.Sorted(maps.Keys(s.tasks)) {
		s.tasks[id].wake.Notify()
	}
}
