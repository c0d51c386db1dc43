package config

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type level int

func (l *level) Set(s string) error { *l = level(len(s)); return nil }

type nested struct {
	Retention time.Duration `kafka:"retention.minutes" default:"2"`
}

type sample struct {
	Linger time.Duration `kafka:"linger.ms" default:"5"`
	Size   int32         `kafka:"batch.size" default:"16384" min:"1"`
	Safe   bool          `kafka:"enable.idempotence" default:"true"`
	Level  level         `kafka:"acks" default:"all"`
	Name   string        `kafka:"client.id" default:""`
	Nested nested
}

func TestDefaultsComeFromTheTags(t *testing.T) {
	var s sample
	Default(&s)
	assert.Equal(t, sample{5 * time.Millisecond, 16384, true, 3, "", nested{2 * time.Minute}}, s)
	assert.Equal(t, Entry{"linger.ms", "5", "5", Long}, Entries(&s)[0])
	assert.Equal(t, Entry{"retention.minutes", "2", "2", Long}, Entries(&s)[5])
}

func TestSetAnswersABadNameWithTheNearest(t *testing.T) {
	var s sample
	require.NoError(t, SetAll(&s, map[string]string{"linger.ms": "20", "retention.minutes": "3"}))
	assert.Equal(t, 20*time.Millisecond, s.Linger)
	assert.Equal(t, 3*time.Minute, s.Nested.Retention)

	assert.EqualError(t, Set(&s, "lingr.ms", "1"), `config "lingr.ms" is unknown; did you mean linger.ms?`)
	assert.EqualError(t, Set(&s, "zzzzzz", "1"), `config "zzzzzz" is unknown`)
	assert.EqualError(t, Set(&s, "batch.size", "big"), `config batch.size: found "big", expected a whole number`)
	assert.EqualError(t, Set(&s, "batch.size", "3000000000"), `config batch.size: found "3000000000", expected a whole number`)
	assert.EqualError(t, Set(&s, "batch.size", "0"), `config batch.size: found 0, expected at least 1`)
}

func TestADurationTooLongForTheClockIsTheLongest(t *testing.T) {
	var s sample
	require.NoError(t, Set(&s, "linger.ms", "9223372036854775807"))
	assert.Positive(t, s.Linger)
}
