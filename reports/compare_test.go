package reports

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ktrial/ktrial/ledger"
)

func said(seconds float64, host, text string) *ledger.Entry {
	return &ledger.Entry{At: time.Duration(seconds * 1e9), Host: host, Event: ledger.Say("%s", text)}
}

// Two runs are compared from their first difference: what happens in both, though at
// another time, is no story.
func TestCompare(t *testing.T) {
	one := Side{"acks=all", &Run{Verdict: Holds, Counts: map[string]int64{RecordsAcknowledged: 100}, Numbers: &Numbers{Acknowledged: 10, Ack: DurationsOf([]time.Duration{10 * time.Millisecond})}}, slices.Values([]*ledger.Entry{
		said(1, "broker-1", "leads"), said(2, "broker-1", "answers late"), said(3, "broker-2", "follows"),
	})}
	two := Side{"acks=1", &Run{Verdict: Allowed, Allowed: []Permitted{{Anomaly: "lost-write", Count: 7}}, Counts: map[string]int64{RecordsAcknowledged: 200}, Numbers: &Numbers{Acknowledged: 20, Ack: DurationsOf([]time.Duration{time.Millisecond})}}, slices.Values([]*ledger.Entry{
		said(1, "broker-1", "leads"), said(2, "broker-1", "answers at once"), said(2.5, "broker-2", "follows"), said(4, "broker-1", "loses power"),
	})}
	c := Compare(one, two)
	assert.Equal(t, 1, c.Same)
	assert.Equal(t, Seconds(time.Second), c.Until)
	assert.Equal(t, "answers late", c.First[0].What)
	assert.Equal(t, "answers at once", c.First[1].What)
	var text strings.Builder
	c.WriteText(&text, Style{Width: 80})
	assert.Equal(t, `A  acks=all
B  acks=1

  the same for 1 events, up to 1.0000s; the first difference:
    A    2.0000s  broker-1      answers late
    B    2.0000s  broker-1      answers at once

  notable events that only one of them has
                A                                | B
       2.0000s  broker-1 answers late            | broker-1 answers at once
       4.0000s                                   | broker-1 loses power

                                                      A              B
  verdict                                         holds        allowed
  records acknowledged                              100            200  × 2
  allowed: lost-write                                 0              7
  acknowledged a second                              10             20  × 2
  acknowledgement: half within                     10ms            1ms  × 0.1
  acknowledgement: 99%                             10ms            1ms  × 0.1
  acknowledgement: 99.9%                           10ms            1ms  × 0.1
  acknowledgement: slowest                         10ms            1ms  × 0.1
`, text.String())

	same := Compare(one, one)
	assert.True(t, same.Equal)
	assert.Equal(t, 3, same.Same)
	shorter := Side{"shorter", one.Run, slices.Values(slices.Collect(one.Events)[:2])}
	c = Compare(shorter, one)
	assert.Nil(t, c.First[0], "it has ended")
	assert.Equal(t, "follows", c.First[1].What)
}
