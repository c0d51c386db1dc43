package reports

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/checkers/history"
)

// made is a run of twenty seconds: ten records a second, each acknowledged
// after 5 ms and read after as many ms as its number says, but none of the tenth
// second, which never arrive.
func made() *Timeline {
	rec := history.NewRecorder()
	key := history.Partition("orders", 0)
	at := func(e history.Event, typ history.Type, t time.Duration) history.Event {
		e.Type, e.Time = typ, t
		return e
	}
	for i := range int64(200) {
		from := time.Duration(i)*100*time.Millisecond + time.Microsecond
		value := history.Text("p-" + string(rune('A'+i)))
		send := history.Event{Process: 0, Client: "producer-1", F: history.Send, Mops: []history.Mop{{Kind: history.MopSend, Key: key, Value: value, Offset: history.At(i)}}}
		rec.Invoke(at(send, history.Invoke, from))
		rec.Complete(at(send, history.OK, from+5*time.Millisecond))
		if i/10 == 10 {
			continue
		}
		poll := history.Event{Process: 1, Client: "consumer-1", F: history.Poll, Mops: []history.Mop{{Kind: history.MopPoll}}}
		rec.Invoke(at(poll, history.Invoke, from+5*time.Millisecond))
		poll.Mops[0].Records = []history.Record{{Key: key, Offset: history.At(i), Value: value}}
		rec.Complete(at(poll, history.OK, from+time.Duration(10+i%10)*time.Millisecond))
		// A second read of it does not count.
		rec.Invoke(at(poll, history.Invoke, from+30*time.Millisecond))
		rec.Complete(at(poll, history.OK, from+90*time.Millisecond))
	}
	run := &Run{
		Scenario: "made-up", Seed: 4, Verdict: Violated, VirtualSeconds: 20,
		Faults: []Fault{
			{At: Seconds(5 * time.Second), Until: Seconds(8 * time.Second), Text: "at 3s for 3s: power off broker-1", Fault: "power off broker-1"},
			{At: Seconds(12 * time.Second), Text: "at 10s: cut broker-2 to broker-1 <&>", Fault: "cut broker-2 to broker-1 <&>"},
		},
		Violations: []Violation{{Check: "acknowledged records are never lost", At: Seconds(15 * time.Second)}},
	}
	marks := []Mark{{At: 1, Kind: NewController}, {At: 2, Kind: Phase, Text: "work begins"}, {At: 3, Kind: NewLeader}, {At: 4, Kind: NoLeader}, {At: 5, Kind: ISRShrank}, {At: 6, Kind: ISRGrew}}
	return NewTimeline(run, "a run that is made up", rec.History(), marks)
}

func TestTimelineAddsUp(t *testing.T) {
	tl := made()
	require.Len(t, tl.Seconds, 21)
	for i, s := range tl.Seconds[:20] {
		assert.Equal(t, 10, s.Sent, i)
		assert.Equal(t, 10, s.Acknowledged, i)
		if i == 10 {
			assert.Equal(t, Second{Sent: 10, Acknowledged: 10}, s)
			continue
		}
		assert.Equal(t, 10, s.Delivered, i)
		assert.Equal(t, 10, s.Arrived, i)
		assert.InDelta(t, 14*time.Millisecond, s.P50, 1e5)
		assert.InDelta(t, 19*time.Millisecond, s.P99, 1e5)
		assert.Equal(t, 19*time.Millisecond, s.Max)
	}
}

// The picture is XML, says what it shows, and is the same for the same run:
// nothing of the clock or of the machine is in it.
func TestTimelineIsDrawn(t *testing.T) {
	var one, two bytes.Buffer
	require.NoError(t, made().WriteSVG(&one))
	require.NoError(t, made().WriteSVG(&two))
	assert.Equal(t, one.String(), two.String())

	text := words(t, one.String())
	for _, says := range []string{
		"made-up, seed 4: violated", "a run that is made up", "broken at 15s: acknowledged records are never lost",
		"work begins", "power off broker-1", "cut broker-2 to broker-1 <&>", "seconds of virtual time", "100ms",
	} {
		assert.Contains(t, text, says)
	}
	assert.NotRegexp(t, regexp.MustCompile(`20\d\d-|NaN|Inf`), one.String())
}

// A run that ended before anything happened has a picture, too.
func TestTimelineOfNothing(t *testing.T) {
	for _, seconds := range []float64{0, 0.001, 7200} {
		var out bytes.Buffer
		run := &Run{Scenario: "nothing", Verdict: Inconclusive, VirtualSeconds: seconds}
		require.NoError(t, NewTimeline(run, "", history.New(), nil).WriteSVG(&out))
		assert.Contains(t, words(t, out.String()), "nothing, seed 0: inconclusive")
		assert.NotRegexp(t, regexp.MustCompile(`NaN|Inf`), out.String())
	}
}

// words are the texts of a drawing.
func words(t *testing.T, svg string) string {
	var all []string
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return strings.Join(all, "\n")
		}
		require.NoError(t, err)
		if text, ok := token.(xml.CharData); ok {
			all = append(all, string(text))
		}
	}
}
