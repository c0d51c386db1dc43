package client

import (
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
)

// session is a fetch session with one broker (KIP-227): the broker remembers
// what is fetched, so a request says only what has changed.
type session struct {
	id    int32
	epoch int32 // of the next request; 0 begins a session, and ends the one with this id
	held  []partitionFetch

	busy     bool // a fetch is in flight
	failures int
	retryAt  time.Duration

	req  kmsg.FetchRequest // the one in flight; its memory is used again
	done func(kmsg.Response, error)
}

// request is an empty request.
func (s *session) request() *kmsg.FetchRequest {
	topics := s.req.Topics[:0]
	s.req = kmsg.NewFetchRequest()
	s.req.Topics = topics
	return &s.req
}

// partitionFetch is what is to be fetched of one partition.
type partitionFetch struct {
	a      *assigned
	moves  int
	topic  kafka.UUID
	offset kafka.Offset
	epoch  kafka.LeaderEpoch
}

func (p partitionFetch) same(other partitionFetch) bool {
	return p.topic == other.topic && p.offset == other.offset && p.epoch == other.epoch
}

// fill writes into req what the broker does not know of fetches.
func (s *session) fill(req *kmsg.FetchRequest, fetches []partitionFetch, maxBytes int32) {
	req.SessionID, req.SessionEpoch = s.id, s.epoch
	held := s.held
	if s.epoch == 0 {
		held = nil
	}
	for _, p := range fetches {
		old, found := lookup(held, p.a.tp)
		if found && old.same(p) {
			continue
		}
		if found && old.topic != p.topic {
			forget(req, old)
		}
		ask(req, p, maxBytes)
	}
	for _, old := range held {
		if _, found := lookup(fetches, old.a.tp); !found {
			forget(req, old)
		}
	}
	s.held = fetches
}

func lookup(in []partitionFetch, tp kafka.TopicPartition) (partitionFetch, bool) {
	for _, p := range in {
		if p.a.tp.Partition == tp.Partition && p.a.tp.Topic == tp.Topic {
			return p, true
		}
	}
	return partitionFetch{}, false
}

func ask(req *kmsg.FetchRequest, p partitionFetch, maxBytes int32) {
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.FetchOffset = p.a.tp.Partition, int64(p.offset)
	part.CurrentLeaderEpoch, part.PartitionMaxBytes = int32(p.epoch), maxBytes
	for i := range req.Topics {
		if t := &req.Topics[i]; t.Topic == p.a.tp.Topic && t.TopicID == p.topic {
			t.Partitions = append(t.Partitions, part)
			return
		}
	}
	t := kmsg.NewFetchRequestTopic()
	if n := len(req.Topics); n < cap(req.Topics) {
		t.Partitions = req.Topics[:n+1][n].Partitions[:0]
	}
	t.Topic, t.TopicID = p.a.tp.Topic, p.topic
	t.Partitions = append(t.Partitions, part)
	req.Topics = append(req.Topics, t)
}

func forget(req *kmsg.FetchRequest, p partitionFetch) {
	for i := range req.ForgottenTopics {
		if t := &req.ForgottenTopics[i]; t.Topic == p.a.tp.Topic && t.TopicID == p.topic {
			t.Partitions = append(t.Partitions, p.a.tp.Partition)
			return
		}
	}
	t := kmsg.NewFetchRequestForgottenTopic()
	t.Topic, t.TopicID = p.a.tp.Topic, p.topic
	t.Partitions = append(t.Partitions, p.a.tp.Partition)
	req.ForgottenTopics = append(req.ForgottenTopics, t)
}

// answered takes in how a fetch ended, and reports whether its partitions
// count and whether the next one may follow at once.
func (s *session) answered(resp *kmsg.FetchResponse) (ok, atOnce bool) {
	switch {
	case resp == nil:
		// It may or may not have been executed: the epochs are out of step.
		s.epoch = 0
		return false, false
	case resp.ErrorCode == kerr.FetchSessionIDNotFound.Code:
		s.id, s.epoch = 0, 0
		return false, true
	case resp.ErrorCode != 0:
		s.epoch = 0
		return false, resp.ErrorCode == kerr.InvalidFetchSessionEpoch.Code
	case resp.SessionID == 0:
		s.id, s.epoch = 0, 0 // the broker has no room for a session
	case s.epoch == math.MaxInt32:
		s.id, s.epoch = resp.SessionID, 1
	default:
		s.id, s.epoch = resp.SessionID, s.epoch+1
	}
	return true, true
}
