package timeline

import (
	"cmp"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/broker/kafka"
)

// apply makes one record's changes.
func apply(t *Timeline, at kafka.Offset, f func()) {
	t.Begin(at)
	f()
	t.End()
}

func TestValue_HasTwoCuts(t *testing.T) {
	line := New()
	v := NewValue(line, "empty")
	apply(line, 0, func() { v.Set("a") })
	apply(line, 1, func() { v.Set("b") })
	assert.Equal(t, "b", v.Get())
	assert.Equal(t, "empty", v.GetCommitted())
	line.Commit(1)
	assert.Equal(t, "a", v.GetCommitted())
	line.Revert(1)
	assert.Equal(t, "a", v.Get())
	assert.Equal(t, kafka.Offset(1), line.Written())
	assert.Zero(t, line.Pending())
}

func TestTimeline_TellsWhatIsTakenBack(t *testing.T) {
	line := New()
	v := NewValue(line, "empty")
	var told []string
	for at, name := range []string{"a", "b", "c"} {
		apply(line, kafka.Offset(at), func() {
			v.Set(name)
			line.OnRevert(func() { told = append(told, name+" is gone, "+v.Get()+" is there") })
		})
	}
	line.Commit(1)
	line.Revert(1)
	assert.Equal(t, []string{"c is gone, c is there", "b is gone, b is there"}, told, "what is committed stays; the newest goes first, and what changed before it is there still")
	assert.Zero(t, line.Pending())
}

func TestTimeline_RefusesWhatNoRecordDoes(t *testing.T) {
	line := New()
	m := NewMap[string, int](line, cmp.Compare[string])
	assert.PanicsWithValue(t, "timeline: a change that no record makes: logged state changes in Apply only", func() { m.Set("a", 1) })
	apply(line, 4, func() { m.Set("a", 1) })
	assert.Panics(t, func() { line.Begin(2) }, "offsets do not fall")
	line.Commit(5)
	assert.Panics(t, func() { line.Revert(4) }, "what is committed stays")
}

func TestMap_WhatIsBelowTheHighWatermarkIsNotKept(t *testing.T) {
	line := New()
	m := NewMap[string, int](line, cmp.Compare[string])
	line.Commit(100) // as while a log is loaded
	for at := range kafka.Offset(101) {
		apply(line, at, func() { m.Set("a", int(at)) })
	}
	assert.Equal(t, 1, line.Pending())
	line.Commit(101)
	assert.Zero(t, line.Pending())
	assert.Equal(t, 1, m.LenAt(Committed))
}

func TestMap_MayChangeWhileItIsWalked(t *testing.T) {
	line := New()
	m := NewMap[string, int](line, cmp.Compare[string])
	apply(line, 0, func() {
		for _, key := range []string{"c", "a", "b"} {
			m.Set(key, 1)
		}
	})
	var seen []string
	line.Begin(1)
	for key := range m.All() {
		seen = append(seen, key)
		m.Delete("b")
		m.Set("aa", 1)
		for range m.All() {
		}
	}
	line.End()
	assert.Equal(t, []string{"a", "c"}, seen)
}

// copies is the model: a full copy of the map after each record.
type copies struct {
	after map[kafka.Offset]map[int]int // by end offset
}

func TestMap_IsLikeCopiesOfAllStates(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		line := New()
		m := NewMap[int, int](line, cmp.Compare[int])
		v := NewValue(line, 0)
		model := copies{map[kafka.Offset]map[int]int{0: {}}}
		const valueKey = -1 // the model keeps the value beside the map
		end, committed := kafka.Offset(0), kafka.Offset(0)
		check := func(cut Cut, want map[int]int) {
			got, order := map[int]int{}, []int(nil)
			for key, value := range m.AllAt(cut) {
				got[key] = value
				order = append(order, key)
			}
			want = maps.Clone(want)
			assert.Equal(rt, want[valueKey], v.GetAt(cut))
			delete(want, valueKey)
			assert.Equal(rt, want, got)
			assert.True(rt, slices.IsSorted(order))
			assert.Equal(rt, len(want), m.LenAt(cut))
			for key := range 8 {
				value, ok := m.GetAt(cut, key)
				wanted, there := want[key]
				assert.Equal(rt, there, ok)
				assert.Equal(rt, wanted, value)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"record": func(rt *rapid.T) {
				at := end + kafka.Offset(rapid.IntRange(0, 1).Draw(rt, "gap"))
				state := maps.Clone(model.after[end])
				apply(line, at, func() {
					for range rapid.IntRange(0, 3).Draw(rt, "changes") {
						key := rapid.IntRange(valueKey, 7).Draw(rt, "key")
						value := rapid.IntRange(0, 9).Draw(rt, "value")
						switch {
						case key == valueKey:
							v.Set(value)
							state[key] = value
						case value < 3:
							m.Delete(key)
							delete(state, key)
						default:
							m.Set(key, value)
							state[key] = value
						}
					}
				})
				for o := end + 1; o <= at; o++ {
					model.after[o] = model.after[end]
				}
				end = at + 1
				model.after[end] = state
			},
			"commit": func(rt *rapid.T) {
				committed = kafka.Offset(rapid.Int64Range(int64(committed), int64(end)).Draw(rt, "to"))
				line.Commit(committed)
			},
			"revert": func(rt *rapid.T) {
				end = kafka.Offset(rapid.Int64Range(int64(committed), int64(end)).Draw(rt, "to"))
				line.Revert(end)
			},
			"": func(rt *rapid.T) {
				check(Written, model.after[end])
				check(Committed, model.after[committed])
				assert.Equal(rt, end, line.Written())
				assert.Equal(rt, committed, line.Committed())
				if committed == end {
					assert.Zero(rt, line.Pending())
				}
			},
		})
	})
}
