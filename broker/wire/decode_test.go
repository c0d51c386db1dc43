package wire

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// empty is a new message of the same kind.
func empty(m message) message {
	return reflect.New(reflect.TypeOf(m).Elem()).Interface().(message)
}

// assertSame compares what the encoding holds, and what it does not: names of
// topics that have ids. No array and an empty one are the same there.
func assertSame(t *rapid.T, want, got message) {
	assert.Equal(t, want.AppendTo(nil), got.AppendTo(nil))
	text := func(m message) string {
		b, err := json.Marshal(m)
		require.NoError(t, err)
		return strings.ReplaceAll(string(b), "null", "[]")
	}
	assert.Equal(t, text(want), text(got))
}

func readAny(m message, body []byte) error {
	if req, ok := m.(kmsg.Request); ok {
		return readRequest(req, body)
	}
	return readResponse(m.(kmsg.Response), body)
}

// What is read here, one message into the memory of another, is what kmsg reads
// into new memory, and is refused when kmsg refuses it.
func TestDecodesAsKmsgDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw{t}
		kind := d.Draw("kind", 4)
		var got message
		for range rapid.IntRange(2, 12).Draw(t, "messages") {
			m := d.messageOf(kind)
			body := m.AppendTo(nil)
			if d.Draw("damage", 4) == 0 {
				body = body[:d.Draw("length", len(body)+1)]
			}
			fresh := empty(m)
			fresh.SetVersion(m.GetVersion())
			want := fresh.ReadFrom(body)

			if got == nil {
				got = empty(m)
			}
			got.SetVersion(m.GetVersion())
			err := readAny(got, body)
			if assert.Equal(t, want != nil, err != nil, "kmsg says %v, we say %v", want, err) && err == nil {
				assertSame(t, fresh, got)
			}
		}
	})
}

// A request that is damaged anywhere is read as kmsg reads it, or refused
// because it claims more than it holds.
func TestDecodesDamagedRequestsAsKmsgDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw{t}
		var m message = d.fetchRequest()
		if d.Draw("kind", 2) == 0 {
			m = d.produceRequest()
		}
		body := m.AppendTo(nil)
		for range d.Draw("damage", 4) {
			body[d.Draw("at", len(body))] = rapid.Byte().Draw(t, "byte")
		}
		fresh, got := empty(m), empty(m)
		fresh.SetVersion(m.GetVersion())
		got.SetVersion(m.GetVersion())
		err := readAny(got, body)
		want := checkLengths(fresh.(kmsg.Request), body)
		if want == nil {
			want = fresh.ReadFrom(body)
		}
		if assert.Equal(t, want != nil, err != nil, "kmsg says %v, we say %v", want, err) && err == nil {
			assertSame(t, fresh, got)
		}
	})
}

// The usual messages take no memory once there has been one like them.
func TestDecodingUsesItsMemoryAgain(t *testing.T) {
	fetch := kmsg.NewPtrFetchRequest()
	fetch.ClusterID = kmsg.StringPtr("cluster")
	fetch.Rack = "rack"
	fetch.Topics = []kmsg.FetchRequestTopic{{Topic: "orders", Partitions: make([]kmsg.FetchRequestTopicPartition, 3)}}
	fetched := kmsg.NewPtrFetchResponse()
	fetched.Topics = []kmsg.FetchResponseTopic{{Topic: "orders", Partitions: make([]kmsg.FetchResponseTopicPartition, 3)}}
	produce := kmsg.NewPtrProduceRequest()
	produce.TransactionID = kmsg.StringPtr("transaction")
	produce.Topics = []kmsg.ProduceRequestTopic{{Topic: "orders", Partitions: make([]kmsg.ProduceRequestTopicPartition, 3)}}
	produced := kmsg.NewPtrProduceResponse()
	produced.Topics = []kmsg.ProduceResponseTopic{{Topic: "orders", Partitions: make([]kmsg.ProduceResponseTopicPartition, 3)}}
	for _, m := range []message{fetch, fetched, produce, produced} {
		m.SetVersion(12)
		body, got := m.AppendTo(nil), empty(m)
		got.SetVersion(12)
		require.NoError(t, readAny(got, body))
		assert.Zero(t, testing.AllocsPerRun(10, func() { _ = readAny(got, body) }), "%T", m)
	}
}

func BenchmarkDecodeFetchRequest(b *testing.B) {
	m := kmsg.NewPtrFetchRequest()
	m.Version = 17
	m.Topics = []kmsg.FetchRequestTopic{{Partitions: make([]kmsg.FetchRequestTopicPartition, 3)}}
	body := m.AppendTo(nil)
	b.ReportAllocs()
	for range b.N {
		if err := readRequest(m, body); err != nil {
			b.Fatal(err)
		}
	}
}
