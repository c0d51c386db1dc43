package ledger_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/ledger"
)

type replica struct {
	Node      int    `json:"node"`
	Partition string `json:"partition"`
}

func (r *replica) Subject() string { return r.Partition }

type truncatedEvent struct {
	Replica *replica `json:"replica"`
	From    int64    `json:"from"`
	To      int64    `json:"to"`
}

var truncated = ledger.Declare[truncatedEvent]("test-truncated", "a test's replica was cut", ledger.Notable)

func (e *truncatedEvent) Kind() *ledger.Kind { return truncated }
func (e *truncatedEvent) Subject() string    { return e.Replica.Subject() }
func (e *truncatedEvent) Sentence() string {
	return fmt.Sprintf("truncates from %d to %d", e.From, e.To)
}

type appendedEvent struct {
	End int64 `json:"end"`
}

var appended = ledger.Declare[appendedEvent]("test-appended", "a test's replica grew", ledger.Detail)

func (e *appendedEvent) Kind() *ledger.Kind { return appended }
func (e *appendedEvent) Sentence() string   { return fmt.Sprintf("appends up to %d", e.End) }

var (
	everyAppend = ledger.ProbeOn[appendedEvent](appended, "test: something was appended", "any append", nil)
	longAppend  = ledger.ProbeOn(appended, "test: the log is long", "an append beyond 100", func(e *appendedEvent) bool { return e.End > 100 })
	asked       = ledger.NewProbe("test: a client asked", "code reports it")
)

func fill(l *ledger.Ledger) *ledger.Ledger {
	l.Add(ledger.Entry{At: time.Second, Host: "broker-1", Life: 1, Cause: ledger.Cause{Step: 7, By: ledger.ByMessage}, Event: &appendedEvent{End: 5}})
	l.Add(ledger.Entry{At: 2 * time.Second, Host: "broker-2", Life: 1, Event: &truncatedEvent{&replica{2, "orders/0"}, 5, 3}})
	l.Add(ledger.Entry{At: 3 * time.Second, Event: &ledger.Said{Text: "</script> & \"quotes\""}})
	l.Add(ledger.Entry{At: 4 * time.Second, Host: "broker-1", Life: 2, Event: &appendedEvent{End: 500}})
	return l
}

func TestWhatIsKeptDependsOnTheWeight(t *testing.T) {
	for keep, want := range map[ledger.Keep]int{ledger.KeepNothing: 0, ledger.KeepStory: 2, ledger.KeepAll: 4} {
		assert.Equal(t, want, fill(ledger.New(keep)).Len(), "keep %d", keep)
	}
}

type messageEvent struct{}

var message = ledger.Declare[messageEvent]("test-message", "a test's message", ledger.Traffic)

func (e *messageEvent) Kind() *ledger.Kind { return message }
func (e *messageEvent) Sentence() string   { return "sends" }

// Traffic is told while it is kept, read by ReadAll, or by ReadTraffic while that is on,
// which gets nothing else.
func TestTrafficIsToldWhileItIsWanted(t *testing.T) {
	l := ledger.New(ledger.KeepStory)
	var all, some, rest int
	l.Read(func(*ledger.Entry) { rest++ })
	on := l.ReadTraffic(func(*ledger.Entry) { some++ })
	tell := func() {
		l.Add(ledger.Entry{Event: &messageEvent{}})
		l.Add(ledger.Entry{Event: &appendedEvent{}})
	}
	for _, wanted := range []bool{false, true, true, false, false} {
		on(wanted)
		assert.Equal(t, wanted, l.Traced())
		tell()
	}
	assert.Equal(t, 2, some)
	l.ReadAll(func(*ledger.Entry) { all++ })
	assert.True(t, l.Traced())
	tell()
	assert.Equal(t, []int{2, 2, 6}, []int{all, some, rest})
	assert.True(t, ledger.New(ledger.KeepAll).Traced())
}

func TestReadersGetEveryEventInOrder(t *testing.T) {
	l := ledger.New(ledger.KeepNothing)
	var seen []string
	l.Read(func(e *ledger.Entry) { seen = append(seen, e.Event.Kind().Name) })
	fill(l)
	assert.Equal(t, []string{"test-appended", "test-truncated", "said", "test-appended"}, seen)
}

func TestWhatAReaderTellsIsReadNext(t *testing.T) {
	l := ledger.New(ledger.KeepAll)
	var first, second []int64
	l.Read(func(e *ledger.Entry) {
		end := e.Event.(*appendedEvent).End
		first = append(first, end)
		if end < 3 {
			l.Add(ledger.Entry{Event: &appendedEvent{End: end + 1}})
		}
	})
	l.Read(func(e *ledger.Entry) { second = append(second, e.Event.(*appendedEvent).End) })
	l.Add(ledger.Entry{Event: &appendedEvent{End: 1}})
	assert.Equal(t, []int64{1, 2, 3}, first)
	assert.Equal(t, first, second)
	assert.Equal(t, 3, l.Len())
}

// What a reader tells comes behind the event that it read, for all readers.
func TestAReaderMayTell(t *testing.T) {
	l := ledger.New(ledger.KeepAll)
	l.Read(func(e *ledger.Entry) {
		if a, ok := e.Event.(*appendedEvent); ok && a.End < 3 {
			l.Add(ledger.Entry{Event: &appendedEvent{End: a.End + 1}})
			l.Add(ledger.Entry{Event: ledger.Say("after %d", a.End)})
		}
	})
	var seen []string
	l.Read(func(e *ledger.Entry) { seen = append(seen, e.Event.Sentence()) })
	l.Add(ledger.Entry{Event: &appendedEvent{End: 1}})
	want := []string{"appends up to 1", "appends up to 2", "after 1", "appends up to 3", "after 2"}
	assert.Equal(t, want, seen)
	var kept []string
	for e := range l.All() {
		kept = append(kept, e.Event.Sentence())
	}
	assert.Equal(t, want, kept)
}

func TestProbesAreReachedByEventsAndByCode(t *testing.T) {
	l := fill(ledger.New(ledger.KeepNothing))
	l.Reach(asked)
	l.Reach(asked)
	assert.Equal(t, map[*ledger.Probe]int64{everyAppend: 2, longAppend: 1, asked: 2}, l.Reached())
}

func TestEntriesAreKeptAcrossChunks(t *testing.T) {
	l := ledger.New(ledger.KeepAll)
	for i := range 5000 {
		l.Add(ledger.Entry{Event: &appendedEvent{End: int64(i)}})
	}
	assert.Equal(t, 5000, l.Len())
	next := int64(0)
	for e := range l.All() {
		require.Equal(t, next, e.Event.(*appendedEvent).End)
		next++
	}
	assert.EqualValues(t, 5000, next)
}

func TestAStoryIsPickedByHostSubjectAndTime(t *testing.T) {
	l := fill(ledger.New(ledger.KeepAll))
	for _, c := range []struct {
		filter ledger.Filter
		want   string
	}{
		{ledger.Filter{}, "truncates from 5 to 3|</script> & \"quotes\""},
		{ledger.Filter{Detail: true, To: 2 * time.Second}, "appends up to 5|truncates from 5 to 3"},
		{ledger.Filter{Only: []string{"broker-1"}}, "appends up to 5|appends up to 500"},
		{ledger.Filter{Only: []string{"orders/0"}}, "truncates from 5 to 3"},
		{ledger.Filter{Only: []string{"orders/0", "broker-1"}, From: 2 * time.Second}, "truncates from 5 to 3|appends up to 500"},
		{ledger.Filter{Only: []string{"orders/00"}}, ""},
	} {
		var got []string
		for line := range strings.Lines(l.Story(c.filter)) {
			got = append(got, strings.TrimSpace(line[28:]))
		}
		assert.Equal(t, c.want, strings.Join(got, "|"), "%+v", c.filter)
	}
}

func TestATraceReadsBack(t *testing.T) {
	l := fill(ledger.New(ledger.KeepAll))
	var text bytes.Buffer
	head := ledger.Header{Scenario: "standard", Seed: 1<<64 - 1, Hash: "00ff"}
	require.NoError(t, ledger.WriteTrace(&text, head, l.All()))
	written := text.String()
	assert.Contains(t, written, `{"t":1000000000,"host":"broker-1","life":1,"step":7,"by":"message","event":"test-appended","say":"appends up to 5","end":5}`+"\n")
	var got []ledger.Entry
	read, err := ledger.ReadTrace(&text, func(e *ledger.Entry) bool { got = append(got, *e); return true })
	require.NoError(t, err)
	head.Format = ledger.TraceFormat
	assert.Equal(t, head, read)
	var want []ledger.Entry
	for e := range l.All() {
		want = append(want, *e)
	}
	assert.Equal(t, want, got)
}

func TestATraceOfAnotherProgramIsReadAsItSays(t *testing.T) {
	text := `{"format":"ktrial-trace/1","seed":3}
{"t":5,"host":"shop","step":1,"by":"timer","event":"order-placed","say":"places order 7","order":7}
`
	var got []*ledger.Entry
	_, err := ledger.ReadTrace(strings.NewReader(text), func(e *ledger.Entry) bool { got = append(got, e); return true })
	require.NoError(t, err)
	require.Len(t, got, 1)
	assert.Equal(t, "order-placed", got[0].Event.Kind().Name)
	assert.Equal(t, "places order 7", got[0].Event.Sentence())
	var again bytes.Buffer
	require.NoError(t, ledger.WriteTrace(&again, ledger.Header{Seed: 3}, slices.Values(got)))
	assert.Equal(t, text, again.String(), "what is not known is passed on")
}

func TestABadTraceIsToldByItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      `trace: found no line, expected a header with format "ktrial-trace/1"`,
		"{}\n":                                  `trace: line 1: found format "", expected "ktrial-trace/1"`,
		"what\n":                                "trace: line 1: ",
		`{"format":"ktrial-trace/1"}` + "\n{\n": "trace: line 2: ",
		`{"format":"ktrial-trace/1"}` + "\n" + `{"event":"test-appended","end":"x"}` + "\n": "trace: line 2: event test-appended: ",
	} {
		_, err := ledger.ReadTrace(strings.NewReader(text), func(*ledger.Entry) bool { return true })
		assert.ErrorContains(t, err, want)
	}
}

func TestATraceFileIsTheSameEachTime(t *testing.T) {
	l := fill(ledger.New(ledger.KeepAll))
	dir := t.TempDir()
	for _, name := range []string{"a.jsonl.gz", "a.jsonl"} {
		require.NoError(t, ledger.WriteTraceFile(dir+"/"+name, ledger.Header{}, l.All()))
		n := 0
		_, err := ledger.ReadTraceFile(dir+"/"+name, func(*ledger.Entry) bool { n++; return true })
		require.NoError(t, err)
		assert.Equal(t, 4, n, name)
	}
}
