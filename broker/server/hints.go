package server

import (
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
)

// leaderHints collects where the leaders are that a client should have asked,
// so that it need not ask for the metadata first (KIP-951).
type leaderHints struct {
	brokers []hintedBroker
}

type hintedBroker struct {
	id   int32
	rack *string
	metadata.Endpoint
}

// leader is the leader of tp that this broker knows, -1 and -1 if it knows
// none; the leader's address goes into the hints.
func (h *leaderHints) leader(im *metadata.Image, tp kafka.TopicPartition) (id, epoch int32) {
	p := im.Partition(tp)
	if p == nil {
		return int32(kafka.NoNode), kafka.NoEpoch
	}
	broker := im.Broker(p.Leader)
	if at, known := endpoint(broker); known {
		h.add(hintedBroker{int32(broker.ID), broker.Rack, at})
	}
	return int32(p.Leader), int32(p.LeaderEpoch)
}

func (h *leaderHints) add(at hintedBroker) {
	for _, b := range h.brokers {
		if b.id == at.id {
			return
		}
	}
	h.brokers = append(h.brokers, at)
}
