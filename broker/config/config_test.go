package config

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/internal/nearest"
)

type acks int

func (a *acks) Set(s string) error { *a = acks(len(s)); return nil }

type nested struct {
	Retention time.Duration `kafka:"log.retention.minutes"`
	Backoff   time.Duration `kafka:"leader.imbalance.check.interval.seconds"`
}

func (nested) ConfigKind() Kind { return Broker }

type sample struct {
	Linger time.Duration `kafka:"linger.ms"`
	Size   int32         `kafka:"batch.size"`
	Safe   bool          `kafka:"enable.idempotence"`
	Acks   acks          `kafka:"acks"`
	Name   string        `kafka:"client.id"`
	Nested nested
}

func (sample) ConfigKind() Kind { return Producer }

func TestDefaultsComeFromTheCatalogue(t *testing.T) {
	var s sample
	Default(&s)
	assert.Equal(t, sample{5 * time.Millisecond, 16384, true, 3, "", nested{0, 5 * time.Minute}}, s)
	assert.Equal(t, []string{"linger.ms", "batch.size", "enable.idempotence", "acks", "client.id", "log.retention.minutes", "leader.imbalance.check.interval.seconds"}, FieldNames(&s))
}

func TestSetAnswersABadNameWithTheNearest(t *testing.T) {
	var s sample
	require.NoError(t, SetAll(&s, map[string]string{"linger.ms": " 20 ", "log.retention.minutes": "3"}))
	assert.Equal(t, 20*time.Millisecond, s.Linger)
	assert.Equal(t, 3*time.Minute, s.Nested.Retention)

	assert.EqualError(t, Set(&s, "lingr.ms", "1"), `config "lingr.ms" is unknown; did you mean linger.ms?`)
	assert.EqualError(t, Set(&s, "zzzzzz", "1"), `config "zzzzzz" is unknown`)
	assert.True(t, nearest.IsUnknown(Set(&s, "zzzzzz", "1")))
	assert.False(t, nearest.IsUnknown(Set(&s, "batch.size", "unknown")))
}

func TestADurationTooLongForTheClockIsTheLongest(t *testing.T) {
	var s sample
	require.NoError(t, Set(&s, "linger.ms", "9223372036854775807"))
	assert.Positive(t, s.Linger)
	assert.Equal(t, "9223372036854775807", Texts(&s)["linger.ms"])
}

// A struct that names what the catalogue does not have, or does not say of which
// kind it is, is our bug.
func TestAStructThatDoesNotFitTheCatalogueIsOurBug(t *testing.T) {
	assert.PanicsWithValue(t, "config: struct { Size int \"kafka:\\\"batch.size\\\"\" }: the struct of setting batch.size does not say its kind", func() {
		Default(&struct {
			Size int `kafka:"batch.size"`
		}{})
	})
	assert.PanicsWithValue(t, "config: config.unheardOf: catalogue.tsv has no producer setting batch.sise", func() { Default(&unheardOf{}) })
	assert.PanicsWithValue(t, "config: config.narrow: a int setting such as batch.size does not fit into int16", func() { Default(&narrow{}) })
}

type narrow struct {
	Size int16 `kafka:"batch.size"`
}

func (narrow) ConfigKind() Kind { return Producer }

type unheardOf struct {
	Size int `kafka:"batch.sise"`
}

func (unheardOf) ConfigKind() Kind { return Producer }
