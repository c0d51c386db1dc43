package kgohook

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestHook_TellsBeginAndEndOfEachRecord(t *testing.T) {
	var out bytes.Buffer
	h := New(&out)
	h.life = "shop-1.0abc"
	tea, milk := kgo.StringRecord("tea"), kgo.StringRecord("milk")
	tea.Topic, milk.Topic = "orders", "orders"
	h.OnProduceRecordBuffered(tea)
	h.OnProduceRecordBuffered(milk)
	tea.Partition, tea.Offset = 2, 17
	h.OnProduceRecordUnbuffered(tea, nil)
	h.OnProduceRecordBuffered(kgo.StringRecord("sugar"))
	h.OnProduceRecordUnbuffered(milk, errors.New("timed out"))
	want := strings.Join([]string{
		`ktrial {"type":"invoke","process":0,"f":"send","value":[["send","orders","tea#shop-1.0abc.1"]]}`,
		`ktrial {"type":"invoke","process":1,"f":"send","value":[["send","orders","milk#shop-1.0abc.2"]]}`,
		`ktrial {"type":"ok","process":0,"f":"send","value":[["send","orders/2",[17,"tea#shop-1.0abc.1"]]]}`,
		`ktrial {"type":"invoke","process":0,"f":"send","value":[["send","","sugar#shop-1.0abc.3"]]}`,
		`ktrial {"type":"info","process":1,"f":"send","error":"timed out"}`,
	}, "\n") + "\n"
	if out.String() != want {
		t.Errorf("it tells\n%s\nexpected\n%s", out.String(), want)
	}
	if got := string(tea.Headers[0].Value); tea.Headers[0].Key != Header || got != "tea#shop-1.0abc.1" {
		t.Errorf("the record carries %q", got)
	}
}

// A record that has a name is one that its program tells of, or sends again: it keeps it.
func TestHook_KeepsNames(t *testing.T) {
	var out bytes.Buffer
	h := New(&out)
	r := &kgo.Record{Headers: []kgo.RecordHeader{{Key: Header, Value: []byte("order 17")}}}
	h.OnProduceRecordBuffered(r)
	h.OnProduceRecordUnbuffered(r, nil)
	if len(r.Headers) != 1 || out.Len() > 0 {
		t.Errorf("headers %v, lines %q", r.Headers, out.String())
	}
}
