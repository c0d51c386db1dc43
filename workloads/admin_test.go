package workloads

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
)

// What was answered in time is settled; what may come late may be found at any time.
func TestRegister(t *testing.T) {
	soon, late := 5*time.Millisecond, time.Second
	r := register[int]{settled: 1}
	assert.True(t, r.quiet())
	r.asked(2)
	assert.Equal(t, []int{1, 2}, r.all(), "without an answer it may be either")
	assert.False(t, r.certain())
	r.answered(true, soon)
	assert.Equal(t, []int{2}, r.all())
	r.asked(3)
	r.answered(false, soon)
	assert.Equal(t, []int{2}, r.all(), "it was refused")
	r.asked(4)
	r.answered(true, late)
	assert.Equal(t, []int{4}, r.all())
	assert.True(t, r.certain())
	assert.False(t, r.quiet(), "the first of two requests may still come")
	r.asked(5)
	r.answered(true, soon)
	assert.Equal(t, []int{5, 4}, r.all(), "and set it back")
	assert.True(t, r.mayBe(4))
	assert.False(t, r.mayBe(2))
	r.asked(6)
	r.answered(false, late)
	assert.Equal(t, []int{5, 4, 6}, r.all(), "an answer to the second request says nothing of the first")
}

// What is read of a log must be what was acknowledged, but for what was trimmed.
func TestWhatIsReadOfALog(t *testing.T) {
	log := func(trimmed kafka.Offset, sent ...string) *ownLog {
		l := &ownLog{sent: map[kafka.Offset]string{}, trimmed: trimmed}
		for i, value := range sent {
			if value != "" {
				l.acknowledged(kafka.Offset(i), value)
			}
		}
		return l
	}
	read := func(from kafka.Offset, values ...string) (got []client.ConsumerRecord) {
		for i, value := range values {
			got = append(got, client.ConsumerRecord{Offset: from + kafka.Offset(i), Value: []byte(value)})
		}
		return got
	}
	for name, c := range map[string]struct {
		log   *ownLog
		got   []client.ConsumerRecord
		wrong string
	}{
		"all that was acknowledged":          {log(0, "a", "b"), read(0, "a", "b"), ""},
		"one more, whose answer was lost":    {log(0, "a", "", "c"), read(0, "a", "b", "c"), ""},
		"trimmed, and not read":              {log(1, "a", "b"), read(1, "b"), ""},
		"trimmed at most so far":             {log(2, "a", "b", "c"), read(1, "b", "c"), ""},
		"another value":                      {log(0, "a", "b"), read(0, "a", "x"), `read "x" at 1, was told that "b" is there`},
		"one is gone":                        {log(0, "a", "b"), read(0, "a"), `"b" was acknowledged at 1 and is not there; the log was trimmed at most to 0`},
		"one is gone at the start":           {log(0, "a", "b"), read(1, "b"), `"a" was acknowledged at 0 and is not there; the log was trimmed at most to 0`},
		"trimmed further than was asked for": {log(1, "a", "b", "c"), read(2, "c"), `"b" was acknowledged at 1 and is not there; the log was trimmed at most to 1`},
		"twice":                              {log(0, "a"), append(read(0, "a"), read(0, "a")...), "read 0 after 0"},
	} {
		assert.Equal(t, c.wrong, c.log.compare(c.got), name)
	}
}
