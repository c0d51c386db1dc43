package replica

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// session is the client's side of an incremental fetch session (KIP-227): what
// the leader has heard of each partition need not be sent again. It is one
// of a fetcher's parts, which keep what was sent.
type session struct {
	id, epoch int32 // of the next request; epoch 0 begins a session
	forgotten []partKey
	req       *kmsg.FetchRequest // used again and again
}

// restart forgets the session: the next request names everything, and closes
// the session on the leader, if it still knows it.
func (s *session) restart(parts []*fetching) {
	s.epoch = 0
	s.forgotten = nil
	for _, part := range parts {
		part.inSession = false
	}
}

// request says what has changed since the last one.
func (s *session) request(f *fetcher) *kmsg.FetchRequest {
	req := s.empty(f)
	now := f.m.host.Uptime()
	for _, part := range f.parts {
		switch at := part.position(); {
		case !part.ready(now):
			if part.inSession {
				part.inSession = false
				s.forgotten = append(s.forgotten, part.key)
			}
		case s.epoch == 0 || !part.inSession || part.sent != at:
			part.inSession, part.sent = true, at
			addPartition(req, part.key, at, f.m.cfg.FetchMaxBytes)
		}
	}
	if s.epoch != 0 {
		for _, key := range s.forgotten {
			forget(req, key)
		}
	}
	s.forgotten = s.forgotten[:0]
	return req
}

func (s *session) empty(f *fetcher) *kmsg.FetchRequest {
	if s.req == nil {
		s.req = kmsg.NewPtrFetchRequest()
		s.req.Version = fetchVersion
	}
	req, cfg := s.req, &f.m.cfg
	req.ReplicaState.ID, req.ReplicaState.Epoch = int32(cfg.NodeID), int64(f.m.brokerEpoch)
	req.MaxWaitMillis = int32(cfg.FetchWaitMax.Milliseconds())
	req.MinBytes, req.MaxBytes = cfg.FetchMinBytes, cfg.FetchResponseMax
	req.SessionID, req.SessionEpoch = s.id, s.epoch
	req.Topics, req.ForgottenTopics = req.Topics[:0], req.ForgottenTopics[:0]
	return req
}

func addPartition(req *kmsg.FetchRequest, key partKey, at position, maxBytes int32) {
	if n := len(req.Topics); n == 0 || req.Topics[n-1].TopicID != key.topic {
		if n < cap(req.Topics) {
			req.Topics = req.Topics[:n+1]
			req.Topics[n].Partitions = req.Topics[n].Partitions[:0]
		} else {
			req.Topics = append(req.Topics, kmsg.NewFetchRequestTopic())
		}
		req.Topics[n].TopicID = key.topic
	}
	t := &req.Topics[len(req.Topics)-1]
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition = key.id
	p.CurrentLeaderEpoch, p.LastFetchedEpoch = int32(at.epoch), int32(at.last)
	p.FetchOffset, p.LogStartOffset = int64(at.from), int64(at.start)
	p.PartitionMaxBytes = maxBytes
	t.Partitions = append(t.Partitions, p)
}

func forget(req *kmsg.FetchRequest, key partKey) {
	if n := len(req.ForgottenTopics); n == 0 || req.ForgottenTopics[n-1].TopicID != key.topic {
		t := kmsg.NewFetchRequestForgottenTopic()
		t.TopicID = key.topic
		req.ForgottenTopics = append(req.ForgottenTopics, t)
	}
	t := &req.ForgottenTopics[len(req.ForgottenTopics)-1]
	t.Partitions = append(t.Partitions, key.id)
}

// answered moves the session on. It reports false if the leader has lost it.
func (s *session) answered(f *fetcher, resp *kmsg.FetchResponse) bool {
	if resp.ErrorCode != 0 {
		id := s.id
		if kerr.ErrorForCode(resp.ErrorCode) == kerr.FetchSessionIDNotFound {
			id = 0
		}
		if s.epoch == 0 {
			f.delay(f.parts...) // not even a new one: do not ask in a circle
		}
		s.restart(f.parts)
		s.id = id
		return false
	}
	s.id = resp.SessionID
	if s.id == 0 {
		s.epoch = 0 // the leader keeps no session for us
	} else {
		s.epoch = nextSessionEpoch(s.epoch)
	}
	return true
}

// nextSessionEpoch follows epoch; 0 and -1 have a meaning of their own.
func nextSessionEpoch(epoch int32) int32 {
	if epoch == 1<<31-1 {
		return 1
	}
	return epoch + 1
}
