package wire

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// What is encoded here has the bytes that kmsg gives it, whatever is in it.
func TestEncodesAsKmsgDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw{t}
		m := d.message()
		prefix := []byte("what was there before")
		assert.Equal(t, m.AppendTo(prefix[:len(prefix):len(prefix)]), appendBody(prefix, m))
	})
}

func BenchmarkEncodeFetchResponse(b *testing.B) {
	m := kmsg.NewPtrFetchResponse()
	m.Version = 17
	m.Topics = []kmsg.FetchResponseTopic{{Partitions: make([]kmsg.FetchResponseTopicPartition, 3)}}
	for i := range m.Topics[0].Partitions {
		m.Topics[0].Partitions[i].Default()
	}
	var out []byte
	b.ReportAllocs()
	for range b.N {
		out = appendBody(out[:0], m)
	}
}

// draw draws messages. A number is often the default, -1: the defaults are what
// decides whether a tag is written.
type draw struct{ t *rapid.T }

func (d draw) Draw(label string, n int) int { return rapid.IntRange(0, n-1).Draw(d.t, label) }

func (d draw) long(label string) int64 {
	return rapid.OneOf(rapid.Just(int64(-1)), rapid.Int64()).Draw(d.t, label)
}
func (d draw) int(label string) int32 {
	return rapid.OneOf(rapid.Just(int32(-1)), rapid.Int32()).Draw(d.t, label)
}
func (d draw) text(label string) string { return rapid.StringN(0, 200, 300).Draw(d.t, label) }
func (d draw) maybe(label string) *string {
	return rapid.Ptr(rapid.StringN(0, 200, 300), true).Draw(d.t, label)
}
func (d draw) id() (id [16]byte) {
	if d.Draw("id", 2) == 0 {
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(d.t, "id"))
	}
	return id
}

// version is often a new one, which has more tags.
func (d draw) version(first, last int16) int16 {
	return rapid.OneOf(rapid.Int16Range(first, last), rapid.Int16Range(last-1, last)).Draw(d.t, "version")
}

// tags are rarely there.
func (d draw) tags() (tags kmsg.Tags) {
	if d.Draw("tags", 20) == 0 {
		tags.Set(77, []byte("x"))
	}
	return tags
}

// message is what both kmsg.Request and kmsg.Response can do.
type message interface {
	SetVersion(int16)
	GetVersion() int16
	AppendTo([]byte) []byte
	ReadFrom([]byte) error
}

func (d draw) message() message { return d.messageOf(d.Draw("kind", 4)) }

func (d draw) messageOf(kind int) message {
	switch kind {
	case 0:
		return d.fetchRequest()
	case 1:
		return d.fetchResponse()
	case 2:
		return d.produceRequest()
	default:
		return d.produceResponse()
	}
}

func (d draw) fetchRequest() *kmsg.FetchRequest {
	m := kmsg.NewPtrFetchRequest()
	m.Version = d.version(4, 18)
	m.ReplicaID, m.MaxWaitMillis, m.MinBytes, m.MaxBytes = d.int("replica"), d.int("wait"), d.int("min"), d.int("max")
	m.IsolationLevel, m.SessionID, m.SessionEpoch = int8(d.Draw("level", 2)), d.int("session"), d.int("epoch")
	m.Rack, m.ClusterID = d.text("rack"), d.maybe("cluster")
	m.ReplicaState.ID, m.ReplicaState.Epoch, m.ReplicaState.UnknownTags = d.int("id"), d.long("broker epoch"), d.tags()
	m.UnknownTags = d.tags()
	for range d.Draw("topics", 3) {
		t := kmsg.NewFetchRequestTopic()
		t.Topic, t.TopicID, t.UnknownTags = d.text("topic"), d.id(), d.tags()
		for range d.Draw("partitions", 3) {
			p := kmsg.NewFetchRequestTopicPartition()
			p.Partition, p.CurrentLeaderEpoch, p.FetchOffset = d.int("partition"), d.int("leader epoch"), d.long("offset")
			p.LastFetchedEpoch, p.LogStartOffset, p.PartitionMaxBytes = d.int("last"), d.long("start"), d.int("bytes")
			p.ReplicaDirectoryID, p.UnknownTags = d.id(), d.tags()
			if d.Draw("high watermark", 2) == 0 {
				p.HighWatermark = d.long("high watermark")
			}
			t.Partitions = append(t.Partitions, p)
		}
		m.Topics = append(m.Topics, t)
	}
	for range d.Draw("forgotten", 8) / 6 {
		m.ForgottenTopics = append(m.ForgottenTopics, kmsg.FetchRequestForgottenTopic{Topic: d.text("topic"), Partitions: []int32{d.int("partition")}})
	}
	return m
}

func (d draw) fetchResponse() *kmsg.FetchResponse {
	m := kmsg.NewPtrFetchResponse()
	m.Version = d.version(4, 18)
	m.ThrottleMillis, m.ErrorCode, m.SessionID, m.UnknownTags = d.int("throttle"), int16(d.int("error")), d.int("session"), d.tags()
	for range d.Draw("brokers", 8) / 7 {
		m.Brokers = append(m.Brokers, kmsg.FetchResponseBroker{NodeID: d.int("node"), Host: d.text("host")})
	}
	for range d.Draw("topics", 3) {
		t := kmsg.NewFetchResponseTopic()
		t.Topic, t.TopicID, t.UnknownTags = d.text("topic"), d.id(), d.tags()
		for range d.Draw("partitions", 3) {
			t.Partitions = append(t.Partitions, d.fetchResponsePartition())
		}
		m.Topics = append(m.Topics, t)
	}
	return m
}

func (d draw) fetchResponsePartition() kmsg.FetchResponseTopicPartition {
	p := kmsg.NewFetchResponseTopicPartition()
	p.Partition, p.ErrorCode, p.HighWatermark = d.int("partition"), int16(d.int("error")), d.long("high watermark")
	p.LastStableOffset, p.LogStartOffset, p.PreferredReadReplica = d.long("lso"), d.long("start"), d.int("preferred")
	p.RecordBatches = [][]byte{nil, {}, []byte("records")}[d.Draw("records", 3)]
	p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset, p.DivergingEpoch.UnknownTags = d.int("epoch"), d.long("end"), d.tags()
	p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch, p.CurrentLeader.UnknownTags = d.int("leader"), d.int("epoch"), d.tags()
	p.SnapshotID.Epoch, p.SnapshotID.EndOffset, p.SnapshotID.UnknownTags = d.int("epoch"), d.long("end"), d.tags()
	p.UnknownTags = d.tags()
	if d.Draw("aborted", 2) == 0 {
		p.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
		for range d.Draw("aborted", 3) {
			p.AbortedTransactions = append(p.AbortedTransactions, kmsg.FetchResponseTopicPartitionAbortedTransaction{
				ProducerID: d.long("producer"), FirstOffset: d.long("first"), UnknownTags: d.tags(),
			})
		}
	}
	return p
}

func (d draw) produceRequest() *kmsg.ProduceRequest {
	m := kmsg.NewPtrProduceRequest()
	m.Version = d.version(3, 13)
	m.TransactionID, m.Acks, m.TimeoutMillis, m.UnknownTags = d.maybe("transaction"), int16(d.int("acks")), d.int("timeout"), d.tags()
	for range d.Draw("topics", 3) {
		t := kmsg.NewProduceRequestTopic()
		t.Topic, t.TopicID, t.UnknownTags = d.text("topic"), d.id(), d.tags()
		for range d.Draw("partitions", 3) {
			p := kmsg.NewProduceRequestTopicPartition()
			p.Partition, p.UnknownTags = d.int("partition"), d.tags()
			p.Records = [][]byte{nil, {}, []byte("records")}[d.Draw("records", 3)]
			t.Partitions = append(t.Partitions, p)
		}
		m.Topics = append(m.Topics, t)
	}
	return m
}

func (d draw) produceResponse() *kmsg.ProduceResponse {
	m := kmsg.NewPtrProduceResponse()
	m.Version = d.version(3, 13)
	m.ThrottleMillis, m.UnknownTags = d.int("throttle"), d.tags()
	for range d.Draw("brokers", 8) / 7 {
		m.Brokers = append(m.Brokers, kmsg.ProduceResponseBroker{NodeID: d.int("node"), Host: d.text("host")})
	}
	for range d.Draw("topics", 3) {
		t := kmsg.NewProduceResponseTopic()
		t.Topic, t.TopicID, t.UnknownTags = d.text("topic"), d.id(), d.tags()
		for range d.Draw("partitions", 3) {
			p := kmsg.NewProduceResponseTopicPartition()
			p.Partition, p.ErrorCode, p.BaseOffset = d.int("partition"), int16(d.int("error")), d.long("base")
			p.LogAppendTime, p.LogStartOffset, p.ErrorMessage = d.long("time"), d.long("start"), d.maybe("message")
			p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch, p.CurrentLeader.UnknownTags = d.int("leader"), d.int("epoch"), d.tags()
			for range d.Draw("errors", 8) / 7 {
				p.ErrorRecords = append(p.ErrorRecords, kmsg.ProduceResponseTopicPartitionErrorRecord{RelativeOffset: d.int("relative")})
			}
			t.Partitions = append(t.Partitions, p)
		}
		m.Topics = append(m.Topics, t)
	}
	return m
}
