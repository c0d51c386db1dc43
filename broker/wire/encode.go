package wire

import (
	"encoding/binary"
	"slices"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kmsg compares every tagged structure with its defaults by reflection, which
// for the messages that replication and clients exchange all the time was the
// largest single cost of a run. These are encoded here, to the same bytes; all
// others, and what is rare in these (unknown tags, addresses of
// brokers), are left to kmsg.

// appendBody appends the body of a message.
func appendBody(dst []byte, m interface{ AppendTo([]byte) []byte }) []byte {
	var out []byte
	ok := false
	switch m := m.(type) {
	case *kmsg.FetchRequest:
		out, ok = appendFetchRequest(dst, m)
	case *kmsg.FetchResponse:
		dst = slices.Grow(dst, fetchResponseSize(m))
		out, ok = appendFetchResponse(dst, m)
	case *kmsg.ProduceRequest:
		dst = slices.Grow(dst, produceRequestSize(m))
	case *kmsg.ProduceResponse:
		out, ok = appendProduceResponse(dst, m)
	}
	if ok {
		return out
	}
	return m.AppendTo(dst)
}

// What surrounds the records of a partition, and of all partitions, at most, if
// names of topics are short: to grow a buffer once rather than step by step.
const aroundRecords = 128

func fetchResponseSize(m *kmsg.FetchResponse) int {
	n := aroundRecords
	for i := range m.Topics {
		for j := range m.Topics[i].Partitions {
			n += aroundRecords + len(m.Topics[i].Partitions[j].RecordBatches)
		}
	}
	return n
}

func produceRequestSize(m *kmsg.ProduceRequest) int {
	n := aroundRecords
	for i := range m.Topics {
		for j := range m.Topics[i].Partitions {
			n += aroundRecords + len(m.Topics[i].Partitions[j].Records)
		}
	}
	return n
}

// noTags is the count of tags that ends a structure without any.
const noTags = 0

func appendFetchRequest(dst []byte, m *kmsg.FetchRequest) ([]byte, bool) {
	v := m.Version
	if v < 12 || v > 18 || m.UnknownTags.Len() > 0 || m.ReplicaState.UnknownTags.Len() > 0 || len(m.ForgottenTopics) > 0 {
		return dst, false
	}
	if v <= 14 {
		dst = kbin.AppendInt32(dst, m.ReplicaID)
	}
	dst = kbin.AppendInt32(dst, m.MaxWaitMillis)
	dst = kbin.AppendInt32(dst, m.MinBytes)
	dst = kbin.AppendInt32(dst, m.MaxBytes)
	dst = append(dst, byte(m.IsolationLevel))
	dst = kbin.AppendInt32(dst, m.SessionID)
	dst = kbin.AppendInt32(dst, m.SessionEpoch)
	dst = kbin.AppendCompactArrayLen(dst, len(m.Topics))
	for i := range m.Topics {
		t := &m.Topics[i]
		if t.UnknownTags.Len() > 0 {
			return dst, false
		}
		dst = appendTopic(dst, v, t.Topic, &t.TopicID)
		dst = kbin.AppendCompactArrayLen(dst, len(t.Partitions))
		for j := range t.Partitions {
			p := &t.Partitions[j]
			if p.UnknownTags.Len() > 0 {
				return dst, false
			}
			dst = appendFetchRequestPartition(dst, p)
		}
		dst = append(dst, noTags)
	}
	dst = append(dst, 1) // no forgotten topics
	dst = kbin.AppendCompactString(dst, m.Rack)
	return appendFetchRequestTags(dst, m), true
}

func appendFetchRequestPartition(dst []byte, p *kmsg.FetchRequestTopicPartition) []byte {
	dst = kbin.AppendInt32(dst, p.Partition)
	dst = kbin.AppendInt32(dst, p.CurrentLeaderEpoch)
	dst = kbin.AppendInt64(dst, p.FetchOffset)
	dst = kbin.AppendInt32(dst, p.LastFetchedEpoch)
	dst = kbin.AppendInt64(dst, p.LogStartOffset)
	dst = kbin.AppendInt32(dst, p.PartitionMaxBytes)
	count := len(dst)
	dst = append(dst, 0)
	if p.ReplicaDirectoryID != [16]byte{} {
		dst[count]++
		dst = append(dst, 0, 16)
		dst = append(dst, p.ReplicaDirectoryID[:]...)
	}
	const anyHighWatermark = 1<<63 - 1
	if p.HighWatermark != anyHighWatermark {
		dst[count]++
		dst = append(dst, 1, 8)
		dst = kbin.AppendInt64(dst, p.HighWatermark)
	}
	return dst
}

func appendFetchRequestTags(dst []byte, m *kmsg.FetchRequest) []byte {
	count := len(dst)
	dst = append(dst, 0)
	if m.ClusterID != nil {
		dst[count]++
		n := len(*m.ClusterID)
		dst = append(dst, 0)
		dst = kbin.AppendUvarint(dst, uint32(len(binary.AppendUvarint(nil, uint64(n+1)))+n))
		dst = kbin.AppendCompactString(dst, *m.ClusterID)
	}
	if m.ReplicaState.ID != -1 || m.ReplicaState.Epoch != -1 {
		dst[count]++
		dst = append(dst, 1, 4+8+1)
		dst = kbin.AppendInt32(dst, m.ReplicaState.ID)
		dst = kbin.AppendInt64(dst, m.ReplicaState.Epoch)
		dst = append(dst, noTags)
	}
	return dst
}

// appendTopic names a topic as a version of Fetch or Produce does: both went
// over to ids with version 13.
func appendTopic(dst []byte, version int16, name string, id *[16]byte) []byte {
	if version >= 13 {
		return append(dst, id[:]...)
	}
	return kbin.AppendCompactString(dst, name)
}

func appendFetchResponse(dst []byte, m *kmsg.FetchResponse) ([]byte, bool) {
	v := m.Version
	if v < 12 || v > 18 || len(m.Brokers) > 0 || m.UnknownTags.Len() > 0 {
		return dst, false
	}
	dst = kbin.AppendInt32(dst, m.ThrottleMillis)
	dst = kbin.AppendInt16(dst, m.ErrorCode)
	dst = kbin.AppendInt32(dst, m.SessionID)
	dst = kbin.AppendCompactArrayLen(dst, len(m.Topics))
	for i := range m.Topics {
		t := &m.Topics[i]
		if t.UnknownTags.Len() > 0 {
			return dst, false
		}
		dst = appendTopic(dst, v, t.Topic, &t.TopicID)
		dst = kbin.AppendCompactArrayLen(dst, len(t.Partitions))
		for j := range t.Partitions {
			p := &t.Partitions[j]
			if p.UnknownTags.Len() > 0 || p.DivergingEpoch.UnknownTags.Len() > 0 ||
				p.CurrentLeader.UnknownTags.Len() > 0 || p.SnapshotID.UnknownTags.Len() > 0 {
				return dst, false
			}
			var ok bool
			if dst, ok = appendFetchResponsePartition(dst, p); !ok {
				return dst, false
			}
		}
		dst = append(dst, noTags)
	}
	return append(dst, noTags), true
}

func appendFetchResponsePartition(dst []byte, p *kmsg.FetchResponseTopicPartition) ([]byte, bool) {
	dst = kbin.AppendInt32(dst, p.Partition)
	dst = kbin.AppendInt16(dst, p.ErrorCode)
	dst = kbin.AppendInt64(dst, p.HighWatermark)
	dst = kbin.AppendInt64(dst, p.LastStableOffset)
	dst = kbin.AppendInt64(dst, p.LogStartOffset)
	dst = kbin.AppendCompactNullableArrayLen(dst, len(p.AbortedTransactions), p.AbortedTransactions == nil)
	for i := range p.AbortedTransactions {
		a := &p.AbortedTransactions[i]
		if a.UnknownTags.Len() > 0 {
			return dst, false
		}
		dst = kbin.AppendInt64(dst, a.ProducerID)
		dst = kbin.AppendInt64(dst, a.FirstOffset)
		dst = append(dst, noTags)
	}
	dst = kbin.AppendInt32(dst, p.PreferredReadReplica)
	dst = kbin.AppendCompactNullableBytes(dst, p.RecordBatches)
	count := len(dst)
	dst = append(dst, 0)
	if d := &p.DivergingEpoch; d.Epoch != -1 || d.EndOffset != -1 {
		dst[count]++
		dst = append(dst, 0, 4+8+1)
		dst = kbin.AppendInt32(dst, d.Epoch)
		dst = kbin.AppendInt64(dst, d.EndOffset)
		dst = append(dst, noTags)
	}
	if l := &p.CurrentLeader; l.LeaderID != -1 || l.LeaderEpoch != -1 {
		dst[count]++
		dst = append(dst, 1, 4+4+1)
		dst = kbin.AppendInt32(dst, l.LeaderID)
		dst = kbin.AppendInt32(dst, l.LeaderEpoch)
		dst = append(dst, noTags)
	}
	if s := &p.SnapshotID; s.EndOffset != -1 || s.Epoch != -1 {
		dst[count]++
		dst = append(dst, 2, 8+4+1)
		dst = kbin.AppendInt64(dst, s.EndOffset)
		dst = kbin.AppendInt32(dst, s.Epoch)
		dst = append(dst, noTags)
	}
	return dst, true
}

func appendProduceResponse(dst []byte, m *kmsg.ProduceResponse) ([]byte, bool) {
	v := m.Version
	if v < 9 || v > 13 || len(m.Brokers) > 0 || m.UnknownTags.Len() > 0 {
		return dst, false
	}
	dst = kbin.AppendCompactArrayLen(dst, len(m.Topics))
	for i := range m.Topics {
		t := &m.Topics[i]
		if t.UnknownTags.Len() > 0 {
			return dst, false
		}
		dst = appendTopic(dst, v, t.Topic, &t.TopicID)
		dst = kbin.AppendCompactArrayLen(dst, len(t.Partitions))
		for j := range t.Partitions {
			p := &t.Partitions[j]
			if p.UnknownTags.Len() > 0 || p.CurrentLeader.UnknownTags.Len() > 0 || len(p.ErrorRecords) > 0 {
				return dst, false
			}
			dst = appendProduceResponsePartition(dst, p)
		}
		dst = append(dst, noTags)
	}
	dst = kbin.AppendInt32(dst, m.ThrottleMillis)
	return append(dst, noTags), true
}

func appendProduceResponsePartition(dst []byte, p *kmsg.ProduceResponseTopicPartition) []byte {
	dst = kbin.AppendInt32(dst, p.Partition)
	dst = kbin.AppendInt16(dst, p.ErrorCode)
	dst = kbin.AppendInt64(dst, p.BaseOffset)
	dst = kbin.AppendInt64(dst, p.LogAppendTime)
	dst = kbin.AppendInt64(dst, p.LogStartOffset)
	dst = append(dst, 1) // no error records
	dst = kbin.AppendCompactNullableString(dst, p.ErrorMessage)
	if l := &p.CurrentLeader; l.LeaderID != -1 || l.LeaderEpoch != -1 {
		dst = append(dst, 1, 0, 4+4+1)
		dst = kbin.AppendInt32(dst, l.LeaderID)
		dst = kbin.AppendInt32(dst, l.LeaderEpoch)
	}
	return append(dst, noTags)
}
