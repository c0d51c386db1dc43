package wire

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kmsg takes new memory for each array that it reads. A Fetch and a Produce are
// read into the memory of the one before, and without being walked first: what is
// read here takes memory only for what is really there. All others, and what is
// rare in these (unknown tags, addresses of brokers), are left to kmsg.

// readRequest reads a body into req, whose version is set.
func readRequest(req kmsg.Request, body []byte) error {
	if readKnown(req, body) {
		return nil
	}
	if err := checkLengths(req, body); err != nil {
		return err
	}
	if err := req.ReadFrom(body); err != nil {
		return fmt.Errorf("%s request v%d: %w: %v", kmsg.NameForKey(req.Key()), req.GetVersion(), ErrMalformed, err)
	}
	return nil
}

// readResponse reads a body into resp, whose version is set.
func readResponse(resp kmsg.Response, body []byte) error {
	if readKnown(resp, body) {
		return nil
	}
	if err := resp.ReadFrom(body); err != nil {
		return fmt.Errorf("%s response v%d: %w: %v", kmsg.NameForKey(resp.Key()), resp.GetVersion(), ErrMalformed, err)
	}
	return nil
}

// readKnown reads a body if it knows all that is in it. The arrays of m are
// written over, except for what is kept longer than a message: aborted
// transactions. Decoded byte slices point into body. What it does not know, or
// finds malformed, is to be read by kmsg: m is empty then.
func readKnown(m any, body []byte) (ok bool) {
	switch m := m.(type) {
	case *kmsg.FetchRequest:
		if ok = readFetchRequest(m, body); !ok {
			*m = kmsg.FetchRequest{Version: m.Version}
		}
	case *kmsg.FetchResponse:
		if ok = readFetchResponse(m, body); !ok {
			*m = kmsg.FetchResponse{Version: m.Version}
		}
	case *kmsg.ProduceRequest:
		if ok = readProduceRequest(m, body); !ok {
			*m = kmsg.ProduceRequest{Version: m.Version}
		}
	case *kmsg.ProduceResponse:
		if ok = readProduceResponse(m, body); !ok {
			*m = kmsg.ProduceResponse{Version: m.Version}
		}
	}
	return ok
}

// reader reads what flexible versions are made of.
type reader struct {
	kbin.Reader
	// rare: there was something that is left to kmsg.
	rare bool
}

func (r *reader) done() bool { return r.Ok() && !r.rare }

// text reads a string. An equal one that is there already costs no memory.
func (r *reader) text(old string) string {
	raw := r.Span(int(r.Uvarint()) - 1)
	if string(raw) == old {
		return old
	}
	return string(raw)
}

// textOrNull reads a string that may be null.
func (r *reader) textOrNull(old *string) *string {
	n := int(r.Uvarint()) - 1
	if n < 0 {
		return nil
	}
	raw := r.Span(n)
	if old != nil && string(raw) == *old {
		return old
	}
	s := string(raw)
	return &s
}

// noTags reads tags where none are known.
func (r *reader) noTags() {
	if r.Uvarint() != noTags {
		r.rare = true
	}
}

// tags reads tags: for each, read has r read what is in it.
func (r *reader) tags(read func(tag uint32)) {
	for n := r.Uvarint(); n > 0 && r.done(); n-- {
		tag := r.Uvarint()
		content := r.Span(int(r.Uvarint()))
		rest := r.Src
		r.Src = content
		read(tag)
		r.Src = rest
	}
}

// topic reads how a version names a topic, see appendTopic.
func (r *reader) topic(version int16, name *string, id *[16]byte) {
	if version < 13 {
		*name, *id = r.text(*name), [16]byte{}
		return
	}
	*name, *id = "", r.Uuid()
}

// each reads an array over the elements that a has, one after the other.
func each[T any](r *reader, a []T, read func(*T)) []T {
	a = a[:0]
	for n := r.CompactArrayLen(); n > 0 && r.done(); n-- {
		if len(a) < cap(a) {
			a = a[:len(a)+1]
		} else {
			var fresh T
			a = append(a, fresh)
		}
		read(&a[len(a)-1])
	}
	return a
}

func readFetchRequest(m *kmsg.FetchRequest, body []byte) bool {
	v := m.Version
	if v < 12 || v > 18 {
		return false
	}
	old := *m
	*m = kmsg.FetchRequest{Version: v}
	m.Default()
	r := reader{Reader: kbin.Reader{Src: body}}
	if v <= 14 {
		m.ReplicaID = r.Int32()
	}
	m.MaxWaitMillis, m.MinBytes, m.MaxBytes = r.Int32(), r.Int32(), r.Int32()
	m.IsolationLevel, m.SessionID, m.SessionEpoch = r.Int8(), r.Int32(), r.Int32()
	m.Topics = each(&r, old.Topics, func(t *kmsg.FetchRequestTopic) {
		t.UnknownTags = kmsg.Tags{}
		r.topic(v, &t.Topic, &t.TopicID)
		t.Partitions = each(&r, t.Partitions, r.fetchRequestPartition)
		r.noTags()
	})
	m.ForgottenTopics = each(&r, old.ForgottenTopics, func(t *kmsg.FetchRequestForgottenTopic) {
		t.UnknownTags = kmsg.Tags{}
		r.topic(v, &t.Topic, &t.TopicID)
		t.Partitions = each(&r, t.Partitions, func(id *int32) { *id = r.Int32() })
		r.noTags()
	})
	m.Rack = r.text(old.Rack)
	r.tags(func(tag uint32) {
		switch tag {
		case 0:
			m.ClusterID = r.textOrNull(old.ClusterID)
		case 1:
			m.ReplicaState.ID, m.ReplicaState.Epoch = r.Int32(), r.Int64()
			r.noTags()
		default:
			r.rare = true
		}
	})
	return r.done()
}

func (r *reader) fetchRequestPartition(p *kmsg.FetchRequestTopicPartition) {
	*p = kmsg.FetchRequestTopicPartition{}
	p.Default()
	p.Partition, p.CurrentLeaderEpoch, p.FetchOffset = r.Int32(), r.Int32(), r.Int64()
	p.LastFetchedEpoch, p.LogStartOffset, p.PartitionMaxBytes = r.Int32(), r.Int64(), r.Int32()
	r.tags(func(tag uint32) {
		switch tag {
		case 0:
			p.ReplicaDirectoryID = r.Uuid()
		case 1:
			p.HighWatermark = r.Int64()
		default:
			r.rare = true
		}
	})
}

func readFetchResponse(m *kmsg.FetchResponse, body []byte) bool {
	v := m.Version
	if v < 12 || v > 18 {
		return false
	}
	topics := m.Topics
	*m = kmsg.FetchResponse{Version: v}
	m.Default()
	r := reader{Reader: kbin.Reader{Src: body}}
	m.ThrottleMillis, m.ErrorCode, m.SessionID = r.Int32(), r.Int16(), r.Int32()
	m.Topics = each(&r, topics, func(t *kmsg.FetchResponseTopic) {
		t.UnknownTags = kmsg.Tags{}
		r.topic(v, &t.Topic, &t.TopicID)
		t.Partitions = each(&r, t.Partitions, r.fetchResponsePartition)
		r.noTags()
	})
	r.noTags()
	return r.done()
}

func (r *reader) fetchResponsePartition(p *kmsg.FetchResponseTopicPartition) {
	*p = kmsg.FetchResponseTopicPartition{}
	p.Default()
	p.Partition, p.ErrorCode, p.HighWatermark = r.Int32(), r.Int16(), r.Int64()
	p.LastStableOffset, p.LogStartOffset = r.Int64(), r.Int64()
	if n := r.CompactArrayLen(); n >= 0 {
		p.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
		for ; n > 0 && r.done(); n-- {
			a := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
			a.ProducerID, a.FirstOffset = r.Int64(), r.Int64()
			r.noTags()
			p.AbortedTransactions = append(p.AbortedTransactions, a)
		}
	}
	p.PreferredReadReplica = r.Int32()
	p.RecordBatches = r.CompactNullableBytes()
	r.tags(func(tag uint32) {
		switch tag {
		case 0:
			p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset = r.Int32(), r.Int64()
			r.noTags()
		case 1:
			p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = r.Int32(), r.Int32()
			r.noTags()
		case 2:
			p.SnapshotID.EndOffset, p.SnapshotID.Epoch = r.Int64(), r.Int32()
			r.noTags()
		default:
			r.rare = true
		}
	})
}

func readProduceRequest(m *kmsg.ProduceRequest, body []byte) bool {
	v := m.Version
	if v < 9 || v > 13 {
		return false
	}
	old := *m
	*m = kmsg.ProduceRequest{Version: v}
	m.Default()
	r := reader{Reader: kbin.Reader{Src: body}}
	m.TransactionID = r.textOrNull(old.TransactionID)
	m.Acks, m.TimeoutMillis = r.Int16(), r.Int32()
	m.Topics = each(&r, old.Topics, func(t *kmsg.ProduceRequestTopic) {
		t.UnknownTags = kmsg.Tags{}
		r.topic(v, &t.Topic, &t.TopicID)
		t.Partitions = each(&r, t.Partitions, func(p *kmsg.ProduceRequestTopicPartition) {
			*p = kmsg.ProduceRequestTopicPartition{Partition: r.Int32(), Records: r.CompactNullableBytes()}
			r.noTags()
		})
		r.noTags()
	})
	r.noTags()
	return r.done()
}

func readProduceResponse(m *kmsg.ProduceResponse, body []byte) bool {
	v := m.Version
	if v < 9 || v > 13 {
		return false
	}
	topics := m.Topics
	*m = kmsg.ProduceResponse{Version: v}
	m.Default()
	r := reader{Reader: kbin.Reader{Src: body}}
	m.Topics = each(&r, topics, func(t *kmsg.ProduceResponseTopic) {
		t.UnknownTags = kmsg.Tags{}
		r.topic(v, &t.Topic, &t.TopicID)
		t.Partitions = each(&r, t.Partitions, r.produceResponsePartition)
		r.noTags()
	})
	m.ThrottleMillis = r.Int32()
	r.noTags()
	return r.done()
}

func (r *reader) produceResponsePartition(p *kmsg.ProduceResponseTopicPartition) {
	*p = kmsg.ProduceResponseTopicPartition{}
	p.Default()
	p.Partition, p.ErrorCode = r.Int32(), r.Int16()
	p.BaseOffset, p.LogAppendTime, p.LogStartOffset = r.Int64(), r.Int64(), r.Int64()
	if r.CompactArrayLen() > 0 {
		r.rare = true // records with errors
	}
	p.ErrorMessage = r.textOrNull(nil)
	r.tags(func(tag uint32) {
		if tag != 0 {
			r.rare = true
			return
		}
		p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = r.Int32(), r.Int32()
		r.noTags()
	})
}
